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

The cost of a record does not depend on how many lanes or records there are. Each lane is a line, because records come
in order. What arrives out of order (a retried head, the records of a joined lane) goes into a small heap beside it; the
smaller lane is moved, so a record is moved at most log2(n) times. A withdrawn record stays where it is, marked, until
it comes to an end of the line or the marked ones are the majority. All records together stand in a line of the same
kind, which knows the oldest: eight bytes for each, where an ordered mapping would take a hundred and fifty.
"""

from __future__ import annotations

import heapq
import itertools
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from typing import Final, cast

import attrs

from .entry import Entry, EntryState
from .lane import SHORT, TRANSITIONS, Lane, LaneState, Line, Signal

# Bound once: every access by the class costs as much as the comparison.
_WAITING: Final = EntryState.WAITING
_IN_FLIGHT: Final = EntryState.IN_FLIGHT
_EMPTY: Final = LaneState.EMPTY
_READY: Final = LaneState.READY
_RESTING: Final = LaneState.RESTING
_CLAIM: Final = (Signal.CLAIM, 0.0)
_DRAIN: Final = (Signal.DRAIN, 0.0)
_OFFER: Final = (Signal.OFFER, 0.0)


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
    _line: Line = attrs.field(init=False, factory=lambda: Line(deque()))
    _waiting: int = attrs.field(init=False, default=0)
    _tickets: Iterator[int] = attrs.field(init=False, factory=itertools.count)
    _lanes: int = attrs.field(init=False, default=0)
    _lanes_resting: int = attrs.field(init=False, default=0)
    _flying: dict[int, Entry] = attrs.field(init=False, factory=dict[int, Entry])
    _retrying: int = attrs.field(init=False, default=0)
    _weight: int = attrs.field(init=False, default=0)

    def __len__(self) -> int:
        return self._waiting + len(self._flying)

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
        return self._waiting

    @property
    def weight(self) -> int:
        """How many bytes of bodies are not in flight."""
        return self._weight

    def push(self, entry: Entry) -> None:
        """Put an accepted record at the end of its visitor's lane, joining lanes that it shows to be one."""
        identities = entry.identities
        if not self._ordered:
            lane = Lane()
        else:
            known = self._by_key.get(identities[0]) if len(identities) == 1 else None
            lane = known or self._lane_for(identities)  # which finds all others, too
            if identities == lane.identities:
                entry.identities = lane.identities  # one copy for all records of a visitor
        line = lane.line
        if line and (line[-1].due or line[-1].state is not _WAITING):
            lane.free_tail()
        entry.lane = lane
        line.append(entry)
        if len(line) == SHORT:
            lane.lengthen()
        lane.waiting += 1
        self._line.line.append(entry)
        self._waiting += 1
        if entry.attempts:  # one that comes back from a spool may have been sent before
            self._retrying += 1
        self._weight += len(entry.body)
        if lane.state is _EMPTY:
            self._steer(lane, _signal_of(entry))
        elif lane.state is _RESTING:
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
            self._take(head.lane, head)
        return head

    def first(self, now: float) -> Entry | None:
        """Return the record that :meth:`claim` would take."""
        if self._resting:
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
        entry.body, entry.properties = b"", None  # it may stay in the line of all records as a mark
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
        lane.put_back(entry)
        self._line.put_back(entry)
        lane.waiting += 1
        self._waiting += 1
        self._retrying += entry.attempts > 0
        self._weight += len(entry.body)
        self._line.tidy(self._waiting)
        self._steer(lane)

    def withdraw(self, entry: Entry) -> None:
        """End a waiting record."""
        lane = self._root(entry)
        entry.state = EntryState.ENDED
        self._weight -= len(entry.body)
        entry.body, entry.properties = b"", None  # its room is given back, but it may stay in the line as a mark
        lane.waiting -= 1
        self._waiting -= 1
        self._retrying -= entry.attempts > 0
        lane.tidy(lane.waiting)
        self._line.tidy(self._waiting)
        self._steer(lane)

    def clear(self) -> list[Entry]:
        """End everything at once; return it in the order of acceptance."""
        entries = self.live()
        for entry in entries:
            entry.state = EntryState.ENDED
        for index in (self._by_key, self._ready, self._resting, self._flying):
            index.clear()
        self._line = Line(deque())
        self._waiting = self._lanes = self._lanes_resting = self._retrying = self._weight = 0
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
        """Return the record that has waited longest."""
        return self._line.head()

    def live(self) -> list[Entry]:
        """Return all that has not ended, in the order of acceptance. It takes a while: each is looked at."""
        records = self._line.waiting_records() | self._flying
        return [records[number] for number in sorted(records)]

    def oldest(self) -> Entry | None:
        """Return the first record in the order of acceptance that has not ended."""
        waiting = self.oldest_waiting()
        oldest = [*self._flying.values(), *([] if waiting is None else [waiting])]
        return min(oldest, key=lambda entry: entry.id, default=None)

    def next_due(self, now: float) -> float:
        """
        Say when a head can be claimed.

        Returns:
            A time that is not after *now* where one can be claimed now, and infinity where only a change can help.
        """
        if self._resting:
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
            keys = identities if len(identities) == 1 else tuple(dict.fromkeys(identities))
            lane = Lane(identities=identities, keys=keys)
            for key in keys:
                self._by_key[key] = lane
            return lane
        new = [key for key in dict.fromkeys(identities) if self._by_key.get(key) is not lane]
        if new:
            self._by_key.update(dict.fromkeys(new, lane))
            _add_keys(lane, new)
        return lane

    def _join(self, one: Lane, other: Lane) -> Lane:
        stays, goes = (one, other) if _size(one) >= _size(other) else (other, one)
        for lane in (stays, goes):
            lane.free_tail()  # the record that links them is about to come behind both
        for key in goes.keys:
            self._by_key[key] = stays
        _add_keys(stays, goes.keys)
        for number, entry in goes.waiting_records().items():
            stays.put_back(entry)
            stays.newest_taken = max(stays.newest_taken, number)
        stays.newest_taken = max(stays.newest_taken, goes.newest_taken)
        stays.waiting += goes.waiting
        stays.in_flight += goes.in_flight
        goes.joined = stays
        goes.waiting = goes.in_flight = 0
        goes.keys, goes.line, goes.earlier = (), [], None
        self._steer(goes)
        self._steer(stays)
        return stays

    def _take(self, lane: Lane, head: Entry) -> None:
        lane.take(head)
        if head.attempts:
            self._retrying -= 1
        self._weight -= len(head.body)
        head.state = _IN_FLIGHT
        lane.in_flight += 1
        self._waiting -= 1
        self._flying[head.id] = head
        self._line.tidy(self._waiting)
        self._steer(lane, _CLAIM)

    def _root(self, entry: Entry) -> Lane:
        lane: Lane = entry.lane
        while lane.joined is not None:
            lane = lane.joined
        entry.lane = lane
        return lane

    def _land(self, entry: Entry) -> Lane:
        lane = self._root(entry)
        lane.in_flight -= 1
        del self._flying[entry.id]
        return lane

    def _steer(self, lane: Lane, told: tuple[Signal, float] | None = None) -> None:
        """Tell *lane* what changed, or what it shows by itself, and keep the queues in step with its state."""
        before, was_due = lane.state, lane.due
        signal, due = told or _signal(lane)
        after = lane.state = TRANSITIONS[before][signal]
        lane.due = due
        if after is before:
            if after is _RESTING and due != was_due:
                self._rest(lane)
            return
        if before is _READY:
            del self._ready[lane]
        elif before is _RESTING:
            self._lanes_resting -= 1
        elif before is _EMPTY:
            self._lanes += 1
        if after is _READY:
            self._ready[lane] = None
        elif after is _RESTING:
            self._lanes_resting += 1
            self._rest(lane)
        elif after is _EMPTY:
            self._lanes -= 1
            for key in lane.keys:
                del self._by_key[key]
            lane.keys = ()

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
    return lane.length + len(lane.keys)


def _add_keys(lane: Lane, keys: Iterable[str]) -> None:
    if isinstance(lane.keys, tuple):
        lane.keys = list(lane.keys)
    lane.keys += keys


def _rests(lane: Lane, until: float) -> bool:
    return lane.state is _RESTING and lane.due == until


def _signal(lane: Lane) -> tuple[Signal, float]:
    if lane.in_flight:
        return _CLAIM
    return _signal_of(cast("Entry", lane.head())) if lane.waiting else _DRAIN


def _signal_of(head: Entry) -> tuple[Signal, float]:
    return (Signal.POSTPONE, head.due) if head.due > 0.0 else _OFFER
