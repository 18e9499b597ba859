"""``mida.exclusion_groups``: experiments that share no visitor."""

from __future__ import annotations

from .base import Section


class ExclusionGroups(Section):
    """The groups of experiments that share no visitor."""
