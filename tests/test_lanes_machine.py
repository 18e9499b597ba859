"""Lanes against a model that looks at everything, every time."""

from __future__ import annotations

import math
from collections import Counter

import attrs
from core_samples import entry
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from mida_async._core.entry import Entry, EntryState
from mida_async._core.lanes import Lanes

WHO = st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f"]), max_size=3).map(tuple)


@attrs.define(eq=False)
class Visitor:
    """What the model knows of one visitor: all identities by which the records that it has now were linked."""

    keys: set[str] = attrs.field(factory=set[str])
    records: list[Entry] = attrs.field(factory=list[Entry])
    joined: bool = False
    held: dict[int, float] = attrs.field(factory=dict[int, float])
    overtaken_by: Counter[int] = attrs.field(factory=Counter[int])

    def waiting(self) -> list[Entry]:
        """Return what waits, oldest first."""
        return sorted((e for e in self.records if e.state is EntryState.WAITING), key=lambda e: e.id)

    def in_flight(self) -> list[Entry]:
        """Return what is in flight."""
        return [e for e in self.records if e.state is EntryState.IN_FLIGHT]

    def due(self) -> float:
        """When the oldest waiting record may go; infinity where there is none, or one is in flight."""
        waiting = self.waiting()
        return math.inf if self.in_flight() or not waiting else self.held.get(waiting[0].id, 0.0)

    def ready(self, now: float) -> bool:
        """Say whether the head may go."""
        return self.due() <= now


