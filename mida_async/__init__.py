"""An async client for the Mida experimentation API, and a delivery engine for visitor events."""

from __future__ import annotations

import importlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from ._client import MidaClient
from ._core.entry import Receipt
from ._core.messages import Request, Response
from ._core.request import VERSION as __version__  # noqa: N811 - the name that every package has
from ._delivery.buffer import EventBuffer
from ._delivery.delivery import Delivery
from ._delivery.reports import BufferStatistics, CloseReport, FlushReport
from ._errors import (
    AmbiguousDeliveryError,
    APIError,
    AuthenticationError,
    BadRequestError,
    BufferClosedError,
    BufferFullError,
    CertificateError,
    ClientClosedError,
    ConflictError,
    ConnectError,
    ConnectionLostError,
    DecodeError,
    DeliveryError,
    EventDroppedError,
    EventExpiredError,
    ForbiddenError,
    InvalidEventError,
    InvalidRequestError,
    MidaError,
    NotFoundError,
    PlanLimitError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    SettingsError,
    SpoolError,
    TransportError,
    VisitorNotFoundError,
)
from ._sentinels import UNSET, UnsetType
from ._settings import BufferSettings, Fold, RateLimit, RetryPolicy, Timeout, VisitorCache
from ._transport.base import Transport

if TYPE_CHECKING:
    from .klaviyo import KlaviyoClient
    from .models.goals import GoalPurpose, GoalType

__all__ = [
    "APIError",
    "AmbiguousDeliveryError",
    "AuthenticationError",
    "BadRequestError",
    "BufferClosedError",
    "BufferFullError",
    "BufferSettings",
    "BufferStatistics",
    "CertificateError",
    "ClientClosedError",
    "CloseReport",
    "ConflictError",
    "ConnectError",
    "ConnectionLostError",
    "DecodeError",
    "Delivery",
    "DeliveryError",
    "EventBuffer",
    "EventDroppedError",
    "EventExpiredError",
    "FlushReport",
    "Fold",
    "ForbiddenError",
    "GoalPurpose",
    "GoalType",
    "InvalidEventError",
    "InvalidRequestError",
    "KlaviyoClient",
    "MidaClient",
    "MidaError",
    "NotFoundError",
    "PlanLimitError",
    "RateLimit",
    "RateLimitError",
    "Receipt",
    "Request",
    "RequestTimeoutError",
    "Response",
    "RetryPolicy",
    "ServerError",
    "SettingsError",
    "SpoolError",
    "Timeout",
    "Transport",
    "TransportError",
    "UNSET",
    "UnsetType",
    "VisitorCache",
    "VisitorNotFoundError",
    "__version__",
]


# What most programs do not need is loaded when it is first asked for: it would be a fifth of the time of an import.
_LATER: Final = MappingProxyType(
    {"GoalPurpose": ".models.goals", "GoalType": ".models.goals", "KlaviyoClient": ".klaviyo"}
)


def __getattr__(name: str) -> object:
    if name not in _LATER:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value = globals()[name] = getattr(importlib.import_module(_LATER[name], __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
