"""What hooks and the log are told."""

from __future__ import annotations

import asyncio
import logging

import attrs
import pytest
from fake_service import (
    BAD,
    JUDGE,
    KEY,
    LOST,
    NO_LIMIT,
    NOT_SENT,
    OK,
    STALL,
    TOO_MANY,
    Collector,
    FakeService,
    Play,
    make_buffer,
    record_all,
    response,
    run,
    sleep,
)

from mida_async import Fold, RateLimit, RetryPolicy
from mida_async._delivery.witness import BufferWitness
from mida_async.instrumentation import (
    AttemptMade,
    BreakerChanged,
    Detail,
    LoggingHook,
    RateChanged,
    RecordAccepted,
    RecordEnded,
    RecordFolded,
    RecordRepeated,
    RetryPlanned,
    Throttled,
)


def test_hooks_hear_the_whole_life_of_a_record() -> None:
    """Acceptance, attempts, the planned retry and the end are told in this order, to every hook."""

    async def main() -> None:
        heard, other = Collector(), Collector()
        buffer = make_buffer(FakeService(LOST), hooks=[heard, other])
        await (await buffer.record("bought", id="ann"))
        await buffer.aclose()
        accepted, first, planned, second, ended = heard.details
        assert accepted == RecordAccepted(record_id=1, event_name="bought", size=34)
        assert (first, second) == tuple(
            AttemptMade(record_id=1, event_name="bought", attempt=attempt) for attempt in (1, 2)
        )
        assert isinstance(planned, RetryPlanned)
        assert (planned.record_id, planned.attempt, str(planned.error)) == (1, 1, "reset after the body")
        assert 0 <= planned.delay <= 0.5
        assert isinstance(ended, RecordEnded)
        assert (ended.end, ended.attempts, ended.records, ended.error) == ("delivered", 2, 1, None)
        assert ended.waited == pytest.approx(0.1 + planned.delay)
        assert other.details == heard.details

    run(main())


def test_hooks_hear_of_ends_that_are_failures() -> None:
    """Each end names itself and its error, and how many accepted records came to it."""

    async def main() -> None:
        heard = Collector()
        settings = attrs.evolve(NO_LIMIT, max_records=4, overflow="drop_newest", concurrency=1)
        buffer = make_buffer(FakeService(BAD, STALL), settings=settings, hooks=[heard])
        deliveries = record_all(buffer, ["ann"])
        deliveries += [buffer.record_nowait("seen", id="ann", unique_id="1") for _ in range(2)]
        deliveries += record_all(buffer, ["ann", "ann", "ann"])
        await sleep(1)
        deliveries[4].cancel()
        await buffer.aclose(0)
        ends = [(detail.end, detail.records, type(detail.error).__name__) for detail in heard.of(RecordEnded)]
        assert ends == [
            ("dropped", 1, "EventDroppedError"),
            ("rejected", 1, "BadRequestError"),
            ("cancelled", 1, "NoneType"),
            ("abandoned", 2, "BufferClosedError"),
            ("abandoned", 1, "BufferClosedError"),
        ]

    run(main())


