"""The emulator's endpoints of experiments, as documented."""

from __future__ import annotations

import json
from typing import Any

import pytest
from emulator_caller import Caller
from hypothesis import given
from hypothesis import strategies as st

from mida_async.testing import Emulator
from mida_async.testing._emulator.experiment_fields import DEFAULTS
from mida_async.testing._emulator.experiments import REMEMBERED_FOR, IdempotencyKeys
from mida_async.testing._emulator.experiments_state import Assignment, ExperimentRow, ExperimentStore
from mida_async.testing._emulator.wire import success

PAGE = "https://example.com/"
VARIANT: dict[str, Any] = {"name": "Variant 1", "data": []}
GOAL = {"goal_name": "Signed up", "goal_type": "event", "goal_value": "signup"}
GOOD: dict[str, Any] = {"test_name": "Button", "url": PAGE, "variants": [VARIANT]}


@pytest.fixture(name="call")
def _call() -> Caller:
    return Caller()


def make(call: Caller, **fields: object) -> int:
    """Make an experiment."""
    number: int = call.done("POST create-experiment", **{**GOOD, **fields})["test_id"]
    return number


def store_of(call: Caller) -> ExperimentStore:
    """Return the experiments of the project."""
    return call.emulator.state.projects[call.project].store(ExperimentStore)


def row_of(call: Caller, number: int) -> ExperimentRow:
    """Return one experiment."""
    return store_of(call).rows[number]


def details_of(call: Caller, number: int) -> dict[str, Any]:
    """Return what is read of an experiment."""
    found: dict[str, Any] = call.done(f"GET experiment/{number}")["experiment"]
    return found


def test_an_experiment_is_created_listed_and_shown(call: Caller) -> None:
    """The documented request gets the documented answer; list and details have their documented keys."""
    answer = call.done("POST create-experiment", **GOOD, primary_goal=GOAL)

    number, goal = answer["test_id"], answer["goal_profile_id"]
    assert answer == {
        "status": 9,
        "test_id": number,
        "company_id": 1001,
        "goal_profile_id": goal,
        "secondary_goals_count": 0,
        "warnings": [],
    }
    brief = {
        "test_id": number,
        "test_name": "Button",
        "url": PAGE,
        "status": 9,
        "created_at": "2024-01-15T10:30:00.000Z",
        "updated_at": "2024-01-15T10:30:00.000Z",
        "serving_variant_id": None,
        "is_deploy": 0,
    }
    listed = call.done("GET experiments")
    assert listed == {"company_id": 1001, "count": 1, "experiments": [{**brief, "is_completed": 0}]}
    plain = {"customCSS": "", "customJS": "", "data": []}
    assert details_of(call, number) == {
        **brief,
        "goal_profile_id": goal,
        "variants": [
            {"variant_id": 1, "name": "Control", **plain},
            {"variant_id": 2, "name": "Variant 1", **plain},
        ],
        "configuration": {**DEFAULTS, "integration": []},
        "targeting": {"devices": [], "browsers": [], "countries": []},
        "primary_goal": {"goal_profile_id": goal, **GOAL},
    }


