"""``mida.visitors`` against the emulator, and what the emulator decides where no page says anything."""

from __future__ import annotations

import asyncio
import json
from collections import UserDict
from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import pytest
from emulator_caller import TODAY, Caller
from resource_calls import API_KEY, PROJECT_KEY, Calls, calling

from mida_async import (
    APIError,
    BadRequestError,
    ConnectionLostError,
    DecodeError,
    InvalidRequestError,
    MidaClient,
    NotFoundError,
    Response,
    ServerError,
    VisitorCache,
)
from mida_async.models import AttributesSet, VisitorEventRecorded
from mida_async.testing import Emulator, MemoryTransport, NotJSON, ResetAfter, Status
from mida_async.testing._emulator.experiments_state import LIVE, ExperimentRow, ExperimentStore
from mida_async.testing._emulator.visitors import AttributeStore, FlagStore

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from mida_async import Request
    from mida_async.testing._emulator.project import Project


def project_of(emulator: Emulator) -> Project:
    """Return what the emulator's first project holds."""
    return emulator.state.projects[emulator.project_key]


def add_experiment(emulator: Emulator, key: str = "checkout", **fields: Any) -> ExperimentRow:
    """Make a live experiment for servers, with one treatment."""
    row = ExperimentRow(
        test_id=len(project_of(emulator).store(ExperimentStore).rows) + 1,
        test_name="Checkout",
        experiment_key=key,
        created_at=TODAY,
        updated_at=TODAY,
        **{"status": LIVE, "variants": [{"name": "Variant 1"}], **fields},
    )
    project_of(emulator).store(ExperimentStore).rows.add(row.test_id, row)
    return row


def test_a_visitor_sees_the_same_variant_each_time() -> None:
    """Visitors are spread over Control and the treatments, and each of them sees the same one again."""

    async def test(call: Calls) -> None:
        row = add_experiment(call.emulator)
        seen = {n: await call.mida.visitors.get_variant("checkout", f"user_{n}") for n in range(20)}
        assert set(seen.values()) == {"Control", "Variant 1"}
        assert seen == {n: await call.mida.visitors.get_variant("checkout", f"user_{n}") for n in range(20)}
        assert len(row.assignments) == call.emulator.visitors == 20

    calling(test)


def test_whoever_is_not_in_an_experiment_has_no_variant() -> None:
    """None, and no error, where the experiment is unknown, not live, or has no traffic; they count as visitors."""

    async def test(call: Calls) -> None:
        add_experiment(call.emulator, "draft", status=9)
        add_experiment(call.emulator, "nobody", configuration={"traffic_allocation": 0})
        for key in ("unknown", "draft", "nobody"):
            assert await call.mida.visitors.get_variant(key, "ann") is None
            assert await call.mida.visitors.get_variant(key, "ann", default="Control") is None
        assert call.emulator.visitors == 1

    calling(test)


def test_an_event_is_recorded_like_any_other() -> None:
    """It names the visitor by ``id``, its properties arrive, and lists of events show it."""

    async def test(call: Calls) -> None:
        properties = MappingProxyType({"revenue": 10, "items": ["a", "b"], "name": "é"})
        recorded = await call.mida.visitors.record_event("Purchase", "ann", properties=properties)
        assert recorded == VisitorEventRecorded(success=True)
        assert await call.mida.visitors.record_event("seen", "ann") == recorded
        first, second = call.emulator.recorded
        assert (first.event_name, first.id, first.properties) == ("Purchase", "ann", dict(properties))
        assert (second.event_name, second.id, second.properties) == ("seen", "ann", None)
        assert (first.visitor_id, first.mida_uuid, first.email, first.project_key) == (1, None, None, PROJECT_KEY)
        assert [event.event_property for event in (await call.events.list()).events] == [dict(properties), None]
        assert b'"properties":"{' in call.emulator.requests[0].body
        assert b"properties" not in call.emulator.requests[1].body

    calling(test)


def test_flags_are_those_of_the_visitor() -> None:
    """A flag is on for all or for some; where nobody is named, only those for all are."""

    async def test(call: Calls) -> None:
        flags = project_of(call.emulator).store(FlagStore)
        flags.enable("menu")
        flags.enable("beta", "ann", "bob")
        assert await call.mida.visitors.feature_flags("ann") == ("menu", "beta")
        assert await call.mida.visitors.feature_flags("cid") == ("menu",)
        assert await call.mida.visitors.feature_flags() == ("menu",)
        flags.disable("menu")
        flags.disable("unknown")
        assert await call.mida.visitors.feature_flags(None) == ()

    calling(test)


