"""
Every exception that this package raises.

* MidaError
  - SettingsError (ValueError)           the set-up is wrong
  - InvalidRequestError (ValueError)     a bad argument of a direct call; nothing was sent
  - InvalidEventError (ValueError)       this record cannot be sent; nothing was queued
  x TransportError                       retriable
    - ConnectError                       nothing was sent
      - CertificateError                 the server's certificate is not trusted; not retriable
      - ClientClosedError                the client was closed; not retriable
    - ConnectionLostError                maybe applied
    - RequestTimeoutError                maybe applied
  x APIError                             the server answered with a refusal
    - BadRequestError                    400
      - VisitorNotFoundError             400, no visitor matches
    - AuthenticationError                401, or 400 where it is about the key
    - ForbiddenError                     403
      - PlanLimitError                   403, the plan allows no more
    - NotFoundError                      404
    - ConflictError                      406, 409
    - RateLimitError                     429, retriable
    - ServerError                        5xx, retriable, maybe applied
  - DecodeError                          the answer is not what was promised
  x DeliveryError                        seen on deliveries, or raised by the buffer
    - BufferFullError
    - BufferClosedError
    - EventDroppedError
    - EventExpiredError
    - AmbiguousDeliveryError
    - SpoolError

``retriable`` says whether the same call may succeed later, ``maybe_applied`` whether the server may have carried it out
although it looks failed. Both are class attributes.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self, TypeVar

_Error = TypeVar("_Error", bound="MidaError")


class MidaError(Exception):
    """The base of every exception that this package raises."""

    retriable: ClassVar[bool] = False
    maybe_applied: ClassVar[bool] = False

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own way calls the class with `args`, which breaks keyword-only parameters. A foreign cause is left
        # behind, because many of them (aiohttp's among them) do not pickle.
        cause = self.__cause__ if isinstance(self.__cause__, MidaError) else None
        return _rebuild, (type(self), self.args, dict(self.__dict__), cause)

    def __copy__(self) -> Self:
        twin: Self = _rebuild(type(self), self.args, dict(self.__dict__), self.__cause__)
        twin.__suppress_context__ = self.__suppress_context__
        return twin


def _rebuild(cls: type[_Error], args: tuple[Any, ...], state: dict[str, Any], cause: BaseException | None) -> _Error:
    error = cls.__new__(cls, *args)
    error.__dict__.update(state)
    error.__cause__ = cause
    return error


class SettingsError(MidaError, ValueError):
    """The client is set up wrongly: a setting, an address, a credential, or the event loop it is used on."""


class InvalidRequestError(MidaError, ValueError):
    """An id, a limit or another argument of a direct call is wrong; nothing was sent."""


class InvalidEventError(MidaError, ValueError):
    """This record can never be sent as it is; nothing was queued."""


class TransportError(MidaError):
    """The request did not bring back an answer."""

    retriable = True


class ConnectError(TransportError):
    """No connection came about, or it was lost before the body was started: nothing was sent."""


class CertificateError(ConnectError):
    """The server's certificate is not trusted or is for another host; nothing was sent."""

    retriable = False


class ClientClosedError(ConnectError):
    """The client, or the session that it was lent, is closed; nothing was sent."""

    retriable = False


class ConnectionLostError(TransportError):
    """The connection broke after the request was handed over: it may have been applied."""

    maybe_applied = True


class RequestTimeoutError(TransportError):
    """No answer came in time: the request may have been applied."""

    maybe_applied = True


class APIError(MidaError):
    """
    The server answered and refused.

    Attributes:
        status: The HTTP status.
        message: What the server said, or the reason phrase where it said nothing.
        body: The decoded body; its text where it is not JSON; None where there was none.
        request: Method and path of the request, such as ``POST /v2/project/abc/event``. Never a header.
        retry_after: The seconds that the server asked to wait, or None where it did not ask.
        code: The server's word for this kind of refusal; blank where it sends none. This and the next three are from
            the first error of an answer in the form of JSON:API.
        title: What this kind of refusal is about; blank where it sends none.
        detail: What was wrong this time; blank where it sends none.
        pointer: Where in the request it was, such as ``/data/attributes/time``; blank where it sends none.
    """

    hint: ClassVar[str] = ""

    code: str = ""
    title: str = ""
    detail: str = ""
    pointer: str = ""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        body: object = None,
        request: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.message = message
        self.status = status
        self.body = body
        self.request = request

    def __str__(self) -> str:
        where = f" ({self.request})" if self.request else ""
        hint = f": {self.hint}" if self.hint else ""
        return f"HTTP {self.status}: {self.message}{where}{hint}"


class BadRequestError(APIError):
    """400: the server found the request wrong, and names what in ``message``."""

    hint = "correct what the message names; the same request will be refused again"


class VisitorNotFoundError(BadRequestError):
    """400: no visitor has this identifier (yet)."""

    hint = "the browser script must have seen or identified this visitor first"


class AuthenticationError(APIError):
    """401, or 400 where its code is about the key: the API key is missing or wrong."""

    hint = "check the API key, and the region where the service has several"


class ForbiddenError(APIError):
    """403: the key is good, the action is not allowed."""

    hint = "the key, its role or the account's plan does not allow this"


class PlanLimitError(ForbiddenError):
    """403: the plan allows no more of these."""

    hint = "delete one that is no longer used, or upgrade the plan"


class NotFoundError(APIError):
    """404: there is no such thing, or it belongs to another project."""

    hint = "check the address and the ids in it, and the region where the service has several"


class ConflictError(APIError):
    """406 or 409: it exists already, or its state does not allow this."""

    hint = "it exists already or its state forbids this; read it before you try again"


class RateLimitError(APIError):
    """
    429: too many requests.

    Attributes:
        retry_after: The seconds that the server asked to wait, or None where it did not say.
    """

    retriable = True
    hint = "send less often; the buffer does that by itself"

    def __init__(
        self,
        message: str,
        *,
        status: int = 429,
        body: object = None,
        request: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, status=status, body=body, request=request, retry_after=retry_after)


class ServerError(APIError):
    """
    5xx: the server failed, perhaps after it had applied the request.

    Attributes:
        retry_after: The seconds that the server asked to wait, or None where it did not say.
    """

    retriable = True
    maybe_applied = True
    hint = "try again later"

    def __init__(
        self,
        message: str,
        *,
        status: int = 500,
        body: object = None,
        request: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, status=status, body=body, request=request, retry_after=retry_after)


class DecodeError(MidaError):
    """A success whose body is not JSON, is too long, or has not the promised shape; the message says where."""


class DeliveryError(MidaError):
    """The base of what befalls a record between its acceptance and its end."""


class BufferFullError(DeliveryError):
    """There is no room for this record now, or there never can be."""

    retriable = True


class BufferClosedError(DeliveryError):
    """The buffer was closed before this record was accepted or delivered."""


class EventDroppedError(DeliveryError):
    """The record gave way to another because the buffer was full."""


class EventExpiredError(DeliveryError):
    """The record's attempts or its age ran out; ``__cause__`` is the last failure."""


class AmbiguousDeliveryError(DeliveryError):
    """The record may or may not have been applied, and at most one attempt is allowed; ``__cause__`` says why."""

    maybe_applied = True


class SpoolError(DeliveryError):
    """The durable spool cannot be opened, read or written."""