def test_everything_that_may_be_written_is_taken(call: Caller) -> None:
    """Each documented field is accepted; null is the same as leaving it out."""
    number = make(
        call,
        status=0,
        test_type="mvt",
        page_urls=[PAGE, {"url": "/shop", "rule": "contain", "allowed": False}, {"url": ".*", "rule": "regex"}],
        variants=[{**VARIANT, "nickname": "Red", "customCSS": "a", "customJS": "b", "layer": "x", "targeting": {}}],
        configuration={
            "traffic_allocation": 12.5,
            "is_mab": True,
            "bayesian": 0,
            "distribution": {"Control": 1},
            "completion_visitor": 10,
            "integration": ["ga4"],
            "start_test_date": None,
        },
        targeting={
            "device_rule": ["mobile"],
            "browser_rule": ["chrome"],
            "user_rule": None,
            "ga4_rule": [1],
            "allowed_country": [
                {"name": "Japan", "code": "JP"},
                {"name": "United States", "code": "US", "rule": "blacklist"},
                {"name": "Nowhere"},
            ],
            "parameter_rule": [[{"criteria": "a", "operator": "ex"}]],
            "event_rule": [
                {"name": "x", "attributes": [[{"key": "a", "operand": "=", "value": 1}]]},
                {"name": "y", "attributes": None},
            ],
        },
        control={"nickname": "Original"},
        control_attr='{"name":"Control","js":"c","css":"d"}',
        custom_js="e",
        custom_css=None,
        primary_goal=None,
        secondary_goals=[GOAL],
        idempotency_key=None,
    )

    shown = details_of(call, number)
    assert shown["status"] == 0
    assert [shown["configuration"][name] for name in ("traffic_allocation", "is_mab", "bayesian")] == [12.5, 1, 0]
    assert shown["targeting"] == {"devices": ["mobile"], "browsers": ["chrome"], "countries": ["JP"]}
    control, red = shown["variants"]
    assert (control["customCSS"], control["customJS"]) == ("d", "c")
    assert (red["name"], red["customCSS"]) == ("Variant 1 \N{EM DASH} Red", "a")
    row = row_of(call, number)
    assert (row.custom_js, row.custom_css, row.test_type, len(row.secondary_goals)) == ("e", None, "mvt", 1)


_CONDITION = {"criteria": "a", "operator": "=="}
_BAD: list[tuple[dict[str, Any], str]] = [
    ({"test_name": None}, "test_name is required"),
    ({"test_name": 7}, "test_name must be a non-empty string"),
    ({"url": None}, "url is required unless page_urls is given"),
    ({"url": f"{PAGE}*"}, "url must be one page; wildcards are not allowed"),
    ({"variants": None}, "variants is required"),
    ({"variants": {}}, "variants must be an array of objects"),
    ({"variants": []}, "variants must have at least one entry"),
    ({"variants": [VARIANT, "x"]}, "variants must be an array of objects"),
    ({"variants": [{**VARIANT, "name": "Control"}]}, "variants[0].name must be exactly Variant 1; Control is not sent"),
    ({"variants": [VARIANT, VARIANT]}, "variants[1].name must be exactly Variant 2"),
    ({"variants": [{"name": "Variant 1"}]}, "data must be an array of objects"),
    ({"variants": [{**VARIANT, "data": [1]}]}, "data must be an array of objects"),
    ({"variants": [{**VARIANT, "nickname": 1}]}, "nickname must be a string"),
    ({"variants": [{**VARIANT, "targeting": []}]}, "targeting must be an object"),
    ({"status": 4}, "status must be one of 9, 1, 0"),
    ({"status": True}, "status must be one of"),
    ({"status": "live"}, "status must be one of"),
    ({"test_type": "ab"}, "test_type must be one of abtest, split"),
    ({"page_urls": []}, "page_urls must have 1 to 50 entries"),
    ({"page_urls": [PAGE] * 51}, "page_urls must have 1 to 50 entries"),
    ({"page_urls": [1]}, "page_urls must be an array of strings or objects"),
    ({"page_urls": ["/*"]}, "url must be one page"),
    ({"page_urls": [{"rule": "regex"}]}, "url is required"),
    ({"page_urls": [{"url": "/a", "rule": "like"}]}, "rule must be one of simple, exact, contain, regex"),
    ({"page_urls": [{"url": "/a", "allowed": 1}]}, "allowed must be true or false"),
    ({"page_urls": [{"url": PAGE, "allowed": False}]}, "page_urls must allow at least one page"),
    ({"page_urls": ["https://example.com/other"]}, "url must be one of the pages that page_urls allow"),
    ({"configuration": []}, "configuration must be an object"),
    ({"configuration": {"traffic_allocation": 101}}, "traffic_allocation must be a number of 0 or more, at most 100"),
    ({"configuration": {"traffic_allocation": True}}, "traffic_allocation must be a number"),
    ({"configuration": {"completion_visitor": -1}}, "completion_visitor must be a number of 0 or more"),
    ({"configuration": {"is_mab": 2}}, "is_mab must be one of 0, 1"),
    ({"configuration": {"start_test_date": 1}}, "start_test_date must be a string"),
    ({"configuration": {"distribution": 1}}, "distribution must be a string or an object"),
    ({"configuration": {"integration": "ga4"}}, "integration must be an array of strings"),
    ({"targeting": []}, "targeting must be an object"),
    ({"targeting": {"device_rule": "mobile"}}, "device_rule must be an array of strings"),
    ({"targeting": {"allowed_country": ["US"]}}, "allowed_country must be an array of objects"),
    ({"targeting": {"allowed_city": [{}]}}, "name is required"),
    ({"targeting": {"cookie_rule": [_CONDITION]}}, "cookie_rule must be an array of arrays of conditions"),
    ({"targeting": {"cookie_rule": [[1]]}}, "cookie_rule must be an array of arrays of conditions"),
    ({"targeting": {"segment_rule": [[{"criteria": "a"}]]}}, "operator is required"),
    ({"targeting": {"event_rule": [{}]}}, "name is required"),
    ({"targeting": {"event_rule": [{"name": "x", "attributes": [[{"key": "a"}]]}]}}, "operand is required"),
    ({"control": []}, "control must be an object"),
    ({"control": {"customJS": 1}}, "customJS must be a string"),
    ({"control_attr": 1}, "control_attr must be an object"),
    ({"control_attr": "no"}, "The request body is not valid JSON"),
    ({"control_attr": '"\ud800"'}, "The request body is not valid JSON"),
    ({"control_attr": {"js": 1}}, "js must be a string"),
    ({"custom_js": 1}, "custom_js must be a string"),
    ({"primary_goal": "Signed up"}, "primary_goal must be an object"),
    ({"primary_goal": {"goal_name": "a"}}, "goal_type is required"),
    ({"primary_goal": {**GOAL, "goal_value": 1}}, "goal_value must be a non-empty string"),
    ({"primary_goal_key": "nobody"}, "No goal has the key nobody"),
    ({"secondary_goals": GOAL}, "secondary_goals must be an array of objects"),
    ({"secondary_goal_keys": [1]}, "secondary_goal_keys must be an array of strings"),
    ({"idempotency_key": " "}, "idempotency_key must be a non-empty string"),
]


