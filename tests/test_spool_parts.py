"""Parts of the spool by themselves: what a whole one meets too seldom."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from spool_stages import Listener, everything, opened, small_files

from mida_async._errors import SpoolError
from mida_async.spools import _file, _forks, _rows, _salvage, _schema, _wal, admin
from mida_async.spools._batch import Batch, End
from mida_async.spools._directory import DirectoryStore
from mida_async.spools._file import SpoolFile, explain, is_damage
from mida_async.spools._lock import LockFile
from mida_async.spools.base import Settlement
from mida_async.spools.sqlite import SQLiteSpool
from mida_async.testing import MemoryDisk, MemorySpool
from mida_async.testing.clock import run_virtual
from mida_async.testing.spool_suite import DESTINATION, make_record

if TYPE_CHECKING:
    from pathlib import Path


def test_a_batch_absorbs_what_was_asked_later() -> None:
    """What is asked while a write fails is summed up with it: each record is in the batch at most once."""
    earlier, later = Batch(), Batch()
    for key in (11, 12, 13):
        earlier.append(make_record(key, b"123"))
    earlier.mark([1])
    later.append(make_record(14))
    later.replace(11, b"12345")
    later.note(11, 2, ambiguous=True)
    later.mark([11, 2])
    later.note(12, 1, ambiguous=False)
    later.replace(1, b"new")
    later.note(1, 4, ambiguous=True)
    later.settle(13, End(None, 1.0))
    later.settle(2, End("no", 1.0))
    later.settle(2, End(None, 2.0))
    later.replace(2, b"too late")
    later.settle(3, End(None, 1.0))
    later.ticket = 9
    earlier.absorb(later)
    assert earlier.new == {
        11: attrs.evolve(make_record(11, b"12345"), attempts=2, ambiguous=True, in_flight=True),
        12: attrs.evolve(make_record(12, b"123"), attempts=1),
        14: make_record(14),
    }
    assert (earlier.size, earlier.records, earlier.letters, earlier.ticket, earlier.next_key) == (10, 1, 1, 9, 15)
    written = make_record(1)
    changed = attrs.evolve(written, body=b"new", attempts=4, ambiguous=True)
    assert earlier.applied(attrs.evolve(written, in_flight=True)) == changed
    assert earlier.applied(make_record(2)) is None
    assert earlier.applied(make_record(7)) == make_record(7)


def test_a_change_of_one_thing_leaves_the_others() -> None:
    """A batch that knows of a body, or of a mark, alone changes that alone."""
    batch = Batch()
    batch.replace(1, b"new")
    batch.mark([2])
    marked = attrs.evolve(make_record(1), attempts=3, in_flight=True)
    assert batch.applied(marked) == attrs.evolve(marked, body=b"new")
    assert batch.applied(make_record(2)) == attrs.evolve(make_record(2), in_flight=True)


@pytest.mark.parametrize("key", [0, -1, 2**62])
def test_a_key_that_cannot_be_kept_is_refused(key: int) -> None:
    """Keys are numbers that SQLite can count."""
    with pytest.raises(ValueError, match="must lie between"):
        _rows.check_storable(make_record(key))


def test_a_text_that_is_no_unicode_is_refused() -> None:
    """A lone surrogate cannot be written, so it is refused when the record is appended."""
    with pytest.raises(UnicodeEncodeError):
        _rows.check_storable(attrs.evolve(make_record(1), name="\ud800"))


@pytest.mark.parametrize("bit", range(16))
def test_no_flipped_bit_makes_another_word(bit: int) -> None:
    """A flag or a count of which a bit is flipped is neither the other flag nor another count."""
    row = list(_rows.encode(attrs.evolve(make_record(1), attempts=5, ambiguous=True)))
    for column in (7, 8, 9):
        damaged = [*row[:column], row[column] ^ (1 << bit), *row[column + 1 :]]
        with pytest.raises(_rows.DamagedRowError):
            _rows.decode(damaged)


def test_a_dead_letter_is_never_taken_for_a_live_record() -> None:
    """A row of one table that comes to stand in the other does not count there."""
    record = make_record(1)
    row = _rows.encode(record)
    with pytest.raises(_rows.DamagedRowError):
        _rows.decode_dead((*row, *_rows.end_words(1, "no", 1.0)))
    with pytest.raises(_rows.DamagedRowError):
        _rows.decode_dead((*row[:-2], None, row[-1], *_rows.end_words(1, "no", 1.0)))


def test_rows_that_are_damaged_later_are_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Damage that a large file's check did not reach is found when the rows are read; also where the disk is full."""
    file = SpoolFile(tmp_path / "spool.db")
    file.open(DESTINATION)
    batch = Batch()
    for key in range(1, 11):
        batch.append(make_record(key))
    batch.settle(10, End("no", 1.0))
    file.write(batch)
    file._connected.execute("UPDATE records SET body = x'00' WHERE key < 6")
    file._connected.execute("UPDATE dead SET reason = 'other'")
    with small_files(0):
        assert [record.key for record in file.read(0, records=5, size=100)] == [6, 7, 8, 9]
        assert [record.key for record in file.read(0, records=7, size=100)] == [6, 7]
    assert [record.key for record in file.read(0, records=2, size=100)] == [6, 7]
    assert file.counts.records == 4
    assert list(file.dead_letters()) == []
    assert "are damaged" in caplog.text
    file.close()
    with pytest.raises(SpoolError, match="closed"):
        file.read(0, records=1, size=1)


