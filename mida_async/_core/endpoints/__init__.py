"""
The endpoints of the API, as a table.

One row says all that is particular to an endpoint: where it is, what it takes, whether it may be repeated, and what its
result is. The requests, the checks, the retries, the emulator's routes, the command line, the OpenAPI document and the
documentation are made from it.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from . import (
    account,
    configuration,
    discussion,
    events,
    exclusion_groups,
    experiments,
    goals,
    personalization,
    projects,
    reports,
    serving,
    visitors,
)
from .base import DOCS, Endpoint, Host, Layout, Method, Repeat, lay_out

_SECTIONS: Final = (
    *(events.ROWS, goals.ROWS, experiments.ROWS, reports.ROWS, serving.ROWS, discussion.ROWS),
    *(projects.ROWS, configuration.ROWS, exclusion_groups.ROWS, account.ROWS, personalization.ROWS, visitors.ROWS),
)

ENDPOINTS: Final = MappingProxyType({row.name: row for rows in _SECTIONS for row in rows})

__all__ = ["DOCS", "ENDPOINTS", "Endpoint", "Host", "Layout", "Method", "Repeat", "lay_out"]
