"""What the endpoints of a project's configuration take and answer with."""

from __future__ import annotations

import enum
import math

import attrs

from .base import Input, Model
from .goals import Goal, GoalType


class AnalysisMethod(enum.StrEnum):
    """
    How results are judged (docs/v2/get-project-configuration, 2026-08-22).

    The API writes the number as text. A plain string is accepted wherever one of these is, and unknown ones come back
    as strings.
    """

    FREQUENTIST = "0"

    BAYESIAN = "1"
    """The vendor's default."""


class FrequentistType(enum.StrEnum):
    """
    What a frequentist judgement asks (docs/v2/get-project-configuration, 2026-08-22).

    A plain string is accepted wherever one of these is, and unknown ones come back as strings.
    """

    ONE_TAILED = "0"
    """Whether a variant is better."""

    TWO_TAILED = "2"
    """Whether a variant is better or worse."""


class BuiltInMetric(enum.StrEnum):
    """The metrics that every project has (docs/v2/update-project-configuration, 2026-08-22)."""

    BOUNCE_RATE = "BounceRate"
    ENGAGEMENT = "_engagement"
    PAGEVIEW = "_pageview"


@attrs.frozen(kw_only=True, eq=False, repr=False)
class GoalByKey(Input):
    """
    A goal of the project, as a secondary goal (docs/v2/update-project-configuration, 2026-08-22).

    Attributes:
        goal_key: The goal's key.
    """

    goal_key: str


@attrs.frozen(kw_only=True, eq=False, repr=False)
class MetricByText(Input):
    """
    A metric that is no goal, as a secondary goal (docs/v2/update-project-configuration, 2026-08-22).

    Attributes:
        text: A :class:`BuiltInMetric`, or the name of an event.
        name: What it is shown as.
    """

    text: BuiltInMetric | str
    name: str


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SecondaryMetric(Model):
    """
    One secondary goal of a configuration (docs/v2/get-project-configuration, 2026-08-22).

    The answer to a change has only the first three fields, and an ``attributeFilter``, which is null in the example
    and is in ``extra``; read the configuration for the rest.

    Attributes:
        type: 2 in every example; the page does not say what it means.
        text: ``goal_`` and the number of a goal; or a built-in metric or the name of an event.
        name: What it is shown as.
        goal_profile_id: The goal's number, if it is one.
        goal_key: The goal's key.
        goal_type: What counts as reaching the goal.
        goal_value: The address, selector, name or number that this needs, as text.
        event_name: The name of the event, if it is none of the goals.
    """

    type: int | None = None
    text: str | None = None
    name: str | None = None
    goal_profile_id: int | None = None
    goal_key: str | None = None
    goal_type: GoalType | str | None = None
    goal_value: str | None = None
    event_name: str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ProjectConfiguration(Model):
    """
    What new experiments of a project begin with, and how results are judged.

    Its sources are docs/v2/get-project-configuration and update-project-configuration, 2026-08-22. The answer to a
    change lacks some of what reading it has: ``stats_engine``, ``confidence_threshold_percent`` and ``primary_goal``
    are None there, and ``skip_pre_publish_check`` is only there.

    Attributes:
        analysis_method: How results are judged.
        frequentist_type: What a frequentist judgement asks.
        confidence_level: From how many percent on a result is sure enough, as text, which is how the API writes it.
        stats_engine: ``bayesian`` or ``frequentist``, after ``analysis_method``.
        confidence_threshold_percent: The same as ``confidence_level``.
        weekly_ai_summary_enabled: Whether a summary is mailed every week.
        skip_pre_publish_check: Whether experiments go live without the check before.
        primary_goal_id: The number of the goal that counts where an experiment has none.
        primary_goal: That goal.
        secondary_goals: What else is counted.
    """

    analysis_method: AnalysisMethod | str | None = None
    frequentist_type: FrequentistType | str | None = None
    confidence_level: str | None = None
    stats_engine: str | None = None
    confidence_threshold_percent: float | None = None
    weekly_ai_summary_enabled: bool | None = None
    skip_pre_publish_check: bool | None = None
    primary_goal_id: int | None = None
    primary_goal: Goal | None = None
    secondary_goals: tuple[SecondaryMetric, ...] = ()

    @property
    def confidence_level_percent(self) -> float | None:
        """
        The confidence level as the number that :meth:`update_configuration` takes, in percent.

        None where the server sent none, or one that is no number.
        """
        try:
            level = float(self.confidence_level or "")
        except ValueError:
            return None
        return level if math.isfinite(level) else None
