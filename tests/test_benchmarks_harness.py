"""What the benchmarks have in common: turns, ratios and their refusal, files, the table, and the run of all scripts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import _plots
import _report
import _rounds
import _run
from _findings import Chart, Finding, Line, Result, Side, Target, number, quartiles, told
from _machine import facts, version

MACHINE: Final[dict[str, str | int | float]] = {"date": "2026-01-01", "python": "CPython 3.11", "cores": 2, "load": 0.5}
CLEAN: Final = ((100.0, 102.0, 98.0, 101.0), (50.0, 51.0, 49.5, 50.5))
NOISY: Final = ((100.0, 60.0, 120.0, 95.0), (95.0, 100.0, 80.0, 105.0))


def finding(
    ours: tuple[float, ...], theirs: tuple[float, ...] | None, target: Target | None = None, *, exact: bool = False
) -> Finding:
    """Return a finding about two sides, or one."""
    other = None if theirs is None else Side("theirs", theirs)
    return Finding(question="q", unit="events/s", ours=Side("ours", ours), theirs=other, target=target, exact=exact)


def result(*findings: Finding) -> Result:
    """Return what a script found on a machine that is always the same."""
    chart = Chart(name="c", title="t", x_label="x", y_label="y", lines=[Line("l", [1, 2], [3.0, 4.0])])
    return Result(script="some", findings=findings, charts=[chart], notes=["a note"], machine=MACHINE)


@pytest.mark.parametrize(("sides", "ratio"), [(CLEAN, 2.0), (CLEAN[::-1], 0.5)])
def test_clean_rounds_give_a_ratio(sides: tuple[tuple[float, ...], ...], ratio: float) -> None:
    """Rounds that agree on a difference have a ratio, whichever side is ahead."""
    found = finding(sides[0], sides[1])
    raw = found.as_json()
    assert found.reason() is None
    assert raw["ratio"] == pytest.approx(ratio, rel=0.02)
    assert f"ours / theirs = {number(raw['ratio'])} (" in "\n".join(told(raw))


@pytest.mark.parametrize("sides", [NOISY, NOISY[::-1]])
def test_noisy_rounds_give_none(sides: tuple[tuple[float, ...], ...]) -> None:
    """Where the rounds differ among themselves by more than the sides do, no ratio is told or written."""
    found = finding(sides[0], sides[1])
    raw = found.as_json()
    assert raw["ratio"] is None
    assert "no difference to be seen" in raw["reason"]
    assert "  no ratio: no difference to be seen" in "\n".join(told(raw))


def test_a_spread_beyond_the_difference_is_refused_on_one_side_of_1_too() -> None:
    """Ratios that are all above 1, but farther from each other than their median is from 1, give none."""
    assert finding((1.01, 1.02, 1.5, 1.6), (1.0, 1.0, 1.0, 1.0)).as_json()["ratio"] is None


def test_there_may_be_nothing_to_compare() -> None:
    """One side, one round, a zero and a missing library each have a reason of their own."""
    assert finding((1.0, 2.0), None).reason() == "nothing to compare it with"
    assert finding((1.0,), (2.0,)).reason() == "one round shows no spread"
    assert finding((1.0, 2.0), (0.0, 1.0)).reason() == "there is a 0 to divide by"
    missing = Finding(question="q", unit="u", ours=Side("ours", [1.0]), theirs=Side("theirs", missing="not there"))
    assert missing.reason() == "theirs: not there"
    assert "  theirs: not there" in told(missing.as_json())


@pytest.mark.parametrize(
    ("values", "target", "met"),
    [
        ((10.0, 11.0, 10.5), Target(">=", 9.0), True),
        ((10.0, 11.0, 10.5), Target("<=", 9.0), False),
        ((8.0, 11.0, 10.5), Target(">=", 10.0), None),
        ((10.0,), Target(">=", 9.0), None),
        ((), Target(">=", 9.0), None),
        ((10.0, 11.0), None, None),
    ],
)
def test_a_target_is_met_where_the_rounds_agree(values: tuple[float, ...], target: Target | None, met: object) -> None:
    """Both quartiles on one side of the target settle it; otherwise nothing is said."""
    assert finding(values, None, target).met() is met


def test_a_target_for_a_ratio_can_be_met_without_a_difference() -> None:
    """Sides that are as good as each other have no ratio to be told, and are better than 0.5 all the same."""
    found = finding(NOISY[0], NOISY[1], Target(">=", 0.5))
    assert (found.as_json()["ratio"], found.met()) == (None, True)
    assert finding(CLEAN[0], CLEAN[1], Target(">=", 3)).met() is False


def test_one_exact_round_is_enough() -> None:
    """What is the same in every run has a ratio and meets its target after one round."""
    raw = finding((3.0,), (2.0,), Target(">=", 1.0), exact=True).as_json()
    assert (raw["ratio"], raw["reason"], raw["met"]) == (1.5, None, True)
    assert "ours / theirs = 1.5" in "\n".join(told(raw))


def test_quartiles_lie_around_the_median() -> None:
    """Half of the values lie between them; a single value is all of them."""
    assert quartiles([1, 2, 3, 4, 5, 6, 7]) == (2, 4, 6)
    assert quartiles([5]) == (5, 5, 5)


def test_the_file_has_one_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is printed is also written, with everything that a table needs, and figures of four digits."""
    file = tmp_path / "some.json"
    result(finding((1.23456, 1.23456), (2.0, 2.0), Target(">=", 0.9))).publish(
        _rounds.Options("").read(["--json", str(file)])
    )
    raw = json.loads(file.read_text(encoding="utf-8"))
    assert set(raw) == {"schema", "script", "quick", "machine", "findings", "charts", "notes"}
    words = {"question", "unit", "rounds", "sides", "ratio", "quartiles", "reason", "target", "met"}
    assert set(raw["findings"][0]) == words
    assert raw["findings"][0]["sides"][0] == {
        "name": "ours",
        "median": 1.235,
        "quartiles": [1.235, 1.235],
        "missing": None,
    }
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "a note"
    assert out[-1] == "  target >= 0.9: NOT MET"


