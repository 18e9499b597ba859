"""
The endpoints of experiments.

Where the pages are silent, this server decides as follows. An experiment without a page is refused. Its page is
``url``, or else the first of ``page_urls`` that is a plain string, or else the first allowed one that is no regular
expression; one that is known by regular expressions alone has none, and no previews (409). Regular expressions are
taken to match: they are the browser's, and are not tried here.

A goal that is named by a key must exist (400, because 404 is the project). Of a goal and a key the key counts. A goal
that is reused keeps its own value. When an experiment is refused, no goal of its is made.

An idempotency key brings back the first success for 24 hours, whatever the body says; a refusal is not remembered, so
that what was wrong can be corrected. Of the field and the header the field counts.

Live, by the plan, are experiments with status 1 that are neither completed nor serve a winner. A draft may become
inactive; a draft that becomes a draft stays one. Every change of status clears the mark of completion. An update
replaces what it names as a whole, ``configuration`` over the documented defaults; visitors whose variant is gone are
assigned anew. Unknown fields are ignored.
"""

from __future__ import annotations

import hashlib
import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import attrs

from .experiment_fields import (
    DEFAULTS,
    JSON,
    body_of,
    fields_of_new,
    fields_of_update,
    list_of,
    object_of,
    pages_of,
    rule_of,
    texts_of,
)
from .experiments_state import DRAFT, INACTIVE, LIVE, ExperimentRow, ExperimentStore
from .goals import create_goal
from .project import ACTIVE, page
from .wire import Refusal, Reply, bad, encode, filled_text, one_of, page_of, success, timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .project import Call, GoalRow, Handler, Project

STATUSES: Final = (DRAFT, LIVE, INACTIVE)
TEST_TYPES: Final = ("abtest", "split", "personalization", "mvt")
REMEMBERED_FOR: Final = 24 * 60 * 60.0

_KEEP_KEYS: Final = 10_000
_NO_GOAL: Final = "The experiment was created without a primary goal."


@attrs.define(eq=False)
class IdempotencyKeys:
    """What was answered to which key."""

    _answers: dict[str, tuple[float, Reply]] = attrs.field(factory=dict[str, tuple[float, Reply]])

    def find(self, key: str | None, today: float) -> Reply | None:
        """Return what was answered to *key* in the last 24 hours."""
        answered = None if key is None else self._answers.get(key)
        return answered[1] if answered and today - answered[0] < REMEMBERED_FOR else None

    def remember(self, key: str | None, today: float, reply: Reply) -> None:
        """Keep what was answered; the oldest goes where there is no more room."""
        if key is None:
            return
        self._answers.pop(key, None)
        self._answers[key] = (today, reply)
        if len(self._answers) > _KEEP_KEYS:
            del self._answers[next(iter(self._answers))]


def _store(project: Project) -> ExperimentStore:
    return project.store(ExperimentStore)


def _named(project: Project, call: Call) -> ExperimentRow:
    return _store(project).named(call.ids["test_id"])


def _check_plan(store: ExperimentStore) -> None:
    live = [row for row in store.present() if row.takes_in]
    if store.live_limit is not None and len(live) >= store.live_limit:
        text = f"Your plan allows {store.live_limit} live experiments per project; upgrade to run more"
        raise Refusal(403, text)


def create_experiment(project: Project, call: Call) -> Reply:
    """Make an experiment, or say again what was said to the same key (docs/v2/create-experiment)."""
    body = {name: value for name, value in body_of(call.body).items() if value is not None}
    key = filled_text(body, "idempotency_key") if "idempotency_key" in body else _key_of(call)
    keys = project.store(IdempotencyKeys)
    reply = keys.find(key, call.today)
    if reply is None:
        reply = _create(project, call, body)
        keys.remember(key, call.today, reply)
    return reply


def _key_of(call: Call) -> str | None:
    """Return the idempotency key of the header; one with nothing in it is none."""
    return call.headers.get("x-idempotency-key", "").strip() or None


def _create(project: Project, call: Call, body: Mapping[str, Any]) -> Reply:
    store = _store(project)
    fields = _new_fields(body)
    if fields["status"] == LIVE:
        _check_plan(store)
    primary, secondary = _goals(project, call, body)
    row = ExperimentRow(
        test_id=project.next_id(),
        primary_goal=primary,
        secondary_goals=secondary,
        created_at=call.today,
        updated_at=call.today,
        **fields,
    )
    store.rows.add(row.test_id, row)
    return success(
        status=row.status,
        test_id=row.test_id,
        company_id=project.company_id,
        goal_profile_id=row.primary_goal,
        secondary_goals_count=len(row.secondary_goals),
        warnings=[_NO_GOAL] if row.primary_goal is None else [],
    )


