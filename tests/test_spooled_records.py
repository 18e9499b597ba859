"""A buffer with a spool: what is accepted is on disk first, and its end is on disk soon after."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import attrs
import pytest
from fake_service import (
    BAD,
    BROKEN,
    COUNTABLE_FOLDS,
    KEY,
    LOST,
    NO_LIMIT,
    NOT_SENT,
    OK,
    STALL,
    TOO_MANY,
    UNAUTHORIZED,
    Collector,
    FakeService,
    Play,
    SlowSpool,
    assert_balanced,
    assert_finished,
    assert_told,
    books,
    is_ordered,
    make_buffer,
    outcomes,
    per_visitor,
    record_all,
    response,
    run,
    sleep,
)

from mida_async import (
    AmbiguousDeliveryError,
    BufferClosedError,
    InvalidEventError,
    RetryPolicy,
    SettingsError,
    SpoolError,
)
from mida_async.instrumentation import (
    AttemptMade,
    RecordAccepted,
    RecordEnded,
    RecordRecovered,
    SpoolChanged,
    SpoolOpened,
)
from mida_async.spools.base import SpooledRecord
from mida_async.testing.memory_spool import MemoryDisk, MemorySpool

if TYPE_CHECKING:
    from collections.abc import Callable

    from mida_async import Request, Response

FOLDING: Final = attrs.evolve(NO_LIMIT, folds=COUNTABLE_FOLDS)
ONCE: Final = attrs.evolve(NO_LIMIT, guarantee="at_most_once")
NAME: Final = "mida:events.record"


def clock() -> float:
    """Return the virtual time."""
    return asyncio.get_running_loop().time()


def beat(number: int, **more: Any) -> dict[str, Any]:
    """Return the arguments of an event that can be folded."""
    return {"properties": {"n": number, "all": [number]}, **more}


def row(key: int, visitor: str, *, wall: float | None = None, **more: Any) -> SpooledRecord:
    """Return a record as an earlier process has left it."""
    body = b'{"event_name":"seen","id":"%s","properties":{"n":%d}}' % (visitor.encode(), key)
    fields: dict[str, Any] = {
        "destination": NAME,
        "name": "seen",
        "identities": (f"id:{visitor}",),
        "accepted_at": time.time() if wall is None else wall,
    }
    return SpooledRecord(key=key, body=body, **{**fields, **more})


def left_by_another(*rows: SpooledRecord) -> MemoryDisk:
    """Return a disk on which another process has left records."""
    disk = MemoryDisk()
    disk.lend(MemorySpool(disk), NAME)
    disk.give_back()
    disk.write({each.key: (each, None) for each in rows}, max((each.key for each in rows), default=0) + 1)
    return disk


@pytest.mark.parametrize("latency", [0.0, 0.2, 3.0])
def test_record_returns_when_the_record_is_on_disk(latency: float) -> None:
    """R14: not a moment before, and nothing is sent before that either."""

    async def main() -> None:
        disk, service = MemoryDisk(latency=latency), FakeService()
        buffer = make_buffer(service, spool=MemorySpool(disk))
        delivery = await buffer.record("seen", id="ann", properties={"n": 1})
        assert clock() == pytest.approx(latency)
        assert [record.key for record in disk.records] == [delivery.record_id]
        assert (await delivery).attempts == 1
        assert service.requests[0].at >= latency
        await buffer.aclose(60)
        assert_finished(buffer, [delivery])
        assert (disk.records, disk.dead) == ((), ())

    run(main())


def test_many_records_share_a_write() -> None:
    """Records that wait for the disk together need one write, whoever recorded them."""

    async def main() -> None:
        disk = MemoryDisk(latency=1.0)
        buffer = make_buffer(FakeService(otherwise=STALL), spool=MemorySpool(disk))
        await buffer.open()
        deliveries = await asyncio.gather(*(buffer.record("seen", id=f"u{n}") for n in range(200)))
        assert (clock(), disk.writes, len(disk.records)) == (1.0, 1, 200)
        await buffer.aclose(0)
        assert_finished(buffer, deliveries)

    run(main())


def test_a_record_waits_for_the_write_that_it_came_into() -> None:
    """A record that comes while the disk is busy is in the next write, and its caller waits for that one."""

    async def main() -> None:
        disk = MemoryDisk(latency=1.0)
        buffer = make_buffer(FakeService(), spool=MemorySpool(disk))
        first = asyncio.create_task(buffer.record("seen", id="ann", properties={"n": 1}))
        await sleep(0.5)
        second = asyncio.create_task(buffer.record("seen", id="ann", properties={"n": 2}))
        await first
        assert (clock(), second.done()) == (1.0, False)
        await second
        assert clock() == pytest.approx(2.0)
        await buffer.aclose(60)

    run(main())


def test_a_folded_record_returns_when_the_fold_is_on_disk() -> None:
    """R4: what melts into a record that waits is durable with it before record() returns."""

    async def main() -> None:
        disk, service = MemoryDisk(latency=1.0), FakeService(Play(latency=9))
        buffer = make_buffer(service, settings=attrs.evolve(FOLDING, concurrency=1), spool=MemorySpool(disk))
        first = await buffer.record("seen", id="bob", properties={"n": 0})
        tail = await buffer.record("beat", id="ann", **beat(1))
        before = clock()
        folded = await buffer.record("beat", id="ann", **beat(2))
        assert clock() - before == pytest.approx(1.0)
        assert folded.record_id == tail.record_id
        assert b'"all":[1,2]' in disk.records[-1].body
        assert await folded == await tail
        assert (await tail).folded == 2
        await buffer.aclose(60)
        assert_finished(buffer, [first, tail, folded])

    run(main())


def test_a_repeated_record_returns_when_the_first_is_on_disk() -> None:
    """R5: a record with the unique_id of one that is being written shares it, and waits for the disk as well."""

    async def main() -> None:
        disk, service = MemoryDisk(latency=1.0), FakeService()
        buffer = make_buffer(service, spool=MemorySpool(disk))
        await buffer.open()
        one = buffer.record_nowait("seen", id="ann", unique_id="u")
        await sleep(0.25)
        other = await buffer.record("seen", id="ann", unique_id="u")
        assert clock() == pytest.approx(1.0)
        assert (await one, len(service.requests)) == (await other, 1)
        late = await buffer.record("seen", id="ann", unique_id="u")
        assert await late == await one
        await buffer.aclose(60)
        assert_finished(buffer, [one, other, late])

    run(main())


def test_a_spilled_record_returns_when_it_is_on_disk() -> None:
    """R6: a record for which memory has no room waits for the disk, not for memory."""

    async def main() -> None:
        disk, service = MemoryDisk(latency=1.0), FakeService(otherwise=Play(latency=30))
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, max_records=1), spool=MemorySpool(disk))
        deliveries = [await buffer.record("seen", id="ann", properties={"n": n}) for n in range(3)]
        assert (clock(), buffer.statistics().spilled) == (3.0, 2)
        assert [record.key for record in disk.records] == [each.record_id for each in deliveries]
        await asyncio.gather(*deliveries)
        assert service.numbers == [0, 1, 2]
        await buffer.aclose(60)
        assert_finished(buffer, deliveries)

    run(main())


def test_record_nowait_returns_at_once() -> None:
    """What it returns resolves as any other Delivery, though the record was not on disk at the call."""

    async def main() -> None:
        disk, service = MemoryDisk(latency=2.0), FakeService(OK, BAD)
        buffer = make_buffer(service, spool=MemorySpool(disk))
        await buffer.open()
        deliveries = record_all(buffer, ["ann", "ann", "ann"])
        assert (clock(), disk.records) == (0.0, ())
        assert_balanced(buffer)
        assert buffer.statistics().pending == 3
        await asyncio.wait(deliveries)
        assert outcomes(deliveries) == ["ok", "BadRequestError", "ok"]
        assert service.requests[0].at == 2.0
        await buffer.aclose(60)
        assert_finished(buffer, deliveries)

    run(main())


def test_record_nowait_needs_an_open_spool() -> None:
    """Before the spool is open there is nothing that it could be written to."""

    async def main() -> None:
        buffer = make_buffer(FakeService(), spool=SlowSpool(opening=1.0))
        with pytest.raises(SettingsError, match="async with"):
            buffer.record_nowait("seen", id="ann")
        opening = asyncio.create_task(buffer.open())
        await sleep(0.5)
        with pytest.raises(SettingsError, match="not open yet"):
            buffer.record_nowait("seen", id="ann")
        await opening
        await buffer.record_nowait("seen", id="ann")
        await buffer.aclose()

    run(main())


def test_record_threadsafe_resolves_with_the_receipt() -> None:
    """R14, R15: from another thread, too, the record goes to disk before it is sent."""
    disk, service = MemoryDisk(), FakeService()

    async def main() -> None:
        buffer = make_buffer(service, spool=MemorySpool(disk))
        await buffer.open()
        futures = list[Any]()
        thread = threading.Thread(target=lambda: futures.append(buffer.record_threadsafe("seen", id="ann")))
        thread.start()
        thread.join()
        receipt = await asyncio.wrap_future(futures[0])
        assert (receipt.attempts, len(service.requests)) == (1, 1)
        assert disk.writes
        await buffer.aclose()

    asyncio.run(main())


def test_records_are_sent_in_the_order_of_acceptance_across_links() -> None:
    """R2, R3: a record that links two visitors comes after both of them, though all three are still being written."""

    async def main() -> None:
        disk, service = MemoryDisk(latency=0.3), FakeService(otherwise=Play(latency=0.2))
        buffer = make_buffer(service, spool=MemorySpool(disk))
        await buffer.open()
        names = [{"id": "a"}, {"email": "a@x.y"}, {"id": "a", "email": "a@x.y"}, {"email": "a@x.y"}, {"id": "a"}] * 3
        deliveries = list[Any]()
        for number, who in enumerate(names):
            deliveries.append(buffer.record_nowait("seen", **who, properties={"n": number}))
            await sleep(0.07)
        await asyncio.gather(*deliveries)
        assert is_ordered(service.numbers[2:])
        assert sorted(service.numbers) == list(range(15))
        assert service.overlaps == []
        await buffer.aclose()

    run(main())


def test_nothing_folds_past_a_record_that_is_being_written() -> None:
    """R2, R4: a record of the same visitor that is on its way to the disk came before; folding would overtake it."""

    async def main() -> None:
        disk, service = MemoryDisk(), FakeService(Play(latency=5))
        buffer = make_buffer(service, settings=attrs.evolve(FOLDING, concurrency=1), spool=MemorySpool(disk))
        deliveries = [await buffer.record("seen", id="bob", properties={"n": 0, "all": [0]})]
        deliveries.append(await buffer.record("beat", id="ann", **beat(1)))
        deliveries.append(await buffer.record("beat", id="cid", email="c@x.y", **beat(2)))
        disk.latency = 1.0
        deliveries.append(buffer.record_nowait("seen", id="ann", **beat(3)))
        deliveries.append(buffer.record_nowait("beat", id="ann", **beat(4)))
        deliveries.append(buffer.record_nowait("seen", id="dan", email="c@x.y", **beat(5)))
        deliveries.append(buffer.record_nowait("beat", id="cid", email="c@x.y", **beat(6)))
        deliveries.append(buffer.record_nowait("beat", id="eve", **beat(7)))
        await asyncio.gather(*deliveries)
        applied = [sent.properties["all"] for sent in service.applied]
        assert applied == [[0], [1], [2], [3], [5], [7], [4], [6]] or sorted(applied) == [[n] for n in range(8)]
        order = {each: place for place, (each,) in enumerate(applied)}
        assert order[1] < order[3] < order[4]
        assert order[2] < order[5] < order[6]
        await buffer.aclose()

    run(main())


def test_a_fold_goes_on_beside_other_visitors_writes() -> None:
    """R4: what others have on the way to the disk keeps nobody's records apart."""

    async def main() -> None:
        disk, service = MemoryDisk(), FakeService(Play(latency=5))
        buffer = make_buffer(service, settings=attrs.evolve(FOLDING, concurrency=1), spool=MemorySpool(disk))
        first = await buffer.record("seen", id="bob", properties={"n": 0})
        tail = await buffer.record("beat", id="ann", **beat(1))
        disk.latency = 1.0
        other = buffer.record_nowait("seen", id="cid", properties={"n": 2})
        folded = buffer.record_nowait("beat", id="ann", **beat(3))
        await asyncio.gather(first, tail, other, folded)
        assert (await folded).folded == 2
        await buffer.aclose()

    run(main())


