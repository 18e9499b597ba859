"""The transport without sockets: what it promises, how it compares with real sockets, and an outage of an hour."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from mida_async import (
    BufferSettings,
    ConnectError,
    ConnectionLostError,
    MidaClient,
    RateLimit,
    Request,
    RequestTimeoutError,
    Response,
    RetryPolicy,
    SettingsError,
    Timeout,
    TransportError,
)
from mida_async._transport.aiohttp import AiohttpTransport
from mida_async.testing import (
    CutBody,
    Emulator,
    Fault,
    Latency,
    MemoryTransport,
    NotJSON,
    ReceivedRequest,
    ResetAfter,
    ResetBefore,
    Stall,
    StallBody,
    StalledResponse,
    Status,
    transport_suite,
)
from mida_async.testing.clock import run_virtual
from mida_async.testing.transport_suite import READ_TIMEOUT, TRANSPORT_CHECKS, Arrival, Script, TransportCheck

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from mida_async import Receipt, Transport

BODY = b'{"event_name":"x","id":"1"}'
UNLIMITED = BufferSettings(rate_limits=())


class HandlerPeer:
    """A handler that follows the script of a conformance check."""

    def __init__(self, script: Script) -> None:
        self.url = MemoryTransport.base_url
        self.arrived: list[Arrival] = []
        self.transport: MemoryTransport | None = None
        self._script = script
        self._arrival = asyncio.Event()
        self._end = asyncio.Event()

    async def request_arrived(self) -> None:
        """Wait for a request."""
        await self._arrival.wait()

    async def hung_up(self) -> None:
        """Wait until a client has gone: for a silent handler until it is cancelled, else until no call is left."""
        if self._script.fault is transport_suite.Fault.SILENT:
            await self._end.wait()
        while self.transport is None or self.transport._calls:  # noqa: ASYNC110 - nothing to wait for
            await asyncio.sleep(0.01)

    async def __call__(self, request: Request) -> Response | StalledResponse:
        """Answer as told."""
        if self._script.fault is transport_suite.Fault.REFUSES:
            message = "nobody listens"
            raise ConnectError(message)
        headers = {name.lower(): value for name, value in request.headers.items()}
        target = request.url.removeprefix(self.url)
        self.arrived.append(Arrival(method=request.method, target=target, headers=headers, body=request.body or b""))
        self._arrival.set()
        response = Response(status=self._script.status, headers=dict(self._script.headers), body=self._script.body)
        match self._script.fault:
            case transport_suite.Fault.HANGS_UP:
                message = "gone"
                raise ConnectionLostError(message)
            case transport_suite.Fault.SILENT:
                await self._silence()
            case transport_suite.Fault.CUTS_BODY:
                return attrs.evolve(response, complete=False)
            case transport_suite.Fault.STALLS_BODY:
                return StalledResponse(response)
            case _:
                pass
        return response

    async def _silence(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self._end.set()


@contextlib.asynccontextmanager
async def handler_stage(script: Script) -> AsyncGenerator[tuple[Transport, HandlerPeer]]:
    """Set up a handler and the transport to it."""
    peer = HandlerPeer(script)
    async with MemoryTransport(peer, timeout=Timeout(read=READ_TIMEOUT)) as peer.transport:
        yield peer.transport, peer


@pytest.mark.parametrize("check", TRANSPORT_CHECKS, ids=lambda check: check.__name__)
def test_a_handler_passes_the_suite(check: TransportCheck) -> None:
    """The memory transport with a function behind it keeps every promise of a transport."""
    run_virtual(asyncio.wait_for(check(handler_stage), 100))


# Memory against sockets


@attrs.frozen
class Scene:
    """What an emulator is told for one comparison."""

    name: str
    faults: tuple[Fault, ...] = ()
    settings: dict[str, Any] = attrs.field(factory=dict[str, Any])
    match: Callable[[ReceivedRequest], bool] | None = None


SCENES = (
    Scene("no fault"),
    Scene("500", (Status(500),)),
    Scene("500 applied", (Status(500, applied=True),)),
    Scene("503 with headers", (Status(503, {"Retry-After": "0", "X-Y": "z"}, body="later"),)),
    Scene("204", (Status(204, body=b""),)),
    Scene("304", (Status(304, body=b""),)),
    Scene("redirect", (Status(302, {"Location": "/elsewhere"}),)),
    Scene("too long", (Status(200, body=b"x" * 200_000, applied=True),)),
    Scene("latency", (Latency(0.02),)),
    Scene("late", (Latency(0.3),)),
    Scene("stall", (Stall(),)),
    Scene("stall applied", (Stall(applied=True),)),
    Scene("stall for a while", (Stall(0.02),)),
    Scene("stall for a while, applied", (Stall(0.02, applied=True),)),
    Scene("reset before", (ResetBefore(),)),
    Scene("reset before, seen", (ResetBefore(),), match=lambda request: b"event_name" in request.body),
    Scene("reset after", (ResetAfter(),)),
    Scene("cut", (CutBody(),)),
    Scene("stalled body", (StallBody(),)),
    Scene("not JSON", (NotJSON(),)),
    Scene("not JSON, not applied", (NotJSON(502, applied=False),)),
    Scene("one after the other", (ResetAfter(), CutBody())),
    Scene("rate limits", settings={"rate_limits": [RateLimit(1, per=1000)], "retry_after": False}),
    Scene("too large", settings={"max_body_bytes": 10}),
    Scene("latency of all", settings={"latency": 0.02}),
    Scene("unknown visitor", settings={"auto_visitors": False}),
)
SHORT = Timeout(read=0.15)


async def direct(emulator: Emulator, transport: Transport, base_url: str) -> object:
    """Send one request, and return the class of its error, or what came."""
    request = Request(
        method="POST",
        url=f"{base_url}/v2/project/{emulator.project_key}/event?a=%20b",
        headers={"Authorization": f"Bearer {emulator.api_key}", "Content-Type": "application/json"},
        body=BODY,
        max_response_bytes=2**16,
    )
    try:
        response = await transport.send(request, total=5)
    except TransportError as error:
        return type(error)
    kind = response.headers.get("content-type"), response.headers.get("retry-after"), response.headers.get("x-y")
    return response.status, kind, response.body, response.complete, response.oversized


async def buffered(emulator: Emulator, transport: Transport, base_url: str) -> Receipt | type[BaseException]:
    """Record one event, and return its receipt or the class of its error."""
    retry = RetryPolicy(max_attempts=2, initial=0, maximum=0)
    mida = MidaClient(
        emulator.project_key, emulator.api_key, base_url=base_url, transport=transport, retry=retry, buffer=UNLIMITED
    )
    async with mida:
        delivery = await mida.buffer.record("bought", id="1")
        await asyncio.wait({delivery})
    return type(error) if (error := delivery.exception()) else attrs.evolve(delivery.result(), waited=0)


def seen(emulator: Emulator) -> object:
    """Return everything that the emulator remembers, but for times."""
    requests = [
        (each.method, each.path, each.query_string, each.body, each.status, each.headers["authorization"])
        for each in emulator.requests
    ]
    return requests, [attrs.evolve(event, received_at=0) for event in emulator.recorded], emulator.statistics()


def make(scene: Scene) -> Emulator:
    """Return an emulator for a scene."""
    emulator = Emulator(**{"auto_visitors": True, **scene.settings})
    emulator.script(*scene.faults, match=scene.match)
    return emulator


async def at_rest(scene: Scene, emulator: Emulator) -> object:
    """Return what the emulator remembers; of a request that goes on behind its client's back, when it is over."""
    await asyncio.sleep(0.2 if scene.name == "late" else 0)
    return seen(emulator)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
