"""What the tests of the turbo transport share. Where httptools is not installed, importing this skips them."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Final

import pytest
import transport_stage

pytest.importorskip("httptools")

from transport_stage import (
    CERTIFICATE,
    HEADERS,
    KEY,
    OK,
    TIMEOUT,
    answer_all,
    answer_nothing,
    answering,
    reset,
    run,
    serving_tls,
    to,
    trusting,
)

from mida_async._settings import Timeout
from mida_async._transport.heads import Heads, Origin
from mida_async._transport.turbo import pool
from mida_async._transport.turbo.connection import Connection
from mida_async.testing.socket_peer import socket_stage
from mida_async.testing.transport_suite import READ_TIMEOUT
from mida_async.turbo import TurboTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from mida_async._transport.turbo.exchange import Exchange
    from mida_async.testing.socket_peer import Handler

__all__ = [
    "CERTIFICATE",
    "HEADERS",
    "KEY",
    "OK",
    "TIMEOUT",
    "Connection",
    "Heads",
    "Origin",
    "TurboTransport",
    "answer_all",
    "answer_nothing",
    "answering",
    "pool",
    "reset",
    "run",
    "serving_tls",
    "to",
    "trusting",
]

attempt: Final = functools.partial(transport_stage.attempt, lambda timeout: TurboTransport(timeout=timeout))
outcome: Final = functools.partial(transport_stage.outcome, lambda timeout: TurboTransport(timeout=timeout))
stage: Final = socket_stage(lambda: TurboTransport(timeout=Timeout(read=READ_TIMEOUT)))
tls_stage: Final = transport_stage.tls_stage(
    lambda: TurboTransport(timeout=Timeout(read=READ_TIMEOUT), ssl_context=trusting())
)


class Counting:
    """Serves connections with a handler, and counts them."""

    def __init__(self, handle: Handler) -> None:
        self.handle = handle
        self.ever = self.now = self.most = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one."""
        self.ever += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.handle(reader, writer)
        finally:
            self.now -= 1


async def until(condition: Callable[[], object]) -> None:
    """Wait until *condition* holds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  what is waited for is inside the transport
            await asyncio.sleep(0.001)


def exchanges(made: TurboTransport) -> list[Exchange]:
    """Return the requests that are under way."""
    return [] if made._used is None else list(made._used.watch.waits)


def started(made: TurboTransport) -> Callable[[], bool]:
    """Return what tells whether a request was begun."""
    return lambda: any(exchange.started for exchange in exchanges(made))
