"""R6, R7 and R13: who gets in, what happens to the rest, and what cancelling does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from fake_service import (
    NO_LIMIT,
    NOT_SENT,
    OK,
    STALL,
    UNKNOWN_VISITOR,
    Collector,
    FakeService,
    assert_balanced,
    assert_finished,
    books,
    is_ordered,
    make_buffer,
    outcomes,
    record_all,
    room,
    run,
    sleep,
)

from mida_async import BufferFullError, EventDroppedError, InvalidEventError
from mida_async.instrumentation import RecordAccepted, RecordEnded

if TYPE_CHECKING:
    from mida_async._delivery.buffer import EventBuffer
    from mida_async._delivery.delivery import Delivery


def small(**changes: Any) -> Any:
    """Return settings with room for three records."""
    return attrs.evolve(NO_LIMIT, **{"max_records": 3, **changes})


async def record(buffer: EventBuffer[...], n: int, size: int = 0) -> Delivery:
    """Record one event of a visitor of its own."""
    return await buffer.record("seen", id=f"u{n}", properties={"n": n, "text": "x" * size})


def test_callers_get_room_strictly_in_the_order_in_which_they_came() -> None:
    """R6: with large and small records, whoever came first is accepted first; nothing is lost."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, settings=small(max_bytes=1200, concurrency=2))
        calls = [asyncio.create_task(record(buffer, n, (1000, 10, 300, 10)[n % 4])) for n in range(40)]
        await sleep(0)
        assert buffer.statistics().callers == 38
        deliveries = [await call for call in calls]
        assert [delivery.record_id for delivery in deliveries] == list(range(1, 41))
        await buffer.flush()
        assert sorted(service.numbers) == list(range(40))
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


def test_record_nowait_does_not_overtake_those_who_wait() -> None:
    """R6: as long as anybody waits for room, record_nowait raises, though a small record would fit."""

    async def main() -> None:
        buffer = make_buffer(FakeService(otherwise=STALL), settings=small(max_bytes=500))
        first = await record(buffer, 0, 300)
        waiting = asyncio.create_task(record(buffer, 1, 300))
        await sleep(0)
        with pytest.raises(BufferFullError, match=r"1 of 3 records, \d+ of 500 bytes, 1 callers waiting"):
            buffer.record_nowait("seen", id="small")
        waiting.cancel()
        await sleep(0)
        small_one = buffer.record_nowait("seen", id="small")
        assert buffer.statistics().callers == 0
        await buffer.aclose(0)
        assert_finished(buffer, [first, small_one])

    run(main())


def test_records_in_flight_and_between_attempts_keep_their_room() -> None:
    """R6: max_records bounds what waits, is in flight and is retried together, and each end frees its room once."""

    async def main() -> None:
        service = FakeService(UNKNOWN_VISITOR, STALL)
        buffer = make_buffer(service, settings=small(concurrency=2, unknown_visitor="wait"), total=100)
        deliveries = record_all(buffer, ["ann", "bob", "bob"])
        await sleep(0.5)
        now = buffer.statistics()
        assert (now.retrying, now.in_flight, now.waiting, now.pending) == (1, 1, 2, 3)
        assert now.bytes == room(buffer)[1] > 0
        with pytest.raises(BufferFullError):
            record_all(buffer, ["cid"])
        await deliveries[0]
        assert room(buffer)[0] == 2
        deliveries += record_all(buffer, ["cid"])
        await buffer.aclose(0)
        assert_finished(buffer, deliveries)

    run(main())


@pytest.mark.parametrize("overflow", ["wait", "raise", "drop_oldest", "drop_newest"])
def test_what_can_never_fit_raises_at_the_call(overflow: str) -> None:
    """R6: a record larger than max_bytes is refused in every mode; nothing is dropped for it."""

    async def main() -> None:
        buffer = make_buffer(FakeService(otherwise=STALL), settings=small(max_bytes=200, overflow=overflow))
        kept = await record(buffer, 0)
        for call in (record(buffer, 1, 500),):
            with pytest.raises(BufferFullError, match="can never fit"):
                await call
        with pytest.raises(BufferFullError, match="can never fit"):
            buffer.record_nowait("seen", id="x" * 500)
        assert (outcomes([kept]), buffer.statistics().accepted) == (["pending"], 1)
        await buffer.aclose(0)

    run(main())


