"""The command ``mida``: its groups and what they share."""

from __future__ import annotations

import logging

import click

from .._core.request import VERSION
from . import request, resources
from .demo import demo
from .emulator import emulator
from .errors import OneLineGroup
from .load import load
from .spool import spool


class Commands(OneLineGroup):
    """The commands of the API apart from those that do something of their own."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  click's signature
        """Write what there is, in the order in which it was added."""
        sections = [command for command in self.commands.values() if isinstance(command, resources.SectionGroup)]
        tools = [command for command in self.commands.values() if command not in sections]
        for heading, commands in (("Commands", tools), ("The API, section by section", sections)):
            with formatter.section(heading):
                formatter.write_dl([(command.name or "", command.get_short_help_str(60)) for command in commands])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show where an error comes from.")
@click.version_option(VERSION)
def mida(**_debug: bool) -> None:
    """
    Deliver visitor events to Mida, and look after a project.

    The API key comes from MIDA_API_KEY or from a file (--api-key-file), never from an argument.
    """
    # What the log has to say is in the display and in the report; without a handler it would be on the terminal twice.
    logging.getLogger("mida_async").addHandler(logging.NullHandler())


for _command in (load, spool, demo, emulator, request.command(), *resources.groups()):
    mida.add_command(_command)
