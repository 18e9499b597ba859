"""How far a load has come, and the file that remembers it."""

from __future__ import annotations

import itertools
import json
import os
import tempfile
import threading
import uuid
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs

from .source import Identity

if TYPE_CHECKING:
    from collections.abc import Iterable

_VERSION: Final = 1


class StateError(ValueError):
    """The state file cannot be used, or belongs to another load."""


@attrs.define(eq=True)
class Marks:
    """
    Which lines came to an end.

    Lines are begun in order and end in any order, so two things say it all: the first line that was never begun, and
    the lines before it that have not ended. The second are at most as many as are on their way.

    Attributes:
        next_line: Every line from here on is untouched.
        delivered: How many lines were delivered, in all runs.
        failed: How many lines failed for good, by reason, in all runs.
        complete: Whether the input was read to its end and every line of it ended.
        open: The lines that were begun and have not ended.
        spooled: How many lines a spool has taken over, as far as it is not known what became of them.
        run_id: The same in all runs that go on from each other, and in no others.
    """

    next_line: int = 1
    delivered: int = 0
    failed: Counter[str] = attrs.field(factory=Counter[str])
    complete: bool = False
    open: set[int] = attrs.field(factory=set[int])
    spooled: int = 0
    run_id: uuid.UUID = attrs.field(factory=uuid.uuid4, eq=False)

    def wants(self, number: int) -> bool:
        """
        Say whether a line is still to be done.

        Args:
            number: The line.
        """
        return number >= self.next_line or number in self.open

    def begin(self, number: int) -> None:
        """
        Note that a line is on its way.

        Args:
            number: The line; it is one that :meth:`wants` says yes to.
        """
        self.open.add(number)
        self.next_line = max(self.next_line, number + 1)

    def deliver(self, number: int) -> None:
        """
        Note that a line was delivered.

        Args:
            number: The line.
        """
        self._close(number)
        self.delivered += 1

    def fail(self, number: int, reason: str) -> None:
        """
        Note that a line failed for good.

        Args:
            number: The line.
            reason: The kind of failure.
        """
        self._close(number)
        self.failed[reason] += 1

    def hand_over(self, number: int) -> None:
        """
        Note that a line is on disk in a spool: no further run has to read it, whatever becomes of this one.

        Args:
            number: The line.
        """
        self.open.discard(number)
        self.spooled += 1

    def _close(self, number: int) -> None:
        if number in self.open:
            self.open.discard(number)
        else:
            self.spooled -= 1

    def finish(self) -> None:
        """Note that the input was read to its end."""
        self.complete = not self.open

    def as_json(self) -> dict[str, Any]:
        """Return the marks as what a file can hold."""
        return {
            "next_line": self.next_line,
            "open": _ranges(self.open),
            "delivered": self.delivered,
            "failed": dict(self.failed),
            "complete": self.complete,
            "spooled": self.spooled,
            "run_id": str(self.run_id),
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Marks:
        """
        Read what :meth:`as_json` returned.

        Args:
            content: The decoded file.

        Raises:
            KeyError, TypeError, ValueError: It is something else.
        """
        lines = {number for first, last in content["open"] for number in range(int(first), int(last) + 1)}
        failed = Counter({str(reason): int(count) for reason, count in content["failed"].items()})
        return cls(
            next_line=int(content["next_line"]),
            delivered=int(content["delivered"]),
            failed=failed,
            complete=bool(content["complete"]),
            open=lines,
            spooled=int(content.get("spooled", 0)),
            # The first version of this file had none.
            run_id=uuid.UUID(content["run_id"]) if "run_id" in content else uuid.uuid4(),
        )


def _ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


@attrs.frozen
class Rendered:
    """
    The content of a state file.

    Attributes:
        number: Later ones have a higher number.
        content: The bytes.
    """

    number: int
    content: bytes


class StateFile:
    """
    Keeps :class:`Marks` in a file, so that a reader finds the old ones or the new ones, never half of them.

    Args:
        path: Where; made at the first save, for its owner only.
        source: The input that the marks are about.
        target: The name of what it is loaded into.
    """

    def __init__(self, path: Path, *, source: Identity, target: str) -> None:
        self.path = path
        self._source = source
        self._target = target
        self._numbers = itertools.count(1)
        self._written = 0
        self._lock = threading.Lock()

    def load(self) -> Marks:
        """
        Read the marks; of a file that does not exist or is empty, the first ones.

        Raises:
            StateError: The file is something else, or is about another input or target.
            OSError: It cannot be read.
        """
        text = self.path.read_bytes() if self.path.exists() else b""
        if not text:
            return Marks()
        found = _read(text)
        if found is None:
            message = f"{self.path} is not a state file of this version of mida load; name another file for --resume"
            raise StateError(message)
        marks, source, target = found
        self._check(source, target)
        return marks

    def _check(self, source: Identity, target: str) -> None:
        mine, what = self._source, ""
        if (source.size, source.digest, source.format) != (mine.size, mine.digest, mine.format):
            what = (
                f"{source.path} ({_size(source)}, {source.format}), not of {mine.path} ({_size(mine)}, {mine.format})"
            )
        elif target != self._target:
            what = f"a load into {target}, not into {self._target}"
        if what:
            message = f"{self.path} is the state of {what}; name another file for --resume, or the same input"
            raise StateError(message)

    def render(self, marks: Marks) -> Rendered:
        """
        Return the file's content.

        Args:
            marks: How far the load has come.
        """
        head = {"mida_load": _VERSION, "input": attrs.asdict(self._source), "target": self._target}
        return Rendered(next(self._numbers), json.dumps({**head, **marks.as_json()}).encode() + b"\n")

    def write(self, rendered: Rendered) -> None:
        """
        Put new content in the place of the file, at once and durably. May be called by several threads.

        Args:
            rendered: What :meth:`render` returned; it is passed over where a later one was written already.

        Raises:
            OSError: It cannot be written; the old file is as it was.
        """
        with self._lock:
            if rendered.number > self._written:
                self._replace(rendered.content)
                self._written = rendered.number

    def _replace(self, content: bytes) -> None:
        target = self.path.resolve()
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")  # mode 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _read(text: bytes) -> tuple[Marks, Identity, str] | None:
    try:
        content = json.loads(text)
        if content["mida_load"] != _VERSION:
            return None
        # The first version of this file knew projects alone.
        target = content["target"] if "target" in content else f"project {content['project_key']}"
        return Marks.from_json(content), Identity(**content["input"]), str(target)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return None


def _size(source: Identity) -> str:
    return "a pipe" if source.size is None else f"{source.size:,} bytes"
