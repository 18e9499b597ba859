"""What becomes of a request, whatever way it came: the faults of the script, the latency, the state machine."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from .faults import CutBody, Latency, NotJSON, ResetAfter, Stall, StallBody, Status
from .klaviyo import is_klaviyo
from .klaviyo_wire import MAX_BODY_BYTES
from .wire import Reply, failure

if TYPE_CHECKING:
    from .records import ReceivedRequest
    from .state import State

Gone: TypeAlias = Callable[[float | None], Awaitable[bool]]
"""Waits until the client has gone away, at most so many seconds (None is for ever), and says whether it has."""


class Manner(enum.Enum):
    """How the connection of a request goes on."""

    WHOLE = "the whole answer"
    CUT = "the head and half of the body, then the end of the connection"
    STALLED = "the head and half of the body, then silence"
    RESET = "no answer, and the end of the connection"
    GONE = "nothing: the client has gone"


@attrs.frozen
class Ending:
    """
    What is to be done about a request.

    Attributes:
        manner: How its connection goes on.
        reply: What is answered; empty where nothing is.
    """

    manner: Manner
    reply: Reply = attrs.field(factory=lambda: Reply(0, b"", {}))

    @property
    def half(self) -> bytes:
        """What comes of the body where it breaks off or stalls."""
        return self.reply.body[: len(self.reply.body) // 2]


@attrs.frozen(kw_only=True)
class PlaySettings:
    """
    How requests are treated.

    Attributes:
        latency: Seconds that every request waits before anything is done about it.
        max_body_bytes: Larger bodies are answered with 413, but for those to Klaviyo, which has a limit of its own.
        clock: The clock of the limits.
        wall_clock: Seconds since the epoch.
    """

    latency: float
    max_body_bytes: int
    clock: Callable[[], float]
    wall_clock: Callable[[], float]


class Player:
    """
    Decides what becomes of requests. The server and the memory transport carry it out, each in its own way.

    Args:
        state: The state machine.
        settings: How requests are treated.
    """

    def __init__(self, state: State, settings: PlaySettings) -> None:
        self._state: Final = state
        self._settings: Final = settings

    def resets_before_body(self, received: ReceivedRequest) -> bool:
        """Say whether the connection is to be reset before the body is read; the request has then arrived."""
        with self._state.lock:
            resets = self._state.script.take_before_body(received)
        if resets:
            self.arrived(received)
        return resets

    def too_large(self, received: ReceivedRequest, size: int) -> Reply | None:
        """Return the refusal of a body of *size* bytes, if it is one byte too long or more."""
        most = MAX_BODY_BYTES if is_klaviyo(received.path) else self._settings.max_body_bytes
        text = f"The request body must not be larger than {most} bytes"
        return self.refusal(received, 413, text) if size > most else None

    def refusal(self, received: ReceivedRequest, status: int, text: str) -> Reply:
        """Return an error for a request that never came to be applied."""
        return self._state.failure(received.path, status, text)

    def arrived(self, received: ReceivedRequest) -> None:
        """Remember a request, which has arrived now."""
        received.received_at = self._settings.clock()
        self._state.requests.add(received)

    async def answer(self, received: ReceivedRequest, gone: Gone) -> Ending:
        """
        Treat a request as the script says, or apply it.

        It waits for the latency and for stalls. Cancelling it leaves the request without an answer.

        Args:
            received: The request.
            gone: Waits for the client to go away.
        """
        if self._settings.latency > 0:
            await asyncio.sleep(self._settings.latency)
        with self._state.lock:
            fault = self._state.script.take(received)
        if isinstance(fault, Latency):
            await asyncio.sleep(fault.seconds)
        match fault:
            case None | Latency():
                return Ending(Manner.WHOLE, self._apply(received))
            case Stall():
                return await self._stall(fault, received, gone)
            case Status() | NotJSON():
                return self._answer_falsely(fault, received)
            case CutBody():
                return Ending(Manner.CUT, self._apply(received))
            case StallBody():
                return Ending(Manner.STALLED, self._apply(received))
            case _:
                return self._reset(received, applied=isinstance(fault, ResetAfter))

    def _apply(self, received: ReceivedRequest) -> Reply:
        reply = self._state.handle(received, now=self._settings.clock(), today=self._settings.wall_clock())
        received.status = reply.status
        return reply

    def _answer_falsely(self, fault: Status | NotJSON, received: ReceivedRequest) -> Ending:
        if fault.applied:
            self._apply(received)
        reply = fault.reply()
        received.status = reply.status
        return Ending(Manner.WHOLE, reply)

    def _reset(self, received: ReceivedRequest, *, applied: bool) -> Ending:
        if applied:
            self._apply(received)
            received.status = None
        return Ending(Manner.RESET)

    async def _stall(self, fault: Stall, received: ReceivedRequest, gone: Gone) -> Ending:
        reply = self._apply(received) if fault.applied else failure(504, HTTPStatus.GATEWAY_TIMEOUT.phrase)
        received.status = None
        if await gone(fault.seconds):
            return Ending(Manner.GONE)
        received.status = reply.status
        return Ending(Manner.WHOLE, reply)
