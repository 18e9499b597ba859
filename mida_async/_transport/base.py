"""What a transport promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from .._errors import ClientClosedError, SettingsError

if TYPE_CHECKING:
    from .._core.messages import Request, Response

# Below the shortest idle timeout that is common among servers, the 5 seconds of Node and uvicorn: a pooled connection
# is then given up by us before the server closes it under a request.
KEEPALIVE: Final = 4.0
"""For how many seconds an idle connection is kept."""

CLOSE_TIMEOUT: Final = 0.25
"""How many seconds closing may wait for peers to take leave."""


class Transport(Protocol):
    """
    Sends one request, once.

    1. A response of any status is returned, never raised. Redirects are not followed.
    2. :class:`ConnectError` means that no part of the body was handed over: no server can have the whole request.
    3. :class:`ConnectionLostError` and :class:`RequestTimeoutError` mean that it may have been applied.
    4. Once a status has arrived the response is returned even if its body stalls, breaks off or is too long:
       ``complete`` is then False.
    5. Errors are raised outside any ``except`` block and carry neither ``__cause__`` nor ``__context__``: what a
    library
       raised may show headers, and with them the API key.
    6. A cancelled :meth:`send` closes its connection.
    """

    async def send(self, request: Request, *, total: float) -> Response:
        """
        Send *request* and return what came back.

        Args:
            request: What to send.
            total: The seconds that this may take in all.

        Raises:
            TransportError: No response came; the class says whether anything was sent.
        """
        ...

    async def aclose(self) -> None:
        """Close what this transport opened; a session that it borrowed stays open. More than once does nothing."""
        ...


def closed() -> ClientClosedError:
    """Return the error for whoever comes after :meth:`Transport.aclose`."""
    return ClientClosedError("nothing was sent: the client is closed, or the aiohttp session that it was lent")


def other_loop() -> SettingsError:
    """Return the error for whoever comes from another event loop."""
    return SettingsError(
        "this client, or the aiohttp session that it was lent, belongs to another event loop; "
        "make one client for each event loop"
    )
