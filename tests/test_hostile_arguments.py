"""Arguments of direct calls that nobody should give: one kind of error for all, and nothing goes out."""

from __future__ import annotations

import asyncio
import enum
import inspect
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pytest

from mida_async import UNSET, InvalidRequestError, MidaClient, MidaError, RetryPolicy, SettingsError
from mida_async._core.endpoints import Host
from mida_async._core.endpoints.table import ENDPOINTS
from mida_async._core.messages import Response
from mida_async.testing import MemoryTransport

if TYPE_CHECKING:
    from mida_async._core.messages import Request

KEY: Final = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"


class Silent:
    """Does not show itself."""

    def __repr__(self) -> str:
        raise NotImplementedError


class Unreadable(Mapping[str, object]):
    """Breaks when it is read."""

    def __getitem__(self, key: str) -> object:
        raise NotImplementedError

    def __iter__(self) -> Iterator[str]:
        raise NotImplementedError

    def __len__(self) -> int:
        return 1


class Loop(list[object]):
    """Breaks when it is gone through."""

    def __iter__(self) -> Iterator[object]:
        raise NotImplementedError


class Mask(str):
    """A text that claims to be another."""

    __slots__ = ()

    def __str__(self) -> str:
        return "../.."

    def strip(self, chars: str | None = None, /) -> str:
        """Claim to be full."""
        return f"full{chars}"


class Number(int):
    """A number that claims to be another."""

    def __str__(self) -> str:
        return "../.."

    __repr__ = __str__

    def __int__(self) -> int:
        return -1

    def __le__(self, other: object) -> bool:
        return True

    __ge__ = __gt__ = __lt__ = __le__


class Plain(str, enum.Enum):  # noqa: UP042 - whose str() is its name, unlike that of a StrEnum
    """A text with a name."""

    OTHER = "other-project"


def _deep(levels: int) -> object:
    value: object = []
    for _ in range(levels):
        value = [value]
    return value


_ENDLESS: Final[list[object]] = []
_ENDLESS.append(_ENDLESS)

# Nothing takes any of these, in no place.
BAD: Final[Mapping[str, object]] = {
    "not a number": float("nan"),
    "infinity": float("inf"),
    "huge": 10**5000,
    "too many bits": 2**63,
    "bytes": b"x",
    "bytearray": bytearray(b"x"),
    "memoryview": memoryview(b"x"),
    "set": {1},
    "complex": 1j,
    "generator": iter(()),
    "class": int,
    "function": len,
    "surrogate": "\ud800",
    "too small": -50,
    "endless": _ENDLESS,
    "deep": _deep(100_000),
    "within": {"a": _ENDLESS},
    "no keys": {1: 2},
    "silent": Silent(),
    "in a list": [Silent()],
    "in a mapping": {"a": Silent()},
    "half": {"a": "\ud800"},
    "unreadable": Unreadable(),
    "unreadable item": [Unreadable()],
    "loop": Loop([1]),
    "the key as bytes": KEY.encode(),
    "an error with the key": ValueError(KEY),
    "lists of it": [[KEY]],
}

# In a path, or where a number must be, these are wrong, too.
NO_ID: Final = (0, -1, True, 1.0, "1", "", " ", "..", "%2e%2e", "/", "1/..", "\n", "\0", "\u0661", None, UNSET, KEY)
NO_KEY: Final = (*NO_ID[:4], "", " ", "..", "%2e%2e", "/", "a/..", "a\n", "a\0", "\u0661", KEY, f"{KEY}x")

_VALID: Final[Mapping[str, object]] = {
    "event_name": "a",
    "event_text": "a",
    "id": "ann",
    "goal_name": "a",
    "goal_type": "event",
    "goal_value": "a",
    "test_name": "a",
    "variants": [{}],
    "url": "https://example.com/",
    "status": 1,
    "comment": "a",
    "variant_id": "1",
    "traffic_allocation": 5,
    "name": "a",
    "tests": [1, 2],
    "strategy": "accounts",
    "page_urls": ["a"],
    "accounts": ["a"],
    "project_key": "other",
    "website_name": "a",
    "weekly_ai_summary_enabled": True,
}

# Of these arguments one has to be given, although none has to.
_ONE_OF_MANY: Final[Mapping[str, str]] = {
    "events.record": "id",
    "events.update": "event_text",
    "goals.update": "goal_name",
    "experiments.create": "url",
    "experiments.update": "test_name",
    "exclusion_groups.update": "name",
    "projects.create": "name",
    "projects.update": "name",
    "projects.update_configuration": "weekly_ai_summary_enabled",
    "personalization.create_campaign": "accounts",
}


