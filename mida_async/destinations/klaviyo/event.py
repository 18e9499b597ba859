"""Events, one a request, and what is the same where many go in one."""

from __future__ import annotations

import datetime as dt
import functools
from typing import TYPE_CHECKING, Any, Final, cast

from ..._core import codec
from ..._core.entry import Draft
from ..._core.messages import Request
from ..._core.response import body_of
from ..._errors import InvalidEventError
from ...models.klaviyo import KlaviyoEvent
from ..base import Judgement
from . import fields
from .answers import error_of
from .limits import check_size, encoded_by, encoded_properties
from .profile import Profiles, is_discarded
from .shapes import FLAT, NESTED, Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..._core.messages import Response
    from .account import KlaviyoAccount
    from .profile import Person

# How much of an answer is read: a success has no body, and an error's is short.
MAX_ANSWER_BYTES: Final = 64 * 2**10

_USUAL: Final = frozenset({"time", "unique_id"})

_DISCARDED: Final = (
    "Klaviyo answers 202 to events of addresses such as those at example.com and test.com, and discards them: they are "
    "counted as delivered and never appear in the account. Use another domain, such as one of your own"
)


class Events:
    """
    Encodes events and judges answers.

    Args:
        account: Where to, with which key, and in which revision.
        name: See :meth:`Destination.name`.
        shape: The form of a body.
        path: Where events go.
        clock: Tells the seconds since the epoch.
        new_id: Makes an id that no other event has.
        warn: Is told what the user has to know, each thing once.
    """

    def __init__(
        self,
        account: KlaviyoAccount,
        *,
        name: str,
        shape: Shape,
        path: str,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        warn: Callable[[str], None],
    ) -> None:
        self.name: Final = name
        self.repeatable: Final = True  # the service keeps one event of a profile, a metric and a unique_id
        self._clock = clock
        self._new_id = new_id
        self._warn = warn
        self._shape = shape
        self._revision = account.revision
        self._profiles = Profiles(account.revision)
        self._most_properties = account.revision.most_properties
        self._template = Request(
            method="POST",
            url=f"{account.base_url}{path}",
            headers=account.headers,
            max_response_bytes=MAX_ANSWER_BYTES,
            secret=account.api_key,
        )
        self._label = self._template.label
        self._warned = False
        if account.warning:
            warn(account.warning)

    def encode(  # noqa: PLR0913  the vendor's fields
        self,
        metric: str,
        *,
        profile: Mapping[str, Any],
        properties: Mapping[str, Any] | None = None,
        time: dt.datetime | str | None = None,
        value: object = None,
        unique_id: str | None = None,
        value_currency: str | None = None,
        backfill: bool = False,
    ) -> Draft:
        """
        Check one event and encode it.

        Args:
            metric: What happened; a name that the account does not have yet makes a new metric.
            profile: Who it happened to: one identifier or more (``email``, ``phone_number``, ``external_id``, from
                2023-07-15 on also ``id``, ``anonymous_id`` and ``_kx``), and what else is known of the person, all by
                plain names. What the service does not know becomes a custom property.
            properties: Anything that JSON can hold, by name. Dates, UUIDs, decimals and enumerations are encoded as
                text or as their value.
            time: When it happened, if not now: a datetime or a text in ISO 8601, in UTC where it has no offset.
            value: A number, such as an amount of money.
            unique_id: Your own id for this event, by which the service knows it again. Without one it gets a new one.
            value_currency: The currency of the value, such as ``USD``.
            backfill: Whether it is recorded without setting off flows.

        Returns:
            The encoded event. All given identifiers go out unchanged.

        Raises:
            InvalidEventError: Something is missing or cannot be sent; the message names field, problem and limit.
        """
        name = fields.short_text("metric", metric, fields.LONGEST_METRIC)
        person = self._profiles.read(profile)
        own_id = None if unique_id is None else fields.short_text("unique_id", unique_id, fields.LONGEST_UNIQUE_ID)
        rest = self._rest(time, value, value_currency, own_id, backfill)
        body = self._shape.written(
            profile=person.body,
            metric=encoded_by("metric", name, codec.encode, name),
            properties=b"{}" if properties is None else encoded_properties(properties, self._most_properties),
            rest=encoded_by("unique_id", own_id, codec.encode, rest)[1:-1],
        )
        check_size(self._shape.size(body))
        self._look_at(person)
        # What is more than a time that is the present and an id that is new would be lost in a fold.
        foldable = person.bare and time is None and rest.keys() == _USUAL
        return Draft(
            name=name,
            identities=person.identities,
            body=body,
            unique_id=own_id,
            properties=properties,
            foldable=foldable,
        )

    def _rest(
        self, time: object, value: object, value_currency: object, own_id: str | None, backfill: object
    ) -> dict[str, object]:
        rest: dict[str, object] = {"time": self._time(time)}
        if value is not None:
            rest["value"] = fields.number("value", value)
        if value_currency is not None:
            rest["value_currency"] = self._currency(value_currency)
        rest["unique_id"] = self._new_id() if own_id is None else own_id
        if self._backfill(backfill):
            rest["backfill"] = True
        return rest

    def _time(self, time: object) -> str:
        now = self._clock()
        return fields.now_text(now) if time is None else fields.moment("time", time, now, self._revision.earliest)

    def _currency(self, value_currency: object) -> str:
        if not self._revision.has_value_currency:
            message = f"value_currency: revision {self._revision} has no such field; 2024-02-15 is the first that has"
            raise InvalidEventError(message)
        return fields.currency("value_currency", value_currency)

    def _backfill(self, backfill: object) -> bool:
        wanted = fields.flag("backfill", backfill)
        if wanted and not self._revision.has_backfill:
            message = f"backfill: revision {self._revision} has no such field; 2026-04-15 is the first that has"
            raise InvalidEventError(message)
        return wanted

    def _look_at(self, person: Person) -> None:
        if not self._warned and is_discarded(person.email):
            self._warned = True
            self._warn(_DISCARDED)

    def created(self, body: bytes) -> KlaviyoEvent:
        """
        Return what a created event is known by.

        Args:
            body: What :meth:`encode` made.
        """
        attributes = cast("dict[str, str]", self._shape.attributes(body))
        return KlaviyoEvent(unique_id=attributes["unique_id"], time=dt.datetime.fromisoformat(attributes["time"]))

    def fold(self, body: bytes, properties: object) -> bytes:
        """See :meth:`Destination.fold`."""
        folded = self._shape.refilled(body, encoded_properties(properties, self._most_properties))
        check_size(self._shape.size(folded))
        return folded

    def request(self, body: bytes) -> Request:
        """See :meth:`Destination.request`."""
        return self._template.carrying(body, max_response_bytes=MAX_ANSWER_BYTES)

    def judge(self, response: Response, wall_now: float) -> Judgement:
        """See :meth:`Destination.judge`."""
        secret = self._template.secret
        error = error_of(response, request=self._label, secret=secret, wall_now=wall_now)
        if error is not None or not response.complete:
            return Judgement(error=error)
        return Judgement(read=functools.partial(body_of, response, secret=secret))


class KlaviyoDestination(Events):
    """
    Delivers events to Klaviyo, one a request.

    Args:
        account: Where to, with which key, and in which revision.
        clock: Tells the seconds since the epoch.
        new_id: Makes an id that no other event has.
        warn: Is told what the user has to know, each thing once.
    """

    def __init__(
        self,
        account: KlaviyoAccount,
        *,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        warn: Callable[[str], None],
    ) -> None:
        revision = account.revision
        # Bodies of one shape are not understood in a revision with the other.
        name, shape = ("klaviyo:events.flat", FLAT) if revision.flat else ("klaviyo:events", NESTED)
        super().__init__(account, name=name, shape=shape, path=revision.path, clock=clock, new_id=new_id, warn=warn)
        self.batch: Final = None
