"""What is known about visitors for a while, and requests that several callers share."""

from __future__ import annotations

import asyncio
import contextvars
import copy
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast

import attrs

from .._core.expiring import Expiring, Key
from .._errors import ConnectionLostError, MidaError
from .._transport.base import closed, other_loop
from .._transport.forks import call_in_forked_child

if TYPE_CHECKING:
    from .._settings import VisitorCache

T = TypeVar("T")
Ask: TypeAlias = Callable[[], Coroutine[Any, Any, T]]

# Seconds that cancelled requests may take to let go of their connections.
_PATIENCE: Final = 0.2


@attrs.frozen
class _Failed:
    error: Exception
    traceback: TracebackType | None


@attrs.define(eq=False)
class _Shared:
    """
    One request, and how many callers wait for it.

    Attributes:
        task: Makes it.
        waiters: Their number.
        fresh: Whether its answer may be kept; not where something that decides it was changed meanwhile.
    """

    task: asyncio.Task[object] = attrs.field(init=False)
    waiters: int = 0
    fresh: bool = True


class Answers:
    """
    Answers questions about visitors from what was answered before, or by one request however many callers ask.

    A request has a task of its own, so that a caller who gives up takes the answer from nobody; it is cancelled when
    all have given up. Failures are not kept, and each caller gets an error of its own.

    Args:
        settings: For how long, and how many.
    """

    def __init__(self, settings: VisitorCache) -> None:
        self._kept = Expiring(settings.ttl, settings.maxsize)
        self._under_way: dict[Key, _Shared] = {}
        # Also those that nobody waits for any more, until they have ended: the loop itself holds them only weakly.
        self._tasks: set[asyncio.Task[object]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._knows_forks = False
        self._closed = False

    async def get(self, key: Key, ask: Ask[T]) -> T:
        """
        Return the answer to a question about a visitor.

        Args:
            key: The visitor, and the question.
            ask: Makes the request.

        Raises:
            ClientClosedError: The client is closed.
            SettingsError: The client belongs to another event loop.
        """
        if self._closed:
            raise closed()
        loop = self._running_loop()
        kept = self._kept.get(key, loop.time())
        if kept is not None:
            return cast("T", kept.value)
        shared = self._under_way.get(key) or self._start(loop, key, ask)
        shared.waiters += 1
        try:
            await asyncio.wait((shared.task,))
        except asyncio.CancelledError:
            await self._leave(key, shared)
            raise
        return cast("T", self._outcome(shared))

    def forget(self, visitor: str) -> None:
        """
        Drop what is kept about a visitor; nor will the answers to what is being asked now be kept.

        Args:
            visitor: The visitor's id.
        """
        self._kept.forget(visitor)
        for key in [key for key in self._under_way if key[0] == visitor]:
            self._under_way.pop(key).fresh = False

    async def aclose(self) -> None:
        """
        Answer nothing more, and end what is being asked.

        Raises:
            SettingsError: The client belongs to another event loop, which is still open.
        """
        loop = self._loop
        usable = loop is not None and not loop.is_closed()
        if usable and loop is not asyncio.get_running_loop():
            raise other_loop()
        self._closed = True
        self._kept.clear()
        self._under_way.clear()
        tasks = self._tasks if usable else None
        if tasks:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=_PATIENCE)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
            self._knows_forks = self._knows_forks or call_in_forked_child(self._leave_to_parent)
        elif self._loop is not loop:
            raise other_loop()
        return loop

    def _leave_to_parent(self) -> object:
        """Start anew in a forked process: the requests are the parent's, and so is the clock."""
        inherited = self._tasks, self._under_way
        self._tasks, self._under_way, self._loop = set(), {}, None
        self._kept.clear()
        return inherited

    def _start(self, loop: asyncio.AbstractEventLoop, key: Key, ask: Ask[object]) -> _Shared:
        shared = self._under_way[key] = _Shared()
        # An empty context: the request is no more that of the caller who came first than that of the others.
        shared.task = loop.create_task(self._ask(key, shared, ask), context=contextvars.Context())
        self._tasks.add(shared.task)
        shared.task.add_done_callback(self._tasks.discard, context=contextvars.Context())
        return shared

    async def _ask(self, key: Key, shared: _Shared, ask: Ask[object]) -> object:
        try:
            answer = await ask()
        except Exception as error:  # noqa: BLE001 - whatever it is, those who asked are told
            return _Failed(error, error.__traceback__)
        finally:
            self._end(key, shared)
        if shared.fresh and not self._closed:
            self._kept.put(key, answer, asyncio.get_running_loop().time())
        return answer

    def _end(self, key: Key, shared: _Shared) -> None:
        if self._under_way.get(key) is shared:
            del self._under_way[key]

    async def _leave(self, key: Key, shared: _Shared) -> None:
        """Give up waiting. With the last who does the request ends, and that is waited for as with any other."""
        shared.waiters -= 1
        if not shared.waiters and not shared.task.done():
            self._end(key, shared)
            shared.task.cancel()
            await asyncio.wait((shared.task,))

    def _outcome(self, shared: _Shared) -> object:
        if shared.task.cancelled():
            if self._closed:
                raise closed()
            message = "the request was broken off by something else"
            raise ConnectionLostError(message)
        outcome = shared.task.result()
        if not isinstance(outcome, _Failed):
            return outcome
        error = outcome.error
        # Each raise adds to the traceback of the instance that is raised.
        raise copy.copy(error) if isinstance(error, MidaError) else error.with_traceback(outcome.traceback)
