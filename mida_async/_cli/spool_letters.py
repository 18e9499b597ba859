"""``mida spool dead``, ``retry`` and ``drop``: the records that will not be sent again by themselves."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import attrs
import click

from ..spools import admin
from .confirmations import ask
from .errors import FAILED, USAGE, Failure
from .output import print_rows
from .spool_export import LineWriter
from .spool_lines import everything_of, may_be_applied, moment
from .spool_places import files_of, look, one_file, output_option, path_argument, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ..spools.base import DeadRecord

# A table of all of a million dead letters is of no use to anybody, and takes a minute.
_ROWS: Final = 50
_NAMED: Final = 10

_keys_option: Final[Callable[[Any], Any]] = click.option(
    "--key", "keys", type=click.IntRange(min=1), multiple=True, help="This one; repeatable."
)
_yes_option: Final[Callable[[Any], Any]] = click.option("--yes", is_flag=True, help="Do not ask.")


@click.command("dead", short_help="List what failed for good, and why.")
@path_argument
@click.option("--limit", type=click.IntRange(min=1), help="So many at most; a table has 50 where this is not given.")
@click.option("--json", "as_json", is_flag=True, help="Print all of each as JSON, one a line.")
@output_option
@click.pass_context
def dead(ctx: click.Context, path: str, limit: int | None, output: Path | None, *, as_json: bool) -> None:
    """
    List the dead letters of PATH: what was refused, has become too old, or was perhaps applied and is not sent again.

    With --output they are written as lines that mida load takes, each with its reason.
    """
    if as_json and output is not None:
        message = "--json and --output are two ways to write them; choose one"
        raise click.UsageError(message)
    files = files_of(path)
    if output is not None:
        ctx.exit(_write(_letters(files, limit), output))
    if as_json:
        for file, letter in _letters(files, limit):
            click.echo(json.dumps(everything_of(letter) | ({"file": file} if len(files) > 1 else {})))
        return
    _show(path, files, limit or _ROWS)


def _letters(files: list[str], limit: int | None) -> Iterator[tuple[str, DeadRecord]]:
    found = ((file, letter) for file in files for letter in admin.dead_letters(file))
    return islice(found, limit)


def _write(letters: Iterator[tuple[str, DeadRecord]], output: Path) -> int:
    with writing(output) as file:
        writer = LineWriter(file)
        for _, letter in letters:
            writer.write(letter.record, key=letter.record.key, reason=letter.reason)
    return writer.sum_up(output)


def _show(path: str, files: list[str], limit: int) -> None:
    several, number = len(files) > 1, look(path).dead or 0
    rows = [_row(letter) | ({"file": file} if several else {}) for file, letter in _letters(files, limit)]
    if not rows:
        click.echo(f"the spool {path} has no dead letters")
        return
    print_rows(rows)
    if number > len(rows):
        click.echo(f"{len(rows):,} of {number:,}; --limit shows more, --json and --output write all")


def _row(letter: DeadRecord) -> dict[str, Any]:
    record = letter.record
    return {
        "key": record.key,
        "when": moment(letter.settled_at),
        "event": record.name,
        "who": ", ".join(record.identities),
        "reason": letter.reason,
    }


@attrs.define
class _Choice:
    """What a command is to be done to, in one file."""

    file: str
    keys: list[int] = attrs.field(factory=list[int])
    uncertain: set[int] = attrs.field(factory=set[int])


@click.command("retry", short_help="Let dead letters be sent again.")
@path_argument
@_keys_option
@click.option("--include-ambiguous", is_flag=True, help="Those as well that may have been applied already.")
@_yes_option
@click.pass_context
def retry(ctx: click.Context, path: str, keys: tuple[int, ...], *, include_ambiguous: bool, yes: bool) -> None:
    """
    Move dead letters of PATH to the end of what is waiting, under new keys; without --key all of them.

    mida spool drain PATH, or the program that the spool belongs to, then sends them. What may have been applied already
    is held back unless --include-ambiguous is given. Returns 1 where something was held back.
    """
    choices = _chosen(path, keys)
    held = [] if include_ambiguous else [key for each in choices for key in sorted(each.uncertain)]
    wanted = {
        each.file: [key for key in each.keys if include_ambiguous or key not in each.uncertain] for each in choices
    }
    number = sum(map(len, wanted.values()))
    if number and not keys and not yes:
        ask(f"Let all {number:,} dead letters of {path} be sent again?")
    moved = sum(admin.retry_dead(file, chosen) for file, chosen in wanted.items() if chosen)
    click.echo(f"{moved:,} dead letters are waiting to be sent again" if moved or held else _none(path))
    if held:
        more = ", ..." if len(held) > _NAMED else ""
        named = ", ".join(map(str, held[:_NAMED])) + more
        click.echo(f"{len(held):,} may have been applied already ({named}); --include-ambiguous retries them, too")
    ctx.exit(FAILED if held else 0)


@click.command("drop", short_help="Forget dead letters.")
@path_argument
@_keys_option
@click.option("--all", "everything", is_flag=True, help="All of them.")
@_yes_option
def drop(path: str, keys: tuple[int, ...], *, everything: bool, yes: bool) -> None:
    """Forget dead letters of PATH: those that are named, or --all. Nothing brings them back."""
    if bool(keys) == everything:
        message = "say which dead letters: --key N, or --all"
        raise click.UsageError(message)
    choices = _chosen(path, keys)
    number = sum(len(choice.keys) for choice in choices)
    if number and not yes:
        ask(f"Forget {number:,} dead letters of {path}? Nothing brings them back.")
    dropped = sum(admin.drop_dead(choice.file, choice.keys) for choice in choices if choice.keys)
    click.echo(f"{dropped:,} dead letters forgotten" if dropped else _none(path))


def _chosen(path: str, keys: tuple[int, ...]) -> list[_Choice]:
    if keys:
        one_file(path)
    wanted = set(keys)
    choices = [_Choice(file) for file in files_of(path)]
    for choice in choices:
        for letter in admin.dead_letters(choice.file):
            key = letter.record.key
            if not wanted or key in wanted:
                choice.keys.append(key)
                choice.uncertain.update([key] if may_be_applied(letter) else [])
    missing = wanted.difference(*(choice.keys for choice in choices))
    if missing:
        message = f"the spool {path} has no dead letter {min(missing)}"
        raise Failure(message, USAGE)
    return choices


def _none(path: str) -> str:
    return f"the spool {path} has no dead letters"
