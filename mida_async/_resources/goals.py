"""``mida.goals``: what counts as a success."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._core.endpoints.goals import ROWS
from .._sentinels import UNSET, UnsetType
from ..models.goals import Goal, GoalCreated, GoalDeleted, GoalDetails, GoalPage, GoalPurpose, GoalType, GoalUpdated
from .base import Section

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence


class Goals(Section):
    """The goals of a project."""

    async def list(self, *, limit: int = 50, offset: int = 0) -> GoalPage:
        """
        Get one page of goals (docs/v2/list-goals, 2026-08-22).

        Args:
            limit: How many at most, 1 to 500.
            offset: How many to leave out before.
        """
        return await self._call(ROWS["goals.list"], GoalPage, limit=limit, offset=offset)

    def iter(self, *, page_size: int = 500) -> AsyncGenerator[Goal, None]:
        """
        Go through all goals, one request a page; like :meth:`list`, but without end.

        Each goal comes once, even if the list changes meanwhile; one that is added or moved meanwhile may be missed.
        Leaving the loop early is safe: nothing stays open between pages.

        Args:
            page_size: How many to ask for at once, 1 to 500.

        Raises:
            InvalidRequestError: The size is wrong; raised by this call, not by the loop.
        """
        return self._walk(ROWS["goals.list"], GoalPage, _goals, _goal_profile_id, page_size)

    async def create(
        self,
        *,
        goal_name: str,
        goal_type: GoalType | str,
        goal_value: str | int,
        goal_key: str | None = None,
        goal_purpose: GoalPurpose | str | None = None,
        element_url: str | None = None,
    ) -> GoalCreated:
        """
        Create a goal (docs/v2/create-goal, 2026-08-22).

        It is not sent again when it is unknown what became of it. With a *goal_key* of your own it is safe to call
        this again then: a goal that exists already gives :class:`ConflictError`.

        Args:
            goal_name: Its name.
            goal_type: What counts as reaching it; a plain string for types that this package does not know yet.
            goal_value: The address, selector, name or number that the type needs. Numbers go out as text.
            goal_key: Its key, unique within the project; the server makes one up otherwise.
            goal_purpose: What it is for; the server's default is ``sell``.
            element_url: The page on which its element was chosen.

        Raises:
            BadRequestError: The server found a value wrong.
            PlanLimitError: The plan allows no more goals.
            ConflictError: The key is taken.
        """
        return await self._call(
            ROWS["goals.create"],
            GoalCreated,
            goal_name=goal_name,
            goal_type=goal_type,
            goal_value=goal_value,
            goal_key=goal_key,
            goal_purpose=goal_purpose,
            element_url=element_url,
        )

    async def get(self, goal_profile_id: int) -> GoalDetails:
        """
        Get one goal (docs/v2/get-goal-details, 2026-08-22).

        Args:
            goal_profile_id: Its number.

        Raises:
            NotFoundError: There is no such goal in this project.
        """
        return await self._call(ROWS["goals.get"], GoalDetails, goal_profile_id=goal_profile_id)

    async def update(
        self,
        goal_profile_id: int,
        *,
        goal_name: str | UnsetType = UNSET,
        goal_type: GoalType | str | UnsetType = UNSET,
        goal_value: str | int | UnsetType = UNSET,
        goal_purpose: GoalPurpose | str | UnsetType = UNSET,
        goal_key: str | UnsetType = UNSET,
        element_url: str | UnsetType | None = UNSET,
    ) -> GoalUpdated:
        """
        Change a goal (docs/v2/update-goal, 2026-08-22). What is not given stays as it is.

        The change takes effect at once in the experiments that use the goal.

        Args:
            goal_profile_id: Its number.
            goal_name: Its name.
            goal_type: What counts as reaching it.
            goal_value: The address, selector, name or number that the type needs.
            goal_purpose: What it is for.
            goal_key: Its key, unique within the project.
            element_url: The page on which its element was chosen; None goes out as null.

        Raises:
            NotFoundError: There is no such goal in this project.
            BadRequestError: The server found a value wrong.
            ConflictError: The key is taken.
        """
        return await self._call(
            ROWS["goals.update"],
            GoalUpdated,
            goal_profile_id=goal_profile_id,
            goal_name=goal_name,
            goal_type=goal_type,
            goal_value=goal_value,
            goal_purpose=goal_purpose,
            goal_key=goal_key,
            element_url=element_url,
        )

    async def delete(self, goal_profile_id: int) -> GoalDeleted:
        """
        Delete a goal (docs/v2/delete-goal, 2026-08-22). The server keeps it with status 2.

        Experiments that use it do not prevent this.

        Args:
            goal_profile_id: Its number.

        Raises:
            NotFoundError: There is no such goal in this project, or a first attempt whose answer was lost has deleted
                it already.
        """
        return await self._call(ROWS["goals.delete"], GoalDeleted, goal_profile_id=goal_profile_id)


def _goals(page: GoalPage) -> Sequence[Goal]:
    return page.goals


def _goal_profile_id(goal: Goal) -> int:
    return goal.goal_profile_id
