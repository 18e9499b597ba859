"""
How long closing takes while events wait that cannot be delivered.

Run it with ``python benchmarks/close.py``. The server is down (nothing listens), is a black hole (it takes requests and
never answers), or stalls (its answers begin and do not go on). Closing may take as long as it was told, and half a
second to clear up. The others have no such time to be told; they are only asked what they do while the server is down,
each in a process of its own, and are not waited for longer than ``--limit``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import logging
import socket
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from _findings import Finding, Result, Side, Target
from _rounds import Options, Rounds, child, load, on_a_loop, take_rounds

from mida_async import BufferSettings, MidaClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

DOWN: Final = "down"
BLACK_HOLE: Final = "black hole"
STALLED: Final = "stalled"
KINDS: Final = (DOWN, BLACK_HOLE, STALLED)
SLACK: Final = 0.5
# Modules, and how to install them.
OTHERS: Final = MappingProxyType(
    {"posthog": ("posthog", "posthog"), "segment": ("segment.analytics.client", "segment-analytics-python")}
)
_BEGINNING: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
_BEFORE: Final = 0.1


@contextlib.asynccontextmanager
async def trouble(kind: str) -> AsyncIterator[str]:
    """Be a server that is of no use; the value is its URL."""
    if kind == DOWN:
        yield _nobody()
        return
    connections: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(writer)
        with contextlib.suppress(ConnectionError):
            while await reader.read(2**16):
                if kind == STALLED:
                    writer.write(_BEGINNING)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for each in connections:
            each.transport.abort()


def _nobody() -> str:
    """Return the URL of a port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"http://127.0.0.1:{listening.getsockname()[1]}"


async def ours(kind: str, timeout: float, events: int) -> float:  # noqa: ASYNC109 - what close() is told
    """Record, wait until requests are under way, and return the seconds that closing takes."""
    async with trouble(kind) as base_url:
        mida = MidaClient("key", "benchmark", base_url=base_url, buffer=BufferSettings(rate_limits=()))
        for number in range(events):
            await mida.buffer.record("purchase_completed", id=f"user_{number}")
        await asyncio.sleep(_BEFORE)
        began = time.perf_counter()
        await mida.aclose(timeout)
        return time.perf_counter() - began


def close_posthog(events: int) -> float:
    """Capture, and return the seconds that posthog's shutdown takes."""
    library: Any = load(*OTHERS["posthog"])
    client = library.Posthog("key", host=_nobody())
    for number in range(events):
        client.capture("purchase_completed", distinct_id=f"user_{number}")
    began = time.perf_counter()
    client.shutdown()
    return time.perf_counter() - began


def close_segment(events: int) -> float:
    """Track, and return the seconds that segment's shutdown takes."""
    library: Any = load(*OTHERS["segment"])
    client = library.Client("key", host=_nobody())
    for number in range(events):
        client.track(f"user_{number}", "purchase_completed")
    began = time.perf_counter()
    client.shutdown()
    return time.perf_counter() - began


def in_a_child(name: str, chosen: argparse.Namespace) -> float:
    """Close another library's client in a process of its own."""
    load(*OTHERS[name])
    arguments = ["--child", name, "--events", str(chosen.events)]
    return float(child(__file__, *arguments, limit=chosen.limit))


def result(found: Rounds[float], others: Rounds[float], chosen: argparse.Namespace) -> Result:
    """Return what was measured."""
    target = Target("<=", chosen.timeout + SLACK)
    question = f"closing in {chosen.timeout:g} s with {chosen.events:,} events undelivered, server "
    findings = [
        Finding(question=question + kind, unit="s", ours=found.side(kind, float), target=target) for kind in KINDS
    ]
    findings += [
        Finding(
            question=question + DOWN,
            unit="s",
            ours=Side("mida_async", findings[0].ours.values),
            theirs=others.side(name, float),
        )
        for name in others.measured
    ]
    return Result(script="close", findings=findings)


def main(arguments: Sequence[str] | None = None) -> Result | None:
    """Measure, print, and return the findings; in a child, only print."""
    sizes = {"rounds": (3, 2), "events": (1_000, 20), "timeout": (1.0, 0.05), "limit": (8.0, 1.0)}
    options = Options("How long closing takes.", **sizes)
    options.add_argument("--child", choices=OTHERS, help=argparse.SUPPRESS)
    chosen = options.read(arguments)
    if chosen.child:
        logging.disable()  # they tell every failed attempt
        print({"posthog": close_posthog, "segment": close_segment}[chosen.child](chosen.events), flush=True)
        return None
    sides = {kind: on_a_loop(functools.partial(ours, kind, chosen.timeout, chosen.events)) for kind in KINDS}
    others = {name: functools.partial(in_a_child, name, chosen) for name in OTHERS}
    found = result(take_rounds(sides, chosen.rounds, warm_up=False), take_rounds(others, 1, warm_up=False), chosen)
    found.publish(chosen)
    return found


if __name__ == "__main__":
    main()
