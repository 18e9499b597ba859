"""The emulator's reports: counted from what visitors did, and refused where the pages say so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from emulator_caller import TODAY, Caller
from experiment_rows import put_experiment
from hypothesis import given, settings
from hypothesis import strategies as st

from mida_async.testing._emulator.experiments_state import Assignment
from mida_async.testing._emulator.report_query import goal_by_key
from mida_async.testing._emulator.visitors import AttributeStore

if TYPE_CHECKING:
    from mida_async.testing._emulator.experiments_state import ExperimentRow

DAY = 86400.0
REPORTS = ("result", "timeseries", "metrics")


class Shop:
    """An emulated project with one experiment of Control and two treatments, and visitors who do as they are told."""

    def __init__(self, goal_type: str = "event", **fields: Any) -> None:
        self.call = Caller()
        self.goal = self.make_goal("Purchase", goal_type)
        self.row: ExperimentRow = put_experiment(self.call.emulator, **{"primary_goal": self.goal, **fields})
        self.project = self.call.emulator.state.projects[self.call.project]

    def make_goal(self, name: str, goal_type: str = "event") -> int:
        """Make a goal that is reached by the event of the same name."""
        number: int = self.call.done("POST goal", goal_name=name, goal_type=goal_type, goal_value=name)[
            "goal_profile_id"
        ]
        return number

    def show(self, variant: int, *names: str, at: float = TODAY) -> None:
        """Let visitors see a variant."""
        for name in names:
            visitor = self.project.visitors.add(name, None, None)
            self.row.assignments[visitor] = Assignment(variant=variant, since=at)

    def buy(self, name: str, event: str = "Purchase", *, at: float = TODAY, **properties: object) -> None:
        """Let a visitor do something."""
        self.call.today = at
        self.call.done("POST event", event_name=event, mida_uuid=name, properties=properties)
        self.call.today = TODAY

    def report(self, name: str, **query: object) -> dict[str, Any]:
        """Get a report."""
        return self.call.done(f"GET {self.address(name, query)}")

    def refused(self, name: str, **query: object) -> tuple[int, str]:
        """Get what a report is refused with."""
        return self.call.refused(f"GET {self.address(name, query)}")

    def address(self, name: str, query: dict[str, object]) -> str:
        """Return the address of a report; lists become JSON text."""
        texts = {key: json.dumps(value) if isinstance(value, list) else str(value) for key, value in query.items()}
        pairs = "&".join(f"{key}={quote(value, safe='')}" for key, value in texts.items())
        return f"experiment/{self.row.test_id}/{name}?{pairs}"

    def conversions(self, **query: object) -> list[int]:
        """Return how many converted, by variant."""
        return [variant["conversions"] for variant in self.report("result", **query)["variants"]]

    def visitors(self, **query: object) -> list[int]:
        """Return how many took part, by variant."""
        return [variant["visitors"] for variant in self.report("result", **query)["variants"]]


def test_a_result_is_counted_from_events() -> None:
    """A visitor who saw a variant and then had the goal's event converts once; rates and gains are percentages."""
    shop = Shop()
    shop.show(0, "a", "b", "c", "d", "e")
    shop.show(1, "f", "g", "h", "i")
    for name in ("a", "a", "f", "g"):
        shop.buy(name)
    shop.buy("h", "Something else")

    result = shop.report("result")

    assert {name: value for name, value in result.items() if name not in {"variants", "selected_goal"}} == {
        "test_id": shop.row.test_id,
        "test_name": "Button color",
        "status": "live",
        "status_code": 1,
        "start_date": "2024-01-15T10:30:00.000Z",
        "end_date": None,
        "days_running": 0,
        "stats_engine": "bayesian",
        "confidence_threshold_percent": 95,
        "is_serving": False,
        "report_phase": "all_time",
        "primary_goal": {"goal_name": "Purchase", "goal_type": "event", "goal_value": "Purchase"},
        "traffic_allocation": 100,
        "distribution_mode": "equal",
        "is_mab": False,
        "total_visitors": 9,
        "total_conversions": 3,
        "has_revenue": False,
    }
    assert result["selected_goal"] == {
        **result["primary_goal"],
        "goal_profile_id": shop.goal,
        "goal_key": "purchase",
        "is_primary": True,
    }
    arm = {"variant_status": "active", "traffic_weight": 33.33, "is_control": False}
    assert result["variants"] == [
        {
            **arm,
            "variant_id": "0",
            "name": "Control",
            "visitors": 5,
            "conversions": 1,
            "conversion_rate": 20.0,
            "is_control": True,
        },
        {
            **arm,
            "variant_id": "1",
            "name": "Variant 1",
            "visitors": 4,
            "conversions": 2,
            "conversion_rate": 50.0,
            "improvement": 150.0,
        },
        {
            **arm,
            "variant_id": "2",
            "name": "Variant 2",
            "visitors": 0,
            "conversions": 0,
            "conversion_rate": 0.0,
            "traffic_weight": 33.34,
        },
    ]


