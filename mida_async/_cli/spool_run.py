"""One run of ``mida spool drain``: delivers what a spool holds, and watches."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final

from ..instrumentation import RecordEnded, RetryPlanned
from .monitor import Pulse
from .progress import Display, Snapshot
from .signals import Interrupts
from .spool_counts import SpoolRemarks
from .spool_report import DrainReport
from .tally import RateMeter

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._delivery.reports import BufferStatistics
    from ..instrumentation.details import Detail
    from ..spools.sqlite import SQLiteSpool
    from .target import Client

_SHOW_SECONDS: Final = 0.125
_REMARKS: Final = 20

# What a minute allows is often used up within seconds, and then nothing goes for a while.
_STEADY_SECONDS: Final = 60.0

_NOT_ENDED: Final = frozenset({"kept", "cancelled"})


class DrainTally:
    """
    A hook that counts what becomes of records.

    Args:
        remark: Shows a line.
        hopeless: Called when nothing can be delivered, with the reason.

    Attributes:
        failed: Those that became dead letters, by reason.
        duplicates: Those that may have been applied twice.
        retried: How often one was put off to be sent again.
    """

    def __init__(self, remark: Callable[[str], None], hopeless: Callable[[Exception], None]) -> None:
        self._remark = remark
        self._remarks = SpoolRemarks(remark)
        self._remarks.hopeless = hopeless
        self.failed = Counter[str]()
        self.duplicates = 0
        self.retried = 0

    def __call__(self, detail: Detail) -> None:
        """Count one detail."""
        match detail:
            case RecordEnded(end="delivered"):
                self.duplicates += detail.maybe_applied
            case RecordEnded() if detail.end not in _NOT_ENDED:
                self._fail(detail)
            case RetryPlanned():
                self.retried += 1
            case _:
                pass
        self._remarks(detail)

    def _fail(self, detail: RecordEnded) -> None:
        self.failed[type(detail.error).__name__] += detail.records
        if self.failed.total() <= _REMARKS:
            self._remark(f"record {detail.record_id} ({detail.event_name}): {detail.error}")

    def sum_up(self) -> None:
        """Say how many failures were not shown."""
        if self.failed.total() > _REMARKS:
            self._remark(f"... and {self.failed.total() - _REMARKS:,} more records failed")


class DrainMonitor:
    """
    Turns the statistics of a buffer into what is shown.

    Args:
        tally: What was counted.
    """

    def __init__(self, tally: DrainTally) -> None:
        self._tally = tally
        self._meter = RateMeter()
        self._steady = RateMeter(_STEADY_SECONDS)
        self._pulse = Pulse()

    def snapshot(self, now: float, statistics: BufferStatistics, *, stopping: bool) -> Snapshot:
        """
        Return the state of affairs.

        Args:
            now: The time in seconds.
            statistics: The buffer's.
            stopping: Whether the run is coming to its end.
        """
        ended = statistics.accepted - statistics.pending
        steady = self._steady.update(now, ended)
        return Snapshot(
            delivered=statistics.delivered,
            failed=self._tally.failed.total(),
            waiting=statistics.pending,
            retried=self._tally.retried,
            throttled=statistics.throttled,
            rate=self._meter.update(now, ended),
            share=ended / statistics.accepted if statistics.accepted else None,
            eta=statistics.pending / steady if steady else None,
            note="stopping" if stopping else self._pulse.note(now, ended, statistics),
        )


class DrainRun:
    """
    One run.

    Args:
        path: The spool, for messages.
        spool: The spool.
        close_timeout: Seconds to go on after the first Ctrl-C.
        display: Where progress is shown.

    Attributes:
        tally: The hook that the client must have.
    """

    def __init__(self, path: str, spool: SQLiteSpool, *, close_timeout: float, display: Display) -> None:
        self._path = path
        self._spool = spool
        self._close_timeout = close_timeout
        self._patience: float | None = None
        self._display = display
        self._stop = asyncio.Event()
        self._problem = ""
        self.tally = DrainTally(display.remark, self._give_up)

    async def run(self, client: Client) -> DrainReport:
        """
        Deliver what is there, and say what came of it.

        Args:
            client: Whose buffer delivers; it is closed at the end.

        Raises:
            SpoolError: The spool cannot be opened.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with client:
            interrupts = Interrupts(self._stopping, self._abandon)
            watcher = asyncio.create_task(self._watch(client))
            try:
                with interrupts.watched():
                    await self._deliver(client)
            finally:
                watcher.cancel()
                await asyncio.gather(watcher, return_exceptions=True)
                self.tally.sum_up()
                self._display.close()
            statistics = client.buffer.statistics()
        return self._report(statistics, loop.time() - started, interrupts.exit_code)

    def _report(self, statistics: BufferStatistics, elapsed: float, signal_code: int | None) -> DrainReport:
        return DrainReport(
            spool=self._path,
            records=statistics.accepted,
            delivered=statistics.delivered,
            failed=self.tally.failed,
            left=statistics.kept,
            dead=self._spool.dead,
            duplicates=self.tally.duplicates,
            elapsed=elapsed,
            requests=statistics.attempts,
            retried=self.tally.retried,
            throttled=statistics.throttled,
            problem=self._problem,
            signal_code=signal_code,
        )

    async def _deliver(self, client: Client) -> None:
        """Deliver until nothing is left, or until it is told to stop."""
        work = asyncio.create_task(_flush(client))
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        work.cancel()
        stopped.cancel()
        await asyncio.gather(work, stopped, return_exceptions=True)
        await client.buffer.aclose(self._patience)

    async def _watch(self, client: Client) -> None:
        loop, monitor = asyncio.get_running_loop(), DrainMonitor(self.tally)
        while True:
            statistics = client.buffer.statistics()
            self._display.update(monitor.snapshot(loop.time(), statistics, stopping=self._stop.is_set()))
            await asyncio.sleep(_SHOW_SECONDS)

    def _stopping(self) -> None:
        self._stop.set()
        patience = f"what is being sent has up to {self._close_timeout:.0f} s"
        self._display.remark(f"stopping: {patience}, the rest stays in the spool; Ctrl-C again ends at once")

    def _give_up(self, error: Exception) -> None:
        self._problem = self._problem or f"stopped, because no record can be delivered: {error}"
        self._patience = 0.0
        self._stop.set()

    def _abandon(self) -> None:
        self._display.close()
        self._display.remark("ended at once; what was not delivered is in the spool")


async def _flush(client: Client) -> None:
    """Wait until nothing is pending; what is taken over from another process meanwhile is included."""
    await client.buffer.flush()
    while client.buffer.statistics().pending:
        await client.buffer.flush()
