"""The client as a whole, over real sockets where there is something to send."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import logging
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from real_time import loop_clock

import mida_async
from mida_async import (
    AuthenticationError,
    BufferClosedError,
    BufferSettings,
    ClientClosedError,
    ConnectError,
    MidaClient,
    MidaError,
    RateLimit,
    RetryPolicy,
    SettingsError,
    Timeout,
    VisitorNotFoundError,
)
from mida_async.testing import (
    CutBody,
    Emulator,
    MemoryTransport,
    NotJSON,
    ResetAfter,
    ResetBefore,
    Stall,
    StallBody,
    Status,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from mida_async.instrumentation import Detail

KEY = "mk_secret_0123456789"
PROJECT = "project_1"
UNLIMITED = BufferSettings(rate_limits=())
QUICK = RetryPolicy(initial=0.01, maximum=0.05)


def client(emulator: Emulator, **settings: Any) -> MidaClient:
    """Return a client of *emulator*."""
    return MidaClient(PROJECT, KEY, base_url=emulator.base_url, **{"buffer": UNLIMITED, "retry": QUICK, **settings})


def serve(**settings: Any) -> Emulator:
    """Return an emulator with the tests' credentials."""
    return Emulator(project_key=PROJECT, api_key=KEY, **{"auto_visitors": True, **settings})


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run *main*, for 30 s at most."""
    asyncio.run(asyncio.wait_for(main, 30))


def test_making_a_client_does_nothing() -> None:
    """A client can be made without an event loop; closing it unused needs no network."""
    mida = MidaClient(PROJECT, KEY, region="eu")

    assert repr(mida) == (
        f"<MidaClient https://api-eu.mida.so project {PROJECT}, buffer <EventBuffer open: 0 pending, 0 of 0 delivered>>"
    )
    report = asyncio.run(mida.aclose())
    assert report.delivered == report.pending == 0
    assert "closed" in repr(mida)


def test_the_environment_fills_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing arguments come from the environment; a region that is given wins over a base URL that is not."""
    monkeypatch.setenv("MIDA_PROJECT_KEY", PROJECT)
    monkeypatch.setenv("MIDA_API_KEY", KEY)
    monkeypatch.setenv("MIDA_BASE_URL", "http://127.0.0.1:1")
    assert "http://127.0.0.1:1 " in repr(MidaClient())
    assert "https://api-us.mida.so " in repr(MidaClient(region="us"))
    monkeypatch.delenv("MIDA_BASE_URL")
    monkeypatch.setenv("MIDA_REGION", "eu")
    assert "https://api-eu.mida.so " in repr(MidaClient())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"project_key": None}, "MIDA_PROJECT_KEY"),
        ({"api_key": None}, "MIDA_API_KEY"),
        ({"region": None}, "MIDA_REGION"),
        ({"region": "moon"}, "'moon'"),
        ({"base_url": "http://example.com"}, "allow_insecure_http"),
        ({"base_url": "ftp://example.com"}, "http"),
        ({"timeout": 5}, "timeout is 5; it must be a Timeout"),
        ({"retry": 5}, "retry is 5; it must be a RetryPolicy"),
        ({"buffer": {}}, "it must be a BufferSettings"),
        ({"spool": "x.db"}, "SQLiteSpool"),
        ({"transport": object()}, "must have the methods of mida_async.Transport"),
        ({"transport": MemoryTransport(Emulator()), "session": object()}, "session and transport are both given"),
        ({"max_response_bytes": 0}, "max_response_bytes"),
        ({"api_key": "mk secret"}, "api_key"),
    ],
)
def test_a_wrong_set_up_says_what_to_do(settings: dict[str, Any], words: str) -> None:
    """R17: a setting that is missing, wrong or unsafe raises SettingsError, which names it and never shows the key."""
    given = {"project_key": PROJECT, "api_key": KEY, "region": "us", **settings}

    with pytest.raises(SettingsError) as caught:
        MidaClient(**given)

    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


def test_plain_http_to_another_host_must_be_asked_for() -> None:
    """R17: plain http to a host that is not this machine is possible only on purpose."""
    assert "example.com" in repr(MidaClient(PROJECT, KEY, base_url="http://example.com", allow_insecure_http=True))


def test_records_arrive_over_real_sockets() -> None:
    """R2: what many visitors record arrives complete, and in order for each of them."""

    async def main() -> None:
        async with serve() as emulator, client(emulator) as mida:
            deliveries = [
                await mida.buffer.record("step", id=f"u{number % 20}", properties={"n": number})
                for number in range(400)
            ]
            receipts = await asyncio.gather(*deliveries)

            assert {receipt.status for receipt in receipts} == {200}
            assert receipts[0].body == {"success": True, "message": "Event recorded successfully"}
            assert len(emulator.recorded) == 400
            for visitor in range(20):
                seen = [e.properties["n"] for e in emulator.recorded if e.id == f"u{visitor}" and e.properties]
                assert seen == list(range(visitor, 400, 20))

    run(main())


