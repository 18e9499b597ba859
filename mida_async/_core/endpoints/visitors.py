"""The endpoints of visitors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .base import Endpoint

ROWS: Final[tuple[Endpoint, ...]] = ()
