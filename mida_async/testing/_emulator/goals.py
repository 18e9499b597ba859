"""The five endpoints of goals."""

from __future__ import annotations

import re
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from .project import ACTIVE, DELETED, Call, GoalRow, Project, page
from .wire import Refusal, Reply, filled_text, json_object, missing, one_of, page_of, success, text_or_none, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# docs/v2/create-goal, 2026-08-22
GOAL_TYPES: Final = (
    "pageview",
    "pageviewExact",
    "pageviewWildcard",
    "pageviewRegex",
    "clickOnElement",
    "clickOnText",
    "externalLink",
    "formSubmit",
    "elementAppears",
    "scrolling",
    "duration",
    "event",
    "revenue",
    "script",
)
GOAL_PURPOSES: Final = ("sell", "engage", "generate")


def _active(project: Project) -> Iterator[GoalRow]:
    return (goal for goal in project.goals.values() if goal.status == ACTIVE)


def _keys(project: Project, but: GoalRow | None = None) -> set[str]:
    return {goal.goal_key for goal in _active(project) if goal is not but}


def _own_key(project: Project, key: str, goal: GoalRow | None = None) -> str:
    if key in _keys(project, goal):
        text = f"goal_key {key} already exists in this project"
        raise Refusal(406, text)
    return key


def _new_key(project: Project, name: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "goal"
    taken = _keys(project)
    return slug if slug not in taken else next(key for n in count(2) if (key := f"{slug}_{n}") not in taken)


def _given(body: Mapping[str, Any]) -> dict[str, Any]:
    """Check the fields that the body has."""
    fields: dict[str, Any] = {
        name: filled_text(body, name) for name in ("goal_name", "goal_value", "goal_key") if name in body
    }
    if "goal_type" in body:
        fields["goal_type"] = one_of(body, "goal_type", GOAL_TYPES)
    if "goal_purpose" in body:
        fields["goal_purpose"] = one_of(body, "goal_purpose", GOAL_PURPOSES)
    if "element_url" in body:
        fields["element_url"] = text_or_none(body, "element_url")
    return fields


def create_goal(project: Project, call: Call) -> Reply:
    """Make a goal (docs/v2/create-goal)."""
    body = {name: value for name, value in json_object(call.body).items() if value is not None}
    for name in ("goal_name", "goal_type", "goal_value"):
        filled_text(body, name)
    fields: dict[str, Any] = {"goal_purpose": "sell", "element_url": None, **_given(body)}
    _check_plan(project)
    given = fields.pop("goal_key", None)
    key = _new_key(project, fields["goal_name"]) if given is None else _own_key(project, given)
    goal = GoalRow(goal_profile_id=project.next_id(), goal_key=key, created_at=call.today, **fields)
    project.goals.add(goal.goal_profile_id, goal)
    return success(goal_profile_id=goal.goal_profile_id, goal_key=key, company_id=project.company_id)


def _check_plan(project: Project) -> None:
    limit = project.plan_goal_limit
    if limit is not None and len(_keys(project)) >= limit:
        text = f"Your plan allows {limit} goals per project; upgrade to create more"
        raise Refusal(403, text)


def list_goals(project: Project, call: Call) -> Reply:
    """List the goals, the oldest first (docs/v2/list-goals; the order is not documented)."""
    limit, offset = page_of(call.query)
    goals = page(_active(project), limit, offset)
    return success(company_id=project.company_id, count=len(goals), goals=[_brief(goal) for goal in goals])


def _brief(goal: GoalRow) -> dict[str, object]:
    return {
        "goal_profile_id": goal.goal_profile_id,
        "goal_key": goal.goal_key,
        "goal_name": goal.goal_name,
        "goal_type": goal.goal_type,
        "goal_value": goal.goal_value,
        "goal_purpose": goal.goal_purpose,
        "element_url": goal.element_url,
    }


def get_goal(project: Project, call: Call) -> Reply:
    """Show one goal, a deleted one too: its status says so (docs/v2/get-goal-details)."""
    goal = project.goals.named(call.ids["goal_profile_id"], "Goal")
    return success(goal={**_brief(goal), "status": goal.status, "created_at": timestamp(goal.created_at)})


def update_goal(project: Project, call: Call) -> Reply:
    """Change what the body names; all of it or, when a part is wrong, nothing (docs/v2/update-goal)."""
    goal = project.goals.named(call.ids["goal_profile_id"], "Goal")
    changes = _given(json_object(call.body))
    if "goal_key" in changes:
        _own_key(project, changes["goal_key"], goal)
    for name, value in changes.items():
        setattr(goal, name, value)
    return success(goal_profile_id=goal.goal_profile_id)


def delete_goal(project: Project, call: Call) -> Reply:
    """Mark one goal as deleted (docs/v2/delete-goal)."""
    goal = project.goals.named(call.ids["goal_profile_id"], "Goal")
    if goal.status == DELETED:
        what = "Goal"
        raise missing(what)
    goal.status = DELETED
    return success(goal_profile_id=goal.goal_profile_id, deleted=True)


HANDLERS: Final = MappingProxyType(
    {
        "goals.list": list_goals,
        "goals.create": create_goal,
        "goals.get": get_goal,
        "goals.update": update_goal,
        "goals.delete": delete_goal,
    }
)
