"""The table of endpoints, against the vendor's pages."""

from __future__ import annotations

import re

import attrs
import pytest

from mida_async._core.endpoints import DOCS, Endpoint, Host, Repeat
from mida_async._core.endpoints.table import ENDPOINTS

PROJECT = "/v2/project/{project_key}"

# docs/v2, 2026-08-22: the method and the path of each of the 47 pages. Create Event has had two bodies.
DOCUMENTED = {
    "events.record": "POST P/event create-event",
    "events.create": "POST P/event create-event",
    "events.list": "GET P/events list-events",
    "events.get": "GET P/event/{event_id} get-event-details",
    "events.update": "PATCH P/event/{event_id} update-event",
    "events.delete": "DELETE P/event/{event_id} delete-event",
    "goals.list": "GET P/goals list-goals",
    "goals.create": "POST P/goal create-goal",
    "goals.get": "GET P/goal/{goal_profile_id} get-goal-details",
    "goals.update": "PATCH P/goal/{goal_profile_id} update-goal",
    "goals.delete": "DELETE P/goal/{goal_profile_id} delete-goal",
    "experiments.list": "GET P/experiments list-experiments",
    "experiments.get": "GET P/experiment/{test_id} get-experiment-details",
    "experiments.create": "POST P/create-experiment create-experiment",
    "experiments.update": "PATCH P/experiment/{test_id} update-experiment",
    "experiments.set_status": "PATCH P/experiment/{test_id}/status update-experiment-status",
    "experiments.delete": "DELETE P/experiment/{test_id} delete-experiment",
    "experiments.preview_urls": "GET P/experiment/{test_id}/preview-urls get-experiment-preview-urls",
    "experiments.share_link": "GET P/experiment/{test_id}/share-link get-experiment-share-link",
    "experiments.distribution": "GET P/experiment/{test_id}/distribution get-experiment-distribution",
    "experiments.result": "GET P/experiment/{test_id}/result get-experiment-result",
    "experiments.timeseries": "GET P/experiment/{test_id}/timeseries get-experiment-timeseries",
    "experiments.metrics": "GET P/experiment/{test_id}/metrics get-experiment-metrics",
    "experiments.serve_winner": "POST P/experiment/{test_id}/serve-winner serve-experiment-winner",
    "experiments.set_rollout": "PATCH P/experiment/{test_id}/serving-rollout update-serving-rollout",
    "experiments.stop_serving": "POST P/experiment/{test_id}/stop-serving stop-experiment-serving",
    "experiments.list_comments": "GET P/experiment/{test_id}/discussion get-experiment-discussion",
    "experiments.add_comment": "POST P/experiment/{test_id}/discussion add-experiment-comment",
    "experiments.delete_comment": "DELETE P/experiment/{test_id}/discussion/{comment_id} delete-experiment-comment",
    "projects.list": "GET P/projects list-projects",
    "projects.get": "GET P get-project-details",
    "projects.create": "POST P/projects create-project",
    "projects.update": "PATCH P update-project",
    "projects.delete": "DELETE P delete-project",
    "projects.get_configuration": "GET P/configuration get-project-configuration",
    "projects.update_configuration": "PATCH P/configuration update-project-configuration",
    "exclusion_groups.list": "GET P/exclusion-groups list-exclusion-groups",
    "exclusion_groups.create": "POST P/exclusion-groups create-exclusion-group",
    "exclusion_groups.update": "PATCH P/exclusion-groups/{group_id} update-exclusion-group",
    "exclusion_groups.delete": "DELETE P/exclusion-groups/{group_id} delete-exclusion-group",
    "account.list_members": "GET P/account/members list-team-members",
    "account.my_access": "GET P/account/my-access get-my-access",
    "personalization.list_campaigns": "GET P/personalization/campaigns list-personalization-campaigns",
    "personalization.get_campaign": "GET P/personalization/campaigns/{campaign_id} get-personalization-campaign",
    "personalization.create_campaign": "POST P/personalization/campaigns create-personalization-campaign",
    "personalization.add_accounts": (
        "POST P/personalization/campaigns/{campaign_id}/accounts add-personalization-accounts"
    ),
    "personalization.suggested_pages": "GET P/personalization/suggested-pages personalization-suggested-pages",
    "personalization.list_saved_accounts": "GET P/personalization/saved-accounts list-saved-target-accounts",
}

# The calls of the server-side SDKs (mida-node 1.0.5 and others), which no page documents.
UNDOCUMENTED = {
    "visitors.get_variant": "POST /experiment/query",
    "visitors.record_event": "POST /experiment/event",
    "visitors.feature_flags": "POST /feature-flag",
    "visitors.set_attributes": "POST /track/{project_key}",
}

