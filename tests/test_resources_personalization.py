"""``mida.personalization`` against the emulator, and what the emulator decides where the pages are silent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from emulator_caller import Caller
from resource_calls import PROJECT_KEY, Calls, calling

from mida_async import BadRequestError, ForbiddenError, InvalidRequestError, MidaError, NotFoundError
from mida_async.models import CampaignAccount, CampaignCreated, CampaignPersona, CampaignStrategy
from mida_async.testing import Emulator, ResetAfter
from mida_async.testing._emulator.personalization import CampaignStore

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PAGES = ["https://yoursite.com/", "https://yoursite.com/pricing"]


def store_of(emulator: Emulator) -> CampaignStore:
    """Return what the emulator's first project holds of campaigns."""
    return emulator.state.projects[emulator.project_key].store(CampaignStore)


async def _create(call: Calls, *accounts: str, **fields: Any) -> CampaignCreated:
    given = {"strategy": "accounts", "page_urls": PAGES, "accounts": accounts or ("Notion",), **fields}
    return await call.mida.personalization.create_campaign(**given)


def test_a_campaign_lives_through_all_calls() -> None:
    """Create, list, get, add and the two suggestions speak of the same campaign, while its build goes on."""

    async def test(call: Calls) -> None:
        section = call.mida.personalization
        goal = (await call.goals.create(goal_name="a", goal_type="event", goal_value="b")).goal_profile_id
        created = await _create(call, name="Q3", goal_profile_id=goal)
        number = created.abm_campaign_id
        assert (created.name, created.url, created.account_count) == ("Q3", f"/personalize/abm/{number}", 1)
        assert (created.page_urls, created.building, created.needs_goal) == (tuple(PAGES), True, False)

        (row,) = (await section.list_campaigns()).campaigns
        assert (row.abm_campaign_id, row.name, row.url) == (number, "Q3", created.url)
        assert (row.building, row.launched, row.account_count, row.accounts_with_copy) == (True, False, 1, 0)
        details = await section.get_campaign(number)
        assert details.pipeline is not None
        assert details.pipeline.stage == "copy"
        details = await section.get_campaign(number)
        assert (details.pipeline, details.accounts_with_copy, details.needs_goal) == (None, 1, False)

        store_of(call.emulator).rows[number].launched = True
        added = await section.add_accounts(number, [CampaignAccount(name="Klaviyo", domain="klaviyo.com"), "Notion"])
        (klaviyo,), (notion,) = added.added, added.already_on_campaign
        assert (klaviyo.name, klaviyo.domain, klaviyo.notes) == ("Klaviyo", "klaviyo.com", None)
        assert notion.name == "Notion"
        assert klaviyo.link is not None
        assert klaviyo.link.startswith("https://yoursite.com/?m=")
        assert klaviyo.link != notion.link
        assert (added.campaign_name, added.pages, added.needs_goal) == ("Q3", tuple(PAGES), False)
        assert (added.launched, added.links_live, added.building) == (True, True, True)
        assert added.queued_behind_current_build is None
        assert added.note is not None
        assert "live" in added.note

        suggested: Any = (await section.suggested_pages(["Notion"])).extra["pages"]
        assert [page["url"] for page in suggested] == PAGES
        saved: Any = (await section.list_saved_accounts()).extra["accounts"]
        assert [account["name"] for account in saved] == ["Klaviyo", "Notion"]
        found = await section.list_saved_accounts(search="VIYO.com")
        assert found.extra["accounts"] == [{"name": "Klaviyo", "domain": "klaviyo.com"}]

    calling(test)


def test_a_campaign_of_personas_has_no_accounts() -> None:
    """Personas go out as inputs or mappings; such a campaign takes no accounts afterwards."""

    async def test(call: Calls) -> None:
        created = await call.mida.personalization.create_campaign(
            strategy=CampaignStrategy.PERSONAS, page_urls=PAGES, personas=[CampaignPersona(label="cto")]
        )
        assert (created.account_count, created.needs_goal) == (0, True)
        assert store_of(call.emulator).rows[created.abm_campaign_id].persona_param == "utm_campaign"
        with pytest.raises(BadRequestError, match="personas"):
            await call.mida.personalization.add_accounts(created.abm_campaign_id, ["Notion"])

    calling(test)


