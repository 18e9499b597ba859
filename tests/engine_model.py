"""What the delivery engine must do, written down naively: plain lists, and a search through all of them every time."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs

from mida_async import (
    AmbiguousDeliveryError,
    BufferClosedError,
    EventDroppedError,
    EventExpiredError,
    Fold,
    Receipt,
)
from mida_async._core.entry import End
from mida_async._core.identity import identity
from mida_async._core.scheduler import Outcome
from mida_async.destinations.mida import encode_event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mida_async import BufferSettings, RetryPolicy

Meaning: TypeAlias = Literal["accepted", "not sent", "refused", "ambiguous", "permanent", "unknown visitor"]
Result: TypeAlias = Literal[
    "", "alone", "folded", "shared", "repeated", "dropped", "full", "closed", "cancelled", "bug"
]

# A place in the window of a limit is kept a little longer than the window, and longer still where no answer came.
PLACE_KEPT_LONGER: Final = 0.001
PLACE_OF_THE_LOST: Final = 1.0


class BugError(Exception):
    """What a rule for folding raises that does not work."""


def trail(older: Mapping[str, object], newer: Mapping[str, object]) -> dict[str, object]:
    """Keep every number that was folded."""
    past = older.get("trail", [older.get("n")])
    assert isinstance(past, list)
    return {"trail": [*past, newer.get("n")]}


def bug(_older: Mapping[str, object], _newer: Mapping[str, object]) -> dict[str, object]:
    """Fail, as the code of a user may."""
    raise BugError


FOLDS: Final = {
    "last": Fold.last(),
    "sum": Fold.sum("n"),
    "count": Fold.count("times"),
    "trail": Fold(trail),
    "bug": Fold(bug),
}


def combined(name: str, older: Mapping[str, object], newer: Mapping[str, object]) -> dict[str, object] | None:
    """Return what two records become; None where they cannot become one."""
    if name == "last":
        return dict(newer)
    if name == "trail":
        return trail(older, newer)
    if name == "count":
        return {**newer, "times": _number(older, "times", 1) + _number(newer, "times", 1)}
    if not isinstance(older.get("n", 0), int) or not isinstance(newer.get("n", 0), int):
        return None
    return {**newer, "n": _number(older, "n", 0) + _number(newer, "n", 0)}


def _number(properties: Mapping[str, object], name: str, default: int) -> int:
    value = properties.get(name, default)
    assert isinstance(value, int)
    return value


@attrs.frozen
class Event:
    """The arguments of one call."""

    name: str
    visitor: tuple[tuple[str, str], ...]
    properties: dict[str, object]
    unique_id: str | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """The visitor's identities, in the order in which a draft has them."""
        given = dict(self.visitor)
        return tuple(identity(kind, given[kind]) for kind in ("mida_uuid", "email", "id") if kind in given)

    def body(self) -> bytes:
        """Return what is sent."""
        return encode_event(self.name, **dict(self.visitor), properties=self.properties).body


@attrs.define(eq=False)
class Caller:
    """
    One call of ``record()``.

    ``number`` is that of a record which was dropped as soon as it came.
    ``hint`` is the number of the record that it really got. The model looks at it only where the rules leave it open.
    """

    event: Event
    size: int
    patient: bool
    stage: Literal["new", "in line", "let in", "over"] = "new"
    giving_up: bool = False
    turned_away: bool = False
    result: Result = ""
    record: Record | None = None
    detached: bool = False
    number: int = 0
    hint: int = 0


@attrs.define(eq=False)
class Record:
    """One accepted record."""

    number: int
    event: Event
    body: bytes
    accepted_at: float
    due: float = 0.0
    state: Literal["waiting", "in flight", "ended"] = "waiting"
    attempts: int = 0
    spared: int = 0
    ambiguous: bool = False
    unknown_since: float | None = None
    folded: int = 1
    shared: int = 0
    linked: bool = False
    callers: list[Caller] = attrs.field(factory=list[Caller])
    end: End | None = None
    error: type[Exception] | None = None
    receipt: Receipt | None = None
    forgotten_at: float = float("inf")

    @property
    def fresh(self) -> bool:
        """Whether it waits and was never attempted."""
        return self.state == "waiting" and self.attempts == 0


