"""
The pytest plugin: the fixtures ``mida_emulator`` and ``mida_client``, and a marker of each name for their arguments.

pytest finds it by the package's entry point; ``-p no:mida_async`` leaves it out.
"""

from __future__ import annotations

import asyncio
import gc
import warnings
from typing import TYPE_CHECKING, Any, Final

import pytest

from .._client import MidaClient
from .._transport.aiohttp import AiohttpTransport
from .threaded import ThreadedEmulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .._core.messages import Request, Response
    from .._delivery.reports import CloseReport
    from .._settings import Timeout
    from .._transport.aiohttp import Session
    from .._transport.base import Transport
    from ..instrumentation.details import Detail

_PATIENCE: Final = 5.0
"""Seconds to wait for another thread, which may be stuck."""


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    config.addinivalue_line(
        "markers", "mida_emulator(**settings): settings of the emulator, as mida_async.testing.Emulator takes them"
    )
    config.addinivalue_line(
        "markers", "mida_client(**settings): settings of the client, as mida_async.MidaClient takes them"
    )


@pytest.fixture
def mida_emulator(request: pytest.FixtureRequest) -> Iterator[ThreadedEmulator]:
    """
    Serve the Mida API on loopback, for one test.

    It serves from a thread of its own, so that the test may be a plain function or run on any event loop. Visitors are
    registered when they are first heard of, unless ``@pytest.mark.mida_emulator(auto_visitors=False)`` says otherwise.
    """
    settings: dict[str, Any] = {"auto_visitors": True, **_settings(request, "mida_emulator")}
    with ThreadedEmulator(**settings) as emulator:
        yield emulator


@pytest.fixture
def mida_client(request: pytest.FixtureRequest, mida_emulator: ThreadedEmulator) -> Iterator[MidaClient]:
    """
    Make a client of the emulator, for one test; ``@pytest.mark.mida_client(...)`` gives it further arguments.

    It belongs to the event loop that it is first used on. Leave it with ``async with``, or await its ``aclose()``: the
    test fails if records are pending when it has ended.
    """
    settings: dict[str, Any] = {
        "project_key": mida_emulator.project_key,
        "api_key": mida_emulator.api_key,
        "base_url": mida_emulator.base_url,
        **_settings(request, "mida_client"),
    }
    failed_before = request.session.testsfailed
    client = _Client(**settings)
    yield client
    pending = client.buffer.statistics().pending
    client.close_at_last()
    # A test that has failed never came to the place where it closes the client, and has said what was wrong.
    if pending and request.session.testsfailed == failed_before:
        records = "1 record was" if pending == 1 else f"{pending} records were"
        pytest.fail(f"{records} never delivered: leave the client with 'async with' or await aclose()", pytrace=False)


def _settings(request: pytest.FixtureRequest, name: str) -> dict[str, Any]:
    """Return what the markers *name* say: those of the test over those of its class, those over the module's."""
    settings: dict[str, Any] = {}
    for marker in request.node.iter_markers(name):
        if marker.args:
            message = f"the marker {name} takes keyword arguments only, not {marker.args!r}"
            raise pytest.UsageError(message)
        settings = {**marker.kwargs, **settings}
    return settings


class _NotingTransport(AiohttpTransport):
    """Tells that it is used."""

    def __init__(self, note: Callable[[], None], **settings: Any) -> None:
        super().__init__(**settings)
        self._note = note

    async def send(self, request: Request, *, total: float) -> Response:
        self._note()
        return await super().send(request, total=total)


class _Client(MidaClient):
    """Knows on which event loop it was used, and whether it was closed."""

    def __init__(self, **settings: Any) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        watched: dict[str, Any] = {**settings, "hooks": (self._see, *settings.get("hooks", ()))}
        super().__init__(**watched)

    def _open_transport(self, session: Session | None, timeout: Timeout, connections: int) -> Transport:
        return _NotingTransport(self._note, session=session, timeout=timeout, connections=connections)

    def _see(self, _detail: Detail) -> None:
        self._note()

    def _note(self) -> None:
        self._loop = asyncio.get_running_loop()

    async def aclose(self, timeout: float | None = None) -> CloseReport:  # noqa: ASYNC109  the contract's name
        report = await super().aclose(timeout)
        self._closed = True
        return report

    def close_at_last(self) -> None:
        """Close what the test left open, on the loop it was used on; what is pending there is ended at once."""
        loop = self._loop
        if self._closed or loop is None:
            return
        if loop.is_running():
            asyncio.run_coroutine_threadsafe(self.aclose(0), loop).result(_PATIENCE)
        elif not loop.is_closed():
            loop.run_until_complete(self.aclose(0))
        else:
            self._close_without_loop()

    def _close_without_loop(self) -> None:
        with warnings.catch_warnings():
            # The sockets of a closed loop cannot be closed in order, only be collected.
            warnings.simplefilter("ignore", ResourceWarning)
            # Not asyncio.run(), which would take the current event loop away from other plugins.
            fresh = asyncio.new_event_loop()
            fresh.run_until_complete(self.aclose(0))
            fresh.close()
            gc.collect()
