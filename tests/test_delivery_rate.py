"""R8 through the whole client, against the emulator's ways of counting, on the virtual clock."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any, Final

import pytest
from fake_service import run, sleep

from mida_async import BufferSettings, MidaClient, RateLimit, RetryPolicy
from mida_async._core.messages import Response
from mida_async.testing import Emulator, MemoryTransport, ResetBefore, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mida_async._core.messages import Request
    from mida_async._delivery.reports import BufferStatistics

MODELS: Final = ("fixed_window", "fixed_from_first_hit", "sliding_log", "sliding_counter", "token_bucket")
LIMITS: Final = (RateLimit(50, per=1), RateLimit(200, per=5))
STEADY: Final = 40.0


def clock() -> float:
    """Return the virtual time."""
    return asyncio.get_running_loop().time()


def make_client(transport: MemoryTransport, *, retry: RetryPolicy | None = None, **settings: Any) -> MidaClient:
    """Return a client of the default emulator's project."""
    return MidaClient(
        project_key="emulated_project_key_0",
        api_key="emulated-api-key",
        base_url=MemoryTransport.base_url,
        transport=transport,
        retry=retry or RetryPolicy(),
        buffer=BufferSettings(**settings),
    )


async def deliver(emulator: Emulator, records: int, **settings: Any) -> BufferStatistics:
    """Deliver so many records of as many visitors, and return what the buffer counted."""
    async with make_client(MemoryTransport(emulator), **settings) as mida:
        for n in range(records):
            await mida.buffer.record("seen", id=f"u{n}")
        await mida.buffer.flush()
        return mida.buffer.statistics()


