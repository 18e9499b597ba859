"""What the tests of the transports share."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs

from mida_async._core.messages import Request, Response
from mida_async._errors import TransportError
from mida_async._settings import Timeout
from mida_async._transport.base import Transport
from mida_async.testing.socket_peer import read_request, serving

if TYPE_CHECKING:
    from mida_async.testing.socket_peer import Handler

Make: TypeAlias = Callable[[Timeout], Transport]

KEY: Final = "the-secret-key"
HEADERS: Final = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
TIMEOUT: Final = Timeout(connect=0.15, read=0.25)


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


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with an RST."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
