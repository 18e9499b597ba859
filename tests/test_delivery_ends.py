"""R1: every record comes to one end, and no error anywhere stops the engine."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING

import attrs
import pytest
from fake_service import (
    BAD,
    BROKEN,
    KEY,
    NO_LIMIT,
    NOT_SENT,
    OK,
    STALL,
    UNAUTHORIZED,
    FakeService,
    Play,
    assert_balanced,
    assert_finished,
    books,
    make_buffer,
    make_destination,
    outcomes,
    record_all,
    response,
    run,
    seeded_faults,
    sleep,
)

from mida_async import BadRequestError, BufferClosedError, EventExpiredError, RateLimit, RetryPolicy
from mida_async._core.request import Account
from mida_async.destinations.mida import MidaDestination
from mida_async.instrumentation import RecordEnded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mida_async._core.messages import Request, Response
    from mida_async._delivery.delivery import Delivery
    from mida_async.destinations.base import Judgement
    from mida_async.instrumentation import Detail


class Stubborn(MidaDestination):
    """A destination whose parts fail once each, as foreign code may."""

    def __init__(self, failures: Mapping[str, Exception]) -> None:
        super().__init__(Account.create(project_key="project", api_key=KEY, region="us"))
        self.failures = dict(failures)

    def request(self, body: bytes) -> Request:
        """Fail once, then work."""
        self._fail("request")
        return super().request(body)

    def judge(self, response: Response, wall_now: float) -> Judgement:
        """Fail once, then work."""
        self._fail("judge")
        return super().judge(response, wall_now)

    def _fail(self, part: str) -> None:
        error = self.failures.pop(part, None)
        if error is not None:
            raise error


def test_a_delivered_record_has_a_receipt() -> None:
    """R1: a record that is accepted resolves its Delivery with what was answered, after how many attempts and when."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service)
        delivery = await buffer.record("bought", email="Ann@Example.com", properties={"n": 7})
        assert repr(buffer) == "<EventBuffer open: 1 pending, 0 of 1 delivered>"
        receipt = await delivery
        assert (receipt.record_id, receipt.status, receipt.attempts) == (delivery.record_id, 200, 1)
        assert (receipt.folded, receipt.may_be_duplicate) == (1, False)
        assert receipt.waited == pytest.approx(0.05)
        assert receipt.body == {"success": True, "message": "Event recorded successfully"}
        (sent,) = service.applied
        assert (sent.name, sent.visitor) == ("bought", frozenset({("email", "Ann@Example.com")}))
        await buffer.aclose()
        assert repr(buffer) == "<EventBuffer closed: 0 pending, 1 of 1 delivered>"
        assert_finished(buffer, [delivery])

    run(main())


