"""Traps that delivery buffers fall into, as far as no other test is about them: who may rely on what, and when."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from fake_service import (
    BAD,
    BROKEN,
    LOST,
    NO_LIMIT,
    NOT_SENT,
    OK,
    TOO_MANY,
    FakeService,
    Play,
    assert_finished,
    books,
    make_buffer,
    make_destination,
    outcomes,
    record_all,
    response,
    run,
    sleep,
)

from mida_async import EventExpiredError, MidaClient, RetryPolicy
from mida_async.destinations.mida import MidaDestination
from mida_async.instrumentation import AttemptMade, RecordAccepted, RecordEnded, RetryPlanned
from mida_async.testing import Emulator, Latency, ResetAfter, ResetBefore, Status

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from fake_service import Sent

    from mida_async._core.entry import Draft
    from mida_async._core.messages import Request, Response
    from mida_async._delivery.delivery import Delivery
    from mida_async.instrumentation import Detail
    from mida_async.testing import Fault


def now() -> float:
    """Return the time of the running loop."""
    return asyncio.get_running_loop().time()


def on_sockets(main: Coroutine[Any, Any, None]) -> None:
    """Run *main* on a real loop, for 30 s at most."""
    asyncio.run(asyncio.wait_for(main, 30))


def client(emulator: Emulator, **settings: Any) -> MidaClient:
    """Return a client of *emulator*."""
    given = {"buffer": NO_LIMIT, **settings}
    return MidaClient(emulator.project_key, emulator.api_key, base_url=emulator.base_url, **given)


class Counting(MidaDestination):
    """The real destination, which counts how often it encodes."""

    def __init__(self) -> None:
        vars(self).update(vars(make_destination()))
        self.encoded = 0

    def encode(self, *args: Any, **kwargs: Any) -> Draft:
        """See the protocol."""
        self.encoded += 1
        return MidaDestination.encode(*args, **kwargs)


class Bodies(FakeService):
    """A service that keeps the bytes as they came."""

    def __init__(self, *plays: Play) -> None:
        super().__init__(*plays)
        self.bodies: list[bytes | None] = []

    async def send(self, request: Request, *, total: float) -> Response:
        """See the protocol."""
        self.bodies.append(request.body)
        return await super().send(request, total=total)


def test_a_record_is_encoded_once_however_often_it_is_sent() -> None:
    """R9: each attempt sends the bytes of the first, though the caller's objects change between them."""

    async def main() -> None:
        service, destination = Bodies(NOT_SENT, LOST, BROKEN, TOO_MANY), Counting()
        buffer = make_buffer(service, destination=destination)
        properties: dict[str, Any] = {"n": 1, "tags": ["a"], "tiny": 1e-7, "text": "naïve \u2028"}
        delivery = await buffer.record("seen", id="ann", properties=properties)
        while not delivery.done():
            properties["tags"].append("b")
            properties["n"] += 1
            await sleep(0.05)
        assert delivery.result().attempts == 5
        assert (
            service.bodies == [destination.encode("seen", id="ann", properties=service.requests[0].properties).body] * 5
        )
        assert destination.encoded == 2, "once for the record, once for the line above"
        assert service.requests[0].properties["tags"] == ["a"]
        await buffer.aclose()

    run(main())


def test_records_that_failed_together_do_not_come_back_together() -> None:
    """R9: four visitors whose requests break at the same moment each draw a pause of their own."""

    async def main() -> None:
        service = FakeService(LOST, LOST, LOST, LOST)
        buffer = make_buffer(service, retry=RetryPolicy(initial=10.0))
        record_all(buffer, ["ann", "bob", "cid", "dan"])
        await buffer.flush()
        first, again = service.requests[:4], service.requests[4:]
        assert len({sent.at for sent in first}) == 1
        times = sorted(sent.at for sent in again)
        assert len(times) == 4
        assert all(later - earlier > 0.01 for earlier, later in itertools.pairwise(times))
        await buffer.aclose()

    run(main())


