"""One record on its way, and what it ends as."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import attrs

from .._settings import Fold


class End(enum.Enum):
    """What an accepted record comes to; exactly one of these."""

    __hash__ = object.__hash__  # Enum's own is a Python function, and the ends of all records are counted by it

    DELIVERED = "delivered"
    REJECTED = "rejected"
    EXPIRED = "expired"
    AMBIGUOUS = "ambiguous"
    DROPPED = "dropped"
    CANCELLED = "cancelled"
    ABANDONED = "abandoned"
    KEPT = "kept"


class EntryState(enum.Enum):
    """Where a record is."""

    WAITING = "waiting"
    IN_FLIGHT = "in flight"
    ENDED = "ended"


@attrs.define  # not frozen: that takes twice the time, and one is made for each record
class Draft:
    """
    A checked and encoded record that has not been accepted yet. Nobody changes it.

    Attributes:
        name: The name of the event.
        identities: The visitor's identifiers, in a form that can be compared.
        body: What will be sent.
        unique_id: The caller's own id for this record, if any.
        properties: The caller's properties as given; only read while the call lasts, or copied where a fold needs them.
        destination: What it goes to, where that is not the destination of its buffer.
        fold: How it melts into an older one that waits, where it has a destination of its own; the rules for names of
            events are for records that have none.
        foldable: Whether its properties are all that it has to say beside its name and its visitor, so that nothing is
            lost when it is folded.
    """

    name: str
    identities: tuple[str, ...]
    body: bytes = attrs.field(repr=False)
    unique_id: str | None = None
    properties: Mapping[str, object] | None = attrs.field(default=None, repr=False)
    destination: object = attrs.field(default=None, repr=False)
    fold: Fold | None = None
    foldable: bool = True


@attrs.define(eq=False)
class Entry:
    """
    An accepted record.

    Attributes:
        id: Its number, in the order of acceptance.
        name: The name of the event.
        identities: The visitor's identifiers, in a form that can be compared.
        body: What is sent.
        accepted_at: When it was accepted, on the loop's clock.
        due: Not to be sent before this time; 0 where nothing holds it back.
        attempts: How often it was sent.
        spared: How many of these attempts do not count, because they only asked whether the server is back, or were
            told when to come again.
        ambiguous: Whether an earlier attempt may have been applied.
        unknown_since: Since when its visitor is waited for, whom the server does not know.
        last_error: How the last attempt failed.
        folded: The number of accepted records that it carries.
        shared: The number of later calls with the same unique_id that share its fate.
        company: The most records, itself included, that may be in its next request; None for any number.
        unique_id: The caller's own id for it.
        properties: A copy of the properties, where a later record may be folded into it.
        destination: What it goes to, where that is not the destination of its buffer.
        state: Where it is.
        lane: A note of `lanes.py`; each use of an ``object`` would need a cast, which costs a call.
        room: The bytes of room that it takes in its buffer; 0 where it takes none.
        deliveries: A note of the ledger: who is told of its end. None before it is accepted and after its end.
    """

    id: int
    name: str
    identities: tuple[str, ...]
    body: bytes = attrs.field(repr=False)
    accepted_at: float
    due: float = 0.0
    attempts: int = 0
    spared: int = 0
    ambiguous: bool = False
    unknown_since: float | None = None
    last_error: Exception | None = None
    folded: int = 1
    shared: int = 0
    company: int | None = None
    unique_id: str | None = None
    properties: Mapping[str, object] | None = attrs.field(default=None, repr=False)
    destination: object = attrs.field(default=None, repr=False)
    state: EntryState = EntryState.WAITING
    lane: Any = attrs.field(default=None, repr=False)
    room: int = attrs.field(default=0, repr=False)
    deliveries: object = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class Receipt:
    """
    The fate of a delivered record.

    Attributes:
        record_id: The record's number, in the order of acceptance.
        status: The HTTP status of the answer.
        attempts: How often it was sent, 1 where all went well.
        waited: Seconds from acceptance to the answer.
        folded: The number of accepted records that this one request carried; 1 means that it travelled alone.
        may_be_duplicate: Whether an earlier attempt may have been applied, too.
        body: The decoded answer, its text where it is not JSON, None where it is empty or was cut short.
    """

    record_id: int
    status: int
    attempts: int
    waited: float
    folded: int
    may_be_duplicate: bool
    body: object
