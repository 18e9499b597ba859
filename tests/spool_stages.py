"""Places for spools, and what tests of spools share."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
import shutil
import signal
from typing import TYPE_CHECKING, Any

from mida_async.spools import admin
from mida_async.spools.sqlite import SQLiteSpool
from mida_async.testing import MemoryDisk, MemorySpool
from mida_async.testing.spool_suite import DESTINATION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from mida_async.spools.base import DeadRecord, Opened, Spool, SpooledRecord

DATABASE_AND_LOG = ("", "-wal")


@contextlib.contextmanager
def small_files(limit: int) -> Iterator[None]:
    """Let this process write no file beyond so many bytes: the disk refuses, and means it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


class FileStage:
    """A file, or a folder of files, in a folder of the test."""

    def __init__(self, folder: Path, name: str) -> None:
        self.place = folder / "place"
        self.name = name
        self.place.mkdir()
        self._copies = 0

    def make(self, **bounds: Any) -> SQLiteSpool:
        """Return a spool."""
        return SQLiteSpool(f"{self.place}/{self.name}", **bounds)

    async def crash(self, spool: Spool) -> None:
        """
        Go on with what is on the disk now.

        A process that dies has no say in what becomes of its files. So they are copied as they are, and the spool ends
        where nobody looks any more.
        """
        self._copies += 1
        left = self.place.with_name(f"place-{self._copies}")
        shutil.copytree(self.place, left, ignore=shutil.ignore_patterns("*.lock"))
        self.place = left
        await spool.aclose(5.0)

    @contextlib.contextmanager
    def failing(self) -> Iterator[None]:
        """Refuse every write."""
        with small_files(0):
            yield

    def dead_letters(self) -> list[DeadRecord]:
        """Return the dead letters."""
        return list(admin.dead_letters(f"{self.place}/{self.name}"))


class MemoryStage:
    """A disk in memory."""

    def __init__(self) -> None:
        self.disk = MemoryDisk()

    def make(self, **bounds: Any) -> MemorySpool:
        """Return a spool."""
        return MemorySpool(self.disk, **bounds)

    async def crash(self, spool: Spool) -> None:
        """Let it die."""
        del spool
        self.disk.crash()

    @contextlib.contextmanager
    def failing(self) -> Iterator[None]:
        """Refuse every write."""
        self.disk.failure = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        yield
        self.disk.failure = None

    def dead_letters(self) -> list[DeadRecord]:
        """Return the dead letters."""
        return list(self.disk.dead)


class Listener:
    """Waits for tickets."""

    def __init__(self) -> None:
        self.durable = 0
        self.troubles: list[Exception | None] = []
        self.adopted: list[int] = []
        self._news = asyncio.Event()

    def written(self, ticket: int) -> None:
        """Take note of a write."""
        self.durable = ticket
        self._news.set()

    def troubled(self, error: Exception | None) -> None:
        """Take note of a failure or its end."""
        self.troubles.append(error)
        self._news.set()

    def taken_over(self, number: int) -> None:
        """Take note of an adoption."""
        self.adopted.append(number)
        self._news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(20.0):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def until_durable(self, ticket: int) -> None:
        """Wait for a ticket."""
        await self.until(lambda: self.durable >= ticket)

    async def open(self, spool: Spool, destination: str = DESTINATION) -> Opened:
        """Open a spool and listen to it."""
        return await spool.open(
            destination, on_durable=self.written, on_trouble=self.troubled, on_adopted=self.taken_over
        )


@contextlib.asynccontextmanager
async def opened(path: Path | str, **settings: Any) -> AsyncIterator[tuple[SQLiteSpool, Opened, Listener]]:
    """Open a spool for as long as the context lasts; the value is the spool, what it found, and the listener."""
    spool, listener = SQLiteSpool(path, **settings), Listener()
    found = await listener.open(spool)
    try:
        yield spool, found, listener
    finally:
        await spool.aclose(5.0)


async def everything(spool: Spool) -> list[SpooledRecord]:
    """Return all records."""
    records: list[SpooledRecord] = []
    while found := await spool.read(records[-1].key if records else 0, records=1000, size=2**24):
        records += found
    return records
