"""Klaviyo's events: the set-up, the revisions, both shapes of a body, and what profiles become."""

from __future__ import annotations

import datetime as dt
import enum
import json
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import attrs
import pytest
from klaviyo_destinations import FLAT, KEY, NESTED, NOW, TODAY, account, attributes, bulk, sent, single

from mida_async import InvalidEventError, ServerError, SettingsError
from mida_async._core.request import USER_AGENT
from mida_async.destinations.klaviyo import CURRENT_REVISION, KlaviyoDestination, Revision
from mida_async.models.klaviyo import KlaviyoEvent
from mida_async.testing.destination_suite import DESTINATION_CHECKS, DestinationCase, DestinationCheck


def visitors(*profiles: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """Return the arguments that name these profiles."""
    return tuple({"profile": profile} for profile in profiles)


def pair(one: dict[str, Any], other: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arguments that name these two profiles."""
    return {"profile": one}, {"profile": other}


SINGLE = DestinationCase(
    make=lambda key: single(api_key=key),
    visitors=visitors(
        {"email": "a@b.c"},
        {"phone_number": "+15005550006"},
        {"external_id": "a@b.c"},
        {"id": "a@b.c"},
        {"anonymous_id": "1"},
        {"_kx": "1"},
        {"external_id": "3", "first_name": "Ada"},
    ),
    same=(
        pair({"email": "Ada@b.c"}, {"email": "ada@B.C"}),
        pair({"id": "1", "email": "a@b"}, {"id": "1", "external_id": "7"}),
    ),
    nobody=(
        *visitors({}, {"email": None}, {"first_name": "Ada"}, {"email": "a@b.c", "external_id": ""}),
        *visitors({"email": " "}, {"external_id": 7}, {"id": "1", "email": b"a@b.c"}, {"email": "ada"}),
        *({"profile": profile} for profile in (None, "a@b.c", [("email", "a@b.c")])),
    ),
    properties_at=("data", "attributes", "properties"),
    largest={"text": "x" * 100_000},
    too_large=({"text": "x" * 100_001}, {"text": ["é" * 50_000 + "x"]}),
    limit="100000 bytes",
    number=2**63 - 1,
    kinds={403: ServerError},
)
FLAT_CASE = attrs.evolve(
    SINGLE,
    make=lambda key: single(FLAT, api_key=key),
    visitors=visitors({"email": "a@b.c"}, {"phone_number": "+15005550006"}, {"email": "b@b.c", "city": "Ulm"}),
    same=(pair({"email": "a@b", "external_id": "1"}, {"phone_number": "+15005550006", "external_id": "1"}),),
    nobody=(*visitors({"external_id": "1"}, {"email": "a@b", "id": "1"}, {"$email": "a@b.c"}), *SINGLE.nobody),
)
BULK_CASE = attrs.evolve(SINGLE, make=lambda key: bulk(api_key=key), properties_at=(1, "attributes", "properties"))
CASES = {"nested": SINGLE, "flat": FLAT_CASE, "bulk": BULK_CASE}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("check", DESTINATION_CHECKS, ids=lambda check: check.__name__)
def test_klaviyo_passes_the_suite(check: DestinationCheck, case: DestinationCase) -> None:
    """Klaviyo's destinations keep every promise of a destination, in each shape of a body."""
    check(case)


# The set-up


@pytest.mark.parametrize(
    "revision",
    [
        *("", "2023", "2023-1-24", "2023-02-30", "2022-10-16", "20230124", "2023-01-24pre", "2023-01-24.PRE"),
        *("1999-01-01", "2023-01-24\n", "2023-01-24T00", "9999-01-01", None, 20230124, dt.date(2023, 1, 24)),
    ],
    ids=repr,
)
def test_a_revision_is_a_date(revision: Any) -> None:
    """A revision that is no date, or lies before the first, is refused with what is allowed."""
    with pytest.raises(
        SettingsError, match=r"^revision is .*; it must be a date such as '2026-10-15', not before 2022"
    ):
        account(revision)


def test_revisions_are_values() -> None:
    """A revision is its text, a beta one too; equal texts are equal revisions."""
    assert (str(Revision("2022-10-17")), Revision("2024-07-15.pre").text) == ("2022-10-17", "2024-07-15.pre")
    assert {Revision(NESTED)} == {Revision(CURRENT_REVISION)}
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Revision(NESTED).text = FLAT  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "since", "before", "after"),
    [
        ("flat", "2023-07-15", True, False),
        ("has_kx", "2023-09-15", False, True),
        ("has_value_currency", "2024-02-15", False, True),
        ("has_bulk", "2024-05-15", False, True),
        ("has_locale", "2024-07-15", False, True),
        ("path", "2024-10-15", "/api/events/", "/api/events"),
        ("bulk_path", "2024-10-15", "/api/event-bulk-create-jobs/", "/api/event-bulk-create-jobs"),
        ("media_type", "2024-10-15", "application/json", "application/vnd.api+json"),
        ("most_properties", "2025-04-15", 300, 400),
        ("has_backfill", "2026-04-15", False, True),
        ("earliest", "2026-07-15", dt.datetime(2000, 1, 1, tzinfo=dt.UTC), dt.datetime(1990, 1, 1, tzinfo=dt.UTC)),
    ],
)
def test_a_revision_knows_what_it_has(name: str, since: str, before: object, after: object) -> None:
    """Each change of the API begins with its revision, betas of that date included, and not a day earlier."""
    day_before = (dt.date.fromisoformat(since) - dt.timedelta(days=1)).isoformat()
    assert getattr(Revision("2022-10-17"), name) == getattr(Revision(day_before), name) == before
    assert getattr(Revision(since), name) == getattr(Revision(f"{since}.pre"), name) == after
    assert getattr(Revision("2030-01-15"), name) == after


