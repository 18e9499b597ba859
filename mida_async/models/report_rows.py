"""The two reports of an experiment that come as the dashboard's own rows: timeseries and metrics."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, Final

import attrs

from .base import Model, Reply
from .reports import ReportGoal, ReportVariant, find_variant

_COLUMN: Final = re.compile(r"result_([1-9][0-9]{0,2})")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class TimeseriesRow(ReportVariant):
    """
    What one variant came to on one day (docs/v2/get-experiment-timeseries, 2026-08-22).

    These are the dashboard's rows as they are: some have columns that the page does not name, which are in ``extra``.

    Attributes:
        visitors: How many visitors saw it.
        converted: How many of them reached the goal: a number of visitors.
        conversion: The share of those in percent, 0 to 100: 8 for 12 of 150.
        revenue: The sum of the revenue.
        quantity: The sum of the quantities.
        no_of_order: How many orders there were.
        currency: The currency of the revenue.
        start_date: As it came; the page names it and does not say more. So are the next two.
        end_date: As it came.
        duration: As it came.
        created_at: The day that the row is about.
        updated_at: When it was computed last.
        sum_sq_revenue: The sum of the squares of the revenues, of which the variance is made.
        sum_sq_orders: The same of the numbers of orders.
        sum_revenue_orders_cross: The sum of the products of the two.
        gross_profit: The profit.
        total_cogs: The cost of what was sold.
    """

    visitors: int | None = None
    converted: int | None = None
    conversion: float | None = None
    revenue: float | None = None
    quantity: float | None = None
    no_of_order: int | None = None
    currency: str | None = None
    start_date: Any = attrs.field(default=None, hash=False)
    end_date: Any = attrs.field(default=None, hash=False)
    duration: Any = attrs.field(default=None, hash=False)
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    sum_sq_revenue: float | None = None
    sum_sq_orders: float | None = None
    sum_revenue_orders_cross: float | None = None
    gross_profit: float | None = None
    total_cogs: float | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ExperimentTimeseries(Reply):
    """
    What an experiment came to day by day (docs/v2/get-experiment-timeseries, 2026-08-22).

    Attributes:
        test_id: The experiment's number.
        test_name: Its name.
        goal: The goal that was counted.
        selected_goal: The same; the page gives both names.
        primary_goal: The experiment's main goal, if it has one.
        query_start_date: The first day that was asked for.
        query_end_date: The last day that was asked for.
        effective_start_date: The first day that was counted, where only a last one was asked for.
        effective_end_date: The last day that was counted, where only a first one was asked for.
        count: How many rows there are.
        timeseries: One row a day and variant.
    """

    test_id: int | None = None
    test_name: str | None = None
    goal: ReportGoal | None = None
    selected_goal: ReportGoal | None = None
    primary_goal: ReportGoal | None = None
    query_start_date: str | None = None
    query_end_date: str | None = None
    effective_start_date: str | None = None
    effective_end_date: str | None = None
    count: int | None = None
    timeseries: tuple[TimeseriesRow, ...] = ()

    def rows_of(self, variant_id: str) -> tuple[TimeseriesRow, ...]:
        """
        Return the days of one variant, in the order in which they came.

        Args:
            variant_id: Which: ``"0"`` is Control.
        """
        return tuple(row for row in self.timeseries if row.variant_id == variant_id)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class MetricDefinition(Model):
    """
    One metric that was computed (docs/v2/get-experiment-metrics, 2026-08-22).

    Attributes:
        metric_key: Its key.
        metric_text: What the dashboard calls it, such as ``goal_`` and the key of a goal.
        name: Its name for people.
        type: 2 for a goal.
        goal: The goal, if it is one.
    """

    metric_key: str | None = None
    metric_text: str | None = None
    name: str | None = None
    type: int | None = None
    goal: ReportGoal | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class MetricsRow(ReportVariant):
    """
    The metrics of one variant (docs/v2/get-experiment-metrics, 2026-08-22).

    The row's own columns are called ``result_1``, ``result_2``, ...; they are attributes, although how many there are
    differs, and are in ``extra``. They are read best by :attr:`results`.

    Attributes:
        total: How many visitors saw it.
    """

    total: int | None = None

    def __getattr__(self, name: str) -> float | None:
        """Return one of the server's columns by its own name; what is called otherwise is no attribute."""
        if _COLUMN.fullmatch(name) and name in self.extra:
            return _number(self.extra[name])
        message = f"{type(self).__name__!r} object has no attribute {name!r}"
        raise AttributeError(message)

    @property
    def results(self) -> tuple[float | None, ...]:
        """
        The results in the order of the definitions: ``row.results[0]`` belongs to ``report.metric_definitions[0]``.

        The server counts its columns from 1, and ``metric_batch`` from 0; here, as in ``metric_batch``, the first is 0.
        A metric that was not computed is None, so that the others keep their places. These are totals, not rates.
        """
        found = ((_COLUMN.fullmatch(name), value) for name, value in self.extra.items())
        columns = {int(name[1]): _number(value) for name, value in found if name}
        return tuple(columns.get(number) for number in range(1, max(columns, default=0) + 1))


def _number(value: object) -> float | None:
    if not isinstance(value, (int, float, str)) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ExperimentMetrics(Reply):
    """
    The further metrics of an experiment (docs/v2/get-experiment-metrics, 2026-08-22).

    Attributes:
        test_id: The experiment's number.
        test_name: Its name.
        count: How many rows there are.
        metric_count: How many metrics there are.
        metric_definitions: The metrics, in the order of each row's ``results``.
        metrics: One row a variant.
        filter_by: The filter that was applied.
        custom_filter: The filter that was applied, as text or decoded, whichever came.
        warnings: What is missing or not supported.
    """

    test_id: int | None = None
    test_name: str | None = None
    count: int | None = None
    metric_count: int | None = None
    metric_definitions: tuple[MetricDefinition, ...] = ()
    metrics: tuple[MetricsRow, ...] = ()
    filter_by: str | None = None
    custom_filter: Any = attrs.field(default=None, hash=False)
    warnings: tuple[Any, ...] = attrs.field(default=(), hash=False)

    def variant(self, variant_id: str) -> MetricsRow:
        """
        Return the row of one variant.

        Args:
            variant_id: Which: ``"0"`` is Control.

        Raises:
            KeyError: There is none of that id.
        """
        return find_variant(self.metrics, variant_id)
