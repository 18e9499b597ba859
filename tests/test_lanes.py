"""Lanes: each promise by itself, the table of their states, and what a record costs."""

from __future__ import annotations

import math
from typing import Final

import pytest
from core_samples import entry, reachable, recorded, transitions

from mida_async._core import lanes as module
from mida_async._core.entry import Entry, EntryState
from mida_async._core.identity import identity
from mida_async._core.lane import TRANSITIONS, LaneState, Signal
from mida_async._core.lanes import Lanes

NOW: Final = 100.0


class Known(Lanes):
    """Lanes that know what was put in by its number."""

    def __init__(self, *, ordered: bool = True) -> None:
        super().__init__(ordered=ordered)
        self.known: dict[int, Entry] = {}

    def push(self, entry: Entry) -> None:
        """Put a record in."""
        self.known[entry.id] = entry
        super().push(entry)


def filled(*records: Entry) -> Known:
    """Return lanes that hold *records*."""
    lanes = Known()
    for record in records:
        lanes.push(record)
    return lanes


def claimed(lanes: Lanes, now: float = NOW) -> int:
    """Claim, and return the number of the record; 0 where there is none."""
    record = lanes.claim(now)
    return record.id if record else 0


def settle(lanes: Known, number: int) -> None:
    """Settle the record with this number."""
    lanes.settle(lanes.known[number])


def withdraw(lanes: Known, *numbers: int) -> None:
    """Withdraw the records with these numbers, in this order."""
    for number in numbers:
        lanes.withdraw(lanes.known[number])


def drained(lanes: Known, now: float = NOW) -> list[int]:
    """Send everything, one after the other, and return the numbers in that order."""
    order = []
    while number := claimed(lanes, now):
        order.append(number)
        settle(lanes, number)
    return order


def test_a_visitors_records_go_one_at_a_time_in_order() -> None:
    """R2: the second record of a visitor is not in flight before the first has come back."""
    lanes = filled(entry(1, "a"), entry(2, "a"))

    assert (claimed(lanes), claimed(lanes)) == (1, 0)
    settle(lanes, 1)
    assert claimed(lanes) == 2


def test_lanes_are_served_in_turn() -> None:
    """R2: a visitor with many records delays nobody: each lane is served once before any is served again."""
    lanes = filled(*(entry(number, "busy") for number in range(1, 11)), entry(11, "b"), entry(12, "c"))
    assert drained(lanes) == [1, 11, 12, *range(2, 11)]


def test_a_failed_record_keeps_its_place() -> None:
    """R2: a deferred record goes again before the younger ones of its visitor, and not before it is due."""
    first = entry(1, "a")
    lanes = filled(first, entry(2, "a"), entry(3, "b"))
    assert lanes.claim(NOW) is first
    lanes.defer(first, NOW + 5.0)

    assert drained(lanes) == [3]
    assert lanes.next_due(NOW) == NOW + 5.0
    assert drained(lanes, NOW + 4.9) == []
    assert drained(lanes, NOW + 5.0) == [1, 2]


def test_a_lane_that_rests_again_is_not_woken_by_its_earlier_time() -> None:
    """R2: of two times at which a lane was to be woken, the one that was replaced means nothing."""
    first = entry(1, "a")
    lanes = filled(first)
    for due in (NOW + 1.0, NOW + 9.0):
        lanes.release(first)
        assert lanes.claim(NOW) is first
        lanes.defer(first, due)

    assert lanes.next_due(NOW + 1.0) == NOW + 9.0
    assert claimed(lanes, NOW + 8.9) == 0
    assert claimed(lanes, NOW + 9.0) == 1


def test_identifiers_of_one_visitor_share_a_lane() -> None:
    """R3: records that have an identifier in common go one after the other, whatever else they carry."""
    lanes = filled(entry(1, "a", "b"), entry(2, "b", "c"), entry(3, "c"))
    assert (claimed(lanes), claimed(lanes)) == (1, 0)
    assert lanes.statistics().lanes == 1


def test_a_record_joins_the_lanes_that_it_links() -> None:
    """R3: two lanes become one in the order of acceptance, and it waits for both records in flight."""
    lanes = filled(entry(1, "a"), entry(2, "b"), entry(3, "b"), entry(4, "a"))
    assert (claimed(lanes), claimed(lanes)) == (1, 2)
    lanes.push(entry(5, "a", "b"))
    lanes.push(entry(6, "b"))

    settle(lanes, 2)
    assert claimed(lanes) == 0
    settle(lanes, 1)
    assert drained(lanes) == [3, 4, 5, 6]


