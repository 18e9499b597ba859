"""Commands that are one direct call each, made from a table."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from typing import TYPE_CHECKING, Any, Final, cast

import attrs
import click

from .connection import Connection, connection_options
from .output import as_json, plain, print_fields, print_rows

if TYPE_CHECKING:
    from .._client import MidaClient


class JSONType(click.ParamType[Any]):
    """A JSON value; an object where an object is needed."""

    name = "json"

    def __init__(self, *, must_be_object: bool) -> None:
        self._must_be_object = must_be_object

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read one value."""
        if not isinstance(value, str):
            return value
        try:
            decoded = json.loads(value)
        except (ValueError, RecursionError):
            return self.fail("it is not JSON", param, ctx)
        if self._must_be_object and not isinstance(decoded, dict):
            return self.fail('it is not a JSON object such as {"amount": 10}', param, ctx)
        return cast("object", decoded)


class DateType(click.ParamType[Any]):
    """``YYYY-MM-DD``."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.date:
        """Read one date."""
        try:
            return value if isinstance(value, dt.date) else dt.date.fromisoformat(value)
        except ValueError:
            return self.fail(f"{value!r} is not a date such as 2026-08-22", param, ctx)


def option(name: str, help: str, type: Any = str, *, required: bool = False) -> click.Option:  # noqa: A002  click's words
    """
    Return an option that is passed on under its own name when it is given.

    Args:
        name: The name of the method's argument.
        help: What it means.
        type: How it is read.
        required: Whether it must be given.
    """
    return click.Option([f"--{name.replace('_', '-')}", name], type=type, help=help, required=required)


@attrs.frozen(kw_only=True)
class Verb:
    """
    One command.

    Attributes:
        section: The attribute of the client.
        name: The method.
        help: What it does.
        positional: The names of the method's positional arguments, and how they are read.
        options: Its keyword arguments.
        rows: The key of the reply that holds rows; it is a list then, and has ``--all``.
        nullable: Keyword arguments that may be set to null.
        confirm: The question to ask before, if any.
    """

    section: str
    name: str
    help: str
    positional: tuple[tuple[str, Any], ...] = ()
    options: tuple[click.Option, ...] = ()
    rows: str = ""
    nullable: tuple[str, ...] = ()
    confirm: str = ""


_JSON_OPTION: Final = "as_json"


def command(verb: Verb) -> click.Command:
    """
    Make the command of *verb*.

    Args:
        verb: The row of the table.
    """

    @connection_options
    def run(connection: Connection, /, **given: Any) -> None:
        machine = given.pop(_JSON_OPTION)
        if verb.confirm and not given.pop("yes"):
            click.confirm(verb.confirm.format(**given), abort=True, err=True)
        everything = bool(given.pop("all", False))
        positional = [given.pop(name) for name, _ in verb.positional]
        keywords = _keywords(given)
        result = asyncio.run(_call(connection, verb, positional, keywords, everything=everything))
        _show(result, verb, machine=machine)

    extra = getattr(run, "__click_params__", [])
    params = [*_parameters(verb), *reversed(extra)]
    return click.Command(verb.name, callback=run, params=params, help=verb.help, short_help=verb.help)


def group(name: str, help: str, verbs: tuple[Verb, ...]) -> click.Group:  # noqa: A002  click's word
    """
    Make the group of a section.

    Args:
        name: The section.
        help: What it is about.
        verbs: Its commands.
    """
    return click.Group(name, help=help, commands=[command(verb) for verb in verbs])


def _parameters(verb: Verb) -> list[click.Parameter]:
    found: list[click.Parameter] = [click.Argument([name], type=kind) for name, kind in verb.positional]
    found += verb.options
    if verb.rows:
        found.append(click.Option(["--all"], is_flag=True, help="Go through all pages."))
    if verb.nullable:
        choice = click.Choice([name.replace("_", "-") for name in verb.nullable])
        found.append(click.Option(["--null", "null"], type=choice, multiple=True, help="Set this field to null."))
    if verb.confirm:
        found.append(click.Option(["--yes"], is_flag=True, help="Do not ask."))
    found.append(click.Option(["--json", _JSON_OPTION], is_flag=True, help="Print JSON."))
    return found


def _keywords(given: dict[str, Any]) -> dict[str, Any]:
    cleared = {name.replace("-", "_") for name in given.pop("null", ())}
    keywords = {name: value for name, value in given.items() if value is not None}
    both = sorted(cleared & set(keywords))
    if both:
        message = f"--null {both[0].replace('_', '-')} contradicts --{both[0].replace('_', '-')}"
        raise click.UsageError(message)
    return keywords | dict.fromkeys(cleared)


async def _call(
    connection: Connection, verb: Verb, positional: list[Any], keywords: dict[str, Any], *, everything: bool
) -> Any:
    async with connection.client() as mida:
        section = _section(mida, verb)
        if not everything:
            return await getattr(section, verb.name)(*positional, **keywords)
        page_size = keywords.pop("limit", None)
        paging = {} if page_size is None else {"page_size": page_size}
        keywords.pop("offset", None)
        rows = [row async for row in section.iter(**keywords, **paging)]
        return {"count": len(rows), verb.rows: rows}


def _section(mida: MidaClient, verb: Verb) -> Any:
    return getattr(mida, verb.section)


def _show(result: Any, verb: Verb, *, machine: bool) -> None:
    if machine:
        click.echo(as_json(result))
        return
    reply: dict[str, Any] = plain(result)
    if verb.rows:
        print_rows(reply.get(verb.rows) or [])
    else:
        print_fields(reply)
