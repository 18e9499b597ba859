"""What the tests of the transports share."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs
import pytest

from mida_async._core.messages import Request, Response
from mida_async._errors import TransportError
from mida_async._settings import Timeout
from mida_async._transport.aiohttp import AiohttpTransport
from mida_async._transport.base import Transport
from mida_async.testing.socket_peer import _SocketPeer, free_port, read_request, serving
from mida_async.testing.transport_suite import Fault

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine

    import aiohttp

    from mida_async.testing.socket_peer import Handler
    from mida_async.testing.transport_suite import Peer, Script, Stage

Make: TypeAlias = Callable[[Timeout], Transport]

KEY: Final = "the-secret-key"
HEADERS: Final = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
TIMEOUT: Final = Timeout(connect=0.15, read=0.25)
CERTIFICATE: Final = Path(__file__).parent / "data" / "self_signed.pem"
LOOPS: Final = ("asyncio", "uvloop")


class ThroughTheSession(AiohttpTransport):
    """Knows no short way, as with a version of aiohttp that was not tested."""

    def _short_way(self, session: aiohttp.ClientSession) -> None:
        """There is none."""


def to(url: str, *, method: str = "POST", body: bytes | None = b"{}", limit: int = 2**16) -> Request:
    """Build a request."""
    return Request(method=method, url=url, headers=HEADERS, body=body, max_response_bytes=limit, secret=KEY)


async def attempt(make: Make, url: str, **wanted: Any) -> Response | TransportError:
    """Send once with a transport of its own; return the response or the error."""
    request = attrs.evolve(to(url), **wanted)
    async with contextlib.aclosing(make(TIMEOUT)) as transport:
        try:
            return await transport.send(request, total=5)
        except TransportError as error:
            return error


def outcome(make: Make, handle: Handler, **wanted: Any) -> Response | TransportError:
    """Send once to a server that does *handle*; return the response or the error."""

    async def main() -> Response | TransportError:
        async with serving(handle) as url:
            return await attempt(make, url, **wanted)

    return asyncio.run(main())


def answering(*pieces: bytes, stay: bool = False) -> Handler:
    """Read one request, write the pieces one by one, and close, or stay."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for piece in pieces:
            writer.write(piece)
            if len(pieces) > 1:
                await asyncio.sleep(0.005)
        if stay:
            await reader.read()

    return handle


async def answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request with the number of bytes that it brought."""
    while True:
        arrival = await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nBody: %d\r\nContent-Length: 2\r\n\r\n{}" % len(arrival.body))


async def answer_nothing(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Read whatever comes and say nothing."""
    while await reader.read(2**16):
        pass


class Counting:
    """Serves connections with a handler, and counts them."""

    def __init__(self, handle: Handler) -> None:
        self.handle = handle
        self.ever = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one."""
        self.ever += 1
        await self.handle(reader, writer)


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with an RST."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def trusting() -> ssl.SSLContext:
    """Trust the self-signed certificate."""
    return ssl.create_default_context(cafile=str(CERTIFICATE))


def serving_tls(handle: Handler, host: str = "localhost") -> contextlib.AbstractAsyncContextManager[str]:
    """Serve TLS with the self-signed certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return serving(handle, host, tls=context)


def tls_stage(make: Callable[[], Transport]) -> Stage:
    """Return what sets up a transport, which trusts the certificate, with a peer that speaks TLS."""

    @contextlib.asynccontextmanager
    async def set_up(script: Script) -> AsyncGenerator[tuple[Transport, Peer]]:
        peer = _SocketPeer(script)
        async with serving_tls(peer.serve, "127.0.0.1") as url, contextlib.aclosing(make()) as made:
            peer.url = f"https://127.0.0.1:{free_port()}" if script.fault is Fault.REFUSES else url
            yield made, peer

    return set_up


def run(main: Coroutine[Any, Any, Any], loop: str = "asyncio") -> Any:
    """Run on an event loop of that kind."""
    if loop == "asyncio":
        return asyncio.run(main)
    try:
        uvloop: Any = pytest.importorskip("uvloop")
    except BaseException:
        main.close()
        raise
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)
