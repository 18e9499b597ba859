"""
What the reports of an experiment have in common, and the two that come ready to be read: distribution and result.

The two that come as rows are in ``report_rows``.
"""

from __future__ import annotations

import datetime as dt
import enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar

import attrs

from .base import Model, Reply
from .goals import GoalType

if TYPE_CHECKING:
    from collections.abc import Sequence

CONTROL_ID: Final = "0"
"""The ``variant_id`` of Control in reports (docs/v2/get-experiment-result, 2026-08-22)."""

# docs/v2/update-experiment-status, 2026-08-22. An example of docs/quickstart still shows the number in a report.
_LABELS: Final = MappingProxyType({"9": "draft", "1": "live", "0": "inactive"})
_CODES: Final = MappingProxyType({label: int(number) for number, label in _LABELS.items()})


class ReportPhase(enum.StrEnum):
    """
    Which part of an experiment's life a report is about (docs/v2/get-experiment-result, 2026-08-22).

    A plain string is accepted wherever one of these is.
    """

    PRE_DEPLOY = "pre_deploy"
    """While visitors were split; the server's default while a winner is served."""

    POST_DEPLOY = "post_deploy"
    """Since a winner is served."""

    ALL_TIME = "all_time"
    """Both."""


class BreakdownBy(enum.StrEnum):
    """
    What a result can be split by (docs/v2/get-experiment-result, 2026-08-22). The server refuses anything else.

    A plain string is accepted wherever one of these is.
    """

    DEVICE = "device"
    BROWSER = "browser"
    OS = "os"
    COUNTRY = "country"
    REGION = "region"
    CITY = "city"
    USER_TYPE = "user_type"
    """``new`` for visitors who were first seen less than a day before, ``returning`` for others."""

    REF_PAGE = "ref_page"
    LANDING_PAGE = "landing_page"
    UTM_CAMPAIGN = "utm_campaign"
    UTM_SOURCE = "utm_source"
    UTM_MEDIUM = "utm_medium"
    UTM_CONTENT = "utm_content"
    UTM_TERM = "utm_term"


class DistributionMode(enum.StrEnum):
    """How visitors are split among variants (docs/v2/get-experiment-distribution, 2026-08-22)."""

    EQUAL = "equal"
    CUSTOM = "custom"
    MAB = "mab"
    """By a multi-armed bandit: the split follows from what was seen so far."""


class VariantStatus(enum.StrEnum):
    """Whether a variant gets visitors (docs/v2/get-experiment-distribution, 2026-08-22)."""

    ACTIVE = "active"
    PAUSED = "paused"
    """Its weight is 0."""


def _label(status: str | int | None) -> str | None:
    return None if status is None else _LABELS.get(str(status), str(status))


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ReportVariant(Model):
    """
    One variant in a report.

    Attributes:
        variant_id: Which variant: ``"0"`` is Control, ``"1"`` the first treatment. It is what serving a winner takes;
            the numbers in an experiment's details are others.
    """

    variant_id: str


_Variant = TypeVar("_Variant", bound=ReportVariant)


