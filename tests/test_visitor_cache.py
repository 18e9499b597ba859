"""``VisitorCache``: what is kept, for how long and for whom, and the requests that several callers share."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import os
import traceback
from typing import TYPE_CHECKING, Any, Final

import attrs
import pytest
from fake_service import run, sleep
from hypothesis import given
from hypothesis import strategies as st

from mida_async import (
    ClientClosedError,
    ConnectError,
    ConnectionLostError,
    DecodeError,
    MidaClient,
    MidaError,
    NotFoundError,
    Response,
    RetryPolicy,
    SettingsError,
    VisitorCache,
)
from mida_async._core.expiring import Expiring, Key
from mida_async._resources.visitor_cache import Answers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from mida_async import Request

A: Final[Key] = ("ann", "x")
B: Final[Key] = ("ann", "y")
C: Final[Key] = ("bob", "x")
KEEPING: Final = VisitorCache(ttl=60, maxsize=100)


def value(cache: Expiring, key: Key, now: float) -> object:
    """Return what is kept, or "nothing"."""
    kept = cache.get(key, now)
    return "nothing" if kept is None else kept.value


class TestExpiring:
    """What is kept: the pure part."""

    def test_an_answer_holds_until_its_time_is_up(self) -> None:
        """It is gone at exactly ``ttl`` seconds, and being used does not prolong it; None is an answer, too."""
        cache = Expiring(10.0, 5)
        cache.put(A, None, 100.0)
        assert value(cache, A, 109.999) is None
        assert value(cache, A, 110.0) == "nothing"
        assert len(cache) == 0
        assert value(cache, B, 100.0) == "nothing"

    def test_a_newer_answer_takes_the_place_of_an_older_one(self) -> None:
        """It holds from its own arrival on."""
        cache = Expiring(10.0, 5)
        cache.put(A, 1, 0.0)
        cache.put(A, 2, 5.0)
        assert (value(cache, A, 14.0), len(cache)) == (2, 1)

    def test_the_least_recently_used_goes_first(self) -> None:
        """Where there is no room, an answer that was used lately stays, though it is older."""
        cache = Expiring(10.0, 2)
        cache.put(A, 1, 0.0)
        cache.put(B, 2, 1.0)
        cache.get(A, 2.0)
        cache.put(C, 3, 3.0)
        assert [value(cache, key, 4.0) for key in (A, B, C)] == [1, "nothing", 3]

    def test_what_has_expired_goes_before_what_has_not(self) -> None:
        """An answer that no longer holds takes no room from one that does, however lately it was used."""
        cache = Expiring(10.0, 2)
        cache.put(A, 1, 0.0)
        cache.put(B, 2, 6.0)
        cache.get(A, 9.0)
        cache.put(C, 3, 11.0)
        assert [value(cache, key, 12.0) for key in (A, B, C)] == ["nothing", 2, 3]

    def test_one_visitor_is_forgotten_alone(self) -> None:
        """All that is kept about one visitor goes, and nothing of another."""
        cache = Expiring(10.0, 5)
        for key in (A, B, C):
            cache.put(key, 1, 0.0)
        cache.forget("ann")
        cache.forget("nobody")
        assert [value(cache, key, 1.0) for key in (A, B, C)] == ["nothing", "nothing", 1]
        cache.clear()
        assert len(cache) == 0

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["get", "put", "forget"]),
                st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")),
                st.floats(0, 5),
            ),
            max_size=60,
        )
    )
    def test_it_does_what_a_list_does(self, steps: list[tuple[str, Key, float]]) -> None:
        """Whatever the calls, it is the list that is searched from end to end, and never has more than its room."""
        cache, model, now = Expiring(10.0, 3), list[tuple[Key, int, float]](), 0.0
        for number, (what, key, pause) in enumerate(steps):
            now += pause
            if what == "forget":
                cache.forget(key[0])
                model = [each for each in model if each[0][0] != key[0]]
            elif what == "put":
                cache.put(key, number, now)
                model = [each for each in model if each[0] != key and now < each[2]]
                model = [*model[-2:], (key, number, now + 10.0)]
            else:
                found = [each for each in model if each[0] == key and now < each[2]]
                assert value(cache, key, now) == (found[0][1] if found else "nothing")
                model = [*(each for each in model if each[0] != key), *found]
            assert len(cache) == len(model) <= 3
        assert set(cache._by_visitor) == {key[0] for key, _, _ in model}
        assert set(cache._ages) == set(cache._kept) == {key for key, _, _ in model}


@attrs.define
class Service:
    """Counts what it is asked, and answers after a while with the number of the request, or as it is told."""

    asked: list[tuple[str, dict[str, Any]]] = attrs.field(factory=list[tuple[str, dict[str, Any]]])
    answers: list[Response | Exception] = attrs.field(factory=list[Response | Exception])
    broken_off: int = 0
    latency: float = 1.0

    async def send(self, request: Request, *, total: float) -> Response:
        """See the protocol."""
        assert total > 0
        assert "authorization" not in {name.lower() for name in request.headers}
        path = request.url.removeprefix("https://memory.invalid")
        self.asked.append((path, json.loads(request.body or b"")))
        number = len(self.asked)
        try:
            await sleep(self.latency)
        except asyncio.CancelledError:
            self.broken_off += 1
            raise
        answer: object = [f"flag {number}"] if path == "/feature-flag" else {"version": f"Variant {number}"}
        given = self.answers.pop(0) if self.answers else Response(status=200, body=json.dumps(answer).encode())
        if isinstance(given, Exception):
            raise given
        return given

    async def aclose(self) -> None:
        """See the protocol."""


def asking(
    test: Callable[[MidaClient, Service], Coroutine[Any, Any, None]],
    *,
    cache: VisitorCache | None = KEEPING,
) -> None:
    """Run *test* with a client and the service that answers it, on a virtual clock; no task may be left."""

    async def main() -> None:
        service = Service()
        once = RetryPolicy(max_attempts=1)
        async with MidaClient(
            "project", "key", base_url="https://memory.invalid", transport=service, retry=once, visitor_cache=cache
        ) as mida:
            await test(mida, service)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


def test_answers_are_kept_for_their_visitor_and_question() -> None:
    """The same question about the same visitor is asked once; another visitor, experiment or question is another."""

    async def test(mida: MidaClient, service: Service) -> None:
        for _ in range(2):
            assert await mida.visitors.get_variant("a", "ann") == "Variant 1"
            assert await mida.visitors.get_variant("a", "bob") == "Variant 2"
            assert await mida.visitors.get_variant("b", "ann") == "Variant 3"
            assert await mida.visitors.feature_flags("ann") == ("flag 4",)
            assert await mida.visitors.feature_flags("bob") == ("flag 5",)
        assert len(service.asked) == 5

    asking(test)


def test_an_answer_holds_for_ttl_seconds_from_its_arrival() -> None:
    """It is asked again when its time is up, on the loop's clock."""

    async def test(mida: MidaClient, service: Service) -> None:
        await mida.visitors.get_variant("a", "ann")
        await sleep(59.9)
        assert await mida.visitors.get_variant("a", "ann") == "Variant 1"
        await sleep(0.2)
        assert await mida.visitors.get_variant("a", "ann") == "Variant 2"
        assert len(service.asked) == 2

    asking(test)


