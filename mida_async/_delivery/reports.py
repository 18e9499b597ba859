"""What the buffer tells about itself: immutable snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from .._errors import BufferClosedError
from ..models.base import Value

if TYPE_CHECKING:
    from .._core.entry import Entry


@attrs.frozen(kw_only=True, eq=False, repr=False)
class EndCounts(Value):
    """Records by the end that they came to."""

    delivered: int = 0
    rejected: int = 0
    expired: int = 0
    ambiguous: int = 0
    dropped: int = 0
    cancelled: int = 0
    abandoned: int = 0
    kept: int = 0


@attrs.frozen(kw_only=True, eq=False, repr=False)
class FlushReport(EndCounts):
    """
    What became of the records that were pending when ``flush()`` was called.

    Attributes:
        pending: Those without an end yet.
    """

    pending: int = 0


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CloseReport(EndCounts):
    """
    What became of the records that were pending when ``aclose()`` was called.

    Attributes:
        pending: Always 0: what is left is abandoned, or kept in the spool.
    """

    pending: int = 0


@attrs.frozen(kw_only=True, eq=False, repr=False)
class BufferStatistics(EndCounts):
    """
    The buffer at one moment.

    Attributes:
        accepted: All records that were ever accepted; the sum of all ends and ``pending``.
        pending: Records without an end yet.
        waiting: Those of them that are not in flight, ``retrying`` included. Folded records count once here.
        in_flight: Records that are being sent.
        retrying: Records that wait for another attempt.
        lanes: Visitors with records.
        callers: Callers that wait for room.
        spilled: Records that are in the spool alone, because memory is full; they come after all others.
        bytes: Encoded bodies that are held in memory, in bytes.
        oldest_age: Seconds since the oldest pending record was accepted.
        attempts: Requests sent for records.
        throttled: Requests that the server refused because there were too many (429), direct calls included.
        rate: Requests a second that may go now in the long run; None where nothing limits them.
        smooth: Whether they are spread out.
        breaker: One of closed, open, probing, recovering.
    """

    accepted: int = 0
    pending: int = 0
    waiting: int = 0
    in_flight: int = 0
    retrying: int = 0
    lanes: int = 0
    callers: int = 0
    spilled: int = 0
    bytes: int = 0
    oldest_age: float = 0.0
    attempts: int = 0
    throttled: int = 0
    rate: float | None = None
    smooth: bool = False
    breaker: str = "closed"


def abandoned(entry: Entry, *, in_flight: bool) -> BufferClosedError:
    """
    Return what the Delivery of a record raises that was left when the buffer was closed.

    Args:
        entry: The record.
        in_flight: Whether it was being sent at that moment.
    """
    if in_flight:
        fate = "it was being sent, and may have been applied"
    else:
        fate = f"it had been sent {entry.attempts} times" if entry.attempts else "it had not been sent"
        fate += ", and may have been applied" if entry.ambiguous else ""
    error = BufferClosedError(f"the buffer was closed before record {entry.id} was delivered: {fate}")
    error.__cause__ = entry.last_error
    return error


def kept(record_id: int) -> BufferClosedError:
    """
    Return what the Delivery of a record raises that stays in the spool when the buffer is closed.

    Args:
        record_id: Its number.
    """
    return BufferClosedError(
        f"the buffer was closed before record {record_id} was delivered: it is kept in the spool, and delivered by "
        "whoever opens that next"
    )


def unwritten(record_id: int) -> BufferClosedError:
    """
    Return what the Delivery of a record raises that was not on disk when the buffer was closed.

    Args:
        record_id: Its number.
    """
    return BufferClosedError(f"the buffer was closed before record {record_id} was on disk: it was not delivered")
