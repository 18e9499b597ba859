"""
Puts things into a project without a request.

What the API can create is handed to the endpoint that creates it, so that the same checks apply and the same rows come
of it. The rest (visitors, what happened earlier, what is made in the dashboard) is put in its place here.
"""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, cast

from ..._core.codec import EncodeProblem, encode
from ..._core.endpoints.table import ENDPOINTS
from . import discussion, exclusion_groups, experiments, goals, personalization
from .discussion import DiscussionStore
from .experiments_state import Assignment, ExperimentRow, ExperimentStore
from .personalization import CampaignStore
from .project import ACTIVE, Call
from .visitors import AttributeStore, FlagStore
from .wire import Refusal, json_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .places import Place
    from .project import Handler, Project
    from .state import State

_SECTIONS: Final = (goals, experiments, discussion, exclusion_groups, personalization)
_HANDLERS: Final[Mapping[str, Handler]] = MappingProxyType(
    {name: handler for section in _SECTIONS for name, handler in section.HANDLERS.items()}
)
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_IDENTIFIERS: Final = frozenset({"mida_uuid", "email", "id"})
_CREATED: Final = frozenset({"created_at"})
_OF_EXPERIMENTS: Final = frozenset({"experiment_key", "is_public", "is_completed", "assignments", "comments"})

# An experiment that only servers ask for has no page; the endpoint that creates it wants one all the same.
_NO_PAGE: Final = "https://example.com/"


class Seeder:
    """
    Puts things into one project.

    Args:
        project: The project.
        state: What it is a part of.
        today: Now, in seconds since the epoch.
    """

    def __init__(self, project: Project, state: State, today: float) -> None:
        self.project: Final = project
        self.state: Final = state
        self.today: Final = today

    def create(
        self, place: Place, name: str, body: Mapping[str, object], created_at: float, ids: Mapping[str, str] = _NOTHING
    ) -> dict[str, Any]:
        """
        Hand a body to an endpoint, and return the decoded answer.

        Args:
            place: Where it stands.
            name: The endpoint's name in the table.
            body: The body.
            created_at: When, in seconds since the epoch.
            ids: What its path names.

        Raises:
            SettingsError: The endpoint refuses it, or it is not JSON.
        """
        try:
            call = Call(ids=ids, query=_NOTHING, body=encode(body), now=0.0, today=created_at)
            answer = json.loads(_HANDLERS[name](self.project, call).body)
        except Refusal as refusal:
            problem = refusal.text
        except EncodeProblem as error:
            problem = str(error)
        else:
            return cast("dict[str, Any]", answer)
        raise place.wrong(problem)

    def visitor(self, fields: Mapping[str, Place], place: Place) -> int:
        """
        Return the number of the visitor whom some fields name; who is not known yet is registered.

        Args:
            fields: The fields of *place*.
            place: Where they stand.

        Raises:
            SettingsError: They name nobody.
        """
        named = {name: fields[name].text() for name in sorted(_IDENTIFIERS & fields.keys())}
        if not named:
            problem = "names no visitor; give at least one of mida_uuid, email and id"
            raise place.wrong(problem)
        return self.project.visitors.add(named.get("mida_uuid"), named.get("email"), named.get("id"))

    def moment(self, fields: Mapping[str, Place], name: str) -> float:
        """Return a time that may be given, or now."""
        return fields[name].moment() if name in fields else self.today


def _taken_by(name: str) -> frozenset[str]:
    """Return the fields of the body of an endpoint."""
    return frozenset(field.name for field in ENDPOINTS[name].fields if field.place == "body")


def _values(fields: Mapping[str, Place], names: frozenset[str]) -> dict[str, object]:
    return {name: each.value for name, each in fields.items() if name in names}


def seed_visitor(seeder: Seeder, place: Place) -> int:
    """Register a visitor, and return the visitor's number."""
    fields = place.fields(_IDENTIFIERS | {"attributes"})
    number = seeder.visitor(fields, place)
    if "attributes" in fields:
        seeder.project.store(AttributeStore).update(number, fields["attributes"].mapping())
    return number


def seed_flag(seeder: Seeder, place: Place) -> None:
    """Turn a feature flag on: for all where it is a text, for some where it is an object."""
    if isinstance(place.value, str):
        seeder.project.store(FlagStore).enable(place.text())
        return
    fields = place.fields({"flag", "user_ids"}, {"flag", "user_ids"})
    users = [user.text() for user in fields["user_ids"].items()]
    if not users:
        problem = "must name somebody; a flag that is on for all is a plain string"
        raise fields["user_ids"].wrong(problem)
    seeder.project.store(FlagStore).enable(fields["flag"].text(), *users)


def seed_goal(seeder: Seeder, place: Place) -> int:
    """Make a goal, and return its number."""
    name = "goals.create"
    taken = _taken_by(name)
    fields = place.fields(taken | _CREATED)
    answer = seeder.create(place, name, _values(fields, taken), seeder.moment(fields, "created_at"))
    return int(answer["goal_profile_id"])


