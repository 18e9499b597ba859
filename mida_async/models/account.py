"""What the account endpoints answer with."""

from __future__ import annotations

import datetime as dt
import enum

import attrs

from .base import Model, Reply


class Role(enum.IntEnum):
    """
    What a person may do (docs/v2/list-team-members, 2026-08-22).

    Results hold the plain number, which equals its member here; numbers that are not here may come, too.
    """

    OWNER = 0
    ADMIN = 1
    EDITOR = 2

    VIEWER = 3
    """The only one who cannot change anything."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Member(Model):
    """
    Somebody who has access to the account (docs/v2/list-team-members, 2026-08-22).

    Attributes:
        name: Their name.
        email: Their address.
        role: Their :class:`Role`, as a number.
        role_label: The role's name.
        can_edit: Whether they may change anything.
        status: ``active``, or ``invited`` as long as the invitation is not accepted.
        membership: ``direct`` where the account is their own, otherwise ``invited member``.
        last_login_at: When they signed in last.
        is_you: Whether it is whoever asks. An API key is nobody, and gets no such field.
    """

    name: str | None = None
    email: str | None = None
    role: int | None = None
    role_label: str | None = None
    can_edit: bool | None = None
    status: str | None = None
    membership: str | None = None
    last_login_at: dt.datetime | None = None
    is_you: bool | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class MemberList(Reply):
    """
    Who has access to the account (docs/v2/list-team-members, 2026-08-22).

    Attributes:
        count: How many there are.
        members: All of them; the page knows no paging.
    """

    count: int | None = None
    members: tuple[Member, ...] = ()


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Access(Reply):
    """
    What the credentials in use allow (docs/v2/get-my-access, 2026-08-22).

    Attributes:
        authenticated_as: ``project API key``, or ``user`` for a person.
        role: The person's :class:`Role`, as a number; None for an API key.
        role_label: The role's name; None for an API key.
        can_edit: Whether they allow changes; True for an API key.
        note: The same in words.
    """

    authenticated_as: str | None = None
    role: int | None = None
    role_label: str | None = None
    can_edit: bool | None = None
    note: str | None = None
