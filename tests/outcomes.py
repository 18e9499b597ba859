"""What follows each way in which an attempt can end: tried out on the engine itself, for docs/delivery.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
from fake_service import FakeService, Play, books, make_buffer, make_destination, response, run

from mida_async import (
    BufferSettings,
    CertificateError,
    ClientClosedError,
    ConnectError,
    ConnectionLostError,
    RequestTimeoutError,
)
from mida_async._core.messages import Response
from mida_async._core.scheduler import Outcome, Scheduler
from mida_async._core.verdict import classify
from mida_async._settings import Guarantee, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mida_async._delivery.delivery import Delivery

_RETRY_AFTER: Final = 7
_MOST_IN_A_ROW: Final = 20


@attrs.frozen
class Sample:
    """
    One way in which an attempt can end.

    Attributes:
        name: What came back, in words.
        outcome: What the transport returns or raises.
        applied: Whether the server had applied the event; both where that can be.
    """

    name: str
    outcome: Response | Exception
    applied: tuple[bool, ...] = (False,)


def _status(status: int, name: str = "", message: str = "no", *, applied: tuple[bool, ...] = (False,)) -> Sample:
    return Sample(name or f"{status}", response(status, message), applied)


def _later(status: int) -> Sample:
    return Sample(f"{status} with `Retry-After`", response(status, "later", retry_after=str(_RETRY_AFTER)))


_MAYBE: Final = (False, True)

SAMPLES: Final = (
    Sample("2xx", response(200), (True,)),
    Sample("2xx whose body breaks off or stalls", Response(status=200, complete=False), (True,)),
    Sample("no connection: no name, no route, refused, no TLS, too slow", ConnectError("nobody listens")),
    Sample("the aiohttp session that was lent is closed", ClientClosedError("closed")),
    Sample("the server's certificate is not trusted", CertificateError("self-signed")),
    Sample("the connection broke after the body was begun", ConnectionLostError("reset"), _MAYBE),
    Sample("no answer in time", RequestTimeoutError("too late"), _MAYBE),
    _status(301, "a redirect (any 3xx)"),
    _status(400),
    _status(400, "400, no such visitor", "Visitor not found"),
    _status(401),
    _status(403),
    _status(404),
    _status(408),
    _status(409),
    _status(413, "413, and every other 4xx"),
    _status(425),
    _status(429, "429 without `Retry-After`"),
    _later(429),
    _status(500, applied=_MAYBE),
    _status(502, applied=_MAYBE),
    _status(503, "503 without `Retry-After`", applied=_MAYBE),
    _later(503),
    _status(504, "504, and every other 5xx", applied=_MAYBE),
)


def error_of(sample: Sample) -> Exception | None:
    """Return what an attempt that ends like *sample* fails with; None where the record is accepted."""
    if isinstance(sample.outcome, Exception):
        return sample.outcome
    return make_destination().judge(sample.outcome, 0.0).error


def outcomes_table() -> tuple[list[str], list[list[str]]]:
    """Return head and rows of the table."""
    head = ["what came back", "class", "`at_least_once`", "applied", "`at_most_once`", "applied", "other records"]
    return head, run(_rows(SAMPLES))


async def _rows(samples: Sequence[Sample]) -> list[list[str]]:
    return [await _row(sample) for sample in samples]


async def _row(sample: Sample) -> list[str]:
    error = error_of(sample)
    kind = "accepted" if error is None else classify(error).value
    row = [sample.name, kind]
    for guarantee in ("at_least_once", "at_most_once"):
        row += await _tried(sample, guarantee)
    return [*row, _consequences(sample, error)]


async def _tried(sample: Sample, guarantee: Guarantee) -> list[str]:
    """Let one attempt end like *sample* and all others go well; return what followed, and how often it was applied."""
    settings = BufferSettings(rate_limits=(), guarantee=guarantee)
    fates: set[str] = set()
    counts: set[int] = set()
    for applied in sample.applied:
        service = FakeService(Play(outcome=sample.outcome, applies=applied))
        buffer = make_buffer(service, settings=settings, retry=RetryPolicy(initial=0.1))
        delivery = buffer.record_nowait("seen", id="visitor", properties={"n": 1})
        fates.add(_fate(delivery, books(await buffer.aclose(60.0))))
        counts.add(len(service.applied))
    (fate,) = fates
    return [fate, " or ".join(map(str, sorted(counts)))]


def _fate(delivery: Delivery, counts: Mapping[str, int]) -> str:
    (end,) = counts
    error = delivery.exception()
    if error is not None:
        return f"{end}: `{type(error).__name__}`"
    receipt = delivery.result()
    if receipt.attempts == 1:
        return end
    return "sent again, `may_be_duplicate`" if receipt.may_be_duplicate else "sent again"


def _consequences(sample: Sample, error: Exception | None) -> str:
    """Return what such an answer means for everything else."""
    headers = sample.outcome.headers if isinstance(sample.outcome, Response) else {}
    status = sample.outcome.status if isinstance(sample.outcome, Response) else 0
    outcome = Outcome(error=error, status=status, headers=headers)
    scheduler = Scheduler(BufferSettings(), RetryPolicy())
    now = 1000.0
    scheduler.observe(scheduler.pacer.take(now), outcome, now)
    found = ["wait that long"] if scheduler.pacer.next_at(now) >= now + _RETRY_AFTER else []
    found += ["are sent evenly from now on"] if scheduler.pacer.smooth else []
    found += _in_a_row(outcome, lambda scheduler: scheduler.breaker.open, "stop: an outage")
    found += _in_a_row(outcome, lambda scheduler: scheduler.breaker.hopeless, "are rejected, too")
    return "; ".join(found) or "go on"


def _in_a_row(outcome: Outcome, reached: Callable[[Scheduler], bool], words: str) -> list[str]:
    scheduler = Scheduler(BufferSettings(), RetryPolicy())
    now = 1000.0
    for count in range(1, _MOST_IN_A_ROW + 1):
        scheduler.observe(scheduler.pacer.take(now), outcome, now)
        if reached(scheduler):
            return [f"after {count} in a row {words}"]
    return []
