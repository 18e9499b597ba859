"""An event loop whose clock jumps to the next timer as soon as nothing else is left to do."""

from __future__ import annotations

import asyncio
import math
import selectors
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

_Result = TypeVar("_Result")

# asyncio runs a timer when it is less than its clock's resolution away. From 2**24 seconds on, that nanosecond is lost
# in rounding, and a timer is due only once the clock has passed it.
_NANOSECONDS_COUNT_BELOW: Final = 2.0**23


class _JumpingSelector(selectors.DefaultSelector):
    """Where the loop would sleep for a timer, move its clock on by as much instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise RuntimeError(_deadlock())
        if timeout > 0:
            self.now += timeout
            if self.now > _NANOSECONDS_COUNT_BELOW:
                self.now = math.nextafter(self.now, math.inf)
        return ready


def _deadlock() -> str:
    tasks = "; ".join(sorted(map(repr, asyncio.all_tasks())))
    return f"deadlock on the virtual clock: nothing is ready and no timer is set, so these would wait for ever: {tasks}"


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """
    Run hours of timers within milliseconds, in the same order every time.

    The clock starts at 0 and stands still while anything is ready to run. When nothing is, it jumps to the next timer
    instead of sleeping. When there is no timer either, the loop raises a :class:`RuntimeError` that lists the waiting
    tasks: it never hangs.

    It is for code that waits only for timers and for its own tasks. A thread, an executor, a subprocess or a socket
    that is slow to answer does its work in real time, which this clock does not see: timers fire before the answer
    comes, or the wait for it is taken for a deadlock. Use a plain loop for those.
    """

    def __init__(self) -> None:
        self._clock = _JumpingSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        """Return the virtual time: the seconds that this loop has been told to wait so far."""
        return self._clock.now


def run_virtual(main: Coroutine[Any, Any, _Result]) -> _Result:
    """
    Run *main* to its end on a fresh :class:`VirtualClockLoop`, as :func:`asyncio.run` does on a real one.

    Args:
        main: The coroutine; tasks that it leaves behind are cancelled.

    Returns:
        What *main* returned.

    Raises:
        RuntimeError: Everything waits and no timer is set; the message lists the waiting tasks.
    """
    with asyncio.Runner(debug=False, loop_factory=VirtualClockLoop) as runner:
        return runner.run(main)
