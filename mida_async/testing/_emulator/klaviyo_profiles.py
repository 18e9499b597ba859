"""Whom Klaviyo's account knows, and what each of them has done already."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable

Identifier: TypeAlias = tuple[str, str]
"""The kind of an identifier, such as ``email``, and its text."""


@attrs.define(eq=False)
class _Profile:
    identifiers: set[Identifier] = attrs.field(factory=set[Identifier])
    events: set[tuple[str, str]] = attrs.field(factory=set[tuple[str, str]])

    def take_in(self, other: _Profile) -> None:
        self.identifiers |= other.identifiers
        self.events |= other.events


@attrs.define(eq=False)
class Profiles:
    """Profiles by number. Two become one when something shows that they are the same person's."""

    _numbers: dict[Identifier, int] = attrs.field(factory=dict[Identifier, int], init=False)
    _profiles: dict[int, _Profile] = attrs.field(factory=dict[int, _Profile], init=False)
    _count: int = attrs.field(default=0, init=False)

    def __len__(self) -> int:
        return len(self._profiles)

    def known(self, identifiers: Iterable[Identifier]) -> list[int]:
        """
        Return the numbers of the profiles that have one of *identifiers*, the oldest first.

        Args:
            identifiers: What names them.
        """
        return sorted({self._numbers[each] for each in identifiers if each in self._numbers})

    def add(self, identifiers: Iterable[Identifier]) -> int:
        """
        Return the number of the profile that has all of *identifiers* from now on.

        Args:
            identifiers: What names it; at least one.
        """
        named = set(identifiers)
        number, *others = self.known(named) or [self._next()]
        profile = self._profiles.setdefault(number, _Profile())
        profile.identifiers |= named
        for other in others:
            profile.take_in(self._profiles.pop(other))
        self._numbers.update(dict.fromkeys(profile.identifiers if others else named, number))
        return number

    def note(self, number: int, metric: str, unique_id: str) -> bool:
        """
        Note an event, and say whether it is the first of its key.

        Args:
            number: The number of its profile.
            metric: Its name.
            unique_id: What tells it from others of that name.
        """
        events = self._profiles[number].events
        key = (metric, unique_id)
        is_new = key not in events
        events.add(key)
        return is_new

    def _next(self) -> int:
        self._count += 1
        return self._count
