"""``mida spool drain``."""

from __future__ import annotations

import asyncio
from typing import Any

import click
from rich.console import Console

from .._errors import SpoolError
from ..spools.sqlite import SQLiteSpool
from .connection import Connection, connection_options
from .errors import USAGE, Failure, one_line_warnings, usage_error
from .help import ExplainedCommand
from .progress import display_for
from .rates import pace_options, paced
from .spool_places import look, path_argument
from .spool_report import DrainReport
from .spool_run import DrainRun
from .spool_target import target_of


@click.command("drain", cls=ExplainedCommand, short_help="Deliver what a spool holds.")
@connection_options
@path_argument
@click.option("--revision", metavar="YYYY-MM-DD", help="The revision of Klaviyo's API; the newest if not given.")
@pace_options
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def drain(ctx: click.Context, connection: Connection, /, path: str, *, as_json: bool, **given: Any) -> None:
    """
    Deliver what PATH holds, to the service that it was recorded for.

    That it is the same project or account is for you to see to: a spool names the service alone. What fails is among
    the dead letters then.

    Ctrl-C delivers for some seconds more and leaves the rest in the spool; a second one ends at once. A run that was
    killed may send again what it had sent in its last second.

    Returns 0 when all was delivered, 1 when something failed or is left, 2 when nothing was tried, 130 after Ctrl-C.
    """
    with one_line_warnings():
        try:
            report = _drain(path, connection, given)
        except SpoolError as error:
            usage_error(error)
    click.echo(report.as_json() if as_json else report.as_text())
    ctx.exit(report.exit_code)


def _drain(path: str, connection: Connection, given: dict[str, Any]) -> DrainReport:
    destination, dead = _look(path)
    if destination is None:
        return DrainReport(spool=path, dead=dead)
    target = target_of(destination, connection, given["revision"])
    settings = paced(target.buffer, given)
    display = display_for(Console(stderr=True))
    try:
        spool = SQLiteSpool(path)
        run = DrainRun(path, spool, close_timeout=settings.close_timeout, display=display)
        return asyncio.run(run.run(target.client(settings, spool=spool, hooks=[run.tally])))
    finally:
        display.close()


def _look(path: str) -> tuple[str | None, int]:
    """Return whom the records are for, None where there are none, and how many dead letters there are."""
    found = look(path, USAGE)
    free = [file for file in found.files or (found,) if file.owner is None]
    if found.owner is not None or not free:
        owner = found.owner or next((file.owner for file in found.files), None)
        message = f"the spool {path} is in use by {owner}: it delivers what is there, or has to end first"
        raise Failure(message, USAGE)
    full = [file for file in free if file.records]
    destinations = {file.destination for file in full} - {None}
    if len(destinations) > 1:
        message = f"{path} holds spools for {' and '.join(sorted(map(str, destinations)))}: name one of its files"
        raise Failure(message, USAGE)
    return (destinations.pop() if destinations else None), sum(file.dead or 0 for file in free)
