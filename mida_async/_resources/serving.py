"""Serving the winner of an experiment."""

from __future__ import annotations

from .base import Section


class Serving(Section):
    """Showing a winner to all visitors."""
