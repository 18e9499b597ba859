"""
The endpoints of reports.

The numbers are counted from what visitors did; see ``counting``. What is asked for is checked as the pages say, and has
the effect that the emulator can give it: see ``report_filters``. It knows nothing that a result could be split by, so
all visitors of a breakdown are in one part, ``unknown``.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from .assigning import own_weights, weights
from .counting import REVENUE, Tally, Visit, audience, ratio, visits
from .experiments_state import LABELS, ExperimentRow, ExperimentStore
from .report_query import (
    DAY,
    Question,
    active_goal,
    goal_by_key,
    goal_of,
    indexes_of,
    keys_of,
    question_of,
    with_events,
)
from .wire import Reply, bad, success, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .project import Call, GoalRow, Handler, Project

_BREAKDOWNS: Final = (
    *("device", "browser", "os", "country", "region", "city", "user_type", "ref_page", "landing_page"),
    *("utm_campaign", "utm_source", "utm_medium", "utm_content", "utm_term"),
)
_UNKNOWN: Final = "unknown"
_ECHOED: Final = ("filter_by", "custom_filter")
_GOAL_METRIC: Final = 2
_WHOLE: Final = 100
_PLACES: Final = 2


def _experiment(project: Project, call: Call) -> ExperimentRow:
    number = call.ids["test_id"]
    if not (number.isascii() and number.isdigit()):
        text = "test_id must be a number"
        raise bad(text)
    return project.store(ExperimentStore).named(number)


def _is_mab(row: ExperimentRow) -> bool:
    return row.configuration.get("is_mab") in (1, True)


def _split(row: ExperimentRow) -> dict[str, object]:
    custom = own_weights(row) is not None
    return {
        "traffic_allocation": row.traffic_allocation,
        "distribution_mode": "mab" if _is_mab(row) else "custom" if custom else "equal",
        "is_mab": _is_mab(row),
    }


def _arms(row: ExperimentRow) -> list[dict[str, object]]:
    """Return what reports say of each variant before anything is counted."""
    planned: list[float | None] = [*([None] * (len(row.variants) + 1))] if _is_mab(row) else [*weights(row)]
    return [
        {
            "variant_id": str(number),
            "name": row.nickname(number),
            "traffic_weight": weight,
            "variant_status": "paused" if weight == 0 else "active",
        }
        for number, weight in enumerate(planned)
    ]


def distribution(project: Project, call: Call) -> Reply:
    """Show how visitors are meant to be split (docs/v2/get-experiment-distribution)."""
    row = _experiment(project, call)
    return success(**_heading(row), status=LABELS[row.status], **_split(row), variants=_arms(row))


def _heading(row: ExperimentRow) -> dict[str, object]:
    return {"test_id": row.test_id, "test_name": row.test_name}


def result(project: Project, call: Call) -> Reply:
    """Show what each variant came to (docs/v2/get-experiment-result)."""
    row = _experiment(project, call)
    question = with_events(question_of(row, call.query), call.query)
    goal = goal_of(project, row, call.query)
    breakdown_by = call.query.get("breakdown_by")
    if breakdown_by is not None and breakdown_by not in _BREAKDOWNS:
        text = f"breakdown_by must be one of {', '.join(_BREAKDOWNS)}"
        raise bad(text)
    found = visits(project, audience(project, row, question.scope), goal, question.scope)
    fields = _totals(found, goal) | {"variants": _variants(row, found, goal)}
    if breakdown_by is not None:
        fields["breakdown_by"] = breakdown_by
        fields["breakdowns"] = _breakdowns(row, found, goal)
    goals = {"primary_goal": _primary(project, row), "selected_goal": _selected(row, goal, call)}
    return success(**_heading(row), **_state(row, question, call.today), **goals, **_split(row), **fields)


def _state(row: ExperimentRow, question: Question, today: float) -> dict[str, object]:
    # Only the dashboard concludes experiments, so the time of the last change is the best that is known of it.
    end = row.updated_at if row.is_completed else None
    age = (today if end is None else end) - row.created_at
    fields: dict[str, object] = {
        "status": LABELS[row.status],
        "status_code": row.status,
        "start_date": timestamp(row.created_at),
        "end_date": None if end is None else timestamp(end),
        "days_running": max(0, int(age // DAY)),
        "stats_engine": "bayesian" if row.configuration.get("bayesian", 1) in (1, True) else "frequentist",
        "confidence_threshold_percent": row.configuration.get("confidence_interval", 95),
        "is_serving": row.serving_variant is not None,
        "report_phase": question.phase,
    }
    return fields if row.serving_variant is None else {**fields, "serving_variant_id": str(row.serving_variant)}


def _has_revenue(goal: GoalRow | None) -> bool:
    return goal is not None and goal.goal_type == REVENUE


def _totals(found: Iterable[Visit], goal: GoalRow | None) -> dict[str, object]:
    tally = Tally.of(found)
    fields: dict[str, object] = {
        "total_visitors": tally.visitors,
        "total_conversions": tally.converted,
        "has_revenue": _has_revenue(goal),
    }
    if _has_revenue(goal):
        fields |= {"total_revenue": round(tally.revenue, _PLACES), "total_orders": tally.orders, **_per_head(tally)}
    return fields


def _per_head(tally: Tally) -> dict[str, object]:
    return {"rpv": tally.revenue_per_visitor, "aov": tally.average_order_value, "currency": tally.currency}


def _tallies(row: ExperimentRow, found: Sequence[Visit]) -> list[Tally]:
    numbers = range(len(row.variants) + 1)
    return [Tally.of(visit for visit in found if visit.variant == number) for number in numbers]


def _variants(row: ExperimentRow, found: Sequence[Visit], goal: GoalRow | None) -> list[dict[str, object]]:
    tallies = _tallies(row, found)
    return [
        {**arm, **_outcome(tally, goal), **_gain(tally, tallies[0], goal), "is_control": tally is tallies[0]}
        for arm, tally in zip(_arms(row), tallies, strict=True)
    ]


def _outcome(tally: Tally, goal: GoalRow | None) -> dict[str, object]:
    fields: dict[str, object] = {
        "visitors": tally.visitors,
        "conversions": tally.converted,
        "conversion_rate": tally.conversion_rate,
    }
    if _has_revenue(goal):
        fields |= {"revenue": round(tally.revenue, _PLACES), "orders": tally.orders, **_per_head(tally)}
    return fields


def _gain(tally: Tally, control: Tally, goal: GoalRow | None) -> dict[str, object]:
    """Compare a treatment with Control, where Control has something to compare with."""
    fields: dict[str, object] = {}
    if tally is control or not tally.visitors:
        return fields
    if control.converted:
        rates = tally.converted / tally.visitors, control.converted / control.visitors
        fields["improvement"] = ratio(_WHOLE * (rates[0] - rates[1]), rates[1])
    if _has_revenue(goal) and control.revenue > 0:
        revenues = tally.revenue / tally.visitors, control.revenue / control.visitors
        fields["revenue_per_visitor_improvement"] = ratio(_WHOLE * (revenues[0] - revenues[1]), revenues[1])
    return fields


def _breakdowns(row: ExperimentRow, found: Sequence[Visit], goal: GoalRow | None) -> list[dict[str, object]]:
    if not found:
        return []
    totals = {name: value for name, value in _totals(found, goal).items() if name != "has_revenue"}
    rate = Tally.of(found).conversion_rate
    return [{"criteria": _UNKNOWN, **totals, "conversion_rate": rate, "variants": _variants(row, found, goal)}]


def _brief(goal: GoalRow) -> dict[str, object]:
    return {"goal_name": goal.goal_name, "goal_type": goal.goal_type, "goal_value": goal.goal_value}


def _primary(project: Project, row: ExperimentRow) -> dict[str, object] | None:
    goal = active_goal(project, row.primary_goal)
    return None if goal is None else _brief(goal)


def _selected(row: ExperimentRow, goal: GoalRow | None, call: Call) -> dict[str, object] | None:
    """Describe the goal that was counted; ``goal_source`` is documented for the project's own only."""
    if goal is None:
        return None
    is_primary = goal.goal_profile_id == row.primary_goal
    by_default = not is_primary and not {"goal_key", "goal_profile_id"} & call.query.keys()
    return {
        "goal_profile_id": goal.goal_profile_id,
        "goal_key": goal.goal_key,
        **_brief(goal),
        "is_primary": is_primary,
        **({"goal_source": "global_default"} if by_default else {}),
    }


