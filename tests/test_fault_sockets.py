"""The whole client under faults over real sockets: each by itself, many at once, and closing in bad times."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import socket
import threading
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from fake_service import (
    COUNTABLE_FOLDS,
    Collector,
    Traffic,
    assert_balanced,
    assert_finished,
    assert_told,
    books,
    outcomes,
    sent_from,
)
from real_time import LoopClock, loop_clock

from mida_async import (
    AmbiguousDeliveryError,
    APIError,
    AuthenticationError,
    BadRequestError,
    BufferSettings,
    ConflictError,
    ConnectError,
    ConnectionLostError,
    ForbiddenError,
    MidaClient,
    MidaError,
    NotFoundError,
    RateLimit,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
    Timeout,
    VisitorNotFoundError,
)
from mida_async.instrumentation import RecordEnded, RetryPlanned
from mida_async.testing import (
    CutBody,
    Emulator,
    Fault,
    Latency,
    NotJSON,
    ResetAfter,
    ResetBefore,
    Stall,
    StallBody,
    Status,
)
from mida_async.testing.socket_peer import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator

    from fake_service import Sent

    from mida_async._delivery.delivery import Delivery
    from mida_async._delivery.reports import CloseReport
    from mida_async._settings import Guarantee
    from mida_async.testing import RecordedEvent

KEY = "mk_secret_0123456789"
PROJECT = "project_1"
# A single 429 would slow an adaptive client down for seconds.
UNLIMITED = BufferSettings(rate_limits=(), adaptive=False)
QUICK = RetryPolicy(initial=0.01, maximum=0.05)
# Where a server falls silent, and where it does not: a busy machine must not be taken for a silent server.
SHORT = Timeout(connect=5.0, read=0.4, total=10.0)
LONG = Timeout(connect=5.0, read=5.0, total=10.0)
GUARANTEES: tuple[Guarantee, ...] = ("at_least_once", "at_most_once")

# Seconds by which closing may exceed its timeout, by R14, and what a machine that does other things besides may add.
CLOSING = 0.5
BUSY = 0.5


def serve(**settings: Any) -> Emulator:
    """Return an emulator with the tests' credentials."""
    return Emulator(project_key=PROJECT, api_key=KEY, **{"auto_visitors": True, **settings})


