"""Samples of the calls of a project's configuration."""

from __future__ import annotations

from mida_async.models import (
    AnalysisMethod,
    BuiltInMetric,
    FrequentistType,
    Goal,
    GoalByKey,
    GoalType,
    MetricByText,
    ProjectConfiguration,
    SecondaryMetric,
)
from wire.base import Sample

_CHANGED = {
    "analysis_method": "1",
    "frequentist_type": "0",
    "confidence_level": "90",
    "primary_goal_id": 3003,
    "secondary_goals": [
        {"type": 2, "text": "goal_3004", "name": "Add to Cart", "attributeFilter": None},
        {"type": 2, "text": "BounceRate", "name": "Bounce Rate", "attributeFilter": None},
    ],
    "weekly_ai_summary_enabled": False,
    "skip_pre_publish_check": False,
}
_CHANGED_RESULT = ProjectConfiguration(
    analysis_method=AnalysisMethod.BAYESIAN,
    frequentist_type=FrequentistType.ONE_TAILED,
    confidence_level="90",
    primary_goal_id=3003,
    secondary_goals=(
        SecondaryMetric(type=2, text="goal_3004", name="Add to Cart", extra={"attributeFilter": None}),
        SecondaryMetric(type=2, text="BounceRate", name="Bounce Rate", extra={"attributeFilter": None}),
    ),
    weekly_ai_summary_enabled=False,
    skip_pre_publish_check=False,
)

SAMPLES = (
    Sample(
        endpoint="projects.get_configuration",
        call=lambda mida: mida.projects.get_configuration(),
        sent="GET P/configuration",
        answer={
            "success": True,
            "configuration": {
                "analysis_method": "1",
                "frequentist_type": "0",
                "confidence_level": "95",
                "stats_engine": "bayesian",
                "confidence_threshold_percent": 95,
                "weekly_ai_summary_enabled": False,
                "primary_goal_id": 3003,
                "primary_goal": {
                    "goal_profile_id": 3003,
                    "goal_key": "cta_button_click",
                    "goal_name": "CTA Button Click",
                    "goal_type": "clickOnElement",
                    "goal_value": ".cta-button",
                },
                "secondary_goals": [
                    {
                        "type": 2,
                        "text": "goal_3004",
                        "name": "Add to Cart",
                        "goal_profile_id": 3004,
                        "goal_key": "add_to_cart",
                        "goal_type": "event",
                        "goal_value": "AddToCart",
                    },
                    {"type": 2, "text": "Purchase", "name": "Purchase", "event_name": "Purchase"},
                ],
            },
        },
        result=ProjectConfiguration(
            analysis_method=AnalysisMethod.BAYESIAN,
            frequentist_type=FrequentistType.ONE_TAILED,
            confidence_level="95",
            stats_engine="bayesian",
            confidence_threshold_percent=95.0,
            weekly_ai_summary_enabled=False,
            primary_goal_id=3003,
            primary_goal=Goal(
                goal_profile_id=3003,
                goal_key="cta_button_click",
                goal_name="CTA Button Click",
                goal_type=GoalType.CLICK_ON_ELEMENT,
                goal_value=".cta-button",
            ),
            secondary_goals=(
                SecondaryMetric(
                    type=2,
                    text="goal_3004",
                    name="Add to Cart",
                    goal_profile_id=3004,
                    goal_key="add_to_cart",
                    goal_type=GoalType.EVENT,
                    goal_value="AddToCart",
                ),
                SecondaryMetric(type=2, text="Purchase", name="Purchase", event_name="Purchase"),
            ),
        ),
    ),
    Sample(
        endpoint="projects.update_configuration",
        call=lambda mida: mida.projects.update_configuration(confidence_level=90),
        sent="PATCH P/configuration",
        body={"confidence_level": 90},
        answer={"success": True, "configuration": _CHANGED},
        result=_CHANGED_RESULT,
    ),
    Sample(
        endpoint="projects.update_configuration",
        call=lambda mida: mida.projects.update_configuration(
            primary_goal_key="cta_button_click",
            secondary_goals=[
                "add_to_cart",
                GoalByKey(goal_key="signed_up"),
                MetricByText(text=BuiltInMetric.BOUNCE_RATE, name="Bounce Rate"),
                {"text": "Purchase", "name": "Purchase"},
            ],
        ),
        sent="PATCH P/configuration",
        body={
            "primary_goal_key": "cta_button_click",
            "secondary_goals": [
                {"goal_key": "add_to_cart"},
                {"goal_key": "signed_up"},
                {"text": "BounceRate", "name": "Bounce Rate"},
                {"text": "Purchase", "name": "Purchase"},
            ],
        },
        answer={"success": True, "configuration": _CHANGED},
        result=_CHANGED_RESULT,
    ),
    Sample(
        endpoint="projects.update_configuration",
        call=lambda mida: mida.projects.update_configuration(
            analysis_method=AnalysisMethod.FREQUENTIST,
            frequentist_type="2",
            primary_goal_key=None,
            secondary_goals=[],
            weekly_ai_summary_enabled=True,
            skip_pre_publish_check=False,
        ),
        sent="PATCH P/configuration",
        body={
            "analysis_method": "0",
            "frequentist_type": "2",
            "primary_goal_key": None,
            "secondary_goals": [],
            "weekly_ai_summary_enabled": True,
            "skip_pre_publish_check": False,
        },
        answer={"success": True, "configuration": {**_CHANGED, "primary_goal_id": None, "secondary_goals": []}},
        result=ProjectConfiguration(
            analysis_method=AnalysisMethod.BAYESIAN,
            frequentist_type=FrequentistType.ONE_TAILED,
            confidence_level="90",
            weekly_ai_summary_enabled=False,
            skip_pre_publish_check=False,
        ),
    ),
)
