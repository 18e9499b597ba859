"""Defects that were measured in delivery buffers of many kinds, M3 to M16, and the tests that this one has none."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import re
import socket
import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import attrs
import pytest
from fake_service import (
    BAD,
    BLACK_HOLE,
    BROKEN,
    LOST,
    NO_LIMIT,
    OK,
    STALL,
    FakeService,
    Play,
    assert_balanced,
    assert_finished,
    books,
    make_buffer,
    make_destination,
    outcomes,
    record_all,
    response,
    room,
    run,
    sleep,
)
from real_time import loop_clock

from mida_async import (
    AmbiguousDeliveryError,
    BufferFullError,
    BufferSettings,
    Fold,
    InvalidEventError,
    MidaClient,
    RateLimit,
    RetryPolicy,
)
from mida_async._delivery.buffer import EventBuffer
from mida_async.destinations.mida import MidaDestination
from mida_async.instrumentation import RecordEnded
from mida_async.testing import Emulator, Status
from mida_async.testing.socket_peer import read_request, serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine, Iterator
    from pathlib import Path

    from fake_service import Sent

    from mida_async._core.messages import Request, Response
    from mida_async._delivery.delivery import Delivery
    from mida_async.destinations.base import Judgement
    from mida_async.instrumentation import Detail

QUICK: Final = RetryPolicy(initial=0.01, maximum=0.05)

# What a client may have running beside its senders: the caller, and connections that are being opened.
A_FEW_TASKS: Final = 8


def now() -> float:
    """Return the time of the running loop."""
    return asyncio.get_running_loop().time()


def on_sockets(main: Coroutine[Any, Any, None]) -> None:
    """Run *main* on a real loop, for 30 s at most."""
    asyncio.run(asyncio.wait_for(main, 30))


@contextlib.contextmanager
def black_hole() -> Iterator[str]:
    """Listen and never answer: the system takes connections and what is sent on them, and nobody reads it."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def client(base_url: str, **settings: Any) -> MidaClient:
    """Return a client of a server on this machine."""
    given = {"buffer": NO_LIMIT, "retry": QUICK, **settings}
    return MidaClient("project_1", "key-of-the-tests", base_url=base_url, **given)


async def in_flight(mida: MidaClient, requests: int) -> None:
    """Wait until so many requests are under way."""
    while mida.buffer.statistics().in_flight < requests:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.001)


# M3 -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("overflow", ["wait", "raise", "drop_oldest", "drop_newest"])
def test_m3_refused_records_leak_no_room(overflow: Any) -> None:
    """R6: records that can never fit take no room, however many are refused: a buffer of five still takes five."""

    async def main() -> None:
        settings = attrs.evolve(NO_LIMIT, max_records=5, max_bytes=2_000_000, overflow=overflow)
        buffer = make_buffer(FakeService(), settings=settings)
        small = make_buffer(FakeService(), settings=attrs.evolve(settings, max_bytes=1000))
        for _ in range(20):
            with pytest.raises(InvalidEventError):
                buffer.record_nowait("seen", id="ann", properties={"text": "x" * 2**20})
            with pytest.raises(BufferFullError, match="can never fit"):
                await small.record("seen", id="ann", properties={"text": "x" * 1000})
        for each in (buffer, small):
            assert each.statistics().bytes == 0
            deliveries = record_all(each, ["ann"] * 5)
            assert (outcomes(deliveries), room(each)[0]) == (["pending"] * 5, 5)
            assert books(await each.aclose()) == {"delivered": 5}
        assert_finished(buffer, [])

    run(main())


# M4 -------------------------------------------------------------------------------------------------------------------


class Odd(Exception):  # noqa: N818 - named for what it is
    """An error that no part of the engine knows."""


FOREIGN: Final = (Odd("odd"), StopIteration("odd"), RecursionError("odd"), OSError("odd"), asyncio.CancelledError())