def test_a_campaign_takes_two_hundred_accounts() -> None:
    """The 201st is a 400 of the server, at creation and later; nothing of that request is added."""

    async def test(call: Calls) -> None:
        names = [f"Company {number}" for number in range(201)]
        with pytest.raises(BadRequestError, match="at most 200 accounts"):
            await _create(call, *names)
        number = (await _create(call, *names[:199])).abm_campaign_id
        with pytest.raises(BadRequestError, match="at most 200 accounts"):
            await call.mida.personalization.add_accounts(number, names[199:])
        assert len((await call.mida.personalization.add_accounts(number, names[:200])).added) == 1
        assert (await call.mida.personalization.get_campaign(number)).account_count == 200

    calling(test)


def test_an_account_without_the_feature_is_refused() -> None:
    """403 is ForbiddenError for every call."""

    async def test(call: Calls) -> None:
        store_of(call.emulator).enabled = False
        section = call.mida.personalization
        calls: list[Callable[[], Awaitable[object]]] = [
            section.list_campaigns,
            lambda: section.get_campaign(1),
            lambda: _create(call),
            lambda: section.add_accounts(1, ["Notion"]),
            section.suggested_pages,
            section.list_saved_accounts,
        ]
        for refused in calls:
            with pytest.raises(ForbiddenError, match="not enabled") as caught:
                await refused()
            assert type(caught.value) is ForbiddenError

    calling(test)


def test_a_campaign_is_not_created_twice() -> None:
    """R9: a build is paid for, so a campaign whose fate is unknown is an error that says so, and sent once."""

    async def test(call: Calls) -> None:
        call.emulator.script(ResetAfter())
        with pytest.raises(MidaError) as caught:
            await _create(call)
        assert caught.value.maybe_applied
        assert len((await call.mida.personalization.list_campaigns()).campaigns) == 1

    calling(test)


def test_adding_accounts_is_repeated() -> None:
    """R9: accounts whose fate is unknown are sent again; the server finds them there already."""

    async def test(call: Calls) -> None:
        number = (await _create(call)).abm_campaign_id
        call.emulator.script(ResetAfter())
        added = await call.mida.personalization.add_accounts(number, ["Stripe"])
        assert (added.added, [account.name for account in added.already_on_campaign]) == ((), ["Stripe"])
        assert (await call.mida.personalization.get_campaign(number)).account_count == 2

    calling(test)


def test_an_unknown_campaign_is_not_found() -> None:
    """404 is NotFoundError."""

    async def test(call: Calls) -> None:
        with pytest.raises(NotFoundError, match="Campaign not found"):
            await call.mida.personalization.get_campaign(7)
        with pytest.raises(NotFoundError):
            await call.mida.personalization.add_accounts(7, ["Notion"])

    calling(test)


def test_an_unknown_strategy_is_left_to_the_server() -> None:
    """A strategy that this package does not know goes out as it is."""

    async def test(call: Calls) -> None:
        with pytest.raises(BadRequestError, match="strategy must be one of"):
            await _create(call, strategy="segments")

    calling(test)


_BAD: list[tuple[str, Callable[[Calls], Awaitable[object]]]] = [
    ("accounts is missing; the strategy 'accounts' needs it", lambda call: _create(call, accounts=None)),
    ("personas is missing; the strategy 'personas' needs it", lambda call: _create(call, strategy="personas")),
    ("strategy is None", lambda call: _create(call, strategy=None)),
    ("page_urls is 'https", lambda call: _create(call, page_urls="https://yoursite.com/")),
    ("page_urls has 0 items", lambda call: _create(call, page_urls=[])),
    (r"page_urls\[0\] is 7", lambda call: _create(call, page_urls=[7])),
    ("name is ' '", lambda call: _create(call, name=" ")),
    ("goal_profile_id is 0", lambda call: _create(call, goal_profile_id=0)),
    ("accounts has 0 items", lambda call: _create(call, accounts=[])),
    (
        r"personas\[0\] is 'cto'; it must be of the class CampaignPersona, or a mapping",
        lambda call: _create(call, personas=["cto"]),
    ),
    ("campaign_id is '1'", lambda call: call.mida.personalization.get_campaign("1")),  # type: ignore[arg-type]
    ("campaign_id is -1", lambda call: call.mida.personalization.add_accounts(-1, ["Notion"])),
    ("accounts is 'Notion'", lambda call: call.mida.personalization.add_accounts(1, "Notion")),
    (r"accounts\[1\] is ''", lambda call: call.mida.personalization.add_accounts(1, ["Notion", ""])),
    (r"accounts\[0\] is 7", lambda call: call.mida.personalization.add_accounts(1, [7])),  # type: ignore[list-item]
    ("account is 'Notion'", lambda call: call.mida.personalization.suggested_pages("Notion")),
    ("search is ''", lambda call: call.mida.personalization.list_saved_accounts(search="")),
]


