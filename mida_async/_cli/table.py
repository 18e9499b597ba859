"""Events out of CSV."""

from __future__ import annotations

import csv
from collections import deque
from typing import Any, Final

from .lines import MAX_LINE_BYTES, Line
from .records import FIELDS, IDENTIFIERS, BadLine, Event, InputError, bad, parse_json, too_long

# A quoted field may hold line ends. A quote that is never closed must not swallow the rest of the file.
_MAX_LINES: Final = 1000


class CSVDecoder:
    """
    A header, then one event a row. A row may span lines inside quotes, and is named by the number of its first line.

    A row that cannot be read costs its first line only: the lines after it are read afresh.
    """

    def __init__(self) -> None:
        csv.field_size_limit(MAX_LINE_BYTES)
        self._header: list[str] | None = None
        self._held: list[Line] = []
        self._size = 0
        self._quotes = 0

    def feed(self, line: Line) -> list[Event | BadLine]:
        """See :meth:`Decoder.feed`."""
        found: list[Event | BadLine] = []
        queue = deque([line])
        while queue:
            self._hold(queue.popleft())
            self._settle(found, queue, last=False)
        return found

    def finish(self) -> list[Event | BadLine]:
        """See :meth:`Decoder.finish`."""
        found: list[Event | BadLine] = []
        queue: deque[Line] = deque()
        while self._held or queue:
            if queue:
                self._hold(queue.popleft())
            self._settle(found, queue, last=not queue)
        return found

    def _hold(self, line: Line) -> None:
        self._held.append(line)
        self._size += len(line.data)
        self._quotes += line.data.count(b'"')

    def _settle(self, found: list[Event | BadLine], queue: deque[Line], *, last: bool) -> None:
        """Read the held lines if they are a row, give up their first one if they cannot become a row."""
        if not (last or self._full() or self._whole()):
            return
        first, *others = self._held
        self._held, self._size, self._quotes = [], 0, 0
        result = self._row([first, *others])
        if isinstance(result, BadLine) and others:
            result = self._row([first])
            queue.extendleft(reversed(others))
        if isinstance(result, BadLine) and self._header is None:
            message = f"the CSV header cannot be read: {result.detail}"
            raise InputError(message)
        if result is not None:
            found.append(result)

    def _full(self) -> bool:
        return len(self._held) >= _MAX_LINES or self._size > MAX_LINE_BYTES or self._held[-1].too_long

    def _whole(self) -> bool:
        # In a field without quotes around it a quote is just a character, so a single line may be whole all the same.
        return self._quotes % 2 == 0 or (len(self._held) == 1 and _parses(self._held))

    def _row(self, lines: list[Line]) -> Event | BadLine | None:
        first = lines[0]
        if first.too_long:
            return too_long(first)
        try:
            cells = _cells(lines)
        except UnicodeDecodeError:
            return bad(first, "not UTF-8", "it is not UTF-8")
        except csv.Error as error:
            return bad(first, "not CSV", f"not CSV: {error}")
        if not cells:
            return None
        if self._header is None:
            self._header = _checked_header(cells)
            return None
        return _event(first, self._header, cells)


def _cells(lines: list[Line]) -> list[str]:
    texts = [line.data.decode() + "\n" for line in lines]
    if all(text.isspace() for text in texts):
        return []
    return next(csv.reader(texts, strict=True))


def _parses(lines: list[Line]) -> bool:
    try:
        _cells(lines)
    except (UnicodeDecodeError, csv.Error):
        return False
    return True


def _checked_header(cells: list[str]) -> list[str]:
    header = [cell.strip() for cell in cells]
    if "event_name" not in header or not set(IDENTIFIERS) & set(header):
        message = (
            f"the CSV header must name event_name and at least one of {', '.join(IDENTIFIERS)}; it is: {_shown(header)}"
        )
        raise InputError(message)
    twice = sorted({name for name in header if name in FIELDS and header.count(name) > 1})
    if twice:
        message = f"the CSV header names {', '.join(twice)} more than once"
        raise InputError(message)
    return header


def _shown(header: list[str]) -> str:
    text = ", ".join(header)
    return text if len(text) <= 100 else text[:100] + "..."  # noqa: PLR2004


def _event(first: Line, header: list[str], cells: list[str]) -> Event | BadLine:
    if len(cells) != len(header):
        return bad(first, "not CSV", f"the row has {len(cells)} fields, the header has {len(header)}")
    given: dict[str, Any] = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
    if "event_name" not in given:
        return bad(first, "no event_name", "it has no event_name")
    if "properties" not in given:
        return Event(first.number, given)
    try:
        given["properties"] = parse_json(given["properties"])
    except ValueError as error:
        return bad(first, "not JSON", f"properties is not JSON: {error}")
    return Event(first.number, given)
