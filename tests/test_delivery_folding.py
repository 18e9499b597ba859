"""R4 and R5: records that become one by a rule, and records that are one by their id."""

from __future__ import annotations

import asyncio
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from fake_service import (
    BAD,
    LOST,
    NO_LIMIT,
    OK,
    STALL,
    UNKNOWN_VISITOR,
    FakeService,
    assert_balanced,
    assert_finished,
    books,
    make_buffer,
    outcomes,
    record_all,
    room,
    run,
    sleep,
)

from mida_async import BufferFullError, Fold

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDING = attrs.evolve(
    NO_LIMIT,
    folds={"beat": Fold.last(), "watched": Fold.sum("seconds"), "viewed": Fold.count("times")},
)


def test_waiting_records_fold_by_the_rule_of_their_event() -> None:
    """R4: the last, the sum and the count of what waited go out in one request, and all callers get its receipt."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, settings=FOLDING)
        deliveries = record_all(buffer, ["ann"])
        await sleep(0.01)
        for name in ("beat", "watched", "viewed"):
            deliveries += [buffer.record_nowait(name, id="ann", properties={"n": n, "seconds": 2.5}) for n in range(4)]
        assert_balanced(buffer)
        assert (buffer.statistics().accepted, buffer.statistics().pending, buffer.statistics().waiting) == (13, 13, 3)
        await asyncio.wait(deliveries)
        assert [(sent.name, sent.properties) for sent in service.applied[1:]] == [
            ("beat", {"n": 3, "seconds": 2.5}),
            ("watched", {"n": 3, "seconds": 10.0}),
            ("viewed", {"n": 3, "seconds": 2.5, "times": 4}),
        ]
        receipts = [delivery.result() for delivery in deliveries]
        assert [receipt.folded for receipt in receipts] == [1] + [4] * 12
        assert receipts[1] == receipts[4] != receipts[5]
        assert books(buffer.statistics()) == {"delivered": 13}
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


def test_records_fold_only_into_the_waiting_tail_of_their_lane() -> None:
    """R4: not across another event, into another visitor's, into one in flight or one that was attempted before."""

    async def main() -> None:
        service = FakeService(LOST)
        buffer = make_buffer(service, settings=FOLDING)
        deliveries = record_all(buffer, ["ann"], name="beat")
        await sleep(0.01)  # in flight
        deliveries += record_all(buffer, ["bob", "ann"], name="beat")
        deliveries += record_all(buffer, ["ann"], name="seen")
        deliveries += record_all(buffer, ["ann", "ann"], name="beat")
        await sleep(0.05)  # the first one failed
        deliveries += [buffer.record_nowait("beat", id="ann", email="ann@x.com", properties={"n": 9})]
        await asyncio.wait(deliveries)
        assert [delivery.result().folded for delivery in deliveries] == [1, 1, 1, 1, 2, 2, 1]
        await buffer.aclose()

    run(main())


def test_a_failed_record_takes_nothing_in() -> None:
    """R4: a record between two attempts may have been applied as it is, so nothing is folded into it."""

    async def main() -> None:
        service = FakeService(UNKNOWN_VISITOR)
        buffer = make_buffer(service, settings=attrs.evolve(FOLDING, unknown_visitor="wait"))
        deliveries = record_all(buffer, ["ann"], name="beat")
        await sleep(0.5)
        deliveries += record_all(buffer, ["ann"], name="beat")
        await asyncio.wait(deliveries)
        assert [delivery.result().folded for delivery in deliveries] == [1, 1]
        await buffer.aclose()

    run(main())


