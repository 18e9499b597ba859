"""
How large an event may be.

Source: Create Event page (string, array, levels, properties, payload) and Events API overview (integers, profile), read
2026-11. Neither says whether a kB is 1000 or 1024 bytes, so the smaller is taken.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVarTuple, cast

import attrs

from ..._core import codec
from ..._errors import InvalidEventError
from .fields import mapping, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_Arguments = TypeVarTuple("_Arguments")

MAX_BODY_BYTES: Final = 5_000_000
MAX_PROFILE_BYTES: Final = 95_000
MAX_STRING_BYTES: Final = 100_000
MAX_ELEMENTS: Final = 4_000
MAX_LEVELS: Final = 10

# JSON of fewer bytes has neither an array with an element too many nor a string that is too long.
_SMALL: Final = 2 * MAX_ELEMENTS
_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
_MANY_DIGITS: Final = b"0" * len(str(2**63 - 1))

_Path: TypeAlias = tuple[str | int, ...]


@attrs.frozen
class _Bounds:
    string: float
    elements: float
    levels: float


_PROPERTIES: Final = _Bounds(MAX_STRING_BYTES, MAX_ELEMENTS, MAX_LEVELS)
_INTEGERS_ALONE: Final = _Bounds(MAX_BODY_BYTES, MAX_BODY_BYTES, codec.MAX_DEPTH + 1)


def encoded_by(field: str, given: object, write: Callable[[*_Arguments], bytes], *arguments: *_Arguments) -> bytes:
    """
    Encode the value of a field.

    Args:
        field: Its name, for the message.
        given: What it was given as: the message says where in it the problem is.
        write: Encodes it.
        arguments: What *write* is given.

    Raises:
        InvalidEventError: It is not JSON.
    """
    try:
        return write(*arguments)
    except codec.EncodeProblem as error:
        problem = f"{field}: {error}"
    raise InvalidEventError(_problem(field, given) or problem)


def _problem(field: str, given: object) -> str:
    try:
        codec.encode({field: given})
    except codec.EncodeProblem as error:
        return str(error)
    return ""


def encoded_properties(properties: object, most: int) -> bytes:
    """
    Encode the properties of an event.

    The limits within are looked for in the JSON first: what is small, has few levels and no long number, as most have,
    needs no walk.

    Args:
        properties: What was given.
        most: How many there may be.

    Raises:
        InvalidEventError: They are not JSON, or over a limit.
    """
    given = mapping("properties", properties)
    if len(given) > most:
        message = f"properties has {len(given)} of them; this revision allows at most {most}"
        raise InvalidEventError(message)
    body = encoded_by("properties", given, codec.encode, given)
    small = len(body) < _SMALL and body.count(b"{") + body.count(b"[") <= MAX_LEVELS
    if not small or _has_long_number(body):
        _walk(json.loads(body), ("properties",), _PROPERTIES)
    return body


def check_profile(body: bytes, profile: Mapping[object, object]) -> None:
    """
    Refuse a profile that is too large, or has a number that is.

    Args:
        body: The profile as it is sent.
        profile: The same as it was given.

    Raises:
        InvalidEventError: It is over a limit.
    """
    if len(body) > MAX_PROFILE_BYTES:
        message = f"profile is {len(body)} bytes long when encoded; at most {MAX_PROFILE_BYTES} bytes are allowed"
        raise InvalidEventError(message)
    if _has_long_number(body):
        _walk(json.loads(codec.encode(profile)), ("profile",), _INTEGERS_ALONE)


def check_size(size: int) -> None:
    """
    Refuse an event that is too large as a whole.

    Args:
        size: The bytes of the request that carries it alone.

    Raises:
        InvalidEventError: It is over the limit.
    """
    if size > MAX_BODY_BYTES:
        message = f"the event is {size} bytes long when encoded; at most {MAX_BODY_BYTES} bytes (5 MB) are allowed"
        raise InvalidEventError(message)


def _has_long_number(body: bytes) -> bool:
    return _MANY_DIGITS in body.translate(_DIGITS)  # both are loops in C, and faster than a regular expression


def _walk(value: object, path: _Path, bounds: _Bounds) -> None:
    match value:
        case str():
            _check_string(value, path, bounds)
        case bool():
            return
        case int():
            whole(_place(path), value)
        case dict():
            _check_level(path, bounds)
            for key, item in cast("dict[str, object]", value).items():
                _check_string(key, path, bounds)
                _walk(item, (*path, key), bounds)
        case list():
            items = cast("list[object]", value)
            _check_level(path, bounds)
            _check_elements(items, path, bounds)
            for number, item in enumerate(items):
                _walk(item, (*path, number), bounds)
        case _:
            return


def _check_level(path: _Path, bounds: _Bounds) -> None:
    if len(path) > bounds.levels:
        message = f"{_place(path)} is on level {len(path)} of nesting; at most {bounds.levels} levels are allowed"
        raise InvalidEventError(message)


def _check_elements(items: list[object], path: _Path, bounds: _Bounds) -> None:
    if len(items) > bounds.elements:
        message = f"{_place(path)} has {len(items)} elements; at most {bounds.elements} are allowed"
        raise InvalidEventError(message)


def _check_string(text: str, path: _Path, bounds: _Bounds) -> None:
    if len(text) * 4 <= bounds.string:  # no character takes more than four bytes
        return
    size = len(text.encode())
    if size > bounds.string:
        message = f"{_place(path)} holds a string of {size} bytes; at most {bounds.string} bytes are allowed"
        raise InvalidEventError(message)


def _place(path: _Path) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)[1:]