def test_visitors_of_the_sdk_count() -> None:
    """A visitor whom the server-side call assigns, and whose event it records, is in the result."""
    shop = Shop(experiment_key="checkout")
    ids = [f"visitor {number}" for number in range(30)]
    seen = {}
    for name in ids:
        key = {"key": shop.call.project, "distinct_id": name}
        body = json.dumps({**key, "experiment_key": "checkout"}).encode()
        seen[name] = shop.call.raw("POST", "/experiment/query", body)[1]["version"]
        shop.call.raw("POST", "/experiment/event", json.dumps({**key, "name": "Purchase"}).encode())

    counts = [list(seen.values()).count(name) for name in ("Control", "Variant 1", "Variant 2")]
    assert sum(counts) == 30
    assert shop.visitors() == shop.conversions() == counts


def test_an_event_before_the_variant_does_not_count() -> None:
    """Only what a visitor does from seeing the variant on is a conversion; deleted events are none."""
    shop = Shop()
    shop.show(1, "a", "b", "c", at=TODAY)
    shop.buy("a", at=TODAY - 1)
    shop.buy("b", at=TODAY)
    shop.buy("c", at=TODAY + 1)
    assert shop.conversions() == [0, 2, 0]

    (last,) = [row for row in shop.project.events.values() if row.created_at == TODAY + 1]
    shop.call.done(f"DELETE event/{last.event_id}")
    assert shop.conversions() == [0, 1, 0]


def test_revenue_is_summed() -> None:
    """A revenue goal adds up revenue, orders and currency; what is no amount counts as nothing."""
    shop = Shop("revenue")
    shop.show(0, "a", "b")
    shop.show(1, "c")
    shop.buy("a", revenue=10.5, quantity=2, currency="EUR")
    shop.buy("a", revenue="9.5", quantity="1")
    no_amounts: tuple[object, ...] = (None, True, "much", 1e300, [1], {}, 10**400)
    for odd in no_amounts:
        shop.buy("b", revenue=odd, currency=7)
    shop.buy("c", revenue=20, quantity=5, currency="USD")

    result = shop.report("result")

    totals = ("has_revenue", "total_revenue", "total_orders", "rpv", "aov", "currency")
    assert [result[name] for name in totals] == [True, 40.0, 10, 13.33, 4.0, "EUR"]
    names = ("revenue", "orders", "rpv", "aov", "currency", "revenue_per_visitor_improvement")
    assert [[variant.get(name) for name in names] for variant in result["variants"]] == [
        [20.0, 9, 10.0, 2.22, "EUR", None],
        [20.0, 1, 20.0, 20.0, "USD", 100.0],
        [0.0, 0, 0.0, 0.0, None, None],
    ]
    assert "improvement" in result["variants"][1]
    (control, *_) = shop.report("timeseries")["timeseries"]
    assert {name: value for name, value in control.items() if not name.endswith("_at")} == {
        "variant_id": "0",
        "visitors": 2,
        "converted": 2,
        "conversion": 100.0,
        "revenue": 20.0,
        "quantity": 3.0,
        "no_of_order": 9,
        "currency": "EUR",
        "sum_sq_revenue": 400.0,
        "sum_sq_orders": 53,
        "sum_revenue_orders_cross": 40.0,
    }


def test_events_of_any_content_are_counted() -> None:
    """An event whose data are not the JSON of an object is an order without revenue."""
    shop = Shop("revenue")
    shop.show(0, "a")
    visitor = next(iter(shop.row.assignments))
    for text in (None, "", "plain", "[1]", "[" * 100_000, "1" * 5000):
        shop.call.emulator.add_event("Purchase", text, visitor_id=visitor)
    assert [shop.report("result")[name] for name in ("total_revenue", "total_orders")] == [0.0, 6]


def test_there_is_no_gain_without_something_to_compare_with() -> None:
    """A treatment's improvement is left out where Control has no conversions, and where nobody saw the treatment."""
    shop = Shop("revenue")
    shop.show(0, "a")
    shop.show(1, "b")
    shop.buy("b", revenue=5)
    assert not {"improvement", "revenue_per_visitor_improvement"} & shop.report("result")["variants"][1].keys()
    shop.buy("a")
    result = shop.report("result")["variants"]
    assert result[1]["improvement"] == 0.0
    assert "revenue_per_visitor_improvement" not in result[1]
    assert "improvement" not in result[0].keys() | result[2].keys()


