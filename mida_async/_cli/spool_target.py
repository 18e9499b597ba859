"""Where the records of a spool go, as the spool says itself."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import click

from ..destinations.klaviyo import CURRENT_REVISION, Revision
from .errors import USAGE, Failure
from .target import Target, target_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .connection import Connection

_MIDA: Final = "mida:events.record"
_FLAT: Final = "klaviyo:events.flat"

# Of the revisions that a kind of body is for, the one to ask for where none is named.
_REVISIONS: Final[Mapping[str, str]] = MappingProxyType(
    {"klaviyo:events": CURRENT_REVISION, "klaviyo:events.bulk": CURRENT_REVISION, _FLAT: "2023-06-15"}
)


def target_of(destination: str, connection: Connection, revision: str | None) -> Target:
    """
    Return the target that the records of a spool are for.

    Args:
        destination: What the spool names.
        connection: The options of the connection.
        revision: The revision of Klaviyo's API; None for one that takes the records.

    Raises:
        click.UsageError: An option is not for this spool.
        Failure: No client of this package delivers there.
        SettingsError: The address or the revision is none.
    """
    if destination == _MIDA:
        _refuse({"--revision": revision}, "Mida")
        return target_for("mida", connection, bulk=False, revision=None)
    if destination not in _REVISIONS:
        message = f"the spool is for {destination}, which mida does not deliver to: use the program that filled it"
        raise Failure(message, USAGE)
    _refuse({"--project-key": connection.project_key, "--region": connection.region}, "Klaviyo")
    chosen = revision or _REVISIONS[destination]
    if Revision(chosen).flat != (destination == _FLAT):
        form = "before 2023-07-15" if destination == _FLAT else "from 2023-07-15 on"
        message = f"the spool holds events in the form of revisions {form}: --revision {chosen} is none of them"
        raise click.UsageError(message)
    return target_for("klaviyo", connection, bulk=destination.endswith(".bulk"), revision=chosen)


def _refuse(given: Mapping[str, object], service: str) -> None:
    for option, value in given.items():
        if value is not None:
            message = f"{option} is not for this spool, whose records go to {service}"
            raise click.UsageError(message)