class Seen:
    """A client, and all that it sent."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        transport = MemoryTransport(self._answer)
        self.mida = MidaClient(
            "PjK_0", KEY, base_url="https://mida.test", transport=transport, retry=RetryPolicy(max_attempts=1)
        )

    def _answer(self, request: Request) -> Response:
        self.requests.append(request)
        return Response(status=200, body=b'{"success": true}')

    async def call(self, name: str, arguments: Mapping[str, object]) -> None:
        """Make a call; that its answer is none is no matter here."""
        section, _, verb = name.partition(".")
        returned: Awaitable[object] | AsyncGenerator[object, None]
        returned = getattr(getattr(self.mida, section), verb)(**arguments)
        try:
            if isinstance(returned, AsyncGenerator):
                async for _row in returned:
                    break
                await returned.aclose()
            else:
                await returned
        except InvalidRequestError:
            raise
        except MidaError:
            assert self.requests


def _signature(name: str) -> inspect.Signature:
    section, _, verb = name.partition(".")
    client = MidaClient("p", "k", region="us")
    return inspect.signature(getattr(getattr(client, section), verb))


def _valid(name: str, signature: inspect.Signature) -> dict[str, object]:
    """Return arguments with which the call goes out."""
    needed: dict[str, object] = {
        key: _VALID.get(key, 1)
        for key, parameter in signature.parameters.items()
        if parameter.default is parameter.empty
    }
    more = _ONE_OF_MANY.get(name)
    return needed if more is None else {**needed, more: _VALID[more]}


def _secrets_in(error: BaseException | None) -> list[str]:
    shown = []
    while error is not None:
        shown += [text for text in (str(error), repr(error)) if KEY in text]
        error = error.__cause__ or error.__context__
    return shown


METHODS: Final = [row.name for row in ENDPOINTS.values() if row.host is Host.REST]
EACH: Final = pytest.mark.parametrize("name", METHODS)


def _run(test: Callable[[Seen], Awaitable[None]]) -> None:
    async def main() -> None:
        seen = Seen()
        async with seen.mida:
            await test(seen)

    asyncio.run(main())


@EACH
def test_what_no_argument_can_be_is_refused(name: str) -> None:
    """R17: a wrong argument is one kind of error; nothing is sent and no key shown, whatever the object does."""
    signature = _signature(name)

    async def test(seen: Seen) -> None:
        for parameter in signature.parameters:
            for what, bad in BAD.items():
                with pytest.raises(InvalidRequestError) as caught:
                    await seen.call(name, {**_valid(name, signature), parameter: bad})
                assert (_secrets_in(caught.value), what, parameter) == ([], what, parameter)
        assert seen.requests == []
        await seen.call(name, _valid(name, signature))
        assert len(seen.requests) == 1

    _run(test)


@EACH
def test_an_id_is_a_positive_number(name: str) -> None:
    """R17: nothing else comes into an address, and no message shows the API key that somebody gave instead."""
    signature = _signature(name)
    ids = [field.name for field in ENDPOINTS[name].fields if field.place == "path" and field.name != "project_key"]

    async def test(seen: Seen) -> None:
        for parameter in ids:
            for bad in NO_ID:
                with pytest.raises(InvalidRequestError, match=f"^{parameter} |holds the API key") as caught:
                    await seen.call(name, {**_valid(name, signature), parameter: bad})
                assert _secrets_in(caught.value) == []
            assert seen.requests == []
            await seen.call(name, {**_valid(name, signature), parameter: Number(7)})
            assert "/7" in seen.requests.pop().url

    _run(test)


@pytest.mark.parametrize("name", ["projects.get", "projects.update", "projects.delete"])
def test_a_project_key_is_checked(name: str) -> None:
    """R17: a wrong address may delete another project; a text goes out as what it is, not as it shows itself."""

    async def test(seen: Seen) -> None:
        valid = _valid(name, _signature(name))
        for bad in NO_KEY:
            with pytest.raises(InvalidRequestError, match=r"project_key must consist of|holds the API key") as caught:
                await seen.call(name, {**valid, "project_key": bad})
            assert _secrets_in(caught.value) == []
        assert seen.requests == []
        for odd in (Mask("other-project"), Plain.OTHER):
            await seen.call(name, {**valid, "project_key": odd})
            assert urlsplit(seen.requests.pop().url).path == "/v2/project/other-project"

    _run(test)


def test_nothing_deletes_the_own_project_by_mistake() -> None:
    """R17: neither None nor UNSET stands for the client's own project where it is deleted."""

    async def test(seen: Seen) -> None:
        for nothing in (None, UNSET, ""):
            with pytest.raises(InvalidRequestError, match="project_key"):
                await seen.call("projects.delete", {"project_key": nothing})
        assert seen.requests == []

    _run(test)


@EACH
def test_what_is_needed_cannot_be_unset(name: str) -> None:
    """UNSET means "not given", and what a method needs has to be given."""
    signature = _signature(name)
    needed = [parameter.name for parameter in signature.parameters.values() if parameter.default is parameter.empty]

    async def test(seen: Seen) -> None:
        for parameter in needed:
            with pytest.raises(InvalidRequestError, match=f"^{parameter} "):
                await seen.call(name, {**_valid(name, signature), parameter: UNSET})
        assert seen.requests == []

    _run(test)