def test_goals_are_chosen() -> None:
    """A key, a number, the experiment's goal and the project's: the first that there is counts."""
    shop = Shop(primary_goal=None)
    other = shop.make_goal("Sign up")
    shop.show(0, "a", "b")
    shop.buy("a")
    shop.buy("a", "Sign up")
    shop.buy("b", "Sign up")
    assert shop.conversions() == [0, 0, 0]
    assert (shop.report("result")["primary_goal"], shop.report("timeseries")["goal"]) == (None, None)

    shop.call.done("PATCH configuration", primary_goal_key="purchase")
    result = shop.report("result")
    assert (result["total_conversions"], result["selected_goal"]["goal_source"]) == (1, "global_default")
    assert (result["primary_goal"], result["selected_goal"]["is_primary"]) == (None, False)
    shop.row.primary_goal = other
    assert shop.conversions() == [2, 0, 0]
    assert shop.conversions(goal_key="purchase") == shop.conversions(goal_profile_id=shop.goal) == [1, 0, 0]
    assert "goal_source" not in shop.report("result", goal_key="purchase")["selected_goal"]
    assert shop.conversions(goal_key="purchase", goal_profile_id=other) == [1, 0, 0]
    shop.call.done(f"DELETE goal/{other}")
    assert shop.conversions() == [1, 0, 0]
    for query in ({"goal_key": "sign_up"}, {"goal_profile_id": other}, {"goal_profile_id": "x"}, {"goal_key": ""}):
        assert shop.refused("result", **query)[0] == 400


def test_only_event_goals_are_reached() -> None:
    """A goal on a page is not reached by an event of the same name; one of type script is."""
    shop = Shop("pageview")
    shop.make_goal("Shown", "script")
    shop.show(0, "a")
    shop.buy("a")
    shop.buy("a", "Shown")
    assert shop.conversions() == [0, 0, 0]
    assert shop.conversions(goal_key="shown") == [1, 0, 0]


def test_events_are_filtered_and_counted() -> None:
    """event_attribute is an OR of ANDs, min_count asks for several events, timeframe_days ends the wait."""
    shop = Shop()
    shop.show(0, "a", "b", "c")
    shop.buy("a", revenue=150, currency="USD")
    shop.buy("a", at=TODAY + 3 * DAY, revenue=5)
    shop.buy("b", revenue=150, currency="EUR")
    shop.buy("c", at=TODAY + 3 * DAY, sku="x-1", gift=True)

    large: dict[str, object] = {"key": "revenue", "operand": ">", "value": 100}
    dollars = {"key": "currency", "operand": "=", "value": "USD"}
    assert shop.conversions(event_attribute=[[large, dollars]]) == [1, 0, 0]
    assert shop.conversions(event_attribute=[[large], [dollars]]) == [2, 0, 0]
    assert shop.conversions(min_count=2) == [1, 0, 0]
    assert shop.conversions(timeframe_days=1) == [2, 0, 0]
    assert shop.conversions(timeframe_days=4) == shop.conversions(timeframe_days="9" * 60) == [3, 0, 0]
    assert shop.conversions(timeframe_days=0) == [3, 0, 0]
    assert shop.conversions(min_count="9" * 60) == [0, 0, 0]


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ({"operand": "=", "value": 5}, "ab"),
        ({"operand": "=", "value": "5"}, "ab"),
        ({"operand": "=", "value": "five"}, "c"),
        ({"operand": "!=", "value": 5}, "cdef"),
        ({"operator": ">=", "value": 5}, "ab"),
        ({"operator": ">", "value": 4.5}, "ab"),
        ({"operator": "<", "value": 5}, ""),
        ({"operator": "<=", "value": "x"}, ""),
        ({"operand": "**", "value": "iv"}, "c"),
        ({"operand": "!*", "value": "iv"}, "abdef"),
        ({"operand": "=", "value": "true"}, "e"),
        ({"operand": "ex"}, "abcef"),
        ({"operand": "nx"}, "d"),
    ],
)
def test_operands_compare(condition: dict[str, object], kept: str) -> None:
    """Numbers compare as numbers, even as text; what is not there equals nothing and is in no order."""
    shop = Shop()
    shop.show(0, *"abcdef")
    for name, value in zip("abcef", (5, "5.0", "five", True, [5]), strict=True):
        shop.buy(name, size=value)
    shop.buy("d")
    found = [
        name
        for name in "abcdef"
        if shop.conversions(
            event_attribute=[[{"key": "size", **condition}]],
            custom_filter=[[{"criteria": "v.uuid", "operator": "==", "value": name}]],
        )[0]
    ]
    assert "".join(found) == kept


