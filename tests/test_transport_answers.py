"""Answers of every form, and what is none, on both ways of the aiohttp transport."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gzip
import tracemalloc
import zlib
from typing import Any, Final

import pytest
import transport_stage
from transport_stage import OK, TIMEOUT, Counting, answering, to

from mida_async._core.messages import Response
from mida_async._errors import ConnectionLostError
from mida_async._transport.aiohttp import AiohttpTransport
from mida_async.testing.socket_peer import read_request, serving

pytestmark: Final = pytest.mark.usefixtures("way")

BIG: Final = 2**20 + 1

outcome: Final = functools.partial(transport_stage.outcome, lambda timeout: AiohttpTransport(timeout=timeout))


def whole(answer: bytes, *more: bytes, **wanted: Any) -> Response:
    """Send to a server that answers so and closes; expect a response."""
    response = outcome(answering(answer, *more), **wanted)
    assert isinstance(response, Response), response
    return response


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>not at home</html>\r\n\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"\x16\x03\x01\x00\x05hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 257 + b"\r\n",
    ],
    ids=["html", "no status", "binary", "two lengths", "huge header", "many headers"],
)
def test_what_is_not_http_is_lost(answer: bytes) -> None:
    """R9: an answer that is not HTTP, or has more in its head than a head may have, says nothing about the request."""
    for method in ("POST", "DELETE"):
        error = outcome(answering(answer), method=method)
        assert isinstance(error, ConnectionLostError)
        assert "not HTTP" in str(error)


@pytest.mark.parametrize(
    "beginning",
    [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 "],
    ids=["header", "status"],
)
def test_a_head_that_never_ends_takes_no_memory(beginning: bytes) -> None:
    """R17: a server that sends headers for ever is left before they are many."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(beginning)
        while True:
            writer.write(b"x" * 1000)
            await writer.drain()
            await asyncio.sleep(0)

    tracemalloc.start()
    error = outcome(handle)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(error, ConnectionLostError)
    assert peak < 4 * 2**20


def test_bodies_of_every_form_are_read() -> None:
    """Bodies with a length, in pieces with trailers and extensions, and up to the end of the connection are whole."""
    chunked = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a="b"\r\n{\r\n1\r\n}\r\n0\r\nT: x\r\n\r\n'
    for answer in (OK, chunked, b"HTTP/1.1 200 OK\r\n\r\n{}", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: x\r\n\r\n{}"):
        response = whole(answer)
        assert (response.body, response.complete) == (b"{}", True)
        assert "t" not in response.headers
    cut = whole(chunked[:-9])
    assert (cut.body, cut.complete) == (b"{}", False)


def test_answers_without_a_body_have_none() -> None:
    """What 204, 304 and an answer to HEAD say about a length is not waited for."""
    for status, method in ((204, "POST"), (304, "GET"), (200, "HEAD")):
        answer = b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\n" % status
        response = outcome(answering(answer, stay=True), method=method, body=None)
        assert isinstance(response, Response)
        assert (response.status, response.body, response.complete) == (status, b"", True)


def test_announcements_are_skipped() -> None:
    """100, 102 and 103, several in a row, come before the answer and are not it."""
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    response = whole(b"HTTP/1.1 100 Continue\r\n\r\n" + early + early + b"HTTP/1.1 102 Processing\r\n\r\n" + OK)
    assert (response.status, response.body, dict(response.headers)) == (200, b"{}", {"content-length": "2"})


def test_switching_protocols_is_a_response() -> None:
    """A server that goes on in another language has answered, and is not asked again on that connection."""
    for headers in (b"Connection: upgrade\r\nUpgrade: x\r\n", b""):
        response = whole(b"HTTP/1.1 101 Switching Protocols\r\n" + headers + b"\r\nhello")
        assert (response.status, response.body, response.complete) == (101, b"", True)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw deflate"])
def test_compressed_bodies_are_read(coding: str) -> None:
    """Bodies that were compressed in any of the ways that were offered come decompressed, however they are cut."""
    text = b'{"data": [1, 2, 3]}' * 100
    raw = zlib.compressobj(wbits=-15)
    packed = {
        "deflate": zlib.compress(text),
        "raw deflate": raw.compress(text) + raw.flush(),
    }.get(coding, gzip.compress(text))
    name = coding.removeprefix("raw ").encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (name, len(packed))
    for pieces in ((head + packed,), (head, packed[:1], packed[1:7], packed[7:])):
        response = whole(*pieces)
        assert (response.body, response.complete) == (text, True)


def test_the_read_timeout_begins_when_the_body_has_gone_out() -> None:
    """A body that the peer takes slowly may take longer than the read timeout; only then the peer's turn begins."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Content-Length: %d" % (16 * BIG) in head
        for _ in range(4):
            await asyncio.sleep(0.1)
        await reader.readexactly(16 * BIG)
        writer.write(OK)

    assert isinstance(outcome(handle, body=bytes(16 * BIG)), Response)


def test_an_early_answer_is_returned() -> None:
    """An answer that comes before the body was read counts, and the half-used connection is not used again."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await asyncio.Event().wait()

    async def main() -> int:
        counting = Counting(handle)
        async with serving(counting) as url, contextlib.aclosing(AiohttpTransport(timeout=TIMEOUT)) as made:
            for _ in range(2):
                response = await made.send(to(url, body=bytes(16 * BIG)), total=5)
                assert (response.status, response.complete) == (413, True)
        return counting.ever

    assert asyncio.run(main()) == 2
