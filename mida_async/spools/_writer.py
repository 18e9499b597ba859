"""The thread that owns a spool's files: it writes what has gathered, and reads in between."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

import attrs

from .._errors import SpoolError
from ._batch import Batch, within
from ._file import Counts, is_damage
from .base import SpooledRecord

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from ._batch import End
    from ._store import Adoption, Ears, Store

LINGER: Final = 0.25
"""Seconds that a note or a settlement waits for company."""

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 5.0
_SECONDS_AT_EXIT: Final = 2.0

_LOG: Final = logging.getLogger("mida_async")


@attrs.frozen
class _Read:
    after: int
    records: int
    size: int
    answer: Future[list[SpooledRecord]]


class Writer:
    """
    Takes all that has gathered and writes it in one transaction, again and again.

    Its public methods are called on the loop and return at once. The database is reached from the thread's own frame
    alone: in a forked process that frame is never left, so that nothing there closes what belongs to the parent.

    Args:
        store: The files.
        ears: Who is told.
        loop: Where.
    """

    def __init__(self, store: Store, ears: Ears, loop: asyncio.AbstractEventLoop) -> None:
        self._store = store
        self._ears = ears
        self._loop = loop
        self._pid = os.getpid()
        self._condition = threading.Condition(threading.Lock())
        # Guarded by the condition's lock:
        self._pending = Batch()
        self._adoptions: list[tuple[Adoption, int]] = []
        self._reads: deque[_Read] = deque()
        self._quiet_since: float | None = None
        self._urgent = False
        self._unwritten = Batch()
        self._counts = Counts()
        self._deadline: float | None = None
        # The thread's own:
        self._durable = 0
        self._retry_at = 0.0
        self._pause = 0.0
        self._tend_at: float | None = None
        self.closed: Future[None] = Future()

    @property
    def counts(self) -> Counts:
        """What the spool holds, that which is not written yet included."""
        with self._condition:
            known, waiting = self._counts, (self._unwritten, self._pending)
            records = sum(batch.records for batch in waiting) + sum(each.records for each, _base in self._adoptions)
            size = sum(batch.size for batch in waiting)
            return Counts(known.records + records, known.size + size, known.dead, known.next_key)

    @property
    def dead(self) -> int:
        """How many dead letters there are, those that are not written yet included."""
        with self._condition:
            return self._counts.dead + self._unwritten.letters + self._pending.letters

    def start(self, destination: str) -> Future[tuple[str, ...]]:
        """Start the thread; the answer is what somebody should know of the opening."""
        opened: Future[tuple[str, ...]] = Future()
        # It must not keep a process alive whose spool was never closed; what it has not written by then, it writes at
        # the exit of the interpreter.
        atexit.register(self._finish)
        threading.Thread(target=self._run, args=(destination, opened), name="mida-spool", daemon=True).start()
        return opened

    # What the loop asks for

    def append(self, record: SpooledRecord, ticket: int) -> None:
        """Add a record."""
        with self._condition:
            self._pending.append(record)
            self._hurry(ticket)

    def replace(self, key: int, body: bytes, ticket: int) -> None:
        """Give a record another body."""
        with self._condition:
            self._pending.replace(key, body)
            self._hurry(ticket)

    def mark(self, keys: list[int], ticket: int) -> None:
        """Mark records."""
        with self._condition:
            self._pending.mark(keys)
            self._hurry(ticket)

    def note(self, key: int, attempts: int, ambiguous: bool) -> None:  # noqa: FBT001  it is what is kept
        """Note what became of an attempt."""
        with self._condition:
            self._pending.note(key, attempts, ambiguous)
            self._linger()

    def settle(self, key: int, end: End) -> None:
        """Bring a record to its end."""
        with self._condition:
            self._pending.settle(key, end)
            self._linger()

    def accept(self, adoption: Adoption, base: int) -> None:
        """Give what was found its numbers."""
        with self._condition:
            self._adoptions.append((adoption, base))
            self._linger()

    def read(self, after: int, records: int, size: int) -> Future[list[SpooledRecord]]:
        """Read what is there after all that was called before."""
        answer: Future[list[SpooledRecord]] = Future()
        with self._condition:
            self._reads.append(_Read(after, records, size, answer))
            self._condition.notify()
        return answer

    def close(self, timeout: float) -> None:
        """Write what is left within the time, close the files, and end."""
        if os.getpid() != self._pid:
            return
        with self._condition:
            if self._deadline is None:
                self._deadline = time.monotonic() + timeout
                self._retry_at = 0.0
                self._condition.notify()

    def _hurry(self, ticket: int) -> None:
        self._pending.ticket = ticket
        if not self._urgent:
            self._urgent = True
            self._condition.notify()

    def _linger(self) -> None:
        if self._quiet_since is None:
            self._quiet_since = time.monotonic()
            if not self._urgent:
                self._condition.notify()

    def _finish(self) -> None:
        """End at the exit of the interpreter, which takes no daemon threads along."""
        if os.getpid() == self._pid:
            self.close(_SECONDS_AT_EXIT)
            with contextlib.suppress(TimeoutError):
                self.closed.result(_SECONDS_AT_EXIT)

    # The thread

    def _run(self, destination: str, opened: Future[tuple[str, ...]]) -> None:
        try:
            remarks = self._store.open(destination)
        except BaseException as error:  # noqa: BLE001  whoever waits is told
            _answer(opened, error)
        else:
            self._counts = self._store.counts
            self._tend_at = self._next_tending()
            _answer(opened, remarks)
            self._serve()
        finally:
            atexit.unregister(self._finish)
            self.closed.set_result(None)

    def _serve(self) -> None:
        try:
            while self._wait():
                reads = self._take()
                self._write()
                self._answer(reads)
                self._tend()
        finally:
            if self._unwritten.anything or self._pending.anything:
                lost = len(self._unwritten.new) + len(self._pending.new)
                _LOG.error("%s was closed before it could be written: %d new records are lost", self._store.path, lost)
            self._store.close()
            for read in self._reads:
                _answer(read.answer, SpoolError(f"the spool {self._store.path} is closed"))

    def _wait(self) -> bool:
        """Wait until there is something to do; return False where nothing is left before the end."""
        with self._condition:
            while True:
                due, now = self._due(), time.monotonic()
                # Giving up takes a failure since the end was asked for: a slow machine is no reason to lose anything.
                if self._deadline is not None and (due is None or (self._retry_at and now >= self._deadline)):
                    return False
                if due is not None and due <= now:
                    return True
                ends = [each for each in (due, self._deadline) if each is not None]
                self._condition.wait(min(ends) - now if ends else None)

    def _due(self) -> float | None:
        """Return when there is something to do; None means that somebody has to ask first."""
        if self._reads:
            return 0.0
        if self._retry_at or self._unwritten.anything:
            return self._retry_at
        if self._urgent or (self._deadline is not None and self._quiet_since is not None):
            return 0.0
        times = [] if self._quiet_since is None else [self._quiet_since + LINGER]
        times += [] if self._tend_at is None or self._deadline is not None else [self._tend_at]
        return min(times, default=None)

    def _take(self) -> deque[_Read]:
        """Take all that has gathered; return the reads, which must not see anything that is called later."""
        with self._condition:
            reads, self._reads = self._reads, deque()
            later, self._pending = self._pending, Batch()
            self._urgent, self._quiet_since = False, None
            for adoption, base in self._adoptions:
                self._store.accept(adoption, base)
            if self._adoptions:
                self._adoptions = []
                self._counts = self._store.counts
            if self._unwritten.anything:
                self._unwritten.absorb(later)
            else:
                self._unwritten = later
            return reads

    def _write(self) -> None:
        batch = self._unwritten
        if time.monotonic() < self._retry_at or not (batch.anything or batch.ticket):
            return
        try:
            if batch.anything:
                self._store.write(batch)
        except Exception as error:  # noqa: BLE001  nothing may be lost, whatever happened
            self._failed(error)
        else:
            self._succeeded(batch)

    def _failed(self, error: Exception) -> None:
        if not self._pause:
            _LOG.error("%s cannot be written, and is tried again: %s", self._store.path, error)
            trouble = SpoolError(f"the spool {self._store.path} cannot be written: {error}; free space on its disk")
            trouble.__cause__ = error
            self._tell(self._ears.trouble, trouble)
        if isinstance(error, sqlite3.Error) and is_damage(error, self._store.path):
            self._mend()
        self._pause = min(self._pause * 2 or _FIRST_PAUSE, _LONGEST_PAUSE)
        with self._condition:
            self._counts = self._store.counts
            self._retry_at = time.monotonic() + self._pause

    def _mend(self) -> None:
        try:
            remarks = self._store.mend()
        except Exception as error:  # noqa: BLE001  it is tried again
            _LOG.error("%s is damaged, and cannot be mended yet: %s", self._store.path, error)
        else:
            for remark in remarks:
                _LOG.error("%s", remark)

    def _succeeded(self, batch: Batch) -> None:
        self._durable = max(self._durable, batch.ticket)
        with self._condition:
            self._unwritten = Batch()
            self._counts = self._store.counts
            self._retry_at = 0.0
        if self._pause:
            self._pause = 0.0
            _LOG.warning("%s can be written again", self._store.path)
            self._tell(self._ears.trouble, None)
        self._tell(self._ears.written, self._durable)

    def _answer(self, reads: Iterable[_Read]) -> None:
        for read in reads:
            try:
                answer: Any = self._read(read)
            except Exception as error:  # noqa: BLE001  whoever waits is told
                answer = SpoolError(f"the spool {self._store.path} cannot be read: {error}")
                answer.__cause__ = error
            _answer(read.answer, answer)

    def _read(self, read: _Read) -> list[SpooledRecord]:
        try:
            return self._overlaid(read)
        except sqlite3.Error as error:
            if not is_damage(error, self._store.path):
                raise
            self._mend()
            return self._overlaid(read)
        finally:
            with self._condition:
                self._counts = self._store.counts

    def _overlaid(self, read: _Read) -> list[SpooledRecord]:
        """Read as if all were written, even where the disk does not allow that now."""
        after, batch = read.after, self._unwritten
        while True:
            written = self._store.read(after, records=read.records, size=read.size)
            until = written[-1].key if written else None
            found = [applied for each in written if (applied := batch.applied(each)) is not None]
            new = [each for key, each in batch.new.items() if key > after and (until is None or key < until)]
            if found or new or until is None:
                found = sorted((*found, *new), key=lambda each: each.key)
                return within(found, read.records, read.size)
            after = until

    def _tend(self) -> None:
        if self._tend_at is None or time.monotonic() < self._tend_at:
            return
        try:
            for adoption in self._store.tend():
                self._tell(self._ears.found, adoption)
        except Exception as error:  # noqa: BLE001  there is a next time
            _LOG.warning("%s: what others left there cannot be looked for: %s", self._store.path, error)
        self._tend_at = self._next_tending()

    def _next_tending(self) -> float | None:
        every = self._store.tend_every
        return None if every is None else time.monotonic() + every

    def _tell(self, listener: Callable[[Any], None], news: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits there any more
            self._loop.call_soon_threadsafe(listener, news)


def _answer(future: Future[Any], answer: object) -> None:
    if not future.set_running_or_notify_cancel():
        return
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)
