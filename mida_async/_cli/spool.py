"""``mida spool``: what is kept on disk, and what is done about it."""

from __future__ import annotations

from typing import Final

import click

from .spool_drain import drain
from .spool_export import export
from .spool_letters import dead, drop, retry
from .spool_status import status

_COMMANDS: Final = (status, drain, dead, retry, drop, export)


class SpoolGroup(click.Group):
    """Lists its commands in the order in which they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Return their names."""
        return [command.name or "" for command in _COMMANDS]


@click.group("spool", cls=SpoolGroup, short_help="Look into a spool, deliver what it holds, put dead letters right.")
def spool() -> None:
    """
    Look into a spool, deliver what it holds, and put dead letters right.

    PATH is the file of a spool, or a folder of such files.
    """


for _command in _COMMANDS:
    spool.add_command(_command)
