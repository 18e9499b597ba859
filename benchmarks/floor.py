"""
The transport against a bare protocol, which is as little as asyncio can do, and against aiohttp's own session.

Run it with ``python benchmarks/floor.py``. All post to the same server, which has a process of its own and does next to
nothing, and take turns. The bare protocol writes a request that was put together beforehand, takes whatever comes for
the whole answer, and has neither deadlines nor errors. What counts is the processor time of this process: with a server
on the same machine, requests per second say as much about the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import TYPE_CHECKING, Final, cast

import aiohttp
from _findings import Finding, Result
from _harness import BODY, HEADERS, PATH, Cost, Way, check, serving_fast, workers
from _rounds import Options, Rounds, take_rounds

from mida_async._core.messages import Request
from mida_async._settings import Timeout
from mida_async._transport.aiohttp import AiohttpTransport

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    Sender = Callable[[int], Awaitable[object]]
    Opener = Callable[[str, int], AbstractAsyncContextManager[Sender]]

FLOOR: Final = "bare protocol"
SESSION: Final = "bare aiohttp session"
TRANSPORT: Final = "transport"
LENT: Final = "transport with a session that was lent"

# Only the end of an answer is looked at: it is short, and comes in one piece.
ANSWERED: Final = b"}"


class Bare(asyncio.BufferedProtocol):
    """Sends the same bytes again and again."""

    def __init__(self) -> None:
        self._buffer = bytearray(2**14)
        self._answered: asyncio.Future[None] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002  the event loop's signature
        """Say where to put what comes."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take it for an answer."""
        check(self._buffer[nbytes - 1 : nbytes] == ANSWERED, "an answer came in pieces")
        if self._answered is not None:
            self._answered.set_result(None)

    def ask(self, request: bytes, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """Send a request; the future is done when the answer is there."""
        self._answered = loop.create_future()
        cast("asyncio.Transport", self.transport).write(request)
        return self._answered


@contextlib.asynccontextmanager
async def bare(base_url: str, concurrency: int) -> AsyncIterator[Sender]:
    """Open the connections of the floor."""
    host, _, port = base_url.removeprefix("http://").partition(":")
    loop = asyncio.get_running_loop()
    lines = [f"POST {PATH} HTTP/1.1", f"Host: {host}:{port}", *(f"{name}: {value}" for name, value in HEADERS.items())]
    request = "\r\n".join([*lines, f"Content-Length: {len(BODY)}", "", ""]).encode() + BODY
    idle = [(await loop.create_connection(Bare, host, int(port)))[1] for _ in range(concurrency)]

    async def send() -> None:
        connection = idle.pop()
        await connection.ask(request, loop)
        idle.append(connection)

    yield lambda requests: workers(send, requests=requests, concurrency=concurrency)
    for connection in idle:
        cast("asyncio.Transport", connection.transport).close()


@contextlib.asynccontextmanager
async def session(base_url: str, concurrency: int) -> AsyncIterator[Sender]:
    """Open a session of aiohttp."""
    async with aiohttp.ClientSession() as opened:

        async def send() -> None:
            async with opened.post(base_url + PATH, data=BODY, headers=HEADERS) as response:
                await response.read()
                check(response.status == 200, "the server did not accept a request")

        yield lambda requests: workers(send, requests=requests, concurrency=concurrency)


@contextlib.asynccontextmanager
async def transport(base_url: str, concurrency: int, *, lent: bool = False) -> AsyncIterator[Sender]:
    """Open a transport."""
    request = Request(method="POST", url=base_url + PATH, headers=HEADERS, body=BODY, max_response_bytes=2**16)
    async with contextlib.AsyncExitStack() as stack:
        theirs = await stack.enter_async_context(aiohttp.ClientSession()) if lent else None
        made = AiohttpTransport(timeout=Timeout(), session=theirs)
        opened = await stack.enter_async_context(contextlib.aclosing(made))

        async def send() -> None:
            response = await opened.send(request, total=60)
            check(response.complete and response.status == 200, "the server did not accept a request")

        yield lambda requests: workers(send, requests=requests, concurrency=concurrency)


def compare(base_url: str, chosen: argparse.Namespace) -> Rounds[Cost]:
    """Let the sides take turns on one event loop."""
    many, width = chosen.requests, chosen.concurrency
    openers: dict[str, Opener] = {
        FLOOR: bare,
        SESSION: session,
        TRANSPORT: transport,
        LENT: functools.partial(transport, lent=True),
    }
    with asyncio.Runner() as runner:
        ways = {name: Way(runner, functools.partial(opener, base_url, width), many) for name, opener in openers.items()}
        try:
            return take_rounds(ways, chosen.rounds)
        finally:
            for way in ways.values():
                way.close()


def result(costs: Rounds[Cost]) -> Result:
    """Return what the costs say."""

    def finding(question: str, unit: str, ours: str, theirs: str, pick: Callable[[Cost], float]) -> Finding:
        return Finding(question=question, unit=unit, ours=costs.side(ours, pick), theirs=costs.side(theirs, pick))

    per_processor = functools.partial(
        finding, unit="events per second of the client's processor", pick=lambda each: 1 / each.processor
    )
    rate = functools.partial(finding, unit="events/s", pick=lambda each: 1 / each.wall)
    cost = functools.partial(finding, unit="us an event", pick=lambda each: 1e6 * each.processor)
    return Result(
        script="floor",
        findings=[
            per_processor("requests through the transport alone", ours=TRANSPORT, theirs=SESSION),
            rate("the same, by the clock", ours=TRANSPORT, theirs=SESSION),
            per_processor("requests through a session that was lent", ours=LENT, theirs=SESSION),
            rate("the same, by the clock", ours=LENT, theirs=SESSION),
            cost("what the transport adds to the least that there is, processor time", ours=TRANSPORT, theirs=FLOOR),
            rate("the same, by the clock", ours=TRANSPORT, theirs=FLOOR),
        ],
    )


def main(arguments: Sequence[str] | None = None) -> Result:
    """Measure, print, and return the findings."""
    sizes = {"rounds": (10, 2), "requests": (2000, 50), "concurrency": (32, 8)}
    chosen = Options("The transport against the least, and against aiohttp's session.", **sizes).read(arguments)
    with serving_fast() as server:
        found = result(compare(server.base_url, chosen))
    found.publish(chosen)
    return found


if __name__ == "__main__":
    main()