def test_no_more_is_kept_than_there_is_room_for() -> None:
    """Beyond ``maxsize`` the least recently used answer goes."""

    async def test(mida: MidaClient, service: Service) -> None:
        for visitor in ("ann", "bob", "ann", "cid", "ann", "bob"):
            await mida.visitors.get_variant("a", visitor)
        assert [body["distinct_id"] for _, body in service.asked] == ["ann", "bob", "cid", "bob"]

    asking(test, cache=VisitorCache(ttl=60, maxsize=2))


def test_nothing_is_kept_without_a_cache() -> None:
    """Each call is a request of its own, also of callers who ask the same at the same time."""

    async def test(mida: MidaClient, service: Service) -> None:
        await asyncio.gather(*(mida.visitors.get_variant("a", "ann") for _ in range(3)))
        await mida.visitors.set_attributes("ann")
        assert len(service.asked) == 4

    asking(test, cache=None)


def test_what_is_asked_for_nobody_is_neither_kept_nor_shared() -> None:
    """Flags that were asked without a visitor answer for no one, not even for the next who has none."""

    async def test(mida: MidaClient, service: Service) -> None:
        flags = await asyncio.gather(*(mida.visitors.feature_flags() for _ in range(2)))
        assert flags == [("flag 1",), ("flag 2",)]
        assert await mida.visitors.feature_flags("ann") == ("flag 3",)
        assert await mida.visitors.feature_flags() == ("flag 4",)
        assert len(service.asked) == 4

    asking(test)


