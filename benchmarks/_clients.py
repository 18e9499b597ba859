"""
Clients that keep 350 requests a second and 3500 a minute in their own ways, and a server that counts them.

All of them run on a virtual clock: so do aiolimiter, which asks the loop for the time, and pyrate-limiter, which asks a
clock that it can be given. Its timers are a little late, as real ones are.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import sys
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVarTuple, Unpack

import attrs
import backoff
from _rounds import load

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from simulation import server, steady

from mida_async import BufferSettings, MidaClient, RateLimit
from mida_async._core.messages import Response
from mida_async.testing import RateModel, VirtualClockLoop

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Awaitable, Callable, Mapping

    from mida_async._core.messages import Request
    from mida_async._settings import Pacing

Ts = TypeVarTuple("Ts")

LIMITS: Final = (RateLimit(350, per=1), RateLimit(3500, per=60))
STEADY_RATE: Final = 3500 / 60
WORKERS: Final = 32
SMOOTH: Final = "mida_async, smooth"
AUTO: Final = "mida_async, auto (the default)"
AIOLIMITER: Final = "aiolimiter"
PYRATE: Final = "pyrate-limiter"
NAIVE: Final = "naive backoff"


class LateLoop(VirtualClockLoop):
    """
    A virtual clock with timers up to 1.5 ms late.

    Without that, aiolimiter never ends: it computes a time that is a rounding error too early, and on a clock that
    stands still meanwhile, it is too early again and again.
    """

    def __init__(self) -> None:
        super().__init__()
        self._dice = random.Random(2)  # noqa: S311 - a simulation

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call it a little later."""
        return super().call_at(when + self._dice.uniform(0.0, 0.0015), callback, *args, context=context)


@attrs.define
class World:
    """
    A server behind a network, which counts in its own way.

    Attributes:
        model: How the server counts.
        dice: Of the delays.
        admitted: When each request was admitted.
        refused: How many were not.
    """

    model: RateModel
    dice: random.Random
    admitted: list[float] = attrs.field(factory=list[float])
    refused: int = 0

    async def request(self) -> bool:
        """Make one request; return whether it was admitted."""
        await asyncio.sleep(steady(self.dice))
        now = asyncio.get_running_loop().time()
        fine = self.model.admit(now) is None
        if fine:
            self.admitted.append(now)
        else:
            self.refused += 1
        await asyncio.sleep(steady(self.dice))
        return fine


@attrs.frozen
class WorldTransport:
    """Brings the requests of a client to that server. A refusal does not say when to come back."""

    world: World

    async def send(self, request: Request, *, total: float) -> Response:
        """Make the request."""
        del request, total
        fine = await self.world.request()
        return Response(status=200 if fine else 429, headers={}, body=b"{}")

    async def aclose(self) -> None:
        """Do nothing: nothing is open."""


async def engine(world: World, pacing: Pacing) -> None:
    """Record for ever."""
    settings = BufferSettings(rate_limits=LIMITS, pacing=pacing, concurrency=WORKERS, max_records=2_000)
    transport = WorldTransport(world)
    mida = MidaClient("key", "benchmark", base_url="http://127.0.0.1:9", buffer=settings, transport=transport)
    try:
        for number in itertools.count():
            await mida.buffer.record("purchase_completed", id=f"user_{number % 5000}")
    finally:
        await mida.aclose(0)


async def limited(world: World, acquire: Callable[[], Awaitable[object]]) -> None:
    """Let workers send for ever, each request when its turn has come."""

    async def work() -> None:
        while True:
            await acquire()
            await world.request()

    await asyncio.gather(*(work() for _ in range(WORKERS)))


async def with_aiolimiter(world: World) -> None:
    """Send as aiolimiter allows: one limiter for each limit."""
    library: Any = load("aiolimiter", "aiolimiter")
    limiters = [library.AsyncLimiter(each.limit, each.per) for each in LIMITS]

    async def acquire() -> None:
        for limiter in limiters:
            await limiter.acquire()

    await limited(world, acquire)


async def with_pyrate(world: World) -> None:
    """Send as pyrate-limiter allows: one bucket for both limits."""
    library: Any = load("pyrate_limiter", "pyrate-limiter")
    loop = asyncio.get_running_loop()

    class Clock(library.AbstractClock):  # type: ignore[misc]  # the library's types are not known here
        def now(self) -> int:
            return int(1000 * loop.time())

    bucket = library.InMemoryBucket([library.Rate(each.limit, int(1000 * each.per)) for each in LIMITS])
    bucket._clock = Clock()  # noqa: SLF001 - its classes set it in the same way
    limiter = library.Limiter(library.SingleBucketFactory(bucket, schedule_leak=False))
    await limited(world, limiter.try_acquire_async)


async def with_backoff(world: World) -> None:
    """Send as fast as the workers can; after a refusal, each waits longer and longer."""

    async def work() -> None:
        waits = None
        while True:
            if await world.request():
                waits = None
                continue
            if waits is None:
                waits = backoff.expo(max_value=60)
                next(waits)  # the first is for the generator itself
            await asyncio.sleep(world.dice.uniform(0, next(waits)))

    await asyncio.gather(*(work() for _ in range(WORKERS)))


CLIENTS: Final[Mapping[str, Callable[[World], Awaitable[None]]]] = MappingProxyType(
    {
        SMOOTH: lambda world: engine(world, "smooth"),
        AUTO: lambda world: engine(world, "auto"),
        AIOLIMITER: with_aiolimiter,
        PYRATE: with_pyrate,
        NAIVE: with_backoff,
    }
)


def play(client: str, model: str, seconds: float) -> World:
    """Let a client meet a server for some seconds of virtual time."""
    world = World(server(model, LIMITS), random.Random(1))  # noqa: S311 - a simulation

    async def run() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await CLIENTS[client](world)

    with asyncio.Runner(loop_factory=LateLoop) as runner:
        runner.run(run())
    return world
