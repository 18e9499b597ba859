"""How the benchmarks measure: sizes from the command line, sides that take turns, and processes of their own."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs
from _findings import Side

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

T = TypeVar("T")


class MissingError(Exception):
    """Something cannot be measured here, and says why."""


def load(module: str, distribution: str) -> Any:
    """
    Return a module of another library. It has no types here, because nothing but ``make bench`` installs it.

    Raises:
        MissingError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        message = f"{distribution} is not installed ({error})"
        raise MissingError(message) from error


class Options(argparse.ArgumentParser):
    """
    The command line of a script: its sizes, ``--quick`` for small ones, and ``--json``.

    Args:
        description: What the script is for.
        sizes: For each size its full and its quick value.
    """

    def __init__(self, description: str, **sizes: tuple[float, float]) -> None:
        super().__init__(description=description)
        self._sizes = sizes
        for name, (full, quick) in sizes.items():
            told = f"{full:,}, or {quick:,} with --quick"
            self.add_argument("--" + name.replace("_", "-"), type=type(full), help=told)
        self.add_argument("--quick", action="store_true", help="only show that it runs; the figures say nothing")
        self.add_argument("--json", type=Path, metavar="FILE", help="write the findings there")

    def read(self, arguments: Sequence[str] | None) -> argparse.Namespace:
        """Read the command line, and fill in what was not chosen."""
        logging.getLogger("mida_async").addHandler(logging.NullHandler())  # what is abandoned here is meant to be
        chosen = self.parse_args(arguments)
        for name, (full, quick) in self._sizes.items():
            if getattr(chosen, name) is None:
                setattr(chosen, name, quick if chosen.quick else full)
        return chosen


@attrs.define
class Rounds(Generic[T]):
    """
    What each side measured in each round, and why others measured nothing.

    Attributes:
        measured: By the name of the side, one for each round.
        missing: By the name of the side.
    """

    measured: dict[str, list[T]]
    missing: dict[str, str] = attrs.field(factory=dict[str, str])

    def side(self, name: str, pick: Callable[[T], float]) -> Side:
        """Return one figure of what a side measured."""
        if name in self.missing:
            return Side(name, missing=self.missing[name])
        return Side(name, [pick(each) for each in self.measured[name]])


def take_rounds(sides: Mapping[str, Callable[[], T]], rounds: int, *, warm_up: bool = True) -> Rounds[T]:
    """
    Let the sides take turns: A B, B A, A B. What one cannot do is noted, and stops no other.

    Args:
        sides: By their names; each call is one round.
        rounds: How many rounds count.
        warm_up: Whether there is one more at first, which is thrown away.
    """
    found: Rounds[T] = Rounds({name: [] for name in sides})
    for number in range(rounds + warm_up):
        for name in sorted(sides, key=list(sides).index, reverse=number % 2 == 1):
            if name in found.missing:
                continue
            try:
                found.measured[name].append(sides[name]())
            except Exception as error:  # noqa: BLE001 - whatever another library raises
                found.missing[name] = str(error) if isinstance(error, MissingError) else f"failed: {error!r}"
    for values in found.measured.values():
        del values[: int(warm_up)]
    return found


def on_a_loop(work: Callable[[], Awaitable[T]]) -> Callable[[], T]:
    """Return *work* as a function that runs it on an event loop of its own."""

    async def run() -> T:
        return await work()

    return lambda: asyncio.run(run())


def child(script: str, *arguments: str, limit: float = 600.0) -> Any:
    """
    Run a script of this folder, or code after ``-c``, in a process of its own.

    Args:
        script: Its path, or ``-c``.
        arguments: What comes after it.
        limit: Seconds that it may take.

    Returns:
        The JSON in the last line that it prints.

    Raises:
        MissingError: It says that something is missing, or takes too long.
        RuntimeError: It fails.
    """
    command = [sys.executable, script, *arguments]
    # What is imported is compiled once, as it is for whoever installs it, whatever is set here.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    try:
        done = subprocess.run(  # noqa: S603  our own script
            command, capture_output=True, text=True, timeout=limit, check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        message = f"still not done after {limit:g} s"
        raise MissingError(message) from None
    last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    if "MissingError" in last:
        raise MissingError(last.partition(": ")[2])
    if done.returncode:
        raise RuntimeError(last)
    return json.loads(done.stdout.splitlines()[-1])
