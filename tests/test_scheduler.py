"""The scheduler: what goes when, and what one answer means for all records."""

from __future__ import annotations

import math
from typing import Any, Final

import pytest
from core_samples import entry

from mida_async import (
    AuthenticationError,
    BufferSettings,
    ConnectError,
    ConnectionLostError,
    EventExpiredError,
    NotFoundError,
    RateLimit,
    RateLimitError,
    RetryPolicy,
    ServerError,
)
from mida_async._core.breaker import BreakerState
from mida_async._core.entry import End, EntryState
from mida_async._core.scheduler import Attempt, Outcome, Scheduler
from mida_async._core.verdict import Again, Ended
from mida_async._errors import CertificateError, InvalidRequestError

NOW: Final = 1000.0
OK: Final = Outcome(status=200)
DOWN: Final = Outcome(error=ConnectError("refused"))
LOST: Final = Outcome(error=ConnectionLostError("reset"))
BROKEN: Final = Outcome(error=ServerError("x", status=500), status=500)
BUSY: Final = Outcome(error=RateLimitError("x"), status=429)
LATER: Final = Outcome(error=ServerError("x", status=503, retry_after=7.0), status=503)
NO_KEY: Final = Outcome(error=AuthenticationError("x", status=401), status=401)
GONE: Final = Outcome(error=NotFoundError("x", status=404), status=404)


def scheduler(records: int = 0, *, retry: RetryPolicy | None = None, **settings: Any) -> Scheduler:
    """Return a scheduler without rate limits that holds records of as many visitors."""
    made = Scheduler(BufferSettings(**{"rate_limits": (), **settings}), retry or RetryPolicy(initial=0))
    for number in range(1, records + 1):
        made.lanes.push(entry(number, f"v{number}", accepted_at=NOW))
    return made


def claim(made: Scheduler, now: float = NOW) -> Attempt:
    """Claim a record that must be there."""
    attempt = made.claim(now)
    assert attempt is not None
    return attempt


def fail(made: Scheduler, times: int, outcome: Outcome = DOWN) -> None:
    """Let that many records in a row come back with *outcome*."""
    for attempt in [claim(made) for _ in range(times)]:
        made.conclude(attempt, outcome, NOW)


def test_a_record_goes_and_ends() -> None:
    """R1: a claimed record has paid, counts its attempt, and is gone from its lane when it was accepted."""
    made = scheduler(1)
    attempt = claim(made)
    assert (attempt.entry.attempts, attempt.probe, made.attempts) == (1, False, 1)
    assert made.claim(NOW) is None
    assert made.next_at(NOW) == math.inf

    assert made.conclude(attempt, OK, NOW) == Ended(end=End.DELIVERED)
    assert len(made.lanes) == 0


def test_a_record_waits_for_lane_breaker_and_pacer() -> None:
    """R8, R12: a record goes when it is due, the server is thought to be there, and the rate allows it."""
    made = scheduler(rate_limits=RateLimit(1, per=10))
    made.lanes.push(entry(1, "a", due=NOW + 5))
    assert made.next_at(NOW) == NOW + 5
    assert made.claim(NOW) is None

    made.conclude(claim(made, NOW + 5), OK, NOW + 5)
    made.lanes.push(entry(2, "a"))
    assert NOW + 15 <= made.next_at(NOW + 5) < NOW + 15.1
    assert made.claim(NOW + 14) is None
    assert claim(made, NOW + 15.1).entry.id == 2


def test_every_attempt_pays() -> None:
    """R8: a retry takes a place of its own, as does a direct call."""
    made = scheduler(1, rate_limits=RateLimit(2, per=10))
    made.conclude(claim(made), BROKEN, NOW)
    made.observe(made.pacer.take(NOW), OK, NOW)
    assert made.next_at(NOW) > NOW + 9


