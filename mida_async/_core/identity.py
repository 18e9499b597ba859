"""Who a record is about: identifiers in a form that can be compared."""

from __future__ import annotations


def identity(kind: str, value: str) -> str:
    """
    Return the key under which a visitor is found.

    Args:
        kind: Which identifier it is, such as ``email``. The same text under two kinds is two identities.
        value: The identifier as it was given. Only the key of an ``email`` ignores case; what is sent stays as it is.
    """
    return f"{kind}:{value.casefold() if kind == 'email' else value}"
