"""What the benchmarks share: a server in a process of its own, costs, and a report that knows when it knows nothing."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import gc
import json
import os
import selectors
import subprocess
import sys
import time
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import attrs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

HEADERS: Final = {"Authorization": "Bearer benchmark", "Content-Type": "application/json", "Accept": "application/json"}
BODY: Final = b'{"event_name": "purchase_completed", "id": "user_1", "properties": {"amount": 10, "currency": "EUR"}}'
PATH: Final = "/v2/project/key/event"


@attrs.frozen
class Cost:
    """Seconds for one request: of the clock, and of this process's processor."""

    wall: float
    processor: float


async def cost_of(work: Callable[[], Awaitable[object]], *, requests: int) -> Cost:
    """Return what one of the *requests* costs that *work* makes."""
    wall, processor = time.perf_counter(), time.process_time()
    await work()
    return Cost((time.perf_counter() - wall) / requests, (time.process_time() - processor) / requests)


async def workers(send: Callable[[], Awaitable[object]], *, requests: int, concurrency: int) -> None:
    """Let *concurrency* workers share the *requests*."""
    left: Iterator[int] = iter(range(requests))

    async def work() -> None:
        for _ in left:
            await send()

    await asyncio.gather(*(work() for _ in range(concurrency)))


class Way:
    """
    One way to send events, with its connections open.

    Args:
        runner: Its event loop.
        opened: Opens the connections and returns a function that sends so many events.
        requests: How many are sent in a round.
    """

    def __init__(
        self,
        runner: asyncio.Runner,
        opened: Callable[[], contextlib.AbstractAsyncContextManager[Callable[[int], Awaitable[object]]]],
        requests: int,
    ) -> None:
        self._runner = runner
        self._opened = opened
        self._requests = requests
        self._stack = contextlib.AsyncExitStack()
        self._send: Callable[[int], Awaitable[object]] | None = None

    def __call__(self) -> Cost:
        """Send, and return what one request cost."""
        return self._runner.run(self._round())

    async def _round(self) -> Cost:
        if self._send is None:
            self._send = await self._stack.enter_async_context(self._opened())
        return await cost_of(functools.partial(self._send, self._requests), requests=self._requests)

    def close(self) -> None:
        """Close its connections."""
        self._runner.run(self._stack.aclose())


def check(fine: bool, otherwise: str) -> None:  # noqa: FBT001 - an assertion that -O leaves in
    """Stop where something is not as it has to be: what failed is no benchmark."""
    if not fine:
        raise RuntimeError(otherwise)


@attrs.define(eq=False)
class FastServer:
    """A server in another process that reads requests and hardly more, and counts what it answered."""

    base_url: str
    _process: subprocess.Popen[str]

    def counts(self) -> dict[str, int]:
        """Return how many requests came, and how many of them were accepted, failed, refused and cut off."""
        assert self._process.stdin is not None  # noqa: S101  both are pipes
        assert self._process.stdout is not None  # noqa: S101
        self._process.stdin.write("counts\n")
        self._process.stdin.flush()
        counts: dict[str, int] = json.loads(self._process.stdout.readline())
        return counts


@contextlib.contextmanager
def serving_fast(*, trouble: int = 0) -> Iterator[FastServer]:
    """
    Serve in another process as long as the context lasts.

    Args:
        trouble: One in so many requests fails: with a 500, a 429 and a closed connection in turn. 0 means none.
    """
    command = [sys.executable, str(Path(__file__).with_name("_server.py")), str(trouble)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:  # noqa: S603  our own script
        assert process.stdout is not None  # noqa: S101
        try:
            yield FastServer(f"http://127.0.0.1:{int(process.stdout.readline())}", process)
        finally:
            process.terminate()


def memory() -> float:
    """Return the resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


def settled_memory() -> float:
    """Return the same without garbage, and without what the allocator could give back."""
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
    return memory()


@attrs.frozen
class Lag:
    """How late timers were, in milliseconds."""

    p50: float
    p99: float
    worst: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Lag:
        """Sum up what was measured."""
        late = sorted(1e3 * each for each in seconds) or [0.0]
        return cls(late[len(late) // 2], late[min(len(late) - 1, int(0.99 * len(late)))], late[-1])


class LagMeter:
    """
    Measures how late the loop is, by a timer that should fire again and again.

    A loop that stands still for a second makes one timer late, but keeps everything waiting that would have happened
    in that second. So what counts is every time at which the timer should have fired (``moments``); how late the timer
    itself was, once for each time that it fired, is in ``timers``.

    Args:
        interval: Seconds.
    """

    def __init__(self, interval: float) -> None:
        # Not lists: in a long run they would be what makes memory grow.
        self.moments = array("d")
        self.timers = array("d")
        self._interval = interval
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        """Begin, on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time()
        self._fire()
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop."""
        if self._timer is not None:
            self._timer.cancel()
        self._note(self._loop.time())

    def _fire(self) -> None:
        self._note(self._loop.time())
        self._timer = self._loop.call_at(self._due, self._fire)

    def _note(self, now: float) -> None:
        if now >= self._due:
            self.timers.append(now - self._due)
        while self._due <= now:
            self.moments.append(now - self._due)
            self._due += self._interval


class Turns(selectors.DefaultSelector):
    """
    A selector that notes how much of the processor each turn of its event loop takes.

    On a machine that others use too, timers are late for reasons of their own. A turn of the loop takes as long as it
    takes: it is what everything else on the loop has to wait for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._began = time.thread_time()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """End one turn, wait, and begin the next."""
        self.seconds.append(time.thread_time() - self._began)
        events = super().select(timeout)
        self._began = time.thread_time()
        return events

    def p99(self, wall: float) -> float:
        """
        Return the milliseconds that 99 of 100 moments have to wait at most, if nobody else uses the processor.

        Args:
            wall: How long it should have taken, in seconds. A moment in a turn waits for its end, others for nothing.
        """
        low, high = 0.0, max(self.seconds, default=0.0)
        for _ in range(40):
            middle = (low + high) / 2
            late = sum(turn - middle for turn in self.seconds if turn > middle)
            low, high = (middle, high) if late > 0.01 * wall else (low, middle)
        return 1e3 * high


class CollectorWatch:
    """Measures how much of the processor the garbage collector takes at a time, in seconds."""

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self._began = 0.0

    def __enter__(self) -> Self:
        """Begin."""
        gc.callbacks.append(self._note)
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop."""
        gc.callbacks.remove(self._note)

    def _note(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.thread_time()
        else:
            self.pauses.append(time.thread_time() - self._began)
