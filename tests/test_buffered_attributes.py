"""``mida.visitors.buffer_attributes``: attributes on the same way as events, the newest value of each winning."""

from __future__ import annotations

import asyncio
import copy
import json
import random
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import attrs
import pytest
from fake_service import (
    KEY,
    NO_LIMIT,
    NOT_SENT,
    OK,
    STALL,
    TOO_MANY,
    UNAUTHORIZED,
    UNKNOWN_VISITOR,
    Collector,
    FakeService,
    Play,
    assert_balanced,
    assert_finished,
    assert_told,
    books,
    make_buffer,
    outcomes,
    per_visitor,
    response,
    room,
    run,
    seeded_faults,
    sleep,
)

from mida_async import (
    AmbiguousDeliveryError,
    APIError,
    AuthenticationError,
    BadRequestError,
    BufferClosedError,
    BufferFullError,
    BufferSettings,
    ConnectError,
    Delivery,
    Fold,
    InvalidEventError,
    MidaClient,
    NotFoundError,
    RateLimit,
    RetryPolicy,
)
from mida_async._core.messages import Response
from mida_async._core.request import Account
from mida_async.destinations.mida import MAX_BODY_BYTES, MidaAttributes
from mida_async.instrumentation import AttemptMade, RecordAccepted, RecordEnded, RecordFolded
from mida_async.testing import Emulator, MemoryTransport

if TYPE_CHECKING:
    from mida_async import Request
    from mida_async._delivery.buffer import EventBuffer

NAME: Final = "visitors.set_attributes"
ACCOUNT: Final = Account.create(project_key="project", api_key=KEY, region="us")
ATTRIBUTES: Final = MidaAttributes(ACCOUNT)


class Both(FakeService):
    """A service of events that takes attributes, too, and shows them as events of that name."""

    async def send(self, request: Request, *, total: float) -> Response:
        """See the protocol."""
        if "/track/" in request.url:
            assert request.url == "https://api.mida.so/track/project"
            assert KEY not in f"{dict(request.headers)} {request.body!r}"
            properties = json.loads(request.body or b"")
            event = {"event_name": NAME, "id": properties.pop("id"), "properties": properties}
            request = attrs.evolve(request, body=json.dumps(event).encode())
        else:
            assert f"Bearer {KEY}" in request.headers.values()
        return await super().send(request, total=total)

    @property
    def seen(self) -> list[tuple[str, dict[str, Any]]]:
        """Name and properties of all that was applied, in order."""
        return [(sent.name, sent.properties) for sent in self.applied]


async def put(buffer: EventBuffer[...], visitor: str, **attributes: object) -> Delivery:
    """Hand attributes to a buffer, as ``buffer_attributes`` does."""
    return await buffer.accept(ATTRIBUTES.encode(visitor, attributes))


def test_attributes_go_to_the_other_host_without_the_api_key() -> None:
    """R17: they are posted where the SDKs post them, with the public project key; the receipt shows the answer."""
    requests: list[Request] = []

    def answer(request: Request) -> Response:
        requests.append(request)
        return Response(status=200, body=b'{"id": "85a35aca4df9"}')

    async def main() -> None:
        async with (
            MemoryTransport(answer) as transport,
            MidaClient("project", KEY, region="eu", transport=transport) as mida,
        ):
            given = {"plan": "pro", "id": "somebody else"}
            receipt = await (await mida.visitors.buffer_attributes("ann", given))
            assert given == {"plan": "pro", "id": "somebody else"}
        assert (receipt.status, receipt.body, receipt.folded) == (200, {"id": "85a35aca4df9"}, 1)
        (request,) = requests
        assert (request.method, request.url) == ("POST", "https://api.mida.so/track/project")
        assert "authorization" not in {name.lower() for name in request.headers}
        assert request.body == b'{"plan":"pro","id":"ann"}'
        assert KEY not in f"{request.headers} {request!r}"

    run(main())