def test_a_failed_record_of_a_joined_lane_goes_where_it_belongs() -> None:
    """R3: of two records that were in flight when their lanes were joined, both return to their places."""
    lanes = filled(first := entry(1, "a"), second := entry(2, "b"), entry(3, "a"))
    assert (claimed(lanes), claimed(lanes)) == (1, 2)
    lanes.push(entry(4, "a", "b"))
    lanes.defer(second, NOW)
    assert claimed(lanes) == 0
    lanes.defer(first, NOW)
    assert drained(lanes) == [1, 2, 3, 4]


def test_three_lanes_can_be_joined_at_once() -> None:
    """R3: a record with three identifiers of three visitors makes one of them."""
    lanes = filled(entry(1, "a"), entry(2, "b"), entry(3, "c"), entry(4, "c", "a", "b", "c"))
    assert lanes.statistics().lanes == 1
    assert (claimed(lanes), claimed(lanes)) == (1, 0)


def test_a_withdrawn_record_is_left_behind_at_a_join() -> None:
    """R3, R13: what was withdrawn from the middle of a lane does not come along when it is joined with another."""
    lanes = filled(*(entry(number, "a") for number in range(1, 6)), *(entry(number, "b") for number in range(6, 9)))
    withdraw(lanes, 7)
    lanes.push(entry(9, "a", "b"))
    assert len(lanes._by_key["a"].earlier or ()) == 2
    assert drained(lanes) == [1, 2, 3, 4, 5, 6, 8, 9]


def test_all_can_be_ended_at_once() -> None:
    """R14: clearing ends what waits, rests and is in flight, in the order of acceptance, and leaves nothing behind."""
    records = [entry(1, "a"), entry(2, "a"), entry(3, "b", due=NOW + 9), entry(4, "c")]
    lanes = filled(*records)
    assert claimed(lanes) == 1
    assert lanes.clear() == records
    assert {record.state for record in records} == {EntryState.ENDED}
    assert lanes.next_due(NOW) == math.inf

    counts = lanes.statistics()
    assert (counts.lanes, counts.waiting, counts.in_flight, counts.retrying) == (0, 0, 0, 0)
    assert lanes.live() == []
    lanes.push(entry(5, "a"))
    assert drained(lanes) == [5]


def test_links_last_as_long_as_there_are_records() -> None:
    """R3: once the lane is empty, the identifiers that it linked are strangers again, and nothing is left of it."""
    lanes = filled(entry(1, "a", "b"))
    assert drained(lanes) == [1]
    assert lanes._by_key == {}

    lanes.push(entry(2, "a"))
    lanes.push(entry(3, "b"))
    assert (claimed(lanes), claimed(lanes)) == (2, 3)


def test_without_order_every_record_has_its_own_lane() -> None:
    """R2: with order="none" records of one visitor go side by side, and none has a tail to fold into."""
    lanes = Known(ordered=False)
    lanes.push(entry(1, "a"))
    lanes.push(entry(2, "a"))

    assert lanes.tail(("a",)) is None
    assert (claimed(lanes), claimed(lanes)) == (1, 2)
    settle(lanes, 2)
    settle(lanes, 1)
    assert lanes.statistics().lanes == 0


def test_emails_are_compared_without_case() -> None:
    """R3: only an email ignores case, and the same text as another kind of identifier is somebody else."""
    assert identity("email", "Ann@Example.COM") == identity("email", "ann@example.com")
    assert identity("email", "STRASSE@x") == identity("email", "straße@x")
    assert identity("id", "Ann") != identity("id", "ann")
    assert identity("id", "7") != identity("mida_uuid", "7")


def test_a_withdrawn_head_lets_the_next_one_go() -> None:
    """R13: withdrawing takes a record out at once, wherever it stands."""
    first, third = entry(1, "a"), entry(3, "a")
    lanes = filled(first, entry(2, "a"), third, entry(4, "a"))
    assert lanes.claim(NOW) is first
    lanes.defer(first, NOW + 60)
    assert lanes.next_due(NOW) == NOW + 60

    lanes.withdraw(first)
    lanes.withdraw(third)
    assert first.state is third.state is EntryState.ENDED
    assert drained(lanes) == [2, 4]


