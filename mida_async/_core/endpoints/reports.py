"""The endpoints of reports."""

from __future__ import annotations

from typing import Final, cast

from ...models.report_rows import ExperimentMetrics, ExperimentTimeseries
from ...models.reports import BreakdownBy, ExperimentDistribution, ExperimentResult, ReportPhase
from ..arguments import DAY, TEXT, Field, Kind, choices, number_in_path, wholes
from ..checks import LARGEST, each, exact_text, json_text, number, refuse, text, whole
from ..filters import AND_OF_ORS_TEXT, OR_OF_ANDS_TEXT
from .base import by_name, dates_in_order, row

_EARLIEST_ZONE: Final = -12
_LATEST_ZONE: Final = 14


def _keys(field: str, value: object) -> object:
    """Return a text as it is, and a list as the JSON text that a query needs."""
    return text(field, value) if isinstance(value, str) else _key_list(field, value)


def _indexes(field: str, value: object) -> object:
    return text(field, value) if isinstance(value, str) else _index_list(field, value)


def _index(field: str, value: object) -> int:
    """Return an index; the command line gives it as text."""
    digits = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(LARGEST))
    return whole(field, int(str(value)) if digits else value, 0)


def _tokens(field: str, value: object) -> str:
    return text(field, value) if isinstance(value, str) else ",".join(_token_list(field, value))


def _hours(field: str, value: object) -> str:
    """Return the offset of a time zone as text."""
    if isinstance(value, str):
        return text(field, value)
    return f"{number(field, value, _EARLIEST_ZONE, _LATEST_ZONE):g}"


def _goal_number(field: str, value: object) -> str:
    if not isinstance(value, str):
        return str(whole(field, value, 1))
    digits = exact_text(value)
    if not (digits.isascii() and digits.isdigit()):
        allowed = "the number of a goal"
        raise refuse(field, value, allowed)
    return digits


_key_list: Final = json_text(each(text, "keys", least=1))
_index_list: Final = json_text(each(_index, "indexes from 0 on", least=1))


def _token_list(field: str, value: object) -> list[str]:
    return cast("list[str]", each(text, "filters", least=1)(field, value))


_KEYS: Final = Kind(name="texts", check=_keys, schema=TEXT.schema)
_INDEXES: Final = Kind(name="texts", check=_indexes, schema=TEXT.schema)
_TOKENS: Final = Kind(name="texts", check=_tokens, schema=TEXT.schema)
_HOURS: Final = Kind(name="text", check=_hours, schema={**TEXT.schema, "examples": ["0", "-5", "5.5"]})
_GOAL_NUMBER: Final = Kind(name="text", check=_goal_number, schema={"type": "string", "pattern": "^[0-9]+$"})

_TEST_ID: Final = number_in_path("test_id", "The experiment's number.")
_DAYS: Final = (
    Field(
        name="start_date", kind=DAY, place="query", help="The first day; the day of creation if only a last is given."
    ),
    Field(name="end_date", kind=DAY, place="query", help="The last day, inclusive; today if only a first is given."),
)
_GOAL: Final = (
    Field(
        name="goal_key",
        kind=TEXT,
        place="query",
        help="The goal to count; if none is named, the experiment's main goal, else the project's.",
    ),
    Field(name="goal_profile_id", kind=_GOAL_NUMBER, place="query", help="The goal's number instead of its key."),
)
_FILTERS: Final = (
    Field(
        name="filter_by",
        kind=_TOKENS,
        place="query",
        help="Only these visitors: mobile, desktop, new, returning, paid, search, direct, europe, country-US, ... "
        "With several, all must hold, but of countries any one.",
    ),
    Field(
        name="custom_filter",
        kind=AND_OF_ORS_TEXT,
        place="query",
        help="Only the visitors for whom this holds: an AND of ORs of conditions.",
    ),
)
_BREAKDOWN: Final = Field(
    name="breakdown_by", kind=choices(BreakdownBy), place="query", help="What to split the result by."
)
_EVENTS: Final = (
    Field(
        name="event_attribute",
        kind=OR_OF_ANDS_TEXT,
        place="query",
        help="Only the events for whose properties this holds: an OR of ANDs of conditions.",
    ),
    Field(
        name="min_count",
        kind=wholes(1),
        place="query",
        help="How many such events a visitor needs to count; 1 if not given.",
    ),
    Field(
        name="timeframe_days",
        kind=wholes(0),
        place="query",
        help="How many days after first taking part events count.",
    ),
)
_ZONE: Final = Field(
    name="tz", kind=_HOURS, place="query", help="The time zone of the days, as hours from UTC; 0 if not given."
)
_PHASE: Final = Field(
    name="report_phase",
    kind=choices(ReportPhase),
    place="query",
    help="Before a winner was served, since then, or both; before it, if one is served and nothing is said.",
)
_METRICS: Final = (
    Field(
        name="metric_keys",
        kind=_KEYS,
        place="query",
        help="The metrics to compute, as a comma list or JSON array of keys; the experiment's own if not given.",
    ),
    Field(name="goal_keys", kind=_KEYS, place="query", help="The same, where the metrics are goals."),
    Field(
        name="metric_batch",
        kind=_INDEXES,
        place="query",
        help="Which of the metrics to compute, as a list of their indexes from 0 on.",
    ),
)

ROWS: Final = by_name(
    row(
        "experiments.distribution",
        "GET P/experiment/{test_id}/distribution",
        "get-experiment-distribution",
        "Show how the visitors of an experiment are meant to be split.",
        answer=ExperimentDistribution,
        errors=(400, 404),
        fields=(_TEST_ID,),
    ),
    row(
        "experiments.result",
        "GET P/experiment/{test_id}/result",
        "get-experiment-result",
        "Show what each variant of an experiment came to.",
        answer=ExperimentResult,
        errors=(400, 404),
        fields=(_TEST_ID, *_DAYS, *_GOAL, *_FILTERS, _BREAKDOWN, *_EVENTS, _ZONE, _PHASE),
        together=dates_in_order,
    ),
    row(
        "experiments.timeseries",
        "GET P/experiment/{test_id}/timeseries",
        "get-experiment-timeseries",
        "Show what each variant of an experiment came to, day by day.",
        answer=ExperimentTimeseries,
        rows="timeseries",
        errors=(400, 404),
        fields=(_TEST_ID, *_DAYS, *_GOAL, *_FILTERS, *_EVENTS, _ZONE, _PHASE),
        together=dates_in_order,
    ),
    row(
        "experiments.metrics",
        "GET P/experiment/{test_id}/metrics",
        "get-experiment-metrics",
        "Show the further metrics of each variant of an experiment.",
        answer=ExperimentMetrics,
        rows="metrics",
        errors=(400, 404),
        fields=(_TEST_ID, *_DAYS, *_METRICS, *_FILTERS, _ZONE, _PHASE),
        together=dates_in_order,
    ),
)
