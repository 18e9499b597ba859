"""The files of a spool that commands work on."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from .._errors import SpoolError
from ..spools import admin
from .errors import FAILED, USAGE, Failure, usage_error

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from ..spools.admin import SpoolStatus

path_argument: Callable[[Any], Any] = click.argument("path", metavar="PATH", type=click.Path())
"""The spool."""

output_option: Callable[[Any], Any] = click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="A new file to write to."
)
"""Where lines go."""


def look(path: str, code: int = FAILED) -> SpoolStatus:
    """
    Return what a spool holds.

    Args:
        path: A file, or a folder.
        code: What the command returns to the shell where that is not to be known.

    Raises:
        Failure: There is none, or it cannot be read.
    """
    if not Path(path).exists():
        message = f"there is no spool {path}"
        raise Failure(message, code)
    try:
        return admin.status(path)
    except SpoolError as error:
        message = str(error)
    raise Failure(message, code)


def files_of(path: str) -> list[str]:
    """
    Return the files of a spool that nobody has.

    Args:
        path: A file, or a folder.

    Raises:
        Failure: There is none, or a process has one of them.
    """
    found = look(path, USAGE)
    files = found.files if Path(path).is_dir() else (found,)
    for file in files:
        if file.owner is not None:
            message = f"the spool {file.path} is in use by {file.owner}: end that first"
            raise Failure(message, USAGE)
    return [file.path for file in files]


def one_file(path: str) -> None:
    """
    Refuse a folder where keys are given, which are numbers within one file.

    Args:
        path: A file, or a folder.

    Raises:
        Failure: It is a folder.
    """
    if Path(path).is_dir():
        message = f"{path} is a folder, and a key is a number within one file: name one of its files"
        raise Failure(message, USAGE)


@contextmanager
def writing(path: Path | None) -> Generator[IO[str]]:
    """
    Open a new file for its owner only, because events are about persons; standard output where none is named.

    Args:
        path: The file.

    Raises:
        Failure: It exists, or cannot be made.
    """
    if path is None:
        yield sys.stdout
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        usage_error(error)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        yield file