class Breakable(MidaDestination):
    """The real destination, of which one part raises for the first so many calls."""

    def __init__(self, part: str, error: BaseException, times: float) -> None:
        vars(self).update(vars(make_destination()))
        self.part, self.error, self.times = part, error, times

    def trip(self, part: str) -> None:
        """Raise, if it is this part's turn."""
        if part == self.part and self.times > 0:
            self.times -= 1
            raise self.error

    def request(self, body: bytes) -> Request:
        """See the protocol."""
        self.trip("request")
        return super().request(body)

    def judge(self, response: Response, wall_now: float) -> Judgement:
        """See the protocol."""
        self.trip("judge")
        return super().judge(response, wall_now)


class BreakableService(FakeService):
    """A transport that raises when its destination is told to."""

    def __init__(self, destination: Breakable) -> None:
        super().__init__()
        self.destination = destination

    async def send(self, request: Request, *, total: float) -> Response:
        """See the protocol."""
        self.destination.trip("transport before sending")
        answer = await super().send(request, total=total)
        self.destination.trip("transport after the answer")
        return answer


PLACES: Final = ("transport before sending", "transport after the answer", "request", "judge", "wall clock")


def breakable(part: str, error: BaseException, times: float) -> EventBuffer[...]:
    """Return a buffer of which one foreign part raises for the first so many calls."""
    destination = Breakable(part, error, times)

    def wall_clock() -> float:
        destination.trip("wall clock")
        return 0.0

    return EventBuffer(
        destination,
        BreakableService(destination),
        settings=attrs.evolve(NO_LIMIT, concurrency=2),
        retry=QUICK,
        total=60.0,
        hooks=[lambda _detail: destination.trip("hook")],
        wall_clock=wall_clock,
    )


