"""Who takes part in an emulated experiment, what they see, and what reports count of it while a winner is served."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from emulator_caller import TODAY, Caller
from experiment_rows import put_experiment
from hypothesis import given, settings
from hypothesis import strategies as st

from mida_async.testing import Emulator
from mida_async.testing._emulator.assigning import assign
from mida_async.testing._emulator.exclusion_groups import GroupRow, GroupStore
from mida_async.testing._emulator.experiments_state import Assignment

if TYPE_CHECKING:
    from mida_async.testing._emulator.experiments_state import ExperimentRow

ONE = [{"name": "Variant 1", "data": []}]
MANY = 1000


class Visits:
    """An emulated project whose visitors come to experiments, at a time of the test's choosing."""

    def __init__(self) -> None:
        self.now = TODAY
        self.emulator = Emulator(auto_visitors=True, wall_clock=lambda: self.now)
        self.project = self.emulator.state.projects[self.emulator.project_key]
        self.call = Caller(self.emulator)

    def experiment(self, name: str = "Button color", **fields: Any) -> ExperimentRow:
        """Make a live experiment with one treatment, unless told otherwise."""
        return put_experiment(self.emulator, name, **{"variants": ONE, **fields})

    def group(self, *shares: tuple[ExperimentRow, float]) -> int:
        """Make an exclusion group."""
        tests = [{"test_id": row.test_id, "percent": percent} for row, percent in shares]
        self.call.done("POST exclusion-groups", name="g", tests=tests)
        number: int = self.call.done("GET exclusion-groups")["groups"][-1]["id"]
        return number

    def seen(self, row: ExperimentRow, count: int = MANY, first: int = 0) -> dict[str, str | None]:
        """Let visitors come, and return what they see."""
        names = [f"user_{number}" for number in range(first, first + count)]
        return {name: self.emulator.visit(row.test_id, id=name) for name in names}

    def serve(self, row: ExperimentRow, verb: str = "serve-winner", **fields: object) -> None:
        """Serve a winner, or do what else can be done about that."""
        method = "PATCH" if verb == "serving-rollout" else "POST"
        self.call.today = self.now
        self.call.done(f"{method} experiment/{row.test_id}/{verb}", **fields)

    def buy(self, *names: str) -> None:
        """Let visitors have the event of the goal."""
        self.call.today = self.now
        for name in names:
            self.call.done("POST event", event_name="Purchase", id=name)

    def counted(self, row: ExperimentRow, **query: object) -> list[tuple[int, int]]:
        """Return the visitors and the conversions of each variant."""
        pairs = "&".join(f"{name}={value}" for name, value in query.items())
        result = self.call.done(f"GET experiment/{row.test_id}/result?{pairs}")
        return [(variant["visitors"], variant["conversions"]) for variant in result["variants"]]


@pytest.fixture(name="site")
def _site() -> Visits:
    return Visits()


def test_visitors_see_the_same_variant_each_time(site: Visits) -> None:
    """About half of the visitors see each of two variants, each of them the same again, first seen once."""
    row = site.experiment()

    seen = site.seen(row)
    site.now += 60

    assert site.seen(row) == seen
    count = Counter(seen.values())
    assert count.keys() == {"Control", "Variant 1"}
    assert 400 < count["Control"] < 600
    assert {assignment.since for assignment in row.assignments.values()} == {TODAY}


@pytest.mark.parametrize(
    ("distribution", "shares"),
    [
        ({"Control": 90, "Variant 1": 10}, (900, 100)),
        ('{"Control": 1, "Variant 1": 3}', (250, 750)),
        ({"Control": 0, "Variant 1": 7}, (0, 1000)),
        ({"Variant 1": 0, "Control": "5"}, (1000, 0)),
        ("manual", (500, 500)),
        ({"Control": 0, "Variant 1": 0}, (500, 500)),
    ],
)
def test_visitors_are_divided_by_the_weights(site: Visits, distribution: object, shares: tuple[int, int]) -> None:
    """What the configuration says is what visitors see, and a variant without weight nobody does."""
    row = site.experiment(configuration={"distribution": distribution})

    count = Counter(site.seen(row).values())

    for name, share in zip(("Control", "Variant 1"), shares, strict=True):
        assert abs(count[name] - share) <= (50 if share % MANY else 0)


