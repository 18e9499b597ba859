"""What is asked about before it is done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

import attrs
import click

from .errors import USAGE, Failure
from .text import printable

Arguments: TypeAlias = Mapping[str, object]

# docs/v2/create-experiment and update-experiment-status, 2026-08-22: 9 is a draft, 0 is inactive, 1 is live.
_DRAFT: Final = ("9", "draft")
_NOT_LIVE: Final = (*_DRAFT, "0", "inactive")


def _always(_arguments: Arguments) -> bool:
    return True


def _is_published(arguments: Arguments) -> bool:
    return arguments.get("status") is not None and str(arguments["status"]) not in _NOT_LIVE


def _visitors_notice(arguments: Arguments) -> bool:
    """Say whether a status is another one than draft, which only an experiment that is not live can be given."""
    return str(arguments.get("status")) not in _DRAFT


@attrs.frozen
class Confirmation:
    """
    One question.

    Attributes:
        question: Its words, with the ``{names}`` of arguments that the call cannot be without.
        applies: Whether a call with these arguments is asked about.
    """

    question: str
    applies: Callable[[Arguments], bool] = _always


# What deletes, and what visitors see or somebody pays for at once. Where it is not known what a call leads to, because
# the answer depends on what is on the server, the question is asked all the same.
CONFIRMATIONS: Final = MappingProxyType(
    {
        "events.delete": Confirmation("Delete event {event_id}?"),
        "goals.update": Confirmation("Change goal {goal_profile_id}? Live experiments that use it change at once."),
        "goals.delete": Confirmation("Delete goal {goal_profile_id}? Live experiments may use it."),
        "experiments.create": Confirmation("Create experiment {test_name} and let it go live at once?", _is_published),
        "experiments.set_status": Confirmation(
            "Set the status of experiment {test_id} to {status}? Visitors notice at once.", _visitors_notice
        ),
        "experiments.delete": Confirmation("Delete experiment {test_id}? If it is live, it stops at once."),
        "experiments.serve_winner": Confirmation(
            "Serve variant {variant_id} of experiment {test_id} to visitors from now on?"
        ),
        "experiments.set_rollout": Confirmation(
            "Serve the winner of experiment {test_id} to {traffic_allocation} % of visitors from now on?"
        ),
        "experiments.stop_serving": Confirmation("Stop serving the winner of experiment {test_id} to visitors?"),
        "experiments.delete_comment": Confirmation("Delete comment {comment_id} on experiment {test_id}?"),
        "projects.delete": Confirmation(
            "Delete project {project_key} with all that is in it? Live experiments stop, and no call brings it back."
        ),
        "exclusion_groups.delete": Confirmation(
            "Delete exclusion group {group_id}? Visitors may then be in several of its experiments."
        ),
        "personalization.create_campaign": Confirmation("Create a campaign? Its build starts at once and is paid for."),
        "personalization.add_accounts": Confirmation(
            "Add accounts to campaign {campaign_id}? If it is launched, this publishes their pages."
        ),
    }
)


def is_asked_about(name: str, arguments: Arguments) -> bool:
    """
    Say whether there is a question before a call.

    Args:
        name: The endpoint's name in the table.
        arguments: What it is called with.
    """
    return name in CONFIRMATIONS and CONFIRMATIONS[name].applies(arguments)


def question_for(name: str, arguments: Arguments) -> str:
    """
    Return the question before a call that is asked about.

    Args:
        name: The endpoint's name in the table.
        arguments: What it is called with.
    """
    return CONFIRMATIONS[name].question.format_map({key: printable(str(value)) for key, value in arguments.items()})


def ask(question: str) -> None:
    """
    Ask somebody, and go on only after a yes.

    Args:
        question: What is asked.

    Raises:
        Failure: There is nobody to ask.
        click.Abort: The answer is no.
    """
    if not _somebody_is_there():
        message = f"{question} Without a terminal nobody can be asked: say --yes if it is meant"
        raise Failure(message, USAGE)
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        click.echo(err=True)  # Ctrl-C and Ctrl-D leave the cursor behind the question
        raise
    if not agreed:
        raise click.Abort


def _somebody_is_there() -> bool:
    """Say whether a question can be seen and answered; a closed stream is None."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))
