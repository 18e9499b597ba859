"""``klaviyo.events``: one event, sent at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from .._core.endpoints import Repeat

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping
    from decimal import Decimal

    from .._core.entry import Draft
    from .._core.messages import Request, Response
    from .._errors import MidaError
    from .._requestor import Exchange
    from ..destinations.base import Judgement
    from ..models.klaviyo import KlaviyoEvent


class _Encoder(Protocol):
    """What is needed of the destination."""

    @property
    def encode(self) -> Any: ...

    def request(self, body: bytes) -> Request: ...

    def judge(self, response: Response, wall_now: float) -> Judgement: ...

    def created(self, body: bytes) -> KlaviyoEvent: ...


class KlaviyoEvents:
    """
    Klaviyo's Create Event.

    Args:
        exchange: Sends requests.
        destination: Checks and encodes events, and judges answers.
    """

    def __init__(self, exchange: Exchange, destination: _Encoder) -> None:
        self._exchange = exchange
        self._destination = destination

    async def create(  # noqa: PLR0913 - what an event consists of
        self,
        metric: str,
        *,
        profile: Mapping[str, Any],
        properties: Mapping[str, Any] | None = None,
        time: dt.datetime | str | None = None,
        value: float | Decimal | None = None,
        unique_id: str | None = None,
        value_currency: str | None = None,
        backfill: bool = False,
    ) -> KlaviyoEvent:
        """
        Send one event, now.

        ``buffer.record`` takes the same arguments, keeps the order of each profile's events and the account's rate, and
        makes nobody wait. That this call returns means what the service's 202 means: the event was checked and queued.
        Its time and its id are fixed at the call, so it is sent again after any failure that may pass.

        Waits for the answer, ``Timeout.total`` seconds at most with repetitions. Cancelling may come too late.

        Args:
            metric: The name of the metric, fewer than 128 characters. A new name makes a new metric.
            profile: Whose event it is: ``email``, ``phone_number`` or ``external_id``, and what else is known of them:
                ``first_name``, ``city`` and so on; any other name is a custom property of the profile.
            properties: The event's own properties. 0, None and ``""`` count as absent there.
            time: When it happened, to the second; now where it is not given. Without a time zone it is UTC.
            value: What it is worth, such as the price.
            unique_id: Your own id of it; a fresh one where it is not given. Of events of one profile and metric with
                the same id, the service keeps the first.
            value_currency: The currency of *value*, such as ``USD``.
            backfill: Whether it is history, and triggers no flows.

        Returns:
            The ``unique_id`` and the ``time`` that were sent.

        Raises:
            InvalidEventError: It cannot be sent; the message names field, problem and limit.
            ClientClosedError: The client is closed; nothing was sent.
            TransportError: No answer came.
            APIError: The service refused; ``code``, ``title``, ``detail`` and ``pointer`` say what it found.
        """
        self._exchange.check_open()
        more = {"time": time, "value": value, "value_currency": value_currency, "backfill": backfill}
        encode = self._destination.encode
        return await self._send(encode(metric, profile=profile, properties=properties, unique_id=unique_id, **more))

    async def _send(self, draft: Draft) -> KlaviyoEvent:
        destination, body = self._destination, draft.body

        def read(response: Response, wall_now: float) -> KlaviyoEvent | MidaError:
            return destination.judge(response, wall_now).error or destination.created(body)

        return await self._exchange.send(destination.request(body), read, repeat=Repeat.SAFE)
