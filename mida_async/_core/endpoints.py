"""
The endpoints of the REST API, as a table.

One row says all that is particular to an endpoint: where it is, whether it may be repeated, and under which key its
result lies. The requests, the retries, the emulator's routes and the documentation are made from it.
"""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import attrs

Method: TypeAlias = Literal["GET", "POST", "PATCH", "DELETE"]

DOCS: Final = "https://github.com/mida-so/api-docs/blob/63496288/docs/v2"


class Repeat(enum.Enum):
    """Whether a request whose fate is unknown may be sent again."""

    SAFE = "safe"
    """Twice does the same as once."""

    UNSAFE = "unsafe"
    """Twice may do it twice."""


@attrs.frozen(kw_only=True)
class Endpoint:
    """
    One row of the table.

    Attributes:
        name: Section and method of the client, such as ``events.get``.
        method: The HTTP method.
        path: The path after the base URL, with ``{names}`` for what is filled in.
        repeat: Whether it may be sent again when its fate is unknown.
        key: The key of the body that holds the result; None where the body itself is the result.
        plan_capped: Whether the page documents 403 as "the plan allows no more".
        body_matters: Whether a success says more than that it is one. Where it does not, a body that is lost or cannot
            be read makes no failure of it.
        page: The vendor's page, as of 2026-08-22.
    """

    name: str
    method: Method
    path: str
    repeat: Repeat
    key: str | None = None
    plan_capped: bool = False
    body_matters: bool = True
    page: str


def _row(
    name: str,
    call: str,
    page: str,
    *,
    repeat: Repeat = Repeat.SAFE,
    key: str | None = None,
    plan_capped: bool = False,
    body_matters: bool = True,
) -> Endpoint:
    method, _, path = call.partition(" ")
    full_path = path.replace("P/", "/v2/project/{project_key}/", 1)
    return Endpoint(
        name=name,
        method=method,  # type: ignore[arg-type]
        path=full_path,
        repeat=repeat,
        key=key,
        plan_capped=plan_capped,
        body_matters=body_matters,
        page=f"{DOCS}/{page}.md",
    )


# PATCH repeats the same values and DELETE finds nothing the second time, so both are safe. POST /event has no
# idempotency key.
_ROWS: Final = (
    _row("events.record", "POST P/event", "create-event", repeat=Repeat.UNSAFE, body_matters=False),
    _row("events.create", "POST P/event", "create-event", repeat=Repeat.UNSAFE),
    _row("events.list", "GET P/events", "list-events"),
    _row("events.get", "GET P/event/{event_id}", "get-event-details", key="event"),
    _row("events.update", "PATCH P/event/{event_id}", "update-event"),
    _row("events.delete", "DELETE P/event/{event_id}", "delete-event"),
    _row("goals.list", "GET P/goals", "list-goals"),
    _row("goals.create", "POST P/goal", "create-goal", repeat=Repeat.UNSAFE, plan_capped=True),
    _row("goals.get", "GET P/goal/{goal_profile_id}", "get-goal-details", key="goal"),
    _row("goals.update", "PATCH P/goal/{goal_profile_id}", "update-goal"),
    _row("goals.delete", "DELETE P/goal/{goal_profile_id}", "delete-goal"),
)

ENDPOINTS: Final = MappingProxyType({row.name: row for row in _ROWS})
