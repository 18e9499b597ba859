"""Turns what a load has done so far into what is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from .progress import Snapshot
from .spool_counts import Recovered
from .tally import RateMeter

if TYPE_CHECKING:
    from collections.abc import Callable

    from .loader import Loader
    from .source import Source

_STALLED_SECONDS: Final = 2.0

# What a minute allows is often used up within seconds, and then nothing goes for a while.
_STEADY_SECONDS: Final = 60.0
_UNREACHABLE: Final = frozenset({"open", "probing"})


class Statistics(Protocol):
    """What is read of the buffer's statistics."""

    @property
    def pending(self) -> int:
        """Records accepted and not ended."""
        ...

    @property
    def in_flight(self) -> int:
        """Records that are being sent."""
        ...

    @property
    def retrying(self) -> int:
        """Records that wait for another attempt."""
        ...

    @property
    def throttled(self) -> int:
        """429 answers."""
        ...

    @property
    def attempts(self) -> int:
        """Requests sent."""
        ...

    @property
    def breaker(self) -> str:
        """``closed``, ``open``, ``probing`` or ``recovering``."""
        ...


class Pulse:
    """Notices when nothing ends any more, and says why as far as that is known."""

    def __init__(self) -> None:
        self._ended = -1
        self._since = 0.0

    def note(self, now: float, ended: int, statistics: Statistics) -> str:
        """
        Return what holds things up, or nothing.

        Args:
            now: The time in seconds.
            ended: How many records have ended.
            statistics: The buffer's.
        """
        if ended != self._ended:
            self._ended, self._since = ended, now
        if statistics.breaker in _UNREACHABLE:
            return "server unreachable, waiting"
        silent = now - self._since
        if not statistics.pending or silent < _STALLED_SECONDS:
            return ""
        if not statistics.in_flight and not statistics.retrying:
            return f"rate limit used up, waiting since {silent:.0f} s"
        return f"nothing delivered for {silent:.0f} s, waiting"


class Monitor:
    """
    Watches a load.

    Args:
        loader: The load.
        source: Its input.
        statistics: Returns the buffer's statistics.
        recovered: Returns what became of what was in the spool before.
    """

    def __init__(
        self,
        loader: Loader,
        source: Source,
        statistics: Callable[[], Statistics],
        recovered: Callable[[], Recovered] = Recovered,
    ) -> None:
        self._loader = loader
        self._source = source
        self._statistics = statistics
        self._recovered = recovered
        self._meter = RateMeter()
        self._steady = RateMeter(_STEADY_SECONDS)
        self._pulse = Pulse()

    def snapshot(self, now: float) -> Snapshot:
        """
        Return the state of affairs.

        Args:
            now: The time in seconds.
        """
        tally, statistics, older = self._loader.tally, self._statistics(), self._recovered()
        ended = tally.ended + older.ended
        rate = self._meter.update(now, ended)
        share = self._share()
        note = "stopping" if self._loader.draining else self._pulse.note(now, ended, statistics)
        return Snapshot(
            delivered=tally.delivered + older.delivered,
            failed=tally.failed.total() + older.failed,
            waiting=self._loader.on_their_way + older.left,
            retried=tally.retried,
            throttled=statistics.throttled,
            rate=rate,
            share=share,
            eta=self._eta(share, self._steady.update(now, ended), older.left),
            note=note,
        )

    def _share(self) -> float | None:
        """Say how much is done: the part of the bytes that was read, times the part of the lines read that ended."""
        last = self._loader.last_line
        if not self._source.size or not last:
            return None
        read = min(self._source.position / self._source.size, 1.0)
        return read * (last - self._loader.on_their_way) / last

    def _eta(self, share: float | None, rate: float, older: int) -> float | None:
        if not share or not rate:
            return None
        done = self._loader.last_line - self._loader.on_their_way
        return (done * (1 - share) / share + older) / rate
