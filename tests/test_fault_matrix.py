"""The engine under everything at once: hundreds of seeded scenarios, each of which must end with balanced books."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from fake_service import (
    FakeService,
    assert_balanced,
    assert_finished,
    make_buffer,
    outcomes,
    run,
    seeded_faults,
    sleep,
)

from mida_async import (
    BufferClosedError,
    BufferFullError,
    BufferSettings,
    Fold,
    RateLimit,
    RetryPolicy,
)
from mida_async._delivery.buffer import EventBuffer
from mida_async._delivery.ledger import Delivery

if TYPE_CHECKING:
    from mida_async._delivery.reports import CloseReport

SCENARIOS = 240
VISITORS = 8


@attrs.define(kw_only=True)
class Scenario:
    """One run, chosen by a seed."""

    seed: int
    dice: random.Random = attrs.field(init=False)
    settings: BufferSettings = attrs.field(init=False)
    service: FakeService = attrs.field(init=False)
    buffer: EventBuffer[...] = attrs.field(init=False)
    deliveries: list[Delivery] = attrs.field(init=False, factory=list)
    record_ids: dict[int, int] = attrs.field(init=False, factory=dict)
    numbers: int = 0
    calls: int = 0
    refusals: Counter[str] = attrs.field(init=False, factory=Counter)

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
            folds=dice.choice(({}, {"beat": Fold.last(), "watched": Fold.sum("seconds")})),
            linger=dice.choice((0.0, 0.5)),
            dedupe_window=dice.choice((0.0, 1.0, 3600.0)),
            max_age=dice.choice((2.0, 30.0, 86400.0)),
        )
        self.service = FakeService(otherwise=seeded_faults(dice, dice.choice((0.0, 0.1, 0.4, 1.0))))
        retry = RetryPolicy(max_attempts=dice.choice((1, 3, 10)), maximum=dice.choice((0.0, 1.0, 10.0)))
        self.buffer = make_buffer(self.service, settings=self.settings, retry=retry, total=dice.choice((0.5, 5.0)))

    def event(self) -> dict[str, Any]:
        """Return the arguments of one record; its number is that of the call."""
        dice = self.dice
        visitor = dice.randrange(VISITORS)
        identifiers = {"id": f"u{visitor}", "email": f"U{visitor}@example.com", "mida_uuid": f"m{visitor}"}
        names = dice.sample(sorted(identifiers), dice.choice((1, 1, 2, 3)))
        self.numbers += 1
        return {
            **{name: identifiers[name] for name in names},
            "properties": {"n": self.numbers, "visitor": visitor, "seconds": 1, "text": "x" * dice.choice((0, 0, 200))},
            "unique_id": f"unique{dice.randrange(5)}" if dice.random() < 0.1 else None,
        }

    async def record(self, name: str, event: dict[str, Any], patience: float | None) -> None:
        """Record one event, and sometimes give up waiting for room."""
        try:
            async with asyncio.timeout(patience):
                delivery = await self.buffer.record(name, **event)
        except (BufferFullError, BufferClosedError, TimeoutError) as error:
            self.refusals[type(error).__name__] += 1
            return
        self.keep(event, delivery)

    def keep(self, event: dict[str, Any], delivery: Delivery) -> None:
        """Keep a delivery, and which record the event became or went into."""
        self.deliveries.append(delivery)
        self.record_ids[event["properties"]["n"]] = delivery.record_id

    def something_else(self) -> None:
        """Cancel a delivery, or take one without waiting."""
        if self.deliveries and self.dice.random() < 0.5:
            self.dice.choice(self.deliveries).cancel()
            return
        self.calls += 1
        try:
            event = self.event()
            self.keep(event, self.buffer.record_nowait("seen", **event))
        except (BufferFullError, BufferClosedError) as error:
            self.refusals[type(error).__name__] += 1

    async def play(self) -> CloseReport:
        """Record, cancel, flush and close, all at once."""
        dice, tasks = self.dice, list[asyncio.Task[Any]]()
        closing = dice.randrange(20, 120)
        for step in range(120):
            self.calls += 1
            name = dice.choice(("seen", "beat", "watched", "bought"))
            patience = dice.choice((None, None, 0.0, 0.7))
            tasks.append(asyncio.create_task(self.record(name, self.event(), patience)))
            if dice.random() < 0.15:
                self.something_else()
            if dice.random() < 0.03:
                tasks.append(asyncio.create_task(self.buffer.flush(dice.choice((0.0, 1.0, 5.0)))))
            await sleep(dice.choice((0.0, 0.0, 0.0, 0.01, 0.3)))
            assert_balanced(self.buffer)
            if step == closing:
                tasks.append(asyncio.create_task(self.buffer.aclose(dice.choice((0.0, 1.0, 20.0)))))
        report = await self.buffer.aclose(30.0)
        await asyncio.wait(tasks)
        assert [task for task in tasks if task.exception() is not None] == []
        return report


def assert_in_order(scenario: Scenario) -> None:
    """R2: of two records with a common identifier, the one that was accepted first is applied first."""
    newest: dict[tuple[str, str], int] = {}
    seen = set[int]()
    for sent in scenario.service.applied:
        record_id = scenario.record_ids[sent.number]
        if record_id not in seen:
            seen.add(record_id)
            assert all(newest.get(identifier, 0) < record_id for identifier in sent.visitor)
            newest.update(dict.fromkeys(sent.visitor, record_id))


@pytest.mark.parametrize("seed", range(SCENARIOS))
def test_everything_at_once_ends_with_balanced_books(seed: int) -> None:
    """R1, R2, R6, R10, R13, R14: whatever fails, is cancelled or overflows, each record has one end, in its order."""
    scenario = Scenario(seed=seed)

    async def main() -> None:
        report = await scenario.play()
        assert report == await scenario.buffer.aclose()
        await sleep(1)
        assert_finished(scenario.buffer, scenario.deliveries)

    run(main(), rounds=60_000)
    settings, service, now = scenario.settings, scenario.service, scenario.buffer.statistics()
    assert scenario.calls == now.accepted + scenario.refusals.total()
    assert now.attempts == len(service.requests)
    found = Counter(outcomes(scenario.deliveries))
    assert now.accepted == len(scenario.deliveries) == found.total()
    assert found["EventDroppedError"] <= now.dropped
    assert found["ok"] <= now.delivered
    assert service.most_in_flight <= settings.concurrency
    if settings.order == "visitor":
        assert service.overlaps == []
        assert_in_order(scenario)
    if settings.guarantee == "at_most_once":
        applied = Counter(sent.number for sent in service.applied)
        assert max(applied.values(), default=0) <= 1


def test_the_scenarios_reach_every_end_and_every_refusal() -> None:
    """The dice are not loaded: over all seeds every end occurs, and records are retried, folded and refused."""

    async def main(scenario: Scenario) -> None:
        await scenario.play()

    totals, refusals = Counter[str](), Counter[str]()
    for seed in range(0, SCENARIOS, 8):
        scenario = Scenario(seed=seed)
        run(main(scenario))
        now = scenario.buffer.statistics()
        totals.update({word: count for word, count in attrs.asdict(now).items() if isinstance(count, int)})
        totals["retried"] += now.attempts > now.accepted
        refusals.update(scenario.refusals)
    ends = ("delivered", "rejected", "expired", "ambiguous", "dropped", "cancelled", "abandoned")
    assert [word for word in (*ends, "retried") if not totals[word]] == []
    assert set(refusals) == {"BufferFullError", "BufferClosedError", "TimeoutError"}