def test_a_released_record_goes_at_once() -> None:
    """R4: a head that lingers can be let go before its time."""
    first = entry(1, "a", due=NOW + 60)
    lanes = filled(first)
    assert claimed(lanes) == 0
    lanes.release(first)
    assert claimed(lanes) == 1


def test_a_record_behind_it_sets_the_tail_free() -> None:
    """R4: what is held back for folding goes once nothing can fold into it, and stays free if that was withdrawn."""
    lanes = filled(first := entry(1, "a", due=NOW + 60), entry(2, "a", due=NOW + 60))
    assert lanes.next_due(NOW) == NOW
    withdraw(lanes, 2)
    assert first.due == 0.0
    assert lanes.tail(("a",)) is first
    assert claimed(lanes) == 1


def test_only_the_newest_record_stays_held_back() -> None:
    """R4: when all that was before it has gone, the newest one still waits until it is due."""
    lanes = filled(*(entry(number, "a", due=NOW + number) for number in (1, 2, 3)))
    assert drained(lanes) == [1, 2]
    assert lanes.next_due(NOW) == NOW + 3
    assert drained(lanes, NOW + 3) == [3]


def test_a_failed_record_is_not_freed_by_what_comes_behind_it() -> None:
    """R2, R4: a record between two attempts waits for its time, however many records come after it."""
    lanes = filled(first := entry(1, "a", due=NOW))
    assert lanes.claim(NOW) is first
    lanes.defer(first, NOW + 5)
    lanes.push(entry(2, "a"))
    lanes.push(entry(3, "a", "b"))
    assert lanes.next_due(NOW) == NOW + 5
    assert drained(lanes, NOW + 5) == [1, 2, 3]


@pytest.mark.parametrize("kinds", [("a", "b", "c"), ("c", "b", "a"), ("b", "c", "a")])
def test_a_link_sets_the_tails_of_all_its_lanes_free(kinds: tuple[str, ...]) -> None:
    """R3, R4: what was held back in each of the joined lanes goes at once; the record that links them is held back."""
    lanes = filled(entry(1, "a", due=NOW + 60), entry(2, "b"), entry(3, "b", due=NOW + 60), entry(4, "c", due=NOW + 60))
    lanes.push(entry(5, *kinds, due=NOW + 60))
    assert drained(lanes) == [1, 2, 3, 4]
    assert drained(lanes, NOW + 60) == [5]


def test_the_tail_is_the_newest_waiting_record() -> None:
    """R4: only a record that waits and was never attempted can be folded into; what was withdrawn is passed over."""
    first, last = entry(1, "a", "b"), entry(3, "a")
    lanes = filled(first, entry(2, "a"), last)

    assert lanes.tail(("a",)) is lanes.tail(("b", "a")) is last
    assert lanes.tail(()) is lanes.tail(("z",)) is lanes.tail(("a", "z")) is None
    lanes.withdraw(last)
    assert lanes.tail(("a",)) is lanes.known[2]
    assert drained(lanes) == [1, 2]


def test_an_attempted_record_is_no_tail() -> None:
    """R4: neither a record in flight nor one that came back can be folded into."""
    first = entry(1, "a")
    lanes = filled(first)
    assert lanes.claim(NOW) is first
    assert lanes.tail(("a",)) is None
    lanes.defer(first, NOW)
    assert lanes.tail(("a",)) is None


@pytest.mark.parametrize("comes_back", [False, True], ids=["in flight", "deferred"])
@pytest.mark.parametrize(("held", "going"), ["ab", "ba"])
def test_a_joined_lane_has_no_tail_behind_which_something_was_attempted(
    held: str,
    going: str,
    comes_back: bool,  # noqa: FBT001
) -> None:
    """R4: after a join the last waiting record may be older than an attempted one; a fold would change the order."""
    second = entry(2, going)
    lanes = filled(entry(1, held, due=NOW + 60), second)
    assert lanes.claim(NOW) is second
    link = entry(3, held, going)
    lanes.push(link)
    assert lanes.tail((held, going)) is link
    lanes.withdraw(link)
    if comes_back:
        lanes.defer(second, NOW)

    assert lanes.tail((held,)) is None


def test_a_moved_record_is_no_tail() -> None:
    """R4: a record that came with a joined lane is not folded into, and none that is older than it."""
    link = entry(5, "a", "b")
    lanes = filled(entry(1, "a"), entry(2, "a"), entry(3, "a"), entry(4, "b"), link)
    lanes.withdraw(link)
    assert lanes.tail(("b",)) is None
    assert drained(lanes) == [1, 2, 3, 4]


