"""The emulator's state machine: told a request and the time, it says the reply. No sockets, no clocks."""

from __future__ import annotations

import math
import threading
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import attrs

from ..._core.endpoints import Host
from ..._core.endpoints.table import ENDPOINTS
from . import (
    account,
    configuration,
    discussion,
    events,
    exclusion_groups,
    experiments,
    goals,
    personalization,
    projects,
    reports,
    serving,
    visitors,
)
from .faults import Script
from .klaviyo import Klaviyo, KlaviyoSettings, is_klaviyo
from .limits import RateModel
from .project import CUSTOM_EVENT, DELETED, Call, Company, EventRow, Handler, Profile, Project, Rows
from .records import EmulatorStatistics, Headers, Log, ReceivedRequest, RecordedEvent
from .routes import Routes
from .wire import Refusal, Reply, failure, json_object, missing

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECTIONS: Final = (
    *(events, goals, experiments, reports, serving, discussion),
    *(projects, configuration, exclusion_groups, account, personalization, visitors),
)
HANDLERS: Final[Mapping[str, Handler]] = MappingProxyType(
    {name: handler for part in _SECTIONS for name, handler in part.HANDLERS.items()}
)

_PROJECT: Final = "Project"


@attrs.frozen(kw_only=True)
class StateSettings:
    """
    How the state machine behaves.

    Attributes:
        limiter: What counts the requests; the times that it is told are those of ``handle``.
        retry_after: Whether a 429 says, in whole seconds, how long to wait.
        keep_requests: How many requests are remembered.
        keep_events: How many events are remembered.
        klaviyo_fall_forward: Whether a retired revision of Klaviyo is served as the oldest that is not retired.
        klaviyo_windows: Whether Klaviyo's published rate limits hold.
    """

    limiter: RateModel
    retry_after: bool
    keep_requests: int
    keep_events: int
    klaviyo_fall_forward: bool = False
    klaviyo_windows: bool = False


