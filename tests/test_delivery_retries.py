"""R8 to R12 through the whole engine: rates, retries, ambiguity, unknown visitors, outages and refused keys."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from fake_service import (
    BAD,
    BROKEN,
    JUDGE,
    KEY,
    LOST,
    LOST_AFTER,
    NO_LIMIT,
    NOT_SENT,
    OK,
    STALL,
    TOO_MANY,
    UNAUTHORIZED,
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

from mida_async import (
    AmbiguousDeliveryError,
    AuthenticationError,
    CertificateError,
    ConnectError,
    EventExpiredError,
    RateLimit,
    RequestTimeoutError,
    RetryPolicy,
    VisitorNotFoundError,
)
from mida_async._core.messages import Response
from mida_async._delivery.witness import BufferWitness
from mida_async.testing import SlidingLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from fake_service import Sent

    from mida_async._delivery.delivery import Delivery

QUICK = RetryPolicy(initial=0.01)


def clock() -> float:
    """Return the virtual time."""
    return asyncio.get_running_loop().time()


async def deliver(service: FakeService, *, visitors: int = 1, **changes: Any) -> list[Delivery]:
    """Record an event for each of so many visitors, wait for all ends, and close."""
    buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, **changes), retry=QUICK, total=2.0)
    deliveries = record_all(buffer, [f"u{n}" for n in range(visitors)])
    await asyncio.wait(deliveries)
    await buffer.aclose()
    assert_finished(buffer, deliveries)
    return deliveries


def test_the_rate_is_kept_at_the_service() -> None:
    """R8: under two limits the service's own sliding log refuses nothing, and the rate is used up."""

    async def main() -> None:
        service = FakeService(limit=SlidingLog(100, per=10))
        limits = (RateLimit(20, per=1), RateLimit(100, per=10))
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, rate_limits=limits))
        deliveries = record_all(buffer, [f"u{n % 50}" for n in range(400)])
        await asyncio.wait(deliveries)
        assert service.refused == 0
        assert 30 < clock() < 37
        assert buffer.statistics().throttled == 0
        assert buffer.statistics().rate == pytest.approx(10, rel=0.05)
        await buffer.aclose()

    run(main(), rounds=20_000)


def test_every_attempt_pays() -> None:
    """R8: retries are under the limit, too."""

    async def main() -> None:
        service = FakeService(*[BROKEN] * 4, limit=SlidingLog(2, per=1))
        await deliver(service, rate_limits=RateLimit(2, per=1))
        assert (service.refused, len(service.requests)) == (0, 5)
        assert clock() > 2

    run(main())


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_closes_the_gate_for_all(status: int) -> None:
    """R8: for as long as the server asked, no record of any visitor goes, and none pays for it with its attempts."""

    async def main() -> None:
        refusal = Play(outcome=response(status, "later", retry_after="30"))
        service = FakeService(refusal)
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, concurrency=1))
        deliveries = record_all(buffer, [f"u{n}" for n in range(5)])
        await asyncio.wait(deliveries)
        assert [sent.at >= 30.05 for sent in service.requests] == [False] + [True] * 5
        assert clock() < 33
        assert buffer.statistics().throttled == (status == 429)
        await buffer.aclose()

    run(main())


@pytest.mark.parametrize("status", [408, 425])
def test_a_rare_refusal_may_tell_a_pause_too(status: int) -> None:
    """R8, R9: Retry-After is a floor and closes the gate for every refusal that may carry it."""

    async def main() -> None:
        service = FakeService(Play(outcome=response(status, "later", retry_after="10")))
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, concurrency=1), retry=QUICK)
        deliveries = record_all(buffer, ["ann", "bob"])
        await asyncio.wait(deliveries)
        assert [sent.at >= 10.05 for sent in service.requests] == [False, True, True]
        assert clock() < 11
        await buffer.aclose()

    run(main())


def test_a_date_in_retry_after_is_read_with_the_wall_clock() -> None:
    """R8, R16: only an HTTP date needs the wall clock; all deadlines are on the loop's."""

    async def main() -> None:
        service = FakeService(Play(outcome=response(429, "later", retry_after="Thu, 01 Jan 1970 00:01:40 GMT")))
        buffer = make_buffer(service)
        buffer._route = attrs.evolve(buffer._route, wall_clock=lambda: 60.0)
        await (await buffer.record("seen", id="ann"))
        assert service.requests[1].at == pytest.approx(40.05, abs=1.5)
        await buffer.aclose()

    run(main())


def test_a_429_that_tells_nothing_slows_down() -> None:
    """R8: without limits of its own the client sends more slowly after the first refusal, and statistics say so."""

    async def main() -> None:
        service = FakeService(limit=SlidingLog(20, per=1))
        buffer = make_buffer(service)
        deliveries = record_all(buffer, [f"u{n}" for n in range(200)])
        await asyncio.wait(deliveries)
        assert buffer.statistics().rate is not None
        assert outcomes(deliveries) == ["ok"] * 200
        assert service.refused < 100
        await buffer.aclose()

    run(main())


