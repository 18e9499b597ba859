"""The turbo transport against real sockets whose other end misbehaves."""

from __future__ import annotations

import asyncio
import gzip
import os
import socket
import subprocess
import sys
import tracemalloc
import zlib
from typing import TYPE_CHECKING, Any, cast

import attrs
import pytest
from real_time import loop_clock
from turbo_stage import (
    KEY,
    OK,
    TIMEOUT,
    Counting,
    Heads,
    TurboTransport,
    answer_all,
    answer_nothing,
    answering,
    attempt,
    exchanges,
    outcome,
    reset,
    run,
    serving_tls,
    stage,
    started,
    tls_stage,
    to,
    trusting,
    until,
)

from mida_async import BufferSettings, MidaClient, RetryPolicy, SettingsError
from mida_async._core.messages import Response
from mida_async._errors import (
    CertificateError,
    ClientClosedError,
    ConnectError,
    ConnectionLostError,
    InvalidRequestError,
    TransportError,
)
from mida_async.testing import Emulator
from mida_async.testing.socket_peer import free_port, read_request, serving
from mida_async.testing.transport_suite import TRANSPORT_CHECKS, TransportCheck

if TYPE_CHECKING:
    from collections.abc import Iterator

BIG = 2**20 + 1
LOOPS = ("asyncio", "uvloop")


