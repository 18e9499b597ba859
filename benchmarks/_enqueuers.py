"""
Queues of several libraries that take comparable events and send nothing: what a caller pays, and what memory.

Each event has a name, one of 5,000 visitors, and two properties. Nothing listens, and nobody takes anything out: the
threads of those that have some are not started.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import attrs
from _rounds import load

from mida_async import BufferSettings, MidaClient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mida_async._core.messages import Request, Response

OURS: Final = "record_nowait"
POSTHOG: Final = "posthog capture"
SEGMENT: Final = "segment track"
AIOKAFKA: Final = "aiokafka accumulator"

NAME: Final = "purchase_completed"
VISITORS: Final = 5_000
NOBODY: Final = "http://127.0.0.1:9"

# So many partitions share what aiokafka keeps; none of them is ever full.
_PARTITIONS: Final = 64
_BATCH_SIZE: Final = 2**30


# Their modules, and how to install them.
_LIBRARIES: Final = MappingProxyType(
    {
        POSTHOG: ("posthog", "posthog"),
        SEGMENT: ("segment.analytics.client", "segment-analytics-python"),
        AIOKAFKA: ("aiokafka.producer.message_accumulator", "aiokafka"),
    }
)


def need(name: str) -> Any:
    """
    Return the module that a queue needs; None where it needs none.

    Raises:
        MissingError: It is not installed.
    """
    return load(*_LIBRARIES[name]) if name in _LIBRARIES else None


@attrs.frozen
class Enqueuer:
    """
    One queue.

    Attributes:
        fill: Puts so many events into it. It is a coroutine because aiokafka has one; the others wait for nothing.
        root: What everything that it keeps can be reached from.
        held: How many events are in it.
        close: Lets go of it.
    """

    fill: Callable[[int], Awaitable[None]]
    root: object
    held: Callable[[], int]
    close: Callable[[], Awaitable[object]]

    def check(self, expected: int) -> None:
        """Make sure that nothing was thrown away silently: that would be cheap."""
        if self.held() != expected:
            message = f"{expected} events were handed over, {self.held()} are there"
            raise RuntimeError(message)


class Silence:
    """A transport that never answers."""

    async def send(self, request: Request, *, total: float) -> Response:
        """Wait for ever."""
        del request, total
        await asyncio.Event().wait()
        raise AssertionError

    async def aclose(self) -> None:
        """Do nothing: nothing is open."""


async def _nothing() -> None:
    """Let go of nothing."""


def _properties() -> dict[str, object]:
    return {"amount": 10, "currency": "EUR"}


def ours(room: int) -> Enqueuer:
    """Return the buffer of a client."""
    settings = BufferSettings(rate_limits=(), max_records=room, max_bytes=2_000 * room)
    mida = MidaClient("key", "benchmark", base_url=NOBODY, buffer=settings, transport=Silence())

    async def fill(count: int) -> None:
        record = mida.buffer.record_nowait
        for number in range(count):
            record(NAME, id=f"user_{number % VISITORS}", properties=_properties())

    async def close() -> None:
        await mida.aclose(0)

    return Enqueuer(fill, mida, lambda: mida.buffer.statistics().pending, close)


def posthog(room: int) -> Enqueuer:
    """Return posthog's client."""
    library = need(POSTHOG)
    client = library.Posthog("key", host=NOBODY, send=False, max_queue_size=room)
    client.send = True  # as for segment, below

    async def fill(count: int) -> None:
        capture = client.capture
        for number in range(count):
            capture(NAME, distinct_id=f"user_{number % VISITORS}", properties=_properties())

    return Enqueuer(fill, client, client.queue.qsize, _nothing)


def segment(room: int) -> Enqueuer:
    """Return segment's client."""
    library = need(SEGMENT)
    client = library.Client("key", host=NOBODY, send=False, max_queue_size=room)
    client.send = True  # it would throw events away otherwise; that no thread of its own runs is settled by now

    async def fill(count: int) -> None:
        track = client.track
        for number in range(count):
            track(f"user_{number % VISITORS}", NAME, _properties())

    return Enqueuer(fill, client, client.queue.qsize, _nothing)


def aiokafka(room: int) -> Enqueuer:
    """Return what aiokafka's producer puts its records into; they are encoded here, as that producer does before."""
    del room  # it has no limit but the size of its batches
    library = need(AIOKAFKA)
    structs: Any = load("aiokafka.structs", "aiokafka")
    accumulator = library.MessageAccumulator(None, _BATCH_SIZE, 0, 3600.0)
    partitions = [structs.TopicPartition(NAME, number) for number in range(_PARTITIONS)]

    async def fill(count: int) -> None:
        add = accumulator.add_message
        for number in range(count):
            key = f"user_{number % VISITORS}"
            value = json.dumps({"event_name": NAME, "id": key, "properties": _properties()}).encode()
            await add(partitions[hash(key) % _PARTITIONS], key.encode(), value, 1.0)

    def held() -> int:
        return sum(batch.record_count for batches in accumulator._batches.values() for batch in batches)  # noqa: SLF001

    async def close() -> None:
        for batches in accumulator._batches.values():  # noqa: SLF001 - they would complain when they are thrown away
            for batch in batches:
                batch.done_noack()

    return Enqueuer(fill, accumulator, held, close)


MAKERS: Final[Mapping[str, Callable[[int], Enqueuer]]] = MappingProxyType(
    {OURS: ours, POSTHOG: posthog, SEGMENT: segment, AIOKAFKA: aiokafka}
)
