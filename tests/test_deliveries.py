"""How the buffer holds the futures that it hands out."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from typing import TYPE_CHECKING

import attrs
import pytest
from core_samples import draft, entry
from fake_service import KEY, NO_LIMIT, FakeService, make_buffer, run, sleep

from mida_async import EventDroppedError
from mida_async._core.entry import End, Entry, EntryState, Receipt
from mida_async._core.folding import Duplicates
from mida_async._core.request import Account
from mida_async._core.verdict import Ended
from mida_async._delivery.admission import Admission
from mida_async._delivery.delivery import NOBODY, Delivery
from mida_async._delivery.ledger import Ledger
from mida_async._delivery.reporter import Reporter
from mida_async.destinations.base import Judgement
from mida_async.destinations.mida import MidaDestination

if TYPE_CHECKING:
    from mida_async import EventBuffer
    from mida_async._core.messages import Response

# One at a time, and only after this: until then everything waits.
SLOW = attrs.evolve(NO_LIMIT, concurrency=1)
MANY = 300


def record(buffer: EventBuffer[...], number: int) -> Delivery:
    """Record an event of one visitor."""
    return buffer.record_nowait("e", id="ann", properties={"number": number})


def test_what_nobody_keeps_is_thrown_away() -> None:
    """R1: a Delivery that its caller let go of takes no memory while its record waits; the record is delivered."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, settings=SLOW)
        alive = [weakref.ref(record(buffer, number)) for number in range(MANY)]
        assert sum(each() is not None for each in alive) < 100
        await buffer.flush()
        assert (len(service.requests), buffer.statistics().delivered) == (MANY, MANY)
        assert [each() for each in alive] == [None] * MANY
        await buffer.aclose()

    run(main())


def test_what_somebody_keeps_is_kept() -> None:
    """R1: a Delivery that is in a variable is resolved, whenever it is looked at."""

    async def main() -> None:
        buffer = make_buffer(FakeService(), settings=SLOW)
        kept = [record(buffer, number) for number in range(MANY)]
        await buffer.flush()
        assert [each.result().record_id for each in kept] == list(range(1, MANY + 1))
        await buffer.aclose()

    run(main())


def test_what_has_a_callback_is_kept() -> None:
    """R1: a callback is called although nobody keeps the Delivery that it was given to."""

    async def main() -> None:
        buffer, told = make_buffer(FakeService(), settings=SLOW), list[int]()
        for number in range(MANY):
            record(buffer, number).add_done_callback(lambda done: told.append(done.result().record_id))
        gc.collect()
        await buffer.flush()
        await sleep(0)
        assert told == list(range(1, MANY + 1))
        await buffer.aclose()

    run(main())


def test_what_a_task_awaits_is_kept() -> None:
    """R1: whoever awaits a Delivery gets its receipt, with no other reference to it."""

    async def main() -> None:
        buffer = make_buffer(FakeService(), settings=SLOW)

        async def one(number: int) -> Receipt:
            return await record(buffer, number)

        tasks = [asyncio.create_task(one(number)) for number in range(MANY)]
        receipts = await asyncio.gather(*tasks)
        assert [receipt.record_id for receipt in receipts] == list(range(1, MANY + 1))
        await buffer.aclose()

    run(main())


def ledger() -> tuple[Ledger, list[int]]:
    """Return a ledger, and the numbers of the records that it withdraws: of those that wait, as in the buffer."""
    withdrawn = list[int]()

    def withdraw(entry: Entry) -> None:
        if entry.state is EntryState.WAITING:
            withdrawn.append(entry.id)

    made = Ledger(
        asyncio.get_running_loop(),
        admission=Admission(max_records=100, max_bytes=100),
        withdraw=withdraw,
        duplicates=Duplicates(60.0),
        reporter=Reporter(()),
    )
    return made, withdrawn