@pytest.mark.parametrize(("fields", "text"), _BAD, ids=range(len(_BAD)))
def test_a_wrong_experiment_is_a_400_that_names_the_field(call: Caller, fields: dict[str, Any], text: str) -> None:
    """What is missing or wrong is named, and nothing is made: no experiment, and no goal."""
    status, error = call.refused("POST create-experiment", **{**GOOD, "secondary_goals": [GOAL], **fields})

    assert (status, error[: len(text)]) == (400, text)
    assert call.done("GET experiments")["count"] == 0
    assert call.done("GET goals")["count"] == 0


def test_a_body_that_is_too_deep_is_a_400(call: Caller) -> None:
    """What could not be written again is not taken."""
    deep: Any = []
    for _ in range(120):
        deep = [deep]
    assert call.refused("POST create-experiment", **GOOD, extra=deep) == (
        400,
        "The request body is nested more than 100 deep",
    )


@pytest.mark.parametrize(
    ("pages", "found"),
    [
        ([{"url": "/a", "rule": "contain"}, "https://example.com/b"], "https://example.com/b"),
        ([{"url": ".*", "rule": "regex"}, {"url": "/no", "allowed": False}, {"url": "/a"}], "/a"),
        ([{"url": ".*", "rule": "regex"}], None),
    ],
)
def test_the_page_is_taken_from_the_pages(call: Caller, pages: list[Any], found: str | None) -> None:
    """Without ``url`` the first plain address counts, then the first allowed one that is no regular expression."""
    assert details_of(call, make(call, url=None, page_urls=pages))["url"] == found


