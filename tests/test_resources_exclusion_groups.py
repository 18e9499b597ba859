"""``mida.exclusion_groups`` against the emulator, and what the emulator decides where the pages are silent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from emulator_caller import Caller
from experiment_rows import put_experiment
from hypothesis import given
from hypothesis import strategies as st
from resource_calls import Calls, calling

from mida_async import BadRequestError, InvalidRequestError, MidaError, NotFoundError
from mida_async.models import ExclusionGroupDeleted, ExclusionGroupUpdated, ExperimentStatus, GroupMember, GroupTest
from mida_async.testing import Emulator, ResetAfter
from mida_async.testing._emulator.experiments_state import DRAFT, ExperimentStore

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def put_experiments(emulator: Emulator, count: int) -> list[int]:
    """Make some experiments, and return their numbers."""
    return [put_experiment(emulator, f"Test {number}").test_id for number in range(1, count + 1)]


def test_a_group_lives_through_all_calls() -> None:
    """Create, list, update and delete speak of the same group; its number is found by its name."""

    async def test(call: Calls) -> None:
        section = call.mida.exclusion_groups
        first, second, third = put_experiments(call.emulator, 3)
        tests: list[Any] = [GroupTest(first, 60), {"test_id": second, "percent": 40}]
        created = await section.create("Checkout", tests, description="One at a time")
        members = (GroupMember(test_id=first, percent=60), GroupMember(test_id=second, percent=40))
        assert (created.name, created.tests) == ("Checkout", members)

        (group,) = (await section.list()).groups
        assert (group.name, group.description) == ("Checkout", "One at a time")
        assert group.tests == (
            GroupMember(test_id=first, percent=60, test_name="Test 1", status=ExperimentStatus.LIVE),
            GroupMember(test_id=second, percent=40, test_name="Test 2", status=ExperimentStatus.LIVE),
        )

        updated = await section.update(group.id, name="Cart")
        assert updated == ExclusionGroupUpdated(success=True, group_id=group.id, group_name="Cart", tests=members)
        updated = await section.update(group.id, description="", tests=[first, second, third])
        assert [(member.test_id, member.percent) for member in updated.tests] == [
            (first, 33),
            (second, 33),
            (third, 34),
        ]
        (group,) = (await section.list()).groups
        assert (group.name, group.description, len(group.tests)) == ("Cart", "", 3)

        deleted = await section.delete(group.id)
        assert deleted == ExclusionGroupDeleted(success=True, group_id=group.id, group_name="Cart", note=deleted.note)
        assert deleted.note
        assert (await section.list()).groups == ()
        with pytest.raises(NotFoundError, match="Exclusion group not found"):
            await section.delete(group.id)

    calling(test)


def test_what_a_list_shows_can_be_written_back() -> None:
    """The members of a group that was read are experiments for an update; names and states are not sent."""

    async def test(call: Calls) -> None:
        section = call.mida.exclusion_groups
        first, second = put_experiments(call.emulator, 2)
        await section.create("Checkout", [GroupTest(first, 12.5), GroupTest(second, 87.5)])
        (group,) = (await section.list()).groups
        await section.update(group.id, tests=group.tests)
        sent = [{"test_id": first, "percent": 12.5}, {"test_id": second, "percent": 87.5}]
        assert call.emulator.requests[-1].json == {"tests": sent}
        assert (await section.list()).groups == (group,)

    calling(test)


def test_experiments_have_many_forms() -> None:
    """Numbers, inputs and mappings may stand side by side; a share that is None or not given is not sent."""

    async def test(call: Calls) -> None:
        numbers = put_experiments(call.emulator, 4)
        tests: list[Any] = [
            numbers[0],
            GroupTest(numbers[1]),
            {"test_id": numbers[2], "percent": None},
            GroupMember(test_id=numbers[3]),
        ]
        created = await call.mida.exclusion_groups.create("Even", tests)
        assert call.emulator.requests[-1].json["tests"] == [{"test_id": number} for number in numbers]
        assert [member.percent for member in created.tests] == [25, 25, 25, 25]

    calling(test)


@pytest.mark.parametrize("shares", [[33.3, 33.3, 33.4], [0.1] * 10 + [99.0], [100, 0], [14.2857] * 6 + [14.2858]])
def test_shares_add_up_as_floats_do(shares: list[float]) -> None:
    """What adds up to 100 but for the rounding of floats is right, for the client and for the emulator."""

    async def test(call: Calls) -> None:
        numbers = put_experiments(call.emulator, len(shares))
        tests = [GroupTest(number, share) for number, share in zip(numbers, shares, strict=True)]
        created = await call.mida.exclusion_groups.create("Uneven", tests)
        assert [member.percent for member in created.tests] == shares

    calling(test)


def test_a_group_is_not_created_twice() -> None:
    """R9: a group whose fate is unknown is an error that says so; nothing is sent again."""

    async def test(call: Calls) -> None:
        section, numbers = call.mida.exclusion_groups, put_experiments(call.emulator, 2)
        call.emulator.script(ResetAfter())
        with pytest.raises(MidaError) as caught:
            await section.create("Checkout", numbers)
        assert caught.value.maybe_applied
        assert len((await section.list()).groups) == 1

    calling(test)


def test_changes_and_deletions_are_repeated() -> None:
    """R9: an update does the same twice; a deletion whose answer was lost finds nothing the second time."""

    async def test(call: Calls) -> None:
        section = call.mida.exclusion_groups
        await section.create("Checkout", put_experiments(call.emulator, 2))
        (group,) = (await section.list()).groups
        call.emulator.script(ResetAfter())
        assert (await section.update(group.id, name="Cart")).group_name == "Cart"
        call.emulator.script(ResetAfter())
        with pytest.raises(NotFoundError):
            await section.delete(group.id)
        assert (await section.list()).groups == ()

    calling(test)


def test_foreign_experiments_are_left_to_the_server() -> None:
    """An experiment of another project is a 400, and an unknown group a 404."""

    async def test(call: Calls) -> None:
        section, (number,) = call.mida.exclusion_groups, put_experiments(call.emulator, 1)
        with pytest.raises(BadRequestError, match="an experiment of this project"):
            await section.create("Checkout", [number, 999])
        with pytest.raises(NotFoundError, match="Exclusion group not found"):
            await section.update(999, name="Cart")

    calling(test)


def _create(*tests: Any, **fields: Any) -> Callable[[Calls], Awaitable[object]]:
    return lambda call: call.mida.exclusion_groups.create(**{"name": "Checkout", "tests": list(tests), **fields})


def _update(**fields: Any) -> Callable[[Calls], Awaitable[object]]:
    return lambda call: call.mida.exclusion_groups.update(7, **fields)


_BAD: list[tuple[str, Callable[[Calls], Awaitable[object]]]] = [
    ("name is ''", _create(1, 2, name="")),
    ("name is None", _create(1, 2, name=None)),
    ("description is 7", _create(1, 2, description=7)),
    ("tests is None; it must be a list of experiments", _create(tests=None)),
    ("tests is 7; it must be a list of experiments", _create(tests=7)),
    ("tests has 0 items; it must be a list of 2 or more experiments", _create()),
    ("tests has 1 items; it must be a list of 2 or more experiments", _create(1)),
    (r"tests\[1\] is '2'; it must be a GroupTest, a mapping, .* or the number of an experiment", _create(1, "2")),
    (r"tests\[0\] is True", _create(True, 2)),  # noqa: FBT003 - a flag is no number
    (r"tests\[0\] is 1.0", _create(1.0, 2)),
    (r"tests\[1\].test_id is 0; it must be a whole number", _create(1, 0)),
    (r"tests\[1\].test_id is None", _create(1, {"percent": 5})),
    (r"tests\[1\].test_id is '2'", _create(1, {"test_id": "2"})),
    (r"tests\[1\].test_id is False", _create(1, GroupTest(test_id=False))),
    (r"tests\[0\].percent is '50'; it must be a number from 0 to 100", _create({"test_id": 1, "percent": "50"}, 2)),
    (r"tests\[0\].percent is -1", _create(GroupTest(1, -1), GroupTest(2, 101))),
    (r"tests\[0\].percent is nan", _create(GroupTest(1, float("nan")), GroupTest(2, 50))),
    (r"tests\[0\].percent is True", _create(GroupTest(1, percent=True), GroupTest(2, 99))),
    ("tests: experiment 2 is there 2 times; give each once", _create(1, 2, 3, 2)),
    ("tests: experiment 2 is there 3 times", _create(2, GroupTest(2), {"test_id": 2})),
    ("tests: experiment 2 has no percent and others do; give it to all or to none", _create(GroupTest(1, 100), 2)),
    (r"the percentages add up to 99.99; they must add up to 100", _create(*[GroupTest(n, 33.33) for n in (1, 2, 3)])),
    ("the percentages add up to 0;", _create(GroupTest(1, 0), GroupTest(2, 0))),
    ("nothing to change: give at least one of name, description, tests", _update()),
    ("name is None", _update(name=None)),
    ("description is None", _update(description=None)),
    ("tests is None", _update(tests=None)),
    ("tests has 0 items", _update(tests=[])),
    ("tests: experiment 1 is there 2 times", _update(tests=[1, 1])),
    ("group_id is '7'", lambda call: call.mida.exclusion_groups.delete("7")),  # type: ignore[arg-type]
    ("group_id is 0", lambda call: call.mida.exclusion_groups.update(0, name="a")),
]


@pytest.mark.parametrize(("problem", "bad"), _BAD, ids=range(len(_BAD)))
def test_bad_arguments_are_refused_before_anything_is_sent(
    problem: str, bad: Callable[[Calls], Awaitable[object]]
) -> None:
    """R17: InvalidRequestError says what is wrong with which experiment, and the server hears nothing."""

    async def test(call: Calls) -> None:
        with pytest.raises(InvalidRequestError, match=problem):
            await bad(call)
        assert call.sent == []

    calling(test)


def test_what_is_given_is_not_changed() -> None:
    """The caller's list and mappings stay as they are."""

    async def test(call: Calls) -> None:
        numbers = put_experiments(call.emulator, 2)
        tests: list[Any] = [{"test_id": numbers[0], "percent": None}, numbers[1]]
        await call.mida.exclusion_groups.create("Checkout", tests)
        assert tests == [{"test_id": numbers[0], "percent": None}, numbers[1]]

    calling(test)


