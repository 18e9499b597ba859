"""One direct call: from its arguments to a model or a typed error, with one loop of attempts."""

from __future__ import annotations

import asyncio
import itertools
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from ._core.endpoints import Repeat
from ._core.messages import Response
from ._core.request import build
from ._core.response import error_from
from ._core.retry import pause
from ._core.verdict import Failure, classify, retry_after_of
from ._errors import ClientClosedError, ConnectionLostError, MidaError, TransportError
from ._transport.base import closed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._core.endpoints import Endpoint
    from ._core.messages import Request
    from ._core.request import Account
    from ._settings import RetryPolicy, Timeout
    from ._transport.base import Transport

T = TypeVar("T")

_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})


class Witness(Protocol):
    """
    Is told of every attempt, so that direct calls count where rates are kept. It never holds one up.

    1. Each :meth:`sending` is followed by exactly one :meth:`answered` with its token, whatever happens.
    2. The times are the running loop's.
    3. It does not raise.
    """

    def sending(self, now: float) -> object:
        """
        Note that a request is about to go out.

        Args:
            now: The loop's time.

        Returns:
            What names this attempt.
        """
        ...

    def answered(self, token: object, outcome: Response | TransportError | None, now: float) -> None:
        """
        Note how the attempt ended.

        Args:
            token: What :meth:`sending` returned.
            outcome: The response or the failure. None where the call was cancelled or broke down before either: the
                request may have reached the server.
            now: The loop's time.
        """
        ...


class Exchange:
    """
    Sends one request until it has its answer.

    A failure is repeated where that is known to be harmless: when nothing was sent, when the server refused without
    acting, and for requests that may be repeated also when it is unknown what became of them.

    Args:
        transport: Sends one request, once.
        timeout: ``total`` bounds a whole call, with its repetitions and their pauses.
        retry: How often and after which pauses.
        witness: Is told of every attempt.
        wall_clock: Returns seconds since the epoch, to read dates in headers.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        timeout: Timeout,
        retry: RetryPolicy,
        witness: Witness | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._transport = transport
        self._timeout = timeout
        self._retry = retry
        self._witness = witness
        self._wall_clock = wall_clock
        self._closed = False

    def close(self) -> None:
        """Send nothing more; the transport may be somebody else's and stay open."""
        self._closed = True

    def check_open(self) -> None:
        """
        Refuse to work after :meth:`close`.

        Raises:
            ClientClosedError: It is closed.
        """
        if self._closed:
            raise closed()

    async def send(self, request: Request, read: Callable[[Response, float], T | MidaError], *, repeat: Repeat) -> T:
        """
        Send *request* and return what *read* makes of the answer.

        Waits for the answer and between attempts, ``timeout.total`` seconds at most. Cancelling closes the connection;
        the request may have been applied by then.

        Args:
            request: What to send.
            read: Makes the result of a response, or the error that it stands for; it is told the time since the epoch.
            repeat: Whether it may be sent again when its fate is unknown.

        Raises:
            ClientClosedError: The client is closed; nothing was sent.
            MidaError: What *read* returned, or a :class:`TransportError`.
        """
        self.check_open()
        deadline = asyncio.get_running_loop().time() + self._timeout.total
        for attempts in itertools.count(1):
            answer = await self._send(request, deadline)
            outcome = read(answer, self._wall_clock()) if isinstance(answer, Response) else answer
            if not isinstance(outcome, MidaError):
                return outcome
            await self._before_next(outcome, repeat, attempts, deadline)
        raise AssertionError  # pragma: no cover - the count has no end

    async def _before_next(self, error: MidaError, repeat: Repeat, attempts: int, deadline: float) -> None:
        """Wait until the next attempt is due, or raise *error* where there shall be none."""
        if attempts >= self._retry.max_attempts or not _may_repeat(error, repeat):
            raise error
        wait = pause(self._retry, attempts, retry_after_of(error))
        if asyncio.get_running_loop().time() + wait >= deadline:
            raise error
        await asyncio.sleep(wait)

    async def _send(self, request: Request, deadline: float) -> Response | TransportError:
        witness = self._witness
        if witness is None:
            return await self._exchange(request, deadline)
        clock = asyncio.get_running_loop().time
        token = witness.sending(clock())
        outcome: Response | TransportError | None = None
        try:
            outcome = answer = await self._exchange(request, deadline)
        finally:
            witness.answered(token, outcome, clock())
        return answer

    async def _exchange(self, request: Request, deadline: float) -> Response | TransportError:
        try:
            return await self._transport.send(request, total=deadline - asyncio.get_running_loop().time())
        except TransportError as error:
            return error


class Requestor(Exchange):
    """
    Makes the direct calls of one account.

    Args:
        transport: Sends one request, once.
        account: Whose requests these are.
        timeout: ``total`` bounds a whole call, with its repetitions and their pauses.
        retry: How often and after which pauses.
        witness: Is told of every attempt.
        wall_clock: Returns seconds since the epoch, to read dates in headers.
    """

    def __init__(
        self,
        transport: Transport,
        account: Account,
        *,
        timeout: Timeout,
        retry: RetryPolicy,
        witness: Witness | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(transport, timeout=timeout, retry=retry, witness=witness, wall_clock=wall_clock)
        self._account = account

    @property
    def account(self) -> Account:
        """Whose requests these are."""
        return self._account

    async def call(
        self,
        endpoint: Endpoint,
        cls: type[T],
        *,
        path: Mapping[str, object] = _NOTHING,
        query: Mapping[str, object] | None = None,
        body: bytes | None = None,
    ) -> T:
        """
        Call *endpoint* and return its answer; see :meth:`Exchange.send`.

        Args:
            endpoint: What to call.
            cls: The model of its answer.
            path: The ids in its path.
            query: The fields of its query; those that are None or UNSET are left out.
            body: The encoded body.

        Raises:
            InvalidRequestError: An argument is wrong; nothing was sent.
            ClientClosedError: The client is closed; nothing was sent.
            TransportError: No answer came.
            APIError: The server refused.
            DecodeError: The answer is not what its page promises.
        """
        self.check_open()
        request = build(endpoint, self._account, path=path, query=query, body=body)

        def read(response: Response, wall_now: float) -> T | MidaError:
            label, secret = request.label, request.secret
            error = error_from(response, endpoint=endpoint, request=label, secret=secret, wall_now=wall_now)
            return _read(response, endpoint, cls, request) if error is None else error

        return await self.send(request, read, repeat=endpoint.repeat)


def _read(response: Response, endpoint: Endpoint, cls: type[T], request: Request) -> T | MidaError:
    """
    Read a success.

    One whose body was lost is repeated where that is harmless; elsewhere the request was applied and its answer is
    gone, which is what ``maybe_applied`` is for. Only a body that is too long will be so again.
    """
    if not response.complete and not response.oversized and endpoint.body_matters:
        message = f"HTTP {response.status}, then the answer broke off after {len(response.body)} bytes"
        return ConnectionLostError(f"{message} ({request.label})")
    from ._core.results import value_from

    try:
        return value_from(response, cls, endpoint=endpoint, secret=request.secret, request=request.label)
    except MidaError as error:
        return error.with_traceback(None)  # its frames hold the secret, and tools that report errors show frames


def _may_repeat(error: MidaError, repeat: Repeat) -> bool:
    if isinstance(error, ClientClosedError):
        return False
    match classify(error):
        case Failure.NOT_SENT | Failure.REFUSED:
            return True
        case Failure.AMBIGUOUS:
            return repeat is Repeat.SAFE
        case _:
            return False
