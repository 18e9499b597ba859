"""
What a record costs while many wait: from 1,000 to 1,000,000.

Run it with ``python benchmarks/backlog.py``. There is no network: a transport in memory answers at once, when it is
allowed to. Times are those of the processor, with the garbage collector at work. Every round is a process of its own,
in which the backlog grows from each length to the next; at each, some records are recorded, and as many delivered.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import os
from typing import TYPE_CHECKING, Final, NoReturn

import attrs
from _findings import Chart, Finding, Line, Result, Side, Target
from _gate import GatedBuffer
from _rounds import Options, Rounds, child, take_rounds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

VISITORS: Final = 5_000
LENGTHS: Final = (1_000, 10_000, 100_000, 1_000_000)
TARGET: Final = Target("<=", 1.3)


@attrs.frozen
class Costs:
    """Microseconds for each record with one length of the backlog: to record it, and to deliver one."""

    waiting: int
    recording: float
    delivering: float

    @property
    def both(self) -> float:
        """What a record costs from its beginning to its end."""
        return self.recording + self.delivering


async def measure(gated: GatedBuffer, lengths: Sequence[int], some: int) -> list[Costs]:
    """
    Let the backlog grow, and measure at each of its lengths.

    Args:
        gated: A fresh buffer with enough room.
        lengths: In ascending order.
        some: How many are recorded and delivered on top of each.
    """
    gated.record(some)
    await gated.deliver(some)  # what is done for the first time must not be a cost of the shortest
    costs: list[Costs] = []
    waiting = 0
    for length in lengths:
        gated.record(length - waiting)
        waiting = length
        recording = gated.record(some)
        costs.append(Costs(length, 1e6 * recording / some, 1e6 * await gated.deliver(some) / some))
    return costs


async def leave(lengths: Sequence[int], some: int) -> NoReturn:
    """Measure, print, and end the process on the spot: to tidy up a million records takes as long as to record them."""
    costs = await measure(GatedBuffer(lengths[-1] + 2 * some, VISITORS), lengths, some)
    print(json.dumps([attrs.asdict(each) for each in costs]), flush=True)
    os._exit(0)


def in_a_child(lengths: Sequence[int], some: int) -> list[Costs]:
    """Measure in a process of its own."""
    told = child(__file__, "--child", "--some", str(some), "--longest", str(lengths[-1]))
    return [Costs(**each) for each in told]


def up_to(longest: int) -> list[int]:
    """Return the lengths up to the longest."""
    return [*(length for length in LENGTHS if length < longest), longest]


def result(rounds: Rounds[list[Costs]], lengths: Sequence[int]) -> Result:
    """Return what the costs say."""
    few, many = lengths.index(min(10_000, lengths[-2])), len(lengths) - 1
    picks: dict[str, Callable[[Costs], float]] = {
        "recorded and delivered": lambda each: each.both,
        "recorded": lambda each: each.recording,
        "delivered": lambda each: each.delivering,
    }

    def side(place: int, pick: Callable[[Costs], float]) -> Side:
        found = rounds.side("backlog", lambda costs: pick(costs[place]))
        return attrs.evolve(found, name=f"{lengths[place]:,} waiting")

    findings = [
        Finding(
            question=f"a record {what} while others wait",
            unit="us of processor time",
            ours=side(many, pick),
            theirs=side(few, pick),
            target=TARGET if what == "recorded and delivered" else None,
        )
        for what, pick in picks.items()
    ]
    medians = {
        what: [side(place, pick).as_json()["median"] for place in range(len(lengths))] for what, pick in picks.items()
    }
    chart = Chart(
        name="backlog",
        title="What a record costs while others wait",
        x_label="records waiting",
        y_label="us of processor time",
        lines=[Line(what, lengths, ys) for what, ys in medians.items() if None not in ys],
        log_x=True,
    )
    return Result(script="backlog", findings=findings, charts=[chart])


def main(arguments: Sequence[str] | None = None) -> Result:
    """Measure, print, and return the findings; in a child, only print."""
    options = Options("Costs with many records waiting.", rounds=(3, 2), some=(10_000, 100), longest=(1_000_000, 2_000))
    options.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    chosen = options.read(arguments)
    lengths = up_to(chosen.longest)
    if chosen.child:
        asyncio.run(leave(lengths, chosen.some))
    rounds = take_rounds({"backlog": functools.partial(in_a_child, lengths, chosen.some)}, chosen.rounds, warm_up=False)
    found = result(rounds, lengths)
    found.publish(chosen)
    return found


if __name__ == "__main__":
    main()
