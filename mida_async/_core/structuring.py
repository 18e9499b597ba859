"""
Decoded JSON to models.

Tolerant of what servers change: unknown keys are kept, missing ones are None, numbers may come as text and text as
numbers. What cannot be what the model promises is an error that says where it is.
"""

from __future__ import annotations

import datetime as dt
import enum
import types
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn, TypeAlias, TypeVar, Union, cast, get_args, get_origin

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn

from .._errors import DecodeError
from ..models.base import TEXT_OF
from .codec import decode
from .messages import redact

T = TypeVar("T")
_Hook: TypeAlias = Callable[[Any, Any], Any]

_SHOWN: Final = 60  # characters of a wrong value in a message


class _Misfit(Exception):  # noqa: N818 - it never leaves this file
    """A value is not what the model promises."""

    def __init__(self, expected: str, value: object, path: str = "") -> None:
        super().__init__(expected)
        self.expected = expected
        self.value = value
        self.path = path


def _refuse(expected: str, value: object) -> NoReturn:
    raise _Misfit(expected, value)


_MISSING: Final = object()


def structure(value: object, cls: type[T], where: str = "", *, secret: str = "") -> T:
    """
    Make a *cls* of decoded JSON.

    Args:
        value: What was decoded.
        cls: The model.
        where: What *value* is called in messages.
        secret: The API key; it is taken out of messages.

    Raises:
        DecodeError: The value has another shape; the message names the place. It has no cause and no context.
    """
    try:
        return _CONVERTER.structure(value, cls)
    except (_Misfit, cattrs.BaseValidationError) as error:
        misfit = _misfit_in(error)
    path = f"{where}{misfit.path}".removeprefix(".") or "the answer"
    if misfit.value is _MISSING:
        message = f"{path}: missing"
    else:
        message = f"{path}: expected {misfit.expected}, got {_shown(misfit.value, secret)}"
    raise DecodeError(message)


def structure_within(value: object, cls: type[T], key: str | None, *, secret: str = "") -> T:
    """
    Make a *cls* of what lies under *key*, like :func:`structure`.

    Args:
        value: What was decoded.
        cls: The model.
        key: The key; None for *value* itself.
        secret: The API key; it is taken out of messages.

    Raises:
        DecodeError: The value, or what lies under the key, has another shape.
    """
    if key is None or not isinstance(value, dict):
        return structure(value, cls, secret=secret)
    return structure(cast("dict[str, object]", value).get(key, _MISSING), cls, key, secret=secret)


def _misfit_in(error: BaseException) -> _Misfit:
    """Follow an error of cattrs down to the first value that did not fit."""
    if isinstance(error, _Misfit):
        return error
    if not isinstance(error, cattrs.ClassValidationError):
        return _Misfit("", _MISSING)  # the KeyError of the only kind of field without a default
    inner, note = error.group_exceptions()[0][0] if error.group_exceptions()[0] else (error.exceptions[0], None)
    misfit = _misfit_in(inner)
    return _Misfit(misfit.expected, misfit.value, f".{note.name}{misfit.path}" if note else misfit.path)


def _shown(value: object, secret: str) -> str:
    match value:
        case None:
            return "null"
        case dict():
            return "an object"
        case list():
            return "an array"
        case bool():
            return "true" if value else "false"
        case str():
            text = ascii(redact(value, secret))
        case _:
            text = redact(str(value), secret)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _whole_number(value: object, _: object) -> int:
    # A bool is a flag, which some pages show as 0 or 1; a string of digits is what some fields become.
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            pass
    return _refuse("a whole number", value)


def _number(value: object, _: object) -> float:
    if isinstance(value, (int, float, str)):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    return _refuse("a number", value)


def _flag(value: object, _: object) -> bool:
    if isinstance(value, bool) or (isinstance(value, int) and value in {0, 1}):
        return bool(value)
    return _refuse("true or false", value)


def _text(value: object, _: object) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case _:
            return _refuse("a text", value)


def _moment(value: object, _: object) -> dt.datetime:
    if isinstance(value, str):
        try:
            moment = dt.datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return _refuse("a date and time", value)


def _is_open(cls: object) -> bool:
    return cls is Any


def _is_mapping(cls: object) -> bool:
    return get_origin(cls) is Mapping


def _mapping(value: object, _: object) -> Mapping[str, object]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        _refuse("an object", value)
    return cast("dict[str, object]", value)


