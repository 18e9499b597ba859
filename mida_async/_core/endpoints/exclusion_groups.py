"""The endpoints of exclusion groups."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, cast

import attrs

from ..._errors import InvalidRequestError
from ...models.exclusion_groups import (
    ExclusionGroupCreated,
    ExclusionGroupDeleted,
    ExclusionGroupList,
    ExclusionGroupUpdated,
    GroupMember,
    GroupTest,
)
from ..arguments import ANY_TEXT, TEXT, Field, inputs_of, number_in_path, optional
from ..checks import each, number, plain, refuse, whole
from .base import Repeat, by_name, row

_WHOLE: Final = 100
# What the sums of shares such as 33.3, 33.3 and 33.4 miss by, as floats have it; 99.99 is another sum.
_ROUNDING: Final = 1e-6


def _test(field: str, value: object) -> dict[str, Any]:
    """Return one experiment of a group as it goes out; a number is one of which no share is given."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = GroupTest(value)
    if isinstance(value, GroupMember):
        value = {"test_id": value.test_id, "percent": value.percent}
    if not isinstance(value, (GroupTest, Mapping)):
        allowed = "a GroupTest, a mapping, a member of a group or the number of an experiment"
        raise refuse(field, value, allowed)
    content = dict(cast("Mapping[str, Any]", plain(field, cast("object", value))))
    content["test_id"] = whole(f"{field}.test_id", content.get("test_id"), 1)
    if content.get("percent") is None:
        content.pop("percent", None)
    else:
        content["percent"] = number(f"{field}.percent", content["percent"], 0, _WHOLE)
    return content


_each_test: Final = each(_test, "experiments", least=2)


def _members(field: str, value: object) -> object:
    """Return the experiments of a group, which are two or more different ones with shares that add up, or with none."""
    tests = cast("list[dict[str, Any]]", _each_test(field, value))
    number_of, times = Counter(test["test_id"] for test in tests).most_common(1)[0]
    if times > 1:
        message = f"{field}: experiment {number_of} is there {times} times; give each once"
        raise InvalidRequestError(message)
    without = [test["test_id"] for test in tests if "percent" not in test]
    if without and len(without) < len(tests):
        message = f"{field}: experiment {without[0]} has no percent and others do; give it to all or to none"
        raise InvalidRequestError(message)
    total = math.fsum(test["percent"] for test in tests) if not without else _WHOLE
    if abs(total - _WHOLE) > _ROUNDING:
        message = f"{field}: the percentages add up to {total:.10g}; they must add up to {_WHOLE}"
        raise InvalidRequestError(message)
    return tests


_GROUP_ID: Final = number_in_path("group_id", "The group's number, which lists call id.")
_NAME: Final = Field(name="name", kind=TEXT, place="body", help="Its name.", required=True)
_TESTS: Final = Field(
    name="tests",
    kind=attrs.evolve(inputs_of(GroupTest, least=2), check=_members),
    place="body",
    help="Its experiments: two or more, all with their percentage of the visitors or all without.",
    required=True,
)
_DESCRIPTION: Final = Field(name="description", kind=ANY_TEXT, place="body", help="What it is for.")

ROWS: Final = by_name(
    row(
        "exclusion_groups.list",
        "GET P/exclusion-groups",
        "list-exclusion-groups",
        "List the exclusion groups.",
        answer=ExclusionGroupList,
        rows="groups",
    ),
    row(
        "exclusion_groups.create",
        "POST P/exclusion-groups",
        "create-exclusion-group",
        "Create an exclusion group: its experiments share no visitor.",
        answer=ExclusionGroupCreated,
        repeat=Repeat.UNSAFE,
        errors=(400,),
        fields=(_NAME, _TESTS, _DESCRIPTION),
    ),
    row(
        "exclusion_groups.update",
        "PATCH P/exclusion-groups/{group_id}",
        "update-exclusion-group",
        "Change an exclusion group; its experiments are replaced, not added to.",
        answer=ExclusionGroupUpdated,
        partial=True,
        errors=(400, 404),
        fields=(_GROUP_ID, *optional(_NAME), _DESCRIPTION, *optional(_TESTS)),
    ),
    row(
        "exclusion_groups.delete",
        "DELETE P/exclusion-groups/{group_id}",
        "delete-exclusion-group",
        "Delete an exclusion group; its experiments keep running.",
        answer=ExclusionGroupDeleted,
        errors=(404,),
        fields=(_GROUP_ID,),
    ),
)
