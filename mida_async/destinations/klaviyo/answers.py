"""
What Klaviyo's answers mean.

Sources: Create Event page, revision 2023-01-24; rate limits page and Authenticate page, read 2026-11.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ..._core.codec import decode
from ..._core.response import error_from
from ..._errors import APIError, AuthenticationError, DecodeError, ServerError

if TYPE_CHECKING:
    from ..._core.messages import Response

_BAD_REQUEST: Final = 400
_FORBIDDEN: Final = 403
_TOO_MANY_REQUESTS: Final = 429

# An answer of 429 has its wait in Retry-After, but was seen without it: then the text alone says it.
_WAIT: Final = re.compile(r"Expected available in ([0-9]{1,9}) second")

_ABOUT_THE_KEY: Final = re.compile(r"auth|api[ _-]?key", re.IGNORECASE)

_CHALLENGED: Final = (
    "the network in front of the service (its CDN) turned this request away, the service has not seen it; it may take "
    "this address for a robot"
)


def error_of(response: Response, *, request: str, secret: str, wall_now: float) -> APIError | None:
    """
    Make the error that *response* stands for.

    Args:
        response: What came back.
        request: Method and path, for the message.
        secret: The API key; it is taken out of everything that the error holds.
        wall_now: Seconds since the epoch.

    Returns:
        The error, or None for a 2xx.
    """
    error = error_from(response, endpoint=None, request=request, secret=secret, wall_now=wall_now)
    if error is None:
        return None
    if error.status == _TOO_MANY_REQUESTS and error.retry_after is None:
        wait = _WAIT.search(error.detail)
        error.retry_after = None if wait is None else float(wait[1])
    # A wrong key is a 401 on the rate limits page and a 400 on the Authenticate page.
    if error.status == _BAD_REQUEST and _ABOUT_THE_KEY.search(error.code):
        return _remade(AuthenticationError, error, error.message)
    if error.status == _FORBIDDEN and _is_challenge(response):
        return _remade(ServerError, error, _CHALLENGED)
    return error


def _remade(cls: type[APIError], error: APIError, message: str) -> APIError:
    other = cls(message, status=error.status)
    vars(other).update({**vars(error), "message": message})
    return other


def _is_challenge(response: Response) -> bool:
    """
    Say whether a 403 is not the service's own, which answers in JSON: nothing came of the request then.

    The CDN's challenge is a page of HTML, and its blocks are a line of text.
    """
    if "challenge" in response.headers.get("cf-mitigated", "").lower():
        return True
    text = response.body.strip()
    return bool(text) and not text.startswith((b"{", b"[")) and not _is_json(text)


def _is_json(text: bytes) -> bool:
    try:
        decode(text)
    except DecodeError:
        return False
    return True