def test_the_oldest_is_found_past_those_in_flight() -> None:
    """R6: what drop_oldest drops is the oldest record that is not in flight."""
    lanes = filled(entry(1, "a"), entry(2, "b"), entry(3, "c"))
    assert (claimed(lanes), claimed(lanes)) == (1, 2)
    oldest, waiting = lanes.oldest(), lanes.oldest_waiting()
    assert oldest is lanes.known[1]
    assert waiting is lanes.known[3]


def test_counts_of_the_moment() -> None:
    """Statistics tell records that wait, that are in flight, and that wait after an attempt."""
    first = entry(1, "a")
    lanes = filled(first, entry(2, "b"), entry(3, "b"))
    assert lanes.claim(NOW) is first
    first.attempts = 1
    lanes.defer(first, NOW + 1)
    assert claimed(lanes) == 2

    counts = lanes.statistics()
    assert (counts.lanes, counts.waiting, counts.in_flight, counts.retrying) == (2, 2, 1, 1)
    lanes.withdraw(first)
    assert lanes.statistics().retrying == 0


# The table


def every_way(lanes: Known) -> None:
    """Bring lanes into every state, by every transition."""
    first = entry(1, "a")
    lanes.push(first)
    lanes.push(entry(2, "a"))
    lanes.claim(NOW)
    lanes.push(entry(3, "a", due=NOW + 9))
    lanes.defer(first, NOW + 9)
    withdraw(lanes, 2)
    lanes.release(first)
    withdraw(lanes, 1, 3)
    lanes.push(entry(4, "b", due=NOW + 9))
    lanes.push(entry(5, "c"))
    lanes.claim(NOW)
    lanes.push(entry(6, "b", "c", due=NOW + 9))
    settle(lanes, 5)
    withdraw(lanes, 4)
    lanes.release(lanes.live()[0])
    withdraw(lanes, 6)
    lanes.push(entry(7, "d"))
    lanes.push(entry(8, "d"))
    lanes.push(entry(9, "d"))
    withdraw(lanes, 9)
    lanes.claim(NOW)
    withdraw(lanes, 8)
    settle(lanes, 7)


