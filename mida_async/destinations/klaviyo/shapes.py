"""
How the parts of an event are put together, and taken apart again.

Sources: Create Event page, revisions 2023-01-24 (flat) and 2023-07-15 (nested); Bulk Create Events page, 2024-05-15.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from ..._core import codec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Encoded JSON holds no raw line break, so this is found between the two halves of a bulk body and nowhere else.
_SEPARATOR: Final = b"\n,"

_GROUP: Final = b'{"type":"event-bulk-create","attributes":{"profile":{"data":%b},"events":{"data":[%b]}}}'
_JOB: Final = b'{"data":{"type":"event-bulk-create-job","attributes":{"events-bulk-create":{"data":[%b]}}}}'


@attrs.frozen(kw_only=True)
class Shape:
    """
    A form that an event has in a body.

    Attributes:
        template: The parts ``profile``, ``metric``, ``properties`` and ``rest`` in their places.
        bulk: Whether the body is the half-finished part of a request, ``[PROFILE`` line break ``,EVENT]``.
        around: How many bytes the request of this event alone has more than its body.
    """

    template: bytes
    bulk: bool = False
    around: int = 0

    def written(self, *, profile: bytes, metric: bytes, properties: bytes, rest: bytes) -> bytes:
        """
        Put the encoded parts of an event together.

        Args:
            profile: An object.
            metric: The name, as JSON.
            properties: An object.
            rest: The other fields, without braces around them.
        """
        return self.template % {b"profile": profile, b"metric": metric, b"properties": properties, b"rest": rest}

    def attributes(self, body: bytes) -> dict[str, object]:
        """
        Return what a body says of its event beside its type.

        Args:
            body: What was written.
        """
        return self._within(json.loads(halves(body)[1] if self.bulk else body))

    def refilled(self, body: bytes, properties: bytes) -> bytes:
        """
        Return a body with other properties.

        Args:
            body: What was written.
            properties: An object, encoded.
        """
        before, event = halves(body) if self.bulk else (b"", body)
        content = json.loads(event)
        self._within(content)["properties"] = json.loads(properties)
        written = codec.encode(content)
        return b"[%b%b%b]" % (before, _SEPARATOR, written) if self.bulk else written

    def size(self, body: bytes) -> int:
        """
        Return how many bytes the request has that carries an event alone.

        Args:
            body: What was written.
        """
        return len(body) + self.around

    def _within(self, content: object) -> dict[str, object]:
        event = cast("dict[str, Any]", content)
        return cast("dict[str, object]", (event if self.bulk else event["data"])["attributes"])


def halves(body: bytes) -> tuple[bytes, bytes]:
    """
    Take a bulk body apart without decoding it.

    Args:
        body: What was written.

    Returns:
        The profile and the event.
    """
    profile, _, event = body[1:-1].partition(_SEPARATOR)
    return profile, event


def joined(groups: Iterable[tuple[bytes, Sequence[bytes]]]) -> bytes:
    """
    Make the body of a bulk request.

    Args:
        groups: Profiles, each with its events.
    """
    return _JOB % b",".join([_GROUP % (profile, b",".join(events)) for profile, events in groups])


_EVENT: Final = b'"properties":%(properties)b,"metric":{"data":{"type":"metric","attributes":{"name":%(metric)b}}}'

FLAT: Final = Shape(
    template=b'{"data":{"type":"event","attributes":{'
    b'"profile":%(profile)b,"metric":{"name":%(metric)b},"properties":%(properties)b,%(rest)b}}}'
)
"""One event, until 2023-06-15."""

NESTED: Final = Shape(
    template=b'{"data":{"type":"event","attributes":{' + _EVENT + b',"profile":{"data":%(profile)b},%(rest)b}}}'
)
"""One event, from 2023-07-15 on."""

BULK: Final = Shape(
    template=b"[%(profile)b" + _SEPARATOR + b'{"type":"event","attributes":{' + _EVENT + b",%(rest)b}}]",
    bulk=True,
    around=len(joined([(b"", [b""])])) - len(b"[\n,]"),
)
"""One of many events."""
