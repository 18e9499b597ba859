"""
What every spool must do: one check or more for each point of :class:`~mida_async.spools.base.Spool`.

An implementation is checked by giving each of :data:`SPOOL_CHECKS` a stage: a place whose contents outlast the spools
that are made for it, and that can play the death of a process and a disk that fails::

    @pytest.mark.parametrize("check", SPOOL_CHECKS, ids=lambda check: check.__name__)
    def test_my_spool(check: SpoolCheck, tmp_path: Path) -> None:
        asyncio.run(check(MyStage(tmp_path)))
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import attrs

from .._errors import SpoolError
from ..spools.base import DeadRecord, Settlement, Spool
from ._open_spool import DESTINATION, PATIENCE, OpenSpool, expect, make_record

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = ["DESTINATION", "SPOOL_CHECKS", "SpoolCheck", "SpoolStage", "make_record"]

_SETTLED_WITHIN: Final = 1.0
_BOUND: Final = 10
_MANY: Final = 10_000
_LOT: Final = 2**24


class SpoolStage(Protocol):
    """A place for spools."""

    def make(self, *, max_records: int | None = None, max_bytes: int | None = None) -> Spool:
        """Return a spool at this place that is not open yet."""
        ...

    async def crash(self, spool: Spool) -> None:
        """Let the process that has a spool die at this moment, as far as the place can tell."""
        ...

    def failing(self) -> AbstractContextManager[None]:
        """Let the disk refuse every write as long as the context lasts."""
        ...

    def dead_letters(self) -> list[DeadRecord]:
        """Return the dead letters that are at the place, where no spool is open."""
        ...


SpoolCheck: TypeAlias = Callable[[SpoolStage], Awaitable[None]]


async def _opened(stage: SpoolStage) -> OpenSpool:
    opened = OpenSpool(stage.make())
    await opened.open()
    return opened


async def keeps_records_whole(stage: SpoolStage) -> None:
    """Points 3, 5: what is durable comes back after a crash as it was, whatever is in it."""
    first = await _opened(stage)
    bodies = (b"", b"{}", bytes(range(256)), b"x" * 100_000)
    start = first.spool.next_key
    records = [make_record(start + number, body) for number, body in enumerate(bodies)]
    records += [make_record(start + 10, unique_id=""), make_record(start + 11, unique_id="order 7")]
    ticket = [first.spool.append(record) for record in records][-1]
    await first.until_durable(ticket)
    await stage.crash(first.spool)
    again = OpenSpool(stage.make())
    opened = await again.open()
    found = await again.everything()
    expect([attrs.evolve(each, key=0) for each in found] == [attrs.evolve(each, key=0) for each in records], "changed")
    expect(opened.records == len(records) == again.spool.records, f"{opened.records} records are said to be there")
    expect(opened.next_key > found[-1].key, f"{opened.next_key} may be the key of another record")
    await again.spool.aclose(PATIENCE)


async def one_owner_at_a_time(stage: SpoolStage) -> None:
    """Point 1: a spool can be opened once, and by nobody else meanwhile who would have the same records."""
    first = await _opened(stage)
    record, ticket = first.add()
    await first.until_durable(ticket)
    await _refused("the same object, opened again", first.open())
    second = OpenSpool(stage.make())
    try:
        await second.open()
    except SpoolError:
        pass
    else:
        expect(await second.everything() == [], "two spools have the same record")
        await second.spool.aclose(PATIENCE)
    expect(await first.everything() == [record], "the second opener disturbed the first")
    await first.spool.aclose(PATIENCE)


async def refuses_another_destination(stage: SpoolStage) -> None:
    """Point 1: records of another destination are never returned, and never harmed."""
    first = await _opened(stage)
    _record, ticket = first.add()
    await first.until_durable(ticket)
    await first.spool.aclose(PATIENCE)
    other = OpenSpool(stage.make())
    try:
        await other.open("elsewhere")
    except SpoolError:
        pass
    else:
        expect(await other.everything() == [], "records are given to another destination")
        await other.spool.aclose(PATIENCE)
    again = await _opened(stage)
    expect(len(await again.everything()) == 1, "the record is gone")
    await again.spool.aclose(PATIENCE)


async def takes_effect_in_order(stage: SpoolStage) -> None:
    """Points 2, 6: *read* sees all that was called before it, in the order of the calls and of the keys."""
    opened = await _opened(stage)
    spool = opened.spool
    records = [opened.add(b"%d" % number)[0] for number in range(6)]
    keys = [record.key for record in records]
    spool.replace(keys[0], b"other")
    spool.mark(keys[:3])
    spool.note(keys[1], attempts=2, ambiguous=True)
    spool.settle(keys[3], Settlement.DONE)
    spool.replace(keys[3], b"too late")
    spool.note(keys[3], attempts=1, ambiguous=False)
    expected = [
        attrs.evolve(records[0], body=b"other", in_flight=True),
        attrs.evolve(records[1], attempts=2, ambiguous=True),
        attrs.evolve(records[2], in_flight=True),
        records[4],
        records[5],
    ]
    expect(await opened.everything() == expected, "before a write")
    await opened.until_durable(spool.mark([]))
    spool.note(keys[2], attempts=7, ambiguous=False)
    spool.note(keys[4], attempts=1, ambiguous=False)
    spool.mark([keys[4]])
    spool.replace(keys[5], b"longer than before")
    spool.settle(keys[0], Settlement.DONE)
    spool.settle(keys[0], Settlement.DEAD, "not twice")
    expected = [
        expected[1],
        attrs.evolve(records[2], attempts=7),
        attrs.evolve(records[4], attempts=1, in_flight=True),
        attrs.evolve(records[5], body=b"longer than before"),
    ]
    expect(await opened.everything() == expected, "after a write")
    expect((spool.records, spool.dead) == (4, 0), f"the counts are {spool.records} and {spool.dead}")
    await opened.until_durable(spool.mark([]))
    await stage.crash(spool)
    again = await _opened(stage)
    found = [attrs.evolve(each, key=0) for each in await again.everything()]
    expect(found == [attrs.evolve(each, key=0) for each in expected], "after a crash")
    await again.spool.aclose(PATIENCE)


async def tickets_grow(stage: SpoolStage) -> None:
    """Point 3: tickets grow, *on_durable* names them in order, also those of records that are gone already."""
    opened = await _opened(stage)
    tickets: list[int] = []
    key = 0
    for _number in range(100):
        record, ticket = opened.add()
        tickets.append(ticket)
        key = record.key
        opened.spool.settle(key, Settlement.DONE)
    expect(tickets == sorted(set(tickets)), f"the tickets are {tickets}")
    await opened.until_durable(tickets[-1])
    expect(opened.durable == sorted(opened.durable), f"these were told: {opened.durable}")
    expect(len(opened.durable) < len(tickets), "each record had a write of its own")
    tickets = [opened.spool.replace(key, b"") for _number in range(3)]
    await opened.until_durable(tickets[-1])
    await opened.spool.aclose(PATIENCE)


async def settles_within_a_second(stage: SpoolStage) -> None:
    """Point 4: a note and a settlement are durable within a second, although nothing else is written."""
    opened = await _opened(stage)
    noted, _ticket = opened.add()
    settled, ticket = opened.add()
    await opened.until_durable(ticket)
    writes = len(opened.durable)
    opened.spool.note(noted.key, attempts=3, ambiguous=True)
    opened.spool.settle(settled.key, Settlement.DONE)
    await opened.until(lambda: len(opened.durable) > writes, "the settlement was written", _SETTLED_WITHIN)
    await stage.crash(opened.spool)
    again = await _opened(stage)
    found = [(each.name, each.attempts, each.ambiguous) for each in await again.everything()]
    expect(found == [(noted.name, 3, True)], f"these are left: {found}")
    await again.spool.aclose(PATIENCE)


async def leaves_no_trace_of_the_rest(stage: SpoolStage) -> None:
    """Point 5: after a crash at any moment there is a whole beginning of what was called, at least what is durable."""
    for rounds in range(4):
        opened = await _opened(stage)
        before = len(await opened.everything())
        records = [opened.add(b"%d" % number)[0] for number in range(50)]
        for _round in range(rounds):
            await asyncio.sleep(0)
        durable = opened.durable[-1]
        await stage.crash(opened.spool)
        again = await _opened(stage)
        found = (await again.everything())[before:]
        expect([each.body for each in found] == [each.body for each in records[: len(found)]], "there are gaps")
        expect(len(found) >= durable, f"{durable} were durable, {len(found)} are there")
        await again.spool.aclose(PATIENCE)


async def reads_in_pieces(stage: SpoolStage) -> None:
    """Point 6: *read* goes on after any key, keeps its bounds, and returns one record even if that is too large."""
    opened = await _opened(stage)
    keys = [opened.add(b"x" * 10)[0].key for _number in range(25)]
    read = opened.spool.read
    expect([each.key for each in await read(0, records=4, size=_LOT)] == keys[:4], "the first four")
    expect([each.key for each in await read(keys[3], records=100, size=35)] == keys[4:7], "35 bytes")
    expect([each.key for each in await read(keys[3], records=100, size=1)] == keys[4:5], "a large one")
    expect([each.key for each in await read(keys[-2], records=9, size=_LOT)] == keys[-1:], "the last")
    expect(await read(keys[-1], records=9, size=_LOT) == [], "after the last")
    for key in keys[:20]:
        opened.spool.settle(key, Settlement.DONE)
    expect([each.key for each in await read(0, records=2, size=_LOT)] == keys[20:22], "after settled ones")
    await opened.spool.aclose(PATIENCE)


async def waits_for_a_failing_disk(stage: SpoolStage) -> None:
    """Point 7: while the disk fails nothing is lost, nobody is told anything is durable, and calls go on as ever."""
    opened = await _opened(stage)
    spool = opened.spool
    first, ticket = opened.add()
    await opened.until_durable(ticket)
    with stage.failing():
        records = [opened.add(b"%d" % number * 1000)[0] for number in range(20)]
        await opened.until(lambda: bool(opened.troubles), "somebody was told of the failure")
        told = opened.durable[-1]
        spool.settle(first.key, Settlement.DONE)
        spool.replace(records[0].key, b"other")
        spool.settle(records[1].key, Settlement.DEAD, "refused")
        expected = [attrs.evolve(records[0], body=b"other"), *records[2:]]
        expect(await opened.everything() == expected, "what is read while the disk fails")
        expect((spool.records, spool.dead) == (19, 1), f"the counts are {spool.records} and {spool.dead}")
        expect(opened.durable[-1] == told == ticket, "something is said to be durable")
    last, ticket = opened.add()
    await opened.until_durable(ticket)
    expect(len(opened.troubles) == 2 and opened.troubles[1] is None, f"these were told: {opened.troubles}")  # noqa: PLR2004
    expect(isinstance(opened.troubles[0], Exception), f"these were told: {opened.troubles}")
    expect(await opened.everything() == [*expected, last], "what is read afterwards")
    await spool.aclose(PATIENCE)
    expect([dead.reason for dead in stage.dead_letters()] == ["refused"], "the dead letters")


async def keeps_its_bounds(stage: SpoolStage) -> None:
    """Point 8: *has_room* counts records and bytes, those that are not durable yet included."""
    by_number = OpenSpool(stage.make(max_records=_BOUND))
    await by_number.open()
    keys = [by_number.add()[0].key for _number in range(_BOUND - 1)]
    expect(by_number.spool.has_room(_LOT), "there is room for a tenth record")
    keys.append(by_number.add()[0].key)
    expect(not by_number.spool.has_room(0), "there is no room for an eleventh record")
    by_number.spool.settle(keys[0], Settlement.DONE)
    await by_number.until(lambda: by_number.spool.has_room(0), "there is room again")
    for key in keys:
        by_number.spool.settle(key, Settlement.DONE)
    await by_number.spool.aclose(PATIENCE)
    by_size = OpenSpool(stage.make(max_bytes=100))
    await by_size.open()
    record, ticket = by_size.add(b"x" * 60)
    expect(by_size.spool.has_room(40) and not by_size.spool.has_room(41), "60 of 100 bytes are taken")
    await by_size.until_durable(ticket)
    expect(by_size.spool.has_room(40) and not by_size.spool.has_room(41), "60 of 100 bytes are taken, on disk")
    by_size.spool.settle(record.key, Settlement.DONE)
    await by_size.until(lambda: by_size.spool.has_room(100), "all the room is there again")
    await by_size.spool.aclose(PATIENCE)


async def writes_what_is_left(stage: SpoolStage) -> None:
    """Point 9: closing writes everything and gives the spool free; more than once does nothing, and nothing goes on."""
    opened = await _opened(stage)
    kept, _ticket = opened.add()
    gone, ticket = opened.add()
    refused, ticket = opened.add()
    opened.spool.settle(gone.key, Settlement.DONE)
    opened.spool.settle(refused.key, Settlement.DEAD, "refused: \ud800")
    await opened.spool.aclose(PATIENCE)
    await opened.spool.aclose(PATIENCE)
    await asyncio.sleep(0)
    expect(opened.durable[-1] >= ticket, "not everything was written")
    (dead,) = stage.dead_letters()
    expect(dead.record.body == refused.body and dead.reason.startswith("refused"), f"the dead letter is {dead}")
    try:
        opened.add()
    except SpoolError:
        pass
    else:
        message = "a closed spool took a record"
        raise AssertionError(message)
    again = await _opened(stage)
    expect([each.name for each in await again.everything()] == [kept.name], "what is left")
    expect((again.spool.records, again.spool.dead) == (1, 1), "the counts")
    await again.spool.aclose(PATIENCE)
    never = stage.make()
    await never.aclose(PATIENCE)


async def closes_in_time(stage: SpoolStage) -> None:
    """Point 9: a disk that fails to the end does not hold closing up, and the spool is free afterwards."""
    opened = await _opened(stage)
    kept, ticket = opened.add()
    await opened.until_durable(ticket)
    with stage.failing():
        opened.add(b"x" * 10_000)
        await opened.until(lambda: bool(opened.troubles), "somebody was told of the failure")
        async with asyncio.timeout(2.0):
            await opened.spool.aclose(0.1)
    again = await _opened(stage)
    expect([each.name for each in await again.everything()] == [kept.name], "what is left")
    await again.spool.aclose(PATIENCE)


async def never_uses_a_key_again(stage: SpoolStage) -> None:
    """A key is never used for another record, whatever became of the first; a smaller one is refused."""
    opened = await _opened(stage)
    spool = opened.spool
    record, _ticket = opened.add()
    spool.settle(record.key, Settlement.DONE)
    expect(spool.next_key == record.key + 1, f"after {record.key} comes {spool.next_key}")
    for bad in (record, make_record(spool.next_key - 1), attrs.evolve(make_record(spool.next_key), accepted_at=1e999)):
        try:
            spool.append(bad)
        except ValueError:
            continue
        message = f"this record was taken: {bad}"
        raise AssertionError(message)
    later = make_record(spool.next_key + 1000)
    ticket = spool.append(later)
    await opened.until_durable(ticket)
    await spool.aclose(PATIENCE)
    again = await _opened(stage)
    (found,) = await again.everything()
    expect(again.spool.next_key > found.key, f"after {found.key} comes {again.spool.next_key}")
    await again.spool.aclose(PATIENCE)


SPOOL_CHECKS: Final[tuple[SpoolCheck, ...]] = (
    keeps_records_whole,
    one_owner_at_a_time,
    refuses_another_destination,
    takes_effect_in_order,
    tickets_grow,
    settles_within_a_second,
    leaves_no_trace_of_the_rest,
    reads_in_pieces,
    waits_for_a_failing_disk,
    keeps_its_bounds,
    writes_what_is_left,
    closes_in_time,
    never_uses_a_key_again,
)
"""Every check, in the order of the points."""


async def _refused(what: str, opening: Awaitable[object]) -> None:
    try:
        await opening
    except SpoolError:
        return
    message = f"{what}: was not refused"
    raise AssertionError(message)