def test_direct_calls_use_up_the_rate() -> None:
    """R8: what direct calls send counts under the limits, and a Retry-After that they get holds the buffer back."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, rate_limits=RateLimit(2, per=10)))
        witness = BufferWitness(buffer, JUDGE, wall_clock=lambda: 0.0)
        for _ in range(2):
            witness.answered(witness.sending(clock()), response(200), clock())
        delivery = await buffer.record("seen", id="ann")
        await delivery
        assert service.requests[0].at == pytest.approx(10, abs=0.1)
        token = witness.sending(clock())
        witness.answered(token, response(429, f"slow down, {KEY}", retry_after="60"), clock())
        assert buffer.statistics().throttled == 1
        await (await buffer.record("seen", id="ann"))
        assert 70.05 <= service.requests[1].at < 71.1
        await buffer.aclose()

    run(main())


def test_direct_calls_tell_that_the_server_is_away_and_back() -> None:
    """R9, R12: failures of direct calls open the breaker, one that is broken off says nothing, a success heals it."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service)
        witness = BufferWitness(buffer, JUDGE)
        for outcome in (ConnectError("down"), None, response(500)):
            witness.answered(witness.sending(clock()), outcome, clock())
        assert buffer.statistics().breaker == "closed"
        for _ in range(3):
            witness.answered(witness.sending(clock()), ConnectError("down"), clock())
        assert buffer.statistics().breaker == "open"
        await sleep(0.1)
        delivery = await buffer.record("seen", id="ann")
        await sleep(0.1)
        assert service.requests == []
        witness.answered(witness.sending(clock()), response(404), clock())
        await delivery
        assert clock() < 0.3
        await buffer.aclose()

    run(main())


@pytest.mark.parametrize("guarantee", ["at_least_once", "at_most_once"])
@pytest.mark.parametrize(
    "failure",
    [
        NOT_SENT,
        TOO_MANY,
        Play(outcome=response(408)),
        Play(outcome=response(425)),
        Play(outcome=response(503, "later", retry_after="1")),
    ],
)
def test_what_was_surely_not_applied_is_sent_again(failure: Play, guarantee: str) -> None:
    """R9: not sent and refused are retried under both guarantees, and the receipt says that it is no duplicate."""

    async def main() -> None:
        service = FakeService(failure, failure)
        (delivery,) = await deliver(service, guarantee=guarantee)
        assert (delivery.result().attempts, delivery.result().may_be_duplicate) == (3, False)
        assert service.numbers == [0]

    run(main())


AMBIGUOUS = [
    LOST,
    LOST_AFTER,
    STALL,
    BROKEN,
    Play(outcome=response(502)),
    Play(outcome=response(503)),
    Play(outcome=response(504)),
]


@pytest.mark.parametrize("failure", AMBIGUOUS)
def test_an_ambiguous_failure_is_retried_at_least_once(failure: Play) -> None:
    """R10: at_least_once sends again, and the receipt says that it may be a duplicate."""

    async def main() -> None:
        service = FakeService(failure)
        (delivery,) = await deliver(service)
        assert (delivery.result().attempts, delivery.result().may_be_duplicate) == (2, True)
        assert len(service.applied) == (2 if failure is LOST_AFTER else 1)

    run(main())


@pytest.mark.parametrize("failure", AMBIGUOUS)
def test_an_ambiguous_failure_ends_the_record_at_most_once(failure: Play) -> None:
    """R10: at_most_once never sends twice; the error carries what happened as its cause."""

    async def main() -> None:
        service = FakeService(failure)
        (delivery,) = await deliver(service, guarantee="at_most_once")
        with pytest.raises(AmbiguousDeliveryError, match="at_most_once") as caught:
            await delivery
        assert caught.value.__cause__ is not None
        assert caught.value.maybe_applied
        assert len(service.requests) == 1

    run(main())


def test_an_ambiguous_end_is_counted_as_such() -> None:
    """R1, R10: the statistics count it under ambiguous."""

    async def main() -> None:
        buffer = make_buffer(FakeService(LOST), settings=attrs.evolve(NO_LIMIT, guarantee="at_most_once"))
        record_all(buffer, ["ann"])
        assert books(await buffer.flush()) == {"ambiguous": 1}
        await buffer.aclose()

    run(main())


