"""Klaviyo's revisions: which there are, which one serves a request, and what is different in it."""

from __future__ import annotations

import datetime as dt
import re
from bisect import bisect_right
from typing import TYPE_CHECKING, Final

import attrs

from .klaviyo_wire import Problem

if TYPE_CHECKING:
    from .records import Headers

PUBLISHED: Final = (
    *("2022-10-17", "2023-01-24", "2023-02-22", "2023-06-15", "2023-07-15", "2023-09-15", "2023-10-15", "2023-12-15"),
    *("2024-02-15", "2024-05-15", "2024-06-15", "2024-07-15", "2024-10-15", "2025-01-15", "2025-04-15", "2025-07-15"),
    *("2025-10-15", "2026-01-15", "2026-04-15", "2026-07-15", "2026-10-15"),
)
_OPT_OUT: Final = "x-klaviyo-revision-fall-forward-opt-out"
_YEARS: Final = 2
_TEXT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@attrs.frozen
class Revision:
    """
    One revision, as its Create Event pages tell it (https://developers.klaviyo.com/en/reference/create_event).

    Attributes:
        date: When it was released, as ISO 8601 has it, which is its name.
    """

    date: str

    @property
    def flat(self) -> bool:
        """Whether profile and metric are flat objects; from 2023-07-15 on they are resources of JSON:API."""
        return self.date < "2023-07-15"

    @property
    def has_bulk(self) -> bool:
        """Whether many events can be sent in one request."""
        return self.date >= "2024-05-15"

    @property
    def has_currency(self) -> bool:
        """Whether ``value_currency`` is known; before, it is ignored like any other unknown field."""
        return self.date >= "2024-02-15"

    @property
    def has_backfill(self) -> bool:
        """Whether ``backfill`` is known; the same."""
        return self.date >= "2026-04-15"

    @property
    def bounds_profiles(self) -> bool:
        """Whether the strings of a profile are bounded in their sum."""
        return self.date >= "2025-01-15"

    @property
    def most_properties(self) -> int:
        """How many properties an event may have."""
        return 400 if self.date >= "2025-04-15" else 300

    @property
    def earliest(self) -> dt.datetime:
        """What the time of an event must be after."""
        return dt.datetime(1990 if self.date >= "2026-07-15" else 2000, 1, 1, tzinfo=dt.UTC)


def revision_of(headers: Headers, today: dt.datetime, *, fall_forward: bool) -> Revision:
    """
    Return the revision that serves a request.

    Args:
        headers: The request's headers.
        today: When it is.
        fall_forward: Whether a retired revision is served as the oldest that is not retired.

    Raises:
        Problem: 400, none is named; 410, it is retired, and the request says that it wants to know
            (https://developers.klaviyo.com/en/docs/api_versioning_and_deprecation_policy).
    """
    named = _named(headers.get("revision"))
    if not _is_retired(named, today):
        return Revision(named)
    if headers.get(_OPT_OUT) == "1":
        detail = f"The revision {named} is retired."
        raise Problem(410, detail)
    if not fall_forward:
        return Revision(named)
    return Revision(next((date for date in PUBLISHED if not _is_retired(date, today)), PUBLISHED[-1]))


def _named(text: str | None) -> str:
    if text is None:
        detail = "The revision header is required."
        raise Problem(400, detail)
    # Texts of this form are in the order of their dates.
    place = bisect_right(PUBLISHED, text) if _is_date(text) else 0
    if not place:
        detail = "The revision header must be the date of a revision."
        raise Problem(400, detail)
    return PUBLISHED[place - 1]


def _is_date(text: str) -> bool:
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return _TEXT.fullmatch(text) is not None


def _is_retired(date: str, today: dt.datetime) -> bool:
    released = dt.date.fromisoformat(date)
    return released.replace(year=released.year + _YEARS) <= today.date()
