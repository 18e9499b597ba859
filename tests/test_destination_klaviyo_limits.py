"""Klaviyo's published limits: just inside, just outside, and what is said about it."""

from __future__ import annotations

import datetime as dt
import enum
import json
import math
import re
import zoneinfo
from collections import UserDict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from klaviyo_destinations import FLAT, NESTED, NOW, attributes, bulk, sent, single

from mida_async import InvalidEventError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mida_async.destinations.klaviyo import KlaviyoBulkDestination, KlaviyoDestination

INT64 = 2**63


def refusal(revision: str = NESTED, **arguments: Any) -> str:
    """Return why an event is refused."""
    with pytest.raises(InvalidEventError) as caught:
        sent(revision, **arguments)
    assert caught.value.__context__ is None
    return str(caught.value)


# Names and ids


def test_a_metric_has_fewer_than_128_characters() -> None:
    """R7: 127 characters are sent, 128 are refused; characters count, not bytes."""
    assert sent(metric="é" * 127)["metric"]["data"]["attributes"]["name"] == "é" * 127
    assert refusal(metric="x" * 128) == "metric has 128 characters; at most 127 are allowed"
    assert refusal(metric="a\ud83d").startswith("metric: half of a surrogate pair")


def test_a_unique_id_has_at_most_255_characters() -> None:
    """R7: 255 characters are sent, 256 are refused."""
    assert sent(unique_id="x" * 255)["unique_id"] == "x" * 255
    assert refusal(unique_id="x" * 256) == "unique_id has 256 characters; at most 255 are allowed"
    assert refusal(unique_id="\udfff").startswith("unique_id: half of a surrogate pair")


@pytest.mark.parametrize("field", ["metric", "unique_id", "email", "external_id", "id", "_kx", "phone_number"])
@pytest.mark.parametrize(
    "value", ["", " ", "\t\n", "\u2003", 7, True, b"x", ["x"], 10**5000], ids=lambda value: type(value).__name__
)
def test_names_and_identifiers_are_texts(field: str, value: object) -> None:
    """R7: a name or identifier is a string that can be seen; the message names the field and shows the value."""
    given: dict[str, Any] = (
        {field: value} if field in {"metric", "unique_id"} else {"profile": {"anonymous_id": "1", field: value}}
    )
    assert re.match(rf"(profile\.)?{field} is .*; it must be a string with at least one", refusal(**given))


# Identifiers


@pytest.mark.parametrize("email", ["a@b", "a@b@c", "x" * 97 + "@b", "ä@ö", '"@"@b', "a@b.c"])
def test_good_addresses_are_sent(email: str) -> None:
    """R7: an address is something on both sides of an @, in fewer than 100 characters."""
    assert sent(profile={"email": email})["profile"]["data"]["attributes"] == {"email": email}


@pytest.mark.parametrize("email", ["a", "@", "a@", "@b", "a b@c", " a@b", "a@b\n", "a@\u2003b", "a@b c"])
def test_bad_addresses_are_refused(email: str) -> None:
    """R7: a wrong address is refused even beside another identifier, because the service would refuse it."""
    expected = f"profile.email is {email!a}; it must be an address"
    assert refusal(profile={"email": email, "id": "1"}).startswith(expected)


def test_an_address_has_fewer_than_100_characters() -> None:
    """R7: the message names size and limit."""
    email = "x" * 98 + "@b"
    assert refusal(profile={"email": email}) == "profile.email has 100 characters; at most 99 are allowed"


@pytest.mark.parametrize("number", ["+15005550006", "+12", "+123456789012345"])
def test_good_phone_numbers_are_sent(number: str) -> None:
    """R7: a phone number in the form of E.164 is enough."""
    assert sent(profile={"phone_number": number})["profile"]["data"]["attributes"] == {"phone_number": number}


@pytest.mark.parametrize("number", ["15005550006", "+1", "+0123", "+1234567890123456", "+1 500", "+1٣٣", "+12\n", "no"])
def test_bad_phone_numbers_are_refused_alone(number: str) -> None:
    """R7: a phone number in another form names nobody alone, and does no harm beside another identifier."""
    text = refusal(profile={"phone_number": number, "first_name": "Ada"})
    assert text.startswith(f"profile.phone_number is {number!a}; it must be in the form of E.164")
    assert sent(profile={"phone_number": number, "external_id": "1"})
    assert sent(FLAT, profile={"phone_number": number, "email": "a@b"})
    assert "E.164" in refusal(FLAT, profile={"phone_number": number, "external_id": "1"})


