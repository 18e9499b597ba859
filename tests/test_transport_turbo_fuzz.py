"""What the turbo transport makes of bytes of every kind: however they are cut, and beside the default transport."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import zlib
from typing import TYPE_CHECKING, Final

import attrs
import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings
from turbo_stage import Connection, Heads, Origin, TurboTransport, to

from mida_async._core.messages import Request, Response
from mida_async._errors import TransportError
from mida_async._settings import Timeout
from mida_async._transport.aiohttp import AiohttpTransport
from mida_async._transport.turbo.exchange import Exchange, new_exchange
from mida_async._transport.watch import Watch
from mida_async.testing.socket_peer import read_request, serving

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mida_async._transport.base import Transport

TIMEOUT: Final = Timeout(connect=2, read=2)
REQUEST: Final = to("http://a")
LIMIT: Final = REQUEST.max_response_bytes

TOKENS: Final = st.text("abcdefgXYZ-", min_size=1, max_size=8).map(lambda name: f"x-{name}")
VALUES: Final = st.text("abc ,;=\"'é\t/0", max_size=12)


class Socket(asyncio.Transport):
    """A transport that goes nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = False

    def is_closing(self) -> bool:
        """Tell whether it was closed."""
        return self.aborted

    def abort(self) -> None:
        """Close."""
        self.aborted = True

    close = abort

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send nothing."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Change nothing."""


@attrs.frozen
class Seen:
    """What became of an exchange, and of its connection."""

    response: Response | None
    reusable: bool


def fed(pieces: Iterable[bytes], request: Request = REQUEST, *, late_end: bool = False) -> Seen:
    """Let the pieces come in one after the other, and then the end if they had none; return what was made of them."""

    async def main() -> Seen:
        watch: Watch[Exchange] = Watch(asyncio.get_running_loop())
        exchange = new_exchange(request, watch, end=watch.loop.time() + 60, read_timeout=60)
        connection = Connection(Origin(secure=False, host="a", port=80), lambda _made: None, lambda _lost, _gone: None)
        connection.connection_made(Socket())
        connection.carry(exchange, Heads().of(request))
        for piece in filter(None, pieces):
            place = connection.get_buffer(-1)
            for start in range(0, len(piece), len(place)):
                part = piece[start : start + len(place)]
                place[: len(part)] = part
                connection.buffer_updated(len(part))
        if late_end or not exchange.over:
            connection.eof_received()
        watch.stop()
        assert exchange.answered.done()
        reusable = connection.set_down()
        connection.connection_lost(None)
        return Seen(exchange.response() if exchange.status else None, reusable)

    return asyncio.run(main())


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


def cut(raw: bytes, places: Iterable[int]) -> list[bytes]:
    """Cut bytes at these places."""
    bounds = [0, *sorted(place % (len(raw) + 1) for place in places), len(raw)]
    return [raw[start:end] for start, end in itertools.pairwise(bounds)]


@settings(max_examples=300)
@given(answer=answers(), places=st.lists(st.integers(0, 2000), max_size=12))
def test_however_an_answer_is_cut_it_is_the_same(answer: Answer, places: list[int]) -> None:
    """A valid answer is what it is, whether it comes at once, in a few pieces or byte by byte."""
    for pieces in ([answer.raw], cut(answer.raw, places), [bytes([each]) for each in answer.raw]):
        seen = fed(pieces)
        assert seen.response == answer.response
        assert seen.reusable == answer.reusable


@settings(max_examples=100)
@given(answer=answers(), place=st.integers(0, 2000), limit=st.integers(1, 300))
def test_of_an_answer_that_breaks_off_there_is_a_beginning(answer: Answer, place: int, limit: int) -> None:
    """Whatever comes first of an answer, and whatever the limit, what is returned of its body is its beginning."""
    request = attrs.evolve(REQUEST, max_response_bytes=limit)
    seen = fed([answer.raw[: place % (len(answer.raw) + 1)]], request)
    whole = answer.response.body
    if seen.response is not None:
        assert whole.startswith(seen.response.body)
        assert len(seen.response.body) <= limit
        assert not seen.response.oversized or len(whole) > limit
        assert not (seen.response.complete and seen.response.oversized)
        assert not seen.reusable or seen.response.complete


