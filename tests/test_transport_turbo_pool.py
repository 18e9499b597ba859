"""The connections of the turbo transport: how many there are, who gets them, and when they are closed."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, Final, cast

import attrs
import pytest
from turbo_stage import (
    OK,
    TIMEOUT,
    Connection,
    Counting,
    Origin,
    TurboTransport,
    answer_all,
    answer_nothing,
    pool,
    run,
    started,
    to,
    until,
)

from mida_async._errors import (
    ClientClosedError,
    ConnectError,
    ConnectionLostError,
    RequestTimeoutError,
    TransportError,
)
from mida_async.testing.socket_peer import free_port, read_request, serving

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mida_async.testing.socket_peer import Handler

HERE: Final = Origin(secure=False, host="here", port=80)
THERE: Final = Origin(secure=False, host="there", port=80)
LOOPS: Final = ("asyncio", "uvloop")


def slots(made: TurboTransport) -> tuple[int, int, int]:
    """Return how many connections may be opened, are idle, and are waited for."""
    assert made._used is not None
    return slots_of(made._used.pool)


def slots_of(kept: pool.Pool) -> tuple[int, int, int]:
    """Return how many connections may be opened, are idle, and are waited for."""
    return kept._free, sum(map(len, kept._idle.values())), len(kept._line)


def ending_with(answer: bytes, *, close: bool = False) -> Handler:
    """Answer every request so, and perhaps close after the first."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(answer)
            if close:
                return

    return handle


async def connections_of(answer: bytes, *, method: str = "POST", body: bytes | None = b"{}") -> int:
    """Send twice to a server that answers so; return how many connections that took."""
    counting = Counting(ending_with(answer))
    async with serving(counting) as url, TurboTransport(timeout=TIMEOUT) as made:
        for _ in range(2):
            response = await made.send(to(url, method=method, body=body), total=30)
            assert response.complete
    return counting.ever


@pytest.mark.parametrize("loop", LOOPS)
def test_connections_are_used_again(loop: str) -> None:
    """Requests in turn go over one connection, whatever form their answers have."""

    async def main() -> None:
        for answer in (
            OK,
            b"HTTP/1.1 204 No Content\r\n\r\n",
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\nContent-Encoding: gzip\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
            b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
        ):
            assert await connections_of(answer) == 1

    run(main(), loop)


@pytest.mark.parametrize(
    "answer",
    [
        OK.replace(b"Content", b"Connection: close\r\nContent"),
        OK.replace(b"1.1", b"1.0"),
        OK + b"x",
        OK + b"HTT",
        OK + OK,
        b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n{}",
    ],
    ids=["close", "1.0", "garbage", "a beginning", "another answer", "a body that there is not"],
)
def test_connections_are_not_used_again(answer: bytes) -> None:
    """R9: after an answer that says so, or is followed by what nobody asked for, there is another connection."""
    assert asyncio.run(connections_of(answer)) == 2


def test_answers_to_head_end_their_connection() -> None:
    """The parser cannot be told that an answer to HEAD has no body, so it is not asked about another."""
    assert asyncio.run(connections_of(OK.replace(b"{}", b""), method="HEAD", body=None)) == 2


def test_too_long_answers_end_their_connection() -> None:
    """The rest of a body that is too long is not read: it ends with its connection."""

    async def main() -> int:
        counting = Counting(ending_with(OK))
        async with serving(counting) as url, TurboTransport() as made:
            for _ in range(2):
                assert (await made.send(to(url, limit=1), total=30)).oversized
        return counting.ever

    assert asyncio.run(main()) == 2


def test_what_comes_between_two_requests_ends_the_connection() -> None:
    """R9: bytes that come while nothing is asked for are no answer to the next request."""
    go_on = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        await go_on.wait()
        writer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await reader.read()

    async def main() -> int:
        counting = Counting(handle)
        async with serving(counting) as url, TurboTransport() as made:
            await made.send(to(url), total=30)
            go_on.set()
            await until(lambda: slots(made) == (132, 0, 0))
            assert (await made.send(to(url), total=30)).status == 200
        return counting.ever

    assert asyncio.run(main()) == 2


def test_what_comes_right_after_an_answer_ends_the_connection() -> None:
    """R9: bytes that come before whoever asked has taken the answer are noticed as well."""

    async def main() -> None:
        async with serving(answer_nothing) as url, TurboTransport() as made:
            task = asyncio.create_task(made.send(to(url), total=30))
            await until(started(made))
            (connection,) = used_pool(made)._live
            for piece in (OK, b"x"):
                connection.get_buffer(-1)[: len(piece)] = piece
                connection.buffer_updated(len(piece))
            assert (await task).complete
            assert slots(made) == (132, 0, 0)

    asyncio.run(main())


