"""What the thread of a spool asks of its files, and whom it tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    from pathlib import Path

    from ._batch import Batch
    from ._file import Counts
    from .base import SpooledRecord


class Adoption(Protocol):
    """Records of another file that wait for numbers of their own."""

    @property
    def records(self) -> int:
        """How many live records it has."""
        ...

    @property
    def span(self) -> int:
        """How many numbers it needs."""
        ...


class Store(Protocol):
    """The files of a spool, as the thread sees them."""

    path: Path

    @property
    def counts(self) -> Counts:
        """What is in them."""
        ...

    @property
    def tend_every(self) -> float | None:
        """Seconds between two calls of :meth:`tend`, or None where it needs none."""
        ...

    def open(self, destination: str) -> tuple[str, ...]:
        """Open them; return what somebody should know."""
        ...

    def write(self, batch: Batch) -> None:
        """Write a batch; what is left in it after an error is not written."""
        ...

    def read(self, after: int, *, records: int, size: int) -> list[SpooledRecord]:
        """Return records in the order of their keys; none only if there is none."""
        ...

    def mend(self) -> tuple[str, ...]:
        """Open them again because damage was met; return what somebody should know."""
        ...

    def tend(self) -> list[Adoption]:
        """Look for more; return what was found."""
        ...

    def accept(self, adoption: Adoption, base: int) -> None:
        """Give what was found its numbers, from *base* on."""
        ...

    def close(self) -> None:
        """Close them."""
        ...


@attrs.frozen
class Ears:
    """
    Who is told on the loop.

    Attributes:
        written: Called with the highest durable ticket after each write.
        trouble: Called with an error when writing fails, and with None when it works again.
        found: Called with what was found by tending.
    """

    written: Callable[[int], None]
    trouble: Callable[[Exception | None], None]
    found: Callable[[Adoption], None]