@pytest.mark.parametrize(
    "refusal",
    [
        BAD,
        UNKNOWN_VISITOR,
        *(Play(outcome=response(status)) for status in (301, 302, 403, 404, 406, 409, 413, 422)),
        Play(outcome=CertificateError("self-signed")),
    ],
)
def test_a_permanent_refusal_is_not_sent_again(refusal: Play) -> None:
    """R9: any other 4xx, any 3xx and an untrusted certificate reject the record with the error itself."""

    async def main() -> None:
        service = FakeService(refusal)
        (delivery,) = await deliver(service)
        error = delivery.exception()
        assert error is not None
        assert type(error).__name__ not in {"EventExpiredError", "AmbiguousDeliveryError"}
        assert len(service.requests) == 1

    run(main())


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_a_delivery_even_if_its_body_is_cut_short(status: int) -> None:
    """R9: what the server accepted is never sent again, whatever came of the body."""

    async def main() -> None:
        cut = Response(status=status, body=b'{"succ', complete=False)
        odd = Response(status=status, body=b"<html>fine</html>")
        service = FakeService(Play(outcome=cut), Play(outcome=odd))
        deliveries = await deliver(service, visitors=2, guarantee="at_most_once")
        assert [delivery.result().status for delivery in deliveries] == [status, status]
        assert [delivery.result().body for delivery in deliveries] == [None, "<html>fine</html>"]
        assert len(service.requests) == 2

    run(main())


def test_attempts_run_out() -> None:
    """R9: after max_attempts a record expires with the last failure as its cause, and the next one has its turn."""

    async def main() -> None:
        service = FakeService(*[TOO_MANY] * 3)
        settings = attrs.evolve(NO_LIMIT, adaptive=False)
        buffer = make_buffer(service, settings=settings, retry=RetryPolicy(max_attempts=3, initial=0.1))
        first, second = record_all(buffer, ["ann", "ann"])
        with pytest.raises(EventExpiredError, match="given up after 3 attempts") as caught:
            await first
        assert "429" in str(caught.value.__cause__)
        assert (await second).attempts == 1
        assert books(await buffer.aclose()) == {}
        assert books(buffer.statistics()) == {"delivered": 1, "expired": 1}

    run(main())


def test_an_unknown_visitor_waits_until_the_browser_has_registered_it() -> None:
    """R11: with unknown_visitor='wait' records wait in order, with growing pauses; no attempts are spent."""

    async def main() -> None:
        service = FakeService(*[UNKNOWN_VISITOR] * 6)
        buffer = make_buffer(
            service,
            settings=attrs.evolve(NO_LIMIT, unknown_visitor="wait"),
            retry=RetryPolicy(max_attempts=1),
        )
        deliveries = record_all(buffer, ["ann"] * 3)
        await asyncio.wait(deliveries)
        assert [delivery.result().attempts for delivery in deliveries] == [7, 1, 1]
        times = [sent.at for sent in service.requests[:7]]
        pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert pauses == sorted(pauses)
        assert pauses[-1] > 10
        await buffer.aclose()

    run(main())


def test_patience_with_an_unknown_visitor_ends() -> None:
    """R11: after unknown_visitor_patience the record is rejected with VisitorNotFoundError."""

    async def main() -> None:
        service = FakeService(otherwise=UNKNOWN_VISITOR)
        buffer = make_buffer(
            service, settings=attrs.evolve(NO_LIMIT, unknown_visitor="wait", unknown_visitor_patience=20.0)
        )
        delivery = await buffer.record("seen", id="ann")
        with pytest.raises(VisitorNotFoundError):
            await delivery
        assert clock() == pytest.approx(20, abs=1)
        await buffer.aclose()

    run(main())


@pytest.mark.parametrize("failure", [NOT_SENT, BROKEN, STALL])
def test_an_outage_costs_no_record_its_attempts(failure: Play, caplog: pytest.LogCaptureFixture) -> None:
    """R12: with the server away for minutes nothing is lost, few requests go out, and recovery is noticed in 20 s."""

    async def main() -> None:
        service = FakeService(otherwise=failure)
        retry = RetryPolicy(max_attempts=6, initial=0.05)
        settings = attrs.evolve(NO_LIMIT, concurrency=8)
        buffer = make_buffer(service, settings=settings, retry=retry, total=60.0)
        deliveries = record_all(buffer, [f"u{n % 20}" for n in range(100)])
        await sleep(300)
        before = len(service.requests)
        assert before < 90
        assert buffer.statistics().breaker in {"open", "probing"}
        assert outcomes(deliveries) == ["pending"] * 100
        assert set(service.totals[-3:]) == {10.0}
        service.otherwise = OK
        await sleep(20)
        assert outcomes(deliveries) == ["ok"] * 100
        assert buffer.statistics().breaker == "closed"
        late = [sent.at for sent in service.requests[before:]]
        assert [sum(at == when for at in late) for when in sorted(set(late))][:3] == [1, 1, 2]
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    with caplog.at_level(logging.INFO):
        run(main())
    assert [record.message.split(";")[0] for record in caplog.records] == [
        "deliveries fail",
        "the server answers again",
    ]


