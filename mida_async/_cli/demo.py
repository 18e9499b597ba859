"""``mida demo``: real requests to a real server on this machine, some of which go wrong."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import attrs
import click
from rich.console import Console

from .._client import MidaClient
from .._settings import BufferSettings
from ..testing import Emulator, ReceivedRequest, ResetAfter, Status
from .errors import FAILED
from .monitor import Pulse
from .progress import Display, Snapshot, display_for
from .sample import sample_events
from .tally import RateMeter, Tally

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .._core.entry import Receipt
    from ..testing import RecordedEvent

_EVENTS: Final = 1500
_MOST_EVENTS: Final = 3000  # the limit of a minute would make more of them wait
_SHOW_SECONDS: Final = 0.1
_API_KEY: Final = "demo-key"


@click.command("demo", short_help="Watch events go through the buffer to a server on this machine.")
@click.option(
    "--events",
    type=click.IntRange(1, _MOST_EVENTS),
    default=_EVENTS,
    show_default=True,
    help="How many events to send.",
)
@click.pass_context
def demo(ctx: click.Context, events: int) -> None:
    """
    Send a sample of events through the buffer to a server on this machine.

    The server keeps the default rate limits, and plays some faults: it fails, it resets a connection after it has
    applied an event, it asks to come back later. At the end the command compares what was sent with what the server
    has.
    """
    display = display_for(Console(stderr=True))
    try:
        ctx.exit(asyncio.run(_demonstrate(list(sample_events(events)), display)))
    finally:
        display.close()


async def _demonstrate(events: list[dict[str, Any]], display: Display) -> int:
    # The default pacing would turn careful at the 429, and then spread what is left over a minute.
    settings = BufferSettings(pacing="burst")
    server = Emulator(
        project_key="demo", api_key=_API_KEY, auto_visitors=True, rate_limits=settings.rate_limits, latency=0.01
    )
    _plan_faults(server, len(events))
    async with server, MidaClient("demo", _API_KEY, base_url=server.base_url, buffer=settings) as mida:
        click.echo(f"an emulator serves on {server.base_url}; sending it {len(events):,} events of a web shop")
        run = _Run(mida, len(events))
        watcher = asyncio.create_task(run.watch(display))
        await run.send(events)
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)
        display.close()
        statistics = mida.buffer.statistics()
    findings = compare(events, server.recorded, run.tally)
    click.echo(_report(run, statistics.attempts, statistics.throttled, findings))
    return 0 if findings.good else FAILED


def _plan_faults(server: Emulator, count: int) -> None:
    """Let something go wrong after a quarter, a half and nearly all of the requests."""
    faults = (
        (count // 4, Status(503, headers={"Retry-After": "1"})),
        (count // 2, ResetAfter()),
        (count * 24 // 25, Status(429, headers={"Retry-After": "1"})),
    )
    for number, fault in faults:
        server.script(fault, match=_After(server, number))


@attrs.frozen
class _After:
    """Matches every request from a certain one on."""

    server: Emulator
    number: int

    def __call__(self, _request: ReceivedRequest) -> bool:
        return self.server.requests.total > self.number


class _Run:
    """What the demo sends, and what is seen of it."""

    def __init__(self, mida: MidaClient, count: int) -> None:
        self._mida = mida
        self._count = count
        self.tally = Tally()
        self.elapsed = 0.0

    async def send(self, events: list[dict[str, Any]]) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        for event in events:
            delivery = await self._mida.buffer.record(**event)
            delivery.add_done_callback(self._ended)
        await self._mida.buffer.flush()
        self.elapsed = loop.time() - started

    def _ended(self, delivery: asyncio.Future[Receipt]) -> None:
        error = None if delivery.cancelled() else delivery.exception()
        if delivery.cancelled() or error is not None:
            self.tally.failed[type(error).__name__] += 1
            return
        receipt = delivery.result()
        self.tally.delivered += 1
        self.tally.retried += receipt.attempts - 1
        self.tally.duplicates += receipt.may_be_duplicate
        self.tally.waited.add(receipt.waited)

    async def watch(self, display: Display) -> None:
        loop, meter, pulse = asyncio.get_running_loop(), RateMeter(), Pulse()
        while True:
            statistics, tally, now = self._mida.buffer.statistics(), self.tally, loop.time()
            display.update(
                Snapshot(
                    delivered=tally.delivered,
                    failed=tally.failed.total(),
                    waiting=statistics.pending,
                    retried=tally.retried,
                    throttled=statistics.throttled,
                    rate=meter.update(now, tally.ended),
                    share=tally.ended / self._count,
                    note=pulse.note(now, tally.ended, statistics),
                )
            )
            await asyncio.sleep(_SHOW_SECONDS)


@attrs.frozen(kw_only=True)
class Findings:
    """
    What the server has, compared with what was sent.

    Attributes:
        visitors: How many visitors there were.
        arrived: How many of the events the server has.
        sent: How many there were.
        in_order: How many visitors' events the server has complete and in order.
        twice: How many events the server has twice.
        excused: How many of these may be there twice by their receipts.
    """

    visitors: int
    arrived: int
    sent: int
    in_order: int
    twice: int
    excused: int

    @property
    def good(self) -> bool:
        """Whether everything arrived, in order, and nothing twice without a word."""
        return self.arrived == self.sent and self.in_order == self.visitors and self.twice <= self.excused


def compare(sent: Sequence[Mapping[str, Any]], recorded: Sequence[RecordedEvent], tally: Tally) -> Findings:
    """
    Check on the server's side that all events are there and in each visitor's order.

    Args:
        sent: The events as they were given to the buffer.
        recorded: The events as the server applied them.
        tally: What the receipts said.
    """
    wanted: defaultdict[str, list[tuple[str, Any]]] = defaultdict(list)
    found: defaultdict[str, list[tuple[str, Any]]] = defaultdict(list)
    for event in sent:
        wanted[event["id"]].append((event["event_name"], event["properties"]))
    twice = 0
    for applied in recorded:
        row, rows = (applied.event_name, applied.properties), found[applied.id or ""]
        if rows and rows[-1] == row:  # each step is its own, so this is the same event again
            twice += 1
        else:
            rows.append(row)
    arrived = sum(row in found[visitor] for visitor, rows in wanted.items() for row in rows)
    return Findings(
        visitors=len(wanted),
        arrived=arrived,
        sent=len(sent),
        in_order=sum(found[visitor] == rows for visitor, rows in wanted.items()),
        twice=twice,
        excused=tally.duplicates,
    )


def _report(run: _Run, requests: int, throttled: int, findings: Findings) -> str:
    tally = run.tally
    rows = (
        ("delivered", f"{tally.delivered:,} of {findings.sent:,} in {run.elapsed:.1f} s"),
        ("requests", f"{requests:,} ({tally.retried:,} retried, {throttled:,} x 429)"),
        ("arrived", f"{findings.arrived:,} of {findings.sent:,}, as the server has them"),
        ("order", f"right for {findings.in_order:,} of {findings.visitors:,} visitors"),
        ("twice", f"{findings.twice:,} ({findings.excused:,} receipts said that it may be)"),
        ("verdict", "everything arrived, in order" if findings.good else "SOMETHING IS MISSING OR OUT OF ORDER"),
    )
    return "\n".join(f"{name:<10} {value}" for name, value in rows)