@pytest.fixture(name="call")
def _call() -> Caller:
    return Caller()


def test_the_replies_have_the_documented_keys(call: Caller) -> None:
    """The number of a group is `id` in lists and `group_id` elsewhere; a creation does not say it."""
    first, second = put_experiments(call.emulator, 1)[0], put_experiment(call.emulator, "B", status=DRAFT).test_id
    tests = [{"test_id": first, "percent": 62.5}, {"test_id": second, "percent": 37.5}]
    assert call.done("POST exclusion-groups", name="Checkout", tests=tests) == {"name": "Checkout", "tests": tests}
    (group,) = call.done("GET exclusion-groups")["groups"]
    number = group["id"]
    assert group == {
        "id": number,
        "name": "Checkout",
        "description": "",
        "tests": [
            {"test_id": first, "percent": 62.5, "test_name": "Test 1", "status": 1},
            {"test_id": second, "percent": 37.5, "test_name": "B", "status": 9},
        ],
    }
    updated = call.done(f"PATCH exclusion-groups/{number}", description=None, name="Cart")
    assert updated == {"group_id": number, "group_name": "Cart", "tests": tests}
    deleted = call.done(f"DELETE exclusion-groups/{number}")
    assert deleted.pop("note")
    assert deleted == {"group_id": number, "group_name": "Cart"}


