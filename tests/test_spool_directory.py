"""A folder of spools: several processes, and those that take over what the dead left."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from spool_stages import Listener, everything, opened, small_files
from test_spool_locks import HOLD, start

from mida_async._errors import SpoolError
from mida_async.spools import admin
from mida_async.spools._batch import Batch
from mida_async.spools._directory import DirectoryStore
from mida_async.spools._lock import LockFile
from mida_async.spools.base import Settlement
from mida_async.spools.sqlite import SQLiteSpool
from mida_async.testing.spool_suite import DESTINATION, make_record

if TYPE_CHECKING:
    from mida_async.spools.base import SpooledRecord

SOON = 0.05


async def leave(folder: Path, names: list[int], *, dead: int = 0) -> None:
    """Leave a file with records and dead letters, as a process that ended would."""
    folder.mkdir(exist_ok=True)  # noqa: ASYNC240  nothing else runs
    async with opened(folder / f"spool-{names[0]}.db") as (spool, _found, _listener):
        for number in names:
            spool.append(make_record(max(number, spool.next_key)))
        for key in names[:dead]:
            spool.settle(key, Settlement.DEAD, f"no {key}")


def bodies(records: list[SpooledRecord]) -> list[str]:
    """Return what tells records apart, whatever their keys are."""
    return [record.name.removeprefix("événement ") for record in records]


def files(folder: Path) -> list[str]:
    """Return the names of the files that are there."""
    return sorted(file.name for file in folder.iterdir())


def test_what_others_left_comes_in_the_order_of_its_age(tmp_path: Path) -> None:
    """Files of dead processes are adopted at the start, the oldest first, under numbers before those of new records."""

    async def main() -> None:
        folder = tmp_path / "spools"
        await leave(folder, [10, 11, 500])
        await leave(folder, [1, 2, 3])
        async with opened(f"{folder}/") as (spool, found, listener):
            assert (found.records, found.next_key, found.remarks) == (6, 7, ())
            spool.append(make_record(spool.next_key))
            records = await everything(spool)
            assert [record.key for record in records] == [1, 2, 3, 4, 5, 6, 7]
            assert bodies(records) == ["10", "11", "500", "1", "2", "3", "7"]
            assert bodies(await spool.read(2, records=3, size=1000)) == ["500", "1", "2"]
            assert bodies(await spool.read(1, records=9, size=5)) == ["11", "500"]
            spool.replace(2, b"other")
            spool.note(3, attempts=2, ambiguous=True)
            spool.mark([4, 7])
            spool.settle(5, Settlement.DONE)
            await listener.until_durable(spool.mark([]))
            assert spool.records == 6
        async with opened(folder) as (spool, found, _listener):
            by_name = {record.name.split()[1]: record for record in await everything(spool)}
            assert by_name.keys() == {"10", "11", "500", "1", "3", "7"}
            assert by_name["11"].body == b"other"
            assert (by_name["500"].attempts, by_name["500"].ambiguous) == (2, True)
            assert [name for name, record in by_name.items() if record.in_flight] == ["1", "7"]

    asyncio.run(main())


def test_numbers_do_not_grow_with_gaps(tmp_path: Path) -> None:
    """A file whose keys are far apart takes as many numbers as it has records."""

    async def main() -> None:
        folder = tmp_path / "spools"
        await leave(folder, [1, 10**6, 10**12, 10**18])
        async with opened(folder) as (spool, found, _listener):
            assert found.next_key == 5
            assert [record.key for record in await everything(spool)] == [1, 2, 3, 4]

    asyncio.run(main())


def test_an_empty_file_is_removed_and_its_dead_letters_are_kept(tmp_path: Path) -> None:
    """What is adopted goes when nothing is left of it; its dead letters move over, under numbers that are free."""

    async def main() -> None:
        folder = tmp_path / "spools"
        await leave(folder, [5, 6, 7], dead=2)
        async with opened(folder) as (spool, found, listener):
            (own,) = [name for name in files(folder) if name.endswith(".db") and name != "spool-5.db"]
            assert (found.records, spool.dead) == (1, 2)
            (record,) = await everything(spool)
            spool.settle(record.key, Settlement.DEAD, "no 7")
            await listener.until_durable(spool.mark([]))
            assert not [name for name in files(folder) if name.startswith("spool-5.db")]
            assert (spool.records, spool.dead) == (0, 3)
            new = make_record(spool.next_key)
            spool.append(new)
            spool.settle(new.key, Settlement.DEAD, "new")
        assert files(folder) == [own]
        letters = list(admin.dead_letters(folder))
        assert [dead.reason for dead in letters] == ["no 5", "no 6", "no 7", "new"]
        assert [dead.record.name.split()[1] for dead in letters[:3]] == ["5", "6", "7"]

    asyncio.run(main())


def test_an_empty_folder_stays_empty(tmp_path: Path) -> None:
    """A spool that held nothing at its end leaves nothing; the folder is private."""

    async def main() -> None:
        async with opened(f"{tmp_path}/new/") as (spool, _found, _listener):
            spool.append(make_record(1))
            spool.settle(1, Settlement.DONE)
        assert files(tmp_path / "new") == []
        assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700

    asyncio.run(main())


def test_a_file_with_dead_letters_alone_is_taken_over(tmp_path: Path) -> None:
    """A file that holds nothing but dead letters is emptied and removed when somebody else comes."""

    async def main() -> None:
        folder = tmp_path / "spools"
        await leave(folder, [1, 2], dead=2)
        async with opened(folder, adopt_every=SOON) as (spool, found, listener):
            assert (found.records, spool.dead) == (0, 2)
            await listener.until_durable(spool.append(make_record(spool.next_key)))
            while (folder / "spool-1.db").exists():  # noqa: ASYNC110  nobody tells
                await asyncio.sleep(0.01)
            assert (spool.records, spool.dead) == (1, 2)

    asyncio.run(main())


def test_a_process_that_dies_is_noticed(tmp_path: Path) -> None:
    """What a process left that died while this one runs is announced, under new numbers, and can be read."""

    async def main() -> None:
        folder = tmp_path / "spools"
        folder.mkdir()
        with start(HOLD, folder) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            async with opened(folder, adopt_every=SOON) as (spool, found, listener):
                assert found.records == 0
                spool.append(make_record(spool.next_key))
                await asyncio.sleep(0.1)
                assert listener.adopted == []
                process.kill()
                await listener.until(lambda: bool(listener.adopted))
                assert listener.adopted == [1]
                assert (spool.records, spool.next_key) == (2, 3)
                spool.append(make_record(spool.next_key))
                records = await everything(spool)
                assert [record.key for record in records] == [1, 2, 3]
                for record in records:
                    spool.settle(record.key, Settlement.DONE)
        assert files(folder) == []

    asyncio.run(main())


def test_two_that_start_at_once_share_what_is_there(tmp_path: Path) -> None:
    """Each file goes to one of the spools that start at the same time, and no record to two."""

    async def main() -> None:
        folder = tmp_path / "spools"
        for number in range(10):
            await leave(folder, [number * 10 + 1, number * 10 + 2])
        spools = [SQLiteSpool(folder) for _number in range(4)]
        await asyncio.gather(*(Listener().open(spool) for spool in spools))
        names = [name for spool in spools for name in bodies(await everything(spool))]
        assert len(names) == len(set(names)) == 20
        await asyncio.gather(*(spool.aclose(5.0) for spool in spools))

    asyncio.run(main())


def test_what_belongs_to_others_is_left_alone(tmp_path: Path) -> None:
    """A file of another destination, and one that is no spool, stay as they are, and that is told once."""

    async def main() -> None:
        folder = tmp_path / "spools"
        await leave(folder, [1])
        connection = sqlite3.connect(folder / "spool-x.db")
        connection.execute("CREATE TABLE customers (name)")
        connection.close()
        spool = SQLiteSpool(folder, adopt_every=SOON)
        found = await Listener().open(spool, "elsewhere")
        assert found.records == 0
        assert [("spool-1.db" in remark, "spool-x.db" in remark) for remark in found.remarks] == [
            (True, False),
            (False, True),
        ]
        await asyncio.sleep(0.1)
        await spool.aclose(5.0)
        assert files(folder) == ["spool-1.db", "spool-x.db"]
        assert [record.name for record in admin.export(folder / "spool-1.db")] == ["événement 1"]

    asyncio.run(main())


def test_a_lock_that_was_left_behind_is_removed(tmp_path: Path) -> None:
    """A lock file without its spool goes; one that somebody has stays."""

    async def main() -> None:
        folder = tmp_path / "spools"
        folder.mkdir()
        (folder / "spool-gone.db.lock").write_text("")
        held = LockFile(folder / "spool-held.db")
        held.take()
        async with opened(folder):
            assert "spool-gone.db.lock" not in files(folder)
            assert "spool-held.db.lock" in files(folder)
        held.release()

    asyncio.run(main())


def test_a_file_that_goes_while_its_lock_is_taken_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever finds a file, and its lock free because its owner just removed both, makes neither anew."""

    async def main() -> None:
        folder = tmp_path / "spools"
        await leave(folder, [1])
        take = LockFile.take

        def take_too_late(self: LockFile) -> None:
            take(self)
            if self.spool.name == "spool-1.db":
                self.spool.unlink(missing_ok=True)

        monkeypatch.setattr(LockFile, "take", take_too_late)
        async with opened(folder) as (_spool, found, _listener):
            assert (found.records, found.remarks) == (0, ())
        assert files(folder) == []

    asyncio.run(main())


