"""The reports of an experiment, against the emulator: arguments, what comes back, and errors."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from emulator_caller import TODAY
from experiment_rows import put_experiment
from resource_calls import Calls, calling

from mida_async import BadRequestError, InvalidRequestError, NotFoundError
from mida_async._core.structuring import structure
from mida_async.models import (
    AttributeCondition,
    BreakdownBy,
    Condition,
    DistributionMode,
    ExperimentDistribution,
    ExperimentMetrics,
    ExperimentResult,
    ExperimentTimeseries,
    MetricsRow,
    ReportPhase,
    ReportVariant,
    VariantStatus,
)
from mida_async.testing._emulator.experiments_state import Assignment

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mida_async.testing._emulator.experiments_state import ExperimentRow

_MOBILE = Condition("device", "==", "mobile")


async def _prepare(call: Calls, goal_type: str = "event") -> ExperimentRow:
    """Make an experiment with a goal, and three visitors of long ago: two see Control and one the first treatment."""
    goal = await call.goals.create(goal_name="Purchase", goal_type=goal_type, goal_value="Purchase")
    row = put_experiment(call.emulator, primary_goal=goal.goal_profile_id)
    project = call.emulator.state.projects[call.emulator.project_key]
    for name, variant in (("a", 0), ("b", 0), ("c", 1)):
        visitor = project.visitors.add(name, None, None)
        row.assignments[visitor] = Assignment(variant=variant, since=TODAY)
    return row


def test_what_was_recorded_is_in_the_result() -> None:
    """An application's events become conversions, in percent; each variant is found by its id."""

    async def test(call: Calls) -> None:
        row = await _prepare(call)
        for name in ("a", "c", "c"):
            await call.events.record("Purchase", mida_uuid=name)
        result = await call.mida.experiments.result(row.test_id)
        assert (result.total_visitors, result.total_conversions, result.status) == (3, 2, "live")
        assert (result.control.conversions, result.control.conversion_rate) == (1, 50.0)
        first = result.variant("1")
        assert (first.conversions, first.conversion_rate, first.improvement) == (1, 100.0, 100.0)
        assert result.control.improvement is None
        assert (first.revenue, result.total_revenue, result.serving_variant_id, result.end_date) == (None,) * 4
        assert result.selected_goal is not None
        assert result.selected_goal.goal_key == "purchase"
        with pytest.raises(KeyError, match=r"no variant 1 among \['0', '1', '2'\]"):
            result.variant(1)  # type: ignore[arg-type]

    calling(test)


def test_money_is_in_the_result_of_a_revenue_goal() -> None:
    """Revenue, orders and what follows from them are there if the goal has revenue."""

    async def test(call: Calls) -> None:
        row = await _prepare(call, "revenue")
        await call.events.record("Purchase", mida_uuid="a", properties={"revenue": 30, "currency": "USD"})
        result = await call.mida.experiments.result(row.test_id, breakdown_by=BreakdownBy.COUNTRY)
        assert (result.has_revenue, result.total_revenue, result.aov, result.rpv) == (True, 30.0, 30.0, 10.0)
        assert (result.control.revenue, result.control.rpv, result.control.currency) == (30.0, 15.0, "USD")
        (part,) = result.breakdowns
        assert (part.criteria, part.conversion_rate, part.total_orders) == ("unknown", 33.33, 1)
        assert part.variant("0").revenue == 30.0
        with pytest.raises(KeyError):
            part.variant("3")

    calling(test)


def test_a_variant_of_a_report_can_be_served() -> None:
    """The winner goes from a report into serving as it is; phases then lie before and after."""

    async def test(call: Calls) -> None:
        row = await _prepare(call)
        experiments = call.mida.experiments
        winner = (await experiments.distribution(row.test_id)).variant("1")
        assert isinstance(winner, ReportVariant)
        await experiments.serve_winner(row.test_id, winner)
        result = await experiments.result(row.test_id)
        assert (result.is_serving, result.serving_variant_id, result.report_phase) == (
            True,
            "1",
            ReportPhase.PRE_DEPLOY,
        )
        later = await experiments.result(row.test_id, report_phase=ReportPhase.POST_DEPLOY)
        assert (result.total_visitors, later.total_visitors) == (3, 0)

    calling(test)


