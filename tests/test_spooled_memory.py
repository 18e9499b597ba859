"""More records than memory has room for: they are on disk alone, and come back in order."""

from __future__ import annotations

import asyncio
import gc
import random
import time
from typing import TYPE_CHECKING, Any, Final

import attrs
import pytest
from fake_service import (
    BAD,
    COUNTABLE_FOLDS,
    NO_LIMIT,
    NOT_SENT,
    OK,
    Collector,
    FakeService,
    Play,
    SlowSpool,
    Traffic,
    assert_balanced,
    assert_finished,
    books,
    is_ordered,
    make_buffer,
    outcomes,
    per_visitor,
    room,
    run,
    seeded_faults,
    sleep,
)

from mida_async import BufferClosedError, BufferFullError, BufferSettings, RetryPolicy, SpoolError
from mida_async._delivery.backlog import SpilledDelivery
from mida_async.instrumentation import RecordAccepted, RecordEnded, RecordRecovered, RecordRepeated
from mida_async.spools.base import SpooledRecord
from mida_async.testing.memory_spool import MemoryDisk, MemorySpool

if TYPE_CHECKING:
    from mida_async import Delivery
    from mida_async._delivery.buffer import EventBuffer
    from mida_async.spools.base import Opened

SLOW: Final = Play(latency=5.0)


def small(records: int, **changes: Any) -> BufferSettings:
    """Return settings with little room."""
    return attrs.evolve(NO_LIMIT, max_records=records, **changes)


def clock() -> float:
    """Return the virtual time."""
    return asyncio.get_running_loop().time()


async def fill(buffer: EventBuffer[...], visitors: str, first: int = 0) -> list[Delivery]:
    """Record one event for each letter."""
    return [
        await buffer.record("seen", id=visitor, properties={"n": n, "all": [n]})
        for n, visitor in enumerate(visitors, first)
    ]


def test_memory_is_bounded_whatever_is_accepted() -> None:
    """R6: of ten thousand records no more than max_records are ever in memory, and no Delivery that nobody keeps."""
    disk = MemoryDisk()

    async def main() -> None:
        service = FakeService(otherwise=Play(latency=0.01))
        buffer = make_buffer(service, settings=small(50), spool=MemorySpool(disk))
        gc.collect()
        for n in range(10_000):
            await buffer.record("seen", id=f"u{n % 20}", properties={"n": n})
            if n % 100 == 0:
                assert_balanced(buffer)
                records, size = room(buffer)
                assert records <= 50
                assert size <= 64 * 2**20
        assert buffer.statistics().spilled > 5_000
        gc.collect()
        assert sum(isinstance(each, SpilledDelivery) for each in gc.get_objects()) < 60
        watching = asyncio.create_task(buffer.flush())
        while not watching.done():
            await sleep(0.5)
            assert_balanced(buffer)
            assert room(buffer)[0] <= 50
        assert books(await watching).keys() == {"delivered"}
        assert books(buffer.statistics()) == {"delivered": 10_000}
        assert sorted(service.numbers) == list(range(10_000))
        assert all(map(is_ordered, per_visitor(service.applied)))
        await buffer.aclose()
        assert_finished(buffer, [])

    run(main(), rounds=3_000_000)


def test_memory_is_bounded_in_bytes() -> None:
    """R6: a large record that was read back waits until there is room for it, not a byte more is taken."""

    async def main() -> None:
        service = FakeService(otherwise=Play(latency=0.1))
        buffer = make_buffer(service, settings=small(50, max_bytes=2_000), spool=SlowSpool(reading=0.05))
        dice, deliveries = random.Random(1), list[Any]()  # noqa: S311
        for n in range(150):
            text = "x" * dice.choice((0, 100, 700, 1_800))
            deliveries.append(await buffer.record("seen", id=f"u{n % 5}", properties={"n": n, "text": text}))
            assert room(buffer)[1] <= 2_000
        assert buffer.statistics().spilled > 50
        while buffer.statistics().pending:
            await sleep(0.02)
            assert room(buffer)[1] <= 2_000
            assert_balanced(buffer)
        assert all(map(is_ordered, per_visitor(service.applied)))
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


