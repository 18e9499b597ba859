"""One file of a spool: everything that is done to it, done at once and by one thread."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import attrs

from .._errors import SpoolError
from . import _rows, _schema, _statements
from ._lock import LockFile, create_private
from ._rebuild import rebuild
from ._salvage import beside, finish_exchange, remove
from ._wal import committed_frames

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from ._batch import Batch
    from .base import DeadRecord, SpooledRecord

CHECK_SECONDS: Final = 2.0
"""For how long a file is checked when it is opened."""

_IN_ORDER: Final = frozenset(
    {
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
    }
)
_UNREADABLE: Final = frozenset({266, 522, 8202, 8458})  # kinds of SQLITE_IOERR: READ, SHORT_READ, DATA, CORRUPTFS
_LOW_BYTE: Final = 0xFF
_WORTH_A_VACUUM: Final = 4096


@attrs.frozen
class Counts:
    """
    What a spool holds.

    Attributes:
        records: Live records.
        size: The bytes of their bodies.
        dead: Dead letters.
        next_key: The first number for a new record.
    """

    records: int = 0
    size: int = 0
    dead: int = 0
    next_key: int = 1

    def plus(self, other: Counts) -> Counts:
        """Return the sum; numbers are those of the first."""
        return Counts(self.records + other.records, self.size + other.size, self.dead + other.dead, self.next_key)


def is_damage(error: sqlite3.Error, path: Path) -> bool:
    """Tell a file that is not whole from a disk that does not work just now."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    kind = code & _LOW_BYTE
    if kind == sqlite3.SQLITE_IOERR:
        return code in _UNREADABLE
    if kind == sqlite3.SQLITE_READONLY:
        return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    return kind not in _IN_ORDER


