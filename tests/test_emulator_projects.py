"""The emulator's endpoints of projects, configurations and accounts, as documented."""

from __future__ import annotations

import json
from typing import Any

import pytest
from emulator_caller import TODAY, Caller
from hypothesis import given
from hypothesis import strategies as st

from mida_async.testing import Emulator
from mida_async.testing._emulator.account import MemberRow, MemberStore
from mida_async.testing._emulator.configuration import ConfigurationStore, default_goal
from mida_async.testing._emulator.experiments_state import DRAFT, INACTIVE, LIVE, ExperimentRow, ExperimentStore
from mida_async.testing._emulator.project import DELETED, PAUSED

SIBLING = "sibling_project_key_01"
FOREIGN = "foreign_project_key_01"
STAMP = "2024-01-15T10:30:00.000Z"


@pytest.fixture(name="call")
def _call() -> Caller:
    """Return a caller of a company with two projects, beside another company."""
    call = Caller()
    state = call.emulator.state
    state.add_project(SIBLING, "sibling-key", created_at=TODAY)
    state.add_project(FOREIGN, "foreign-key", company_id=2002)
    return call


def of(call: Caller, project: str, api_key: str | None = None) -> Caller:
    """Return a caller of another project of the same emulator."""
    other = Caller(call.emulator)
    other.project = project
    if api_key is not None:
        other.headers = {"x-api-key": api_key}
    return other


def at_project(call: Caller, method: str, content: object = None) -> tuple[int, dict[str, Any]]:
    """Call the address of the project itself."""
    body = b"" if content is None else json.dumps(content).encode()
    return call.raw(method, f"/v2/project/{call.project}", body)


def made(call: Caller, **fields: object) -> dict[str, Any]:
    """Make a project."""
    status, answer = call("POST projects", **fields)
    assert (status, answer["success"], set(answer)) == (201, True, {"success", "project"})
    project: dict[str, Any] = answer["project"]
    return project


def test_a_project_is_created_and_shown(call: Caller) -> None:
    """The documented request gets a 201 with the whole project; get and list show the same, the oldest first."""
    new = made(call, website_name="store.example.com", allowed_website="*.example.com")
    key = new["project_key"]

    assert new == {
        "project_key": key,
        "name": "store.example.com",
        "website_name": "store.example.com",
        "widget_name": "store.example.com",
        "allowed_website": "*.example.com",
        "monthly_average_traffic": 0,
        "shopify_id": None,
        "status": 1,
        "company_id": 1001,
        "created_at": STAMP,
        "updated_at": STAMP,
    }
    assert len(key) == 22
    assert at_project(of(call, key), "GET") == (200, {"success": True, "project": new})
    listed = call.done("GET projects")
    assert (listed["company_id"], listed["count"], set(listed)) == (1001, 3, {"company_id", "count", "projects"})
    assert [row["project_key"] for row in listed["projects"]] == [call.project, SIBLING, key]
    assert listed["projects"][2] == new


def test_a_new_key_is_free(call: Caller) -> None:
    """A key that a test has given to a project already is passed over."""
    first = made(call, name="a")["project_key"]
    following = f"emulated_project_{int(first[-5:]) + 1:05}"
    call.emulator.state.add_project(following, "k")

    assert made(call, name="b")["project_key"] not in {first, following}


@pytest.mark.parametrize(
    ("fields", "name", "allowed"),
    [
        ({"name": "a"}, "a", "*"),
        ({"website_name": "a", "name": "b"}, "a", "*"),
        ({"allowed_website": "a.example"}, "a.example", "a.example"),
        ({"name": "a", "website_name": None, "status": 2, "project_key": "x"}, "a", "*"),
    ],
)
def test_one_of_three_fields_is_enough(call: Caller, fields: dict[str, Any], name: str, allowed: str) -> None:
    """Any of the three makes a project; null is the same as not given, and all else in the body is passed over."""
    project = made(call, **fields)

    assert (project["name"], project["website_name"], project["allowed_website"]) == (name, name, allowed)
    assert (project["status"], len(project["project_key"])) == (1, 22)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "At least one of website_name, name and allowed_website"),
        ({"website_name": None, "widget_name": "a"}, "At least one of website_name, name and allowed_website"),
        ({"name": " "}, "name must be a non-empty string"),
        ({"website_name": 7}, "website_name must be a non-empty string"),
        ({"name": "a", "allowed_website": ["*"]}, "allowed_website must be a non-empty string"),
    ],
)
def test_a_wrong_project_is_a_400(call: Caller, fields: dict[str, Any], text: str) -> None:
    """What is missing or wrong is named, and no project is made."""
    status, error = call.refused("POST projects", **fields)

    assert (status, error[: len(text)]) == (400, text)
    assert call.done("GET projects")["count"] == 2


