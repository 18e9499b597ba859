"""Looking into spools and putting dead letters right."""

from __future__ import annotations

import asyncio
from pathlib import Path

import attrs
import pytest
from spool_stages import opened
from test_spool_locks import HOLD, start

from mida_async._errors import SpoolError
from mida_async.spools import admin
from mida_async.spools.base import Settlement
from mida_async.testing.spool_suite import DESTINATION, make_record


async def fill(path: Path, *, dead: tuple[int, ...] = (2, 4, 6)) -> None:
    """Make a spool with ten records, of which some are dead letters."""
    async with opened(path) as (spool, _found, _listener):
        for _number in range(10):
            spool.append(make_record(spool.next_key, b"x" * 10))
        for key in dead:
            spool.note(key, attempts=3, ambiguous=key == 4)
            spool.settle(key, Settlement.DEAD, f"no {key}")


def test_status_tells_what_is_there(tmp_path: Path) -> None:
    """The status of a file counts what is in it."""
    path = tmp_path / "spool.db"
    asyncio.run(fill(path))
    size = path.stat().st_size
    assert admin.status(path) == admin.SpoolStatus(
        path=str(path),
        records=7,
        bytes=70,
        dead=3,
        oldest=make_record(1).accepted_at,
        destination=DESTINATION,
        schema_version=1,
        file_size=size,
    )
    assert [file.name for file in tmp_path.iterdir()] == ["spool.db"]


def test_status_of_a_spool_in_use_tells_by_whom(tmp_path: Path) -> None:
    """Of a spool that a process has, status tells which; everything else is refused."""
    path = tmp_path / "spool.db"
    asyncio.run(fill(path))
    with start(HOLD, path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        status = admin.status(path)
        assert status.owner is not None
        assert (status.owner.pid, status.records, status.file_size > 4096) == (process.pid, None, True)
        assert admin.status(tmp_path).files == ()
        for refused in (
            lambda: list(admin.dead_letters(path)),
            lambda: list(admin.export(path)),
            lambda: admin.retry_dead(path),
            lambda: admin.drop_dead(path, [2]),
        ):
            with pytest.raises(SpoolError, match=str(process.pid)):
                refused()
        process.kill()


def test_a_folder_is_summed_up(tmp_path: Path) -> None:
    """The status of a folder has its files, and sums where all are known."""
    asyncio.run(fill(tmp_path / "spool-1.db"))
    asyncio.run(fill(tmp_path / "spool-2.db"))
    status = admin.status(tmp_path)
    assert (status.records, status.bytes, status.dead, status.destination) == (14, 140, 6, DESTINATION)
    assert [Path(file.path).name for file in status.files] == ["spool-1.db", "spool-2.db"]
    assert len(list(admin.export(tmp_path))) == 14
    assert len(list(admin.dead_letters(tmp_path, limit=4))) == 4
    with start(HOLD, tmp_path / "spool-2.db") as process:
        assert process.stdout is not None
        process.stdout.readline()
        status = admin.status(tmp_path)
        assert (status.records, status.dead, status.destination) == (None, None, DESTINATION)
        process.kill()
    with pytest.raises(SpoolError, match="name one of its files"):
        admin.retry_dead(tmp_path, [2])
    with pytest.raises(SpoolError, match="name one of its files"):
        admin.drop_dead(tmp_path, [2])
    assert admin.retry_dead(tmp_path) == 6
    (tmp_path / "empty").mkdir()
    assert admin.status(tmp_path / "empty") == admin.SpoolStatus(
        path=str(tmp_path / "empty"), records=0, bytes=0, dead=0
    )


def test_dead_letters_go_to_the_end_of_the_queue(tmp_path: Path) -> None:
    """Retried dead letters get new keys and no attempts; what may have been applied stays so."""
    path = tmp_path / "spool.db"
    asyncio.run(fill(path))
    assert [dead.reason for dead in admin.dead_letters(path)] == ["no 2", "no 4", "no 6"]
    assert [dead.record.attempts for dead in admin.dead_letters(path, limit=1)] == [3]
    assert admin.retry_dead(path, [2, 4, 4, 99]) == 2
    records = list(admin.export(path))
    assert [record.key for record in records] == [1, 3, 5, 7, 8, 9, 10, 11, 12]
    expected = [
        attrs.evolve(make_record(2, b"x" * 10), key=11),
        attrs.evolve(make_record(4, b"x" * 10), key=12, ambiguous=True),
    ]
    assert records[-2:] == expected
    assert admin.drop_dead(path, [6, 6, 2]) == 1
    status = admin.status(path)
    assert (status.records, status.dead, status.bytes) == (9, 0, 90)
    assert admin.retry_dead(path) == 0


def test_what_is_no_spool_is_said_so(tmp_path: Path) -> None:
    """A path without a spool, and one with a damaged one, give a SpoolError; nothing is made and nothing set aside."""
    with pytest.raises(SpoolError, match="no such file"):
        admin.status(tmp_path / "spool.db")
    (tmp_path / "spool.db").write_bytes(b"x" * 10_000)
    with pytest.raises(SpoolError, match="damaged"):
        admin.status(tmp_path / "spool.db")
    assert [file.name for file in tmp_path.iterdir()] == ["spool.db"]


def test_an_empty_file_has_no_oldest_record(tmp_path: Path) -> None:
    """Where nothing waits, nothing is the oldest."""
    asyncio.run(fill(tmp_path / "spool.db", dead=tuple(range(1, 11))))
    status = admin.status(tmp_path / "spool.db")
    assert (status.records, status.dead, status.oldest) == (0, 10, None)
