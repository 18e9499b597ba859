"""Every fault over a real connection, and the script that says which request gets which."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

import pytest

from mida_async._errors import SettingsError
from mida_async.testing import (
    CutBody,
    Emulator,
    Fault,
    Latency,
    NotJSON,
    ReceivedRequest,
    ResetAfter,
    ResetBefore,
    Stall,
    StallBody,
    Status,
)
from mida_async.testing._emulator.faults import Script

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BODY = b'{"event_name":"x","id":"1"}'


class Wire:
    """One bare connection to an emulator, with what comes back as it is on the wire."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator

    async def __aenter__(self) -> Self:
        port = int(self.emulator.base_url.rpartition(":")[2])
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    def send(self, body: bytes = BODY, *, announced: int | None = None, path: str = "event") -> None:
        """Send one POST."""
        lines = [
            f"POST /v2/project/{self.emulator.project_key}/{path} HTTP/1.1",
            "Host: x",
            f"api-key: {self.emulator.api_key}",
            f"Content-Length: {len(body) if announced is None else announced}",
        ]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)

    async def head(self) -> tuple[int, dict[str, str]]:
        """Read the head of an answer."""
        first, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        pairs = [line.split(": ", 1) for line in lines]
        return int(first.split(" ")[1]), {name.lower(): value for name, value in pairs}

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Read a whole answer."""
        status, headers = await self.head()
        return status, headers, await self.reader.readexactly(int(headers["content-length"]))

    async def silent(self) -> bool:
        """Say whether nothing comes for a moment."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.02):
                await self.reader.read(1)
                return False
        return True


def with_fault(*faults: Fault) -> Callable[[Callable[[Emulator, Wire], Awaitable[None]]], None]:
    """Run a test with one connection to an emulator that plays *faults*; no task may be left."""

    def run(test: Callable[[Emulator, Wire], Awaitable[None]]) -> None:
        async def main() -> None:
            emulator = Emulator(auto_visitors=True)
            emulator.script(*faults)
            async with asyncio.timeout(10), emulator, Wire(emulator) as wire:
                await test(emulator, wire)
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(main())

    return run


@pytest.mark.parametrize(
    ("fault", "body"),
    [
        (Status(503), b'{"error": "Service Unavailable"}'),
        (Status(599), b'{"error": "Status 599"}'),
        (Status(503, body=b"bytes"), b"bytes"),
        (Status(503, body="text"), b"text"),
        (Status(503, body={"error": ["own"]}), b'{"error": ["own"]}'),
    ],
)
def test_status_answers_what_it_was_told(fault: Status, body: bytes) -> None:
    """Status and body are as scripted, nothing is applied, and the connection lives on."""

    @with_fault(fault)
    async def _(emulator: Emulator, wire: Wire) -> None:
        wire.send()
        status, headers, answered = await wire.answer()
        assert (status, headers["content-type"], answered) == (fault.code, "application/json", body)
        assert emulator.recorded == []
        wire.send()
        assert (await wire.answer())[0] == 200
        assert [request.status for request in emulator.requests] == [fault.code, 200]
        assert emulator.statistics().faults == 1


def test_status_may_apply_and_has_headers() -> None:
    """An applied status takes effect although the answer says otherwise; its headers are sent."""

    @with_fault(Status(500, {"Retry-After": "2", "Content-Type": "text/plain"}, "oops", applied=True))
    async def _(emulator: Emulator, wire: Wire) -> None:
        wire.send()
        status, headers, _ = await wire.answer()
        assert (status, headers["retry-after"], headers["content-type"]) == (500, "2", "text/plain")
        assert len(emulator.recorded) == 1
        assert emulator.requests[0].status == 500


def test_latency_waits_and_goes_on() -> None:
    """A delayed request is silent for a while and then answered as usual."""

    @with_fault(Latency(0.04))
    async def _(emulator: Emulator, wire: Wire) -> None:
        wire.send()
        assert await wire.silent()
        assert emulator.recorded == []
        assert (await wire.answer())[0] == 200
        assert len(emulator.recorded) == 1


