"""An async client for the Mida experimentation API, and a delivery engine for visitor events."""

from __future__ import annotations

from ._client import MidaClient
from ._core.entry import Receipt
from ._core.messages import Request, Response
from ._core.request import VERSION as __version__  # noqa: N811 - the name that every package has
from ._delivery.buffer import EventBuffer
from ._delivery.ledger import Delivery
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
