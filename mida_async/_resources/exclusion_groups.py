"""``mida.exclusion_groups``: experiments that share no visitor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from .._core.endpoints.exclusion_groups import ROWS
from .._sentinels import UNSET, UnsetType
from ..models.exclusion_groups import (
    ExclusionGroupCreated,
    ExclusionGroupDeleted,
    ExclusionGroupList,
    ExclusionGroupUpdated,
    GroupMember,
    GroupTest,
)
from .base import Section

Test: TypeAlias = GroupTest | GroupMember | Mapping[str, Any] | int
"""An experiment of a group: with its share, as a list showed it, with the vendor's keys, or its number alone."""


class ExclusionGroups(Section):
    """The groups of experiments that share no visitor."""

    async def list(self) -> ExclusionGroupList:
        """Get all groups (docs/v2/list-exclusion-groups, 2026-08-22); the API has no pages of them."""
        return await self._call(ROWS["exclusion_groups.list"], ExclusionGroupList)

    async def create(
        self, name: str, tests: Sequence[Test], *, description: str | None = None
    ) -> ExclusionGroupCreated:
        """
        Create a group (docs/v2/create-exclusion-group, 2026-08-22).

        The answer does not say the group's number: look for its name in :meth:`list`, whose ``id`` it is. Names need
        not be unique, so give each group its own. This is not sent again when it is unknown what became of it: look at
        :meth:`list` then, because a second try could make a second group.

        Args:
            name: Its name.
            tests: Two experiments or more, each once: as numbers, or with their shares as :class:`GroupTest` or
                mappings. Either all have a ``percent``, and they add up to 100, or none has, and all get the same, the
                last of them the rest as well.
            description: What it is for.

        Raises:
            InvalidRequestError: The experiments are too few, come twice, or their shares do not fit; nothing was sent.
            BadRequestError: The server found a value wrong, such as an experiment of another project.
        """
        return await self._call(
            ROWS["exclusion_groups.create"], ExclusionGroupCreated, name=name, tests=tests, description=description
        )

    async def update(
        self,
        group_id: int,
        *,
        name: str | UnsetType = UNSET,
        description: str | UnsetType = UNSET,
        tests: Sequence[Test] | UnsetType = UNSET,
    ) -> ExclusionGroupUpdated:
        """
        Change a group (docs/v2/update-exclusion-group, 2026-08-22). What is not given stays as it is.

        Args:
            group_id: Its number, which :meth:`list` calls ``id``.
            name: Its name.
            description: What it is for; an empty text takes it away.
            tests: Its experiments, as in :meth:`create`. **They replace those that it has.** To add one, read the group
                first and give the old ones, too; the members that :meth:`list` shows can be given as they are, but then
                the shares of all have to be set anew.

        Raises:
            InvalidRequestError: The experiments are too few, come twice, or their shares do not fit; nothing was sent.
            NotFoundError: There is no such group in this project.
            BadRequestError: The server found a value wrong, such as an experiment of another project.
        """
        return await self._call(
            ROWS["exclusion_groups.update"],
            ExclusionGroupUpdated,
            group_id=group_id,
            name=name,
            description=description,
            tests=tests,
        )

    async def delete(self, group_id: int) -> ExclusionGroupDeleted:
        """
        Delete a group (docs/v2/delete-exclusion-group, 2026-08-22). Its experiments keep running, and share visitors.

        Args:
            group_id: Its number, which :meth:`list` calls ``id``.

        Raises:
            NotFoundError: There is no such group in this project, or a first attempt whose answer was lost has deleted
                it already.
        """
        return await self._call(ROWS["exclusion_groups.delete"], ExclusionGroupDeleted, group_id=group_id)