def test_sides_take_turns() -> None:
    """Every other round goes backwards, the first is thrown away, and a side that fails does not stop the others."""
    calls: list[str] = []

    def side(name: str) -> float:
        calls.append(name)
        if name == "broken":
            raise ZeroDivisionError
        if name == "absent":
            message = "it is not installed"
            raise _rounds.MissingError(message)
        return float(len(calls))

    names = ("a", "broken", "absent", "b")
    found = _rounds.take_rounds({name: lambda name=name: side(name) for name in names}, 2)  # type: ignore[misc]
    assert calls == ["a", "broken", "absent", "b", "b", "a", "a", "b"]
    assert found.side("a", float).values == (6.0, 7.0)
    assert found.side("broken", float) == Side("broken", missing="failed: ZeroDivisionError()")
    assert found.side("absent", float).missing == "it is not installed"


def test_sizes_are_full_quick_or_chosen() -> None:
    """What is chosen goes before what ``--quick`` says, and that before the full size."""
    options = _rounds.Options("", some_records=(1000, 10), rounds=(5, 2))
    assert options.read([]).some_records == 1000
    chosen = options.read(["--quick", "--rounds", "7"])
    assert (chosen.some_records, chosen.rounds, chosen.json) == (10, 7, None)


def test_the_machine_is_told() -> None:
    """Its processor, its load and the versions of libraries are known; so is that one is not there."""
    told_facts = facts()
    assert {"date", "python", "processor", "cores", "load", "libraries"} <= set(told_facts)
    assert version("no-such-library") == "(not installed)"


