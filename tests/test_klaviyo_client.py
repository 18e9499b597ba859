"""The client for Klaviyo, from its arguments to what the emulator recorded."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
import pickle
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import attrs
import pytest

from mida_async import (
    AuthenticationError,
    BadRequestError,
    BufferClosedError,
    BufferSettings,
    ClientClosedError,
    ConnectError,
    EventExpiredError,
    Fold,
    InvalidEventError,
    KlaviyoClient,
    MidaClient,
    RateLimit,
    RateLimitError,
    Response,
    RetryPolicy,
    ServerError,
    SettingsError,
    Timeout,
)
from mida_async.instrumentation import RecordAccepted, RecordEnded
from mida_async.testing import (
    CutBody,
    Emulator,
    MemoryTransport,
    ResetAfter,
    ResetBefore,
    Stall,
    Status,
)
from mida_async.testing.clock import run_virtual

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import klaviyo_rate

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from mida_async import Request
    from mida_async.testing import RecordedKlaviyoEvent

KEY: Final = "pk_0123456789abcdef"
NO_LIMIT: Final = BufferSettings(rate_limits=())
QUICK: Final = RetryPolicy(initial=0.01)
BOTH: Final = pytest.mark.parametrize("bulk", [False, True], ids=["single", "bulk"])


def person(number: int) -> dict[str, str]:
    """Return a profile."""
    return {"email": f"user{number}@klaviyo-demo.com"}


def play(
    main: Callable[[KlaviyoClient, Emulator], Coroutine[Any, Any, None]], *, bulk: bool = False, **given: Any
) -> Emulator:
    """Run *main* with a client and an emulator on the virtual clock."""
    emulator = given.pop("emulator", None) or Emulator(api_key=KEY, latency=0.05)

    async def run() -> None:
        async with MemoryTransport(emulator) as transport:
            settings = {"buffer": NO_LIMIT, "retry": QUICK, **given}
            client = KlaviyoClient(KEY, base_url=transport.base_url, bulk=bulk, transport=transport, **settings)
            async with client as klaviyo:
                await main(klaviyo, emulator)

    run_virtual(run())
    return emulator


def numbers(emulator: Emulator) -> list[int]:
    """Return the property ``n`` of what was recorded."""
    return [(event.properties or {})["n"] for event in emulator.recorded]


def last(emulator: Emulator) -> RecordedKlaviyoEvent:
    """Return what was recorded last."""
    event: Any = emulator.recorded[-1]
    return event  # type: ignore[no-any-return]


async def record(klaviyo: KlaviyoClient, *people: int) -> list[asyncio.Future[Any]]:
    """Record an event of each of *people*, numbered from 0 on."""
    return [
        await klaviyo.buffer.record("Viewed Product", profile=person(who), properties={"n": n})
        for n, who in enumerate(people)
    ]


# Direct calls.


def test_a_direct_call_returns_what_makes_the_event_unique() -> None:
    """``events.create`` sends one event and tells the id and the time that it went out with."""

    async def main(klaviyo: KlaviyoClient, emulator: Emulator) -> None:
        at = dt.datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=dt.UTC)
        event = await klaviyo.events.create(
            "Placed Order",
            profile={"email": "Ada@klaviyo-demo.com", "first_name": "Ada", "plan": "team"},
            properties={"items": [{"sku": "a"}]},
            time=at,
            value=Decimal("9.99"),
            unique_id="order-1",
            value_currency="EUR",
        )
        assert (event.unique_id, event.time) == ("order-1", at.replace(microsecond=0))
        recorded = last(emulator)
        assert (recorded.event_name, recorded.email, recorded.value) == ("Placed Order", "Ada@klaviyo-demo.com", 9.99)
        assert recorded.properties == {"items": [{"sku": "a"}]}
        assert (recorded.unique_id, recorded.time) == ("order-1", "2024-05-06T07:08:09+00:00")
        first, second = [await klaviyo.events.create("Seen", profile=person(1)) for _ in range(2)]
        assert first.unique_id != second.unique_id

    assert len(play(main).recorded) == 3


@pytest.mark.parametrize(
    "fault", [Status(500, applied=True), Status(503), ResetAfter(), ResetBefore(), Stall(applied=True), CutBody()]
)
def test_a_direct_call_is_repeated_and_counts_once(fault: Any) -> None:
    """R9: time and id are fixed at the call, so even what may have been applied is sent again, and recorded once."""

    async def main(klaviyo: KlaviyoClient, emulator: Emulator) -> None:
        emulator.script(fault)
        await klaviyo.events.create("Placed Order", profile=person(1))

    emulator = play(main, timeout=Timeout(read=5.0))
    assert len(emulator.recorded) == 1


def test_a_direct_call_tells_what_the_service_found() -> None:
    """A refusal has the service's code, title, detail and pointer."""

    async def main(klaviyo: KlaviyoClient, emulator: Emulator) -> None:
        emulator.script(
            Status(
                400,
                body=b'{"errors":[{"id":"1","status":400,"code":"invalid","title":"Invalid input.",'
                b'"detail":"The payload is invalid.","source":{"pointer":"/data/attributes/time"},"meta":{}}]}',
            )
        )
        with pytest.raises(BadRequestError, match="The payload is invalid") as caught:
            await klaviyo.events.create("Placed Order", profile=person(1))
        for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):  # noqa: S301 - our own
            assert (error.status, error.code, error.title) == (400, "invalid", "Invalid input.")
            assert (error.detail, error.pointer) == ("The payload is invalid.", "/data/attributes/time")

    assert play(main).recorded == []


