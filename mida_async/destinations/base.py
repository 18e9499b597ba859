"""What the delivery engine must know of a service."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec, Protocol, cast

import attrs

from .._core.batch import Blame
from .._errors import MidaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._core.batch import BatchLimits
    from .._core.entry import Draft, Entry
    from .._core.messages import Request, Response

P = ParamSpec("P")


@attrs.define(kw_only=True)  # not frozen: that takes twice the time, and one is made for each request
class Judgement:
    """
    What a response means for the record that it answers. Nobody changes it.

    Attributes:
        error: Why the record was refused; None where it was accepted.
        blame: Which records of a refused request the error is about; None where it is about all of them, or where the
            request carried one alone.
        read: Returns what the receipt shows, where that takes its time: of most records nobody looks at the receipt,
            which shows nothing where this raises.
    """

    error: MidaError | None = None
    _body: object = attrs.field(default=None, alias="body")
    blame: Blame | None = None
    read: Callable[[], object] | None = attrs.field(default=None, repr=False, eq=False)

    @property
    def body(self) -> object:
        """What the receipt shows."""
        return self._body if self.read is None else self.read()


class Batch(Protocol):
    """
    Puts several encoded events into one request.

    1. :meth:`request` makes the same request for the same bodies, and lets them follow each other in their order.
    2. :meth:`judge` accepts any 2xx, whatever its body. It blames single records only for a refusal of which it is
       known that the request as a whole had no effect.
    """

    @property
    def limits(self) -> BatchLimits:
        """How much one request carries."""
        ...

    def request(self, bodies: Sequence[bytes]) -> Request:
        """
        Wrap encoded events into the request that delivers them.

        Args:
            bodies: What the destination's ``encode`` made, one or more; records of one visitor stand together.
        """
        ...

    def judge(self, response: Response, bodies: Sequence[bytes], wall_now: float) -> Judgement:
        """
        Say what *response* means for each of the events.

        Args:
            response: What the service answered.
            bodies: What was sent.
            wall_now: Seconds since the epoch, to read dates in headers.
        """
        ...


class Destination(Protocol[P]):
    """
    Encodes events for a service and judges its answers. The engine knows a service by this alone.

    1. :meth:`encode` takes what ``record()`` takes. It checks everything that can be checked without the service, and
       what it returns does not change when the caller's objects do.
    2. :meth:`request` makes the same request for the same body.
    3. :meth:`judge` accepts any 2xx, whatever its body: what the service took must not be sent again.
    """

    @property
    def name(self) -> str:
        """What a spool writes beside its records, so that they go there again."""
        ...

    @property
    def repeatable(self) -> bool:
        """Whether the service knows a request that it gets twice, so that any is safe to repeat."""
        ...

    @property
    def batch(self) -> Batch | None:
        """How several records go in one request; None where each goes alone."""
        ...

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