@pytest.mark.parametrize(
    ("page", "matches"),
    [
        ("https://www.example.com", True),
        ("https://example.com/a", False),
        ({"url": PAGE, "rule": "exact"}, True),
        ({"url": "https://example.com", "rule": "exact"}, False),
        ({"url": "example", "rule": "contain", "allowed": None}, True),
        ({"url": "nobody", "rule": "contain"}, False),
        ({"url": "^x$", "rule": "regex"}, True),
    ],
)
def test_the_page_must_be_among_the_pages(call: Caller, page: object, matches: bool) -> None:  # noqa: FBT001
    """``url`` is one that ``page_urls`` allow, compared as each entry says; what is not allowed wins."""
    assert call("POST create-experiment", **GOOD, page_urls=[page])[0] == (200 if matches else 400)
    excluded = [page, {"url": "example", "rule": "contain", "allowed": False}]
    assert call("POST create-experiment", **GOOD, page_urls=excluded)[0] == 400


def test_goals_are_made_reused_or_found(call: Caller) -> None:
    """An active goal of the same name and type is reused whatever its value; of a goal and a key the key counts."""
    first = call.done("POST create-experiment", **GOOD, primary_goal=GOAL, secondary_goals=[GOAL])
    other = call.done("POST goal", **{**GOAL, "goal_name": "Other", "goal_key": "other"})["goal_profile_id"]
    second = call.done(
        "POST create-experiment", **GOOD, primary_goal={**GOAL, "goal_value": "x"}, secondary_goal_keys=["other"]
    )
    both = call.done("POST create-experiment", **GOOD, primary_goal=GOAL, primary_goal_key="other")

    assert (first["goal_profile_id"], first["secondary_goals_count"]) == (second["goal_profile_id"], 1)
    assert (second["secondary_goals_count"], both["goal_profile_id"]) == (1, other)
    call.done(f"DELETE goal/{other}")
    assert call.refused("POST create-experiment", **GOOD, primary_goal_key="other")[0] == 400
    assert details_of(call, both["test_id"])["primary_goal"]["goal_name"] == "Other"
    del call.emulator.state.projects[call.project].goals[other]
    assert details_of(call, both["test_id"])["primary_goal"] is None


def test_over_the_plans_goals_nothing_is_made() -> None:
    """When the second goal of an experiment is one too many, the first is not made either."""
    call = Caller(Emulator(plan_goal_limit=1))
    status, text = call.refused(
        "POST create-experiment", **GOOD, primary_goal=GOAL, secondary_goals=[{**GOAL, "goal_name": "More"}]
    )
    assert (status, "Your plan allows 1 goals" in text) == (403, True)
    assert call.done("GET goals")["count"] == 0
    make(call, primary_goal=GOAL)
    make(call, primary_goal=GOAL)


def test_a_key_brings_back_the_first_answer_for_a_day(call: Caller) -> None:
    """Whatever the second body says; afterwards, and after a refusal, the key is as good as new."""
    assert call.refused("POST create-experiment", test_name="a", idempotency_key="k")[0] == 400
    first = call.done("POST create-experiment", **GOOD, idempotency_key="k")

    call.today += REMEMBERED_FOR - 1
    assert call.done("POST create-experiment", test_name="", idempotency_key="k") == first
    assert call.done("GET experiments")["count"] == 1
    call.today += 1
    assert call.done("POST create-experiment", **GOOD, idempotency_key="k") != first


def test_a_key_may_come_as_a_header(call: Caller) -> None:
    """The header is as good as the field, which counts where both are given; an empty header is none."""
    bearer = call.headers
    first = call.done("POST create-experiment", **GOOD, idempotency_key="k")["test_id"]

    def again(key: str, **fields: object) -> int:
        call.headers = {**bearer, "X-Idempotency-Key": key}
        number: int = call.done("POST create-experiment", **GOOD, **fields)["test_id"]
        return number

    assert again("k") == again(" k ") == first
    second = again("other")
    assert again("other") == second != first
    assert again("other", idempotency_key="k") == first
    assert len({first, second, again(""), again("")}) == 4


