"""A process that is killed leaves a spool that is whole."""

from __future__ import annotations

import spool_crash


def test_a_killed_process_leaves_all_that_was_acknowledged() -> None:
    """R1: after kill -9 at random moments what was acknowledged is there, whole and in order; settled stays so."""
    assert spool_crash.run(5, seed=7) >= 0
