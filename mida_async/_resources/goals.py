"""``mida.goals``: what counts as a success."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from .._core.endpoints import ENDPOINTS
from .._sentinels import UNSET, UnsetType
from ..models.goals import Goal, GoalCreated, GoalDeleted, GoalDetails, GoalPage, GoalPurpose, GoalType, GoalUpdated
from . import base

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from .._requestor import Requestor

# docs/v2/create-goal and update-goal, 2026-08-22. Only the address of the page may be null when a goal is read.
_FIELDS: Final = MappingProxyType(
    {
        "goal_name": base.text,
        "goal_type": base.text,
        "goal_value": base.text_or_number,
        "goal_key": base.text,
        "goal_purpose": base.text,
        "element_url": base.nullable(base.any_text),
    }
)


class Goals:
    """
    The goals of a project.

    Every method waits for one answer (:meth:`iter` for one a page), at most ``Timeout.total`` seconds with repetitions.
    Besides the errors that are named, each raises :class:`TransportError` when no answer comes,
    :class:`AuthenticationError` when the API key is wrong, and :class:`InvalidRequestError` when an argument is wrong,
    before anything is sent.

    Args:
        requestor: Makes the calls.
    """

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    async def list(self, *, limit: int = 50, offset: int = 0) -> GoalPage:
        """
        Get one page of goals (docs/v2/list-goals, 2026-08-22).

        Args:
            limit: How many at most, 1 to 500.
            offset: How many to leave out before.
        """
        query = {"limit": base.page_size("limit", limit), "offset": base.offset("offset", offset)}
        return await self._requestor.call(ENDPOINTS["goals.list"], GoalPage, query=query)

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
        size = base.page_size("page_size", page_size)

        async def fetch(start: int) -> Sequence[Goal]:
            return (await self.list(limit=size, offset=start)).goals

        return base.pages(fetch, _goal_profile_id, size)

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
        needed = {"goal_name": goal_name, "goal_type": goal_type, "goal_value": goal_value}
        optional = base.given(goal_key=goal_key, goal_purpose=goal_purpose, element_url=element_url)
        content = base.body(base.checked(_FIELDS, {**needed, **optional}))
        return await self._requestor.call(ENDPOINTS["goals.create"], GoalCreated, body=content)

    async def get(self, goal_profile_id: int) -> GoalDetails:
        """
        Get one goal (docs/v2/get-goal-details, 2026-08-22).

        Args:
            goal_profile_id: Its number.

        Raises:
            NotFoundError: There is no such goal in this project.
        """
        path = {"goal_profile_id": goal_profile_id}
        return await self._requestor.call(ENDPOINTS["goals.get"], GoalDetails, path=path)

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
        fields: dict[str, object] = {"goal_name": goal_name, "goal_type": goal_type, "goal_value": goal_value}
        fields |= {"goal_purpose": goal_purpose, "goal_key": goal_key, "element_url": element_url}
        path = {"goal_profile_id": goal_profile_id}
        content = base.changes(_FIELDS, fields)
        return await self._requestor.call(ENDPOINTS["goals.update"], GoalUpdated, path=path, body=content)

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
        path = {"goal_profile_id": goal_profile_id}
        return await self._requestor.call(ENDPOINTS["goals.delete"], GoalDeleted, path=path)


def _goal_profile_id(goal: Goal) -> int:
    return goal.goal_profile_id