def test_every_fault_is_survived() -> None:
    """R9: whatever goes wrong with a request, the record arrives, and only doubtful cases can be duplicates."""
    faults = [Status(503, {"Retry-After": "0"}), ResetBefore(), ResetAfter(), CutBody(), NotJSON(), Status(500)]

    async def main() -> None:
        async with serve() as emulator, client(emulator) as mida:
            for fault in faults:
                emulator.script(fault)
                receipt = await (await mida.buffer.record(type(fault).__name__, id="u1"))
                applied = [e for e in emulator.recorded if e.event_name == type(fault).__name__]
                assert receipt.status == 200
                assert len(applied) == 1 or receipt.may_be_duplicate
                if isinstance(fault, (CutBody, NotJSON)):
                    assert receipt.attempts == 1, "what was accepted is never sent again"

    run(main())


def test_a_success_whose_body_stalls_is_delivered() -> None:
    """R9: a 2xx whose body never ends is a delivery, and is not sent again."""

    async def main() -> None:
        timeout = Timeout(read=0.2)
        async with serve() as emulator, client(emulator, timeout=timeout) as mida:
            emulator.script(StallBody())
            receipt = await (await mida.buffer.record("purchase", id="u1"))

            assert (receipt.status, receipt.attempts, receipt.body) == (200, 1, None)
            assert len(emulator.recorded) == 1

    run(main())


def test_an_unknown_visitor_is_told() -> None:
    """R11: a record for a visitor whom the server does not know raises VisitorNotFoundError."""

    async def main() -> None:
        async with serve(auto_visitors=False) as emulator, client(emulator) as mida:
            emulator.add_visitor(email="Ada@example.org")
            delivery = await mida.buffer.record("purchase", email="nobody@example.org")
            with pytest.raises(VisitorNotFoundError):
                await delivery
            known = await (await mida.buffer.record("purchase", email="ada@example.org"))
            assert known.status == 200

    run(main())


@pytest.mark.parametrize("trouble", ["down", "stalled", "stalled body"])
def test_closing_ends_in_time(trouble: str) -> None:
    """R14: aclose takes no longer than its timeout and half a second, with the server down or stalled."""

    async def main() -> None:
        async with serve() as emulator:
            mida = client(emulator, timeout=Timeout(read=20, total=20))
            if trouble == "down":
                await emulator.aclose()
            else:
                emulator.script(*[Stall() if trouble == "stalled" else StallBody()] * 50)
            deliveries = [mida.buffer.record_nowait("purchase", id=f"u{number}") for number in range(50)]
            await asyncio.sleep(0.05)
            with loop_clock() as clock:
                began = clock()
                report = await mida.aclose(0.3)
                assert clock() - began <= 0.8
            assert report.abandoned == 50
            assert all(delivery.done() for delivery in deliveries)
            with pytest.raises(BufferClosedError):
                await mida.buffer.record("late", id="u1")

    run(main())


def test_direct_calls_count_against_the_rate() -> None:
    """R8: a direct call is never held up, but the buffer waits for the place that it took."""

    async def main() -> None:
        settings = BufferSettings(rate_limits=(RateLimit(2, per=0.5),))
        async with serve() as emulator, client(emulator, buffer=settings) as mida:
            began = time.perf_counter()
            with loop_clock() as clock:
                started = clock()
                for _ in range(4):
                    await mida.events.record("direct", id="u1")
                assert clock() - started < 0.4
            await (await mida.buffer.record("buffered", id="u1"))

            assert time.perf_counter() - began >= 0.5

    run(main())


def test_a_direct_refusal_closes_the_gate() -> None:
    """R8: a Retry-After that a direct call is told holds the buffer back, too."""

    async def main() -> None:
        async with serve() as emulator, client(emulator, retry=RetryPolicy(max_attempts=1)) as mida:
            emulator.script(Status(429, {"Retry-After": "1"}))
            began = time.perf_counter()
            with pytest.raises(mida_async.RateLimitError):
                await mida.events.list()
            await (await mida.buffer.record("purchase", id="u1"))

            assert time.perf_counter() - began >= 0.95
            assert mida.buffer.statistics().throttled == 1

    run(main())