@pytest.mark.parametrize(
    ("revision", "retired"),
    [("2023-01-24", "2025-01-24"), ("2024-10-15.pre", "2026-10-15"), ("2024-02-29", "2026-02-28")],
)
def test_a_revision_is_retired_after_two_years(revision: str, retired: str) -> None:
    """The warning is there from the day of retirement on, and names it and the cure."""
    day = dt.date.fromisoformat(retired)
    found = Revision(revision)
    assert found.retired_on == day
    assert found.warning(day - dt.timedelta(days=1)) == ""
    assert f"revision {revision} was retired on {retired}: the service falls forward" in found.warning(day)
    assert "oldest revision that is not retired" in found.warning(day)
    assert found.warning(day).endswith("Use revision='2026-10-15'")
    assert ("refused with 400" in found.warning(day)) == found.flat


def test_a_retired_revision_is_told_once() -> None:
    """The warning comes when a destination is made, and no event repeats it; a current revision has none."""
    said: list[str] = []
    destination = single(FLAT, said)
    destination.encode("e", profile={"email": "a@b.c"})
    assert said == [Revision(FLAT).warning(TODAY)]
    bulk("2024-07-15", said)
    assert [text[:35] for text in said[1:]] == ["Klaviyo's revision 2024-07-15 was r"]
    single(NESTED, said)
    assert len(said) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"api_key": None}, ["pass api_key or set KLAVIYO_API_KEY"]),
        ({"api_key": ""}, ["pass api_key or set KLAVIYO_API_KEY"]),
        ({"api_key": f"{KEY}\n"}, ["api_key holds"]),
        ({"max_response_bytes": 0}, ["max_response_bytes is 0"]),
        ({"base_url": "a.klaviyo.com"}, ["base_url must start with https://", "none for Klaviyo's own"]),
        ({"base_url": "https://a.klaviyo.com/api"}, ["everything before /api: leave the /api"]),
        ({"base_url": "https://a.klaviyo.com/api/"}, ["everything before /api: leave the /api"]),
        ({"base_url": "http://a.klaviyo.com"}, ["allow_insecure_http=True"]),
        ({"base_url": "https://me:hunter2@a.klaviyo.com"}, ["password"]),
    ],
)
def test_a_wrong_set_up_says_what_to_do(changes: dict[str, Any], words: list[str]) -> None:
    """R17: the message is about Klaviyo's settings, not about Mida's, and shows neither key nor password."""
    with pytest.raises(SettingsError) as refusal:
        account(**changes)
    text = str(refusal.value)
    assert [word for word in words if word not in text] == []
    assert not any(word in text for word in ("MIDA", "/v2", "hunter2", KEY))


def test_an_account_does_not_show_its_key() -> None:
    """R17: neither an account, nor a destination, nor a request shows the key; one header has it."""
    request = single().request(b"{}")
    assert KEY not in f"{account()!r} {single()!r} {bulk()!r} {request!r} {request.url} {request.label}"
    assert account(base_url="http://a.test", allow_insecure_http=True).base_url == "http://a.test"
    assert account(max_response_bytes=7).max_response_bytes == 7


