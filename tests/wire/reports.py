"""Samples of the calls of reports."""

from __future__ import annotations

import datetime as dt
from urllib.parse import quote

from mida_async.models import (
    AllOf,
    AttributeCondition,
    Breakdown,
    BreakdownBy,
    Condition,
    DistributionMode,
    ExperimentDistribution,
    ExperimentMetrics,
    ExperimentResult,
    ExperimentTimeseries,
    GoalType,
    MetricDefinition,
    MetricsRow,
    ReportGoal,
    ReportPhase,
    TimeseriesRow,
    VariantDistribution,
    VariantResult,
    VariantStatus,
)
from wire.base import Sample

_CREATED = dt.datetime(2024, 1, 15, 10, 30, tzinfo=dt.UTC)
_DAY = dt.datetime(2024, 1, 15, tzinfo=dt.UTC)
_NAME = "Homepage CTA Button Color Test"
_HEADING = {"success": True, "test_id": 1234, "test_name": _NAME}
_CLICK = {"goal_name": "CTA Button Click", "goal_type": "clickOnElement", "goal_value": ".cta-button"}
_PURCHASE = {"goal_key": "purchase", "goal_name": "Purchase", "goal_type": "revenue", "goal_value": "Purchase"}
_CLICK_GOAL = ReportGoal(goal_name="CTA Button Click", goal_type=GoalType.CLICK_ON_ELEMENT, goal_value=".cta-button")
_PURCHASE_GOAL = ReportGoal(
    goal_key="purchase", goal_name="Purchase", goal_type=GoalType.REVENUE, goal_value="Purchase"
)


def _text(value: str) -> str:
    return quote(value, safe="")


_DISTRIBUTION = Sample(
    endpoint="experiments.distribution",
    call=lambda mida: mida.experiments.distribution(1234),
    sent="GET P/experiment/1234/distribution",
    answer={
        **_HEADING,
        "status": "live",
        "traffic_allocation": 100,
        "distribution_mode": "custom",
        "is_mab": False,
        "variants": [
            {"variant_id": "0", "name": "Control", "traffic_weight": 70, "variant_status": "active"},
            {"variant_id": "1", "name": "Red CTA Button", "traffic_weight": 30, "variant_status": "active"},
        ],
    },
    result=ExperimentDistribution(
        success=True,
        test_id=1234,
        test_name=_NAME,
        status="live",
        traffic_allocation=100,
        distribution_mode=DistributionMode.CUSTOM,
        is_mab=False,
        variants=(
            VariantDistribution(variant_id="0", name="Control", traffic_weight=70, variant_status=VariantStatus.ACTIVE),
            VariantDistribution(
                variant_id="1", name="Red CTA Button", traffic_weight=30, variant_status=VariantStatus.ACTIVE
            ),
        ),
    ),
)

_RESULT = Sample(
    endpoint="experiments.result",
    call=lambda mida: mida.experiments.result(1234, start_date=dt.date(2024, 1, 15), end_date="2024-02-15"),
    sent="GET P/experiment/1234/result?start_date=2024-01-15&end_date=2024-02-15",
    answer={
        **_HEADING,
        "status": "live",
        "status_code": 1,
        "start_date": "2024-01-15T10:30:00.000Z",
        "end_date": None,
        "days_running": 15,
        "primary_goal": _CLICK,
        "stats_engine": "bayesian",
        "confidence_threshold_percent": 95,
        "serving_variant_id": "1",
        "is_serving": True,
        "report_phase": "pre_deploy",
        "traffic_allocation": 100,
        "distribution_mode": "equal",
        "is_mab": False,
        "total_visitors": 2980,
        "total_conversions": 268,
        "has_revenue": False,
        "variants": [
            {
                "variant_id": "0",
                "name": "Control",
                "visitors": 1500,
                "conversions": 120,
                "conversion_rate": 8.0,
                "traffic_weight": 50,
                "variant_status": "active",
                "is_control": True,
            },
            {
                "variant_id": "1",
                "name": "Red CTA Button",
                "visitors": 1480,
                "conversions": 148,
                "conversion_rate": 10.0,
                "improvement": 25.0,
                "traffic_weight": 50,
                "variant_status": "active",
                "is_control": False,
            },
        ],
    },
    result=ExperimentResult(
        success=True,
        test_id=1234,
        test_name=_NAME,
        status="live",
        status_code=1,
        start_date=_CREATED,
        end_date=None,
        days_running=15,
        primary_goal=_CLICK_GOAL,
        stats_engine="bayesian",
        confidence_threshold_percent=95,
        serving_variant_id="1",
        is_serving=True,
        report_phase=ReportPhase.PRE_DEPLOY,
        traffic_allocation=100,
        distribution_mode=DistributionMode.EQUAL,
        is_mab=False,
        total_visitors=2980,
        total_conversions=268,
        has_revenue=False,
        variants=(
            VariantResult(
                variant_id="0",
                name="Control",
                visitors=1500,
                conversions=120,
                conversion_rate=8.0,
                traffic_weight=50,
                variant_status=VariantStatus.ACTIVE,
                is_control=True,
            ),
            VariantResult(
                variant_id="1",
                name="Red CTA Button",
                visitors=1480,
                conversions=148,
                conversion_rate=10.0,
                improvement=25.0,
                traffic_weight=50,
                variant_status=VariantStatus.ACTIVE,
                is_control=False,
            ),
        ),
    ),
)

