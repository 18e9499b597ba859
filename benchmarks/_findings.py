"""
What the benchmarks say, and what they refuse to say.

A *finding* answers one question. Where two sides were measured, each round gives the ratio of neighbours in time, and
the median of these ratios is told only if it is farther from 1 than the ratios are from each other: half of them lie
between the quartiles, and where that spread is larger than the difference, there is none to be told. Whether a target
is met is said only where both quartiles agree on it.
"""

from __future__ import annotations

import json
import operator
import statistics
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

import attrs
from _machine import Facts, facts

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

SCHEMA: Final = 1
ONE_ROUND: Final = "one round shows no spread"


def quartiles(values: Iterable[float]) -> tuple[float, float, float]:
    """Return the lower quartile, the median and the upper quartile; a single value is all three."""
    found = list(values)
    if len(found) == 1:
        return found[0], found[0], found[0]
    low, middle, high = statistics.quantiles(found, n=4)
    return low, middle, high


@attrs.frozen
class Side:
    """
    What was measured of one side, once a round.

    Attributes:
        name: What it is.
        values: One for each round, in the order of the rounds.
        missing: Why there are none, such as that a library is not installed.
    """

    name: str
    values: tuple[float, ...] = attrs.field(default=(), converter=tuple[float, ...])
    missing: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it for the file."""
        low, middle, high = quartiles(self.values) if self.values else (None, None, None)
        return {
            "name": self.name,
            "median": _rounded(middle),
            "quartiles": None if low is None else [_rounded(low), _rounded(high)],
            "missing": self.missing,
        }


@attrs.frozen
class Target:
    """What a figure is to be: at least, or at most, so much."""

    sign: Literal[">=", "<="]
    value: float

    def met(self, value: float) -> bool:
        """Say whether *value* is as it is to be."""
        return bool({">=": operator.ge, "<=": operator.le}[self.sign](value, self.value))

    def __str__(self) -> str:
        return f"{self.sign} {self.value:g}"


@attrs.frozen(kw_only=True)
class Finding:
    """
    The answer to one question.

    Attributes:
        question: What is asked.
        unit: Of the figures of both sides.
        ours: Our side.
        theirs: What it is compared with, if with anything.
        target: What the ratio of ours to theirs is to be, or our figure where there is nothing to compare it with.
        exact: Whether one round is enough: the figures of a simulation are the same in every run, and what is asked of
            a long run is asked of all of it.
    """

    question: str
    unit: str
    ours: Side
    theirs: Side | None = None
    target: Target | None = None
    exact: bool = False

    @property
    def rounds(self) -> int:
        """How many rounds count."""
        return len(self.ours.values) if self.theirs is None else min(len(self.ours.values), len(self.theirs.values))

    def ratios(self) -> list[float]:
        """Return the ratio of ours to theirs for each round; none where there are none."""
        theirs = () if self.theirs is None else self.theirs.values
        pairs = list(zip(self.ours.values, theirs, strict=False))
        return [mine / other for mine, other in pairs] if all(other for _, other in pairs) else []

    def reason(self) -> str | None:
        """Return why no ratio is told; None where one is."""
        if self.theirs is None:
            return "nothing to compare it with"
        missing = [f"{side.name}: {side.missing}" for side in (self.ours, self.theirs) if side.missing is not None]
        if missing:
            return "; ".join(missing)
        ratios = self.ratios()
        if not ratios:
            return "there is a 0 to divide by"
        if len(ratios) == 1:
            return None if self.exact else ONE_ROUND
        low, ratio, high = quartiles(ratios)
        if high - low > abs(ratio - 1):
            return f"no difference to be seen: half of the rounds lie between {low:.3g} and {high:.3g}"
        return None

    def met(self) -> bool | None:
        """Say whether the target is met; None where there is no target, or where the rounds do not agree."""
        judged = list(self.ours.values) if self.theirs is None else self.ratios()
        if self.target is None or not judged or (len(judged) == 1 and not self.exact):
            return None
        low, _, high = quartiles(judged)
        verdicts = {self.target.met(low), self.target.met(high)}
        return verdicts.pop() if len(verdicts) == 1 else None

    def as_json(self) -> dict[str, Any]:
        """Return it for the file: one form for all scripts."""
        ratios, reason = self.ratios(), self.reason()
        low, ratio, high = quartiles(ratios) if ratios else (None, None, None)
        return {
            "question": self.question,
            "unit": self.unit,
            "rounds": self.rounds,
            "sides": [side.as_json() for side in (self.ours, self.theirs) if side is not None],
            "ratio": None if reason else _rounded(ratio),
            "quartiles": None if low is None else [_rounded(low), _rounded(high)],
            "reason": reason,
            "target": None if self.target is None else str(self.target),
            "met": self.met(),
        }


@attrs.frozen
class Line:
    """One line of a chart, or the one set of bars of a chart whose ``x`` are names."""

    name: str
    x: tuple[float | str, ...] = attrs.field(converter=tuple[float | str, ...])
    y: tuple[float, ...] = attrs.field(converter=tuple[float, ...])


@attrs.frozen(kw_only=True)
class Chart:
    """What is to be drawn; the file is named like the chart."""

    name: str
    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...] = attrs.field(converter=tuple[Line, ...])
    log_x: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return it for the file."""
        raw: dict[str, Any] = attrs.asdict(self)
        for line in raw["lines"]:
            line["y"] = list(map(_rounded, line["y"]))
        return raw


