"""
Whether it makes sense to send at all.

Failures in a row that say nothing about the record (nothing could be sent, no answer came, the server failed) open the
breaker. While it is open one request at a time asks whether the server is back, with growing pauses; no record pays for
that with its attempts. The first success lets one request go at a time, then two, four, eight, until all may go again:
a server that has just come back is not met by everything at once.

A refused API key is another kind of outage: requests go one at a time, without pauses, and after three refusals in a
row what waits is rejected, because the key will not become right by itself.
"""

from __future__ import annotations

import enum
import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping


class BreakerState(enum.Enum):
    """What the breaker lets through."""

    CLOSED = "closed"
    """Everything."""

    OPEN = "open"
    """Nothing, until the next probe is due."""

    PROBING = "probing"
    """One request is asking whether the server is back; nothing else goes."""

    RECOVERING = "recovering"
    """The server is back; the number of requests in flight doubles step by step."""


# Bound once: every access by the class costs as much as the comparison.
_CLOSED: Final = BreakerState.CLOSED
_OPEN: Final = BreakerState.OPEN
_PROBING: Final = BreakerState.PROBING


class Event(enum.Enum):
    """What the breaker is told."""

    TRIP = "too many failures in a row"
    PROBE = "a request goes out to ask"
    FAIL = "the probe failed"
    HEAL = "a request succeeded"
    FULL = "all may go again"


TRANSITIONS: Final[Mapping[BreakerState, Mapping[Event, BreakerState]]] = MappingProxyType(
    {
        BreakerState.CLOSED: MappingProxyType({Event.TRIP: BreakerState.OPEN}),
        BreakerState.OPEN: MappingProxyType({Event.PROBE: BreakerState.PROBING, Event.HEAL: BreakerState.RECOVERING}),
        BreakerState.PROBING: MappingProxyType({Event.FAIL: BreakerState.OPEN, Event.HEAL: BreakerState.RECOVERING}),
        BreakerState.RECOVERING: MappingProxyType({Event.TRIP: BreakerState.OPEN, Event.FULL: BreakerState.CLOSED}),
    }
)

# Five: a single bad answer or a restart of one of several servers should not stop everything; a dead server should not
# cost each record an attempt.
_FAILURES_TO_OPEN: Final = 5

# Fewer while the server is coming back, so that one that goes down again is left alone soon; but not one: a single
# record that the server always fails at would shut the door again and again, and hold up all others.
_FAILURES_TO_REOPEN: Final = 3

# The pause doubles from 0.5 s to 8 s. With the 10 s that a probe may take, the end of an outage is noticed within 20 s.
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 8.0
PROBE_TIMEOUT: Final = 10.0

_UNAUTHORIZED_TO_REJECT: Final = 3


@attrs.define(eq=False)
class Breaker:
    """
    Counts failures in a row and says how many requests may be in flight.

    Args:
        concurrency: The number of requests in flight when all is well.
    """

    _concurrency: int
    state: BreakerState = attrs.field(init=False, default=BreakerState.CLOSED)
    _failures: int = attrs.field(init=False, default=0)
    _pause: float = attrs.field(init=False, default=_FIRST_PAUSE)
    _probe_at: float = attrs.field(init=False, default=0.0)
    _asking: bool = attrs.field(init=False, default=False)
    _allowed: int = attrs.field(init=False, default=1)
    _successes: int = attrs.field(init=False, default=0)
    _unauthorized: int = attrs.field(init=False, default=0)

    @property
    def open(self) -> bool:
        """Whether the server is thought to be away."""
        return self.state is _OPEN or self.state is _PROBING

    @property
    def hopeless(self) -> bool:
        """Whether the key was refused so often in a row that what waits is to be rejected."""
        return self._unauthorized >= _UNAUTHORIZED_TO_REJECT

    def next_at(self, now: float, in_flight: int) -> float:
        """
        Say when a request may go, as far as the breaker is concerned.

        Returns:
            A time that is not after *now* where one may go now; infinity while only an answer can change that.
        """
        if self._unauthorized and in_flight:
            return math.inf
        state = self.state
        if state is _CLOSED:
            return now
        if state is _OPEN:
            # The last probe can still be out, if other answers healed and tripped the breaker meanwhile.
            return math.inf if self._asking else max(now, self._probe_at)
        recovering = state is not _PROBING
        return now if recovering and in_flight < self._allowed else math.inf

    def sending(self) -> bool:
        """Note that a request goes out; return whether it is the probe."""
        if self.state is not BreakerState.OPEN:
            return False
        self._feed(Event.PROBE)
        self._asking = True
        return True

    def succeeded(self, *, probe: bool = False) -> None:
        """
        Note an answer that shows the server at work; a refusal of the record is one.

        Args:
            probe: Whether the request was the probe.
        """
        self._back(probe)
        self._failures = 0
        self._pause = _FIRST_PAUSE
        if self.state is _CLOSED:
            return
        if self.open:
            self._feed(Event.HEAL)
            self._allowed, self._successes = 1, 0
        else:  # recovering
            self._successes += 1
            if self._successes >= self._allowed:
                self._allowed, self._successes = 2 * self._allowed, 0
            if self._allowed >= self._concurrency:
                self._feed(Event.FULL)

    def failed(self, now: float, *, probe: bool) -> None:
        """
        Note a failure that says nothing about the record.

        Args:
            now: The time.
            probe: Whether the request was the probe. Others that were still under way change nothing while it is open.
        """
        self._back(probe)
        self._failures += 1
        if self.state is BreakerState.PROBING and probe:
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            self._rest(Event.FAIL, now)
        elif not self.open and self._failures >= self._bearable:
            self._rest(Event.TRIP, now)

    def inconclusive(self, now: float, *, probe: bool) -> None:
        """Note the end of a request that says nothing: it was cancelled, or the server asked to come back later."""
        self._back(probe)
        if self.state is BreakerState.PROBING and probe:
            self._rest(Event.FAIL, now)

    def unauthorized(self, *, probe: bool = False) -> None:
        """
        Note that the API key was refused: the server is there, but nothing will be accepted.

        Args:
            probe: Whether the request was the probe.
        """
        refusals = self._unauthorized + 1
        self.succeeded(probe=probe)
        self._unauthorized = refusals

    @property
    def _bearable(self) -> int:
        return _FAILURES_TO_REOPEN if self.state is BreakerState.RECOVERING else _FAILURES_TO_OPEN

    def _back(self, probe: bool) -> None:  # noqa: FBT001 - one meaning only
        self._asking = self._asking and not probe
        self._unauthorized = 0  # whatever else comes back breaks the row

    def _rest(self, event: Event, now: float) -> None:
        self._feed(event)
        self._probe_at = now + self._pause

    def _feed(self, event: Event) -> None:
        self.state = TRANSITIONS[self.state][event]
