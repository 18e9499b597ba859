"""``mida.request``: calls by method and path."""

from __future__ import annotations

import asyncio
import datetime as dt
import enum
import re
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from resource_calls import API_KEY, PROJECT_KEY, Calls, calling

from mida_async import (
    UNSET,
    APIError,
    AuthenticationError,
    BadRequestError,
    BufferSettings,
    ClientClosedError,
    ConnectionLostError,
    DecodeError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    PlanLimitError,
    RateLimit,
    RetryPolicy,
    VisitorNotFoundError,
)
from mida_async._core.addresses import address_of, endpoint_at, method_of
from mida_async._core.endpoints import Host, Repeat
from mida_async._core.endpoints.table import ENDPOINTS
from mida_async._core.secret import check_secret
from mida_async.models import CampaignAccount
from mida_async.testing import CutBody, NotJSON, ResetAfter, Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

P = f"/v2/project/{PROJECT_KEY}"
ONCE = RetryPolicy(max_attempts=1)


class _Color(enum.Enum):
    RED = "red"


async def _endless(call: Calls) -> None:
    body: list[object] = []
    body.append(body)
    await call.mida.request("POST", "goal", json=body)


def test_a_call_goes_out_as_by_its_method() -> None:
    """Path, query, body, headers and the decoded answer are those of the typed call."""

    async def test(call: Calls) -> None:
        created = await call.mida.request(
            "post", "goal", json={"goal_name": "a", "goal_type": "event", "goal_value": "b"}
        )
        assert (created["success"], created["goal_key"]) == (True, "a")
        number = created["goal_profile_id"]
        page = await call.mida.request("GET", "/goals", query={"limit": 5, "offset": 0})
        assert [goal["goal_profile_id"] for goal in page["goals"]] == [number]
        assert (await call.mida.request("GET", f"goal/{number}"))["goal"]["goal_name"] == "a"
        await call.mida.request("PATCH", f"/v2/project/{{project_key}}/goal/{number}", json={"goal_name": "b"})
        assert (await call.mida.request("Delete", f"/project/{PROJECT_KEY}/goal/{number}"))["deleted"] is True
        assert call.sent == [
            "POST /goal",
            "GET /goals?limit=5&offset=0",
            f"GET /goal/{number}",
            f"PATCH /goal/{number}",
            f"DELETE /goal/{number}",
        ]
        first, second = call.emulator.requests[:2]
        assert first.body == b'{"goal_name":"a","goal_type":"event","goal_value":"b"}'
        assert {request.headers["authorization"] for request in (first, second)} == {f"Bearer {API_KEY}"}
        assert first.headers["content-type"] == "application/json"
        assert (second.body, second.headers.get("content-type")) == (b"", None)

    calling(test)


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("events", f"{P}/events"),
        ("/events", f"{P}/events"),
        ("experiment/12/result", f"{P}/experiment/12/result"),
        ("a.b/~c/...", f"{P}/a.b/~c/..."),
        ("/v2/projects", "/v2/projects"),
        ("v2/projects", "/v2/projects"),
        ("/v2/project/other/events", "/v2/project/other/events"),
        ("/v2/project/{project_key}", P),
        ("/project/{project_key}/events", f"{P}/events"),
        ("project/other", "/v2/project/other"),
        ("v2x/events", f"{P}/v2x/events"),
        ("https", f"{P}/https"),
    ],
)
def test_a_path_is_complete_or_belongs_to_the_project(path: str, address: str) -> None:
    """What begins with v2 or project is complete; anything else is within the client's project."""
    assert address_of(path, PROJECT_KEY) == address