def test_a_check_that_takes_too_long_is_broken_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be checked in the time is opened, and that is told."""
    path = tmp_path / "spool.db"
    file = SpoolFile(path)
    file.open(DESTINATION)
    batch = Batch()
    for key in range(1, 30_001):
        batch.append(make_record(key, b"x" * 1000))
    file.write(batch)
    file.close()

    class Impatient(threading.Timer):
        """Interrupts again and again: once may come before the check has begun, or on a busy machine after its end."""

        def run(self) -> None:
            while not self.finished.wait(0.0001):
                self.function()

    monkeypatch.setattr(threading, "Timer", Impatient)
    (remark,) = file.open(DESTINATION)
    assert "too much to be checked whole" in remark
    file.close()
    # Any other error in the check is one of the file.
    monkeypatch.setattr("mida_async.spools._file.sqlite3.SQLITE_INTERRUPT", -1)
    with pytest.raises(SpoolError, match="interrupted"):
        file.open(DESTINATION)


def test_an_error_in_the_check_is_one_of_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the disk, other than damage, is told and changes nothing."""
    file = SpoolFile(tmp_path / "spool.db")
    file.open(DESTINATION)
    file.close()
    before = file.path.read_bytes()

    def fail(*_arguments: Any) -> int:
        error = sqlite3.OperationalError("locked")
        error.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise error

    monkeypatch.setattr(_schema, "tables", fail)
    with pytest.raises(SpoolError, match="locked"):
        file.open(DESTINATION)
    monkeypatch.undo()
    monkeypatch.setattr(SpoolFile, "_limited", fail)
    with pytest.raises(SpoolError, match="locked"):
        file.open(DESTINATION)
    assert file.path.read_bytes() == before


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (sqlite3.SQLITE_CORRUPT, True),
        (sqlite3.SQLITE_NOTADB, True),
        (sqlite3.SQLITE_ERROR, True),
        (sqlite3.SQLITE_READONLY, True),
        (sqlite3.SQLITE_IOERR_READ, True),
        (sqlite3.SQLITE_IOERR_WRITE, False),
        (sqlite3.SQLITE_FULL, False),
        (sqlite3.SQLITE_BUSY, False),
        (sqlite3.SQLITE_CANTOPEN, False),
    ],
)
def test_damage_is_told_from_a_disk_that_does_not_work(code: int, tmp_path: Path, *, expected: bool) -> None:
    """What does not get better by waiting is damage; what may, is not."""
    error = sqlite3.OperationalError("x")
    error.sqlite_errorcode = code
    (tmp_path / "file").write_text("")
    assert is_damage(error, tmp_path / "file") is expected


def test_a_crash_while_files_are_exchanged_is_finished(tmp_path: Path) -> None:
    """The new file takes its place at the next start, if the damaged one had left it already, and its log goes."""
    path, rebuilt = tmp_path / "spool.db", tmp_path / "spool.db.rebuilt"
    file = SpoolFile(rebuilt)
    file.open(DESTINATION)
    batch = Batch()
    batch.append(make_record(1))
    file.write(batch)
    file.close()
    (tmp_path / "spool.db-wal").write_bytes(b"old")
    file = SpoolFile(path)
    assert file.open(DESTINATION) == ()
    assert [record.key for record in file.read(0, records=5, size=5)] == [1]
    file.close()
    assert [left.read_bytes() for left in tmp_path.glob("spool.db.corrupt-*-wal")] == [b"old"]