def test_weights_that_change_move_nobody(site: Visits) -> None:
    """Whoever saw a variant keeps it when the weights change; those who come later are divided anew."""
    row = site.experiment()
    seen = site.seen(row)

    row.configuration["distribution"] = {"Control": 0, "Variant 1": 1}

    assert site.seen(row) == seen
    assert set(site.seen(row, first=MANY).values()) == {"Variant 1"}


@settings(max_examples=50)
@given(weights=st.lists(st.floats(0, 1e6), min_size=3, max_size=3), visitor=st.integers(1, 10**6))
def test_no_variant_without_weight_is_drawn(weights: list[float], visitor: int) -> None:
    """Whatever the weights, a visitor sees a variant that has one; where none has, any."""
    site = Visits()
    names = ("Control", "Variant 1", "Variant 2")
    row = put_experiment(site.emulator, configuration={"distribution": dict(zip(names, weights, strict=True))})

    seen = assign(site.project, row, visitor, TODAY)

    assert seen is not None
    assert not any(weights) or weights[seen.variant] > 0


@pytest.mark.parametrize("fields", [{"status": 9}, {"status": 0}, {"is_completed": 1}, {"deleted": True}])
def test_only_a_live_experiment_takes_visitors_in(site: Visits, fields: dict[str, Any]) -> None:
    """Neither a draft nor what is inactive, concluded or deleted shows anything, also to those who took part before."""
    row = site.experiment(**fields)
    visitor = site.project.visitors.add(None, None, "ann")
    row.assignments[visitor] = Assignment(variant=1, since=0.0)

    assert assign(site.project, row, visitor, TODAY) is None
    assert assign(site.project, row, visitor + 1, TODAY) is None
    assert len(row.assignments) == 1


@pytest.mark.parametrize(("share", "least", "most"), [(0, 0, 0), (25, 200, 300), (100, MANY, MANY)])
def test_only_the_traffic_takes_part(site: Visits, share: float, least: int, most: int) -> None:
    """Of all visitors the configured percentage takes part, always the same ones."""
    row = site.experiment(configuration={"traffic_allocation": share})

    seen = site.seen(row)

    assert least <= sum(name is not None for name in seen.values()) <= most
    assert site.seen(row) == seen


def test_experiments_of_a_group_share_no_visitor(site: Visits) -> None:
    """Each visitor takes part in one of the experiments, by their percentages, whichever is asked for first."""
    first, second, third = (site.experiment(name) for name in "abc")
    site.group((first, 60), (second, 30), (third, 10))
    free = site.experiment("free")

    chosen: list[tuple[str, ...]] = []
    for number in range(MANY):
        rows = (first, second, third) if number % 2 else (third, second, first)
        seen = [row.test_name for row in rows if site.emulator.visit(row.test_id, id=f"user_{number}")]
        chosen.append(tuple(seen))

    count = Counter(chosen)
    assert count.keys() == {("a",), ("b",), ("c",)}
    assert [round(count[(name,)], -2) for name in "abc"] == [600, 300, 100]
    assert None not in site.seen(free).values()


def test_a_group_draws_the_same_each_time(site: Visits) -> None:
    """A visitor who is left to another experiment is so again, also while that other one is not live."""
    first, second = site.experiment("a"), site.experiment("b", status=9)
    site.group((first, 50), (second, 50))

    seen = site.seen(first)

    assert 400 < sum(name is None for name in seen.values()) < 600
    assert site.seen(first) == seen
    second.status = 1
    assert [name is None for name in site.seen(second).values()] == [name is not None for name in seen.values()]


def test_an_experiment_may_be_in_two_groups(site: Visits) -> None:
    """Then it takes in whom both groups leave to it; without percentage in one it takes in nobody."""
    first, second, third = (site.experiment(name) for name in "abc")
    site.group((first, 50), (second, 50))
    number = site.group((first, 50), (third, 50))

    assert 200 < sum(name is not None for name in site.seen(first).values()) < 300
    site.call.done(f"DELETE exclusion-groups/{number}")
    assert 400 < sum(name is not None for name in site.seen(first, first=MANY).values()) < 600
    site.group((first, 0), (third, 100))
    assert set(site.seen(first, first=2 * MANY).values()) == {None}


