"""Responses to values and errors."""

from __future__ import annotations

import copy
import json
import pickle
from typing import TYPE_CHECKING, Any, cast

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mida_async import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    DecodeError,
    ForbiddenError,
    MidaError,
    NotFoundError,
    PlanLimitError,
    RateLimitError,
    ServerError,
    VisitorNotFoundError,
)
from mida_async._core.endpoints.table import ENDPOINTS
from mida_async._core.messages import Response
from mida_async._core.response import body_of, error_from, is_plan_limit, is_unknown_visitor
from mida_async._core.results import value_from
from mida_async.models import EventDetails, EventRecorded, EventUpdated, GoalCreated

if TYPE_CHECKING:
    from mida_async._core.endpoints import Endpoint

KEY = 'sk"live\\4eC39HqLyjWDarjtT1zdp7dc'
RECORD = ENDPOINTS["events.record"]
GET = ENDPOINTS["events.get"]
UPDATE = ENDPOINTS["events.update"]
CREATE_GOAL = ENDPOINTS["goals.create"]


def _error(response: Response, endpoint: Endpoint | None = GET) -> APIError:
    error = error_from(response, endpoint=endpoint, request="GET /v2/x", secret=KEY, wall_now=0.0)
    assert error is not None
    return error


def _answer(status: int, body: object, **headers: str) -> Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(
        status=status, body=data, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


def _all_texts(error: BaseException | None) -> str:
    if error is None:
        return ""
    own = f"{error!s} {error!r} {error.args} {error.__dict__} {vars(error)}"
    return own + _all_texts(error.__cause__) + _all_texts(error.__context__)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_success_is_no_error(status: int) -> None:
    """Any 2xx is a success, whatever its body."""
    response = Response(status=status, body=b"nonsense")
    assert error_from(response, endpoint=None, request="", secret=KEY, wall_now=0.0) is None


@pytest.mark.parametrize(
    ("status", "cls"),
    [
        (400, BadRequestError),
        (401, AuthenticationError),
        (402, APIError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (406, ConflictError),
        (408, APIError),
        (409, ConflictError),
        (422, APIError),
        (429, RateLimitError),
        (500, ServerError),
        (503, ServerError),
        (599, ServerError),
        (199, APIError),
        (600, APIError),
    ],
)
def test_each_status_has_its_error(status: int, cls: type[APIError]) -> None:
    """The status decides the class; message, body and request are on the error, which copies and pickles."""
    error = _error(_answer(status, {"error": "Experiment not found", "code": 7}))
    assert type(error) is cls
    assert (error.status, error.message, error.request) == (status, "Experiment not found", "GET /v2/x")
    assert error.body == {"error": "Experiment not found", "code": 7}
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301 - our own
        assert (type(twin), str(twin), vars(twin)) == (cls, str(error), vars(error))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"message": "said"}, "said"),
        ({"error": "", "message": "said"}, "said"),
        ({"error": {"code": 1}}, "Not Found"),
        ({}, "Not Found"),
        ([], "Not Found"),
        ("quoted", "quoted"),
        (b"", "Not Found"),
        (b"plain text", "plain text"),
        (b"two\r\nlines \x1b[31m and colour", "two lines [31m and colour"),
        (b" <html><body>nginx</body></html>", "Not Found"),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_the_message_is_what_the_server_said(body: object, message: str) -> None:
    """`error`, else `message`, else a plain text, else the reason phrase; on one line, without control characters."""
    assert _error(_answer(404, body)).message == message


def test_an_unknown_status_without_a_text_has_a_message() -> None:
    """Where neither server nor standard say anything, the message says that."""
    assert _error(_answer(499, b"")).message == "the server gave no reason"


def test_the_body_is_whole_where_the_message_is_cut() -> None:
    """A long text is cut in the message; `body` has all of it."""
    error = _error(_answer(500, b"x" * 100_000))
    assert len(error.message) == 4096
    assert error.body == "x" * 100_000
    assert _error(_answer(500, {"error": "x" * 100_000})).message == "x" * 4096


