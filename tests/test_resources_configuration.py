"""The configuration of a project against the emulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from resource_calls import Calls, calling

from mida_async import BadRequestError, ForbiddenError, InvalidRequestError, NotFoundError
from mida_async.models import (
    AnalysisMethod,
    BuiltInMetric,
    FrequentistType,
    GoalByKey,
    GoalType,
    MetricByText,
    ProjectConfiguration,
    SecondaryMetric,
)
from mida_async.testing import Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def _goal(call: Calls, key: str) -> int:
    made = await call.mida.goals.create(goal_name=key.title(), goal_type="event", goal_value=key, goal_key=key)
    return made.goal_profile_id


def test_a_configuration_is_read_and_changed() -> None:
    """What is given changes and the rest stays; both answers become the same class."""

    async def test(call: Calls) -> None:
        projects = call.mida.projects
        number = await _goal(call, "buy")
        first = await projects.get_configuration()
        assert first == ProjectConfiguration(
            analysis_method=AnalysisMethod.BAYESIAN,
            frequentist_type=FrequentistType.ONE_TAILED,
            confidence_level="95",
            stats_engine="bayesian",
            confidence_threshold_percent=95.0,
            weekly_ai_summary_enabled=False,
        )
        answer = await projects.update_configuration(
            analysis_method=AnalysisMethod.FREQUENTIST,
            frequentist_type=FrequentistType.TWO_TAILED,
            confidence_level=97.5,
            primary_goal_key="buy",
            weekly_ai_summary_enabled=True,
            skip_pre_publish_check=True,
        )
        assert (answer.confidence_level, answer.confidence_level_percent) == ("97.5", 97.5)
        assert (answer.primary_goal_id, answer.primary_goal, answer.stats_engine) == (number, None, None)
        assert answer.skip_pre_publish_check is True
        now = await projects.get_configuration()
        assert (now.analysis_method, now.frequentist_type, now.stats_engine) == ("0", "2", "frequentist")
        assert (now.confidence_threshold_percent, now.weekly_ai_summary_enabled) == (97.5, True)
        assert now.primary_goal is not None
        assert (now.primary_goal.goal_key, now.primary_goal.goal_type) == ("buy", GoalType.EVENT)
        cleared = await projects.update_configuration(primary_goal_key=None)
        assert call.emulator.requests[-1].body == b'{"primary_goal_key":null}'
        assert (cleared.primary_goal_id, cleared.confidence_level) == (None, "97.5")

    calling(test)


def test_secondary_goals_are_replaced() -> None:
    """Keys, builders and mappings go out; what was read can be sent back with one more; an empty list clears."""

    async def test(call: Calls) -> None:
        projects = call.mida.projects
        number = await _goal(call, "buy")
        await _goal(call, "join")
        bounce = MetricByText(text=BuiltInMetric.BOUNCE_RATE, name="Bounces")
        answer = await projects.update_configuration(secondary_goals=["buy", bounce])
        assert [metric.text for metric in answer.secondary_goals] == [f"goal_{number}", "BounceRate"]
        assert answer.secondary_goals[0].extra == {"attributeFilter": None}
        read = (await projects.get_configuration()).secondary_goals
        assert [(metric.goal_key, metric.event_name) for metric in read] == [("buy", None), (None, None)]
        await projects.update_configuration(
            secondary_goals=(*read, GoalByKey(goal_key="join"), {"text": "Purchase", "name": "Bought"})
        )
        sent = b'[{"goal_key":"buy"},{"text":"BounceRate","name":"Bounces"},{"goal_key":"join"},'
        assert call.emulator.requests[-1].body == (
            b'{"secondary_goals":' + sent + b'{"text":"Purchase","name":"Bought"}]}'
        )
        read = (await projects.get_configuration()).secondary_goals
        assert [metric.name for metric in read] == ["Buy", "Bounces", "Join", "Bought"]
        assert (read[3].event_name, read[0].goal_type, read[0].goal_value) == ("Purchase", GoalType.EVENT, "buy")
        again = await projects.update_configuration(secondary_goals=answer.secondary_goals)
        assert [metric.text for metric in again.secondary_goals] == [f"goal_{number}", "BounceRate"]
        assert (await projects.update_configuration(secondary_goals=[])).secondary_goals == ()
        assert call.emulator.requests[-1].body == b'{"secondary_goals":[]}'

    calling(test)


def test_a_metric_without_a_name_is_named_by_its_text() -> None:
    """What was read without a name goes back with one, because a metric needs it."""

    async def test(call: Calls) -> None:
        await call.mida.projects.update_configuration(secondary_goals=[SecondaryMetric(text="Purchase")])
        assert call.emulator.requests[-1].body == b'{"secondary_goals":[{"text":"Purchase","name":"Purchase"}]}'

    calling(test)


def test_a_goal_of_another_project_is_not_found() -> None:
    """404 to a key that no goal of the project has is NotFoundError, and nothing changes."""

    async def test(call: Calls) -> None:
        projects = call.mida.projects
        with pytest.raises(NotFoundError):
            await projects.update_configuration(primary_goal_key="foreign", confidence_level=60)
        with pytest.raises(NotFoundError):
            await projects.update_configuration(secondary_goals=["foreign"])
        assert (await projects.get_configuration()).confidence_level == "95"

    calling(test)


def test_unknown_codes_are_left_to_the_server() -> None:
    """A method that this package does not know goes out; one that comes stays a text."""

    async def test(call: Calls) -> None:
        with pytest.raises(BadRequestError, match="analysis_method"):
            await call.mida.projects.update_configuration(analysis_method="9")
        call.emulator.script(Status(200, body={"configuration": {"analysis_method": 9, "frequentist_type": "1"}}))
        answer = await call.mida.projects.get_configuration()
        assert (answer.analysis_method, answer.frequentist_type) == ("9", "1")

    calling(test)


def test_a_paused_project_shows_no_configuration() -> None:
    """403 to a paused project is ForbiddenError."""

    async def test(call: Calls) -> None:
        call.emulator.state.set_status(call.emulator.project_key, 0)
        with pytest.raises(ForbiddenError):
            await call.mida.projects.get_configuration()

    calling(test)


@pytest.mark.parametrize(
    ("level", "number"),
    [("95", 95.0), ("97.5", 97.5), (None, None), ("", None), ("high", None), ("nan", None), ("1e999", None)],
)
def test_the_confidence_level_is_a_number_too(level: str | None, number: float | None) -> None:
    """The level is what the vendor sends, a text, and readable as the number that a change takes."""
    configuration = ProjectConfiguration(confidence_level=level)
    assert configuration.confidence_level == level
    assert configuration.confidence_level_percent == number


def _with(**fields: object) -> Callable[[Calls], Awaitable[object]]:
    return lambda call: call.mida.projects.update_configuration(**fields)  # type: ignore[arg-type]


_ITEM = "it must be the key of a goal, a GoalByKey, a MetricByText or a mapping"
_BAD: list[tuple[str, Callable[[Calls], Awaitable[object]]]] = [
    ("nothing to change: give at least one of analysis_method, ", _with()),
    ("analysis_method is 1;", _with(analysis_method=1)),
    ("analysis_method is None", _with(analysis_method=None)),
    ("frequentist_type is ''", _with(frequentist_type="")),
    ("confidence_level is 49.9; it must be a number from 50 to 99", _with(confidence_level=49.9)),
    ("confidence_level is 100", _with(confidence_level=100)),
    ("confidence_level is '95'", _with(confidence_level="95")),
    ("confidence_level is True", _with(confidence_level=True)),
    ("confidence_level is nan", _with(confidence_level=float("nan"))),
    ("confidence_level is None", _with(confidence_level=None)),
    ("primary_goal_key is ''", _with(primary_goal_key="")),
    ("primary_goal_key is 7", _with(primary_goal_key=7)),
    ("secondary_goals is 'buy'; it must be a list of secondary goals", _with(secondary_goals="buy")),
    ("secondary_goals is None", _with(secondary_goals=None)),
    (rf"secondary_goals\[1\] is 7; {_ITEM}", _with(secondary_goals=["buy", 7])),
    (r"secondary_goals\[0\] is ' '", _with(secondary_goals=[" "])),
    (rf"secondary_goals\[0\] is SecondaryMetric\(\); {_ITEM}", _with(secondary_goals=[SecondaryMetric()])),
    ("weekly_ai_summary_enabled is 1;", _with(weekly_ai_summary_enabled=1)),
    ("skip_pre_publish_check is None", _with(skip_pre_publish_check=None)),
]


@pytest.mark.parametrize(("problem", "bad"), _BAD, ids=range(len(_BAD)))
def test_bad_arguments_are_refused_before_anything_is_sent(
    problem: str, bad: Callable[[Calls], Awaitable[object]]
) -> None:
    """R7, R17: InvalidRequestError names the argument, the value and what is allowed; the server hears nothing."""

    async def test(call: Calls) -> None:
        with pytest.raises(InvalidRequestError, match=problem):
            await bad(call)
        assert call.sent == []

    calling(test)