def test_a_wrong_event_is_refused_before_anything_is_sent() -> None:
    """R7: both ways check an event at the call."""

    async def main(klaviyo: KlaviyoClient, _emulator: Emulator) -> None:
        with pytest.raises(InvalidEventError, match="metric"):
            await klaviyo.events.create("x" * 128, profile=person(1))
        with pytest.raises(InvalidEventError, match="identifier"):
            await klaviyo.buffer.record("Seen", profile={})
        assert klaviyo.buffer.statistics().accepted == 0

    assert play(main).requests == []


def test_direct_calls_and_the_buffer_keep_one_rate() -> None:
    """R8: what is sent directly counts in the windows of the buffer."""

    async def main(klaviyo: KlaviyoClient, _emulator: Emulator) -> None:
        for _ in range(3):
            await klaviyo.events.create("Seen", profile=person(1))
        deliveries = await record(klaviyo, *range(7))
        await asyncio.gather(*deliveries)
        assert klaviyo.buffer.statistics().throttled == 0

    limits = BufferSettings(rate_limits=(RateLimit(5, per=1.0),))
    emulator = play(main, buffer=limits, emulator=Emulator(api_key=KEY, rate_limits=(RateLimit(5, per=1.0),)))
    assert emulator.statistics().refused == 0


def test_direct_calls_say_nothing_about_the_limits_of_bulk_requests() -> None:
    """R8: the endpoints have windows of their own, so a refusal of one does not slow the other."""

    async def main(klaviyo: KlaviyoClient, emulator: Emulator) -> None:
        emulator.script(Status(429, headers={"Retry-After": "50"}))
        with pytest.raises(RateLimitError):
            await klaviyo.events.create("Seen", profile=person(1))
        (delivery,) = await record(klaviyo, 1)
        assert (await delivery).waited < 1.0

    play(main, bulk=True, retry=RetryPolicy(max_attempts=1))


# The buffer.


