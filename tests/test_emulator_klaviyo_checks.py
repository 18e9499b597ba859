"""What the emulator's Klaviyo refuses in an event: every published limit, just below and just above it."""

from __future__ import annotations

from typing import Any

import pytest
from klaviyo_caller import EMAIL, NEWEST, OLDEST, Klaviyo, event, flat, metric, nested, profile

FIELDS = "/data/attributes"
PERSON = f"{FIELDS}/profile/data"
EACH = ("2023-06-15", NEWEST)


def build(revision: str, **attributes: object) -> dict[str, Any]:
    """Return a body as *revision* has it."""
    return flat(**attributes) if revision < "2023-07-15" else nested(**attributes)


def accepts(revision: str = NEWEST, **attributes: object) -> bool:
    """Say whether an event is recorded."""
    call = Klaviyo(revision=revision)
    status = call.post(build(revision, **attributes)).status
    assert status in {202, 400}
    assert len(call.emulator.recorded) == (status == 202)
    return status == 202


def culprit(revision: str = NEWEST, **attributes: object) -> str:
    """Return the pointer of the refusal of an event, below its attributes."""
    pointer = Klaviyo(revision=revision).pointer(build(revision, **attributes))
    assert pointer.startswith(FIELDS)
    return pointer.removeprefix(FIELDS)


def objects(levels: int) -> object:
    """Return objects within each other; 1 is an empty one."""
    return {} if levels == 1 else {"a": objects(levels - 1)}


def arrays(levels: int) -> list[object]:
    """Return arrays within each other; 1 is an empty one."""
    return [] if levels == 1 else [arrays(levels - 1)]


def without(body: dict[str, Any], *path: str) -> dict[str, Any]:
    """Take the place at the end of *path* out of a body."""
    inner = body
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return body


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        (("data",), "/data"),
        (("data", "type"), "/data/type"),
        (("data", "attributes"), FIELDS),
        (("data", "attributes", "properties"), f"{FIELDS}/properties"),
        (("data", "attributes", "profile"), f"{FIELDS}/profile"),
        (("data", "attributes", "metric"), f"{FIELDS}/metric"),
    ],
)
@pytest.mark.parametrize("revision", EACH)
def test_what_is_required_in_both_shapes(revision: str, path: tuple[str, ...], pointer: str) -> None:
    """Each required field that is missing or null is named."""
    assert Klaviyo(revision=revision).pointer(without(build(revision), *path)) == pointer


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        (("profile", "data"), "/data"),
        (("profile", "data", "type"), f"{PERSON}/type"),
        (("profile", "data", "attributes"), PERSON),
        (("profile", "data", "attributes", "email"), f"{PERSON}/attributes"),
        (("metric", "data"), "/data"),
        (("metric", "data", "type"), f"{FIELDS}/metric/data/type"),
        (("metric", "data", "attributes"), f"{FIELDS}/metric/data"),
        (("metric", "data", "attributes", "name"), f"{FIELDS}/metric/data/attributes/name"),
    ],
)
def test_what_is_required_in_the_nested_shape(path: tuple[str, ...], pointer: str) -> None:
    """Profile and metric are resources with a type, and with attributes or, for a profile, an id."""
    assert Klaviyo().pointer(without(nested(), "data", "attributes", *path)) == pointer


@pytest.mark.parametrize(
    ("attributes", "pointer"),
    [
        ({"profile": {"email": EMAIL}}, "/profile"),
        ({"profile": {"$email": None, "$id": "1"}}, "/profile"),
        ({"profile": EMAIL}, "/profile"),
        ({"metric": {"service": "api"}}, "/metric/name"),
        ({"metric": "Bought"}, "/metric"),
    ],
)
def test_what_is_required_in_the_flat_shape(attributes: dict[str, object], pointer: str) -> None:
    """A profile needs an address or a phone number under its name with a dollar sign, and a metric its name."""
    assert culprit(OLDEST, **attributes) == pointer


@pytest.mark.parametrize(
    "body",
    [
        {"data": []},
        {"data": {"type": "events", "attributes": {}}},
        {"data": {"type": "event", "attributes": 5}},
        nested(metric={"data": {"type": "event"}}),
        nested(metric=metric(5)),
        nested(metric=metric("")),
        nested(profile={"data": {"type": "person", "attributes": {}}}),
        nested(profile={"data": {"type": "profile", "id": 7}}),
        nested(properties=[]),
        nested(properties="a"),
    ],
)
def test_what_has_another_type_is_refused(body: dict[str, Any]) -> None:
    """Objects, texts and names of resources are not taken for each other."""
    Klaviyo().pointer(body)