def test_a_record_whose_first_caller_is_gone_is_never_withdrawn() -> None:
    """R13: whoever threw a Delivery away cannot cancel it, so the others that share the record only detach."""

    async def main() -> None:
        books, withdrawn = ledger()
        first = entry(1, "a")
        books.open(first)
        for number in range(2, 100):
            books.open(entry(number, "b"))
        assert not isinstance(first.deliveries, Delivery)
        shared = books.share(first)
        assert shared.cancel()
        assert withdrawn == []

    run(main())


def test_one_that_was_cancelled_in_flight_counts_as_let_go_of() -> None:
    """R13: the last Delivery that is cancelled withdraws the record, though an earlier one had no effect."""

    async def main() -> None:
        books, withdrawn = ledger()
        first = entry(1, "a")
        delivery = books.open(first)
        first.state = EntryState.IN_FLIGHT
        assert delivery.cancel()
        del delivery
        for number in range(2, 100):
            books.open(entry(number, "b"))
        shared = books.share(first)
        first.state = EntryState.WAITING
        assert withdrawn == []
        assert shared.cancel()
        assert withdrawn == [1]

    run(main())


@pytest.mark.parametrize("watched", [False, True], ids=["nobody waits", "somebody waits"])
@pytest.mark.parametrize("in_flight", [False, True], ids=["waiting", "in flight"])
def test_the_last_of_several_withdraws_what_the_first_could_not(watched: bool, in_flight: bool) -> None:  # noqa: FBT001
    """R5, R13: after the first was cancelled in flight, the record goes with the last of the others."""

    async def main() -> None:
        books, withdrawn = ledger()
        one = entry(1, "a")
        books._admission.take(len(one.body))
        first = books.open(one)
        if watched:
            first.add_done_callback(repr)
        one.state = EntryState.IN_FLIGHT
        assert first.cancel()
        one.state = EntryState.IN_FLIGHT if in_flight else EntryState.WAITING
        second, third = books.share(one), books.share(one)
        one.state = EntryState.WAITING
        assert second.cancel()
        assert not second.cancel()
        assert withdrawn == []
        assert third.cancel()
        assert withdrawn == [1]

        one.state = EntryState.ENDED
        books.end(one, Ended(end=End.CANCELLED), 0.0)
        assert [each.cancelled() for each in (first, second, third)] == [True] * 3
        assert (books.ends[End.CANCELLED], books.held, books.pending) == (3, 0, 0)

    run(main())


def test_all_are_told_where_the_first_let_go_in_flight() -> None:
    """R5, R13: what was cancelled in flight stays cancelled, and who shares the record is told of its end."""

    async def main() -> None:
        books, withdrawn = ledger()
        one = entry(1, "a")
        books._admission.take(len(one.body))
        first = books.open(one)
        one.state = EntryState.IN_FLIGHT
        assert first.cancel()
        second = books.share(one)
        one.state = EntryState.ENDED
        books.end(one, Ended(end=End.DELIVERED), 7.0, status=200, judgement=Judgement(body="fine"))
        assert first.cancelled()
        assert (second.result().record_id, second.result().body, withdrawn) == (1, "fine", [])
        assert (first.entry, second.entry, one.deliveries) == (None, None, None)

    run(main())


@pytest.mark.parametrize("unique_id", [None, "order-7"], ids=["no id", "an id"])
@pytest.mark.parametrize("kept", [False, True], ids=["nobody keeps it", "somebody keeps it"])
def test_an_answer_is_read_where_somebody_asks_for_it(kept: bool, unique_id: str | None) -> None:  # noqa: FBT001
    """R3: a receipt is made for whoever holds the Delivery, and for later records with the same unique_id, once."""

    async def main() -> int:
        books, _ = ledger()
        reads = 0

        def read() -> str:
            nonlocal reads
            reads += 1
            return "fine"

        one = entry(1, "a")
        one.unique_id = unique_id
        books._admission.take(len(one.body))
        delivery = books.open(one)
        if not kept:
            one.deliveries = NOBODY
        one.state = EntryState.ENDED
        books.end(one, Ended(end=End.DELIVERED), 7.0, status=200, judgement=Judgement(read=read))
        assert not kept or delivery.result().body == "fine"
        return reads

    assert run(main()) == int(kept or unique_id is not None)


