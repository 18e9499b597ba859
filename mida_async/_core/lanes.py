"""
Which record may go next.

Rule 1: every decision about order is made in this file.
Rule 2: nothing here awaits, sleeps or reads a clock; time comes in as ``now``.

A lane holds the records of one visitor in the order of their acceptance, and at most one of them is in flight. A failed
record goes back to the head of its lane, and the lane rests until the record is due; no other lane notices. Lanes whose
head may go stand in a queue and are served in turn, so a visitor with a thousand records delays nobody.

A visitor has several identifiers. A record that carries identifiers of two lanes shows that they are the same visitor:
the smaller lane is poured into the larger one, in the order of acceptance. If both had a record in flight, the next one
waits for both.

The cost of a record does not depend on how many lanes or records there are. Each lane is a deque, because records come
in order. What arrives out of order (a retried head, the records of a joined lane) goes into a small heap beside it; the
smaller lane is moved, so a record is moved at most log2(n) times. A withdrawn record stays where it is, marked, until
it comes to an end of the deque or the marked ones are the majority.
"""

from __future__ import annotations

import enum
import heapq
import itertools
from collections import OrderedDict, deque
from collections.abc import Iterator
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast

import attrs

from .entry import Entry, EntryState

if TYPE_CHECKING:
    from collections.abc import Mapping


class LaneState(enum.Enum):
    """What a lane is doing."""

    __hash__ = object.__hash__  # Enum's own is a Python function, and every record looks the table up three times

    EMPTY = "empty"
    """It holds nothing, and nobody can find it."""

    READY = "ready"
    """Its head may go; it stands in the queue."""

    BUSY = "busy"
    """A record of it is in flight; two can be, right after lanes were joined."""

    RESTING = "resting"
    """Its head waits until it is due."""


class Signal(enum.Enum):
    """What a lane is told after something about it changed."""

    __hash__ = object.__hash__  # Enum's own is a Python function, and every record looks the table up three times

    OFFER = "the head may go"
    CLAIM = "a record is in flight"
    POSTPONE = "the head is not due"
    DRAIN = "it holds nothing"


# A busy lane gets no OFFER or POSTPONE while anything of it is in flight: see `_signal`. A lane is found by others only
# after its first record is in, so an empty one can neither be claimed nor drained.
TRANSITIONS: Final[Mapping[LaneState, Mapping[Signal, LaneState]]] = MappingProxyType(
    {
        LaneState.EMPTY: MappingProxyType(
            {
                Signal.OFFER: LaneState.READY,
                Signal.POSTPONE: LaneState.RESTING,
            }
        ),
        LaneState.READY: MappingProxyType(
            {
                Signal.OFFER: LaneState.READY,
                Signal.CLAIM: LaneState.BUSY,
                Signal.POSTPONE: LaneState.RESTING,
                Signal.DRAIN: LaneState.EMPTY,
            }
        ),
        LaneState.BUSY: MappingProxyType(
            {
                Signal.OFFER: LaneState.READY,
                Signal.CLAIM: LaneState.BUSY,
                Signal.POSTPONE: LaneState.RESTING,
                Signal.DRAIN: LaneState.EMPTY,
            }
        ),
        LaneState.RESTING: MappingProxyType(
            {
                Signal.OFFER: LaneState.READY,
                Signal.CLAIM: LaneState.BUSY,
                Signal.POSTPONE: LaneState.RESTING,
                Signal.DRAIN: LaneState.EMPTY,
            }
        ),
    }
)


