"""A transport that goes nowhere: requests are answered within the process, faults and timeouts included."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias, cast
from urllib.parse import urlsplit

import attrs

from .._core.messages import Request, Response
from .._errors import ClientClosedError, ConnectError, ConnectionLostError, RequestTimeoutError, TransportError
from .._settings import Timeout
from .._transport.failures import no_answer, nothing_came, out_of_time
from .._transport.text import flatten
from ._emulator.emulator import Emulator
from ._emulator.openapi import description
from ._emulator.play import Ending, Manner, Player, PlaySettings
from ._emulator.records import Headers, ReceivedRequest

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

_TIMEOUT: Final = Timeout()


@attrs.frozen
class StalledResponse:
    """
    What a handler returns for an answer that begins and does not go on: the status comes, the body stalls.

    Args:
        response: The status, the headers, and what comes of the body.
    """

    response: Response


Answer: TypeAlias = Response | StalledResponse
Handler: TypeAlias = Callable[[Request], Answer | Awaitable[Answer]]
"""Answers a request: a plain or an async function, which may raise a :class:`~mida_async.TransportError`."""


@attrs.define(eq=False, repr=False)
class _Call:
    """One request under way, from both ends."""

    gone: asyncio.Future[None]  # the client has gone
    broken: asyncio.Future[None]  # the connection has
    task: asyncio.Task[Answer | TransportError]

    def hang_up(self) -> None:
        self.gone.set_result(None)

    def break_off(self) -> None:
        self.task.cancel()
        if not self.broken.done():
            self.broken.set_result(None)


class MemoryTransport:
    """
    Deliver requests within the process, without a socket and without waiting for anything real.

    Give it to a client as ``MidaClient(..., transport=transport)``. It waits on the running loop's clock alone, so it
    works with :func:`run_virtual`: an hour of outage takes milliseconds.

    With an :class:`Emulator`, which need not be started, everything is as over sockets: its faults, latency, limits and
    projects have the same meaning, and ``requests``, ``recorded`` and the statistics are filled in the same way. Only
    the headers are those that the client gave, without what HTTP adds.

    With a function, that function answers. What it returns or raises is what happens:

    * a :class:`Response`: that answer, cut to what the request allows; with ``complete=False`` its body breaks off;
    * a :class:`StalledResponse`: an answer whose body stalls;
    * a raised :class:`ConnectError`: nothing was sent; a raised :class:`ConnectionLostError`: the connection broke;
    * neither for too long: a timeout, and an async function is cancelled. It is cancelled, too, where the client hangs
      up;
    * any other exception goes through to the caller: a mistake in the function must not look like a fault.

    It is an async context manager, which closes it. A client does not close a transport that it was given; it is no
    harm to leave one unclosed.

    Args:
        service: What answers: an emulator, or a function of the request.
        timeout: ``read`` bounds the wait for an answer to begin and for a stalled body; the rest is not used.
    """

    base_url: Final = "https://memory.invalid"
    """An address for clients, so that one that was given no transport by mistake sends nothing anywhere."""

    def __init__(self, service: Emulator | Handler, *, timeout: Timeout = _TIMEOUT) -> None:
        self._service = _from_emulator(service) if isinstance(service, Emulator) else _from_handler(service)
        self._read_timeout = timeout.read
        self._calls: set[_Call] = set()
        self._tasks: set[asyncio.Task[Answer | TransportError]] = set()
        self._outages = 0
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def send(self, request: Request, *, total: float) -> Response:
        """
        Hand *request* over and return what came back, whatever its status.

        Cancelling it hangs up: what the service does about that is as over sockets.

        Args:
            request: What to send.
            total: The seconds that this may take in all.

        Returns:
            The response; once a status has arrived there is one, even if its body stalls or breaks off.

        Raises:
            ClientClosedError: Nothing was sent, because this transport is closed.
            ConnectError: Nothing was sent, because the service is unreachable, or a handler says so.
            ConnectionLostError: The connection broke; the request may have been applied.
            RequestTimeoutError: No answer came in time; the request may have been applied.
        """
        if self._closed:
            raise no_answer(ClientClosedError, request, "this transport is closed")
        if self._outages:
            raise no_answer(ConnectError, request, "the connection was refused")
        call = self._begin(request)
        try:
            outcome = await self._outcome(call, request, total)
        finally:
            call.hang_up()
            self._calls.discard(call)
        if isinstance(outcome, TransportError):
            raise outcome
        return outcome

    @contextlib.contextmanager
    def unreachable(self) -> Generator[None]:
        """
        Take the service away for as long as the ``with`` statement lasts.

        Requests under way lose their connection, and what they wait for there ends without effect; new ones are
        refused with :class:`ConnectError`. It is what stopping a server does.
        """
        self._outages += 1
        self._break_off()
        try:
            yield
        finally:
            self._outages -= 1

    async def aclose(self) -> None:
        """Let nothing through any more; requests under way lose their connection. More than once does nothing."""
        self._closed = True
        self._break_off()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, request: Request) -> _Call:
        loop = asyncio.get_running_loop()
        gone: asyncio.Future[None] = loop.create_future()
        # A task of its own, because a server goes on with what it has begun when a client hangs up.
        task = loop.create_task(self._service(request, gone))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        call = _Call(gone, loop.create_future(), task)
        self._calls.add(call)
        return call

    def _break_off(self) -> None:
        for call in self._calls:
            call.break_off()
        for task in self._tasks:
            task.cancel()

    async def _outcome(self, call: _Call, request: Request, total: float) -> Response | TransportError:
        loop = asyncio.get_running_loop()
        end = loop.time() + total
        await _first_of(call, min(total, self._read_timeout))
        if call.broken.done():
            return no_answer(ConnectionLostError, request, "the connection was closed")
        if not call.task.done():
            return no_answer(RequestTimeoutError, request, self._time_that_is_over(total))
        answer = call.task.result()
        if not isinstance(answer, StalledResponse):
            return answer if isinstance(answer, TransportError) else _as_read(answer, request)
        response = _as_read(attrs.evolve(answer.response, complete=False), request)
        if not response.oversized:
            await asyncio.wait({call.broken}, timeout=min(end - loop.time(), self._read_timeout))
        return response

    def _time_that_is_over(self, total: float) -> str:
        if self._read_timeout < total:
            return nothing_came(self._read_timeout)
        return out_of_time(total)


_Service: TypeAlias = Callable[[Request, "asyncio.Future[None]"], Coroutine[Any, Any, Answer | TransportError]]


async def _first_of(call: _Call, seconds: float) -> None:
    both: set[asyncio.Future[Any]] = {call.task, call.broken}
    await asyncio.wait(both, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)


def _as_read(response: Response, request: Request) -> Response:
    """Return what a client reads of *response*."""
    headers = flatten(response.headers.items())
    most = request.max_response_bytes
    if len(response.body) <= most:
        return attrs.evolve(response, headers=headers)
    return attrs.evolve(response, headers=headers, body=response.body[:most], complete=False, oversized=True)


def _from_handler(handler: Handler) -> _Service:
    async def serve(request: Request, gone: asyncio.Future[None]) -> Answer | TransportError:
        task = cast("asyncio.Task[object]", asyncio.current_task())
        gone.add_done_callback(lambda _: task.cancel())
        try:
            answer = handler(request)
            if inspect.isawaitable(answer):
                answer = await answer
        except TransportError as error:
            bare = copy.copy(error)  # without traceback and context: these may show headers
            bare.__cause__ = None
            return bare
        if isinstance(answer, (Response, StalledResponse)):  # pyright: ignore[reportUnnecessaryIsInstance]
            return answer
        message = f"the handler returned {answer!r}; it must return a Response or a StalledResponse"
        raise TypeError(message)

    return serve


def _from_emulator(emulator: Emulator) -> _Service:
    async def serve(request: Request, gone: asyncio.Future[None]) -> Answer | TransportError:
        async def has_gone(seconds: float | None) -> bool:
            done, _ = await asyncio.wait({gone}, timeout=seconds)
            return bool(done)

        received = _received(request)
        described = description(received)
        if described is not None:
            return _came(Ending(Manner.WHOLE, described), request)
        player = _player(emulator)
        if player.resets_before_body(received):
            return _came(Ending(Manner.RESET), request)
        received.body = request.body or b""
        player.arrived(received)
        refusal = player.too_large(received, len(received.body))
        if refusal is None:
            return _came(await player.answer(received, has_gone), request)
        received.body = b""
        received.status = refusal.status
        return _came(Ending(Manner.WHOLE, refusal), request)

    return serve


def _player(emulator: Emulator) -> Player:
    settings = PlaySettings(
        latency=emulator.latency,
        max_body_bytes=emulator.max_body_bytes,
        clock=emulator.clock or asyncio.get_running_loop().time,
        wall_clock=emulator.wall_clock,
    )
    return Player(emulator.state, settings)


def _received(request: Request) -> ReceivedRequest:
    target = urlsplit(request.url)
    headers = Headers(request.headers)
    return ReceivedRequest(method=request.method, path=target.path, query_string=target.query, headers=headers)


def _came(ending: Ending, request: Request) -> Answer | TransportError:
    """Return what the client gets to see of *ending*."""
    reply = ending.reply
    match ending.manner:
        case Manner.WHOLE:
            return Response(status=reply.status, headers=reply.headers, body=reply.body)
        case Manner.CUT:
            return Response(status=reply.status, headers=reply.headers, body=ending.half, complete=False)
        case Manner.STALLED:
            return StalledResponse(Response(status=reply.status, headers=reply.headers, body=ending.half))
        case _:  # reset; or the client has gone, and nobody sees it
            return no_answer(ConnectionLostError, request, "the connection was reset")