def test_a_burst_without_a_wait_fills_memory_alone() -> None:
    """R6: record_nowait() does not fill the memory of the spool instead: it raises until the disk keeps up."""

    async def main() -> None:
        disk = MemoryDisk(latency=1.0)
        buffer = make_buffer(FakeService(otherwise=SLOW), settings=small(50, concurrency=1), spool=MemorySpool(disk))
        await buffer.open()
        deliveries = list[Any]()
        deliveries += [buffer.record_nowait("seen", id="ann", properties={"n": n}) for n in range(50)]
        with pytest.raises(BufferFullError, match="50 of 50"):
            buffer.record_nowait("seen", id="ann")
        await sleep(1.5)
        deliveries += [buffer.record_nowait("seen", id="ann", properties={"n": n}) for n in range(50, 100)]
        with pytest.raises(BufferFullError):
            buffer.record_nowait("seen", id="ann")
        assert (len(deliveries), buffer.statistics().spilled) == (100, 50)
        await sleep(2)
        report = await buffer.aclose(0)
        assert report.kept == 100 - buffer.statistics().delivered
        assert_finished(buffer, deliveries)

    run(main())


def test_deliveries_of_spilled_records_resolve_for_whoever_waits() -> None:
    """R1: a Delivery that is awaited, or has a callback, resolves though nobody else keeps it."""

    async def main() -> None:
        service = FakeService(otherwise=Play(latency=0.5))
        buffer = make_buffer(service, settings=small(1), spool=MemorySpool())
        told = list[int]()

        async def wait(number: int) -> int:
            return (await (await buffer.record("seen", id="ann", properties={"n": number}))).record_id

        tasks = [asyncio.create_task(wait(n)) for n in range(5)]
        await sleep(0.1)
        for n in range(5, 10):
            delivery = await buffer.record("seen", id="ann", properties={"n": n})
            delivery.add_done_callback(lambda done: told.append(done.result().record_id))
            del delivery
        gathered = asyncio.gather(*[await buffer.record("seen", id="ann", properties={"n": n}) for n in (10, 11)])
        gc.collect()
        assert await asyncio.gather(*tasks) == [1, 2, 3, 4, 5]
        await gathered
        assert told == [6, 7, 8, 9, 10]
        assert service.numbers == list(range(12))
        await buffer.aclose()

    run(main())


@pytest.mark.parametrize("seed", range(6))
def test_order_holds_across_memory_and_disk(seed: int) -> None:
    """R2, R3, R4, R5: order and books hold with random events, folds, repetitions, cancellations and faults."""
    dice = random.Random(seed)  # noqa: S311
    disk = MemoryDisk(latency=dice.choice((0.0, 0.05, 0.4)))

    async def main() -> None:
        service = FakeService(otherwise=seeded_faults(dice, 0.2))
        settings = small(6, concurrency=4, folds=COUNTABLE_FOLDS, linger=dice.choice((0.0, 0.5)), max_bytes=2_500)
        spool = SlowSpool(disk, reading=dice.choice((0.0, 0.02, 0.3)))
        buffer = make_buffer(service, settings=settings, spool=spool, total=2.0, retry=RetryPolicy(maximum=1.0))
        await buffer.open()
        traffic = Traffic(dice=dice, buffer=buffer)
        for _ in range(40):
            names = [dice.choice(("seen", "beat", "watched")) for _ in range(dice.randrange(12))]
            await asyncio.gather(*(traffic.record(name, traffic.event(), dice.choice((None, 0.03))) for name in names))
            traffic.record_nowait()
            if dice.random() < 0.3:
                traffic.cancel()
            assert_balanced(buffer)
            assert room(buffer)[0] <= 6
            await sleep(dice.choice((0.0, 0.01, 0.3)))
        await buffer.aclose(2_000)
        assert_finished(buffer, traffic.deliveries)
        now = buffer.statistics()
        assert (now.kept, now.abandoned, now.spilled) == (0, 0, 0)
        assert disk.records == ()
        assert service.overlaps == []
        traffic.assert_in_order(service.applied)
        traffic.assert_whole(service.applied)

    run(main())


def test_nothing_folds_past_what_is_on_disk_alone() -> None:
    """R2, R4: a record does not melt into one in memory while a record between the two is on disk."""

    async def main() -> None:
        service = FakeService(otherwise=SLOW)
        settings = small(2, concurrency=1, folds=COUNTABLE_FOLDS)
        buffer = make_buffer(service, settings=settings, spool=MemorySpool())
        deliveries = await fill(buffer, "b")
        for n, name in enumerate(["beat", "seen", "beat"], 1):
            deliveries.append(await buffer.record(name, id="ann", properties={"n": n, "all": [n]}))
        await asyncio.gather(*deliveries)
        assert [sent.properties["all"] for sent in service.applied] == [[0], [1], [2], [3]]
        await buffer.aclose()

    run(main())