def test_a_distribution_has_weights() -> None:
    """The split, the mode and whether a variant is paused are typed; the control is found by its id."""

    async def test(call: Calls) -> None:
        row = put_experiment(call.emulator, configuration={"distribution": {"Control": 1, "Variant 1": 3}})
        report = await call.mida.experiments.distribution(row.test_id)
        assert (report.distribution_mode, report.status, report.is_mab) == (DistributionMode.CUSTOM, "live", False)
        assert [variant.traffic_weight for variant in report.variants] == [25.0, 75.0, 0.0]
        assert report.variant("2").variant_status is VariantStatus.PAUSED
        with pytest.raises(KeyError, match="no variant '9'"):
            report.variant("9")

    calling(test)


def test_a_timeseries_has_the_days_of_each_variant() -> None:
    """Rows are found by variant; the goal and the days that were put in are there."""

    async def test(call: Calls) -> None:
        row = await _prepare(call)
        await call.events.record("Purchase", mida_uuid="a")
        report = await call.mida.experiments.timeseries(row.test_id, end_date=dt.date(2024, 1, 20), min_count=1)
        assert (report.count, report.query_end_date, report.effective_start_date) == (3, "2024-01-20", "2024-01-15")
        assert report.goal is not None
        assert report.goal.is_primary is True
        (day,) = report.rows_of("0")
        assert (day.visitors, day.converted, day.conversion, day.revenue) == (2, 0, 0.0, None)
        assert day.created_at == dt.datetime(2024, 1, 15, tzinfo=dt.UTC)
        assert report.rows_of("9") == ()

    calling(test)


def test_metrics_are_counted_from_0_everywhere() -> None:
    """``metric_batch=[1]``, ``metric_definitions[1]`` and ``results[1]`` are the same metric: nobody adds 1."""

    async def test(call: Calls) -> None:
        row = await _prepare(call)
        for name in ("Sign up", "Pay"):
            goal = await call.goals.create(goal_name=name, goal_type="event", goal_value=name)
            row.secondary_goals.append(goal.goal_profile_id)
        await call.events.record("Pay", mida_uuid="c")
        everything = await call.mida.experiments.metrics(row.test_id)
        assert [metric.name for metric in everything.metric_definitions] == ["Sign up", "Pay"]
        assert [each.results for each in everything.metrics] == [(0, 0), (0, 1), (0, 0)]
        one = await call.mida.experiments.metrics(row.test_id, metric_batch=[1])
        assert one.metric_definitions[1].name == "Pay"
        assert one.variant("1").results == (None, 1)
        assert (one.variant("1").total, one.variant("1").extra) == (1, {"result_2": 1})
        some = await call.mida.experiments.metrics(row.test_id, goal_keys=["pay", "none"])
        assert ([metric.metric_key for metric in some.metric_definitions], len(some.warnings)) == (["pay"], 1)
        with pytest.raises(KeyError):
            one.variant("9")

    calling(test)


@pytest.mark.parametrize(
    ("extra", "results"),
    [
        ({}, ()),
        ({"result_1": 40, "result_2": 2.5}, (40.0, 2.5)),
        ({"result_2": "7", "result_1": None}, (None, 7.0)),
        ({"result_3": 1}, (None, None, 1.0)),
        ({"result_1": "x", "result_2": True, "result_3": [1]}, (None, None, None)),
        ({"result_1": 10**400}, (None,)),
        ({"result_0": 1, "result_01": 1, "result_x": 1, "result_1000": 1, "the_result_1": 1, "result_1_": 1}, ()),
        ({"result_\u0661": 1, "result_999999999999": 1}, ()),
    ],
)
def test_results_follow_the_columns(extra: dict[str, object], results: tuple[float | None, ...]) -> None:
    """``result_N`` is at N - 1, gaps are None, what is no number is None, and no column makes a huge tuple."""
    row = structure({"variant_id": "0", "total": 5, **extra}, MetricsRow)
    assert row.results == results
    assert row.extra == extra


