"""What the delivery of a spool came to."""

from __future__ import annotations

import json
from collections import Counter

import attrs

from .errors import FAILED
from .report import by_reason


@attrs.frozen(kw_only=True)
class DrainReport:
    """
    The end of a run.

    Attributes:
        spool: The path of the spool.
        records: How many records it held.
        delivered: How many of them were delivered.
        failed: How many are among the dead letters now, by reason.
        left: How many are still waiting in the spool.
        dead: How many dead letters the spool has.
        duplicates: How many of the delivered ones may have been applied twice.
        elapsed: How long it took, in seconds.
        requests: How many requests were sent.
        retried: How often a record was put off to be sent again.
        throttled: How many requests were answered with 429.
        problem: What went wrong with the run itself, if anything.
        signal_code: The exit code of the signal that ended it, if one did.
    """

    spool: str
    records: int = 0
    delivered: int = 0
    failed: Counter[str] = attrs.field(factory=Counter[str])
    left: int = 0
    dead: int = 0
    duplicates: int = 0
    elapsed: float = 0.0
    requests: int = 0
    retried: int = 0
    throttled: int = 0
    problem: str = ""
    signal_code: int | None = None

    @property
    def exit_code(self) -> int:
        """What the command returns to the shell."""
        if self.signal_code is not None:
            return self.signal_code
        return FAILED if self.failed or self.left or self.problem else 0

    def as_json(self) -> str:
        """Return one line for machines."""
        return json.dumps(
            {
                "spool": self.spool,
                "records": self.records,
                "delivered": self.delivered,
                "failed": self.failed.total(),
                "failed_by_reason": dict(self.failed),
                "left": self.left,
                "dead": self.dead,
                "may_be_duplicate": self.duplicates,
                "elapsed": round(self.elapsed, 3),
                "rate": round(self._rate, 1),
                "requests": self.requests,
                "retried": self.retried,
                "throttled": self.throttled,
                "interrupted": self.signal_code is not None,
                "problem": self.problem or None,
            }
        )

    def as_text(self) -> str:
        """Return a few lines for people."""
        if not self.records:
            return f"nothing to do: nothing waits in the spool {self.spool}{self._letters()}"
        twice = f" ({self.duplicates:,} perhaps twice)" if self.duplicates else ""
        rows = [
            ("delivered", f"{self.delivered:,} of {self.records:,} records{twice}"),
            ("failed", by_reason(self.failed)),
            ("left", f"{self.left:,}"),
            ("elapsed", f"{self.elapsed:.1f} s ({self._rate:,.0f} records/s)"),
            ("requests", f"{self.requests:,} ({self.throttled:,} x 429)"),
            *([("sent again", f"{self.retried:,} records")] if self.retried else []),
        ]
        return "\n".join([*(f"{name:<10} {value}" for name, value in rows), *self._hints()])

    @property
    def _rate(self) -> float:
        return self.delivered / self.elapsed if self.elapsed else 0.0

    def _letters(self) -> str:
        return f"; it has {self.dead:,} dead letters (mida spool dead {self.spool})" if self.dead else ""

    def _hints(self) -> list[str]:
        hints = [self.problem] if self.problem else []
        if self.failed:
            hints.append(f"what failed is among the dead letters: mida spool dead {self.spool} lists them")
        if self.left:
            hints.append("what is left stays in the spool; the same command goes on with it")
        return hints
