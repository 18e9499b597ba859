"""
Checks of arguments of direct calls.

A wrong argument is an error before anything is sent, because the server's answer to many of them is not documented, and
some of them it accepts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias, TypeGuard, cast

import attrs

from .._errors import InvalidRequestError
from .._sentinels import UNSET
from ..models.base import WIRE_NAME, Input
from .codec import EncodeProblem, encode

Check: TypeAlias = Callable[[str, object], object]
"""Returns what goes out for a field's name and its value, or raises :class:`InvalidRequestError`."""

LARGEST: Final = 2**63 - 1

_SHOWN: Final = 60  # characters of a wrong value in a message


def refuse(field: str, value: object, allowed: str) -> InvalidRequestError:
    """
    Make the error for a wrong argument.

    Args:
        field: The argument.
        value: What was given.
        allowed: What would be right, as the end of "it must be ...".
    """
    try:
        shown = ascii(value)
    except (ValueError, RecursionError):  # a whole number of very many digits, lists of very many levels
        shown = f"a very large {type(value).__name__}"
    except Exception:  # noqa: BLE001 - what the repr of another's class raises
        shown = f"a {type(value).__name__} that cannot be shown"
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
    return InvalidRequestError(f"{field} is {shown}; it must be {allowed}")


def exact_text(value: str) -> str:
    """Return the text that *value* is, whatever its class makes of ``str()``: a member of an Enum shows its name."""
    return str.__str__(value)


def exact_number(value: int) -> int:
    """Return the number that *value* is, whatever its class makes of ``int()``."""
    return int.__index__(value)


def text(field: str, value: object) -> str:
    """Return *value* if it is a text with something in it."""
    if not isinstance(value, str) or not str.strip(value):
        allowed = "a string with at least one character that is not a blank"
        raise refuse(field, value, allowed)
    return exact_text(value)


def any_text(field: str, value: object) -> str:
    """Return *value* if it is a text, even an empty one."""
    if not isinstance(value, str):
        allowed = "a string"
        raise refuse(field, value, allowed)
    return exact_text(value)


def text_or_number(field: str, value: object) -> str:
    """Return *value* as a text: some fields hold numbers, but always as text (docs/v2/create-goal, 2026-08-22)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(whole(field, value, 0, LARGEST))
    return text(field, value)


def whole(field: str, value: object, least: int, most: int = LARGEST) -> int:
    """Return *value* if it is a whole number in a range."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= exact_number(value) <= most:
        allowed = f"a whole number from {least} to {most}" if most < LARGEST else f"a whole number, {least} or greater"
        raise refuse(field, value, allowed)
    return exact_number(value)


def number(field: str, value: object, least: float, most: float) -> float:
    """Return *value* if it is a number in a range; whole ones stay whole."""
    exact = exact_number(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(exact, bool) or not isinstance(exact, (int, float)) or not least <= exact <= most:
        allowed = f"a number from {least:g} to {most:g}"
        raise refuse(field, value, allowed)
    return exact


def flag(field: str, value: object) -> bool:
    """Return *value* if it is True or False."""
    if not isinstance(value, bool):
        allowed = "True or False"
        raise refuse(field, value, allowed)
    return value


def day(field: str, value: object) -> str:
    """
    Return a day as the API writes it.

    Args:
        field: The argument.
        value: A date; a datetime, of which the day counts as it stands; or ``YYYY-MM-DD``.
    """
    if isinstance(value, dt.date):  # a datetime is one, too, and has its time left out here
        return dt.date.isoformat(value)
    found = _parsed(value) if isinstance(value, str) else None
    if found is None or found.isoformat() != value:
        allowed = "a date, a datetime or a string such as '2024-01-31'"
        raise refuse(field, value, allowed)
    return found.isoformat()


def _parsed(value: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(value)
    except ValueError:
        return None


def mapping(field: str, value: object) -> Mapping[str, object]:
    """Return *value* if it is a mapping; encoding it checks its keys."""
    if not isinstance(value, Mapping):
        allowed = "a mapping"
        raise refuse(field, value, allowed)
    return cast("Mapping[str, object]", value)


def object_or_text(field: str, value: object) -> object:
    """Return *value* if it is an object or a text, which are the two forms of some fields."""
    if not isinstance(value, (Mapping, str)):
        allowed = "a mapping or a string"
        raise refuse(field, value, allowed)
    return cast("object", value)


def is_list(value: object) -> TypeGuard[Sequence[object]]:
    """Say whether *value* is a list, or another sequence of items; texts and bytes are no lists of characters."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray, memoryview))


def each(check: Check, what: str, *, least: int = 0, most: int | None = None) -> Check:
    """
    Make a check of a list from the check of an item.

    Args:
        check: Of one item; it is told ``field[number]``.
        what: What the items are, as the end of "a list of ...".
        least: How many there must be.
        most: How many there may be.
    """

    def check_all(field: str, value: object) -> list[object]:
        if not is_list(value):
            allowed = f"a list of {what}"
            raise refuse(field, value, allowed)
        items = [check(f"{field}[{number}]", item) for number, item in enumerate(value)]
        if len(items) < least or (most is not None and len(items) > most):
            bound = f"{least} or more" if most is None else f"{least} to {most}"
            allowed = f"a list of {bound} {what}"
            message = f"{field} has {len(items)} items; it must be {allowed}"
            raise InvalidRequestError(message)
        return items

    return check_all


def plain(field: str, value: object) -> object:
    """
    Return *value* with every :class:`Input` in it as the mapping that goes out.

    Args:
        field: The argument, for messages.
        value: Inputs, mappings, lists, and what JSON can hold.

    Raises:
        InvalidRequestError: It holds itself.
    """
    try:
        return _plain(value)
    except RecursionError:
        pass
    allowed = "a value that does not hold itself and is not nested as deeply"
    raise refuse(field, value, allowed)


def _plain(value: object) -> object:
    if isinstance(value, Input):
        fields = attrs.fields(type(value))
        given = {field.metadata.get(WIRE_NAME, field.name): getattr(value, field.name) for field in fields}
        return {name: _plain(item) for name, item in given.items() if item is not UNSET}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in cast("Mapping[object, object]", value).items()}
    if is_list(value):
        return [_plain(item) for item in value]
    return value


def item_of(cls: type[Input]) -> Check:
    """
    Make a check of a value that is a *cls* or a plain mapping with the vendor's keys.

    Args:
        cls: The class.
    """

    def check(field: str, value: object) -> object:
        if not isinstance(value, (cls, Mapping)):
            allowed = f"of the class {cls.__name__}, or a mapping"
            raise refuse(field, value, allowed)
        return plain(field, cast("object", value))

    return check


def json_text(check: Check) -> Check:
    """Make a check that returns, as compact JSON text, what *check* returns: some fields hold JSON within JSON."""

    def check_and_write(field: str, value: object) -> str:
        checked = check(field, value)
        try:
            return encode(checked).decode()
        except EncodeProblem as error:
            problem = str(error)
        message = f"{field}: {problem}"
        raise InvalidRequestError(message)

    return check_and_write


def encoded(content: Mapping[str, object]) -> bytes:
    """
    Encode a body.

    Args:
        content: Its fields.

    Raises:
        InvalidRequestError: One of them is not JSON.
    """
    try:
        return encode(content)
    except EncodeProblem as error:
        problem = str(error)
    except Exception as error:  # noqa: BLE001 - a mapping of the caller's may do anything when it is read
        problem = f"the body cannot be read: {type(error).__name__} came of looking at it"
    raise InvalidRequestError(problem)
