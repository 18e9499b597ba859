"""A spool in memory, for tests of what uses one: its disk outlasts it, fails when told so, and takes its time."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import time
from typing import TYPE_CHECKING, Any, Final

import attrs

from .._errors import SpoolError
from ..spools.base import DeadRecord, Opened, Settlement, SpooledRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_LINGER: Final = 0.25
_PAUSE: Final = 0.05


@attrs.define
class _Contents:
    """Records and dead letters, as of some moment."""

    records: dict[int, SpooledRecord] = attrs.field(factory=dict[int, SpooledRecord])
    dead: dict[int, DeadRecord] = attrs.field(factory=dict[int, DeadRecord])
    next_key: int = 1

    def copy(self) -> _Contents:
        return _Contents(dict(self.records), dict(self.dead), self.next_key)


class MemoryDisk:
    """
    What is durable, shared by the spools that are opened on it one after the other.

    Attributes:
        latency: Seconds that each write takes, by the clock of the running loop.
        failure: The error with which writes fail, or None while they work.
        writes: How many writes worked.
    """

    def __init__(self, *, latency: float = 0.0) -> None:
        self.latency = latency
        self.failure: Exception | None = None
        self.writes = 0
        self._contents = _Contents()
        self._destination: str | None = None
        self._owner: MemorySpool | None = None

    @property
    def records(self) -> tuple[SpooledRecord, ...]:
        """The durable records that have not come to their end, in the order of their keys."""
        return tuple(self._contents.records.values())

    @property
    def dead(self) -> tuple[DeadRecord, ...]:
        """The durable dead letters, in the order of their keys."""
        return tuple(self._contents.dead[key] for key in sorted(self._contents.dead))

    def fill_up(self) -> None:
        """Let every write fail as on a full disk, until :attr:`failure` is None again."""
        self.failure = OSError(errno.ENOSPC, "No space left on device")

    def crash(self) -> None:
        """
        Let the spool that has it die at once, as with its process.

        What is not durable is gone, and nobody is told anything any more. Whatever is still called on the spool is
        without effect.
        """
        if self._owner is not None:
            self._owner.die()
            self._owner = None

    def lend(self, spool: MemorySpool, destination: str) -> _Contents:
        """
        Give a spool what is durable, and itself until it is given back.

        Raises:
            SpoolError: Another spool has it, or it belongs to another destination.
        """
        if self._owner is not None:
            message = f"the disk is in use by {self._owner!r}: one spool at a time"
            raise SpoolError(message)
        if self._destination not in {None, destination}:
            message = f"the disk holds records for {self._destination}, not for {destination}"
            raise SpoolError(message)
        self._owner, self._destination = spool, destination
        return self._contents.copy()

    def give_back(self) -> None:
        """Let another spool have it."""
        self._owner = None

    def write(self, changes: Mapping[int, tuple[SpooledRecord | None, DeadRecord | None]], next_key: int) -> None:
        """
        Make changes durable, all or none.

        Args:
            changes: Live record and dead letter of each key; None where there is none any more.
            next_key: The first number for a new record.

        Raises:
            Exception: It fails at the moment.
        """
        if self.failure is not None:
            raise self.failure
        kept = self._contents
        for key, (record, dead) in changes.items():
            _put(kept.records, key, record)
            _put(kept.dead, key, dead)
        kept.next_key = next_key
        self.writes += 1


def _put(where: dict[int, Any], key: int, value: object) -> None:
    if value is None:
        where.pop(key, None)
    else:
        where[key] = value


class MemorySpool:
    """
    A spool as :class:`~mida_async.spools.base.Spool` describes it, on a disk in memory.

    It needs no thread, so it works on the virtual clock, and does the same in the same order every time.

    Args:
        disk: Where it keeps its records; a disk of its own by default.
        max_records: How many records it may hold.
        max_bytes: How many bytes of bodies it may hold.
    """

    def __init__(
        self, disk: MemoryDisk | None = None, *, max_records: int | None = None, max_bytes: int | None = None
    ) -> None:
        self.disk = MemoryDisk() if disk is None else disk
        self._records_at_most, self._bytes_at_most = max_records, max_bytes
        self._max_records = math.inf if max_records is None else max_records
        self._max_bytes = math.inf if max_bytes is None else max_bytes
        self._contents = _Contents()
        self._size = 0
        self._touched: set[int] = set()
        self._ticket = self._durable = 0
        self._changed, self._urgent = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = self._closed = self._died = False

    def fresh(self) -> MemorySpool:
        """Return one like it, on the same disk, that was not opened."""
        return MemorySpool(self.disk, max_records=self._records_at_most, max_bytes=self._bytes_at_most)

    @property
    def records(self) -> int:
        """How many records have not come to their end."""
        return len(self._contents.records)

    @property
    def dead(self) -> int:
        """How many dead letters there are."""
        return len(self._contents.dead)

    @property
    def next_key(self) -> int:
        """The first number that a new record may have."""
        return self._contents.next_key

    async def open(
        self,
        destination: str,
        *,
        on_durable: Callable[[int], None],
        on_trouble: Callable[[Exception | None], None],
        on_adopted: Callable[[int], None] | None = None,
    ) -> Opened:
        """
        Open it for the running loop.

        Args:
            destination: Names whose records it keeps.
            on_durable: Called with the highest durable ticket after each write.
            on_trouble: Called when writing fails, and with None when it works again.
            on_adopted: Never called: there is nobody to adopt from.

        Raises:
            SpoolError: It was opened before, another spool has the disk, or it belongs to another destination.
        """
        del on_adopted
        if self._task is not None or self._closed:
            message = "the spool was opened before: make another one"
            raise SpoolError(message)
        self._contents = self.disk.lend(self, destination)
        self._size = sum(len(record.body) for record in self._contents.records.values())
        self._on_durable, self._on_trouble = on_durable, on_trouble
        self._task = asyncio.get_running_loop().create_task(self._run())
        return Opened(records=self.records, next_key=self.next_key)

    def append(self, record: SpooledRecord) -> int:
        """
        Keep a new record; return its ticket.

        Args:
            record: The record. Its key is :attr:`next_key` or larger.

        Raises:
            ValueError: The key is too small, or the record cannot be kept by anybody.
        """
        self._check()
        if record.key < self.next_key or not math.isfinite(record.accepted_at):
            message = f"the key of a new record must be {self.next_key} or larger, and its time finite: {record!r}"
            raise ValueError(message)
        f"{record.destination}{record.name}{record.unique_id}".encode()
        self._contents.records[record.key] = record
        self._contents.next_key = record.key + 1
        self._size += len(record.body)
        return self._hurry(record.key)

    def replace(self, key: int, body: bytes) -> int:
        """Give a record another body; return the ticket."""
        self._evolve(key, body=body)
        return self._hurry()

    def mark(self, keys: Sequence[int]) -> int:
        """Note that records are about to be sent; return the ticket."""
        for key in keys:
            self._evolve(key, in_flight=True)
        return self._hurry()

    def note(self, key: int, *, attempts: int, ambiguous: bool) -> None:
        """Note how often a record was sent, and whether it may have been applied; it is marked no longer."""
        self._evolve(key, attempts=attempts, ambiguous=ambiguous, in_flight=False)

    def settle(self, key: int, settlement: Settlement, reason: str = "") -> None:
        """Bring a record to its end; *reason* is kept with a dead letter."""
        self._check()
        record = self._contents.records.pop(key, None)
        if record is not None:
            self._size -= len(record.body)
            if settlement is Settlement.DEAD:
                self._contents.dead[key] = DeadRecord(record=record, reason=reason, settled_at=time.time())
            self._touch(key)

    def has_room(self, size: int) -> bool:
        """Say whether there is room for one more record with a body of *size* bytes."""
        self._check()
        return self.records < self._max_records and self._size + size <= self._max_bytes

    async def read(self, after: int, *, records: int, size: int) -> list[SpooledRecord]:
        """
        Read the next records that have not come to their end.

        Args:
            after: The key after which to begin.
            records: How many at most.
            size: How many bytes of bodies at most; a single one may be larger.
        """
        self._check()
        found: list[SpooledRecord] = []
        for key, record in self._contents.records.items():
            if key > after:
                size -= len(record.body)
                if len(found) >= records or (size < 0 and found):
                    break
                found.append(record)
        return found

    async def aclose(self, timeout: float) -> None:  # noqa: ASYNC109  as the protocol has it
        """
        Write what is left, and close. More than once does nothing.

        Args:
            timeout: Seconds that this may take where the disk does not do its part.
        """
        if self._task is None or self._closing:
            self._closed = True
            return
        self._closing = True
        self._changed.set()
        self._urgent.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._task
        self._closed = True
        self.disk.give_back()

    def die(self) -> None:
        """Stop at once, for the disk: nothing that is called on it from now on has an effect."""
        self._died = self._closing = True
        if self._task is not None:  # pragma: no branch - it has one as long as it has the disk
            self._task.cancel()

    def _check(self) -> None:
        if not self._died and (self._task is None or self._closing):
            message = "the spool is not open"
            raise SpoolError(message)

    def _evolve(self, key: int, **changes: Any) -> None:
        self._check()
        if (record := self._contents.records.get(key)) is not None:
            evolved = attrs.evolve(record, **changes)
            self._size += len(evolved.body) - len(record.body)
            self._contents.records[key] = evolved
            self._touch(key)

    def _touch(self, key: int) -> None:
        self._touched.add(key)
        self._changed.set()

    def _hurry(self, *touched: int) -> int:
        self._touched.update(touched)
        self._ticket += 1
        self._changed.set()
        self._urgent.set()
        return self._ticket

    async def _run(self) -> None:
        while not self._closing or self._touched or self._ticket > self._durable:
            await self._changed.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LINGER):
                    await self._urgent.wait()
            self._changed.clear()
            self._urgent.clear()
            if self._touched or self._ticket > self._durable:
                await self._write()

    async def _write(self) -> None:
        records, dead = self._contents.records, self._contents.dead
        changes = {key: (records.get(key), dead.get(key)) for key in sorted(self._touched)}
        ticket, next_key, troubled = self._ticket, self.next_key, False
        self._touched.clear()
        while True:
            await asyncio.sleep(self.disk.latency)
            try:
                self.disk.write(changes, next_key)
                break
            except Exception as error:  # noqa: BLE001  whatever the disk is told to fail with
                if not troubled:
                    troubled = True
                    self._on_trouble(SpoolError(f"the disk cannot be written: {error}"))
            await asyncio.sleep(_PAUSE)
        if troubled:
            self._on_trouble(None)
        self._durable = ticket
        self._on_durable(ticket)
