"""Requests and replies as the endpoints see them, and the checks that all of them share."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NoReturn

import attrs

MAX_LIMIT: Final = 500
DEFAULT_LIMIT: Final = 50


class Refusal(Exception):  # noqa: N818 - an answer of the server, not an error of the program
    """
    The request is answered with an error.

    Attributes:
        status: The HTTP status.
        text: What the body says under ``error``.
        headers: Further headers.
    """

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, text)
        self.status: Final = status
        self.text: Final = text
        self.headers: Final = headers or {}


@attrs.frozen
class Reply:
    """
    What is answered.

    Attributes:
        status: The HTTP status.
        body: The encoded body.
        headers: All headers but the length.
    """

    status: int
    body: bytes
    headers: Mapping[str, str]


_JSON_HEADERS: Final = MappingProxyType({"Content-Type": "application/json"})


_TEXT: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


def encode(value: object) -> bytes:
    """Encode *value* as compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def json_text(value: object) -> str:
    """Encode *value* as the compact JSON text that rows hold."""
    return _TEXT.encode(value)


def success(**fields: object) -> Reply:
    """Answer 200 with ``success`` and *fields*."""
    return Reply(200, encode({"success": True, **fields}), _JSON_HEADERS)


def failure(status: int, text: str, headers: Mapping[str, str] | None = None) -> Reply:
    """Answer *status* with the documented error body."""
    return Reply(status, encode({"error": text}), {**_JSON_HEADERS, **(headers or {})})


def bad(text: str) -> Refusal:
    """Make a 400."""
    return Refusal(400, text)


def missing(what: str) -> Refusal:
    """Make a 404."""
    return Refusal(404, f"{what} not found")


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(text)


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(text)
    return value


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


def json_object(body: bytes) -> dict[str, Any]:
    """
    Decode a body that must be a JSON object.

    Raises:
        Refusal: It is not one.
    """
    try:
        value = _DECODER.decode(body.decode("utf-8"))
    except (ValueError, RecursionError):
        text = "The request body is not valid JSON"
        raise bad(text) from None
    if not isinstance(value, dict):
        text = "The request body must be a JSON object"
        raise bad(text)
    return value  # pyright: ignore[reportUnknownVariableType]


def filled_text(body: Mapping[str, Any], name: str) -> str:
    """
    Return a field that must be there and be a string with something in it.

    Raises:
        Refusal: It is not.
    """
    value = body.get(name)
    if value is None:
        text = f"{name} is required"
        raise bad(text)
    if not isinstance(value, str) or not value.strip():
        text = f"{name} must be a non-empty string"
        raise bad(text)
    return value


def text_or_none(body: Mapping[str, Any], name: str) -> str | None:
    """
    Return a field that may be absent or null, and is a string otherwise.

    Raises:
        Refusal: It is something else.
    """
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        text = f"{name} must be a string"
        raise bad(text)
    return value


def object_text_or_none(body: Mapping[str, Any], name: str, allowed: str = "an object") -> str | None:
    """
    Return, as JSON text, a field that may be absent or null, and is an object otherwise.

    Args:
        body: The body.
        name: The field.
        allowed: What the refusal says it must be.

    Raises:
        Refusal: It is something else.
    """
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, dict):
        text = f"{name} must be {allowed}"
        raise bad(text)
    return json_text(value)  # pyright: ignore[reportUnknownArgumentType]


def one_of(body: Mapping[str, Any], name: str, allowed: tuple[Any, ...]) -> Any:
    """
    Return a field that must be one of *allowed*.

    Raises:
        Refusal: It is something else.
    """
    value = body.get(name)
    if isinstance(value, (bool, float)) or value not in allowed:
        text = f"{name} must be one of {', '.join(map(str, allowed))}"
        raise bad(text)
    return value


def page_of(query: Mapping[str, str]) -> tuple[int, int]:
    """
    Return the limit and the offset of a list.

    Raises:
        Refusal: One of them is not a number within its bounds.
    """
    limit = _whole(query, "limit", DEFAULT_LIMIT)
    if not 1 <= limit <= MAX_LIMIT:
        text = f"limit must be a whole number from 1 to {MAX_LIMIT}"
        raise bad(text)
    return limit, _whole(query, "offset", 0)


def _whole(query: Mapping[str, str], name: str, default: int) -> int:
    value = query.get(name)
    if value is None:
        return default
    if not (value.isascii() and value.isdigit() and len(value) <= 18):  # noqa: PLR2004 - what fits into 64 bits
        text = f"{name} must be a whole number, 0 or greater"
        raise bad(text)
    return int(value)


def day_of(query: Mapping[str, str], name: str) -> float | None:
    """
    Return the time at which a day of the query begins in UTC, or None where it is not given.

    Raises:
        Refusal: It is not a date of the form YYYY-MM-DD.
    """
    value = query.get(name)
    if value is None:
        return None
    try:
        day = dt.datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=dt.UTC)
    except ValueError:
        day = None
    if day is None or day.date().isoformat() != value:
        text = f"{name} must be a date of the form YYYY-MM-DD"
        raise bad(text)
    return day.timestamp()


def timestamp(seconds: float) -> str:
    """Write a time since the epoch as the API does."""
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
