"""What the calls that serve a winner answer with."""

from __future__ import annotations

import attrs

from .base import Reply


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ServingStarted(Reply):
    """
    The answer to serving a winner (docs/v2/serve-experiment-winner, 2026-08-22).

    Attributes:
        test_id: The experiment's number.
        serving_variant_id: What is served, as reports number variants: ``"0"`` is Control.
        traffic_allocation: The percentage of visitors to whom it is served, 0 to 100.
        is_serving: True.
        message: What the server says about it.
    """

    test_id: int | None = None
    serving_variant_id: str | None = None
    traffic_allocation: float | None = None
    is_serving: bool | None = None
    message: str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ServingUpdated(Reply):
    """
    The answer to another rollout (docs/v2/update-serving-rollout, 2026-08-22).

    Attributes:
        test_id: The experiment's number.
        traffic_allocation: The percentage of visitors to whom the winner is served, 0 to 100.
        is_serving: True.
        message: What the server says about it.
    """

    test_id: int | None = None
    traffic_allocation: float | None = None
    is_serving: bool | None = None
    message: str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ServingStopped(Reply):
    """
    The answer to the end of serving (docs/v2/stop-experiment-serving, 2026-08-22).

    Attributes:
        test_id: The experiment's number.
        serving_variant_id: None: nothing is served any more.
        is_serving: False.
        message: What the server says about it.
    """

    test_id: int | None = None
    serving_variant_id: str | None = None
    is_serving: bool | None = None
    message: str | None = None
