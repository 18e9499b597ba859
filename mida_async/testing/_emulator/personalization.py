"""
The endpoints of personalization.

A build takes no time here but looks: each time that a campaign is shown, in the list or by itself, its build goes one
step on afterwards, from research to copy to its end. So a program that asks until the build is over comes to an end,
and sees the same in each run. The pages show no answers for suggested pages and saved accounts: these are invented.
"""

from __future__ import annotations

import hashlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

import attrs

from .project import ACTIVE, Project, Rows
from .wire import Refusal, Reply, bad, filled_text, json_object, one_of, success, text_or_none, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .project import Call, Handler

# docs/v2/list-personalization-campaigns and add-personalization-accounts, 2026-08-22
SHOWN: Final = 15
MAX_ACCOUNTS: Final = 200

STRATEGIES: Final = ("accounts", "personas")
PERSONA_PARAMS: Final = ("utm_campaign", "utm_term", "utm_medium", "utm_source", "ref")

_STAGES: Final = ("research", "copy")
_KEEP: Final = 100_000
_LIVE_NOTE: Final = "The links work and the campaign is live: each link personalizes as soon as its copy is written."
_REVIEW_NOTE: Final = "The links are final, but the campaign is not launched: each shows the page as it is."


@attrs.define(kw_only=True)
class AccountRow:
    """One company of a campaign."""

    number: int
    name: str
    domain: str | None
    notes: str | None
    has_copy: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """What the company is known by."""
        return tuple(name.strip().casefold() for name in (self.name, self.domain) if name and name.strip())


@attrs.define(kw_only=True)
class CampaignRow:
    """
    One campaign.

    Attributes:
        build: The accounts that the running build is about.
        stage: The step that it is at; None when no build runs.
        waiting: The accounts that the next build is about.
    """

    number: int
    name: str
    strategy: str
    page_urls: list[str]
    goal_profile_id: int | None
    persona_param: str | None
    personas: list[dict[str, Any]]
    updated_at: float
    launched: bool = False
    accounts: list[AccountRow] = attrs.field(factory=list[AccountRow])
    build: list[AccountRow] = attrs.field(factory=list[AccountRow])
    stage: str | None = None
    waiting: list[AccountRow] = attrs.field(factory=list[AccountRow])

    @property
    def names(self) -> set[str]:
        """What its companies are known by."""
        return {name for account in self.accounts for name in account.names}

    @property
    def url(self) -> str:
        """Where it is in the dashboard."""
        return f"/personalize/abm/{self.number}"

    @property
    def status(self) -> str:
        """How far it has come; only ``launched`` is documented."""
        return "launched" if self.launched else "building" if self.stage else "ready"

    def link(self, account: AccountRow) -> str:
        """Return the address for one account: the first page, with a token that never changes."""
        token = hashlib.sha256(f"{self.number}/{account.number}".encode()).hexdigest()[:20]
        page = self.page_urls[0]
        return f"{page}{'&' if '?' in page else '?'}m={token}"

    def start(self, accounts: list[AccountRow]) -> None:
        """Begin a build, or let the accounts wait for the next one."""
        if self.stage is not None:
            self.waiting += accounts
        else:
            self.build, self.stage = accounts, _STAGES[0]

    def advance(self) -> None:
        """Let the build go one step on."""
        if self.stage == _STAGES[0]:
            self.stage = _STAGES[1]
        elif self.stage is not None:
            for account in self.build:
                account.has_copy = True
            self.build, self.stage = [], None
            if self.waiting:
                waiting, self.waiting = self.waiting, []
                self.start(waiting)

    def finish(self) -> None:
        """Let all builds come to their end."""
        while self.stage is not None:
            self.advance()


@attrs.define(eq=False)
class CampaignStore:
    """
    The campaigns of a project; get it by ``project.store(CampaignStore)``.

    Attributes:
        enabled: Whether the account has personalization; without it every call is answered with 403.
        domains: The project's verified domains; None takes pages of any.
        saved: The companies that were addressed before, by their name, the latest last.
    """

    enabled: bool = True
    domains: frozenset[str] | None = None
    rows: Rows[CampaignRow] = attrs.field(factory=lambda: Rows[CampaignRow](_KEEP))
    saved: dict[str, AccountRow] = attrs.field(factory=dict[str, AccountRow])

    def newest(self) -> list[CampaignRow]:
        """Return the campaigns, the one that was changed last first."""
        return sorted(self.rows.values(), key=lambda row: (row.updated_at, row.number), reverse=True)

    def remember(self, accounts: Iterable[AccountRow]) -> None:
        """Keep accounts for the list of those that were addressed before."""
        for account in accounts:
            self.saved.pop(account.name, None)
            self.saved[account.name] = account


