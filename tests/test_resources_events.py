"""``mida.events`` against the emulator."""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Any

import pytest
from resource_calls import Calls, calling

from mida_async import (
    DecodeError,
    InvalidRequestError,
    MidaError,
    NotFoundError,
    VisitorNotFoundError,
)
from mida_async.models import EventDeleted, EventUpdated
from mida_async.testing import CutBody, ResetAfter, ResetBefore, Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_DAY = dt.datetime(2024, 1, 15, 10, 30, tzinfo=dt.UTC)


def test_an_event_is_recorded_for_its_visitor() -> None:
    """What is recorded arrives unchanged, under each of the three identifiers."""

    async def test(call: Calls) -> None:
        call.emulator.add_visitor(mida_uuid="85a35aca4df9", email="Ann@example.com", id="user_1")
        properties = {"amount": 10, "at": dt.date(2024, 1, 2), "deep": {"ä": [None, 1.5]}}
        await call.events.record("bought", mida_uuid="85a35aca4df9", properties=properties)
        await call.events.record("bought", email="Ann@example.com")
        await call.events.record("bought", id="user_1", properties={})
        first, second, third = call.emulator.recorded
        assert first.properties == {"amount": 10, "at": "2024-01-02", "deep": {"ä": [None, 1.5]}}
        assert (first.mida_uuid, second.email, third.id) == ("85a35aca4df9", "Ann@example.com", "user_1")
        assert (second.properties, third.properties) == (None, {})

    calling(test)


def test_an_unknown_visitor_is_an_error_of_its_own() -> None:
    """R11: a visitor who was never seen gives VisitorNotFoundError, and nothing is applied."""

    async def test(call: Calls) -> None:
        with pytest.raises(VisitorNotFoundError, match="Visitor not found"):
            await call.events.record("bought", id="nobody")
        assert list(call.emulator.recorded) == []

    calling(test)


def test_an_event_is_not_recorded_twice() -> None:
    """R9: a connection that breaks after the event was applied is an error that says so; nothing is sent again."""

    async def test(call: Calls) -> None:
        call.emulator.script(ResetAfter())
        with pytest.raises(MidaError) as caught:
            await call.events.record("bought", id="1")
        assert caught.value.maybe_applied
        assert len(call.emulator.recorded) == len(call.emulator.requests) == 1

    calling(test, auto_visitors=True)


def test_a_cut_answer_to_a_recorded_event_is_a_success() -> None:
    """R9: a 2xx whose body breaks off is accepted: no error, no second request."""

    async def test(call: Calls) -> None:
        call.emulator.script(CutBody())
        recorded = await call.events.record("bought", id="1")
        assert recorded.message is None
        assert len(call.emulator.recorded) == len(call.emulator.requests) == 1

    calling(test, auto_visitors=True)


def test_a_refused_event_is_sent_again() -> None:
    """R9: what the server refused without effect is recorded by a later attempt, once."""

    async def test(call: Calls) -> None:
        call.emulator.script(Status(429, headers={"Retry-After": "0"}), Status(503, headers={"Retry-After": "0"}))
        await call.events.record("bought", id="1")
        assert (len(call.emulator.recorded), len(call.emulator.requests)) == (1, 3)

    calling(test, auto_visitors=True)


def test_reading_is_repeated() -> None:
    """R9: a list is asked for again after a reset, a failure and a cut answer."""

    async def test(call: Calls) -> None:
        call.emulator.script(ResetBefore(), Status(500), CutBody())
        assert (await call.events.list()).count == 0
        assert len(call.emulator.requests) == 4

    calling(test)


def test_an_event_lives_through_all_calls() -> None:
    """Define, get, update, list and delete speak of the same event."""

    async def test(call: Calls) -> None:
        created = await call.events.create("Signed up", event_property="free text", event_path="/x", session="s")
        event = await call.events.get(created.event_id)
        assert (event.event_property, event.event_property_text) == ("free text", "free text")
        assert (event.event_path, event.status, event.event_type) == ("/x", 1, 2)
        updated = await call.events.update(
            created.event_id, event_text="Joined", event_property={"a": 1}, event_path=None
        )
        assert updated == EventUpdated(success=True, event_id=created.event_id)
        assert call.emulator.requests[-1].body == b'{"event_text":"Joined","event_property":{"a":1},"event_path":null}'
        event = await call.events.get(created.event_id)
        assert (event.event_text, event.event_property, event.event_path) == ("Joined", {"a": 1}, None)
        page = await call.events.list(event_text="Joined")
        assert [row.event_id for row in page.events] == [created.event_id]
        deleted = await call.events.delete(created.event_id)
        assert deleted == EventDeleted(success=True, event_id=created.event_id, deleted=True)
        assert (await call.events.get(created.event_id)).status == 2
        with pytest.raises(NotFoundError):
            await call.events.delete(created.event_id)
        with pytest.raises(NotFoundError):
            await call.events.get(999_999)

    calling(test)