def client(base_url: str, **settings: Any) -> MidaClient:
    """Return a client of the server at *base_url*."""
    return MidaClient(
        PROJECT, KEY, base_url=base_url, **{"buffer": UNLIMITED, "retry": QUICK, "timeout": LONG, **settings}
    )


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run *main* on a real loop, for 20 s at most."""

    async def bounded() -> None:
        async with asyncio.timeout(20):
            await main

    asyncio.run(bounded())


def held() -> tuple[set[str], set[threading.Thread]]:
    """Return the files and sockets that are open, where the system tells, and the threads."""
    folder, found = Path("/proc/self/fd"), set[str]()
    for place in folder.iterdir() if folder.exists() else ():
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            found.add(f"{place.name} {place.readlink()}")
    return found, set(threading.enumerate())


@contextlib.asynccontextmanager
async def nothing_left() -> AsyncGenerator[None]:
    """Fail if the body leaves a file, a socket, a thread or a task."""
    before, tasks = held(), asyncio.all_tasks()
    yield
    for _ in range(3):  # a connection that was dropped is closed in the next round of the loop
        await asyncio.sleep(0)
    assert held() == before
    assert asyncio.all_tasks() == tasks


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something has happened, for 5 s at most."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what happens at the server sets no event
            await asyncio.sleep(0.005)


def applied(events: Iterable[RecordedEvent]) -> list[Sent]:
    """Return the events that came from the buffer."""
    return [
        sent_from(attrs.asdict(event) | {"properties": event.properties}, event.received_at)
        for event in events
        if event.event_name != "direct"
    ]


@attrs.frozen(kw_only=True)
class Fate:
    """
    What becomes of a record whose first request meets a fault.

    Attributes:
        end: How it ends.
        attempts: How often it is sent.
        duplicate: What its receipt says.
        applied: How often the server applies it.
        error: What its Delivery raises.
        cause: Why.
    """

    end: str = "delivered"
    attempts: int = 1
    duplicate: bool = False
    applied: int = 1
    error: type[Exception] | None = None
    cause: type[BaseException] | None = None


ONCE = Fate()
AGAIN = Fate(attempts=2)
MAYBE_TWICE = Fate(attempts=2, duplicate=True)
TWICE = Fate(attempts=2, duplicate=True, applied=2)


def rejected(error: type[Exception]) -> Fate:
    """Return the fate of a record that the server does not want."""
    return Fate(end="rejected", applied=0, error=error)


def unclear(cause: type[Exception], times: int) -> Fate:
    """Return the fate of a record of which nobody knows what became of it, and which was applied so often."""
    return Fate(end="ambiguous", applied=times, error=AmbiguousDeliveryError, cause=cause)


SOON = {"Retry-After": "0"}
LONG_AGO = {"Retry-After": "Thu, 01 Jan 2015 00:00:00 GMT"}

# A fault of the first request, and what becomes of the record: at least once, at most once.
FATES: list[tuple[Fault, Fate, Fate]] = [
    # Accepted is accepted, whatever becomes of the answer's body.
    *((Status(code, applied=True), ONCE, ONCE) for code in (200, 201, 202, 204)),
    *((fault, ONCE, ONCE) for fault in (CutBody(), StallBody(), NotJSON(), NotJSON(201), Latency(0.05))),
    (Stall(0.05, applied=True), ONCE, ONCE),
    # The server says that it did nothing, and that the record may come back.
    *((Status(code), AGAIN, AGAIN) for code in (408, 425, 429)),
    *((Status(code, headers), AGAIN, AGAIN) for code in (429, 503) for headers in (SOON, LONG_AGO)),
    (NotJSON(429, applied=False), AGAIN, AGAIN),
    # Nobody knows whether it did anything.
    *((Status(code), MAYBE_TWICE, unclear(ServerError, 0)) for code in (500, 502, 503, 504, 599)),
    *((Status(code, applied=True), TWICE, unclear(ServerError, 1)) for code in (500, 502, 503, 504)),
    (NotJSON(502, applied=False), MAYBE_TWICE, unclear(ServerError, 0)),
    (Stall(0.05), MAYBE_TWICE, unclear(ServerError, 0)),
    (ResetBefore(), MAYBE_TWICE, unclear(ConnectionLostError, 0)),
    (ResetAfter(), TWICE, unclear(ConnectionLostError, 1)),
    (Stall(), MAYBE_TWICE, unclear(RequestTimeoutError, 0)),
    (Stall(applied=True), TWICE, unclear(RequestTimeoutError, 1)),
    # It says no, and will say no again.
    *((Status(code), rejected(BadRequestError), rejected(BadRequestError)) for code in (400,)),
    *((Status(code), rejected(ConflictError), rejected(ConflictError)) for code in (406, 409)),
    *((Status(code), rejected(APIError), rejected(APIError)) for code in (301, 307, 405, 413, 422)),
    (Status(401), rejected(AuthenticationError), rejected(AuthenticationError)),
    (Status(403), rejected(ForbiddenError), rejected(ForbiddenError)),
    (Status(404), rejected(NotFoundError), rejected(NotFoundError)),
    (NotJSON(403, applied=False), rejected(ForbiddenError), rejected(ForbiddenError)),
    (
        Status(400, body={"error": "Visitor not found"}),
        rejected(VisitorNotFoundError),
        rejected(VisitorNotFoundError),
    ),
]


def fate_of(delivery: Delivery, heard: Collector, times: int) -> Fate:
    """Return what became of a record, and check that hooks and receipt agree."""
    (ended,) = (each for each in heard.of(RecordEnded) if each.record_id == delivery.record_id)
    error = delivery.exception()
    assert error is ended.error
    if error is None:
        receipt = delivery.result()
        assert receipt.attempts == ended.attempts
        return Fate(attempts=receipt.attempts, duplicate=receipt.may_be_duplicate, applied=times)
    assert isinstance(error, MidaError)
    cause = None if error.__cause__ is None else type(error.__cause__)
    return Fate(end=ended.end, attempts=ended.attempts, applied=times, error=type(error), cause=cause)


@pytest.mark.parametrize("guarantee", GUARANTEES)
@pytest.mark.parametrize("row", FATES, ids=[repr(fault) for fault, _, _ in FATES])
def test_each_fault_has_its_outcome(row: tuple[Fault, Fate, Fate], guarantee: Guarantee) -> None:
    """R9, R10: each fault ends or repeats a record as its class says, and the visitor's next one goes out after it."""
    fault, *fates = row

    async def main() -> None:
        heard, emulator = Collector(), serve()
        emulator.script(fault)
        async with nothing_left(), emulator:
            settings = attrs.evolve(UNLIMITED, guarantee=guarantee)
            silent = isinstance(fault, StallBody) or (isinstance(fault, Stall) and fault.seconds is None)
            timeout = SHORT if silent else LONG
            async with client(emulator.base_url, buffer=settings, timeout=timeout, hooks=[heard]) as mida:
                deliveries = [mida.buffer.record_nowait("seen", id="ann", properties={"n": n}) for n in (1, 2)]
                await asyncio.wait(deliveries, timeout=9)
            assert emulator.scripted == 0
            expected = fates[GUARANTEES.index(guarantee)]
            numbers = [sent.number for sent in applied(emulator.recorded)]
            assert numbers == [1] * expected.applied + [2]
            assert fate_of(deliveries[0], heard, numbers.count(1)) == expected
            assert fate_of(deliveries[1], heard, numbers.count(2)) == ONCE
            assert len(emulator.requests) == expected.attempts + 1
            assert_told(heard, mida.buffer.statistics())

    run(main())