class LanesMachine(RuleBasedStateMachine):
    """Does what a scheduler may do, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes = Lanes()
        self.now = 100.0
        self.numbers = 0
        self.visitors: list[Visitor] = []

    def visitor_of(self, record: Entry) -> Visitor:
        """Return whose record it is."""
        return next(visitor for visitor in self.visitors if record in visitor.records)

    def records(self) -> list[Entry]:
        """Return all that has not ended, oldest first."""
        return sorted((e for visitor in self.visitors for e in visitor.records), key=lambda e: e.id)

    def forget(self, record: Entry) -> None:
        """Take note of an end."""
        visitor = self.visitor_of(record)
        visitor.records.remove(record)
        if not visitor.records:
            self.visitors.remove(visitor)
        assert record.state is EntryState.ENDED

    @rule(who=WHO, hold=st.sampled_from([0.0, 0.0, 0.0, 2.0]))
    def push(self, who: tuple[str, ...], hold: float) -> None:
        """Accept a record, join the visitors that it links, and free what was held back to be folded into."""
        self.numbers += 1
        record = entry(self.numbers, *who, due=self.now + hold if hold else 0.0)
        same = [visitor for visitor in self.visitors if visitor.keys & set(who)]
        merged = same[0] if len(same) == 1 else Visitor(joined=bool(same))
        for visitor in same if len(same) > 1 else []:
            merged.keys |= visitor.keys
            merged.records += visitor.records
            merged.held |= visitor.held
            self.visitors.remove(visitor)
        merged.keys |= set(who)
        merged.held = {e.id: merged.held[e.id] for e in merged.records if e.attempts and e.id in merged.held}
        merged.records.append(record)
        merged.held[record.id] = record.due
        self.visitors += [merged] if len(same) != 1 else []
        self.lanes.push(record)

    @rule()
    def claim(self) -> None:
        """Claim a head, if and only if one may go."""
        ready = [visitor for visitor in self.visitors if visitor.ready(self.now)]
        heads = [visitor.waiting()[0] for visitor in ready]
        claimed = self.lanes.claim(self.now)
        assert (claimed is None) == (not ready)
        if claimed is not None:
            assert claimed in heads
            assert claimed.state is EntryState.IN_FLIGHT
            claimed.attempts += 1
            self.note_turn(self.visitor_of(claimed), ready)

    def note_turn(self, served: Visitor, ready: list[Visitor]) -> None:
        """Check that nobody is served twice while another is ready."""
        served.overtaken_by.clear()
        for other in ready:
            if other is not served:
                other.overtaken_by[id(served)] += 1
                assert other.overtaken_by[id(served)] == 1, "served twice while another was ready"

    def in_flight(self) -> list[Entry]:
        """Return what is in flight."""
        return [e for e in self.records() if e.state is EntryState.IN_FLIGHT]

    @precondition(lambda self: self.in_flight())
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        """End a record in flight."""
        record = data.draw(st.sampled_from(self.in_flight()))
        self.lanes.settle(record)
        self.forget(record)

    @precondition(lambda self: self.in_flight())
    @rule(data=st.data(), wait=st.sampled_from([-1.0, 0.0, 0.5, 1.0, 5.0]))
    def defer(self, data: st.DataObject, wait: float) -> None:
        """Put a record in flight back, to go again before, at or after this moment."""
        record = data.draw(st.sampled_from(self.in_flight()))
        self.visitor_of(record).held[record.id] = self.now + wait
        self.lanes.defer(record, self.now + wait)

    def all_waiting(self) -> list[Entry]:
        """Return everything that waits, oldest first."""
        return [e for e in self.records() if e.state is EntryState.WAITING]

    @precondition(lambda self: self.all_waiting())
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        """End a waiting record."""
        record = data.draw(st.sampled_from(self.all_waiting()))
        self.lanes.withdraw(record)
        self.forget(record)

    @precondition(lambda self: self.all_waiting())
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """Let a record go that is held back."""
        record = data.draw(st.sampled_from(self.all_waiting()))
        self.visitor_of(record).held[record.id] = 0.0
        self.lanes.release(record)

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 4.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    @rule(who=WHO)
    def tail(self, who: tuple[str, ...]) -> None:
        """Find the record that a new one may be folded into; none that was attempted, or that is not the newest."""
        found = self.lanes.tail(who)
        known = [[visitor for visitor in self.visitors if key in visitor.keys] for key in who]
        if not who or any(each != known[0] or not each for each in known):
            assert found is None
            return
        visitor = known[0][0]
        newest = max(visitor.records, key=lambda e: e.id)
        fresh = newest.state is EntryState.WAITING and newest.attempts == 0
        assert found in ([newest] if fresh else [None]) or (found is None and visitor.joined)

    @invariant()
    def due_times_agree(self) -> None:
        """The lanes wake when the first head is due."""
        expected = min((visitor.due() for visitor in self.visitors), default=math.inf)
        assert self.lanes.next_due(self.now) == max(expected, self.now)
        for visitor in self.visitors:
            if not visitor.ready(self.now):
                visitor.overtaken_by.clear()

    @invariant()
    def only_the_newest_is_held_back_from_the_start(self) -> None:
        """A record that was never attempted and has another behind it is held back by nothing."""
        for visitor in self.visitors:
            assert all(e.due == 0.0 for e in visitor.waiting() if not e.attempts and visitor.held.get(e.id, 0.0) == 0.0)

    @invariant()
    def counts_add_up(self) -> None:
        """Every number is what counting gives."""
        records, counts = self.records(), self.lanes.statistics()
        assert len(self.lanes) == len(records) == counts.waiting + counts.in_flight
        assert counts.in_flight == self.lanes.in_flight == len(self.in_flight())
        assert counts.lanes == len(self.visitors)
        assert counts.retrying == sum(e.attempts > 0 for e in self.all_waiting())

    @invariant()
    def the_oldest_are_known(self) -> None:
        """Records are known in the order of acceptance."""
        records, waiting = self.records(), self.all_waiting()
        assert self.lanes.live() == records
        assert self.lanes.oldest() is (records[0] if records else None)
        assert self.lanes.oldest_waiting() is (waiting[0] if waiting else None)

    @invariant()
    def marks_are_few(self) -> None:
        """What is left in the lines of what waits no more is never the majority for long."""
        waiting, line = len(self.all_waiting()), self.lanes._line
        assert line.length <= 2 * waiting + 8
        assert line.waiting_records().keys() == {e.id for e in self.all_waiting()}
        places = [*line.line, *(e for _, e in line.earlier or ())]
        assert all(not e.body for e in places if e.state is EntryState.ENDED)

    @invariant()
    def each_lane_has_what_its_visitor_has(self) -> None:
        """All that waits stands in the lane to which its visitor's identities lead, once."""
        for visitor in self.visitors:
            lanes = [self.lanes._by_key[key] for key in visitor.keys]
            assert all(lane is lanes[0] for lane in lanes)
            for lane in lanes[:1]:
                places = [*lane.line, *(e for _, e in lane.earlier or ())]
                waiting = [e.id for e in visitor.waiting()]
                assert sorted(e.id for e in places if e.state is EntryState.WAITING) == waiting
                assert (lane.waiting, lane.in_flight) == (len(waiting), len(visitor.in_flight()))
                named = [e for e in visitor.records if e.identities == lane.identities]
                assert all(e.identities is named[0].identities for e in named)

    @invariant()
    def one_in_flight_each(self) -> None:
        """No visitor has two records in flight, but for one that was two visitors until now."""
        for visitor in self.visitors:
            assert len(visitor.in_flight()) <= 1 or visitor.joined

    def teardown(self) -> None:
        """Let everything go in order, and look for what is left behind."""
        for record in self.in_flight():
            self.lanes.settle(record)
            self.forget(record)
        self.now = math.inf
        while (head := self.lanes.claim(self.now)) is not None:
            assert head is min(self.visitor_of(head).records, key=lambda e: e.id)
            self.lanes.settle(head)
            self.forget(head)
        assert not self.visitors
        assert self.lanes.next_due(self.now) == math.inf
        assert not self.lanes._by_key
        assert not self.lanes._ready
        assert len(self.lanes) == 0
        assert self.lanes._line.head() is None
        assert not self.lanes._resting
        assert self.lanes.statistics().lanes == 0


def test_lanes_do_what_the_model_does() -> None:
    """R2, R3: in any order of events lanes keep order, links, turns and counts, and leave nothing behind."""
    run_state_machine_as_test(LanesMachine, settings=settings(max_examples=150, stateful_step_count=50))
