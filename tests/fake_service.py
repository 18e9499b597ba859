"""A scripted service in memory, and what tests of the delivery engine ask again and again."""

from __future__ import annotations

import asyncio
import copy
import functools
import gc
import itertools
import json
import math
import random
import time
from collections import Counter, deque
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import attrs

from mida_async import (
    BufferClosedError,
    BufferFullError,
    BufferSettings,
    ConnectError,
    ConnectionLostError,
    Fold,
    RequestTimeoutError,
    RetryPolicy,
)
from mida_async._core.messages import Response
from mida_async._core.request import Account
from mida_async._core.response import error_from
from mida_async._delivery.buffer import EventBuffer
from mida_async._delivery.delivery import Delivery
from mida_async.destinations.mida import MidaDestination
from mida_async.instrumentation import (
    AttemptMade,
    RecordAccepted,
    RecordEnded,
    RecordFolded,
    RecordRepeated,
    RetryPlanned,
    Throttled,
)
from mida_async.testing.clock import VirtualClockLoop
from mida_async.testing.memory_spool import MemoryDisk, MemorySpool

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping

    from mida_async._core.entry import Receipt
    from mida_async._core.messages import Request
    from mida_async._delivery.reports import BufferStatistics, EndCounts
    from mida_async.destinations.base import Destination
    from mida_async.instrumentation import Detail, Hook
    from mida_async.spools.base import Opened, Spool, SpooledRecord
    from mida_async.testing import RateModel

_Result = TypeVar("_Result")

KEY: Final = "key-of-the-tests"
JUDGE: Final = functools.partial(error_from, endpoint=None, request="", secret=KEY)
"""Says what a direct call's response means."""
NO_LIMIT: Final = BufferSettings(rate_limits=())
WORDS: Final = ("delivered", "rejected", "expired", "ambiguous", "dropped", "cancelled", "abandoned", "kept")
KINDS: Final = ("mida_uuid", "email", "id")


def response(status: int = 200, message: str = "Event recorded successfully", **headers: str) -> Response:
    """Return an answer in the service's envelope; the names of headers are written with underscores."""
    body = json.dumps({"success": True, "message": message} if status < 300 else {"error": message}).encode()
    return Response(status=status, headers={name.replace("_", "-"): text for name, text in headers.items()}, body=body)


@attrs.frozen(kw_only=True)
class Play:
    """
    What happens to one request.

    Attributes:
        outcome: What comes back; None stalls until the request is cancelled or its time is up.
        latency: Seconds until it comes back.
        applies: Whether the event is applied, half-way through the latency; None means if the answer is a 2xx.
        cancels: Whether the task that sends is cancelled half-way, as by somebody who cancels all tasks there are.
    """

    outcome: Response | BaseException | None = attrs.field(factory=response)
    latency: float = 0.05
    applies: bool | None = None
    cancels: bool = False

    @property
    def applied(self) -> bool:
        """Whether the event is applied."""
        return (
            isinstance(self.outcome, Response) and self.outcome.status < 300 if self.applies is None else self.applies
        )


OK: Final = Play()
UNKNOWN_VISITOR: Final = Play(outcome=response(400, "Visitor not found"))
BAD: Final = Play(outcome=response(400, "event_name is required"))
UNAUTHORIZED: Final = Play(outcome=response(401, "Invalid API key"))
TOO_MANY: Final = Play(outcome=response(429, "Too many requests"))
BROKEN: Final = Play(outcome=response(500, "Internal error"))
NOT_SENT: Final = Play(outcome=ConnectError("nobody listens"), latency=0.01)
LOST: Final = Play(outcome=ConnectionLostError("reset after the body"))
LOST_AFTER: Final = Play(outcome=ConnectionLostError("reset after the body"), applies=True)
STALL: Final = Play(outcome=None)
BLACK_HOLE: Final = Play(outcome=None, applies=True)


@attrs.frozen(kw_only=True)
class Sent:
    """One request as it arrived, or one event as it was applied."""

    at: float
    name: str
    visitor: frozenset[tuple[str, str]]
    properties: dict[str, Any]

    @property
    def number(self) -> int:
        """The property ``n``, by which a test tells its records apart."""
        number: int = self.properties["n"]
        return number