@pytest.mark.parametrize("kind", ["email", "phone_number", "external_id", "anonymous_id", "_kx"])
def test_each_identifier_is_enough(kind: str) -> None:
    """A profile may be named by any one of the identifiers, which must be a text that is not empty."""
    value = {"email": EMAIL, "phone_number": "+15005550006"}.get(kind, "x")
    assert accepts(profile=profile(**{kind: value}))
    for wrong in ("", 5, [value]):
        assert culprit(profile=profile(**{kind: wrong})) == f"/profile/data/attributes/{kind}"
    assert not accepts(profile=profile(**{kind: None}))


def test_an_id_is_enough() -> None:
    """A profile that exists may be named by its id, without attributes."""
    assert accepts(profile={"data": {"type": "profile", "id": "01GDDKASAP8TKDDA2GRZDSVP4H"}})


@pytest.mark.parametrize(
    ("email", "valid"),
    [
        *((EMAIL, True), ("a+b@x.co.uk", True), ("ä@ö.de", True), ("a" * 93 + "@x.com", True)),
        *(("a" * 94 + "@x.com", False), ("nobody", False), ("a@b", False), ("a@b.", False), ("a b@x.com", False)),
        *(("a@@x.com", False), (f"{EMAIL}\n", False), ("@x.com", False)),
    ],
)
def test_an_address_is_valid_and_below_100_characters(email: str, *, valid: bool) -> None:
    """In both shapes an address that is none, or too long, is refused."""
    assert accepts(profile=profile(email=email)) == valid
    assert accepts(OLDEST, profile={"$email": email}) == valid
    if not valid:
        assert culprit(profile=profile(email=email)) == "/profile/data/attributes/email"
        assert culprit(OLDEST, profile={"$email": email}) == "/profile/$email"


@pytest.mark.parametrize("phone", ["5005550006", "+05005550006", "+1 500 555 0006", "+1234567890123456", "+1", "x"])
def test_a_wrong_phone_number_needs_an_address(phone: str) -> None:
    """A number that is not of the form of E.164 is refused, or passed over where there is an address."""
    assert culprit(profile=profile(phone_number=phone, external_id="1")) == "/profile/data/attributes/phone_number"
    assert culprit(OLDEST, profile={"$phone_number": phone}) == "/profile/$phone_number"
    call = Klaviyo()
    call.done(nested(profile=profile(phone_number=phone, email=EMAIL)))
    (event,) = call.recorded
    assert (event.phone_number, event.profile["phone_number"]) == (None, phone)


@pytest.mark.parametrize("revision", EACH)
def test_a_metric_has_fewer_than_128_characters(revision: str) -> None:
    """The name may have 127 characters, however many bytes they take."""
    call = Klaviyo(revision=revision)
    for length in (127, 128):
        name = "ä" * length
        body = build(revision, metric={"name": name} if revision < "2023-07-15" else metric(name))
        assert call.post(body).status == (202 if length == 127 else 400)


@pytest.mark.parametrize(("revision", "most"), [(OLDEST, 300), ("2025-01-15", 300), ("2025-04-15", 400), (NEWEST, 400)])
def test_properties_are_counted(revision: str, most: int) -> None:
    """An event has at most 300 properties, since 2025-04-15 400."""
    assert accepts(revision, properties=dict.fromkeys(map(str, range(most))))
    assert culprit(revision, properties=dict.fromkeys(map(str, range(most + 1)))) == "/properties"


@pytest.mark.parametrize("revision", EACH)
@pytest.mark.parametrize(
    ("inside", "outside", "pointer"),
    [
        ("x" * 100_000, "x" * 100_001, ""),
        ("ä" * 50_000, "ä" * 50_001, ""),
        ("\ud800" * 33_333, "\ud800" * 33_334, ""),
        ([0] * 4000, [0] * 4001, ""),
        (objects(9), objects(10), "/a" * 9),
        (arrays(99), arrays(100), "/0" * 99),
        (2**63 - 1, 2**63, ""),
        (-(2**63), -(2**63) - 1, ""),
        ([{"a": 2**63 - 1}], [{"a": 2**63}], "/0/a"),
        ({"a/b~c": 1.5e300}, {"a/b~c": [2**63]}, "/a~1b~0c/0"),
    ],
    ids=["string", "bytes", "surrogates", "array", "levels", "arrays", "large", "small", "inner", "escaped"],
)
def test_values_are_bounded(revision: str, inside: object, outside: object, pointer: str) -> None:
    """Strings, arrays, levels and integers within properties have limits; the properties are the first level."""
    assert accepts(revision, properties={"p": inside})
    assert culprit(revision, properties={"p": outside}) == f"/properties/p{pointer}"


