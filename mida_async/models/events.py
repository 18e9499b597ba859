"""What the events endpoints answer with."""

from __future__ import annotations

import datetime as dt
from typing import Any

import attrs

from .base import TEXT_OF, Model, Reply


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Event(Model):
    """
    One row of a list of events (docs/v2/list-events, 2026-08-22).

    Attributes:
        event_id: The event's number.
        event_text: Its name.
        event_property: Its data, decoded; the text itself where that is not JSON.
        event_property_text: Its data as the vendor keeps them: JSON text, or None.
        created_at: When the server took it.
    """

    event_id: int
    event_text: str | None = None
    event_property: Any = attrs.field(default=None, hash=False)
    event_property_text: str | None = attrs.field(default=None, metadata={TEXT_OF: "event_property"})
    created_at: dt.datetime | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class EventDetails(Event):
    """
    One event (docs/v2/get-event-details, 2026-08-22).

    Attributes:
        event_type: 2 for an event of your own.
        url: The page that it belongs to.
        event_path: That page's path.
        status: 1 active, 2 deleted.
    """

    event_type: int | None = None
    url: str | None = None
    event_path: str | None = None
    status: int | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class EventPage(Reply):
    """
    One page of a list of events (docs/v2/list-events, 2026-08-22).

    Attributes:
        company_id: The number of the account.
        count: How many events this page holds, not how many there are.
        events: The events.
    """

    company_id: int | None = None
    count: int | None = None
    events: tuple[Event, ...] = ()


@attrs.frozen(kw_only=True, eq=False, repr=False)
class EventRecorded(Reply):
    """
    The answer to a recorded event (docs/v2/create-event, 2026-08-22). It brings no id.

    Attributes:
        message: What the server said; None where its answer was lost or unreadable after it had accepted the event.
    """

    message: str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class EventCreated(Reply):
    """
    The answer to a defined event (docs/v2/create-event, as it was until 2026-03-13).

    Attributes:
        event_id: The event's number.
        event_text: Its name.
        script: HTML that triggers it on a page.
        company_id: The number of the account.
    """

    event_id: int
    event_text: str | None = None
    script: str | None = None
    company_id: int | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class EventUpdated(Reply):
    """
    The answer to a change (docs/v2/update-event, 2026-08-22).

    Attributes:
        event_id: The event's number.
    """

    event_id: int | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class EventDeleted(Reply):
    """
    The answer to a deletion (docs/v2/delete-event, 2026-08-22).

    Attributes:
        event_id: The event's number.
        deleted: True.
    """

    event_id: int | None = None
    deleted: bool | None = None
