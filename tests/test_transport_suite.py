"""The checks of transports find transports that break a promise."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from mida_async._core.messages import Request, Response
from mida_async._errors import ConnectError, ConnectionLostError, TransportError
from mida_async._settings import Timeout
from mida_async._transport.aiohttp import AiohttpTransport
from mida_async.testing import transport_suite
from mida_async.testing.socket_peer import socket_stage
from mida_async.testing.transport_suite import READ_TIMEOUT, TRANSPORT_CHECKS, TransportCheck

if TYPE_CHECKING:
    from mida_async._transport.base import Transport


class Lying:
    """A transport that sends nothing and says that all went well."""

    def __init__(self, real: Transport) -> None:
        self._real = real

    async def send(self, request: Request, *, total: float) -> Response:
        """Send nothing."""
        del request, total
        return Response(status=299)

    async def aclose(self) -> None:
        """Close what it wraps."""
        await self._real.aclose()


class Repeating(Lying):
    """A transport that sends again what may have been applied."""

    async def send(self, request: Request, *, total: float) -> Response:
        """Send, perhaps twice."""
        try:
            return await self._real.send(request, total=total)
        except ConnectionLostError:
            return await self._real.send(request, total=total)


class Chaining(Lying):
    """A transport whose errors tell where they come from."""

    async def send(self, request: Request, *, total: float) -> Response:
        """Send and chain."""
        try:
            return await self._real.send(request, total=total)
        except ConnectError as error:
            raise ConnectError from error


class Telling(Lying):
    """A transport whose errors tell what was sent."""

    async def send(self, request: Request, *, total: float) -> Response:
        """Send and tell."""
        try:
            return await self._real.send(request, total=total)
        except TransportError as error:
            kind = type(error)
        raise kind(str(request.headers))


class Deaf(Lying):
    """A transport that does not hear a cancellation."""

    async def send(self, request: Request, *, total: float) -> Response:
        """Send, come what may."""
        sending = asyncio.ensure_future(self._real.send(request, total=total))
        sending.add_done_callback(asyncio.Future.exception)
        return await asyncio.shield(sending)


@pytest.mark.parametrize(
    ("sabotage", "checks"),
    [
        (Lying, TRANSPORT_CHECKS),
        (Repeating, (transport_suite.hanging_up_means_lost,)),
        (Chaining, (transport_suite.errors_are_bare,)),
        (Telling, (transport_suite.errors_are_bare,)),
        (Deaf, (transport_suite.cancelling_hangs_up,)),
    ],
)
def test_the_checks_find_a_bad_transport(
    monkeypatch: pytest.MonkeyPatch, sabotage: type[Lying], checks: tuple[TransportCheck, ...]
) -> None:
    """A transport that breaks a promise does not pass the check of that promise."""
    monkeypatch.setattr(transport_suite, "_PATIENCE", 0.2)

    stage = socket_stage(lambda: sabotage(AiohttpTransport(timeout=Timeout(read=READ_TIMEOUT))))

    async def main(check: TransportCheck) -> None:
        with pytest.raises((AssertionError, TimeoutError)):
            await check(stage)

    for check in checks:
        asyncio.run(main(check))
