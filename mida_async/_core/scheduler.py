"""
The whole of the background half, without its I/O: what to send now, and what becomes of what was sent.

Lanes know which record is next, the breaker whether sending makes sense, the pacer when the rate allows it; this file
asks them in that order, and tells them what came back.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias, cast

import attrs

from .._errors import (
    APIError,
    AuthenticationError,
    ConnectError,
    MidaError,
    RateLimitError,
    ServerError,
    TransportError,
    VisitorNotFoundError,
)
from .batch import BatchLimits, Blame, gather
from .breaker import Breaker
from .entry import End, Entry, EntryState
from .lanes import Lanes
from .pacer import Pacer, Slot
from .ratelimit_headers import policies, quota, says_nothing
from .verdict import (
    Again,
    Ended,
    Failure,
    Rules,
    Verdict,
    classify,
    decide,
    inherit_patience,
    overdue,
    retry_after_of,
)

if TYPE_CHECKING:
    from .._settings import BufferSettings, RetryPolicy


@attrs.define  # not frozen: that takes twice the time, and one is made for each request
class Attempt:
    """
    One request that goes out now. Nobody changes it.

    Attributes:
        entry: The record that it carries.
        slot: What it paid to the pacer.
        probe: Whether it asks if the server is back.
        others: The records behind it, where a request carries several.
    """

    entry: Entry
    slot: Slot
    probe: bool
    others: tuple[Entry, ...] = ()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All records that it carries."""
        return (self.entry, *self.others)


@attrs.define  # not frozen: see Attempt
class Outcome:
    """
    What came back. Nobody changes it.

    Attributes:
        error: How it failed; None where it was accepted.
        status: The HTTP status; 0 where none came.
        headers: The answer's headers, names in lower case.
        wall_now: Seconds since the epoch, to read dates in headers.
        repeatable: Whether the service knows a record that it gets twice.
        blame: Which of several records the error is about, where it is not about all.
    """

    error: Exception | None = None
    status: int = 0
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    wall_now: float = 0.0
    repeatable: bool = False
    blame: Blame | None = None


Finished: TypeAlias = "list[tuple[Entry, Ended]]"


