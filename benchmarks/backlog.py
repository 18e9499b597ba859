"""
What a record costs while many wait: time with 1,000,000 waiting against 10,000, and memory.

Run it with ``python benchmarks/backlog.py``. There is no network: a transport in memory answers at once, when it is
allowed to. Times are those of the processor, with the garbage collector at work. They are taken in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import statistics
import time
import tracemalloc
from typing import TYPE_CHECKING, Final

import attrs

from mida_async import BufferSettings, RetryPolicy
from mida_async._core.messages import Response
from mida_async._core.request import Account
from mida_async._delivery.buffer import EventBuffer
from mida_async.destinations.mida import MidaDestination

if TYPE_CHECKING:
    from mida_async._core.messages import Request

VISITORS: Final = 5_000
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


@attrs.frozen
class Costs:
    """Microseconds for each record: while the backlog grows to its full length, and recorded and delivered there."""

    growing: float
    recording: float
    delivering: float


def make(gate: Gate, room: int) -> EventBuffer[...]:
    """Return a buffer with no limits but its room."""
    destination = MidaDestination(Account.create(project_key="key", api_key="benchmark", region="us"))
    settings = BufferSettings(rate_limits=(), max_records=room, max_bytes=2_000 * room)
    return EventBuffer(destination, gate, settings=settings, retry=RetryPolicy(), total=3600.0)


def record(buffer: EventBuffer[...], count: int) -> None:
    """Record so many events; their bodies have about 100 bytes."""
    for number in range(count):
        visitor, properties = f"user_{number % VISITORS}", {"amount": 10, "currency": "EUR"}
        buffer.record_nowait("purchase_completed", id=visitor, properties=properties)


async def deliver(gate: Gate, count: int) -> None:
    """Let so many more be delivered, and wait for that."""
    gate.allow(count)
    await gate.done.wait()


async def costs(waiting: int, some: int) -> Costs:
    """
    Measure with so many records waiting.

    Args:
        waiting: The backlog.
        some: How many are recorded and delivered on top of it.
    """
    gc.collect()  # what the round before has left must not be a cost of this one
    gate = Gate()
    buffer = make(gate, waiting + some)
    clock = [time.process_time()]
    buffer.bind()
    record(buffer, waiting)
    clock.append(time.process_time())
    record(buffer, some)
    clock.append(time.process_time())
    await deliver(gate, some)
    clock.append(time.process_time())
    await buffer.aclose(timeout=0)
    spent = (1e6 * (end - begin) for begin, end in itertools.pairwise(clock))
    return Costs(*(each / count for each, count in zip(spent, (waiting, some, some), strict=True)))


async def memory_of(count: int) -> float:
    """Return the bytes that are allocated for each of so many waiting records; nobody keeps their Deliveries."""
    buffer = make(Gate(), count)
    buffer.bind()
    record(buffer, 1)
    tracemalloc.start()
    record(buffer, count - 1)
    each = tracemalloc.get_traced_memory()[0] / (count - 1)
    tracemalloc.stop()
    await buffer.aclose(timeout=0)
    return each


def show(short: list[Costs], long: list[Costs]) -> None:
    """Print medians and their ratios."""
    for field in attrs.fields(Costs):
        few, many = (statistics.median(getattr(each, field.name) for each in side) for side in (short, long))
        print(f"{field.name:<12} {few:>8.1f} us {many:>8.1f} us   {many / few:.2f}x")


def main(arguments: list[str] | None = None) -> tuple[float, list[Costs], list[Costs]]:
    """Measure, print, and return the bytes for a record and the costs with a short and a long backlog."""
    parser = argparse.ArgumentParser(description="Time and memory with many records waiting.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--short", type=int, default=10_000)
    parser.add_argument("--long", type=int, default=200_000)
    parser.add_argument("--some", type=int, default=10_000)
    parser.add_argument("--for-memory", type=int, default=100_000)
    chosen = parser.parse_args(arguments)
    each = asyncio.run(memory_of(chosen.for_memory))
    print(f"memory: {each:.0f} bytes for each of {chosen.for_memory:,} waiting records of {VISITORS:,} visitors")
    short: list[Costs] = []
    long: list[Costs] = []
    for _ in range(chosen.rounds):
        short.append(asyncio.run(costs(chosen.short, chosen.some)))
        long.append(asyncio.run(costs(chosen.long, chosen.some)))
    print(f"waiting      {chosen.short:>11,} {chosen.long:>11,}   ratio")
    show(short, long)
    return each, short, long


if __name__ == "__main__":
    main()