def test_the_keys_of_many_experiments_are_bounded() -> None:
    """The oldest key goes when there are too many; one that is used again becomes the newest."""
    keys = IdempotencyKeys()
    for number in range(10_000):
        keys.remember(str(number), 0.0, success(number=number))
    keys.remember("0", 1.0, success())
    keys.remember("new", 1.0, success())
    assert keys.find("1", 1.0) is None
    assert [keys.find(key, 1.0) is not None for key in ("0", "2", "new")] == [True] * 3


def test_statuses_change_as_documented(call: Caller) -> None:
    """Only from live there is no way to draft; the same status again changes nothing; other values are a 400."""
    number = make(call)

    def becomes(status: object) -> int:
        answer = call(f"PATCH experiment/{number}/status", status=status)
        if answer[0] == 200:
            assert answer[1] == {"success": True, "test_id": number, "status": status}
        return answer[0]

    row = row_of(call, number)
    row.is_completed = 1
    assert [becomes(status) for status in (9, 1, 1, 9, 0, 9, 0, 1)] == [200, 200, 200, 400, 200, 200, 200, 200]
    assert (row.status, row.is_completed) == (1, 0)
    wrong: list[object] = [3, 4, "live", None, True, [], 1.0]
    assert [becomes(status) for status in wrong] == [400] * 7
    assert row.status == 1


def test_the_plan_limits_live_experiments(call: Caller) -> None:
    """Drafts, inactive, completed, serving and deleted ones do not count; a live one may go live again."""
    store_of(call).live_limit = 2
    first, second, third = make(call, status=1), make(call, status=1), make(call)

    status, text = call.refused("POST create-experiment", **GOOD, status=1)
    assert (status, "plan" in text) == (403, True)
    assert call.refused(f"PATCH experiment/{third}/status", status=1)[0] == 403
    call.done(f"PATCH experiment/{first}/status", status=1)
    row_of(call, first).serving_variant = 1
    call.done(f"PATCH experiment/{third}/status", status=1)
    assert call.refused("POST create-experiment", **GOOD, status=1)[0] == 403
    row_of(call, second).is_completed = 1
    make(call, status=1)
    call.done(f"DELETE experiment/{third}")
    make(call, status=1)


def test_an_experiment_is_updated_in_part(call: Caller) -> None:
    """Any subset of the documented fields is replaced; a wrong one changes nothing; unknown ones are ignored."""
    number = make(call, configuration={"traffic_allocation": 50, "is_mab": 1}, custom_js="x", control={"customJS": "y"})

    call.today += 60
    path = f"PATCH experiment/{number}"
    assert call.done(path, configuration={"traffic_allocation": 20}, custom_js=None, control=None, control_attr={}) == {
        "test_id": number
    }
    call.done(path, test_name="New", url="https://example.com/b", tags=["a"], targeting={}, future=1)
    row = row_of(call, number)
    assert (row.configuration["traffic_allocation"], row.configuration["is_mab"]) == (20, 0)
    assert (row.custom_js, row.control, row.control_attr, row.tags) == (None, {}, {}, ["a"])
    assert (row.test_name, row.url) == ("New", "https://example.com/b")
    assert details_of(call, number)["updated_at"] == "2024-01-15T10:31:00.000Z"
    for name, value in [("variants", []), ("url", "*"), ("tags", [1]), ("configuration", None), ("test_name", None)]:
        assert call.refused(path, **{"custom_css": "z", name: value})[0] == 400
    assert row.custom_css is None
    call.done(path, control_attr=None)
    assert row.control_attr is None


