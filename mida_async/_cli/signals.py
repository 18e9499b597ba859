"""Ctrl-C and SIGTERM: the first asks to stop, the second stops."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_EXIT_BASE: Final = 128


class Interrupts:
    """
    Counts the signals that ask to stop.

    Args:
        on_first: Called at the first one, on the loop.
        on_second: Called at the second one; the process then ends.
    """

    def __init__(self, on_first: Callable[[], None], on_second: Callable[[], None]) -> None:
        self._on_first = on_first
        self._on_second = on_second
        self.exit_code: int | None = None

    @contextmanager
    def watched(self) -> Generator[None]:
        """Handle the signals inside the ``with`` block, on the running loop, and put back what was before."""
        loop = asyncio.get_running_loop()
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        for number in _SIGNALS:
            _install(loop, number, self._received)
        try:
            yield
        finally:
            for number in _SIGNALS:
                _remove(loop, number)
                signal.signal(number, before[number])

    def _received(self, number: int) -> None:
        if self.exit_code is None:
            self.exit_code = _EXIT_BASE + number
            self._on_first()
            return
        try:
            self._on_second()
        finally:
            os._exit(_EXIT_BASE + number)  # threads that read, and requests under way, must not hold it up


def _install(loop: asyncio.AbstractEventLoop, number: int, received: Callable[[int], None]) -> None:
    try:
        loop.add_signal_handler(number, received, number)
    except NotImplementedError:  # the loop of Windows
        signal.signal(number, lambda _number, _frame: loop.call_soon_threadsafe(received, number) and None)


def _remove(loop: asyncio.AbstractEventLoop, number: int) -> None:
    try:
        loop.remove_signal_handler(number)
    except NotImplementedError:
        return
