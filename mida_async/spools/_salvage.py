"""Reading what can be read of a damaged file, and putting a new one in its place without a moment without either."""

from __future__ import annotations

import contextlib
import functools
import os
import sqlite3
import time
from typing import TYPE_CHECKING, Any, Final

from . import _rows
from ._lock import create_private
from ._schema import PAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_PIECE: Final = 2**20
# So many keys are tried one by one: far more than a page has rows. Then the steps grow, because whole regions are gone.
_SINGLE_STEPS: Final = 10_000


def beside(path: Path, ending: str) -> Path:
    """Return the path of a file that belongs to another."""
    return path.with_name(path.name + ending)


def remove(path: Path) -> None:
    """Remove a database and its log, if they are there."""
    for each in (path, beside(path, "-wal"), beside(path, "-shm"), beside(path, "-journal")):
        each.unlink(missing_ok=True)


def copy(source: Path, target: Path, read: Callable[[int, int, int], bytes] | None = None) -> None:
    """
    Copy a file, with zeros where the disk cannot read it.

    Args:
        source: The file.
        target: Where the copy goes.
        read: Reads a number of bytes at a place of a file descriptor.
    """
    if read is None:
        read = _read_at
    descriptor = os.open(source, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        with os.fdopen(create_private(target), "wb") as copied:
            size = source.stat().st_size
            for start in range(0, size, _PIECE):
                copied.write(_piece(descriptor, start, min(_PIECE, size - start), read))
    finally:
        os.close(descriptor)


def _read_at(descriptor: int, size: int, start: int) -> bytes:
    os.lseek(descriptor, start, os.SEEK_SET)
    return os.read(descriptor, size)


def _piece(descriptor: int, start: int, size: int, read: Callable[[int, int, int], bytes]) -> bytes:
    try:
        return read(descriptor, size, start)
    except OSError:
        if size <= PAGE_SIZE:
            return bytes(size)
        pages = range(start, start + size, PAGE_SIZE)
        return b"".join(_piece(descriptor, page, min(PAGE_SIZE, start + size - page), read) for page in pages)


def exchange(path: Path, rebuilt: Path) -> Path:
    """
    Set a damaged database aside and put the rebuilt one in its place.

    Returns:
        Where the damaged one is now.
    """
    aside = beside(path, f".corrupt-{int(time.time())}")
    while aside.exists():
        aside = beside(aside, "x")
    path.rename(aside)
    finish_exchange(path, rebuilt, aside)
    return aside


def finish_exchange(path: Path, rebuilt: Path, aside: Path | None = None) -> None:
    """
    Do what is left after the damaged database was renamed; a crash may have come between.

    Args:
        path: Where the database belongs.
        rebuilt: The new one. It is whole as soon as the damaged one is renamed.
        aside: Where the damaged one is.
    """
    wal = beside(path, "-wal")
    with contextlib.suppress(FileNotFoundError):
        wal.rename(beside(aside or beside(path, f".corrupt-{int(time.time())}"), "-wal"))
    rebuilt.rename(path)


class Wreck:
    """
    The rows that can be read of a damaged database.

    Args:
        path: A copy of the database: reading changes it.
        first_page: The first page of a whole database with the same tables.

    Attributes:
        unreadable: The keys of rows that are there and cannot be read.
        holes: Ranges of keys, both ends included, of which nothing is known.
    """

    def __init__(self, path: Path, first_page: bytes) -> None:
        self.unreadable: list[int] = []
        self.holes: list[tuple[int, int]] = []
        self._path = path
        connection = self._connected()
        if connection is None:
            # The tables are always at the same place, so the first page of any other spool leads to them.
            self._transplant(first_page)
            connection = self._connected()
        self._connection = connection

    def _transplant(self, page: bytes) -> None:
        size = self._path.stat().st_size
        pages = max(1, -(-size // PAGE_SIZE))
        with self._path.open("r+b") as file:
            file.truncate(pages * PAGE_SIZE)
            # How many pages there are stands at 28; at 32 begins the list of free pages.
            file.write(page[:28] + pages.to_bytes(4, "big") + bytes(8) + page[40:])

    def _connected(self) -> sqlite3.Connection | None:
        connection = sqlite3.connect(self._path, isolation_level=None)
        connection.text_factory = functools.partial(str, encoding="utf-8", errors="surrogateescape")
        try:
            # No other process reads it, and without shared memory the log can be read as well.
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            for table, columns in (("records", _rows.COLUMNS), ("dead", _rows.DEAD_COLUMNS)):
                connection.execute(f"SELECT {columns} FROM {table} WHERE 0").fetchall()  # noqa: S608  our own words
        except sqlite3.Error:
            connection.close()
            return None
        return connection

    def close(self) -> None:
        """Let go of the copy."""
        if self._connection is not None:
            self._connection.close()

    def meta(self, name: str) -> tuple[Any, ...] | None:
        """Return a row of what the spool kept about itself, as far as it can be read."""
        with contextlib.suppress(sqlite3.Error):
            if self._connection is not None:
                row: tuple[Any, ...] | None = self._connection.execute(
                    "SELECT value, crc FROM meta WHERE name = ?", (name,)
                ).fetchone()
                return row
        return None

    def rows(self, table: str, columns: str) -> Iterator[tuple[Any, ...]]:
        """Yield every row that can be read, in the order of the keys."""
        connection, position = self._connection, 1
        query = f"SELECT {columns} FROM {table} WHERE key >= ? ORDER BY key"  # noqa: S608  our own words
        while connection is not None:
            try:
                for row in connection.execute(query, (position,)):
                    if row[0] < position:
                        break  # the tree leads in a circle
                    position = row[0] + 1
                    yield row
                else:
                    return
            except sqlite3.Error:
                pass
            # Python looks a row ahead, so what failed may be the row after the next one: go on with a single one.
            found = self._step_over(connection, table, columns, position)
            if found is None:
                return
            position = found[0] + 1
            yield found

    def _step_over(
        self, connection: sqlite3.Connection, table: str, columns: str, start: int
    ) -> tuple[Any, ...] | None:
        """Return the next row that can be read, or None where none follows; note what is between."""
        position = bad = start
        tries, step = 0, 1
        while position < _rows.LARGEST_KEY:
            try:
                key = _first_key(connection, table, position)
            except sqlite3.Error:
                tries += 1
                step = step if tries < _SINGLE_STEPS else step * 2
                bad, position = position, position + step
                continue
            if step > 1:
                position, step = _boundary(connection, table, bad, position), 1
                continue
            if tries:
                self.holes.append((start, position - 1))
            if key is None:
                return None
            row = _row(connection, table, columns, key)
            if row is not None:
                return row
            self.unreadable.append(key)
            tries, start, position = 0, key + 1, key + 1
        self.holes.append((start, _rows.LARGEST_KEY))
        return None


def _first_key(connection: sqlite3.Connection, table: str, position: int) -> int | None:
    query = f"SELECT key FROM {table} WHERE key >= ? ORDER BY key LIMIT 1"  # noqa: S608  our own words
    row = connection.execute(query, (position,)).fetchone()
    if row is not None and row[0] < position:
        raise sqlite3.DatabaseError
    return None if row is None else int(row[0])


def _row(connection: sqlite3.Connection, table: str, columns: str, key: int) -> tuple[Any, ...] | None:
    with contextlib.suppress(sqlite3.Error):
        row: tuple[Any, ...] | None = connection.execute(
            f"SELECT {columns} FROM {table} WHERE key = ?",  # noqa: S608  our own words
            (key,),
        ).fetchone()
        return row
    return None


def _boundary(connection: sqlite3.Connection, table: str, bad: int, good: int) -> int:
    """Return the first position from which a key can be found, between one that fails and one that does not."""
    while good - bad > 1:
        middle = (bad + good) // 2
        try:
            _first_key(connection, table, middle)
        except sqlite3.Error:
            bad = middle
        else:
            good = middle
    return good
