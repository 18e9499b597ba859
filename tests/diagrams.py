"""
The parts of docs/delivery.md that are made from the code: diagrams of the transition tables, and tables.

``python tests/diagrams.py`` writes them anew between their marks; with ``--check`` it changes nothing, names the parts
that are not as the code has them, and ends with status 1 if there are any.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import enum
import inspect
import logging
import re
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, get_args

import attrs
from outcomes import outcomes_table

from mida_async import BufferSettings, RetryPolicy, Timeout
from mida_async._core import breaker, lane
from mida_async._delivery.reports import BufferStatistics
from mida_async.instrumentation import Detail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "delivery.md"

_State = TypeVar("_State", bound=enum.Enum)
_Signal = TypeVar("_Signal", bound=enum.Enum)

_NOTE_WIDTH: Final = 44
_ID: Final = re.compile(r"[a-z]\w*", re.ASCII)
# Mermaid ends a label where one of these is.
_ENDS_LABEL: Final = re.compile(r"[:;\n]")


def notes_of(states: type[enum.Enum]) -> dict[str, str]:
    """Return the text that stands under each member of *states* in the code, by the member's name."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(states))).body
    assert isinstance(definition, ast.ClassDef)
    notes: dict[str, str] = {}
    member = ""
    for node in definition.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=member)]):
                pass
            case ast.Expr(value=ast.Constant(value=str(text))) if member:
                notes[member] = " ".join(text.split())
    return notes


def diagram(table: Mapping[_State, Mapping[_Signal, _State]], *, start: _State, notes: Mapping[str, str]) -> str:
    """
    Draw a transition table in Mermaid.

    Args:
        table: What follows each state on each signal.
        start: The state in which everything begins.
        notes: What is said beside a state, by the name of its member.
    """
    lines = [f"[*] --> {_id(start)}"]
    for state, row in table.items():
        lines += [f"{_id(state)} --> {_id(after)}: {_label(signal)}" for signal, after in row.items()]
    for state in table:
        if state.name in notes:
            text = textwrap.wrap(notes[state.name], _NOTE_WIDTH)
            lines += [f"note right of {_id(state)}", *(f"    {line}" for line in text), "end note"]
    body = "\n".join(f"    {line}" for line in lines)
    return f"```mermaid\nstateDiagram-v2\n{body}\n```"


def _id(state: enum.Enum) -> str:
    name = str(state.value)
    if not _ID.fullmatch(name):
        message = f"{state!r} cannot be the name of a state in Mermaid"
        raise ValueError(message)
    return name


def _label(signal: enum.Enum) -> str:
    text = str(signal.value)
    if _ENDS_LABEL.search(text):
        message = f"{signal!r} has a character that ends a label in Mermaid"
        raise ValueError(message)
    return text


def _first_state(cls: type) -> object:
    return attrs.fields_dict(cls)["state"].default


def lanes_diagram() -> str:
    """Draw the states of a lane."""
    start = _first_state(lane.Lane)
    assert isinstance(start, lane.LaneState)
    return diagram(lane.TRANSITIONS, start=start, notes=notes_of(lane.LaneState))


def breaker_diagram() -> str:
    """Draw the states of the breaker."""
    start = _first_state(breaker.Breaker)
    assert isinstance(start, breaker.BreakerState)
    return diagram(breaker.TRANSITIONS, start=start, notes=notes_of(breaker.BreakerState))


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def described(cls: type, section: str) -> dict[str, str]:
    """Return what the docstring of *cls* says in its *section* about each name."""
    text = inspect.getdoc(cls) or ""
    found = re.search(rf"^{section}:\n((?:    .*\n?|\n)+)", text, re.MULTILINE)
    entries = textwrap.dedent(found.group(1)) if found else ""
    pairs = re.findall(r"^(\w+): ((?:.*\n?)(?:    .*\n?)*)", entries, re.MULTILINE)
    return {name: _markdown(" ".join(words.split())) for name, words in pairs}


