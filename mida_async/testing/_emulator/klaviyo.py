"""Klaviyo's endpoints of events, as published in each revision."""

from __future__ import annotations

import datetime as dt
import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import attrs

from .klaviyo_account import KlaviyoAccount
from .klaviyo_body import body_of
from .klaviyo_events import Terms, bulk, single
from .klaviyo_revisions import revision_of
from .klaviyo_windows import Windows
from .klaviyo_wire import MEDIA_TYPE, Problem, Refuser, accepted

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

    from .klaviyo_events import Draft
    from .records import Headers, ReceivedRequest, RecordedEvent
    from .wire import Reply

_PREFIX: Final = "/api"
_SINGLE: Final = "/api/events"
_BULK: Final = "/api/event-bulk-create-jobs"
_LIMITS: Final = MappingProxyType({_SINGLE: (350, 3500), _BULK: (10, 150)})
_SCHEME: Final = "klaviyo-api-key"


def is_klaviyo(path: str) -> bool:
    """Whether a path is one of Klaviyo's API; none of Mida's begins like that."""
    return path == _PREFIX or path.startswith(f"{_PREFIX}/")


@attrs.frozen(kw_only=True)
class KlaviyoSettings:
    """
    How the service behaves.

    Attributes:
        fall_forward: Whether a retired revision is served as the oldest that is not retired.
        windows: Whether the published rate limits hold.
        retry_after: Whether a 429 says, in whole seconds, how long to wait.
    """

    fall_forward: bool
    windows: bool
    retry_after: bool


class Klaviyo:
    """
    Answer what is sent to Klaviyo.

    Args:
        settings: How to behave.
        on_recorded: Told of each event that was applied.
        next_id: Makes the next number of an event.

    Attributes:
        account: What it holds.
        refused: How many requests the published rate limits refused.
    """

    def __init__(
        self,
        settings: KlaviyoSettings,
        *,
        on_recorded: Callable[[RecordedEvent], None],
        next_id: Callable[[], int],
    ) -> None:
        self._settings: Final = settings
        self._refuser: Final = Refuser()
        self._windows: Final = {path: Windows(*limits) for path, limits in _LIMITS.items()} if settings.windows else {}
        self.account: Final = KlaviyoAccount(on_recorded=on_recorded, next_id=next_id)
        self.refused = 0

    def failure(self, status: int, detail: str) -> Reply:
        """Answer *status* with the published error body."""
        return self._refuser.refuse(Problem(status, detail))

    def too_many(self, wait: float) -> Reply:
        """
        Answer that a limit is used up.

        Args:
            wait: The seconds after which it is not.
        """
        seconds = math.ceil(wait)
        unit = "second" if seconds == 1 else "seconds"
        headers = {"Retry-After": str(seconds)} if self._settings.retry_after else {}
        detail = f"Request was throttled. Expected available in {seconds} {unit}."
        return self._refuser.refuse(Problem(429, detail, headers=headers))

    def handle(self, request: ReceivedRequest, keys: AbstractSet[str], *, now: float, today: float) -> Reply:
        """
        Apply a request, and say what is answered.

        Args:
            request: The request.
            keys: The API keys that open the account.
            now: The time on the clock of the limits, in seconds.
            today: The time since the epoch, in seconds.
        """
        try:
            path = _endpoint(request)
            _authenticate(request.headers, keys)
        except Problem as problem:
            return self._refuser.refuse(problem)
        windows = self._windows.get(path)
        if windows is None:
            return self._serve(path, request, now, today)
        wait = windows.admit(now)
        if wait is not None:
            self.refused += 1
            return self.too_many(wait)
        reply = self._serve(path, request, now, today)
        return attrs.evolve(reply, headers={**reply.headers, **windows.headers(now)})

    def _serve(self, path: str, request: ReceivedRequest, now: float, today: float) -> Reply:
        try:
            drafts = self._drafts(path, request, dt.datetime.fromtimestamp(today, dt.UTC))
        except Problem as problem:
            is_vague = path == _BULK and self.account.vague
            return self._refuser.refuse(problem.vaguely() if is_vague else problem)
        for draft in drafts:
            self.account.apply(draft, now)
        return accepted()

    def _drafts(self, path: str, request: ReceivedRequest, today: dt.datetime) -> list[Draft]:
        revision = revision_of(request.headers, today, fall_forward=self._settings.fall_forward)
        terms = Terms(revision, today)
        if path == _BULK and not revision.has_bulk:
            raise _no_such(request)
        _check_coding(request.headers)
        body = body_of(request.body)
        return single(body, terms) if path == _SINGLE else self._unrepeated(bulk(body, terms))

    def _unrepeated(self, drafts: list[Draft]) -> list[Draft]:
        # Create Event Bulk since revision 2025-01-15: the request fails. The overview of events says that it does not.
        draft = self.account.repeated(drafts)
        if draft is not None:
            detail = "The unique_id is that of another event of the request, for the same profile and metric."
            raise draft.place.at("unique_id").wrong(detail)
        return drafts


def _no_such(request: ReceivedRequest) -> Problem:
    return Problem(404, f"The path {request.path} could not be found.")


def _endpoint(request: ReceivedRequest) -> str:
    path = request.path.removesuffix("/")
    if path not in _LIMITS:
        raise _no_such(request)
    if request.method != "POST":
        detail = f'Method "{request.method}" not allowed.'
        raise Problem(405, detail, headers={"Allow": "POST"})
    return path


def _authenticate(headers: Headers, keys: AbstractSet[str]) -> None:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() != _SCHEME or key.strip() not in keys:
        detail = "Missing or invalid private key."
        raise Problem(401, detail)


def _check_coding(headers: Headers) -> None:
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in {"application/json", MEDIA_TYPE}:
        detail = f"The Content-Type must be {MEDIA_TYPE} or application/json."
        raise Problem(415, detail)
    # Whether compressed bodies are accepted is not published; only that a wrong Content-Encoding is a 415.
    if headers.get("content-encoding", "identity").lower() != "identity":
        detail = "The Content-Encoding must be identity."
        raise Problem(415, detail)
