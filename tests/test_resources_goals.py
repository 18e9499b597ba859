"""``mida.goals`` against the emulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from resource_calls import Calls, calling

from mida_async import BadRequestError, ConflictError, InvalidRequestError, MidaError, NotFoundError, PlanLimitError
from mida_async.models import GoalDeleted, GoalPurpose, GoalType, GoalUpdated
from mida_async.testing import ResetAfter, Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def _create(call: Calls, name: str = "Signed up", goal_key: str | None = None) -> int:
    created = await call.goals.create(
        goal_name=name, goal_type=GoalType.SCRIPT, goal_value="signup_completed", goal_key=goal_key
    )
    return created.goal_profile_id


def test_a_goal_lives_through_all_calls() -> None:
    """Create, get, update, list and delete speak of the same goal."""

    async def test(call: Calls) -> None:
        number = await _create(call)
        goal = await call.goals.get(number)
        assert (goal.goal_name, goal.goal_type, goal.goal_value) == ("Signed up", GoalType.SCRIPT, "signup_completed")
        assert (goal.goal_purpose, goal.goal_key, goal.element_url) == (GoalPurpose.SELL, "signed_up", None)
        updated = await call.goals.update(
            number, goal_type=GoalType.SCROLLING, goal_value=75, goal_purpose=GoalPurpose.ENGAGE, element_url="/x"
        )
        assert updated == GoalUpdated(success=True, goal_profile_id=number)
        sent = b'{"goal_type":"scrolling","goal_value":"75","goal_purpose":"engage","element_url":"/x"}'
        assert call.emulator.requests[-1].body == sent
        await call.goals.update(number, goal_name="Joined", goal_key="joined", element_url=None)
        assert call.emulator.requests[-1].body == b'{"goal_name":"Joined","goal_key":"joined","element_url":null}'
        (row,) = (await call.goals.list()).goals
        assert (row.goal_name, row.goal_key, row.goal_type, row.goal_value) == ("Joined", "joined", "scrolling", "75")
        assert await call.goals.delete(number) == GoalDeleted(success=True, goal_profile_id=number, deleted=True)
        assert (await call.goals.get(number)).status == 2
        with pytest.raises(NotFoundError):
            await call.goals.delete(number)

    calling(test)


@pytest.mark.parametrize("goal_type", list(GoalType))
def test_every_type_of_goal_goes_there_and_back(goal_type: GoalType) -> None:
    """Each of the fourteen types can be given as a member or as text, and comes back as the member."""

    async def test(call: Calls) -> None:
        for given in (goal_type, goal_type.value):
            created = await call.goals.create(goal_name="a", goal_type=given, goal_value="1", goal_purpose="generate")
            assert call.emulator.requests[-1].json["goal_type"] == goal_type.value
            goal = await call.goals.get(created.goal_profile_id)
            assert goal.goal_type is goal_type
            assert goal.goal_purpose is GoalPurpose.GENERATE

    calling(test)


def test_an_unknown_type_is_left_to_the_server() -> None:
    """A type that this package does not know goes out; whether it is good is the server's to say."""

    async def test(call: Calls) -> None:
        with pytest.raises(BadRequestError, match="goal_type"):
            await call.goals.create(goal_name="a", goal_type="blink", goal_value="1")
        assert call.emulator.requests[-1].json["goal_type"] == "blink"

    calling(test)


def test_the_plan_has_a_limit() -> None:
    """403 to a new goal is PlanLimitError, with what the server said."""

    async def test(call: Calls) -> None:
        await _create(call)
        with pytest.raises(PlanLimitError, match="Your plan allows 1 goals"):
            await _create(call)

    calling(test, plan_goal_limit=1)


def test_a_key_is_taken_once() -> None:
    """406 to a key that exists is ConflictError, at creation and at a change."""

    async def test(call: Calls) -> None:
        await _create(call, goal_key="taken")
        with pytest.raises(ConflictError, match="taken"):
            await _create(call, goal_key="taken")
        other = await _create(call)
        with pytest.raises(ConflictError):
            await call.goals.update(other, goal_key="taken")

    calling(test)


