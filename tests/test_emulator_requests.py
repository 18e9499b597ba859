"""What the emulator checks before any endpoint, its projects, its limits and its memory."""

from __future__ import annotations

import pytest
from emulator_caller import Caller

from mida_async._core.endpoints.table import ENDPOINTS
from mida_async._settings import RateLimit
from mida_async.testing import Emulator, FixedWindow, ReceivedRequest
from mida_async.testing._emulator.records import Headers
from mida_async.testing._emulator.state import HANDLERS


@pytest.fixture(name="call")
def _call() -> Caller:
    return Caller()


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer the key"},
        {"authorization": "bearer   the key "},
        {"X-Api-Key": "the key"},
        {"api-key": "the key"},
        {"Authorization": "Bearer wrong", "api-key": "the key"},
    ],
)
def test_any_of_three_headers_opens_the_project(headers: dict[str, str]) -> None:
    """The API key is accepted in each of the documented headers."""
    call = Caller(Emulator(api_key="the key"))
    call.headers = headers

    assert call("GET events")[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic the key"},
        {"Authorization": "the key"},
        {"api-key": ""},
    ],
)
def test_a_missing_or_wrong_key_is_a_401(headers: dict[str, str]) -> None:
    """Without the key in one of the headers nothing is done; an unknown project does not change that."""
    call = Caller(Emulator(api_key="the key", auto_visitors=True))
    call.headers = headers

    assert call.refused("POST event", event_name="x", id="1") == (401, "Invalid or missing API key")
    call.project = "unknown"
    assert call.refused("GET events")[0] == 401
    assert call.emulator.recorded == []


def test_an_unknown_project_is_a_404(call: Caller) -> None:
    """A valid key finds no project of another name."""
    call.project = "unknown"

    assert call.refused("GET events") == (404, "Project not found")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v2",
        "/v2/project",
        "/v2/project/KEY/nothing",
        "/v2/project/KEY/event/1/more",
        "/v2/project//events",
        "/v3/x",
    ],
)
def test_an_unknown_path_is_a_404_in_json(call: Caller, path: str) -> None:
    """A path that no endpoint has is answered with the error envelope."""
    status, answer = call.raw("GET", path.replace("KEY", call.project))

    assert (status, list(answer)) == (404, ["error"])


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "event", "POST"),
        ("POST", "events", "GET"),
        ("PUT", "event/1", "DELETE, GET, PATCH"),
        ("HEAD", "goals", "GET"),
    ],
)
def test_a_wrong_method_is_a_405_that_names_the_right_ones(call: Caller, method: str, path: str, allowed: str) -> None:
    """A path that exists, but not with this method, says which methods it has."""
    assert call(f"{method} {path}")[0] == 405
    assert call.reply_headers["Allow"] == allowed


def test_every_served_endpoint_is_in_the_table() -> None:
    """The emulator has a handler for each of the endpoints of the table, and for no other."""
    assert set(HANDLERS) == set(ENDPOINTS)


@pytest.mark.parametrize("call_", ["POST event", "PATCH event/1", "POST goal"])
@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff", "not valid JSON"),
        (b'{"event_name": NaN}', "not valid JSON"),
        (b'{"event_name": 1e999}', "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
    ],
    ids=["empty", "cut", "not UTF-8", "NaN", "infinite", "deep", "array", "null"],
)
def test_a_body_that_is_no_object_is_a_400(call: Caller, call_: str, body: bytes, text: str) -> None:
    """What is not a JSON object is refused, and nothing is recorded."""
    call.emulator.add_event("row 1")
    method, _, path = call_.partition(" ")

    status, answer = call.raw(method, f"/v2/project/{call.project}/{path}", body)

    assert status == 400
    assert text in answer["error"]
    assert call.emulator.recorded == []


@pytest.mark.parametrize("listing", ["events", "goals"])
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("limit=1.0", "limit"),
        ("limit=%D9%A1", "limit"),
        ("offset=-1", "offset"),
        ("offset=x", "offset"),
        ("offset=99999999999999999999", "offset"),
    ],
)
def test_a_wrong_page_is_a_400_that_names_the_field(call: Caller, listing: str, query: str, field: str) -> None:
    """Limits are from 1 to 500, offsets 0 or greater, both in ASCII digits."""
    status, text = call.refused(f"GET {listing}?{query}")

    assert (status, text.partition(" ")[0]) == (400, field)


