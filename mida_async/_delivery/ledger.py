"""The books: what was accepted, what became of it, and the futures that callers hold."""

from __future__ import annotations

import asyncio
import copy
from collections import Counter
from typing import TYPE_CHECKING

import attrs

from .._core.entry import End, Receipt
from .._core.verdict import Ended
from .._errors import MidaError
from .admission import Reservation, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from .._core.entry import Draft, Entry
    from .._core.folding import Duplicates, Memory
    from .reporter import Reporter


class Delivery(asyncio.Future[Receipt]):
    """
    The fate of one record: a future of its :class:`Receipt`.

    It works with everything that takes a future: ``await``, ``asyncio.gather``, ``asyncio.wait``,
    ``asyncio.as_completed``, ``add_done_callback``. It raises the API error for a rejected record and a
    :class:`DeliveryError` for any other end. If nobody looks at it nothing is logged about it by asyncio; the buffer
    reports failures on its own.

    Cancelling it withdraws a record that is still waiting and frees its room; a record in flight is only let go of. So
    does cancelling a task that awaits it: use ``asyncio.shield(delivery)`` where the record should go out regardless.

    Attributes:
        record_id: The record's number, in the order of acceptance.
    """

    __slots__ = ("_let_go", "record_id")

    def __init__(self, record_id: int, let_go: Callable[[Delivery], None], *, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.record_id = record_id
        self._let_go = let_go

    def cancel(self, msg: object = None) -> bool:
        """
        Withdraw the record if it is still waiting.

        Args:
            msg: As for any future.

        Returns:
            False if it was done already.
        """
        if self.done():
            return False
        self._let_go(self)
        return super().cancel(msg)

    def deliver(self, receipt: Receipt) -> None:
        """Resolve it; the buffer does that."""
        if not self.done():
            self.set_result(receipt)

    def fail(self, error: Exception) -> None:
        """Fail it; the buffer does that."""
        if not self.done():
            if isinstance(error, StopIteration):  # no future takes it
                error = RuntimeError(f"{error!r} was raised where records are delivered")
            resolve(self, error)
            self.exception()  # counts as retrieved, so asyncio never logs that nobody did


def own_copy(error: Exception) -> Exception:
    """
    Return an error that can be raised for one caller.

    Args:
        error: What several callers may have to be told. Each raise adds to the traceback of the instance that is
            raised.
    """
    return copy.copy(error) if isinstance(error, MidaError) else error


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


@attrs.define(eq=False)
class Holding:
    """What is held for one record: its room, the Deliveries that were handed out, and how many were let go of."""

    reservation: Reservation
    deliveries: list[Delivery]
    let_go: int = 0


class Ledger:
    """
    Opens a Delivery for each accepted record and brings it to its end, once.

    Args:
        loop: The loop that the Deliveries belong to.
        withdraw: Called with the number of a record whose last Delivery is being cancelled.
        duplicates: Is told of every end.
        reporter: Is told of every end.

    Attributes:
        spooled: Writes down every end, where there is a spool.
        accepted: How many records were accepted.
        ends: How many of them came to each end.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        withdraw: Callable[[int], None],
        duplicates: Duplicates,
        reporter: Reporter,
    ) -> None:
        self._loop = loop
        self._let_go = self._released  # one for all: a bound method of its own would be 64 bytes of each Delivery
        self._withdraw = withdraw
        self._duplicates = duplicates
        self._reporter = reporter
        self._open: dict[int, Holding] = {}
        self._watches: list[Watch] = []
        self.spooled: Callable[[Entry, Ended], None] | None = None
        self.accepted = 0
        self.ends: dict[End, int] = dict.fromkeys(End, 0)

    def open(self, entry: Entry, reservation: Reservation) -> Delivery:
        """Open the Delivery of a record that was just accepted."""
        self.accepted += 1
        delivery = Delivery(entry.id, self._let_go, loop=self._loop)
        self._open[entry.id] = Holding(reservation, [delivery])
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
        delivery = Delivery(entry.id, self._let_go, loop=self._loop)
        self._open[entry.id].deliveries.append(delivery)
        for watch in self._watches:
            watch.join(entry)
        return delivery

    def holds(self, entry: Entry) -> bool:
        """Say whether a record has no end yet."""
        return entry.id in self._open

    def resize(self, entry: Entry, size: int) -> bool:
        """Change the room of a record that has not ended; return whether there is that much."""
        return self._open[entry.id].reservation.resize(size)

    def vacate(self, entry: Entry) -> None:
        """Give the room of a record back that is about to come to its end."""
        self._open[entry.id].reservation.release()

    def repeat(self, receipt: Receipt, name: str) -> Delivery:
        """Return the Delivery of a record that repeats one that was delivered before."""
        self.accepted += 1
        self.ends[End.DELIVERED] += 1
        delivery = Delivery(receipt.record_id, self._let_go, loop=self._loop)
        delivery.deliver(receipt)
        self._reporter.repeated(receipt.record_id, name, delivered=True)
        return delivery

    def drop(self, entry: Entry, error: Exception) -> Delivery:
        """Return the Delivery of a record that is dropped as soon as it comes."""
        self.accepted += 1
        self.ends[End.DROPPED] += 1
        delivery = Delivery(entry.id, self._let_go, loop=self._loop)
        delivery.fail(error)
        self._reporter.accepted(entry)
        self._reporter.ended(entry, Ended(end=End.DROPPED, error=error), 1, entry.accepted_at)
        return delivery

    def end(self, entry: Entry, ended: Ended, now: float, *, status: int = 0, body: object = None) -> None:
        """
        Bring a record to its end: free its room, resolve its Deliveries, tell whoever wants to know.

        Args:
            entry: The record; it is in no lane any more.
            ended: How it ends.
            now: The time.
            status: The HTTP status that accepted it.
            body: What the server said to that.
        """
        holding, records = self._open.pop(entry.id), records_of(entry)
        self.ends[ended.end] += records
        if holding.reservation.held:
            holding.reservation.release()
        receipt = _receipt(entry, now, status, body) if ended.end is End.DELIVERED else None
        for number, delivery in enumerate(holding.deliveries):
            if receipt is not None:
                delivery.deliver(receipt)
            elif ended.error is not None:  # a record that was withdrawn has none: all its Deliveries were let go of
                delivery.fail(own_copy(ended.error) if number else ended.error)
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

    def reopen(self, entry: Entry, reservation: Reservation, delivery: Delivery | None) -> None:
        """Open a record again that was accepted before, and came back from the disk."""
        self._open[entry.id] = holding = Holding(reservation, [])
        _hold(holding, delivery)
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
            _hold(self._open[known.entry.id], delivery)
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
        self._released(delivery)

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
    def held(self) -> int:
        """How many records are in memory."""
        return len(self._open)

    @property
    def pending(self) -> int:
        """How many accepted records have no end yet."""
        return self.accepted - sum(self.ends.values())

    def _released(self, delivery: Delivery) -> None:
        # They are counted, not searched for: a record can have any number of them, by folding.
        holding = self._open.get(delivery.record_id)
        if holding is None:
            return  # a hook that was told of the end cancels it once more
        holding.let_go += 1
        if holding.let_go == len(holding.deliveries):
            self._withdraw(delivery.record_id)


def _hold(holding: Holding, delivery: Delivery | None) -> None:
    """Add a Delivery. Where there is none, nobody can let go of it, and the record is never withdrawn."""
    if delivery is None:
        holding.let_go -= 1
    else:
        holding.deliveries.append(delivery)


def _receipt(entry: Entry, now: float, status: int, body: object) -> Receipt:
    return Receipt(
        record_id=entry.id,
        status=status,
        attempts=entry.attempts,
        waited=now - entry.accepted_at,
        folded=entry.folded,
        may_be_duplicate=entry.ambiguous,
        body=body,
    )
