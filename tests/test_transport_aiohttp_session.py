"""The aiohttp transport's sessions: its own, lent ones, TLS, closing, cancelling and event loops."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gzip
from typing import TYPE_CHECKING, Final

import aiohttp
import pytest
from real_time import loop_clock
from transport_stage import serving_tls, trusting

from mida_async._core.messages import Request, Response
from mida_async._errors import (
    CertificateError,
    ClientClosedError,
    ConnectError,
    ConnectionLostError,
    RequestTimeoutError,
    SettingsError,
)
from mida_async._settings import Timeout
from mida_async._transport.aiohttp import AiohttpTransport
from mida_async.testing.socket_peer import read_request, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mida_async._transport.roundtrip import Roundtrip

TIMEOUT: Final = Timeout(connect=0.5, read=0.5)
PACKED: Final = gzip.compress(b"{}")
BIG: Final = 2**20 + 1

pytestmark: Final = pytest.mark.usefixtures("way")


async def answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request with what it brought, as headers."""
    while True:
        arrival = await read_request(reader)
        cookie = "yes" if "cookie" in arrival.headers else "no"
        headers = f"Body: {len(arrival.body)}\r\nCookie-Came: {cookie}\r\nSet-Cookie: a=b\r\nContent-Encoding: gzip"
        head = f"HTTP/1.1 418 Teapot\r\n{headers}\r\nContent-Length: {len(PACKED)}\r\n\r\n"
        writer.write(head.encode() + PACKED)