def test_an_own_file_whose_lock_is_taken_by_a_tidier_gets_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock that somebody takes for a left one costs a name, not the start; if it goes on for ever, it is told."""
    take = LockFile.take
    refusals = 3

    def refuse(self: LockFile) -> None:
        nonlocal refusals
        refusals -= 1
        if refusals >= 0:
            message = "in use"
            raise SpoolError(message)
        take(self)

    async def main() -> None:
        nonlocal refusals
        monkeypatch.setattr(LockFile, "take", refuse)
        async with opened(f"{tmp_path}/spools/") as (_spool, found, _listener):
            assert found.records == 0
        refusals = 1000
        with pytest.raises(SpoolError, match="in use"):
            await Listener().open(SQLiteSpool(f"{tmp_path}/spools/"))

    asyncio.run(main())


def test_parts_that_are_written_are_not_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fails between two files of one batch leaves nothing out and does nothing twice."""

    async def main() -> None:
        folder = tmp_path / "spools"
        await leave(folder, [1, 2])
        async with opened(folder) as (spool, _found, listener):
            writer: Any = spool._writer
            store = writer._store
            adopted = store._adopted[0].file
            write, failures = adopted.write, [OSError(28, "full")]

            def fail_once(part: Any) -> None:
                if failures:
                    raise failures.pop()
                write(part)

            monkeypatch.setattr(adopted, "write", fail_once)
            spool.settle(1, Settlement.DEAD, "no")
            new = make_record(spool.next_key)
            await listener.until_durable(spool.append(new))
            assert len(listener.troubles) == 2
            assert [record.key for record in await everything(spool)] == [2, new.key]
            assert (spool.records, spool.dead) == (2, 1)

    asyncio.run(main())


