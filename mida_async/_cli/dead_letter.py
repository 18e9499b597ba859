"""The file of the lines that failed."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from .records import BadLine, Event

if TYPE_CHECKING:
    from pathlib import Path


def dead_letter(item: Event | BadLine, reason: str) -> dict[str, object]:
    """
    Return what a dead-letter line holds.

    Args:
        item: The line that failed: its event, or its raw text where it holds none.
        reason: Why.
    """
    content: dict[str, object] = {"line": item.number, "reason": reason}
    return content | ({"event": item.given} if isinstance(item, Event) else {"raw": item.raw})


class DeadLetters:
    """
    Appends to a file of JSON lines, for its owner only because events are about persons.

    Args:
        path: The file; what it holds already stays.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._file = os.fdopen(descriptor, "ab")

    def write(self, item: Event | BadLine, reason: str) -> None:
        """
        Append one line; it is on its way to the disk after :meth:`flush`.

        Args:
            item: The line that failed.
            reason: Why.
        """
        try:
            text = json.dumps(dead_letter(item, reason))
        except RecursionError:  # it was just shallow enough to be read
            text = json.dumps({"line": item.number, "reason": reason})
        self._file.write(text.encode() + b"\n")

    def flush(self) -> None:
        """
        Hand what was written to the operating system.

        Raises:
            OSError: It cannot be written.
        """
        self._file.flush()

    def close(self) -> None:
        """Close the file; what was not flushed may be lost."""
        with suppress(OSError):
            self._file.close()