def test_nothing_folds_without_a_rule() -> None:
    """R4: equal records are two records."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, settings=FOLDING)
        deliveries = [buffer.record_nowait("bought", id="ann", properties={"n": 1}) for _ in range(3)]
        await asyncio.wait(deliveries)
        assert service.numbers == [1, 1, 1]
        await buffer.aclose()

    run(main())


def test_a_rule_is_any_function_of_the_older_and_the_newer_properties() -> None:
    """R4: a callable decides what is sent; a missing properties argument is an empty mapping to it."""

    def longest(older: Mapping[str, Any], newer: Mapping[str, Any]) -> Mapping[str, Any]:
        return MappingProxyType({"n": max(older.get("n", 0), newer.get("n", 0)), "path": [*older.get("path", []), "b"]})

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, folds={"beat": Fold(longest)}))
        record_all(buffer, ["ann"])
        await sleep(0.01)
        buffer.record_nowait("beat", id="ann")
        buffer.record_nowait("beat", id="ann", properties={"n": 5, "path": ["a"]})
        buffer.record_nowait("beat", id="ann")
        await buffer.flush()
        assert [sent.properties for sent in service.applied[1:]] == [{"n": 5, "path": ["b", "b"]}]
        await buffer.aclose()

    run(main())


def test_what_the_caller_changes_later_is_not_folded() -> None:
    """R4: folding works on the properties as they were at the call, nested containers and odd mappings included."""

    async def main() -> None:
        service = FakeService()
        keep = Fold(lambda older, newer: {"n": 0, "all": [*older["all"], *newer["all"]]})
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, folds={"beat": keep}))
        record_all(buffer, ["ann"])
        await sleep(0.01)
        inner: dict[str, object] = {"a": 1}
        buffer.record_nowait("beat", id="ann", properties={"all": (MappingProxyType(inner), inner)})
        inner["a"] = 2
        buffer.record_nowait("beat", id="ann", properties={"all": [inner]})
        inner["a"] = 3
        await buffer.flush()
        assert service.applied[-1].properties["all"] == [{"a": 1}, {"a": 1}, {"a": 2}]
        await buffer.aclose()
        assert room(buffer) == (0, 0)

    run(main())


def test_linger_holds_back_only_what_may_be_folded() -> None:
    """R4: a record with a rule waits for others up to linger after its acceptance; one without goes at once."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, settings=attrs.evolve(FOLDING, linger=2.0))
        deliveries = record_all(buffer, ["ann"], name="watched") + record_all(buffer, ["bob"], name="seen")
        deliveries += [buffer.record_nowait("beat", id="cid", unique_id="1", properties={"n": 1})]
        for _ in range(3):
            await sleep(0.6)
            deliveries += record_all(buffer, ["ann"], name="watched")
        await asyncio.wait(deliveries)
        assert [(sent.name, sent.at) for sent in service.requests] == [("seen", 0), ("beat", 0), ("watched", 2.0)]
        assert deliveries[0].result().folded == 4
        await buffer.aclose()

    run(main())


def test_linger_ends_with_the_next_record_of_the_visitor() -> None:
    """R4: nothing can fold into what is not the last record any more, so neither it nor what follows is held back."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, settings=attrs.evolve(FOLDING, linger=60.0))
        deliveries = record_all(buffer, ["ann", "ann"], name="watched") + record_all(buffer, ["ann"], name="seen")
        await asyncio.wait(deliveries)
        assert [(sent.name, sent.at) for sent in service.requests] == [("watched", 0), ("seen", pytest.approx(0.05))]
        assert deliveries[0].result().folded == 2

        withdrawn, last = record_all(buffer, ["ann"], name="watched") + record_all(buffer, ["ann"], name="beat")
        withdrawn.cancel()
        await sleep(59)
        assert outcomes([last]) == ["pending"]
        await last
        assert service.requests[-1].at == pytest.approx(60.1)
        await buffer.aclose()
        assert_finished(buffer, [*deliveries, last])

    run(main())


def test_a_link_ends_the_linger_of_all_whom_it_links() -> None:
    """R3, R4: what lingers for either of two visitors goes at once when a record shows that they are one."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, settings=attrs.evolve(FOLDING, linger=60.0))
        for n, identifiers in enumerate(({"id": "ann"}, {"email": "ann@x.com"}, {"id": "ann", "email": "ann@x.com"})):
            buffer.record_nowait("watched", properties={"n": n}, **identifiers)
        await sleep(1)
        assert service.numbers == [0, 1]
        await buffer.flush()
        assert service.numbers == [0, 1, 2]
        await buffer.aclose()

    run(main())


