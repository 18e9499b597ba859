"""All that belongs to the event loop on which a buffer is used."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import math
from typing import TYPE_CHECKING, Final

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
    from .._core.scheduler import Scheduler
    from .._settings import BufferSettings
    from .dispatcher import Route
    from .ledger import Delivery, Watch
    from .reporter import Reporter

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
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        scheduler: Scheduler,
        reporter: Reporter,
        settings: BufferSettings,
        route: Route,
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
        self.ledger = Ledger(loop, withdraw=self._withdraw, duplicates=duplicates, reporter=reporter)
        self.admission = Admission(max_records=settings.max_records, max_bytes=settings.max_bytes)
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
        self.dispatcher = Dispatcher(
            loop,
            scheduler=scheduler,
            ledger=self.ledger,
            reporter=reporter,
            route=route,
            make_room=self.intake.make_room,
        )

    async def record(self, draft: Draft) -> Delivery:
        """
        Take a record, waiting for room if need be.

        Raises:
            BufferFullError: There is no room and ``overflow`` is ``raise``, or the record can never fit.
            BufferClosedError: The buffer was closed meanwhile.
        """
        delivery = self.intake.enter(draft)
        if delivery is not None:
            return delivery
        # Whoever waits for room keeps foldable records out, too, so there is nothing left to linger for.
        self._hurry()
        reservation = await self.admission.reserve(len(draft.body))
        if self.closed:
            reservation.release()
            raise closed()
        return self.intake.admit(draft, reservation)

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
            raise

    def close_without_loop(self) -> CloseReport:
        """End what is left, now that the loop is closed and nothing can be delivered any more."""
        self.closed = True
        watch = self.ledger.watch(self.intake.newest, len(self._scheduler.lanes))
        self.admission.turn_away()
        self._give_up()
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
        self._reporter.accepted(entry)
        self.dispatcher.start()
        self.dispatcher.ring()

    def _withdraw(self, record_id: int) -> None:
        lanes = self._scheduler.lanes
        entry = lanes.get(record_id)
        if entry is not None and entry.state is EntryState.WAITING:
            lanes.withdraw(entry)
            self.ledger.end(entry, Ended(end=End.CANCELLED), self.loop.time())
            self.dispatcher.ring()  # it may have been all that kept the next record of its lane

    def _hurry(self) -> None:
        """Let nothing wait any longer for others to be folded into it, or to travel with."""
        self.intake.cut_linger()
        self._scheduler.hurry(self.intake.newest)
        self.dispatcher.ring()

    def _watch(self) -> Watch:
        if len(self._scheduler.lanes):
            self.dispatcher.start()
        self._hurry()
        return self.ledger.watch(self.intake.newest, len(self._scheduler.lanes))

    def _pending_of(self, watch: Watch) -> int:
        if not watch.left:
            return 0
        live = self._scheduler.lanes.live()
        return sum(records_of(entry) for entry in live if entry.id <= watch.upto) - watch.later.total()

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
        self.ledger.unwatch(watch)
        with contextlib.suppress(asyncio.CancelledError):
            await self.dispatcher.stop()
        return CloseReport(**watch.words())

    def _latest_end(self) -> float:
        return self._deadline - _TIME_TO_END_ONE * len(self._scheduler.lanes)

    def _give_up(self) -> None:
        """End what is left. The lanes are emptied before anybody is told: a hook may cancel what is not out yet."""
        self._reporter.hush()
        now = self.loop.time()
        in_flight = {entry.id for entry in self._scheduler.lanes.flying()}
        for entry in self._scheduler.lanes.clear():
            error = abandoned(entry, in_flight=entry.id in in_flight)
            entry.ambiguous |= entry.id in in_flight
            self.ledger.end(entry, Ended(end=End.ABANDONED, error=error), now)
        self._reporter.sum_up()


def closed() -> BufferClosedError:
    """Return the error for whoever comes too late."""
    return BufferClosedError("the buffer is closed")
