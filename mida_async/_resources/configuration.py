"""The configuration of a project."""

from __future__ import annotations

from .base import Section


class Configuration(Section):
    """How a project counts."""
