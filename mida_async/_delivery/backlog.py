"""
Records that are on disk alone, because memory is full: they come back in order as there is room.

From the first one on, all later records go to disk as well, so the order of acceptance is the order of reading. Nothing
is kept in memory about such a record but its Delivery, and that only as long as somebody else keeps it or waits for it.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Self

import attrs

from .._core.entry import Draft, End, Entry
from .._core.folding import Duplicates
from .._core.scheduler import Attempt
from .._core.verdict import Ended
from .._errors import AmbiguousDeliveryError, SpoolError
from .._settings import BufferSettings
from ..destinations.base import Destination, destination_of
from ..spools.base import Settlement, Spool, SpooledRecord
from .admission import Admission
from .delivery import Delivery, own_copy
from .ledger import Ledger
from .log import say
from .reporter import Reporter
from .reports import kept, unwritten

if TYPE_CHECKING:
    from .._core.folding import Memory

# Read at once: some milliseconds of the loop's time.
_CHUNK: Final = 500

# After a failure to read. It is not expected of a spool that is open.
_PAUSE_AFTER_ERROR: Final = 1.0


class SpilledDelivery(Delivery):
    """
    The fate of a record that is on disk alone.

    The buffer does not keep it alive, so any number of them that nobody looks at takes no memory. Whoever awaits it, or
    gives it a callback, may let go of it: from then on the buffer keeps it.

    Attributes:
        event_name: The name of the event.
        pins: Not for callers: those that the buffer keeps.
    """

    __slots__ = ("event_name", "pins")

    event_name: str
    pins: dict[int, SpilledDelivery]

    def add_done_callback(self, fn: Callable[[Self], object], /, *, context: contextvars.Context | None = None) -> None:
        """
        Call *fn* when it is done; see :class:`asyncio.Future`.

        Args:
            fn: What is called.
            context: What it runs in.
        """
        if self.entry is None and not self.done():  # else its record, which is in memory, keeps it
            self.pins[self.record_id] = self
        super().add_done_callback(fn, context=context)


@attrs.frozen(kw_only=True)
class Parts:
    """
    What a spool works with.

    Attributes:
        loop: The loop to run on.
        spool: Keeps the records.
        destination: What records go to that name no other.
        others: What else they may go to, by name.
        settings: How the buffer behaves.
        ledger: Opens and ends records.
        admission: The room in memory.
        duplicates: Knows the records that have a ``unique_id``.
        reporter: Is told what happens.
        wall_clock: Seconds since the epoch.
        push: Puts a record that is on disk into its lane.
        take_back: Puts records back into their lanes that were about to be sent.
    """

    loop: asyncio.AbstractEventLoop
    spool: Spool
    destination: Destination[...]
    others: Mapping[str, Destination[...]]
    settings: BufferSettings
    ledger: Ledger
    admission: Admission
    duplicates: Duplicates
    reporter: Reporter
    wall_clock: Callable[[], float]
    push: Callable[[Entry], None]
    take_back: Callable[[Attempt], None]

    def keeps_to_once(self, entry: Entry) -> bool:
        """Say whether a record must not be sent again once it may have been applied."""
        once = self.settings.guarantee == "at_most_once"
        return once and not destination_of(entry, self.destination).repeatable


class Backlog:
    """
    The records that are on disk alone.

    Args:
        parts: What it works with.
        hold: Puts a record that was read back into its lane, as soon as this ticket of the spool is durable.

    Attributes:
        count: How many there are.
    """

    def __init__(self, parts: Parts, hold: Callable[[Entry, int], None]) -> None:
        self._parts = parts
        self._hold = hold
        self._deliveries: weakref.WeakValueDictionary[int, SpilledDelivery] = weakref.WeakValueDictionary()
        self._pins: dict[int, SpilledDelivery] = {}
        self._reader: asyncio.Task[None] | None = None
        self._reading = False
        self._gone: set[int] = set()  # what ended while it was being read
        self._unwritten: dict[int, tuple[int, str]] = {}  # what is not on disk yet: ticket and name
        self._upto = 0
        self._came = 0
        self._stopped = False
        self.count = 0

    def passed(self, key: int) -> None:
        """Note that a record is in memory; there is nothing before it to be read."""
        self._upto = max(self._upto, key)

    def expect(self, key: int, event_name: str, ticket: int) -> Delivery:
        """Return the Delivery of a record that is on disk alone from now on, or will be when the ticket is durable."""
        loop = self._parts.loop
        delivery = SpilledDelivery(loop=loop)
        delivery.record_id, delivery.event_name, delivery.entry = key, event_name, None
        delivery.let_go, delivery.pins = self._let_go, self._pins
        self._deliveries[key] = delivery
        self._unwritten[key] = ticket, event_name
        self.count += 1
        self._came += 1
        return delivery

    def add(self, records: int) -> None:
        """Note that there are more on disk, which other processes left."""
        if not self._stopped:
            self._parts.ledger.recovered(records)
            self.count += records
            self._came += 1

    def durable(self, ticket: int) -> None:
        """Note that all is on disk up to this ticket."""
        while self._unwritten:
            key, (its, event_name) = next(iter(self._unwritten.items()))
            if its > ticket:
                return
            del self._unwritten[key]
            if self._stopped:
                self._end(key, event_name, End.KEPT, kept(key))

    def refill(self) -> None:
        """Begin to read if memory has room for more than a few."""
        room = self._parts.admission
        if not self.count or self._reading or self._stopped or 2 * room.records > self._parts.settings.max_records:
            return
        self._reading = True
        self._reader = self._parts.loop.create_task(self._read(), context=contextvars.Context())

    async def _read(self) -> None:
        """Read until memory is full or nothing is left."""
        try:
            while self.count and not self._stopped and await self._read_chunk():
                pass
        except asyncio.CancelledError:  # by `stop`, or by somebody who cancels all tasks there are
            self._read_later()
            raise
        except Exception as error:  # noqa: BLE001 - R1: whatever it is, the engine goes on
            say(logging.ERROR, "records cannot be read back from the spool; it is tried again", error=error)
            self._read_later()
        finally:
            self._reading = False
            self._gone.clear()

    def _read_later(self) -> None:
        if not self._stopped:
            self._parts.loop.call_later(_PAUSE_AFTER_ERROR, self.refill, context=contextvars.Context())

    async def _read_chunk(self) -> bool:
        """Read some records; return whether there was room for all of them."""
        settings, room, came = self._parts.settings, self._parts.admission, self._came
        most, size = settings.max_records - room.records, settings.max_bytes - room.bytes
        if most <= 0 or size <= 0:
            return False
        records = await self._parts.spool.read(self._upto, records=min(most, _CHUNK), size=size)
        if not records and came == self._came and not self._stopped:
            self._lose()
        for record in records:
            if self._stopped:
                return False
            if record.key > self._upto and record.key not in self._gone:
                if room.records and not room.has_memory(len(record.body)):
                    return False
                self._upto = record.key
                self.count -= 1
                self._load(record)
        return True

    def _lose(self) -> None:
        """End what the spool was said to hold, and does not."""
        lost, self.count = self.count, 0
        self._unwritten.clear()
        error = SpoolError(f"{lost} record(s) are not in the spool any more")
        say(logging.ERROR, "%s", error)
        self._parts.ledger.end_rest(lost, End.REJECTED)
        self._fail_all(lambda _: own_copy(error))

    def _load(self, record: SpooledRecord) -> None:
        parts, entry = self._parts, self._entry(record)
        delivery = self._deliveries.pop(record.key, None)
        self._pins.pop(record.key, None)
        ticket, _ = self._unwritten.pop(record.key, (None, ""))
        known = parts.duplicates.find(_draft(record), parts.loop.time())
        if known is not None:
            self._share(entry, known, delivery)
            return
        parts.admission.take(len(entry.body))
        parts.ledger.reopen(entry, delivery)
        unable = self._unable(record, entry)
        if ticket is not None:
            self._hold(entry, ticket)
        elif unable is None:
            parts.push(entry)
        # Told when it is in its place: a hook may record something, which comes behind it.
        if delivery is None:
            parts.reporter.recovered(entry, parts.loop.time())
        if unable is not None:
            parts.ledger.end(entry, unable, parts.loop.time())

    def _entry(self, record: SpooledRecord) -> Entry:
        parts = self._parts
        # A clock that was set back makes nobody younger than new, and nobody expire.
        age = max(0.0, parts.wall_clock() - record.accepted_at)
        usual = record.destination == parts.destination.name
        return Entry(
            id=record.key,
            name=record.name,
            identities=record.identities,
            body=record.body,
            accepted_at=parts.loop.time() - age,
            attempts=record.attempts,
            spared=record.attempts,  # what an earlier process tried says nothing about now
            ambiguous=record.ambiguous or record.in_flight,
            unique_id=record.unique_id,
            destination=None if usual else parts.others.get(record.destination),
        )

    def _unable(self, record: SpooledRecord, entry: Entry) -> Ended | None:
        """Return the end of a record that cannot be sent; None where it can."""
        parts = self._parts
        if record.destination != parts.destination.name and entry.destination is None:
            message = f"the spool holds a record for {record.destination!r}, which this client does not deliver to"
            return Ended(end=End.REJECTED, error=SpoolError(message))
        if record.in_flight and parts.keeps_to_once(entry):
            message = "the process ended while the record was being sent, and at_most_once forbids a second attempt"
            return Ended(end=End.AMBIGUOUS, error=AmbiguousDeliveryError(message))
        return None

    def _share(self, entry: Entry, known: Memory, delivery: Delivery | None) -> None:
        """Let a record share the end of the one that it repeats, which is kept in the spool itself if it must be."""
        self._parts.spool.settle(entry.id, Settlement.DONE)
        self._parts.ledger.share_late(entry, known, delivery)

    def _let_go(self, delivery: Delivery) -> None:
        """Withdraw a record whose Delivery is cancelled."""
        key = delivery.record_id
        if self._deliveries.pop(key, None) is None:
            self._parts.ledger.let_go(delivery)
            return
        self._pins.pop(key, None)
        if self._stopped:
            return  # it may be on disk by now: it ends as all the others
        if self._reading:
            self._gone.add(key)
        self._unwritten.pop(key, None)
        self.count -= 1
        self._parts.spool.settle(key, Settlement.DONE)
        self._parts.ledger.end_unread(key, getattr(delivery, "event_name", ""), End.CANCELLED)

    def stop(self) -> None:
        """Read no more: what is on disk stays there."""
        self._stopped = True
        if self._reader is not None and not self._parts.loop.is_closed():
            self._reader.cancel()
        self._parts.ledger.end_rest(self.count - len(self._unwritten), End.KEPT, but=self._unwritten)
        self.count = len(self._unwritten)
        self._fail_all(kept)

    def abandon(self) -> None:
        """End what never came to the disk."""
        while self._unwritten:
            key, (_, event_name) = self._unwritten.popitem()
            self._end(key, event_name, End.ABANDONED, unwritten(key))

    def _end(self, key: int, event_name: str, end: End, error: Exception) -> None:
        self.count -= 1
        delivery = self._deliveries.pop(key, None)
        self._pins.pop(key, None)
        if delivery is not None:
            delivery.fail(error)
        self._parts.ledger.end_unread(key, event_name, end)

    def _fail_all(self, error: Callable[[int], Exception]) -> None:
        """Fail the Deliveries of all records but those that are not on disk yet."""
        for key, delivery in list(self._deliveries.items()):
            if key not in self._unwritten:
                del self._deliveries[key]
                self._pins.pop(key, None)
                delivery.fail(error(key))


def _draft(record: SpooledRecord) -> Draft:
    return Draft(name=record.name, identities=record.identities, body=b"", unique_id=record.unique_id)


def spooled(record: Draft | Entry, key: int, *, destination: str, accepted_at: float) -> SpooledRecord:
    """
    Return what is kept of a record.

    Args:
        record: The record.
        key: Its number.
        destination: The name of what it goes to.
        accepted_at: When it was accepted, in seconds since the epoch.
    """
    return SpooledRecord(
        key=key,
        destination=destination,
        name=record.name,
        identities=record.identities,
        body=record.body,
        accepted_at=accepted_at,
        unique_id=record.unique_id,
    )


def name_of(record: Draft | Entry, usual: Destination[Any]) -> str:
    """
    Return the name of what a record goes to.

    Args:
        record: The record.
        usual: Where those go that name nothing.
    """
    return destination_of(record, usual).name
