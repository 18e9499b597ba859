"""
The whole engine against a bare aiohttp worker loop: the same requests to the same server, taking turns.

Run it with ``python benchmarks/delivery.py``. What is timed is ``record()`` to receipt, without a rate limit.
"""

from __future__ import annotations

import asyncio
import functools

import aiohttp
from _harness import BODY, HEADERS, PATH, Cost, options, report, serving, take_turns, workers

from mida_async import BufferSettings, MidaClient


async def compare(base_url: str, *, rounds: int, requests: int, concurrency: int) -> list[tuple[Cost, Cost]]:
    """Return for each round the costs of the bare loop and of the engine."""
    settings = BufferSettings(rate_limits=(), concurrency=concurrency)
    connector = aiohttp.TCPConnector(limit=100, keepalive_timeout=4)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        MidaClient("key", "benchmark", base_url=base_url, buffer=settings) as mida,
    ):

        async def post() -> None:
            async with session.post(base_url + PATH, data=BODY, headers=HEADERS) as response:
                await response.read()

        async def deliver() -> None:
            for number in range(requests):
                visitor, properties = f"user_{number}", {"amount": 10, "currency": "EUR"}
                await mida.buffer.record("purchase_completed", id=visitor, properties=properties)
            await mida.buffer.flush()

        bare = functools.partial(workers, post, requests=requests, concurrency=concurrency)
        return await take_turns(bare, deliver, rounds=rounds, requests=requests)


def main() -> None:
    """Measure and print."""
    chosen = options("The engine against a bare aiohttp loop.", rounds=20)
    with serving() as base_url:
        report("engine", asyncio.run(compare(base_url, **vars(chosen))))


if __name__ == "__main__":
    main()
