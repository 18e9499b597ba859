"""
Real time without what the machine took, for tests that hold a deadline on a real clock.

A busy machine stops a loop for as long as it likes, and no library can keep a deadline then. A test that allows for it
with a constant is either deaf or fails now and then; this clock stands still while the loop does.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

BEAT = 0.005  # seconds


class LoopClock:
    """
    A clock that is stopped by whatever stops the running loop.

    It leaves out the time by which a timer that is due every few milliseconds was late.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lost = 0.0
        self._due = self._loop.time() + BEAT
        self._timer = self._loop.call_at(self._due, self._beat)

    def __call__(self) -> float:
        """Return the seconds, by the loop's time, in which the loop ran."""
        now = self._loop.time()
        return now - self._lost - max(now - self._due, 0.0)

    def stop(self) -> None:
        """Stop the timer."""
        self._timer.cancel()

    def _beat(self) -> None:
        now = self._loop.time()
        self._lost += max(now - self._due, 0.0)
        self._due = now + BEAT
        self._timer = self._loop.call_at(self._due, self._beat)


@contextlib.contextmanager
def loop_clock() -> Generator[LoopClock]:
    """Measure real time on the running loop while the body runs."""
    clock = LoopClock()
    try:
        yield clock
    finally:
        clock.stop()
