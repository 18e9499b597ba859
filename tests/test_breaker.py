"""The breaker, on a time of our own."""

from __future__ import annotations

import math
from typing import Final

import pytest
from core_samples import reachable, recorded, transitions
from hypothesis import given
from hypothesis import strategies as st

from mida_async._core import breaker as module
from mida_async._core.breaker import PROBE_TIMEOUT, TRANSITIONS, Breaker, BreakerState, Event

NOW: Final = 1000.0
CONCURRENCY: Final = 32
MOST_FAILURES: Final = 10
NOTICED_WITHIN: Final = 20.0


def opened(failures: int = 5) -> Breaker:
    """Return a breaker that has just opened."""
    breaker = Breaker(CONCURRENCY)
    for _ in range(failures):
        breaker.failed(NOW, probe=False)
    assert breaker.state is BreakerState.OPEN
    return breaker


def recovering() -> Breaker:
    """Return a breaker whose first probe has just succeeded."""
    breaker = opened()
    assert breaker.sending()
    breaker.succeeded(probe=True)
    assert breaker.state is BreakerState.RECOVERING
    return breaker


def test_all_may_go_while_all_is_well() -> None:
    """R12: a closed breaker holds nothing up, however many are in flight, and asks for no probes."""
    breaker = Breaker(CONCURRENCY)
    assert breaker.next_at(NOW, 1000) == NOW
    assert not breaker.sending()
    assert not breaker.open


def test_it_opens_after_failures_in_a_row() -> None:
    """R12: at most ten failures in a row open the breaker, and a success in between begins the row anew."""
    breaker = Breaker(CONCURRENCY)
    for _ in range(4):
        breaker.failed(NOW, probe=False)
    breaker.succeeded()
    assert breaker.next_at(NOW, 0) == NOW

    row = 0
    while not breaker.open:
        breaker.failed(NOW, probe=False)
        row += 1
    assert 2 <= row <= MOST_FAILURES


def test_one_probe_at_a_time_with_growing_pauses() -> None:
    """R12: while the breaker is open, one request asks whether the server is back, ever more seldom."""
    breaker, now, pauses = opened(), NOW, []
    for _ in range(8):
        at = breaker.next_at(now, 0)
        pauses.append(at - now)
        now = at
        assert breaker.sending()
        assert breaker.next_at(now + 100, 1) == math.inf
        breaker.failed(now, probe=True)

    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[-1] == pauses[-2]
    assert pauses[-1] + PROBE_TIMEOUT < NOTICED_WITHIN


@given(st.floats(0.0, 3600.0))
def test_the_end_of_an_outage_is_noticed(outage: float) -> None:
    """R12: whenever the server comes back, a probe that was sent after that is answered within 20 seconds."""
    breaker, now = opened(), NOW
    while (now := breaker.next_at(now, 0)) < NOW + outage:
        breaker.sending()
        now += PROBE_TIMEOUT
        breaker.failed(now, probe=True)
    assert now - (NOW + outage) < NOTICED_WITHIN


def test_concurrency_doubles_step_by_step() -> None:
    """R12: after an outage one may go, then two, four and so on, until all may."""
    breaker, steps = recovering(), []
    while breaker.state is BreakerState.RECOVERING:
        allowed = next(n for n in range(CONCURRENCY + 1) if breaker.next_at(NOW, n) == math.inf)
        steps.append(allowed)
        for _ in range(allowed):
            breaker.succeeded()
    assert steps == [1, 2, 4, 8, 16]
    assert breaker.state is BreakerState.CLOSED


def test_recovery_with_one_sender() -> None:
    """R12: with concurrency=1 the breaker closes, too."""
    breaker = Breaker(1)
    for _ in range(5):
        breaker.failed(NOW, probe=False)
    breaker.sending()
    breaker.succeeded(probe=True)
    assert breaker.next_at(NOW, 0) == NOW
    breaker.succeeded()
    assert breaker.state is BreakerState.CLOSED


def test_failures_during_recovery_open_it_again() -> None:
    """R12: a server that has just come back gets no five failures more, and the pauses begin at the first again."""
    breaker = recovering()
    for _ in range(3):
        assert breaker.next_at(NOW, 0) == NOW
        breaker.failed(NOW, probe=False)
    assert breaker.next_at(NOW, 0) == opened().next_at(NOW, 0)


def test_one_failure_does_not_end_a_recovery() -> None:
    """R2, R12: a record that the server always fails at, among others that go well, does not shut the door again."""
    breaker = recovering()
    for _ in range(CONCURRENCY):
        breaker.failed(NOW, probe=False)
        breaker.failed(NOW, probe=False)
        assert not breaker.open
        breaker.succeeded()
    assert breaker.state is BreakerState.CLOSED


