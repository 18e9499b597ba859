"""The emulator over real sockets: what it serves, how it starts and stops."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from real_time import loop_clock

from mida_async._errors import SettingsError
from mida_async._settings import RateLimit
from mida_async.testing import Emulator, Latency, Stall, StallBody
from mida_async.testing._emulator.server import Server, ServerSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

EVENT = {"event_name": "signed up", "id": "1"}


def run(main: Coroutine[object, object, None]) -> None:
    """Run *main*, which must leave no task behind, within some seconds."""

    async def watched() -> None:
        async with asyncio.timeout(10):
            await main
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(watched())


def url(emulator: Emulator, path: str) -> str:
    """Return the address of *path* in the first project."""
    return f"{emulator.base_url}/v2/project/{emulator.project_key}/{path}"


def session(emulator: Emulator) -> aiohttp.ClientSession:
    """Return a session that sends the key."""
    return aiohttp.ClientSession(headers={"Authorization": f"Bearer {emulator.api_key}"})


def head(emulator: Emulator, *lines: str) -> bytes:
    """Return the head of a POST of an event."""
    path = f"/v2/project/{emulator.project_key}/event"
    first = (f"POST {path} HTTP/1.1", "Host: x", f"x-api-key: {emulator.api_key}")
    return "\r\n".join([*first, *lines, "", ""]).encode()


async def connect(emulator: Emulator) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a bare connection."""
    return await asyncio.open_connection("127.0.0.1", int(emulator.base_url.rpartition(":")[2]))


async def close(writer: asyncio.StreamWriter) -> None:
    """Close a bare connection, which may have been reset."""
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def test_requests_are_served_and_remembered() -> None:
    """A POST and a GET over HTTP do what they should, and both are in `requests` as they arrived."""

    async def main() -> None:
        moments = iter(range(10, 100))
        emulator = Emulator(auto_visitors=True, clock=lambda: float(next(moments)), wall_clock=lambda: 0.0)
        async with emulator, session(emulator) as http:
            async with http.post(url(emulator, "event"), json=EVENT) as response:
                assert (response.status, response.content_type) == (200, "application/json")
                assert (await response.json())["success"] is True
            async with http.get(url(emulator, "events"), params={"event_text": "signed up"}) as response:
                (row,) = (await response.json())["events"]
                assert row["created_at"] == "1970-01-01T00:00:00.000Z"
            async with http.get(url(emulator, "nothing")) as response:
                assert response.status == 404
        post, get, lost = emulator.requests
        assert (post.method, post.path) == ("POST", f"/v2/project/{emulator.project_key}/event")
        assert (post.json, post.status) == (EVENT, 200)
        assert (get.method, get.query, get.body, get.status) == ("GET", {"event_text": "signed up"}, b"", 200)
        assert (lost.status, post.received_at < get.received_at < lost.received_at) == (404, True)
        assert emulator.api_key not in repr(emulator.requests)
        assert emulator.statistics().requests == 3

    run(main())


def test_the_base_url_is_known_once_it_was_started() -> None:
    """Before the first start there is no address, and the error says what to do; after a stop it stays."""

    async def main() -> None:
        emulator = Emulator()
        assert "not started" in repr(emulator)
        with pytest.raises(RuntimeError, match="async with"):
            _ = emulator.base_url
        async with emulator:
            before = emulator.base_url
            assert before in repr(emulator)
            with pytest.raises(RuntimeError, match="running already"):
                await emulator.start()
        assert emulator.base_url == before

    run(main())


def test_it_starts_again_on_the_same_port_with_its_state() -> None:
    """After a stop nothing answers; started again, on another loop even, it goes on where it was."""
    emulator = Emulator(auto_visitors=True)

    async def post() -> int:
        async with session(emulator) as http, http.post(url(emulator, "event"), json=EVENT) as response:
            return response.status

    async def main() -> None:
        async with emulator:
            assert await post() == 200
        await emulator.aclose()
        with pytest.raises(aiohttp.ClientConnectorError):
            await post()
        async with emulator:
            assert await post() == 200

    run(main())
    first = emulator.base_url
    run(main())
    assert (emulator.base_url, len(emulator.recorded)) == (first, 4)


def test_a_taken_port_raises() -> None:
    """A port that somebody else listens on is an OSError, and the emulator can be started once it is free."""

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            emulator = Emulator(port=taken.getsockname()[1])
            with pytest.raises(OSError, match="in use"):
                await emulator.start()
        async with emulator:
            assert emulator.base_url.endswith(f":{emulator.port}")

    run(main())


@pytest.mark.parametrize("setting", ["latency", "port", "max_body_bytes", "keep_requests", "keep_events"])
def test_wrong_settings_raise(setting: str) -> None:
    """A number out of its range raises at construction and is named."""
    wrong: dict[str, Any] = {setting: -1}
    with pytest.raises(SettingsError, match=rf"Emulator\.{setting} is -1"):
        Emulator(**wrong)


def test_closing_drops_every_kind_of_connection_at_once() -> None:
    """Idle, kept-alive, stalled, delayed and half-sent connections all end with the emulator, within moments."""

    async def main() -> None:
        emulator = Emulator(auto_visitors=True)
        await emulator.start()
        emulator.script(Stall(), StallBody(), Latency(60))
        body = b'{"event_name":"x","id":"1"}'
        whole = head(emulator, f"Content-Length: {len(body)}") + body
        connections = [await connect(emulator) for _ in range(6)]
        for (_, writer), sent in zip(connections, (b"", b"POST", whole, whole, whole, whole[:-1]), strict=True):
            writer.write(sent)
            await asyncio.sleep(0.01)
        async with session(emulator) as http:
            async with http.get(url(emulator, "events")) as response:
                assert response.status == 200
            with loop_clock() as clock:
                started = clock()
                await emulator.aclose()
                assert clock() - started < 0.5
            for reader, writer in connections:
                with contextlib.suppress(ConnectionError):
                    await reader.read()
                await close(writer)
        assert [request.status for request in emulator.requests[:3]] == [None, 200, None]
        assert len(emulator.recorded) == 1

    run(main())


