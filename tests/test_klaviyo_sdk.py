"""The official package for Klaviyo's API against the emulator, which has to take it for the service."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import pytest
from klaviyo_caller import EMAIL, event, flat, group, job, klaviyo_events, nested, profile

from mida_async.testing import Status, ThreadedEmulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(name="emulator")
def _emulator() -> Iterator[ThreadedEmulator]:
    with ThreadedEmulator(klaviyo_fall_forward=True, klaviyo_windows=True) as emulator:
        yield emulator


# By name, because type checkers would read its 1,700 files.
def models(name: str) -> Any:
    """Return a class of the generated half of the package."""
    return getattr(importlib.import_module("openapi_client"), name)


@pytest.fixture(name="sdk")
def _sdk() -> Iterator[Callable[..., Any]]:
    """Make the package's clients of an emulator; they wait for next to nothing before they try again."""
    made: list[Any] = []

    def make(emulator: ThreadedEmulator, api_key: str = "", **settings: object) -> Any:
        client = importlib.import_module("klaviyo_api").KlaviyoAPI
        settings = {"max_delay": 0.01, "max_retries": 1, **settings}
        made.append(client(api_key or emulator.api_key, test_host=emulator.base_url, **settings))
        return made[-1]

    yield make
    for each in made:
        each.api_client.rest_client.pool_manager.clear()  # the package itself never closes its connections


def test_an_event_of_dicts_is_recorded(emulator: ThreadedEmulator, sdk: Callable[..., Any]) -> None:
    """create_event takes the documented body, sends it as it is today, and returns nothing."""
    body = nested(profile=profile(email=EMAIL, external_id="1"), properties={"a": [1]}, value=9.99, unique_id="u")
    assert sdk(emulator).Events.create_event(body) is None
    (event,) = klaviyo_events(emulator.recorded)
    assert (event.event_name, event.email, event.id, event.properties) == ("Bought", EMAIL, "1", {"a": [1]})
    assert (event.value, event.unique_id) == (9.99, "u")
    (request,) = emulator.requests
    assert (request.path, request.headers["revision"], request.status) == ("/api/events", "2026-10-15", 202)


def test_an_event_of_models_is_recorded(emulator: ThreadedEmulator, sdk: Callable[..., Any]) -> None:
    """create_event takes the generated models just as well."""
    query = models("EventCreateQueryV2").from_dict(nested(time="2026-01-01T00:00:00Z", unique_id="u"))
    sdk(emulator).Events.create_event(query)
    (event,) = klaviyo_events(emulator.recorded)
    assert (event.time, event.unique_id, event.email) == ("2026-01-01T00:00:00+00:00", "u", EMAIL)
    assert event.profile["phone_number"] is None  # models spell out what is not given


def test_a_bulk_request_is_recorded(emulator: ThreadedEmulator, sdk: Callable[..., Any]) -> None:
    """bulk_create_events is accepted, and each of its events is applied."""
    body = job(group(event(unique_id="1"), event(unique_id="2")), group(event(unique_id="1"), external_id="1"))
    sdk(emulator).Events.bulk_create_events(body)
    found = [(event.visitor_id, event.unique_id) for event in klaviyo_events(emulator.recorded)]
    assert found == [(1, "1"), (1, "2"), (2, "1")]
    assert emulator.requests[0].path == "/api/event-bulk-create-jobs"


def test_a_refusal_is_raised_with_the_body_of_the_error(emulator: ThreadedEmulator, sdk: Callable[..., Any]) -> None:
    """A 400 and a 401 arrive as the package's exceptions, with what the emulator said."""
    error = models("ApiException")
    with pytest.raises(error, match="invalid") as invalid:
        sdk(emulator).Events.create_event(nested(profile=profile(email="nobody")))
    assert (invalid.value.status, "/data/attributes/profile/data/attributes/email" in invalid.value.body) == (400, True)
    with pytest.raises(error) as refused:
        sdk(emulator, "wrong").Events.create_event(nested())
    assert (refused.value.status, "not_authenticated" in refused.value.body) == (401, True)
    assert emulator.recorded == []


def test_a_request_too_many_is_raised_with_retry_after(sdk: Callable[..., Any]) -> None:
    """The eleventh bulk request of a second is a 429 that says when to come back."""
    with ThreadedEmulator(klaviyo_windows=True, clock=lambda: 0.5) as emulator:
        events = sdk(emulator).Events
        for number in range(10):
            events.bulk_create_events(job(group(event(unique_id=str(number)))))
        with pytest.raises(models("ApiException")) as throttled:
            events.bulk_create_events(job(group(event(unique_id="10"))))
    assert (throttled.value.status, throttled.value.headers["Retry-After"]) == (429, "1")
    assert '"code":"throttled"' in throttled.value.body
    assert (len(emulator.recorded), emulator.statistics().refused) == (10, 1)


def test_one_that_is_throttled_is_sent_again(emulator: ThreadedEmulator, sdk: Callable[..., Any]) -> None:
    """With an attempt left the package comes back by itself after a 429, and the event is recorded once."""
    emulator.script(Status(429, {"Retry-After": "0"}), match="POST /api/events")
    sdk(emulator, max_retries=2).Events.create_event(nested())
    assert ([request.status for request in emulator.requests], len(emulator.recorded)) == ([429, 202], 1)


def test_the_flat_shape_is_not_sent_any_more(emulator: ThreadedEmulator, sdk: Callable[..., Any]) -> None:
    """The package knows the newest revision alone; it refuses the older shape by itself."""
    with pytest.raises(ValueError, match="validation error"):
        sdk(emulator).Events.create_event(flat())
    assert emulator.requests == []
