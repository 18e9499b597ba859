"""``mida.visitors``: what the server-side SDKs ask."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar, cast, overload

from .._core.endpoints import lay_out
from .._core.endpoints.visitors import ROWS
from .._errors import APIError, DecodeError, InvalidRequestError, MidaError, SettingsError
from .._sentinels import UNSET, UnsetType
from ..models.visitors import AttributesSet, VisitorEventRecorded
from .base import Section

if TYPE_CHECKING:
    from collections.abc import Hashable

    from .._core.endpoints import Layout
    from .._core.entry import Draft, Receipt
    from .._requestor import Requestor
    from ..destinations.mida import MidaAttributes
    from .visitor_cache import Answers

T = TypeVar("T")
Default = TypeVar("Default")
BufferedT = TypeVar("BufferedT", bound="asyncio.Future[Receipt]")
Accept: TypeAlias = Callable[["Draft"], Coroutine[Any, Any, BufferedT]]

_FLAGS: Final = "flags"
_VARIANT: Final = "variant"
_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})

# Seconds that a page may wait for an answer that it can do without. An outage would otherwise hold each of them up for
# as long as repetitions go on.
_PATIENCE: Final = 3.0


class Visitors(Section, Generic[BufferedT]):
    """
    The four calls of the server-side SDKs.

    No page documents them; they are as the SDKs make them (mida-node 1.0.5 and others), and go to the SDKs' own host
    with the public project key alone. An id of a visitor is what events call ``id``.

    Args:
        requestor: Makes the calls.
        project_key: The project's public key.
        attributes: Encodes attributes for the buffer.
        accept: Hands them to the buffer.
        answers: Keeps answers for a while; None where nothing is kept.
    """

    def __init__(
        self,
        requestor: Requestor,
        *,
        project_key: str,
        attributes: MidaAttributes,
        accept: Accept[BufferedT],
        answers: Answers | None,
    ) -> None:
        super().__init__(requestor)
        self._project_key = project_key
        self._attributes = attributes
        self._accept = accept
        self._answers = answers

    async def get_variant(
        self, experiment_key: str, distinct_id: str, *, default: str | UnsetType | None = UNSET
    ) -> str | None:
        """
        Ask which variant of an experiment a visitor sees (mida-node 1.0.5, ``getExperiment``).

        With a *default* this fails only for a wrong argument, and takes 3 seconds at most with all repetitions, so that
        no page breaks because the service is down. With ``visitor_cache`` answers are kept for each visitor, "not in
        the experiment" included, and callers who ask the same at the same time share one request; cancelling one of
        them leaves it to the others.

        Args:
            experiment_key: The key of an experiment that is made for servers.
            distinct_id: Your own id of the visitor.
            default: What to return where there is no answer in time, or none that can be read.

        Returns:
            The exact name of the variant (``Control``, ``Variant 1``, ...); None where the visitor is not in the
            experiment.

        Raises:
            InvalidRequestError: An argument is wrong; nothing was sent.
            DecodeError: The answer is something else; only without *default*, like all that follow.
            NotFoundError: There is no such project.
        """
        layout = self._laid_out("visitors.get_variant", experiment_key=experiment_key, distinct_id=distinct_id)
        question = (_VARIANT, str.__str__(experiment_key))
        answer = self._answer("visitors.get_variant", layout, _variant, distinct_id, question)
        return await _or_default(answer, default)

    async def record_event(
        self, name: str, distinct_id: str, *, properties: Mapping[str, Any] | None = None
    ) -> VisitorEventRecorded:
        """
        Record that a visitor did something, in one request (mida-node 1.0.5, ``setEvent``).

        It is not sent again when it is unknown what became of it. Any 2xx is a success, whatever its body, unless that
        says ``"success": false``. What ``visitor_cache`` keeps of the visitor is forgotten, because experiments can
        choose visitors by their events.

        Args:
            name: What was done; for a purchase the SDKs use ``Purchase``, with the properties ``revenue``, ``quantity``
                and ``currency``.
            distinct_id: Your own id of the visitor.
            properties: Anything that JSON can hold, by name. They go out as JSON text.

        Raises:
            InvalidRequestError: An argument is wrong; nothing was sent.
            NotFoundError: There is no such project.
            ConnectionLostError: It may have been recorded; likewise RequestTimeoutError and ServerError.
        """
        layout = self._laid_out("visitors.record_event", name=name, distinct_id=distinct_id, properties=properties)
        return await self._change("visitors.record_event", layout, VisitorEventRecorded, distinct_id)

    @overload
    async def feature_flags(self, user_id: str | None = None) -> tuple[str, ...]: ...

    @overload
    async def feature_flags(self, user_id: str | None = None, *, default: Default) -> tuple[str, ...] | Default: ...

    async def feature_flags(self, user_id: str | None = None, *, default: object = UNSET) -> object:
        """
        Ask which feature flags are on for a visitor (mida-node 1.0.5, ``reloadFeatureFlags``).

        *default* and ``visitor_cache`` are as for :meth:`get_variant`. What is asked for nobody is never kept or
        shared, so one visitor's flags never answer for another.

        Args:
            user_id: Your own id of the visitor; None for the flags that need none.
            default: What to return where there is no answer in time, or none that can be read.

        Returns:
            The keys of the flags.

        Raises:
            InvalidRequestError: An argument is wrong; nothing was sent.
            DecodeError: The answer is something else; only without *default*, like all that follow.
            NotFoundError: There is no such project.
        """
        # The SDKs write null where there is no user.
        layout = self._laid_out("visitors.feature_flags", {"user_id": None}, user_id=user_id)
        answer = self._answer("visitors.feature_flags", layout, _flags, user_id, _FLAGS)
        return await _or_default(answer, default)

    async def set_attributes(self, distinct_id: str, attributes: Mapping[str, Any] | None = None) -> AttributesSet:
        """
        Set attributes of a visitor, in one request (mida-node 1.0.5, ``setAttribute``).

        Other attributes of the visitor stay. Any 2xx is a success, whatever its body, unless that says
        ``"success": false``. What ``visitor_cache`` keeps of the visitor is forgotten, because attributes decide who
        sees what.

        Args:
            distinct_id: Your own id of the visitor. It goes out as ``id``, whatever *attributes* says under that name.
            attributes: Anything that JSON can hold, by name. The mapping is not changed.

        Raises:
            InvalidRequestError: An argument is wrong; nothing was sent.
            NotFoundError: There is no such project.
        """
        layout = self._laid_out("visitors.set_attributes", distinct_id=distinct_id, attributes=attributes)
        return await self._change("visitors.set_attributes", layout, AttributesSet, distinct_id)

    async def buffer_attributes(self, distinct_id: str, attributes: Mapping[str, Any]) -> BufferedT:
        """
        Have attributes of a visitor set in the background, in the order of the visitor's buffered events.

        They go through ``mida.buffer`` like an event of ``id=distinct_id``: they share its room, rate, attempts,
        counts and hooks, which know them by the name ``visitors.set_attributes``. Attributes that still wait as the
        last of their visitor's records and were never sent are merged with those that come, the newest value of each
        winning, into one request. This waits only while the buffer is full; cancelling it leaves nothing behind.

        Args:
            distinct_id: Your own id of the visitor. It goes out as ``id``, whatever *attributes* says under that name.
            attributes: Anything that JSON can hold, by name, at most 1 MiB encoded. The mapping is not changed, and may
                be changed afterwards.

        Returns:
            The record's ``Delivery``: a future of its receipt, as from ``mida.buffer.record()``. Nobody has to await
            it.

        Raises:
            InvalidEventError: An argument is wrong; nothing was queued.
            BufferFullError: There is no room and ``overflow`` is ``raise``, or the record can never fit.
            BufferClosedError: The client is closed.
        """
        draft = self._attributes.encode(distinct_id, attributes)
        delivery = await self._accept(draft)
        if self._answers is not None:
            visitor = str.__str__(distinct_id)
            delivery.add_done_callback(lambda done: self._delivered(done, visitor), context=contextvars.Context())
        return delivery

    def _delivered(self, done: asyncio.Future[Receipt], visitor: str) -> None:
        # One that was cancelled, and one that came to no certain end, may have been on its way.
        error = None if done.cancelled() else done.exception()
        if not isinstance(error, APIError) or error.maybe_applied:
            self._forget(visitor)

    async def _change(self, name: str, layout: Layout, answer: type[T], visitor: str) -> T:
        """Send what changes a visitor. Only a refusal leaves what is known: cancelled and lost, it may have arrived."""
        try:
            changed = await self._send(name, layout, answer)
        except BaseException as error:
            if not isinstance(error, MidaError) or error.maybe_applied:
                self._forget(visitor)
            raise
        self._forget(visitor)
        return changed

    def _forget(self, visitor: str) -> None:
        if self._answers is not None:
            self._answers.forget(str.__str__(visitor))

    def _laid_out(self, name: str, own: Mapping[str, object] = _NOTHING, /, **arguments: object) -> Layout:
        """Check the arguments, and add what the client knows."""
        endpoint = ROWS[name]
        project = {endpoint.project_field: self._project_key} if endpoint.project_field else {}
        with self._hiding():
            return lay_out(endpoint, arguments, {**project, **own})

    async def _send(self, name: str, layout: Layout, answer: type[T]) -> T:
        return await self._requestor.call(ROWS[name], answer, body=layout.body)

    async def _answer(
        self, name: str, layout: Layout, read: Callable[[object], T], visitor: str | None, question: Hashable
    ) -> T:
        """Ask, or return what is known already: about a visitor, never about nobody."""

        async def ask() -> T:
            return read(await self._send(name, layout, cast("type[object]", Any)))

        if self._answers is None or visitor is None:
            return await ask()
        return await self._answers.get((str.__str__(visitor), question), ask)


async def _or_default(answer: Coroutine[Any, Any, T], default: Default | UnsetType) -> T | Default:
    if default is UNSET:
        return await answer
    try:
        async with asyncio.timeout(_PATIENCE):
            return await answer
    except (InvalidRequestError, SettingsError):
        raise
    except (MidaError, TimeoutError):
        return default


def _variant(answer: object) -> str | None:
    """Read an answer as the SDKs do, to whom nothing at all means "not in the experiment", but no more than that."""
    if not isinstance(answer, dict):
        message = "the answer: expected an object"
        raise DecodeError(message)
    version = cast("dict[str, object]", answer).get("version")
    if isinstance(version, str):
        return version or None
    if version is None or version == 0:  # False is, too
        return None
    message = "version: expected the name of a variant"
    raise DecodeError(message)


def _flags(answer: object) -> tuple[str, ...]:
    keys = cast("list[object]", answer) if isinstance(answer, list) else [None]
    if all(isinstance(key, str) for key in keys):
        return tuple(cast("list[str]", keys))
    message = "the answer: expected an array of the keys of flags"
    raise DecodeError(message)
