"""The futures that callers hold, and how the buffer holds them."""

from __future__ import annotations

import asyncio
import copy
import sys
from typing import TYPE_CHECKING, Final, Self, cast

import attrs

from .._core.entry import Entry, Receipt
from .._errors import MidaError
from .admission import resolve

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Callable

# For so many records after it, a Delivery is left alone: by then its caller has taken it or thrown it away.
_GRACE: Final = 8
_SWEEP: Final = 64

NOBODY: Final = ()
"""Who is told of the end of a record whose Delivery is no more."""


class Delivery(asyncio.Future[Receipt]):
    """
    The fate of one record: a future of its :class:`Receipt`.

    It works with everything that takes a future: ``await``, ``asyncio.gather``, ``asyncio.wait``,
    ``asyncio.as_completed``, ``add_done_callback``. It raises the API error for a rejected record and a
    :class:`DeliveryError` for any other end. If nobody looks at it nothing is logged about it by asyncio; the buffer
    reports failures on its own.

    Cancelling it withdraws a record that is still waiting and frees its room; a record in flight is only let go of. So
    does cancelling a task that awaits it: use ``asyncio.shield(delivery)`` where the record should go out regardless.

    The buffer keeps it until the record's end only if somebody else does, awaits it, or gave it a callback: most are
    thrown away at once, and a hundred thousand that wait for nobody would keep memory and the garbage collector busy.

    Attributes:
        record_id: The record's number, in the order of acceptance.
        entry: Not for callers: the record, as long as it is in memory and has not ended.
        let_go: Not for callers: called when it is being cancelled.
    """

    __slots__ = ("entry", "let_go", "record_id")

    # No __init__: that would be a quarter of what it takes to make one. Whoever makes one sets these right after.
    record_id: int
    entry: Entry | None
    let_go: Callable[[Delivery], None]

    def add_done_callback(self, fn: Callable[[Self], object], /, *, context: contextvars.Context | None = None) -> None:
        """
        Call *fn* when it is done; see :class:`asyncio.Future`. Whoever awaits it does so by this, too.

        Args:
            fn: What is called.
            context: What it runs in.
        """
        if self.entry is not None:
            holding_of(self.entry)  # from now on it is kept, whoever else lets go of it
        super().add_done_callback(fn, context=context)

    def cancel(self, msg: object = None) -> bool:
        """
        Withdraw the record if it is still waiting.

        Args:
            msg: As for any future.

        Returns:
            False if it was done already.
        """
        if self.done():
            return False
        self.let_go(self)
        return super().cancel(msg)

    def deliver(self, receipt: Receipt) -> None:
        """Resolve it; the buffer does that."""
        if not self.done():
            self.set_result(receipt)

    def fail(self, error: Exception) -> None:
        """Fail it; the buffer does that."""
        if not self.done():
            if isinstance(error, StopIteration):  # no future takes it
                error = RuntimeError(f"{error!r} was raised where records are delivered")
            resolve(self, error)
            self.exception()  # counts as retrieved, so asyncio never logs that nobody did


def own_copy(error: Exception) -> Exception:
    """
    Return an error that can be raised for one caller.

    Args:
        error: What several callers may have to be told. Each raise adds to the traceback of the instance that is
            raised.
    """
    return copy.copy(error) if isinstance(error, MidaError) else error


@attrs.define(eq=False)
class Holding:
    """
    Who is told of the end of a record, where that is not just the one Delivery that nearly all have.

    Attributes:
        deliveries: Those that were handed out.
        let_go: How many of them were let go of.
    """

    deliveries: list[Delivery]
    let_go: int = 0

    def add(self, delivery: Delivery | None) -> None:
        """Add a Delivery. One that is no more can never be let go of, and the record is never withdrawn."""
        if delivery is None:
            self.let_go -= 1
        else:
            self.deliveries.append(delivery)


def holding_of(entry: Entry) -> Holding:
    """
    Return what more Deliveries of a record are added to.

    Args:
        entry: A record that has not ended.
    """
    told = entry.deliveries
    if isinstance(told, Holding):
        return told
    # The one that there is may have been let go of, and the record has gone out nevertheless.
    holding = Holding([told], int(told.cancelled())) if isinstance(told, Delivery) else Holding([], -1)
    entry.deliveries = holding
    return holding


def is_last(entry: Entry) -> bool:
    """
    Say whether nobody is left to be told once one more Delivery of a record was let go of.

    Args:
        entry: A record that has not ended.
    """
    holding = entry.deliveries
    if isinstance(holding, Holding):
        # They are counted, not searched for: a record can have any number of them, by folding.
        holding.let_go += 1
        return holding.let_go == len(holding.deliveries)
    return True


def tell(told: object, receipt: Receipt | None, error: Exception | None) -> None:
    """
    Resolve the Deliveries of a record that has come to its end.

    Args:
        told: What the record noted: one Delivery, or a holding.
        receipt: Of a record that was delivered.
        error: Why one was not; None where it was withdrawn: all its Deliveries were let go of.
    """
    deliveries = [told] if isinstance(told, Delivery) else cast("Holding", told).deliveries
    for number, delivery in enumerate(deliveries):
        delivery.entry = None
        if receipt is not None:
            delivery.deliver(receipt)
        elif error is not None:
            delivery.fail(own_copy(error) if number else error)


def _references(entry: Entry) -> int:
    return _count(entry.deliveries) if _count is not None else -1


# Only where every reference is counted at once, which CPython does as long as it has its lock.
_locked: Final = getattr(sys, "_is_gil_enabled", lambda: True)()
_count: Final = getattr(sys, "getrefcount", None) if _locked else None


def _of_one_that_nobody_keeps() -> int:
    """Count on this very interpreter: what a call itself holds differs among them."""
    entry = Entry(0, "", (), b"", 0.0)
    entry.deliveries = object()
    return _references(entry)


_ALONE: Final = _of_one_that_nobody_keeps()


class Fresh:
    """Records that were accepted just now. It throws the Deliveries away that only the buffer still holds."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    def add(self, entry: Entry) -> None:
        """Add a record, and see what became of those before it."""
        entries = self._entries
        entries.append(entry)
        if len(entries) == _SWEEP:
            for each in entries[:-_GRACE]:
                told = each.deliveries
                if type(told) is Delivery and not told.done():  # one that was cancelled counts as let go of
                    del told
                    if _references(each) == _ALONE:
                        each.deliveries = NOBODY
            del entries[:-_GRACE]

    def clear(self) -> None:
        """Forget all of them."""
        self._entries.clear()
