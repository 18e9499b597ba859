"""Drawn answers, on the short way and through aiohttp's session: both make the same of them."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import zlib
from typing import TYPE_CHECKING, Final

import attrs
import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from transport_stage import ThroughTheSession, to

from mida_async._core.messages import Response
from mida_async._errors import TransportError
from mida_async._settings import Timeout
from mida_async._transport.aiohttp import AiohttpTransport
from mida_async.testing.socket_peer import read_request, serving

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mida_async._transport.base import Transport

TIMEOUT: Final = Timeout(connect=2, read=2)
REQUEST: Final = to("http://a")

TOKENS: Final = st.text("abcdefgXYZ-", min_size=1, max_size=8).map(lambda name: f"x-{name}")
VALUES: Final = st.text("abc ,;=\"'é\t/0", max_size=12)


@attrs.frozen
class Answer:
    """A valid answer: its bytes, and what a reader is to make of them."""

    raw: bytes
    response: Response
    reusable: bool


def chunked(body: bytes, sizes: Sequence[int], extension: bytes, trailer: bytes) -> bytes:
    """Cut a body into chunks."""
    chunks, start = [], 0
    for size in sizes:
        piece = body[start : start + size]
        start += size
        if piece:
            chunks.append(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece))
    rest = body[start:]
    if rest:
        chunks.append(b"%X\r\n%b\r\n" % (len(rest), rest))
    return b"".join(chunks) + b"0\r\n" + trailer + b"\r\n"


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Draw an answer with announcements, headers, a body of one form, and perhaps compression."""
    status = draw(st.sampled_from((200, 201, 204, 304, 400, 404, 429, 500, 503)))
    body = b"" if status in {204, 304} else draw(st.binary(max_size=300))
    headers = draw(st.lists(st.tuples(TOKENS, VALUES), max_size=5))
    pack = draw(st.sampled_from((None, "gzip", "deflate"))) if body else None
    packed = gzip.compress(body) if pack == "gzip" else zlib.compress(body) if pack else body
    pairs = [*headers, *([("Content-Encoding", pack)] if pack else [])]
    form = draw(st.sampled_from(("length", "chunks", "close"))) if body else "length"
    close = form == "close" or draw(st.booleans())
    sent = packed
    if form == "length":
        pairs += [] if status in {204, 304} else [("Content-Length", str(len(packed)))]
    elif form == "chunks":
        pairs.append(("Transfer-Encoding", "chunked"))
        sizes = draw(st.lists(st.integers(1, 40), max_size=6))
        extension, trailer = draw(st.sampled_from((b"", b";a=b"))), draw(st.sampled_from((b"", b"X-T: 1\r\n")))
        sent = chunked(packed, sizes, extension, trailer)
    pairs += [("Connection", "close")] if close else []
    early = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * draw(st.integers(0, 2))
    lines = "".join(f"{name}: {value}\r\n" for name, value in pairs)
    raw = early + f"HTTP/1.1 {status} Reason\r\n{lines}\r\n".encode() + sent
    flat: dict[str, str] = {}
    for name, value in pairs:
        text = value.strip(" \t")
        flat[name.lower()] = f"{flat[name.lower()]}, {text}" if name.lower() in flat else text
    return Answer(raw, Response(status=status, headers=flat, body=body), not close)


async def scripted(make: type[AiohttpTransport], raws: Sequence[bytes]) -> list[Response | str]:
    """Let a transport get these answers, each followed by the end of its connection; return what it made of them."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raws[int((await read_request(reader)).body)])

    async def send(transport: Transport, url: str, number: int) -> Response | str:
        try:
            return await transport.send(attrs.evolve(REQUEST, url=url, body=b"%d" % number), total=5)
        except TransportError as error:
            return type(error).__name__

    transport: Transport = make(timeout=TIMEOUT)
    async with serving(handle) as url, contextlib.aclosing(transport):
        # All at once, so that none is sent over a connection that is just about to be closed.
        return await asyncio.gather(*(send(transport, url, number) for number in range(len(raws))))


def told(result: Response | str) -> tuple[object, ...] | str:
    """Return what both ways are to agree on: of a body that broke off, not how much of it was seen."""
    if isinstance(result, str):
        return result
    body = result.body if result.complete else b""
    return (result.status, dict(result.headers), body, result.complete, result.oversized)


@settings(max_examples=60)
@given(drawn=st.lists(st.tuples(answers(), st.one_of(st.none(), st.integers(0, 2000))), min_size=8, max_size=12))
def test_both_ways_see_the_same(drawn: list[tuple[Answer, int | None]]) -> None:
    """R9: whole answers are what they are, and of those that break off both ways make the same."""
    raws = []
    for answer, place in drawn:
        end = len(answer.raw) if place is None else place % (len(answer.raw) + 1)
        # Where a body that goes on until the end breaks off, nobody can tell, but for one that was compressed.
        lasting = answer.reusable or "content-length" in answer.response.headers
        raws.append(answer.raw[: end if lasting else None])

    async def main() -> tuple[list[Response | str], list[Response | str]]:
        return await scripted(ThroughTheSession, raws), await scripted(AiohttpTransport, raws)

    theirs, ours = asyncio.run(main())
    assert list(map(told, ours)) == list(map(told, theirs))
    for raw, (answer, _), seen in zip(raws, drawn, ours, strict=True):
        if raw == answer.raw:
            assert told(seen) == told(answer.response)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
        b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nNo colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: \xff\xe9\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: 1\r\n\r\na",
        b"HTTP/1.0 200 OK\r\n\r\nabc",
        b"garbage",
        b"",
    ],
    ids=range(12),
)
def test_both_ways_agree_on_oddities(raw: bytes) -> None:
    """R9: odd and broken answers mean the same on both ways."""

    async def main() -> None:
        theirs, ours = await scripted(ThroughTheSession, [raw]), await scripted(AiohttpTransport, [raw])
        assert list(map(told, ours)) == list(map(told, theirs))

    asyncio.run(main())
