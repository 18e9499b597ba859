"""Replies as tables for people and as JSON for machines."""

from __future__ import annotations

import datetime as dt
import enum
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

import attrs
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

# A table that goes into a pipe is as wide as its content.
_PIPE_WIDTH: Final = 100_000
_EXTRA: Final = "extra"


def plain(value: object) -> Any:
    """
    Turn a reply into what JSON can hold; keys that the client does not know stand beside those that it knows.

    Args:
        value: A model, or anything that is in one.
    """
    if attrs.has(type(value)):
        fields = {name: plain(content) for name, content in _fields(value).items() if name != _EXTRA}
        extra: dict[str, Any] = plain(getattr(value, _EXTRA, {}))
        return fields | extra
    if isinstance(value, Mapping):
        return {str(name): plain(content) for name, content in cast("Mapping[object, object]", value).items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in cast("Iterable[object]", value)]
    if isinstance(value, enum.Enum):
        return plain(value.value)
    return value.isoformat() if isinstance(value, dt.date) else value


def _fields(value: object) -> dict[str, object]:
    kind = cast("type[attrs.AttrsInstance]", type(value))
    names: list[str] = [field.name for field in attrs.fields(kind)]
    return {name: getattr(value, name) for name in names}


def as_json(value: object) -> str:
    """
    Write a reply as JSON.

    Args:
        value: A model, or anything that is in one.
    """
    return json.dumps(plain(value), indent=2, ensure_ascii=False)


def print_rows(rows: list[dict[str, Any]]) -> None:
    """
    Print a table, one line a row.

    Args:
        rows: Plain replies; the columns are those of the first that are not empty in all rows.
    """
    columns = [name for name in _names(rows) if any(row.get(name) is not None for row in rows)]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(name)) for name in columns))
    _console().print(table if rows else Text("none"))


def print_fields(reply: dict[str, Any]) -> None:
    """
    Print a table, one line a field.

    Args:
        reply: A plain reply.
    """
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in reply.items():
        if value is not None:
            table.add_row(Text(printable(name)), _cell(value))
    _console().print(table)


def _names(rows: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _cell(value: object) -> Text:
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    return Text(printable(text))


def _console() -> Console:
    found = Console()
    return found if found.is_terminal else Console(width=_PIPE_WIDTH)
