"""The emulator's endpoints of goals, as documented."""

from __future__ import annotations

from typing import Any

import pytest
from emulator_caller import Caller

from mida_async.testing import Emulator
from mida_async.testing._emulator import goals


@pytest.fixture(name="call")
def _call() -> Caller:
    return Caller()


def goal(call: Caller, name: str = "CTA Button Click", **fields: object) -> dict[str, Any]:
    """Make a goal."""
    return call.done("POST goal", **{"goal_name": name, "goal_type": "clickOnElement", "goal_value": ".cta", **fields})


def test_a_goal_is_created_listed_and_shown(call: Caller) -> None:
    """The documented request gets the documented answer; list and details have their documented keys."""
    answer = goal(call, goal_purpose="engage", element_url="https://example.com/")

    number = answer["goal_profile_id"]
    assert answer == {"goal_profile_id": number, "goal_key": "cta_button_click", "company_id": 1001}
    brief = {
        "goal_profile_id": number,
        "goal_key": "cta_button_click",
        "goal_name": "CTA Button Click",
        "goal_type": "clickOnElement",
        "goal_value": ".cta",
        "goal_purpose": "engage",
        "element_url": "https://example.com/",
    }
    assert call.done("GET goals") == {"company_id": 1001, "count": 1, "goals": [brief]}
    details = call.done(f"GET goal/{number}")["goal"]
    assert details == {**brief, "status": 1, "created_at": "2024-01-15T10:30:00.000Z"}


@pytest.mark.parametrize("goal_type", goals.GOAL_TYPES)
def test_all_goal_types_are_taken(call: Caller, goal_type: str) -> None:
    """Each of the 14 documented types is stored as it is; the purpose is sell and the address null by default."""
    number = goal(call, goal_type=goal_type)["goal_profile_id"]

    details = call.done(f"GET goal/{number}")["goal"]
    assert (details["goal_type"], details["goal_purpose"], details["element_url"]) == (goal_type, "sell", None)
    assert len(set(goals.GOAL_TYPES)) == 14


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"goal_name": None}, "goal_name is required"),
        ({"goal_name": " "}, "goal_name must be a non-empty string"),
        ({"goal_type": None}, "goal_type is required"),
        ({"goal_type": "click"}, "goal_type must be one of pageview, "),
        ({"goal_type": 3}, "goal_type must be a non-empty string"),
        ({"goal_value": None}, "goal_value is required"),
        ({"goal_value": 75}, "goal_value must be a non-empty string"),
        ({"goal_key": ""}, "goal_key must be a non-empty string"),
        ({"goal_purpose": "buy"}, "goal_purpose must be one of sell, engage, generate"),
        ({"element_url": 1}, "element_url must be a string"),
    ],
)
def test_a_wrong_goal_is_a_400_that_names_the_field(call: Caller, fields: dict[str, Any], text: str) -> None:
    """Each field that is missing or wrong is named, and no goal is made."""
    status, error = call.refused("POST goal", **{"goal_name": "n", "goal_type": "event", "goal_value": "v", **fields})

    assert (status, error[: len(text)]) == (400, text)
    assert call.done("GET goals")["count"] == 0


def test_goal_keys_are_made_from_names_and_unique(call: Caller) -> None:
    """A key that is not given is a slug of the name, numbered if it is taken; null is the same as not given."""
    names = ("Sign-up: done!", "sign up done", "SIGN UP DONE", "日本")

    keys = [goal(call, name)["goal_key"] for name in names]

    assert keys == ["sign_up_done", "sign_up_done_2", "sign_up_done_3", "goal"]
    assert goal(call, "x", goal_key=None, goal_purpose=None, element_url=None)["goal_key"] == "x"
    assert goal(call, "x", goal_key="My-Key")["goal_key"] == "My-Key"


def test_a_taken_goal_key_is_a_406(call: Caller) -> None:
    """A key is taken once, by create and by update; its own key is no conflict, and a deleted goal frees its."""
    first = goal(call, goal_key="one")["goal_profile_id"]
    second = goal(call, goal_key="two")["goal_profile_id"]

    status, text = call.refused("POST goal", goal_name="n", goal_type="event", goal_value="v", goal_key="one")
    assert (status, "goal_key one" in text) == (406, True)
    assert call.refused(f"PATCH goal/{second}", goal_key="one", goal_name="new")[0] == 406
    assert call.done(f"GET goal/{second}")["goal"]["goal_name"] == "CTA Button Click"
    assert call.done(f"PATCH goal/{second}", goal_key="two") == {"goal_profile_id": second}
    call.done(f"DELETE goal/{first}")
    assert call.done(f"PATCH goal/{second}", goal_key="one") == {"goal_profile_id": second}


def test_the_plan_limits_the_goals() -> None:
    """Over the plan's number a goal is a 403; deleted ones do not count; a wrong goal is still a 400."""
    call = Caller(Emulator(plan_goal_limit=2))
    first = goal(call, "a")["goal_profile_id"]
    goal(call, "b")

    status, text = call.refused("POST goal", goal_name="c", goal_type="event", goal_value="v")
    assert (status, "2 goals" in text) == (403, True)
    assert call.refused("POST goal", goal_name="c")[0] == 400
    call.done(f"DELETE goal/{first}")
    goal(call, "c")


def test_a_goal_is_updated_in_part(call: Caller) -> None:
    """Any subset of the documented fields is replaced; wrong ones are named and change nothing."""
    number = goal(call)["goal_profile_id"]

    call.done(f"PATCH goal/{number}", goal_name="New", goal_type="scrolling", goal_value="75", element_url="u")
    assert call.refused(f"PATCH goal/{number}", goal_name="Newer", goal_purpose="x")[0] == 400
    assert call.refused(f"PATCH goal/{number}", goal_type=None)[0] == 400
    details = call.done(f"GET goal/{number}")["goal"]
    assert [details[key] for key in ("goal_name", "goal_type", "goal_value", "element_url", "goal_purpose")] == [
        "New",
        "scrolling",
        "75",
        "u",
        "sell",
    ]
    assert call.refused("PATCH goal/99", goal_name="x") == (404, "Goal not found")


def test_deleting_hides_a_goal_and_happens_once(call: Caller) -> None:
    """A deleted goal leaves the list, is shown with status 2, and cannot be deleted again."""
    number = goal(call)["goal_profile_id"]

    assert call.done(f"DELETE goal/{number}") == {"goal_profile_id": number, "deleted": True}
    assert call.done("GET goals")["goals"] == []
    assert call.done(f"GET goal/{number}")["goal"]["status"] == 2
    assert call.refused(f"DELETE goal/{number}") == (404, "Goal not found")


def test_goals_come_in_pages(call: Caller) -> None:
    """A limit and an offset cut pages out of the goals, the oldest first."""
    for name in ("a", "b", "c"):
        goal(call, name)

    assert [row["goal_name"] for row in call.done("GET goals?limit=1&offset=1")["goals"]] == ["b"]
