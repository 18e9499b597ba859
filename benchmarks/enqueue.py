"""
What it costs the caller to hand over an event: ``record_nowait`` against posthog, segment and aiokafka's accumulator.

Run it with ``python benchmarks/enqueue.py``. There is no network, and nothing is taken out of the queues. Only the
caller's side is timed, in time of the processor, with the garbage collector at work.
"""

from __future__ import annotations

import functools
import gc
import time
from typing import TYPE_CHECKING, Final

from _enqueuers import MAKERS, OURS, POSTHOG, SEGMENT, Enqueuer
from _findings import Chart, Finding, Line, Result, Target
from _rounds import Options, Rounds, on_a_loop, take_rounds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WARM_UP: Final = 200
TARGETS: Final = ((POSTHOG, 6.0), (SEGMENT, 3.0))


async def rate(make: Callable[[int], Enqueuer], events: int) -> float:
    """Return how many events a second one queue takes."""
    gc.collect()  # what another side has left must not be a cost of this one
    queue = make(events + WARM_UP)
    await queue.fill(WARM_UP)
    began = time.thread_time()
    await queue.fill(events)
    seconds = time.thread_time() - began
    queue.check(events + WARM_UP)
    await queue.close()
    return events / seconds


def result(rates: Rounds[float]) -> Result:
    """Return what the rates say."""
    sides = {name: rates.side(name, float) for name in MAKERS}
    targets = {name: Target(">=", value) for name, value in TARGETS}
    findings = [
        Finding(
            question="handing an event over, nothing sent",
            unit="events/s of processor time",
            ours=sides[OURS],
            theirs=side,
            target=targets.get(name),
        )
        for name, side in sides.items()
        if name != OURS
    ]
    measured = [side for side in sides.values() if side.values]
    medians = [side.as_json()["median"] for side in measured]
    chart = Chart(
        name="enqueue",
        title="Handing an event over, nothing sent",
        x_label="",
        y_label="events/s of processor time",
        lines=[Line("median", [side.name for side in measured], medians)],
    )
    return Result(script="enqueue", findings=findings, charts=[chart])


def main(arguments: Sequence[str] | None = None) -> Result:
    """Measure, print, and return the findings."""
    options = Options("What it costs to hand over an event.", rounds=(6, 2), events=(20_000, 200))
    chosen = options.read(arguments)
    sides = {name: on_a_loop(functools.partial(rate, make, chosen.events)) for name, make in MAKERS.items()}
    found = result(take_rounds(sides, chosen.rounds))
    found.publish(chosen)
    return found


if __name__ == "__main__":
    main()
