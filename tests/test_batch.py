"""Which records go in one request, and what a refusal says about each."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Final

import attrs
import pytest
from core_samples import entry
from hypothesis import given
from hypothesis import strategies as st

from mida_async import (
    BadRequestError,
    BufferSettings,
    ConnectionLostError,
    EventExpiredError,
    RateLimitError,
    RetryPolicy,
    ServerError,
)
from mida_async._core.batch import BatchLimits, Blame, gather
from mida_async._core.breaker import BreakerState
from mida_async._core.entry import End, Entry, EntryState
from mida_async._core.lanes import Lanes
from mida_async._core.scheduler import Attempt, Outcome, Scheduler
from mida_async._core.verdict import Again, Ended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

NOW: Final = 1000.0
LINGER: Final = 0.4
LIMITS: Final = BatchLimits(records=4, size=100, linger=LINGER)
OK: Final = Outcome(status=202)
BAD: Final = BadRequestError("one of them is wrong", status=400)


def filled(*records: Entry) -> Lanes:
    """Return lanes that hold these records."""
    lanes = Lanes()
    for record in records:
        lanes.push(record)
    return lanes


def taken(lanes: Lanes, limits: BatchLimits = LIMITS) -> list[int]:
    """Return the numbers of the records in the next request."""
    first = lanes.claim(NOW)
    assert first is not None
    return [record.id for record in gather(lanes, first, limits, NOW)]


def sized(number: int, visitor: str, size: int) -> Entry:
    """Return a record with a body of *size* bytes."""
    return attrs.evolve(entry(number, visitor), body=b"x" * size)


def test_each_visitor_comes_once_before_anybody_comes_twice() -> None:
    """R2: a visitor with many records fills a request only where there is nobody else."""

    def busy() -> list[Entry]:
        return [entry(number, "a") for number in range(1, 9)]

    assert taken(filled(*busy(), entry(9, "b"), entry(10, "c"))) == [1, 2, 9, 10]
    assert taken(filled(*busy())) == [1, 2, 3, 4]


def test_records_of_one_visitor_stand_together_and_in_order() -> None:
    """R2: what follows the heads is beside them."""
    lanes = filled(entry(1, "a"), entry(2, "b"), entry(3, "a"), entry(4, "b"))
    assert taken(lanes) == [1, 3, 2, 4]
    assert lanes.in_flight == 4
    assert lanes.claim(NOW) is None


def test_a_request_is_full_by_the_size_of_its_bodies() -> None:
    """A record that would make it too large waits; one that is too large by itself goes alone."""
    assert taken(filled(sized(1, "a", 60), sized(2, "b", 40), sized(3, "c", 1))) == [1, 2]
    assert taken(filled(sized(1, "a", 101), sized(2, "b", 1))) == [1]
    assert taken(filled(sized(1, "a", 10), sized(2, "a", 95), sized(3, "a", 1))) == [1]


def test_a_record_that_is_not_due_stays_behind() -> None:
    """R4: one that is held back for folding does not travel because its lane does."""
    assert taken(filled(entry(1, "a"), entry(2, "a", due=NOW + 1.0))) == [1]
    assert taken(filled(entry(1, "a"), entry(2, "a", due=NOW))) == [1, 2]


def test_the_same_event_never_shares_a_request() -> None:
    """R5: two records with one unique_id that only a later link shows to be of one visitor go apart."""
    twins = [attrs.evolve(entry(number, visitor), unique_id="u") for number, visitor in ((1, "a"), (2, "b"))]
    lanes = filled(*twins, entry(3, "a", "b"))
    assert taken(lanes) == [1]
    other = [attrs.evolve(entry(number, visitor), unique_id=visitor) for number, visitor in ((1, "a"), (2, "b"))]
    assert taken(filled(*other, entry(3, "a", "b"))) == [1, 2, 3]


def test_the_same_id_of_different_visitors_or_events_may_share_a_request() -> None:
    """R5: an id counts per visitor and event."""
    records = [
        attrs.evolve(entry(1, "a"), unique_id="u"),
        attrs.evolve(entry(2, "b"), unique_id="u"),
        attrs.evolve(entry(3, "a", name="other"), unique_id="u"),
    ]
    assert taken(filled(*records)) == [1, 3, 2]


def test_a_record_of_another_destination_goes_alone() -> None:
    """What goes elsewhere neither takes companions nor is one."""
    elsewhere = attrs.evolve(entry(2, "b"), destination=object())
    assert taken(filled(entry(1, "a"), elsewhere, entry(3, "c"))) == [1]


def test_suspects_travel_among_themselves() -> None:
    """Those of a refused request neither take new records with them nor more than their number allows."""
    suspects = [attrs.evolve(entry(number, f"v{number}"), company=2) for number in (1, 2, 3)]
    lanes = filled(*suspects, entry(4, "d"))
    assert [taken(lanes), taken(lanes), taken(lanes)] == [[1, 2], [3], [4]]


VISITORS: Final = st.lists(st.sampled_from("abcd"), min_size=1, max_size=2, unique=True).map(tuple)
RECORDS: Final = st.lists(
    st.tuples(VISITORS, st.integers(1, 60), st.sampled_from([0.0, 0.0, 0.0, NOW, NOW + 1.0])), max_size=30
)


@given(records=RECORDS, most=st.integers(1, 8))
def test_whatever_waits_the_requests_hold_it_in_order(
    records: list[tuple[tuple[str, ...], int, float]], most: int
) -> None:
    """R2: requests keep their limits, hold each visitor's records in order and without a gap, and lose nothing."""
    limits = BatchLimits(records=most, size=100, linger=0.0)
    entries = [
        attrs.evolve(entry(number, *visitor, due=due), body=b"x" * size)
        for number, (visitor, size, due) in enumerate(records, 1)
    ]
    lanes, sent, now = filled(*entries), list[int](), NOW
    while len(lanes):
        first = lanes.claim(now)
        if first is None:
            now += 1.0
            continue
        batch = gather(lanes, first, limits, now)
        assert batch[0] is first
        assert all(record.state is EntryState.IN_FLIGHT and record.due <= now for record in batch)
        assert len(batch) <= most
        assert len(batch) == 1 or sum(len(record.body) for record in batch) <= limits.size
        sent += [record.id for record in batch]
        for record in batch:
            lanes.settle(record)
    assert sorted(sent) == [record.id for record in entries]
    for one, other in itertools.combinations(entries, 2):
        if set(one.identities) & set(other.identities):
            assert sent.index(one.id) < sent.index(other.id)
    assert (lanes.waiting, lanes.weight, lanes.in_flight) == (0, 0, 0)