def test_dates_cut_a_period_out() -> None:
    """Days are inclusive, begin in the time zone that is asked for, and hold both visitors and their events."""
    shop = Shop()
    for number, name in enumerate("abc"):
        at = TODAY + (number - 1) * DAY
        shop.show(0, name, at=at)
        shop.buy(name, at=at + 60)
    shop.buy("a", at=TODAY + 5 * DAY)

    def counts(**query: object) -> tuple[int, int]:
        return shop.visitors(**query)[0], shop.conversions(**query)[0]

    assert counts() == (3, 3)
    assert counts(start_date="2024-01-15") == (2, 2)
    assert counts(end_date="2024-01-15") == (2, 2)
    assert counts(start_date="2024-01-14", end_date="2024-01-14") == (1, 1)
    assert counts(start_date="2024-01-17") == (0, 0)
    assert counts(end_date="2024-01-15", tz=-11) == (3, 3)
    assert counts(start_date="2024-01-15", tz=-11) == (1, 1)
    assert counts(end_date="2024-01-15", tz=14) == (1, 1)
    assert counts(start_date="1000-01-01", end_date="9999-12-31") == (3, 3)


def test_phases_lie_before_and_after_serving() -> None:
    """A phase holds who came in it; while a winner is served, the one before is meant unless another is asked for."""
    shop = Shop()
    shop.show(0, "a", at=TODAY - DAY)
    shop.show(1, "b", "c", at=TODAY + DAY)
    shop.buy("a", at=TODAY - 60)
    shop.buy("b", at=TODAY + DAY)
    assert shop.visitors(report_phase="pre_deploy") == [1, 2, 0]
    assert shop.visitors(report_phase="post_deploy") == [0, 0, 0]

    shop.call.done(f"POST experiment/{shop.row.test_id}/serve-winner", variant_id="1")

    result = shop.report("result")
    assert [result[name] for name in ("is_serving", "serving_variant_id", "report_phase")] == [True, "1", "pre_deploy"]
    assert shop.visitors() == shop.conversions() == [1, 0, 0]
    assert shop.visitors(report_phase="post_deploy") == [0, 2, 0]
    assert shop.conversions(report_phase="post_deploy") == [0, 1, 0]
    assert shop.visitors(report_phase="all_time") == [1, 2, 0]
    for name in REPORTS:
        assert shop.refused(name, report_phase="later")[0] == 400


