"""
The background half: a fixed set of senders.

A sender that is free asks the scheduler for a record, sends it, brings back what came of it, and asks again. When
there is nothing to send now it joins those who wait, and one timer wakes one of them when there may be. Under full load
nobody waits and nobody is woken: each sender goes from record to record. No record has a task of its own.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

import attrs

from .._core.breaker import PROBE_TIMEOUT
from .._core.entry import End, EntryState
from .._core.scheduler import Outcome
from .._core.verdict import Again, Ended, retry_after_of
from .._errors import AuthenticationError, ConnectionLostError, MidaError, RateLimitError
from .._transport.base import Transport
from ..destinations.base import Destination
from .rota import Rota

if TYPE_CHECKING:
    from .._core.scheduler import Attempt, Scheduler
    from .ledger import Ledger
    from .reporter import Reporter

_log = logging.getLogger("mida_async")

# After an error in the engine itself. Without a pause, one that recurs would take all of the loop's time.
_PAUSE_AFTER_ERROR: Final = 0.1

# How long cancelled senders may take to let go of their connections.
_PATIENCE: Final = 0.2


@attrs.frozen(kw_only=True)
class Route:
    """
    Where records go.

    Attributes:
        destination: Makes the requests and judges the responses.
        transport: Sends them.
        total: The seconds that one attempt may take.
        concurrency: How many may be under way at once.
        wall_clock: Seconds since the epoch; only used to read dates in headers.
    """

    destination: Destination[...]
    transport: Transport
    total: float
    concurrency: int
    wall_clock: Callable[[], float]


class Dispatcher:
    """
    Sends what the scheduler says, when it says.

    Args:
        loop: The loop to run on.
        scheduler: Decides.
        ledger: Takes the ends.
        reporter: Is told what happens.
        route: Where records go.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        scheduler: Scheduler,
        ledger: Ledger,
        reporter: Reporter,
        route: Route,
    ) -> None:
        self._loop = loop
        self._scheduler = scheduler
        self._ledger = ledger
        self._reporter = reporter
        self._route = route
        self._rota = Rota(loop, self._on_time)
        self._senders: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the senders, once."""
        if not self._senders:
            # An empty context: a sender must not keep the request alive, or carry the trace, of whoever recorded first.
            self._senders = [
                self._loop.create_task(self._run(), context=contextvars.Context(), name=f"mida_async sender {number}")
                for number in range(self._route.concurrency)
            ]

    def ring(self) -> None:
        """Say that something has changed which may let a record go."""
        if self._rota.idle:
            self._rota.wake()
        else:
            self._watch_age()

    async def stop(self) -> None:
        """Cancel the senders; what they have in flight stays in the lanes."""
        self._rota.stop()
        for sender in self._senders:
            sender.cancel()
        if self._senders:
            await asyncio.wait(self._senders, timeout=_PATIENCE)

    async def _run(self) -> None:
        while True:
            try:
                await self._deliver(await self._next())
            except Exception:  # noqa: BLE001 - R1: whatever it is, the engine goes on
                _log.exception("an error in the delivery engine; it goes on")
                await asyncio.sleep(_PAUSE_AFTER_ERROR)

    async def _next(self) -> Attempt:
        while True:
            now = self._loop.time()
            self._expire(now)
            attempt = self._scheduler.claim(now)
            if attempt is not None:
                if self._rota.idle:
                    self._look_ahead(now)
                else:
                    self._watch_age()
                return attempt
            self._look_ahead(now)
            await self._rota.wait()

    def _on_time(self) -> None:
        self._expire(self._loop.time())
        if not self._rota.idle:
            self._watch_age()

    def _watch_age(self) -> None:
        """Let records grow too old on time even while every sender is held up. Whatever time is set leads back here."""
        if not self._rota.armed:
            self._rota.wake_at(self._scheduler.expires_at())

    def _expire(self, now: float) -> None:
        for entry, ended in self._scheduler.expire(now):
            self._ledger.end(entry, ended, now)

    def _look_ahead(self, now: float) -> None:
        """See to it that somebody who is free looks again when there is something to do."""
        when = min(self._scheduler.next_at(now), self._scheduler.expires_at())
        if when <= now:
            self._rota.wake()
        else:
            self._rota.wake_at(when)

    async def _deliver(self, attempt: Attempt) -> None:
        entry = attempt.entry
        try:
            self._reporter.sending(entry)
            outcome, body = await self._send(attempt)
            if entry.state is EntryState.ENDED:
                return  # the buffer was closed in the moment in which the answer came
            now = self._loop.time()
            verdict = self._scheduler.conclude(attempt, outcome, now)
            if isinstance(verdict, Again):
                self._reporter.postponed(entry, verdict.due - now, cast("Exception", outcome.error))
            else:
                self._ledger.end(entry, verdict, now, status=outcome.status, body=body)
            self._aftermath(outcome, now)
        except Exception as error:
            self._fail_held(attempt, error)
            raise

    async def _send(self, attempt: Attempt) -> tuple[Outcome, object]:
        """Send one record; whatever goes wrong is in the outcome."""
        route = self._route
        try:
            request = route.destination.request(attempt.entry.body)
            total = min(route.total, PROBE_TIMEOUT) if attempt.probe else route.total
            response = await route.transport.send(request, total=total)
            wall_now = route.wall_clock()
            judgement = route.destination.judge(response, wall_now)
        except MidaError as error:
            return Outcome(error=error), None
        except asyncio.CancelledError:
            if not _is_cancelled():
                return Outcome(error=ConnectionLostError("the request was broken off by something else")), None
            self._scheduler.interrupted(self._loop.time(), probe=attempt.probe)
            raise
        except Exception as error:  # noqa: BLE001 - R1: whatever it is, it ends this record and no other
            _log.exception("record %d failed in an unforeseen way", attempt.entry.id)
            return Outcome(error=error), None
        outcome = Outcome(error=judgement.error, status=response.status, headers=response.headers, wall_now=wall_now)
        return outcome, judgement.body

    def _aftermath(self, outcome: Outcome, now: float) -> None:
        """Deal with what one answer means for all other records."""
        error = outcome.error
        if isinstance(error, RateLimitError):
            self._reporter.throttled(retry_after_of(error))
        self._reporter.look_at(self._scheduler, error)
        if isinstance(error, AuthenticationError) and self._scheduler.breaker.hopeless:
            for entry, ended in self._scheduler.reject_waiting(error):
                self._ledger.end(entry, ended, now)

    def _fail_held(self, attempt: Attempt, error: Exception) -> None:
        entry, now = attempt.entry, self._loop.time()
        self._scheduler.breaker.inconclusive(now, probe=attempt.probe)
        if entry.state is EntryState.IN_FLIGHT:
            self._scheduler.lanes.settle(entry)
        if entry.state is EntryState.ENDED and self._ledger.holds(entry):
            self._ledger.end(entry, Ended(end=End.REJECTED, error=error), now)


def _is_cancelled() -> bool:
    """Say whether a CancelledError means this task; one can also come out of a future that somebody else cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
