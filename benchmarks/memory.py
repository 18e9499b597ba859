"""
The memory that each waiting event takes: ours against the queues of posthog, segment and aiokafka.

Run it with ``python benchmarks/memory.py``. Each measurement is made in a fresh process. ``resident`` is by how much
the process grew; ``deep`` is the size of every object that can be reached from the queue and was not there before.
Nobody keeps what the calls return.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import gc
import json
import sys
import types
from typing import TYPE_CHECKING, Final

import attrs
from _enqueuers import MAKERS, OURS, POSTHOG, need
from _findings import Finding, Result, Target
from _harness import settled_memory
from _rounds import Options, Rounds, child, take_rounds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WARM_UP: Final = 200
_SHARED: Final = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.CodeType)


@attrs.frozen
class Bytes:
    """Bytes for each event."""

    resident: float
    deep: float


def deep_size(root: object) -> int:
    """Return the bytes of everything that *root* leads to, but for code and modules."""
    seen: set[int] = set()
    left, total = [root], 0
    while left:
        each = left.pop()
        if id(each) in seen or isinstance(each, _SHARED):
            continue
        seen.add(id(each))
        total += sys.getsizeof(each)
        left.extend(gc.get_referents(each))
    return total


async def measure(name: str, records: int) -> Bytes:
    """Fill one queue in this process."""
    queue = MAKERS[name](records + WARM_UP)
    await queue.fill(WARM_UP)
    deep_before, before = deep_size(queue.root), settled_memory()
    await queue.fill(records)
    grown = 1e6 * (settled_memory() - before)
    gained = deep_size(queue.root) - deep_before
    queue.check(records + WARM_UP)
    await queue.close()
    return Bytes(grown / records, gained / records)


def in_a_child(name: str, records: int) -> Bytes:
    """Fill one queue in a process of its own."""
    need(name)
    return Bytes(**child(__file__, "--child", name, "--records", str(records)))


def result(measured: Rounds[Bytes]) -> Result:
    """Return what was measured."""

    def findings(question: str, pick: Callable[[Bytes], float]) -> list[Finding]:
        sides = {name: measured.side(name, pick) for name in MAKERS}
        return [
            Finding(
                question=question,
                unit="bytes a waiting event",
                ours=sides[OURS],
                theirs=side,
                target=Target("<=", 0.6) if name == POSTHOG else None,
            )
            for name, side in sides.items()
            if name != OURS
        ]

    return Result(
        script="memory",
        findings=[
            *findings("memory of a waiting event, resident", lambda each: each.resident),
            *findings("memory of a waiting event, sum of its objects", lambda each: each.deep),
        ],
    )


def main(arguments: Sequence[str] | None = None) -> Result | None:
    """Measure, print, and return the findings; in a child, only print."""
    options = Options("The memory of waiting events.", rounds=(2, 2), records=(100_000, 2_000))
    options.add_argument("--child", choices=MAKERS, help=argparse.SUPPRESS)
    chosen = options.read(arguments)
    if chosen.child:
        print(json.dumps(attrs.asdict(asyncio.run(measure(chosen.child, chosen.records)))))
        return None
    sides = {name: functools.partial(in_a_child, name, chosen.records) for name in MAKERS}
    found = result(take_rounds(sides, chosen.rounds, warm_up=False))
    found.publish(chosen)
    return found


if __name__ == "__main__":
    main()
