"""The reports of an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._core.endpoints.reports import ROWS
from ..models.report_rows import ExperimentMetrics, ExperimentTimeseries
from ..models.reports import BreakdownBy, ExperimentDistribution, ExperimentResult, ReportPhase
from .base import Section

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from ..models.filters import Filter


class Reports(Section):
    """
    What an experiment came to.

    Three of the reports can be about a part of the visitors. ``filter_by`` is for common cases: ``mobile``,
    ``desktop``, ``new``, ``returning``, ``paid``, ``search``, ``direct``, ``europe``, ``country-US`` and others, as
    names or as one text with commas; of several, all must hold, but of countries any one. ``custom_filter`` is for all
    others: a :class:`Condition`, or several of them joined by ``&`` and ``|``. ``event_attribute`` is about events
    instead, by their properties: an :class:`AttributeCondition`, or several joined in the same way. In place of these
    objects the vendor's own forms are taken, too: lists of lists of dicts, or JSON text of those.
    """

    async def distribution(self, test_id: int) -> ExperimentDistribution:
        """
        Get how the visitors of an experiment are meant to be split (docs/v2/get-experiment-distribution, 2026-08-22).

        This is what is configured; how many came is in :meth:`result`.

        Args:
            test_id: The experiment's number.

        Raises:
            NotFoundError: There is no such experiment in this project.
        """
        return await self._call(ROWS["experiments.distribution"], ExperimentDistribution, test_id=test_id)

    async def result(  # noqa: PLR0913  the vendor's parameters
        self,
        test_id: int,
        *,
        start_date: dt.date | str | None = None,
        end_date: dt.date | str | None = None,
        goal_key: str | None = None,
        goal_profile_id: int | str | None = None,
        filter_by: Sequence[str] | str | None = None,
        custom_filter: Filter | str | None = None,
        breakdown_by: BreakdownBy | str | None = None,
        event_attribute: Filter | str | None = None,
        min_count: int | None = None,
        timeframe_days: int | None = None,
        tz: float | str | None = None,
        report_phase: ReportPhase | str | None = None,
    ) -> ExperimentResult:
        """
        Get what each variant of an experiment came to (docs/v2/get-experiment-result, 2026-08-22).

        Args:
            test_id: The experiment's number.
            start_date: The first day. If only an *end_date* is given, the day on which it was created.
            end_date: The last day, inclusive. If only a *start_date* is given, today.
            goal_key: The goal to count. If none is named: the experiment's main goal, else the project's.
            goal_profile_id: The same by the goal's number; the vendor prefers the key.
            filter_by: Only these visitors, such as ``mobile`` or ``["desktop", "country-US"]``.
            custom_filter: Only the visitors for whom this holds; an AND of ORs where it is written as lists.
            breakdown_by: What to split the result by.
            event_attribute: Only the events for which this holds; an OR of ANDs where it is written as lists.
            min_count: How many such events a visitor needs to count.
            timeframe_days: How many days after first taking part events count.
            tz: The time zone of the days, as hours from UTC.
            report_phase: Before a winner was served, since then, or both.

        Raises:
            NotFoundError: There is no such experiment in this project.
            BadRequestError: The server does not know a filter, or cannot split by that.
            InvalidRequestError: The last day lies before the first, or another argument is wrong.
        """
        return await self._call(
            ROWS["experiments.result"],
            ExperimentResult,
            test_id=test_id,
            start_date=start_date,
            end_date=end_date,
            goal_key=goal_key,
            goal_profile_id=goal_profile_id,
            filter_by=filter_by,
            custom_filter=custom_filter,
            breakdown_by=breakdown_by,
            event_attribute=event_attribute,
            min_count=min_count,
            timeframe_days=timeframe_days,
            tz=tz,
            report_phase=report_phase,
        )

    async def timeseries(  # noqa: PLR0913  the vendor's parameters
        self,
        test_id: int,
        *,
        start_date: dt.date | str | None = None,
        end_date: dt.date | str | None = None,
        goal_key: str | None = None,
        goal_profile_id: int | str | None = None,
        filter_by: Sequence[str] | str | None = None,
        custom_filter: Filter | str | None = None,
        event_attribute: Filter | str | None = None,
        min_count: int | None = None,
        timeframe_days: int | None = None,
        tz: float | str | None = None,
        report_phase: ReportPhase | str | None = None,
    ) -> ExperimentTimeseries:
        """
        Get what each variant came to on each day (docs/v2/get-experiment-timeseries, 2026-08-22).

        Args:
            test_id: The experiment's number.
            start_date: As in :meth:`result`, like the others.
            end_date: The last day, inclusive.
            goal_key: The goal to count.
            goal_profile_id: The same by the goal's number.
            filter_by: Only these visitors.
            custom_filter: Only the visitors for whom this AND of ORs holds.
            event_attribute: Only the events for whose properties this OR of ANDs holds.
            min_count: How many such events a visitor needs to count.
            timeframe_days: How many days after first taking part events count.
            tz: The time zone of the days, as hours from UTC.
            report_phase: Before a winner was served, since then, or both.

        Raises:
            NotFoundError: There is no such experiment in this project.
            BadRequestError: The server does not know a filter.
            InvalidRequestError: The last day lies before the first, or another argument is wrong.
        """
        return await self._call(
            ROWS["experiments.timeseries"],
            ExperimentTimeseries,
            test_id=test_id,
            start_date=start_date,
            end_date=end_date,
            goal_key=goal_key,
            goal_profile_id=goal_profile_id,
            filter_by=filter_by,
            custom_filter=custom_filter,
            event_attribute=event_attribute,
            min_count=min_count,
            timeframe_days=timeframe_days,
            tz=tz,
            report_phase=report_phase,
        )

    async def metrics(  # noqa: PLR0913  the vendor's parameters
        self,
        test_id: int,
        *,
        start_date: dt.date | str | None = None,
        end_date: dt.date | str | None = None,
        metric_keys: Sequence[str] | str | None = None,
        goal_keys: Sequence[str] | str | None = None,
        metric_batch: Sequence[int] | str | None = None,
        filter_by: Sequence[str] | str | None = None,
        custom_filter: Filter | str | None = None,
        tz: float | str | None = None,
        report_phase: ReportPhase | str | None = None,
    ) -> ExperimentMetrics:
        """
        Get the further metrics of an experiment (docs/v2/get-experiment-metrics, 2026-08-22).

        They are totals for each variant, not rates. There is no splitting them as in :meth:`result`.

        Args:
            test_id: The experiment's number.
            start_date: The first day. If only an *end_date* is given, the day on which it was created.
            end_date: The last day, inclusive. If only a *start_date* is given, today.
            metric_keys: Which metrics, as keys or as one text with commas; the experiment's own if not given.
            goal_keys: The same, where they are goals.
            metric_batch: Which of these to compute, by their places from 0 on. They are the places in
                ``metric_definitions`` and in each row's ``results``; the row's own columns count from 1.
            filter_by: Only these visitors, as in :meth:`result`.
            custom_filter: Only the visitors for whom this AND of ORs holds, as in :meth:`result`.
            tz: The time zone of the days, as hours from UTC.
            report_phase: Before a winner was served, since then, or both. The page itself does not name it.

        Raises:
            NotFoundError: There is no such experiment in this project.
            BadRequestError: The server does not know a filter.
            InvalidRequestError: The last day lies before the first, or another argument is wrong.
        """
        return await self._call(
            ROWS["experiments.metrics"],
            ExperimentMetrics,
            test_id=test_id,
            start_date=start_date,
            end_date=end_date,
            metric_keys=metric_keys,
            goal_keys=goal_keys,
            metric_batch=metric_batch,
            filter_by=filter_by,
            custom_filter=custom_filter,
            tz=tz,
            report_phase=report_phase,
        )
