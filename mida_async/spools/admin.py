"""
Looking into spools, and putting dead letters right, without a loop and while nobody else has them.

A path is that of a file or of a folder of spools. Keys are numbers within one file, so functions that take keys take
the path of a file.
"""

from __future__ import annotations

import contextlib
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from .._errors import SpoolError
from ._file import SpoolFile, explain
from ._lock import LockFile, Owner
from ._salvage import beside
from ._schema import STEPS

if TYPE_CHECKING:
    import os
    from collections.abc import Generator, Iterable, Iterator

    from .base import DeadRecord, SpooledRecord

__all__ = ["Owner", "SpoolStatus", "dead_letters", "drop_dead", "export", "retry_dead", "status"]

_AT_ONCE: Final = 1000
_BYTES_AT_ONCE: Final = 2**24


@attrs.frozen(kw_only=True)
class SpoolStatus:
    """
    What a spool holds. What cannot be known while a process has it is None.

    Attributes:
        path: The file or the folder.
        owner: Who has it, or None where nobody does. A folder has no owner; its files may have.
        records: Records that have not come to their end.
        bytes: The bytes of their bodies.
        dead: Dead letters.
        oldest: When the oldest of the records was accepted, in seconds since the epoch; None if there is none.
        destination: Where the records go to.
        schema_version: The version of the tables.
        file_size: The bytes of the file and its log.
        files: One for each file of a folder.
    """

    path: str
    owner: Owner | None = None
    records: int | None = None
    bytes: int | None = None
    dead: int | None = None
    oldest: float | None = None
    destination: str | None = None
    schema_version: int | None = None
    file_size: int = 0
    files: tuple[SpoolStatus, ...] = ()


def status(path: str | os.PathLike[str]) -> SpoolStatus:
    """
    Tell what a spool holds. Of one that a process has at the moment, only the lock and the sizes are looked at.

    Raises:
        SpoolError: There is none, or it cannot be opened.
    """
    place = Path(path).absolute()
    if not place.is_dir():
        return _status_of(place)
    files = tuple(_status_of(file) for file in _files(place))
    known = [each for each in files if each.owner is None]
    unknown = len(known) < len(files)
    oldest = [each.oldest for each in known if each.oldest is not None]
    destinations = {each.destination for each in known}
    return SpoolStatus(
        path=str(place),
        records=None if unknown else sum(each.records or 0 for each in known),
        bytes=None if unknown else sum(each.bytes or 0 for each in known),
        dead=None if unknown else sum(each.dead or 0 for each in known),
        oldest=min(oldest, default=None),
        destination=destinations.pop() if len(destinations) == 1 else None,
        schema_version=max((each.schema_version or 0 for each in known), default=None),
        file_size=sum(each.file_size for each in files),
        files=files,
    )


def _status_of(path: Path) -> SpoolStatus:
    size = sum(each.stat().st_size for each in (path, beside(path, "-wal")) if each.exists())
    lock = LockFile(path)
    try:
        with _opened(path) as file:
            first = file.read(0, records=1, size=0)
            return SpoolStatus(
                path=str(path),
                records=file.counts.records,
                bytes=file.counts.size,
                dead=file.counts.dead,
                oldest=first[0].accepted_at if first else None,
                destination=file.about.get("destination"),
                schema_version=len(STEPS),
                file_size=size,
            )
    except SpoolError:
        owner = lock.holder()
        if owner is None:
            raise
        return SpoolStatus(path=str(path), owner=owner, file_size=size)


def dead_letters(path: str | os.PathLike[str], limit: int | None = None) -> Iterator[DeadRecord]:
    """
    Yield the dead letters of a spool in the order of their keys.

    Args:
        path: The file, or a folder, whose files come one after the other.
        limit: How many at most; None for all.

    Raises:
        SpoolError: There is none, or another process has it.
    """
    yield from islice(_all_dead(path), limit)


def _all_dead(path: str | os.PathLike[str]) -> Iterator[DeadRecord]:
    for place in _places(path):
        with _opened(place) as file:
            yield from file.dead_letters()


def export(path: str | os.PathLike[str]) -> Iterator[SpooledRecord]:
    """
    Yield the live records of a spool in the order of their keys; nothing is changed.

    Raises:
        SpoolError: There is none, or another process has it.
    """
    for place in _places(path):
        with _opened(place) as file:
            after = 0
            while found := file.read(after, records=_AT_ONCE, size=_BYTES_AT_ONCE):
                after = found[-1].key
                yield from found


def retry_dead(path: str | os.PathLike[str], keys: Iterable[int] | None = None) -> int:
    """
    Let dead letters be sent again: at the end of the queue, under new keys, as if they had never been sent.

    What may have been applied before stays marked so.

    Args:
        path: The file; or a folder, if *keys* is None.
        keys: Which ones; None for all.

    Returns:
        How many there were.

    Raises:
        SpoolError: There is none, or another process has it, or keys were given for a folder.
    """
    wanted = None if keys is None else list(keys)
    moved = 0
    for place in _places(path, keyed=wanted is not None):
        with _opened(place) as file:
            moved += file.retry_dead(wanted)
    return moved


def drop_dead(path: str | os.PathLike[str], keys: Iterable[int]) -> int:
    """
    Forget dead letters.

    Args:
        path: The file.
        keys: Which ones.

    Returns:
        How many there were.

    Raises:
        SpoolError: There is none, or another process has it, or the path is a folder.
    """
    (place,) = _places(path, keyed=True)
    with _opened(place) as file:
        return file.drop_dead(list(dict.fromkeys(keys)))


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("spool-*.db"))


def _places(path: str | os.PathLike[str], *, keyed: bool = False) -> list[Path]:
    place = Path(path).absolute()
    if not place.is_dir():
        return [place]
    if keyed:
        message = f"{place} is a folder, and keys are numbers within one file: name one of its files"
        raise SpoolError(message)
    return _files(place)


@contextlib.contextmanager
def _opened(path: Path) -> Generator[SpoolFile]:
    if not path.is_file():
        problem = FileNotFoundError("there is no such file")
        raise SpoolError(explain(path, problem))
    file = SpoolFile(path)
    file.open(None, repair=False)
    try:
        yield file
    finally:
        file.close()
