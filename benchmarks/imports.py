"""
What ``import mida_async`` costs beyond ``import aiohttp``, and what the others' imports cost.

Run it with ``python benchmarks/imports.py``. Every import is made in a fresh interpreter and measured in time of its
processor; the files are in the system's cache and compiled. ``--breakdown`` lists the modules that take longest.
"""

from __future__ import annotations

import functools
import itertools
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import attrs
from _findings import Finding, Result, Side, Target
from _rounds import Options, Rounds, child, load, take_rounds

if TYPE_CHECKING:
    from collections.abc import Sequence

TARGET: Final = Target("<=", 0.35)
OURS: Final = "import mida_async"
OTHERS: Final = (
    ("posthog", "posthog"),
    ("segment.analytics", "segment-analytics-python"),
    ("aiokafka", "aiokafka"),
    ("httpx", "httpx"),
)


@attrs.frozen
class Milliseconds:
    """What the imports cost, one after the other."""

    each: tuple[float, ...]


def cost(*modules: str) -> Milliseconds:
    """Import the modules, one after the other, in a fresh interpreter."""
    lines = ["import time", "clock = [time.process_time()]"]
    for module in modules:
        lines += [f"import {module}", "clock.append(time.process_time())"]
    clock = child("-c", "\n".join([*lines, "print(clock)"]))
    return Milliseconds(tuple(1e3 * (end - begin) for begin, end in itertools.pairwise(clock)))


def cost_of_other(module: str, distribution: str) -> Milliseconds:
    """Import a module of another library."""
    load(module, distribution)
    return cost(module)


def breakdown(lines: int) -> list[str]:
    """Return the modules beyond aiohttp that take longest themselves."""
    command = [
        sys.executable,
        "-X",
        "importtime",
        "-c",
        "import aiohttp, sys; print('|', file=sys.stderr); import mida_async",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  our own code
    rows = [line.split("|") for line in done.stderr.partition("\n|\n")[2].splitlines()]
    took = sorted(((int(row[0].rpartition(":")[2]), row[2].strip()) for row in rows), reverse=True)
    return ["us by themselves, beyond aiohttp:", *(f"{each:>8,} {module}" for each, module in took[:lines])]


def result(costs: Rounds[Milliseconds], notes: Sequence[str]) -> Result:
    """Return what was measured."""
    beyond = costs.side(OURS, lambda each: each.each[1])
    aiohttp = costs.side(OURS, lambda each: each.each[0])
    whole = costs.side(OURS, lambda each: sum(each.each))
    unit = "ms of processor time"
    findings = [
        Finding(
            question="import mida_async beyond import aiohttp",
            unit=unit,
            ours=Side("beyond aiohttp", beyond.values, beyond.missing),
            theirs=Side("import aiohttp", aiohttp.values, aiohttp.missing),
            target=TARGET,
        )
    ]
    findings += [
        Finding(question="the whole import", unit=unit, ours=whole, theirs=costs.side(name, lambda each: each.each[0]))
        for name in costs.measured
        if name != OURS
    ]
    return Result(script="imports", findings=findings, notes=notes)


def main(arguments: Sequence[str] | None = None) -> Result:
    """Measure, print, and return the findings."""
    options = Options("What imports cost.", rounds=(8, 2))
    options.add_argument("--breakdown", type=int, default=0, metavar="LINES", help="list the slowest modules")
    chosen = options.read(arguments)
    sides = {OURS: functools.partial(cost, "aiohttp", "mida_async")}
    sides |= {f"import {module}": functools.partial(cost_of_other, module, name) for module, name in OTHERS}
    found = result(take_rounds(sides, chosen.rounds), breakdown(chosen.breakdown) if chosen.breakdown else [])
    found.publish(chosen)
    return found


if __name__ == "__main__":
    main()
