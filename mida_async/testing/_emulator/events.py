"""The five endpoints of events."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from .project import ACTIVE, CUSTOM_EVENT, DELETED, Call, EventRow, Project, page
from .records import RecordedEvent
from .wire import (
    Reply,
    bad,
    day_of,
    filled_text,
    json_object,
    missing,
    object_text_or_none,
    one_of,
    page_of,
    success,
    text_or_none,
    timestamp,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DAY: Final = 86400.0
_IDENTIFIERS: Final = ("mida_uuid", "email", "id")
_INTERNAL: Final = ("!", "goal_")
_RECORDED: Final = success(message="Event recorded successfully")


def post_event(project: Project, call: Call) -> Reply:
    """Record an event or, in the body that was documented until 2026-03-13, define one (docs/v2/create-event)."""
    body = json_object(call.body)
    if "event_text" in body and "event_name" not in body:
        return _define(project, call, body)
    return _record(project, call, body)


def _record(project: Project, call: Call, body: Mapping[str, Any]) -> Reply:
    name = filled_text(body, "event_name")
    identifiers = _identifiers(body)
    properties = object_text_or_none(body, "properties")
    visitor = _visitor(project, identifiers)
    row = EventRow(
        event_id=project.next_id(),
        visitor_id=visitor,
        event_text=name,
        event_property=properties,
        created_at=call.today,
    )
    project.events.add(row.event_id, row)
    project.on_recorded(_recorded(project, row, identifiers, visitor, call.now))
    return _RECORDED


def _recorded(
    project: Project, row: EventRow, identifiers: tuple[str | None, str | None, str | None], visitor: int, now: float
) -> RecordedEvent:
    mida_uuid, email, id_ = identifiers
    return RecordedEvent(
        event_name=row.event_text,
        mida_uuid=mida_uuid,
        email=email,
        id=id_,
        properties_json=row.event_property,
        received_at=now,
        event_id=row.event_id,
        visitor_id=visitor,
        project_key=project.key,
    )


def _identifiers(body: Mapping[str, Any]) -> tuple[str | None, str | None, str | None]:
    values = [None if body.get(name) is None else filled_text(body, name) for name in _IDENTIFIERS]
    mida_uuid, email, id_ = values
    if mida_uuid is None and email is None and id_ is None:
        text = f"One of {', '.join(_IDENTIFIERS)} is required"
        raise bad(text)
    return mida_uuid, email, id_


def _visitor(project: Project, identifiers: tuple[str | None, str | None, str | None]) -> int:
    # Which identifier counts when they name different visitors is not documented; here one that is known is enough.
    if project.auto_visitors:
        return project.visitors.add(*identifiers)
    visitor = project.visitors.find(*identifiers)
    if visitor is None:
        text = "Visitor not found"
        raise bad(text)
    return visitor


def _define(project: Project, call: Call, body: Mapping[str, Any]) -> Reply:
    row = EventRow(
        event_id=project.next_id(),
        visitor_id=None,
        event_text=filled_text(body, "event_text"),
        event_property=_property(body),
        created_at=call.today,
        url=text_or_none(body, "url"),
        event_path=text_or_none(body, "event_path"),
        session=text_or_none(body, "session"),
    )
    project.events.add(row.event_id, row)
    return success(
        event_id=row.event_id,
        event_text=row.event_text,
        script=_script(row.event_text),
        company_id=project.company_id,
    )


def _property(body: Mapping[str, Any]) -> str | None:
    value = body.get("event_property")
    return value if isinstance(value, str) else object_text_or_none(body, "event_property", "an object or a string")


def _script(name: str) -> str:
    call = json.dumps(["track", name]).replace("</", "<\\/")
    return f'<script type="text/javascript">\n  window.mdq = window.mdq || [];\n  window.mdq.push({call});\n</script>'


def list_events(project: Project, call: Call) -> Reply:
    """List rows, the oldest first (docs/v2/list-events; the order is not documented)."""
    limit, offset = page_of(call.query)
    rows = page(_listed(project, call.query), limit, offset)
    return success(company_id=project.company_id, count=len(rows), events=[_brief(row) for row in rows])


def _listed(project: Project, query: Mapping[str, str]) -> Iterator[EventRow]:
    start, end, name = day_of(query, "start_date"), day_of(query, "end_date"), query.get("event_text")
    after = float("-inf") if start is None else start
    before = float("inf") if end is None else end + _DAY
    return (
        row
        for row in project.events.values()
        if _is_public(row, definitions=project.list_definitions)
        and (name is None or row.event_text == name)
        and after <= row.created_at < before
    )


def _is_public(row: EventRow, *, definitions: bool) -> bool:
    return (
        row.event_type == CUSTOM_EVENT
        and row.status == ACTIVE
        and row.visitor_id != 0
        and (definitions or row.visitor_id is not None)
        and not row.event_text.startswith(_INTERNAL)
    )


def _brief(row: EventRow) -> dict[str, object]:
    return {
        "event_id": row.event_id,
        "event_text": row.event_text,
        "event_property": row.event_property,
        "created_at": timestamp(row.created_at),
    }


def get_event(project: Project, call: Call) -> Reply:
    """Show one row, a deleted one too: its status says so (docs/v2/get-event-details)."""
    row = project.events.named(call.ids["event_id"], "Event")
    more = {"event_type": row.event_type, "url": row.url, "event_path": row.event_path, "status": row.status}
    return success(event={**_brief(row), **more})


def update_event(project: Project, call: Call) -> Reply:
    """Change what the body names; all of it or, when a part is wrong, nothing (docs/v2/update-event)."""
    row = project.events.named(call.ids["event_id"], "Event")
    body = json_object(call.body)
    changes: dict[str, Any] = {
        name: text_or_none(body, name) for name in ("url", "event_path", "session") if name in body
    }
    if "event_text" in body:
        changes["event_text"] = filled_text(body, "event_text")
    if "event_property" in body:
        changes["event_property"] = _property(body)
    if "status" in body:
        changes["status"] = one_of(body, "status", (ACTIVE, DELETED))
    for name, value in changes.items():
        setattr(row, name, value)
    return success(event_id=row.event_id)


def delete_event(project: Project, call: Call) -> Reply:
    """Mark one row as deleted (docs/v2/delete-event)."""
    row = project.events.named(call.ids["event_id"], "Event")
    if row.status == DELETED:
        what = "Event"
        raise missing(what)
    row.status = DELETED
    return success(event_id=row.event_id, deleted=True)


HANDLERS: Final = MappingProxyType(
    {
        "events.record": post_event,
        "events.create": post_event,
        "events.list": list_events,
        "events.get": get_event,
        "events.update": update_event,
        "events.delete": delete_event,
    }
)
