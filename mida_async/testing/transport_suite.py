"""
What every transport must do: one check for each promise of :class:`~mida_async.Transport`.

An implementation is checked by giving each of :data:`TRANSPORT_CHECKS` a stage, which sets up the transport with a peer
that behaves as told. For transports that talk to sockets there is one in :mod:`mida_async.testing.socket_peer`::

    stage = socket_stage(lambda: MyTransport(read_timeout=READ_TIMEOUT))

    @pytest.mark.parametrize("check", TRANSPORT_CHECKS, ids=lambda check: check.__name__)
    def test_my_transport(check: TransportCheck) -> None:
        asyncio.run(check(stage))
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol, TypeAlias

import attrs

from .._core.messages import Request, Response
from .._errors import ConnectError, ConnectionLostError, MidaError, RequestTimeoutError, TransportError
from .._transport.base import Transport

__all__ = ["Arrival", "Fault", "Peer", "READ_TIMEOUT", "Script", "Stage", "TRANSPORT_CHECKS", "TransportCheck"]

READ_TIMEOUT: Final = 0.5
"""The read timeout, in seconds, that a stage sets up its transport with."""

_PATIENCE: Final = 5.0
_SECRET: Final = "the-secret-key"  # noqa: S105  no service knows it


class Fault(enum.Enum):
    """How a peer misbehaves."""

    NONE = "answers as told"
    REFUSES = "takes no connection"
    HANGS_UP = "reads the whole request and closes without an answer"
    SILENT = "reads the whole request and never answers"
    CUTS_BODY = "announces a byte more than the body has, sends the body and closes"
    STALLS_BODY = "announces a byte more than the body has, sends the body and stays open"


@attrs.frozen(kw_only=True)
class Script:
    """
    What a peer does with each request.

    Attributes:
        status: The status that it answers.
        headers: The headers that it answers, repeated ones included.
        body: The body that it answers.
        fault: How it misbehaves.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b"{}"
    fault: Fault = Fault.NONE


