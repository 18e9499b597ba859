"""One lane: the records of one visitor, and the states that it goes through."""

from __future__ import annotations

import enum
import heapq
from collections import deque
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

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


# What a lane that holds records is told. A busy one gets no OFFER or POSTPONE while anything of it is in flight: see
# `_signal`.
_ANY_TIME: Final[Mapping[Signal, LaneState]] = MappingProxyType(
    {
        Signal.OFFER: LaneState.READY,
        Signal.CLAIM: LaneState.BUSY,
        Signal.POSTPONE: LaneState.RESTING,
        Signal.DRAIN: LaneState.EMPTY,
    }
)

# A lane is found by others only after its first record is in, so an empty one can neither be claimed nor drained.
TRANSITIONS: Final[Mapping[LaneState, Mapping[Signal, LaneState]]] = MappingProxyType(
    {
        LaneState.EMPTY: MappingProxyType({Signal.OFFER: LaneState.READY, Signal.POSTPONE: LaneState.RESTING}),
        LaneState.READY: _ANY_TIME,
        LaneState.BUSY: _ANY_TIME,
        LaneState.RESTING: _ANY_TIME,
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

    def free_tail(self) -> None:
        """Hold the newest record back no longer: with another one behind it, nothing can be folded into it any more."""
        tail = self.tail()
        if tail is not None:
            tail.due = 0.0

    def tidy(self) -> None:
        """Throw the marked records away once they are the majority."""
        if len(self.line) + len(self.earlier) > 2 * self.waiting + 8:
            self.line = deque(entry for entry in self.line if entry.state is EntryState.WAITING)
            self.earlier = [item for item in self.earlier if item[1].state is EntryState.WAITING]
            heapq.heapify(self.earlier)