@pytest.mark.parametrize("act", [direct, buffered])
def test_memory_is_as_sockets(scene: Scene, act: Callable[[Emulator, Transport, str], Any]) -> None:
    """With each fault the client sees the same, the same is applied, and the emulator remembers the same."""

    async def over_sockets() -> tuple[object, object]:
        emulator = make(scene)
        transport = AiohttpTransport(timeout=SHORT)
        async with emulator:
            try:
                outcome = await act(emulator, transport, emulator.base_url)
            finally:
                await transport.aclose()
            return outcome, await at_rest(scene, emulator)

    async def in_memory() -> tuple[object, object]:
        emulator = make(scene)
        async with MemoryTransport(emulator, timeout=SHORT) as transport:
            outcome = await act(emulator, transport, transport.base_url)
            return outcome, await at_rest(scene, emulator)

    assert run_virtual(in_memory()) == asyncio.run(over_sockets())


def test_random_faults_are_as_over_sockets() -> None:
    """The same seed gives the same faults to the same requests, whichever way they come."""
    rates = [(ResetBefore(), 0.2), (ResetAfter(), 0.2), (CutBody(), 0.1), (Status(500), 0.2), (NotJSON(), 0.1)]

    async def over_sockets() -> list[object]:
        async with Emulator(auto_visitors=True) as emulator:
            emulator.script_random(rates, seed=7)
            transport = AiohttpTransport(timeout=SHORT)
            outcomes = [await direct(emulator, transport, emulator.base_url) for _ in range(40)]
            await transport.aclose()
            return [*outcomes, seen(emulator)]

    async def in_memory() -> list[object]:
        emulator = Emulator(auto_visitors=True)
        emulator.script_random(rates, seed=7)
        transport = MemoryTransport(emulator, timeout=SHORT)
        return [*[await direct(emulator, transport, transport.base_url) for _ in range(40)], seen(emulator)]

    assert run_virtual(in_memory()) == asyncio.run(over_sockets())