def test_variant_ids_are_text_everywhere() -> None:
    """A number for an id, as another page shows it, is read as text, so that "0" is Control in all four reports."""
    rows = [{"variant_id": 0}, {"variant_id": "1"}]
    result = structure({"variants": rows, "breakdowns": [{"variants": rows}]}, ExperimentResult)
    assert (result.control.variant_id, result.breakdowns[0].variants[0].variant_id) == ("0", "0")
    assert structure({"variants": rows}, ExperimentDistribution).variant("0").variant_id == "0"
    assert structure({"timeseries": rows}, ExperimentTimeseries).rows_of("0")[0].variant_id == "0"
    assert structure({"metrics": rows}, ExperimentMetrics).variant("0").variant_id == "0"


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        ({"status": "live", "status_code": 1}, "live", 1),
        ({"status": 1}, "live", 1),
        ({"status": "draft"}, "draft", 9),
        ({"status": 0, "status_code": None}, "inactive", 0),
        ({"status": 3}, "3", None),
        ({"status": "archived", "status_code": 4}, "archived", 4),
        ({"status": None}, None, None),
        ({}, None, None),
    ],
)
def test_a_status_is_a_label_or_a_number(answer: dict[str, object], status: str | None, code: int | None) -> None:
    """Both forms of the pages give the same label and number; unknown ones pass."""
    result = structure(answer, ExperimentResult)
    assert (result.status, result.status_code) == (status, code)
    assert structure(answer, ExperimentDistribution).status == status


def test_absent_and_null_are_alike() -> None:
    """A report with every field null is the one with every field left out, but for what was not documented."""
    everything: dict[str, Any] = {
        "serving_variant_id": None,
        "end_date": None,
        "primary_goal": None,
        "currency": None,
        "variants": None,
        "breakdowns": None,
        "is_mab": None,
    }
    assert structure(everything, ExperimentResult) == structure({}, ExperimentResult) == ExperimentResult()
    with pytest.raises(KeyError, match=r"no variant '0' among \[\]"):
        _ = ExperimentResult().control


def test_lists_may_be_given_in_either_form() -> None:
    """Lists go out as the text that the API takes, and text of one's own goes out as it is."""

    async def test(call: Calls) -> None:
        row = put_experiment(call.emulator)
        experiments = call.mida.experiments

        async def sent(made: Awaitable[object]) -> dict[str, list[str]]:
            await made
            return parse_qs(call.emulator.requests[-1].query_string)

        lists = experiments.metrics(
            row.test_id, metric_keys=("a", "b,c"), goal_keys=["d"], metric_batch=(0, 2), filter_by=("mobile", "new")
        )
        assert await sent(lists) == {
            "metric_keys": ['["a","b,c"]'],
            "goal_keys": ['["d"]'],
            "metric_batch": ["[0,2]"],
            "filter_by": ["mobile,new"],
        }
        texts = experiments.metrics(
            row.test_id, metric_keys="a,b", goal_keys='["d"]', metric_batch="0,2", filter_by="mobile"
        )
        assert await sent(texts) == {
            "metric_keys": ["a,b"],
            "goal_keys": ['["d"]'],
            "metric_batch": ["0,2"],
            "filter_by": ["mobile"],
        }
        assert await sent(experiments.metrics(row.test_id, metric_batch=["1"])) == {"metric_batch": ["[1]"]}  # type: ignore[list-item]

    calling(test)


@pytest.mark.parametrize(
    ("given", "sent"),
    [(0, "0"), (-5, "-5"), (5.5, "5.5"), (5.0, "5"), (14, "14"), ("-3", "-3")],
)
def test_time_zones_are_hours(given: float | str, sent: str) -> None:
    """The offset goes out as text, without a needless fraction."""

    async def test(call: Calls) -> None:
        row = put_experiment(call.emulator)
        await call.mida.experiments.result(row.test_id, tz=given)
        assert call.sent[-1] == f"GET /experiment/{row.test_id}/result?tz={sent}"

    calling(test)


def test_days_and_goals_may_be_given_in_either_form() -> None:
    """A day is a date or its text, the number of a goal a number or its text; one day is a period, too."""

    async def test(call: Calls) -> None:
        row = await _prepare(call)
        for number in (row.primary_goal, str(row.primary_goal)):
            for day in (dt.date(2024, 1, 15), dt.datetime(2024, 1, 15, 23, tzinfo=dt.UTC), "2024-01-15"):
                result = await call.mida.experiments.result(
                    row.test_id, start_date=day, end_date=day, goal_profile_id=number
                )
                assert result.total_visitors == 3
                query = f"start_date=2024-01-15&end_date=2024-01-15&goal_profile_id={row.primary_goal}"
                assert call.sent[-1] == f"GET /experiment/{row.test_id}/result?{query}"

    calling(test)


def test_nothing_is_sent_that_was_not_given() -> None:
    """Without arguments the query is empty: the defaults are the server's."""

    async def test(call: Calls) -> None:
        number = put_experiment(call.emulator).test_id
        experiments = call.mida.experiments
        for made in (experiments.result(number), experiments.timeseries(number), experiments.metrics(number)):
            await made
        assert call.sent == [f"GET /experiment/{number}/{name}" for name in ("result", "timeseries", "metrics")]

    calling(test)


