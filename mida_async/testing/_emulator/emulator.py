"""The emulator as its users see it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Self

import attrs

from ..._errors import SettingsError
from .limits import RateLimitLike, RateModel, RateModelName, as_limits, limiter
from .places import FixtureLike
from .seeding import Seeding
from .server import Server, ServerSettings
from .state import State, StateSettings

if TYPE_CHECKING:
    from types import TracebackType

    from .faults import Fault, MatchRule
    from .klaviyo_account import KlaviyoAccount
    from .records import EmulatorStatistics, Log, ReceivedRequest, RecordedEvent


def _at_least(least: float) -> Callable[[Any, attrs.Attribute[Any], float], None]:
    def check(_instance: object, attribute: attrs.Attribute[Any], value: float) -> None:
        if value < least:
            message = f"Emulator.{attribute.name} is {value!r}; it must be {least} or greater"
            raise SettingsError(message)

    return check


@attrs.define(kw_only=True, eq=False, repr=False)
class Emulator(Seeding):
    """
    Serve the documented API on loopback, and remember what arrived.

    An async context manager that listens while it is entered. It may be entered again, on any event loop: it then
    listens on the same port and goes on with the same state. What is not async may be called from any thread.

    Where the documentation is silent, this server decides as follows. Lists show the oldest first. A ``limit`` over 500
    is answered with 400. Deleted rows are still shown and updated by their number; only a second delete finds nothing.
    An event names its visitor if any one of its identifiers is known (``mida_uuid`` before ``email`` before ``id``).
    The key of one project opens nothing that is in another: 401; but any key of a company opens its projects as such
    (``projects.*`` but for the configuration). Keys of deleted goals may be used again. Null in place of an
    optional field is the same as leaving it out; in an update it empties the field, where it can be empty.

    It also serves Klaviyo's ``POST /api/events`` and ``POST /api/event-bulk-create-jobs``, with a slash at the end or
    without, for one account, which the API key of any project opens. Requests are judged by what is published for their
    revision, flat and nested bodies alike; fields that a revision does not know are ignored. What is applied is in
    :attr:`recorded`, as :class:`RecordedKlaviyoEvent`. The service answers 202 whatever becomes of an event later on,
    and so does this one: :attr:`klaviyo` counts repetitions and events for addresses at example.com and the like, both
    of which are dropped. A retired revision is answered with 410 if the request opts out of falling forward.

    Args:
        project_key: The key of the first project; see :meth:`add_project` for more.
        api_key: Its API key.
        auto_visitors: Whether an event for an unknown visitor registers one; otherwise it is answered with 400.
        company_id: What replies of the first project say.
        plan_goal_limit: How many goals the plan of the first project allows; None for any number.
        plan_live_limit: How many of its experiments may be live at once; None for any number.
        fixture: What there is from the beginning; see :meth:`load`.
        list_definitions: Whether lists show events that were defined (``event_text``) and so belong to no visitor.
        rate_limits: Limits or models of counting, all kept together. They count every request that no fault took away.
        rate_model: How limits are counted.
        retry_after: Whether a 429 of these limits has a Retry-After, in whole seconds.
        latency: Seconds that every request waits before anything is done about it.
        host: The address to listen on.
        port: The port; 0 for any that is free.
        max_body_bytes: Larger bodies are answered with 413; those to Klaviyo if they are over the published 5,000,000.
        keep_requests: How many requests are remembered; when there are more, the oldest tenth is forgotten.
        keep_events: The same for events, in :attr:`recorded` and in lists.
        clock: The clock of the limits, in seconds; the event loop's if not given.
        wall_clock: Seconds since the epoch, for ``created_at``.
        klaviyo_fall_forward: Whether a revision of Klaviyo that was released two years ago or earlier is served as the
            oldest that was not, as the service does; otherwise each is served as it was.
        klaviyo_windows: Whether Klaviyo's published rate limits hold, in fixed windows: 350 requests in a second and
            3500 in a minute, for bulk requests 10 and 150. Answers then have its RateLimit headers.

    Raises:
        SettingsError: A setting is wrong.
    """

    project_key: str = "emulated_project_key_0"
    api_key: str = "emulated-api-key"
    auto_visitors: bool = False
    company_id: int = 1001
    plan_goal_limit: int | None = None
    plan_live_limit: int | None = None
    fixture: FixtureLike | None = None
    list_definitions: bool = True
    rate_limits: Iterable[RateLimitLike | RateModel] = attrs.field(default=(), converter=as_limits)
    rate_model: RateModelName = "fixed_window"
    retry_after: bool = True
    latency: float = attrs.field(default=0.0, validator=_at_least(0))
    host: str = "127.0.0.1"
    port: int = attrs.field(default=0, validator=_at_least(0))
    max_body_bytes: int = attrs.field(default=2 * 2**20, validator=_at_least(1))
    keep_requests: int = attrs.field(default=200_000, validator=_at_least(1))
    keep_events: int = attrs.field(default=1_000_000, validator=_at_least(1))
    clock: Callable[[], float] | None = None
    wall_clock: Callable[[], float] = time.time
    klaviyo_fall_forward: bool = False
    klaviyo_windows: bool = False
    state: State = attrs.field(init=False)
    """The state machine by itself: ``state.handle(request, now=..., today=...)`` needs no socket."""
    _server: Server | None = attrs.field(default=None, init=False)
    _bound_port: int | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.state = State(
            StateSettings(
                limiter=limiter(self.rate_limits, self.rate_model),
                retry_after=self.retry_after,
                keep_requests=self.keep_requests,
                keep_events=self.keep_events,
                klaviyo_fall_forward=self.klaviyo_fall_forward,
                klaviyo_windows=self.klaviyo_windows,
            )
        )
        self.add_project(
            self.project_key,
            self.api_key,
            plan_goal_limit=self.plan_goal_limit,
            plan_live_limit=self.plan_live_limit,
        )
        if self.fixture is not None:
            self.load(self.fixture)

    def __repr__(self) -> str:
        place = "not started" if self._bound_port is None else self.base_url
        return f"<Emulator {place}, {self.state.statistics()}>"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def start(self) -> None:
        """
        Listen.

        Raises:
            RuntimeError: It listens already.
            OSError: The port is taken.
        """
        if self._server is not None:
            message = "the emulator is running already; close it before you start it again"
            raise RuntimeError(message)
        server = Server(
            self.state,
            ServerSettings(
                host=self.host,
                latency=self.latency,
                max_body_bytes=self.max_body_bytes,
                clock=self.clock or asyncio.get_running_loop().time,
                wall_clock=self.wall_clock,
            ),
        )
        self._bound_port = await server.start(self._bound_port or self.port)
        self._server = server

    async def aclose(self) -> None:
        """
        Stop listening and drop all connections at once, whatever they are doing; the state stays.

        Requests that wait (latency, stalls) end without being applied or answered. Idempotent.
        """
        server, self._server = self._server, None
        if server is not None:
            await server.aclose()

    @property
    def base_url(self) -> str:
        """
        Everything before ``/v2``.

        Raises:
            RuntimeError: The emulator was never started, so that its port is not known.
        """
        if self._bound_port is None:
            message = "the emulator has no address before it is started; enter it with `async with`"
            raise RuntimeError(message)
        return f"http://{self.host}:{self._bound_port}"

    @property
    def recorded(self) -> Log[RecordedEvent]:
        """The events that were applied, in order, of all projects and of Klaviyo."""
        return self.state.recorded

    @property
    def klaviyo(self) -> KlaviyoAccount:
        """
        The account of Klaviyo.

        Its ``duplicates`` and ``discarded`` count accepted events that were dropped, and ``profiles`` who is known. Set
        ``vague`` to let refusals of bulk requests point at the whole and not at the place that is wrong.
        """
        return self.state.klaviyo.account

    @property
    def requests(self) -> Log[ReceivedRequest]:
        """Everything that arrived, in order."""
        return self.state.requests

    @property
    def visitors(self) -> int:
        """How many visitors there are in the first project."""
        with self.state.lock:
            return len(self._project(None).visitors)

    def statistics(self) -> EmulatorStatistics:
        """Count what happened since the emulator was made."""
        return self.state.statistics()

    def script(self, *faults: Fault, match: MatchRule = None) -> None:
        """
        Queue faults. Each is used up by the next request that matches it, the first queued first.

        Args:
            faults: The faults; ``times=`` of each says how many requests get it.
            match: Which requests: all (None); those whose ``METHOD /path`` is like a pattern, in which ``*`` stands for
                anything (``"POST */event"``); or those for which a function of the :class:`ReceivedRequest` is true.
        """
        with self.state.lock:
            self.state.script.add(faults, match)

    def script_random(self, rates: Iterable[tuple[Fault, float]], *, seed: int, match: MatchRule = None) -> None:
        """
        Give faults to requests at random; replaces those of an earlier call.

        Args:
            rates: Faults (their ``times`` is ignored) and the share of requests that get each, together at most 1.
            seed: The same seed gives the same faults to the same sequence of requests.
            match: Which requests; see :meth:`script`.

        Raises:
            SettingsError: A rate is not from 0 to 1.
        """
        with self.state.lock:
            self.state.script.randomise(rates, seed, match)

    def clear_script(self) -> None:
        """Drop the faults that are left, queued and random."""
        with self.state.lock:
            self.state.script.clear()

    @property
    def scripted(self) -> int:
        """How many queued faults are left; one with ``times`` counts once."""
        return len(self.state.script)
