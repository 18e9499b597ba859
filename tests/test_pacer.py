"""The pacer: unit by unit, and against every kind of server."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation import MODELS, Simulation, heavy, server, steady

from mida_async import RateLimit
from mida_async._core.pacer import Pacer
from mida_async._core.ratelimit_headers import Quota

if TYPE_CHECKING:
    from mida_async._settings import Pacing

PUBLISHED: Final = (RateLimit(350, per=1), RateLimit(3500, per=60))
SMALL: Final = (RateLimit(50, per=1), RateLimit(200, per=5))
EXACT: Final = ("fixed_window", "fixed_from_first_hit", "sliding_log")
SECONDS: Final = 240.0


def _share(simulation: Simulation, limits: tuple[RateLimit, ...], seconds: float) -> float:
    return simulation.accepted / (seconds * min(each.limit / each.per for each in limits))


@pytest.mark.parametrize("model", MODELS)
def test_smooth_is_never_refused(model: str) -> None:
    """R8: smooth pacing uses 99 % of 350/s + 3500/min and gets no 429, however the server counts."""
    pacer = Pacer(PUBLISHED, pacing="smooth", adaptive=True)
    run = Simulation(pacer, server(model, PUBLISHED)).run(SECONDS)

    assert run.refused == 0
    assert _share(run, PUBLISHED, SECONDS) >= 0.99


@pytest.mark.parametrize("model", MODELS)
def test_smooth_survives_heavy_jitter(model: str) -> None:
    """R8: with delays of 200 ms to 20 s each way smooth pacing still gets no 429, and uses most of the rate."""
    pacer = Pacer(PUBLISHED, pacing="smooth", adaptive=True)
    run = Simulation(pacer, server(model, PUBLISHED), delay=heavy, concurrency=300, seed=2).run(SECONDS)

    assert run.refused == 0
    assert _share(run, PUBLISHED, SECONDS) >= 0.97


@pytest.mark.parametrize("model", MODELS)
def test_smooth_uses_small_limits_too(model: str) -> None:
    """R8: burst and pad shrink with the limits, so that 50/s + 200/5 s is used to at least 95 %."""
    pacer = Pacer(SMALL, pacing="smooth", adaptive=True)
    run = Simulation(pacer, server(model, SMALL)).run(120.0)

    assert run.refused == 0
    assert _share(run, SMALL, 120.0) >= 0.95


@pytest.mark.parametrize("model", EXACT)
@pytest.mark.parametrize("pacing", ["auto", "burst"])
def test_bursts_are_safe_on_exact_servers(model: str, pacing: Pacing) -> None:
    """R8: burst and auto send at once what is allowed, and get no 429 from fixed windows and sliding logs."""
    pacer = Pacer(PUBLISHED, pacing=pacing, adaptive=True)
    run = Simulation(pacer, server(model, PUBLISHED)).run(SECONDS)

    assert run.refused == 0
    assert _share(run, PUBLISHED, SECONDS) >= 0.99


@pytest.mark.parametrize("model", sorted(set(MODELS) - set(EXACT)))
@pytest.mark.parametrize("limits", [PUBLISHED, (RateLimit(3500, per=60),), SMALL, (RateLimit(1000, per=60),)])
@pytest.mark.parametrize("seed", [0, 1])
def test_auto_is_refused_once_at_most(model: str, limits: tuple[RateLimit, ...], seed: int) -> None:
    """R8: where bursts are refused, auto learns from the first refusals: only what was in flight is refused, once."""
    pacer = Pacer(limits, pacing="auto", adaptive=True)
    run = Simulation(pacer, server(model, limits), seed=seed).run(180.0)

    assert run.refused <= run.concurrency
    assert run.refused_late == 0
    assert pacer.smooth is (run.refused > 0)


def test_burst_is_unsafe_on_a_sliding_counter() -> None:
    """R8: burst keeps running into servers that refuse bursts, which is why it is not the default."""
    pacer = Pacer(PUBLISHED, pacing="burst", adaptive=True)
    run = Simulation(pacer, server("sliding_counter", PUBLISHED)).run(SECONDS)

    assert run.refused_late > 0
    assert not pacer.smooth


@settings(max_examples=60)
@given(
    limits=st.lists(
        st.builds(RateLimit, st.integers(1, 60), per=st.sampled_from([0.5, 1.0, 5.0, 20.0])), min_size=1, max_size=3
    ),
    model=st.sampled_from(EXACT),
    pacing=st.sampled_from(["smooth", "burst"]),
    concurrency=st.integers(1, 100),
    delay=st.sampled_from([steady, heavy]),
    seed=st.integers(0, 2**16),
    phase=st.floats(0.0, 20.0),
)
def test_the_log_holds_against_any_delay(
    limits: list[RateLimit],
    model: str,
    pacing: Pacing,
    concurrency: int,
    delay: object,
    seed: int,
    phase: float,
) -> None:
    """R8: whatever the limits, the delays and the phase, no server with exact windows ever refuses."""
    pacer = Pacer(limits, pacing=pacing, adaptive=True)
    chosen = steady if delay is steady else heavy
    model_server = server(model, limits, phase=phase)
    run = Simulation(pacer, model_server, delay=chosen, concurrency=concurrency, seed=seed).run(40.0)

    assert run.refused == 0
    assert run.accepted > 0


@pytest.mark.parametrize("model", ["fixed_window", "sliding_log", "token_bucket"])
@pytest.mark.parametrize("retry_after", [True, False])
def test_a_hidden_limit_is_learned(model: str, retry_after: bool) -> None:  # noqa: FBT001
    """R8: without limits of its own, the client adapts to those of the server and uses most of them."""
    hidden = (RateLimit(20, per=1),)
    pacer = Pacer((), pacing="auto", adaptive=True)
    run = Simulation(pacer, server(model, hidden), retry_after=retry_after).run(300.0)

    assert _share(run, hidden, 300.0) >= 0.6
    assert run.refused <= 0.25 * run.accepted or retry_after


def test_no_limits_means_no_waiting() -> None:
    """R8: without rate_limits nothing is held back until the first refusal."""
    pacer = Pacer((), pacing="auto", adaptive=True)
    for _ in range(10_000):
        assert pacer.next_at(5.0) == 5.0
        pacer.take(5.0)

    assert pacer.rate() == math.inf


def test_retry_after_closes_the_gate() -> None:
    """R8: nothing goes before the time that Retry-After names, and no burst right after it."""
    pacer = Pacer(PUBLISHED, pacing="smooth", adaptive=True)
    slot = pacer.take(100.0)
    pacer.answered(100.1)
    pacer.refused(slot, 100.1, 30.0)

    assert pacer.next_at(100.2) == pytest.approx(130.1)
    pacer.take(130.1)
    assert pacer.next_at(130.1) > 130.1
    assert pacer.rate() == pytest.approx(58.0, abs=0.5), "a refusal that says when to come back does not cut the rate"


def test_an_unexplained_refusal_cuts_the_rate_and_it_recovers() -> None:
    """R8: a 429 that tells nothing cuts the rate to 70 %, once for all in flight; it grows back in small steps."""
    pacer = Pacer((RateLimit(100, per=1),), pacing="smooth", adaptive=True)
    before = pacer.rate()
    slots = [pacer.take(10.0 + number / 100) for number in range(50)]
    for slot in slots:
        pacer.answered(11.0)
        pacer.refused(slot, 11.0, None)

    assert pacer.rate() == pytest.approx(0.7 * 50, rel=0.2), "of what was really sent in the last second"
    cut = pacer.rate()
    now = 11.0
    while pacer.rate() < before:
        now = max(pacer.next_at(now), now + 0.01)
        pacer.take(now)
        pacer.answered(now)
        pacer.accepted(now)
        assert now < 400.0, "it must recover"
        if now < 12.0:
            assert pacer.rate() <= cut + 1.0, "in small steps"


def test_the_rate_has_a_floor() -> None:
    """R8: a server that refuses everything is still asked now and then."""
    pacer = Pacer(PUBLISHED, pacing="smooth", adaptive=True)
    now = 0.0
    for _ in range(100):
        now = max(pacer.next_at(now), now + 0.001)
        slot = pacer.take(now)
        pacer.answered(now)
        pacer.refused(slot, now, None)

    assert 0.1 <= pacer.rate() < 0.2
    assert pacer.next_at(now) <= now + 10.0


def test_not_adaptive_means_not_adaptive() -> None:
    """R8: with adaptive=False a refusal cuts nothing."""
    pacer = Pacer(PUBLISHED, pacing="smooth", adaptive=False)
    before = pacer.rate()
    slot = pacer.take(1.0)
    pacer.answered(1.0)
    pacer.refused(slot, 1.0, None)

    assert pacer.rate() == before


def test_told_refusals_do_not_cut() -> None:
    """R8: a refusal whose other headers say when to come back cuts nothing either."""
    pacer = Pacer(PUBLISHED, pacing="smooth", adaptive=True)
    before = pacer.rate()
    slot = pacer.take(1.0)
    pacer.answered(1.0)
    pacer.refused(slot, 1.0, None, told=True)

    assert pacer.rate() == before


def test_what_the_server_says_is_left_tightens() -> None:
    """R8: a server that says that 2 are left gets 2 more, then nothing until its reset."""
    pacer = Pacer(PUBLISHED, pacing="burst", adaptive=True)
    slot = pacer.take(1.0)
    pacer.answered(1.1)
    pacer.heed(slot, 1.1, Quota(remaining=2, reset=9.0))
    for _ in range(2):
        assert pacer.next_at(1.2) == 1.2
        pacer.take(1.2)

    assert pacer.next_at(1.2) == pytest.approx(10.1)
    assert pacer.next_at(10.2) == 10.2


def test_what_is_left_never_loosens() -> None:
    """R8: a server that says that a million are left changes nothing about the client's own limits."""
    pacer = Pacer((RateLimit(1, per=10),), pacing="burst", adaptive=True)
    slot = pacer.take(0.0)
    pacer.answered(0.0)
    pacer.heed(slot, 0.0, Quota(remaining=10**6, reset=0.0))

    assert pacer.next_at(0.1) >= 10.0


