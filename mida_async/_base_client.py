"""What all clients have in common: a transport, a buffer, and an end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ParamSpec, Self

from ._delivery.buffer import EventBuffer
from ._errors import SettingsError
from ._settings import BufferSettings, RetryPolicy, Timeout
from ._transport.aiohttp import AiohttpTransport

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from ._delivery.reports import CloseReport
    from ._requestor import Exchange
    from ._transport.aiohttp import Session
    from ._transport.base import Transport
    from .destinations.base import Destination
    from .instrumentation.details import Hook
    from .spools.base import Spool

P = ParamSpec("P")

# Beside the senders of the buffer, which have a connection each.
_CONNECTIONS_FOR_DIRECT_CALLS = 100


class BaseClient:
    """
    Has a transport and a buffer, and brings them to their end.

    Args:
        session: An aiohttp session to use.
        timeout: How long requests may take.
        retry: How often, and after which pauses, failed requests are sent again.
        buffer: How the buffer behaves.
        spool: Where the buffer keeps its records until they have come to their end.
        transport: The way that requests go out, instead of aiohttp.

    Raises:
        SettingsError: One of them is of a wrong type, or two do not go together.
    """

    _exchanges: tuple[Exchange, ...] = ()
    _engine: EventBuffer[...]

    def __init__(
        self,
        *,
        session: Session | None,
        timeout: Timeout,
        retry: RetryPolicy,
        buffer: BufferSettings,
        spool: Spool | None,
        transport: Transport | None,
    ) -> None:
        _check_type("timeout", timeout, Timeout)
        _check_type("retry", retry, RetryPolicy)
        _check_type("buffer", buffer, BufferSettings)
        _check_spool(spool)
        _check_transport(transport, session)
        self._timeout = timeout
        self._retry = retry
        self._settings = buffer
        self._spool = spool
        self._owns_transport = transport is None
        connections = buffer.concurrency + _CONNECTIONS_FOR_DIRECT_CALLS
        self._transport = self._open_transport(session, timeout, connections) if transport is None else transport

    async def __aenter__(self) -> Self:
        try:
            await self._engine.open()
        except BaseException:
            await self.aclose(0)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self, timeout: float | None = None) -> CloseReport:  # noqa: ASYNC109  the contract's name
        """
        Deliver what the buffer holds until the time is up, end the rest, and close the connections.

        A session or a transport that was given stays open. Direct calls raise :class:`ClientClosedError` from then on.

        Calling it again waits for the first call, and can only bring its end forward. Cancelling it ends what is left
        at once.

        Args:
            timeout: Seconds that this may take; None means ``close_timeout`` of the buffer's settings.

        Returns:
            What became of the records that were pending.

        Raises:
            SettingsError: The client belongs to another event loop; it stays open.
        """
        try:
            report = await self._engine.aclose(timeout)
        except asyncio.CancelledError:
            await self._disconnect()
            raise
        await self._disconnect()
        return report

    async def _disconnect(self) -> None:
        for exchange in self._exchanges:
            exchange.close()
        if self._owns_transport:
            await self._transport.aclose()

    def _open_transport(self, session: Session | None, timeout: Timeout, connections: int) -> Transport:
        return AiohttpTransport(session=session, timeout=timeout, connections=connections)

    def _open_buffer(
        self, destination: Destination[P], hooks: Iterable[Hook], others: tuple[Destination[...], ...] = ()
    ) -> EventBuffer[P]:
        buffer = EventBuffer(
            destination,
            self._transport,
            settings=self._settings,
            retry=self._retry,
            total=self._timeout.total,
            hooks=hooks,
            spool=self._spool,
            others=others,
        )
        self._engine = buffer
        return buffer


def _check_type(name: str, value: object, cls: type) -> None:
    if not isinstance(value, cls):
        message = f"{name} is {value!r}; it must be a {cls.__name__}"
        raise SettingsError(message)


def _check_spool(spool: object) -> None:
    if spool is not None and not callable(getattr(spool, "append", None)):
        message = f"spool is {spool!r}; it must be None, or a spool such as mida_async.spools.sqlite.SQLiteSpool(path)"
        raise SettingsError(message)


def _check_transport(transport: object, session: object) -> None:
    if transport is None:
        return
    if session is not None:
        message = "session and transport are both given; a session is for aiohttp, which a transport takes the place of"
        raise SettingsError(message)
    if not callable(getattr(transport, "send", None)):
        message = f"transport is {transport!r}; it must have the methods of mida_async.Transport"
        raise SettingsError(message)