def test_linger_does_not_hold_back_what_cannot_fold_without_order() -> None:
    """R4: with order='none' nothing folds, so nothing waits for it."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, settings=attrs.evolve(FOLDING, linger=2.0, order="none"))
        deliveries = record_all(buffer, ["ann"] * 3, name="beat")
        await asyncio.wait(deliveries)
        assert [sent.at for sent in service.requests] == [0, 0, 0]
        await buffer.aclose()

    run(main())


@pytest.mark.parametrize("close", [False, True])
def test_flush_and_close_cut_the_linger(close: bool) -> None:  # noqa: FBT001
    """R4, R14: what is only held back for folding goes at once when the buffer is flushed or closed."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, settings=attrs.evolve(FOLDING, linger=60.0))
        deliveries = record_all(buffer, ["ann", "bob"], name="beat")
        deliveries[1].cancel()
        await sleep(1)
        await (buffer.aclose() if close else buffer.flush())
        assert [sent.at for sent in service.requests] == [1.0]
        assert outcomes(deliveries) == ["ok", "cancelled"]
        await buffer.aclose()

    run(main())


def test_a_caller_who_waits_for_room_ends_the_linger() -> None:
    """R4, R6: where all room is taken by records that only linger, they go at once and make room for the caller."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, settings=attrs.evolve(FOLDING, linger=60.0, max_records=2))
        lingering = record_all(buffer, ["ann", "bob"], name="beat")
        calls = [asyncio.create_task(buffer.record("beat", id=f"u{n}", properties={"n": n})) for n in range(6)]
        last = [await call for call in calls]
        assert asyncio.get_running_loop().time() == pytest.approx(0.15)
        await buffer.flush()
        assert outcomes(lingering + last) == ["ok"] * 8
        await buffer.aclose()

    run(main())


def test_linger_forgets_what_went_early() -> None:
    """R4, R6: what was set free by the next record is not kept until its linger is over, and what waits is not lost."""

    async def main() -> None:
        buffer = make_buffer(FakeService(), settings=attrs.evolve(FOLDING, linger=3600.0))
        held = record_all(buffer, ["bob"], name="beat")
        for _ in range(50):
            await asyncio.wait(record_all(buffer, ["ann"], name="beat") + record_all(buffer, ["ann"]))
        assert buffer._works is not None
        assert len(buffer._works.intake._lingering) < 20
        await buffer.flush()
        assert outcomes(held) == ["ok"]
        await buffer.aclose()

    run(main())


def test_cancelling_many_folded_deliveries_costs_little() -> None:
    """R4, R13: of 30,000 Deliveries of one record each is let go of without a search, and the last one withdraws it."""

    async def main() -> None:
        service = FakeService(STALL)
        buffer = make_buffer(service, settings=FOLDING)
        record_all(buffer, ["ann"])
        await sleep(0.01)
        deliveries = record_all(buffer, ["ann"] * 30_000, name="beat")
        started = time.perf_counter()
        for delivery in reversed(deliveries):
            delivery.cancel()
        assert time.perf_counter() - started < 10  # a search took minutes
        assert books(buffer.statistics()) == {"cancelled": 30_000}
        await buffer.aclose(0)
        assert_finished(buffer, deliveries)

    run(main())


def test_linger_forgets_what_has_gone() -> None:
    """R4: what lingered and went is not kept for a later flush."""

    async def main() -> None:
        buffer = make_buffer(FakeService(), settings=attrs.evolve(FOLDING, linger=1.0))
        for _ in range(50):
            record_all(buffer, ["ann"], name="beat")
            await sleep(1.5)
        assert buffer._works is not None
        assert len(buffer._works.intake._lingering) == 1
        await buffer.aclose()

    run(main())


def test_a_flush_does_not_count_what_folds_in_later() -> None:
    """R4, R14: a record that folds into one that a flush waits for is delivered with it, and is not in the report."""

    async def main() -> None:
        service = FakeService(STALL)
        buffer = make_buffer(service, settings=FOLDING, total=10)
        deliveries = record_all(buffer, ["ann"])
        await sleep(1)
        deliveries += record_all(buffer, ["ann"], name="beat")
        flushing = asyncio.create_task(buffer.flush())
        await sleep(0)
        deliveries += record_all(buffer, ["ann", "ann"], name="beat")
        await flushing
        await asyncio.wait(deliveries)
        assert [delivery.result().folded for delivery in deliveries] == [1, 3, 3, 3]
        assert books(flushing.result()) == {"delivered": 2}
        await buffer.aclose()

    run(main())


def test_folding_that_cannot_be_sent_leaves_both_records_as_they_are() -> None:
    """R4: two records that would be too long in one, or too large for the room, go separately."""

    async def main() -> None:
        both = Fold(lambda older, newer: {"n": newer["n"], "text": older["text"] + newer["text"]})
        for settings, size in ((NO_LIMIT, 600_000), (attrs.evolve(NO_LIMIT, max_bytes=2600), 1000)):
            service = FakeService()
            buffer = make_buffer(service, settings=attrs.evolve(settings, folds={"beat": both}))
            blocker = await buffer.record("seen", id="ann", properties={"n": 0, "text": "x" * (size // 2)})
            await sleep(0.01)
            texts = [{"n": n, "text": "x" * size} for n in (1, 2)]
            deliveries = [await buffer.record("beat", id="ann", properties=text) for text in texts]
            await asyncio.wait([blocker, *deliveries])
            assert service.numbers == [0, 1, 2]
            assert [delivery.result().folded for delivery in deliveries] == [1, 1]
            await buffer.aclose()
            assert_finished(buffer, deliveries)

    run(main())


def test_a_rule_that_fails_raises_at_the_call_and_changes_nothing() -> None:
    """R4, R7: an error in a rule comes out of record(); the older record is sent as it was."""

    def broken(_older: Mapping[str, Any], _newer: Mapping[str, Any]) -> Mapping[str, Any]:
        raise ZeroDivisionError

    async def main() -> None:
        service = FakeService()
        folds = {**FOLDING.folds, "beat": Fold(broken)}
        buffer = make_buffer(service, settings=attrs.evolve(FOLDING, folds=folds))
        record_all(buffer, ["ann"])
        await sleep(0.01)
        record_all(buffer, ["ann"], name="beat")
        with pytest.raises(ZeroDivisionError):
            record_all(buffer, ["ann"], name="beat")
        assert_balanced(buffer)
        await buffer.flush()
        assert [sent.properties for sent in service.applied[1:]] == [{"n": 0}]
        await buffer.aclose()

    run(main())


@pytest.mark.parametrize("what", [None, [("n", 1)], 5, "n"])
def test_a_rule_that_returns_no_mapping_raises_at_the_call(what: object) -> None:
    """R4, R7: the error names the event and what came back; the older record is sent as it was."""

    async def main() -> None:
        service = FakeService()
        rule: Any = Fold(lambda _older, _newer: what)  # type: ignore[arg-type,return-value]
        buffer = make_buffer(service, settings=attrs.evolve(FOLDING, folds={"beat": rule}))
        record_all(buffer, ["ann"])
        await sleep(0.01)
        record_all(buffer, ["ann"], name="beat")
        with pytest.raises(TypeError, match=rf"fold of 'beat' returned {type(what).__name__}.*mapping"):
            record_all(buffer, ["ann"], name="beat")
        assert_balanced(buffer)
        await buffer.flush()
        assert service.numbers == [0, 0]
        await buffer.aclose()

    run(main())


def test_a_rule_that_changes_what_it_is_given_counts_nothing_twice() -> None:
    """R4: where the rule fails, neither of the two records keeps what the rule did to its properties."""

    def moody(older: Any, newer: Any) -> Any:
        newer["n"] = older["n"] = older["n"] + newer["n"]
        if newer.pop("bad", False):
            raise ZeroDivisionError
        return newer

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, settings=attrs.evolve(FOLDING, folds={"beat": Fold(moody)}))
        record_all(buffer, ["ann"])
        await sleep(0.01)
        buffer.record_nowait("beat", id="ann", properties={"n": 1})
        with pytest.raises(ZeroDivisionError):
            buffer.record_nowait("beat", id="ann", properties={"n": 10, "bad": True})
        buffer.record_nowait("beat", id="ann", properties={"n": 100})
        await buffer.flush()
        assert service.numbers == [0, 101]
        await buffer.aclose()

    run(main())


def test_a_rule_may_record_and_cancel() -> None:
    """R2, R4: what a rule itself records or cancels in the same lane keeps its place, and nothing is lost by it."""
    acts = list[Any]()

    def busy(_older: object, newer: Any) -> Any:
        acts.pop(0)()
        return {"n": 99, "of": newer["n"]}

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, settings=attrs.evolve(FOLDING, folds={"beat": Fold(busy)}))
        record_all(buffer, ["ann"])
        await sleep(0.01)
        deliveries = [buffer.record_nowait("beat", id="ann", properties={"n": 1})]
        acts.append(lambda: deliveries.append(buffer.record_nowait("seen", id="ann", properties={"n": 2})))
        deliveries.append(buffer.record_nowait("beat", id="ann", properties={"n": 3}))
        acts.append(deliveries[-1].cancel)
        deliveries.append(buffer.record_nowait("beat", id="ann", properties={"n": 4}))
        await buffer.flush()
        assert service.numbers == [0, 1, 2, 4]
        assert outcomes(deliveries) == ["ok", "ok", "cancelled", "ok"]
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


def test_a_rule_that_fails_for_a_caller_who_waited_frees_the_room() -> None:
    """R4, R6: the error comes out of the record() that waited, and its room goes to the next one."""

    def strict(older: Mapping[str, Any], newer: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**newer, "seconds": older["seconds"] + newer["seconds"]}

    async def main() -> None:
        service = FakeService(STALL, OK, attrs.evolve(OK, latency=1.0))
        folds = {"watched": Fold(strict)}
        buffer = make_buffer(service, settings=attrs.evolve(FOLDING, folds=folds, max_records=3), total=10)
        deliveries = record_all(buffer, ["ann", "bob", "cid"])
        calls = [
            asyncio.create_task(buffer.record("watched", id="ann", properties={"n": 1, "seconds": seconds}))
            for seconds in (1, "many", 2)
        ]
        await asyncio.wait(calls)
        assert [type(call.exception()).__name__ for call in calls] == ["NoneType", "TypeError", "NoneType"]
        deliveries += [calls[0].result(), calls[2].result()]
        await buffer.aclose(60)
        assert [delivery.result().folded for delivery in deliveries] == [1, 1, 1, 2, 2]
        assert_finished(buffer, deliveries)

    run(main())


def test_what_folds_takes_no_room_but_does_not_overtake() -> None:
    """R4, R6: a full buffer still folds, unless somebody waits for room: then a foldable record stands in line, too."""

    async def main() -> None:
        buffer = make_buffer(FakeService(STALL), settings=attrs.evolve(FOLDING, max_records=2), total=10)
        record_all(buffer, ["ann"], name="seen")
        await sleep(0.01)
        record_all(buffer, ["ann", "ann"], name="beat")
        assert room(buffer)[0] == 2
        waiting = asyncio.create_task(buffer.record("beat", id="bob"))
        await sleep(0)
        with pytest.raises(BufferFullError, match=r"2 of 2 records.*1 callers waiting"):
            record_all(buffer, ["ann"], name="beat")
        foldable = asyncio.create_task(buffer.record("beat", id="bob"))
        await sleep(0)
        waiting_delivery, folded_delivery = await waiting, await foldable
        assert (await waiting_delivery).record_id == 3
        await folded_delivery
        await buffer.aclose()
        assert_finished(buffer, [waiting_delivery, folded_delivery])

    run(main())


def test_a_repeated_unique_id_is_sent_once() -> None:
    """R5: waiting, in flight or delivered, the same visitor, name and id share one request and one outcome."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service)

        def record(**identifiers: str) -> Any:
            return buffer.record_nowait("bought", unique_id="order-1", properties={"n": 1}, **identifiers)

        deliveries = [record(id="ann"), record(id="ann", email="ann@x.com")]
        await sleep(0.01)
        deliveries += [record(id="ann"), record(mida_uuid="m", id="ann")]
        await asyncio.wait(deliveries)
        deliveries += [record(id="ann")]
        assert deliveries[-1].done()
        assert all(delivery.result() == deliveries[0].result() for delivery in deliveries)
        assert len(service.requests) == 1
        assert books(buffer.statistics()) == {"delivered": 5}
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


