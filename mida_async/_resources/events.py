"""``mida.events``: what visitors did."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from .._core.endpoints.events import ROWS
from .._errors import InvalidEventError, InvalidRequestError
from .._sentinels import UNSET, UnsetType
from ..destinations.mida import encode_event
from ..models.events import (
    Event,
    EventCreated,
    EventDeleted,
    EventDetails,
    EventPage,
    EventRecorded,
    EventUpdated,
)
from .base import Section

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

Day: TypeAlias = dt.date | str
EventProperty: TypeAlias = Mapping[str, Any] | str


class Events(Section):
    """The events of a project."""

    async def record(
        self,
        event_name: str,
        *,
        mida_uuid: str | None = None,
        email: str | None = None,
        id: str | None = None,  # noqa: A002 - the vendor's name
        properties: Mapping[str, Any] | None = None,
    ) -> EventRecorded:
        """
        Record that a visitor did something, in one request (docs/v2/create-event, 2026-08-22).

        It is not sent again when it is unknown what became of it: the API has no means against recording it twice. Once
        the server has accepted it this succeeds, whatever became of the answer's body. Cancelling may come too late.

        Args:
            event_name: What was done.
            mida_uuid: The visitor's id in the browser.
            email: An address that the visitor was identified by.
            id: Your own id that the visitor was identified by. At least one of the three is needed.
            properties: Anything that JSON can hold, by name.

        Raises:
            VisitorNotFoundError: No visitor has this identifier.
            BadRequestError: The server found something else wrong.
            ConnectionLostError: It may have been recorded; likewise RequestTimeoutError and ServerError.
        """
        content, problem = b"", ""
        try:
            content = encode_event(event_name, mida_uuid=mida_uuid, email=email, id=id, properties=properties).body
        except InvalidEventError as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001 - an object of the caller's may do anything when it is looked at
            problem = f"the event cannot be read: {type(error).__name__} came of looking at it"
        with self._hiding():
            if problem:
                raise InvalidRequestError(problem)
            return await self._requestor.call(ROWS["events.record"], EventRecorded, body=content)

    async def create(
        self,
        event_text: str,
        *,
        event_property: EventProperty | None = None,
        url: str | None = None,
        event_path: str | None = None,
        session: str | None = None,
    ) -> EventCreated:
        """
        Define an event (docs/v2/create-event, as it was until 2026-03-13).

        Today's page documents :meth:`record` on the same address, and does not say whether the server still takes this.

        Args:
            event_text: The event's name.
            event_property: Its data: a mapping, or a text that is kept as it is.
            url: The page that it belongs to.
            event_path: That page's path.
            session: The session that it belongs to.

        Raises:
            BadRequestError: The server takes it no longer, or found it wrong.
            DecodeError: The server answered without an ``event_id``: it has done something else.
        """
        return await self._call(
            ROWS["events.create"],
            EventCreated,
            event_text=event_text,
            event_property=event_property,
            url=url,
            event_path=event_path,
            session=session,
        )

    async def list(
        self,
        *,
        limit: int = 50,
        offset: int = 0,
        event_text: str | None = None,
        start_date: Day | None = None,
        end_date: Day | None = None,
    ) -> EventPage:
        """
        Get one page of events (docs/v2/list-events, 2026-08-22).

        Events whose name begins with ``!`` or ``goal_``, and deleted ones, are never listed.

        Args:
            limit: How many at most, 1 to 500.
            offset: How many to leave out before.
            event_text: Only events of exactly this name.
            start_date: Only events of this day and later. Of a datetime the day counts as it stands.
            end_date: Only events of this day and earlier.
        """
        return await self._call(
            ROWS["events.list"],
            EventPage,
            limit=limit,
            offset=offset,
            event_text=event_text,
            start_date=start_date,
            end_date=end_date,
        )

    def iter(
        self,
        *,
        page_size: int = 500,
        event_text: str | None = None,
        start_date: Day | None = None,
        end_date: Day | None = None,
    ) -> AsyncGenerator[Event, None]:
        """
        Go through all events, one request a page; like :meth:`list`, but without end.

        Each event comes once, even if the list changes meanwhile; one that is added or moved meanwhile may be missed.
        Leaving the loop early is safe: nothing stays open between pages.

        Args:
            page_size: How many to ask for at once, 1 to 500.
            event_text: Only events of exactly this name.
            start_date: Only events of this day and later.
            end_date: Only events of this day and earlier.

        Raises:
            InvalidRequestError: An argument is wrong; raised by this call, not by the loop.
        """
        return self._walk(
            ROWS["events.list"],
            EventPage,
            _events,
            _event_id,
            page_size,
            event_text=event_text,
            start_date=start_date,
            end_date=end_date,
        )

    async def get(self, event_id: int) -> EventDetails:
        """
        Get one event (docs/v2/get-event-details, 2026-08-22).

        Args:
            event_id: Its number.

        Raises:
            NotFoundError: There is no such event in this project.
        """
        return await self._call(ROWS["events.get"], EventDetails, event_id=event_id)

    async def update(
        self,
        event_id: int,
        *,
        event_text: str | UnsetType = UNSET,
        event_property: EventProperty | UnsetType | None = UNSET,
        url: str | UnsetType | None = UNSET,
        event_path: str | UnsetType | None = UNSET,
        session: str | UnsetType | None = UNSET,
        status: int | UnsetType = UNSET,
    ) -> EventUpdated:
        """
        Change an event (docs/v2/update-event, 2026-08-22). What is not given stays as it is; None goes out as null.

        Args:
            event_id: Its number.
            event_text: Its name.
            event_property: Its data, which replace those that it has: a mapping, or a text that is kept as it is.
            url: The page that it belongs to.
            event_path: That page's path.
            session: The session that it belongs to.
            status: 1 active, 2 deleted.

        Raises:
            NotFoundError: There is no such event in this project.
            BadRequestError: The server found a value wrong.
        """
        return await self._call(
            ROWS["events.update"],
            EventUpdated,
            event_id=event_id,
            event_text=event_text,
            event_property=event_property,
            url=url,
            event_path=event_path,
            session=session,
            status=status,
        )

    async def delete(self, event_id: int) -> EventDeleted:
        """
        Delete an event (docs/v2/delete-event, 2026-08-22). The server keeps it with status 2.

        Args:
            event_id: Its number.

        Raises:
            NotFoundError: There is no such event in this project, or a first attempt whose answer was lost has deleted
                it already.
        """
        return await self._call(ROWS["events.delete"], EventDeleted, event_id=event_id)


def _events(page: EventPage) -> Sequence[Event]:
    return page.events


def _event_id(event: Event) -> int:
    return event.event_id
