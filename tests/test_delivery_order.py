"""R2 and R3: each visitor's records in order, one at a time, and no visitor held up by another."""

from __future__ import annotations

import asyncio

import attrs
import pytest
from fake_service import (
    BAD,
    LOST,
    NO_LIMIT,
    NOT_SENT,
    OK,
    STALL,
    UNKNOWN_VISITOR,
    FakeService,
    Play,
    Sent,
    assert_finished,
    is_ordered,
    make_buffer,
    outcomes,
    per_visitor,
    record_all,
    response,
    run,
    sleep,
)

from mida_async import RetryPolicy


def test_records_of_a_visitor_are_applied_in_order_and_one_at_a_time() -> None:
    """R2: whatever the latencies, a visitor's records arrive in the order of acceptance, never two at once."""

    async def main() -> None:
        latencies = iter((0.3, 0.01, 0.2, 0.05) * 25)
        service = FakeService(otherwise=lambda _sent: attrs.evolve(OK, latency=next(latencies)))
        buffer = make_buffer(service)
        deliveries = record_all(buffer, [f"u{n % 10}" for n in range(100)])
        await asyncio.wait(deliveries)
        assert service.overlaps == []
        assert service.most_in_flight == 10
        assert all(is_ordered(line) for line in per_visitor(service.applied))
        assert len(service.applied) == 100
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


@pytest.mark.parametrize("failure", [NOT_SENT, LOST, Play(outcome=response(503, "later", retry_after="0.5"))])
def test_a_retried_record_stays_at_the_head(failure: Play) -> None:
    """R2: a record that fails goes again before those that came after it."""

    async def main() -> None:
        service = FakeService(OK, failure, failure)
        buffer = make_buffer(service)
        await asyncio.wait(record_all(buffer, ["ann"] * 5))
        assert [sent.number for sent in service.requests] == [0, 1, 1, 1, 2, 3, 4]
        assert service.numbers == [0, 1, 2, 3, 4]
        await buffer.aclose()

    run(main())


def test_a_rejected_record_does_not_stop_the_next() -> None:
    """R2: a visitor whose record is refused for good goes on with the next one."""

    async def main() -> None:
        service = FakeService(OK, BAD)
        buffer = make_buffer(service)
        deliveries = record_all(buffer, ["ann"] * 3)
        await asyncio.wait(deliveries)
        assert outcomes(deliveries) == ["ok", "BadRequestError", "ok"]
        assert service.numbers == [0, 2]
        await buffer.aclose()

    run(main())


def test_visitors_are_served_in_turn() -> None:
    """R2: a visitor with a thousand records delays one with a single record by one request."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, concurrency=1))
        deliveries = record_all(buffer, ["busy"] * 1000)
        late = await buffer.record("seen", id="late", properties={"n": 1000})
        await late
        assert service.numbers == [0, 1000]
        await buffer.aclose(0)
        assert_finished(buffer, deliveries)

    run(main())


def test_a_failing_visitor_delays_no_other() -> None:
    """R2: while one visitor's record stalls and another's is between attempts, all others are delivered."""

    def choose(sent: Sent) -> Play:
        return {("id", "stalled"): STALL, ("id", "unknown"): UNKNOWN_VISITOR}.get(min(sent.visitor), OK)

    async def main() -> None:
        settings = attrs.evolve(NO_LIMIT, concurrency=2, unknown_visitor="wait")
        service = FakeService(otherwise=choose)
        buffer = make_buffer(service, settings=settings)
        failing = record_all(buffer, ["stalled", "unknown"] * 3)
        started = asyncio.get_running_loop().time()
        await asyncio.wait(record_all(buffer, ["ann"] * 20))
        assert asyncio.get_running_loop().time() - started < 1.5
        assert outcomes(failing) == ["pending"] * 6
        await buffer.aclose(0)
        assert_finished(buffer, failing)

    run(main())


def test_a_withdrawn_head_lets_the_next_record_go_at_once() -> None:
    """R2, R13: when the head of a lane, due in a minute, is cancelled, the record behind it does not wait for that."""

    async def main() -> None:
        service = FakeService(UNKNOWN_VISITOR, UNKNOWN_VISITOR)
        settings = attrs.evolve(NO_LIMIT, unknown_visitor="wait")
        buffer = make_buffer(service, settings=settings, retry=RetryPolicy(maximum=60.0))
        head, follower = record_all(buffer, ["ann"] * 2)
        await sleep(2)
        head.cancel()
        started = asyncio.get_running_loop().time()
        await follower
        assert asyncio.get_running_loop().time() - started == pytest.approx(0.05)
        await buffer.aclose()

    run(main())


def test_without_order_records_of_one_visitor_go_side_by_side() -> None:
    """R2: order='none' sends each record on its own."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, order="none"))
        await asyncio.wait(record_all(buffer, ["ann"] * 10))
        assert service.most_in_flight == 10
        await buffer.aclose()

    run(main())


