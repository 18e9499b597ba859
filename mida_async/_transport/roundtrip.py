"""One request over a connection of aiohttp, and what has come back of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol

import attrs

from .._core.messages import Request, Response
from .text import flatten
from .watch import Wait, Watch

if TYPE_CHECKING:
    from collections.abc import Collection


class Stream(Protocol):
    """The body of an answer."""

    def at_eof(self) -> bool:
        """Say whether there is nothing more to read."""
        ...

    async def readany(self) -> bytes:
        """Wait for the next piece."""
        ...

    def set_exception(self, exc: BaseException) -> None:
        """Let it break off."""
        ...


@attrs.define(eq=False, repr=False, kw_only=True)
class Roundtrip(Wait, ABC):
    """
    One request and what has come back of it so far.

    Attributes:
        watch: Watches the deadline.
        end: When the time for all of it is over.
        read_timeout: How long the peer may take for one piece.
        request: The request.
        response: What has come back of it; None as long as there is no status.
    """

    watch: Watch[Roundtrip]
    end: float
    read_timeout: float
    request: Request
    response: Response | None = None

    @property
    @abstractmethod
    def sent(self) -> bool | None:
        """Whether any of the body was handed over; None where there is no body to tell by."""

    @abstractmethod
    async def run(self) -> None:
        """Send the request and take the answer in."""

    @abstractmethod
    def abort(self) -> bool:
        """Close the connection, if there is one, without waiting until the peer has taken what was written; say so."""

    def peers_turn(self) -> None:
        """Wait for the peer's next piece only as long as the read timeout, from now on."""
        self.watch.move(self, min(self.end, self.watch.loop.time() + self.read_timeout))

    def finish(self) -> None:
        """Be watched no more."""
        self.watch.remove(self)
        self.settle()

    async def take_in(self, status: int, headers: Collection[tuple[str, str]], stream: Stream) -> Response:
        """
        Read the body; what there is of it is in the response even if it breaks off.

        Args:
            status: The HTTP status.
            headers: The headers.
            stream: The body.
        """
        self.response = response = Response(status=status, headers=flatten(headers), complete=False)
        chunks, room = list[bytes](), self.request.max_response_bytes
        try:
            while room >= 0 and not stream.at_eof():
                self.peers_turn()
                chunk = await stream.readany()
                chunks.append(chunk)
                room -= len(chunk)
        finally:
            response.body = b"".join(chunks)[: self.request.max_response_bytes]
        response.complete, response.oversized = room >= 0, room < 0
        return response
