"""Spools whose files are damaged: they open, give nothing wrong, and tell what is lost."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest
from spool_stages import DATABASE_AND_LOG, everything, opened

from mida_async._errors import SpoolError
from mida_async.spools import _salvage, _schema, admin
from mida_async.spools.base import Settlement, SpooledRecord
from mida_async.testing.spool_suite import make_record

if TYPE_CHECKING:
    from mida_async.spools.sqlite import SQLiteSpool

RECORDS = 200


def body_of(key: int) -> bytes:
    """Return the body of the record with this key; every twentieth is larger than a page."""
    return b"%d " % key * (3000 if key % 20 == 0 else 20)


@attrs.frozen
class Sound:
    """A spool that is whole: as it is after a clean end, or with a log, as after a crash."""

    folder: Path
    records: dict[int, SpooledRecord]
    dead: frozenset[int]

    def copy_to(self, folder: Path) -> Path:
        """Copy its files; return the path of the spool."""
        for ending in DATABASE_AND_LOG:
            if (self.folder / f"spool.db{ending}").exists():
                shutil.copy(self.folder / f"spool.db{ending}", folder / f"spool.db{ending}")
        return folder / "spool.db"


async def _make(folder: Path, *, clean: bool) -> Sound:
    left = folder / "left"
    left.mkdir()
    async with opened(folder / "spool.db") as (spool, _found, listener):
        records = {key: make_record(key, body_of(key)) for key in range(1, RECORDS + 1)}
        for key, record in records.items():
            spool.append(record)
            if key % 50 == 0:
                await listener.until_durable(spool.mark([]))
        for key in (3, 100, 150):
            spool.settle(key, Settlement.DEAD, "refused")
        for key in (4, 120, 160):
            spool.settle(key, Settlement.DONE)
        await listener.until_durable(spool.mark([]))
        for key in (3, 100, 150, 4, 120, 160):
            del records[key]
        for ending in () if clean else DATABASE_AND_LOG:
            shutil.copy(folder / f"spool.db{ending}", left / f"spool.db{ending}")
    if clean:
        shutil.copy(folder / "spool.db", left / "spool.db")
    return Sound(left, records, frozenset({3, 100, 150}))


@pytest.fixture(scope="module", params=[True, False], ids=["closed", "crashed"])
def sound(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sound:
    """Return a spool that is whole."""
    return asyncio.run(_make(tmp_path_factory.mktemp("sound"), clean=request.param))


@attrs.frozen
class Result:
    """What came of opening a damaged spool."""

    records: dict[int, SpooledRecord]
    remarks: tuple[str, ...]
    letters: frozenset[int]


async def _open(path: Path) -> Result:
    async with opened(path) as (spool, found, _listener):
        records = await everything(spool)
        assert found.records == len(records) == spool.records, (found, len(records))
        assert found.next_key > max((record.key for record in records), default=0)
        await _still_works(spool)
    letters = frozenset(dead.record.key for dead in admin.dead_letters(path))
    return Result({record.key: record for record in records}, found.remarks, letters)


async def _still_works(spool: SQLiteSpool) -> None:
    record = make_record(spool.next_key)
    spool.append(record)
    assert (await spool.read(record.key - 1, records=5, size=100)) == [record]
    spool.settle(record.key, Settlement.DONE)


def check(sound: Sound, path: Path, *, at_least: int = 0) -> Result:
    """Open a damaged spool: nothing in it may be wrong, and a loss must be told."""
    result = asyncio.run(_open(path))
    known = {key: make_record(key, body_of(key)) for key in range(1, RECORDS + 1)}
    assert all(record == known.get(key) for key, record in result.records.items()), "a wrong record came out"
    lost = sound.records.keys() - result.records.keys()
    # Where the log is gone, what it said is not known: that must be told as well.
    again = result.records.keys() - sound.records.keys()
    buried = sound.dead - result.letters
    assert not (lost or again or buried) or result.remarks, f"lost {lost}, again {again}, dead {buried}: not told"
    assert len(result.records) >= at_least, (len(result.records), result.remarks)
    return result


def test_a_sound_spool_has_no_remarks(sound: Sound, tmp_path: Path) -> None:
    """A spool that is whole is opened without a word, after a clean end and after a crash."""
    result = check(sound, sound.copy_to(tmp_path), at_least=len(sound.records))
    assert (result.remarks, result.letters) == ((), sound.dead)
    assert not list(tmp_path.glob("*.corrupt-*"))


@pytest.mark.parametrize("ending", DATABASE_AND_LOG)
def test_a_truncated_file_is_told(sound: Sound, ending: str, tmp_path: Path) -> None:
    """A file that was cut at any length is opened, and what is lost is told."""
    size = (sound.folder / f"spool.db{ending}").stat().st_size if (sound.folder / f"spool.db{ending}").exists() else 0
    lengths = {0, 1, 31, 32, 33, 99, 100, 101, 4095, 4096, 4097, 8192, 50_000, size // 2, size - 4096, size - 1}
    for length in sorted(length for length in lengths if 0 <= length < size):
        folder = tmp_path / str(length)
        folder.mkdir()
        path = sound.copy_to(folder)
        with (folder / f"spool.db{ending}").open("r+b") as file:
            file.truncate(length)
        if not ending:
            check(sound, path)
            continue
        # A log that ends too soon is that of an earlier moment: what is there then is a beginning of it all.
        result = asyncio.run(_open(path))
        known = {key: make_record(key, body_of(key)) for key in range(1, RECORDS + 1)}
        assert list(result.records.values()) == [record for key, record in known.items() if key in result.records]
        assert result.records.keys() | {3, 4, 100, 120, 150, 160} >= set(range(1, max(result.records, default=0) + 1))


@pytest.mark.parametrize("ending", DATABASE_AND_LOG)
def test_a_flipped_bit_is_found(sound: Sound, ending: str, tmp_path: Path) -> None:
    """One flipped bit anywhere gives nothing wrong; in the first page of the database it loses next to nothing."""
    if not (sound.folder / f"spool.db{ending}").exists():
        return
    size = (sound.folder / f"spool.db{ending}").stat().st_size
    chance = random.Random(ending)  # noqa: S311  no secret
    places = [*range(0, min(112, size), 3), *(chance.randrange(size) for _number in range(60))]
    for number, place in enumerate(places):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = sound.copy_to(folder)
        with (folder / f"spool.db{ending}").open("r+b") as file:
            file.seek(place)
            (byte,) = file.read(1)
            file.seek(place)
            file.write(bytes([byte ^ (1 << chance.randrange(8))]))
        check(sound, path, at_least=len(sound.records) - 80 if not ending and place < 4096 else 0)
        shutil.rmtree(folder)


@pytest.mark.parametrize("content", [bytes(4096), b"\xff" * 4096, random.Random(1).randbytes(4096)])  # noqa: S311
def test_a_torn_page_loses_its_own_rows_alone(content: bytes, tmp_path: Path) -> None:
    """A page of zeros, ones or garbage loses no more than what was in it, whichever page it is."""
    sound = asyncio.run(_make(tmp_path, clean=True))
    size = (sound.folder / "spool.db").stat().st_size
    for page in range(0, size // 4096, 3):
        folder = tmp_path / str(page)
        folder.mkdir()
        path = sound.copy_to(folder)
        with path.open("r+b") as file:
            file.seek(page * 4096)
            file.write(content)
        # The first pages hold the roots of the trees: with them all may be gone.
        check(sound, path, at_least=len(sound.records) - 40 if page == 0 or page > 12 else 0)
        shutil.rmtree(folder)


@pytest.mark.parametrize("content", [b"", b"x", b"not a database " * 1000, b"SQLite format 3\0" + bytes(8176)])
def test_something_else_in_its_place_is_set_aside(content: bytes, tmp_path: Path) -> None:
    """A file that is no database is set aside, is still there, and that is told; an empty one is told."""
    path = tmp_path / "spool.db"
    path.write_bytes(content)
    result = asyncio.run(_open(path))
    assert result.records == {}
    assert len(result.remarks) == 1
    kept = [file.read_bytes() for file in tmp_path.glob("*.corrupt-*")]
    assert kept == ([content] if content else [])
    assert asyncio.run(_open(path)).remarks == ()


def test_a_row_that_is_not_what_was_written_is_set_aside(sound: Sound, tmp_path: Path) -> None:
    """Rows whose checksum is wrong in a file that SQLite finds in order are not sent, and that is told and kept."""
    path = sound.copy_to(tmp_path)
    changes = {
        5: "body = x'00'",
        6: "name = 'other'",
        7: "attempts = 1",
        8: "ambiguous = 1",
        9: "in_flight = 0",
        10: "identities = CAST(x'ff' AS TEXT)",
        11: "accepted_at = 'now'",
        12: "unique_id = ''",
        13: "head_crc = 0",
        14: "attempts = -251",
        15: "body = 7",
    }
    connection = sqlite3.connect(path)
    for key, change in changes.items():
        connection.execute(f"UPDATE records SET {change} WHERE key = ?", (key,))  # noqa: S608  a test's own words
    connection.execute("UPDATE dead SET reason = 'other' WHERE key = 3")
    connection.execute("UPDATE meta SET value = '{}' WHERE name = 'state'")
    connection.commit()
    connection.close()
    result = check(sound, path, at_least=len(sound.records) - len(changes))
    assert result.records.keys() == sound.records.keys() - changes.keys()
    assert len(result.remarks) == 2
    assert "11 records were damaged" in result.remarks[0]
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM damaged").fetchone() == (12,)
    connection.close()


def test_damage_while_it_runs_is_mended(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that becomes unreadable while it is open is saved and replaced; what was called meanwhile is not lost."""

    async def main() -> list[int]:
        path = tmp_path / "spool.db"
        async with opened(path) as (spool, _found, listener):
            for key in range(1, 10_001):
                spool.append(make_record(key, b"x" * 500))
            await listener.until_durable(spool.mark([]))
        async with opened(path) as (spool, _found, listener):
            with path.open("r+b") as file:
                file.seek(500 * 4096)
                file.write(b"\xff" * 4096)
            spool.append(make_record(10_001))
            spool.settle(1, Settlement.DONE)
            records = await everything(spool)
            assert spool.records == len(records)
            await listener.until_durable(spool.mark([]))
            assert listener.troubles == []
            return [record.key for record in records]

    keys = asyncio.run(main())
    assert (keys[0], keys[-1]) == (2, 10_001)
    assert 9980 <= len(keys) < 10_000
    assert len(list(tmp_path.glob("*.corrupt-*"))) >= 1
    assert "were saved" in caplog.text


