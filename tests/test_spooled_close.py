"""R14 with a spool: closing keeps what is left, in time, whatever disk and server do."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import warnings
from typing import TYPE_CHECKING, Any, Final

import attrs
import pytest
from fake_service import (
    BLACK_HOLE,
    BROKEN,
    NO_LIMIT,
    NOT_SENT,
    STALL,
    TOO_MANY,
    UNAUTHORIZED,
    Collector,
    CountingLoop,
    FakeService,
    Play,
    SlowSpool,
    assert_finished,
    books,
    make_buffer,
    outcomes,
    run,
    sleep,
)

from mida_async import BufferClosedError, BufferSettings
from mida_async.instrumentation import RecordEnded
from mida_async.testing.memory_spool import MemoryDisk, MemorySpool

if TYPE_CHECKING:
    from mida_async import Delivery, Request, Response
    from mida_async._delivery.buffer import EventBuffer
    from mida_async.spools.base import Settlement

ONCE: Final = attrs.evolve(NO_LIMIT, guarantee="at_most_once")
SMALL: Final = attrs.evolve(NO_LIMIT, max_records=3)
SERVERS: Final = {
    "well": Play(latency=0.2),
    "down": NOT_SENT,
    "stalled": STALL,
    "black hole": BLACK_HOLE,
    "broken": BROKEN,
    "refusing": TOO_MANY,
    "no key": UNAUTHORIZED,
}


def clock() -> float:
    """Return the virtual time."""
    return asyncio.get_running_loop().time()


def burst(buffer: EventBuffer[...], numbers: range, visitor: str = "ann") -> list[Delivery]:
    """Record without waiting."""
    return [buffer.record_nowait("seen", id=visitor, properties={"n": n}) for n in numbers]


async def fill(buffer: EventBuffer[...], numbers: range, visitor: str = "ann") -> list[Delivery]:
    """Record one after the other."""
    return [await buffer.record("seen", id=visitor, properties={"n": n}) for n in numbers]


async def deliver_rest(disk: MemoryDisk, settings: BufferSettings = NO_LIMIT) -> FakeService:
    """Let another buffer deliver what is on a disk."""
    service = FakeService()
    disk.latency = 0.0
    buffer = make_buffer(service, settings=settings, spool=MemorySpool(disk))
    await buffer.open()
    await buffer.flush()
    await buffer.aclose()
    assert_finished(buffer, [])
    return service


@pytest.mark.parametrize("latency", [0.0, 0.4, 1000.0])
@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("timeout", [0, 3])
def test_closing_ends_in_time_and_keeps_what_is_left(server: str, latency: float, timeout: float) -> None:
    """R1, R14: every record is delivered, rejected, kept or abandoned; whatever was kept is delivered by the next."""
    disk, heard = MemoryDisk(), Collector()
    delivered = list[int]()

    async def main() -> None:
        service = FakeService(otherwise=SERVERS[server])
        buffer = make_buffer(service, settings=SMALL, spool=MemorySpool(disk), hooks=[heard])
        deliveries = await fill(buffer, range(7))
        await sleep(1)
        disk.latency = latency
        await sleep(0)
        deliveries += burst(buffer, range(7, 9))
        calls = [asyncio.create_task(buffer.record("seen", id="bob", properties={"n": n})) for n in (9, 10)]
        await sleep(0.1)
        before, earlier = clock(), books(buffer.statistics())
        report = await buffer.aclose(timeout)
        assert clock() - before <= timeout + 0.5
        assert report.pending == 0
        assert_finished(buffer, deliveries)
        now = buffer.statistics()
        assert sum(books(report).values()) + sum(earlier.values()) == now.accepted == 11
        await asyncio.wait(calls)
        late = [call.result() for call in calls if call.exception() is None]
        assert all(each.done() for each in late)
        if latency == 1000.0:
            assert (now.abandoned, late) == (4, [])
        delivered.extend(service.numbers)
        lost = now.abandoned
        rest = await deliver_rest(disk)
        assert len(rest.numbers) >= now.kept
        missing = set(range(11)) - {*delivered, *rest.numbers}
        assert len(missing) <= lost + now.rejected
        assert rest.numbers == sorted(rest.numbers, key=lambda n: (n > 8, n)) or len(set(rest.numbers)) > 1

    run(main())


def test_the_last_settlements_have_the_time_that_is_left() -> None:
    """R14: a slow disk gets what is left of the timeout, so that what was delivered is not sent again by the next."""
    disk = MemoryDisk(latency=2.0)

    async def main() -> None:
        buffer = make_buffer(FakeService(), spool=MemorySpool(disk))
        deliveries = await fill(buffer, range(1))
        before = clock()
        assert books(await buffer.aclose(10)) == {"delivered": 1}
        assert clock() - before < 5
        assert_finished(buffer, deliveries)
        assert disk.records == ()

    run(main())


def test_closing_an_idle_buffer_takes_no_time() -> None:
    """R14: where all is done and on disk there is nothing to wait for."""

    async def main() -> None:
        buffer = make_buffer(FakeService(), spool=MemorySpool())
        await (await buffer.record("seen", id="ann"))
        await sleep(2)
        before = clock()
        await buffer.aclose()
        assert clock() == before
        idle = make_buffer(FakeService(), spool=MemorySpool())
        await idle.aclose()
        opened = make_buffer(FakeService(), spool=MemorySpool())
        await opened.open()
        await opened.aclose()
        assert clock() - before < 0.3

    run(main())


def test_record_that_waits_for_the_disk_is_told_when_the_buffer_is_closed() -> None:
    """R14: a call that waits for the disk raises BufferClosedError; its record is abandoned, and not on disk."""
    disk = MemoryDisk(latency=100.0)

    async def main() -> None:
        buffer = make_buffer(FakeService(), spool=MemorySpool(disk))
        await buffer.open()
        calls = [asyncio.create_task(buffer.record("seen", id="ann", properties={"n": n})) for n in range(3)]
        await sleep(1)
        assert books(await buffer.aclose(0)) == {"abandoned": 3}
        await asyncio.wait(calls)
        for call in calls:
            with pytest.raises(BufferClosedError, match="waited for the disk"):
                call.result()
        assert disk.records == ()
        with pytest.raises(BufferClosedError):
            await buffer.record("seen", id="ann")

    run(main())


@pytest.mark.parametrize("who", ["delivery", "call"])
def test_cancelling_while_the_buffer_is_closed(who: str) -> None:
    """R13, R14: whoever cancels in the last moment gets no error of the spool, and all books are closed."""
    disk = MemoryDisk(latency=0.15)

    async def main() -> None:
        settings = attrs.evolve(NO_LIMIT, max_records=2)
        buffer = make_buffer(FakeService(otherwise=STALL), settings=settings, spool=MemorySpool(disk))
        await buffer.open()
        deliveries = burst(buffer, range(2))
        calls = [asyncio.create_task(buffer.record("seen", id="ann", properties={"n": n})) for n in (2, 3)]
        await sleep(0.1)
        closing = asyncio.create_task(buffer.aclose(0))
        await sleep(0.02)
        for each in deliveries if who == "delivery" else calls:
            assert each.cancel()
        report = await closing
        await asyncio.wait(calls)
        assert [call.cancelled() for call in calls] == [who == "call"] * 2
        assert books(report) == {"kept": 4}
        assert_finished(buffer, deliveries)
        assert len(disk.records) == 4

    run(main())


def test_closing_again_waits_and_may_bring_the_end_forward() -> None:
    """R14: a second aclose() returns with the first, and all is kept once."""
    disk = MemoryDisk()

    async def main() -> None:
        buffer = make_buffer(FakeService(otherwise=STALL), settings=SMALL, spool=MemorySpool(disk))
        deliveries = await fill(buffer, range(6))
        first = asyncio.create_task(buffer.aclose(100))
        await sleep(1)
        assert books(await buffer.aclose(1)) == {"kept": 6}
        assert clock() <= 2.5
        assert await first == await buffer.aclose()
        assert_finished(buffer, deliveries)
        assert (await deliver_rest(disk)).numbers == list(range(6))

    run(main())


@pytest.mark.parametrize("latency", [0.0, 50.0])
def test_cancelling_aclose_ends_what_is_left(latency: float) -> None:
    """R14: everything is kept or abandoned at once, and the disk is free for the next soon after."""
    disk = MemoryDisk()

    async def main() -> None:
        buffer = make_buffer(FakeService(otherwise=STALL), settings=SMALL, spool=MemorySpool(disk))
        deliveries = await fill(buffer, range(6))
        disk.latency = latency
        deliveries += burst(buffer, range(6, 8))
        closing = asyncio.create_task(buffer.aclose(100))
        await sleep(1)
        closing.cancel()
        await asyncio.wait([closing])
        await sleep(0.5)
        assert closing.cancelled()
        assert all(each.done() for each in deliveries)
        assert books(buffer.statistics()) == ({"kept": 6, "abandoned": 2} if latency else {"kept": 8})
        assert_finished(buffer, deliveries)
        assert (await deliver_rest(disk)).numbers == list(range(6 if latency else 8))

    run(main())


def test_a_program_that_is_cancelled_closes_its_spool() -> None:
    """R14: as with Ctrl-C, when all tasks are cancelled; the next process finds what was accepted."""
    disk = MemoryDisk()

    async def main() -> None:
        buffer = make_buffer(FakeService(otherwise=STALL), settings=SMALL, spool=MemorySpool(disk))
        try:
            await fill(buffer, range(6))
            await sleep(1_000)
        finally:
            await buffer.aclose(1)

    async def killed() -> None:
        task = asyncio.create_task(main())
        await sleep(10)
        task.cancel()
        await asyncio.wait([task])

    async def rest() -> None:
        assert (await deliver_rest(disk)).numbers == list(range(6))

    run(killed())
    run(rest())


@pytest.mark.parametrize("opening", [1.0, 1000.0])
def test_closing_while_the_spool_is_being_opened(opening: float) -> None:
    """R14: it waits for the opening no longer than it may, and whoever waits to record is told."""
    disk = MemoryDisk()

    async def main() -> None:
        before_all = make_buffer(FakeService(otherwise=STALL), spool=MemorySpool(disk))
        await fill(before_all, range(3))
        await before_all.aclose(0)
        spool = SlowSpool(disk, opening=opening)
        buffer = make_buffer(FakeService(), spool=spool)
        calls = [asyncio.create_task(buffer.record("seen", id="ann")) for _ in range(2)]
        await sleep(0.5)
        before = clock()
        report = await buffer.aclose(1)
        assert clock() - before <= 1.5
        await asyncio.wait(calls)
        assert [type(call.exception()) for call in calls] == [BufferClosedError] * 2
        now = buffer.statistics()
        assert (now.pending, now.spilled) == (0, 0)
        assert report.pending == 0
        assert_finished(buffer, [])
        assert (await deliver_rest(disk)).numbers == list(range(3))

    run(main())


def test_closing_while_records_are_being_read_back() -> None:
    """R1, R14: they stay where they are, and are counted once."""
    disk = MemoryDisk()

    async def main() -> None:
        first = make_buffer(FakeService(otherwise=STALL), spool=MemorySpool(disk))
        await fill(first, range(5))
        await first.aclose(0)
        buffer = make_buffer(FakeService(), spool=SlowSpool(disk, reading=1.0))
        async with asyncio.timeout(0.5):
            await buffer.open()  # a long backlog is not waited for
        await sleep(0.5)
        assert buffer.statistics().pending == 5
        assert books(await buffer.aclose(0)) == {"kept": 5}
        assert_finished(buffer, [])
        assert (await deliver_rest(disk)).numbers == list(range(5))

    run(main())


def test_closing_in_the_moment_in_which_a_mark_is_on_disk() -> None:
    """R10, R14: a record that is said to be unsent is not sent by a sender that was just about to."""
    disk = MemoryDisk()

    class Watched(MemorySpool):
        def mark(self, keys: Any) -> int:
            marks.append(super().mark(keys))
            return marks[-1]

    marks, service = list[int](), FakeService(otherwise=Play(latency=0.0))

    async def main() -> None:
        spool = Watched(disk)
        buffer = make_buffer(service, settings=ONCE, spool=spool)
        works_done = list[Any]()
        delivery = await buffer.record("seen", id="ann", properties={"n": 1})
        assert buffer._works is not None
        assert buffer._works.spooling is not None
        durable = spool._on_durable

        def on_durable(ticket: int) -> None:
            durable(ticket)
            if marks and ticket >= marks[0] and not works_done and buffer._works is not None:
                buffer._works._give_up()
                works_done.append(ticket)

        spool._on_durable = on_durable
        await sleep(1)
        assert works_done
        assert outcomes([delivery]) == ["BufferClosedError"]
        await buffer.aclose(0)
        assert_finished(buffer, [delivery])
        requests = len(service.requests)
        again = await deliver_rest(disk, ONCE)
        assert requests + len(again.requests) == 1

    run(main())


def test_closing_after_the_loop_has_ended() -> None:
    """R14, R15: what is on disk stays there; what is told is told without the loop."""
    disk, heard = MemoryDisk(latency=0.1), Collector()
    spool = SlowSpool(disk, reading=50.0)
    loop = CountingLoop()
    buffer = make_buffer(FakeService(otherwise=Play(latency=1.0)), settings=SMALL, spool=spool, hooks=[heard])

    async def use() -> list[Delivery]:
        deliveries = await fill(buffer, range(8))
        await sleep(3)
        disk.latency = 500.0
        return [*deliveries, *burst(buffer, range(8, 10))]

    deliveries = loop.run_until_complete(use())
    loop.close()
    report = asyncio.run(buffer.aclose())
    assert all(each.done() for each in deliveries)
    now = buffer.statistics()
    assert (now.pending, now.spilled, now.abandoned) == (0, 0, 2)
    assert (report.kept, report.abandoned) == (now.kept, 2)
    assert len(heard.of(RecordEnded)) >= 2
    assert len(disk.records) >= now.kept
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False  # type: ignore[attr-defined]


def test_a_sender_that_is_thrown_away_with_its_loop_settles_nothing() -> None:
    """R1: a record that was in flight when its loop was closed is on disk as before, and no dead letter."""
    settled = list[int]()

    class Watched(MemorySpool):
        def settle(self, key: int, settlement: Settlement, reason: str = "") -> None:
            settled.append(key)
            super().settle(key, settlement, reason)

    class Silent(FakeService):
        async def send(self, request: Request, *, total: float) -> Response:
            del request, total
            nothing: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
            return await nothing

    async def use(buffer: EventBuffer[...]) -> None:
        await fill(buffer, range(2))
        await sleep(1)

    loop = CountingLoop()
    disk = MemoryDisk()
    buffer = make_buffer(Silent(), spool=Watched(disk))
    loop.run_until_complete(use(buffer))
    senders = [task for task in asyncio.all_tasks(loop) if task.get_name() == "mida_async sender"]
    loop.close()
    for task in senders:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        with contextlib.suppress(RuntimeError):
            task.get_coro().close()
    assert buffer.statistics().rejected == 0
    assert asyncio.run(buffer.aclose()).kept == 2
    assert settled == []
    assert len(disk.records) == 2


def test_a_buffer_that_is_thrown_away_writes_what_is_left() -> None:
    """R15: it warns, delivers what it can, keeps the rest, and gives the disk free."""
    disk = MemoryDisk()

    async def main() -> None:
        settings = attrs.evolve(SMALL, close_timeout=3.0)
        buffer: Any = make_buffer(FakeService(otherwise=STALL), settings=settings, spool=MemorySpool(disk))
        deliveries = await fill(buffer, range(6))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del buffer
            gc.collect()
        assert [warning.category for warning in caught] == [ResourceWarning]
        await sleep(5)
        assert outcomes(deliveries) == ["BufferClosedError"] * 6
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert (await deliver_rest(disk)).numbers == list(range(6))

    run(main())


def test_nothing_is_promised_for_what_was_not_on_disk() -> None:
    """R14: a spilled record that never came to the disk is abandoned, not kept, and hooks are told so."""
    disk, heard = MemoryDisk(), Collector()

    async def main() -> None:
        buffer = make_buffer(FakeService(otherwise=STALL), settings=SMALL, spool=MemorySpool(disk), hooks=[heard])
        kept = await fill(buffer, range(4))
        disk.latency = 100.0
        lost = burst(buffer, range(4, 6))
        assert buffer.statistics().spilled == 3
        assert books(await buffer.aclose(0)) == {"kept": 4, "abandoned": 2}
        assert_finished(buffer, [*kept, *lost])
        for delivery in lost:
            with pytest.raises(BufferClosedError, match=r"before record \d was on disk"):
                delivery.result()
        assert [each.key for each in disk.records] == [each.record_id for each in kept]
        told = {each.record_id for each in heard.of(RecordEnded) if each.end == "abandoned"}
        assert told == {each.record_id for each in lost}

    run(main())


def test_a_transport_that_closes_the_buffer_leaves_its_record_kept() -> None:
    """R14: aclose() that is awaited by a sender ends in time, and what was in flight is kept as perhaps applied."""
    disk = MemoryDisk()

    class Closing(FakeService):
        async def send(self, request: Request, *, total: float) -> Response:
            await buffer.aclose(1)
            return await super().send(request, total=total)

    buffer = make_buffer(Closing(), spool=MemorySpool(disk))

    async def main() -> None:
        await buffer.open()
        deliveries = burst(buffer, range(2))
        before = clock()
        assert books(await buffer.aclose(2)) == {"kept": 2}
        assert clock() - before <= 1.5
        assert_finished(buffer, deliveries)
        assert [each.ambiguous for each in disk.records] == [True, False]

    run(main())