def used_pool(made: TurboTransport) -> pool.Pool:
    """Return the pool of a transport that has been used."""
    assert made._used is not None
    return made._used.pool


@pytest.mark.parametrize("loop", LOOPS)
def test_a_peer_that_closes_idle_connections_costs_nothing(loop: str) -> None:
    """R9: a connection that its peer closed while it was idle is replaced before anything is sent."""

    async def main() -> int:
        counting = Counting(ending_with(OK, close=True))
        async with serving(counting) as url, TurboTransport() as made:
            for _ in range(5):
                assert (await made.send(to(url), total=30)).status == 200
                await until(lambda: slots(made) == (132, 0, 0))
        return counting.ever

    assert run(main(), loop) == 5


def test_a_lost_connection_is_not_replaced_in_silence() -> None:
    """R9: what was sent over a connection that turns out to be closed may have been applied; it is not sent again."""

    async def main() -> int:
        arrived = 0

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal arrived
            for answer in (OK, b""):
                await read_request(reader)
                arrived += 1
                writer.write(answer)

        async with serving(handle) as url, TurboTransport() as made:
            await made.send(to(url), total=30)
            with pytest.raises(ConnectionLostError, match="the server closed the connection"):
                await made.send(to(url), total=30)
        return arrived

    assert asyncio.run(main()) == 2


@pytest.mark.parametrize("loop", LOOPS)
def test_idle_connections_are_given_up(monkeypatch: pytest.MonkeyPatch, loop: str) -> None:
    """Connections that nobody needs are closed before their peer would close them, one by one as their time comes."""
    monkeypatch.setattr(pool, "KEEPALIVE", 0.05)

    async def main() -> None:
        counting = Counting(answer_all)
        async with serving(counting) as url, TurboTransport() as made:
            await asyncio.gather(*(made.send(to(url), total=30) for _ in range(3)))
            await asyncio.sleep(0.03)
            await made.send(to(url), total=30)
            assert counting.ever == 3
            await until(lambda: counting.now == 1)
            await until(lambda: counting.now == 0)
            assert slots(made) == (132, 0, 0)
            await made.send(to(url), total=30)
            assert counting.ever == 4

    run(main(), loop)


def test_a_connection_that_was_idle_for_too_long_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """R9: even where the timer comes too late, nothing is sent over a connection that the peer may be closing."""

    async def main() -> int:
        counting = Counting(answer_all)
        async with serving(counting) as url, TurboTransport() as made:
            await made.send(to(url), total=30)
            monkeypatch.setattr(pool, "KEEPALIVE", 0.0)
            await made.send(to(url), total=30)
        return counting.ever

    assert asyncio.run(main()) == 2


def test_there_are_never_more_than_allowed() -> None:
    """However many requests there are, they share the connections that there may be."""

    async def main() -> Counting:
        counting = Counting(answer_all)
        async with serving(counting) as url, TurboTransport(connections=3) as made:
            responses = await asyncio.gather(*(made.send(to(url), total=30) for _ in range(200)))
            assert all(response.status == 200 for response in responses)
            assert slots(made) == (0, 3, 0)
        return counting

    counting = asyncio.run(main())
    assert (counting.ever, counting.most) == (3, 3)


def test_waiting_for_a_free_connection_is_not_sent() -> None:
    """R9: a request whose time ends while it waits for a free connection is a ConnectError, with a body or without."""

    async def main() -> None:
        async with serving(answer_nothing) as url, TurboTransport(timeout=TIMEOUT, connections=1) as made:
            busy = asyncio.create_task(made.send(to(url), total=30))
            await until(started(made))
            for method, body in (("POST", b"{}"), ("POST", None), ("DELETE", None)):
                with pytest.raises(ConnectError, match=r"0\.02 s for the whole request"):
                    await made.send(to(url, method=method, body=body), total=0.02)
            with pytest.raises(RequestTimeoutError):
                await busy
            assert slots(made) == (1, 0, 0)

    asyncio.run(main())


def test_those_who_wait_are_served_in_turn() -> None:
    """Who has waited longest comes first."""

    async def main() -> list[int]:
        order: list[int] = []

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                order.append(int((await read_request(reader)).body))
                writer.write(OK)

        async with serving(handle) as url, TurboTransport(connections=1) as made:
            await asyncio.gather(*(made.send(to(url, body=b"%d" % number), total=30) for number in range(20)))
        return order

    assert asyncio.run(main()) == list(range(20))


