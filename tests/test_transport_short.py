"""The short way around aiohttp's session: who takes it, and what holds on it alone."""

from __future__ import annotations

import asyncio
import contextlib
import tracemalloc
from types import SimpleNamespace
from typing import Any, Final, cast

import aiohttp
import pytest
from transport_stage import OK, TIMEOUT, Counting, answer_all, to

from mida_async._core.messages import Request
from mida_async._errors import ConnectError, RequestTimeoutError
from mida_async._transport import short
from mida_async._transport.aiohttp import AiohttpTransport
from mida_async._transport.heads import Origin
from mida_async._transport.short import ShortTrip, ShortWay, UnusableError
from mida_async._transport.watch import Watch
from mida_async.testing.socket_peer import free_port, read_request, serving

EVENT: Final = to("http://127.0.0.1:9/v2/project/key/event")
LONGEST: Final = b"x" * 2**15
PLACE: Final = Origin(secure=False, host="a", port=80)


async def way_of(request: Request, *, lent: aiohttp.ClientSession | None = None) -> str:
    """Return the name of the class that carries *request*."""
    made = AiohttpTransport(timeout=TIMEOUT, session=lent)
    async with serving(answer_all) as url, contextlib.aclosing(made) as transport:
        asked = Request(
            method=request.method, url=url, headers=request.headers, body=request.body, max_response_bytes=64
        )
        task = asyncio.create_task(transport.send(asked, total=5))
        async with asyncio.timeout(5):
            while transport._used is None or not transport._used.watch.waits:  # noqa: ASYNC110  it is within
                await asyncio.sleep(0)
        (trip,) = transport._used.watch.waits
        assert (await task).status == 200
        return type(trip).__name__


@pytest.mark.parametrize(
    ("method", "body", "short"),
    [
        ("POST", b"{}", True),
        ("POST", b"", True),
        ("POST", LONGEST, True),
        ("POST", LONGEST + b"x", False),  # it may have to be written while an early answer is read
        ("POST", None, False),
        ("PUT", b"{}", False),
        ("DELETE", None, False),
        ("GET", None, False),
    ],
)
def test_short_posts_take_the_short_way(method: str, body: bytes | None, *, short: bool) -> None:
    """With the version of aiohttp that is installed, a POST of up to 32 KiB goes around the session, all else not."""
    request = to("http://127.0.0.1:9/", method=method, body=body)
    assert asyncio.run(way_of(request)) == ("ShortTrip" if short else "_SessionTrip")


def test_a_session_that_was_lent_is_used() -> None:
    """What somebody has set up about a session holds for all requests: none goes around it."""

    async def main() -> str:
        async with aiohttp.ClientSession() as session:
            return await way_of(EVENT, lent=session)

    assert asyncio.run(main()) == "_SessionTrip"


