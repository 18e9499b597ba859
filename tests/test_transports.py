"""What both ways of the aiohttp transport do alike, beyond the suite of all transports."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import traceback
from typing import TYPE_CHECKING, Final

import pytest
from transport_stage import (
    KEY,
    OK,
    TIMEOUT,
    Make,
    ThroughTheSession,
    answer_all,
    answering,
    attempt,
    outcome,
    reset,
    to,
)

from mida_async._core.messages import Response
from mida_async._errors import (
    CertificateError,
    ConnectError,
    ConnectionLostError,
    RequestTimeoutError,
    SettingsError,
    TransportError,
)
from mida_async._settings import Timeout
from mida_async._transport.aiohttp import AiohttpTransport
from mida_async.testing.socket_peer import free_port, read_request, serving, socket_stage
from mida_async.testing.transport_suite import READ_TIMEOUT, Fault, Script

if TYPE_CHECKING:
    from mida_async._transport.base import Transport


def over_aiohttp(timeout: Timeout) -> Transport:
    """Make the default transport."""
    return AiohttpTransport(timeout=timeout)


def over_the_session(timeout: Timeout) -> Transport:
    """Make the default transport, which lets every request go through aiohttp's session."""
    return ThroughTheSession(timeout=timeout)


MAKERS: Final = (
    pytest.param(over_aiohttp, id="aiohttp"),
    pytest.param(over_the_session, id="session"),
)
EACH: Final = pytest.mark.parametrize("make", MAKERS)


@EACH
def test_refused_connection_names_host_port_and_reason(make: Make) -> None:
    """The message of a refused connection says where and why."""
    port = free_port()
    error = asyncio.run(attempt(make, f"http://127.0.0.1:{port}/v2"))
    assert isinstance(error, ConnectError)
    assert str(error) == f"nothing was sent to 127.0.0.1:{port}: connection refused"


@EACH
def test_reset_after_reading_is_lost(make: Make) -> None:
    """A reset after the request was read is a ConnectionLostError that says so, whatever the method."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        reset(writer)

    for method in ("POST", "PUT", "GET"):
        error = outcome(make, handle, method=method, body=None if method == "GET" else b"{}")
        assert isinstance(error, ConnectionLostError)
        assert "connection reset by peer" in str(error)


@EACH
@pytest.mark.parametrize("debug", [False, True])
def test_the_key_is_shown_nowhere(make: Make, caplog: pytest.LogCaptureFixture, *, debug: bool) -> None:
    """R17: the key is in no error, in none of its frames, and in no log line, even where the server echoes it."""
    echo = f"HTTP/1.1 {KEY} OK\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode()

    async def main() -> list[Response | TransportError]:
        logging.getLogger("asyncio").setLevel(logging.DEBUG)
        async with serving(answering(echo)) as url, serving(answering(b"")) as closing:
            addresses = (url, closing, f"http://127.0.0.1:{free_port()}", f"http://{KEY}.invalid/")
            return [await attempt(make, address, method=method) for address in addresses for method in ("POST", "GET")]

    with caplog.at_level(logging.DEBUG):
        errors = asyncio.run(main(), debug=debug)
    for error in errors:
        assert isinstance(error, TransportError)
        assert (error.__cause__, error.__context__) == (None, None)
        frames = traceback.TracebackException.from_exception(error, capture_locals=True)
        shown = (str(error), repr(error), repr(error.args), repr(vars(error)))
        assert KEY not in "".join(shown)
        assert f"Bearer {KEY}" not in "".join(frames.format())
    assert f"Bearer {KEY}" not in caplog.text


@EACH
def test_timeouts_name_their_seconds(make: Make) -> None:
    """The messages of the read timeout and of the deadline say which one it was and how long."""

    async def main() -> list[str]:
        async with socket_stage(lambda: make(Timeout(read=READ_TIMEOUT)))(Script(fault=Fault.SILENT)) as (
            transport,
            peer,
        ):
            errors = []
            for total in (30, 0.2):
                with pytest.raises(RequestTimeoutError) as caught:
                    await transport.send(to(peer.url), total=total)
                errors.append(str(caught.value).partition(": ")[2])
        return errors

    assert asyncio.run(main()) == [
        f"nothing came within {READ_TIMEOUT} s (timeout.read)",
        "the 0.2 s for the whole request are over",
    ]


@EACH
@pytest.mark.parametrize("turns", range(6))
def test_a_stale_connection_is_not_sent_only_if_nothing_was(make: Make, turns: int) -> None:
    """R9: of a pooled connection that the server closes around its reuse, ConnectError means that nothing arrived."""

    async def main() -> None:
        close = asyncio.Event()
        arrived_late: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(OK)
            if not close.is_set():
                await close.wait()
                writer.write_eof()
                arrived_late.set_result(await reader.read())

        async with serving(handle) as url, contextlib.aclosing(make(TIMEOUT)) as transport:
            await transport.send(to(url), total=30)
            close.set()
            for _ in range(turns):
                await asyncio.sleep(0)
            result: Response | TransportError
            try:
                result = await transport.send(to(url), total=30)
            except TransportError as error:
                result = error
            nothing_arrived = await arrived_late == b""
        assert nothing_arrived == isinstance(result, Response | ConnectError)

    asyncio.run(main())


@EACH
def test_closing_before_reading_is_lost(make: Make) -> None:
    """A server that closes without reading may have the request all the same."""

    async def handle(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.02)

    error = outcome(make, handle)
    assert isinstance(error, ConnectionLostError)


@EACH
def test_closing_from_another_event_loop_is_refused(make: Make) -> None:
    """R15: as long as its own loop is open, a transport is closed there."""

    async def main() -> None:
        async with serving(answer_all) as url, contextlib.aclosing(make(TIMEOUT)) as transport:
            await transport.send(to(url), total=30)
            with pytest.raises(SettingsError, match="another event loop"):
                await asyncio.to_thread(lambda: asyncio.run(transport.aclose()))
            assert (await transport.send(to(url), total=30)).status == 200

    asyncio.run(main())


@EACH
def test_no_tls_at_the_other_end_is_not_sent(make: Make) -> None:
    """Plain HTTP where TLS was expected is a ConnectError that says so."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()

    async def main() -> None:
        async with serving(handle) as url, contextlib.aclosing(make(TIMEOUT)) as transport:
            with pytest.raises(ConnectError, match="the TLS handshake failed: ") as caught:
                await transport.send(to(url.replace("http:", "https:")), total=30)
            assert not isinstance(caught.value, CertificateError)

    asyncio.run(main())
