"""The endpoints of configuration."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .project import Handler

HANDLERS: Final[Mapping[str, Handler]] = MappingProxyType({})