@pytest.mark.parametrize("late", ["flush", "aclose"])
def test_what_lingers_and_is_being_written_goes_when_asked(late: str) -> None:
    """R4, R14: flush() and aclose() cut the linger of a record that is not on disk yet, too."""

    async def main() -> None:
        disk, service = MemoryDisk(latency=1.0), FakeService()
        buffer = make_buffer(service, settings=attrs.evolve(FOLDING, linger=50.0), spool=MemorySpool(disk))
        await buffer.open()
        deliveries = [buffer.record_nowait("beat", id="ann", **beat(1))]
        assert books(await getattr(buffer, late)(20)) == {"delivered": 1}
        assert clock() < 3
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


def test_a_settlement_is_on_disk_within_a_second() -> None:
    """An answer that came more than a second before a crash is not asked for again."""
    disk = MemoryDisk()

    async def main() -> None:
        buffer = make_buffer(FakeService(OK, BAD, LOST), settings=ONCE, spool=MemorySpool(disk))
        deliveries = [await buffer.record("seen", id="ann") for _ in range(3)]
        await asyncio.wait(deliveries)
        await sleep(1.0)
        assert (disk.records, len(disk.dead)) == ((), 2)
        await buffer.aclose()

    run(main())


ENDS: Final[dict[str, tuple[Play, dict[str, Any], str | None]]] = {
    "delivered": (OK, {}, None),
    "rejected": (BAD, {}, "rejected: BadRequestError: "),
    "expired": (NOT_SENT, {"max_age": 2.0}, "expired: EventExpiredError: "),
    "ambiguous": (LOST, {"guarantee": "at_most_once"}, "ambiguous: AmbiguousDeliveryError: "),
}


