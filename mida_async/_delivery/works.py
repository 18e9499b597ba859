"""All that belongs to the event loop on which a buffer is used."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import math
from typing import TYPE_CHECKING, Final, cast

from .._core.entry import End, EntryState
from .._core.folding import Duplicates
from .._core.verdict import Ended
from .._errors import BufferClosedError
from .admission import Admission
from .dispatcher import Dispatcher
from .intake import Intake
from .ledger import Ledger, records_of
from .reports import CloseReport, FlushReport, abandoned

if TYPE_CHECKING:
    from .._core.entry import Draft, Entry
    from .._core.scheduler import Attempt, Scheduler
    from .._settings import BufferSettings
    from ..spools.base import Spool
    from .delivery import Delivery
    from .dispatcher import Route
    from .ledger import Watch
    from .reporter import Reporter
    from .spooling import Spooling

# Seconds. With 100,000 records left it takes most of a second to tell all of them: a part of what aclose() was given.
_TIME_TO_END_ONE: Final = 8e-6


class Works:
    """
    The running engine: what takes records in, and what sends them.

    It does not know the buffer that callers hold. So a buffer that is thrown away goes at once, and these works, which
    outlive it, can end what it left behind.

    Args:
        loop: The loop to run on.
        scheduler: Decides.
        reporter: Is told what happens.
        settings: How the buffer behaves.
        route: Where records go.
        spool: Where they are kept meanwhile, if anywhere.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        scheduler: Scheduler,
        reporter: Reporter,
        settings: BufferSettings,
        route: Route,
        spool: Spool | None = None,
    ) -> None:
        self.loop = loop
        self.closed = False
        self._scheduler = scheduler
        self._reporter = reporter
        self._close_timeout = settings.close_timeout
        self._closing: asyncio.Task[CloseReport] | None = None
        self._deadline = math.inf
        self._time: asyncio.Timeout | None = None
        duplicates = Duplicates(settings.dedupe_window)
        self.admission = Admission(max_records=settings.max_records, max_bytes=settings.max_bytes)
        self.ledger = Ledger(
            loop, admission=self.admission, withdraw=self._withdraw, duplicates=duplicates, reporter=reporter
        )
        self.intake = Intake(
            settings=settings,
            admission=self.admission,
            destination=route.destination,
            lanes=scheduler.lanes,
            ledger=self.ledger,
            duplicates=duplicates,
            clock=loop.time,
            arrived=self._arrived,
        )
        self.spooling: Spooling | None = None
        if spool is not None:
            self.spooling = self._spooling(spool, settings, route, duplicates)
        self.dispatcher = Dispatcher(
            loop,
            scheduler=scheduler,
            ledger=self.ledger,
            reporter=reporter,
            route=route,
            make_room=self.intake.make_room,
            spooling=self.spooling,
        )

    def _spooling(self, spool: Spool, settings: BufferSettings, route: Route, duplicates: Duplicates) -> Spooling:
        # Loaded here: it is a sixth of what the whole package takes to import, and most buffers have no spool.
        from .backlog import Parts
        from .spooling import Spooling

        spooling = Spooling(
            Parts(
                loop=self.loop,
                spool=spool,
                destination=route.destination,
                others={other.name: other for other in route.others},
                settings=settings,
                ledger=self.ledger,
                admission=self.admission,
                duplicates=duplicates,
                reporter=self._reporter,
                wall_clock=route.wall_clock,
                push=self._push,
                take_back=self._take_back,
            )
        )
        self.intake.spooling, self.intake.plain = spooling, False
        self.ledger.spooled = spooling.ended
        self.admission.elsewhere = spooling.has_room
        return spooling

    async def open(self) -> None:
        """
        Open the spool, if there is one that is not open.

        Raises:
            SpoolError: It cannot be opened.
        """
        if self.spooling is not None:
            await self.spooling.open()

    async def record_durably(self, draft: Draft) -> Delivery:
        """
        Take a record where there is a spool, waiting for room if need be, and for the disk.

        Raises:
            BufferFullError: There is no room and ``overflow`` is ``raise``, or the record can never fit.
            BufferClosedError: The buffer was closed meanwhile.
            SpoolError: The spool cannot be opened.
        """
        spooling = cast("Spooling", self.spooling)
        if not spooling.ready:
            await spooling.open()
            if self.closed:
                raise closed()
        delivery = self.intake.enter(draft, waits=True) or await self.record_later(draft)
        await spooling.durable(delivery)
        return delivery

    async def record_later(self, draft: Draft) -> Delivery:
        """
        Take a record for which there was no room, as soon as there is.

        Raises:
            BufferClosedError: The buffer was closed meanwhile.
        """
        # Whoever waits for room keeps foldable records out, too, so there is nothing left to linger for.
        self._hurry()
        size = len(draft.body)
        await self.admission.reserve(size)
        if self.closed:
            self.admission.give_back(size)
            raise closed()
        delivery = self.intake.admit(draft)
        if self.spooling is not None:
            self.admission.admit()  # there may be room for the next one; the spool knows what this one has taken
        return delivery

    async def flush(self, timeout: float | None) -> FlushReport:  # noqa: ASYNC109 - the contract's name
        """
        Wait until what was accepted before has come to its end.

        Args:
            timeout: Seconds to wait at most; None waits as long as it takes.
        """
        watch = self._watch()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await watch.done
        finally:
            self.ledger.unwatch(watch)
        return FlushReport(**watch.words(), pending=self._pending_of(watch))

    async def aclose(self, timeout: float | None) -> CloseReport:  # noqa: ASYNC109 - the contract's name
        """
        Take no more, deliver what is left until the time is up, and end the rest. Cancelling it ends the rest at once.

        A further call waits for the first, and may bring its end forward, not put it off.

        Args:
            timeout: Seconds; None means what the settings say.
        """
        closing = self._close_within(timeout)
        try:
            return await asyncio.shield(closing)
        except asyncio.CancelledError:
            self._give_up()
            self._close_within(0)
            raise

    def close_without_loop(self) -> CloseReport:
        """End what is left, now that the loop is closed and nothing can be delivered any more."""
        self.closed = True
        watch = self._watch_all()
        self.admission.turn_away()
        self._give_up()
        if self.spooling is not None:
            self.spooling.abandon()
        self.ledger.unwatch(watch)
        return CloseReport(**watch.words())

    def left_behind(self) -> None:
        """
        Deliver what is left, because the buffer was thrown away.

        What was accepted is not lost while the loop runs, and the senders end as they should. May be called from any
        thread: garbage is collected in whatever thread runs.
        """
        if not self.loop.is_closed():
            with contextlib.suppress(RuntimeError):  # closed in this very moment
                self.loop.call_soon_threadsafe(self._close_by_itself)

    def _close_by_itself(self) -> None:
        # The deadline's timer, which the loop holds, keeps this task alive; and it keeps these works.
        self._close_within(None)

    def _close_within(self, timeout: float | None) -> asyncio.Task[CloseReport]:
        self.closed = True
        seconds = self._close_timeout if timeout is None else timeout
        self._deadline = min(self._deadline, self.loop.time() + seconds)
        if self._closing is None:
            self._closing = self.loop.create_task(self._close(), context=contextvars.Context())
        elif self._time is not None:
            with contextlib.suppress(RuntimeError):  # it is up in this very moment
                self._time.reschedule(self._latest_end())
        return self._closing

    def _arrived(self, entry: Entry) -> None:
        if self._reporter.heard:
            self._reporter.accepted(entry)
        self.dispatcher.arrived()

    def _push(self, entry: Entry) -> None:
        self._scheduler.lanes.push(entry)
        self.dispatcher.arrived()

    def _take_back(self, attempt: Attempt) -> None:
        """Put records back that were about to be sent, and were not."""
        scheduler = self._scheduler
        scheduler.attempts -= 1
        scheduler.interrupted(self.loop.time(), probe=attempt.probe)
        if attempt.entry.state is EntryState.IN_FLIGHT:
            scheduler.forget(attempt)
            for entry in attempt.entries:
                entry.attempts -= 1
                scheduler.lanes.defer(entry, 0.0)
            self.dispatcher.ring()

    def _withdraw(self, entry: Entry) -> None:
        if entry.state is not EntryState.WAITING:
            return
        if entry.lane is not None:
            self._scheduler.lanes.withdraw(entry)
        elif self.spooling is None or not self.spooling.withdraw(entry):
            return
        self.ledger.end(entry, Ended(end=End.CANCELLED), self.loop.time())
        self.dispatcher.ring()  # it may have been all that kept the next record of its lane

    @property
    def live(self) -> int:
        """How many records have no end yet, folded ones counted once."""
        spooling = self.spooling
        elsewhere = 0 if spooling is None else len(spooling.writing) + spooling.backlog.count
        return len(self._scheduler.lanes) + elsewhere

    def _hurry(self) -> None:
        """Let nothing wait any longer for others to be folded into it, or to travel with."""
        self.intake.cut_linger()
        self._scheduler.hurry(self._newest)
        self.dispatcher.ring()

    def _watch(self) -> Watch:
        if len(self._scheduler.lanes):
            self.dispatcher.start()
        self._hurry()
        return self._watch_all()

    def _watch_all(self) -> Watch:
        unread = 0 if self.spooling is None else self.spooling.backlog.count
        return self.ledger.watch(self._newest, self.live, unread)

    @property
    def _newest(self) -> int:
        # The records of other processes have numbers that were never the newest here.
        return self.intake.newest if self.spooling is None else max(self.intake.newest, self.spooling.next_key - 1)

    def _pending_of(self, watch: Watch) -> int:
        if not watch.left:
            return 0
        live = self._scheduler.lanes.live() + ([] if self.spooling is None else self.spooling.writing)
        watched = [records_of(entry) for entry in live if entry.id <= watch.upto]
        return sum(watched) - watch.later.total() + watch.left - len(watched)  # the rest is on disk alone

    async def _close(self) -> CloseReport:
        self.admission.turn_away()
        watch = self._watch()
        # Cancelled (as all tasks are when a loop ends), or out of time: either way what is left is ended now. Nothing
        # is awaited before that is done, so that no Delivery can stay pending.
        with contextlib.suppress(TimeoutError, asyncio.CancelledError):
            async with asyncio.timeout_at(self._latest_end()) as self._time:
                await watch.done
        self._time = None
        self._give_up()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(self.dispatcher.stop(), self._close_spool())
        self.ledger.unwatch(watch)
        return CloseReport(**watch.words())

    async def _close_spool(self) -> None:
        if self.spooling is not None:
            await self.spooling.aclose(self._deadline)

    def _latest_end(self) -> float:
        return self._deadline - _TIME_TO_END_ONE * len(self._scheduler.lanes)

    def _give_up(self) -> None:
        """End what is left. The lanes are emptied before anybody is told: a hook may cancel what is not out yet."""
        self._reporter.hush()
        now = self.loop.time()
        in_flight = {entry.id for entry in self._scheduler.lanes.flying()}
        left = self._scheduler.lanes.clear()
        if self.spooling is not None:
            self.spooling.stop()
        for entry in left:
            self.ledger.end(entry, self._left(entry, in_flight=entry.id in in_flight), now)
        self._reporter.sum_up()

    def _left(self, entry: Entry, *, in_flight: bool) -> Ended:
        if self.spooling is not None:
            return self.spooling.leave(entry, in_flight=in_flight)
        error = abandoned(entry, in_flight=in_flight)
        entry.ambiguous |= in_flight
        return Ended(end=End.ABANDONED, error=error)


def closed() -> BufferClosedError:
    """Return the error for whoever comes too late."""
    return BufferClosedError("the buffer is closed")
