"""The emulator over sockets: HTTP on one side, what becomes of requests on the other."""

from __future__ import annotations

import asyncio
import socket
import struct
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import attrs
from aiohttp import web

from .openapi import description
from .play import Ending, Manner, Player, PlaySettings
from .records import Headers, ReceivedRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from .state import State
    from .wire import Reply

# Lingering for nothing: what makes close() send RST in place of FIN.
_RESET: Final = struct.pack("ii", 1, 0)


@attrs.frozen(kw_only=True)
class ServerSettings(PlaySettings):
    """
    How the server behaves.

    Attributes:
        host: The address to listen on.
    """

    host: str


class _Connections(web.Server):
    """The connections; tells those who wait that a client has gone."""

    def __init__(self, handler: Callable[[web.BaseRequest], object]) -> None:
        super().__init__(handler, access_log=None)  # type: ignore[arg-type]
        self.gone: Final[dict[web.RequestHandler, asyncio.Future[None]]] = {}

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        gone = self.gone.pop(handler, None)
        if gone is not None:
            gone.set_result(None)


class Server:
    """
    Serve a state machine until told to stop.

    Args:
        state: The state machine.
        settings: How to serve.
    """

    def __init__(self, state: State, settings: ServerSettings) -> None:
        self._player: Final = Player(state, settings)
        self._host: Final = settings.host
        self._connections: Final = _Connections(self._serve)
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._listener: asyncio.Server | None = None

    async def start(self, port: int) -> int:
        """
        Listen, and return the port.

        Args:
            port: The port; 0 for any that is free.

        Raises:
            OSError: The port is taken.
        """
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._connections, self._host, port, reuse_address=True, backlog=1024)
        bound: int = self._listener.sockets[0].getsockname()[1]
        return bound

    async def aclose(self) -> None:
        """Stop listening, drop all connections, and wait until nothing runs any more."""
        listener = self._listener
        if listener is not None:
            await _stop_accepting(listener)
            listener.close()
            await self._drop()
            await listener.wait_closed()

    async def _drop(self) -> None:
        for connection in self._connections.connections:
            if connection.transport is not None:
                connection.transport.abort()
        while self._connections.connections:  # aiohttp has no event for it; it takes a few rounds of the loop
            for task in self._tasks:
                task.cancel()
            await asyncio.sleep(0)

    def _remember(self, task: asyncio.Task[None]) -> None:
        # The task of the connection, not of the request: it also reads what is left of a body, and waits for more.
        if task not in self._tasks:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self._remember(request.task)
        received = _head(request)
        described = description(received)
        if described is not None:
            return _response(described)
        if self._player.resets_before_body(received):
            return _reset(request)
        refusal = await self._read(request, received)
        self._player.arrived(received)
        if refusal is not None:
            received.status = None if request.transport is None else refusal.status
            return _response(refusal, close=True)
        return await self._carry_out(await self._player.answer(received, partial(self._gone, request)), request)

    async def _read(self, request: web.BaseRequest, received: ReceivedRequest) -> Reply | None:
        refusal = self._player.too_large(received, request.content_length or 0)
        if refusal is not None:
            return refusal
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        body = bytearray()
        try:
            async for chunk in request.content.iter_any():
                body += chunk
                if refusal := self._player.too_large(received, len(body)):
                    return refusal
        except (web.RequestPayloadError, ConnectionError):
            return self._player.refusal(received, 400, "The request body was cut short")
        received.body = bytes(body)
        return None

    async def _carry_out(self, ending: Ending, request: web.BaseRequest) -> web.StreamResponse:
        match ending.manner:
            case Manner.WHOLE:
                return _response(ending.reply)
            case Manner.CUT:
                _send_half(request, ending)
                return _hang_up(request)
            case Manner.STALLED:
                _send_half(request, ending)
                await self._gone(request, None)
                return web.Response()
            case Manner.RESET:
                return _reset(request)
            case _:  # the client has gone
                return web.Response()

    async def _gone(self, request: web.BaseRequest, seconds: float | None) -> bool:
        """Wait until the client has gone away, at most *seconds*; say whether it has."""
        if request.transport is None:
            return True
        fresh: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        gone = self._connections.gone.setdefault(request.protocol, fresh)
        done, _ = await asyncio.wait({gone}, timeout=seconds)
        return bool(done)


async def _stop_accepting(listener: asyncio.Server) -> None:
    # A connection that asyncio is accepting while its server is closed is never served and never closed. So first of
    # all the listener is not read any more, and what is being accepted gets the rounds of the loop that it takes.
    loop = asyncio.get_running_loop()
    for listening in listener.sockets:
        loop.remove_reader(listening.fileno())
    for _ in range(3):
        await asyncio.sleep(0)


def _head(request: web.BaseRequest) -> ReceivedRequest:
    path, _, query = request.raw_path.partition("?")
    return ReceivedRequest(method=request.method, path=path, query_string=query, headers=Headers(request.headers))


def _response(reply: Reply, *, close: bool = False) -> web.Response:
    response = web.Response(body=reply.body, status=reply.status, headers=reply.headers)
    if close:
        response.force_close()
    return response


# These leave the connection unusable; the empty response that they return finds that out, and aiohttp drops it.


def _reset(request: web.BaseRequest) -> web.Response:
    transport = request.transport
    if transport is not None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()
    return web.Response()


def _send_half(request: web.BaseRequest, ending: Ending) -> None:
    reply = ending.reply
    if request.transport is None:
        return
    phrase = HTTPStatus(reply.status).phrase
    head = [f"HTTP/1.1 {reply.status} {phrase}", *(f"{name}: {value}" for name, value in reply.headers.items())]
    # An answer without a body would be whole by then; so one byte more is announced, which never comes.
    text = "\r\n".join([*head, f"Content-Length: {len(reply.body) or 1}", "", ""])
    request.transport.write(text.encode("latin-1") + ending.half)


def _hang_up(request: web.BaseRequest) -> web.Response:
    if request.transport is not None:
        request.transport.close()
    return web.Response()