@pytest.mark.parametrize(
    "other",
    [
        {"event_name": "seen", "id": "bob", "unique_id": "1"},
        {"event_name": "bought", "id": "ann", "unique_id": "1"},
        {"event_name": "seen", "id": "ann", "unique_id": "2"},
        {"event_name": "seen", "id": "ann"},
        {"event_name": "seen", "mida_uuid": "ann", "unique_id": "1"},
    ],
)
def test_another_visitor_name_or_id_is_another_record(other: dict[str, str]) -> None:
    """R5: only the same visitor, event name and unique_id together make a repetition."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service)
        buffer.record_nowait("seen", id="ann", unique_id="1")
        buffer.record_nowait(**other)
        await buffer.flush()
        assert len(service.requests) == 2
        await buffer.aclose()

    run(main())


def test_a_delivered_unique_id_is_forgotten_after_the_window() -> None:
    """R5: dedupe_window seconds after delivery the same id is a new record."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, dedupe_window=100.0))
        for pause in (99, 2, 0):
            await (await buffer.record("seen", id="ann", unique_id="1"))
            await sleep(pause)
        assert len(service.requests) == 2
        await buffer.aclose()

    run(main())


def test_a_rejected_unique_id_is_forgotten_at_once() -> None:
    """R5: what was rejected, cancelled or dropped may be recorded again."""

    async def main() -> None:
        service = FakeService(BAD)
        buffer = make_buffer(service)
        first = await buffer.record("seen", id="ann", unique_id="1")
        await asyncio.wait([first])
        second = await buffer.record("seen", id="ann", unique_id="1")
        second.cancel()
        third = await buffer.record("seen", id="ann", unique_id="1")
        await third
        assert outcomes([first, second, third]) == ["BadRequestError", "cancelled", "ok"]
        assert len(service.requests) == 2
        await buffer.aclose()

    run(main())


