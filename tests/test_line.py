"""What a line of records keeps, and what lanes keep of a record: no more than is needed, and nothing twice."""

from __future__ import annotations

from collections import deque
from typing import Final

import attrs
import pytest
from core_samples import entry
from hypothesis import given, settings
from hypothesis import strategies as st

from mida_async._core.entry import Entry, EntryState
from mida_async._core.lane import SHORT, Lane, Line
from mida_async._core.lanes import Lanes

NOW: Final = 100.0

# Most come and go, and few are looked at: so marks pile up. What "defer" and "settle" choose from was claimed before.
STEPS: Final = st.lists(
    st.tuples(
        st.sampled_from(["push", "push", "push", "claim", "claim", "defer", "defer", "settle", "withdraw", "look"]),
        st.integers(0, 1_000),
    ),
    min_size=40,
    max_size=160,
)
KINDS: Final = pytest.mark.parametrize("kind", [list, deque], ids=["list", "deque"])


@attrs.define(repr=False)
class Walk:
    """A line, and every record that was put into it; of those that wait, any may go, as in the line of all lanes."""

    line: Line
    records: list[Entry] = attrs.field(factory=list[Entry])
    tidied: int = 0

    def those(self, state: EntryState) -> list[Entry]:
        """Return what is in this state, oldest first."""
        return [record for record in self.records if record.state is state]

    @property
    def waiting(self) -> list[Entry]:
        """What waits, oldest first."""
        return self.those(EntryState.WAITING)

    def step(self, action: str, which: int) -> None:
        """Do one thing to the record of this place, if there is one to which it can be done."""
        if action == "push":
            self.records.append(entry(len(self.records) + 1, "a"))
            self.line.line.append(self.records[-1])
        elif action == "look":
            assert self.line.head() is next(iter(self.waiting), None)
        else:
            flies = action in {"defer", "settle"}
            possible = self.those(EntryState.IN_FLIGHT) if flies else self.waiting
            if possible:
                self.change(action, possible[which % len(possible)])

    def change(self, action: str, record: Entry) -> None:
        """Let a record go, come back or end."""
        after = {"claim": EntryState.IN_FLIGHT, "defer": EntryState.WAITING}
        record.state = after.get(action, EntryState.ENDED)
        if action == "defer":
            self.line.put_back(record)
        if action != "settle":  # of all others the number of those that wait has changed
            self.tidy()

    def tidy(self) -> None:
        """Tidy up, and look for what was lost, kept or doubled if there was anything to do."""
        most = 2 * len(self.waiting) + 8
        tidies = self.line.length > most
        self.line.tidy(len(self.waiting))
        assert self.line.length <= most
        if tidies:
            self.tidied += 1
            assert sorted(self.places()) == [record.id for record in self.waiting]

    def places(self) -> list[int]:
        """Return the numbers of all that is in the line and beside it, marks and doubles included."""
        return [record.id for record in self.line.line] + [number for number, _ in self.line.earlier or ()]

    def check(self) -> None:
        """Look at what is true at any time."""
        assert self.line.length == len(self.places()) <= 2 * len(self.waiting) + 8
        known = self.line.waiting_records()
        assert sorted(known) == [record.id for record in self.waiting]
        assert all(known[record.id] is record for record in self.waiting)


def walk(kind: type[list[Entry] | deque[Entry]]) -> Walk:
    """Return a walk along an empty line."""
    return Walk(Line(kind()))


@KINDS
@given(steps=STEPS)
@settings(max_examples=150)
def test_a_line_knows_its_oldest_record_and_keeps_few_marks(
    kind: type[list[Entry] | deque[Entry]], steps: list[tuple[str, int]]
) -> None:
    """R2, R6: whatever goes, comes back and ends, no record is lost or doubled, and marks are soon thrown away."""
    line = walk(kind)
    for action, which in steps:
        line.step(action, which)
        line.check()
    line.step("look", 0)
    while line.waiting:
        line.change("withdraw", line.waiting[0])
        line.check()
        line.step("look", 0)
    assert line.places() == []


@KINDS
def test_a_record_that_comes_back_again_and_again_stands_there_once(kind: type[list[Entry] | deque[Entry]]) -> None:
    """R2: behind an older one that never goes, a record that was retried a hundred times leaves few marks."""
    line = walk(kind)
    for _ in range(3):
        line.step("push", 0)
    for _ in range(100):
        line.change("claim", line.records[1])
        line.change("defer", line.records[1])
        line.check()
    assert line.tidied > 5

    order = list[Entry | None]()
    while (head := line.line.head()) is not None:
        order.append(head)
        line.change("claim", head)
    assert order == line.records


@KINDS
def test_a_record_that_is_in_two_places_is_left_in_one(kind: type[list[Entry] | deque[Entry]]) -> None:
    """R2: what went and came back while an older one held the line is there and beside it, until it is tidied."""
    line = walk(kind)
    for _ in range(20):
        line.step("push", 0)
    for _ in range(3):
        line.change("claim", line.records[4])
        line.change("defer", line.records[4])
    assert line.places().count(5) == 4
    for record in line.records[5:]:
        line.change("withdraw", record)
    assert line.tidied == 1
    assert line.places().count(5) == 1


