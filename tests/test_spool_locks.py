"""Who has a spool: other processes, forked ones, forgotten ones, and where it cannot be opened."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from spool_stages import Listener, everything, opened, small_files

from mida_async._errors import SettingsError, SpoolError
from mida_async.spools._lock import LockFile, Owner
from mida_async.spools.base import Settlement
from mida_async.spools.sqlite import SQLiteSpool
from mida_async.testing.spool_suite import make_record

if TYPE_CHECKING:
    from mida_async.spools._batch import Batch

ROOT = Path(__file__).parent.parent

HOLD = """
import asyncio, os, sys, time
sys.path.insert(0, "tests")
from spool_stages import opened
from mida_async.testing.spool_suite import make_record
async def main():
    async with opened(sys.argv[1]) as (spool, found, listener):
        await listener.until_durable(spool.append(make_record(spool.next_key)))
        os.write(1, b"open\\n")
        sys.stdin.read()
asyncio.run(main())
"""

FORK = """
import asyncio, os, sys
sys.path.insert(0, "tests")
from spool_stages import everything, opened
from mida_async.spools.base import Settlement
from mida_async.testing.spool_suite import make_record
async def main():
    async with opened(sys.argv[1]) as (spool, found, listener):
        for key in range(1, 101):
            spool.append(make_record(key))
        await listener.until_durable(spool.mark([]))
        loop = asyncio.get_running_loop()
        child = os.fork()
        if not child:
            # The two share what wakes their loops: closing it here would leave the parent's asleep.
            loop._close_self_pipe = lambda: None
            assert spool.append(make_record(500)) and spool.replace(1, b"") and spool.mark([1])
            spool.note(1, attempts=1, ambiguous=True)
            spool.settle(1, Settlement.DONE)
            assert (spool.records, spool.dead, spool.has_room(1)) == (0, 0, True)
            assert await spool.read(0, records=10, size=10) == []
            await spool.aclose(1.0)
            raise SystemExit  # an end with everything that belongs to it
        assert os.waitpid(child, 0)[1] == 0
        assert os.path.getsize(sys.argv[1] + "-wal") > 0
        assert os.path.exists(sys.argv[1] + ".lock")
        ticket = spool.append(make_record(101))
        await listener.until_durable(ticket)
        assert len(await everything(spool)) == 101
    print("fine")
asyncio.run(main())
"""

FORGET = """
import asyncio, sys
sys.path.insert(0, "tests")
from spool_stages import Listener
from mida_async.spools.sqlite import SQLiteSpool
from mida_async.testing.spool_suite import make_record
spool = SQLiteSpool(sys.argv[1])
async def main():
    await Listener().open(spool)
    for key in range(1, 1001):
        spool.append(make_record(key))
