"""The whole synchronous engine against a naive model, in any order of events."""

from __future__ import annotations

import asyncio
import copy
import random
from collections import Counter
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, cast, get_args

import attrs
import pytest
from engine_model import FOLDS, Answer, BugError, Caller, Event, Model, Record, Result
from fake_service import Collector, make_destination
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from mida_async import (
    AuthenticationError,
    BufferClosedError,
    BufferFullError,
    BufferSettings,
    ConnectError,
    ConnectionLostError,
    Fold,
    MidaError,
    NotFoundError,
    RateLimit,
    RateLimitError,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
    VisitorNotFoundError,
)
from mida_async._core.entry import End, EntryState
from mida_async._core.folding import Duplicates
from mida_async._core.scheduler import Outcome, Scheduler
from mida_async._core.verdict import Ended
from mida_async._delivery.admission import Admission
from mida_async._delivery.delivery import Delivery
from mida_async._delivery.intake import Intake, snapshot
from mida_async._delivery.ledger import Ledger, Watch
from mida_async._delivery.reporter import Reporter
from mida_async._delivery.reports import abandoned
from mida_async._settings import Overflow
from mida_async.destinations.base import Judgement
from mida_async.instrumentation import RecordEnded
from mida_async.testing.clock import VirtualClockLoop

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mida_async._core.entry import Draft, Entry
    from mida_async._core.scheduler import Attempt

CONCURRENCY: Final = 4
MANY_TURNS: Final = 10
WALKS: Final = 80
STEPS_OF_A_WALK: Final = 80
RETRY: Final = RetryPolicy(max_attempts=3, initial=0.5, maximum=2.0)

ACCEPTED: Final = Answer(Outcome(status=200), "accepted", body={"success": True})
CUT_SHORT: Final = Answer(Outcome(status=200), "accepted")
RETRIED: Final = (
    Answer(Outcome(error=ConnectError("x")), "not sent"),
    Answer(Outcome(error=ConnectionLostError("x")), "ambiguous"),
    Answer(Outcome(error=RequestTimeoutError("x")), "ambiguous"),
    Answer(Outcome(error=ServerError("x", status=500), status=500), "ambiguous"),
    Answer(Outcome(error=RateLimitError("x", status=429), status=429), "refused"),
)
TOLD_TO_WAIT: Final = (
    Answer(Outcome(error=RateLimitError("x", status=429, retry_after=2.0), status=429), "refused", 2.0),
    Answer(Outcome(error=ServerError("x", status=503, retry_after=1.0), status=503), "refused", 1.0),
)
ENDING: Final = (
    Answer(Outcome(error=NotFoundError("x", status=404), status=404), "permanent"),
    Answer(Outcome(error=VisitorNotFoundError("x", status=400), status=400), "unknown visitor"),
    Answer(Outcome(error=ValueError("x")), "permanent"),
    Answer(Outcome(error=AuthenticationError("x", status=401), status=401), "permanent"),
)
ANSWERS: Final = (*(ACCEPTED, CUT_SHORT) * 3, *RETRIED * 2, *TOLD_TO_WAIT, *ENDING)