@pytest.mark.parametrize("end", ENDS)
def test_what_becomes_of_the_row(end: str) -> None:
    """R1: what was delivered is forgotten; what failed for good is a dead letter that says how, and why."""
    play, changes, reason = ENDS[end]
    disk = MemoryDisk()

    async def main() -> None:
        settings = attrs.evolve(NO_LIMIT, **changes)
        buffer = make_buffer(FakeService(otherwise=play), settings=settings, spool=MemorySpool(disk))
        delivery = await buffer.record("seen", id="ann", properties={"n": 1})
        await asyncio.wait([delivery])
        assert books(buffer.statistics()) == {end: 1}
        await buffer.aclose()
        assert_finished(buffer, [delivery])
        assert disk.records == ()
        if reason is None:
            assert disk.dead == ()
        else:
            (dead,) = disk.dead
            assert dead.reason.startswith(reason)
            assert str(delivery.exception()) in dead.reason
            assert b'"n":1' in dead.record.body

    run(main())


def test_what_was_withdrawn_or_dropped_is_forgotten() -> None:
    """R6, R13: a cancelled record and one that was dropped for another are gone from the disk."""
    disk = MemoryDisk()

    async def main() -> None:
        settings = attrs.evolve(NO_LIMIT, overflow="drop_oldest", concurrency=1)
        service = FakeService(otherwise=Play(latency=5))
        buffer = make_buffer(service, settings=settings, spool=MemorySpool(disk, max_records=3))
        deliveries = [await buffer.record("seen", id="ann", properties={"n": n}) for n in range(3)]
        deliveries.append(await buffer.record("seen", id="ann", properties={"n": 3}))
        deliveries[2].cancel()
        await sleep(1.0)
        assert [record.key for record in disk.records] == [deliveries[0].record_id, deliveries[3].record_id]
        await asyncio.wait(deliveries)
        assert outcomes(deliveries) == ["ok", "EventDroppedError", "cancelled", "ok"]
        await buffer.aclose()
        assert (disk.records, disk.dead) == ((), ())

    run(main())


