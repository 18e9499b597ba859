"""A folder that several processes share: each has a file of its own there, and takes over those of the dead."""

from __future__ import annotations

import bisect
import contextlib
import logging
import sqlite3
import uuid
from array import array
from typing import TYPE_CHECKING, Final

import attrs

from .._errors import SpoolError
from ._batch import Batch, within
from ._file import Counts, SpoolFile, explain
from ._lock import LockFile
from ._rows import LARGEST_KEY, with_key

if TYPE_CHECKING:
    from pathlib import Path

    from ._store import Adoption
    from .base import SpooledRecord

_ATTEMPTS: Final = 20

_LOG: Final = logging.getLogger("mida_async")


class AdoptedFile:
    """
    A file that another process left, with the numbers that its records have here.

    Records are never added to it. So its keys, one after the other, get a row of numbers without gaps, whatever was
    removed between them before; otherwise files that are adopted again and again would need more and more numbers.

    Args:
        file: The file.
    """

    def __init__(self, file: SpoolFile) -> None:
        self.file = file
        self.base = -1
        self.records = file.counts.records
        self._keys = array("q", sorted(file.all_keys()))

    @property
    def span(self) -> int:
        """How many numbers it needs."""
        return len(self._keys)

    def holds(self, key: int) -> bool:
        """Tell whether a number belongs to it."""
        return 0 <= key - self.base < self.span

    def inner(self, key: int) -> int:
        """Return the key in the file for a number here."""
        return self._keys[key - self.base]

    def outer(self, key: int) -> int:
        """Return the number here for a key in the file."""
        return self.base + bisect.bisect_left(self._keys, key)

    def read(self, after: int, *, records: int, size: int) -> list[SpooledRecord]:
        """Return records with their numbers here."""
        inner = self.inner(after) if after >= self.base else -1
        found = self.file.read(inner, records=records, size=size)
        return [with_key(record, self.outer(record.key)) for record in found]

    def write(self, part: Batch) -> None:
        """Write what became of its records."""
        self.file.write(part.translated(self.inner))

    def retire(self, heir: SpoolFile) -> None:
        """Leave the dead letters to another file, and remove this one. A crash in between leaves them in both."""
        letters = [
            attrs.evolve(dead, record=with_key(dead.record, self.outer(dead.record.key)))
            for dead in self.file.dead_letters()
        ]
        if letters:
            heir.bury(letters)
        self.file.close(delete=True)