def test_a_project_is_changed_in_part(call: Caller) -> None:
    """Each documented field changes what it names, the time of the change with it; unknown ones change nothing."""
    call.today += 60
    content = {"website_name": "N", "name": "M", "widget_name": "W", "widget_allowed_website": "a", "shopify_id": "1"}
    status, answer = at_project(call, "PATCH", content)

    project = answer["project"]
    assert status == 200
    assert [project[key] for key in ("name", "website_name", "widget_name", "allowed_website")] == ["N", "N", "W", "a"]
    assert (project["shopify_id"], project["updated_at"]) == (None, "2024-01-15T10:31:00.000Z")
    both = {"allowed_website": "b", "widget_allowed_website": "c", "monthly_average_traffic": 2**63 - 1}
    changed = at_project(call, "PATCH", both)[1]["project"]
    assert changed == {**project, "allowed_website": "b", "monthly_average_traffic": 2**63 - 1}
    assert at_project(call, "GET")[1]["project"] == changed


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({}, "At least one of "),
        ({"status": 0}, "At least one of "),
        ({"website_name": None}, "website_name is required"),
        ({"widget_name": ""}, "widget_name must be a non-empty string"),
        ({"name": "a", "monthly_average_traffic": -1}, "monthly_average_traffic must be a whole number"),
        ({"monthly_average_traffic": True}, "monthly_average_traffic must be"),
        ({"monthly_average_traffic": 2**63}, "monthly_average_traffic must be"),
        ({"monthly_average_traffic": "5"}, "monthly_average_traffic must be"),
        ([], "The request body must be a JSON object"),
    ],
)
def test_a_wrong_change_is_a_400(call: Caller, content: object, text: str) -> None:
    """What is wrong is named, and nothing changes."""
    before = at_project(call, "GET")
    status, answer = at_project(call, "PATCH", content)

    assert (status, answer["error"][: len(text)]) == (400, text)
    assert at_project(call, "GET") == before


def test_projects_come_in_pages(call: Caller) -> None:
    """A limit and an offset cut pages out of the projects; without them there are up to 100."""
    for number in range(110):
        made(call, name=str(number))

    assert call.done("GET projects")["count"] == 100
    assert [row["project_key"] for row in call.done("GET projects?limit=1&offset=1")["projects"]] == [SIBLING]
    assert call.done("GET projects?limit=500&offset=100")["count"] == 12
    assert call.refused("GET projects?limit=501")[0] == 400


def test_paused_projects_are_listed_on_request(call: Caller) -> None:
    """Paused projects come with include_inactive only, deleted ones never; it must be true or false."""
    state = call.emulator.state
    state.set_status(SIBLING, PAUSED)
    state.set_status(made(call, name="a")["project_key"], DELETED)

    for query, expected in (("", 1), ("?include_inactive=false", 1), ("?include_inactive=true", 2)):
        assert call.done(f"GET projects{query}")["count"] == expected
    assert call.done("GET projects?include_inactive=true")["projects"][1]["status"] == 0
    for wrong in ("yes", "", "1"):
        text = "include_inactive must be true or false"
        assert call.refused(f"GET projects?include_inactive={wrong}") == (400, text)