@pytest.mark.parametrize(
    "raw", [b"HTTP/1.1 200 OK\r\n\r\n" + bytes(LIMIT + 1), b"HTTP/1.1 204 OK\r\n\r\n"], ids=["long", "none"]
)
def test_an_end_that_comes_too_late_changes_nothing(raw: bytes) -> None:
    """Where an answer was over before, the end of the connection ends nothing but the connection."""
    early, late = fed([raw]), fed([raw], late_end=True)
    assert early.response == late.response
    assert not late.reusable


@settings(max_examples=100)
@given(answer=answers(), more=st.binary(min_size=1, max_size=20).filter(lambda more: more.strip(b"\r\n")))
def test_after_an_answer_nothing_may_come(answer: Answer, more: bytes) -> None:
    """R9: whatever follows an answer at once does not change it, and ends the connection."""
    if "content-length" in answer.response.headers or "transfer-encoding" in answer.response.headers:
        seen = fed([answer.raw + more])
        assert seen.response == answer.response
        assert not seen.reusable


@settings(max_examples=200)
@given(
    pieces=st.lists(
        st.one_of(
            st.binary(max_size=30),
            st.sampled_from(
                (
                    b"HTTP/1.1 200 OK\r\n",
                    b"HTTP/1.1 101 Go\r\n",
                    b"HTTP/1.0 100 Go\r\n\r\n",
                    b"Content-Length: 5\r\n",
                    b"Content-Encoding: deflate\r\n",
                    b"Transfer-Encoding: chunked\r\n",
                    b"Connection: upgrade\r\nUpgrade: x\r\n",
                    b"\r\n",
                    b"5\r\nhello\r\n",
                    b"0\r\n\r\n",
                    b"ffffffffffffffffff\r\n",
                )
            ),
        ),
        max_size=12,
    ),
    together=st.booleans(),
)
@example(pieces=[b"\0"], together=True)
def test_garbage_ends_in_a_response_or_in_none(pieces: list[bytes], together: bool) -> None:  # noqa: FBT001  drawn
    """R9: whatever comes, the exchange ends with the connection at the latest, and raises nothing of its own."""
    seen = fed([b"".join(pieces)] if together else pieces)
    assert seen.response is None or len(seen.response.body) <= LIMIT


async def scripted(make: type[AiohttpTransport | TurboTransport], raws: Sequence[bytes]) -> list[Response | str]:
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
    """Return what both transports are to agree on: of a body that broke off, not how much of it was seen."""
    if isinstance(result, str):
        return result
    body = result.body if result.complete else b""
    return (result.status, dict(result.headers), body, result.complete, result.oversized)


@settings(max_examples=60)
@given(drawn=st.lists(st.tuples(answers(), st.one_of(st.none(), st.integers(0, 2000))), min_size=8, max_size=12))
def test_both_transports_see_the_same(drawn: list[tuple[Answer, int | None]]) -> None:
    """R9: of whole answers, and of those that break off, the turbo transport makes what the default one makes."""
    raws = []
    for answer, place in drawn:
        end = len(answer.raw) if place is None else place % (len(answer.raw) + 1)
        # Where a body that goes on until the end breaks off, nobody can tell, but for one that was compressed.
        lasting = answer.reusable or "content-length" in answer.response.headers
        raws.append(answer.raw[: end if lasting else None])

    async def main() -> tuple[list[Response | str], list[Response | str]]:
        return await scripted(AiohttpTransport, raws), await scripted(TurboTransport, raws)

    theirs, ours = asyncio.run(main())
    assert list(map(told, ours)) == list(map(told, theirs))


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
def test_both_transports_agree_on_oddities(raw: bytes) -> None:
    """R9: odd and broken answers mean the same to both transports."""

    async def main() -> None:
        theirs, ours = await scripted(AiohttpTransport, [raw]), await scripted(TurboTransport, [raw])
        assert list(map(told, ours)) == list(map(told, theirs))

    asyncio.run(main())