class SpoolFile:
    """
    A database with the records of one destination.

    Args:
        path: The file.
        synchronous: SQLite's setting of this name.
        lock: The lock for it, if it is taken already.

    Attributes:
        counts: What it holds.
        about: What it says of itself: ``destination`` and ``created``.
    """

    def __init__(self, path: Path, *, synchronous: str = "full", lock: LockFile | None = None) -> None:
        self.path = path
        self.counts = Counts()
        self.about: dict[str, Any] = {}
        self._synchronous = synchronous
        self._lock = lock or LockFile(path)
        self._connection: sqlite3.Connection | None = None

    def open(self, destination: str | None, *, repair: bool = True) -> tuple[str, ...]:
        """
        Open it, make it where it does not exist, and save what can be saved where it is damaged.

        Args:
            destination: Whose records it keeps; None takes it as it is.
            repair: Whether to set a damaged file aside.

        Returns:
            What somebody should know.

        Raises:
            SpoolError: It cannot be opened.
        """
        try:
            self._lock.take()
            return self._open(destination, repair=repair)
        except (OSError, sqlite3.Error) as error:
            self.close()
            raise SpoolError(explain(self.path, error)) from error
        except BaseException:
            self.close()
            raise

    def _open(self, destination: str | None, *, repair: bool) -> tuple[str, ...]:
        rebuilt = beside(self.path, ".rebuilt")
        if rebuilt.exists() and not self.path.exists():
            finish_exchange(self.path, rebuilt)
        existed = self.path.exists()
        os.close(create_private(self.path))
        try:
            return self._enter(destination, existed=existed)
        except sqlite3.Error as error:
            self._disconnect()
            if not is_damage(error, self.path):
                raise
            if not repair or destination is None:
                message = f"the spool {self.path} is damaged ({error}): the next start of the client saves what it can"
                raise SpoolError(message) from error
            remarks = rebuild(self.path, destination, self._synchronous, str(error))
            return (*remarks, *self._enter(destination, existed=True))

    def _enter(self, destination: str | None, *, existed: bool) -> tuple[str, ...]:
        wal = beside(self.path, "-wal")
        size = self.path.stat().st_size
        if 0 < size < _schema.PAGE_SIZE:
            # SQLite would take it for an empty one.
            message = f"the file has no more than {size} bytes"
            raise _schema.DamageError(message)
        if not size and wal.exists() and wal.stat().st_size:
            # SQLite would remove the log, and with it what was written last.
            message = "the file is empty, and its log is not"
            raise _schema.DamageError(message)
        expected = committed_frames(wal, _schema.PAGE_SIZE)
        self._connection = connection = _schema.connect(self.path, self._synchronous)
        empty = existed and not _schema.tables(connection)
        remarks = ["the file was empty: if it had held records, they are lost"] if empty else []
        found = self._recovered(expected)
        if found < expected:
            remarks.append(
                f"the write-ahead log is damaged after {max(found, 0)} of {expected} pages: what was written last is"
                " lost, so records may be missing, or be sent again"
            )
        remarks += _schema.migrate(connection, self.path, _schema.STEPS)
        self._belong(destination)
        remarks += self._check()
        self._count()
        remarks += self._sweep()
        return tuple(f"{self.path}: {remark}" for remark in remarks)

    def _recovered(self, expected: int) -> int:
        """Bring the log into the database; return how many of its pages are whole."""
        try:
            return int(self._connected.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1])
        except sqlite3.Error as error:
            if is_damage(error, self.path):
                raise
            return expected  # the disk is full: all can be read nevertheless

    def _belong(self, destination: str | None) -> None:
        about = _schema.read_meta(self._connected, "about")
        if about is None and destination is not None:
            about = {"destination": destination, "created": time.time()}
            _schema.write_meta(self._connected, "about", about)
        self.about = about or {}
        other = self.about.get("destination")
        if destination is not None and other != destination:
            message = f"the spool {self.path} holds records for {other}, not for {destination}: give it another file"
            raise SpoolError(message)

    @property
    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            message = f"the spool {self.path} is closed"
            raise SpoolError(message)
        return self._connection

    @contextlib.contextmanager
    def _limited(self, seconds: float) -> Generator[None]:
        """Interrupt what runs for too long. A progress handler is not called within the checking of a tree."""
        timer = threading.Timer(seconds, self._connected.interrupt)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()

    def _check(self) -> list[str]:
        with self._limited(CHECK_SECONDS):
            try:
                ((answer,),) = self._connected.execute("PRAGMA quick_check(1)").fetchall()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                    raise
                size = self.path.stat().st_size // 2**20
                return [f"the file has {size} MB, too much to be checked whole within {CHECK_SECONDS} s"]
        if answer != "ok":
            raise _schema.DamageError(" ".join(str(answer).split()))
        return []

    def _count(self) -> None:
        """Take the counts as they were kept; count only where that is damaged, because it takes long."""
        state = _schema.read_meta(self._connected, "state")
        counts = Counts(*_statements.count(self._connected)) if state is None else Counts(**state)
        self.counts = attrs.evolve(counts, next_key=max(counts.next_key, _statements.next_key(self._connected)))

    def _sweep(self) -> list[str]:
        """Set rows aside that are not what was written, as far as they can be found in the time."""
        found: list[str] = []
        for table in ("records", "dead"):
            damaged = _statements.damaged_keys(self._connected, table, until=time.monotonic() + CHECK_SECONDS / 2)
            if damaged:
                self._set_aside(table, damaged)
                what = "records" if table == "records" else "dead letters"
                keys = ", ".join(map(str, damaged[:10])) + (", ..." if len(damaged) > 10 else "")  # noqa: PLR2004
                found.append(f"{len(damaged)} {what} were damaged and are in the table 'damaged' now: {keys}")
        return found

    def _set_aside(self, table: str, keys: list[int]) -> None:
        with self._transaction() as connection:
            records, size = _statements.weigh(connection, table, keys)
            _statements.set_aside(connection, table, keys, time.time())
            counts = attrs.evolve(self.counts, dead=self.counts.dead - records)
            if table == "records":
                counts = attrs.evolve(self.counts, records=self.counts.records - records, size=self.counts.size - size)
            _schema.write_meta(connection, "state", attrs.asdict(counts))
        self.counts = counts

    @contextlib.contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        connection = self._connected
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    def write(self, batch: Batch) -> None:
        """Write all of a batch or nothing."""
        with self._transaction() as connection:
            records, size, dead = _statements.apply(connection, batch)
            old = self.counts
            next_key = max(old.next_key, batch.next_key)
            counts = Counts(old.records + records, old.size + size, old.dead + dead, next_key)
            _schema.write_meta(connection, "state", attrs.asdict(counts))
        self.counts = counts

    def read(self, after: int, *, records: int, size: int, until: int = _rows.LARGEST_KEY) -> list[SpooledRecord]:
        """
        Return records in the order of the keys; none only if there is none.

        Args:
            after: The key after which to begin.
            records: How many at most.
            size: How many bytes of bodies at most; a single one may be larger.
            until: The key before which to end.
        """
        while True:
            found, damaged = _statements.read(self._connected, (after, until), records, size)
            if not damaged:
                return found
            _statements.tell_damaged(self.path, damaged)
            try:
                self._set_aside("records", damaged)
            except sqlite3.Error:  # they are passed over until the disk works again
                if found:
                    return found
                after = max(damaged)

    def dead_letters(self) -> Iterator[DeadRecord]:
        """Yield the dead letters in the order of the keys, without the damaged ones."""
        yield from _statements.dead_letters(self._connected)

    def all_keys(self) -> list[int]:
        """Return the keys of all live records and dead letters."""
        return [key for table in ("records", "dead") for key in _statements.keys(self._connected, table)]

    def bury(self, letters: list[DeadRecord]) -> None:
        """Add dead letters of another file."""
        with self._transaction() as connection:
            added = _statements.insert_dead(connection, letters)
            counts = attrs.evolve(self.counts, dead=self.counts.dead + added)
            _schema.write_meta(connection, "state", attrs.asdict(counts))
        self.counts = counts

    def drop_dead(self, keys: list[int]) -> int:
        """Forget dead letters; return how many there were."""
        with self._transaction() as connection:
            number, _size = _statements.weigh(connection, "dead", keys)
            _statements.delete(connection, "dead", keys)
            counts = attrs.evolve(self.counts, dead=self.counts.dead - number)
            _schema.write_meta(connection, "state", attrs.asdict(counts))
        self.counts = counts
        return number

    def retry_dead(self, keys: list[int] | None) -> int:
        """Move dead letters to the end of the queue; return how many."""
        wanted = None if keys is None else set(keys)
        letters = [dead for dead in self.dead_letters() if wanted is None or dead.record.key in wanted]
        old = self.counts
        with self._transaction() as connection:
            moved = _statements.revive(connection, letters, old.next_key)
            size = sum(len(record.body) for record in moved)
            number = len(moved)
            counts = Counts(old.records + number, old.size + size, old.dead - number, old.next_key + number)
            _schema.write_meta(connection, "state", attrs.asdict(counts))
        self.counts = counts
        return number

    def close(self, *, delete: bool = False) -> None:
        """
        Close it, and give it free.

        Args:
            delete: Remove the file as well.
        """
        if self._connection is not None and not delete:
            with contextlib.suppress(sqlite3.Error):
                _statements.tidy(self._connection, _WORTH_A_VACUUM if self.counts.records == 0 else None)
        self._disconnect()
        if delete:
            with contextlib.suppress(OSError):
                remove(self.path)
        self._lock.release()

    def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def mend(self, destination: str) -> tuple[str, ...]:
        """Open it again because damage was met; return what somebody should know."""
        self._disconnect()
        return self._open(destination, repair=True)


def explain(path: Path, error: Exception) -> str:
    """Return what is wrong with a spool that cannot be opened, and what can be done."""
    folder = path.parent
    if not folder.exists():
        return f"the spool {path} cannot be opened, because its folder does not exist: make {folder} first"
    if not folder.is_dir():
        return f"the spool {path} cannot be opened, because {folder} is no folder"
    if path.is_dir():
        return f"the spool {path} cannot be opened, because it is a folder"
    if not os.access(folder, os.W_OK):
        return f"the spool {path} cannot be opened, because its folder cannot be written: change its permissions"
    if not os.access(path, os.R_OK | os.W_OK) and path.exists():
        return f"the spool {path} cannot be opened, because it cannot be read and written: change its permissions"
    return f"the spool {path} cannot be opened: {error}; it needs a local disk with free space"