def test_raise_refuses_what_finds_no_room() -> None:
    """R6: overflow='raise' raises BufferFullError at once and takes the next record when there is room again."""

    async def main() -> None:
        buffer = make_buffer(FakeService(), settings=small(overflow="raise"))
        deliveries = record_all(buffer, ["ann"] * 3)
        with pytest.raises(BufferFullError, match="3 of 3 records") as caught:
            await record(buffer, 3)
        assert caught.value.retriable
        await deliveries[0]
        deliveries += [await record(buffer, 4)]
        await buffer.aclose()
        assert outcomes(deliveries) == ["ok"] * 4
        assert_finished(buffer, deliveries)

    run(main())


def test_drop_newest_drops_the_new_record() -> None:
    """R6: overflow='drop_newest' ends the new record with EventDroppedError, and hooks hear of it."""

    async def main() -> None:
        heard = Collector()
        service = FakeService()
        buffer = make_buffer(service, settings=small(overflow="drop_newest"), hooks=[heard])
        deliveries = record_all(buffer, ["ann"] * 5)
        assert outcomes(deliveries) == ["pending"] * 3 + ["EventDroppedError"] * 2
        with pytest.raises(EventDroppedError, match="drop_newest"):
            await deliveries[-1]
        assert_balanced(buffer)
        await buffer.flush()
        assert service.numbers == [0, 1, 2]
        assert books(buffer.statistics()) == {"delivered": 3, "dropped": 2}
        ended = [(detail.record_id, detail.end) for detail in heard.of(RecordEnded)]
        assert ended == [(4, "dropped"), (5, "dropped"), (1, "delivered"), (2, "delivered"), (3, "delivered")]
        assert len(heard.of(RecordAccepted)) == 5
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


def test_drop_oldest_drops_what_has_waited_longest() -> None:
    """R6: overflow='drop_oldest' ends waiting records, oldest first, until the new one fits; none in flight."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, settings=small(overflow="drop_oldest", max_records=4, max_bytes=400))
        deliveries = record_all(buffer, ["ann"])
        await sleep(0.01)
        deliveries += record_all(buffer, ["bob", "ann", "cid"])
        deliveries += [await record(buffer, 4, 150)]
        assert outcomes(deliveries)[:4] == ["pending", "EventDroppedError", "pending", "pending"]
        deliveries += [await record(buffer, 5, 150)]
        assert_balanced(buffer)
        with pytest.raises(EventDroppedError, match="drop_oldest"):
            await deliveries[1]
        await buffer.flush()
        found = outcomes(deliveries)
        assert (found[0], found[5]) == ("ok", "ok")
        assert found[1:4] != ["EventDroppedError", "pending", "pending"]
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


def test_a_storm_of_drops_keeps_the_newest_and_the_order() -> None:
    """R6: a hundred times more records than room: the newest survive, in order, and nothing gets slow."""

    async def main() -> None:
        service = FakeService(attrs.evolve(OK, latency=1.0))
        buffer = make_buffer(service, settings=small(max_records=50, overflow="drop_oldest"))
        deliveries = [await record(buffer, 0)]
        await sleep(0.01)
        deliveries += record_all(buffer, ["ann"] * 5000)
        assert buffer.statistics().dropped == 4951
        await buffer.flush()
        assert service.numbers[:1] == [4951]
        assert is_ordered(number for number in service.numbers if number)
        assert len(service.numbers) == 50
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


def test_drop_oldest_waits_where_all_is_in_flight() -> None:
    """R6: where nothing waits that could give way, record() waits in line and record_nowait() raises."""

    async def main() -> None:
        buffer = make_buffer(FakeService(), settings=small(max_records=2, overflow="drop_oldest"))
        deliveries = record_all(buffer, ["ann", "bob"])
        await sleep(0.01)
        with pytest.raises(BufferFullError):
            record_all(buffer, ["cid"])
        calls = [asyncio.create_task(record(buffer, n)) for n in range(2)]
        deliveries += [await call for call in calls]
        await buffer.flush()
        assert outcomes(deliveries) == ["ok"] * 4
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


def test_with_drop_oldest_those_who_wait_come_first() -> None:
    """R6: a record that goes back to waiting gives way to the caller in line, and a newcomer stands behind it."""

    async def main() -> None:
        service = FakeService(UNKNOWN_VISITOR, OK)
        settings = small(max_records=1, overflow="drop_oldest", unknown_visitor="wait")
        buffer = make_buffer(service, settings=settings)
        deliveries = record_all(buffer, ["ann"])
        await sleep(0.01)
        first = asyncio.create_task(record(buffer, 1))
        await sleep(0.1)  # ann's record waits again
        second = asyncio.create_task(record(buffer, 2))
        deliveries += [await first, await second]
        assert [delivery.record_id for delivery in deliveries] == [1, 2, 3]
        await buffer.aclose()
        assert outcomes(deliveries)[0] == "EventDroppedError"
        assert_finished(buffer, deliveries)

    run(main())


@pytest.mark.parametrize(
    "bad",
    [
        {"event_name": "", "id": "ann"},
        {"event_name": "seen"},
        {"event_name": "seen", "id": " "},
        {"event_name": "seen", "id": 5},
        {"event_name": "seen", "id": "ann", "properties": [1]},
        {"event_name": "seen", "id": "ann", "properties": {"a": float("nan")}},
        {"event_name": "seen", "id": "ann", "properties": {"a": b"bytes"}},
        {"event_name": "seen", "id": "ann", "properties": {"a": "x" * 2**20}},
        {"event_name": "seen", "id": "ann", "unique_id": ""},
    ],
)
def test_bad_input_raises_at_the_call_and_queues_nothing(bad: dict[str, Any]) -> None:
    """R7: record, record_nowait and record_threadsafe refuse at once; no room is taken, nothing is counted or sent."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, settings=small())
        buffer.bind()
        with pytest.raises(InvalidEventError):
            await buffer.record(**bad)
        with pytest.raises(InvalidEventError):
            buffer.record_nowait(**bad)
        with pytest.raises(InvalidEventError):
            buffer.record_threadsafe(**bad)
        assert (room(buffer), buffer.statistics().accepted) == ((0, 0), 0)
        await buffer.aclose()
        assert service.requests == []

    run(main())


