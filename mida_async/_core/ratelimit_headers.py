"""
What response headers say about rates.

Nothing here is ever an error: a field that cannot be read is as good as absent.
"""

from __future__ import annotations

import datetime as dt
import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

import attrs

from .._settings import RateLimit

if TYPE_CHECKING:
    from collections.abc import Mapping

# An hour. A longer wait is asked about again after that time: one request an hour costs nothing, a misread date a day.
LONGEST_WAIT: Final = 3600.0


def retry_after(headers: Mapping[str, str], wall_now: float) -> float | None:
    """
    Read ``Retry-After`` (RFC 9110 section 10.2.3).

    Args:
        headers: The response's headers, names in lower case.
        wall_now: Seconds since the epoch. Where the response has a ``Date`` it is used instead, which takes the
            difference between the two machines' clocks out.

    Returns:
        Seconds to wait, between 0 and an hour; None where the header is absent or unreadable.
    """
    text = headers.get("retry-after", "").strip()
    seconds = _number(text)
    if seconds is None:
        until = _epoch(text)
        if until is None:
            return None
        sent = _epoch(headers.get("date", ""))
        seconds = until - (wall_now if sent is None else sent)
    return min(max(seconds, 0.0), LONGEST_WAIT)


@attrs.frozen(kw_only=True)
class Quota:
    """
    What a server says is left.

    Attributes:
        remaining: Requests that may still go.
        reset: Seconds until there are more.
    """

    remaining: int
    reset: float


def quota(headers: Mapping[str, str], wall_now: float) -> Quota | None:
    """
    Read what is left of the server's limits.

    Understood are the ``RateLimit`` field of draft-ietf-httpapi-ratelimit-headers-10 (2025-09-23), the
    ``RateLimit-Remaining`` and ``RateLimit-Reset`` fields of its drafts up to 06, and ``X-RateLimit-Remaining`` and
    ``X-RateLimit-Reset``, whose reset is in seconds, in seconds since the epoch, or in milliseconds since the epoch: no
    standard says which, so its size decides.

    Args:
        headers: The response's headers, names in lower case.
        wall_now: Seconds since the epoch.

    Returns:
        The limit of which least is left; None where nothing readable is said.
    """
    found = [*_structured(headers.get("ratelimit", ""))]
    for prefix in ("ratelimit-", "x-ratelimit-"):
        pair = _pair(headers.get(prefix + "remaining", ""), headers.get(prefix + "reset", ""), wall_now)
        found += [pair] if pair else []
    return min(found, key=lambda each: (each.remaining, -each.reset), default=None)


# `"name";r=50;t=30`, or `50;w=30`. A name is a quoted string, which may hold a backslash before a quote or a backslash,
# a token, or a number.
_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_TEXT: Final = re.compile(_QUOTED)
_ITEM: Final = re.compile(
    rf'\s*({_QUOTED}|[A-Za-z*][\w.:/%*-]*|\d+)\s*((?:;[^,"]*(?:{_QUOTED}[^,"]*)*)?)(?:,(?!\s*$)|$)', re.ASCII
)
_PARAMETER: Final = re.compile(r";\s*([a-z*][a-z0-9_.*-]*)=(\d+)(?=\s*(?:;|$))", re.ASCII)


def _items(text: str) -> list[tuple[str, str]]:
    """Split a list into names and parameters; nothing where any part of it is malformed."""
    items: list[tuple[str, str]] = []
    position = 0
    while position < len(text):
        item = _ITEM.match(text, position)
        if item is None:
            return []
        items.append((item.group(1), item.group(2)))
        position = item.end()
    return items


def _numbers(parameters: str) -> dict[str, str]:
    return dict(_PARAMETER.findall(_TEXT.sub("", parameters)))


def _structured(text: str) -> list[Quota]:
    quotas: list[Quota] = []
    for name, parameters in _items(text):
        values = _numbers(parameters)
        if "r" in values and "t" in values and not name.isdecimal():
            remaining = _whole(float(values["r"]))
            quotas.append(Quota(remaining=remaining, reset=min(float(values["t"]), LONGEST_WAIT)))
    return quotas


