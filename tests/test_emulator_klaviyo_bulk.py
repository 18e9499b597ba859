"""Bulk requests to the emulator's Klaviyo: applied as one, or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from klaviyo_caller import BULK, EMAIL, Klaviyo, event, group, job, metric, nested, profile

ROOT = "/data/attributes/events-bulk-create"


@pytest.fixture(name="call")
def _call() -> Klaviyo:
    return Klaviyo()


def test_events_are_applied_in_the_order_of_the_document(call: Klaviyo) -> None:
    """The events of several profiles are recorded one after the other, each with the profile of its group."""
    bob = {"phone_number": "+15005550006", "external_id": "bob"}
    call.done(
        job(
            group(event(unique_id="1", properties={"n": 1}), event(unique_id="2", metric=metric("Left"))),
            group(event(unique_id="3", value=1.5, time="2026-01-01T00:00:00Z"), **bob),
        ),
        path=BULK,
    )
    assert [(each.event_name, each.unique_id, each.visitor_id) for each in call.recorded] == [
        ("Bought", "1", 1),
        ("Left", "2", 1),
        ("Bought", "3", 2),
    ]
    last = call.recorded[-1]
    assert (last.email, last.id, last.value, last.time) == (None, "bob", 1.5, "2026-01-01T00:00:00+00:00")
    assert last.profile == bob
    assert call.recorded[0].profile == {"email": EMAIL}


def test_a_slash_at_the_end_makes_no_difference(call: Klaviyo) -> None:
    """The specifications until 2024-10-15 have the path with a slash."""
    call.done(job(group(event())), path=f"{BULK}/")
    assert len(call.recorded) == 1


WRONG: tuple[tuple[dict[str, Any], str], ...] = (
    (event(value="x"), "events/data/1/attributes/value"),
    (event(properties=None), "events/data/1/attributes/properties"),
    (event(properties={"a": [2**63]}), "events/data/1/attributes/properties/a/0"),
    (event(metric={"name": "Bought"}), "events/data/1/attributes/metric/data"),
    (event(metric=metric("x" * 128)), "events/data/1/attributes/metric/data/attributes/name"),
    (event(time="never"), "events/data/1/attributes/time"),
    ({"type": "event"}, "events/data/1/attributes"),
    ({"type": "events", "attributes": {}}, "events/data/1/type"),
)


@pytest.mark.parametrize(("wrong", "pointer"), WRONG)
def test_one_wrong_event_stops_all(call: Klaviyo, wrong: dict[str, Any], pointer: str) -> None:
    """The refusal points at the event that is wrong, and nothing of the request is applied."""
    body = job(group(event(unique_id="a")), group(event(unique_id="b"), wrong))
    assert call.pointer(body, BULK) == f"{ROOT}/data/1/attributes/{pointer}"
    assert (call.recorded, call.emulator.klaviyo.profiles) == ([], 0)


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [({"email": "nobody"}, "/email"), ({"first_name": "Ada"}, ""), ({"email": EMAIL, "a": {"b": 2**63}}, "/a/b")],
)
def test_one_wrong_profile_stops_all(call: Klaviyo, fields: dict[str, object], pointer: str) -> None:
    """The refusal points at what is wrong in a profile."""
    body = job(group(event()), group(event(unique_id="b"), **fields))
    assert call.pointer(body, BULK) == f"{ROOT}/data/1/attributes/profile/data/attributes{pointer}"
    assert call.recorded == []


def test_a_profile_that_is_not_a_resource_is_pointed_at(call: Klaviyo) -> None:
    """Where a single request would get a pointer to the whole, a bulk request gets one to the place."""
    body = group(event())
    body["attributes"]["profile"] = {"$email": EMAIL}
    assert call.pointer(job(body), BULK) == f"{ROOT}/data/0/attributes/profile/data"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/data"),
        ({"data": nested()["data"]}, "/data/type"),
        ({"data": {"type": "event-bulk-create-job"}}, "/data/attributes"),
        ({"data": {"type": "event-bulk-create-job", "attributes": {}}}, ROOT),
        (job({"type": "event"}), f"{ROOT}/data/0/type"),
        (job({"type": "event-bulk-create", "attributes": {"profile": profile()}}), f"{ROOT}/data/0/attributes/events"),
        (job({**group(), "attributes": {"events": {"data": [event()]}}}), f"{ROOT}/data/0/attributes/profile"),
        (job({**group(), "attributes": {"events": {"data": {}}}}), f"{ROOT}/data/0/attributes/events/data"),
        (job(), ROOT),
        (job(group(), group()), ROOT),
    ],
)
def test_the_shape_is_checked(call: Klaviyo, body: dict[str, Any], pointer: str) -> None:
    """What is around the events has its published form, and there is at least one event."""
    assert call.pointer(body, BULK) == pointer


def test_a_request_has_at_most_a_thousand_events(call: Klaviyo) -> None:
    """A thousand are accepted, in however many groups; one more is refused."""
    events = [event(unique_id=str(number)) for number in range(1001)]
    assert call.pointer(job(group(*events[:500]), group(*events[500:], external_id="1")), BULK) == ROOT
    assert call.recorded == []
    call.done(job(group(*events[:500]), group(*events[500:1000], external_id="1")), path=BULK)
    assert len(call.recorded) == 1000


def test_backfill_may_be_told_of_a_group(call: Klaviyo) -> None:
    """Since 2026-04-15 a group may say that its events are old."""
    body = group(event())
    body["attributes"]["backfill"] = True
    call.done(job(body), path=BULK)
    body["attributes"]["backfill"] = "yes"
    assert call.pointer(job(body), BULK) == f"{ROOT}/data/0/attributes/backfill"
    call.headers["revision"] = "2026-01-15"
    call.done(job(body), path=BULK)


@pytest.mark.parametrize("others", [{}, {"email": EMAIL.upper()}, {"email": EMAIL, "external_id": "1"}])
def test_a_repeated_unique_id_stops_all(call: Klaviyo, others: dict[str, Any]) -> None:
    """Two events of one profile, metric and unique_id make a request fail, in one group or in two."""
    first, second = event(unique_id="a"), event(unique_id="a", value=2)
    pointer = f"{ROOT}/data/1/attributes/events/data/1/attributes/unique_id"
    assert call.pointer(job(group(first), group(event(unique_id="b"), second, **others)), BULK) == pointer
    assert call.recorded == []
    assert (
        call.pointer(job(group(first, second)), BULK) == f"{ROOT}/data/0/attributes/events/data/1/attributes/unique_id"
    )


@pytest.mark.parametrize(
    "before",
    [[], [profile(email=EMAIL, external_id="1")], [profile(email=EMAIL, _kx="k"), profile(external_id="1", _kx="k")]],
)
def test_a_profile_is_the_same_by_whatever_it_is_named(call: Klaviyo, before: list[dict[str, Any]]) -> None:
    """Whether two groups are of one profile depends on what the account knows, not on how they name it."""
    call.done(*(nested(profile=each, unique_id="before") for each in before))
    body = job(group(event(unique_id="a")), group(event(unique_id="a"), external_id="1"))
    assert call.post(body, BULK).status == (400 if before else 202)


def test_what_differs_is_not_repeated(call: Klaviyo) -> None:
    """Another profile, another metric or another unique_id makes another event."""
    call.done(
        job(
            group(event(unique_id="a"), event(unique_id="b"), event(unique_id="a", metric=metric("Left"))),
            group(event(unique_id="a"), external_id="1"),
        ),
        path=BULK,
    )
    assert len(call.recorded) == 4


def test_events_without_an_id_in_one_second_are_dropped_without_a_word(call: Klaviyo) -> None:
    """Only a unique_id that is given makes a request fail; by its time alone, an event is silently a repetition."""
    call.done(job(group(event(), event(), event(time="2026-01-01T00:00:00Z"))), path=BULK)
    assert (len(call.recorded), call.emulator.klaviyo.duplicates) == (2, 1)


def test_a_repetition_in_a_later_request_is_dropped_without_a_word(call: Klaviyo) -> None:
    """Sending a request again, or its events one by one, changes nothing and is accepted."""
    body = job(group(event(unique_id="a"), event(unique_id="b")))
    call.done(body, body, path=BULK)
    call.done(nested(unique_id="a"))
    assert (len(call.recorded), call.emulator.klaviyo.duplicates) == (2, 3)


def test_invented_addresses_are_dropped_without_a_word(call: Klaviyo) -> None:
    """Events for nobody are counted one by one, and do not stop the others."""
    call.done(job(group(event(), event(), email="ada@example.com"), group(event())), path=BULK)
    assert ([each.email for each in call.recorded], call.emulator.klaviyo.discarded) == ([EMAIL], 2)


def test_pointers_can_be_vague(call: Klaviyo) -> None:
    """With `vague`, refusals of bulk requests point at the whole; those of single ones are as before."""
    call.emulator.klaviyo.vague = True
    for body in (job(group(event(value="x"))), job(group(event(unique_id="a"), event(unique_id="a")))):
        assert call.pointer(body, BULK) == "/data"
    assert call.pointer(nested(value="x")) == "/data/attributes/value"