@pytest.fixture
def no_complaints(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """See to it that asyncio has nothing to complain about."""
    yield
    assert caplog.records == []


async def read_nothing(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Take the connection and do nothing with it."""
    await asyncio.Event().wait()


def whole(answer: bytes, *more: bytes, **wanted: Any) -> Response:
    """Send to a server that answers so and closes; expect a response."""
    response = outcome(answering(answer, *more), **wanted)
    assert isinstance(response, Response), response
    return response


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("check", TRANSPORT_CHECKS, ids=lambda check: check.__name__)
def test_the_promises_of_a_transport(check: TransportCheck, loop: str, *, tls: bool) -> None:
    """R9: the turbo transport keeps what every transport promises, with TLS and without, on either event loop."""

    async def main() -> None:
        await check(tls_stage if tls else stage)

    run(main(), loop)


def test_nothing_happens_before_the_first_send() -> None:
    """R15: a transport is made, and closed again, without an event loop."""
    made = TurboTransport(timeout=TIMEOUT)
    assert repr(made) == "<TurboTransport connections=132 open>"
    asyncio.run(made.aclose())
    assert repr(made) == "<TurboTransport connections=132 closed>"
    with pytest.raises(ClientClosedError, match="closed"):
        asyncio.run(made.send(to("http://127.0.0.1"), total=1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"proxy": "http://proxy"}, "uses no proxy: leave it out, or use the default transport"),
        ({"timeout": 5}, "timeout is 5; it must be a Timeout"),
        ({"connections": 0}, "connections is 0; it must be a whole number, 1 or greater"),
        ({"connections": True}, "connections is True"),
        ({"ssl_context": False}, "ssl_context is False; it must be an ssl.SSLContext"),
    ],
    ids=["proxy", "timeout", "none", "true", "tls"],
)
def test_settings_that_cannot_be_used_are_named(settings: dict[str, Any], message: str) -> None:
    """What cannot be honoured is refused when the transport is made, and a proxy first of all."""
    with pytest.raises(SettingsError, match=message):
        TurboTransport(**settings)


def test_a_proxy_of_the_environment_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says about proxies changes nothing, as with the default transport."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert whole(OK).status == 200


IMPORTING = """
import sys
sys.modules[sys.argv[1]] = None
import mida_async
try:
    import mida_async.turbo
except ImportError as error:
    assert error.__cause__ is None
    print(error)
"""


def test_without_httptools_the_extra_is_named() -> None:
    """Whoever has not installed the extra is told its name; another module that is missing is told as it is."""

    def told_without(module: str) -> str:
        command = [sys.executable, "-c", IMPORTING, module]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own script
        assert done.stderr == ""
        return done.stdout.strip()

    assert told_without("httptools") == "mida_async.turbo needs httptools: pip install mida-async[turbo]"
    assert told_without("mida_async._transport.turbo.pool").startswith("import of mida_async._transport.turbo.pool")


def test_unknown_host_is_not_sent() -> None:
    """A host that does not resolve is a ConnectError, for requests without a body too; so is one that is no name."""
    for method in ("POST", "GET"):
        error = asyncio.run(attempt("http://nowhere.invalid/", method=method))
        assert isinstance(error, ConnectError)
        assert "nowhere.invalid:80: the host name was not resolved" in str(error)
    error = asyncio.run(attempt(f"http://{'x' * 70}.invalid/"))
    assert isinstance(error, ConnectError)


def test_connect_timeout_is_not_sent() -> None:
    """A host that does not take the connection in time is a ConnectError that names the seconds and the setting."""

    async def main() -> Response | TransportError:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            fillers = [socket.socket() for _ in range(4)]
            for filler in fillers:  # a full backlog makes the kernel ignore whoever comes next
                filler.settimeout(0)
                filler.connect_ex(listener.getsockname())
            try:
                return await attempt(f"http://127.0.0.1:{listener.getsockname()[1]}")
            finally:
                for filler in fillers:
                    filler.close()

    error = asyncio.run(main())
    assert isinstance(error, ConnectError)
    assert "not connected within 0.15 s (timeout.connect)" in str(error)


def test_a_handshake_that_never_ends_is_not_sent() -> None:
    """The time for connecting includes TLS."""

    async def main() -> Response | TransportError:
        async with serving(answer_nothing) as url:
            return await attempt(url.replace("http:", "https:"))

    error = asyncio.run(main())
    assert isinstance(error, ConnectError)
    assert "not connected within 0.15 s (timeout.connect)" in str(error)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_every_kind_of_loopback_address_works(host: str) -> None:
    """Names, IPv4 and IPv6 addresses are all reached, and named in the Host header."""
    seen = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append((await read_request(reader)).headers["host"])
        writer.write(OK)

    async def main() -> str:
        async with serving(handle, host) as url:
            assert isinstance(await attempt(url), Response)
            return url

    assert asyncio.run(main()) == f"http://{seen[0]}"


def test_a_slow_answer_that_keeps_coming_is_whole() -> None:
    """The read timeout runs anew with every piece, so an answer may take longer than it in all."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for piece in (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"{", b"}"):
            await asyncio.sleep(0.1)  # three times that is longer than TIMEOUT.read
            writer.write(piece)

    response = outcome(handle)
    assert isinstance(response, Response)
    assert (response.body, response.complete) == (b"{}", True)


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>not at home</html>\r\n\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 042 Answer\r\nContent-Length: 0\r\n\r\n",
        b"\x16\x03\x01\x00\x05hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 257 + b"\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n" * 33 + OK,
    ],
    ids=["html", "no status", "low status", "binary", "two lengths", "huge header", "many headers", "announcements"],
)
def test_what_is_not_http_is_lost(answer: bytes) -> None:
    """R9: an answer that is not HTTP, or has more in its head than a head may have, says nothing about the request."""
    for method in ("POST", "DELETE"):
        error = outcome(answering(answer), method=method)
        assert isinstance(error, ConnectionLostError)
        assert "not HTTP" in str(error)


