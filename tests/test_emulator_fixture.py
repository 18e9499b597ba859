"""What an emulator holds from the beginning: fixtures, and what tests put in one by one."""

from __future__ import annotations

import copy
import datetime as dt
import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from cli_caller import call as command
from cli_caller import spawn
from emulator_caller import Caller

from mida_async import SettingsError
from mida_async.testing import Emulator, ReceivedRequest, ThreadedEmulator
from mida_async.testing._emulator.experiments_state import ExperimentRow, ExperimentStore
from mida_async.testing._emulator.personalization import CampaignStore
from mida_async.testing._emulator.visitors import AttributeStore, FlagStore

FILE = Path(__file__).parent / "data" / "fixture.json"
DOCS = Path(__file__).parent.parent / "docs" / "testing.md"
EXAMPLE: dict[str, Any] = json.loads(FILE.read_text())


def of(**fields: object) -> dict[str, object]:
    """Make a fixture of one project."""
    return {"projects": [fields]}


def rows(emulator: Emulator) -> list[ExperimentRow]:
    """Return the experiments of the first project."""
    return emulator.state.projects[emulator.project_key].store(ExperimentStore).present()


def test_the_documented_example_is_the_file_of_the_tests() -> None:
    """What docs/testing.md shows is what the tests below load."""
    (shown,) = re.findall(r"```json title=\"fixture.json\"\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert shown == FILE.read_text(encoding="utf-8")


@pytest.mark.parametrize("fixture", [FILE, str(FILE), EXAMPLE], ids=["path", "text", "mapping"])
def test_a_fixture_fills_an_emulator(fixture: Any) -> None:
    """Everything that the example describes is there to be asked for."""
    before = copy.deepcopy(EXAMPLE)
    emulator = Emulator(fixture=fixture)
    call = Caller(emulator)
    assert before == EXAMPLE

    assert emulator.visitors == 2
    goals = {goal["goal_key"]: goal for goal in call.done("GET goals")["goals"]}
    assert (goals["bought"]["goal_type"], goals["signed_up"]["goal_name"]) == ("revenue", "Signed up")
    button, ranking = rows(emulator)
    assert (button.test_name, button.url, button.status) == ("Button color", "https://shop.example/", 1)
    assert button.primary_goal == goals["signed_up"]["goal_profile_id"]
    assert button.nickname(1) == "Red button"
    first = dt.datetime(2026, 8, 1, tzinfo=dt.UTC).timestamp()
    assert button.created_at == first
    seen = {visitor: (each.variant, each.since - first) for visitor, each in button.assignments.items()}
    assert seen == {1: (1, 0), 2: (0, 36 * 3600)}
    assert (ranking.experiment_key, len(ranking.variants), ranking.assignments[1].variant) == ("ranking", 2, 2)
    (event,) = call.done("GET events")["events"]
    assert (event["event_text"], event["event_property"]) == ("signup_completed", '{"plan":"pro"}')
    assert event["created_at"] == "2026-08-03T09:30:00.000Z"
    project = emulator.state.projects[emulator.project_key]
    assert project.store(AttributeStore).of(2) == {"plan": "pro"}
    assert [project.store(FlagStore).enabled(user) for user in ("user_1", "user_2", None)] == [
        ["new_checkout", "beta"],
        ["new_checkout"],
        ["new_checkout"],
    ]
    (group,) = call.done("GET exclusion-groups")["groups"]
    tests = [(test["test_id"], test["percent"]) for test in group["tests"]]
    assert (group["name"], tests) == ("Checkout", [(button.test_id, 60), (ranking.test_id, 40)])
    (campaign,) = call.done("GET personalization/campaigns")["campaigns"]
    assert (campaign["name"], campaign["launched"], campaign["building"]) == ("Outbound", True, False)
    assert campaign["accounts_with_copy"] == 1
    assert project.profile.website_name == "Shop"
    (comment,) = call.done(f"GET experiment/{button.test_id}/discussion")["comments"]
    assert (comment["comment"], comment["author_name"]) == ("Let it run for two weeks.", "Ann")
    assert (list(emulator.recorded), list(emulator.requests)) == ([], [])


@pytest.mark.mida_emulator(fixture=of(feature_flags=["beta"], visitors=[{"id": "ann"}]), auto_visitors=False)
def test_the_marker_of_the_pytest_plugin_takes_a_fixture(mida_emulator: ThreadedEmulator) -> None:
    """The emulator that a test gets from pytest holds what its marker says from the beginning."""
    call = Caller(mida_emulator)
    body = json.dumps({"key": call.project, "user_id": "ann"}).encode()

    request = ReceivedRequest(method="POST", path="/feature-flag", body=body)
    assert json.loads(mida_emulator.state.handle(request, now=0.0, today=0.0).body) == ["beta"]
    assert call.done("POST event", event_name="a", id="ann")
    assert call.refused("POST event", event_name="a", id="bob")[0] == 400


def test_servers_see_what_a_fixture_says() -> None:
    """An experiment with a key is answered for as the assignments say; its visitors are those of the lists."""
    call = Caller(Emulator(fixture=FILE))
    for _ in range(2):
        body = {"key": call.project, "experiment_key": "ranking", "distinct_id": "user_1"}
        assert call.raw("POST", "/experiment/query", json.dumps(body).encode()) == (200, {"version": "Variant 2"})
    assert call.emulator.visitors == 2
    call.done("POST event", event_name="a", email="ANN@example.com")
    assert call.emulator.recorded[0].visitor_id == 1


def test_limits_bind_what_comes_later() -> None:
    """A plan's limit of a fixture is the server's 403 for one more, and no obstacle to the fixture itself."""
    goals = [{"goal_name": name, "goal_type": "event", "goal_value": "x"} for name in "ab"]
    experiments = [{"test_name": name, "variants": [{}], "status": 1} for name in "ab"]
    call = Caller(Emulator(fixture=of(plan_goal_limit=1, plan_live_limit=1, goals=goals, experiments=experiments)))
    assert call.refused("POST goal", **goals[0])[0] == 403
    more = {"test_name": "c", "url": "https://a.example/", "status": 1, "variants": [{"name": "Variant 1", "data": []}]}
    assert call.refused("POST create-experiment", **more)[0] == 403
    call.emulator.load(of(plan_goal_limit=None, plan_live_limit=None))
    call.done("POST goal", **goals[0])
    call.done("POST create-experiment", **more)


def test_an_emulator_has_a_limit_of_live_experiments() -> None:
    """`plan_live_limit` of the emulator is the first project's, that of a project its own."""
    emulator = Emulator(plan_live_limit=2)
    emulator.add_project("other", "key", plan_live_limit=5)
    limits = [project.store(ExperimentStore).live_limit for project in emulator.state.projects.values()]
    assert limits == [2, 5]


def test_a_project_of_a_fixture_is_new_or_added_to() -> None:
    """Without a key it is the emulator's own; a known key is added to; another makes a project."""
    emulator = Emulator(api_key="old")
    emulator.load({"projects": [{"visitors": [{"id": "a"}], "api_key": "new"}, {"key": "more", "company_id": 7}]})
    emulator.load(of(key=emulator.project_key, visitors=[{"id": "b"}], auto_visitors=True))
    assert (emulator.visitors, emulator.api_key) == (2, "new")
    own, more = emulator.state.projects.values()
    assert (own.api_key, own.auto_visitors, own.company_id) == ("new", True, 1001)
    assert (more.key, more.api_key, more.auto_visitors, more.company_id) == ("more", "old", False, 7)


def test_a_project_can_be_paused_and_without_personalization() -> None:
    """Status and features of a project are those of the fixture."""
    emulator = Emulator(fixture=FILE)
    second = emulator.state.projects["second_project"]
    assert (second.status, second.store(CampaignStore).enabled) == (0, False)


def test_an_experiment_of_a_fixture_needs_no_url() -> None:
    """The first of page_urls is the experiment's url; where neither is given, it has no page."""
    emulator = Emulator()
    emulator.add_experiment(test_name="a", variants=[{}], page_urls=["https://a.example/", "https://b.example/"])
    emulator.add_experiment(test_name="b", variants=[{}])
    first, second = rows(emulator)
    assert (first.url, second.url) == ("https://a.example/", None)


def test_tests_add_goals_and_experiments_one_by_one() -> None:
    """The fields are those of a fixture; the number comes back, in any project."""
    emulator = Emulator()
    emulator.add_project("other", "key")
    goal = emulator.add_goal(goal_name="a", goal_type="event", goal_value="x", created_at="2026-01-01T00:00:00")
    number = emulator.add_experiment(
        test_name="b",
        variants=[{}],
        experiment_key="k",
        status=1,
        assignments=[{"email": "A@b.c", "variant": "Control"}],
    )
    elsewhere = emulator.add_experiment(test_name="c", variants=[{}], experiment_key="k", project_key="other")
    call = Caller(emulator)
    assert call.done(f"GET goal/{goal}")["goal"]["created_at"] == "2026-01-01T00:00:00.000Z"
    (row,) = rows(emulator)
    assert (row.test_id, row.experiment_key) == (number, "k")
    assert elsewhere != number
    with pytest.raises(SettingsError, match=r"fixture: experiment.experiment_key: there is an experiment 'k' already"):
        emulator.add_experiment(test_name="b", variants=[{}], experiment_key="k")
    with pytest.raises(SettingsError, match=r"fixture: goal.goal: there is no|fixture: goal: there is no field 'goal'"):
        emulator.add_goal(goal="a")
    with pytest.raises(ValueError, match="there is no project 'x'"):
        emulator.add_goal(project_key="x")


def test_comments_have_their_authors_and_the_key_its_own() -> None:
    """Each comment keeps its author; later ones are of the one in whose name the key speaks, if there is one."""
    comments = [{"comment": "a", "author_name": "Ann", "source": "agent", "created_at": "2026-01-01"}]
    call = Caller(Emulator(fixture=of(experiments=[{"test_name": "t", "variants": [{}], "comments": comments}])))
    path = f"experiment/{rows(call.emulator)[0].test_id}/discussion"
    assert call.refused(f"POST {path}", comment="b")[0] == 400
    call.emulator.load(of(comment_author="Bob"))
    call.done(f"POST {path}", comment="b")
    shown = [(row["author_name"], row["comment"], row["source"]) for row in call.done(f"GET {path}")["comments"]]
    assert shown == [("Ann", "a", "agent"), ("Bob", "b", "user")]


def test_flags_are_turned_on_one_by_one() -> None:
    """For all, or for some; in any project."""
    emulator = Emulator()
    emulator.add_project("other", "key")
    emulator.add_feature_flag("a")
    emulator.add_feature_flag("b", "ann", "bob", project_key="other")
    own, other = (project.store(FlagStore) for project in emulator.state.projects.values())
    assert (own.enabled("ann"), other.enabled("ann"), other.enabled("cy")) == (["a"], ["b"], [])


def test_an_experiment_may_be_public_or_completed() -> None:
    """What only the dashboard changes is as the fixture says."""
    emulator = Emulator()
    number = emulator.add_experiment(test_name="a", variants=[{}], is_public=True, is_completed=True)
    emulator.add_experiment(test_name="b", variants=[{}], is_public=False)
    call = Caller(emulator)
    assert call.done(f"GET experiment/{number}/share-link")["is_public"] is True
    assert [row["is_completed"] for row in call.done("GET experiments")["experiments"]] == [1, 0]


def test_a_campaign_may_still_be_building() -> None:
    """`building` leaves the build as it is after the campaign was created; personas need no accounts."""
    campaign = {"strategy": "personas", "personas": [{"label": "cto"}], "page_urls": ["https://a.example/"]}
    call = Caller(Emulator(fixture=of(campaigns=[{**campaign, "building": True}, {**campaign, "building": False}])))
    shown = call.done("GET personalization/campaigns")["campaigns"]
    assert {row["building"] for row in shown} == {True, False}
    assert {row["launched"] for row in shown} == {False}


_GOAL = {"goal_name": "a", "goal_key": "k", "goal_type": "event", "goal_value": "x"}
_TEST = {"test_name": "a", "variants": [{}]}
_CAMPAIGN = {"strategy": "personas", "personas": [{"label": "cto"}], "page_urls": ["https://a.example/"]}

WRONG: list[tuple[Any, str]] = [
    ([], "the whole: must be an object"),
    ({}, "the whole: projects is missing"),
    ({"project": []}, "the whole: there is no field 'project' here; there are projects"),
    ({"projects": {}}, "projects: must be an array"),
    ({"projects": ["a"]}, "projects[0]: must be an object"),
    (of(name="a"), "projects[0]: there is no field 'name' here; there are api_key, "),
    (of(key=""), "projects[0].key: must be a string with something in it"),
    (of(api_key=7), "projects[0].api_key: must be a string"),
    (of(company_id=-1), "projects[0].company_id: must be a whole number, 0 or greater"),
    (of(company_id=True), "projects[0].company_id: must be a whole number"),
    (of(status=2), "projects[0].status: must be 1 (active) or 0 (paused)"),
    (of(plan_live_limit="1"), "projects[0].plan_live_limit: must be a whole number"),
    (of(auto_visitors=1), "projects[0].auto_visitors: must be true or false"),
    (of(visitors={}), "projects[0].visitors: must be an array"),
    (of(visitors=[{"id": "a"}, {}]), "projects[0].visitors[1]: names no visitor"),
    (of(visitors=[{"id": 1}]), "projects[0].visitors[0].id: must be a string"),
    (of(visitors=[{"id": "a", "attributes": []}]), "projects[0].visitors[0].attributes: must be an object"),
    (of(visitors=[{"id": "a", "attributes": {"b": {1}}}]), "projects[0].visitors[0].attributes: b: set has no form"),
    (of(feature_flags=[""]), "projects[0].feature_flags[0]: must be a string"),
    (of(feature_flags=[{"flag": "a"}]), "projects[0].feature_flags[0]: user_ids is missing"),
    (of(feature_flags=[{"flag": "a", "user_ids": []}]), "projects[0].feature_flags[0].user_ids: must name somebody"),
    (of(goals=[{"goal_name": "a"}]), "projects[0].goals[0]: goal_type is required"),
    (of(goals=[_GOAL, _GOAL]), "projects[0].goals[1]: goal_key k already exists"),
    (of(goals=[{**_GOAL, "goal_value": b"x"}]), "projects[0].goals[0]: goal_value: bytes has no form"),
    (of(goals=[{**_GOAL, "status": 1}]), "projects[0].goals[0]: there is no field 'status'"),
    (of(goals=[{**_GOAL, "created_at": "soon"}]), "projects[0].goals[0].created_at: must be a time such as"),
    (of(goals=[{**_GOAL, "created_at": 7}]), "projects[0].goals[0].created_at: must be a time such as"),
    (of(experiments=[{"test_name": "a"}]), "projects[0].experiments[0]: variants is missing"),
    (of(experiments=[{**_TEST, "variants": 1}]), "projects[0].experiments[0].variants: must be an array"),
    (of(experiments=[{**_TEST, "variants": ["a"]}]), "projects[0].experiments[0]: "),
    (of(experiments=[{**_TEST, "primary_goal_key": "none"}]), "projects[0].experiments[0]: "),
    (of(experiments=[{**_TEST, "experiment_key": ""}]), "projects[0].experiments[0].experiment_key: must be a string"),
    (
        of(experiments=[{**_TEST, "assignments": [{"id": "a"}]}]),
        "projects[0].experiments[0].assignments[0]: variant is missing",
    ),
    (
        of(experiments=[{**_TEST, "assignments": [{"id": "a", "variant": "B"}]}]),
        "projects[0].experiments[0].assignments[0].variant: must be one of Control, Variant 1",
    ),
    (
        of(experiments=[{**_TEST, "assignments": [{"variant": "Control"}]}]),
        "projects[0].experiments[0].assignments[0]: names no visitor",
    ),
    (of(events=[{"id": "a"}]), "projects[0].events[0]: event_name is missing"),
    (of(events=[{"event_name": "a"}]), "projects[0].events[0]: names no visitor"),
    (
        of(events=[{"event_name": "a", "id": "a", "properties": []}]),
        "projects[0].events[0].properties: must be an object",
    ),
    (of(exclusion_groups=[{"name": "a"}]), "projects[0].exclusion_groups[0]: tests is missing"),
    (
        of(exclusion_groups=[{"name": "a", "tests": [{"test_name": "b"}]}]),
        "projects[0].exclusion_groups[0].tests[0].test_name: there are 0 experiments of this name",
    ),
    (
        of(experiments=[_TEST], exclusion_groups=[{"name": "a", "tests": [{"test_name": "a"}]}]),
        "projects[0].exclusion_groups[0]: ",
    ),
    (of(comment_author=1), "projects[0].comment_author: must be a string"),
    (
        of(experiments=[{**_TEST, "comments": [{"comment": "a"}]}]),
        "projects[0].experiments[0].comments[0]: author_name is missing",
    ),
    (
        of(experiments=[{**_TEST, "comments": [{"comment": "a" * 5001, "author_name": "b"}]}]),
        "projects[0].experiments[0].comments[0]: comment must have at most 5000",
    ),
    (of(campaigns=[{**_CAMPAIGN, "page_urls": []}]), "projects[0].campaigns[0]: page_urls must be an array"),
    (
        of(goals=[_GOAL], campaigns=[{**_CAMPAIGN, "goal_key": "K"}]),
        "projects[0].campaigns[0].goal_key: there is no goal 'K'",
    ),
    (of(campaigns=[{**_CAMPAIGN, "launched": 1}]), "projects[0].campaigns[0].launched: must be true or false"),
    (
        of(campaigns=[{**_CAMPAIGN, "launched": True}]),
        "projects[0].campaigns[0].launched: a campaign without a goal_key",
    ),
    (of(campaigns=[{**_CAMPAIGN, "building": 0}]), "projects[0].campaigns[0].building: must be true or false"),
]


@pytest.mark.parametrize(("fixture", "problem"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_fixture_names_the_place(fixture: Any, problem: str, tmp_path: Path) -> None:
    """SettingsError says where the mistake is and what would be right."""
    if not isinstance(fixture, dict):
        path = tmp_path / "fixture.json"
        path.write_text(json.dumps(fixture))
        fixture = path
    with pytest.raises(SettingsError) as caught:
        Emulator(fixture=fixture)
    assert str(caught.value).startswith(f"fixture: {problem}")
    assert caught.value.__cause__ is None


def test_a_file_that_is_no_fixture_is_named(tmp_path: Path) -> None:
    """A file that is missing, and one that is not JSON, are SettingsErrors that name it."""
    with pytest.raises(SettingsError, match=r"fixture '.*none.json' cannot be read: No such file"):
        Emulator(fixture=tmp_path / "none.json")
    for text in ("{", "\xff", "[" * 100_000):
        broken = tmp_path / "broken.json"
        broken.write_bytes(text.encode("latin-1"))
        with pytest.raises(SettingsError, match=r"fixture '.*broken.json' is not JSON: "):
            Emulator(fixture=broken)


def test_the_command_serves_a_fixture() -> None:
    """`mida emulator --fixture` names its further projects, and serves what the file describes."""
    process = spawn("emulator", "--port", "0", "--fixture", FILE)
    assert process.stdout is not None
    lines = [process.stdout.readline().strip() for _ in range(6)]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert lines[2:] == [
        "export MIDA_PROJECT_KEY=demo",
        "export MIDA_API_KEY=demo-key",
        "export KLAVIYO_API_KEY=demo-key",
        "also the project second_project",
    ]


def test_the_command_says_what_is_wrong_in_a_fixture(tmp_path: Path) -> None:
    """One line, and nothing is served."""
    path = tmp_path / "fixture.json"
    path.write_text('{"projects": [{"goals": [{}]}]}')
    result = command("emulator", "--fixture", path)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert "fixture: projects[0].goals[0]: goal_name is required" in result.stderr
    assert command("emulator", "--fixture", tmp_path / "none.json").exit_code == 2