def test_late_answers_count_while_it_is_open() -> None:
    """R12: a success of an earlier request shows that the server is back; a failure tells nothing new."""
    breaker = opened()
    before = breaker.next_at(NOW, 0)
    breaker.failed(NOW + 0.1, probe=False)
    assert breaker.next_at(NOW, 0) == before
    breaker.sending()
    breaker.failed(NOW + 1, probe=False)
    assert breaker.next_at(NOW + 100, 1) == math.inf
    breaker.succeeded()
    assert breaker.state is BreakerState.RECOVERING


@pytest.mark.parametrize("end", ["ok", "fail", "later", "401"])
def test_there_is_never_a_second_probe(end: str) -> None:
    """R12: healed and tripped by other answers, the breaker waits for the probe that is still out."""
    breaker = opened()
    assert breaker.sending()
    breaker.succeeded()
    while not breaker.open:
        breaker.failed(NOW, probe=False)
    assert breaker.state is BreakerState.OPEN
    assert breaker.next_at(NOW + 100, 1) == math.inf

    come_back(breaker, end, NOW, probe=True)
    assert breaker.next_at(NOW + 100, 0) == NOW + 100


def test_a_probe_without_result_is_repeated() -> None:
    """R12: a probe that was cancelled, or told to come back later, says nothing; the next one follows."""
    breaker = opened()
    breaker.inconclusive(NOW, probe=False)
    assert breaker.sending()
    breaker.inconclusive(NOW, probe=False)
    assert breaker.state is BreakerState.PROBING
    breaker.inconclusive(NOW, probe=True)
    assert NOW < breaker.next_at(NOW, 0) < NOW + NOTICED_WITHIN


def test_after_a_refused_key_requests_go_one_at_a_time() -> None:
    """R12: after a 401 one goes at a time, without pauses; three in a row are hopeless."""
    breaker = Breaker(CONCURRENCY)
    for expected in (False, False, True):
        breaker.unauthorized()
        assert breaker.next_at(NOW, 1) == math.inf
        assert breaker.next_at(NOW, 0) == NOW
        assert breaker.hopeless is expected

    breaker.succeeded()
    assert not breaker.hopeless
    assert breaker.next_at(NOW, 1) == NOW


@pytest.mark.parametrize("end", ["ok", "fail", "later"])
def test_anything_else_breaks_the_row_of_refused_keys(end: str) -> None:
    """R12: only 401s in a row mean that the key is wrong; what waits is never rejected for a failure that passes."""
    breaker = Breaker(CONCURRENCY)
    for _ in range(3):
        breaker.unauthorized()
    come_back(breaker, end, NOW, probe=False)
    assert not breaker.hopeless


def test_a_refused_key_shows_that_the_server_is_there() -> None:
    """R12: a 401 ends an outage."""
    breaker = opened()
    breaker.sending()
    breaker.unauthorized(probe=True)
    assert breaker.state is BreakerState.RECOVERING


def test_every_transition_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The breaker can come into every state, and every row of the table is of use."""
    table, taken = recorded(TRANSITIONS)
    monkeypatch.setattr(module, "TRANSITIONS", table)
    test_concurrency_doubles_step_by_step()
    test_one_probe_at_a_time_with_growing_pauses()
    test_failures_during_recovery_open_it_again()
    opened().succeeded()

    assert transitions(TRANSITIONS) - taken == set()
    assert reachable(TRANSITIONS, BreakerState.CLOSED) == set(BreakerState)


@pytest.mark.parametrize(
    ("state", "event"), [(s, e) for s in BreakerState for e in Event if (s, e) not in transitions(TRANSITIONS)]
)
def test_an_impossible_event_is_an_error(state: BreakerState, event: Event) -> None:
    """What the table does not list cannot happen silently."""
    with pytest.raises(KeyError):
        TRANSITIONS[state][event]


def come_back(breaker: Breaker, how: str, now: float, *, probe: bool) -> None:
    """Tell the breaker how a request ended."""
    match how:
        case "ok":
            breaker.succeeded(probe=probe)
        case "fail":
            breaker.failed(now, probe=probe)
        case "401":
            breaker.unauthorized(probe=probe)
        case _:
            breaker.inconclusive(now, probe=probe)


STEPS = st.lists(st.tuples(st.sampled_from(["send", "ok", "fail", "later", "401", "direct"]), st.floats(0.0, 9.0)))


@given(STEPS)
def test_no_order_of_events_confuses_it(steps: list[tuple[str, float]]) -> None:
    """R12: whatever comes back when, no step is impossible, and no second probe goes out."""
    breaker, now = Breaker(4), NOW
    out: list[bool] = []
    for step, seconds in steps:
        now += seconds
        if step == "send" and breaker.next_at(now, len(out)) <= now:
            out.append(breaker.sending())
        elif step == "direct":
            breaker.failed(now, probe=False)
        elif step != "send" and out:
            probe = out.pop(0)
            come_back(breaker, step, now, probe=probe)
        assert sum(out) <= 1
        assert out or breaker.next_at(now, 0) < now + NOTICED_WITHIN