def test_an_overtaken_answer_only_tightens() -> None:
    """R8: answers arrive out of order, and an older one never raises what is left."""
    pacer = Pacer((), pacing="burst", adaptive=True)
    older, newer = pacer.take(1.0), pacer.take(1.0)
    pacer.answered(1.1)
    pacer.heed(newer, 1.1, Quota(remaining=1, reset=60.0))
    pacer.answered(1.2)
    pacer.heed(older, 1.2, Quota(remaining=50, reset=60.0))

    assert pacer.next_at(1.3) > 60.0, "the one that is left may be the request that was still under way"
    pacer.heed(older, 61.2, Quota(remaining=50, reset=60.0))
    assert pacer.next_at(61.3) == 61.3, "after the reset a new count begins"


def test_requests_under_way_count_against_what_is_left() -> None:
    """R8: what is left is shared with the requests that the server has not answered yet."""
    pacer = Pacer((), pacing="burst", adaptive=True)
    slots = [pacer.take(1.0) for _ in range(4)]
    pacer.answered(1.1)
    pacer.heed(slots[0], 1.1, Quota(remaining=5, reset=60.0))
    pacer.take(1.1)
    pacer.take(1.1)

    assert pacer.next_at(1.2) == pytest.approx(61.1)


def test_a_place_is_held_until_an_answer() -> None:
    """R8: with all places in flight only an answer can make room, and the place is free one window later."""
    pacer = Pacer((RateLimit(2, per=1),), pacing="burst", adaptive=True)
    pacer.take(0.0)
    pacer.take(0.0)
    assert pacer.next_at(50.0) == math.inf
    pacer.answered(50.0)

    assert pacer.next_at(50.0) == pytest.approx(51.0, abs=0.01)
    assert pacer.next_at(50.0) > 51.0


