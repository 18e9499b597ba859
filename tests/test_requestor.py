"""The one loop of direct calls, on the virtual clock."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import attrs
import pytest

from mida_async import (
    APIError,
    AuthenticationError,
    BadRequestError,
    CertificateError,
    ConnectError,
    ConnectionLostError,
    DecodeError,
    InvalidRequestError,
    MidaError,
    RateLimitError,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
    Timeout,
    TransportError,
)
from mida_async._core.endpoints.table import ENDPOINTS
from mida_async._core.messages import Request, Response
from mida_async._core.request import Account
from mida_async._requestor import Requestor, Witness
from mida_async.models import EventDetails, EventPage, EventRecorded, GoalCreated
from mida_async.testing.clock import run_virtual

if TYPE_CHECKING:
    from collections.abc import Coroutine

KEY = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"
ACCOUNT = Account.create(project_key="p", api_key=KEY, base_url="https://mida.test", max_response_bytes=1000)

LIST = ENDPOINTS["events.list"]
RECORD = ENDPOINTS["events.record"]
CREATE_GOAL = ENDPOINTS["goals.create"]

PAGE = Response(status=200, body=b'{"success": true, "count": 0, "events": []}')
RECORDED = Response(status=200, body=b'{"success": true, "message": "Event recorded successfully"}')

Step: TypeAlias = Response | Exception
T = TypeVar("T")


@attrs.define
class MemoryTransport:
    """Answers from a list, one step a request; each takes *latency* seconds, at most as long as it is told."""

    steps: list[Step]
    latency: float = 0.0
    sent: list[tuple[float, Request]] = attrs.field(factory=list)
    totals: list[float] = attrs.field(factory=list)

    async def send(self, request: Request, *, total: float) -> Response:
        """Play the next step."""
        self.sent.append((asyncio.get_running_loop().time(), request))
        self.totals.append(total)
        await asyncio.sleep(min(self.latency, total))
        if self.latency > total:
            message = "no answer in time"
            raise RequestTimeoutError(message)
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    async def aclose(self) -> None:
        """Close nothing."""

    @property
    def times(self) -> list[float]:
        """When each request went out."""
        return [time for time, _ in self.sent]


@attrs.define
class Diary:
    """A witness that writes everything down."""

    lines: list[tuple[object, ...]] = attrs.field(factory=list)
    tokens: int = 0

    def sending(self, now: float) -> object:
        """Note that a request goes out."""
        self.tokens += 1
        self.lines.append(("sending", self.tokens, now))
        return self.tokens

    def answered(self, token: object, outcome: Response | TransportError | None, now: float) -> None:
        """Note what came back."""
        self.lines.append(("answered", token, outcome, now))


def _status(status: int, **headers: str) -> Response:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status=status, headers=fields, body=b'{"error": "said"}')


def _requestor(
    transport: MemoryTransport,
    *,
    retry: RetryPolicy | None = None,
    timeout: Timeout | None = None,
    witness: Witness | None = None,
    wall_now: float = 0.0,
) -> Requestor:
    return Requestor(
        transport,
        ACCOUNT,
        timeout=timeout or Timeout(),
        retry=retry or RetryPolicy(max_attempts=3, initial=0),
        witness=witness,
        wall_clock=lambda: wall_now,
    )


def _list(*steps: Step, **settings: object) -> tuple[EventPage | MidaError, MemoryTransport]:
    transport = MemoryTransport(list(steps))
    return _end(_requestor(transport, **settings).call(LIST, EventPage)), transport  # type: ignore[arg-type]


def _record(*steps: Step, **settings: object) -> tuple[EventRecorded | MidaError, MemoryTransport]:
    transport = MemoryTransport(list(steps))
    call = _requestor(transport, **settings).call(RECORD, EventRecorded, body=b"{}")  # type: ignore[arg-type]
    return _end(call), transport


def _end(call: Coroutine[Any, Any, T]) -> T | MidaError:
    end = _value_or_error(call)
    if isinstance(end, MidaError):
        assert (end.__cause__, end.__context__) == (None, None)
    return end


def _value_or_error(call: Coroutine[Any, Any, T]) -> T | MidaError:
    try:
        return run_virtual(call)
    except MidaError as error:
        return error


def test_a_call_sends_one_request_and_returns_the_model() -> None:
    """What is sent is what the endpoint and the arguments say; what is returned is the model."""
    transport = MemoryTransport([Response(status=200, body=b'{"success": true, "event": {"event_id": 7}}')])
    call = _requestor(transport).call(ENDPOINTS["events.get"], EventDetails, path={"event_id": 7}, query={"a": None})
    event = run_virtual(call)
    assert event == EventDetails(event_id=7)
    ((time, request),) = transport.sent
    assert (time, request.method, request.url) == (0.0, "GET", "https://mida.test/v2/project/p/event/7")
    assert (request.body, request.max_response_bytes) == (None, 1000)
    assert transport.totals == [60.0]


def test_bad_arguments_send_nothing() -> None:
    """A wrong id ends the call before the transport and the witness hear of it."""
    diary = Diary()
    transport = MemoryTransport([])
    call = _requestor(transport, witness=diary).call(ENDPOINTS["events.get"], EventDetails, path={"event_id": 0})
    assert isinstance(_end(call), InvalidRequestError)
    assert (transport.sent, diary.lines) == ([], [])


_HARMLESS: list[Step] = [
    ConnectError("refused"),
    _status(429),
    _status(429, retry_after="0"),
    _status(503, retry_after="0"),
    _status(408),
    _status(425),
]
_UNCERTAIN: list[Step] = [
    ConnectionLostError("gone"),
    RequestTimeoutError("late"),
    _status(500),
    _status(502),
    _status(503),
    _status(504),
]
_FINAL: list[Step] = [
    CertificateError("not trusted"),
    _status(301, location="https://evil.test/"),
    _status(400),
    _status(401),
    _status(403),
    _status(404),
    _status(406),
    _status(409),
    _status(422),
    Response(status=200, body=b"nonsense"),
    Response(status=200, body=b'{"success": false}'),
    Response(status=200, body=b"x", complete=False, oversized=True),
]


@pytest.mark.parametrize("step", _HARMLESS, ids=repr)
def test_what_did_no_harm_is_repeated(step: Step) -> None:
    """R9: what was not sent, or was refused without effect, is sent again, whatever the endpoint."""
    page, transport = _list(step, step, PAGE)
    assert (page, len(transport.sent)) == (EventPage(success=True, count=0), 3)
    recorded, transport = _record(step, RECORDED)
    assert (recorded, len(transport.sent)) == (EventRecorded(success=True, message="Event recorded successfully"), 2)


@pytest.mark.parametrize("step", _UNCERTAIN, ids=repr)
def test_what_is_uncertain_is_repeated_only_where_that_is_safe(step: Step) -> None:
    """R9: with an unknown outcome a list is asked for again, and an event is not recorded again."""
    page, transport = _list(step, PAGE)
    assert (page, len(transport.sent)) == (EventPage(success=True, count=0), 2)
    error, transport = _record(step, RECORDED)
    assert len(transport.sent) == 1
    assert isinstance(error, MidaError)
    assert error.maybe_applied


@pytest.mark.parametrize("step", _FINAL, ids=repr)
def test_what_is_final_is_not_repeated(step: Step) -> None:
    """R9: what the server will say again ends the call at once, even where repeating were safe."""
    error, transport = _list(step, PAGE)
    assert isinstance(error, MidaError)
    assert not error.retriable
    assert len(transport.sent) == 1


@pytest.mark.parametrize(("attempts", "sent"), [(1, 1), (2, 2), (5, 5)])
def test_attempts_are_counted(attempts: int, sent: int) -> None:
    """The last error is raised after as many attempts as the policy allows, the first included."""
    steps = [ConnectError(f"number {number}") for number in range(10)]
    error, transport = _list(*steps, retry=RetryPolicy(max_attempts=attempts, initial=0))
    assert (str(error), len(transport.sent)) == (f"number {attempts - 1}", sent)


def test_pauses_grow_up_to_the_policys_maximum() -> None:
    """Each pause is at most twice the ceiling of the one before, and none is over the maximum."""
    steps = [ConnectError("x")] * 9
    _, transport = _list(*steps, PAGE, retry=RetryPolicy(max_attempts=10, initial=0.5, maximum=2))
    pauses = [after - before for before, after in zip(transport.times, transport.times[1:], strict=False)]
    assert len(pauses) == 9
    assert all(pause <= ceiling for pause, ceiling in zip(pauses, [0.5, 1, 2, 2, 2, 2, 2, 2, 2], strict=True))
    assert sum(pauses) > 0


def test_retry_after_is_a_floor() -> None:
    """R8: a pause is never shorter than the server asked for, in seconds or as a date."""
    date = _status(503, retry_after="Mon, 15 Jan 2024 10:30:07 GMT")
    _, transport = _list(_status(429, retry_after="5"), date, PAGE, wall_now=1705314600.0)
    assert transport.times == [0.0, 5.0, 12.0]


def test_a_pause_that_would_be_too_long_is_not_begun() -> None:
    """Where the pause would end after the deadline, the error is raised at once."""

    async def main() -> float:
        transport = MemoryTransport([_status(429, retry_after="60"), PAGE])
        with pytest.raises(RateLimitError) as caught:
            await _requestor(transport).call(LIST, EventPage)
        assert caught.value.retry_after == 60.0
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 0.0


def test_the_total_bounds_all_attempts_together() -> None:
    """Each attempt gets what is left of the total, and the call ends by then."""
    transport = MemoryTransport([ConnectError("x")] * 20, latency=3.0)

    async def main() -> float:
        call = _requestor(transport, timeout=Timeout(total=10), retry=RetryPolicy(max_attempts=20, initial=0))
        with pytest.raises(RequestTimeoutError):
            await call.call(LIST, EventPage)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 10.0
    assert transport.totals == [10.0, 7.0, 4.0, 1.0]


_CUT = Response(status=200, body=b'{"success": tr', complete=False)


def test_a_success_that_was_cut_is_asked_for_again_where_that_is_safe() -> None:
    """The answer of a list that broke off is fetched again."""
    page, transport = _list(_CUT, PAGE)
    assert (page, len(transport.sent)) == (EventPage(success=True, count=0), 2)


def test_a_success_that_was_cut_may_have_been_applied() -> None:
    """A creation whose answer broke off is not repeated, and its error says that it may have been applied."""
    transport = MemoryTransport([_CUT, PAGE])
    error = _end(_requestor(transport).call(CREATE_GOAL, GoalCreated, body=b"{}"))
    assert isinstance(error, ConnectionLostError)
    assert error.maybe_applied
    assert str(error) == "HTTP 200, then the answer broke off after 14 bytes (POST /v2/project/p/goal)"
    assert len(transport.sent) == 1


@pytest.mark.parametrize(
    "answer", [_CUT, Response(status=200), Response(status=200, body=b"x", complete=False, oversized=True)], ids=repr
)
def test_an_accepted_event_is_never_sent_again(answer: Response) -> None:
    """R9: any 2xx to a recorded event is its end, whatever became of the body."""
    recorded, transport = _record(answer, RECORDED)
    assert (recorded, len(transport.sent)) == (EventRecorded(), 1)


def test_errors_are_the_typed_ones() -> None:
    """Each refusal is raised as its class, with method and path and without the key."""
    for status, cls in ((400, BadRequestError), (401, AuthenticationError), (418, APIError)):
        body = json.dumps({"error": f"Bearer {KEY} is odd"}).encode()
        error, _ = _list(Response(status=status, body=body))
        assert type(error) is cls
        assert isinstance(error, APIError)
        assert error.request == "GET /v2/project/p/events"
        assert KEY not in f"{error!s} {error!r} {error.args} {error.__dict__}"


def test_what_cannot_be_read_is_a_decode_error() -> None:
    """A list that is not JSON is not asked for again: it would come the same."""
    error, transport = _list(Response(status=200, body=b"<html>"), PAGE)
    assert isinstance(error, DecodeError)
    assert len(transport.sent) == 1


def test_the_witness_sees_every_attempt() -> None:
    """R9: each attempt is told with its outcome and the loop's time, one that is refused as well."""
    diary = Diary()
    lost, busy = ConnectError("x"), _status(429, retry_after="5")
    _list(lost, busy, PAGE, witness=diary)
    assert diary.lines == [
        ("sending", 1, 0.0),
        ("answered", 1, lost, 0.0),
        ("sending", 2, 0.0),
        ("answered", 2, busy, 0.0),
        ("sending", 3, 5.0),
        ("answered", 3, PAGE, 5.0),
    ]


