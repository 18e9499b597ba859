"""The emulator's endpoints of Klaviyo: who may call them, by which revision, and what is remembered."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from klaviyo_caller import (
    BULK,
    EMAIL,
    NEWEST,
    OLDEST,
    SINGLE,
    Klaviyo,
    error_of,
    event,
    flat,
    group,
    job,
    nested,
    profile,
)

from mida_async.testing import Emulator, RecordedEvent


@pytest.fixture(name="call")
def _call() -> Klaviyo:
    return Klaviyo()


def test_the_flat_example_of_the_oldest_revisions_is_recorded() -> None:
    """The published example of 2023-01-24 is a 202 without a body, and everything in it is remembered."""
    call = Klaviyo(revision=OLDEST)
    call.headers["Content-Type"] = "application/json"
    call.now = 7.5
    sent = {"$email": EMAIL, "$phone_number": "+15005550006", "favourite": ["ä"]}
    call.done(
        flat(profile=sent, properties={"ProductID": 1111}, time="2022-11-08T00:00:00", value=9.99, unique_id="u-1"),
        path="/api/events/",
    )
    (event,) = call.recorded
    assert isinstance(event, RecordedEvent)
    assert (event.event_name, event.email, event.phone_number, event.id) == ("Bought", EMAIL, "+15005550006", None)
    assert (event.profile, event.properties) == (sent, {"ProductID": 1111})
    assert (event.time, event.value, event.unique_id) == ("2022-11-08T00:00:00+00:00", 9.99, "u-1")
    assert (event.mida_uuid, event.project_key, event.visitor_id, event.received_at) == (None, "", 1, 7.5)
    assert "event_name='Bought'" in repr(event)


def test_the_nested_example_of_today_is_recorded(call: Klaviyo) -> None:
    """The body of the revisions since 2023-07-15 is recorded with the attributes of its profile."""
    fields = {"email": EMAIL, "external_id": "63f64a2b", "first_name": "Ada", "properties": {"favourite": None}}
    call.done(
        nested(
            profile=profile(**fields),
            properties={"a": 1},
            time="2026-11-19T23:00:00.999-02:00",
            value=3,
            value_currency="USD",
            backfill=True,
        )
    )
    (event,) = call.recorded
    assert (event.profile, event.id, event.phone_number) == (fields, "63f64a2b", None)
    assert (event.time, event.value, event.unique_id) == ("2026-11-20T01:00:00+00:00", 3, "2026-11-20T01:00:00+00:00")


def test_what_is_left_out_is_the_time_of_receipt(call: Klaviyo) -> None:
    """Without a time it is now, to the second, and the unique_id is that time; null is the same as nothing."""
    call.done(nested(time=None, value=None, unique_id=None, value_currency=None, backfill=None))
    (event,) = call.recorded
    assert (event.time, event.value) == ("2026-11-20T12:30:15+00:00", None)
    assert event.unique_id == event.time


def test_events_of_both_services_are_counted_together(call: Klaviyo) -> None:
    """Numbers of events do not repeat, and the statistics count what both services recorded."""
    call.emulator.add_event("of Mida")
    call.done(nested(unique_id="1"), nested(unique_id="2"))
    assert [event.event_id for event in call.recorded] == [2, 3]
    assert (call.emulator.statistics().recorded, call.emulator.klaviyo.profiles, call.emulator.visitors) == (2, 1, 0)


@pytest.mark.parametrize(
    "header", [None, "", "Klaviyo-API-Key", "Klaviyo-API-Key wrong", "Bearer emulated-api-key", "emulated-api-key"]
)
def test_a_key_is_needed(call: Klaviyo, header: str | None) -> None:
    """Without the right key in the right scheme it is a 401, before anything else is looked at."""
    del call.headers["Authorization"], call.headers["revision"]
    if header is not None:
        call.headers["Authorization"] = header
    error = call.error(None)
    assert (error["status"], error["code"]) == (401, "not_authenticated")
    assert call.emulator.recorded == []


def test_the_key_of_any_project_opens_the_account(call: Klaviyo) -> None:
    """There is one account; a project that has no key opens nothing."""
    call.emulator.add_project("another", "another key")
    call.emulator.state.projects["another"].company.add(
        "keyless", "*", like=call.emulator.state.projects["another"], now=0
    )
    for key, status in (("another key", 202), ("None", 401), ("", 401)):
        call.headers["Authorization"] = f"klaviyo-api-key {key}"
        assert call.post(nested(unique_id=key)).status == status


def test_the_key_is_shown_nowhere(call: Klaviyo) -> None:
    """Neither what is remembered nor what is answered has the key in it."""
    call.done(nested())
    request = call.raw("POST", "/api/nothing")
    shown = f"{call.emulator!r}{call.recorded!r}{call.emulator.klaviyo!r}{request!r}{call.post(None)!r}"
    assert call.emulator.api_key not in shown


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/event", "/api/events//", "/api/events/1", "/api/profiles"])
def test_other_paths_are_not_found(call: Klaviyo, path: str) -> None:
    """Whatever else there is below /api is a 404 in the form of JSON:API, even without a key."""
    del call.headers["Authorization"]
    assert error_of(call.raw("POST", path))["code"] == "not_found"


@pytest.mark.parametrize("path", [SINGLE, f"{SINGLE}/", BULK, f"{BULK}/"])
def test_other_methods_are_not_allowed(call: Klaviyo, path: str) -> None:
    """The emulator records events and lists none."""
    for method in ("GET", "PUT", "DELETE"):
        assert error_of(call.raw(method, path))["code"] == "method_not_allowed"
        assert call.reply_headers["Allow"] == "POST"


def test_paths_that_only_look_alike_are_of_mida(call: Klaviyo) -> None:
    """A path that begins with the letters of /api and goes on otherwise gets an error of Mida."""
    assert b"No such endpoint" in call.raw("POST", "/apis/events").body


@pytest.mark.parametrize(
    "revision",
    [None, "", "latest", "2023", "2023-1-24", "20230124", "2023-W04-2", "2023-02-30", "2026-10-15.pre", "2022-10-16"],
)
def test_a_revision_is_needed(call: Klaviyo, revision: str | None) -> None:
    """A request without a date that some revision covers is a 400."""
    del call.headers["revision"]
    if revision is not None:
        call.headers["revision"] = revision
    assert call.pointer(nested()) == "/data"


@pytest.mark.parametrize(
    ("revision", "is_flat"),
    [
        *(("2022-10-17", True), ("2023-01-24", True), ("2023-06-15", True), ("2023-07-14", True)),
        *(("2023-07-15", False), ("2024-10-15", False), ("2026-10-15", False), ("2031-01-01", False)),
    ],
)
def test_each_revision_is_served_as_it_was(revision: str, *, is_flat: bool) -> None:
    """Unless told otherwise the shape is that of the revision, or of the newest before a date that is none."""
    call = Klaviyo(revision=revision)
    assert (call.post(flat()).status, call.post(nested()).status) == ((202, 400) if is_flat else (400, 202))


def test_a_flat_body_is_refused_as_the_service_does(call: Klaviyo) -> None:
    """What a body of the wrong age gets says nothing of the place; the other way round, an identifier is missing."""
    error = call.error(flat())
    assert (error["detail"], error["source"]) == (
        "The payload provided in the request is invalid.",
        {"pointer": "/data"},
    )
    assert Klaviyo(revision=OLDEST).pointer(nested(metric={"name": "x"})) == "/data/attributes/profile"


@pytest.mark.parametrize(
    ("today", "revision", "statuses"),
    [
        ("2025-01-23", "2023-01-24", (202, 400)),
        ("2025-01-24", "2023-01-24", (202, 400)),  # the next is 2023-02-22, which is flat too
        ("2025-06-14", "2023-01-24", (202, 400)),
        ("2025-06-15", "2023-01-24", (400, 202)),
        ("2026-11-20", "2023-01-24", (400, 202)),
        ("2026-11-20", "2024-10-15", (400, 202)),
        ("2035-01-01", "2023-01-24", (400, 202)),
    ],
)
def test_a_retired_revision_falls_forward(today: str, revision: str, statuses: tuple[int, int]) -> None:
    """Two years after its release a revision is served as the oldest that is younger, if there is one at all."""
    call = Klaviyo(Emulator(klaviyo_fall_forward=True), revision)
    call.today = dt.datetime.fromisoformat(today).replace(tzinfo=dt.UTC)
    assert (call.post(flat()).status, call.post(nested()).status) == statuses


@pytest.mark.parametrize("fall_forward", [True, False])
def test_whoever_opts_out_of_falling_forward_is_told(fall_forward: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """With the header a retired revision is a 410, and one that is not retired is served."""
    call = Klaviyo(Emulator(klaviyo_fall_forward=fall_forward), OLDEST)
    call.headers["X-Klaviyo-Revision-Fall-Forward-Opt-Out"] = "1"
    error = call.error(flat())
    assert (error["status"], OLDEST in error["detail"]) == (410, True)
    call.headers["revision"] = "2025-01-15"
    call.done(nested())


def test_falling_forward_brings_bulk_requests(call: Klaviyo) -> None:
    """Bulk requests exist since 2024-05-15; an older revision has them only as the one that it is served as."""
    for revision, fall_forward, status in (
        *(("2024-05-15", False, 202), ("2024-05-14", False, 404), (OLDEST, False, 404)),
        *((OLDEST, True, 202), (NEWEST, True, 202)),
    ):
        call = Klaviyo(Emulator(klaviyo_fall_forward=fall_forward), revision)
        assert call.post(job(group(event())), BULK).status == status


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/vnd.api+json", "Application/JSON; charset=utf-8"]
)
def test_two_media_types_are_accepted(call: Klaviyo, media_type: str) -> None:
    """JSON may be called by either name, whatever the revision."""
    call.headers["Content-Type"] = media_type
    call.done(nested())


@pytest.mark.parametrize("header", [("Content-Type", ""), ("Content-Type", "text/plain"), ("Content-Encoding", "gzip")])
def test_other_media_types_are_a_415(call: Klaviyo, header: tuple[str, str]) -> None:
    """A wrong Content-Type and a wrong Content-Encoding are refused."""
    call.headers.update([header])
    assert call.error(nested())["status"] == 415


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"data":NaN}', b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_invalid(call: Klaviyo, body: bytes) -> None:
    """What cannot be decoded is a 400 like any other."""
    error = error_of(call.raw("POST", SINGLE, body))
    assert (error["status"], error["code"], error["source"]) == (400, "invalid", {"pointer": "/data"})


def test_errors_are_numbered(call: Klaviyo) -> None:
    """Each error has an id of its own that looks random and is the same in each run."""
    first, second = (call.error(None)["id"] for _ in range(2))
    assert uuid.UUID(first) != uuid.UUID(second)
    assert Klaviyo().error(None)["id"] == first