def test_who_took_part_before_the_group_stays(site: Visits) -> None:
    """A visitor of one experiment stays there and is kept out of the others, as long as it goes on."""
    first, second = site.experiment("a"), site.experiment("b")
    seen = site.seen(first, 50)
    site.group((first, 0), (second, 100))

    assert site.seen(first, 50) == seen
    assert set(site.seen(second, 50).values()) == {None}
    assert None not in site.seen(second, 50, first=50).values()
    first.status = 0
    assert None not in site.seen(second, 50).values()


def test_a_served_winner_is_bound_by_no_group(site: Visits) -> None:
    """An experiment whose winner is served shows it to everybody, and keeps nobody out of others any more."""
    first, second = site.experiment("a"), site.experiment("b")
    site.group((first, 50), (second, 50))
    site.seen(first)

    site.serve(first, variant_id="1")

    assert set(site.seen(first).values()) == {"Variant 1"}
    assert 400 < sum(name is not None for name in site.seen(second).values()) < 600


def test_a_group_may_name_what_was_forgotten(site: Visits) -> None:
    """Experiments of a group that are deleted keep nobody out but those whom the group gives to them."""
    first, second = site.experiment("a"), site.experiment("b")
    number = site.group((first, 50), (second, 50))
    site.project.store(GroupStore).rows[number] = GroupRow(
        number=number, name="g", description="", shares={first.test_id: 50, second.test_id: 25, 999_999: 25}
    )
    site.seen(second)
    site.call.done(f"DELETE experiment/{second.test_id}")

    assert 400 < sum(name is not None for name in site.seen(first).values()) < 600


def test_a_served_winner_is_seen_by_the_traffic(site: Visits) -> None:
    """Everybody within the rollout sees the winner, who saw something else before as well; without rollout nobody."""
    row = site.experiment()
    site.seen(row)
    before = dict(row.assignments)

    site.serve(row, variant_id="1", traffic_allocation=100)
    assert set(site.seen(row).values()) == {"Variant 1"}
    site.serve(row, "serving-rollout", traffic_allocation=25)
    partly = site.seen(row)
    assert set(partly.values()) == {None, "Variant 1"}
    assert 200 < sum(name is not None for name in partly.values()) < 300
    assert site.seen(row) == partly
    site.serve(row, "serving-rollout", traffic_allocation=0)
    assert set(site.seen(row).values()) == {None}

    assert row.assignments == before


def test_who_saw_a_variant_sees_it_again_after_serving(site: Visits) -> None:
    """When serving stops, visitors see what they saw before; who came meanwhile keeps the winner."""
    row = site.experiment()
    seen = site.seen(row, 50)
    site.serve(row, variant_id="0")
    assert set(site.seen(row, 50, first=50).values()) == {"Control"}

    site.serve(row, "stop-serving")

    assert site.seen(row, 50) == seen
    assert set(site.seen(row, 50, first=50).values()) == {"Control"}


def test_an_inactive_experiment_shows_its_winner_to_nobody(site: Visits) -> None:
    """A winner is seen while the experiment is live."""
    row = site.experiment(status=0)
    site.serve(row, variant_id="1")

    assert site.emulator.visit(row.test_id, id="ann") is None
    row.status = 1
    assert site.emulator.visit(row.test_id, id="ann") == "Variant 1"


def goal(site: Visits) -> int:
    """Make the goal of a purchase, and return its number."""
    fields = {"goal_name": "Purchase", "goal_type": "event", "goal_value": "Purchase"}
    number: int = site.call.done("POST goal", **fields)["goal_profile_id"]
    return number


