"""A hook that logs what happens."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import attrs

from .details import BreakerChanged, RecordEnded, RetryPlanned, SpoolChanged, SpoolOpened

if TYPE_CHECKING:
    from .details import Detail


@attrs.frozen
class LoggingHook:
    """
    Logs every detail at DEBUG, and those that an operator wants to see higher.

    The buffer by itself logs changes of state and a summary of failures; this hook is for those who want each record.

    Args:
        logger: Where to.
    """

    logger: logging.Logger = attrs.field(factory=lambda: logging.getLogger("mida_async.delivery"))

    def __call__(self, detail: Detail, /) -> None:
        """Log *detail*."""
        self.logger.log(_level(detail), "%s", detail)


def _level(detail: Detail) -> int:
    match detail:
        case RecordEnded(end="delivered" | "kept" | "cancelled"):
            return logging.DEBUG
        case RecordEnded() | BreakerChanged(state="open") | SpoolChanged(writable=False):
            return logging.WARNING
        case RetryPlanned() | BreakerChanged() | SpoolChanged() | SpoolOpened():
            return logging.INFO
        case _:
            return logging.DEBUG
