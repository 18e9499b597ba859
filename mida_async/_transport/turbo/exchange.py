"""One request and what has come back of it so far."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from typing import cast

import attrs

from ..._core.messages import Request, Response
from ..failures import NOT_HTTP
from ..text import flatten
from ..watch import PeerWait, Watch
from .coding import Decoder, decoder_for


@attrs.define(eq=False, repr=False, kw_only=True)
class Exchange(PeerWait):
    """
    One request and what has come back of it so far.

    Attributes:
        request: What is sent.
        answered: Done when nothing more is to come: the answer is there, or will never be.
        started: Whether any of the request was handed over.
        status: The status; 0 until it is known.
        headers: Those of the answer.
        complete: Whether the whole body is there.
        oversized: Whether the body is longer than it may be.
        reason: Why there is no answer, or only half of one.
        closed: Whether the transport was closed meanwhile.
        over: Whether nothing more is read.
    """

    request: Request
    answered: asyncio.Future[None]
    started: bool = False
    status: int = 0
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    complete: bool = False
    oversized: bool = False
    reason: str = ""
    closed: bool = False
    over: bool = False
    _pieces: list[bytes] = attrs.field(init=False, factory=list[bytes])
    _size: int = attrs.field(init=False, default=0)
    _decoder: Decoder | None = attrs.field(init=False, default=None)

    @property
    def until_close(self) -> bool:
        """Whether the body goes on until the connection ends, for want of another sign."""
        coding = self.headers.get("transfer-encoding", "").rstrip().lower()
        return bool(self.status) and "content-length" not in self.headers and not coding.endswith("chunked")

    def begin(self, status: int, pairs: list[tuple[bytes, bytes]]) -> None:
        """Take in the head of the answer."""
        self.headers = headers = flatten(
            [
                (name.decode("utf-8", "surrogateescape"), value.strip(b" \t").decode("utf-8", "surrogateescape"))
                for name, value in pairs
            ]
        )
        self.status = status
        if "content-encoding" in headers:
            self._decoder = decoder_for(headers["content-encoding"])

    def add(self, piece: bytes) -> None:
        """Take in a piece of the body, as far as it is wanted."""
        limit = self.request.max_response_bytes
        if self._decoder is not None:
            piece = self._decoded(self._decoder, piece, limit - self._size + 1)
        self._size += len(piece)
        self._pieces.append(piece)
        if self._size > limit:
            self.oversized = self.over = True

    def finish(self) -> None:
        """Take in that the body is at its end."""
        self.over = True
        if self._decoder is None or self._decoder.finished:
            self.complete = True
        else:
            self.reason = NOT_HTTP

    def settle_answer(self) -> None:
        """Say that nothing more is to come."""
        if not self.answered.done():
            self.answered.set_result(None)

    def fail(self, reason: str) -> None:
        """End without an answer, or with what there is of one."""
        if not self.over:
            self.over, self.reason = True, reason
        self.settle_answer()

    def response(self) -> Response:
        """Return what there is; there is a status."""
        body = b"".join(self._pieces)
        if self.oversized:
            body = body[: self.request.max_response_bytes]
        return Response(
            status=self.status, headers=self.headers, body=body, complete=self.complete, oversized=self.oversized
        )

    def _decoded(self, decoder: Decoder, piece: bytes, room: int) -> bytes:
        try:
            return decoder.decode(piece, room)
        except zlib.error:
            self.over, self.reason = True, NOT_HTTP
            return b""


def new_exchange(request: Request, watch: Watch[Exchange], *, end: float, read_timeout: float) -> Exchange:
    """Make one for the running task, with its end for a deadline."""
    return Exchange(
        task=cast("asyncio.Task[object]", asyncio.current_task()),
        deadline=end,
        request=request,
        watch=watch,
        end=end,
        read_timeout=read_timeout,
        answered=watch.loop.create_future(),
    )