@KINDS
def test_what_comes_back_goes_before_what_came_later(kind: type[list[Entry] | deque[Entry]]) -> None:
    """R2: records that come back in any order are each the head again before the younger ones."""
    line = walk(kind)
    for _ in range(5):
        line.step("push", 0)
    for number in (1, 2, 4):
        line.change("claim", line.records[number - 1])
    line.step("look", 0)
    for number in (4, 2, 1):
        line.change("defer", line.records[number - 1])
        line.step("look", 0)
    for record in line.records:
        assert line.line.head() is record
        line.change("claim", record)
    assert line.line.head() is None


def test_a_lane_is_a_list_only_as_long_as_it_is_short() -> None:
    """R2: taking the first record of a long lane moves nothing, and the order of all is what it was."""
    lanes, many = Lanes(), 3 * SHORT
    for number in range(1, many + 1):
        lanes.push(entry(number, "a"))
        assert isinstance(lanes._by_key["a"].line, list) == (number < SHORT)
    for number in range(1, many + 1):
        head = lanes.claim(NOW)
        assert head is not None
        assert head.id == number
        lanes.settle(head)
    assert len(lanes) == 0


# What is kept of a record


def pushed(lanes: Lanes, *records: Entry) -> list[Entry]:
    """Put records into lanes."""
    for record in records:
        lanes.push(record)
    return list(records)


def test_records_of_a_visitor_share_their_identities() -> None:
    """R3: one object for all that are named alike, however many there are, and for as long as the lane lasts."""
    lanes = Lanes()
    first, *rest = pushed(lanes, *(entry(number, "a", "b") for number in range(1, 10)))
    assert all(each.identities is first.identities for each in rest)
    assert lanes.claim(NOW) is first
    lanes.settle(first)
    (late,) = pushed(lanes, entry(10, "a", "b"))
    assert late.identities is first.identities
    assert late.identities == ("a", "b")


def test_what_names_a_visitor_in_another_way_keeps_its_own_identities() -> None:
    """R3, R4: what a fold compares is what the caller gave, not what is known of the visitor."""
    lanes = Lanes()
    pairs = pushed(lanes, *(entry(number, *kinds) for number, kinds in enumerate(("ab", "a", "ba", "abc", "ab"), 1)))
    assert lanes.statistics().lanes == 1
    assert ["".join(each.identities) for each in pairs] == ["ab", "a", "ba", "abc", "ab"]
    assert pairs[4].identities is pairs[0].identities

    joined = pushed(lanes, entry(6, "z"), entry(7, "z", "a"), entry(8, "z"))
    assert lanes.statistics().lanes == 1
    assert ["".join(each.identities) for each in joined] == ["z", "za", "z"]


def test_without_order_a_record_keeps_its_own_identities() -> None:
    """R2: with order="none" a record is alone in its lane, and its identities are those that it came with."""
    lanes = Lanes(ordered=False)
    records = [entry(number, "a", "b") for number in (1, 2, 3)]
    before = [each.identities for each in records]
    assert len({id(each) for each in before}) == 3
    pushed(lanes, *records)
    assert all(each.identities is own for each, own in zip(records, before, strict=True))
    assert lanes.statistics().lanes == 3
    assert all(isinstance(each.lane, Lane) and each.lane.identities == () for each in records)


def test_an_ended_record_lets_go_of_its_body() -> None:
    """R6: the room of a body is given back with its end, though a mark of the record may stay behind an older one."""
    lanes = Lanes()
    oldest, settled, withdrawn, deferred = pushed(lanes, *(entry(n, who, due=0.0) for n, who in enumerate("abcd", 1)))
    oldest.due = NOW + 60
    assert [lanes.claim(NOW) for _ in range(4)] == [oldest, settled, withdrawn, deferred]
    for record in (oldest, withdrawn, deferred):
        lanes.defer(record, NOW + 60)
    withdrawn.properties = {"n": 1}
    assert lanes.weight == 3 * len(oldest.body)

    lanes.settle(settled)
    assert (settled.state, settled.body) == (EntryState.ENDED, b"")
    lanes.withdraw(withdrawn)
    assert (withdrawn.state, withdrawn.body) == (EntryState.ENDED, b"")
    assert withdrawn.properties is None
    assert (oldest.body, deferred.body) == (b"{}", b"{}")
    assert lanes.weight == 2 * len(oldest.body)
    assert lanes.live() == [oldest, deferred]


@pytest.mark.parametrize("ordered", [True, False])
def test_no_body_is_left_in_the_line_of_all_records(ordered: bool) -> None:  # noqa: FBT001
    """R6: behind one that never ends, what is left of a thousand others is a few marks, and they are empty."""
    lanes = Lanes(ordered=ordered)
    (stuck,) = pushed(lanes, entry(1, "stuck", due=NOW + 3_600))
    for number in range(2, 1_000):
        pushed(lanes, entry(number, f"v{number % 7}"))
        head = lanes.claim(NOW)
        assert head is not None
        if number % 3:
            lanes.settle(head)
        else:
            lanes.defer(head, NOW + 1)
            lanes.withdraw(head)
    line = lanes._line
    assert line.length <= 10
    assert [each for each in (*line.line, *(each for _, each in line.earlier or ())) if each.body] == [stuck]
