"""Records, and tables that remember what was read from them, for the tests of the engine's pure core."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from mida_async._core.entry import Draft, Entry

State = TypeVar("State")
Signal = TypeVar("Signal")


def entry(number: int, *identities: str, due: float = 0.0, accepted_at: float = 0.0, name: str = "e") -> Entry:
    """Return an accepted record of the visitor with these identities."""
    return Entry(id=number, name=name, identities=identities, body=b"{}", accepted_at=accepted_at, due=due)


def draft(name: str, *identities: str, unique_id: str | None = None) -> Draft:
    """Return a record that was not accepted yet."""
    return Draft(name=name, identities=identities, body=b"{}", unique_id=unique_id)


class _Row(Mapping[Signal, State], Generic[State, Signal]):
    def __init__(self, state: State, row: Mapping[Signal, State], taken: set[tuple[State, Signal]]) -> None:
        self._state, self._row, self._taken = state, row, taken

    def __getitem__(self, signal: Signal) -> State:
        after = self._row[signal]
        self._taken.add((self._state, signal))
        return after

    def __iter__(self) -> Iterator[Signal]:
        return iter(self._row)

    def __len__(self) -> int:
        return len(self._row)


Table = Mapping[State, Mapping[Signal, State]]


def recorded(table: Table[State, Signal]) -> tuple[Table[State, Signal], set[tuple[State, Signal]]]:
    """Return a copy of *table*, and the set of transitions that have been taken in it so far."""
    taken: set[tuple[State, Signal]] = set()
    return {state: _Row(state, row, taken) for state, row in table.items()}, taken


def transitions(table: Table[State, Signal]) -> set[tuple[State, Signal]]:
    """Return every transition that *table* allows."""
    return {(state, signal) for state, row in table.items() for signal in row}


def reachable(table: Table[State, Signal], start: State) -> set[State]:
    """Return the states that can follow *start*, and itself."""
    found, queue = {start}, [start]
    while queue:
        new = set(table[queue.pop()].values()) - found
        found |= new
        queue += new
    return found
