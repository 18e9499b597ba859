"""docs/delivery.md says what the code does: its diagrams, tables, numbers, names and examples."""

from __future__ import annotations

import ast
import asyncio
import enum
import inspect
import re
from itertools import pairwise
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

import attrs
import diagrams
import pytest
from core_samples import entry
from diagrams import PAGE, PARTS, breaker_diagram, described, diagram, lanes_diagram, markdown_table, notes_of
from fake_service import (
    BROKEN,
    LOST_AFTER,
    NO_LIMIT,
    UNAUTHORIZED,
    UNKNOWN_VISITOR,
    FakeService,
    Play,
    make_buffer,
    record_all,
    response,
    run,
    sleep,
)
from outcomes import SAMPLES, error_of

import mida_async
from mida_async import APIError, BufferSettings, RateLimit, RetryPolicy, TransportError, VisitorNotFoundError
from mida_async._core import breaker, folding, lane, ratelimit_headers, verdict
from mida_async._core.entry import End
from mida_async._core.pacer import Pacer
from mida_async._delivery import reporter
from mida_async.destinations import mida
from mida_async.testing import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping
    from pathlib import Path

TEXT: Final = PAGE.read_text(encoding="utf-8")
EXAMPLES: Final = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)

Arrow = tuple[str, str, str]


def arrows(mermaid: str) -> list[Arrow]:
    """Return state, signal and next state of each arrow between two states."""
    found = re.findall(r"^ *(\w+) --> (\w+): (.+)$", mermaid, re.MULTILINE)
    return [(state, signal, after) for state, after, signal in found]


def notes(mermaid: str) -> dict[str, str]:
    """Return the note beside each state that has one."""
    found = re.findall(r"^ *note right of (\w+)\n(.*?)\n *end note$", mermaid, re.MULTILINE | re.DOTALL)
    return {state: " ".join(text.split()) for state, text in found}


def of_table(table: Mapping[Any, Mapping[Any, Any]]) -> list[Arrow]:
    """Return the same of a transition table."""
    return [(state.value, signal.value, after.value) for state, row in table.items() for signal, after in row.items()]


class Door(enum.Enum):
    """A state machine that everybody knows."""

    SHUT = "shut"
    """Nobody
    comes in."""

    AJAR = "ajar"


class Push(enum.Enum):
    """What is done to it."""

    OPEN = "it is opened"
    CLOSE = "it is closed"


DOORS: Final = {Door.SHUT: {Push.OPEN: Door.AJAR}, Door.AJAR: {Push.CLOSE: Door.SHUT}}


def test_the_page_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    """Every generated part of the page is what the code has now; if not, run ``python tests/diagrams.py``."""
    assert (diagrams.main(["--check"]), capsys.readouterr().out) == (0, "")


@pytest.mark.parametrize(
    ("module", "drawn", "states", "first"),
    [(lane, lanes_diagram, lane.LaneState, "empty"), (breaker, breaker_diagram, breaker.BreakerState, "closed")],
    ids=["lanes", "breaker"],
)
def test_diagrams_show_the_whole_table(module: Any, drawn: FunctionType, states: type[enum.Enum], first: str) -> None:
    """Each state, with its note, and each transition of a table is in the page's diagram, and nothing else is."""
    (block,) = [
        block for block in re.findall(r"```mermaid\n(.*?)```", TEXT, re.DOTALL) if f"[*] --> {first}\n" in block
    ]
    assert block in drawn()

    assert arrows(block) == of_table(module.TRANSITIONS)
    assert list(notes(block)) == [state.value for state in states]
    assert all(notes(block).values())


def test_a_diagram_follows_its_table() -> None:
    """A transition that is changed, added or taken away changes the diagram."""
    before = diagram(DOORS, start=Door.SHUT, notes={})
    loop = {**DOORS, Door.AJAR: {Push.CLOSE: Door.SHUT, Push.OPEN: Door.AJAR}}

    assert arrows(before) == of_table(DOORS)
    assert arrows(diagram(loop, start=Door.SHUT, notes={})) == of_table(loop)
    assert "[*] --> ajar" in diagram(DOORS, start=Door.AJAR, notes={})