class FakeService:
    """
    A transport that plays what it is told, one play for each request.

    Args:
        plays: For the first requests.
        otherwise: For all others; a function is asked for each.
        limit: A rate that the service enforces before anything else.
    """

    def __init__(
        self, *plays: Play, otherwise: Play | Callable[[Sent], Play] = OK, limit: RateModel | None = None
    ) -> None:
        self.script = deque(plays)
        self.otherwise = otherwise
        self.limit = limit
        self.requests: list[Sent] = []
        self.applied: list[Sent] = []
        self.refused = 0
        self.in_flight: list[Sent] = []
        self.busy: list[asyncio.Task[Any] | None] = []
        self.most_in_flight = 0
        self.overlaps: list[Sent] = []
        self.totals: list[float] = []
        self.contexts: list[dict[str, object]] = []
        self.closed = 0

    @property
    def numbers(self) -> list[int]:
        """The numbers of the applied records, in order."""
        return [sent.number for sent in self.applied]

    async def send(self, request: Request, *, total: float) -> Response:
        """See the protocol."""
        loop = asyncio.get_running_loop()
        sent = sent_from(json.loads(request.body or b""), loop.time())
        self.requests.append(sent)
        self.totals.append(total)
        self.overlaps += [sent for other in self.in_flight if other.visitor & sent.visitor]
        self.in_flight.append(sent)
        self.busy.append(asyncio.current_task())
        self.most_in_flight = max(self.most_in_flight, len(self.in_flight))
        try:
            return await self._play(self._choose(sent), sent, total)
        finally:
            self.in_flight.remove(sent)
            self.busy.remove(asyncio.current_task())

    async def aclose(self) -> None:
        """See the protocol."""
        self.closed += 1

    def _choose(self, sent: Sent) -> Play:
        if self.limit is not None:
            if self.limit.check(sent.at) is not None:
                self.refused += 1
                return TOO_MANY
            self.limit.take(sent.at)
        if self.script:
            return self.script.popleft()
        return self.otherwise if isinstance(self.otherwise, Play) else self.otherwise(sent)

    async def _play(self, play: Play, sent: Sent, total: float) -> Response:
        latency = total if play.outcome is None else play.latency
        if min(latency, total) > 0:
            await asyncio.sleep(min(latency, total) / 2)
        if play.applied:
            self.applied.append(attrs.evolve(sent, at=asyncio.get_running_loop().time()))
        if play.cancels:
            cast("asyncio.Task[Any]", asyncio.current_task()).cancel()
        if min(latency, total) > 0:
            await asyncio.sleep(min(latency, total) / 2)
        if play.outcome is None or play.latency > total:
            message = f"no answer within {total:g} s"
            raise RequestTimeoutError(message)
        if isinstance(play.outcome, BaseException):
            raise copy.copy(play.outcome)
        return play.outcome


def sent_from(content: Mapping[str, Any], at: float) -> Sent:
    """Return what a body says that was sent, or applied, at a time."""
    visitor = frozenset((kind, content[kind]) for kind in KINDS if content.get(kind) is not None)
    return Sent(at=at, name=content["event_name"], visitor=visitor, properties=content.get("properties", {}))


def seeded_faults(dice: random.Random, trouble: float) -> Callable[[Sent], Play]:
    """Return a choice that plays a random fault with the probability *trouble*, and success otherwise."""
    faults = (
        *(NOT_SENT, LOST, LOST_AFTER, BROKEN, BLACK_HOLE, STALL, TOO_MANY, UNKNOWN_VISITOR, BAD),
        Play(outcome=response(429, "slow down", retry_after="3")),
        Play(outcome=response(503, "later", retry_after="2")),
        Play(outcome=response(502, "bad gateway"), applies=True),
        Play(outcome=response(302, "elsewhere")),
        Play(outcome=Response(status=200, complete=False)),
        Play(outcome=ValueError("a bug in the transport")),
        Play(outcome=asyncio.CancelledError()),
        Play(cancels=True),
    )

    def choose(_sent: Sent) -> Play:
        play = dice.choice(faults) if dice.random() < trouble else OK
        return attrs.evolve(play, latency=dice.choice((0.0, 0.01, 0.05, 0.3)))

    return choose


class Collector:
    """A hook that keeps what it is told."""

    def __init__(self) -> None:
        self.details: list[Detail] = []

    def __call__(self, detail: Detail, /) -> None:
        """Keep it."""
        self.details.append(detail)

    def of(self, kind: type[_Result]) -> list[_Result]:
        """Return the details of one kind."""
        return [detail for detail in self.details if isinstance(detail, kind)]


