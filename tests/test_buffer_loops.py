"""R13, R15 and R16: Deliveries as futures, event loops, threads, garbage, clock and context."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import gc
import logging
import weakref
from typing import TYPE_CHECKING, cast

import attrs
import pytest
from fake_service import (
    BAD,
    JUDGE,
    NO_LIMIT,
    OK,
    STALL,
    Collector,
    CountingLoop,
    FakeService,
    Play,
    assert_finished,
    books,
    make_buffer,
    outcomes,
    record_all,
    response,
    room,
    run,
    sleep,
)

from mida_async import BadRequestError, BufferClosedError, ConnectError, Fold, RateLimit, SettingsError
from mida_async._delivery.delivery import Delivery
from mida_async._delivery.rota import Rota
from mida_async._delivery.witness import BufferWitness
from mida_async.instrumentation import BreakerChanged, RecordEnded
from mida_async.testing.clock import VirtualClockLoop

if TYPE_CHECKING:
    from collections.abc import Callable

    from mida_async._core.messages import Request, Response
    from mida_async._delivery.buffer import EventBuffer
    from mida_async.instrumentation import Detail


def test_deliveries_work_with_everything_that_takes_futures() -> None:
    """R13: await, gather, wait, as_completed, wait_for, shield and callbacks see the receipts."""

    async def main() -> None:
        buffer = make_buffer(FakeService())
        deliveries = record_all(buffer, ["ann", "bob", "cid", "ann", "bob", "cid", "dan"])
        called = list[object]()
        deliveries[0].add_done_callback(called.append)
        first, second = await asyncio.gather(deliveries[0], deliveries[1])
        assert (first.record_id, second.record_id) == (1, 2)
        assert called == [deliveries[0]]
        done, pending = await asyncio.wait([deliveries[2]])
        assert (done, pending) == ({deliveries[2]}, set())
        completed = [await each for each in asyncio.as_completed(deliveries[3:5])]
        assert {receipt.record_id for receipt in completed} == {4, 5}
        assert (await asyncio.wait_for(deliveries[5], 10)).record_id == 6
        assert (await asyncio.shield(deliveries[6])).record_id == 7
        assert isinstance(deliveries[0], asyncio.Future)
        await buffer.aclose()

    run(main())


def test_wait_for_withdraws_a_record_whose_time_is_up_and_shield_does_not() -> None:
    """R13: a timeout cancels the Delivery, and with it a waiting record; behind a shield it goes out regardless."""

    async def main() -> None:
        service = FakeService(attrs.evolve(OK, latency=5.0))
        buffer = make_buffer(service)
        deliveries = record_all(buffer, ["ann"] * 3)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(deliveries[1], 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(deliveries[2]), 1)
        await buffer.aclose()
        assert service.numbers == [0, 2]
        assert outcomes(deliveries) == ["ok", "cancelled", "ok"]

    run(main())


def test_cancelling_a_gather_withdraws_what_waits() -> None:
    """R13: gather() cancels its children: what waits is withdrawn, what is in flight goes on."""

    async def main() -> None:
        service = FakeService(attrs.evolve(OK, latency=5.0))
        buffer = make_buffer(service)
        deliveries = record_all(buffer, ["ann"] * 3)
        everything = asyncio.gather(*deliveries)
        await sleep(1)
        everything.cancel()
        with pytest.raises(asyncio.CancelledError):
            await everything
        assert books(buffer.statistics()) == {"cancelled": 2}
        await buffer.flush()
        assert books(buffer.statistics()) == {"cancelled": 2, "delivered": 1}
        await buffer.aclose()

    run(main())


def test_a_delivery_that_somebody_resolves_by_hand_harms_nothing() -> None:
    """R1: a Delivery is a public future; one that is set from outside stays as it is, and the books are right."""

    async def main() -> None:
        buffer = make_buffer(FakeService(OK, BAD))
        deliveries = record_all(buffer, ["ann", "ann", "ann"])
        deliveries[0].set_exception(ValueError("mine"))
        deliveries[1].set_exception(ValueError("mine"))
        await buffer.aclose()
        assert outcomes(deliveries) == ["ValueError", "ValueError", "ok"]
        assert books(buffer.statistics()) == {"delivered": 2, "rejected": 1}
        assert_finished(buffer, deliveries)

    run(main())


def test_a_failed_delivery_that_nobody_awaits_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    """R15: asyncio never logs about it; the buffer writes one line about many failures, and another one 30 s later."""

    async def main() -> None:
        buffer = make_buffer(FakeService(otherwise=BAD))
        for pause in (31, 1, 0):
            record_all(buffer, ["ann"] * 50)
            await buffer.flush()
            await sleep(pause)
        gc.collect()
        await buffer.aclose()

    run(main())
    lines = [record.message.split(" ")[0] for record in caplog.records if record.name == "mida_async"]
    assert lines == ["1", "50", "99"]


def test_errors_are_copied_for_each_caller() -> None:
    """R15: several awaiters of shared Deliveries get instances of their own, with the same text."""

    async def main() -> None:
        buffer = make_buffer(FakeService(BAD))
        pair = [buffer.record_nowait("seen", id="ann", unique_id="1") for _ in range(2)]
        found = await asyncio.gather(*pair, return_exceptions=True)
        assert found[0] is not found[1]
        assert [str(error) for error in found] == [str(found[0])] * 2
        assert all(isinstance(error, BadRequestError) for error in found)
        await buffer.aclose()

    run(main())


def test_a_buffer_belongs_to_the_loop_of_its_first_use() -> None:
    """R15: record, flush and aclose on another loop raise SettingsError; nothing is accepted there."""
    buffer = make_buffer(FakeService())

    async def use() -> None:
        await (await buffer.record("seen", id="ann"))

    async def misuse() -> None:
        for call in (buffer.record("seen", id="ann"), buffer.flush(), buffer.aclose()):
            with pytest.raises(SettingsError, match="one client for each event loop"):
                await call
        with pytest.raises(SettingsError, match="belongs to"):
            buffer.record_nowait("seen", id="ann")
        with pytest.raises(SettingsError):
            buffer.bind()

    async def close() -> None:
        await buffer.aclose()

    with asyncio.Runner(loop_factory=CountingLoop) as own:
        own.run(use())
        with asyncio.Runner(loop_factory=CountingLoop) as other:
            other.run(misuse())
        own.run(close())
    assert buffer.statistics().accepted == 1


def test_recording_without_a_running_loop_says_what_to_do() -> None:
    """R15: record_nowait() outside any loop raises SettingsError, which names record_threadsafe()."""
    buffer = make_buffer(FakeService())
    with pytest.raises(SettingsError, match="record_threadsafe"):
        buffer.record_nowait("seen", id="ann")


def test_making_a_buffer_needs_no_loop() -> None:
    """R15: construction, repr and statistics work without a loop and start nothing."""

    async def tasks() -> set[asyncio.Task[object]]:
        return asyncio.all_tasks()

    buffer = make_buffer(FakeService())
    assert repr(buffer) == "<EventBuffer open: 0 pending, 0 of 0 delivered>"
    assert buffer.statistics().accepted == 0
    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        assert len(runner.run(tasks())) == 1


def test_a_delivery_can_be_cancelled_while_its_loop_does_not_run() -> None:
    """R13: between two runs of the loop a waiting record can be withdrawn, as any future can be cancelled."""
    buffer = make_buffer(FakeService(attrs.evolve(OK, latency=5.0)))

    async def start() -> list[Delivery]:
        return record_all(buffer, ["ann", "ann"])

    async def close() -> None:
        assert books(await buffer.aclose()) == {"delivered": 1}

    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        deliveries = runner.run(start())
        assert deliveries[1].cancel()
        runner.run(close())
    assert books(buffer.statistics()) == {"delivered": 1, "cancelled": 1}


def leave(buffer: EventBuffer[...], count: int) -> None:
    """Record on a loop that ends without closing the buffer."""

    async def main() -> None:
        record_all(buffer, ["ann"] * count)
        await sleep(0.01)

    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        runner.run(main())


def test_a_buffer_thrown_away_with_records_warns() -> None:
    """R15: garbage collection of an unclosed buffer with records is a ResourceWarning that counts them."""

    def scope_and_collect() -> None:
        leave(make_buffer(FakeService(otherwise=STALL)), 3)
        gc.collect()  # some versions of Python keep a frame for longer

    # The loop that ended has cancelled the sender, which put the first record back.
    with pytest.warns(ResourceWarning, match=r"3 records waiting and 0 in flight; use 'async with', or await aclose"):
        scope_and_collect()


def test_a_buffer_thrown_away_while_its_loop_runs_still_delivers() -> None:
    """R15: what was accepted is delivered all the same, in close_timeout seconds; then the senders end in peace."""

    async def main() -> None:
        service = FakeService(STALL, otherwise=OK)
        settings = attrs.evolve(NO_LIMIT, close_timeout=5.0)
        deliveries = record_all(make_buffer(service, settings=settings), ["ann", "bob", "bob"])
        gc.collect()
        await sleep(4.9)
        assert outcomes(deliveries) == ["pending", "ok", "ok"]
        await sleep(0.5)
        assert outcomes(deliveries) == ["BufferClosedError", "ok", "ok"]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with pytest.warns(ResourceWarning, match=r"3 records waiting and 0 in flight"):
        run(main())


def test_an_idle_buffer_thrown_away_while_its_loop_runs_leaves_nothing() -> None:
    """R15: an unclosed buffer with nothing pending warns about nothing, also when it is part of a cycle."""

    async def main() -> None:
        for _ in range(2):
            cycle: list[object] = [make_buffer(FakeService())]
            cycle.append(cycle)
            buffer = cast("EventBuffer[...]", cycle[0])
            await (await buffer.record("seen", id="ann"))
            del buffer, cycle
            gc.collect()
            await sleep(1)
            assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


def test_a_buffer_closed_after_its_loop_ends_what_is_left() -> None:
    """R14, R15: when its loop is closed already, aclose() on another one ends all that waits, and says so."""

    async def start() -> tuple[list[Delivery], list[asyncio.Task[object]]]:
        deliveries = record_all(buffer, ["ann", "ann"])
        deliveries[0].add_done_callback(told.append)
        return deliveries, [asyncio.create_task(call) for call in (buffer.flush(), buffer.record("seen", id="ann"))]

    async def close() -> None:
        assert books(await buffer.aclose()) == {"abandoned": 2}
        assert books(await buffer.aclose()) == {}

    told = list[Delivery]()
    buffer = make_buffer(FakeService(otherwise=STALL), settings=attrs.evolve(NO_LIMIT, max_records=2))
    loop = VirtualClockLoop()
    deliveries, tasks = loop.run_until_complete(start())
    loop.run_until_complete(sleep(1))
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # a loop that is closed like this leaves it so
    loop.close()
    run(close())
    assert outcomes(deliveries) == ["BufferClosedError", "BufferClosedError"]
    assert books(buffer.statistics()) == {"abandoned": 2}
    assert (buffer.statistics().pending, room(buffer)) == (0, (0, 0))
    assert told == []


@pytest.mark.parametrize("use", [lambda _buffer: None, lambda buffer: leave(buffer, 0)])
def test_a_buffer_without_records_is_thrown_away_in_silence(use: Callable[[EventBuffer[...]], None]) -> None:
    """R15: an unclosed buffer that holds nothing warns about nothing; warnings are errors in these tests."""

    def scope() -> None:
        use(make_buffer(FakeService()))

    scope()
    gc.collect()


def in_thread(main: Callable[[asyncio.AbstractEventLoop], None]) -> None:
    """Run *main* in another thread while a real loop runs in this one."""

    async def wait() -> None:
        await asyncio.to_thread(main, asyncio.get_running_loop())

    asyncio.run(wait())


def test_record_threadsafe_delivers_from_other_threads() -> None:
    """R14, R15: from several threads at once every record is delivered, and each future resolves with its receipt."""
    service = FakeService(otherwise=attrs.evolve(OK, latency=0.0))
    buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, max_records=5))

    def work(thread: int) -> list[int]:
        futures = [
            buffer.record_threadsafe("seen", id=f"u{thread}", properties={"n": 100 * thread + n}) for n in range(50)
        ]
        return [future.result(10).record_id for future in futures]

    async def main() -> None:
        buffer.bind()
        numbers = await asyncio.gather(*(asyncio.to_thread(work, thread) for thread in range(4)))
        assert sorted(number for line in numbers for number in line) == list(range(1, 201))
        assert books(await buffer.aclose()) == {}

    asyncio.run(main())
    lines = [[number for number in service.numbers if number // 100 == thread] for thread in range(4)]
    assert lines == [[100 * thread + n for n in range(50)] for thread in range(4)]


def test_record_threadsafe_copies_what_a_fold_needs() -> None:
    """R4, R15: what the caller changes after the call, before the loop has seen it, is not folded."""
    service = FakeService(otherwise=attrs.evolve(OK, latency=0.01))
    buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, folds={"watched": Fold.sum("n")}, linger=60.0))

    def work() -> list[concurrent.futures.Future[object]]:
        properties, futures = {"n": 1}, list[concurrent.futures.Future[object]]()
        for n in (1, 2, 3):
            properties["n"] = n
            futures.append(buffer.record_threadsafe("watched", id="ann", properties=properties))  # type: ignore[arg-type]
        properties["n"] = 100
        return futures

    async def main() -> None:
        buffer.bind()
        futures = work()  # on the loop's own thread, so that it surely has not run in between
        for _ in range(5):
            await asyncio.sleep(0)
        await buffer.aclose()
        assert all(future.done() for future in futures)

    asyncio.run(main())
    assert service.numbers == [6]


def test_record_threadsafe_reports_failures_by_its_future() -> None:
    """R15: a rejected record, and a closed buffer, are errors of the future; cancelling it withdraws the record."""
    service = FakeService(Play(outcome=response(400, "event_name is required"), latency=0.0), STALL)
    buffer = make_buffer(service)

    async def main() -> None:
        buffer.bind()

        def work() -> None:
            with pytest.raises(BadRequestError):
                buffer.record_threadsafe("seen", id="ann").result(10)

        await asyncio.to_thread(work)
        record_all(buffer, ["ann"])
        waiting = buffer.record_threadsafe("seen", id="ann")
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.sleep(0.01)
        assert buffer.statistics().cancelled == 1
        await buffer.aclose(0)
        late = buffer.record_threadsafe("seen", id="ann")
        await asyncio.sleep(0.01)
        with pytest.raises(BufferClosedError):
            late.result(0)

    asyncio.run(main())


def test_record_threadsafe_needs_a_loop_that_runs() -> None:
    """R15: before first use it raises SettingsError, and BufferClosedError once the loop is closed."""
    buffer = make_buffer(FakeService())
    with pytest.raises(SettingsError, match="async with"):
        buffer.record_threadsafe("seen", id="ann")
    leave(buffer, 0)
    in_thread(lambda _loop: None)

    async def main() -> None:
        buffer.bind()

    buffer = make_buffer(FakeService())
    asyncio.run(main())
    with pytest.raises(BufferClosedError):
        buffer.record_threadsafe("seen", id="ann")


def test_record_threadsafe_of_a_closed_buffer_does_not_wait_for_its_loop() -> None:
    """R14, R15: a thread that outlives the client is told at once, even where the loop never runs again."""

    async def use() -> None:
        buffer.bind()
        await buffer.aclose()

    buffer = make_buffer(FakeService())
    with asyncio.Runner() as runner:
        runner.run(use())
        late = buffer.record_threadsafe("seen", id="ann")
        with pytest.raises(BufferClosedError):
            late.result(0)


def test_senders_that_somebody_cancels_are_replaced() -> None:
    """R1: cancelling all tasks of a loop costs no record: what was in flight goes again."""

    async def main() -> None:
        service = FakeService(attrs.evolve(OK, latency=5.0))
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, concurrency=3))
        deliveries = record_all(buffer, ["ann", "ann"])
        await sleep(1)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await sleep(0.1)
        assert buffer.statistics().retrying == 1
        deliveries += record_all(buffer, ["bob"])
        assert (await deliveries[2]).attempts == 1
        first, second = await asyncio.gather(*deliveries[:2])
        assert (first.attempts, first.may_be_duplicate, second.attempts) == (2, True, 1)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await sleep(0.1)
        assert len(asyncio.all_tasks()) == 1
        await sleep(1)
        assert len(asyncio.all_tasks()) == 4
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


def test_a_flush_goes_on_after_somebody_cancelled_the_senders() -> None:
    """R1, R14: flush() and aclose() replace them, too; with at_most_once what was in flight ends as ambiguous."""

    async def main() -> None:
        service = FakeService(STALL, STALL)
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, guarantee="at_most_once"))
        deliveries = record_all(buffer, ["ann", "ann", "ann"])
        await sleep(1)
        for wait in (buffer.flush(0.5), buffer.aclose()):
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await sleep(0)
            await wait
        assert outcomes(deliveries) == ["AmbiguousDeliveryError", "AmbiguousDeliveryError", "ok"]
        assert_finished(buffer, deliveries)

    run(main())


def test_senders_run_in_an_empty_context() -> None:
    """R16: what the first caller has in its context variables is not seen where records are sent."""
    request_id = contextvars.ContextVar("request_id", default="none")
    seen = list[tuple[str, int]]()

    class Looking(FakeService):
        async def send(self, request: Request, *, total: float) -> Response:
            seen.append((request_id.get(), len(contextvars.copy_context())))
            return await super().send(request, total=total)

    async def main() -> None:
        request_id.set("the first request")
        buffer = make_buffer(Looking())
        record_all(buffer, ["ann"])
        await buffer.flush()
        request_id.set("the second request")
        record_all(buffer, ["ann"])
        await buffer.aclose()

    run(main())
    assert seen == [("none", 0)] * 2


def test_timers_run_in_an_empty_context() -> None:
    """R16: a record that expires tells hooks so in no caller's context, although a caller set the timer."""
    seen = list[object]()
    request = contextvars.ContextVar("request", default="none")

    def hook(detail: Detail) -> None:
        if isinstance(detail, RecordEnded):
            seen.append((detail.end, request.get()))

    async def call(buffer: EventBuffer[...], name: str) -> None:
        request.set(name)
        record_all(buffer, ["ann", "bob"])

    async def main() -> None:
        settings = attrs.evolve(NO_LIMIT, concurrency=1, max_age=5)
        buffer = make_buffer(FakeService(otherwise=STALL), settings=settings, hooks=[hook])
        await asyncio.create_task(call(buffer, "first"))
        await sleep(20)
        await asyncio.create_task(call(buffer, "second"))
        await sleep(20)
        await buffer.aclose(0)

    run(main())
    assert seen[:3] == [("expired", "none")] * 3


