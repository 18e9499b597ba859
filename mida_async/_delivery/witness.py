"""What direct calls tell the engine. They are never held up by it."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Protocol, cast

from .._core.messages import Response
from .._core.scheduler import Outcome
from .log import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._core.pacer import Slot
    from .._errors import MidaError, TransportError
    from .buffer import EventBuffer


class Judge(Protocol):
    """Says what a response means."""

    def __call__(self, response: Response, /, *, wall_now: float) -> MidaError | None:
        """
        Return the error that *response* stands for, None where it is a success.

        Args:
            response: What came back.
            wall_now: Seconds since the epoch.
        """
        ...


class BufferWitness:
    """
    Lets a buffer learn from direct calls: that they use up the rate, that the server refuses, that it is away or back.

    Args:
        buffer: Whose pacer and breaker are told.
        judge: Makes the error that a response stands for, None for a success; it is told the time since the epoch as
            ``wall_now``.
        wall_clock: Seconds since the epoch; only used to read dates in headers.
    """

    def __init__(self, buffer: EventBuffer[...], judge: Judge, *, wall_clock: Callable[[], float] = time.time) -> None:
        self._buffer = buffer
        self._judge = judge
        self._wall_clock = wall_clock

    def sending(self, now: float) -> Slot:
        """Pay for a request that goes out at *now*, and return what :meth:`answered` needs to know of it."""
        return self._buffer.scheduler.pacer.take(now)

    def answered(self, token: object, outcome: Response | TransportError | None, now: float) -> None:
        """Take in what came back; None where the call was broken off."""
        try:
            self._take_in(cast("Slot", token), outcome, now)
        except Exception as error:  # noqa: BLE001 - a direct call must not fail of what the buffer makes of it
            say(logging.ERROR, "an error in the delivery engine about a direct call; it goes on", error=error)

    def _take_in(self, slot: Slot, outcome: Response | TransportError | None, now: float) -> None:
        if outcome is None:
            self._buffer.scheduler.interrupted(now)
            self._buffer.look(None)
        else:
            seen = self._outcome(outcome)
            self._buffer.scheduler.observe(slot, seen, now)
            self._buffer.look(seen.error)

    def _outcome(self, outcome: Response | TransportError) -> Outcome:
        if not isinstance(outcome, Response):
            return Outcome(error=outcome)
        wall_now = self._wall_clock()
        error = self._judge(outcome, wall_now=wall_now)
        return Outcome(error=error, status=outcome.status, headers=outcome.headers, wall_now=wall_now)
