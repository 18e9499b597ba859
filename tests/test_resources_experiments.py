"""``mida.experiments`` against the emulator."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

import pytest
from resource_calls import PROJECT_KEY, Calls, calling

from mida_async import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    PlanLimitError,
)
from mida_async.models import (
    Condition,
    Configuration,
    Control,
    ExperimentDeleted,
    ExperimentStatus,
    ExperimentUpdated,
    InlineGoal,
    PageRule,
    StatusSet,
    Targeting,
    Variant,
    treatments_of,
)
from mida_async.testing import ResetAfter, Status
from mida_async.testing._emulator.experiments_state import ExperimentStore

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PAGE = "https://example.com/"
SIGNED_UP = InlineGoal(goal_name="Signed up", goal_type="event", goal_value="signup")


async def _create(call: Calls, **fields: Any) -> int:
    created = await call.mida.experiments.create(
        **{"test_name": "Button", "variants": [Variant(nickname="Red")], "url": PAGE, **fields}
    )
    return created.test_id


def _store(call: Calls) -> ExperimentStore:
    return call.emulator.state.projects[PROJECT_KEY].store(ExperimentStore)


def test_an_experiment_lives_through_all_its_states() -> None:
    """A draft goes live, inactive and back to draft, and each call says so."""

    async def test(call: Calls) -> None:
        experiments = call.mida.experiments
        created = await experiments.create(
            test_name="Button", variants=[Variant(nickname="Red")], url=PAGE, primary_goal=SIGNED_UP
        )
        assert (created.status, created.warnings, created.secondary_goals_count) == (ExperimentStatus.DRAFT, (), 0)
        number = created.test_id
        assert await experiments.set_status(number, "live") == StatusSet(
            success=True, test_id=number, status=ExperimentStatus.LIVE
        )
        assert (await experiments.get(number)).status is ExperimentStatus.LIVE
        with pytest.raises(BadRequestError, match="Only an inactive experiment"):
            await experiments.set_status(number, 9)
        assert (await experiments.set_status(number, ExperimentStatus.INACTIVE)).status is ExperimentStatus.INACTIVE
        assert (await experiments.set_status(number, "draft")).status is ExperimentStatus.DRAFT
        (row,) = (await experiments.list()).experiments
        assert (row.test_id, row.test_name, row.url, row.status) == (number, "Button", PAGE, ExperimentStatus.DRAFT)
        with pytest.raises(BadRequestError, match="status must be one of"):
            await experiments.set_status(number, 4)

    calling(test)


def test_details_number_control_from_1() -> None:
    """11.2, 13.4.1: details call Control 1 and previews 0, and configuration and targeting are open."""

    async def test(call: Calls) -> None:
        number = await _create(
            call,
            variants=[Variant(nickname="Red", custom_css="a"), {"customJS": "b"}],
            control=Control(custom_css="c", nickname="Original"),
            configuration=Configuration(traffic_allocation=25),
            targeting=Targeting(device_rule=["mobile"]),
            primary_goal=SIGNED_UP,
        )
        details = await call.mida.experiments.get(number)
        assert [(variant.variant_id, variant.name, variant.customCSS) for variant in details.variants] == [
            (1, "Control", "c"),
            (2, "Variant 1 \N{EM DASH} Red", "a"),
            (3, "Variant 2", ""),
        ]
        assert (details.configuration["traffic_allocation"], details.configuration["bayesian"]) == (25, 1)
        assert details.targeting == {"devices": ["mobile"], "browsers": [], "countries": []}
        goal = details.primary_goal
        assert goal is not None
        assert (goal.goal_name, goal.goal_profile_id) == ("Signed up", details.goal_profile_id)
        previews = await call.mida.experiments.preview_urls(number)
        assert [(variant.variant_id, variant.name) for variant in previews.variants] == [
            (0, "Control"),
            (1, "Variant 1"),
            (2, "Variant 2"),
        ]
        assert previews.variants[1].preview_url == f"{PAGE}?test-preview={number}&test-variant=Variant_1"

    calling(test)


def test_one_experiment_is_made_even_if_the_answer_is_lost() -> None:
    """R9: a creation is repeated with the key that it made up, so that the server makes one experiment."""

    async def test(call: Calls) -> None:
        call.emulator.script(ResetAfter(), Status(502))
        number = await _create(call)
        assert [row.test_id for row in (await call.mida.experiments.list()).experiments] == [number]
        bodies = [request.body for request in call.emulator.requests][:3]
        assert len(bodies) == 3
        assert len(set(bodies)) == 1
        assert re.fullmatch("[0-9a-f]{32}", call.emulator.requests[0].json["idempotency_key"])

    calling(test)


def test_each_creation_has_a_key_of_its_own() -> None:
    """Two calls make two experiments; two with the same given key make one."""

    async def test(call: Calls) -> None:
        assert await _create(call) != await _create(call)
        assert await _create(call, idempotency_key="k") == await _create(call, idempotency_key="k")
        keys = [request.json["idempotency_key"] for request in call.emulator.requests]
        assert len(set(keys)) == 3
        assert keys[2:] == ["k", "k"]

    calling(test)


def test_variants_go_out_with_their_names() -> None:
    """Names and empty changes are filled in at creation and at a change; what was given stays as it was."""

    async def test(call: Calls) -> None:
        given: list[dict[str, object]] = [{"nickname": "Red"}, {"customCSS": "x"}]
        before = copy.deepcopy(given)
        number = await _create(call, variants=given)
        assert [variant["name"] for variant in call.emulator.requests[-1].json["variants"]] == [
            "Variant 1",
            "Variant 2",
        ]
        await call.mida.experiments.update(number, variants=given[1:])
        expected = {"variants": [{"name": "Variant 1", "customCSS": "x", "data": []}]}
        assert call.emulator.requests[-1].json == expected
        assert given == before

    calling(test)


def test_one_variant_is_changed_through_what_was_read() -> None:
    """13.4.3: what was read is made into what is written, and nothing of it is lost."""

    async def test(call: Calls) -> None:
        number = await _create(call, variants=[Variant(nickname="Red", custom_css="a"), Variant(custom_js="b")])
        before = await call.mida.experiments.get(number)
        treatments = treatments_of(before)
        await call.mida.experiments.update(number, variants=treatments)
        assert (await call.mida.experiments.get(number)).variants == before.variants
        await call.mida.experiments.update(number, variants=[*treatments, Variant(nickname="New")])
        assert (await call.mida.experiments.get(number)).variants[3].name == "Variant 3 \N{EM DASH} New"

    calling(test)


def test_an_update_sends_what_is_given_and_nothing_else() -> None:
    """UNSET is not sent, None is null; a configuration that is given replaces the whole one."""

    async def test(call: Calls) -> None:
        number = await _create(call, custom_js="x", configuration={"traffic_allocation": 50, "is_mab": 1})
        updated = await call.mida.experiments.update(number, custom_js=None, control=None, tags=[])
        assert updated == ExperimentUpdated(success=True, test_id=number)
        assert call.emulator.requests[-1].body == b'{"custom_js":null,"control":null,"tags":[]}'
        await call.mida.experiments.update(number, configuration={"traffic_allocation": 80}, test_name="New")
        details = await call.mida.experiments.get(number)
        assert details.test_name == "New"
        assert (details.configuration["traffic_allocation"], details.configuration["is_mab"]) == (80, 0)

    calling(test)


def test_conditions_of_targeting_go_out_as_an_and_of_ors() -> None:
    """11.4: what is written with ``&`` and ``|`` is nested as the field needs it."""

    async def test(call: Calls) -> None:
        google, plan = Condition("utm_source", "==", "google"), Condition("plan", "ex")
        await _create(call, targeting=Targeting(parameter_rule=google & plan))
        first, second = call.emulator.requests[-1].json["targeting"]["parameter_rule"]
        assert (first, second) == (
            [{"criteria": "utm_source", "operator": "==", "value": "google"}],
            [{"criteria": "plan", "operator": "ex"}],
        )

    calling(test)


def test_goals_are_made_reused_or_found_by_their_key() -> None:
    """13.6: a goal of the same name and type keeps its own value; without a goal there is a warning."""

    async def test(call: Calls) -> None:
        create = call.mida.experiments.create
        made = await create(test_name="a", variants=[{}], url=PAGE, primary_goal=SIGNED_UP)
        other = {"goal_name": "Signed up", "goal_type": "event", "goal_value": "something else"}
        reused = await create(test_name="b", variants=[{}], url=PAGE, primary_goal=other)
        by_key = await create(
            test_name="c", variants=[{}], url=PAGE, primary_goal_key="signed_up", secondary_goal_keys=["signed_up"]
        )
        assert made.goal_profile_id == reused.goal_profile_id == by_key.goal_profile_id
        assert by_key.secondary_goals_count == 1
        assert [goal.goal_value for goal in (await call.goals.list()).goals] == ["signup"]
        none = await create(test_name="d", variants=[{}], url=PAGE)
        assert (none.goal_profile_id, len(none.warnings)) == (None, 1)

    calling(test)


def test_the_plan_limits_live_experiments_and_goals() -> None:
    """403 to one more live experiment, or to one more goal, is PlanLimitError."""

    async def test(call: Calls) -> None:
        _store(call).live_limit = 1
        await _create(call, status="live", primary_goal=SIGNED_UP)
        with pytest.raises(PlanLimitError, match="Your plan allows 1 live experiments"):
            await _create(call, status=1)
        draft = await _create(call)
        with pytest.raises(PlanLimitError, match="live experiments"):
            await call.mida.experiments.set_status(draft, "live")
        with pytest.raises(PlanLimitError, match="Your plan allows 1 goals"):
            await _create(call, primary_goal={"goal_name": "b", "goal_type": "event", "goal_value": "b"})

    calling(test, plan_goal_limit=1)


def test_a_deleted_experiment_is_gone() -> None:
    """The answer says whether it was live; afterwards there is nothing to read, change or delete."""

    async def test(call: Calls) -> None:
        experiments = call.mida.experiments
        number = await _create(call, status=ExperimentStatus.LIVE)
        assert await experiments.delete(number) == ExperimentDeleted(
            success=True,
            test_id=number,
            test_name="Button",
            deleted=True,
            was_live=True,
            message="Experiment deleted. It was live and is no longer shown.",
        )
        for attempt in (
            experiments.get(number),
            experiments.delete(number),
            experiments.update(number, test_name="a"),
            experiments.set_status(number, 1),
            experiments.preview_urls(number),
            experiments.share_link(number),
        ):
            with pytest.raises(NotFoundError):
                await attempt
        assert (await experiments.list()).count == 0

    calling(test)


def test_previews_need_a_page_and_an_active_project() -> None:
    """409 without a page is ConflictError, 403 in a paused project ForbiddenError."""

    async def test(call: Calls) -> None:
        number = await _create(call, url=None, page_urls=[PageRule(url=".*", rule="regex")])
        with pytest.raises(ConflictError, match="no page URL"):
            await call.mida.experiments.preview_urls(number)
        call.emulator.state.set_status(PROJECT_KEY, 0)
        with pytest.raises(ForbiddenError, match="inactive") as caught:
            await call.mida.experiments.preview_urls(number)
        assert type(caught.value) is ForbiddenError

    calling(test)


def test_a_share_link_says_whether_it_works() -> None:
    """The link is there before sharing is switched on, and ``is_public`` tells."""

    async def test(call: Calls) -> None:
        number = await _create(call)
        link = await call.mida.experiments.share_link(number)
        assert link.is_public is False
        _store(call).rows[number].is_public = True
        again = await call.mida.experiments.share_link(number)
        assert (again.is_public, again.share_link, again.company_id) == (True, link.share_link, 1001)
        assert f"/share/abResult/{number}/" in (link.share_link or "")

    calling(test)


def test_iter_walks_through_all_pages() -> None:
    """Every experiment comes once, over as many pages as it takes."""

    async def test(call: Calls) -> None:
        numbers = [await _create(call) for _ in range(3)]
        experiments = call.mida.experiments
        page = await experiments.list(limit=1, offset=2)
        assert [row.test_id for row in page.experiments] == numbers[2:]
        assert [row.test_id async for row in experiments.iter(page_size=2)] == numbers
        assert call.sent[-2:] == [f"GET /experiments?limit=2&offset={offset}" for offset in (0, 2)]

    calling(test)


def _with(**fields: object) -> Callable[[Calls], Awaitable[object]]:
    return lambda call: _create(call, **fields)


def _change(**fields: Any) -> Callable[[Calls], Awaitable[object]]:
    return lambda call: call.mida.experiments.update(1, **fields)


_ID = "test_id is .*; it must be a whole number, 1 or greater"

_BAD: list[tuple[str, Callable[[Calls], Awaitable[object]]]] = [
    (_ID, lambda call: call.mida.experiments.get(0)),
    (_ID, lambda call: call.mida.experiments.delete(True)),  # noqa: FBT003
    (_ID, lambda call: call.mida.experiments.set_status("../x", 1)),  # type: ignore[arg-type]
    (_ID, lambda call: call.mida.experiments.preview_urls(1.0)),  # type: ignore[arg-type]
    (_ID, lambda call: call.mida.experiments.share_link(None)),  # type: ignore[arg-type]
    ("limit is 501", lambda call: call.mida.experiments.list(limit=501)),
    ("status is 'paused'; it must be a number, or one of", lambda call: call.mida.experiments.set_status(1, "paused")),
    ("status is None", lambda call: call.mida.experiments.set_status(1, None)),  # type: ignore[arg-type]
    ("url is missing; give the page that is tested, or page_urls", _with(url=None)),
    ("url is 'https://example.com/\\*'; it must be an address without \\*", _with(url=f"{PAGE}*")),
    ("page_urls has 51 items", _with(page_urls=[PAGE] * 51)),
    (r"page_urls\[0\] is '/\*'", _with(page_urls=["/*"])),
    ("test_name is ''", _with(test_name="")),
    ("variants has 0 items", _with(variants=[])),
    (r"variants\[0\] is Control, which is not sent", _with(variants=[{"name": "Control"}, {"name": "Variant 1"}])),
    (r"variants\[0\].name is 'Red'; leave it out", _with(variants=[{"name": "Red"}])),
    ("configuration.traffic_allocation is 101", _with(configuration={"traffic_allocation": 101})),
    ("custom_js is 7", _with(custom_js=7)),
    ("secondary_goal_keys is 'a'", _with(secondary_goal_keys="a")),
    ("idempotency_key is 7", _with(idempotency_key=7)),
    ("half of a surrogate", _with(test_name="\ud800")),
    ("nothing to change: give at least one of test_name, url, variants", _change()),
    ("test_name is None", _change(test_name=None)),
    ("url is None", _change(url=None)),
    ("variants is None", _change(variants=None)),
    ("configuration is None", _change(configuration=None)),
    ("targeting is None", _change(targeting=None)),
    ("tags is None", _change(tags=None)),
    ("url is '\\*'", _change(url="*")),
    (r"variants\[0\] is Control", _change(variants=[{"name": "CONTROL"}])),
    (r"variants\[1\].name is 'Variant 1'", _change(variants=[{}, {"name": "Variant 1"}])),
    ("configuration.confidence_interval is -1", _change(configuration=Configuration(confidence_interval=-1))),
]


@pytest.mark.parametrize(("problem", "bad"), _BAD, ids=range(len(_BAD)))
def test_bad_arguments_are_refused_before_anything_is_sent(
    problem: str, bad: Callable[[Calls], Awaitable[object]]
) -> None:
    """R7, R17: InvalidRequestError names the argument, the value and what is allowed; the server hears nothing."""

    async def test(call: Calls) -> None:
        with pytest.raises(InvalidRequestError, match=problem):
            await bad(call)
        assert call.sent == []

    calling(test)


def test_iter_checks_at_the_call() -> None:
    """A wrong page size is an error where `iter` is called."""

    async def test(call: Calls) -> None:
        with pytest.raises(InvalidRequestError, match="page_size is 0"):
            call.mida.experiments.iter(page_size=0)

    calling(test)
