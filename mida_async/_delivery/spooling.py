"""
What an engine does that has a spool: nothing is sent before it is on disk, and nothing is forgotten before its end is.

A record that was accepted has a row in the spool until its end. It goes into its lane when the row is durable. Ends are
noted there, too, a moment later than they are told to callers: what a crash in between leaves is sent again.

Memory is bounded as without a spool. Beyond that a record is on disk alone, and so is every later one, until all of
them were read back in order: see ``backlog.py``.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import Counter, deque
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast

from .._core.entry import End, EntryState
from .._core.verdict import Ended
from .._errors import BufferClosedError, InvalidEventError, SpoolError
from ..spools.base import Settlement
from .admission import resolve
from .backlog import Backlog, name_of, spooled
from .delivery import own_copy
from .reports import kept, unwritten

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._core.entry import Draft, Entry
    from .._core.lane import Lane
    from .._core.scheduler import Attempt
    from .backlog import Parts
    from .delivery import Delivery

# Of the half second that a close may take beyond its time.
_TIME_TO_CLOSE: Final = 0.3
_TIME_TO_BREAK_OFF: Final = 0.1

_SETTLEMENTS: Final[Mapping[End, Settlement]] = MappingProxyType(
    {
        End.DELIVERED: Settlement.DONE,
        End.CANCELLED: Settlement.DONE,
        End.DROPPED: Settlement.DONE,
        End.REJECTED: Settlement.DEAD,
        End.EXPIRED: Settlement.DEAD,
        End.AMBIGUOUS: Settlement.DEAD,
    }
)


class Spooling:
    """
    Keeps the spool in step with the engine.

    Args:
        parts: What it works with.

    Attributes:
        backlog: The records that are on disk alone.
        ready: Whether the spool is open.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._spool = parts.spool
        self.backlog = Backlog(parts, self._hold)
        self.ready = False
        self._opening: asyncio.Task[None] | None = None
        self._closing = False
        self._last = 0
        self._durable = 0
        self._queue: deque[tuple[int, Entry]] = deque()
        self._writing: dict[int, Entry] = {}
        self._named: Counter[str] = Counter()  # the visitors of these
        self._unwritten: deque[tuple[int, int]] = deque()  # ticket and size of each row that is not on disk yet
        self._unwritten_bytes = 0
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._unsent: set[int] = set()

    async def open(self) -> None:
        """
        Open the spool if it is not open, and begin with what it holds.

        Raises:
            SpoolError: It cannot be opened; the next call tries again.
        """
        if self.ready:
            return
        if self._opening is None:
            self._opening = self._parts.loop.create_task(self._open(), context=contextvars.Context())
            self._opening.add_done_callback(self._has_opened, context=contextvars.Context())
        opening = self._opening
        await asyncio.wait([opening])
        if self._closing:
            message = "the buffer was closed while its spool was being opened"
            raise BufferClosedError(message)
        if opening.cancelled():
            message = "the opening of the spool was broken off by something else"
            raise SpoolError(message)
        if isinstance(error := opening.exception(), Exception):
            raise own_copy(error) from error.__cause__

    def _has_opened(self, opening: asyncio.Task[None]) -> None:
        if opening.cancelled() or opening.exception() is not None:
            self._opening = None  # the next call tries again

    async def _open(self) -> None:
        opened = await self._spool.open(
            self._parts.destination.name,
            on_durable=self._is_durable,
            on_trouble=self._parts.reporter.spool_changed,
            on_adopted=self._adopted,
        )
        self.ready = True
        self.backlog.add(opened.records)  # before hooks hear of it: what they record comes behind
        self._parts.reporter.spool_opened(opened)
        self.backlog.refill()  # not waited for: a long backlog is delivered while it is read

    def _adopted(self, records: int) -> None:
        self.backlog.add(records)
        self.backlog.refill()

    @property
    def next_key(self) -> int:
        """The first number that a new record may have."""
        return self._spool.next_key if self.ready else 1

    @property
    def writing(self) -> list[Entry]:
        """The records that are not on disk yet."""
        return list(self._writing.values())

    def has_room(self, size: int) -> bool:
        """Say whether the spool has room for one more record of *size* bytes, and nobody is about to take that."""
        about_to_come = self._parts.admission.records - self._parts.ledger.held
        return about_to_come <= 0 and self._spool.has_room(size)

    def takes(self, size: int, *, waits: bool) -> bool:
        """
        Say whether a new record has to go to disk alone, and can.

        Args:
            size: Of its body, in bytes.
            waits: Whether its caller waits for the disk. Of records for which nobody waits, no more than memory has
                room for may be on their way there.
        """
        full = self.backlog.count or not self._parts.admission.has_memory(size)
        return bool(full) and (waits or self._keeps_up(size)) and self._spool.has_room(size)

    def _keeps_up(self, size: int) -> bool:
        most = self._parts.settings
        return len(self._unwritten) < most.max_records and self._unwritten_bytes + size <= most.max_bytes

    def has_newer(self, tail: Entry) -> bool:
        """Say whether a record of the same visitor came after *tail*, the last one of its lane, and is in none yet."""
        if self.backlog.count or not self._named:
            return bool(self.backlog.count)
        lane = cast("Lane", tail.lane)
        while lane.joined is not None:
            lane = lane.joined
        return any(key in self._named for key in lane.keys)

    def spill(self, draft: Draft, key: int) -> Delivery:
        """Accept a record that is on disk alone."""
        delivery = self.backlog.expect(key, draft.name, self._append(draft, key))
        self._parts.ledger.accept_unread(key, draft)
        return delivery

    def enter(self, entry: Entry) -> Delivery:
        """Accept a record, which has its room; it goes into its lane when it is durable."""
        try:
            ticket = self._append(entry, entry.id)
        except BaseException:
            self._parts.admission.give_back(len(entry.body))
            raise
        delivery = self._parts.ledger.open(entry)
        self.backlog.passed(entry.id)
        self._hold(entry, ticket)
        self._parts.reporter.accepted(entry)
        return delivery

    def _append(self, record: Draft | Entry, key: int) -> int:
        parts = self._parts
        destination = name_of(record, parts.destination)
        row = spooled(record, key, destination=destination, accepted_at=parts.wall_clock())
        try:
            self._last = ticket = self._spool.append(row)
        except ValueError as error:
            message = f"the spool cannot keep the record: {error}"
            raise InvalidEventError(message) from error
        self._unwritten.append((ticket, len(row.body)))
        self._unwritten_bytes += len(row.body)
        return ticket

    def _hold(self, entry: Entry, ticket: int) -> None:
        """Put a record into its lane as soon as this ticket is durable."""
        self._queue.append((ticket, entry))
        self._writing[entry.id] = entry
        for identity in entry.identities:
            self._named[identity] += 1

    def _let_pass(self, record_id: int) -> Entry | None:
        entry = self._writing.pop(record_id, None)
        for identity in () if entry is None else entry.identities:
            self._named[identity] -= 1
            if not self._named[identity]:
                del self._named[identity]
        return entry

    def folded(self, entry: Entry) -> None:
        """Write down the new body of a record that waits."""
        self._last = self._spool.replace(entry.id, entry.body)

    def postponed(self, entry: Entry) -> None:
        """Write down what an attempt has left of a record that goes again."""
        self._spool.note(entry.id, attempts=entry.attempts, ambiguous=entry.ambiguous)

    def ended(self, entry: Entry, ended: Ended) -> None:
        """Write down the end of a record."""
        self._let_pass(entry.id)
        if self._parts.loop.is_closed():
            return  # a sender that is thrown away with its loop: on disk, the record is what it was
        settlement = _SETTLEMENTS.get(ended.end)
        if settlement is not None:
            error = ended.error
            reason = "" if error is None else f"{ended.end.value}: {type(error).__name__}: {error}"
            self._spool.settle(entry.id, settlement, reason)
        self.backlog.refill()

    def withdraw(self, entry: Entry) -> bool:
        """Take back a record that is not on disk yet; return whether it was not."""
        # At the end it may be there before that can be noted: it ends as all the others.
        if self._closing or self._let_pass(entry.id) is None:
            return False
        entry.state = EntryState.ENDED
        return True

    async def durable(self, delivery: Delivery) -> None:
        """
        Wait until all that was written down so far is durable. Cancelling it withdraws the record.

        Args:
            delivery: Of the record that is waited for.

        Raises:
            BufferClosedError: The buffer was closed before.
        """
        if self._last <= self._durable or delivery.done():
            return
        try:
            await self._wait(self._last)
        except asyncio.CancelledError:
            delivery.cancel()
            raise

    async def mark(self, attempt: Attempt) -> None:
        """Write down that records are about to be sent, where a second attempt would be one too many."""
        keys = [entry.id for entry in attempt.entries if self._parts.keeps_to_once(entry)]
        if keys:
            self._unsent.update(keys)
            self._last = ticket = self._spool.mark(keys)
            try:
                await self._wait(ticket)
            except asyncio.CancelledError:
                self._take_back(attempt)
                raise
            if self._closing:  # in this very moment: they were left as not sent
                self._take_back(attempt)
                raise asyncio.CancelledError
            self._unsent.difference_update(keys)

    def _take_back(self, attempt: Attempt) -> None:
        self._parts.take_back(attempt)
        for entry in attempt.entries:
            if entry.id in self._unsent and not self._closing:
                self._unsent.discard(entry.id)
                self.postponed(entry)

    async def _wait(self, ticket: int) -> None:
        waiter = self._parts.loop.create_future()
        self._waiters.append((ticket, waiter))
        await waiter

    def _is_durable(self, ticket: int) -> None:
        self._durable = max(self._durable, ticket)
        while self._unwritten and self._unwritten[0][0] <= ticket:
            self._unwritten_bytes -= self._unwritten.popleft()[1]
        while self._queue and self._queue[0][0] <= ticket:
            entry = self._queue.popleft()[1]
            if self._let_pass(entry.id) is None:
                continue  # it was withdrawn meanwhile
            if self._closing:
                self._keep(entry)
            else:
                self._parts.push(entry)
        self.backlog.durable(ticket)
        while self._waiters and self._waiters[0][0] <= ticket:
            waiter = self._waiters.popleft()[1]
            if not waiter.done():
                waiter.set_result(None)
        self._parts.admission.admit()

    def leave(self, entry: Entry, *, in_flight: bool) -> Ended:
        """
        Return the end of a record that is left when the buffer is closed, and write down what is known of it.

        Args:
            entry: The record; it is durable.
            in_flight: Whether it was being sent at that moment.
        """
        unsent = entry.id in self._unsent
        entry.attempts -= unsent  # it was about to be
        once = self._parts.keeps_to_once(entry)
        if in_flight and (unsent or not once) and not self._parts.loop.is_closed():
            self._spool.note(entry.id, attempts=entry.attempts, ambiguous=entry.ambiguous or not once)
        return Ended(end=End.KEPT, error=kept(entry.id))

    def _keep(self, entry: Entry) -> None:
        self._parts.ledger.end(entry, Ended(end=End.KEPT, error=kept(entry.id)), self._parts.loop.time())

    def stop(self) -> None:
        """Read nothing more into memory, and let nobody wait for the disk."""
        self._closing = True
        self.backlog.stop()

    async def aclose(self, deadline: float) -> None:
        """
        Write what is left, as far as the disk allows it, and close the spool. Everything has its end then.

        Args:
            deadline: The time until which the disk may take.
        """
        until = max(deadline, self._parts.loop.time()) + _TIME_TO_CLOSE
        try:
            if await self._has_begun(until):
                await self._spool.aclose(max(0.0, until - self._parts.loop.time()))
        finally:
            self.abandon()

    async def _has_begun(self, until: float) -> bool:
        """Wait for an opening that is under way, and break it off in the end; return whether there is one to close."""
        opening = self._opening
        if opening is not None and not opening.done():
            await asyncio.wait([opening], timeout=until - self._parts.loop.time())
            if opening.cancel():
                await asyncio.wait([opening], timeout=_TIME_TO_BREAK_OFF)
        return opening is not None

    def abandon(self) -> None:
        """End what never came to the disk."""
        now = self._parts.loop.time()
        while self._waiters:
            waiter = self._waiters.popleft()[1]
            if not waiter.done():
                resolve(waiter, BufferClosedError("the buffer was closed while this call waited for the disk"))
        self.backlog.abandon()
        for entry in self.writing:
            entry.state = EntryState.ENDED
            error = unwritten(entry.id)
            self._parts.ledger.end(entry, Ended(end=End.ABANDONED, error=error), now)
