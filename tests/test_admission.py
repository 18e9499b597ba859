"""Room in the buffer: counts, the line of those who wait, and cancellation at every point."""

from __future__ import annotations

import asyncio
import random
from typing import NoReturn

import attrs
import pytest
from fake_service import run, sleep

from mida_async import BufferClosedError, BufferFullError
from mida_async._delivery.admission import Admission, resolve
from mida_async.testing import VirtualClockLoop


async def turns(count: int = 3) -> None:
    """Let everything that is ready run."""
    for _ in range(count):
        await sleep(0)


@attrs.define
class Room:
    """The room of one record."""

    admission: Admission
    size: int

    def release(self) -> None:
        """Give it back."""
        self.admission.give_back(self.size)


def reserved(admission: Admission, size: int) -> Room | None:
    """Take room if there is any now."""
    return Room(admission, size) if admission.try_reserve(size) else None


async def reserve(admission: Admission, size: int) -> Room:
    """Take room, waiting for it."""
    await admission.reserve(size)
    return Room(admission, size)


def counts(admission: Admission) -> tuple[int, int, int]:
    """Return records, bytes and callers."""
    return admission.records, admission.bytes, admission.callers


def test_a_future_is_resolved_on_a_closed_loop_too() -> None:
    """R14: whoever waits on a closed loop cannot be called; on an open one, an error in the loop is not hidden."""

    def sulk(*_args: object, **_kwargs: object) -> NoReturn:
        message = "the loop takes no callbacks"
        raise RuntimeError(message)

    for error in (None, ValueError("x")):
        loop = VirtualClockLoop()
        future = loop.create_future()
        future.add_done_callback(repr)
        loop.call_soon = sulk  # type: ignore[method-assign]
        with pytest.raises(RuntimeError, match="no callbacks"):
            resolve(future, error)
        loop.close()
        other = loop.create_future()
        other.add_done_callback(repr)
        resolve(other, error)
        assert other.exception() is error


def test_room_is_counted_in_records_and_bytes() -> None:
    """R6: a reservation takes one record and its bytes, until it is released."""
    admission = Admission(max_records=2, max_bytes=100)
    first = reserved(admission, 60)
    assert first is not None
    assert reserved(admission, 41) is None
    second = reserved(admission, 40)
    assert second is not None
    assert counts(admission) == (2, 100, 0)
    first.release()
    assert counts(admission) == (1, 40, 0)
    second.release()
    assert counts(admission) == (0, 0, 0)


def test_the_number_of_records_is_a_bound_of_its_own() -> None:
    """R6: where max_records is reached, not even an empty record fits."""
    admission = Admission(max_records=1, max_bytes=100)
    assert reserved(admission, 1) is not None
    assert reserved(admission, 0) is None


def test_what_can_never_fit_is_refused() -> None:
    """R6: a record larger than the whole room raises, with both numbers; one of exactly that size does not."""
    admission = Admission(max_records=1, max_bytes=100)
    admission.check(100)
    with pytest.raises(BufferFullError, match=r"101 bytes.*max_bytes is 100.*raise max_bytes"):
        admission.check(101)


def test_a_reservation_changes_its_size_where_there_is_room() -> None:
    """R6: growing takes bytes or is refused without a trace; shrinking lets the next caller in."""

    async def main() -> None:
        admission = Admission(max_records=3, max_bytes=100)
        reservation = reserved(admission, 60)
        assert reservation is not None
        assert admission.resize(30)
        assert not admission.resize(11)
        assert admission.bytes == 90
        waiting = asyncio.create_task(reserve(admission, 30))
        await turns()
        assert not waiting.done()
        assert admission.resize(-20)
        assert (await waiting).size == 30
        admission.give_back(70)
        assert counts(admission) == (1, 30, 0)

    run(main())


def test_callers_are_let_in_in_the_order_in_which_they_came() -> None:
    """R6: a small record does not overtake a large one that waits, nor does one that comes when there is room."""

    async def main() -> None:
        admission, order = Admission(max_records=10, max_bytes=100), list[str]()

        async def enter(name: str, size: int) -> Room:
            reservation = await reserve(admission, size)
            order.append(name)
            return reservation

        first = reserved(admission, 50)
        assert first is not None
        tasks = [asyncio.create_task(enter(name, size)) for name, size in (("big", 90), ("small", 5), ("tiny", 1))]
        await turns()
        assert (order, admission.callers) == ([], 3)
        assert reserved(admission, 1) is None
        first.release()
        assert reserved(admission, 1) is None, "they were let in, but have not run yet"
        await asyncio.wait(tasks)
        assert order == ["big", "small", "tiny"]
        assert counts(admission) == (3, 96, 0)
        for task in tasks:
            (await task).release()
        assert counts(admission) == (0, 0, 0)

    run(main())


def test_a_newcomer_does_not_overtake_one_that_was_let_in() -> None:
    """R6: between being let in and running, a caller still stands before those who come later."""

    async def main() -> None:
        admission, order = Admission(max_records=1, max_bytes=100), list[str]()

        async def enter(name: str) -> None:
            reservation = await reserve(admission, 1)
            order.append(name)
            await sleep(1)
            reservation.release()

        first = await reserve(admission, 1)
        old = asyncio.create_task(enter("old"))
        await turns()
        first.release()
        new = asyncio.create_task(enter("new"))
        await asyncio.wait([old, new])
        assert order == ["old", "new"]
        assert counts(admission) == (0, 0, 0)

    run(main())


