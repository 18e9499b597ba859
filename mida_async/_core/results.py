"""
A success, made into the model that its endpoint promises.

It is apart from ``response.py`` because it needs cattrs, which whoever only records events never does: it is imported
at the first answer to a direct call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar, cast

from .._errors import APIError, DecodeError
from .codec import decode
from .messages import Response, redact
from .response import is_clean, reason_in, redact_all, secret_in
from .structuring import structure, structure_within

if TYPE_CHECKING:
    from .endpoints import Endpoint

T = TypeVar("T")

_NO_CONTENT: Final = 204


def value_from(response: Response, cls: type[T], *, endpoint: Endpoint, secret: str, request: str = "") -> T:
    """
    Make a *cls* of the body of a 2xx.

    Where ``endpoint.body_matters`` is False, a body that cannot be read gives a *cls* without values: the server
    accepted the request, which is all that there is to know.

    Args:
        response: What came back.
        cls: The model.
        endpoint: What was asked; it knows under which key the result lies.
        secret: The API key; it is taken out of every message.
        request: Method and path, for messages.

    Raises:
        APIError: The body says ``"success": false``.
        DecodeError: The body is cut short, too long, not JSON, or has another shape.
    """
    label = redact(request or f"{endpoint.method} {endpoint.path}", secret)
    problem = _incomplete(response)
    if not problem:
        try:
            return _value(response, cls, endpoint, secret, label)
        except DecodeError as error:
            problem = str(error)
    if not endpoint.body_matters:
        return structure({}, cls)
    message = f"{problem} (HTTP {response.status}, {label})"
    raise DecodeError(message)


def _incomplete(response: Response) -> str:
    if response.oversized:
        return f"the answer is larger than max_response_bytes ({len(response.body)} bytes were read); raise it"
    return "" if response.complete else f"the answer broke off after {len(response.body)} bytes"


def _value(response: Response, cls: type[T], endpoint: Endpoint, secret: str, label: str) -> T:
    # 204 says that there is nothing to decode (RFC 9110 section 15.3.5).
    decoded = None if response.status == _NO_CONTENT and not response.body else decode(response.body)
    if _says_no(decoded):
        body = redact_all(decoded, secret)
        raise APIError(reason_in(body) or "success is false", status=response.status, body=body, request=label)
    if not is_clean(response.body, secret_in(response, secret)):
        decoded = redact_all(decoded, secret_in(response, secret))
    return structure_within(decoded, cls, endpoint.key, secret=secret)


def _says_no(decoded: object) -> bool:
    return isinstance(decoded, dict) and cast("dict[str, object]", decoded).get("success") is False
