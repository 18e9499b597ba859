"""
Records as rows of a table, so that damage shows.

Every part of a row is guarded: two checksums cover what never changes and the body, and what changes often, without the
rest of the row being known, is written in words of its own, of which no flipped bit makes another one.
"""

from __future__ import annotations

import json
import math
import zlib
from typing import TYPE_CHECKING, Any, Final

import attrs

from .base import DeadRecord, SpooledRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORDS: Final = "attempts, ambiguous, in_flight, head_crc, body_crc"
COLUMNS: Final = f"key, destination, name, identities, body, accepted_at, unique_id, {_WORDS}"
DEAD_COLUMNS: Final = f"{COLUMNS}, reason, settled_at, end_crc"
AS_DEAD: Final = COLUMNS.replace("head_crc", "4294967295 - head_crc")
"""The columns of a record as those of a dead letter."""

LARGEST_KEY: Final = 2**62

# SQLite writes 0 and 1 as kinds of their own, one bit apart. In these, every bit that says something differs.
TRUE: Final = 74
FALSE: Final = 53
# No power of two is a multiple of it: a count with a flipped bit is none, either.
_STEP: Final = 251
_ALL_BITS: Final = 2**32 - 1


class DamagedRowError(ValueError):
    """A row is not what was written."""


def check_storable(record: SpooledRecord) -> None:
    """
    Refuse at the call what could not be written later, when nobody is there to be told.

    Raises:
        ValueError: The key or the time is no number that can be kept, or a text is not valid Unicode.
    """
    if not 0 < record.key < LARGEST_KEY:
        message = f"the key of a record must lie between 1 and 2**62, not be {record.key}"
        raise ValueError(message)
    if not math.isfinite(record.accepted_at):
        message = f"accepted_at must be a time, not {record.accepted_at}"
        raise ValueError(message)
    f"{record.destination}{record.name}{record.unique_id}".encode()


def _head_crc(key: int, destination: str, name: str, identities: str, accepted_at: float, unique_id: str | None) -> int:
    unique = "" if unique_id is None else f"={unique_id}"
    return zlib.crc32(f"{key}\0{destination}\0{name}\0{identities}\0{accepted_at!r}\0{unique}".encode())


def _end_crc(key: int, reason: str, settled_at: float) -> int:
    return zlib.crc32(f"{key}\0{settled_at!r}\0{reason}".encode())


def word(flag: bool) -> int:  # noqa: FBT001  it is what is written
    """Return how a flag is written."""
    return TRUE if flag else FALSE


def count_word(count: int) -> int:
    """Return how a count is written."""
    return min(count, 2**32) * _STEP


def encode(record: SpooledRecord) -> tuple[Any, ...]:
    """Return the row of a record."""
    accepted_at = float(record.accepted_at)
    identities = json.dumps(record.identities)
    return (
        record.key,
        record.destination,
        record.name,
        identities,
        record.body,
        accepted_at,
        record.unique_id,
        count_word(record.attempts),
        word(record.ambiguous),
        word(record.in_flight),
        _head_crc(record.key, record.destination, record.name, identities, accepted_at, record.unique_id),
        zlib.crc32(record.body),
    )


def decode(row: Sequence[Any]) -> SpooledRecord:
    """
    Return the record of a row.

    Raises:
        DamagedRowError: It is not what was written.
    """
    try:
        return _decode(row)
    except (TypeError, ValueError, AttributeError) as error:
        message = f"the row of record {row[0]!r} is damaged"
        raise DamagedRowError(message) from error


def _decode(row: Sequence[Any]) -> SpooledRecord:
    key, destination, name, identities, body, accepted_at, unique_id, attempts, ambiguous, in_flight, head, tail = row
    whole = (
        head == _head_crc(key, destination, name, identities, accepted_at, unique_id)
        and tail == zlib.crc32(body)
        and type(body) is bytes
    )
    if not whole or attempts % _STEP or attempts < 0 or {ambiguous, in_flight} - {TRUE, FALSE}:
        raise ValueError
    return SpooledRecord(
        key=key,
        destination=destination,
        name=name,
        identities=tuple(json.loads(identities)),
        body=body,
        accepted_at=accepted_at,
        unique_id=unique_id,
        attempts=attempts // _STEP,
        ambiguous=ambiguous == TRUE,
        in_flight=in_flight == TRUE,
    )


def body_words(body: bytes) -> tuple[bytes, int]:
    """Return what a row gets with another body."""
    return body, zlib.crc32(body)


def end_words(key: int, reason: str, settled_at: float) -> tuple[str, float, int]:
    """Return what a row gets in addition when its record becomes a dead letter."""
    # A reason tells of an error, and an error may quote anything: it is made storable, not refused.
    text = reason.encode(errors="replace").decode()
    return text, settled_at, _end_crc(key, text, settled_at)


def encode_dead(dead: DeadRecord) -> tuple[Any, ...]:
    """Return the row of a dead letter. Its first checksum is turned round: it must never be taken for a live record."""
    *most, head, tail = encode(dead.record)
    return (*most, _ALL_BITS - head, tail, *end_words(dead.record.key, dead.reason, dead.settled_at))


def decode_dead(row: Sequence[Any]) -> DeadRecord:
    """
    Return the dead letter of a row.

    Raises:
        DamagedRowError: It is not what was written.
    """
    *most, head, tail, reason, settled_at, crc = row
    record = decode((*most, _ALL_BITS - head if isinstance(head, int) else head, tail))
    if not (isinstance(reason, str) and isinstance(settled_at, float) and crc == _end_crc(row[0], reason, settled_at)):
        message = f"the row of the dead letter {row[0]!r} is damaged"
        raise DamagedRowError(message)
    return DeadRecord(record=record, reason=reason, settled_at=settled_at)


def with_key(record: SpooledRecord, key: int) -> SpooledRecord:
    """Return a record under another key."""
    return record if record.key == key else attrs.evolve(record, key=key)
