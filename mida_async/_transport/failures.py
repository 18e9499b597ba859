"""What all transports say when no answer came."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, Final

from .._core.messages import redact
from .._errors import ConnectError
from .text import host_and_port

if TYPE_CHECKING:
    from .._core.messages import Request
    from .._errors import TransportError

HUNG_UP: Final = "the server closed the connection"
UNASKED: Final = "something came over the connection that nobody had asked for"
NOT_HTTP: Final = "what came is not HTTP that can be read"


def no_answer(kind: type[TransportError], request: Request, reason: str) -> TransportError:
    """
    Return the error of a request that got no answer.

    Args:
        kind: Its class, which says whether anything was sent.
        request: What was to be sent; its secret is taken out of the message.
        reason: What happened.
    """
    where = host_and_port(request.url)
    beginning = f"nothing was sent to {where}" if issubclass(kind, ConnectError) else f"no answer from {where}"
    return kind(redact(f"{beginning}: {reason}", request.secret))


def not_connected(seconds: float) -> str:
    """Say that connecting took too long."""
    return f"not connected within {seconds:g} s (timeout.connect)"


def nothing_came(seconds: float) -> str:
    """Say that the peer was silent for too long."""
    return f"nothing came within {seconds:g} s (timeout.read)"


def out_of_time(total: float) -> str:
    """Say that all of it took too long."""
    return f"the {total:g} s for the whole request are over"


def bad_certificate(error: object) -> str:
    """Say what is wrong with a certificate."""
    return f"the server's certificate is not trusted: {getattr(error, 'verify_message', error)}"


def unresolved(error: OSError) -> str:
    """Say that a name leads nowhere."""
    return f"the host name was not resolved: {error.strerror or error}"


def system_reason(error: BaseException) -> str | None:
    """Say what the operating system or TLS found; None where it was neither."""
    match error:
        case ssl.SSLError(reason=str(cause)):
            return f"the TLS handshake failed: {cause.replace('_', ' ').lower()}"
        case OSError(errno=int(number)):
            return os.strerror(number).lower()
        case _:
            return None
