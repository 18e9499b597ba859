"""What the personalization endpoints take and answer with."""

from __future__ import annotations

import datetime as dt
import enum

import attrs

from .._sentinels import UNSET, UnsetType
from .base import WIRE_NAME, Input, Model, Reply


class CampaignStrategy(enum.StrEnum):
    """
    Whom a campaign addresses (docs/v2/create-personalization-campaign, 2026-08-22).

    A plain string is accepted wherever one of these is.
    """

    ACCOUNTS = "accounts"
    """Named companies: each is researched, has copy of its own and is found by the token of its link."""

    PERSONAS = "personas"
    """Roles: each has one version of the pages and is found by a parameter of the address."""


class PersonaParam(enum.StrEnum):
    """
    Which parameter of an address carries the role (docs/v2/create-personalization-campaign, 2026-08-22).

    A plain string is accepted wherever one of these is.
    """

    UTM_CAMPAIGN = "utm_campaign"
    """The vendor's default."""

    UTM_TERM = "utm_term"
    UTM_MEDIUM = "utm_medium"
    UTM_SOURCE = "utm_source"
    REF = "ref"


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CampaignAccount(Input):
    """
    A company that a campaign addresses (docs/v2/add-personalization-accounts, 2026-08-22).

    Attributes:
        name: What it is called.
        domain: Its domain. The research goes by it, so none at all is better than a wrong one.
        notes: What you know about it; both the research and the copy are given this.
    """

    name: str
    domain: str | UnsetType = UNSET
    notes: str | UnsetType = UNSET


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CampaignPersona(Input):
    """
    A role that a campaign addresses (docs/v2/create-personalization-campaign, 2026-08-22).

    Attributes:
        label: What it is called, as the parameter of the address has it.
        description: What is particular to it.
    """

    label: str
    description: str | UnsetType = UNSET


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Campaign(Model):
    """
    One row of the list of campaigns (docs/v2/list-personalization-campaigns, 2026-08-22).

    Attributes:
        abm_campaign_id: The campaign's number, which calls take as ``campaign_id``.
        name: Its name.
        status: How far it has come; the page shows only ``launched``.
        url: Where it is in the dashboard, without the host.
        account_count: How many companies it has.
        accounts_with_copy: How many of them have copy that can be used.
        launched: Whether it is served.
        building: Whether a build runs; accounts that are added meanwhile wait for the next one.
        updated_at: When it was changed last.
    """

    abm_campaign_id: int
    name: str | None = None
    status: str | None = None
    url: str | None = None
    account_count: int | None = None
    accounts_with_copy: int | None = None
    launched: bool | None = None
    building: bool | None = None
    updated_at: dt.datetime | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CampaignList(Reply):
    """
    The campaigns of a project (docs/v2/list-personalization-campaigns, 2026-08-22).

    Attributes:
        campaigns: The 15 that were changed last, the newest first. There is no way to get more.
    """

    campaigns: tuple[Campaign, ...] = ()


@attrs.frozen(kw_only=True, eq=False, repr=False)
class PipelineStep(Model):
    """
    How far one step of a build is (docs/v2/get-personalization-campaign, 2026-08-22).

    Attributes:
        total: How many accounts it is about.
        done: How many of them are through.
        failed: How many of them failed.
    """

    total: int | None = None
    done: int | None = None
    failed: int | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CampaignPipeline(Model):
    """
    How far a build is (docs/v2/get-personalization-campaign, 2026-08-22).

    Attributes:
        status: Whether it runs; the page shows only ``running``.
        stage: The step that it is at; the page shows only ``copy``.
        research: How many accounts were looked into.
        copy: For how many of them copy was written.
    """

    status: str | None = None
    stage: str | None = None
    research: PipelineStep | None = None
    copy: PipelineStep | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CampaignDetails(Reply):
    """
    One campaign (docs/v2/get-personalization-campaign, 2026-08-22).

    The page mentions a list of accounts that may be cut short, and a sign that it was, but names neither: what the
    server sends of them is in ``extra``.

    Attributes:
        abm_campaign_id: The campaign's number.
        name: Its name.
        status: How far it has come.
        launched: Whether it is served.
        needs_goal: Whether it lacks a goal, without which it cannot be launched.
        account_count: How many companies it has.
        accounts_with_copy: How many of them have copy that can be used.
        pipeline: How far its build is; None, as far as is known, when none runs.
    """

    abm_campaign_id: int
    name: str | None = None
    status: str | None = None
    launched: bool | None = None
    needs_goal: bool | None = None
    account_count: int | None = None
    accounts_with_copy: int | None = None
    pipeline: CampaignPipeline | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CampaignCreated(Reply):
    """
    The answer to a new campaign (docs/v2/create-personalization-campaign, 2026-08-22).

    Attributes:
        abm_campaign_id: The campaign's number.
        name: Its name, as given or as the server made it up.
        url: Where it is in the dashboard, without the host.
        account_count: How many companies it has.
        page_urls: The pages that it is about.
        building: Whether its build has begun.
        needs_goal: Whether it lacks a goal, without which it cannot be launched.
    """

    abm_campaign_id: int
    name: str | None = None
    url: str | None = None
    account_count: int | None = None
    page_urls: tuple[str, ...] = ()
    building: bool | None = None
    needs_goal: bool | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class LinkedAccount(Model):
    """
    A company of a campaign, with its link (docs/v2/add-personalization-accounts, 2026-08-22).

    Attributes:
        abm_campaign_account_id: Its number within the campaign.
        name: What it is called.
        domain: Its domain.
        notes: What is known about it.
        link: The address to send to it. It never changes; until the copy is written it shows the page as it is.
    """

    abm_campaign_account_id: int | None = None
    name: str | None = None
    domain: str | None = None
    notes: str | None = None
    link: str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AccountsAdded(Reply):
    """
    The answer to new accounts (docs/v2/add-personalization-accounts, 2026-08-22).

    Attributes:
        abm_campaign_id: The campaign's number.
        campaign_name: Its name.
        url: Where it is in the dashboard, without the host.
        launched: Whether it is served.
        links_live: Whether the links personalize anything yet.
        added: The accounts that are new.
        already_on_campaign: Those that were there before; they stay exactly as they were.
        pages: The pages that the campaign is about.
        building: Whether a build began for the new accounts.
        queued_behind_current_build: Whether they wait for the build that runs already.
        needs_goal: Whether the campaign lacks a goal, without which it cannot be launched.
        note: What the server says about all this.
    """

    abm_campaign_id: int | None = None
    campaign_name: str | None = None
    url: str | None = None
    launched: bool | None = None
    links_live: bool | None = None
    added: tuple[LinkedAccount, ...] = ()
    already_on_campaign: tuple[LinkedAccount, ...] = ()
    pages: tuple[str, ...] = ()
    building: bool | None = None
    queued_behind_current_build: bool | None = None
    needs_goal: bool | None = None
    note: str | None = attrs.field(default=None, metadata={WIRE_NAME: "_note"})


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SuggestedPages(Reply):
    """
    Pages that are worth personalizing (docs/v2/personalization-suggested-pages, 2026-08-22).

    The page shows no answer, so all that the server sends is in ``extra``.
    """


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SavedAccounts(Reply):
    """
    Companies that the project addressed before (docs/v2/list-saved-target-accounts, 2026-08-22).

    The page shows no answer, so all that the server sends is in ``extra``.
    """
