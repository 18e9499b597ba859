"""A new file in the place of a damaged one, with all of it that can be read."""

from __future__ import annotations

import json
import logging
import time
import zlib
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import attrs

from . import _rows, _schema, _statements
from ._salvage import Wreck, beside, copy, exchange, remove

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .base import SpooledRecord

_AT_ONCE: Final = 500

_LOG: Final = logging.getLogger("mida_async")


@attrs.define
class _Tally:
    """What became of the rows."""

    records: int = 0
    dead: int = 0
    damaged: int = 0
    foreign: int = 0


def rebuild(path: Path, destination: str, synchronous: str, problem: str) -> tuple[str, ...]:
    """
    Save what can be read of a damaged file into a new one, set the damaged one aside, and put the new one in its place.

    A crash at any moment leaves the damaged file where it is, or the new one whole.

    Returns:
        What somebody should know.
    """
    wreck, rebuilt = beside(path, ".salvage"), beside(path, ".rebuilt")
    for each in (wreck, rebuilt):
        remove(each)
    copy(path, wreck)
    if beside(path, "-wal").exists():
        copy(beside(path, "-wal"), beside(wreck, "-wal"))
    remarks = _save(wreck, rebuilt, destination, synchronous)
    remove(wreck)
    aside = exchange(path, rebuilt)
    told = f"{path} was damaged ({problem}) and is kept as {aside}: {remarks}"
    _LOG.error("%s", told)
    return (told,)


def _save(wreck: Path, rebuilt: Path, destination: str, synchronous: str) -> str:
    with closing(_schema.connect(rebuilt, synchronous)) as connection:
        rebuilt.chmod(0o600)
        _schema.migrate(connection, rebuilt, _schema.STEPS)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with rebuilt.open("rb") as file:
            first_page = file.read(_schema.PAGE_SIZE)
        remains = Wreck(wreck, first_page)
        try:
            connection.execute("BEGIN IMMEDIATE")
            remarks = _fill(connection, remains, destination)
            connection.execute("COMMIT")
        finally:
            remains.close()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return remarks


def _fill(connection: sqlite3.Connection, wreck: Wreck, destination: str) -> str:
    tally = _Tally()
    records = _whole(wreck.rows("records", _rows.COLUMNS), _rows.decode, tally)
    while some := list(islice((each for each in records if _belongs(each, destination, tally)), _AT_ONCE)):
        _statements.salvage(connection, some, ())
    letters = _whole(wreck.rows("dead", _rows.DEAD_COLUMNS), _rows.decode_dead, tally)
    while dead := list(islice((each for each in letters if _belongs(each.record, destination, tally)), _AT_ONCE)):
        _statements.salvage(connection, (), dead)
    tally.records, size, tally.dead = _statements.count(connection)
    state = _kept(wreck, "state")
    next_key = max(_statements.next_key(connection), int(state.get("next_key", 0)))
    counts = {"records": tally.records, "size": size, "dead": tally.dead, "next_key": next_key}
    _schema.write_meta(connection, "state", counts)
    about = {"created": time.time(), **_kept(wreck, "about"), "destination": destination}
    _schema.write_meta(connection, "about", about)
    return _told(tally, wreck, state)


def _whole(rows: Iterator[tuple[Any, ...]], decode: Callable[[tuple[Any, ...]], Any], tally: _Tally) -> Iterator[Any]:
    for row in rows:
        try:
            yield decode(row)
        except _rows.DamagedRowError:
            tally.damaged += 1


def _belongs(record: SpooledRecord, destination: str, tally: _Tally) -> bool:
    belongs = record.destination == destination
    tally.foreign += not belongs
    return belongs


def _kept(wreck: Wreck, name: str) -> dict[str, Any]:
    row = wreck.meta(name)
    if row is None or not isinstance(row[0], str) or zlib.crc32(row[0].encode(errors="replace")) != row[1]:
        return {}
    value: dict[str, Any] = json.loads(row[0])
    return value


def _told(tally: _Tally, wreck: Wreck, state: dict[str, Any]) -> str:
    told = [f"{tally.records} records and {tally.dead} dead letters were saved"]
    damaged = tally.damaged + len(wreck.unreadable)
    if state:
        lost = max(0, state["records"] - tally.records) + max(0, state["dead"] - tally.dead)
        told.append(f"{lost} of those that were counted are lost")
    elif not damaged and not wreck.holes:
        told.append("how many are lost is not known")
    if damaged:
        told.append(f"{damaged} were found but are not what was written")
    if wreck.holes:
        ranges = ", ".join(
            f"{first} to {last}" if last < _rows.LARGEST_KEY else f"from {first} on" for first, last in wreck.holes[:10]
        )
        told.append(f"nothing could be read in the ranges of keys {ranges}")
    if tally.foreign:
        told.append(f"{tally.foreign} are for another destination and were left there")
    return "; ".join(told)
