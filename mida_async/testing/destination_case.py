"""
What a destination is checked by: a case that tells about it, answers in every shape, and a few questions.

It belongs to :mod:`~mida_async.testing.destination_suite`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs

from .._core.messages import Response
from .._errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ForbiddenError,
    NotFoundError,
    RateLimitError,
    ServerError,
)
from ..destinations.base import Destination

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..destinations.base import Judgement

Arguments: TypeAlias = Mapping[str, Any]

SECRET: Final = 'sk-"live"/the-secret-key'  # noqa: S105  no service knows it; JSON has to escape it
WALL: Final = 1_700_000_000.0
MOST_OF_AN_ANSWER: Final = 64 * 2**10
NAME: Final = "bought"
ACCEPTED: Final = (200, 201, 202, 204, 206, 226, 299)
OTHERS: Final = (100, 199, 300, 302, 304, 399, 402, 405, 406, 408, 409, 410, 413, 418, 422, 425, 451, 499)
NOBODYS: Final = (401, 403, 408, 425, 429, 500, 502, 503, 504, 599)  # refusals that are about no record
EACH: Final = 3  # events of each visitor, in a batch


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
        properties_at: Where the properties are in an encoded event, key by key, or position by position.
        largest: Properties of the first visitor's event ``"bought"`` that are just within the limits.
        too_large: Properties that are just over them, each by one.
        limit: How the message about those tells the limit.
        number: A whole number, as large as may be sent.
        kinds: By their status, refusals that may also be judged as something else than usual, and as what.
    """

    make: Callable[[str], Destination[...]]
    visitors: tuple[Arguments, ...]
    same: tuple[tuple[Arguments, Arguments], ...] = ()
    nobody: tuple[Arguments, ...]
    properties_at: tuple[str | int, ...] = ("properties",)
    largest: Arguments
    too_large: tuple[Arguments, ...]
    limit: str
    number: int = 2**70
    kinds: Mapping[int, type[APIError]] = MappingProxyType({})

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


BODIES: Final = (
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
HEADERS: Final[tuple[Mapping[str, str], ...]] = (
    MappingProxyType({}),
    MappingProxyType({"retry-after": "soon", "location": "http://[", "ratelimit": ";;="}),
    MappingProxyType({"retry-after": "7", "location": f"https://example.org/{SECRET}?key={SECRET}"}),
)


KINDS: Final[Mapping[int, type[APIError]]] = MappingProxyType(
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


def kinds(case: DestinationCase, status: int) -> tuple[type[APIError], ...]:
    """Return what a refusal of this status may be judged as."""
    usual = KINDS.get(status, APIError)
    return (usual, case.kinds.get(status, usual))


def responses(statuses: tuple[int, ...]) -> Iterator[Response]:
    """Yield answers of every status in every kind of bad shape."""
    for status in statuses:
        for number, body in enumerate(BODIES):
            headers = HEADERS[(status + number) % len(HEADERS)]
            yield Response(status=status, headers=headers, body=body)
            yield Response(status=status, headers=headers, body=body, complete=False, oversized=number % 2 == 0)


def written(judgement: Judgement) -> str:
    """Write down everything that a judgement holds."""
    error = judgement.error
    held = () if error is None else (str(error), repr(error.args), repr(vars(error)))
    chain = () if error is None else (repr(error.__cause__), repr(error.__context__))
    return "\n".join((repr(judgement), repr(judgement.body), *held, *chain))


def shows(*texts: str) -> bool:
    """Say whether the key is to be seen in one of these, in any form."""
    forms = (SECRET, json.dumps(SECRET)[1:-1], repr(SECRET)[1:-1])
    return any(form in text for text in texts for form in forms)


def expect(condition: bool, otherwise: str) -> None:  # noqa: FBT001  there is nothing else to say
    """Fail with *otherwise* unless *condition* holds."""
    if not condition:
        raise AssertionError(otherwise)
