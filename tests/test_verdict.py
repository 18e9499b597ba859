"""What a failure means, and what becomes of the record."""

from __future__ import annotations

import itertools
from typing import Final

import attrs
import pytest
from core_samples import entry
from hypothesis import given
from hypothesis import strategies as st

from mida_async import (
    AmbiguousDeliveryError,
    APIError,
    AuthenticationError,
    BadRequestError,
    ClientClosedError,
    ConflictError,
    ConnectError,
    ConnectionLostError,
    EventExpiredError,
    ForbiddenError,
    NotFoundError,
    PlanLimitError,
    RateLimitError,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
    TransportError,
    VisitorNotFoundError,
)
from mida_async._core.entry import End, Entry
from mida_async._core.verdict import Again, Ended, Failure, Rules, classify, decide, overdue, retry_after_of
from mida_async._errors import CertificateError, DecodeError

NOW: Final = 1000.0
RULES: Final = Rules(
    retry=RetryPolicy(max_attempts=3, initial=0.5, maximum=30.0),
    guarantee="at_least_once",
    unknown_visitor="reject",
    patience=300.0,
)
AT_MOST_ONCE: Final = attrs.evolve(RULES, guarantee="at_most_once")
WAIT: Final = attrs.evolve(RULES, unknown_visitor="wait")

NOT_SENT: Final = (ConnectError("x"), ClientClosedError("x"))
REFUSED: Final = (
    RateLimitError("x"),
    RateLimitError("x", retry_after=5.0),
    ServerError("x", status=503, retry_after=5.0),
    ServerError("x", status=503, retry_after=0.0),
    APIError("x", status=408),
    APIError("x", status=425),
)
AMBIGUOUS: Final = (
    ConnectionLostError("x"),
    RequestTimeoutError("x"),
    TransportError("x"),
    ServerError("x", status=500),
    ServerError("x", status=500, retry_after=5.0),
    ServerError("x", status=502),
    ServerError("x", status=503),
    ServerError("x", status=504),
)
PERMANENT: Final = (
    CertificateError("x"),
    APIError("x", status=301),
    APIError("x", status=418),
    AuthenticationError("x", status=401),
    BadRequestError("x", status=400),
    ConflictError("x", status=406),
    ForbiddenError("x", status=403),
    NotFoundError("x", status=404),
    PlanLimitError("x", status=403),
    VisitorNotFoundError("x", status=400),
    DecodeError("x"),
    ValueError("x"),
)
BY_CLASS: Final = (
    *((error, Failure.NOT_SENT) for error in NOT_SENT),
    *((error, Failure.REFUSED) for error in REFUSED),
    *((error, Failure.AMBIGUOUS) for error in AMBIGUOUS),
    *((error, Failure.PERMANENT) for error in PERMANENT),
)


def attempted(times: int = 1) -> Entry:
    """Return a record that has been sent *times* times."""
    return attrs.evolve(entry(1, "a"), attempts=times)


@pytest.mark.parametrize(("error", "failure"), BY_CLASS, ids=str)
def test_every_failure_has_its_class(error: Exception, failure: Failure) -> None:
    """R9: the class is what is known about the request: not sent, refused, ambiguous or permanent."""
    assert classify(error) is failure


def test_retry_after_is_read_where_there_is_one() -> None:
    """R9: refusals and failures of the server can carry a time, nothing else does."""
    assert retry_after_of(RateLimitError("x", retry_after=5.0)) == 5.0
    assert retry_after_of(ServerError("x", retry_after=6.0)) == 6.0
    assert retry_after_of(NotFoundError("x", status=404)) is None


def test_an_accepted_record_is_delivered() -> None:
    """R9: no error means delivered, whatever went before."""
    assert decide(attempted(3), None, rules=RULES, now=NOW, outage=True) == Ended(end=End.DELIVERED)


@pytest.mark.parametrize("error", PERMANENT, ids=str)
@pytest.mark.parametrize("outage", [False, True])
def test_a_permanent_failure_rejects_with_the_error_itself(error: Exception, outage: bool) -> None:  # noqa: FBT001
    """R9: what will be refused again is not sent again, and the caller gets the typed error."""
    verdict = decide(attempted(), error, rules=RULES, now=NOW, outage=outage)
    assert verdict == Ended(end=End.REJECTED, error=error)


