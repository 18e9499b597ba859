"""The input of ``mida load``: a file, a pipe or standard input, plain or gzip, in chunks."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import select
import stat
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

import attrs

from .lines import LineSplitter
from .records import JSONLinesDecoder
from .table import CSVDecoder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .records import BadLine, Decoder, Event

Format: TypeAlias = Literal["jsonl", "csv"]

_CHUNK: Final = 2**16
_POLL_SECONDS: Final = 0.1


class BrokenInputError(Exception):
    """The input ended before its end: it cannot be read on, or its compression is damaged."""


@attrs.frozen(kw_only=True)
class Identity:
    """
    What tells one input from another.

    Attributes:
        path: Where it was, for messages.
        format: How it was read.
        size: Its length in bytes; None for a pipe.
        digest: A hash of its beginning and its end; empty for a pipe.
    """

    path: str
    format: str
    size: int | None = None
    digest: str = ""


def guess_format(path: str) -> Format:
    """
    Say how a file of this name is written.

    Args:
        path: Its name, or ``-``.
    """
    return "csv" if path.lower().removesuffix(".gz").endswith(".csv") else "jsonl"


class _PatientPipe(io.RawIOBase):
    """A pipe whose reader can be told to stop, although nothing comes in."""

    def __init__(self, descriptor: int, source: Source) -> None:
        self._descriptor = descriptor
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._source.stopped:
            if not _can_poll() or select.select([self._descriptor], [], [], _POLL_SECONDS)[0]:
                data = os.read(self._descriptor, len(buffer))
                buffer[: len(data)] = data
                return len(data)
        return 0


def _can_poll() -> bool:
    return sys.platform != "win32"  # select() takes only sockets there


class Source:
    """
    Reads events in order and in bounded memory. Used by one thread at a time, except for :meth:`stop`.

    Args:
        path: A file, or ``-`` for standard input.
        format: How it is written.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: str, format: Format) -> None:  # noqa: A002  the option's name
        self.stopped = False
        standard_input = cast("io.BufferedReader", sys.stdin.buffer)
        self._file = standard_input if path == "-" else Path(path).open("rb")  # noqa: SIM115  see close()
        self._borrowed = path == "-"
        status = os.fstat(self._file.fileno()) if _has_descriptor(self._file) else None
        self._regular = status is not None and stat.S_ISREG(status.st_mode) and not self._borrowed
        self.size: int | None = status.st_size if status is not None and self._regular else None
        self._stream = self._readable(status)
        self._splitter = LineSplitter()
        self._decoder: Decoder = CSVDecoder() if format == "csv" else JSONLinesDecoder()
        self._path = path
        self._format: Format = format

    def _readable(self, status: os.stat_result | None) -> io.BufferedReader:
        if status is None:
            return io.BufferedReader(self._file)
        if self._regular:
            return self._file
        return io.BufferedReader(_PatientPipe(self._file.fileno(), self), _CHUNK)

    @property
    def position(self) -> int:
        """How many bytes of the file were read; compressed bytes where it is compressed."""
        return self._file.tell() if self._regular and not self._file.closed else 0

    def identity(self) -> Identity:
        """
        Return what tells this input from another.

        Raises:
            OSError: It cannot be read.
        """
        if self.size is None:
            return Identity(path=self._path, format=self._format)
        digest = hashlib.sha256(self._file.read(_CHUNK))
        self._file.seek(max(self.size - _CHUNK, 0))
        digest.update(self._file.read(_CHUNK))
        self._file.seek(0)
        return Identity(
            path=str(Path(self._path).resolve()), format=self._format, size=self.size, digest=digest.hexdigest()
        )

    def batches(self) -> Iterator[list[Event | BadLine]]:
        """
        Read on, a chunk at a time; of a pipe, what is there.

        Raises:
            BrokenInputError: It cannot be read to its end.
            InputError: The input as a whole cannot be used.
        """
        stream = self._unpacked()
        while chunk := self._chunk(stream):
            yield [item for line in self._splitter.feed(chunk) for item in self._decoder.feed(line)]
        if not self.stopped:
            yield [item for line in self._splitter.finish() for item in self._decoder.feed(line)]
            yield self._decoder.finish()

    def stop(self) -> None:
        """Let a reader that waits for a pipe return. Safe from any thread."""
        self.stopped = True

    def close(self) -> None:
        """Close the file; standard input is left open."""
        if self._borrowed:
            self._stream.detach()
        else:
            self._file.close()

    def _unpacked(self) -> io.BufferedIOBase:
        start = self._stream.peek(2)[:2]
        packed = bool(start) and b"\x1f\x8b".startswith(start)  # a pipe may bring a single byte first
        return gzip.GzipFile(fileobj=self._stream, mode="rb") if packed else self._stream

    def _chunk(self, stream: io.BufferedIOBase) -> bytes:
        if self.stopped:
            return b""
        try:
            return stream.read1(_CHUNK)
        except (OSError, EOFError, zlib.error) as error:
            problem = str(error)
        if self.stopped:
            return b""
        raise BrokenInputError(problem)


def _has_descriptor(file: io.BufferedIOBase) -> bool:
    try:
        file.fileno()
    except OSError:
        return False
    return True
