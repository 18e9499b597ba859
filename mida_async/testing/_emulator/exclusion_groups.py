"""
The endpoints of exclusion groups.

Where the pages are silent: names need not be unique, an experiment may be in several groups, and experiments that were
deleted are no longer shown. Who may take part in what is in ``assigning``.
"""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from .experiments_state import ExperimentRow, ExperimentStore
from .project import Rows
from .wire import Reply, bad, filled_text, json_object, success, text_or_none

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .project import Call, Handler, Project

_LEAST: Final = 2
_WHOLE: Final = 100
_ROUNDING: Final = 1e-6
_KEEP: Final = 100_000


@attrs.define(kw_only=True)
class GroupRow:
    """
    One group.

    Attributes:
        shares: The percentage of each experiment, by its number.
    """

    number: int
    name: str
    description: str
    shares: dict[int, float]


@attrs.define(eq=False)
class GroupStore:
    """The exclusion groups of a project; get it by ``project.store(GroupStore)``."""

    rows: Rows[GroupRow] = attrs.field(factory=lambda: Rows[GroupRow](_KEEP))


def _experiment(project: Project, test_id: object) -> ExperimentRow | None:
    if not isinstance(test_id, int) or isinstance(test_id, bool):
        return None
    row = project.store(ExperimentStore).rows.get(test_id)
    return None if row is None or row.deleted else row


def _test(project: Project, item: object) -> tuple[int, float | None]:
    """Return the number of the experiment that an item of a body names, and its share if it has one."""
    given = cast("dict[str, Any]", item) if isinstance(item, dict) else {}
    row = _experiment(project, given.get("test_id"))
    if row is None:
        text = "Each of tests must be an object with the test_id of an experiment of this project"
        raise bad(text)
    share = cast("object", given.get("percent"))
    if share is None:
        return row.test_id, None
    if not isinstance(share, (int, float)) or isinstance(share, bool) or not 0 <= share <= _WHOLE:
        text = f"percent must be a number from 0 to {_WHOLE}"
        raise bad(text)
    return row.test_id, share


def _tests(project: Project, body: Mapping[str, Any]) -> dict[int, float]:
    """Return the shares of the experiments that a body names."""
    items = cast("object", body.get("tests"))
    if not isinstance(items, list) or len(cast("list[object]", items)) < _LEAST:
        text = f"tests must be an array of at least {_LEAST} experiments"
        raise bad(text)
    tests = [_test(project, item) for item in cast("list[object]", items)]
    numbers = [number for number, _ in tests]
    if len(set(numbers)) < len(numbers):
        text = "tests must not name an experiment twice"
        raise bad(text)
    shares = [share for _, share in tests if share is not None]
    if not shares:
        return dict(zip(numbers, _even(len(numbers)), strict=True))
    if len(shares) < len(numbers):
        text = "Give percent for all tests or for none"
        raise bad(text)
    if abs(math.fsum(shares) - _WHOLE) > _ROUNDING:
        text = f"The percentages must add up to {_WHOLE}"
        raise bad(text)
    return dict(zip(numbers, shares, strict=True))


def _even(count: int) -> list[int]:
    """Split the visitors evenly; the last one takes what is left over."""
    share = _WHOLE // count
    return [*([share] * (count - 1)), _WHOLE - share * (count - 1)]


def _shown(row: GroupRow) -> list[dict[str, object]]:
    return [{"test_id": number, "percent": share} for number, share in row.shares.items()]


def list_groups(project: Project, _call: Call) -> Reply:
    """List the groups, the oldest first (docs/v2/list-exclusion-groups)."""
    groups = [
        {"id": row.number, "name": row.name, "description": row.description, "tests": _detailed(project, row)}
        for row in project.store(GroupStore).rows.values()
    ]
    return success(groups=groups)


def _detailed(project: Project, row: GroupRow) -> list[dict[str, object]]:
    found = ((_experiment(project, number), share) for number, share in row.shares.items())
    return [
        {"test_id": test.test_id, "percent": share, "test_name": test.test_name, "status": test.status}
        for test, share in found
        if test is not None
    ]


def create_group(project: Project, call: Call) -> Reply:
    """Make a group (docs/v2/create-exclusion-group)."""
    body = json_object(call.body)
    row = GroupRow(
        number=project.next_id(),
        name=filled_text(body, "name"),
        description=text_or_none(body, "description") or "",
        shares=_tests(project, body),
    )
    project.store(GroupStore).rows.add(row.number, row)
    return success(name=row.name, tests=_shown(row))


def update_group(project: Project, call: Call) -> Reply:
    """Change what the body names; all of it or, when a part is wrong, nothing (docs/v2/update-exclusion-group)."""
    row = project.store(GroupStore).rows.named(call.ids["group_id"], "Exclusion group")
    body = json_object(call.body)
    name = filled_text(body, "name") if "name" in body else row.name
    description = (text_or_none(body, "description") or "") if "description" in body else row.description
    shares = _tests(project, body) if "tests" in body else row.shares
    if not body.keys() & {"name", "description", "tests"}:
        text = "Give at least one of name, description and tests"
        raise bad(text)
    row.name, row.description, row.shares = name, description, shares
    return success(group_id=row.number, group_name=row.name, tests=_shown(row))


def delete_group(project: Project, call: Call) -> Reply:
    """Delete a group; its experiments stay as they are (docs/v2/delete-exclusion-group)."""
    rows = project.store(GroupStore).rows
    row = rows.named(call.ids["group_id"], "Exclusion group")
    del rows[row.number]
    note = "The experiments keep running, and may share visitors now."
    return success(group_id=row.number, group_name=row.name, note=note)


HANDLERS: Final[Mapping[str, Handler]] = MappingProxyType(
    {
        "exclusion_groups.list": list_groups,
        "exclusion_groups.create": create_group,
        "exclusion_groups.update": update_group,
        "exclusion_groups.delete": delete_group,
    }
)