def test_nothing_is_none() -> None:
    """An empty body is None, for errors and for receipts."""
    assert _error(_answer(404, b"")).body is None
    assert body_of(Response(status=200), secret=KEY) is None


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_retry_after_is_kept(status: int) -> None:
    """Errors that ask to wait say how long; where the server did not, they say None."""
    error = _error(_answer(status, {}, retry_after="7"))
    assert isinstance(error, (RateLimitError, ServerError))
    assert error.retry_after == 7.0
    plain = _error(_answer(status, {}))
    assert isinstance(plain, (RateLimitError, ServerError))
    assert plain.retry_after is None


@pytest.mark.parametrize("status", [300, 301, 302, 307, 308, 399])
def test_redirects_are_errors(status: int) -> None:
    """R17: a redirect is never followed; the message names its target without query, password or key."""
    target = f"https://user:pw@evil.test/steal/{KEY}?token={KEY}#x"
    error = _error(_answer(status, f'<a href="{target}">'.encode(), location=target))
    assert type(error) is APIError
    assert error.status == status
    assert "evil.test/steal/" in error.message
    assert [word for word in ("token", "pw", KEY) if word in _all_texts(error)] == []
    assert error.body is None


@pytest.mark.parametrize(
    ("location", "shown"), [("/other", "(to /other)"), ("", "redirects and"), ("https://[", "redirects and")]
)
def test_odd_redirects_are_errors_too(location: str, shown: str) -> None:
    """A target without a host, none at all, or one that cannot be read does no harm."""
    assert shown in str(_error(_answer(302, b"", location=location)))


# The wordings are guesses, apart from what the pages' tables of causes say.
_UNKNOWN = [
    "Visitor not found",
    "No visitor matches the given identifier",
    "no Mida visitor for this email",
    "User does not exist",
    "No match for id",
    "No user found",
    "Unable to find user",
    "no such user",
]
_FIELDS = [
    "event_name is required",
    "At least one visitor identifier is required",
    "visitor identifier missing",
    "id must be a string",
    "Invalid JSON",
    "",
]


@pytest.mark.parametrize("message", _UNKNOWN)
def test_an_unknown_visitor_is_recognised(message: str) -> None:
    """R11: a 400 that sounds like an absence and names no field is VisitorNotFoundError, for recorded events alone."""
    assert is_unknown_visitor(message)
    assert type(_error(_answer(400, {"error": message}), RECORD)) is VisitorNotFoundError
    assert type(_error(_answer(400, {"error": message}), GET)) is BadRequestError
    assert type(_error(_answer(400, {"error": message}), None)) is BadRequestError


@pytest.mark.parametrize(
    "body",
    [
        {"message": "Visitor not found"},
        {"detail": "Visitor not found"},
        {"error": {"message": "Visitor not found"}},
        {"error": True, "message": "Visitor not found"},
        {"error": {"code": 4}, "message": "", "detail": "Visitor not found"},
    ],
)
def test_the_reason_is_found_where_services_put_it(body: dict[str, object]) -> None:
    """R11: the words of a refusal are read from the fields that are usual for them, nested or not."""
    error = _error(_answer(400, body), RECORD)
    assert type(error) is VisitorNotFoundError
    assert error.message == "Visitor not found"


@pytest.mark.parametrize("message", _FIELDS)
def test_another_400_is_not_an_unknown_visitor(message: str) -> None:
    """R11: a 400 that names a field is BadRequestError, even for a recorded event."""
    assert not is_unknown_visitor(message)
    assert type(_error(_answer(400, {"error": message}), RECORD)) is BadRequestError


def test_the_recognition_can_be_replaced() -> None:
    """Whoever knows the server's real wording passes a matcher of their own."""
    response = _answer(400, {"error": "E_NO_SUCH_PERSON"})
    error = error_from(
        response, endpoint=RECORD, request="", secret=KEY, wall_now=0.0, unknown_visitor=lambda text: "PERSON" in text
    )
    assert type(error) is VisitorNotFoundError


@pytest.mark.parametrize(
    ("message", "endpoint", "cls"),
    [
        ("Goal limit reached", CREATE_GOAL, PlanLimitError),
        ("", CREATE_GOAL, PlanLimitError),
        ("Project is inactive", CREATE_GOAL, ForbiddenError),
        ("Your plan allows 2 goals", GET, PlanLimitError),
        ("Please upgrade", None, PlanLimitError),
        ("Not the author", GET, ForbiddenError),
    ],
)
def test_a_403_is_a_plan_limit_where_it_says_so(message: str, endpoint: Endpoint | None, cls: type[APIError]) -> None:
    """The endpoints whose page says so, and texts that name the plan, give PlanLimitError."""
    assert type(_error(_answer(403, {"error": message}), endpoint)) is cls
    capped = endpoint is not None and endpoint.plan_capped
    assert is_plan_limit(message or "Forbidden", plan_capped=capped) is (cls is PlanLimitError)


