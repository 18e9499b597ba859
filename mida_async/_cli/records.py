"""Events out of lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn, Protocol, cast

import attrs

from .lines import MAX_LINE_BYTES, Line

FIELDS: Final = ("event_name", "mida_uuid", "email", "id", "properties", "unique_id")
IDENTIFIERS: Final = ("mida_uuid", "email", "id")

# How much of a line that cannot be read goes into the dead-letter file.
_MAX_RAW_CHARACTERS: Final = 100_000


class InputError(ValueError):
    """The input as a whole cannot be used."""


@attrs.frozen
class Event:
    """
    A line that holds an event, as far as can be seen without encoding it.

    Attributes:
        number: The number of its line.
        given: The whole object, with fields that are not sent.
    """

    number: int
    given: Mapping[str, Any]

    @property
    def arguments(self) -> dict[str, Any]:
        """What is sent of it: the fields that have a value."""
        return {name: self.given[name] for name in FIELDS if self.given.get(name) is not None}


@attrs.frozen
class BadLine:
    """
    A line that holds no event.

    Attributes:
        number: Its number.
        reason: The kind of fault, a few words that are the same for all of its kind.
        detail: What exactly is wrong.
        raw: The line as text; bytes that are not UTF-8 are shown as escapes.
    """

    number: int
    reason: str
    detail: str
    raw: str = attrs.field(repr=False)


class Decoder(Protocol):
    """Turns lines into events, one or several lines each."""

    def feed(self, line: Line) -> list[Event | BadLine]:
        """
        Return what *line* completes.

        Args:
            line: The next line.

        Raises:
            InputError: It shows that the input as a whole cannot be used.
        """
        ...

    def finish(self) -> list[Event | BadLine]:
        """Return what is left at the end of the input."""
        ...


class JSONLinesDecoder:
    """One JSON object a line; blank lines are passed over."""

    def feed(self, line: Line) -> list[Event | BadLine]:
        """See :meth:`Decoder.feed`."""
        if line.data.isspace() or not (line.data or line.too_long):
            return []
        return [_decode(line)]

    def finish(self) -> list[Event | BadLine]:
        """See :meth:`Decoder.finish`."""
        return []


def bad(line: Line, reason: str, detail: str) -> BadLine:
    """
    Report *line* as one that holds no event.

    Args:
        line: The line.
        reason: The kind of fault.
        detail: What exactly is wrong.
    """
    raw = line.data.decode("utf-8", "backslashreplace")[:_MAX_RAW_CHARACTERS]
    return BadLine(line.number, reason, detail, raw)


def too_long(line: Line) -> BadLine:
    """
    Report *line* as one that is too long to be read.

    Args:
        line: The beginning of the line.
    """
    return bad(line, "too long", f"it is longer than {MAX_LINE_BYTES // 2**20} MiB")


def parse_json(text: str) -> object:
    """
    Read *text* as strict JSON.

    Args:
        text: One value.

    Raises:
        ValueError: It is not JSON, or is nested too deeply.
    """
    try:
        value: object = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        value = RecursionError
    if value is RecursionError:
        message = "it is nested too deeply"
        raise ValueError(message)
    return value


def _refuse_constant(name: str) -> NoReturn:
    message = f"{name} is not JSON"
    raise ValueError(message)


def _decode(line: Line) -> Event | BadLine:
    if line.too_long:
        return too_long(line)
    try:
        value = parse_json(line.data.decode())
    except UnicodeDecodeError as error:
        return bad(line, "not UTF-8", f"byte {error.start + 1} is not UTF-8")
    except ValueError as error:
        return bad(line, "not JSON", f"not JSON: {error}")
    if not isinstance(value, dict):
        return bad(line, "not an object", f"it is a JSON {_kind(value)}, not an object")
    given = _unwrapped(cast("dict[str, Any]", value))
    if given.get("event_name") is None:
        return bad(line, "no event_name", "it has no event_name")
    return Event(line.number, given)


def _kind(value: object) -> str:
    match value:
        case list():
            return "array"
        case str():
            return "string"
        case bool() | None:
            return "boolean or null"
        case _:
            return "number"


def _unwrapped(value: dict[str, Any]) -> dict[str, Any]:
    """Take the event out of a line of a dead-letter file, so that such a file can be loaded again."""
    inner = value.get("event")
    if "event_name" in value or "reason" not in value or not isinstance(inner, dict):
        return value
    return cast("dict[str, Any]", inner)
