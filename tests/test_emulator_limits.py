"""The models of rate limits: compared with their definitions, and with what can be said of any of them."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import accumulate
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mida_async._errors import SettingsError
from mida_async._settings import RateLimit
from mida_async.testing import (
    All,
    Emulator,
    FixedFromFirstHit,
    FixedWindow,
    RateModel,
    SlidingCounter,
    SlidingLog,
    TokenBucket,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Whole multiples of an eighth, so that sums, products and comparisons of floats are exact.
STEP = 1 / 8
gaps = st.lists(st.integers(0, 24).map(lambda n: n * STEP), min_size=1, max_size=120)
times = gaps.map(lambda parts: list(accumulate(parts)))
limits = st.integers(1, 7)
lengths = st.integers(1, 40).map(lambda n: n * STEP)
phases = st.integers(-16, 16).map(lambda n: n * STEP)

MAKERS: tuple[Callable[[int, float], RateModel], ...] = (
    FixedWindow,
    FixedFromFirstHit,
    SlidingLog,
    SlidingCounter,
    TokenBucket,
)
makers = st.sampled_from(MAKERS)


def admitted(model: RateModel, moments: Sequence[float]) -> list[float]:
    """Offer one request at each moment, and return those that were admitted."""
    return [now for now in moments if model.admit(now) is None]


@given(times, limits, lengths, phases)
def test_fixed_window_counts_each_window_by_itself(moments: list[float], limit: int, per: float, phase: float) -> None:
    """A fixed window admits the first N requests of each window and no others."""
    windows: dict[int, list[float]] = {}
    for now in moments:
        windows.setdefault(math.floor((Fraction(now) - Fraction(phase)) / Fraction(per)), []).append(now)

    expected = [now for window in windows.values() for now in window[:limit]]

    assert admitted(FixedWindow(limit, per, phase), moments) == expected


@given(times, limits, lengths)
def test_fixed_from_first_hit_begins_a_window_with_an_admitted_request(
    moments: list[float], limit: int, per: float
) -> None:
    """A window begins with the first request after the last window's end, and admits N."""
    expected: list[float] = []
    start, used = -math.inf, 0
    for now in moments:
        if now - start >= per:
            start, used = now, 0
        if used < limit:
            used += 1
            expected.append(now)

    assert admitted(FixedFromFirstHit(limit, per), moments) == expected


@given(times, limits, lengths)
def test_sliding_log_looks_back_one_window(moments: list[float], limit: int, per: float) -> None:
    """A sliding log admits a request if fewer than N were admitted in the window that ends with it."""
    expected: list[float] = []
    for now in moments:
        if sum(1 for earlier in expected if now - earlier < per) < limit:
            expected.append(now)

    assert admitted(SlidingLog(limit, per), moments) == expected


@given(times, limits, lengths)
def test_sliding_log_never_admits_more_than_n_in_any_window(moments: list[float], limit: int, per: float) -> None:
    """Wherever a window begins, no more than N admitted requests lie in it."""
    taken = admitted(SlidingLog(limit, per), moments)

    assert all(sum(1 for now in taken if start <= now < start + per) <= limit for start in taken)


@given(times, limits, lengths, phases)
def test_sliding_counter_weighs_the_window_before(moments: list[float], limit: int, per: float, phase: float) -> None:
    """The window before counts by the share of it that is still within one length, rounded down or not."""
    counts: dict[int, int] = {}
    expected: list[float] = []
    for now in moments:
        position = (Fraction(now) - Fraction(phase)) / Fraction(per)
        window = math.floor(position)
        weighted = math.floor(counts.get(window - 1, 0) * (1 - (position - window))) + counts.get(window, 0)
        if weighted + 1 <= limit:
            counts[window] = counts.get(window, 0) + 1
            expected.append(now)

    assert admitted(SlidingCounter(limit, per, phase), moments) == expected


@given(times, limits, lengths, st.integers(8, 40).map(lambda n: n * STEP))
def test_token_bucket_holds_its_tokens_exactly(moments: list[float], limit: int, per: float, capacity: float) -> None:
    """A bucket begins full, fills by N in a window and not over its capacity, and a request takes one token."""
    tokens, last = Fraction(capacity), Fraction(0)
    expected: list[float] = []
    for now in moments:
        tokens = min(Fraction(capacity), tokens + (Fraction(now) - last) * limit / Fraction(per))
        last = Fraction(now)
        if tokens >= 1:
            tokens -= 1
            expected.append(now)

    assert admitted(TokenBucket(limit, per, capacity), moments) == expected