@pytest.mark.parametrize(
    ("revision", "path", "media_type"),
    [
        (FLAT, "/api/events/", "application/json"),
        ("2024-07-15", "/api/events/", "application/json"),
        ("2024-10-15", "/api/events", "application/vnd.api+json"),
    ],
)
def test_the_request(revision: str, path: str, media_type: str) -> None:
    """An event is a POST to the address of the revision, with the revision, the key and the type in headers."""
    request = single(revision, base_url="https://proxy.test/k/").request(b"{}")
    assert (request.method, request.url, request.body) == ("POST", f"https://proxy.test/k{path}", b"{}")
    assert request.headers == {
        "Authorization": f"Klaviyo-API-Key {KEY}",
        "revision": revision,
        "Content-Type": media_type,
        "Accept": media_type,
        "User-Agent": USER_AGENT,
    }
    assert (request.max_response_bytes, request.secret) == (65_536, KEY)


@pytest.mark.parametrize(
    ("revision", "path"),
    [("2024-05-15", "/api/event-bulk-create-jobs/"), ("2024-10-15", "/api/event-bulk-create-jobs")],
)
def test_bulk_requests_have_their_own_address(revision: str, path: str) -> None:
    """Many events go to their own address, from the first revision that has it on."""
    destination = bulk(revision)
    request = destination.request(destination.encode("e", profile={"id": "1"}).body)
    assert request.url == f"https://a.klaviyo.com{path}"
    with pytest.raises(SettingsError, match="revision is 2024-05-14; it must be 2024-05-15 or later"):
        bulk("2024-05-14")


# The body


def test_the_flat_body() -> None:
    """The body of revision 2023-01-24 is, byte for byte, the one of its page."""
    draft = single(FLAT).encode(
        "Viewed Product",
        profile={"email": "matt.kemp@klaviyo-demo.com"},
        properties={"ProductID": 1111},
        time="2022-11-08T00:00:00",
        value=9.99,
        unique_id="u-1",
    )
    assert draft.body == (
        b'{"data":{"type":"event","attributes":{"profile":{"$email":"matt.kemp@klaviyo-demo.com"},'
        b'"metric":{"name":"Viewed Product"},"properties":{"ProductID":1111},'
        b'"time":"2022-11-08T00:00:00+00:00","value":9.99,"unique_id":"u-1"}}}'
    )


def test_the_nested_body() -> None:
    """The body of revisions since 2023-07-15 is, byte for byte, the one of their pages."""
    draft = single().encode(
        "Viewed Product",
        profile={"email": "sarah.mason@klaviyo-demo.com"},
        properties={"ProductID": 1111},
        time=dt.datetime(2022, 11, 8),  # noqa: DTZ001  without a zone, as in the page's example
        value=Decimal("9.99"),
        value_currency="USD",
        unique_id="u-1",
        backfill=True,
    )
    assert draft.body == (
        b'{"data":{"type":"event","attributes":{"properties":{"ProductID":1111},'
        b'"metric":{"data":{"type":"metric","attributes":{"name":"Viewed Product"}}},'
        b'"profile":{"data":{"type":"profile","attributes":{"email":"sarah.mason@klaviyo-demo.com"}}},'
        b'"time":"2022-11-08T00:00:00+00:00","value":9.99,"value_currency":"USD","unique_id":"u-1","backfill":true}}}'
    )


def test_the_bulk_body() -> None:
    """A bulk body is profile and event, divided by the one line break in it; alone it makes a whole request."""
    destination = bulk()
    body = destination.encode("e\n,", profile={"id": "7", "email": "a@b.c"}, unique_id="u").body
    profile = b'{"type":"profile","id":"7","attributes":{"email":"a@b.c"}}'
    event = (
        b'{"type":"event","attributes":{"properties":{},'
        b'"metric":{"data":{"type":"metric","attributes":{"name":"e\\n,"}}},'
        b'"time":"2026-11-29T01:02:03+00:00","unique_id":"u"}}'
    )
    assert body == b"[" + profile + b"\n," + event + b"]"
    assert destination.request(body).body == (
        b'{"data":{"type":"event-bulk-create-job","attributes":{"events-bulk-create":{"data":['
        b'{"type":"event-bulk-create","attributes":{"profile":{"data":'
        + profile
        + b'},"events":{"data":['
        + event
        + b"]}}}]}}}}"
    )