def test_nothing_is_sent_before_it_is_on_disk_though_it_was_read_back() -> None:
    """R2: what was spilled and read back before it was written waits for the disk, behind what came first."""

    async def main() -> None:
        disk, service = MemoryDisk(), FakeService(otherwise=Play(latency=0.2))
        buffer = make_buffer(service, settings=small(2, concurrency=2), spool=MemorySpool(disk))
        first = await buffer.record("seen", id="bob", properties={"n": 0})
        disk.latency = 3.0
        calls = [asyncio.create_task(buffer.record("seen", id="ann", properties={"n": n})) for n in (1, 2, 3)]
        await sleep(0)
        assert buffer.statistics().spilled == 2
        await first
        await sleep(0)
        assert (buffer.statistics().spilled, buffer.statistics().pending) == (1, 3)
        calls[0].cancel()
        await sleep(1)
        assert (buffer.statistics().spilled, service.numbers, disk.records[1:]) == (0, [0], ())
        assert_balanced(buffer)
        deliveries = [await call for call in calls[1:]]
        await asyncio.gather(*deliveries)
        assert service.numbers == [0, 2, 3]
        assert service.requests[1].at >= 3.0
        await buffer.aclose(60)
        assert_finished(buffer, deliveries)

    run(main())


def test_what_is_read_back_does_not_overtake_what_is_being_written() -> None:
    """R2: a record that is in memory, but not on disk yet, goes before one that came from the disk after it."""

    async def main() -> None:
        disk, service = MemoryDisk(), FakeService(otherwise=Play(latency=0.2))
        buffer = make_buffer(service, settings=small(4), spool=MemorySpool(disk))
        deliveries = await fill(buffer, "xyz")
        disk.latency = 1.0
        deliveries += [buffer.record_nowait("seen", id="ann", properties={"n": n}) for n in (3, 4, 5)]
        await asyncio.gather(*deliveries)
        assert per_visitor(service.applied)[-1] == [3, 4, 5]
        assert next(sent.at for sent in service.requests if sent.number > 2) >= 1.0
        await buffer.aclose(60)
        assert_finished(buffer, deliveries)

    run(main())


def test_a_repetition_that_is_seen_when_it_is_read_back_shares_the_outcome() -> None:
    """R5: the same unique_id on disk is sent once; both Deliveries get the receipt, and both rows are gone."""
    disk, heard = MemoryDisk(), Collector()

    async def main() -> None:
        service = FakeService(otherwise=Play(latency=1.0))
        buffer = make_buffer(service, settings=small(2, concurrency=1), spool=MemorySpool(disk), hooks=[heard])
        deliveries = await fill(buffer, "bb")
        for who in ("ann", "ann", "cid", "ann"):
            deliveries.append(await buffer.record("seen", id=who, properties={"n": 9}, unique_id="u"))
        assert buffer.statistics().spilled == 4
        report = await buffer.flush()
        assert books(report) == {"delivered": 6}
        receipts = [await each for each in deliveries]
        assert receipts[2] == receipts[3] == receipts[5] != receipts[4]
        assert len(service.requests) == 4
        await buffer.aclose()
        assert_finished(buffer, deliveries)
        assert (disk.records, disk.dead) == ((), ())

    run(main())
    assert len(heard.of(RecordRepeated)) == 2


def test_a_late_repetition_shares_a_failure_and_outlives_a_cancellation() -> None:
    """R5, R13: cancelling the first one's Delivery only lets go of it while a repetition wants the record."""
    disk = MemoryDisk()

    async def main() -> None:
        for keep in (True, False):
            service = FakeService(otherwise=Play(latency=1.0))
            buffer = make_buffer(service, settings=small(2, concurrency=1), spool=MemorySpool(disk))
            deliveries = await fill(buffer, "bbbb")
            first = await buffer.record("seen", id="ann", properties={"n": 4}, unique_id="u")
            seconds = [await buffer.record("seen", id="ann", properties={"n": 5}, unique_id="u")]
            if not keep:
                seconds.clear()
            while buffer.statistics().spilled:
                await sleep(0.1)
            first.cancel()
            await buffer.flush()
            assert service.numbers == [0, 1, 2, 3, 4]
            assert [(await second).record_id for second in seconds] == [first.record_id] * keep
            await buffer.aclose()
            assert books(buffer.statistics()) == {"delivered": 6}
            assert_finished(buffer, deliveries)

    run(main())


