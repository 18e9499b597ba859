"""R6 with a spool: its own bound, and a disk that is full."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import attrs
import pytest
from fake_service import (
    NO_LIMIT,
    NOT_SENT,
    OK,
    STALL,
    Collector,
    FakeService,
    LateRoom,
    Play,
    assert_balanced,
    assert_finished,
    books,
    is_ordered,
    make_buffer,
    outcomes,
    per_visitor,
    room,
    run,
    sleep,
)

from mida_async import BufferClosedError, BufferFullError, BufferSettings, EventDroppedError
from mida_async.instrumentation import RecordEnded, SpoolChanged
from mida_async.testing.memory_spool import MemoryDisk, MemorySpool

if TYPE_CHECKING:
    from mida_async import Delivery
    from mida_async._delivery.buffer import EventBuffer

SPOOLS: Final = pytest.mark.parametrize("spool_class", [MemorySpool, LateRoom])


def clock() -> float:
    """Return the virtual time."""
    return asyncio.get_running_loop().time()


def when_full(overflow: Any, **changes: Any) -> BufferSettings:
    """Return settings for what happens where there is no room."""
    return attrs.evolve(NO_LIMIT, overflow=overflow, **{"concurrency": 1, **changes})


async def record(buffer: EventBuffer[...], number: int, visitor: str = "ann", text: str = "") -> Delivery:
    """Record one event."""
    return await buffer.record("seen", id=visitor, properties={"n": number, "text": text})


def start(buffer: EventBuffer[...], numbers: range) -> list[asyncio.Task[Delivery]]:
    """Begin to record events, without waiting for it."""
    return [asyncio.create_task(record(buffer, n)) for n in numbers]


@SPOOLS
@pytest.mark.parametrize("memory", [2, 100])
def test_callers_wait_for_room_on_disk_in_turn(spool_class: type[MemorySpool], memory: int) -> None:
    """R6: first come, first served; the bound of the spool is kept however many wait for it."""
    disk, most = MemoryDisk(latency=0.02), 0

    async def main() -> None:
        nonlocal most
        service = FakeService(otherwise=Play(latency=0.5))
        spool = spool_class(disk, max_records=4)
        buffer = make_buffer(service, settings=when_full("wait", max_records=memory), spool=spool)
        calls = start(buffer, range(20))
        await sleep(0.3)
        assert buffer.statistics().callers == 16
        with pytest.raises(BufferFullError, match="16 callers"):
            buffer.record_nowait("seen", id="bob")
        while buffer.statistics().delivered < 20:
            most = max(most, spool.records, len(disk.records))
            assert_balanced(buffer)
            await sleep(0.01)
        assert most == 4
        deliveries = [await call for call in calls]
        assert service.numbers == list(range(20))
        assert is_ordered(each.record_id for each in deliveries)
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


@SPOOLS
def test_callers_wait_for_bytes_on_disk(spool_class: type[MemorySpool]) -> None:
    """R6: the same for its size; a small record does not overtake a large one."""

    async def main() -> None:
        disk, most = MemoryDisk(latency=0.02), 0
        service = FakeService(otherwise=Play(latency=0.5))
        spool = spool_class(disk, max_bytes=1_000)
        buffer = make_buffer(service, settings=when_full("wait"), spool=spool)
        texts = ["", "x" * 400, "", "x" * 800, "", "x" * 300, "x" * 900, ""] * 3
        calls = [asyncio.create_task(record(buffer, n, text=text)) for n, text in enumerate(texts)]
        while buffer.statistics().delivered < len(texts):
            most = max(most, sum(len(each.body) for each in disk.records))
            await sleep(0.01)
        assert 800 < most <= 1_000
        assert service.numbers == list(range(len(texts)))
        await buffer.aclose()
        assert_finished(buffer, [await call for call in calls])

    run(main())


def test_whoever_gives_up_waiting_for_room_on_disk_leaves_nothing_behind() -> None:
    """R6, R13: a caller that is cancelled leaves the line, before and after its turn has come."""

    async def main() -> None:
        disk, service = MemoryDisk(), FakeService(otherwise=Play(latency=1.0))
        buffer = make_buffer(service, settings=when_full("wait"), spool=MemorySpool(disk, max_records=2))
        calls = start(buffer, range(9))
        await sleep(0.5)
        calls[3].cancel()
        calls[8].cancel()
        await calls[2]
        calls[4].cancel()
        await sleep(0)
        calls[5].cancel()
        await asyncio.wait(calls)
        assert [number for number, call in enumerate(calls) if call.cancelled()] == [3, 4, 5, 8]
        await buffer.flush()
        assert service.numbers == [0, 1, 2, 6, 7]
        await buffer.aclose()
        assert_finished(buffer, [call.result() for call in calls if not call.cancelled()])
        assert disk.records == ()

    run(main())


def test_raise_when_the_disk_has_no_room() -> None:
    """R6: it raises at the call while memory would have room."""

    async def main() -> None:
        service = FakeService(otherwise=Play(latency=1.0))
        buffer = make_buffer(service, settings=when_full("raise"), spool=MemorySpool(max_records=2))
        deliveries = [await record(buffer, n) for n in range(2)]
        for call in (buffer.record_nowait, buffer.record):
            with pytest.raises(BufferFullError):
                await call("seen", id="ann")
        await deliveries[0]
        deliveries.append(await record(buffer, 2))
        await buffer.aclose()
        assert service.numbers == [0, 1, 2]
        assert_finished(buffer, deliveries)

    run(main())


def test_drop_newest_when_the_disk_has_no_room() -> None:
    """R6: the new record ends at once, and never touches the disk."""
    disk = MemoryDisk()

    async def main() -> None:
        service = FakeService(otherwise=Play(latency=1.0))
        buffer = make_buffer(service, settings=when_full("drop_newest"), spool=MemorySpool(disk, max_records=2))
        deliveries = [await record(buffer, n) for n in range(4)]
        assert outcomes(deliveries) == ["pending", "pending", "EventDroppedError", "EventDroppedError"]
        assert books(await buffer.aclose()) == {"delivered": 2}
        assert (service.numbers, disk.records, disk.dead) == ([0, 1], (), ())
        assert_finished(buffer, deliveries)

    run(main())


@SPOOLS
@pytest.mark.parametrize("nowait", [False, True])
def test_drop_oldest_drops_as_many_as_it_needs(spool_class: type[MemorySpool], nowait: bool) -> None:  # noqa: FBT001
    """R6: one record goes for one that comes, though the room of its row is free only after the next write."""
    disk = MemoryDisk()

    async def main() -> None:
        service = FakeService(otherwise=Play(latency=9.0))
        buffer = make_buffer(service, settings=when_full("drop_oldest"), spool=spool_class(disk, max_records=4))
        deliveries = [await record(buffer, n) for n in range(4)]
        for number in (4, 5):
            if nowait:
                deliveries.append(buffer.record_nowait("seen", id="ann", properties={"n": number}))
            else:
                deliveries.append(await record(buffer, number))
            assert_balanced(buffer)
        assert outcomes(deliveries) == ["pending", *["EventDroppedError"] * 2, *["pending"] * 3]
        await sleep(1)
        assert [each.key for each in disk.records] == [deliveries[n].record_id for n in (0, 3, 4, 5)]
        assert books(await buffer.aclose(60)) == {"delivered": 4}
        assert service.numbers == [0, 3, 4, 5]
        assert_finished(buffer, deliveries)
        assert (disk.records, disk.dead) == ((), ())

    run(main())


@SPOOLS
def test_drop_oldest_makes_room_in_bytes(spool_class: type[MemorySpool]) -> None:
    """R6: a large record takes the place of as many small ones as it is large, and of no more."""

    async def main() -> None:
        service = FakeService(otherwise=Play(latency=9.0))
        buffer = make_buffer(service, settings=when_full("drop_oldest"), spool=spool_class(max_bytes=1_000))
        deliveries = [await record(buffer, n, text="x" * 78) for n in range(7)]
        deliveries.append(await record(buffer, 7, text="x" * 200))
        assert outcomes(deliveries).count("EventDroppedError") == 2
        assert outcomes(deliveries)[1:3] == ["EventDroppedError"] * 2
        await buffer.aclose(90)
        assert_finished(buffer, deliveries)

    run(main())


@SPOOLS
def test_drop_oldest_where_nothing_in_memory_waits(spool_class: type[MemorySpool]) -> None:
    """R6: where all that waits is on disk alone, or still being written, the new record waits for its turn."""

    async def main() -> None:
        disk, service = MemoryDisk(), FakeService(otherwise=Play(latency=5.0))
        settings = when_full("drop_oldest", max_records=1)
        buffer = make_buffer(service, settings=settings, spool=spool_class(disk, max_records=3))
        deliveries = [await record(buffer, n) for n in range(3)]
        disk.latency = 0.5
        calls = start(buffer, range(3, 5))
        await sleep(1)
        assert (buffer.statistics().callers, buffer.statistics().dropped) == (2, 0)
        with pytest.raises(BufferFullError):
            buffer.record_nowait("seen", id="ann")
        deliveries += await asyncio.gather(*calls)
        await asyncio.wait(deliveries)
        assert Counter(outcomes(deliveries))["pending"] == 0
        assert is_ordered(service.numbers)
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


def test_drop_oldest_where_all_is_being_written() -> None:
    """R6: nothing can be dropped that is on its way to the disk: the new record waits."""

    async def main() -> None:
        disk, service = MemoryDisk(latency=1.0), FakeService(otherwise=Play(latency=0.5))
        buffer = make_buffer(service, settings=when_full("drop_oldest"), spool=MemorySpool(disk, max_records=2))
        await buffer.open()
        deliveries = [buffer.record_nowait("seen", id="ann", properties={"n": n}) for n in range(2)]
        with pytest.raises(BufferFullError):
            buffer.record_nowait("seen", id="ann", properties={"n": 2})
        deliveries.append(await record(buffer, 3))
        assert clock() < 10
        await buffer.aclose()
        assert outcomes(deliveries) == ["ok"] * 3
        assert_finished(buffer, deliveries)

    run(main())


@SPOOLS
def test_drop_oldest_for_callers_that_wait(spool_class: type[MemorySpool]) -> None:
    """R6: a record that waits again makes room for the first in line, and for no more than it has to."""

    async def main() -> None:
        disk, service = MemoryDisk(), FakeService(*[NOT_SENT] * 2, otherwise=Play(latency=1.0))
        settings = when_full("drop_oldest", concurrency=2)
        buffer = make_buffer(service, settings=settings, spool=spool_class(disk, max_records=2))
        service.script.clear()
        service.script.extend([Play(outcome=NOT_SENT.outcome, latency=1.0)] * 2)
        deliveries = [await record(buffer, n, visitor) for n, visitor in enumerate("ab")]
        calls = [asyncio.create_task(record(buffer, 2, "c"))]
        await sleep(0.5)
        assert buffer.statistics().callers == 1
        deliveries.append(await asyncio.wait_for(calls[0], 5))
        await asyncio.wait(deliveries)
        assert outcomes(deliveries) == ["EventDroppedError", "ok", "ok"]
        await buffer.aclose()
        assert_finished(buffer, deliveries)
        assert disk.records == ()

    run(main())


def test_a_hook_that_records_when_it_hears_of_a_drop() -> None:
    """R6: it finds the spool as full as before, and takes nobody's place but that of the oldest."""
    made, service = list[Any](), FakeService(otherwise=Play(latency=2.0))

    def hook(detail: object) -> None:
        if isinstance(detail, RecordEnded) and isinstance(detail.error, EventDroppedError) and len(made) < 3:
            made.append(buffer.record_nowait("seen", id="bob", properties={"n": next(numbers)}))

    numbers = itertools.count(100)
    buffer = make_buffer(service, settings=when_full("drop_oldest"), spool=MemorySpool(max_records=5), hooks=[hook])

    async def main() -> None:
        deliveries = [await record(buffer, n) for n in range(6)]
        assert_balanced(buffer)
        await buffer.aclose(60)
        assert outcomes([*deliveries, *made]).count("EventDroppedError") == 4
        assert_finished(buffer, [*deliveries, *made])
        assert all(map(is_ordered, per_visitor(service.applied)))

    run(main())


