"""
The emulator against its own OpenAPI document: whatever is sent, it answers as the document says.

schemathesis makes the requests, good ones and bad ones. They go over loopback sockets to an emulator that holds a few
rows, so that some of them find what they ask for.
"""

from __future__ import annotations

import functools
import json
import re
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import strategies
from openapi_variants import aimed, closed, examples, small
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure
from schemathesis.specs.openapi import checks
from wire import SAMPLES

from mida_async._core.endpoints import Endpoint, Host
from mida_async._core.endpoints.table import ENDPOINTS
from mida_async.testing import NotJSON, Status, ThreadedEmulator
from mida_async.testing._openapi import document

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hypothesis.strategies import SearchStrategy
    from schemathesis import Case

    from mida_async.testing import Fault

EXAMPLES: Final = 12
SLOW: Final = [
    hypothesis.HealthCheck.too_slow,
    hypothesis.HealthCheck.filter_too_much,
    hypothesis.HealthCheck.data_too_large,
]
MOSTLY: Final = 9  # of ten
CHECKS: Final = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]

DOCUMENT: Final = small(closed(document("/")))

# What the vendor's pages send: half of the good bodies, because one that is drawn seldom makes sense.
BODIES: Final = {
    row.name: [each.body for each in SAMPLES if each.endpoint == row.name]
    for row in ENDPOINTS.values()
    if any(field.place == "body" for field in row.fields)
}

# One row of the table for each method and path: of Create Event's two bodies, the first.
OPERATIONS: Final = tuple({(row.method, row.path): row for row in reversed(list(ENDPOINTS.values()))}.values())[::-1]


FIXTURE: Final = json.loads((Path(__file__).parent / "data" / "fixture.json").read_text(encoding="utf-8"))
FIXTURE["projects"][0]["comment_author"] = "Ann"  # a plain key may not write comments, and Ann has written one

# Where a list shows what other endpoints take: its name, the key of its rows, and in those the key of each value.
SHOWN: Final = (
    ("events.list", "events", {"event_id": "event_id"}),
    ("goals.list", "goals", {"goal_profile_id": "goal_profile_id", "goal_key": "goal_key"}),
    ("experiments.list", "experiments", {"test_id": "test_id"}),
    ("experiments.list_comments", "comments", {"comment_id": "comment_id"}),
    ("exclusion_groups.list", "groups", {"group_id": "id"}),
    ("personalization.list_campaigns", "campaigns", {"campaign_id": "abm_campaign_id"}),
)


class Service:
    """An emulator that holds a few rows, and what they are called."""

    def __init__(self, emulator: ThreadedEmulator) -> None:
        self.emulator = emulator
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy between this and loopback
        self.known: dict[str, list[object]] = {
            **{name: [emulator.project_key] for name in ("project_key", "key")},
            **{name: ["user_1"] for name in ("distinct_id", "user_id", "id")},
            "experiment_key": ["ranking"],
            "variant_id": ["0", "1"],
        }

    def headers(self, row: Endpoint) -> dict[str, str]:
        """Return the headers that say who asks."""
        return {"Authorization": f"Bearer {self.emulator.api_key}"} if row.host is Host.REST else {}

    def send(self, name: str, body: Any = None) -> dict[str, Any]:
        """Call an endpoint about the first rows of what is known, and return the answer."""
        row = ENDPOINTS[name]
        url = self.emulator.base_url + row.path.format_map({key: values[0] for key, values in self.known.items()})
        response = self.session.request(row.method, url, headers=self.headers(row), json=body, timeout=10)
        answer: dict[str, Any] = response.json()
        assert response.ok, answer
        return answer

    def look(self) -> None:
        """Find out what there is; the first experiment serves its variant."""
        for name, key, columns in SHOWN:
            rows = self.send(name)[key]
            for field, column in columns.items():
                self.known[field] = [row[column] for row in rows]
        self.send("experiments.serve_winner", {"variant_id": "1"})


@pytest.fixture
def service() -> Iterator[Service]:
    """Serve a project with a row of each kind."""
    with ThreadedEmulator(auto_visitors=True, fixture=FIXTURE) as emulator:
        service = Service(emulator)
        with service.session:
            service.look()
            yield service


@functools.cache
def operations() -> Any:
    """Return what makes requests, by path and method."""
    config = schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}})
    return schemathesis.openapi.from_dict(DOCUMENT, config=config)