def _new_fields(body: Mapping[str, Any]) -> JSON:
    fields: JSON = {"configuration": dict(DEFAULTS), **fields_of_new(body)}
    pages = fields["page_urls"] = pages_of(body)
    if "url" not in fields:
        fields["url"] = _page_among(pages)
    elif pages and not _is_among(fields["url"], pages):
        text = "url must be one of the pages that page_urls allow"
        raise bad(text)
    if fields["url"] is None and not pages:
        text = "url is required unless page_urls is given"
        raise bad(text)
    fields["status"] = one_of(body, "status", STATUSES) if "status" in body else DRAFT
    fields["test_type"] = one_of(body, "test_type", TEST_TYPES) if "test_type" in body else "abtest"
    return fields


def _page_among(pages: list[Any]) -> str | None:
    plain = [entry for entry in pages if isinstance(entry, str)]
    named = [entry["url"] for entry in map(rule_of, pages) if entry["allowed"] and entry["rule"] != "regex"]
    return next(iter([*plain, *named]), None)


def _is_among(url: str, pages: list[Any]) -> bool:
    matching = [entry for entry in map(rule_of, pages) if _MATCHES[entry["rule"]](url, entry["url"])]
    return bool(matching) and all(entry["allowed"] for entry in matching)


def _simple(url: str) -> str:
    return url.replace("://www.", "://", 1).rstrip("/")


_MATCHES: Final[Mapping[str, Callable[[str, str], bool]]] = MappingProxyType(
    {
        "simple": lambda url, entry: _simple(url) == _simple(entry),
        "exact": lambda url, entry: url == entry,
        "contain": lambda url, entry: entry in url,
        "regex": lambda _, __: True,
    }
)


def _goals(project: Project, call: Call, body: Mapping[str, Any]) -> tuple[int | None, list[int]]:
    """Find the goals of a new experiment and make those that are missing: all, or when a part is wrong, none."""
    made: list[int] = []
    try:
        primary = [_inline(project, call, body, "primary_goal", made)] if "primary_goal" in body else []
        if "primary_goal_key" in body:
            primary = [_by_key(project, filled_text(body, "primary_goal_key"))]
        given = list_of(body, "secondary_goals", dict, "objects") if "secondary_goals" in body else []
        names = {f"secondary_goals[{place}]": item for place, item in enumerate(given)}
        secondary = [_inline(project, call, names, name, made) for name in names]
        keys = texts_of(body, "secondary_goal_keys") if "secondary_goal_keys" in body else []
        secondary += [_by_key(project, key) for key in keys]
    except Refusal:
        for number in made:
            del project.goals[number]
        raise
    return next(iter(primary), None), secondary


def _inline(project: Project, call: Call, body: Mapping[str, Any], name: str, made: list[int]) -> int:
    goal = object_of(body, name)
    wanted = [filled_text(goal, field) for field in ("goal_name", "goal_type")]
    same = next((row for row in _active_goals(project) if [row.goal_name, row.goal_type] == wanted), None)
    if same is not None:
        return same.goal_profile_id
    content = {field: goal.get(field) for field in ("goal_name", "goal_type", "goal_value")}
    reply = create_goal(project, attrs.evolve(call, body=encode(content)))
    number: int = json.loads(reply.body)["goal_profile_id"]
    made.append(number)
    return number


def _by_key(project: Project, key: str) -> int:
    goal = next((row for row in _active_goals(project) if row.goal_key == key), None)
    if goal is None:
        text = f"No goal has the key {key}"
        raise bad(text)
    return goal.goal_profile_id


def _active_goals(project: Project) -> list[GoalRow]:
    return [goal for goal in project.goals.values() if goal.status == ACTIVE]


def list_experiments(project: Project, call: Call) -> Reply:
    """List the experiments, the oldest first (docs/v2/list-experiments; the order is not documented)."""
    limit, offset = page_of(call.query)
    rows = page(iter(_store(project).present()), limit, offset)
    shown = [{**_brief(row), "is_completed": row.is_completed} for row in rows]
    return success(company_id=project.company_id, count=len(shown), experiments=shown)


def _brief(row: ExperimentRow) -> JSON:
    return {
        "test_id": row.test_id,
        "test_name": row.test_name,
        "url": row.url,
        "status": row.status,
        "created_at": timestamp(row.created_at),
        "updated_at": timestamp(row.updated_at),
        "serving_variant_id": None if row.serving_variant is None else str(row.serving_variant),
        "is_deploy": int(row.serving_variant is not None),
    }


def get_experiment(project: Project, call: Call) -> Reply:
    """Show one experiment; Control has the number 1, as in the vendor's example (docs/v2/get-experiment-details)."""
    row = _named(project, call)
    goal = None if row.primary_goal is None else project.goals.get(row.primary_goal)
    return success(
        experiment={
            **_brief(row),
            "goal_profile_id": row.primary_goal,
            "variants": [_shown(row, number) for number in range(len(row.variants) + 1)],
            "configuration": {**DEFAULTS, **row.configuration},
            "targeting": _shown_targeting(row.targeting),
            "primary_goal": None if goal is None else _shown_goal(goal),
        }
    )


