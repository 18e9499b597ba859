"""What the world is told: hooks each detail, the log one line for each change of state."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Final

from .._core.breaker import BreakerState
from .._core.entry import End
from .._core.verdict import retry_after_of
from .._errors import RateLimitError
from ..instrumentation.details import (
    AttemptMade,
    BreakerChanged,
    RateChanged,
    RecordAccepted,
    RecordEnded,
    RecordFolded,
    RecordRecovered,
    RecordRepeated,
    RetryPlanned,
    SpoolChanged,
    SpoolOpened,
    Throttled,
)
from .log import say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._core.entry import Draft, Entry
    from .._core.scheduler import Scheduler
    from .._core.verdict import Ended
    from ..instrumentation.details import Detail, Hook
    from ..spools.base import Opened

# One line about failed records in so many seconds, with their number; an outage must not fill a disk.
_QUIET: Final = 30.0

_WELL: Final = frozenset({End.DELIVERED, End.KEPT, End.CANCELLED})


class Reporter:
    """
    Tells hooks and log.

    Args:
        hooks: Called with each detail.

    Attributes:
        heard: Whether there are hooks: else what is told of single records is told to nobody.
    """

    def __init__(self, hooks: Iterable[Hook]) -> None:
        self._hooks = tuple(hooks)
        self.heard = bool(self._hooks)
        self._breaker = BreakerState.CLOSED
        self._rate: float | None = None
        self._smooth: bool | None = None
        self._failures = 0
        self._last: Ended | None = None
        self._quiet_until = -math.inf

    def accepted(self, entry: Entry) -> None:
        """A record was accepted."""
        if self._hooks:
            self._tell(RecordAccepted(record_id=entry.id, event_name=entry.name, size=len(entry.body)))

    def accepted_unread(self, record_id: int, draft: Draft) -> None:
        """A record was accepted that is on disk alone."""
        if self._hooks:
            self._tell(RecordAccepted(record_id=record_id, event_name=draft.name, size=len(draft.body)))

    def recovered(self, entry: Entry, now: float) -> None:
        """A record came back from the disk that nobody waits for."""
        if self._hooks:
            self._tell(
                RecordRecovered(
                    record_id=entry.id,
                    event_name=entry.name,
                    size=len(entry.body),
                    age=now - entry.accepted_at,
                    attempts=entry.attempts,
                )
            )

    def folded(self, entry: Entry) -> None:
        """A record was folded into one that waits."""
        if self._hooks:
            self._tell(
                RecordFolded(record_id=entry.id, event_name=entry.name, size=len(entry.body), records=entry.folded)
            )

    def repeated(self, record_id: int, event_name: str, *, delivered: bool) -> None:
        """A record repeats an earlier one, and shares its outcome."""
        if self._hooks:
            self._tell(RecordRepeated(record_id=record_id, event_name=event_name, delivered=delivered))

    def sending(self, entry: Entry) -> None:
        """An attempt begins."""
        if self._hooks:
            self._tell(AttemptMade(record_id=entry.id, event_name=entry.name, attempt=entry.attempts))

    def postponed(self, entry: Entry, delay: float, error: Exception) -> None:
        """An attempt failed, and there will be another."""
        if self._hooks:
            self._tell(
                RetryPlanned(
                    record_id=entry.id, event_name=entry.name, attempt=entry.attempts, delay=delay, error=error
                )
            )

    def ended(self, entry: Entry, ended: Ended, records: int, now: float) -> None:
        """A record came to its end."""
        if self._hooks:
            self._tell(
                RecordEnded(
                    record_id=entry.id,
                    event_name=entry.name,
                    end=ended.end.value,
                    attempts=entry.attempts,
                    waited=now - entry.accepted_at,
                    records=records,
                    maybe_applied=entry.ambiguous or ended.end is End.AMBIGUOUS,
                    error=ended.error,
                )
            )
        if ended.end not in _WELL:
            self._count_failure(ended, records, now)

    def ended_unread(self, record_id: int, event_name: str, end: End) -> None:
        """A record came to its end that is on disk alone."""
        if self._hooks:
            self._tell(
                RecordEnded(
                    record_id=record_id,
                    event_name=event_name,
                    end=end.value,
                    attempts=0,
                    waited=0.0,
                    records=1,
                    maybe_applied=False,
                    error=None,
                )
            )

    def spool_opened(self, opened: Opened) -> None:
        """The spool is open."""
        for remark in opened.remarks:
            say(logging.WARNING, "the spool: %s", remark)
        if opened.records:
            say(logging.INFO, "the spool holds %d record(s) that are delivered now", opened.records)
        if self._hooks:
            self._tell(SpoolOpened(records=opened.records, remarks=opened.remarks))

    def spool_changed(self, error: Exception | None) -> None:
        """The spool cannot be written, or can be again."""
        if error is None:
            say(logging.INFO, "the spool can be written again")
        else:
            say(logging.WARNING, "the spool cannot be written; it is tried again, and new records wait: %s", error)
        if self._hooks:
            self._tell(SpoolChanged(writable=error is None, error=error))

    def hush(self) -> None:
        """Log no failures until :meth:`sum_up`: all that is left is about to fail for the same reason."""
        self._quiet_until = math.inf

    def sum_up(self) -> None:
        """Log one line about the failures that no line was about yet."""
        if self._failures and self._last is not None:
            end, error = self._last.end.value, self._last.error
            failures, self._failures = self._failures, 0
            say(logging.WARNING, "%d record(s) not delivered; the last one was %s: %s", failures, end, error)

    def look_at(self, scheduler: Scheduler, error: Exception | None) -> None:
        """Tell what an answer changed: whether it was a refusal for the rate, and what became of breaker and rate."""
        if self._hooks and isinstance(error, RateLimitError):
            self._tell(Throttled(retry_after=retry_after_of(error)))
        state = scheduler.breaker.state
        if state is not self._breaker:
            self._breaker_changed(state, error)
        if not self._hooks:
            return
        rate, smooth = scheduler.pacer.rate(), scheduler.pacer.smooth
        if (rate, smooth) != (self._rate, self._smooth):
            if self._rate is not None:
                self._tell(RateChanged(rate=rate, smooth=smooth))
            self._rate, self._smooth = rate, smooth

    def _breaker_changed(self, state: BreakerState, error: Exception | None) -> None:
        before, self._breaker = self._breaker, state
        opened = state is BreakerState.OPEN
        if opened and before is not BreakerState.PROBING:
            message = "deliveries fail; from now on one request at a time asks whether the server is back: %s"
            say(logging.WARNING, message, error)
        elif state is BreakerState.RECOVERING:
            say(logging.INFO, "the server answers again")
        if self._hooks:
            self._tell(BreakerChanged(state=state.value, error=error if opened else None))

    def _count_failure(self, ended: Ended, records: int, now: float) -> None:
        self._failures += records
        self._last = ended
        if now >= self._quiet_until:
            self._quiet_until = now + _QUIET
            self.sum_up()

    def _tell(self, detail: Detail) -> None:
        for hook in self._hooks:
            try:
                hook(detail)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # noqa: BLE001 - foreign code: the result() of a Delivery raises CancelledError
                say(logging.ERROR, "a hook failed; delivery goes on", error=error)