def test_an_empty_file_that_cannot_be_removed_yet_is_removed_later(tmp_path: Path) -> None:
    """Dead letters that cannot be moved because the disk is full are moved when it is not."""
    folder = tmp_path / "spools"
    asyncio.run(leave(folder, [1], dead=1))
    store = DirectoryStore(folder, synchronous="full", tend_every=1.0)
    store.open(DESTINATION)
    with small_files(0):
        assert store.tend() == []
        assert (folder / "spool-1.db").exists()
    assert store.tend() == []
    assert not (folder / "spool-1.db").exists()
    assert store.counts.dead == 1
    store.close()


def test_damage_in_an_adopted_file_is_mended(tmp_path: Path) -> None:
    """A file of another process that is damaged is saved like one's own, and that is told; also while this one runs."""

    async def main() -> None:
        folder = tmp_path / "spools"
        await leave(folder, list(range(1, 301)))
        shutil.copy(folder / "spool-1.db", tmp_path / "sound")
        with (folder / "spool-1.db").open("r+b") as file:
            file.seek(10 * 4096)
            file.write(b"\xff" * 4096)
        async with opened(folder) as (spool, found, _listener):
            assert len(found.remarks) == 1
            assert 250 < found.records < 300
            assert len(await everything(spool)) == found.records

    asyncio.run(main())


def test_damage_that_is_met_later_is_mended_in_all_files(tmp_path: Path) -> None:
    """Damage that shows while the files are open is mended, in one's own file and in adopted ones."""
    folder = tmp_path / "spools"
    asyncio.run(leave(folder, list(range(1, 301))))
    store = DirectoryStore(folder, synchronous="full", tend_every=1.0)
    store.open(DESTINATION)
    batch = Batch()
    batch.append(make_record(1000))
    store.write(batch)
    with (folder / "spool-1.db").open("r+b") as file:
        file.seek(10 * 4096)
        file.write(b"\xff" * 4096)
    (remark,) = store.mend()
    assert "spool-1.db was damaged" in remark
    found = store.read(0, records=1000, size=2**20)
    assert 250 < len(found) < 301
    assert found[-1].key == 1000
    assert store.counts.records == len(found)
    store.close()


def test_the_thread_survives_trouble_with_looking_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that cannot be listed for a moment stops nothing."""

    async def main() -> None:
        async with opened(f"{tmp_path}/spools/", adopt_every=SOON) as (spool, _found, listener):
            with monkeypatch.context() as patch:
                patch.setattr(Path, "glob", None)
                await asyncio.sleep(0.1)
            await leave(tmp_path / "spools", [1])
            await listener.until(lambda: listener.adopted == [1])
            assert spool.records == 1

    asyncio.run(main())