@pytest.mark.parametrize("error", [error for error in REFUSED if retry_after_of(error)], ids=str)
def test_a_refusal_that_names_a_time_uses_up_no_attempt(error: Exception) -> None:
    """R9: a record that comes back when it was told to is not given up for that, however often; max_age is its end."""
    record = attempted(0)
    for _ in range(50):
        record.attempts += 1
        verdict = decide(record, error, rules=RULES, now=NOW, outage=False)
        assert isinstance(verdict, Again)
        assert verdict.due >= NOW + 5.0
    record.attempts += 1
    assert isinstance(decide(record, ConnectError("x"), rules=RULES, now=NOW, outage=False), Again)


@pytest.mark.parametrize(
    "error", [*NOT_SENT, *(error for error in REFUSED if not retry_after_of(error)), *AMBIGUOUS], ids=str
)
def test_other_failures_are_retried_until_the_attempts_run_out(error: Exception) -> None:
    """R9: the record goes again after at least Retry-After; when its attempts have run out it expires, with cause."""
    record, floor = attempted(0), retry_after_of(error) or 0.0
    for _ in range(2):
        record.attempts += 1
        verdict = decide(record, error, rules=RULES, now=NOW, outage=False)
        assert isinstance(verdict, Again)
        assert NOW + floor <= verdict.due <= NOW + max(floor, 1.0)
    record.attempts += 1
    last = decide(record, error, rules=RULES, now=NOW, outage=False)

    assert isinstance(last, Ended)
    assert last.end is End.EXPIRED
    assert isinstance(last.error, EventExpiredError)
    assert last.error.__cause__ is error is record.last_error
    assert "3 attempts" in str(last.error)


@pytest.mark.parametrize("error", AMBIGUOUS, ids=str)
@pytest.mark.parametrize("outage", [False, True])
def test_at_most_once_ends_with_an_ambiguous_failure(error: Exception, outage: bool) -> None:  # noqa: FBT001
    """R10: at_most_once never sends again what may have been applied."""
    verdict = decide(attempted(), error, rules=AT_MOST_ONCE, now=NOW, outage=outage)
    assert isinstance(verdict, Ended)
    assert verdict.end is End.AMBIGUOUS
    assert isinstance(verdict.error, AmbiguousDeliveryError)
    assert verdict.error.__cause__ is error


@pytest.mark.parametrize("error", [*NOT_SENT, *REFUSED], ids=str)
def test_at_most_once_retries_what_was_surely_not_applied(error: Exception) -> None:
    """R10: what was not sent or was refused is sent again by either guarantee."""
    assert isinstance(decide(attempted(), error, rules=AT_MOST_ONCE, now=NOW, outage=False), Again)


@pytest.mark.parametrize(("error", "failure"), BY_CLASS, ids=str)
def test_only_ambiguous_failures_make_duplicates_possible(error: Exception, failure: Failure) -> None:
    """R10: with at_least_once the receipt will say so."""
    record = attempted()
    decide(record, error, rules=RULES, now=NOW, outage=False)
    assert record.ambiguous is (failure is Failure.AMBIGUOUS)


@pytest.mark.parametrize("error", [*NOT_SENT, *AMBIGUOUS], ids=str)
def test_an_outage_costs_no_attempts(error: Exception) -> None:
    """R12: while the breaker is open a record is spared, and the breaker alone says when it goes again."""
    record = attempted(0)
    for _ in range(50):
        record.attempts += 1
        assert decide(record, error, rules=RULES, now=NOW, outage=True) == Again(due=NOW)
    assert record.spared == 50


@pytest.mark.parametrize("error", REFUSED, ids=str)
def test_a_probe_that_is_refused_costs_no_attempt_either(error: Exception) -> None:
    """R12: what is told to come back later waits as long as it was told, and keeps its attempts."""
    record, floor = attempted(0), retry_after_of(error) or 0.0
    for _ in range(50):
        record.attempts += 1
        verdict = decide(record, error, rules=RULES, now=NOW, outage=True)
        assert isinstance(verdict, Again)
        assert NOW + floor <= verdict.due <= NOW + max(floor, 0.5)


