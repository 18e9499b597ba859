"""
The documented calls as they go over the wire.

The samples are those of the vendor's pages, not our emulator's: it only plays the documented answers and keeps what it
received.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from resource_calls import API_KEY, PROJECT_KEY, Calls, calling

from mida_async import APIError, AuthenticationError, BadRequestError, DecodeError, MidaError
from mida_async._core.request import USER_AGENT
from mida_async.models import Event, EventCreated, EventPage, EventRecorded, GoalCreated
from mida_async.testing import ReceivedRequest, Status


def _received(call: Calls) -> ReceivedRequest:
    """Return the one request that arrived, its common headers checked."""
    (request,) = call.emulator.requests
    assert request.headers["authorization"] == f"Bearer {API_KEY}"
    assert request.headers["accept"] == "application/json"
    assert request.headers["user-agent"] == USER_AGENT
    assert request.headers["host"] == call.emulator.base_url.removeprefix("http://")
    assert [name for name in ("x-api-key", "api-key", "cookie") if name in request.headers] == []
    return request


def _check_post(request: ReceivedRequest, path: str, body: bytes) -> None:
    assert (request.method, request.path, request.query_string) == ("POST", f"/v2/project/{PROJECT_KEY}/{path}", "")
    assert request.body == body
    assert request.headers["content-type"] == "application/json"
    assert request.headers["content-length"] == str(len(body))
    assert "transfer-encoding" not in request.headers


def test_record_is_todays_create_event() -> None:
    """docs/v2/create-event, 2026-08-22: name, identifier and properties go out; success and a message come back."""

    async def test(call: Calls) -> None:
        call.emulator.script(Status(200, body={"success": True, "message": "Event recorded successfully"}))
        recorded = await call.events.record(
            "purchase_completed", mida_uuid="85a35aca4df9", properties={"amount": 10, "currency": "USD"}
        )
        assert recorded == EventRecorded(success=True, message="Event recorded successfully")
        body = (
            b'{"event_name":"purchase_completed","mida_uuid":"85a35aca4df9",'
            b'"properties":{"amount":10,"currency":"USD"}}'
        )
        _check_post(_received(call), "event", body)

    calling(test)


_SCRIPT = (
    '<script type="text/javascript">\n  window.mdq = window.mdq || [];\n'
    '  window.mdq.push(["track", "Pricing CTA Clicked"]);\n</script>'
)


def test_create_is_the_older_create_event() -> None:
    """docs/v2/create-event until 2026-03-13: a definition goes out; its number and a snippet come back."""

    async def test(call: Calls) -> None:
        answer = {
            "success": True,
            "event_id": 9876,
            "event_text": "Pricing CTA Clicked",
            "script": _SCRIPT,
            "company_id": 1001,
        }
        call.emulator.script(Status(200, body=answer))
        created = await call.events.create(
            "Pricing CTA Clicked",
            event_property={"button_id": "hero-cta", "placement": "above-fold"},
            url="https://example.com/pricing",
        )
        assert created == EventCreated(
            success=True, event_id=9876, event_text="Pricing CTA Clicked", script=_SCRIPT, company_id=1001
        )
        body = (
            b'{"event_text":"Pricing CTA Clicked",'
            b'"event_property":{"button_id":"hero-cta","placement":"above-fold"},'
            b'"url":"https://example.com/pricing"}'
        )
        _check_post(_received(call), "event", body)

    calling(test)


def test_list_is_list_events() -> None:
    """docs/v2/list-events, 2026-08-22: the documented query goes out; rows with decoded data come back."""

    async def test(call: Calls) -> None:
        rows: list[dict[str, Any]] = [
            {
                "event_id": 9876,
                "event_text": "Pricing CTA Clicked",
                "event_property": '{"button_id":"hero-cta"}',
                "created_at": "2024-01-15T10:30:00.000Z",
            },
            {
                "event_id": 9877,
                "event_text": "Signup Started",
                "event_property": None,
                "created_at": "2024-01-15T10:35:00.000Z",
            },
        ]
        call.emulator.script(Status(200, body={"success": True, "company_id": 1001, "count": 2, "events": rows}))
        page = await call.events.list(start_date=dt.date(2024, 1, 1), end_date="2024-01-31")
        moment = dt.datetime(2024, 1, 15, 10, 30, tzinfo=dt.UTC)
        first = Event(
            event_id=9876,
            event_text="Pricing CTA Clicked",
            event_property={"button_id": "hero-cta"},
            event_property_text='{"button_id":"hero-cta"}',
            created_at=moment,
        )
        second = Event(event_id=9877, event_text="Signup Started", created_at=moment.replace(minute=35))
        assert page == EventPage(success=True, company_id=1001, count=2, events=(first, second))
        request = _received(call)
        assert (request.method, request.path) == ("GET", f"/v2/project/{PROJECT_KEY}/events")
        assert request.query_string == "limit=50&offset=0&start_date=2024-01-01&end_date=2024-01-31"
        assert request.body == b""
        assert "content-type" not in request.headers

    calling(test)


def test_create_is_create_goal() -> None:
    """docs/v2/create-goal, 2026-08-22: the documented goal goes out; its number and key come back."""

    async def test(call: Calls) -> None:
        answer = {"success": True, "goal_profile_id": 3003, "goal_key": "cta_button_click", "company_id": 1001}
        call.emulator.script(Status(200, body=answer))
        created = await call.goals.create(
            goal_name="CTA Button Click",
            goal_type="clickOnElement",
            goal_value=".cta-button",
            goal_purpose="sell",
            element_url="https://example.com/",
        )
        assert created == GoalCreated(success=True, goal_profile_id=3003, goal_key="cta_button_click", company_id=1001)
        body = (
            b'{"goal_name":"CTA Button Click","goal_type":"clickOnElement","goal_value":".cta-button",'
            b'"goal_purpose":"sell","element_url":"https://example.com/"}'
        )
        _check_post(_received(call), "goal", body)

    calling(test)


def _all_texts(error: BaseException | None) -> str:
    if error is None:
        return ""
    own = f"{error!s} {error!r} {error.args} {error.__dict__}"
    return own + _all_texts(error.__cause__) + _all_texts(error.__context__)


_ECHOES: list[object] = [
    {"error": f"invalid key {API_KEY}"},
    f"<html>Authorization: Bearer {API_KEY}</html>",
    '{"error": "' + "".join(f"\\u{ord(character):04x}" for character in API_KEY) + '"}',
    {"success": False, "headers": {"authorization": f"Bearer {API_KEY}", API_KEY: 1}},
    {"event": {"event_id": API_KEY}},
    f'{{"error": "{API_KEY}',
]


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 429, 500])
@pytest.mark.parametrize("body", _ECHOES, ids=range(len(_ECHOES)))
def test_an_echoed_key_is_in_no_error(status: int, body: object) -> None:
    """R17: when a server echoes the key, no text, argument, cause or context of the error holds it."""

    async def test(call: Calls) -> None:
        headers = {"Location": f"/login?key={API_KEY}"} if status == 302 else {}
        call.emulator.script(Status(status, body=body, headers=headers, times=None))
        with pytest.raises(MidaError) as caught:
            await call.events.get(1)
        assert API_KEY not in _all_texts(caught.value)
        assert isinstance(caught.value, (APIError, DecodeError))

    calling(test)


def test_the_documented_error_is_typed() -> None:
    """The one error that the pages show, and a wrong key, arrive as their classes."""

    async def test(call: Calls) -> None:
        call.emulator.script(Status(401, body=json.dumps({"error": "Invalid API key"})))
        with pytest.raises(AuthenticationError) as caught:
            await call.goals.get(7)
        assert str(caught.value).startswith(f"HTTP 401: Invalid API key (GET /v2/project/{PROJECT_KEY}/goal/7)")
        call.emulator.script(Status(400, body={"error": "event_text is required"}))
        with pytest.raises(BadRequestError, match="event_text is required"):
            await call.events.create("a")

    calling(test)
