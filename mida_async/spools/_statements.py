"""
What is said to the database about records.

Python lets go of its interpreter at every step of a statement and has to queue for it afterwards, behind an event loop
that may be busy. So many rows go into one statement, whose numbers of rows are few, so that each is prepared once.
"""

from __future__ import annotations

import logging
import time
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs

from . import _rows
from ._batch import Batch, within

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from .base import DeadRecord, SpooledRecord

_Item = TypeVar("_Item")

# A statement may have 999 parameters in the oldest releases of SQLite.
_ROWS_AT_ONCE: Final = 64
_KEYS_AT_ONCE: Final = 256
_READ_AT_ONCE: Final = 1000

_LOG: Final = logging.getLogger("mida_async")


def _pieces(items: Sequence[_Item], largest: int) -> Iterator[Sequence[_Item]]:
    """Cut a sequence into pieces whose sizes are powers of four."""
    start, size = 0, largest
    while start < len(items):
        while size > len(items) - start:
            size //= 4
        yield items[start : start + size]
        start += size


def _marks(number: int) -> str:
    return ", ".join("?" * number)


def _insert(connection: sqlite3.Connection, into: str, rows: Sequence[tuple[Any, ...]]) -> None:
    for piece in _pieces(rows, _ROWS_AT_ONCE):
        values = ", ".join([f"({_marks(len(piece[0]))})"] * len(piece))
        query = f"INSERT {into} VALUES {values}"  # noqa: S608  our own words
        connection.execute(query, tuple(chain.from_iterable(piece)))


def insert(connection: sqlite3.Connection, records: Sequence[SpooledRecord]) -> None:
    """Add live records."""
    _insert(connection, f"INTO records ({_rows.COLUMNS})", [_rows.encode(record) for record in records])


def insert_dead(connection: sqlite3.Connection, letters: Sequence[DeadRecord]) -> int:
    """Add dead letters, or put them in the place of the same ones; return by how many there are more."""
    keys = [dead.record.key for dead in letters]
    before, _size = weigh(connection, "dead", keys)
    into = f"OR REPLACE INTO dead ({_rows.DEAD_COLUMNS})"
    _insert(connection, into, [_rows.encode_dead(dead) for dead in letters])
    return len(letters) - before


def salvage(connection: sqlite3.Connection, records: Sequence[SpooledRecord], letters: Sequence[DeadRecord]) -> None:
    """Add what was saved of a damaged file; of two rows with one key the first counts."""
    _insert(connection, f"OR IGNORE INTO records ({_rows.COLUMNS})", [_rows.encode(record) for record in records])
    _insert(connection, f"OR IGNORE INTO dead ({_rows.DEAD_COLUMNS})", [_rows.encode_dead(dead) for dead in letters])


def weigh(connection: sqlite3.Connection, table: str, keys: Sequence[int]) -> tuple[int, int]:
    """Return how many of the keys there are, and the bytes of their bodies."""
    number = size = 0
    for piece in _pieces(keys, _KEYS_AT_ONCE):
        query = f"SELECT count(*), total(length(body)) FROM {table} WHERE key IN ({_marks(len(piece))})"  # noqa: S608
        more, bytes_more = connection.execute(query, piece).fetchone()
        number, size = number + more, size + int(bytes_more)
    return number, size


def delete(connection: sqlite3.Connection, table: str, keys: Sequence[int]) -> None:
    """Remove rows."""
    for piece in _pieces(keys, _KEYS_AT_ONCE):
        connection.execute(f"DELETE FROM {table} WHERE key IN ({_marks(len(piece))})", piece)  # noqa: S608


def set_aside(connection: sqlite3.Connection, table: str, keys: Sequence[int], now: float) -> None:
    """Move rows to the table of damaged ones."""
    columns = _rows.COLUMNS
    into = f"INSERT INTO damaged (found_at, origin, {columns}) SELECT ?, ?, {columns}"
    for piece in _pieces(keys, _KEYS_AT_ONCE):
        connection.execute(f"{into} FROM {table} WHERE key IN ({_marks(len(piece))})", (now, table, *piece))
    delete(connection, table, keys)


def apply(connection: sqlite3.Connection, batch: Batch) -> tuple[int, int, int]:
    """Write a batch; return by how much the number of records, their bytes and the dead letters change."""
    new = list(batch.new.values())
    insert(connection, new)
    size = sum(len(record.body) for record in new) + _replace(connection, batch)
    _update(connection, batch)
    dead = _bury(connection, batch) + insert_dead(connection, list(batch.dead.values()))
    ended = list(batch.ended)
    gone, freed = weigh(connection, "records", ended)
    delete(connection, "records", ended)
    return len(new) - gone, size - freed, dead


def _replace(connection: sqlite3.Connection, batch: Batch) -> int:
    bodies = {key: change.body for key, change in batch.changed.items() if change.body is not None}
    keys = list(bodies)
    _number, before = weigh(connection, "records", keys)
    words = [(*_rows.body_words(body), key) for key, body in bodies.items()]
    connection.executemany("UPDATE records SET body = ?, body_crc = ? WHERE key = ?", words)
    _number, after = weigh(connection, "records", keys)
    return after - before