def test_the_witness_hears_of_a_cancelled_attempt() -> None:
    """No attempt stays open: one that was cancelled in flight is answered with None."""
    diary = Diary()

    async def main() -> None:
        requestor = _requestor(MemoryTransport([PAGE], latency=10), witness=diary)
        task = asyncio.create_task(requestor.call(LIST, EventPage))
        await asyncio.sleep(4)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_virtual(main())
    assert diary.lines == [("sending", 1, 0.0), ("answered", 1, None, 4.0)]


def test_the_witness_hears_of_an_attempt_that_broke_down() -> None:
    """An exception that is none of ours passes, and leaves no attempt open."""
    diary = Diary()
    requestor = _requestor(MemoryTransport([ZeroDivisionError()]), witness=diary)
    with pytest.raises(ZeroDivisionError):
        run_virtual(requestor.call(LIST, EventPage))
    assert diary.lines == [("sending", 1, 0.0), ("answered", 1, None, 0.0)]


def test_cancelling_a_pause_ends_the_call() -> None:
    """A call that waits for its next attempt can be cancelled; nothing more is sent."""
    diary = Diary()
    transport = MemoryTransport([_status(429, retry_after="30"), PAGE])

    async def main() -> float:
        task = asyncio.create_task(_requestor(transport, witness=diary).call(LIST, EventPage))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 1.0
    assert len(transport.sent) == 1
    assert [line[0] for line in diary.lines] == ["sending", "answered"]


def test_calls_do_not_hold_each_other_up() -> None:
    """Concurrent calls go out at once: the requestor has no queue."""
    transport = MemoryTransport([PAGE] * 100, latency=1)

    async def main() -> float:
        requestor = _requestor(transport)
        await asyncio.gather(*(requestor.call(LIST, EventPage) for _ in range(100)))
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 1.0
    assert transport.times == [0.0] * 100


def test_server_errors_say_that_they_may_have_been_applied() -> None:
    """The last error of a call that gave up is the server's own."""
    error, transport = _list(*[_status(500)] * 3)
    assert type(error) is ServerError
    assert len(transport.sent) == 3