def test_closing_ends_what_waits_for_a_connection() -> None:
    """R14: closing ends what waits or connects with ClientClosedError, what is under way with ConnectionLostError."""

    async def main() -> list[type]:
        async with serving(answer_nothing) as url:
            made = TurboTransport(connections=1)
            tasks = [asyncio.create_task(made.send(to(url), total=30)) for _ in range(2)]
            await until(started(made))
            await made.aclose()
            return [type(error) for error in await asyncio.gather(*tasks, return_exceptions=True)]

    assert asyncio.run(main()) == [ConnectionLostError, ClientClosedError]


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("loop", LOOPS)
def test_closing_while_a_connection_is_opened_sends_nothing(loop: str, turns: int) -> None:
    """R14: a request that is on the way to its connection, however far, either was sent before closing or never is."""

    async def main() -> None:
        async with serving(Counting(answer_nothing)) as url:
            made = TurboTransport()
            task = asyncio.create_task(made.send(to(url), total=30))
            for _ in range(turns):
                await asyncio.sleep(0)
            before = started(made)()
            await made.aclose()
            (error,) = await asyncio.gather(task, return_exceptions=True)
            assert type(error) is (ConnectionLostError if before else ClientClosedError)

    run(main(), loop)


def test_a_server_that_is_away_takes_no_place() -> None:
    """A connection that does not come about leaves its place to the next."""

    async def main() -> None:
        async with serving(answer_all) as url, TurboTransport(connections=1) as made:
            for _ in range(3):
                with pytest.raises(ConnectError, match="connection refused"):
                    await made.send(to(f"http://127.0.0.1:{free_port()}"), total=30)
            assert (await made.send(to(url), total=30)).status == 200

    asyncio.run(main())


def test_servers_share_the_connections() -> None:
    """An idle connection makes room for another server, whoever asked for it before."""

    async def main() -> None:
        one, two = Counting(answer_all), Counting(answer_all)
        async with serving(one) as first, serving(two) as second, TurboTransport(connections=2) as made:
            for url in (first, first, second, second, first):
                assert (await made.send(to(url), total=30)).status == 200
            assert (one.ever, two.ever, slots(made)) == (1, 1, (0, 2, 0))
            async with serving(answer_all) as third:
                assert (await made.send(to(third), total=30)).status == 200
            await until(lambda: two.now == 0)  # it was idle for longer
            sends = [made.send(to(url), total=30) for url in 10 * (first, second)]
            assert {response.status for response in await asyncio.gather(*sends)} == {200}

    asyncio.run(main())


@attrs.define(eq=False)
class Wire:
    """A connection that leads nowhere."""

    origin: Origin
    usable: bool = True
    counted: bool = False
    idle_since: float = 0.0

    def hang_up(self, *, abort: bool = False) -> None:
        """Close."""
        del abort
        self.usable = False

    def set_down(self) -> bool:
        """Be done."""
        return self.usable


def wired(limit: int, connect: Callable[[Origin], Awaitable[Wire]] | None = None) -> pool.Pool:
    """Make a pool whose connections lead nowhere."""

    async def open_one(origin: Origin, _factory: object) -> Connection:
        wire = Wire(origin) if connect is None else await connect(origin)
        return cast("Connection", wire)

    return pool.Pool(asyncio.get_running_loop(), limit, open_one)


def asking(kept: pool.Pool, origin: Origin = HERE) -> asyncio.Task[Connection]:
    """Ask for a connection."""
    return asyncio.create_task(kept.acquire(origin, lambda: None))


async def turns(number: int = 3) -> None:
    """Let others go on."""
    for _ in range(number):
        await asyncio.sleep(0)


def test_a_connection_that_comes_too_late_goes_to_the_next() -> None:
    """R16: whoever is cancelled in the moment in which a connection was handed over does not keep it."""

    async def main() -> None:
        kept = wired(1)
        first = await asking(kept)
        second, third = asking(kept), asking(kept)
        await turns()
        kept.release(first, complete=True)  # now it is the second's, who does not know yet
        second.cancel()
        assert await third is first
        assert second.cancelled()
        fourth = asking(kept)
        await turns()
        kept.release(first, complete=True)
        fourth.cancel()
        await turns()
        assert slots_of(kept) == (0, 1, 0)
        assert kept.take(HERE, first.idle_since) is first

    asyncio.run(main())


def test_a_place_that_comes_too_late_goes_to_the_next() -> None:
    """R16: the same holds for the right to open a connection, and for one that broke meanwhile."""

    async def main() -> None:
        for usable in (True, False):
            kept = wired(1)
            first = await asking(kept)
            second, third = asking(kept), asking(kept)
            await turns()
            if not usable:
                first.hang_up()
            kept.release(first, complete=usable)  # now it is, or its place is, the second's, who does not know yet
            first.hang_up()
            second.cancel()
            assert await third is not first
            fourth = asking(kept)
            await turns()
            kept.give_up(await third)
            fourth.cancel()
            await turns()
            assert slots_of(kept) == (1, 0, 0)

    asyncio.run(main())


