"""The two endpoints of a project's configuration."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from .project import ACTIVE, GoalRow, Project
from .wire import Refusal, Reply, bad, filled_text, json_object, one_of, success

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .project import Call, Handler

# docs/v2/get-project-configuration and update-project-configuration, 2026-08-22
ENGINES: Final[Mapping[str, str]] = MappingProxyType({"1": "bayesian", "0": "frequentist"})
FREQUENTIST_TYPES: Final = ("0", "2")
BUILT_IN: Final = ("BounceRate", "_engagement", "_pageview")
LEAST_CONFIDENCE: Final = 50
MOST_CONFIDENCE: Final = 99

_FLAGS: Final = ("weekly_ai_summary_enabled", "skip_pre_publish_check")
_METRIC_TYPE: Final = 2  # of every entry on the pages, which do not say what it means
_GOAL_TEXT: Final = re.compile(r"goal_([0-9]{1,18})")


@attrs.frozen(kw_only=True)
class SecondaryMetric:
    """
    One secondary goal.

    Attributes:
        text: ``goal_`` and the number of a goal; or a built-in metric or the name of an event.
        name: What it is shown as; None for the name that the goal has.
    """

    text: str
    name: str | None

    @property
    def goal_profile_id(self) -> int | None:
        """The number of the goal, if it is one."""
        found = _GOAL_TEXT.fullmatch(self.text)
        return int(found[1]) if found else None


@attrs.define(kw_only=True)
class ConfigurationStore:
    """The configuration of a project; get it by ``project.store(ConfigurationStore)``."""

    analysis_method: str = "1"
    frequentist_type: str = "0"
    confidence_level: float = 95
    weekly_ai_summary_enabled: bool = False
    skip_pre_publish_check: bool = False
    primary_goal_id: int | None = None
    secondary_goals: tuple[SecondaryMetric, ...] = ()


def default_goal(project: Project) -> GoalRow | None:
    """Return the goal that counts where an experiment has none; a goal that was deleted counts no longer."""
    return _goal(project, project.store(ConfigurationStore).primary_goal_id)


def _goal(project: Project, number: int | None) -> GoalRow | None:
    goal = None if number is None else project.goals.get(number)
    return goal if goal is not None and goal.status == ACTIVE else None


def _metrics(project: Project) -> list[SecondaryMetric]:
    """Return the secondary goals but for those whose goal was deleted."""
    kept = project.store(ConfigurationStore).secondary_goals
    return [metric for metric in kept if metric.goal_profile_id is None or _goal(project, metric.goal_profile_id)]


def get_configuration(project: Project, _: Call) -> Reply:
    """Show the configuration, with the goals as they are now (docs/v2/get-project-configuration)."""
    project.check_active()
    store = project.store(ConfigurationStore)
    goal = default_goal(project)
    return success(
        configuration={
            "analysis_method": store.analysis_method,
            "frequentist_type": store.frequentist_type,
            "confidence_level": _as_text(store.confidence_level),
            "stats_engine": ENGINES[store.analysis_method],
            "confidence_threshold_percent": store.confidence_level,
            "weekly_ai_summary_enabled": store.weekly_ai_summary_enabled,
            "primary_goal_id": None if goal is None else goal.goal_profile_id,
            "primary_goal": None if goal is None else {**_resolved(goal), "goal_name": goal.goal_name},
            "secondary_goals": [_shown(project, metric) for metric in _metrics(project)],
        }
    )


def _as_text(level: float) -> str:
    return str(int(level)) if level == int(level) else str(level)


def _resolved(goal: GoalRow) -> dict[str, object]:
    return {
        "goal_profile_id": goal.goal_profile_id,
        "goal_key": goal.goal_key,
        "goal_type": goal.goal_type,
        "goal_value": goal.goal_value,
    }


def _brief(project: Project, metric: SecondaryMetric) -> dict[str, object]:
    goal = _goal(project, metric.goal_profile_id)
    name = metric.name if metric.name is not None or goal is None else goal.goal_name
    return {"type": _METRIC_TYPE, "text": metric.text, "name": name}


def _shown(project: Project, metric: SecondaryMetric) -> dict[str, object]:
    entry = _brief(project, metric)
    goal = _goal(project, metric.goal_profile_id)
    if goal is not None:
        entry |= _resolved(goal)
    elif metric.text not in BUILT_IN:
        entry["event_name"] = metric.text
    return entry


def update_configuration(project: Project, call: Call) -> Reply:
    """Change what the body names, or nothing when a part is wrong (docs/v2/update-project-configuration)."""
    project.check_active()
    changes = _given(project, json_object(call.body))
    if not changes:
        text = "The body has no field of the configuration"
        raise bad(text)
    store = project.store(ConfigurationStore)
    for name, value in changes.items():
        setattr(store, name, value)
    goal = default_goal(project)
    return success(
        configuration={
            "analysis_method": store.analysis_method,
            "frequentist_type": store.frequentist_type,
            "confidence_level": _as_text(store.confidence_level),
            "primary_goal_id": None if goal is None else goal.goal_profile_id,
            "secondary_goals": [{**_brief(project, metric), "attributeFilter": None} for metric in _metrics(project)],
            "weekly_ai_summary_enabled": store.weekly_ai_summary_enabled,
            "skip_pre_publish_check": store.skip_pre_publish_check,
        }
    )


def _given(project: Project, body: Mapping[str, Any]) -> dict[str, object]:
    """Check the fields that the body has."""
    fields: dict[str, object] = {name: _flag(body, name) for name in _FLAGS if name in body}
    if "analysis_method" in body:
        fields["analysis_method"] = one_of(body, "analysis_method", tuple(ENGINES))
    if "frequentist_type" in body:
        fields["frequentist_type"] = one_of(body, "frequentist_type", FREQUENTIST_TYPES)
    if "confidence_level" in body:
        fields["confidence_level"] = _level(body["confidence_level"])
    if "secondary_goals" in body:
        fields["secondary_goals"] = _secondary_goals(project, body["secondary_goals"])
    if "primary_goal_key" in body:
        cleared = body["primary_goal_key"] is None
        fields["primary_goal_id"] = None if cleared else _by_key(project, body, "primary_goal_key").goal_profile_id
    return fields


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body[name]
    if not isinstance(value, bool):
        text = f"{name} must be true or false"
        raise bad(text)
    return value


def _level(value: object) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not LEAST_CONFIDENCE <= cast("float", value) <= MOST_CONFIDENCE:
        text = f"confidence_level must be a number from {LEAST_CONFIDENCE} to {MOST_CONFIDENCE}"
        raise bad(text)
    return cast("float", value)


def _by_key(project: Project, body: Mapping[str, Any], name: str) -> GoalRow:
    key = filled_text(body, name)
    for goal in project.goals.values():
        if goal.goal_key == key and goal.status == ACTIVE:
            return goal
    raise _no_goal()


def _no_goal() -> Refusal:
    return Refusal(404, "Goal not found in this project")


def _secondary_goals(project: Project, value: object) -> tuple[SecondaryMetric, ...]:
    if not isinstance(value, list):
        text = "secondary_goals must be an array"
        raise bad(text)
    return tuple(_metric(project, item) for item in cast("list[object]", value))


def _metric(project: Project, item: object) -> SecondaryMetric:
    if not isinstance(item, dict):
        text = "secondary_goals must hold objects"
        raise bad(text)
    fields = cast("dict[str, Any]", item)
    if fields.get("goal_key") is not None:
        goal = _by_key(project, fields, "goal_key")
        return SecondaryMetric(text=f"goal_{goal.goal_profile_id}", name=None)
    metric = SecondaryMetric(text=filled_text(fields, "text"), name=filled_text(fields, "name"))
    if metric.goal_profile_id is not None and _goal(project, metric.goal_profile_id) is None:
        raise _no_goal()
    return metric


HANDLERS: Final[Mapping[str, Handler]] = MappingProxyType(
    {"projects.get_configuration": get_configuration, "projects.update_configuration": update_configuration}
)
