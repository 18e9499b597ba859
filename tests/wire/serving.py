"""Samples of the calls of serving."""

from __future__ import annotations

from mida_async.models import ServingStarted, ServingStopped, ServingUpdated
from mida_async.models.reports import VariantResult
from wire.base import Sample

_STARTED = {
    "success": True,
    "test_id": 2002,
    "serving_variant_id": "1",
    "traffic_allocation": 100,
    "is_serving": True,
    "message": "Variant 1 is now being served",
}

SAMPLES = (
    Sample(
        endpoint="experiments.serve_winner",
        call=lambda mida: mida.experiments.serve_winner(2002, "1", traffic_allocation=100),
        sent="POST P/experiment/2002/serve-winner",
        body={"variant_id": "1", "traffic_allocation": 100},
        answer=_STARTED,
        result=ServingStarted(
            success=True,
            test_id=2002,
            serving_variant_id="1",
            traffic_allocation=100,
            is_serving=True,
            message="Variant 1 is now being served",
        ),
    ),
    # The percentage stays as it is; the variant is one of a result.
    Sample(
        endpoint="experiments.serve_winner",
        call=lambda mida: mida.experiments.serve_winner(2002, VariantResult(variant_id="0", name="Control")),
        sent="POST P/experiment/2002/serve-winner",
        body={"variant_id": "0"},
        answer={**_STARTED, "serving_variant_id": "0", "traffic_allocation": 0.25, "message": None},
        result=ServingStarted(
            success=True, test_id=2002, serving_variant_id="0", traffic_allocation=0.25, is_serving=True
        ),
    ),
    Sample(
        endpoint="experiments.set_rollout",
        call=lambda mida: mida.experiments.set_rollout(2002, 25),
        sent="PATCH P/experiment/2002/serving-rollout",
        body={"traffic_allocation": 25},
        answer={
            "success": True,
            "test_id": 2002,
            "traffic_allocation": 25,
            "is_serving": True,
            "message": "Rollout updated",
        },
        result=ServingUpdated(
            success=True, test_id=2002, traffic_allocation=25, is_serving=True, message="Rollout updated"
        ),
    ),
    Sample(
        endpoint="experiments.stop_serving",
        call=lambda mida: mida.experiments.stop_serving(2002),
        sent="POST P/experiment/2002/stop-serving",
        answer={
            "success": True,
            "test_id": 2002,
            "serving_variant_id": None,
            "is_serving": False,
            "message": "Serving stopped",
        },
        result=ServingStopped(
            success=True, test_id=2002, serving_variant_id=None, is_serving=False, message="Serving stopped"
        ),
    ),
)