def test_every_field_can_be_updated() -> None:
    """Each field goes out as given, and null where it can be null."""

    async def test(call: Calls) -> None:
        event_id = (await call.events.create("a")).event_id
        await call.events.update(event_id, url="https://x.test/", session="s", status=2, event_property="[1]")
        body = call.emulator.requests[-1].json
        assert body == {"url": "https://x.test/", "session": "s", "status": 2, "event_property": "[1]"}
        call.emulator.script(Status(200, body={"success": True}))
        await call.events.update(event_id, url=None, session=None, event_property=None)
        assert call.emulator.requests[-1].body == b'{"event_property":null,"url":null,"session":null}'

    calling(test)


def test_a_creation_that_brings_no_id_is_a_decode_error() -> None:
    """A server that records where it was to define answers without a number, and that is said."""

    async def test(call: Calls) -> None:
        call.emulator.script(Status(200, body={"success": True, "message": "Event recorded successfully"}))
        with pytest.raises(DecodeError, match="event_id: missing"):
            await call.events.create("a")

    calling(test)


def test_the_list_is_filtered_by_the_server() -> None:
    """Limit, offset, name and days go out in their documented form."""

    async def test(call: Calls) -> None:
        for day in (14, 15, 16):
            call.emulator.add_event("a & b", created_at=_DAY.replace(day=day))
        page = await call.events.list(
            limit=1, offset=1, event_text="a & b", start_date=_DAY, end_date=dt.date(2024, 1, 16)
        )
        assert [row.created_at for row in page.events] == [_DAY.replace(day=16)]
        assert call.sent == [
            "GET /events?limit=1&offset=1&event_text=a%20%26%20b&start_date=2024-01-15&end_date=2024-01-16"
        ]

    calling(test)


def test_iter_walks_through_all_pages() -> None:
    """Every event comes once, in the order of the pages; a short page is the last."""

    async def test(call: Calls) -> None:
        for number in range(5):
            call.emulator.add_event(f"e{number}", created_at=_DAY)
        names = [event.event_text async for event in call.events.iter(page_size=2, start_date="2024-01-15")]
        assert names == ["e0", "e1", "e2", "e3", "e4"]
        assert call.sent == [f"GET /events?limit=2&offset={start}&start_date=2024-01-15" for start in (0, 2, 4)]

    calling(test)


def test_iter_ends_at_an_empty_page() -> None:
    """Where the last page is full, one more is asked for; filters go with each."""

    async def test(call: Calls) -> None:
        for _ in range(4):
            call.emulator.add_event("a", created_at=_DAY)
        events = [event async for event in call.events.iter(page_size=2, event_text="a", end_date=_DAY)]
        assert len(events) == 4
        assert call.sent[-1] == "GET /events?limit=2&offset=4&event_text=a&end_date=2024-01-15"
        assert len(call.sent) == 3

    calling(test)


def _page(*ids: int) -> Status:
    return Status(200, body={"success": True, "count": len(ids), "events": [{"event_id": number} for number in ids]})


@pytest.mark.parametrize(
    ("pages", "ids"),
    [
        ([_page(1, 2), _page(2, 3), _page(4)], [1, 2, 3, 4]),
        ([_page(1, 2), _page(1, 2)], [1, 2]),
        ([_page(1, 1), _page(2)], [1, 2]),
        ([_page(1, 2, 3), _page()], [1, 2, 3]),
        ([_page()], []),
    ],
    ids=["shifted", "stuck", "twice", "too many", "empty"],
)
def test_iter_gives_each_event_once(pages: list[Status], ids: list[int]) -> None:
    """Rows that come twice are given once, and a page that brings nothing new is the last."""

    async def test(call: Calls) -> None:
        call.emulator.script(*pages)
        assert [event.event_id async for event in call.events.iter(page_size=2)] == ids
        assert call.emulator.scripted == 0

    calling(test)


def test_iter_can_be_left_early() -> None:
    """Leaving the loop asks for no further page, and leaves nothing to clean up."""

    async def test(call: Calls) -> None:
        for _ in range(4):
            call.emulator.add_event("a")
        async for event in call.events.iter(page_size=2):
            assert event.event_text == "a"
            break
        assert len(call.sent) == 1
        call.events.iter()

    calling(test)