def test_visitors_are_filtered() -> None:
    """custom_filter is an AND of ORs; identifiers and attributes are looked at, the rest is taken for true."""
    shop = Shop()
    shop.show(0, "a", "b", "c")
    numbers = list(shop.row.assignments)
    shop.project.store(AttributeStore).update(numbers[0], {"plan": "pro", "seats": 12})

    def seen(*groups: list[dict[str, object]]) -> int:
        return shop.visitors(custom_filter=list(groups))[0]

    def uuid(operator: str, value: str) -> dict[str, object]:
        return {"criteria": "v.uuid", "operator": operator, "value": value}

    def attribute(operator: str, value: object, key: str = "seats") -> dict[str, object]:
        return {"criteria": "attribute", "key": key, "operator": operator, "value": value}

    number: dict[str, object] = {"criteria": "v.visitor_id", "operator": "==", "value": numbers[1]}
    mobile: dict[str, object] = {"criteria": "device", "operator": "==", "value": "mobile"}
    assert seen([uuid("==", "a")]) == 1
    assert seen([uuid("==", "a"), uuid("==", "b")]) == 2
    assert seen([uuid("==", "a")], [uuid("==", "b")]) == 0
    assert seen([uuid("!=", "a")], [mobile]) == 2
    assert seen([uuid("==", "nobody")]) == 0
    assert seen([uuid("**", "a")]) == 3
    assert seen([number]) == 1
    assert seen([{**number, "operator": "!="}]) == 2
    assert seen([{**number, "operator": "**"}]) == 1
    assert seen([{**number, "operator": "!*"}]) == 2
    assert [seen([attribute("==", "pro", "plan")]), seen([attribute("!=", "pro", "plan")])] == [1, 2]
    assert [seen([attribute(operator, 10)]) for operator in ("gt", "gte", "lt", "lte", "nx")] == [1, 1, 0, 0, 2]
    assert seen([attribute("days_gt", 10)]) == 3
    for tokens in ("mobile", "desktop,country-US,country-CA", "europe"):
        assert shop.visitors(filter_by=tokens) == [3, 0, 0]


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ({"filters": "{}"}, "filters is not supported; use filter_by or custom_filter"),
        ({"start_date": "15.01.2024"}, "start_date must be a date"),
        ({"end_date": "2024-02-30"}, "end_date must be a date"),
        ({"start_date": "2024-01-02", "end_date": "2024-01-01"}, "end_date must not be before start_date"),
        ({"tz": "Europe/Berlin"}, "tz must be a number of hours"),
        ({"tz": "15"}, "tz must be a number of hours"),
        ({"filter_by": ""}, "filter_by must be a comma-separated list"),
        ({"filter_by": "mobile,,new"}, "filter_by must be a comma-separated list"),
        ({"filter_by": "country-USA"}, "filter_by must be a comma-separated list"),
        ({"custom_filter": "["}, "custom_filter is malformed: it is not valid JSON"),
        ({"custom_filter": "[" * 5000}, "custom_filter is malformed: it is not valid JSON"),
        ({"custom_filter": "{}"}, "custom_filter is malformed: it must be an array of arrays"),
        ({"custom_filter": []}, "custom_filter is malformed: it must be an array of arrays"),
        ({"custom_filter": [[]]}, "custom_filter is malformed: it must be an array of arrays"),
        ({"custom_filter": [{"criteria": "device"}]}, "custom_filter is malformed: it must be an array of arrays"),
        ({"custom_filter": [["device"]]}, "custom_filter is malformed: conditions must be objects"),
    ],
)
def test_what_is_malformed_is_a_400(name: str, query: dict[str, object], problem: str) -> None:
    """Each of the three reports refuses what the pages say it refuses."""
    status, text = Shop().refused(name, **query)
    assert (status, text[: len(problem)]) == (400, problem)


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ({}, "no criteria"),
        ({"criteria": "region", "operator": "==", "value": "x"}, "no criteria"),
        ({"criteria": ["device"], "operator": "==", "value": "x"}, "no criteria"),
        ({"criteria": "device", "operator": ">", "value": "mobile"}, "operator of device"),
        ({"criteria": "device", "operator": ["=="], "value": "mobile"}, "operator of device"),
        ({"criteria": "device", "value": "mobile"}, "operator of device"),
        ({"criteria": "country", "operator": "ex"}, "operator of country"),
        ({"criteria": "utm", "operator": "ex"}, "utm requires key"),
        ({"criteria": "attribute", "operator": "==", "value": 1, "key": " "}, "attribute requires key"),
        ({"criteria": "ref_page", "operator": "=="}, "ref_page requires a value"),
        ({"criteria": "ref_page", "operator": "==", "value": True}, "ref_page requires a value"),
        ({"criteria": "device", "operator": "==", "value": "phone"}, "device has no such value"),
        ({"criteria": "country", "operator": "==", "value": "us"}, "country has no such value"),
        ({"criteria": "dayofweek", "operator": "<", "value": 7}, "dayofweek has no such value"),
        ({"criteria": "hourofday", "operator": "==", "value": 24}, "hourofday has no such value"),
        ({"criteria": "v.uuid", "operator": "!=", "value": "a b"}, "v.uuid has no such value"),
    ],
)
def test_undocumented_conditions_are_a_400(condition: dict[str, object], problem: str) -> None:
    """A condition on visitors must have criteria, an operator, a key and a value that go together."""
    status, text = Shop().refused("result", custom_filter=[[condition]])
    assert status == 400
    assert text.startswith("custom_filter is malformed: ")
    assert problem in text


@pytest.mark.parametrize(
    "condition",
    [
        {"criteria": "hourofday", "operator": ">=", "value": 23},
        {"criteria": "dayofweek", "operator": "==", "value": "0"},
        {"criteria": "browser", "operator": "==", "value": "edge_chromium"},
        {"criteria": "browser", "operator": "**", "value": "edge"},
        {"criteria": "landing_page", "operator": "nx"},
        {"criteria": "queryparam", "operator": "==", "value": "1", "key": "ref"},
        {"criteria": "attribute", "operator": "days_lte", "value": 3, "key": "signed_up"},
    ],
)
def test_documented_conditions_are_taken(condition: dict[str, object]) -> None:
    """Conditions that the page documents are no error, even those that the emulator cannot look at."""
    shop = Shop()
    shop.show(0, "a")
    assert shop.visitors(custom_filter=[[condition]]) == [1, 0, 0]