def test_what_is_recorded_later_waits_for_idle_senders_to_wake() -> None:
    """R1: records that come one by one, long after the senders fell idle, are each sent at once."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service)
        for n in range(20):
            await sleep(100)
            assert (await (await buffer.record("seen", id="ann", properties={"n": n}))).waited < 0.1
        await buffer.aclose()
        assert service.numbers == list(range(20))

    run(main())


def test_counts_add_up_at_every_moment() -> None:
    """R1: in the middle of faults, at any time, the ends and what is pending add up to what was accepted."""

    async def main() -> None:
        buffer = make_buffer(
            FakeService(otherwise=seeded_faults(random.Random(5), 0.5)),  # noqa: S311
            settings=attrs.evolve(NO_LIMIT, concurrency=4, max_age=20.0),
            total=1.0,
        )
        deliveries = record_all(buffer, [f"u{n % 7}" for n in range(200)])
        while buffer.statistics().pending:
            await sleep(0.05)
            assert_balanced(buffer)
        now = buffer.statistics()
        assert now.accepted == 200
        assert len(books(now)) > 2
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


def test_statistics_of_a_buffer_that_was_never_used() -> None:
    """R1: before first use all counts are 0, and flush and close have nothing to report."""

    async def main() -> None:
        buffer = make_buffer(FakeService())
        buffer.look(None)
        now = buffer.statistics()
        assert (now.accepted, now.pending, now.callers, now.bytes, now.rate, now.breaker) == (
            0,
            0,
            0,
            0,
            None,
            "closed",
        )
        assert books(await buffer.flush()) == {}
        assert books(await buffer.aclose()) == {}
        with pytest.raises(BufferClosedError):
            buffer.record_nowait("seen", id="ann")

    run(main())


def test_statistics_of_a_busy_buffer() -> None:
    """R1: the snapshot tells what waits, what is in flight, what is between attempts, and how old the oldest is."""

    async def main() -> None:
        buffer = make_buffer(
            FakeService(NOT_SENT, otherwise=STALL),
            settings=attrs.evolve(NO_LIMIT, concurrency=2),
            retry=RetryPolicy(initial=0.0),
        )
        record_all(buffer, ["ann", "bob", "bob", "cid"])
        await sleep(3)
        now = buffer.statistics()
        assert (now.pending, now.waiting, now.in_flight, now.retrying, now.lanes) == (4, 2, 2, 1, 3)
        assert (now.oldest_age, now.attempts) == (3, 3)
        await buffer.aclose(0)
        assert buffer.statistics().oldest_age == 0.0

    run(main())


@pytest.mark.parametrize("part", ["request", "judge"])
@pytest.mark.parametrize("error", [ValueError("odd"), StopIteration("odd"), RuntimeError("odd")])
def test_an_unforeseen_error_ends_the_record_that_it_hit(
    part: str, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """R1: whatever a destination raises fails one record with that error, is logged, and all others are delivered."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(
            service,
            settings=attrs.evolve(NO_LIMIT, concurrency=1),
            destination=Stubborn({part: error}),
        )
        deliveries = record_all(buffer, ["ann", "ann", "bob"])
        await buffer.flush(5)
        assert outcomes(deliveries)[1:] == ["ok", "ok"]
        assert books(buffer.statistics()) == {"delivered": 2, "rejected": 1}
        assert "odd" in str(deliveries[0].exception())
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())
    assert [record.exc_info is not None for record in caplog.records if "unforeseen" in record.message] == [True]


def test_an_unforeseen_error_of_the_transport_ends_one_record() -> None:
    """R1: a transport that breaks its promises costs the record that it held, and opens no breaker."""

    async def main() -> None:
        buffer = make_buffer(FakeService(*[Play(outcome=KeyError("bug"))] * 20))
        deliveries = record_all(buffer, ["ann"] * 21)
        await buffer.flush(5)
        assert outcomes(deliveries) == ["KeyError"] * 20 + ["ok"]
        assert buffer.statistics().breaker == "closed"
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


def test_a_request_that_something_else_cancelled_is_sent_again() -> None:
    """R1: a CancelledError out of the transport, without anybody cancelling a sender, costs no record."""

    async def main() -> None:
        buffer = make_buffer(
            FakeService(*[Play(outcome=asyncio.CancelledError())] * 3),
            settings=attrs.evolve(NO_LIMIT, concurrency=1),
        )
        deliveries = record_all(buffer, ["ann", "ann"])
        await buffer.flush(60)
        receipt = deliveries[0].result()
        assert (receipt.attempts, receipt.may_be_duplicate) == (4, True)
        assert outcomes(deliveries) == ["ok", "ok"]
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


def test_an_error_in_the_engine_itself_fails_what_it_held(caplog: pytest.LogCaptureFixture) -> None:
    """R1: an error while an answer is taken in ends that record once, and the sender goes on after a moment."""

    class Faulty(FakeService):
        async def send(self, request: Request, *, total: float) -> Response:
            answer = await super().send(request, total=total)
            return attrs.evolve(answer, headers=None) if len(self.requests) == 1 else answer  # type: ignore[arg-type]

    async def main() -> None:
        buffer = make_buffer(Faulty(), settings=attrs.evolve(NO_LIMIT, concurrency=1))
        deliveries = record_all(buffer, ["ann", "ann"])
        await buffer.flush(5)
        assert outcomes(deliveries) == ["TypeError", "ok"]
        assert books(buffer.statistics()) == {"delivered": 1, "rejected": 1}
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())
    assert [record.message for record in caplog.records if record.exc_info] == [
        "an error in the delivery engine; it goes on"
    ]


