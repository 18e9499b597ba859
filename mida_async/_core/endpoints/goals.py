"""The endpoints of goals."""

from __future__ import annotations

from typing import Final

from ...models.goals import GoalCreated, GoalDeleted, GoalDetails, GoalPage, GoalPurpose, GoalType, GoalUpdated
from ..arguments import ANY_TEXT, TEXT, TEXT_OR_NUMBER, Field, choices, number_in_path, optional, paging
from .base import Repeat, by_name, row

_GOAL_ID: Final = number_in_path("goal_profile_id", "The goal's number.")
_NAME: Final = Field(name="goal_name", kind=TEXT, place="body", help="Its name.", required=True)
_TYPE: Final = Field(
    name="goal_type", kind=choices(GoalType), place="body", help="What counts as reaching it.", required=True
)
_VALUE: Final = Field(
    name="goal_value",
    kind=TEXT_OR_NUMBER,
    place="body",
    help="The address, selector, name or number that the type needs.",
    required=True,
)
_KEY: Final = Field(name="goal_key", kind=TEXT, place="body", help="Its key, unique within the project.")
_PURPOSE: Final = Field(name="goal_purpose", kind=choices(GoalPurpose), place="body", help="What it is for.")
# docs/v2/create-goal and update-goal, 2026-08-22. Only the address of the page may be null when a goal is read.
_PAGE: Final = Field(
    name="element_url",
    kind=ANY_TEXT,
    place="body",
    help="The page on which its element was chosen.",
    nullable=True,
)

ROWS: Final = by_name(
    row(
        "goals.list",
        "GET P/goals",
        "list-goals",
        "List goals.",
        answer=GoalPage,
        rows="goals",
        errors=(400,),
        fields=paging(),
    ),
    row(
        "goals.create",
        "POST P/goal",
        "create-goal",
        "Create a goal.",
        answer=GoalCreated,
        repeat=Repeat.UNSAFE,
        errors=(400, 403, 406),
        plan_capped=True,
        fields=(_NAME, _TYPE, _VALUE, _KEY, _PURPOSE, _PAGE),
    ),
    row(
        "goals.get",
        "GET P/goal/{goal_profile_id}",
        "get-goal-details",
        "Get one goal.",
        answer=GoalDetails,
        key="goal",
        errors=(404,),
        fields=(_GOAL_ID,),
    ),
    row(
        "goals.update",
        "PATCH P/goal/{goal_profile_id}",
        "update-goal",
        "Change one goal; the change takes effect at once in the experiments that use it.",
        answer=GoalUpdated,
        partial=True,
        errors=(400, 404, 406),
        fields=(_GOAL_ID, *optional(_NAME, _TYPE, _VALUE), _PURPOSE, _KEY, _PAGE),
    ),
    row(
        "goals.delete",
        "DELETE P/goal/{goal_profile_id}",
        "delete-goal",
        "Delete one goal; experiments that use it do not prevent this.",
        answer=GoalDeleted,
        errors=(404,),
        fields=(_GOAL_ID,),
    ),
)
