"""What happens inside, for whoever wants to count, trace or log it."""

from __future__ import annotations

from .details import (
    AttemptMade,
    BreakerChanged,
    Detail,
    Hook,
    RateChanged,
    RecordAccepted,
    RecordEnded,
    RecordFolded,
    RecordRecovered,
    RecordRepeated,
    RetryPlanned,
    SpoolChanged,
    SpoolOpened,
    Throttled,
)
from .logging import LoggingHook

__all__ = [
    "AttemptMade",
    "BreakerChanged",
    "Detail",
    "Hook",
    "LoggingHook",
    "RateChanged",
    "RecordAccepted",
    "RecordEnded",
    "RecordFolded",
    "RecordRecovered",
    "RecordRepeated",
    "RetryPlanned",
    "SpoolChanged",
    "SpoolOpened",
    "Throttled",
]
