"""The buffer that callers see."""

from __future__ import annotations

import asyncio
import concurrent.futures
import math
import time
import warnings
import weakref
from typing import TYPE_CHECKING, Generic, ParamSpec

import attrs

from .._core.scheduler import Scheduler
from .._errors import SettingsError
from .._transport.forks import call_in_forked_child
from .dispatcher import Route
from .intake import has_fold, snapshot
from .reporter import Reporter
from .reports import BufferStatistics, CloseReport, FlushReport
from .works import Works, closed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .._core.entry import Draft, Receipt
    from .._settings import BufferSettings, RetryPolicy
    from .._transport.base import Transport
    from ..destinations.base import Destination
    from ..instrumentation.details import Hook
    from ..spools.base import Spool
    from .delivery import Delivery

P = ParamSpec("P")


class EventBuffer(Generic[P]):
    """
    Takes events at memory speed and delivers them in the background.

    Each visitor's records are delivered in the order of their acceptance, at the allowed rate; what fails and is safe
    to repeat is repeated; and what became of each record is told by its :class:`Delivery`.

    ``record()``, ``record_nowait()`` and ``record_threadsafe()`` take the same arguments: those of the service that the
    buffer delivers to. Nothing is started, and no event loop is chosen, before first use.

    Args:
        destination: Encodes events and judges answers.
        transport: Sends requests.
        settings: How the buffer behaves.
        retry: How often and after which pauses a record is sent again.
        total: The seconds that one attempt may take.
        hooks: Called with each detail of what happens.
        spool: Where records are kept until they have come to their end; None for memory alone.
        others: What else records may go to that are given to :meth:`accept`.
        wall_clock: Seconds since the epoch: for dates in headers, and for the age of records in the spool.
    """

    def __init__(  # noqa: PLR0913 - each part by itself, as a client puts them together
        self,
        destination: Destination[P],
        transport: Transport,
        *,
        settings: BufferSettings,
        retry: RetryPolicy,
        total: float,
        hooks: Iterable[Hook] = (),
        spool: Spool | None = None,
        others: tuple[Destination[...], ...] = (),
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._spool = spool
        self._works: Works | None = None
        self._end: weakref.finalize[[], EventBuffer[P]] | None = None
        self._knows_forks = False
        self._settings = settings
        self._retry = retry
        self._hooks = tuple(hooks)
        self._destination = destination
        self._encode = destination.encode
        self._route = Route(
            destination=destination,
            transport=transport,
            total=total,
            concurrency=settings.concurrency,
            wall_clock=wall_clock,
            others=others,
        )
        self._closed = False
        self._begin()

    def _begin(self) -> None:
        self._reporter = Reporter(self._hooks)
        batch = self._destination.batch
        limits = None if batch is None else batch.limits
        self.scheduler = Scheduler(self._settings, self._retry, batch=limits, patient=self._spool is not None)

    def __repr__(self) -> str:
        now = self.statistics()
        state = "closed" if self._closed else "open"
        return f"<EventBuffer {state}: {now.pending} pending, {now.delivered} of {now.accepted} delivered>"

    def __del__(self) -> None:
        works = self._works
        if works is not None and not self._closed and works.ledger.pending:
            counts = self.scheduler.lanes.statistics()
            waiting = works.live - counts.in_flight
            warnings.warn(
                f"a buffer was thrown away with {waiting} records waiting and {counts.in_flight} in flight; "
                "use 'async with', or await aclose()",
                ResourceWarning,
                source=self,
                stacklevel=1,
            )
        if self._end is not None:
            self._end()  # now: whoever collects warnings keeps their source alive

    async def record(self, *args: P.args, **kwargs: P.kwargs) -> Delivery:
        """
        Take one event and return the future of its delivery.

        It waits only while the buffer is full, and does something else then if ``overflow`` says so. Cancelling this
        call leaves nothing behind; cancelling what it returned withdraws a record that is still waiting.

        Args:
            args: The event; see the destination's ``encode``.
            kwargs: The same.

        Returns:
            The record's :class:`Delivery`. Nobody has to await it.

        Raises:
            InvalidEventError: The event cannot be sent; nothing was queued.
            BufferFullError: There is no room and ``overflow`` is ``raise``, or the record can never fit.
            BufferClosedError: The buffer is closed.
        """
        draft = self._copied(self._encode(*args, **kwargs))
        return await self._accept(draft)

    async def accept(self, draft: Draft) -> Delivery:
        """
        Take one record that is encoded already; like :meth:`record`, of which it is the second half.

        It may go to a destination of its own, and have a fold of its own; those of the settings are for records that go
        to the buffer's. Everything else is shared: the lanes of visitors, room, rate, attempts, counts and hooks.

        Args:
            draft: What the destination's ``encode`` returned.

        Returns:
            The record's :class:`Delivery`. Nobody has to await it.

        Raises:
            BufferFullError: There is no room and ``overflow`` is ``raise``, or the record can never fit.
            BufferClosedError: The buffer is closed.
        """
        return await self._accept(self._copied(draft))

    def record_nowait(self, *args: P.args, **kwargs: P.kwargs) -> Delivery:
        """
        Like :meth:`record`, but never wait.

        Args:
            args: The event; see the destination's ``encode``.
            kwargs: The same.

        Returns:
            The record's :class:`Delivery`.

        Raises:
            InvalidEventError: The event cannot be sent; nothing was queued.
            BufferFullError: There is no room, or callers that came first are waiting for it.
            BufferClosedError: The buffer is closed.
        """
        draft = self._copied(self._encode(*args, **kwargs))
        works = self._open()
        if works.spooling is not None and not works.spooling.ready:
            message = "the spool is not open yet: enter 'async with' first, or await record()"
            raise SettingsError(message)
        delivery = works.intake.enter(draft)
        if delivery is None:
            raise works.intake.full()
        return delivery

    def record_threadsafe(self, *args: P.args, **kwargs: P.kwargs) -> concurrent.futures.Future[Receipt]:
        """
        Like :meth:`record`, but from any thread; the buffer must be in use on its loop already.

        Args:
            args: The event; see the destination's ``encode``.
            kwargs: The same.

        Returns:
            A future that resolves with the :class:`Receipt`.

        Raises:
            InvalidEventError: The event cannot be sent; nothing was queued.
            SettingsError: The buffer is not in use on any event loop yet.
            BufferClosedError: Its event loop is closed. A closed buffer says so by the future.
        """
        draft = self._copied(self._encode(*args, **kwargs))
        if self._works is None:
            message = "record_threadsafe needs the client's event loop: enter 'async with' on it first"
            raise SettingsError(message)
        if self._closed:  # not left to the loop, which may be about to end and would never say so
            late: concurrent.futures.Future[Receipt] = concurrent.futures.Future()
            late.set_exception(closed())
            return late
        call = self._record_and_wait(draft)
        try:
            return asyncio.run_coroutine_threadsafe(call, self._works.loop)
        except RuntimeError:  # the loop is closed
            call.close()
            raise closed() from None

    async def flush(self, timeout: float | None = None) -> FlushReport:  # noqa: ASYNC109 - the contract's name
        """
        Wait until every record that was accepted before this call has come to its end.

        Args:
            timeout: Seconds to wait at most; None waits as long as it takes.

        Returns:
            What became of them; ``pending`` is not 0 where the time ran out.
        """
        _check_timeout(timeout)
        if self._works is None:
            return FlushReport()
        return await self._open(closed_too=True).flush(timeout)

    async def aclose(self, timeout: float | None = None) -> CloseReport:  # noqa: ASYNC109 - the contract's name
        """
        Stop taking records, deliver what is left until the time is up, and end the rest.

        Whoever waits for room gets :class:`BufferClosedError`, and so does every record that is left at the end.
        Calling it again waits for the first call, and can only bring its end forward. Cancelling it ends what is left
        at once, and so does calling it when the buffer's event loop is closed already.

        Args:
            timeout: Seconds that this may take; None means ``close_timeout`` of the settings.

        Returns:
            What became of the records that were pending.
        """
        _check_timeout(timeout)
        works = self._works
        if works is not None and not works.loop.is_closed():
            works = self._open(closed_too=True)
            self._closed = True
            return await works.aclose(timeout)
        self._closed = True
        return CloseReport() if works is None else works.close_without_loop()

    def statistics(self) -> BufferStatistics:
        """Return an immutable snapshot of counts, rate and state."""
        scheduler, works = self.scheduler, self._works
        lanes = scheduler.lanes.statistics()
        rate = scheduler.pacer.rate()
        oldest = scheduler.lanes.oldest()
        ends = works.ledger.ends if works else {}
        return BufferStatistics(
            **{end.value: count for end, count in ends.items()},
            accepted=works.ledger.accepted if works else 0,
            pending=works.ledger.pending if works else 0,
            waiting=lanes.waiting,
            in_flight=lanes.in_flight,
            retrying=lanes.retrying,
            lanes=lanes.lanes,
            callers=works.admission.callers if works else 0,
            spilled=works.spooling.backlog.count if works and works.spooling else 0,
            bytes=works.admission.bytes if works else 0,
            oldest_age=works.loop.time() - oldest.accepted_at if works and oldest else 0.0,
            attempts=scheduler.attempts,
            throttled=scheduler.throttled,
            rate=None if rate == math.inf else rate,
            smooth=scheduler.pacer.smooth,
            breaker=scheduler.breaker.state.value,
        )

    def bind(self) -> None:
        """
        Choose the running event loop as the one to work on, if none was chosen yet.

        Raises:
            SettingsError: Another loop was chosen before.
        """
        self._open(closed_too=True)

    async def open(self) -> None:
        """
        Like :meth:`bind`, and open the spool, if there is one that is not open.

        Raises:
            SettingsError: Another loop was chosen before.
            SpoolError: The spool cannot be opened.
        """
        works = self._open(closed_too=True)
        if not self._closed:
            await works.open()

    def look(self, error: Exception | None) -> None:
        """
        Take note that the scheduler was told of something from outside, such as the answer to a direct call.

        Args:
            error: What was wrong with it, if anything was.
        """
        self._reporter.look_at(self.scheduler, error)
        if self._works is not None:
            self._works.dispatcher.ring()

    def _open(self, *, closed_too: bool = False) -> Works:
        if self._closed and not closed_too:
            raise closed()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        works = self._works
        if works is not None and works.loop is loop:
            return works
        return self._bind_to(loop)

    def _bind_to(self, loop: asyncio.AbstractEventLoop | None) -> Works:
        if loop is None:
            message = "there is no running event loop here; use record_threadsafe() to record from another thread"
            raise SettingsError(message)
        if self._works is not None:
            message = (
                f"the buffer belongs to {self._works.loop!r}, not to {loop!r}; make one client for each event loop"
            )
            raise SettingsError(message)
        self._works = works = self._start(loop)
        return works

    def _start(self, loop: asyncio.AbstractEventLoop) -> Works:
        works = Works(
            loop,
            scheduler=self.scheduler,
            reporter=self._reporter,
            settings=self._settings,
            route=self._route,
            spool=self._spool,
        )
        # It also keeps the works reachable as long as the buffer is. Were both garbage at once, their tasks could be
        # finalized first, and each would complain that it was destroyed.
        self._end = weakref.finalize(self, works.left_behind)
        self._end.atexit = False
        if not self._knows_forks:
            self._knows_forks = call_in_forked_child(self._leave_to_parent)
        return works

    def _leave_to_parent(self) -> object:
        """Start anew in a forked process: what was accepted before is the parent's, and so are its tasks."""
        works, end = self._works, self._end
        self._works = self._end = None
        if end is not None:
            end.detach()
        if self._spool is not None:
            self._spool = self._spool.fresh()
        self._begin()
        return works

    def _copied(self, draft: Draft) -> Draft:
        """Copy what a fold needs of a record before the caller can change it."""
        if not has_fold(draft, self._settings.folds):
            return draft
        return attrs.evolve(draft, properties=snapshot(draft.properties or {}))

    async def _accept(self, draft: Draft) -> Delivery:
        works = self._open()
        if works.spooling is None:  # nothing is awaited where there is room: each layer would cost the caller more
            return works.intake.enter(draft) or await works.record_later(draft)
        return await works.record_durably(draft)

    async def _record_and_wait(self, draft: Draft) -> Receipt:
        return await (await self._accept(draft))


def _check_timeout(timeout: float | None) -> None:
    if timeout is not None and math.isnan(timeout):
        message = "timeout is nan, which would never be over; it must be a number of seconds, or None"
        raise SettingsError(message)