def test_a_base_url_is_for_both() -> None:
    """With ``base_url`` attributes go there, too; and whom they name, events find right after."""

    async def main() -> None:
        emulator = Emulator(project_key="project", api_key=KEY)
        settings: dict[str, Any] = {"base_url": MemoryTransport.base_url, "transport": MemoryTransport(emulator)}
        async with MidaClient("project", KEY, **settings) as mida:
            identified = await mida.visitors.buffer_attributes("ann", {"plan": "pro"})
            event = await mida.buffer.record("seen", id="ann")
            await asyncio.gather(identified, event)
        paths = [request.path for request in emulator.requests]
        assert paths == ["/track/project", "/v2/project/project/event"]

    run(main())


def test_attributes_and_events_of_a_visitor_keep_their_order() -> None:
    """R2: both share the visitor's lane, one at a time, also while one of them is sent again."""

    async def main() -> None:
        service = Both(NOT_SENT, OK, TOO_MANY)
        buffer = make_buffer(service)
        deliveries = [await put(buffer, "ann", n=0)]
        deliveries += [await buffer.record("seen", id="ann", properties={"n": 1})]
        deliveries += [await put(buffer, "ann", n=2)]
        deliveries += [await buffer.record("seen", id="ann", email="a@b.c", properties={"n": 3})]
        deliveries += [await put(buffer, "bob", n=4)]
        await buffer.flush()
        assert [sent.number for sent in service.applied if ("id", "ann") in sent.visitor] == [0, 1, 2, 3]
        assert service.overlaps == []
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


def test_waiting_attributes_of_a_visitor_become_one_request() -> None:
    """R4: the newest value of each key wins, older keys stay, and all share a receipt."""

    async def main() -> None:
        service = Both(otherwise=Play(latency=1.0))
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, concurrency=1))
        first = await buffer.record("seen", id="bob")
        await sleep(0.5)
        deliveries = [
            await put(buffer, "ann", plan="free", seats=1, tags=["a"]),
            await put(buffer, "ann", plan="pro"),
            await put(buffer, "ann", plan=None, tags=["b"], id="not ann"),
        ]
        assert buffer.statistics().waiting == 1
        receipts = await asyncio.gather(*deliveries)
        assert service.seen[1:] == [(NAME, {"plan": None, "seats": 1, "tags": ["b"]})]
        assert receipts[0].folded == 3
        assert receipts[1:] == receipts[:-1]
        assert (await first).folded == 1
        await buffer.aclose()
        assert_finished(buffer, [first, *deliveries])

    run(main())


def test_attributes_melt_into_the_last_record_of_their_visitor_alone() -> None:
    """R4: not past an event, not into another visitor's, and not into what was sent or tried before."""

    async def main() -> None:
        service = Both(TOO_MANY, otherwise=Play(latency=1.0))
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, adaptive=False))
        await put(buffer, "ann", n=0)
        await sleep(0.06)  # refused once, and waiting again
        await put(buffer, "ann", n=1)
        await put(buffer, "bob", n=0)
        await buffer.record("seen", id="ann", properties={"n": 2})
        await put(buffer, "ann", n=3)
        await sleep(0.5)  # bob's is in flight
        await put(buffer, "bob", n=1)
        await buffer.flush()
        assert [sent.number for sent in service.applied if ("id", "ann") in sent.visitor] == [0, 1, 2, 3]
        assert [sent.number for sent in service.applied if ("id", "bob") in sent.visitor] == [0, 1]
        await buffer.aclose()

    run(main())


def test_rules_for_events_are_not_for_attributes() -> None:
    """R4: an event of the same name, with a rule of its own, neither melts into attributes nor lends them its rule."""

    async def main() -> None:
        service = Both(otherwise=Play(latency=1.0))
        settings = attrs.evolve(NO_LIMIT, concurrency=1, folds={NAME: Fold.sum("n")})
        buffer = make_buffer(service, settings=settings)
        await buffer.record("seen", id="bob")
        await sleep(0.5)
        for n in (1, 2):
            await put(buffer, "ann", n=n)
        for n in (10, 20):
            await buffer.record(NAME, id="ann", properties={"n": n})
        for n in (3, 4):
            await put(buffer, "ann", n=n)
        await buffer.flush()
        assert service.seen[1:] == [(NAME, {"n": 2}), (NAME, {"n": 30}), (NAME, {"n": 4})]
        assert [request.properties for request in service.requests[1:]] == [{"n": 2}, {"n": 30}, {"n": 4}]
        await buffer.aclose()

    run(main())