def test_without_order_records_of_a_visitor_go_side_by_side() -> None:
    """R2: order="none" is told to the lanes."""
    made = scheduler(order="none")
    for number in (1, 2):
        made.lanes.push(entry(number, "a"))
    assert (claim(made).entry.id, claim(made).entry.id) == (1, 2)


def test_old_records_expire() -> None:
    """R1, R12: what waited longer than max_age ends, oldest first; what is in flight does not."""
    made = scheduler(3, max_age=60.0)
    claim(made)
    assert made.expires_at() == NOW + 60
    assert made.expire(NOW + 59.9) == []
    finished = made.expire(NOW + 60)

    assert [(each.id, ended.end) for each, ended in finished] == [(2, End.EXPIRED), (3, End.EXPIRED)]
    assert isinstance(finished[0][1].error, EventExpiredError)
    assert made.expires_at() == math.inf
    assert made.lanes.in_flight == 1


def test_a_record_that_is_too_old_for_another_attempt_expires() -> None:
    """R1: an attempt that fails after max_age is the last, and its failure is the cause."""
    made = scheduler(1, max_age=60.0)
    verdict = made.conclude(claim(made), DOWN, NOW + 60)
    assert isinstance(verdict, Ended)
    assert verdict.end is End.EXPIRED
    assert isinstance(verdict.error, EventExpiredError)
    assert verdict.error.__cause__ is DOWN.error
    assert len(made.lanes) == 0


@pytest.mark.parametrize("outcome", [DOWN, LOST, BROKEN], ids=["not sent", "no answer", "500"])
def test_failures_in_a_row_open_the_breaker(outcome: Outcome) -> None:
    """R12: from then on one probe goes at a time, and the records keep their attempts."""
    made = scheduler(20)
    fail(made, 5, outcome)
    assert made.breaker.open
    assert NOW < made.next_at(NOW) < NOW + 20

    now, probes = made.next_at(NOW), []
    for _ in range(20):
        attempt = claim(made, now)
        probes.append(attempt.probe)
        assert made.claim(now + 100) is None
        assert isinstance(made.conclude(attempt, outcome, now), Again)
        now = made.next_at(now)
    assert all(probes)
    assert all(each.attempts - each.spared <= 1 for each in made.lanes.live())


def test_an_outage_costs_no_record() -> None:
    """R12: after a long outage every record is delivered, and concurrency grows step by step."""
    made, now, back, widths = scheduler(300, max_age=9e9, concurrency=8), NOW, NOW + 3600, []
    while len(made.lanes):
        now = max(now, made.next_at(now))
        flying: list[Attempt] = []
        while len(flying) < 8 and (attempt := made.claim(now)) is not None:
            flying.append(attempt)
        widths += [len(flying)] if now >= back else []
        for attempt in flying:
            ended = made.conclude(attempt, OK if now >= back else DOWN, now)
            assert ended == Ended(end=End.DELIVERED) or now < back
    assert widths[:5] == [1, 1, 2, 4, 8]
    assert now < back + 20


def test_a_refusal_is_no_outage() -> None:
    """R9, R12: a server that asks for fewer requests does not open the breaker, however often it does."""
    made = scheduler(20, adaptive=False, retry=RetryPolicy(initial=0, max_attempts=100))
    for number in range(20):
        made.conclude(claim(made, NOW + 10 * number), BUSY, NOW + 10 * number)
    assert made.breaker.state is BreakerState.CLOSED


def test_maintenance_costs_no_record() -> None:
    """R12: a server that says 503 and when to come back for ten minutes opens the breaker, and no record expires."""
    made = scheduler(40)
    now = NOW
    while now < NOW + 600:
        attempt = made.claim(now)
        if attempt is None:
            now = made.next_at(now)
        else:
            assert isinstance(made.conclude(attempt, LATER, now), Again)
    assert made.breaker.open
    assert len(made.lanes) == 40


