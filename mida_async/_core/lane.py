"""One lane: the records of one visitor, and the states that it goes through."""

from __future__ import annotations

import enum
import heapq
import itertools
from collections import deque
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


# Bound once: every access by the class costs as much as the comparison.
_WAITING: Final = EntryState.WAITING

SHORT: Final = 64
"""So many records a list may hold: to remove the first moves half a kilobyte at most."""


@attrs.define(eq=False)
class Line:
    """
    Records in the order of acceptance, of which those that wait count.

    Each is put at the end. One that waits again goes into a small heap beside. All others stay where they are, as a
    mark that is stepped over, until they come to an end of the line or are the majority.

    Attributes:
        line: A list as long as it is short, else a deque: an empty one takes six hundred bytes, and there can be a line
            for every record.
        earlier: The heap; None as long as nothing was ever in it.
    """

    line: list[Entry] | deque[Entry] = attrs.field(factory=list[Entry])
    earlier: list[tuple[int, Entry]] | None = None

    def head(self) -> Entry | None:
        """Return the oldest waiting record."""
        line, earlier = self.line, self.earlier
        while line and line[0].state is not _WAITING:
            del line[0]
        if earlier:
            while earlier and earlier[0][1].state is not _WAITING:
                heapq.heappop(earlier)
            if earlier and (not line or earlier[0][0] < line[0].id):
                return earlier[0][1]
        return line[0] if line else None

    def put_back(self, entry: Entry) -> None:
        """Put a record where it was that is no longer at its place."""
        if self.earlier is None:
            self.earlier = []
        heapq.heappush(self.earlier, (entry.id, entry))

    @property
    def length(self) -> int:
        """How many records and marks there are."""
        return len(self.line) + len(self.earlier) if self.earlier else len(self.line)

    def lengthen(self) -> None:
        """Be ready for more than :data:`SHORT`."""
        if isinstance(self.line, list):
            self.line = deque(self.line)

    def tidy(self, waiting: int) -> None:
        """
        Throw the marks away once they are the majority.

        Args:
            waiting: How many records wait.
        """
        if self.length > 2 * waiting + 8:
            self.line = type(self.line)(entry for entry in self.line if entry.state is _WAITING)
            # Here and there at once is what went and came back while an older one held the line.
            there = {entry.id for entry in self.line}
            again = {number: entry for number, entry in self.earlier or () if entry.state is _WAITING}
            self.earlier = [item for item in again.items() if item[0] not in there]
            heapq.heapify(self.earlier)

    def waiting_records(self) -> dict[int, Entry]:
        """Return all that wait, by their numbers."""
        records = itertools.chain(self.line, (entry for _, entry in self.earlier or ()))
        return {entry.id: entry for entry in records if entry.state is _WAITING}


@attrs.define(eq=False)
class Lane(Line):
    """
    The records of one visitor.

    Attributes:
        identities: Those of the record that it began with; most others have the same.
        keys: All identities that lead here; a list where they came one by one.
        newest_taken: The number of the newest record that was in flight.
        waiting: How many records wait.
        in_flight: How many are in flight.
        due: When its head may go, while it rests.
        state: What it is doing.
        joined: The lane that it was poured into.
    """

    identities: tuple[str, ...] = ()
    keys: list[str] | tuple[str, ...] = ()
    newest_taken: int = 0
    waiting: int = 0
    in_flight: int = 0
    due: float = 0.0
    state: LaneState = LaneState.EMPTY
    joined: Lane | None = None

    def take(self, head: Entry) -> None:
        """Remove what :meth:`head` returned."""
        line = self.line
        if line and line[0] is head:
            del line[0]
        else:
            heapq.heappop(cast("list[tuple[int, Entry]]", self.earlier))
        self.newest_taken = max(self.newest_taken, head.id)
        self.waiting -= 1

    def tail(self) -> Entry | None:
        """Return the newest record if it is still waiting and was never attempted."""
        line = self.line
        while line and line[-1].state is not _WAITING:
            line.pop()
        # What came with a joined lane is in the heap or in flight, and can be newer than all that is left in the deque.
        return line[-1] if line and line[-1].id > self.newest_taken else None

    def free_tail(self) -> None:
        """Hold the newest record back no longer: with another one behind it, nothing can be folded into it any more."""
        tail = self.tail()
        if tail is not None:
            tail.due = 0.0