def test_a_rejected_record_takes_its_late_repetition_along() -> None:
    """R5: the repetition fails as the record does; only one of them is a dead letter."""
    disk = MemoryDisk()

    async def main() -> None:
        service = FakeService(OK, OK, BAD, otherwise=Play(latency=1.0))
        buffer = make_buffer(service, settings=small(2, concurrency=1), spool=MemorySpool(disk))
        deliveries = await fill(buffer, "bb")
        for _ in range(2):
            deliveries.append(await buffer.record("seen", id="ann", properties={"n": 9}, unique_id="u"))
        await asyncio.wait(deliveries)
        assert outcomes(deliveries) == ["ok", "ok", "BadRequestError", "BadRequestError"]
        assert books(buffer.statistics()) == {"delivered": 2, "rejected": 2}
        await buffer.aclose()
        assert (disk.records, len(disk.dead)) == ((), 1)

    run(main())


def test_cancelling_what_is_on_disk_alone_withdraws_it() -> None:
    """R13: it is never sent, its row goes, and whoever watches it is told."""
    disk, heard = MemoryDisk(), Collector()

    async def main() -> None:
        service = FakeService(otherwise=Play(latency=1.0))
        buffer = make_buffer(service, settings=small(2, concurrency=1), spool=MemorySpool(disk), hooks=[heard])
        deliveries = await fill(buffer, "aaaaaa")
        flushing = asyncio.create_task(buffer.flush())
        await sleep(0)
        assert deliveries[3].cancel()
        assert not deliveries[3].cancel()
        assert (buffer.statistics().spilled, buffer.statistics().cancelled) == (3, 1)
        assert books(await flushing) == {"cancelled": 1, "delivered": 5}
        assert service.numbers == [0, 1, 2, 4, 5]
        await buffer.aclose()
        assert_finished(buffer, deliveries)
        assert disk.records == ()

    run(main())
    ended = next(each for each in heard.of(RecordEnded) if each.end == "cancelled")
    assert (ended.record_id, ended.event_name, ended.records, ended.attempts) == (4, "seen", 1, 0)
    assert len(heard.of(RecordAccepted)) == len(heard.of(RecordEnded)) == 6


@pytest.mark.parametrize("when", [0.0, 0.05, 0.15])
def test_cancelling_what_is_being_read(when: float) -> None:
    """R13: a record that is cancelled while it is on its way back is neither sent nor counted twice."""
    disk = MemoryDisk()

    async def main() -> None:
        service = FakeService(OK, OK, otherwise=Play(latency=1.0))
        buffer = make_buffer(service, settings=small(2), spool=SlowSpool(disk, reading=0.1))
        deliveries = await fill(buffer, "aaaaa")
        while buffer.statistics().delivered < 1:
            await sleep(0.01)
        await sleep(when)
        for delivery in deliveries[2:]:
            delivery.cancel()
            assert_balanced(buffer)
        deliveries += await fill(buffer, "aaaa", first=5)
        await buffer.flush()
        left = [n for n in service.numbers if n in {2, 3, 4}]
        assert left in ([], [2])
        assert service.numbers == [0, 1, *left, 5, 6, 7, 8]
        await buffer.aclose()
        assert_finished(buffer, deliveries)
        assert disk.records == ()

    run(main())


def test_what_is_recorded_while_the_last_one_on_disk_is_cancelled_is_sent_once() -> None:
    """R1, R13: a reading that is under way when nothing is on disk alone any more brings nothing back twice."""

    async def main() -> None:
        disk, service = MemoryDisk(), FakeService(OK, OK, otherwise=Play(latency=0.3))
        buffer = make_buffer(service, settings=small(2), spool=SlowSpool(disk, reading=0.2))
        deliveries = await fill(buffer, "aaa")
        while buffer.statistics().delivered < 2:
            await sleep(0.01)
        deliveries[2].cancel()
        deliveries += await fill(buffer, "aaaaaa", first=3)
        await buffer.flush()
        assert service.numbers == [0, 1, 3, 4, 5, 6, 7, 8]
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


