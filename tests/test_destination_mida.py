"""Mida's events: what is refused at the call, what is sent, and what an answer means."""

from __future__ import annotations

import datetime as dt
import enum
import json
import math
import traceback
import uuid
from collections import UserDict
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mida_async import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    ForbiddenError,
    InvalidEventError,
    NotFoundError,
    PlanLimitError,
    RateLimitError,
    ServerError,
    VisitorNotFoundError,
)
from mida_async._core.messages import REDACTED, Response
from mida_async._core.request import Account
from mida_async.destinations.mida import MAX_ANSWER_BYTES, MAX_BODY_BYTES, MidaDestination, encode_event

SECRET: Final = 'sk-"live"/topsecret'
WALL: Final = 1445412480.0


@pytest.fixture
def mida() -> MidaDestination:
    """Return a destination with a key that JSON has to escape."""
    return MidaDestination(Account.create(project_key="proj_1", api_key=SECRET, region="us"))


def sent(**arguments: Any) -> dict[str, Any]:
    """Encode an event and return what goes out."""
    content = json.loads(encode_event(arguments.pop("event_name", "e"), **{"id": "1", **arguments}).body)
    assert isinstance(content, dict)
    return content


class Name(str, enum.Enum):  # noqa: UP042 - StrEnum behaves like its strings; this one does not
    """Names of events, as applications write them down."""

    BOUGHT = "purchase_completed"


class Size(enum.Enum):
    """Something with values of its own."""

    LARGE = 3


def cycle() -> dict[str, Any]:
    """Return a mapping that contains itself."""
    loop: dict[str, Any] = {"a": []}
    loop["a"].append(loop)
    return loop


def deep(levels: int) -> dict[str, Any]:
    """Return objects within objects."""
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


NOT_TEXT: Final = (0, 7, True, 1.5, b"x", ["x"], {"x": 1}, uuid.UUID(int=1), 10**5000)
BLANK: Final = ("", " ", "\t\n", "\u2003")


@pytest.mark.parametrize("field", ["mida_uuid", "email", "id", "unique_id"])
@pytest.mark.parametrize("value", NOT_TEXT, ids=lambda value: type(value).__name__)
def test_identifiers_must_be_text(field: str, value: object) -> None:
    """R7: an identifier that is not a string is refused, and the message names the field."""
    with pytest.raises(InvalidEventError, match=rf"^{field} is of type {type(value).__name__}; it must be a string$"):
        sent(**{field: value})


@pytest.mark.parametrize("field", ["mida_uuid", "email", "id", "unique_id"])
@pytest.mark.parametrize("value", BLANK, ids=ascii)
def test_identifiers_must_not_be_blank(field: str, value: str) -> None:
    """R7: one blank identifier is refused, even where the others would do."""
    with pytest.raises(InvalidEventError, match=f"^{field} is blank; "):
        sent(**{"email": "a@b.c", "mida_uuid": "u", field: value})


@pytest.mark.parametrize("value", [*NOT_TEXT, None], ids=lambda value: type(value).__name__)
def test_the_name_must_be_text(value: object) -> None:
    """R7: an event needs a name that is a string."""
    with pytest.raises(InvalidEventError, match=r"^event_name is of type"):
        encode_event(value, id="1")  # type: ignore[arg-type]


@pytest.mark.parametrize("value", BLANK, ids=ascii)
def test_the_name_must_not_be_blank(value: str) -> None:
    """R7: an event needs a name that can be seen."""
    with pytest.raises(InvalidEventError, match=r"^event_name is blank"):
        encode_event(value, id="1")


def test_an_identifier_is_needed() -> None:
    """R7: without any identifier there is no visitor, and a unique_id is none."""
    with pytest.raises(InvalidEventError, match="at least one of mida_uuid, email, id"):
        encode_event("e", unique_id="u")