def _echoes() -> list[bytes]:
    escaped = json.dumps(KEY)[1:-1]
    in_hexadecimal = "".join(f"\\u{ord(character):04x}" for character in KEY)
    return [
        KEY.encode(),
        f"<html>{KEY}</html>".encode(),
        f'{{"error": "bad key {escaped}"}}'.encode(),
        f'{{"error": "bad key {in_hexadecimal}"}}'.encode(),
        f'{{"error": "x", "headers": [{{"authorization": "Bearer {escaped}"}}], "{escaped}": 1}}'.encode(),
        f'{{"message": "{escaped}{escaped}"}}'.encode(),
        b"x" * (4096 - 10) + KEY.encode(),
        b'{"error": "' + b"x" * (4096 - 10) + escaped.encode() + b'"}',
        b'{"event_id": "' + escaped.encode() + b'"}',
        b'{"event": {"event_id": "' + escaped.encode() + b'"}}',
        b'{"success": false, "error": "' + escaped.encode() + b'"}',
        b'{"a": ' * 90 + b'"' + escaped.encode() + b'"' + b"}" * 90,
        b'{"a": ' * 150 + b'"' + escaped.encode() + b'"' + b"}" * 150,
        b"[" * 100_000 + KEY.encode(),
        b'{"error": "' + escaped.encode() + b'", "cut',
    ]


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 409, 422, 429, 500])
@pytest.mark.parametrize("body", _echoes(), ids=range(len(_echoes())))
def test_a_key_that_is_echoed_is_redacted(status: int, body: bytes) -> None:
    """R17: whatever a server echoes, no text, body, argument, cause or context of an error holds the API key."""
    response = Response(status=status, body=body, headers={"location": f"/x?{KEY}"})
    error: MidaError | None = error_from(response, endpoint=RECORD, request=f"GET /{KEY}", secret=KEY, wall_now=0.0)
    if error is None:
        try:
            value_from(response, EventUpdated, endpoint=UPDATE, secret=KEY, request=f"GET /{KEY}")
        except MidaError as caught:
            error = caught
    texts = _all_texts(error)
    start = KEY[:8]  # a key that is cut in half is a leak as well
    assert KEY not in texts
    assert json.dumps(KEY)[1:-1] not in texts
    assert repr(KEY)[1:-1] not in texts
    assert start not in texts


def test_texts_that_lie_too_deep_are_replaced() -> None:
    """Deep JSON does not overflow the stack while it is redacted; what lies too deep is left out."""
    body: Any = _error(_answer(500, b"[" * 150 + b"1" + b"]" * 150)).body
    for _ in range(100):
        (body,) = body
    assert body == "[nested too deeply]"


def test_without_a_secret_nothing_is_redacted() -> None:
    """An empty secret, as of calls without one, changes no text."""
    error = error_from(_answer(404, {"error": "gone"}), endpoint=None, request="GET /", secret="", wall_now=0.0)
    assert error is not None
    assert error.message == "gone"


_EVENT = {"success": True, "event": {"event_id": 9876, "event_text": "a"}}


def _problem(response: Response, cls: type[object] = EventDetails, endpoint: Endpoint = GET) -> str:
    with pytest.raises(DecodeError) as caught:
        value_from(response, cls, endpoint=endpoint, secret=KEY)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    return str(caught.value)