def test_repetitions_are_found_without_order_too() -> None:
    """R5: order='none' does not switch off unique_id."""

    async def main() -> None:
        service = FakeService()
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, order="none"))
        deliveries = [buffer.record_nowait("seen", id="ann", unique_id="1") for _ in range(2)]
        await asyncio.wait(deliveries)
        deliveries += [buffer.record_nowait("seen", id="ann", unique_id="1")]
        assert outcomes(deliveries) == ["ok", "ok", "ok"]
        assert len(service.requests) == 1
        assert books(buffer.statistics()) == {"delivered": 3}
        await buffer.aclose()

    run(main())


def test_cancelling_one_of_several_shared_deliveries_only_detaches_it() -> None:
    """R5, R13: the record is withdrawn when the last of its Deliveries is cancelled, in whatever order."""

    async def main() -> None:
        service = FakeService(STALL)
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, concurrency=1), total=5)
        record_all(buffer, ["bob"])
        await sleep(0)
        for order in ((0, 1), (1, 0)):
            pair = [buffer.record_nowait("seen", id="ann", unique_id="1") for _ in range(2)]
            pair[order[0]].cancel()
            assert buffer.statistics().waiting == 1
            pair[order[1]].cancel()
            assert buffer.statistics().waiting == 0
        assert books(buffer.statistics()) == {"cancelled": 4}
        await buffer.aclose(1)

    run(main())


