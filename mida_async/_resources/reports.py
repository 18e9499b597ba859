"""The reports of an experiment."""

from __future__ import annotations

from .base import Section


class Reports(Section):
    """What an experiment came to."""
