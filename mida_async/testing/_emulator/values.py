"""Values of JSON as texts and as numbers, whichever of the two they came as."""

from __future__ import annotations

import math
from typing import Final

_LARGEST_AMOUNT: Final = 1e12


def text_of(value: object) -> str:
    """Return a value of JSON as text; what is neither text nor number nor flag has none."""
    match value:
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            return str(value)
        case _:
            return ""


def amount(value: object) -> float | None:
    """Return a number, or a text that is one; None for anything else, and for what no shop sells at."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and abs(number) <= _LARGEST_AMOUNT else None
