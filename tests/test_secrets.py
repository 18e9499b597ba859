"""R17: where the API key must not show up, however a server answers, and where it must not be sent."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import json
import pickle
import traceback
from typing import TYPE_CHECKING, Final

import attrs
import pytest

from mida_async import APIError, BufferSettings, DecodeError, MidaClient, MidaError, RetryPolicy, SettingsError
from mida_async._core.messages import Response
from mida_async.instrumentation import LoggingHook
from mida_async.testing import MemoryTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from mida_async._core.messages import Request
    from mida_async.instrumentation import Detail

# With characters that JSON and addresses may write differently.
KEY: Final = 'sk_live/"Zx+81\\=='
ESCAPED: Final = json.dumps(KEY)[1:-1]
AS_CODES: Final = "".join(f"\\u{ord(character):04x}" for character in KEY)

FORMS: Final = frozenset({KEY, ESCAPED, repr(KEY)[1:-1]})

BODIES: Final = (
    json.dumps({"error": f"unknown key {KEY}", KEY: [KEY, {"deep": KEY}]}),
    json.dumps({"success": False, "message": KEY}),
    json.dumps({"success": True, "message": KEY, "data": [{"id": KEY}], "goal": {"goal_name": KEY}}),
    f'{{"success": true, "message": "{AS_CODES}", "{AS_CODES}": 1}}',
    f'{{"error": "cut off {ESCAPED}',
    f"<html>Authorization: Bearer {KEY}</html>",
    f"no key {KEY} here",
    "",
)
STATUSES: Final = (200, 204, 301, 400, 401, 403, 418, 429, 503)


class Evidence:
    """All that a caller can see, as text."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, detail: Detail, /) -> None:
        """Be a hook."""
        self.see(detail)
        self.see_error(getattr(detail, "error", None))

    def see(self, value: object) -> None:
        """Take in what a value shows of itself."""
        self.texts += [repr(value), str(value)]

    def see_error(self, error: BaseException | None) -> None:
        """Take in an error, its copies, its tracebacks with all local variables of ours, and all that led to it."""
        while error is not None:
            self.see(error)
            self.see((error.args, vars(error), getattr(error, "__notes__", None)))
            self.see(pickle.dumps(error, 0))
            self.see(copy.copy(error))
            self.texts += traceback.format_exception(error)
            for frame, _line in traceback.walk_tb(error.__traceback__):
                if "/mida_async/" in frame.f_code.co_filename:
                    self.see({name: value for name, value in frame.f_locals.items() if name != "self"})
            error = error.__cause__ or error.__context__

    def shows(self, text: str) -> list[str]:
        """Return where *text* can be seen."""
        return [each for each in self.texts if text in each]


@contextlib.asynccontextmanager
async def serving(head: str, body: str) -> AsyncIterator[str]:
    """Serve one answer to everybody, on a socket, because no library sends such headers; its address is the value."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                request = (await reader.readuntil(b"\r\n\r\n")).lower()
                _, found, rest = request.partition(b"content-length:")
                await reader.readexactly(int(rest.split(b"\r\n")[0]) if found else 0)
                text = body.encode()
                writer.write(f"HTTP/1.1 {head}\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def use(mida: MidaClient, evidence: Evidence) -> None:
    """Make each kind of call, and take in what comes of it."""
    delivery = await mida.buffer.record("seen", id="ann")
    await asyncio.wait([delivery], timeout=0.05)
    evidence.see(delivery)
    if delivery.done():
        evidence.see_error(delivery.exception())
        evidence.see(None if delivery.exception() else delivery.result())
    calls = (
        mida.events.list(),
        mida.events.record("seen", id="ann"),
        mida.goals.create(goal_name="Signed up", goal_type="script", goal_value="signup"),
        mida.goals.delete(1),
    )
    for call in calls:
        try:
            evidence.see(await call)
        except MidaError as error:
            evidence.see_error(error)
    evidence.see((mida, vars(mida), mida.buffer, vars(mida.buffer), mida.buffer.statistics()))
    evidence.see(await mida.buffer.flush(0))


@pytest.fixture
def all_logs(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Capture what any library logs at any level."""
    with caplog.at_level(1):
        yield caplog


QUICK: Final = BufferSettings(rate_limits=(), close_timeout=0.05)
ONCE: Final = RetryPolicy(max_attempts=1)


@pytest.mark.parametrize("status", STATUSES)
def test_a_server_that_echoes_the_key_puts_it_nowhere(status: int, all_logs: pytest.LogCaptureFixture) -> None:
    """R17: in body, headers and reason; no result, error, frame, pickle, log line, hook or repr of ours holds it."""
    evidence = Evidence()

    async def main() -> None:
        names = ("Location", "Set-Cookie", "WWW-Authenticate", "Retry-After", "RateLimit-Policy", "X-RateLimit-Reset")
        head = f"{status} {KEY}\r\n" + "\r\n".join(f"{name}: /{KEY}?k={KEY}#{KEY}" for name in names)
        for body in BODIES:
            hooks = (evidence, LoggingHook())
            async with serving(head, body) as base_url:
                settings = {"base_url": base_url, "hooks": hooks, "retry": ONCE, "buffer": QUICK}
                async with MidaClient("project", KEY, **settings) as mida:  # type: ignore[arg-type]
                    await use(mida, evidence)

        ours = [each for each in gc.get_objects() if str(type(each).__module__).startswith("mida_async")]
        evidence.texts += [repr(each) for each in ours if attrs.has(type(each))]

    asyncio.run(main())
    evidence.texts += [f"{record.getMessage()} {record.args}" for record in all_logs.records]
    assert len(evidence.texts) > 100
    for form in FORMS:
        assert evidence.shows(form) == []