def test_a_goal_is_not_created_twice() -> None:
    """R9: a connection that breaks after the goal was created is an error that says so; nothing is sent again."""

    async def test(call: Calls) -> None:
        call.emulator.script(ResetAfter())
        with pytest.raises(MidaError) as caught:
            await _create(call)
        assert caught.value.maybe_applied
        assert len(call.emulator.requests) == 1
        assert (await call.goals.list()).count == 1

    calling(test)


def test_a_change_is_repeated() -> None:
    """R9: an update is sent again after a failure, because it does the same the second time."""

    async def test(call: Calls) -> None:
        number = await _create(call)
        call.emulator.script(ResetAfter(), Status(502))
        await call.goals.update(number, goal_name="b")
        assert len(call.emulator.requests) == 4

    calling(test)


def test_iter_walks_through_all_pages() -> None:
    """Every goal comes once, over as many pages as it takes."""

    async def test(call: Calls) -> None:
        numbers = [await _create(call, name) for name in "abc"]
        page = await call.goals.list(limit=1, offset=2)
        assert [goal.goal_profile_id for goal in page.goals] == numbers[2:]
        assert [goal.goal_profile_id async for goal in call.goals.iter(page_size=2)] == numbers
        assert [goal.goal_profile_id async for goal in call.goals.iter()] == numbers
        assert call.sent[-3:] == [f"GET /goals?limit={limit}" for limit in ("2&offset=0", "2&offset=2", "500&offset=0")]

    calling(test)


_ID = "goal_profile_id is .*; it must be a whole number, 1 or greater"


def _with(**fields: object) -> Callable[[Calls], Awaitable[object]]:
    good: dict[str, object] = {"goal_name": "a", "goal_type": "event", "goal_value": "b"}
    return lambda call: call.goals.create(**{**good, **fields})  # type: ignore[arg-type]


_BAD: list[tuple[str, Callable[[Calls], Awaitable[object]]]] = [
    (_ID, lambda call: call.goals.get(0)),
    (_ID, lambda call: call.goals.get("../x")),  # type: ignore[arg-type]
    (_ID, lambda call: call.goals.delete(goal_profile_id=False)),
    (_ID, lambda call: call.goals.update(1.0, goal_name="a")),  # type: ignore[arg-type]
    ("limit is 501", lambda call: call.goals.list(limit=501)),
    ("offset is -1", lambda call: call.goals.list(offset=-1)),
    ("goal_name is ''", _with(goal_name="")),
    ("goal_name is None", _with(goal_name=None)),
    ("goal_type is None", _with(goal_type=None)),
    ("goal_type is 7", _with(goal_type=7)),
    ("goal_value is ' '", _with(goal_value=" ")),
    ("goal_value is True", _with(goal_value=True)),
    ("goal_value is -1", _with(goal_value=-1)),
    ("goal_value is 0.5", _with(goal_value=0.5)),
    ("goal_key is ''", _with(goal_key="")),
    ("goal_purpose is ''", _with(goal_purpose="")),
    ("element_url is 7", _with(element_url=7)),
    ("goal_name: half of a surrogate", _with(goal_name="\udc00")),
    ("nothing to change: give at least one of goal_name, ", lambda call: call.goals.update(1)),
    ("goal_name is None", lambda call: call.goals.update(1, goal_name=None)),  # type: ignore[arg-type]
    ("goal_type is None", lambda call: call.goals.update(1, goal_type=None)),  # type: ignore[arg-type]
    ("goal_value is None", lambda call: call.goals.update(1, goal_value=None)),  # type: ignore[arg-type]
    ("goal_purpose is None", lambda call: call.goals.update(1, goal_purpose=None)),  # type: ignore[arg-type]
    ("goal_key is None", lambda call: call.goals.update(1, goal_key=None)),  # type: ignore[arg-type]
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


def test_iter_checks_at_the_call() -> None:
    """A wrong page size is an error where `iter` is called."""

    async def test(call: Calls) -> None:
        with pytest.raises(InvalidRequestError, match="page_size is True"):
            call.goals.iter(page_size=True)

    calling(test)