def test_a_rule_for_events_is_not_for_what_goes_elsewhere() -> None:
    """R4: a record with a destination of its own and no fold of its own is never folded, whatever its name."""

    async def main() -> None:
        service = Both(otherwise=Play(latency=1.0))
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, concurrency=1, folds={NAME: Fold.last()}))
        await buffer.record("seen", id="bob")
        await sleep(0.5)
        for n in (1, 2):
            await buffer.accept(attrs.evolve(ATTRIBUTES.encode("ann", {"n": n}), fold=None))
        await buffer.flush()
        assert service.seen[1:] == [(NAME, {"n": 1}), (NAME, {"n": 2})]
        await buffer.aclose()

    run(main())


def test_events_without_a_rule_do_not_fold_beside_attributes() -> None:
    """R4: nothing folds without a rule; that attributes have one changes nothing for events."""

    async def main() -> None:
        service = Both(otherwise=Play(latency=1.0))
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, concurrency=1))
        await buffer.record("seen", id="bob")
        await sleep(0.5)
        for n in (1, 2):
            await buffer.record(NAME, id="ann", properties={"n": n})
        await buffer.flush()
        assert service.seen[1:] == [(NAME, {"n": 1}), (NAME, {"n": 2})]
        await buffer.aclose()

    run(main())


def test_attributes_linger_like_anything_that_folds() -> None:
    """R4: ``linger`` holds them back for others to melt into, and ``flush`` cuts that."""

    async def main() -> None:
        service = Both()
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, linger=10.0))
        await put(buffer, "ann", n=1)
        await sleep(5.0)
        last = await put(buffer, "ann", n=2)
        assert service.requests == []
        await buffer.flush()
        assert service.seen == [(NAME, {"n": 2})]
        assert (await last).waited == pytest.approx(5.05)
        await buffer.aclose()

    run(main())


def test_without_order_each_goes_by_itself() -> None:
    """``order="none"`` gives up folding, for attributes too."""

    async def main() -> None:
        service = Both(otherwise=Play(latency=1.0))
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, concurrency=1, order="none"))
        for n in (1, 2, 3):
            await put(buffer, "ann", n=n)
        await buffer.flush()
        assert len(service.requests) == 3
        await buffer.aclose()

    run(main())


def test_what_the_caller_changes_later_does_not_go_out() -> None:
    """R7: containers within the attributes are copied at the call, for what is sent and for what is merged."""

    async def main() -> None:
        service = Both(otherwise=Play(latency=1.0))
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, concurrency=1))
        await buffer.record("seen", id="bob")
        await sleep(0.5)
        tags = ["a"]
        await put(buffer, "ann", tags=tags)
        tags.append("b")
        await put(buffer, "ann", plan="pro")
        await buffer.flush()
        assert service.seen[1:] == [(NAME, {"tags": ["a"], "plan": "pro"})]
        await buffer.aclose()

    run(main())


