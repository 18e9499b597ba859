"""
What a spool costs: durable records a second, deliveries beside those without one, and the memory of a backlog on disk.

Run it with ``python benchmarks/durable.py``. Everything goes through the client. The disk is that of ``--folder``;
where flushing it costs next to nothing, as on many virtual machines, real disks are slower: see docs/durability.md.
``--backlog 1000000`` asks about a longer backlog; each of its rounds is a few processes of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import json
import tempfile
import time
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import attrs
from _findings import Chart, Finding, Line, Result, Side, Target
from _harness import memory, serving_fast, settled_memory
from _rounds import Options, Rounds, child, on_a_loop, take_rounds

from mida_async import BufferSettings, MidaClient
from mida_async.spools.sqlite import SQLiteSpool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

NOBODY: Final = "http://127.0.0.1:9"  # nothing listens there: what is accepted waits
UNLIMITED: Final = BufferSettings(rate_limits=(), close_timeout=0.0)
VISITORS: Final = 5_000
ACCEPTED: Final = Target(">=", 20_000)
DELIVERED: Final = Target(">=", 0.6)
JUDGED: Final = 50
WAITERS: Final = (1, JUDGED, 1000)
SPOOL, BARE = "spool", "no spool"

# One caller alone waits for the disk before each record, so it gets fewer to record.
ALONE_SHARE: Final = 5

# By how many callers record; nobody waits for the disk where there are none.
WAYS: Final[Mapping[str, int]] = MappingProxyType({"one caller": 1, f"{JUDGED} callers": JUDGED, "record_nowait": 0})
ALONE: Final = "one caller"

LONG, SHORT, ALL = "long", "short", "all in memory"


def client(base_url: str, spool: Path | None, settings: BufferSettings = UNLIMITED) -> MidaClient:
    """Return a client with a spool or without."""
    kept = None if spool is None else SQLiteSpool(spool)
    return MidaClient("key", "benchmark", base_url=base_url, buffer=settings, spool=kept)


async def record(mida: MidaClient, records: int, callers: int) -> None:
    """Let so many callers share the records; each waits for its record to be accepted before it takes the next."""
    left = iter(range(records))

    async def work() -> None:
        for number in left:
            visitor, properties = f"user_{number % VISITORS}", {"amount": number}
            await mida.buffer.record("purchase_completed", id=visitor, properties=properties)

    await asyncio.gather(*(work() for _ in range(callers)))


async def accept(folder: Path, waiters: int, records: int) -> float:
    """Return how many records a second are accepted, durably, by so many callers that wait."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        async with client(NOBODY, Path(place) / "spool.db") as mida:
            began = time.perf_counter()
            await record(mida, records, waiters)
            return records / (time.perf_counter() - began)


async def deliver(mida: MidaClient, records: int, callers: int) -> float:
    """Return how many records a second are delivered, from the first call to the last answer."""
    began = time.perf_counter()
    if callers:
        await record(mida, records, callers)
    else:
        for number in range(records):
            mida.buffer.record_nowait("purchase_completed", id=f"user_{number % VISITORS}", properties={"amount": 10})
    await mida.buffer.flush()
    rate = records / (time.perf_counter() - began)
    now = mida.buffer.statistics()
    if now.delivered != now.accepted:
        message = f"not everything was delivered: {now}"
        raise RuntimeError(message)
    return rate