@attrs.define(eq=False)
class Lane:
    """The records of one visitor."""

    keys: list[str] = attrs.field(factory=list[str])
    line: deque[Entry] = attrs.field(factory=deque[Entry])
    earlier: list[tuple[int, Entry]] = attrs.field(factory=list[tuple[int, Entry]])
    newest_taken: int = 0
    waiting: int = 0
    in_flight: int = 0
    due: float = 0.0
    state: LaneState = LaneState.EMPTY
    joined: Lane | None = None

    def head(self) -> Entry | None:
        """Return the oldest waiting record."""
        while self.earlier and self.earlier[0][1].state is EntryState.ENDED:
            heapq.heappop(self.earlier)
        while self.line and self.line[0].state is EntryState.ENDED:
            self.line.popleft()
        if self.earlier and (not self.line or self.earlier[0][0] < self.line[0].id):
            return self.earlier[0][1]
        return self.line[0] if self.line else None

    def take(self, head: Entry) -> None:
        """Remove what :meth:`head` returned."""
        if self.line and self.line[0] is head:
            self.line.popleft()
        else:
            heapq.heappop(self.earlier)
        self.newest_taken = max(self.newest_taken, head.id)
        self.waiting -= 1

    def tail(self) -> Entry | None:
        """Return the newest record if it is still waiting and was never attempted."""
        while self.line and self.line[-1].state is EntryState.ENDED:
            self.line.pop()
        # What came with a joined lane is in the heap or in flight, and can be newer than all that is left in the deque.
        return self.line[-1] if self.line and self.line[-1].id > self.newest_taken else None

    def tidy(self) -> None:
        """Throw the marked records away once they are the majority."""
        if len(self.line) + len(self.earlier) > 2 * self.waiting + 8:
            self.line = deque(entry for entry in self.line if entry.state is EntryState.WAITING)
            self.earlier = [item for item in self.earlier if item[1].state is EntryState.WAITING]
            heapq.heapify(self.earlier)


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
    _flying: dict[int, Entry] = attrs.field(init=False, factory=dict[int, Entry])
    _retrying: int = attrs.field(init=False, default=0)

    def __len__(self) -> int:
        return len(self._live)

    @property
    def in_flight(self) -> int:
        """How many records are in flight."""
        return len(self._flying)

    def flying(self) -> list[Entry]:
        """Return the records that are in flight."""
        return list(self._flying.values())

    def get(self, record_id: int) -> Entry | None:
        """Return the record with this number, if it has not ended."""
        return self._live.get(record_id)

    def push(self, entry: Entry) -> None:
        """Put an accepted record at the end of its visitor's lane, joining lanes that it shows to be one."""
        lane = self._lane_for(entry.identities if self._ordered else ())
        entry.lane = lane
        lane.line.append(entry)
        lane.waiting += 1
        self._live[entry.id] = entry
        self._steer(lane)

    def tail(self, identities: tuple[str, ...]) -> Entry | None:
        """Return the newest record of the lane that all *identities* lead to, if it was never attempted."""
        lanes = [self._by_key.get(key) for key in identities]
        lane = lanes[0] if lanes else None
        if lane is None or any(other is not lane for other in lanes):
            return None
        return lane.tail()

    def claim(self, now: float) -> Entry | None:
        """Take the head of the lane whose turn it is; it is in flight from now on."""
        self._wake(now)
        if not self._ready:
            return None
        lane = next(iter(self._ready))
        head = cast("Entry", lane.head())  # a lane without one is empty, and does not stand in the queue
        lane.take(head)
        self._retrying -= head.attempts > 0
        head.state = EntryState.IN_FLIGHT
        lane.in_flight += 1
        self._flying[head.id] = head
        self._steer(lane)
        return head

    def settle(self, entry: Entry) -> None:
        """End a record that is in flight."""
        lane = self._land(entry)
        entry.state = EntryState.ENDED
        del self._live[entry.id]
        self._steer(lane)

    def defer(self, entry: Entry, due: float) -> None:
        """Put a record that is in flight back to the head of its lane, not to go before *due*."""
        lane = self._land(entry)
        entry.state = EntryState.WAITING
        entry.due = due
        heapq.heappush(lane.earlier, (entry.id, entry))
        lane.waiting += 1
        self._retrying += entry.attempts > 0
        self._steer(lane)

    def withdraw(self, entry: Entry) -> None:
        """End a waiting record."""
        lane = self._root(entry)
        entry.state = EntryState.ENDED
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
        self._lanes = self._retrying = 0
        return entries

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
            waiting=len(self._live) - len(self._flying),
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
        if after is LaneState.RESTING and (before is not after or due != lane.due):
            heapq.heappush(self._resting, (due, next(self._tickets), lane))
        lane.due = due
        self._lanes += (before is LaneState.EMPTY) - (after is LaneState.EMPTY)
        if after is LaneState.EMPTY:
            for key in lane.keys:
                del self._by_key[key]
            lane.keys = []

    def _wake(self, now: float) -> None:
        while self._resting:
            due, _, lane = self._resting[0]
            if lane.state is LaneState.RESTING and lane.due == due:
                if due > now:
                    return
                cast("Entry", lane.head()).due = 0.0  # it is its head that a lane rests for
                self._steer(lane)
            heapq.heappop(self._resting)


def _size(lane: Lane) -> int:
    return len(lane.line) + len(lane.earlier) + len(lane.keys)


def _signal(lane: Lane) -> tuple[Signal, float]:
    if lane.in_flight:
        return Signal.CLAIM, 0.0
    head = lane.head()
    if head is None:
        return Signal.DRAIN, 0.0
    return (Signal.POSTPONE, head.due) if head.due > 0.0 else (Signal.OFFER, 0.0)