@pytest.mark.parametrize("name", ["result", "timeseries"])
@pytest.mark.parametrize(
    "query",
    [
        {"event_attribute": "nonsense"},
        {"event_attribute": [{"key": "a", "operand": "=", "value": 1}]},
        {"event_attribute": [[{"operand": "=", "value": 1}]]},
        {"event_attribute": [[{"key": "a b", "operand": "=", "value": 1}]]},
        {"event_attribute": [[{"key": "a" * 81, "operand": "=", "value": 1}]]},
        {"event_attribute": [[{"key": "a", "operand": "==", "value": 1}]]},
        {"event_attribute": [[{"key": "a", "value": 1}]]},
        {"event_attribute": [[{"key": "a", "operand": "="}]]},
        {"event_attribute": [[{"key": "a", "operand": "=", "value": False}]]},
        {"event_attribute": [[{"key": "a", "operand": "=", "value": "v" * 501}]]},
        {"min_count": 0},
        {"min_count": "1.5"},
        {"min_count": "many"},
        {"timeframe_days": -1},
        {"timeframe_days": "x"},
        {"goal_key": "unknown"},
    ],
)
def test_what_is_malformed_about_events_is_a_400(name: str, query: dict[str, object]) -> None:
    """Result and timeseries refuse wrong conditions on events, counts and goals; metrics does not read them."""
    shop = Shop()
    assert shop.refused(name, **query)[0] == 400
    assert shop.report("metrics", **query)["count"] == 3


def test_a_result_is_broken_down() -> None:
    """A documented dimension gives one part, unknown, with all visitors in it; any other is a 400."""
    shop = Shop("revenue")
    assert shop.report("result", breakdown_by="device")["breakdowns"] == []
    shop.show(0, "a", "b")
    shop.buy("a", revenue=5)
    result = shop.report("result", breakdown_by="utm_source")
    assert result["breakdown_by"] == "utm_source"
    assert result["breakdowns"] == [
        {
            "criteria": "unknown",
            "total_visitors": 2,
            "total_conversions": 1,
            "conversion_rate": 50.0,
            "total_revenue": 5.0,
            "total_orders": 1,
            "rpv": 2.5,
            "aov": 5.0,
            "currency": None,
            "variants": result["variants"],
        }
    ]
    status, text = shop.refused("result", breakdown_by="weather")
    assert (status, "breakdown_by must be one of device, browser" in text) == (400, True)
    assert shop.refused("metrics", breakdown_by="device")[0] == 400
    assert shop.report("timeseries", breakdown_by="device")["count"] == 3


def test_a_timeseries_has_a_row_a_day_and_variant() -> None:
    """Each day on which visitors came has a row for each variant; conversions belong to the day the visitor came."""
    shop = Shop()
    shop.show(0, "a", "b", at=TODAY)
    shop.show(1, "c", at=TODAY + 2 * DAY)
    shop.buy("a", at=TODAY + DAY)

    report = shop.report("timeseries", start_date="2024-01-01")

    assert {name: value for name, value in report.items() if name != "timeseries"} == {
        "test_id": shop.row.test_id,
        "test_name": "Button color",
        "goal": shop.report("result")["selected_goal"],
        "primary_goal": shop.report("result")["primary_goal"],
        "query_start_date": "2024-01-01",
        "effective_end_date": "2024-01-15",
        "count": 6,
    }
    rows = report["timeseries"]
    assert rows[0] == {
        "variant_id": "0",
        "converted": 1,
        "conversion": 50.0,
        "visitors": 2,
        "created_at": "2024-01-15T00:00:00.000Z",
        "updated_at": "2024-01-15T00:00:00.000Z",
    }
    assert [(row["variant_id"], row["created_at"][:10], row["visitors"]) for row in rows] == [
        ("0", "2024-01-15", 2),
        ("1", "2024-01-15", 0),
        ("2", "2024-01-15", 0),
        ("0", "2024-01-17", 0),
        ("1", "2024-01-17", 1),
        ("2", "2024-01-17", 0),
    ]
    assert shop.report("timeseries", tz=14)["timeseries"][0]["created_at"][:10] == "2024-01-16"


def test_one_sided_dates_are_completed() -> None:
    """A report says the days that were asked for, and the one that it put in for what was not."""
    shop = Shop()

    def dates(**query: object) -> dict[str, str]:
        report = shop.report("timeseries", **query)
        return {name: value for name, value in report.items() if name.endswith("_date")}

    assert dates() == {}
    assert dates(end_date="2024-02-01") == {"query_end_date": "2024-02-01", "effective_start_date": "2024-01-15"}
    both = {"start_date": "2024-01-01", "end_date": "2024-02-01"}
    assert dates(**both) == {"query_start_date": "2024-01-01", "query_end_date": "2024-02-01"}