def test_a_cancelled_direct_call_gives_its_place_back() -> None:
    """R8: a direct call that is cancelled leaves nothing in flight behind for the pacer to wait for."""

    async def main() -> None:
        settings = BufferSettings(rate_limits=(RateLimit(1, per=0.1),))
        async with serve() as emulator, client(emulator, buffer=settings) as mida:
            emulator.script(Stall())
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await mida.events.list()
            receipt = await (await mida.buffer.record("purchase", id="u1"))
            assert receipt.attempts == 1

    run(main())


def test_a_borrowed_session_stays_open() -> None:
    """A session that was passed in is used, and is still open when the client is closed."""

    async def main() -> None:
        async with serve() as emulator, aiohttp.ClientSession() as session:
            async with client(emulator, session=session) as mida:
                await mida.events.record("purchase", id="u1")
                await (await mida.buffer.record("purchase", id="u1"))
            assert not session.closed

    run(main())


def test_a_given_transport_carries_everything_and_stays_open() -> None:
    """R14: direct calls and records go by the transport that was given, which is not closed with the client."""

    async def main() -> None:
        emulator = serve()
        async with MemoryTransport(emulator) as transport:
            for _ in range(2):
                async with MidaClient(PROJECT, KEY, base_url=transport.base_url, transport=transport) as mida:
                    await mida.events.record("direct", id="u1")
                    await (await mida.buffer.record("buffered", id="u1"))
        assert [event.event_name for event in emulator.recorded] == ["direct", "buffered"] * 2

    run(main())


def test_one_client_belongs_to_one_loop() -> None:
    """R15: a client that is used on one event loop tells clearly that it cannot be used on another."""

    async def elsewhere(mida: MidaClient) -> None:
        with pytest.raises(SettingsError, match="one client for each event loop"):
            await mida.buffer.record("purchase", id="u1")
        with pytest.raises(SettingsError, match="one client for each event loop"):
            await mida.aclose()

    async def main() -> None:
        async with serve() as emulator, client(emulator) as mida:
            await (await mida.buffer.record("purchase", id="u1"))
            await asyncio.to_thread(asyncio.run, elsewhere(mida))
            await (await mida.buffer.record("purchase", id="u1"))

    asyncio.run(main())


def test_records_from_a_thread() -> None:
    """R15: record_threadsafe takes records from any thread, checks them there, and resolves with the receipt."""

    async def main() -> None:
        async with serve() as emulator, client(emulator) as mida:

            def work() -> tuple[int, str]:
                receipt = mida.buffer.record_threadsafe("purchase", id="u1").result(timeout=10)
                with pytest.raises(mida_async.InvalidEventError) as caught:
                    mida.buffer.record_threadsafe("", id="u1")
                return receipt.status, str(caught.value)

            status, problem = await asyncio.to_thread(work)
            assert status == 200
            assert "event_name" in problem

    run(main())


def test_a_thread_needs_a_loop_first() -> None:
    """R15: record_threadsafe on a client that is in use nowhere says what is missing."""
    mida = MidaClient(PROJECT, KEY, region="us")
    problems: list[str] = []

    def work() -> None:
        with pytest.raises(SettingsError) as caught:
            mida.buffer.record_threadsafe("purchase", id="u1")
        problems.append(str(caught.value))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert "async with" in problems[0]


def test_the_key_shows_up_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    """R17: through failures of every kind, the key is in no log line at DEBUG, no error, no repr and no hook."""
    seen = io.StringIO()

    def hook(detail: Detail) -> None:
        seen.write(repr(detail))

    def note(error: BaseException | None) -> None:
        while error is not None:
            seen.write(f"{error!r} {error} {error.args!r} {vars(error)!r}")
            note(error.__context__)
            error = error.__cause__

    faults = [
        Status(400, body={"error": f"bad key {KEY}"}),
        Status(401, body={"error": f"who is {KEY}?"}),
        Status(500, body=f"<html>Authorization: Bearer {KEY}</html>"),
        Status(302, {"Location": f"http://127.0.0.1/{KEY}?key={KEY}"}),
        Status(200, body=f'{{"success": false, "error": "{KEY}"}}'),
        ResetBefore(),
        ResetAfter(),
        CutBody(),
        NotJSON(),
    ]

    async def main() -> None:
        retry = RetryPolicy(max_attempts=1)
        async with serve() as emulator, client(emulator, hooks=[hook], retry=retry) as mida:
            for fault in faults:
                emulator.script(fault, fault)
                with contextlib.suppress(MidaError):
                    seen.write(repr(await (await mida.buffer.record("purchase", id=f"u{fault!r:.20}"))))
                delivery = await mida.buffer.record("purchase", id="u2")
                await asyncio.wait([delivery])
                note(delivery.exception())
                emulator.script(fault)
                try:
                    seen.write(repr(await mida.events.list()))
                except MidaError as error:
                    note(error)
            seen.write(f"{mida!r} {mida.buffer!r} {mida.buffer.statistics()!r} {vars(mida)!r}")
        mida = client(emulator, retry=retry)
        try:
            await mida.goals.list()
        except ConnectError as error:
            note(error)
        await mida.aclose()

    with caplog.at_level(logging.DEBUG):
        run(main())

    assert seen.getvalue()
    assert KEY not in seen.getvalue()
    assert KEY not in caplog.text


