"""
When the next request may go.

Each limit is a window of its own (see ``windows.py``) and all of them are kept. A refusal although they were kept shows
that the server counts in a way that only smooth pacing pleases, so "auto" turns to it. The spacing has been keeping its
books all the while: after a burst it first waits until the burst is paid off.

Everything else may only hold requests back: Retry-After closes the gate for all; limits that a server tells are kept
where they are tighter; a server that tells what remains is believed where that is less; and refusals that tell nothing,
or go on although what they told was kept, cut the rate (see ``throttle.py``).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import attrs

from .._settings import RateLimit
from .throttle import Meter, Throttle
from .windows import PAD_SHARE, Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .._settings import Pacing
    from .ratelimit_headers import Quota

# A refusal that comes so soon after the time that the server had named does blame the rate. Two of the usual longest
# windows: a rate that is only a little too high fills nearly all of one.
_SOON: Final = 120.0

# Limits that a server tells: how many are kept, the most requests in one, and the longest, in seconds. Those of a day
# show in what remains and in Retry-After; keeping "1 a day" because of a header would stop the client for a day.
_MOST_TOLD: Final = 4
_MOST_REQUESTS: Final = 100_000
_LONGEST_TOLD: Final = 3600.0

# One that no answer speaks of any more, while answers speak of others, is forgotten after its own length and this.
_FORGOTTEN_AFTER: Final = 60.0


@attrs.define(eq=False)
class _Told:
    """A limit that the server told."""

    window: Window
    heard_at: float


def _implies(window: Window, rate: RateLimit) -> bool:
    """Return whether keeping *window* keeps *rate* as well: so many windows cover one of its."""
    return -(-rate.per // window.span) * window.limit <= rate.limit


@attrs.define  # not frozen: that takes twice the time, and one is made for each request
class Slot:
    """
    The place that one request holds. Nobody changes it.

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
        self._configured = tuple(Window.of(limit) for limit in limits)
        self._told: dict[float, _Told] = {}
        self._windows = self._configured
        self._auto = pacing == "auto"
        self._smooth = pacing == "smooth"
        self._adaptive = adaptive
        self._throttle = Throttle(math.inf)
        self._meter = Meter()
        self._taken = 0
        self._in_flight = 0
        self._gate = -math.inf
        self._changed_at = -math.inf
        self._told_number = 0
        self._quota_number = 0
        self._quota_left = 0
        self._quota_until = -math.inf
        self._keep(self._configured)

    @property
    def smooth(self) -> bool:
        """Whether requests are spread out now."""
        return self._smooth

    @property
    def told(self) -> tuple[RateLimit, ...]:
        """The limits that the server told, where they are kept."""
        return tuple(RateLimit(each.window.limit, per=span) for span, each in self._told.items())

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
        self._return(now, lost=False)

    def lost(self, now: float) -> None:
        """Bring a slot back that got no answer: the server may still be about to see the request."""
        self._return(now, lost=True)

    def accepted(self, slot: Slot, now: float) -> None:
        """Note that a request was not refused."""
        if self._throttle.shut and slot.taken_at > self._changed_at:
            self._throttle.open(now)
            self._changed_at = now
        self._throttle.admitted(now, self._meter)

    def close_gate(self, until: float) -> None:
        """Let nothing go before *until*, because the server said so."""
        self._gate = max(self._gate, until)
        for window in self._windows:
            window.hold(until)

    def refused(self, slot: Slot, now: float, wait: float | None) -> None:
        """
        Note a 429.

        Args:
            slot: The slot of the request that was refused.
            now: The time of the answer.
            wait: The seconds that the server asked to wait, or None.
        """
        if wait is not None:
            self.close_gate(now + wait)
        # What was sent before the last change says nothing about how it went afterwards.
        if slot.taken_at <= self._changed_at or self._throttle.shut:
            return
        turns = self._auto and not self._smooth and bool(self._windows)
        if turns:
            self._turn_smooth(now)
        if self._adaptive:
            explained = turns or (wait is not None and now > self._throttle.opened_at + _SOON)
            self._throttle.close(now, self._gate, self._meter.rate(now), cut=not explained)
        self._changed_at = now

    def learn(self, slot: Slot, now: float, told: Iterable[RateLimit]) -> None:
        """
        Keep the limits that an answer tells, where they are tighter than the configured ones.

        Args:
            slot: The slot of the request that was answered. A newer answer may loosen what an older one told.
            now: The time of the answer.
            told: The limits. None at all change nothing: a server need not tell them every time.
        """
        tightest: dict[float, RateLimit] = {}
        for rate in sorted(told, key=lambda rate: rate.limit, reverse=True):
            if rate.limit <= _MOST_REQUESTS and rate.per <= _LONGEST_TOLD:
                tightest[rate.per] = rate
        if not tightest:
            return
        newer = slot.number > self._told_number
        self._told_number = max(self._told_number, slot.number)
        for rate in tightest.values():
            self._believe(rate, now, newer=newer)
        fresh = [each for each in self._told.values() if now < each.heard_at + each.window.span + _FORGOTTEN_AFTER]
        fresh.sort(key=lambda each: each.window.limit / each.window.span)
        self._told = {each.window.span: each for each in fresh[:_MOST_TOLD]}
        self._keep([*self._configured, *(each.window for each in self._told.values())])

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

    def _return(self, now: float, *, lost: bool) -> None:
        self._in_flight -= 1
        for window in self._windows:
            window.note(now, lost=lost)

    def _keep(self, windows: Sequence[Window]) -> None:
        self._windows = tuple(windows)
        self._throttle.ceiling = min((1.0 / window.spacing for window in windows), default=math.inf)

    def _believe(self, rate: RateLimit, now: float, *, newer: bool) -> None:
        known = self._told.get(rate.per)
        if known is not None:
            known.heard_at = now
            if newer or rate.limit < known.window.limit:
                known.window.allow(rate.limit)
        elif not any(_implies(window, rate) for window in self._configured):
            window = Window.of(rate, keep=_MOST_REQUESTS)
            recent = math.ceil(self._meter.rate(now)) - self._in_flight
            window.inherit(self._windows, now, self._in_flight, recent)
            self._told[rate.per] = _Told(window, now)

    def _turn_smooth(self, now: float) -> None:
        self._smooth = True
        # The server is exactly at its limit. A moment without requests makes the room that jitter needs.
        pause = min(1.0, PAD_SHARE * 10 * max(window.span for window in self._windows))
        for window in self._windows:
            window.hold(max(now, self._gate) + pause)
