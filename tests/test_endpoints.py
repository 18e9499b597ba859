"""The table of endpoints, against the vendor's pages."""

from __future__ import annotations

import re

import attrs
import pytest

from mida_async._core.endpoints import DOCS, ENDPOINTS, Endpoint, Repeat

PROJECT = "/v2/project/{project_key}"

# docs/v2, 2026-08-22: the titles and "Endpoint" lines of the pages on events and goals.
DOCUMENTED = {
    "events.record": ("POST", f"{PROJECT}/event", "create-event"),
    "events.create": ("POST", f"{PROJECT}/event", "create-event"),
    "events.list": ("GET", f"{PROJECT}/events", "list-events"),
    "events.get": ("GET", f"{PROJECT}/event/{{event_id}}", "get-event-details"),
    "events.update": ("PATCH", f"{PROJECT}/event/{{event_id}}", "update-event"),
    "events.delete": ("DELETE", f"{PROJECT}/event/{{event_id}}", "delete-event"),
    "goals.list": ("GET", f"{PROJECT}/goals", "list-goals"),
    "goals.create": ("POST", f"{PROJECT}/goal", "create-goal"),
    "goals.get": ("GET", f"{PROJECT}/goal/{{goal_profile_id}}", "get-goal-details"),
    "goals.update": ("PATCH", f"{PROJECT}/goal/{{goal_profile_id}}", "update-goal"),
    "goals.delete": ("DELETE", f"{PROJECT}/goal/{{goal_profile_id}}", "delete-goal"),
}

ROWS = pytest.mark.parametrize("row", ENDPOINTS.values(), ids=lambda row: row.name)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_each_endpoint_is_where_its_page_says(name: str) -> None:
    """Method, path and page of each row are the documented ones."""
    row = ENDPOINTS[name]
    assert (row.method, row.path, row.page) == (*DOCUMENTED[name][:2], f"{DOCS}/{DOCUMENTED[name][2]}.md")


@ROWS
def test_each_row_is_found_by_its_name(row: Endpoint) -> None:
    """The name of a row is its key, and consists of section and method."""
    assert ENDPOINTS[row.name] is row
    assert re.fullmatch(r"[a-z_]+\.[a-z_]+", row.name)


@ROWS
def test_only_what_may_happen_twice_is_repeated(row: Endpoint) -> None:
    """R9: reading, PATCH and DELETE may be repeated; what makes something new may not."""
    assert (row.repeat is Repeat.UNSAFE) == (row.method == "POST")


@ROWS
def test_each_path_stays_within_its_project(row: Endpoint) -> None:
    """R17: a path names the project first, and nothing but names in braces is ever filled in."""
    assert re.fullmatch(r"/v2/project/\{project_key\}(/[a-z]+|/\{[a-z_]+\})*", row.path)


def test_the_plan_caps_goals_alone() -> None:
    """Of these pages only create-goal documents 403 as "the plan allows no more"."""
    assert [row.name for row in ENDPOINTS.values() if row.plan_capped] == ["goals.create"]


def test_only_a_recorded_event_needs_no_answer() -> None:
    """R9: a recorded event is accepted by its status alone; every other answer holds something to return."""
    assert [row.name for row in ENDPOINTS.values() if not row.body_matters] == ["events.record"]


def test_the_table_cannot_be_changed() -> None:
    """Neither the table nor a row can be changed by whoever reads it."""
    with pytest.raises(TypeError):
        ENDPOINTS["x"] = ENDPOINTS["events.list"]  # type: ignore[index]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        ENDPOINTS["events.list"].path = "/"  # type: ignore[misc]
