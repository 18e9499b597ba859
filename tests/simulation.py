"""A pacer against a server that counts requests in its own way, over a network with delays; no I/O and no real time."""

from __future__ import annotations

import bisect
import heapq
import itertools
import math
import random
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

import attrs

from mida_async import RateLimit
from mida_async._core.pacer import Pacer
from mida_async._core.ratelimit_headers import policies, quota
from mida_async.testing import All, FixedFromFirstHit, FixedWindow, RateModel, SlidingCounter, SlidingLog, TokenBucket

if TYPE_CHECKING:
    from mida_async._core.pacer import Slot

MODELS: Final = ("fixed_window", "fixed_from_first_hit", "sliding_log", "sliding_counter", "token_bucket")


def server(name: str, limits: Iterable[RateLimit], *, phase: float = 0.3) -> RateModel:
    """Return a server that keeps all *limits* in the way that *name* says."""
    match name:
        case "fixed_window":
            return All([FixedWindow(each.limit, each.per, phase=phase) for each in limits])
        case "fixed_from_first_hit":
            return All([FixedFromFirstHit(each.limit, each.per) for each in limits])
        case "sliding_log":
            return All([SlidingLog(each.limit, each.per) for each in limits])
        case "sliding_counter":
            return All([SlidingCounter(each.limit, each.per) for each in limits])
        case _:
            # No more than the smallest limit's burst fits into any of the buckets: the hardest kind.
            most = min(each.limit for each in limits)
            return All([TokenBucket(each.limit, each.per, capacity=min(each.limit, most)) for each in limits])


def steady(rng: random.Random) -> float:
    """Return a delay one way of 20 to 40 ms."""
    return rng.uniform(0.02, 0.04)


def heavy(rng: random.Random) -> float:
    """Return a delay one way with a heavy tail: 100 ms and a log-normal part, 70 ms in the middle and at most 10 s."""
    return 0.1 + min(rng.lognormvariate(math.log(0.07), 1.5), 10.0)


@attrs.define
class Simulation:
    """
    Sends as fast as a pacer allows, for ever more work, and counts what the server admits.

    Attributes:
        pacer: The pacer under test.
        model: How the server counts.
        delay: Draws the delay of one request or one answer.
        concurrency: The number of requests in flight at most.
        seed: Of all random draws.
        retry_after: Whether a refusal says when to come back.
        announced: The limits that the server tells with every answer that is no refusal, in Klaviyo's form.
        phase: Where not None, the server also tells what remains of the longest fixed window of this phase.
        accepted: Requests that the server admitted.
        refused: Requests that it refused.
        arrivals: When it admitted one.
        refusals: When it refused one.
        refused_late: Those of them that were sent after the first refusal was known.
    """

    pacer: Pacer
    model: RateModel
    delay: Callable[[random.Random], float] = steady
    concurrency: int = 32
    seed: int = 0
    retry_after: bool = False
    announced: tuple[RateLimit, ...] = ()
    phase: float | None = None
    accepted: int = 0
    refused: int = 0
    arrivals: list[float] = attrs.field(factory=list[float], repr=False)
    refusals: list[float] = attrs.field(factory=list[float], repr=False)
    refused_late: int = 0
    _rng: random.Random = attrs.field(init=False)
    _events: list[tuple[float, int, Callable[[float], None]]] = attrs.field(init=False, factory=list)
    _tickets: Iterable[int] = attrs.field(init=False, factory=itertools.count)
    _in_flight: int = attrs.field(init=False, default=0)
    _timer: float = attrs.field(init=False, default=math.inf)
    _refusal_known: float = attrs.field(init=False, default=math.inf)

    def run(self, seconds: float) -> Simulation:
        """Run for some seconds of its own clock."""
        self._rng = random.Random(self.seed)  # noqa: S311 - a simulation
        # The clock does not start at 0: no real one does, and windows of a fixed phase would start with it.
        start = self._rng.uniform(1000.0, 1060.0)
        self._at(start, self._send)
        while self._events:
            now, _, act = heapq.heappop(self._events)
            if now > start + seconds:
                break
            act(now)
        return self

    def _at(self, when: float, act: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (when, next(iter(self._tickets)), act))

    def _send(self, now: float) -> None:
        when = self.pacer.next_at(now)
        while self._in_flight < self.concurrency and when <= now:
            slot = self.pacer.take(now)
            self._in_flight += 1
            self._at(now + self.delay(self._rng), lambda at, slot=slot: self._arrive(at, slot))  # type: ignore[misc]
            when = self.pacer.next_at(now)
        if self._in_flight < self.concurrency and when < self._timer:
            self._timer = when + self._rng.uniform(0.0, 0.0015)  # real timers are late
            self._at(self._timer, self._wake)

    def _wake(self, now: float) -> None:
        # One timer counts at a time: each answer would otherwise leave one more behind.
        if now == self._timer:
            self._timer = math.inf
            self._send(now)

    def _arrive(self, now: float, slot: Slot) -> None:
        wait = self.model.admit(now)
        if wait is None:
            self.accepted += 1
            self.arrivals.append(now)
        else:
            self.refused += 1
            self.refusals.append(now)
            self.refused_late += slot.taken_at > self._refusal_known
        headers = self._headers(now) if wait is None else {}
        self._at(now + self.delay(self._rng), lambda at: self._answer(at, slot, wait, headers))

    def _headers(self, now: float) -> dict[str, str]:
        limits = sorted(self.announced, key=lambda each: each.per)
        if not limits:
            return {}
        texts = [f"{each.limit};w={each.per:g}" for each in limits]
        headers = {"ratelimit-limit": ", ".join([str(limits[0].limit), *texts])}
        if self.phase is not None:
            # Of the longest window, as Klaviyo does.
            limit, span = limits[-1].limit, limits[-1].per
            begun = self.phase + math.floor((now - self.phase) / span) * span
            used = len(self.arrivals) - bisect.bisect_left(self.arrivals, begun)
            headers["ratelimit-remaining"] = str(limit - used)
            headers["ratelimit-reset"] = str(math.ceil(begun + span - now))
        return headers

    def _answer(self, now: float, slot: Slot, wait: float | None, headers: dict[str, str]) -> None:
        self._in_flight -= 1
        self.pacer.answered(now)
        self.pacer.learn(slot, now, policies(headers))
        left = quota(headers, 0.0)
        if left is not None:
            self.pacer.heed(slot, now, left)
        if wait is None:
            self.pacer.accepted(slot, now)
        else:
            self._refusal_known = min(self._refusal_known, now)
            self.pacer.refused(slot, now, float(math.ceil(wait)) if self.retry_after else None)
        self._send(now)