def test_deleted_experiments_leave_the_list(call: Caller) -> None:
    """A group shows the experiments that are there, and takes no others."""
    numbers = put_experiments(call.emulator, 2)
    call.done("POST exclusion-groups", name="Checkout", tests=[{"test_id": number} for number in numbers])
    gone = put_experiment(call.emulator, deleted=True).test_id
    tests = [{"test_id": number} for number in (numbers[0], gone)]
    assert call.refused("POST exclusion-groups", name="a", tests=tests)[0] == 400
    call.done("GET exclusion-groups")
    call.emulator.state.projects[call.project].store(ExperimentStore).rows[numbers[1]].deleted = True
    (group,) = call.done("GET exclusion-groups")["groups"]
    assert [test["test_id"] for test in group["tests"]] == numbers[:1]


def test_an_even_split_is_made_of_whole_numbers(call: Caller) -> None:
    """The last experiment takes what is left over, of more than a hundred experiments all but nothing."""
    for count, shares in ((2, [50, 50]), (3, [33, 33, 34]), (7, [14] * 6 + [16]), (101, [0] * 100 + [100])):
        numbers = put_experiments(call.emulator, count)
        tests = [{"test_id": number, "percent": None} for number in numbers]
        answer = call.done("POST exclusion-groups", name="Even", tests=tests)
        assert [test["percent"] for test in answer["tests"]] == shares


