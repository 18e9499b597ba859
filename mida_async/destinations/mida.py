"""
Mida's "create event": one visitor event a request.

Source: docs/v2/create-event, 2026-08-22. The service takes no time, no batch and no idempotency key, and answers with a
message, not with an id.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from .._core import codec
from .._core.endpoints import ENDPOINTS
from .._core.entry import Draft
from .._core.identity import identity
from .._core.messages import Request
from .._core.request import build
from .._core.response import body_of, error_from
from .._errors import InvalidEventError
from .base import Judgement

if TYPE_CHECKING:
    from .._core.messages import Response
    from .._core.request import Account

# The page names no limit. A body over 1 MiB is refused by common front ends (nginx's default), with an answer that does
# not say why.
MAX_BODY_BYTES: Final = 2**20

# How much of an answer is read: a success is a line of JSON, and a longer one is of no use in a receipt.
MAX_ANSWER_BYTES: Final = 64 * 2**10

_ENDPOINT: Final = ENDPOINTS["events.record"]


def encode_event(
    event_name: str,
    *,
    mida_uuid: str | None = None,
    email: str | None = None,
    id: str | None = None,  # noqa: A002  the vendor's name
    properties: Mapping[str, Any] | None = None,
    unique_id: str | None = None,
) -> Draft:
    """
    Check one event and encode it.

    Args:
        event_name: What happened.
        mida_uuid: The visitor's id in the browser script.
        email: An address that the visitor was identified by.
        id: Your own user id that the visitor was identified by.
        properties: Anything that JSON can hold, by name. Dates, UUIDs, decimals and enumerations are encoded as text or
            as their value.
        unique_id: Your own id for this record. It is not sent: the same visitor, name and id are sent once.

    Returns:
        The encoded event. All given identifiers go out unchanged.

    Raises:
        InvalidEventError: Something is missing or cannot be encoded; the message names it.
    """
    name = _checked_text("event_name", event_name)
    given = {"mida_uuid": mida_uuid, "email": email, "id": id}
    identifiers = {kind: _checked_text(kind, value) for kind, value in given.items() if value is not None}
    if not identifiers:
        message = "no identifier: give at least one of mida_uuid, email, id"
        raise InvalidEventError(message)
    content: dict[str, object] = {"event_name": name, **identifiers}
    if properties is not None:
        content["properties"] = _checked(properties)
    return Draft(
        name=name,
        identities=tuple(identity(kind, value) for kind, value in identifiers.items()),
        body=_encoded(content),
        unique_id=None if unique_id is None else _checked_text("unique_id", unique_id),
        properties=properties,
    )


def _checked_text(field: str, value: object) -> str:
    if not isinstance(value, str):
        message = f"{field} is of type {type(value).__name__}; it must be a string"
        raise InvalidEventError(message)
    if not value or value.isspace():
        message = f"{field} is blank; it must have at least one character that is not a space"
        raise InvalidEventError(message)
    # A member of an enumeration of strings has a hash and a text of its own; the plain string is what is sent.
    return str.__str__(value)


def _checked(properties: object) -> object:
    if isinstance(properties, Mapping):
        return cast("object", properties)
    message = f"properties is a {type(properties).__name__}; it must be a mapping with string keys"
    raise InvalidEventError(message)


def _encoded(content: Mapping[str, object]) -> bytes:
    problem = ""
    body = b""
    try:
        body = codec.encode(content)
    except codec.EncodeProblem as error:
        problem = str(error)
    if problem:
        raise InvalidEventError(problem)
    if len(body) > MAX_BODY_BYTES:
        message = (
            f"the event is {len(body)} bytes long when encoded; at most {MAX_BODY_BYTES} bytes (1 MiB) are allowed"
        )
        raise InvalidEventError(message)
    return body


class MidaDestination:
    """
    Delivers visitor events to Mida.

    Args:
        account: Where to, and with which key.
    """

    def __init__(self, account: Account) -> None:
        self._secret = account.api_key
        self._template = build(_ENDPOINT, account, body=b"{}")
        self._label = self._template.label

    encode = staticmethod(encode_event)

    def fold(self, body: bytes, properties: object) -> bytes:
        """See :meth:`Destination.fold`."""
        content: dict[str, object] = json.loads(body)
        return _encoded({**content, "properties": _checked(properties)})

    def request(self, body: bytes) -> Request:
        """See :meth:`Destination.request`."""
        same = self._template
        return Request(
            method=same.method,
            url=same.url,
            headers=same.headers,
            body=body,
            max_response_bytes=MAX_ANSWER_BYTES,
            secret=same.secret,
        )

    def judge(self, response: Response, wall_now: float) -> Judgement:
        """See :meth:`Destination.judge`."""
        error = error_from(response, endpoint=_ENDPOINT, request=self._label, secret=self._secret, wall_now=wall_now)
        readable = error is None and response.complete
        return Judgement(error=error, body=body_of(response, secret=self._secret) if readable else None)