HOSTILE = (
    *(
        "",
        "/",
        "//",
        ".",
        "..",
        "/..",
        "/.",
        "event/..",
        "event/../..",
        "events/",
        "event//1",
        "//events",
        "/v2",
        "/v2/",
    ),
    *("v2", "/v2//x", "/v2/..", "/v2/../v1", "/v2/project/../x", "/project/", "/v2/project/{project_key}/..", "%2e%2e"),
    *("event/%2e%2e", "event/..%2f", "event/1?x=1", "event/1#x", "event\\1", "..\\", "a b", " events", "events "),
    *(
        "events\n",
        "\tevents",
        "events\r\nX: 1",
        "events\x00",
        "events\x7f",
        "événements",
        "\u2025/x",
        "event/\uff0e\uff0e",
    ),
    *("https://elsewhere.example/x", "//elsewhere.example/x", "user@host/x", "host:80/x", "{other}", "event/{id}"),
    *(
        "{project_key",
        "x{project_key}",
        "event;a=1",
        "event/*",
        "a,b",
        "a+b",
        "a=b",
        "event/\udc00",
        "../{project_key}",
    ),
)


@pytest.mark.parametrize("path", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_hostile_path_is_refused(path: str, method: str) -> None:
    """R17: no path leads elsewhere than it says, above all not to the project itself; the server hears nothing."""

    async def test(call: Calls) -> None:
        with pytest.raises(InvalidRequestError, match="path is "):
            await call.mida.request(method, path)
        assert call.sent == []

    calling(test)


_EVENT_IDS: Final = ("0", "-1", "01", "1.0", "abc", "1~", f"{2**63}", "9" * 5000)
_IDS: Final = (
    *(("GET", f"event/{number}") for number in _EVENT_IDS),
    *(("GET", "experiment/0/result"), ("GET", "personalization/campaigns/0"), ("PATCH", "exclusion-groups/none")),
    *(("DELETE", "experiment/x/discussion/1"), ("DELETE", "experiment/1/discussion/0"), ("DELETE", "/v2/project/a.b")),
    *(("GET", "/v2/project/~/events"), ("PUT", "/v2/project/a.b/something/new")),
)


@pytest.mark.parametrize(("method", "path"), _IDS, ids=range(len(_IDS)))
def test_a_path_has_the_ids_that_the_methods_take(method: str, path: str) -> None:
    """R17: where the table knows an id or a key, what is none is refused as by the method, and nothing is sent."""

    async def test(call: Calls) -> None:
        with pytest.raises(InvalidRequestError, match=r"path is .*(whole number, 1 or greater, for|a project key of)"):
            await call.mida.request(method, path, json={})
        assert call.sent == []

    calling(test)


def test_what_the_table_does_not_know_may_have_any_words() -> None:
    """The largest id, other methods, and longer paths than those of the table go out as they are."""
    for path in (f"event/{2**63 - 1}", "experiment/abc/anything/new", "something/0", "/v2/0", "/v2/project"):
        assert endpoint_at("GET", address_of(path, PROJECT_KEY), None).path == address_of(path, PROJECT_KEY)
    assert endpoint_at("PUT", f"{P}/event/abc", None).repeat is Repeat.UNSAFE


@given(st.text())
def test_an_address_says_what_its_path_says(path: str) -> None:
    """R17: whatever is not refused has its own segments in the address, none lost and none added."""
    try:
        address = address_of(path, PROJECT_KEY)
    except InvalidRequestError:
        return
    given = path.removeprefix("/").replace("{project_key}", PROJECT_KEY)
    assert address.endswith(given)
    assert address.removesuffix(given) in {"/", "/v2/", f"{P}/"}
    assert ".." not in address.split("/")


@pytest.mark.parametrize(
    ("problem", "bad"),
    [
        ("method is 'HEAD'", lambda call: call.mida.request("HEAD", "events")),
        ("method is 'GET '", lambda call: call.mida.request("GET ", "events")),
        ("method is ''", lambda call: call.mida.request("", "events")),
        ("method is 'G\\\\u0435T'", lambda call: call.mida.request("G\u0435T", "events")),
        (r"method is 'GET\\r\\nX: 1'", lambda call: call.mida.request("GET\r\nX: 1", "events")),
        ("method is None", lambda call: call.mida.request(None, "events")),
        ("path is 7", lambda call: call.mida.request("GET", 7)),
        ("path is None", lambda call: call.mida.request("GET", None)),
        ("query is 'a=b'", lambda call: call.mida.request("GET", "events", query="a=b")),
        ("the name of a field of query is 7", lambda call: call.mida.request("GET", "events", query={7: 1})),
        ("the name of a field of query is ''", lambda call: call.mida.request("GET", "events", query={"": 1})),
        ("query: half of a surrogate", lambda call: call.mida.request("GET", "events", query={"\udc00": 1})),
        ("a: half of a surrogate", lambda call: call.mida.request("GET", "events", query={"a": "\udc00"})),
        (r"query\['a'\] is \{'b'", lambda call: call.mida.request("GET", "events", query={"a": {"b": 1}})),
        (r"query\['a'\] is \[1\]", lambda call: call.mida.request("GET", "events", query={"a": [[1]]})),
        (r"query\['a'\] is b'x'", lambda call: call.mida.request("GET", "events", query={"a": b"x"})),
        (r"query\['a'\] is a very", lambda call: call.mida.request("GET", "events", query={"a": 10**5000})),
        ("json: a: bytes has no form", lambda call: call.mida.request("POST", "goal", json={"a": b""})),
        ("json: the value: nan has no form", lambda call: call.mida.request("POST", "goal", json=float("nan"))),
        ("json is .*; it must be a value that does not hold itself", _endless),
    ],
)
def test_a_wrong_argument_is_refused(problem: str, bad: Callable[[Calls], Awaitable[object]]) -> None:
    """R17: InvalidRequestError names the argument, and the server hears nothing."""

    async def test(call: Calls) -> None:
        with pytest.raises(InvalidRequestError, match=problem):
            await bad(call)
        assert call.sent == []

    calling(test)


def test_a_query_holds_what_a_query_can_hold() -> None:
    """Lists repeat a field, None and UNSET are left out, the rest is written as the API has it."""

    async def test(call: Calls) -> None:
        call.emulator.script(Status(200, body={}))
        query = {
            "account": ["A&B", None, "C"],
            "flag": True,
            "none": None,
            "unset": UNSET,
            "day": dt.date(2024, 1, 2),
            "color": _Color.RED,
            "number": Decimal("1.50"),
            "id": uuid.UUID(int=1),
            "a/b": ("x", 0.5),
        }
        assert await call.mida.request("GET", "events", query=query) == {}
        (request,) = call.emulator.requests
        assert request.query_string == (
            "account=A%26B&account=C&flag=true&day=2024-01-02&color=red&number=1.50"
            "&id=00000000-0000-0000-0000-000000000001&a%2Fb=x&a%2Fb=0.5"
        )

    calling(test)


@pytest.mark.parametrize(
    ("json", "body"),
    [
        ({"a": [1, {"b": dt.date(2024, 1, 2)}]}, b'{"a":[1,{"b":"2024-01-02"}]}'),
        ([], b"[]"),
        ({}, b"{}"),
        (0, b"0"),
        (False, b"false"),
        ("", b'""'),
        ({"a": None, "b": CampaignAccount(name="x")}, b'{"a":null,"b":{"name":"x"}}'),
        (None, b""),
        (UNSET, b""),
    ],
)
def test_a_body_is_what_json_can_hold(json: object, body: bytes) -> None:
    """Anything that JSON can hold goes out as it is, our inputs too; None is no body."""

    async def test(call: Calls) -> None:
        call.emulator.script(Status(200, body='["any", "JSON"]'))
        assert await call.mida.request("PUT", "something/new", json=json) == ["any", "JSON"]
        (request,) = call.emulator.requests
        assert (request.method, request.path, request.body) == ("PUT", f"{P}/something/new", body)

    calling(test)


@pytest.mark.parametrize(
    ("method", "path", "json", "times"),
    [
        ("GET", "goals", None, 2),
        ("GET", "something/new", None, 2),
        ("PATCH", "goal/1", {"goal_name": "a"}, 2),
        ("DELETE", "/v2/project/{project_key}/goal/1", None, 2),
        ("POST", "personalization/campaigns/1/accounts", {"accounts": []}, 2),
        ("POST", "goal", {}, 1),
        ("POST", "event", {}, 1),
        ("POST", "personalization/campaigns", {}, 1),
        ("PATCH", "something/new", {}, 1),
        ("DELETE", "something/new", None, 1),
        ("PUT", "goal/1", {}, 1),
        ("POST", "personalization/campaigns/1/accounts/1", {}, 1),
    ],
)
def test_a_lost_answer_is_asked_for_again_only_where_that_is_harmless(
    method: str, path: str, json: object, times: int
) -> None:
    """R9: what the table knows is repeated as its row says; of the rest only a GET."""

    async def test(call: Calls) -> None:
        call.emulator.script(ResetAfter(), Status(200, body={"success": True}, times=None))
        if times == 2:
            assert await call.mida.request(method, path, json=json) == {"success": True}
        else:
            with pytest.raises(ConnectionLostError):
                await call.mida.request(method, path, json=json)
        assert len(call.sent) == times

    calling(test)


def test_a_refusal_is_repeated_whatever_is_called() -> None:
    """R9: what the server has certainly not acted on is sent again."""

    async def test(call: Calls) -> None:
        call.emulator.script(Status(429, {"Retry-After": "0"}), Status(200, body={}))
        assert await call.mida.request("POST", "something/new", json={}) == {}

    calling(test)


def test_each_row_is_found_by_its_own_path() -> None:
    """Every REST endpoint of the table is recognised, and keeps what it says of repetitions, plans and bodies."""
    for row in ENDPOINTS.values():
        if row.host is Host.SDK:
            continue
        address = re.sub(r"\{\w+\}", "1", row.path.replace("{project_key}", PROJECT_KEY))
        body = {"idempotency_key": "k"}
        found = endpoint_at(row.method, address, body)
        assert (found.repeat, found.plan_capped, found.path) == (row.repeat, row.plan_capped, address)
        assert (found.method, found.key, found.page) == (row.method, None, row.page)
        assert found.name == row.name or (row.name == "events.create" and found.name == "events.record")
        assert endpoint_at("PUT", address, body).name == "request"


def test_the_services_of_the_sdks_are_out_of_reach() -> None:
    """The paths of the other host are paths of the project here, and no row knows them."""
    address = address_of("/experiment/query", PROJECT_KEY)
    assert endpoint_at("POST", "/experiment/query", None).name == "request"
    assert (address, endpoint_at("POST", address, None).repeat) == (f"{P}/experiment/query", Repeat.UNSAFE)


@pytest.mark.parametrize(
    ("status", "path", "expected"),
    [
        (400, "goal", BadRequestError),
        (400, "event", VisitorNotFoundError),
        (401, "goal", AuthenticationError),
        (403, "goal", PlanLimitError),
        (403, "something/new", ForbiddenError),
        (404, "something/new", NotFoundError),
    ],
)
def test_errors_are_those_of_the_typed_calls(status: int, path: str, expected: type[APIError]) -> None:
    """Each status is its class, with what the row of the table says about it."""

    async def test(call: Calls) -> None:
        call.emulator.script(Status(status, body={"error": "Visitor not found"}))
        with pytest.raises(APIError, match=f"HTTP {status}: Visitor not found .POST {P}/{path}") as caught:
            await call.mida.request("POST", path, json={})
        assert type(caught.value) is expected

    calling(test, retry=ONCE)


def test_a_wrong_key_is_an_authentication_error() -> None:
    """401 of the emulator itself, which knows another project only by its own key."""

    async def test(call: Calls) -> None:
        call.emulator.add_project("other", "another-key")
        with pytest.raises(AuthenticationError):
            await call.mida.request("GET", "/v2/project/other/events")

    calling(test)


def test_a_success_that_says_no_is_an_error() -> None:
    """A 2xx whose body has success false is an APIError."""

    async def test(call: Calls) -> None:
        call.emulator.script(Status(200, body={"success": False, "message": "Not today"}))
        with pytest.raises(APIError, match="Not today"):
            await call.mida.request("GET", "something/new")

    calling(test)


def test_an_answer_that_cannot_be_read_is_a_typed_error() -> None:
    """HTML and a lost body are typed errors; where the answer says nothing, losing it makes no failure."""

    async def test(call: Calls) -> None:
        call.emulator.script(NotJSON())
        with pytest.raises(DecodeError, match="not JSON"):
            await call.mida.request("GET", "goals")
        call.emulator.script(CutBody())
        with pytest.raises(ConnectionLostError):
            await call.mida.request("POST", "goal", json={"goal_name": "a", "goal_type": "event", "goal_value": "b"})
        call.emulator.add_visitor(id="u")
        call.emulator.script(CutBody())
        assert await call.mida.request("POST", "event", json={"event_name": "a", "id": "u"}) == {}
        assert len(call.emulator.recorded) == 1

    calling(test)


def test_a_closed_client_sends_nothing() -> None:
    """After aclose a call is ClientClosedError."""

    async def test(call: Calls) -> None:
        await call.mida.aclose()
        with pytest.raises(ClientClosedError):
            await call.mida.request("GET", "events")
        assert call.sent == []

    calling(test)


def test_a_call_uses_up_the_rate() -> None:
    """R8: the pacer of the buffer hears of each attempt, as of other direct calls."""

    async def test(call: Calls) -> None:
        pacer = call.mida.buffer.scheduler.pacer
        now = asyncio.get_running_loop().time()
        assert pacer.next_at(now) == now
        await call.mida.request("GET", "events")
        assert pacer.next_at(now) > now + 50

    calling(test, buffer=BufferSettings(rate_limits=(RateLimit(1, per=60),)))


def test_the_secret_is_in_no_address() -> None:
    """R17: the API key in place of the project's key, or in a query, is refused without being shown."""

    async def test(call: Calls) -> None:
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: call.mida.request("GET", f"/v2/project/{API_KEY}/events"),
            lambda: call.mida.request("GET", "events", query={"api_key": API_KEY}),
            lambda: call.mida.request("GET", "events", query={"a": ["x", f"Bearer {API_KEY}"]}),
            lambda: call.mida.request("GET", "events", query={API_KEY: 1}),
            lambda: call.mida.request(API_KEY, "events"),
        ]
        for leaking in calls:
            with pytest.raises(InvalidRequestError, match="holds the API key") as caught:
                await leaking()
            assert API_KEY not in f"{caught.value!r} {caught.value.__context__!r}"
        assert call.sent == []

    calling(test)
    check_secret(API_KEY, None, 7, "harmless")