def test_no_request_is_kept_alive_by_what_it_started() -> None:
    """R16: senders, their callbacks and timers do not hold the context of whoever recorded first."""

    class Payload:
        """What a web framework keeps in its context for the time of a request."""

    request = contextvars.ContextVar[Payload]("request")

    async def call(buffer: EventBuffer[...]) -> weakref.ref[Payload]:
        payload = Payload()
        request.set(payload)
        record_all(buffer, ["ann", "bob"])
        return weakref.ref(payload)

    async def main() -> None:
        settings = attrs.evolve(NO_LIMIT, concurrency=2)
        buffer = make_buffer(FakeService(OK, otherwise=STALL), settings=settings)
        payload = await asyncio.create_task(call(buffer))
        await sleep(1)
        gc.collect()
        assert payload() is None
        await buffer.aclose(0)

    run(main())


def test_times_are_those_of_the_loop() -> None:
    """R16: a day on the loop's clock is a day in receipts, statistics and reports, whatever the wall clock says."""

    async def main() -> None:
        buffer = make_buffer(FakeService(attrs.evolve(OK, latency=86_400.0)), total=10**6)
        record_all(buffer, ["ann"])
        await sleep(1000)
        assert buffer.statistics().oldest_age == 1000
        deliveries = record_all(buffer, ["ann"])
        assert (await deliveries[0]).waited == pytest.approx(85_400.05)
        await buffer.aclose()

    run(main())