def test_values_of_profiles_are_bounded_too() -> None:
    """The same limits hold within a profile; since 2025-01-15 also for all of its strings together."""
    assert culprit(OLDEST, profile={"$email": EMAIL, "a": ["x" * 100_001]}) == "/profile/a/0"
    strings = {"a": "x" * 50_000, "properties": {"b": "x" * (50_000 - len(EMAIL))}}
    assert accepts(profile=profile(email=EMAIL, **strings))
    assert culprit(profile=profile(email=f"x{EMAIL}", **strings)) == "/profile/data/attributes"
    assert accepts("2024-10-15", profile=profile(email=f"x{EMAIL}", **strings))


@pytest.mark.parametrize(
    ("revision", "time", "valid"),
    [
        *((NEWEST, "1990-01-01T00:00:00.5Z", True), (NEWEST, "1990-01-01T00:00:00Z", False)),
        *(("2026-07-15", "1990-01-02", True), ("2026-04-15", "1999-12-31T23:59:59Z", False)),
        *((OLDEST, "2000-01-01T00:00:01", True), (OLDEST, "2000-01-01T00:00:00", False)),
        *((NEWEST, "2027-11-20T12:30:15Z", True), (NEWEST, "2027-11-20T12:30:16Z", False)),
        *((NEWEST, "2027-11-20T14:30:15+02:00", True), (NEWEST, "2027-11-20T12:30:15-00:01", False)),
        *((NEWEST, "yesterday", False), (NEWEST, "", False), (NEWEST, 1_763_640_000, False), (NEWEST, True, False)),
        *((NEWEST, "0001-01-01T00:00:00+12:00", False), (NEWEST, "9999-12-31T23:59:59-12:00", False)),
    ],
)
def test_times_are_bounded(revision: str, time: object, *, valid: bool) -> None:
    """A time is ISO 8601, after the beginning of 2000 (since 2026-07-15 of 1990), and at most a year ahead."""
    assert accepts(revision, time=time) == valid
    assert valid or culprit(revision, time=time) == "/time"


@pytest.mark.parametrize("revision", EACH)
@pytest.mark.parametrize(
    ("field", "right", "wrong"),
    [
        ("value", (0, -1, 9.99, 2**63 - 1), ("9.99", True, [], 2**63)),
        ("unique_id", ("x", "ä" * 255), ("", "x" * 256, 5, {})),
    ],
)
def test_fields_have_their_types(
    revision: str, field: str, right: tuple[object, ...], wrong: tuple[object, ...]
) -> None:
    """A value is a number, and a unique_id a text of 1 to 255 characters."""
    assert [accepts(revision, **{field: value}) for value in right] == [True] * len(right)
    assert [culprit(revision, **{field: value}) for value in wrong] == [f"/{field}"] * len(wrong)


@pytest.mark.parametrize(
    ("field", "right", "before", "since"),
    [("value_currency", "USD", "2023-12-15", "2024-02-15"), ("backfill", False, "2026-01-15", "2026-04-15")],
)
def test_fields_that_are_not_known_yet_are_ignored(field: str, right: object, before: str, since: str) -> None:
    """A field is checked since the revision that brought it; what no revision knows is ignored by all."""
    assert accepts(before, **{field: 5, "colour": {}})
    assert accepts(since, **{field: right, "colour": {}})
    assert culprit(since, **{field: 5}) == f"/{field}"


def test_nothing_of_a_refused_event_remains() -> None:
    """A refused event registers no profile and keeps no unique_id."""
    call = Klaviyo()
    call.pointer(nested(unique_id="1", value="x"))
    assert (call.recorded, call.emulator.klaviyo.profiles) == ([], 0)
    call.done({"data": event(profile=profile(), unique_id="1")})
    assert len(call.recorded) == 1
