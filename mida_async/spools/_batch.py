"""What was asked of a spool and is not written yet, summed up for each record."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import attrs

from .base import DeadRecord, SpooledRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_Place = TypeVar("_Place")


@attrs.define
class Change:
    """
    What changed in a record that is written already.

    Attributes:
        body: Its new body.
        sent: How often it was sent, and whether it may have been applied.
        in_flight: Whether it is marked.
    """

    body: bytes | None = None
    sent: tuple[int, bool] | None = None
    in_flight: bool | None = None


@attrs.frozen
class End:
    """
    The end of a record that is written already.

    Attributes:
        reason: Why it is a dead letter, or None where it is forgotten.
        at: When.
    """

    reason: str | None
    at: float


@attrs.define(eq=False)
class Batch:
    """
    Changes that go into one transaction. What a later one undoes is not in it any more. Key 0 stands for no record.

    Attributes:
        new: Records that are not written yet.
        changed: What becomes of those that are.
        ended: Those that came to their end.
        dead: Records that came to theirs before they were written.
        size: The bytes of the bodies of the new ones.
        ticket: The largest ticket that is durable with it.
        next_key: The first number after those of the new records, or 0.
    """

    new: dict[int, SpooledRecord] = attrs.field(factory=dict[int, SpooledRecord])
    changed: dict[int, Change] = attrs.field(factory=dict[int, Change])
    ended: dict[int, End] = attrs.field(factory=dict[int, End])
    dead: dict[int, DeadRecord] = attrs.field(factory=dict[int, DeadRecord])
    size: int = 0
    ticket: int = 0
    next_key: int = 0

    @property
    def anything(self) -> bool:
        """Whether there is anything to be written."""
        return bool(self.next_key or self.new or self.changed or self.ended or self.dead)

    @property
    def records(self) -> int:
        """By how much the number of live records changes."""
        return len(self.new) - len(self.ended)

    @property
    def letters(self) -> int:
        """By how much the number of dead letters changes."""
        return len(self.dead) + sum(end.reason is not None for end in self.ended.values())

    def append(self, record: SpooledRecord) -> None:
        """Add a record."""
        self.new[record.key] = record
        self.size += len(record.body)
        self.next_key = record.key + 1

    def replace(self, key: int, body: bytes) -> None:
        """Give a record another body."""
        if (record := self.new.get(key)) is not None:
            self.size += len(body) - len(record.body)
            self.new[key] = attrs.evolve(record, body=body)
        elif (change := self._change(key)) is not None:
            change.body = body

    def mark(self, keys: Iterable[int]) -> None:
        """Mark records."""
        for key in keys:
            if (record := self.new.get(key)) is not None:
                self.new[key] = attrs.evolve(record, in_flight=True)
            elif (change := self._change(key)) is not None:
                change.in_flight = True

    def note(self, key: int, attempts: int, ambiguous: bool) -> None:  # noqa: FBT001  it is what is kept
        """Note what became of an attempt."""
        if (record := self.new.get(key)) is not None:
            self.new[key] = attrs.evolve(record, attempts=attempts, ambiguous=ambiguous, in_flight=False)
        elif (change := self._change(key)) is not None:
            change.sent = attempts, ambiguous
            change.in_flight = False

    def settle(self, key: int, end: End) -> None:
        """Bring a record to its end."""
        if (record := self.new.pop(key, None)) is not None:
            self.size -= len(record.body)
            if end.reason is not None:
                self.dead[key] = DeadRecord(record=record, reason=end.reason, settled_at=end.at)
        elif key and key not in self.dead:
            self.ended.setdefault(key, end)
            if end.reason is None:
                self.changed.pop(key, None)

    def _change(self, key: int) -> Change | None:
        return None if not key or key in self.ended or key in self.dead else self.changed.setdefault(key, Change())

    def absorb(self, later: Batch) -> None:
        """Add what was asked later."""
        for record in later.new.values():
            self.append(record)
        for key, change in later.changed.items():
            self._absorb(key, change)
        for key, end in later.ended.items():
            self.settle(key, end)
        self.dead.update(later.dead)
        self.ticket = max(self.ticket, later.ticket)
        self.next_key = max(self.next_key, later.next_key)

    def _absorb(self, key: int, change: Change) -> None:
        if change.body is not None:
            self.replace(key, change.body)
        if change.sent is not None:
            self.note(key, *change.sent)
        if change.in_flight:
            self.mark([key])

    def split(self, place_of: Callable[[int], _Place]) -> dict[_Place, Batch]:
        """Return the parts for each place that holds some of the records."""
        parts: dict[_Place, Batch] = {}
        for kind in ("new", "changed", "ended", "dead"):
            for key, value in getattr(self, kind).items():
                getattr(parts.setdefault(place_of(key), Batch()), kind)[key] = value
        return parts

    def drop(self, part: Batch) -> None:
        """Forget a part, because it is written."""
        for kind in ("new", "changed", "ended", "dead"):
            for key in getattr(part, kind):
                getattr(self, kind).pop(key, None)
        self.size = sum(len(record.body) for record in self.new.values())

    def translated(self, translate: Callable[[int], int]) -> Batch:
        """Return the changes of written records with other keys."""
        changed = {translate(key): change for key, change in self.changed.items()}
        return Batch(changed=changed, ended={translate(key): end for key, end in self.ended.items()})

    def applied(self, record: SpooledRecord) -> SpooledRecord | None:
        """Return a written record as it will be, or None where it will be gone."""
        if record.key in self.ended:
            return None
        change = self.changed.get(record.key)
        if change is None:
            return record
        attempts, ambiguous = change.sent or (record.attempts, record.ambiguous)
        in_flight = record.in_flight if change.in_flight is None else change.in_flight
        body = record.body if change.body is None else change.body
        return attrs.evolve(record, body=body, attempts=attempts, ambiguous=ambiguous, in_flight=in_flight)


def within(found: Iterable[SpooledRecord], records: int, size: int) -> list[SpooledRecord]:
    """Return the first records within the bounds, and one at least."""
    taken: list[SpooledRecord] = []
    for record in found:
        size -= len(record.body)
        if len(taken) >= records or (size < 0 and taken):
            break
        taken.append(record)
    return taken