@pytest.mark.parametrize("value", [[], [("a", 1)], "a", b"a", 1, True, {"a"}, NotImplemented], ids=repr)
def test_properties_must_be_a_mapping(value: object) -> None:
    """R7: properties are a mapping; the message says what they are instead."""
    with pytest.raises(InvalidEventError, match=rf"^properties is a {type(value).__name__}; it must be a mapping"):
        encode_event("e", id="1", properties=value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("properties", "place", "problem"),
    [
        ({1: "a"}, "properties", "not a string"),
        ({None: "a"}, "properties", "not a string"),
        ({"a": {"b": [{2: 3}]}}, r"properties\.a\.b\[0\]", "not a string"),
        ({"a": math.nan}, r"properties\.a", "nan"),
        ({"a": [1, math.inf]}, r"properties\.a\[1\]", "inf"),
        ({"a": {"b": -math.inf}}, r"properties\.a\.b", "-inf"),
        ({"a": Decimal("NaN")}, r"properties\.a", "NaN"),
        ({"a": b"x"}, r"properties\.a", "bytes"),
        ({"a": bytearray(b"x")}, r"properties\.a", "bytearray"),
        ({"a": {1}}, r"properties\.a", "set"),
        ({"a": frozenset()}, r"properties\.a", "frozenset"),
        ({"a": object()}, r"properties\.a", "object"),
        ({"a": 1j}, r"properties\.a", "complex"),
        ({"a": "\ud800"}, r"properties\.a", "surrogate"),
        ({"\udfff": 1}, "properties", "surrogate"),
        ({"a": 10**5000}, r"properties\.a", "digits"),
        (cycle(), r"properties\.a\[0\]", "itself"),
        (deep(2000), "properties", "nested"),
    ],
)
def test_properties_must_be_json(properties: dict[Any, Any], place: str, problem: str) -> None:
    """R7: what JSON cannot hold is refused at any depth, and the message says where and what it is."""
    with pytest.raises(InvalidEventError, match=rf"^{place}.*: .*{problem}") as refusal:
        encode_event("e", id="1", properties=properties)
    assert refusal.value.__context__ is None


@pytest.mark.parametrize("field", ["event_name", "id", "email", "mida_uuid"])
def test_half_characters_are_refused(field: str) -> None:
    """R7: a lone surrogate in a name or identifier is refused, and the field is named."""
    with pytest.raises(InvalidEventError, match=f"^{field}: half of a surrogate pair"):
        sent(**{field: "a\ud83d"})