def seed_experiment(seeder: Seeder, place: Place) -> int:
    """Make an experiment, and return its number."""
    name = "experiments.create"
    taken = _taken_by(name) - {"idempotency_key"}
    fields = place.fields(taken | _CREATED | _OF_EXPERIMENTS, {"test_name", "variants"})
    has_page = "url" in fields or "page_urls" in fields
    body = {**_values(fields, taken), "variants": _variants(fields["variants"])}
    key = fields["experiment_key"].text() if "experiment_key" in fields else None
    store = seeder.project.store(ExperimentStore)
    if key is not None and store.by_key(key) is not None:
        problem = f"there is an experiment {key!a} already"
        raise fields["experiment_key"].wrong(problem)
    without = {} if has_page else {"url": _NO_PAGE}
    answer = seeder.create(place, name, {**body, **without}, seeder.moment(fields, "created_at"))
    row = store.rows[int(answer["test_id"])]
    row.url = row.url if has_page else None
    row.experiment_key = key
    row.is_public = "is_public" in fields and fields["is_public"].flag()
    row.is_completed = int("is_completed" in fields and fields["is_completed"].flag())
    for assignment in fields["assignments"].items() if "assignments" in fields else ():
        _assign(seeder, row, assignment)
    for comment in fields["comments"].items() if "comments" in fields else ():
        _comment(seeder, row, comment)
    return row.test_id


def _variants(place: Place) -> list[object]:
    """Give each variant the name and the changes that the endpoint asks for, where it has none."""
    return [_variant(number, item.value) for number, item in enumerate(place.items(), 1)]


def _variant(number: int, value: object) -> object:
    usual: dict[str, object] = {"name": f"Variant {number}", "data": []}
    return {**usual, **cast("Mapping[str, object]", value)} if isinstance(value, dict) else value


def _assign(seeder: Seeder, row: ExperimentRow, place: Place) -> None:
    fields = place.fields(_IDENTIFIERS | {"variant", "since"}, {"variant"})
    names = [row.variant_name(number) for number in range(len(row.variants) + 1)]
    given = fields["variant"].text()
    if given not in names:
        problem = f"must be one of {', '.join(names)}"
        raise fields["variant"].wrong(problem)
    since = fields["since"].moment() if "since" in fields else row.created_at
    row.assignments[seeder.visitor(fields, place)] = Assignment(variant=names.index(given), since=since)


def _comment(seeder: Seeder, row: ExperimentRow, place: Place) -> None:
    fields = place.fields(_CREATED | {"comment", "author_name", "source"}, {"comment", "author_name"})
    store = seeder.project.store(DiscussionStore)
    before, store.author = store.author, fields["author_name"].text()
    try:
        body, created_at = _values(fields, frozenset({"comment", "source"})), seeder.moment(fields, "created_at")
        seeder.create(place, "experiments.add_comment", body, created_at, {"test_id": str(row.test_id)})
    finally:
        store.author = before


def seed_event(seeder: Seeder, place: Place) -> int:
    """Put an event into the lists, and return its number."""
    fields = place.fields(_IDENTIFIERS | _CREATED | {"event_name", "properties"}, {"event_name"})
    text = None
    if "properties" in fields:
        text = json_text(fields["properties"].mapping())
    return seeder.state.add_event(
        seeder.project,
        fields["event_name"].text(),
        text,
        created_at=seeder.moment(fields, "created_at"),
        visitor_id=seeder.visitor(fields, place),
    )


def seed_group(seeder: Seeder, place: Place) -> None:
    """Make an exclusion group; its experiments are named by ``test_name``."""
    fields = place.fields({"name", "description", "tests"}, {"name", "tests"})
    tests = [_member(seeder, item) for item in fields["tests"].items()]
    seeder.create(
        place, "exclusion_groups.create", {**{name: each.value for name, each in fields.items()}, "tests": tests}, 0.0
    )


def _member(seeder: Seeder, place: Place) -> dict[str, object]:
    fields = place.fields({"test_name", "percent"}, {"test_name"})
    name = fields["test_name"].text()
    found = [row for row in seeder.project.store(ExperimentStore).present() if row.test_name == name]
    if len(found) != 1:
        problem = f"there are {len(found)} experiments of this name; there must be one"
        raise fields["test_name"].wrong(problem)
    return {"test_id": found[0].test_id, **_values(fields, frozenset({"percent"}))}


def seed_campaign(seeder: Seeder, place: Place) -> int:
    """Make a campaign whose build is over, and return its number."""
    name = "personalization.create_campaign"
    taken = _taken_by(name) - {"goal_profile_id"}
    fields = place.fields(taken | {"goal_key", "launched", "building", "updated_at"})
    body = _values(fields, taken)
    if "goal_key" in fields:
        body["goal_profile_id"] = _goal(seeder, fields["goal_key"])
    answer = seeder.create(place, name, body, seeder.moment(fields, "updated_at"))
    row = seeder.project.store(CampaignStore).rows[int(answer["abm_campaign_id"])]
    row.launched = "launched" in fields and fields["launched"].flag()
    if row.launched and row.goal_profile_id is None:
        problem = "a campaign without a goal_key cannot be launched"
        raise fields["launched"].wrong(problem)
    if "building" not in fields or not fields["building"].flag():
        row.finish()
    return row.number


def _goal(seeder: Seeder, place: Place) -> int:
    key = place.text()
    for goal in seeder.project.goals.values():
        if goal.goal_key == key and goal.status == ACTIVE:
            return goal.goal_profile_id
    problem = f"there is no goal {key!a}"
    raise place.wrong(problem)