ROWS = pytest.mark.parametrize("row", ENDPOINTS.values(), ids=lambda row: row.name)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_each_endpoint_is_where_its_page_says(name: str) -> None:
    """Method, path and page of each row are the documented ones."""
    row = ENDPOINTS[name]
    path = row.path.replace(PROJECT, "P", 1)
    assert f"{row.method} {path} {(row.page or '').removeprefix(f'{DOCS}/').removesuffix('.md')}" == DOCUMENTED[name]
    assert row.host is Host.REST


@pytest.mark.parametrize("name", UNDOCUMENTED)
def test_each_call_of_the_sdks_is_where_they_make_it(name: str) -> None:
    """Method and path of the SDKs' calls are those of the SDKs, and they go to the SDKs' own host."""
    row = ENDPOINTS[name]
    assert (f"{row.method} {row.path}", row.page, row.host) == (UNDOCUMENTED[name], None, Host.SDK)


def test_all_calls_are_there() -> None:
    """The table holds the 47 documented endpoints, the older Create Event and the four calls of the SDKs."""
    assert set(ENDPOINTS) == set(DOCUMENTED) | set(UNDOCUMENTED)
    assert len(set(DOCUMENTED.values())) == 47


@ROWS
def test_each_row_is_found_by_its_name(row: Endpoint) -> None:
    """The name of a row is its key, and consists of section and method."""
    assert ENDPOINTS[row.name] is row
    assert re.fullmatch(r"[a-z_]+\.[a-z_]+", row.name)


# mida_api.md 11.5: what may happen twice when its fate is unknown. Each of these makes something new, mails or counts.
UNSAFE = {
    *("events.record", "events.create", "goals.create", "projects.create", "exclusion_groups.create"),
    *("experiments.add_comment", "personalization.create_campaign", "visitors.record_event"),
}


@ROWS
def test_only_what_may_happen_twice_is_repeated(row: Endpoint) -> None:
    """R9: reading, PATCH and DELETE may be repeated; what makes something new may not, unless it has a key."""
    assert (row.repeat is Repeat.UNSAFE) == (row.name in UNSAFE)
    assert row.repeat is Repeat.SAFE or row.method == "POST"


@ROWS
def test_each_path_stays_within_its_project(row: Endpoint) -> None:
    """R17: a path names the project first, and nothing but names in braces is ever filled in."""
    if row.host is Host.REST:
        assert re.fullmatch(r"/v2/project/\{project_key\}(/[a-z-]+|/\{[a-z_]+\})*", row.path)
    else:
        assert re.fullmatch(r"(/[a-z-]+)+(/\{project_key\})?", row.path)


@ROWS
def test_what_a_path_asks_for_are_fields(row: Endpoint) -> None:
    """Each name in braces is a field of the path, but for the project, which the client knows."""
    named = set(re.findall(r"\{(\w+)\}", row.path))
    fields = {field.name for field in row.fields if field.place == "path"}
    assert named - {"project_key"} == fields - {"project_key"}
    assert fields <= named


@ROWS
def test_each_field_is_described(row: Endpoint) -> None:
    """Every row and every field says in one sentence what it is for, because the commands and documents print that."""
    for text in (row.summary, *(field.help for field in row.fields)):
        assert re.fullmatch(r"[A-Z0-9`].*[.]", text), text
    assert len({field.name for field in row.fields}) == len(row.fields)


@ROWS
def test_only_what_is_sent_in_a_body_is_partial(row: Endpoint) -> None:
    """An update has fields to change and needs none of them; nothing but the body of an update is null."""
    body = [field for field in row.fields if field.place == "body"]
    if row.partial:
        assert row.method == "PATCH"
        assert body
        assert not [field.name for field in body if field.required]
    assert not [field.name for field in row.fields if field.nullable and field.place != "body"]


@ROWS
def test_lists_name_their_rows(row: Endpoint) -> None:
    """What says that it is a list has rows in its answer, and what can be paged is a list."""
    if row.rows:
        assert row.rows in {field.name for field in attrs.fields(row.answer)}
    if any(field.name == "offset" for field in row.fields):
        assert row.rows


# docs/v2/create-goal, create-experiment and update-experiment-status, 2026-08-22.
PLAN_CAPPED = {"goals.create", "experiments.create", "experiments.set_status"}


def test_the_plan_caps_goals_and_live_experiments() -> None:
    """Of the pages only these document 403 as "the plan allows no more"."""
    assert {row.name for row in ENDPOINTS.values() if row.plan_capped} == PLAN_CAPPED


@ROWS
def test_the_answer_matters_unless_it_says_nothing(row: Endpoint) -> None:
    """R9: what is accepted by its status alone is what only counts something; every other answer is returned."""
    silent = {"events.record", "visitors.record_event", "visitors.set_attributes"}
    assert row.body_matters or row.name in silent


def test_the_table_cannot_be_changed() -> None:
    """Neither the table nor a row can be changed by whoever reads it."""
    with pytest.raises(TypeError):
        ENDPOINTS["x"] = ENDPOINTS["events.list"]  # type: ignore[index]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        ENDPOINTS["events.list"].path = "/"  # type: ignore[misc]
