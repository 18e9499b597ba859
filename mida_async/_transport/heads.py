"""The head of a request as bytes, put together once for all requests that share it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

import attrs

from .._core.request import checked_headers
from .._errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .._core.messages import Request

# Enough for every kind of record that a buffer sends at a time; direct calls have many addresses, each used once.
_KEPT: Final = 64

_PORTS: Final = (("http", 80), ("https", 443))
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ADDRESS: Final = re.compile(r"[!-~]+")
# How a body is delimited is the transport's own business: a second opinion would be a second request.
_OWN_HEADERS: Final = frozenset({"content-length", "transfer-encoding"})
_ENCODINGS: Final = "gzip, deflate"


class Origin(NamedTuple):
    """Where connections lead to: those to the same origin are alike."""

    secure: bool
    host: str
    port: int


@attrs.frozen(repr=False, eq=False)
class Head:
    """
    What is the same for all requests with one method, address and set of headers.

    Attributes:
        place: Where to connect, as whoever connects wants it.
        headers: The headers that it was made of.
        start: The request line and all headers but the length of the body, without the last line break.
    """

    place: object
    headers: Mapping[str, str]
    start: bytes

    def with_body(self, body: bytes) -> bytes:
        """Return the whole request."""
        return b"%bContent-Length: %d\r\n\r\n%b" % (self.start, len(body), body)


class Heads:
    """
    The heads that were used last.

    Args:
        place: Makes what is kept with a head for connecting.
    """

    def __init__(self, place: Callable[[Origin], object]) -> None:
        self._place = place
        self._kept: dict[tuple[str, str], Head] = {}

    def of(self, request: Request) -> Head:
        """
        Return the head of *request*.

        Raises:
            InvalidRequestError: Its method, address or headers cannot be sent.
        """
        key = (request.method, request.url)
        head = self._kept.get(key)
        # The headers are compared, not taken for what they were: a caller may have changed them.
        if head is not None and head.headers == request.headers:
            return head
        self._kept.pop(key, None)
        head = self._made(request)
        if len(self._kept) >= _KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = head
        return head

    def _made(self, request: Request) -> Head:
        parts = _checked_parts(request)
        _check_headers(request)
        origin = Origin(parts.scheme == "https", parts.hostname or "", parts.port or dict(_PORTS)[parts.scheme])
        lines = [f"{request.method} {_target(parts)} HTTP/1.1", *_header_lines(origin, request.headers), ""]
        return Head(self._place(origin), dict(request.headers), "\r\n".join(lines).encode("latin-1"))


def _header_lines(origin: Origin, headers: Mapping[str, str]) -> Iterator[str]:
    given = {name.lower() for name in headers}
    if "host" not in given:
        yield f"Host: {_host(origin)}"
    if "accept-encoding" not in given:
        yield f"Accept-Encoding: {_ENCODINGS}"
    for name, value in headers.items():
        yield f"{name}: {value}"


def _host(origin: Origin) -> str:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    default = ("https" if origin.secure else "http", origin.port) in _PORTS
    return host if default else f"{host}:{origin.port}"


def _target(parts: SplitResult) -> str:
    path = parts.path or "/"
    return f"{path}?{parts.query}" if parts.query else path


# What is raised below must not have a header's value, or an address with a password, in the variables of its frame.


def _checked_parts(request: Request) -> SplitResult:
    unfit = _unfit(request)
    if unfit:
        raise InvalidRequestError(unfit)
    return urlsplit(request.url)


def _unfit(request: Request) -> str:
    if not _TOKEN.fullmatch(request.method):
        return "the method of a request must be one word"
    if not _ADDRESS.fullmatch(request.url) or "\\" in request.url:
        return "the address of a request must be visible ASCII characters without a backslash"
    try:
        parts = urlsplit(request.url)
        parts.port  # noqa: B018  reading it checks it
    except ValueError:
        return "the address of a request has a host or a port that cannot be read"
    if parts.scheme not in dict(_PORTS) or not parts.hostname or parts.port == 0:
        return "the address of a request must begin with http:// or https://, and a host"
    return "the address of a request must hold no user name or password" if "@" in parts.netloc else ""


def _check_headers(request: Request) -> None:
    name = next((name for name in request.headers if not _TOKEN.fullmatch(name) or name.lower() in _OWN_HEADERS), None)
    if name is not None:
        message = f"header {name!r}: this is no name of a header, or it is one that the transport writes itself"
        raise InvalidRequestError(message)
    checked_headers(request.headers)
