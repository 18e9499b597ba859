"""
How servers count requests: the usual models, as pure objects that are told the time.

Every model answers ``check(now)`` (would a request be admitted?), ``take(now)`` (count one) and ``admit(now)`` (both).
Times are seconds on any clock; those told to one model must never go back. A refused request is counted nowhere.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol, TypeAlias, runtime_checkable

import attrs

from ..._errors import SettingsError

RateModelName: TypeAlias = Literal[
    "fixed_window", "fixed_from_first_hit", "sliding_log", "sliding_counter", "token_bucket"
]


class RateLimitLike(Protocol):
    """What says how many requests are allowed in how many seconds, such as :class:`mida_async.RateLimit`."""

    @property
    def limit(self) -> int:
        """The number of requests."""
        ...

    @property
    def per(self) -> float:
        """The length of the window in seconds."""
        ...


@runtime_checkable
class RateModel(Protocol):
    """One way of counting requests."""

    def check(self, now: float) -> float | None:
        """
        Say whether a request would be admitted at *now*, and count nothing.

        Returns:
            None where it would; otherwise the seconds after which it would be, if nothing else is sent.
        """
        ...

    def take(self, now: float) -> None:
        """Count a request that ``check`` would admit at *now*."""
        ...

    def admit(self, now: float) -> float | None:
        """Count a request at *now* if it is admitted; return what ``check`` returned."""
        ...


def _positive(instance: object, attribute: attrs.Attribute[Any], value: float) -> None:
    if not value > 0:
        message = f"{type(instance).__name__}.{attribute.name} is {value!r}; it must be greater than 0"
        raise SettingsError(message)


@attrs.define
class _Model(ABC):
    limit: int = attrs.field(validator=_positive)
    per: float = attrs.field(validator=_positive)

    @abstractmethod
    def check(self, now: float) -> float | None: ...

    @abstractmethod
    def take(self, now: float) -> None: ...

    def admit(self, now: float) -> float | None:
        """
        Count a request if it is admitted.

        Args:
            now: The time, in seconds.

        Returns:
            None for an admitted request; for a refused one the seconds to wait.
        """
        wait = self.check(now)
        if wait is None:
            self.take(now)
        return wait


@attrs.define
class FixedWindow(_Model):
    """
    Admit *limit* requests in each window of *per* seconds; windows follow one another without a gap.

    Args:
        limit: The number of requests.
        per: The length of a window in seconds.
        phase: A time at which a window begins.
    """

    phase: float = 0.0
    _window: int | None = attrs.field(default=None, init=False)
    _count: int = attrs.field(default=0, init=False)

    def _window_at(self, now: float) -> int:
        return math.floor((now - self.phase) / self.per)

    def check(self, now: float) -> float | None:
        """Say whether a request would be admitted; see :class:`RateModel`."""
        window = self._window_at(now)
        if window != self._window or self._count < self.limit:
            return None
        return self.phase + (window + 1) * self.per - now

    def take(self, now: float) -> None:
        """Count a request; see :class:`RateModel`."""
        window = self._window_at(now)
        if window != self._window:
            self._window, self._count = window, 0
        self._count += 1


@attrs.define
class FixedFromFirstHit(_Model):
    """
    Admit *limit* requests within *per* seconds of the first; the next request after that begins a new window.

    Args:
        limit: The number of requests.
        per: The length of a window in seconds.
    """

    _start: float = attrs.field(default=-math.inf, init=False)
    _count: int = attrs.field(default=0, init=False)

    def check(self, now: float) -> float | None:
        """Say whether a request would be admitted; see :class:`RateModel`."""
        end = self._start + self.per
        return None if now >= end or self._count < self.limit else end - now

    def take(self, now: float) -> None:
        """Count a request; see :class:`RateModel`."""
        if now >= self._start + self.per:
            self._start, self._count = now, 0
        self._count += 1


@attrs.define
class SlidingLog(_Model):
    """
    Admit at most *limit* requests in any window of *per* seconds, wherever it begins.

    Args:
        limit: The number of requests.
        per: The length of the window in seconds; its end is not part of it.
    """

    _times: deque[float] = attrs.field(factory=deque[float], init=False, repr=False)

    def check(self, now: float) -> float | None:
        """Say whether a request would be admitted; see :class:`RateModel`."""
        if len(self._times) < self.limit:
            return None
        free = self._times[0] + self.per
        return None if now >= free else free - now

    def take(self, now: float) -> None:
        """Count a request; see :class:`RateModel`."""
        if len(self._times) == self.limit:
            self._times.popleft()
        self._times.append(now)


# A request is admitted after this instant, not at it; so much later is "after" on any monotonic clock.
_AFTER: Final = 1e-9


@attrs.define
class SlidingCounter(_Model):
    """
    Estimate a sliding window from two counters, as most servers with shared counters do.

    The count of the window before weighs as much as of it is still within *per* seconds; a request is admitted while
    that and the count of the present window together are below *limit*.

    Args:
        limit: The number of requests.
        per: The length of a window in seconds.
        phase: A time at which a window begins.
    """

    phase: float = 0.0
    _window: int | None = attrs.field(default=None, init=False)
    _before: int = attrs.field(default=0, init=False)
    _count: int = attrs.field(default=0, init=False)

    def _counts(self, window: int) -> tuple[int, int]:
        if window == self._window:
            return self._before, self._count
        return (self._count if self._window is not None and window == self._window + 1 else 0), 0

    def check(self, now: float) -> float | None:
        """Say whether a request would be admitted; see :class:`RateModel`."""
        window = math.floor((now - self.phase) / self.per)
        start = self.phase + window * self.per
        before, count = self._counts(window)
        room = (self.limit - count) * self.per
        if before * (self.per - (now - start)) < room:
            return None
        if count == self.limit:
            return start + self.per - now + _AFTER
        return start + self.per - room / before - now + _AFTER

    def take(self, now: float) -> None:
        """Count a request; see :class:`RateModel`."""
        window = math.floor((now - self.phase) / self.per)
        before, count = self._counts(window)
        self._window, self._before, self._count = window, before, count + 1


@attrs.define
class TokenBucket(_Model):
    """
    Take a token for each request; tokens come back at *limit* in *per* seconds. The bucket begins full.

    Args:
        limit: The tokens that come back in *per* seconds.
        per: In seconds.
        capacity: The tokens that the bucket holds, 1 or more; *limit* if not given.
    """

    capacity: float = attrs.field(
        default=attrs.Factory(lambda bucket: bucket.limit, takes_self=True), converter=attrs.converters.optional(float)
    )
    # Taken tokens that have not come back, times *per*: so nothing is divided, and whole numbers stay exact.
    _debt: float = attrs.field(default=0.0, init=False)
    _last: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        if self.capacity < 1:
            message = f"TokenBucket.capacity is {self.capacity!r}; it must be 1 or greater, or nothing is ever admitted"
            raise SettingsError(message)

    def _debt_at(self, now: float) -> float:
        return max(0.0, self._debt - (now - self._last) * self.limit)

    def check(self, now: float) -> float | None:
        """Say whether a request would be admitted; see :class:`RateModel`."""
        excess = self._debt_at(now) + self.per - self.capacity * self.per
        return None if excess <= 0 else excess / self.limit

    def take(self, now: float) -> None:
        """Count a request; see :class:`RateModel`."""
        self._debt, self._last = self._debt_at(now) + self.per, now


def _as_tuple(models: Iterable[RateModel]) -> tuple[RateModel, ...]:
    return tuple(models)


@attrs.define
class All:
    """
    Admit a request only if every one of *models* does; what one refuses is counted by none.

    Args:
        models: The models. Without any, everything is admitted.
    """

    models: tuple[RateModel, ...] = attrs.field(converter=_as_tuple)

    def check(self, now: float) -> float | None:
        """Say whether a request would be admitted; see :class:`RateModel`."""
        return max((wait for model in self.models if (wait := model.check(now)) is not None), default=None)

    def take(self, now: float) -> None:
        """Count a request in every model; see :class:`RateModel`."""
        for model in self.models:
            model.take(now)

    def admit(self, now: float) -> float | None:
        """
        Count a request if every model admits it.

        Args:
            now: The time, in seconds.

        Returns:
            None for an admitted request; for a refused one the longest of the waits.
        """
        wait = self.check(now)
        if wait is None:
            self.take(now)
        return wait


def as_limits(limits: Iterable[RateLimitLike | RateModel]) -> tuple[RateLimitLike | RateModel, ...]:
    """Keep *limits*, which may be an iterator."""
    return tuple(limits)


_MODELS: Final = MappingProxyType[str, Callable[[int, float], RateModel]](
    {
        "fixed_window": FixedWindow,
        "fixed_from_first_hit": FixedFromFirstHit,
        "sliding_log": SlidingLog,
        "sliding_counter": SlidingCounter,
        "token_bucket": TokenBucket,
    }
)


def limiter(limits: Iterable[RateLimitLike | RateModel], name: str) -> All:
    """
    Build the models for *limits*.

    Args:
        limits: Limits, each counted by the model *name*, or models, taken as they are.
        name: One of ``fixed_window``, ``fixed_from_first_hit``, ``sliding_log``, ``sliding_counter``, ``token_bucket``.

    Raises:
        SettingsError: There is no such model.
    """
    make = _MODELS.get(name)
    if make is None:
        message = f"rate_model is {name!r}; it must be one of {', '.join(_MODELS)}"
        raise SettingsError(message)
    return All(tuple(limit if isinstance(limit, RateModel) else make(limit.limit, limit.per) for limit in limits))
