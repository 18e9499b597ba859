"""The pacer: unit by unit, and against every kind of server."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Final

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation import MODELS, Simulation, heavy, server, steady

from mida_async import RateLimit
from mida_async._core.pacer import Pacer, Slot
from mida_async._core.ratelimit_headers import Quota, policies, quota, retry_after
from mida_async.testing import RateModel

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
    run = Simulation(pacer, server(model, limits), seed=seed).run(90.0)

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


HIDDEN: Final = ((RateLimit(50, per=1),), (RateLimit(1000, per=60),), (RateLimit(3000, per=60),))


# The last is a little below what is configured. It takes the most requests to simulate; two kinds of server show it.
FOUND: Final = (
    *(("50/s", HIDDEN[0], PUBLISHED, model) for model in MODELS),
    *(("1000/60s", HIDDEN[1], PUBLISHED, model) for model in MODELS),
    *(("1000/60s alone", HIDDEN[1], (), model) for model in MODELS),
    *(("3000/60s", HIDDEN[2], PUBLISHED, model) for model in ("fixed_window", "token_bucket")),
)


@pytest.mark.parametrize("retry_after", [True, False], ids=["Retry-After", "nothing"])
@pytest.mark.parametrize(
    ("hidden", "configured", "model"), [case[1:] for case in FOUND], ids=[f"{case[0]}-{case[3]}" for case in FOUND]
)
def test_a_hidden_limit_is_found(
    model: str,
    retry_after: bool,  # noqa: FBT001
    hidden: tuple[RateLimit, ...],
    configured: tuple[RateLimit, ...],
) -> None:
    """R8: whatever the server's limit is and however it refuses, 85 % of it are used, and 1 % is refused at most."""
    pacer = Pacer(configured, pacing="auto", adaptive=True)
    seconds = 600.0 if hidden[0].per == 60.0 else 180.0
    run = Simulation(pacer, server(model, hidden), retry_after=retry_after).run(seconds)
    half = run.arrivals[0] + seconds / 2
    admitted, refused = (sum(each > half for each in times) for times in (run.arrivals, run.refusals))

    assert admitted >= 0.85 * hidden[0].limit / hidden[0].per * seconds / 2
    assert refused <= 0.01 * admitted
    assert run.refused <= 0.015 * run.accepted


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("limits", [*HIDDEN[:2], PUBLISHED], ids=["50/s", "1000/60s", "published"])
@pytest.mark.parametrize("configured", [PUBLISHED, ()], ids=["configured", "unknown"])
def test_limits_that_a_server_tells_are_kept(
    model: str, limits: tuple[RateLimit, ...], configured: tuple[RateLimit, ...]
) -> None:
    """R8: with headers that name the limits nothing is refused but what a burst sends to a server that wants none."""
    pacer = Pacer(configured, pacing="auto", adaptive=True)
    run = Simulation(pacer, server(model, limits), announced=limits).run(120.0)

    assert run.refused == 0 or model not in EXACT
    assert run.refused <= run.concurrency
    assert run.refused_late == 0
    assert _share(run, limits, 120.0) >= 0.93


@pytest.mark.parametrize("limits", [HIDDEN[1], PUBLISHED], ids=["1000/60s", "published"])
def test_what_remains_and_the_limits_go_together(limits: tuple[RateLimit, ...]) -> None:
    """R8: a server that tells its limits and what remains of the longest, as Klaviyo does, refuses nothing."""
    pacer = Pacer(PUBLISHED, pacing="auto", adaptive=True)
    run = Simulation(pacer, server("fixed_window", limits), announced=limits, phase=0.3).run(SECONDS)

    assert run.refused == 0
    assert _share(run, limits, SECONDS) >= 0.95


@attrs.define
class _Closed:
    """A server that refuses everything until a time, then keeps its limits."""

    model: RateModel
    until: float

    def check(self, now: float) -> float | None:
        return 1.0 if now < self.until else self.model.check(now)

    def take(self, now: float) -> None:
        self.model.take(now)

    def admit(self, now: float) -> float | None:
        return 1.0 if now < self.until else self.model.admit(now)


