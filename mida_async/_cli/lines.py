"""Lines out of chunks of bytes, in bounded memory."""

from __future__ import annotations

from typing import Final

import attrs

# An event is at most 1 MiB when encoded; escapes may make three times as much of it, and fields that are not sent come
# on top.
MAX_LINE_BYTES: Final = 4 * 2**20


@attrs.frozen
class Line:
    """
    One line of the input.

    Attributes:
        number: Its number, from 1.
        data: Its bytes without the line end; only the first ones where it is too long.
        too_long: Whether it was longer than allowed.
    """

    number: int
    data: bytes = attrs.field(repr=False)
    too_long: bool = False


class LineSplitter:
    """
    Cuts a stream of chunks into lines.

    Args:
        limit: The longest line in bytes. Of a longer one the beginning is kept and the rest is passed over.
    """

    def __init__(self, limit: int = MAX_LINE_BYTES) -> None:
        self._limit = limit
        self._number = 0
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[Line]:
        """
        Return the lines that *chunk* completes.

        Args:
            chunk: The next bytes of the stream.
        """
        *ends, rest = chunk.split(b"\n")
        lines: list[Line] = []
        for piece in ends:
            self._hold(piece)
            lines.append(self._take())
        if rest:
            self._hold(rest)
        return lines

    def finish(self) -> list[Line]:
        """Return what is left when the stream has ended: the last line, where it has no line end."""
        return [self._take()] if self._pieces else []

    def _hold(self, piece: bytes) -> None:
        # One byte more than the limit is kept, because it may be the "\r" of a line end.
        room = self._limit + 1 - min(self._size, self._limit + 1)
        if room:
            self._pieces.append(piece[:room])
        self._size += len(piece)

    def _take(self) -> Line:
        data = b"".join(self._pieces)
        size = self._size
        if size == len(data) and data.endswith(b"\r"):
            data, size = data[:-1], size - 1
        self._number += 1
        if self._number == 1:
            data = data.removeprefix(b"\xef\xbb\xbf")
        self._pieces.clear()
        self._size = 0
        return Line(self._number, data[: self._limit], size > self._limit)
