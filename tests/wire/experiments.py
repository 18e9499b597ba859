"""Samples of the calls of experiments."""

from __future__ import annotations

import datetime as dt

from mida_async.models import (
    Condition,
    Configuration,
    Experiment,
    ExperimentCreated,
    ExperimentDeleted,
    ExperimentDetails,
    ExperimentGoal,
    ExperimentPage,
    ExperimentStatus,
    ExperimentUpdated,
    ExperimentVariant,
    GoalType,
    InlineGoal,
    PreviewUrls,
    ShareLink,
    StatusSet,
    Targeting,
    Variant,
    VariantPreview,
)
from wire.base import Sample

_CREATED = dt.datetime(2024, 1, 15, 10, 30, tzinfo=dt.UTC)
_UPDATED = dt.datetime(2024, 1, 20, 14, 22, tzinfo=dt.UTC)
_NAME = "Homepage CTA Button Color Test"
_CSS = ".cta-button { background-color: #FF5733 !important; }"
_ROW = {
    "test_id": 1234,
    "test_name": _NAME,
    "url": "https://example.com/",
    "status": 9,
    "created_at": "2024-01-15T10:30:00.000Z",
    "updated_at": "2024-01-20T14:22:00.000Z",
    "serving_variant_id": None,
    "is_deploy": 0,
}

