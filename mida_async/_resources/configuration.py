"""The configuration of a project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from .._core.endpoints.configuration import ROWS
from .._sentinels import UNSET, UnsetType
from ..models.configuration import (
    AnalysisMethod,
    FrequentistType,
    GoalByKey,
    MetricByText,
    ProjectConfiguration,
    SecondaryMetric,
)
from .base import Section

SecondaryGoal: TypeAlias = str | GoalByKey | MetricByText | SecondaryMetric | Mapping[str, Any]


class Configuration(Section):
    """How a project counts."""

    async def get_configuration(self) -> ProjectConfiguration:
        """
        Get what new experiments begin with, and how results are judged (docs/v2/get-project-configuration, 2026-08-22).

        Raises:
            ForbiddenError: The project is paused.
            NotFoundError: There is no such project.
        """
        return await self._call(ROWS["projects.get_configuration"], ProjectConfiguration)

    async def update_configuration(
        self,
        *,
        analysis_method: AnalysisMethod | str | UnsetType = UNSET,
        frequentist_type: FrequentistType | str | UnsetType = UNSET,
        confidence_level: float | UnsetType = UNSET,
        primary_goal_key: str | UnsetType | None = UNSET,
        secondary_goals: Sequence[SecondaryGoal] | UnsetType = UNSET,
        weekly_ai_summary_enabled: bool | UnsetType = UNSET,
        skip_pre_publish_check: bool | UnsetType = UNSET,
    ) -> ProjectConfiguration:
        """
        Change what new experiments begin with (docs/v2/update-project-configuration, 2026-08-22).

        Experiments that exist stay as they are. Only what is given is sent.

        Args:
            analysis_method: How results are judged.
            frequentist_type: What a frequentist judgement asks.
            confidence_level: From how many percent on a result is sure enough, 50 to 99.
            primary_goal_key: The key of the goal that counts where an experiment has none; None for no goal.
            secondary_goals: What else is counted. This replaces all that there are, and ``[]`` removes them; to add
                one, send those of :meth:`get_configuration` with it. A string is the key of a goal; other metrics need
                a :class:`MetricByText`. Mappings have the vendor's keys.
            weekly_ai_summary_enabled: Whether a summary is mailed every week.
            skip_pre_publish_check: Whether experiments go live without the check before.

        Returns:
            The configuration as it is now. It lacks some of what :meth:`get_configuration` has; see there.

        Raises:
            BadRequestError: The server found a value wrong.
            NotFoundError: A goal is none of this project.
        """
        return await self._call(
            ROWS["projects.update_configuration"],
            ProjectConfiguration,
            analysis_method=analysis_method,
            frequentist_type=frequentist_type,
            confidence_level=confidence_level,
            primary_goal_key=primary_goal_key,
            secondary_goals=secondary_goals,
            weekly_ai_summary_enabled=weekly_ai_summary_enabled,
            skip_pre_publish_check=skip_pre_publish_check,
        )
