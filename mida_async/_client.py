"""The client: the one place where its parts are put together."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

from ._base_client import BaseClient
from ._core.request import Account
from ._core.response import error_from
from ._delivery.witness import BufferWitness
from ._errors import SettingsError
from ._requestor import Requestor
from ._settings import BufferSettings, RetryPolicy, Timeout, VisitorCache
from .destinations.mida import MidaAttributes, MidaDestination

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ._delivery.delivery import Delivery
    from ._resources.account import AccountAccess
    from ._resources.events import Events
    from ._resources.exclusion_groups import ExclusionGroups
    from ._resources.experiments import Experiments
    from ._resources.goals import Goals
    from ._resources.personalization import Personalization
    from ._resources.projects import Projects
    from ._resources.visitor_cache import Answers
    from ._resources.visitors import Visitors
    from ._transport.aiohttp import Session
    from ._transport.base import Transport
    from .instrumentation.details import Hook
    from .spools.base import Spool

_TIMEOUT = Timeout()
_RETRY = RetryPolicy()
_BUFFER = BufferSettings()


class MidaClient(BaseClient):
    """
    Talks to the Mida REST API (v2) of one project.

    Direct calls, such as ``mida.events.list()``, send one request each and return a typed result. ``mida.buffer`` takes
    visitor events and delivers them in the background. Use it as ``async with MidaClient(...) as mida:``, which
    delivers what is left at the end; or await :meth:`aclose` yourself. Making one does no I/O, starts nothing and
    chooses no event loop; once used it belongs to the loop it was used on.

    Args:
        project_key: The project's public key; ``MIDA_PROJECT_KEY`` where it is not given.
        api_key: The secret key from Dashboard > Settings > API Keys; ``MIDA_API_KEY`` where it is not given. It is in
            no repr, log, error or address.
        region: ``us`` or ``eu``, as the dashboard shows it; ``MIDA_REGION`` where it is not given.
        base_url: Everything before ``/v2``, instead of a region; ``MIDA_BASE_URL`` where it is not given.
        session: An aiohttp session to use. It stays open; without one, the client makes its own and closes it.
        timeout: How long requests may take.
        retry: How often, and after which pauses, failed requests are sent again.
        buffer: How the buffer behaves.
        spool: Keeps accepted records on disk until they have come to their end, such as ``SQLiteSpool(path)``.
        hooks: Called with each detail of what happens to buffered records.
        max_response_bytes: How much of a response to a direct call is read at most, in bytes.
        allow_insecure_http: Whether plain ``http`` may go to a host other than this machine.
        visitor_cache: For how long, and how many, answers about visitors are kept; None asks each time.
        transport: The way that requests go out, instead of aiohttp; see :class:`Transport`. It is yours: the client
            does not close it. Of *timeout*, it is told only ``total``.

    Raises:
        SettingsError: Something is missing or wrong; the message says what to do.

    Attributes:
        buffer: Takes visitor events and delivers them in the background.
        account: Who has access.
        events: What visitors did.
        exclusion_groups: Experiments that share no visitor.
        experiments: What is tested, and what it came to.
        goals: What counts as a success.
        personalization: Pages that address one account or persona.
        projects: The websites of a company, and how they count.
        visitors: What the server-side SDKs ask.
    """

    def __init__(  # noqa: PLR0913  the contract's signature
        self,
        project_key: str | None = None,
        api_key: str | None = None,
        *,
        region: str | None = None,
        base_url: str | None = None,
        session: Session | None = None,
        timeout: Timeout = _TIMEOUT,
        retry: RetryPolicy = _RETRY,
        buffer: BufferSettings = _BUFFER,
        spool: Spool | None = None,
        hooks: Iterable[Hook] = (),
        max_response_bytes: int = 32 * 2**20,
        allow_insecure_http: bool = False,
        visitor_cache: VisitorCache | None = None,
        transport: Transport | None = None,
    ) -> None:
        super().__init__(session=session, timeout=timeout, retry=retry, buffer=buffer, spool=spool, transport=transport)
        self._account = account = Account.create(
            project_key=project_key or os.environ.get("MIDA_PROJECT_KEY"),
            api_key=api_key or os.environ.get("MIDA_API_KEY"),
            region=region or os.environ.get("MIDA_REGION"),
            base_url=base_url or (None if region else os.environ.get("MIDA_BASE_URL")),
            max_response_bytes=max_response_bytes,
            allow_insecure_http=allow_insecure_http,
        )
        self._attributes = MidaAttributes(account)
        self.buffer = self._open_buffer(MidaDestination(account), hooks, (self._attributes,))
        judge = functools.partial(error_from, endpoint=None, request="", secret=account.api_key)
        witness = BufferWitness(self.buffer, judge)
        self._requestor = Requestor(self._transport, account, timeout=timeout, retry=retry, witness=witness)
        # The service of the SDKs is another one: what it allows or refuses says nothing about the REST API.
        self._public_requestor = Requestor(self._transport, account, timeout=timeout, retry=retry)
        self._exchanges = (self._requestor, self._public_requestor)
        self._visitor_cache = _checked_cache(visitor_cache)
        self._answers: Answers | None = None

    # Sections are loaded at first use: with all their models they would double the time of an import, and most programs
    # that record events need none of them.

    @functools.cached_property
    def account(self) -> AccountAccess:
        """Who has access."""
        from ._resources.account import AccountAccess

        return AccountAccess(self._requestor)

    @functools.cached_property
    def events(self) -> Events:
        """What visitors did."""
        from ._resources.events import Events

        return Events(self._requestor)

    @functools.cached_property
    def exclusion_groups(self) -> ExclusionGroups:
        """Experiments that share no visitor."""
        from ._resources.exclusion_groups import ExclusionGroups

        return ExclusionGroups(self._requestor)

    @functools.cached_property
    def experiments(self) -> Experiments:
        """What is tested, and what it came to."""
        from ._resources.experiments import Experiments

        return Experiments(self._requestor)

    @functools.cached_property
    def goals(self) -> Goals:
        """What counts as a success."""
        from ._resources.goals import Goals

        return Goals(self._requestor)

    @functools.cached_property
    def personalization(self) -> Personalization:
        """Pages that address one account or persona."""
        from ._resources.personalization import Personalization

        return Personalization(self._requestor)

    @functools.cached_property
    def projects(self) -> Projects:
        """The websites of a company, and how they count."""
        from ._resources.projects import Projects

        return Projects(self._requestor)

    @functools.cached_property
    def visitors(self) -> Visitors[Delivery]:
        """What the server-side SDKs ask."""
        from ._resources.visitor_cache import Answers
        from ._resources.visitors import Visitors

        self._answers = None if self._visitor_cache is None else Answers(self._visitor_cache)
        return Visitors(
            self._public_requestor,
            project_key=self._account.project_key,
            attributes=self._attributes,
            accept=self.buffer.accept,
            answers=self._answers,
        )

    def __repr__(self) -> str:
        return f"<MidaClient {self._account.base_url} project {self._account.project_key}, buffer {self.buffer!r}>"

    async def request(
        self, method: str, path: str, *, query: Mapping[str, object] | None = None, json: object = None
    ) -> Any:
        """
        Make a call of the REST API that has no method yet, with the same key, time limits, retries and errors.

        It is sent again after a failure as the method for it would be. What has no method is only repeated when the
        server has certainly not acted on it, or when it is a GET.

        Waits for the answer, ``Timeout.total`` seconds at most with repetitions. Cancelling may come too late.

        Args:
            method: GET, POST, PUT, PATCH or DELETE.
            path: ``events`` or ``experiment/12/result`` within the client's project; with ``/v2/`` or ``/project/`` at
                its beginning a complete path, in which ``{project_key}`` stands for the client's. Only letters, digits
                and ``_ . ~ -`` may stand between slashes, and only a positive number where a method has an id.
            query: The fields of the query; lists repeat a field, and those that are None are left out.
            json: The body: anything that JSON can hold, and the inputs of :mod:`mida_async.models`. None sends none.

        Returns:
            The decoded body as the server sent it; every documented one is an object.

        Raises:
            InvalidRequestError: An argument is wrong; nothing was sent.
            ClientClosedError: The client is closed; nothing was sent.
            TransportError: No answer came.
            APIError: The server refused, or its answer says ``"success": false``.
            DecodeError: The server accepted the request, and its answer is not JSON.
        """
        from ._resources.escape import EscapeHatch

        return await EscapeHatch(self._requestor, self._account).request(method, path, query=query, json=json)

    async def _disconnect(self) -> None:
        if self._answers is not None:
            await self._answers.aclose()
        await super()._disconnect()


def _checked_cache(settings: object) -> VisitorCache | None:
    if settings is None or isinstance(settings, VisitorCache):
        return settings
    message = f"visitor_cache is {settings!r}; it must be a VisitorCache, or None"
    raise SettingsError(message)
