"""``mida.experiments``: what is tested."""

from __future__ import annotations

from .discussion import Discussion
from .reports import Reports
from .serving import Serving


class Experiments(Reports, Serving, Discussion):
    """The experiments of a project."""