def test_a_delivery_let_go_in_flight_does_not_keep_the_record_for_others() -> None:
    """R5, R13: after one Delivery was cancelled in flight, cancelling the other one while waiting withdraws."""

    async def main() -> None:
        service = FakeService(UNKNOWN_VISITOR)
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, unknown_visitor="wait"))
        first = buffer.record_nowait("seen", id="ann", unique_id="1")
        await sleep(0.01)
        first.cancel()
        await sleep(0.1)
        second = buffer.record_nowait("seen", id="ann", unique_id="1")
        second.cancel()
        assert books(buffer.statistics()) == {"cancelled": 2}
        await buffer.aclose()
        assert len(service.requests) == 1
        assert_finished(buffer, [first, second])

    run(main())


def test_a_repetition_that_waited_for_room_needs_none() -> None:
    """R5, R6: a repetition that stood in line because others did gives its room back when its turn comes."""

    async def main() -> None:
        service = FakeService(STALL, otherwise=attrs.evolve(OK, latency=1.0))
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, max_records=1), total=5)
        blocker = buffer.record_nowait("seen", id="bob")
        calls = [asyncio.create_task(buffer.record("seen", id="ann", unique_id="1")) for _ in range(3)]
        deliveries = [await call for call in calls]
        await asyncio.wait([blocker, *deliveries])
        assert [sent.visitor for sent in service.requests].count(frozenset({("id", "ann")})) == 1
        assert outcomes(deliveries) == ["ok"] * 3
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


