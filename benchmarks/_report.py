"""Makes one page in Markdown of what the benchmarks wrote: the targets first, then a section for each script."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from _findings import VERDICTS, figure, number, spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

TARGETS: Final = ("question", "target", "measured", "verdict", "script")
FINDINGS: Final = ("question", "unit", "measured", "beside", "ratio", "target")
QUICK: Final = "**This was a quick run, which only shows that everything runs: the figures say nothing.**"
LEGEND: Final = """\
Written by `make bench`. Sides take turns within one run; figures are medians of the rounds, with their quartiles in
brackets. A *ratio* (x) is the median of the ratios of neighbours in time; where half of these are farther from each
other than their median is from 1, none is told. A target is for the ratio, or for the figure where there is nothing to
compare it with. It is met, or not met, where both quartiles say so; otherwise there is no verdict."""


def read(results: Path) -> list[dict[str, Any]]:
    """Return what is in the JSON files of a folder, by the names of the scripts."""
    found = [json.loads(each.read_text(encoding="utf-8")) for each in sorted(results.glob("*.json"))]
    return sorted(found, key=lambda each: str(each["script"]))


def render(
    results: Sequence[Mapping[str, Any]],
    failures: Mapping[str, str],
    plots: Sequence[str] = (),
    texts: Mapping[str, str] | None = None,
) -> str:
    """
    Return the whole text.

    Args:
        results: What is in the JSON files.
        failures: What went wrong, by the names of the scripts.
        plots: The files of the plots.
        texts: What scripts without JSON printed.
    """
    quick = QUICK if any(each["quick"] for each in results) else ""
    failed = "\n".join(f"- FAILED: {name}: {problem}" for name, problem in sorted(failures.items()))
    parts = ["# Results", _machine(results), quick, LEGEND, failed, _targets(results)]
    sections = {each["script"]: _section(each, plots) for each in results}
    for name, text in (texts or {}).items():
        if text.strip():
            sections[name] = "\n\n".join(filter(None, (sections.get(name), _verbatim(text))))
    parts += [f"## {name}\n\n{section}" for name, section in sorted(sections.items())]
    return "\n\n".join(filter(None, parts)) + "\n"


def _machine(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the facts of the first script, when all of them were measured, and the load that there was."""
    if not results:
        return ""
    machines = [each["machine"] for each in results]
    dates, loads = [each["date"] for each in machines], [float(each["load"]) for each in machines]
    rows = [f"- date: {min(dates)}" + f" to {max(dates)}" * (len(set(dates)) > 1)]
    rows += [f"- {name}: {value}" for name, value in machines[0].items() if name not in {"date", "load"}]
    rows.append(f"- load at the end of each script: {min(loads):g} to {max(loads):g}")
    return "\n".join(rows)


def _targets(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the table that answers what most readers come for."""
    judged = [(each["script"], finding) for each in results for finding in each["findings"] if finding["target"]]
    verdicts = [finding["met"] for _, finding in judged]
    counts = ", ".join(f"{verdicts.count(verdict)} {name.lower()}" for verdict, name in VERDICTS.items())
    rows = [
        (
            finding["question"],
            _target(finding),
            _measured(finding),
            VERDICTS[finding["met"]],
            f"[{script}](#{script})",
        )
        for script, finding in judged
    ]
    return "\n\n".join(["## Targets", f"Of {len(judged)}: {counts}.", *([_table(TARGETS, rows)] if rows else [])])


def _target(finding: Mapping[str, Any]) -> str:
    """Return a target with its unit: ``x`` where it is for the ratio."""
    return f"{finding['target']}x" if len(finding["sides"]) > 1 else f"{finding['target']} {finding['unit']}"


def _measured(finding: Mapping[str, Any]) -> str:
    """Return what is to be held against the target, and of what it is the ratio."""
    ours, *others = finding["sides"]
    if not others:
        return f"{_side(ours)} {finding['unit']}"
    sides = f"{_side(ours)}, {_side(others[0])} {finding['unit']}"
    limits = finding["quartiles"]
    if finding["ratio"] is not None:
        return f"{_ratio(finding)}; {sides}"
    why = str(finding["reason"]).partition(":")[0]
    return sides if limits is None else f"{spread(limits)}x, {why}; {sides}"


def _section(result: Mapping[str, Any], plots: Sequence[str]) -> str:
    """Return all findings of one script, its plots and its notes."""
    charts = [chart["name"] for chart in result["charts"] if f"{chart['name']}.svg" in plots]
    parts = [_table(FINDINGS, map(_row, result["findings"])) if result["findings"] else ""]
    parts += [f"![{name}]({name}.svg)" for name in charts]
    parts += [_verbatim("\n".join(result["notes"]))] if result["notes"] else []
    return "\n\n".join(filter(None, parts))


def _row(finding: Mapping[str, Any]) -> tuple[str, ...]:
    ours, *others = finding["sides"]
    compared = bool(others) and all(side["median"] is not None for side in finding["sides"])
    refused = str(finding["reason"]) if compared else ""
    return (
        finding["question"],
        finding["unit"],
        _side(ours),
        _side(others[0]) if others else "",
        refused if finding["ratio"] is None else _ratio(finding),
        f"{finding['target']}: {VERDICTS[finding['met']]}" if finding["target"] else "",
    )


def _side(side: Mapping[str, Any]) -> str:
    return f"{side['name']}: {figure(dict(side))}"


def _ratio(finding: Mapping[str, Any]) -> str:
    limits = finding["quartiles"]
    around = "" if limits[0] == limits[1] else f" ({spread(limits)})"
    return f"{number(finding['ratio'])}x{around}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _verbatim(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```"
