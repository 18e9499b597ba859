"""What the query of a report asks for."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from .configuration import default_goal
from .counting import Scope
from .project import ACTIVE, GoalRow, Project
from .report_filters import check_tokens, event_conditions, visitor_conditions
from .values import text_of
from .wire import bad, day_of, one_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .experiments_state import ExperimentRow

DAY: Final = 86400.0
_HOUR: Final = 3600.0
_POST_DEPLOY: Final = "post_deploy"
_PHASES: Final = ("pre_deploy", _POST_DEPLOY, "all_time")
_OFFSET: Final = re.compile(r"[+-]?[0-9]{1,2}(\.[0-9]{1,2})?")
_LARGEST_OFFSET: Final = 14
_NUMBER: Final = re.compile(r"[0-9]{1,100}(\.[0-9]{1,6})?")
_MANY: Final = 10**9


@attrs.frozen(kw_only=True)
class Question:
    """
    What a report is asked.

    Attributes:
        phase: Which part of the experiment's life, as the answer repeats it.
        offset: How many seconds the time zone is ahead of UTC.
        start: When the first day begins, in UTC; None where it is not given.
        end: When the last day begins, in UTC; None where it is not given.
        scope: What counts.
    """

    phase: str
    offset: float
    start: float | None
    end: float | None
    scope: Scope


def question_of(row: ExperimentRow, query: Mapping[str, str]) -> Question:
    """
    Read what all three reports take.

    Args:
        row: The experiment.
        query: The query.

    Raises:
        Refusal: A part of it is malformed.
    """
    if "filters" in query:
        text = "filters is not supported; use filter_by or custom_filter"
        raise bad(text)
    start, end, offset = day_of(query, "start_date"), day_of(query, "end_date"), _offset(query)
    if start is not None and end is not None and end < start:
        text = "end_date must not be before start_date"
        raise bad(text)
    check_tokens(query)
    phase = _phase(row, query)
    since = -math.inf if start is None else start - offset
    until = math.inf if end is None else end + DAY - offset
    first, last = _phase_bounds(row, phase)
    scope = Scope(
        since=max(since, first),
        until=min(until, last),
        visitors=visitor_conditions(query),
        served=phase == _POST_DEPLOY,
    )
    return Question(phase=phase, offset=offset, start=start, end=end, scope=scope)


def with_events(question: Question, query: Mapping[str, str]) -> Question:
    """
    Add what result and timeseries take besides: which events count, and how many.

    Raises:
        Refusal: A part of it is malformed.
    """
    days = _number(query, "timeframe_days")
    scope = attrs.evolve(
        question.scope,
        events=event_conditions(query),
        min_count=_min_count(query),
        window=days * DAY if days else math.inf,
    )
    return attrs.evolve(question, scope=scope)


def _offset(query: Mapping[str, str]) -> float:
    value = query.get("tz", "0")
    if not _OFFSET.fullmatch(value) or abs(float(value)) > _LARGEST_OFFSET:
        text = "tz must be a number of hours, such as -5 or 5.5"
        raise bad(text)
    return float(value) * _HOUR


def _phase(row: ExperimentRow, query: Mapping[str, str]) -> str:
    """Return the phase. Which one is meant where no winner is served and nothing is said is not documented."""
    if "report_phase" not in query:
        return "all_time" if row.serving_variant is None else "pre_deploy"
    return str(one_of(query, "report_phase", _PHASES))


def _phase_bounds(row: ExperimentRow, phase: str) -> tuple[float, float]:
    served = math.inf if row.served_since is None else row.served_since
    return {"pre_deploy": (-math.inf, served), _POST_DEPLOY: (served, math.inf)}.get(phase, (-math.inf, math.inf))


def _number(query: Mapping[str, str], name: str) -> float | None:
    value = query.get(name)
    if value is None:
        return None
    if not _NUMBER.fullmatch(value):
        text = f"{name} must be a number, 0 or greater"
        raise bad(text)
    return min(float(value), _MANY)


def _min_count(query: Mapping[str, str]) -> int:
    value = _number(query, "min_count")
    if value is None:
        return 1
    if value < 1 or value != int(value):
        text = "min_count must be a whole number, 1 or greater"
        raise bad(text)
    return int(value)


def active_goal(project: Project, number: int | None) -> GoalRow | None:
    """Return a goal by its number unless it was deleted."""
    goal = None if number is None else project.goals.get(number)
    return goal if goal is not None and goal.status == ACTIVE else None


def goal_by_key(project: Project, key: str) -> GoalRow | None:
    """Return a goal by its key unless it was deleted."""
    return next((goal for goal in project.goals.values() if goal.goal_key == key and goal.status == ACTIVE), None)


def goal_of(project: Project, row: ExperimentRow, query: Mapping[str, str]) -> GoalRow | None:
    """
    Return the goal to count: the one that is asked for, else the experiment's, else the project's.

    Of a key and a number the key counts; which one does is not documented.

    Raises:
        Refusal: The one that is asked for does not exist.
    """
    key, number = query.get("goal_key"), query.get("goal_profile_id")
    if key is not None:
        goal = goal_by_key(project, key)
    elif number is not None:
        goal = active_goal(project, int(number)) if re.fullmatch("[0-9]{1,18}", number) else None
    else:
        return active_goal(project, row.primary_goal) or default_goal(project)
    if goal is None:
        text = "goal_key or goal_profile_id names no goal of this project"
        raise bad(text)
    return goal


def keys_of(query: Mapping[str, str], name: str) -> list[str] | None:
    """
    Return a list of keys that is written as a comma list or as a JSON array.

    Raises:
        Refusal: It is neither.
    """
    value = query.get(name)
    if value is None:
        return None
    found = _array(name, value) if value.lstrip().startswith("[") else value.split(",")
    if not all(isinstance(key, str) and key.strip() for key in found):
        text = f"{name} must be a comma-separated list or a JSON array of keys"
        raise bad(text)
    return [str(key).strip() for key in found]


def indexes_of(query: Mapping[str, str]) -> set[int] | None:
    """
    Return which metrics to compute, counted from 0; None for all.

    Raises:
        Refusal: It is neither a comma list nor a JSON array of such numbers.
    """
    value = query.get("metric_batch")
    if value is None:
        return None
    found = _array("metric_batch", value) if value.lstrip().startswith("[") else value.split(",")
    texts = [text_of(item).strip() for item in found]
    if not all(re.fullmatch("[0-9]{1,9}", text) for text in texts):
        text = "metric_batch must be a list of indexes, 0 or greater"
        raise bad(text)
    return set(map(int, texts))


def _array(name: str, value: str) -> list[Any]:
    try:
        return cast("list[Any]", json.loads(value))
    except (ValueError, RecursionError):
        text = f"{name} is not valid JSON"
        raise bad(text) from None