class Scheduler:
    """
    Composes lanes, breaker and pacer.

    Args:
        settings: How the buffer behaves.
        retry: How often and after which pauses a record is sent again.
        batch: How many records go in one request; None for one each.
        patient: Whether records wait for a good API key once it was refused too often, rather than being rejected.
    """

    def __init__(
        self, settings: BufferSettings, retry: RetryPolicy, *, batch: BatchLimits | None = None, patient: bool = False
    ) -> None:
        self.lanes = Lanes(ordered=settings.order == "visitor")
        self.pacer = Pacer(settings.rate_limits, pacing=settings.pacing, adaptive=settings.adaptive)
        self.breaker = Breaker(settings.concurrency)
        self._max_age = settings.max_age
        self._rules = Rules(
            retry=retry,
            guarantee=settings.guarantee,
            unknown_visitor=settings.unknown_visitor,
            patience=settings.unknown_visitor_patience,
        )
        self._patient = patient
        self._batch = batch
        self._linger = 0.0 if batch is None else settings.linger or batch.linger
        self._hurried = 0
        self._passengers = 0
        self.attempts = 0
        self.throttled = 0

    def next_at(self, now: float) -> float:
        """
        Say when a record can go.

        Returns:
            A time that is not after *now* where one can go now; infinity while only a change can help.
        """
        due = self.lanes.next_due(now)
        if due <= now and self._batch is not None:
            due = self._gathered_at(self._batch, now)
        if due > now:
            return due
        when = self.breaker.next_at(now, self.lanes.in_flight - self._passengers)
        return when if when > now else self.pacer.next_at(now)

    def _gathered_at(self, batch: BatchLimits, now: float) -> float:
        """Say when the record whose turn it is has waited long enough for others to travel with."""
        lanes = self.lanes
        if lanes.waiting >= batch.records or lanes.weight >= batch.size:
            return now
        first = cast("Entry", lanes.first(now))
        return now if first.attempts or first.id <= self._hurried else first.accepted_at + self._linger

    def hurry(self, upto: int) -> None:
        """
        Let records wait no longer for others to travel with.

        Args:
            upto: The number of the last one.
        """
        self._hurried = upto

    def claim(self, now: float) -> Attempt | None:
        """Take the record that goes now, and pay for it; None where :meth:`next_at` names a later time."""
        entry = self.lanes.claim(now) if self.next_at(now) <= now else None
        if entry is None:
            return None
        alone = self._batch is None or entry.destination is not None
        others = () if alone else self._companions(entry, now)
        entry.attempts += 1
        self.attempts += 1
        return Attempt(entry, self.pacer.take(now), self.breaker.sending(), others)

    def _companions(self, first: Entry, now: float) -> tuple[Entry, ...]:
        others = tuple(gather(self.lanes, first, cast("BatchLimits", self._batch), now)[1:])
        for entry in others:
            entry.attempts += 1
        self._passengers += len(others)
        return others

    def expire(self, now: float) -> Finished:
        """End what waited longer than ``max_age``: nothing where :meth:`expires_at` names a later time."""
        finished: Finished = []
        while (entry := self.lanes.oldest_waiting()) is not None and now >= entry.accepted_at + self._max_age:
            self.lanes.withdraw(entry)
            finished.append((entry, overdue(entry, self._max_age)))
        return finished

    def expires_at(self) -> float:
        """Say when :meth:`expire` has something to do next."""
        entry = self.lanes.oldest_waiting()
        return math.inf if entry is None else entry.accepted_at + self._max_age

    def conclude(self, attempt: Attempt, outcome: Outcome, now: float) -> Verdict:
        """
        Take in what came back for *attempt*.

        Returns:
            The record's end, or when it goes again. It is back in its lane, or gone from it.
        """
        # Asked before the answer is looked at: the failure that opens the breaker was sent before, and counts.
        outage = self.breaker.open
        self.observe(attempt.slot, outcome, now, probe=attempt.probe)
        return self._put_back(attempt.entry, self._decide(attempt.entry, outcome, now, outage=outage), now)

    def conclude_all(self, attempt: Attempt, outcome: Outcome, now: float) -> list[tuple[Entry, Verdict]]:
        """
        Take in what came back for an *attempt* that carries several records.

        Returns:
            What :meth:`conclude` says, for each of them. Those that go again go together, as far as they may.
        """
        outage = self.breaker.open
        self.observe(attempt.slot, outcome, now, probe=attempt.probe)
        self.forget(attempt)
        entries = attempt.entries
        blame = None if outcome.blame is None else outcome.blame.within(len(entries))
        verdicts: list[Verdict] = []
        for position, entry in enumerate(entries):
            own = attrs.evolve(outcome, error=_own_copy(outcome.error)) if position else outcome
            if blame is None or position in blame.culprits:
                verdicts.append(self._decide(entry, own, now, outage=outage))
            else:
                verdicts.append(_spare(entry, own, now, len(entries) // 2 if position in blame.suspects else None))
        due = max((verdict.due for verdict in verdicts if isinstance(verdict, Again)), default=now)
        together = (Again(due=due) if isinstance(verdict, Again) else verdict for verdict in verdicts)
        return [(entry, self._put_back(entry, each, now)) for entry, each in zip(entries, together, strict=True)]

    def forget(self, attempt: Attempt) -> None:
        """Count the records of *attempt* among those in flight no more as one request."""
        self._passengers -= len(attempt.others)

    def _decide(self, entry: Entry, outcome: Outcome, now: float, *, outage: bool) -> Verdict:
        error, repeatable = outcome.error, outcome.repeatable
        if self._patient and isinstance(error, AuthenticationError) and self.breaker.hopeless:
            return _spare(entry, outcome, now, None)
        return decide(entry, error, rules=self._rules, now=now, outage=outage, repeatable=repeatable)

    def _put_back(self, entry: Entry, verdict: Verdict, now: float) -> Verdict:
        """Put a record back into its lane, or take it out; return how that was decided in the end."""
        if isinstance(verdict, Again):
            if now < entry.accepted_at + self._max_age:
                self.lanes.defer(entry, verdict.due)
                return verdict
            verdict = overdue(entry, self._max_age)
        self.lanes.settle(entry)
        if isinstance(verdict.error, VisitorNotFoundError) and (following := self.lanes.following(entry)):
            inherit_patience(following, entry)
        return verdict

    def interrupted(self, now: float, *, probe: bool = False) -> None:
        """Take in that a request was broken off on this side."""
        self.pacer.lost(now)
        self.breaker.inconclusive(now, probe=probe)

    def reject_waiting(self, error: Exception) -> Finished:
        """
        End everything that waits.

        Args:
            error: Why.
        """
        finished: Finished = []
        for entry in self.lanes.live():
            if entry.state is EntryState.WAITING:
                self.lanes.withdraw(entry)
                finished.append((entry, Ended(end=End.REJECTED, error=copy.copy(error))))
        return finished

    def observe(self, slot: Slot, outcome: Outcome, now: float, *, probe: bool = False) -> None:
        """
        Tell pacer and breaker what came back for a request, whoever sent it.

        Args:
            slot: What the request paid.
            outcome: What came back.
            now: The time of the answer.
            probe: Whether the request asked if the server is back.
        """
        if outcome.status or isinstance(outcome.error, ConnectError):
            self.pacer.answered(now)
        else:
            self.pacer.lost(now)
        self._tell_pacer(slot, outcome, now)
        self._tell_breaker(outcome.error, now, probe=probe)

    def _tell_pacer(self, slot: Slot, outcome: Outcome, now: float) -> None:
        error, left = outcome.error, None
        if not says_nothing(outcome.headers):
            told = policies(outcome.headers)
            if told:
                self.pacer.learn(slot, now, told)
            left = quota(outcome.headers, outcome.wall_now)
            if left is not None:
                self.pacer.heed(slot, now, left)
        # "Retry-After: 0", or a date that has passed, does not tell when to come back.
        wait = None if error is None else retry_after_of(error) or None
        if isinstance(error, RateLimitError):
            self.throttled += 1
            if wait is None and left is not None and left.remaining <= 0:
                wait = left.reset or None
            self.pacer.refused(slot, now, wait)
        elif wait is not None:
            self.pacer.close_gate(now + wait)
        elif outcome.status:
            self.pacer.accepted(slot, now)

    def _tell_breaker(self, error: Exception | None, now: float, *, probe: bool) -> None:
        if error is None:
            self.breaker.succeeded(probe=probe)
        elif isinstance(error, AuthenticationError):
            self.breaker.unauthorized(probe=probe)
        elif isinstance(error, (TransportError, ServerError)):  # a 503 that says when to come back is an outage, too
            self.breaker.failed(now, probe=probe)
        elif isinstance(error, APIError) and classify(error) is Failure.PERMANENT:
            self.breaker.succeeded(probe=probe)
        else:  # come back later, or an error of our own: neither is about the server
            self.breaker.inconclusive(now, probe=probe)


def _spare(entry: Entry, outcome: Outcome, now: float, company: int | None) -> Verdict:
    """Let a record go again that was refused because of another one in the same request."""
    entry.last_error = outcome.error
    entry.spared += 1
    if company is not None:
        entry.company = company
    return Again(due=now)


def _own_copy(error: Exception | None) -> Exception | None:
    """Return an error for one more record: each raise adds to the traceback of the instance that is raised."""
    return copy.copy(error) if isinstance(error, MidaError) else error
