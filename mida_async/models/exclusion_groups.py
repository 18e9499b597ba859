"""What the exclusion group endpoints take and answer with."""

from __future__ import annotations

import attrs

from .._sentinels import UNSET, UnsetType
from .base import Input, Model, Reply
from .experiments import ExperimentStatus


@attrs.frozen(eq=False, repr=False)
class GroupTest(Input):
    """
    An experiment that joins a group (docs/v2/create-exclusion-group, 2026-08-22).

    Attributes:
        test_id: The experiment's number.
        percent: Its share of the visitors, 0 to 100. Either all experiments of a group have one, and they add up to
            100, or none has, and all get the same.
    """

    test_id: int
    percent: float | UnsetType = UNSET


@attrs.frozen(kw_only=True, eq=False, repr=False)
class GroupMember(Model):
    """
    An experiment of a group (docs/v2/list-exclusion-groups, 2026-08-22).

    Attributes:
        test_id: The experiment's number.
        percent: Its share of the visitors, 0 to 100.
        test_name: Its name; only in lists.
        status: Whether it is a draft, live or inactive; only in lists.
    """

    test_id: int
    percent: float | None = None
    test_name: str | None = None
    status: ExperimentStatus | int | str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ExclusionGroup(Model):
    """
    One group of experiments that share no visitor (docs/v2/list-exclusion-groups, 2026-08-22).

    Attributes:
        id: The group's number, which the other calls name ``group_id``.
        name: Its name.
        description: What it is for.
        tests: Its experiments.
    """

    id: int
    name: str | None = None
    description: str | None = None
    tests: tuple[GroupMember, ...] = ()


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ExclusionGroupList(Reply):
    """
    All groups of a project (docs/v2/list-exclusion-groups, 2026-08-22).

    Attributes:
        groups: The groups.
    """

    groups: tuple[ExclusionGroup, ...] = ()


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ExclusionGroupCreated(Reply):
    """
    The answer to a new group (docs/v2/create-exclusion-group, 2026-08-22). It does not say the group's number.

    Attributes:
        name: Its name.
        tests: Its experiments, with their shares.
    """

    name: str | None = None
    tests: tuple[GroupMember, ...] = ()


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ExclusionGroupUpdated(Reply):
    """
    The answer to a change (docs/v2/update-exclusion-group, 2026-08-22).

    Attributes:
        group_id: The group's number.
        group_name: Its name.
        tests: Its experiments, with their shares.
    """

    group_id: int | None = None
    group_name: str | None = None
    tests: tuple[GroupMember, ...] = ()


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ExclusionGroupDeleted(Reply):
    """
    The answer to a deletion (docs/v2/delete-exclusion-group, 2026-08-22).

    Attributes:
        group_id: The group's number.
        group_name: Its name.
        note: What the server says about it: the experiments keep running.
    """

    group_id: int | None = None
    group_name: str | None = None
    note: str | None = None
