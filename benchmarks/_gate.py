"""A buffer whose requests are answered in memory, as many as they are allowed to be: what the engine itself costs."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from mida_async import BufferSettings, RetryPolicy
from mida_async._core.messages import Response
from mida_async._core.request import Account
from mida_async._delivery.buffer import EventBuffer
from mida_async.destinations.mida import MidaDestination

if TYPE_CHECKING:
    from mida_async._core.messages import Request

OK: Final = Response(status=200, headers={}, body=b'{"message": "Event recorded"}')


class Gate:
    """
    A transport that answers as many requests as it is allowed to, each in the next turn of the loop.

    Attributes:
        done: Set while the next request would have to wait.
    """

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self._allowed = 0
        self._opened = asyncio.Event()

    def allow(self, more: int) -> None:
        """Answer so many more."""
        self._allowed += more
        self.done.clear()
        self._opened.set()

    async def send(self, request: Request, *, total: float) -> Response:
        """Answer, or wait until that is allowed."""
        del request, total
        while not self._allowed:
            self._opened.clear()
            await self._opened.wait()
        self._allowed -= 1
        if not self._allowed:
            self.done.set()
        await asyncio.sleep(0)
        return OK

    async def aclose(self) -> None:
        """Do nothing: nothing is open."""


class GatedBuffer:
    """
    A buffer behind a gate; its costs are seconds of the processor, with the garbage collector at work.

    Args:
        room: How many records it holds.
        visitors: How many visitors the records are of.
    """

    def __init__(self, room: int, visitors: int) -> None:
        self._gate = Gate()
        self._visitors = visitors
        self._recorded = 0
        destination = MidaDestination(Account.create(project_key="key", api_key="benchmark", region="us"))
        settings = BufferSettings(rate_limits=(), max_records=room, max_bytes=2_000 * room)
        self.buffer = EventBuffer(destination, self._gate, settings=settings, retry=RetryPolicy(), total=3600.0)
        self.buffer.bind()

    def record(self, count: int) -> float:
        """Record so many events, whose bodies have about 100 bytes; return what that cost."""
        began = time.process_time()
        for number in range(self._recorded, self._recorded + count):
            visitor, properties = f"user_{number % self._visitors}", {"amount": 10, "currency": "EUR"}
            self.buffer.record_nowait("purchase_completed", id=visitor, properties=properties)
        self._recorded += count
        return time.process_time() - began

    async def deliver(self, count: int) -> float:
        """Let so many more be delivered, and wait for that; return what that cost."""
        began = time.process_time()
        self._gate.allow(count)
        await self._gate.done.wait()
        return time.process_time() - began
