"""Samples of the calls of the account."""

from __future__ import annotations

import datetime as dt

from mida_async.models import Access, Member, MemberList, Role
from wire.base import Sample

SAMPLES = (
    Sample(
        endpoint="account.list_members",
        call=lambda mida: mida.account.list_members(),
        sent="GET P/account/members",
        answer={
            "success": True,
            "count": 2,
            "members": [
                {
                    "name": "Alicia",
                    "email": "alicia@example.com",
                    "role": 0,
                    "role_label": "Owner",
                    "can_edit": True,
                    "status": "active",
                    "membership": "direct",
                    "last_login_at": "2026-08-18T09:12:44.000Z",
                    "is_you": True,
                },
                {
                    "name": "Sam",
                    "email": "sam@example.com",
                    "role": 3,
                    "role_label": "Viewer",
                    "can_edit": False,
                    "status": "invited",
                    "membership": "invited member",
                    "last_login_at": None,
                },
            ],
        },
        result=MemberList(
            success=True,
            count=2,
            members=(
                Member(
                    name="Alicia",
                    email="alicia@example.com",
                    role=Role.OWNER,
                    role_label="Owner",
                    can_edit=True,
                    status="active",
                    membership="direct",
                    last_login_at=dt.datetime(2026, 8, 18, 9, 12, 44, tzinfo=dt.UTC),
                    is_you=True,
                ),
                Member(
                    name="Sam",
                    email="sam@example.com",
                    role=Role.VIEWER,
                    role_label="Viewer",
                    can_edit=False,
                    status="invited",
                    membership="invited member",
                ),
            ),
        ),
    ),
    Sample(
        endpoint="account.my_access",
        call=lambda mida: mida.account.my_access(),
        sent="GET P/account/my-access",
        answer={
            "success": True,
            "authenticated_as": "project API key",
            "role": None,
            "role_label": None,
            "can_edit": True,
            "note": "Nobody is signed in.",
        },
        result=Access(success=True, authenticated_as="project API key", can_edit=True, note="Nobody is signed in."),
    ),
    Sample(
        endpoint="account.my_access",
        call=lambda mida: mida.account.my_access(),
        sent="GET P/account/my-access",
        answer={
            "success": True,
            "authenticated_as": "user",
            "role": 1,
            "role_label": "Admin",
            "can_edit": True,
            "note": "May change everything.",
        },
        result=Access(
            success=True,
            authenticated_as="user",
            role=Role.ADMIN,
            role_label="Admin",
            can_edit=True,
            note="May change everything.",
        ),
    ),
)
