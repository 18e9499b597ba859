"""All endpoints, for those who need every one: the emulator, the command line, the documents."""

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

ENDPOINTS: Final = MappingProxyType(
    {
        **events.ROWS,
        **goals.ROWS,
        **experiments.ROWS,
        **reports.ROWS,
        **serving.ROWS,
        **discussion.ROWS,
        **projects.ROWS,
        **configuration.ROWS,
        **exclusion_groups.ROWS,
        **account.ROWS,
        **personalization.ROWS,
        **visitors.ROWS,
    }
)