def test_attributes_are_kept_and_make_the_visitor_known() -> None:
    """The newest value of each stays; events by ``id`` and by the answered id find the same visitor then."""

    async def test(call: Calls) -> None:
        given = UserDict({"plan": "free", "seats": 3, "id": "somebody else"})
        first = await call.mida.visitors.set_attributes("ann", given)
        assert given == {"plan": "free", "seats": 3, "id": "somebody else"}
        assert await call.mida.visitors.set_attributes("ann", {"plan": "pro"}) == first
        other = await call.mida.visitors.set_attributes("bob")
        assert first.id
        assert first.id != other.id
        assert int(first.id, 16) >= 0
        store = project_of(call.emulator).store(AttributeStore)
        assert [store.of(visitor) for visitor in (1, 2, 3)] == [{"plan": "pro", "seats": 3}, {}, {}]
        await call.events.record("seen", id="ann")
        await call.events.record("seen", mida_uuid=first.id)
        assert {event.visitor_id for event in call.emulator.recorded} == {1}

    calling(test)


def test_a_visitor_keeps_the_id_of_the_browser() -> None:
    """The answer to attributes names the visitor as the browser does, where the browser was first."""

    async def test(call: Calls) -> None:
        call.emulator.add_visitor("85a35aca4df9", id="ann")
        assert await call.mida.visitors.set_attributes("ann", {"plan": "pro"}) == AttributesSet(id="85a35aca4df9")

    calling(test)


Ask = Callable[[MidaClient], "Awaitable[object]"]
ASKING: Final[tuple[Ask, ...]] = (
    lambda mida: mida.visitors.get_variant("checkout", "ann"),
    lambda mida: mida.visitors.feature_flags("ann"),
    lambda mida: mida.visitors.feature_flags(),
)
ALL: Final[tuple[Ask, ...]] = (
    *ASKING,
    lambda mida: mida.visitors.record_event("seen", "ann", properties={"a": 1}),
    lambda mida: mida.visitors.set_attributes("ann", {"a": 1}),
)


@pytest.mark.parametrize("ask", ALL)
def test_the_api_key_stays_here(ask: Ask) -> None:
    """R17: each call names the public project key once, and carries the API key nowhere."""

    async def test(call: Calls) -> None:
        await ask(call.mida)
        (request,) = call.emulator.requests
        everything = f"{request.path}{request.query_string}{dict(request.headers)}{request.body.decode()}"
        assert API_KEY not in everything
        assert "authorization" not in request.headers
        assert everything.count(PROJECT_KEY) == 1

    calling(test)


@pytest.mark.parametrize("ask", ALL)
@pytest.mark.parametrize("cache", [None, VisitorCache()])
def test_a_project_that_is_unknown_is_not_found(ask: Ask, cache: VisitorCache | None) -> None:
    """Where no project has this key each call says so, with and without a cache."""

    async def test(call: Calls) -> None:
        settings: dict[str, Any] = {"base_url": call.emulator.base_url, "visitor_cache": cache}
        async with MidaClient("another_project", API_KEY, **settings) as mida:
            with pytest.raises(NotFoundError):
                await ask(mida)

    calling(test)


@pytest.mark.parametrize(
    "fault", [Status(400), Status(401), Status(404), Status(429), Status(500), ResetAfter(), NotJSON()], ids=repr
)
def test_a_default_takes_the_place_of_every_failure(fault: Any) -> None:
    """Whatever the service does, the caller gets the default it gave, as it gave it."""

    async def test(call: Calls) -> None:
        call.emulator.script(type(fault)(**{**_fields(fault), "times": None}))
        visitors = call.mida.visitors
        assert await visitors.get_variant("checkout", "ann", default="Control") == "Control"
        assert await visitors.get_variant("checkout", "ann", default=None) is None
        assert await visitors.feature_flags("ann", default=()) == ()
        assert await visitors.feature_flags(default=("old",)) == ("old",)
        assert await visitors.feature_flags("ann", default=None) is None

    calling(test)


def _fields(fault: Any) -> dict[str, Any]:
    return {"code": fault.code} if isinstance(fault, Status) else {}


def test_a_failure_without_a_default_is_typed() -> None:
    """Without a default each failure is the error that it would be anywhere."""

    async def test(call: Calls) -> None:
        call.emulator.script(Status(500, times=None))
        for ask in ASKING:
            with pytest.raises(ServerError):
                await ask(call.mida)
        call.emulator.clear_script()
        call.emulator.script(NotJSON(times=None))
        for ask in ASKING:
            with pytest.raises(DecodeError):
                await ask(call.mida)

    calling(test)