def test_metrics_are_wide() -> None:
    """Columns are numbered from 1 in the order of the definitions, and batches from 0, without moving any column."""
    shop = Shop()
    shop.row.secondary_goals = [shop.make_goal("Sign up"), shop.make_goal("Pay", "revenue"), 999]
    shop.show(0, "a", "b")
    shop.show(2, "c")
    shop.buy("a", "Sign up")
    shop.buy("c", "Pay", revenue=5)

    report = shop.report("metrics")

    assert (report["count"], report["metric_count"]) == (3, 2)
    assert report["metric_definitions"][1] == {
        "metric_key": "pay",
        "metric_text": "goal_pay",
        "name": "Pay",
        "type": 2,
        "goal": {"goal_key": "pay", "goal_name": "Pay", "goal_type": "revenue", "goal_value": "Pay"},
    }
    assert report["metrics"] == [
        {"variant_id": "0", "total": 2, "result_1": 1, "result_2": 0},
        {"variant_id": "1", "total": 0, "result_1": 0, "result_2": 0},
        {"variant_id": "2", "total": 1, "result_1": 0, "result_2": 1},
    ]
    assert not {"filter_by", "custom_filter", "warnings"} & report.keys()
    for batch in ("1", "1,7", [1], ["1"]):
        part = shop.report("metrics", metric_batch=batch)
        assert part["metrics"][2] == {"variant_id": "2", "total": 1, "result_2": 1}
        assert part["metric_count"] == 2


def test_metrics_are_chosen_by_key() -> None:
    """Keys come as a comma list or an array, in either parameter; an unknown one is a warning; filters are repeated."""
    shop = Shop()
    shop.make_goal("Sign up")
    shop.make_goal("goal_x")

    def keys(**query: object) -> list[str]:
        return [metric["metric_key"] for metric in shop.report("metrics", **query)["metric_definitions"]]

    assert keys() == []
    assert keys(metric_keys="purchase,sign_up") == keys(goal_keys=["purchase", "sign_up"]) == ["purchase", "sign_up"]
    assert keys(metric_keys="goal_purchase, goal_x", goal_keys="sign_up") == ["purchase", "goal_x", "sign_up"]
    report = shop.report("metrics", goal_keys="nothing,purchase", filter_by="mobile", tz="5.5")
    assert report["warnings"] == ["nothing is no metric of this project"]
    assert report["filter_by"] == "mobile"
    assert goal_by_key(shop.project, "nothing") is None


@pytest.mark.parametrize(
    "query",
    [
        {"metric_keys": ""},
        {"metric_keys": "a,,b"},
        {"goal_keys": "[1]"},
        {"goal_keys": "[["},
        {"metric_batch": ""},
        {"metric_batch": "-1"},
        {"metric_batch": "[true]"},
        {"metric_batch": "[[0]]"},
        {"metric_batch": "[0"},
        {"metric_batch": "0,one"},
    ],
)
def test_malformed_metrics_are_a_400(query: dict[str, object]) -> None:
    """Lists of keys and of indexes must be lists of keys and of indexes."""
    assert Shop().refused("metrics", **query)[0] == 400


def test_a_distribution_is_what_is_configured() -> None:
    """The split is equal unless the experiment has weights; those are made to sum up to 100."""
    shop = Shop()
    shop.row.variants[0]["nickname"] = "Red"
    report = shop.report("distribution")
    assert report == {
        "test_id": shop.row.test_id,
        "test_name": "Button color",
        "status": "live",
        "traffic_allocation": 100,
        "distribution_mode": "equal",
        "is_mab": False,
        "variants": [
            {"variant_id": "0", "name": "Control", "traffic_weight": 33.33, "variant_status": "active"},
            {"variant_id": "1", "name": "Red", "traffic_weight": 33.33, "variant_status": "active"},
            {"variant_id": "2", "name": "Variant 2", "traffic_weight": 33.34, "variant_status": "active"},
        ],
    }


@pytest.mark.parametrize(
    ("configured", "mode", "weights"),
    [
        ({"Control": 50, "Variant 1": 50}, "custom", [50.0, 50.0, 0.0]),
        ({"Control": 0.57, "Variant 2": 0.43}, "custom", [57.0, 0.0, 43.0]),
        ('{"Control":1,"Variant 1":1,"Variant 2":1}', "custom", [33.33, 33.33, 33.34]),
        ({"Control": -5, "Variant 1": "3", "Variant 2": None}, "custom", [0.0, 100.0, 0.0]),
        ({"Red": 1}, "equal", [33.33, 33.33, 33.34]),
        ("manual", "equal", [33.33, 33.33, 33.34]),
        ("[" * 100_000, "equal", [33.33, 33.33, 33.34]),
        ([1, 2, 3], "equal", [33.33, 33.33, 33.34]),
        (None, "equal", [33.33, 33.33, 33.34]),
    ],
)
def test_weights_are_read_leniently(configured: object, mode: str, weights: list[float]) -> None:
    """A map of names to weights, or its JSON text, counts; anything else is an equal split."""
    shop = Shop(configuration={"distribution": configured})
    report = shop.report("distribution")
    assert report["distribution_mode"] == mode
    assert [variant["traffic_weight"] for variant in report["variants"]] == weights
    expected = ["active" if weight else "paused" for weight in weights]
    assert [variant["variant_status"] for variant in report["variants"]] == expected