@pytest.mark.parametrize(
    ("tests", "text"),
    [
        (None, "tests must be an array of at least 2 experiments"),
        ({}, "tests must be an array"),
        ([], "tests must be an array"),
        ([{"test_id": 1}], "tests must be an array"),
        ([1, 2], "Each of tests must be an object with the test_id of an experiment of this project"),
        ([{"test_id": 1}, {}], "Each of tests"),
        ([{"test_id": 1}, {"test_id": 3}], "Each of tests"),
        ([{"test_id": 1}, {"test_id": "2"}], "Each of tests"),
        ([{"test_id": 2}, {"test_id": True}], "Each of tests"),
        ([{"test_id": 1}, {"test_id": 2.0}], "Each of tests"),
        ([{"test_id": 1}, {"test_id": []}], "Each of tests"),
        ([{"test_id": 1}, {"test_id": 10**300}], "Each of tests"),
        ([{"test_id": 1}, {"test_id": 1}], "tests must not name an experiment twice"),
        ([{"test_id": 1, "percent": 50}, {"test_id": 2}], "Give percent for all tests or for none"),
        ([{"test_id": 1, "percent": 50}, {"test_id": 2, "percent": 49.99}], "The percentages must add up to 100"),
        ([{"test_id": 1, "percent": "50"}, {"test_id": 2, "percent": 50}], "percent must be a number from 0 to 100"),
        ([{"test_id": 1, "percent": True}, {"test_id": 2, "percent": 99}], "percent must be a number"),
        ([{"test_id": 1, "percent": -1}, {"test_id": 2, "percent": 101}], "percent must be a number"),
    ],
)
def test_wrong_experiments_are_a_400(call: Caller, tests: object, text: str) -> None:
    """The reason is told, no group is made and none is changed."""
    assert put_experiments(call.emulator, 2) == [1, 2]
    good = [{"test_id": 2}, {"test_id": 1}]
    call.done("POST exclusion-groups", name="Checkout", tests=good)
    before = call.done("GET exclusion-groups")["groups"]
    status, error = call.refused("POST exclusion-groups", name="Cart", tests=tests)
    assert (status, error[: len(text)]) == (400, text)
    number = before[0]["id"]
    status, error = call.refused(f"PATCH exclusion-groups/{number}", name="Cart", tests=tests)
    assert (status, error[: len(text)]) == (400, text)
    assert call.done("GET exclusion-groups")["groups"] == before


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "Give at least one of name, description and tests"),
        ({"title": "Cart"}, "Give at least one of"),
        ({"name": None}, "name is required"),
        ({"name": " "}, "name must be a non-empty string"),
        ({"name": "Cart", "description": 7}, "description must be a string"),
    ],
)
def test_a_wrong_change_is_a_400(call: Caller, fields: dict[str, Any], text: str) -> None:
    """The field is named, and the group stays as it is."""
    tests = [{"test_id": number} for number in put_experiments(call.emulator, 2)]
    call.done("POST exclusion-groups", name="Checkout", tests=tests, description="d")
    (group,) = call.done("GET exclusion-groups")["groups"]
    status, error = call.refused(f"PATCH exclusion-groups/{group['id']}", **fields)
    assert (status, error[: len(text)]) == (400, text)
    assert call.done("GET exclusion-groups")["groups"] == [group]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 101) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["test_id", "percent", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.booleans(), st.dictionaries(st.sampled_from(["name", "description", "tests", "x"]), _JSON))
def test_whatever_is_sent_is_answered(update: bool, body: dict[str, Any]) -> None:  # noqa: FBT001 - drawn
    """Any JSON is a group or a 400."""
    caller = Caller()
    tests = [{"test_id": number} for number in put_experiments(caller.emulator, 2)]
    caller.done("POST exclusion-groups", name="Checkout", tests=tests)
    (group,) = caller.done("GET exclusion-groups")["groups"]
    call = f"PATCH exclusion-groups/{group['id']}" if update else "POST exclusion-groups"
    status, _ = caller(call, **body)
    assert status in {200, 400}
    assert len(caller.done("GET exclusion-groups")["groups"]) == (2 if status == 200 and not update else 1)
