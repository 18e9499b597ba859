"""
The transport against a bare aiohttp worker loop: the same requests to the same server, taking turns.

Run it with ``python benchmarks/transport.py``. The server has a process of its own. Every round gives one ratio of
neighbours in time; no ratio is printed when the rounds differ among themselves by more than the two sides do.
"""

from __future__ import annotations

import asyncio
import functools

import aiohttp
from _harness import BODY, HEADERS, PATH, Cost, options, report, serving, take_turns, workers

from mida_async._core.messages import Request
from mida_async._settings import Timeout
from mida_async._transport.aiohttp import AiohttpTransport


async def compare(base_url: str, *, rounds: int, requests: int, concurrency: int) -> list[tuple[Cost, Cost]]:
    """Return for each round the costs of the bare loop and of the transport."""
    url = base_url + PATH
    transport = AiohttpTransport(timeout=Timeout())
    request = Request(method="POST", url=url, headers=HEADERS, body=BODY, max_response_bytes=2**16)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=100, keepalive_timeout=4)) as session:

        async def bare() -> None:
            async with session.post(url, data=BODY, headers=HEADERS) as response:
                await response.read()

        async def ours() -> None:
            await transport.send(request, total=60)

        share = functools.partial(workers, requests=requests, concurrency=concurrency)
        results = await take_turns(
            functools.partial(share, bare), functools.partial(share, ours), rounds=rounds, requests=requests
        )
    await transport.aclose()
    return results


def main() -> None:
    """Measure and print."""
    chosen = options("The transport against a bare aiohttp loop.", rounds=20)
    with serving() as base_url:
        report("transport", asyncio.run(compare(base_url, **vars(chosen))))


if __name__ == "__main__":
    main()
