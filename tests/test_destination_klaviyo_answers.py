"""What Klaviyo's answers mean, and many events in one request: how they go together and who is to blame."""

from __future__ import annotations

import copy
import itertools
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from klaviyo_destinations import FLAT, KEY, bulk, single

from mida_async import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RateLimitError,
    ServerError,
)
from mida_async._core.batch import BatchLimits, Blame
from mida_async._core.messages import REDACTED, Response
from mida_async._core.verdict import Failure, classify

WALL = 1_700_000_000.0


def answer(status: int, *errors: dict[str, Any], **headers: str) -> Response:
    """Return an answer with these errors."""
    return Response(status=status, headers=headers, body=json.dumps({"errors": errors}).encode())


def error_of(response: Response) -> APIError:
    """Return the error that an answer stands for."""
    error = single().judge(response, WALL).error
    assert isinstance(error, APIError)
    return error


INVALID = {
    "id": "2c76424d",
    "status": 400,
    "code": "invalid",
    "title": "Invalid input.",
    "detail": "The payload provided in the request is invalid.",
    "source": {"pointer": "/data"},
    "meta": {},
}
THROTTLED = {"status": 429, "code": "throttled", "title": "Request was throttled.", "source": {"pointer": "/data"}}


def test_every_2xx_is_an_acceptance() -> None:
    """R9: 202 without a body is how the service accepts; a body, whole or cut, changes nothing."""
    for status in (200, 202, 204, 299):
        assert single().judge(Response(status=status), WALL).error is None
    shown = single().judge(Response(status=202, body=b'{"a": 1}'), WALL)
    assert (shown.error, shown.body, shown.blame) == (None, {"a": 1}, None)
    cut = single().judge(Response(status=202, body=b'{"a"', complete=False), WALL)
    assert (cut.error, cut.body) == (None, None)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, APIError),
        (400, BadRequestError),
        (401, AuthenticationError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (409, ConflictError),
        (410, APIError),
        (415, APIError),
        (429, RateLimitError),
        (500, ServerError),
        (503, ServerError),
        (525, ServerError),
    ],
)
def test_refusals_are_typed_errors(status: int, kind: type[APIError]) -> None:
    """R9: each documented refusal has its own error, with status and request."""
    error = error_of(answer(status, INVALID))
    assert type(error) is kind
    assert (error.status, error.request) == (status, "POST /api/events")


def test_a_refusal_has_what_the_service_said() -> None:
    """The first error of the answer is there field by field, and travels with copies and pickles."""
    error = error_of(answer(400, INVALID, {"code": "other"}))
    assert error.message == "The payload provided in the request is invalid."
    for twin in (error, copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301  our own bytes
        assert (twin.code, twin.title, twin.pointer) == ("invalid", "Invalid input.", "/data")
        assert twin.detail == twin.message
    assert error.body["errors"][1] == {"code": "other"}  # type: ignore[index]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"detail": "\n", "title": "Bad"}, "Bad"),
        ({"detail": "\n"}, "Bad Request"),
        ({"detail": 7, "code": "invalid"}, "Bad Request"),
        ({"title": "Two\nlines"}, "Two lines"),
    ],
)
def test_a_refusal_that_says_little_has_a_message(said: dict[str, Any], message: str) -> None:
    """The title stands in for a missing detail, and the status for both."""
    assert error_of(answer(400, said)).message == message


@pytest.mark.parametrize("code", ["not_authenticated", "invalid_api_key", "authentication_failed", "Invalid-API-Key"])
def test_a_400_about_the_key_is_an_authentication_error(code: str) -> None:
    """R12: a wrong key is 401 on one page and 400 on another; both are about the key, and both keep their details."""
    error = error_of(answer(400, {**INVALID, "code": code}))
    assert type(error) is AuthenticationError
    assert (error.status, error.code, error.pointer, error.args) == (400, code, "/data", (error.message,))
    assert str(error).startswith("HTTP 400: The payload provided in the request is invalid. (POST /api/events): check")
    assert type(error_of(answer(409, {**INVALID, "code": code}))) is ConflictError