ONE, TWO, MAIL, BROWSER = ("id", "1"), ("id", "2"), ("email", "a@b.c"), ("mida_uuid", "m")
EVENT: Final[Mapping[str, Sequence[object]]] = MappingProxyType(
    {
        "name": ("plain", "last", "sum", "sum", "sum", "count", "trail", "bug"),
        "visitor": (
            *((ONE,), (ONE,), (TWO,), (TWO,), (MAIL,), (("email", "A@B.C"),), (BROWSER,), (BROWSER,)),
            *((BROWSER, MAIL, ONE), (MAIL, ONE), (BROWSER, TWO), (BROWSER, MAIL), (TWO, MAIL)),
        ),
        "properties": (
            *({"n": 1}, {"n": 2}, {"n": 3}, {"n": 1}),
            *({"n": "three"}, {"n": 5, "pad": "x" * 60}, {"n": 6, "pad": "x" * 200}, {"pad": "x" * 300}),
        ),
        "unique_id": (None, None, None, "u"),
    }
)
CHOICES: Final[Mapping[str, Sequence[object]]] = MappingProxyType(
    {
        "rate_limits": ((), (), (RateLimit(3, per=1),)),
        "max_records": (2, 4, 50, 50, 50),
        "max_bytes": (300, 300, 10_000, 10_000, 10_000),
        "order": ("visitor", "visitor", "visitor", "none"),
        "guarantee": ("at_least_once", "at_most_once"),
        "unknown_visitor": ("reject", "wait"),
        "linger": (0.0, 1.0),
        "dedupe_window": (0.0, 2.0, 2.0),
        "max_age": (6.0, 60.0),
    }
)
WHICH: Final = tuple(range(16))
BOTH: Final = (False, True)
# What may happen, how often, and with what.
PLAN: Final[tuple[tuple[int, str, Mapping[str, Sequence[object]]], ...]] = (
    (3, "record_nowait", MappingProxyType({**EVENT, "times": (1, 2, 3)})),
    (2, "record", MappingProxyType({**EVENT, "at_once": BOTH})),
    (3, "record_again", MappingProxyType({"which": WHICH, "patient": BOTH})),
    (2, "link", MappingProxyType({"which": WHICH})),
    (3, "claim", MappingProxyType({"times": (1, 2, 3)})),
    (
        4,
        "exchange",
        MappingProxyType({"times": (1, 2, 3), "one": ANSWERS, "other": (*ANSWERS, *[None] * 30), "which": WHICH}),
    ),
    (1, "all_are_delivered", MappingProxyType({})),
    (1, "run_callers", MappingProxyType({})),
    (1, "cancel_call", MappingProxyType({"which": WHICH})),
    (1, "cancel_delivery", MappingProxyType({"which": WHICH})),
    (2, "wait", MappingProxyType({"seconds": (0.25, 0.5, 1.0, 2.0)})),
    (1, "flush", MappingProxyType({})),
    (1, "close", MappingProxyType({"at_once": BOTH})),
)

SETTINGS: Final = BufferSettings(
    pacing="burst", adaptive=False, concurrency=CONCURRENCY, unknown_visitor_patience=3.0, folds=FOLDS
)

NEEDS_A_WAIT: Final = frozenset({"in line", "let in and cancelled", "cancelled", "closed in line"})
DROPS: Final = frozenset({"dropped"})
ALWAYS: Final = frozenset(
    {
        *("alone", "folded", "shared", "repeated", "full", "bug", "closed"),
        *("joined", "joined in flight", "attempted again", "withdrawn", "detached"),
        *(end.value for end in End if end not in (End.KEPT, End.DROPPED)),
    }
)


def _drawn(name: str, pools: Mapping[str, Sequence[object]]) -> st.SearchStrategy[tuple[str, dict[str, object]]]:
    return st.tuples(st.just(name), st.fixed_dictionaries({key: st.sampled_from(pool) for key, pool in pools.items()}))


def _diced(dice: random.Random, pools: Mapping[str, Sequence[object]]) -> dict[str, Any]:
    return {key: dice.choice(pool) for key, pool in pools.items()}


def _dice_step(dice: random.Random) -> tuple[str, dict[str, Any]]:
    _, name, pools = dice.choices(PLAN, [weight for weight, _, _ in PLAN])[0]
    return name, _diced(dice, pools)


STEPS: Final = st.one_of(*(_drawn(name, pools) for weight, name, pools in PLAN for _ in range(weight)))