@pytest.mark.parametrize("letter", ["x", "é", "😀"])
def test_the_limit_is_exact(letter: str) -> None:
    """R7: 1 MiB of encoded body is sent, one byte more is refused; the message names size and limit."""
    rest = MAX_BODY_BYTES - len(encode_event("e", id="1", properties={"a": ""}).body)
    size = len(letter.encode())
    text = letter * (rest // size) + "x" * (rest % size)
    assert len(encode_event("e", id="1", properties={"a": text}).body) == MAX_BODY_BYTES == 1_048_576
    with pytest.raises(InvalidEventError, match=r"1048577 bytes .* 1048576 bytes \(1 MiB\)"):
        encode_event("e", id="1", properties={"a": text + "x"})


@given(
    st.dictionaries(
        st.one_of(st.text(), st.integers(), st.none()),
        st.recursive(
            st.one_of(st.none(), st.floats(), st.text(), st.binary(), st.integers(), st.complex_numbers()),
            lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.sets(st.integers()),
            max_leaves=5,
        ),
        max_size=3,
    )
)
def test_properties_are_sent_or_refused(properties: dict[Any, Any]) -> None:
    """R7: whatever the properties hold, they go out as they are, or InvalidEventError says why not."""
    try:
        body = encode_event("e", id="1", properties=properties).body
    except InvalidEventError as refusal:
        assert str(refusal)  # noqa: PT017 - both ends are right
    else:
        assert json.loads(body)["properties"] == properties


# What is sent


def test_the_documented_keys_and_no_others_are_sent() -> None:
    """R5: event_name, the identifiers and properties go out under their documented names; unique_id never does."""
    everything = sent(mida_uuid="u", email="a@b.c", id="7", properties={"a": 1}, unique_id="once", event_name="n")
    assert everything == {
        "event_name": "n",
        "mida_uuid": "u",
        "email": "a@b.c",
        "id": "7",
        "properties": {"a": 1},
    }
    assert sent() == {"event_name": "e", "id": "1"}
    assert sent(properties={}) == {"event_name": "e", "id": "1", "properties": {}}


def test_identifiers_are_sent_unchanged_and_compared_without_case() -> None:
    """R3, R7: the body keeps what was given; only the key by which a visitor is found ignores an email's case."""
    draft = encode_event("e", mida_uuid=" U ", email="Ann@Example.COM", id="É\u0000 ")
    assert json.loads(draft.body) == {
        "event_name": "e",
        "mida_uuid": " U ",
        "email": "Ann@Example.COM",
        "id": "É\u0000 ",
    }
    assert draft.identities == ("mida_uuid: U ", "email:ann@example.com", "id:É\u0000 ")


def test_a_draft_tells_what_the_engine_needs() -> None:
    """The draft has the name, the caller's own id and properties, and only the identities that were given."""
    properties = {"a": 1}
    draft = encode_event("n", id="7", properties=properties, unique_id="once")
    assert (draft.name, draft.unique_id, draft.identities) == ("n", "once", ("id:7",))
    assert draft.properties is properties
    assert encode_event("n", id="7").unique_id is None


def test_members_of_string_enumerations_are_the_strings_that_they_stand_for() -> None:
    """R3: a name or identifier from an enumeration is the same as its plain text, in every comparison."""
    draft = encode_event(Name.BOUGHT, id=Name.BOUGHT, unique_id=Name.BOUGHT)
    plain = encode_event("purchase_completed", id="purchase_completed", unique_id="purchase_completed")
    assert draft == plain
    assert {type(text) for text in (draft.name, *draft.identities, draft.unique_id)} == {str}


def test_values_are_encoded_the_usual_way() -> None:
    """R7: dates, UUIDs, decimals and enumerations become text or their value, other mappings become objects."""
    moment = dt.datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
    properties = {
        "moment": moment,
        "day": dt.date(2024, 1, 2),
        "uuid": uuid.UUID(int=1),
        "price": Decimal("19.90"),
        "size": Size.LARGE,
        "name": Name.BOUGHT,
        "mapping": MappingProxyType({"a": UserDict({"b": (1, 2)})}),
    }
    assert sent(properties=MappingProxyType(properties))["properties"] == {
        "moment": "2024-01-02T03:04:05.000006+00:00",
        "day": "2024-01-02",
        "uuid": "00000000-0000-0000-0000-000000000001",
        "price": "19.90",
        "size": 3,
        "name": "purchase_completed",
        "mapping": {"a": {"b": [1, 2]}},
    }


@pytest.mark.parametrize("number", [2**53 + 1, -(2**63) - 1, 2**64, 10**4000])
def test_whole_numbers_go_out_exactly(number: int) -> None:
    """R7: no digit of a large number is lost."""
    assert sent(properties={"n": number})["properties"] == {"n": number}


def test_later_changes_do_not_matter() -> None:
    """R7: an event is encoded at the call; what the caller does to the properties afterwards is not sent."""
    properties: dict[str, Any] = {"a": [1], "b": {"c": 1}}
    draft = encode_event("e", id="1", properties=properties)
    properties["a"].append(2)
    properties["b"].clear()
    properties["d"] = 4
    assert json.loads(draft.body)["properties"] == {"a": [1], "b": {"c": 1}}


def test_a_fold_replaces_the_properties(mida: MidaDestination) -> None:
    """R4: a folded record keeps its name and identifiers, and gets the combined properties."""
    for properties in (None, {"a": 1}):
        body = encode_event("e", id="1", email="A@b.c", properties=properties).body
        folded = json.loads(mida.fold(body, {"a": 2**70}))
        assert folded == {"event_name": "e", "id": "1", "email": "A@b.c", "properties": {"a": 2**70}}


@pytest.mark.parametrize("properties", [[], {"a": math.nan}, {"a": "x" * MAX_BODY_BYTES}], ids=["list", "nan", "long"])
def test_a_fold_is_checked_like_any_record(mida: MidaDestination, properties: object) -> None:
    """R4, R7: what a rule returns must be something that can be sent."""
    with pytest.raises(InvalidEventError):
        mida.fold(encode_event("e", id="1").body, properties)


def test_the_request(mida: MidaDestination) -> None:
    """An event is a POST to the project's event address; the key is in one header and nowhere else."""
    body = mida.encode("e", id="1").body
    request = mida.request(body)
    assert (request.method, request.url) == ("POST", "https://api-us.mida.so/v2/project/proj_1/event")
    assert request.headers["Authorization"] == f"Bearer {SECRET}"
    assert request.headers["Content-Type"] == "application/json"
    assert request.body == body
    assert request.max_response_bytes == MAX_ANSWER_BYTES == 65_536
    assert SECRET not in repr(request) + request.url + request.label


def test_requests_are_stable(mida: MidaDestination) -> None:
    """The same body gives the same request each time, and other bodies differ in nothing else."""
    one, two = mida.request(b"{}"), mida.request(b"[]")
    assert one == mida.request(b"{}")
    assert attrs.evolve(two, body=b"{}") == one


# What an answer means


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
@pytest.mark.parametrize(
    ("body", "complete", "shown"),
    [
        (b'{"message": "ok"}', True, {"message": "ok"}),
        (b'{"message": "o', False, None),
        (b"", True, None),
        (b"<html>", True, "<html>"),
        (b"\xff\xfe", True, "\ufffd\ufffd"),
        (b'{"success": false, "error": "no"}', True, {"success": False, "error": "no"}),
    ],
)
def test_every_2xx_is_an_acceptance(
    mida: MidaDestination,
    status: int,
    body: bytes,
    complete: bool,  # noqa: FBT001
    shown: object,
) -> None:
    """R9: what was accepted is never sent again, whatever the answer holds and however it was cut."""
    judgement = mida.judge(Response(status=status, body=body, complete=complete), WALL)
    assert judgement.error is None
    assert judgement.body == shown


@pytest.mark.parametrize(
    ("status", "said", "error"),
    [
        (301, "moved", APIError),
        (400, "No visitor found", VisitorNotFoundError),
        (400, "event_name is required", BadRequestError),
        (401, "Invalid key", AuthenticationError),
        (403, "Upgrade your plan", PlanLimitError),
        (403, "project is paused", ForbiddenError),
        (404, "no such project", NotFoundError),
        (406, "exists", ConflictError),
        (409, "exists", ConflictError),
        (418, "teapot", APIError),
        (429, "slow down", RateLimitError),
        (500, "oops", ServerError),
        (503, "maintenance", ServerError),
    ],
)
def test_other_answers_are_typed_errors(mida: MidaDestination, status: int, said: str, error: type[APIError]) -> None:
    """R9: each documented refusal has its own error, with status and request."""
    judgement = mida.judge(Response(status=status, body=json.dumps({"error": said}).encode()), WALL)
    assert type(judgement.error) is error
    assert isinstance(judgement.error, APIError)
    assert judgement.error.status == status
    assert judgement.error.request == "POST /v2/project/proj_1/event"
    assert judgement.body is None


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_reaches_the_engine(mida: MidaDestination, status: int) -> None:
    """R8: seconds and dates of a refusal are in its error."""
    for text in ("30", "Wed, 21 Oct 2015 07:28:30 GMT"):
        error = mida.judge(Response(status=status, headers={"retry-after": text}), WALL).error
        assert isinstance(error, (RateLimitError, ServerError))
        assert error.retry_after == 30.0


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 429, 500])
@pytest.mark.parametrize("kind", ["json", "text", "cut"])
def test_an_echoed_key_is_redacted(mida: MidaDestination, status: int, kind: str) -> None:
    """R17: a server that repeats the key puts it into no receipt, error, message or traceback."""
    echo = json.dumps({"error": f"key {SECRET} is bad", SECRET: [SECRET]}).encode()
    body = {"json": echo, "text": f"key {SECRET} is bad".encode(), "cut": echo[:-4]}[kind]
    response = Response(status=status, body=body, headers={"location": f"https://x/{SECRET}"})
    judgement = mida.judge(response, WALL)

    told = [repr(judgement), repr(judgement.body), str(judgement.error)]
    if judgement.error is not None:
        told += [repr(vars(judgement.error)), *traceback.format_exception(judgement.error)]
    assert not any("topsecret" in text for text in told)
    assert any(REDACTED in text for text in told)