def timeseries(project: Project, call: Call) -> Reply:
    """Show what each variant came to on each day on which visitors came (docs/v2/get-experiment-timeseries)."""
    row = _experiment(project, call)
    question = with_events(question_of(row, call.query), call.query)
    goal = goal_of(project, row, call.query)
    days: dict[float, list[Visit]] = {}
    for visit in visits(project, audience(project, row, question.scope), goal, question.scope):
        days.setdefault((visit.since + question.offset) // DAY * DAY, []).append(visit)
    rows = [
        _daily(number, day, tally, goal)
        for day in sorted(days)
        for number, tally in enumerate(_tallies(row, days[day]))
    ]
    goals = {"goal": _selected(row, goal, call), "primary_goal": _primary(project, row)}
    return success(**_heading(row), **goals, **_dates(row, question, call), count=len(rows), timeseries=rows)


def _daily(number: int, day: float, tally: Tally, goal: GoalRow | None) -> dict[str, object]:
    fields: dict[str, object] = {
        "variant_id": str(number),
        "converted": tally.converted,
        "conversion": tally.conversion_rate,
        "visitors": tally.visitors,
        "created_at": timestamp(day),
        "updated_at": timestamp(day),
    }
    if _has_revenue(goal):
        fields |= {
            "revenue": round(tally.revenue, _PLACES),
            "quantity": tally.quantity,
            "no_of_order": tally.orders,
            "currency": tally.currency,
            "sum_sq_revenue": tally.sum_sq_revenue,
            "sum_sq_orders": tally.sum_sq_orders,
            "sum_revenue_orders_cross": tally.sum_revenue_orders_cross,
        }
    return fields


def _dates(row: ExperimentRow, question: Question, call: Call) -> dict[str, object]:
    """Repeat the days that were asked for, and say the one that was put in for what was not."""
    fields: dict[str, object] = {
        f"query_{name}": call.query[name] for name in ("start_date", "end_date") if name in call.query
    }
    if question.start is not None and question.end is None:
        fields["effective_end_date"] = timestamp(call.today + question.offset)[:10]
    if question.end is not None and question.start is None:
        fields["effective_start_date"] = timestamp(row.created_at + question.offset)[:10]
    return fields


def metrics(project: Project, call: Call) -> Reply:
    """Show how many visitors reached each further goal (docs/v2/get-experiment-metrics)."""
    row = _experiment(project, call)
    question = question_of(row, call.query)
    if "breakdown_by" in call.query:
        text = "metrics cannot be broken down: breakdown_by is not supported"
        raise bad(text)
    batch = indexes_of(call.query)
    goals, warnings = _metric_goals(project, row, call)
    those = audience(project, row, question.scope)
    rows: list[dict[str, object]] = [
        {"variant_id": str(number), "total": tally.visitors}
        for number, tally in enumerate(_tallies(row, visits(project, those, None, question.scope)))
    ]
    for index, goal in enumerate(goals):
        if batch is None or index in batch:
            found = _tallies(row, visits(project, those, goal, question.scope))
            for fields, tally in zip(rows, found, strict=True):
                fields[f"result_{index + 1}"] = tally.converted
    more: dict[str, object] = {name: call.query[name] for name in _ECHOED if name in call.query}
    if warnings:
        more["warnings"] = warnings
    definitions = [_definition(goal) for goal in goals]
    return success(
        **_heading(row),
        count=len(rows),
        metric_count=len(goals),
        metric_definitions=definitions,
        metrics=rows,
        **more,
    )


def _metric_goals(project: Project, row: ExperimentRow, call: Call) -> tuple[list[GoalRow], list[str]]:
    """Return the goals to count, and what is wrong with those that are asked for; the experiment's own if none is."""
    given = [keys for name in ("metric_keys", "goal_keys") if (keys := keys_of(call.query, name)) is not None]
    if not given:
        return [goal for number in row.secondary_goals if (goal := active_goal(project, number))], []
    found = {key: _metric_goal(project, key) for keys in given for key in keys}
    warnings = [f"{key} is no metric of this project" for key, goal in found.items() if goal is None]
    return [goal for goal in found.values() if goal is not None], warnings


def _metric_goal(project: Project, key: str) -> GoalRow | None:
    """Return a goal by its key, or by the name that the dashboard has for it as a metric."""
    return goal_by_key(project, key) or goal_by_key(project, key.removeprefix("goal_"))


def _definition(goal: GoalRow) -> dict[str, object]:
    return {
        "metric_key": goal.goal_key,
        "metric_text": f"goal_{goal.goal_key}",
        "name": goal.goal_name,
        "type": _GOAL_METRIC,
        "goal": {"goal_key": goal.goal_key, **_brief(goal)},
    }


HANDLERS: Final[Mapping[str, Handler]] = MappingProxyType(
    {
        "experiments.distribution": distribution,
        "experiments.result": result,
        "experiments.timeseries": timeseries,
        "experiments.metrics": metrics,
    }
)
