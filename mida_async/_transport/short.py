"""
The short way of a request: over the connections of aiohttp and through its parser, but around its session.

A session merges headers, cookies, traces, proxies and timeouts for each request, follows redirects, and starts a task
that writes the body. An event needs none of that, and it is more than half of the time that it takes.

What is used here of a connection (its ``protocol``, and three members of that) is not in aiohttp's documents. So this
way is taken with the versions alone that it was tested with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import attrs

from .failures import HUNG_UP, UNASKED
from .heads import Heads, Origin
from .roundtrip import Roundtrip, Stream

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from .._core.messages import Request

# A body of this length goes out at once: it fits into what the operating system keeps for a connection, and into what
# asyncio buffers before it asks to wait. Longer ones need to be written while an early answer is read.
_SHORT: Final = 2**15

# What is read of a socket at once. For asyncio's own quarter of a megabyte the allocator may map and unmap memory with
# each answer (python/cpython#85451, 2026-09-08), which takes 12 us.
READ_SIZE: Final = 2**16

# So many idle connections over which something came are given up for one request.
_MOST_SPOILT: Final = 8

_ANNOUNCEMENTS: Final = frozenset(range(100, 200)) - {101}


class Connection(Protocol):
    """What is used of a connection."""

    @property
    def protocol(self) -> Any:
        """What reads answers."""
        ...

    @property
    def transport(self) -> asyncio.Transport | None:
        """What bytes are written to; None where it is closed."""
        ...

    def release(self) -> None:
        """Give it back, so that it can be used again."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class Connector(Protocol):
    """What is used of a pool of connections."""

    async def connect(self, place: Any, traces: Any, limits: Any, /) -> Any:
        """Return a connection that is free, or a new one."""
        ...


class NotConnectedError(Exception):
    """Connecting took too long."""


class UnusableError(Exception):
    """The connection cannot carry a request, and nothing was written to it."""


class ShortWay:
    """
    Where short requests go.

    Args:
        connector: Has the connections.
        timeout: How long connecting may take, as the connector understands it.
        place: Makes that by which the connector knows where to connect to.

    Attributes:
        heads: Knows the heads of requests.
    """

    def __init__(self, connector: Connector, timeout: object, place: Callable[[Origin], object]) -> None:
        self._connector = connector
        self._timeout = timeout
        self.heads = Heads(place)

    def takes(self, request: Request) -> bool:
        """Say whether *request* can go this way."""
        return request.method == "POST" and request.body is not None and len(request.body) <= _SHORT

    async def connect(self, place: object) -> Connection:
        """
        Return a connection over which nothing has come: it would be taken for the answer to what is sent next.

        Raises:
            NotConnectedError: It took too long.
            UnusableError: Something came over one after the other.
        """
        for _ in range(_MOST_SPOILT):
            try:
                connection: Connection = await self._connector.connect(place, [], self._timeout)
            except TimeoutError:
                raise NotConnectedError from None
            if not connection.protocol.should_close:
                return connection
            connection.close()
        raise UnusableError(UNASKED)


@attrs.define(eq=False, repr=False, kw_only=True)
class ShortTrip(Roundtrip):
    """
    One request on the short way.

    Attributes:
        way: The way.
        connection: The connection, as long as it is this one's.
        stream: The body of the answer.
        started: Whether any of the request was written.
    """

    way: ShortWay
    connection: Connection | None = None
    stream: Stream | None = None
    started: bool = False

    @property
    def sent(self) -> bool:
        """See :meth:`Roundtrip.sent`."""
        return self.started

    async def run(self) -> None:
        """See :meth:`Roundtrip.run`."""
        head = self.way.heads.of(self.request)
        self.connection = connection = await self.way.connect(head.place)
        protocol, transport = connection.protocol, connection.transport
        if transport is None or transport.is_closing():  # a pooled one may be found closed only now
            raise UnusableError(HUNG_UP)
        if getattr(transport, "max_size", 0) > READ_SIZE:  # of asyncio's own event loop alone
            cast("Any", transport).max_size = READ_SIZE
        protocol.set_response_params(read_until_eof=True, read_bufsize=READ_SIZE)
        self.started = True
        transport.write(head.with_body(self.request.body or b""))
        self.peers_turn()
        message, stream = await protocol.read()
        while message.code in _ANNOUNCEMENTS:
            message, stream = await protocol.read()
        self.stream = stream
        response = await self.take_in(message.code, message.headers.items(), stream)
        self.connection = None
        if response.complete:
            connection.release()
        else:
            connection.close()

    def abort(self) -> bool:
        """See :meth:`Roundtrip.abort`."""
        connection = self.connection
        transport = None if connection is None else connection.transport
        if self.stream is not None:  # or a body that ends with the connection would be taken for whole
            self.stream.set_exception(ConnectionAbortedError())
        if transport is not None:
            transport.abort()
        return connection is not None

    def finish(self) -> None:
        """Be watched no more, and let go of the connection if that has not been done."""
        super().finish()
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()
