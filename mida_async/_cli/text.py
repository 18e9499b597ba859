"""Text from outside, on its way to a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """
    Escape what could move the cursor, change colours or forge a line.

    Args:
        text: Anything that came from a file or a server.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
