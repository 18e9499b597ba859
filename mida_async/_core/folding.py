"""
Two waiting records that become one, and records that are the same one.

Both are things that a caller asks for, by a rule or by an id. Equal content is never a reason: two purchases of the
same thing are two purchases.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import attrs

from .entry import Entry, Receipt

if TYPE_CHECKING:
    from .entry import Draft

# Bounds the memory of delivered ids, which `max_records` does not.
_MOST_REMEMBERED: Final = 100_000


def may_fold(tail: Entry | None, draft: Draft) -> bool:
    """
    Say whether a new record can be folded into the last one of its lane.

    Args:
        tail: The last record of the lane, where it is waiting and was never attempted. It has properties where it may
            be folded.
        draft: The new record. It must be about the same event, go to the same destination and name the visitor in the
            same way, and neither may have a ``unique_id``, which promises that a record is sent as it is.
    """
    return (
        tail is not None
        and tail.properties is not None
        and tail.name == draft.name
        and tail.destination is draft.destination
        and tail.identities == draft.identities
        and tail.unique_id is None
        and draft.unique_id is None
    )


@attrs.define(eq=False)
class Memory:
    """What is remembered about one unique_id: its record, and its receipt once it was delivered."""

    entry: Entry
    receipt: Receipt | None = None
    until: float = 0.0


@attrs.define(eq=False)
class Duplicates:
    """
    Finds records that were accepted before, by visitor, event name and unique_id.

    Args:
        window: Seconds for which a delivered record is remembered.
    """

    _window: float
    _most: int = _MOST_REMEMBERED
    _by_key: dict[tuple[str, str, str], Memory] = attrs.field(init=False, factory=dict[tuple[str, str, str], Memory])
    _delivered: OrderedDict[int, Memory] = attrs.field(init=False, factory=OrderedDict[int, Memory])

    def find(self, draft: Draft, now: float) -> Memory | None:
        """Return what is remembered of the record that *draft* repeats."""
        self._forget_old(now)
        if draft.unique_id is None:
            return None
        keys = ((identity, draft.name, draft.unique_id) for identity in draft.identities)
        return next((self._by_key[key] for key in keys if key in self._by_key), None)

    def accepted(self, entry: Entry) -> None:
        """Remember a record that was just accepted, and that :meth:`find` did not know."""
        if entry.unique_id is not None:
            memory = Memory(entry)
            self._by_key.update(dict.fromkeys(_keys(entry), memory))

    def ended(self, entry: Entry, receipt: Receipt | None, now: float) -> None:
        """Remember a delivered record for the window, and forget one that came to another end."""
        if entry.unique_id is None:
            self._forget_old(now)
            return
        if receipt is None:
            self._forget(entry)
            return
        memory = self._by_key[_keys(entry)[0]]
        memory.receipt, memory.until = receipt, now + self._window
        # The body was given room until now; what is remembered for an hour has to be small.
        memory.entry = attrs.evolve(entry, body=b"", properties=None, last_error=None, lane=None)
        self._delivered[entry.id] = memory
        self._forget_old(now)

    def _forget_old(self, now: float) -> None:
        while self._delivered:
            number, memory = next(iter(self._delivered.items()))
            if memory.until > now and len(self._delivered) <= self._most:
                return
            del self._delivered[number]
            self._forget(memory.entry)

    def _forget(self, entry: Entry) -> None:
        for key in _keys(entry):
            del self._by_key[key]


def _keys(entry: Entry) -> list[tuple[str, str, str]]:
    # A visitor can be named twice by the same identity, and a key can be deleted only once.
    return [(identity, entry.name, entry.unique_id or "") for identity in dict.fromkeys(entry.identities)]
