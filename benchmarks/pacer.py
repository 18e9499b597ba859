"""
The pacer against five kinds of server, on a clock of its own: the share of the rate that is used, and the refusals.

Run it with ``python benchmarks/pacer.py``. The figures are the same in every run.
"""

from __future__ import annotations

import functools
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from _findings import Finding, Result, Side, Target
from _rounds import Options

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from simulation import MODELS, Simulation, heavy, server, steady

from mida_async import RateLimit
from mida_async._core.pacer import Pacer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mida_async._settings import Pacing

LIMITS: Final = (RateLimit(350, per=1), RateLimit(3500, per=60))
DELAYS: Final = (("steady", steady), ("heavy", heavy))
PACINGS: Final[tuple[Pacing, ...]] = ("smooth", "auto", "burst")


def simulate(seconds: float) -> tuple[dict[str, list[Simulation]], list[str]]:
    """Run every pacing against every server; return the runs by pacing and delays, and a table."""
    lines = [
        f"350/s + 3500/min for {seconds:g} s: % of the steady rate / 429s",
        "pacing  delays " + "".join(f"{name:>24}" for name in MODELS),
    ]
    runs: dict[str, list[Simulation]] = {}
    began, sends = time.process_time(), 0
    for pacing in PACINGS:
        for name, delay in DELAYS:
            row = [
                Simulation(
                    Pacer(LIMITS, pacing=pacing, adaptive=True),
                    server(model, LIMITS),
                    delay=delay,
                    concurrency=300,
                    seed=1,
                ).run(seconds)
                for model in MODELS
            ]
            sends += sum(run.accepted + run.refused for run in row)
            lines.append(f"{pacing:7} {name:7}" + "".join(cell(run, seconds, LIMITS[1]) for run in row))
            runs[f"{pacing}, {name} delays"] = row
    cost = 1e6 * (time.process_time() - began) / sends
    return runs, [*lines, f"{cost:.1f} us a request, the simulation included"]


def share(run: Simulation, seconds: float, limit: RateLimit) -> float:
    """Return how many percent of the limit were used."""
    return 100 * run.accepted / (seconds * limit.limit / limit.per)


def cell(run: Simulation, seconds: float, limit: RateLimit) -> str:
    """Return one cell of the tables."""
    return f"{share(run, seconds, limit):>15.2f} / {run.refused:<6}"


def hidden_limits(seconds: float) -> list[str]:
    """Run the default against servers that allow less than it believes; return a table."""
    lines = [
        f"lower limits than the configured ones, {seconds:g} s: % of the limit / 429s",
        "limit    told    " + "".join(f"{name:>24}" for name in MODELS),
    ]
    for limit in (RateLimit(50, per=1), RateLimit(1000, per=60), RateLimit(3000, per=60)):
        for told in ("nothing", "wait", "limits"):
            row = f"{limit.limit:>4}/{limit.per:<3g} {told:8}"
            for name in MODELS:
                pacer = Pacer(LIMITS, pacing="auto", adaptive=True)
                announced = (limit,) if told == "limits" else ()
                run = Simulation(pacer, server(name, [limit]), retry_after=told == "wait", announced=announced, seed=1)
                row += cell(run.run(seconds), seconds, limit)
            lines.append(row)
    return lines


def result(runs: dict[str, list[Simulation]], seconds: float, notes: Sequence[str]) -> Result:
    """Return the worst share and the sum of the refusals of each pacing; only smooth pacing has them as targets."""
    finding = functools.partial(Finding, exact=True)
    findings: list[Finding] = []
    for name, row in runs.items():
        smooth = name.startswith("smooth")
        least = Side(name, [min(share(run, seconds, LIMITS[1]) for run in row)])
        refused = Side(name, [sum(run.refused for run in row)])
        most, none = Target(">=", 99), Target("<=", 0)
        findings += [
            finding(
                question="the pacer alone: rate used, worst of five servers",
                unit="%",
                ours=least,
                target=most if name == "smooth, steady delays" else None,
            ),
            finding(
                question="the pacer alone: 429s, sum of five servers",
                unit="refusals",
                ours=refused,
                target=none if smooth else None,
            ),
        ]
    return Result(script="pacer", findings=findings, notes=notes)


def main(arguments: Sequence[str] | None = None) -> Result:
    """Run every pacing against every server, print tables, and return the findings."""
    chosen = Options("The pacer alone, simulated.", seconds=(200.0, 2.0), hidden=(200.0, 2.0)).read(arguments)
    runs, table = simulate(chosen.seconds)
    found = result(runs, chosen.seconds, [*table, "", *hidden_limits(chosen.hidden)])
    found.publish(chosen)
    return found


if __name__ == "__main__":
    main()
