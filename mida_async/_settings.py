"""What a user can choose: frozen values, checked when they are made."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, cast, get_args

import attrs

from ._errors import InvalidEventError, SettingsError

Pacing: TypeAlias = Literal["auto", "smooth", "burst"]
Overflow: TypeAlias = Literal["wait", "raise", "drop_oldest", "drop_newest"]
Order: TypeAlias = Literal["visitor", "none"]
Guarantee: TypeAlias = Literal["at_least_once", "at_most_once"]
UnknownVisitor: TypeAlias = Literal["reject", "wait"]
Combine: TypeAlias = Callable[[Mapping[str, Any], Mapping[str, Any]], Mapping[str, Any]]

_Check: TypeAlias = Callable[[Any, "attrs.Attribute[Any]", Any], None]


def _refuse(instance: object, field: str, value: object, allowed: str) -> SettingsError:
    return SettingsError(f"{type(instance).__name__}.{field} is {value!r}; it must be {allowed}")


def _is_number(value: object) -> bool:
    # Comparing is exact for whole numbers of any size, and false for NaN.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _more_than_zero(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not (_is_number(value) and value > 0):  # type: ignore[operator]
        raise _refuse(instance, attribute.name, value, "a finite number greater than 0")


def _zero_or_more(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not (_is_number(value) and value >= 0):  # type: ignore[operator]
        raise _refuse(instance, attribute.name, value, "a finite number, 0 or greater")


def _count(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise _refuse(instance, attribute.name, value, "a whole number, 1 or greater")


def _boolean(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, bool):
        raise _refuse(instance, attribute.name, value, "True or False")


def _one_of(choices: object) -> _Check:
    words: tuple[str, ...] = get_args(choices)

    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value not in words:
            raise _refuse(instance, attribute.name, value, "one of " + ", ".join(map(repr, words)))

    return check


_UNITS = MappingProxyType({"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0})


@attrs.frozen
class RateLimit:
    """
    At most *limit* requests in any *per* seconds.

    Args:
        limit: The number of requests, 1 or more.
        per: The length of the window in seconds.
    """

    limit: int = attrs.field(validator=_count)
    per: float = attrs.field(validator=_more_than_zero, kw_only=True)

    @classmethod
    def parse(cls, text: str) -> RateLimit:
        """
        Read ``350/s``, ``3500/m``, ``10000/h``, ``100000/d`` or, for other windows, ``200/5s``.

        Args:
            text: A whole number, a slash, an optional count of units, and one of ``s m min h d``.

        Returns:
            The limit.

        Raises:
            SettingsError: The text is something else.
        """
        found = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+(?:\.\d+)?)?\s*(s|m|min|h|d)\s*", text)
        if found is None:
            message = f"rate {text!r} is not understood; write it as 350/s, 3500/m or 200/5s"
            raise SettingsError(message)
        limit, count, unit = found.groups()
        return cls(int(limit), per=float(count or 1) * _UNITS[unit])


@attrs.frozen(kw_only=True)
class Timeout:
    """
    How long one request may take, in seconds.

    Args:
        connect: For a connection, TLS included.
        read: For the answer to start, and between any two pieces of it.
        total: For one delivery attempt of the buffer; for a direct call, retries and their pauses included.
    """

    connect: float = attrs.field(default=5.0, validator=_more_than_zero)
    read: float = attrs.field(default=30.0, validator=_more_than_zero)
    total: float = attrs.field(default=60.0, validator=_more_than_zero)


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """
    How often, and after which pauses, a failed request is sent again.

    The pause before attempt n + 1 is drawn from 0 to ``initial * 2 ** (n - 1)`` seconds, at most *maximum* ("full
    jitter"). A server's Retry-After is a floor under it.

    Args:
        max_attempts: All attempts together, the first included. Those of a buffered record do not count that are made
            while the server is away, or that it refuses with a time to come back.
        initial: The ceiling of the first pause, in seconds.
        maximum: The ceiling of every pause, in seconds.
    """

    max_attempts: int = attrs.field(default=10, validator=_count)
    initial: float = attrs.field(default=0.5, validator=_zero_or_more)
    maximum: float = attrs.field(default=30.0, validator=_zero_or_more)


def _callable(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not callable(value):
        raise _refuse(instance, attribute.name, value, "a function of the older and the newer properties")


@attrs.frozen
class Fold:
    """
    How two waiting records of one visitor and event name become one.

    Args:
        combine: Called with the properties of the older and the newer record; returns the properties that are sent.
    """

    combine: Combine = attrs.field(validator=_callable)

    @classmethod
    def last(cls) -> Fold:
        """Keep the newer properties."""
        return cls(_newer)

    @classmethod
    def sum(cls, *fields: str) -> Fold:
        """
        Keep the newer properties, with each of *fields* added up.

        Args:
            fields: Names of numeric properties. A record that lacks one counts as 0.
        """
        return cls(_Sum(_names("sum", fields)))

    @classmethod
    def count(cls, field: str) -> Fold:
        """
        Keep the newer properties, and write into *field* how many records were folded.

        Args:
            field: The name of the property. A record that brings it already counts as that many.
        """
        return cls(_Count(_names("count", (field,))[0]))


def _names(method: str, fields: tuple[str, ...]) -> tuple[str, ...]:
    texts = all(isinstance(name, str) for name in fields)  # pyright: ignore[reportUnnecessaryIsInstance]
    if not fields or not texts or not all(fields):
        message = f"Fold.{method} got {fields!r}; it must be the names of properties"
        raise SettingsError(message)
    return fields


def _newer(_older: Mapping[str, Any], newer: Mapping[str, Any]) -> Mapping[str, Any]:
    return newer


@attrs.frozen
class _Sum:
    fields: tuple[str, ...]

    def __call__(self, older: Mapping[str, Any], newer: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**newer, **{name: _added(older, newer, name) for name in self.fields}}


def _added(older: Mapping[str, Any], newer: Mapping[str, Any], name: str, default: int = 0) -> Any:
    one, other = (properties.get(name, default) for properties in (older, newer))
    try:
        if all(isinstance(value, (int, float, Decimal)) for value in (one, other)):
            return one + other
    except (TypeError, ArithmeticError):  # Decimal and float, or more than a float can hold
        pass
    message = f"properties.{name} is {one!r} and {other!r}; to be folded they must be numbers that can be added up"
    raise InvalidEventError(message)


@attrs.frozen
class _Count:
    field: str

    def __call__(self, older: Mapping[str, Any], newer: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**newer, self.field: _added(older, newer, self.field, default=1)}


def _limits(instance: object, attribute: attrs.Attribute[Any], value: tuple[object, ...]) -> None:
    if not all(isinstance(limit, RateLimit) for limit in value):
        raise _refuse(instance, attribute.name, value, "RateLimit objects; () lifts the limits")


def _as_tuple(value: RateLimit | Iterable[RateLimit]) -> tuple[RateLimit, ...]:
    several = isinstance(value, Iterable) and not isinstance(value, str)
    return tuple(cast("Iterable[RateLimit]", value)) if several else (cast("RateLimit", value),)


def _folds(instance: object, attribute: attrs.Attribute[Any], value: Mapping[Any, Any]) -> None:
    known = isinstance(value, Mapping)  # pyright: ignore[reportUnnecessaryIsInstance]
    if not known or not all(isinstance(name, str) and isinstance(rule, Fold) for name, rule in value.items()):
        raise _refuse(
            instance, attribute.name, dict(value) if known else value, "a mapping of event names to Fold rules"
        )


def _as_mapping(value: Mapping[str, Fold]) -> Mapping[str, Fold]:
    known = isinstance(value, Mapping)  # pyright: ignore[reportUnnecessaryIsInstance]
    return MappingProxyType(dict(value)) if known else value  # what is no mapping is for the validator to refuse


@attrs.frozen(kw_only=True)
class BufferSettings:
    """
    How the buffer behaves.

    Args:
        rate_limits: All of them are kept together, at the server. ``()`` means no limit of the client's own.
        pacing: ``smooth`` spreads the requests and is refused by no kind of server. ``burst`` sends at once what the
            limits allow, which servers with a sliding counter or a token bucket refuse. ``auto`` starts as ``burst``
            and turns to ``smooth`` at the first refusal.
        adaptive: Send more slowly after a refusal that says nothing about when to come back.
        concurrency: Requests in flight at once, at most.
        max_records: Records waiting, in flight and between attempts together, at most.
        max_bytes: The same in bytes of encoded bodies.
        overflow: What happens to a record when there is no room: it waits, it is refused, or one is dropped.
        order: ``visitor`` keeps each visitor's records in order; ``none`` sends every record on its own.
        guarantee: What to do when a record may or may not have been applied: send it again, or end it.
        unknown_visitor: Whether a record for a visitor whom the server does not know is rejected or waits.
        unknown_visitor_patience: How long it waits, in seconds.
        folds: Rules by event name; see :class:`Fold`.
        linger: Seconds for which a record that may be folded is held back.
        dedupe_window: Seconds for which a ``unique_id`` is remembered after its record was delivered.
        max_age: Seconds after which a record is given up.
        close_timeout: Seconds that :meth:`aclose` may take when it is not told otherwise.
    """

    rate_limits: tuple[RateLimit, ...] = attrs.field(
        default=(RateLimit(350, per=1), RateLimit(3500, per=60)), converter=_as_tuple, validator=_limits
    )
    pacing: Pacing = attrs.field(default="auto", validator=_one_of(Pacing))
    adaptive: bool = attrs.field(default=True, validator=_boolean)
    concurrency: int = attrs.field(default=32, validator=_count)
    max_records: int = attrs.field(default=100_000, validator=_count)
    max_bytes: int = attrs.field(default=64 * 2**20, validator=_count)
    overflow: Overflow = attrs.field(default="wait", validator=_one_of(Overflow))
    order: Order = attrs.field(default="visitor", validator=_one_of(Order))
    guarantee: Guarantee = attrs.field(default="at_least_once", validator=_one_of(Guarantee))
    unknown_visitor: UnknownVisitor = attrs.field(default="reject", validator=_one_of(UnknownVisitor))
    unknown_visitor_patience: float = attrs.field(default=300.0, validator=_zero_or_more)
    folds: Mapping[str, Fold] = attrs.field(
        default=MappingProxyType[str, Fold]({}), converter=_as_mapping, validator=_folds
    )
    linger: float = attrs.field(default=0.0, validator=_zero_or_more)
    dedupe_window: float = attrs.field(default=3600.0, validator=_zero_or_more)
    max_age: float = attrs.field(default=86400.0, validator=_more_than_zero)
    close_timeout: float = attrs.field(default=10.0, validator=_zero_or_more)


@attrs.frozen(kw_only=True)
class VisitorCache:
    """
    For how long, and for how many questions, answers about visitors are kept.

    Args:
        ttl: Seconds for which an answer is kept, from its arrival on.
        maxsize: How many answers are kept; beyond that the one that was used least recently goes. Each variant of a
            visitor counts as one, and so do the visitor's feature flags.
    """

    ttl: float = attrs.field(default=60.0, validator=_more_than_zero)
    maxsize: int = attrs.field(default=10_000, validator=_count)