def scheduler(records: Iterable[Entry] = (), *, limits: BatchLimits = LIMITS, **settings: object) -> Scheduler:
    """Return a scheduler of batches without rate limits."""
    chosen = BufferSettings(**{"rate_limits": (), **settings})  # type: ignore[arg-type]
    made = Scheduler(chosen, RetryPolicy(initial=0.5), batch=limits)
    for record in records:
        made.lanes.push(record)
    return made


def fresh(count: int, start: int = 1) -> list[Entry]:
    """Return records of as many visitors, accepted now."""
    return [entry(number, f"v{number}", accepted_at=NOW) for number in range(start, start + count)]


def claim(made: Scheduler, now: float = NOW) -> Attempt:
    """Claim a request that must be there."""
    attempt = made.claim(now)
    assert attempt is not None
    return attempt


def test_a_request_waits_for_others_and_no_longer_than_the_linger() -> None:
    """A record goes when its request is full, or when it has waited long enough."""
    made = scheduler(fresh(3))
    assert made.next_at(NOW) == NOW + LINGER
    assert made.claim(NOW) is None
    assert len(claim(made, NOW + LINGER).entries) == 3
    made = scheduler(fresh(4))
    assert made.next_at(NOW) == NOW
    assert len(claim(made).entries) == 4