def _update(connection: sqlite3.Connection, batch: Batch) -> None:
    """Write what changed beside the bodies: few different things in many rows, so a statement for each."""
    alike: dict[tuple[tuple[int, bool] | None, bool | None], list[int]] = {}
    for key, change in batch.changed.items():
        alike.setdefault((change.sent, change.in_flight), []).append(key)
    for (sent, in_flight), keys in alike.items():
        words: dict[str, int] = {} if in_flight is None else {"in_flight": _rows.word(in_flight)}
        if sent is not None:
            words |= {"attempts": _rows.count_word(sent[0]), "ambiguous": _rows.word(sent[1])}
        for piece in _pieces(keys, _KEYS_AT_ONCE) if words else ():
            settings = ", ".join(f"{column} = ?" for column in words)
            query = f"UPDATE records SET {settings} WHERE key IN ({_marks(len(piece))})"  # noqa: S608  our own words
            connection.execute(query, (*words.values(), *piece))


def _bury(connection: sqlite3.Connection, batch: Batch) -> int:
    rows = [
        (*_rows.end_words(key, end.reason, end.at), key) for key, end in batch.ended.items() if end.reason is not None
    ]
    if not rows:
        return 0
    into = f"INSERT OR REPLACE INTO dead ({_rows.DEAD_COLUMNS})"
    query = f"{into} SELECT {_rows.AS_DEAD}, ?, ?, ? FROM records WHERE key = ?"  # noqa: S608  our own words
    return connection.executemany(query, rows).rowcount


def read(
    connection: sqlite3.Connection, span: tuple[int, int], records: int, size: int
) -> tuple[list[SpooledRecord], list[int]]:
    """
    Return the first records between two keys, and the keys of damaged ones among them.

    Args:
        connection: The database.
        span: The keys between which they lie, both excluded.
        records: How many at most.
        size: How many bytes of bodies at most.
    """
    query = f"SELECT {_rows.COLUMNS} FROM records WHERE key > ? AND key < ? ORDER BY key LIMIT ?"  # noqa: S608
    damaged: list[int] = []
    cursor = connection.execute(query, (*span, records))
    try:
        found = within(_decoded(cursor, damaged), records, size)
    finally:
        cursor.close()
    return found, damaged


def _decoded(rows: Iterator[Any], damaged: list[int]) -> Iterator[SpooledRecord]:
    for row in rows:
        try:
            yield _rows.decode(row)
        except _rows.DamagedRowError:
            damaged.append(row[0])


def damaged_keys(connection: sqlite3.Connection, table: str, *, until: float) -> list[int]:
    """Return the keys of rows that are not what was written, as far as they are found until that time."""
    columns, decode = (_rows.COLUMNS, _rows.decode) if table == "records" else (_rows.DEAD_COLUMNS, _rows.decode_dead)
    damaged: list[int] = []
    cursor = connection.execute(f"SELECT {columns} FROM {table} ORDER BY key")  # noqa: S608  our own words
    while (rows := cursor.fetchmany(_READ_AT_ONCE)) and time.monotonic() < until:
        for row in rows:
            try:
                decode(row)
            except _rows.DamagedRowError:
                damaged.append(row[0])
    cursor.close()
    return damaged


def tell_damaged(path: Path, damaged: Sequence[int]) -> None:
    """Log that rows were passed over."""
    _LOG.error("%s: records are damaged and are not sent; see the table 'damaged': %s", path, damaged)


def dead_letters(connection: sqlite3.Connection) -> Iterator[DeadRecord]:
    """Yield the dead letters that are what was written, in the order of the keys."""
    query = f"SELECT {_rows.DEAD_COLUMNS} FROM dead WHERE key > ? ORDER BY key LIMIT ?"  # noqa: S608  our own words
    after = -1
    while rows := connection.execute(query, (after, _READ_AT_ONCE)).fetchall():
        for row in rows:
            after = row[0]
            try:
                dead = _rows.decode_dead(row)
            except _rows.DamagedRowError:
                continue
            yield dead


def revive(connection: sqlite3.Connection, letters: Sequence[DeadRecord], next_key: int) -> list[SpooledRecord]:
    """Make live records of dead letters, as if they had never been sent, but for what is not known of their sends."""
    moved = [
        attrs.evolve(dead.record, key=key, attempts=0, in_flight=False) for key, dead in enumerate(letters, next_key)
    ]
    insert(connection, moved)
    delete(connection, "dead", [dead.record.key for dead in letters])
    return moved


def keys(connection: sqlite3.Connection, table: str) -> list[int]:
    """Return all keys in their order."""
    return [key for (key,) in connection.execute(f"SELECT key FROM {table} ORDER BY key")]  # noqa: S608


def count(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Count the records, their bytes and the dead letters."""
    records, size = connection.execute("SELECT count(*), total(length(body)) FROM records").fetchone()
    (dead,) = connection.execute("SELECT count(*) FROM dead").fetchone()
    return records, int(size), dead


def next_key(connection: sqlite3.Connection) -> int:
    """Return the first number after all that are in use."""
    query = "SELECT max((SELECT coalesce(max(key), 0) FROM records), (SELECT coalesce(max(key), 0) FROM dead))"
    return int(connection.execute(query).fetchone()[0]) + 1


def tidy(connection: sqlite3.Connection, free_pages: int | None) -> None:
    """Bring the log into the database, and make a file smaller that has so many unused pages."""
    if free_pages is not None and connection.execute("PRAGMA freelist_count").fetchone()[0] > free_pages:
        connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
