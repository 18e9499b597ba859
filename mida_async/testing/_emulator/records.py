"""What the emulator remembers of what it saw and did."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs

import attrs

_Item = TypeVar("_Item")

_SECRET_HEADERS: Final = frozenset({"authorization", "x-api-key", "api-key"})


class Headers(Mapping[str, str]):
    """The headers of one request: found by name in any case, shown without credentials."""

    __slots__ = ("_values",)

    def __init__(self, pairs: Mapping[str, str]) -> None:
        self._values: Final = {name.lower(): value for name, value in pairs.items()}

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        shown = {name: "[redacted]" if name in _SECRET_HEADERS else value for name, value in self._values.items()}
        return f"Headers({shown!r})"


@attrs.define(kw_only=True, eq=False)
class ReceivedRequest:
    """
    One request that arrived.

    Attributes:
        method: The HTTP method.
        path: The path as it was sent, still escaped, without the query.
        query_string: What follows the question mark, still escaped.
        headers: The headers; their credentials are not shown.
        body: The body, as far as it was read.
        received_at: When it had arrived, in seconds on the emulator's clock (``loop.time()`` unless told otherwise).
        status: The status that was sent; None as long as there is none, which is for good after some faults.
    """

    method: str
    path: str
    query_string: str = ""
    headers: Headers = attrs.field(factory=lambda: Headers({}))
    body: bytes = attrs.field(default=b"", repr=False)
    received_at: float = 0.0
    status: int | None = None

    @property
    def query(self) -> Mapping[str, str]:
        """The query, unescaped; of a repeated name the last value."""
        return {name: values[-1] for name, values in self.query_lists.items()}

    @property
    def query_lists(self) -> Mapping[str, list[str]]:
        """The query, unescaped: all values of each name, in their order."""
        return parse_qs(self.query_string, keep_blank_values=True) if self.query_string else {}

    @property
    def json(self) -> Any:
        """
        The decoded body.

        Raises:
            ValueError: It is not JSON.
        """
        return json.loads(self.body)


@attrs.frozen(kw_only=True)
class RecordedEvent:
    """
    One event that was applied.

    Attributes:
        event_name: The name.
        mida_uuid: The identifier of that name in the request, or None.
        email: The same.
        id: The same.
        properties_json: The properties as JSON text, or None.
        received_at: When it was applied, in seconds on the emulator's clock.
        event_id: The number of the row that it made.
        visitor_id: The emulator's own number of the visitor.
        project_key: Where.
    """

    event_name: str
    mida_uuid: str | None
    email: str | None
    id: str | None
    properties_json: str | None
    received_at: float
    event_id: int
    visitor_id: int
    project_key: str

    @property
    def properties(self) -> dict[str, Any] | None:
        """The properties, decoded anew at each access; None where the request had none."""
        return None if self.properties_json is None else json.loads(self.properties_json)


@attrs.frozen(kw_only=True)
class RecordedKlaviyoEvent(RecordedEvent):
    """
    One event that was applied to the account of Klaviyo.

    Its ``event_name`` is the name of the metric, its ``id`` the ``external_id``, its ``visitor_id`` the emulator's own
    number of the profile; it has no ``mida_uuid``, and its ``project_key`` is empty.

    Attributes:
        profile_json: The attributes of the profile as JSON text, as they were sent.
        phone_number: The number of the profile, or None.
        time: When it happened, in ISO 8601, to the second; when it came where the request did not say.
        value: The value, or None.
        unique_id: The identifier; the time where the request had none.
    """

    profile_json: str
    phone_number: str | None
    time: str
    value: float | None
    unique_id: str

    @property
    def profile(self) -> dict[str, Any]:
        """The attributes of the profile as they were sent, decoded anew at each access."""
        profile: dict[str, Any] = json.loads(self.profile_json)
        return profile


@attrs.frozen(kw_only=True)
class EmulatorStatistics:
    """
    What happened since the emulator was made.

    Attributes:
        requests: Requests that arrived.
        recorded: Events that were applied.
        refused: Requests that a rate limit refused (429). Those of scripted faults are not among them.
        faults: Requests that got a fault.
    """

    requests: int
    recorded: int
    refused: int
    faults: int


class Log(list[_Item]):
    """
    A list that forgets its oldest tenth whenever it is full, and counts on.

    Args:
        keep: How many items it holds at most.
    """

    def __init__(self, keep: int) -> None:
        super().__init__()
        self.keep: Final = keep
        self.total = 0

    def add(self, item: _Item) -> None:
        """Append *item*."""
        if len(self) >= self.keep:
            del self[: max(1, self.keep // 10)]
        self.append(item)
        self.total += 1