@pytest.mark.parametrize("error", [ValueError("no JSON"), RecursionError()], ids=["value", "recursion"])
def test_an_answer_that_cannot_be_read_costs_nobody_the_receipt(error: Exception) -> None:
    """R1: what was accepted is delivered, even where a destination stumbles over what the service said to it."""

    class Stumbling(MidaDestination):
        """Raises where an answer is read."""

        def judge(self, response: Response, wall_now: float) -> Judgement:
            judgement = super().judge(response, wall_now)

            def read() -> object:
                raise error

            return Judgement(error=judgement.error, read=read)

    async def main() -> None:
        destination = Stumbling(Account.create(project_key="project", api_key=KEY, region="us"))
        async with contextlib.aclosing(make_buffer(FakeService(), destination=destination)) as buffer:
            first, second = [await buffer.record("a", id=name) for name in ("ann", "bob")]
            assert [(await each).body for each in (first, second)] == [None, None]
            assert buffer.statistics().delivered == 2

    run(main())


def test_what_is_in_memory_is_counted_once() -> None:
    """R6: records that are held are those with a room of their own: not what shares one, was dropped, or is on disk."""

    async def main() -> None:
        books, _ = ledger()

        def counts() -> tuple[int, int, int]:
            return books.held, books.accepted, books.pending

        one, two, four = entry(1, "a"), entry(2, "b"), entry(4, "d")
        for each in (one, two):
            books._admission.take(len(each.body))
            books.open(each)
        books.share(one)
        books.fold(two)
        assert counts() == (2, 4, 4)
        books.drop(entry(3, "c"), EventDroppedError("no room"))
        receipt = Receipt(record_id=0, status=200, attempts=1, waited=0.0, folded=1, may_be_duplicate=False, body=None)
        books.repeat(receipt, "e")
        assert counts() == (2, 6, 4)
        books.accept_unread(4, draft("e", "d"))
        assert counts() == (2, 7, 5)
        books._admission.take(len(four.body))
        books.reopen(four, None)
        assert counts() == (3, 7, 5)
        assert books._admission.records == books.held
        for left, each in zip((2, 1, 0), (two, four, one), strict=True):
            books.end(each, Ended(end=End.CANCELLED), 0.0)
            assert books.held == books._admission.records == left
        assert counts() == (0, 7, 0)
        assert books._admission.bytes == 0

    run(main())


def test_room_cannot_be_given_back_twice() -> None:
    """R6: releasing the same room again is an error in the engine and says so, instead of making room from nothing."""

    async def main() -> None:
        books, _ = ledger()
        one, room = entry(1, "a"), books._admission
        assert room.try_reserve(len(one.body))
        books.open(one)
        assert (one.room, books.held) == (2, 1)
        books.vacate(one)
        with pytest.raises(AssertionError, match="twice"):
            books.vacate(one)
        assert (room.records, room.bytes) == (0, 0)
        books.end(one, Ended(end=End.CANCELLED), 0.0)
        assert (room.records, room.bytes, books.held) == (0, 0, 0)

    run(main())


def test_records_keep_little() -> None:
    """R3: only the first record of a lane keeps a text of its own for each identifier, and no ended one its body."""

    async def main() -> None:
        buffer = make_buffer(FakeService(), settings=SLOW)
        deliveries = [buffer.record_nowait("e", id=f"an{letter}") for letter in "nnn"]
        entries = [each.entry for each in deliveries]
        assert len({id(each.identities) for each in entries if each is not None}) == 1
        await buffer.flush()
        await buffer.aclose()
        assert [each.body for each in entries if each is not None] == [b""] * 3

    run(main())
