"""Samples of the calls of personalization."""

from __future__ import annotations

import datetime as dt

from mida_async.models import (
    AccountsAdded,
    Campaign,
    CampaignAccount,
    CampaignCreated,
    CampaignDetails,
    CampaignList,
    CampaignPersona,
    CampaignPipeline,
    CampaignStrategy,
    LinkedAccount,
    PersonaParam,
    PipelineStep,
    SavedAccounts,
    SuggestedPages,
)
from wire.base import Sample

_PAGES = ["https://yoursite.com/", "https://yoursite.com/pricing"]
_CREATED = {
    "success": True,
    "abm_campaign_id": 41,
    "name": "Q3 enterprise outbound",
    "url": "/personalize/abm/41",
    "account_count": 1,
    "page_urls": _PAGES,
    "building": True,
    "needs_goal": False,
}

SAMPLES = (
    Sample(
        endpoint="personalization.list_campaigns",
        call=lambda mida: mida.personalization.list_campaigns(),
        sent="GET P/personalization/campaigns",
        answer={
            "success": True,
            "campaigns": [
                {
                    "abm_campaign_id": 23,
                    "name": "TechSpo 2026",
                    "status": "launched",
                    "url": "/personalize/abm/23",
                    "account_count": 12,
                    "accounts_with_copy": 11,
                    "launched": True,
                    "building": True,
                    "updated_at": "2026-08-21T04:12:08.000Z",
                }
            ],
        },
        result=CampaignList(
            success=True,
            campaigns=(
                Campaign(
                    abm_campaign_id=23,
                    name="TechSpo 2026",
                    status="launched",
                    url="/personalize/abm/23",
                    account_count=12,
                    accounts_with_copy=11,
                    launched=True,
                    building=True,
                    updated_at=dt.datetime(2026, 8, 21, 4, 12, 8, tzinfo=dt.UTC),
                ),
            ),
        ),
    ),
    Sample(
        endpoint="personalization.get_campaign",
        call=lambda mida: mida.personalization.get_campaign(23),
        sent="GET P/personalization/campaigns/23",
        answer={
            "success": True,
            "abm_campaign_id": 23,
            "name": "TechSpo 2026",
            "status": "launched",
            "launched": True,
            "needs_goal": False,
            "account_count": 12,
            "accounts_with_copy": 11,
            "pipeline": {
                "status": "running",
                "stage": "copy",
                "research": {"total": 1, "done": 1, "failed": 0},
                "copy": {"total": 1, "done": 0, "failed": 0},
            },
        },
        result=CampaignDetails(
            success=True,
            abm_campaign_id=23,
            name="TechSpo 2026",
            status="launched",
            launched=True,
            needs_goal=False,
            account_count=12,
            accounts_with_copy=11,
            pipeline=CampaignPipeline(
                status="running",
                stage="copy",
                research=PipelineStep(total=1, done=1, failed=0),
                copy=PipelineStep(total=1, done=0, failed=0),
            ),
        ),
    ),
    Sample(
        endpoint="personalization.create_campaign",
        call=lambda mida: mida.personalization.create_campaign(
            strategy="accounts",
            name="Q3 enterprise outbound",
            page_urls=_PAGES,
            goal_profile_id=969,
            accounts=[CampaignAccount(name="Notion", domain="notion.so", notes="Evaluating against Optimizely.")],
        ),
        sent="POST P/personalization/campaigns",
        body={
            "strategy": "accounts",
            "name": "Q3 enterprise outbound",
            "page_urls": _PAGES,
            "goal_profile_id": 969,
            "accounts": [{"name": "Notion", "domain": "notion.so", "notes": "Evaluating against Optimizely."}],
        },
        answer=_CREATED,
        result=CampaignCreated(
            success=True,
            abm_campaign_id=41,
            name="Q3 enterprise outbound",
            url="/personalize/abm/41",
            account_count=1,
            page_urls=tuple(_PAGES),
            building=True,
            needs_goal=False,
        ),
    ),
    Sample(
        endpoint="personalization.create_campaign",
        call=lambda mida: mida.personalization.create_campaign(
            strategy=CampaignStrategy.PERSONAS,
            page_urls=("https://yoursite.com/",),
            personas=[CampaignPersona(label="cto", description="Decides"), {"label": "cfo"}],
            persona_param=PersonaParam.UTM_TERM,
        ),
        sent="POST P/personalization/campaigns",
        body={
            "strategy": "personas",
            "page_urls": ["https://yoursite.com/"],
            "personas": [{"label": "cto", "description": "Decides"}, {"label": "cfo"}],
            "persona_param": "utm_term",
        },
        answer={"success": True, "abm_campaign_id": 42, "account_count": 0, "building": True, "needs_goal": True},
        result=CampaignCreated(success=True, abm_campaign_id=42, account_count=0, building=True, needs_goal=True),
    ),
    Sample(
        endpoint="personalization.add_accounts",
        call=lambda mida: mida.personalization.add_accounts(
            23, ["Stripe", {"name": "Notion"}, CampaignAccount(name="Klaviyo", domain="klaviyo.com")]
        ),
        sent="POST P/personalization/campaigns/23/accounts",
        body={"accounts": [{"name": "Stripe"}, {"name": "Notion"}, {"name": "Klaviyo", "domain": "klaviyo.com"}]},
        answer={
            "success": True,
            "abm_campaign_id": 23,
            "campaign_name": "TechSpo 2026",
            "url": "/personalize/abm/23",
            "launched": True,
            "links_live": True,
            "added": [
                {
                    "abm_campaign_account_id": 512,
                    "name": "Klaviyo",
                    "domain": "klaviyo.com",
                    "notes": "On VWO today",
                    "link": "https://yoursite.com/?m=k3Rt9vQ2mLpX7wZa1BcD",
                }
            ],
            "already_on_campaign": [{"abm_campaign_account_id": 2, "name": "Notion", "link": "https://yoursite.com/"}],
            "pages": _PAGES,
            "building": False,
            "queued_behind_current_build": True,
            "needs_goal": False,
            "_note": "The links work now.",
        },
        result=AccountsAdded(
            success=True,
            abm_campaign_id=23,
            campaign_name="TechSpo 2026",
            url="/personalize/abm/23",
            launched=True,
            links_live=True,
            added=(
                LinkedAccount(
                    abm_campaign_account_id=512,
                    name="Klaviyo",
                    domain="klaviyo.com",
                    notes="On VWO today",
                    link="https://yoursite.com/?m=k3Rt9vQ2mLpX7wZa1BcD",
                ),
            ),
            already_on_campaign=(
                LinkedAccount(abm_campaign_account_id=2, name="Notion", link="https://yoursite.com/"),
            ),
            pages=tuple(_PAGES),
            building=False,
            queued_behind_current_build=True,
            needs_goal=False,
            note="The links work now.",
        ),
    ),
    # The pages of these two show no answer: whatever comes is kept.
    Sample(
        endpoint="personalization.suggested_pages",
        call=lambda mida: mida.personalization.suggested_pages(["Notion", "A&B"]),
        sent="GET P/personalization/suggested-pages?account=Notion&account=A%26B",
        answer={"success": True, "anything": [{"url": "https://yoursite.com/"}]},
        result=SuggestedPages(success=True, extra={"anything": [{"url": "https://yoursite.com/"}]}),
    ),
    Sample(
        endpoint="personalization.suggested_pages",
        call=lambda mida: mida.personalization.suggested_pages(),
        sent="GET P/personalization/suggested-pages",
        answer={"success": True},
        result=SuggestedPages(success=True),
    ),
    Sample(
        endpoint="personalization.list_saved_accounts",
        call=lambda mida: mida.personalization.list_saved_accounts(search="saas"),
        sent="GET P/personalization/saved-accounts?search=saas",
        answer={"success": True, "anything": [{"name": "Notion"}]},
        result=SavedAccounts(success=True, extra={"anything": [{"name": "Notion"}]}),
    ),
)