@pytest.mark.parametrize(
    "beginning",
    [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 102 Wait\r\n\r\n", b"HTTP/1.1 200 "],
    ids=["header", "announcement", "status"],
)
def test_a_head_that_never_ends_takes_no_memory(beginning: bytes) -> None:
    """R17: a server that sends headers for ever is left before they are many."""
    more = beginning if beginning.endswith(b"\n") else b"x"

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(beginning)
        while True:
            writer.write(more * 1000)
            await writer.drain()
            await asyncio.sleep(0)

    tracemalloc.start()
    error = outcome(handle)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(error, ConnectionLostError)
    assert peak < 4 * 2**20


def test_trailers_without_end_leave_the_status() -> None:
    """R17: what comes after the last piece of a body is bounded, too; the status stands."""
    head = b"HTTP/1.1 201 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: "
    response = whole(head + b"x" * 200_000, b"x")
    assert (response.status, response.body, response.complete) == (201, b"{}", False)


def test_bodies_of_every_form_are_read() -> None:
    """Bodies with a length, in pieces with trailers and extensions, and up to the end of the connection are whole."""
    chunked = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a="b"\r\n{\r\n1\r\n}\r\n0\r\nT: x\r\n\r\n'
    for answer in (OK, chunked, b"HTTP/1.1 200 OK\r\n\r\n{}", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: x\r\n\r\n{}"):
        response = whole(answer)
        assert (response.body, response.complete) == (b"{}", True)
        assert "t" not in response.headers
    cut = whole(chunked[:-9])
    assert (cut.body, cut.complete) == (b"{}", False)


def test_a_reset_is_no_end_of_a_body() -> None:
    """A body that goes on until the connection ends has not ended where the connection broke."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n{}")
        await asyncio.sleep(0.05)
        reset(writer)

    response = outcome(handle)
    assert isinstance(response, Response)
    assert (response.status, response.complete) == (200, False)


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


@pytest.mark.parametrize("coding", ["gzip", "X-GZIP", "deflate", "raw deflate"])
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
    assert whole(b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\n{}").body == b"{}"


def test_a_compressed_bomb_is_read_up_to_the_limit() -> None:
    """R17: fifty megabytes of zeros in a small answer cost no more memory than the limit and the buffers."""
    bomb = gzip.compress(bytes(50 * 2**20), compresslevel=1)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n".encode()
    tracemalloc.start()
    response = whole(head + bomb, max_response_bytes=2**16)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (response.oversized, response.body) == (True, bytes(2**16))
    assert peak < 8 * 2**20


@pytest.mark.parametrize(
    "packed",
    [b"hello", gzip.compress(b"{}")[:-1], gzip.compress(b"{}") + b"x", gzip.compress(b"{}") + gzip.compress(b"{}")],
    ids=["no gzip", "cut", "more", "two members"],
)
def test_a_broken_compressed_body_is_incomplete(packed: bytes) -> None:
    """A body that does not decompress, or not as one, leaves the status standing."""
    head = b"HTTP/1.1 202 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    for pieces in ((head + packed,), (head + packed[:-1], packed[-1:])):
        response = whole(*pieces)
        assert (response.status, response.complete, response.oversized) == (202, False, False)


@pytest.mark.parametrize(
    "changes",
    [
        {"url": f"http://user:{KEY}@127.0.0.1/"},
        {"url": "ftp://127.0.0.1/"},
        {"url": "http://127.0.0.1/a b"},
        {"url": "http://127.0.0.1/\r\nX: y"},
        {"url": "http://127.0.0.1:99999/"},
        {"url": "http://127.0.0.1:0/"},
        {"url": "http://[::1/"},
        {"url": "http:///path"},
        {"url": "http://127.0.0.1\\@evil/"},
        {"method": "PO ST"},
        {"headers": {"X": "a\r\nY: b"}},
        {"headers": {"X": "a\0"}},
        {"headers": {"X": "a", "Y\n": "b"}},
        {"headers": {"": "a"}},
        {"headers": {"content-LENGTH": "7"}},
        {"headers": {"Transfer-Encoding": "chunked"}},
    ],
    ids=range(16),
)
def test_what_would_be_another_request_is_refused(changes: dict[str, Any]) -> None:
    """R17: nothing is sent of a request whose parts would end early or begin another."""
    request = attrs.evolve(to("http://127.0.0.1:9/"), **changes)

    async def main() -> None:
        async with TurboTransport() as made:
            await made.send(request, total=1)

    with pytest.raises(InvalidRequestError):
        asyncio.run(main())


def start_of(url: str, **changes: Any) -> list[str]:
    """Return the lines of a head."""
    request = attrs.evolve(to(url, method="GET", body=None), **changes)
    return Heads().of(request).with_body(request).decode("latin-1").split("\r\n")


def test_heads_are_as_they_should_be() -> None:
    """The request line, the Host header and the length are right for all sorts of addresses and bodies."""
    lines = start_of("http://Example.com", headers={"X": "\xe9"})
    assert lines == ["GET / HTTP/1.1", "Host: example.com", "Accept-Encoding: gzip, deflate", "X: \xe9", "", ""]
    assert start_of("https://a:443/b?c#d")[:2] == ["GET /b?c HTTP/1.1", "Host: a"]
    assert start_of("https://a:80?c")[:2] == ["GET /?c HTTP/1.1", "Host: a:80"]
    assert start_of("http://[::1]:8080/")[1] == "Host: [::1]:8080"
    assert start_of("http://a", headers={"HOST": "b", "Accept-encoding": "br"})[1:3] == [
        "HOST: b",
        "Accept-encoding: br",
    ]
    assert start_of("http://a", method="POST")[-3:] == ["Content-Length: 0", "", ""]
    assert start_of("http://a", method="DELETE")[-3].startswith("Content-Type")
    assert start_of("http://a", body=b"abc")[-3:] == ["Content-Length: 3", "", "abc"]


def test_heads_are_kept_only_for_equal_headers() -> None:
    """A head is used again for the same method, address and headers; changed headers are noticed; few are kept."""
    heads = Heads()
    headers = {"X": "1"}
    request = attrs.evolve(to("http://a"), headers=headers)
    first = heads.of(request)
    assert heads.of(attrs.evolve(request, headers=dict(headers), body=b"other")) is first
    headers["X"] = "2"
    assert b"X: 2\r\n" in heads.of(request).start
    for number in range(100):
        heads.of(to(f"http://a/{number}"))
    assert len(heads._kept) == 64


def test_what_was_opened_before_a_fork_is_forgotten() -> None:
    """R15: the child opens connections of its own."""

    async def main() -> None:
        counting = Counting(answer_all)
        async with serving(counting) as url:
            made = TurboTransport()
            assert made._leave_to_parent() is None
            await made.send(to(url), total=5)
            inherited = made._used
            assert inherited is not None
            assert made._leave_to_parent() is inherited
            await made.send(to(url), total=5)
            assert counting.ever == 2
            await made.aclose()
            await inherited.pool.close(1)

    asyncio.run(main())


FORKING = """
import asyncio, os, sys
from mida_async import MidaClient
from mida_async.turbo import TurboTransport

async def use(mida, who):
    await mida.events.record(who, id=who)

async def main():
    async with TurboTransport() as transport, MidaClient("p", "k", base_url=sys.argv[1], transport=transport) as mida:
        await use(mida, "parent")
        pid = os.fork()
        if pid == 0:
            asyncio.run(use(mida, "child"))
            os._exit(0)
        assert os.waitstatus_to_exitcode((await asyncio.to_thread(os.waitpid, pid, 0))[1]) == 0
        await use(mida, "parent")

asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_child_leaves_its_parents_connections_alone() -> None:
    """R15: parent and child both go on sending, each over connections of its own."""

    async def main() -> list[str]:
        async with Emulator(project_key="p", api_key="k", auto_visitors=True) as emulator:
            command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING, emulator.base_url]
            process = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE)
            assert (await process.communicate())[1] == b""
            return [event.event_name for event in emulator.recorded]

    assert asyncio.run(main()) == ["parent", "child", "parent"]


