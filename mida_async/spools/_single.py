"""A spool that is one file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._file import Counts, SpoolFile

if TYPE_CHECKING:
    from pathlib import Path

    from ._batch import Batch
    from ._store import Adoption
    from .base import SpooledRecord


class SingleStore:
    """
    One file.

    Args:
        path: The file.
        synchronous: SQLite's setting of this name.
    """

    tend_every: float | None = None

    def __init__(self, path: Path, *, synchronous: str) -> None:
        self.path = path
        self._file = SpoolFile(path, synchronous=synchronous)
        self._destination = ""

    @property
    def counts(self) -> Counts:
        """What is in it."""
        return self._file.counts

    def open(self, destination: str) -> tuple[str, ...]:
        """Open it."""
        self._destination = destination
        return self._file.open(destination)

    def write(self, batch: Batch) -> None:
        """Write all of a batch or nothing."""
        self._file.write(batch)

    def read(self, after: int, *, records: int, size: int) -> list[SpooledRecord]:
        """Return records in the order of their keys."""
        return self._file.read(after, records=records, size=size)

    def mend(self) -> tuple[str, ...]:
        """Open it again because damage was met."""
        return self._file.mend(self._destination)

    def tend(self) -> list[Adoption]:
        """Do nothing: there is nothing to look for."""
        return []

    def accept(self, adoption: Adoption, base: int) -> None:
        """Do nothing: nothing is ever found."""

    def close(self) -> None:
        """Close it."""
        self._file.close()