# Time


def test_an_outage_of_an_hour_takes_no_time() -> None:
    """R12: on the virtual clock a service is away for an hour, and what was recorded meanwhile is delivered after."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        emulator = Emulator(auto_visitors=True)
        transport = MemoryTransport(emulator)
        mida = MidaClient(emulator.project_key, emulator.api_key, base_url=transport.base_url, transport=transport)
        async with mida:
            with transport.unreachable():
                deliveries = [await mida.buffer.record("step", id=f"u{number}") for number in range(20)]
                await asyncio.sleep(3600)
                assert emulator.requests == []
                assert not any(delivery.done() for delivery in deliveries)
            receipts = await asyncio.gather(*deliveries)

        assert [event.event_name for event in emulator.recorded] == ["step"] * 20
        assert not any(receipt.may_be_duplicate for receipt in receipts)
        assert 3600 < loop.time() < 3700
        assert 3600 < emulator.recorded[0].received_at < 3700

    began = time.perf_counter()
    run_virtual(main())
    assert time.perf_counter() - began < 10


def test_limits_hold_on_the_clock_of_the_loop() -> None:
    """R8: the emulator's limits count on the virtual clock, and the client keeps them for ten minutes."""

    async def main() -> None:
        limit = RateLimit(10, per=60)
        emulator = Emulator(auto_visitors=True, rate_limits=[limit], rate_model="sliding_log")
        buffer = BufferSettings(rate_limits=(limit,), close_timeout=1000)
        transport = MemoryTransport(emulator)
        mida = MidaClient(
            emulator.project_key, emulator.api_key, base_url=transport.base_url, transport=transport, buffer=buffer
        )
        async with mida:
            for number in range(100):
                mida.buffer.record_nowait("step", id=f"u{number}")

        assert (len(emulator.recorded), emulator.statistics().refused) == (100, 0)
        assert 540 <= asyncio.get_running_loop().time() < 660

    run_virtual(main())


def test_a_late_request_is_applied_though_its_client_has_gone() -> None:
    """As at a server, latency goes on when the client has hung up; closing the transport ends it."""

    async def main() -> None:
        emulator = Emulator(auto_visitors=True)
        emulator.script(Latency(50), Latency(100))
        transport = MemoryTransport(emulator, timeout=Timeout(read=10))
        for _ in range(2):
            assert await direct(emulator, transport, transport.base_url) is RequestTimeoutError
        assert asyncio.get_running_loop().time() == 10
        await asyncio.sleep(41)
        assert len(emulator.recorded) == 1
        await transport.aclose()
        await asyncio.sleep(1000)
        assert len(emulator.recorded) == 1
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtual(main())


# Handlers


def request(*, most: int = 1000) -> Request:
    """Return a request."""
    return Request(method="GET", url="https://memory.invalid/v2/x", headers={}, max_response_bytes=most)


def ask(handler: Callable[[Request], Any], *, read: float = 30, total: float = 60, most: int = 1000) -> Response:
    """Send one request to *handler* on the virtual clock."""

    async def main() -> Response:
        async with MemoryTransport(handler, timeout=Timeout(read=read)) as transport:
            return await transport.send(request(most=most), total=total)

    return run_virtual(main())


def test_a_plain_function_may_answer() -> None:
    """A handler need not be async; it gets the request, and its answer comes with the names of headers in order."""
    asked: list[str] = []

    def handler(request: Request) -> Response:
        asked.append(request.label)
        return Response(status=418, headers={"Retry-After": "1", "X-A": "b", "x-a": "c"}, body=b"teapot")

    assert ask(handler) == Response(status=418, headers={"retry-after": "1", "x-a": "b, c"}, body=b"teapot")
    assert asked == ["GET /v2/x"]