def test_phases_are_counted_apart(site: Visits) -> None:
    """Before the winner was served visitors count for what they saw, after it for the winner, and over all once."""
    row = site.experiment(primary_goal=goal(site))
    for number in range(6):
        site.emulator.visit(row.test_id, id=f"user_{number}", variant=number % 2)
    site.now += 60
    site.buy("user_0", "user_1", "user_3")
    site.now += 60
    site.serve(row, variant_id="1")
    site.now += 60
    for name in ("user_0", "user_2", "new_0", "new_1"):
        assert site.emulator.visit(row.test_id, id=name) == "Variant 1"
    site.now += 60
    site.buy("user_2", "new_0")

    assert site.counted(row) == site.counted(row, report_phase="pre_deploy") == [(3, 1), (3, 2)]
    assert site.counted(row, report_phase="post_deploy") == [(0, 0), (4, 2)]
    assert site.counted(row, report_phase="all_time") == [(3, 2), (5, 3)]

    site.serve(row, "stop-serving")
    assert site.counted(row) == site.counted(row, report_phase="all_time") == [(3, 2), (5, 3)]
    assert site.counted(row, report_phase="post_deploy") == [(0, 0), (0, 0)]


def test_events_before_the_winner_was_seen_are_not_its_own(site: Visits) -> None:
    """After the winner is served a visitor converts for it only once they have seen it."""
    row = site.experiment(primary_goal=goal(site))
    site.emulator.visit(row.test_id, id="ann", variant=0)
    site.now += 60
    site.serve(row, variant_id="1")
    site.now += 60
    site.buy("ann")
    site.now += 60
    site.emulator.visit(row.test_id, id="ann")

    assert site.counted(row, report_phase="post_deploy") == [(0, 0), (1, 0)]
    site.buy("ann")
    assert site.counted(row, report_phase="post_deploy") == [(0, 0), (1, 1)]


def test_the_next_winner_begins_with_nobody(site: Visits) -> None:
    """Whoever saw a winner that is served no more does not count for the next one before they have seen it."""
    row = site.experiment()
    site.serve(row, variant_id="1")
    site.emulator.visit(row.test_id, id="ann")
    site.serve(row, "stop-serving")
    site.now += 60
    site.serve(row, variant_id="0")

    assert site.counted(row, report_phase="post_deploy") == [(0, 0), (0, 0)]
    site.emulator.visit(row.test_id, id="ann")
    assert site.counted(row, report_phase="post_deploy") == [(1, 0), (0, 0)]
    assert site.counted(row, report_phase="all_time") == [(0, 0), (1, 0)]


def test_a_visitor_is_told_which_variant(site: Visits) -> None:
    """``visit(variant=)`` overrides traffic, weights and groups for a visitor who takes part for the first time."""
    configuration = {"traffic_allocation": 0, "distribution": {"Control": 1}}
    row, other = site.experiment(configuration=configuration), site.experiment("other")
    site.group((row, 0), (other, 100))

    assert site.emulator.visit(row.test_id, mida_uuid="85a35aca4df9", variant=1) == "Variant 1"
    assert site.emulator.visit(row.test_id, email="ann@example.com", variant=0) == "Control"
    assert site.emulator.visit(row.test_id, id="bob") is None
    assert sorted(seen.variant for seen in row.assignments.values()) == [0, 1]


def test_a_visitor_who_took_part_is_told_nothing(site: Visits) -> None:
    """``visit(variant=)`` makes no difference to who saw a variant already, by whichever identifier they are known."""
    row = site.experiment()
    site.emulator.add_visitor(mida_uuid="85a35aca4df9", email="ann@example.com", id="ann")

    assert site.emulator.visit(row.test_id, id="ann", variant=1) == "Variant 1"
    assert site.emulator.visit(row.test_id, email="ANN@example.com", variant=0) == "Variant 1"
    assert site.emulator.visit(row.test_id, mida_uuid="85a35aca4df9") == "Variant 1"
    assert site.emulator.visitors == len(row.assignments) == 1


@pytest.mark.parametrize("status", [9, 0])
def test_a_visitor_is_told_nothing_by_an_experiment_that_is_not_live(site: Visits, status: int) -> None:
    """``visit`` is None and counts nobody, with and without ``variant=``; the visitor is known then."""
    row = site.experiment(status=status)

    assert site.emulator.visit(row.test_id, id="ann", variant=1) is None
    assert site.emulator.visit(row.test_id, id="ann") is None
    assert (row.assignments, site.emulator.visitors) == ({}, 1)