def test_every_damaged_file_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files that are damaged within one second, or a clock that stands still, lose neither."""
    monkeypatch.setattr("mida_async.spools._salvage.time.time", lambda: 1.0)
    for content in (b"first", b"second", b"third"):
        (tmp_path / "spool.db").write_bytes(content)
        file = SpoolFile(tmp_path / "spool.db")
        file.open(DESTINATION)
        file.close()
    assert {left.read_bytes() for left in tmp_path.glob("*.corrupt-*")} == {b"first", b"second", b"third"}


def test_lost_tables_are_damage(tmp_path: Path) -> None:
    """A file of this package without its tables is set aside; records of others in it stay there, and that is told."""
    path = tmp_path / "spool.db"
    file = SpoolFile(path)
    file.open(DESTINATION)
    batch = Batch()
    batch.append(make_record(1))
    batch.append(attrs.evolve(make_record(2), destination="elsewhere"))
    file.write(batch)
    file.close()
    connection = sqlite3.connect(path)
    connection.commit()
    connection.execute("DROP TABLE meta")
    connection.close()
    (remark,) = file.open(DESTINATION)
    assert "1 records and 0 dead letters were saved; how many are lost is not known; 1 are for another" in remark
    assert [record.key for record in file.read(0, records=5, size=5)] == [1]
    file.close()


def test_damaged_rows_are_counted_where_nothing_else_is_known(tmp_path: Path) -> None:
    """Without the counts that the spool kept, what is found damaged is told all the same."""
    path = tmp_path / "spool.db"
    file = SpoolFile(path)
    file.open(DESTINATION)
    batch = Batch()
    batch.append(make_record(1))
    batch.append(make_record(2))
    file.write(batch)
    file.close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE records SET body = x'00' WHERE key = 1")
    connection.commit()
    connection.execute("DROP TABLE meta")
    connection.close()
    (remark,) = file.open(DESTINATION)
    assert remark.endswith("1 records and 0 dead letters were saved; 1 were found but are not what was written")
    file.close()


def test_whole_regions_that_are_gone_are_stepped_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no row can be found for long the steps grow, and the first row after the region is found all the same."""
    monkeypatch.setattr(_salvage, "_SINGLE_STEPS", 5)
    path = tmp_path / "spool.db"
    file = SpoolFile(path)
    file.open(DESTINATION)
    batch = Batch()
    for key in range(1, 301):
        batch.append(make_record(key * 100, b"x" * 300))
    file.write(batch)
    file.close()
    with path.open("r+b") as damaged:
        damaged.seek(12 * 4096)
        damaged.write(bytes(4096))
    (remark,) = file.open(DESTINATION)
    assert "nothing could be read in the ranges of keys" in remark
    assert 285 <= file.counts.records < 300
    file.close()


def test_a_last_record_that_cannot_be_read_is_counted(tmp_path: Path) -> None:
    """Where the body of the last record is gone, the others are saved and one is lost."""
    path = tmp_path / "spool.db"
    file = SpoolFile(path)
    file.open(DESTINATION)
    batch = Batch()
    for key, size in ((1, 1), (2, 1), (3, 50_000)):
        batch.append(make_record(key, b"x" * size))
    file.write(batch)
    file.close()
    with path.open("r+b") as damaged:
        damaged.seek(-5 * 4096, 2)
        damaged.write(b"\xff" * 5 * 4096)
    (remark,) = file.open(DESTINATION)
    assert "2 records and 0 dead letters were saved; 1 of those that were counted are lost; 1 were found but" in remark
    file.close()


