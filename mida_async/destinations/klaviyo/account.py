"""Whose Klaviyo events these are, and where they go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import attrs

from ..._core.request import (
    DEFAULT_MAX_RESPONSE_BYTES,
    USER_AGENT,
    check_response_limit,
    checked_api_key,
    checked_base_url,
    checked_headers,
)
from .revision import Revision

if TYPE_CHECKING:
    import datetime as dt

_REMEDY: Final = "pass another base_url, or none for Klaviyo's own"


def _headers_of(account: KlaviyoAccount) -> Mapping[str, str]:
    return checked_headers(
        {
            "Authorization": f"Klaviyo-API-Key {account.api_key}",
            "revision": account.revision.text,
            "Content-Type": account.revision.media_type,
            "Accept": account.revision.media_type,
            "User-Agent": USER_AGENT,
        }
    )


@attrs.frozen(kw_only=True)
class KlaviyoAccount:
    """
    Whose events these are, and where they go.

    Attributes:
        base_url: Scheme, host and perhaps a path: everything before ``/api``, without a slash at the end.
        api_key: The private key; never shown.
        revision: The version of the API that is asked for.
        warning: What the user has to know about the revision; blank where there is nothing.
        max_response_bytes: How much of a response to a direct call is read at most.
        headers: The headers of every request; never shown.
    """

    base_url: str
    api_key: str = attrs.field(repr=False)
    revision: Revision
    warning: str = attrs.field(default="", repr=False)
    max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES
    headers: Mapping[str, str] = attrs.field(
        init=False, repr=False, eq=False, default=attrs.Factory(_headers_of, takes_self=True)
    )

    @classmethod
    def create(
        cls,
        *,
        api_key: str | None,
        revision: str,
        base_url: str,
        today: dt.date,
        allow_insecure_http: bool = False,
        max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES,
    ) -> KlaviyoAccount:
        """
        Check everything that the set-up of a client can get wrong.

        Args:
            api_key: The private key from Settings > API keys; it needs the scope Events Write.
            revision: The version of the API, such as ``2026-10-15``.
            base_url: Everything before ``/api``.
            today: The day, to tell whether the revision is retired.
            allow_insecure_http: Whether plain ``http`` may go to another machine.
            max_response_bytes: How much of a response to a direct call is read at most.

        Raises:
            SettingsError: Something is missing or wrong; the message says what to do, and never shows the API key.
        """
        check_response_limit(max_response_bytes)
        version = Revision(revision)
        return cls(
            base_url=checked_base_url(base_url, allow_insecure_http, rest="/api", remedy=_REMEDY),
            api_key=checked_api_key(api_key, "KLAVIYO_API_KEY"),
            revision=version,
            warning=version.warning(today),
            max_response_bytes=max_response_bytes,
        )
