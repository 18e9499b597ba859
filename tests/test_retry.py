"""Pauses between attempts."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mida_async import RetryPolicy
from mida_async._core.retry import pause

POLICY = RetryPolicy(max_attempts=10, initial=0.5, maximum=30.0)


@pytest.mark.parametrize(
    ("failures", "ceiling"), [(1, 0.5), (2, 1.0), (3, 2.0), (6, 16.0), (7, 30.0), (8, 30.0), (50, 30.0)]
)
def test_pauses_are_drawn_below_a_ceiling_that_doubles(failures: int, ceiling: float) -> None:
    """R9: full jitter: anything between nothing and the ceiling, evenly."""
    random.seed(1)
    draws = [pause(POLICY, failures) for _ in range(400)]

    assert 0.0 <= min(draws) < 0.05 * ceiling
    assert 0.95 * ceiling < max(draws) <= ceiling
    assert 0.4 * ceiling < sum(draws) / len(draws) < 0.6 * ceiling


def test_clients_do_not_come_back_together() -> None:
    """R9: two clients with the same history draw different pauses."""
    random.seed(1)
    assert len({pause(POLICY, 5) for _ in range(20)}) == 20


@given(failures=st.integers(1, 100), wait=st.floats(0.0, 3600.0))
def test_retry_after_is_a_floor(failures: int, wait: float) -> None:
    """R9: no pause is shorter than what the server asked for, nor longer than that and the maximum."""
    drawn = pause(POLICY, failures, wait)
    assert wait <= drawn <= max(wait, POLICY.maximum)


@given(failures=st.integers(1, 10**12), initial=st.floats(0.0, 1e300), maximum=st.floats(0.0, 1e300))
def test_any_policy_gives_a_pause(failures: int, initial: float, maximum: float) -> None:
    """R9: after any number of failures the pause is within the maximum, and as cheap to draw as the first."""
    drawn = pause(RetryPolicy(initial=initial, maximum=maximum), failures)
    assert 0.0 <= drawn <= maximum


def test_no_pause_where_none_is_wanted() -> None:
    """R9: a maximum of zero means no pauses, except for those that the server asks for."""
    policy = RetryPolicy(maximum=0)
    assert pause(policy, 3) == 0.0
    assert pause(policy, 3, 7.0) == 7.0
