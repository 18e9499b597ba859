"""The transport over aiohttp: the only module that uses aiohttp's client."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Final, TypeAlias, TypedDict, cast

import aiohttp
import attrs
import yarl
from aiohttp.http_exceptions import HttpProcessingError

from .._errors import (
    CertificateError,
    ConnectError,
    ConnectionLostError,
    RequestTimeoutError,
    SettingsError,
    TransportError,
)
from .base import CLOSE_TIMEOUT, KEEPALIVE, closed, other_loop
from .failures import (
    HUNG_UP,
    NOT_HTTP,
    bad_certificate,
    no_answer,
    not_connected,
    nothing_came,
    out_of_time,
    system_reason,
    unresolved,
)
from .forks import call_in_forked_child
from .roundtrip import Roundtrip
from .short import READ_SIZE, NotConnectedError, ShortTrip, ShortWay, UnusableError
from .watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.abc import AbstractStreamWriter

    from .._core.messages import Request, Response
    from .._settings import Timeout
    from .heads import Origin

Session: TypeAlias = aiohttp.ClientSession
"""What may be lent to the transport."""

_DNS_CACHE: Final = 60
# The short way was tested with these.
_TESTED: Final = frozenset({"3.14"})
_WITHOUT_BODY: Final = frozenset({"GET", "HEAD"})
_NOT_SENT: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
# aiohttp sends these a second time by itself.
_REPEATED_BY_AIOHTTP: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
_UNTRUSTED: Final = (aiohttp.ClientConnectorCertificateError, aiohttp.ServerFingerprintMismatch)


class _Body(aiohttp.Payload):
    """
    A request body that knows whether any of it was handed over.

    aiohttp raises the same exceptions before and after that, so this is the only proof that nothing was sent.
    """

    _value: bytes

    def __init__(self, value: bytes, written: Callable[[], None]) -> None:
        super().__init__(value)
        self._size = len(value)
        self._written = written
        self.started = False
        self.connection: asyncio.Transport | None = None

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._value.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        self.connection = connection = getattr(writer, "transport", None)
        # A pooled connection may be found closed only now; then the writer refuses, and nothing goes out.
        self.started = connection is None or not connection.is_closing()
        await writer.write(self._value)
        self._written()


class _Failure(Exception):  # noqa: N818
    """Carries an exception past aiohttp, which would send GET, PUT and DELETE again if it saw a connection error."""

    def __init__(self, reason: Exception) -> None:
        super().__init__()
        self.reason = reason


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    try:
        return await handler(request)
    except Exception as error:  # noqa: BLE001  it is sorted where it arrives
        raise _Failure(error) from None


class _Options(TypedDict):
    """What every request says anew, so that the settings of a session that was lent do not matter."""

    allow_redirects: bool
    raise_for_status: bool
    auto_decompress: bool
    read_bufsize: int
    timeout: aiohttp.ClientTimeout
    middlewares: tuple[aiohttp.ClientMiddlewareType, ...]


@attrs.define(eq=False, repr=False, kw_only=True)
class _SessionTrip(Roundtrip):
    """One request through the session."""

    session: aiohttp.ClientSession
    options: _Options
    body: _Body | None = None
    answer: aiohttp.ClientResponse | None = None

    @property
    def sent(self) -> bool | None:
        return None if self.body is None else self.body.started

    async def run(self) -> None:
        request = self.request
        if request.body is not None or request.method not in _WITHOUT_BODY:
            self.body = _Body(request.body or b"", self.peers_turn)
        self.answer = answer = await self.session.request(
            request.method,
            yarl.URL(request.url, encoded=True),  # yarl keeps the latest ones
            data=self.body,
            headers=request.headers,
            skip_auto_headers=None if request.body else ("Content-Type",),  # an empty body has no type
            **self.options,
        )
        response = await self.take_in(answer.status, answer.headers.items(), answer.content)
        if response.oversized:
            answer.close()

    def finish(self) -> None:
        super().finish()
        self.body = None  # it refers to this trip; a cycle for every request would keep the garbage collector busy

    def abort(self) -> bool:
        connection = None if self.body is None else self.body.connection
        if self.answer is not None:
            self.answer.close()
        if connection is not None:
            connection.abort()
        return self.answer is not None or connection is not None


def _options(timeout: aiohttp.ClientTimeout, *middlewares: aiohttp.ClientMiddlewareType) -> _Options:
    return {
        "allow_redirects": False,
        "raise_for_status": False,
        "auto_decompress": True,
        "read_bufsize": READ_SIZE,
        "timeout": timeout,
        "middlewares": middlewares,
    }


@attrs.frozen(kw_only=True)
class _Used:
    """What belongs to the event loop on which a transport is used."""

    loop: asyncio.AbstractEventLoop
    session: aiohttp.ClientSession
    watch: Watch[Roundtrip]
    short: ShortWay | None


class AiohttpTransport:
    """
    Send requests with aiohttp.

    Nothing is opened, and no event loop is bound to, before the first :meth:`send`. With a session of its own, short
    requests go around it: see ``short.py``.

    Args:
        session: A session to send with. It stays the caller's: it is never closed here, and its proxy, TLS context,
            connection limit, default headers, cookies and trace hooks hold for these requests too; its base address,
            timeouts, ``raise_for_status`` and middlewares do not. Without one, the transport opens its own: verified
            TLS, no cookies, no proxy from the environment.
        timeout: ``connect`` and ``read`` hold for every request; how long one may take in all is said to :meth:`send`.
        connections: How many connections are open at once at most, in a session of its own.
    """

    def __init__(
        self, *, session: aiohttp.ClientSession | None = None, timeout: Timeout, connections: int = 100
    ) -> None:
        self._lent = session
        self._timeout = timeout
        self._connections = connections
        self._used: _Used | None = None
        self._closed = False
        self._knows_forks = False
        self._forked = False
        # aiohttp's read timeout takes two timers a request. Where a body is written, our own watch needs none.
        self._connect = connect = aiohttp.ClientTimeout(total=None, sock_connect=timeout.connect)
        connect_and_read = aiohttp.ClientTimeout(total=None, sock_connect=timeout.connect, sock_read=timeout.read)
        self._options = _options(connect)
        self._options_if_repeated = _options(connect, _once)
        self._options_without_body = _options(connect_and_read, _once)

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
            ConnectionLostError: The connection broke after the body was begun; the request may have been applied.
            RequestTimeoutError: No answer came in time; the request may have been applied.
            SettingsError: The transport belongs to another event loop.
        """
        used = self._use()
        trip = self._trip(request, used, total)
        failure: TransportError | None = None
        used.watch.add(trip)
        try:
            await trip.run()
        except asyncio.CancelledError:
            trip.abort()
            if trip.settle():
                timeout = TimeoutError() if trip.deadline == trip.end else aiohttp.SocketTimeoutError()
                failure = self._failure(trip, timeout, total)
            elif not _closed_under_us(used.session):
                raise
            else:
                failure = closed()
        except Exception as error:  # noqa: BLE001  an unknown one, too, came either before or after the body was begun
            trip.abort()
            failure = self._failure(trip, error, total)
        finally:
            trip.finish()
        if trip.response is not None:
            return trip.response
        # Here and not above, so that aiohttp's exception, which shows the headers, is not in its context.
        raise cast("TransportError", failure)

    async def aclose(self) -> None:
        """
        Close the connections that this transport opened, within a quarter of a second; a lent session stays open.

        Requests that are under way lose their connection. More than once does nothing.

        Raises:
            SettingsError: The transport belongs to another event loop, which is still open.
        """
        used = self._used
        alive = used is not None and not used.loop.is_closed()
        if used is not None and used.loop is not asyncio.get_running_loop() and alive:
            raise other_loop()
        self._closed = True
        if used is None or self._lent is not None:
            return
        self._used = None
        for trip in used.watch.waits if alive else ():  # a closed loop can abort nothing
            if not trip.abort():
                used.watch.move(trip, used.loop.time())
        if not used.watch.waits:
            used.watch.stop()
        # aiohttp waits until every connection has taken leave; a peer that takes nothing more must not hold us up.
        await asyncio.wait({asyncio.ensure_future(used.session.close())}, timeout=CLOSE_TIMEOUT)

    def _use(self) -> _Used:
        if self._closed:
            raise closed()
        loop = asyncio.get_running_loop()
        used = self._used
        if used is None:
            session = self._session_on(loop)
            used = self._used = _Used(loop=loop, session=session, watch=Watch(loop), short=self._short_way(session))
            if not self._knows_forks:
                self._knows_forks = call_in_forked_child(self._leave_to_parent)
        if used.loop is not loop:
            raise other_loop()
        if used.session.closed:
            raise closed()
        return used

    def _leave_to_parent(self) -> object:
        """Forget, in a forked process, the connections that the parent goes on to use."""
        used, self._used, self._forked = self._used, None, True
        return used

    def _session_on(self, loop: asyncio.AbstractEventLoop) -> aiohttp.ClientSession:
        lent = self._lent
        if lent is None:
            pool = aiohttp.TCPConnector(limit=self._connections, ttl_dns_cache=_DNS_CACHE, keepalive_timeout=KEEPALIVE)
            return aiohttp.ClientSession(connector=pool, cookie_jar=aiohttp.DummyCookieJar())
        if self._forked:
            message = "the aiohttp session was in use before this process was forked; make a client in each process"
            raise SettingsError(message)
        if getattr(lent, "_loop", loop) is not loop:
            raise other_loop()
        if lent.auth is not None:
            message = "the aiohttp session has `auth` of its own, which would go out too; lend one without"
            raise SettingsError(message)
        return lent

    def _short_way(self, session: aiohttp.ClientSession) -> ShortWay | None:
        """Return the way around a session of our own: with one that was lent there may be cookies, proxies, traces."""
        if self._lent is not None or aiohttp.__version__.rpartition(".")[0] not in _TESTED:
            return None

        def place(origin: Origin) -> aiohttp.ClientRequest:
            url = yarl.URL.build(scheme="https" if origin.secure else "http", host=origin.host, port=origin.port)
            return aiohttp.ClientRequest("POST", url, loop=asyncio.get_running_loop(), session=session)

        return ShortWay(cast("aiohttp.BaseConnector", session.connector), self._connect, place)

    def _trip(self, request: Request, used: _Used, total: float) -> Roundtrip:
        task, read = cast("asyncio.Task[object]", asyncio.current_task()), self._timeout.read
        watch, way, end = used.watch, used.short, used.loop.time() + total
        if way is not None and way.takes(request):
            return ShortTrip(task=task, deadline=end, watch=watch, end=end, read_timeout=read, request=request, way=way)
        return _SessionTrip(
            task=task,
            deadline=end,
            watch=watch,
            end=end,
            read_timeout=read,
            request=request,
            session=used.session,
            options=self._options_for(request.method),
        )

    def _options_for(self, method: str) -> _Options:
        if method in _WITHOUT_BODY:
            return self._options_without_body
        return self._options_if_repeated if method in _REPEATED_BY_AIOHTTP else self._options

    def _failure(self, trip: Roundtrip, error: Exception, total: float) -> TransportError:
        if isinstance(error, _Failure):
            error = error.reason
        sent = not isinstance(error, _NOT_SENT) if trip.sent is None else trip.sent
        return no_answer(_kind(error, sent=sent), trip.request, self._reason(error, total))

    def _reason(self, error: Exception, total: float) -> str:
        if isinstance(error, (aiohttp.ConnectionTimeoutError, NotConnectedError)):
            return not_connected(self._timeout.connect)
        if isinstance(error, aiohttp.SocketTimeoutError):
            return nothing_came(self._timeout.read)
        if isinstance(error, TimeoutError):
            return out_of_time(total)
        return _reason(error)