@pytest.mark.parametrize("loop", LOOPS)
def test_a_large_body_arrives_whole(loop: str) -> None:
    """A body over a mebibyte arrives whole, and the connection, which has no delays for small ones, is used again."""

    async def main() -> None:
        counting = Counting(answer_all)
        async with serving(counting) as url, TurboTransport() as made:
            for size in (BIG, 8 * BIG, 1):
                response = await made.send(to(url, body=bytes(size)), total=5)
                assert response.headers["body"] == str(size)
            assert made._used is not None
            (connection,) = made._used.pool._live
            sock = connection.transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert counting.ever == 1

    run(main(), loop)


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
        async with serving(counting) as url, TurboTransport(timeout=TIMEOUT) as made:
            for _ in range(2):
                response = await made.send(to(url, body=bytes(16 * BIG)), total=5)
                assert (response.status, response.complete) == (413, True)
        return counting.ever

    assert asyncio.run(main()) == 2


@pytest.mark.parametrize("loop", LOOPS)
def test_a_certificate_that_is_not_trusted_is_named(loop: str) -> None:
    """R17: a self-signed certificate is refused, for every method, and the message says why."""

    async def main() -> None:
        async with serving_tls(answer_all) as url, TurboTransport() as made:
            for method in ("POST", "GET"):
                with pytest.raises(CertificateError, match=r"not trusted: self.signed certificate") as caught:
                    await made.send(to(url, method=method), total=5)
                assert caught.value.__context__ is None
            assert made._ssl_context is not None  # it is read once

    run(main(), loop)