@pytest.mark.parametrize("error", FOREIGN, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("part", PLACES)
def test_m4_a_foreign_exception_leaves_no_future_pending(part: str, error: BaseException) -> None:
    """R1: whatever the transport, the destination or a clock raises, that record ends, and the rest is delivered."""

    async def main() -> None:
        buffer = breakable(part, error, times=3)
        deliveries = record_all(buffer, ["ann", "ann", "bob", "cid"] * 3)
        report = await buffer.flush(60)
        assert (report.pending, report.rejected + report.delivered) == (0, 12)
        assert report.rejected == (0 if isinstance(error, asyncio.CancelledError) else 3)
        assert all(delivery.done() for delivery in deliveries)
        assert (await (await buffer.record("seen", id="ann"))).status == 200
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


@pytest.mark.parametrize("error", FOREIGN, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("part", [*PLACES, "hook"])
def test_m4_a_part_that_always_raises_leaves_no_future_pending(part: str, error: BaseException) -> None:
    """R1, R14: where a part raises at every call, flush and aclose return in time, and every Delivery has an end."""

    async def main() -> None:
        buffer = breakable(part, error, times=float("inf"))
        deliveries = record_all(buffer, ["ann", "ann", "bob"])
        await buffer.flush(60)
        began = now()
        await buffer.aclose(1)
        assert now() - began <= 1.5
        assert (part == "hook") == (outcomes(deliveries) == ["ok"] * 3)
        assert_finished(buffer, deliveries)

    run(main())


@pytest.mark.parametrize("error", FOREIGN, ids=lambda error: type(error).__name__)
def test_m4_a_hook_that_raises_costs_no_record(error: BaseException) -> None:
    """R1: a hook may raise at any of its calls: the records are delivered, once each."""

    async def main() -> None:
        for times in range(1, 10):
            buffer = breakable("hook", error, times)
            deliveries = record_all(buffer, ["ann", "ann", "bob"])
            report = await buffer.flush(60)
            assert (books(report), report.pending) == ({"delivered": 3}, 0)
            assert buffer.statistics().attempts == 3
            await buffer.aclose()
            assert_finished(buffer, deliveries)

    run(main())


# M5 -------------------------------------------------------------------------------------------------------------------


def test_m5_no_thread_and_no_task_for_a_visitor() -> None:
    """R2: three thousand visitors with a record each need no thread, and no task but those of the senders."""

    async def main() -> None:
        settings = attrs.evolve(NO_LIMIT, concurrency=16)
        with black_hole() as base_url:
            mida = client(base_url, buffer=settings)
            threads = threading.active_count()
            for number in range(3000):
                mida.buffer.record_nowait("seen", id=f"u{number}")
            await in_flight(mida, settings.concurrency)
            assert mida.buffer.statistics().lanes == 3000
            assert threading.active_count() == threads
            assert len(asyncio.all_tasks()) <= settings.concurrency + A_FEW_TASKS
            assert (await mida.aclose(0)).abandoned == 3000

    on_sockets(main())


# M6 -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["flush", "aclose"])
def test_m6_a_flush_does_not_wait_for_linger(how: str) -> None:
    """R4, R14: flush and aclose take as long as the requests, not as long as linger holds records back."""

    async def main() -> None:
        settings = attrs.evolve(NO_LIMIT, folds={"heartbeat": Fold.last()}, linger=1500.0)
        buffer = make_buffer(FakeService(), settings=settings)
        deliveries = record_all(buffer, ["ann", "bob", "ann"], name="heartbeat")
        await sleep(1)
        assert buffer.statistics().attempts == 0
        began = now()
        report = await (buffer.flush() if how == "flush" else buffer.aclose())
        assert (books(report), report.pending) == ({"delivered": 3}, 0)
        assert now() - began == pytest.approx(OK.latency)
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


# M7 -------------------------------------------------------------------------------------------------------------------


def test_m7_callers_under_back_pressure_are_served_in_their_order() -> None:
    """R6: a newcomer in the very moment in which room becomes free stands behind all who wait, large or small."""
    called, accepted, overtakers = list[int](), list[int](), list[object]()
    numbers = itertools.count()
    tasks = set[asyncio.Task[None]]()

    def text(number: int) -> str:
        return "x" * (300 if number % 3 == 0 else 0)  # there is room for one of these and three short ones

    async def main() -> None:
        async def call() -> None:
            number = next(numbers)
            called.append(number)
            delivery = await buffer.record("seen", id="ann", properties={"n": number, "text": text(number)})
            accepted.append(delivery.record_id)

        def newcomer(detail: Detail) -> None:
            if isinstance(detail, RecordEnded) and len(called) < 150:
                with contextlib.suppress(BufferFullError):
                    overtakers.append(buffer.record_nowait("seen", id="bob", properties={"n": -1}))
                tasks.add(asyncio.get_running_loop().create_task(call()))

        service = FakeService()
        settings = attrs.evolve(NO_LIMIT, max_records=6, max_bytes=600, concurrency=2)
        buffer = make_buffer(service, settings=settings, hooks=[newcomer])
        tasks.update(asyncio.get_running_loop().create_task(call()) for _ in range(40))
        while len(service.applied) < 150:
            await sleep(0.05)
            assert_balanced(buffer)
        await asyncio.wait(tasks)
        assert overtakers == []
        assert service.numbers == called == list(range(150))
        assert accepted == list(range(1, 151))
        await buffer.aclose()

    run(main())


def test_m7_a_newcomer_stands_behind_a_caller_who_was_let_in_but_has_not_run() -> None:
    """R6: where two records end in one moment, the room of the second does not go past the caller who got the first."""
    refused = list[bool]()

    async def main() -> None:
        def newcomer(detail: Detail) -> None:
            if isinstance(detail, RecordEnded) and len(refused) < 2:
                try:
                    buffer.record_nowait("late", id="cid", properties={"n": 3})
                except BufferFullError:
                    refused.append(True)

        service = FakeService()
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, max_records=2), hooks=[newcomer])
        record_all(buffer, ["ann", "bob"])
        waiting = asyncio.get_running_loop().create_task(buffer.record("seen", id="cid", properties={"n": 2}))
        await waiting
        await buffer.aclose()
        assert refused == [True, True]
        assert service.numbers == [0, 1, 2]

    run(main())