def _kind(error: Exception, *, sent: bool) -> type[TransportError]:
    if isinstance(error, _UNTRUSTED):
        return CertificateError
    lost = RequestTimeoutError if isinstance(error, TimeoutError) else ConnectionLostError
    return lost if sent else ConnectError


def _reason(error: Exception) -> str:
    """Say what happened, without aiohttp's own texts: they may show a whole address or a piece of an answer."""
    text = system_reason(error) or f"{type(error).__name__}: {error}"
    match error:
        case aiohttp.ClientConnectorCertificateError(certificate_error=cause):
            text = bad_certificate(cause)
        case aiohttp.ServerFingerprintMismatch():
            text = "the server's certificate is not the one that was pinned"
        case aiohttp.ClientConnectorDNSError(os_error=cause):
            text = unresolved(cause)
        case aiohttp.ClientConnectorSSLError(os_error=ssl.SSLError() as cause):
            text = system_reason(cause) or text
        case OSError(errno=int()):
            pass
        case aiohttp.ClientResponseError() | HttpProcessingError():
            text = NOT_HTTP
        case aiohttp.ClientConnectionError():
            text = HUNG_UP
        case UnusableError():
            text = str(error)
        case _:
            pass
    return text


def _closed_under_us(session: aiohttp.ClientSession) -> bool:
    # Closing a session cancels the futures of requests that wait for a connection. Their tasks were not cancelled.
    task = asyncio.current_task()
    return session.closed and (task is None or not task.cancelling())
