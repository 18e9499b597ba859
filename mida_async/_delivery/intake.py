"""The caller's half, once there is room: what an accepted record becomes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

import attrs

from .._core.entry import End, Entry, EntryState
from .._core.folding import Duplicates, may_fold
from .._core.lanes import Lanes
from .._core.verdict import Ended
from .._errors import BufferFullError, EventDroppedError, InvalidEventError
from .._settings import BufferSettings, Fold
from ..destinations.base import Destination, destination_of
from .admission import Admission
from .ledger import Ledger

if TYPE_CHECKING:
    from .._core.entry import Draft
    from .delivery import Delivery
    from .spooling import Spooling  # noqa: TC004 - only named, and a sixth of what the package takes to import


@attrs.define(eq=False, kw_only=True)
class Intake:
    """
    Puts a record where it belongs: with the one that it repeats, into the one it folds into, or at the end of its lane.

    Attributes:
        settings: How the buffer behaves.
        admission: Knows whether there is room.
        destination: Encodes folded records that have none of their own.
        lanes: Where records wait.
        ledger: Where they are entered.
        duplicates: Knows the records that have a ``unique_id``.
        clock: The loop's time.
        arrived: Called with each record that was put into a lane.
        spooling: Writes records down, where there is a spool.
        newest: The number of the record that came last.
        plain: Whether there is neither a spool nor a rule for folding.
    """

    settings: BufferSettings
    admission: Admission
    destination: Destination[...]
    lanes: Lanes
    ledger: Ledger
    duplicates: Duplicates
    clock: Callable[[], float]
    arrived: Callable[[Entry], None]
    spooling: Spooling | None = None
    newest: int = 0
    _lingering: deque[Entry] = attrs.field(init=False, factory=deque[Entry])
    _freed: int = attrs.field(init=False, default=0)
    plain: bool = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.plain = not self.settings.folds and self.spooling is None

    def enter(self, draft: Draft, *, waits: bool = False) -> Delivery | None:
        """
        Take a record if that can be done without waiting, and otherwise do what ``overflow`` says.

        Args:
            draft: The record.
            waits: Whether its caller waits for the disk, where there is one, before it comes with the next record.

        Returns:
            Its Delivery; None where it has to wait for room.

        Raises:
            BufferFullError: It can never fit, or ``overflow`` is ``raise``.
        """
        size = len(draft.body)
        admission = self.admission
        if self.plain and draft.unique_id is None and draft.fold is None and admission.try_reserve(size):
            return self._put(self._enumerated(draft))  # what nearly all are, by the shortest way
        admission.check(size)
        # What is folded or repeated takes no room, but must not overtake those who wait for it.
        if not admission.callers:
            shared = self._share(draft)
            if shared is not None:
                return shared
            if self.spooling is not None and self.spooling.takes(size, waits=waits):
                return self.spooling.spill(draft, self._next_id())
        return self._accept(draft) if admission.try_reserve(size) else self._without_room(draft)

    def _without_room(self, draft: Draft) -> Delivery | None:
        match self.settings.overflow:
            case "wait":
                return None
            case "raise":
                raise self.full()
            case "drop_newest":
                message = "the buffer is full, and overflow='drop_newest' drops the new record"
                return self.ledger.drop(self._enumerated(draft), EventDroppedError(message))
            case _:  # drop_oldest
                return self._accept_instead(draft)

    def admit(self, draft: Draft) -> Delivery:
        """Take a record that waited for its room; what it repeats or folds into may have come meanwhile."""
        size = len(draft.body)
        self._freed = max(0, self._freed - size)
        try:
            shared = self._share(draft)
        except BaseException:  # a rule for folding is the user's code
            self.admission.give_back(size)
            raise
        if shared is not None:
            self.admission.give_back(size)
            return shared
        return self._accept(draft)

    def full(self) -> BufferFullError:
        """Return the error that says how full it is."""
        room, most = self.admission, self.settings
        spool = "" if self.spooling is None else ", and the spool has no room or the disk does not keep up"
        return BufferFullError(
            f"the buffer is full: {room.records} of {most.max_records} records, "
            f"{room.bytes} of {most.max_bytes} bytes, {room.callers} callers waiting{spool}"
        )

    def _share(self, draft: Draft) -> Delivery | None:
        """Return a Delivery of the record that *draft* repeats or folds into; None where it is a record of its own."""
        if draft.unique_id is not None:
            known = self.duplicates.find(draft, self.clock())
            if known is not None:
                if known.receipt is not None:
                    return self.ledger.repeat(known.receipt, draft.name)
                return self.ledger.share(known.entry)
        return self._fold(draft) if self._foldable(draft) else None

    def _accept_instead(self, draft: Draft) -> Delivery | None:
        """Accept *draft* in the place of the oldest records that wait; None where that would not make room for it."""
        size, victims, before = len(draft.body), list[Entry](), self.admission.bytes
        if self.admission.callers or not self._could_fit(size):
            return None
        fits = self.admission.fits(size)
        while not fits and (victim := self._vacate_oldest()) is not None:
            victims.append(victim)
            # In a spool, the room of what is dropped is free once that is written down: it is taken over right away.
            fits = (
                self.admission.has_memory(size) if before - self.admission.bytes >= size else self.admission.fits(size)
            )
        delivery = None
        if fits:
            self.admission.take(size)
            delivery = self._accept(draft)
        # Told last: a hook may record something itself, and must not find the room that was made for this one.
        self._tell_dropped(victims)
        return delivery

    def make_room(self) -> None:
        """Drop the oldest records for those who stand in line, where ``overflow`` says so and a record waits again."""
        victims = list[Entry]()
        if self.settings.overflow == "drop_oldest":
            while (size := self.admission.next_in_line()) is not None and self._could_fit(size):
                if self.spooling is not None and self._freed >= size and self.admission.has_memory(size):
                    break  # what is missing is room in the spool, which is free once that is written down
                before = self.admission.bytes
                victim = self._vacate_oldest()
                if victim is None:
                    break
                victims.append(victim)
                self._freed += before - self.admission.bytes
        self._tell_dropped(victims)
        if self.spooling is not None:
            self.admission.admit()
        if self.admission.next_in_line() is None:
            self._freed = 0

    def _could_fit(self, size: int) -> bool:
        """Say whether there would be room if nothing waited."""
        flying, room = self.lanes.flying(), self.admission
        records = len(flying) + room.let_in
        return (
            records < self.settings.max_records
            and size + room.let_in_bytes + sum(len(entry.body) for entry in flying) <= self.settings.max_bytes
        )

    def _vacate_oldest(self) -> Entry | None:
        oldest = self.lanes.oldest_waiting()
        if oldest is not None:  # there is one, see `_could_fit`, unless what is missing is room in the spool
            self.lanes.withdraw(oldest)
            self.ledger.vacate(oldest)
        return oldest

    def _tell_dropped(self, victims: list[Entry]) -> None:
        for victim in victims:
            error = EventDroppedError("the buffer is full, and overflow='drop_oldest' drops the oldest record")
            self.ledger.end(victim, Ended(end=End.DROPPED, error=error), self.clock())

    def _accept(self, draft: Draft) -> Delivery:
        """Enter a record of its own, which has its room, and put it at the end of its lane or on its way to disk."""
        spooling = self.spooling
        if spooling is not None and spooling.backlog.count:
            try:
                return spooling.spill(draft, self._next_id())  # those that are on disk alone came first
            finally:
                self.admission.give_back(len(draft.body))
                spooling.backlog.refill()
        entry = self._enumerated(draft)
        if self.settings.linger and self._foldable(draft) and not self.admission.callers:
            self._hold_back(entry)
        if spooling is not None:
            return spooling.enter(entry)
        return self._put(entry)

    def _put(self, entry: Entry) -> Delivery:
        delivery = self.ledger.open(entry)
        self.lanes.push(entry)
        self.arrived(entry)
        return delivery

    def _next_id(self) -> int:
        self.newest += 1
        if self.spooling is not None:  # numbers go on where an earlier process ended
            self.newest = max(self.newest, self.spooling.next_key)
        return self.newest

    def _enumerated(self, draft: Draft) -> Entry:
        entry = Entry(self._next_id(), draft.name, draft.identities, draft.body, self.clock())
        # Most have none of these: an argument for each would be a fifth of what it takes to make one.
        if draft.unique_id is not None:
            entry.unique_id = draft.unique_id
        if draft.destination is not None:
            entry.destination = draft.destination
        if self._foldable(draft):
            entry.properties = draft.properties
        return entry

    def _foldable(self, draft: Draft) -> bool:
        if self.plain and draft.fold is None:
            return False
        settings = self.settings
        return has_fold(draft, settings.folds) and draft.unique_id is None and settings.order != "none"

    def cut_linger(self) -> None:
        """Let everything go that was only held back in case that something could be folded into it."""
        for entry in self._lingering:
            if entry.lane is None:
                entry.due = 0.0  # it is on its way to the disk, and was in no lane yet
            elif entry.attempts == 0 and entry.state is EntryState.WAITING:  # not one that is just being dropped
                self.lanes.release(entry)
        self._lingering.clear()

    def _hold_back(self, entry: Entry) -> None:
        entry.due = entry.accepted_at + self.settings.linger
        # All linger equally long, so the first in are the first out.
        while self._lingering and self._lingering[0].due <= entry.accepted_at:
            self._lingering.popleft()
        if len(self._lingering) > 2 * len(self.lanes) + 8:  # most of them have ended: they went early
            self._lingering = deque(entry for entry in self._lingering if entry.deliveries is not None)
        self._lingering.append(entry)

    def _fold(self, draft: Draft) -> Delivery | None:
        tail = self.lanes.tail(draft.identities)
        if tail is None or not may_fold(tail, draft) or self._is_overtaken(tail):
            return None
        before = tail.body
        try:
            combined = self._combined(tail, draft)
            # A rule is the user's code: it can have recorded or cancelled something meanwhile.
            if tail.body is not before or self.lanes.tail(draft.identities) is not tail or self._is_overtaken(tail):
                return None
            body = destination_of(tail, self.destination).fold(before, combined)
        except InvalidEventError:
            return None  # each can be sent, but not both in one: too long, or nothing that can be added up
        if not self.ledger.resize(tail, len(body)):
            return None
        self.lanes.replace(tail, body)
        tail.properties = combined
        if self.spooling is not None:
            self.spooling.folded(tail)
        return self.ledger.fold(tail)

    def _is_overtaken(self, tail: Entry) -> bool:
        """Say whether something that folds into *tail* would overtake a record that came meanwhile."""
        return self.spooling is not None and self.spooling.has_newer(tail)

    def _combined(self, tail: Entry, draft: Draft) -> dict[str, object]:
        """Ask the rule. It gets copies, because the two go out as they are where they cannot be folded after all."""
        older, newer = snapshot(tail.properties or {}), snapshot(draft.properties or {})
        rule = draft.fold or self.settings.folds[draft.name]
        combined = cast("object", rule.combine(older, newer))
        if isinstance(combined, Mapping):
            return snapshot(cast("Mapping[str, object]", combined))
        message = f"the fold of {draft.name!r} returned {type(combined).__name__}; it must return a mapping"
        raise TypeError(message)


def has_fold(draft: Draft, folds: Mapping[str, Fold]) -> bool:
    """
    Say whether there is a rule by which a record can melt into another one.

    Args:
        draft: The record.
        folds: The rules for those that go to the buffer's own destination.
    """
    if not draft.foldable:
        return False
    return draft.name in folds if draft.destination is None else draft.fold is not None


def snapshot(properties: Mapping[str, object]) -> dict[str, object]:
    """
    Copy what may change in *properties*: its containers. All else that can be encoded never changes.

    Args:
        properties: What was encoded without complaint, so it has no cycles.
    """
    return {key: _copied(value) for key, value in properties.items()}


def _copied(value: object) -> object:
    if isinstance(value, Mapping):
        return snapshot(cast("Mapping[str, object]", value))
    if isinstance(value, (list, tuple)):
        return [_copied(each) for each in cast("list[object]", value)]
    return value
