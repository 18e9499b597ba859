"""What the delivery engine asks of a durable spool, and what it puts there."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@attrs.frozen(kw_only=True)
class SpooledRecord:
    """
    One accepted record, as it is kept.

    Attributes:
        key: Its number; larger for what was accepted later, and never used for another record of this spool.
        destination: Names where it goes to.
        name: The name of the event.
        identities: The visitor's identifiers, in a form that can be compared.
        body: What is sent. It holds no secrets.
        accepted_at: When it was accepted, in seconds since the epoch.
        unique_id: The caller's own id for it.
        attempts: How often it was sent, as far as that was noted.
        ambiguous: Whether one of these attempts may have been applied.
        in_flight: Whether it was marked as being sent, and nothing was said of it since.
    """

    key: int
    destination: str
    name: str
    identities: tuple[str, ...]
    body: bytes = attrs.field(repr=False)
    accepted_at: float
    unique_id: str | None = None
    attempts: int = 0
    ambiguous: bool = False
    in_flight: bool = False


class Settlement(enum.Enum):
    """What becomes of a record in the spool when it comes to its end."""

    DONE = "done"
    """It is forgotten: delivered, cancelled, dropped."""

    DEAD = "dead"
    """It goes to the dead letters, with the reason: rejected, expired, or perhaps applied and not to be sent again."""


@attrs.frozen(kw_only=True)
class DeadRecord:
    """
    A record that will not be sent again by itself.

    Attributes:
        record: The record.
        reason: Why.
        settled_at: When it came to that, in seconds since the epoch.
    """

    record: SpooledRecord
    reason: str
    settled_at: float


@attrs.frozen(kw_only=True)
class Opened:
    """
    What a spool holds when it is opened.

    Attributes:
        records: Records that have not come to their end.
        next_key: The first number that new records may have.
        remarks: What happened on the way that somebody should know: damage that was set aside, how much was saved.
    """

    records: int
    next_key: int
    remarks: tuple[str, ...] = ()


class Spool(Protocol):
    """
    Keeps records on disk until they have come to their end. All methods are called on the loop that opened it.

    1.  :meth:`open` comes first, and works once. It never fails because of damage: what cannot be read is set aside,
        what can be is saved, and the report says so. One process has a spool at a time; a second opener gets a
        :class:`SpoolError` that names the first.
    2.  :meth:`append`, :meth:`replace`, :meth:`mark`, :meth:`note` and :meth:`settle` return at once, whatever the disk
        does, and take effect in the order of the calls. None of them raises for a spool that is open.
    3.  *append*, *replace* and *mark* return a ticket. It is durable when ``on_durable`` was called, on the loop, with
        it or a larger one: then the process, and with the default settings the machine, may die at any moment. Tickets
        are numbers that grow. Records that wait together share one write.
    4.  *note* and *settle* are on disk within a second, or with the next write if that is sooner.
    5.  What is not durable after a crash has left no trace, and nothing after it has; nothing durable is lost or half
        there.
    6.  :meth:`read` returns what has not come to its end, in the order of the keys, with all that was called before.
    7.  A disk that is full, or fails, loses nothing: writing is tried again until it works, ``on_trouble`` is called
        with the error when that begins and with None when it is over, and ``on_durable`` waits.
    8.  :meth:`has_room` says whether another record is within the bound of the spool's own size.
    9.  :meth:`aclose` writes what is left if the disk allows it within the time, and gives the spool free. More than
        once does nothing.
    10. :meth:`fresh` is for a forked process: the spool that it inherits is its parent's, and does nothing there.
    """

    def fresh(self) -> Spool:
        """Return a spool of the same place and with the same settings that was not opened."""
        ...

    @property
    def records(self) -> int:
        """How many records have not come to their end, those that are not durable yet included."""
        ...

    @property
    def dead(self) -> int:
        """How many dead letters there are."""
        ...

    @property
    def next_key(self) -> int:
        """The first number that a new record may have. It may grow by itself, when records of others are adopted."""
        ...

    async def open(
        self,
        destination: str,
        *,
        on_durable: Callable[[int], None],
        on_trouble: Callable[[Exception | None], None],
        on_adopted: Callable[[int], None] | None = None,
    ) -> Opened:
        """
        Open it for the running loop.

        Args:
            destination: Names whose records it keeps. A spool that holds those of another one is refused: their bodies
                would go to the wrong place.
            on_durable: Called on the loop after each write with the highest ticket that is durable. Writes that no
                ticket waits for count as well: the room that a settled record frees may be there only then.
            on_trouble: Called on the loop when writing fails, and when it works again.
            on_adopted: Called on the loop with a number when so many records of dead processes were added to what
                :meth:`read` returns. Their keys are new: larger than all before, smaller than those of records to come.

        Raises:
            SpoolError: It cannot be opened: the folder does not exist or cannot be written, another process has it, it
                belongs to another destination, or a newer version of this package made it.
        """
        ...

    def append(self, record: SpooledRecord) -> int:
        """
        Keep a new record; return its ticket.

        Args:
            record: The record. Its key is :attr:`next_key` or larger.

        Raises:
            ValueError: The record breaks a promise of its own: the key is too small, the time is no number, or a text
                is not valid Unicode.
        """
        ...

    def replace(self, key: int, body: bytes) -> int:
        """Give a record another body; return the ticket."""
        ...

    def mark(self, keys: Sequence[int]) -> int:
        """Note that records are about to be sent; return the ticket."""
        ...

    def note(self, key: int, *, attempts: int, ambiguous: bool) -> None:
        """Note how often a record was sent, and whether it may have been applied; it is marked no longer."""
        ...

    def settle(self, key: int, settlement: Settlement, reason: str = "") -> None:
        """Bring a record to its end."""
        ...

    def has_room(self, size: int) -> bool:
        """Say whether there is room for one more record with a body of *size* bytes."""
        ...

    async def read(self, after: int, *, records: int, size: int) -> list[SpooledRecord]:
        """
        Read the next records that have not come to their end. Only an empty list means that none follow.

        Args:
            after: The key after which to begin.
            records: How many at most.
            size: How many bytes of bodies at most; a single one may be larger.
        """
        ...

    async def aclose(self, timeout: float) -> None:  # noqa: ASYNC109  a disk that hangs cannot be cancelled
        """
        Write what is left, and close.

        Args:
            timeout: Seconds that this may take where the disk does not do its part.
        """
        ...
