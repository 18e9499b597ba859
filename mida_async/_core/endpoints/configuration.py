"""The endpoints of a project's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, cast

from ...models.configuration import (
    AnalysisMethod,
    FrequentistType,
    GoalByKey,
    MetricByText,
    ProjectConfiguration,
    SecondaryMetric,
)
from ..arguments import FLAG, TEXT, Field, Kind, choices, numbers
from ..checks import each, plain, refuse, text
from .base import by_name, row

if TYPE_CHECKING:
    from ...models.base import Input


def _secondary_goal(field: str, value: object) -> object:
    """
    Return a secondary goal as it goes out.

    A text is the key of a goal. What was read is taken, too: a change replaces all of them, so whoever adds one sends
    the others back.
    """
    match value:
        case str():
            return {"goal_key": text(field, value)}
        case SecondaryMetric(goal_key=str()):
            return {"goal_key": value.goal_key}
        case SecondaryMetric(text=str()):
            return {"text": value.text, "name": value.text if value.name is None else value.name}
        case GoalByKey() | MetricByText() | Mapping():
            return _named(field, plain(field, cast("Input | Mapping[str, object]", value)))
        case _:
            allowed = "the key of a goal, a GoalByKey, a MetricByText or a mapping"
            raise refuse(field, value, allowed)


def _named(field: str, goal: object) -> object:
    said = cast("Mapping[str, object]", goal)
    if said.get("text") is None:
        text(f"{field}.goal_key", said.get("goal_key"))
    else:
        text(f"{field}.text", said["text"])
    return goal


_SECONDARY_GOALS: Final = Kind(
    name="objects",
    check=each(_secondary_goal, "secondary goals"),
    schema={
        "type": "array",
        "items": {
            "anyOf": [{"$ref": "#/components/schemas/GoalByKey"}, {"$ref": "#/components/schemas/MetricByText"}],
        },
    },
    models=(GoalByKey, MetricByText),
)

ROWS: Final = by_name(
    row(
        "projects.get_configuration",
        "GET P/configuration",
        "get-project-configuration",
        "Get what new experiments begin with, and how results are judged.",
        answer=ProjectConfiguration,
        key="configuration",
        errors=(403, 404),
    ),
    row(
        "projects.update_configuration",
        "PATCH P/configuration",
        "update-project-configuration",
        "Change what new experiments begin with; those that exist stay as they are.",
        answer=ProjectConfiguration,
        key="configuration",
        partial=True,
        errors=(400, 404),
        fields=(
            Field(
                name="analysis_method",
                kind=choices(AnalysisMethod),
                place="body",
                help="How results are judged: 1 Bayesian, 0 frequentist.",
            ),
            Field(
                name="frequentist_type",
                kind=choices(FrequentistType),
                place="body",
                help="What a frequentist judgement asks: 0 one-tailed, 2 two-tailed.",
            ),
            Field(
                name="confidence_level",
                kind=numbers(50, 99),
                place="body",
                help="From how many percent on a result is sure enough, 50 to 99.",
            ),
            Field(
                name="primary_goal_key",
                kind=TEXT,
                place="body",
                help="The key of the goal that counts where an experiment has none; null for no goal.",
                nullable=True,
            ),
            Field(
                name="secondary_goals",
                kind=_SECONDARY_GOALS,
                place="body",
                help="What else is counted: goals by their keys, or metrics by text and name; replaces all.",
            ),
            Field(
                name="weekly_ai_summary_enabled",
                kind=FLAG,
                place="body",
                help="Whether a summary is mailed every week.",
            ),
            Field(
                name="skip_pre_publish_check",
                kind=FLAG,
                place="body",
                help="Whether experiments go live without the check before.",
            ),
        ),
    ),
)
