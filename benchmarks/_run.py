"""
Runs every benchmark, one after the other, and writes ``benchmarks/results/``: JSON, a table, and plots.

``make bench`` starts it with the interpreter of an environment in which the other libraries are installed. A script
that fails, or for which no time is left, is told in the table and stops no other.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
from _plots import draw
from _report import read, render

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER: Final = Path(__file__).resolve().parent

# Where time is short, these come last: they have no targets of their own, or others measure the same.
LAST: Final = ("klaviyo_rate", "pacer", "soak", "spool")


@attrs.frozen
class Plan:
    """
    What is to be run.

    Attributes:
        scripts: The folder of the scripts.
        results: Where results go.
        limit: Seconds for all of it.
        quick: Whether the scripts only show that they run.
    """

    scripts: Path
    results: Path
    limit: float
    quick: bool = False


def names(scripts: Path) -> list[str]:
    """Return the names of the scripts in the order in which they run."""
    found = sorted(each.stem for each in scripts.glob("[!_]*.py"))
    return [*(name for name in found if name not in LAST), *(name for name in LAST if name in found)]


def run(plan: Plan, name: str, seconds: float) -> str | None:
    """
    Run one script; return what went wrong, if anything did.

    A script that does not know ``--json`` leaves what it prints instead.
    """
    script, out = plan.scripts / f"{name}.py", plan.results / f"{name}.json"
    knows = "Options(" in script.read_text(encoding="utf-8")
    command = [sys.executable, str(script), *(["--json", str(out)] if knows else [])]
    command += ["--quick"] if knows and plan.quick else []
    # Files rather than pipes: what a script has left running must not keep this one waiting.
    with (plan.results / f"{name}.txt").open("w+", encoding="utf-8") as printed:
        try:
            done = subprocess.run(  # noqa: S603  our own scripts
                command, stdout=printed, stderr=subprocess.STDOUT, timeout=max(seconds, 1.0), check=False
            )
        except subprocess.TimeoutExpired:
            return f"stopped after {seconds:.0f} s: no time was left"
        printed.seek(0)
        text = printed.read()
    print(text, end="", flush=True)
    if knows and out.exists():  # what it printed is in there
        (plan.results / f"{name}.txt").unlink()
    if done.returncode == 0 or out.exists():  # a soak that is not all well says so in its findings, too
        return None
    return (text.strip().splitlines() or [f"exit code {done.returncode}"])[-1]


def run_all(plan: Plan) -> dict[str, str]:
    """Run all scripts; return what went wrong, by their names."""
    shutil.rmtree(plan.results, ignore_errors=True)
    plan.results.mkdir(parents=True)
    began, failures = time.monotonic(), dict[str, str]()
    for name in names(plan.scripts):
        passed = time.monotonic() - began
        print(f"== {name} ({passed:.0f} s)", flush=True)
        if passed > plan.limit:
            failures[name] = "not run: no time was left"
            continue
        problem = run(plan, name, plan.limit - passed)
        if problem is not None:
            failures[name] = problem
            print(f"FAILED: {problem}", flush=True)
    print(f"== all of it took {time.monotonic() - began:.0f} s", flush=True)
    return failures


def finish(results: Path, failures: dict[str, str]) -> list[dict[str, Any]]:
    """Write the plots and the table from the files in *results*; return what is in these files."""
    found = read(results)
    try:
        plots = draw(found, results)
    except Exception as error:  # noqa: BLE001 - without plots there is still the table
        plots, failures = [], {**failures, "plots": f"not drawn: {error}"}
    texts = {each.stem: each.read_text(encoding="utf-8") for each in sorted(results.glob("*.txt"))}
    (results / "README.md").write_text(render(found, failures, plots, texts), encoding="utf-8")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and write all of it; the exit code is 1 where a script failed."""
    parser = argparse.ArgumentParser(description="Run every benchmark.")
    parser.add_argument("--quick", action="store_true", help="only show that the scripts run")
    parser.add_argument("--limit", type=float, default=590.0, help="seconds for all of it")
    parser.add_argument("--results", type=Path, default=FOLDER / "results")
    parser.add_argument("--scripts", type=Path, default=FOLDER)
    chosen = parser.parse_args(arguments)
    plan = Plan(chosen.scripts, chosen.results, chosen.limit, chosen.quick)
    os.environ["PYTHONHASHSEED"] = "0"  # what is hashed must not make one round slower than another
    failures = run_all(plan)
    finish(plan.results, failures)
    print(f"written: {plan.results / 'README.md'}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