# M8 -------------------------------------------------------------------------------------------------------------------


def test_m8_failed_deliveries_that_nobody_looks_at_are_silent(caplog: pytest.LogCaptureFixture) -> None:
    """R15: rejected, ambiguous, expired, dropped or abandoned, kept beyond the loop or not: asyncio says nothing."""
    kept: list[Delivery] = []

    async def main() -> None:
        asyncio.get_running_loop().set_debug(enabled=True)
        service = FakeService(BAD, LOST, BAD, otherwise=STALL)
        settings = attrs.evolve(NO_LIMIT, guarantee="at_most_once", max_records=8, overflow="drop_newest", max_age=50.0)
        buffer = make_buffer(service, settings=settings, total=1000)
        kept.extend(record_all(buffer, ["ann", "bob", "cid", "cid", "cid"]))
        kept.extend(buffer.record_nowait("seen", id="dan", unique_id="1") for _ in range(3))
        record_all(buffer, ["eve"] * 10)
        buffer.record_threadsafe("seen", id="eve")
        await sleep(100)
        gc.collect()
        kept.extend(record_all(buffer, ["ann", "ann"]))
        await buffer.aclose(1)
        ends = {"rejected", "ambiguous", "expired", "dropped", "abandoned"}
        assert set(books(buffer.statistics())) == ends
        gc.collect()

    run(main())
    complaints = kept[0].get_loop().complaints  # type: ignore[attr-defined]
    assert not {"ok", "pending"} & set(outcomes(kept[:2]))
    del kept[2:]
    gc.collect()
    kept.clear()
    gc.collect()
    assert complaints == []
    assert [record for record in caplog.records if record.name == "asyncio"] == []


# M9 -------------------------------------------------------------------------------------------------------------------


def test_m9_flush_with_a_timeout_says_that_it_is_not_done() -> None:
    """R14: before a hung server flush(0.1) takes 0.1 s of the loop's clock and reports what is pending."""

    async def main() -> None:
        buffer = make_buffer(FakeService(otherwise=STALL))
        record_all(buffer, ["ann", "bob", "ann"])
        report = await buffer.flush(timeout=0.1)
        assert now() == pytest.approx(0.1, abs=1e-6)
        assert (report.pending, books(report)) == (3, {})
        await buffer.aclose(0)

    run(main())


def test_m9_flush_with_a_timeout_keeps_it_on_a_real_socket() -> None:
    """R14: on a connection that swallows everything flush(0.1) is back after a tenth of a second, with its report."""

    async def main() -> None:
        with black_hole() as base_url:
            mida = client(base_url)
            mida.buffer.record_nowait("seen", id="ann")
            await in_flight(mida, 1)
            began = time.perf_counter()
            with loop_clock() as clock:
                started = clock()
                report = await mida.buffer.flush(timeout=0.1)
                assert clock() - started < 0.5
            assert time.perf_counter() - began >= 0.1
            assert (report.pending, books(report)) == (1, {})
            assert (await mida.aclose(0)).abandoned == 1

    on_sockets(main())


@pytest.mark.parametrize(
    ("overflow", "left"),
    [("drop_newest", [0, 1, 2, 3, 4]), ("drop_oldest", [0, 7, 8, 9, 10]), ("raise", [0, 1, 2, 3, 4])],
)
def test_m9_a_full_buffer_keeps_what_its_policy_says(overflow: Any, left: list[int]) -> None:
    """R6: before a hung server each overflow policy keeps the records that its name promises, not others."""

    async def main() -> None:
        service = FakeService(attrs.evolve(OK, latency=30.0))
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, max_records=5, overflow=overflow))
        first = record_all(buffer, ["ann"])
        await sleep(0.1)
        for number in range(1, 11):
            with contextlib.suppress(BufferFullError):
                buffer.record_nowait("seen", id="ann", properties={"n": number})
        assert (await buffer.flush(0.1)).pending == 5
        await buffer.aclose(60)
        assert service.numbers == left
        assert_finished(buffer, first)

    run(main())


