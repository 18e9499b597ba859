"""
What all sections share: the checks of arguments.

A wrong argument is an error before anything is sent, because the server's answer to many of them is not documented, and
some of them it accepts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .._core.codec import EncodeProblem, encode
from .._errors import InvalidRequestError
from .._sentinels import UNSET

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Hashable, Sequence

Row = TypeVar("Row")

# docs/v2/list-events and list-goals, 2026-08-22. What the server does with more is not said.
MAX_PAGE_SIZE: Final = 500

_SHOWN: Final = 60  # characters of a wrong value in a message
_LARGEST: Final = 2**63 - 1


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
    except ValueError:  # a whole number of very many digits
        shown = f"a very large {type(value).__name__}"
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
    return InvalidRequestError(f"{field} is {shown}; it must be {allowed}")


def text(field: str, value: object) -> str:
    """Return *value* if it is a text with something in it."""
    if not isinstance(value, str) or not value.strip():
        allowed = "a string with at least one character that is not a blank"
        raise refuse(field, value, allowed)
    return value


def any_text(field: str, value: object) -> str:
    """Return *value* if it is a text, even an empty one."""
    if not isinstance(value, str):
        allowed = "a string"
        raise refuse(field, value, allowed)
    return value


def nullable(check: Callable[[str, object], object]) -> Callable[[str, object], object]:
    """Let None through *check*, for fields that can be null."""
    return lambda field, value: None if value is None else check(field, value)


def text_or_number(field: str, value: object) -> str:
    """Return *value* as a text: some fields hold numbers, but always as text (docs/v2/create-goal, 2026-08-22)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(whole(field, value, 0, _LARGEST))
    return text(field, value)


def whole(field: str, value: object, least: int, most: int) -> int:
    """Return *value* if it is a whole number in a range."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        allowed = f"a whole number from {least} to {most}" if most < _LARGEST else f"a whole number, {least} or greater"
        raise refuse(field, value, allowed)
    return int(value)


def page_size(field: str, value: object) -> int:
    """Return *value* if the server gives pages of this size."""
    return whole(field, value, 1, MAX_PAGE_SIZE)


def offset(field: str, value: object) -> int:
    """Return *value* if it is a place in a list."""
    return whole(field, value, 0, _LARGEST)


def status(field: str, value: object) -> int:
    """Return *value* if it may be a status code. Unknown ones pass: the vendor has renumbered them before."""
    return whole(field, value, 0, _LARGEST)


def day(field: str, value: object) -> str | None:
    """
    Return a day as the API writes it.

    Args:
        field: The argument.
        value: A date; a datetime, of which the day counts as it stands; or ``YYYY-MM-DD``.
    """
    if value is None:
        return None
    if isinstance(value, dt.datetime):
        value = value.date()
    if isinstance(value, dt.date):
        return value.isoformat()
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


def object_or_text(field: str, value: object) -> object:
    """Return *value* if it is an object or a text, which are the two forms of an event's data."""
    if not isinstance(value, (Mapping, str)):
        allowed = "a mapping or a string"
        raise refuse(field, value, allowed)
    return value  # pyright: ignore[reportUnknownVariableType]  # encoding it checks the keys


def body(fields: Mapping[str, object]) -> bytes:
    """
    Encode the fields of a request.

    Args:
        fields: By their names; those that are UNSET are left out.

    Raises:
        InvalidRequestError: One of them is not JSON.
    """
    try:
        return encode({name: value for name, value in fields.items() if value is not UNSET})
    except EncodeProblem as error:
        problem = str(error)
    raise InvalidRequestError(problem)


def checked(checks: Mapping[str, Callable[[str, object], Any]], fields: Mapping[str, object]) -> dict[str, object]:
    """
    Check the fields that were given.

    Args:
        checks: By the fields' names.
        fields: Likewise; those that are UNSET are not checked.

    Returns:
        What is to be sent.
    """
    return {name: checks[name](name, value) for name, value in fields.items() if value is not UNSET}


def changes(checks: Mapping[str, Callable[[str, object], Any]], fields: Mapping[str, object]) -> bytes:
    """
    Check and encode the fields of an update.

    Args:
        checks: By the fields' names.
        fields: Likewise; those that are UNSET stay as they are.

    Raises:
        InvalidRequestError: One is wrong, or none is given.
    """
    given = checked(checks, fields)
    if not given:
        message = f"nothing to change: give at least one of {', '.join(fields)}"
        raise InvalidRequestError(message)
    return body(given)


def given(**fields: object) -> dict[str, object]:
    """Mark what was left out: in a create, None means that a field is not sent."""
    return {name: UNSET if value is None else value for name, value in fields.items()}


async def pages(
    fetch: Callable[[int], Awaitable[Sequence[Row]]], identify: Callable[[Row], Hashable], size: int
) -> AsyncGenerator[Row, None]:
    """
    Walk through a list, page by page.

    The order of rows is not documented and the list may change meanwhile, so a row may come twice: each is given once.
    A page that is short, or that brings nothing new, is taken for the last.

    Args:
        fetch: Gets the rows from an offset on.
        identify: Tells rows apart.
        size: How many rows a full page has.
    """
    seen: set[Hashable] = set()
    start = 0
    while True:
        rows = await fetch(start)
        known = len(seen)
        for row in rows:
            key = identify(row)
            if key not in seen:
                seen.add(key)
                yield row
        if len(rows) < size or len(seen) == known:
            return
        start += size
