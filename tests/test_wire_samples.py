"""
Every call as it goes over the wire, against the samples of the vendor's pages.

The emulator only keeps what it received and plays the documented answers here, so a mistake that client and emulator
have in common is found, too.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from resource_calls import API_KEY, PROJECT_KEY, Calls, calling
from wire import SAMPLES

from mida_async import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    ConnectionLostError,
    ForbiddenError,
    NotFoundError,
    PlanLimitError,
    RateLimitError,
    RetryPolicy,
    ServerError,
    VisitorNotFoundError,
)
from mida_async._core.endpoints import Endpoint, Host, Repeat
from mida_async._core.endpoints.table import ENDPOINTS
from mida_async._core.request import USER_AGENT
from mida_async.testing import ReceivedRequest, ResetAfter, Status

if TYPE_CHECKING:
    from wire.base import Sample

ONCE = RetryPolicy(max_attempts=1)
ERRORS: dict[int, type[APIError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: ForbiddenError,
    404: NotFoundError,
    406: ConflictError,
    409: ConflictError,
    429: RateLimitError,
    500: ServerError,
}


def identify(samples: tuple[Sample, ...]) -> list[str]:
    """Return a name for each sample, the same in every process."""
    seen: Counter[str] = Counter()
    names = list[str]()
    for sample in samples:
        seen[sample.endpoint] += 1
        names.append(f"{sample.endpoint}-{seen[sample.endpoint]}")
    return names


ALL = pytest.mark.parametrize("sample", SAMPLES, ids=identify(SAMPLES))


def row_of(sample: Sample) -> Endpoint:
    """Return the row of the table that a sample is of."""
    return ENDPOINTS[sample.endpoint]


def label(request: ReceivedRequest) -> str:
    """Return method and address as samples write them."""
    path = request.path.replace(f"/v2/project/{PROJECT_KEY}", "P", 1)
    return f"{request.method} {path}" + (f"?{request.query_string}" if request.query_string else "")


def test_every_endpoint_has_a_sample() -> None:
    """No row of the table goes without a sample, and no sample without a row."""
    assert {sample.endpoint for sample in SAMPLES} == set(ENDPOINTS)


@ALL
def test_the_documented_call_goes_out_and_its_answer_comes_back(sample: Sample) -> None:
    """Method, address, headers and body are the documented ones, and the documented answer becomes the result."""

    async def test(call: Calls) -> None:
        row = row_of(sample)
        call.emulator.script(Status(row.status, body=json.dumps(sample.answer)))
        result = await sample.call(call.mida)
        (request,) = call.emulator.requests
        assert label(request) == sample.sent
        _check_headers(request, call, public=row.host is Host.SDK, with_body=sample.body is not None)
        _check_body(request.body, sample.body)
        assert result == sample.result
        assert type(result) is type(sample.result)

    calling(test)


def _check_body(body: bytes, expected: object) -> None:
    if expected is None:
        assert body == b""
        return
    assert json.loads(body) == expected
    assert len(body) == len(json.dumps(expected, separators=(",", ":"), ensure_ascii=False).encode())


def _check_headers(request: ReceivedRequest, call: Calls, *, public: bool, with_body: bool) -> None:
    headers = request.headers
    assert headers.get("authorization") == (None if public else f"Bearer {API_KEY}")
    assert API_KEY not in request.body.decode() + request.path + request.query_string
    assert (headers["accept"], headers["user-agent"]) == ("application/json", USER_AGENT)
    assert headers["host"] == call.emulator.base_url.removeprefix("http://")
    assert headers.get("content-type") == ("application/json" if with_body else None)
    assert headers.get("content-length", "0") == str(len(request.body))
    assert [name for name in ("x-api-key", "api-key", "cookie", "transfer-encoding") if name in headers] == []


@ALL
def test_keys_that_are_not_documented_are_kept(sample: Sample) -> None:
    """A field that the API adds one day is in ``extra`` on that day, wherever the result is an object."""
    if not attrs.has(type(sample.result)) or not isinstance(sample.answer, dict):
        pytest.skip("the result is no object")
    content: dict[str, Any] = json.loads(json.dumps(sample.answer))
    key = row_of(sample).key
    (content if key is None else content[key])["brand_new"] = {"a": [1]}

    async def test(call: Calls) -> None:
        call.emulator.script(Status(200, body=json.dumps(content)))
        result: Any = await sample.call(call.mida)
        assert result.extra["brand_new"] == {"a": [1]}

    calling(test)


@ALL
def test_each_documented_error_is_typed(sample: Sample) -> None:
    """Every status that the page documents, and those that any call may meet, arrive as their class."""
    row = row_of(sample)

    async def test(call: Calls) -> None:
        for status in sorted(row.errors | {401, 404, 429, 500}):
            call.emulator.script(Status(status, body={"error": "Sorry"}))
            with pytest.raises(APIError) as caught:
                await sample.call(call.mida)
            expected = PlanLimitError if status == 403 and row.plan_capped else ERRORS[status]
            assert type(caught.value) is expected
            assert (caught.value.status, caught.value.body) == (status, {"error": "Sorry"})
            place = sample.sent.partition("?")[0].replace(" P", f" /v2/project/{PROJECT_KEY}", 1)
            assert caught.value.request == place
            assert str(caught.value).startswith(f"HTTP {status}: Sorry ({place})")

    calling(test, retry=ONCE)


@ALL
def test_only_a_recorded_event_knows_visitors(sample: Sample) -> None:
    """R11: "no such visitor" is an error of its own where an event of a visitor is recorded, and nowhere else."""

    async def test(call: Calls) -> None:
        call.emulator.script(Status(400, body={"error": "Visitor not found"}))
        with pytest.raises(BadRequestError) as caught:
            await sample.call(call.mida)
        assert isinstance(caught.value, VisitorNotFoundError) == (sample.endpoint == "events.record")

    calling(test, retry=ONCE)


@ALL
def test_a_lost_answer_is_asked_for_again_only_where_that_is_harmless(sample: Sample) -> None:
    """R9: a call whose fate is unknown is repeated where the table says that it may be, with exactly the same body."""
    row = row_of(sample)

    async def test(call: Calls) -> None:
        call.emulator.script(ResetAfter(), Status(row.status, body=json.dumps(sample.answer), times=None))
        if row.repeat is Repeat.SAFE:
            assert await sample.call(call.mida) == sample.result
        else:
            with pytest.raises(ConnectionLostError) as caught:
                await sample.call(call.mida)
            assert caught.value.maybe_applied
        requests = list(call.emulator.requests)
        assert len(requests) == (2 if row.repeat is Repeat.SAFE else 1)
        assert len({(label(request), request.body) for request in requests}) == 1

    calling(test)
