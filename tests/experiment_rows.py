"""Experiments that an emulator holds without a request, in any state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulator_caller import TODAY

from mida_async.testing._emulator.experiments_state import LIVE, ExperimentRow, ExperimentStore

if TYPE_CHECKING:
    from mida_async.testing import Emulator


def put_experiment(emulator: Emulator, name: str = "Button color", **fields: Any) -> ExperimentRow:
    """Make a live experiment of the first project, with Control and two treatments, and return its row."""
    project = emulator.state.projects[emulator.project_key]
    given = {"status": LIVE, "variants": [{"name": "Variant 1"}, {"name": "Variant 2"}], **fields}
    row = ExperimentRow(test_id=project.next_id(), test_name=name, created_at=TODAY, updated_at=TODAY, **given)
    project.store(ExperimentStore).rows.add(row.test_id, row)
    return row