def test_questions_are_repeated_and_events_are_not() -> None:
    """R9: where an answer is lost, questions and attributes are sent again; an event may have been recorded."""

    async def test(call: Calls) -> None:
        for ask in (*ASKING, ALL[4]):
            call.emulator.script(ResetAfter())
            await ask(call.mida)
        assert len(call.emulator.requests) == 8
        call.emulator.script(ResetAfter())
        with pytest.raises(ConnectionLostError):
            await ALL[3](call.mida)
        assert len(call.emulator.requests) == 9

    calling(test)


def test_what_is_accepted_succeeds_whatever_is_said() -> None:
    """R9: an event and attributes are accepted by the status; what no SDK reads may be anything."""

    async def test(call: Calls) -> None:
        call.emulator.script(NotJSON(times=2))
        assert await call.mida.visitors.record_event("seen", "ann") == VisitorEventRecorded()
        assert await call.mida.visitors.set_attributes("ann") == AttributesSet()

    calling(test)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"version": "Variant 2", "more": 1}, "Variant 2"),
        ({"version": None}, None),
        ({"version": ""}, None),
        ({"version": False}, None),
        ({"version": 0}, None),
        ({}, None),
        ({"version": True}, DecodeError),
        ({"version": 1}, DecodeError),
        ({"version": []}, DecodeError),
        ({"version": {}}, DecodeError),
        ([], DecodeError),
        (None, DecodeError),
        ("Control", DecodeError),
    ],
)
def test_a_variant_is_a_name_or_nothing(answer: object, expected: object) -> None:
    """Missing and empty mean "not in the experiment", as for the SDKs; anything else that is no name is an error."""

    async def test(call: Calls) -> None:
        call.emulator.script(Status(200, body=json.dumps(answer), times=2))
        if expected is DecodeError:
            with pytest.raises(DecodeError):
                await call.mida.visitors.get_variant("checkout", "ann")
            assert await call.mida.visitors.get_variant("checkout", "ann", default="Control") == "Control"
        else:
            assert await call.mida.visitors.get_variant("checkout", "ann") == expected

    calling(test)


@pytest.mark.parametrize("answer", [None, {}, "menu", 1, ["menu", 1], ["menu", None], [["menu"]], {"menu": True}])
def test_flags_are_an_array_of_texts(answer: object) -> None:
    """Any other answer is an error, or the default: half an answer is none."""

    async def test(call: Calls) -> None:
        call.emulator.script(Status(200, body=json.dumps(answer), times=2))
        with pytest.raises(DecodeError, match="array"):
            await call.mida.visitors.feature_flags("ann")
        assert await call.mida.visitors.feature_flags("ann", default=("old",)) == ("old",)

    calling(test)


BLANK: Final = ("", " \t", None, 7, b"ann")


@pytest.mark.parametrize(
    ("field", "ask"),
    [
        *(("distinct_id", lambda mida, it=it: mida.visitors.get_variant("a", it, default="x")) for it in BLANK),
        *(("experiment_key", lambda mida, it=it: mida.visitors.get_variant(it, "ann", default="x")) for it in BLANK),
        *(("distinct_id", lambda mida, it=it: mida.visitors.record_event("seen", it)) for it in BLANK),
        *(("name", lambda mida, it=it: mida.visitors.record_event(it, "ann")) for it in BLANK),
        *(("distinct_id", lambda mida, it=it: mida.visitors.set_attributes(it)) for it in BLANK),
        *(
            ("user_id", lambda mida, it=it: mida.visitors.feature_flags(it, default=()))
            for it in BLANK
            if it is not None
        ),
        ("properties", lambda mida: mida.visitors.record_event("seen", "ann", properties=[1])),
        ("properties", lambda mida: mida.visitors.record_event("seen", "ann", properties={"a": {1}})),
        ("properties", lambda mida: mida.visitors.record_event("seen", "ann", properties={1: 2})),
        ("attributes", lambda mida: mida.visitors.set_attributes("ann", "plan")),
        ("plan", lambda mida: mida.visitors.set_attributes("ann", {"plan": float("nan")})),
        ("distinct_id", lambda mida: mida.visitors.get_variant("a", "ann\ud800", default="x")),
    ],
)
@pytest.mark.parametrize("cache", [None, VisitorCache()])
def test_a_wrong_argument_is_refused_before_anything_is_sent(
    field: str, ask: Callable[[MidaClient], Awaitable[object]], cache: VisitorCache | None
) -> None:
    """R7: it is the caller's mistake, so a default does not hide it, and the message names the argument."""

    async def test(call: Calls) -> None:
        with pytest.raises(InvalidRequestError, match=field):
            await ask(call.mida)
        assert list(call.emulator.requests) == []

    calling(test, visitor_cache=cache)