def test_a_paused_project_is_a_403(call: Caller) -> None:
    """All calls about a paused project are refused, and those that it gives the right for; it can go on again."""
    call.emulator.state.set_status(call.project, PAUSED)

    refusals = [at_project(call, method, {"name": "a"}) for method in ("GET", "PATCH", "DELETE")]
    calls = ("GET projects", "POST projects", "GET configuration", "PATCH configuration")
    refusals += [call(name, name="a", confidence_level=60) for name in calls]
    assert refusals == [(403, {"error": "Project is inactive"})] * 7
    assert at_project(of(call, SIBLING), "GET")[0] == 200  # a paused project's key opens its siblings
    call.emulator.state.set_status(call.project, 1)
    assert at_project(call, "GET")[0] == 200


def test_a_key_opens_the_projects_of_its_company(call: Caller) -> None:
    """Any API key of a company reads, changes and deletes any of its projects, and none of another company's."""
    sibling = of(call, SIBLING)
    assert at_project(sibling, "GET")[1]["project"]["created_at"] == STAMP
    assert at_project(sibling, "PATCH", {"name": "a"})[0] == 200
    assert [row["company_id"] for row in sibling.done("GET projects")["projects"]] == [1001, 1001]
    assert made(of(call, FOREIGN, "foreign-key"), name="b")["company_id"] == 2002
    assert of(call, FOREIGN, "foreign-key").done("GET projects")["count"] == 2

    foreign = of(call, FOREIGN)
    for method in ("GET", "PATCH", "DELETE"):
        assert at_project(foreign, method, {"name": "a"}) == (401, {"error": "Invalid or missing API key"})
    assert foreign.refused("GET projects")[0] == 401
    assert at_project(of(call, "unknown"), "GET") == (404, {"error": "Project not found"})
    assert at_project(of(call, "unknown", "wrong"), "GET")[0] == 401
    assert at_project(sibling, "DELETE")[0] == 200


@pytest.mark.parametrize("name", ["GET events", "GET goals", "POST goal", "GET configuration", "GET account/members"])
def test_a_key_opens_nothing_else_of_its_siblings(call: Caller, name: str) -> None:
    """What is in a project opens with the project's own key alone."""
    assert of(call, SIBLING).refused(name) == (401, "Invalid or missing API key")
    assert of(call, SIBLING, "sibling-key")(name)[0] in {200, 400}


def test_a_new_project_has_no_key_until_it_gets_one(call: Caller) -> None:
    """Nothing opens what is in a new project, no empty key either; once it has one, that opens its company, too."""
    key = made(call, name="a")["project_key"]

    for headers in (
        {},
        {"x-api-key": ""},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer None"},
        call.headers,
    ):
        caller = of(call, key)
        caller.headers = headers
        assert caller.refused("GET goals")[0] == 401
    call.emulator.state.set_api_key(key, "new-key")
    assert of(call, key, "new-key").done("GET goals")["count"] == 0
    assert at_project(of(call, SIBLING, "new-key"), "GET")[0] == 200
    call.emulator.state.set_api_key(key, "newer-key")
    assert of(call, key, "new-key").refused("GET goals")[0] == 401


def test_a_new_project_is_empty_and_like_the_one_in_the_path() -> None:
    """It has the settings of its sibling, and nothing of what is in it; numbers of rows are still used once."""
    call = Caller(Emulator(auto_visitors=True, plan_goal_limit=1))
    projects = call.emulator.state.projects
    projects[call.project].store(ExperimentStore).live_limit = 3
    goal = {"goal_name": "a", "goal_type": "event", "goal_value": "b"}
    first = call.done("POST goal", **goal)["goal_profile_id"]
    call.done("POST event", event_name="a", id="x")
    key = made(call, name="a")["project_key"]
    call.emulator.state.set_api_key(key, "new-key")
    new = of(call, key, "new-key")

    assert (new.done("GET events")["count"], new.done("GET goals")["count"]) == (0, 0)
    assert new.done("POST goal", **goal)["goal_profile_id"] > first
    assert new.refused("POST goal", **goal)[0] == 403
    new.done("POST event", event_name="a", id="y")
    assert len(call.emulator.recorded) == 2
    assert call.emulator.visitors == 1
    assert projects[key].store(ExperimentStore).live_limit == 3


