"""
The pacer against five kinds of server, on a clock of its own: the share of the rate that is used, and the refusals.

Run it with ``python benchmarks/pacer.py``.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from simulation import MODELS, Simulation, heavy, server, steady

from mida_async import RateLimit
from mida_async._core.pacer import Pacer

LIMITS: Final = (RateLimit(350, per=1), RateLimit(3500, per=60))
SECONDS: Final = 600.0


def main() -> None:
    """Run every pacing against every server and print a table."""
    print("350/s + 3500/min for 600 s: % of the steady rate / 429s")
    print("pacing  delays " + "".join(f"{name:>24}" for name in MODELS))
    began, sends = time.perf_counter(), 0
    for pacing in ("smooth", "auto", "burst"):
        for delay in (steady, heavy):
            row = f"{pacing:7} {delay.__name__:7}"
            for name in MODELS:
                pacer = Pacer(LIMITS, pacing=pacing, adaptive=True)
                run = Simulation(pacer, server(name, LIMITS), delay=delay, concurrency=300, seed=1).run(SECONDS)
                share = 100 * run.accepted / (SECONDS * min(each.limit / each.per for each in LIMITS))
                row += f"{share:>15.2f} / {run.refused:<6}"
                sends += run.accepted + run.refused
            print(row)
    cost = 1e6 * (time.perf_counter() - began) / sends
    hidden_limits()
    print(f"{cost:.1f} us a request, the simulation included")


def hidden_limits() -> None:
    """Run the default against servers that allow less than it believes, and print a table."""
    print("\nlower limits than the configured ones, 600 s: % of the limit / 429s")
    print("limit    told    " + "".join(f"{name:>24}" for name in MODELS))
    for limit in (RateLimit(50, per=1), RateLimit(1000, per=60), RateLimit(3000, per=60)):
        for told in ("nothing", "wait", "limits"):
            row = f"{limit.limit:>4}/{limit.per:<3g} {told:8}"
            for name in MODELS:
                pacer = Pacer(LIMITS, pacing="auto", adaptive=True)
                announced = (limit,) if told == "limits" else ()
                run = Simulation(pacer, server(name, [limit]), retry_after=told == "wait", announced=announced, seed=1)
                run.run(SECONDS)
                row += f"{100 * run.accepted / (SECONDS * limit.limit / limit.per):>15.2f} / {run.refused:<6}"
            print(row)
    print()


if __name__ == "__main__":
    main()
