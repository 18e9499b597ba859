"""Samples of the calls of events."""

from __future__ import annotations

import datetime as dt

from mida_async.models import (
    Event,
    EventCreated,
    EventDeleted,
    EventDetails,
    EventPage,
    EventRecorded,
    EventUpdated,
)
from wire.base import Sample

_MOMENT = dt.datetime(2024, 1, 15, 10, 30, tzinfo=dt.UTC)
_ROW = {
    "event_id": 9876,
    "event_text": "Pricing CTA Clicked",
    "event_property": '{"button_id":"hero-cta"}',
    "created_at": "2024-01-15T10:30:00.000Z",
}
_SNIPPET = '<script type="text/javascript">\n  window.mdq = window.mdq || [];\n</script>'

SAMPLES = (
    Sample(
        endpoint="events.record",
        call=lambda mida: mida.events.record(
            "purchase_completed", mida_uuid="85a35aca4df9", properties={"amount": 10, "currency": "USD"}
        ),
        sent="POST P/event",
        body={
            "event_name": "purchase_completed",
            "mida_uuid": "85a35aca4df9",
            "properties": {"amount": 10, "currency": "USD"},
        },
        answer={"success": True, "message": "Event recorded successfully"},
        result=EventRecorded(success=True, message="Event recorded successfully"),
    ),
    Sample(
        endpoint="events.create",
        call=lambda mida: mida.events.create(
            "Pricing CTA Clicked", event_property={"button_id": "hero-cta"}, url="https://example.com/pricing"
        ),
        sent="POST P/event",
        body={
            "event_text": "Pricing CTA Clicked",
            "event_property": {"button_id": "hero-cta"},
            "url": "https://example.com/pricing",
        },
        answer={
            "success": True,
            "event_id": 9876,
            "event_text": "Pricing CTA Clicked",
            "script": _SNIPPET,
            "company_id": 1001,
        },
        result=EventCreated(
            success=True, event_id=9876, event_text="Pricing CTA Clicked", script=_SNIPPET, company_id=1001
        ),
    ),
    Sample(
        endpoint="events.list",
        call=lambda mida: mida.events.list(start_date=dt.date(2024, 1, 1), end_date="2024-01-31"),
        sent="GET P/events?limit=50&offset=0&start_date=2024-01-01&end_date=2024-01-31",
        answer={
            "success": True,
            "company_id": 1001,
            "count": 2,
            "events": [_ROW, {**_ROW, "event_id": 9877, "event_property": None}],
        },
        result=EventPage(
            success=True,
            company_id=1001,
            count=2,
            events=(
                Event(
                    event_id=9876,
                    event_text="Pricing CTA Clicked",
                    event_property={"button_id": "hero-cta"},
                    event_property_text='{"button_id":"hero-cta"}',
                    created_at=_MOMENT,
                ),
                Event(event_id=9877, event_text="Pricing CTA Clicked", created_at=_MOMENT),
            ),
        ),
    ),
    Sample(
        endpoint="events.get",
        call=lambda mida: mida.events.get(9876),
        sent="GET P/event/9876",
        answer={
            "success": True,
            "event": {
                **_ROW,
                "event_type": 2,
                "url": "https://example.com/pricing",
                "event_path": "/pricing",
                "status": 1,
            },
        },
        result=EventDetails(
            event_id=9876,
            event_text="Pricing CTA Clicked",
            event_property={"button_id": "hero-cta"},
            event_property_text='{"button_id":"hero-cta"}',
            created_at=_MOMENT,
            event_type=2,
            url="https://example.com/pricing",
            event_path="/pricing",
            status=1,
        ),
    ),
    Sample(
        endpoint="events.update",
        call=lambda mida: mida.events.update(9876, event_text="Renamed", event_property={"a": [1]}, session=None),
        sent="PATCH P/event/9876",
        body={"event_text": "Renamed", "event_property": {"a": [1]}, "session": None},
        answer={"success": True, "event_id": 9876},
        result=EventUpdated(success=True, event_id=9876),
    ),
    Sample(
        endpoint="events.delete",
        call=lambda mida: mida.events.delete(9876),
        sent="DELETE P/event/9876",
        answer={"success": True, "event_id": 9876, "deleted": True},
        result=EventDeleted(success=True, event_id=9876, deleted=True),
    ),
)
