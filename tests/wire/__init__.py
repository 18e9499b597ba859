"""The vendor's own samples of every call, one file a section."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import (
    account,
    configuration,
    discussion,
    events,
    exclusion_groups,
    experiments,
    goals,
    personalization,
    projects,
    reports,
    serving,
    visitors,
)

if TYPE_CHECKING:
    from .base import Sample

_SECTIONS: tuple[tuple[Sample, ...], ...] = (
    *(events.SAMPLES, goals.SAMPLES, experiments.SAMPLES, reports.SAMPLES, serving.SAMPLES, discussion.SAMPLES),
    *(projects.SAMPLES, configuration.SAMPLES, exclusion_groups.SAMPLES, account.SAMPLES),
    *(personalization.SAMPLES, visitors.SAMPLES),
)

SAMPLES = tuple(sample for samples in _SECTIONS for sample in samples)
