"""
The transport against a bare aiohttp worker loop: the same requests to the same server, taking turns.

Run it with ``python benchmarks/transport.py``. The server has a process of its own. Every round gives one ratio of
neighbours in time; no ratio is printed when the rounds differ among themselves by more than the two sides do.
"""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

import aiohttp
from _findings import Result
from _harness import BODY, HEADERS, PATH, Cost, findings, serving, take_turns, workers
from _rounds import Options

from mida_async._core.messages import Request
from mida_async._settings import Timeout
from mida_async._transport.aiohttp import AiohttpTransport

if TYPE_CHECKING:
    from collections.abc import Sequence


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


def main(arguments: Sequence[str] | None = None) -> Result:
    """Measure, print, and return the findings."""
    sizes = {"rounds": (10, 2), "requests": (2000, 50), "concurrency": (32, 8)}
    chosen = Options("The transport against a bare aiohttp loop.", **sizes).read(arguments)
    amounts = {name: getattr(chosen, name) for name in sizes}
    with serving() as base_url:
        rounds = asyncio.run(compare(base_url, **amounts))
    found = Result(script="transport", findings=findings("requests through the transport alone", "transport", rounds))
    found.publish(chosen)
    return found


if __name__ == "__main__":
    main()