def test_the_cancelled_are_passed_over() -> None:
    """R16: whoever was cancelled, but had no chance to leave the line, is not given anything."""

    async def main() -> None:
        kept = wired(1)
        first = await asking(kept)
        second, third = asking(kept), asking(kept)
        await turns()
        second.cancel()
        kept.release(first, complete=True)
        assert await third is first
        fourth = asking(kept)
        await turns()
        fourth.cancel()
        kept.release(first, complete=True)
        await turns()
        assert slots_of(kept) == (0, 1, 0)

    asyncio.run(main())


def test_a_connection_for_another_server_makes_room() -> None:
    """A connection that becomes free is closed where whoever is next wants another server."""

    async def main() -> None:
        kept = wired(1)
        first = await asking(kept)
        second = asking(kept, THERE)
        await turns()
        kept.release(first, complete=True)
        assert (await second).origin == THERE
        assert not first.usable

    asyncio.run(main())


def test_a_connection_that_broke_on_its_way_is_replaced() -> None:
    """A connection that is handed over and found closed is replaced; its place is not lost."""

    async def main() -> None:
        kept = wired(1)
        first = await asking(kept)
        second = asking(kept)
        await turns()
        kept.release(first, complete=True)
        first.hang_up()
        assert await second is not first
        assert slots_of(kept) == (0, 0, 0)

    asyncio.run(main())


def test_a_closed_pool_keeps_nothing() -> None:
    """R14: what is given back after closing is closed, even by somebody who was cancelled."""

    async def main() -> None:
        kept = wired(1)
        first = await asking(kept)
        second = asking(kept)
        await turns()
        kept.release(first, complete=True)
        second.cancel()
        await kept.close(0.1)
        await turns()
        assert slots_of(kept) == (1, 0, 0)
        assert not first.usable

    asyncio.run(main())


@pytest.mark.parametrize("seed", range(20))
def test_no_place_is_ever_lost(seed: int) -> None:
    """R16: whatever is cancelled, broken and refused when, in the end every place can be used, and nobody waits."""
    chance = random.Random(seed)  # noqa: S311  the same in every run

    async def connect(origin: Origin) -> Wire:
        await turns(chance.randrange(4))
        if chance.random() < 0.2:
            raise ConnectionRefusedError
        return Wire(origin)

    async def use(kept: pool.Pool) -> None:
        origin = chance.choice((HERE, HERE, THERE))
        connection = kept.take(origin, 0.0) or await kept.acquire(origin, lambda: None)
        assert connection.usable
        try:
            await turns(chance.randrange(4))
        finally:
            if chance.random() < 0.2:
                connection.hang_up()
            kept.release(connection, complete=chance.random() < 0.8)
            assert len([each for each in wires if each.counted]) <= 3

    wires: list[Wire] = []

    async def main() -> None:
        async def noted(origin: Origin) -> Wire:
            wires.append(await connect(origin))
            return wires[-1]

        kept = wired(3, noted)
        tasks = [asyncio.create_task(use(kept)) for _ in range(100)]
        while not all(task.done() for task in tasks):
            await turns(1)
            if chance.random() < 0.3:
                chance.choice(tasks).cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(each) for each in results} <= {type(None), asyncio.CancelledError, ConnectionRefusedError}
        free, idle, waiting = slots_of(kept)
        assert (free + idle, waiting) == (3, 0)
        await kept.close(0.1)

    asyncio.run(main())


@pytest.mark.parametrize("loop", LOOPS)
def test_trouble_on_real_sockets_costs_no_place(loop: str) -> None:
    """R16: requests that are cancelled, time out and lose their connection leave all places as they were."""
    chance = random.Random(7)  # noqa: S311  the same in every run

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chance.random() < 0.8:
            await read_request(reader)
            if chance.random() < 0.1:
                await asyncio.sleep(0.02)
            writer.write(OK if chance.random() < 0.9 else OK[:-1])

    async def main() -> None:
        counting = Counting(handle)
        async with serving(counting) as url, TurboTransport(timeout=TIMEOUT, connections=4) as made:

            async def send() -> Any:
                return await made.send(to(url), total=chance.choice((0.01, 1)))

            tasks = [asyncio.create_task(send()) for _ in range(150)]
            while not all(task.done() for task in tasks):
                await asyncio.sleep(0.001)
                if chance.random() < 0.2:
                    chance.choice(tasks).cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            odd = [each for each in results if isinstance(each, Exception) and not isinstance(each, TransportError)]
            assert odd == []
            assert counting.most <= 4 + 4  # those that were closed a moment ago are not gone yet at the other end
            free, idle, waiting = slots(made)
            assert (free + idle, waiting) == (4, 0)

    run(main(), loop)