# More than anybody sends. A number of very many digits is read as infinity, which has no whole number.
_PLENTY: Final = 10**15


def _whole(number: float) -> int:
    return int(min(number, _PLENTY))


# More seconds than these cannot be a duration. In milliseconds, 1e12 is the year 2001; in seconds, 1e9 is.
_EPOCH_MILLISECONDS: Final = 1e12
_EPOCH_SECONDS: Final = 1e9


def _pair(remaining: str, reset: str, wall_now: float) -> Quota | None:
    left, seconds = _number(remaining), _number(reset)
    if left is None or seconds is None or left < 0:
        return None
    if seconds > _EPOCH_MILLISECONDS:
        seconds = seconds / 1000.0 - wall_now
    elif seconds > _EPOCH_SECONDS:
        seconds -= wall_now
    return Quota(remaining=_whole(left), reset=min(max(seconds, 0.0), LONGEST_WAIT))


# What float() reads beyond this ("nan", "1_0", digits of other scripts) is no number in a header.
_DECIMAL: Final = re.compile(r"-?\d+(?:\.\d+)?", re.ASCII)


def _number(text: str) -> float | None:
    return float(text) if _DECIMAL.fullmatch(text.strip()) else None


def _epoch(text: str) -> float | None:
    try:
        date = parsedate_to_datetime(text)
        # The oldest form of a date in HTTP names no zone, and means GMT (RFC 9110 section 5.6.7).
        return (date if date.tzinfo else date.replace(tzinfo=dt.UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


_POLICY_FIELDS: Final = ("ratelimit-policy", "ratelimit-limit", "x-ratelimit-limit")

# What is more than this was not written for a client to read.
_MOST_POLICIES: Final = 8
_LONGEST_FIELD: Final = 1024
_MOST_DIGITS: Final = 9

# Most answers have none of them, and this is asked of every answer.
_FIELDS: Final = frozenset({"ratelimit", "ratelimit-remaining", "x-ratelimit-remaining", *_POLICY_FIELDS})


def says_nothing(headers: Mapping[str, str]) -> bool:
    """
    Say whether there is nothing to read for :func:`quota` and :func:`policies`, as in most answers.

    Args:
        headers: The response's headers, names in lower case.
    """
    return _FIELDS.isdisjoint(headers)


# Some policies count other things than requests, such as bytes.
_OTHER_UNIT: Final = re.compile(r';\s*qu=(?!"requests"\s*(?:;|$))', re.ASCII)


def policies(headers: Mapping[str, str]) -> tuple[RateLimit, ...]:
    """
    Read the limits that the server keeps.

    Understood are the ``RateLimit-Policy`` field of draft-ietf-httpapi-ratelimit-headers-10 (2025-09-23;
    ``"burst";q=100;w=60``), its older form (``100;w=60``), and the same in ``RateLimit-Limit``, where the
    number without a window that comes first says nothing more: ``350, 350;w=1, 3500;w=60``.

    Args:
        headers: The response's headers, names in lower case.

    Returns:
        The limits that can be read, eight at most in each field.
    """
    found: list[RateLimit] = []
    for field in _POLICY_FIELDS:
        text = headers.get(field, "")
        # A plain number is the usual thing, and names no window.
        if ";" in text and len(text) <= _LONGEST_FIELD:
            limits = [limit for name, parameters in _items(text) if (limit := _policy(name, parameters))]
            found += limits[:_MOST_POLICIES]
    return tuple(found)


def _policy(name: str, parameters: str) -> RateLimit | None:
    values = _numbers(parameters)
    limit, span = (name if name.isdecimal() else values.get("q", "")), values.get("w", "")
    if not (0 < len(limit) <= _MOST_DIGITS and 0 < len(span) <= _MOST_DIGITS) or _OTHER_UNIT.search(parameters):
        return None
    return RateLimit(int(limit), per=int(span)) if int(limit) and int(span) else None