# M10 ------------------------------------------------------------------------------------------------------------------


def test_m10_the_bound_bounds_records_and_tasks() -> None:
    """R6: of 5,000 records before a hung server a buffer of a hundred takes a hundred, and no task is added for any."""

    async def main() -> None:
        settings = attrs.evolve(NO_LIMIT, max_records=100, concurrency=8)
        with black_hole() as base_url:
            mida = client(base_url, buffer=settings)
            mida.buffer.record_nowait("seen", id="u0")
            await in_flight(mida, 1)
            tasks, refused = len(asyncio.all_tasks()), 0
            for number in range(1, 5000):
                try:
                    mida.buffer.record_nowait("seen", id=f"u{number}")
                except BufferFullError:
                    refused += 1
                if number % 500 == 0:
                    await asyncio.sleep(0)
                    assert len(asyncio.all_tasks()) <= tasks + A_FEW_TASKS
            counts = mida.buffer.statistics()
            assert (counts.accepted, counts.pending, refused) == (100, 100, 4900)
            assert (await mida.aclose(0)).abandoned == 100

    on_sockets(main())


# M11 ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, {"retry_after": "1"}])
def test_m11_a_503_is_retried(headers: dict[str, str]) -> None:
    """R9: a service that is away for a moment costs no record: it is sent again, in its place."""

    async def main() -> None:
        service = FakeService(Play(outcome=response(503, "away", **headers)))
        buffer = make_buffer(service)
        deliveries = record_all(buffer, ["ann", "ann"])
        await buffer.flush(60)
        assert [delivery.result().attempts for delivery in deliveries] == [2, 1]
        assert [sent.number for sent in service.requests] == [0, 0, 1]
        assert service.numbers == [0, 1]
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