def test_an_answer_of_a_direct_call_that_echoes_the_key_shows_it_not() -> None:
    """R17: what a call returns is a text of the server's, too; nothing else in it is changed."""
    body = json.dumps({"success": True, "message": f"hello {KEY}"}).encode()

    async def main() -> None:
        transport = MemoryTransport(lambda _request: Response(status=200, body=body))
        async with MidaClient("project", KEY, base_url="https://mida.invalid", transport=transport) as mida:
            recorded = await mida.events.record("seen", id="ann")
            assert recorded.message == "hello [redacted]"
            assert recorded.success is True

    asyncio.run(main())


def test_an_error_about_an_answer_keeps_no_frame_that_holds_the_key() -> None:
    """R17: tools that report errors show the variables of each frame, so none of ours has the key in one."""

    async def main() -> None:
        transport = MemoryTransport(lambda _request: Response(status=200, body=b"not JSON"))
        async with MidaClient("project", KEY, base_url="https://mida.invalid", transport=transport) as mida:
            with pytest.raises(DecodeError) as caught:
                await mida.goals.list()
        frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
        assert [frame.f_code.co_name for frame in frames if KEY in map(str, frame.f_locals.values())] == []

    asyncio.run(main())


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308])
def test_the_key_does_not_follow_a_redirect(status: int) -> None:
    """R17: not to another host, nor to another port; deliveries and direct calls of every method end there."""
    came: list[bytes] = []

    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(await reader.read(1000))
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(other, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with (
            serving(f"{status} Elsewhere\r\nLocation: http://localhost:{port}/v2", "") as base_url,
            MidaClient("project", KEY, base_url=base_url) as mida,
        ):
            delivery = await mida.buffer.record("seen", id="ann")
            calls = (delivery, mida.events.list(), mida.events.record("seen", id="ann"), mida.goals.delete(1))
            for error in await asyncio.gather(*calls, return_exceptions=True):
                assert isinstance(error, APIError)
                assert error.status == status
        server.close()

    asyncio.run(main())
    assert came == []


@pytest.mark.parametrize(
    "base_url",
    [
        *("http://localhost.evil.example", "http://127.0.0.1.nip.example", "http://evil.example/127.0.0.1"),
        *("http://0.0.0.0", "http://[::]", "http://2130706433", "http://0x7f000001", "http://127.1", "http://[::2]"),
        *("http://localhost@evil.example", "http://127.0.0.1:80@evil.example", "https://user:password@mida.example"),
        *("http://127.0.0.1\\@evil.example", "http://127.0.0.1#@evil.example", "http://127.0.0.1\n.evil.example"),
        *("http://127.0.0.1%2eevil.example", "http://[v1.evil]", "HTTP://evil.example", "ftp://127.0.0.1"),
    ],
)
def test_no_address_gets_the_key_over_plain_http_by_a_trick(base_url: str) -> None:
    """R17: what only looks like this machine is another one, and the message does not repeat a password."""
    with pytest.raises(SettingsError) as caught:
        MidaClient("project", KEY, base_url=base_url)
    assert "password@" not in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("key", ["a\r\nX-Evil: 1", "a\n", "\x00", "k k", "a\tb", "a\x7f", "€", "a\u2028"])
def test_a_key_that_could_end_a_header_is_refused(key: str) -> None:
    """R17: before anything is sent, and the message does not show it."""
    with pytest.raises(SettingsError, match="api_key") as caught:
        MidaClient("project", key, region="us")
    assert repr(key)[1:-1] not in str(caught.value)


def test_long_answers_are_not_read_to_their_end() -> None:
    """R17: 64 KiB for deliveries, max_response_bytes for direct calls; the request asks for no more."""
    asked: list[int] = []

    def answer(request: Request) -> Response:
        asked.append(request.max_response_bytes)
        return Response(status=200, body=b"x" * 2**20)

    async def main() -> None:
        transport = MemoryTransport(answer)
        settings = {"base_url": "https://mida.invalid", "transport": transport, "max_response_bytes": 100_000}
        async with MidaClient("project", KEY, **settings) as mida:  # type: ignore[arg-type]
            receipt = await (await mida.buffer.record("seen", id="ann"))
            assert (receipt.status, receipt.body) == (200, None)
            with pytest.raises(DecodeError, match="max_response_bytes"):
                await mida.events.list()

    asyncio.run(main())
    assert asked == [64 * 2**10, 100_000]
