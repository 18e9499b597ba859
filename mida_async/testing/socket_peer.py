"""A server on a loopback socket that behaves as badly as it is told: a peer for the checks of transports."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, TypeAlias

from .transport_suite import Arrival, Fault, Script

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from .._transport.base import Transport
    from .transport_suite import Peer, Stage

    Handler: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

__all__ = ["free_port", "read_request", "serving", "socket_stage"]


@contextlib.asynccontextmanager
async def serving(
    handle: Handler, host: str = "127.0.0.1", *, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[str]:
    """
    Serve every connection with *handle*, then close it.

    Args:
        handle: Called for each connection; where it meets the end of the connection, it may let the exception out.
        host: A loopback address or name.
        tls: What to serve TLS with.

    Returns:
        A context manager that yields the address, and at its end closes every connection.
    """
    tasks: set[asyncio.Task[None]] = set()

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await handle(reader, writer)
                await writer.drain()
        except asyncio.CancelledError:
            writer.transport.abort()  # the client may have stopped reading
        finally:
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(attend(reader, writer)))

    server = await asyncio.start_server(connected, host, 0, ssl=tls)
    try:
        name = f"[{host}]" if ":" in host else host
        yield f"{'https' if tls else 'http'}://{name}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def read_request(reader: asyncio.StreamReader) -> Arrival:
    """
    Read one whole request.

    Raises:
        asyncio.IncompleteReadError: The connection ended before.
    """
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
    method, target, _version = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Arrival(method=method, target=target, headers=headers, body=body)


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def socket_stage(make: Callable[[], Transport]) -> Stage:
    """
    Return a stage for transports that talk to real sockets.

    Args:
        make: Makes the transport, with the read timeout of the suite. The stage closes it.
    """

    @contextlib.asynccontextmanager
    async def stage(script: Script) -> AsyncGenerator[tuple[Transport, Peer]]:
        peer = _SocketPeer(script)
        transport = make()
        async with serving(peer.serve) as url:
            peer.url = f"http://127.0.0.1:{free_port()}" if script.fault is Fault.REFUSES else url
            try:
                yield transport, peer
            finally:
                await transport.aclose()

    return stage


class _SocketPeer:
    """A server that follows a script."""

    def __init__(self, script: Script) -> None:
        self.url = ""
        self.arrived: list[Arrival] = []
        self._script = script
        self._arrival = asyncio.Event()
        self._end = asyncio.Event()

    async def request_arrived(self) -> None:
        await self._arrival.wait()

    async def hung_up(self) -> None:
        await self._end.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                self.arrived.append(await read_request(reader))
                self._arrival.set()
                if not await self._answer(reader, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            self._end.set()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        script = self._script
        if script.fault is Fault.HANGS_UP:
            return False
        if script.fault is not Fault.SILENT:
            missing = script.fault in {Fault.CUTS_BODY, Fault.STALLS_BODY}
            lines = [f"HTTP/1.1 {script.status} Reason", *(f"{name}: {value}" for name, value in script.headers)]
            lines += [f"Content-Length: {len(script.body) + missing}", "", ""]
            writer.write("\r\n".join(lines).encode() + script.body)
            await writer.drain()
        if script.fault in {Fault.SILENT, Fault.STALLS_BODY}:
            await reader.readexactly(1)
        return script.fault is Fault.NONE