def test_a_deleted_project_is_gone(call: Caller) -> None:
    """A project is deleted once; then no key finds it or anything in it, and its own key opens nothing."""
    sibling = of(call, SIBLING)
    status, answer = at_project(sibling, "DELETE")

    message = "The project is deleted; its data is kept"
    assert (status, answer) == (200, {"success": True, "project_key": SIBLING, "status": 2, "message": message})
    for method in ("GET", "PATCH", "DELETE"):
        assert at_project(sibling, method, {"name": "a"}) == (404, {"error": "Project not found"})
    own = of(call, SIBLING, "sibling-key")
    for name in ("GET events", "POST projects", "GET configuration"):
        assert own.refused(name) == (404, "Project not found")
    assert at_project(of(call, call.project, "sibling-key"), "GET")[0] == 401


def test_a_deleted_project_is_gone_for_the_sdks(call: Caller) -> None:
    """The calls of the SDKs, which name a project in the path or the body, find it until it is deleted."""

    def ask() -> list[int]:
        flags = json.dumps({"key": SIBLING}).encode()
        track = json.dumps({"id": "u"}).encode()
        return [call.raw("POST", "/feature-flag", flags)[0], call.raw("POST", f"/track/{SIBLING}", track)[0]]

    assert ask() == [200, 200]
    call.emulator.state.set_status(SIBLING, DELETED)
    assert ask() == [404, 404]
    assert call.raw("POST", "/feature-flag", b'{"key": 7}') == (404, {"error": "Project not found"})


def test_deleting_a_project_stops_its_live_experiments(call: Caller) -> None:
    """What was live is inactive then; drafts stay drafts, and the experiments of siblings go on."""
    projects = call.emulator.state.projects
    for project in (projects[call.project], projects[SIBLING]):
        for status in (LIVE, DRAFT, INACTIVE):
            row = ExperimentRow(test_id=project.next_id(), test_name="a", status=status, created_at=0.0, updated_at=0.0)
            project.store(ExperimentStore).rows.add(row.test_id, row)
    at_project(of(call, SIBLING), "DELETE")

    def states(key: str) -> list[int]:
        return [row.status for row in projects[key].store(ExperimentStore).present()]

    assert states(SIBLING) == [INACTIVE, DRAFT, INACTIVE]
    assert states(call.project) == [LIVE, DRAFT, INACTIVE]


def test_what_is_set_must_be_there(call: Caller) -> None:
    """Giving a key to a project that there is not, or pausing it, is an error of the test."""
    with pytest.raises(ValueError, match="there is no project 'x'; add it with add_project"):
        call.emulator.state.set_api_key("x", "y")
    with pytest.raises(ValueError, match="there is no project 'x'"):
        call.emulator.state.set_status("x", 0)


def test_tests_give_keys_and_pause_projects() -> None:
    """What only the dashboard can do, tests do by methods of the emulator, which check what they are given."""
    emulator = Emulator()
    call = Caller(emulator)
    key = made(call, name="a")["project_key"]

    emulator.set_api_key(key, "new-key")
    assert of(call, key, "new-key").done("GET goals")["count"] == 0
    assert emulator.api_key != "new-key"
    emulator.set_api_key(emulator.project_key, "own-key")
    assert emulator.api_key == "own-key"
    assert call.refused("GET goals")[0] == 401
    own = of(call, emulator.project_key, "own-key")
    assert own.done("GET goals")["count"] == 0
    emulator.set_project_status(emulator.project_key, 0)
    assert at_project(own, "GET") == (403, {"error": "Project is inactive"})
    emulator.set_project_status(emulator.project_key, 2)
    assert at_project(own, "GET")[0] == 404
    emulator.set_project_status(emulator.project_key, 1)
    assert at_project(own, "GET")[0] == 200

    with pytest.raises(ValueError, match="no project 'x'"):
        emulator.set_api_key("x", "y")
    with pytest.raises(ValueError, match="no project 'x'"):
        emulator.set_project_status("x", 0)
    with pytest.raises(ValueError, match="status is 3; it must be 1"):
        emulator.set_project_status(key, 3)


