"""
Every call, answered by a server that is broken or means harm.

Whatever comes back, a call ends soon, with a result or with one of the package's own errors.
"""

from __future__ import annotations

import asyncio
import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from resource_calls import API_KEY, PROJECT_KEY
from test_wire_samples import ALL, ONCE, row_of

from mida_async import (
    APIError,
    ConnectionLostError,
    DecodeError,
    MidaClient,
    MidaError,
    RequestTimeoutError,
    Response,
    Timeout,
)
from mida_async.testing import MemoryTransport, StalledResponse, run_virtual
from mida_async.testing.socket_peer import read_request, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wire.base import Sample

HTML = b"<!doctype html><html><body><h1>200 OK</h1><p>Please sign in to the proxy.</p></body></html>"
JUNK = {
    "empty": b"",
    "html": HTML,
    "half of an object": b'{"success":true,"event',
    "text": b'"ok"',
    "number": b"1",
    "null": b"null",
    "true": b"true",
    "array of arrays": b"[[[]]]",
    "array of numbers": b"[1,2,3]",
    "not UTF-8": b'{"success":true,"\xff\xfe":1}',
    "UTF-16": '{"success":true}'.encode("utf-16"),
    "half of a surrogate pair": b'{"success":true,"a":"\\ud800"}',
    "NaN": b'{"success":true,"a":NaN}',
    "infinity": b'{"success":true,"a":1e999}',
    "a number of 100,000 digits": b'{"success":true,"a":' + b"9" * 100_000 + b"}",
    "arrays 100,000 deep": b"[" * 100_000 + b"]" * 100_000,
    "objects 100,000 deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "an opening without an end": b'{"a":[' * 100_000,
    "success is false": b'{"success":false,"error":"no"}',
    "zeros": bytes(10_000),
}

# Instead of each value of a documented answer.
WRONG: tuple[object, ...] = (None, True, -1, 1.5, 2**70, "", "nonsense", [], {}, [[[]]], [None], {"a": {"b": []}})


def client(transport: MemoryTransport) -> MidaClient:
    """Return a client that goes nowhere."""
    return MidaClient(PROJECT_KEY, API_KEY, base_url="http://127.0.0.1:1", transport=transport, retry=ONCE)


async def outcome(sample: Sample, mida: MidaClient) -> object:
    """Return what a call comes to: its result, or the package's own error."""
    try:
        result = await sample.call(mida)
    except MidaError as error:
        result = error
    assert API_KEY not in f"{result!r} {result}"
    return result


def accepts_anything(sample: Sample) -> bool:
    """Say whether a success of this call says nothing that its body could spoil."""
    return not row_of(sample).body_matters


@ALL
@pytest.mark.parametrize("junk", JUNK)
def test_what_cannot_be_read_is_an_error_of_its_own(sample: Sample, junk: str) -> None:
    """A 200 with a body that is no answer is a DecodeError, or a refusal where it says so; nothing else gets out."""

    async def main() -> None:
        answer = Response(status=200, body=JUNK[junk])
        async with MemoryTransport(lambda _: answer) as transport, client(transport) as mida:
            result = await outcome(sample, mida)
        if junk == "success is false":
            assert isinstance(result, APIError)
        elif accepts_anything(sample):
            assert type(result) is type(sample.result)
        elif not isinstance(result, DecodeError):
            # What is JSON after all can be read: every field of a result may be missing, but for its number.
            assert result is None or type(result) is type(sample.result)
            assert junk in {"half of a surrogate pair", "NaN", "infinity", "a number of 100,000 digits"}

    run_virtual(main())


def damaged(answer: object) -> Iterator[object]:
    """Return the answer with each of its values replaced by each wrong one, and with each of them missing."""
    for path in places(answer, ()):
        for wrong in WRONG:
            yield replaced(answer, path, wrong)
        yield without(answer, path)


