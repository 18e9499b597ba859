"""
What the spool alone costs: durable appends a second by how many wait at once, and opening and reading a backlog.

Run it with ``python benchmarks/spool.py``. It writes to the folder that ``--folder`` names, where temporary files are
by default. A backlog is opened and read in a process of its own, each time the same one; its file is in the system's
cache. ``--records 1000000`` asks about a longer one.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs
from _findings import Chart, Finding, Line, Result
from _harness import BODY, memory
from _rounds import Options, Rounds, child, on_a_loop, take_rounds

from mida_async.spools.base import SpooledRecord
from mida_async.spools.sqlite import SQLiteSpool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WAITERS: Final = (1, 50, 1000)
READ: Final = "spool"

# One that waits alone waits for the disk each time, so it gets fewer to append.
ALONE_SHARE: Final = 20
_CLOSING: Final = 60.0
_MOST_BYTES: Final = 2**24


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


async def fill(path: Path, waiters: int, records: int) -> float:
    """Let so many waiters share the records; return how many appends a second become durable."""
    spool, each = SQLiteSpool(path), max(1, records // waiters)
    crowd = Waiters(spool)
    await spool.open("benchmark", on_durable=crowd.written, on_trouble=print)
    began = time.perf_counter()
    await asyncio.gather(*(crowd.append(each) for _number in range(waiters)))
    seconds = time.perf_counter() - began
    await spool.aclose(_CLOSING)
    return each * waiters / seconds


async def append(folder: Path, waiters: int, records: int) -> float:
    """Fill a spool that is new, and forget it."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        return await fill(Path(place) / "spool.db", waiters, records)


@attrs.frozen(kw_only=True)
class Backlog:
    """
    What it takes to come back to a backlog.

    Attributes:
        records: Records that were there.
        opened: Seconds that opening took.
        read: Records a second that were read, in pieces.
        gained: Megabytes by which the process grew at most.
    """

    records: int
    opened: float
    read: float
    gained: float


async def read_back(path: Path, chunk: int) -> Backlog:
    """Open a spool and read all of it in pieces, in this process."""
    spool = SQLiteSpool(path)
    before, began = memory(), time.perf_counter()
    opened = await spool.open("benchmark", on_durable=Waiters(spool).written, on_trouble=print)
    told = time.perf_counter() - began
    after = read = 0
    most, began = memory(), time.perf_counter()
    while found := await spool.read(after, records=chunk, size=_MOST_BYTES):
        after, read, most = found[-1].key, read + len(found), max(most, memory())
    seconds = time.perf_counter() - began
    await spool.aclose(_CLOSING)
    if read != opened.records:
        message = f"{opened.records} records were promised, {read} were read"
        raise RuntimeError(message)
    return Backlog(records=read, opened=told, read=read / seconds, gained=most - before)


def in_a_child(path: Path, chunk: int) -> Backlog:
    """Open and read a spool in a process of its own."""
    return Backlog(**child(__file__, "--child", str(path), "--chunk", str(chunk)))


def waiting(waiters: int) -> str:
    """Return the name of a crowd."""
    return f"{waiters:,} waiter" + "s" * (waiters != 1)


def result(appends: Rounds[float], backlogs: Rounds[Backlog], records: int, megabytes: float) -> Result:
    """Return what was measured."""
    crowds = [appends.side(waiting(each), float) for each in WAITERS]
    findings = [
        Finding(question=f"the spool alone, durable appends, {crowd.name}", unit="appends/s", ours=crowd)
        for crowd in crowds
    ]
    picks: dict[tuple[str, str], Callable[[Backlog], float]] = {
        ("opening it", "s"): lambda each: each.opened,
        ("reading it", "records/s"): lambda each: each.read,
        ("memory at most", "MB gained"): lambda each: each.gained,
    }
    findings += [
        Finding(
            question=f"the spool alone, a backlog of {records:,}: {what}", unit=unit, ours=backlogs.side(READ, pick)
        )
        for (what, unit), pick in picks.items()
    ]
    medians = [crowd.as_json()["median"] for crowd in crowds]
    chart = Chart(
        name="spool",
        title="Durable appends to the spool alone",
        x_label="callers that wait",
        y_label="appends/s",
        lines=[] if None in medians else [Line("median", WAITERS, medians)],
        log_x=True,
    )
    notes = [f"The file of {records:,} records has {megabytes:,.1f} MB."]
    return Result(script="spool", findings=findings, charts=[chart], notes=notes)


def measure(folder: Path, chosen: argparse.Namespace) -> Result:
    """Measure all of it in a folder, and return what was found."""
    sides = {
        waiting(each): on_a_loop(
            functools.partial(append, folder, each, chosen.appends // (ALONE_SHARE if each == 1 else 1))
        )
        for each in WAITERS
    }
    appends = take_rounds(sides, chosen.rounds)
    path, crowd = folder / "backlog.db", min(WAITERS[-1], chosen.records)
    asyncio.run(fill(path, crowd, chosen.records))
    megabytes = path.stat().st_size / 1e6
    backlogs = take_rounds(
        {READ: functools.partial(in_a_child, path, chosen.chunk)}, chosen.rounds, warm_up=not chosen.quick
    )
    return result(appends, backlogs, chosen.records // crowd * crowd, megabytes)


def main(arguments: Sequence[str] | None = None) -> Result | None:
    """Measure, print, and return the findings; in a child, only print."""
    sizes = {"rounds": (5, 2), "appends": (30_000, 200), "records": (150_000, 1_000), "chunk": (1_000, 100)}
    options = Options("What the spool alone costs.", **sizes)
    options.add_argument("--folder", type=Path, help="where the spools are; by default, where temporary files are")
    options.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    chosen = options.read(arguments)
    if chosen.child:
        print(json.dumps(attrs.asdict(asyncio.run(read_back(chosen.child, chosen.chunk)))))
        return None
    with tempfile.TemporaryDirectory(dir=chosen.folder) as place:
        found = measure(Path(place), chosen)
    found.publish(chosen)
    return found


if __name__ == "__main__":
    main()