@pytest.mark.parametrize("revision", [FLAT, NESTED])
def test_the_least_that_is_sent(revision: str) -> None:
    """R5: time and unique_id are fixed when the event is accepted, so a retry repeats them; the rest is not made up."""
    assert {**sent(revision), "profile": 0, "metric": 0} == {
        "profile": 0,
        "metric": 0,
        "properties": {},
        "time": "2026-11-29T01:02:03+00:00",
        "unique_id": "new-1",
    }


def test_every_event_gets_an_id_of_its_own() -> None:
    """R5: two events without an id are two events; only the caller's own id is the record's."""
    destination = single()
    one, two = (destination.encode("e", profile={"id": "1"}) for _ in range(2))
    assert [attributes(each.body)["unique_id"] for each in (one, two)] == ["new-1", "new-2"]
    assert (one.unique_id, two.unique_id) == (None, None)
    assert destination.encode("e", profile={"id": "1"}, unique_id="mine").unique_id == "mine"


@pytest.mark.parametrize("destination", [single(FLAT), single(), bulk()], ids=["flat", "nested", "bulk"])
def test_what_was_created_is_read_back(destination: KlaviyoDestination) -> None:
    """What a direct call returns is the id and the time that were sent."""
    zone = dt.timezone(dt.timedelta(hours=2))
    at = dt.datetime(2026, 11, 8, 1, 2, 3, 4, tzinfo=zone)
    body = destination.encode("e", profile={"email": "a@b.c"}, time=at, unique_id="ü\n").body
    assert destination.created(body) == KlaviyoEvent(unique_id="ü\n", time=at.replace(microsecond=0))
    body = destination.encode("e", profile={"email": "a@b.c"}).body
    assert destination.created(body).time == NOW.replace(microsecond=0)


@pytest.mark.parametrize(
    ("arguments", "foldable"),
    [
        ({}, True),
        ({"properties": {"a": 1}, "unique_id": "u"}, True),
        ({"backfill": False}, True),
        ({"backfill": True}, False),
        ({"value": 0}, False),
        ({"value_currency": "EUR"}, False),
        ({"time": NOW}, False),
        ({"profile": {"id": "1", "email": "a@b.c", "phone_number": None}}, True),
        ({"profile": {"id": "1", "first_name": "Ada"}}, False),
        ({"profile": {"id": "1", "location": {"city": "Ulm"}}}, False),
        ({"profile": {"id": "1", "anything": 1}}, False),
    ],
)
def test_what_would_be_lost_is_not_folded(arguments: dict[str, Any], foldable: bool) -> None:  # noqa: FBT001
    """R4: an event is foldable if a fold, which keeps its properties alone, loses nothing of it."""
    assert single().encode("e", **{"profile": {"id": "1"}, **arguments}).foldable is foldable


@pytest.mark.parametrize("destination", [single(FLAT), single(), bulk()], ids=["flat", "nested", "bulk"])
def test_a_fold_keeps_all_but_the_properties(destination: KlaviyoDestination) -> None:
    """R4: a folded event is what it would have been with these properties from the start."""
    arguments: dict[str, Any] = {
        "profile": {"email": "ä@b.c", "n": 2**60},
        "value": 1.10,
        "time": NOW,
        "unique_id": "u",
    }
    body = destination.encode("e\n,", **arguments, properties={"a": "\n,"}).body
    other = {"b": [2.50, "\n,", None], "c": 2**62}
    assert destination.fold(body, other) == destination.encode("e\n,", **arguments, properties=other).body


# Profiles


def profile_of(revision: str = NESTED, **profile: Any) -> dict[str, Any]:
    """Return what goes out of a profile."""
    found: dict[str, Any] = sent(revision, profile=profile)["profile"]
    return found


EVERYTHING: dict[str, Any] = {
    "email": "Ada@B.c",
    "phone_number": "+15005550006",
    "external_id": " 1",
    "first_name": "Ada",
    "last_name": "L",
    "organization": "O",
    "title": "T",
    "image": "I",
    "city": "Ulm",
    "region": "R",
    "country": "C",
    "zip": "Z",
    "address1": "1",
    "address2": "2",
    "timezone": "Europe/Berlin",
    "ip": "::1",
    "latitude": 48.4,
    "longitude": 10,
    "locale": "de",
    "consent": ["sms"],
    "plan": {"a": [1]},
    "properties": {"email": "x", "city": 2},
    "location": {"floor": 3},
}


