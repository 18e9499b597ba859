"""
A rate of our own, below the limits, after refusals.

A refusal shuts the throttle. One request at a time then asks whether the server admits again, after growing pauses, or
when the server said. The first that is admitted opens it. How much was admitted from one opening to the next tells what
the server can take in the long run, which the rate at the moment of the refusal does not: a server that admits 1000 a
minute admits 58 a second for 17 seconds, and then none.

From there the rate is found as TCP CUBIC finds its window: cut to 70 %, quickly back to a little less than what is
known to be possible, slowly past it, and the faster the longer nothing is refused. So it stays close below the limit
most of the time, and comes back from next to nothing within three minutes.
"""

from __future__ import annotations

import math
from typing import Final

import attrs

_CUT: Final = 0.7

# One request in ten seconds, and one in five to ask: a longer pause would miss the beginning of the next window.
_SLOWEST: Final = 0.1
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 5.0
_MOST_DEBT: Final = 10.0

# From this share of silence on the average is believed rather than the rate at the refusal, which is right where the
# server refuses for a moment only.
_TELLING: Final = 0.1

# Growth, as shares of a rate in a second. Back to the safe share of what is known; beyond it at the creep, and more
# with the square of the time: 5 % in 20 seconds, twice as much in 70 (the usual longest window is 60), and all the
# way from the slowest to 60 a second in two and a half minutes.
_RETURN: Final = 0.04
_SAFE: Final = 0.95
_CREEP: Final = 0.002
_ACCELERATION: Final = 5e-6

# What was admitted more than a minute before says little about now, and a longer silence of the server is an outage
# rather than the rest of a window.
_MEMORY: Final = 60.0


@attrs.define(eq=False)
class Meter:
    """Requests a second, over the last one to two seconds."""

    _second: int = 0
    _count: int = 0
    _before: int = 0

    def tick(self, now: float) -> None:
        """Count a request."""
        self._roll(now)
        self._count += 1

    def rate(self, now: float) -> float:
        """Return the requests a second."""
        self._roll(now)
        return self._count + self._before * (1.0 - now % 1.0)

    def _roll(self, now: float) -> None:
        second = int(now)
        if second != self._second:
            self._before = self._count if second == self._second + 1 else 0
            self._second, self._count = second, 0


@attrs.define(eq=False)
class Throttle:
    """
    Finds a rate that is not refused.

    Attributes:
        ceiling: The rate above which there is nothing to do.
        rate: Requests a second; infinity while nothing is known that forbids them.
        shut: Whether one request at a time asks whether the server admits again.
        opened_at: When it last did.
    """

    ceiling: float
    rate: float = math.inf
    shut: bool = False
    opened_at: float = -math.inf
    _shut_at: float = 0.0
    _probe_at: float = 0.0
    _pause: float = _FIRST_PAUSE
    _blamed: bool = False  # whether the rate was cut when it was shut
    _peak: float = math.inf  # the highest rate that is known to be possible
    _arrival: float = 0.0
    _admitted: float = 0.0
    _active: float = 0.0  # seconds since the opening in which requests were admitted
    _calm: float = 0.0  # seconds of growth past the safe share
    _seen_at: float = -math.inf

    def close(self, now: float, until: float, measured: float, *, cut: bool) -> None:
        """
        Note that a request was refused.

        Args:
            now: The time.
            until: When the server wants to be asked again, if it said.
            measured: The requests a second at which it happened.
            cut: Whether the rate is to blame.
        """
        self.shut, self._shut_at, self._blamed = True, now, cut
        self._pause = _FIRST_PAUSE
        self._probe_at = until if until > now else now + self._pause
        if cut:
            self._peak = max(min(self.rate, self.ceiling, measured), _SLOWEST)
            self.rate = max(_CUT * self._peak, _SLOWEST)

    def open(self, now: float) -> None:
        """Note that a request was admitted which was sent after the refusal."""
        if self._blamed and self._admitted:
            self._peak = self._sustained(now)
            self.rate = max(_CUT * self._peak, _SLOWEST)
        self.shut, self.opened_at, self._seen_at = False, now, now
        self._admitted = self._active = self._calm = 0.0
        self._arrival = now + 1.0 / self.rate

    def admitted(self, now: float, meter: Meter) -> None:
        """
        Note that a request was not refused.

        Args:
            now: The time.
            meter: Knows the requests a second that are sent.
        """
        passed = min(max(now - self._seen_at, 0.0), max(1.0, 2.0 / self.rate))
        self._seen_at = max(self._seen_at, now)
        self._admitted += 1.0
        self._active += passed
        if self._active > _MEMORY:
            self._admitted *= _MEMORY / self._active
            self._active = _MEMORY
        # A rate that is not used proves nothing.
        if self.rate != math.inf and not self.shut and self.rate <= 2.0 * meter.rate(now) + 2.0:
            self._grow(passed)

    def next_at(self) -> float:
        """Say when the next request may go."""
        if self.shut:
            return self._probe_at
        return self._arrival if self.rate != math.inf else -math.inf

    def spend(self, now: float) -> None:
        """Pay for a request that goes out at *now*."""
        if self.shut and now >= self._probe_at:
            self._pause = min(2.0 * self._pause, _LONGEST_PAUSE)
            self._probe_at = now + self._pause
        if self.rate != math.inf:
            # One request may be caught up with; more would be the burst that was refused.
            # Direct calls do not wait for their turn; without an end to it their debt would silence the deliveries.
            self._arrival = min(max(self._arrival + 1.0 / self.rate, now), now + _MOST_DEBT)

    def _grow(self, seconds: float) -> None:
        safe = _SAFE * self._peak
        if self.rate < safe:
            self.rate = min(self.rate + _RETURN * self._peak * seconds, safe)
        else:
            self._calm += seconds
            self.rate *= 1.0 + (_CREEP + _ACCELERATION * self._calm**2) * seconds
        if self.rate >= self.ceiling:
            self.rate = math.inf

    def _sustained(self, now: float) -> float:
        """Return the requests a second that the server takes in the long run, between two openings."""
        # It began to admit again at some time between the last two probes.
        silence = min(max(now - self._shut_at - self._pause / 4, 0.0), _MEMORY)
        whole = max(self._active + silence, 0.001)
        average = min(self._admitted / whole, self._peak)
        weight = min(silence / whole / _TELLING, 1.0)
        return max(self._peak + weight * (average - self._peak), _SLOWEST)