def test_not_being_in_an_experiment_is_an_answer() -> None:
    """None is kept like the name of a variant."""

    async def test(mida: MidaClient, service: Service) -> None:
        service.answers = [Response(status=200, body=b"{}")]
        assert await mida.visitors.get_variant("a", "ann") is None
        assert await mida.visitors.get_variant("a", "ann", default="Control") is None
        assert len(service.asked) == 1

    asking(test)


def test_callers_at_the_same_time_share_one_request() -> None:
    """A hundred callers with the same question make one request and get one answer."""

    async def test(mida: MidaClient, service: Service) -> None:
        answers = await asyncio.gather(*(mida.visitors.get_variant("a", "ann") for _ in range(100)))
        assert set(answers) == {"Variant 1"}
        assert len(service.asked) == 1

    asking(test)


def test_a_failure_is_told_to_each_caller_in_its_own_way_and_is_not_kept() -> None:
    """Of callers who share a request that fails, each gets an error of its own, or its own default."""

    async def test(mida: MidaClient, service: Service) -> None:
        service.answers = [Response(status=404, body=b'{"error": "no such project"}')]
        first, second, third, fourth = await asyncio.gather(
            mida.visitors.get_variant("a", "ann"),
            mida.visitors.get_variant("a", "ann"),
            mida.visitors.get_variant("a", "ann", default="Control"),
            mida.visitors.get_variant("a", "ann", default=None),
            return_exceptions=True,
        )
        assert isinstance(first, NotFoundError)
        assert isinstance(second, NotFoundError)
        assert first is not second
        assert (first.message, second.message) == ("no such project", "no such project")
        assert (third, fourth) == ("Control", None)
        assert await mida.visitors.get_variant("a", "ann") == "Variant 2"
        assert len(service.asked) == 2

    asking(test)


@pytest.mark.parametrize("answer", [b"<html>", b"7", b'{"version": ["Control"]}', b'{"version": true}'])
def test_what_cannot_be_read_is_not_kept(answer: bytes) -> None:
    """An answer that is none is a DecodeError for all who asked, and the next caller asks again."""

    async def test(mida: MidaClient, service: Service) -> None:
        service.answers = [Response(status=200, body=answer)]
        with pytest.raises(DecodeError):
            await mida.visitors.get_variant("a", "ann")
        assert await mida.visitors.get_variant("a", "ann") == "Variant 2"

    asking(test)


def test_a_bug_below_is_told_to_all_who_asked() -> None:
    """An exception that is none of this package's goes through to each caller, default or not, and is not kept."""

    async def test(mida: MidaClient, service: Service) -> None:
        service.answers = [ZeroDivisionError("a bug")]
        outcomes = await asyncio.gather(
            mida.visitors.get_variant("a", "ann"),
            mida.visitors.get_variant("a", "ann", default="Control"),
            return_exceptions=True,
        )
        assert [type(each) for each in outcomes] == [ZeroDivisionError, ZeroDivisionError]
        assert await mida.visitors.get_variant("a", "ann") == "Variant 2"

    asking(test)


def test_one_caller_who_gives_up_takes_the_answer_from_nobody() -> None:
    """R13: cancelling one of several leaves the request to the others, even if it was the one who began it."""

    async def test(mida: MidaClient, service: Service) -> None:
        first, second = (asyncio.ensure_future(mida.visitors.get_variant("a", "ann")) for _ in range(2))
        await sleep(0.5)
        first.cancel()
        assert await second == "Variant 1"
        assert first.cancelled()
        assert (len(service.asked), service.broken_off) == (1, 0)

    asking(test)


def test_the_request_ends_with_the_last_who_waits_for_it() -> None:
    """R13: when all callers have given up the request is cancelled; whoever asks then begins a new one."""

    async def test(mida: MidaClient, service: Service) -> None:
        callers = [asyncio.ensure_future(mida.visitors.get_variant("a", "ann")) for _ in range(2)]
        await sleep(0.5)
        callers[0].cancel()
        await sleep(0.1)
        assert service.broken_off == 0
        callers[1].cancel()
        late = asyncio.ensure_future(mida.visitors.get_variant("a", "ann"))
        await asyncio.wait(callers)
        assert service.broken_off == 1
        assert asyncio.all_tasks() - {asyncio.current_task(), late} <= mida._answers._tasks  # type: ignore[union-attr]
        assert await late == "Variant 2"

    asking(test)