def test_at_most_concurrency_requests_are_in_flight() -> None:
    """R2: concurrency bounds the requests in flight, and is reached."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, concurrency=3))
        await asyncio.wait(record_all(buffer, [f"u{n}" for n in range(30)]))
        assert service.most_in_flight == 3
        await buffer.aclose()

    run(main())


def test_any_shared_identifier_means_the_same_visitor() -> None:
    """R3: records that share a mida_uuid, an id, or an e-mail address but for its case, are one visitor's."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service)
        buffer.record_nowait("seen", mida_uuid="m", email="Ann@X.com", properties={"n": 0})
        buffer.record_nowait("seen", email="aNN@x.COM", id="a", properties={"n": 1})
        buffer.record_nowait("seen", id="a", properties={"n": 2})
        buffer.record_nowait("seen", id="A", properties={"n": 3})
        await buffer.flush()
        assert [sent.number for sent in service.requests] == [0, 3, 1, 2]
        assert [dict(sent.visitor)["email"] for sent in service.requests[::2]] == ["Ann@X.com", "aNN@x.COM"]
        await buffer.aclose()

    run(main())


def test_a_link_waits_for_the_heads_of_both_lanes() -> None:
    """R3: a record that shows two visitors to be one goes after both records in flight, and what follows after it."""

    async def main() -> None:
        service = FakeService(attrs.evolve(OK, latency=1.0), attrs.evolve(OK, latency=3.0))
        buffer = make_buffer(service)
        buffer.record_nowait("seen", id="ann", properties={"n": 0})
        buffer.record_nowait("seen", email="ann@x.com", properties={"n": 1})
        await sleep(0.5)
        buffer.record_nowait("seen", id="ann", properties={"n": 2})
        buffer.record_nowait("linked", id="ann", email="ann@x.com", properties={"n": 3})
        buffer.record_nowait("seen", email="ann@x.com", properties={"n": 4})
        await buffer.flush()
        assert [sent.number for sent in service.requests] == [0, 1, 2, 3, 4]
        assert service.requests[2].at == pytest.approx(3.0)
        assert service.most_in_flight == 2
        await buffer.aclose()

    run(main())


def test_a_link_keeps_a_retried_head_first() -> None:
    """R3: where one of two linked visitors has a failed head, it goes again before the record that linked them."""

    async def main() -> None:
        service = FakeService(attrs.evolve(LOST, latency=1.0), attrs.evolve(OK, latency=0.5))
        buffer = make_buffer(service)
        buffer.record_nowait("seen", id="ann", properties={"n": 0})
        buffer.record_nowait("seen", email="ann@x.com", properties={"n": 1})
        await sleep(0.1)
        buffer.record_nowait("linked", id="ann", email="ann@x.com", properties={"n": 2})
        await buffer.flush()
        assert [sent.number for sent in service.requests] == [0, 1, 0, 2]
        await buffer.aclose()

    run(main())