def test_every_transition_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lane can come into every state, and every row of the table is of use."""
    table, taken = recorded(TRANSITIONS)
    monkeypatch.setattr(module, "TRANSITIONS", table)
    lanes = Known()
    every_way(lanes)

    assert transitions(TRANSITIONS) - taken == set()
    assert reachable(TRANSITIONS, LaneState.EMPTY) == set(LaneState)
    assert len(lanes) == 0


@pytest.mark.parametrize(
    ("state", "signal"), [(s, g) for s in LaneState for g in Signal if (s, g) not in transitions(TRANSITIONS)]
)
def test_an_impossible_signal_is_an_error(state: LaneState, signal: Signal) -> None:
    """What the table does not list cannot happen silently."""
    with pytest.raises(KeyError):
        TRANSITIONS[state][signal]


# What a record costs, in looks at records: seconds would depend on the machine.


class Counted(Entry):
    """A record that counts how often anything of it is read or written."""

    __slots__ = ("looks",)

    def __init__(self, number: int, looks: list[int], *identities: str) -> None:
        object.__setattr__(self, "looks", looks)
        super().__init__(id=number, name="e", identities=identities, body=b"", accepted_at=0.0)

    def __getattribute__(self, name: str) -> object:
        looks: list[int] = object.__getattribute__(self, "looks")
        looks[0] += 1
        return object.__getattribute__(self, name)


def test_withdrawing_from_a_long_lane_costs_little() -> None:
    """R2: 20,000 records of one visitor, of which most are withdrawn from the middle, are looked at some times each."""
    looks, many = [0], 20_000
    records = [Counted(number, looks, "a") for number in range(1, many + 1)]
    lanes = filled(*records)
    for record in records[1:-1]:
        lanes.withdraw(record)

    assert drained(lanes) == [1, many]
    assert looks[0] < 60 * many


def test_withdrawn_records_are_not_kept() -> None:
    """R13: behind a head that never goes, withdrawn records are thrown away before they are the majority."""
    lanes = filled(first := entry(1, "a", due=math.inf))
    for number in range(2, 2_000):
        record = entry(number, "a")
        lanes.push(record)
        lanes.withdraw(record)

    lane = lanes._by_key["a"]
    assert lane.length < 20
    assert lanes.live() == [first]


def test_joining_lane_after_lane_costs_little() -> None:
    """R3: 2,000 lanes of one record, joined into one lane after the other, are moved a few times each."""
    looks, many = [0], 2_000
    lanes = filled(*(Counted(number, looks, f"v{number}") for number in range(1, many + 1)))
    for number in range(1, many):
        lanes.push(Counted(many + number, looks, f"v{number}", f"v{number + 1}"))

    assert lanes.statistics().lanes == 1
    assert all(a == b for a, b in zip(drained(lanes), range(1, 2 * many), strict=True))
    assert looks[0] < 80 * many


def test_joining_in_pairs_costs_little() -> None:
    """R3: joining lanes of equal size, as in a tournament, moves each record log2(n) times at most."""
    looks, rounds = [0], 11
    many = 2**rounds
    lanes = filled(*(Counted(number, looks, f"v{number - 1}") for number in range(1, many + 1)))
    number = many
    for power in range(rounds):
        for left in range(0, many, 2 ** (power + 1)):
            number += 1
            lanes.push(Counted(number, looks, f"v{left}", f"v{left + 2**power}"))

    assert all(a == b for a, b in zip(drained(lanes), range(1, number + 1), strict=True))
    assert looks[0] < 60 * many * rounds


def test_dropping_the_oldest_behind_a_stalled_head_costs_little() -> None:
    """R6: with a record in flight that never comes back, finding the oldest waiting one takes no search."""
    looks, many = [0], 20_000
    lanes = filled(*(Counted(number, looks, f"v{number}") for number in range(1, many + 1)))
    assert claimed(lanes) == 1
    for expected in range(2, many + 1):
        oldest = lanes.oldest_waiting()
        assert oldest is not None
        lanes.withdraw(oldest)
        assert oldest.id == expected

    assert looks[0] < 80 * many


def test_expiring_one_lane_from_its_head_costs_little() -> None:
    """R2: a lane whose records are withdrawn oldest first, while its head is in flight, is not searched."""
    looks, many = [0], 20_000
    lanes = filled(*(Counted(number, looks, "a") for number in range(1, many + 1)))
    assert claimed(lanes) == 1
    while (oldest := lanes.oldest_waiting()) is not None:
        lanes.withdraw(oldest)

    assert looks[0] < 80 * many
    settle(lanes, 1)
    assert lanes.statistics().lanes == 0


def test_retries_do_not_pile_up_in_the_queue_of_resting_lanes() -> None:
    """R2: a lane that rests again and again leaves nothing behind once its time has come."""
    record = entry(1, "a")
    lanes = filled(record)
    for second in range(1, 1_000):
        assert lanes.claim(NOW + second) is record
        lanes.defer(record, NOW + second + 1)

    assert len(lanes._resting) == 1


def test_a_withdrawn_record_lets_go_of_its_body() -> None:
    """R6: a withdrawn record may stay in its lane as a mark for a while; its bytes, which are given back, do not."""
    lanes = Known()
    entries = [entry(number, "ann") for number in (1, 2, 3)]
    for each in entries:
        lanes.push(each)
    lanes.withdraw(entries[1])

    assert [len(each.body) > 0 for each in entries] == [True, False, True]


def test_lanes_that_rest_no_longer_are_not_kept() -> None:
    """R4: what was held back for an hour but went at once leaves nothing behind, though another lane is due before."""
    lanes = filled(entry(1, "held", due=NOW + 1))
    for number in range(2, 2_000, 2):
        lanes.push(entry(number, "a", due=NOW + 3_600))
        lanes.push(entry(number + 1, "a"))
        assert drained(lanes) == [number, number + 1]

    assert len(lanes._resting) < 20
    assert lanes.next_due(NOW) == NOW + 1
    assert drained(lanes, NOW + 1) == [1]


def test_tidying_keeps_every_lane_that_rests() -> None:
    """R2: however often other lanes rest and are let go, each lane that still rests wakes at its time, once."""
    lanes = filled(*(entry(number, f"v{number}", due=NOW + number) for number in range(1, 11)))
    for number in range(11, 200):
        record = entry(number, "other", due=NOW + 100 + number % 3)
        lanes.push(record)
        lanes.release(record)
        assert drained(lanes) == [number]
    for number in range(1, 11):
        assert lanes.next_due(NOW) == NOW + number
        assert drained(lanes, NOW + number) == [number]
    assert lanes.next_due(NOW) == math.inf