def test_an_error_while_a_probe_is_judged_does_not_shut_the_engine_for_good() -> None:
    """R1, R12: where the answer to the one probe breaks the engine, another probe goes out."""

    class Faulty(FakeService):
        async def send(self, request: Request, *, total: float) -> Response:
            answer = await super().send(request, total=total)
            return attrs.evolve(answer, headers=None)  # type: ignore[arg-type]

    async def main() -> None:
        service = Faulty(*[NOT_SENT] * 5)
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, concurrency=1))
        deliveries = record_all(buffer, ["ann", "bob", "cid"])
        await buffer.flush(60)
        assert outcomes(deliveries) == ["TypeError"] * 3
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


def test_an_error_between_two_records_is_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    """R1: an error while the next record is looked for is logged, and a moment later the search goes on."""

    async def main() -> None:
        buffer = make_buffer(FakeService(), settings=attrs.evolve(NO_LIMIT, concurrency=2))
        claim, failures = buffer.scheduler.claim, [ValueError("bug"), ValueError("bug")]

        def faulty(now: float) -> object:
            if failures:
                raise failures.pop()
            return claim(now)

        monkeypatch.setattr(buffer.scheduler, "claim", faulty)
        deliveries = record_all(buffer, ["ann", "bob"])
        await buffer.flush(5)
        assert outcomes(deliveries) == ["ok", "ok"]
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


def test_an_error_that_recurs_does_not_take_all_of_the_loops_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """R1: where every search fails, each sender tries again ten times a second, and close still keeps its deadline."""

    def faulty(_now: float) -> object:
        message = "bug"
        raise ValueError(message)

    async def main() -> None:
        buffer = make_buffer(FakeService(), settings=attrs.evolve(NO_LIMIT, concurrency=2))
        monkeypatch.setattr(buffer.scheduler, "claim", faulty)
        deliveries = record_all(buffer, ["ann"])
        assert books(await buffer.aclose(10)) == {"abandoned": 1}
        assert_finished(buffer, deliveries)

    run(main(), rounds=500)


def test_an_error_after_a_record_was_put_back_leaves_it_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """R1: what fails after a record was deferred to its next attempt does not end it."""

    async def main() -> None:
        buffer = make_buffer(FakeService(NOT_SENT))
        look_at, failures = buffer._reporter.look_at, [ValueError("bug")]

        def faulty(*args: object) -> None:
            if failures:
                raise failures.pop()
            look_at(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(buffer._reporter, "look_at", faulty)
        deliveries = record_all(buffer, ["ann"])
        await buffer.flush(5)
        assert (failures, outcomes(deliveries), deliveries[0].result().attempts) == ([], ["ok"], 2)
        await buffer.aclose()

    run(main())


def test_a_hook_that_fails_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """R1: an exception in a hook is logged; the record, the other hooks and the engine do not notice."""

    def broken(_detail: Detail) -> None:
        message = "a bug in a hook"
        raise LookupError(message)

    async def main() -> None:
        told = list[str]()
        buffer = make_buffer(FakeService(BAD), hooks=[broken, lambda detail: told.append(type(detail).__name__)])
        deliveries = record_all(buffer, ["ann", "ann"])
        await buffer.flush()
        assert outcomes(deliveries) == ["BadRequestError", "ok"]
        assert told.count("RecordEnded") == 2
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())
    assert any("hook failed" in record.message and record.exc_info for record in caplog.records)


class Odd(BaseException):
    """Neither an Exception nor one of those that end a program, as pytest.fail() raises."""


@pytest.mark.parametrize("error", [Odd("odd"), GeneratorExit(), SystemError("odd"), MemoryError(), RecursionError()])
def test_whatever_a_transport_raises_ends_the_record_that_it_hit(error: BaseException) -> None:
    """R1: also what is no Exception costs one record; its lane and its sender go on."""

    async def main() -> None:
        service = FakeService(Play(outcome=error))
        settings = attrs.evolve(NO_LIMIT, concurrency=1, rate_limits=RateLimit(1, per=1))  # what it paid comes back
        buffer = make_buffer(service, settings=settings)
        deliveries = record_all(buffer, ["ann", "ann", "bob"])
        report = await buffer.flush(10)
        assert books(report) == {"rejected": 1, "delivered": 2}
        told = deliveries[0].exception()
        assert told is not None
        assert error.__class__ in {type(told), type(told.__cause__)}
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


