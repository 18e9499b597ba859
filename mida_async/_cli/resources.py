"""The groups of commands, one a section of the client."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import click

from .._core.endpoints.table import ENDPOINTS
from .._resources.account import AccountAccess
from .._resources.events import Events
from .._resources.exclusion_groups import ExclusionGroups
from .._resources.experiments import Experiments
from .._resources.goals import Goals
from .._resources.personalization import Personalization
from .._resources.projects import Projects
from .._resources.visitors import Visitors
from .verbs import command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._resources.base import Section

SECTIONS: Final = MappingProxyType(
    {
        "events": (Events, "Recorded events and event definitions."),
        "goals": (Goals, "What counts as a success."),
        "experiments": (Experiments, "Experiments, their results, and serving a winner."),
        "projects": (Projects, "The websites of a company, and how they count."),
        "exclusion_groups": (ExclusionGroups, "Experiments that share no visitor."),
        "account": (AccountAccess, "Who has access."),
        "personalization": (Personalization, "Pages that address one account or persona."),
        "visitors": (Visitors, "What server-side SDKs ask: variants, flags, attributes."),
    }
)
"""For each section of the client its class, and what it is about."""


class SectionGroup(click.Group):
    """
    The commands of one section; each is made when it is asked for.

    Args:
        section: The section's name in the table.
        options: What else click is told.
    """

    def __init__(self, section: str, **options: Any) -> None:
        super().__init__(section.replace("_", "-"), **options)
        self._class: type[Section] = SECTIONS[section][0]
        rows = [row for row in ENDPOINTS.values() if row.section == section]
        self._rows = {row.verb.replace("_", "-"): row for row in rows}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Return the names of the commands, in the order of the table."""
        return list(self._rows)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's signature
        """Make one command; underscores in its name do as well as dashes."""
        row = self._rows.get(cmd_name.replace("_", "-"))
        return None if row is None else command(row, self._class)


def groups() -> Iterator[click.Group]:
    """Make the groups of all sections."""
    return (SectionGroup(name, help=text, short_help=text) for name, (_, text) in SECTIONS.items())