def find_variant(variants: Sequence[_Variant], variant_id: str) -> _Variant:
    """
    Return one variant of a report.

    Args:
        variants: Those of the report.
        variant_id: Which: ``"0"`` is Control.

    Raises:
        KeyError: There is none of that id.
    """
    for variant in variants:
        if variant.variant_id == variant_id:
            return variant
    message = f"no variant {variant_id!r} among {[variant.variant_id for variant in variants]}"
    raise KeyError(message)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class VariantDistribution(ReportVariant):
    """
    How much traffic one variant is meant to get (docs/v2/get-experiment-distribution, 2026-08-22).

    Attributes:
        name: Its name, or its nickname: tell variants apart by their ``variant_id``.
        traffic_weight: Its share of the experiment's visitors in percent, 0 to 100; None where a bandit decides.
        variant_status: Whether it gets visitors.
    """

    name: str | None = None
    traffic_weight: float | None = None
    variant_status: VariantStatus | str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ExperimentDistribution(Reply):
    """
    How the visitors of an experiment are meant to be split (docs/v2/get-experiment-distribution, 2026-08-22).

    Attributes:
        test_id: The experiment's number.
        test_name: Its name.
        status: ``draft``, ``live`` or ``inactive``.
        traffic_allocation: The percentage of visitors who take part, 0 to 100.
        distribution_mode: How they are split.
        is_mab: Whether a bandit splits them.
        variants: The variants, Control first.
    """

    test_id: int | None = None
    test_name: str | None = None
    status: str | None = attrs.field(default=None, converter=_label)
    traffic_allocation: float | None = None
    distribution_mode: DistributionMode | str | None = None
    is_mab: bool | None = None
    variants: tuple[VariantDistribution, ...] = ()

    def variant(self, variant_id: str) -> VariantDistribution:
        """
        Return one variant.

        Args:
            variant_id: Which: ``"0"`` is Control.

        Raises:
            KeyError: There is none of that id.
        """
        return find_variant(self.variants, variant_id)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ReportGoal(Model):
    """
    The goal that a report counts. Reports differ in how much they say of it.

    Attributes:
        goal_profile_id: The goal's number.
        goal_key: Its key.
        goal_name: Its name.
        goal_type: What counts as reaching it.
        goal_value: The address, selector, name or number that this needs, as text.
        is_primary: Whether it is the experiment's main goal.
        goal_source: Where it comes from; ``global_default`` for the project's
            (docs/v2/get-project-configuration, 2026-08-22).
    """

    goal_profile_id: int | None = None
    goal_key: str | None = None
    goal_name: str | None = None
    goal_type: GoalType | str | None = None
    goal_value: str | None = None
    is_primary: bool | None = None
    goal_source: str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class VariantResult(ReportVariant):
    """
    What one variant came to (docs/v2/get-experiment-result, 2026-08-22).

    What is about money is None where the goal has no revenue.

    Attributes:
        name: Its name, or its nickname: tell variants apart by their ``variant_id``.
        nickname: What people call it, in an older form of the answer (docs/quickstart).
        visitors: How many visitors saw it.
        conversions: How many of them reached the goal.
        conversion_rate: The share of those in percent, 0 to 100: 8.0 means 8 %.
        improvement: How much higher the rate is than Control's, in percent of that: 25.0 for 10 % against 8 %. None for
            Control, and where Control has no conversions.
        revenue: The sum of the revenue.
        orders: How many orders there were.
        rpv: The revenue per visitor.
        aov: The revenue per order.
        currency: The currency of these.
        revenue_per_visitor_improvement: How much higher the revenue per visitor is than Control's, in percent of that.
        traffic_weight: Its share of the experiment's visitors as configured, in percent, 0 to 100; None where a bandit
            decides.
        variant_status: Whether it gets visitors.
        is_control: Whether it is Control.
    """

    name: str | None = None
    nickname: str | None = None
    visitors: int | None = None
    conversions: int | None = None
    conversion_rate: float | None = None
    improvement: float | None = None
    revenue: float | None = None
    orders: int | None = None
    rpv: float | None = None
    aov: float | None = None
    currency: str | None = None
    revenue_per_visitor_improvement: float | None = None
    traffic_weight: float | None = None
    variant_status: VariantStatus | str | None = None
    is_control: bool | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Breakdown(Model):
    """
    The part of a result that belongs to one value, such as one device (docs/v2/get-experiment-result, 2026-08-22).

    The page shows no example: what has other names than these is in ``extra``.

    Attributes:
        criteria: The value.
        total_visitors: How many visitors there were.
        total_conversions: How many of them reached the goal.
        conversion_rate: The share of those in percent, 0 to 100.
        total_revenue: The sum of the revenue; None where the goal has none, as are the next four.
        total_orders: How many orders there were.
        rpv: The revenue per visitor.
        aov: The revenue per order.
        currency: The currency of these.
        variants: The variants, compared with Control among these visitors.
    """

    criteria: str | None = None
    total_visitors: int | None = None
    total_conversions: int | None = None
    conversion_rate: float | None = None
    total_revenue: float | None = None
    total_orders: int | None = None
    rpv: float | None = None
    aov: float | None = None
    currency: str | None = None
    variants: tuple[VariantResult, ...] = ()

    def variant(self, variant_id: str) -> VariantResult:
        """
        Return one variant.

        Args:
            variant_id: Which: ``"0"`` is Control.

        Raises:
            KeyError: There is none of that id.
        """
        return find_variant(self.variants, variant_id)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ExperimentResult(Reply):
    """
    What an experiment came to (docs/v2/get-experiment-result, 2026-08-22).

    What is about money is None where the goal has no revenue. There are neither p-values nor chances to win.

    Attributes:
        test_id: The experiment's number.
        test_name: Its name.
        status: ``draft``, ``live`` or ``inactive``; also where the server sends the number instead.
        status_code: The same as a number: 9, 1 or 0; also where the server does not send it (docs/quickstart).
        start_date: When it was created, not when it was launched.
        end_date: When it was concluded in the dashboard; stopping it does not set this.
        days_running: How many days lie between these two, or between the first and now.
        primary_goal: Its main goal, if it has one.
        selected_goal: The goal that was counted, where the server says so.
        stats_engine: ``bayesian`` or ``frequentist``.
        confidence_threshold_percent: How sure a winner must be, in percent, 0 to 100.
        serving_variant_id: The variant that is served to all; None where none is.
        is_serving: Whether one is.
        report_phase: The phase that was counted.
        traffic_allocation: The percentage of visitors who take part, 0 to 100.
        distribution_mode: How they are split.
        is_mab: Whether a bandit splits them.
        total_visitors: How many visitors took part.
        total_conversions: How many of them reached the goal.
        has_revenue: Whether the goal has revenue.
        total_revenue: The sum of the revenue.
        total_orders: How many orders there were.
        rpv: The revenue per visitor.
        aov: The revenue per order.
        currency: The currency of these.
        variants: The variants, Control first.
        breakdown_by: What the result is split by, where that was asked for.
        breakdowns: The parts.
    """

    test_id: int | None = None
    test_name: str | None = None
    status: str | None = attrs.field(default=None, converter=_label)
    status_code: int | None = None
    start_date: dt.datetime | None = None
    end_date: dt.datetime | None = None
    days_running: int | None = None
    primary_goal: ReportGoal | None = None
    selected_goal: ReportGoal | None = None
    stats_engine: str | None = None
    confidence_threshold_percent: float | None = None
    serving_variant_id: str | None = None
    is_serving: bool | None = None
    report_phase: ReportPhase | str | None = None
    traffic_allocation: float | None = None
    distribution_mode: DistributionMode | str | None = None
    is_mab: bool | None = None
    total_visitors: int | None = None
    total_conversions: int | None = None
    has_revenue: bool | None = None
    total_revenue: float | None = None
    total_orders: int | None = None
    rpv: float | None = None
    aov: float | None = None
    currency: str | None = None
    variants: tuple[VariantResult, ...] = ()
    breakdown_by: str | None = None
    breakdowns: tuple[Breakdown, ...] = ()

    def __attrs_post_init__(self) -> None:
        if self.status_code is None:
            object.__setattr__(self, "status_code", _CODES.get(self.status or ""))

    def variant(self, variant_id: str) -> VariantResult:
        """
        Return one variant.

        Args:
            variant_id: Which: ``"0"`` is Control.

        Raises:
            KeyError: There is none of that id.
        """
        return find_variant(self.variants, variant_id)

    @property
    def control(self) -> VariantResult:
        """
        Control.

        Raises:
            KeyError: The answer has none.
        """
        return self.variant(CONTROL_ID)
