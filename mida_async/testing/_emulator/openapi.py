"""The emulator's description of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .._openapi import document
from .wire import Reply, encode

if TYPE_CHECKING:
    from .records import ReceivedRequest

PATH: Final = "/openapi.json"


def description(received: ReceivedRequest) -> Reply | None:
    """
    Return the OpenAPI document, if that is what is asked for.

    It is no call of the API: it needs no credentials, and no log, limit or fault knows of it.

    Args:
        received: The request.
    """
    if (received.method, received.path) != ("GET", PATH):
        return None
    return Reply(200, encode(document("/")), {"Content-Type": "application/json"})