def test_reports_leave_out_repetitions_that_came_later() -> None:
    """R5, R14: a flush reports on what was pending at its call, though a later repetition shares the outcome."""

    async def main() -> None:
        service = FakeService(STALL, STALL)
        buffer = make_buffer(service, total=5)
        for pending in (1, 0):
            buffer.record_nowait("seen", id=f"ann{pending}", unique_id="1")
            flushing = asyncio.create_task(buffer.flush(1.0 if pending else None))
            await sleep(0.5)
            buffer.record_nowait("seen", id=f"ann{pending}", unique_id="1")
            for _ in range(2):
                buffer.record_nowait("seen", id=f"bob{pending}", unique_id="1")
            report = await flushing
            assert (sum(books(report).values()), report.pending) == (1 - pending, pending)
            await buffer.flush()
        await buffer.aclose()

    run(main())


def test_what_cannot_be_added_up_is_sent_by_itself() -> None:
    """R4: a record whose property is no number folds with nothing, and neither it nor its neighbours are lost."""

    async def main() -> None:
        service = FakeService()
        settings = attrs.evolve(NO_LIMIT, folds={"seen": Fold.sum("n")}, linger=1.0)
        buffer = make_buffer(service, settings=settings)
        deliveries = [await buffer.record("seen", id="u1", properties={"n": n}) for n in (1, 2, "x", 4, 5)]
        await buffer.flush()

        assert outcomes(deliveries) == ["ok"] * 5
        assert [sent.properties["n"] for sent in service.applied] == [3, "x", 9]
        await buffer.aclose()

    run(main())