class DirectoryStore:
    """
    A spool's own file, and those that it adopted.

    Order and atomicity hold within each file. Records of different files never depend on each other.

    Args:
        path: The folder.
        synchronous: SQLite's setting of this name.
        tend_every: Seconds between two looks for files of dead processes.
    """

    def __init__(self, path: Path, *, synchronous: str, tend_every: float) -> None:
        self.path = path
        self.tend_every = tend_every
        self._synchronous = synchronous
        self._destination = ""
        self._own = SpoolFile(path)
        self._adopted: list[AdoptedFile] = []  # in the order of their numbers
        self._waiting: list[AdoptedFile] = []  # without numbers yet
        self._left_alone: set[str] = set()

    @property
    def counts(self) -> Counts:
        """What is in the files."""
        total = self._own.counts
        for each in self._adopted:
            total = total.plus(each.file.counts)
        return total

    def open(self, destination: str) -> tuple[str, ...]:
        """Make a file of one's own, and adopt those that nobody has."""
        self._destination = destination
        self._make_folder()
        self._own = self._make_own(destination)
        remarks: list[str] = []
        next_key = self._own.counts.next_key
        for each in self._look_around(remarks):
            self.accept(each, next_key)
            next_key += each.span
        self._own.counts = attrs.evolve(self._own.counts, next_key=next_key)
        return tuple(remarks)

    def _make_folder(self) -> None:
        try:
            self.path.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise SpoolError(explain(self.path, error)) from error

    def _make_own(self, destination: str) -> SpoolFile:
        problem = SpoolError(f"no file could be made in {self.path}")
        for _attempt in range(_ATTEMPTS):
            path = self.path / f"spool-{uuid.uuid4()}.db"
            lock = LockFile(path)
            try:
                lock.take()
            except SpoolError as error:  # somebody tidies up, and took the lock for one that was left behind
                problem = error
            except OSError as error:
                raise SpoolError(explain(path, error)) from error
            else:
                own = SpoolFile(path, synchronous=self._synchronous, lock=lock)
                own.open(destination)
                return own
        raise problem

    def _look_around(self, remarks: list[str]) -> list[AdoptedFile]:
        """Adopt files whose owner is dead, the oldest first."""
        held = {self._own.path.name, *(each.file.path.name for each in (*self._adopted, *self._waiting))}
        there = [path for path in self.path.glob("spool-*.db") if path.name not in held | self._left_alone]
        found = [adopted for path in sorted(there) if (adopted := self._adopt(path, remarks)) is not None]
        for lock in self.path.glob("spool-*.db.lock"):
            self._tidy_up(LockFile(lock.with_suffix("")))
        self._waiting += found
        return sorted(found, key=lambda each: (each.file.about.get("created", 0.0), each.file.path.name))

    def _adopt(self, path: Path, remarks: list[str]) -> AdoptedFile | None:
        lock = LockFile(path)
        with contextlib.suppress(SpoolError, OSError):
            lock.take()
            if path.exists():
                file = SpoolFile(path, synchronous=self._synchronous, lock=lock)
                try:
                    remarks += file.open(self._destination)
                    return AdoptedFile(file)
                except (SpoolError, sqlite3.Error) as error:
                    file.close()
                    self._left_alone.add(path.name)
                    remarks.append(f"{path} was left alone: {error}")
                    return None
            lock.release()  # its owner removed it just now
        return None

    def _tidy_up(self, lock: LockFile) -> None:
        """Remove a lock whose owner died between removing its file and removing the lock."""
        if not lock.spool.exists():
            with contextlib.suppress(SpoolError, OSError):
                lock.take()
                lock.release()

    def write(self, batch: Batch) -> None:
        """Write a batch, the part of the own file first."""
        if not self._adopted:
            self._own.write(batch)
            return
        parts = batch.split(self._place_of)
        own = parts.pop(None, Batch())
        own.next_key = batch.next_key
        if own.anything:
            self._own.write(own)
            batch.drop(own)
            batch.next_key = 0
        for adopted in self._adopted:
            if (part := parts.get(adopted)) is not None:
                adopted.write(part)
                batch.drop(part)
        self._retire()

    def _place_of(self, key: int) -> AdoptedFile | None:
        number = bisect.bisect_right(self._adopted, key, key=lambda each: each.base) - 1
        return self._adopted[number] if number >= 0 and self._adopted[number].holds(key) else None

    def _retire(self) -> None:
        for each in [each for each in self._adopted if not each.file.counts.records]:
            try:
                each.retire(self._own)
            except (sqlite3.Error, OSError) as error:
                _LOG.warning("%s is empty but cannot be removed yet: %s", each.file.path, error)
            else:
                self._adopted.remove(each)

    def read(self, after: int, *, records: int, size: int) -> list[SpooledRecord]:
        """Return records of all files in the order of their numbers."""
        found: list[SpooledRecord] = []
        start = 0
        for each in (*self._adopted, None):
            stop = LARGEST_KEY if each is None else each.base
            found += (
                self._own.read(max(after, start - 1), until=stop, records=records, size=size)
                if after < stop - 1
                else []
            )
            start = stop if each is None else stop + each.span
            if each is not None and after < start - 1 and not _is_full(found, records, size):
                found += each.read(after, records=records, size=size)
            if _is_full(found, records, size):
                break
        return within(found, records, size)

    def mend(self) -> tuple[str, ...]:
        """Open all files again."""
        return tuple(
            remark
            for file in (self._own, *(each.file for each in self._adopted))
            for remark in file.mend(self._destination)
        )

    def tend(self) -> list[Adoption]:
        """Remove files that are empty, and look for those of dead processes."""
        self._retire()
        remarks: list[str] = []
        found: list[Adoption] = [*self._look_around(remarks)]
        for remark in remarks:
            _LOG.warning("%s", remark)
        return found

    def accept(self, adoption: Adoption, base: int) -> None:
        """Give an adopted file its numbers."""
        for each in [each for each in self._waiting if each is adoption]:
            self._waiting.remove(each)
            each.base = base
            self._adopted.append(each)

    def close(self) -> None:
        """Close all files, and remove those that are empty."""
        self._retire()
        for each in (*self._adopted, *self._waiting):
            each.file.close()
        counts = self._own.counts
        self._own.close(delete=not counts.records and not counts.dead)


def _is_full(found: list[SpooledRecord], records: int, size: int) -> bool:
    return bool(found) and (len(found) >= records or sum(len(record.body) for record in found) >= size)