def test_damage_in_the_log_itself_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that cannot be brought into the database because that is damaged leads to a new file."""
    path = tmp_path / "spool.db"
    file = SpoolFile(path)
    file.open(DESTINATION)
    file.close()
    recovered = SpoolFile._recovered
    failures = [sqlite3.DatabaseError("malformed")]

    def fail_once(self: SpoolFile, expected: int) -> int:
        if failures:
            self._connected.set_authorizer(lambda *_arguments: sqlite3.SQLITE_DENY)
            monkeypatch.setattr(_file, "is_damage", lambda _error, _path: bool(failures))
            try:
                return recovered(self, expected)
            finally:
                monkeypatch.setattr(_file, "is_damage", lambda _error, _path: bool(failures.pop()))
        return recovered(self, expected)

    monkeypatch.setattr(SpoolFile, "_recovered", fail_once)
    (remark,) = file.open(DESTINATION)
    assert "was damaged" in remark
    file.close()


class _Circle:
    """A connection to a tree that leads in a circle."""

    def __init__(self) -> None:
        self.asked = 0

    def execute(self, query: str, _parameters: tuple[int, ...]) -> Any:
        """Return rows that go back."""
        self.asked += 1
        rows = [(5,), (3,)] if "LIMIT" not in query else [(1,)]

        class _Rows(list[tuple[int]]):
            def fetchone(self) -> tuple[int]:
                return self[0]

        return _Rows(rows)


def test_a_tree_that_leads_in_a_circle_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that go back are damage, and reading them comes to an end."""
    monkeypatch.setattr(_salvage, "_SINGLE_STEPS", 5)
    wreck = _salvage.Wreck.__new__(_salvage.Wreck)
    wreck.unreadable, wreck.holes = [], []
    wreck._connection = _Circle()  # type: ignore[assignment]
    assert list(wreck.rows("records", "key")) == [(5,)]
    assert wreck.holes == [(6, _rows.LARGEST_KEY)]


def test_a_large_file_gets_smaller_when_it_is_empty(tmp_path: Path) -> None:
    """The space of many records is given back at the end, if none is left."""
    path = tmp_path / "spool.db"
    file = SpoolFile(path)
    file.open(DESTINATION)
    batch = Batch()
    for key in range(1, 6001):
        batch.append(make_record(key, b"x" * 4000))
    file.write(batch)
    batch = Batch()
    for key in range(1, 6001):
        batch.settle(key, End(None, 1.0))
    file.write(batch)
    file.close()
    assert path.stat().st_size < 100_000
    file.open(DESTINATION)
    assert file.counts.next_key == 6001
    file.close()


def test_a_log_is_counted_by_its_commits(tmp_path: Path) -> None:
    """A log that is missing or has no whole header holds nothing."""
    assert _wal.committed_frames(tmp_path / "none", 4096) == 0
    (tmp_path / "short").write_bytes(b"x" * 31)
    assert _wal.committed_frames(tmp_path / "short", 4096) == 0


def test_places_are_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong with a place is told apart: a folder in its place, a file that cannot be read, anything else."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    assert "is a folder" in explain(tmp_path / "folder", OSError())
    assert "free space" in explain(tmp_path / "file", OSError())
    monkeypatch.setattr("mida_async.spools._file.os.access", lambda path, _mode: path == tmp_path)
    assert "cannot be read and written" in explain(tmp_path / "file", OSError())


def test_a_lock_that_cannot_be_made_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in which no lock can be made gives a SpoolError."""

    def refuse(_self: LockFile) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(LockFile, "take", refuse)
    store = DirectoryStore(tmp_path, synchronous="full", tend_every=1.0)
    with pytest.raises(SpoolError, match="Permission denied"):
        store.open(DESTINATION)


def test_a_file_that_cannot_be_adopted_is_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that is left alone while the spool runs is logged, once."""
    store = DirectoryStore(tmp_path, synchronous="full", tend_every=1.0)
    store.open(DESTINATION)
    other = SpoolFile(tmp_path / "spool-other.db")
    other.open("elsewhere")
    other.close()
    assert store.tend() == store.tend() == []
    assert caplog.text.count("spool-other.db was left alone") == 1
    store.close()


