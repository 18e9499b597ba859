"""What is counted while events are sent."""

from __future__ import annotations

import math
from collections import Counter, deque
from typing import Final

import attrs

_STEPS_PER_E: Final = 20  # buckets per factor e: a quantile is right within 2.5 %
_RATE_WINDOW: Final = 5.0


class Histogram:
    """Durations in bounded memory: buckets whose width grows with the value."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        """
        Count one duration.

        Args:
            seconds: The duration; what is under a millisecond counts as one.
        """
        self._buckets[round(math.log(max(seconds, 0.001)) * _STEPS_PER_E)] += 1

    def quantile(self, share: float) -> float | None:
        """
        Return the duration that *share* of all do not exceed; None where there are none.

        Args:
            share: From 0 to 1.
        """
        rank, seen = share * self._buckets.total(), 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= rank:
                return math.exp(bucket / _STEPS_PER_E)
        return None


class RateMeter:
    """
    How fast a count grew in the last seconds.

    Args:
        window: How many seconds.
    """

    def __init__(self, window: float = _RATE_WINDOW) -> None:
        self._window = window
        self._seen: deque[tuple[float, int]] = deque()

    def update(self, now: float, count: int) -> float:
        """
        Note the count and return by how much a second it grew.

        Args:
            now: The time in seconds.
            count: The count at that time.
        """
        self._seen.append((now, count))
        while self._seen[0][0] < now - self._window:
            self._seen.popleft()
        then, before = self._seen[0]
        return (count - before) / (now - then) if now > then else 0.0


@attrs.define
class Tally:
    """
    What this run has done so far.

    Attributes:
        lines: Lines that held something and were wanted.
        delivered: Lines that were delivered.
        duplicates: How many of these may have been applied twice.
        retried: How many attempts these took beyond the first ones; a request with many events is one of each of them.
        failed: Lines that failed, by reason.
        left: Lines that were begun and stay open for the next run.
        accepted: Lines that the buffer took.
        kept: Lines that stay in the spool.
        waited: How long delivered ones took from acceptance to the answer.
    """

    lines: int = 0
    delivered: int = 0
    duplicates: int = 0
    retried: int = 0
    failed: Counter[str] = attrs.field(factory=Counter[str])
    left: int = 0
    accepted: int = 0
    kept: int = 0
    waited: Histogram = attrs.field(factory=Histogram)

    @property
    def ended(self) -> int:
        """How many lines came to an end in this run."""
        return self.delivered + self.failed.total()
