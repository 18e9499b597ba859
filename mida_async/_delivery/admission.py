"""Room in the buffer: who gets in, and in which order."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from .._errors import BufferClosedError, BufferFullError

if TYPE_CHECKING:
    from collections.abc import Callable


def resolve(future: asyncio.Future[Any], error: Exception | None = None) -> None:
    """
    Resolve a future whose loop may be closed: it is done then, but whoever waits for it can no longer be called.

    Args:
        future: Not done yet.
        error: What it raises; None where it has a result.
    """
    try:
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
    except RuntimeError:
        if not future.get_loop().is_closed():
            raise


class Admission:
    """
    Counts records and bytes, and lets waiting callers in strictly in the order in which they came.

    A caller that was let in but has not run yet still stands before everybody who comes later; otherwise a newcomer
    that finds room could overtake it.

    Args:
        max_records: How many records there is room for.
        max_bytes: How many bytes of encoded bodies there is room for.

    Attributes:
        records: How many have room.
        bytes: How many bytes have room.
        let_in: How many callers have room and have not run yet.
        let_in_bytes: How many bytes these have.
        elsewhere: Says whether there is room of another kind that a record of so many bytes needs as well; None where
            there is no other.
    """

    def __init__(self, *, max_records: int, max_bytes: int) -> None:
        self._max_records = max_records
        self._max_bytes = max_bytes
        self.records = 0
        self.bytes = 0
        # An ordered mapping, so that whoever gives up leaves at once, wherever they stand.
        self._line: OrderedDict[asyncio.Future[None], int] = OrderedDict()
        self.let_in = 0
        self.let_in_bytes = 0
        self.elsewhere: Callable[[int], bool] | None = None

    @property
    def callers(self) -> int:
        """How many callers are waiting, or were let in and have not run yet."""
        return len(self._line) + self.let_in

    def check(self, size: int) -> None:
        """
        Refuse what can never fit.

        Raises:
            BufferFullError: *size* is more than the whole room.
        """
        if size > self._max_bytes:
            message = (
                f"the record has {size} bytes, and max_bytes is {self._max_bytes}: it can never fit; raise max_bytes"
            )
            raise BufferFullError(message)

    def fits(self, size: int) -> bool:
        """Say whether there is room for *size* bytes, whoever is waiting for it."""
        return self.has_memory(size) and (self.elsewhere is None or self.elsewhere(size))

    def has_memory(self, size: int) -> bool:
        """Say whether there is room in memory, whatever else is needed."""
        return self.records < self._max_records and self.bytes + size <= self._max_bytes

    def try_reserve(self, size: int) -> bool:
        """Take room now; return False where there is none, or others came first."""
        records, total = self.records + 1, self.bytes + size
        if self._line or self.let_in or records > self._max_records or total > self._max_bytes:
            return False
        if self.elsewhere is not None and not self.elsewhere(size):
            return False
        self.records, self.bytes = records, total
        return True

    async def reserve(self, size: int) -> None:
        """
        Take room, waiting for it if need be.

        First come, first served: a small record does not overtake a large one. Cancelling leaves nothing behind.

        Raises:
            BufferClosedError: The buffer was closed meanwhile.
        """
        if self.try_reserve(size):
            return
        turn = asyncio.get_running_loop().create_future()
        self._line[turn] = size
        try:
            await turn
        except BaseException:
            # Let in and cancelled in the same moment, or just cancelled: both leave the line and the counts as they
            # were.
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._came_in(size)
                self.give_back(size)
            else:
                self._line.pop(turn, None)
                self.admit()
            raise
        self._came_in(size)
        self.admit()

    def next_in_line(self) -> int | None:
        """Return the size of the record for which the first in line waits; None where nobody does."""
        return next((size for turn, size in self._line.items() if not turn.done()), None)

    def give_back(self, size: int) -> None:
        """Take a record and its bytes off the counts, and let in whoever fits now."""
        self.records -= 1
        self.bytes -= size
        if self._line:
            self.admit()

    def resize(self, difference: int) -> bool:
        """Change the bytes of a record that is in; return whether they fit."""
        if difference > 0 and self.bytes + difference > self._max_bytes:
            return False
        self.bytes += difference
        if difference < 0:
            self.admit()
        return True

    def turn_away(self) -> None:
        """Tell everybody in the line that the buffer is closed."""
        while self._line:
            turn, _ = self._line.popitem(last=False)
            if not turn.done():
                resolve(turn, BufferClosedError("the buffer was closed while this call waited for room"))

    def _came_in(self, size: int) -> None:
        self.let_in -= 1
        self.let_in_bytes -= size

    def take(self, size: int) -> None:
        """Take room, whether there is any or not, for a record that is the buffer's already."""
        self.records += 1
        self.bytes += size

    def admit(self) -> None:
        """Let in whoever fits now."""
        while self._line:
            turn, size = next(iter(self._line.items()))
            if not turn.done():
                if not self.fits(size):
                    return
                self.records += 1
                self.bytes += size
                self.let_in += 1
                self.let_in_bytes += size
                turn.set_result(None)
            del self._line[turn]
