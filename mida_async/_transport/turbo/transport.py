"""The transport over httptools: what it promises is in :class:`~mida_async.Transport`."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from typing import TYPE_CHECKING, Final, Self

import attrs

from ..._errors import (
    CertificateError,
    ConnectError,
    ConnectionLostError,
    RequestTimeoutError,
    SettingsError,
    TransportError,
)
from ..._settings import Timeout
from ..base import CLOSE_TIMEOUT, closed, other_loop
from ..failures import (
    bad_certificate,
    no_answer,
    not_connected,
    nothing_came,
    out_of_time,
    system_reason,
    unresolved,
)
from ..forks import call_in_forked_child
from ..heads import Heads, Origin
from ..watch import Watch
from .exchange import Exchange, new_exchange
from .pool import Pool

if TYPE_CHECKING:
    from types import TracebackType

    from ..._core.messages import Request, Response
    from .connection import Connection
    from .pool import Factory

# RFC 8305 section 5: how long one address may take before the next one is tried beside it.
_HAPPY_EYEBALLS: Final = 0.25
_TIMEOUT: Final = Timeout()


@attrs.frozen(kw_only=True, repr=False)
class _Used:
    """What belongs to the event loop on which a transport is used."""

    loop: asyncio.AbstractEventLoop
    pool: Pool
    watch: Watch[Exchange]


class TurboTransport:
    """
    Send requests with httptools, for a fraction of the processor time that aiohttp takes.

    Use it as ``async with TurboTransport() as transport:`` around a client that is given it, or await :meth:`aclose`
    yourself after the client's. It speaks HTTP/1.1, over TLS that is verified, and keeps connections open for requests
    to come. It has no cookies, follows no redirects, and uses no proxy: those that the environment names are ignored,
    as the default transport ignores them. Nothing is opened, and no event loop is bound to, before the first
    :meth:`send`.

    Args:
        timeout: ``connect`` and ``read`` hold for every request; how long one may take in all is said to :meth:`send`.
        connections: How many connections are open at once at most; the buffer needs one for each request that it has
            under way, so this is to be its ``concurrency`` and some for direct calls.
        ssl_context: What to verify servers with; None means the certificates that this machine trusts.
        proxy: There is none; a proxy that is given is refused instead of being left out in silence.

    Raises:
        SettingsError: One of them cannot be used; the message says what to do.
    """

    def __init__(
        self,
        *,
        timeout: Timeout = _TIMEOUT,
        connections: int = 132,
        ssl_context: ssl.SSLContext | None = None,
        proxy: object = None,
    ) -> None:
        _check(timeout, connections, ssl_context, proxy)
        self._timeout = timeout
        self._connections = connections
        self._ssl_context = ssl_context
        self._heads = Heads()
        self._used: _Used | None = None
        self._closed = False
        self._knows_forks = False

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<{type(self).__name__} connections={self._connections} {state}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def send(self, request: Request, *, total: float) -> Response:
        """
        Send *request* once and return what came back, whatever its status.

        Waits for a free connection, for the connection, and for the answer. Cancelling closes the connection.

        Args:
            request: What to send.
            total: The seconds that this may take in all.

        Returns:
            The response; once a status has arrived there is one, even if its body stalls or breaks off.

        Raises:
            ConnectError: Nothing was sent.
            CertificateError: Nothing was sent, because the server's certificate is not trusted.
            ConnectionLostError: The connection broke after the request was begun; it may have been applied.
            RequestTimeoutError: No answer came in time; the request may have been applied.
            InvalidRequestError: The address, the method or a header cannot be sent.
            SettingsError: The transport belongs to another event loop.
        """
        used = self._use()
        watch, pool = used.watch, used.pool
        head = self._heads.of(request)
        now, read = used.loop.time(), self._timeout.read
        exchange = new_exchange(request, watch, end=now + total, read_timeout=read)
        connection = pool.take(head.origin, now)
        if connection is not None and read < total:
            exchange.deadline = now + read
        failure: TransportError | None = None
        watch.add(exchange)
        try:
            if connection is None:
                connection = await pool.acquire(head.origin, lambda: self._connecting(exchange))
                exchange.peers_turn()
            connection.carry(exchange, head)
            await exchange.answered
        except asyncio.CancelledError:
            if not exchange.settle():
                raise
            failure = self._late(exchange, total)
        except Exception as error:  # noqa: BLE001  whatever it is, it came either before or after the request was begun
            failure = _failure(exchange, error)
        finally:
            watch.remove(exchange)
            if connection is not None:
                pool.release(connection, complete=exchange.complete)
        if exchange.status:
            return exchange.response()
        # Here and not above, so that what a library raised is not in its context.
        raise failure or _broken(exchange)

    async def aclose(self) -> None:
        """
        Close all connections, within a quarter of a second.

        Requests that are under way lose their connection. More than once does nothing.

        Raises:
            SettingsError: The transport belongs to another event loop, which is still open.
        """
        used = self._used
        alive = used is not None and not used.loop.is_closed()
        if used is not None and used.loop is not asyncio.get_running_loop() and alive:
            raise other_loop()
        self._closed, self._used = True, None
        if used is None or not alive:  # a closed loop can close nothing
            return
        for exchange in used.watch.waits:
            exchange.closed = True
            if exchange.started:
                exchange.fail("the transport was closed")
            else:
                used.watch.move(exchange, used.loop.time())
        if not used.watch.waits:
            used.watch.stop()
        await used.pool.close(CLOSE_TIMEOUT)

    def _use(self) -> _Used:
        if self._closed:
            raise closed()
        loop = asyncio.get_running_loop()
        used = self._used
        if used is None:
            used = self._used = _Used(loop=loop, pool=Pool(loop, self._connections, self._connect), watch=Watch(loop))
            if not self._knows_forks:
                self._knows_forks = call_in_forked_child(self._leave_to_parent)
        if used.loop is not loop:
            raise other_loop()
        return used

    def _leave_to_parent(self) -> object:
        """Forget, in a forked process, the connections that the parent goes on to use."""
        used, self._used = self._used, None
        return used

    def _connecting(self, exchange: Exchange) -> None:
        watch = exchange.watch
        watch.move(exchange, min(exchange.end, watch.loop.time() + self._timeout.connect))

    async def _connect(self, origin: Origin, factory: Factory) -> Connection:
        loop = asyncio.get_running_loop()
        tls = self._tls() if origin.secure else None
        _, host, port = origin
        leave = None if tls is None else CLOSE_TIMEOUT
        # An address has no other; other loops, such as uvloop's, try one after the other.
        if isinstance(loop, asyncio.BaseEventLoop) and not _is_address(host):
            made = await loop.create_connection(
                factory, host, port, ssl=tls, ssl_shutdown_timeout=leave, happy_eyeballs_delay=_HAPPY_EYEBALLS
            )
        else:
            made = await loop.create_connection(factory, host, port, ssl=tls, ssl_shutdown_timeout=leave)
        return made[1]

    def _tls(self) -> ssl.SSLContext:
        context = self._ssl_context
        if context is None:
            # Reading the trusted certificates takes a while, so it is done once, and only for whoever needs them.
            context = self._ssl_context = ssl.create_default_context()
            context.set_alpn_protocols(["http/1.1"])
        return context

    def _late(self, exchange: Exchange, total: float) -> TransportError:
        """Return what it means that a deadline was reached."""
        if exchange.closed:
            return closed()
        if exchange.deadline == exchange.end:
            reason = out_of_time(total)
        elif exchange.started:
            reason = nothing_came(self._timeout.read)
        else:
            reason = not_connected(self._timeout.connect)
        return no_answer(RequestTimeoutError if exchange.started else ConnectError, exchange.request, reason)


def _failure(exchange: Exchange, error: Exception) -> TransportError:
    """Return what an exception means: it came before anything was sent, or should not have come."""
    kind: type[TransportError] = ConnectionLostError if exchange.started else ConnectError
    untrusted = isinstance(error, ssl.SSLCertVerificationError)
    return no_answer(CertificateError if untrusted else kind, exchange.request, _reason(error))


def _broken(exchange: Exchange) -> TransportError:
    """Return what it means that the exchange ended without a status."""
    if exchange.started:
        return no_answer(ConnectionLostError, exchange.request, exchange.reason)
    return closed() if exchange.closed else no_answer(ConnectError, exchange.request, exchange.reason)


def _check(timeout: object, connections: object, ssl_context: object, proxy: object) -> None:
    message = ""
    if proxy is not None:
        message = (
            "this transport uses no proxy: leave it out, or use the default transport, over aiohttp, with a session "
            "that has one (session=aiohttp.ClientSession(proxy=...))"
        )
    elif not isinstance(timeout, Timeout):
        message = f"timeout is {timeout!r}; it must be a Timeout"
    elif type(connections) is not int or connections < 1:
        message = f"connections is {connections!r}; it must be a whole number, 1 or greater"
    elif ssl_context is not None and not isinstance(ssl_context, ssl.SSLContext):
        message = f"ssl_context is {ssl_context!r}; it must be an ssl.SSLContext"
    if message:
        raise SettingsError(message)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _reason(error: Exception) -> str:
    """Say why there is no connection."""
    match error:
        case ssl.SSLCertVerificationError():
            return bad_certificate(error)
        case socket.gaierror():
            return unresolved(error)
        case _:
            return system_reason(error) or f"{type(error).__name__}: {error}"
