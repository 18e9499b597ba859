"""
What a failure means for sending again.

An event has no idempotency key, so the one question is what the server may have done with the request:

* NOT_SENT   nothing of the body left this machine. Sending again is always right.
* REFUSED    the server says that it did nothing, and asks to come back later.
* AMBIGUOUS  the body was handed over, then nothing certain came back. Sending again may do it twice.
* PERMANENT  the server says no, and will say no again.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from .._errors import (
    AmbiguousDeliveryError,
    APIError,
    ClientClosedError,
    ConnectError,
    DeliveryError,
    EventExpiredError,
    ServerError,
    TransportError,
    VisitorNotFoundError,
)
from .._settings import Guarantee, RetryPolicy, UnknownVisitor
from .entry import End
from .retry import pause

if TYPE_CHECKING:
    from .entry import Entry

# 408 and 425 are sent before a request is handled (RFC 9110 section 15.5.9, RFC 8470 section 5.2). That 429 and a 503
# with Retry-After are, too, is a judgement: no server that limits rates this way is known to apply what it refuses.
_REFUSALS: Final = frozenset({408, 425, 429})


# As a failure of the server: something in front of it refused the request, and the server never saw it.
_TURNED_AWAY: Final = 403

_EARLIER: Final = "one of the attempts may have been applied"

_FIRST_LOOK: Final = 1.0
"""Seconds after which a visitor who was unknown is looked for again."""


class Failure(enum.Enum):
    """The class of a failure."""

    NOT_SENT = "not sent"
    REFUSED = "refused"
    AMBIGUOUS = "ambiguous"
    PERMANENT = "permanent"


def classify(error: Exception) -> Failure:
    """
    Say what *error* means for sending the same request again.

    Args:
        error: What an attempt ended with.
    """
    match error:
        # The session that was lent is closed: a record waits for the end that its buffer gives it.
        case ClientClosedError() | ConnectError(retriable=True):
            return Failure.NOT_SENT
        case TransportError() if not isinstance(error, ConnectError):
            return Failure.AMBIGUOUS
        case ServerError(status=503) if error.retry_after is not None:
            return Failure.REFUSED
        case ServerError():
            return Failure.REFUSED if error.status == _TURNED_AWAY else Failure.AMBIGUOUS
        case APIError() if error.status in _REFUSALS:
            return Failure.REFUSED
        case _:
            return Failure.PERMANENT


def retry_after_of(error: Exception) -> float | None:
    """
    Return the seconds that the server asked to wait, or None where it did not ask.

    Args:
        error: What an attempt ended with.
    """
    return error.retry_after if isinstance(error, APIError) else None


@attrs.frozen(kw_only=True)
class Ended:
    """
    The record has come to its end.

    Attributes:
        end: Which one.
        error: What its delivery raises; None where it was delivered.
    """

    end: End
    error: Exception | None = None


@attrs.frozen(kw_only=True)
class Again:
    """
    The record is to be sent again.

    Attributes:
        due: Not before this time.
    """

    due: float


Verdict: TypeAlias = Ended | Again

_DELIVERED: Final = Ended(end=End.DELIVERED)


@attrs.frozen(kw_only=True)
class Rules:
    """
    What the user chose about failures.

    Attributes:
        retry: How often and after which pauses.
        guarantee: What becomes of an ambiguous failure.
        unknown_visitor: What becomes of a record whose visitor is not known.
        patience: For how many seconds such a record waits.
    """

    retry: RetryPolicy
    guarantee: Guarantee
    unknown_visitor: UnknownVisitor
    patience: float


def decide(
    entry: Entry, error: Exception | None, *, rules: Rules, now: float, outage: bool, repeatable: bool = False
) -> Verdict:
    """
    Say what becomes of a record after an attempt, and note on it what the next decision needs to know.

    Args:
        entry: The record; its ``attempts`` include this one.
        error: How the attempt failed; None where it was accepted.
        rules: What the user chose.
        now: The time of the answer.
        outage: Whether the breaker is open: the attempt then does not count, and there is no pause of the record's own.
        repeatable: Whether the service knows a record that it gets twice, and applies it once. What may have been
            applied is then sent again whatever the guarantee, and once it is delivered nothing is left in doubt.
    """
    if error is None:
        if repeatable:
            entry.ambiguous = False
        return _DELIVERED
    entry.last_error = error
    if isinstance(error, VisitorNotFoundError) and rules.unknown_visitor == "wait":
        return _unknown_visitor(entry, error, rules, now)
    failure = classify(error)
    if failure is Failure.PERMANENT:
        if entry.ambiguous:
            error.add_note(_EARLIER)
        return Ended(end=End.REJECTED, error=error)
    if failure is Failure.AMBIGUOUS:
        if rules.guarantee == "at_most_once" and not repeatable:
            return Ended(end=End.AMBIGUOUS, error=_because(AmbiguousDeliveryError(_ambiguous(error)), error))
        entry.ambiguous = True
    told = failure is Failure.REFUSED and bool(retry_after_of(error))
    if outage or told:  # who comes back when it was told to has not failed
        entry.spared += 1
    if outage and failure is not Failure.REFUSED:
        return Again(due=now)
    return _again(entry, error, rules, now)


def _again(entry: Entry, error: Exception, rules: Rules, now: float) -> Verdict:
    counted = entry.attempts - entry.spared
    if counted >= rules.retry.max_attempts:
        message = f"given up after {entry.attempts} attempts; the last one: {error}{_earlier(entry)}"
        return Ended(end=End.EXPIRED, error=_because(EventExpiredError(message), error))
    return Again(due=now + pause(rules.retry, max(counted, 1), retry_after_of(error)))


def overdue(entry: Entry, max_age: float) -> Ended:
    """
    Return the end of a record that grew too old.

    Args:
        entry: The record.
        max_age: The age, in seconds, after which it is given up.
    """
    last = f"; the last attempt: {entry.last_error}" if entry.last_error else ""
    message = f"not delivered within max_age ({max_age:g} s), after {entry.attempts} attempts{last}{_earlier(entry)}"
    return Ended(end=End.EXPIRED, error=_because(EventExpiredError(message), entry.last_error))


def _earlier(entry: Entry) -> str:
    return f"; {_EARLIER}" if entry.ambiguous else ""


def _unknown_visitor(entry: Entry, error: Exception, rules: Rules, now: float) -> Verdict:
    # Not a failure of the delivery, so it uses up no attempts; the pauses grow with the time that has passed instead.
    entry.spared += 1
    if entry.unknown_since is None:
        entry.unknown_since = now
    # The end is a point in time, not what is left: what rounding leaves over could be too little to advance `now`.
    until = entry.unknown_since + rules.patience
    if now >= until:
        return Ended(end=End.REJECTED, error=error)
    # Never without a pause, whatever the policy: the browser needs a moment.
    wait = min(max(_FIRST_LOOK, now - entry.unknown_since), max(_FIRST_LOOK, rules.retry.maximum))
    return Again(due=min(now + wait, until))


def inherit_patience(entry: Entry, before: Entry) -> None:
    """
    Let a record wait for its visitor no longer than from when it was accepted.

    Otherwise a visitor who never comes would cost the whole patience for each of their records, one after the other.

    Args:
        entry: The record that follows.
        before: The one that was just given up, because its visitor was not known.
    """
    if before.unknown_since is not None and entry.unknown_since is None:
        entry.unknown_since = max(before.unknown_since, entry.accepted_at)


def _because(error: DeliveryError, cause: Exception | None) -> DeliveryError:
    error.__cause__ = cause
    return error


def _ambiguous(error: Exception) -> str:
    return f"the record may have been applied, and at_most_once forbids a second attempt: {error}"
