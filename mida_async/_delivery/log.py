"""The engine's own log lines."""

from __future__ import annotations

import contextlib
import logging
from typing import Final

_log: Final = logging.getLogger("mida_async")


def say(level: int, message: str, *values: object, error: BaseException | None = None) -> None:
    """
    Log a line, and never fail of it: a handler can raise, where its disk is full, and no record must come to grief.

    Args:
        level: The level.
        message: The line, with a place for each of *values*.
        values: What goes into it.
        error: An exception to show with its traceback.
    """
    with contextlib.suppress(Exception):
        _log.log(level, message, *values, exc_info=error)