@pytest.mark.parametrize(
    ("guarantee", "expected"), [(GUARANTEES[0], TWICE), (GUARANTEES[1], unclear(RequestTimeoutError, 1))]
)
def test_a_server_that_works_on_for_a_client_that_has_gone(guarantee: Guarantee, expected: Fate) -> None:
    """R10: what is applied after the client gave up waiting is applied once more, or never sent again."""

    async def main() -> None:
        heard, emulator = Collector(), serve()
        emulator.script(Latency(0.8))
        async with nothing_left(), emulator:
            settings = attrs.evolve(UNLIMITED, guarantee=guarantee)
            async with client(emulator.base_url, buffer=settings, timeout=SHORT, hooks=[heard]) as mida:
                delivery = mida.buffer.record_nowait("seen", id="ann", properties={"n": 1})
                await asyncio.wait([delivery], timeout=5)
            await until(lambda: len(emulator.recorded) == expected.applied)
            assert fate_of(delivery, heard, len(emulator.recorded)) == expected

    run(main())


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_a_server_that_is_started_late(guarantee: Guarantee) -> None:
    """R9, R10: nothing was sent while nobody listened, so both guarantees send again and nothing is a duplicate."""

    async def main() -> None:
        heard, emulator = Collector(), serve(port=free_port())
        async with nothing_left():
            settings = attrs.evolve(UNLIMITED, guarantee=guarantee)
            async with client(f"http://127.0.0.1:{emulator.port}", buffer=settings, hooks=[heard]) as mida:
                delivery = mida.buffer.record_nowait("seen", id="ann", properties={"n": 1})
                await until(lambda: bool(heard.of(RetryPlanned)))
                async with emulator:
                    await asyncio.wait([delivery], timeout=5)
                    failures = heard.of(RetryPlanned)
                    assert {type(failure.error) for failure in failures} == {ConnectError}
                    assert fate_of(delivery, heard, len(emulator.recorded)) == Fate(attempts=len(failures) + 1)
                    assert len(emulator.requests) == 1
                    await mida.aclose()

    run(main())