@BOTH
def test_every_event_has_a_receipt_and_its_order(bulk: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """R1, R2: each profile's events arrive in order, one by one or in bulk, and each has its receipt."""

    async def main(klaviyo: KlaviyoClient, _emulator: Emulator) -> None:
        deliveries = await record(klaviyo, *[n % 7 for n in range(500)])
        receipts = await asyncio.gather(*deliveries)
        assert {(receipt.status, receipt.attempts, receipt.may_be_duplicate) for receipt in receipts} == {
            (202, 1, False)
        }

    emulator = play(main, bulk=bulk)
    for who in range(7):
        assert [n for n in numbers(emulator) if n % 7 == who] == list(range(who, 500, 7))


def test_a_thousand_events_are_one_bulk_request() -> None:
    """Bulk: 1,000 events a request, at once; what is left goes when it has waited long enough."""

    async def main(klaviyo: KlaviyoClient, emulator: Emulator) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        deliveries = await record(klaviyo, *range(1200))
        await asyncio.gather(*deliveries[:1000])
        assert loop.time() - start == pytest.approx(0.05)
        assert len(emulator.requests) == 1
        await asyncio.gather(*deliveries)
        assert loop.time() - start == pytest.approx(0.45)
        assert klaviyo.buffer.statistics().attempts == 2

    emulator = play(main, bulk=True)
    assert [len(request.json["data"]["attributes"]["events-bulk-create"]["data"]) for request in emulator.requests] == [
        1000,
        200,
    ]


def test_bulk_requests_stay_within_their_bytes() -> None:
    """Bulk: a request has 5 MB at most, and is sent as soon as there is so much."""

    async def main(klaviyo: KlaviyoClient, emulator: Emulator) -> None:
        text = "x" * 90_000
        deliveries = [
            await klaviyo.buffer.record("Big", profile=person(n), properties={"n": n, "text": text}) for n in range(60)
        ]
        await asyncio.gather(*deliveries)
        assert len(emulator.requests) == 2
        assert max(len(request.body) for request in emulator.requests) <= 5_000_000

    assert sorted(numbers(play(main, bulk=True))) == list(range(60))


@BOTH
def test_a_flush_waits_for_no_companions(bulk: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """R14: a flush sends at once what would wait for others."""

    async def main(klaviyo: KlaviyoClient, _emulator: Emulator) -> None:
        await record(klaviyo, 1, 2)
        start = asyncio.get_running_loop().time()
        assert (await klaviyo.buffer.flush()).delivered == 2
        assert asyncio.get_running_loop().time() - start == pytest.approx(0.05)

    play(main, bulk=bulk, buffer=BufferSettings(rate_limits=(), linger=5.0))


@BOTH
@pytest.mark.parametrize("guarantee", ["at_least_once", "at_most_once"])
@pytest.mark.parametrize("fault", [Status(500, applied=True), ResetAfter(), Status(502), ResetBefore()])
def test_what_may_have_been_applied_is_sent_again_and_recorded_once(
    bulk: bool,  # noqa: FBT001 - a parameter of the test
    guarantee: Any,
    fault: Any,
) -> None:
    """R9, R10: the service knows an event again, so no guarantee forbids the repetition, and no receipt doubts it."""

    async def main(klaviyo: KlaviyoClient, emulator: Emulator) -> None:
        emulator.script(fault)
        receipts = await asyncio.gather(*(await record(klaviyo, 1, 1, 2)))
        assert not any(receipt.may_be_duplicate for receipt in receipts)

    emulator = play(main, bulk=bulk, buffer=BufferSettings(rate_limits=(), guarantee=guarantee, concurrency=1))
    assert sorted(numbers(emulator)) == [0, 1, 2]


def test_what_expires_says_that_it_may_have_been_applied() -> None:
    """R10: an event that was given up after an attempt of unknown fate tells so."""

    async def main(klaviyo: KlaviyoClient, emulator: Emulator) -> None:
        emulator.script(Status(500, applied=True, times=2))
        (delivery,) = await record(klaviyo, 1)
        with pytest.raises(Exception, match="may have been applied"):
            await delivery

    play(main, retry=RetryPolicy(max_attempts=2, initial=0.01))


class Picky:
    """
    A service that refuses requests with an event whose property ``bad`` is true.

    Args:
        pointer: What its refusal points at, with places for the group and the event within; or a text without.
    """

    def __init__(self, pointer: str) -> None:
        self.pointer = pointer
        self.recorded: list[int] = []
        self.requests = 0

    def __call__(self, request: Request) -> Response:
        """Apply a bulk request as a whole, or not at all."""
        self.requests += 1
        groups = json.loads(request.body or b"")["data"]["attributes"]["events-bulk-create"]["data"]
        found: list[int] = []
        for group, item in enumerate(groups):
            for number, event in enumerate(item["attributes"]["events"]["data"]):
                properties = event["attributes"]["properties"]
                if properties.get("bad"):
                    return self._refusal(group, number)
                found.append(properties["n"])
        self.recorded += found
        return Response(status=202)

    def _refusal(self, group: int, event: int) -> Response:
        pointer = self.pointer.format(group=group, event=event)
        error = {"id": "1", "status": 400, "code": "invalid", "title": "Invalid", "detail": "x", "meta": {}}
        body = json.dumps({"errors": [{**error, "source": {"pointer": pointer}}]}).encode()
        return Response(status=400, body=body)


@pytest.mark.parametrize(
    ("pointer", "most"),
    [
        ("/data/attributes/events-bulk-create/data/{group}/attributes/events/data/{event}/attributes/x", 5),
        ("/data/attributes/events-bulk-create/data/{group}", 30),
        ("/data", 60),
        ("/data/attributes/events-bulk-create/data/999", 60),
    ],
    ids=["exact", "group", "vague", "false"],
)
def test_one_bad_event_takes_no_other_with_it(pointer: str, most: int) -> None:
    """R1, R2: an event that the service refuses is rejected alone, however well the answer names it."""
    service = Picky(pointer)

    async def main() -> None:
        transport = MemoryTransport(service)
        client = KlaviyoClient(KEY, base_url=transport.base_url, bulk=True, transport=transport, buffer=NO_LIMIT)
        async with client as klaviyo:
            deliveries = [
                await klaviyo.buffer.record(
                    "Seen", profile=person(n % 11), properties={"n": n, "bad": n in {7, 40, 41}}
                )
                for n in range(400)
            ]
            ends = await asyncio.gather(*deliveries, return_exceptions=True)
            assert [n for n, end in enumerate(ends) if isinstance(end, BadRequestError)] == [7, 40, 41]
            assert klaviyo.buffer.statistics().delivered == 397

    run_virtual(main())
    assert sorted(service.recorded) == sorted(set(range(400)) - {7, 40, 41})
    for who in range(11):
        mine = [n for n in service.recorded if n % 11 == who]
        assert mine == sorted(mine)
    assert service.requests <= most


@BOTH
def test_an_outage_costs_a_bulk_request_no_record(bulk: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """R12: while the service is away nothing is lost, and all of it arrives afterwards, once."""

    async def main() -> None:
        emulator = Emulator(api_key=KEY)
        async with MemoryTransport(emulator) as transport:
            client = KlaviyoClient(KEY, base_url=transport.base_url, bulk=bulk, transport=transport, buffer=NO_LIMIT)
            async with client as klaviyo:
                with transport.unreachable():
                    await record(klaviyo, *range(50))
                    await asyncio.sleep(120.0)
                    assert klaviyo.buffer.statistics().pending == 50
                report = await klaviyo.buffer.flush(30.0)
                assert (report.delivered, report.pending) == (50, 0)
        assert sorted(numbers(emulator)) == list(range(50))

    run_virtual(main())


@BOTH
def test_closing_ends_every_event_of_a_request(bulk: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """R1, R14: a close ends in time, and each event has its end, those of a request under way included."""

    async def main(klaviyo: KlaviyoClient, emulator: Emulator) -> None:
        emulator.script(Stall(times=100))
        deliveries = await record(klaviyo, *range(40))
        await asyncio.sleep(1.0)
        report = await klaviyo.aclose(2.0)
        assert (report.abandoned, report.pending) == (40, 0)
        for delivery in deliveries:
            with pytest.raises(BufferClosedError, match="may have been applied"):
                delivery.result()
        with pytest.raises(ClientClosedError):
            await klaviyo.events.create("Seen", profile=person(1))

    play(main, bulk=bulk, buffer=BufferSettings(rate_limits=(), concurrency=64))


def test_cancelling_one_event_of_a_request_lets_the_others_be() -> None:
    """R13: an event that waits is withdrawn; one that is under way with others is only let go of."""

    async def main(klaviyo: KlaviyoClient, _emulator: Emulator) -> None:
        deliveries = await record(klaviyo, 1, 2, 3)
        deliveries[0].cancel()
        await asyncio.sleep(0.42)
        deliveries[1].cancel()
        await deliveries[2]
        now = klaviyo.buffer.statistics()
        assert (now.cancelled, now.delivered, now.pending) == (1, 2, 0)

    assert numbers(play(main, bulk=True)) == [1, 2]


def test_a_refused_key_rejects_a_bulk_request_whole() -> None:
    """R12: what the service says about the key is about all events of a request."""

    async def main(klaviyo: KlaviyoClient, emulator: Emulator) -> None:
        emulator.script(Status(401))
        ends = await asyncio.gather(*(await record(klaviyo, 1, 2, 3)), return_exceptions=True)
        assert [type(end) for end in ends] == [AuthenticationError] * 3
        assert len({id(end) for end in ends}) == 3

    play(main, bulk=True)


def test_each_event_of_a_request_is_told_to_hooks() -> None:
    """Hooks hear of each event, not of requests."""
    heard: list[Any] = []

    async def main(klaviyo: KlaviyoClient, emulator: Emulator) -> None:
        emulator.script(Status(500))
        await asyncio.gather(*(await record(klaviyo, 1, 2, 3)))

    play(main, bulk=True, hooks=[heard.append])
    assert [each.record_id for each in heard if isinstance(each, RecordAccepted)] == [1, 2, 3]
    ended = [each for each in heard if isinstance(each, RecordEnded)]
    assert [(each.record_id, each.end, each.attempts, each.maybe_applied) for each in ended] == [
        (number, "delivered", 2, False) for number in (1, 2, 3)
    ]


@BOTH
def test_the_same_unique_id_is_sent_once(bulk: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """R5: a caller's unique_id is known again before it is sent."""

    async def main(klaviyo: KlaviyoClient, _emulator: Emulator) -> None:
        deliveries = [
            await klaviyo.buffer.record("Paid", profile=person(1), properties={"n": n}, unique_id="order-1")
            for n in range(3)
        ]
        assert len({(await delivery).record_id for delivery in deliveries}) == 1

    emulator = play(main, bulk=bulk)
    assert numbers(emulator) == [0]
    assert emulator.klaviyo.duplicates == 0


@BOTH
def test_identifiers_link_profiles(bulk: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """R3: email, phone number and external id name the same profile; an event that shows two of them comes in order."""

    async def main(klaviyo: KlaviyoClient, _emulator: Emulator) -> None:
        profiles = [
            {"email": "ada@klaviyo-demo.com"},
            {"phone_number": "+15005550006"},
            {"email": "Ada@klaviyo-demo.com", "phone_number": "+15005550006", "external_id": "7"},
            {"external_id": "7"},
        ]
        for n, profile in enumerate(profiles):
            await klaviyo.buffer.record("Seen", profile=profile, properties={"n": n})

    assert numbers(play(main, bulk=bulk))[2:] == [2, 3]


@BOTH
def test_only_what_loses_nothing_is_folded(bulk: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """R4: an event folds if its properties are all that it says; a value, a time or a profile's attribute is kept."""
    folds = {"watched": Fold.sum("seconds")}

    async def main(klaviyo: KlaviyoClient, emulator: Emulator) -> None:
        more: list[dict[str, Any]] = [{}, {}, {"value": 1}, {"time": "2024-01-01"}, {"profile": {"city": "Boston"}}, {}]
        for extra in more:
            given = {**extra, "profile": {**person(1), **extra.get("profile", {})}}
            await klaviyo.buffer.record("watched", properties={"seconds": 1}, **given)
        await klaviyo.buffer.flush()
        assert [(event.properties or {})["seconds"] for event in emulator.recorded] == [2, 1, 1, 1, 1]

    play(main, bulk=bulk, buffer=BufferSettings(rate_limits=(), folds=folds, linger=1.0))


@pytest.mark.parametrize("bulk", [False, True])
def test_the_published_windows_are_used_and_never_broken(bulk: bool) -> None:  # noqa: FBT001 - a parameter
    """R8: with the account's fixed windows, 99 % of the allowed requests go, and none is refused."""
    usage = klaviyo_rate.measure(bulk=bulk, minutes=2, room=50 if bulk else 5000)
    assert usage.refused == 0
    assert usage.share >= 0.99
    assert usage.events == usage.requests * (50 if bulk else 1)


# Setting it up.


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """``KLAVIYO_API_KEY`` stands in for the argument; without either the message says what to do."""
    with pytest.raises(SettingsError, match="KLAVIYO_API_KEY"):
        KlaviyoClient()
    monkeypatch.setenv("KLAVIYO_API_KEY", KEY)
    assert "a.klaviyo.com revision 2026-10-15" in repr(KlaviyoClient())


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"bulk": "yes"}, "bulk"),
        ({"revision": "yesterday"}, "revision"),
        ({"revision": "2023-09-15", "bulk": True}, "2024-05-15"),
        ({"base_url": "http://example.net"}, "allow_insecure_http"),
        ({"buffer": 7}, "buffer"),
        ({"spool": "here"}, "spool"),
        ({"transport": object()}, "transport"),
        ({"max_response_bytes": 0}, "max_response_bytes"),
    ],
)
@pytest.mark.filterwarnings("ignore:Klaviyo's revision")
def test_wrong_settings_are_refused_by_name(given: dict[str, Any], named: str) -> None:
    """What is wrong about the set-up is said when the client is made."""
    with pytest.raises(SettingsError, match=named):
        KlaviyoClient(KEY, **given)


def test_the_limits_fit_the_endpoint() -> None:
    """R8: single events keep 350/s and 3500/min, bulk requests 10/s and 150/min; limits that were chosen stay."""
    single, bulk = KlaviyoClient(KEY), KlaviyoClient(KEY, bulk=True)
    chosen = KlaviyoClient(KEY, bulk=True, buffer=BufferSettings(rate_limits=(RateLimit(75, per=1),)))
    rates = [client.buffer.statistics().rate or 0.0 for client in (single, bulk, chosen)]
    assert rates == pytest.approx([3500 / 60, 150 / 60, 75.0], rel=0.03)


@pytest.mark.parametrize("bulk", [False, True])
def test_a_retired_revision_gets_one_warning(bulk: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A revision that the service no longer serves is said once, by whoever makes the client."""
    revision = "2024-07-15" if bulk else "2023-01-24"
    with pytest.warns(UserWarning, match="retired on") as caught:
        KlaviyoClient(KEY, revision=revision, bulk=bulk)
    assert [warning.filename for warning in caught] == [__file__]


@BOTH
def test_a_discarded_address_gets_one_warning(bulk: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Events of such addresses are accepted and dropped by the service; the caller is told, once."""

    async def main(klaviyo: KlaviyoClient, _emulator: Emulator) -> None:
        profile = {"email": "ada@example.com"}
        with pytest.warns(UserWarning, match="discards them") as caught:
            await klaviyo.buffer.record("Seen", profile=profile)
        assert [warning.filename for warning in caught] == [__file__]
        for _ in range(2):  # any further warning would be an error here
            await klaviyo.buffer.record("Seen", profile=profile)
            await klaviyo.events.create("Seen", profile=profile)

    emulator = play(main, bulk=bulk)
    assert (emulator.recorded, emulator.klaviyo.discarded) == ([], 5)


@pytest.mark.filterwarnings("ignore:Klaviyo's revision")
@pytest.mark.parametrize(
    "revision", ["2023-01-24", "2023-06-15", "2023-07-15", "2024-07-15", "2024-10-15", "2026-07-15"]
)
def test_every_revision_is_spoken(revision: str) -> None:
    """Both shapes of the body, with and without the slash, arrive as the same event."""

    async def main(klaviyo: KlaviyoClient, emulator: Emulator) -> None:
        profile = {**person(1), "first_name": "Ada", "city": "Boston", "plan": "team"}
        await klaviyo.events.create("Seen", profile=profile, properties={"n": 1}, value=2.5)
        await (await klaviyo.buffer.record("Seen", profile=profile, properties={"n": 2}))
        assert [event.email for event in emulator.recorded] == ["user1@klaviyo-demo.com"] * 2
        assert {request.headers["revision"] for request in emulator.requests} == {revision}

    assert numbers(play(main, revision=revision)) == [1, 2]


def test_a_challenge_of_the_cdn_is_waited_out() -> None:
    """R9, R12: a page that comes in the place of the service is no refusal of the event."""
    page = Status(
        403, body=b"<!DOCTYPE html><title>Just a moment...</title>", headers={"cf-mitigated": "challenge"}, times=3
    )

    async def main(klaviyo: KlaviyoClient, emulator: Emulator) -> None:
        emulator.script(page)
        (delivery,) = await record(klaviyo, 1)
        assert (await delivery).attempts == 4
        emulator.script(page)
        assert await klaviyo.events.create("Seen", profile=person(1))
        emulator.script(attrs.evolve(page, times=4))
        with pytest.raises(ServerError, match="turned this request away"):
            await klaviyo.events.create("Seen", profile=person(1))

    async def patiently(klaviyo: KlaviyoClient, emulator: Emulator) -> None:
        emulator.script(attrs.evolve(page, times=30))
        (delivery,) = await record(klaviyo, 1)
        receipt = await delivery
        assert receipt.attempts > 10
        assert not receipt.may_be_duplicate

    play(patiently, retry=RetryPolicy(initial=0.01))
    play(main, retry=RetryPolicy(max_attempts=4, initial=0.01), buffer=NO_LIMIT)


def test_a_refusal_that_tells_the_wait_in_words_is_believed() -> None:
    """R8: without Retry-After, the text of a 429 closes the gate."""
    detail = "Request was throttled. Expected available in 7 seconds."
    error = {"id": "1", "status": 429, "code": "throttled", "title": "Request was throttled.", "detail": detail}
    words = json.dumps({"errors": [error]}).encode()

    async def main(klaviyo: KlaviyoClient, emulator: Emulator) -> None:
        emulator.script(Status(429, body=words))
        (delivery,) = await record(klaviyo, 1)
        assert 7.0 <= (await delivery).waited < 9.0

    play(main)


# Over sockets.


@BOTH
def test_it_works_over_sockets_and_closes_what_it_opened(bulk: bool) -> None:  # noqa: FBT001 - a parameter
    """R14: a real server, a session of its own, and one that is lent and stays open."""

    async def main() -> None:
        async with Emulator(api_key=KEY) as emulator, aiohttp.ClientSession() as session:
            for lent in (None, session):
                async with KlaviyoClient(KEY, base_url=emulator.base_url, bulk=bulk, session=lent) as klaviyo:
                    await klaviyo.events.create("Seen", profile=person(1))
                    await record(klaviyo, 1, 2)
                assert klaviyo.buffer.statistics().delivered == 2
            assert not session.closed
            assert len(emulator.recorded) == 6

    asyncio.run(main())


@BOTH
def test_a_service_that_is_not_there_is_told_in_one_line(
    bulk: bool,  # noqa: FBT001 - a parameter of the test
    caplog: pytest.LogCaptureFixture,
) -> None:
    """R17: a failure says what to do and never shows the key, at any level of logging."""
    caplog.set_level(logging.DEBUG)

    async def main() -> None:
        client = KlaviyoClient(KEY, base_url="http://127.0.0.1:9", bulk=bulk, retry=RetryPolicy(max_attempts=2))
        with pytest.raises(ConnectError, match="nothing was sent"):
            await client.events.create("Seen", profile=person(1))
        (delivery,) = await record(client, 1)
        await client.aclose(0.3)
        with pytest.raises((BufferClosedError, EventExpiredError)):
            await delivery
        assert KEY not in repr(client)

    asyncio.run(main())
    assert KEY not in caplog.text


def test_a_client_that_is_thrown_away_says_so() -> None:
    """R15: an unclosed client with records warns with their counts."""

    async def main() -> None:
        client = KlaviyoClient(KEY, base_url="http://127.0.0.1:9", bulk=True)
        await record(client, 1, 2)
        with pytest.warns(ResourceWarning, match="2 records waiting"):
            del client

    run_virtual(main())


def test_two_services_side_by_side() -> None:
    """Nothing is shared between the clients of the two services."""

    async def main() -> None:
        emulator = Emulator(project_key="project", api_key=KEY, auto_visitors=True)
        async with (
            MemoryTransport(emulator) as transport,
            MidaClient("project", KEY, base_url=transport.base_url, transport=transport) as mida,
            KlaviyoClient(KEY, base_url=transport.base_url, transport=transport) as klaviyo,
        ):
            await mida.buffer.record("Seen", id="1")
            await klaviyo.buffer.record("Seen", profile=person(1))
        assert len(emulator.recorded) == 2

    run_virtual(main())