def test_a_dead_letter_never_has_the_key() -> None:
    """R17: a server that echoes the API key does not get it into a file."""
    disk = MemoryDisk()

    async def main() -> None:
        echo = Play(outcome=response(400, f"the key {KEY} may not do this"))
        buffer = make_buffer(FakeService(otherwise=echo), spool=MemorySpool(disk))
        await asyncio.wait([await buffer.record("seen", id="ann")])
        await buffer.aclose()
        (dead,) = disk.dead
        assert "may not do this" in dead.reason
        assert KEY not in repr(dead)
        assert KEY.encode() not in dead.record.body

    run(main())


def test_attempts_and_doubt_are_noted_and_come_back() -> None:
    """R10: the next process knows how often a record was sent and that it may be there; its receipt says so."""
    disk, heard = MemoryDisk(), Collector()

    async def first() -> None:
        service = FakeService(LOST, NOT_SENT, otherwise=STALL)
        buffer = make_buffer(service, retry=RetryPolicy(initial=0.1, maximum=0.1), spool=MemorySpool(disk))
        delivery = await buffer.record("seen", id="ann", properties={"n": 1})
        await sleep(3)
        assert [(record.attempts, record.ambiguous) for record in disk.records] == [(2, True)]
        assert books(await buffer.aclose(0)) == {"kept": 1}
        assert outcomes([delivery]) == ["BufferClosedError"]
        assert [(record.attempts, record.ambiguous) for record in disk.records] == [(3, True)]

    async def second() -> None:
        buffer = make_buffer(FakeService(), spool=MemorySpool(disk), hooks=[heard])
        await buffer.open()
        await buffer.flush()
        await buffer.aclose()

    run(first())
    run(second())
    (recovered,), (ended,) = heard.of(RecordRecovered), heard.of(RecordEnded)
    assert (recovered.attempts, recovered.event_name) == (3, "seen")
    assert (ended.attempts, ended.end, ended.maybe_applied) == (4, "delivered", True)


def test_what_another_process_tried_uses_up_no_attempts() -> None:
    """R9: a record that was sent often before gets all its attempts again, and is not given up for the old ones."""
    disk = left_by_another(row(1, "ann", attempts=7))

    async def main() -> None:
        service = FakeService(*[TOO_MANY] * 3)
        retry = RetryPolicy(max_attempts=4, initial=0.1)
        buffer = make_buffer(service, spool=MemorySpool(disk), retry=retry, wall_clock=clock)
        await buffer.open()
        assert books(await buffer.flush()) == {"delivered": 1}
        assert len(service.requests) == 4
        await buffer.aclose()
        assert (disk.records, disk.dead) == ((), ())

    run(main())


