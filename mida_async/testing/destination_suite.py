"""
What every destination must do: one check for each promise of :class:`~mida_async.destinations.base.Destination`.

A destination is checked by telling in a :class:`DestinationCase` how to make it and what its events look like, and
giving that to each of :data:`DESTINATION_CHECKS`::

    @pytest.mark.parametrize("check", DESTINATION_CHECKS, ids=lambda check: check.__name__)
    def test_my_destination(check: DestinationCheck) -> None:
        check(MY_CASE)
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import math
import uuid
from collections.abc import Callable, Mapping
from itertools import combinations
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import attrs

from .._core.messages import Response
from .._errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ForbiddenError,
    InvalidEventError,
    NotFoundError,
    RateLimitError,
    ServerError,
)
from ..destinations.base import Destination, Judgement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.entry import Draft

__all__ = ["DESTINATION_CHECKS", "DestinationCase", "DestinationCheck"]

Arguments: TypeAlias = Mapping[str, Any]

_SECRET: Final = 'sk-"live"/the-secret-key'  # noqa: S105  no service knows it; JSON has to escape it
_WALL: Final = 1_700_000_000.0
_MOST_OF_AN_ANSWER: Final = 64 * 2**10
_NAME: Final = "bought"
_ACCEPTED: Final = (200, 201, 202, 204, 206, 226, 299)
_OTHERS: Final = (100, 199, 300, 302, 304, 399, 402, 405, 406, 408, 409, 410, 413, 418, 422, 425, 451, 499)


@attrs.frozen(kw_only=True)
class DestinationCase:
    """
    One destination, and how its events are written.

    Events are made by ``encode(name, **visitor, properties=...)``, and their bodies are JSON.

    Attributes:
        make: Makes the destination, with an API key.
        visitors: The arguments that name a visitor; those of two or more different visitors, in every form there is.
        same: Pairs of such arguments that name the same visitor.
        nobody: Such arguments that are refused: none at all, blank ones, ones of a wrong type.
        properties_at: Where the properties are in an encoded event, key by key.
        largest: Properties of the first visitor's event ``"bought"`` that are just within the limits.
        too_large: Properties that are just over them, each by one.
        limit: How the message about those tells the limit.
    """

    make: Callable[[str], Destination[...]]
    visitors: tuple[Arguments, ...]
    same: tuple[tuple[Arguments, Arguments], ...] = ()
    nobody: tuple[Arguments, ...]
    properties_at: tuple[str, ...] = ("properties",)
    largest: Arguments
    too_large: tuple[Arguments, ...]
    limit: str

    def properties_of(self, body: bytes) -> object:
        """Return the properties within an encoded event."""
        value = json.loads(body)
        for key in self.properties_at:
            value = value[key]
        return value

    def without_properties(self, body: bytes) -> object:
        """Return all of an encoded event but its properties."""
        content = json.loads(body)
        inner = content
        for key in self.properties_at[:-1]:
            inner = inner[key]
        inner.pop(self.properties_at[-1], None)
        return content


DestinationCheck: TypeAlias = Callable[[DestinationCase], None]


class _Size(enum.Enum):
    LARGE = "L"


def _cycle() -> dict[str, Any]:
    properties: dict[str, Any] = {}
    properties["broken"] = [properties]
    return properties


def _bad_properties() -> tuple[object, ...]:
    wrong = (math.nan, math.inf, b"bytes", {1, 2}, object(), "\ud800", {1: "a"}, [{"a": {None: 1}}])
    return (*({"broken": value} for value in wrong), _cycle(), {1: "a"}, [("a", 1)], "text", 7)


def refuses_bad_events(case: DestinationCase) -> None:
    """R7: what cannot be sent raises InvalidEventError at the call, with a message that names the field."""
    destination = case.make(_SECRET)
    visitor = case.visitors[0]
    for name in ("", " \t", None, 7, b"bought"):
        _refused(f"the name {name!r}", destination, name, visitor)
    for nobody in case.nobody:
        _refused(f"the visitor {dict(nobody)!r}", destination, _NAME, nobody)
    for properties in _bad_properties():
        message = _refused(f"the properties {properties!r:.60}", destination, _NAME, visitor, properties=properties)
        named = "broken" if isinstance(properties, dict) and "broken" in properties else "properties"
        _expect(named in message, f"the message for {properties!r:.60} does not name the field: {message}")
    for unique_id in ("", " ", 7):
        message = _refused(f"the unique_id {unique_id!r}", destination, _NAME, visitor, unique_id=unique_id)
        _expect("unique_id" in message, f"the message for a wrong unique_id does not name it: {message}")


def keeps_its_limits(case: DestinationCase) -> None:
    """R7: an event is encoded up to the limits and refused beyond; the message tells the limit."""
    destination = case.make(_SECRET)
    draft = destination.encode(_NAME, **case.visitors[0], properties=case.largest)
    _expect(case.properties_of(draft.body) == case.largest, "the largest properties were changed")
    for over in case.too_large:
        message = _refused("an event that is too large", destination, _NAME, case.visitors[0], properties=over)
        _expect(case.limit in message, f"the message does not tell the limit, {case.limit}: {message}")


def encodes_common_values(case: DestinationCase) -> None:
    """R7: dates, UUIDs, decimals and members of enumerations are encoded the usual way, numbers and text exactly."""
    draft = _encode(
        case,
        {
            "at": dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
            "on": dt.date(2024, 1, 2),
            "key": uuid.UUID(int=1),
            "price": decimal.Decimal("1.10"),
            "size": _Size.LARGE,
            "number": 2**70,
            "text": "é\u2028😀",
            "nested": {"list": [1, 2.5, None, True, ("a",)], "mapping": MappingProxyType({"a": 1})},
        },
    )
    expected = {
        "at": "2024-01-02T03:04:05+00:00",
        "on": "2024-01-02",
        "key": "00000000-0000-0000-0000-000000000001",
        "price": "1.10",
        "size": "L",
        "number": 2**70,
        "text": "é\u2028😀",
        "nested": {"list": [1, 2.5, None, True, ["a"]], "mapping": {"a": 1}},
    }
    found = case.properties_of(draft.body)
    _expect(found == expected, f"the properties were encoded as {found!r}")
    _expect(draft.name == _NAME, f"the event {_NAME!r} counts as {draft.name!r}")


def keeps_nothing_of_the_caller(case: DestinationCase) -> None:
    """Promise 1: an encoded event is bytes; nothing that the caller changes later changes it."""
    properties = {"list": [1]}
    draft = _encode(case, properties)
    _expect(type(draft.body) is bytes, f"the body is of type {type(draft.body).__name__}")
    properties["list"].append(2)
    _expect(case.properties_of(draft.body) == {"list": [1]}, "a later change of the properties shows")


def knows_visitors_apart(case: DestinationCase) -> None:
    """R3: the same visitor is known again by a shared identifier, and different visitors share none."""
    _expect(len(case.visitors) > 1, "the case must name two visitors or more")
    known = [_identities(case, visitor) for visitor in case.visitors]
    for (one, other), (ones, others) in zip(combinations(case.visitors, 2), combinations(known, 2), strict=True):
        _expect(not ones & others, f"{dict(one)!r} and {dict(other)!r} share an identifier")
    for one, other in case.same:
        shared = _identities(case, one) & _identities(case, other)
        _expect(bool(shared), f"{dict(one)!r} and {dict(other)!r} share no identifier")


def folds_properties_alone(case: DestinationCase) -> None:
    """R4: folding puts other properties in place and changes nothing else: name, identifiers and all stay."""
    destination = case.make(_SECRET)
    for visitor in case.visitors:
        for properties in ({"a": 1}, None):
            body = destination.encode(_NAME, **visitor, properties=properties, unique_id="u-1").body
            folded = destination.fold(body, {"b": [2]})
            _expect(case.properties_of(folded) == {"b": [2]}, f"the folded properties are {case.properties_of(folded)}")
            _expect(case.without_properties(folded) == case.without_properties(body), "folding changed something else")
            _expect(destination.fold(folded, {"b": [2]}) == folded, "folding the same again changed something")


def refuses_to_fold_bad_properties(case: DestinationCase) -> None:
    """R4, R7: what a folding rule makes of properties is checked like any others."""
    destination = case.make(_SECRET)
    body = _encode(case, {"a": 1}).body
    for properties in (*_bad_properties(), *case.too_large):
        try:
            destination.fold(body, properties)
        except InvalidEventError:
            continue
        message = f"the properties {properties!r:.60} were folded"
        raise AssertionError(message)


def makes_one_request(case: DestinationCase) -> None:
    """Promise 2: the same body gives the same request; it carries the key in a header and nowhere else (R17)."""
    destination = case.make(_SECRET)
    body = _encode(case, {"a": 1}).body
    request = destination.request(body)
    _expect(request == destination.request(body), "the same body gave two different requests")
    _expect(request.body == body, "the request carries another body")
    _expect(request.method == "POST", f"the method is {request.method}")
    _expect(request.secret == _SECRET, "the request does not say what its secret is")
    _expect(any(_SECRET in value for value in request.headers.values()), "no header carries the key")
    _expect(0 < request.max_response_bytes <= _MOST_OF_AN_ANSWER, f"{request.max_response_bytes} bytes may be read")
    _expect(not _shows(request.url, repr(request), repr(destination), repr(body)), "the key is shown")


_BODIES: Final = (
    b"",
    b"{}",
    b'{"success": false, "error": "no"}',
    b'{"errors": [{"detail": "wrong"}]}',
    b"<html>busy</html>",
    b'{"cut": [1, 2',
    b"\xff\xfe\x00",
    b"[" * 5000,
    b"null",
    b"NaN",
    b'"text"',
    b"1" * 5000,
)
_HEADERS: Final[tuple[Mapping[str, str], ...]] = (
    MappingProxyType({}),
    MappingProxyType({"retry-after": "soon", "location": "http://[", "ratelimit": ";;="}),
    MappingProxyType({"retry-after": "7", "location": f"https://example.org/{_SECRET}?key={_SECRET}"}),
)


def accepts_every_2xx(case: DestinationCase) -> None:
    """Promise 3, R9: a 2xx is a delivery, whatever its body and whether it came whole: it must not be sent again."""
    destination = case.make(_SECRET)
    for response in _responses(_ACCEPTED):
        judgement = destination.judge(response, _WALL)
        _expect(judgement.error is None, f"{response!r:.80} was refused: {judgement.error!r}")


_KINDS: Final[Mapping[int, type[APIError]]] = MappingProxyType(
    {
        400: BadRequestError,
        401: AuthenticationError,
        403: ForbiddenError,
        404: NotFoundError,
        429: RateLimitError,
        500: ServerError,
        502: ServerError,
        503: ServerError,
        504: ServerError,
        599: ServerError,
    }
)


def judges_every_refusal(case: DestinationCase) -> None:
    """Any other status is an APIError of the right class, whatever came with it; judging never raises."""
    destination = case.make(_SECRET)
    for response in _responses((*_OTHERS, *_KINDS)):
        error = destination.judge(response, _WALL).error
        kind = _KINDS.get(response.status, APIError)
        _expect(isinstance(error, kind), f"{response!r:.80} was judged as {error!r}")
        status = cast("APIError", error).status
        _expect(status == response.status, f"the error of a {response.status} says {status}")


def passes_retry_after_on(case: DestinationCase) -> None:
    """R8: how long the service asks to wait is in the error of a 429 and of a 503; a senseless text is none."""
    destination = case.make(_SECRET)
    for status in (429, 503):
        for text, expected in (("7", 7.0), ("soon", None), (None, None)):
            headers = {} if text is None else {"retry-after": text}
            error = destination.judge(Response(status=status, headers=headers), _WALL).error
            wait = getattr(error, "retry_after", None)
            _expect(wait == expected, f"Retry-After {text!r} on a {status} was read as {wait!r}")


def judges_the_same_again(case: DestinationCase) -> None:
    """Judging the same response twice gives the same, and what came between does not matter."""
    one, other = case.make(_SECRET), case.make(_SECRET)
    responses = [*_responses((200, 400, 429, 500))]
    first = [_written(one.judge(response, _WALL)) for response in responses]
    again = [_written(other.judge(response, _WALL)) for response in reversed(responses)]
    _expect(first == again[::-1], "the same response was judged in two ways")


def hides_the_key(case: DestinationCase) -> None:
    """R17: a service that repeats the key, in whatever form, brings it into no judgement and no error."""
    destination = case.make(_SECRET)
    said = json.dumps({"success": False, "error": _SECRET, _SECRET: [_SECRET], "errors": [{"detail": _SECRET}]})
    escaped = json.dumps({"error": "".join(f"\\u{ord(letter):04x}" for letter in _SECRET)}).replace("\\\\", "\\")
    for status in (200, 302, 400, 401, 403, 404, 409, 429, 500):
        for body in (said.encode(), escaped.encode(), _SECRET.encode(), said[:-2].encode()):
            judgement = destination.judge(Response(status=status, headers=_HEADERS[2], body=body), _WALL)
            _expect(not _shows(_written(judgement)), f"the judgement of a {status} shows the key")


DESTINATION_CHECKS: Final[tuple[DestinationCheck, ...]] = (
    refuses_bad_events,
    keeps_its_limits,
    encodes_common_values,
    keeps_nothing_of_the_caller,
    knows_visitors_apart,
    folds_properties_alone,
    refuses_to_fold_bad_properties,
    makes_one_request,
    accepts_every_2xx,
    judges_every_refusal,
    passes_retry_after_on,
    judges_the_same_again,
    hides_the_key,
)
"""Every check, in the order in which an event meets what they are about."""


def _encode(case: DestinationCase, properties: object) -> Draft:
    return case.make(_SECRET).encode(_NAME, **case.visitors[0], properties=properties)


def _identities(case: DestinationCase, visitor: Arguments) -> set[str]:
    draft = case.make(_SECRET).encode(_NAME, **visitor)
    _expect(bool(draft.identities), f"{dict(visitor)!r} has no identifier")
    return set(draft.identities)


def _refused(what: str, destination: Destination[...], name: object, visitor: Arguments, **arguments: object) -> str:
    try:
        destination.encode(name, **visitor, **arguments)
    except InvalidEventError as error:
        return str(error)
    message = f"{what} was not refused"
    raise AssertionError(message)


def _responses(statuses: tuple[int, ...]) -> Iterator[Response]:
    """Yield answers of every status in every kind of bad shape."""
    for status in statuses:
        for number, body in enumerate(_BODIES):
            headers = _HEADERS[(status + number) % len(_HEADERS)]
            yield Response(status=status, headers=headers, body=body)
            yield Response(status=status, headers=headers, body=body, complete=False, oversized=number % 2 == 0)


def _written(judgement: Judgement) -> str:
    """Write down everything that a judgement holds."""
    error = judgement.error
    held = () if error is None else (str(error), repr(error.args), repr(vars(error)))
    chain = () if error is None else (repr(error.__cause__), repr(error.__context__))
    return "\n".join((repr(judgement), repr(judgement.body), *held, *chain))


def _shows(*texts: str) -> bool:
    forms = (_SECRET, json.dumps(_SECRET)[1:-1], repr(_SECRET)[1:-1])
    return any(form in text for text in texts for form in forms)


def _expect(condition: bool, otherwise: str) -> None:  # noqa: FBT001  there is nothing else to say
    if not condition:
        raise AssertionError(otherwise)
