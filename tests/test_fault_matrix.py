"""The engine under everything at once: hundreds of seeded scenarios, each of which must end with balanced books."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from fake_service import (
    COUNTABLE_FOLDS,
    JUDGE,
    NO_LIMIT,
    OK,
    Collector,
    FakeService,
    Traffic,
    assert_balanced,
    assert_finished,
    assert_told,
    books,
    make_buffer,
    outcomes,
    record_all,
    response,
    run,
    seeded_faults,
    sleep,
)

from mida_async import BufferSettings, ConnectError, RateLimit, RequestTimeoutError, RetryPolicy
from mida_async._delivery.buffer import EventBuffer
from mida_async._delivery.witness import BufferWitness

if TYPE_CHECKING:
    from mida_async._delivery.reports import CloseReport
    from mida_async._settings import Guarantee

SCENARIOS = 240

# What comes back for a call beside the buffer; None is one that was cancelled.
ANSWERS = (
    *(response(), response(), response(400, "no"), response(401, "no"), response(500, "oops")),
    *(response(429, "slow down"), response(429, "slow down", retry_after="1"), response(503, "later", retry_after="1")),
    *(ConnectError("nobody listens"), RequestTimeoutError("no answer"), None),
)


@attrs.define(kw_only=True)
class Scenario:
    """One run, chosen by a seed."""

    seed: int
    dice: random.Random = attrs.field(init=False)
    settings: BufferSettings = attrs.field(init=False)
    service: FakeService = attrs.field(init=False)
    heard: Collector = attrs.field(init=False, factory=Collector)
    buffer: EventBuffer[...] = attrs.field(init=False)
    witness: BufferWitness = attrs.field(init=False)
    traffic: Traffic = attrs.field(init=False)
    joins: int = attrs.field(init=False, default=0)
    cancelled_senders: int = attrs.field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        """Throw the dice."""
        self.dice = dice = random.Random(self.seed)  # noqa: S311
        self.settings = BufferSettings(
            rate_limits=dice.choice(((), RateLimit(20, per=1), (RateLimit(50, per=1), RateLimit(100, per=5)))),
            concurrency=dice.choice((1, 2, 8, 32)),
            max_records=dice.choice((3, 20, 1000)),
            max_bytes=dice.choice((400, 4000, 10**6)),
            overflow=dice.choice(("wait", "wait", "raise", "drop_oldest", "drop_newest")),
            order=dice.choice(("visitor", "visitor", "visitor", "none")),
            guarantee=dice.choice(("at_least_once", "at_most_once")),
            unknown_visitor=dice.choice(("reject", "wait")),
            unknown_visitor_patience=dice.choice((0.0, 5.0, 60.0)),
            folds=dice.choice(({}, COUNTABLE_FOLDS)),
            linger=dice.choice((0.0, 0.5)),
            dedupe_window=dice.choice((0.0, 1.0, 3600.0)),
            max_age=dice.choice((2.0, 30.0, 86400.0)),
        )
        self.service = FakeService(otherwise=seeded_faults(dice, dice.choice((0.0, 0.1, 0.4, 1.0))))
        retry = RetryPolicy(max_attempts=dice.choice((1, 3, 10)), maximum=dice.choice((0.0, 1.0, 10.0)))
        total = dice.choice((0.5, 5.0))
        self.buffer = make_buffer(self.service, settings=self.settings, retry=retry, total=total, hooks=[self.heard])
        self.witness = BufferWitness(self.buffer, JUDGE)
        self.traffic = Traffic(dice=dice, buffer=self.buffer)

    async def call_directly(self) -> None:
        """Tell the engine of a call that is made beside it."""
        clock = asyncio.get_running_loop().time
        token = self.witness.sending(clock())
        await sleep(self.dice.choice((0.0, 0.05, 1.0)))
        self.witness.answered(token, self.dice.choice(ANSWERS), clock())

    def cancel_idle_senders(self) -> None:
        """Cancel the senders that have nothing to do; those that have are cancelled by a fault."""
        for task in asyncio.all_tasks() - set(self.service.busy):
            if task.get_name().startswith("mida_async sender"):
                self.cancelled_senders += task.cancel()

    def event(self) -> dict[str, Any]:
        """Return one event; note whether it shows that visitors are one of whom each has a record in flight."""
        event = self.traffic.event()
        visitor = {(kind, text) for kind, text in event.items() if isinstance(text, str)}
        self.joins += sum(not visitor.isdisjoint(sent.visitor) for sent in self.service.in_flight) > 1
        return event

    def something_else(self) -> None:
        """Cancel a delivery, or take one without waiting."""
        if self.dice.random() < 0.5:
            self.traffic.cancel()
        else:
            self.traffic.record_nowait()

    async def play(self) -> CloseReport:
        """Record, cancel, call directly, flush and close, all at once."""
        dice, tasks = self.dice, list[asyncio.Task[Any]]()
        closing = dice.randrange(20, 120)
        for step in range(120):
            name = dice.choice(("seen", "beat", "watched", "bought"))
            patience = dice.choice((None, None, 0.0, 0.7))
            tasks.append(asyncio.create_task(self.traffic.record(name, self.event(), patience)))
            if dice.random() < 0.15:
                self.something_else()
            if dice.random() < 0.05:
                tasks.append(asyncio.create_task(self.call_directly()))
            if dice.random() < 0.03:
                tasks.append(asyncio.create_task(self.buffer.flush(dice.choice((0.0, 1.0, 5.0)))))
            if dice.random() < 0.01:
                self.cancel_idle_senders()
            await sleep(dice.choice((0.0, 0.0, 0.0, 0.01, 0.3)))
            assert_balanced(self.buffer)
            if step == closing:
                tasks.append(asyncio.create_task(self.buffer.aclose(dice.choice((0.0, 1.0, 20.0)))))
        report = await self.buffer.aclose(30.0)
        await asyncio.wait(tasks)
        assert [task for task in tasks if task.exception() is not None] == []
        return report


@pytest.mark.parametrize("seed", range(SCENARIOS))
def test_everything_at_once_ends_with_balanced_books(seed: int) -> None:
    """R1 to R6, R10, R13, R14: whatever fails, is cancelled or overflows, each record has one end, in its order."""
    scenario = Scenario(seed=seed)

    async def main() -> None:
        report = await scenario.play()
        assert report == await scenario.buffer.aclose()
        await sleep(1)
        assert_finished(scenario.buffer, scenario.traffic.deliveries)

    run(main(), rounds=60_000)
    settings, service, traffic = scenario.settings, scenario.service, scenario.traffic
    now = scenario.buffer.statistics()
    assert traffic.calls == now.accepted + traffic.refusals.total()
    assert now.attempts == len(service.requests)
    found = Counter(outcomes(traffic.deliveries))
    assert now.accepted == len(traffic.deliveries) == found.total()
    assert found["EventDroppedError"] <= now.dropped
    assert found["ok"] <= now.delivered
    assert_told(scenario.heard, now)
    assert service.most_in_flight <= settings.concurrency
    traffic.assert_whole(service.applied)
    if settings.order == "visitor":
        assert service.overlaps == []
        traffic.assert_in_order(service.applied)
    if settings.guarantee == "at_most_once":
        applied = Counter(sent.number for sent in service.applied)
        assert max(applied.values(), default=0) <= 1


@pytest.mark.parametrize("guarantee", ["at_least_once", "at_most_once"])
def test_the_engine_outlives_its_senders(guarantee: Guarantee) -> None:
    """R1, R10: where all senders are cancelled, what they held is a lost connection and others deliver what is left."""

    async def main() -> None:
        service = FakeService(otherwise=attrs.evolve(OK, latency=0.2))
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, concurrency=2, guarantee=guarantee))
        deliveries = record_all(buffer, ["ann", "bob", "cid", "ann"])
        await sleep(0.05)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        report = await buffer.flush(20)
        again = guarantee == "at_least_once"
        assert books(report) == ({"delivered": 4} if again else {"delivered": 2, "ambiguous": 2})
        assert len(service.requests) == (6 if again else 4)
        assert [delivery.result().may_be_duplicate for delivery in deliveries[2:]] == [False, False]
        await buffer.aclose()
        await sleep(2)
        assert_finished(buffer, deliveries)

    run(main())


def test_the_scenarios_reach_every_end_and_every_refusal() -> None:
    """The dice are not loaded: over all seeds every end and refusal occurs, and so does all else that is asked for."""

    async def main(scenario: Scenario) -> None:
        await scenario.play()

    totals, refusals = Counter[str](), Counter[str]()
    for seed in range(0, SCENARIOS, 8):
        scenario = Scenario(seed=seed)
        run(main(scenario))
        now = scenario.buffer.statistics()
        totals.update({word: count for word, count in attrs.asdict(now).items() if isinstance(count, int)})
        totals["retried"] += now.attempts > now.accepted
        totals["joins"] += scenario.joins
        totals["cancelled senders"] += scenario.cancelled_senders
        totals.update(type(detail).__name__ for detail in scenario.heard.details)
        refusals.update(scenario.traffic.refusals)
    ends = ("delivered", "rejected", "expired", "ambiguous", "dropped", "cancelled", "abandoned")
    details = ("RecordFolded", "RecordRepeated", "RetryPlanned", "Throttled", "BreakerChanged", "RateChanged")
    others = ("retried", "joins", "cancelled senders")
    assert [word for word in (*ends, *details, *others) if not totals[word]] == []
    assert set(refusals) == {"BufferFullError", "BufferClosedError", "TimeoutError"}
