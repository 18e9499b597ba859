"""
What a record costs with one visitor and with hundreds of thousands, while equally many records wait.

Run it with ``python benchmarks/lanes.py``. There is no network: a transport in memory answers at once, when it is
allowed to. Times are those of the processor, with the garbage collector at work. Every measurement is a process of its
own: all records are recorded, and some of them delivered, which are those of as many visitors as there are. With
``--records 1000000`` there are a million visitors.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import os
from typing import TYPE_CHECKING, Final, NoReturn

import attrs
from _findings import Chart, Finding, Line, Result, Target
from _gate import GatedBuffer
from _rounds import Options, Rounds, child, take_rounds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

VISITORS: Final = (1, 1_000, 1_000_000)
SOME: Final = 10_000
TARGET: Final = Target("<=", 1.3)


@attrs.frozen
class Costs:
    """Microseconds for each record: to record it, and to deliver one."""

    recording: float
    delivering: float

    @property
    def both(self) -> float:
        """What a record costs from its beginning to its end."""
        return self.recording + self.delivering


async def leave(visitors: int, records: int) -> NoReturn:
    """Measure in this process, print, and end it on the spot."""
    some = min(SOME, records // 2)
    gated = GatedBuffer(records + some, visitors)
    gated.record(some)
    await gated.deliver(some)
    recording = gated.record(records) / records
    delivering = await gated.deliver(some) / some
    print(json.dumps(attrs.asdict(Costs(1e6 * recording, 1e6 * delivering))), flush=True)
    os._exit(0)


def in_a_child(visitors: int, records: int) -> Costs:
    """Measure in a process of its own."""
    return Costs(**child(__file__, "--child", str(visitors), "--records", str(records)))


def result(costs: Rounds[Costs], visitors: Sequence[int]) -> Result:
    """Return what the costs say: the most lanes against a thousand, and against one."""
    names = [named(each) for each in visitors]
    sides = {name: costs.side(name, lambda each: each.both) for name in names}
    findings = [
        Finding(
            question="a record recorded and delivered, equally many waiting",
            unit="us of processor time",
            ours=sides[names[-1]],
            theirs=sides[name],
            target=TARGET if name == names[-2] else None,
        )
        for name in reversed(names[:-1])
    ]
    picks: dict[str, Callable[[Costs], float]] = {
        "recorded and delivered": lambda each: each.both,
        "recorded": lambda each: each.recording,
        "delivered": lambda each: each.delivering,
    }
    medians = {what: [costs.side(name, pick).as_json()["median"] for name in names] for what, pick in picks.items()}
    chart = Chart(
        name="lanes",
        title="What a record costs with many visitors",
        x_label="visitors",
        y_label="us of processor time",
        lines=[Line(what, visitors, ys) for what, ys in medians.items() if None not in ys],
        log_x=True,
    )
    return Result(script="lanes", findings=findings, charts=[chart])


def named(visitors: int) -> str:
    """Return the name of a side."""
    return f"{visitors:,} visitor" + "s" * (visitors != 1)


def main(arguments: Sequence[str] | None = None) -> Result:
    """Measure, print, and return the findings; in a child, only print."""
    options = Options("Costs with many visitors.", rounds=(3, 2), records=(400_000, 1_000))
    options.add_argument("--child", type=int, help=argparse.SUPPRESS)
    chosen = options.read(arguments)
    if chosen.child:
        asyncio.run(leave(chosen.child, chosen.records))
    visitors = sorted({min(each, chosen.records) for each in VISITORS})
    sides = {named(each): functools.partial(in_a_child, each, chosen.records) for each in visitors}
    found = result(take_rounds(sides, chosen.rounds, warm_up=False), visitors)
    found.publish(chosen)
    return found


if __name__ == "__main__":
    main()
