"""Room in the buffer: who gets in, and in which order."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

import attrs

from .._errors import BufferClosedError, BufferFullError


@attrs.define(eq=False)
class Reservation:
    """
    The room that one record takes.

    Attributes:
        size: In bytes.
    """

    size: int
    _admission: Admission
    _held: bool = True

    def release(self) -> None:
        """Give the room back; once."""
        if not self._held:
            message = "room was given back twice"
            raise AssertionError(message)
        self._held = False
        self._admission.give_back(self.size)

    def resize(self, size: int) -> bool:
        """Take more or less room for the same record; return whether there is that much."""
        if not self._admission.resize(size - self.size):
            return False
        self.size = size
        return True


class Admission:
    """
    Counts records and bytes, and lets waiting callers in strictly in the order in which they came.

    A caller that was let in but has not run yet still stands before everybody who comes later; otherwise a newcomer
    that finds room could overtake it.

    Args:
        max_records: How many records there is room for.
        max_bytes: How many bytes of encoded bodies there is room for.
    """

    def __init__(self, *, max_records: int, max_bytes: int) -> None:
        self._max_records = max_records
        self._max_bytes = max_bytes
        self.records = 0
        self.bytes = 0
        # An ordered mapping, so that whoever gives up leaves at once, wherever they stand.
        self._line: OrderedDict[asyncio.Future[None], int] = OrderedDict()
        self._let_in = 0

    @property
    def callers(self) -> int:
        """How many callers are waiting, or were let in and have not run yet."""
        return len(self._line) + self._let_in

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
        return self.records < self._max_records and self.bytes + size <= self._max_bytes

    def try_reserve(self, size: int) -> Reservation | None:
        """Take room now; None where there is none, or others came first."""
        if self.callers or not self.fits(size):
            return None
        return self._take(size)

    async def reserve(self, size: int) -> Reservation:
        """
        Take room, waiting for it if need be.

        First come, first served: a small record does not overtake a large one. Cancelling leaves nothing behind.

        Raises:
            BufferClosedError: The buffer was closed meanwhile.
        """
        now = self.try_reserve(size)
        if now is not None:
            return now
        turn = asyncio.get_running_loop().create_future()
        self._line[turn] = size
        try:
            await turn
        except BaseException:
            # Let in and cancelled in the same moment, or just cancelled: both leave the line and the counts as they
            # were.
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._let_in -= 1
                self.give_back(size)
            else:
                self._line.pop(turn, None)
                self._admit()
            raise
        self._let_in -= 1
        self._admit()
        return Reservation(size, self)

    def give_back(self, size: int) -> None:
        """Take a record and its bytes off the counts, and let in whoever fits now."""
        self.records -= 1
        self.bytes -= size
        self._admit()

    def resize(self, difference: int) -> bool:
        """Change the bytes of a record that is in; return whether they fit."""
        if difference > 0 and self.bytes + difference > self._max_bytes:
            return False
        self.bytes += difference
        if difference < 0:
            self._admit()
        return True

    def turn_away(self) -> None:
        """Tell everybody in the line that the buffer is closed."""
        while self._line:
            turn, _ = self._line.popitem(last=False)
            if not turn.done():
                turn.set_exception(BufferClosedError("the buffer was closed while this call waited for room"))

    def _take(self, size: int) -> Reservation:
        self.records += 1
        self.bytes += size
        return Reservation(size, self)

    def _admit(self) -> None:
        while self._line:
            turn, size = next(iter(self._line.items()))
            if not turn.done():
                if not self.fits(size):
                    return
                self.records += 1
                self.bytes += size
                self._let_in += 1
                turn.set_result(None)
            del self._line[turn]