def few_or_many(records: int, callers: int) -> int:
    """Return how many of the records a round has with so many callers."""
    return max(1, records // ALONE_SHARE) if callers == 1 else records


def accept_all(folder: Path, chosen: argparse.Namespace) -> Rounds[float]:
    """Let small and large crowds of callers take turns."""
    sides = {
        waiting(each): on_a_loop(functools.partial(accept, folder, each, few_or_many(chosen.records, each)))
        for each in WAITERS
    }
    return take_rounds(sides, chosen.rounds)


def waiting(callers: int) -> str:
    """Return the name of a crowd."""
    return f"{callers:,} waiter" + "s" * (callers != 1)


def deliver_all(folder: Path, chosen: argparse.Namespace) -> dict[str, Rounds[float]]:
    """Deliver with a spool and without, in turn, in each of the ways to record; both clients stay open."""
    with serving_fast() as server, asyncio.Runner() as runner:
        clients = {SPOOL: client(server.base_url, folder / "delivery.db"), BARE: client(server.base_url, None)}
        stack = contextlib.AsyncExitStack()
        for each in clients.values():
            runner.run(stack.enter_async_context(each))

        def side(mida: MidaClient, callers: int) -> Callable[[], float]:
            records = few_or_many(chosen.requests, callers)
            return lambda: runner.run(deliver(mida, records, callers))

        try:
            return {
                way: take_rounds({name: side(mida, callers) for name, mida in clients.items()}, chosen.rounds)
                for way, callers in WAYS.items()
            }
        finally:
            runner.run(stack.aclose())


@attrs.frozen(kw_only=True)
class Held:
    """
    What a backlog did to one process.

    Attributes:
        gained: Megabytes by which it grew while the server was down.
        spilled: Records that were on disk alone then.
        opened: Seconds that it took to open the spool again; 0 without one, as all that follows.
        delivered: Records a second that were delivered after that.
        most: Megabytes by which the process had grown at most until then.
    """

    gained: float
    spilled: int
    opened: float = 0.0
    delivered: float = 0.0
    most: float = 0.0


async def hold(spool: Path | None, chosen: argparse.Namespace) -> Held:
    """Accept a backlog while the server is down, in this process; then open it again, and deliver some of it."""
    backlog, some = chosen.backlog, chosen.room // 10
    room = chosen.room if spool is not None else backlog
    settings = attrs.evolve(UNLIMITED, max_records=room, max_bytes=2_000 * room)
    async with client(NOBODY, spool, settings) as mida:
        await record(mida, some, JUDGED)  # what is made at first must not be a cost of the backlog
        before = settled_memory()
        await record(mida, backlog - some, JUDGED)
        held = Held(gained=settled_memory() - before, spilled=mida.buffer.statistics().spilled)
    if spool is None:
        return held
    with serving_fast() as server:
        began = time.perf_counter()
        async with client(server.base_url, spool, settings) as mida:
            opened = time.perf_counter() - began
            delivered, most = await drain(mida, min(chosen.drained, backlog))
    return attrs.evolve(held, opened=opened, delivered=delivered, most=most - before)


async def drain(mida: MidaClient, records: int) -> tuple[float, float]:
    """Wait until so many records are delivered; return how many that are a second, and the most memory on the way."""
    began, most = time.perf_counter(), memory()
    while (now := mida.buffer.statistics()).delivered < records:
        await asyncio.sleep(0.01)
        most = max(most, memory())
    return now.delivered / (time.perf_counter() - began), most


def hold_all(folder: Path, chosen: argparse.Namespace) -> Rounds[Held]:
    """Let a long backlog, one that memory has room for, and a long one without a spool take turns."""

    def side(kind: str, backlog: int) -> Callable[[], Held]:
        sizes = {"backlog": backlog, "room": chosen.room, "drained": chosen.drained, "folder": folder}
        arguments = [text for name, value in sizes.items() for text in (f"--{name}", str(value))]
        return lambda: Held(**child(__file__, "--child", kind, *arguments))

    sides = {LONG: side(SPOOL, chosen.backlog), SHORT: side(SPOOL, chosen.room), ALL: side(BARE, chosen.backlog)}
    return take_rounds(sides, chosen.backlog_rounds, warm_up=False)


def in_this_process(chosen: argparse.Namespace) -> Held:
    """Hold a backlog with a spool or without."""
    with tempfile.TemporaryDirectory(dir=chosen.folder) as place:
        return asyncio.run(hold(Path(place) / "spool.db" if chosen.child == SPOOL else None, chosen))


def speed_findings(accepted: Rounds[float], delivered: Mapping[str, Rounds[float]]) -> list[Finding]:
    """Return what is accepted a second, and what is delivered with a spool and without."""
    findings = [
        Finding(
            question=f"durable record(), {waiting(each)}",
            unit="records/s",
            ours=accepted.side(waiting(each), float),
            target=ACCEPTED if each == JUDGED else None,
        )
        for each in WAITERS
    ]
    findings += [
        Finding(
            question=f"delivery with spool, {way}",
            unit="events/s",
            ours=rounds.side(SPOOL, float),
            theirs=rounds.side(BARE, float),
            target=None if way == ALONE else DELIVERED,
        )
        for way, rounds in delivered.items()
    ]
    return findings


def memory_findings(held: Rounds[Held], chosen: argparse.Namespace) -> list[Finding]:
    """Return what a backlog on disk takes of memory, and what coming back to it takes."""
    names = {
        LONG: f"spool, {chosen.room:,} of {chosen.backlog:,} in memory",
        SHORT: f"spool, {chosen.room:,} of {chosen.room:,} in memory",
        ALL: "no spool, all in memory",
    }

    def side(which: str, pick: Callable[[Held], float]) -> Side:
        return attrs.evolve(held.side(which, pick), name=names[which])

    long, short, everything = (side(each, lambda held: held.gained) for each in names)
    question, again = f"engine memory with {chosen.backlog:,} records on disk", "the same backlog opened again"
    return [
        Finding(question=f"{question}, server down", unit="MB gained", ours=long, theirs=everything),
        Finding(question=f"{question}, beside {chosen.room:,}", unit="MB gained", ours=long, theirs=short),
        Finding(question=f"{again}: opening", unit="s", ours=side(LONG, lambda held: held.opened)),
        Finding(question=f"{again}: delivery", unit="events/s", ours=side(LONG, lambda held: held.delivered)),
        Finding(question=f"{again}: memory at most", unit="MB gained", ours=side(LONG, lambda held: held.most)),
    ]


def bars(findings: Sequence[Finding]) -> Chart:
    """Return a chart of the deliveries with a spool and without."""
    sides = [
        (f"{finding.question.rpartition(', ')[2]}\n{side.name}", side.as_json()["median"])
        for finding in findings
        for side in (finding.theirs, finding.ours)
        if side is not None and side.values
    ]
    return Chart(
        name="durable",
        title="Delivery with a spool and without, no rate limit",
        x_label="",
        y_label="events/s",
        lines=[Line("median", [name for name, _ in sides], [height for _, height in sides])],
    )


def measure(folder: Path, chosen: argparse.Namespace) -> Result:
    """Measure all of it in a folder, and return what was found."""
    accepted, delivered = accept_all(folder, chosen), deliver_all(folder, chosen)
    speed, held = speed_findings(accepted, delivered), hold_all(folder, chosen)
    spilled = " to ".join(f"{each:,.0f}" for each in sorted(set(held.side(LONG, lambda held: held.spilled).values)))
    notes = [
        f"One caller waits for the disk before each record; {JUDGED} callers share each flush.",
        f"Of the backlog of {chosen.backlog:,} records, {spilled or 'an unknown number'} were on disk alone.",
    ]
    chart = bars([finding for finding in speed if finding.theirs is not None])
    return Result(script="durable", findings=[*speed, *memory_findings(held, chosen)], charts=[chart], notes=notes)


def main(arguments: Sequence[str] | None = None) -> Result | None:
    """Measure, print, and return the findings; in a child, only print."""
    sizes = {
        "rounds": (5, 2),
        "records": (15_000, 100),
        "requests": (1_500, 50),
        "backlog_rounds": (2, 1),
        "backlog": (100_000, 500),
        "room": (10_000, 100),
        "drained": (10_000, 100),
    }
    options = Options("What a spool costs.", **sizes)
    options.add_argument("--folder", type=Path, help="where the spools are; by default, where temporary files are")
    options.add_argument("--child", choices=(SPOOL, BARE), help=argparse.SUPPRESS)
    chosen = options.read(arguments)
    if chosen.child:
        print(json.dumps(attrs.asdict(in_this_process(chosen))))
        return None
    with tempfile.TemporaryDirectory(dir=chosen.folder) as place:
        found = measure(Path(place), chosen)
    found.publish(chosen)
    return found


if __name__ == "__main__":
    main()
