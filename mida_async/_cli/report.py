"""What a load came to."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import attrs

from .errors import FAILED
from .spool_counts import Recovered
from .tally import Tally


@attrs.frozen(kw_only=True)
class Report:
    """
    The end of a run.

    Attributes:
        tally: What this run did.
        elapsed: How long it took, in seconds.
        requests: How many requests it sent.
        throttled: How many of them were answered with 429.
        last_line: The last line that was looked at.
        complete: Whether the input was read to its end and every line of it ended.
        total_delivered: Lines delivered in all runs.
        total_failed: Lines failed in all runs, by reason.
        problem: What went wrong with the run itself, if anything.
        signal_code: The exit code of the signal that ended it, if one did.
        resume: The state file, if there is one.
        spool: The spool, if there is one.
        recovered: What became of what was in it before.
        total_spooled: Lines that a spool has taken over, in all runs, as far as it is not known what became of them.
    """

    tally: Tally
    elapsed: float
    requests: int
    throttled: int
    last_line: int
    complete: bool
    total_delivered: int
    total_failed: Counter[str]
    problem: str = ""
    signal_code: int | None = None
    resume: str | None = None
    spool: str | None = None
    recovered: Recovered = attrs.field(factory=Recovered)
    total_spooled: int = 0

    @property
    def exit_code(self) -> int:
        """What the command returns to the shell."""
        if self.signal_code is not None:
            return self.signal_code
        failed = self.total_failed.total() + self.recovered.failed + self.recovered.left + self.tally.kept
        return 0 if self.complete and not self.problem and not failed else FAILED

    def as_json(self) -> str:
        """Return one line for machines."""
        return json.dumps(
            {
                "lines": self.tally.lines,
                "delivered": self.tally.delivered,
                "failed": self.tally.failed.total(),
                "failed_by_reason": dict(self.tally.failed),
                "not_sent": self.tally.left,
                **self._spooled(),
                "may_be_duplicate": self.tally.duplicates,
                "elapsed": round(self.elapsed, 3),
                "rate": round(self._rate, 1),
                "requests": self.requests,
                "retried": self.tally.retried,
                "throttled": self.throttled,
                "waited": {"p50": self._waited(0.5), "p99": self._waited(0.99)},
                "last_line": self.last_line,
                "complete": self.complete,
                "interrupted": self.signal_code is not None,
                "problem": self.problem or None,
                "resume": self.resume,
                "total_delivered": self.total_delivered,
                "total_failed": self.total_failed.total(),
            }
        )

    def _spooled(self) -> dict[str, Any]:
        if self.spool is None:
            return {}
        return {
            "spool": self.spool,
            "kept": self.tally.kept,
            "from_spool": attrs.asdict(self.recovered),
            "total_spooled": self.total_spooled,
        }

    def as_text(self) -> str:
        """Return a few lines for people."""
        rows = [
            ("delivered", self._delivered()),
            ("failed", by_reason(self.tally.failed)),
            *([("not sent", f"{self.tally.left:,} (kept for the next run)")] if self.tally.left else []),
            *([("kept", f"{self.tally.kept:,} (in the spool)")] if self.tally.kept else []),
            *([("from spool", _older(self.recovered))] if self.recovered else []),
            ("elapsed", f"{self.elapsed:.1f} s ({self._rate:,.0f} events/s)"),
            ("requests", f"{self.requests:,} ({self.throttled:,} x 429)"),
            *([("sent again", f"{self.tally.retried:,} events")] if self.tally.retried else []),
            *([("waited", self._waits())] if self.tally.delivered else []),
            *([("all runs", self._all_runs())] if self.resume else []),
        ]
        lines = [f"{name:<10} {value}" for name, value in rows]
        return "\n".join([*lines, *self._hints()])

    @property
    def _rate(self) -> float:
        return self.tally.delivered / self.elapsed if self.elapsed else 0.0

    def _delivered(self) -> str:
        twice = f" ({self.tally.duplicates:,} perhaps twice)" if self.tally.duplicates else ""
        return f"{self.tally.delivered:,} of {self.tally.lines:,} lines{twice}"

    def _waits(self) -> str:
        return f"p50 {self._waited(0.5)} s, p99 {self._waited(0.99)} s"

    def _waited(self, share: float) -> float | None:
        seconds = self.tally.waited.quantile(share)
        return None if seconds is None else round(seconds, 3)

    def _all_runs(self) -> str:
        spooled = f", {self.total_spooled:,} handed over to a spool" if self.total_spooled else ""
        return f"{self.total_delivered:,} delivered, {self.total_failed.total():,} failed{spooled}"

    def _hints(self) -> list[str]:
        if self.problem:
            return [self.problem, *self._drain_hint()]
        if self.signal_code is None:
            return self._drain_hint()
        stopped = f"interrupted after line {self.last_line:,}"
        if self.resume is None:
            resume = f"{stopped}; with --resume STATE a second run can go on where the first one stopped"
        else:
            resume = f"{stopped}; the same command with --resume {self.resume} goes on from there"
        return [resume, *self._drain_hint()]

    def _drain_hint(self) -> list[str]:
        left = self.tally.kept + self.recovered.left
        return [f"{left:,} events are in the spool; mida spool drain {self.spool} delivers them"] if left else []


def _older(recovered: Recovered) -> str:
    left = f", {recovered.left:,} left" if recovered.left else ""
    return f"{recovered.delivered:,} delivered, {recovered.failed:,} failed{left}"


def by_reason(failed: Counter[str]) -> str:
    """
    Write how many failed, and why.

    Args:
        failed: The number for each reason.
    """
    if not failed:
        return "0"
    parts = ", ".join(f"{count:,} {reason}" for reason, count in failed.most_common())
    return f"{failed.total():,} ({parts})"


def nothing_to_do(delivered: int, failed: Counter[str], resume: str) -> dict[str, Any]:
    """
    Return what is said of a load that is complete already.

    Args:
        delivered: Lines delivered in all runs.
        failed: Lines failed in all runs, by reason.
        resume: The state file.
    """
    return {
        "lines": 0,
        "delivered": 0,
        "failed": 0,
        "complete": True,
        "resume": resume,
        "total_delivered": delivered,
        "total_failed": failed.total(),
    }
