"""Processes that are killed: a short run of ``spool_kill.py``, and that it notices broken promises."""

from __future__ import annotations

from typing import Any

import pytest
import spool_kill

from mida_async.testing import Emulator, RecordedEvent


@pytest.mark.parametrize("guarantee", ["at_least_once", "at_most_once"])
def test_a_killed_process_loses_nothing_that_was_acknowledged(guarantee: str) -> None:
    """R1, R2, R10: across kills each acknowledged event arrives, in order, again only if its end was not on disk."""
    found = spool_kill.play(4, guarantee, seed=3)
    assert found.problems == ()
    assert found.acknowledged > 100
    assert found.applied + found.dead >= found.acknowledged


@pytest.fixture
def emulator() -> Emulator:
    """Return an emulator in which what the tests say is recorded."""
    return Emulator(project_key="project", api_key=spool_kill.KEY, auto_visitors=True)


def apply(emulator: Emulator, *events: tuple[int, float]) -> None:
    """Let events of one visitor have been applied: their numbers, and when."""
    for number, at in events:
        event = RecordedEvent(
            event_name="e",
            mida_uuid=None,
            email=None,
            id="1",
            properties_json=f'{{"n":{number}}}',
            received_at=at,
            event_id=number,
            visitor_id=1,
            project_key="project",
        )
        emulator.recorded.add(event)


def problems(emulator: Any, guarantee: str = "at_least_once", dead: tuple[bytes, ...] = ()) -> list[str]:
    """Return what is found wrong where events 1 to 3 were acknowledged and a kill was at 10 s."""
    return list(spool_kill._problems(emulator, [1, 2, 3], [10.0], guarantee, list(dead)))


def test_the_script_notices_what_must_not_be(emulator: Emulator) -> None:
    """A lost event, a wrong order, and a repetition without a kill are each named."""
    apply(emulator, (1, 1.0), (3, 2.0), (2, 3.0), (1, 11.0))
    found = problems(emulator)
    assert found == ["visitor 1 is out of order", "event 1 was applied again although no kill was near"]
    assert problems(emulator, "at_most_once")[1] == "event 1 was applied 2 times"


def test_the_script_notices_lost_events_and_odd_dead_letters(emulator: Emulator) -> None:
    """What is neither applied nor a dead letter is lost; dead letters must not be where nothing is refused."""
    apply(emulator, (1, 9.5), (1, 10.5))
    assert problems(emulator, dead=(b'{"properties":{"n":2}}',)) == [
        "1 acknowledged events were lost: [3]",
        "1 dead letters of a service that refuses nothing",
    ]