def test_what_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the disk while reading is one of *read*; damage that cannot be mended as well; the spool goes on."""

    async def main() -> None:
        async with opened(tmp_path / "spool.db") as (spool, _found, listener):
            await listener.until_durable(spool.append(make_record(1)))
            writer: Any = spool._writer
            for code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CORRUPT):

                def fail(*_arguments: Any, code: int = code, **_more: Any) -> Any:
                    error = sqlite3.OperationalError("no")
                    error.sqlite_errorcode = code
                    raise error

                with monkeypatch.context() as patch:
                    patch.setattr(writer._store, "read", fail)
                    patch.setattr(writer._store, "mend", fail)
                    with pytest.raises(SpoolError, match="cannot be read"):
                        await spool.read(0, records=1, size=1)
            assert len(await everything(spool)) == 1
            task = asyncio.create_task(spool.read(0, records=1, size=1))
            await asyncio.sleep(0)
            task.cancel()
            assert len(await everything(spool)) == 1

    asyncio.run(main())


def test_a_read_that_meets_the_end_is_answered(tmp_path: Path) -> None:
    """Whoever reads while the spool is closed gets an answer: what is there, or that it is closed."""

    async def main() -> None:
        spool, listener = SQLiteSpool(tmp_path / "spool.db"), Listener()
        await listener.open(spool)
        await listener.until_durable(spool.append(make_record(1)))
        writer: Any = spool._writer
        with small_files(0):
            spool.append(make_record(2))
            await listener.until(lambda: bool(listener.troubles))
            writer._deadline = 0.0
            reading = asyncio.create_task(spool.read(0, records=5, size=5))
            await asyncio.wait([reading])
        assert reading.exception() is None or isinstance(reading.exception(), SpoolError)
        await asyncio.wrap_future(writer.closed)
        await spool.aclose(1.0)

    asyncio.run(main())


def test_a_store_with_one_file_looks_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A single file has nothing to adopt; a lock that is let go in a child stays with the parent."""

    async def main() -> None:
        async with opened(tmp_path / "spool.db") as (spool, _found, _listener):
            writer: Any = spool._writer
            assert writer._store.tend() == []
            writer._store.accept(None, 1)

    asyncio.run(main())
    calls: list[str] = []

    class Owner:
        def leave(self) -> None:
            calls.append("left")

    owner = Owner()
    in_child: list[Any] = []
    with monkeypatch.context() as patch:
        patch.setattr("mida_async.spools._forks.os.register_at_fork", lambda **hooks: in_child.extend(hooks.values()))
        _forks.call_in_forked_child(owner.leave)
    in_child[0]()
    del owner
    in_child[0]()
    assert calls == ["left"]
    lock = LockFile(tmp_path / "spool.db")
    lock.take()
    lock._let_go()
    lock._let_go()


def test_a_memory_disk_says_what_is_on_it() -> None:
    """What is durable can be seen from outside; after a crash nothing counts any more."""

    async def main() -> None:
        disk = MemoryDisk(latency=2.0)
        disk.crash()
        spool, listener = MemorySpool(disk), Listener()
        await listener.open(spool)
        spool.append(make_record(1))
        spool.append(make_record(2))
        assert not disk.records
        began = asyncio.get_running_loop().time()
        await listener.until_durable(2)
        assert asyncio.get_running_loop().time() - began == 2.0
        assert [record.key for record in disk.records] == [1, 2]
        disk.fill_up()
        spool.settle(1, Settlement.DEAD, "no")
        await listener.until(lambda: bool(listener.troubles))
        disk.crash()
        spool.append(make_record(3))
        disk.failure = None
        await asyncio.sleep(100.0)
        assert ([record.key for record in disk.records], disk.writes) == ([1, 2], 1)
        assert not disk.dead
        await spool.aclose(1.0)
        again = MemorySpool(disk)
        assert (await Listener().open(again)).records == 2
        await again.aclose(1.0)

    run_virtual(main())


def test_dead_letters_of_a_folder_can_be_listed_in_part(tmp_path: Path) -> None:
    """Whoever stops reading gives the file free."""
    path = tmp_path / "spool.db"

    async def main() -> None:
        async with opened(path) as (spool, _found, _listener):
            for key in (1, 2):
                spool.append(make_record(key))
                spool.settle(key, Settlement.DEAD, "no")

    asyncio.run(main())
    letters = admin.dead_letters(path)
    assert next(letters).record.key == 1
    letters.close()  # type: ignore[attr-defined]
    assert admin.status(path).dead == 2


def test_news_that_come_late_are_dropped(tmp_path: Path) -> None:
    """What the thread says to a spool that is closed, or gone, has no effect; nor does closing in a forked child."""

    async def main() -> None:
        spool = SQLiteSpool(tmp_path / "spool.db")
        await spool.open(DESTINATION, on_durable=lambda _ticket: None, on_trouble=lambda _error: None)
        writer: Any = spool._writer
        adoption: Any = attrs.make_class(
            "Adoption", {"records": attrs.field(default=2), "span": attrs.field(default=3)}
        )()
        spool._found(adoption)
        assert spool.next_key == 4
        writer._pid = -1
        writer.close(0.0)
        writer._pid = spool._pid
        assert not writer.closed.done()
        await spool.aclose(5.0)
        spool._found(adoption)
        assert spool.next_key == 4
        del spool
        writer._ears.written(1)

    asyncio.run(main())