def page(folder: Path, *findings: Finding) -> str:
    """Return the page that is made of one file with these findings, of a script that failed, and of other output."""
    (folder / "some.json").write_text(json.dumps(result(*findings).as_json(quick=False)), encoding="utf-8")
    return _report.render(_report.read(folder), {"other": "boom"}, ["c.svg"], {"plain": "1 s\n", "no": ""})


def test_the_page_begins_with_the_machine(tmp_path: Path) -> None:
    """The first lines say when and where it was measured; what failed comes before all tables."""
    text = page(tmp_path, finding(*CLEAN))
    assert text.splitlines()[:5] == ["# Results", "", "- date: 2026-01-01", "- python: CPython 3.11", "- cores: 2"]
    assert text.index("- FAILED: other: boom") < text.index("## Targets")


def test_the_page_tells_the_targets_first(tmp_path: Path) -> None:
    """One table has every finding with a target: what was measured, and whether it is met, not met, or neither."""
    least, most = Target(">=", 0.9), Target("<=", 50)
    missing = Finding(
        question="m", unit="u", ours=Side("o", [1.0, 1.0]), theirs=Side("p", missing="not | there"), target=least
    )
    text = page(tmp_path, finding(*CLEAN, target=least), finding(CLEAN[0], None, most), missing, finding(*CLEAN))
    rows = [line for line in text.partition("## some")[0].splitlines() if line.startswith("|")]
    sides = "ours: 100 (98.5 to 102), theirs: 50.2 (49.6 to 50.9) events/s"
    assert "Of 3: 1 met, 1 not met, 1 no verdict." in text
    assert rows == [
        "| question | target | measured | verdict | script |",
        "| --- | --- | --- | --- | --- |",
        f"| q | >= 0.9x | 2x (1.99 to 2); {sides} | met | [some](#some) |",
        "| q | <= 50 events/s | ours: 100 (98.5 to 102) events/s | NOT MET | [some](#some) |",
        "| m | >= 0.9x | o: 1, p: not \\| there u | no verdict | [some](#some) |",
    ]


def test_the_page_says_why_there_is_no_ratio(tmp_path: Path) -> None:
    """Rounds that do not agree have their spread in the table of the targets, and one round has its reason."""
    target = Target(">=", 0.9)
    text = page(tmp_path, finding(*NOISY, target=target), finding((1.0,), (2.0,), target))
    assert "| 0.676 to 1.39x, no difference to be seen; ours: " in text
    assert "| 0.5 to 0.5x, one round shows no spread; ours: 1, theirs: 2 events/s | no verdict |" in text


def test_the_page_has_a_section_for_each_script(tmp_path: Path) -> None:
    """All findings of a script are there with its plots and its notes; what a script only printed is kept."""
    missing = Finding(question="q2", unit="u", ours=Side("ours", [1.0, 1.0]), theirs=Side("peer", missing="not there"))
    text = page(tmp_path, finding(*CLEAN, target=Target(">=", 0.9)), finding(*NOISY), missing)
    section = text.partition("## some\n\n")[2]
    rows = section.splitlines()[2:5]
    assert rows[0] == (
        "| q | events/s | ours: 100 (98.5 to 102) | theirs: 50.2 (49.6 to 50.9) | 2x (1.99 to 2) | >= 0.9: met |"
    )
    assert rows[1].endswith("| no difference to be seen: half of the rounds lie between 0.676 and 1.39 |  |")
    assert rows[2] == "| q2 | u | ours: 1 | peer: not there |  |  |"
    assert section.endswith("![c](c.svg)\n\n```text\na note\n```\n")
    assert "## plain\n\n```text\n1 s\n```\n\n## some" in text


def test_the_table_says_that_a_run_was_quick() -> None:
    """Figures of a quick run must not be taken for results."""
    assert "the figures say nothing" in _report.render([result().as_json(quick=True)], {})
    assert "the figures say nothing" not in _report.render([], {})