def test_a_nested_profile_has_everything_in_its_place() -> None:
    """Identifiers and known attributes stand alone, the place in location, the rest in properties."""
    found = profile_of(id="7", anonymous_id="8", _kx="9", **EVERYTHING)
    assert found == {
        "data": {
            "type": "profile",
            "id": "7",
            "attributes": {
                "email": "Ada@B.c",
                "phone_number": "+15005550006",
                "external_id": " 1",
                "anonymous_id": "8",
                "_kx": "9",
                "first_name": "Ada",
                "last_name": "L",
                "organization": "O",
                "title": "T",
                "image": "I",
                "locale": "de",
                "location": {
                    "city": "Ulm",
                    "region": "R",
                    "country": "C",
                    "zip": "Z",
                    "address1": "1",
                    "address2": "2",
                    "timezone": "Europe/Berlin",
                    "ip": "::1",
                    "latitude": 48.4,
                    "longitude": 10,
                    "floor": 3,
                },
                "properties": {"consent": ["sms"], "plan": {"a": [1]}, "email": "x", "city": 2},
            },
        }
    }


def test_a_flat_profile_has_dollars_before_what_is_known() -> None:
    """What the service knows begins with a dollar sign, external_id is ``$id``, the rest goes out as it is."""
    assert profile_of(FLAT, **EVERYTHING) == {
        "$email": "Ada@B.c",
        "$phone_number": "+15005550006",
        "$id": " 1",
        "$first_name": "Ada",
        "$last_name": "L",
        "$organization": "O",
        "$title": "T",
        "$image": "I",
        "$city": "Ulm",
        "$region": "R",
        "$country": "C",
        "$zip": "Z",
        "$address1": "1",
        "$address2": "2",
        "$timezone": "Europe/Berlin",
        "$ip": "::1",
        "$latitude": 48.4,
        "$longitude": 10,
        "$consent": ["sms"],
        "locale": "de",
        "plan": {"a": [1]},
        "email": "x",
        "city": 2,
        "floor": 3,
    }


def test_an_older_revision_has_fewer_attributes() -> None:
    """A locale is a property like any other where the service does not know it yet; ``_kx`` would name nobody."""
    known = profile_of("2024-05-15", id="1", locale="de")["data"]["attributes"]
    assert known == {"properties": {"locale": "de"}}
    with pytest.raises(InvalidEventError, match=r"^profile\._kx: revision 2023-07-15 has no such identifier$"):
        profile_of("2023-07-15", _kx="1", id="1")


@pytest.mark.parametrize("name", ["id", "anonymous_id", "_kx"])
def test_a_flat_profile_has_fewer_identifiers(name: str) -> None:
    """R7: an identifier that the revision does not have is refused: it would silently name nobody."""
    with pytest.raises(InvalidEventError, match=rf"^profile\.{name}: revision 2023-01-24 has no such identifier$"):
        profile_of(FLAT, email="a@b.c", **{name: "1"})


@pytest.mark.parametrize(
    ("revision", "names"),
    [
        (FLAT, "email, phone_number"),
        ("2023-07-15", "email, phone_number, external_id, id, anonymous_id"),
        (NESTED, "email, phone_number, external_id, id, anonymous_id, _kx"),
    ],
)
def test_an_identifier_is_needed(revision: str, names: str) -> None:
    """R7: the message names the identifiers that the revision knows."""
    with pytest.raises(InvalidEventError, match=rf"^no identifier: give profile at least one of {names}$"):
        profile_of(revision, first_name="Ada", email=None)