@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_holds_everybody_back(code: int) -> None:
    """R8: the server's pause closes the gate for all visitors, and is no attempt that may have been applied."""

    async def main() -> None:
        heard, emulator = Collector(), serve()
        emulator.script(Status(code, {"Retry-After": "1"}))
        settings = attrs.evolve(UNLIMITED, concurrency=1, guarantee="at_most_once")
        async with nothing_left(), emulator, client(emulator.base_url, buffer=settings, hooks=[heard]) as mida:
            deliveries = [mida.buffer.record_nowait("seen", id=who, properties={"n": 1}) for who in ("ann", "bob")]
            await asyncio.wait(deliveries, timeout=5)
            refused, *others = (request.received_at for request in emulator.requests)
            assert [1.0 <= at - refused <= 1.0 + BUSY for at in others] == [True, True]
            assert [fate_of(delivery, heard, 1) for delivery in deliveries] == [AGAIN, ONCE]
            await mida.aclose()

    run(main())


# What the seeded scenarios draw from. These take effect, or not, as the status says.
FAULTS: tuple[Fault, ...] = (
    *(Status(408), Status(425), Status(429), Status(429, SOON), Status(503, SOON), NotJSON(429, applied=False)),
    *(Status(500), Status(500, applied=True), Status(502), Status(504, applied=True), NotJSON(502, applied=False)),
    *(Status(302), Status(400), Status(401), Status(403), Status(404), Status(409), Status(413)),
    *(Latency(0.02), Stall(), Stall(applied=True), Stall(0.05), Stall(0.05, applied=True)),
    *(ResetBefore(), ResetAfter(), CutBody(), StallBody()),
)
# These say that the event was accepted, and so belong where the emulator has no reason to refuse it.
ACCEPTED: tuple[Fault, ...] = (Status(200, applied=True), Status(202, applied=True), NotJSON())
# This takes effect when its client has gone.
LATE = Latency(0.3)
PAUSE: tuple[Fault, ...] = (Status(429, {"Retry-After": "1"}), Status(503, {"Retry-After": "1"}))

SCENARIOS = 24
STEPS = 70
PATIENCE = Timeout(connect=0.2, read=0.2, total=0.5)