def test_what_a_server_asks_twice_is_asked_once_with_a_cache() -> None:
    """``visitor_cache`` works over the real transport, for variants and flags."""

    async def test(call: Calls) -> None:
        add_experiment(call.emulator)
        for _ in range(3):
            await call.mida.visitors.get_variant("checkout", "ann")
            await call.mida.visitors.feature_flags("ann")
        assert call.sent == ["POST /experiment/query", "POST /feature-flag"]

    calling(test, visitor_cache=VisitorCache())


class TestEmulator:
    """What the emulator answers to what no client of this package sends."""

    def ask(self, path: str, body: object) -> tuple[int, Any]:
        """Send a body to a path of the SDKs."""
        caller = Caller()
        text = body if isinstance(body, str) else json.dumps({"key": caller.project, **body})  # type: ignore[dict-item]
        return caller.raw("POST", path.replace("KEY", caller.project), text.encode())

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("/experiment/query", {}),
            ("/experiment/query", {"experiment_key": "a"}),
            ("/experiment/query", {"experiment_key": 1, "distinct_id": "ann"}),
            ("/experiment/query", {"experiment_key": "a", "distinct_id": {"a": 1}}),
            ("/experiment/event", {"distinct_id": "ann"}),
            ("/experiment/event", {"name": "seen", "distinct_id": "  "}),
            ("/experiment/event", {"name": "seen", "distinct_id": "ann", "properties": {"a": 1}}),
            ("/experiment/event", {"name": "seen", "distinct_id": "ann", "properties": "[1]"}),
            ("/experiment/event", {"name": "seen", "distinct_id": "ann", "properties": "{"}),
            ("/experiment/event", {"name": "seen", "distinct_id": "ann", "properties": '{"a":"\ud800"}'}),
            ("/experiment/event", {"name": "seen", "distinct_id": "ann", "properties": '{"a":NaN}'}),
            ("/experiment/event", {"name": "seen", "distinct_id": "ann", "properties": "[" * 100_000}),
            ("/feature-flag", {"user_id": 7}),
            ("/track/KEY", {"plan": "pro"}),
            ("/track/KEY", {"id": 7}),
            *(
                (path, body)
                for path in ("/experiment/query", "/track/KEY")
                for body in ("[]", "null", "{", "[" * 10**5)
            ),
        ],
    )
    def test_what_is_wrong_is_a_400(self, path: str, body: object) -> None:
        """Missing and wrong fields, and bodies that are no object, are refused with a reason."""
        status, answer = self.ask(path, body)
        assert status == 400
        assert list(answer) == ["error"]

    @pytest.mark.parametrize("key", [None, 7, [], "another", {"a": 1}])
    def test_an_unknown_project_is_a_404(self, key: object) -> None:
        """Whatever stands in the place of its key."""
        for path in ("/experiment/query", "/experiment/event", "/feature-flag"):
            assert self.ask(path, {"key": key, "distinct_id": "ann"})[0] == 404
        assert self.ask("/track/another", {"id": "ann"})[0] == 404

    def test_no_properties_are_written_in_two_ways(self) -> None:
        """One SDK writes ``[]`` for none."""
        for properties in (None, "[]"):
            event = {"name": "seen", "distinct_id": "ann", "properties": properties}
            assert self.ask("/experiment/event", event) == (200, {"success": True})

    def test_odd_texts_are_kept_as_they_are(self) -> None:
        """A visitor may be called anything, and attributes may hold anything that JSON can."""
        for text in ("\ud800", "\x00", "x" * 100_000):
            assert self.ask("/track/KEY", {"id": text, text: [[text]], "": 10**400})[0] == 200
            assert self.ask("/experiment/query", {"experiment_key": text, "distinct_id": text}) == (
                200,
                {"version": None},
            )
            status, flags = self.ask("/feature-flag", {"user_id": text})
            assert status == 200
            assert not flags

    def test_projects_know_nothing_of_each_other(self) -> None:
        """The visitors, flags and attributes of one project are not those of another."""
        caller = Caller()
        caller.emulator.add_project("other", "other-key")
        project_of(caller.emulator).store(FlagStore).enable("menu")
        body = json.dumps({"key": "other", "user_id": None}).encode()
        status, flags = caller.raw("POST", "/feature-flag", body)
        assert (status, len(flags)) == (200, 0)
        caller.raw("POST", "/track/other", b'{"id": "ann", "plan": "pro"}')
        assert project_of(caller.emulator).store(AttributeStore).of(1) == {}
        assert caller.emulator.state.projects["other"].store(AttributeStore).of(1) == {"plan": "pro"}