def test_recovered_records_go_first_and_in_order() -> None:
    """R2: what an earlier process left goes before what is new, in its order; it has no Delivery, hooks are told."""
    disk, heard = left_by_another(*(row(n, "ann", wall=10.0 + n) for n in (3, 5, 8))), Collector()

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, spool=MemorySpool(disk), hooks=[heard], wall_clock=lambda: 100 + clock())
        await buffer.open()
        assert (buffer.statistics().accepted, buffer.statistics().pending) == (3, 3)
        delivery = await buffer.record("seen", id="ann", properties={"n": 9})
        assert delivery.record_id == 9
        await delivery
        assert per_visitor(service.applied) == [[3, 5, 8, 9]]
        assert books(buffer.statistics()) == {"delivered": 4}
        await buffer.aclose()
        assert_finished(buffer, [delivery])

    run(main())
    assert heard.details[0] == SpoolOpened(records=3, remarks=())
    recovered = heard.of(RecordRecovered)
    assert [(each.record_id, each.age, each.attempts) for each in recovered] == [(3, 87, 0), (5, 85, 0), (8, 82, 0)]
    assert all(each.event_name == "seen" and each.size > 40 for each in recovered)
    assert [each.record_id for each in heard.of(RecordAccepted)] == [9]
    assert [(each.record_id, each.records) for each in heard.of(RecordEnded)] == [(3, 1), (5, 1), (8, 1), (9, 1)]


def test_a_hook_that_records_when_it_hears_of_the_spool_harms_nothing() -> None:
    """R1, R2: a record that is made while the spool is being opened comes behind what was there, and hides nothing."""
    disk = left_by_another(row(1, "ann"), row(2, "ann"))

    def hook(detail: object) -> None:
        if isinstance(detail, (SpoolOpened, RecordRecovered)):
            made.append(buffer.record_nowait("seen", id="ann", properties={"n": 10 + len(made)}))

    made = list[Any]()
    service = FakeService()
    buffer = make_buffer(service, spool=MemorySpool(disk), hooks=[hook])

    async def main() -> None:
        await buffer.open()
        assert books(await buffer.flush(60)) == {"delivered": 5}
        assert per_visitor(service.applied) == [[1, 2, 10, 11, 12]]
        await buffer.aclose()
        assert_finished(buffer, made)

    run(main())


def test_a_recovered_record_is_not_withdrawn_with_one_that_repeats_it() -> None:
    """R5, R13: cancelling the Delivery of a repetition lets go of that; the record itself was somebody else's."""
    disk = left_by_another(row(1, "ann", unique_id="u"), row(2, "ann", unique_id="v"))

    async def main() -> None:
        service = FakeService(Play(latency=5))
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, concurrency=1), spool=MemorySpool(disk))
        await buffer.open()
        delivery = await buffer.record("seen", id="ann", properties={"n": 3}, unique_id="v")
        assert delivery.record_id == 2
        delivery.cancel()
        assert books(await buffer.flush()) == {"delivered": 3}
        assert service.numbers == [1, 2]
        await buffer.aclose()

    run(main())


def test_a_record_for_somebody_else_is_a_dead_letter() -> None:
    """A record for a destination that this client does not have is set aside, and says so; the others go on."""
    disk = left_by_another(row(1, "ann", destination="klaviyo:events"), row(2, "ann"))

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, spool=MemorySpool(disk))
        await buffer.open()
        await buffer.flush()
        assert books(buffer.statistics()) == {"delivered": 1, "rejected": 1}
        await buffer.aclose()
        (dead,) = disk.dead
        assert dead.reason.startswith("rejected: SpoolError: ")
        assert "klaviyo:events" in dead.reason

    run(main())


def test_a_marked_record_is_not_sent_again() -> None:
    """R10: at_most_once ends what was being sent at a crash, without asking the service, and keeps it aside."""
    rows = (row(1, "ann", in_flight=True), row(2, "ann"), row(3, "bob", in_flight=True))
    disk, heard = left_by_another(*rows), Collector()

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, settings=ONCE, spool=MemorySpool(disk), hooks=[heard])
        await buffer.open()
        await buffer.flush()
        assert service.numbers == [2]
        assert books(buffer.statistics()) == {"ambiguous": 2, "delivered": 1}
        await buffer.aclose()
        assert [dead.record.key for dead in disk.dead] == [1, 3]
        assert all(dead.reason.startswith("ambiguous: AmbiguousDeliveryError: ") for dead in disk.dead)

    run(main())
    error = next(each.error for each in heard.of(RecordEnded) if each.record_id == 1)
    assert isinstance(error, AmbiguousDeliveryError)


def test_at_most_once_marks_before_it_sends() -> None:
    """R10: the mark is durable before the request goes out, and gone when nothing was applied."""
    disk, seen = MemoryDisk(latency=0.2), list[list[bool]]()

    class Looking(FakeService):
        async def send(self, request: Request, *, total: float) -> Response:
            seen.append([record.in_flight for record in disk.records])
            return await super().send(request, total=total)

    async def main() -> None:
        buffer = make_buffer(Looking(NOT_SENT), settings=ONCE, spool=MemorySpool(disk))
        delivery = await buffer.record("seen", id="ann")
        await delivery
        assert seen == [[True], [True]]
        await buffer.aclose()
        assert disk.records == ()

    run(main())


