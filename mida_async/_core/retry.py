"""When a failed request goes out again."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import backoff

if TYPE_CHECKING:
    from .._settings import RetryPolicy

# 0.5 s * 2 ** 64 is longer than any policy's maximum can be. Without the bound, a record that failed a million times
# would walk a generator a million steps.
_STEPS = 64


def pause(policy: RetryPolicy, failures: int, retry_after: float | None = None) -> float:
    """
    Draw the pause that follows failure number *failures*.

    Args:
        policy: The ceilings.
        failures: How often this request has failed so far, 1 or more.
        retry_after: What the server asked to wait, in seconds; the pause is never shorter.

    Returns:
        Seconds. The draw is uniform between 0 and the ceiling ("full jitter"), so clients that failed together do not
        come back together.
    """
    ceilings = backoff.expo(base=2, factor=policy.initial, max_value=policy.maximum)
    ceilings.send(None)  # the first value of a backoff generator is a placeholder
    ceiling = next(itertools.islice(ceilings, min(failures - 1, _STEPS), None))
    return max(backoff.full_jitter(ceiling), retry_after or 0.0)