@pytest.mark.parametrize(
    ("detail", "headers", "wait"),
    [
        ("Request was throttled. Expected available in 1 second.", {}, 1.0),
        ("Request was throttled. Expected available in 27 seconds.", {}, 27.0),
        ("Expected available in 0 seconds.", {}, 0.0),
        ("Expected available in 27 seconds.", {"retry-after": "3"}, 3.0),
        ("Expected available in 27 seconds.", {"retry-after": "soon"}, 27.0),
        ("Expected available soon.", {}, None),
        ("Expected available in ٣ seconds.", {}, None),
    ],
)
def test_the_wait_of_a_429(detail: str, headers: dict[str, str], wait: float | None) -> None:
    """R8: Retry-After says how long to wait; where it is missing, the text does."""
    error = error_of(answer(429, {**THROTTLED, "detail": detail}, **headers))
    assert type(error) is RateLimitError
    assert error.retry_after == wait
    assert error_of(answer(503, {**THROTTLED, "detail": detail})).retry_after is None


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b"<!DOCTYPE html><title>Just a moment...</title>"),
        ({}, b"error code: 1010"),
        ({}, b"\xff\xfe"),
        ({"cf-mitigated": "challenge"}, b""),
        ({"cf-mitigated": "Challenge"}, b'{"errors": []}'),
    ],
)
def test_a_403_of_the_network_is_tried_again(headers: dict[str, str], body: bytes) -> None:
    """R9: the CDN's challenge is no refusal of the service, which never saw the event: it is worth another try."""
    error = error_of(Response(status=403, headers=headers, body=body))
    assert type(error) is ServerError
    assert (error.status, error.args) == (403, (error.message,))
    assert "CDN" in str(error)
    assert classify(error) is Failure.REFUSED


@pytest.mark.parametrize("body", [b"", b" ", b'{"errors": []}', b'{"errors": [{"det', b"[]", b'"no"', b"null"])
def test_a_403_of_the_service_is_permanent(body: bytes) -> None:
    """R9: a 403 in JSON, even the beginning of it, or without a word is about the key."""
    assert type(error_of(Response(status=403, body=body))) is ForbiddenError


def test_the_key_is_in_no_error() -> None:
    """R17: a service that repeats the key brings it into no attribute of an error."""
    said = dict.fromkeys(("detail", "title", "code"), f"the key {KEY}")
    for status in (400, 401, 403, 409, 429, 500):
        for extra in ({}, {"code": f"auth {KEY}"}):
            error = error_of(answer(status, {**said, **extra, "source": {"pointer": f"/{KEY}"}}))
            assert KEY not in f"{error!r} {error} {vars(error)}"
            assert error.pointer == f"/{REDACTED}"
    challenge = error_of(Response(status=403, body=f"<html>{KEY}".encode()))
    assert challenge.body == f"<html>{REDACTED}"


JSON_API = st.fixed_dictionaries(
    {},
    optional={
        "errors": st.none()
        | st.lists(
            st.none()
            | st.fixed_dictionaries(
                {},
                optional={
                    "code": st.sampled_from(["invalid", "not_authenticated"]) | st.integers(),
                    "detail": st.text() | st.none(),
                    "source": st.none()
                    | st.fixed_dictionaries(
                        {},
                        optional={
                            "pointer": st.none()
                            | st.from_regex(
                                r"/data(/attributes/events-bulk-create(/data(/[0-9]{1,12}(/attributes(/[a-z]{1,6}|"
                                r"/events(/data(/[0-9]{1,2}(/attributes/time)?)?)?)?)?)?)?)?",
                                fullmatch=True,
                            )
                        },
                    ),
                },
            )
        ),
    },
)
RESPONSES = st.builds(
    Response,
    status=st.integers(100, 599) | st.sampled_from([400, 403, 409, 413, 422, 429]),
    headers=st.dictionaries(st.sampled_from(["retry-after", "location", "ratelimit", "cf-mitigated"]), st.text()),
    body=st.binary() | st.text().map(str.encode) | JSON_API.map(lambda value: json.dumps(value).encode()),
    complete=st.booleans(),
)


