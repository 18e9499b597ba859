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
from .._core.verdict import Ended
from .._errors import AuthenticationError, ConnectionLostError, MidaError
from .._transport.base import Transport
from ..destinations.base import Destination, destination_of
from .log import say
from .rota import Rota

if TYPE_CHECKING:
    from .._core.entry import Entry
    from .._core.scheduler import Attempt, Scheduler
    from .._core.verdict import Verdict
    from ..destinations.base import Judgement
    from .ledger import Ledger
    from .reporter import Reporter
    from .spooling import Spooling

# After an error in the engine itself. Without a pause, one that recurs would take all of the loop's time.
_PAUSE_AFTER_ERROR: Final = 0.1

# Between two questions whether a refused API key is good by now, where a spool keeps what waits for that.
_PAUSE_FOR_A_KEY: Final = 15.0

# How long cancelled senders may take to let go of their connections.
_PATIENCE: Final = 0.2

# After senders were cancelled by somebody else. At once would be wrong: a loop that is about to be closed cancels all
# tasks, and those that were started then would be destroyed while they wait.
_PAUSE_BEFORE_REPLACING: Final = 1.0


@attrs.frozen(kw_only=True)
class Route:
    """
    Where records go.

    Attributes:
        destination: Makes the requests and judges the responses of records that name no other.
        transport: Sends them.
        total: The seconds that one attempt may take.
        concurrency: How many may be under way at once.
        others: What records may go to that name it.
        wall_clock: Seconds since the epoch; only used to read dates in headers.
    """

    destination: Destination[...]
    transport: Transport
    total: float
    concurrency: int
    wall_clock: Callable[[], float]
    others: tuple[Destination[...], ...] = ()