def test_an_error_of_a_handler_comes_bare() -> None:
    """What a handler raises comes as an error of the same class, without cause, context or the handler's frames."""
    original = ConnectionLostError("reset")
    original.__cause__ = OSError("shown")

    async def handler(_request: Request) -> Response:
        await asyncio.sleep(1)
        raise original

    with pytest.raises(ConnectionLostError, match="reset") as caught:
        ask(handler)
    assert caught.value is not original
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert "handler" not in [frame.name for frame in caught.traceback]


@pytest.mark.parametrize("error", [ValueError("a mistake"), AssertionError("not as expected")])
def test_a_mistake_in_a_handler_is_not_a_fault(error: Exception) -> None:
    """Any other exception of a handler goes through to the caller."""

    def handler(_request: Request) -> Response:
        raise error

    with pytest.raises(type(error)) as caught:
        ask(handler)
    assert caught.value is error


def test_a_handler_must_return_a_response() -> None:
    """A handler that forgets to return anything is told so."""
    with pytest.raises(TypeError, match="the handler returned None; it must return a Response"):
        ask(lambda _request: None)


@pytest.mark.parametrize(
    ("read", "total", "words"), [(2, 5, r"2 s \(timeout\.read\)"), (5, 2, "the 2 s for the whole")]
)
def test_a_handler_has_only_so_long(read: float, total: float, words: str) -> None:
    """A handler that takes too long is cancelled, and the error says which timeout is over."""
    ends: list[float] = []

    async def handler(_request: Request) -> Response:
        try:
            await asyncio.sleep(1000)
        finally:
            ends.append(asyncio.get_running_loop().time())
        return Response(status=200)

    with pytest.raises(RequestTimeoutError, match=words):
        ask(handler, read=read, total=total)
    assert ends == [2]


@pytest.mark.parametrize(("read", "total", "ends"), [(2, 5, 2), (5, 2, 2)])
def test_a_stalled_body_takes_as_long_as_it_may(read: float, total: float, ends: float) -> None:
    """A body that stalls comes back incomplete when a timeout is over; one that is too long already, at once."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        stalled = StalledResponse(Response(status=200, body=b"abc"))
        transport = MemoryTransport(lambda _request: stalled, timeout=Timeout(read=read))
        assert await transport.send(request(), total=total) == Response(status=200, body=b"abc", complete=False)
        assert loop.time() == ends
        over = await transport.send(request(most=2), total=total)
        assert over == Response(status=200, body=b"ab", complete=False, oversized=True)
        assert loop.time() == ends

    run_virtual(main())


@pytest.mark.parametrize("how", ["unreachable", "closed"])
@pytest.mark.parametrize("stalls", [False, True])
def test_requests_under_way_lose_their_connection(how: str, *, stalls: bool) -> None:
    """When the service goes away, or the transport is closed, what is under way ends at once."""

    async def handler(_request: Request) -> StalledResponse:
        if not stalls:
            await asyncio.Event().wait()
        return StalledResponse(Response(status=200, body=b"abc"))

    async def main() -> None:
        async with MemoryTransport(handler) as transport:
            sending = asyncio.ensure_future(transport.send(request(), total=60))
            await asyncio.sleep(1)
            with transport.unreachable() if how == "unreachable" else contextlib.nullcontext():
                if how == "closed":
                    await transport.aclose()
                    await transport.aclose()
                await asyncio.wait({sending})
                with pytest.raises(ConnectError, match="refused" if how == "unreachable" else "closed"):
                    await transport.send(request(), total=60)
            assert asyncio.get_running_loop().time() == 1
            if stalls:
                assert not sending.result().complete
            else:
                assert isinstance(sending.exception(), ConnectionLostError)

    run_virtual(main())


def test_outages_may_overlap() -> None:
    """The service is back when the last of several outages is over; the first has broken every connection."""

    async def main() -> None:
        transport = MemoryTransport(lambda _request: Response(status=200))
        sending = asyncio.ensure_future(transport.send(request(), total=1))
        await asyncio.sleep(0)
        with transport.unreachable():
            with transport.unreachable():
                pass
            with pytest.raises(ConnectionLostError):
                await sending
            with pytest.raises(ConnectError, match=r"nothing was sent to memory\.invalid"):
                await transport.send(request(), total=1)
        assert (await transport.send(request(), total=1)).status == 200

    run_virtual(main())


def test_a_client_of_nothing_sends_nothing() -> None:
    """The address of the memory transport exists nowhere, so that a client that lacks the transport does no harm."""
    assert MemoryTransport.base_url.endswith(".invalid")
    with pytest.raises(SettingsError, match="region"):
        MidaClient("project", "key", transport=MemoryTransport(Emulator()))
