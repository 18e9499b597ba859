"""The endpoints of personalization."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast

import attrs

from ..._errors import InvalidRequestError
from ...models.personalization import (
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
from ..arguments import TEXT, TEXTS, Field, Kind, choices, inputs_of, number_in_path, wholes
from ..checks import each, item_of, text
from .base import Repeat, by_name, row

if TYPE_CHECKING:
    from collections.abc import Mapping

_CAMPAIGN_ID: Final = number_in_path("campaign_id", "The campaign's number, which replies call abm_campaign_id.")

_account: Final = item_of(CampaignAccount)
_persona: Final = item_of(CampaignPersona)


def _account_or_name(field: str, value: object) -> object:
    """Return an account as it goes out; a text is the name of one of which nothing else is known."""
    if isinstance(value, str):
        return {"name": text(field, value)}
    account = cast("Mapping[str, object]", _account(field, value))
    text(f"{field}.name", account.get("name"))
    return account


def _labelled(field: str, value: object) -> object:
    persona = cast("Mapping[str, object]", _persona(field, value))
    text(f"{field}.label", persona.get("label"))
    return persona


def _addresses_somebody(arguments: Mapping[str, object]) -> None:
    needed = _NEEDED.get(str(arguments["strategy"]))
    if needed is not None and needed not in arguments:
        message = f"{needed} is missing; the strategy {needed!r} needs it"
        raise InvalidRequestError(message)


_NEEDED: Final = MappingProxyType(
    {CampaignStrategy.ACCOUNTS.value: "accounts", CampaignStrategy.PERSONAS.value: "personas"}
)

_ACCOUNTS: Final = attrs.evolve(
    inputs_of(CampaignAccount, least=1), check=each(_account_or_name, "accounts or their names", least=1)
)
_PERSONAS: Final = attrs.evolve(
    inputs_of(CampaignPersona, least=1), check=each(_labelled, "CampaignPersonas or mappings", least=1)
)
_PAGES: Final = Kind(
    name="texts", check=each(text, "addresses", least=1), schema={"type": "array", "items": TEXT.schema, "minItems": 1}
)

ROWS: Final = by_name(
    row(
        "personalization.list_campaigns",
        "GET P/personalization/campaigns",
        "list-personalization-campaigns",
        "List the 15 campaigns that were changed last.",
        answer=CampaignList,
        rows="campaigns",
        errors=(403,),
    ),
    row(
        "personalization.get_campaign",
        "GET P/personalization/campaigns/{campaign_id}",
        "get-personalization-campaign",
        "Get one campaign, and how far its build is.",
        answer=CampaignDetails,
        errors=(403, 404),
        fields=(_CAMPAIGN_ID,),
    ),
    row(
        "personalization.create_campaign",
        "POST P/personalization/campaigns",
        "create-personalization-campaign",
        "Create a campaign and begin its build, which is paid for; nothing goes live.",
        answer=CampaignCreated,
        repeat=Repeat.UNSAFE,
        errors=(400, 403),
        fields=(
            Field(
                name="strategy",
                kind=choices(CampaignStrategy),
                place="body",
                help="Whom it addresses: accounts or personas.",
                required=True,
            ),
            Field(
                name="page_urls",
                kind=_PAGES,
                place="body",
                help="The pages to personalize, on the project's own verified domains.",
                required=True,
            ),
            Field(name="name", kind=TEXT, place="body", help="Its name; the server makes one up otherwise."),
            Field(
                name="goal_profile_id",
                kind=wholes(1),
                place="body",
                help="The number of the goal that decides whether it worked; needed before it can be launched.",
            ),
            Field(
                name="accounts", kind=_ACCOUNTS, place="body", help="The companies; needed for the strategy accounts."
            ),
            Field(
                name="personas",
                kind=_PERSONAS,
                place="body",
                help="The roles; needed for the strategy personas.",
            ),
            Field(
                name="persona_param",
                kind=choices(PersonaParam),
                place="body",
                help="The parameter of the address that carries the role; utm_campaign otherwise.",
            ),
        ),
        together=_addresses_somebody,
    ),
    # A repetition finds the accounts there already, and leaves them as they are.
    row(
        "personalization.add_accounts",
        "POST P/personalization/campaigns/{campaign_id}/accounts",
        "add-personalization-accounts",
        "Add companies to a campaign; on a launched one this publishes.",
        answer=AccountsAdded,
        errors=(400, 403, 404),
        fields=(
            _CAMPAIGN_ID,
            Field(
                name="accounts",
                kind=_ACCOUNTS,
                place="body",
                help="The companies; a campaign takes 200 at most.",
                required=True,
            ),
        ),
    ),
    row(
        "personalization.suggested_pages",
        "GET P/personalization/suggested-pages",
        "personalization-suggested-pages",
        "Get the pages that are worth personalizing.",
        answer=SuggestedPages,
        errors=(403,),
        fields=(Field(name="account", kind=TEXTS, place="query", help="Companies to rank the pages for."),),
    ),
    row(
        "personalization.list_saved_accounts",
        "GET P/personalization/saved-accounts",
        "list-saved-target-accounts",
        "List companies that the project addressed before.",
        answer=SavedAccounts,
        errors=(403,),
        fields=(
            Field(
                name="search", kind=TEXT, place="query", help="Only those with this in their name, domain or industry."
            ),
        ),
    ),
)
