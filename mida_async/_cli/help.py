"""Help that shows what is particular to a command before what all commands share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import attrs
import click

from .connection import Connection

Rows: TypeAlias = Sequence[tuple[str, str]]

_SHARED: Final = frozenset(field.name for field in attrs.fields(Connection))


class ExplainedCommand(click.Command):
    """
    A command whose help explains its arguments, and shows the options of the connection apart from its own.

    Args:
        name: Its name.
        explained: Its arguments and what they mean.
        examples: Lines that show how something is written; they are not broken.
        options: What else click is told.
    """

    def __init__(self, name: str | None, *, explained: Rows = (), examples: Sequence[str] = (), **options: Any) -> None:
        super().__init__(name, **options)
        self._explained = explained
        self._examples = examples

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what can be given."""
        shared, own = _split(self.get_params(ctx))
        for heading, rows in (
            ("Arguments", self._explained),
            ("Options", _records(own, ctx)),
            ("Connection", _records(shared, ctx)),
        ):
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)
        if self._examples:
            with formatter.section("Examples of JSON"):
                formatter.write("".join(f"{'':{formatter.current_indent}}{line}\n" for line in self._examples))


def _split(parameters: Sequence[click.Parameter]) -> tuple[list[click.Option], list[click.Option]]:
    options = [parameter for parameter in parameters if isinstance(parameter, click.Option)]
    shared = [option for option in options if option.name in _SHARED]
    return shared, [option for option in options if option not in shared]


def _records(options: Sequence[click.Option], ctx: click.Context) -> Rows:
    return [record for option in options if (record := option.get_help_record(ctx)) is not None]