def test_a_400_of_the_service_is_no_unknown_visitor() -> None:
    """R11: these calls register visitors, so no 400 of theirs means that one is unknown."""

    async def test(call: Calls) -> None:
        call.emulator.script(Status(400, body={"error": "Visitor not found"}, times=None))
        for ask in ALL:
            with pytest.raises(BadRequestError) as caught:
                await ask(call.mida)
            assert type(caught.value) is BadRequestError

    calling(test)


_WIRE: Final[tuple[tuple[Ask, str, object], ...]] = (
    (
        lambda mida: mida.visitors.get_variant("checkout", "ann"),
        "/experiment/query",
        {"key": PROJECT_KEY, "experiment_key": "checkout", "distinct_id": "ann"},
    ),
    (
        lambda mida: mida.visitors.record_event("seen", "ann"),
        "/experiment/event",
        {"key": PROJECT_KEY, "name": "seen", "distinct_id": "ann"},
    ),
    (
        lambda mida: mida.visitors.record_event("seen", "ann", properties={"a": [1, "é"]}),
        "/experiment/event",
        {"key": PROJECT_KEY, "name": "seen", "distinct_id": "ann", "properties": '{"a":[1,"é"]}'},
    ),
    (
        lambda mida: mida.visitors.record_event("seen", "ann", properties={}),
        "/experiment/event",
        {"key": PROJECT_KEY, "name": "seen", "distinct_id": "ann", "properties": "{}"},
    ),
    (lambda mida: mida.visitors.feature_flags("ann"), "/feature-flag", {"key": PROJECT_KEY, "user_id": "ann"}),
    (lambda mida: mida.visitors.feature_flags(), "/feature-flag", {"key": PROJECT_KEY, "user_id": None}),
    (lambda mida: mida.visitors.set_attributes("ann"), f"/track/{PROJECT_KEY}", {"id": "ann"}),
    (
        lambda mida: mida.visitors.set_attributes("ann", {"plan": None, "id": "bob", "a": {"b": 1}}),
        f"/track/{PROJECT_KEY}",
        {"id": "ann", "plan": None, "a": {"b": 1}},
    ),
    (
        lambda mida: mida.visitors.buffer_attributes("ann", {"plan": None, "id": "bob"}),
        f"/track/{PROJECT_KEY}",
        {"id": "ann", "plan": None},
    ),
)


@pytest.mark.parametrize(
    ("settings", "variable", "host"),
    [
        ({"region": "eu"}, None, "https://api.mida.so"),
        ({"base_url": "https://proxy.invalid/mida/"}, None, "https://proxy.invalid/mida"),
        ({}, "https://proxy.invalid/mida", "https://proxy.invalid/mida"),
    ],
)
def test_each_call_is_what_the_sdks_send(
    settings: dict[str, Any], variable: str | None, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Path, body and headers, on the SDKs' own host or below ``base_url``, wherever that was given."""
    if variable is not None:
        monkeypatch.setenv("MIDA_BASE_URL", variable)

    requests: list[Request] = []

    def answer(request: Request) -> Response:
        requests.append(request)
        return Response(status=200, body=b"[]" if request.url.endswith("feature-flag") else b"{}")

    async def main() -> None:
        async with (
            MemoryTransport(answer) as transport,
            MidaClient(PROJECT_KEY, API_KEY, transport=transport, **settings) as mida,
        ):
            for ask, path, body in _WIRE:
                await ask(mida)
                await mida.buffer.flush()
                request = requests[-1]
                assert (request.method, request.url) == ("POST", f"{host}{path}")
                assert json.loads(request.body or b"") == body
                assert set(request.headers) == {"Accept", "User-Agent", "Content-Type"}
                assert request.headers["Content-Type"] == "application/json"
            assert len(requests) == len(_WIRE)

    asyncio.run(main())


def test_a_service_that_says_no_has_not_accepted() -> None:
    """A 2xx whose body says ``"success": false`` is an APIError for who asked, and no reason to ask again."""

    async def test(call: Calls) -> None:
        call.emulator.script(Status(200, body={"success": False, "message": "Not today"}, times=None))
        for ask in ALL:
            with pytest.raises(APIError, match="Not today"):
                await ask(call.mida)
        assert len(call.sent) == len(ALL)
        assert await call.mida.visitors.get_variant("checkout", "ann", default="Control") == "Control"

    calling(test)
