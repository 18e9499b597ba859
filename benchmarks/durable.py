"""
What a spool costs: records a second, deliveries beside those without one, and the memory of a backlog on disk.

Run it with ``python benchmarks/durable.py``. Everything goes through the client. The disk is that of ``--folder``;
where flushing it costs next to nothing, as on many virtual machines, real disks are slower: see docs/durability.md.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import tempfile
import time
from pathlib import Path
from typing import Final

from _harness import memory, report, serving, serving_fast, take_turns

from mida_async import BufferSettings, MidaClient
from mida_async.spools.sqlite import SQLiteSpool

NOBODY: Final = "http://127.0.0.1:9"  # nothing listens there: what is accepted waits
UNLIMITED: Final = BufferSettings(rate_limits=(), close_timeout=0.0)


def client(base_url: str, spool: Path | None, settings: BufferSettings = UNLIMITED) -> MidaClient:
    """Return a client with a spool or without."""
    kept = None if spool is None else SQLiteSpool(spool)
    return MidaClient("key", "benchmark", base_url=base_url, buffer=settings, spool=kept)


async def accept(spool: Path, *, waiters: int, records: int) -> float:
    """Return how many records a second are accepted, durably, by so many callers that wait."""
    async with client(NOBODY, spool) as mida:
        left = iter(range(records))

        async def work(who: int) -> None:
            for number in left:
                await mida.buffer.record("purchase_completed", id=f"user_{who}", properties={"amount": number})

        began = time.perf_counter()
        await asyncio.gather(*map(work, range(waiters)))
        return records / (time.perf_counter() - began)


async def compare(base_url: str, folder: Path, *, rounds: int, requests: int) -> None:
    """Deliver the same with a spool and without, in turn, and print the ratio."""

    async def deliver(mida: MidaClient) -> None:
        for number in range(requests):
            await mida.buffer.record("purchase_completed", id=f"user_{number}", properties={"amount": 10})
        await mida.buffer.flush()

    async def deliver_at_once(mida: MidaClient) -> None:
        for number in range(requests):
            mida.buffer.record_nowait("purchase_completed", id=f"user_{number}", properties={"amount": 10})
        await mida.buffer.flush()

    async with client(base_url, None) as bare, client(base_url, folder / "delivery.db") as spooled:
        for name, way in (("one caller that waits for each record", deliver), ("record_nowait", deliver_at_once)):
            print(f"delivery with a spool, {name}:")
            without, with_one = functools.partial(way, bare), functools.partial(way, spooled)
            report("spool", await take_turns(without, with_one, rounds=rounds, requests=requests))


async def backlog(spool: Path, records: int) -> None:
    """Put a backlog on disk, open it again, and deliver it; print times and memory."""
    before, began = memory(), time.perf_counter()
    async with client(NOBODY, spool) as mida:
        for number in range(records):
            mida.buffer.record_nowait("purchase_completed", id=f"user_{number % 5000}", properties={"amount": number})
            if number % 1000 == 0:
                await asyncio.sleep(0)
        await mida.buffer.record("purchase_completed", id="last", properties={"amount": 0})
        print(f"{records:,} accepted in {time.perf_counter() - began:.1f} s, memory {before:.0f} -> {memory():.0f} MB")
        print(f"  in memory {mida.buffer.statistics().waiting:,}, on disk alone {mida.buffer.statistics().spilled:,}")
    began = time.perf_counter()
    with serving_fast() as server:
        async with client(server.base_url, spool) as mida:
            print(f"opened again in {time.perf_counter() - began:.2f} s: {mida.buffer.statistics().pending:,} pending")
            most, flushed = memory(), asyncio.create_task(mida.buffer.flush())
            while not flushed.done():
                await asyncio.wait({flushed}, timeout=1.0)
                most = max(most, memory())
        seconds = time.perf_counter() - began
        delivered = flushed.result().delivered
        print(
            f"{delivered:,} delivered in {seconds:.0f} s ({delivered / seconds:,.0f}/s), memory at most {most:.0f} MB"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--backlog", type=int, default=200_000)
    parser.add_argument("--folder", type=Path, default=None)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as place:
        folder = Path(place)
        for waiters in (1, 50, 1000):
            records = given.records if waiters > 1 else given.records // 5
            rate = asyncio.run(accept(folder / f"{waiters}.db", waiters=waiters, records=records))
            print(f"durable record(), {waiters:>5,} waiters: {rate:>8,.0f}/s")
        with serving() as base_url:
            asyncio.run(compare(base_url, folder, rounds=given.rounds, requests=given.requests))
        asyncio.run(backlog(folder / "backlog.db", given.backlog))


if __name__ == "__main__":
    main()