def test_the_last_to_give_up_sees_the_request_end() -> None:
    """R13: as with a request of its own, a cancelled caller ends when the connection was let go of; again, at once."""
    steps: list[str] = []

    async def slow_to_end() -> None:
        try:
            await sleep(100.0)
        finally:
            await sleep(1.0)
            steps.append("the request ended")

    async def main() -> None:
        for again in (False, True):
            answers = Answers(VisitorCache())
            caller = asyncio.ensure_future(answers.get(A, slow_to_end))
            await sleep(0.1)
            caller.cancel()
            await sleep(0.1)
            if again:
                caller.cancel()
            await asyncio.wait((caller,))
            steps.append("the caller ended")
            await sleep(2.0)
        assert steps == ["the request ended", "the caller ended", "the caller ended", "the request ended"]

    run(main())


def test_a_caller_who_is_cancelled_as_the_answer_comes_cancels_nothing() -> None:
    """R13: where the answer is there already, it is kept although nobody takes it."""

    async def test(mida: MidaClient, service: Service) -> None:
        caller = asyncio.ensure_future(mida.visitors.get_variant("a", "ann"))
        await sleep(0.5)
        (request,) = mida._answers._tasks  # type: ignore[union-attr]
        request.add_done_callback(lambda _: caller.cancel())
        await asyncio.wait((caller,))
        assert caller.cancelled()
        assert await mida.visitors.get_variant("a", "ann") == "Variant 1"
        assert (len(service.asked), service.broken_off) == (1, 0)

    asking(test)


def test_a_request_that_somebody_else_breaks_off_is_an_error_for_those_who_asked() -> None:
    """Where the shared request alone is cancelled, callers are not cancelled: they get an error, or their default."""

    async def test(mida: MidaClient, _: Service) -> None:
        callers = [
            asyncio.ensure_future(mida.visitors.get_variant("a", "ann")),
            asyncio.ensure_future(mida.visitors.get_variant("a", "ann", default="Control")),
        ]
        await sleep(0.5)
        (request,) = mida._answers._tasks  # type: ignore[union-attr]
        request.cancel()
        first, second = await asyncio.gather(*callers, return_exceptions=True)
        assert isinstance(first, ConnectionLostError)
        assert second == "Control"

    asking(test)


@pytest.mark.parametrize("change", ["set_attributes", "record_event", "buffer_attributes"])
def test_a_change_of_the_visitor_is_seen_at_once(change: str) -> None:
    """What was known of a visitor is forgotten when attributes or an event of theirs were accepted; others keep."""

    async def test(mida: MidaClient, service: Service) -> None:
        for visitor in ("ann", "bob"):
            await mida.visitors.get_variant("a", visitor)
            await mida.visitors.feature_flags(visitor)
        if change == "set_attributes":
            await mida.visitors.set_attributes("ann", {"plan": "pro"})
        elif change == "record_event":
            await mida.visitors.record_event("Purchase", "ann")
        else:
            await (await mida.visitors.buffer_attributes("ann", {"plan": "pro"}))
        assert await mida.visitors.get_variant("a", "ann") == "Variant 6"
        assert await mida.visitors.feature_flags("ann") == ("flag 7",)
        assert await mida.visitors.get_variant("a", "bob") == "Variant 3"
        assert await mida.visitors.feature_flags("bob") == ("flag 4",)
        assert len(service.asked) == 7

    asking(test)


def test_a_change_that_failed_changes_nothing() -> None:
    """What is known of a visitor stays while the service is down, directly and through the buffer."""

    async def test(mida: MidaClient, service: Service) -> None:
        await mida.visitors.get_variant("a", "ann")
        service.answers = [Response(status=404), Response(status=404)]
        with pytest.raises(NotFoundError):
            await mida.visitors.set_attributes("ann", {"plan": "pro"})
        with pytest.raises(NotFoundError):
            await (await mida.visitors.buffer_attributes("ann", {"plan": "pro"}))
        assert await mida.visitors.get_variant("a", "ann") == "Variant 1"
        assert len(service.asked) == 3

    asking(test)