def test_a_visitor_is_shown_the_winner_whatever_the_test_says(site: Visits) -> None:
    """While a winner is served ``visit(variant=)`` is the winner, within the rollout, and counts for it."""
    row = site.experiment()
    site.serve(row, variant_id="1")

    assert site.emulator.visit(row.test_id, id="ann", variant=0) == "Variant 1"
    assert [seen.variant for seen in row.assignments.values()] == [1]
    site.serve(row, "serving-rollout", traffic_allocation=0)
    assert site.emulator.visit(row.test_id, id="bob", variant=0) is None
    assert len(row.assignments) == 1


def test_a_visit_checks_its_arguments(site: Visits) -> None:
    """Nobody, an unknown project, experiment or variant raise, and register nobody."""
    row = site.experiment()
    site.emulator.add_project("other", "other-key")

    with pytest.raises(ValueError, match="at least one of mida_uuid, email and id"):
        site.emulator.visit(row.test_id)
    with pytest.raises(ValueError, match="no project 'nowhere'"):
        site.emulator.visit(row.test_id, id="ann", project_key="nowhere")
    with pytest.raises(ValueError, match="no experiment"):
        site.emulator.visit(row.test_id, id="ann", project_key="other")
    with pytest.raises(ValueError, match="no experiment 999"):
        site.emulator.visit(999, id="ann")
    for variant in (-1, 2):
        with pytest.raises(ValueError, match=f"variant is {variant}; it must be from 0 \\(Control\\) to 1"):
            site.emulator.visit(row.test_id, id="ann", variant=variant)
    row.deleted = True
    with pytest.raises(ValueError, match="no experiment"):
        site.emulator.visit(row.test_id, id="ann")
    assert site.emulator.visitors == 0


def test_servers_and_pages_show_the_same(site: Visits) -> None:
    """A visitor whom the SDK knows by an id sees on the pages what the server was told, in the same project."""
    test_id = site.emulator.add_experiment(
        test_name="Ranking", experiment_key="ranking", variants=[{}, {}, {}], status=1
    )

    for number in range(20):
        body = f'{{"key": "{site.call.project}", "experiment_key": "ranking", "distinct_id": "u{number}"}}'
        told = site.call.raw("POST", "/experiment/query", body.encode())[1]["version"]
        assert told == site.emulator.visit(test_id, id=f"u{number}")


def test_events_tell_who_came(site: Visits) -> None:
    """Where nobody was let in otherwise, visitors take part from their first event while the experiment is live."""
    row = site.experiment(primary_goal=goal(site), status=9)
    site.buy("early")
    site.now += 60
    site.call.today = site.now
    site.call.done(f"PATCH experiment/{row.test_id}/status", status=1)
    assert site.counted(row) == [(0, 0), (0, 0)]
    site.now += 60
    names = [f"user_{number}" for number in range(40)]
    site.buy(*names[:20])
    site.call.done("POST event", event_name="Seen", id="user_20")
    visitors, conversions = (sum(numbers) for numbers in zip(*site.counted(row), strict=True))
    assert (visitors, conversions) == (21, 20)

    site.now += 60
    site.call.today = site.now
    site.call.done(f"PATCH experiment/{row.test_id}/status", status=0)
    counted = site.counted(row)
    assert sum(visitors for visitors, _ in counted) == 21
    site.now += 60
    site.buy("late", "early")
    assert site.counted(row) == counted
    site.now += 60
    site.call.today = site.now
    site.call.done(f"PATCH experiment/{row.test_id}/status", status=1)
    site.buy("again")
    assert sum(visitors for visitors, _ in site.counted(row)) == 22
    assert row.assignments == {}