def test_token_bucket_holds_the_limit_unless_told_otherwise() -> None:
    """Without a capacity, a full window's requests may come at once."""
    assert admitted(TokenBucket(3, 60.0), [0.0] * 5) == [0.0] * 3


def test_token_bucket_loses_no_time_over_many_requests() -> None:
    """Requests at exactly the rate are admitted for as long as they come, though no float holds their distance."""
    bucket = TokenBucket(3500, 60.0, 1.000001)

    assert all(bucket.admit(n * 60 / 3500) is None for n in range(20_000))


@given(makers, times, limits, lengths)
def test_a_refused_request_counts_nowhere(
    make: Callable[[int, float], RateModel], moments: list[float], limit: int, per: float
) -> None:
    """A model that saw only the admitted requests decides as one that saw the refused ones too."""
    taken = admitted(make(limit, per), moments)

    assert admitted(make(limit, per), taken) == taken


@given(makers, times, limits, lengths)
def test_checking_counts_nothing(
    make: Callable[[int, float], RateModel], moments: list[float], limit: int, per: float
) -> None:
    """Any number of checks before a request leave its fate as it was."""
    model, checked = make(limit, per), make(limit, per)
    for now in moments:
        assert checked.check(now) == checked.check(now) == model.check(now)
        assert checked.admit(now) == model.admit(now)


@given(makers, times, limits, lengths)
def test_the_wait_is_enough_and_not_too_long(
    make: Callable[[int, float], RateModel], moments: list[float], limit: int, per: float
) -> None:
    """After the wait a request is admitted; shortly before its end it is not."""
    model = make(limit, per)
    for now in moments:
        wait = model.admit(now)
        if wait is not None:
            assert wait > 0
            assert model.check(now + wait + 1e-12) is None
            # A counter that has no room at the very instant has some right after it: there the wait is next to nothing.
            assert wait < 1e-8 or model.check(now + wait - 1e-8) is not None


@given(st.lists(st.tuples(makers, limits, lengths), max_size=3), times)
def test_all_admits_what_every_model_admits(
    parts: list[tuple[Callable[[int, float], RateModel], int, float]], moments: list[float]
) -> None:
    """A request passes if each model lets it; a refused one costs nothing in any; the longest wait counts."""
    together = All(make(limit, per) for make, limit, per in parts)
    apart = [make(limit, per) for make, limit, per in parts]
    for now in moments:
        waits = [wait for model in apart if (wait := model.check(now)) is not None]
        assert together.admit(now) == max(waits, default=None)
        if not waits:
            for model in apart:
                model.take(now)


def test_models_work_on_exact_numbers() -> None:
    """Fractions in place of floats make every decision exact."""
    log = SlidingLog(1, cast("float", Fraction(1, 3)))

    assert log.admit(cast("float", Fraction(0))) is None
    assert log.admit(cast("float", Fraction(1, 4))) == Fraction(1, 12)
    assert log.admit(cast("float", Fraction(1, 3))) is None


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(("limit", "per"), [(0, 1.0), (1, 0.0), (1, -1.0), (1, math.nan)])
def test_senseless_limits_are_refused(make: Callable[[int, float], RateModel], limit: int, per: float) -> None:
    """A limit or a window that is not greater than 0 raises at construction, and the message names it."""
    with pytest.raises(SettingsError, match=r"(limit|per) is .* must be greater than 0"):
        make(limit, per)


def test_a_bucket_without_room_for_a_token_is_refused() -> None:
    """A capacity below 1 raises: nothing would ever be admitted."""
    with pytest.raises(SettingsError, match=r"capacity is 0\.5"):
        TokenBucket(1, 1.0, 0.5)


def test_the_emulator_refuses_an_unknown_model() -> None:
    """A wrong rate_model raises and lists the right ones."""
    with pytest.raises(SettingsError, match=r"leaky.*fixed_window, fixed_from_first_hit"):
        Emulator(rate_limits=[RateLimit(1, per=1)], rate_model=cast("object", "leaky"))  # type: ignore[arg-type]
