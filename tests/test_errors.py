"""The errors: what each says about itself, and that they travel between processes whole."""

from __future__ import annotations

import copy
import inspect
import pickle
from types import MappingProxyType

import pytest

from mida_async import _errors
from mida_async._errors import (
    AmbiguousDeliveryError,
    APIError,
    ConflictError,
    EventExpiredError,
    InvalidEventError,
    MidaError,
    RateLimitError,
    ServerError,
    SettingsError,
    TransportError,
)

CLASSES = tuple(
    cls
    for name, cls in inspect.getmembers(_errors, inspect.isclass)
    if issubclass(cls, MidaError) and not name.startswith("_")
)
API_CLASSES = tuple(cls for cls in CLASSES if issubclass(cls, APIError))

RETRIABLE = {
    *("TransportError", "ConnectError", "ConnectionLostError", "RequestTimeoutError"),
    *("RateLimitError", "ServerError", "BufferFullError"),
}
MAYBE_APPLIED = {"ConnectionLostError", "RequestTimeoutError", "ServerError", "AmbiguousDeliveryError"}

PARENTS = MappingProxyType(
    {
        "BadRequestError": "APIError",
        "VisitorNotFoundError": "BadRequestError",
        "AuthenticationError": "APIError",
        "PlanLimitError": "ForbiddenError",
        "ConnectError": "TransportError",
        "CertificateError": "ConnectError",
        "RequestTimeoutError": "TransportError",
        "BufferFullError": "DeliveryError",
        "SpoolError": "DeliveryError",
        "SettingsError": "ValueError",
        "InvalidRequestError": "ValueError",
        "InvalidEventError": "ValueError",
    }
)


def make(cls: type[MidaError]) -> MidaError:
    """Return an error of this class with every attribute set to something that is not its default."""
    if issubclass(cls, RateLimitError | ServerError):
        return cls("busy", status=599, body={"a": [1]}, request="POST /v2/x", retry_after=1.5)
    if issubclass(cls, APIError):
        return cls("no", status=499, body={"a": [1]}, request="POST /v2/x")
    return cls("something is wrong")


def same(error: BaseException, twin: BaseException) -> bool:
    """Tell whether two errors have the same class, text and attributes."""
    return (type(error), str(error), error.args, vars(error)) == (type(twin), str(twin), twin.args, vars(twin))


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_copies_and_pickles_with_all_its_attributes(cls: type[MidaError]) -> None:
    """A copy, a deep copy and an error that went through any pickle protocol equal the original."""
    error = make(cls)
    twins = [copy.copy(error), copy.deepcopy(error)]
    twins += [pickle.loads(pickle.dumps(error, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]  # noqa: S301  our own bytes
    assert all(twin is not error and same(error, twin) for twin in twins)


@pytest.mark.parametrize("cls", [EventExpiredError, AmbiguousDeliveryError])
def test_a_cause_of_our_own_goes_along(cls: type[MidaError]) -> None:
    """What ended a record stays readable in another process, attributes and all."""
    error = cls("gave up")
    error.__cause__ = ServerError("down", status=502, retry_after=3.0)
    for twin in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301  our own bytes
        assert isinstance(twin.__cause__, ServerError)
        assert same(error.__cause__, twin.__cause__)
        assert twin.__suppress_context__ is error.__suppress_context__


def test_a_foreign_cause_stays_behind_when_pickled() -> None:
    """A cause that cannot be pickled does not keep the error itself from travelling; a copy keeps it."""
    error = TransportError("broken")
    error.__cause__ = OSError(lambda: None)
    assert pickle.loads(pickle.dumps(error)).__cause__ is None  # noqa: S301  our own bytes
    assert copy.copy(error).__cause__ is error.__cause__


def test_a_copy_shares_no_attributes_with_the_original() -> None:
    """An attribute set on a copy does not appear on the original."""
    error = make(APIError)
    twin = copy.copy(error)
    assert isinstance(error, APIError)
    assert isinstance(twin, APIError)
    twin.message = "other"
    assert error.message == "no"


@pytest.mark.parametrize("cls", CLASSES)
def test_the_class_says_whether_to_retry_and_whether_it_may_have_been_applied(cls: type[MidaError]) -> None:
    """``retriable`` and ``maybe_applied`` are class attributes with the documented values."""
    assert (cls.retriable, cls.maybe_applied) == (cls.__name__ in RETRIABLE, cls.__name__ in MAYBE_APPLIED)


@pytest.mark.parametrize(("name", "parent"), PARENTS.items())
def test_an_error_is_caught_by_its_documented_parent(name: str, parent: str) -> None:
    """``except`` with the parent, or with ``ValueError`` where it is documented, catches the error."""
    assert parent in {base.__name__ for base in getattr(_errors, name).__mro__[1:]}


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_has_one_root(cls: type[MidaError]) -> None:
    """``except MidaError`` catches all of them, and an ordinary ``ValueError`` handler only the wrong arguments."""
    assert issubclass(cls, MidaError)
    assert issubclass(cls, ValueError) == cls.__name__.startswith(("SettingsError", "Invalid"))


@pytest.mark.parametrize("cls", [cls for cls in API_CLASSES if cls is not APIError])
def test_a_refusal_says_what_to_do_next(cls: type[APIError]) -> None:
    """The text has the status, the server's words, the request, and advice of the class's own."""
    error = make(cls)
    assert isinstance(error, APIError)
    assert str(error) == f"HTTP {error.status}: {error.message} (POST /v2/x): {cls.hint}"
    assert len(cls.hint.split()) >= 3


def test_the_advice_differs_where_the_cause_differs() -> None:
    """No class of refusal just inherits its advice from another."""
    hints = [cls.hint for cls in API_CLASSES]
    assert len(set(hints)) == len(hints)


def test_a_refusal_without_details_has_a_plain_text() -> None:
    """An unknown refusal shows what is known, and no empty brackets."""
    assert str(APIError("teapot", status=418)) == "HTTP 418: teapot"
    assert str(ConflictError("taken", status=409)).startswith("HTTP 409: taken: ")


@pytest.mark.parametrize(("error", "status"), [(RateLimitError("slow"), 429), (ServerError("down"), 500)])
def test_a_wait_is_unknown_unless_the_server_gave_it(error: RateLimitError | ServerError, status: int) -> None:
    """``retry_after`` is None, the status the usual one, and nothing else is invented."""
    assert (error.status, error.retry_after, error.body, error.request) == (status, None, None, "")


@pytest.mark.parametrize("cls", [SettingsError, InvalidEventError])
def test_an_error_without_attributes_shows_its_message_alone(cls: type[MidaError]) -> None:
    """The text of the simple errors is the message that they were made with."""
    assert str(cls("field is 3")) == "field is 3"
    assert vars(cls("field is 3")) == {}
