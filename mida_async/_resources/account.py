"""``mida.account``: who has access."""

from __future__ import annotations

from .base import Section


class AccountAccess(Section):
    """Who has access to the account."""
