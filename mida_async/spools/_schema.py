"""The tables of a spool, how a connection is set up for them, and how an older file becomes a newer one."""

from __future__ import annotations

import functools
import json
import sqlite3
import zlib
from typing import TYPE_CHECKING, Any, Final

from .._errors import SpoolError
from ._rows import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

APPLICATION_ID: Final = 0x4D694461
PAGE_SIZE: Final = 4096

_RECORD: Final = """
    key INTEGER PRIMARY KEY,
    destination TEXT NOT NULL,
    name TEXT NOT NULL,
    identities TEXT NOT NULL,
    body BLOB NOT NULL,
    accepted_at REAL NOT NULL,
    unique_id TEXT,
    attempts INTEGER NOT NULL,
    ambiguous INTEGER NOT NULL,
    in_flight INTEGER NOT NULL,
    head_crc INTEGER NOT NULL,
    body_crc INTEGER NOT NULL
"""

# Each brings a file from the version that is its place in this row to the next one. What is here once stays as it is.
STEPS: Final[tuple[tuple[str, ...], ...]] = (
    (
        f"CREATE TABLE records ({_RECORD})",
        f"CREATE TABLE dead ({_RECORD}, reason TEXT NOT NULL, settled_at REAL NOT NULL, end_crc INTEGER NOT NULL)",
        # Rows that are not what was written, for somebody to look at; so nothing is demanded of them.
        f"CREATE TABLE damaged (id INTEGER PRIMARY KEY, found_at REAL, origin TEXT, {COLUMNS})",
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID",
    ),
)

# EXCLUSIVE comes before WAL: then no other connection can come in, and no shared memory is used. Several connections
# that write and checkpoint one file can damage it in releases of SQLite before 3.51.3, memory-mapped ones even more.
_PRAGMAS: Final = (
    f"page_size = {PAGE_SIZE}",
    "locking_mode = EXCLUSIVE",
    "journal_mode = WAL",
    "busy_timeout = 5000",
    "wal_autocheckpoint = 1000",
    "journal_size_limit = 67108864",
    "temp_store = MEMORY",
    "mmap_size = 0",
    "fullfsync = 1",  # on macOS the disk's own cache keeps what is synced otherwise
    "checkpoint_fullfsync = 1",
    "secure_delete = FAST",  # a body that was delivered is nobody's business any more
    "cell_size_check = ON",
    "trusted_schema = OFF",
)


class DamageError(sqlite3.DatabaseError):
    """The file is not as this package left it."""


def connect(path: Path, synchronous: str) -> sqlite3.Connection:
    """Connect and set up the connection."""
    connection = sqlite3.connect(path, isolation_level=None, cached_statements=256)
    try:
        # Text that is no UTF-8 shall fail by its checksum, in its own row, and not end the reading of all rows.
        connection.text_factory = functools.partial(str, encoding="utf-8", errors="surrogateescape")
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").fetchall()
        connection.execute(f"PRAGMA synchronous = {synchronous}")
    except BaseException:
        connection.close()
        raise
    if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):  # pragma: no cover - SQLite built without it
        connection.close()
        message = f"the spool {path} cannot be kept safely: this SQLite, or this file system, has no write-ahead log"
        raise SpoolError(message)
    return connection


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def tables(connection: sqlite3.Connection) -> set[str]:
    """Return the names of the tables."""
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def write_meta(connection: sqlite3.Connection, name: str, value: dict[str, Any]) -> None:
    """Keep something about the spool itself."""
    text = json.dumps(value)
    words = (name, text, zlib.crc32(text.encode()))
    connection.execute("INSERT OR REPLACE INTO meta (name, value, crc) VALUES (?, ?, ?)", words)


def read_meta(connection: sqlite3.Connection, name: str) -> dict[str, Any] | None:
    """Return what was kept, or None where that is missing or damaged."""
    row = connection.execute("SELECT value, crc FROM meta WHERE name = ?", (name,)).fetchone()
    if row is None or not isinstance(row[0], str) or zlib.crc32(row[0].encode(errors="replace")) != row[1]:
        return None
    value: dict[str, Any] = json.loads(row[0])
    return value


def migrate(connection: sqlite3.Connection, path: Path, steps: Sequence[Sequence[str]]) -> list[str]:
    """
    Bring a file to the newest version; a new file is one of version 0.

    Returns:
        What somebody should know.

    Raises:
        SpoolError: It is another program's database, or a newer version of this package made it.
    """
    existing = tables(connection)
    ours = {"records", "dead", "meta"} <= existing
    if existing and not ours and _number(connection, "application_id") != APPLICATION_ID:
        message = f"{path} is a database of another program: give the spool a file of its own"
        raise SpoolError(message)
    if existing and not ours:
        message = "tables are missing"
        raise DamageError(message)
    version, remarks = _version(connection, len(steps)) if existing else (0, [])
    if version > len(steps):
        message = f"a newer release of the package made {path} (version {version}, not {len(steps)}): install that one"
        raise SpoolError(message)
    for number, step in enumerate(steps[version:], version + 1):
        connection.execute("BEGIN IMMEDIATE")
        for statement in step:
            connection.execute(statement)
        write_meta(connection, "version", {"version": number})
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
    return remarks


def _version(connection: sqlite3.Connection, newest: int) -> tuple[int, list[str]]:
    """Return the version, and repair a header that one flipped bit made lie about it."""
    said, kept = _number(connection, "user_version"), read_meta(connection, "version")
    known = said if kept is None else int(kept["version"])
    marked = _number(connection, "application_id") == APPLICATION_ID
    if said > newest and (said ^ known).bit_count() != 1:
        return said, []
    if (said == known and marked) or known > newest:
        return known, []
    connection.execute(f"PRAGMA user_version = {known}")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    return known, ["the header of the file was damaged, and is repaired"]