@pytest.mark.parametrize("applied", [False, True])
def test_stall_is_silent_until_the_client_goes(applied: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A stalled request gets no answer, takes effect only if applied, and ends with its client."""

    @with_fault(Stall(applied=applied))
    async def _(emulator: Emulator, wire: Wire) -> None:
        wire.send()
        assert await wire.silent()
        assert (len(emulator.recorded), emulator.requests[0].status) == (applied, None)
        wire.writer.close()
        while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110 - nothing to wait for
            await asyncio.sleep(0.001)


@pytest.mark.parametrize(("applied", "status"), [(False, 504), (True, 200)])
def test_stall_may_end(applied: bool, status: int) -> None:  # noqa: FBT001 - a parameter of the test
    """After its time a stalled request is answered: as usual if it was applied, else like a gateway that gave up."""

    @with_fault(Stall(0.03, applied=applied), Stall(0.001, applied=applied))
    async def _(emulator: Emulator, wire: Wire) -> None:
        for _ in range(2):
            wire.send()
            assert (await wire.answer())[0] == status
        assert [request.status for request in emulator.requests] == [status] * 2
        assert len(emulator.recorded) == 2 * applied


def test_reset_before_resets_before_the_body() -> None:
    """The connection is reset as soon as the head is there; nothing is applied or read."""

    @with_fault(ResetBefore())
    async def _(emulator: Emulator, wire: Wire) -> None:
        wire.send(b"", announced=1_000_000)
        with pytest.raises(ConnectionResetError):
            await wire.reader.read()
        assert (emulator.recorded, emulator.requests[0].body, emulator.requests[0].status) == ([], b"", None)


def test_reset_before_may_depend_on_the_body() -> None:
    """A function that matches sees the body; the connection is reset then, still without effect."""

    async def main() -> None:
        async with Emulator(auto_visitors=True) as emulator:
            emulator.script(ResetBefore(), match=lambda request: request.json["event_name"] == "y")
            async with Wire(emulator) as wire:
                wire.send()
                assert (await wire.answer())[0] == 200
                wire.send(BODY.replace(b"x", b"y"))
                with pytest.raises(ConnectionResetError):
                    await wire.reader.read()
            assert [event.event_name for event in emulator.recorded] == ["x"]

    asyncio.run(main())


def test_reset_after_resets_after_applying() -> None:
    """The request takes effect, and no byte of an answer comes before the reset."""

    @with_fault(ResetAfter())
    async def _(emulator: Emulator, wire: Wire) -> None:
        wire.send()
        with pytest.raises(ConnectionResetError):
            await wire.reader.read()
        assert (len(emulator.recorded), emulator.requests[0].status) == (1, None)


def test_cut_body_ends_within_the_body() -> None:
    """The request takes effect; the answer announces more than comes before the connection closes."""

    @with_fault(CutBody())
    async def _(emulator: Emulator, wire: Wire) -> None:
        wire.send()
        status, headers = await wire.head()
        rest = await wire.reader.read()
        assert (status, len(rest)) == (200, int(headers["content-length"]) // 2)
        assert headers["content-type"] == "application/json"
        assert (len(emulator.recorded), emulator.requests[0].status) == (1, 200)


def test_stall_body_is_silent_within_the_body() -> None:
    """The request takes effect; half of the answer comes, then nothing until the client goes."""

    @with_fault(StallBody())
    async def _(emulator: Emulator, wire: Wire) -> None:
        wire.send()
        _, headers = await wire.head()
        await wire.reader.readexactly(int(headers["content-length"]) // 2)
        assert await wire.silent()
        assert len(emulator.recorded) == 1


@pytest.mark.parametrize(("fault", "applied"), [(NotJSON(), 1), (NotJSON(502, applied=False), 0)])
def test_not_json_answers_with_a_page(fault: NotJSON, applied: int) -> None:
    """The answer is HTML with the given status, whether the request takes effect or not."""

    @with_fault(fault)
    async def _(emulator: Emulator, wire: Wire) -> None:
        wire.send()
        status, headers, body = await wire.answer()
        assert (status, headers["content-type"]) == (fault.status, "text/html; charset=utf-8")
        with pytest.raises(json.JSONDecodeError):
            json.loads(body)
        assert len(emulator.recorded) == applied


@pytest.mark.parametrize(
    ("fault", "recorded"), [(ResetAfter(), 1), (CutBody(), 1), (StallBody(), 1), (Stall(), 0), (Status(500), 0)]
)
def test_a_fault_for_a_client_that_has_gone_ends(fault: Fault, recorded: int) -> None:
    """Whether a request is applied does not depend on its client still being there."""

    async def main() -> None:
        async with Emulator(auto_visitors=True, latency=0.02) as emulator:
            emulator.script(fault)
            async with Wire(emulator) as wire:
                wire.send()
                await asyncio.sleep(0.01)
            while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110 - nothing to wait for
                await asyncio.sleep(0.001)
            assert len(emulator.recorded) == recorded

    asyncio.run(main())


# The script


def request(call: str = "POST /event", body: bytes = b"") -> ReceivedRequest:
    """Make a request."""
    method, _, path = call.partition(" ")
    return ReceivedRequest(method=method, path=path, body=body)


def test_faults_are_used_up_in_order() -> None:
    """Each request takes the first fault; `times` repeats it; then all is as usual."""
    script = Script()
    script.add([Status(500, times=2), Status(503)], None)
    script.add([Status(502)], None)

    assert len(script) == 3
    assert [script.take(request()) for _ in range(5)] == [
        Status(500, times=2),
        Status(500, times=2),
        Status(503),
        Status(502),
        None,
    ]
    assert (len(script), script.played) == (0, 4)


def test_a_fault_can_last() -> None:
    """`times=None` is for ever, until the script is cleared."""
    emulator = Emulator()
    emulator.script(Status(500, times=None))
    script = emulator.state.script

    assert [script.take(request()) for _ in range(50)] == [Status(500, times=None)] * 50
    assert emulator.scripted == 1
    emulator.clear_script()
    assert (emulator.scripted, script.take(request())) == (0, None)


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (None, "POST /event"),
        ("GET *", "GET /event/7"),
        ("* /event?", "GET /events"),
        ("POST /event", "POST /event"),
        ("* */7", "GET /event/7"),
        (lambda request: request.body == b"!", "PATCH /event/7"),
    ],
)
def test_a_fault_waits_for_a_request_that_matches(match: Any, expected: str) -> None:
    """A pattern of method and path, or a function, says which request gets it; the others go as usual."""
    script = Script()
    script.add([Status(500)], match)
    calls = [request("POST /event"), request("GET /event/7"), request("GET /events"), request("PATCH /event/7", b"!")]

    hit = [call for call in calls if script.take(call)]

    assert [f"{call.method} {call.path}" for call in hit] == [expected]


def test_a_reset_is_taken_early_only_if_it_comes_first() -> None:
    """Before the body only a reset that matches by pattern, and that no earlier fault precedes, is taken."""
    script = Script()
    script.add([Status(500)], "GET *")
    script.add([ResetBefore()], "POST *")

    assert [script.take_before_body(request(call)) for call in ("GET /x", "PATCH /x", "POST /x", "POST /x")] == [
        False,
        False,
        True,
        False,
    ]
    assert len(script) == 1


def test_random_faults_are_the_same_for_the_same_seed() -> None:
    """A seed gives the same faults in the same order, at about the given rates, and queued faults go first."""

    def play(seed: int) -> list[Fault | None]:
        emulator = Emulator()
        emulator.script_random([(Status(500), 0.2), (ResetAfter(), 0.1)], seed=seed, match="POST *")
        emulator.script(Stall())
        script = emulator.state.script
        assert script.take(request("GET /x")) == Stall()
        assert script.take(request("GET /x")) is None
        return [script.take(request()) for _ in range(2000)]

    faults = play(1)
    counts = Counter(type(fault).__name__ for fault in faults)

    assert faults == play(1) != play(2)
    assert 340 < counts["Status"] < 460
    assert 150 < counts["ResetAfter"] < 250
    assert counts["NoneType"] == 2000 - counts["Status"] - counts["ResetAfter"]


def test_cleared_random_faults_are_over() -> None:
    """After clear_script no request gets a random fault."""
    emulator = Emulator()
    emulator.script_random([(Status(500), 1.0)], seed=1)

    assert emulator.state.script.take(request()) == Status(500)
    emulator.clear_script()
    assert emulator.state.script.take(request()) is None


def test_senseless_scripts_raise() -> None:
    """No repetition less than one, and no rate outside of 0 to 1."""
    with pytest.raises(SettingsError, match="times is 0"):
        Status(500, times=0)
    with pytest.raises(SettingsError, match=r"rate of ResetAfter.* is 1\.5"):
        Emulator().script_random([(ResetAfter(), 1.5)], seed=1)
