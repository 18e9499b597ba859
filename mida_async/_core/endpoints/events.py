"""The endpoints of events."""

from __future__ import annotations

from typing import Final

from ...models.events import EventCreated, EventDeleted, EventDetails, EventPage, EventRecorded, EventUpdated
from ..arguments import ANY_TEXT, DAY, OBJECT, OBJECT_OR_TEXT, STATUS, TEXT, Field, number_in_path, paging
from .base import Repeat, by_name, dates_in_order, row

_EVENT_ID: Final = number_in_path("event_id", "The event's number.")

# docs/v2/update-event, 2026-08-22, does not say what may be null. An event that was recorded has no address, no session
# and perhaps no data, so those may be; it always has a name and a status.
_DATA: Final = (
    Field(name="event_property", kind=OBJECT_OR_TEXT, place="body", help="Its data.", nullable=True),
    Field(name="url", kind=ANY_TEXT, place="body", help="The page that it belongs to.", nullable=True),
    Field(name="event_path", kind=ANY_TEXT, place="body", help="That page's path.", nullable=True),
    Field(name="session", kind=ANY_TEXT, place="body", help="The session that it belongs to.", nullable=True),
)

ROWS: Final = by_name(
    # POST /event has no idempotency key.
    row(
        "events.record",
        "POST P/event",
        "create-event",
        "Record one event of a visitor whom the project knows.",
        answer=EventRecorded,
        repeat=Repeat.UNSAFE,
        errors=(400,),
        body_matters=False,
        fields=(
            Field(name="event_name", kind=TEXT, place="body", help="What was done.", required=True),
            Field(name="mida_uuid", kind=TEXT, place="body", help="The visitor's id in the browser."),
            Field(name="email", kind=TEXT, place="body", help="An address that the visitor was identified by."),
            Field(name="id", kind=TEXT, place="body", help="Your own id that the visitor was identified by."),
            Field(name="properties", kind=OBJECT, place="body", help="Anything that JSON can hold, by name."),
        ),
    ),
    row(
        "events.create",
        "POST P/event",
        "create-event",
        "Define an event, as the page had it until 2026-03-13.",
        answer=EventCreated,
        repeat=Repeat.UNSAFE,
        errors=(400,),
        fields=(Field(name="event_text", kind=TEXT, place="body", help="Its name.", required=True), *_DATA),
    ),
    row(
        "events.list",
        "GET P/events",
        "list-events",
        "List recorded events.",
        answer=EventPage,
        rows="events",
        errors=(400,),
        fields=(
            *paging(),
            Field(name="event_text", kind=TEXT, place="query", help="Only events of exactly this name."),
            Field(name="start_date", kind=DAY, place="query", help="Only events of this day and later."),
            Field(name="end_date", kind=DAY, place="query", help="Only events of this day and earlier."),
        ),
        together=dates_in_order,
    ),
    row(
        "events.get",
        "GET P/event/{event_id}",
        "get-event-details",
        "Get one event.",
        answer=EventDetails,
        key="event",
        errors=(404,),
        fields=(_EVENT_ID,),
    ),
    row(
        "events.update",
        "PATCH P/event/{event_id}",
        "update-event",
        "Change one event.",
        answer=EventUpdated,
        partial=True,
        errors=(400, 404),
        fields=(
            _EVENT_ID,
            Field(name="event_text", kind=TEXT, place="body", help="Its name."),
            *_DATA,
            Field(name="status", kind=STATUS, place="body", help="1 active, 2 deleted."),
        ),
    ),
    row(
        "events.delete",
        "DELETE P/event/{event_id}",
        "delete-event",
        "Delete one event.",
        answer=EventDeleted,
        errors=(404,),
        fields=(_EVENT_ID,),
    ),
)