def test_a_project_may_belong_to_another_company() -> None:
    """Projects that are added are siblings of the first, unless they are given a company of their own."""
    emulator = Emulator(company_id=7)
    emulator.add_project("sibling", "sibling-key")
    emulator.add_project("foreign", "foreign-key", company_id=8)
    call = Caller(emulator)

    listed = call.done("GET projects")
    assert [row["project_key"] for row in listed["projects"]] == [emulator.project_key, "sibling"]
    assert (listed["company_id"], of(call, "foreign", "foreign-key").done("GET projects")["company_id"]) == (7, 8)
    assert at_project(of(call, "foreign"), "GET")[0] == 401


def test_no_secret_is_shown(call: Caller) -> None:
    """The repr of projects and companies holds no API key."""
    project = call.emulator.state.projects[SIBLING]
    assert "sibling-key" not in repr(project) + repr(project.company) + repr(call.emulator.state.projects)


def goal(call: Caller, key: str) -> int:
    """Make a goal."""
    number: int = call.done("POST goal", goal_name=key.title(), goal_type="event", goal_value=key, goal_key=key)[
        "goal_profile_id"
    ]
    return number


def configuration(call: Caller) -> dict[str, Any]:
    """Show the configuration."""
    shown: dict[str, Any] = call.done("GET configuration")["configuration"]
    return shown


def test_a_configuration_begins_with_the_defaults(call: Caller) -> None:
    """The documented defaults, and no goals; a project's configuration is its own."""
    call.done("PATCH configuration", confidence_level=80)

    assert configuration(of(call, SIBLING, "sibling-key")) == {
        "analysis_method": "1",
        "frequentist_type": "0",
        "confidence_level": "95",
        "stats_engine": "bayesian",
        "confidence_threshold_percent": 95,
        "weekly_ai_summary_enabled": False,
        "primary_goal_id": None,
        "primary_goal": None,
        "secondary_goals": [],
    }


def test_a_change_answers_in_its_own_shape(call: Caller) -> None:
    """The answer to a change has the documented keys, with goals as texts; reading shows them as they are."""
    buy, join = goal(call, "buy"), goal(call, "join")
    metrics = [{"goal_key": "join"}, {"text": "_pageview", "name": "Pages"}, {"text": "Purchase", "name": "P"}]
    answer = call.done(
        "PATCH configuration",
        analysis_method="0",
        frequentist_type="2",
        confidence_level=97.5,
        primary_goal_key="buy",
        secondary_goals=metrics,
        weekly_ai_summary_enabled=True,
        skip_pre_publish_check=True,
    )

    assert answer["configuration"] == {
        "analysis_method": "0",
        "frequentist_type": "2",
        "confidence_level": "97.5",
        "primary_goal_id": buy,
        "secondary_goals": [
            {"type": 2, "text": f"goal_{join}", "name": "Join", "attributeFilter": None},
            {"type": 2, "text": "_pageview", "name": "Pages", "attributeFilter": None},
            {"type": 2, "text": "Purchase", "name": "P", "attributeFilter": None},
        ],
        "weekly_ai_summary_enabled": True,
        "skip_pre_publish_check": True,
    }
    resolved = {"goal_type": "event", "goal_profile_id": buy, "goal_key": "buy", "goal_value": "buy"}
    assert configuration(call) == {
        "analysis_method": "0",
        "frequentist_type": "2",
        "confidence_level": "97.5",
        "stats_engine": "frequentist",
        "confidence_threshold_percent": 97.5,
        "weekly_ai_summary_enabled": True,
        "primary_goal_id": buy,
        "primary_goal": {**resolved, "goal_name": "Buy"},
        "secondary_goals": [
            {
                "type": 2,
                "text": f"goal_{join}",
                "name": "Join",
                "goal_profile_id": join,
                "goal_key": "join",
                "goal_type": "event",
                "goal_value": "join",
            },
            {"type": 2, "text": "_pageview", "name": "Pages"},
            {"type": 2, "text": "Purchase", "name": "P", "event_name": "Purchase"},
        ],
    }