@pytest.mark.parametrize(("problem", "bad"), _BAD, ids=range(len(_BAD)))
def test_bad_arguments_are_refused_before_anything_is_sent(
    problem: str, bad: Callable[[Calls], Awaitable[object]]
) -> None:
    """R17: InvalidRequestError names the argument, and the server hears nothing."""

    async def test(call: Calls) -> None:
        with pytest.raises(InvalidRequestError, match=problem):
            await bad(call)
        assert call.sent == []

    calling(test)


@pytest.fixture(name="call")
def _call() -> Caller:
    return Caller()


def campaign(call: Caller, **fields: object) -> int:
    """Make a campaign without the client, and return its number."""
    given = {"strategy": "accounts", "page_urls": PAGES, "accounts": [{"name": "Notion"}], **fields}
    number: int = call.done("POST personalization/campaigns", **given)["abm_campaign_id"]
    return number


def test_a_build_goes_on_as_it_is_looked_at(call: Caller) -> None:
    """The replies have the documented keys; each look shows the next stage, and then none."""
    number = campaign(call)
    row = call.done("GET personalization/campaigns")["campaigns"][0]
    assert row == {
        "abm_campaign_id": number,
        "name": "Campaign of 2024-01-15",
        "status": "building",
        "url": f"/personalize/abm/{number}",
        "account_count": 1,
        "accounts_with_copy": 0,
        "launched": False,
        "building": True,
        "updated_at": "2024-01-15T10:30:00.000Z",
    }
    details = call.done(f"GET personalization/campaigns/{number}")
    assert details == {
        "abm_campaign_id": number,
        "name": "Campaign of 2024-01-15",
        "status": "building",
        "launched": False,
        "needs_goal": True,
        "account_count": 1,
        "accounts_with_copy": 0,
        "pipeline": {
            "status": "running",
            "stage": "copy",
            "research": {"total": 1, "done": 1, "failed": 0},
            "copy": {"total": 1, "done": 0, "failed": 0},
        },
    }
    details = call.done(f"GET personalization/campaigns/{number}")
    assert (details["status"], details["pipeline"], details["accounts_with_copy"]) == ("ready", None, 1)
    assert call.done("GET personalization/campaigns")["campaigns"][0]["building"] is False


def test_accounts_that_come_during_a_build_wait_for_the_next(call: Caller) -> None:
    """They are queued, which the reply says; their build begins when the running one is over."""
    number = campaign(call)
    path = f"personalization/campaigns/{number}"
    queued = call.done(f"POST {path}/accounts", accounts=[{"name": "A"}, {"name": "a "}, {"name": "B"}])
    assert (queued["building"], queued["queued_behind_current_build"]) == (False, True)
    assert [account["name"] for account in queued["added"]] == ["A", "B"]
    stages = [call.done(f"GET {path}")["pipeline"] for _ in range(5)]
    seen = [stage and (stage["stage"], stage["research"]["total"]) for stage in stages]
    assert seen == [("research", 1), ("copy", 1), ("research", 2), ("copy", 2), None]
    again = call.done(f"POST {path}/accounts", accounts=[{"name": "A", "domain": ""}])
    assert (again["added"], again["building"], "queued_behind_current_build" in again) == ([], False, False)
    assert call.done(f"GET {path}")["accounts_with_copy"] == 3


def test_an_account_is_known_by_name_or_domain(call: Caller) -> None:
    """Upper and lower case are the same; the account that is there stays as it is."""
    number = campaign(call, page_urls=["https://a.example/?x=1"], accounts=[{"name": "Notion", "domain": "notion.so"}])
    path = f"POST personalization/campaigns/{number}/accounts"
    same = call.done(path, accounts=[{"name": "Notion Labs", "domain": "NOTION.so", "notes": "n"}, {"name": "notion"}])
    (known,) = same["already_on_campaign"]
    assert (same["added"], known["name"], known["notes"]) == ([], "Notion", None)
    assert known["link"].startswith("https://a.example/?x=1&m=")


