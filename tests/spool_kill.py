"""
Kill a process that records events, again and again, and see that its spool loses nothing.

``python tests/spool_kill.py [--rounds 100] [--guarantee at_most_once] [--seed 1]`` starts an emulator, and a process
with a client and a spool that records numbered events and tells each one whose ``record()`` has returned. It kills that
process at a random moment (SIGKILL), starts the next one on the same spool, and so on. At the end one process drains
the spool, and every promise is checked:

* every event that was acknowledged was applied, or is a dead letter where ``at_most_once`` forbids a second attempt;
* first applications are in order for each visitor;
* an event was applied twice only if it was applied at most so long before a kill that its end was not on disk yet;
* with ``at_most_once``, none was applied twice.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from mida_async import BufferSettings, MidaClient
from mida_async.spools import admin
from mida_async.spools.sqlite import SQLiteSpool
from mida_async.testing import ThreadedEmulator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

KEY: Final = "key-of-the-killed"
VISITORS: Final = 23
# Seconds after an answer within which its end is on disk, and some for a machine that is busy.
_SETTLED_WITHIN: Final = 1.5
_LONGEST_LIFE: Final = 0.8
_LONGEST_START: Final = 30.0


@attrs.frozen(kw_only=True)
class Found:
    """
    What all rounds together have come to.

    Attributes:
        acknowledged: Events whose ``record()`` had returned.
        applied: Events that were applied.
        repeated: Further applications.
        dead: Dead letters.
        problems: What must not be.
    """

    acknowledged: int
    applied: int
    repeated: int
    dead: int
    problems: tuple[str, ...]


async def _record(base_url: str, path: str, guarantee: Any, first: int) -> None:
    """Record events for ever, or until killed; print the number of each that is accepted."""
    settings = BufferSettings(rate_limits=(), guarantee=guarantee, max_records=200)
    async with MidaClient("project", KEY, base_url=base_url, buffer=settings, spool=SQLiteSpool(path)) as mida:
        if first < 0:
            await mida.buffer.flush()
            return
        numbers = itertools.count(first)

        async def work(who: int) -> None:
            for _ in range(10_000):
                number = next(numbers)
                await mida.buffer.record("e", id=str(who), properties={"n": number})
                os.write(1, b"%d\n" % number)
                await asyncio.sleep(0.001)

        await asyncio.gather(*map(work, range(VISITORS)))


def _child(emulator: ThreadedEmulator, path: Path, guarantee: str, first: int) -> subprocess.Popen[bytes]:
    arguments = ["--record", emulator.base_url, str(path), guarantee, str(first)]
    return subprocess.Popen([sys.executable, __file__, *arguments], stdout=subprocess.PIPE)  # noqa: S603 - our own


def _life(process: subprocess.Popen[bytes], seconds: float) -> tuple[list[int], float]:
    """Let a process live so long after its first event; return what it acknowledged, and when it was killed."""
    with process:
        output = cast("Any", process.stdout)
        lines = [output.readline()]
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.kill()
        killed = time.monotonic()
        lines += output.read().split(b"\n")[:-1]
    return [int(line) for line in lines if line.strip()], killed


def play(rounds: int, guarantee: str, seed: int) -> Found:
    """
    Kill as many processes as *rounds*, then drain the spool.

    Args:
        rounds: How many.
        guarantee: That of the buffer.
        seed: Of the moments.
    """
    dice, kills, acknowledged, first = random.Random(seed), list[float](), list[int](), 1  # noqa: S311 - a test
    emulator = ThreadedEmulator(
        project_key="project", api_key=KEY, auto_visitors=True, latency=0.005, clock=time.monotonic
    )
    with tempfile.TemporaryDirectory() as folder, emulator:
        path = Path(folder) / "spool.db"
        for _ in range(rounds):
            numbers, killed = _life(_child(emulator, path, guarantee, first), dice.uniform(0.0, _LONGEST_LIFE))
            acknowledged += numbers
            kills.append(killed)
            # Numbers of one visitor must grow from process to process; those that were not acknowledged are skipped.
            first = max([first, *numbers]) + 10_000
        last = _child(emulator, path, guarantee, -1)
        last.communicate(timeout=_LONGEST_START + 5 * rounds)
        dead = [letter.record.body for letter in admin.dead_letters(path)]
        left = admin.status(path).records
        problems = list(_problems(emulator, acknowledged, kills, guarantee, dead))
        problems += [f"{left} records are left, and the last process ended with {last.returncode}"] * bool(left)
    times = Counter(cast("int", (event.properties or {})["n"]) for event in emulator.recorded)
    return Found(
        acknowledged=len(acknowledged),
        applied=len(times),
        repeated=times.total() - len(times),
        dead=len(dead),
        problems=tuple(problems),
    )


def _problems(
    emulator: ThreadedEmulator, acknowledged: Sequence[int], kills: Sequence[float], guarantee: str, dead: list[bytes]
) -> Iterator[str]:
    applied: dict[int, list[float]] = defaultdict(list)
    in_order: dict[str | None, list[int]] = defaultdict(list)
    for event in emulator.recorded:
        number = (event.properties or {})["n"]
        if number not in applied:
            in_order[event.id].append(number)
        applied[number].append(event.received_at)
    ended = {json.loads(body)["properties"]["n"] for body in dead}
    lost = [number for number in acknowledged if number not in applied and number not in ended]
    if lost:
        yield f"{len(lost)} acknowledged events were lost: {lost[:5]}"
    if dead and guarantee != "at_most_once":
        yield f"{len(dead)} dead letters of a service that refuses nothing"
    yield from (f"visitor {who} is out of order" for who, numbers in in_order.items() if numbers != sorted(numbers))
    repeated = {number: moments for number, moments in applied.items() if len(moments) > 1}
    if guarantee == "at_most_once":
        yield from (f"event {number} was applied {len(moments)} times" for number, moments in repeated.items())
    yield from (
        f"event {number} was applied again although no kill was near"
        for number, moments in repeated.items()
        if not all(any(-0.1 <= killed - moment <= _SETTLED_WITHIN for killed in kills) for moment in moments[:-1])
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Play, and print what was found; the status is 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--guarantee", default="at_least_once", choices=("at_least_once", "at_most_once"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.record:
        base_url, path, guarantee, first = given.record
        asyncio.run(_record(base_url, path, guarantee, int(first)))
        return 0
    found = play(given.rounds, given.guarantee, given.seed)
    sys.stdout.write(
        f"{given.rounds} kills: {found.acknowledged:,} acknowledged, {found.applied:,} applied, "
        f"{found.repeated} applied again, {found.dead} dead letters\n"
    )
    sys.stdout.writelines(f"PROBLEM: {problem}\n" for problem in found.problems[:20])
    return 1 if found.problems else 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