def test_records_expire_during_an_outage() -> None:
    """R12: an outage spends no attempts, but max_age counts on."""

    async def main() -> None:
        buffer = make_buffer(
            FakeService(otherwise=NOT_SENT), settings=attrs.evolve(NO_LIMIT, max_age=60.0), retry=QUICK
        )
        deliveries = record_all(buffer, [f"u{n}" for n in range(50)])
        await asyncio.wait(deliveries)
        assert outcomes(deliveries) == ["EventExpiredError"] * 50
        assert clock() == pytest.approx(60, abs=0.1)
        await buffer.aclose()

    run(main())


def test_a_refused_key_rejects_its_record_and_slows_down() -> None:
    """R12: after a 401 one request at a time goes out; one success and all is well again."""

    async def main() -> None:
        service = FakeService(UNAUTHORIZED, UNAUTHORIZED)
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, concurrency=1))
        deliveries = record_all(buffer, ["ann", "bob", "cid", "dan"])
        await asyncio.wait(deliveries)
        assert outcomes(deliveries) == ["AuthenticationError"] * 2 + ["ok"] * 2
        await buffer.aclose()

    run(main())


def test_three_refused_keys_in_a_row_reject_what_waits(caplog: pytest.LogCaptureFixture) -> None:
    """R12: after three 401s everything that waits is rejected at once, each Delivery with an error of its own."""

    async def main() -> None:
        service = FakeService(otherwise=UNAUTHORIZED)
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, concurrency=1))
        deliveries = record_all(buffer, [f"u{n % 7}" for n in range(100)])
        await asyncio.wait(deliveries)
        assert len(service.requests) == 3
        assert outcomes(deliveries) == ["AuthenticationError"] * 100
        errors = {id(delivery.exception()) for delivery in deliveries}
        assert len(errors) == 100
        with pytest.raises(AuthenticationError, match="check the API key"):
            await deliveries[-1]
        service.otherwise = OK
        assert (await (await buffer.record("seen", id="ann"))).status == 200
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())
    assert len([record for record in caplog.records if record.name == "mida_async"]) <= 2


def test_a_stalled_request_is_given_up_after_its_total() -> None:
    """R9: each attempt gets Timeout.total; the probe of an open breaker at most 10 s."""

    async def main() -> None:
        service = FakeService(STALL)
        buffer = make_buffer(service, total=7.0)
        receipt = await (await buffer.record("seen", id="ann"))
        assert receipt.waited == pytest.approx(7, abs=0.7)
        assert service.totals == [7.0, 7.0]
        await buffer.aclose()

    run(main())


def test_the_fake_service_honours_total() -> None:
    """The scripted service raises RequestTimeoutError where its latency is longer than the time that it is given."""

    async def main() -> None:
        service = FakeService(attrs.evolve(OK, latency=5.0))
        destination = make_buffer(service)._destination
        request = destination.request(destination.encode("seen", id="ann").body)
        with pytest.raises(RequestTimeoutError):
            await service.send(request, total=2.0)
        assert clock() == 2.0
        await service.aclose()
        assert (service.closed, len(service.applied), math.isfinite(clock())) == (1, 1, True)

    run(main())


def poisoned(visitor: str) -> Callable[[Sent], Play]:
    """Return a choice that fails at every record of one visitor."""
    return lambda sent: BROKEN if ("id", visitor) in sent.visitor else OK


def test_the_failure_that_opens_the_breaker_counts() -> None:
    """R9, R12: only what is sent while the breaker is open is free; five attempts are five."""

    async def main() -> None:
        service = FakeService(otherwise=BROKEN)
        buffer = make_buffer(service, retry=RetryPolicy(max_attempts=5, initial=0.01))
        delivery = await buffer.record("seen", id="ann")
        await asyncio.wait([delivery], timeout=60)
        assert (outcomes([delivery]), len(service.requests)) == (["EventExpiredError"], 5)
        await buffer.aclose()

    run(main())


def test_a_record_that_always_fails_comes_to_its_end_among_others_that_do_not() -> None:
    """R2, R9, R12: its failures while the server answers others count, and the others are hardly held up."""

    async def main() -> None:
        service = FakeService(otherwise=poisoned("bad"))
        buffer = make_buffer(service, retry=RetryPolicy(max_attempts=10, initial=0.1, maximum=2.0))
        bad = await buffer.record("seen", id="bad", properties={"n": 0})
        waited: list[float] = []
        for _ in range(30):
            await sleep(5)
            waited.append((await (await buffer.record("seen", id="good"))).waited)
        assert outcomes([bad]) == ["EventExpiredError"]
        assert max(waited) < 20
        await buffer.aclose()

    run(main())
