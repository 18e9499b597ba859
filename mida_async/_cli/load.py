"""``mida load``."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, get_args

import attrs
import click
from rich.console import Console

from .._settings import BufferSettings, Pacing
from .connection import Connection, connection_options
from .dead_letter import DeadLetters
from .errors import FAILED, one_line_warnings, usage_error
from .help import ExplainedCommand
from .load_run import LoadRun, RunSettings
from .loader import Job
from .progress import display_for
from .rates import RateType, limits_from
from .records import InputError
from .report import nothing_to_do
from .resume import Marks, StateError, StateFile
from .source import Format, Source, guess_format
from .target import Service, Target, target_for


@attrs.frozen(kw_only=True)
class LoadOptions:
    """The options of ``mida load``."""

    target: Target
    path: str
    format: Format
    settings: BufferSettings
    dead_letter: Path | None
    resume: Path | None
    as_json: bool


@click.command("load", cls=ExplainedCommand)
@connection_options
@click.argument("path", metavar="FILE|-", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "--to", "service", type=click.Choice(get_args(Service)), default="mida", show_default=True, help="Where events go."
)
@click.option("--bulk", is_flag=True, help="Many events a request; Klaviyo alone has that.")
@click.option("--revision", metavar="YYYY-MM-DD", help="The revision of Klaviyo's API; the newest if not given.")
@click.option("--format", type=click.Choice(get_args(Format)), help="JSON lines or CSV; else by the name of the file.")
@click.option(
    "--rate", "rates", type=RateType(), multiple=True, help="Such as 350/s, 3500/m, 200/5s or unlimited; repeatable."
)
@click.option("--concurrency", type=click.IntRange(min=1), help="Requests in flight at once, at most.")
@click.option("--pacing", type=click.Choice(get_args(Pacing)), help="How the rate is used; see BufferSettings.")
@click.option("--close-timeout", type=click.FloatRange(min=0), help="Seconds to go on after Ctrl-C; 10 if not given.")
@click.option(
    "--dead-letter", type=click.Path(dir_okay=False, path_type=Path), help="Append failed lines to this file."
)
@click.option(
    "--resume", type=click.Path(dir_okay=False, path_type=Path), help="Remember in this file how far it came."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def load(ctx: click.Context, connection: Connection, /, **given: Any) -> None:
    """
    Send the events of FILE, or of standard input.

    A line of JSON is an object with event_name, one or more of mida_uuid, email and id, and perhaps properties and
    unique_id. CSV has these as columns, properties as JSON. Other fields are not sent. Files may be gzip.

    A line that is wrong, or that the server refuses, counts as failed and never stops the run. A dead-letter file can
    be loaded again.

    Ctrl-C sends what was accepted for some seconds more; a second one ends at once. With --resume the same command goes
    on where the last run stopped: nothing that was delivered or failed is repeated. Only a run that was killed
    (kill -9, power) leaves about a second of events that the next one repeats: those that ended after the file was last
    written. Klaviyo notices, and has each of them once.

    With --to klaviyo, event_name is the metric, and email, id and mida_uuid are the profile's email, external_id and
    anonymous_id. The API key comes from KLAVIYO_API_KEY or --api-key-file; --base-url is everything before /api.

    Returns 0 when all was delivered, 1 when something failed, 2 when nothing was tried, 130 after Ctrl-C.
    """
    ctx.exit(_run(_options(connection, **given)))


def _options(connection: Connection, **given: Any) -> LoadOptions:
    path: str = given["path"]
    written = {given["dead_letter"], given["resume"]} - {None}
    if Path(path) in written or (given["dead_letter"] and given["dead_letter"] == given["resume"]):
        message = "FILE, --dead-letter and --resume must be three different files"
        raise click.UsageError(message)
    target = target_for(given["service"], connection, bulk=given["bulk"], revision=given["revision"])
    return LoadOptions(
        target=target,
        path=path,
        format=given["format"] or guess_format(path),
        settings=_settings(given, target.buffer),
        dead_letter=given["dead_letter"],
        resume=given["resume"],
        as_json=given["as_json"],
    )


def _settings(given: dict[str, Any], settings: BufferSettings) -> BufferSettings:
    chosen = {name: given[name] for name in ("concurrency", "pacing", "close_timeout") if given[name] is not None}
    limits = limits_from(given["rates"], settings.rate_limits)
    return attrs.evolve(settings, rate_limits=limits, **chosen)


def _run(options: LoadOptions) -> int:
    with ExitStack() as stack:
        stack.enter_context(one_line_warnings())
        try:
            source = Source(options.path, options.format)
            stack.callback(source.close)
            state = _state(options, source)
            marks = state.load() if state else Marks()
            if marks.complete:
                return _nothing_to_do(marks, options)
            client = options.target.client(options.settings)
            if state:
                state.write(state.render(marks))
            dead_letters = DeadLetters(options.dead_letter) if options.dead_letter else None
        except (OSError, StateError) as error:
            usage_error(error)
        if dead_letters:
            stack.callback(dead_letters.close)
        display = display_for(Console(stderr=True))
        stack.callback(display.close)
        job = Job(
            source=source,
            marks=marks,
            arguments=partial(options.target.arguments, run_id=marks.run_id if state else None),
            resumable=state is not None,
            dead_letters=dead_letters,
            remark=display.remark,
        )
        settings = RunSettings(
            close_timeout=options.settings.close_timeout, dead_letter=options.dead_letter, state=state, display=display
        )
        try:
            report = asyncio.run(LoadRun(job, settings).run(client))
        except InputError as error:
            usage_error(error)
    click.echo(report.as_json() if options.as_json else report.as_text())
    return report.exit_code


def _state(options: LoadOptions, source: Source) -> StateFile | None:
    if options.resume is None:
        return None
    return StateFile(options.resume, source=source.identity(), target=options.target.name)


def _nothing_to_do(marks: Marks, options: LoadOptions) -> int:
    if options.as_json:
        click.echo(json.dumps(nothing_to_do(marks.delivered, marks.failed, str(options.resume))))
    else:
        done = f"{marks.delivered:,} delivered, {marks.failed.total():,} failed"
        click.echo(f"nothing to do: {options.resume} says that all of {options.path} was loaded ({done})")
    return FAILED if marks.failed else 0