@pytest.mark.parametrize("error", [ValueError("a bug"), InvalidRequestError("a header")], ids=["foreign", "our own"])
def test_an_unforeseen_error_says_nothing_about_the_server(error: Exception) -> None:
    """R1, R12: it ends its own record; as a probe it neither heals the breaker nor blocks it."""
    made = scheduler(20)
    fail(made, 5)
    probe = claim(made, now := made.next_at(NOW))
    assert made.conclude(probe, Outcome(error=error), now) == Ended(end=End.REJECTED, error=error)
    assert made.breaker.state is BreakerState.OPEN
    assert made.next_at(now) < now + 20


def test_a_refused_record_shows_that_the_server_is_there() -> None:
    """R12: a 404 ends an outage as well as a success does."""
    made = scheduler(20)
    fail(made, 5)
    made.conclude(claim(made, now := made.next_at(NOW)), GONE, now)
    assert made.breaker.state is BreakerState.RECOVERING


def test_an_untrusted_certificate_counts_as_failure() -> None:
    """R9, R12: the record is rejected with the typed error, and after some of them only probes go."""
    made, error = scheduler(20), CertificateError("expired")
    verdicts = [made.conclude(claim(made), Outcome(error=error), NOW) for _ in range(5)]
    assert verdicts == [Ended(end=End.REJECTED, error=error)] * 5
    assert made.breaker.open


def test_a_refused_key_stops_the_rest() -> None:
    """R12: after a 401 one goes at a time; after three, what waits can be rejected, and what is in flight stays."""
    made = scheduler(9)
    made.conclude(claim(made), NO_KEY, NOW)
    for _ in range(2):
        attempt = claim(made)
        assert made.claim(NOW) is None
        made.conclude(attempt, NO_KEY, NOW)
    assert made.breaker.hopeless

    flying = claim(made)
    assert NO_KEY.error is not None
    finished = made.reject_waiting(NO_KEY.error)
    assert [each.id for each, _ in finished] == [5, 6, 7, 8, 9]
    assert {each.state for each, _ in finished} == {EntryState.ENDED}
    assert {ended.end for _, ended in finished} == {End.REJECTED}
    assert {type(ended.error) for _, ended in finished} == {AuthenticationError}
    assert len({id(ended.error) for _, ended in finished}) == 5, "each raise adds to the traceback of its error"
    assert made.lanes.live() == [flying.entry]


def test_retry_after_closes_the_gate_for_all() -> None:
    """R8: nothing goes before the time that one answer named."""
    for outcome in (LATER, Outcome(error=RateLimitError("x", retry_after=7.0), status=429)):
        made = scheduler(3)
        made.conclude(claim(made), outcome, NOW)
        assert made.next_at(NOW) == NOW + 7


@pytest.mark.parametrize("wait", [None, 0.0])
def test_a_429_that_tells_nothing_cuts_the_rate(wait: float | None) -> None:
    """R8: "Retry-After: 0" tells as little as no Retry-After; without a cut the refusals would never end."""
    made = scheduler(9)
    made.conclude(claim(made), Outcome(error=RateLimitError("x", retry_after=wait), status=429), NOW)
    assert made.pacer.rate() < math.inf
    assert made.next_at(NOW) > NOW
    assert made.throttled == 1


def test_a_429_that_tells_what_is_left_does_not_cut_the_rate() -> None:
    """R8: the server's own numbers are better than a guess."""
    made = scheduler(9)
    headers = {"ratelimit": '"default";r=0;t=5'}
    made.conclude(claim(made), Outcome(error=RateLimitError("x"), status=429, headers=headers), NOW)
    assert made.pacer.rate() == math.inf
    assert made.next_at(NOW) == NOW + 5


def test_retry_after_takes_precedence_over_what_is_left() -> None:
    """R8: where a 429 says both, Retry-After closes the gate."""
    made = scheduler(9)
    headers = {"ratelimit": '"default";r=0;t=5'}
    made.conclude(claim(made), Outcome(error=RateLimitError("x", retry_after=9.0), status=429, headers=headers), NOW)
    assert made.next_at(NOW) == NOW + 9


