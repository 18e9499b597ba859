"""``mida.visitors``: what the server-side SDKs ask."""

from __future__ import annotations

from .base import Section


class Visitors(Section):
    """The four calls of the server-side SDKs."""