def test_what_is_too_long_for_one_request_goes_in_two() -> None:
    """R4: where the merged attributes would be over 1 MiB, both are sent as they are."""

    async def main() -> None:
        service = Both(otherwise=Play(latency=1.0))
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, concurrency=1))
        await buffer.record("seen", id="bob")
        await sleep(0.5)
        half = "x" * (MAX_BODY_BYTES // 2)
        await put(buffer, "ann", a=half)
        await put(buffer, "ann", b=half)
        await buffer.flush()
        assert service.seen[1:] == [(NAME, {"a": half}), (NAME, {"b": half})]
        await buffer.aclose()

    run(main())


@pytest.mark.parametrize(
    ("visitor", "attributes", "named"),
    [
        ("", {}, "distinct_id"),
        ("  ", {}, "distinct_id"),
        (None, {}, "distinct_id"),
        (7, {}, "distinct_id"),
        ("ann", None, "attributes"),
        ("ann", [("plan", "pro")], "attributes"),
        ("ann", {"plan": float("nan")}, "plan"),
        ("ann", {"plan": {1, 2}}, "plan"),
        ("ann", {"plan": b"pro"}, "plan"),
        ("ann", {1: "pro"}, "1"),
        ("ann\ud800", {}, "id"),
        ("ann", {"plan": "x" * MAX_BODY_BYTES}, "1 MiB"),
    ],
)
def test_bad_attributes_are_refused_at_the_call(visitor: Any, attributes: Any, named: str) -> None:
    """R7: the error names the field and the problem, and nothing was queued."""

    async def main() -> None:
        async with MidaClient("project", KEY, region="us", transport=Both()) as mida:
            with pytest.raises(InvalidEventError, match=named):
                await mida.visitors.buffer_attributes(visitor, attributes)
            assert mida.buffer.statistics().accepted == 0

    run(main())


@pytest.mark.parametrize(
    ("status", "error"), [(400, BadRequestError), (404, NotFoundError), (401, APIError), (302, APIError)]
)
def test_what_the_service_refuses_is_rejected(status: int, error: type[APIError]) -> None:
    """R9: a refusal is final and typed, and the visitor's next record goes."""

    async def main() -> None:
        service = Both(Play(outcome=response(status, "Visitor not found")))
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, unknown_visitor="wait"))
        refused = await put(buffer, "ann", n=1)
        event = await buffer.record("seen", id="ann", properties={"n": 2})
        with pytest.raises(error) as caught:
            await refused
        assert type(caught.value) is error
        assert (caught.value.status, caught.value.request) == (status, "POST /track/project")
        await event
        await buffer.aclose()
        assert_finished(buffer, [refused, event])

    run(main())


def test_a_401_without_a_key_says_nothing_about_the_key() -> None:
    """R12: whatever the service of the attributes does, events are not given up for a key that it never saw."""

    async def main() -> None:
        service = Both(otherwise=lambda sent: UNAUTHORIZED if sent.name == NAME else OK)
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, concurrency=1))
        refused = [await put(buffer, f"v{n}", n=n) for n in range(5)]
        events = [await buffer.record("seen", id="ann", properties={"n": n}) for n in range(5)]
        await buffer.flush()
        assert outcomes([*refused, *events]) == ["APIError"] * 5 + ["ok"] * 5
        assert not any(isinstance(each.exception(), AuthenticationError) for each in refused)
        await buffer.aclose()

    run(main())


def test_a_failure_that_may_pass_is_tried_again() -> None:
    """R9, R10: under ``at_least_once`` a 500 is repeated, under ``at_most_once`` it is the ambiguous end."""

    async def main() -> None:
        broken = Play(outcome=response(500, "oops"), applies=True)
        buffer = make_buffer(Both(broken))
        receipt = await (await put(buffer, "ann", n=1))
        assert (receipt.attempts, receipt.may_be_duplicate) == (2, True)
        await buffer.aclose()
        careful = make_buffer(Both(broken), settings=attrs.evolve(NO_LIMIT, guarantee="at_most_once"))
        with pytest.raises(AmbiguousDeliveryError):
            await (await put(careful, "ann", n=1))
        await careful.aclose()
        assert books(careful.statistics()) == {"ambiguous": 1}

    run(main())


def test_attributes_take_room_like_events() -> None:
    """R6: they wait for room, are refused where there is none, and what never fits is refused at the call."""

    async def main() -> None:
        service = Both(otherwise=Play(latency=1.0))
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, max_records=1, max_bytes=100))
        first = await put(buffer, "ann", n=1)
        second = asyncio.ensure_future(put(buffer, "bob", n=2))
        third = asyncio.ensure_future(put(buffer, "cid", n=3))
        await sleep(0.5)
        assert room(buffer)[0] == buffer.statistics().callers - 1 == 1
        third.cancel()  # R13: leaves nothing behind
        await sleep(1.0)
        assert first.done()
        await (await second)
        with pytest.raises(BufferFullError, match="never fit"):
            await put(buffer, "ann", long="x" * 100)
        await buffer.aclose()
        assert_finished(buffer, [first, await second])
        assert [sent.number for sent in service.applied] == [1, 2]

    run(main())