@given(RESPONSES, st.integers(1, 5))
def test_judging_never_raises(response: Response, number: int) -> None:
    """R9: whatever comes back is judged, exactly the 2xx are accepted, and only records of the request are blamed."""
    destination = bulk()
    bodies = [destination.encode("e", profile={"id": str(position // 2)}).body for position in range(number)]
    for judgement in (
        single(FLAT).judge(response, WALL),
        destination.judge(response, WALL),
        destination.batch.judge(response, bodies, WALL),
    ):
        assert (judgement.error is None) == (200 <= response.status < 300)
        assert judgement.error is None or isinstance(judgement.error, APIError)
        blame = judgement.blame
        if blame is not None:
            assert response.status in {400, 409, 413, 422}
            assert not blame.culprits & blame.suspects
            assert blame.culprits | blame.suspects <= set(range(number))
            assert blame.culprits | blame.suspects


# Many events a request


def bodies_of(groups: str) -> list[bytes]:
    """Return one body for each letter, which names the profile."""
    destination = bulk()
    return [
        destination.encode("e", profile={"id": letter}, properties={"n": number}).body
        for number, letter in enumerate(groups)
    ]


def told(body: bytes | None) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Return the groups of a bulk request."""
    job = json.loads(body or b"")["data"]
    assert job["type"] == "event-bulk-create-job"
    groups = job["attributes"]["events-bulk-create"]["data"]
    assert all(group["type"] == "event-bulk-create" for group in groups)
    inner = [group["attributes"] for group in groups]
    return [(group["profile"]["data"], group["events"]["data"]) for group in inner]


def test_the_limits_of_a_request() -> None:
    """A request carries a thousand events, and waits for them as long as the rate of requests makes it wait anyway."""
    assert bulk().batch.limits == BatchLimits(records=1000, size=4_800_000, linger=0.4)
    assert single().batch is None


def test_events_of_one_profile_share_its_place() -> None:
    """Events of a profile that follow each other stand in one group; others between them begin a new one (R2)."""
    request = bulk().batch.request(bodies_of("aabba"))
    found = [
        (profile["id"], [event["attributes"]["properties"]["n"] for event in events])
        for profile, events in told(request.body)
    ]
    assert found == [("a", [0, 1]), ("b", [2, 3]), ("a", [4])]
    assert {event["type"] for _, events in told(request.body) for event in events} == {"event"}


PEOPLE = st.sampled_from([{"id": "1"}, {"id": "1", "city": "\n,"}, {"email": "a@b.c"}, {"external_id": '"],['}])


@given(st.lists(st.tuples(PEOPLE, st.text(max_size=5)), min_size=1, max_size=9))
def test_a_request_holds_exactly_its_events(records: list[tuple[dict[str, Any], str]]) -> None:
    """R2: a request decodes to what went in, in its order, and only neighbours of one profile share a group."""
    destination = bulk()
    bodies = [destination.encode("e", profile=profile, properties={"text": text}).body for profile, text in records]
    request = destination.batch.request(bodies)
    groups = told(request.body)
    flat = [[profile, event] for profile, events in groups for event in events]
    assert flat == [json.loads(body) for body in bodies]
    assert all(one[0] != other[0] for one, other in itertools.pairwise(groups))
    assert request == destination.batch.request(tuple(bodies))
    assert len(request.body or b"") <= sum(map(len, bodies)) + 100 * (len(bodies) + 1)


def test_a_full_request_stays_within_5_mb() -> None:
    """A thousand events of as many profiles, as large together as the limits allow, are not too large."""
    destination = bulk()
    limits = destination.batch.limits
    bodies = [
        destination.encode("e", profile={"id": str(number)}, properties={"a": "x" * 4_400}).body
        for number in range(limits.records)
    ]
    carried = sum(map(len, bodies))
    assert 0.9 * limits.size < carried <= limits.size
    around = len(destination.batch.request(bodies).body or b"") - carried
    assert limits.size + around <= 5_000_000


@pytest.mark.parametrize(
    ("groups", "rest", "culprits", "suspects"),
    [
        ("aabba", "1/attributes/profile/data/attributes/email", {2, 3}, set()),
        ("aabba", "1/attributes/email", {2, 3}, set()),
        ("aabba", "0/attributes/events/data/1", {1}, set()),
        ("aabba", "0/attributes/events/data/1/attributes/time", {1}, set()),
        ("aabba", "2/attributes/events/data/0/attributes/time", {4}, set()),
        ("aabba", "0/attributes/events/data/2/attributes/time", set(), {0, 1}),
        ("aabba", "0/attributes/events/data", set(), {0, 1}),
        ("aabba", "0/attributes/events", set(), {0, 1}),
        ("aabba", "0/attributes", set(), {0, 1}),
        ("aabba", "1", set(), {2, 3}),
        ("aabba", "2", {4}, set()),
        ("aabba", "2/attributes/events", {4}, set()),
        ("aabba", "3", set(), {0, 1, 2, 3, 4}),
        ("aabba", "x", set(), {0, 1, 2, 3, 4}),
        ("aabba", "", set(), {0, 1, 2, 3, 4}),
        ("aa", "999999999999", set(), {0, 1}),
    ],
)
@pytest.mark.parametrize("status", [400, 409, 422])
def test_a_pointer_tells_who_is_to_blame(
    status: int, groups: str, rest: str, culprits: set[int], suspects: set[int]
) -> None:
    """R1: the record that a refusal points at is the culprit; where it points at several, one of them is."""
    response = answer(status, {**INVALID, "source": {"pointer": f"/data/attributes/events-bulk-create/data/{rest}"}})
    judgement = bulk().batch.judge(response, bodies_of(groups), WALL)
    assert judgement.blame == Blame(culprits=frozenset(culprits), suspects=frozenset(suspects))
    assert isinstance(judgement.error, APIError)
    assert judgement.error.detail == INVALID["detail"]


def test_several_errors_blame_several_records() -> None:
    """R1: every error of an answer counts; one that points nowhere says nothing beside others that do."""
    places = ("0/attributes/events/data/0", "1", "0/attributes/events/data/0/attributes/time", "0/attributes/events")
    pointers = [{"source": {"pointer": f"/data/attributes/events-bulk-create/data/{place}"}} for place in places]
    others: list[Any] = [{"source": {"pointer": "/data"}}, {"source": {"parameter": "x"}}, {"source": 7}, 7]
    judgement = bulk().batch.judge(answer(400, *others, *pointers), bodies_of("aabb"), WALL)
    assert judgement.blame == Blame(culprits=frozenset({0}), suspects=frozenset({1, 2, 3}))


@pytest.mark.parametrize(
    "response",
    [
        answer(400, {**INVALID, "source": {"pointer": "/data"}}),
        answer(400, {**INVALID, "source": {}}),
        answer(400),
        Response(status=400, body=b'{"errors": 7}'),
        Response(status=400, body=b"<html>"),
        Response(status=400, body=b'{"errors": [{"source": {"pointer": "/data/attr', complete=False),
        Response(status=413),
        answer(413, {"source": {"pointer": "/data/attributes/events-bulk-create/data/0"}}),
    ],
)
def test_without_a_pointer_everyone_is_suspect(response: Response) -> None:
    """R1: a refusal that does not say whom it is about, or is about the size of it all, may be about anyone."""
    judgement = bulk().batch.judge(response, bodies_of("abc"), WALL)
    assert judgement.blame == Blame(suspects=frozenset({0, 1, 2}))


@pytest.mark.parametrize(
    "response",
    [
        Response(status=202),
        answer(401, INVALID),
        answer(400, {**INVALID, "code": "not_authenticated"}),
        answer(403, INVALID),
        answer(404, INVALID),
        answer(415, INVALID),
        answer(429, THROTTLED),
        answer(500, INVALID),
        answer(503, INVALID),
    ],
)
def test_what_is_about_no_record_blames_none(response: Response) -> None:
    """R12: a wrong key, a limit or a failure of the service is no fault of any record."""
    assert bulk().batch.judge(response, bodies_of("abc"), WALL).blame is None


def test_a_record_alone_needs_no_blame() -> None:
    """R1: a refusal of one record is about that record."""
    judgement = bulk().batch.judge(answer(400, INVALID), bodies_of("a"), WALL)
    assert isinstance(judgement.error, BadRequestError)
    assert judgement.error.request == "POST /api/event-bulk-create-jobs"
    assert judgement.blame is None
