"""Corners of the engine in which something was wrong once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from core_samples import entry
from fake_service import (
    COUNTABLE_FOLDS,
    NO_LIMIT,
    Collector,
    FakeService,
    Play,
    assert_finished,
    make_buffer,
    outcomes,
    record_all,
    run,
    sleep,
)

from mida_async._core.lanes import Lanes
from mida_async.instrumentation import RecordEnded
from mida_async.testing.memory_spool import MemoryDisk, MemorySpool

if TYPE_CHECKING:
    from mida_async._delivery.buffer import EventBuffer
    from mida_async.instrumentation import Detail

NOW = 100.0


def test_a_delivery_that_is_awaited_after_its_record_was_read_back_is_let_go_of() -> None:
    """R6: of a record that was on disk alone, nothing is kept once it has come to its end."""

    async def main() -> None:
        service = FakeService(otherwise=Play(latency=1.0))
        settings = attrs.evolve(NO_LIMIT, max_records=2, concurrency=1)
        buffer = make_buffer(service, settings=settings, spool=MemorySpool(MemoryDisk()))
        deliveries = [await buffer.record("seen", id="ann", properties={"n": n}) for n in range(6)]
        assert buffer.statistics().spilled > 2
        while deliveries[3].entry is None:
            await sleep(0.1)
        await deliveries[3]
        await buffer.flush()
        assert buffer._works is not None
        assert buffer._works.spooling is not None
        pins = dict(buffer._works.spooling.backlog._pins)
        await buffer.aclose()
        assert_finished(buffer, deliveries)
        assert pins == {}

    run(main())


def test_a_hook_may_hurry_in_the_middle_of_a_drop() -> None:
    """R4, R6: a task that starts eagerly in a hook may flush while several records that lingered are being dropped."""

    async def main() -> None:
        failures, told = list[BaseException](), Collector()

        def hurry(detail: Detail) -> None:
            if isinstance(detail, RecordEnded) and detail.end == "dropped":
                flush = buffer.flush()
                try:
                    flush.send(None)  # what an eager task does (Python 3.12)
                except BaseException as error:  # noqa: BLE001  whatever it is
                    failures.append(error)
                flush.close()

        settings = attrs.evolve(NO_LIMIT, max_bytes=400, overflow="drop_oldest", linger=60.0, folds=COUNTABLE_FOLDS)
        service = FakeService(otherwise=Play(latency=1.0))
        buffer: EventBuffer[...] = make_buffer(service, settings=settings, hooks=[told, hurry])
        deliveries = record_all(buffer, "abcd", name="beat")
        deliveries.append(buffer.record_nowait("beat", id="z", properties={"text": "x" * 300}))
        await buffer.aclose()
        assert outcomes(deliveries) == ["EventDroppedError"] * 4 + ["ok"]
        assert failures == []

    run(main())


def test_a_settled_record_lets_go_of_its_properties() -> None:
    """R6: a copy for folds is of no use after the end, and counts as no room: a mark of the record must not keep it."""
    lanes, properties = Lanes(), dict[str, Any](text="x" * 1_000)
    oldest, settled = entry(1, "a", due=NOW + 60), entry(2, "b")
    settled.properties = properties
    for record in (oldest, settled):
        lanes.push(record)
    assert lanes.claim(NOW) is settled
    lanes.settle(settled)
    assert settled in lanes._line.line
    assert settled.body == b""
    assert settled.properties is None
