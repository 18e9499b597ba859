"""What requests and responses are made of, as plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def flatten(headers: Collection[tuple[str, str]]) -> Mapping[str, str]:
    """Return headers with names in lower case; the values of repeated ones are joined by commas."""
    flat = {name.lower(): value for name, value in headers}
    if len(flat) == len(headers):
        return flat
    flat.clear()
    for name, value in headers:
        key = name.lower()
        flat[key] = f"{flat[key]}, {value}" if key in flat else value
    return flat


def host_and_port(url: str) -> str:
    """Return where a request goes, without what is private in its address."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return host if parts.port else f"{host}:{443 if parts.scheme == 'https' else 80}"
