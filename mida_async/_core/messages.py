"""One request and one response, as values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import attrs

REDACTED: Final = "[redacted]"


def redact(text: str, secret: str) -> str:
    """
    Take *secret* out of *text*.

    Args:
        text: Anything that came from outside, and may echo what was sent.
        secret: The API key; an empty one changes nothing.
    """
    return text.replace(secret, REDACTED) if secret else text


@attrs.define(kw_only=True)  # not frozen: that takes twice the time, and one is made for each request
class Request:
    """
    One HTTP request, ready to go. Nobody changes it.

    Attributes:
        method: The HTTP method.
        url: The whole address, escaped.
        headers: All headers that matter; never shown, because the API key is among them.
        body: The encoded body, or None.
        max_response_bytes: How much of a response is read at most.
        secret: What must not be in any text that comes of this request.
    """

    method: str
    url: str
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes | None = attrs.field(default=None, repr=False)
    max_response_bytes: int
    secret: str = attrs.field(default="", repr=False)

    @property
    def label(self) -> str:
        """Method and path, for messages."""
        return f"{self.method} {urlsplit(self.url).path}"

    def carrying(self, body: bytes, *, max_response_bytes: int) -> Request:
        """
        Return the same request with another body: what is the same for all records is put together once.

        Args:
            body: The encoded body.
            max_response_bytes: How much of a response is read at most.
        """
        return Request(
            method=self.method,
            url=self.url,
            headers=self.headers,
            body=body,
            max_response_bytes=max_response_bytes,
            secret=self.secret,
        )


@attrs.define(kw_only=True)  # not frozen: that takes twice the time, and one is made for each request
class Response:
    """
    What came back. Nobody changes it.

    Attributes:
        status: The HTTP status.
        headers: The headers, their names in lower case; of repeated ones the values joined by a comma.
        body: The body, as far as it was read.
        complete: Whether that is the whole body: not cut short, not stalled, not over the limit.
        oversized: Whether it is not, because it went over the limit.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    body: bytes = attrs.field(default=b"", repr=False)
    complete: bool = True
    oversized: bool = False
