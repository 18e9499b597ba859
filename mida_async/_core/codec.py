"""
Values to JSON and back.

:func:`encode` writes what the caller gave, :func:`decode` reads what a server sent.
"""

from __future__ import annotations

import datetime as dt
import enum
import json
import math
import uuid
from collections.abc import Collection, Mapping
from decimal import Decimal
from types import NoneType
from typing import Final, NoReturn, TypeAlias, cast

from .._errors import DecodeError
from .._sentinels import UNSET
from . import fast

MAX_DEPTH: Final = 100
"""How deeply objects and arrays may lie in one another. JSON readers on servers commonly stop somewhere above this."""

_STRINGS: Final = frozenset({str})
_LEAVES: Final = frozenset({str, int, float, bool, NoneType, dt.datetime, dt.date, uuid.UUID, Decimal})
_SHOWN: Final = 60  # characters of a wrong value in a message

_Path: TypeAlias = tuple[str | int, ...]


class EncodeProblem(ValueError):  # noqa: N818 - it never leaves the package: callers see one of the errors of `_errors`
    """A value that JSON cannot hold; the text says where it is and what is wrong."""


def encode(value: object) -> bytes:
    """
    Write *value* as compact JSON in UTF-8.

    Dates and times are written in ISO format, UUID and Decimal as their exact text, members of an Enum as their value,
    mappings as objects, lists and tuples as arrays. Whole numbers go out exactly, up to the number of digits that
    Python converts (4300 unless it is told otherwise).

    Args:
        value: What to write; it is not changed.

    Returns:
        The JSON text.

    Raises:
        EncodeProblem: It holds something else: NaN or an infinity, bytes, a set, a key that is not a string, a cycle,
            more than :data:`MAX_DEPTH` levels, half of a surrogate pair.
    """
    body = fast.encode(value, _exact_text_of, MAX_DEPTH)
    if body is not None:
        return body
    if _is_plain(value, MAX_DEPTH):
        try:
            return _write(value).encode()
        except ValueError:
            pass  # NaN, half of a surrogate pair, too many digits: the slow way finds out where
    return _write(_plain(value, (), ())).encode()


def _is_plain(value: object, depth: int) -> bool:
    """
    Say whether *value* consists of exact, common types.

    This runs for every event, so the two questions about a dict of scalars are asked by loops in C: a loop in Python
    would cost half as much as writing the JSON.
    """
    kind = type(value)
    if kind in _LEAVES:
        return True
    items: Collection[object]
    if kind is dict:
        mapping = cast("dict[object, object]", value)
        if not _STRINGS.issuperset(map(type, mapping)):
            return False
        items = mapping.values()
    elif kind is list or kind is tuple:
        items = cast("list[object]", value)
    else:
        return False
    return depth > 0 and (_LEAVES.issuperset(map(type, items)) or _are_plain(items, depth - 1))


def _are_plain(items: Collection[object], depth: int) -> bool:
    for item in items:  # noqa: SIM110 - a generator takes a third longer
        if type(item) not in _LEAVES and not _is_plain(item, depth):
            return False
    return True


def _text_of(value: object) -> str:
    match value:
        case dt.date():  # a datetime is one, too
            return value.isoformat()
        case Decimal() if not value.is_finite():
            raise EncodeProblem
        case _:
            return str(value)


def _exact_text_of(value: object) -> str:
    """Write what JSON does not have, and refuse everything that is not certain."""
    if isinstance(value, dt.date) or (isinstance(value, Decimal) and value.is_finite()):
        return _text_of(value)
    raise TypeError


# Cycles are ruled out by the limit on depth before anything is written.
_write: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"), default=_text_of
).encode


def _refuse(path: _Path, problem: str) -> NoReturn:
    message = f"{_joined(path) or 'the value'}: {problem}"
    raise EncodeProblem(message)


def _refuse_number(path: _Path, number: float | Decimal) -> NoReturn:
    _refuse(path, f"{number} has no form in JSON")


def _plain(value: object, path: _Path, parents: tuple[int, ...]) -> object:
    """Copy *value* in exact types, or say where it cannot be written."""
    if value is None or isinstance(value, bool):
        return value
    if value is UNSET:
        _refuse(path, "UNSET is no value; leave the field out")
    if isinstance(value, enum.Enum):
        return _plain(value.value, path, (*parents, id(value)))
    if isinstance(value, (Mapping, list, tuple)):
        return _container(cast("Mapping[object, object] | list[object]", value), path, parents)
    return _scalar(value, path)


def _scalar(value: object, path: _Path) -> object:
    match value:
        case str():
            return _whole_text(value, path)
        case int():
            return _short_enough(value, path)
        case float():
            return value if math.isfinite(value) else _refuse_number(path, value)
        case Decimal():  # not math.isfinite: that makes a float first, in which 1e400 is an infinity
            return str(value) if value.is_finite() else _refuse_number(path, value)
        case dt.date() | uuid.UUID():
            return _text_of(value)
        case _:
            return _refuse(path, f"{type(value).__name__} has no form in JSON")


def _container(
    value: Mapping[object, object] | list[object] | tuple[object, ...], path: _Path, parents: tuple[int, ...]
) -> object:
    if id(value) in parents:
        _refuse(path, "it contains itself")
    if len(parents) >= MAX_DEPTH:
        _refuse(path[:8], f"it is nested more than {MAX_DEPTH} levels deep")
    inside = (*parents, id(value))
    if isinstance(value, Mapping):
        return {_key(key, path): _plain(item, (*path, cast("str", key)), inside) for key, item in value.items()}
    return [_plain(item, (*path, number), inside) for number, item in enumerate(value)]


def _key(key: object, path: _Path) -> str:
    if not isinstance(key, str):
        _refuse(path, f"the key {_shown(key)} is not a string")
    return _whole_text(key, path)


def _whole_text(text: str, path: _Path) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        pass
    else:
        return text
    return _refuse(path, "half of a surrogate pair is no character, in a text or a key")


def _short_enough(number: int, path: _Path) -> int:
    try:
        int.__repr__(number)
    except ValueError:
        pass
    else:
        return number
    return _refuse(path, "the number has more digits than Python converts")


def _joined(path: _Path) -> str:
    """Write ``("items", 3, "price")`` as ``items[3].price``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".").encode(errors="backslashreplace").decode()


def _shown(value: object) -> str:
    try:
        text = ascii(value)
    except ValueError:  # a whole number of very many digits
        return f"of type {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def decode(data: bytes) -> object:
    """
    Read JSON in UTF-8, with or without a byte order mark.

    Args:
        data: The whole text.

    Raises:
        DecodeError: It is not JSON. ``NaN`` and ``Infinity`` are not JSON either. The error has no cause or context,
            because Python's own holds the whole text.
    """
    try:
        return _read(data.decode().removeprefix("\ufeff"))  # the codec for that is a function in Python
    except UnicodeDecodeError as error:
        problem = f"byte {error.start} is not UTF-8"
    except json.JSONDecodeError as error:
        problem = f"{error.msg} at character {error.pos}"
    except RecursionError:
        problem = "it is nested too deeply"
    except ValueError:
        problem = "it holds NaN, an infinity or a number of too many digits"
    message = f"the answer is not JSON: {problem}"
    raise DecodeError(message)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


_decoder: Final = json.JSONDecoder(parse_constant=_no_constant)


def _read(text: str) -> object:
    # The decoder's own way looks for blanks before and behind, with an expression each. Most answers have none.
    if text[:1] == "{" and text[-1:] == "}":
        value, end = _decoder.raw_decode(text)
        if end == len(text):
            return cast("object", value)
    return _decoder.decode(text)
