"""
Klaviyo's published windows on a virtual clock: the share that the client uses, the refusals, and the events a second.

Run it with ``python benchmarks/klaviyo_rate.py``. Both ways go through the whole client and the emulator, which keeps
the fixed windows of an account: 350 requests a second and 3500 a minute for single events, 10 and 150 in bulk.
"""

from __future__ import annotations

import asyncio
import functools
import random
import time
from typing import TYPE_CHECKING, Final

import attrs
from _findings import Finding, Result, Side, Target
from _rounds import Options

from mida_async import BufferSettings, KlaviyoClient
from mida_async.testing import Emulator, MemoryTransport, run_virtual

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY: Final = "pk_of_the_benchmark"
STEADY: Final = {False: 3500, True: 150}  # requests a minute, single and in bulk
_LATENCY: Final = 0.06
_PROFILES: Final = 5_000


@attrs.frozen(kw_only=True)
class Usage:
    """
    What came of one run.

    Attributes:
        minutes: How long it was, on the virtual clock.
        requests: Requests that the server admitted.
        events: Events that it applied.
        refused: Requests that it refused with 429.
        allowed: Requests that its windows allow in that time.
        took: Seconds of real time.
    """

    minutes: float
    requests: int
    events: int
    refused: int
    allowed: int
    took: float

    @property
    def share(self) -> float:
        """Which part of what is allowed was used."""
        return self.requests / self.allowed

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / (self.minutes * 60.0)


def measure(*, bulk: bool, minutes: int, room: int = 20_000) -> Usage:
    """
    Keep the buffer full for some minutes of virtual time.

    Args:
        bulk: Whether events go in bulk.
        minutes: Whole minutes; each holds one window of the steady limit.
        room: How many events the buffer holds. Enough for what a burst at the beginning of a minute takes, or requests
            are not full.
    """
    began = time.perf_counter()
    emulator = Emulator(api_key=KEY, klaviyo_windows=True, latency=_LATENCY, keep_events=1000, keep_requests=1000)
    settings = BufferSettings(max_records=room, concurrency=64)
    run_virtual(_run(emulator, settings, bulk=bulk, seconds=60.0 * minutes))
    counts = emulator.statistics()
    return Usage(
        minutes=minutes,
        requests=counts.requests - counts.refused,
        events=counts.recorded,
        refused=counts.refused,
        allowed=STEADY[bulk] * minutes,
        took=time.perf_counter() - began,
    )


async def _run(emulator: Emulator, settings: BufferSettings, *, bulk: bool, seconds: float) -> None:
    dice = random.Random(1)  # noqa: S311 - a benchmark
    transport = MemoryTransport(emulator)
    client = KlaviyoClient(KEY, base_url=transport.base_url, bulk=bulk, transport=transport, buffer=settings)

    async def feed() -> None:
        while True:
            profile = {"email": f"user{dice.randrange(_PROFILES)}@klaviyo-demo.com"}
            await client.buffer.record("Viewed Product", profile=profile, properties={"ProductID": 1111})

    feeder = asyncio.create_task(feed())
    await asyncio.sleep(seconds)
    feeder.cancel()
    await client.aclose(0)
    await transport.aclose()


def result(usages: dict[str, Usage]) -> Result:
    """Return what the runs say; on a virtual clock they are the same every time."""
    finding = functools.partial(Finding, exact=True)
    findings: list[Finding] = []
    for name, run in usages.items():
        share, refused, rate = Side(name, [100 * run.share]), Side(name, [run.refused]), Side(name, [run.rate])
        findings += [
            finding(question="Klaviyo's windows used", unit="%", ours=share, target=Target(">=", 99)),
            finding(question="Klaviyo's 429s", unit="refusals", ours=refused, target=Target("<=", 0)),
            finding(question="events to Klaviyo within its windows", unit="events/s", ours=rate),
        ]
    return Result(script="klaviyo_rate", findings=findings)


def main(arguments: Sequence[str] | None = None) -> Result:
    """Run both and print a table."""
    # A minute in bulk brings as many events as forty minutes single, and takes as long to compute.
    options = Options("The rate that Klaviyo allows.", minutes=(3, 1), bulk_minutes=(1, 1), bulk_room=(20_000, 200))
    chosen = options.read(arguments)
    print(f"virtual time, {_LATENCY * 1000:.0f} ms latency: events always waiting")
    usages: dict[str, Usage] = {}
    for name, bulk, minutes in (("single", False, chosen.minutes), ("bulk", True, chosen.bulk_minutes)):
        run = measure(bulk=bulk, minutes=minutes, room=chosen.bulk_room if bulk else 1_000)
        usages[name] = run
        print(
            f"{name:7} {run.requests:>7,} requests: {100 * run.share:6.2f} % of the allowed ones, {run.refused} x 429; "
            f"{run.events:>9,} events, {run.rate:8.1f} a second (in {run.took:.0f} s of real time)"
        )
    found = result(usages)
    found.publish(chosen)
    return found


if __name__ == "__main__":
    main()
