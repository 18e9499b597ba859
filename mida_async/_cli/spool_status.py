"""``mida spool status``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from .output import print_fields, print_rows
from .progress import duration
from .spool_places import look, path_argument

if TYPE_CHECKING:
    from ..spools.admin import SpoolStatus


@click.command("status", short_help="Tell what a spool holds, and who has it.")
@path_argument
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(path: str, *, as_json: bool) -> None:
    """
    Tell what PATH holds, and who has it.

    Of a file that a process has at the moment, only that and its size can be told.
    """
    found, now = look(path), time.time()
    if as_json:
        click.echo(json.dumps(_plain(found, now)))
    elif not Path(path).is_dir():
        print_fields({"path": found.path, **_row(found, now)})
    elif not found.files:
        click.echo(f"the folder {path} has no spool in it")
    else:
        rows = [{"file": Path(file.path).name, **_row(file, now)} for file in found.files]
        print_rows([*rows, {"file": "all", **_row(found, now)}] if len(rows) > 1 else rows)


def _plain(found: SpoolStatus, now: float) -> dict[str, Any]:
    fields = attrs.asdict(found, recurse=False)
    owner = None if found.owner is None else attrs.asdict(found.owner)
    age = None if found.oldest is None else round(max(0.0, now - found.oldest), 3)
    return {**fields, "owner": owner, "oldest_age": age, "files": [_plain(file, now) for file in found.files]}


def _row(found: SpoolStatus, now: float) -> dict[str, Any]:
    return {
        "records": _count(found.records),
        "bytes": _count(found.bytes),
        "dead letters": _count(found.dead),
        "oldest": None if found.oldest is None else f"{duration(max(0.0, now - found.oldest))} ago",
        "destination": found.destination,
        "in use by": None if found.owner is None else str(found.owner),
        "file size": _count(found.file_size),
    }


def _count(number: int | None) -> str | None:
    return None if number is None else f"{number:,}"
