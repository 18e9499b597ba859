"""A response, made into what was asked for or into the error that fits."""

from __future__ import annotations

import http
import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

from .._errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    DecodeError,
    ForbiddenError,
    NotFoundError,
    PlanLimitError,
    RateLimitError,
    ServerError,
    VisitorNotFoundError,
)
from .codec import decode
from .messages import Response, redact
from .ratelimit_headers import retry_after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .endpoints import Endpoint

# A shorter key is one of a test, and likely to be part of innocent words: "key" is in every `goal_key`. Errors are
# redacted all the same; there nothing is lost by it.
_SHORTEST_SECRET_IN_RESULTS: Final = 8

_LONGEST_MESSAGE: Final = 4096  # characters; a proxy's page of text says what it says at its beginning
_DEEPEST: Final = 100

_SUCCESS: Final = range(200, 300)
_REDIRECT: Final = range(300, 400)
_SERVER_ERROR: Final = range(500, 600)
_TOO_MANY_REQUESTS: Final = 429
_LATER: Final = frozenset({408, 425, _TOO_MANY_REQUESTS})

_BY_STATUS: Final[Mapping[int, type[APIError]]] = MappingProxyType(
    {
        400: BadRequestError,
        401: AuthenticationError,
        403: ForbiddenError,
        404: NotFoundError,
        406: ConflictError,
        409: ConflictError,
    }
)

# docs/v2/create-event, 2026-08-22, gives three causes of a 400 and the text of none. The client checks the other two
# before it sends, so what mentions no field and sounds like an absence is taken for an unknown visitor.
_ABSENCE: Final = (
    *("visitor", "not found", "no mida", "does not exist", "no match"),
    *("no user", "no such user", "unknown user", "find user", "find the user", "find a user"),
)
_FIELD: Final = ("event_name", "required", "missing", "must be a ")

# docs/v2/create-goal, 2026-08-22, gives the cause of its 403, not the text.
_PLAN: Final = ("plan", "upgrade")
_OTHER_REFUSAL: Final = ("inactive", "paused", "permission", "not enabled")


def is_unknown_visitor(message: str) -> bool:
    """
    Guess whether the *message* of a 400 to a recorded event means that no visitor matches.

    Args:
        message: What the server said.
    """
    text = message.lower()
    return any(word in text for word in _ABSENCE) and not any(word in text for word in _FIELD)


def is_plan_limit(message: str, *, plan_capped: bool) -> bool:
    """
    Guess whether the *message* of a 403 means that the plan allows no more.

    Args:
        message: What the server said.
        plan_capped: Whether the endpoint's page documents 403 as this.
    """
    text = message.lower()
    return any(word in text for word in _PLAN) or (plan_capped and not any(word in text for word in _OTHER_REFUSAL))


def error_from(
    response: Response,
    *,
    endpoint: Endpoint | None,
    request: str,
    secret: str,
    wall_now: float,
    unknown_visitor: Callable[[str], bool] = is_unknown_visitor,
) -> APIError | None:
    """
    Make the error that *response* stands for.

    Args:
        response: What came back.
        endpoint: What was asked; None where it is none of the table.
        request: Method and path, for the message.
        secret: The API key; it is taken out of everything that the error holds.
        wall_now: Seconds since the epoch.
        unknown_visitor: Tells by the text of a 400 whether the visitor is unknown.

    Returns:
        The error, or None for a 2xx.
    """
    if response.status in _SUCCESS:
        return None
    label = redact(request, secret)
    if response.status in _REDIRECT:
        return APIError(_redirection(response, secret), status=response.status, request=label)
    body = body_of(response, secret=secret)
    error = _refusal(response, body, label, endpoint, wall_now, unknown_visitor)
    for name, said in _particulars(body):
        setattr(error, name, said)
    return error


def _refusal(
    response: Response,
    body: object,
    label: str,
    endpoint: Endpoint | None,
    wall_now: float,
    unknown_visitor: Callable[[str], bool],
) -> APIError:
    status = response.status
    message = reason_in(body) or _reason(status)
    later = status in _LATER or status in _SERVER_ERROR
    wait = retry_after(response.headers, wall_now) if later else None
    if status == _TOO_MANY_REQUESTS or status in _SERVER_ERROR:
        cls = RateLimitError if status == _TOO_MANY_REQUESTS else ServerError
        return cls(message, status=status, body=body, request=label, retry_after=wait)
    refusal = _BY_STATUS.get(status, APIError)
    if refusal is BadRequestError and endpoint and endpoint.name == "events.record" and unknown_visitor(message):
        refusal = VisitorNotFoundError
    if refusal is ForbiddenError and is_plan_limit(message, plan_capped=endpoint is not None and endpoint.plan_capped):
        refusal = PlanLimitError
    return refusal(message, status=status, body=body, request=label, retry_after=wait)


