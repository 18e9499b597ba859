"""The value of an argument that was not given, where None means something else."""

from __future__ import annotations

import enum
from typing import Final, Literal, TypeAlias


class Unset(enum.Enum):
    """
    The type of :data:`UNSET`.

    An enumeration, because a type checker then narrows ``value is UNSET``.
    """

    UNSET = b"UNSET"  # no text: an encoder that writes members of enumerations as their values must not write this one

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> Literal[False]:
        return False


UNSET: Final = Unset.UNSET
UnsetType: TypeAlias = Literal[Unset.UNSET]
