"""
Revisions of the Klaviyo API: what each of them asks for, and how long it is served.

Source: the Create Event page in each revision from 2022-10-17 to 2026-10-15.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, Final

import attrs

from ..._core.checks import refuse
from ..._errors import SettingsError

CURRENT_REVISION: Final = "2026-10-15"
"""The newest revision that this package was made for."""

_FIRST: Final = "2022-10-17"
_FORM: Final = re.compile(r"(20[0-9]{2}-[0-9]{2}-[0-9]{2})(\.pre)?")

# Policy page, read 2026-11: a revision is stable for a year and deprecated for another one.
_YEARS_SERVED: Final = 2

# The first revision that has each of these.
_NESTED: Final = "2023-07-15"
_KX: Final = "2023-09-15"
_CURRENCY: Final = "2024-02-15"
_BULK: Final = "2024-05-15"
_LOCALE: Final = "2024-07-15"
_JSON_API: Final = "2024-10-15"
_MORE_PROPERTIES: Final = "2025-04-15"
_BACKFILL: Final = "2026-04-15"
_OLDER_EVENTS: Final = "2026-07-15"


def _is_date(text: str) -> bool:
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _check(_: object, __: object, text: Any) -> None:
    form = _FORM.fullmatch(text) if isinstance(text, str) else None
    if form is None or not _is_date(form[1]) or form[1] < _FIRST:
        allowed = f"a date such as '{CURRENT_REVISION}', not before {_FIRST}, perhaps with '.pre' after it"
        raise SettingsError(str(refuse("revision", text, allowed)))


@attrs.frozen
class Revision:
    """
    One version of the API.

    Attributes:
        text: What the header of this name says: a date, for a beta with ``.pre`` after it.

    Raises:
        SettingsError: It is no date, or is before the first revision.
    """

    text: str = attrs.field(validator=_check)

    def __str__(self) -> str:
        return self.text

    def _since(self, first: str) -> bool:
        return self.text[:10] >= first  # dates in ISO format are in order as texts, too

    @property
    def flat(self) -> bool:
        """Whether profile and metric are plain objects, with reserved names that begin with ``$``."""
        return not self._since(_NESTED)

    @property
    def path(self) -> str:
        """Where events go, one a request."""
        return self._path("/api/events")

    @property
    def bulk_path(self) -> str:
        """Where events go, many a request."""
        return self._path("/api/event-bulk-create-jobs")

    def _path(self, path: str) -> str:
        return path if self._since(_JSON_API) else f"{path}/"

    @property
    def media_type(self) -> str:
        """What bodies are, in both directions."""
        return "application/vnd.api+json" if self._since(_JSON_API) else "application/json"

    @property
    def most_properties(self) -> int:
        """How many properties an event has at most."""
        return 400 if self._since(_MORE_PROPERTIES) else 300

    @property
    def earliest(self) -> dt.datetime:
        """When an event happened at the earliest."""
        return dt.datetime(1990 if self._since(_OLDER_EVENTS) else 2000, 1, 1, tzinfo=dt.UTC)

    @property
    def has_kx(self) -> bool:
        """Whether a profile may be named by ``_kx``."""
        return self._since(_KX)

    @property
    def has_value_currency(self) -> bool:
        """Whether an event's value may have a currency."""
        return self._since(_CURRENCY)

    @property
    def has_bulk(self) -> bool:
        """Whether many events may go in one request."""
        return self._since(_BULK)

    @property
    def has_locale(self) -> bool:
        """Whether ``locale`` is an attribute of profiles; before, it is a property like any other."""
        return self._since(_LOCALE)

    @property
    def has_backfill(self) -> bool:
        """Whether an event may be recorded without setting off flows."""
        return self._since(_BACKFILL)

    @property
    def retired_on(self) -> dt.date:
        """From when on the service no longer answers as this revision."""
        year, month, day = (int(part) for part in self.text[:10].split("-"))
        return dt.date(year + _YEARS_SERVED, month, min(day, 28) if month == 2 else day)  # noqa: PLR2004  February

    def is_retired(self, today: dt.date) -> bool:
        """
        Say whether the service answers as another revision.

        Args:
            today: The day to say it for.
        """
        return today >= self.retired_on

    def warning(self, today: dt.date) -> str:
        """
        Say what is to be expected of a revision that is retired; nothing where it is not.

        Args:
            today: The day to say it for.
        """
        if not self.is_retired(today):
            return ""
        refused = (
            f"; the body that this revision asks for was given up with {_NESTED}, so it is likely refused with 400"
            if self.flat
            else ""
        )
        return (
            f"Klaviyo's revision {self} was retired on {self.retired_on}: the service falls forward and answers as its "
            f"oldest revision that is not retired{refused}. Use revision='{CURRENT_REVISION}'"
        )