def test_a_request_that_is_full_by_its_size_waits_for_nobody() -> None:
    """The bytes that wait count as well as the records."""
    made = scheduler([attrs.evolve(sized(1, "a", 50), accepted_at=NOW)])
    assert made.next_at(NOW) == NOW + LINGER
    made.lanes.push(attrs.evolve(sized(2, "b", 50), accepted_at=NOW))
    assert made.next_at(NOW) == NOW
    made.lanes.withdraw(next(iter(made.lanes.live())))
    assert made.next_at(NOW) == NOW + LINGER


def test_the_linger_of_the_settings_counts_where_there_is_one() -> None:
    """``BufferSettings.linger`` says how long a request is gathered; 0 leaves it to the destination."""
    assert scheduler(fresh(1), linger=2.5).next_at(NOW) == NOW + 2.5
    assert scheduler(fresh(1), linger=0.0).next_at(NOW) == NOW + LINGER


def test_whoever_is_in_a_hurry_waits_for_nobody() -> None:
    """R14: a flush sends what there is at once; what comes after it lingers again."""
    made = scheduler(fresh(2))
    made.hurry(2)
    assert len(claim(made).entries) == 2
    made.lanes.push(entry(3, "c", accepted_at=NOW))
    assert made.next_at(NOW) == NOW + LINGER


def test_a_request_counts_once_wherever_requests_are_counted() -> None:
    """R8, R12: the pacer, the attempts and the breaker see requests, not records."""
    made = scheduler(fresh(12))
    for _ in range(5):
        made.breaker.failed(NOW, probe=False)
    now = NOW + 1.0
    probe = claim(made, now)
    assert probe.probe
    made.conclude_all(probe, OK, now)
    assert made.breaker.state is BreakerState.RECOVERING
    claim(made, now)
    assert made.next_at(now) == math.inf  # one request of four records is under way, and one is allowed
    made.breaker.succeeded()
    claim(made, now)
    assert made.attempts == 3
    assert {record.attempts for record in made.lanes.flying()} == {1}
    assert made.lanes.in_flight == 8


def test_a_record_that_goes_elsewhere_travels_alone() -> None:
    """One with a destination of its own is a request of its own, however many wait."""
    elsewhere = attrs.evolve(entry(1, "a"), destination=object())
    made = scheduler([elsewhere, *fresh(8, start=2)])
    assert claim(made).entries == (elsewhere,)
    assert len(claim(made).entries) == 4


def test_an_accepted_request_delivers_all_of_it() -> None:
    """R1, R9: each record of a request ends with its 2xx."""
    made = scheduler(fresh(4))
    verdicts = made.conclude_all(claim(made), OK, NOW)
    assert [(record.id, verdict) for record, verdict in verdicts] == [
        (number, Ended(end=End.DELIVERED)) for number in (1, 2, 3, 4)
    ]
    assert len(made.lanes) == 0


@pytest.mark.parametrize("error", [RateLimitError("x"), ServerError("x"), ConnectionLostError("x")])
def test_what_fails_together_goes_again_together(error: Exception) -> None:
    """R9: records of a request that may be repeated are due at one time, each with an error of its own."""
    made = scheduler(fresh(4))
    verdicts = made.conclude_all(claim(made), Outcome(error=error), NOW)
    dues = {verdict.due for _, verdict in verdicts if isinstance(verdict, Again)}
    assert len(dues) == 1
    assert len({id(record.last_error) for record, _ in verdicts}) == 4
    later = max(dues) + 60.0  # after a refusal the rate is low for a while
    assert [record.id for record in claim(made, later).entries] == [1, 2, 3, 4]


def test_records_of_one_request_may_be_at_different_attempts() -> None:
    """R9: one that has no attempts left expires, and its companions go on."""
    records = fresh(3)
    records[1].attempts = 9
    made = scheduler(records, limits=attrs.evolve(LIMITS, records=3))
    outcome = Outcome(error=ServerError("x", status=500))
    verdicts = {record.id: verdict for record, verdict in made.conclude_all(claim(made), outcome, NOW)}
    assert isinstance(verdicts[1], Again)
    assert isinstance(verdicts[3], Again)
    expired = verdicts[2]
    assert isinstance(expired, Ended)
    assert isinstance(expired.error, EventExpiredError)


