"""
Who takes part in which experiment, and what they see.

It depends on nothing but the visitor, the experiment and its groups, so it is the same in each run. Where the pages are
silent: whoever took part once sees the same variant as long as the experiment is live, whatever becomes of its traffic,
weights and groups; an exclusion group gives each visitor to one of its experiments, by their percentages, also while
that one is not live; and it does not bind an experiment whose winner is served, because that is an experiment no more.
"""

from __future__ import annotations

import hashlib
import json
import math
from itertools import accumulate
from typing import TYPE_CHECKING, Final, cast

from .exclusion_groups import GroupRow, GroupStore
from .experiments_state import Assignment, ExperimentRow, ExperimentStore
from .project import ACTIVE
from .values import amount

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .project import Project

_WHOLE: Final = 100
_PLACES: Final = 2
_TINY: Final = 1e-6


def assign(project: Project, row: ExperimentRow, visitor: int, now: float) -> Assignment | None:
    """
    Let a visitor take part in an experiment, and return what they see.

    Args:
        project: The project.
        row: The experiment.
        visitor: The visitor's number.
        now: Seconds since the epoch.

    Returns:
        None where the visitor takes no part: the experiment is not live or is concluded, or its traffic or a group
            excludes them.
    """
    if row.is_live and row.serving_variant is not None:
        return _serve(row, row.serving_variant, visitor, now)
    if not row.takes_in:
        return None
    known = row.assignments.get(visitor)
    if known is not None:
        return known
    number = Division(project, row).variant_for(visitor)
    return None if number is None else row.assignments.setdefault(visitor, Assignment(variant=number, since=now))


def assign_to(project: Project, row: ExperimentRow, visitor: int, variant: int, now: float) -> Assignment | None:
    """
    Let a visitor take part in an experiment and see a variant that is not drawn.

    Neither traffic nor groups exclude them. It makes no difference to who took part before, nor while a winner is
    served.

    Args:
        project: The project.
        row: The experiment.
        visitor: The visitor's number.
        variant: The number of the variant.
        now: Seconds since the epoch.

    Returns:
        None where the visitor takes no part.
    """
    if row.takes_in:
        row.assignments.setdefault(visitor, Assignment(variant=variant, since=now))
    return assign(project, row, visitor, now)


class Division:
    """
    How visitors are divided among the variants of an experiment.

    Args:
        project: The project.
        row: The experiment.
    """

    def __init__(self, project: Project, row: ExperimentRow) -> None:
        self._row: Final = row
        self._weights: Final = weights(row)
        every = project.store(GroupStore).rows.values()
        self._groups: Final = [group for group in every if row.test_id in group.shares]
        self._rivals: Final = _rivals(project, self._groups, row)

    def variant_for(self, visitor: int) -> int | None:
        """Return the number of the variant for a visitor; None where traffic or a group exclude them."""
        row = self._row
        if not _is_in_traffic(row, visitor) or not self._is_left_by_groups(visitor):
            return None
        return _pick(self._weights, _draw(row.test_id, visitor, "variant"))

    def _is_left_by_groups(self, visitor: int) -> bool:
        return all(_chosen(group, visitor) == self._row.test_id for group in self._groups) and not any(
            visitor in rival.assignments for rival in self._rivals
        )


def came_by_events(project: Project, row: ExperimentRow, *, served: bool) -> dict[int, Assignment]:
    """
    Return who came to the pages of an experiment, as far as their events tell.

    The script that knows a visitor is on the site, so a visitor who has an event while the experiment is live counts as
    having come with the first of them. That is so as long as nobody was let in to it otherwise.

    Args:
        project: The project.
        row: The experiment.
        served: Whether only what was since the winner is served counts.
    """
    found: dict[int, Assignment] = {}
    if row.assignments or row.experiment_key is not None:
        return found
    deployed = math.inf if row.served_since is None else row.served_since
    division = Division(project, row)
    for visitor, moment in _first_events(project, row, deployed if served else -math.inf).items():
        if moment < deployed:
            number = division.variant_for(visitor)
        else:
            number = row.serving_variant if _is_in_traffic(row, visitor) else None
        if number is not None:
            found[visitor] = Assignment(variant=number, since=moment)
    return found


def _first_events(project: Project, row: ExperimentRow, since: float) -> dict[int, float]:
    """Return when visitors had their first event while an experiment was live, and not before some time."""
    found: dict[int, float] = {}
    for event in project.events.values():
        visitor, moment = event.visitor_id, event.created_at
        if not visitor or not since <= moment < found.get(visitor, math.inf):
            continue
        if event.status == ACTIVE and row.was_live(moment):
            found[visitor] = moment
    return found


def _serve(row: ExperimentRow, winner: int, visitor: int, now: float) -> Assignment | None:
    """Show the winner to a visitor; one who took part before stays counted for what they saw then, too."""
    if not _is_in_traffic(row, visitor):
        return None
    seen = row.served.setdefault(visitor, Assignment(variant=winner, since=now))
    row.assignments.setdefault(visitor, seen)
    return seen


def _is_in_traffic(row: ExperimentRow, visitor: int) -> bool:
    return _draw(row.test_id, visitor, "traffic") * _WHOLE < row.traffic_allocation


def _chosen(group: GroupRow, visitor: int) -> int:
    """Return the number of the experiment that a visitor may take part in, of those of a group."""
    tests = list(group.shares)
    return tests[_pick(group.shares.values(), _draw("group", group.number, visitor))]


def _rivals(project: Project, groups: Iterable[GroupRow], row: ExperimentRow) -> list[ExperimentRow]:
    """Return the other experiments of some groups that visitors take part in now."""
    rows = project.store(ExperimentStore).rows
    others = [rows.get(number) for group in groups for number in group.shares if number != row.test_id]
    return [other for other in others if other is not None and other.takes_in]


def _pick(shares: Iterable[float], drawn: float) -> int:
    """Return the index of the share into which a number in [0, 1) falls; one that is 0 is never picked."""
    given = list(shares)
    ends = list(accumulate(given))
    last = max(index for index, share in enumerate(given) if share)
    return next((index for index, end in enumerate(ends) if drawn * ends[-1] < end), last)


def _draw(*what: object) -> float:
    """Return a number in [0, 1) that depends on nothing but what it is for."""
    digest = hashlib.sha256("/".join(map(str, what)).encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def weights(row: ExperimentRow) -> list[float]:
    """
    Return how much traffic each variant is meant to get, Control first; the sum is 100.

    Args:
        row: The experiment.
    """
    given = own_weights(row) or [1.0] * (len(row.variants) + 1)
    total = sum(given)
    # Rounded down, but not by what is only the machine's own rounding; what is left goes to the last.
    shares = [math.floor(_WHOLE * weight / total * _WHOLE + _TINY) / _WHOLE for weight in given]
    last = max(number for number, weight in enumerate(given) if weight)
    shares[last] = round(shares[last] + _WHOLE - sum(shares), _PLACES)
    return shares


def own_weights(row: ExperimentRow) -> list[float] | None:
    """
    Return the weights that an experiment has by its variants' names, if it has any; they may be JSON text.

    Args:
        row: The experiment.
    """
    given = row.configuration.get("distribution")
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            return None
    if not isinstance(given, dict):
        return None
    names = [row.variant_name(number) for number in range(len(row.variants) + 1)]
    found = [max(0.0, amount(cast("Mapping[str, object]", given).get(name)) or 0.0) for name in names]
    return found if any(found) else None