def test_hooks_hear_of_every_accepted_record_once() -> None:
    """R1, R4, R5: own, folded and repeated records are told apart, and together they are those that were accepted."""

    async def main() -> None:
        heard = Collector()
        settings = attrs.evolve(NO_LIMIT, folds={"watched": Fold.sum("n")}, max_records=4, overflow="drop_newest")
        buffer = make_buffer(FakeService(), settings=settings, hooks=[heard])
        watched = [buffer.record_nowait("watched", id="ann", properties={"n": 10}) for _ in range(3)]
        bought = [buffer.record_nowait("bought", id="ann", unique_id="1") for _ in range(2)]
        record_all(buffer, ["bob", "cid", "dan"])
        await buffer.flush()
        bought.append(buffer.record_nowait("bought", id="ann", unique_id="1"))
        assert [(each.record_id, each.event_name, each.records) for each in heard.of(RecordFolded)] == [
            (watched[0].record_id, "watched", 2),
            (watched[0].record_id, "watched", 3),
        ]
        assert len({detail.size for detail in heard.of(RecordFolded)}) == 1
        assert heard.of(RecordRepeated) == [
            RecordRepeated(record_id=bought[0].record_id, event_name="bought", delivered=delivered)
            for delivered in (False, True)
        ]
        now, own = buffer.statistics(), heard.of(RecordAccepted)
        assert now.accepted == len(own) + len(heard.of(RecordFolded)) + len(heard.of(RecordRepeated)) == 9
        ended = sum(detail.records for detail in heard.of(RecordEnded))
        assert (now.delivered, now.dropped) == (8, 1)
        assert ended + sum(detail.delivered for detail in heard.of(RecordRepeated)) == 9
        await buffer.aclose()

    run(main())


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_a_hook_may_end_the_program(end: type[BaseException]) -> None:
    """R1: what ends a program is let through, out of the call that told the hook."""

    def hook(detail: Detail) -> None:
        if isinstance(detail, RecordAccepted):
            raise end

    async def main() -> None:
        buffer = make_buffer(FakeService(), hooks=[hook])
        with pytest.raises(end):
            record_all(buffer, ["ann"])
        assert buffer.statistics().accepted == 1
        await buffer.aclose()
        assert buffer.statistics().pending == 0

    run(main())