def test_what_is_read_can_be_written(call: Caller) -> None:
    """The entries of both answers are taken back; an empty list and null clear."""
    goal(call, "buy")
    call.done("PATCH configuration", primary_goal_key="buy", secondary_goals=[{"goal_key": "buy"}])
    shown = configuration(call)["secondary_goals"]
    answer = call.done("PATCH configuration", secondary_goals=shown)["configuration"]["secondary_goals"]

    assert call.done("PATCH configuration", secondary_goals=answer)["configuration"]["secondary_goals"] == answer
    assert configuration(call)["secondary_goals"] == shown
    cleared = call.done("PATCH configuration", secondary_goals=[], primary_goal_key=None)["configuration"]
    assert (cleared["secondary_goals"], cleared["primary_goal_id"]) == ([], None)


def test_secondary_goals_have_the_name_that_the_goal_has_now(call: Caller) -> None:
    """A goal that is named by its key is shown by its current name; a name that was given stays."""
    first, second = goal(call, "first"), goal(call, "second")
    given = [{"goal_key": "first"}, {"text": f"goal_{second}", "name": "Given"}, {"text": "_pageview", "name": "Pages"}]
    call.done("PATCH configuration", secondary_goals=given)

    for number in (first, second):
        call.done(f"PATCH goal/{number}", goal_name="Renamed")

    shown = configuration(call)["secondary_goals"]
    assert [entry["name"] for entry in shown] == ["Renamed", "Given", "Pages"]
    changed = call.done("PATCH configuration", weekly_ai_summary_enabled=True)["configuration"]["secondary_goals"]
    assert [entry["name"] for entry in changed] == ["Renamed", "Given", "Pages"]


def test_deleted_goals_leave_the_configuration(call: Caller) -> None:
    """A goal that is deleted is neither primary nor secondary any more, and cannot be chosen."""
    number = goal(call, "buy")
    call.done("PATCH configuration", primary_goal_key="buy", secondary_goals=[{"goal_key": "buy"}])
    project = call.emulator.state.projects[call.project]
    assert getattr(default_goal(project), "goal_profile_id", None) == number
    call.done(f"DELETE goal/{number}")

    shown = configuration(call)
    assert (shown["primary_goal_id"], shown["primary_goal"], shown["secondary_goals"]) == (None, None, [])
    assert default_goal(project) is None
    assert call.refused("PATCH configuration", primary_goal_key="buy")[0] == 404
    assert call.refused("PATCH configuration", secondary_goals=[{"text": f"goal_{number}", "name": "a"}])[0] == 404


@pytest.mark.parametrize(
    ("fields", "status", "text"),
    [
        ({}, 400, "The body has no field of the configuration"),
        ({"stats_engine": "bayesian"}, 400, "The body has no field of the configuration"),
        ({"analysis_method": 1}, 400, "analysis_method must be one of 1, 0"),
        ({"analysis_method": []}, 400, "analysis_method must be one of 1, 0"),
        ({"frequentist_type": "1"}, 400, "frequentist_type must be one of 0, 2"),
        ({"confidence_level": 49}, 400, "confidence_level must be a number from 50 to 99"),
        ({"confidence_level": 99.5}, 400, "confidence_level must be"),
        ({"confidence_level": "95"}, 400, "confidence_level must be"),
        ({"confidence_level": True}, 400, "confidence_level must be"),
        ({"primary_goal_key": 7}, 400, "primary_goal_key must be a non-empty string"),
        ({"primary_goal_key": "foreign"}, 404, "Goal not found in this project"),
        ({"secondary_goals": None}, 400, "secondary_goals must be an array"),
        ({"secondary_goals": {}}, 400, "secondary_goals must be an array"),
        ({"secondary_goals": ["buy"]}, 400, "secondary_goals must hold objects"),
        ({"secondary_goals": [{}]}, 400, "text is required"),
        ({"secondary_goals": [{"text": "a"}]}, 400, "name is required"),
        ({"secondary_goals": [{"goal_key": 1}]}, 400, "goal_key must be a non-empty string"),
        ({"secondary_goals": [{"goal_key": "foreign"}]}, 404, "Goal not found in this project"),
        ({"secondary_goals": [{"text": "goal_9", "name": "a"}]}, 404, "Goal not found in this project"),
        ({"weekly_ai_summary_enabled": 1}, 400, "weekly_ai_summary_enabled must be true or false"),
        ({"skip_pre_publish_check": None}, 400, "skip_pre_publish_check must be true or false"),
    ],
)
def test_a_wrong_configuration_changes_nothing(call: Caller, fields: dict[str, Any], status: int, text: str) -> None:
    """What is wrong is named; a goal that is none of the project is a 404; the good fields beside it are not kept."""
    goal(of(call, FOREIGN, "foreign-key"), "foreign")
    good = {"frequentist_type": "2"} if "frequentist_type" not in fields and "no field" not in text else {}
    found = call.refused("PATCH configuration", **{**good, **fields})

    assert (found[0], found[1][: len(text)]) == (status, text)
    assert call.emulator.state.projects[call.project].store(ConfigurationStore) == ConfigurationStore()