def test_buffered_attributes_that_may_be_on_their_way_count_as_a_change() -> None:
    """Letting go of a delivery forgets what is known: the attributes may arrive."""

    async def test(mida: MidaClient, service: Service) -> None:
        await mida.visitors.get_variant("a", "ann")
        delivery = await mida.visitors.buffer_attributes("ann", {"plan": "pro"})
        await sleep(0.5)
        delivery.cancel()
        await mida.buffer.flush()
        assert await mida.visitors.get_variant("a", "ann") == "Variant 3"
        assert len(service.asked) == 3

    asking(test)


def test_an_answer_that_a_change_has_overtaken_is_not_kept() -> None:
    """Who asked before the change gets the answer that was under way, but whoever asks after it asks anew."""

    async def test(mida: MidaClient, service: Service) -> None:
        service.latency = 3.0
        early = [asyncio.ensure_future(mida.visitors.get_variant("a", "ann")) for _ in range(2)]
        other = asyncio.ensure_future(mida.visitors.get_variant("a", "bob"))
        await sleep(0.5)
        service.latency = 1.0
        await mida.visitors.set_attributes("ann", {"plan": "pro"})
        late = asyncio.ensure_future(mida.visitors.get_variant("a", "ann"))
        assert await asyncio.gather(*early, other) == ["Variant 1", "Variant 1", "Variant 2"]
        assert await late == "Variant 4"
        assert await mida.visitors.get_variant("a", "ann") == "Variant 4"
        assert await mida.visitors.get_variant("a", "bob") == "Variant 2"

    asking(test)


def test_a_caller_of_an_overtaken_request_can_still_end_it() -> None:
    """R13: a request that a change has overtaken is cancelled with its last caller, and the newer one is not."""

    async def test(mida: MidaClient, service: Service) -> None:
        early = asyncio.ensure_future(mida.visitors.get_variant("a", "ann"))
        await sleep(0.1)
        mida._answers.forget("ann")  # type: ignore[union-attr]
        late = asyncio.ensure_future(mida.visitors.get_variant("a", "ann"))
        await sleep(0.1)
        early.cancel()
        assert await late == "Variant 2"
        assert service.broken_off == 1
        assert await mida.visitors.get_variant("a", "ann") == "Variant 2"

    asking(test)


def test_closing_ends_what_is_being_asked() -> None:
    """R14: ``aclose()`` cancels shared requests; callers get ClientClosedError or their default, also later ones."""

    async def test(mida: MidaClient, service: Service) -> None:
        await mida.visitors.get_variant("b", "ann")
        service.latency = 1000.0
        callers = [
            asyncio.ensure_future(mida.visitors.get_variant("a", "ann")),
            asyncio.ensure_future(mida.visitors.get_variant("a", "ann", default="Control")),
        ]
        await sleep(0.5)
        await mida.aclose()
        first, second = await asyncio.gather(*callers, return_exceptions=True)
        assert isinstance(first, ClientClosedError)
        assert second == "Control"
        assert service.broken_off == 1
        with pytest.raises(ClientClosedError):
            await mida.visitors.get_variant("b", "ann")
        assert await mida.visitors.get_variant("b", "ann", default="Control") == "Control"

    asking(test)


def test_closing_does_not_wait_for_a_request_that_will_not_end() -> None:
    """R14: what ignores that it is cancelled holds ``aclose()`` up for a fifth of a second; its answer is not kept."""
    answers = Answers(VisitorCache())

    async def stubborn() -> str:
        while True:
            try:
                await sleep(1.0)
            except asyncio.CancelledError:
                continue
            return "late"

    async def main() -> None:
        loop = asyncio.get_running_loop()
        caller = asyncio.ensure_future(answers.get(A, stubborn))
        await sleep(0.1)
        started = loop.time()
        await answers.aclose()
        assert loop.time() - started <= 0.25
        assert await caller == "late"
        assert len(answers._kept) == 0

    run(main())


def test_a_shared_request_carries_nobody_s_context() -> None:
    """R16: the request of several callers is not made in the context of the one who came first."""
    trace: contextvars.ContextVar[str] = contextvars.ContextVar("trace", default="none")

    async def seen() -> str:
        return trace.get()

    async def main() -> None:
        trace.set("of the first")
        answers = Answers(VisitorCache())
        assert await answers.get(A, seen) == "none"
        await answers.aclose()

    run(main())