def test_projects_see_nothing_of_each_other() -> None:
    """Visitors, rows and goals of one project do not exist in another; its key does not open it."""
    emulator = Emulator()
    emulator.add_project("other", "other-key")
    emulator.add_visitor(id="u")
    own, other = Caller(emulator), Caller(emulator)
    other.project, other.headers = "other", {"api-key": "other-key"}
    own.done("POST event", event_name="x", id="u")
    event_id = own.done("GET events")["events"][0]["event_id"]
    goal_id = own.done("POST goal", goal_name="g", goal_type="event", goal_value="v")["goal_profile_id"]

    assert other.refused("POST event", event_name="x", id="u") == (400, "Visitor not found")
    assert other.names() == []
    for verb in ("GET", "PATCH", "DELETE"):
        assert other.refused(f"{verb} event/{event_id}") == (404, "Event not found")
        assert other.refused(f"{verb} goal/{goal_id}") == (404, "Goal not found")
    assert other.done("POST goal", goal_name="g", goal_type="event", goal_value="v")["goal_key"] == "g"
    other.project = own.project
    assert other.refused("GET events")[0] == 401


def test_setting_up_checks_its_arguments() -> None:
    """A second project of the same key, an unknown project, and a visitor without identifiers raise."""
    emulator = Emulator()

    with pytest.raises(ValueError, match="already"):
        emulator.add_project(emulator.project_key, "key")
    with pytest.raises(ValueError, match="no project 'nowhere'"):
        emulator.add_visitor(id="u", project_key="nowhere")
    with pytest.raises(ValueError, match="at least one of mida_uuid, email and id"):
        emulator.add_visitor()


def test_limits_refuse_with_429_and_the_wait() -> None:
    """What goes over a limit is refused with the whole seconds to wait, and is not applied."""
    call = Caller(Emulator(auto_visitors=True, rate_limits=[RateLimit(2, per=10)]))
    for call.now in (3.5, 4.5, 8.5):
        status, answer = call("POST event", event_name="x", id="1")

    assert (status, answer, call.reply_headers["Retry-After"]) == (429, {"error": "Too many requests"}, "2")
    call.now = 10.0
    call.done("POST event", event_name="x", id="1")
    statistics = call.emulator.statistics()
    assert (statistics.recorded, statistics.refused) == (3, 1)


def test_limits_count_every_request_but_not_the_refused() -> None:
    """Lists and wrong requests count as well; several limits and models hold together."""
    limits: list[RateLimit | FixedWindow] = [FixedWindow(3, 1.0), RateLimit(4, per=60)]
    call = Caller(Emulator(rate_limits=iter(limits), rate_model="sliding_log", retry_after=False))

    statuses = [call(what)[0] for what in ("GET events", "GET nothing", "POST event", "GET events")]
    assert statuses == [200, 404, 400, 429]
    assert "Retry-After" not in call.reply_headers
    call.now = 1.0
    assert [call("GET events")[0] for _ in range(2)] == [200, 429]


def test_old_events_are_forgotten_when_there_are_too_many() -> None:
    """Of `recorded` and the lists the oldest tenth goes whenever they are full; the statistics count on."""
    call = Caller(Emulator(auto_visitors=True, keep_events=20))
    for n in range(31):
        call.done("POST event", event_name=str(n), id="1")

    kept = [str(n) for n in range(12, 31)]
    assert [event.event_name for event in call.emulator.recorded] == kept
    assert call.names() == kept
    assert call.emulator.statistics().recorded == 31


def test_credentials_are_in_no_repr(call: Caller) -> None:
    """R17: neither the emulator, nor a project, nor a request shows a key, in whichever header it came."""
    for header in ("Authorization", "X-API-Key", "api-key"):
        request = ReceivedRequest(
            method="GET", path="/", headers=Headers({header: call.emulator.api_key, "Accept": "a/b"})
        )
        assert call.emulator.api_key not in repr(request)
        assert "a/b" in repr(request)
        assert request.headers[header.upper()] == call.emulator.api_key
    assert call.emulator.api_key not in repr(call.emulator) + repr(call.emulator.state.projects)


def test_received_requests_decode_themselves() -> None:
    """Query, lists and body are there decoded; headers are found in any case and counted."""
    request = ReceivedRequest(
        method="POST", path="/x", query_string="a=1&b=%20&a=2&c", headers=Headers({"X-One": "1"}), body=b'{"k": [1]}'
    )

    assert (request.query, request.json) == ({"a": "2", "b": " ", "c": ""}, {"k": [1]})
    assert (dict(request.headers), len(request.headers), request.headers.get("x-two")) == ({"x-one": "1"}, 1, None)
    assert request.query_lists == {"a": ["1", "2"], "b": [" "], "c": [""]}
    bare = ReceivedRequest(method="GET", path="/x")
    assert (bare.query, bare.query_lists) == ({}, {})
