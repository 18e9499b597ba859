"""A disk that is really full: a small one in memory, where this process may mount one."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from spool_stages import everything, opened

from mida_async.testing.spool_suite import make_record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder with room for two megabytes."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None:
        pytest.skip("there is no mount")
    command = [mount, "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)]
    if subprocess.run(command, check=False, capture_output=True).returncode:  # noqa: S603  fixed words
        pytest.skip("this process may not mount anything")
    yield tmp_path
    subprocess.run([umount, str(tmp_path)], check=True)  # noqa: S603  fixed words


def test_a_full_disk_loses_nothing(small_disk: Path) -> None:
    """R1: what cannot be written waits, can be read meanwhile, and is written when there is space; the order stays."""

    async def main() -> list[int]:
        path = small_disk / "spool.db"
        async with opened(path) as (spool, _found, listener):
            (small_disk / "other").write_bytes(bytes(1_200_000))
            for key in range(1, 301):
                spool.append(make_record(key, b"x" * 2000))
                if key % 10 == 0:
                    await asyncio.sleep(0.001)
            await listener.until(lambda: bool(listener.troubles))
            assert "full" in str(listener.troubles[0])
            durable = listener.durable
            assert 0 < durable < 300
            assert len(await everything(spool)) == spool.records == 300
            (small_disk / "other").unlink()
            await listener.until_durable(300)
            assert listener.troubles[1:] == [None]
        async with opened(path) as (spool, found, _listener):
            assert found.remarks == ()
            return [record.key for record in await everything(spool)]

    assert asyncio.run(main()) == list(range(1, 301))


def test_a_full_disk_can_be_opened_and_read(small_disk: Path) -> None:
    """A spool that holds records opens on a disk that has no room for anything any more."""

    async def main() -> list[int]:
        path = small_disk / "spool.db"
        async with opened(path) as (spool, _found, listener):
            for key in range(1, 201):
                spool.append(make_record(key, b"x" * 2000))
            await listener.until_durable(200)
            while True:
                try:
                    with (small_disk / "other").open("ab") as other:
                        other.write(bytes(4096))
                except OSError:
                    break
        async with opened(path) as (spool, found, _listener):
            assert (found.remarks, found.records) == ((), 200)
            return [record.key for record in await everything(spool)]

    assert asyncio.run(main()) == list(range(1, 201))