def test_a_bandit_has_no_weights() -> None:
    """With a multi-armed bandit weights are null and every variant is active."""
    shop = Shop(configuration={"is_mab": 1, "distribution": {"Control": 1}, "bayesian": 0, "confidence_interval": 90})
    report = shop.report("distribution")
    assert (report["distribution_mode"], report["is_mab"]) == ("mab", True)
    arms = {(variant["traffic_weight"], variant["variant_status"]) for variant in report["variants"]}
    assert arms == {(None, "active")}
    result = shop.report("result")
    assert (result["stats_engine"], result["confidence_threshold_percent"]) == ("frequentist", 90)
    assert result["variants"][0]["traffic_weight"] is None


def test_many_variants_still_sum_up_to_a_hundred() -> None:
    """However many variants there are, their weights are not negative and sum up to 100."""
    shop = Shop(variants=[{"name": f"Variant {number + 1}"} for number in range(15_000)])
    weights = [variant["traffic_weight"] for variant in shop.report("distribution")["variants"]]
    assert min(weights) >= 0
    assert sum(weights) == pytest.approx(100)


def test_a_concluded_experiment_has_an_end() -> None:
    """The end is there once the experiment is concluded, and the days are counted up to it."""
    shop = Shop(status=0, is_completed=1)
    shop.row.created_at = TODAY - 10 * DAY
    shop.row.updated_at = TODAY - 3 * DAY
    result = shop.report("result")
    assert (result["status"], result["status_code"]) == ("inactive", 0)
    assert (result["end_date"], result["days_running"]) == ("2024-01-12T10:30:00.000Z", 7)
    shop.row.is_completed = 0
    assert shop.report("result")["days_running"] == 10


def test_a_variant_that_is_gone_does_not_count() -> None:
    """A visitor who was assigned a variant that the experiment no longer has is left out."""
    shop = Shop()
    shop.show(2, "a")
    shop.row.variants.pop()
    assert shop.visitors() == [0, 0]


@pytest.mark.parametrize("name", ["distribution", *REPORTS])
def test_unknown_experiments_are_a_404(name: str) -> None:
    """An experiment that does not exist or was deleted is a 404; an id that is no number is a 400."""
    shop = Shop()
    assert shop.call.refused(f"GET experiment/999/{name}") == (404, "Experiment not found")
    assert shop.call.refused(f"GET experiment/{'9' * 30}/{name}")[0] == 404
    assert shop.call.refused(f"GET experiment/abc/{name}") == (400, "test_id must be a number")
    shop.row.deleted = True
    assert shop.refused(name)[0] == 404


_NAMES = (
    *("start_date", "end_date", "goal_key", "goal_profile_id", "filter_by", "custom_filter", "breakdown_by", "tz"),
    *("event_attribute", "min_count", "timeframe_days", "report_phase", "metric_keys", "goal_keys", "metric_batch"),
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["criteria", "operator", "operand", "key", "value"]),
            inner | st.sampled_from(["device", "attribute", "v.uuid", "==", "=", ">", "ex", "days_gt"]),
        )
    ),
    max_leaves=8,
)
_VALUES = (
    st.text(max_size=8) | st.integers().map(str) | st.lists(st.lists(_JSON)).map(json.dumps) | _JSON.map(json.dumps)
)


def test_any_query_is_answered() -> None:
    """Whatever the query holds, a report is given or refused; its body is JSON without NaN or infinities."""
    shop = Shop("revenue")
    shop.show(0, "a")
    shop.buy("a", revenue=1)

    @settings(max_examples=150, deadline=None)
    @given(st.sampled_from(REPORTS), st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=3))
    def ask(name: str, query: dict[str, str]) -> None:
        texts: dict[str, object] = {key: value.encode("utf-8", "replace").decode() for key, value in query.items()}
        status, answer = shop.call(f"GET {shop.address(name, texts)}")
        assert status in {200, 400}
        json.dumps(answer, allow_nan=False)

    ask()