def requests_for(service: Service, row: Endpoint) -> SearchStrategy[Case[Any]]:
    """Return good and bad requests to an endpoint; most of them name rows that exist."""
    operation = operations()[row.path][row.method]
    known = examples(DOCUMENT) | service.known

    @strategies.composite
    def case(draw: strategies.DrawFn) -> Case[Any]:
        def choose(values: Sequence[object]) -> object:
            return draw(strategies.sampled_from(values))

        mode = draw(strategies.sampled_from(GenerationMode))
        found: Case[Any] = draw(operation.as_strategy(generation_mode=mode))
        if draw(strategies.integers(0, 9)) < MOSTLY:
            found.path_parameters |= aimed(found.path_parameters, known, choose)
            found.query |= aimed(found.query, known, choose)
        if mode is GenerationMode.POSITIVE and row.name in BODIES:
            found.body = aimed(choose([found.body, *BODIES[row.name]]), known, choose)
        return found

    return case()


@pytest.mark.parametrize("row", OPERATIONS, ids=[row.name for row in OPERATIONS])
def test_every_answer_is_as_documented(row: Endpoint, service: Service) -> None:
    """Good and bad requests alike: no 5xx; status, content type and body are those of the document, and no more."""

    @hypothesis.settings(max_examples=EXAMPLES, suppress_health_check=SLOW)
    @hypothesis.given(case=requests_for(service, row))
    def check(case: Case[Any]) -> None:
        response = case.call(service.emulator.base_url, service.session, service.headers(row))
        case.validate_response(response, checks=CHECKS)

    check()


def documented(service: Service, row: Endpoint) -> Iterator[Case[Any]]:
    """Return what the vendor's pages send, about each of the rows that there are."""
    operation = operations()[row.path][row.method]
    for number in range(max(map(len, service.known.values()))):
        turn = count(number)
        for body in BODIES.get(row.name, [None]):
            # In turn, because some lists must not name one thing twice.
            aim = functools.partial(aimed, known=service.known, choose=lambda found: found[next(turn) % len(found)])  # noqa: B023
            path = {name: service.known[name] for name in re.findall(r"\{(\w+)\}", row.path)}
            given = {} if body is None else {"body": aim(body), "media_type": "application/json"}
            yield operation.Case(
                path_parameters={name: found[number % len(found)] for name, found in path.items()}, **given
            )


@pytest.mark.parametrize("row", OPERATIONS, ids=[row.name for row in OPERATIONS])
def test_documented_calls_succeed(row: Endpoint, service: Service) -> None:
    """What the vendor's pages send succeeds about one row at least, with the documented status and answer."""
    found = list[int]()
    for case in documented(service, row):
        response = case.call(service.emulator.base_url, service.session, service.headers(row))
        case.validate_response(response, checks=CHECKS)
        found.append(response.status_code)
    assert row.status in found


_GOAL: Final = {"goal_profile_id": 1, "goal_key": "a", "created_at": "2024-01-15T10:30:00.000Z"}


@pytest.mark.parametrize(
    ("problem", "answer"),
    [
        (None, Status(200, body={"success": True, "goal": _GOAL})),
        ("'colour' was unexpected", Status(200, body={"success": True, "goal": {**_GOAL, "colour": "red"}})),
        ("'pages' was unexpected", Status(200, body={"success": True, "goal": _GOAL, "pages": 1})),
        ('"goal_profile_id" is a required property', Status(200, body={"success": True, "goal": {}})),
        ("is not of type", Status(200, body={"success": True, "goal": {**_GOAL, "goal_profile_id": "1"}})),
        ("is not a ", Status(200, body={"success": True, "goal": {**_GOAL, "created_at": "today"}})),
        ("true was expected", Status(200, body={"success": False, "goal": _GOAL})),
        ('"goal" is a required property', Status(200, body={"success": True})),
        ('"error" is a required property', Status(404, body={"message": "no"})),
        ("418", Status(418, body={"error": "I'm a teapot"})),
        ("Server error", Status(500, body={"error": "Sorry"})),
        ("text/html", NotJSON()),
    ],
    ids=range(12),
)
def test_a_wrong_answer_is_seen(problem: str | None, answer: Fault, service: Service) -> None:
    """The checks find an undocumented key, a missing one, a wrong type, an undocumented status, a 5xx and HTML."""
    row = ENDPOINTS["goals.get"]
    values = {name: service.known[name][0] for name in ("project_key", "goal_profile_id")}
    case = operations()[row.path][row.method].Case(path_parameters=values)
    service.emulator.script(answer)
    response = case.call(service.emulator.base_url, service.session, service.headers(row))
    if problem is None:
        case.validate_response(response, checks=CHECKS)
        return
    with pytest.RaisesGroup(pytest.RaisesExc(Failure, check=lambda failure: problem in str(failure))):
        case.validate_response(response, checks=CHECKS)