def test_an_outage_does_not_end_in_a_rush() -> None:
    """R12: when a server is back, the requests under way grow from one by doubling, whoever waits."""
    under_way = list[tuple[float, int]]()

    def choose(_sent: Sent) -> Play:
        if now() < 60:
            return BROKEN
        under_way.append((now(), len(service.in_flight)))
        return attrs.evolve(OK, latency=1.0)

    service = FakeService(otherwise=choose)

    async def main() -> None:
        buffer = make_buffer(service)
        record_all(buffer, [f"u{number}" for number in range(300)])
        await buffer.flush()
        most = dict(under_way)  # the last one of each moment is the largest
        times, numbers = list(most), list(most.values())
        assert numbers[:7] == [1, 1, 2, 4, 8, 16, 32], "the probe comes first"
        assert times[6] - times[0] == pytest.approx(6.0)
        assert max(numbers) == 32
        await buffer.aclose()

    run(main())


@pytest.mark.parametrize("fault", [ResetAfter(times=None), ResetBefore(times=None), Status(500, times=None)])
def test_only_the_engine_retries(fault: Fault) -> None:
    """R9: with three attempts allowed three requests arrive, also on a connection that was in use before."""

    async def main() -> None:
        retry = RetryPolicy(max_attempts=3, initial=0.01, maximum=0.02)
        async with Emulator(auto_visitors=True) as emulator, client(emulator, retry=retry) as mida:
            await (await mida.buffer.record("fine", id="ann"))
            emulator.script(fault)
            with pytest.raises(EventExpiredError, match="3 attempts"):
                await (await mida.buffer.record("seen", id="ann"))
            assert len(emulator.requests) == 1 + 3
            assert mida.buffer.statistics().attempts == 1 + 3

    on_sockets(main())


@pytest.mark.parametrize("concurrency", [1, 2, 3])
def test_no_wake_up_is_lost(concurrency: int) -> None:
    """R1: whenever records come, before, with or after an answer, as many go at once as there are senders for them."""

    async def main() -> None:
        dice = random.Random(concurrency)  # noqa: S311 - not a secret
        buffer = make_buffer(FakeService(), settings=attrs.evolve(NO_LIMIT, concurrency=concurrency))
        deliveries: list[Delivery] = []
        for _ in range(400):
            await sleep(dice.choice((0.0, OK.latency / 2, OK.latency, OK.latency * 2, 1.0)))
            for _ in range(dice.randrange(4)):
                await asyncio.sleep(0)
            deliveries += record_all(buffer, dice.choices(["ann", "bob", "cid", "dan", "eve"], k=dice.randrange(4)))
            for delivery in dice.choices(deliveries[-3:], k=dice.randrange(2)) if deliveries else ():
                delivery.cancel()
            for _ in range(4 * concurrency):  # no time passes
                await asyncio.sleep(0)
            counts = buffer.statistics()
            assert counts.in_flight == min(concurrency, counts.lanes)
        assert (await buffer.flush(60)).pending == 0
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


@pytest.mark.parametrize("first", [OK, Play(outcome=response(503, "later", retry_after="20"))])
def test_flush_waits_for_what_is_in_other_hands(first: Play) -> None:
    """R14: flush counts ends, not the queue: a record that a sender holds or that is between attempts is waited for."""

    async def main() -> None:
        service = FakeService(attrs.evolve(first, latency=10.0))
        buffer = make_buffer(service)
        deliveries = record_all(buffer, ["ann"])
        await sleep(5 if first is OK else 15)
        counts = buffer.statistics()
        assert (counts.in_flight, counts.retrying) == ((1, 0) if first is OK else (0, 1))
        report = await buffer.flush()
        assert (books(report), report.pending, outcomes(deliveries)) == ({"delivered": 1}, 0, ["ok"])
        assert now() >= (10 if first is OK else 30)
        await buffer.aclose()

    run(main())


def test_connections_are_closed_after_the_last_answer() -> None:
    """R14: leaving `async with` waits for requests under way before it closes the connections that they are on."""

    async def main() -> None:
        async with Emulator(auto_visitors=True) as emulator:
            emulator.script(*[Latency(0.1)] * 8)
            async with client(emulator) as mida:
                deliveries = [mida.buffer.record_nowait("seen", id=f"u{number}") for number in range(8)]
                while len(emulator.requests) < 8:  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(0.001)
            assert [delivery.result().attempts for delivery in deliveries] == [1] * 8
            assert len(emulator.recorded) == len(emulator.requests) == 8

    on_sockets(main())