class Engine:
    """The synchronous half, put together as the buffer does; nothing sends, and the clock is set by hand."""

    def __init__(self, chosen: BufferSettings) -> None:
        self.loop = VirtualClockLoop()
        self.told = Collector()
        self.reporter = Reporter([self.told])
        self.scheduler = Scheduler(chosen, RETRY)
        self.lanes = self.scheduler.lanes
        self.duplicates = Duplicates(chosen.dedupe_window)
        self.admission = Admission(max_records=chosen.max_records, max_bytes=chosen.max_bytes)
        self.ledger = Ledger(
            self.loop,
            admission=self.admission,
            withdraw=self._withdraw,
            duplicates=self.duplicates,
            reporter=self.reporter,
        )
        self.intake = Intake(
            settings=chosen,
            admission=self.admission,
            destination=make_destination(),
            lanes=self.lanes,
            ledger=self.ledger,
            duplicates=self.duplicates,
            clock=self.loop.time,
            arrived=self.reporter.accepted,
        )
        self.closed = False

    def set_clock(self, now: float) -> None:
        """Let time pass."""
        self.loop._clock.now = now

    def turns(self, number: int) -> None:
        """Let whatever is ready run."""
        self.loop.run_until_complete(_turns(number))

    def draft(self, event: Event) -> Draft:
        """Encode an event."""
        encode = make_destination().encode
        draft = encode(event.name, **dict(event.visitor), properties=event.properties, unique_id=event.unique_id)
        return attrs.evolve(draft, properties=snapshot(draft.properties or {}))

    def record_nowait(self, draft: Draft) -> Delivery:
        """Take an event without waiting."""
        self._check_open()
        delivery = self.intake.enter(draft)
        if delivery is None:
            raise self.intake.full()
        return delivery

    async def record(self, draft: Draft) -> Delivery:
        """Take an event, waiting for room."""
        self._check_open()
        delivery = self.intake.enter(draft)
        if delivery is not None:
            return delivery
        self.intake.cut_linger()
        size = len(draft.body)
        await self.admission.reserve(size)
        if self.closed:
            self.admission.give_back(size)
            raise BufferClosedError
        return self.intake.admit(draft)

    def watch(self) -> Watch:
        """Begin to wait for all that there is."""
        self.intake.cut_linger()
        return self.ledger.watch(self.intake.newest, len(self.lanes))

    def expire(self) -> None:
        """End what is too old."""
        now = self.loop.time()
        for entry, ended in self.scheduler.expire(now):
            self.ledger.end(entry, ended, now)

    def conclude(self, attempt: Attempt, answer: Answer) -> None:
        """Take in what came back."""
        now, outcome = self.loop.time(), answer.outcome
        verdict = self.scheduler.conclude(attempt, outcome, now)
        if isinstance(verdict, Ended):
            self.ledger.end(attempt.entry, verdict, now, status=outcome.status, judgement=Judgement(body=answer.body))
        else:
            self.intake.make_room()
        if outcome.error is not None and self.hopeless(answer):
            for entry, ended in self.scheduler.reject_waiting(outcome.error):
                self.ledger.end(entry, ended, now)

    def hopeless(self, answer: Answer) -> bool:
        """Say whether all that waits is to be rejected."""
        return isinstance(answer.outcome.error, AuthenticationError) and self.scheduler.breaker.hopeless

    def give_up(self) -> None:
        """End what is left."""
        flying = {entry.id for entry in self.lanes.flying()}
        for entry in self.lanes.clear():
            error = abandoned(entry, in_flight=entry.id in flying)
            self.ledger.end(entry, Ended(end=End.ABANDONED, error=error), self.loop.time())

    def _check_open(self) -> None:
        if self.closed:
            raise BufferClosedError

    def _withdraw(self, entry: Entry) -> None:
        if entry.state is EntryState.WAITING:
            self.lanes.withdraw(entry)
            self.ledger.end(entry, Ended(end=End.CANCELLED), self.loop.time())


async def _turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


@attrs.frozen
class Flushed:
    """A flush that waits, and the calls whose records were pending when it began."""

    watch: Watch
    callers: tuple[Caller, ...]


