"""``mida.projects``: the websites of a company."""

from __future__ import annotations

from .configuration import Configuration


class Projects(Configuration):
    """The projects of a company."""