# M12 ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 3, 8])
def test_m12_concurrency_is_what_it_says(concurrency: int) -> None:
    """R2: with n senders there are n requests under way at once, no fewer and no more."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, concurrency=concurrency))
        record_all(buffer, [f"u{number}" for number in range(24)])
        await buffer.flush()
        assert service.most_in_flight == concurrency
        assert now() == pytest.approx(OK.latency * 24 / concurrency)
        await buffer.aclose()

    run(main())


def test_m12_flush_returns_after_an_oversized_record() -> None:
    """R7, R14: a record that is too long is refused at the call, and flush waits for nothing on its account."""

    async def main() -> None:
        buffer = make_buffer(FakeService())
        deliveries = record_all(buffer, ["ann"])
        with pytest.raises(InvalidEventError):
            await buffer.record("seen", id="ann", properties={"text": "x" * 2**20})
        deliveries += record_all(buffer, ["ann"])
        report = await buffer.flush(60)
        assert (books(report), report.pending) == ({"delivered": 2}, 0)
        assert now() == pytest.approx(2 * OK.latency)
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


def test_m12_leaving_the_context_delivers_everything() -> None:
    """R14: two hundred records and the end of `async with`: two hundred are applied; closing again changes nothing."""

    async def main() -> None:
        async with Emulator(auto_visitors=True) as emulator:
            keys, settings = (emulator.project_key, emulator.api_key), attrs.evolve(NO_LIMIT, concurrency=5)
            async with MidaClient(*keys, base_url=emulator.base_url, buffer=settings) as mida:
                for number in range(200):
                    mida.buffer.record_nowait("seen", id=f"u{number % 7}", properties={"n": number})
            applied = Counter(event.properties["n"] for event in emulator.recorded if event.properties)
            assert applied == Counter(range(200))
            reports = [books(await mida.aclose()) for _ in range(2)]
            assert reports == [{"delivered": 200}] * 2
            assert (mida.buffer.statistics().delivered, len(emulator.requests)) == (200, 200)

    on_sockets(main())


# M13 ------------------------------------------------------------------------------------------------------------------


def test_m13_a_partial_failure_neither_duplicates_nor_blocks() -> None:
    """R1, R9: with one record refused for good and one failing at first, all others go once, also over more flushes."""

    def choose(sent: Sent) -> Play:
        tries[sent.number] += 1
        if sent.number == 3:
            return BAD
        return BROKEN if sent.number == 5 and tries[5] == 1 else OK

    tries = Counter[int]()

    async def main() -> None:
        service = FakeService(otherwise=choose)
        buffer = make_buffer(service)
        deliveries = record_all(buffer, ["ann", "bob", "cid", "ann", "ann", "bob", "bob", "cid"])
        for _ in range(3):
            await buffer.flush(60)
        assert outcomes(deliveries) == ["ok", "ok", "ok", "BadRequestError", "ok", "ok", "ok", "ok"]
        assert tries == {**dict.fromkeys(range(8), 1), 5: 2}
        assert sorted(service.numbers) == [0, 1, 2, 4, 5, 6, 7]
        assert buffer.statistics().pending == 0
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


# M14 ------------------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def hanging_up(times: int) -> AsyncGenerator[tuple[str, list[bytes]]]:
    """Serve on a socket: read the request, hang up without an answer so many times, and answer from then on."""
    bodies = list[bytes]()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrival = await read_request(reader)
        bodies.append(arrival.body)
        if len(bodies) > times:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")

    async with serving(handle) as base_url:
        yield base_url, bodies


def test_m14_a_server_that_hangs_up_costs_no_record() -> None:
    """R10: at_least_once sends again what got no answer, and the receipt says that it may have been applied twice."""

    async def main() -> None:
        async with hanging_up(2) as (base_url, bodies), client(base_url) as mida:
            first, second = [mida.buffer.record_nowait("seen", id="ann", properties={"n": n}) for n in range(2)]
            receipt = await first
            assert (receipt.status, receipt.attempts, receipt.may_be_duplicate) == (200, 3, True)
            assert (await second).may_be_duplicate is False
            assert bodies == [bodies[0]] * 3 + [bodies[3]]

    on_sockets(main())


def test_m14_a_server_that_hangs_up_is_told_to_the_caller() -> None:
    """R10: at_most_once ends what got no answer with AmbiguousDeliveryError, and goes on with the next record."""

    async def main() -> None:
        settings = attrs.evolve(NO_LIMIT, guarantee="at_most_once")
        async with hanging_up(1) as (base_url, bodies), client(base_url, buffer=settings) as mida:
            first, second = [mida.buffer.record_nowait("seen", id="ann", properties={"n": n}) for n in range(2)]
            with pytest.raises(AmbiguousDeliveryError):
                await first
            assert (await second).attempts == 1
            assert len(bodies) == 2
            assert books(mida.buffer.statistics()) == {"ambiguous": 1, "delivered": 1}

    on_sockets(main())


def test_m14_the_bound_holds_for_first_attempts() -> None:
    """R6: records that were never sent count as much as those that failed before: the bound is the bound."""

    async def main() -> None:
        service = FakeService(BROKEN, BROKEN, BROKEN, otherwise=BLACK_HOLE)
        settings = BufferSettings(rate_limits=[RateLimit(1, per=60)], max_records=200)
        buffer = make_buffer(service, settings=settings)
        taken: list[Delivery] = []
        for number in range(250):
            with contextlib.suppress(BufferFullError):
                taken.append(buffer.record_nowait("seen", id=f"u{number}", properties={"n": number}))
        await sleep(300)
        counts = buffer.statistics()
        assert (len(taken), counts.accepted, counts.pending) == (200, 200, 200)
        assert counts.attempts < 10
        await buffer.aclose(0)
        assert_finished(buffer, taken)

    run(main())


# M15 ------------------------------------------------------------------------------------------------------------------


def test_m15_equal_records_are_all_applied() -> None:
    """R4: of three equal records, one of which fails at first, three are applied: equality is never a reason."""

    async def main() -> None:
        service = FakeService(OK, BROKEN)
        buffer = make_buffer(service)
        deliveries = [buffer.record_nowait("seen", id="ann", properties={"n": 1}) for _ in range(3)]
        await buffer.flush(60)
        assert service.numbers == [1, 1, 1]
        assert [delivery.result().attempts for delivery in deliveries] == [1, 2, 1]
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


@pytest.mark.parametrize("concurrency", [1, 2])
def test_m15_flush_returns_though_a_part_raised(concurrency: int) -> None:
    """R1, R14: a sender whose transport raises goes on with the next record, so flush without a timeout returns."""

    async def main() -> None:
        service = FakeService(*[Play(outcome=Odd("odd"))] * 4)
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, concurrency=concurrency))
        deliveries = record_all(buffer, ["ann", "bob"] * 3)
        async with asyncio.timeout(60):
            report = await buffer.flush()
        assert books(report) == {"rejected": 4, "delivered": 2}
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


# M16 ------------------------------------------------------------------------------------------------------------------

LEFT_OPEN: Final = {
    "in a function": """
