"""What is shown while events are sent: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Protocol

import attrs
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

_PLAIN_SECONDS: Final = 5.0
_PER_SECOND: Final = 8


@attrs.frozen(kw_only=True)
class Snapshot:
    """
    The state of affairs at one moment.

    Attributes:
        delivered: Events delivered.
        failed: Events that failed.
        waiting: Events accepted and not ended.
        retried: Attempts beyond the first ones.
        throttled: 429 answers.
        rate: Events that ended in the last seconds, a second.
        share: How much of the input is done, from 0 to 1; None where that is not known.
        eta: Seconds until the end; None where that is not known.
        note: What holds things up, if anything.
    """

    delivered: int
    failed: int
    waiting: int
    retried: int
    throttled: int
    rate: float
    share: float | None = None
    eta: float | None = None
    note: str = ""

    def describe(self) -> str:
        """Return one line for people."""
        parts = [
            f"{self.delivered:,} delivered",
            f"{self.failed:,} failed",
            f"{self.rate:,.0f}/s",
            f"{self.waiting:,} waiting",
            f"{self.retried:,} retried",
            f"{self.throttled:,} x 429",
        ]
        if self.eta is not None:
            parts.append(f"ETA {duration(self.eta)}")
        return " · ".join([*parts, self.note] if self.note else parts)


def duration(seconds: float) -> str:
    """
    Write a duration for people.

    Args:
        seconds: Zero or more.
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Display(Protocol):
    """Shows snapshots and remarks, on standard error."""

    def update(self, snapshot: Snapshot) -> None:
        """
        Show the state of affairs.

        Args:
            snapshot: The state.
        """
        ...

    def remark(self, text: str) -> None:
        """
        Show one line that stays.

        Args:
            text: The line.
        """
        ...

    def close(self) -> None:
        """Show no more. More than once does nothing."""
        ...


class PlainDisplay:
    """
    A line every few seconds.

    Args:
        console: Where to.
        clock: Tells the time in seconds.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._next = clock() + _PLAIN_SECONDS

    def update(self, snapshot: Snapshot) -> None:
        """See :meth:`Display.update`."""
        if self._clock() >= self._next:
            self._next = self._clock() + _PLAIN_SECONDS
            share = "" if snapshot.share is None else f"{snapshot.share:.0%} · "
            self.remark(share + snapshot.describe())

    def remark(self, text: str) -> None:
        """See :meth:`Display.remark`."""
        _print(self._console, text)

    def close(self) -> None:
        """See :meth:`Display.close`."""


class LiveDisplay:
    """
    A bar and a line that are redrawn in place.

    Args:
        console: The terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=_PER_SECOND, transient=True)
        self._live.start()

    def update(self, snapshot: Snapshot) -> None:
        """See :meth:`Display.update`."""
        line = Text(snapshot.describe(), overflow="ellipsis", no_wrap=True)
        bar = ProgressBar(total=1.0, completed=snapshot.share or 0.0, pulse=snapshot.share is None)
        rows = Table.grid(expand=True)  # a bar does not end its own line
        rows.add_row(bar)
        rows.add_row(line)
        self._live.update(rows)

    def remark(self, text: str) -> None:
        """See :meth:`Display.remark`."""
        _print(self._console, text)

    def close(self) -> None:
        """See :meth:`Display.close`."""
        self._live.stop()


def _print(console: Console, text: str) -> None:
    console.print(Text(printable(text)), soft_wrap=True)


def display_for(console: Console) -> Display:
    """
    Return the display that suits *console*.

    Args:
        console: Where to show things.
    """
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(console)
