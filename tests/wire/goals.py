"""Samples of the calls of goals."""

from __future__ import annotations

import datetime as dt

from mida_async.models import (
    Goal,
    GoalCreated,
    GoalDeleted,
    GoalDetails,
    GoalPage,
    GoalPurpose,
    GoalType,
    GoalUpdated,
)
from wire.base import Sample

_GOAL = {
    "goal_profile_id": 3003,
    "goal_key": "cta_button_click",
    "goal_name": "CTA Button Click",
    "goal_type": "clickOnElement",
    "goal_value": ".cta-button",
    "goal_purpose": "sell",
    "element_url": "https://example.com/",
}

SAMPLES = (
    Sample(
        endpoint="goals.list",
        call=lambda mida: mida.goals.list(),
        sent="GET P/goals?limit=50&offset=0",
        answer={"success": True, "company_id": 1001, "count": 1, "goals": [_GOAL]},
        result=GoalPage(
            success=True,
            company_id=1001,
            count=1,
            goals=(
                Goal(
                    goal_profile_id=3003,
                    goal_key="cta_button_click",
                    goal_name="CTA Button Click",
                    goal_type=GoalType.CLICK_ON_ELEMENT,
                    goal_value=".cta-button",
                    goal_purpose=GoalPurpose.SELL,
                    element_url="https://example.com/",
                ),
            ),
        ),
    ),
    Sample(
        endpoint="goals.create",
        call=lambda mida: mida.goals.create(
            goal_name="CTA Button Click",
            goal_type="clickOnElement",
            goal_value=".cta-button",
            goal_purpose="sell",
            element_url="https://example.com/",
        ),
        sent="POST P/goal",
        body={
            "goal_name": "CTA Button Click",
            "goal_type": "clickOnElement",
            "goal_value": ".cta-button",
            "goal_purpose": "sell",
            "element_url": "https://example.com/",
        },
        answer={"success": True, "goal_profile_id": 3003, "goal_key": "cta_button_click", "company_id": 1001},
        result=GoalCreated(success=True, goal_profile_id=3003, goal_key="cta_button_click", company_id=1001),
    ),
    Sample(
        endpoint="goals.get",
        call=lambda mida: mida.goals.get(3003),
        sent="GET P/goal/3003",
        answer={"success": True, "goal": {**_GOAL, "status": 1, "created_at": "2024-01-15T10:30:00.000Z"}},
        result=GoalDetails(
            goal_profile_id=3003,
            goal_key="cta_button_click",
            goal_name="CTA Button Click",
            goal_type=GoalType.CLICK_ON_ELEMENT,
            goal_value=".cta-button",
            goal_purpose=GoalPurpose.SELL,
            element_url="https://example.com/",
            status=1,
            created_at=dt.datetime(2024, 1, 15, 10, 30, tzinfo=dt.UTC),
        ),
    ),
    Sample(
        endpoint="goals.update",
        call=lambda mida: mida.goals.update(3003, goal_name="Primary CTA Click", element_url=None),
        sent="PATCH P/goal/3003",
        body={"goal_name": "Primary CTA Click", "element_url": None},
        answer={"success": True, "goal_profile_id": 3003},
        result=GoalUpdated(success=True, goal_profile_id=3003),
    ),
    Sample(
        endpoint="goals.delete",
        call=lambda mida: mida.goals.delete(3003),
        sent="DELETE P/goal/3003",
        answer={"success": True, "goal_profile_id": 3003, "deleted": True},
        result=GoalDeleted(success=True, goal_profile_id=3003, deleted=True),
    ),
)
