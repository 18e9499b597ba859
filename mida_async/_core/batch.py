"""
Requests that carry several records: which ones, and what a refusal says about each.

A request takes the head of each lane whose turn it is, then what follows these heads, in turn again. So a visitor with
a thousand records fills a request only where there is nobody else, and the records of one visitor are in it in their
order.

A service may refuse a request for one of its records without saying for which. Then each of them may only travel in
half as large a company as before. The good ones are through as soon as the bad one is in another request; the bad one
is alone, and known, after as many refusals as the number of records can be halved. Nothing has to be remembered about
the request, and no other record is held up.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, cast

import attrs

from .entry import Entry
from .lane import Lane

if TYPE_CHECKING:
    from .lanes import Lanes


@attrs.frozen(kw_only=True)
class BatchLimits:
    """
    How much one request carries.

    A request goes as soon as it is full by one of these, or when its first record has waited long enough.

    Attributes:
        records: How many records, at most.
        size: How many bytes of encoded bodies together, at most; a single record that is larger goes alone.
        linger: How many seconds a record waits for others to travel with, where the settings of the buffer do not say.
    """

    records: int
    size: int
    linger: float


@attrs.frozen(kw_only=True)
class Blame:
    """
    Which of the records in a refused request are to blame. The request as a whole had no effect.

    Attributes:
        culprits: The positions of those that the refusal is about.
        suspects: The positions among which there is a culprit, where the refusal does not say which one it is.
    """

    culprits: frozenset[int] = frozenset()
    suspects: frozenset[int] = frozenset()

    def within(self, records: int) -> Blame:
        """
        Return the same with positions that exist. Blame that names nobody is a suspicion of all.

        Args:
            records: How many records were in the request.
        """
        everybody = frozenset(range(records))
        culprits, suspects = self.culprits & everybody, self.suspects & everybody
        if not culprits and not suspects:
            suspects = everybody
        if len(suspects) == 1:
            return Blame(culprits=culprits | suspects)
        return Blame(culprits=culprits, suspects=suspects - culprits)


@attrs.define(eq=False)
class _Load:
    """What is in one request so far, lane by lane."""

    limits: BatchLimits
    company: int | None
    lanes: dict[Lane, list[Entry]] = attrs.field(factory=dict[Lane, list[Entry]])
    records: int = 0
    size: int = 0
    # Services refuse a request that holds the same event twice. Those that only a later link shows to be of one visitor
    # were accepted apart from each other.
    _unique: set[tuple[Lane, str, str]] = attrs.field(factory=set[tuple[Lane, str, str]])

    def add(self, entry: Entry) -> None:
        lane = cast("Lane", entry.lane)
        self.lanes.setdefault(lane, []).append(entry)
        self.records += 1
        self.size += len(entry.body)
        if entry.unique_id is not None:
            self._unique.add((lane, entry.name, entry.unique_id))

    def takes(self, entry: Entry) -> bool:
        most = self.limits.records if self.company is None else min(self.limits.records, self.company)
        return (
            self.records < most
            and self.size + len(entry.body) <= self.limits.size
            and entry.company == self.company
            and entry.destination is None
            and (cast("Lane", entry.lane), entry.name, entry.unique_id) not in self._unique
        )


def gather(lanes: Lanes, first: Entry, limits: BatchLimits, now: float) -> list[Entry]:
    """
    Take what goes in one request with *first*.

    Args:
        lanes: Where the records wait; those that are taken are in flight from now on.
        first: The first record of the request, which was just taken.
        limits: How much the request may carry.
        now: The time.

    Returns:
        All records of the request, *first* included, those of one lane together and in their order.
    """
    load = _Load(limits, first.company)
    load.add(first)
    while (head := lanes.first(now)) is not None and load.takes(head):
        lanes.claim(now)
        load.add(head)
    last = deque(records[0] for records in load.lanes.values())
    while last:
        before = last.popleft()
        entry = lanes.following(before)
        if entry is not None and entry.due <= now and load.takes(entry):
            lanes.claim_following(before)
            load.add(entry)
            last.append(entry)
    return [entry for records in load.lanes.values() for entry in records]
