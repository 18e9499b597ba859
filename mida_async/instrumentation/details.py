"""The things that hooks are told, as frozen values. None of them holds a header, a body or a key."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import attrs

from ..models.base import Value


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RecordAccepted(Value):
    """
    The buffer took a record, to send it by itself or to drop it at once.

    Together with :class:`RecordFolded` and :class:`RecordRepeated` there is one of these for each accepted record.

    Attributes:
        record_id: Its number, in the order of acceptance.
        event_name: The name of the event.
        size: The length of its encoded body in bytes.
    """

    record_id: int
    event_name: str
    size: int


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RecordFolded(Value):
    """
    The buffer took a record by folding it into one that waits; both come to the same end.

    Attributes:
        record_id: The number of the record that carries it now.
        event_name: The name of the event.
        size: The length of the encoded body of both, in bytes.
        records: How many accepted records that one carries now.
    """

    record_id: int
    event_name: str
    size: int
    records: int


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RecordRepeated(Value):
    """
    The buffer took a record that repeats an earlier one by its ``unique_id``, and is not sent.

    Attributes:
        record_id: The number of the earlier one.
        event_name: The name of the event.
        delivered: Whether that was delivered already. If not, its end will be this record's, too, and is told for both.
    """

    record_id: int
    event_name: str
    delivered: bool


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AttemptMade(Value):
    """
    A record is being sent.

    Attributes:
        record_id: Its number.
        event_name: The name of the event.
        attempt: Which attempt this is, 1 for the first.
    """

    record_id: int
    event_name: str
    attempt: int


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RetryPlanned(Value):
    """
    An attempt failed and there will be another.

    Attributes:
        record_id: The record's number.
        event_name: The name of the event.
        attempt: Which attempt failed.
        delay: Seconds until the next one, at least.
        error: How it failed.
    """

    record_id: int
    event_name: str
    attempt: int
    delay: float
    error: Exception


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RecordEnded(Value):
    """
    A record came to its end.

    Attributes:
        record_id: Its number.
        event_name: The name of the event.
        end: One of delivered, rejected, expired, ambiguous, dropped, cancelled, abandoned, kept.
        attempts: How often it was sent.
        waited: Seconds since its acceptance.
        records: How many accepted records came to this end with it: those that were folded into it, and those that
            repeated it before it was delivered.
        maybe_applied: Whether the server may have applied it in an attempt without a clear answer. One that was
            delivered may then be there twice; one that came to another end may be there all the same.
        error: Why it was not delivered; None if it was.
    """

    record_id: int
    event_name: str
    end: str
    attempts: int
    waited: float
    records: int
    maybe_applied: bool
    error: Exception | None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RecordRecovered(Value):
    """
    A record came back from the spool into memory that nobody waits for: most often, an earlier process accepted it.

    Attributes:
        record_id: Its number.
        event_name: The name of the event.
        size: The length of its encoded body in bytes.
        age: Seconds since it was accepted.
        attempts: How often it was sent before, as far as that was noted.
    """

    record_id: int
    event_name: str
    size: int
    age: float
    attempts: int


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SpoolOpened(Value):
    """
    The spool was opened.

    Attributes:
        records: Records that it holds and that are delivered now.
        remarks: What somebody should know, such as damage and what was saved of it.
    """

    records: int
    remarks: tuple[str, ...]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SpoolChanged(Value):
    """
    The spool cannot be written any more, or can be again. Nothing is lost; new records wait meanwhile.

    Attributes:
        writable: Whether it can.
        error: Why not; None where it can.
    """

    writable: bool
    error: Exception | None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Throttled(Value):
    """
    The server refused a request because there are too many; a direct call may have been the one.

    Attributes:
        retry_after: The seconds that it asked to wait, or None.
    """

    retry_after: float | None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class BreakerChanged(Value):
    """
    The server went away, or is back.

    Attributes:
        state: One of closed, open, probing, recovering.
        error: The failure that opened the breaker; None otherwise.
    """

    state: str
    error: Exception | None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RateChanged(Value):
    """
    The client sends faster or more slowly from now on.

    Attributes:
        rate: Requests a second in the long run; infinity where nothing limits them.
        smooth: Whether they are spread out.
    """

    rate: float
    smooth: bool


Detail: TypeAlias = (
    RecordAccepted
    | RecordFolded
    | RecordRepeated
    | AttemptMade
    | RetryPlanned
    | RecordEnded
    | RecordRecovered
    | SpoolOpened
    | SpoolChanged
    | Throttled
    | BreakerChanged
    | RateChanged
)


class Hook(Protocol):
    """
    Something that is told what happens.

    It is called on the event loop, in the middle of the work: it must return at once. What it raises is logged and
    harms nothing.
    """

    def __call__(self, detail: Detail, /) -> object:
        """
        Take note of one thing that happened.

        Args:
            detail: What; its class says which kind.
        """
        ...
