"""The aiohttp transport against real sockets whose other end misbehaves."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gzip
import socket
import tracemalloc
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final, cast

import aiohttp
import pytest
import transport_stage
from transport_stage import LOOPS, OK, TIMEOUT, Counting, answer_all, answering, run, to, trusting

from mida_async._core.messages import Response
from mida_async._errors import ConnectError, TransportError
from mida_async._settings import Timeout
from mida_async._transport.aiohttp import AiohttpTransport, _Body
from mida_async.testing.socket_peer import read_request, serving, socket_stage
from mida_async.testing.transport_suite import (
    READ_TIMEOUT,
    TRANSPORT_CHECKS,
    TransportCheck,
)

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter


def sending() -> contextlib.aclosing[AiohttpTransport]:
    """Open a transport with a session of its own."""
    return contextlib.aclosing(AiohttpTransport(timeout=TIMEOUT))


attempt: Final = functools.partial(transport_stage.attempt, lambda timeout: AiohttpTransport(timeout=timeout))
outcome: Final = functools.partial(transport_stage.outcome, lambda timeout: AiohttpTransport(timeout=timeout))
pytestmark: Final = pytest.mark.usefixtures("way")
stage: Final = socket_stage(lambda: AiohttpTransport(timeout=Timeout(read=READ_TIMEOUT)))
tls_stage: Final = transport_stage.tls_stage(lambda: AiohttpTransport(timeout=Timeout(read=READ_TIMEOUT)))


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("check", TRANSPORT_CHECKS, ids=lambda check: check.__name__)
def test_the_promises_of_a_transport(
    check: TransportCheck, loop: str, monkeypatch: pytest.MonkeyPatch, *, tls: bool
) -> None:
    """R9: the aiohttp transport keeps what every transport promises, with TLS and without, on either event loop."""
    monkeypatch.setattr(aiohttp, "TCPConnector", functools.partial(aiohttp.TCPConnector, ssl=trusting()))

    async def main() -> None:
        await check(tls_stage if tls else stage)

    run(main(), loop)


def test_nothing_happens_before_the_first_send() -> None:
    """A transport is made, and closed again, without an event loop."""
    transport = AiohttpTransport(timeout=TIMEOUT)
    closing = transport.aclose()
    asyncio.run(closing)
    with pytest.raises(ConnectError, match="closed"):
        asyncio.run(transport.send(to("http://127.0.0.1"), total=1))


def test_unknown_host_is_not_sent() -> None:
    """A host that does not resolve is a ConnectError, for requests without a body too."""
    for method in ("POST", "GET"):
        error = asyncio.run(attempt("http://nowhere.invalid/", method=method))
        assert isinstance(error, ConnectError)
        assert "nowhere.invalid:80: the host name was not resolved" in str(error)


def test_connect_timeout_is_not_sent() -> None:
    """A host that does not take the connection in time is a ConnectError that names the seconds and the setting."""

    async def main(method: str) -> Response | TransportError:
        with socket.socket() as listener, contextlib.ExitStack() as fillers:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            for _ in range(4):  # a full backlog makes the kernel ignore whoever comes next
                filler = fillers.enter_context(socket.socket())
                filler.settimeout(0)
                filler.connect_ex(listener.getsockname())
            return await attempt(f"http://127.0.0.1:{listener.getsockname()[1]}", method=method)

    for method in ("POST", "GET"):
        error = asyncio.run(main(method))
        assert isinstance(error, ConnectError)
        assert "not connected within 0.15 s (timeout.connect)" in str(error)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_every_kind_of_loopback_address_works(host: str) -> None:
    """Names, IPv4 and IPv6 addresses are all reached."""

    async def main() -> Response | TransportError:
        async with serving(answering(OK), host) as url:
            return await attempt(url)

    assert isinstance(asyncio.run(main()), Response)


def test_a_slow_answer_that_keeps_coming_is_whole() -> None:
    """The read timeout runs anew with every piece, so an answer may take longer than it in all."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for piece in (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"{", b"}"):
            await asyncio.sleep(0.1)  # three times that is longer than TIMEOUT.read
            writer.write(piece)

    for method in ("POST", "GET"):
        response = outcome(handle, method=method, body=None if method == "GET" else b"{}")
        assert isinstance(response, Response)
        assert (response.body, response.complete) == (b"{}", True)


def test_a_compressed_bomb_is_read_up_to_the_limit() -> None:
    """R17: fifty megabytes of zeros in a small answer cost no more memory than the limit and the buffers."""
    bomb = gzip.compress(bytes(50 * 2**20), compresslevel=1)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n".encode()
    handle = answering(head + bomb)
    tracemalloc.start()
    response = outcome(handle, max_response_bytes=2**16)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(response, Response)
    assert (response.oversized, response.body) == (True, bytes(2**16))
    assert peak < 8 * 2**20


def test_a_broken_compressed_body_is_incomplete() -> None:
    """A body that does not decompress leaves the status standing."""
    answer = b"HTTP/1.1 202 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello"
    response = outcome(answering(answer))
    assert isinstance(response, Response)
    assert (response.status, response.complete) == (202, False)


def test_a_pooled_connection_is_used_again() -> None:
    """Requests in turn go over one connection."""

    async def main() -> int:
        counting = Counting(answer_all)
        async with serving(counting) as url, sending() as transport:
            for method in ("POST", "GET", "POST"):
                await transport.send(to(url, method=method), total=5)
        return counting.ever

    assert asyncio.run(main()) == 1


def test_a_body_for_a_closing_connection_is_not_begun() -> None:
    """A body that finds its connection closing was not handed over; on an open or unknown one it counts as begun."""

    async def write(_value: bytes) -> None:
        pass

    def begun(**writer: object) -> bool:
        body = _Body(b"{}", lambda: None)
        asyncio.run(body.write(cast("AbstractStreamWriter", SimpleNamespace(write=write, **writer))))
        return body.started

    assert not begun(transport=SimpleNamespace(is_closing=lambda: True))
    assert begun(transport=SimpleNamespace(is_closing=lambda: False))
    assert begun()
    assert _Body("é".encode(), lambda: None).decode() == "é"