@attrs.define(eq=False)
class Visitor:
    """All identities by which the records that a visitor has now were linked, and these records."""

    keys: set[str] = attrs.field(factory=set[str])
    records: list[Record] = attrs.field(factory=list[Record])
    ready: Record | None = None
    ready_since: int = 0
    served_at: int = 0

    def head(self) -> Record | None:
        """Return the oldest record, if it waits and nothing is in flight."""
        in_flight = any(record.state == "in flight" for record in self.records)
        return None if in_flight else min(self.records, key=lambda record: record.number, default=None)

    def due(self) -> float:
        """When the head may go."""
        head = self.head()
        return float("inf") if head is None else head.due


@attrs.frozen
class Answer:
    """What comes back for a request, and what that means."""

    outcome: Outcome
    meaning: Meaning
    retry_after: float = 0.0
    body: object = None


class Model:
    """The whole engine."""

    def __init__(self, settings: BufferSettings, retry: RetryPolicy) -> None:
        self.settings = settings
        self.retry = retry
        self.now = 0.0
        self.newest = 0
        self.accepted = 0
        self.ends: Counter[End] = Counter()
        self.held: list[Record] = []
        self.remembered: list[Record] = []
        self.visitors: list[Visitor] = []
        self.callers: list[Caller] = []
        self.wakeups: list[Caller] = []
        self.closed = False
        self.gate = 0.0
        self.places: list[float] = []

    # Room.

    def in_line(self) -> list[Caller]:
        """Return the callers that wait for room, in order."""
        return [caller for caller in self.callers if caller.stage == "in line"]

    def let_in(self) -> list[Caller]:
        """Return the callers that got room and have not run yet."""
        return [caller for caller in self.callers if caller.stage == "let in"]

    def room(self) -> tuple[int, int]:
        """Return the records and bytes that take room."""
        sizes = [len(record.body) for record in self.held] + [caller.size for caller in self.let_in()]
        return len(sizes), sum(sizes)

    def fits(self, size: int) -> bool:
        """Say whether there is room."""
        records, used = self.room()
        return records < self.settings.max_records and used + size <= self.settings.max_bytes

    def admit(self) -> None:
        """Let callers in while the first in line fits."""
        for caller in self.in_line():
            if not caller.giving_up:
                if not self.fits(caller.size):
                    return
                caller.stage = "let in"
                self.wakeups.append(caller)
            else:
                caller.stage = "over"

    # Callers.

    def arrive(self, caller: Caller) -> None:
        """Do what becomes of a call when it is made."""
        if self.closed:
            self.leave(caller, "closed")
        elif caller.size > self.settings.max_bytes:
            self.leave(caller, "full")
        elif self.in_line() or self.let_in() or not self.join(caller):
            self.arrive_alone(caller)

    def arrive_alone(self, caller: Caller) -> None:
        """Do what becomes of a call that neither repeats nor folds."""
        mode = self.settings.overflow
        if mode == "drop_oldest" and not self.in_line() and not self.let_in():
            self.drop_oldest(caller.size)
        if self.may_enter(caller):
            self.accept(caller)
        elif mode == "drop_newest":
            self.newest += 1
            self.accepted += 1
            self.ends[End.DROPPED] += 1
            caller.number = self.newest
            self.leave(caller, "dropped")
        elif mode == "raise" or not caller.patient:
            self.leave(caller, "full")
        else:
            self.cut_linger()  # whoever waits for room keeps out what could be folded, too
            caller.stage = "in line"
            self.callers.append(caller)

    def may_enter(self, caller: Caller) -> bool:
        """Say whether a newcomer needs not wait."""
        return not self.in_line() and not self.let_in() and self.fits(caller.size)

    def drop_oldest(self, size: int) -> None:
        """Make room for a newcomer, if that can be done at all."""
        while not self.fits(size) and self.could_fit(size):
            self.end(self.waiting()[0], End.DROPPED, EventDroppedError)

    def make_room(self) -> None:
        """Make room for those in line, now that a record waits again."""
        if self.settings.overflow == "drop_oldest":
            while (line := [caller for caller in self.in_line() if not caller.giving_up]) and self.could_fit(
                line[0].size
            ):
                self.end(self.waiting()[0], End.DROPPED, EventDroppedError)

    def could_fit(self, size: int) -> bool:
        """Say whether there would be room if nothing waited."""
        taken = [len(record.body) for record in self.held if record.state == "in flight"]
        taken += [caller.size for caller in self.let_in()]
        return len(taken) < self.settings.max_records and sum(taken) + size <= self.settings.max_bytes

    def wake(self, caller: Caller) -> None:
        """Go on with a caller whose turn on the event loop has come."""
        if caller.stage == "new":
            if caller.giving_up:
                self.leave(caller, "cancelled")
            else:
                self.arrive(caller)
            return
        was_let_in = caller.stage == "let in"
        caller.stage = "over"
        if caller.giving_up or caller.turned_away or self.closed:
            self.leave(caller, "cancelled" if caller.giving_up else "closed")
        elif was_let_in and not self.join(caller, reserved=caller.size):
            self.accept(caller)
        self.admit()

    def leave(self, caller: Caller, result: Result, record: Record | None = None) -> None:
        """Let a call return."""
        caller.stage, caller.result, caller.record = "over", result, record
        if record is not None:
            record.callers.append(caller)
        if caller in self.callers:
            self.callers.remove(caller)

    def give_up(self, caller: Caller) -> None:
        """Cancel a call that has not returned."""
        if not caller.giving_up and not caller.turned_away and caller.stage == "in line":
            self.wakeups.append(caller)
        caller.giving_up = True

    # What a new record is.

    def join(self, caller: Caller, *, reserved: int = 0) -> bool:
        """Say whether a call repeats, or folds into, a record that there is."""
        known = self.known(caller.event)
        if known is not None:
            self.accepted += 1
            if known.receipt is not None:
                self.ends[End.DELIVERED] += 1
            else:
                known.shared += 1
            self.leave(caller, "repeated" if known.receipt else "shared", known)
            return True
        return self.fold(caller, reserved)

    def known(self, event: Event) -> Record | None:
        """Return the record that an event repeats."""
        self.remembered = [record for record in self.remembered if record.forgotten_at > self.now]
        for key in event.keys if event.unique_id else ():
            for record in self.remembered:
                other = record.event
                if key in other.keys and (other.name, other.unique_id) == (event.name, event.unique_id):
                    return record
        return None

    def foldable(self, event: Event) -> bool:
        """Say whether an event has a rule that counts."""
        return event.name in FOLDS and event.unique_id is None and self.settings.order == "visitor"

    def fold(self, caller: Caller, reserved: int) -> bool:
        """Fold an event into the newest record of its visitor, if that may be."""
        older, newer = self.target(caller), caller.event
        if older is None:
            return False
        if newer.name == "bug":
            self.leave(caller, "bug")
            return True
        properties = combined(newer.name, older.event.properties, newer.properties)
        both = None if properties is None else attrs.evolve(older.event, properties=properties)
        if both is None or not self.may_grow(len(both.body()) - len(older.body), reserved):
            return False
        older.event, older.body = both, both.body()
        older.folded += 1
        self.accepted += 1
        self.leave(caller, "folded", older)
        return True

    def target(self, caller: Caller) -> Record | None:
        """Return the record that an event is folded into, if the two can be combined."""
        event = caller.event
        newest = self.newest_of(event.keys[0])
        if newest is None or not newest.fresh or not self.foldable(event) or not self.foldable(newest.event):
            return None
        if newest.linked and caller.hint != newest.number:
            return None  # what came with another lane may be folded into, or not
        return newest if (newest.event.name, newest.event.keys) == (event.name, event.keys) else None

    def may_grow(self, more: int, reserved: int) -> bool:
        """Say whether there is room for so many bytes more."""
        return more <= 0 or self.room()[1] + reserved + more <= self.settings.max_bytes

    def newest_of(self, key: str) -> Record | None:
        """Return the newest record that the visitor with this identity has."""
        records = [record for visitor in self.visitors if key in visitor.keys for record in visitor.records]
        return max(records, key=lambda record: record.number, default=None)

    def accept(self, caller: Caller) -> None:
        """Take a record of its own."""
        self.newest += 1
        self.accepted += 1
        record = Record(self.newest, caller.event, caller.event.body(), self.now)
        if self.settings.linger and self.foldable(caller.event) and not self.in_line() and not self.let_in():
            record.due = self.now + self.settings.linger
        self.held.append(record)
        if caller.event.unique_id:
            self.remembered.append(record)
        self.push(record)
        self.leave(caller, "alone", record)

    def push(self, record: Record) -> None:
        """Put a record behind all that its visitor has, who may have been taken for several until now."""
        keys = set(record.event.keys) if self.settings.order == "visitor" else set[str]()
        same = [visitor for visitor in self.visitors if visitor.keys & keys]
        visitor = same[0] if len(same) == 1 else Visitor()
        for each in same:
            for older in each.records:
                older.due = 0.0 if older.fresh else older.due  # nothing can be folded into it any more
                older.linked = older.linked or len(same) > 1
        if len(same) != 1:
            visitor.keys = {key for each in same for key in each.keys}
            visitor.records = [older for each in same for older in each.records]
            self.visitors = [each for each in self.visitors if each not in same] + [visitor]
        visitor.keys |= keys
        visitor.records.append(record)

    # What becomes of a record.

    def waiting(self) -> list[Record]:
        """Return what waits, oldest first."""
        return [record for record in self.held if record.state == "waiting"]

    def visitor_of(self, record: Record) -> Visitor:
        """Return whose record it is."""
        return next(visitor for visitor in self.visitors if record in visitor.records)

    def end(self, record: Record, end: End, error: type[Exception] | None = None) -> None:
        """Bring a record to its end."""
        assert record.end is None
        record.state, record.end, record.error = "ended", end, error
        self.ends[end] += record.folded + record.shared
        self.held.remove(record)
        visitor = self.visitor_of(record)
        visitor.records.remove(record)
        if not visitor.records:
            self.visitors.remove(visitor)
        if record in self.remembered and record.receipt is None:
            self.remembered.remove(record)
        record.forgotten_at = self.now + self.settings.dedupe_window
        self.admit()

    def cancel(self, caller: Caller) -> None:
        """Cancel the Delivery that a call returned."""
        record = caller.record
        assert record is not None
        caller.detached = True
        if record.state == "waiting" and all(each.detached for each in record.callers):
            self.end(record, End.CANCELLED)

    def expire(self) -> None:
        """End what is too old."""
        for record in self.waiting():
            if self.now >= record.accepted_at + self.settings.max_age:
                self.end(record, End.EXPIRED, EventExpiredError)

    def may_send(self) -> bool:
        """Say whether gate and limits let a request go."""
        self.places = [until for until in self.places if until > self.now]
        flying = len(self.held) - len(self.waiting())
        limits = self.settings.rate_limits
        return self.now >= self.gate and all(flying + len(self.places) < limit.limit for limit in limits)

    def heads(self) -> list[Record]:
        """Return the records that may go, as far as their visitors are concerned."""
        ready = [visitor.head() for visitor in self.visitors if visitor.due() <= self.now]
        return [head for head in ready if head is not None]

    def answer(self, record: Record, answer: Answer, *, outage: bool) -> tuple[float, float] | None:
        """Take in what came back; return between which times the record goes again, None where it has ended."""
        self.pay(answer)
        end = self.verdict(record, answer, outage=outage)
        if end is None and self.now >= record.accepted_at + self.settings.max_age:
            end = End.EXPIRED
        if end is None:
            record.state = "waiting"
            times = self.pause(record, answer, outage=outage)
            self.make_room()
            return times
        if end is End.DELIVERED:
            record.receipt = Receipt(
                record_id=record.number,
                status=answer.outcome.status,
                attempts=record.attempts,
                waited=self.now - record.accepted_at,
                folded=record.folded,
                may_be_duplicate=record.ambiguous,
                body=answer.body,
            )
        error = None if answer.outcome.error is None else type(answer.outcome.error)
        errors: dict[End, type[Exception]] = {End.EXPIRED: EventExpiredError, End.AMBIGUOUS: AmbiguousDeliveryError}
        visitor = self.visitor_of(record)
        self.end(record, end, errors.get(end, error))
        if answer.meaning == "unknown visitor":
            self.inherit_patience(record, visitor)
        return None

    def inherit_patience(self, record: Record, visitor: Visitor) -> None:
        """Count the time for which the visitor was waited for on the next record, too."""
        waiting = [each for each in visitor.records if each.state == "waiting"]
        following = min(waiting, key=lambda each: each.number, default=None)
        if following and following.unknown_since is None and record.unknown_since is not None:
            following.unknown_since = max(record.unknown_since, following.accepted_at)

    def pay(self, answer: Answer) -> None:
        """Keep the place of a request for a while after its answer."""
        if answer.retry_after:
            self.gate = max(self.gate, self.now + answer.retry_after)
        surely_seen = answer.outcome.status or answer.meaning == "not sent"
        for limit in self.settings.rate_limits:
            longer = 0.0 if surely_seen else min(PLACE_OF_THE_LOST, limit.per)
            until = self.now + longer + limit.per + PLACE_KEPT_LONGER
            self.places.append(max([until, *self.places]))

    def verdict(self, record: Record, answer: Answer, *, outage: bool) -> End | None:
        """Say how a record ends; None where it goes again."""
        meaning, settings = answer.meaning, self.settings
        if meaning == "accepted":
            return End.DELIVERED
        if meaning == "unknown visitor" and settings.unknown_visitor == "wait":
            record.spared += 1
            record.unknown_since = self.now if record.unknown_since is None else record.unknown_since
            return End.REJECTED if self.now >= record.unknown_since + settings.unknown_visitor_patience else None
        if meaning in ("permanent", "unknown visitor"):
            return End.REJECTED
        if meaning == "ambiguous":
            if settings.guarantee == "at_most_once":
                return End.AMBIGUOUS
            record.ambiguous = True
        record.spared += outage or (meaning == "refused" and answer.retry_after > 0)
        tried_enough = record.attempts - record.spared >= self.retry.max_attempts
        return End.EXPIRED if tried_enough and not (outage and meaning != "refused") else None

    def pause(self, record: Record, answer: Answer, *, outage: bool) -> tuple[float, float]:
        """Return between which times a record goes again."""
        if answer.meaning == "unknown visitor":
            assert record.unknown_since is not None
            until = record.unknown_since + self.settings.unknown_visitor_patience
            return min(self.now + 1.0, until), until
        if outage and answer.meaning != "refused":
            return self.now, self.now
        counted = max(record.attempts - record.spared, 1)
        most = min(self.retry.initial * 2 ** (counted - 1), self.retry.maximum)
        return self.now + answer.retry_after, self.now + max(most, answer.retry_after)

    def reject_waiting(self, error: type[Exception]) -> None:
        """End all that waits."""
        for record in self.waiting():
            self.end(record, End.REJECTED, error)

    # Flush and close.

    def cut_linger(self) -> None:
        """Let go what is only held back for folding."""
        for record in self.held:
            record.due = 0.0 if record.fresh else record.due

    def close(self) -> None:
        """Take no more, and turn those away who wait for room."""
        self.closed = True
        for caller in self.in_line():
            caller.turned_away = True
            caller.stage = "over"
            if not caller.giving_up:
                self.wakeups.append(caller)
        self.cut_linger()

    def abandon(self) -> None:
        """End all that is left."""
        for record in list(self.held):
            self.end(record, End.ABANDONED, BufferClosedError)