def test_a_delivery_of_attributes_can_be_cancelled() -> None:
    """R13: what waits is withdrawn and frees its room; of several that became one, the last who lets go withdraws."""

    async def main() -> None:
        service = Both(otherwise=Play(latency=1.0))
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, concurrency=1))
        first = await buffer.record("seen", id="bob", properties={"n": 0})
        await sleep(0.5)
        one, other, kept = await put(buffer, "ann", n=1), await put(buffer, "ann", n=2), await put(buffer, "cid", n=3)
        one.cancel()
        assert buffer.statistics().waiting == 2
        other.cancel()
        assert buffer.statistics().waiting == 1
        await buffer.flush()
        assert service.numbers == [0, 3]
        await buffer.aclose()
        assert_finished(buffer, [first, one, other, kept])
        assert books(buffer.statistics()) == {"delivered": 2, "cancelled": 2}

    run(main())


def test_closing_ends_attributes_like_events() -> None:
    """R14: what cannot be delivered in time is abandoned, and nothing is taken afterwards."""

    async def main() -> None:
        mida = MidaClient("project", KEY, region="us", transport=Both(otherwise=STALL))
        deliveries = [await mida.visitors.buffer_attributes(visitor, {}) for visitor in ("ann", "ann", "bob")]
        report = await mida.aclose(timeout=1.0)
        assert (report.abandoned, report.pending) == (3, 0)
        assert outcomes(deliveries) == ["BufferClosedError"] * 3
        with pytest.raises(BufferClosedError):
            await mida.visitors.buffer_attributes("ann", {})
        assert_finished(mida.buffer, deliveries)

    run(main())


def test_hooks_and_counts_know_attributes_by_their_name() -> None:
    """Each detail names them as the method that sets them, and they are counted with the events."""

    async def main() -> None:
        service, heard = Both(otherwise=Play(latency=1.0)), Collector()
        buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, concurrency=1), hooks=[heard])
        await buffer.record("seen", id="bob")
        await sleep(0.5)
        for n in (1, 2):
            await put(buffer, "ann", n=n)
        await buffer.flush()
        assert [detail.event_name for detail in heard.of(RecordAccepted)] == ["seen", NAME]
        assert [(detail.event_name, detail.records) for detail in heard.of(RecordFolded)] == [(NAME, 2)]
        assert [detail.event_name for detail in heard.of(AttemptMade)] == ["seen", NAME]
        assert [(detail.event_name, detail.records) for detail in heard.of(RecordEnded)] == [("seen", 1), (NAME, 2)]
        now = buffer.statistics()
        assert (now.accepted, now.delivered, now.attempts) == (3, 3, 2)
        await buffer.aclose()

    run(main())


def test_room_is_made_by_dropping_attributes_too() -> None:
    """R6: ``drop_oldest`` ends waiting attributes like any other record."""

    async def main() -> None:
        settings = BufferSettings(rate_limits=(), max_records=2, overflow="drop_oldest", concurrency=1)
        buffer = make_buffer(Both(otherwise=Play(latency=1.0)), settings=settings)
        deliveries = [await buffer.record("seen", id="bob")]
        await sleep(0.5)
        deliveries += [await put(buffer, "ann", n=1), await buffer.record("seen", id="cid")]
        await buffer.aclose()
        assert outcomes(deliveries) == ["ok", "EventDroppedError", "ok"]
        assert_finished(buffer, deliveries)

    run(main())


class Half(Both):
    """The service of the attributes fails in one way, for as long as it is told to; that of the events is well."""

    failing: Response | Exception | None = None

    async def send(self, request: Request, *, total: float) -> Response:
        """See the protocol."""
        if self.failing is None or "/track/" not in request.url:
            return await super().send(request, total=total)
        await sleep(0.05)
        if isinstance(self.failing, Exception):
            raise copy.copy(self.failing)
        return self.failing