@pytest.mark.parametrize("error", [Odd("odd"), GeneratorExit(), asyncio.CancelledError(), ValueError()])
def test_whatever_a_hook_raises_harms_nothing(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    """R1: a hook that raises what is no Exception neither breaks record() nor any delivery."""

    def hook(_detail: Detail) -> None:
        raise error

    async def main() -> None:
        buffer = make_buffer(FakeService(BAD), hooks=[hook])
        deliveries = record_all(buffer, ["ann", "bob"])
        await buffer.flush(5)
        assert outcomes(deliveries) == ["BadRequestError", "ok"]
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())
    assert "a hook failed; delivery goes on" in caplog.messages


class BrokenHandler(logging.Handler):
    """A log handler that raises, as one does whose disk is full or whose socket is gone."""

    def handle(self, record: logging.LogRecord) -> bool:
        """Raise."""
        raise OSError(record.levelname)


@pytest.mark.parametrize("otherwise", [OK, BAD, BROKEN, NOT_SENT, UNAUTHORIZED, STALL, Play(outcome=ValueError())])
@pytest.mark.parametrize("hook_fails", [False, True])
def test_a_log_handler_that_fails_harms_nothing(otherwise: Play, hook_fails: bool) -> None:  # noqa: FBT001
    """R1, R14: where nothing can be logged, records come to their ends all the same, and aclose() to its own."""

    def hook(_detail: Detail) -> None:
        if hook_fails:
            raise ValueError

    async def main() -> None:
        buffer = make_buffer(FakeService(otherwise=otherwise), hooks=[hook], retry=RetryPolicy(max_attempts=3))
        deliveries = record_all(buffer, ["ann", "bob", "ann", "cid"])
        await buffer.flush(1)
        await buffer.aclose(1)
        assert_finished(buffer, deliveries)

    logger, handler = logging.getLogger("mida_async"), BrokenHandler()
    logger.addHandler(handler)
    try:
        run(main())
    finally:
        logger.removeHandler(handler)


def test_a_hook_may_cancel_what_is_about_to_be_abandoned() -> None:
    """R1: a hook that cancels other Deliveries while the buffer ends them changes their futures, not the books."""

    async def main() -> None:
        deliveries: list[Delivery] = []

        def cancel_the_rest(detail: Detail) -> None:
            if isinstance(detail, RecordEnded):
                for delivery in deliveries[1:]:
                    delivery.cancel()

        buffer = make_buffer(FakeService(otherwise=STALL), hooks=[cancel_the_rest])
        deliveries += record_all(buffer, ["ann", "ann", "ann", "bob"])
        await sleep(1)
        assert books(await buffer.aclose(1)) == {"abandoned": 4}
        assert outcomes(deliveries) == ["BufferClosedError", "cancelled", "cancelled", "cancelled"]
        assert_finished(buffer, deliveries)

    run(main())


def test_a_rejected_delivery_raises_the_answer_itself() -> None:
    """R1: a record that the service refuses ends as rejected, with the typed error and what the service said."""

    async def main() -> None:
        buffer = make_buffer(FakeService(BAD))
        delivery = await buffer.record("seen", id="ann")
        with pytest.raises(BadRequestError, match="event_name is required") as caught:
            await delivery
        assert caught.value.status == 400
        assert books(buffer.statistics()) == {"rejected": 1}
        await buffer.aclose()

    run(main())


@pytest.mark.parametrize("attempts", [0, 1])
def test_a_record_that_grows_too_old_expires(attempts: int) -> None:
    """max_age ends a record that waits for a busy visitor, or between two attempts, with the last failure as cause."""

    async def main() -> None:
        refusal = Play(outcome=response(503, "later", retry_after="1000"))
        service = FakeService(*[refusal] * attempts, otherwise=STALL)
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, max_age=30.0), total=100)
        if not attempts:
            record_all(buffer, ["ann"])
            await sleep(1)
        started = asyncio.get_running_loop().time()
        delivery = await buffer.record("seen", id="ann")
        with pytest.raises(EventExpiredError, match=rf"max_age \(30 s\), after {attempts} attempts") as caught:
            await delivery
        assert asyncio.get_running_loop().time() - started == pytest.approx(30)
        assert (caught.value.__cause__ is not None) == bool(attempts)
        assert books(buffer.statistics()) == {"expired": 1}
        await buffer.aclose(0)

    run(main())