async def main():
    mida = MidaClient("project_1", "key", base_url=sys.argv[1])
    for _ in range(7):
        mida.buffer.record_nowait("seen", id="ann")
asyncio.run(main())
""",
    "in the module": """
mida = MidaClient("project_1", "key", base_url=sys.argv[1])
async def main():
    for _ in range(7):
        await mida.buffer.record("seen", id="ann")
asyncio.run(main())
""",
}

CLOSED = """
async def main():
    async with MidaClient(sys.argv[2], sys.argv[3], base_url=sys.argv[1]) as mida:
        for number in range(50):
            await mida.buffer.record("seen", id=f"u{number % 5}", properties={"n": number})
asyncio.run(main())
"""


async def run_script(folder: Path, text: str, *arguments: str) -> tuple[int | None, str]:
    """Run a script in development mode, for 20 s at most; return its exit status and what it complained about."""
    path = folder / "script.py"
    path.write_text(f"import asyncio\nimport sys\nfrom mida_async import MidaClient\n{text}")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "dev", str(path), *arguments), stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(20):
            _, complaints = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, complaints.decode()


@pytest.mark.parametrize("where", LEFT_OPEN)
def test_m16_a_script_that_does_not_close_is_told_what_it_lost(where: str, tmp_path: Path) -> None:
    """R15: asyncio.run() that ends with records waiting makes a ResourceWarning with their number and the remedy."""

    async def main() -> None:
        with black_hole() as base_url:
            status, complaints = await run_script(tmp_path, LEFT_OPEN[where], base_url)
            warning = "".join(line for line in complaints.splitlines() if "ResourceWarning" in line)
            assert re.search(r"\b7\b.*aclose", warning), complaints
            assert status == 0

    on_sockets(main())


def test_m16_a_script_that_closes_delivers_everything(tmp_path: Path) -> None:
    """R14: a script that uses `async with` ends with everything delivered, in order, and nothing to complain about."""

    async def main() -> None:
        async with Emulator(auto_visitors=True) as emulator:
            emulator.script(Status(503))
            arguments = emulator.base_url, emulator.project_key, emulator.api_key
            assert await run_script(tmp_path, CLOSED, *arguments) == (0, "")
            seen = [event.properties["n"] for event in emulator.recorded if event.properties]
            assert sorted(seen) == list(range(50))
            for visitor in range(5):
                assert [n for n in seen if n % 5 == visitor] == list(range(visitor, 50, 5))

    on_sockets(main())