def test_notes_are_the_words_of_the_code() -> None:
    """A note holds what stands under the state in the code, broken into short lines; a state without has none."""
    long = {"AJAR": "word " * 40}

    assert notes_of(Door) == {"SHUT": "Nobody comes in."}
    assert notes(diagram(DOORS, start=Door.SHUT, notes=notes_of(Door))) == {"shut": "Nobody comes in."}
    drawn = diagram(DOORS, start=Door.SHUT, notes=long)
    assert notes(drawn) == {"ajar": long["AJAR"].strip()}
    assert max(map(len, drawn.splitlines())) < 60


def _state(words: str) -> enum.Enum:
    class Name(enum.Enum):
        ONE = words

    return Name.ONE


@pytest.mark.parametrize("words", ["in flight", "Open", "", "a-b"])
def test_names_that_mermaid_cannot_read_are_refused(words: str) -> None:
    """A state whose name is not one word is an error, not a broken diagram."""
    state = _state(words)
    with pytest.raises(ValueError, match="cannot be the name"):
        diagram({state: {}}, start=state, notes={})


@pytest.mark.parametrize("words", ["one: two", "one; two", "one\ntwo"])
def test_labels_that_mermaid_would_cut_are_refused(words: str) -> None:
    """A signal whose text would end early is an error, not a broken diagram."""
    signal = _state(words)
    with pytest.raises(ValueError, match="ends a label"):
        diagram({Door.SHUT: {signal: Door.AJAR}}, start=Door.SHUT, notes={})