def _markdown(text: str) -> str:
    plain = re.sub(r":(?:class|meth):`(\w+)`", r"``\1``", text)
    return plain.replace("``", "`")


def _summary(cls: type) -> str:
    return _markdown((inspect.getdoc(cls) or "").split("\n\n", 1)[0].replace("\n", " "))


def details_table() -> str:
    """List what hooks are told."""
    rows = [
        [f"`{cls.__name__}`", _summary(cls), ", ".join(f"`{field.name}`" for field in attrs.fields(cls))]
        for cls in get_args(Detail)
    ]
    return markdown_table(["detail", "what happened", "fields"], rows)


def statistics_table() -> str:
    """List what a snapshot says beside the counts by end."""
    rows = [[f"`{name}`", text] for name, text in described(BufferStatistics, "Attributes").items()]
    return markdown_table(["field", "meaning"], rows)


def settings_table() -> str:
    """List every setting of the engine with its default."""
    rows = [
        [f"`{cls.__name__}`", f"`{field.name}`", _default(field.default), described(cls, "Args")[field.name]]
        for cls in (BufferSettings, RetryPolicy, Timeout)
        for field in attrs.fields(cls)
    ]
    return markdown_table(["settings", "name", "default", "meaning"], rows)


def _default(value: object) -> str:
    match value:
        case tuple():
            return ", ".join(f"{limit.limit:,} in {limit.per:g} s" for limit in value)
        case bool() | str():
            return f"`{value!r}`"
        case int() | float():
            return f"{value:,g}" if value < 2**20 else f"{value:,} ({value // 2**20} MiB)"
        case _:
            return "`{}`"


PARTS: Final[tuple[tuple[str, Callable[[], str]], ...]] = (
    ("lanes", lanes_diagram),
    ("breaker", breaker_diagram),
    ("outcomes", lambda: markdown_table(*outcomes_table())),
    ("details", details_table),
    ("statistics", statistics_table),
    ("settings", settings_table),
)


def marked(name: str) -> re.Pattern[str]:
    """Return what finds the part *name* of a page, with its marks; its one group is the part."""
    return re.compile(rf"<!-- generated: {name} -->\n((?:(?!<!--).)*)<!-- end -->", re.DOTALL)


def rendered(page: str) -> str:
    """
    Return *page* with every generated part as the code has it now.

    Raises:
        ValueError: A part is not in the page, or more than once.
    """
    for name, _ in PARTS:
        if len(marked(name).findall(page)) != 1:
            message = f"the page must have exactly one part between <!-- generated: {name} --> and <!-- end -->"
            raise ValueError(message)
    for name, make in PARTS:
        part = f"<!-- generated: {name} -->\n\n{make()}\n\n<!-- end -->"
        page = marked(name).sub(part.replace("\\", r"\\"), page)
    return page


def differences(page: str) -> Iterator[str]:
    """Yield the lines by which *page* differs from what the code has."""
    return difflib.unified_diff(page.splitlines(), rendered(page).splitlines(), "page", "code", lineterm="", n=0)


def main(arguments: Sequence[str] | None = None, page: Path = PAGE) -> int:
    """Write the parts, or check them."""
    parser = argparse.ArgumentParser(description="Write the parts of docs/delivery.md that are made from the code.")
    parser.add_argument(
        "--check", action="store_true", help="change nothing; end with status 1 if a part is not as it should be"
    )
    text = page.read_text(encoding="utf-8")
    if parser.parse_args(arguments).check:
        found = list(differences(text))
        sys.stdout.writelines(f"{line}\n" for line in found)
        return 1 if found else 0
    page.write_text(rendered(text), encoding="utf-8")
    return 0


if __name__ == "__main__":
    logging.disable()  # the outcomes are tried out on the engine, which logs what it cannot deliver
    sys.exit(main())