class State:
    """
    All that the emulator knows.

    Args:
        settings: How it behaves.

    Attributes:
        lock: Held by whoever changes anything, because a test may do so from another thread than the server's.
        klaviyo: What answers the requests to Klaviyo.
    """

    def __init__(self, settings: StateSettings) -> None:
        self._settings: Final = settings
        self.lock: Final = threading.RLock()
        self._routes: Final = Routes(ENDPOINTS[name] for name in ENDPOINTS if name in HANDLERS)
        self._next_id: Final = count(1).__next__
        self.projects: Final[dict[str, Project]] = {}
        self._companies: Final[dict[int, Company]] = {}
        self.requests: Final[Log[ReceivedRequest]] = Log(settings.keep_requests)
        self.recorded: Final[Log[RecordedEvent]] = Log(settings.keep_events)
        self.script: Final = Script()
        self.klaviyo: Final = Klaviyo(
            KlaviyoSettings(
                fall_forward=settings.klaviyo_fall_forward,
                windows=settings.klaviyo_windows,
                retry_after=settings.retry_after,
            ),
            on_recorded=self.recorded.add,
            next_id=self._next_id,
        )
        self._refused = 0

    def add_project(
        self,
        key: str,
        api_key: str,
        *,
        auto_visitors: bool = False,
        company_id: int = 1001,
        plan_goal_limit: int | None = None,
        list_definitions: bool = True,
        created_at: float = 0.0,
    ) -> Project:
        """
        Make a project.

        Args:
            key: Its key.
            api_key: The API key that opens it.
            auto_visitors: Whether an event for an unknown visitor registers one.
            company_id: The company that it belongs to. An API key of one of a company's projects may list, show, change
                and delete all of them.
            plan_goal_limit: How many goals its plan allows; None for any number.
            list_definitions: Whether lists show events that were defined and belong to no visitor.
            created_at: When, in seconds since the epoch.

        Raises:
            ValueError: There is one of that key.
        """
        if key in self.projects:
            message = f"there is a project {key!r} already"
            raise ValueError(message)
        project = Project(
            key=key,
            api_key=api_key,
            company=self.company(company_id),
            profile=Profile(website_name=key, widget_name=key, created_at=created_at, updated_at=created_at),
            auto_visitors=auto_visitors,
            plan_goal_limit=plan_goal_limit,
            list_definitions=list_definitions,
            next_id=self._next_id,
            on_recorded=self.recorded.add,
            events=Rows(self._settings.keep_events),
            goals=Rows(self._settings.keep_events),
        )
        self.projects[key] = project
        return project

    def company(self, company_id: int) -> Company:
        """
        Return a company; it is made when it is asked for.

        Args:
            company_id: Its number.
        """
        return self._companies.setdefault(company_id, Company(company_id=company_id, all_projects=self.projects))

    def set_api_key(self, key: str, api_key: str) -> None:
        """
        Give a project an API key, or another one, as the dashboard does.

        Args:
            key: The project's key.
            api_key: The API key.

        Raises:
            ValueError: There is no such project.
        """
        self._known(key).api_key = api_key

    def set_status(self, key: str, status: int) -> None:
        """
        Pause a project or let it go on, which no call of the API does.

        Args:
            key: The project's key.
            status: 1 active, 0 paused, 2 deleted.

        Raises:
            ValueError: There is no such project.
        """
        self._known(key).status = status

    def _known(self, key: str) -> Project:
        project = self.projects.get(key)
        if project is None:
            message = f"there is no project {key!r}; add it with add_project()"
            raise ValueError(message)
        return project

    def add_event(
        self, project: Project, event_text: str, event_property: str | None, *, created_at: float, visitor_id: int
    ) -> int:
        """Make a row of events without a request, and return its number."""
        row = EventRow(
            event_id=self._next_id(),
            visitor_id=visitor_id,
            event_text=event_text,
            event_property=event_property,
            created_at=created_at,
            event_type=CUSTOM_EVENT,
        )
        project.events.add(row.event_id, row)
        return row.event_id

    def handle(self, request: ReceivedRequest, *, now: float, today: float) -> Reply:
        """
        Apply *request*, and say what is answered.

        Args:
            request: The request.
            now: The time on the clock of the limits, in seconds; it never goes back.
            today: The time since the epoch, in seconds.
        """
        with self.lock:
            wait = self._settings.limiter.admit(now)
            if wait is not None:
                return self._too_many(wait, request.path)
            if is_klaviyo(request.path):
                return self.klaviyo.handle(request, self._keys(), now=now, today=today)
            try:
                return self._answer(request, now, today)
            except Refusal as refusal:
                return failure(refusal.status, refusal.text, refusal.headers)

    def failure(self, path: str, status: int, text: str) -> Reply:
        """
        Answer *status* with the error body of the service that a path belongs to.

        Args:
            path: The path of the request.
            status: The HTTP status.
            text: What is wrong.
        """
        if not is_klaviyo(path):
            return failure(status, text)
        with self.lock:
            return self.klaviyo.failure(status, text)

    def _too_many(self, wait: float, path: str) -> Reply:
        self._refused += 1
        if is_klaviyo(path):
            return self.klaviyo.too_many(wait)
        headers = {"Retry-After": str(math.ceil(wait))} if self._settings.retry_after else {}
        return failure(429, "Too many requests", headers)

    def _answer(self, request: ReceivedRequest, now: float, today: float) -> Reply:
        match = self._routes.find(request.method, request.path)
        if ENDPOINTS[match.name].host is Host.SDK:
            project = self._public_project(match.ids.get("project_key"), request.body)
        else:
            offered = _credentials(request.headers)
            project = self._project(match.ids["project_key"], offered, company_wide=match.name in projects.HANDLERS)
        call = Call(
            ids=match.ids,
            query=request.query,
            query_lists=request.query_lists,
            headers=request.headers,
            body=request.body,
            now=now,
            today=today,
        )
        return HANDLERS[match.name](project, call)

    def _project(self, key: str, offered: frozenset[str], *, company_wide: bool) -> Project:
        """Return the project of a path, which the API key must open: its own or, if *company_wide*, a sibling's."""
        project = self._present(key)
        if project is not None and project.api_key in offered:
            return project
        opened = [other for other in self.projects.values() if other.api_key in offered]
        if project is None and opened:
            raise missing(_PROJECT)
        if project is not None and company_wide and any(other in opened for other in project.company.projects):
            return project
        text = "Invalid or missing API key"
        raise Refusal(401, text)

    def _keys(self) -> frozenset[str]:
        """Return the API keys of all projects, each of which opens the account of Klaviyo."""
        return frozenset(project.api_key for project in self.projects.values() if project.api_key)

    def _present(self, key: str) -> Project | None:
        project = self.projects.get(key)
        return None if project is None or project.status == DELETED else project

    def _public_project(self, key: str | None, body: bytes) -> Project:
        """Return the project that a call of the SDKs names, in the path or in the body; it has no credentials."""
        named = key if key is not None else json_object(body).get("key")
        project = self._present(named) if isinstance(named, str) else None
        if project is None:
            raise missing(_PROJECT)
        return project

    def statistics(self) -> EmulatorStatistics:
        """Count what happened so far."""
        return EmulatorStatistics(
            requests=self.requests.total,
            recorded=self.recorded.total,
            refused=self._refused + self.klaviyo.refused,
            faults=self.script.played,
        )


def _credentials(headers: Headers) -> frozenset[str]:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else None
    offered = (bearer, headers.get("x-api-key"), headers.get("api-key"))
    return frozenset(key for key in offered if key)