def test_another_loop_is_refused_even_with_a_default() -> None:
    """R15: the cache belongs to the loop of its first use, and says so; the wrong loop is no outage."""
    mida = MidaClient(
        "project", "key", base_url="https://memory.invalid", transport=Service(latency=0), visitor_cache=VisitorCache()
    )

    async def ask() -> str | None:
        return await mida.visitors.get_variant("a", "ann", default="Control")

    with asyncio.Runner() as one, asyncio.Runner() as other:
        assert one.run(ask()) == "Variant 1"
        with pytest.raises(SettingsError, match="another event loop"):
            other.run(ask())
        with pytest.raises(SettingsError, match="another event loop"):
            other.run(mida.aclose())
        assert one.run(ask()) == "Variant 1"
    asyncio.run(mida.aclose())  # both loops are closed: there is nothing left to wait for


def test_a_forked_child_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """R15: a child keeps no answer and no request of its parent, and has a loop of its own; asked for once a cache."""
    registered: list[Callable[[], None]] = []
    monkeypatch.setattr(os, "register_at_fork", lambda *, after_in_child: registered.append(after_in_child))
    answers = Answers(VisitorCache())
    asked: list[str] = []

    async def ask() -> str:
        asked.append("again")
        return "answer"

    async def parent() -> None:
        await answers.get(A, ask)
        await answers.get(A, ask)

    asyncio.run(parent())
    registered[0]()
    asyncio.run(parent())
    assert (len(asked), len(registered)) == (2, 1)


def test_a_cache_that_was_never_used_can_be_closed() -> None:
    """R14: closing a client whose visitors were never asked about waits for nothing."""

    async def test(mida: MidaClient, service: Service) -> None:
        await mida.aclose()
        assert service.asked == []

    asking(test)


def test_the_service_being_away_is_no_error_with_a_default() -> None:
    """A page does not break: whatever the failure, each caller gets its default, and the next one asks again."""

    async def test(mida: MidaClient, service: Service) -> None:
        service.answers = [ConnectError("nobody listens"), ConnectError("nobody listens")]
        assert await mida.visitors.get_variant("a", "ann", default="Control") == "Control"
        assert await mida.visitors.feature_flags("ann", default=["old"]) == ["old"]
        assert await mida.visitors.feature_flags("ann", default=["old"]) == ("flag 3",)

    asking(test)


