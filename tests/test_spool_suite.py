"""The checks that every spool must pass, on each of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from spool_stages import FileStage, MemoryStage

from mida_async._errors import SpoolError
from mida_async.testing import MemorySpool, spool_suite
from mida_async.testing.clock import run_virtual
from mida_async.testing.spool_suite import SPOOL_CHECKS, SpoolCheck

if TYPE_CHECKING:
    from pathlib import Path

    from mida_async.spools.base import Settlement, SpooledRecord
    from mida_async.testing.spool_suite import SpoolStage


@pytest.mark.parametrize("check", SPOOL_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", ["spool.db", ""], ids=["file", "folder"])
def test_sqlite_keeps_the_contract(check: SpoolCheck, name: str, tmp_path: Path) -> None:
    """A spool in a file, and one in a folder, pass every check on a real disk."""

    async def main() -> None:
        await check(FileStage(tmp_path, name))

    asyncio.run(main())


@pytest.mark.parametrize("check", SPOOL_CHECKS, ids=lambda check: check.__name__)
def test_memory_keeps_the_contract(check: SpoolCheck) -> None:
    """A spool in memory passes every check on the virtual clock."""

    async def main() -> None:
        await check(MemoryStage())

    run_virtual(main())


class Hasty(MemorySpool):
    """A spool that says that records are durable before they are."""

    def append(self, record: SpooledRecord) -> int:
        """Say so at once."""
        ticket = super().append(record)
        self._on_durable(ticket)
        return ticket


class Silent(MemorySpool):
    """A spool that never says that anything is durable."""

    async def open(self, destination: str, **_callbacks: Any) -> Any:
        """Listen to nobody."""
        return await super().open(destination, on_durable=lambda _ticket: None, on_trouble=lambda _error: None)


class Forgetful(MemorySpool):
    """A spool that does not remember what is settled."""

    def settle(self, key: int, settlement: Settlement, reason: str = "") -> None:
        """Forget it."""


class Roomy(MemorySpool):
    """A spool without bounds."""

    def has_room(self, size: int) -> bool:
        """Say yes."""
        del size
        return True


class Backward(MemorySpool):
    """A spool that returns the last record first."""

    async def read(self, after: int, *, records: int, size: int) -> list[SpooledRecord]:
        """Turn them round."""
        return (await super().read(after, records=records, size=size))[::-1]


class Shared(MemorySpool):
    """A spool that does not mind who else has the disk, or whose it is."""

    async def open(self, destination: str, **callbacks: Any) -> Any:
        """Take it."""
        self.disk.give_back()
        self.disk._destination = destination
        return await super().open(destination, **callbacks)


class Reopening(MemorySpool):
    """A spool that can be opened again, and used after its end."""

    async def open(self, destination: str, **callbacks: Any) -> Any:
        """Open it, or say that it is open."""
        try:
            return await super().open(destination, **callbacks)
        except SpoolError:
            return None

    def _check(self) -> None:
        pass


class Trusting(MemorySpool):
    """A spool that takes any key."""

    def append(self, record: SpooledRecord) -> int:
        """Take it."""
        try:
            return super().append(record)
        except ValueError:
            return self._hurry()


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        (Hasty, spool_suite.keeps_records_whole),
        (Silent, spool_suite.tickets_grow),
        (Forgetful, spool_suite.takes_effect_in_order),
        (Roomy, spool_suite.keeps_its_bounds),
        (Backward, spool_suite.reads_in_pieces),
        (Shared, spool_suite.one_owner_at_a_time),
        (Shared, spool_suite.refuses_another_destination),
        (Reopening, spool_suite.one_owner_at_a_time),
        (Reopening, spool_suite.writes_what_is_left),
        (Trusting, spool_suite.never_uses_a_key_again),
    ],
)
def test_the_checks_see_what_they_look_for(kind: type[MemorySpool], check: SpoolCheck) -> None:
    """A spool that breaks a promise fails the check of that promise."""

    class Stage(MemoryStage):
        def make(self, **bounds: Any) -> MemorySpool:
            return kind(self.disk, **bounds)

    async def main() -> None:
        stage: SpoolStage = Stage()
        await check(stage)

    with pytest.raises(AssertionError):
        run_virtual(main())
