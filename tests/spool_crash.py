"""
Kill a process that appends and settles, at random moments, and check what it left.

Run it with ``python tests/spool_crash.py --rounds 100`` from the root of the project.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from spool_stages import everything, opened  # noqa: E402

from mida_async.spools.base import Settlement, SpooledRecord  # noqa: E402
from mida_async.testing.spool_suite import make_record  # noqa: E402


def body_of(key: int) -> bytes:
    """Return the body of the record with this key: some are larger than a page."""
    return b"%d:" % key + b"x" * (key * 7919 % 300 if key % 50 else 9000)


async def work(path: str) -> None:
    """Append and settle until killed; tell on stdout what is durable, each on a line of its own."""
    async with opened(path) as (spool, _found, listener):
        settled: list[int] = []
        ticket = 0
        while True:
            keys: list[int] = []
            for _number in range(random.randint(1, 60)):  # noqa: S311  no secret
                key = spool.next_key
                ticket = spool.append(make_record(key, body_of(key)))
                keys.append(key)
            await listener.until_durable(ticket)
            # What was settled before these appends is durable with them.
            lines = [f"a {key}" for key in keys] + [f"s {key}" for key in settled]
            os.write(1, "".join(f"{line}\n" for line in lines).encode())
            settled = random.sample(keys, len(keys) // 2)
            for key in settled:
                spool.settle(key, random.choice((Settlement.DONE, Settlement.DEAD)), "no")  # noqa: S311  no secret
            os.write(1, "".join(f"t {key}\n" for key in settled).encode())


async def look(path: str) -> list[SpooledRecord]:
    """Return what is left."""
    async with opened(path) as (spool, found, _listener):
        records = await everything(spool)
        assert found.remarks == (), found.remarks
        assert found.records == len(records), (found.records, len(records))
        return records


def one_round(path: str, seconds: float, known: dict[int, str]) -> int:
    """Start a process, kill it after so many seconds, and check what it left; return how many records there are."""
    command = [sys.executable, __file__, "--work", path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:  # noqa: S603  ourselves
        timer = threading.Timer(seconds, process.send_signal, [signal.SIGKILL])
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            if not lines:
                timer.start()
            lines.append(line)
    for line in lines:
        if line.endswith("\n"):
            kind, key = line.split()
            known[int(key)] = kind
    records = asyncio.run(look(path))
    keys = [record.key for record in records]
    assert keys == sorted(set(keys)), "the order is broken"
    assert all(record == make_record(record.key, body_of(record.key)) for record in records), "a record is not whole"
    there = set(keys)
    acknowledged = {key for key, kind in known.items() if kind == "a"}
    assert acknowledged <= there, f"lost: {sorted(acknowledged - there)}"
    gone = {key for key, kind in known.items() if kind == "s"}
    assert not gone & there, f"settled, and there again: {sorted(gone & there)}"
    known.update({key: "a" if key in there else "s" for key in there | known.keys()})
    return len(there)


def run(rounds: int, seed: int) -> int:
    """Run so many rounds on one file; return how many records there are at the end."""
    chance = random.Random(seed)  # noqa: S311  no secret
    known: dict[int, str] = {}
    left = 0
    with tempfile.TemporaryDirectory() as folder:
        for _round in range(rounds):
            left = one_round(str(Path(folder) / "spool.db"), chance.uniform(0.0, 0.3), known)
    return left


def main() -> None:
    """Do one or the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    if chosen.work:
        asyncio.run(work(chosen.work))
    else:
        print(f"{chosen.rounds} rounds, {run(chosen.rounds, chosen.seed)} records")  # noqa: T201  a script


if __name__ == "__main__":
    main()