def test_a_culprit_is_rejected_and_the_others_go_again_at_once() -> None:
    """R9: one bad record does not take its request with it, and costs the others no attempt."""
    made = scheduler(fresh(4))
    blame = Blame(culprits=frozenset({1}))
    verdicts = made.conclude_all(claim(made), Outcome(error=BAD, status=400, blame=blame), NOW)
    ends = [verdict.end if isinstance(verdict, Ended) else verdict for _, verdict in verdicts]
    assert ends == [Again(due=NOW), End.REJECTED, Again(due=NOW), Again(due=NOW)]
    again = claim(made).entries
    assert [(record.id, record.attempts, record.spared, record.company) for record in again] == [
        (1, 2, 1, None),
        (3, 2, 1, None),
        (4, 2, 1, None),
    ]


def test_blame_for_records_that_are_not_there_is_a_suspicion_of_all() -> None:
    """A refusal that names a record which was not in the request must not go round for ever."""
    assert Blame(culprits=frozenset({7})).within(3) == Blame(suspects=frozenset({0, 1, 2}))
    assert Blame(suspects=frozenset({1, 9})).within(3) == Blame(culprits=frozenset({1}))
    assert Blame(culprits=frozenset({0}), suspects=frozenset({0, 1, 2})).within(3) == Blame(
        culprits=frozenset({0}), suspects=frozenset({1, 2})
    )


def test_a_refusal_without_blame_is_about_all() -> None:
    """R9: a wrong key, or an endpoint that is gone, rejects every record of the request."""
    made = scheduler(fresh(4))
    verdicts = made.conclude_all(claim(made), Outcome(error=BAD, status=400), NOW)
    assert {verdict.end for _, verdict in verdicts if isinstance(verdict, Ended)} == {End.REJECTED}


def vaguely(_bad: list[int], batch: tuple[Entry, ...]) -> Blame:
    """Suspect everybody."""
    return Blame(suspects=frozenset(range(len(batch))))


def exactly(bad: list[int], _batch: tuple[Entry, ...]) -> Blame:
    """Name the first culprit."""
    return Blame(culprits=frozenset(bad[:1]))


@pytest.mark.parametrize("blame", [vaguely, exactly])
@given(count=st.integers(1, 40), poison=st.sets(st.integers(1, 40), max_size=3), visitors=st.integers(1, 40))
def test_whatever_is_bad_the_good_ones_arrive(
    blame: Callable[[list[int], tuple[Entry, ...]], Blame], count: int, poison: set[int], visitors: int
) -> None:
    """R1, R2: each bad record is rejected, each good one delivered, in order, within few requests."""
    records = [entry(number, f"v{number % visitors}", accepted_at=NOW) for number in range(1, count + 1)]
    made = scheduler(records, limits=BatchLimits(records=16, size=10**6, linger=0.0))
    delivered, rejected, requests = list[int](), set[int](), 0
    while len(made.lanes):
        attempt = claim(made)
        requests += 1
        assert requests <= 200  # whatever happens, it comes to an end
        bad = [position for position, record in enumerate(attempt.entries) if record.id in poison]
        named = blame(bad, attempt.entries) if len(attempt.entries) > 1 else None
        outcome = Outcome(error=BAD, status=400, blame=named) if bad else OK
        for record, verdict in made.conclude_all(attempt, outcome, NOW):
            if isinstance(verdict, Ended):
                rejected |= {record.id} if verdict.end is End.REJECTED else set()
                delivered += [record.id] if verdict.end is End.DELIVERED else []
    assert rejected == {number for number in poison if number <= count}
    assert sorted(delivered) == [number for number in range(1, count + 1) if number not in poison]
    for visitor in range(visitors):
        mine = [number for number in delivered if number % visitors == visitor]
        assert mine == sorted(mine)
    assert requests <= 1 + math.ceil(count / 16) + len(rejected) * 2 * 16