# Time, value, currency, backfill

EARLIEST = dt.datetime(1990, 1, 1, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


@pytest.mark.parametrize(
    ("time", "written"),
    [
        ("2022-11-08T00:00:00", "2022-11-08T00:00:00+00:00"),
        ("2022-11-08T01:02:03.999999Z", "2022-11-08T01:02:03+00:00"),
        ("2022-11-08", "2022-11-08T00:00:00+00:00"),
        ("2022-11-08T01:02:03.9-03:30", "2022-11-08T01:02:03-03:30"),
        (dt.datetime(2022, 11, 8, 1, 2, 3, 9), "2022-11-08T01:02:03+00:00"),  # noqa: DTZ001  naive by intention
        (NOW, "2026-11-29T01:02:03+00:00"),
        (dt.datetime(2022, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")), "2022-07-01T00:00:00+02:00"),
        ("2022-11-08T00:53:28+00:53:28", "2022-11-08T00:00:00+00:00"),
        (EARLIEST + SECOND, "1990-01-01T00:00:01+00:00"),
        (NOW + dt.timedelta(days=365), "2027-11-29T01:02:03+00:00"),
    ],
    ids=str,
)
def test_times_are_written_to_the_second(time: Any, written: str) -> None:
    """A time goes out to the second and with its offset; one without an offset is in UTC."""
    assert sent(time=time)["time"] == written


@pytest.mark.parametrize(
    "time", [7, 1.5, True, b"2022-11-08", dt.date(2022, 11, 8), "soon", "", "2022-11-08T25:00", "\ud800"], ids=ascii
)
def test_what_is_no_time_is_refused(time: Any) -> None:
    """R7: the message shows the value and what a time looks like."""
    text = refusal(time=time)
    assert text.startswith(f"time is {time!a}; it must be a datetime or a text in ISO 8601")


@pytest.mark.parametrize(
    ("revision", "year"), [(FLAT, 2000), ("2026-04-15", 2000), ("2026-07-15", 1990), (NESTED, 1990)]
)
def test_events_are_not_too_old(revision: str, year: int) -> None:
    """R7: the earliest time depends on the revision; offsets count."""
    earliest = dt.datetime(year, 1, 1, tzinfo=dt.UTC)
    assert sent(revision, time=earliest + SECOND)
    text = refusal(revision, time=earliest + SECOND / 2)  # which goes out as the second before
    assert re.match(rf"time is '{year}-01-01T00:00:00\+00:00'.*must be after {year}-01-01T00:00:00\+00:00 and", text)
    assert "time is" in refusal(revision, time=f"{year}-01-01T00:00:00+00:01")
    assert "time is" in refusal(revision, time=dt.datetime(1, 1, 1))  # noqa: DTZ001  naive by intention


def test_events_are_not_too_far_ahead() -> None:
    """R7: an event may happen up to a year from now."""
    latest = NOW + dt.timedelta(days=365)
    assert sent(time=latest)
    assert refusal(time=latest + SECOND).endswith("up to a year from now, 2027-11-29T01:02:03+00:00")
    assert "time is" in refusal(time=dt.datetime.max.replace(tzinfo=dt.timezone(dt.timedelta(hours=-23))))


class Size(enum.IntEnum):
    """A number with a name."""

    LARGE = 3


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (9.99, "9.99"),
        (-1, "-1"),
        (Decimal("9.90"), "9.9"),
        (Decimal(10) ** 30, "1e+30"),
        (Size.LARGE, "3"),
        (INT64 - 1, "9223372036854775807"),
        (-INT64, "-9223372036854775808"),
    ],
    ids=repr,
)
def test_values_are_numbers(value: Any, written: str) -> None:
    """A value goes out as a number, a decimal one too."""
    body = single().encode("e", profile={"id": "1"}, value=value).body.decode()
    assert f'"value":{written},' in body


@pytest.mark.parametrize(
    "value",
    [
        *(
            True,
            "9.99",
            math.nan,
            math.inf,
            -math.inf,
            Decimal("NaN"),
            Decimal("sNaN"),
            Decimal("1e400"),
            1j,
            [1],
            b"1",
        ),
        *(INT64, -INT64 - 1, 10**5000),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_values_are_refused(value: object) -> None:
    """R7: what is no finite number, or a whole one of more than 64 bits, is refused."""
    assert re.match(
        "value is .*; it must be (a finite number|from -9223372036854775808 to 9223372036854775807)",
        refusal(value=value),
    )


@pytest.mark.parametrize("currency", ["usd", "US", "USDT", "", "U$D", "ÜSD", "USD\n", 7, b"USD"])
def test_currencies_are_three_letters(currency: Any) -> None:
    """R7: a currency is written as in ISO 4217."""
    assert sent(value_currency="EUR")["value_currency"] == "EUR"
    assert refusal(value_currency=currency).startswith(f"value_currency is {currency!a}; it must be three capital")


def test_older_revisions_have_no_currency() -> None:
    """R7: a field that the revision does not have is refused; the message names the first that has it."""
    assert sent("2024-02-15", value_currency="EUR")["value_currency"] == "EUR"
    text = refusal("2023-10-15", value_currency="EUR")
    assert text == "value_currency: revision 2023-10-15 has no such field; 2024-02-15 is the first that has"


def test_backfill_is_sent_where_it_is_known() -> None:
    """R7: only True is sent, and only to a revision that has the field."""
    assert sent("2026-04-15", backfill=True)["backfill"] is True
    assert "backfill" not in sent(FLAT, backfill=False)
    text = refusal("2026-01-15", backfill=True)
    assert text == "backfill: revision 2026-01-15 has no such field; 2026-04-15 is the first that has"
    assert refusal(backfill=1) == "backfill is 1; it must be True or False"
    assert refusal(backfill=None) == "backfill is None; it must be True or False"


# Properties


def many(number: int) -> dict[str, Any]:
    """Return so many properties."""
    return {f"p{position}": position for position in range(number)}


@pytest.mark.parametrize(("revision", "most"), [(FLAT, 300), ("2025-01-15", 300), ("2025-04-15", 400), (NESTED, 400)])
def test_the_number_of_properties(revision: str, most: int) -> None:
    """R7: 300 properties until 2025-01-15, 400 from 2025-04-15 on; those within others do not count."""
    assert sent(revision, properties=many(most))["properties"] == many(most)
    assert sent(revision, properties={"all": many(most + 1)})
    text = refusal(revision, properties=many(most + 1))
    assert text == f"properties has {most + 1} of them; this revision allows at most {most}"


@pytest.mark.parametrize("letter", ["x", "é", "😀"])
def test_the_length_of_a_string(letter: str) -> None:
    """R7: a string has up to 100,000 bytes, however deep it lies; two of them are two strings."""
    text = letter * (100_000 // len(letter.encode()))
    assert sent(properties={"a": text, "b": [text]})
    assert refusal(properties={"a": text + "x"}) == (
        "properties.a holds a string of 100001 bytes; at most 100000 bytes are allowed"
    )
    assert refusal(properties={"a": [1, {"b": text + "x"}]}).startswith("properties.a[1].b holds a string")
    assert refusal(properties={text + "x": 1}).startswith("properties holds a string of 100001 bytes")


@pytest.mark.parametrize("item", [0, None, "", 1.5])
def test_the_length_of_an_array(item: object) -> None:
    """R7: an array has up to 4,000 elements, tuples too."""
    assert len(sent(properties={"a": [item] * 4000})["properties"]["a"]) == 4000
    for array in ([item] * 4001, (item,) * 4001):
        assert refusal(properties={"a": array}) == "properties.a has 4001 elements; at most 4000 are allowed"
    assert refusal(properties={"a": [{"b": [item] * 4001}]}).startswith("properties.a[0].b has 4001 elements")


def within(levels: int, wrap: Callable[[object], object]) -> dict[str, Any]:
    """Return properties of so many levels, themselves included."""
    value: object = 1
    for _ in range(levels - 1):
        value = wrap(value)
    return {"a": value}


@pytest.mark.parametrize(
    "wrap", [lambda value: {"a": value}, lambda value: [value], lambda value: UserDict(a=(value,))]
)
def test_the_number_of_levels(wrap: Callable[[object], object]) -> None:
    """R7: the properties are level 1, and what lies in them goes down to level 10, objects and arrays alike."""
    each = 2 if isinstance(wrap(1), UserDict) else 1
    fits = within(1 + 9 // each, wrap)
    assert sent(properties=fits)
    assert sent(properties={"wide": [{"a": 1}] * 100, **fits})
    text = refusal(properties=within(2 + 9 // each, wrap))
    assert re.match(r"properties\.a.* is on level 11 of nesting; at most 10 levels are allowed", text)


@pytest.mark.parametrize("place", ["properties", "profile"])
def test_integers_have_64_bits(place: str) -> None:
    """R7: whole numbers are signed and have 64 bits, in properties and in profiles."""
    least: dict[str, Any] = {"external_id": "9" * 30} if place == "profile" else {"text": "9" * 30}
    for number in (INT64 - 1, -INT64):
        fits: dict[str, Any] = {place: {**least, "n": [{"m": number}], "x": True}}
        assert sent(**fits)
    for number in (INT64, -INT64 - 1, 10**30):
        over: dict[str, Any] = {place: {**least, "x": True, "n": [None, {"m": number}]}}
        text = refusal(**over)
        expected = f"{place}.n[1].m is {number}; it must be from -9223372036854775808 to 9223372036854775807"
        assert text.startswith(expected)


@pytest.mark.parametrize("revision", [FLAT, NESTED])
def test_the_size_of_a_profile(revision: str) -> None:
    """R7: a profile has up to 95,000 bytes as it is sent."""
    profile = {"email": "a@b.c", "a": ""}
    whole = sent(revision, profile=profile)["profile"]
    least = len(json.dumps(whole if revision == FLAT else whole["data"], separators=(",", ":")))
    assert sent(revision, profile={**profile, "a": "x" * (95_000 - least)})
    text = refusal(revision, profile={**profile, "a": "x" * (95_001 - least)})
    assert text == "profile is 95001 bytes long when encoded; at most 95000 bytes are allowed"


@pytest.mark.parametrize("destination", [single(FLAT), single(), bulk()], ids=["flat", "nested", "bulk"])
def test_the_size_of_a_request(destination: KlaviyoDestination | KlaviyoBulkDestination) -> None:
    """R7: the whole request of one event has up to 5,000,000 bytes, and a fold keeps to that, too."""
    properties = {f"p{number}": "x" * 100_000 for number in range(49)}
    draft = destination.encode("e", profile={"email": "a@b.c"}, unique_id="u", properties={**properties, "rest": ""})
    rest = 5_000_000 - len(destination.request(draft.body).body or b"")
    most = {**properties, "rest": "x" * rest}
    body = destination.encode("e", profile={"email": "a@b.c"}, unique_id="u", properties=most).body
    assert len(destination.request(body).body or b"") == 5_000_000
    assert destination.fold(draft.body, most) == body
    problem = r"^the event is 5000001 bytes long when encoded; at most 5000000 bytes \(5 MB\) are allowed$"
    over = {**most, "rest": "x" * (rest + 1)}
    with pytest.raises(InvalidEventError, match=problem):
        destination.encode("e", profile={"email": "a@b.c"}, unique_id="u", properties=over)
    with pytest.raises(InvalidEventError, match=problem):
        destination.fold(draft.body, over)


@pytest.mark.parametrize("properties", [[], [("a", 1)], "a", 1, True, {"a"}], ids=repr)
def test_properties_are_a_mapping(properties: object) -> None:
    """R7: anything else is refused."""
    assert refusal(properties=properties).startswith(f"properties is {properties!r}; it must be a mapping")


# Whatever comes

SCALARS = (
    st.none() | st.booleans() | st.text() | st.binary(max_size=3) | st.complex_numbers() | st.dates() | st.uuids()
    | st.integers() | st.integers(INT64 - 2, INT64 + 2) | st.floats() | st.decimals()
)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(max_size=3) | st.integers(), inner) | inner.map(lambda x: [[[x]]])
    ),
    max_leaves=6,
)
NAMES = st.sampled_from(
    [
        *("email", "phone_number", "external_id", "id", "anonymous_id", "_kx", "$email", "first_name", "locale"),
        *("city", "location", "properties", "consent"),
    ]
)
TEXTS = st.sampled_from(["a@b.c", "+15005550006", "1", ""]) | st.text(max_size=5)
PROFILES = st.dictionaries(NAMES | st.text(max_size=3), TEXTS | ANYTHING, max_size=4)
TIMES = st.none() | st.datetimes() | st.datetimes(timezones=st.timezones()) | st.text() | st.integers()
REVISIONS = st.sampled_from([FLAT, "2023-07-15", "2024-05-15", NESTED])


def levels(value: object) -> int:
    """Return how many objects and arrays lie in one another."""
    if not isinstance(value, dict | list):
        return 0
    return 1 + max(map(levels, value.values() if isinstance(value, dict) else value), default=0)


def integers(value: object) -> list[int]:
    """Return every whole number in a value."""
    if isinstance(value, dict | list):
        return [each for item in (value.values() if isinstance(value, dict) else value) for each in integers(item)]
    return [value] if type(value) is int else []


def is_within_limits(event: dict[str, Any]) -> bool:
    """Say whether an event that goes out keeps to what is published."""
    profile = event["profile"].get("data", event["profile"])
    known = {name.lstrip("$"): value for name, value in {**profile, **profile.get("attributes", {})}.items()}
    named = [
        known[name] for name in ("email", "phone_number", "external_id", "id", "anonymous_id", "_kx") if name in known
    ]
    moment = dt.datetime.fromisoformat(event["time"])
    return (
        any(isinstance(text, str) and text.strip() for text in named)
        and levels(event["properties"]) <= 10
        and all(-INT64 <= number < INT64 for number in integers(event))
        and EARLIEST <= moment <= NOW + dt.timedelta(days=365)
        and moment.microsecond == 0
        and 0 < len(event["unique_id"]) <= 255
    )


@given(
    revision=REVISIONS,
    metric=st.sampled_from(["e", "x" * 128, ""]) | ANYTHING,
    profile=PROFILES | ANYTHING,
    given_arguments=st.fixed_dictionaries(
        {},
        optional={
            "properties": st.none() | st.dictionaries(st.text(max_size=3), ANYTHING) | ANYTHING,
            "time": TIMES | ANYTHING,
            "value": ANYTHING,
            "unique_id": st.none() | st.text() | ANYTHING,
            "value_currency": st.sampled_from(["USD", "usd"]) | ANYTHING,
            "backfill": st.booleans() | ANYTHING,
        },
    ),
)
def test_bad_events_never_get_through(
    revision: str, metric: Any, profile: Any, given_arguments: dict[str, Any]
) -> None:
    """R7: whatever is given is refused by InvalidEventError with a message, or makes an event within all limits."""
    try:
        draft = single(revision).encode(metric, profile=profile, **given_arguments)
    except InvalidEventError as error:
        assert str(error)  # noqa: PT017 - both ends are right
    else:
        assert is_within_limits(attributes(draft.body))
        assert draft.identities


@given(
    revision=REVISIONS,
    profile=st.fixed_dictionaries(
        {"email": st.just("a@b.c")}, optional={"external_id": st.text("abc", min_size=1), "city": st.text(max_size=5)}
    ),
    properties=st.none()
    | st.dictionaries(
        st.text(max_size=5),
        st.recursive(
            st.none()
            | st.booleans()
            | st.text()
            | st.integers(-INT64, INT64 - 1)
            | st.floats(allow_nan=False, allow_infinity=False),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
            max_leaves=9,
        ),
    ).filter(lambda properties: levels(properties) <= 10),
    time=st.none() | st.datetimes(dt.datetime(2000, 1, 2), dt.datetime(2027, 11, 1), timezones=st.just(dt.UTC)),  # noqa: DTZ001
    value=st.none() | st.integers(-INT64, INT64 - 1) | st.floats(allow_nan=False, allow_infinity=False),
)
def test_good_events_are_sent_as_they_are(
    revision: str,
    profile: dict[str, Any],
    properties: dict[str, Any] | None,
    time: dt.datetime | None,
    value: float | None,
) -> None:
    """R7: no event within the limits is refused, and what goes out is what was given."""
    draft = single(revision).encode("e", profile=profile, properties=properties, time=time, value=value)
    event = attributes(draft.body)
    assert event["properties"] == (properties or {})
    assert event.get("value") == value
    assert dt.datetime.fromisoformat(event["time"]) == (time or NOW).replace(microsecond=0)
    assert is_within_limits(event)
