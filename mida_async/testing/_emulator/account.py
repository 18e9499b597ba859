"""The two endpoints of the account."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import attrs

from .wire import success, timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .project import Call, Handler, Project
    from .wire import Reply

# docs/v2/list-team-members, 2026-08-22
OWNER: Final = 0
VIEWER: Final = 3
ROLES: Final[Mapping[int, str]] = MappingProxyType({OWNER: "Owner", 1: "Admin", 2: "Editor", VIEWER: "Viewer"})

_NOTE: Final = "This is an API key of the project: nobody's, so it has no role, and it may change everything."


@attrs.define(kw_only=True)
class MemberRow:
    """
    Somebody who has access to an account.

    Attributes:
        invited: Whether the invitation is not accepted yet.
        last_login_at: When they signed in last, in seconds since the epoch.
    """

    name: str
    email: str
    role: int = attrs.field(validator=attrs.validators.in_(ROLES))
    invited: bool = False
    last_login_at: float | None = None


def _owner() -> list[MemberRow]:
    return [MemberRow(name="Emulated Owner", email="owner@example.com", role=OWNER)]


@attrs.define(kw_only=True)
class MemberStore:
    """Who has access to an account, its owner first; get it by ``project.company.store(MemberStore)``."""

    rows: list[MemberRow] = attrs.field(factory=_owner)


def list_members(project: Project, _: Call) -> Reply:
    """List who has access to the account of the project (docs/v2/list-team-members)."""
    rows = project.company.store(MemberStore).rows
    return success(count=len(rows), members=[_member(row) for row in rows])


def _member(row: MemberRow) -> dict[str, object]:
    """Show one member. Nobody is "you": that needs a person, whom an API key does not stand for."""
    return {
        "name": row.name,
        "email": row.email,
        "role": row.role,
        "role_label": ROLES[row.role],
        "can_edit": row.role != VIEWER,
        "status": "invited" if row.invited else "active",
        "membership": "direct" if row.role == OWNER else "invited member",
        "last_login_at": None if row.last_login_at is None else timestamp(row.last_login_at),
    }


def my_access(_project: Project, _call: Call) -> Reply:
    """Say what an API key allows, which is the only kind of caller here (docs/v2/get-my-access)."""
    return success(authenticated_as="project API key", role=None, role_label=None, can_edit=True, note=_NOTE)


HANDLERS: Final[Mapping[str, Handler]] = MappingProxyType(
    {"account.list_members": list_members, "account.my_access": my_access}
)
