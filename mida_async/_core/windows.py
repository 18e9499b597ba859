"""
One limit of N requests in W seconds, kept at the *server*.

The server sees requests later than they are sent, and not in the order in which they are sent. Two mechanisms together
make up for that.

The log. A request holds one of N places from the moment it is sent until W seconds after its answer was seen. The
server saw it before it answered, so what takes the place arrives at least W later. No delay on the way can break this.
It is exact for servers with fixed windows (of any phase) and with a sliding log, whatever the bursts.

The spacing. Servers with two weighted counters or a token bucket refuse bursts that the log allows. "Smooth" pacing
adds the generic cell rate algorithm: requests are T apart, and one that is late may be caught up with, by at most B
requests. In any window there are then at most B + W / T of them. The usual T = W / N makes that N + B, too many:
here T = (W + pad) / (N - B). The pad covers what the network delays one request more than the next.

Every number has its cost, B / N + pad / W of the rate. Both are therefore a share of the limit, with a ceiling: 3500 a
minute are used to 99.6 %, 200 in 5 s to 97.5 %.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._settings import RateLimit

# B and pad at most: measured over the Internet with 100 ms plus a heavy tail of delay each way, no refusals (10
# requests at once means B = 9).
_MOST_CATCH_UP: Final = 9.0
_MOST_PAD: Final = 0.1

# As shares of the limit they leave 97.5 % of a small one. Timers of a busy loop are late by tens of milliseconds: 1 %
# is 50 ms of catching up for 200 in 5 s. The pad is what jitter may take, 75 ms there.
_CATCH_UP_SHARE: Final = 0.01
PAD_SHARE: Final = 0.015

# A place becomes free this much after W: a server may count the very edge of its window as inside.
_EDGE: Final = 0.001

# A request without an answer may reach the server after it was given up here; nothing proves how long after.
_LOST_MARGIN: Final = 1.0


@attrs.define(eq=False)
class Window:
    """
    One limit: its log and its spacing.

    Attributes:
        limit: N.
        span: W, in seconds.
        spacing: T, in seconds.
        tolerance: B * T.
        answered: When the latest answers were seen, oldest first.
    """

    limit: int
    span: float
    spacing: float
    tolerance: float
    answered: deque[float]
    _arrival: float = 0.0  # the "theoretical arrival time": when the next request would go if none were ever late

    @classmethod
    def of(cls, rate: RateLimit, keep: int = 0) -> Window:
        """
        Make an empty window.

        Args:
            rate: Its limit.
            keep: The number of answers to remember, if more than the limit: for a limit that may be changed later.
        """
        # The place that becomes free next is the N-th from the end of the log: what is older never matters again.
        window = cls(rate.limit, rate.per, 0.0, 0.0, deque(maxlen=max(rate.limit, keep)))
        window.allow(rate.limit)
        return window

    def allow(self, limit: int) -> None:
        """Change the limit, and keep the books."""
        catch_up = min(_MOST_CATCH_UP, _CATCH_UP_SHARE * limit)
        self.limit = limit
        self.spacing = (self.span + min(_MOST_PAD, PAD_SHARE * self.span)) / (limit - catch_up)
        self.tolerance = self.spacing * catch_up

    def free_at(self, now: float, in_flight: int) -> float:
        """Say when the log has a place; infinity while only an answer can make one."""
        while self.answered and self.answered[0] + self.span + _EDGE <= now:
            self.answered.popleft()
        excess = in_flight + len(self.answered) - self.limit
        if excess < 0:
            return now
        return self.answered[excess] + self.span + _EDGE if excess < len(self.answered) else math.inf

    def smooth_at(self) -> float:
        """Say when the spacing allows the next request."""
        return self._arrival - self.tolerance

    def spend(self, now: float) -> None:
        """Pay for a request that goes out at *now*."""
        # A burst is paid off in one window. Without the ceiling, days of sending by the log alone, which is a little
        # faster, would add up to hours of silence at the turn to smooth pacing.
        ceiling = now + self.limit * self.spacing
        self._arrival = max(self._arrival, min(max(self._arrival, now) + self.spacing, ceiling))

    def hold(self, until: float) -> None:
        """Let nothing go before *until*, and nothing in a burst then."""
        self._arrival = max(self._arrival, until + self.tolerance)

    def note(self, now: float, *, lost: bool) -> None:
        """
        Note that a request is in flight no more.

        Args:
            now: The time.
            lost: Whether no answer came.
        """
        answered = self.answered
        margin = min(_LOST_MARGIN, self.span) if lost else 0.0
        # The log must stay in order; a place that is kept a little too long does no harm.
        answered.append(max(now + margin, answered[-1] if answered else now))

    def inherit(self, others: Iterable[Window], now: float, in_flight: int, recent: int) -> None:
        """
        Take over what is known of the requests before this window was made.

        Args:
            others: Windows that saw them.
            now: The time.
            in_flight: The number of requests without an answer.
            recent: The number of requests that were answered just before; used where no window saw them.
        """
        longest = max(others, key=lambda other: min(other.span, self.span), default=None)
        known = [now] * min(recent, self.limit) if longest is None else list(longest.answered)
        for answered in known:
            if answered + self.span + _EDGE > now:
                self.answered.append(answered)
                self.spend(answered)
        for _ in range(min(in_flight, self.limit)):
            self.spend(now)