def _opened(project: Project) -> CampaignStore:
    store = project.store(CampaignStore)
    if not store.enabled:
        text = "Personalization is not enabled for this account"
        raise Refusal(403, text)
    return store


def list_campaigns(project: Project, _call: Call) -> Reply:
    """List the campaigns (docs/v2/list-personalization-campaigns)."""
    rows = _opened(project).newest()[:SHOWN]
    campaigns = [
        {
            "abm_campaign_id": row.number,
            "name": row.name,
            "status": row.status,
            "url": row.url,
            **_counts(row),
            "launched": row.launched,
            "building": row.stage is not None,
            "updated_at": timestamp(row.updated_at),
        }
        for row in rows
    ]
    for row in rows:
        row.advance()
    return success(campaigns=campaigns)


def _counts(row: CampaignRow) -> dict[str, int]:
    return {"account_count": len(row.accounts), "accounts_with_copy": sum(account.has_copy for account in row.accounts)}


def get_campaign(project: Project, call: Call) -> Reply:
    """Show one campaign (docs/v2/get-personalization-campaign)."""
    row = _opened(project).rows.named(call.ids["campaign_id"], "Campaign")
    reply = success(
        abm_campaign_id=row.number,
        name=row.name,
        status=row.status,
        launched=row.launched,
        needs_goal=row.goal_profile_id is None,
        **_counts(row),
        pipeline=_pipeline(row),
    )
    row.advance()
    return reply


def _pipeline(row: CampaignRow) -> dict[str, object] | None:
    if row.stage is None:
        return None
    total = len(row.build)
    researched = total if row.stage == _STAGES[1] else 0
    return {
        "status": "running",
        "stage": row.stage,
        "research": {"total": total, "done": researched, "failed": 0},
        "copy": {"total": total, "done": 0, "failed": 0},
    }


def create_campaign(project: Project, call: Call) -> Reply:
    """Make a campaign and begin its build (docs/v2/create-personalization-campaign)."""
    store = _opened(project)
    body = json_object(call.body)
    strategy: str = one_of(body, "strategy", STRATEGIES)
    by_account = strategy == "accounts"
    pages = _pages(body, store.domains)
    goal = _goal(project, body)
    name = None if body.get("name") is None else filled_text(body, "name")
    accounts = [_account(project, item) for item in _items(body, "accounts")] if by_account else []
    row = CampaignRow(
        number=project.next_id(),
        name=f"Campaign of {timestamp(call.today)[:10]}" if name is None else name,
        strategy=strategy,
        page_urls=pages,
        goal_profile_id=goal,
        persona_param=None if by_account else _persona_param(body),
        personas=[] if by_account else [_persona(item) for item in _items(body, "personas")],
        updated_at=call.today,
    )
    added, _ = _sort(row, accounts)
    _add(store, row, added)
    row.start(added)
    store.rows.add(row.number, row)
    return success(
        abm_campaign_id=row.number,
        name=row.name,
        url=row.url,
        account_count=len(row.accounts),
        page_urls=row.page_urls,
        building=True,
        needs_goal=row.goal_profile_id is None,
    )


def _pages(body: Mapping[str, Any], domains: frozenset[str] | None) -> list[str]:
    pages = cast("object", body.get("page_urls"))
    if not isinstance(pages, list) or not pages:
        text = "page_urls must be an array with at least one address"
        raise bad(text)
    for page in cast("list[object]", pages):
        host = _host(page)
        if host is None:
            text = f"Page refused: {str(page)[:200]} is no http or https address"
            raise bad(text)
        if domains is not None and host not in domains:
            text = f"Page refused: {str(page)[:200]} is not on a verified domain of this project"
            raise bad(text)
    return cast("list[str]", pages)


def _host(page: object) -> str | None:
    if not isinstance(page, str):
        return None
    try:
        parts = urlsplit(page)
    except ValueError:
        return None
    return parts.hostname if parts.scheme in {"http", "https"} else None


def _goal(project: Project, body: Mapping[str, Any]) -> int | None:
    number = cast("object", body.get("goal_profile_id"))
    if number is None:
        return None
    goal = project.goals.get(number) if isinstance(number, int) and not isinstance(number, bool) else None
    if goal is None or goal.status != ACTIVE:
        text = "goal_profile_id must be the number of a goal of this project"
        raise bad(text)
    return goal.goal_profile_id