def test_those_who_came_by_events_see_what_visitors_see(site: Visits) -> None:
    """The variant is the one that a visit would show, by the traffic, the weights and the groups of the experiment."""
    configuration = {"traffic_allocation": 50, "distribution": {"Control": 3, "Variant 1": 1}}
    row, other = site.experiment(configuration=configuration), site.experiment("other")
    site.group((row, 50), (other, 50))
    names = [f"user_{number}" for number in range(200)]
    site.buy(*names)

    counted = site.counted(row)

    shown = Counter(site.emulator.visit(row.test_id, id=name) for name in names)
    assert [visitors for visitors, _ in counted] == [shown["Control"], shown["Variant 1"]]
    assert shown["Control"] > shown["Variant 1"] > 0


def test_whoever_is_let_in_makes_events_tell_nothing(site: Visits) -> None:
    """Once a test lets somebody in, and in an experiment of servers always, only those who were let in count."""
    number = goal(site)
    row = site.experiment(primary_goal=number)
    of_servers = site.experiment("Ranking", primary_goal=number, experiment_key="ranking")
    site.buy("ann", "bob")
    assert sum(visitors for visitors, _ in site.counted(row)) == 2
    assert site.counted(of_servers) == [(0, 0), (0, 0)]

    site.now += 60
    site.emulator.visit(row.test_id, id="ann", variant=1)

    assert site.counted(row) == [(0, 0), (1, 0)]


def test_after_serving_those_who_came_by_events_saw_the_winner(site: Visits) -> None:
    """An event before the winner was served tells of the variant that was drawn, one after it of the winner."""
    row = site.experiment(primary_goal=goal(site), configuration={"distribution": {"Control": 1}})
    site.buy("ann", "bob")
    site.now += 60
    site.serve(row, variant_id="1")
    site.now += 60
    site.buy("bob", "new")

    assert site.counted(row) == [(2, 2), (0, 0)]
    assert site.counted(row, report_phase="post_deploy") == [(0, 0), (2, 2)]
    assert site.counted(row, report_phase="all_time") == [(2, 2), (1, 1)]
    site.serve(row, "serving-rollout", traffic_allocation=0)
    assert site.counted(row, report_phase="post_deploy") == [(0, 0), (0, 0)]


def test_deleted_events_and_definitions_tell_nothing(site: Visits) -> None:
    """An event that was deleted, or belongs to no visitor, lets nobody in."""
    row = site.experiment(primary_goal=goal(site))
    site.buy("ann")
    site.call.done("POST event", event_text="Purchase")
    site.emulator.add_event("Purchase", visitor_id=0)
    assert sum(visitors for visitors, _ in site.counted(row)) == 1

    site.call.done(f"DELETE event/{site.emulator.recorded[0].event_id}")

    assert site.counted(row) == [(0, 0), (0, 0)]


def test_servers_may_ask_for_what_the_api_created(site: Visits) -> None:
    """An experiment without a key is found by its number or its name, after those that have the key itself."""
    row = site.experiment("Button color", configuration={"distribution": {"Variant 1": 1}})
    deleted = site.experiment("Gone", deleted=True)

    def asked(key: str) -> str | None:
        body = f'{{"key": "{site.call.project}", "experiment_key": "{key}", "distinct_id": "ann"}}'
        version: str | None = site.call.raw("POST", "/experiment/query", body.encode())[1]["version"]
        return version

    assert asked(str(row.test_id)) == asked("Button color") == "Variant 1"
    assert asked("Gone") is asked(str(deleted.test_id)) is asked("Button") is None
    site.experiment("x", experiment_key="Button color", configuration={"distribution": {"Control": 1}})
    assert asked("Button color") == "Control"


@pytest.mark.parametrize("let_in", [True, False])
def test_many_events_are_counted_soon(site: Visits, let_in: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Twenty thousand events of two thousand visitors take well under the seconds that a client waits."""
    row = site.experiment(primary_goal=goal(site))
    for number in range(1, 2001):
        name = f"user_{number}"
        visitor = site.project.visitors.add(None, None, name)
        if let_in:
            site.emulator.visit(row.test_id, id=name)
        for _ in range(10):
            site.emulator.add_event("Purchase", {"revenue": 1}, visitor_id=visitor)

    start = time.perf_counter()
    counted = site.counted(row)

    assert time.perf_counter() - start < 2
    assert [sum(numbers) for numbers in zip(*counted, strict=True)] == [2000, 2000]