def test_all_scripts_are_run(tmp_path: Path) -> None:
    """A script that fails is told and stops no other; one that knows no JSON leaves its text."""
    scripts, results = tmp_path / "scripts", tmp_path / "results"
    scripts.mkdir()
    raw = json.dumps(result(finding(*CLEAN)).as_json(quick=False))
    writes = f"# Options(\nimport sys\nopen(sys.argv[sys.argv.index('--json') + 1], 'w').write({raw!r})\n"
    for name, code in {
        "broken": "print('so far')\nraise SystemExit('it broke')\n",
        "good": writes + "print('ok')\n",
        "judged": writes + "sys.exit(1)\n",
        "plain": "print('only text')\n",
        "_hidden": "1 / 0\n",
    }.items():
        (scripts / f"{name}.py").write_text(code, encoding="utf-8")
    plan = _run.Plan(scripts, results, limit=60.0)
    failures = _run.run_all(plan)
    assert failures == {"broken": "it broke"}
    assert {each.name for each in results.iterdir()} == {"broken.txt", "good.json", "judged.json", "plain.txt"}

    assert len(_run.finish(results, failures)) == 2
    text = (results / "README.md").read_text(encoding="utf-8")
    assert "- FAILED: broken: it broke" in text
    assert "## plain\n\n```text\nonly text\n```" in text


def test_what_there_is_no_time_for_is_told(tmp_path: Path) -> None:
    """A script that takes too long is stopped, and the next one is not begun."""
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "slow.py").write_text("import threading\nthreading.Event().wait()\n", encoding="utf-8")
    (scripts / "spool.py").write_text("", encoding="utf-8")
    failures = _run.run_all(_run.Plan(scripts, tmp_path / "results", limit=0.1))
    assert failures == {"slow": "stopped after 0 s: no time was left", "spool": "not run: no time was left"}


def test_slow_scripts_come_last() -> None:
    """All scripts are run, those with targets of the design first."""
    names = _run.names(Path(_run.FOLDER))
    assert {"backlog", "enqueue", "lag", "memory", "throughput"} < set(names)
    assert tuple(names[-len(_run.LAST) :]) == _run.LAST


def test_plots_need_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it no chart is drawn, and that is said; without charts it is not needed."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(_rounds.MissingError, match="matplotlib is not installed"):
        _plots.draw([result().as_json(quick=False)], tmp_path)
    assert _plots.draw([], tmp_path) == []


class Recorder:
    """Stands in for a module: takes every call, and notes it."""

    def __init__(self, calls: list[str], name: str = "") -> None:
        self.calls, self.name = calls, name
        self.rcParams: dict[str, object] = {}

    def __getattr__(self, name: str) -> Recorder:
        return Recorder(self.calls, name)

    def __call__(self, *args: object, **_given: object) -> Any:
        """Note the call."""
        self.calls.append(f"{self.name} {args[0] if args else ''}".strip())
        return (Recorder(self.calls), Recorder(self.calls)) if self.name == "subplots" else self


def test_charts_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers become lines, names become bars, and each chart is saved under its name."""
    calls: list[str] = []
    monkeypatch.setattr(_plots, "load", lambda *_names: Recorder(calls))
    bars = Chart(name="b", title="bars", x_label="", y_label="y", lines=[Line("l", ["a", "b"], [1.0, 2.0])])
    lines = (Line("l", [1, 10], [1.0, 2.0]), Line("m", [1, 10], [2.0, 3.0]))
    curves = Chart(name="k", title="curves", x_label="x", y_label="y", lines=lines, log_x=True)
    raw = Result(script="s", findings=[], charts=[bars, curves], machine=MACHINE).as_json(quick=False)
    assert _plots.draw([raw], tmp_path) == ["b.svg", "k.svg"]
    assert {"bar ('a', 'b')", "plot (1, 10)", "set_xscale log", "legend", f"savefig {tmp_path / 'k.svg'}"} <= set(calls)