_QUICKSTART_RESULT = Sample(
    endpoint="experiments.result",
    call=lambda mida: mida.experiments.result(28222),
    sent="GET P/experiment/28222/result",
    answer={
        "success": True,
        "test_id": 28222,
        "test_name": _NAME,
        "status": 1,
        "days_running": 7,
        "total_visitors": 1480,
        "total_conversions": 148,
        "variants": [
            {
                "variant_id": "1",
                "name": "Variant 1",
                "nickname": "Red CTA Button",
                "visitors": 1480,
                "conversions": 148,
                "conversion_rate": 10.0,
                "improvement": 25.0,
                "is_control": False,
            }
        ],
    },
    result=ExperimentResult(
        success=True,
        test_id=28222,
        test_name=_NAME,
        status="live",
        status_code=1,
        days_running=7,
        total_visitors=1480,
        total_conversions=148,
        variants=(
            VariantResult(
                variant_id="1",
                name="Variant 1",
                nickname="Red CTA Button",
                visitors=1480,
                conversions=148,
                conversion_rate=10.0,
                improvement=25.0,
                is_control=False,
            ),
        ),
    ),
)

_MONEY = {"rpv": 0.8, "aov": 10, "currency": "USD"}
_FILTERED_RESULT = Sample(
    endpoint="experiments.result",
    call=lambda mida: mida.experiments.result(
        1234,
        goal_key="purchase",
        goal_profile_id=5678,
        filter_by=["desktop", "country-US"],
        custom_filter=(Condition("country", "==", "US") | Condition("country", "==", "CA"))
        & Condition("utm", "ex", key="campaign"),
        breakdown_by=BreakdownBy.DEVICE,
        event_attribute=AllOf(AttributeCondition("revenue", ">", 100), AttributeCondition("currency", "=", "USD")),
        min_count=2,
        timeframe_days=7,
        tz=-5,
        report_phase=ReportPhase.ALL_TIME,
    ),
    sent="GET P/experiment/1234/result?goal_key=purchase&goal_profile_id=5678&filter_by=desktop%2Ccountry-US"
    "&custom_filter="
    + _text(
        '[[{"criteria":"country","operator":"==","value":"US"},{"criteria":"country","operator":"==","value":"CA"}],'
        '[{"criteria":"utm","operator":"ex","key":"campaign"}]]'
    )
    + "&breakdown_by=device&event_attribute="
    + _text(
        '[[{"key":"revenue","operand":">","value":100},{"key":"currency","operand":"=","value":"USD"}]]',
    )
    + "&min_count=2&timeframe_days=7&tz=-5&report_phase=all_time",
    answer={
        **_HEADING,
        "selected_goal": {"goal_profile_id": 5678, **_PURCHASE, "is_primary": False, "goal_source": "global_default"},
        "is_serving": False,
        "has_revenue": True,
        "total_revenue": 120,
        "total_orders": 12,
        **_MONEY,
        "variants": [
            {"variant_id": "0", "revenue": 120, "orders": 12, **_MONEY, "revenue_per_visitor_improvement": 1.5},
        ],
        "breakdown_by": "device",
        "breakdowns": [
            {
                "criteria": "mobile",
                "total_visitors": 150,
                "total_conversions": 12,
                "conversion_rate": 8,
                "total_revenue": 120,
                "total_orders": 12,
                **_MONEY,
                "variants": [{"variant_id": "0", "visitors": 150, "traffic_weight": None, "variant_status": "paused"}],
            }
        ],
    },
    result=ExperimentResult(
        success=True,
        test_id=1234,
        test_name=_NAME,
        selected_goal=ReportGoal(
            goal_profile_id=5678,
            goal_key="purchase",
            goal_name="Purchase",
            goal_type=GoalType.REVENUE,
            goal_value="Purchase",
            is_primary=False,
            goal_source="global_default",
        ),
        is_serving=False,
        has_revenue=True,
        total_revenue=120,
        total_orders=12,
        rpv=0.8,
        aov=10,
        currency="USD",
        variants=(
            VariantResult(
                variant_id="0",
                revenue=120,
                orders=12,
                rpv=0.8,
                aov=10,
                currency="USD",
                revenue_per_visitor_improvement=1.5,
            ),
        ),
        breakdown_by="device",
        breakdowns=(
            Breakdown(
                criteria="mobile",
                total_visitors=150,
                total_conversions=12,
                conversion_rate=8,
                total_revenue=120,
                total_orders=12,
                rpv=0.8,
                aov=10,
                currency="USD",
                variants=(VariantResult(variant_id="0", visitors=150, variant_status=VariantStatus.PAUSED),),
            ),
        ),
    ),
)