@attrs.frozen(kw_only=True)
class Result:
    """
    All that one script has found out.

    Attributes:
        script: Its name, without ``.py``.
        findings: The answers to its questions.
        charts: What is to be drawn.
        notes: What else is to be known, in lines.
        machine: What it was measured on.
    """

    script: str
    findings: tuple[Finding, ...] = attrs.field(converter=tuple[Finding, ...])
    charts: tuple[Chart, ...] = attrs.field(default=(), converter=tuple[Chart, ...])
    notes: tuple[str, ...] = attrs.field(default=(), converter=tuple[str, ...])
    machine: Facts = attrs.field(factory=facts)

    def as_json(self, *, quick: bool) -> dict[str, Any]:
        """Return it for the file."""
        return {
            "schema": SCHEMA,
            "script": self.script,
            "quick": quick,
            "machine": self.machine,
            "findings": [each.as_json() for each in self.findings],
            "charts": [each.as_json() for each in self.charts],
            "notes": list(self.notes),
        }

    def publish(self, chosen: argparse.Namespace) -> None:
        """Print it, and write it to the file that was chosen, if one was."""
        raw = self.as_json(quick=chosen.quick)
        for note in self.notes:
            print(note)
        for finding in raw["findings"]:
            print("\n".join(told(finding)))
        if chosen.json is not None:
            text = json.dumps(raw, indent=1, ensure_ascii=False)
            Path(chosen.json).write_text(text + "\n", encoding="utf-8")


def told(finding: dict[str, Any]) -> list[str]:
    """Return a finding, as it is in the file, in lines for the terminal."""
    lines = [f"{finding['question']} ({finding['unit']}; rounds: {finding['rounds']})"]
    lines += [f"  {side['name']}: {figure(side)}" for side in finding["sides"]]
    if finding["ratio"] is not None:
        names = " / ".join(side["name"] for side in finding["sides"])
        lines.append(f"  {names} = {number(finding['ratio'])}{_around(finding['quartiles'])}")
    elif len(finding["sides"]) > 1:
        lines.append(f"  no ratio: {finding['reason']}")
    if finding["target"] is not None:
        lines.append(f"  target {finding['target']}: {VERDICTS[finding['met']]}")
    return lines


VERDICTS: Final = MappingProxyType({True: "met", False: "NOT MET", None: "no verdict"})


def figure(side: dict[str, Any]) -> str:
    """Return the median of a side, as it is in the file, and its spread."""
    if side["median"] is None:
        return str(side["missing"] or "not measured")
    return number(side["median"]) + _around(side["quartiles"])


def _around(limits: list[float]) -> str:
    return f" ({spread(limits)})" if limits[0] != limits[1] else ""


def spread(limits: Iterable[float]) -> str:
    """Return what lies between two quartiles, as text."""
    return " to ".join(map(number, limits))


def number(value: float) -> str:
    """Return a number with as many digits as say something."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