def test_an_idle_buffer_sets_no_timers() -> None:
    """R16: between records nothing wakes up: an hour of silence takes a handful of rounds of the loop."""

    async def main() -> None:
        buffer = make_buffer(FakeService())
        for _ in range(3):
            await (await buffer.record("seen", id="ann"))
            await sleep(3600)
        await buffer.aclose()

    run(main(), rounds=150)


def test_many_records_at_once_wake_each_sender_once() -> None:
    """R16: ten thousand waiting records under a slow rate cost a few rounds of the loop for each request."""

    async def main() -> None:
        settings = attrs.evolve(NO_LIMIT, rate_limits=RateLimit(10, per=1))
        buffer = make_buffer(FakeService(), settings=settings)
        deliveries = record_all(buffer, [f"u{n}" for n in range(10_000)])
        await sleep(10)
        attempts = buffer.statistics().attempts
        assert 95 <= attempts <= 110
        await buffer.aclose(0)
        assert_finished(buffer, deliveries)

    run(main(), rounds=2000)


def test_an_earlier_timer_replaces_a_later_one() -> None:
    """R16: there is one timer; it stands at the earliest time that anybody asked for, and infinity asks for none."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        rota, woken = Rota(loop, lambda: None, contextvars.Context()), list[float]()

        async def sender() -> None:
            while True:
                await rota.wait()
                woken.append(loop.time())

        task = asyncio.create_task(sender())
        await sleep(0)
        assert rota.waiting
        for when in (float("inf"), 50.0, 20.0, 30.0):
            rota.wake_at(when)
        await sleep(100)
        assert woken == [20.0]
        rota.wake_at(150.0)
        rota.stop()
        rota.stop()
        await sleep(100)
        assert woken == [20.0]
        task.cancel()
        await asyncio.wait([task])
        rota.wake()  # nobody is there any more
        assert not rota.waiting

    run(main())


def test_debug_logs_of_asyncio_have_no_part_in_this(caplog: pytest.LogCaptureFixture) -> None:
    """R15: a buffer in ordinary use makes asyncio itself log nothing."""

    async def main() -> None:
        buffer = make_buffer(FakeService(BAD))
        record_all(buffer, ["ann"] * 3)
        await buffer.aclose()

    with caplog.at_level(logging.DEBUG, logger="asyncio"):
        run(main())
    assert [record for record in caplog.records if record.name == "asyncio" and record.levelno > logging.DEBUG] == []


def test_an_outage_that_direct_calls_find_is_told_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """R12: direct calls that open the breaker have it logged and told to hooks then, not at the next delivery."""
    hook = Collector()

    async def main() -> None:
        buffer = make_buffer(FakeService(), hooks=[hook])
        witness = BufferWitness(buffer, JUDGE)
        for _ in range(5):
            witness.answered(witness.sending(1.0), ConnectError("nobody listens"), 1.0)
        await buffer.aclose()

    run(main())
    assert [detail.state for detail in hook.of(BreakerChanged)] == ["open"]
    assert "nobody listens" in caplog.text