def test_a_lost_request_holds_its_place_longer() -> None:
    """R8: a request without an answer may still reach the server, so its place stays taken for longer."""
    limits = (RateLimit(1, per=10),)
    answered, lost = (Pacer(limits, pacing="burst", adaptive=True) for _ in range(2))
    answered.take(0.0)
    answered.answered(5.0)
    lost.take(0.0)
    lost.lost(5.0)

    assert lost.next_at(5.0) == pytest.approx(answered.next_at(5.0) + 1.0)


def test_direct_calls_pay_without_waiting() -> None:
    """R8: what is taken without asking counts all the same, and the pacer waits until it is made up for."""
    pacer = Pacer((RateLimit(2, per=1),), pacing="burst", adaptive=True)
    for _ in range(5):
        pacer.take(0.0)
    for _ in range(5):
        pacer.answered(0.1)

    assert pacer.next_at(0.5) == pytest.approx(1.1, abs=0.01)


def test_the_turn_to_smooth_begins_with_a_pause() -> None:
    """R8: a server that refused is exactly at its limit; a moment without requests makes the room that jitter needs."""
    pacer = Pacer((RateLimit(3500, per=60),), pacing="auto", adaptive=True)
    slot = pacer.take(1000.0)
    pacer.answered(1000.1)
    pacer.refused(slot, 1000.1, None)

    assert pacer.next_at(1000.1) == pytest.approx(1001.1, abs=0.02)
    pacer.take(1001.1)
    assert pacer.next_at(1001.1) > 1001.1, "and no burst follows it"


def test_days_of_bursts_cost_a_minute_at_most() -> None:
    """R8: the debt that a burst leaves for smooth pacing is never more than one window."""
    pacer = Pacer(PUBLISHED, pacing="auto", adaptive=True)
    slot = pacer.take(0.0)
    pacer.answered(0.0)
    for hundredth in range(1, 20_001):
        slot = pacer.take(hundredth / 100)
        pacer.answered(hundredth / 100)
    pacer.refused(slot, 200.0, None)

    assert pacer.smooth
    assert pacer.next_at(200.0) <= 262.0
