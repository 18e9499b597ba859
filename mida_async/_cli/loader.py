"""Sends the events of a source through the buffer, and sees every line to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import attrs

from .._errors import BufferClosedError, InvalidEventError, MidaError
from .dead_letter import DeadLetters
from .errors import HOPELESS, HOPELESS_IN_A_ROW
from .records import BadLine, Event
from .resume import Marks
from .source import BrokenInputError, Source
from .tally import Tally

if TYPE_CHECKING:
    from .._core.entry import Receipt

_REMARKS: Final = 20
_NOT_SENT: Final = "not sent before the run was stopped"

# Between the answer and the callback there is one turn of the loop; this is far more, so that an error cannot hang the
# end.
_LAST_CALLBACKS_SECONDS: Final = 1.0


class Buffer(Protocol):
    """What a load needs of the buffer."""

    async def record(self, *args: Any, **arguments: Any) -> asyncio.Future[Receipt]:
        """Accept one event; waits for room."""
        ...

    async def flush(self, timeout: float | None = None) -> object:  # noqa: ASYNC109  the buffer's
        """Wait until everything ended."""
        ...

    async def aclose(self, timeout: float | None = None) -> object:  # noqa: ASYNC109  the buffer's
        """Drain for a while, then end what is left."""
        ...


@attrs.frozen(kw_only=True)
class Job:
    """
    What to load, and where the results go.

    Attributes:
        source: The events.
        marks: How far earlier runs have come.
        arguments: Returns what ``record()`` takes for an event.
        resumable: Whether the marks are kept, so that what is not sent now stays open for the next run.
        spooled: Whether what is accepted is on disk in a spool, which later runs deliver.
        dead_letters: Where failed lines go.
        remark: Shows a line to the user.
    """

    source: Source
    marks: Marks
    arguments: Callable[[Event], Mapping[str, Any]]
    resumable: bool
    dead_letters: DeadLetters | None
    remark: Callable[[str], None]
    spooled: bool = False


class Loader:
    """
    One run of ``mida load``.

    Args:
        job: What to do.
        buffer: What delivers the events.
        save: Writes the marks down. With a spool this is done whenever it has taken over some lines.
    """

    def __init__(self, job: Job, buffer: Buffer, save: Callable[[], Awaitable[None]] | None = None) -> None:
        self._job = job
        self._save = save
        self._buffer = buffer
        self._stop = asyncio.Event()
        self._idle = asyncio.Event()
        self._hopeless = 0
        self._remarks = 0
        self._hidden = 0
        self._last_detail = ""
        self.on_their_way = 0
        self.last_line = 0
        self.read_all = False
        self.draining = False
        self.problem = ""
        self.tally = Tally()

    def stop(self, problem: str = "") -> None:
        """
        Read no more, give what was accepted the buffer's time to be delivered, then end.

        Args:
            problem: Why, where it is not the user's wish.
        """
        self.problem = self.problem or problem
        self._job.source.stop()
        self._stop.set()

    def give_up(self, error: Exception) -> None:
        """
        End at once, because nothing can be delivered. Without a spool what was accepted still has its chance.

        Args:
            error: Why.
        """
        self._hopeless = max(self._hopeless, HOPELESS_IN_A_ROW)
        self.stop(f"stopped, because no line can be delivered: {error}")

    async def run(self) -> None:
        """
        Load until the source ends or :meth:`stop` is called.

        Every line that was begun then has its end, or is left to the next run.

        Raises:
            InputError: The input as a whole cannot be used.
        """
        work = asyncio.create_task(self._feed_and_flush())
        stopped = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            finished = work.done()
            work.cancel()
            stopped.cancel()
            results = await asyncio.gather(work, stopped, return_exceptions=True)
            self.draining = not finished
            await self._buffer.aclose(0 if self._job.spooled and self._is_hopeless else None)
            await self._last_callbacks()
        if isinstance(results[0], Exception):
            raise results[0]
        if self.read_all:
            self._job.marks.finish()
        self._remark_hidden()

    async def _feed_and_flush(self) -> None:
        batches = self._job.source.batches()
        try:
            while (batch := await asyncio.to_thread(next, batches, None)) is not None:
                await self._offer_all(batch)
            self.read_all = not self._job.source.stopped
        except BrokenInputError as error:
            self.problem = f"the input broke off after line {self.last_line}: {error}"
        await self._buffer.flush()

    async def _offer_all(self, batch: Sequence[Event | BadLine]) -> None:
        if not self._job.spooled:
            for item in batch:
                await self._offer(item)
            return
        # Each waits until it is on disk, and those that wait together share one write. They keep their order: each is
        # in the buffer, or stands in line for its room, before it waits.
        results = await asyncio.gather(*map(self._offer, batch), return_exceptions=True)
        for error in filter(None, results):
            raise error
        if self._save is not None:
            await self._save()

    async def _offer(self, item: Event | BadLine) -> None:
        marks = self._job.marks
        self.last_line = item.number
        if not marks.wants(item.number):
            return
        marks.begin(item.number)
        self.tally.lines += 1
        if isinstance(item, BadLine):
            self._fail(item, item.reason, item.detail)
            return
        try:
            delivery = await self._buffer.record(**self._job.arguments(item))
        except InvalidEventError as error:
            self._fail(item, "invalid event", str(error))
        except asyncio.CancelledError:
            self._leave(item, "not sent", _NOT_SENT)
            raise
        else:
            self.on_their_way += 1
            self.tally.accepted += 1
            if self._job.spooled:
                marks.hand_over(item.number)
            # The event is kept only where it may have to be written down: it is several times as large as its encoding.
            kept = item if self._job.dead_letters else Event(item.number, {})
            delivery.add_done_callback(partial(self._ended, kept))

    def _ended(self, item: Event, delivery: asyncio.Future[Receipt]) -> None:
        self.on_their_way -= 1
        error = None if delivery.cancelled() else delivery.exception()
        if delivery.cancelled() or isinstance(error, BufferClosedError):
            self._stay(item)
        elif error is None:
            self._deliver(item, delivery.result())
        elif isinstance(error, HOPELESS):
            # What a spool has taken over is among its dead letters now, and not left to another run.
            end = self._fail if self._job.spooled else self._leave
            end(item, type(error).__name__, str(error))
            self._count_hopeless(error)
        else:
            self._fail(item, type(error).__name__, str(error))
        if not self.on_their_way:
            self._idle.set()

    def _deliver(self, item: Event, receipt: Receipt) -> None:
        self._hopeless = 0
        self._job.marks.deliver(item.number)
        self.tally.delivered += 1
        self.tally.duplicates += receipt.may_be_duplicate
        self.tally.retried += receipt.attempts - 1
        self.tally.waited.add(receipt.waited)

    def _stay(self, item: Event) -> None:
        """Note that a line was accepted and not sent."""
        if self._job.spooled:
            self.tally.kept += 1
        else:
            self._leave(item, "not sent", _NOT_SENT)

    def _leave(self, item: Event, reason: str, detail: str) -> None:
        """Leave a line to the next run, if there can be one."""
        if self._job.resumable:
            self.tally.left += 1
        else:
            self._fail(item, reason, detail)

    def _fail(self, item: Event | BadLine, reason: str, detail: str) -> None:
        self._job.marks.fail(item.number, reason)
        self.tally.failed[reason] += 1
        if detail != _NOT_SENT:  # who stops a load knows that
            self._remark(item.number, detail)
        if self._job.dead_letters is not None:
            self._write_down(item, detail)

    def _remark(self, number: int, detail: str) -> None:
        # A wrong key fails a thousand lines at a time where they are in one request; it is enough to say so once.
        if self._remarks >= _REMARKS or (self._hopeless and detail == self._last_detail):
            self._hidden += 1
            return
        self._remarks += 1
        self._last_detail = detail
        self._job.remark(f"line {number}: {detail}")

    def _write_down(self, item: Event | BadLine, reason: str) -> None:
        try:
            self._job.dead_letters.write(item, reason)  # type: ignore[union-attr]
        except OSError as error:
            self.stop(f"cannot write the dead-letter file: {error.strerror}")

    @property
    def _is_hopeless(self) -> bool:
        return self._hopeless >= HOPELESS_IN_A_ROW

    def _count_hopeless(self, error: MidaError) -> None:
        self._hopeless += 1
        if self._is_hopeless:
            self.give_up(error)

    def _remark_hidden(self) -> None:
        if self._hidden:
            self._job.remark(f"... and {self._hidden:,} more lines failed; --dead-letter FILE writes them all down")

    async def _last_callbacks(self) -> None:
        if self.on_their_way:
            self._idle.clear()
            try:
                async with asyncio.timeout(_LAST_CALLBACKS_SECONDS):
                    await self._idle.wait()
            except TimeoutError:
                self.problem = self.problem or f"{self.on_their_way} events were never answered for"