@pytest.mark.parametrize("configured", [PUBLISHED, ()], ids=["configured", "unknown"])
@pytest.mark.parametrize("retry_after", [True, False], ids=["Retry-After", "nothing"])
def test_an_hour_of_refusals_is_survived(
    configured: tuple[RateLimit, ...],
    retry_after: bool,  # noqa: FBT001
) -> None:
    """R8: a server that refuses everything is asked every five seconds, and used to 90 % two minutes later."""
    pacer = Pacer(configured, pacing="auto", adaptive=True)
    # No clock of the simulation starts later than 1060.
    relents = 1060.0 + 3600.0
    run = Simulation(pacer, _Closed(server("token_bucket", PUBLISHED), relents), retry_after=retry_after).run(
        3600.0 + 300.0
    )

    gaps = [after - before for before, after in itertools.pairwise(run.refusals) if after < relents]
    assert max(gaps) <= 5.2
    assert sum(each < relents for each in run.refusals) <= 3600.0 / 5.0 + 100
    late = sum(relents + 120.0 < each <= relents + 180.0 for each in run.arrivals)
    assert late >= 0.9 * 3500


LIMITS: Final = st.builds(RateLimit, st.integers(1, 30), per=st.sampled_from([0.5, 1.0, 5.0, 20.0]))
STEPS: Final = st.lists(
    st.tuples(
        st.sampled_from(
            ["send", "send", "send", "answer", "answer", "lose", "refuse", "quota", "learn", "wait", "jump"]
        ),
        st.floats(0.0, 1.0),
    ),
    max_size=150,
)


@attrs.define
class _Observed:
    """What a server sees of a pacer that is driven step by step; requests arrive at any time before their answer."""

    pacer: Pacer
    now: float = 1000.0
    flying: list[Slot] = attrs.field(factory=list["Slot"])
    arrivals: list[float] = attrs.field(factory=list[float])

    def step(self, what: str, part: float) -> None:
        """Do one thing; *part* stands for all that is random about it."""
        if what == "send" and self.pacer.next_at(self.now) <= self.now:
            self.flying.append(self.pacer.take(self.now))
        elif what == "wait":
            when = self.pacer.next_at(self.now)
            self.now = when if when < math.inf and part > 0.3 else self.now + part
        elif what == "jump":
            self.now += 20_000.0 * part**8
        elif self.flying and what != "send":
            self._bring_back(what, part)

    def _bring_back(self, what: str, part: float) -> None:
        slot = self.flying.pop(int(part * 0.999 * len(self.flying)))
        self.now += part / 10
        arrived = slot.taken_at + part * (self.now - slot.taken_at)
        self.arrivals.append(arrived)
        if what == "lose":
            self.pacer.lost(self.now)
            return
        self.pacer.answered(self.now)
        match what:
            case "refuse":
                self.pacer.refused(slot, self.now, None if part < 0.5 else 5000.0 * part**4)
            case "quota":
                self.pacer.heed(slot, self.now, Quota(remaining=int(10 * part), reset=3600.0 * part**4))
            case "learn":
                self.pacer.learn(slot, self.now, [RateLimit(1 + int(20 * part), per=1 + int(3599 * part**4))])
            case _:
                self.pacer.accepted(slot, self.now)


@settings(max_examples=300, deadline=None)
@given(limits=st.lists(LIMITS, max_size=3), pacing=st.sampled_from(["auto", "smooth", "burst"]), steps=STEPS)
def test_no_sequence_of_events_breaks_a_limit(
    limits: list[RateLimit], pacing: Pacing, steps: list[tuple[str, float]]
) -> None:
    """R8: whatever comes back and when, no window of any phase holds too many, and nothing stops for over an hour."""
    seen = _Observed(Pacer(limits, pacing=pacing, adaptive=True))
    for what, part in steps:
        seen.step(what, part)
        when = seen.pacer.next_at(seen.now)
        assert when >= seen.now
        assert when == seen.pacer.next_at(seen.now), "to ask changes nothing"
        assert when < math.inf or seen.flying
        assert when == math.inf or when <= seen.now + 5010.0, "5000 is the longest Retry-After here"
        assert 0.0 < seen.pacer.rate() <= math.inf

    arrivals = sorted(seen.arrivals)
    for limit in limits:
        for first, beyond in zip(arrivals, arrivals[limit.limit :], strict=False):
            assert beyond - first >= limit.per