def make_buffer(  # noqa: PLR0913  each part by itself, as a client puts them together
    service: FakeService,
    *,
    settings: BufferSettings = NO_LIMIT,
    retry: RetryPolicy | None = None,
    total: float = 60.0,
    hooks: Iterable[Hook] = (),
    destination: MidaDestination | None = None,
    spool: Spool | None = None,
    others: tuple[Destination[...], ...] = (),
    wall_clock: Callable[[], float] = time.time,
) -> EventBuffer[...]:
    """Return a buffer that delivers to *service*."""
    return EventBuffer(
        destination or make_destination(),
        service,
        settings=settings,
        retry=retry or RetryPolicy(),
        total=total,
        hooks=hooks,
        spool=spool,
        others=others,
        wall_clock=wall_clock,
    )


def make_destination() -> MidaDestination:
    """Return the real destination, for an invented account."""
    return MidaDestination(Account.create(project_key="project", api_key=KEY, region="us"))


class SlowSpool(MemorySpool):
    """
    A spool that opens and reads in a thread, as it were: callers wait, and what is read is as of the call.

    Args:
        disk: Where it keeps its records.
        opening: Seconds that opening takes.
        reading: Seconds that each reading takes.
        faults: What goes wrong when it is opened or read, one after the other; None for nothing.
        bounds: How much it may hold.
    """

    def __init__(
        self,
        disk: MemoryDisk | None = None,
        *,
        opening: float = 0.0,
        reading: float = 0.0,
        faults: Iterable[Exception | None] = (),
        **bounds: int,
    ) -> None:
        super().__init__(disk, **bounds)
        self.opening = opening
        self.reading = reading
        self.faults = deque(faults)
        self.opens = 0
        self.closes = list[float]()

    async def open(self, destination: str, **told: Any) -> Opened:
        """See the protocol."""
        self.opens += 1
        await asyncio.sleep(self.opening)
        self._fail()
        return await super().open(destination, **told)

    async def read(self, after: int, *, records: int, size: int) -> list[SpooledRecord]:
        """See the protocol."""
        found = await super().read(after, records=records, size=size)
        await asyncio.sleep(self.reading)
        self._fail()
        return found

    async def aclose(self, timeout: float) -> None:  # noqa: ASYNC109  as the protocol has it
        """See the protocol."""
        self.closes.append(timeout)
        await super().aclose(timeout)

    def _fail(self) -> None:
        fault = self.faults.popleft() if self.faults else None
        if fault is not None:
            raise fault


class LateRoom(MemorySpool):
    """A spool in which the room of a settled record is free only after the next write, as the protocol allows."""

    def has_room(self, size: int) -> bool:
        """See the protocol."""
        durable = self.disk.records
        kept = {record.key: len(record.body) for record in (*durable, *self._contents.records.values())}
        return len(kept) < self._max_records and sum(kept.values()) + size <= self._max_bytes


def books(counts: EndCounts) -> dict[str, int]:
    """Return the ends that are not 0."""
    return {word: count for word in WORDS if (count := getattr(counts, word))}


def room(buffer: EventBuffer[...]) -> tuple[int, int]:
    """Return the records and bytes that take room."""
    assert buffer._works is not None
    return buffer._works.admission.records, buffer._works.admission.bytes


def assert_balanced(buffer: EventBuffer[...]) -> None:
    """R1, R6: the ends and what is pending add up to what was accepted, and the room in use is that of the records."""
    now = buffer.statistics()
    assert now.accepted == sum(books(now).values()) + now.pending
    live = buffer.scheduler.lanes.live()
    assert now.waiting + now.in_flight == len(live)
    assert buffer._works is not None
    spooling = buffer._works.spooling
    live += [] if spooling is None else spooling.writing
    let_in = buffer._works.admission.let_in
    assert room(buffer)[0] == len(live) + let_in
    assert let_in or room(buffer)[1] == sum(len(entry.body) for entry in live)
    assert buffer._works.ledger.held == len(live)
    assert all(entry.room == len(entry.body) and entry.deliveries is not None for entry in live)
    assert now.pending >= len(live) + now.spilled


def assert_finished(buffer: EventBuffer[...], deliveries: Iterable[Delivery]) -> None:
    """R1: after ``aclose()`` everything has one end, all room is free, and no task is left."""
    assert_balanced(buffer)
    now = buffer.statistics()
    assert (now.pending, now.waiting, now.in_flight, now.retrying, now.lanes, now.callers) == (0, 0, 0, 0, 0, 0)
    assert room(buffer) == (0, 0)
    assert all(delivery.done() for delivery in deliveries)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def sleep(seconds: float) -> None:
    """Wait on the virtual clock, which takes no time."""
    await asyncio.sleep(seconds)