def share_used(emulator: Emulator, span: float) -> float:
    """Return how much of the steady rate was used in the whole windows between the first and the last."""
    times = [request.received_at for request in emulator.requests]
    whole = int((times[-1] - times[0]) // span) - 1
    sent = sum(times[0] + span <= time < times[0] + (whole + 1) * span for time in times)
    return sent / (whole * span * STEADY)


@pytest.mark.parametrize("model", MODELS)
def test_smooth_pacing_is_never_refused_and_uses_the_rate(model: Any) -> None:
    """R8: under two limits no kind of server refuses, and 50/s with 200/5s is used to 95 % and more."""
    emulator = Emulator(auto_visitors=True, rate_limits=LIMITS, rate_model=model, latency=0.03)
    now = run(deliver(emulator, 1200, rate_limits=LIMITS, pacing="smooth"))
    assert (now.delivered, now.throttled, emulator.statistics().refused) == (1200, 0, 0)
    assert now.smooth
    assert share_used(emulator, 5.0) >= 0.95


@pytest.mark.parametrize("model", MODELS[:3])
@pytest.mark.parametrize("pacing", ["auto", "burst"])
def test_bursts_are_never_refused_by_windows_and_logs(model: Any, pacing: str) -> None:
    """R8: what fixed windows and sliding logs allow goes at once, and they refuse nothing of it."""
    emulator = Emulator(auto_visitors=True, rate_limits=LIMITS, rate_model=model, latency=0.03)
    now = run(deliver(emulator, 600, rate_limits=LIMITS, pacing=pacing))
    assert (now.delivered, now.throttled, now.smooth) == (600, 0, False)
    first = emulator.requests[0].received_at
    assert sum(request.received_at < first + 1 for request in emulator.requests) == 50


@pytest.mark.parametrize("concurrency", [1, 8, 32])
def test_auto_pays_for_a_sliding_counter_once(concurrency: int) -> None:
    """R8: a server that refuses although the limits were kept costs as many refusals as are in flight, once."""
    emulator = Emulator(auto_visitors=True, rate_limits=LIMITS, rate_model="sliding_counter", latency=0.01)
    now = run(deliver(emulator, 1200, rate_limits=LIMITS, concurrency=concurrency))
    assert (now.delivered, now.smooth) == (1200, True)
    assert 0 < now.throttled <= concurrency
    refused = [request.received_at for request in emulator.requests if request.status == 429]
    assert refused[-1] - refused[0] < 1


def test_what_is_sent_again_and_sent_directly_is_under_the_limit() -> None:
    """R8: with retries and direct calls in between, no second sees more requests than it may."""

    async def main() -> Emulator:
        emulator = Emulator(auto_visitors=True, rate_limits=[RateLimit(10, per=1)], rate_model="sliding_log")
        emulator.script_random([(Status(500), 0.2), (ResetBefore(), 0.1)], seed=3, match="POST *")
        retry = RetryPolicy(max_attempts=50, initial=0.01, maximum=0.02)
        async with make_client(
            MemoryTransport(emulator), retry=retry, rate_limits=RateLimit(10, per=1), pacing="smooth"
        ) as mida:
            for n in range(150):
                await mida.buffer.record("seen", id=f"u{n % 9}")
            for _ in range(10):
                await mida.events.list()
                await sleep(1)
            assert (await mida.buffer.flush()).delivered > 0
            assert mida.buffer.statistics().delivered == 150
        return emulator

    emulator = run(main())
    assert emulator.statistics().refused == 0
    assert len(emulator.requests) > 200


def test_a_told_pause_holds_up_the_buffer_and_no_direct_call() -> None:
    """R8, R9: Retry-After closes the gate for all records and for as long as it says; direct calls go at once."""

    async def main() -> list[float]:
        emulator = Emulator(auto_visitors=True)
        emulator.script(Status(429, headers={"Retry-After": "10"}))
        async with make_client(MemoryTransport(emulator), rate_limits=()) as mida:
            await mida.buffer.record("seen", id="ann")
            await sleep(1)
            await mida.events.record("seen", id="bob")
            assert clock() == 1
            others = [await mida.buffer.record("seen", id=f"u{n}") for n in range(3)]
            await asyncio.wait(others)
            assert mida.buffer.statistics().throttled == 1
        return [request.received_at for request in emulator.requests]

    times = run(main())
    assert times[:2] == [0, 1]
    assert all(10 <= time < 11 for time in times[2:])


@pytest.mark.parametrize("limits", [(), (RateLimit(350, per=1),)])
@pytest.mark.parametrize(
    "headers",
    [
        {"RateLimit-Policy": '"burst";q=10;w=1'},
        {"RateLimit-Policy": "10;w=1"},
        {"RateLimit-Limit": "10, 10;w=1, 3000;w=60"},
    ],
)
def test_limits_that_are_told_are_kept(headers: Mapping[str, str], limits: Iterable[RateLimit]) -> None:
    """R8: what the server tells tightens the limits from its first answer on."""

    async def main() -> None:
        times: list[float] = []

        async def answer(_request: Request) -> Response:
            times.append(clock())
            await asyncio.sleep(0.02)
            return Response(status=200, headers=headers, body=b"{}")

        async with make_client(MemoryTransport(answer), rate_limits=limits) as mida:
            for n in range(100):
                await mida.buffer.record("seen", id=f"u{n}")
            assert (await mida.buffer.flush()).delivered == 100
            assert mida.buffer.statistics().rate == pytest.approx(10, rel=0.05)
        later = times[32:]  # the first went out before anything was told
        assert all(after - before >= 0.99 for before, after in zip(later, later[10:], strict=False))
        assert max(after - before for before, after in itertools.pairwise(later)) < 1.5

    run(main())


def test_no_record_is_lost_to_a_limit_that_is_lower_than_configured() -> None:
    """R8: without a word from the server the client finds a rate that it takes, and delivers everything."""
    emulator = Emulator(auto_visitors=True, rate_limits=[RateLimit(10, per=1)], retry_after=False, latency=0.02)
    now = run(deliver(emulator, 500, rate_limits=RateLimit(100, per=1)))
    assert now.delivered == 500
    assert now.throttled < 60
    assert now.rate is not None
    assert 5 < now.rate < 15
