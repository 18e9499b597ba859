"""What one project holds: visitors, rows of events, goals; and the company that it belongs to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from itertools import count, islice
from typing import Final, TypeAlias, TypeVar, cast

import attrs

from .records import Headers, RecordedEvent
from .wire import Refusal, Reply, missing

ACTIVE: Final = 1
PAUSED: Final = 0  # projects only
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
    _uuids: dict[int, str] = attrs.field(factory=dict[int, str], init=False)
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

    def uuid_of(self, visitor: int) -> str:
        """Return the id that a visitor has in the browser; one that has none yet gets one."""
        known = self._uuids.get(visitor)
        if known is None:
            known = hashlib.sha256(f"visitor {visitor}".encode()).hexdigest()[:12]
            self._by_uuid[known] = visitor
            self._uuids[visitor] = known
        return known

    def add(self, mida_uuid: str | None, email: str | None, id: str | None) -> int:  # noqa: A002 - the API's word
        """Register a visitor, or further identifiers of one who is known already."""
        visitor = self.find(mida_uuid, email, id)
        if visitor is None:
            visitor = self._count = self._count + 1
        if mida_uuid is not None:
            self._by_uuid[mida_uuid] = visitor
            self._uuids.setdefault(visitor, mida_uuid)
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
class Holder:
    """Keeps what sections store with it."""

    _stores: dict[type, object] = attrs.field(factory=dict[type, object], init=False, repr=False)

    def store(self, cls: type[_Store]) -> _Store:
        """
        Return what a section keeps here.

        Args:
            cls: The section's own class, which takes no arguments.
        """
        found = self._stores.get(cls)
        if found is None:
            found = self._stores[cls] = cls()
        return cast("_Store", found)


@attrs.define(eq=False, kw_only=True)
class Company(Holder):
    """
    An account, to which projects belong.

    Attributes:
        company_id: What replies say.
    """

    company_id: int
    _all_projects: dict[str, Project] = attrs.field(alias="all_projects", repr=False)

    @property
    def projects(self) -> list[Project]:
        """The projects that are not deleted, the oldest first."""
        everything = self._all_projects.values()
        return [project for project in everything if project.company is self and project.status != DELETED]

    def add(self, website_name: str, allowed_website: str, *, like: Project, now: float) -> Project:
        """
        Make a project with a new key. It has no API key.

        Args:
            website_name: Its name.
            allowed_website: Where the browser script may run.
            like: The project whose settings it gets.
            now: Seconds since the epoch.
        """
        known = self._all_projects
        key = next(key for number in count(len(known)) if (key := f"emulated_project_{number:05}") not in known)
        project = attrs.evolve(
            like,
            key=key,
            api_key=None,
            events=Rows(like.events.keep),
            goals=Rows(like.goals.keep),
            profile=Profile(
                website_name=website_name,
                widget_name=website_name,
                allowed_website=allowed_website,
                created_at=now,
                updated_at=now,
            ),
        )
        known[key] = project
        return project


@attrs.define(kw_only=True)
class Profile:
    """What a project says about itself."""

    website_name: str
    widget_name: str
    allowed_website: str = "*"
    monthly_average_traffic: int = 0
    shopify_id: str | None = None
    created_at: float
    updated_at: float


@attrs.define(eq=False, kw_only=True)
class Project(Holder):
    """
    One project and all that it holds.

    Attributes:
        key: The project key.
        api_key: The API key that opens it; None for a new project, which gets one in the dashboard.
        company: The account that it belongs to.
        profile: What it says about itself.
        auto_visitors: Whether an event for an unknown visitor registers one.
        plan_goal_limit: How many goals the plan allows; None for any number.
        list_definitions: Whether lists show events that were defined and belong to no visitor.
        next_id: Makes the next number; no number of a row is used twice, in no project.
        on_recorded: Told of each event that was applied.
        status: ACTIVE, PAUSED or DELETED.
    """

    key: str
    api_key: str | None = attrs.field(repr=False)
    company: Company
    profile: Profile
    auto_visitors: bool
    plan_goal_limit: int | None
    list_definitions: bool
    next_id: Callable[[], int]
    on_recorded: Callable[[RecordedEvent], None]
    events: Rows[EventRow]
    goals: Rows[GoalRow]
    visitors: Visitors = attrs.field(factory=Visitors, init=False)
    status: int = attrs.field(default=ACTIVE, init=False)

    @property
    def company_id(self) -> int:
        """What replies say."""
        return self.company.company_id

    def check_active(self) -> None:
        """
        Make sure that the project is not paused.

        Raises:
            Refusal: 403, it is.
        """
        if self.status == PAUSED:
            text = "Project is inactive"
            raise Refusal(403, text)


@attrs.frozen(kw_only=True)
class Call:
    """
    One request to one endpoint.

    Attributes:
        ids: What the path names besides the project.
        query: The query; of a repeated name the last value.
        query_lists: All values of each name of the query, in their order.
        headers: The headers.
        body: The body.
        now: The time on the clock of the limits, in seconds.
        today: The time since the epoch, in seconds.
    """

    ids: Mapping[str, str]
    query: Mapping[str, str]
    query_lists: Mapping[str, list[str]] = attrs.field(factory=dict[str, list[str]])
    headers: Headers = attrs.field(factory=lambda: Headers({}))
    body: bytes
    now: float
    today: float


def page(rows: Iterator[_Row], limit: int, offset: int) -> list[_Row]:
    """Take one page out of *rows*."""
    return list(islice(rows, offset, offset + limit))


Handler: TypeAlias = Callable[[Project, Call], Reply]
"""Answers the requests for one endpoint."""