def test_damage_that_a_write_meets_is_mended(tmp_path: Path) -> None:
    """A write that meets a damaged page is done after the file is mended; nobody is told that it failed for good."""

    async def main() -> int:
        path = tmp_path / "spool.db"
        async with opened(path) as (spool, _found, listener):
            for key in range(1, 10_001):
                spool.append(make_record(key, b"x" * 500))
            await listener.until_durable(spool.mark([]))
        async with opened(path) as (spool, _found, listener):
            with path.open("r+b") as file:
                file.seek(500 * 4096)
                file.write(b"\xff" * 4096)
            for key in range(1, 9001):
                spool.settle(key, Settlement.DONE)
            await listener.until_durable(spool.append(make_record(10_001)))
            assert len(listener.troubles) == 2
            assert listener.troubles[1] is None
            return int(spool.records)

    assert asyncio.run(main()) == 1001


def test_a_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    """A database that is not a spool is refused and not touched."""
    path = tmp_path / "spool.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE customers (name)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(SpoolError, match="another program"):
        asyncio.run(_open(path))
    assert path.read_bytes()[100:] == before[100:]
    assert [file.name for file in tmp_path.iterdir()] == ["spool.db"]


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    """A spool that a newer release made is refused, and so is one whose header alone says so."""
    path = tmp_path / "spool.db"
    asyncio.run(_open(path))
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(SpoolError, match="newer release"):
        asyncio.run(_open(path))
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA user_version = 3")
    _schema.write_meta(connection, "version", {"version": 3})
    connection.close()
    with pytest.raises(SpoolError, match="newer release"):
        asyncio.run(_open(path))