class CountingLoop(VirtualClockLoop):
    """A virtual clock that counts its rounds: a storm of timers shows in their number."""

    def __init__(self) -> None:
        super().__init__()
        self.rounds_left = math.inf
        self.complaints: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _loop, context: self.complaints.append(context))

    def _run_once(self) -> None:
        self.rounds_left -= 1
        if self.rounds_left < 0:
            self.rounds_left = math.inf  # the loop has to end in peace
            message = "the loop goes round and round: a storm of timers or wake-ups"
            raise AssertionError(message)
        super()._run_once()  # type: ignore[misc]


def run(main: Coroutine[Any, Any, _Result], *, rounds: float = 1_000_000) -> _Result:
    """
    Run *main* on a virtual clock.

    Fails where asyncio had something to complain about ("exception was never retrieved" and the like), or where the
    loop went round more than *rounds* times.
    """
    random.seed(0)  # the pauses between attempts are drawn from this
    loop = CountingLoop()
    loop.rounds_left = rounds
    gc.freeze()  # so that only what the test leaves behind is looked at, which is much faster
    try:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            result = runner.run(main)
            gc.collect()
    finally:
        gc.unfreeze()
    assert loop.complaints == []
    return result


def outcomes(deliveries: Iterable[Delivery]) -> list[str]:
    """Return "ok", "cancelled", "pending" or the name of the error of each."""

    def outcome(delivery: Delivery) -> str:
        if not delivery.done():
            return "pending"
        if delivery.cancelled():
            return "cancelled"
        error = delivery.exception()
        return "ok" if error is None else type(error).__name__

    return [outcome(delivery) for delivery in deliveries]


def record_all(buffer: EventBuffer[...], visitors: Iterable[str], *, name: str = "seen") -> list[Delivery]:
    """Record one event for each of *visitors*, numbered in the property ``n``."""
    return [buffer.record_nowait(name, id=visitor, properties={"n": n}) for n, visitor in enumerate(visitors)]


def per_visitor(sent: Iterable[Sent]) -> list[list[int]]:
    """Return the numbers by visitor, in the order in which they came."""
    lines: dict[frozenset[tuple[str, str]], list[int]] = {}
    for each in sent:
        lines.setdefault(each.visitor, []).append(each.number)
    return list(lines.values())


def is_ordered(numbers: Iterable[int]) -> bool:
    """Say whether each number is greater than the one before."""
    return all(older < newer for older, newer in itertools.pairwise(numbers))


def _together(older: Mapping[str, Any], newer: Mapping[str, Any]) -> dict[str, Any]:
    return {**newer, "all": [*older["all"], *newer["all"]]}


# What is folded by these can be counted at the server.
COUNTABLE_FOLDS: Final = MappingProxyType({"beat": Fold(_together), "watched": Fold.sum("seconds")})