class EngineMachine(RuleBasedStateMachine):
    """Does what callers, senders and the clock may do."""

    def __init__(self, overflow: Overflow, seen: Counter[str]) -> None:
        super().__init__()
        random.seed(1)
        self.overflow = overflow
        self.seen = seen
        self.deliveries: dict[Caller, Delivery] = {}
        self.tasks: dict[Caller, asyncio.Task[Delivery]] = {}
        self.settled: set[Caller] = set()
        self.attempts: dict[Record, Attempt] = {}
        self.flushed: list[Flushed] = []
        self.turn = 0
        self.events: list[Event] = []

    @initialize(choices=st.fixed_dictionaries({key: st.sampled_from(pool) for key, pool in CHOICES.items()}))
    def set_up(self, choices: dict[str, Any]) -> None:
        """Choose the settings."""
        chosen = attrs.evolve(SETTINGS, overflow=self.overflow, **choices)
        self.engine = Engine(chosen)
        self.model = Model(chosen, RETRY)

    @rule(step=STEPS)
    def step(self, step: tuple[str, dict[str, object]]) -> None:
        """Do one thing. It is one rule, because Hypothesis switches rules off at random, and most need the others."""
        name, arguments = step
        getattr(self, name)(**arguments)

    # Callers.

    def record_nowait(self, times: int, **arguments: Any) -> None:
        """Take some events that are alike, or refuse them, at once."""
        event = Event(**arguments)
        self.events.append(event)
        for _ in range(times):
            self.record_one(event)
            self.engine_and_model_agree()

    def record_again(self, which: int, patient: bool) -> None:  # noqa: FBT001
        """Take an event that was taken before."""
        if self.events and patient:
            self.record(at_once=True, **attrs.asdict(self.events[which % len(self.events)]))
        elif self.events:
            self.record_one(self.events[which % len(self.events)])

    def link(self, which: int) -> None:
        """Take an event that shows the visitors of two records to be one, in flight if there are two."""
        self.claim(2)
        records = list(self.attempts) if len(self.attempts) > 1 else self.model.held
        if len(records) > 1:
            one, other = records[which % len(records) - 1], records[which % len(records)]
            two_in_flight = {one.state, other.state} == {"in flight"}
            before = len(self.model.visitors)
            visitor = tuple({**dict(one.event.visitor), **dict(other.event.visitor)}.items())
            self.record_one(Event("plain", visitor, {"n": 1}))
            self.seen["joined in flight"] += two_in_flight and len(self.model.visitors) < before

    def record_one(self, event: Event) -> None:
        """Take an event, or refuse it, at once."""
        draft = self.engine.draft(event)
        caller = Caller(event, len(draft.body), patient=False)
        got: Delivery | Exception
        try:
            got = self.engine.record_nowait(draft)
        except (BufferFullError, BufferClosedError, BugError) as error:
            got = error
        if isinstance(got, Delivery):
            caller.hint = got.record_id
        held = len(self.model.visitors)
        self.model.arrive(caller)
        self.seen["joined"] += len(self.model.visitors) < held
        self.check_return(caller, got)

    def record(self, *, at_once: bool, **arguments: Any) -> None:
        """Take an event, waiting for room if need be."""
        event = Event(**arguments)
        draft = self.engine.draft(event)
        caller = Caller(event, len(draft.body), patient=True)
        self.tasks[caller] = self.engine.loop.create_task(self.engine.record(draft))
        self.model.wakeups.append(caller)
        if at_once:
            self.run_callers()

    def run_callers(self) -> None:
        """Let all run that can."""
        self.engine.turns(2 * len(self.tasks) + 3)
        for caller, task in self.tasks.items():
            if task.done() and not task.cancelled() and task.exception() is None:
                caller.hint = task.result().record_id
        while self.model.wakeups:
            caller = self.model.wakeups.pop(0)
            self.seen["let in and cancelled"] += caller.stage == "let in" and caller.giving_up
            self.seen["closed in line"] += caller.turned_away
            self.model.wake(caller)
            self.seen["in line"] += caller.stage == "in line"
        for caller, task in list(self.tasks.items()):
            assert task.done() == (caller.stage == "over"), "R6: let in when it is their turn, and not before"
            if task.done():
                self.check_task(caller, self.tasks.pop(caller))

    def check_task(self, caller: Caller, task: asyncio.Task[Delivery]) -> None:
        """Compare how a call returned with what the model says."""
        if task.cancelled():
            assert caller.result == "cancelled"
            self.seen["cancelled"] += 1
        else:
            self.check_return(caller, task.exception() or task.result())

    def check_return(self, caller: Caller, got: Delivery | BaseException) -> None:
        """Compare what a call returned, or raised, with what the model says."""
        self.seen[caller.result] += 1
        errors = {"full": BufferFullError, "closed": BufferClosedError, "bug": BugError}
        if caller.result in errors:
            assert type(got) is errors[caller.result]
            return
        assert isinstance(got, Delivery), "R1"
        if caller.record is None:
            assert caller.result == "dropped"
            assert type(got.exception()).__name__ == "EventDroppedError"
            assert got.record_id == caller.number
            return
        assert caller.result in get_args(Result)
        assert got.record_id == caller.record.number, f"R4, R5: {caller.result}"
        assert got.done() == (caller.record.end is not None), "what repeats a delivered record is done at once"
        self.deliveries[caller] = got

    def cancel_call(self, which: int) -> None:
        """Cancel a call that has not returned, whether it waits, was let in, or has not begun."""
        if not self.tasks:
            return
        caller = list(self.tasks)[which % len(self.tasks)]
        self.tasks[caller].cancel()
        self.model.give_up(caller)

    def pending(self) -> list[Caller]:
        """Return the calls whose Delivery is not done."""
        return [caller for caller in self.deliveries if caller not in self.settled]

    def cancel_delivery(self, which: int) -> None:
        """Cancel a Delivery; the record is withdrawn if nobody else wants it and it waits."""
        pending = self.pending()
        if not pending:
            return
        caller = pending[which % len(pending)]
        assert self.deliveries[caller].cancel()
        self.model.cancel(caller)
        record = caller.record
        assert record is not None
        self.seen["withdrawn" if record.end else "detached"] += 1

    # Senders.

    def claim(self, times: int) -> None:
        """Take some senders' turns."""
        for _ in range(times):
            self.engine.expire()
            self.model.expire()
            if len(self.attempts) < CONCURRENCY:
                self.claim_one()

    def claim_one(self) -> None:
        """Claim a record if and only if one may go, and the right one."""
        self.note_who_is_ready()
        now, heads = self.model.now, self.model.heads()
        breaker = self.engine.scheduler.breaker.next_at(now, len(self.attempts))
        attempt = self.engine.scheduler.claim(now)
        expected = bool(heads) and breaker <= now and self.model.may_send()
        assert (attempt is not None) == expected, "R2, R8: what may go goes, and nothing else"
        if attempt is None:
            return
        record = next(record for record in self.model.held if record.number == attempt.entry.id)
        assert record in heads, "R2: the oldest of its visitor, with nothing of the same visitor in flight"
        record.state = "in flight"
        record.attempts += 1
        self.attempts[record] = attempt
        self.seen["attempted again"] += record.attempts > 1
        self.check_turn(record)

    def check_turn(self, record: Record) -> None:
        """R2: nobody is served twice while another one could have been."""
        served = self.model.visitor_of(record)
        idle = [visitor for visitor in self.model.visitors if visitor.ready is None]
        for visitor in self.model.visitors:
            assert visitor in (served, *idle) or visitor.ready_since >= served.served_at, "R2: in turn"
        self.turn += 1
        served.served_at, served.ready = self.turn, None

    def exchange(self, times: int, one: Answer, other: Answer | None, which: int) -> None:
        """Let some requests go, and let answers come back to some, in any order."""
        self.claim(times)
        for answer in filter(None, (one, other)):
            self.engine_and_model_agree()
            if self.attempts:
                self.conclude(which, answer)

    def conclude(self, which: int, answer: Answer) -> None:
        """Let an answer, or none, come back."""
        record = list(self.attempts)[which % len(self.attempts)]
        attempt = self.attempts.pop(record)
        # The engine may write on an error, and the next answer of this kind is about another record.
        answer = attrs.evolve(answer, outcome=attrs.evolve(answer.outcome, error=copy.copy(answer.outcome.error)))
        outage = self.engine.scheduler.breaker.open
        self.engine.conclude(attempt, answer)
        between = self.model.answer(record, answer, outage=outage)
        if between is None:
            assert attempt.entry.state is EntryState.ENDED, "R9, R10"
        else:
            # The pause is drawn by lot, and told by nobody else.
            assert between[0] <= attempt.entry.due <= between[1]
            record.due = attempt.entry.due
        if self.engine.hopeless(answer):
            self.model.reject_waiting(AuthenticationError)

    def all_are_delivered(self) -> None:
        """Let everything come back well."""
        while self.attempts:
            self.conclude(0, ACCEPTED)

    # Time, flush and close.

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.model.now += seconds
        self.engine.set_clock(self.model.now)

    def flush(self) -> None:
        """Begin to wait for all that there is."""
        self.model.cut_linger()
        self.begin_watch()

    def begin_watch(self) -> None:
        """Watch what is pending, in the engine and in the model."""
        callers = tuple(caller for record in self.model.held for caller in record.callers)
        self.flushed.append(Flushed(self.engine.watch(), callers))

    def close(self, at_once: bool) -> None:  # noqa: FBT001
        """Take no more, and end what is left when the time for closing is up."""
        if self.turn > MANY_TURNS and not self.model.closed:
            self.begin_close()
        if self.model.closed and at_once:
            self.give_up()

    def begin_close(self) -> None:
        """Take no more."""
        self.engine.closed = True
        self.engine.admission.turn_away()
        self.model.close()
        self.begin_watch()

    def give_up(self) -> None:
        """End what is left when the time for closing is up."""
        self.attempts.clear()
        self.engine.give_up()
        self.model.abandon()
        self.run_callers()
        assert self.engine.ledger.pending == 0, "R1: after close nothing is pending"
        assert not self.pending_after_check()

    def pending_after_check(self) -> list[Caller]:
        """Look at all Deliveries, and return the calls whose Delivery is not done."""
        self.each_delivery_is_done_when_its_record_ends()
        return self.pending()

    # What holds after every step.

    @invariant()
    def engine_and_model_agree(self) -> None:
        """R1 to R6, R13: what the engine holds and tells is what the model says."""
        self.each_delivery_is_done_when_its_record_ends()
        self.the_books_add_up()
        self.the_lanes_hold_what_is_held()
        self.room_is_what_is_held()
        self.flushes_know_what_they_wait_for()

    def each_delivery_is_done_when_its_record_ends(self) -> None:
        """R1, R4, R5, R13: done if the record has ended or the Delivery was cancelled, and all say the same."""
        for caller in self.pending():
            record, delivery = caller.record, self.deliveries[caller]
            assert record is not None
            assert delivery.done() == (record.end is not None or caller.detached)
            if delivery.done():
                self.settled.add(caller)
                self.check_end(caller, record, delivery)

    def check_end(self, caller: Caller, record: Record, delivery: Delivery) -> None:
        """Compare what a Delivery says with the end of its record."""
        assert delivery.cancelled() == caller.detached
        if caller.detached:
            return
        assert record.end is not None
        if record.end is End.DELIVERED:
            assert delivery.result() == record.receipt
            return
        error = delivery.exception()
        assert type(error) is record.error, f"it was {record.end}"
        others = [self.deliveries[other] for other in record.callers if other is not caller and not other.detached]
        own = all(other.exception() is not error for other in others)
        assert own or not isinstance(error, MidaError), "an error is raised for one caller only"

    def the_books_add_up(self) -> None:
        """R1: the ends and what is pending are what was accepted."""
        ledger, model = self.engine.ledger, self.model
        ends = {end: count for end, count in ledger.ends.items() if count}
        assert ends == {end: count for end, count in model.ends.items() if count}
        assert ledger.accepted == model.accepted
        assert ledger.pending == sum(len(record.callers) for record in model.held)
        assert ledger.held == len(model.held)
        told = Counter(detail.record_id for detail in self.engine.told.of(RecordEnded))
        assert all(times == 1 for times in told.values()), "R1: one end"

    def the_lanes_hold_what_is_held(self) -> None:
        """R2, R3, R4: the same records in the same states, with the same bodies and the same links."""
        lanes, model = self.engine.lanes, self.model
        live: list[Entry] = lanes.live()
        assert all(entry.room == len(entry.body) and entry.deliveries is not None for entry in live)
        assert [entry.id for entry in live] == [record.number for record in model.held]
        for entry, record in zip(live, model.held, strict=True):
            assert entry.state.value == record.state
            assert entry.body == record.body, "R4: what is sent is what the rule makes"
            counts = (entry.folded, entry.shared, entry.attempts, entry.spared, entry.ambiguous)
            assert counts == (record.folded, record.shared, record.attempts, record.spared, record.ambiguous)
        assert lanes.statistics().lanes == len(model.visitors)
        assert set(lanes._by_key) == {key for visitor in model.visitors for key in visitor.keys}, (
            "R3: links are released"
        )
        due = min((visitor.due() for visitor in model.visitors), default=float("inf"))
        assert lanes.next_due(model.now) == max(due, model.now)
        self.note_who_is_ready()

    def note_who_is_ready(self) -> None:
        """Take note of the visitors whose turn has to come."""
        for visitor in self.model.visitors:
            head = visitor.head() if visitor.due() <= self.model.now else None
            if head is None or head is not visitor.ready:
                visitor.ready, visitor.ready_since = head, self.turn

    def room_is_what_is_held(self) -> None:
        """R6: records and bytes are those of what is held, within the bounds; the line is as long as it should be."""
        admission, model = self.engine.admission, self.model
        assert (admission.records, admission.bytes) == model.room()
        assert admission.records <= model.settings.max_records
        assert admission.bytes <= model.settings.max_bytes
        assert admission.callers == len(model.in_line()) + len(model.let_in())

    def flushes_know_what_they_wait_for(self) -> None:
        """R14: a flush counts the ends of what was accepted before it, and is done when nothing of it is pending."""
        for flushed in self.flushed:
            ends = Counter(caller.record.end for caller in flushed.callers if caller.record)
            left = ends.pop(None, 0)
            assert flushed.watch.done.done() == (left == 0)
            if left == 0:
                assert {end: count for end, count in flushed.watch.counts.items() if count} == ends
        self.flushed = [flushed for flushed in self.flushed if not flushed.watch.done.done()]

    def teardown(self) -> None:
        """Close, let everything go well, and look for what is left behind."""
        if not hasattr(self, "engine"):
            return
        try:
            self.finish()
        finally:
            for task in self.tasks.values():
                task.cancel()
            self.engine.turns(len(self.tasks) + 2)
            self.engine.loop.close()

    def finish(self) -> None:
        """Deliver what is left: nothing is stuck."""
        self.seen.update({end.value: count for end, count in self.model.ends.items()})
        if not self.model.closed:
            self.begin_close()
        for _ in range(8 * len(self.model.held) + 8):
            self.run_callers()
            self.claim(CONCURRENCY)
            while self.attempts:
                self.conclude(0, ACCEPTED)
            self.engine_and_model_agree()
            if not self.model.held:
                break
            self.wait(1.0)
        self.wait(self.model.settings.dedupe_window)
        assert not self.model.held
        assert self.model.room() == (0, 0)
        assert not self.tasks
        assert self.engine.ledger.pending == 0
        assert not self.engine.lanes._by_key
        self.engine.duplicates.find(self.engine.draft(Event("plain", (ONE,), {})), self.model.now)
        assert not self.engine.duplicates._by_key, "R5: nothing is remembered for ever"