def test_closing_drops_a_connection_that_never_sent_anything() -> None:
    """A client that only connected sees its connection end with the emulator."""

    async def main() -> None:
        emulator = Emulator()
        await emulator.start()
        reader, writer = await connect(emulator)
        await asyncio.sleep(0.01)
        await emulator.aclose()
        assert await reader.read() == b""
        await close(writer)

    run(main())


@pytest.mark.parametrize("rounds", range(10))
def test_closing_drops_a_connection_that_is_being_accepted(rounds: int) -> None:
    """However far the loop is with a connection and its first request, they end with the emulator."""

    async def main() -> None:
        emulator = Emulator(latency=60)
        await emulator.start()
        with socket.create_connection(("127.0.0.1", int(emulator.base_url.rpartition(":")[2]))) as client:
            client.sendall(head(emulator, "Content-Length: 2") + b"{}")
            for _ in range(rounds):
                await asyncio.sleep(0)
            await emulator.aclose()
            await asyncio.sleep(0.01)
            client.settimeout(1)
            with contextlib.suppress(ConnectionError):
                assert client.recv(1) == b""

    run(main())


def test_a_server_that_never_started_can_be_closed() -> None:
    """Closing what does not listen does nothing."""

    async def main() -> None:
        emulator = Emulator()
        settings = ServerSettings(host="127.0.0.1", latency=0, max_body_bytes=1, clock=time.time, wall_clock=time.time)
        await Server(emulator.state, settings).aclose()
        await emulator.aclose()

    run(main())


def test_latency_delays_every_request() -> None:
    """With latency, every request takes at least that long; a request whose client left is applied all the same."""

    async def main() -> None:
        async with Emulator(auto_visitors=True, latency=0.02) as emulator:
            started = time.perf_counter()
            async with session(emulator) as http, http.post(url(emulator, "event"), json=EVENT) as response:
                assert response.status == 200
            assert time.perf_counter() - started >= 0.02
            body = b'{"event_name":"x","id":"1"}'
            _, writer = await connect(emulator)
            writer.write(head(emulator, f"Content-Length: {len(body)}") + body)
            await asyncio.sleep(0.01)
            await close(writer)
            while len(emulator.recorded) < 2:  # noqa: ASYNC110 - nothing to wait for
                await asyncio.sleep(0.001)

    run(main())


def test_limits_hold_on_the_clock_of_the_loop() -> None:
    """Over HTTP too, what goes over a limit is a 429 with Retry-After."""

    async def main() -> None:
        emulator = Emulator(auto_visitors=True, rate_limits=[RateLimit(2, per=60)], rate_model="sliding_log")
        async with emulator, session(emulator) as http:
            for expected in (200, 200, 429):
                async with http.post(url(emulator, "event"), json=EVENT) as response:
                    assert response.status == expected
            assert 59 <= int(response.headers["Retry-After"]) <= 60
        assert (emulator.statistics().refused, len(emulator.recorded)) == (1, 2)

    run(main())


def test_old_requests_are_forgotten_when_there_are_too_many() -> None:
    """`requests` forgets its oldest tenth when it is full, may be cleared, and the statistics count on."""

    async def main() -> None:
        async with Emulator(keep_requests=20) as emulator, session(emulator) as http:
            for n in range(21):
                async with http.get(url(emulator, f"event/{n + 1}")):
                    pass
            assert [request.path.rpartition("/")[2] for request in emulator.requests] == [str(n) for n in range(3, 22)]
            emulator.requests.clear()
            async with http.get(url(emulator, "events")):
                pass
            assert (len(emulator.requests), emulator.statistics().requests) == (1, 22)

    run(main())


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_a_413(chunked: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Too large a body is refused in JSON, by its announced or its real length, and nothing is applied."""

    async def main() -> None:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b" " * 50

        async with Emulator(auto_visitors=True, max_body_bytes=100) as emulator, session(emulator) as http:
            data = pieces() if chunked else b" " * 150
            async with http.post(url(emulator, "event"), data=data) as response:
                assert (response.status, "100 bytes" in (await response.json())["error"]) == (413, True)
            async with http.post(url(emulator, "event"), json=EVENT) as response:
                assert response.status == 200
        assert [request.status for request in emulator.requests] == [413, 200]

    run(main())


def test_a_body_that_ends_early_is_not_applied() -> None:
    """A client that goes away within its body leaves a request without a status."""

    async def main() -> None:
        async with Emulator(auto_visitors=True) as emulator:
            _, writer = await connect(emulator)
            writer.write(head(emulator, "Content-Length: 100") + b'{"event_name":"x","id":"1"}')
            await writer.drain()
            await asyncio.sleep(0.01)
            await close(writer)
            while not emulator.requests:  # noqa: ASYNC110 - nothing to wait for
                await asyncio.sleep(0.001)
        assert (emulator.requests[0].status, emulator.recorded) == (None, [])

    run(main())


def test_a_client_may_ask_before_it_sends_the_body() -> None:
    """Expect: 100-continue is answered at once, as curl wants it."""

    async def main() -> None:
        async with Emulator(auto_visitors=True) as emulator:
            reader, writer = await connect(emulator)
            body = b'{"event_name":"x","id":"1"}'
            writer.write(head(emulator, f"Content-Length: {len(body)}", "Expect: 100-continue", "Connection: close"))
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(body)
            assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")
            await close(writer)

    run(main())
