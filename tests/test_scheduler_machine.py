"""The scheduler in any order of events: every record has one end, and no rule is broken on the way."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from core_samples import entry
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mida_async import (
    AuthenticationError,
    BufferSettings,
    ConnectError,
    ConnectionLostError,
    NotFoundError,
    RateLimit,
    RateLimitError,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
    VisitorNotFoundError,
)
from mida_async._core.entry import End, Entry, EntryState
from mida_async._core.scheduler import Outcome, Scheduler
from mida_async._core.verdict import Ended, Failure, classify
from mida_async._errors import CertificateError

if TYPE_CHECKING:
    from mida_async._core.pacer import Slot
    from mida_async._core.scheduler import Attempt
    from mida_async._settings import Guarantee, UnknownVisitor

CONCURRENCY: Final = 4
RETRY: Final = RetryPolicy(max_attempts=3, initial=0.5, maximum=4.0)
MAX_AGE: Final = 120.0

WELL: Final = (
    Outcome(status=200),
    Outcome(status=200, headers={"ratelimit": '"a";r=1;t=2'}),
    Outcome(error=NotFoundError("x", status=404), status=404),
    Outcome(error=VisitorNotFoundError("x", status=400), status=400),
)
DOWN: Final = (
    Outcome(error=ConnectError("x")),
    Outcome(error=CertificateError("x")),
    Outcome(error=ConnectionLostError("x")),
    Outcome(error=RequestTimeoutError("x")),
    Outcome(error=ServerError("x", status=500), status=500),
    Outcome(error=ServerError("x", status=502, retry_after=1.0), status=502),
)
UNAUTHORIZED: Final = Outcome(error=AuthenticationError("x", status=401), status=401)
NEITHER: Final = (
    Outcome(error=RateLimitError("x"), status=429),
    Outcome(error=RateLimitError("x", retry_after=0.0), status=429),
    Outcome(error=RateLimitError("x", retry_after=3.0), status=429, headers={"ratelimit": '"a";r=0;t=2'}),
    Outcome(error=ServerError("x", status=503, retry_after=2.0), status=503),
    Outcome(error=ValueError("x")),
)
# Failures are drawn more often than the rest, else five in a row would be rare.
OUTCOMES: Final = st.one_of(
    st.sampled_from(DOWN), st.sampled_from((*DOWN, *WELL, UNAUTHORIZED, *NEITHER)), st.just(WELL[0])
)
LIMITS: Final = st.sampled_from([(), (RateLimit(5, per=1),), (RateLimit(20, per=1), RateLimit(60, per=10))])


class SchedulerMachine(RuleBasedStateMachine):
    """Does what the dispatcher and direct calls may do, in any order."""

    def __init__(self) -> None:
        super().__init__()
        random.seed(1)
        self.now = 1000.0
        self.numbers = 0
        self.records: list[Entry] = []
        self.ends: dict[int, Ended] = {}
        self.flying: list[Attempt] = []
        self.direct: list[Slot] = []
        self.failures = 0
        self.refused_keys = 0

    @initialize(
        limits=LIMITS,
        guarantee=st.sampled_from(["at_least_once", "at_most_once"]),
        unknown=st.sampled_from(["reject", "wait"]),
    )
    def set_up(self, limits: tuple[RateLimit, ...], guarantee: Guarantee, unknown: UnknownVisitor) -> None:
        """Choose the settings."""
        self.settings = BufferSettings(
            rate_limits=limits,
            concurrency=CONCURRENCY,
            guarantee=guarantee,
            unknown_visitor=unknown,
            unknown_visitor_patience=10.0,
            max_age=MAX_AGE,
        )
        self.scheduler = Scheduler(self.settings, RETRY)

    def end(self, record: Entry, ended: Ended) -> None:
        """Take note of a record's one end."""
        assert record.id not in self.ends
        assert record.state is EntryState.ENDED
        assert record not in self.scheduler.lanes.live()
        self.ends[record.id] = ended

    @rule(who=st.sampled_from("abcdef"), how_many=st.integers(1, 4))
    def push(self, who: str, how_many: int) -> None:
        """Accept some records of one visitor."""
        for _ in range(how_many):
            self.numbers += 1
            record = entry(self.numbers, who, accepted_at=self.now)
            self.records.append(record)
            self.scheduler.lanes.push(record)

    @rule(patient=st.booleans())
    def claim(self, patient: bool) -> None:  # noqa: FBT001
        """Take a sender's turn, which may wait for its time to come."""
        for record, ended in self.scheduler.expire(self.now):
            assert self.now >= record.accepted_at + MAX_AGE
            self.end(record, ended)
        when = self.scheduler.next_at(self.now)
        if patient and self.now < when < self.now + 60:
            self.now = when
        elif len(self.flying) < CONCURRENCY:
            self.check_claim(may_go=when <= self.now)

    def check_claim(self, *, may_go: bool) -> None:
        """Claim, if and only if the scheduler said so."""
        was_open, in_flight = self.scheduler.breaker.open, len(self.flying)
        attempt = self.scheduler.claim(self.now)
        assert (attempt is not None) == may_go
        if attempt is None:
            return
        record = attempt.entry
        assert attempt.probe == was_open, "while the breaker is open only a probe goes"
        assert not (self.refused_keys and in_flight), "after a 401 one goes at a time"
        older = [e for e in self.records if e.identities == record.identities and e.id < record.id]
        assert all(e.id in self.ends for e in older), "R2: nothing overtakes an older record of its visitor"
        self.flying.append(attempt)

    @precondition(lambda self: self.flying)
    @rule(outcome=OUTCOMES, data=st.data())
    def conclude(self, outcome: Outcome, data: st.DataObject) -> None:
        """Let an answer, or none, come back."""
        attempt = self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        record, before = attempt.entry, attempt.entry.ambiguous
        verdict = self.scheduler.conclude(attempt, outcome, self.now)
        self.note(outcome)
        ambiguous = outcome.error is not None and classify(outcome.error) is Failure.AMBIGUOUS
        assert record.ambiguous == (before or (ambiguous and self.settings.guarantee == "at_least_once"))
        if isinstance(verdict, Ended):
            self.end(record, verdict)
            assert (verdict.end is End.DELIVERED) == (outcome.error is None) == (verdict.error is None)
        else:
            assert record.state is EntryState.WAITING
            assert verdict.due >= self.now
            assert outcome.error is not None
            assert not (ambiguous and self.settings.guarantee == "at_most_once"), "R10"
        assert self.scheduler.breaker.hopeless == (self.refused_keys >= 3)
        if self.scheduler.breaker.hopeless:
            assert outcome is UNAUTHORIZED
            for rejected, ended in self.scheduler.reject_waiting(outcome.error or ValueError()):
                self.end(rejected, ended)

    def note(self, outcome: Outcome) -> None:
        """Count failures in a row, and refusals of the key."""
        self.refused_keys = self.refused_keys + 1 if outcome is UNAUTHORIZED else 0
        if outcome not in NEITHER:
            self.failures = self.failures + 1 if outcome in DOWN else 0

    def waiting(self) -> list[Entry]:
        """Return what waits."""
        return [e for e in self.scheduler.lanes.live() if e.state is EntryState.WAITING]

    @precondition(lambda self: self.waiting())
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Withdraw a waiting record."""
        record = data.draw(st.sampled_from(self.waiting()))
        self.scheduler.lanes.withdraw(record)
        self.end(record, Ended(end=End.CANCELLED))

    @rule()
    def begin_direct_call(self) -> None:
        """Send something past the lanes."""
        self.direct.append(self.scheduler.pacer.take(self.now))

    @rule(outcomes=st.lists(OUTCOMES, min_size=1, max_size=3) | st.just([DOWN[0]] * 5))
    def direct_calls(self, outcomes: list[Outcome]) -> None:
        """Let some calls go past the lanes, one after the other; five failures are an outage."""
        for outcome in outcomes:
            self.scheduler.observe(self.scheduler.pacer.take(self.now), outcome, self.now)
            self.note(outcome)

    @precondition(lambda self: self.direct)
    @rule(outcome=st.none() | OUTCOMES)
    def end_direct_call(self, outcome: Outcome | None) -> None:
        """Let a direct call come back, or be cancelled."""
        slot = self.direct.pop()
        if outcome is None:
            self.scheduler.interrupted(self.now)
            self.refused_keys = 0
        else:
            self.scheduler.observe(slot, outcome, self.now)
            self.note(outcome)

    @rule(seconds=st.sampled_from([0.01, 0.3, 1.0, 5.0, 40.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    @invariant()
    def attempts_are_bounded(self) -> None:
        """No record is sent more often than allowed, spared attempts aside."""
        for record in self.records:
            assert 0 <= record.spared <= record.attempts
            assert record.attempts - record.spared <= RETRY.max_attempts

    @invariant()
    def one_probe_at_a_time(self) -> None:
        """At most one request asks whether the server is back."""
        assert sum(attempt.probe for attempt in self.flying) <= 1

    @invariant()
    def an_outage_is_seen_and_its_end_is_noticed(self) -> None:
        """Ten failures in a row open the breaker, and the next probe is never far."""
        breaker = self.scheduler.breaker
        assert breaker.open or self.failures < 10
        if breaker.open and not any(attempt.probe for attempt in self.flying):
            assert breaker.next_at(self.now, len(self.flying)) <= self.now + 10

    @invariant()
    def nothing_is_lost(self) -> None:
        """Every record is in a lane, in flight, or has ended."""
        assert self.scheduler.lanes.in_flight == len(self.flying)
        assert len(self.scheduler.lanes) + len(self.ends) == self.numbers
        assert self.scheduler.attempts == sum(record.attempts for record in self.records)

    def teardown(self) -> None:
        """Let the server be well, and expect every record to come to its end soon."""
        for slot in self.direct:
            self.scheduler.observe(slot, WELL[0], self.now)
        for _ in range(40 * self.numbers + 40):
            for attempt in self.flying:
                self.end(attempt.entry, self.ended(attempt))
            self.flying.clear()
            for record, ended in self.scheduler.expire(self.now):
                self.end(record, ended)
            claimed = self.scheduler.claim(self.now)
            self.flying += [claimed] if claimed else []
            if not claimed and len(self.scheduler.lanes):
                self.now = min(self.scheduler.next_at(self.now), self.scheduler.expires_at())
        assert len(self.ends) == self.numbers

    def ended(self, attempt: Attempt) -> Ended:
        """Conclude with a success."""
        verdict = self.scheduler.conclude(attempt, WELL[0], self.now)
        assert isinstance(verdict, Ended)
        return verdict


def test_the_scheduler_keeps_its_promises() -> None:
    """R1, R2, R10, R12: in any order of events each record has one end, and no attempt, probe or order is wrong."""
    run_state_machine_as_test(SchedulerMachine, settings=settings(max_examples=200, stateful_step_count=60))