def test_the_members_of_an_account_are_those_of_its_company(call: Caller) -> None:
    """All projects of a company show the same members, with the documented keys; another company has its own."""
    members = call.emulator.state.projects[SIBLING].company.store(MemberStore)
    members.rows.append(MemberRow(name="Sam", email="sam@example.com", role=3, invited=True))
    members.rows.append(MemberRow(name="Ethan", email="e@example.com", role=1, last_login_at=TODAY))

    answer = call.done("GET account/members")
    assert answer["count"] == 3
    assert answer["members"][1:] == [
        {
            "name": "Sam",
            "email": "sam@example.com",
            "role": 3,
            "role_label": "Viewer",
            "can_edit": False,
            "status": "invited",
            "membership": "invited member",
            "last_login_at": None,
        },
        {
            "name": "Ethan",
            "email": "e@example.com",
            "role": 1,
            "role_label": "Admin",
            "can_edit": True,
            "status": "active",
            "membership": "invited member",
            "last_login_at": STAMP,
        },
    ]
    (owner,) = of(call, FOREIGN, "foreign-key").done("GET account/members")["members"]
    assert (owner["role_label"], owner["membership"], owner["status"]) == ("Owner", "direct", "active")
    with pytest.raises(ValueError, match="'role' must be in"):
        MemberRow(name="a", email="b", role=4)


def test_an_api_key_is_nobody(call: Caller) -> None:
    """The access of an API key has the documented keys, and no role."""
    answer = call.done("GET account/my-access")
    assert answer.pop("note")
    assert answer == {"authenticated_as": "project API key", "role": None, "role_label": None, "can_edit": True}


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
_METRICS = st.lists(st.dictionaries(st.sampled_from(["goal_key", "text", "name"]), _VALUES | st.just("goal_1")))
_CONTENT = st.dictionaries(
    st.sampled_from(
        [
            *("website_name", "name", "widget_name", "allowed_website", "widget_allowed_website"),
            *("monthly_average_traffic", "analysis_method", "frequentist_type", "confidence_level"),
            *("primary_goal_key", "secondary_goals", "weekly_ai_summary_enabled", "skip_pre_publish_check"),
        ]
    ),
    _VALUES | _METRICS,
)


@given(_CONTENT, st.sampled_from(["POST projects", "PATCH configuration", "PATCH"]))
def test_no_body_breaks_the_emulator(content: dict[str, object], name: str) -> None:
    """Whatever the body, the answer is a success, a 400 or a 404, and what is shown afterwards is whole."""
    call = Caller()
    goal(call, "buy")
    status, _ = at_project(call, "PATCH", content) if name == "PATCH" else call(name, **content)

    assert status in {200, 201, 400, 404}
    assert at_project(call, "GET")[0] == 200
    assert set(configuration(call)) >= {"confidence_level", "secondary_goals"}
