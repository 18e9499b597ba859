"""The virtual clock: time that passes as fast as the code runs."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mida_async.testing.clock import VirtualClockLoop, run_virtual


def test_a_day_of_sleep_takes_no_real_time() -> None:
    """A sleep moves the loop's clock by its full length while the wall clock hardly moves."""

    async def main() -> float:
        await asyncio.sleep(3 * 86_400)
        return asyncio.get_running_loop().time()

    started = time.monotonic()
    assert run_virtual(main()) == 3 * 86_400
    assert time.monotonic() - started < 5


def test_the_clock_starts_at_zero_and_stands_still_while_work_is_ready() -> None:
    """Steps that need no timer cost no virtual time, however many they are."""

    async def main() -> float:
        for _ in range(1000):
            await asyncio.sleep(0)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 0.0


def test_a_timer_in_a_year_fires() -> None:
    """The clock reaches timers that are so far away that a nanosecond is lost in rounding."""

    async def main() -> float:
        await asyncio.sleep(366 * 86_400)
        await asyncio.sleep(366 * 86_400)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == pytest.approx(2 * 366 * 86_400)


@given(st.lists(st.floats(min_value=0, max_value=1e8), max_size=20))
def test_sleepers_wake_in_the_order_of_their_deadlines(delays: list[float]) -> None:
    """Whatever the delays, each sleeper wakes at its own time and none before an earlier one."""

    async def main() -> list[tuple[float, float]]:
        loop, woken = asyncio.get_running_loop(), list[tuple[float, float]]()

        async def sleeper(delay: float) -> None:
            await asyncio.sleep(delay)
            woken.append((delay, loop.time()))

        await asyncio.gather(*map(sleeper, delays))
        return woken

    woken = run_virtual(main())
    assert [delay for delay, _ in woken] == sorted(delays)
    assert all(at == pytest.approx(delay) for delay, at in woken)


def test_a_timeout_fires_at_its_virtual_deadline() -> None:
    """``asyncio.timeout`` ends a wait that nothing else would end, at the very second it names."""

    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.get_running_loop().create_future()
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 30


def test_a_wait_that_nothing_can_end_raises_and_names_the_task() -> None:
    """Instead of hanging, the loop says which tasks wait for ever."""

    async def forgotten() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match=r"deadlock on the virtual clock.*forgotten"):
        run_virtual(forgotten())


def test_a_task_that_is_left_behind_is_cancelled() -> None:
    """A background task does not outlive its main coroutine, and gets its ``CancelledError``."""
    ended: list[str] = []

    async def background() -> None:
        try:
            await asyncio.sleep(1e6)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async def main() -> str:
        task = asyncio.create_task(background())
        await asyncio.sleep(1)
        return "not done" if not task.done() else "done"

    assert run_virtual(main()) == "not done"
    assert ended == ["cancelled"]


def test_a_callback_from_outside_wakes_the_loop_without_moving_its_clock() -> None:
    """``call_soon_threadsafe`` is seen at once: readiness comes before any jump."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        event = asyncio.Event()
        loop.call_later(50, loop.stop)
        loop.call_soon_threadsafe(event.set)
        await event.wait()
        return loop.time()

    assert run_virtual(main()) == 0.0


def test_two_loops_have_clocks_of_their_own() -> None:
    """Time that passes on one loop does not pass on another."""
    first, second = VirtualClockLoop(), VirtualClockLoop()
    try:
        first.run_until_complete(asyncio.sleep(7))
        assert (first.time(), second.time()) == (7.0, 0.0)
    finally:
        first.close()
        second.close()