_TIMESERIES = Sample(
    endpoint="experiments.timeseries",
    call=lambda mida: mida.experiments.timeseries(
        1234, start_date="2024-01-15", filter_by="mobile", event_attribute=[[{"key": "sku", "operator": "ex"}]]
    ),
    sent="GET P/experiment/1234/timeseries?start_date=2024-01-15&filter_by=mobile&event_attribute="
    + _text('[[{"key":"sku","operator":"ex"}]]'),
    answer={
        **_HEADING,
        "goal": {"goal_profile_id": 5678, **_PURCHASE, "is_primary": True},
        "primary_goal": _PURCHASE,
        "query_start_date": "2024-01-15",
        "effective_end_date": "2024-02-15",
        "count": 1,
        "timeseries": [
            {
                "variant_id": "0",
                "converted": 12,
                "conversion": 8,
                "visitors": 150,
                "revenue": 1200,
                "currency": "USD",
                "no_of_order": 14,
                "sum_sq_revenue": 130000.5,
                "hour": "all",
                "created_at": "2024-01-15T00:00:00.000Z",
                "updated_at": "2024-01-15T00:00:00.000Z",
            }
        ],
    },
    result=ExperimentTimeseries(
        success=True,
        test_id=1234,
        test_name=_NAME,
        goal=ReportGoal(
            goal_profile_id=5678,
            goal_key="purchase",
            goal_name="Purchase",
            goal_type=GoalType.REVENUE,
            goal_value="Purchase",
            is_primary=True,
        ),
        primary_goal=_PURCHASE_GOAL,
        query_start_date="2024-01-15",
        effective_end_date="2024-02-15",
        count=1,
        timeseries=(
            TimeseriesRow(
                variant_id="0",
                converted=12,
                conversion=8,
                visitors=150,
                revenue=1200,
                currency="USD",
                no_of_order=14,
                sum_sq_revenue=130000.5,
                created_at=_DAY,
                updated_at=_DAY,
                extra={"hour": "all"},
            ),
        ),
    ),
)

_METRICS = Sample(
    endpoint="experiments.metrics",
    call=lambda mida: mida.experiments.metrics(
        1234, goal_keys=["purchase", "signup"], metric_batch=[0], filter_by="mobile"
    ),
    sent="GET P/experiment/1234/metrics?goal_keys=%5B%22purchase%22%2C%22signup%22%5D&metric_batch=%5B0%5D"
    "&filter_by=mobile",
    answer={
        **_HEADING,
        "count": 1,
        "metric_count": 1,
        "metric_definitions": [
            {
                "metric_key": "purchase",
                "metric_text": "goal_purchase",
                "name": "Purchase",
                "type": 2,
                "goal": _PURCHASE,
            }
        ],
        "metrics": [{"variant_id": "0", "total": 1500, "result_1": 40}],
        "filter_by": "mobile",
        "custom_filter": [[{"criteria": "device", "operator": "==", "value": "mobile"}]],
        "warnings": ["signup: no such goal"],
    },
    result=ExperimentMetrics(
        success=True,
        test_id=1234,
        test_name=_NAME,
        count=1,
        metric_count=1,
        metric_definitions=(
            MetricDefinition(
                metric_key="purchase", metric_text="goal_purchase", name="Purchase", type=2, goal=_PURCHASE_GOAL
            ),
        ),
        metrics=(MetricsRow(variant_id="0", total=1500, extra={"result_1": 40}),),
        filter_by="mobile",
        custom_filter=[[{"criteria": "device", "operator": "==", "value": "mobile"}]],
        warnings=("signup: no such goal",),
    ),
)

SAMPLES = (_DISTRIBUTION, _RESULT, _QUICKSTART_RESULT, _FILTERED_RESULT, _TIMESERIES, _METRICS)