asyncio.run(main())
"""


def start(script: str, path: Path) -> subprocess.Popen[str]:
    """Start a process."""
    command = [sys.executable, "-c", script, str(path)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603


def finish(script: str, path: Path) -> str:
    """Run a process to its end; return what it printed."""
    with start(script, path) as process:
        out, _err = process.communicate(timeout=30)
    assert process.returncode == 0
    return out


async def keys_of(path: Path) -> list[int]:
    """Return what is there."""
    async with opened(path) as (spool, _found, _listener):
        return [record.key for record in await everything(spool)]


def test_another_process_is_told_who_has_it(tmp_path: Path) -> None:
    """A second process is refused with path, process and machine; a dead owner's spool is free at once."""
    path = tmp_path / "spool.db"
    with start(HOLD, path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        with pytest.raises(SpoolError) as caught:
            asyncio.run(keys_of(path))
        owner = LockFile(path).owner()
        assert owner is not None
        assert all(word in str(caught.value) for word in (str(path), str(process.pid), owner.host, owner.since))
        assert (tmp_path / "spool.db.lock").stat().st_mode & 0o777 == 0o600
        process.kill()
    assert asyncio.run(keys_of(path)) == [1]
    assert [file.name for file in tmp_path.iterdir()] == ["spool.db"]


def test_the_same_process_is_refused_as_well(tmp_path: Path) -> None:
    """A second spool of the same process on the same file is refused, under whatever name."""

    async def main() -> None:
        (tmp_path / "folder").mkdir()
        (tmp_path / "other").symlink_to(tmp_path / "folder")
        async with opened(tmp_path / "folder" / "spool.db"):
            for name in ("folder", "other"):
                with pytest.raises(SpoolError, match=f"process {os.getpid()}"):
                    await keys_of(tmp_path / name / "spool.db")

    asyncio.run(main())


def test_a_lock_that_was_removed_meanwhile_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opened a lock file before its owner removed it locks the new one, not the one that is gone."""
    first, second, third = (LockFile(tmp_path / "spool.db") for _number in range(3))
    current = LockFile._is_current
    seen: list[bool] = []

    def removed_first(self: LockFile, descriptor: int) -> bool:
        if not seen:
            self.path.unlink()
        seen.append(current(self, descriptor))
        return seen[-1]

    monkeypatch.setattr(LockFile, "_is_current", removed_first)
    second.take()
    assert seen == [False, True]
    with pytest.raises(SpoolError):
        third.take()
    second.release()
    second.release()
    first.take()
    assert first.holder() is not None
    first.release()
    assert first.holder() is None


def test_a_lock_without_words_still_holds(tmp_path: Path) -> None:
    """A lock file whose text is not there yet, or is not whole, has an owner all the same."""
    lock = LockFile(tmp_path / "spool.db")
    lock.take()
    lock.path.write_text("pid: x\nhost: y\nsince: z\n")
    assert lock.owner() is None
    assert lock.holder() == Owner(0, "", "")
    with pytest.raises(SpoolError, match="another process"):
        LockFile(tmp_path / "spool.db").take()
    lock.release()
    assert lock.owner() is None


def test_a_forked_child_touches_nothing(tmp_path: Path) -> None:
    """R15: a forked child's calls are without effect, and its end leaves log, lock and connection to the parent."""
    path = tmp_path / "spool.db"
    assert finish(FORK, path) == "fine\n"
    assert asyncio.run(keys_of(path)) == list(range(1, 102))


def test_a_child_does_not_keep_the_lock_of_a_dead_parent(tmp_path: Path) -> None:
    """A lock ends with its owner, although a child that it forked lives on."""
    fork = 'os.fork() or (os.write(1, b"child\\n"), time.sleep(60))'
    script = HOLD.replace("        sys.stdin", f"        {fork}\n        sys.stdin")
    path = tmp_path / "spool.db"
    with start(script, path) as process:
        assert process.stdout is not None
        assert {process.stdout.readline(), process.stdout.readline()} == {"open\n", "child\n"}
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
        process.kill()
        process.wait()
        try:
            assert asyncio.run(keys_of(path)) == [1]
        finally:
            for child in children:
                os.kill(int(child), 9)


def test_a_forgotten_close_neither_hangs_nor_loses(tmp_path: Path) -> None:
    """A process that ends without closing its spool ends at once, and what it appended is written."""
    path = tmp_path / "spool.db"
    began = time.monotonic()
    finish(FORGET, path)
    assert time.monotonic() - began < 10
    assert len(asyncio.run(keys_of(path))) == 1000
    assert [file.name for file in tmp_path.iterdir()] == ["spool.db"]


def test_a_spool_that_nobody_knows_any_more_is_closed(tmp_path: Path) -> None:
    """An open spool that is collected warns, writes what it has, and gives the file free."""
    path = tmp_path / "spool.db"

    async def main() -> None:
        spool = SQLiteSpool(path)
        await Listener().open(spool)
        spool.append(make_record(1))
        writer = spool._writer
        assert writer is not None
        with pytest.warns(ResourceWarning, match="never closed"):  # noqa: PT031  both may collect it
            del spool
            gc.collect()
        await asyncio.wrap_future(writer.closed)
        assert await keys_of(path) == [1]

    asyncio.run(main())


def test_its_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    """Database, log and lock can be read by their owner alone, with a lax umask and with a strict one."""

    async def main(path: Path) -> None:
        async with opened(path) as (spool, _found, listener):
            await listener.until_durable(spool.append(make_record(1)))
            modes = {file.name: oct(file.stat().st_mode & 0o777) for file in path.parent.iterdir()}
            assert modes == dict.fromkeys(("spool.db", "spool.db-wal", "spool.db.lock"), "0o600")

    for mask in (0o000, 0o277):
        folder = tmp_path / oct(mask)
        folder.mkdir()
        before = os.umask(mask)
        try:
            asyncio.run(main(folder / "spool.db"))
        finally:
            os.umask(before)


def test_a_place_that_is_none_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is missing, is a file or cannot be written gives a SpoolError that says what to do."""
    (tmp_path / "file").write_text("")
    (tmp_path / "spool.db.lock").mkdir()
    for name, word in (("no/spool.db", "make"), ("file/spool.db", "no folder"), ("spool.db", "cannot be opened")):
        with pytest.raises(SpoolError, match=word):
            asyncio.run(keys_of(tmp_path / name))
    for name, word in (("no/folder/", "make"), ("file/folder/", "no folder"), ("file/", "cannot be opened")):
        with pytest.raises(SpoolError, match=word):
            asyncio.run(keys_of(f"{tmp_path}/{name}"))  # type: ignore[arg-type]
    (tmp_path / "locked").mkdir()

    def refuse(*_arguments: Any, **_more: Any) -> int:
        raise PermissionError(13, "Permission denied")

    # Root may write everywhere, so the refusal is played.
    monkeypatch.setattr("mida_async.spools._lock.os.open", refuse)
    monkeypatch.setattr("mida_async.spools._file.os.access", lambda *_arguments: False)
    with pytest.raises(SpoolError, match="permissions"):
        asyncio.run(keys_of(tmp_path / "locked" / "spool.db"))


@pytest.mark.parametrize(
    "arguments",
    [
        {"path": ":memory:"},
        {"path": ""},
        {"path": "a\0b"},
        {"path": "a", "synchronous": "off"},
        {"path": "a", "max_bytes": 0},
        {"path": "a", "max_records": -1},
        {"path": "a/", "adopt_every": 0.0},
    ],
)
def test_a_wrong_setting_is_refused_at_once(arguments: dict[str, Any]) -> None:
    """What can be seen without looking at the disk is refused when the spool is made."""
    with pytest.raises(SettingsError):
        SQLiteSpool(**arguments)


def test_making_one_does_nothing(tmp_path: Path) -> None:
    """Constructing a spool touches no disk; using it before it is open, or after, says so."""

    async def main() -> None:
        spool = SQLiteSpool(tmp_path / "spool.db", synchronous="normal")
        assert (spool.records, spool.dead, spool.next_key) == (0, 0, 1)
        assert str(tmp_path) in repr(spool)
        assert not list(tmp_path.iterdir())  # noqa: ASYNC240  nothing else runs
        with pytest.raises(SpoolError, match="not open"):
            spool.append(make_record(1))
        await spool.aclose(1.0)
        with pytest.raises(SpoolError, match="opened before"):
            await Listener().open(spool)

    asyncio.run(main())


def test_an_opening_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    """Cancelling *open* gives the file free."""

    async def main() -> None:
        spool = SQLiteSpool(tmp_path / "spool.db")
        task = asyncio.create_task(Listener().open(spool))
        await asyncio.sleep(0)
        writer = spool._writer
        assert writer is not None
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await asyncio.wrap_future(writer.closed)
        assert await keys_of(tmp_path / "spool.db") == []

    asyncio.run(main())


def test_a_stuck_disk_does_not_hold_closing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R14: with a write that does not come back, closing takes its timeout and little more."""

    async def main() -> None:
        spool, listener = SQLiteSpool(tmp_path / "spool.db"), Listener()
        await listener.open(spool)
        writer: Any = spool._writer
        free = threading.Event()
        write = writer._store.write

        def stuck(batch: Batch) -> None:
            free.wait(20.0)
            write(batch)

        monkeypatch.setattr(writer._store, "write", stuck)
        spool.append(make_record(1))
        began = time.monotonic()
        await spool.aclose(0.1)
        assert time.monotonic() - began < 1.0
        free.set()
        await asyncio.wrap_future(writer.closed)
        assert await keys_of(tmp_path / "spool.db") == [1]

    asyncio.run(main())


def test_a_full_disk_at_the_start_is_explained(tmp_path: Path) -> None:
    """A new spool on a disk that takes nothing is refused, and leaves no lock behind."""
    with small_files(0), pytest.raises(SpoolError, match="free space"):
        asyncio.run(keys_of(tmp_path / "spool.db"))
    assert not list(tmp_path.glob("*.lock"))


def test_a_record_that_comes_and_goes_is_never_written(tmp_path: Path) -> None:
    """What is settled before it was written takes no room on the disk, and its ticket becomes durable."""

    async def main() -> None:
        async with opened(tmp_path / "spool.db") as (spool, _found, listener):
            for key in range(1, 101):
                spool.append(make_record(key, b"x" * 100_000))
                spool.settle(key, Settlement.DONE)
            await listener.until_durable(spool.mark([]))
            assert (tmp_path / "spool.db-wal").stat().st_size < 2_000_000

    asyncio.run(main())