def test_a_sender_that_is_cancelled_before_it_sends_loses_nothing() -> None:
    """R1, R10: whoever cancels all tasks while a mark is being written leaves the record to the next sender."""
    disk = MemoryDisk()

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, settings=ONCE, spool=MemorySpool(disk))
        await buffer.record("seen", id="bob", properties={"n": 0})
        await buffer.flush()
        disk.latency = 0.5
        delivery = await buffer.record("seen", id="ann", properties={"n": 1})
        await sleep(0.1)
        for task in asyncio.all_tasks():
            if task.get_name() == "mida_async sender":
                task.cancel()
        receipt = await asyncio.wait_for(asyncio.shield(delivery), 30)
        assert (receipt.attempts, service.numbers) == (1, [0, 1])
        assert buffer.statistics().attempts == 2
        await buffer.aclose()
        assert_finished(buffer, [delivery])

    run(main())


def test_an_id_that_no_disk_takes_is_refused_at_the_call() -> None:
    """R7: it raises there and then; nothing was queued, and no room is lost."""

    async def main() -> None:
        for limit in (100, 1):
            service = FakeService(otherwise=Play(latency=2))
            settings = attrs.evolve(NO_LIMIT, max_records=limit)
            buffer = make_buffer(service, settings=settings, spool=MemorySpool())
            deliveries = [await buffer.record("seen", id="ann", properties={"n": 0})]
            for call in (buffer.record_nowait, buffer.record):
                with pytest.raises(InvalidEventError):
                    await call("seen", id="ann", unique_id="\ud800", properties={"n": 1})
            assert_balanced(buffer)
            assert buffer.statistics().accepted == 1
            await buffer.aclose()
            assert_finished(buffer, deliveries)

    run(main())


def test_all_details_add_up() -> None:
    """R1: with a spool as without one, hooks hear of each record once and of each end once."""
    disk, heard = MemoryDisk(latency=0.01), Collector()

    async def main() -> None:
        service = FakeService(OK, BAD, BROKEN, NOT_SENT, TOO_MANY)
        buffer = make_buffer(service, settings=FOLDING, spool=MemorySpool(disk), hooks=[heard])
        deliveries = list[Any]()
        for number in range(30):
            name = ("seen", "beat")[number % 2]
            deliveries.append(await buffer.record(name, id=f"u{number % 3}", **beat(number)))
            assert_balanced(buffer)
        deliveries += [await buffer.record("seen", id="ann", **beat(99), unique_id="u") for _ in range(3)]
        deliveries[7].cancel()
        await buffer.aclose(60)
        assert_finished(buffer, deliveries)
        assert_told(heard, buffer.statistics())

    run(main())


def test_a_disk_that_fails_is_told_once() -> None:
    """One line and one detail when the disk cannot be written, one each when it can again; nothing is lost."""
    disk, heard = MemoryDisk(), Collector()
    lines = list[tuple[int, str]]()

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append((record.levelno, record.getMessage()))

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, spool=MemorySpool(disk), hooks=[heard])
        await buffer.open()
        disk.fill_up()
        calls = [asyncio.create_task(buffer.record("seen", id="ann", properties={"n": n})) for n in range(5)]
        await sleep(100)
        assert not any(call.done() for call in calls)
        assert service.requests == []
        disk.failure = None
        deliveries = [await call for call in calls]
        assert clock() < 101
        await asyncio.gather(*deliveries)
        assert service.numbers == [0, 1, 2, 3, 4]
        await buffer.aclose()

    logger, handler = logging.getLogger("mida_async"), Lines()
    logger.addHandler(handler)
    before = logger.level
    logger.setLevel(logging.INFO)
    try:
        run(main())
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
    assert [detail.writable for detail in heard.of(SpoolChanged)] == [False, True]
    assert isinstance(heard.of(SpoolChanged)[0].error, SpoolError)
    assert [level for level, line in lines if "written" in line] == [logging.WARNING, logging.INFO]
    assert "No space left" in lines[0][1]


CLOCKS: Final = {"back": -1e6, "a little back": -30.0, "as it was": 0.0, "forward": 40.0}


