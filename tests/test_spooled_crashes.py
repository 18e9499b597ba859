"""A process that dies at any moment: the next one goes on with what is on disk."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import attrs
import pytest
from fake_service import (
    BAD,
    BLACK_HOLE,
    BROKEN,
    COUNTABLE_FOLDS,
    LOST,
    LOST_AFTER,
    NO_LIMIT,
    NOT_SENT,
    OK,
    STALL,
    TOO_MANY,
    FakeService,
    Play,
    SlowSpool,
    assert_balanced,
    assert_finished,
    books,
    is_ordered,
    make_buffer,
    run,
)
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from mida_async import BufferFullError, BufferSettings, Delivery, RetryPolicy
from mida_async.testing.clock import VirtualClockLoop
from mida_async.testing.memory_spool import MemoryDisk

if TYPE_CHECKING:
    from collections.abc import Callable

    from fake_service import Sent

    from mida_async._delivery.buffer import EventBuffer
    from mida_async.spools.base import SpooledRecord

RETRY: Final = RetryPolicy(initial=0.1, maximum=1.0, max_attempts=50)
SETTLED_WITHIN: Final = 1.0
AMBIGUOUS: Final = (LOST, LOST_AFTER, BROKEN, BLACK_HOLE, STALL)
SERVICES: Final = {
    "well": (OK,),
    "refusing": (OK, OK, BAD, TOO_MANY, NOT_SENT),
    "ambiguous": (OK, OK, *AMBIGUOUS),
    "stalling": (OK, OK, OK, STALL, BLACK_HOLE),
}


def numbers_of(properties: dict[str, Any]) -> list[int]:
    """Return the numbers of the calls that are in one event."""
    numbers: list[int] = properties.get("all") or [properties["n"]]
    return numbers


def calls_in(record: SpooledRecord) -> list[int]:
    """Return the numbers of the calls whose record this is."""
    return numbers_of(json.loads(record.body)["properties"])


@attrs.define(kw_only=True)
class World:
    """
    What outlasts the processes: the disk, and what the service has applied.

    Attributes:
        dice: Chooses.
        settings: Those of all buffers.
        plays: What the service may do.
        latency: How long the disk may take.
        disk: The disk.
        calls: How many calls were made.
        returned: The calls that returned: their records are durable.
        visitor: Whom a call was about.
        applied: What was applied, call by call, in order.
        excused: The calls that may be applied once more.
        refused: The calls that the service refused at least once: where that was not on disk at a crash, they are sent
            again, after those that went on meanwhile.
        marked: The calls that were marked as in flight at a crash.
        wall: The time at which the next process starts.
    """

    dice: random.Random
    settings: BufferSettings
    plays: tuple[Play, ...]
    latency: float
    disk: MemoryDisk = attrs.field(factory=MemoryDisk)
    calls: int = 0
    returned: set[int] = attrs.field(factory=set[int])
    visitor: dict[int, str] = attrs.field(factory=dict[int, str])
    applied: list[int] = attrs.field(factory=list[int])
    excused: set[int] = attrs.field(factory=set[int])
    refused: set[int] = attrs.field(factory=set[int])
    marked: set[int] = attrs.field(factory=set[int])
    wall: float = 1e9

    def play(self, sent: Sent) -> Play:
        """Choose what happens to a request."""
        play = self.dice.choice(self.plays)
        if play is BAD:
            self.refused.update(numbers_of(sent.properties))
        if play in AMBIGUOUS:
            self.excused.update(numbers_of(sent.properties))
        return attrs.evolve(play, latency=self.dice.choice((0.01, 0.1, 0.4)))

    def process(self, seconds: float) -> None:
        """Let a process live for a while, and die."""
        run(self._live(seconds))
        self.wall += seconds

    async def _live(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self.disk.latency = self.dice.choice((0.0, self.latency))
        service = FakeService(otherwise=self.play)
        buffer = self.buffer(service)
        tasks = [loop.create_task(self._record(buffer)) for _ in range(3)]
        await asyncio.sleep(seconds)
        assert_balanced(buffer)
        self._crash(service)
        buffer._closed = True  # its process is dead: nobody is left to be warned
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    def buffer(self, service: FakeService) -> EventBuffer[...]:
        """Return the buffer of a process that begins now."""
        wall = self.wall
        return make_buffer(
            service,
            settings=self.settings,
            retry=RETRY,
            total=2.0,
            spool=SlowSpool(self.disk, reading=self.dice.choice((0.0, 0.02))),
            wall_clock=lambda: wall + asyncio.get_running_loop().time(),
        )

    async def _record(self, buffer: EventBuffer[...]) -> None:
        dice = self.dice
        await buffer.open()
        while True:
            self.calls += 1
            number, who = self.calls, f"u{dice.randrange(4)}"
            self.visitor[number] = who
            name = dice.choice(("seen", "seen", "beat"))
            event: dict[str, Any] = {"id": who, "properties": {"n": number, "all": [number]}}
            try:
                if dice.random() < 0.2:
                    buffer.record_nowait(name, **event)
                else:
                    await buffer.record(name, **event)
                    self.returned.add(number)
            except BufferFullError:
                pass
            assert_balanced(buffer)
            await asyncio.sleep(dice.choice((0.0, 0.01, 0.1, 0.3)))

    def _crash(self, service: FakeService) -> None:
        self.disk.crash()
        self._count(service)
        now = asyncio.get_running_loop().time()
        last = [sent for sent in service.applied if sent.at >= now - SETTLED_WITHIN - 2 * self.latency]
        for sent in (*last, *service.in_flight):
            self.excused.update(numbers_of(sent.properties))
        self.marked.update(n for record in self.disk.records if record.in_flight for n in calls_in(record))
        service.applied.clear()

    def _count(self, service: FakeService) -> None:
        self.applied += [n for sent in service.applied for n in numbers_of(sent.properties)]

    def finish(self) -> None:
        """Let a last process deliver what is left, and close."""
        run(self._finish())

    async def _finish(self) -> None:
        self.disk.latency = 0.0
        service = FakeService()
        buffer = self.buffer(service)
        await buffer.open()
        await buffer.flush()
        await buffer.aclose()
        assert_finished(buffer, [])
        assert books(buffer.statistics()).keys() <= {"delivered", "ambiguous"}
        self._count(service)

    def dead(self) -> dict[int, str]:
        """Return the reasons of the dead letters, by call."""
        return {n: dead.reason for dead in self.disk.dead for n in calls_in(dead.record)}

    def assert_kept_its_word(self) -> None:
        """Check what holds at the end."""
        dead, times = self.dead(), Counter(self.applied)
        assert self.disk.records == ()
        assert self.returned - set(self.applied) - dead.keys() == set()
        first = [n for n in dict.fromkeys(self.applied) if n not in self.refused]
        for who in sorted(set(self.visitor.values())):
            assert is_ordered(n for n in first if self.visitor[n] == who)
        again = {n for n, count in times.items() if count > 1}
        if self.settings.guarantee == "at_most_once":
            assert again == set()
            assert all(dead[n].startswith("ambiguous: ") for n in self.marked)
        else:
            assert again <= self.excused


def world(seed: int, service: str, **changes: Any) -> World:
    """Return a world for a seed."""
    dice = random.Random(seed)  # noqa: S311
    settings = attrs.evolve(NO_LIMIT, max_records=dice.choice((4, 12, 1_000)), concurrency=3, **changes)
    return World(dice=dice, settings=settings, plays=SERVICES[service], latency=dice.choice((0.0, 0.03, 0.2)))


@pytest.mark.parametrize("guarantee", ["at_least_once", "at_most_once"])
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_lost_by_crashes(seed: int, service: str, guarantee: str) -> None:
    """R2, R10: what record() returned for is applied, in order, and again only if it was on its way at a crash."""
    there = world(seed, service, guarantee=guarantee)
    for _ in range(6):
        there.process(there.dice.choice((0.02, 0.3, 1.0, 2.5)) * there.dice.random() * 2)
    there.finish()
    there.assert_kept_its_word()
    assert len(there.returned) > 5


@pytest.mark.parametrize("seed", range(10))
def test_nothing_is_lost_by_crashes_while_records_fold(seed: int) -> None:
    """R2, R4: what melted into a record that waits is applied with it, once durable, whenever the process dies."""
    there = world(100 + seed, "refusing", folds=COUNTABLE_FOLDS, linger=(0.0, 0.2)[seed % 2])
    for _ in range(6):
        there.process(there.dice.choice((0.3, 1.0, 2.5)) * there.dice.random() * 2)
    there.finish()
    there.assert_kept_its_word()


def test_two_hundred_processes_that_die_young() -> None:
    """R1, R2: a service that restarts again and again gets its records delivered all the same."""
    there = world(7, "well")
    for _ in range(200):
        there.process(there.dice.random() * 0.4)
    there.finish()
    there.assert_kept_its_word()
    assert len(there.returned) > 200


class Machine(RuleBasedStateMachine):
    """
    One disk, one process at a time, and a plain model: which calls are accepted, durable, applied, ended.

    Calls are numbered, and all about one visitor, so the model is four sets and the order of the numbers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.disk = MemoryDisk(latency=0.1)
        self.calls = 0
        self.durable = set[int]()
        self.cancelled = set[int]()
        self.applied = list[int]()
        self.rejected = set[int]()
        self.open = set[int]()
        self._begin()

    def _begin(self) -> None:
        self.loop = VirtualClockLoop()
        self.service = FakeService(otherwise=Play(latency=0.3))
        settings = attrs.evolve(NO_LIMIT, max_records=3, concurrency=2)
        self.heir = make_buffer(self.service, settings=settings, retry=RETRY, spool=SlowSpool(self.disk, reading=0.05))
        self.pending = dict[int, asyncio.Task[Delivery]]()
        self.deliveries = dict[int, Delivery]()
        self._run(self.heir.open())

    def _run(self, call: Any) -> Any:
        return self.loop.run_until_complete(call)

    def _look(self) -> None:
        for number, task in list(self.pending.items()):
            if task.done():
                self.deliveries[number] = task.result()
                self.durable.add(number)
                del self.pending[number]
        for number, delivery in self.deliveries.items():
            if delivery.done() and not delivery.cancelled() and delivery.exception() is not None:
                self.rejected.add(number)

    def _end(self, end: Callable[[], object]) -> None:
        end()
        self.heir._closed = True
        self.applied += self.service.numbers
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self._run(asyncio.wait(tasks))
        self.loop.close()

    @rule(times=st.integers(1, 5))
    def record(self, times: int) -> None:
        """Record, and let the calls wait for the disk."""
        for _ in range(times):
            self.calls += 1
            call = self.heir.record("seen", id="ann", properties={"n": self.calls})
            self.pending[self.calls] = self.loop.create_task(call)
        self._run(asyncio.sleep(0))

    @rule(plays=st.lists(st.sampled_from((OK, BAD, NOT_SENT, TOO_MANY)), max_size=3))
    def trouble(self, plays: list[Play]) -> None:
        """Let the next requests go wrong."""
        self.service.script.extend(plays)

    @rule(full=st.booleans())
    def disk_space(self, *, full: bool) -> None:
        """Fill the disk up, or make room on it."""
        self.disk.failure = OSError("full") if full else None

    @rule(which=st.integers(0, 9))
    def cancel(self, which: int) -> None:
        """Cancel a Delivery."""
        self._look()
        waiting = [number for number, delivery in self.deliveries.items() if not delivery.done()]
        if waiting:
            number = waiting[which % len(waiting)]
            self.deliveries[number].cancel()
            self.cancelled.add(number)

    @rule(seconds=st.sampled_from((0.05, 0.2, 0.7, 3.0)))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._run(asyncio.sleep(seconds))

    @rule()
    def crash(self) -> None:
        """Let the process die, and another one begin."""
        self._look()
        self._end(self.disk.crash)
        self.disk.failure = None
        self._begin()

    @rule(timeout=st.sampled_from((0.0, 0.5, 5.0)))
    def close(self, timeout: float) -> None:
        """Close the buffer, and let another process begin."""
        self._look()
        before = self.loop.time()
        report = self._run(self.heir.aclose(timeout))
        assert self.loop.time() - before <= timeout + 0.5
        assert report.pending == self.heir.statistics().pending == 0
        self._run(asyncio.wait(self.pending.values()) if self.pending else asyncio.sleep(0))
        for number, task in self.pending.items():
            if task.exception() is None:
                self.deliveries[number] = task.result()
                self.durable.add(number)
        assert all(delivery.done() for delivery in self.deliveries.values())
        self._end(lambda: None)
        self.disk.failure = None
        self._begin()

    @invariant()
    def books_are_in_order(self) -> None:
        """R1: what was accepted is pending or has an end, and each has one place."""
        assert_balanced(self.heir)
        self._look()

    def teardown(self) -> None:
        """Deliver what is left, and compare."""
        self._look()
        self.disk.failure = None
        self.service.script.clear()
        self._run(self.heir.flush())
        self._run(asyncio.wait(self.pending.values()) if self.pending else asyncio.sleep(0))
        self._look()
        self._run(self.heir.flush())
        self._run(self.heir.aclose())
        self._end(lambda: None)
        dead = {n for each in self.disk.dead for n in calls_in(each.record)}
        assert self.disk.records == ()
        assert self.durable - set(self.applied) - self.cancelled <= dead
        assert is_ordered(dict.fromkeys(self.applied))


def test_a_model_of_processes_that_die_and_close() -> None:
    """R1, R2, R13, R14: whatever happens in whatever order, what was durable is applied, in order, or a dead letter."""
    run_state_machine_as_test(
        Machine,
        settings=hypothesis_settings(max_examples=60, stateful_step_count=25, deadline=None, derandomize=True),
    )
