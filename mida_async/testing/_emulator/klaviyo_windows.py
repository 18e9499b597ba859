"""Klaviyo's rate limits as published: two fixed windows of each endpoint at once, and the headers that tell of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from .limits import All, FixedWindow

if TYPE_CHECKING:
    from collections.abc import Mapping

_BURST: Final = 1.0
_STEADY: Final = 60.0


class Windows:
    """
    What one endpoint allows an account (https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling).

    Args:
        burst: How many requests in each second.
        steady: How many in each minute.
    """

    def __init__(self, burst: int, steady: int) -> None:
        self._model: Final = All((FixedWindow(burst, _BURST), FixedWindow(steady, _STEADY)))
        self._limit: Final = f"{burst}, {burst};w={_BURST:.0f}, {steady};w={_STEADY:.0f}"
        self._steady: Final = steady
        self._minute = 0
        self._taken = 0

    def admit(self, now: float) -> float | None:
        """
        Count a request if both windows admit it; otherwise return the seconds to wait.

        Args:
            now: The time, in seconds.
        """
        wait = self._model.admit(now)
        minute = math.floor(now / _STEADY)
        if minute != self._minute:
            self._minute, self._taken = minute, 0
        self._taken += wait is None
        return wait

    def headers(self, now: float) -> Mapping[str, str]:
        """
        Return the headers of answers other than 429, which describe the window of a minute.

        Args:
            now: The time of the request, which was admitted.
        """
        return {
            "RateLimit-Limit": self._limit,
            "RateLimit-Remaining": str(self._steady - self._taken),
            "RateLimit-Reset": str(math.ceil((self._minute + 1) * _STEADY - now)),
        }
