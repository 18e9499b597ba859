"""
What happened in an experiment, counted from visitors and events.

A visitor counts for the variant that they saw first, in the period in which that was; after a winner is served, for the
winner, since they saw it. They have converted if, in the same period and not before they saw the variant, they had
enough events that fit the goal. Only goals that are events can be reached here: the emulator sees no pages, clicks or
forms. Of an experiment to which nobody was let in by a test or by the SDKs, those are visitors who have events.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import attrs

from .assigning import came_by_events
from .project import ACTIVE, EventRow, GoalRow, Project
from .report_filters import Conditions, fits, keeps
from .values import amount

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .experiments_state import Assignment, ExperimentRow

REVENUE: Final = "revenue"
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
# docs/v2/get-experiment-result, 2026-08-22: the goals that event filters are for.
_EVENT_GOALS: Final = frozenset({"event", REVENUE, "script"})


@attrs.frozen(kw_only=True)
class Scope:
    """
    What counts.

    Attributes:
        since: When the period begins, in seconds since the epoch.
        until: When it ends; that moment is not part of it.
        visitors: Which visitors.
        events: Which events, by their properties.
        min_count: How many such events a visitor needs.
        window: How many seconds after first taking part events count.
        served: Whether it is about those who have seen the winner that is served.
    """

    since: float = -math.inf
    until: float = math.inf
    visitors: Conditions = attrs.field(factory=list[list[dict[str, Any]]])
    events: Conditions = attrs.field(factory=list[list[dict[str, Any]]])
    min_count: int = 1
    window: float = math.inf
    served: bool = False


@attrs.frozen
class Visit:
    """
    One visitor's part in an experiment.

    Attributes:
        variant: The number of the variant.
        since: When the visitor saw it first.
        events: The properties of the events that made the visitor convert; none if there was no conversion.
    """

    variant: int
    since: float
    events: tuple[Mapping[str, Any], ...]


@attrs.define
class Tally:
    """The sums over some visits."""

    visitors: int = 0
    converted: int = 0
    revenue: float = 0
    quantity: float = 0
    orders: int = 0
    sum_sq_revenue: float = 0
    sum_sq_orders: int = 0
    sum_revenue_orders_cross: float = 0
    currency: str | None = None

    @classmethod
    def of(cls, visits: Iterable[Visit]) -> Tally:
        """Add up *visits*."""
        tally = cls()
        for visit in visits:
            tally._add(visit)
        return tally

    def _add(self, visit: Visit) -> None:
        filled = [event for event in visit.events if event]
        revenue = math.fsum(amount(event.get("revenue")) or 0 for event in filled)
        orders = len(visit.events)
        self.visitors += 1
        self.converted += bool(orders)
        self.revenue += revenue
        self.orders += orders
        self.sum_sq_revenue += revenue**2
        self.sum_sq_orders += orders**2
        self.sum_revenue_orders_cross += revenue * orders
        for event in filled:
            self.quantity += amount(event.get("quantity")) or 0
            currency = event.get("currency")
            self.currency = self.currency or (currency if isinstance(currency, str) else None)

    @property
    def conversion_rate(self) -> float:
        """The share of visitors who converted, in percent."""
        return ratio(100 * self.converted, self.visitors)

    @property
    def revenue_per_visitor(self) -> float:
        """The revenue per visitor."""
        return ratio(self.revenue, self.visitors)

    @property
    def average_order_value(self) -> float:
        """The revenue per order."""
        return ratio(self.revenue, self.orders)


def ratio(part: float, whole: float) -> float:
    """Divide, and round to two places; nothing of nothing is 0."""
    return round(part / whole, 2) if whole else 0.0


def audience(project: Project, row: ExperimentRow, scope: Scope) -> dict[int, Assignment]:
    """
    Return who took part in an experiment, and what they saw since when.

    Args:
        project: The project.
        row: The experiment.
        scope: What counts.
    """
    known = {**row.assignments, **row.served} if scope.served else row.assignments
    found = known or came_by_events(project, row, served=scope.served)
    return {
        visitor: seen
        for visitor, seen in found.items()
        if seen.variant <= len(row.variants)
        and scope.since <= seen.since < scope.until
        and keeps(scope.visitors, visitor, project)
    }


def visits(project: Project, those: Mapping[int, Assignment], goal: GoalRow | None, scope: Scope) -> list[Visit]:
    """
    Return what visitors did who took part in an experiment.

    Args:
        project: The project.
        those: Who they are, as :func:`audience` returns them.
        goal: The goal; nobody converts without one.
        scope: What counts.
    """
    # What an event holds is decoded only where it is asked for, because that takes most of the time.
    decoding = bool(scope.events) or (goal is not None and goal.goal_type == REVENUE)
    events: dict[int, list[Mapping[str, Any]]] = {}
    for event in _fitting(project, goal):
        visitor = event.visitor_id
        seen = None if visitor is None else those.get(visitor)
        if visitor is None or seen is None:
            continue
        if seen.since <= event.created_at < min(scope.until, seen.since + scope.window):
            properties = _properties(event) if decoding else _NOTHING
            if fits(scope.events, properties):
                events.setdefault(visitor, []).append(properties)
    return [_visit(seen, events.get(visitor, []), scope) for visitor, seen in those.items()]


def _visit(seen: Assignment, events: list[Mapping[str, Any]], scope: Scope) -> Visit:
    return Visit(seen.variant, seen.since, tuple(events) if len(events) >= scope.min_count else ())


def _fitting(project: Project, goal: GoalRow | None) -> Iterator[EventRow]:
    if goal is None or goal.goal_type not in _EVENT_GOALS:
        return iter(())
    rows = project.events.values()
    return (row for row in rows if row.event_text == goal.goal_value and row.status == ACTIVE)


def _properties(event: EventRow) -> Mapping[str, Any]:
    try:
        value = json.loads(event.event_property or "{}")
    except (ValueError, RecursionError):  # rows may hold any text
        return {}
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType]
