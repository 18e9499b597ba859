"""The emulator's Klaviyo over sockets and in memory: large bodies, faults, and the same answers either way."""

from __future__ import annotations

import asyncio
import http.client
import json
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from klaviyo_caller import BULK, SINGLE, Klaviyo, event, group, job, nested

from mida_async import RateLimit
from mida_async._core.messages import Request, Response
from mida_async._errors import TransportError
from mida_async._settings import Timeout
from mida_async._transport.aiohttp import AiohttpTransport
from mida_async.testing import (
    CutBody,
    Emulator,
    Fault,
    Latency,
    MemoryTransport,
    NotJSON,
    ResetAfter,
    ResetBefore,
    Stall,
    StallBody,
    Status,
    ThreadedEmulator,
    run_virtual,
)

if TYPE_CHECKING:
    from mida_async._transport.base import Transport

SHORT = Timeout(read=0.15)
LIMIT = 5_000_000


@attrs.frozen
class Scene:
    """What an emulator is told, and what is sent to it."""

    name: str
    faults: tuple[Fault, ...] = ()
    settings: dict[str, Any] = attrs.field(factory=dict[str, Any])
    path: str = SINGLE
    body: bytes = json.dumps(nested(unique_id="1")).encode()


SCENES = (
    Scene("no fault"),
    Scene("bulk", path=BULK, body=json.dumps(job(group(event(unique_id="1")))).encode()),
    Scene("invalid", body=b"{}"),
    Scene("unknown", path="/api/nothing"),
    Scene("503 with headers", (Status(503, {"Retry-After": "0"}, body="later"),)),
    Scene("429 applied", (Status(429, applied=True),)),
    Scene("latency", (Latency(0.02),)),
    Scene("stall", (Stall(),)),
    Scene("stall applied", (Stall(applied=True),)),
    Scene("reset before", (ResetBefore(),)),
    Scene("reset after", (ResetAfter(),)),
    Scene("cut", (CutBody(),)),
    Scene("cut error", (CutBody(),), body=b"{}"),
    Scene("stalled body", (StallBody(),)),
    Scene("not JSON", (NotJSON(),)),
    Scene("rate limits", settings={"rate_limits": [RateLimit(1, per=1000)], "clock": lambda: 30.25}),
    Scene("windows", settings={"klaviyo_windows": True, "clock": lambda: 30.25}),
    Scene("more than Mida takes", body=json.dumps(nested(unique_id="1")).encode().ljust(LIMIT)),
    Scene("too large", body=b" " * (LIMIT + 1)),
)


async def outcomes(emulator: Emulator, transport: Transport, base_url: str, scene: Scene) -> list[object]:
    """Send the same request twice, and return the classes of the errors, or what came, and what is remembered."""
    request = Request(
        method="POST",
        url=f"{base_url}{scene.path}",
        headers=Klaviyo(emulator).headers,
        body=scene.body,
        max_response_bytes=2**16,
    )
    found = [await _outcome(transport, request) for _ in range(2)]
    requests = [(each.method, each.path, len(each.body), each.status) for each in emulator.requests]
    recorded = [attrs.evolve(each, received_at=0) for each in emulator.recorded]
    return [*found, requests, recorded, emulator.statistics(), emulator.klaviyo.duplicates]


async def _outcome(transport: Transport, request: Request) -> object:
    try:
        response = await transport.send(request, total=5)
    except TransportError as error:
        return type(error)
    names = ("retry-after", "allow", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")
    return response.status, [response.headers.get(name) for name in names], response.body, response.complete


def make(scene: Scene) -> Emulator:
    """Return an emulator for a scene."""
    emulator = Emulator(wall_clock=lambda: 1_795_000_000.0, **scene.settings)
    emulator.script(*scene.faults)
    return emulator


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_memory_is_as_sockets(scene: Scene) -> None:
    """With each fault the client sees the same, the same is applied, and the emulator remembers the same."""

    async def over_sockets() -> list[object]:
        transport = AiohttpTransport(timeout=SHORT)
        async with make(scene) as emulator:
            try:
                return await outcomes(emulator, transport, emulator.base_url, scene)
            finally:
                await transport.aclose()

    async def in_memory() -> list[object]:
        emulator = make(scene)
        async with MemoryTransport(emulator, timeout=SHORT) as transport:
            return await outcomes(emulator, transport, transport.base_url, scene)

    assert run_virtual(in_memory()) == asyncio.run(over_sockets())


@pytest.mark.parametrize(("size", "status"), [(LIMIT, 202), (LIMIT + 1, 413)])
@pytest.mark.parametrize("max_body_bytes", [100, 2 * LIMIT])
def test_a_body_may_have_five_million_bytes(size: int, status: int, max_body_bytes: int) -> None:
    """The limit of Klaviyo is its own, whatever that of Mida is, and too large a body is an error of JSON:API."""

    async def main() -> Response:
        emulator = Emulator(max_body_bytes=max_body_bytes)
        async with MemoryTransport(emulator) as transport:
            return await transport.send(
                Request(
                    method="POST",
                    url=f"{transport.base_url}{SINGLE}",
                    headers=Klaviyo(emulator).headers,
                    body=json.dumps(nested()).encode().ljust(size),
                    max_response_bytes=2**16,
                ),
                total=5,
            )

    response = run_virtual(main())
    assert response.status == status
    assert status == 202 or json.loads(response.body)["errors"][0]["code"] == "payload_too_large"


def test_half_an_answer_can_be_had_of_an_empty_one() -> None:
    """A cut or stalled answer is not complete, although a 202 has no body; the event is applied all the same."""

    async def main(fault: Fault) -> tuple[object, int]:
        scene = Scene("", (fault,))
        async with make(scene) as emulator:
            transport = AiohttpTransport(timeout=SHORT)
            try:
                first, *_ = await outcomes(emulator, transport, emulator.base_url, scene)
            finally:
                await transport.aclose()
            return first, len(emulator.recorded)

    for fault in (CutBody(), StallBody()):
        assert asyncio.run(main(fault)) == ((202, [None] * 5, b"", False), 1)


def test_the_threaded_emulator_serves_it_too() -> None:
    """A plain HTTP client on another thread gets a 202 without a body, and what it sent is there at once."""
    with ThreadedEmulator() as emulator:
        connection = http.client.HTTPConnection("127.0.0.1", int(emulator.base_url.rpartition(":")[2]))
        connection.request("POST", "/api/events/", json.dumps(nested()).encode(), Klaviyo(emulator).headers)
        response = connection.getresponse()
        assert (response.status, response.read(), len(emulator.recorded)) == (202, b"", 1)
        connection.close()