@pytest.mark.parametrize("headers", [{"ratelimit": '"a";r=0;t=0'}, {"ratelimit": '"a";r=7;t=60'}])
def test_a_429_whose_headers_say_that_all_is_well_cuts_the_rate(headers: dict[str, str]) -> None:
    """R8: only nothing left, and a time when there is more, explain a refusal."""
    made = scheduler(9)
    made.conclude(claim(made), Outcome(error=RateLimitError("x"), status=429, headers=headers), NOW)
    assert made.pacer.rate() < math.inf


@pytest.mark.parametrize("field", ["ratelimit-policy", "ratelimit-limit"])
def test_limits_in_headers_are_kept(field: str) -> None:
    """R8: any answer can tell limits, and they are kept from then on."""
    made = scheduler(9, pacing="burst")
    made.conclude(claim(made), Outcome(status=200, headers={field: "2, 2;w=10"}), NOW)
    made.conclude(claim(made), OK, NOW)
    assert NOW + 10 <= made.next_at(NOW) < NOW + 10.1
    assert made.pacer.rate() == pytest.approx(0.2, rel=0.05)


def test_the_gate_holds_for_probes_too() -> None:
    """R8, R12: a server that is away and said when to come back is not asked before; then one probe goes."""
    made = scheduler(20)
    for attempt in [claim(made) for _ in range(6)]:
        made.conclude(attempt, Outcome(error=ServerError("x", status=503, retry_after=300.0), status=503), NOW)
    assert made.breaker.open
    assert made.next_at(NOW) == NOW + 0.5, "the breaker is asked first"
    assert made.next_at(NOW + 60) == NOW + 300
    assert made.claim(NOW + 299) is None
    assert claim(made, NOW + 300).probe


def test_what_is_left_is_heeded_on_any_answer() -> None:
    """R8: a success, too, can say that there is no more for now."""
    made = scheduler(9)
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1445412510"}
    made.conclude(claim(made), Outcome(status=200, headers=headers, wall_now=1445412480.0), NOW)
    assert made.next_at(NOW) == NOW + 30


def test_a_cut_rate_recovers_with_answers() -> None:
    """R8: requests that are not refused let a cut rate grow again."""
    made = scheduler(9)
    made.conclude(claim(made), BUSY, NOW)
    cut, now = made.pacer.rate(), NOW
    for _ in range(3):
        now = made.next_at(now)
        made.conclude(claim(made, now), OK, now)
    assert cut < made.pacer.rate()


@pytest.mark.parametrize("outcome", [DOWN, LOST, OK, BUSY], ids=["not sent", "lost", "ok", "429"])
def test_every_answer_brings_its_place_back(outcome: Outcome) -> None:
    """R8: however a request ends, it is in flight no more; one without answer holds its place a little longer."""
    made = scheduler(2, rate_limits=RateLimit(1, per=1), pacing="burst", adaptive=False)
    made.conclude(claim(made), outcome, NOW)
    margin = 1.0 if outcome is LOST else 0.0
    assert NOW + 1 + margin <= made.next_at(NOW) < NOW + 1.1 + margin


def test_an_interrupted_request_brings_its_place_back() -> None:
    """R13: a cancelled probe is followed by another; its place in the log is kept as if it had been sent."""
    made = scheduler(9, rate_limits=RateLimit(100, per=1))
    fail(made, 5)
    now = made.next_at(NOW)
    assert claim(made, now).probe
    assert made.next_at(now) == math.inf
    made.interrupted(now, probe=True)
    assert made.next_at(now) < now + 20


def test_direct_calls_tell_the_breaker() -> None:
    """R9: their failures open it and their successes heal it, but they are no probes."""
    made = scheduler(1)
    for _ in range(5):
        made.observe(made.pacer.take(NOW), DOWN, NOW)
    assert made.breaker.open
    made.observe(made.pacer.take(NOW), OK, NOW)
    assert made.next_at(NOW) == NOW
    assert not claim(made).probe
