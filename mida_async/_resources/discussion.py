"""The discussion of an experiment."""

from __future__ import annotations

from .base import Section


class Discussion(Section):
    """What people say about an experiment."""