def test_cancelling_a_caller_lets_the_next_one_in() -> None:
    """R13: a large record at the head of the line that is cancelled no longer keeps smaller ones out."""

    async def main() -> None:
        admission = Admission(max_records=10, max_bytes=100)
        held = await reserve(admission, 50)
        big = asyncio.create_task(reserve(admission, 80))
        small = asyncio.create_task(reserve(admission, 20))
        await turns()
        big.cancel()
        await turns()
        assert (await small).size == 20
        assert big.cancelled()
        held.release()
        assert counts(admission) == (1, 20, 0)

    run(main())


def test_cancelled_callers_leave_the_line_at_once() -> None:
    """R13: callers that gave up behind one that still waits are not kept, nor counted, until it is let in."""

    async def main() -> None:
        admission = Admission(max_records=1, max_bytes=100)
        held = await reserve(admission, 1)
        patient = asyncio.create_task(reserve(admission, 1))
        await turns()
        for _ in range(50):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reserve(admission, 1), 0.01)
        assert admission.callers == 1
        assert len(admission._line) == 1
        held.release()
        (await patient).release()
        assert counts(admission) == (0, 0, 0)

    run(main())


def test_a_caller_let_in_and_cancelled_in_the_same_moment_gives_the_room_back() -> None:
    """R13: the next caller gets the room of one that is cancelled after it was let in, before it ran."""

    async def main() -> None:
        admission = Admission(max_records=1, max_bytes=100)
        held = await reserve(admission, 1)
        unlucky, next_one = (asyncio.create_task(reserve(admission, 1)) for _ in range(2))
        await turns()
        held.release()
        unlucky.cancel()
        reservation = await next_one
        assert unlucky.cancelled()
        assert counts(admission) == (1, 1, 0)
        reservation.release()
        assert counts(admission) == (0, 0, 0)

    run(main())


def test_a_caller_that_is_being_cancelled_is_not_let_in() -> None:
    """R13: room that becomes free between a cancellation and its effect goes to the next in line."""

    async def main() -> None:
        admission = Admission(max_records=1, max_bytes=100)
        held = await reserve(admission, 1)
        unlucky, next_one = (asyncio.create_task(reserve(admission, 1)) for _ in range(2))
        await turns()
        unlucky.cancel()
        held.release()
        assert counts(admission) == (1, 1, 1)
        (await next_one).release()
        assert unlucky.cancelled()
        assert counts(admission) == (0, 0, 0)

    run(main())


def test_a_caller_thrown_away_while_it_waits_leaves_nothing_behind() -> None:
    """R13: a coroutine that is closed instead of cancelled frees its place, let in or not."""

    async def main() -> None:
        admission = Admission(max_records=1, max_bytes=100)
        held = await reserve(admission, 1)
        waiting, let_in = reserve(admission, 1), reserve(admission, 1)
        let_in.send(None)
        waiting.send(None)
        held.release()
        let_in.close()
        waiting.close()
        assert counts(admission) == (0, 0, 0)

    run(main())


def test_the_line_is_turned_away_when_the_buffer_closes() -> None:
    """R14: everybody who waits for room gets BufferClosedError, cancelled or not, and keeps no room."""

    async def main() -> None:
        admission = Admission(max_records=1, max_bytes=100)
        held = await reserve(admission, 1)
        one, cancelled, cancelled_later = (asyncio.create_task(reserve(admission, 1)) for _ in range(3))
        await turns()
        cancelled.cancel()
        admission.turn_away()
        cancelled_later.cancel()
        with pytest.raises(BufferClosedError, match="waited for room"):
            await one
        await asyncio.wait([cancelled, cancelled_later])
        assert (cancelled.cancelled(), cancelled_later.cancelled()) == (True, True)
        held.release()
        assert counts(admission) == (0, 0, 0)

    run(main())


@pytest.mark.parametrize("seed", range(30))
def test_nothing_is_lost_whatever_is_cancelled_when(seed: int) -> None:
    """R6, R13: with callers cancelled at random, the rest is let in in order, and at the end all room is free."""

    async def main() -> None:
        dice = random.Random(seed)  # noqa: S311
        admission, order = Admission(max_records=3, max_bytes=100), list[int]()

        async def enter(number: int) -> None:
            reservation = await reserve(admission, dice.choice((1, 5, 60, 100)))
            order.append(number)
            assert admission.records <= 3
            assert admission.bytes <= 100
            try:
                await sleep(dice.choice((0, 0, 0.1, 1)))
            finally:
                reservation.release()

        tasks = list[asyncio.Task[None]]()
        for number in range(60):
            tasks.append(asyncio.create_task(enter(number)))
            await sleep(dice.choice((0, 0, 0.05, 0.3)))
            if dice.random() < 0.4:
                dice.choice(tasks).cancel()
        await asyncio.wait(tasks)
        assert order == sorted(order)
        assert len(order) >= sum(not task.cancelled() for task in tasks)
        assert counts(admission) == (0, 0, 0)

    run(main())
