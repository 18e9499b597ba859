"""R14: flush and aclose, in good and in bad times."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING

import attrs
import pytest
from fake_service import (
    BAD,
    BLACK_HOLE,
    BROKEN,
    NO_LIMIT,
    NOT_SENT,
    OK,
    STALL,
    TOO_MANY,
    UNKNOWN_VISITOR,
    FakeService,
    Play,
    assert_finished,
    books,
    make_buffer,
    outcomes,
    record_all,
    response,
    run,
    sleep,
)

from mida_async import BufferClosedError, RateLimit

if TYPE_CHECKING:
    from mida_async._core.messages import Request, Response
    from mida_async._delivery.dispatcher import Dispatcher


def clock() -> float:
    """Return the virtual time."""
    return asyncio.get_running_loop().time()


def test_flush_waits_for_what_was_accepted_before_it() -> None:
    """R14: it covers a snapshot: later records neither delay it nor are in its report."""

    async def main() -> None:
        service = FakeService(otherwise=attrs.evolve(OK, latency=1.0))
        buffer = make_buffer(service)
        deliveries = record_all(buffer, ["ann", "ann", "bob"])
        flushing = asyncio.create_task(buffer.flush())
        await sleep(0.5)
        deliveries += record_all(buffer, ["ann", "ann", "cid", "ann", "ann", "ann"])
        report = await flushing
        assert (clock(), books(report), report.pending) == (2.0, {"delivered": 3}, 0)
        assert outcomes(deliveries).count("pending") == 5
        assert books(await buffer.aclose(60)) == {"delivered": 5}
        assert_finished(buffer, deliveries)

    run(main())


def test_flush_reports_every_end() -> None:
    """R14: the report counts what became of each record that was pending, whatever it was."""

    async def main() -> None:
        service = FakeService(OK, BAD, STALL, STALL, STALL)
        settings = attrs.evolve(NO_LIMIT, concurrency=3, max_age=5.0, guarantee="at_most_once")
        buffer = make_buffer(service, settings=settings, total=10.0)
        deliveries = record_all(buffer, ["a", "b", "c", "c", "d", "e", "f", "c", "g"])
        await sleep(1)
        flushing = asyncio.create_task(buffer.flush())
        await sleep(1)
        deliveries[3].cancel()
        report = await flushing
        assert books(report) == {"ambiguous": 3, "cancelled": 1, "expired": 3}
        assert books(buffer.statistics()) == {**books(report), "delivered": 1, "rejected": 1}
        await buffer.aclose()

    run(main())


@pytest.mark.parametrize("timeout", [0, 0.5, 3])
def test_flush_returns_when_its_time_is_up(timeout: float) -> None:
    """R14: with a server that stalls it returns a report after its timeout; nothing is lost and it can be repeated."""

    async def main() -> None:
        buffer = make_buffer(FakeService(OK, otherwise=STALL), settings=attrs.evolve(NO_LIMIT, concurrency=1))
        deliveries = record_all(buffer, ["ann"] * 4)
        report = await buffer.flush(timeout)
        assert clock() == pytest.approx(timeout)
        assert sum(books(report).values()) + report.pending == 4
        assert report.pending == (4 if timeout == 0 else 3)
        assert (await buffer.flush(0)).pending == report.pending
        await buffer.aclose(0)
        assert_finished(buffer, deliveries)

    run(main())


@pytest.mark.parametrize("timeout", [0, -1, -math.inf])
def test_a_timeout_that_is_over_is_no_wait(timeout: float) -> None:
    """R14: 0 and what is below it mean at once, to flush() as to aclose()."""

    async def main() -> None:
        buffer = make_buffer(FakeService(otherwise=STALL))
        deliveries = record_all(buffer, ["ann", "bob"])
        before = clock()
        assert (await buffer.flush(timeout)).pending == 2
        assert books(await buffer.aclose(timeout)) == {"abandoned": 2}
        assert clock() == before
        assert_finished(buffer, deliveries)

    run(main())


def test_a_timeout_that_is_no_number_is_refused() -> None:
    """R14: NaN is earlier and later than nothing: it would never be over. The buffer stays open, and loses nothing."""

    async def main() -> None:
        buffer = make_buffer(FakeService(otherwise=Play(latency=5)))
        deliveries = record_all(buffer, ["ann", "bob"])
        for call in (buffer.flush, buffer.aclose):
            with pytest.raises(ValueError, match="nan"):
                await asyncio.wait_for(call(math.nan), 1)
        deliveries += record_all(buffer, ["cid"])
        assert books(await buffer.aclose()) == {"delivered": 3}
        assert_finished(buffer, deliveries)

    run(main())


def test_a_transport_may_close_the_buffer_that_it_serves() -> None:
    """R14: aclose() that is awaited by one of its own senders keeps its deadline, and nothing waits for itself."""

    class Closing(FakeService):
        async def send(self, request: Request, *, total: float) -> Response:
            await buffer.aclose(1)
            return await super().send(request, total=total)

    async def main() -> None:
        deliveries = record_all(buffer, ["ann", "bob"])
        before = clock()
        assert books(await buffer.aclose(2)) == {"abandoned": 2}
        assert clock() - before <= 1.5
        assert_finished(buffer, deliveries)

    buffer = make_buffer(Closing())
    run(main())


def test_flush_of_an_empty_buffer_returns_at_once() -> None:
    """R14: where nothing is pending there is nothing to wait for, before and after the buffer is closed."""

    async def main() -> None:
        buffer = make_buffer(FakeService())
        await (await buffer.record("seen", id="ann"))
        before = clock()
        assert (books(await buffer.flush(0)), books(await buffer.flush())) == ({}, {})
        await buffer.aclose()
        assert books(await buffer.flush()) == {}
        assert clock() == before

    run(main())


def test_a_cancelled_flush_leaves_the_records_alone() -> None:
    """R14: cancelling flush() cancels no delivery and leaves nothing behind."""

    async def main() -> None:
        service = FakeService(otherwise=attrs.evolve(OK, latency=1.0))
        buffer = make_buffer(service)
        deliveries = record_all(buffer, ["ann", "bob"])
        flushes = [asyncio.create_task(buffer.flush()) for _ in range(3)]
        await sleep(0.5)
        flushes[1].cancel()
        await asyncio.wait(flushes)
        assert [flush.cancelled() for flush in flushes] == [False, True, False]
        assert outcomes(deliveries) == ["ok", "ok"]
        assert buffer._works is not None
        assert buffer._works.ledger._watches == []
        await buffer.aclose()

    run(main())


def test_close_delivers_what_is_left() -> None:
    """R14: aclose() drains, reports the ends of what was pending, and a closed buffer takes nothing more."""

    async def main() -> None:
        service = FakeService(OK, BAD)
        buffer = make_buffer(service)
        deliveries = record_all(buffer, ["ann"])
        await buffer.flush()
        deliveries += record_all(buffer, ["ann"] * 3)
        report = await buffer.aclose()
        assert (books(report), report.pending) == ({"delivered": 2, "rejected": 1}, 0)
        assert_finished(buffer, deliveries)
        for call in (buffer.record_nowait, buffer.record):
            with pytest.raises(BufferClosedError, match="closed"):
                await call("seen", id="ann")
        assert buffer.statistics().accepted == 4

    run(main())


TROUBLE = {
    "down": NOT_SENT,
    "stalled": STALL,
    "black hole": BLACK_HOLE,
    "broken": BROKEN,
    "refusing": TOO_MANY,
    "gated": Play(outcome=response(429, "later", retry_after="1000")),
    "unknown": UNKNOWN_VISITOR,
}


@pytest.mark.parametrize("timeout", [0, 1, 10])
@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("age", [0, 0.3, 100])
def test_close_keeps_its_deadline_whatever_the_server_does(trouble: str, timeout: float, age: float) -> None:
    """R14, R1: aclose() takes at most its timeout plus 0.5 s; what is left ends with BufferClosedError."""

    async def main() -> None:
        service = FakeService(otherwise=TROUBLE[trouble])
        settings = attrs.evolve(NO_LIMIT, max_records=20, concurrency=4, unknown_visitor="wait")
        buffer = make_buffer(service, settings=settings)
        deliveries = record_all(buffer, [f"u{n % 9}" for n in range(20)])
        waiting = [asyncio.create_task(buffer.record("seen", id="late")) for _ in range(3)]
        await sleep(age)
        started = clock()
        report = await buffer.aclose(timeout)
        assert clock() - started <= timeout + 0.5
        assert books(report) == {"abandoned": 20}
        assert outcomes(deliveries) == ["BufferClosedError"] * 20
        await asyncio.wait(waiting)
        assert [type(call.exception()) for call in waiting] == [BufferClosedError] * 3
        assert_finished(buffer, deliveries)

    run(main())


def test_what_is_abandoned_says_what_is_known_about_it() -> None:
    """R14: the error tells whether the record was in flight, had been sent before, or never; the cause says why."""

    async def main() -> None:
        service = FakeService(UNKNOWN_VISITOR, STALL)
        settings = attrs.evolve(NO_LIMIT, unknown_visitor="wait", concurrency=2)
        buffer = make_buffer(service, settings=settings)
        deliveries = record_all(buffer, ["ann", "bob", "bob"])
        await sleep(0.5)
        await buffer.aclose(0)
        errors = [delivery.exception() for delivery in deliveries]
        assert ["sent 1 times" in str(error) for error in errors] == [True, False, False]
        assert ["may have been applied" in str(error) for error in errors] == [False, True, False]
        assert ["had not been sent" in str(error) for error in errors] == [False, False, True]
        assert [error is not None and error.__cause__ is not None for error in errors] == [True, False, False]

    run(main())


def test_close_uses_the_timeout_of_the_settings() -> None:
    """R14: without a timeout of its own, aclose() takes close_timeout."""

    async def main() -> None:
        buffer = make_buffer(FakeService(otherwise=STALL), settings=attrs.evolve(NO_LIMIT, close_timeout=4.0))
        record_all(buffer, ["ann"])
        await buffer.aclose()
        assert clock() == pytest.approx(4, abs=0.5)

    run(main())


def test_close_does_not_wait_longer_than_the_rate_allows() -> None:
    """R14: under a slow rate what could go in time is delivered, the rest abandoned."""

    async def main() -> None:
        settings = attrs.evolve(NO_LIMIT, rate_limits=RateLimit(2, per=1))
        buffer = make_buffer(FakeService(), settings=settings)
        record_all(buffer, ["ann"] * 30)
        report = await buffer.aclose(5)
        assert 8 <= report.delivered <= 12
        assert report.abandoned == 30 - report.delivered
        assert clock() <= 5.5

    run(main())


def test_closing_again_reports_the_same() -> None:
    """R14: aclose() is idempotent: concurrent and later calls wait for the first, and get its report."""

    async def main() -> None:
        buffer = make_buffer(FakeService(OK, otherwise=STALL))
        record_all(buffer, ["ann"] * 2)
        calls = [asyncio.create_task(buffer.aclose(timeout)) for timeout in (2, 50, None)]
        await asyncio.wait(calls)
        assert clock() <= 2.5
        reports = [call.result() for call in calls] + [await buffer.aclose(), await buffer.aclose(7)]
        assert reports == [reports[0]] * 5
        assert books(reports[0]) == {"delivered": 1, "abandoned": 1}

    run(main())


@pytest.mark.parametrize("steps", range(5))
def test_a_cancelled_close_ends_everything_at_once(steps: int) -> None:
    """R14, R1: when cancelled aclose() has raised, no Delivery is pending any more, and the next call has a report."""

    async def main() -> None:
        buffer = make_buffer(FakeService(otherwise=STALL))
        deliveries = record_all(buffer, ["ann", "ann", "bob"])

        async def close() -> list[str]:
            try:
                await buffer.aclose(100)
            except asyncio.CancelledError:
                return outcomes(deliveries)
            return []

        closing = asyncio.create_task(close())
        await sleep(0)
        for _ in range(steps):
            await sleep(0)
        closing.cancel()
        assert await closing == ["BufferClosedError"] * 3
        assert books(await buffer.aclose()) == {"abandoned": 3}
        assert clock() < 0.5
        assert_finished(buffer, deliveries)

    run(main())


def test_a_close_whose_own_task_is_cancelled_already_still_closes() -> None:
    """R14: a task that is being cancelled, as in an async-with that unwinds, leaves a closed buffer behind."""

    async def main() -> None:
        buffer = make_buffer(FakeService(otherwise=STALL))
        deliveries = record_all(buffer, ["ann"])

        async def unwind() -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await buffer.aclose(100)

        await asyncio.wait([asyncio.create_task(unwind())])
        assert outcomes(deliveries) == ["BufferClosedError"]
        assert books(await buffer.aclose()) == {"abandoned": 1}
        assert_finished(buffer, deliveries)

    run(main())


class Reluctant(FakeService):
    """A service whose requests take a while to be cancelled."""

    pause = 0.15

    async def send(self, request: Request, *, total: float) -> Response:
        """Take a moment to let go."""
        try:
            return await super().send(request, total=total)
        finally:
            await sleep(self.pause)


def test_a_close_that_is_cancelled_while_senders_let_go_spoils_no_other() -> None:
    """R14: one of two callers is cancelled in the last moments; the other one gets its report, as do later calls."""

    async def main() -> None:
        buffer = make_buffer(Reluctant(otherwise=STALL))
        deliveries = record_all(buffer, ["ann"])
        patient, cancelled = asyncio.create_task(buffer.aclose(1)), asyncio.create_task(buffer.aclose(1))
        await sleep(1.05)
        cancelled.cancel()
        await asyncio.wait([patient, cancelled])
        assert cancelled.cancelled()
        assert books(patient.result()) == books(await buffer.aclose()) == {"abandoned": 1}
        assert_finished(buffer, deliveries)

    run(main())


def test_a_transport_that_does_not_let_go_delays_close_by_no_more_than_its_patience() -> None:
    """R14: senders that are slow to end are left to themselves after 0.2 s, and end later without harm."""

    async def main() -> None:
        service = Reluctant(otherwise=STALL)
        service.pause = 30.0
        buffer = make_buffer(service)
        deliveries = record_all(buffer, ["ann"])
        await buffer.aclose(1)
        assert clock() <= 1.5
        await sleep(60)
        assert_finished(buffer, deliveries)

    run(main())


@pytest.mark.parametrize("age", [0.0, 1.0, 5.1])
def test_cancelling_every_task_does_not_hang_or_spoil_close(age: float) -> None:
    """R14: where all tasks are cancelled, as at the end of asyncio.run(), aclose() still ends what is left."""

    async def main() -> None:
        buffer = make_buffer(Reluctant(otherwise=STALL))
        deliveries = record_all(buffer, ["ann", "ann"])
        closing = asyncio.create_task(buffer.aclose(5))
        await sleep(0)
        await sleep(0)
        await sleep(age)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.wait([closing])
        assert books(await buffer.aclose(5)) == {"abandoned": 2}
        await sleep(1)
        assert_finished(buffer, deliveries)

    run(main())


def test_senders_that_were_cancelled_by_somebody_else_leave_a_buffer_that_closes() -> None:
    """R14: after all tasks but one were cancelled, aclose() keeps its deadline and loses count of nothing."""

    async def main() -> None:
        buffer = make_buffer(FakeService(otherwise=STALL))
        deliveries = record_all(buffer, ["ann", "ann", "bob"])
        await sleep(1)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await sleep(1)
        assert buffer.statistics().pending == 3
        assert books(await buffer.aclose(2)) == {"abandoned": 3}
        assert clock() <= 4.5
        assert_finished(buffer, deliveries)

    run(main())


def test_flush_and_close_at_the_same_time_agree() -> None:
    """R14: a flush under way when the buffer is closed ends with it, and both reports add up."""

    async def main() -> None:
        buffer = make_buffer(FakeService(OK, otherwise=STALL))
        deliveries = record_all(buffer, ["ann"] * 4)
        flushing = asyncio.create_task(buffer.flush())
        await sleep(1)
        closing = await buffer.aclose(2)
        assert books(await flushing) == {"delivered": 1, "abandoned": 3}
        assert books(closing) == {"abandoned": 3}
        assert_finished(buffer, deliveries)

    run(main())


def test_nothing_is_accepted_while_the_buffer_closes() -> None:
    """R14: from the call of aclose() on, record() raises, from a done-callback as from anywhere else."""

    async def main() -> None:
        buffer = make_buffer(FakeService())
        refusals = list[str]()

        def again(_delivery: object) -> None:
            try:
                buffer.record_nowait("seen", id="ann")
            except BufferClosedError as error:
                refusals.append(str(error))

        deliveries = record_all(buffer, ["ann", "ann"])
        for delivery in deliveries:
            delivery.add_done_callback(again)
        assert books(await buffer.aclose()) == {"delivered": 2}
        assert refusals == ["the buffer is closed"] * 2
        assert_finished(buffer, deliveries)

    run(main())


def test_a_caller_let_in_before_the_close_but_not_run_is_turned_away() -> None:
    """R14: room that was granted in the moment of the close is given back, and the caller gets BufferClosedError."""

    async def main() -> None:
        buffer = make_buffer(FakeService(), settings=attrs.evolve(NO_LIMIT, max_records=2))
        deliveries = record_all(buffer, ["ann", "ann"])
        caller = asyncio.create_task(buffer.record("seen", id="bob"))
        await sleep(0)
        deliveries[1].cancel()  # lets the caller in
        assert books(await buffer.aclose(5)) == {"delivered": 1}
        await asyncio.wait([caller])
        assert isinstance(caller.exception(), BufferClosedError)
        assert_finished(buffer, deliveries)

    run(main())


def test_callers_in_line_are_turned_away_at_once() -> None:
    """R14: whoever waits for room hears of the close when it begins, not when its time is up."""

    async def main() -> None:
        buffer = make_buffer(FakeService(otherwise=STALL), settings=attrs.evolve(NO_LIMIT, max_records=1))
        record_all(buffer, ["ann"])
        caller = asyncio.create_task(buffer.record("seen", id="bob"))
        await sleep(0)
        closing = asyncio.create_task(buffer.aclose(10))
        with pytest.raises(BufferClosedError, match="waited for room"):
            await caller
        assert clock() == 0
        await closing
        assert_finished(buffer, [])

    run(main())


def test_an_answer_that_comes_in_the_moment_of_a_cancelled_close_changes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """R14, R1: the record was abandoned an instant before its answer is looked at; it keeps that one end."""

    async def main() -> None:
        service = FakeService(attrs.evolve(OK, latency=1.0))
        buffer = make_buffer(service)
        deliveries = record_all(buffer, ["ann"])
        closing = asyncio.create_task(buffer.aclose(100))
        asyncio.get_running_loop().call_at(1.0 - 2e-10, closing.cancel)
        await asyncio.wait([closing])
        assert service.numbers == [0]
        assert outcomes(deliveries) == ["BufferClosedError"]
        assert books(await buffer.aclose()) == {"abandoned": 1}
        assert_finished(buffer, deliveries)

    run(main())
    assert [record.message for record in caplog.records if record.exc_info] == []


def test_a_closed_buffer_logs_one_line_about_what_it_abandons(caplog: pytest.LogCaptureFixture) -> None:
    """R12, R14: a thousand abandoned records are one line with their number."""

    async def main() -> None:
        buffer = make_buffer(FakeService(otherwise=STALL))
        record_all(buffer, ["ann"] * 1000)
        await buffer.aclose(1)

    with caplog.at_level(logging.INFO):
        run(main())
    assert [record.message.split(";")[0] for record in caplog.records] == ["1000 record(s) not delivered"]


def test_stopping_a_dispatcher_that_never_started_does_nothing() -> None:
    """R14: a buffer that was bound to a loop but never used closes at once."""

    async def main() -> None:
        buffer = make_buffer(FakeService())
        buffer.bind()
        assert books(await buffer.aclose()) == {}
        assert buffer._works is not None
        dispatcher: Dispatcher = buffer._works.dispatcher
        await dispatcher.stop()
        assert clock() == 0
        assert_finished(buffer, [])

    run(main())


def test_closing_leaves_time_to_tell_everybody() -> None:
    """R14: with many records left, aclose begins to end them before its time is up, because that takes time, too."""

    async def main() -> None:
        buffer = make_buffer(FakeService(otherwise=STALL))
        deliveries = record_all(buffer, ["ann"] * 2000)
        began = asyncio.get_running_loop().time()
        await buffer.aclose(1.0)

        assert 0.98 < asyncio.get_running_loop().time() - began <= 0.991
        assert_finished(buffer, deliveries)

    run(main())
