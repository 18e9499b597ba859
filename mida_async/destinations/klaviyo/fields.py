"""
What the arguments of an event are checked by, its profile and its properties aside.

Sources: Create Event page, revision 2023-01-24 (name, time); Events API overview, read 2026-11 (unique_id, integers).
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NoReturn, cast

from ..._core import checks
from ..._core.checks import exact_number, exact_text
from ..._errors import InvalidEventError

LONGEST_METRIC: Final = 127  # characters: "less than 128"
LONGEST_UNIQUE_ID: Final = 255  # characters
LARGEST_INTEGER: Final = 2**63 - 1
SMALLEST_INTEGER: Final = -(2**63)

# A calendar year may have a day more; the service does not say which year it means.
FURTHEST_AHEAD: Final = dt.timedelta(days=365)

_CURRENCY: Final = re.compile("[A-Z]{3}")
_MINUTE: Final = dt.timedelta(minutes=1)
_NO_TIME: Final = dt.timedelta()


def refuse(field: str, value: object, allowed: str) -> NoReturn:
    """
    Refuse a value that cannot be sent.

    Args:
        field: Where it is.
        value: What it is.
        allowed: What would be right, as the end of "it must be ...".

    Raises:
        InvalidEventError: Always.
    """
    raise InvalidEventError(str(checks.refuse(field, value, allowed)))


def text(field: str, value: object) -> str:
    """
    Return *value* if it is a text that can be seen.

    Args:
        field: Where it is, for the message.
        value: What was given.

    Raises:
        InvalidEventError: It is none.
    """
    if not isinstance(value, str) or not value or value.isspace():
        refuse(field, value, "a string with at least one character that is not a space")
    return exact_text(value)


def short_text(field: str, value: object, most: int) -> str:
    """
    Return *value* if it is a text that can be seen, and is not too long.

    Args:
        field: Where it is, for the message.
        value: What was given.
        most: How many characters it may have.

    Raises:
        InvalidEventError: It is none.
    """
    checked = text(field, value)
    if len(checked) > most:
        message = f"{field} has {len(checked)} characters; at most {most} are allowed"
        raise InvalidEventError(message)
    return checked


def mapping(field: str, value: object) -> Mapping[object, object]:
    """
    Return *value* if it is a mapping.

    Args:
        field: Where it is, for the message.
        value: What was given.

    Raises:
        InvalidEventError: It is none.
    """
    if type(value) is not dict and not isinstance(value, Mapping):  # the first question is the cheaper one
        refuse(field, value, "a mapping with string keys")
    return cast("Mapping[object, object]", value)


def whole(field: str, value: int) -> int:
    """
    Return *value* if the service has room for it.

    Args:
        field: Where it is, for the message.
        value: A whole number.

    Raises:
        InvalidEventError: It takes more than 64 bits.
    """
    if not SMALLEST_INTEGER <= value <= LARGEST_INTEGER:
        allowed = f"from {SMALLEST_INTEGER} to {LARGEST_INTEGER}, a signed integer of 64 bits"
        refuse(field, value, allowed)
    return value


def number(field: str, value: object) -> float:
    """
    Return *value* as the number that goes out: whole ones stay whole, decimals become floating-point numbers.

    Args:
        field: Where it is, for the message.
        value: What was given.

    Raises:
        InvalidEventError: It is no number, or none that JSON or the service can hold.
    """
    match value:
        case int() if not isinstance(value, bool):
            return whole(field, exact_number(value))
        case float() | Decimal() if math.isfinite(converted := _converted(value)):
            return converted
        case _:
            refuse(field, value, "a finite number, and no bool")


def _converted(value: float | Decimal) -> float:
    try:
        return float(value)
    except ValueError:  # a signalling NaN
        return math.nan


def currency(field: str, value: object) -> str:
    """
    Return *value* if it is written like a currency (ISO 4217).

    Args:
        field: Where it is, for the message.
        value: What was given.

    Raises:
        InvalidEventError: It is not.
    """
    if not isinstance(value, str) or not _CURRENCY.fullmatch(value):
        refuse(field, value, "three capital letters, such as 'USD'")
    return exact_text(value)


def flag(field: str, value: object) -> bool:
    """
    Return *value* if it is True or False.

    Args:
        field: Where it is, for the message.
        value: What was given.

    Raises:
        InvalidEventError: It is neither.
    """
    if not isinstance(value, bool):
        refuse(field, value, "True or False")
    return value


def now_text(now: float) -> str:
    """
    Write the present as the service takes it.

    Args:
        now: Seconds since the epoch.
    """
    return dt.datetime.fromtimestamp(now, dt.UTC).isoformat(timespec="seconds")


def moment(field: str, value: object, now: float, earliest: dt.datetime) -> str:
    """
    Write a time as the service takes it, without the part of a second that the service would drop.

    Args:
        field: Where it is, for the message.
        value: A datetime, or a text in ISO 8601; without an offset it is in UTC, as in the service's own examples.
        now: Seconds since the epoch.
        earliest: Events must have happened after this.

    Raises:
        InvalidEventError: It is no time, or one that the service refuses.
    """
    given = _read(field, value).replace(microsecond=0)
    offset = given.utcoffset()
    aware = given.replace(tzinfo=dt.UTC) if offset is None else given.replace(tzinfo=dt.timezone(offset))
    latest = dt.datetime.fromtimestamp(now, dt.UTC) + FURTHEST_AHEAD
    if not earliest < aware <= latest:
        allowed = f"after {earliest.isoformat()} and up to a year from now, {latest.isoformat(timespec='seconds')}"
        refuse(field, aware.isoformat(), allowed)
    # Places had offsets with seconds in them until 1972, which ISO 8601 has no form for.
    exact = aware.astimezone(dt.UTC) if offset and offset % _MINUTE != _NO_TIME else aware
    return exact.isoformat(timespec="seconds")


def _read(field: str, value: object) -> dt.datetime:
    given = _parsed(value) if isinstance(value, str) else value
    if not isinstance(given, dt.datetime):
        refuse(field, value, "a datetime or a text in ISO 8601, such as '2026-11-29T01:02:03+00:00'")
    return given


def _parsed(value: str) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(value)
    except ValueError:
        return None
