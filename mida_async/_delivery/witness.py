"""What direct calls tell the engine. They are never held up by it."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, cast

from .._core.messages import Response
from .._core.response import error_from
from .._core.scheduler import Outcome
from .log import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._core.pacer import Slot
    from .._errors import TransportError
    from .buffer import EventBuffer


class BufferWitness:
    """
    Lets a buffer learn from direct calls: that they use up the rate, that the server refuses, that it is away or back.

    Args:
        buffer: Whose pacer and breaker are told.
        secret: The API key, to be taken out of what a server echoes.
        wall_clock: Seconds since the epoch; only used to read dates in headers.
    """

    def __init__(self, buffer: EventBuffer[...], *, secret: str, wall_clock: Callable[[], float] = time.time) -> None:
        self._buffer = buffer
        self._secret = secret
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
        error = error_from(outcome, endpoint=None, request="", secret=self._secret, wall_now=wall_now)
        return Outcome(error=error, status=outcome.status, headers=outcome.headers, wall_now=wall_now)