def _persona_param(body: Mapping[str, Any]) -> str:
    return "utm_campaign" if body.get("persona_param") is None else one_of(body, "persona_param", PERSONA_PARAMS)


def _items(body: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    items = cast("object", body.get(name))
    found = cast("list[object]", items) if isinstance(items, list) else []
    if not found or not all(isinstance(item, dict) for item in found):
        text = f"{name} must be an array with at least one object"
        raise bad(text)
    return cast("list[dict[str, Any]]", found)


def _account(project: Project, item: Mapping[str, Any]) -> AccountRow:
    name, domain, notes = filled_text(item, "name"), text_or_none(item, "domain"), text_or_none(item, "notes")
    return AccountRow(number=project.next_id(), name=name, domain=domain, notes=notes)


def _persona(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"label": filled_text(item, "label"), "description": text_or_none(item, "description")}


def _sort(row: CampaignRow, accounts: Iterable[AccountRow]) -> tuple[list[AccountRow], list[AccountRow]]:
    """Return those that the campaign does not have yet, each once, and those that it has."""
    index = {name: account for account in row.accounts for name in account.names}
    present = {account.number for account in row.accounts}
    added: list[AccountRow] = []
    known: dict[int, AccountRow] = {}
    for account in accounts:
        found = next((index[name] for name in account.names if name in index), None)
        if found is None:
            added.append(account)
            index |= dict.fromkeys(account.names, account)
        elif found.number in present:
            known[found.number] = found
    return added, list(known.values())


def _add(store: CampaignStore, row: CampaignRow, accounts: list[AccountRow]) -> None:
    if len(row.accounts) + len(accounts) > MAX_ACCOUNTS:
        text = f"A campaign takes at most {MAX_ACCOUNTS} accounts"
        raise bad(text)
    row.accounts += accounts
    store.remember(accounts)


def add_accounts(project: Project, call: Call) -> Reply:
    """Add accounts to a campaign; those that it has stay as they are (docs/v2/add-personalization-accounts)."""
    store = _opened(project)
    row = store.rows.named(call.ids["campaign_id"], "Campaign")
    accounts = [_account(project, item) for item in _items(json_object(call.body), "accounts")]
    if row.strategy == "personas":
        text = "A campaign of personas has no accounts"
        raise bad(text)
    added, known = _sort(row, accounts)
    _add(store, row, added)
    queued = bool(added) and row.stage is not None
    if added:
        row.start(added)
        row.updated_at = call.today
    return success(
        abm_campaign_id=row.number,
        campaign_name=row.name,
        url=row.url,
        launched=row.launched,
        links_live=row.launched,
        added=[_linked(row, account) for account in added],
        already_on_campaign=[_linked(row, account) for account in known],
        pages=row.page_urls,
        building=bool(added) and not queued,
        **({"queued_behind_current_build": True} if queued else {}),
        needs_goal=row.goal_profile_id is None,
        _note=_LIVE_NOTE if row.launched else _REVIEW_NOTE,
    )


def _linked(row: CampaignRow, account: AccountRow) -> dict[str, object]:
    return {
        "abm_campaign_account_id": account.number,
        "name": account.name,
        "domain": account.domain,
        "notes": account.notes,
        "link": row.link(account),
    }


def suggested_pages(project: Project, call: Call) -> Reply:
    """Suggest pages of campaigns, first those about one of the accounts (docs/v2/personalization-suggested-pages)."""
    wanted = {name.strip().casefold() for name in call.query_lists.get("account", ())}
    rows = sorted(_opened(project).newest(), key=lambda row: wanted.isdisjoint(row.names))
    pages = dict.fromkeys(page for row in rows for page in row.page_urls)
    return success(pages=[{"url": page, "reason": "A campaign is about it already"} for page in pages])


def list_saved_accounts(project: Project, call: Call) -> Reply:
    """List the companies that were addressed before, the latest first (docs/v2/list-saved-target-accounts)."""
    wanted = call.query.get("search", "").casefold()
    saved = reversed(_opened(project).saved.values())
    found = [account for account in saved if any(wanted in name for name in account.names)]
    return success(accounts=[{"name": account.name, "domain": account.domain} for account in found])


HANDLERS: Final[Mapping[str, Handler]] = MappingProxyType(
    {
        "personalization.list_campaigns": list_campaigns,
        "personalization.get_campaign": get_campaign,
        "personalization.create_campaign": create_campaign,
        "personalization.add_accounts": add_accounts,
        "personalization.suggested_pages": suggested_pages,
        "personalization.list_saved_accounts": list_saved_accounts,
    }
)
