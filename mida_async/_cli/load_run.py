"""One run of ``mida load``: the loader, what is shown of it, and the state file."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from .loader import Job, Loader
from .monitor import Monitor
from .progress import Display
from .report import Report
from .resume import StateFile
from .signals import Interrupts
from .spool_counts import Recovered, SpoolRemarks, recovered

if TYPE_CHECKING:
    from .target import Client

_SHOW_SECONDS: Final = 0.125
_SAVE_SECONDS: Final = 1.0


@attrs.frozen(kw_only=True)
class RunSettings:
    """
    What a run needs to know of the options.

    Attributes:
        close_timeout: Seconds that accepted events get after the first Ctrl-C.
        dead_letter: The dead-letter file, for messages.
        state: Where the marks are kept, if they are.
        display: Where progress is shown.
        spool: Where accepted events are kept, if anywhere.
        remarks: The hook of a client that has a spool.
    """

    close_timeout: float
    dead_letter: Path | None
    state: StateFile | None
    display: Display
    spool: str | None = None
    remarks: SpoolRemarks | None = None


class LoadRun:
    """
    One run.

    Args:
        job: What to load.
        settings: How.
    """

    def __init__(self, job: Job, settings: RunSettings) -> None:
        self._job = job
        self._dead_letter = settings.dead_letter
        self._close_timeout = settings.close_timeout
        self._state = settings.state
        self._display = settings.display
        self._spool = settings.spool
        self._remarks = settings.remarks

    @property
    def _resume(self) -> str | None:
        return str(self._state.path) if self._state else None

    async def run(self, client: Client) -> Report:
        """
        Load, and say what came of it.

        Args:
            client: Whose buffer delivers; it is closed at the end.

        Raises:
            InputError: The input as a whole cannot be used.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with client:
            loader = Loader(self._job, client.buffer, lambda: self._save(loader))
            if self._remarks is not None:
                self._remarks.hopeless = loader.give_up
            self._tell_recovered(client.buffer.statistics().accepted)
            interrupts = Interrupts(lambda: self._stopping(loader), self._abandon)
            over = loop.create_future()
            watcher = asyncio.create_task(self._watch(loader, client, over))
            try:
                with interrupts.watched():
                    await loader.run()
            finally:
                over.set_result(None)
                await watcher
                self._display.close()
                self._keep(loader)
            statistics = client.buffer.statistics()
        return Report(
            tally=loader.tally,
            elapsed=loop.time() - started,
            requests=statistics.attempts,
            throttled=statistics.throttled,
            last_line=loader.last_line,
            complete=self._job.marks.complete,
            total_delivered=self._job.marks.delivered,
            total_failed=self._job.marks.failed,
            problem=loader.problem,
            signal_code=interrupts.exit_code,
            resume=self._resume,
            spool=self._spool,
            recovered=self._recovered(loader, client),
            total_spooled=self._job.marks.spooled,
        )

    def _stopping(self, loader: Loader) -> None:
        loader.stop()
        patience = f"up to {self._close_timeout:.0f} s to be delivered"
        self._display.remark(f"stopping: {loader.on_their_way:,} events have {patience}; Ctrl-C again ends at once")

    def _abandon(self) -> None:
        """Leave at once, but remember what was done."""
        self._display.close()
        self._save_now()
        again = f"; --resume {self._resume} goes on" if self._resume else ""
        kept = f"; what was accepted is in the spool {self._spool}" if self._spool else ""
        self._display.remark(f"ended at once{again}{kept}")

    def _tell_recovered(self, records: int) -> None:
        if records:
            self._display.remark(f"the spool holds {records:,} events of earlier runs; they are delivered first")

    def _recovered(self, loader: Loader, client: Client) -> Recovered:
        if self._spool is None:
            return Recovered()
        return recovered(client.buffer.statistics(), loader.tally, loader.on_their_way)

    async def _watch(self, loader: Loader, client: Client, over: asyncio.Future[None]) -> None:
        """Show and save every now and then; ends by itself, because a save that is under way must not be cut off."""
        loop = asyncio.get_running_loop()
        older = partial(self._recovered, loader, client)
        monitor = Monitor(loader, self._job.source, client.buffer.statistics, older)
        due = loop.time() + _SAVE_SECONDS
        while not (await asyncio.wait({over}, timeout=_SHOW_SECONDS))[0]:
            self._display.update(monitor.snapshot(loop.time()))
            if loop.time() >= due:
                due = loop.time() + _SAVE_SECONDS
                await self._save(loader)

    async def _save(self, loader: Loader) -> None:
        try:
            if self._job.dead_letters:
                self._job.dead_letters.flush()
            if self._state:
                await asyncio.to_thread(self._state.write, self._state.render(self._job.marks))
        except OSError as error:
            loader.stop(f"cannot write {error.filename or self._dead_letter}: {error.strerror}")

    def _save_now(self) -> None:
        if self._job.dead_letters:
            self._job.dead_letters.flush()
        if self._state:
            self._state.write(self._state.render(self._job.marks))

    def _keep(self, loader: Loader) -> None:
        try:
            self._save_now()
        except OSError as error:
            loader.problem = loader.problem or f"cannot write {error.filename or self._dead_letter}: {error.strerror}"
