"""Commands that are one direct call each, made from the table of endpoints."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import attrs
import click

from .._core.endpoints import Endpoint, lay_out
from .._resources.base import Section
from .confirmations import CONFIRMATIONS, ask, is_asked_about, question_for
from .connection import Connection, connection_options
from .examples import EXAMPLES
from .help import ExplainedCommand, Rows
from .output import show
from .parameters import Argument, arguments_of, empty_option, keywords, null_option

if TYPE_CHECKING:
    from collections.abc import Iterator

JSON_OPTION: Final = "as_json"


def json_option() -> click.Option:
    """Make ``--json``."""
    return click.Option(["--json", JSON_OPTION], is_flag=True, help="Print JSON.")


def yes_option() -> click.Option:
    """Make ``--yes``."""
    return click.Option(["--yes"], is_flag=True, help="Do not ask.")


@attrs.frozen(kw_only=True)
class Verb:
    """
    What one command calls.

    Attributes:
        row: The endpoint.
        section: The class that has its method.
        arguments: The method's arguments.
    """

    row: Endpoint
    section: type[Section]
    arguments: tuple[Argument, ...]

    @property
    def is_list(self) -> bool:
        """Whether its answer is about nothing but rows."""
        return self.row.verb.startswith("list")

    @property
    def has_pages(self) -> bool:
        """Whether there is a method that goes through all pages of it."""
        return self.row.verb == "list" and hasattr(self.section, "iter")

    async def call(self, connection: Connection, given: dict[str, Any], *, everything: bool) -> Any:
        """
        Make the call.

        Args:
            connection: Where the server is.
            given: What the method is called with.
            everything: Whether to go through all pages.
        """
        async with connection.client() as mida:
            section = getattr(mida, self.row.section)
            if not everything:
                return await getattr(section, self.row.verb)(**given)
            page_size = {"page_size": given["limit"]} if "limit" in given else {}
            others = {name: value for name, value in given.items() if name != "limit"}
            rows = [row async for row in section.iter(**others, **page_size)]
            return {"count": len(rows), self.row.rows: rows}

    def parameters(self) -> Iterator[click.Parameter]:
        """Make the parameters of the command, but for those of the connection."""
        yield from (argument.parameter() for argument in self.arguments)
        yield from null_option(self.arguments)
        yield from empty_option(self.arguments, self.row)
        if self.has_pages:
            yield click.Option(["--all"], is_flag=True, help="Go through all pages, of which each has --limit rows.")
        if self.row.name in CONFIRMATIONS:
            yield yes_option()
        yield json_option()

    def explained(self) -> Rows:
        """Return what stands alone in the line of the command, and what it means."""
        return [(each.name.upper(), each.explanation()) for each in self.arguments if each.positional]

    def examples(self) -> Iterator[str]:
        """Yield how JSON is written, for each argument that is JSON."""
        for argument in self.arguments:
            example = EXAMPLES.get(f"{self.row.section}.{argument.field.name}")
            if example:
                name = argument.name.upper() if argument.positional else f"--{argument.dashed}"
                yield f"{name} '{example}'"


def command(row: Endpoint, section: type[Section]) -> click.Command:
    """
    Make the command of an endpoint.

    Args:
        row: The endpoint.
        section: The class that has its method.
    """
    verb = Verb(row=row, section=section, arguments=arguments_of(row, section))

    @connection_options
    def run(connection: Connection, /, **given: Any) -> None:
        values, everything = keywords(verb.arguments, given), given.get("all", False)
        if everything and "offset" in values:
            message = "--all begins with the first row; --offset cannot stand beside it"
            raise click.UsageError(message)
        if is_asked_about(row.name, values) and not given["yes"]:
            connection.check()
            lay_out(row, values)
            ask(question_for(row.name, values))
        result = asyncio.run(verb.call(connection, values, everything=everything))
        show(result, rows=row.rows if verb.is_list else "", machine=given[JSON_OPTION])

    return ExplainedCommand(
        row.verb.replace("_", "-"),
        callback=run,
        params=[*verb.parameters(), *connection_parameters(run)],
        help=row.summary,
        explained=verb.explained(),
        examples=list(verb.examples()),
        short_help=row.summary,
        epilog=None if row.page is None else f"\b\nDocumented at\n{row.page}",
    )


def connection_parameters(function: object) -> list[click.Parameter]:
    """
    Return the parameters that :func:`connection_options` added, in their order.

    Args:
        function: The function of a command.
    """
    found: list[click.Parameter] = getattr(function, "__click_params__", [])
    return found[::-1]
