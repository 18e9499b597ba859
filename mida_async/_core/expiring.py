"""Answers about visitors that are kept for a while: which still hold, which have to go. It is told the time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import TypeAlias

import attrs

Key: TypeAlias = tuple[str, Hashable]
"""Whom an answer is about, and to which question it is the answer."""


@attrs.frozen
class Kept:
    """
    An answer that is kept.

    Attributes:
        value: The answer.
        until: It holds before this time.
    """

    value: object
    until: float


@attrs.define(eq=False)
class Expiring:
    """
    Keeps answers for equally long, and no more of them than there is room for.

    Where there is no room, what has expired goes first, then what was used least recently. The cost of a call does not
    depend on how many answers there are.

    Args:
        ttl: Seconds for which an answer is kept.
        maxsize: How many answers are kept.
    """

    _ttl: float
    _maxsize: int
    # The least recently used first.
    _kept: OrderedDict[Key, Kept] = attrs.field(init=False, factory=OrderedDict[Key, Kept])
    # The oldest first, which is the order in which they expire.
    _ages: OrderedDict[Key, None] = attrs.field(init=False, factory=OrderedDict[Key, None])
    _by_visitor: dict[str, set[Key]] = attrs.field(init=False, factory=dict[str, set[Key]])

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key, now: float) -> Kept | None:
        """
        Return the answer to a question, if there is one that still holds.

        Args:
            key: Whom it is about, and the question.
            now: The time.
        """
        kept = self._kept.get(key)
        if kept is None:
            return None
        if now >= kept.until:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return kept

    def put(self, key: Key, value: object, now: float) -> None:
        """
        Keep an answer, in the place of an older one.

        Args:
            key: Whom it is about, and the question.
            value: The answer.
            now: The time at which it came; it never goes back.
        """
        if key in self._kept:
            self._drop(key)
        while self._ages and now >= self._kept[oldest := next(iter(self._ages))].until:
            self._drop(oldest)
        if len(self._kept) >= self._maxsize:
            self._drop(next(iter(self._kept)))
        self._kept[key] = Kept(value, now + self._ttl)
        self._ages[key] = None
        self._by_visitor.setdefault(key[0], set()).add(key)

    def forget(self, visitor: str) -> None:
        """
        Drop all that is kept about one visitor.

        Args:
            visitor: The visitor's id.
        """
        for key in list(self._by_visitor.get(visitor, ())):
            self._drop(key)

    def clear(self) -> None:
        """Drop everything."""
        for index in (self._kept, self._ages, self._by_visitor):
            index.clear()

    def _drop(self, key: Key) -> None:
        del self._kept[key], self._ages[key]
        about = self._by_visitor[key[0]]
        about.discard(key)
        if not about:
            del self._by_visitor[key[0]]
