"""Deadlines on one timer, on the virtual clock."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from mida_async._transport.watch import Wait, Watch
from mida_async.testing.clock import run_virtual


def here(deadline: float) -> Wait:
    """Make a wait of the running task."""
    return Wait(task=cast("asyncio.Task[object]", asyncio.current_task()), deadline=deadline)


async def until(watch: Watch[Wait], deadline: float, *, seconds: float = 1000.0) -> tuple[bool, float]:
    """Sleep under a deadline; return whether it ended the sleep, and when the sleep ended."""
    wait = here(deadline)
    watch.add(wait)
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        if not wait.settle():
            raise
        return True, watch.loop.time()
    finally:
        watch.remove(wait)
    return False, watch.loop.time()


def test_each_wait_ends_at_its_own_deadline() -> None:
    """Deadlines hold to the instant, in whatever order they come, and a wait that is over in time is left alone."""

    async def main() -> list[tuple[bool, float]]:
        watch: Watch[Wait] = Watch(asyncio.get_running_loop())
        quick = until(watch, 4.0, seconds=1.0)
        return list(await asyncio.gather(until(watch, 5.0), until(watch, 2.0), quick, until(watch, 9.0)))

    assert run_virtual(main()) == [(True, 5.0), (True, 2.0), (False, 1.0), (True, 9.0)]


def test_a_deadline_moves() -> None:
    """A deadline that moves away is kept to, and so is one that comes nearer."""

    async def main() -> list[tuple[bool, float]]:
        watch: Watch[Wait] = Watch(asyncio.get_running_loop())
        sleepers = [asyncio.create_task(until(watch, 5.0)) for _ in range(3)]
        await asyncio.sleep(1)
        moves = {sleepers[0]: 7.0, sleepers[1]: 3.0}
        for wait in watch.waits:
            watch.move(wait, moves.get(cast("asyncio.Task[tuple[bool, float]]", wait.task), wait.deadline))
        return [await sleeper for sleeper in sleepers]

    assert run_virtual(main()) == [(True, 7.0), (True, 3.0), (True, 5.0)]


def test_many_waits_share_one_timer() -> None:
    """A thousand waits one after the other, with the same length of deadline, set one timer."""

    class CountingLoop(asyncio.SelectorEventLoop):
        timers = 0

        def call_at(self, *arguments: Any, **options: Any) -> asyncio.TimerHandle:  # type: ignore[override]
            self.timers += 1
            return super().call_at(*arguments, **options)

    async def main() -> int:
        loop = cast("CountingLoop", asyncio.get_running_loop())
        watch: Watch[Wait] = Watch(loop)
        for _ in range(1000):
            wait = here(loop.time() + 60)
            watch.add(wait)
            await asyncio.sleep(0)
            watch.remove(wait)
        watch.stop()
        return loop.timers

    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        assert runner.run(main()) == 1


def test_a_cancellation_from_outside_comes_through() -> None:
    """A task that somebody else cancels, alone or at the very deadline, is cancelled."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        watch: Watch[Wait] = Watch(loop)
        for seconds in (1.0, 5.0):
            sleeper = asyncio.create_task(until(watch, loop.time() + 5.0))
            loop.call_later(seconds, sleeper.cancel)
            with pytest.raises(asyncio.CancelledError):
                await sleeper

    run_virtual(main())


def test_a_deadline_leaves_no_cancellation_behind() -> None:
    """After a deadline the task counts as not cancelled, so that a timeout around it still works."""

    async def main() -> tuple[int, bool]:
        loop = asyncio.get_running_loop()
        watch: Watch[Wait] = Watch(loop)
        timed_out = False
        try:
            async with asyncio.timeout(3.0):
                await until(watch, 1.0)
                await until(watch, 100.0)
        except TimeoutError:
            timed_out = True
        task = cast("asyncio.Task[object]", asyncio.current_task())
        return task.cancelling(), timed_out

    assert run_virtual(main()) == (0, True)


def test_a_stopped_watch_does_nothing_more() -> None:
    """After it was stopped, no deadline is kept and no timer is left."""

    async def main() -> tuple[bool, float]:
        watch: Watch[Wait] = Watch(asyncio.get_running_loop())
        asyncio.get_running_loop().call_later(1.0, watch.stop)
        return await until(watch, 2.0, seconds=4.0)

    assert run_virtual(main()) == (False, 4.0)
