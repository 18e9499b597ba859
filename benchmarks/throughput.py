"""
``record()`` to receipt through the engine against a bare aiohttp worker loop, httpx, and a naive ``gather``.

Run it with ``python benchmarks/throughput.py``. All send the same events to the same server, which has a process of its
own and does next to nothing; all encode each event and read each answer. There is no rate limit. The bare loop and
httpx have as many workers as the engine; ``gather`` starts a task for every event at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from _findings import Chart, Finding, Line, Result, Target
from _harness import HEADERS, PATH, Cost, Way, check, serving_fast, workers
from _rounds import Options, Rounds, load, take_rounds

from mida_async import BufferSettings, MidaClient

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

ENGINE: Final = "engine"
BARE: Final = "bare aiohttp loop"
HTTPX: Final = "httpx loop"
GATHER: Final = "naive gather"
PROPERTIES: Final = {"amount": 10, "currency": "EUR"}

# It is slow, and its figure is a rate.
HTTPX_SHARE: Final = 8


def body(number: int) -> bytes:
    """Encode one event."""
    event = {"event_name": "purchase_completed", "id": f"user_{number}", "properties": PROPERTIES}
    return json.dumps(event).encode()


def numbered(send: Callable[[int], Awaitable[None]], requests: int, concurrency: int) -> Awaitable[None]:
    """Let workers share the numbers of the requests."""
    numbers = iter(range(requests))
    return workers(lambda: send(next(numbers)), requests=requests, concurrency=concurrency)


@contextlib.asynccontextmanager
async def engine(base_url: str, concurrency: int) -> AsyncIterator[Callable[[int], Awaitable[object]]]:
    """Open a client."""
    settings = BufferSettings(rate_limits=(), concurrency=concurrency)
    async with MidaClient("key", "benchmark", base_url=base_url, buffer=settings) as mida:

        async def send(requests: int) -> None:
            for number in range(requests):
                await mida.buffer.record("purchase_completed", id=f"user_{number}", properties=PROPERTIES)
            await mida.buffer.flush()
            now = mida.buffer.statistics()
            check(now.delivered == now.accepted, "the engine did not deliver everything")

        yield send


@contextlib.asynccontextmanager
async def bare(base_url: str, concurrency: int, *, at_once: bool) -> AsyncIterator[Callable[[int], Awaitable[object]]]:
    """Open a session of aiohttp, with its default number of connections."""
    url = base_url + PATH
    async with aiohttp.ClientSession() as session:

        async def post(number: int) -> None:
            async with session.post(url, data=body(number), headers=HEADERS) as response:
                await response.read()
                check(response.status == 200, "the server did not accept a request")

        async def gather(requests: int) -> None:
            await asyncio.gather(*map(post, range(requests)))

        async def loop(requests: int) -> None:
            await numbered(post, requests, concurrency)

        yield gather if at_once else loop


@contextlib.asynccontextmanager
async def httpx(base_url: str, concurrency: int) -> AsyncIterator[Callable[[int], Awaitable[object]]]:
    """Open a client of httpx."""
    library: Any = load("httpx", "httpx")
    url = base_url + PATH
    async with library.AsyncClient() as client:

        async def post(number: int) -> None:
            response = await client.post(url, content=body(number), headers=HEADERS)
            check(response.status_code == 200, "the server did not accept a request")

        async def loop(requests: int) -> None:
            await numbered(post, requests, concurrency)

        yield loop


def compare(base_url: str, chosen: argparse.Namespace) -> Rounds[Cost]:
    """Let the sides take turns on one event loop."""
    many, few, width = chosen.requests, max(1, chosen.requests // HTTPX_SHARE), chosen.concurrency
    with asyncio.Runner() as runner:
        sides = {
            ENGINE: Way(runner, functools.partial(engine, base_url, width), many),
            BARE: Way(runner, functools.partial(bare, base_url, width, at_once=False), many),
            HTTPX: Way(runner, functools.partial(httpx, base_url, width), few),
            GATHER: Way(runner, functools.partial(bare, base_url, width, at_once=True), many),
        }
        try:
            return take_rounds(sides, chosen.rounds)
        finally:
            for side in sides.values():
                side.close()


def result(costs: Rounds[Cost]) -> Result:
    """Return what the costs say."""
    rates = {name: costs.side(name, lambda each: 1 / each.wall) for name in costs.measured}
    busy = {name: costs.side(name, lambda each: 1e6 * each.processor) for name in costs.measured}
    findings = [
        Finding(
            question="record() to receipt, no rate limit",
            unit="events/s",
            ours=rates[ENGINE],
            theirs=rates[theirs],
            target=Target(">=", 0.9) if theirs == BARE else None,
        )
        for theirs in (BARE, HTTPX, GATHER)
    ]
    findings.append(
        Finding(
            question="the same, processor time of the client",
            unit="us an event",
            ours=busy[ENGINE],
            theirs=busy[BARE],
        )
    )
    measured = [side for side in rates.values() if side.values]
    heights = [side.as_json()["median"] for side in measured]
    chart = Chart(
        name="throughput",
        title="Events to one local server, no rate limit",
        x_label="",
        y_label="events/s",
        lines=[Line("median", [side.name for side in measured], heights)],
    )
    return Result(script="throughput", findings=findings, charts=[chart])


def main(arguments: Sequence[str] | None = None) -> Result:
    """Measure, print, and return the findings."""
    sizes = {"rounds": (10, 2), "requests": (2000, 50), "concurrency": (32, 8)}
    chosen = Options("The engine against other ways to send events.", **sizes).read(arguments)
    with serving_fast() as server:
        found = result(compare(server.base_url, chosen))
    found.publish(chosen)
    return found


if __name__ == "__main__":
    main()
