"""How often the emulator lets Klaviyo be called: the published windows, and limits of the user's own."""

from __future__ import annotations

import pytest
from klaviyo_caller import BULK, SINGLE, Klaviyo, error_of, event, group, job, nested

from mida_async import RateLimit
from mida_async.testing import Emulator, FixedWindow


def windows(*, retry_after: bool = True) -> Klaviyo:
    """Return a caller of an emulator with the published limits."""
    return Klaviyo(Emulator(klaviyo_windows=True, retry_after=retry_after))


def burst(call: Klaviyo, path: str, count: int) -> list[int]:
    """Send requests at once, and return how many were admitted, and how many not."""
    statuses = [call.post(None, path).status for _ in range(count)]
    return [statuses.count(400), statuses.count(429)]


def test_without_windows_nothing_is_counted() -> None:
    """By default any number of requests is served, and answers say nothing of limits."""
    call = Klaviyo()
    assert burst(call, SINGLE, 1000) == [1000, 0]
    assert [name for name in call.reply_headers if name.startswith("RateLimit")] == []


@pytest.mark.parametrize(("path", "second", "minute"), [(SINGLE, 350, 3500), (BULK, 10, 150)])
def test_a_second_and_a_minute_are_counted(path: str, second: int, minute: int) -> None:
    """So many requests are served in each second, until those of the minute are used up."""
    call = windows()
    served = 0
    for now in range(60):
        call.now = 600.0 + now
        admitted, _ = burst(call, path, second + 1)
        served += admitted
        assert admitted == (second if served < minute or admitted else 0)
    assert served == minute
    assert call.emulator.statistics().refused == 60 * (second + 1) - minute
    call.now = 660.0
    assert burst(call, path, second + 1) == [second, 1]


def test_each_endpoint_has_its_own_windows() -> None:
    """What single requests use up is not missing to bulk requests; a slash at the end makes no other endpoint."""
    call = windows()
    assert burst(call, SINGLE, 200) == [200, 0]
    assert burst(call, f"{SINGLE}/", 200) == [150, 50]
    assert burst(call, BULK, 20) == [10, 10]


def test_a_request_too_many_is_told_when_to_come_back() -> None:
    """The 429 has the published text and Retry-After in whole seconds, and none of the RateLimit headers."""
    call = windows()
    call.now = 0.25
    burst(call, BULK, 10)
    error = call.error(job(group(event())), BULK)
    assert (error["status"], error["code"], error["title"]) == (429, "throttled", "Request was throttled.")
    assert error["detail"] == "Request was throttled. Expected available in 1 second."
    assert dict(call.reply_headers) == {"Content-Type": "application/vnd.api+json", "Retry-After": "1"}
    for call.now in range(1, 15):
        burst(call, BULK, 10)
    call.now = 20.5
    assert call.error(None, BULK)["detail"] == "Request was throttled. Expected available in 40 seconds."
    assert call.reply_headers["Retry-After"] == "40"
    assert call.emulator.recorded == []


def test_retry_after_can_be_left_out() -> None:
    """The emulator's setting holds here too: then only the text says how long to wait."""
    call = windows(retry_after=False)
    burst(call, BULK, 10)
    assert "1 second." in call.error(None, BULK)["detail"]
    assert "Retry-After" not in call.reply_headers


def test_other_answers_tell_of_the_minute() -> None:
    """Accepted and refused requests alike say the limit, what is left of the minute, and when it ends."""
    call = windows()
    call.now = 90.5
    call.done(nested())
    assert dict(call.reply_headers) == {
        "RateLimit-Limit": "350, 350;w=1, 3500;w=60",
        "RateLimit-Remaining": "3499",
        "RateLimit-Reset": "30",
    }
    assert call.error(None)["status"] == 400
    assert call.reply_headers["RateLimit-Remaining"] == "3498"
    call.now = 120.0
    call.post(None, BULK)
    assert call.reply_headers["RateLimit-Limit"] == "10, 10;w=1, 150;w=60"
    assert (call.reply_headers["RateLimit-Remaining"], call.reply_headers["RateLimit-Reset"]) == ("149", "60")


def test_whoever_has_no_key_uses_nothing_up() -> None:
    """A request that names no account or no endpoint is not counted, and is told of no limit."""
    call = windows()
    key = call.headers.pop("Authorization")
    for _ in range(20):
        assert call.error(None, BULK)["status"] == 401
    assert "RateLimit-Limit" not in call.reply_headers
    call.headers["Authorization"] = key
    assert burst(call, BULK, 20) == [10, 10]


@pytest.mark.parametrize("limit", [RateLimit(1, per=10), FixedWindow(1, 10)])
def test_limits_of_the_users_own_hold_for_all_requests(limit: RateLimit | FixedWindow) -> None:
    """They count requests to both services together, and refuse each in its own form."""
    call = Klaviyo(Emulator(rate_limits=[limit]))
    call.now = 2.5
    call.done(nested())
    error = call.error(nested())
    assert (error["code"], error["detail"]) == ("throttled", "Request was throttled. Expected available in 8 seconds.")
    assert call.reply_headers["Retry-After"] == "8"
    assert call.raw("GET", "/v2/project/x/events").body == b'{"error":"Too many requests"}'
    assert call.emulator.statistics().refused == 2
    call.now = 10.0
    assert error_of(call.raw("POST", "/api/nothing"))["status"] == 404
    assert error_of(call.raw("POST", "/api/nothing"))["status"] == 429
