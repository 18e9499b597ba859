"""What is shown while events are sent, and what is counted."""

from __future__ import annotations

import io
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from mida_async import BufferStatistics
from mida_async._cli.monitor import Pulse
from mida_async._cli.progress import LiveDisplay, PlainDisplay, Snapshot, display_for, duration
from mida_async._cli.report import Report
from mida_async._cli.tally import Histogram, RateMeter, Tally
from mida_async._cli.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

_SNAPSHOT = Snapshot(delivered=1234, failed=2, waiting=5, retried=1, throttled=3, rate=99.6)


@given(st.lists(st.floats(0.001, 1e6), min_size=1), st.floats(0, 1))
def test_a_quantile_is_right_within_three_percent(values: list[float], share: float) -> None:
    """However many durations there were, it is that of the same rank."""
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    rank = next(i for i in range(1, len(values) + 1) if i >= share * len(values))
    assert histogram.quantile(share) == pytest.approx(sorted(values)[rank - 1], rel=0.03)


def test_nothing_has_no_quantile() -> None:
    """An empty histogram says so."""
    assert Histogram().quantile(0.5) is None


def test_the_rate_is_that_of_the_last_seconds() -> None:
    """What was fast long ago is forgotten."""
    meter = RateMeter()
    assert meter.update(0, 0) == 0
    assert meter.update(2, 200) == 100
    assert meter.update(4, 200) == 50
    assert meter.update(7, 200) == 0
    steady = RateMeter(60)
    assert [steady.update(now, count) for now, count in ((0, 0), (2, 200), (50, 200), (70, 200))] == [0, 100, 4, 0]


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (61.4, "1:01"), (3661, "1:01:01"), (59.6, "1:00")])
def test_durations_are_written_as_clocks_do(seconds: float, text: str) -> None:
    """Hours appear only where there are any."""
    assert duration(seconds) == text


def test_a_snapshot_says_all_in_one_line() -> None:
    """ETA and remarks stand at the end where there are any."""
    plain = "1,234 delivered · 2 failed · 100/s · 5 waiting · 1 retried · 3 x 429"
    assert _SNAPSHOT.describe() == plain
    assert attrs.evolve(_SNAPSHOT, eta=5, note="stopping").describe() == plain + " · ETA 0:05 · stopping"


def _clock(*times: float) -> Callable[[], float]:
    return iter(times).__next__


def test_without_a_terminal_a_line_comes_every_few_seconds() -> None:
    """Other updates are silent; remarks come at once and cannot forge lines."""
    file = io.StringIO()
    display = PlainDisplay(Console(file=file), _clock(0, 1, 5, 5, 7))
    display.update(_SNAPSHOT)
    assert file.getvalue() == ""
    display.update(attrs.evolve(_SNAPSHOT, share=0.5))
    display.update(_SNAPSHOT)
    display.remark("line 1: [red]\x1b[2J\nline 2: ok" + "x" * 200)
    display.close()
    first, second = file.getvalue().splitlines()
    assert first.startswith("50% · 1,234 delivered")
    assert second == r"line 1: [red]\x1b[2J\nline 2: ok" + "x" * 200


def test_on_a_terminal_the_state_is_redrawn_and_remarks_stay() -> None:
    """At the end the live part is wiped away; closing twice does no harm."""
    file = io.StringIO()
    display = display_for(Console(file=file, force_terminal=True, width=120))
    assert isinstance(display, LiveDisplay)
    for share in (None, 0.5):
        display.update(attrs.evolve(_SNAPSHOT, share=share, note="server unreachable, waiting"))
    display.remark("line 7: broken")
    display.close()
    display.close()
    shown = file.getvalue()
    assert "1,234 delivered" in shown
    assert "server unreachable" in shown
    assert "line 7: broken" in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") > 0


def test_a_pipe_gets_plain_lines() -> None:
    """No control codes in a log file."""
    assert isinstance(display_for(Console(file=io.StringIO())), PlainDisplay)


def test_an_outage_is_named() -> None:
    """By the breaker where it is open, else by the silence, and not when nothing is waited for."""
    pulse, busy = Pulse(), BufferStatistics(pending=1, in_flight=1)
    assert pulse.note(10, 5, busy) == ""
    assert pulse.note(11.9, 5, busy) == ""
    assert pulse.note(12, 5, busy) == "nothing delivered for 2 s, waiting"
    assert pulse.note(12, 5, BufferStatistics()) == ""
    assert pulse.note(12, 5, BufferStatistics(pending=1)) == "rate limit used up, waiting since 2 s"
    assert pulse.note(12, 5, BufferStatistics(pending=1, retrying=1)) == "nothing delivered for 2 s, waiting"
    assert pulse.note(12, 6, busy) == ""
    for state in ("open", "probing"):
        assert pulse.note(12, 6, attrs.evolve(busy, breaker=state)) == "server unreachable, waiting"
    assert pulse.note(12, 6, attrs.evolve(busy, breaker="recovering")) == ""


@pytest.mark.parametrize(("text", "shown"), [("é 湯", "é 湯"), ("a\tb\x1b\u202e", r"a\tb\x1b\u202e")])
def test_text_from_outside_cannot_steer_the_terminal(text: str, shown: str) -> None:
    """What is not printable is escaped."""
    assert printable(text) == shown


def _report(**changes: Any) -> Report:
    tally = Tally(lines=10, delivered=8, failed=Counter({"not JSON": 1, "ServerError": 1}), duplicates=2)
    tally.waited.add(1.0)
    report = Report(
        tally=tally,
        elapsed=2.0,
        requests=11,
        throttled=1,
        last_line=12,
        complete=True,
        total_delivered=20,
        total_failed=Counter({"not JSON": 2}),
    )
    return attrs.evolve(report, **changes)


def test_the_report_for_people_says_what_happened_and_what_to_do() -> None:
    """Failures are listed by reason."""
    text = _report().as_text()
    assert "delivered  8 of 10 lines (2 perhaps twice)" in text
    assert "failed     2 (1 not JSON, 1 ServerError)" in text
    assert "2.0 s (4 events/s)" in text
    assert "interrupted" not in text
    assert "with --resume STATE a second run can go on" in _report(signal_code=130).as_text()
    assert "--resume s.json goes on from there" in _report(signal_code=130, resume="s.json").as_text()
    assert "all runs   20 delivered, 2 failed" in _report(resume="s.json").as_text()
    assert _report(problem="it broke", signal_code=130).as_text().endswith("\nit broke")
    empty = _report(tally=Tally(left=3), elapsed=0.0).as_text()
    assert "failed     0\n" in empty
    assert "not sent   3 (kept for the next run)" in empty
    assert "waited" not in empty


def test_the_report_for_machines_has_the_same_numbers() -> None:
    """As one line of JSON."""
    content = json.loads(_report(signal_code=130).as_json())
    assert (content["delivered"], content["failed"], content["interrupted"]) == (8, 2, True)
    assert content["failed_by_reason"] == {"not JSON": 1, "ServerError": 1}
    assert content["waited"]["p99"] == pytest.approx(1.0, rel=0.03)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 1),
        ({"total_failed": Counter[str]()}, 0),
        ({"total_failed": Counter[str](), "complete": False}, 1),
        ({"total_failed": Counter[str](), "problem": "x"}, 1),
        ({"total_failed": Counter[str](), "signal_code": 143}, 143),
    ],
)
def test_the_exit_code_is_zero_only_when_all_was_delivered(changes: dict[str, Any], code: int) -> None:
    """A signal has its own."""
    assert _report(**changes).exit_code == code
