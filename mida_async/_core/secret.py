"""The API key among the arguments of a call, where it has no business."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from .._errors import InvalidRequestError
from .checks import exact_text
from .messages import redact

if TYPE_CHECKING:
    from collections.abc import Generator

SHORTEST_SECRET: Final = 8  # characters; what is shorter is nobody's secret but a word that stands for one in a test
_LONG: Final = 16  # characters; a shorter text may well be a part of another by chance
_TELLING: Final = 4  # characters; the beginning of a secret that says something about it


def check_secret(secret: str, *texts: object) -> None:
    """
    Refuse texts of an address that are the API key, or hold one that is not too short for that to mean anything.

    Args:
        secret: The API key.
        texts: Parts of the address; what is no text is left to other checks.

    Raises:
        InvalidRequestError: One holds it; the message does not.
    """
    exact = [exact_text(text) for text in texts if isinstance(text, str)]
    if any(text == secret or (len(secret) >= _LONG and secret in text) for text in exact):
        message = "the address holds the API key, which goes out in a header only; a path has the project key"
        raise InvalidRequestError(message)


@contextlib.contextmanager
def hiding(secret: str) -> Generator[None]:
    """
    Take the API key out of an error about an argument: whoever mistakes it for another value is shown that value.

    Args:
        secret: The API key.
    """
    try:
        yield
    except InvalidRequestError as error:
        error.args = (_without(str(error), secret),)
        raise


def _without(message: str, secret: str) -> str:
    if len(secret) < SHORTEST_SECRET:
        return message  # which would be full of holes
    escaped = ascii(secret)[1:-1]
    message = redact(redact(message, secret), escaped)
    # Values are cut off in messages, so the end of one may be the beginning of the secret.
    cut = (f"{escaped[:length]}..." for length in range(len(escaped) - 1, _TELLING - 1, -1))
    found = next((beginning for beginning in cut if beginning in message), "")
    return redact(message, found)
