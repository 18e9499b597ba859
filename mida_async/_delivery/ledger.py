"""The books: what was accepted, what became of it, and the futures that callers hold."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import TYPE_CHECKING

import attrs

from .._core.entry import End, Receipt
from .._core.verdict import Ended
from .admission import resolve
from .delivery import NOBODY, Delivery, Fresh, holding_of, is_last, tell
from .log import say

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from .._core.entry import Draft, Entry
    from .._core.folding import Duplicates, Memory
    from ..destinations.base import Judgement
    from .admission import Admission
    from .reporter import Reporter


@attrs.define(eq=False)
class Watch:
    """Waits for the end of all records up to a number; so many of them are on disk alone."""

    upto: int
    left: int
    done: asyncio.Future[None]
    unread: int = 0
    counts: dict[End, int] = attrs.field(factory=lambda: dict.fromkeys(End, 0))
    later: Counter[int] = attrs.field(factory=Counter[int])

    def join(self, entry: Entry) -> None:
        """Take note of a record that came after the watch began and shares the end of *entry*."""
        if entry.id <= self.upto:
            self.later[entry.id] += 1

    def note(self, record_id: int, end: End, records: int) -> None:
        """Take note of an end that so many records have come to with the one of this number."""
        if record_id <= self.upto:
            self.counts[end] += records - self.later.pop(record_id, 0)
            self._off(1)

    def merge(self, record_id: int, into: Entry) -> None:
        """Take note of a record that was watched by itself and shares the end of *into* from now on."""
        if record_id <= self.upto:
            self.left -= 1  # it is not the last: the other one came before it, and has not ended
        else:
            self.join(into)

    def read(self, record_id: int) -> None:
        """Take note that a record is on disk alone no longer."""
        self.unread -= record_id <= self.upto

    def end_rest(self, end: End, but: Collection[int]) -> None:
        """Take note that all records that are on disk alone, *but* some, have come to the same end."""
        records = self.unread - sum(key <= self.upto for key in but)
        self.unread -= records
        self.counts[end] += records
        self._off(records)

    def _off(self, records: int) -> None:
        self.left -= records
        if self.left == 0 and not self.done.done():
            resolve(self.done)

    def words(self) -> dict[str, int]:
        """Return the counts by the words that reports use."""
        return {end.value: count for end, count in self.counts.items()}


def records_of(entry: Entry) -> int:
    """Return how many accepted records come to their end with *entry*."""
    return entry.folded + entry.shared


class Ledger:
    """
    Opens a Delivery for each accepted record and brings it to its end, once.

    Args:
        loop: The loop that the Deliveries belong to.
        admission: Takes the room of records back.
        withdraw: Called with a record whose last Delivery is being cancelled.
        duplicates: Is told of every end.
        reporter: Is told of every end.

    Attributes:
        spooled: Writes down every end, where there is a spool.
        accepted: How many records were accepted.
        held: How many records are in memory.
        ends: How many of them came to each end.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        admission: Admission,
        withdraw: Callable[[Entry], None],
        duplicates: Duplicates,
        reporter: Reporter,
    ) -> None:
        self._loop = loop
        self._let_go = self.let_go  # one for all: a bound method of its own would be 64 bytes of each Delivery
        self._withdraw = withdraw
        self._duplicates = duplicates
        self._reporter = reporter
        self._admission = admission
        self._watches: list[Watch] = []
        self._fresh = Fresh()
        self.spooled: Callable[[Entry, Ended], None] | None = None
        self.accepted = 0
        self.held = 0
        self.ends: dict[End, int] = dict.fromkeys(End, 0)

    def open(self, entry: Entry) -> Delivery:
        """Open the Delivery of a record that was just accepted, and for which room was taken."""
        self.accepted += 1
        self.held += 1
        entry.room = len(entry.body)
        entry.deliveries = delivery = self._delivery(entry.id, entry)
        self._fresh.add(entry)
        self._duplicates.accepted(entry)
        return delivery

    def fold(self, entry: Entry) -> Delivery:
        """Open the Delivery of a record that was folded into one that waits."""
        entry.folded += 1
        delivery = self._join(entry)
        self._reporter.folded(entry)
        return delivery

    def share(self, entry: Entry) -> Delivery:
        """Open the Delivery of a record that repeats one that has not ended."""
        entry.shared += 1
        delivery = self._join(entry)
        self._reporter.repeated(entry.id, entry.name, delivered=False)
        return delivery

    def _join(self, entry: Entry) -> Delivery:
        self.accepted += 1
        delivery = self._delivery(entry.id, entry)
        holding_of(entry).add(delivery)
        for watch in self._watches:
            watch.join(entry)
        return delivery

    def resize(self, entry: Entry, size: int) -> bool:
        """Change the room of a record that has not ended; return whether there is that much."""
        if not self._admission.resize(size - entry.room):
            return False
        entry.room = size
        return True

    def vacate(self, entry: Entry) -> None:
        """Give the room of a record back that is about to come to its end."""
        room, entry.room = entry.room, 0
        if not room:  # a body is never empty
            message = "room was given back twice"
            raise AssertionError(message)
        self._admission.give_back(room)

    def repeat(self, receipt: Receipt, name: str) -> Delivery:
        """Return the Delivery of a record that repeats one that was delivered before."""
        self.accepted += 1
        self.ends[End.DELIVERED] += 1
        delivery = self._delivery(receipt.record_id)
        delivery.deliver(receipt)
        self._reporter.repeated(receipt.record_id, name, delivered=True)
        return delivery

    def drop(self, entry: Entry, error: Exception) -> Delivery:
        """Return the Delivery of a record that is dropped as soon as it comes."""
        self.accepted += 1
        self.ends[End.DROPPED] += 1
        delivery = self._delivery(entry.id)
        delivery.fail(error)
        self._reporter.accepted(entry)
        self._reporter.ended(entry, Ended(end=End.DROPPED, error=error), 1, entry.accepted_at)
        return delivery

    def end(
        self, entry: Entry, ended: Ended, now: float, *, status: int = 0, judgement: Judgement | None = None
    ) -> None:
        """
        Bring a record to its end: free its room, resolve its Deliveries, tell whoever wants to know.

        Args:
            entry: The record; it is in no lane any more.
            ended: How it ends.
            now: The time.
            status: The HTTP status that accepted it.
            judgement: Of what the server said to that.
        """
        receipt = None
        if ended.end is End.DELIVERED and (entry.deliveries or entry.unique_id is not None):  # of most nobody asks
            receipt = _receipt(entry, now, status, judgement)
        told, entry.deliveries = entry.deliveries, None
        records = records_of(entry)
        self.held -= 1
        if not self.held:
            self._fresh.clear()
        self.ends[ended.end] += records
        if entry.room:
            self.vacate(entry)
        if told:
            tell(told, receipt, ended.error)
        for watch in self._watches:
            watch.note(entry.id, ended.end, records)
        self._duplicates.ended(entry, receipt, now)
        self._reporter.ended(entry, ended, records, now)
        if self.spooled is not None:
            self.spooled(entry, ended)

    # Records that are on disk alone, or were: they are known by their number, and most of them have no Delivery.

    def recovered(self, records: int) -> None:
        """Count records that an earlier process accepted."""
        self.accepted += records

    def accept_unread(self, record_id: int, draft: Draft) -> None:
        """Count a record that was accepted and is on disk alone."""
        self.accepted += 1
        self._reporter.accepted_unread(record_id, draft)

    def reopen(self, entry: Entry, delivery: Delivery | None) -> None:
        """Open a record again that was accepted before, came back from the disk, and for which room was taken."""
        self.held += 1
        entry.room = len(entry.body)
        entry.deliveries = NOBODY if delivery is None else delivery
        if delivery is not None:
            delivery.entry = entry
        self._duplicates.accepted(entry)
        for watch in self._watches:
            watch.read(entry.id)

    def share_late(self, entry: Entry, known: Memory, delivery: Delivery | None) -> None:
        """Let a record that came back from the disk share the outcome of the one that it repeats."""
        if delivery is not None:
            delivery.record_id = known.entry.id
        if known.receipt is not None:
            self.ends[End.DELIVERED] += 1
            if delivery is not None:
                delivery.deliver(known.receipt)
            for watch in self._watches:
                watch.read(entry.id)
                watch.note(entry.id, End.DELIVERED, 1)
        else:
            known.entry.shared += 1
            holding_of(known.entry).add(delivery)
            if delivery is not None:
                delivery.entry = known.entry
            for watch in self._watches:
                watch.read(entry.id)
                watch.merge(entry.id, known.entry)
        self._reporter.repeated(known.entry.id, entry.name, delivered=known.receipt is not None)

    def end_unread(self, record_id: int, event_name: str, end: End) -> None:
        """Count the end of a record that is on disk alone."""
        self.ends[end] += 1
        for watch in self._watches:
            watch.read(record_id)
            watch.note(record_id, end, 1)
        self._reporter.ended_unread(record_id, event_name, end)

    def end_rest(self, records: int, end: End, *, but: Collection[int] = ()) -> None:
        """Count the end of so many records, which are all that is on disk alone *but* those of these numbers."""
        self.ends[end] += records
        for watch in self._watches:
            watch.end_rest(end, but)

    def let_go(self, delivery: Delivery) -> None:
        """Withdraw a record if this was the last Delivery of it; it is being cancelled."""
        entry = delivery.entry
        if entry is None or entry.deliveries is None:
            return  # a hook that was told of the end cancels it once more
        if is_last(entry):
            self._withdraw(entry)

    def watch(self, upto: int, live: int, unread: int = 0) -> Watch:
        """Watch the *live* records that are pending up to number *upto*; *unread* of them are on disk alone."""
        watch = Watch(upto, live, self._loop.create_future(), unread)
        if live:
            self._watches.append(watch)
        else:
            watch.done.set_result(None)
        return watch

    def unwatch(self, watch: Watch) -> None:
        """Stop watching."""
        if watch in self._watches:
            self._watches.remove(watch)

    @property
    def pending(self) -> int:
        """How many accepted records have no end yet."""
        return self.accepted - sum(self.ends.values())

    def _delivery(self, record_id: int, entry: Entry | None = None) -> Delivery:
        delivery = Delivery(loop=self._loop)
        delivery.record_id = record_id
        delivery.entry = entry
        delivery.let_go = self._let_go
        return delivery


def _receipt(entry: Entry, now: float, status: int, judgement: Judgement | None) -> Receipt:
    body = None
    try:
        body = None if judgement is None else judgement.body
    except Exception as error:  # noqa: BLE001 - R1: whatever it is, the record was accepted
        say(logging.ERROR, "what the service said to record %d cannot be read", entry.id, error=error)
    return Receipt(
        record_id=entry.id,
        status=status,
        attempts=entry.attempts,
        waited=now - entry.accepted_at,
        folded=entry.folded,
        may_be_duplicate=entry.ambiguous,
        body=body,
    )