def places(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Return the way to each value within *value*."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def replaced(answer: object, path: tuple[Any, ...], wrong: object) -> object:
    """Return a copy with another value at *path*."""
    whole: Any = copy.deepcopy(answer)
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = wrong
    return whole


def without(answer: object, path: tuple[Any, ...]) -> object:
    """Return a copy without what is at *path*."""
    whole: Any = copy.deepcopy(answer)
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return whole


@ALL
def test_every_value_may_be_wrong(sample: Sample) -> None:
    """Each value of the documented answer, replaced by each of a dozen wrong ones or left out, is read or refused."""

    async def main() -> None:
        current = b""
        transport = MemoryTransport(lambda _: Response(status=200, body=current))
        async with transport, client(transport) as mida:
            for answer in damaged(sample.answer):
                current = json.dumps(answer).encode()
                result = await outcome(sample, mida)
                fine = result is None or isinstance(result, (DecodeError, APIError, type(sample.result)))
                assert fine, (answer, result)

    run_virtual(main())


@ALL
def test_a_body_that_breaks_off_or_stalls_ends_the_call(sample: Sample) -> None:
    """R9: where half of the answer is all that comes, the call says that it may have been applied."""
    whole = json.dumps(sample.answer).encode()

    async def main() -> None:
        async def attempt(answer: Response | StalledResponse, error: type[MidaError]) -> None:
            async with MemoryTransport(lambda _: answer) as transport, client(transport) as mida:
                result = await outcome(sample, mida)
            if accepts_anything(sample):
                assert type(result) is type(sample.result)
            else:
                assert isinstance(result, error)
                assert result.maybe_applied

        half = Response(status=200, body=whole[: len(whole) // 2], complete=False)
        await attempt(half, ConnectionLostError)
        await attempt(StalledResponse(half), ConnectionLostError)

    run_virtual(main())


@ALL
def test_a_server_that_never_answers_ends_in_a_timeout(sample: Sample) -> None:
    """Nothing that comes back ends the call after ``timeout.total``."""

    async def silence(_: object) -> Response:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    async def main() -> None:
        async with MemoryTransport(silence) as transport, client(transport) as mida:
            started = asyncio.get_running_loop().time()
            result = await outcome(sample, mida)
            assert isinstance(result, RequestTimeoutError)
            assert asyncio.get_running_loop().time() - started <= Timeout().total

    run_virtual(main())


@ALL
@pytest.mark.parametrize("status", [200, 500])
def test_an_endless_body_is_not_read_to_its_end(sample: Sample, status: int) -> None:
    """R17: of 100 MB no more than ``max_response_bytes`` is read, over a real socket."""
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_request(reader)
        length = 100 * 10**6
        writer.write(f"HTTP/1.1 {status} OK\r\nContent-Length: {length}\r\n\r\n".encode() + b'{"a":"')
        for _ in range(length // 2**16):
            writer.write(bytes(2**16))
            await writer.drain()
            sent += 2**16

    async def main() -> None:
        async with serving(flood) as url:
            settings: dict[str, Any] = {"base_url": url, "retry": ONCE, "max_response_bytes": 2**20}
            async with MidaClient(PROJECT_KEY, API_KEY, **settings) as mida, asyncio.timeout(20):
                result = await outcome(sample, mida)
        if status == 500:
            assert isinstance(result, APIError)
        elif accepts_anything(sample):
            assert type(result) is type(sample.result)
        else:
            assert isinstance(result, DecodeError)
            assert "max_response_bytes" in str(result)
        assert sent < 30 * 10**6  # what was read, and what the kernel's buffers hold

    asyncio.run(main())


def echoes(sample: Sample) -> Iterator[bytes]:
    """Return answers that repeat the API key, plainly and escaped, where a text is expected and elsewhere."""
    escaped = "".join(f"\\u{ord(character):04x}" for character in API_KEY)
    yield json.dumps({"error": API_KEY, API_KEY: [API_KEY]}).encode()
    yield f'{{"error": "{escaped}", "message": "{escaped}"}}'.encode()
    yield f"<html>Authorization: Bearer {API_KEY}</html>".encode()
    yield f'{{"error": "{API_KEY}'.encode()
    for path in places(sample.answer, ()):
        yield json.dumps(replaced(sample.answer, path, API_KEY)).encode()


@ALL
def test_an_echoed_key_is_in_no_result_and_in_no_error(sample: Sample) -> None:
    """R17: when a server echoes the key, neither the result nor the error, its cause or its context shows it."""

    async def main() -> None:
        current = Response(status=200)
        transport = MemoryTransport(lambda _: current)
        async with transport, client(transport) as mida:
            for status in (200, 302, 400, 401, 403, 404, 429, 500):
                for body in echoes(sample):
                    headers = {"location": f"/login?key={API_KEY}"} if status == 302 else {}
                    current = Response(status=status, body=body, headers=headers)
                    result = await outcome(sample, mida)
                    while isinstance(result, BaseException):
                        assert API_KEY not in f"{result!r} {result.args} {vars(result)}"
                        result = result.__cause__ or result.__context__

    run_virtual(main())
