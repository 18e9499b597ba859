"""The buffer that callers see."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
import warnings
from typing import TYPE_CHECKING, Final, Generic, ParamSpec, cast

import attrs

from .._core.entry import End, EntryState
from .._core.folding import Duplicates
from .._core.scheduler import Scheduler
from .._core.verdict import Ended
from .._errors import BufferClosedError, SettingsError
from .admission import Admission
from .dispatcher import Dispatcher, Route
from .intake import Intake, snapshot
from .ledger import Ledger, records_of
from .reporter import Reporter
from .reports import BufferStatistics, CloseReport, FlushReport, abandoned

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import Callable, Iterable

    from .._core.entry import Draft, Entry, Receipt
    from .._settings import BufferSettings, RetryPolicy
    from .._transport.base import Transport
    from ..destinations.base import Destination
    from ..instrumentation.details import Hook
    from .ledger import Delivery, Watch

P = ParamSpec("P")

# Seconds. With 100,000 records left it takes half a second to tell all of them: a part of what aclose() was given.
_TIME_TO_END_ONE: Final = 5e-6


@attrs.frozen(kw_only=True)
class _Works:
    """All that belongs to the loop on which the buffer is used."""

    loop: asyncio.AbstractEventLoop
    admission: Admission
    ledger: Ledger
    intake: Intake
    dispatcher: Dispatcher


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
        wall_clock: Seconds since the epoch; only used to read dates in headers.
    """

    def __init__(
        self,
        destination: Destination[P],
        transport: Transport,
        *,
        settings: BufferSettings,
        retry: RetryPolicy,
        total: float,
        hooks: Iterable[Hook] = (),
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._works: _Works | None = None
        self._settings = settings
        self._destination = destination
        self._route = Route(
            destination=destination,
            transport=transport,
            total=total,
            concurrency=settings.concurrency,
            wall_clock=wall_clock,
        )
        self._reporter = Reporter(hooks)
        self.scheduler = Scheduler(settings, retry)
        self._closing: asyncio.Task[CloseReport] | None = None
        self._closed = False

    def __repr__(self) -> str:
        now = self.statistics()
        state = "closed" if self._closed else "open"
        return f"<EventBuffer {state}: {now.pending} pending, {now.delivered} of {now.accepted} delivered>"

    def __del__(self) -> None:
        works = self._works
        if works is not None and not self._closed and works.ledger.pending:
            counts = self.scheduler.lanes.statistics()
            warnings.warn(
                f"a buffer was thrown away with {counts.waiting} records waiting and {counts.in_flight} in flight; "
                "use 'async with', or await aclose()",
                ResourceWarning,
                source=self,
                stacklevel=1,
            )

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
        return await self._record(self._draft(*args, **kwargs))

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
        draft = self._draft(*args, **kwargs)
        works = self._open()
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
        draft = self._draft(*args, **kwargs)
        if self._works is None:
            message = "record_threadsafe needs the client's event loop: enter 'async with' on it first"
            raise SettingsError(message)
        if self._works.loop.is_closed():
            raise _closed()
        return asyncio.run_coroutine_threadsafe(self._record_and_wait(draft), self._works.loop)

    async def flush(self, timeout: float | None = None) -> FlushReport:  # noqa: ASYNC109 - the contract's name
        """
        Wait until every record that was accepted before this call has come to its end.

        Args:
            timeout: Seconds to wait at most; None waits as long as it takes.

        Returns:
            What became of them; ``pending`` is not 0 where the time ran out.
        """
        if self._works is None:
            return FlushReport()
        works = self._open(closed_too=True)
        watch = self._watch(works)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await watch.done
        finally:
            works.ledger.unwatch(watch)
        return FlushReport(**watch.words(), pending=self._pending_of(watch))

    async def aclose(self, timeout: float | None = None) -> CloseReport:  # noqa: ASYNC109 - the contract's name
        """
        Stop taking records, deliver what is left until the time is up, and end the rest.

        Whoever waits for room gets :class:`BufferClosedError`, and so does every record that is left at the end.
        Calling it again waits for the first call. Cancelling it ends what is left at once.

        Args:
            timeout: Seconds that this may take; None means ``close_timeout`` of the settings.

        Returns:
            What became of the records that were pending.
        """
        works = self._works
        if works is None:
            self._closed = True
            return CloseReport()
        self._open(closed_too=True)
        self._closed = True
        if self._closing is None:
            seconds = self._settings.close_timeout if timeout is None else timeout
            self._closing = works.loop.create_task(self._close(works, works.loop.time() + seconds))
        try:
            return await asyncio.shield(self._closing)
        except asyncio.CancelledError:
            self._give_up(works)
            raise

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

    def look(self, error: Exception | None) -> None:
        """
        Take note that the scheduler was told of something from outside, such as the answer to a direct call.

        Args:
            error: What was wrong with it, if anything was.
        """
        self._reporter.look_at(self.scheduler, error)
        if self._works is not None:
            self._works.dispatcher.ring()

    def _open(self, *, closed_too: bool = False) -> _Works:
        if self._closed and not closed_too:
            raise _closed()
        loop = _running_loop()
        if self._works is None:
            self._works = self._build(loop)
        elif self._works.loop is not loop:
            message = (
                f"the buffer belongs to {self._works.loop!r}, not to {loop!r}; make one client for each event loop"
            )
            raise SettingsError(message)
        return self._works

    def _build(self, loop: asyncio.AbstractEventLoop) -> _Works:
        settings, scheduler = self._settings, self.scheduler
        duplicates = Duplicates(settings.dedupe_window)
        ledger = Ledger(loop, withdraw=self._withdraw, duplicates=duplicates, reporter=self._reporter)
        dispatcher = Dispatcher(loop, scheduler=scheduler, ledger=ledger, reporter=self._reporter, route=self._route)
        admission = Admission(max_records=settings.max_records, max_bytes=settings.max_bytes)
        intake = Intake(
            settings=settings,
            admission=admission,
            destination=self._destination,
            lanes=scheduler.lanes,
            ledger=ledger,
            duplicates=duplicates,
            clock=loop.time,
            arrived=self._arrived,
        )
        return _Works(loop=loop, admission=admission, ledger=ledger, intake=intake, dispatcher=dispatcher)

    def _draft(self, *args: P.args, **kwargs: P.kwargs) -> Draft:
        """Encode an event, and copy what a fold needs of it before the caller can change it."""
        draft = self._destination.encode(*args, **kwargs)
        if draft.name not in self._settings.folds:
            return draft
        return attrs.evolve(draft, properties=snapshot(draft.properties or {}))

    def _arrived(self, entry: Entry) -> None:
        works = cast("_Works", self._works)
        self._reporter.accepted(entry)
        works.dispatcher.start()
        works.dispatcher.ring()

    async def _record(self, draft: Draft) -> Delivery:
        works = self._open()
        delivery = works.intake.enter(draft)
        if delivery is not None:
            return delivery
        reservation = await works.admission.reserve(len(draft.body))
        if self._closed:
            reservation.release()
            raise _closed()
        return works.intake.admit(draft, reservation)

    async def _record_and_wait(self, draft: Draft) -> Receipt:
        return await (await self._record(draft))

    def _withdraw(self, record_id: int) -> None:
        works = cast("_Works", self._works)
        entry = self.scheduler.lanes.get(record_id)
        if entry is not None and entry.state is EntryState.WAITING:
            self.scheduler.lanes.withdraw(entry)
            works.ledger.end(entry, Ended(end=End.CANCELLED), works.loop.time())
            works.dispatcher.ring()  # it may have been all that kept the next record of its lane

    def _watch(self, works: _Works) -> Watch:
        works.intake.cut_linger()
        works.dispatcher.ring()
        return works.ledger.watch(works.intake.newest, len(self.scheduler.lanes))

    def _pending_of(self, watch: Watch) -> int:
        if not watch.left:
            return 0
        live = self.scheduler.lanes.live()
        return sum(records_of(entry) for entry in live if entry.id <= watch.upto) - watch.later.total()

    async def _close(self, works: _Works, deadline: float) -> CloseReport:
        works.admission.turn_away()
        watch = self._watch(works)
        # Cancelled (as all tasks are when a loop ends), or out of time: either way what is left is ended now. Nothing
        # is awaited before that is done, so that no Delivery can stay pending.
        with contextlib.suppress(TimeoutError, asyncio.CancelledError):
            async with asyncio.timeout_at(deadline - _TIME_TO_END_ONE * len(self.scheduler.lanes)):
                await watch.done
        self._give_up(works)
        works.ledger.unwatch(watch)
        with contextlib.suppress(asyncio.CancelledError):
            await works.dispatcher.stop()
        return CloseReport(**watch.words())

    def _give_up(self, works: _Works) -> None:
        """End what is left. The lanes are emptied before anybody is told: a hook may cancel what is not out yet."""
        self._reporter.hush()
        now = works.loop.time()
        in_flight = {entry.id for entry in self.scheduler.lanes.flying()}
        for entry in self.scheduler.lanes.clear():
            error = abandoned(entry, in_flight=entry.id in in_flight)
            works.ledger.end(entry, Ended(end=End.ABANDONED, error=error), now)
        self._reporter.sum_up()


def _running_loop() -> asyncio.AbstractEventLoop:
    try:  # not contextlib.suppress, which would be a part of what record() costs
        return asyncio.get_running_loop()
    except RuntimeError:
        pass
    message = "there is no running event loop here; use record_threadsafe() to record from another thread"
    raise SettingsError(message)


def _closed() -> BufferClosedError:
    return BufferClosedError("the buffer is closed")
