"""What one project holds: visitors, rows of events, goals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Final, TypeAlias, TypeVar, cast

import attrs

from .records import RecordedEvent
from .wire import Reply, missing

ACTIVE: Final = 1
DELETED: Final = 2
CUSTOM_EVENT: Final = 2

_Row = TypeVar("_Row")
_Store = TypeVar("_Store")


@attrs.define(kw_only=True)
class EventRow:
    """One row of events: something that happened, or a definition (which has no visitor)."""

    event_id: int
    visitor_id: int | None
    event_text: str
    event_property: str | None
    created_at: float
    event_type: int = CUSTOM_EVENT
    url: str | None = None
    event_path: str | None = None
    session: str | None = None
    status: int = ACTIVE


@attrs.define(kw_only=True)
class GoalRow:
    """One goal."""

    goal_profile_id: int
    goal_key: str
    goal_name: str
    goal_type: str
    goal_value: str
    goal_purpose: str
    element_url: str | None
    created_at: float
    status: int = ACTIVE


@attrs.define(eq=False)
class Visitors:
    """Whom the project knows, by each identifier."""

    _by_uuid: dict[str, int] = attrs.field(factory=dict[str, int], init=False)
    _by_email: dict[str, int] = attrs.field(factory=dict[str, int], init=False)
    _by_id: dict[str, int] = attrs.field(factory=dict[str, int], init=False)
    _count: int = attrs.field(default=0, init=False)

    def __len__(self) -> int:
        return len({*self._by_uuid.values(), *self._by_email.values(), *self._by_id.values()})

    def find(self, mida_uuid: str | None, email: str | None, id: str | None) -> int | None:  # noqa: A002 - the API's word
        """Return the visitor whom one of the identifiers names: ``mida_uuid`` before ``email`` before ``id``."""
        found = None if mida_uuid is None else self._by_uuid.get(mida_uuid)
        if found is None and email is not None:
            found = self._by_email.get(email.casefold())
        if found is None and id is not None:
            found = self._by_id.get(id)
        return found

    def add(self, mida_uuid: str | None, email: str | None, id: str | None) -> int:  # noqa: A002 - the API's word
        """Register a visitor, or further identifiers of one who is known already."""
        visitor = self.find(mida_uuid, email, id)
        if visitor is None:
            visitor = self._count = self._count + 1
        if mida_uuid is not None:
            self._by_uuid[mida_uuid] = visitor
        if email is not None:
            self._by_email[email.casefold()] = visitor
        if id is not None:
            self._by_id[id] = visitor
        return visitor


class Rows(dict[int, _Row]):
    """
    Rows by their number, in the order in which they were made; the oldest tenth goes whenever there is no more room.

    Args:
        keep: How many rows there are at most.
    """

    def __init__(self, keep: int) -> None:
        super().__init__()
        self.keep: Final = keep

    def add(self, number: int, row: _Row) -> None:
        """Put a new row at the end."""
        if len(self) >= self.keep:
            for oldest in list(islice(self, max(1, self.keep // 10))):
                del self[oldest]
        self[number] = row

    def named(self, number: str, what: str) -> _Row:
        """
        Return the row whose number stands in a path, deleted or not.

        Raises:
            Refusal: There is none.
        """
        row = self.get(int(number)) if number.isascii() and number.isdigit() and len(number) < 19 else None  # noqa: PLR2004 - 64 bits
        if row is None:
            raise missing(what)
        return row


@attrs.define(eq=False, kw_only=True)
class Project:
    """
    One project and all that it holds.

    Attributes:
        key: The project key.
        api_key: The API key that opens it.
        company_id: What replies say.
        auto_visitors: Whether an event for an unknown visitor registers one.
        plan_goal_limit: How many goals the plan allows; None for any number.
        list_definitions: Whether lists show events that were defined and belong to no visitor.
        next_id: Makes the next number; no number of a row is used twice, in no project.
        on_recorded: Told of each event that was applied.
    """

    key: str
    api_key: str = attrs.field(repr=False)
    company_id: int
    auto_visitors: bool
    plan_goal_limit: int | None
    list_definitions: bool
    next_id: Callable[[], int]
    on_recorded: Callable[[RecordedEvent], None]
    events: Rows[EventRow]
    goals: Rows[GoalRow]
    visitors: Visitors = attrs.field(factory=Visitors, init=False)
    _stores: dict[type, object] = attrs.field(factory=dict[type, object], init=False, repr=False)

    def store(self, cls: type[_Store]) -> _Store:
        """
        Return what a section keeps of this project.

        Args:
            cls: The section's own class, which takes no arguments.
        """
        return cast("_Store", self._stores.setdefault(cls, cls()))


@attrs.frozen(kw_only=True)
class Call:
    """
    One request to one endpoint.

    Attributes:
        ids: What the path names besides the project.
        query: The query.
        body: The body.
        now: The time on the clock of the limits, in seconds.
        today: The time since the epoch, in seconds.
    """

    ids: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    now: float
    today: float


def page(rows: Iterator[_Row], limit: int, offset: int) -> list[_Row]:
    """Take one page out of *rows*."""
    return list(islice(rows, offset, offset + limit))


Handler: TypeAlias = Callable[[Project, Call], Reply]
"""Answers the requests for one endpoint."""