@attrs.frozen(kw_only=True)
class Arrival:
    """
    One whole request as a peer got it.

    Attributes:
        method: The HTTP method.
        target: Path and query.
        headers: The headers, their names in lower case.
        body: The body.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class Peer(Protocol):
    """The other end."""

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        ...

    @property
    def arrived(self) -> Sequence[Arrival]:
        """The whole requests that it got so far."""
        ...

    async def request_arrived(self) -> None:
        """Wait until it has got a whole request."""
        ...

    async def hung_up(self) -> None:
        """Wait until the client has closed a connection."""
        ...


Stage: TypeAlias = Callable[[Script], AbstractAsyncContextManager[tuple[Transport, Peer]]]
TransportCheck: TypeAlias = Callable[[Stage], Awaitable[None]]


async def returns_every_status(stage: Stage) -> None:
    """Promise 1: a response of any status is returned, with its body."""
    for status in (200, 201, 304, 400, 404, 429, 500, 503):
        body = b"" if status == 304 else b'{"status": 1}'  # noqa: PLR2004  a 304 has none
        async with stage(Script(status=status, body=body)) as (transport, peer):
            response = await _send(transport, peer)
        _expect(response.status == status, f"{status} came back as {response.status}")
        _expect(response.body == body, f"the body of a {status} came back as {response.body!r}")
        _expect(response.complete and not response.oversized, f"the whole body of a {status} came")


async def follows_no_redirect(stage: Stage) -> None:
    """Promise 1: a redirect is returned, not followed."""
    for status in (301, 302, 303, 307, 308):
        async with stage(Script(status=status, headers=(("Location", "/elsewhere"),))) as (transport, peer):
            response = await _send(transport, peer)
            _expect(response.status == status, f"{status} came back as {response.status}")
            _expect(len(peer.arrived) == 1, f"a {status} led to {len(peer.arrived)} requests")


async def sends_what_it_is_given(stage: Stage) -> None:
    """The method, the escaped address, the headers and the body arrive unchanged."""
    async with stage(Script()) as (transport, peer):
        request = attrs.evolve(_request(peer, path="/a%20b/c?q=%2Fx&r=%C3%A9"), body="\x00é".encode())
        await transport.send(request, total=_PATIENCE)
        _expect(len(peer.arrived) == 1, f"{len(peer.arrived)} requests arrived")
        arrival = peer.arrived[0]
    _expect(arrival.method == "POST", f"the method arrived as {arrival.method}")
    _expect(arrival.target == "/a%20b/c?q=%2Fx&r=%C3%A9", f"the target arrived as {arrival.target}")
    _expect(arrival.headers["authorization"] == f"Bearer {_SECRET}", "the authorization header changed")
    _expect(arrival.headers["content-type"] == "application/json", "the content type changed")
    _expect(arrival.body == "\x00é".encode(), f"the body arrived as {arrival.body!r}")


async def sends_every_method(stage: Stage) -> None:
    """Every method works with and without a body, and is sent once."""
    for method, body in (("GET", None), ("DELETE", None), ("POST", None), ("PUT", b"{}"), ("PATCH", b"{}")):
        async with stage(Script()) as (transport, peer):
            response = await _send(transport, peer, method=method, body=body)
            arrived = [(arrival.method, arrival.body) for arrival in peer.arrived]
        _expect(response.status == 200, f"{method} brought {response.status}")  # noqa: PLR2004
        _expect(arrived == [(method, body or b"")], f"{method} arrived as {arrived}")


async def lowers_and_joins_header_names(stage: Stage) -> None:
    """The names of headers come in lower case, and the values of repeated ones are joined by a comma."""
    async with stage(Script(headers=(("X-Twice", "a"), ("x-twice", "b"), ("Retry-After", "7")))) as (transport, peer):
        response = await _send(transport, peer)
    _expect(response.headers.get("x-twice") == "a, b", f"x-twice is {response.headers.get('x-twice')!r}")
    _expect(response.headers.get("retry-after") == "7", f"retry-after is {response.headers.get('retry-after')!r}")


async def refused_means_not_sent(stage: Stage) -> None:
    """Promise 2: where nobody listens, the error is ConnectError."""
    for method in ("POST", "GET"):
        async with stage(Script(fault=Fault.REFUSES)) as (transport, peer):
            error = await _error(transport, peer, method=method)
        _expect(isinstance(error, ConnectError), f"a refused {method} raised {error!r}")


async def silence_means_timeout(stage: Stage) -> None:
    """Promise 3: a peer that read everything and says nothing leads to RequestTimeoutError, by either timeout."""
    for total in (_PATIENCE, READ_TIMEOUT / 3):
        async with stage(Script(fault=Fault.SILENT)) as (transport, peer):
            error = await _error(transport, peer, total=total)
        _expect(isinstance(error, RequestTimeoutError), f"silence raised {error!r}")


async def hanging_up_means_lost(stage: Stage) -> None:
    """Promise 3: a peer that read everything and hangs up leads to ConnectionLostError; no method is sent twice."""
    for method, body in (("POST", b"{}"), ("PUT", b"{}"), ("DELETE", None), ("GET", None)):
        async with stage(Script(fault=Fault.HANGS_UP)) as (transport, peer):
            error = await _error(transport, peer, method=method, body=body)
        _expect(isinstance(error, ConnectionLostError), f"{method} raised {error!r}")
        _expect(len(peer.arrived) == 1, f"{method} was sent {len(peer.arrived)} times")


async def a_broken_body_is_a_response(stage: Stage) -> None:
    """Promise 4: a body that breaks off, or stalls for as long as a timeout lets it, is an incomplete response."""
    for fault in (Fault.CUTS_BODY, Fault.STALLS_BODY):
        for total in (_PATIENCE, READ_TIMEOUT / 3):
            async with stage(Script(status=201, body=b"abc", fault=fault)) as (transport, peer):
                response = await _send(transport, peer, total=total)
            _expect(response.status == 201, f"{fault.name}: the status is {response.status}")  # noqa: PLR2004
            _expect(not response.complete, f"{fault.name}: the body counts as complete")
            _expect(not response.oversized, f"{fault.name}: the body counts as oversized")
            _expect(b"abc".startswith(response.body), f"{fault.name}: the body is {response.body!r}")


async def reads_no_more_than_allowed(stage: Stage) -> None:
    """Promise 4: of a body over the limit the first bytes are returned; a body of just that length is whole."""
    for size, limit in ((1000, 999), (2**18, 100), (1000, 1000), (0, 1)):
        async with stage(Script(body=b"x" * size)) as (transport, peer):
            request = attrs.evolve(_request(peer), max_response_bytes=limit)
            response = await transport.send(request, total=_PATIENCE)
        over = size > limit
        _expect(len(response.body) == min(size, limit), f"{len(response.body)} of {size} bytes, limit {limit}")
        _expect(response.oversized is over, f"{size} bytes, limit {limit}: oversized is {response.oversized}")
        _expect(response.complete is not over, f"{size} bytes, limit {limit}: complete is {response.complete}")


async def errors_are_bare(stage: Stage) -> None:
    """Promise 5: errors have neither cause nor context, and the API key is nowhere in them or in their frames."""
    for fault in (Fault.REFUSES, Fault.HANGS_UP, Fault.SILENT):
        async with stage(Script(fault=fault)) as (transport, peer):
            error = await _error(transport, peer)
        _expect(error.__cause__ is None, f"{fault.name}: the cause is {error.__cause__!r}")
        _expect(error.__context__ is None, f"{fault.name}: the context is {error.__context__!r}")
        frames = traceback.TracebackException.from_exception(error, capture_locals=True)
        shown = (str(error), repr(error), repr(error.args), repr(vars(error)), "".join(frames.format()))
        _expect(not any(_SECRET in text for text in shown), f"{fault.name}: the key is shown")


async def cancelling_hangs_up(stage: Stage) -> None:
    """Promise 6: a cancelled send closes its connection, before the status and within the body."""
    for fault in (Fault.SILENT, Fault.STALLS_BODY):
        async with stage(Script(fault=fault)) as (transport, peer):
            task = asyncio.create_task(_send(transport, peer))
            await asyncio.wait_for(peer.request_arrived(), _PATIENCE)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            _expect(task.cancelled(), f"{fault.name}: the cancellation did not come through")
            # The read timeout would close it, too, so it must happen before that.
            await asyncio.wait_for(peer.hung_up(), READ_TIMEOUT * 0.8)


async def closes_more_than_once(stage: Stage) -> None:
    """A transport may be closed before its first use and more than once; after that nothing is sent."""
    async with stage(Script()) as (transport, peer):
        await _send(transport, peer)
        await transport.aclose()
        await transport.aclose()
        error = await _error(transport, peer)
        _expect(isinstance(error, ConnectError), f"a closed transport raised {error!r}")
        _expect(len(peer.arrived) == 1, "a closed transport sent something")
    async with stage(Script()) as (transport, peer):
        await transport.aclose()
        error = await _error(transport, peer)
        _expect(isinstance(error, ConnectError), f"a transport closed before its first use raised {error!r}")


async def many_at_once_keep_apart(stage: Stage) -> None:
    """Fifty requests under way at once each get through, once."""
    async with stage(Script()) as (transport, peer):
        sends = [_send(transport, peer, body=b"%d" % number) for number in range(50)]
        responses = await asyncio.gather(*sends)
        bodies = sorted(int(arrival.body) for arrival in peer.arrived)
    _expect(all(response.status == 200 for response in responses), "a response is missing")  # noqa: PLR2004
    _expect(bodies == list(range(50)), f"these arrived: {bodies}")


TRANSPORT_CHECKS: Final[tuple[TransportCheck, ...]] = (
    returns_every_status,
    follows_no_redirect,
    sends_what_it_is_given,
    sends_every_method,
    lowers_and_joins_header_names,
    refused_means_not_sent,
    silence_means_timeout,
    hanging_up_means_lost,
    a_broken_body_is_a_response,
    reads_no_more_than_allowed,
    errors_are_bare,
    cancelling_hangs_up,
    closes_more_than_once,
    many_at_once_keep_apart,
)
"""Every check, in the order of the promises."""


def _request(peer: Peer, *, method: str = "POST", path: str = "/v2/x", body: bytes | None = b"{}") -> Request:
    headers = {"Authorization": f"Bearer {_SECRET}", "Content-Type": "application/json"}
    url = peer.url + path
    return Request(method=method, url=url, headers=headers, body=body, max_response_bytes=2**16, secret=_SECRET)


async def _send(
    transport: Transport, peer: Peer, *, method: str = "POST", body: bytes | None = b"{}", total: float = _PATIENCE
) -> Response:
    return await transport.send(_request(peer, method=method, body=body), total=total)


async def _error(
    transport: Transport, peer: Peer, *, method: str = "POST", body: bytes | None = b"{}", total: float = _PATIENCE
) -> MidaError:
    try:
        response = await _send(transport, peer, method=method, body=body, total=total)
    except TransportError as error:
        return error
    message = f"{method} was expected to fail and brought {response!r}"
    raise AssertionError(message)


def _expect(condition: bool, otherwise: str) -> None:  # noqa: FBT001  there is nothing else to say
    if not condition:
        raise AssertionError(otherwise)