def test_a_changed_part_is_seen_and_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A part that is not as the code has it fails the check, is named, and is written anew; the rest stays."""
    page = tmp_path / "page.md"
    page.write_text(TEXT.replace("closed --> open", "closed --> probing"), encoding="utf-8")

    assert diagrams.main(["--check"], page) == 1
    assert "-    closed --> probing: too many failures in a row" in capsys.readouterr().out.splitlines()
    assert diagrams.main([], page) == 0
    assert page.read_text(encoding="utf-8") == TEXT


@pytest.mark.parametrize("name", [name for name, _ in PARTS])
def test_a_part_that_is_not_there_is_an_error(name: str) -> None:
    """A page that lost a mark, or has it twice, is not up to date."""
    mark = f"<!-- generated: {name} -->"
    with pytest.raises(ValueError, match=name):
        diagrams.rendered(TEXT.replace(mark, ""))
    with pytest.raises(ValueError, match=name):
        diagrams.rendered(TEXT + f"{mark}\n<!-- end -->")


def test_descriptions_are_read_from_docstrings() -> None:
    """Names and their texts are found in a section, over several lines, and nothing where there is no such section."""

    class Example:
        """
        Show a docstring.

        Args:
            one: First line
                and second, see :class:`Example`.
            two: Short.

        Returns:
            three: Not an argument.
        """

    assert described(Example, "Args") == {"one": "First line and second, see `Example`.", "two": "Short."}
    assert described(Example, "Raises") == {}
    assert markdown_table(["a"], [["x|y"]]) == "| a |\n| --- |\n| x\\|y |"


def _leaves(cls: type[Exception]) -> Iterator[type[Exception]]:
    yield cls
    for each in cls.__subclasses__():
        yield from _leaves(each)


def test_every_way_to_fail_is_in_the_table() -> None:
    """The table of outcomes has every error that an attempt to record can end with, and every class of failure."""
    errors = [error for sample in SAMPLES if (error := error_of(sample)) is not None]
    # The plan limits other things than events, and a transport names what kind of failure it had.
    elsewhere = {mida_async.PlanLimitError, TransportError}
    known = {*_leaves(APIError), *_leaves(TransportError)} - elsewhere

    assert {type(error) for error in errors} == known
    assert {verdict.classify(error) for error in errors} == set(verdict.Failure)
    assert {getattr(error, "status", 0) for error in errors} >= verdict._REFUSALS


def test_ambiguous_outcomes_are_the_ones_that_may_apply_twice() -> None:
    """R10: at_most_once never applies an event twice, and at_least_once never loses one that may be sent again."""
    part = diagrams.marked("outcomes").findall(TEXT)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.strip().splitlines()[2:]]

    assert len(rows) == len(SAMPLES)
    for _, kind, _, often, _, seldom, _ in rows:
        ambiguous = kind == "ambiguous"
        assert seldom == ("0 or 1" if ambiguous else often)
        assert often == ("1 or 2" if ambiguous else "0" if kind == "permanent" else "1")


def _rate_used(limit: int, per: float) -> str:
    rate = Pacer([RateLimit(limit, per=per)], pacing="smooth", adaptive=False).rate()
    return f"{rate * per / limit:.1%}".replace("%", " %")


def _rate_left() -> str:
    pacer = Pacer([RateLimit(10, per=1.0)], pacing="smooth", adaptive=True)
    before = pacer.rate()
    slots = [pacer.take(1000.0) for _ in range(20)]
    pacer.refused(slots[-1], 1000.5, None)
    return f"{pacer.rate() / before:.0%}".replace("%", " %")


def _looks_for_a_visitor(count: int) -> list[int]:
    settings = BufferSettings(unknown_visitor="wait")
    rules = verdict.Rules(
        retry=RetryPolicy(),
        guarantee=settings.guarantee,
        unknown_visitor=settings.unknown_visitor,
        patience=settings.unknown_visitor_patience,
    )
    waiting, times = entry(1, "id:1"), [1000.0]
    for _ in range(count):
        error = VisitorNotFoundError("no such visitor", status=400)
        again = verdict.decide(waiting, error, rules=rules, now=times[-1], outage=False)
        assert isinstance(again, verdict.Again)
        times.append(again.due)
    return [round(later - earlier) for earlier, later in pairwise(times)]


def test_numbers_are_those_of_the_code() -> None:
    """Every number that the page names is the one in the code."""
    settings = BufferSettings()
    *steps, longest = _looks_for_a_visitor(7)
    said = [
        f"more than {mida.MAX_BODY_BYTES // 2**20} MiB encoded",
        f"is at most {mida.MAX_BODY_BYTES // 2**20} MiB long",
        f"at most {mida.MAX_ANSWER_BYTES // 2**10} KiB are read",
        f"at most every {reporter._QUIET:.0f} seconds",
        f"At most {folding._MOST_REMEMBERED:,} delivered ids",
        f"3,500 a minute at {_rate_used(3500, 60)} of the rate, 200 in 5 seconds at {_rate_used(200, 5)}",
        f"cuts the rate to {_rate_left()}",
        f"more than {ratelimit_headers.LONGEST_WAIT:,.0f} seconds is asked about again after that time",
        f"{settings.rate_limits[0].limit} a second and {settings.rate_limits[1].limit:,} a minute",
        f"After {breaker._FAILURES_TO_OPEN} of them in a row",
        f"after {breaker._FIRST_PAUSE} seconds, and the pause doubles up to {breaker._LONGEST_PAUSE:.0f} seconds",
        f"may take {breaker.PROBE_TIMEOUT:.0f} seconds at most",
        f"after {breaker._UNAUTHORIZED_TO_REJECT} refusals in a row",
        f"`unknown_visitor_patience` ({settings.unknown_visitor_patience:.0f} seconds)",
        f"after {', '.join(map(str, steps))}, then every {longest} seconds",
        f"`max_age` ({settings.max_age:,.0f} seconds, a day)",
        f"`dedupe_window` ({settings.dedupe_window:,.0f} seconds, an hour)",
    ]
    plain = " ".join(TEXT.split())

    assert [words for words in said if words not in plain] == []
    assert breaker._LONGEST_PAUSE + breaker.PROBE_TIMEOUT <= 20


def test_names_are_those_of_the_code() -> None:
    """Every error, end and log line that the page names exists, and every end but the reserved one is explained."""
    code = set(re.findall(r"`([A-Z]\w+Error)`", TEXT))
    ends = re.findall(r"^\| (\w+) \|", TEXT.split("## What becomes of a record")[1].split("##")[0], re.MULTILINE)
    source = inspect.getsource(reporter)

    assert {name for name in code if not hasattr(mida_async, name)} - {"CancelledError"} == set()
    assert [end for end in ends if end != "end"] == [end.value for end in End if end is not End.KEPT]
    for line in ("deliveries fail; from now on one request at a time asks", "the server answers again"):
        assert line in " ".join(TEXT.split())
        assert line in source


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_examples_run(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each example of the page runs against the emulator as it stands, and what it records arrives."""
    asyncio.run(_run_example(EXAMPLES[number], monkeypatch))