@pytest.mark.parametrize("wrong", [60, {"ttl": 60}, VisitorCache])
def test_only_a_visitor_cache_is_one(wrong: object) -> None:
    """R7: anything else is refused when the client is made; the message shows it and says what is allowed."""
    with pytest.raises(SettingsError, match=r"visitor_cache is .*; it must be a VisitorCache, or None"):
        MidaClient("project", "key", region="us", visitor_cache=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("cache", [None, KEEPING])
@pytest.mark.parametrize("away", ["refused", "silent"])
def test_a_page_does_not_wait_for_an_outage(away: str, cache: VisitorCache | None) -> None:
    """With a default, repetitions and a silent service cost 3 seconds at most; without one, as long as they take."""

    async def main() -> None:
        service = Service(latency=0.01 if away == "refused" else 1000.0)
        service.answers = [ConnectError("nobody listens") for _ in range(100)]
        loop = asyncio.get_running_loop()
        async with MidaClient(
            "project", "key", base_url="https://memory.invalid", transport=service, visitor_cache=cache
        ) as mida:
            assert await mida.visitors.get_variant("a", "ann", default="Control") == "Control"
            assert await mida.visitors.feature_flags("ann", default=()) == ()
            assert 4.0 < loop.time() <= 6.001
            assert len(service.asked) > 4 or away == "silent"
            patient = asyncio.ensure_future(mida.visitors.get_variant("a", "ann"))
            await asyncio.wait((patient,), timeout=5.0)
            assert not patient.done()
            patient.cancel()
            await asyncio.wait((patient,))
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


def test_a_caller_who_waits_no_longer_leaves_the_answer_to_the_others() -> None:
    """Of callers who share a slow request, one with a default goes on after 3 seconds, one without gets the answer."""

    async def test(mida: MidaClient, service: Service) -> None:
        service.latency = 10.0
        hurried = asyncio.ensure_future(mida.visitors.get_variant("a", "ann", default="Control"))
        patient = asyncio.ensure_future(mida.visitors.get_variant("a", "ann"))
        assert await hurried == "Control"
        assert asyncio.get_running_loop().time() == pytest.approx(3.0)
        assert await patient == "Variant 1"
        assert await mida.visitors.get_variant("a", "ann", default="Control") == "Variant 1"
        assert (len(service.asked), service.broken_off) == (1, 0)

    asking(test)


def test_a_default_does_not_hide_that_the_caller_is_cancelled() -> None:
    """R13: cancellation and the caller's own time limit go through, with a default, too."""

    async def test(mida: MidaClient, service: Service) -> None:
        service.latency = 1000.0
        caller = asyncio.ensure_future(mida.visitors.get_variant("a", "ann", default="Control"))
        await sleep(0.5)
        caller.cancel()
        await asyncio.wait((caller,))
        assert caller.cancelled()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await mida.visitors.feature_flags("ann", default=())
        assert service.broken_off == 2

    asking(test)


def test_when_an_answer_expires_it_is_asked_for_once() -> None:
    """However many callers find that an answer holds no longer, one request is made."""

    async def test(mida: MidaClient, service: Service) -> None:
        await mida.visitors.get_variant("a", "ann")
        await sleep(60)
        answers = await asyncio.gather(*(mida.visitors.get_variant("a", "ann") for _ in range(50)))
        assert set(answers) == {"Variant 2"}
        assert len(service.asked) == 2

    asking(test)


@pytest.mark.parametrize("error", [ConnectError("nobody listens"), ZeroDivisionError("a bug")])
def test_an_error_of_many_callers_shows_the_way_of_one(error: Exception) -> None:
    """The traceback of a shared failure does not grow from caller to caller, and is nobody else's context."""

    async def main() -> None:
        answers, depths = Answers(VisitorCache()), list[int]()

        async def fail() -> str:
            await sleep(1.0)
            raise error

        async def ask() -> None:
            with pytest.raises(type(error)) as caught:
                await answers.get(A, fail)
            assert caught.value.__context__ is None
            depths.append(len(traceback.extract_tb(caught.value.__traceback__)))

        await asyncio.gather(*(ask() for _ in range(20)))
        await answers.aclose()
        assert len(depths) == 20
        assert len(set(depths)) == 1

    run(main())


def test_a_failure_that_nobody_waits_for_any_more_is_not_logged() -> None:
    """Callers who give up in the moment in which the request fails leave no "exception was never retrieved" behind."""
    complaints = list[dict[str, Any]]()

    async def test(mida: MidaClient, service: Service) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        service.answers = [ConnectError("nobody listens")]
        caller = asyncio.ensure_future(mida.visitors.get_variant("a", "ann"))
        await sleep(0.5)
        (request,) = mida._answers._tasks  # type: ignore[union-attr]
        request.add_done_callback(lambda _: caller.cancel())
        await asyncio.wait((caller,))
        assert caller.cancelled()

    asking(test)
    gc.collect()
    assert complaints == []


@pytest.mark.parametrize("change", ["set_attributes", "record_event", "buffer_attributes"])
@pytest.mark.parametrize("outcome", [Response(status=500), ConnectionLostError("reset"), ConnectError("nobody")])
def test_a_change_that_may_have_arrived_counts_as_one(change: str, outcome: Response | Exception) -> None:
    """What is known of a visitor is forgotten where an answer was lost, and stays where nothing was sent."""

    async def test(mida: MidaClient, service: Service) -> None:
        await mida.visitors.get_variant("a", "ann")
        service.answers = [outcome]
        visitors = mida.visitors
        if change == "set_attributes":
            failing: Awaitable[object] = visitors.set_attributes("ann", {"plan": "pro"})
        elif change == "record_event":
            failing = visitors.record_event("Purchase", "ann")
        else:
            failing = await visitors.buffer_attributes("ann", {"plan": "pro"})
        with pytest.raises(MidaError):
            await failing
        kept = isinstance(outcome, ConnectError) and change != "buffer_attributes"
        assert await visitors.get_variant("a", "ann") == ("Variant 1" if kept else "Variant 3")

    asking(test)


def test_a_change_that_is_cancelled_counts_as_one() -> None:
    """R13: attributes whose caller gives up may have arrived."""

    async def test(mida: MidaClient, _: Service) -> None:
        await mida.visitors.get_variant("a", "ann")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await mida.visitors.set_attributes("ann", {"plan": "pro"})
        assert await mida.visitors.get_variant("a", "ann") == "Variant 3"

    asking(test)