def test_a_record_that_grew_too_old_expires() -> None:
    """R1: the error says how old it may be, how often it was sent, and what went wrong last."""
    record = attempted(2)
    record.last_error = ConnectError("no route")
    ended = overdue(record, 60.0)
    assert ended.end is End.EXPIRED
    assert isinstance(ended.error, EventExpiredError)
    assert ended.error.__cause__ is record.last_error
    assert "max_age (60 s), after 2 attempts; the last attempt: no route" in str(ended.error)

    assert str(overdue(attempted(0), 60.0).error).endswith("after 0 attempts")


def test_an_unknown_visitor_is_rejected_unless_told_otherwise() -> None:
    """R11: without unknown_visitor="wait" the record ends with VisitorNotFoundError."""
    error = VisitorNotFoundError("x", status=400)
    verdict = decide(attempted(), error, rules=RULES, now=NOW, outage=False)
    assert verdict == Ended(end=End.REJECTED, error=error)


def waits(rules: Rules, start: float) -> list[float]:
    """Return the times at which a record of an unknown visitor is sent, the first included."""
    record, error, now, times = attempted(0), VisitorNotFoundError("x", status=400), start, [start]
    while True:
        record.attempts += 1
        verdict = decide(record, error, rules=rules, now=now, outage=False)
        if isinstance(verdict, Ended):
            assert verdict == Ended(end=End.REJECTED, error=error)
            return times
        now = verdict.due
        times.append(now)


def test_an_unknown_visitor_is_waited_for_with_growing_pauses() -> None:
    """R11: more and more seldom, no attempt counted, and a last time when the patience ends."""
    times = waits(WAIT, NOW)
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert pauses[:6] == [1.0, 1.0, 2.0, 4.0, 8.0, 16.0]
    assert max(pauses) == 30.0
    assert times[-1] == NOW + 300.0


def test_an_unknown_visitor_is_given_a_moment_whatever_the_policy() -> None:
    """R11: RetryPolicy(maximum=0) repeats failures at once, but a browser that registers a visitor needs its second."""
    times = waits(attrs.evolve(WAIT, retry=RetryPolicy(maximum=0.0), patience=4.5), NOW)
    assert times == [NOW, NOW + 1, NOW + 2, NOW + 3, NOW + 4, NOW + 4.5]


def test_without_patience_there_is_one_attempt() -> None:
    """R11: with unknown_visitor_patience=0 the first answer is the last."""
    assert waits(attrs.evolve(WAIT, patience=0.0), NOW) == [NOW]


@given(start=st.floats(0.0, 1e7), patience=st.floats(0.0, 400.0))
def test_the_patience_ends(start: float, patience: float) -> None:
    """R11: no rounding makes the record go round and round at the end of its patience."""
    times = waits(attrs.evolve(WAIT, patience=patience), start)
    assert times[-1] == start + patience
    assert len(times) < 30


def test_waiting_for_a_visitor_uses_up_no_attempts() -> None:
    """R11: after a long wait other failures are still retried, as if it had just begun."""
    record = attempted(0)
    for number in range(20):
        record.attempts += 1
        decide(record, VisitorNotFoundError("x", status=400), rules=WAIT, now=NOW + number, outage=False)
    record.attempts += 1
    assert isinstance(decide(record, ConnectError("x"), rules=WAIT, now=NOW + 30, outage=False), Again)


def test_a_later_failure_does_not_hide_that_the_record_may_have_been_applied() -> None:
    """R10: whatever a record ends with after an attempt without a clear answer, its error says so."""
    words = "one of the attempts may have been applied"
    unclear = attempted(RULES.retry.max_attempts)
    unclear.ambiguous = True
    refused = BadRequestError("no", status=400)
    verdict = decide(unclear, refused, rules=RULES, now=NOW, outage=False)
    assert verdict == Ended(end=End.REJECTED, error=refused)
    assert refused.__notes__ == [words]
    for ended in (decide(unclear, ConnectError("x"), rules=RULES, now=NOW, outage=False), overdue(unclear, 5.0)):
        assert isinstance(ended, Ended)
        assert words in str(ended.error)
    clear = attempted(RULES.retry.max_attempts)
    for ended in (decide(clear, ConnectError("x"), rules=RULES, now=NOW, outage=False), overdue(clear, 5.0)):
        assert isinstance(ended, Ended)
        assert words not in str(ended.error)