KINDS = [RecordAccepted, AttemptMade, RetryPlanned, RecordEnded]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_hook_may_use_the_buffer(kind: type) -> None:
    """R1: from inside a hook more records are accepted, withdrawn, flushed for and delivered, each once."""

    async def main() -> None:
        numbers = itertools.count(100)
        tasks = list[asyncio.Task[Any]]()
        added = list[int]()

        def busy(detail: Detail) -> None:
            if isinstance(detail, kind) and len(added) < 6:
                added.append(next(numbers))
                deliveries.append(buffer.record_nowait("more", id="ann", properties={"n": added[-1]}))
                buffer.record_nowait("withdrawn", id="bob", properties={"n": -1}).cancel()
                tasks.append(asyncio.get_running_loop().create_task(buffer.flush(60)))

        service = FakeService(BROKEN)
        buffer = make_buffer(service, hooks=[busy])
        deliveries: list[Delivery] = []
        deliveries += record_all(buffer, ["ann", "bob", "cid"])
        async with asyncio.timeout(100):
            await buffer.flush()
            await sleep(50)
            reports = await asyncio.gather(*tasks)
        assert added
        assert all(report.pending == 0 for report in reports)
        assert Counter(service.numbers) == Counter([0, 1, 2, *added])
        assert [number for number in service.numbers if number not in {1, 2}] == [0, *added], "these are all of Ann's"
        assert set(outcomes(deliveries)) == {"ok"}
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_hook_may_close_the_buffer(kind: type) -> None:
    """R14: aclose() that is started from inside a hook delivers what was accepted before; nothing waits for itself."""

    async def main() -> None:
        closing = list[asyncio.Task[Any]]()

        def close(detail: Detail) -> None:
            if isinstance(detail, kind) and not closing:
                closing.append(asyncio.get_running_loop().create_task(buffer.aclose(60)))

        buffer = make_buffer(FakeService(BROKEN), hooks=[close])
        deliveries = record_all(buffer, ["ann", "bob", "ann"])
        async with asyncio.timeout(100):
            await asyncio.wait(deliveries)
            report = await closing[0]
        assert outcomes(deliveries) == ["ok"] * 3
        assert (report.abandoned, report.pending) == (0, 0)
        assert_finished(buffer, deliveries)

    run(main())


def test_a_hook_may_record_that_a_record_was_dropped() -> None:
    """R6: with drop_oldest, what a hook records about a drop takes places of its own, as does the new record."""

    async def main() -> None:
        def tell(detail: Detail) -> None:
            if isinstance(detail, RecordEnded) and detail.end == "dropped" and detail.record_id == 2:
                told.extend(buffer.record_nowait("told", id="ops", properties={"n": n}) for n in (-1, -2))

        told: list[Delivery] = []
        service = FakeService(attrs.evolve(OK, latency=10.0))
        settings = attrs.evolve(NO_LIMIT, max_records=6, concurrency=1, overflow="drop_oldest")
        buffer = make_buffer(service, settings=settings, hooks=[tell])
        deliveries = record_all(buffer, ["ann"] * 6)
        await sleep(1)
        deliveries.append(buffer.record_nowait("seen", id="ann", properties={"n": 6}))
        assert outcomes(deliveries) == ["pending", *["EventDroppedError"] * 3, *["pending"] * 3]
        assert outcomes(told) == ["pending"] * 2
        await buffer.aclose(60)
        assert sorted(service.numbers) == [-2, -1, 0, 4, 5, 6]
        assert_finished(buffer, deliveries)

    run(main())


def test_a_record_is_judged_by_itself_and_not_by_its_neighbours() -> None:
    """R1: of a hundred requests under way at once each record has the outcome of its own, and an error of its own."""

    async def main() -> None:
        service = FakeService(otherwise=lambda sent: BAD if sent.number % 4 == 0 else OK)
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, concurrency=100))
        deliveries = record_all(buffer, [f"u{number}" for number in range(100)])
        await buffer.flush()
        assert service.most_in_flight == 100
        expected = ["BadRequestError" if number % 4 == 0 else "ok" for number in range(100)]
        assert outcomes(deliveries) == expected
        assert len({id(delivery.exception()) for delivery in deliveries[::4]}) == 25
        await buffer.aclose()

    run(main())
