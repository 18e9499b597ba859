"""Replies as tables for people and as JSON for machines."""

from __future__ import annotations

import codecs
import datetime as dt
import enum
import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TextIO, cast

import attrs
import click
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from .._sentinels import UNSET
from ..models.base import TEXT_OF
from .text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# A table that goes into a pipe is as wide as its content.
_PIPE_WIDTH: Final = 100_000
_EXTRA: Final = "extra"

_LONGEST_CELL: Final = 100
_LONGEST_FIELD: Final = 1000
_ADDRESSES: Final = ("http://", "https://")


def plain(value: object, *, texts: bool = True) -> Any:
    """
    Turn a reply into what JSON can hold; keys that the client does not know stand beside those that it knows.

    Args:
        value: A model, or anything that is in one.
        texts: Whether to keep the JSON text of what is there decoded, too.
    """
    if attrs.has(type(value)):
        fields = {name: plain(content, texts=texts) for name, content in _fields(value, texts=texts)}
        extra: dict[str, Any] = plain(getattr(value, _EXTRA, {}), texts=texts)
        return fields | extra
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value).items()
        return {str(name): plain(content, texts=texts) for name, content in items}
    if isinstance(value, (list, tuple)):
        return [plain(item, texts=texts) for item in cast("Iterable[object]", value)]
    if isinstance(value, enum.Enum):
        return plain(value.value)
    return value.isoformat() if isinstance(value, dt.date) else value


def _fields(value: object, *, texts: bool) -> Iterator[tuple[str, object]]:
    for field in attrs.fields(cast("type[attrs.AttrsInstance]", type(value))):
        name, content = field.name, getattr(value, field.name)
        if name != _EXTRA and content is not UNSET and (texts or TEXT_OF not in field.metadata):
            yield name, content


def as_json(value: object, *, only_ascii: bool = False) -> str:
    """
    Write a reply as JSON. What could move a cursor or change colours is escaped, as JSON allows.

    Args:
        value: A model, or anything that is in one.
        only_ascii: Whether everything else than ASCII is escaped, too.
    """
    text = json.dumps(plain(value), indent=2, ensure_ascii=only_ascii)
    return "\n".join(line if line.isprintable() else _escaped(line) for line in text.split("\n"))


def _escaped(line: str) -> str:
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in line)


def show(result: object, *, rows: str = "", machine: bool = False) -> None:
    """
    Print what a call returned.

    Args:
        result: What that is.
        rows: The field of the result that is all there is to see.
        machine: Whether to print JSON.
    """
    if machine:
        click.echo(as_json(result, only_ascii=not _takes_all_text(sys.stdout)))
        return
    reply: object = plain(result, texts=False)
    if isinstance(reply, dict):
        fields = cast("dict[str, Any]", reply)
        print_rows(fields[rows]) if rows else print_fields(fields)
    elif isinstance(reply, (list, tuple)):
        print_items(cast("Sequence[Any]", reply))
    else:
        click.echo("none" if reply is None else _text(reply))


def _takes_all_text(stream: TextIO | None) -> bool:
    """Say whether a stream can be given every character; nobody reads one that was closed."""
    return stream is None or codecs.lookup(stream.encoding).name.startswith("utf")


def print_items(items: Sequence[Any]) -> None:
    """
    Print a list: a table of objects, or one line an item.

    Args:
        items: Plain values.
    """
    if _is_table(items) or not items:
        print_rows(items)
        return
    for item in items:
        click.echo(_text(item))


def print_rows(rows: Sequence[dict[str, Any]]) -> None:
    """
    Print a table, one line a row. Long cells are cut, but for addresses: half of one leads nowhere.

    On a terminal that is too narrow for whole words, each row is a block of its fields instead.

    Args:
        rows: Plain objects; the columns are those that are not empty in all rows.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    columns = [name for name in names if any(row.get(name) is not None for row in rows)]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(Text(printable(name)), overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(name), _LONGEST_CELL) for name in columns))
    console = _console()
    if _fits(table, console):
        console.print(table if rows else Text("none"))
        return
    for number, row in enumerate(rows):
        console.print(*([Text()] if number else []), _fields_table({name: row.get(name) for name in columns}), sep="\n")


def print_fields(reply: dict[str, Any]) -> None:
    """
    Print a table, one line a field; then, for each field that is a list of objects, a table of those.

    Args:
        reply: A plain reply.
    """
    tables = {name: value for name, value in reply.items() if _is_table(value)}
    table = _fields_table({name: value for name, value in reply.items() if name not in tables})
    console = _console()
    if table.row_count or not tables:
        console.print(table if table.row_count else Text("none"))
    for name, rows in tables.items():
        console.print(Text(f"\n{printable(name)}", style="bold"))
        print_rows(rows)


def _fields_table(fields: Mapping[str, Any]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in fields.items():
        if value is not None:
            table.add_row(Text(printable(name)), _cell(value, _LONGEST_FIELD))
    return table


def _fits(table: Table, console: Console) -> bool:
    needed = Measurement.get(console, console.options.update(max_width=_PIPE_WIDTH), table)
    return needed.minimum <= console.width


def _is_table(value: object) -> bool:
    items = cast("list[object]", value) if isinstance(value, list) else []
    return bool(items) and all(isinstance(item, dict) for item in items)


def _cell(value: object, longest: int) -> Text:
    text = "" if value is None else _text(value)
    whole = len(text) <= longest or text.startswith(_ADDRESSES)
    return Text(text if whole else f"{text[: longest - 1]}…")


def _text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return printable(text)


def _console() -> Console:
    found = Console()
    return found if found.is_terminal else Console(width=_PIPE_WIDTH)
