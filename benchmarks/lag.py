"""
How late the event loop is while 10,000 events a second are recorded and sent at the default limits.

Run it with ``python benchmarks/lag.py``. Three loads take turns: an idle loop, one that encodes as many events as JSON
and does nothing else with them, and the engine. The first two show what the machine itself does to timers.

``late`` is what timers saw: of every moment, how long it took until the loop was there again. ``turns`` is how long the
loop's turns held up the others, in time of the processor: what ``late`` would be if nobody else used the machine. Where
``offered`` is less than 10,000 a second, the machine has too little time to say more than that.
"""

from __future__ import annotations

import asyncio
import functools
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs
from _findings import Finding, Result, Side, Target
from _harness import BODY, CollectorWatch, Lag, LagMeter, Turns, serving_fast
from _rounds import Options

from mida_async import BufferSettings, MidaClient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mida_async._delivery.reports import BufferStatistics

INTERVAL: Final = 0.001
SLICE: Final = 0.005
VISITORS: Final = 5_000
MOST_LAG: Final = 5.0
EVENT: Final = json.loads(BODY)

Step: TypeAlias = Callable[[int], Awaitable[object]]


@attrs.frozen
class Offer:
    """What is offered: events a second, for so many seconds."""

    rate: int
    seconds: float


@attrs.frozen(kw_only=True)
class Figures:
    """
    What one load did to the loop; milliseconds.

    Attributes:
        late: Of every moment, how late.
        timers_p99: The 99th of 100 timers; each was late once, however long the loop stood still.
        turns_p99: The same as ``late.p99``, in time of the processor.
        turns_worst: The longest turn of the loop, in time of the processor.
        collector: The longest pause for garbage, in time of the processor.
        rate: Events a second that were really offered.
        sent: Requests that were sent meanwhile.
        close: The longest turn of the loop while what was left was ended.
    """

    late: Lag
    timers_p99: float
    turns_p99: float
    turns_worst: float
    collector: float
    rate: float
    sent: int = 0
    close: float = 0.0


async def offer(step: Step, wanted: Offer) -> None:
    """Take the steps in slices; where the loop is late, go on with the next in its next turn."""
    loop = asyncio.get_running_loop()
    began, size = loop.time(), int(SLICE * wanted.rate)
    for first in range(0, int(wanted.rate * wanted.seconds), size):
        await asyncio.sleep(max(0.0, began + first / wanted.rate - loop.time()))
        for number in range(first, first + size):
            await step(number)


async def measure(step: Step, wanted: Offer, turns: Turns) -> Figures:
    """Offer the steps and look at the loop meanwhile."""
    turns.seconds.clear()
    began = time.perf_counter()
    with LagMeter(INTERVAL) as meter, CollectorWatch() as garbage:
        await offer(step, wanted)
    seconds = time.perf_counter() - began
    return Figures(
        late=Lag.of(meter.moments),
        timers_p99=Lag.of(meter.timers).p99,
        turns_p99=turns.p99(wanted.seconds),
        turns_worst=1e3 * max(turns.seconds),
        collector=1e3 * max(garbage.pauses, default=0.0),
        rate=wanted.rate * wanted.seconds / seconds,
    )


async def idle(_number: int) -> None:
    """Do nothing."""


async def encode(number: int) -> None:
    """Encode one event and forget it."""
    json.dumps({**EVENT, "id": f"user_{number % VISITORS}"})


async def engine(base_url: str, wanted: Offer, turns: Turns) -> Figures:
    """Record with the default limits, measure, and throw away what is left."""
    room = 2 * int(wanted.rate * wanted.seconds) + 1_000
    async with MidaClient("key", "benchmark", base_url=base_url, buffer=BufferSettings(max_records=room)) as mida:

        async def record(number: int) -> None:
            visitor, properties = f"user_{number % VISITORS}", EVENT["properties"]
            await mida.buffer.record("purchase_completed", id=visitor, properties=properties)

        figures = await measure(record, wanted, turns)
        sent = finished(mida.buffer.statistics())
        turns.seconds.clear()
        await mida.buffer.aclose(timeout=0)
    return attrs.evolve(figures, sent=sent, close=1e3 * max(turns.seconds))