async def answer_nothing(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Read whatever comes and say nothing."""
    while await reader.read(2**16):
        pass


async def read_nothing(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Take the connection and do nothing with it."""
    await asyncio.Event().wait()


def to(url: str, *, method: str = "POST", body: bytes | None = b"{}") -> Request:
    """Build a request."""
    headers = {"Authorization": "Bearer the-secret-key"}
    return Request(method=method, url=url, headers=headers, body=body, max_response_bytes=2**16)


def own(connections: int = 100) -> AiohttpTransport:
    """Make a transport with a session of its own."""
    return AiohttpTransport(timeout=TIMEOUT, connections=connections)


async def until(transport: AiohttpTransport, condition: Callable[[Roundtrip], bool]) -> None:
    """Wait until *condition* holds for a request that is under way."""
    async with asyncio.timeout(5):
        # What is waited for is inside the transport.
        while transport._used is None or not any(condition(trip) for trip in transport._used.watch.waits):  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def uploading(trip: Roundtrip) -> bool:
    """Tell whether the body was begun."""
    return bool(trip.sent)


def unused_port_url() -> str:
    """Return an address at which nobody listens."""
    return "http://127.0.0.1:9"


@pytest.fixture
def no_complaints(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """See to it that asyncio and aiohttp have nothing to complain about."""
    yield
    assert caplog.records == []


def test_a_lent_session_stays_open_and_its_settings_do_not_matter() -> None:
    """A lent session is not closed; its headers, timeout, raise_for_status and middlewares change nothing."""

    async def refuse(_request: aiohttp.ClientRequest, _next: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        message = "a lent session's middleware ran"
        raise AssertionError(message)

    async def main() -> None:
        async with (
            serving(answer_all) as url,
            aiohttp.ClientSession(
                base_url="http://elsewhere.invalid/",
                headers={"Authorization": "Basic other", "X-Lent": "1"},
                timeout=aiohttp.ClientTimeout(total=0.000001),
                raise_for_status=True,
                auto_decompress=False,
                cookie_jar=aiohttp.CookieJar(unsafe=True),
                middlewares=(refuse,),
            ) as session,
        ):
            transport = AiohttpTransport(session=session, timeout=TIMEOUT)
            for method in ("POST", "GET"):
                response = await transport.send(to(url, method=method), total=5)
                assert (response.status, response.body) == (418, b"{}")
            await transport.aclose()
            assert not session.closed
            with pytest.raises(ConnectError, match="closed"):
                await transport.send(to(url), total=5)
            async with session.get(
                url, timeout=aiohttp.ClientTimeout(), raise_for_status=False, middlewares=()
            ) as still:
                assert still.status == 418

    asyncio.run(main())


def test_a_lent_session_that_is_closed_is_named() -> None:
    """A lent session that its owner has closed leads to a ConnectError, not to aiohttp's RuntimeError."""

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            pass
        with pytest.raises(ConnectError, match="the aiohttp session that it was lent"):
            await AiohttpTransport(session=session, timeout=TIMEOUT).send(to(unused_port_url()), total=5)

    asyncio.run(main())


def test_a_lent_session_that_is_closed_under_a_waiting_request_is_named() -> None:
    """A request that waits for a free connection of a lent session is told when the session's owner closes it."""

    async def main() -> list[type]:
        async with serving(answer_nothing) as url, aiohttp.TCPConnector(limit=1) as connector:
            session = aiohttp.ClientSession(connector=connector)
            transport = AiohttpTransport(session=session, timeout=TIMEOUT)
            tasks = [asyncio.create_task(transport.send(to(url), total=5)) for _ in range(2)]
            await until(transport, uploading)
            await session.close()
            return [type(error) for error in await asyncio.gather(*tasks, return_exceptions=True)]

    assert asyncio.run(main()) == [ConnectionLostError, ClientClosedError]


def test_what_was_opened_before_a_fork_is_forgotten() -> None:
    """R15: the child opens a session of its own; one that was lent is the parent's, and is refused."""

    async def main() -> None:
        async with serving(answer_all) as url, aiohttp.ClientSession() as session:
            for transport in (own(), AiohttpTransport(session=session, timeout=TIMEOUT)):
                assert transport._leave_to_parent() is None
            transport = own()
            await transport.send(to(url), total=5)
            inherited = transport._used
            assert inherited is not None
            assert transport._leave_to_parent() is inherited
            await transport.send(to(url), total=5)
            assert transport._used is not None
            assert transport._used.session is not inherited.session
            await transport.aclose()
            await inherited.session.close()
            lent = AiohttpTransport(session=session, timeout=TIMEOUT)
            await lent.send(to(url), total=5)
            lent._leave_to_parent()
            with pytest.raises(SettingsError, match="before this process was forked"):
                await lent.send(to(url), total=5)

    asyncio.run(main())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_lent_session_with_credentials_is_refused() -> None:
    """A lent session with credentials of its own would send them along, so it is refused."""

    async def main() -> None:
        async with aiohttp.ClientSession(auth=aiohttp.BasicAuth("user", "password")) as session:
            with pytest.raises(SettingsError, match="`auth` of its own"):
                await AiohttpTransport(session=session, timeout=TIMEOUT).send(to(unused_port_url()), total=5)

    asyncio.run(main())


def test_an_own_session_keeps_no_cookies() -> None:
    """Cookies that a server sets are not sent back."""

    async def main() -> list[str]:
        async with serving(answer_all, "localhost") as url, contextlib.aclosing(own()) as transport:
            return [(await transport.send(to(url), total=5)).headers["cookie-came"] for _ in range(2)]

    assert asyncio.run(main()) == ["no", "no"]


def test_a_large_body_arrives_whole() -> None:
    """A body over a mebibyte arrives whole, without aiohttp's warning about it."""

    async def main() -> Response:
        async with serving(answer_all) as url, contextlib.aclosing(own()) as transport:
            return await transport.send(to(url, body=bytes(BIG)), total=5)

    assert asyncio.run(main()).headers["body"] == str(BIG)


def test_a_certificate_that_is_not_trusted_is_named() -> None:
    """R17: a self-signed certificate is refused, for every method, and the message says why."""

    async def main() -> None:
        async with serving_tls(answer_all) as url, contextlib.aclosing(own()) as transport:
            for method in ("POST", "GET"):
                with pytest.raises(CertificateError, match=r"not trusted: self.signed certificate") as caught:
                    await transport.send(to(url, method=method), total=5)
                assert caught.value.__context__ is None

    asyncio.run(main())


def test_a_pinned_certificate_that_differs_is_named() -> None:
    """A lent session's fingerprint that does not match is a CertificateError."""

    async def main() -> None:
        connector = aiohttp.TCPConnector(ssl=aiohttp.Fingerprint(bytes(32)))
        async with (
            serving_tls(answer_all) as url,
            aiohttp.ClientSession(connector=connector) as session,
        ):
            with pytest.raises(CertificateError, match="not the one that was pinned"):
                await AiohttpTransport(session=session, timeout=TIMEOUT).send(to(url), total=5)

    asyncio.run(main())


def test_a_certificate_for_another_host_is_refused() -> None:
    """R17: a trusted certificate serves only the host that it names; for that host TLS works."""

    async def main() -> None:
        connector = aiohttp.TCPConnector(ssl=trusting())
        async with (
            serving_tls(answer_all, "127.0.0.1") as url,
            serving_tls(answer_all, "127.0.0.2") as other,
            aiohttp.ClientSession(connector=connector) as session,
        ):
            transport = AiohttpTransport(session=session, timeout=TIMEOUT)
            assert (await transport.send(to(url), total=5)).status == 418
            with pytest.raises(CertificateError, match="IP address mismatch"):
                await transport.send(to(other), total=5)

    asyncio.run(main())


def test_waiting_for_a_free_connection_is_not_sent() -> None:
    """A request whose time ends while it waits for a free connection is a ConnectError, with a body or without."""

    async def main() -> None:
        async with serving(answer_nothing) as url, contextlib.aclosing(own(connections=1)) as transport:
            busy = asyncio.create_task(transport.send(to(url), total=5))
            await until(transport, uploading)
            for method, body in (("POST", b"{}"), ("POST", None), ("DELETE", None)):
                with pytest.raises(ConnectError, match=r"0\.02 s for the whole request"):
                    await transport.send(to(url, method=method, body=body), total=0.02)
            with pytest.raises(RequestTimeoutError):
                await busy

    asyncio.run(main())


@pytest.mark.usefixtures("no_complaints")
def test_closing_ends_what_waits_for_a_connection() -> None:
    """Closing ends a request that waits for a connection with ConnectError, one under way with ConnectionLostError."""

    async def main() -> list[type]:
        async with serving(answer_nothing) as url:
            transport = own(connections=1)
            tasks = [asyncio.create_task(transport.send(to(url), total=5)) for _ in range(2)]
            await until(transport, uploading)
            await transport.aclose()
            return [type(error) for error in await asyncio.gather(*tasks, return_exceptions=True)]

    assert asyncio.run(main()) == [ConnectionLostError, ConnectError]


@pytest.mark.usefixtures("no_complaints")
@pytest.mark.parametrize("tls", [False, True])
def test_closing_is_quick_although_the_peer_reads_nothing(monkeypatch: pytest.MonkeyPatch, *, tls: bool) -> None:
    """A peer that neither reads nor closes does not hold up closing, and no connection to it stays open."""
    monkeypatch.setattr(aiohttp, "TCPConnector", functools.partial(aiohttp.TCPConnector, ssl=trusting()))

    async def main() -> float:
        async with (serving_tls if tls else serving)(read_nothing) as url:
            transport = own()
            task = asyncio.create_task(transport.send(to(url, body=bytes(8 * BIG)), total=5))
            await until(transport, uploading)
            with loop_clock() as clock:
                begin = clock()
                await transport.aclose()
                took = clock() - begin
            with pytest.raises(ConnectionLostError):
                await task
            return took

    assert asyncio.run(main()) < 0.3


@pytest.mark.usefixtures("no_complaints")
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 9\r\n\r\n", b"\r\n", b"Transfer-Encoding: chunked\r\n\r\n9\r\n"],
    ids=["9", "end", "chunk"],
)
def test_closing_within_a_body_leaves_a_response(monkeypatch: pytest.MonkeyPatch, head: bytes, *, tls: bool) -> None:
    """R9: a response whose body is under way at closing is returned at once, and as incomplete."""
    monkeypatch.setattr(aiohttp, "TCPConnector", functools.partial(aiohttp.TCPConnector, ssl=trusting()))

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n" + head + b"abc")
        await reader.read()

    async def main() -> tuple[Response, float]:
        async with (serving_tls if tls else serving)(handle) as url:
            transport = own()
            task = asyncio.create_task(transport.send(to(url), total=5))
            await until(transport, lambda trip: trip.response is not None)
            with loop_clock() as clock:
                begin = clock()
                await transport.aclose()
                return await task, clock() - begin

    response, took = asyncio.run(main())
    assert (response.status, response.complete) == (200, False)
    assert took < 0.4  # the read timeout is 0.5


@pytest.mark.usefixtures("no_complaints")
def test_a_cancelled_upload_hangs_up() -> None:
    """Cancelling closes the connection at once although the peer has not taken the body."""

    async def main() -> None:
        ended = asyncio.Event()

        async def handle(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(0.05)
            with contextlib.suppress(ConnectionResetError):
                while await reader.read(2**16):
                    pass
            ended.set()

        async with serving(handle) as url, contextlib.aclosing(own()) as transport:
            task = asyncio.create_task(transport.send(to(url, body=bytes(32 * BIG)), total=5))
            await until(transport, uploading)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(ended.wait(), 2)

    asyncio.run(main())


def test_another_event_loop_is_refused() -> None:
    """R15: a transport, or the session that it was lent, that belongs to another event loop says so."""
    transport = own()

    async def first() -> aiohttp.ClientSession:
        async with serving(answer_all) as url:
            await transport.send(to(url), total=5)
        session = aiohttp.ClientSession()
        await session.close()
        return session

    async def second(transport: AiohttpTransport) -> None:
        with pytest.raises(SettingsError, match="another event loop"):
            await transport.send(to(unused_port_url()), total=5)

    session = asyncio.run(first())
    asyncio.run(second(transport))
    asyncio.run(second(AiohttpTransport(session=session, timeout=TIMEOUT)))
    asyncio.run(transport.aclose())  # its own loop is gone, so any may close it


def test_the_error_of_a_lent_session_keeps_its_text() -> None:
    """Whatever else a lent session makes go wrong before the body is begun is a ConnectError with its text."""

    async def main() -> None:
        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(failing)
        async with aiohttp.ClientSession(trace_configs=[trace]) as session:
            transport = AiohttpTransport(session=session, timeout=TIMEOUT)
            with pytest.raises(ConnectError, match="KeyError: 'the hook is broken'"):
                await transport.send(to(unused_port_url()), total=5)

    async def failing(*_arguments: object) -> None:
        message = "the hook is broken"
        raise KeyError(message)

    asyncio.run(main())