@attrs.define(kw_only=True)
class Scenario:
    """One run against an emulator, chosen by a seed."""

    seed: int
    dice: random.Random = attrs.field(init=False)
    settings: BufferSettings = attrs.field(init=False)
    emulator: Emulator = attrs.field(init=False)
    late: bool = attrs.field(init=False)
    restarts: bool = attrs.field(init=False)
    retry: RetryPolicy = attrs.field(init=False)
    heard: Collector = attrs.field(init=False, factory=Collector)
    mida: MidaClient = attrs.field(init=False)
    traffic: Traffic = attrs.field(init=False)
    clock: LoopClock = attrs.field(init=False)
    closes_by: float | None = attrs.field(init=False, default=None)
    direct: Counter[str] = attrs.field(init=False, factory=Counter[str])

    def __attrs_post_init__(self) -> None:
        """Throw the dice."""
        self.dice = dice = random.Random(self.seed)  # noqa: S311
        self.settings = BufferSettings(
            rate_limits=dice.choice(((), (), RateLimit(20, per=0.2), (RateLimit(8, per=0.05), RateLimit(60, per=1)))),
            pacing=dice.choice(("auto", "smooth", "burst")),
            concurrency=dice.choice((1, 4, 32)),
            max_records=dice.choice((4, 20, 1000)),
            max_bytes=dice.choice((1000, 4000, 10**6)),
            overflow=dice.choice(("wait", "wait", "raise", "drop_oldest", "drop_newest")),
            order=dice.choice(("visitor", "visitor", "visitor", "none")),
            guarantee=dice.choice(GUARANTEES),
            unknown_visitor=dice.choice(("reject", "wait")),
            unknown_visitor_patience=dice.choice((0.1, 5.0)),
            folds=dice.choice(({}, COUNTABLE_FOLDS)),
            linger=dice.choice((0.0, 0.03)),
            dedupe_window=dice.choice((0.0, 0.1, 3600.0)),
            max_age=dice.choice((0.3, 86400.0, 86400.0)),
        )
        self.retry = attrs.evolve(QUICK, max_attempts=dice.choice((1, 3, 10)))
        self.late, self.restarts = dice.random() < 0.3, dice.random() < 0.5
        # One second of real time: the emulator speaks of a limit without a Retry-After, which counts whole seconds.
        limits = dice.choice(((), (), (), (RateLimit(10, per=0.1),)))
        self.emulator = serve(rate_limits=limits, retry_after=False, auto_visitors=dice.random() < 0.7)
        honest = self.emulator.auto_visitors and not limits
        faults = [*FAULTS, *(ACCEPTED if honest else ()), *([LATE] if self.late else ())]
        trouble = dice.choice((0.1, 0.3, 0.6))
        rates = [(fault, trouble / len(faults)) for fault in faults]
        self.emulator.script_random(rates + [(fault, dice.choice((0.0, 0.003))) for fault in PAUSE], seed=self.seed)

    async def breathe(self) -> None:
        """Wait for nothing, or a moment."""
        for _ in range(self.dice.choice((0, 0, 0, 1, 1, 4))):
            await asyncio.sleep(0.005)

    async def call_directly(self) -> None:
        """Make a call beside the buffer, which may fail but never takes longer than it may."""
        mida, started = self.mida, self.clock()
        call = self.dice.choice((mida.events.list, mida.goals.list, self.record_directly))
        try:
            async with asyncio.timeout(self.dice.choice((None, None, 0.02))):
                await call()
            self.direct["done"] += 1
        except (MidaError, TimeoutError) as error:
            self.direct[type(error).__name__] += 1
        assert self.clock() - started <= PATIENCE.total + BUSY

    async def record_directly(self) -> None:
        """Record an event without the buffer."""
        await self.mida.events.record("direct", **self.traffic.visitor())

    async def flush(self, seconds: float) -> None:
        """R14: flush, which returns when its time is up."""
        started, due = self.clock(), asyncio.get_running_loop().time() + seconds
        report = await self.mida.buffer.flush(seconds)
        assert self.clock() - started <= seconds + BUSY
        assert report.pending == 0 or asyncio.get_running_loop().time() >= due - 0.01

    async def close(self, seconds: float) -> CloseReport:
        """R14: close within the time; a second call waits for the first."""
        started = self.clock()
        if self.closes_by is None:
            self.closes_by = started + seconds
        report = await self.mida.aclose(seconds)
        assert self.clock() <= max(started, self.closes_by) + CLOSING + BUSY
        assert report.pending == 0
        return report

    async def restart(self) -> None:
        """Take the server away for a while."""
        await self.emulator.aclose()
        for _ in range(self.dice.choice((0, 3))):
            await asyncio.sleep(0.05)
        await self.emulator.start()

    def something_else(self) -> Iterator[Coroutine[Any, Any, object]]:
        """Do something beside recording; return what takes time."""
        dice, traffic = self.dice, self.traffic
        if dice.random() < 0.1:
            traffic.cancel()
        if dice.random() < 0.1:
            traffic.record_nowait()
        if dice.random() < 0.1:
            yield self.call_directly()
        if dice.random() < 0.04:
            yield self.flush(dice.choice((0.0, 0.1, 0.5)))
        if dice.random() < 0.2:
            self.emulator.add_visitor(**traffic.visitor())

    async def play(self) -> None:
        """Record, cancel, call directly, flush, stop the server and close, all at once."""
        dice, traffic, tasks = self.dice, self.traffic, list[asyncio.Task[Any]]()
        restarting = dice.randrange(STEPS) if self.restarts else -1
        closing = dice.randrange(STEPS // 2, STEPS)
        for step in range(STEPS):
            name, patience = dice.choice(("seen", "beat", "watched", "bought")), dice.choice((None, None, 0.0, 0.1))
            jobs = [traffic.record(name, traffic.event(), patience), *self.something_else()]
            if step == restarting:
                jobs.append(self.restart())
            if step == closing:
                jobs.append(self.close(dice.choice((0.0, 0.1, 0.5, 1.0))))
            tasks += map(asyncio.create_task, jobs)
            await self.breathe()
            assert_balanced(self.mida.buffer)
        report = await self.close(2.0)
        assert report == await self.mida.aclose()
        await asyncio.wait(tasks)
        for task in tasks:
            task.result()  # raises what it met

    async def main(self) -> None:
        """Play it, with nothing before and nothing after."""
        async with nothing_left(), self.emulator as emulator:
            self.mida = client(
                emulator.base_url, buffer=self.settings, retry=self.retry, timeout=PATIENCE, hooks=[self.heard]
            )
            with loop_clock() as self.clock:
                async with self.mida as mida:
                    self.traffic = Traffic(dice=self.dice, buffer=mida.buffer, visitors=6)
                    await self.play()

    def assert_books(self) -> None:
        """R1: what callers hold, what hooks heard and what the statistics say is the same."""
        traffic, now = self.traffic, self.mida.buffer.statistics()
        assert now.accepted == len(traffic.deliveries) == traffic.calls - traffic.refusals.total()
        found = Counter(outcomes(traffic.deliveries))
        assert found["pending"] == 0
        assert found["ok"] <= now.delivered
        assert_told(self.heard, now)

    def assert_applied(self) -> None:
        """R2, R10: the server applied what it was to apply, in the order of acceptance."""
        traffic, sent = self.traffic, applied(self.emulator.recorded)
        traffic.assert_whole(sent)
        if self.settings.order == "visitor":
            delivered = {each.record_id for each in self.heard.of(RecordEnded) if each.end == "delivered"}
            traffic.assert_in_order(each for each in sent if not self.late or traffic.record_of(each) in delivered)
        if self.settings.guarantee == "at_most_once":
            assert max(Counter(map(traffic.record_of, sent)).values(), default=0) <= 1

    def assert_requests(self) -> None:
        """R1, R9: each record was sent as often as its end says, and ended as the last answer says."""
        traffic, statuses = self.traffic, defaultdict[int, list[int | None]](list)
        for request in self.emulator.requests:
            if request.method == "POST" and request.json["event_name"] != "direct":
                statuses[traffic.record_of(sent_from(request.json, 0.0))].append(request.status)
        times = Counter(map(traffic.record_of, applied(self.emulator.recorded)))
        retries = self.heard.of(RetryPlanned)
        not_sent = Counter(each.record_id for each in retries if isinstance(each.error, ConnectError))
        # What the client gave up, the server may still have answered well.
        in_doubt = {each.record_id for each in retries if getattr(each.error, "maybe_applied", False)}
        receipts = traffic.receipts()
        for ended in self.heard.of(RecordEnded):
            seen = statuses[ended.record_id]
            assert len(seen) <= ended.attempts - not_sent[ended.record_id]
            if ended.end == "delivered":
                assert self.restarts or len(seen) == ended.attempts - not_sent[ended.record_id]
                assert seen[-1] in {200, 202}
            if ended.record_id in receipts:
                assert (receipts[ended.record_id].status, receipts[ended.record_id].attempts) == (
                    seen[-1],
                    ended.attempts,
                )
            if isinstance(ended.error, APIError) and not isinstance(ended.error, AuthenticationError):
                assert seen[-1] == ended.error.status
            if ended.end in {"rejected", "dropped", "cancelled"}:
                # Unless an earlier request went wrong in a way that leaves it open.
                open_fate = ended.record_id in in_doubt or any((status or math.inf) >= 500 for status in seen)
                assert not times[ended.record_id] or open_fate


@pytest.fixture(scope="module")
def played() -> dict[int, Scenario]:
    """Return the scenarios that were played so far, by their seeds."""
    return {}


def play(seed: int, played: dict[int, Scenario]) -> Scenario:
    """Play a scenario, unless it was."""
    if seed not in played:
        scenario = Scenario(seed=seed)
        run(scenario.main())
        played[seed] = scenario
    return played[seed]


@pytest.mark.parametrize("seed", range(SCENARIOS))
def test_everything_at_once_over_real_sockets(seed: int, played: dict[int, Scenario]) -> None:
    """R1 to R6, R9, R10, R14: whatever fails, each record has one end, in its order, and nothing is left running."""
    scenario = play(seed, played)
    scenario.assert_books()
    scenario.assert_applied()
    scenario.assert_requests()


def test_the_scenarios_meet_every_fault_and_every_end(played: dict[int, Scenario]) -> None:
    """The dice are not loaded: over all seeds every end and refusal occurs, records are applied twice, and so on."""
    totals = Counter[str]()
    for seed in range(SCENARIOS):
        scenario = play(seed, played)
        totals.update(books(scenario.mida.buffer.statistics()))
        totals.update(scenario.traffic.refusals)
        totals.update(scenario.direct)
        totals.update(type(detail).__name__ for detail in scenario.heard.details)
        totals.update(type(detail.error).__name__ for detail in scenario.heard.of(RetryPlanned))
        totals["duplicates"] += sum(receipt.may_be_duplicate for receipt in scenario.traffic.receipts().values())
        totals["refused"] += scenario.emulator.statistics().refused
    ends = ("delivered", "rejected", "expired", "ambiguous", "dropped", "cancelled", "abandoned")
    refusals = ("BufferFullError", "BufferClosedError", "TimeoutError", "done", "duplicates", "refused")
    failures = (
        "ConnectError",
        "ConnectionLostError",
        "RequestTimeoutError",
        "ServerError",
        "RateLimitError",
        "APIError",
    )
    details = ("RecordFolded", "RecordRepeated", "RetryPlanned", "Throttled", "BreakerChanged", "RateChanged")
    assert [word for word in (*ends, *refusals, *failures, *details) if not totals[word]] == []


@contextlib.asynccontextmanager
async def bad_place(kind: str) -> AsyncGenerator[str]:
    """Yield the address of a server that is of no use."""
    match kind:
        case "refused":
            yield f"http://127.0.0.1:{free_port()}"
        case "full backlog":
            with contextlib.ExitStack() as stack:
                listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
                for _ in range(4):
                    waiting = stack.enter_context(socket.socket())
                    waiting.setblocking(False)  # noqa: FBT003 - the standard library's
                    waiting.connect_ex(listener.getsockname())
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        case _:
            emulator = serve()
            faults = {"black hole": Stall(times=None), "applies": Stall(applied=True, times=None)}
            emulator.script(faults.get(kind) or StallBody(times=None))
            async with emulator:
                yield emulator.base_url


@pytest.mark.parametrize("kind", ["black hole", "applies", "stalled body", "refused", "full backlog"])
def test_closing_in_bad_times_takes_no_longer_than_it_may(kind: str) -> None:
    """R14: with a server that is away, silent or stuck, ``aclose(1)`` ends everything within 1.5 s."""

    async def main() -> None:
        async with nothing_left(), bad_place(kind) as url:
            mida = client(url, timeout=Timeout())
            deliveries = [mida.buffer.record_nowait("seen", id=f"u{n % 8}", properties={"n": n}) for n in range(40)]
            await asyncio.sleep(0.05)
            waiting = asyncio.create_task(mida.events.list())
            await asyncio.sleep(0.05)
            with loop_clock() as clock:
                started, due = clock(), asyncio.get_running_loop().time() + 0.9
                report = await mida.aclose(1.0)
                assert clock() - started <= 1.0 + CLOSING
                assert asyncio.get_running_loop().time() >= due
            assert (books(report), report.pending) == ({"abandoned": 40}, 0)
            if kind == "full backlog":
                waiting.cancel()  # a call that is not connected yet waits on, as long as timeout.connect says
            await asyncio.wait([waiting], timeout=1)
            assert waiting.cancelled() or isinstance(waiting.exception(), MidaError)
        assert_finished(mida.buffer, deliveries)
        assert set(outcomes(deliveries)) == {"BufferClosedError"}

    run(main())
