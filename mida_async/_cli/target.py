"""Where ``mida load`` sends events: one object for each service, which alone knows what is particular to it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

import attrs
import click

from .._client import MidaClient
from .._core.request import checked_base_url
from .._errors import InvalidEventError
from .._settings import BufferSettings
from ..destinations.klaviyo import CURRENT_REVISION
from ..klaviyo import KlaviyoClient
from .connection import Connection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..instrumentation import Hook
    from ..spools.base import Spool
    from .records import Event

Client: TypeAlias = MidaClient | KlaviyoClient
Service: TypeAlias = Literal["mida", "klaviyo"]

# How far reading is ahead of sending: enough to keep all senders busy beside a visitor with many events, and little to
# hold. In bulk a sender takes a thousand at a time.
_READ_AHEAD: Final = BufferSettings(max_records=10_000, max_bytes=32 * 2**20)
_READ_AHEAD_IN_BULK: Final = BufferSettings(max_records=40_000, max_bytes=64 * 2**20)

# Given to the client as well as written in the state file, so that the two never differ.
_KLAVIYO: Final = "https://a.klaviyo.com"

_PROFILE: Final = (("email", "email"), ("id", "external_id"), ("mida_uuid", "anonymous_id"))


class Target(Protocol):
    """A place that events can be loaded into."""

    @property
    def name(self) -> str:
        """What tells it from others, for people and for the state file. It holds no key."""
        ...

    @property
    def buffer(self) -> BufferSettings:
        """How its buffer behaves where no option says otherwise."""
        ...

    @property
    def keeps_ids(self) -> bool:
        """Whether the service itself drops an event whose ``unique_id`` it knows."""
        ...

    def client(self, buffer: BufferSettings, *, spool: Spool | None = None, hooks: Iterable[Hook] = ()) -> Client:
        """
        Make a client.

        Args:
            buffer: How its buffer behaves.
            spool: Where accepted events are kept on disk, if anywhere.
            hooks: Called with what happens to them.

        Raises:
            SettingsError: Something is missing or wrong.
        """
        ...

    def arguments(self, event: Event, run_id: uuid.UUID | None) -> dict[str, Any]:
        """
        Return what its ``record()`` takes.

        Args:
            event: A line of the input.
            run_id: What all runs with the same state file have in common, and no others; None where lines need no ids.

        Raises:
            InvalidEventError: It cannot be sent; ``record()`` finds out most of that.
        """
        ...


@attrs.frozen
class MidaTarget:
    """
    A project of Mida.

    Attributes:
        connection: Which one, and where.
    """

    connection: Connection

    @property
    def name(self) -> str:
        """See :attr:`Target.name`."""
        return f"project {self.connection.effective_project_key}"

    @property
    def buffer(self) -> BufferSettings:
        """See :attr:`Target.buffer`."""
        return _READ_AHEAD

    @property
    def keeps_ids(self) -> bool:
        """See :attr:`Target.keeps_ids`."""
        return False

    def client(self, buffer: BufferSettings, *, spool: Spool | None = None, hooks: Iterable[Hook] = ()) -> MidaClient:
        """See :meth:`Target.client`."""
        return self.connection.client(buffer, spool=spool, hooks=hooks)

    def arguments(self, event: Event, run_id: uuid.UUID | None) -> dict[str, Any]:
        """See :meth:`Target.arguments`. An id is not sent: it is for the buffer, which knows what the spool holds."""
        return {**_own_id(event, run_id), **event.arguments}


@attrs.frozen(kw_only=True)
class KlaviyoTarget:
    """
    The account of Klaviyo that a key belongs to.

    Attributes:
        connection: Where the key is, and whether plain HTTP may leave this machine.
        base_url: Everything before ``/api``.
        revision: The revision of the API.
        bulk: Whether many events go in one request.
    """

    connection: Connection
    base_url: str
    revision: str
    bulk: bool

    @property
    def name(self) -> str:
        """See :attr:`Target.name`."""
        return f"Klaviyo at {self.base_url}"

    @property
    def buffer(self) -> BufferSettings:
        """See :attr:`Target.buffer`."""
        return _READ_AHEAD_IN_BULK if self.bulk else _READ_AHEAD

    @property
    def keeps_ids(self) -> bool:
        """See :attr:`Target.keeps_ids`."""
        return True

    def client(
        self, buffer: BufferSettings, *, spool: Spool | None = None, hooks: Iterable[Hook] = ()
    ) -> KlaviyoClient:
        """See :meth:`Target.client`."""
        return KlaviyoClient(
            self.connection.api_key(),
            revision=self.revision,
            base_url=self.base_url,
            bulk=self.bulk,
            buffer=buffer,
            spool=spool,
            hooks=hooks,
            allow_insecure_http=self.connection.allow_insecure_http,
        )

    def arguments(self, event: Event, run_id: uuid.UUID | None) -> dict[str, Any]:
        """
        See :meth:`Target.arguments`.

        The service drops an event whose ``unique_id`` it knows. So a line has the same one in each run, and what a run
        sends again that an earlier one could not write down any more is there once all the same.
        """
        given = event.arguments
        profile = {name: given.pop(field) for field, name in _PROFILE if field in given}
        if not profile:
            message = "no identifier: Klaviyo needs email, id or mida_uuid"  # the client speaks of other fields
            raise InvalidEventError(message)
        return {"metric": given.pop("event_name"), "profile": profile, **_own_id(event, run_id), **given}


def _own_id(event: Event, run_id: uuid.UUID | None) -> dict[str, str]:
    return {} if run_id is None else {"unique_id": str(uuid.uuid5(run_id, str(event.number)))}


def target_for(service: Service, connection: Connection, *, bulk: bool, revision: str | None) -> Target:
    """
    Return the target that the options name.

    Args:
        service: Whose it is.
        connection: The options of the connection.
        bulk: Whether many events are to go in one request.
        revision: The revision of Klaviyo's API; None for the newest that is known.

    Raises:
        click.UsageError: One of them is not for this service.
        SettingsError: The address is none.
    """
    if service == "mida":
        _refuse({"--bulk": bulk, "--revision": revision}, "is for --to klaviyo alone")
        return MidaTarget(connection)
    _refuse({"--project-key": connection.project_key, "--region": connection.region}, "is not for --to klaviyo")
    url = checked_base_url(
        connection.base_url or _KLAVIYO, connection.allow_insecure_http, rest="/api", remedy="give another --base-url"
    )
    revision = CURRENT_REVISION if revision is None else revision
    return KlaviyoTarget(connection=connection, base_url=url, revision=revision, bulk=bulk)


def _refuse(given: dict[str, object], reason: str) -> None:
    for option, value in given.items():
        if value not in {None, False}:
            message = f"{option} {reason}"
            raise click.UsageError(message)
