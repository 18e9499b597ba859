"""The endpoints of the account."""

from __future__ import annotations

from typing import Final

from ...models.account import Access, MemberList
from .base import by_name, row

ROWS: Final = by_name(
    row(
        "account.list_members",
        "GET P/account/members",
        "list-team-members",
        "List the people who have access to the account.",
        answer=MemberList,
        rows="members",
    ),
    row(
        "account.my_access",
        "GET P/account/my-access",
        "get-my-access",
        "Get what the API key allows.",
        answer=Access,
    ),
)
