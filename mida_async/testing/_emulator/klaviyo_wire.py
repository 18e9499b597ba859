"""Klaviyo's answers: a 202 without a body, or errors in the form of JSON:API."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import attrs

from .wire import Reply, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

MEDIA_TYPE: Final = "application/vnd.api+json"
MAX_BODY_BYTES: Final = 5_000_000
"""The published 5 MB; it is not said whether they are decimal, so the stricter reading counts."""

INVALID: Final = "invalid"
PAYLOAD: Final = "The payload provided in the request is invalid."
_WHOLE: Final = "/data"

# Of the codes only "invalid" and "throttled" were seen in published answers; clients go by the status.
_CODES: Final = MappingProxyType(
    {
        400: (INVALID, "Invalid input."),
        401: ("not_authenticated", "Authentication credentials were not provided or are incorrect."),
        404: ("not_found", "Not found."),
        405: ("method_not_allowed", "Method not allowed."),
        410: ("gone", "The revision is retired."),
        413: ("payload_too_large", "Payload too large."),
        415: ("unsupported_media_type", "Unsupported media type in request."),
        429: ("throttled", "Request was throttled."),
    }
)


class Problem(Exception):  # noqa: N818 - an answer of the server, not an error of the program
    """
    The request is answered with an error.

    Attributes:
        status: The HTTP status.
        detail: What is wrong.
        pointer: Where in the body, as a JSON pointer.
        headers: Further headers.
    """

    def __init__(
        self, status: int, detail: str, pointer: str = _WHOLE, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, detail)
        self.status: Final = status
        self.detail: Final = detail
        self.pointer: Final = pointer
        self.headers: Final = headers or {}

    def vaguely(self) -> Problem:
        """Return the same problem with a pointer to the whole."""
        return Problem(self.status, self.detail, headers=self.headers)


def accepted() -> Reply:
    """Answer that the request is valid and queued."""
    return Reply(202, b"", {})


@attrs.define(eq=False)
class Refuser:
    """Writes errors, each with an id of its own: they are counted, so that a run is like the one before."""

    _count: int = attrs.field(default=0, init=False)

    def refuse(self, problem: Problem) -> Reply:
        """
        Answer an error.

        Args:
            problem: What is wrong.
        """
        self._count += 1
        code, title = _CODES[problem.status]
        error = {
            "id": f"00000000-0000-4000-8000-{self._count:012x}",
            "status": problem.status,
            "code": code,
            "title": title,
            "detail": problem.detail,
            "source": {"pointer": problem.pointer},
            "meta": {},
        }
        return Reply(problem.status, encode({"errors": [error]}), {"Content-Type": MEDIA_TYPE, **problem.headers})