def test_a_hook_that_cancels_and_records_while_records_are_read_back() -> None:
    """R1, R13: hooks run in the middle of the work, and see everything in its place."""
    service = FakeService(otherwise=Play(latency=0.1))
    made, cancelled = list[Any](), set[int]()

    def hook(detail: object) -> None:
        if isinstance(detail, RecordRecovered) and detail.record_id % 3 == 0:
            made.append(buffer.record_nowait("seen", id="ann", properties={"n": 100 + len(made)}))
        if isinstance(detail, RecordEnded) and detail.record_id % 4 == 0 and detail.end == "delivered":
            for delivery in deliveries[detail.record_id + 1 : detail.record_id + 2]:
                if delivery.cancel():
                    cancelled.add(delivery.record_id)

    buffer = make_buffer(service, settings=small(4), spool=SlowSpool(reading=0.02), hooks=[hook])
    deliveries = list[Any]()

    async def main() -> None:
        deliveries.extend(await fill(buffer, "ab" * 15))
        for place in range(10, 20):
            deliveries[place] = asyncio.get_running_loop().create_future()
            deliveries[place].set_result(None)
        gc.collect()
        await buffer.flush()
        await buffer.flush()
        assert_balanced(buffer)
        now = buffer.statistics()
        assert (now.pending, now.cancelled) == (0, len(cancelled))
        assert made
        assert all(map(is_ordered, per_visitor(service.applied)))
        await buffer.aclose()
        assert_finished(buffer, made)

    run(main())


def test_reading_back_is_tried_again_when_it_fails() -> None:
    """R1: an error of the spool, expected or not, holds up what is on disk for a second, and loses nothing."""

    async def main() -> None:
        faults = [None, SpoolError("a bad sector"), ValueError("a bug"), SpoolError("again"), None]
        service = FakeService(otherwise=Play(latency=0.1))
        buffer = make_buffer(service, settings=small(2), spool=SlowSpool(faults=faults))
        deliveries = await fill(buffer, "aaaaaa")
        assert books(await buffer.flush(60)) == {"delivered": 6}
        assert service.numbers == list(range(6))
        assert 1 < clock() < 3
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


def test_whoever_cancels_all_tasks_does_not_stop_the_reading() -> None:
    """R1: records that are on disk alone come back though the task that reads them was cancelled by somebody."""

    async def main() -> None:
        service = FakeService(OK, OK, otherwise=Play(latency=0.1))
        spool = SlowSpool(reading=0.5)
        buffer = make_buffer(service, settings=small(2), spool=spool)
        deliveries = await fill(buffer, "aaaaaa")
        while buffer.statistics().delivered < 2:
            await sleep(0.01)
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task() and task is not spool._task:
                task.cancel()
        await buffer.flush(60)
        assert service.numbers == list(range(6))
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


def test_records_that_the_spool_has_lost_are_ended() -> None:
    """R1: what is not there any more when it is read back is told as an error, and nobody waits for it for ever."""

    class Forgetful(MemorySpool):
        async def read(self, after: int, *, records: int, size: int) -> list[SpooledRecord]:
            found = await super().read(after, records=records, size=size)
            return [each for each in found if each.key <= 3]

    async def main() -> None:
        buffer = make_buffer(FakeService(otherwise=Play(latency=1.0)), settings=small(2), spool=Forgetful())
        deliveries = await fill(buffer, "aaaaa")
        assert books(await buffer.flush(60)) == {"delivered": 3, "rejected": 2}
        assert outcomes(deliveries) == ["ok"] * 3 + ["SpoolError"] * 2
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


def test_flush_covers_what_is_written_and_what_is_on_disk_alone() -> None:
    """R14: all that was accepted before the call, and nothing that came after it; pending is right at any moment."""

    async def main() -> None:
        disk, service = MemoryDisk(latency=0.5), FakeService(otherwise=Play(latency=1.0))
        buffer = make_buffer(service, settings=small(3, concurrency=1), spool=MemorySpool(disk))
        await buffer.open()
        early = [buffer.record_nowait("seen", id="ann", properties={"n": n}) for n in range(3)]
        await sleep(0.6)
        early += [buffer.record_nowait("seen", id="ann", properties={"n": n}) for n in range(3, 6)]
        assert (await buffer.flush(0)).pending == 6
        flushing = asyncio.create_task(buffer.flush())
        await sleep(1)
        late = [buffer.record_nowait("seen", id="ann", properties={"n": n}) for n in range(6, 8)]
        for _ in range(40):
            assert (await buffer.flush(0)).pending == buffer.statistics().pending
            await sleep(0.1)
        assert books(await flushing) == {"delivered": 6}
        assert clock() < 8
        assert outcomes(late) == ["pending", "pending"]
        await asyncio.gather(*late)
        await buffer.aclose()
        assert_finished(buffer, [*early, *late])

    run(main())


