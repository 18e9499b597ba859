"""Rules of the engine that only a case of their own can show."""

from __future__ import annotations

from core_samples import entry

from mida_async import RateLimit, RetryPolicy, VisitorNotFoundError
from mida_async._core.breaker import Breaker, BreakerState
from mida_async._core.entry import End
from mida_async._core.pacer import Pacer
from mida_async._core.verdict import Again, Ended, Rules, decide


def test_no_burst_goes_when_the_gate_opens() -> None:
    """R8: what waited for Retry-After is spread out, though smooth pacing lets late requests catch up otherwise."""
    late, gated = (Pacer([RateLimit(1000, per=1)], pacing="smooth", adaptive=False) for _ in "12")
    gated.close_gate(105.0)
    assert (late.next_at(104.0), gated.next_at(104.0)) == (104.0, 105.0)
    late.take(105.0)
    gated.take(105.0)
    assert late.next_at(105.0) == 105.0
    assert gated.next_at(105.0) > 105.0


def test_a_late_failure_is_not_the_answer_to_the_probe() -> None:
    """R12: while a probe is out, the failure of an older request neither ends it nor lets another one go."""
    breaker = Breaker(4)
    for _ in range(10):
        breaker.failed(0.0, probe=False)
    assert breaker.sending()
    states = list[BreakerState]()
    for probe in (False, True):
        breaker.failed(1.0, probe=probe)
        states.append(breaker.state)
    assert states == [BreakerState.PROBING, BreakerState.OPEN]


def test_a_gate_is_never_opened_early() -> None:
    """R8: of two answers that say when to come back, the later time counts, whichever came last."""
    pacer = Pacer([], pacing="burst", adaptive=False)
    pacer.close_gate(10.0)
    pacer.close_gate(5.0)
    assert pacer.next_at(6.0) == 10.0


def test_patience_ends_to_the_second() -> None:
    """R11: the attempt that is made when the patience ends is the last one."""
    rules = Rules(retry=RetryPolicy(), guarantee="at_least_once", unknown_visitor="wait", patience=2.0)
    record, error = entry(1, "a"), VisitorNotFoundError("x", status=400)
    verdicts = [decide(record, error, rules=rules, now=now, outage=False) for now in (10.0, 11.0, 12.0)]
    assert verdicts == [Again(due=11.0), Again(due=12.0), Ended(end=End.REJECTED, error=error)]
