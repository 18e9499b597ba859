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
    print(f"{1e6 * (time.perf_counter() - began) / sends:.1f} us a request, the simulation included")


if __name__ == "__main__":
    main()
