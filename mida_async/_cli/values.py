"""How values are read from the command line."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import click

from .records import parse_json

if TYPE_CHECKING:
    ParamType: TypeAlias = click.ParamType[Any]
else:  # before 8.4 click's class takes no parameter at run time
    ParamType = click.ParamType

_OBJECT: Final = 'a JSON object such as {"amount": 10}'
_ARRAY: Final = 'a JSON array such as [{"name": "Notion"}]'


class JSONType(ParamType):
    """
    JSON, or ``@`` and the name of a file that holds it.

    Args:
        kind: What it must hold: ``dict``, ``list``, or ``object`` for anything.
    """

    name = "json"

    def __init__(self, kind: type[object] = object) -> None:
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read one value."""
        if not isinstance(value, str):
            return value
        text, where = (self._content(value[1:], param, ctx), value[1:]) if value.startswith("@") else (value, "it")
        try:
            decoded = parse_json(text)
        except ValueError as error:
            return self.fail(f"{where} is not JSON: {error}", param, ctx)
        if not isinstance(decoded, self._kind):
            return self.fail(f"{where} is not {_OBJECT if self._kind is dict else _ARRAY}", param, ctx)
        return decoded

    def _content(self, name: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not name:
            return self.fail("@ stands before the name of a file", param, ctx)
        try:
            return Path(name).read_text(encoding="utf-8-sig")
        except OSError as error:
            return self.fail(f"{name}: {error.strerror}", param, ctx)
        except ValueError as error:  # not UTF-8, or no name of a file
            return self.fail(f"{name}: {error}", param, ctx)


class DayType(ParamType):
    """``YYYY-MM-DD``."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.date:
        """Read one day."""
        try:
            return value if isinstance(value, dt.date) else dt.date.fromisoformat(value)
        except ValueError:
            return self.fail(f"{value!r} is not a date such as 2026-08-22", param, ctx)


class NumberType(ParamType):
    """A number; a whole one stays whole, so that it goes out as it was written."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read one number."""
        try:
            return int(value)
        except ValueError:
            pass
        try:
            return float(value)
        except ValueError:
            return self.fail(f"{value!r} is not a number", param, ctx)


class QueryType(ParamType):
    """``NAME=VALUE``."""

    name = "query"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Read one field of a query."""
        if not isinstance(value, str):
            return cast("tuple[str, str]", value)
        name, equals, content = value.partition("=")
        if not name or not equals:
            return self.fail(f"{value!r} is not NAME=VALUE, such as limit=10", param, ctx)
        return name, content
