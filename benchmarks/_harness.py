"""What the benchmarks share: a server in a process of its own, costs, and a report that knows when it knows nothing."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import statistics
import time
from typing import TYPE_CHECKING, Final

import attrs
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from multiprocessing.connection import Connection

HEADERS: Final = {"Authorization": "Bearer benchmark", "Content-Type": "application/json", "Accept": "application/json"}
BODY: Final = b'{"event_name": "purchase_completed", "id": "user_1", "properties": {"amount": 10, "currency": "EUR"}}'
PATH: Final = "/v2/project/key/event"


async def answer(request: web.Request) -> web.Response:
    """Read the body and say that all is well."""
    await request.read()
    return web.Response(body=b'{"message": "Event recorded"}', content_type="application/json")


def serve(pipe: Connection) -> None:
    """Serve until killed; tell the port."""

    async def main() -> None:
        application = web.Application()
        application.router.add_post(PATH, answer)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        pipe.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """Serve in another process as long as the context lasts; the value is the base URL."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        server.terminate()
        server.join()


def options(description: str, *, rounds: int) -> argparse.Namespace:
    """Read how much is to be measured from the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, default=32)
    return parser.parse_args()


@attrs.frozen
class Cost:
    """Seconds for one request: of the clock, and of this process's processor."""

    wall: float
    processor: float


async def cost_of(work: Callable[[], Awaitable[object]], *, requests: int) -> Cost:
    """Return what one of the *requests* costs that *work* makes."""
    wall, processor = time.perf_counter(), time.process_time()
    await work()
    return Cost((time.perf_counter() - wall) / requests, (time.process_time() - processor) / requests)


async def workers(send: Callable[[], Awaitable[object]], *, requests: int, concurrency: int) -> None:
    """Let *concurrency* workers share the *requests*."""
    left: Iterator[int] = iter(range(requests))

    async def work() -> None:
        for _ in left:
            await send()

    await asyncio.gather(*(work() for _ in range(concurrency)))


async def take_turns(
    bare: Callable[[], Awaitable[object]], ours: Callable[[], Awaitable[object]], *, rounds: int, requests: int
) -> list[tuple[Cost, Cost]]:
    """Let both sides take turns; return their costs for each round. The first round warms up and is thrown away."""
    results: list[tuple[Cost, Cost]] = []
    for number in range(rounds + 1):
        if number % 2:
            first = await cost_of(bare, requests=requests)
            results.append((first, await cost_of(ours, requests=requests)))
        else:
            first = await cost_of(ours, requests=requests)
            results.append((await cost_of(bare, requests=requests), first))
    return results[1:]


def report(name: str, rounds: list[tuple[Cost, Cost]]) -> None:
    """Print medians and, where the rounds agree on a difference, ratios."""
    _report(name, "throughput", "/s", [(1 / bare.wall, 1 / ours.wall) for bare, ours in rounds])
    _report(name, "processor time", "us each", [(1e6 * bare.processor, 1e6 * ours.processor) for bare, ours in rounds])


def _report(name: str, title: str, unit: str, pairs: list[tuple[float, float]]) -> None:
    bare, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
    low, ratio, high = statistics.quantiles([mine / loop for loop, mine in pairs], n=4)
    print(f"{title}: bare loop {bare:,.0f} {unit}, {name} {ours:,.0f} {unit}")
    if low > 1 or high < 1:
        print(f"  {name} / bare loop {ratio:.3f} (half of the {len(pairs)} rounds: {low:.3f} to {high:.3f})")
    else:
        print(f"  no difference to be seen: half of the {len(pairs)} rounds lie between {low:.3f} and {high:.3f}")