async def _run_example(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Emulator(project_key="project", api_key="key", auto_visitors=True) as emulator:
        settings = {"MIDA_PROJECT_KEY": "project", "MIDA_API_KEY": "key", "MIDA_BASE_URL": emulator.base_url}
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        async with mida_async.MidaClient() as client:
            names: dict[str, Any] = {"mida": client, "asyncio": asyncio}
            code = compile(example, PAGE.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            await FunctionType(code, names)()
        assert len(emulator.recorded) == 1


async def _ten_refusals() -> bool:
    service = FakeService(otherwise=Play(outcome=response(429, "slow down")))
    buffer = make_buffer(service)
    delivery = record_all(buffer, ["visitor"])[0]
    report = await buffer.flush()
    await buffer.aclose()
    return report.expired == 1 and delivery.done() and len(service.requests) == 10


async def _refusals_that_name_a_time() -> bool:
    service = FakeService(otherwise=Play(outcome=response(429, "slow down", retry_after="5")))
    buffer = make_buffer(service)
    record_all(buffer, ["visitor"])
    report = await buffer.flush(timeout=3600.0)
    await buffer.aclose(0.0)
    return report.pending == 1 and len(service.requests) > 100


async def _an_outage_uses_up_no_attempts() -> bool:
    service = FakeService(otherwise=attrs.evolve(BROKEN, applies=True))
    buffer = make_buffer(service)
    record_all(buffer, ["visitor"])
    report = await buffer.flush(timeout=3600.0)
    await buffer.aclose(0.0)
    return report.pending == 1 and len(service.applied) > 400


async def _an_ambiguous_id_is_sent_again() -> bool:
    service = FakeService(LOST_AFTER)
    buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, guarantee="at_most_once"))
    for _ in range(2):
        buffer.record_nowait("paid", id="visitor", properties={"n": 1}, unique_id="order")
        await buffer.flush()
    await buffer.aclose()
    return len(service.applied) == 2


async def _those_behind_have_waited_too() -> bool:
    service = FakeService(otherwise=UNKNOWN_VISITOR)
    buffer = make_buffer(service, settings=attrs.evolve(NO_LIMIT, unknown_visitor="wait"))
    record_all(buffer, ["visitor"] * 3)
    await sleep(200)
    record_all(buffer, ["visitor"])
    early = await buffer.flush(timeout=101.0)
    late = await buffer.flush(timeout=200.0)
    await buffer.aclose(0.0)
    return (early.rejected, early.pending, late.rejected) == (3, 1, 1)


async def _one_round_trip_rejects_all() -> bool:
    service = FakeService(otherwise=UNAUTHORIZED)
    buffer = make_buffer(service)
    record_all(buffer, map(str, range(1000)))
    report = await buffer.aclose()
    return report.rejected == 1000 and len(service.requests) == NO_LIMIT.concurrency


async def _a_link_is_forgotten() -> bool:
    service = FakeService()
    buffer = make_buffer(service)
    buffer.record_nowait("seen", id="1", email="a@example.org", properties={"n": 0})
    await buffer.flush()
    buffer.record_nowait("seen", id="1", properties={"n": 1})
    buffer.record_nowait("seen", email="a@example.org", properties={"n": 2})
    await buffer.aclose()
    return service.most_in_flight == 2


@pytest.mark.parametrize(
    ("words", "scene"),
    [
        ("a record that meets ten 429s is given up", _ten_refusals),
        ("a record that meets only those is given up by its age", _refusals_that_name_a_time),
        ("is sent one of them again every few seconds as long as that lasts", _an_outage_uses_up_no_attempts),
        ("it is sent again, and may be applied a second time", _an_ambiguous_id_is_sent_again),
        ("their time runs as well", _those_behind_have_waited_too),
        ("With several requests in flight that takes one round trip", _one_round_trip_rejects_all),
        ("Links are forgotten when nothing of the visitor is left", _a_link_is_forgotten),
    ],
    ids=lambda value: getattr(value, "__name__", "").strip("_") or None,
)
def test_what_the_page_admits_is_true(words: str, scene: Callable[[], Coroutine[Any, Any, bool]]) -> None:
    """What the page says against the buffer is what the buffer does: no more than that, and no less."""
    assert words in " ".join(TEXT.split())
    assert run(scene())