def test_a_full_disk_holds_record_up() -> None:
    """R6: record() waits until it can be written; nothing is lost and nothing is sent twice."""
    disk, heard = MemoryDisk(), Collector()

    async def main() -> None:
        service = FakeService(otherwise=Play(latency=0.2))
        settings = attrs.evolve(NO_LIMIT, max_records=10)
        buffer = make_buffer(service, settings=settings, spool=MemorySpool(disk), hooks=[heard])
        deliveries = [await record(buffer, n) for n in range(5)]
        disk.fill_up()
        calls = start(buffer, range(5, 40))
        await sleep(50)
        assert not any(call.done() for call in calls)
        assert service.numbers == [0, 1, 2, 3, 4]
        assert room(buffer)[0] <= 10
        assert_balanced(buffer)
        disk.failure = None
        deliveries += await asyncio.gather(*calls)
        await asyncio.gather(*deliveries)
        assert service.numbers == list(range(40))
        await buffer.aclose()
        assert_finished(buffer, deliveries)
        assert disk.records == ()

    run(main())
    assert [each.writable for each in heard.of(SpoolChanged)] == [False, True]


@pytest.mark.parametrize("server", ["well", "down"])
def test_a_full_disk_lets_record_nowait_fill_memory(server: str) -> None:
    """R6: it takes what memory has room for, raises, and takes more when the disk can be written again."""

    async def main() -> None:
        disk, service = MemoryDisk(), FakeService(otherwise=OK if server == "well" else NOT_SENT)
        settings = attrs.evolve(NO_LIMIT, max_records=10)
        buffer = make_buffer(service, settings=settings, spool=MemorySpool(disk))
        await buffer.open()
        disk.fill_up()
        deliveries = [buffer.record_nowait("seen", id="ann", properties={"n": n}) for n in range(10)]
        for _ in range(3):
            with pytest.raises(BufferFullError, match="10 of 10"):
                buffer.record_nowait("seen", id="ann")
            await sleep(10)
        assert service.requests == []
        disk.failure = None
        await sleep(1)
        deliveries += [buffer.record_nowait("seen", id="ann", properties={"n": n}) for n in range(10, 20)]
        await sleep(1)
        service.otherwise = OK
        await buffer.flush()
        assert service.numbers == list(range(20))
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