@pytest.mark.parametrize("way", CLOCKS)
def test_the_age_of_a_record_lasts_over_a_restart(way: str) -> None:
    """R16: max_age counts from the acceptance by an earlier process; a clock that was set back makes nobody expire."""
    disk, heard = MemoryDisk(), Collector()
    settings = attrs.evolve(NO_LIMIT, max_age=100.0)

    async def first() -> None:
        buffer = make_buffer(
            FakeService(otherwise=NOT_SENT),
            settings=settings,
            spool=MemorySpool(disk),
            wall_clock=lambda: 1e9 + clock(),
        )
        await buffer.record("seen", id="ann")
        await sleep(50)
        await buffer.aclose(0)

    async def second() -> float:
        wall = 1e9 + 50 + CLOCKS[way]
        service = FakeService(otherwise=NOT_SENT)
        buffer = make_buffer(
            service, settings=settings, spool=MemorySpool(disk), hooks=[heard], wall_clock=lambda: wall + clock()
        )
        await buffer.open()
        assert books(await buffer.flush()) == {"expired": 1}
        await buffer.aclose()
        return clock()

    run(first())
    lasted = run(second())
    age = max(0.0, 50 + CLOCKS[way])
    assert heard.of(RecordRecovered)[0].age == pytest.approx(age)
    assert lasted == pytest.approx(100 - age)
    assert [dead.reason.split(":")[0] for dead in disk.dead] == ["expired"]


def test_a_refused_key_keeps_what_waits() -> None:
    """R12: after three 401s in a row nothing more is rejected; one request in 15 s asks until all may go."""
    disk = MemoryDisk()

    async def main() -> None:
        service = FakeService(otherwise=UNAUTHORIZED)
        settings = attrs.evolve(NO_LIMIT, max_records=40)
        buffer = make_buffer(service, settings=settings, spool=MemorySpool(disk))
        deliveries = [await buffer.record("seen", id=f"u{n % 7}", properties={"n": n}) for n in range(100)]
        await sleep(600)
        assert outcomes(deliveries).count("AuthenticationError") <= settings.concurrency
        rejected = buffer.statistics().rejected
        before = len(service.requests)
        await sleep(600)
        assert len(service.requests) - before <= 41
        assert buffer.statistics().rejected == rejected == 2
        service.otherwise = OK
        await buffer.flush(60)
        assert books(buffer.statistics()) == {"delivered": 98, "rejected": 2}
        assert all(map(is_ordered, per_visitor(service.applied)))
        await buffer.aclose()
        assert len(disk.dead) == 2
        assert KEY not in repr(disk.dead)

    run(main())


def test_a_key_that_is_refused_at_close_loses_nothing() -> None:
    """R12, R14: what waits for a good key is kept, and the next process delivers it."""
    disk = MemoryDisk()

    async def first() -> None:
        buffer = make_buffer(FakeService(otherwise=UNAUTHORIZED), spool=MemorySpool(disk))
        deliveries = [await buffer.record("seen", id="ann", properties={"n": n}) for n in range(10)]
        report = await buffer.aclose(20)
        assert books(report) == {"kept": 8, "rejected": 2} or report.kept == 8
        assert_finished(buffer, deliveries)

    async def second() -> None:
        service = FakeService()
        buffer = make_buffer(service, spool=MemorySpool(disk))
        await buffer.open()
        assert books(await buffer.flush()) == {"delivered": 8}
        assert service.numbers == list(range(2, 10))
        await buffer.aclose()

    run(first())
    run(second())


def test_opening_that_fails_can_be_tried_again() -> None:
    """A spool that cannot be opened raises SpoolError at each call, and is opened by the first that can."""

    async def main() -> None:
        disk = MemoryDisk()
        blocker = MemorySpool(disk)
        await blocker.open(NAME, on_durable=lambda _: None, on_trouble=lambda _: None)
        buffer = make_buffer(FakeService(), spool=MemorySpool(disk))
        calls: tuple[Callable[[], Any], ...] = (buffer.open, lambda: buffer.record("seen", id="ann"), buffer.open)
        for call in calls:
            with pytest.raises(SpoolError, match="in use"):
                await call()
        assert buffer.statistics().accepted == 0
        assert books(await buffer.flush(1)) == {}
        await blocker.aclose(1)
        delivery = await buffer.record("seen", id="ann")
        await delivery
        await buffer.aclose()
        assert_finished(buffer, [delivery])

    run(main())


def test_first_calls_open_together() -> None:
    """Calls that come at the same time open the spool once, and all of them hear it when that fails."""

    async def main() -> None:
        spool = SlowSpool(opening=1.0, faults=[SpoolError("no such folder"), None])
        buffer = make_buffer(FakeService(), spool=spool)

        async def attempt(number: int) -> Any:
            return await buffer.record("seen", id="ann", properties={"n": number})

        errors = await asyncio.gather(*map(attempt, range(5)), return_exceptions=True)
        assert [str(error) for error in errors] == ["no such folder"] * 5
        assert len(set(map(id, errors))) == 5
        assert spool.opens == 1
        deliveries = await asyncio.gather(*map(attempt, range(5)))
        assert spool.opens == 2
        await asyncio.gather(*deliveries)
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