def test_later_changes_to_the_callers_objects_do_not_matter() -> None:
    """R7: what is sent is what was given at the call, also for a record that had to wait for room."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, settings=small(max_records=1))
        record_all(buffer, ["ann"])
        properties = {"n": 7}
        waiting = asyncio.create_task(buffer.record("seen", id="bob", properties=properties))
        await sleep(0)
        properties["n"] = 8
        await (await waiting)
        assert service.numbers == [0, 7]
        await buffer.aclose()

    run(main())


def test_cancelling_a_waiting_delivery_withdraws_the_record() -> None:
    """R13: it is never sent, its room is free at once, the next caller gets it, and it counts as cancelled."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, settings=small(concurrency=1))
        deliveries = record_all(buffer, ["ann", "ann", "ann"])
        await sleep(0.01)
        waiting = asyncio.create_task(record(buffer, 3))
        await sleep(0)
        assert deliveries[1].cancel()
        assert not deliveries[1].cancel()
        deliveries += [await waiting]
        assert books(buffer.statistics()) == {"cancelled": 1}
        await buffer.flush()
        assert [number for number in service.numbers if number in (0, 1, 2)] == [0, 2]
        assert outcomes(deliveries) == ["ok", "cancelled", "ok", "ok"]
        assert not deliveries[0].cancel()
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


def test_cancelling_in_flight_only_detaches() -> None:
    """R13: a record in flight goes on, is retried if need be, keeps its room until its end, and counts as delivered."""

    async def main() -> None:
        service = FakeService(NOT_SENT)
        buffer = make_buffer(service, settings=small())
        (delivery,) = record_all(buffer, ["ann"])
        await sleep(0)
        await sleep(0)
        assert delivery.cancel(msg="enough")
        assert delivery.cancelled()
        assert room(buffer)[0] == 1
        await buffer.flush()
        assert service.numbers == [0]
        assert books(buffer.statistics()) == {"delivered": 1}
        await buffer.aclose()
        assert_finished(buffer, [delivery])

    run(main())


def test_cancelling_a_record_between_attempts_withdraws_it() -> None:
    """R13: a record that waits for its next attempt is waiting, and is withdrawn."""

    async def main() -> None:
        service = FakeService(UNKNOWN_VISITOR)
        buffer = make_buffer(service, settings=small(unknown_visitor="wait"))
        (delivery,) = record_all(buffer, ["ann"])
        await sleep(0.5)
        assert buffer.statistics().retrying == 1
        delivery.cancel()
        await sleep(100)
        assert len(service.requests) == 1
        assert books(buffer.statistics()) == {"cancelled": 1}
        await buffer.aclose()
        assert_finished(buffer, [delivery])

    run(main())


