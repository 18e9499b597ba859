"""Deadlines for many waits on one timer."""

from __future__ import annotations

import asyncio
import contextvars
import math
from typing import Generic, TypeVar

import attrs


@attrs.define(eq=False, repr=False, kw_only=True)
class Wait:
    """
    Something that a task does until a deadline.

    Attributes:
        task: The task, which is cancelled at the deadline.
        deadline: When, on the clock of the event loop.
        reached: Whether the task was cancelled for it.
    """

    task: asyncio.Task[object]
    deadline: float
    reached: bool = False
    _cancelling: int = attrs.field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        self._cancelling = self.task.cancelling()

    def settle(self) -> bool:
        """Take the deadline's cancellation back; return whether there was one, and nobody else's beside it."""
        if not self.reached:
            return False
        self.reached = False
        return self.task.uncancel() <= self._cancelling


_AnyWait = TypeVar("_AnyWait", bound=Wait)


class Watch(Generic[_AnyWait]):
    """
    Cancels tasks at their deadlines, as :func:`asyncio.timeout` does, for next to nothing.

    The timer is set for the earliest deadline. A later one, and one that moves away, leaves it alone: it finds out when
    it rings. So a stream of short waits with long deadlines sets a timer once per deadline's length, not once per wait,
    which is most of what a timeout costs.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.waits: set[_AnyWait] = set()
        self.loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = math.inf
        self._context = contextvars.Context()  # a timer can outlive the wait, and the request, for which it was set

    def add(self, wait: _AnyWait) -> None:
        """Watch *wait* from now on."""
        self.waits.add(wait)
        self.move(wait, wait.deadline)

    def move(self, wait: _AnyWait, deadline: float) -> None:
        """Give *wait* another deadline, earlier or later."""
        wait.deadline = deadline
        if deadline < self._rings_at:
            self._set_timer(deadline)

    def remove(self, wait: _AnyWait) -> None:
        """Forget *wait*."""
        self.waits.discard(wait)

    def stop(self) -> None:
        """Put the timer away; nothing is watched any more."""
        self._set_timer(math.inf)

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at = when
        self._timer = None if when == math.inf else self.loop.call_at(when, self._ring, context=self._context)

    def _ring(self) -> None:
        now = self.loop.time()
        for wait in self.waits:
            if wait.deadline <= now and not wait.reached:
                wait.reached = True
                wait.task.cancel()
        self._set_timer(min((wait.deadline for wait in self.waits if not wait.reached), default=math.inf))
