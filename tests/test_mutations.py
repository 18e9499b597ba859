"""The tests of the engine notice mistakes; ``python tests/mutations.py`` tries all that are listed."""

from __future__ import annotations

from collections import Counter
from typing import Final

import pytest
from mutations import ADMISSION, FOLDING, LANES, MUTATIONS, PACER, Mutation, misplaced, results

# One of each area; all of them take minutes.
SAMPLE: Final = (LANES[1], FOLDING[0], ADMISSION[4], PACER[0])


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[mutation.name for mutation in MUTATIONS])
def test_every_mutation_has_its_place(mutation: Mutation) -> None:
    """What a mutation changes occurs exactly once, so the table is about the engine as it is."""
    assert misplaced(mutation) == 1
    assert mutation.old != mutation.new


def test_the_table_covers_every_area() -> None:
    """There are at least five mistakes in each of lanes, folding, admission and pacer, and no two of one name."""
    counts = Counter(mutation.area for mutation in MUTATIONS)
    assert min(counts[area] for area in ("lanes", "folding", "admission", "pacer")) >= 5
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)


def test_a_mistake_in_each_area_is_noticed() -> None:
    """A seeded mistake in each of lanes, folding, admission and pacer makes the engine's state machine fail."""
    assert {mutation.area: result for mutation, result in results(SAMPLE)} == dict.fromkeys(
        ("lanes", "folding", "admission", "pacer"), "caught"
    )
