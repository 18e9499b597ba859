"""``mida.personalization``: pages that address one account or persona."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from .._core.endpoints.personalization import ROWS
from ..models.personalization import (
    AccountsAdded,
    CampaignAccount,
    CampaignCreated,
    CampaignDetails,
    CampaignList,
    CampaignPersona,
    CampaignStrategy,
    PersonaParam,
    SavedAccounts,
    SuggestedPages,
)
from .base import Section

Account: TypeAlias = CampaignAccount | Mapping[str, Any] | str
"""A company: all that is known of it, or its name."""

Persona: TypeAlias = CampaignPersona | Mapping[str, Any]


class Personalization(Section):
    """
    The personalization campaigns of a project.

    Every method raises :class:`ForbiddenError` where the account has no personalization.
    """

    async def list_campaigns(self) -> CampaignList:
        """
        Get the 15 campaigns that were changed last (docs/v2/list-personalization-campaigns, 2026-08-22).

        The API has no way to get more.
        """
        return await self._call(ROWS["personalization.list_campaigns"], CampaignList)

    async def get_campaign(self, campaign_id: int) -> CampaignDetails:
        """
        Get one campaign, and how far its build is (docs/v2/get-personalization-campaign, 2026-08-22).

        Args:
            campaign_id: Its number, which replies call ``abm_campaign_id``.

        Raises:
            NotFoundError: There is no such campaign in this project.
        """
        return await self._call(ROWS["personalization.get_campaign"], CampaignDetails, campaign_id=campaign_id)

    async def create_campaign(
        self,
        *,
        strategy: CampaignStrategy | str,
        page_urls: Sequence[str],
        name: str | None = None,
        goal_profile_id: int | None = None,
        accounts: Sequence[Account] | None = None,
        personas: Sequence[Persona] | None = None,
        persona_param: PersonaParam | str | None = None,
    ) -> CampaignCreated:
        """
        Create a campaign and begin its build (docs/v2/create-personalization-campaign, 2026-08-22).

        The build is paid for and takes minutes; :meth:`get_campaign` tells how far it is. Nothing goes live before
        somebody launches the campaign in the dashboard. This is not sent again when it is unknown what became of it:
        look at :meth:`list_campaigns` then.

        Args:
            strategy: Whom it addresses.
            page_urls: The pages to personalize, on the project's own verified domains.
            name: Its name; the server makes one up otherwise.
            goal_profile_id: The number of the goal that decides whether it worked. It cannot be launched without one.
            accounts: The companies, as inputs, mappings or names; needed for the strategy ``accounts``.
            personas: The roles; needed for the strategy ``personas``.
            persona_param: The parameter of the address that carries the role; the server's default is
                ``utm_campaign``.

        Raises:
            BadRequestError: The server found a value wrong, or refuses a page.
        """
        return await self._call(
            ROWS["personalization.create_campaign"],
            CampaignCreated,
            strategy=strategy,
            page_urls=page_urls,
            name=name,
            goal_profile_id=goal_profile_id,
            accounts=accounts,
            personas=personas,
            persona_param=persona_param,
        )

    async def add_accounts(self, campaign_id: int, accounts: Sequence[Account]) -> AccountsAdded:
        """
        Add companies to a campaign and get their links (docs/v2/add-personalization-accounts, 2026-08-22).

        On a launched campaign this publishes: each page goes live as soon as its copy is written. It is safe to call
        this again: accounts that are there already stay as they are and come back in ``already_on_campaign``.

        Args:
            campaign_id: The campaign's number, which replies call ``abm_campaign_id``.
            accounts: The companies, as inputs, mappings or names.

        Raises:
            NotFoundError: There is no such campaign in this project.
            BadRequestError: The campaign would have more than 200 accounts, or addresses personas.
        """
        return await self._call(
            ROWS["personalization.add_accounts"], AccountsAdded, campaign_id=campaign_id, accounts=accounts
        )

    async def suggested_pages(self, accounts: Sequence[str] | None = None) -> SuggestedPages:
        """
        Get the pages that are worth personalizing (docs/v2/personalization-suggested-pages, 2026-08-22).

        The page shows no answer: what comes is in ``extra``, as the server sent it.

        Args:
            accounts: The names of companies to rank the pages for.
        """
        return await self._call(ROWS["personalization.suggested_pages"], SuggestedPages, account=accounts)

    async def list_saved_accounts(self, *, search: str | None = None) -> SavedAccounts:
        """
        Get the companies that the project addressed before (docs/v2/list-saved-target-accounts, 2026-08-22).

        The page shows no answer: what comes is in ``extra``, as the server sent it.

        Args:
            search: Only those with this in their name, domain or industry.
        """
        return await self._call(ROWS["personalization.list_saved_accounts"], SavedAccounts, search=search)