class Dispatcher:
    """
    Sends what the scheduler says, when it says.

    Args:
        loop: The loop to run on.
        scheduler: Decides.
        ledger: Takes the ends.
        reporter: Is told what happens.
        route: Where records go.
        make_room: Called when a record that was in flight waits again.
        spooling: Writes down what becomes of records, where there is a spool.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        scheduler: Scheduler,
        ledger: Ledger,
        reporter: Reporter,
        route: Route,
        make_room: Callable[[], None],
        spooling: Spooling | None = None,
    ) -> None:
        self._loop = loop
        self._spooling = spooling
        self._make_room = make_room
        self._scheduler = scheduler
        self._ledger = ledger
        self._reporter = reporter
        self._route = route
        self._concurrency = route.concurrency
        # Timers and callbacks run in it: what they hold lives longer than the request of whoever happened to set them.
        self._context = contextvars.Context()
        self._rota = Rota(loop, self._on_time, self._context)
        self._senders: set[asyncio.Task[None]] = set()
        self._stopped = False

    def start(self) -> None:
        """Start the senders that there are too few of: all at first, later those that somebody else has cancelled."""
        if self._stopped:
            return
        for _ in range(self._concurrency - len(self._senders)):
            # An empty context: a sender must not keep the request alive, or carry the trace, of whoever recorded first.
            sender = self._loop.create_task(self._run(), context=contextvars.Context(), name="mida_async sender")
            sender.add_done_callback(self._sender_ended, context=self._context)
            self._senders.add(sender)

    def _sender_ended(self, sender: asyncio.Task[None]) -> None:
        self._senders.discard(sender)
        if not self._stopped:
            self._loop.call_later(_PAUSE_BEFORE_REPLACING, self.start, context=self._context)
        if not sender.cancelled() and (error := sender.exception()) is not None:
            say(logging.ERROR, "a sender of the delivery engine ended; another one takes its place", error=error)

    def arrived(self) -> None:
        """Say that there is one record more."""
        if len(self._senders) < self._concurrency:
            self.start()
        self.ring()

    def ring(self) -> None:
        """Say that something has changed which may let a record go."""
        if self._rota.waiting:
            self._rota.wake()
        else:
            self._watch_age()

    async def stop(self) -> None:
        """Cancel the senders; what they have in flight stays in the lanes."""
        self._stopped = True
        self._rota.stop()
        senders = list(self._senders)
        for sender in senders:
            sender.cancel()
        if senders:
            await asyncio.wait(senders, timeout=_PATIENCE)

    async def _run(self) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        try:
            while not task.cancelling():
                try:
                    attempt = self._claim()
                    if attempt is None:
                        await self._rota.wait()
                    else:
                        await self._deliver(attempt)
                except Exception as error:  # noqa: BLE001 - R1: whatever it is, the engine goes on
                    say(logging.ERROR, "an error in the delivery engine; it goes on", error=error)
                    await asyncio.sleep(_PAUSE_AFTER_ERROR)
        finally:
            self._senders.discard(task)  # at once: whoever looks before its callbacks have run must not count on it

    def _claim(self) -> Attempt | None:
        """Take the record that goes now; whatever is left to do is somebody else's, or has its time set."""
        now = self._loop.time()
        if now >= self._scheduler.expires_at():
            self._expire(now)
        attempt = self._scheduler.claim(now)
        if attempt is None or self._rota.waiting:
            self._look_ahead(now)
        else:
            self._watch_age()
        return attempt

    def _on_time(self) -> None:
        self._expire(self._loop.time())
        if not self._rota.waiting:
            self._watch_age()

    def _watch_age(self) -> None:
        """Let records grow too old on time even while every sender is held up. Whatever time is set leads back here."""
        if self._rota.timer is None:
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
        try:
            if self._spooling is not None:
                await self._spooling.mark(attempt)
            if self._reporter.heard:
                for entry in attempt.entries:
                    self._reporter.sending(entry)
            outcome, judgement = await self._send(attempt)
            self._take_in(attempt, outcome, judgement)
        except asyncio.CancelledError:
            raise  # by stop() alone
        except BaseException as error:
            self._fail_held(attempt, error)
            raise

    def _take_in(self, attempt: Attempt, outcome: Outcome, judgement: Judgement | None) -> None:
        """Bring an answer to scheduler, ledger and reporter."""
        entry = attempt.entry
        if entry.state is EntryState.ENDED:
            return  # the buffer was closed in the moment in which the answer came
        now = self._loop.time()
        if attempt.others:
            ended = [
                self._settled(each, verdict, outcome.status, judgement, now)
                for each, verdict in self._scheduler.conclude_all(attempt, outcome, now)
            ]
            again = not all(ended)
        else:
            verdict = self._scheduler.conclude(attempt, outcome, now)
            again = not self._settled(entry, verdict, outcome.status, judgement, now)
        if again:
            self._make_room()
        self._aftermath(outcome, now)

    def _settled(self, entry: Entry, verdict: Verdict, status: int, judgement: Judgement | None, now: float) -> bool:
        """Bring a record to its end, or tell that it goes again; return whether it is the end."""
        if isinstance(verdict, Ended):
            self._ledger.end(entry, verdict, now, status=status, judgement=judgement)
            return True
        self._reporter.postponed(entry, verdict.due - now, cast("Exception", entry.last_error))
        if self._spooling is not None:
            self._spooling.postponed(entry)
        return False

    async def _send(self, attempt: Attempt) -> tuple[Outcome, Judgement | None]:
        """Send one request; whatever goes wrong is in the outcome."""
        route = self._route
        destination = destination_of(attempt.entry, route.destination)
        repeatable, batch = destination.repeatable, destination.batch
        total = min(route.total, PROBE_TIMEOUT) if attempt.probe else route.total
        try:
            if batch is None:
                response = await route.transport.send(destination.request(attempt.entry.body), total=total)
                wall_now = route.wall_clock()
                judgement = destination.judge(response, wall_now)
            else:
                bodies = [entry.body for entry in attempt.entries]
                response = await route.transport.send(batch.request(bodies), total=total)
                wall_now = route.wall_clock()
                judgement = batch.judge(response, bodies, wall_now)
        except MidaError as error:
            return Outcome(error=error, repeatable=repeatable), None
        except Exception as error:  # noqa: BLE001 - R1: whatever it is, it ends this record and no other
            say(logging.ERROR, "record %d failed in an unforeseen way", attempt.entry.id, error=error)
            return Outcome(error=error, repeatable=repeatable), None
        except BaseException as error:
            # Somebody cancels all tasks there are, or a future that was awaited: the record is not to blame for that.
            if isinstance(error, asyncio.CancelledError) and not self._stopped:
                lost = ConnectionLostError("the request was broken off by something else")
                return Outcome(error=lost, repeatable=repeatable), None
            self._scheduler.interrupted(self._loop.time(), probe=attempt.probe)
            raise
        headers, blame = response.headers, judgement.blame
        return Outcome(judgement.error, response.status, headers, wall_now, repeatable, blame), judgement

    def _aftermath(self, outcome: Outcome, now: float) -> None:
        """Deal with what one answer means for all other records."""
        error = outcome.error
        self._reporter.look_at(self._scheduler, error)
        if isinstance(error, AuthenticationError) and self._scheduler.breaker.hopeless:
            if self._spooling is not None:
                self._scheduler.pacer.close_gate(now + _PAUSE_FOR_A_KEY)
                return
            for entry, ended in self._scheduler.reject_waiting(error):
                self._ledger.end(entry, ended, now)

    def _fail_held(self, attempt: Attempt, error: BaseException) -> None:
        now = self._loop.time()
        self._scheduler.breaker.inconclusive(now, probe=attempt.probe)
        if attempt.entry.state is EntryState.IN_FLIGHT:
            self._scheduler.forget(attempt)
        if not isinstance(error, Exception):
            if self._spooling is not None:
                self._put_back(attempt, now)  # Ctrl-C, say: whoever opens the spool next goes on with it
                return
            # It ends the sender, but would end whoever awaits the Delivery, too.
            cause, error = error, RuntimeError(f"{error!r} was raised where records are delivered")
            error.__cause__ = cause
        for entry in attempt.entries:
            if entry.state is EntryState.IN_FLIGHT:
                self._scheduler.lanes.settle(entry)
            if entry.state is EntryState.ENDED and entry.deliveries is not None:
                self._ledger.end(entry, Ended(end=End.REJECTED, error=error), now)

    def _put_back(self, attempt: Attempt, now: float) -> None:
        for entry in attempt.entries:
            if entry.state is EntryState.IN_FLIGHT:
                entry.ambiguous = True
                self._scheduler.lanes.defer(entry, now)
