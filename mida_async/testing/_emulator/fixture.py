"""A fixture: what an emulator holds before a test begins."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from .discussion import DiscussionStore
from .experiments_state import ExperimentStore
from .personalization import CampaignStore
from .places import FixtureLike, Place, read
from .project import ACTIVE, PAUSED
from .seeds import Seeder, seed_campaign, seed_event, seed_experiment, seed_flag, seed_goal, seed_group, seed_visitor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .project import Project
    from .state import State


@attrs.frozen(kw_only=True)
class Defaults:
    """
    What a project gets that a fixture does not describe further.

    Attributes:
        project_key: The key of the emulator's own project.
        api_key: The API key.
        auto_visitors: Whether an event for an unknown visitor registers one.
        company_id: The company.
        list_definitions: Whether lists show events that belong to no visitor.
        today: Now, in seconds since the epoch.
    """

    project_key: str
    api_key: str
    auto_visitors: bool
    company_id: int
    list_definitions: bool
    today: float


def _set_api_key(seeder: Seeder, place: Place) -> None:
    seeder.project.api_key = place.text()


def _set_company(seeder: Seeder, place: Place) -> None:
    seeder.project.company = seeder.state.company(place.whole())


def _set_status(seeder: Seeder, place: Place) -> None:
    if place.whole() not in {ACTIVE, PAUSED}:
        problem = "must be 1 (active) or 0 (paused)"
        raise place.wrong(problem)
    seeder.project.status = place.whole()


def _set_name(seeder: Seeder, place: Place) -> None:
    seeder.project.profile.website_name = place.text()


def _set_auto_visitors(seeder: Seeder, place: Place) -> None:
    seeder.project.auto_visitors = place.flag()


def _set_goal_limit(seeder: Seeder, place: Place) -> None:
    seeder.project.plan_goal_limit = None if place.value is None else place.whole()


def _set_live_limit(seeder: Seeder, place: Place) -> None:
    seeder.project.store(ExperimentStore).live_limit = None if place.value is None else place.whole()


def _set_personalization(seeder: Seeder, place: Place) -> None:
    seeder.project.store(CampaignStore).enabled = place.flag()


def _set_comment_author(seeder: Seeder, place: Place) -> None:
    seeder.project.store(DiscussionStore).author = place.text()


Part: TypeAlias = "Callable[[Seeder, Place], object]"

_SETTINGS: Final[Mapping[str, Part]] = MappingProxyType(
    {
        "api_key": _set_api_key,
        "company_id": _set_company,
        "website_name": _set_name,
        "status": _set_status,
        "auto_visitors": _set_auto_visitors,
    }
)
# What follows may refer to what comes before.
_LISTS: Final[Mapping[str, Part]] = MappingProxyType(
    {
        "visitors": seed_visitor,
        "goals": seed_goal,
        "experiments": seed_experiment,
        "events": seed_event,
        "feature_flags": seed_flag,
        "exclusion_groups": seed_group,
        "campaigns": seed_campaign,
    }
)
# A limit and a feature bind what comes later, not what is there.
_LIMITS: Final[Mapping[str, Part]] = MappingProxyType(
    {
        "plan_goal_limit": _set_goal_limit,
        "plan_live_limit": _set_live_limit,
        "personalization": _set_personalization,
        "comment_author": _set_comment_author,
    }
)


def load(state: State, fixture: FixtureLike, defaults: Defaults) -> None:
    """
    Put what a fixture describes into an emulator.

    Args:
        state: What the emulator holds.
        fixture: The decoded JSON, or the path of a file with it.
        defaults: What is not described.

    Raises:
        SettingsError: Something is wrong, and the message says where. What stands before it is there then.
    """
    for place in read(fixture).fields({"projects"}, {"projects"})["projects"].items():
        _load_project(state, place, defaults)


def _load_project(state: State, place: Place, defaults: Defaults) -> None:
    fields = place.fields({"key", *_SETTINGS, *_LISTS, *_LIMITS})
    seeder = Seeder(_project(state, fields, defaults), state, defaults.today)
    for name, part in _SETTINGS.items():
        if name in fields:
            part(seeder, fields[name])
    for name, part in _LISTS.items():
        for item in fields[name].items() if name in fields else ():
            part(seeder, item)
    for name, part in _LIMITS.items():
        if name in fields:
            part(seeder, fields[name])


def _project(state: State, fields: Mapping[str, Place], defaults: Defaults) -> Project:
    key = fields["key"].text() if "key" in fields else defaults.project_key
    found = state.projects.get(key)
    return found or state.add_project(
        key,
        defaults.api_key,
        auto_visitors=defaults.auto_visitors,
        company_id=defaults.company_id,
        list_definitions=defaults.list_definitions,
        created_at=defaults.today,
    )