@pytest.mark.parametrize("overflow", get_args(Overflow))
def test_the_engine_does_what_the_model_does_on_long_walks(overflow: Overflow) -> None:
    """R1, R2, R3, R4, R5, R6, R13: the same by dice, which repeat themselves less than Hypothesis does."""
    seen = Counter[str]()
    for seed in range(WALKS):
        dice = random.Random(seed)  # noqa: S311
        walker = EngineMachine(overflow, seen)
        walker.set_up(_diced(dice, CHOICES))
        try:
            for _ in range(STEPS_OF_A_WALK):
                walker.step(_dice_step(dice))
                walker.engine_and_model_agree()
                if walker.model.closed and not walker.model.held:
                    break
        finally:
            walker.teardown()
    assert {what for what in wanted(overflow) if not seen[what]} == set(), "what is never tried is never tested"


def wanted(overflow: Overflow) -> frozenset[str]:
    """Return what must have happened."""
    more = {"wait": NEEDS_A_WAIT, "raise": frozenset[str](), "drop_oldest": DROPS, "drop_newest": DROPS}
    return ALWAYS | more[overflow]


def machine(overflow: Overflow, seen: Counter[str]) -> type[EngineMachine]:
    """Return what makes a machine."""
    return cast("type[EngineMachine]", partial(EngineMachine, overflow, seen))


@pytest.mark.parametrize("overflow", get_args(Overflow))
def test_the_engine_does_what_the_model_does(overflow: Overflow) -> None:
    """R1, R2, R3, R4, R5, R6, R13: in any order of events, every rule holds after every step."""
    seen = Counter[str]()
    run_state_machine_as_test(machine(overflow, seen), settings=settings(max_examples=25, stateful_step_count=50))
    assert seen["alone"]


def test_the_model_knows_every_rule_for_folding() -> None:
    """R4: the rules of the machine are of every kind that there is."""
    assert isinstance(FOLDS["last"], Fold)
    assert {name for name in FOLDS if name not in EVENT["name"]} == set()