def _redirection(response: Response, secret: str) -> str:
    """Say where a redirect leads, without its query: that may repeat what was sent."""
    try:
        target = urlsplit(response.headers.get("location", ""))
        place = f"{target.hostname}{target.path}" if target.hostname else target.path
    except ValueError:
        place = ""
    where = f" (to {_one_line(redact(place, secret))})" if place else ""
    return f"the server redirects{where} and redirects are not followed; check base_url and region"


def body_of(response: Response, *, secret: str) -> object:
    """
    Return the body as a person would want to see it.

    Args:
        response: What came back.
        secret: The API key; it is taken out.

    Returns:
        The decoded JSON; its text where it is not JSON; None where there was none.
    """
    if not response.body:
        return None
    secret = secret_in(response, secret)
    try:
        decoded = decode(response.body)
    except DecodeError:
        # What is almost JSON, such as the beginning of it, shows a key the way JSON writes it.
        text = redact(response.body.decode(errors="replace"), secret)
        return redact(text, json.dumps(secret)[1:-1])
    return decoded if is_clean(response.body, secret) else redact_all(decoded, secret)


def is_clean(body: bytes, secret: str) -> bool:
    """
    Say whether a body needs no redaction. Most do not, and this is asked for every record.

    Without an escape in it a text is what its bytes say, so the secret would stand there to be seen.

    Args:
        body: The body.
        secret: The API key.
    """
    if not secret:
        return True
    # `find` takes half as long as `in`, and each level takes two bytes at least.
    if body.find(b"\\") >= 0 or body.find(secret.encode()) >= 0:
        return False
    return len(body) <= 2 * _DEEPEST or body.count(b"{") + body.count(b"[") <= _DEEPEST


def secret_in(response: Response, secret: str) -> str:
    """
    Return what is to be taken out of a response: nothing from a success where the secret is a common word.

    Args:
        response: The response.
        secret: The API key.
    """
    return "" if response.status in _SUCCESS and len(secret) < _SHORTEST_SECRET_IN_RESULTS else secret


def redact_all(value: object, secret: str, depth: int = _DEEPEST) -> object:
    """
    Take *secret* out of every text within decoded JSON, keys included.

    This comes after decoding, because a text in JSON can be written with escapes that hide the secret.

    Args:
        value: What was decoded.
        secret: The API key.
        depth: How many levels to go down; what lies deeper is replaced.
    """
    if isinstance(value, str):
        return redact(value, secret)
    if isinstance(value, (dict, list)) and not depth:
        return "[nested too deeply]"
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        return {redact(key, secret): redact_all(item, secret, depth - 1) for key, item in fields.items()}
    if isinstance(value, list):
        return [redact_all(item, secret, depth - 1) for item in cast("list[object]", value)]
    return value


def _first_error(body: object) -> dict[str, object]:
    """Return the first error of a document in the form of JSON:API 1.1 ("Error Objects"), or an empty one."""
    errors = cast("dict[str, object]", body).get("errors") if isinstance(body, dict) else None
    first = cast("list[object]", errors)[0] if isinstance(errors, list) and errors else None
    return cast("dict[str, object]", first) if isinstance(first, dict) else {}


def _particulars(body: object) -> Iterator[tuple[str, str]]:
    error = _first_error(body)
    source = error.get("source")
    place = cast("dict[str, object]", source).get("pointer") if isinstance(source, dict) else None
    for name, said in (*((name, error.get(name)) for name in ("code", "title", "detail")), ("pointer", place)):
        if said and isinstance(said, str):
            yield name, _one_line(said)


def reason_in(body: object) -> str:
    """
    Return what the server gave as the reason, or nothing.

    Args:
        body: The decoded body.
    """
    if isinstance(body, dict):
        fields = cast("dict[str, object]", body)
        told = dict(_particulars(fields))
        reason = told.get("detail") or told.get("title")
        if reason:
            return reason
        for name in ("error", "message", "detail"):
            said = fields.get(name)
            if isinstance(said, dict):  # {"error": {"message": "..."}}
                said = cast("dict[str, object]", said).get("message")
            if said and isinstance(said, str):
                return _one_line(said)
    # A proxy's HTML page is no message; the whole of it stays in `body`.
    if isinstance(body, str) and not body.lstrip().startswith("<"):
        return _one_line(body)
    return ""


def _one_line(text: str) -> str:
    # Bounded before the work, because a body may be 32 MiB; printable only, because this ends up on terminals.
    head = text[:_LONGEST_MESSAGE]
    return " ".join("".join(c if c.isprintable() else " " for c in head).split())


def _reason(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "the server gave no reason"