def test_the_key_goes_out_in_no_query() -> None:
    """R17: given as something to look for, the API key would be in addresses, which are logged everywhere."""

    async def test(seen: Seen) -> None:
        calls: dict[str, dict[str, object]] = {
            "events.list": {"event_text": KEY},
            "experiments.result": {
                "test_id": 1,
                "custom_filter": [[{"criteria": "a", "operator": "==", "value": KEY}]],
            },
            "personalization.suggested_pages": {"accounts": ["a", KEY]},
        }
        for name, arguments in calls.items():
            with pytest.raises(InvalidRequestError, match="holds the API key") as caught:
                await seen.call(name, arguments)
            assert _secrets_in(caught.value) == []
        assert seen.requests == []

    _run(test)


@pytest.mark.parametrize("before", ["", "x" * 20, "x" * 40])
def test_the_beginning_of_the_key_is_not_shown_either(before: str) -> None:
    """R17: a value that is cut off in a message may end with most of the key."""

    async def test(seen: Seen) -> None:
        with pytest.raises(InvalidRequestError) as caught:
            await seen.call("events.get", {"event_id": f"{before}{KEY}" if before else f"{KEY}{'x' * 40}"})
        assert KEY[:8] not in str(caught.value)

    _run(test)


def test_a_word_that_stands_for_a_key_is_left_in_messages() -> None:
    """R17: what is too short to be a secret is no reason to make messages unreadable."""

    async def main() -> None:
        async with MidaClient("project", "key", region="us") as mida:
            with pytest.raises(InvalidRequestError, match=r"^goal_key is 7; it must be a string"):
                await mida.experiments.result(1, goal_key=7)  # type: ignore[arg-type]

    asyncio.run(main())


def test_the_two_keys_are_not_the_same() -> None:
    """R17: the project key is in every address, so the API key cannot be one."""
    with pytest.raises(SettingsError, match="are the same") as caught:
        MidaClient(KEY, KEY, region="us")
    assert KEY not in repr(caught.value)
    assert "unknown" in repr(MidaClient("unknown", "unknown", region="us"))


def test_a_key_of_an_experiment_is_made_up_for_unset() -> None:
    """A new experiment is repeated, so there is no way to send it without a key by which a repetition is recognised."""

    async def test(seen: Seen) -> None:
        valid = _valid("experiments.create", _signature("experiments.create"))
        for nothing in (None, UNSET):
            await seen.call("experiments.create", {**valid, "idempotency_key": nothing})
        keys = [_body(request)["idempotency_key"] for request in seen.requests]
        assert len({*keys}) == len(keys) == 2
        assert all(len(key) == 32 for key in keys)

    _run(test)


def _body(request: Request) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(request.body or b"{}")
    return body


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("experiments.create", {"test_name": "a", "variants": [{}], "url": UNSET, "page_urls": UNSET}),
        ("projects.create", {"name": UNSET}),
        ("personalization.create_campaign", {"strategy": "personas", "page_urls": ["a"], "personas": UNSET}),
        (
            "personalization.create_campaign",
            {"strategy": "accounts", "page_urls": ["a"], "accounts": [{"domain": "a"}]},
        ),
        ("personalization.add_accounts", {"campaign_id": 1, "accounts": [{"name": " "}]}),
        ("personalization.create_campaign", {"strategy": "personas", "page_urls": ["a"], "personas": [{"name": "a"}]}),
        ("projects.update_configuration", {"secondary_goals": [{"name": "a"}]}),
        ("projects.update_configuration", {"secondary_goals": [{"text": "", "name": "a"}]}),
        ("events.list", {"start_date": "2024-01-02", "end_date": "2024-01-01"}),
        ("events.iter", {"start_date": "2024-01-02", "end_date": "2024-01-01"}),
    ],
)
def test_what_is_needed_together_is_checked(name: str, arguments: dict[str, object]) -> None:
    """Of some arguments one is needed, and days have an order; what is UNSET is as little given as None is."""

    async def test(seen: Seen) -> None:
        with pytest.raises(InvalidRequestError):
            await seen.call(name, arguments)
        assert seen.requests == []

    _run(test)


def test_any_sequence_is_a_list() -> None:
    """What type checkers take for a list is one: ranges, tuples and others."""

    async def test(seen: Seen) -> None:
        await seen.call("exclusion_groups.create", {"name": "a", "tests": range(1, 3)})
        assert _body(seen.requests[0])["tests"] == [{"test_id": 1}, {"test_id": 2}]
        await seen.call("experiments.metrics", {"test_id": 1, "metric_batch": range(2)})
        assert seen.requests[1].url.endswith("?metric_batch=%5B0%2C1%5D")

    _run(test)