def test_a_refusal_of_one_service_holds_the_other_back() -> None:
    """R8: ``Retry-After`` closes the gate for the whole client, whichever host it came from."""

    async def main() -> None:
        service = Half(otherwise=OK)
        buffer, clock = make_buffer(service), asyncio.get_running_loop().time
        service.failing = response(429, "slow down", retry_after="10")
        attributes = await put(buffer, "ann", plan="pro")
        await sleep(1.0)
        event = await buffer.record("seen", id="bob")
        service.failing = None
        await event
        assert clock() >= 10.0
        assert (await attributes).attempts == 2
        await buffer.aclose()
        assert_finished(buffer, [attributes, event])

    run(main())


def test_an_outage_of_one_service_is_an_outage_for_both() -> None:
    """R12: the breaker is one; nothing is lost by it, and everything goes again when the service is back."""

    async def main() -> None:
        service = Half(otherwise=OK)
        service.failing = ConnectError("nobody listens")
        buffer = make_buffer(service)
        deliveries = [await put(buffer, f"v{n}", n=n) for n in range(12)]
        await sleep(1.0)
        assert buffer.statistics().breaker != "closed"
        deliveries += [await buffer.record("seen", id=f"w{n}") for n in range(12)]
        await sleep(0.05)
        assert buffer.statistics().delivered < 12
        service.failing = None
        report = await buffer.flush(timeout=60.0)
        assert books(report) == {"delivered": 24}
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


def test_attributes_wait_behind_an_event_of_an_unknown_visitor() -> None:
    """R2, R11: order comes first, even where the attributes would make the visitor known."""

    async def main() -> None:
        service = Both(UNKNOWN_VISITOR)
        settings = attrs.evolve(NO_LIMIT, unknown_visitor="wait")
        buffer = make_buffer(service, settings=settings)
        deliveries = [await buffer.record("seen", id="ann"), await put(buffer, "ann", plan="pro")]
        await buffer.flush()
        assert service.seen == [("seen", {}), (NAME, {"plan": "pro"})]
        assert [sent.name for sent in service.requests] == ["seen", "seen", NAME]
        await buffer.aclose()
        assert_finished(buffer, deliveries)

    run(main())


def test_direct_calls_of_visitors_change_nothing_for_the_buffer() -> None:
    """R8, R12: they go out although the buffer may not send, and no refusal or failure of theirs counts."""

    async def main() -> None:
        refused = False

        def answer(request: Request) -> Response:
            return Response(status=429 if refused and "/feature-flag" in request.url else 200, body=b"[]")

        settings = BufferSettings(rate_limits=(RateLimit(1, per=60),))
        async with (
            MemoryTransport(answer) as transport,
            MidaClient(
                "project", KEY, region="us", transport=transport, buffer=settings, retry=RetryPolicy(max_attempts=1)
            ) as mida,
        ):
            for _ in range(5):
                await mida.visitors.feature_flags("ann")
            refused = True
            for _ in range(20):
                assert await mida.visitors.feature_flags("ann", default=()) == ()
            await (await mida.visitors.buffer_attributes("ann", {"plan": "pro"}))
            now = mida.buffer.statistics()
            assert (now.attempts, now.throttled, now.breaker, now.smooth) == (1, 0, "closed", False)
            assert asyncio.get_running_loop().time() < 1.0

    run(main())