async def _drained(generator: Any) -> None:
    async for _ in generator:
        pass


_ID = "event_id is .*; it must be a whole number, 1 or greater"

_BAD: list[tuple[str, Callable[[Calls], Awaitable[object]]]] = [
    (_ID, lambda call: call.events.get(0)),
    (_ID, lambda call: call.events.get(True)),
    (_ID, lambda call: call.events.get("..")),  # type: ignore[arg-type]
    (_ID, lambda call: call.events.delete(-1)),
    (_ID, lambda call: call.events.delete("1")),  # type: ignore[arg-type]
    (_ID, lambda call: call.events.update(None, event_text="a")),  # type: ignore[arg-type]
    ("limit is 0; .* from 1 to 500", lambda call: call.events.list(limit=0)),
    ("limit is 501", lambda call: call.events.list(limit=501)),
    ("limit is True", lambda call: call.events.list(limit=True)),
    ("limit is '5'", lambda call: call.events.list(limit="5")),  # type: ignore[arg-type]
    ("offset is -1; .* 0 or greater", lambda call: call.events.list(offset=-1)),
    ("offset is 1.0", lambda call: call.events.list(offset=1.0)),  # type: ignore[arg-type]
    ("offset is a very large int", lambda call: call.events.list(offset=10**5000)),
    ("event_text is ''", lambda call: call.events.list(event_text="")),
    ("start_date is 'soon'; .*'2024-01-31'", lambda call: call.events.list(start_date="soon")),
    ("start_date is '20240131'", lambda call: call.events.list(start_date="20240131")),
    ("end_date is '2024-02-30'", lambda call: call.events.list(end_date="2024-02-30")),
    ("end_date is 7", lambda call: call.events.list(end_date=7)),  # type: ignore[arg-type]
    ("page_size is 501", lambda call: _drained(call.events.iter(page_size=501))),
    ("end_date is ''", lambda call: _drained(call.events.iter(end_date=""))),
    ("event_text is ' '", lambda call: call.events.create(" ")),
    ("event_text is None", lambda call: call.events.create(None)),  # type: ignore[arg-type]
    ("event_property is 7; it must be a mapping or a string", lambda call: call.events.create("a", event_property=7)),  # type: ignore[arg-type]
    ("event_property.a: nan", lambda call: call.events.create("a", event_property={"a": math.nan})),
    ("event_property: the key 1", lambda call: call.events.create("a", event_property={1: 2})),  # type: ignore[dict-item]
    ("url is 7; it must be a string", lambda call: call.events.create("a", url=7)),  # type: ignore[arg-type]
    ("url: half of a surrogate", lambda call: call.events.create("a", url="\ud800")),
    ("status is 'x{59}[.]{3}; ", lambda call: call.events.update(1, status="x" * 99)),  # type: ignore[arg-type]
    ("nothing to change: give at least one of event_text, .*status", lambda call: call.events.update(1)),
    ("event_text is None", lambda call: call.events.update(1, event_text=None)),  # type: ignore[arg-type]
    ("status is None", lambda call: call.events.update(1, status=None)),  # type: ignore[arg-type]
    ("status is True", lambda call: call.events.update(1, status=True)),
    ("status is -1", lambda call: call.events.update(1, status=-1)),
    ("session is 1", lambda call: call.events.update(1, session=1)),  # type: ignore[arg-type]
    ("event_name", lambda call: call.events.record("", id="1")),
    ("mida_uuid, email", lambda call: call.events.record("a")),
    ("id", lambda call: call.events.record("a", id=" ")),
    ("properties.x", lambda call: call.events.record("a", id="1", properties={"x": {1}})),
    ("properties", lambda call: call.events.record("a", id="1", properties=[])),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("problem", "bad"), _BAD, ids=range(len(_BAD)))
def test_bad_arguments_are_refused_before_anything_is_sent(
    problem: str, bad: Callable[[Calls], Awaitable[object]]
) -> None:
    """R7, R17: InvalidRequestError names the argument, the value and what is allowed; the server hears nothing."""

    async def test(call: Calls) -> None:
        with pytest.raises(InvalidRequestError, match=problem) as caught:
            await bad(call)
        assert isinstance(caught.value, ValueError)
        assert caught.value.__context__ is None
        assert call.sent == []

    calling(test)


def test_iter_checks_at_the_call() -> None:
    """A wrong argument of `iter` is an error where it is called, not where it is looped over."""

    async def test(call: Calls) -> None:
        with pytest.raises(InvalidRequestError, match="page_size is 0"):
            call.events.iter(page_size=0)

    calling(test)
