"""
The endpoints of serving a winner.

Where the pages are silent: an inactive experiment may serve, because only drafts are named as what may not, and is seen
once it is live again; the percentage of visitors stays what it was when serving ends; and of ``variant_id`` and its
alias the first one counts.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, cast

from .experiments_state import DRAFT, ExperimentRow, ExperimentStore
from .wire import Refusal, Reply, bad, json_object, missing, success

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .project import Call, Handler, Project

_PERCENT: Final = "traffic_allocation"
_WHOLE: Final = 100


def experiment_of(project: Project, call: Call) -> ExperimentRow:
    """
    Return the experiment that a path names.

    Raises:
        Refusal: There is none, or it was deleted.
    """
    what = "Experiment"
    row = project.store(ExperimentStore).rows.named(call.ids["test_id"], what)
    if row.deleted:
        raise missing(what)
    return row


def _conflict(text: str) -> Refusal:
    return Refusal(409, text)


def _variant(row: ExperimentRow, body: Mapping[str, Any]) -> int:
    """Return the number of the variant that a body names, by the text that reports have for it."""
    given = cast("object", body.get("variant_id"))
    if given is None:
        given = cast("object", body.get("serving_variant_id"))
    if given is None:
        text = "variant_id is required"
        raise bad(text)
    if not isinstance(given, str):
        text = 'variant_id must be a string, as in the results of the experiment: "0" is Control'
        raise bad(text)
    known = {str(number): number for number in range(len(row.variants) + 1)}
    if given not in known:
        text = f"variant_id must be one of {', '.join(known)}: this experiment has no other variant"
        raise bad(text)
    return known[given]


def _share(body: Mapping[str, Any]) -> float | None:
    """Return the percentage that a body has, if it has one."""
    given = cast("object", body.get(_PERCENT))
    if given is None:
        return None
    if not isinstance(given, (int, float)) or isinstance(given, bool) or not 0 <= given <= _WHOLE:
        text = f"{_PERCENT} must be a number from 0 to {_WHOLE}"
        raise bad(text)
    return given


def _roll_out(row: ExperimentRow, share: float, now: float) -> None:
    row.configuration[_PERCENT] = share
    row.updated_at = now


def _served_by(row: ExperimentRow) -> int:
    """Return the number of the variant that is served."""
    if row.serving_variant is None:
        text = "This experiment is not serving a variant"
        raise _conflict(text)
    return row.serving_variant


def serve_winner(project: Project, call: Call) -> Reply:
    """Serve one variant to all visitors who take part (docs/v2/serve-experiment-winner)."""
    row = experiment_of(project, call)
    body = json_object(call.body)
    number, share = _variant(row, body), _share(body)
    if row.status == DRAFT:
        text = "A draft cannot serve a variant; launch the experiment first"
        raise _conflict(text)
    if row.serving_variant is not None:
        text = f"This experiment is already serving variant {row.serving_variant}; stop that first"
        raise _conflict(text)
    _roll_out(row, row.traffic_allocation if share is None else share, call.today)
    row.serve(number, call.today)
    return success(
        test_id=row.test_id,
        serving_variant_id=str(number),
        traffic_allocation=row.traffic_allocation,
        is_serving=True,
        message=f"{row.variant_name(number)} is now served to {row.traffic_allocation}% of visitors",
    )


def set_rollout(project: Project, call: Call) -> Reply:
    """Serve the winner to more or fewer visitors (docs/v2/update-serving-rollout)."""
    row = experiment_of(project, call)
    share = _share(json_object(call.body))
    if share is None:
        text = f"{_PERCENT} is required"
        raise bad(text)
    name = row.variant_name(_served_by(row))
    _roll_out(row, share, call.today)
    return success(
        test_id=row.test_id,
        traffic_allocation=share,
        is_serving=True,
        message=f"{name} is now served to {share}% of visitors",
    )


def stop_serving(project: Project, call: Call) -> Reply:
    """Stop to serve the winner (docs/v2/stop-experiment-serving). It takes no body or an empty object."""
    row = experiment_of(project, call)
    if call.body:
        json_object(call.body)
    name = row.variant_name(_served_by(row))
    row.stop_serving()
    row.updated_at = call.today
    return success(
        test_id=row.test_id, serving_variant_id=None, is_serving=False, message=f"{name} is no longer served"
    )


HANDLERS: Final[Mapping[str, Handler]] = MappingProxyType(
    {
        "experiments.serve_winner": serve_winner,
        "experiments.set_rollout": set_rollout,
        "experiments.stop_serving": stop_serving,
    }
)