def test_a_certificate_for_another_host_is_refused() -> None:
    """R17: a trusted certificate serves only the host that it names; for that host TLS works, over HTTP/1.1."""

    async def main() -> None:
        async with (
            serving_tls(answer_all, "127.0.0.1") as url,
            serving_tls(answer_all, "127.0.0.2") as other,
            TurboTransport(ssl_context=trusting()) as made,
        ):
            for _ in range(2):
                assert (await made.send(to(url), total=5)).status == 200
            with pytest.raises(CertificateError, match="IP address mismatch"):
                await made.send(to(other), total=5)

    asyncio.run(main())


def test_tls_that_is_torn_off_is_no_end_of_a_body() -> None:
    """R17: whoever cuts a TLS connection must not pass a piece of a body off for the whole."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, cut: bool) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n{}")
        await asyncio.sleep(0.02)
        if cut:
            writer.transport.abort()

    async def main(*, cut: bool) -> Response:
        async with (
            serving_tls(lambda reader, writer: handle(reader, writer, cut=cut), "127.0.0.1") as url,
            TurboTransport(ssl_context=trusting()) as made,
        ):
            return await made.send(to(url), total=5)

    assert asyncio.run(main(cut=False)).complete
    assert not asyncio.run(main(cut=True)).complete


@pytest.mark.parametrize("loop", LOOPS)
def test_long_answers_over_tls_are_whole(loop: str) -> None:
    """A connection with TLS is used again, and an answer of many pieces that ends with it loses none of them."""
    long = bytes(range(256)) * 2**12

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(long), long))
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + long)

    async def main() -> int:
        counting = Counting(handle)
        async with (
            serving_tls(counting, "127.0.0.1") as url,
            TurboTransport(ssl_context=trusting()) as made,
        ):
            for _ in range(3):
                response = await made.send(to(url, body=bytes(BIG), limit=2 * len(long)), total=5)
                assert (response.body == long, response.complete) == (True, True)
        return counting.ever

    assert run(main(), loop) == 1


@pytest.mark.usefixtures("no_complaints")
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_closing_is_quick_although_the_peer_reads_nothing(loop: str, *, tls: bool) -> None:
    """R14: a peer that neither reads nor closes does not hold up closing, and no connection to it stays open."""

    async def main() -> float:
        context = trusting() if tls else None
        async with (serving_tls if tls else serving)(read_nothing) as url:
            made = TurboTransport(timeout=TIMEOUT, ssl_context=context)
            task = asyncio.create_task(made.send(to(url, body=bytes(8 * BIG)), total=5))
            await until(started(made))
            with loop_clock() as clock:
                begin = clock()
                await made.aclose()
                took = clock() - begin
            with pytest.raises(ConnectionLostError, match="the transport was closed"):
                await task
            return took

    assert run(main(), loop) < 0.3


@pytest.mark.usefixtures("no_complaints")
def test_idle_connections_that_do_not_take_leave_are_closed() -> None:
    """R14: a TLS peer that does not answer the farewell holds up closing for a quarter of a second at most."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        cast("asyncio.Transport", writer.transport).pause_reading()
        await asyncio.Event().wait()

    async def main() -> float:
        async with serving_tls(handle, "127.0.0.1") as url:
            made = TurboTransport(ssl_context=trusting())
            await made.send(to(url), total=5)
            with loop_clock() as clock:
                begin = clock()
                await made.aclose()
                return clock() - begin

    assert asyncio.run(main()) < 0.3


