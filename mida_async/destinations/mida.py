"""
Mida's "create event", one visitor event a request, and the attributes that its server-side SDKs set.

Sources: docs/v2/create-event, 2026-08-22; mida-node 1.0.5, ``setAttribute``. The service takes no time, no batch and no
idempotency key, and answers with a message, not with an id.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from .._core import codec
from .._core.endpoints import events, visitors
from .._core.entry import Draft
from .._core.identity import identity
from .._core.request import build
from .._core.response import body_of, error_from
from .._errors import APIError, AuthenticationError, InvalidEventError
from .._settings import Fold
from .base import Judgement

if TYPE_CHECKING:
    from .._core.endpoints import Endpoint
    from .._core.messages import Request, Response
    from .._core.request import Account

# The page names no limit. A body over 1 MiB is refused by common front ends (nginx's default), with an answer that does
# not say why.
MAX_BODY_BYTES: Final = 2**20

# How much of an answer is read: a success is a line of JSON, and a longer one is of no use in a receipt.
MAX_ANSWER_BYTES: Final = 64 * 2**10

_EVENT: Final = events.ROWS["events.record"]
_ATTRIBUTES: Final = visitors.ROWS["visitors.set_attributes"]


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
    content: dict[str, object] = {"event_name": name}
    identities: tuple[str, ...] = ()
    if mida_uuid is not None:
        content["mida_uuid"] = mida_uuid = _checked_text("mida_uuid", mida_uuid)
        identities += (identity("mida_uuid", mida_uuid),)
    if email is not None:
        content["email"] = email = _checked_text("email", email)
        identities += (identity("email", email),)
    if id is not None:
        content["id"] = visitor = _checked_text("id", id)
        identities += (identity("id", visitor),)
    if not identities:
        message = "no identifier: give at least one of mida_uuid, email, id"
        raise InvalidEventError(message)
    if properties is not None:
        content["properties"] = _checked("properties", properties)
    if unique_id is not None:
        unique_id = _checked_text("unique_id", unique_id)
    return Draft(name, identities, _encoded(content), unique_id, properties)


def _checked_text(field: str, value: object) -> str:
    if not isinstance(value, str):
        message = f"{field} is of type {type(value).__name__}; it must be a string"
        raise InvalidEventError(message)
    if not value or value.isspace():
        message = f"{field} is blank; it must have at least one character that is not a space"
        raise InvalidEventError(message)
    # A member of an enumeration of strings has a hash and a text of its own; the plain string is what is sent.
    return value if type(value) is str else str.__str__(value)


def _checked(field: str, value: object) -> Mapping[str, object]:
    if type(value) is dict or isinstance(value, Mapping):  # the first is what nearly all are, and asked much faster
        return cast("Mapping[str, object]", value)
    message = f"{field} is a {type(value).__name__}; it must be a mapping with string keys"
    raise InvalidEventError(message)


def _encoded(content: Mapping[str, object], what: str = "the event is") -> bytes:
    body, problem = b"", ""
    try:
        body = codec.encode(content)
    except codec.EncodeProblem as error:
        problem = str(error)
    if problem:
        raise InvalidEventError(problem)
    if len(body) > MAX_BODY_BYTES:
        message = f"{what} {len(body)} bytes long when encoded; at most {MAX_BODY_BYTES} bytes (1 MiB) are allowed"
        raise InvalidEventError(message)
    return body


class _Posted:
    """
    What is the same for all that is posted.

    Args:
        endpoint: Where it is posted.
        account: By whom.
    """

    def __init__(self, endpoint: Endpoint, account: Account) -> None:
        self._endpoint = endpoint
        self._secret = account.api_key
        self._template = build(endpoint, account, body=b"{}")
        self._label = self._template.label

    @property
    def name(self) -> str:
        """See :meth:`Destination.name`."""
        return f"mida:{self._endpoint.name}"

    @property
    def repeatable(self) -> bool:
        """See :meth:`Destination.repeatable`. There is no key by which the service could know a request again."""
        return False

    @property
    def batch(self) -> None:
        """See :meth:`Destination.batch`. There is no endpoint that takes several."""
        return

    def request(self, body: bytes) -> Request:
        """See :meth:`Destination.request`."""
        return self._template.carrying(body, max_response_bytes=MAX_ANSWER_BYTES)

    def judge(self, response: Response, wall_now: float) -> Judgement:
        """See :meth:`Destination.judge`."""
        error = error_from(
            response, endpoint=self._endpoint, request=self._label, secret=self._secret, wall_now=wall_now
        )
        if error is not None or not response.complete:
            return Judgement(error=error)
        return Judgement(read=functools.partial(body_of, response, secret=self._secret))


class MidaDestination(_Posted):
    """
    Delivers visitor events to Mida.

    Args:
        account: Where to, and with which key.
    """

    def __init__(self, account: Account) -> None:
        super().__init__(_EVENT, account)

    encode = staticmethod(encode_event)

    def fold(self, body: bytes, properties: object) -> bytes:
        """See :meth:`Destination.fold`."""
        content: dict[str, object] = json.loads(body)
        return _encoded({**content, "properties": _checked("properties", properties)})


def _merged(older: Mapping[str, Any], newer: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**older, **newer}


_MERGE: Final = Fold(_merged)


class MidaAttributes(_Posted):
    """
    Sets attributes of visitors, as Mida's server-side SDKs do; the newest value of each wins.

    Its records have their own way and their own fold, so they go through any buffer beside its events. They carry the
    public project key in their address and the API key nowhere.

    Args:
        account: Where to, and for which project.
    """

    def __init__(self, account: Account) -> None:
        super().__init__(_ATTRIBUTES, account)

    def encode(self, distinct_id: str, attributes: Mapping[str, Any]) -> Draft:
        """
        Check the attributes of one visitor and encode them.

        Args:
            distinct_id: Your own id of the visitor, as ``id`` in events. It goes out as ``id``, whatever the attributes
                say under that name.
            attributes: Anything that JSON can hold, by name.

        Raises:
            InvalidEventError: Something cannot be encoded; the message names it.
        """
        visitor = _checked_text("distinct_id", distinct_id)
        given = _checked("attributes", attributes)
        return Draft(
            name=_ATTRIBUTES.name,
            identities=(identity("id", visitor),),
            body=_attributes(visitor, given),
            properties=given,
            destination=self,
            fold=_MERGE,
        )

    def fold(self, body: bytes, properties: object) -> bytes:
        """See :meth:`Destination.fold`."""
        content: dict[str, str] = json.loads(body)
        return _attributes(content["id"], _checked("attributes", properties))

    def judge(self, response: Response, wall_now: float) -> Judgement:
        """See :meth:`Destination.judge`. A request without an API key says nothing about the key, not even by a 401."""
        judgement = super().judge(response, wall_now)
        error = judgement.error
        if not isinstance(error, AuthenticationError):
            return judgement
        return Judgement(error=APIError(error.message, status=error.status, body=error.body, request=error.request))


def _attributes(visitor: str, attributes: Mapping[str, object]) -> bytes:
    return _encoded({**attributes, "id": visitor}, "the attributes are")
