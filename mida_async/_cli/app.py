"""The command ``mida``: its groups and what they share."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import click

from . import resources
from .demo import demo
from .emulator import emulator
from .errors import OneLineGroup
from .load import load


def _version() -> str:
    try:
        return version("mida-async")
    except PackageNotFoundError:  # it runs from a checkout
        return "unknown"


@click.group(cls=OneLineGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show where an error comes from.")
@click.version_option(_version())
def mida(**_debug: bool) -> None:
    """
    Deliver visitor events to Mida, and look after a project.

    The API key comes from MIDA_API_KEY or from a file (--api-key-file), never from an argument.
    """


for _command in (demo, emulator, load, resources.events(), resources.goals()):
    mida.add_command(_command)
