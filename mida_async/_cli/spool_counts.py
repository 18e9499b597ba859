"""What became of the records that a spool held already, and what there is to be said of the spool itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from .._errors import AuthenticationError
from ..instrumentation import RecordEnded, RetryPlanned, SpoolChanged, SpoolOpened
from .errors import HOPELESS, HOPELESS_IN_A_ROW

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._delivery.reports import BufferStatistics
    from ..instrumentation.details import Detail
    from .tally import Tally


@attrs.frozen(kw_only=True)
class Recovered:
    """
    The records that were in the spool when it was opened, or were taken over later.

    Attributes:
        delivered: Those that were delivered.
        failed: Those that are among the dead letters now.
        left: Those that are still in the spool.
    """

    delivered: int = 0
    failed: int = 0
    left: int = 0

    @property
    def ended(self) -> int:
        """How many came to an end."""
        return self.delivered + self.failed

    def __bool__(self) -> bool:
        return self.ended + self.left > 0


def recovered(statistics: BufferStatistics, tally: Tally, on_their_way: int) -> Recovered:
    """
    Return what the buffer counts beyond the lines of a load.

    Args:
        statistics: The buffer's.
        tally: What became of the lines.
        on_their_way: Lines that were accepted and have not ended.
    """
    # Lines that were withdrawn while they were written are nobody's.
    accepted = statistics.accepted - statistics.cancelled - statistics.abandoned - tally.accepted
    delivered = statistics.delivered - tally.delivered
    left = statistics.pending + statistics.kept - on_their_way - tally.kept
    return Recovered(delivered=delivered, left=max(left, 0), failed=max(accepted - delivered - max(left, 0), 0))


class SpoolRemarks:
    """
    A hook that tells what a user should know of a buffer with a spool.

    Args:
        remark: Shows a line.

    Attributes:
        hopeless: Called when nothing can be delivered: several records in a row failed for the same kind of reason, or
            the API key was refused so often that the buffer only waits for a better one, which nobody will give it.
    """

    def __init__(self, remark: Callable[[str], None]) -> None:
        self._remark = remark
        self._in_a_row = 0
        self.hopeless: Callable[[Exception], None] = _pass_over

    def __call__(self, detail: Detail) -> None:
        """Tell, where there is something to tell."""
        match detail:
            case SpoolOpened():
                for remark in detail.remarks:
                    self._remark(remark)
            case SpoolChanged(writable=True):
                self._remark("the spool can be written again")
            case SpoolChanged():
                self._remark(f"the spool cannot be written; it is tried again: {detail.error}")
            case RetryPlanned(error=AuthenticationError() as error):
                self.hopeless(error)
            case RecordEnded():
                self._look_at(detail.error)
            case _:
                pass

    def _look_at(self, error: Exception | None) -> None:
        self._in_a_row = self._in_a_row + 1 if isinstance(error, HOPELESS) else 0
        if error is not None and self._in_a_row == HOPELESS_IN_A_ROW:
            self.hopeless(error)


def _pass_over(_error: Exception) -> None:
    """Do nothing."""
