"""The endpoints of experiments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import attrs

from ..._errors import InvalidRequestError
from ...models.experiment_inputs import Configuration, Control, InlineGoal, PageRule
from ...models.experiments import (
    ExperimentCreated,
    ExperimentDeleted,
    ExperimentDetails,
    ExperimentPage,
    ExperimentStatus,
    ExperimentType,
    ExperimentUpdated,
    PreviewUrls,
    ShareLink,
    StatusSet,
)
from ..arguments import (
    ANY_TEXT,
    OBJECT_OR_TEXT,
    STATUS,
    TEXT,
    TEXTS,
    Field,
    Kind,
    choices,
    input_of,
    number_in_path,
    optional,
    paging,
)
from ..checks import each, item_of, number, refuse, text, text_or_number, whole
from ..targeting import TARGETING
from ..variants import VARIANTS
from .base import by_name, row

if TYPE_CHECKING:
    from collections.abc import Mapping

# docs/v2/create-experiment, 2026-08-22
MAX_PAGES: Final = 50

_FLAGS: Final = ("is_mab", "is_autopilot", "bayesian", "completion_stats_significant_flag")
_PERCENTAGES: Final = ("traffic_allocation", "confidence_interval")
_LABELS: Final = tuple(member.name.lower() for member in ExperimentStatus)


def _status(field: str, value: object) -> int:
    """Return the number of a status, of which some answers have the label. Numbers that are not known pass."""
    if isinstance(value, str) and value in _LABELS:
        return int(ExperimentStatus[value.upper()])
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 1:
        return int(value)
    if isinstance(value, str):
        allowed = f"a number, or one of {', '.join(_LABELS)}"
        raise refuse(field, value, allowed)
    return whole(field, value, 0)


def _address(field: str, value: object) -> str:
    address = text(field, value)
    if "*" in address:
        allowed = "an address without *: patterns are page_urls with the rule regex"
        raise refuse(field, address, allowed)
    return address


def _page(field: str, value: object) -> object:
    """Return a page as it goes out: an address, or an object that says how it is compared."""
    if isinstance(value, str):
        return _address(field, value)
    page = cast("Mapping[str, object]", _page_rule(field, value))
    check = text if page.get("rule") == "regex" else _address
    check(f"{field}.url", page.get("url"))
    return page


def _pages(field: str, value: object) -> list[object]:
    pages = cast("list[object]", _each_page(field, value))
    if not any(
        isinstance(page, str) or cast("Mapping[str, object]", page).get("allowed") is not False for page in pages
    ):
        message = f"{field} allows no page; at least one must be allowed"
        raise InvalidRequestError(message)
    return pages


def _has_a_page(arguments: Mapping[str, object]) -> None:
    if arguments.keys().isdisjoint(("url", "page_urls")):
        message = "url is missing; give the page that is tested, or page_urls"
        raise InvalidRequestError(message)


_page_rule: Final = item_of(PageRule)
_each_page: Final = each(_page, "addresses or PageRules", least=1, most=MAX_PAGES)


def _goal(field: str, value: object) -> object:
    goal = dict(cast("Mapping[str, object]", _inline_goal(field, value)))
    for name, check in (("goal_name", text), ("goal_type", text), ("goal_value", text_or_number)):
        goal[name] = check(f"{field}.{name}", goal.get(name))
    return goal


_inline_goal: Final = item_of(InlineGoal)


def _configuration(field: str, value: object) -> object:
    """Return a configuration as it goes out: flags are 0 or 1 there, and percentages no fractions."""
    content = dict(cast("Mapping[str, object]", _settings(field, value)))
    for name in _PERCENTAGES:
        if name in content:
            content[name] = number(f"{field}.{name}", content[name], 0, 100)
    for name in _FLAGS:
        if isinstance(content.get(name), bool):
            content[name] = int(cast("bool", content[name]))
    return content


_settings: Final = item_of(Configuration)

_PAGE_ADDRESS: Final = Kind(name="text", check=_address, schema={"type": "string", "pattern": r"^[^*]*[^*\s][^*]*$"})
_PAGE_URLS: Final = Kind(
    name="objects",
    check=_pages,
    schema={
        "type": "array",
        "minItems": 1,
        "maxItems": MAX_PAGES,
        "items": {"anyOf": [_PAGE_ADDRESS.schema, input_of(PageRule).schema]},
    },
    models=(PageRule,),
)
_GOAL: Final = attrs.evolve(input_of(InlineGoal), check=_goal)
_GOALS: Final = Kind(
    name="objects",
    check=each(_goal, "InlineGoals or mappings"),
    schema={"type": "array", "items": _GOAL.schema},
    models=(InlineGoal,),
)
_CONFIGURATION: Final = attrs.evolve(input_of(Configuration), check=_configuration)
_STATUS: Final = Kind(
    name="text", check=_status, schema={**STATUS.schema, "examples": [int(each) for each in ExperimentStatus]}
)

_TEST_ID: Final = number_in_path("test_id", "The experiment's number.")
_NAME: Final = Field(name="test_name", kind=TEXT, place="body", help="Its name.", required=True)
_URL: Final = Field(
    name="url",
    kind=_PAGE_ADDRESS,
    place="body",
    help="The page that is tested, and that previews open; not a pattern.",
)
_VARIANTS: Final = Field(
    name="variants",
    kind=VARIANTS,
    place="body",
    help="The treatments in their order, without Control; their names are filled in.",
    required=True,
)
_WHO_AND_HOW: Final = (
    Field(name="configuration", kind=_CONFIGURATION, place="body", help="How it runs; percentages are 0 to 100."),
    Field(name="targeting", kind=TARGETING, place="body", help="Whom it is shown to; everybody otherwise."),
)
# Null is not documented for any of these. It can only mean the same as leaving them out of a new experiment, which is
# possible for the code and for what is particular to Control; the others are emptied by an empty list or object.
_CODE: Final = (
    Field(
        name="custom_js",
        kind=ANY_TEXT,
        place="body",
        help="A script for all who take part, Control included.",
        nullable=True,
    ),
    Field(
        name="custom_css",
        kind=ANY_TEXT,
        place="body",
        help="A style sheet for all who take part, Control included.",
        nullable=True,
    ),
    Field(
        name="control",
        kind=input_of(Control),
        place="body",
        help="The nickname and the code of Control.",
        nullable=True,
    ),
    Field(
        name="control_attr",
        kind=OBJECT_OR_TEXT,
        place="body",
        help="The same as the server stores it: an object, or its JSON text, with name, js and css.",
        nullable=True,
    ),
)

ROWS: Final = by_name(
    row(
        "experiments.list",
        "GET P/experiments",
        "list-experiments",
        "List experiments.",
        answer=ExperimentPage,
        rows="experiments",
        errors=(400,),
        fields=paging(),
    ),
    row(
        "experiments.get",
        "GET P/experiment/{test_id}",
        "get-experiment-details",
        "Get one experiment with its variants, configuration and targeting.",
        answer=ExperimentDetails,
        key="experiment",
        errors=(404,),
        fields=(_TEST_ID,),
    ),
    # Safe because the client always sends an idempotency key: the server answers the same again for 24 hours.
    row(
        "experiments.create",
        "POST P/create-experiment",
        "create-experiment",
        "Create an experiment, a draft unless a status is given.",
        answer=ExperimentCreated,
        errors=(400, 403, 404),
        plan_capped=True,
        fields=(
            _NAME,
            _VARIANTS,
            _URL,
            Field(
                name="page_urls",
                kind=_PAGE_URLS,
                place="body",
                help="The pages that it is about, at most 50: addresses, or objects with url, rule and allowed.",
            ),
            Field(
                name="status",
                kind=_STATUS,
                place="body",
                help="9 draft, 0 inactive, 1 live, which shows it to visitors at once; or the word.",
            ),
            Field(name="test_type", kind=choices(ExperimentType), place="body", help="What kind of experiment it is."),
            Field(
                name="primary_goal",
                kind=_GOAL,
                place="body",
                help="The goal that decides it; one of the same name and type is used, else it is created.",
            ),
            Field(name="primary_goal_key", kind=TEXT, place="body", help="The key of a goal that exists, instead."),
            Field(name="secondary_goals", kind=_GOALS, place="body", help="Further goals to count."),
            Field(name="secondary_goal_keys", kind=TEXTS, place="body", help="The keys of further goals that exist."),
            *_WHO_AND_HOW,
            *_CODE,
            Field(
                name="idempotency_key",
                kind=TEXT,
                place="body",
                help="What a repetition is recognised by for 24 hours; made up where none is given.",
            ),
        ),
        together=_has_a_page,
    ),
    row(
        "experiments.update",
        "PATCH P/experiment/{test_id}",
        "update-experiment",
        "Change one experiment; a list or an object that is given replaces the whole one.",
        answer=ExperimentUpdated,
        partial=True,
        errors=(400, 404),
        fields=(
            _TEST_ID,
            *optional(_NAME, _URL, _VARIANTS),
            *_CODE,
            *_WHO_AND_HOW,
            Field(name="tags", kind=TEXTS, place="body", help="Words to find it by."),
        ),
    ),
    row(
        "experiments.set_status",
        "PATCH P/experiment/{test_id}/status",
        "update-experiment-status",
        "Make one experiment live, inactive or a draft again; live shows it to visitors at once.",
        answer=StatusSet,
        errors=(400, 403, 404),
        plan_capped=True,
        fields=(
            _TEST_ID,
            Field(
                name="status",
                kind=_STATUS,
                place="body",
                help="1 live, 0 inactive, 9 draft, which only an inactive one can become; or the word.",
                required=True,
            ),
        ),
    ),
    row(
        "experiments.delete",
        "DELETE P/experiment/{test_id}",
        "delete-experiment",
        "Delete one experiment; a live one stops being shown at once.",
        answer=ExperimentDeleted,
        errors=(404,),
        fields=(_TEST_ID,),
    ),
    row(
        "experiments.preview_urls",
        "GET P/experiment/{test_id}/preview-urls",
        "get-experiment-preview-urls",
        "Get the addresses at which each variant can be seen.",
        answer=PreviewUrls,
        errors=(400, 403, 404, 409),
        fields=(_TEST_ID,),
    ),
    row(
        "experiments.share_link",
        "GET P/experiment/{test_id}/share-link",
        "get-experiment-share-link",
        "Get the address at which results can be read without an account.",
        answer=ShareLink,
        errors=(404,),
        fields=(_TEST_ID,),
    ),
)
