"""Samples of the calls of visitors."""

from __future__ import annotations

from resource_calls import PROJECT_KEY

from mida_async.models import AttributesSet, VisitorEventRecorded
from wire.base import Sample

SAMPLES = (
    Sample(
        endpoint="visitors.get_variant",
        call=lambda mida: mida.visitors.get_variant("new-checkout", "user_1"),
        sent="POST /experiment/query",
        body={"key": PROJECT_KEY, "experiment_key": "new-checkout", "distinct_id": "user_1"},
        answer={"version": "Variant 1"},
        result="Variant 1",
    ),
    Sample(
        endpoint="visitors.record_event",
        call=lambda mida: mida.visitors.record_event(
            "Purchase", "user_1", properties={"revenue": 10, "currency": "USD"}
        ),
        sent="POST /experiment/event",
        body={
            "key": PROJECT_KEY,
            "name": "Purchase",
            "distinct_id": "user_1",
            "properties": '{"revenue":10,"currency":"USD"}',
        },
        answer={"success": True},
        result=VisitorEventRecorded(success=True),
    ),
    Sample(
        endpoint="visitors.feature_flags",
        call=lambda mida: mida.visitors.feature_flags("user_1"),
        sent="POST /feature-flag",
        body={"key": PROJECT_KEY, "user_id": "user_1"},
        answer=["new-menu", "dark-mode"],
        result=("new-menu", "dark-mode"),
    ),
    Sample(
        endpoint="visitors.feature_flags",
        call=lambda mida: mida.visitors.feature_flags(),
        sent="POST /feature-flag",
        body={"key": PROJECT_KEY, "user_id": None},
        answer=[],
        result=(),
    ),
    Sample(
        endpoint="visitors.set_attributes",
        call=lambda mida: mida.visitors.set_attributes("user_1", {"plan": "pro", "seats": 3, "id": "another"}),
        sent=f"POST /track/{PROJECT_KEY}",
        body={"plan": "pro", "seats": 3, "id": "user_1"},
        answer={"id": "85a35aca4df9"},
        result=AttributesSet(id="85a35aca4df9"),
    ),
)
