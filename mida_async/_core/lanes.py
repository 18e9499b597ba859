"""
Which record may go next.

Rule 1: every decision about order is made in this file and in ``lane.py``.
Rule 2: nothing here awaits, sleeps or reads a clock; time comes in as ``now``.

A lane holds the records of one visitor in the order of their acceptance, and at most one of them is in flight. A failed
record goes back to the head of its lane, and the lane rests until the record is due; no other lane notices. The newest
record may be held back from the start, so that others can be folded into it; one that comes behind it sets it free.
Lanes whose head may go stand in a queue and are served in turn, so a visitor with a thousand records delays nobody.

A visitor has several identifiers. A record that carries identifiers of two lanes shows that they are the same visitor:
the smaller lane is poured into the larger one, in the order of acceptance. If both had a record in flight, the next one
waits for both.

The cost of a record does not depend on how many lanes or records there are. Each lane is a deque, because records come
in order. What arrives out of order (a retried head, the records of a joined lane) goes into a small heap beside it; the
smaller lane is moved, so a record is moved at most log2(n) times. A withdrawn record stays where it is, marked, until
it comes to an end of the deque or the marked ones are the majority.
"""

from __future__ import annotations

import heapq
import itertools
from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import cast

import attrs

from .entry import Entry, EntryState
from .lane import TRANSITIONS, Lane, LaneState, Signal


@attrs.frozen(kw_only=True)
class LaneStatistics:
    """Counts of the moment."""

    lanes: int
    waiting: int
    in_flight: int
    retrying: int