def test_the_server_s_refusals_are_typed() -> None:
    """An unknown experiment is NotFoundError, and what the server does not support BadRequestError."""

    async def test(call: Calls) -> None:
        row = put_experiment(call.emulator)
        experiments = call.mida.experiments
        missing = (experiments.distribution, experiments.result, experiments.timeseries, experiments.metrics)
        for report in missing:
            with pytest.raises(NotFoundError, match="Experiment not found"):
                await report(999)
        with pytest.raises(BadRequestError, match="breakdown_by must be one of device"):
            await experiments.result(row.test_id, breakdown_by="weather")
        with pytest.raises(BadRequestError, match="custom_filter is malformed"):
            await experiments.result(row.test_id, custom_filter=Condition("weather", "==", "sunny"))

    calling(test)


def _result(**arguments: Any) -> Callable[[Calls], Awaitable[object]]:
    return lambda call: call.mida.experiments.result(1, **arguments)


def _metrics(**arguments: Any) -> Callable[[Calls], Awaitable[object]]:
    return lambda call: call.mida.experiments.metrics(1, **arguments)


_REVERSED = "end_date is 2024-01-01; it must not be before start_date, which is 2024-01-02"
_REVERSED_DAYS: dict[str, Any] = {"start_date": "2024-01-02", "end_date": dt.date(2024, 1, 1)}
_BAD: list[tuple[str, Callable[[Calls], Awaitable[object]]]] = [
    ("test_id is 0; it must be", lambda call: call.mida.experiments.distribution(0)),
    ("test_id is '1'; it must be", lambda call: call.mida.experiments.result("1")),  # type: ignore[arg-type]
    (_REVERSED, _result(**_REVERSED_DAYS)),
    (_REVERSED, _metrics(**_REVERSED_DAYS)),
    (_REVERSED, lambda call: call.mida.experiments.timeseries(1, **_REVERSED_DAYS)),
    ("start_date is '2024-1-2'", _result(start_date="2024-1-2", end_date="2024-01-03")),
    ("end_date is 20240103", _result(start_date="2024-01-02", end_date=20240103)),
    ("end_date is 'today'", _result(end_date="today")),
    ("goal_key is ''", _result(goal_key="")),
    ("goal_profile_id is 0", _result(goal_profile_id=0)),
    ("goal_profile_id is True", _result(goal_profile_id=True)),
    ("goal_profile_id is 'purchase'; it must be the number of a goal", _result(goal_profile_id="purchase")),
    (r"filter_by is \[\]|filter_by has 0 items", _result(filter_by=[])),
    (r"filter_by\[1\] is 7", _result(filter_by=["mobile", 7])),
    ("filter_by is {'mobile'}", _result(filter_by={"mobile"})),
    ("breakdown_by is 7", _result(breakdown_by=7)),
    ("custom_filter.*an AND of ORs", _result(custom_filter=[_MOBILE])),
    ("custom_filter.*an AND of ORs", _result(custom_filter='[{"criteria":"device","operator":"=="}]')),
    ("custom_filter.*Condition", _result(custom_filter=AttributeCondition("a", "=", 1))),
    ("event_attribute.*an OR of ANDs", _result(event_attribute=[AttributeCondition("a", "=", 1)])),
    ("event_attribute.*AttributeCondition", _result(event_attribute=_MOBILE)),
    ("min_count is 0", _result(min_count=0)),
    ("timeframe_days is -1", _result(timeframe_days=-1)),
    ("tz is 15; it must be a number from -12 to 14", _result(tz=15)),
    ("tz is ''", _result(tz="")),
    ("tz is True", _result(tz=True)),
    ("report_phase is ''", _result(report_phase="")),
    ("metric_keys has 0 items", _metrics(metric_keys=[])),
    ("goal_keys is ''", _metrics(goal_keys="")),
    (r"metric_batch\[0\] is -1", _metrics(metric_batch=[-1])),
    (r"metric_batch\[0\] is True", _metrics(metric_batch=[True])),
    (r"metric_batch\[0\] is 'one'", _metrics(metric_batch=["one"])),
    ("metric_batch is 1;", _metrics(metric_batch=1)),
    ("goal_key: half of a surrogate", _result(goal_key="\udc00")),
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