def test_an_echoed_key_is_redacted() -> None:
    """R17: a server that repeats the key has it taken out of results and errors."""

    async def test(call: Calls) -> None:
        call.emulator.script(Status(200, body={"seen": [f"Bearer {API_KEY}"]}), Status(400, body={"error": API_KEY}))
        assert await call.mida.request("GET", "events") == {"seen": ["Bearer [redacted]"]}
        with pytest.raises(BadRequestError) as caught:
            await call.mida.request("GET", "events")
        assert API_KEY not in f"{caught.value!r} {caught.value} {caught.value.body}"

    calling(test)


@pytest.mark.parametrize("method", ["get", "Post", "PUT", "patch", "DELETE"])
def test_methods_are_written_in_upper_case(method: str) -> None:
    """Upper and lower case are the same."""
    assert method_of(method) == method.upper()


def test_a_key_against_repetition_makes_a_creation_repeatable() -> None:
    """R9: an endpoint that takes an idempotency key may be repeated only if the body has one."""
    keyed = [row for row in ENDPOINTS.values() if any(field.name == "idempotency_key" for field in row.fields)]
    bodies: list[Any] = [None, [], {}, {"idempotency_key": ""}, {"idempotency_key": None}]
    for row in keyed:
        address = row.path.replace("{project_key}", PROJECT_KEY)
        assert [endpoint_at(row.method, address, body).repeat for body in bodies] == [Repeat.UNSAFE] * 5
        assert endpoint_at(row.method, address, {"idempotency_key": "k"}).repeat is row.repeat
