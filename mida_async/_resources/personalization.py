"""``mida.personalization``: pages that address one account or persona."""

from __future__ import annotations

from .base import Section


class Personalization(Section):
    """The personalization campaigns of a project."""
