"""The endpoints of serving."""

from __future__ import annotations

import re
from typing import Final

from ...models.reports import ReportVariant
from ...models.serving import ServingStarted, ServingStopped, ServingUpdated
from ..arguments import Field, Kind, number_in_path, numbers
from ..checks import exact_text, refuse
from .base import by_name, row

_ID: Final = re.compile(r"0|[1-9][0-9]*")


def _report_variant_id(field: str, value: object) -> str:
    """
    Return the id that reports give to a variant.

    Numbers are refused because they come from an experiment's details, where Control is 1: the same digits would serve
    another variant there (docs/v2/get-experiment-details and serve-experiment-winner, 2026-08-22).
    """
    found = value.variant_id if isinstance(value, ReportVariant) else value
    if not isinstance(found, str) or not _ID.fullmatch(found):
        allowed = (
            "the variant_id of a report, which is a string of digits ('0' is Control, '1' the first treatment), or a "
            "variant of a report; the numbers in an experiment's details begin with 1 for Control, so one of those "
            "would serve another variant"
        )
        raise refuse(field, value, allowed)
    return exact_text(found)


_TEST_ID: Final = number_in_path("test_id", "The experiment's number.")
_VARIANT: Final = Field(
    name="variant_id",
    kind=Kind(name="text", check=_report_variant_id, schema={"type": "string", "pattern": f"^({_ID.pattern})$"}),
    place="body",
    help="The variant, as reports number them: 0 is Control, 1 the first treatment.",
    required=True,
)
_PERCENT: Final = numbers(0, 100)

ROWS: Final = by_name(
    # Sent again after its answer was lost, it changes nothing: the server refuses with 409 to serve what is served
    # already. Otherwise nobody would know whether visitors see the winner.
    row(
        "experiments.serve_winner",
        "POST P/experiment/{test_id}/serve-winner",
        "serve-experiment-winner",
        "Serve one variant to all visitors who take part; this changes what they see.",
        answer=ServingStarted,
        errors=(400, 404, 409),
        fields=(
            _TEST_ID,
            _VARIANT,
            Field(
                name="traffic_allocation",
                kind=_PERCENT,
                place="body",
                help="The percentage of visitors who take part, 0 to 100; as it is otherwise.",
            ),
        ),
    ),
    row(
        "experiments.set_rollout",
        "PATCH P/experiment/{test_id}/serving-rollout",
        "update-serving-rollout",
        "Serve the winner to more or fewer visitors.",
        answer=ServingUpdated,
        errors=(400, 404, 409),
        fields=(
            _TEST_ID,
            Field(
                name="traffic_allocation",
                kind=_PERCENT,
                place="body",
                help="The percentage of visitors who take part, 0 to 100.",
                required=True,
            ),
        ),
    ),
    # The same as for serve_winner: the second try finds that nothing is served any more.
    row(
        "experiments.stop_serving",
        "POST P/experiment/{test_id}/stop-serving",
        "stop-experiment-serving",
        "Stop to serve the winner.",
        answer=ServingStopped,
        errors=(400, 404, 409),
        fields=(_TEST_ID,),
    ),
)
