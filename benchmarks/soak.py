"""
A long run: memory, tasks and connections stay flat, the books add up, and nothing is left at the end.

Run it with ``python benchmarks/soak.py``. The server is fast, in a process of its own, and gives one request in a
hundred trouble: a 500, a 429 or a closed connection. The traffic of some thousand visitors is folded, linked, repeated,
awaited and cancelled. The exit code is 1 where the books do not add up, something is left, or memory grows by more than
a tenth after the first fifth of the run.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import random
import sys
import threading
import time
from array import array
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
from _findings import Finding, Result, Side, Target
from _harness import FastServer, Lag, LagMeter, memory, serving_fast
from _rounds import Options

from mida_async import BufferSettings, Fold, MidaClient, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mida_async._delivery.delivery import Delivery

SAMPLES: Final = 20
WARM_UP: Final = 0.2
MOST_GROWTH: Final = 0.1
TROUBLE: Final = 100
INTERVAL: Final = 0.005

# Much shorter than by default, so that delivered ids are forgotten again while it runs.
DEDUPE_WINDOW: Final = 2.0

# The point is load: neither a 429 nor the pauses between attempts must slow the client down.
RETRY: Final = RetryPolicy(initial=0.05, maximum=1.0)


@attrs.frozen
class Plan:
    """How much is done."""

    records: int
    visitors: int
    seconds: float
    room: int


def settings_of(plan: Plan) -> BufferSettings:
    """Return how the buffer is to behave."""
    folds = {"heartbeat": Fold.count("times")}
    return BufferSettings(
        rate_limits=(), adaptive=False, max_records=plan.room, folds=folds, dedupe_window=DEDUPE_WINDOW
    )


def traffic(plan: Plan) -> Iterator[dict[str, Any]]:
    """
    Yield the arguments of ``record()``.

    They come in fives, each of one visitor: one alone, two to be folded, a purchase by another identifier, and either
    the same purchase again or one that shows that both identifiers are the same visitor.
    """
    dice, visitor = random.Random(1), 0  # noqa: S311  the same traffic in every run
    for number in range(plan.records):
        group, place = divmod(number, 5)
        if place == 0:
            visitor = dice.randrange(plan.visitors)
        by_id, by_email = {"id": f"user_{visitor}"}, {"email": f"user_{visitor}@example.com"}
        properties = {"amount": number, "currency": "EUR", "page": "/products/1234", "referrer": "newsletter"}
        if place < 3:
            yield {"event_name": "heartbeat" if place else "viewed", **by_id, "properties": properties}
        elif place == 3 or group % 2:
            yield {"event_name": "bought", **by_email, "unique_id": f"order_{group}", "properties": properties}
        else:
            yield {"event_name": "bought", **by_email, **by_id, "properties": properties}


@attrs.frozen(kw_only=True)
class Sample:
    """The process at one moment, and how late the loop was since the sample before."""

    records: int
    seconds: float
    processor: float
    attempts: int
    memory: float
    tasks: int
    threads: int
    files: int
    lanes: int
    remembered: int
    lag: Lag


@attrs.define(eq=False)
class Run:
    """One run: its client, what its callers hold, and what it saw."""

    mida: MidaClient
    plan: Plan
    began: float = attrs.field(factory=time.perf_counter)
    recorded: int = 0
    awaiting: set[asyncio.Task[None]] = attrs.field(factory=set[asyncio.Task[None]])
    awaited: int = 0
    received: int = 0
    cancelled: int = 0
    samples: list[Sample] = attrs.field(factory=list[Sample])
    lag: array[float] = attrs.field(factory=lambda: array("d"))

    async def record_all(self) -> None:
        """Record the whole traffic, or as much as there is time for."""
        every = max(1, self.plan.records // SAMPLES)
        events = traffic(self.plan)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.plan.seconds):
                while self.recorded < self.plan.records:
                    with LagMeter(INTERVAL) as meter:
                        try:
                            await self._record(events, every)
                        finally:
                            self.lag += meter.moments
                            self._sample(Lag.of(meter.moments))

    async def _record(self, events: Iterator[dict[str, Any]], count: int) -> None:
        unwanted: Delivery | None = None
        for event in itertools.islice(events, count):
            delivery = await self.mida.buffer.record(**event)
            self.recorded += 1
            if self.recorded % 20 == 1:
                self._await(delivery)
            elif self.recorded % 100 == 56:
                unwanted = delivery
            elif self.recorded % 100 == 0:
                # Until there is no room nobody waits in record(); so that the senders get their turn then, too.
                await asyncio.sleep(0)
                self.cancelled += unwanted is not None and unwanted.cancel()

    def _await(self, delivery: Delivery) -> None:
        async def receive() -> None:
            receipt = await delivery
            self.received += receipt.status == 200

        self.awaited += 1
        task = asyncio.create_task(receive())
        self.awaiting.add(task)
        task.add_done_callback(self.awaiting.discard)

    def _sample(self, lag: Lag) -> None:
        self.samples.append(
            Sample(
                records=self.recorded,
                seconds=time.perf_counter() - self.began,
                processor=time.process_time(),
                attempts=self.mida.buffer.statistics().attempts,
                memory=memory(),
                tasks=len(asyncio.all_tasks()) - len(self.awaiting),
                threads=threading.active_count(),
                files=sum(1 for _ in Path("/dev/fd").iterdir()),
                lanes=self.mida.buffer.statistics().lanes,
                remembered=inside(self.mida)["ids in their window"],
                lag=lag,
            )
        )

    async def drain(self) -> None:
        """Wait for the end of everything, and for the end of the window in which delivered ids are remembered."""
        await self.mida.buffer.flush()
        await asyncio.gather(*self.awaiting)
        await asyncio.sleep(DEDUPE_WINDOW)
        await (await self.mida.buffer.record("last", id="user_0"))
        self.recorded += 1
        await asyncio.sleep(0)  # the callback that woke this task still knows the last Delivery


def inside(mida: MidaClient) -> dict[str, int]:
    """Return the sizes of everything that the buffer holds on to."""
    works, lanes = mida.buffer._works, mida.buffer.scheduler.lanes  # noqa: SLF001  the point is to look inside
    assert works is not None  # noqa: S101  it has been used
    ledger, duplicates = works.ledger, works.intake.duplicates
    statistics = mida.buffer.statistics()
    words = ("pending", "waiting", "in_flight", "retrying", "lanes", "callers", "bytes")
    return {
        **{f"statistics: {word}": getattr(statistics, word) for word in words},
        "room: records": works.admission.records,
        "open in the ledger": ledger.held,
        "watches": len(ledger._watches),  # noqa: SLF001
        "records in lanes": len(lanes),
        "identifiers": len(lanes._by_key),  # noqa: SLF001
        "lanes in the queue": len(lanes._ready),  # noqa: SLF001
        "ids": len(duplicates._by_key),  # noqa: SLF001
        "ids in their window": len(duplicates._delivered),  # noqa: SLF001
    }


def objects() -> list[object]:
    """Return the objects of some kinds that are alive."""
    gc.collect()
    kinds = {"Entry", "Lane", "Delivery", "Holding", "Memory", "Receipt", "Task"}
    return [each for each in gc.get_objects() if type(each).__name__ in kinds]


def gained(before: list[object]) -> Counter[str]:
    """Return how many of them there are more, by kind. Those of *before* are held there, so none can have died."""
    known = set(map(id, before))
    return Counter(type(each).__name__ for each in objects() if id(each) not in known)


@attrs.frozen(kw_only=True)
class Findings:
    """What a run showed."""

    plan: Plan
    samples: list[Sample]
    lag: Lag
    memory_after: float
    books: dict[str, int]
    left: dict[str, int]
    alive: dict[str, int]
    problems: list[str]


async def soak(server: FastServer, plan: Plan) -> Findings:
    """Run the whole of it."""
    before = objects()
    mida = MidaClient("key", "benchmark", base_url=server.base_url, buffer=settings_of(plan), retry=RETRY)
    async with mida:
        run = Run(mida, plan)
        await run.record_all()
        await run.drain()
        # The senders are still there, and have nothing to hold on to now.
        left, alive = inside(mida), gained(before)
        alive["Task"] -= settings_of(plan).concurrency
        works = mida.buffer._works  # noqa: SLF001
        own = works.intake.newest if works is not None else 0
    now, counts = mida.buffer.statistics(), server.counts()
    books = {
        "recorded": run.recorded,
        **{word: getattr(now, word) for word in ("accepted", "delivered", "cancelled", "attempts")},
        "cancels": run.cancelled,
        "awaited": run.awaited,
        "received": run.received,
        "records of their own": own,
        **{f"at the server: {word}": count for word, count in counts.items()},
    }
    problems = [*wrong(books), *(f"{count} left: {name}" for name, count in {**left, **alive}.items() if count)]
    if run.recorded < plan.records:
        problems.append(f"out of time after {run.recorded} records")
    growth = grown(run.samples, plan.room)
    if growth > MOST_GROWTH:
        problems.append(f"memory grew by {100 * growth:.1f} % after the warm-up")
    return Findings(
        plan=plan,
        samples=run.samples,
        lag=Lag.of(run.lag),
        memory_after=memory(),
        books=books,
        left=left,
        alive=alive,
        problems=problems,
    )


def wrong(books: dict[str, int]) -> list[str]:
    """Return what does not add up."""
    own = books["records of their own"]
    equal = {
        "recorded = accepted": books["recorded"] - books["accepted"],
        "accepted = delivered + cancelled": books["accepted"] - books["delivered"] - books["cancelled"],
        "one success at the server for each record": own - books["cancelled"] - books["at the server: accepted"],
        "attempts = requests at the server": books["attempts"] - books["at the server: requests"],
        "awaited = received": books["awaited"] - books["received"],
    }
    problems = [f"{name}: {difference:+d}" for name, difference in equal.items() if difference]
    if not 0 < books["cancelled"] <= books["cancels"]:  # what is in flight is only let go of
        problems.append("more or fewer records were cancelled than could be")
    return problems


def warm(samples: list[Sample], room: int) -> Sample:
    """Return the first sample after the warm-up: a fifth of the run, twice what fills the buffer, a window of ids."""
    last = samples[-1]
    enough = max(WARM_UP * last.records, 2 * room)
    long = min(DEDUPE_WINDOW, last.seconds / 2)
    return next((sample for sample in samples if sample.records >= enough and sample.seconds >= long), last)


def grown(samples: list[Sample], room: int) -> float:
    """Return by which part memory grew after the warm-up."""
    return samples[-1].memory / warm(samples, room).memory - 1


def show(found: Findings) -> None:
    """Print all of it."""
    print(
        "  records      s   sent  CPU us each  MB RSS  tasks  threads  files  lanes  ids kept  lag ms p50    p99    max"
    )
    for before, each in itertools.pairwise((found.samples[0], *found.samples)):
        sent, processor = each.attempts - before.attempts, each.processor - before.processor
        print(
            f"{each.records:>9,} {each.seconds:>6.1f} {each.attempts:>6,} {1e6 * processor / max(sent, 1):>12,.0f} "
            f"{each.memory:>7.1f} {each.tasks:>6} {each.threads:>8} {each.files:>6} {each.lanes:>6,} "
            f"{each.remembered:>9,} {each.lag.p50:>11.1f} {each.lag.p99:>6.1f} {each.lag.worst:>6.1f}"
        )
    print("; ".join(f"{name} {count:,}" for name, count in found.books.items()))
    start, end = warm(found.samples, found.plan.room), found.samples[-1]
    print(
        f"memory: {start.memory:.1f} MB after {start.records:,} records, {end.memory:.1f} MB after {end.records:,}: "
        f"{end.memory - start.memory:+.1f} MB, {100 * (end.memory / start.memory - 1):+.1f} %; "
        f"closed: {found.memory_after:.1f} MB"
    )
    print(f"loop lag, all of the run: p50 {found.lag.p50:.1f}, p99 {found.lag.p99:.1f}, max {found.lag.worst:.1f} ms")
    print("\n".join(f"NOT AS IT SHOULD BE: {problem}" for problem in found.problems) or "all is well")


def result(found: Findings) -> Result:
    """Return what the run says in the form of all benchmarks."""
    run = f"a run of {found.plan.records:,} records with faults"
    growth = Side("mida_async", [100 * grown(found.samples, found.plan.room)])
    return Result(
        script="soak",
        findings=[
            Finding(
                question=f"{run}: memory gained after the warm-up",
                unit="%",
                ours=growth,
                target=Target("<=", 100 * MOST_GROWTH),
                exact=True,
            ),
            Finding(
                question=f"{run}: what does not add up or is left behind",
                unit="problems",
                ours=Side("mida_async", [len(found.problems)]),
                target=Target("<=", 0),
                exact=True,
            ),
        ],
        notes=found.problems,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and return the exit code."""
    # The room is that of the buffer, and the warm-up fills it twice.
    sizes = {
        "records": (60_000, 2_000),
        "visitors": (5_000, 100),
        "seconds_limit": (600.0, 60.0),
        "room": (10_000, 200),
    }
    chosen = Options("A long run through a fast local server.", **sizes).read(arguments)
    plan = Plan(chosen.records, chosen.visitors, chosen.seconds_limit, chosen.room)
    with serving_fast(trouble=TROUBLE) as server:
        found = asyncio.run(soak(server, plan))
    result(found).publish(chosen)
    show(found)
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main())
