"""A spool in files of SQLite, written by one thread with the standard library's own module."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
import warnings
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from .._errors import SettingsError, SpoolError
from ._batch import End
from ._directory import DirectoryStore
from ._rows import check_storable
from ._single import SingleStore
from ._store import Adoption, Ears, Store
from ._writer import Writer
from .base import Opened, Settlement, SpooledRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SYNCHRONOUS: Final = ("full", "normal")


class SQLiteSpool:
    """
    Keep records in a file, or in a folder that several processes share; see :class:`~mida_async.spools.base.Spool`.

    It needs a local disk: the locks and the log of SQLite are not safe on a network file system, which cannot be told
    from a local one. And it needs a loop that runs in real time, because a thread does the work.

    In a folder each process has a file of its own, and takes over those of processes that are dead, at the start and
    from time to time. Order holds within each of the files.

    Args:
        path: A file, whose folder must exist; or a folder that exists; or a folder to be made, with a slash at the end.
        synchronous: With ``"full"`` a ticket that is durable outlasts a power failure; with ``"normal"``, which writes
            faster, it outlasts the death of the process, and a power failure may take the last ones.
        max_bytes: How many bytes of bodies it may hold. A record that is settled counts until that is written.
        max_records: How many records it may hold.
        adopt_every: Seconds between two looks into a folder for files of dead processes.

    Raises:
        SettingsError: An argument is wrong.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        synchronous: Literal["full", "normal"] = "full",
        max_bytes: int | None = None,
        max_records: int | None = None,
        adopt_every: float = 10.0,
    ) -> None:
        self._text = _checked_path(path)
        if synchronous not in _SYNCHRONOUS:
            message = f"synchronous must be 'full' or 'normal', not {synchronous!r}"
            raise SettingsError(message)
        for name, bound in (("max_bytes", max_bytes), ("max_records", max_records), ("adopt_every", adopt_every)):
            if bound is not None and not bound > 0:
                message = f"{name} must be larger than 0, not {bound!r}"
                raise SettingsError(message)
        self._synchronous: Literal["full", "normal"] = synchronous
        self._max_bytes = max_bytes
        self._max_records = max_records
        self._adopt_every = adopt_every
        self._writer: Writer | None = None
        self._closed = False
        self._pid = 0
        self._ticket = 0
        self._next_key = 1

    def fresh(self) -> SQLiteSpool:
        """Return one like it that was not opened, as a forked process needs it."""
        return SQLiteSpool(
            self._text,
            synchronous=self._synchronous,
            max_bytes=self._max_bytes,
            max_records=self._max_records,
            adopt_every=self._adopt_every,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._text!r})"

    @property
    def records(self) -> int:
        """How many records have not come to their end, those that are not durable yet included."""
        return 0 if self._writer is None or self._is_inherited() else self._writer.counts.records

    @property
    def dead(self) -> int:
        """How many dead letters there are."""
        return 0 if self._writer is None or self._is_inherited() else self._writer.dead

    @property
    def next_key(self) -> int:
        """The first number that a new record may have. It grows when records of others are adopted."""
        return self._next_key

    async def open(
        self,
        destination: str,
        *,
        on_durable: Callable[[int], None],
        on_trouble: Callable[[Exception | None], None],
        on_adopted: Callable[[int], None] | None = None,
    ) -> Opened:
        """
        Open it for the running loop. Where that fails it can be tried again; otherwise it is opened once.

        Args:
            destination: Names whose records it keeps.
            on_durable: Called with the highest durable ticket after each write.
            on_trouble: Called when writing fails, and with None when it works again.
            on_adopted: Called with how many records of dead processes were added.

        Raises:
            SpoolError: It cannot be opened, or was opened before.
        """
        if self._writer is not None or self._closed:
            message = f"the spool {self._text} was opened before: make another one"
            raise SpoolError(message)
        self._on_durable, self._on_trouble, self._on_adopted = on_durable, on_trouble, on_adopted
        self._pid = os.getpid()
        writer = Writer(self._store(), self._ears(), asyncio.get_running_loop())
        self._writer = writer
        try:
            remarks = await asyncio.wrap_future(writer.start(destination))
        except BaseException:
            self._writer = None  # whoever has it may be gone when it is tried again
            writer.close(0.0)
            raise
        weakref.finalize(self, _forgotten, self._text, writer, self._pid).atexit = False
        counts = writer.counts
        self._next_key = counts.next_key
        return Opened(records=counts.records, next_key=counts.next_key, remarks=remarks)

    def _store(self) -> Store:
        path = Path(self._text).absolute()
        if self._text.endswith((os.sep, "/")) or path.is_dir():
            return DirectoryStore(path, synchronous=self._synchronous, tend_every=self._adopt_every)
        return SingleStore(path, synchronous=self._synchronous)

    def append(self, record: SpooledRecord) -> int:
        """
        Keep a new record; return its ticket.

        Args:
            record: The record. Its key is :attr:`next_key` or larger.

        Raises:
            ValueError: The key is too small, or the record cannot be kept by anybody.
        """
        check_storable(record)
        if record.key < self._next_key:
            message = f"the key of a new record must be {self._next_key} or larger, not {record.key}"
            raise ValueError(message)
        ticket = self._next_ticket()
        if (writer := self._mine()) is not None:
            self._next_key = record.key + 1
            writer.append(record, ticket)
        return ticket

    def replace(self, key: int, body: bytes) -> int:
        """Give a record another body; return the ticket."""
        ticket = self._next_ticket()
        if (writer := self._mine()) is not None:
            writer.replace(self._known(key), body, ticket)
        return ticket

    def mark(self, keys: Sequence[int]) -> int:
        """Note that records are about to be sent; return the ticket."""
        ticket = self._next_ticket()
        if (writer := self._mine()) is not None:
            writer.mark([self._known(key) for key in keys], ticket)
        return ticket

    def note(self, key: int, *, attempts: int, ambiguous: bool) -> None:
        """Note how often a record was sent, and whether it may have been applied; it is marked no longer."""
        if (writer := self._mine()) is not None:
            writer.note(self._known(key), attempts, ambiguous)

    def settle(self, key: int, settlement: Settlement, reason: str = "") -> None:
        """Bring a record to its end; *reason* is kept with a dead letter."""
        if (writer := self._mine()) is not None:
            writer.settle(self._known(key), End(reason if settlement is Settlement.DEAD else None, time.time()))

    def has_room(self, size: int) -> bool:
        """Say whether there is room for one more record with a body of *size* bytes."""
        if (writer := self._mine()) is None or (self._max_records is None and self._max_bytes is None):
            return True
        counts = writer.counts
        return (self._max_records is None or counts.records < self._max_records) and (
            self._max_bytes is None or counts.size + size <= self._max_bytes
        )

    async def read(self, after: int, *, records: int, size: int) -> list[SpooledRecord]:
        """
        Read the next records that have not come to their end.

        Args:
            after: The key after which to begin.
            records: How many at most.
            size: How many bytes of bodies at most; a single one may be larger.

        Raises:
            SpoolError: The disk does not give them.
        """
        writer = self._mine()
        return [] if writer is None else await asyncio.wrap_future(writer.read(after, records, size))

    async def aclose(self, timeout: float) -> None:  # noqa: ASYNC109  a disk that hangs cannot be cancelled
        """
        Write what is left, and close. More than once does nothing.

        Args:
            timeout: Seconds that this may take where the disk does not do its part.
        """
        writer, self._closed = (None if self._closed else self._writer), True
        if writer is None or self._is_inherited():
            return
        writer.close(timeout)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout + _GRACE):
                await asyncio.shield(asyncio.wrap_future(writer.closed))

    def _next_ticket(self) -> int:
        self._ticket += 1
        return self._ticket

    def _known(self, key: int) -> int:
        """Return a key; one that no record has had yet must not meet the record that will have it."""
        return key if key < self._next_key else 0

    def _mine(self) -> Writer | None:
        """Return the writer, or None in a forked process, where it is the parent's."""
        if self._writer is None or self._closed:
            message = f"the spool {self._text} is not open"
            raise SpoolError(message)
        return None if self._is_inherited() else self._writer

    def _is_inherited(self) -> bool:
        return os.getpid() != self._pid

    def _ears(self) -> Ears:
        """Let the thread tell this spool what happens, without keeping it alive."""
        known = weakref.ref(self)

        def tell(method: Callable[[SQLiteSpool, Any], None]) -> Callable[[Any], None]:
            def told(news: object) -> None:
                alive = known()
                if alive is not None:
                    method(alive, news)

            return told

        return Ears(tell(SQLiteSpool._written), tell(SQLiteSpool._troubled), tell(SQLiteSpool._found))

    def _written(self, ticket: int) -> None:
        self._on_durable(ticket)

    def _troubled(self, error: Exception | None) -> None:
        self._on_trouble(error)

    def _found(self, adoption: Adoption) -> None:
        if self._writer is None or self._closed:
            return
        # Numbers are given on the loop, where nobody gives any to a new record at the same time.
        base = self._next_key
        self._next_key += adoption.span
        self._writer.accept(adoption, base)
        if self._on_adopted is not None and adoption.records:
            self._on_adopted(adoption.records)


_GRACE: Final = 0.2


def _forgotten(path: str, writer: Writer, pid: int) -> None:
    """End the thread of a spool that nobody refers to any more."""
    if os.getpid() == pid and not writer.closed.done():
        warnings.warn(f"the spool {path} was never closed", ResourceWarning, stacklevel=2)
        writer.close(_GRACE)


def _checked_path(path: str | os.PathLike[str]) -> str:
    text = os.fspath(path)
    if not text or text == ":memory:" or "\0" in text:
        message = f"path must name a file or a folder that outlasts the process, not {text!r}"
        raise SettingsError(message)
    return text
