"""
What can go wrong between a client and a server, as values, and the script that says which request gets which.

A fault is "applied" if the request took effect although the client may not learn of it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from ..._errors import SettingsError
from .wire import Reply

if TYPE_CHECKING:
    from .records import ReceivedRequest

MatchRule: TypeAlias = "str | Callable[[ReceivedRequest], bool] | None"


def _times(_instance: object, _attribute: attrs.Attribute[Any], value: int | None) -> None:
    if value is not None and value < 1:
        message = f"times is {value!r}; it must be 1 or greater, or None for ever"
        raise SettingsError(message)


def _frozen_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(headers))


@attrs.frozen
class Fault:
    """
    One fault.

    Args:
        times: How many requests get it, one after the other; None for all from then on.
    """

    times: int | None = attrs.field(default=1, kw_only=True, validator=_times)


@attrs.frozen
class Status(Fault):
    """
    Answer with a status.

    Args:
        code: The HTTP status.
        headers: Headers of the answer, such as ``{"Retry-After": "2"}``.
        body: Bytes or text, sent as they are, or anything else, sent as JSON; ``{"error": ...}`` if not given.
        applied: Whether the request takes effect.
    """

    code: int
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], converter=_frozen_headers)
    body: object = None
    applied: bool = False

    def reply(self) -> Reply:
        """Build the answer."""
        return Reply(self.code, _encoded(self.body, self.code), {"Content-Type": "application/json", **self.headers})


def _encoded(body: object, code: int) -> bytes:
    match body:
        case None:
            return json.dumps({"error": _phrase(code)}).encode()
        case bytes():
            return body
        case str():
            return body.encode()
        case _:
            return json.dumps(body).encode()


def _phrase(code: int) -> str:
    return HTTPStatus(code).phrase if code in set(HTTPStatus) else f"Status {code}"


@attrs.frozen
class Latency(Fault):
    """
    Wait, then do as usual, even if the client has gone away meanwhile.

    Args:
        seconds: How long.
    """

    seconds: float


@attrs.frozen
class Stall(Fault):
    """
    Accept the request and be silent.

    Args:
        seconds: After that long the answer comes: the usual one if it was applied, else 504. None is for ever.
        applied: Whether the request takes effect (at once).
    """

    seconds: float | None = None
    applied: bool = False


@attrs.frozen
class ResetBefore(Fault):
    """Reset the connection without applying the request; before its body is read, unless a function has to match it."""


@attrs.frozen
class ResetAfter(Fault):
    """Apply the request, then reset the connection before any byte of an answer."""


@attrs.frozen
class CutBody(Fault):
    """Apply the request, answer with the whole head and half of the body, then close."""


@attrs.frozen
class StallBody(Fault):
    """Apply the request, answer with the whole head and half of the body, then be silent."""


@attrs.frozen
class NotJSON(Fault):
    """
    Answer with a page of HTML, as a proxy might.

    Args:
        status: The HTTP status.
        applied: Whether the request takes effect.
    """

    status: int = 200
    applied: bool = True

    def reply(self) -> Reply:
        """Build the answer."""
        page = f"<!DOCTYPE html><html><body><h1>{self.status} {_phrase(self.status)}</h1></body></html>"
        return Reply(self.status, page.encode(), {"Content-Type": "text/html; charset=utf-8"})


@attrs.define
class _Rule:
    fault: Fault
    match: MatchRule
    left: float

    def matches(self, request: ReceivedRequest) -> bool:
        match self.match:
            case None:
                return True
            case str() as pattern:
                return fnmatchcase(f"{request.method} {request.path}", pattern)
            case function:
                return function(request)


@attrs.define
class _Chance:
    rule: _Rule
    rate: float


def _rate(fault: Fault, rate: float) -> float:
    if not 0 <= rate <= 1:
        message = f"the rate of {fault!r} is {rate!r}; it must be from 0 to 1"
        raise SettingsError(message)
    return rate


@attrs.define(eq=False)
class Script:
    """Which request gets which fault: the first queued one that matches it, else perhaps a random one."""

    _queue: list[_Rule] = attrs.field(factory=list[_Rule], init=False)
    _chances: list[_Chance] = attrs.field(factory=list[_Chance], init=False)
    _random: random.Random = attrs.field(factory=random.Random, init=False)
    played: int = attrs.field(default=0, init=False)

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, faults: Iterable[Fault], match: MatchRule) -> None:
        """Queue *faults* behind those that are there."""
        self._queue += [_Rule(fault, match, float("inf") if fault.times is None else fault.times) for fault in faults]

    def randomise(self, rates: Iterable[tuple[Fault, float]], seed: int, match: MatchRule) -> None:
        """Replace the random faults."""
        self._chances = [_Chance(_Rule(fault, match, 1), _rate(fault, rate)) for fault, rate in rates]
        self._random.seed(seed)

    def clear(self) -> None:
        """Drop all faults, queued and random."""
        self._queue.clear()
        self._chances.clear()

    def take_before_body(self, head: ReceivedRequest) -> bool:
        """
        Say whether the connection is to be reset before the body is read, and use that fault up.

        Args:
            head: The request without its body. A function that matches is not asked yet: it may want to see the body.
        """
        for rule in self._queue:
            if callable(rule.match):
                return False
            if rule.matches(head):
                if not isinstance(rule.fault, ResetBefore):
                    return False
                self._use(rule)
                return True
        return False

    def take(self, request: ReceivedRequest) -> Fault | None:
        """Return the fault for *request*, and use it up."""
        rule = next((rule for rule in self._queue if rule.matches(request)), None)
        if rule is not None:
            self._use(rule)
            return rule.fault
        return self._drawn(request)

    def _use(self, rule: _Rule) -> None:
        self.played += 1
        rule.left -= 1
        if rule.left <= 0:
            self._queue = [other for other in self._queue if other is not rule]

    def _drawn(self, request: ReceivedRequest) -> Fault | None:
        chances = [chance for chance in self._chances if chance.rule.matches(request)]
        if not chances:
            return None
        drawn = self._random.random()
        for chance in chances:
            drawn -= chance.rate
            if drawn < 0:
                self.played += 1
                return chance.rule.fault
        return None