def test_a_flush_ends_though_later_records_were_spilled_when_the_buffer_is_closed() -> None:
    """R14: what is kept at the end is counted in each report by what that covers, and no flush() waits for ever."""

    async def main() -> None:
        buffer = make_buffer(FakeService(otherwise=NOT_SENT), settings=small(2), spool=MemorySpool())
        deliveries = await fill(buffer, "aaaaa")
        flushing = asyncio.create_task(buffer.flush())
        await sleep(1)
        deliveries += await fill(buffer, "aaaaaaa", first=5)
        second = asyncio.create_task(buffer.flush(50))
        await sleep(1)
        assert books(await buffer.aclose(0)) == {"kept": 12}
        assert books(await asyncio.wait_for(flushing, 1)) == {"kept": 5}
        assert books(await asyncio.wait_for(second, 1)) == {"kept": 12}
        assert_finished(buffer, deliveries)
        with pytest.raises(BufferClosedError, match="kept in the spool"):
            await deliveries[-1]

    run(main())


def test_reading_goes_on_when_callers_that_were_let_in_go_to_disk_after_all() -> None:
    """R1: room that was held for callers who then need none is used for what is on disk; nothing stands still."""

    async def main() -> None:
        service = FakeService(otherwise=Play(latency=1.0))
        spool = MemorySpool(MemoryDisk(latency=0.01), max_records=4)
        buffer = make_buffer(service, settings=small(2, concurrency=2), spool=spool)
        deliveries = await asyncio.gather(*(buffer.record("seen", id=f"u{n}", properties={"n": n}) for n in range(40)))
        await asyncio.wait_for(asyncio.gather(*deliveries), 300)
        assert [sent.number for sent in service.requests] == list(range(40))
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


def test_spilled_records_of_a_closed_buffer_are_there_for_the_next() -> None:
    """R1, R2: what memory held, what the disk alone held and what is new go in the order of acceptance."""
    disk = MemoryDisk()

    async def first() -> None:
        buffer = make_buffer(FakeService(otherwise=NOT_SENT), settings=small(3), spool=MemorySpool(disk))
        deliveries = await fill(buffer, "aaaaaaaa")
        report = await buffer.aclose(1)
        assert books(report) == {"kept": 8}
        assert outcomes(deliveries) == ["BufferClosedError"] * 8
        assert_finished(buffer, deliveries)

    async def second() -> None:
        service = FakeService(otherwise=Play(latency=0.1))
        buffer = make_buffer(service, settings=small(3), spool=MemorySpool(disk))
        await buffer.open()
        deliveries = await fill(buffer, "aa", first=8)
        assert books(await buffer.flush()) == {"delivered": 10}
        assert service.numbers == list(range(10))
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(first())
    run(second())
    assert disk.records == ()


def test_records_of_dead_processes_that_are_adopted_later_are_delivered() -> None:
    """R2, R14: they come before what is recorded after them, behind what was there; a flush() before ignores them."""
    heard = Collector()

    class Adopting(MemorySpool):
        async def open(self, destination: str, **told: Any) -> Opened:
            self.on_adopted = told["on_adopted"]
            return await super().open(destination, **told)

        def adopt(self, *bodies: bytes) -> None:
            for body in bodies:
                fields: dict[str, Any] = {"name": "seen", "identities": ("id:ann",), "accepted_at": time.time()}
                key = self.next_key + 5
                self.append(SpooledRecord(key=key, destination="mida:events.record", body=body, **fields))
            self.on_adopted(len(bodies))

    async def main() -> None:
        service, spool = FakeService(otherwise=Play(latency=1.0)), Adopting()
        buffer = make_buffer(service, settings=small(3), spool=spool, hooks=[heard])
        deliveries = await fill(buffer, "aa")
        flushing = asyncio.create_task(buffer.flush())
        await sleep(0.1)
        spool.adopt(*(b'{"event_name":"seen","id":"ann","properties":{"n":%d}}' % n for n in range(2, 6)))
        deliveries += await fill(buffer, "aa", first=6)
        assert_balanced(buffer)
        assert (buffer.statistics().accepted, buffer.statistics().pending) == (8, 8)
        assert books(await flushing) == {"delivered": 2}
        assert clock() < 3
        await buffer.flush()
        assert service.numbers == list(range(8))
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())
    assert len(heard.of(RecordRecovered)) == 4