def test_a_record_that_is_too_old_when_its_attempt_fails_expires() -> None:
    """max_age ends a record in flight with its failed attempt, not before: it may still be delivered."""

    async def main() -> None:
        slow = Play(outcome=response(500), latency=40)
        service = FakeService(slow, attrs.evolve(OK, latency=40))
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, max_age=30.0), total=100)
        deliveries = record_all(buffer, ["ann", "bob"])
        await buffer.flush()
        assert outcomes(deliveries) == ["EventExpiredError", "ok"]
        assert asyncio.get_running_loop().time() == pytest.approx(40)
        await buffer.aclose()

    run(main())


def test_expiry_follows_the_order_of_acceptance() -> None:
    """max_age ends waiting records one after the other, each at its own time, without one timer for each."""

    async def main() -> None:
        settings = attrs.evolve(NO_LIMIT, max_age=10.0, concurrency=2)
        buffer = make_buffer(FakeService(otherwise=STALL), settings=settings, total=1000)
        ends, loop = list[float](), asyncio.get_running_loop()
        deliveries = record_all(buffer, ["bob"])
        for _ in range(100):
            await sleep(0.01)
            deliveries += record_all(buffer, ["bob"])
            deliveries[-1].add_done_callback(lambda _delivery: ends.append(loop.time()))
        await sleep(12)
        assert ends == pytest.approx([10 + 0.01 * (n + 1) for n in range(100)])
        await buffer.aclose(0)
        assert_finished(buffer, deliveries)

    run(main(), rounds=1500)


def test_nothing_is_logged_about_what_succeeds(caplog: pytest.LogCaptureFixture) -> None:
    """R12: deliveries that go well leave no line in the log."""

    async def main() -> None:
        buffer = make_buffer(FakeService())
        record_all(buffer, ["ann"] * 20)
        await buffer.flush()
        await buffer.aclose()

    with caplog.at_level(logging.INFO):
        run(main())
    assert caplog.records == []


def test_the_destination_of_these_tests_is_the_real_one() -> None:
    """What the fake service reads is what the real destination encodes."""
    assert make_destination().encode("seen", id="ann").body == b'{"event_name":"seen","id":"ann"}'


def test_records_expire_on_time_while_all_senders_are_busy() -> None:
    """R12: a record that waits grows too old on time, although every sender is held up by a stalled request."""

    async def main() -> None:
        settings = attrs.evolve(NO_LIMIT, concurrency=2, max_age=5.0)
        buffer = make_buffer(FakeService(otherwise=STALL), settings=settings, total=60.0)
        deliveries = [await buffer.record("seen", id=f"u{n}", properties={"n": n}) for n in range(4)]
        await sleep(1.0)
        late = await buffer.record("seen", id="u9", properties={"n": 9})
        await sleep(4.01)

        assert outcomes(deliveries) == ["pending", "pending", "EventExpiredError", "EventExpiredError"]
        assert not late.done()
        await sleep(1.0)
        assert outcomes([late]) == ["EventExpiredError"]
        await buffer.aclose(0)

    run(main())


def test_a_record_that_comes_while_all_senders_are_busy_expires_on_time() -> None:
    """R12: a record that comes when nothing waits and no sender is free to look at it grows too old on time, too."""

    async def main() -> None:
        settings = attrs.evolve(NO_LIMIT, concurrency=1, max_age=5.0)
        buffer = make_buffer(FakeService(otherwise=STALL), settings=settings, total=60.0)
        await buffer.record("seen", id="u1", properties={"n": 1})
        await sleep(1.0)
        late = await buffer.record("seen", id="u2", properties={"n": 2})
        await sleep(5.01)

        assert outcomes([late]) == ["EventExpiredError"]
        await buffer.aclose(0)

    run(main())