def _shown(row: ExperimentRow, number: int) -> JSON:
    variant = row.variants[number - 1] if number else _control(row)
    nickname = variant.get("nickname") if number else None
    name = row.variant_name(number)
    return {
        "variant_id": number + 1,
        "name": f"{name} \N{EM DASH} {nickname}" if nickname else name,
        "customCSS": variant.get("customCSS") or "",
        "customJS": variant.get("customJS") or "",
        "data": variant.get("data") or [],
    }


def _control(row: ExperimentRow) -> JSON:
    raw = row.control_attr if isinstance(row.control_attr, dict) else {}
    return {"customCSS": raw.get("css"), "customJS": raw.get("js"), **row.control}


def _shown_targeting(targeting: Mapping[str, Any]) -> JSON:
    countries: list[JSON] = targeting.get("allowed_country") or []
    allowed = [country.get("code") for country in countries if country.get("rule") != "blacklist"]
    return {
        "devices": targeting.get("device_rule") or [],
        "browsers": targeting.get("browser_rule") or [],
        "countries": [code for code in allowed if isinstance(code, str)],
    }


def _shown_goal(goal: GoalRow) -> JSON:
    return {
        "goal_profile_id": goal.goal_profile_id,
        "goal_name": goal.goal_name,
        "goal_type": goal.goal_type,
        "goal_value": goal.goal_value,
    }


def update_experiment(project: Project, call: Call) -> Reply:
    """Change what the body names; all of it or, when a part is wrong, nothing (docs/v2/update-experiment)."""
    row = _named(project, call)
    for name, value in fields_of_update(body_of(call.body)).items():
        setattr(row, name, value)
    row.updated_at = call.today
    most = len(row.variants)
    row.assignments = {visitor: seen for visitor, seen in row.assignments.items() if seen.variant <= most}
    if row.serving_variant is not None and row.serving_variant > most:
        row.stop_serving()
    return success(test_id=row.test_id)


def set_status(project: Project, call: Call) -> Reply:
    """Start or stop an experiment, or make it a draft again (docs/v2/update-experiment-status)."""
    row = _named(project, call)
    status = one_of(body_of(call.body), "status", STATUSES)
    if status == DRAFT and row.status == LIVE:
        text = "Only an inactive experiment can go back to draft; set status 0 first"
        raise bad(text)
    if status == LIVE and row.status != LIVE:
        _check_plan(_store(project))
    row.become(status, call.today)
    row.is_completed = 0
    row.updated_at = call.today
    return success(test_id=row.test_id, status=status)


def delete_experiment(project: Project, call: Call) -> Reply:
    """Take an experiment out of all reads (docs/v2/delete-experiment)."""
    row = _named(project, call)
    was_live = row.is_live
    row.deleted = True
    message = "Experiment deleted. It was live and is no longer shown." if was_live else "Experiment deleted."
    return success(test_id=row.test_id, test_name=row.test_name, deleted=True, was_live=was_live, message=message)


def preview_urls(project: Project, call: Call) -> Reply:
    """Show where each variant can be seen (docs/v2/get-experiment-preview-urls)."""
    if not call.ids["test_id"].isdecimal():
        text = "test_id must be a number"
        raise bad(text)
    project.check_active()
    row = _named(project, call)
    if row.url is None:
        text = "The experiment has no page URL; set url first"
        raise Refusal(409, text)
    numbers = range(len(row.variants) + 1)
    variants = [{"variant_id": number, **_preview(row, row.url, number)} for number in numbers]
    return success(test_id=row.test_id, test_name=row.test_name, page_url=row.url, variants=variants)


def _preview(row: ExperimentRow, url: str, number: int) -> JSON:
    name = row.variant_name(number)
    variant = name.replace(" ", "_") if number else "0"
    if number and row.test_type == "split":
        changes: list[JSON] = row.variants[number - 1].get("data") or []
        redirect = changes[0].get("url") if changes else None
        url = redirect if isinstance(redirect, str) else url
    address, hash_sign, fragment = url.partition("#")
    joint = "&" if "?" in address else "?"
    query = f"test-preview={row.test_id}&test-variant={variant}"
    return {"name": name, "preview_url": f"{address}{joint}{query}{hash_sign}{fragment}"}


def share_link(project: Project, call: Call) -> Reply:
    """Show where results can be read; sharing is switched on in the dashboard (docs/v2/get-experiment-share-link)."""
    row = _named(project, call)
    token = hashlib.sha256(f"{project.key}/{row.test_id}".encode()).hexdigest()[:8]
    link = f"https://us.mida.so/share/abResult/{row.test_id}/{token}"
    return success(test_id=row.test_id, company_id=project.company_id, share_link=link, is_public=row.is_public)


HANDLERS: Final[Mapping[str, Handler]] = MappingProxyType(
    {
        "experiments.list": list_experiments,
        "experiments.get": get_experiment,
        "experiments.create": create_experiment,
        "experiments.update": update_experiment,
        "experiments.set_status": set_status,
        "experiments.delete": delete_experiment,
        "experiments.preview_urls": preview_urls,
        "experiments.share_link": share_link,
    }
)
