"""``mida emulator``."""

from __future__ import annotations

import asyncio
import shlex
from typing import TYPE_CHECKING, Any, Final, get_args

import attrs
import click

from ..testing import Emulator
from ..testing._emulator.limits import RateModelName
from .rates import RateType, limits_from
from .signals import Interrupts

if TYPE_CHECKING:
    from .._settings import RateLimit

_COUNTERS_SECONDS: Final = 5.0


@click.command("emulator", short_help="Serve the API on this machine.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8787, show_default=True, help="0 for any that is free.")
@click.option("--project-key", default="demo", show_default=True, help="The key of its one project.")
@click.option("--api-key", default="demo-key", show_default=True, help="The API key to ask for; an invented one.")
@click.option("--auto-visitors", is_flag=True, help="Register visitors when they are first heard of.")
@click.option("--rate", "rates", type=RateType(), multiple=True, help="A limit to enforce, such as 350/s; repeatable.")
@click.option(
    "--rate-model",
    type=click.Choice(get_args(RateModelName)),
    default="fixed_window",
    show_default=True,
    help="How limits are counted.",
)
@click.option(
    "--fixture",
    type=click.Path(exists=True, dir_okay=False),
    help="A JSON file with what there is from the beginning: projects, visitors, goals, experiments and so on.",
)
@click.option("--klaviyo-windows", is_flag=True, help="Enforce Klaviyo's published limits on Klaviyo's endpoints.")
@click.option("--latency", type=click.FloatRange(min=0), default=0.0, help="Seconds that every request waits.")
@click.pass_context
def emulator(ctx: click.Context, /, **given: Any) -> None:
    """
    Serve the API on this machine, until Ctrl-C.

    What it records is forgotten when it ends. Without --auto-visitors every event is answered with 400, as the API does
    for visitors whom it has never seen. Klaviyo's endpoints of events are served, too, with the same key.
    """
    rates: tuple[RateLimit | str, ...] = given.pop("rates")
    ctx.exit(asyncio.run(_serve(Emulator(rate_limits=limits_from(rates, ()), **given))))


async def _serve(server: Emulator) -> int:
    stop = asyncio.Event()
    with Interrupts(stop.set, lambda: None).watched():
        async with server:
            click.echo(_greeting(server))
            counters = asyncio.create_task(_counters(server))
            await stop.wait()
            counters.cancel()
            await asyncio.gather(counters, return_exceptions=True)
    click.echo(f"in all: {_counted(server)}")
    return 0


def _greeting(server: Emulator) -> str:
    variables = {
        "MIDA_BASE_URL": server.base_url,
        "MIDA_PROJECT_KEY": server.project_key,
        "MIDA_API_KEY": server.api_key,
        "KLAVIYO_API_KEY": server.api_key,
    }
    exports = "\n".join(f"  export {name}={shlex.quote(value)}" for name, value in variables.items())
    others = [f"also the project {key}" for key in server.state.projects if key != server.project_key]
    greeting = f"serving on {server.base_url}; Ctrl-C ends it. For a client in another terminal:\n{exports}"
    klaviyo = f"it takes Klaviyo's events as well: mida load FILE --to klaviyo --base-url {server.base_url}"
    return "\n".join([greeting, *others, klaviyo])


def _counted(server: Emulator) -> str:
    statistics = server.statistics()
    counted = f"{statistics.requests:,} requests, {statistics.recorded:,} recorded, {statistics.refused:,} x 429"
    dropped = {"known already": server.klaviyo.duplicates, "discarded": server.klaviyo.discarded}
    return ", ".join([counted, *(f"{count:,} {why}" for why, count in dropped.items() if count)])


async def _counters(server: Emulator) -> None:
    """Print the counters every few seconds in which they changed."""
    shown = server.statistics()
    while True:
        await asyncio.sleep(_COUNTERS_SECONDS)
        statistics = server.statistics()
        if attrs.astuple(statistics) != attrs.astuple(shown):
            shown = statistics
            click.echo(_counted(server))
