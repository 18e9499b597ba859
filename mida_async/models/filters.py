"""
Conditions on visitors and events, and how they are combined.

Some fields of the API hold an AND of ORs, others an OR of ANDs, and both are written as lists of lists. What is
combined here with ``&`` and ``|`` keeps its meaning in either: ``(a | b) & c`` is true where c is and a or b is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import attrs

from .._sentinels import UNSET, UnsetType
from .base import Input


class Combinable:
    """What can be combined by ``&`` and ``|``."""

    __slots__ = ()

    def __and__(self, other: Combinable) -> AllOf:
        return AllOf(self, other) if isinstance(other, Combinable) else NotImplemented  # pyright: ignore[reportUnnecessaryIsInstance]

    def __or__(self, other: Combinable) -> AnyOf:
        return AnyOf(self, other) if isinstance(other, Combinable) else NotImplemented  # pyright: ignore[reportUnnecessaryIsInstance]


@attrs.frozen(eq=False, repr=False)
class Condition(Combinable, Input):
    """
    A condition on visitors, for filters of reports and for targeting (docs/v2/get-experiment-result, 2026-08-22).

    Attributes:
        criteria: What is looked at, such as ``device``, ``utm``, ``country`` or ``attribute``.
        operator: How it is compared: ``==`` and ``!=`` for the whole text, ``**`` and ``!*`` for a part of it, ``ex``
            and ``nx`` for whether there is any; numbers and dates have more.
        value: What it is compared with; not needed for ``ex`` and ``nx``.
        key: Which one is meant, where there are several: the parameter's name for ``queryparam`` and ``utm``, the
            attribute's name for ``attribute``.
    """

    criteria: str
    operator: str
    value: object = UNSET
    key: str | UnsetType = attrs.field(default=UNSET, kw_only=True)


@attrs.frozen(eq=False, repr=False)
class AttributeCondition(Combinable, Input):
    """
    A condition on the properties of an event (docs/v2/get-experiment-result, 2026-08-22).

    Attributes:
        key: The property's name.
        operand: How it is compared: ``=``, ``!=``, ``>``, ``<``, ``>=``, ``<=``; in reports also ``**``, ``!*``, ``ex``
            and ``nx``.
        value: What it is compared with; not needed for ``ex`` and ``nx``.
    """

    key: str
    operand: str
    value: object = UNSET


@attrs.frozen(init=False)
class AllOf(Combinable):
    """
    True where all its parts are; ``a & b`` makes one.

    Args:
        parts: Conditions, as objects or as mappings with the vendor's keys, and further groups.

    Attributes:
        parts: The parts. Those of an :class:`AllOf` among them stand here themselves.
    """

    parts: tuple[FilterPart, ...]

    def __init__(self, *parts: FilterPart) -> None:
        merged = tuple(inner for part in parts for inner in (part.parts if isinstance(part, AllOf) else (part,)))
        object.__setattr__(self, "parts", merged)


@attrs.frozen(init=False)
class AnyOf(Combinable):
    """
    True where at least one of its parts is; ``a | b`` makes one.

    Args:
        parts: Conditions, as objects or as mappings with the vendor's keys, and further groups.

    Attributes:
        parts: The parts. Those of an :class:`AnyOf` among them stand here themselves.
    """

    parts: tuple[FilterPart, ...]

    def __init__(self, *parts: FilterPart) -> None:
        merged = tuple(inner for part in parts for inner in (part.parts if isinstance(part, AnyOf) else (part,)))
        object.__setattr__(self, "parts", merged)


FilterPart: TypeAlias = Combinable | Mapping[str, object]
"""A condition or a group of them; a mapping is a condition with the vendor's keys."""

Filter: TypeAlias = FilterPart | Sequence[Sequence[Condition | AttributeCondition | Mapping[str, object]]]
"""What a field with a filter takes: a condition, a group, or the lists of lists that go out."""
