"""Senders that have nothing to do, and the one timer that wakes them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    import contextvars
    from collections.abc import Callable


class Rota:
    """
    Wakes one waiting sender at a time.

    One is enough: it looks for work, and before it starts on it wakes the next if there is more. So a single record
    costs one wake-up, however many senders wait, and nothing is lost between looking and waiting, because there is no
    ``await`` between the two.

    Args:
        loop: The loop whose timers are used.
        on_time: Called whenever a time that was set has come, before anybody is woken.
        context: What timers run in.

    Attributes:
        waiting: Those who wait.
        timer: What wakes one of them at the time that is set, if one is.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_time: Callable[[], None], context: contextvars.Context
    ) -> None:
        self._loop = loop
        self._context = context
        self._on_time = on_time
        self.waiting: list[asyncio.Future[None]] = []
        self._woken: asyncio.Future[None] | None = None
        self.timer: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        """Wake one sender, unless one was woken that has not looked yet."""
        while self._woken is None and self.waiting:
            waiter = self.waiting.pop()
            if not waiter.done():
                waiter.set_result(None)
                self._woken = waiter

    def wake_at(self, when: float) -> None:
        """
        Wake one at a time to come. An earlier time that was set before stays: who is woken then will look ahead again.

        Args:
            when: On the loop's clock; infinity sets no timer.
        """
        if when == math.inf or (self.timer is not None and self.timer.when() <= when):
            return
        if self.timer is not None:
            self.timer.cancel()
        self.timer = self._loop.call_at(when, self._ring, context=self._context)

    async def wait(self) -> None:
        """Wait to be woken."""
        waiter = self._loop.create_future()
        self.waiting.append(waiter)
        try:
            await waiter
        finally:
            self._woken = None  # also where another one was woken: one wake-up too many does no harm

    def stop(self) -> None:
        """Set no timer any more."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _ring(self) -> None:
        self.timer = None
        self._on_time()
        self.wake()
