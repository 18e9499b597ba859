"""One connection: the only module that uses httptools."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Final, cast

import httptools

from ..failures import HUNG_UP, NOT_HTTP, system_reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..heads import Head, Origin
    from .exchange import Exchange

# One for each connection: what every read allocates anew, as those of streams do, costs more than all of the parsing.
_BUFFER: Final = 2**14
# All that may come before a body, between two pieces of it, and after it.
_MOST_FRAMING: Final = 2**16
_MOST_HEADERS: Final = 256
_MOST_INTERIM: Final = 32
_FIRST_STATUS: Final = 100
_SWITCHING: Final = 101
_FIRST_FINAL: Final = 200
_WITHOUT_BODY: Final = frozenset({204, 304})


class _TooMuchError(Exception):
    """A head has more than a head may have. It goes through the parser, which stops at it, and ends there."""


class Connection(asyncio.BufferedProtocol):
    """
    One connection, which carries one request at a time.

    Args:
        origin: Where it leads to.
        made: Called when it is open.
        lost: Called when it is, or is about to be, of no use.
    """

    transport: asyncio.Transport

    def __init__(
        self, origin: Origin, made: Callable[[Connection], None], lost: Callable[[Connection, bool], None]
    ) -> None:
        self.origin = origin
        self.closed = False
        self.counted = False
        self.idle_since = 0.0
        self._made = made
        self._lost = lost
        self._exchange: Exchange | None = None
        self._keep = False
        self._writing = False
        self._unframed = 0
        self._interim = 0
        self._pairs: list[tuple[bytes, bytes]] = []
        self._buffer = memoryview(bytearray(_BUFFER))
        self._parser = parser = httptools.HttpResponseParser(self)
        self._feed = parser.feed_data

    @property
    def usable(self) -> bool:
        """Whether a request may be sent with it."""
        return not (self.closed or self.transport.is_closing())

    def carry(self, exchange: Exchange, head: Head) -> None:
        """Send the request of *exchange*, unless the connection turns out to be closed."""
        if self.closed or self.transport.is_closing():
            exchange.fail(HUNG_UP)
            return
        self._exchange = exchange
        self._keep = False
        self._unframed = self._interim = 0
        exchange.started = True
        self.transport.write(head.with_body(exchange.request))
        if self._writing:
            exchange.watch.move(exchange, exchange.end)

    def set_down(self) -> bool:
        """Be done with the exchange; return whether there can be another."""
        exchange, self._exchange = self._exchange, None
        return exchange is not None and exchange.complete and self._keep and not self._writing and self.usable

    def hang_up(self, *, abort: bool = False) -> None:
        """Close: at once, or as soon as what was written has gone out."""
        self.closed = True
        if abort:
            self.transport.abort()
        else:
            self.transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast("asyncio.Transport", transport)
        # So that resume_writing() means that everything has gone out. For TLS, a buffer for 0 bytes is always full.
        self.transport.set_write_buffer_limits(high=1, low=0)
        self._made(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End, and with it what is under way."""
        self.closed = True
        exchange = self._exchange
        if exchange is not None:
            exchange.fail((exc and system_reason(exc)) or HUNG_UP)
        # The parser holds on to this connection's methods; the cycle would keep the garbage collector busy.
        del self._feed, self._parser
        self._lost(self, True)  # noqa: FBT003  one meaning only

    def eof_received(self) -> None:
        """Take the end of the stream for the end of a body that has no other; then the connection closes itself."""
        self.closed = True
        exchange = self._exchange
        if exchange is None:
            self._lost(self, False)  # noqa: FBT003  one meaning only
            return
        if exchange.until_close and not exchange.over and _ended(self.transport):
            exchange.finish()
        exchange.fail(HUNG_UP)

    def pause_writing(self) -> None:
        """Note that the peer has not taken everything yet."""
        self._writing = True

    def resume_writing(self) -> None:
        """Note that it has; now it is its turn."""
        self._writing = False
        if self._exchange is not None:
            self._exchange.peers_turn()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Say where to put what comes."""
        if sizehint > _BUFFER:  # TLS reads just once when it has come to its end, and loses what there is no room for
            self._buffer = memoryview(bytearray(sizehint))
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Read on. Whatever comes while nothing is asked for makes the connection useless."""
        exchange = self._exchange
        if exchange is None:
            self._lost(self, False)  # noqa: FBT003  one meaning only
            return
        if exchange.over:
            self._keep = False
            return
        self._unframed += nbytes
        try:
            self._feed(self._buffer[:nbytes])
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._keep = False
            exchange.fail(NOT_HTTP)
        if exchange.over:
            exchange.settle_answer()
        elif self._unframed > _MOST_FRAMING:
            exchange.fail(NOT_HTTP)
        else:
            exchange.peers_turn()

    # The parser calls these.

    def on_message_begin(self) -> None:
        """Begin an answer. A second one was not asked for."""
        self._pairs.clear()
        if self._exchange is None or self._exchange.over:
            self._keep = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep one header, or what came after a body in its place."""
        self._pairs.append((name, value))

    def on_headers_complete(self) -> None:
        """Take in a head; those before the last one are only announcements."""
        exchange, status, pairs = self._exchange, self._parser.get_status_code(), self._pairs
        if exchange is None or exchange.over:
            return
        if len(pairs) > _MOST_HEADERS or status < _FIRST_STATUS or self._is_long():
            raise _TooMuchError
        if _FIRST_STATUS <= status < _FIRST_FINAL and status != _SWITCHING:
            self._interim += 1
            if self._interim > _MOST_INTERIM:
                raise _TooMuchError
            return
        exchange.begin(status, pairs)
        self._unframed = 0
        if status in _WITHOUT_BODY or exchange.request.method == "HEAD":
            exchange.finish()
            # The parser may wait for a body that is announced all the same; then it cannot read another answer.
            announced = exchange.headers.get("content-length", "0") != "0" or "transfer-encoding" in exchange.headers
            self._keep = not announced and self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        """Take in a piece of a body."""
        exchange = self._exchange
        if exchange is None or exchange.over:
            return
        self._unframed = 0
        exchange.add(body)

    def on_message_complete(self) -> None:
        """Take in the end of an answer."""
        exchange = self._exchange
        if exchange is None or exchange.over or not exchange.status:
            return
        exchange.finish()
        self._keep = exchange.status != _SWITCHING and self._parser.should_keep_alive()

    def _is_long(self) -> bool:
        # What came at once may be the body already, so only then it is worth looking.
        return self._unframed > _MOST_FRAMING and (
            sum(len(name) + len(value) for name, value in self._pairs) > _MOST_FRAMING
        )


def _ended(transport: asyncio.Transport) -> bool:
    """Tell whether the other end has said that this is the end; of a TLS connection, anybody could cut off the rest."""
    tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    try:
        return tls is None or not tls.read(1)
    except ssl.SSLError:
        return False