@pytest.mark.parametrize("version", ["3.13.5", "3.15.0", "4.0.0a1"])
def test_versions_that_were_not_tested_go_through_the_session(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """What aiohttp's documents do not promise is used of known versions alone."""
    monkeypatch.setattr(aiohttp, "__version__", version)
    assert asyncio.run(way_of(EVENT)) == "_SessionTrip"


def test_a_short_answer_takes_little_memory() -> None:
    """Where a connection is the transport's own, an answer is not read into a quarter of a megabyte."""

    async def main(*, lent: bool) -> int:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            cast("Any", writer.transport).max_size = 4096
            while True:
                await read_request(reader)
                writer.write(OK)

        async with serving(handle) as url, aiohttp.ClientSession() as session:
            made = AiohttpTransport(timeout=TIMEOUT, session=session if lent else None)
            async with contextlib.aclosing(made) as transport:
                await transport.send(to(url), total=5)  # it opens the connection, and much else is made once
                tracemalloc.start()
                before = tracemalloc.get_traced_memory()[0]
                await transport.send(to(url), total=5)
                return tracemalloc.get_traced_memory()[1] - before

    try:
        assert asyncio.run(main(lent=False)) < 2**17
        assert asyncio.run(main(lent=True)) > 2**18  # somebody else's connections stay as they are
    finally:
        tracemalloc.stop()


class Closed:
    """A connection that the peer has closed, or that is about to close."""

    def __init__(self, transport: object) -> None:
        self.transport = transport
        self.protocol = SimpleNamespace(should_close=False)
        self.ended = False

    def close(self) -> None:
        """Note it."""
        self.ended = True


class Closing:
    """A transport that is closing."""

    def is_closing(self) -> bool:
        """Say so."""
        return True

    def abort(self) -> None:
        """Do nothing more."""


@pytest.mark.parametrize("transport", [None, Closing()], ids=["closed", "closing"])
def test_nothing_goes_out_over_a_closed_connection(transport: object) -> None:
    """A connection that turns out to be closed has carried nothing, and is not given back for others."""

    async def main() -> tuple[bool, bool]:
        connection = Closed(transport)

        class Pool:
            async def connect(self, *_: object) -> Closed:
                return connection

        watch: Watch[Any] = Watch(asyncio.get_running_loop())
        way = ShortWay(cast("Any", Pool()), None, lambda origin: origin)
        task = cast("asyncio.Task[object]", asyncio.current_task())
        trip = ShortTrip(task=task, deadline=1e9, watch=watch, end=1e9, read_timeout=1, request=EVENT, way=way)
        with pytest.raises(UnusableError):
            await trip.run()
        assert trip.abort()
        trip.finish()
        return trip.sent, connection.ended

    assert asyncio.run(main()) == (False, True)


def test_both_ways_share_the_connections() -> None:
    """A request through the session takes the connection of one that went around it, and the other way round."""

    async def main() -> int:
        counting = Counting(answer_all)
        async with serving(counting) as url, contextlib.aclosing(AiohttpTransport(timeout=TIMEOUT)) as transport:
            for body in (b"{}", LONGEST + b"x", b"{}"):
                assert (await transport.send(to(url, body=body), total=5)).complete
        return counting.ever

    assert asyncio.run(main()) == 1


def test_a_request_that_cannot_be_sent_is_not() -> None:
    """An address or a header that would be another request is refused before anything is opened."""

    async def main() -> None:
        async with contextlib.aclosing(AiohttpTransport(timeout=TIMEOUT)) as transport:
            url = f"http://127.0.0.1:{free_port()}/"
            for request in (
                to(url + "a b"),
                Request(method="POST", url=url, headers={"X": "a\r\nY: b"}, body=b"", max_response_bytes=64),
                Request(method="POST", url=url, headers={"Content-Length": "9"}, body=b"", max_response_bytes=64),
            ):
                with pytest.raises(ConnectError, match="nothing was sent"):
                    await transport.send(request, total=5)

    asyncio.run(main())


@pytest.mark.parametrize("tries", [1, 8])
def test_what_comes_between_two_requests_is_no_answer(monkeypatch: pytest.MonkeyPatch, tries: int) -> None:
    """R9: bytes that come while nothing is asked for are no answer: the next request goes over another connection."""
    monkeypatch.setattr(short, "_MOST_SPOILT", tries)
    go_on = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        await go_on.wait()
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
        await reader.read()

    def idle(transport: AiohttpTransport) -> list[Any]:
        assert transport._used is not None
        pools = cast("Any", transport._used.session.connector)._conns.values()
        return [protocol for pool in pools for protocol, _ in pool]

    async def main() -> int:
        async with serving(handle) as url, contextlib.aclosing(AiohttpTransport(timeout=TIMEOUT)) as transport:
            await transport.send(to(url), total=5)
            go_on.set()
            async with asyncio.timeout(5):
                while not any(protocol.should_close for protocol in idle(transport)):  # noqa: ASYNC110  it is within
                    await asyncio.sleep(0.001)
            if tries == 1:
                with pytest.raises(ConnectError, match="nobody had asked"):
                    await transport.send(to(url), total=5)
            return (await transport.send(to(url), total=5)).status

    assert asyncio.run(main()) == 200


def test_connections_that_speak_first_are_not_tried_for_ever() -> None:
    """Where something comes over each new connection before anything was asked, the request is given up unsent."""
    opened: list[Talking] = []

    class Talking(Closed):
        """A connection over which something has come."""

        def __init__(self) -> None:
            super().__init__(None)
            self.protocol = SimpleNamespace(should_close=True)

    class Pool:
        async def connect(self, *_: object) -> Talking:
            opened.append(Talking())
            return opened[-1]

    async def main() -> None:
        with pytest.raises(UnusableError, match="nobody had asked"):
            await ShortWay(cast("Any", Pool()), None, lambda origin: origin).connect(PLACE)

    asyncio.run(main())
    assert 1 < len(opened) < 20
    assert all(connection.ended for connection in opened)


@pytest.mark.parametrize("code", [100, 102, 103])
def test_whoever_only_announces_does_not_answer(code: int) -> None:
    """R8: a peer that goes on announcing an answer does not hold a request up for ever."""

    async def announce(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        while True:
            writer.write(b"HTTP/1.1 %d Wait\r\n\r\n" % code)
            await asyncio.sleep(0.01)

    async def main() -> None:
        async with serving(announce) as url, contextlib.aclosing(AiohttpTransport(timeout=TIMEOUT)) as transport:
            with pytest.raises(RequestTimeoutError):
                await transport.send(to(url), total=1)

    asyncio.run(main())