def finished(statistics: BufferStatistics) -> int:
    """Return how many records were sent, having made sure that nothing else became of any than to be delivered."""
    if statistics.accepted != statistics.delivered + statistics.pending:
        message = f"a record came to an end that it should not have come to: {statistics}"
        raise RuntimeError(message)
    return statistics.attempts


def compare(base_url: str, wanted: Offer, rounds: int) -> dict[str, list[Figures]]:
    """Let the loads take turns, each time on a loop of its own."""
    results: dict[str, list[Figures]] = {"idle": [], "json": [], "engine": []}
    for _ in range(rounds):
        for name, work in (
            ("idle", functools.partial(measure, idle, wanted)),
            ("json", functools.partial(measure, encode, wanted)),
            ("engine", functools.partial(engine, base_url, wanted)),
        ):
            turns = Turns()
            with asyncio.Runner(loop_factory=functools.partial(asyncio.SelectorEventLoop, turns)) as runner:
                results[name].append(runner.run(work(turns)))
    return results


def show(results: dict[str, list[Figures]]) -> None:
    """Print the medians of the rounds."""
    print("medians, ms  late p50    p99    max  timers p99  turns p99    max  collector max  offered/s   sent")
    for name, rounds in results.items():

        def median(pick: Callable[[Figures], float], rounds: list[Figures] = rounds) -> float:
            return statistics.median(map(pick, rounds))

        print(
            f"{name:<12} {median(lambda each: each.late.p50):>8.2f} {median(lambda each: each.late.p99):>6.2f} "
            f"{median(lambda each: each.late.worst):>6.1f} {median(lambda each: each.timers_p99):>11.2f} "
            f"{median(lambda each: each.turns_p99):>10.2f} {median(lambda each: each.turns_worst):>6.1f} "
            f"{median(lambda each: each.collector):>14.1f} {median(lambda each: each.rate):>10,.0f} "
            f"{median(lambda each: each.sent):>6,.0f}"
        )
    closing = statistics.median(each.close for each in results["engine"])
    print(f"ending all that was left took {closing:.0f} ms of the processor in one turn")


def result(results: dict[str, list[Figures]], wanted: Offer) -> Result:
    """Return what was measured; the idle loop and the one that encodes show what the machine does to timers."""
    names = {"engine": "engine", "json": "json alone", "idle": "idle loop"}

    def side(name: str, pick: Callable[[Figures], float]) -> Side:
        return Side(names[name], list(map(pick, results[name])))

    target = Target("<=", MOST_LAG)
    question = f"loop lag while {wanted.rate:,} events/s are recorded, p99 "
    findings = [
        Finding(
            question=question + what,
            unit="ms",
            ours=side(name, pick),
            target=target if name == "engine" else None,
        )
        for what, pick in (
            ("of timers of 1 ms", lambda each: each.timers_p99),
            ("of all moments", lambda each: each.late.p99),
            ("of the loop's turns", lambda each: each.turns_p99),
        )
        for name in names
    ]
    offered = Finding(question="events really offered", unit="events/s", ours=side("engine", lambda each: each.rate))
    return Result(script="lag", findings=[*findings, offered])


def main(arguments: Sequence[str] | None = None) -> dict[str, list[Figures]]:
    """Measure, print, and return what was measured."""
    options = Options("Event-loop lag while recording.", rounds=(3, 2), rate=(10_000, 1_000), seconds=(5.0, 0.1))
    chosen = options.read(arguments)
    wanted = Offer(chosen.rate, chosen.seconds)
    with serving_fast() as server:
        results = compare(server.base_url, wanted, chosen.rounds)
    show(results)
    result(results, wanted).publish(chosen)
    return results


if __name__ == "__main__":
    main()
