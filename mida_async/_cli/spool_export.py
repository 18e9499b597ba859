"""``mida spool export``, and the lines that it and ``mida spool dead`` write."""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING, Any

import click

from ..spools import admin
from .errors import FAILED
from .spool_lines import line_of
from .spool_places import files_of, output_option, path_argument, writing

if TYPE_CHECKING:
    from pathlib import Path

    from ..spools.base import SpooledRecord


class LineWriter:
    """
    Writes records as lines, and counts them.

    Args:
        file: Where to.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.written = 0
        self.passed_over = 0

    def write(self, record: SpooledRecord, **more: Any) -> None:
        """
        Write one record, where there are words for it.

        Args:
            record: The record.
            more: What else the line says.
        """
        line = line_of(record)
        if line is None:
            self.passed_over += 1
            return
        self._file.write(json.dumps({**line, **more}) + "\n")
        self.written += 1

    def sum_up(self, path: Path | None) -> int:
        """
        Say what was written; return the exit code.

        Args:
            path: Where to; None for standard output.
        """
        if path is not None:
            click.echo(f"{self.written:,} lines written to {path}")
        if self.passed_over:
            click.echo(f"{self.passed_over:,} records are no events, and mida load has no line for them", err=True)
        return FAILED if self.passed_over else 0


@click.command("export", short_help="Write what is waiting as lines that mida load takes.")
@path_argument
@output_option
@click.pass_context
def export(ctx: click.Context, path: str, output: Path | None) -> None:
    """
    Write the records of PATH that have not come to their end as lines that mida load takes. They stay where they are.

    The time and the value of an event of Klaviyo, and what a profile says beside email, id and anonymous_id, are in the
    line, but mida load does not send them.
    """
    files = files_of(path)
    with writing(output) as file:
        writer = LineWriter(file)
        for each in files:
            for record in admin.export(each):
                writer.write(record)
    ctx.exit(writer.sum_up(output))
