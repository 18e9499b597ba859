"""
When the next request may go.

A limit of N requests in W seconds is kept at the *server*, which sees requests later than they are sent, and not in the
order in which they are sent. Two mechanisms together do that.

The log. A request holds one of N places from the moment it is sent until W seconds after its answer was seen. The
server saw it before it answered, so what takes the place arrives at least W later. No delay on the way can break this.
It is exact for servers with fixed windows (of any phase) and with a sliding log, whatever the bursts.

The spacing. Servers with two weighted counters or a token bucket refuse bursts that the log allows. "Smooth" pacing
adds the generic cell rate algorithm: requests are T apart, and one that is late may be caught up with, by at most B
requests. In any window there are then at most B + W / T of them. The usual T = W / N makes that N + B, too many:
here T = (W + pad) / (N - B). The pad covers what the network delays one request more than the next.

Every number has its cost, B / N + pad / W of the rate. Both are therefore a share of the limit, with a ceiling: 3500 a
minute are used to 99.6 %, 200 in 5 s to 97.5 %.

A refusal although the limits were kept shows that the server counts in a way that only smooth pacing pleases, so "auto"
turns to it. The spacing has been keeping its books all the while: after a burst it first waits until the burst is paid
off.

Everything else may only hold requests back: Retry-After closes the gate for all; a server that tells what remains is
believed where that is less; and a refusal that tells nothing cuts the rate, which then recovers in small steps.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._settings import Pacing, RateLimit
    from .ratelimit_headers import Quota

# B and pad at most: measured over the Internet with 100 ms plus a heavy tail of delay each way, no refusals (10
# requests at once means B = 9).
_MOST_CATCH_UP: Final = 9.0
_MOST_PAD: Final = 0.1

# As shares of the limit they leave 97.5 % of a small one. Timers of a busy loop are late by tens of milliseconds: 1 %
# is 50 ms of catching up for 200 in 5 s. The pad is what jitter may take, 75 ms there.
_CATCH_UP_SHARE: Final = 0.01
_PAD_SHARE: Final = 0.015

# A place becomes free this much after W: a server may count the very edge of its window as inside.
_EDGE: Final = 0.001

# A request without an answer may reach the server after it was given up here; nothing proves how long after.
_LOST_MARGIN: Final = 1.0

_CUT: Final = 0.7
_SLOWEST: Final = 0.1


def _growth(rate: float) -> float:
    """Requests a second by which a cut rate grows each second: half a request, less near zero, 1 % of high rates."""
    return max(0.01 * rate, min(0.5, 0.1 * rate))


@attrs.define(eq=False)
class _Window:
    """One limit: its log and its spacing."""

    limit: int
    span: float
    spacing: float
    tolerance: float
    arrival: float = 0.0  # the "theoretical arrival time": when the next request would go if none were ever late
    answered: deque[float] = attrs.field(factory=deque[float])

    @classmethod
    def of(cls, rate: RateLimit) -> _Window:
        catch_up = min(_MOST_CATCH_UP, _CATCH_UP_SHARE * rate.limit)
        pad = min(_MOST_PAD, _PAD_SHARE * rate.per)
        spacing = (rate.per + pad) / (rate.limit - catch_up)
        return cls(rate.limit, rate.per, spacing, spacing * catch_up)

    def free_at(self, now: float, in_flight: int) -> float:
        """When the log has a place; infinity while only an answer can make one."""
        while self.answered and self.answered[0] + self.span + _EDGE <= now:
            self.answered.popleft()
        excess = in_flight + len(self.answered) - self.limit
        if excess < 0:
            return now
        return self.answered[excess] + self.span + _EDGE if excess < len(self.answered) else math.inf

    def smooth_at(self) -> float:
        """When the spacing allows the next request."""
        return self.arrival - self.tolerance

    def spend(self, now: float) -> None:
        # A burst is paid off in one window. Without the ceiling, days of sending by the log alone, which is a little
        # faster, would add up to hours of silence at the turn to smooth pacing.
        self.arrival = min(max(self.arrival, now), now + self.span) + self.spacing

    def hold(self, until: float) -> None:
        """Let nothing go before *until*, and nothing in a burst then."""
        self.arrival = max(self.arrival, until + self.tolerance)


@attrs.define(eq=False)
class _Meter:
    """Requests a second, over the last one to two seconds."""

    _second: int = 0
    _count: int = 0
    _before: int = 0

    def tick(self, now: float) -> None:
        self._roll(now)
        self._count += 1

    def rate(self, now: float) -> float:
        self._roll(now)
        return self._count + self._before * (1.0 - now % 1.0)

    def _roll(self, now: float) -> None:
        second = int(now)
        if second != self._second:
            self._before = self._count if second == self._second + 1 else 0
            self._second, self._count = second, 0


@attrs.define(eq=False)
class _Throttle:
    """A rate of our own, below the limits, after refusals that told nothing."""

    ceiling: float
    rate: float = math.inf
    arrival: float = 0.0
    changed_at: float = -math.inf

    def cut(self, now: float, measured: float) -> None:
        used = min(self.rate, self.ceiling, max(measured, _SLOWEST))
        self.rate = max(_CUT * used, _SLOWEST)
        self.arrival = max(self.arrival, now + 1.0 / self.rate)
        self.changed_at = now

    def grow(self, now: float) -> None:
        if self.rate == math.inf:
            return
        self.rate += _growth(self.rate) * min(max(now - self.changed_at, 0.0), 1.0)
        self.changed_at = max(self.changed_at, now)
        if self.rate >= self.ceiling:
            self.rate = math.inf

    def next_at(self) -> float:
        return self.arrival if self.rate != math.inf else -math.inf

    def spend(self, now: float) -> None:
        if self.rate != math.inf:
            # One request may be caught up with; more would be the burst that was refused.
            self.arrival = max(self.arrival + 1.0 / self.rate, now)


@attrs.frozen
class Slot:
    """
    The place that one request holds.

    Attributes:
        number: Its number in the order of sending.
        taken_at: When it was sent.
    """

    number: int
    taken_at: float


class Pacer:
    """
    Decides when the next request may go.

    Ask :meth:`next_at`; when its time has come, :meth:`take` a slot and send. Bring every slot back, with
    :meth:`answered` or :meth:`lost`, once; then tell with :meth:`refused` and :meth:`heed` what the answer said about
    rates.

    Args:
        limits: All of them are kept. None at all means that only refusals slow the client down.
        pacing: See :class:`BufferSettings`.
        adaptive: Whether a refusal that tells nothing cuts the rate.
    """

    def __init__(self, limits: Iterable[RateLimit], *, pacing: Pacing, adaptive: bool) -> None:
        self._windows = [_Window.of(limit) for limit in limits]
        self._auto = pacing == "auto"
        self._smooth = pacing == "smooth"
        self._adaptive = adaptive
        self._throttle = _Throttle(min((1.0 / window.spacing for window in self._windows), default=math.inf))
        self._meter = _Meter()
        self._taken = 0
        self._in_flight = 0
        self._gate = -math.inf
        self._changed_at = -math.inf
        self._quota_number = 0
        self._quota_left = 0
        self._quota_until = -math.inf

    @property
    def smooth(self) -> bool:
        """Whether requests are spread out now."""
        return self._smooth

    def rate(self) -> float:
        """Return how many requests a second may go now in the long run; infinity where nothing limits them."""
        return min(self._throttle.rate, self._throttle.ceiling)

    def next_at(self, now: float) -> float:
        """
        Say when the next request may go.

        Returns:
            A time that is not after *now* where one may go now; infinity while only an answer can make room.
        """
        when = max(now, self._gate, self._throttle.next_at())
        if now < self._quota_until and self._quota_left <= 0:
            when = max(when, self._quota_until)
        for window in self._windows:
            when = max(when, window.free_at(now, self._in_flight))
            if self._smooth:
                when = max(when, window.smooth_at())
        return when

    def take(self, now: float) -> Slot:
        """Send one request; whoever does not wait for :meth:`next_at` (a direct call) pays all the same."""
        self._taken += 1
        self._in_flight += 1
        self._quota_left -= 1
        self._meter.tick(now)
        self._throttle.spend(now)
        for window in self._windows:
            window.spend(now)
        return Slot(self._taken, now)

    def answered(self, now: float) -> None:
        """Bring a slot back whose answer was seen, whatever it was."""
        self._return(now)

    def lost(self, now: float) -> None:
        """Bring a slot back that got no answer: the server may still be about to see the request."""
        self._return(now, _LOST_MARGIN)

    def accepted(self, now: float) -> None:
        """Note that a request was not refused."""
        self._throttle.grow(now)

    def close_gate(self, until: float) -> None:
        """Let nothing go before *until*, because the server said so."""
        self._gate = max(self._gate, until)
        for window in self._windows:
            window.hold(until)

    def refused(self, slot: Slot, now: float, retry_after: float | None, *, told: bool = False) -> None:
        """
        Note a 429.

        Args:
            slot: The slot of the request that was refused.
            now: The time of the answer.
            retry_after: The seconds that the server asked to wait, or None.
            told: Whether the answer's other headers said when to come back.
        """
        if retry_after is not None:
            self.close_gate(now + retry_after)
        # What was sent before the last change says nothing about how it went afterwards.
        if slot.taken_at <= self._changed_at:
            return
        if self._auto and not self._smooth and self._windows:
            self._turn_smooth(now)
        elif self._adaptive and retry_after is None and not told:
            self._throttle.cut(now, self._meter.rate(now))
            self._changed_at = now

    def heed(self, slot: Slot, now: float, quota: Quota) -> None:
        """
        Believe what an answer says is left, where that is less than we think.

        Args:
            slot: The slot of the request that was answered. Answers overtake each other: an older one may only tighten.
            now: The time of the answer.
            quota: What it said.
        """
        # Requests that are under way were not counted yet when the server wrote this, or were: the worse is assumed.
        left = quota.remaining - self._in_flight
        until = now + quota.reset
        if slot.number > self._quota_number or now >= self._quota_until:
            self._quota_number, self._quota_left, self._quota_until = slot.number, left, until
        else:
            self._quota_left = min(self._quota_left, left)

    def _return(self, now: float, margin: float = 0.0) -> None:
        self._in_flight -= 1
        for window in self._windows:
            answered = window.answered
            # The log must stay in order; a place that is kept a little too long does no harm.
            answered.append(max(now + min(margin, window.span), answered[-1] if answered else now))

    def _turn_smooth(self, now: float) -> None:
        self._smooth = True
        self._changed_at = now
        # The server is exactly at its limit. A moment without requests makes the room that jitter needs.
        pause = min(1.0, _PAD_SHARE * 10 * max(window.span for window in self._windows))
        for window in self._windows:
            window.hold(max(now, self._gate) + pause)