def test_what_depends_on_a_variant_goes_with_it(call: Caller) -> None:
    """With fewer variants, visitors of those that are gone are assigned anew, and none of them is served."""
    two = [VARIANT, {**VARIANT, "name": "Variant 2"}]
    number = make(call, variants=two)
    row = row_of(call, number)
    row.assignments = {7: Assignment(variant=1, since=0.0), 8: Assignment(variant=2, since=0.0)}
    row.serving_variant, row.served_since = 2, 1.0

    call.done(f"PATCH experiment/{number}", variants=two)
    assert [row.serving_variant, row.served_since, set(row.assignments)] == [2, 1.0, {7, 8}]
    call.done(f"PATCH experiment/{number}", variants=[VARIANT])
    assert [row.serving_variant, row.served_since, set(row.assignments)] == [None, None, {7}]


def test_deleting_happens_once_and_says_whether_it_was_live(call: Caller) -> None:
    """A deleted experiment is nowhere any more; the answer tells what it was."""
    number, live = make(call), make(call, status=1)

    assert call.done(f"DELETE experiment/{number}") == {
        "test_id": number,
        "test_name": "Button",
        "deleted": True,
        "was_live": False,
        "message": "Experiment deleted.",
    }
    assert call.refused(f"DELETE experiment/{number}") == (404, "Experiment not found")
    assert call.done(f"DELETE experiment/{live}")["was_live"] is True
    assert call.done("GET experiments")["experiments"] == []
    for path in ("GET experiment/{}", "GET experiment/{}/preview-urls", "GET experiment/{}/share-link"):
        assert call.refused(path.format(live)) == (404, "Experiment not found")
        assert call.refused(path.format(999))[0] == 404


def test_previews_add_to_the_address(call: Caller) -> None:
    """Query and fragment stay; a split test shows the address that each variant redirects to."""
    split = [
        {"name": "Variant 1", "data": [{"url": "https://example.com/new", "relay_param": True}]},
        {"name": "Variant 2", "data": []},
        {"name": "Variant 3", "data": [{"url": 1}]},
    ]
    number = make(call, url="https://example.com/?a=1#top", test_type="split", variants=split)

    answer = call.done(f"GET experiment/{number}/preview-urls")
    query = f"test-preview={number}&test-variant="
    assert answer == {
        "test_id": number,
        "test_name": "Button",
        "page_url": "https://example.com/?a=1#top",
        "variants": [
            {"variant_id": 0, "name": "Control", "preview_url": f"https://example.com/?a=1&{query}0#top"},
            {"variant_id": 1, "name": "Variant 1", "preview_url": f"https://example.com/new?{query}Variant_1"},
            {"variant_id": 2, "name": "Variant 2", "preview_url": f"https://example.com/?a=1&{query}Variant_2#top"},
            {"variant_id": 3, "name": "Variant 3", "preview_url": f"https://example.com/?a=1&{query}Variant_3#top"},
        ],
    }


def test_previews_have_errors_of_their_own(call: Caller) -> None:
    """400 for what is no number, 409 without a page, 403 in a paused project."""
    number = make(call, url=None, page_urls=[{"url": ".*", "rule": "regex"}])

    assert call.refused("GET experiment/abc/preview-urls") == (400, "test_id must be a number")
    assert call.refused("GET experiment/abc")[0] == 404
    assert call.refused(f"GET experiment/{number}/preview-urls")[0] == 409
    call.emulator.state.set_status(call.project, 0)
    assert call.refused(f"GET experiment/{number}/preview-urls")[0] == 403


def test_share_links_differ_and_stay(call: Caller) -> None:
    """Each experiment has one link, which is off until the dashboard switches it on."""
    first, second = make(call), make(call)

    link = call.done(f"GET experiment/{first}/share-link")
    assert link == call.done(f"GET experiment/{first}/share-link")
    assert set(link) == {"test_id", "company_id", "share_link", "is_public"}
    assert (link["test_id"], link["company_id"], link["is_public"]) == (first, 1001, False)
    assert link["share_link"] != call.done(f"GET experiment/{second}/share-link")["share_link"]


