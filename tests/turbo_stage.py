"""What the tests of the turbo transport share. Where httptools is not installed, importing this skips them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import transport_stage

pytest.importorskip("httptools")

from transport_stage import HEADERS, KEY, OK, TIMEOUT, answer_all, answer_nothing, answering, reset, to

from mida_async._settings import Timeout
from mida_async._transport.heads import Heads, Origin
from mida_async._transport.turbo import pool
from mida_async._transport.turbo.connection import Connection
from mida_async.testing.socket_peer import _SocketPeer, free_port, serving, socket_stage
from mida_async.testing.transport_suite import READ_TIMEOUT, Fault, Peer, Script
from mida_async.turbo import TurboTransport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine

    from mida_async._transport.base import Transport
    from mida_async._transport.turbo.exchange import Exchange
    from mida_async.testing.socket_peer import Handler

__all__ = [
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
    "to",
]

CERTIFICATE: Final = Path(__file__).parent / "data" / "self_signed.pem"

attempt: Final = functools.partial(transport_stage.attempt, lambda timeout: TurboTransport(timeout=timeout))
outcome: Final = functools.partial(transport_stage.outcome, lambda timeout: TurboTransport(timeout=timeout))
stage: Final = socket_stage(lambda: TurboTransport(timeout=Timeout(read=READ_TIMEOUT)))


def trusting() -> ssl.SSLContext:
    """Trust the self-signed certificate."""
    return ssl.create_default_context(cafile=str(CERTIFICATE))


def serving_tls(handle: Handler, host: str = "localhost") -> contextlib.AbstractAsyncContextManager[str]:
    """Serve TLS with the self-signed certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return serving(handle, host, tls=context)


@contextlib.asynccontextmanager
async def tls_stage(script: Script) -> AsyncGenerator[tuple[Transport, Peer]]:
    """Set up a transport with a peer that speaks TLS."""
    peer = _SocketPeer(script)
    made = TurboTransport(timeout=Timeout(read=READ_TIMEOUT), ssl_context=trusting())
    async with serving_tls(peer.serve, "127.0.0.1") as url:
        peer.url = f"https://127.0.0.1:{free_port()}" if script.fault is Fault.REFUSES else url
        async with made:
            yield made, peer


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


def run(main: Coroutine[Any, Any, Any], loop: str = "asyncio") -> Any:
    """Run on an event loop of that kind."""
    if loop == "asyncio":
        return asyncio.run(main)
    try:
        uvloop: Any = pytest.importorskip("uvloop")
    except BaseException:
        main.close()
        raise
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)
