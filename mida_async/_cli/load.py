"""``mida load``."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

import attrs
import click
from rich.console import Console

from .._errors import SpoolError
from .._settings import BufferSettings
from ..spools.sqlite import SQLiteSpool
from .connection import Connection, connection_options
from .dead_letter import DeadLetters
from .errors import FAILED, one_line_warnings, usage_error
from .help import ExplainedCommand
from .load_run import LoadRun, RunSettings
from .loader import Job
from .progress import display_for
from .rates import pace_options, paced
from .records import InputError
from .report import nothing_to_do
from .resume import Marks, StateError, StateFile
from .source import Format, Source, guess_format
from .spool_counts import SpoolRemarks
from .target import Client, Service, Target, target_for

if TYPE_CHECKING:
    import uuid

# How far reading is ahead of sending with a spool, which costs little memory for each line: some 100 MB.
_MOST_IN_SPOOL: Final = 100_000


@attrs.frozen(kw_only=True)
class LoadOptions:
    """The options of ``mida load``."""

    target: Target
    path: str
    format: Format
    settings: BufferSettings
    dead_letter: Path | None
    resume: Path | None
    spool: str | None
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
@pace_options
@click.option(
    "--dead-letter", type=click.Path(dir_okay=False, path_type=Path), help="Append failed lines to this file."
)
@click.option(
    "--resume", type=click.Path(dir_okay=False, path_type=Path), help="Remember in this file how far it came."
)
@click.option(
    "--spool", type=click.Path(), metavar="PATH", help="Keep what was accepted on disk, until it is delivered."
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

    With --spool, what was read is on disk before it is sent, and whatever happens to this run, the next one with that
    spool delivers it first, and so does mida spool drain PATH. What fails is among its dead letters. With --resume as
    well, no line that is in the spool is read again. A run that was killed may send again what it had sent in its last
    second.

    With --to klaviyo, event_name is the metric, and email, id and mida_uuid are the profile's email, external_id and
    anonymous_id. The API key comes from KLAVIYO_API_KEY or --api-key-file; --base-url is everything before /api.

    Returns 0 when all was delivered, 1 when something failed, 2 when nothing was tried, 130 after Ctrl-C.
    """
    ctx.exit(_run(_options(connection, **given)))


def _options(connection: Connection, **given: Any) -> LoadOptions:
    path: str = given["path"]
    _check_files(path, given)
    target = target_for(given["service"], connection, bulk=given["bulk"], revision=given["revision"])
    return LoadOptions(
        target=target,
        path=path,
        format=given["format"] or guess_format(path),
        settings=paced(target.buffer, given),
        dead_letter=given["dead_letter"],
        resume=given["resume"],
        spool=given["spool"],
        as_json=given["as_json"],
    )


def _check_files(path: str, given: dict[str, Any]) -> None:
    named = [Path(given[name]) for name in ("dead_letter", "resume", "spool") if given[name] is not None]
    if len({Path(path), *named}) <= len(named):
        three = "FILE, --dead-letter and --resume must be three different files"
        message = three if given["spool"] is None else f"{three}, and --spool another one"
        raise click.UsageError(message)


def _run(options: LoadOptions) -> int:
    with ExitStack() as stack:
        stack.enter_context(one_line_warnings())
        try:
            source = Source(options.path, options.format)
            stack.callback(source.close)
            state = _state(options, source)
            marks = state.load() if state else Marks()
            if marks.complete and not options.spool:
                return _nothing_to_do(marks, options)
            display = display_for(Console(stderr=True))
            stack.callback(display.close)
            remarks = SpoolRemarks(display.remark) if options.spool else None
            client = _client(options, remarks)
            if state:
                state.write(state.render(marks))
            dead_letters = DeadLetters(options.dead_letter) if options.dead_letter else None
        except (OSError, StateError) as error:
            usage_error(error)
        if dead_letters:
            stack.callback(dead_letters.close)
        job = Job(
            source=source,
            marks=marks,
            arguments=partial(options.target.arguments, run_id=_run_id(options, marks)),
            resumable=state is not None,
            dead_letters=dead_letters,
            remark=display.remark,
            spooled=options.spool is not None,
        )
        settings = RunSettings(
            close_timeout=options.settings.close_timeout,
            dead_letter=options.dead_letter,
            state=state,
            display=display,
            spool=options.spool,
            remarks=remarks,
        )
        try:
            report = asyncio.run(LoadRun(job, settings).run(client))
        except (InputError, SpoolError) as error:
            usage_error(error)
    click.echo(report.as_json() if options.as_json else report.as_text())
    return report.exit_code


def _state(options: LoadOptions, source: Source) -> StateFile | None:
    if options.resume is None:
        return None
    return StateFile(options.resume, source=source.identity(), target=options.target.name)


def _client(options: LoadOptions, remarks: SpoolRemarks | None) -> Client:
    if options.spool is None or remarks is None:
        return options.target.client(options.settings)
    spool = SQLiteSpool(options.spool, max_records=_MOST_IN_SPOOL)
    return options.target.client(options.settings, spool=spool, hooks=[remarks])


def _run_id(options: LoadOptions, marks: Marks) -> uuid.UUID | None:
    """
    Return what the ids of lines are made of; None where they need none.

    A line that is in the spool, and that a killed run could not note any more, is known to the buffer by its id.
    """
    return marks.run_id if options.resume and (options.spool or options.target.keeps_ids) else None


def _nothing_to_do(marks: Marks, options: LoadOptions) -> int:
    if options.as_json:
        click.echo(json.dumps(nothing_to_do(marks.delivered, marks.failed, str(options.resume))))
    else:
        done = f"{marks.delivered:,} delivered, {marks.failed.total():,} failed"
        done += f", {marks.spooled:,} handed over to a spool" if marks.spooled else ""
        click.echo(f"nothing to do: {options.resume} says that all of {options.path} was loaded ({done})")
    return FAILED if marks.failed else 0