def _as_it_is(value: object, _: object) -> object:
    return value


def _is_tuple(cls: object) -> bool:
    return get_origin(cls) is tuple


def _tuple_hook(cls: Any, converter: cattrs.Converter) -> _Hook:
    item_cls = get_args(cls)[0]

    def hook(value: object, _: object) -> tuple[object, ...]:
        if value is None:
            return ()
        if not isinstance(value, list):
            _refuse("an array", value)
        return tuple(_item(number, item) for number, item in enumerate(cast("list[object]", value)))

    def _item(number: int, item: object) -> object:
        try:
            return converter.structure(item, item_cls)
        except (_Misfit, cattrs.BaseValidationError) as error:
            misfit = _misfit_in(error)
        raise _Misfit(misfit.expected, misfit.value, f"[{number}]{misfit.path}")

    return hook


def _is_open_enum(cls: object) -> bool:
    return get_origin(cls) in {Union, types.UnionType} and _enum_in(cls) is not None


def _enum_in(cls: object) -> type[enum.Enum] | None:
    return next((arm for arm in get_args(cls) if isinstance(arm, type) and issubclass(arm, enum.Enum)), None)


def _open_enum_hook(cls: Any, _: cattrs.Converter) -> _Hook:
    """A union of an enumeration and str: what the enumeration does not know stays a text."""
    members = cast("type[enum.Enum]", _enum_in(cls))
    if issubclass(members, enum.IntEnum):
        return _number_or_label_hook(members)
    known = {member.value: member for member in members}

    def hook(value: object, _: object) -> object:
        if value is None:
            return None
        text = _text(value, str)
        return known.get(text, text)

    return hook


def _number_or_label_hook(members: type[enum.IntEnum]) -> _Hook:
    """A union of numbers with names, int and str: some answers have the number, others the name in lower case."""
    labels = {member.name.lower(): member for member in members}
    numbers = {int(member): member for member in members}

    def hook(value: object, cls: object) -> object:
        if value is None:
            return None
        if isinstance(value, str) and value.lower() in labels:
            return labels[value.lower()]
        try:
            number = _whole_number(value, cls)
        except _Misfit:
            return _text(value, cls)
        return numbers.get(number, number)

    return hook


def _model_hook(cls: Any, converter: cattrs.Converter) -> _Hook:
    """Sort the keys before cattrs sees them: a leading underscore goes, unknown ones move into `extra`."""
    fields = {field.name: field for field in attrs.fields(cls)}
    texts = {name: field.metadata[TEXT_OF] for name, field in fields.items() if TEXT_OF in field.metadata}
    names = fields.keys() - texts.keys() - {"extra"}
    fill = make_dict_structure_fn(cls, converter)

    def hook(value: object, _: object) -> object:
        if not isinstance(value, dict):
            _refuse("an object", value)
        content = _sorted(cast("dict[str, object]", value), names)
        for text, name in texts.items():
            content[text], content[name] = _both(content.get(name))
        return fill(content, cls)

    return hook


def _sorted(value: Mapping[str, object], names: frozenset[str] | set[str]) -> dict[str, object]:
    content = {key: item for key, item in value.items() if key in names}
    unknown: dict[str, object] = {}
    for key, item in value.items():
        name = key.removeprefix("_")
        if key in names:
            continue
        if name in names and name not in content:
            content[name] = item
        else:
            unknown[key] = item
    content["extra"] = unknown
    return content


def _both(raw: object) -> tuple[str | None, object]:
    """Return the text of a field that holds JSON, and what it says; a text that is not JSON says itself."""
    if not isinstance(raw, str):
        return None, raw
    try:
        return raw, decode(raw.encode())
    except (DecodeError, UnicodeEncodeError):
        return raw, raw


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter()
    converter.register_structure_hook(int, _whole_number)
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(bool, _flag)
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(dt.datetime, _moment)
    converter.register_structure_hook_func(_is_open, _as_it_is)
    converter.register_structure_hook_func(_is_mapping, _mapping)
    converter.register_structure_hook_factory(_is_tuple, _tuple_hook)
    converter.register_structure_hook_factory(_is_open_enum, _open_enum_hook)
    converter.register_structure_hook_factory(attrs.has, _model_hook)
    return converter


_CONVERTER: Final = _converter()