@attrs.define(kw_only=True)
class Traffic:
    """
    Random calls of a buffer by many visitors, and what came of each.

    Attributes:
        dice: Chooses.
        buffer: What is called.
        visitors: How many visitors there are. Now and then an event names two of them as one.
        deliveries: What the calls returned.
        record_ids: By the number of a call, which record its event became or went into.
        refusals: The calls that raised, by the name of the error.
        calls: How many calls were made.
    """

    dice: random.Random
    buffer: EventBuffer[...]
    visitors: int = 8
    deliveries: list[Delivery] = attrs.field(init=False, factory=list[Delivery])
    record_ids: dict[int, int] = attrs.field(init=False, factory=dict[int, int])
    refusals: Counter[str] = attrs.field(init=False, factory=Counter[str])
    calls: int = attrs.field(init=False, default=0)

    def visitor(self) -> dict[str, Any]:
        """Return some identifiers, of one visitor or, rarely, of several."""
        dice = self.dice
        several = dice.random() < 0.2
        one = dice.randrange(self.visitors)
        who = {kind: dice.randrange(self.visitors) if several else one for kind in KINDS}
        texts = {"id": f"u{who['id']}", "email": f"U{who['email']}@example.com", "mida_uuid": f"m{who['mida_uuid']}"}
        return {kind: texts[kind] for kind in dice.sample(KINDS, dice.choice((1, 1, 2, 3)))}

    def event(self) -> dict[str, Any]:
        """Return the arguments of one record; its number is that of the call."""
        dice = self.dice
        self.calls += 1
        text = "x" * dice.choice((0, 0, 200))
        return {
            **self.visitor(),
            "properties": {"n": self.calls, "all": [self.calls], "seconds": 1, "text": text},
            "unique_id": f"unique{dice.randrange(2)}" if dice.random() < 0.15 else None,
        }

    async def record(self, name: str, event: dict[str, Any], patience: float | None) -> None:
        """Record one event, and sometimes give up waiting for room."""
        try:
            async with asyncio.timeout(patience):
                delivery = await self.buffer.record(name, **event)
        except (BufferFullError, BufferClosedError, TimeoutError) as error:
            self.refusals[type(error).__name__] += 1
            return
        self._keep(event, delivery)

    def record_nowait(self) -> None:
        """Record one event without waiting."""
        event = self.event()
        try:
            self._keep(event, self.buffer.record_nowait("seen", **event))
        except (BufferFullError, BufferClosedError) as error:
            self.refusals[type(error).__name__] += 1

    def cancel(self) -> None:
        """Cancel any delivery, whatever became of it."""
        if self.deliveries:
            self.dice.choice(self.deliveries).cancel()

    def _keep(self, event: dict[str, Any], delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        self.record_ids[event["properties"]["n"]] = delivery.record_id

    def receipts(self) -> dict[int, Receipt]:
        """Return the receipts of all that was delivered, by the number of the record."""
        done = (each for each in self.deliveries if each.done() and not each.cancelled())
        return {each.record_id: each.result() for each in done if each.exception() is None}

    def record_of(self, sent: Sent) -> int:
        """Return which record it was that was sent; a call that did not accept one must not have sent any."""
        (record_id,) = {self.record_ids[number] for number in (sent.number, *sent.properties["all"])}
        return record_id

    def assert_in_order(self, applied: Iterable[Sent]) -> None:
        """R2, R3: of two records with a common identifier, the one that was accepted first is applied first."""
        newest: dict[tuple[str, str], int] = {}
        seen = set[int]()
        for sent in applied:
            record_id = self.record_of(sent)
            if record_id not in seen:
                seen.add(record_id)
                assert all(newest.get(identifier, 0) < record_id for identifier in sent.visitor)
                newest.update(dict.fromkeys(sent.visitor, record_id))

    def assert_whole(self, applied: Iterable[Sent]) -> None:
        """R4, R10: what was delivered arrived with all that went into it, and twice only if its receipt says so."""
        receipts, times = self.receipts(), Counter[int]()
        for sent in applied:
            record_id = self.record_of(sent)
            times[record_id] += 1
            if record_id in receipts:
                parts = {"beat": len(sent.properties["all"]), "watched": sent.properties["seconds"]}
                assert receipts[record_id].folded == parts.get(sent.name, 1)
        assert [receipt for number, receipt in receipts.items() if not times[number]] == []
        assert [
            receipt for number, receipt in receipts.items() if times[number] > 1 and not receipt.may_be_duplicate
        ] == []


def assert_told(heard: Collector, now: BufferStatistics) -> None:
    """R1: hooks heard once of each accepted record and once of each end, and what they heard adds up to the books."""
    accepted, ends = heard.of(RecordAccepted), heard.of(RecordEnded)
    folded, repeated = heard.of(RecordFolded), heard.of(RecordRepeated)
    assert len(accepted) + len(folded) + len(repeated) == now.accepted
    assert len({each.record_id for each in accepted}) == len(accepted)
    assert sorted(each.record_id for each in ends) == sorted(each.record_id for each in accepted)
    carried = Counter(each.record_id for each in accepted)
    carried.update(each.record_id for each in folded)
    carried.update(each.record_id for each in repeated if not each.delivered)
    assert {each.record_id: each.records for each in ends} == carried
    told = Counter({"delivered": sum(each.delivered for each in repeated)})
    for each in ends:
        told[each.end] += each.records
    assert +told == books(now)
    sent = Counter(each.record_id for each in heard.of(AttemptMade))
    planned = Counter(each.record_id for each in heard.of(RetryPlanned))
    assert sent.total() == now.attempts
    assert {each.record_id: each.attempts for each in ends if each.attempts} == sent
    assert all(attempts - planned[number] in {0, 1} for number, attempts in sent.items())
    assert len(heard.of(Throttled)) == now.throttled
