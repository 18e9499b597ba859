"""The emulator on a thread of its own, for tests that have no event loop, or more than one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Self

import attrs

from ._emulator.emulator import Emulator

if TYPE_CHECKING:
    from types import TracebackType


@attrs.define(eq=False, repr=False)
class _Run:
    """One run of the server, from its start to its end."""

    up: Future[None] = attrs.field(factory=Future[None])
    over: Future[None] = attrs.field(factory=Future[None])
    stop: Callable[[], object] = attrs.field(init=False)  # once it is up


class ThreadedEmulator(Emulator):
    """
    An :class:`Emulator` that serves from a thread of its own.

    It takes the same arguments. All methods may be called from any thread, and those that are async from any event
    loop; ``with ThreadedEmulator() as emulator:`` serves without one. What requests have done is there to be seen as
    soon as their answer has come.

    A function that matches requests (see :meth:`Emulator.script`) and the clocks are called in the server's thread.
    """

    _run: _Run | None = None

    def __enter__(self) -> Self:
        self._begin().result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end().result()

    async def start(self) -> None:
        """
        Listen; see :meth:`Emulator.start`.

        Raises:
            RuntimeError: It listens already.
            OSError: The port is taken.
        """
        await asyncio.wrap_future(self._begin())

    async def aclose(self) -> None:
        """Stop listening and drop all connections; see :meth:`Emulator.aclose`."""
        await asyncio.wrap_future(self._end())

    def _begin(self) -> Future[None]:
        run = _Run()
        # A daemon, so that a test that forgets to close it does not keep the process from ending.
        threading.Thread(target=self._work, args=(run,), name="mida_emulator", daemon=True).start()
        return run.up

    def _end(self) -> Future[None]:
        run, self._run = self._run, None
        if run is not None:
            run.stop()
            return run.over
        nothing: Future[None] = Future()
        nothing.set_result(None)
        return nothing

    def _work(self, run: _Run) -> None:
        try:
            asyncio.run(self._serve(run))
        finally:
            run.over.set_result(None)

    async def _serve(self, run: _Run) -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        try:
            await super().start()
        except Exception as error:  # noqa: BLE001  it is for whoever waits in the other thread
            run.up.set_exception(error)
            return
        run.stop = lambda: loop.call_soon_threadsafe(stopped.set)
        self._run = run
        run.up.set_result(None)
        await stopped.wait()
        await super().aclose()
