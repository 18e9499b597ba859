"""The connections of one transport: so many at once, used again, and closed before their peers close them."""

from __future__ import annotations

import asyncio
import contextvars
from collections import OrderedDict
from typing import TYPE_CHECKING

from ..base import KEEPALIVE
from .connection import Connection

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ..heads import Origin

    Factory = Callable[[], Connection]


class Pool:
    """
    Connections, at most so many at once.

    Whoever finds none free waits in line. There is nobody in line as long as a connection is idle or may be opened.

    Args:
        loop: The event loop.
        limit: How many may be open.
        connect: Opens one, with what it is given as the protocol.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limit: int,
        connect: Callable[[Origin, Factory], Awaitable[Connection]],
    ) -> None:
        self.closed = False
        self._live: set[Connection] = set()
        self._loop = loop
        self._free = limit
        self._connect = connect
        self._idle: dict[Origin, list[Connection]] = {}
        self._line: OrderedDict[asyncio.Future[Connection | None], Origin] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self._context = contextvars.Context()  # the timer has nothing to do with the request that set it
        self._emptied: asyncio.Future[None] | None = None

    def take(self, origin: Origin, now: float) -> Connection | None:
        """Return the connection that was used last, if one is idle and likely to be open at the other end, too."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if now - connection.idle_since < KEEPALIVE and connection.usable:
                return connection
            self.give_up(connection)
        return None

    async def acquire(self, origin: Origin, connecting: Callable[[], None]) -> Connection:
        """
        Wait in line, and open a connection unless one becomes free.

        Args:
            origin: Where to.
            connecting: Called when one is about to be opened.
        """
        while (connection := await self._turn(origin)) is not None:
            if connection.usable:
                return connection
            self.give_up(connection)
        connecting()
        try:
            connection = await self._connect(origin, lambda: Connection(origin, self._made, self._lost))
        except BaseException:
            self._free_slot()
            raise
        connection.counted = True
        return connection

    def release(self, connection: Connection, *, complete: bool) -> None:
        """
        Take a connection back.

        Args:
            connection: It carries nothing any more.
            complete: Whether its last answer came to its end; if not, it is of no use.
        """
        reusable = connection.set_down()
        if not reusable or self.closed:
            self.give_up(connection, abort=not complete)
        else:
            connection.idle_since = self._loop.time()
            self._keep(connection)

    def give_up(self, connection: Connection, *, abort: bool = False) -> None:
        """Close a connection, and let somebody else have its place."""
        connection.hang_up(abort=abort)
        self._uncount(connection)

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109  a limit, after which the rest is closed all the same
        """
        Close everything: what is idle with a farewell, what is under way without.

        Args:
            timeout: How long the farewells may take.
        """
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
        farewells = {connection for connections in self._idle.values() for connection in connections}
        self._idle.clear()
        for connection in list(self._live):
            self.give_up(connection, abort=connection not in farewells)
        if self._live:
            self._emptied = self._loop.create_future()
            await asyncio.wait({self._emptied}, timeout=timeout)
        for connection in list(self._live):
            connection.hang_up(abort=True)

    async def _turn(self, origin: Origin) -> Connection | None:
        """Return a connection, or None for the right to open one."""
        if self._free or self._evict():
            self._free -= 1
            return None
        place: asyncio.Future[Connection | None] = self._loop.create_future()
        self._line[place] = origin
        try:
            return await place
        except asyncio.CancelledError:
            self._line.pop(place, None)
            if place.done() and not place.cancelled():
                self._pass_on(place.result())
            raise

    def _pass_on(self, given: Connection | None) -> None:
        """Give what came too late to whoever is next."""
        if given is None:
            self._free_slot()
        elif self.closed or not given.usable:
            self.give_up(given)
        else:
            self._keep(given)

    def _keep(self, connection: Connection) -> None:
        """Give a connection to whoever is next in line, or let it wait for somebody."""
        first = self._first_in_line()
        if first is None:
            self._idle.setdefault(connection.origin, []).append(connection)
            if self._timer is None:
                self._set_timer(KEEPALIVE)
        elif self._line[first] == connection.origin:
            del self._line[first]
            first.set_result(connection)
        else:
            self.give_up(connection)

    def _first_in_line(self) -> asyncio.Future[Connection | None] | None:
        """Return the place of whoever has waited longest; those who were cancelled may not have left yet."""
        while self._line:
            place = next(iter(self._line))
            if not place.done():
                return place
            del self._line[place]
        return None

    def _free_slot(self) -> None:
        first = self._first_in_line()
        if first is None:
            self._free += 1
        else:
            del self._line[first]
            first.set_result(None)

    def _uncount(self, connection: Connection) -> None:
        if connection.counted:
            connection.counted = False
            self._free_slot()

    def _evict(self) -> bool:
        """Close the connection that has been idle for the longest, whose origin is another."""
        oldest = min(
            (connections[0] for connections in self._idle.values() if connections),
            key=lambda connection: connection.idle_since,
            default=None,
        )
        if oldest is not None:
            self._idle[oldest.origin].remove(oldest)
            self.give_up(oldest)
        return oldest is not None

    def _made(self, connection: Connection) -> None:
        self._live.add(connection)
        if self.closed:
            connection.hang_up(abort=True)

    def _lost(self, connection: Connection, gone: bool) -> None:  # noqa: FBT001  one meaning only
        idle = self._idle.get(connection.origin, [])
        if connection in idle:
            idle.remove(connection)
        self._uncount(connection)
        if not gone:
            connection.hang_up()
            return
        self._live.discard(connection)
        if not self._live and self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)

    def _set_timer(self, delay: float) -> None:
        self._timer = self._loop.call_later(delay, self._sweep, context=self._context)

    def _sweep(self) -> None:
        """Close what has been idle for too long."""
        self._timer = None
        now = self._loop.time()
        for connection in [each for connections in self._idle.values() for each in connections]:
            if now - connection.idle_since >= KEEPALIVE:
                self._idle[connection.origin].remove(connection)
                self.give_up(connection)
        self._idle = {origin: connections for origin, connections in self._idle.items() if connections}
        if self._idle:
            oldest = min(connections[0].idle_since for connections in self._idle.values())
            self._set_timer(max(oldest + KEEPALIVE - now, 0.0))
