"""Makes one table in Markdown of what the benchmarks wrote."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from _findings import VERDICTS, figure, number, spread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

HEAD: Final = ("question", "unit", "ours", "theirs", "ratio", "spread", "target", "met")
INTRODUCTION: Final = """\
# Results

Written by `make bench`. Sides take turns within one run; figures are medians of the rounds, with their quartiles in
brackets. *Ratio* is the median of ours / theirs of neighbours in time, *spread* its quartiles; where the spread is
larger than the difference no ratio is told. A target is for the ratio, or for our figure where there is nothing to
compare it with; it is *met* or *missed* where both quartiles agree."""


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
    parts = [INTRODUCTION]
    if any(each["quick"] for each in results):
        parts.append("**This was a quick run, which only shows that everything runs: the figures say nothing.**")
    parts += [_machine(results), _targets(results), _table(results, failures)]
    parts += [f"![{name.removesuffix('.svg')}]({name})" for name in plots]
    notes = {each["script"]: "\n".join(each["notes"]) for each in results if each["notes"]}
    for name, text in sorted({**notes, **{name: text for name, text in (texts or {}).items() if text.strip()}}.items()):
        parts.append(f"## {name}\n\n```text\n{text.rstrip()}\n```")
    return "\n\n".join(part for part in parts if part) + "\n"


def _machine(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the facts of the first script, and the load that there was before each of them."""
    if not results:
        return ""
    first = results[0]["machine"]
    rows = [f"- {name}: {value}" for name, value in first.items() if name != "load"]
    loads = [float(each["machine"]["load"]) for each in results]
    rows.append(f"- load at the end of each script: {min(loads):g} to {max(loads):g}")
    return "\n".join(rows)


def _targets(results: Sequence[Mapping[str, Any]]) -> str:
    verdicts = [finding["met"] for each in results for finding in each["findings"] if finding["target"] is not None]
    counts = ", ".join(f"{verdicts.count(verdict)} {VERDICTS[verdict].lower()}" for verdict in VERDICTS)
    return f"Targets: {counts}."


def _table(results: Sequence[Mapping[str, Any]], failures: Mapping[str, str]) -> str:
    rows = [HEAD, ("---",) * len(HEAD)]
    rows += [_row(finding) for each in results for finding in each["findings"]]
    blanks = ("",) * (len(HEAD) - 3)
    rows += [(name, "", f"FAILED: {problem}", *blanks) for name, problem in sorted(failures.items())]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def _row(finding: Mapping[str, Any]) -> tuple[str, ...]:
    ours, *others = finding["sides"]
    ratio = finding["ratio"]
    compared = bool(others) and all(side["median"] is not None for side in finding["sides"])
    refused = str(finding["reason"]) if compared else ""
    limits = finding["quartiles"]
    return (
        finding["question"],
        finding["unit"],
        _side(ours),
        _side(others[0]) if others else "",
        refused if ratio is None else number(ratio),
        "" if limits is None or ratio is None else spread(limits),
        finding["target"] or "",
        "" if finding["target"] is None else VERDICTS[finding["met"]],
    )


def _side(side: Mapping[str, Any]) -> str:
    return f"{side['name']}: {figure(dict(side))}"