def test_a_result_lies_under_its_key() -> None:
    """`get` gives the resource itself, out of the envelope."""
    assert value_from(_answer(200, _EVENT), EventDetails, endpoint=GET, secret=KEY).event_id == 9876
    assert value_from(_answer(201, {"event_id": 7}), EventUpdated, endpoint=UPDATE, secret=KEY).event_id == 7


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (Response(status=200), "the answer is not JSON"),
        (_answer(200, b"<html>"), "the answer is not JSON: Expecting value at character 0"),
        (_answer(200, [1]), "the answer: expected an object, got an array"),
        (_answer(200, {}), "event: missing"),
        (_answer(200, {"event": {}}), "event.event_id: missing"),
        (_answer(200, {"event": {"event_id": "abc"}}), "event.event_id: expected a whole number, got 'abc'"),
        (Response(status=200, body=b'{"a', complete=False), "the answer broke off after 3 bytes"),
        (Response(status=200, body=b"{}", complete=False, oversized=True), "larger than max_response_bytes"),
    ],
)
def test_a_success_that_cannot_be_read_says_why(response: Response, words: str) -> None:
    """The message names the problem, the status and the call, and the error holds nothing else."""
    problem = _problem(response)
    assert problem.startswith(words) or words in problem
    assert problem.endswith("(HTTP 200, GET /v2/project/{project_key}/event/{event_id})")


@pytest.mark.parametrize(
    "response",
    [
        Response(status=200),
        _answer(200, b"OK"),
        _answer(200, [1]),
        _answer(200, {"message": []}),
        Response(status=202, body=b'{"mess', complete=False),
        Response(status=200, body=b"x", complete=False, oversized=True),
    ],
)
def test_a_recorded_event_needs_no_body(response: Response) -> None:
    """R9: any 2xx to a recorded event is a success, whatever its body, so that nobody sends it again."""
    assert value_from(response, EventRecorded, endpoint=RECORD, secret=KEY) == EventRecorded()


@pytest.mark.parametrize(
    ("said", "message"), [({"error": "no"}, "no"), ({"message": "not so"}, "not so"), ({}, "success is false")]
)
def test_a_success_that_says_no_is_an_error(said: dict[str, object], message: str) -> None:
    """`success: false` is a refusal whatever the status says, for a recorded event too."""
    for endpoint, cls in ((UPDATE, EventUpdated), (RECORD, EventRecorded)):
        with pytest.raises(APIError) as caught:
            value_from(_answer(200, {"success": False, **said}), cls, endpoint=endpoint, secret=KEY, request="POST /x")
        error = caught.value
        assert (type(error), error.status, error.message, error.request) == (APIError, 200, message, "POST /x")
        assert error.body == {"success": False, **said}
        assert error.__context__ is None


def test_no_content_is_null() -> None:
    """A 204 without a body is a success that holds nothing; another success without a body cannot be read."""
    anything, any_class = attrs.evolve(GET, key=None), cast("type[object]", Any)
    assert value_from(Response(status=204), any_class, endpoint=anything, secret=KEY) is None
    for response, cls in ((Response(status=204), EventUpdated), (Response(status=200), any_class)):
        with pytest.raises(DecodeError):
            value_from(response, cls, endpoint=anything, secret=KEY)


def test_a_short_key_is_a_word_like_others_in_a_result() -> None:
    """R17: the key of a test, such as "key", is redacted in errors, but a success keeps its fields and texts."""
    answer = _answer(200, {"goal_profile_id": 1, "goal_key": "a_key"})
    created = value_from(answer, GoalCreated, endpoint=CREATE_GOAL, secret="key")
    assert (created.goal_key, created.extra) == ("a_key", {})
    assert body_of(_answer(200, {"goal_key": "a_key"}), secret="key") == {"goal_key": "a_key"}
    refusal = _answer(400, {"error": "bad key"})
    error = error_from(refusal, endpoint=CREATE_GOAL, request="x", secret="key", wall_now=0.0)
    assert error is not None
    assert "key" not in f"{error} {error.body}"


def _foreign(response: Response, endpoint: Endpoint) -> list[BaseException | None]:
    try:
        value_from(response, EventRecorded, endpoint=endpoint, secret=KEY)
    except MidaError as error:
        return [error.__cause__, error.__context__]
    return []


_RESPONSES = st.builds(
    Response, status=st.integers(100, 599), body=st.binary(max_size=60), complete=st.booleans(), oversized=st.booleans()
)


@given(_RESPONSES, st.sampled_from(list(ENDPOINTS.values())))
def test_any_answer_is_a_value_or_an_error_of_ours(response: Response, endpoint: Endpoint) -> None:
    """Whatever a server sends ends in a model or a MidaError without a foreign cause."""
    error = error_from(response, endpoint=endpoint, request="x", secret=KEY, wall_now=0.0)
    assert (error is None) is (200 <= response.status <= 299)
    assert _foreign(response, endpoint) in ([], [None, None])
