"""``mida.account`` against the emulator."""

from __future__ import annotations

import pytest
from resource_calls import PROJECT_KEY, Calls, calling

from mida_async import AuthenticationError, MidaClient
from mida_async.models import Role
from mida_async.testing import Status
from mida_async.testing._emulator.account import MemberRow, MemberStore


def test_the_members_of_an_account_are_listed() -> None:
    """The owner comes first; a viewer may not edit, and whoever is only invited never signed in."""

    async def test(call: Calls) -> None:
        members = call.emulator.state.company(1001).store(MemberStore)
        members.rows.append(MemberRow(name="Sam", email="sam@example.com", role=Role.VIEWER, invited=True))
        answer = await call.mida.account.list_members()
        assert (answer.success, answer.count) == (True, 2)
        owner, viewer = answer.members
        assert (owner.role, owner.role_label, owner.can_edit) == (Role.OWNER, "Owner", True)
        assert (owner.status, owner.membership, owner.is_you) == ("active", "direct", None)
        assert (viewer.name, viewer.email) == ("Sam", "sam@example.com")
        assert (viewer.role, viewer.role_label, viewer.can_edit) == (Role.VIEWER, "Viewer", False)
        assert (viewer.status, viewer.membership, viewer.last_login_at) == ("invited", "invited member", None)

    calling(test)


def test_a_role_that_is_new_comes_as_its_number() -> None:
    """A role that this package does not know is a number like the others."""

    async def test(call: Calls) -> None:
        call.emulator.script(Status(200, body={"members": [{"role": 7, "role_label": "Guest"}, {"role": "1"}]}))
        answer = await call.mida.account.list_members()
        assert [member.role for member in answer.members] == [7, Role.ADMIN]

    calling(test)


def test_an_api_key_has_no_role() -> None:
    """A plain API key may edit, and is nobody."""

    async def test(call: Calls) -> None:
        access = await call.mida.account.my_access()
        assert (access.authenticated_as, access.can_edit) == ("project API key", True)
        assert (access.role, access.role_label) == (None, None)
        assert access.note

    calling(test)


def test_my_access_tells_whether_the_key_is_right() -> None:
    """A wrong API key is AuthenticationError."""

    async def test(call: Calls) -> None:
        async with MidaClient(PROJECT_KEY, "wrong", base_url=call.emulator.base_url) as mida:
            with pytest.raises(AuthenticationError):
                await mida.account.my_access()

    calling(test)
