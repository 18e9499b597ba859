"""What the delivery engine must know of a service."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, Protocol, cast

import attrs

from .._errors import MidaError

if TYPE_CHECKING:
    from .._core.entry import Draft, Entry
    from .._core.messages import Request, Response

P = ParamSpec("P")


@attrs.frozen(kw_only=True)
class Judgement:
    """
    What a response means for the record that it answers.

    Attributes:
        error: Why the record was refused; None where it was accepted.
        body: What the receipt shows.
    """

    error: MidaError | None = None
    body: object = None


class Destination(Protocol[P]):
    """
    Encodes events for a service and judges its answers. The engine knows a service by this alone.

    1. :meth:`encode` takes what ``record()`` takes. It checks everything that can be checked without the service, and
    what
       it returns does not change when the caller's objects do.
    2. :meth:`request` makes the same request for the same body.
    3. :meth:`judge` accepts any 2xx, whatever its body: what the service took must not be sent again.
    """

    def encode(self, *args: P.args, **kwargs: P.kwargs) -> Draft:
        """
        Check one event and encode it.

        Raises:
            InvalidEventError: It cannot be sent; the message names field, problem and limit.
        """
        ...

    def fold(self, body: bytes, properties: object) -> bytes:
        """
        Encode an event again, with other properties.

        Args:
            body: An encoded event.
            properties: What takes the place of its properties.

        Raises:
            InvalidEventError: These properties cannot be sent.
        """
        ...

    def request(self, body: bytes) -> Request:
        """
        Wrap an encoded event into the request that delivers it.

        Args:
            body: What :meth:`encode` made.
        """
        ...

    def judge(self, response: Response, wall_now: float) -> Judgement:
        """
        Say what *response* means.

        Args:
            response: What the service answered.
            wall_now: Seconds since the epoch, to read dates in headers.
        """
        ...


def destination_of(record: Draft | Entry, usual: Destination[...]) -> Destination[...]:
    """
    Return the destination that a record goes to.

    Args:
        record: It may name a destination of its own.
        usual: That of its buffer.
    """
    return usual if record.destination is None else cast("Destination[...]", record.destination)