def test_a_refused_key_rejects_what_waits() -> None:
    """R12: after three refusals of the key in a row, everything that waits is rejected at once."""

    async def main() -> None:
        async with serve() as emulator, client(emulator, api_key="wrong") as mida:
            deliveries = [mida.buffer.record_nowait("purchase", id=f"u{number}") for number in range(100)]
            results = await asyncio.gather(*deliveries, return_exceptions=True)

            assert {type(result) for result in results} == {AuthenticationError}
            assert len(emulator.requests) <= 40

    def client(emulator: Emulator, api_key: str) -> MidaClient:
        return MidaClient(PROJECT, api_key, base_url=emulator.base_url, buffer=UNLIMITED)

    run(main())


def test_nothing_is_left_behind() -> None:
    """Closing a client leaves no task, no open connection and no garbage that complains."""

    async def main() -> None:
        before = asyncio.all_tasks()
        async with serve() as emulator:
            async with client(emulator) as mida:
                await mida.events.record("purchase", id="u1")
                mida.buffer.record_nowait("purchase", id="u1")
            assert [task for task in asyncio.all_tasks() if task.get_name().startswith("mida_async")] == []
        gc.collect()
        assert asyncio.all_tasks() == before

    run(main())


def test_a_closed_client_says_so_at_once() -> None:
    """R9, R14: a direct call after aclose() is not repeated, and is no outage: nothing was sent, nothing is logged."""

    async def main() -> None:
        async with serve() as emulator:
            mida = client(emulator)
            await mida.events.list()
            await mida.aclose()
            async with asyncio.timeout(1):
                with pytest.raises(ClientClosedError, match="the client is closed") as caught:
                    await mida.events.list()
            assert not caught.value.retriable
            assert mida.buffer.statistics().breaker == "closed"
            assert len(emulator.requests) == 1

    run(main())


def test_a_closed_client_sends_nothing_over_a_transport_that_stays_open() -> None:
    """R14: a transport that was given is not the client's to close, but the client is closed all the same."""

    async def main() -> None:
        emulator = Emulator(project_key=PROJECT, api_key=KEY)
        async with MemoryTransport(emulator) as transport:
            mida = MidaClient(PROJECT, KEY, base_url=transport.base_url, transport=transport)
            await mida.events.list()
            await mida.aclose()
            with pytest.raises(ClientClosedError):
                await mida.events.list()
            assert len(emulator.requests) == 1

    run(main())


def test_a_close_that_is_cancelled_disconnects_all_the_same() -> None:
    """R14: cancelling aclose() ends what is left at once, and leaves neither a connection nor a working client."""

    async def main() -> None:
        async with serve() as emulator:
            mida = client(emulator)
            emulator.script(Stall(60.0))
            delivery = await mida.buffer.record("purchase", id="u1")
            closing = asyncio.create_task(mida.aclose())
            await asyncio.sleep(0.05)
            closing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await closing
            assert isinstance(delivery.exception(), BufferClosedError)
            with pytest.raises(ClientClosedError):
                await mida.events.list()

    run(main())


def test_closing_breaks_off_calls_that_are_still_connecting() -> None:
    """R14: a direct call that waits for a connection ends with its client, not when its own time is up."""

    async def main() -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            port = listener.getsockname()[1]
            # The queue of a socket that nobody accepts on is full after these; a further connection waits for a place.
            waiting = [asyncio.create_task(asyncio.open_connection("127.0.0.1", port)) for _ in range(4)]
            await asyncio.sleep(0.05)
            mida = MidaClient("project", "key", base_url=f"http://127.0.0.1:{port}")
            calls = [asyncio.create_task(call) for call in (mida.events.list(), mida.events.record("a", id="u"))]
            await asyncio.sleep(0.05)
            async with asyncio.timeout(2):
                await mida.aclose()
                results = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(result) for result in results] == [ClientClosedError] * 2
            for task in waiting:
                task.cancel()
            for stream in await asyncio.gather(*waiting, return_exceptions=True):
                if not isinstance(stream, BaseException):
                    stream[1].close()

    run(main())