@pytest.mark.parametrize("timeout", [0, 2, 20])
def test_closing_while_the_disk_is_full(timeout: float) -> None:
    """R14: it ends in time; what was not on disk is abandoned, what was is kept, and each Delivery says which."""
    disk = MemoryDisk()

    async def first() -> None:
        settings = attrs.evolve(NO_LIMIT, max_records=4)
        buffer = make_buffer(FakeService(otherwise=STALL), settings=settings, spool=MemorySpool(disk))
        deliveries = [await record(buffer, n) for n in range(6)]
        disk.fill_up()
        deliveries += [buffer.record_nowait("seen", id="ann", properties={"n": n}) for n in range(6, 8)]
        calls = start(buffer, range(8, 10))
        await sleep(1)
        before = clock()
        report = await buffer.aclose(timeout)
        assert clock() - before <= timeout + 0.5
        assert books(report) == {"kept": 6, "abandoned": 4}
        assert books(buffer.statistics()) == books(report)
        texts = [str(each.exception()) for each in deliveries]
        assert ["kept in the spool" in text for text in texts] == [True] * 6 + [False] * 2
        assert ["was on disk: it was not delivered" in text for text in texts] == [False] * 6 + [True] * 2
        await asyncio.wait(calls)
        assert [type(call.exception()) for call in calls] == [BufferClosedError] * 2
        assert_finished(buffer, deliveries)

    async def second() -> None:
        disk.failure = None
        service = FakeService()
        buffer = make_buffer(service, spool=MemorySpool(disk))
        await buffer.open()
        await buffer.flush()
        assert service.numbers == list(range(6))
        await buffer.aclose()

    run(first())
    run(second())


def test_a_disk_that_is_freed_while_the_buffer_is_closed() -> None:
    """R14: what comes to the disk in the last moment is kept, and said to be."""
    disk = MemoryDisk()

    async def main() -> None:
        settings = attrs.evolve(NO_LIMIT, max_records=2)
        buffer = make_buffer(FakeService(otherwise=NOT_SENT), settings=settings, spool=MemorySpool(disk))
        await buffer.open()
        disk.fill_up()
        calls = start(buffer, range(5))
        await sleep(0.2)
        closing = asyncio.create_task(buffer.aclose(0))
        await sleep(0.1)
        for call in calls:
            call.cancel()
        disk.failure = None
        assert books(await closing) == {"kept": 5}
        await asyncio.wait(calls)
        assert_finished(buffer, [])
        assert len(disk.records) == 5

    run(main())
