"""``mida.events``: what visitors did."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from .._core.endpoints import ENDPOINTS
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
from . import base

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from .._requestor import Requestor

Day: TypeAlias = dt.date | str
EventProperty: TypeAlias = Mapping[str, Any] | str

_CREATE: Final = MappingProxyType(
    {
        "event_text": base.text,
        "event_property": base.object_or_text,
        "url": base.any_text,
        "event_path": base.any_text,
        "session": base.any_text,
    }
)

# docs/v2/update-event, 2026-08-22, does not say what may be null. An event that was recorded has no address, no session
# and perhaps no data, so those may be; it always has a name and a status.
_UPDATE: Final = MappingProxyType(
    {
        "event_text": base.text,
        "event_property": base.nullable(base.object_or_text),
        "url": base.nullable(base.any_text),
        "event_path": base.nullable(base.any_text),
        "session": base.nullable(base.any_text),
        "status": base.status,
    }
)


class Events:
    """
    The events of a project.

    Every method waits for one answer (:meth:`iter` for one a page), at most ``Timeout.total`` seconds with repetitions.
    Besides the errors that are named, each raises :class:`TransportError` when no answer comes,
    :class:`AuthenticationError` when the API key is wrong, and :class:`InvalidRequestError` when an argument is wrong,
    before anything is sent.

    Args:
        requestor: Makes the calls.
    """

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

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
        if problem:
            raise InvalidRequestError(problem)
        return await self._requestor.call(ENDPOINTS["events.record"], EventRecorded, body=content)

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
        optional = base.given(event_property=event_property, url=url, event_path=event_path, session=session)
        content = base.body(base.checked(_CREATE, {"event_text": event_text, **optional}))
        return await self._requestor.call(ENDPOINTS["events.create"], EventCreated, body=content)

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
        query = _query(event_text, start_date, end_date)
        return await self._page(limit, offset, query)

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
        size = base.page_size("page_size", page_size)
        query = _query(event_text, start_date, end_date)

        async def fetch(start: int) -> Sequence[Event]:
            return (await self._page(size, start, query)).events

        return base.pages(fetch, _event_id, size)

    async def get(self, event_id: int) -> EventDetails:
        """
        Get one event (docs/v2/get-event-details, 2026-08-22).

        Args:
            event_id: Its number.

        Raises:
            NotFoundError: There is no such event in this project.
        """
        return await self._requestor.call(ENDPOINTS["events.get"], EventDetails, path={"event_id": event_id})

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
        fields = {"event_text": event_text, "event_property": event_property, "url": url}
        content = base.changes(_UPDATE, {**fields, "event_path": event_path, "session": session, "status": status})
        path = {"event_id": event_id}
        return await self._requestor.call(ENDPOINTS["events.update"], EventUpdated, path=path, body=content)

    async def delete(self, event_id: int) -> EventDeleted:
        """
        Delete an event (docs/v2/delete-event, 2026-08-22). The server keeps it with status 2.

        Args:
            event_id: Its number.

        Raises:
            NotFoundError: There is no such event in this project, or a first attempt whose answer was lost has deleted
                it already.
        """
        return await self._requestor.call(ENDPOINTS["events.delete"], EventDeleted, path={"event_id": event_id})

    async def _page(self, limit: int, start: int, query: Mapping[str, object]) -> EventPage:
        place = {"limit": base.page_size("limit", limit), "offset": base.offset("offset", start)}
        return await self._requestor.call(ENDPOINTS["events.list"], EventPage, query={**place, **query})


def _event_id(event: Event) -> int:
    return event.event_id


def _query(event_text: str | None, start_date: Day | None, end_date: Day | None) -> Mapping[str, object]:
    return {
        "event_text": base.nullable(base.text)("event_text", event_text),
        "start_date": base.day("start_date", start_date),
        "end_date": base.day("end_date", end_date),
    }