def test_a_direct_call_does_not_fail_of_the_engine(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R1, R9: an error in what the buffer makes of an answer is logged, and the call gets its answer."""

    async def main() -> None:
        buffer = make_buffer(FakeService())
        monkeypatch.setattr(buffer.scheduler, "observe", lambda *_args, **_kwargs: 1 / 0)
        witness = BufferWitness(buffer, JUDGE)
        witness.answered(witness.sending(0.0), response(200), 0.0)
        await buffer.aclose()

    run(main())
    assert "an error in the delivery engine about a direct call; it goes on" in caplog.messages


def test_hooks_hear_of_refused_direct_calls() -> None:
    """R9: a direct call that is refused for the rate is told like a record's, since it slows the records down, too."""

    async def main() -> None:
        heard = Collector()
        buffer = make_buffer(FakeService(), hooks=[heard])
        witness = BufferWitness(buffer, JUDGE)
        witness.answered(witness.sending(0.0), response(429, "later", retry_after="7"), 0.0)
        witness.answered(witness.sending(0.0), response(503, "later", retry_after="7"), 0.0)
        assert heard.of(Throttled) == [Throttled(retry_after=7.0)]
        await buffer.aclose()

    run(main())


def test_hooks_hear_of_refusals_and_of_the_rate() -> None:
    """A 429 is told with what it asked for; so is every change of the rate and of the pacing."""

    async def main() -> None:
        heard = Collector()
        service = FakeService(OK, Play(outcome=response(429, "later", retry_after="7")), OK, TOO_MANY)
        settings = attrs.evolve(NO_LIMIT, rate_limits=RateLimit(10, per=1))
        buffer = make_buffer(service, settings=settings, hooks=[heard])
        for visitor in ("ann", "bob", "cid"):
            await (await buffer.record("seen", id=visitor))
        assert [detail.retry_after for detail in heard.of(Throttled)] == [7.0, None]
        changes = heard.of(RateChanged)
        assert [change.smooth for change in changes[:2]] == [True, True]
        assert changes[1].rate < changes[0].rate
        assert buffer.statistics().smooth
        await buffer.aclose()

    run(main())


def test_hooks_hear_of_an_outage() -> None:
    """The breaker's changes are told, with the failure that opened it."""

    async def main() -> None:
        heard = Collector()
        service = FakeService(*[NOT_SENT] * 7)
        settings = attrs.evolve(NO_LIMIT, concurrency=2)
        buffer = make_buffer(service, settings=settings, hooks=[heard], retry=RetryPolicy(initial=0.0))
        await asyncio.wait(record_all(buffer, [f"u{n}" for n in range(9)]))
        changes = heard.of(BreakerChanged)
        assert [change.state for change in changes] == ["open", "recovering", "closed"]
        assert [str(change.error) for change in changes] == ["nobody listens", "None", "None"]
        await buffer.aclose()

    run(main())


def test_probes_that_others_outlast_do_not_repeat_the_line(caplog: pytest.LogCaptureFixture) -> None:
    """R12: an outage in which slow requests fail while a probe is under way is still one line."""

    async def main() -> None:
        heard = Collector()
        slow = attrs.evolve(LOST, latency=0.7)
        service = FakeService(
            *[NOT_SENT] * 3, slow, NOT_SENT, NOT_SENT, slow, slow, attrs.evolve(NOT_SENT, latency=0.4)
        )
        settings = attrs.evolve(NO_LIMIT, concurrency=4)
        buffer = make_buffer(service, settings=settings, hooks=[heard], retry=RetryPolicy(initial=0.0))
        await asyncio.wait(record_all(buffer, [f"u{n}" for n in range(9)]))
        assert [change.state for change in heard.of(BreakerChanged)] == [
            "open",
            "probing",
            "open",
            "recovering",
            "closed",
        ]
        await buffer.aclose()

    run(main())
    assert len([record for record in caplog.records if "deliveries fail" in record.message]) == 1


def test_nothing_that_hooks_are_told_holds_a_secret() -> None:
    """R17: no detail, error or repr shows the API key, though the service echoes it."""

    async def main() -> None:
        heard = Collector()
        refusal = Play(outcome=response(400, f"bad key {KEY}"))
        buffer = make_buffer(FakeService(refusal, attrs.evolve(refusal, outcome=response(429, KEY))), hooks=[heard])
        await asyncio.wait(record_all(buffer, ["ann", "bob"]))
        witness = BufferWitness(buffer, JUDGE)
        witness.answered(witness.sending(0.0), response(400, KEY), 0.0)
        assert KEY not in repr(heard.details) + repr(buffer) + repr(buffer.statistics())
        assert len(heard.details) > 5
        await buffer.aclose()

    run(main())


DETAILS = [
    (RecordAccepted(record_id=1, event_name="seen", size=5), logging.DEBUG),
    (RecordFolded(record_id=1, event_name="seen", size=5, records=2), logging.DEBUG),
    (RecordRepeated(record_id=1, event_name="seen", delivered=True), logging.DEBUG),
    (AttemptMade(record_id=1, event_name="seen", attempt=1), logging.DEBUG),
    (Throttled(retry_after=None), logging.DEBUG),
    (RateChanged(rate=1.0, smooth=True), logging.DEBUG),
    (RetryPlanned(record_id=1, event_name="seen", attempt=1, delay=1.0, error=ValueError("x")), logging.INFO),
    (BreakerChanged(state="recovering", error=None), logging.INFO),
    (BreakerChanged(state="open", error=ValueError("x")), logging.WARNING),
    *(
        (
            RecordEnded(
                record_id=1,
                event_name="seen",
                end=end,
                attempts=1,
                waited=1.0,
                records=1,
                maybe_applied=False,
                error=None,
            ),
            logging.DEBUG if end in {"delivered", "kept", "cancelled"} else logging.WARNING,
        )
        for end in ("delivered", "kept", "cancelled", "rejected", "expired", "dropped", "abandoned", "ambiguous")
    ),
]


@pytest.mark.parametrize(("detail", "level"), DETAILS)
def test_the_logging_hook_logs_each_detail_at_its_level(
    detail: Detail, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Ordinary steps are DEBUG, retries and recovery INFO, failures and outages WARNING."""
    with caplog.at_level(logging.DEBUG):
        LoggingHook()(detail)
        LoggingHook(logging.getLogger("mine"))(detail)
    assert [(record.name, record.levelno) for record in caplog.records] == [
        ("mida_async.delivery", level),
        ("mine", level),
    ]
    assert caplog.records[0].getMessage() == str(detail)


def test_the_logging_hook_works_in_a_buffer(caplog: pytest.LogCaptureFixture) -> None:
    """Given to a buffer, it logs every record on its way."""

    async def main() -> None:
        buffer = make_buffer(FakeService(), hooks=[LoggingHook()])
        record_all(buffer, ["ann"])
        await buffer.aclose()

    with caplog.at_level(logging.DEBUG, logger="mida_async.delivery"):
        run(main())
    assert [record.message.split("(")[0] for record in caplog.records if record.name == "mida_async.delivery"] == [
        "RecordAccepted",
        "AttemptMade",
        "RecordEnded",
    ]
