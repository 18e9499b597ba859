"""The client for Klaviyo: the parts of the delivery engine, put together for another service."""

from __future__ import annotations

import datetime as dt
import inspect
import os
import time
import uuid
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from ._base_client import BaseClient
from ._delivery.witness import BufferWitness, Judge
from ._errors import SettingsError
from ._requestor import Exchange
from ._resources.klaviyo import KlaviyoEvents
from ._settings import BufferSettings, RateLimit, RetryPolicy, Timeout
from .destinations.klaviyo import CURRENT_REVISION, KlaviyoAccount, KlaviyoBulkDestination, KlaviyoDestination

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._core.messages import Response
    from ._errors import MidaError
    from ._transport.aiohttp import Session
    from ._transport.base import Transport
    from .instrumentation.details import Hook
    from .spools.base import Spool

_TIMEOUT: Final = Timeout()
_RETRY: Final = RetryPolicy()
_BUFFER: Final = BufferSettings()

# What an account may send (rate limits page, read 2026-11): tier XL for single events, which are the buffer's own
# defaults, and tier M for requests with many.
_BULK_LIMITS: Final = (RateLimit(10, per=1), RateLimit(150, per=60))

_PACKAGE: Final = str(Path(__file__).parent) + os.sep


class KlaviyoClient(BaseClient):
    """
    Sends events to Klaviyo, one by one or in bulk.

    ``klaviyo.events.create()`` sends one event at once. ``klaviyo.buffer`` takes events and delivers them in the
    background: in order for each profile, at the account's rate, repeated where that is safe, which it always is here:
    each event has its ``unique_id`` and its time from the start, and the service keeps the first of those that are the
    same. Use it as ``async with KlaviyoClient(...) as klaviyo:``, which delivers what is left at the end; or await
    :meth:`aclose` yourself. Making one does no I/O, starts nothing and chooses no event loop.

    Args:
        api_key: A private key of the account, with the scope for events; ``KLAVIYO_API_KEY`` where it is not given. It
            is in no repr, log, error or address.
        revision: The revision of the API, as a date. One that the service has retired gets a warning.
        base_url: Everything before ``/api``.
        bulk: Whether the buffer sends up to 1,000 events a request. It is some forty times as fast for the account, and
            an event may wait up to half a second for others. Where ``buffer.rate_limits`` was left alone, the limits of
            that endpoint are kept: 10 requests a second and 150 a minute.
        session: An aiohttp session to use. It stays open; without one, the client makes its own and closes it.
        timeout: How long requests may take.
        retry: How often, and after which pauses, failed requests are sent again.
        buffer: How the buffer behaves. In bulk, ``linger`` is how long an event waits for others; 0 leaves it at 0.4 s.
        spool: Keeps accepted records on disk until they have come to their end, such as ``SQLiteSpool(path)``.
        hooks: Called with each detail of what happens to buffered records.
        max_response_bytes: How much of a response to a direct call is read at most, in bytes.
        allow_insecure_http: Whether plain ``http`` may go to a host other than this machine.
        transport: The way that requests go out, instead of aiohttp; see :class:`Transport`. It is yours: the client
            does not close it. Of *timeout*, it is told only ``total``.

    Raises:
        SettingsError: Something is missing or wrong; the message says what to do.

    Attributes:
        buffer: Takes events and delivers them in the background.
        events: Sends events at once.
    """

    def __init__(  # noqa: PLR0913  the contract's signature
        self,
        api_key: str | None = None,
        *,
        revision: str = CURRENT_REVISION,
        base_url: str = "https://a.klaviyo.com",
        bulk: bool = False,
        session: Session | None = None,
        timeout: Timeout = _TIMEOUT,
        retry: RetryPolicy = _RETRY,
        buffer: BufferSettings = _BUFFER,
        spool: Spool | None = None,
        hooks: Iterable[Hook] = (),
        max_response_bytes: int = 32 * 2**20,
        allow_insecure_http: bool = False,
        transport: Transport | None = None,
    ) -> None:
        super().__init__(session=session, timeout=timeout, retry=retry, buffer=buffer, spool=spool, transport=transport)
        self._account = KlaviyoAccount.create(
            api_key=api_key or os.environ.get("KLAVIYO_API_KEY"),
            revision=revision,
            base_url=base_url,
            today=dt.datetime.now(dt.UTC).date(),
            allow_insecure_http=allow_insecure_http,
            max_response_bytes=max_response_bytes,
        )
        if not isinstance(bulk, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
            message = f"bulk is {bulk!r}; it must be True or False"
            raise SettingsError(message)
        warn = _Warner()
        single = KlaviyoDestination(self._account, clock=time.time, new_id=_new_id, warn=warn)
        self.buffer = self._open_buffer(self._in_bulk(warn) if bulk else single, hooks)
        # In bulk, direct calls go to an endpoint with limits of its own.
        witness = None if bulk else BufferWitness(self.buffer, _judge_of(single))
        exchange = Exchange(self._transport, timeout=timeout, retry=retry, witness=witness)
        self._exchanges = (exchange,)
        self.events = KlaviyoEvents(exchange, single)

    def __repr__(self) -> str:
        account = self._account
        return f"<KlaviyoClient {account.base_url} revision {account.revision}, buffer {self.buffer!r}>"

    def _in_bulk(self, warn: _Warner) -> KlaviyoBulkDestination:
        if self._settings.rate_limits == _BUFFER.rate_limits:
            self._settings = attrs.evolve(self._settings, rate_limits=_BULK_LIMITS)
        return KlaviyoBulkDestination(self._account, clock=time.time, new_id=_new_id, warn=warn)


def _new_id() -> str:
    return str(uuid.uuid4())


def _judge_of(destination: KlaviyoDestination) -> Judge:
    def judge(response: Response, /, *, wall_now: float) -> MidaError | None:
        return destination.judge(response, wall_now).error

    return judge


class _Warner:
    """Says each thing once, in the name of whoever called into this package."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            warnings.warn(message, UserWarning, stacklevel=_frames_of_this_package())


def _frames_of_this_package() -> int:
    frame, level = inspect.currentframe(), 0  # from Python 3.12 on, warnings can skip a package by themselves
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    return level
