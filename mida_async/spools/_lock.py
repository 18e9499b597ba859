"""The file beside a spool that says who has it."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import socket
import sys
from typing import TYPE_CHECKING, Final

import attrs

from .._errors import SpoolError
from ._forks import call_in_forked_child

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":  # pragma: no cover - Windows alone
    import msvcrt
else:
    import fcntl

# The region that Windows locks cannot be read by others; it lies behind the text.
_FAR_BEHIND_THE_TEXT: Final = 2**20
_MODE: Final = 0o600


@attrs.frozen
class Owner:
    """
    Who has a spool.

    Attributes:
        pid: The process.
        host: The machine that it runs on.
        since: When it took it, by its clock, as text.
    """

    pid: int
    host: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"

    @classmethod
    def me(cls) -> Owner:
        """Return this process as the owner from now on."""
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        return cls(os.getpid(), socket.gethostname(), now)

    @classmethod
    def of(cls, text: str) -> Owner | None:
        """Return who is named in the text of a lock file, or None where it is not whole."""
        words = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
        if {"pid", "host", "since"} <= words.keys() and words["pid"].isdecimal():
            return cls(int(words["pid"]), words["host"], words["since"])
        return None

    def text(self) -> str:
        """Return what is written into the lock file."""
        return f"pid: {self.pid}\nhost: {self.host}\nsince: {self.since}\n"


def create_private(path: Path) -> int:
    """Open a file that only its owner may read and write, whatever the umask is; make it where there is none."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, _MODE)
    if hasattr(os, "fchmod"):  # pragma: no branch - Windows alone has none
        with contextlib.suppress(PermissionError):
            os.fchmod(descriptor, _MODE)
    return descriptor


class LockFile:
    """
    A lock that ends with its process, however that ends.

    Args:
        spool: The spool that it is for.
    """

    def __init__(self, spool: Path) -> None:
        self.spool = spool
        self.path = spool.with_name(f"{spool.name}.lock")
        self._descriptor = -1
        self._registered = False

    def take(self) -> None:
        """
        Take it.

        Raises:
            SpoolError: Another process, or another spool of this process, has it.
            OSError: The file cannot be made.
        """
        while self._descriptor < 0:
            descriptor = create_private(self.path)
            if not _lock(descriptor):
                message = f"the spool {self.spool} is in use by {self.owner() or 'another process'}: one at a time"
                raise SpoolError(message)
            if not self._is_current(descriptor):
                os.close(descriptor)
                continue
            self._descriptor = descriptor
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, Owner.me().text().encode(errors="replace"))
        if not self._registered:
            # The lock belongs to whoever has the file open, a forked child included: it would outlive its owner.
            call_in_forked_child(self._let_go)
            self._registered = True

    def _is_current(self, descriptor: int) -> bool:
        # Its last owner may have removed it after it was opened here and before it was locked.
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(descriptor), self.path.stat())
        return False

    def holder(self) -> Owner | None:
        """Return who has it, if anybody has."""
        with contextlib.suppress(SpoolError):
            other = LockFile(self.spool)
            other.take()
            other.release()
            return None
        return self.owner() or Owner(0, "", "")

    def owner(self) -> Owner | None:
        """Return who has it, as far as the file says so."""
        with contextlib.suppress(OSError):
            return Owner.of(self.path.read_text(encoding="utf-8", errors="replace"))
        return None

    def release(self) -> None:
        """Give it free, and remove the file."""
        if self._descriptor < 0:
            return
        if sys.platform == "win32":  # pragma: no cover - Windows removes no file that is open
            self._let_go()
            with contextlib.suppress(OSError):
                self.path.unlink()
            return
        with contextlib.suppress(OSError):
            self.path.unlink()
        self._let_go()

    def _let_go(self) -> None:
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = -1


def _lock(descriptor: int) -> bool:
    """Lock an open file; close it where somebody else has it."""
    try:
        if sys.platform == "win32":  # pragma: no cover - Windows alone
            os.lseek(descriptor, _FAR_BEHIND_THE_TEXT, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        os.close(descriptor)
        return False
    except OSError:  # pragma: no cover - a file system without locks
        os.close(descriptor)
        raise
    return True