def test_the_list_shows_fifteen_campaigns(call: Caller) -> None:
    """Those that were changed last come first; the sixteenth is not shown."""
    numbers = []
    for second in range(16):
        call.today += second
        numbers.append(campaign(call))
    call.today += 1
    call.done(f"POST personalization/campaigns/{numbers[0]}/accounts", accounts=[{"name": "New"}])
    shown = [row["abm_campaign_id"] for row in call.done("GET personalization/campaigns")["campaigns"]]
    assert shown == [numbers[0], *reversed(numbers[2:])]


def test_a_build_can_be_ended(call: Caller) -> None:
    """The store ends a build with all that waits for the next."""
    number = campaign(call)
    call.done(f"POST personalization/campaigns/{number}/accounts", accounts=[{"name": "A"}])
    row = store_of(call.emulator).rows[number]
    row.finish()
    assert (row.stage, row.waiting, [account.has_copy for account in row.accounts]) == (None, [], [True, True])


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"strategy": None}, "strategy must be one of accounts, personas"),
        ({"strategy": []}, "strategy must be one of"),
        ({"page_urls": None}, "page_urls must be an array"),
        ({"page_urls": []}, "page_urls must be an array"),
        ({"page_urls": [7]}, "Page refused: 7 is no http or https address"),
        ({"page_urls": ["/pricing"]}, "Page refused: /pricing is no"),
        ({"page_urls": ["https://[::1"]}, "Page refused: https://[::1 is no"),
        (
            {"page_urls": ["https://elsewhere.example/"]},
            "Page refused: https://elsewhere.example/ is not on a verified",
        ),
        ({"goal_profile_id": 99}, "goal_profile_id must be the number of a goal"),
        ({"goal_profile_id": True}, "goal_profile_id must be"),
        ({"goal_profile_id": "1"}, "goal_profile_id must be"),
        ({"name": ""}, "name must be a non-empty string"),
        ({"accounts": None}, "accounts must be an array with at least one object"),
        ({"accounts": []}, "accounts must be"),
        ({"accounts": ["Notion"]}, "accounts must be"),
        ({"accounts": [{}]}, "name is required"),
        ({"accounts": [{"name": "a", "domain": 1}]}, "domain must be a string"),
        ({"accounts": [{"name": "a", "notes": 1}]}, "notes must be a string"),
        ({"strategy": "personas"}, "personas must be an array"),
        ({"strategy": "personas", "personas": [{}]}, "label is required"),
        ({"strategy": "personas", "personas": [{"label": "a"}], "persona_param": "x"}, "persona_param must be one of"),
    ],
)
def test_a_wrong_campaign_is_a_400_that_names_the_field(call: Caller, fields: dict[str, Any], text: str) -> None:
    """Each field that is missing or wrong is named, and no campaign is made."""
    store_of(call.emulator).domains = frozenset({"yoursite.com"})
    given = {"strategy": "accounts", "page_urls": PAGES, "accounts": [{"name": "Notion"}], **fields}
    status, error = call.refused("POST personalization/campaigns", **given)
    assert (status, error[: len(text)]) == (400, text)
    assert call.done("GET personalization/campaigns")["campaigns"] == []
    assert call.done("GET personalization/saved-accounts")["accounts"] == []


def test_a_deleted_goal_is_none(call: Caller) -> None:
    """A goal that was deleted can decide nothing; one that is there can."""
    goal = call.done("POST goal", goal_name="a", goal_type="event", goal_value="b")["goal_profile_id"]
    assert campaign(call, goal_profile_id=goal) > 0
    call.done(f"DELETE goal/{goal}")
    given = {"strategy": "accounts", "page_urls": PAGES, "accounts": [{"name": "a"}], "goal_profile_id": goal}
    assert call.refused("POST personalization/campaigns", **given)[0] == 400


def test_projects_do_not_see_each_others_campaigns() -> None:
    """A campaign of one project is not found in another."""
    emulator = Emulator(project_key=PROJECT_KEY, api_key="key")
    emulator.add_project("other", "key")
    call = Caller(emulator)
    number = campaign(call)
    call.project = "other"
    assert call.refused(f"GET personalization/campaigns/{number}") == (404, "Campaign not found")
