"""Spools behind the clients: Klaviyo in bulk, and Mida's attributes beside its events."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

import attrs
import pytest
from fake_service import (
    COUNTABLE_FOLDS,
    KEY,
    NO_LIMIT,
    STALL,
    Collector,
    FakeService,
    Play,
    assert_finished,
    books,
    make_buffer,
    run,
    sleep,
)

from mida_async import BufferSettings, ConnectError, KlaviyoClient, MidaClient, SpoolError
from mida_async._core.request import Account
from mida_async.destinations.mida import MidaAttributes
from mida_async.instrumentation import RecordRecovered, SpoolOpened
from mida_async.testing import Emulator, MemoryTransport, ResetAfter, Status
from mida_async.testing.memory_spool import MemoryDisk, MemorySpool

if TYPE_CHECKING:
    from mida_async import Request, Response

KLAVIYO_KEY: Final = "pk_0123456789abcdef"
QUICK: Final = BufferSettings(rate_limits=(), max_records=40)
NAME: Final = "visitors.set_attributes"
ATTRIBUTES: Final = MidaAttributes(Account.create(project_key="project", api_key=KEY, region="us"))


class Both(FakeService):
    """A service of events that takes attributes, too, and shows them as events of that name."""

    async def send(self, request: Request, *, total: float) -> Response:
        """See the protocol."""
        if "/track/" in request.url:
            assert KEY not in f"{dict(request.headers)}"
            properties = json.loads(request.body or b"")
            event = {"event_name": NAME, "id": properties.pop("id"), "properties": properties}
            request = attrs.evolve(request, body=json.dumps(event).encode())
        else:
            assert f"Bearer {KEY}" in request.headers.values()
        return await super().send(request, total=total)


def klaviyo(emulator: Emulator, disk: MemoryDisk, **given: Any) -> KlaviyoClient:
    """Return a client that sends in bulk, with a spool."""
    settings = {"bulk": True, "buffer": QUICK, **given}
    transport = MemoryTransport(emulator)
    url = MemoryTransport.base_url
    return KlaviyoClient(KLAVIYO_KEY, base_url=url, transport=transport, spool=MemorySpool(disk), **settings)


async def record(client: KlaviyoClient, number: int) -> Any:
    """Record one event."""
    profile = {"email": f"user{number % 5}@klaviyo-demo.com"}
    return await client.buffer.record("Viewed Product", profile=profile, properties={"n": number})


def numbers(emulator: Emulator) -> list[int]:
    """Return the numbers of the events that were recorded."""
    return [(event.properties or {})["n"] for event in emulator.recorded]


def test_klaviyo_in_bulk_goes_on_after_a_crash() -> None:
    """R2: what was on disk is sent by the next process, many a request, and nothing is there twice."""
    disk, emulator, heard = MemoryDisk(latency=0.05), Emulator(api_key=KLAVIYO_KEY, latency=0.3), Collector()

    async def first() -> None:
        client = klaviyo(emulator, disk)
        await client.__aenter__()
        await asyncio.gather(*(record(client, n) for n in range(200)))
        await sleep(0.5)
        disk.crash()
        client.buffer._closed = True

    async def second() -> None:
        client = klaviyo(emulator, disk, hooks=[heard])
        async with client:
            await asyncio.gather(*(record(client, n) for n in range(200, 250)))
        assert client.buffer.statistics().pending == 0

    run(first())
    held = len(disk.records)
    assert 0 < held <= 200
    run(second())
    assert (disk.records, disk.dead) == ((), ())
    assert sorted(numbers(emulator)) == list(range(250))
    assert heard.of(SpoolOpened) == [SpoolOpened(records=held, remarks=())]
    assert [each.record_id for each in heard.of(RecordRecovered)][:held] == list(range(1, 201))[-held:]
    assert len(emulator.requests) < 60


def test_klaviyo_repeats_what_may_be_there_whatever_the_guarantee() -> None:
    """R10: its events have their unique_id, on disk as well, so that at_most_once needs no mark and loses nothing."""
    disk, emulator = MemoryDisk(), Emulator(api_key=KLAVIYO_KEY, latency=0.1)
    emulator.script(ResetAfter())

    async def main() -> None:
        settings = attrs.evolve(QUICK, guarantee="at_most_once")
        async with klaviyo(emulator, disk, buffer=settings) as client:
            deliveries = [await record(client, n) for n in range(10)]
            await asyncio.gather(*deliveries)
            assert not any(each.in_flight for each in disk.records)
        assert sorted(numbers(emulator)) == list(range(10))

    run(main())


def test_a_refused_event_among_many_is_a_dead_letter() -> None:
    """R1: the others of its request are delivered, and its row says why it was not."""
    disk, emulator = MemoryDisk(), Emulator(api_key=KLAVIYO_KEY)
    emulator.script(Status(400))

    async def main() -> None:
        async with klaviyo(emulator, disk, bulk=False) as client:
            deliveries = [await record(client, n) for n in range(5)]
            await asyncio.wait(deliveries)
        assert books(client.buffer.statistics()) == {"delivered": 4, "rejected": 1}
        (dead,) = disk.dead
        assert dead.reason.startswith("rejected: BadRequestError")
        assert KLAVIYO_KEY not in repr(dead)
        assert KLAVIYO_KEY.encode() not in dead.record.body

    run(main())


def test_the_spool_of_the_other_client_is_refused() -> None:
    """A spool that Klaviyo's events are in is not opened by Mida's client, and stays as it is."""
    disk, emulator = MemoryDisk(), Emulator(project_key="project", api_key=KEY)

    async def main() -> None:
        async with klaviyo(Emulator(api_key=KLAVIYO_KEY), disk):
            pass
        url, transport = MemoryTransport.base_url, MemoryTransport(emulator)
        mida = MidaClient("project", KEY, base_url=url, transport=transport, spool=MemorySpool(disk))
        with pytest.raises(SpoolError, match="klaviyo"):
            await mida.__aenter__()

    run(main())


@pytest.mark.parametrize("close", [True, False], ids=["closed", "crashed"])
def test_attributes_go_where_they_belong_after_a_restart(close: bool) -> None:  # noqa: FBT001
    """R2, R4, R17: they fold before the crash, go to their own address after it, in their place among the events."""
    disk = MemoryDisk()

    async def first() -> None:
        buffer = make_buffer(Both(otherwise=STALL), spool=MemorySpool(disk), others=(ATTRIBUTES,))
        await buffer.record("seen", id="ann", properties={"n": 1})
        one = await buffer.accept(ATTRIBUTES.encode("ann", {"plan": "free", "n": 2}))
        other = await buffer.accept(ATTRIBUTES.encode("ann", {"plan": "pro"}))
        assert one.record_id == other.record_id
        await buffer.record("seen", id="ann", properties={"n": 3})
        await buffer.accept(ATTRIBUTES.encode("bob", {"n": 4}))
        if close:
            assert books(await buffer.aclose(0)) == {"kept": 5}
        else:
            disk.crash()
            buffer._closed = True

    async def second() -> None:
        service = Both(otherwise=Play(latency=0.1))
        buffer = make_buffer(service, spool=MemorySpool(disk), others=(ATTRIBUTES,))
        await buffer.open()
        await buffer.flush()
        seen = [(sent.name, sent.properties) for sent in service.applied if ("id", "ann") in sent.visitor]
        assert seen == [("seen", {"n": 1}), (NAME, {"plan": "pro", "n": 2}), ("seen", {"n": 3})]
        assert sorted(service.numbers) == [1, 2, 3, 4]
        assert books(buffer.statistics()) == {"delivered": 4}
        await buffer.aclose()
        assert_finished(buffer, [])

    run(first())
    assert [each.destination for each in disk.records].count("mida:visitors.set_attributes") == 2
    run(second())
    assert (disk.records, disk.dead) == ((), ())


def test_attributes_and_events_keep_their_order_across_memory_and_disk() -> None:
    """R2, R4: with little memory, attributes that are on disk alone come back to their destination, in their turn."""

    async def main() -> None:
        service = Both(otherwise=Play(latency=0.2))
        settings = attrs.evolve(NO_LIMIT, max_records=3, folds=COUNTABLE_FOLDS)
        buffer = make_buffer(service, settings=settings, spool=MemorySpool(), others=(ATTRIBUTES,))
        for n in range(30):
            if n % 2:
                await buffer.accept(ATTRIBUTES.encode("ann", {"n": n}))
            else:
                await buffer.record("seen", id="ann", properties={"n": n})
        assert buffer.statistics().spilled > 20
        await buffer.aclose(60)
        assert service.numbers == list(range(30))
        assert {sent.name for sent in service.applied if sent.number % 2} == {NAME}
        assert_finished(buffer, [])

    run(main())


def test_the_client_buffers_attributes_on_disk() -> None:
    """What ``mida.visitors.buffer_attributes`` returned for is sent by the next client."""
    disk = MemoryDisk()
    given: dict[str, Any] = {"base_url": MemoryTransport.base_url}

    class Away(FakeService):
        async def send(self, request: Request, *, total: float) -> Response:
            del total
            raise ConnectError(request.label)

    async def first() -> None:
        transport = Away()
        mida = MidaClient("project", KEY, transport=transport, spool=MemorySpool(disk), **given)
        async with mida:
            await mida.visitors.buffer_attributes("ann", {"plan": "pro"})
            await mida.buffer.record("seen", id="ann")
            disk.crash()
            mida.buffer._closed = True

    async def second() -> Emulator:
        emulator = Emulator(project_key="project", api_key=KEY)
        transport = MemoryTransport(emulator)
        async with MidaClient("project", KEY, transport=transport, spool=MemorySpool(disk), **given):
            pass
        return emulator

    run(first())
    emulator = run(second())
    assert [request.path for request in emulator.requests] == ["/track/project", "/v2/project/project/event"]
    assert (disk.records, disk.dead) == ((), ())
