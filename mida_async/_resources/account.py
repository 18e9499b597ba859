"""``mida.account``: who has access."""

from __future__ import annotations

from .._core.endpoints.account import ROWS
from ..models.account import Access, MemberList
from .base import Section


class AccountAccess(Section):
    """Who has access to the account."""

    async def list_members(self) -> MemberList:
        """Get the people who have access to the account (docs/v2/list-team-members, 2026-08-22)."""
        return await self._call(ROWS["account.list_members"], MemberList)

    async def my_access(self) -> Access:
        """
        Get what the API key allows (docs/v2/get-my-access, 2026-08-22).

        It changes nothing and needs nothing to be there, so it is a cheap way to find out whether project key, API key
        and region go together: where they do not, it raises.
        """
        return await self._call(ROWS["account.my_access"], Access)