@pytest.mark.parametrize("steps", range(6))
def test_cancelling_record_leaves_nothing_behind(steps: int) -> None:
    """R13: whenever the call is cancelled, either the record is accepted and delivered, or there is no trace of it."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, settings=small(max_records=1, concurrency=1))
        record_all(buffer, ["ann"])
        await sleep(0.049)
        call = asyncio.create_task(record(buffer, 1))
        if steps > 1:
            await sleep(0.001)  # now the first record is delivered
        for _ in range(steps):
            await sleep(0)
        call.cancel()
        await asyncio.wait([call])
        await buffer.flush()
        accepted = 0 if call.cancelled() else 1
        assert buffer.statistics().accepted == 1 + accepted
        assert service.numbers == [0, 1][: 1 + accepted]
        assert_balanced(buffer)
        await buffer.aclose()
        assert_finished(buffer, [])

    run(main())


def test_a_done_callback_may_record_flush_and_close() -> None:
    """R1, R14: from inside a done-callback new records are accepted, and flush() and aclose() can be started."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service)
        deliveries, tasks = list[Any](), list[asyncio.Task[Any]]()

        def again(_delivery: object) -> None:
            n = len(deliveries)
            if n < 5:
                deliveries.append(buffer.record_nowait("seen", id="ann", properties={"n": n}))
                deliveries[-1].add_done_callback(again)
                tasks.append(asyncio.create_task(buffer.flush()))
            else:
                tasks.append(asyncio.create_task(buffer.aclose()))

        again(None)
        await sleep(5)
        assert service.numbers == [0, 1, 2, 3, 4]
        assert [task.done() for task in tasks] == [True] * 6
        assert_finished(buffer, deliveries)

    run(main())


def test_nobody_is_dropped_in_vain() -> None:
    """R6: a record that the one in flight keeps out drops none of those that wait, until that one waits again, too."""

    async def main() -> None:
        service = FakeService(STALL)
        settings = attrs.evolve(NO_LIMIT, overflow="drop_oldest", max_bytes=1000, concurrency=1)
        buffer = make_buffer(service, settings=settings, total=5.0)
        stalled = await record(buffer, 0, 600)
        await sleep(0.1)
        waiting = [await record(buffer, n, 10) for n in (1, 2)]
        with pytest.raises(BufferFullError):
            buffer.record_nowait("seen", id="u9", properties={"n": 9, "text": "x" * 500})
        assert buffer.statistics().dropped == 0
        large = await record(buffer, 3, 500)
        await buffer.flush()

        assert outcomes([stalled, *waiting, large]) == ["EventDroppedError", "ok", "ok", "ok"]
        assert_balanced(buffer)
        await buffer.aclose()

    run(main())


def test_records_in_flight_can_fill_the_buffer_alone() -> None:
    """R6: where all records that there is room for are in flight, drop_oldest finds nobody to drop."""

    async def main() -> None:
        settings = attrs.evolve(NO_LIMIT, overflow="drop_oldest", max_records=2, concurrency=2)
        buffer = make_buffer(FakeService(STALL, STALL), settings=settings, total=5.0)
        first = [await record(buffer, n) for n in (1, 2)]
        await sleep(0.1)
        with pytest.raises(BufferFullError):
            buffer.record_nowait("seen", id="u3", properties={"n": 3})
        third = await record(buffer, 3)

        await asyncio.wait([*first, third])
        assert outcomes([third]) == ["ok"]
        await buffer.aclose()

    run(main())


def test_a_hook_may_cancel_what_is_being_cancelled() -> None:
    """R13: a hook that is told of a withdrawal and cancels every Delivery it knows does no harm, to itself neither."""
    cancelled = list[int]()

    def hook(detail: object) -> None:
        if isinstance(detail, RecordEnded):
            for delivery in deliveries:
                delivery.cancel()
            cancelled.append(detail.record_id)

    deliveries = list["Delivery"]()

    async def main() -> None:
        buffer = make_buffer(FakeService(), settings=attrs.evolve(NO_LIMIT, concurrency=1), hooks=[hook])
        deliveries.extend(record_all(buffer, ["ann", "bob", "cid"]))
        deliveries[1].cancel()
        assert sorted(cancelled) == [1, 2, 3]
        assert books(buffer.statistics()) == {"cancelled": 3}
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())