class Mixture:
    """Attributes and events of a few visitors under seeded settings and faults."""

    def __init__(self, seed: int) -> None:
        self.dice = dice = random.Random(seed)  # noqa: S311 - which faults there are is no secret
        self.service = Both(otherwise=seeded_faults(dice, 0.3))
        self.settings = BufferSettings(
            rate_limits=(),
            concurrency=dice.choice((1, 4)),
            max_records=dice.choice((3, 1000)),
            max_bytes=dice.choice((400, 10**6)),
            overflow=dice.choice(("wait", "raise", "drop_oldest", "drop_newest")),
            order=dice.choice(("visitor", "visitor", "visitor", "none")),
            linger=dice.choice((0.0, 1.0)),
            guarantee=dice.choice(("at_least_once", "at_most_once")),
            folds={NAME: Fold.last()},
        )
        self.heard = Collector()
        self.buffer = make_buffer(
            self.service, settings=self.settings, retry=RetryPolicy(initial=0.1, maximum=1.0), hooks=[self.heard]
        )
        self.deliveries: list[Delivery] = []
        self.taken: defaultdict[tuple[str, str], list[int]] = defaultdict(list)

    async def record(self, n: int) -> None:
        """Record attributes, or an event that may link the visitor to an address."""
        dice, visitor = self.dice, f"v{self.dice.randrange(5)}"
        try:
            if dice.random() < 0.7:
                letter = dice.choice("abc")
                delivery = await put(self.buffer, visitor, n=n, **{letter: n})
                if not delivery.done():  # one that is done was dropped as it came
                    self.taken[visitor, letter].append(n)
            else:
                email = dice.choice((None, None, f"{visitor}@example.com"))
                name = dice.choice(("seen", NAME))
                delivery = await self.buffer.record(name, id=visitor, email=email, properties={"n": n})
        except BufferFullError:
            assert self.settings.overflow == "raise"
            return
        self.deliveries.append(delivery)

    def assert_newest_won(self) -> None:
        """Each value that was sent is the newest of its key that had come by then."""
        for sent in self.service.requests:
            for letter, value in sent.properties.items():
                if letter != "n":
                    ((_, visitor),) = sent.visitor
                    assert value == max(n for n in self.taken[visitor, letter] if n <= sent.number)


@pytest.mark.parametrize("seed", range(50))
def test_under_faults_the_books_balance_and_the_newest_wins(seed: int) -> None:
    """R1, R2, R4: with events between and every fault there is, all comes to an end, in order, and one at a time."""

    async def main() -> None:
        mixture = Mixture(seed)
        dice, buffer, service = mixture.dice, mixture.buffer, mixture.service
        for n in range(120):
            await mixture.record(n)
            if dice.random() < 0.1 and mixture.deliveries:
                dice.choice(mixture.deliveries).cancel()
            await sleep(dice.choice((0.0, 0.0, 0.01, 0.1)))
            assert_balanced(buffer)
        await buffer.flush(timeout=30.0)
        await buffer.aclose()
        assert_finished(buffer, mixture.deliveries)
        assert_told(mixture.heard, buffer.statistics())
        mixture.assert_newest_won()
        if mixture.settings.order == "visitor":
            assert service.overlaps == []
            for line in per_visitor(service.requests):
                assert line == sorted(line)

    run(main(), rounds=60_000)


class TestDestination:
    """What the buffer is told about attributes."""

    def test_attributes_are_encoded_once(self) -> None:
        """R3, R7: the body is what goes out, the identity is that of events with this ``id``."""
        draft = ATTRIBUTES.encode("Ann", {"plan": "pro"})
        assert (draft.body, draft.identities, draft.name) == (b'{"plan":"pro","id":"Ann"}', ("id:Ann",), NAME)
        assert (draft.destination, draft.unique_id) == (ATTRIBUTES, None)

    def test_folding_keeps_the_visitor(self) -> None:
        """R4: other attributes take the place of all, and the visitor stays whatever they say."""
        body = ATTRIBUTES.encode("ann", {"plan": "pro"}).body
        assert ATTRIBUTES.fold(body, {"seats": 2, "id": "bob"}) == b'{"seats":2,"id":"ann"}'
        for wrong in (None, [1], {"seats": {1}}, {"seats": "x" * MAX_BODY_BYTES}):
            with pytest.raises(InvalidEventError):
                ATTRIBUTES.fold(body, wrong)

    @pytest.mark.parametrize("status", [200, 201, 204, 299])
    def test_any_2xx_is_a_delivery(self, status: int) -> None:
        """R9: whatever its body, and whether it came whole."""
        for body in (b"", b"<html>", b'{"success": false}', b"[" * 5000):
            for complete in (True, False):
                assert ATTRIBUTES.judge(Response(status=status, body=body, complete=complete), 0.0).error is None

    def test_a_refusal_hides_the_key(self) -> None:
        """R17: the key is in no judgement, though the service should never have seen it."""
        for status in (400, 401, 404, 500):
            judgement = ATTRIBUTES.judge(Response(status=status, body=json.dumps({"error": KEY}).encode()), 0.0)
            assert judgement.error is not None
            assert KEY not in f"{judgement!r} {judgement.error} {vars(judgement.error)}"