def test_a_serving_experiment_says_so(call: Caller) -> None:
    """Lists and details name the served variant as reports do, as text."""
    number = make(call)
    row_of(call, number).serving_variant = 1

    (row,) = call.done("GET experiments")["experiments"]
    assert (row["serving_variant_id"], row["is_deploy"]) == ("1", 1)
    assert details_of(call, number)["serving_variant_id"] == "1"


def test_experiments_come_in_pages(call: Caller) -> None:
    """A limit and an offset cut pages out of the experiments, the oldest first."""
    for name in "abc":
        make(call, test_name=name)

    assert [row["test_name"] for row in call.done("GET experiments?limit=1&offset=1")["experiments"]] == ["b"]
    assert call.refused("GET experiments?limit=501")[0] == 400


_FIELDS = st.sampled_from(
    [
        *("test_name", "url", "page_urls", "variants", "status", "test_type", "primary_goal", "primary_goal_key"),
        *("secondary_goals", "secondary_goal_keys", "configuration", "targeting", "control", "control_attr", "tags"),
        *("name", "data", "nickname", "rule", "allowed", "traffic_allocation", "is_mab", "allowed_country", "code"),
        *("parameter_rule", "event_rule", "attributes", "goal_name", "goal_type", "goal_value", "idempotency_key"),
    ]
)
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
_TEXTS = st.text(st.characters(codec=None, exclude_categories=())) | st.sampled_from(["Variant 1", "event", "{}", "*"])
_JSON = st.recursive(
    _SCALARS | _TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_FIELDS, inner, max_size=4)
)
_BODIES = st.dictionaries(_FIELDS, _JSON, max_size=5)


@given(_BODIES, _BODIES)
def test_whatever_is_thrown_at_it_is_answered(new: dict[str, Any], change: dict[str, Any]) -> None:
    """Any JSON is taken or refused with a documented status, and what was taken can be shown."""
    call = Caller()
    status, answer = call("POST create-experiment", **{**GOOD, **new})
    assert status in {200, 400}
    number = answer["test_id"] if status == 200 else make(call)
    assert call(f"PATCH experiment/{number}", **change)[0] in {200, 400}
    assert call(f"PATCH experiment/{number}/status", **change)[0] in {200, 400}
    json.dumps(details_of(call, number))
    assert call(f"GET experiment/{number}/preview-urls")[0] in {200, 409}
    assert call.done("GET experiments")["count"] == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b"\xff", b"[" * 100_000])
@pytest.mark.parametrize("path", ["POST create-experiment", "PATCH experiment/{}", "PATCH experiment/{}/status"])
def test_what_is_no_object_is_a_400(call: Caller, path: str, body: bytes) -> None:
    """A body that cannot be read is refused wherever one is needed."""
    method, _, place = path.format(make(call)).partition(" ")
    assert call.raw(method, f"/v2/project/{call.project}/{place}", body)[0] == 400


def _row(**fields: Any) -> ExperimentRow:
    given = {"test_id": 1, "test_name": "a", "status": 1, "variants": [VARIANT], "created_at": 0.0, "updated_at": 0.0}
    return ExperimentRow(**{**given, **fields})


def test_variants_have_a_name_and_a_nickname() -> None:
    """What has no nickname goes by its exact name."""
    row = _row(variants=[{**VARIANT, "nickname": "Red"}, VARIANT], control={"nickname": "Original"})
    assert [row.nickname(number) for number in range(3)] == ["Original", "Red", "Variant 2"]
    assert _row().nickname(0) == "Control"


def test_the_sdks_find_an_experiment_by_its_key() -> None:
    """A key leads to the experiment unless that was deleted."""
    store = ExperimentStore()
    store.rows.add(1, _row(experiment_key="checkout"))
    assert store.by_key("checkout") is store.rows[1]
    assert store.by_key("other") is None
    store.rows[1].deleted = True
    assert store.by_key("checkout") is None