@pytest.mark.usefixtures("no_complaints")
def test_closing_within_a_body_leaves_a_response() -> None:
    """A response whose body is under way at closing is returned as incomplete."""

    async def main() -> Response:
        async with serving(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", stay=True)) as url:
            made = TurboTransport()
            task = asyncio.create_task(made.send(to(url), total=5))
            await until(lambda: any(exchange.status for exchange in exchanges(made)))
            await made.aclose()
            return await task

    response = asyncio.run(main())
    assert (response.status, response.body, response.complete) == (200, b"abc", False)


@pytest.mark.usefixtures("no_complaints")
def test_a_cancelled_upload_hangs_up() -> None:
    """R16: cancelling closes the connection at once although the peer has not taken the body."""

    async def main() -> None:
        ended = asyncio.Event()

        async def handle(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(0.05)
            try:
                while await reader.read(2**16):
                    pass
            except ConnectionResetError:
                pass
            ended.set()

        async with serving(handle) as url, TurboTransport() as made:
            task = asyncio.create_task(made.send(to(url, body=bytes(32 * BIG)), total=5))
            await until(started(made))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(ended.wait(), 2)

    asyncio.run(main())


def test_another_event_loop_is_refused() -> None:
    """R15: a transport that belongs to another event loop says so; once that loop is gone, any may close it."""
    made = TurboTransport()

    async def first() -> None:
        async with serving(answering(OK)) as url:
            await made.send(to(url), total=5)
            await asyncio.sleep(0.02)

    async def second() -> None:
        with pytest.raises(SettingsError, match="another event loop"):
            await made.send(to("http://127.0.0.1:9"), total=5)

    asyncio.run(first())
    asyncio.run(second())
    asyncio.run(made.aclose())


@pytest.mark.parametrize("loop", LOOPS)
def test_the_engine_delivers_over_it_although_the_server_dies(loop: str) -> None:
    """R9: a server that is killed in the middle and comes back has every record; none ends in any other way."""
    settings = BufferSettings(rate_limits=(), concurrency=8)
    retry = RetryPolicy(initial=0.01, maximum=0.02)

    async def main() -> tuple[int, set[str]]:
        async with (
            Emulator(project_key="p", api_key="k", auto_visitors=True) as emulator,
            TurboTransport() as made,
            MidaClient("p", "k", base_url=emulator.base_url, buffer=settings, retry=retry, transport=made) as mida,
        ):
            deliveries = [await mida.buffer.record("seen", id=f"v{number}") for number in range(300)]
            await deliveries[50]
            await emulator.aclose()
            await emulator.start()
            results = await asyncio.gather(*deliveries, return_exceptions=True)
            return len({event.id for event in emulator.recorded}), {type(result).__name__ for result in results}

    assert run(main(), loop) == (300, {"Receipt"})