def test_a_call_that_fails_to_open_does_not_end_the_attempt_of_another() -> None:
    """A second attempt that is under way when the first one's callers hear of its failure is not started twice."""

    async def main() -> None:
        spool = SlowSpool(opening=1.0, faults=[SpoolError("no such folder"), None])
        buffer = make_buffer(FakeService(), spool=spool)

        async def again() -> Any:
            with pytest.raises(SpoolError):
                await buffer.open()
            return await buffer.record("seen", id="ann")

        deliveries = await asyncio.gather(*(again() for _ in range(4)))
        assert spool.opens == 2
        await asyncio.gather(*deliveries)
        await buffer.aclose()

    run(main())


def test_a_cancelled_opening_goes_on() -> None:
    """R13: whoever gives up waiting for the spool stops nobody; a failure that nobody waits for is no complaint."""

    async def main() -> None:
        spool = SlowSpool(opening=1.0, faults=[SpoolError("no such folder"), None])
        buffer = make_buffer(FakeService(), spool=spool)
        for _ in range(2):  # the first attempt fails
            call = asyncio.create_task(buffer.record("seen", id="ann"))
            await sleep(0.5)
            call.cancel()
            await asyncio.wait([call])
            await sleep(1)
        assert (spool.opens, buffer.statistics().accepted) == (2, 0)
        buffer.record_nowait("seen", id="ann")
        assert books(await buffer.aclose()) == {"delivered": 1}

    run(main())


def test_an_unforeseen_error_at_opening_can_be_tried_again() -> None:
    """R1: an error that no spool should raise reaches the caller, and the next call tries again."""

    async def main() -> None:
        spool = SlowSpool(faults=[RuntimeError("a bug"), None])
        buffer = make_buffer(FakeService(), spool=spool)
        with pytest.raises(RuntimeError, match="a bug"):
            await buffer.record("seen", id="ann")
        await (await buffer.record("seen", id="ann"))
        await buffer.aclose()

    run(main())


def test_the_spool_of_another_service_is_refused() -> None:
    """Bodies would go to the wrong place."""

    async def main() -> None:
        disk = MemoryDisk()
        other = MemorySpool(disk)
        await other.open("klaviyo:events", on_durable=lambda _: None, on_trouble=lambda _: None)
        await other.aclose(1)
        buffer = make_buffer(FakeService(), spool=MemorySpool(disk))
        with pytest.raises(SpoolError, match="klaviyo:events"):
            await buffer.open()
        await buffer.aclose()
        with pytest.raises(BufferClosedError):
            await buffer.record("seen", id="ann")

    run(main())


def test_cancelling_record_withdraws_what_is_being_written() -> None:
    """R13: a call that is cancelled while it waits for the disk leaves nothing behind, in memory or on disk."""

    async def main() -> None:
        disk, service = MemoryDisk(latency=1.0), FakeService()
        buffer = make_buffer(service, spool=MemorySpool(disk))
        await buffer.open()
        calls = [asyncio.create_task(buffer.record("seen", id="ann", properties={"n": n})) for n in range(3)]
        await sleep(0.5)
        calls[1].cancel()
        await asyncio.wait(calls)
        assert books(await buffer.flush()) == {"delivered": 2} or service.numbers == [0, 2]
        await sleep(2)
        assert service.numbers == [0, 2]
        assert books(buffer.statistics()) == {"cancelled": 1, "delivered": 2}
        assert disk.records == ()
        await buffer.aclose()

    run(main())


def test_an_attempt_is_told_after_the_mark_alone() -> None:
    """R10: while the disk holds up the mark nothing counts as sent, to hooks and to the books."""

    async def main() -> None:
        disk, heard = MemoryDisk(), Collector()
        buffer = make_buffer(FakeService(), settings=ONCE, spool=MemorySpool(disk), hooks=[heard])
        delivery = await buffer.record("seen", id="ann")
        disk.fill_up()
        await sleep(1)
        assert heard.of(AttemptMade) == []
        assert books(await buffer.aclose(0)) == {"kept": 1}
        assert_finished(buffer, [delivery])
        assert_told(heard, buffer.statistics())
        assert math.isclose(clock(), 1.3, abs_tol=0.2)

    run(main())


class Odd(BaseException):
    """What is no Exception, as a KeyboardInterrupt is none."""


def test_what_breaks_into_a_sender_makes_no_dead_letter() -> None:
    """R1: an interruption is not the record's fault: it is sent again, or kept for the next process."""

    async def main() -> None:
        disk = MemoryDisk()
        buffer = make_buffer(FakeService(Play(outcome=Odd())), spool=MemorySpool(disk))
        receipt = await (await buffer.record("seen", id="1", properties={"n": 1}))
        assert (receipt.attempts, receipt.may_be_duplicate) == (2, True)
        await buffer.aclose()
        assert (disk.records, disk.dead) == ((), ())

    run(main())
