"""A spool as the checks of spools use it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from ..spools.base import Opened, Spool, SpooledRecord

if TYPE_CHECKING:
    from collections.abc import Callable

DESTINATION: Final = "suite"
"""Where the records of the checks go to."""

PATIENCE: Final = 5.0
"""Seconds after which something that should happen has not."""

_MANY: Final = 10_000
_LOT: Final = 2**24


def make_record(key: int, body: bytes = b"{}", *, unique_id: str | None = None) -> SpooledRecord:
    """Return a record that is unlike those with other keys."""
    return SpooledRecord(
        key=key,
        destination=DESTINATION,
        name=f"événement {key}",
        identities=(f"id:{key}", 'email:"ä"@example.org'),
        body=body,
        accepted_at=1_700_000_000.123 + key,
        unique_id=unique_id,
    )


class OpenSpool:
    """An open spool and what it says."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.durable = [0]
        self.troubles: list[Exception | None] = []
        self._news = asyncio.Event()

    async def open(self, destination: str = DESTINATION) -> Opened:
        """Open it."""
        return await self.spool.open(destination, on_durable=self._written, on_trouble=self._troubled)

    def _written(self, ticket: int) -> None:
        self.durable.append(ticket)
        self._news.set()

    def _troubled(self, error: Exception | None) -> None:
        self.troubles.append(error)
        self._news.set()

    async def until(self, condition: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
        """Wait until something is so."""
        try:
            async with asyncio.timeout(patience):
                while not condition():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            message = f"within {patience} s this did not happen: {what}"
            raise AssertionError(message) from None

    async def until_durable(self, ticket: int) -> None:
        """Wait for a ticket."""
        await self.until(lambda: self.durable[-1] >= ticket, f"ticket {ticket} became durable")

    def add(self, body: bytes = b"{}") -> tuple[SpooledRecord, int]:
        """Append a record; return it and its ticket."""
        record = make_record(self.spool.next_key, body)
        return record, self.spool.append(record)

    async def everything(self) -> list[SpooledRecord]:
        """Return all records."""
        return await self.spool.read(0, records=_MANY, size=_LOT)


def expect(condition: bool, otherwise: str) -> None:  # noqa: FBT001  there is nothing else to say
    """Fail unless something is so."""
    if not condition:
        raise AssertionError(otherwise)
