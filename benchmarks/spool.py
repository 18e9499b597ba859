"""
What the durable spool costs: durable appends a second by how many wait at once, and reading a large one back.

Run it with ``python benchmarks/spool.py``. It writes to the folder that ``--folder`` names, a temporary one by default.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Final

from _harness import BODY, memory

from mida_async.spools.base import SpooledRecord
from mida_async.spools.sqlite import SQLiteSpool

WAITERS: Final = (1, 50, 1000)


class Waiters:
    """Coroutines that append a record and wait until it is durable, again and again."""

    def __init__(self, spool: SQLiteSpool) -> None:
        self._spool = spool
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def written(self, ticket: int) -> None:
        """Wake those whose record is durable."""
        while self._waiting and self._waiting[0][0] <= ticket:
            self._waiting.popleft()[1].set_result(None)

    async def append(self, records: int) -> None:
        """Append so many, one after the other."""
        loop = asyncio.get_running_loop()
        for _number in range(records):
            future: asyncio.Future[None] = loop.create_future()
            self._waiting.append((self._spool.append(make(self._spool.next_key)), future))
            await future


def make(key: int) -> SpooledRecord:
    """Return a record."""
    return SpooledRecord(
        key=key,
        destination="benchmark",
        name="purchase_completed",
        identities=(f"id:user_{key}",),
        body=BODY,
        accepted_at=1_700_000_000.5,
    )


async def rate(folder: str, waiters: int, records: int) -> float:
    """Return how many appends a second become durable with so many waiters."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        spool = SQLiteSpool(Path(place) / "spool.db")
        crowd = Waiters(spool)
        await spool.open("benchmark", on_durable=crowd.written, on_trouble=print)
        began = time.perf_counter()
        await asyncio.gather(*(crowd.append(records // waiters) for _number in range(waiters)))
        seconds = time.perf_counter() - began
        await spool.aclose(10.0)
    return records // waiters * waiters / seconds


async def read_back(folder: str, records: int, chunk: int) -> None:
    """Fill a spool, open it again, read it in pieces, and print what that takes."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = Path(place) / "spool.db"
        spool = SQLiteSpool(path)
        crowd = Waiters(spool)
        await spool.open("benchmark", on_durable=crowd.written, on_trouble=print)
        await asyncio.gather(*(crowd.append(records // 1000) for _number in range(1000)))
        await spool.aclose(60.0)
        before, began = memory(), time.perf_counter()
        spool = SQLiteSpool(path)
        opened = await spool.open("benchmark", on_durable=crowd.written, on_trouble=print)
        told = time.perf_counter() - began
        after = read = 0
        most, began = memory(), time.perf_counter()
        while found := await spool.read(after, records=chunk, size=2**24):
            after, read, most = found[-1].key, read + len(found), max(most, memory())
        seconds = time.perf_counter() - began
        await spool.aclose(60.0)
        megabytes = path.stat().st_size / 1e6
        print(f"{opened.records:,} records ({megabytes:,.0f} MB): opened in {told:.2f} s; {'; '.join(opened.remarks)}")
        print(f"  {read:,} read in pieces of {chunk:,} in {seconds:.2f} s, {read / seconds:,.0f}/s")
        print(f"  resident memory {before:,.0f} MB before, {most:,.0f} MB at most")


def main(arguments: list[str] | None = None) -> dict[int, float]:
    """Measure and print; return the rates."""
    parser = argparse.ArgumentParser(description="What the durable spool costs.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--appends", type=int, default=40_000)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--chunk", type=int, default=1000)
    parser.add_argument("--folder", default=tempfile.gettempdir())
    chosen = parser.parse_args(arguments)
    rates: dict[int, float] = {}
    for waiters in WAITERS:
        appends = max(waiters, chosen.appends if waiters > 1 else chosen.appends // 20)
        rounds = [asyncio.run(rate(chosen.folder, waiters, appends)) for _round in range(chosen.rounds)]
        rates[waiters] = statistics.median(rounds)
        print(f"{waiters:>5} waiting: {rates[waiters]:,.0f}/s durable ({min(rounds):,.0f} to {max(rounds):,.0f})")
    asyncio.run(read_back(chosen.folder, chosen.records, chosen.chunk))
    return rates


if __name__ == "__main__":
    main()