@pytest.mark.parametrize(
    ("revision", "profile", "right"),
    [
        (NESTED, {"email": "a@b.c", "$first_name": "Ada"}, "profile: '$first_name'.* use 'first_name'"),
        (FLAT, {"email": "a@b.c", "$email": "d@e.f"}, "profile: '$email'.* use 'email'"),
        (FLAT, {"email": "a@b.c", "$id": "1"}, "profile: '$id'.* use 'external_id'"),
        (NESTED, {"email": "a@b.c", "location": {"$city": "Ulm"}}, "profile.location: '$city'.* use 'city'"),
        (FLAT, {"email": "a@b.c", "properties": {"$email": "d@e.f"}}, "profile.properties: '$email'.* use 'email'"),
        (NESTED, {"email": "a@b.c", 7: 1}, "a key of profile is 7; it must be a string"),
        (NESTED, {"email": "a@b.c", "location": "Ulm"}, "profile.location is 'Ulm'; it must be a mapping"),
        (NESTED, {"email": "a@b.c", "properties": None}, "profile.properties is None; it must be a mapping"),
        (NESTED, {"email": "a@b.c", "city": 1, "location": {"city": 2}}, "profile.location: 'city' is given twice"),
        (NESTED, {"email": "a@b.c", "properties": {"a": 2}, "a": 1}, "profile: 'a' is given twice"),
        (FLAT, {"email": "a@b.c", "a": 2, "location": {"a": 1}}, "profile: 'a' is given twice"),
        (NESTED, {"email": "a@b.c", "a": {"b": [float("nan")]}}, r"profile\.a\.b\[0\]: nan"),
        (NESTED, {"email": "a@b.c", "city": b"Ulm"}, r"profile\.city: bytes"),
        (FLAT, {"email": "a@b.c", "city": {1}}, r"profile\.city: set"),
        (NESTED, {"id": "\ud800"}, r"profile\.id: half of a surrogate"),
    ],
)
def test_a_profile_that_is_wrong_says_where(revision: str, profile: dict[Any, Any], right: str) -> None:
    """R7: the message names what the caller wrote, not what it would have become."""
    with pytest.raises(InvalidEventError, match=f"^{right.replace('$', '[$]')}") as refusal:
        sent(revision, profile=profile)
    assert refusal.value.__context__ is None


def test_an_id_that_was_made_wrongly_is_refused() -> None:
    """R7: an id from outside that cannot be sent is a clear error, even where the caller did not give it."""
    destination = KlaviyoDestination(account(), clock=NOW.timestamp, new_id=lambda: "\ud800", warn=print)
    with pytest.raises(InvalidEventError, match="unique_id: half of a surrogate"):
        destination.encode("e", profile={"id": "1"})


class Name(str, enum.Enum):  # noqa: UP042 - StrEnum behaves like its strings; this one does not
    """Texts, as applications write them down."""

    CITY = "city"
    EMAIL = "email"
    ADDRESS = "Ada@B.c"


def test_members_of_enumerations_are_the_strings_that_they_stand_for() -> None:
    """R3: names, keys and identifiers from an enumeration are the same as their plain texts."""
    profile: MappingProxyType[Any, Any] = MappingProxyType({Name.EMAIL: Name.ADDRESS, Name.CITY: Name.CITY})
    given = single().encode(Name.CITY, profile=profile, unique_id=Name.CITY)
    assert given == single().encode("city", profile={"email": "Ada@B.c", "city": "city"}, unique_id="city")
    assert {type(text) for text in (given.name, *given.identities, given.unique_id)} == {str}


def test_visitors_are_known_by_every_identifier() -> None:
    """R3: each identifier is a key of its own; only that of an email ignores case, and what is sent stays as it is."""
    draft = single().encode("e", profile={"email": "Ada@B.c", "_kx": "K", "id": "I", "city": "Ulm"})
    assert draft.identities == ("email:ada@b.c", "_kx:K", "id:I")
    assert (draft.name, draft.properties) == ("e", None)


@pytest.mark.parametrize("domain", ["example.com", "Mail.EXAMPLE.com", "test.com", "example.net", "a.example.org"])
def test_addresses_that_are_discarded_are_told_once(domain: str) -> None:
    """The service takes such events and drops them, which looks like success; a destination says so once."""
    said: list[str] = []
    destination = single(said=said)
    for _ in range(3):
        destination.encode("e", profile={"email": f"a@{domain}"})
    assert len(said) == 1
    assert "answers 202" in said[0]
    assert "discards" in said[0]


@pytest.mark.parametrize("domain", ["klaviyo-demo.com", "myexample.com", "test.com.au", "contest.com"])
def test_other_addresses_are_not_discarded(domain: str) -> None:
    """Nothing is said of a domain that only looks alike, nor of an event that was refused."""
    said: list[str] = []
    destination = single(said=said)
    destination.encode("e", profile={"email": f"a@{domain}"})
    with pytest.raises(InvalidEventError):
        destination.encode("e", profile={"email": "a@example.com"}, properties={"a": {1}})
    assert said == []


def test_later_changes_do_not_matter() -> None:
    """R7: an event is encoded at the call; what the caller does to the arguments afterwards is not sent."""
    profile: dict[str, Any] = {"id": "1", "location": {"city": "Ulm"}}
    draft = single().encode("e", profile=profile)
    profile["location"].clear()
    profile["id"] = "2"
    assert json.loads(draft.body)["data"]["attributes"]["profile"]["data"] == {
        "type": "profile",
        "id": "1",
        "attributes": {"location": {"city": "Ulm"}},
    }