def test_an_older_version_is_brought_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps that a file lacks are done when it is opened, each once; the records stay."""

    async def main() -> list[int]:
        async with opened(tmp_path / "spool.db") as (spool, _found, _listener):
            spool.append(make_record(spool.next_key))
            return [record.key for record in await everything(spool)]

    asyncio.run(main())
    steps = (*_schema.STEPS, ("ALTER TABLE meta ADD COLUMN remark",), ("CREATE TABLE later (x)",))
    monkeypatch.setattr(_schema, "STEPS", steps)
    assert asyncio.run(main()) == [1, 2]
    assert asyncio.run(main()) == [1, 2, 3]
    connection = sqlite3.connect(tmp_path / "spool.db")
    assert connection.execute("PRAGMA user_version").fetchone() == (3,)
    connection.close()


def test_what_the_disk_cannot_read_is_left_out(tmp_path: Path) -> None:
    """A block that the disk does not give is zeros in the copy that is read; all others are there."""
    source, target = tmp_path / "source", tmp_path / "target"
    content = random.Random(1).randbytes(2_500_001)  # noqa: S311  no secret
    source.write_bytes(content)

    def read(descriptor: int, size: int, start: int) -> bytes:
        if start <= 1_100_000 < start + size:
            raise OSError(5, "Input/output error")
        return _salvage._read_at(descriptor, size, start)

    _salvage.copy(source, target, read)
    copied = target.read_bytes()
    start = 1_100_000 // 4096 * 4096
    assert copied == content[:start] + bytes(4096) + content[start + 4096 :]
    assert target.stat().st_mode & 0o777 == 0o600