HOSTILE: Final = st.dictionaries(
    st.sampled_from(
        ["ratelimit", "retry-after", "ratelimit-policy", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"]
        + [f"x-ratelimit-{what}" for what in ("limit", "remaining", "reset")]
    ),
    st.one_of(
        st.sampled_from(["0", "1", "-1", "3600", "1;w=3600", "1;w=3599", "1;w=3598, 2;w=3600", "0;w=5", "nan"]),
        st.sampled_from(['"a";r=0;t=3600', '"a";q=1;w=3600', '"a";q=1;w=86400', '"a";q=0;w=1', '"a";r=0;t=9999999999']),
        st.integers(0, 10**12).map(str),
        st.from_regex(r"[0-9]{1,12};w=[0-9]{1,12}", fullmatch=True),
        st.text(max_size=20),
    ),
    max_size=4,
)


@settings(max_examples=200, deadline=None)
@given(
    answers=st.lists(st.tuples(HOSTILE, st.sampled_from([200, 429]), st.floats(0.0, 100.0)), max_size=30),
    pacing=st.sampled_from(["auto", "smooth"]),
    limits=st.sampled_from([PUBLISHED, ()]),
)
def test_no_headers_stop_the_client_for_more_than_an_hour(
    answers: list[tuple[dict[str, str], int, float]], pacing: Pacing, limits: tuple[RateLimit, ...]
) -> None:
    """R8: an hour after the last answer something may go, whatever the headers of all answers said."""
    pacer, now = Pacer(limits, pacing=pacing, adaptive=True), 1000.0
    for headers, status, passed in answers:
        now += passed
        slot = pacer.take(now)  # as a direct call does: without asking
        pacer.answered(now)
        pacer.learn(slot, now, policies(headers))
        left = quota(headers, 1.7e9)
        if left is not None:
            pacer.heed(slot, now, left)
        if status == 429:
            pacer.refused(slot, now, retry_after(headers, 1.7e9))
        else:
            pacer.accepted(slot, now)
        assert now <= pacer.next_at(now) <= now + 3602.0
        assert pacer.rate() > 0.0
        assert len(pacer.told) <= 4


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
        slot = pacer.take(now)
        pacer.answered(now)
        pacer.accepted(slot, now)
        assert now < 400.0, "it must recover"
        if now < 12.0:
            assert pacer.rate() <= cut + 2.5, "in small steps"


def test_not_adaptive_means_not_adaptive() -> None:
    """R8: with adaptive=False a refusal cuts nothing."""
    pacer = Pacer(PUBLISHED, pacing="smooth", adaptive=False)
    before = pacer.rate()
    slot = pacer.take(1.0)
    pacer.answered(1.0)
    pacer.refused(slot, 1.0, None)

    assert pacer.rate() == before


def _refuse(pacer: Pacer, now: float, wait: float | None) -> None:
    slot = pacer.take(now)
    pacer.answered(now + 0.1)
    pacer.refused(slot, now + 0.1, wait)


def _accept(pacer: Pacer, now: float) -> None:
    slot = pacer.take(now)
    pacer.answered(now + 0.1)
    pacer.accepted(slot, now + 0.1)


def test_refusals_that_go_on_cut_the_rate() -> None:
    """R8: the first refusal with Retry-After cuts nothing; one of what was sent after the gate re-opened does."""
    pacer = Pacer(PUBLISHED, pacing="smooth", adaptive=True)
    before = pacer.rate()
    _refuse(pacer, 1000.0, 5.0)
    _accept(pacer, 1006.0)
    assert pacer.rate() == before
    _refuse(pacer, 1010.0, 5.0)

    assert pacer.rate() < 0.7 * before


def test_refusals_far_apart_do_not_cut() -> None:
    """R8: a refusal with Retry-After ten minutes after the last one is a first one again."""
    pacer = Pacer(PUBLISHED, pacing="smooth", adaptive=True)
    before = pacer.rate()
    for start in (1000.0, 1600.0, 2200.0):
        _refuse(pacer, start, 5.0)
        _accept(pacer, start + 6.0)

    assert pacer.rate() == before


def test_one_request_asks_whether_the_server_admits_again() -> None:
    """R8: after a refusal one goes at a time, after 0.5, 1, 2, 4, 5 ... seconds, until one is admitted."""
    pacer = Pacer((), pacing="auto", adaptive=True)
    for number in range(32):
        pacer.take(1000.0 + number / 1000)
    _refuse(pacer, 1000.9, None)
    now, pauses = 1001.0, []
    for _ in range(8):
        when = pacer.next_at(now)
        pauses.append(when - now)
        _refuse(pacer, when, None)
        now = when
    assert pauses == pytest.approx([0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0, 5.0])
    assert pacer.rate() > 10.0, "probes that are refused do not cut the rate"

    _accept(pacer, now + 10.0)
    assert pacer.next_at(now + 10.1) < now + 10.3


def test_answers_to_what_was_sent_before_do_not_open() -> None:
    """R8: what the server admitted before the refusal does not show that it admits again."""
    pacer = Pacer((), pacing="auto", adaptive=True)
    before = pacer.take(1000.0)
    _refuse(pacer, 1000.0, 30.0)
    pacer.answered(1000.2)
    pacer.accepted(before, 1000.2)
    assert pacer.next_at(1000.3) == pytest.approx(1030.1)

    pacer.take(1030.1)
    assert pacer.next_at(1030.1) == pytest.approx(1031.1), "the first asks, the others wait for its answer"


def test_a_rate_that_is_not_used_does_not_grow() -> None:
    """R8: an hour with a request a second does not show that the server takes ten of them now."""
    pacer = Pacer((), pacing="auto", adaptive=True)
    for number in range(20):
        _accept(pacer, 1000.0 + number / 40)
    _refuse(pacer, 1000.6, None)
    for second in range(3600):
        _accept(pacer, 1002.0 + second)

    assert pacer.rate() < 10.0


def test_direct_calls_do_not_silence_a_slow_client() -> None:
    """R8: what direct calls send beyond a cut rate holds deliveries back for ten seconds at most."""
    pacer = Pacer((), pacing="auto", adaptive=True)
    _refuse(pacer, 1000.0, None)
    _accept(pacer, 1002.0)
    for number in range(1000):
        pacer.take(1003.0 + number / 100)

    assert 1013.0 < pacer.next_at(1013.0) <= 1023.0


@pytest.mark.parametrize("pacing", ["smooth", "burst"])
def test_a_clock_that_jumps_is_no_licence(pacing: Pacing) -> None:
    """R8: after hours in which the machine slept, no more goes at once than ever, and nothing waits for hours."""
    limits = (RateLimit(20, per=1), RateLimit(100, per=10))
    pacer = Pacer(limits, pacing=pacing, adaptive=True)
    _refuse(pacer, 1000.0, 5.0)
    _accept(pacer, 1006.0)
    flying = []
    while pacer.next_at(1008.0) <= 1008.0:
        flying.append(pacer.take(1008.0))
    now = 1008.0 + 5 * 3600.0
    assert flying
    assert pacer.next_at(now) > now or pacing == "smooth", "what was under way is still to be seen by the server"
    for _ in flying:
        pacer.answered(now)

    assert pacer.next_at(now) <= now + 1.1
    now += 4 * 3600.0
    assert pacer.next_at(now) == now
    at_once = 0
    while pacer.next_at(now) <= now:
        pacer.take(now)
        at_once += 1
    assert at_once == (1 if pacing == "smooth" else 20)


def _tell(pacer: Pacer, now: float, *told: RateLimit) -> None:
    slot = pacer.take(now)
    pacer.answered(now)
    pacer.learn(slot, now, told)


def test_told_limits_only_tighten() -> None:
    """R8: what a server tells is kept where it is tighter, loosened as it says, and never beyond what is configured."""
    pacer = Pacer((RateLimit(100, per=10),), pacing="smooth", adaptive=True)
    configured = pacer.rate()
    _tell(pacer, 1000.0, RateLimit(1000, per=10), RateLimit(10_000, per=60), RateLimit(100, per=1))
    assert pacer.rate() == configured
    _tell(pacer, 1001.0, RateLimit(20, per=10), RateLimit(30, per=10))
    assert pacer.rate() == pytest.approx(2.0, rel=0.05), "of two for the same time the tighter one counts"
    _tell(pacer, 1002.0, RateLimit(50, per=10))
    assert pacer.rate() == pytest.approx(5.0, rel=0.05)
    _tell(pacer, 1003.0)
    assert pacer.rate() == pytest.approx(5.0, rel=0.05), "an answer without a word changes nothing"
    _tell(pacer, 1004.0, RateLimit(500, per=10))
    assert pacer.rate() == configured


def test_an_overtaken_answer_loosens_nothing() -> None:
    """R8: answers arrive out of order, and an older one never loosens a limit that a newer one told."""
    pacer = Pacer((), pacing="burst", adaptive=True)
    older, newer = pacer.take(1000.0), pacer.take(1000.0)
    pacer.learn(newer, 1000.1, [RateLimit(10, per=1)])
    tight = pacer.rate()
    pacer.learn(older, 1000.2, [RateLimit(90, per=1)])
    assert pacer.rate() == tight
    pacer.learn(older, 1000.2, [RateLimit(5, per=1)])
    assert pacer.rate() < tight


def test_told_limits_count_what_went_before() -> None:
    """R8: a limit that is told counts what is in flight and what was answered within its time."""
    pacer = Pacer((RateLimit(100, per=60),), pacing="burst", adaptive=True)
    for second in range(1000, 1010):
        pacer.take(float(second))
        pacer.answered(float(second))
    slots = [pacer.take(1009.5) for _ in range(3)]
    pacer.answered(1009.5)
    pacer.learn(slots[0], 1009.5, [RateLimit(8, per=5)])
    assert pacer.next_at(1009.5) == pytest.approx(1010.0, abs=0.01), "5 answers of the last 5 seconds, 1, and 2 flying"

    alone = Pacer((), pacing="burst", adaptive=True)
    slots = [alone.take(1000.0) for _ in range(7)]
    for _ in range(3):
        alone.answered(1000.1)
    alone.learn(slots[0], 1000.1, [RateLimit(8, per=5)])
    alone.take(1000.1)
    assert alone.next_at(1000.1) == pytest.approx(1005.1, abs=0.01), "without a log, the last second is known"


def test_told_limits_are_spaced_too() -> None:
    """R8: with smooth pacing the requests under a told limit are spread out as well."""
    pacer = Pacer((RateLimit(100, per=1),), pacing="smooth", adaptive=True)
    _tell(pacer, 1000.0, RateLimit(10, per=1))
    pacer.take(1002.0)
    assert pacer.next_at(1002.0) == pytest.approx(1002.1, abs=0.02)


def test_told_limits_are_few() -> None:
    """R8: of many limits the four with the lowest rates are kept, and absurd ones are not."""
    pacer = Pacer((), pacing="burst", adaptive=True)
    _tell(pacer, 1000.0, RateLimit(10**6, per=1), RateLimit(1, per=86_400))
    assert pacer.rate() == math.inf
    _tell(pacer, 1000.0, *(RateLimit(100, per=span) for span in range(1, 9)))
    assert pacer.rate() == pytest.approx(100 / 8, rel=0.05)
    pacer.take(1000.0)
    assert len(pacer.told) == 4


def test_told_limits_are_forgotten() -> None:
    """R8: a limit of which the server does not speak any more while it speaks of others is given up after a while."""
    pacer = Pacer((), pacing="burst", adaptive=True)
    _tell(pacer, 1000.0, RateLimit(10, per=10), RateLimit(50, per=1))
    _tell(pacer, 1060.0, RateLimit(50, per=1))
    assert pacer.rate() < 1.1
    _tell(pacer, 1080.0, RateLimit(50, per=1))
    assert pacer.rate() > 40.0


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