@attrs.define(eq=False)
class Lanes:
    """
    All lanes, and the queue of those whose head may go.

    Args:
        ordered: Whether records of one visitor share a lane. If not, each record has a lane of its own.
    """

    _ordered: bool = attrs.field(default=True, alias="ordered")
    _by_key: dict[str, Lane] = attrs.field(init=False, factory=dict[str, Lane])
    _ready: OrderedDict[Lane, None] = attrs.field(init=False, factory=OrderedDict[Lane, None])
    _resting: list[tuple[float, int, Lane]] = attrs.field(init=False, factory=list[tuple[float, int, Lane]])
    # Everything that has not ended, oldest first. A plain dict would make "the oldest" slow: it steps over the places
    # of everything that was deleted before.
    _live: OrderedDict[int, Entry] = attrs.field(init=False, factory=OrderedDict[int, Entry])
    _tickets: Iterator[int] = attrs.field(init=False, factory=itertools.count)
    _lanes: int = attrs.field(init=False, default=0)
    _lanes_resting: int = attrs.field(init=False, default=0)
    _flying: dict[int, Entry] = attrs.field(init=False, factory=dict[int, Entry])
    _retrying: int = attrs.field(init=False, default=0)
    _weight: int = attrs.field(init=False, default=0)

    def __len__(self) -> int:
        return len(self._live)

    @property
    def in_flight(self) -> int:
        """How many records are in flight."""
        return len(self._flying)

    def flying(self) -> list[Entry]:
        """Return the records that are in flight."""
        return list(self._flying.values())

    @property
    def waiting(self) -> int:
        """How many records are not in flight."""
        return len(self._live) - len(self._flying)

    @property
    def weight(self) -> int:
        """How many bytes of bodies are not in flight."""
        return self._weight

    def get(self, record_id: int) -> Entry | None:
        """Return the record with this number, if it has not ended."""
        return self._live.get(record_id)

    def push(self, entry: Entry) -> None:
        """Put an accepted record at the end of its visitor's lane, joining lanes that it shows to be one."""
        lane = self._lane_for(entry.identities if self._ordered else ())
        if lane.line:
            lane.free_tail()
        entry.lane = lane
        lane.line.append(entry)
        lane.waiting += 1
        self._live[entry.id] = entry
        self._retrying += entry.attempts > 0  # one that comes back from a spool may have been sent before
        self._weight += len(entry.body)
        if lane.state is LaneState.EMPTY or lane.state is LaneState.RESTING:
            self._steer(lane)  # of all others the head is what it was, and so is what they do

    def tail(self, identities: tuple[str, ...]) -> Entry | None:
        """Return the newest record of the lane that all *identities* lead to, if it was never attempted."""
        lanes = [self._by_key.get(key) for key in identities]
        lane = lanes[0] if lanes else None
        if lane is None or any(other is not lane for other in lanes):
            return None
        return lane.tail()

    def claim(self, now: float) -> Entry | None:
        """Take the head of the lane whose turn it is; it is in flight from now on."""
        head = self.first(now)
        if head is not None:
            self._take(cast("Lane", head.lane), head)
        return head

    def first(self, now: float) -> Entry | None:
        """Return the record that :meth:`claim` would take."""
        self._wake(now)
        if not self._ready:
            return None
        lane = next(iter(self._ready))
        head = cast("Entry", lane.head())  # a lane without one is empty, and does not stand in the queue
        head.lane = lane
        return head

    def claim_following(self, entry: Entry) -> None:
        """Take what :meth:`following` returned for a record that is in flight: the two go in one request."""
        lane = self._root(entry)
        self._take(lane, cast("Entry", lane.head()))

    def settle(self, entry: Entry) -> None:
        """End a record that is in flight."""
        lane = self._land(entry)
        entry.state = EntryState.ENDED
        del self._live[entry.id]
        self._steer(lane)

    def following(self, entry: Entry) -> Entry | None:
        """Return the record that is next in the lane of one that is in flight, or was just now."""
        lane = self._root(entry)
        head = lane.head()
        if head is not None:
            head.lane = lane
        return head

    def defer(self, entry: Entry, due: float) -> None:
        """Put a record that is in flight back to the head of its lane, not to go before *due*."""
        lane = self._land(entry)
        entry.state = EntryState.WAITING
        entry.due = due
        heapq.heappush(lane.earlier, (entry.id, entry))
        lane.waiting += 1
        self._retrying += entry.attempts > 0
        self._weight += len(entry.body)
        self._steer(lane)

    def withdraw(self, entry: Entry) -> None:
        """End a waiting record."""
        lane = self._root(entry)
        entry.state = EntryState.ENDED
        self._weight -= len(entry.body)
        entry.body, entry.properties = b"", None  # its room is given back, but it may stay in the deque as a mark
        del self._live[entry.id]
        lane.waiting -= 1
        self._retrying -= entry.attempts > 0
        lane.tidy()
        self._steer(lane)

    def clear(self) -> list[Entry]:
        """End everything at once; return it in the order of acceptance."""
        entries = list(self._live.values())
        for entry in entries:
            entry.state = EntryState.ENDED
        for index in (self._by_key, self._ready, self._resting, self._live, self._flying):
            index.clear()
        self._lanes = self._lanes_resting = self._retrying = self._weight = 0
        return entries

    def replace(self, entry: Entry, body: bytes) -> None:
        """Give a waiting record another body."""
        self._weight += len(body) - len(entry.body)
        entry.body = body

    def release(self, entry: Entry) -> None:
        """Let a waiting record go that was held back until it was due."""
        entry.due = 0.0
        self._steer(self._root(entry))

    def oldest_waiting(self) -> Entry | None:
        """Return the record that has waited longest. At most as many steps as there are records in flight."""
        return next((entry for entry in self._live.values() if entry.state is EntryState.WAITING), None)

    def live(self) -> list[Entry]:
        """Return all that has not ended, in the order of acceptance."""
        return list(self._live.values())

    def oldest(self) -> Entry | None:
        """Return the first record in the order of acceptance that has not ended."""
        return next(iter(self._live.values()), None)

    def next_due(self, now: float) -> float:
        """
        Say when a head can be claimed.

        Returns:
            A time that is not after *now* where one can be claimed now, and infinity where only a change can help.
        """
        self._wake(now)
        if self._ready:
            return now
        return self._resting[0][0] if self._resting else float("inf")

    def statistics(self) -> LaneStatistics:
        """Return the counts of the moment."""
        return LaneStatistics(
            lanes=self._lanes,
            waiting=self.waiting,
            in_flight=len(self._flying),
            retrying=self._retrying,
        )

    def _lane_for(self, identities: tuple[str, ...]) -> Lane:
        lane: Lane | None = None
        for key in identities:
            known = self._by_key.get(key)
            if known is not None and known is not lane:
                lane = known if lane is None else self._join(lane, known)
        if lane is None:
            lane = Lane()
        for key in identities:
            if self._by_key.get(key) is not lane:
                self._by_key[key] = lane
                lane.keys.append(key)
        return lane

    def _join(self, one: Lane, other: Lane) -> Lane:
        stays, goes = (one, other) if _size(one) >= _size(other) else (other, one)
        for lane in (stays, goes):
            lane.free_tail()  # the record that links them is about to come behind both
        for key in goes.keys:
            self._by_key[key] = stays
        stays.keys += goes.keys
        for entry in itertools.chain(goes.line, (entry for _, entry in goes.earlier)):
            if entry.state is EntryState.WAITING:
                heapq.heappush(stays.earlier, (entry.id, entry))
                stays.newest_taken = max(stays.newest_taken, entry.id)
        stays.newest_taken = max(stays.newest_taken, goes.newest_taken)
        stays.waiting += goes.waiting
        stays.in_flight += goes.in_flight
        goes.joined = stays
        goes.waiting = goes.in_flight = 0
        goes.keys, goes.line, goes.earlier = [], deque(), []
        self._steer(goes)
        self._steer(stays)
        return stays

    def _take(self, lane: Lane, head: Entry) -> None:
        lane.take(head)
        self._retrying -= head.attempts > 0
        self._weight -= len(head.body)
        head.state = EntryState.IN_FLIGHT
        lane.in_flight += 1
        self._flying[head.id] = head
        self._steer(lane)

    def _root(self, entry: Entry) -> Lane:
        lane = cast("Lane", entry.lane)
        while lane.joined is not None:
            lane = lane.joined
        entry.lane = lane
        return lane

    def _land(self, entry: Entry) -> Lane:
        lane = self._root(entry)
        lane.in_flight -= 1
        del self._flying[entry.id]
        return lane

    def _steer(self, lane: Lane) -> None:
        """Tell *lane* what changed, and keep the queues in step with its state."""
        before = lane.state
        signal, due = _signal(lane)
        lane.state = after = TRANSITIONS[before][signal]
        if after is LaneState.READY is not before:
            self._ready[lane] = None
        elif before is LaneState.READY is not after:
            del self._ready[lane]
        self._lanes += (before is LaneState.EMPTY) - (after is LaneState.EMPTY)
        self._lanes_resting += (after is LaneState.RESTING) - (before is LaneState.RESTING)
        was_due, lane.due = lane.due, due
        if after is LaneState.RESTING and (before is not after or due != was_due):
            self._rest(lane)
        if after is LaneState.EMPTY:
            for key in lane.keys:
                del self._by_key[key]
            lane.keys = []

    def _rest(self, lane: Lane) -> None:
        heapq.heappush(self._resting, (lane.due, next(self._tickets), lane))
        if len(self._resting) > 2 * self._lanes_resting + 8:  # most are places of lanes that rest no longer
            resting = {item[2]: item for item in self._resting if _rests(item[2], item[0])}
            self._resting = sorted(resting.values())

    def _wake(self, now: float) -> None:
        while self._resting:
            due, _, lane = self._resting[0]
            if _rests(lane, due):
                if due > now:
                    return
                cast("Entry", lane.head()).due = 0.0  # it is its head that a lane rests for
                self._steer(lane)
            heapq.heappop(self._resting)


def _size(lane: Lane) -> int:
    return len(lane.line) + len(lane.earlier) + len(lane.keys)


def _rests(lane: Lane, until: float) -> bool:
    return lane.state is LaneState.RESTING and lane.due == until


def _signal(lane: Lane) -> tuple[Signal, float]:
    if lane.in_flight:
        return Signal.CLAIM, 0.0
    head = lane.head()
    if head is None:
        return Signal.DRAIN, 0.0
    return (Signal.POSTPONE, head.due) if head.due > 0.0 else (Signal.OFFER, 0.0)