SAMPLES = (
    Sample(
        endpoint="experiments.list",
        call=lambda mida: mida.experiments.list(limit=20),
        sent="GET P/experiments?limit=20&offset=0",
        answer={
            "success": True,
            "company_id": 1001,
            "count": 2,
            "experiments": [
                {**_ROW, "is_completed": 0},
                {"test_id": 1235, "test_name": "Pricing", "status": 1, "is_completed": 1, "serving_variant_id": "1"},
            ],
        },
        result=ExperimentPage(
            success=True,
            company_id=1001,
            count=2,
            experiments=(
                Experiment(
                    test_id=1234,
                    test_name=_NAME,
                    url="https://example.com/",
                    status=ExperimentStatus.DRAFT,
                    is_completed=0,
                    created_at=_CREATED,
                    updated_at=_UPDATED,
                    is_deploy=0,
                ),
                Experiment(
                    test_id=1235,
                    test_name="Pricing",
                    status=ExperimentStatus.LIVE,
                    is_completed=1,
                    serving_variant_id="1",
                ),
            ),
        ),
    ),
    Sample(
        endpoint="experiments.get",
        call=lambda mida: mida.experiments.get(1234),
        sent="GET P/experiment/1234",
        answer={
            "success": True,
            "experiment": {
                **_ROW,
                "goal_profile_id": 99,
                "variants": [
                    {"variant_id": 1, "name": "Control", "customCSS": "", "customJS": "", "data": []},
                    {
                        "variant_id": 2,
                        "name": "Variant 1 \N{EM DASH} Red Button",
                        "customCSS": _CSS,
                        "customJS": "",
                        "data": [{"target": "h1", "textContent": "New"}],
                    },
                ],
                "configuration": {"traffic_allocation": 100, "confidence_interval": 95},
                "targeting": {"devices": [], "browsers": ["chrome"], "countries": []},
                "primary_goal": {
                    "goal_profile_id": 99,
                    "goal_name": "CTA Button Click",
                    "goal_type": "clickOnElement",
                    "goal_value": ".cta-button",
                },
            },
        },
        result=ExperimentDetails(
            test_id=1234,
            test_name=_NAME,
            url="https://example.com/",
            status=ExperimentStatus.DRAFT,
            created_at=_CREATED,
            updated_at=_UPDATED,
            is_deploy=0,
            goal_profile_id=99,
            variants=(
                ExperimentVariant(variant_id=1, name="Control", customCSS="", customJS=""),
                ExperimentVariant(
                    variant_id=2,
                    name="Variant 1 \N{EM DASH} Red Button",
                    customCSS=_CSS,
                    customJS="",
                    data=({"target": "h1", "textContent": "New"},),
                ),
            ),
            configuration={"traffic_allocation": 100, "confidence_interval": 95},
            targeting={"devices": [], "browsers": ["chrome"], "countries": []},
            primary_goal=ExperimentGoal(
                goal_profile_id=99,
                goal_name="CTA Button Click",
                goal_type=GoalType.CLICK_ON_ELEMENT,
                goal_value=".cta-button",
            ),
        ),
    ),
    Sample(
        endpoint="experiments.create",
        call=lambda mida: mida.experiments.create(
            test_name=_NAME,
            status=ExperimentStatus.DRAFT,
            url="https://example.com/",
            variants=[Variant(nickname="Red Button", custom_css=_CSS, custom_js="")],
            primary_goal=InlineGoal(
                goal_name="CTA Button Click", goal_type=GoalType.CLICK_ON_ELEMENT, goal_value=".cta-button"
            ),
            configuration=Configuration(traffic_allocation=100, confidence_interval=95),
            idempotency_key="deploy-2026-04-01-homepage-cta",
        ),
        sent="POST P/create-experiment",
        body={
            "test_name": _NAME,
            "status": 9,
            "url": "https://example.com/",
            "variants": [
                {"name": "Variant 1", "nickname": "Red Button", "customCSS": _CSS, "customJS": "", "data": []}
            ],
            "primary_goal": {
                "goal_name": "CTA Button Click",
                "goal_type": "clickOnElement",
                "goal_value": ".cta-button",
            },
            "configuration": {"traffic_allocation": 100, "confidence_interval": 95},
            "idempotency_key": "deploy-2026-04-01-homepage-cta",
        },
        answer={
            "success": True,
            "status": 9,
            "test_id": 28222,
            "company_id": 1001,
            "goal_profile_id": 8936,
            "secondary_goals_count": 0,
            "warnings": ["Look here"],
        },
        result=ExperimentCreated(
            success=True,
            status=ExperimentStatus.DRAFT,
            test_id=28222,
            company_id=1001,
            goal_profile_id=8936,
            secondary_goals_count=0,
            warnings=("Look here",),
        ),
    ),
    Sample(
        endpoint="experiments.update",
        call=lambda mida: mida.experiments.update(
            1234,
            custom_js=None,
            configuration={"traffic_allocation": 50},
            targeting=Targeting(
                parameter_rule=Condition("utm_source", "==", "google") | Condition("utm_source", "==", "bing")
            ),
            tags=["home"],
        ),
        sent="PATCH P/experiment/1234",
        body={
            "custom_js": None,
            "configuration": {"traffic_allocation": 50},
            "targeting": {
                "parameter_rule": [
                    [
                        {"criteria": "utm_source", "operator": "==", "value": "google"},
                        {"criteria": "utm_source", "operator": "==", "value": "bing"},
                    ]
                ]
            },
            "tags": ["home"],
        },
        answer={"success": True, "test_id": 1234},
        result=ExperimentUpdated(success=True, test_id=1234),
    ),
    Sample(
        endpoint="experiments.set_status",
        call=lambda mida: mida.experiments.set_status(1234, "live"),
        sent="PATCH P/experiment/1234/status",
        body={"status": 1},
        answer={"success": True, "test_id": 1234, "status": 1},
        result=StatusSet(success=True, test_id=1234, status=ExperimentStatus.LIVE),
    ),
    Sample(
        endpoint="experiments.delete",
        call=lambda mida: mida.experiments.delete(34762),
        sent="DELETE P/experiment/34762",
        answer={
            "success": True,
            "test_id": 34762,
            "test_name": "Homepage H1 - No-Devs Angle",
            "deleted": True,
            "was_live": False,
            "message": "Experiment deleted.",
        },
        result=ExperimentDeleted(
            success=True,
            test_id=34762,
            test_name="Homepage H1 - No-Devs Angle",
            deleted=True,
            was_live=False,
            message="Experiment deleted.",
        ),
    ),
    Sample(
        endpoint="experiments.preview_urls",
        call=lambda mida: mida.experiments.preview_urls(1234),
        sent="GET P/experiment/1234/preview-urls",
        answer={
            "success": True,
            "test_id": 1234,
            "test_name": _NAME,
            "page_url": "https://example.com/",
            "variants": [
                {
                    "variant_id": 0,
                    "name": "Control",
                    "preview_url": "https://example.com/?test-preview=1234&test-variant=0",
                },
                {
                    "variant_id": 1,
                    "name": "Variant 1",
                    "preview_url": "https://example.com/?test-preview=1234&test-variant=Variant_1",
                },
            ],
        },
        result=PreviewUrls(
            success=True,
            test_id=1234,
            test_name=_NAME,
            page_url="https://example.com/",
            variants=(
                VariantPreview(
                    variant_id=0,
                    name="Control",
                    preview_url="https://example.com/?test-preview=1234&test-variant=0",
                ),
                VariantPreview(
                    variant_id=1,
                    name="Variant 1",
                    preview_url="https://example.com/?test-preview=1234&test-variant=Variant_1",
                ),
            ),
        ),
    ),
    Sample(
        endpoint="experiments.share_link",
        call=lambda mida: mida.experiments.share_link(1234),
        sent="GET P/experiment/1234/share-link",
        answer={
            "success": True,
            "test_id": 1234,
            "company_id": 1001,
            "share_link": "https://us.mida.so/share/abResult/1234/AbC123xY",
            "is_public": True,
        },
        result=ShareLink(
            success=True,
            test_id=1234,
            company_id=1001,
            share_link="https://us.mida.so/share/abResult/1234/AbC123xY",
            is_public=True,
        ),
    ),
)
