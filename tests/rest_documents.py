"""
The documents that are made from the table of endpoints: docs/openapi.yaml, docs/rest-api.md and docs/coverage.md.

``python tests/rest_documents.py`` writes them anew; of docs/rest-api.md only what is between its marks. With
``--check`` it changes nothing, shows what is not as the code has it, and ends with status 1 if there is anything.
"""

from __future__ import annotations

import argparse
import difflib
import inspect
import re
import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
import click
import yaml
from diagrams import markdown_table, marked
from wire import SAMPLES

from mida_async import MidaClient
from mida_async._cli.app import mida
from mida_async._core.endpoints import Endpoint, Repeat
from mida_async._core.endpoints.table import ENDPOINTS
from mida_async.testing import Emulator
from mida_async.testing._emulator.wire import Refusal
from mida_async.testing._openapi import document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mida_async._core.arguments import Field

DOCS: Final = Path(__file__).resolve().parent.parent / "docs"

HOW: Final = "`python tests/rest_documents.py` writes it"

# What a method takes beside the fields of its row: what it returns instead of an error.
BESIDES: Final[Mapping[str, set[str]]] = {"visitors.get_variant": {"default"}, "visitors.feature_flags": {"default"}}
# Where a method has another word than the wire, in the plural because it takes several.
OTHERWISE: Final[Mapping[str, str]] = {"personalization.suggested_pages account": "accounts"}


def argument_of(row: Endpoint, field: Field) -> str:
    """Return what the method of an endpoint calls a field."""
    return OTHERWISE.get(f"{row.name} {field.name}", field.name)


def method_of(row: Endpoint) -> Callable[..., Any] | None:
    """Return the client's method for an endpoint."""
    section = getattr(MidaClient("project", "key", region="us"), row.section, None)
    return getattr(section, row.verb, None)


def parameters_of(row: Endpoint) -> set[str]:
    """Return the names that the method of an endpoint has to take: its fields, and what is beside them."""
    return {argument_of(row, field) for field in row.fields} | BESIDES.get(row.name, set())


def signature(name: str, method: Callable[..., Any]) -> str:
    """
    Return how a method is called, without types.

    Args:
        name: Section and method.
        method: The method.
    """
    parameters = inspect.signature(method).parameters.values()
    plain = [each.replace(annotation=inspect.Parameter.empty) for each in parameters]
    return f"{name}{inspect.Signature(plain)}"


def endpoints_part() -> str:
    """Return a table of endpoints for each section."""
    parts: list[str] = []
    for section, rows in groupby(ENDPOINTS.values(), key=lambda row: row.section):
        parts += [f"### {section}", _section_table(list(rows))]
    return "\n\n".join(parts)


def _section_table(rows: Sequence[Endpoint]) -> str:
    lines = [
        [f"`{_call(row)}`", f"`{row.method} {_short(row.path)}`", row.summary, _repeat(row), _page(row)] for row in rows
    ]
    lines += [line for row in rows if (line := _walk(row))]
    return markdown_table(["call", "request", "what it does", "sent again?", "page"], lines)


def _call(row: Endpoint) -> str:
    method = method_of(row)
    return row.name if method is None else signature(row.name, method)


def _walk(row: Endpoint) -> list[str] | None:
    """Return the line of what goes through all pages of a list, where it has pages."""
    name = f"{row.section}.iter"
    method = getattr(getattr(MidaClient("project", "key", region="us"), row.section, None), "iter", None)
    if method is None or not any(field.name == "offset" for field in row.fields):
        return None
    text = f"Go through all pages of `{row.name}`; each row comes once."
    return [f"`{signature(name, method)}`", f"`{row.method} {_short(row.path)}`", text, _repeat(row), _page(row)]


def _short(path: str) -> str:
    return path.replace("/v2/project/{project_key}", "P", 1)


def _repeat(row: Endpoint) -> str:
    return "yes" if row.repeat is Repeat.SAFE else "only if it did not arrive"


def _page(row: Endpoint) -> str:
    return "none" if row.page is None else f"[{Path(row.page).stem}]({row.page})"


@attrs.frozen(kw_only=True)
class Coverage:
    """
    What there is for one endpoint; each is None where it is missing.

    Attributes:
        client: The method, if it takes every field.
        emulator: The handler that the emulator's routes lead to.
        command: The command, if it takes every field.
        docs: Where the method is described.
        test: How many documented calls are compared with what goes over the wire.
    """

    client: str | None
    emulator: str | None
    command: str | None
    docs: str | None
    test: str | None


def coverage_of(row: Endpoint, page: str) -> Coverage:
    """
    Look for what there is for one endpoint.

    Args:
        row: The endpoint.
        page: The text of docs/rest-api.md.
    """
    samples = sum(sample.endpoint == row.name for sample in SAMPLES)
    return Coverage(
        client=_client_cell(row),
        emulator=_emulator_cell(row),
        command=_command_cell(row),
        docs="[rest-api.md](rest-api.md)" if f"| `{row.name}(" in page else None,
        test=f"{samples} {'sample' if samples == 1 else 'samples'}" if samples else None,
    )


def _client_cell(row: Endpoint) -> str | None:
    method = method_of(row)
    if method is None or set(inspect.signature(method).parameters) != parameters_of(row):
        return None
    return f"`{method.__qualname__}`"


def _emulator_cell(row: Endpoint) -> str | None:
    state = Emulator().state
    path = re.sub(r"\{\w+\}", "1", row.path)
    try:
        found = state._routes.find(row.method, path).name
    except Refusal:
        return None
    shared = (ENDPOINTS[found].method, ENDPOINTS[found].path) == (row.method, row.path)
    return f"`{found}`" if shared else None


def _command_cell(row: Endpoint) -> str | None:
    section = mida.commands.get(row.section.replace("_", "-"))
    if not isinstance(section, click.Group):
        return None
    command = section.get_command(click.Context(section), row.verb.replace("_", "-"))
    if command is None:
        return None
    taken = {(each.name or "").removeprefix("argument_") for each in command.params}
    if not {argument_of(row, field) for field in row.fields} <= taken:
        return None
    return f"`mida {section.name} {command.name}`"


def coverage_page(page: str) -> str:
    """
    Return docs/coverage.md.

    Args:
        page: The text of docs/rest-api.md.
    """
    found = {row.name: coverage_of(row, page) for row in ENDPOINTS.values()}
    heads = [field.name for field in attrs.fields(Coverage)]
    lines = [
        [f"`{name}`", *(value or "**missing**" for value in attrs.astuple(coverage))]
        for name, coverage in found.items()
    ]
    return f"""# Coverage

What there is for each endpoint. This page is generated; {HOW}. Each cell is looked up when it is
written: the method exists and takes every field; the emulator's routes lead to a handler; the command exists and
takes every field; the table in [rest-api.md](rest-api.md) has the call; and tests compare as many documented calls
with what goes over the wire, both ways.

{markdown_table(["endpoint", *heads], lines)}
"""


class _Dumper(yaml.SafeDumper):
    """Writes every value in full where it stands: an anchor would be hard to read."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  PyYAML's signature
        return True


def openapi_yaml() -> str:
    """Return docs/openapi.yaml."""
    text = yaml.dump(document(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return f"# Generated; {HOW.replace('`', '')} anew.\n{text}"


def rest_page(text: str) -> str:
    """
    Return docs/rest-api.md with its generated part as the code has it now.

    Args:
        text: The page.

    Raises:
        ValueError: The part is not in the page, or more than once.
    """
    mark = marked("endpoints")
    if len(mark.findall(text)) != 1:
        message = "docs/rest-api.md must have exactly one part between <!-- generated: endpoints --> and <!-- end -->"
        raise ValueError(message)
    part = f"<!-- generated: endpoints -->\n\n{endpoints_part()}\n\n<!-- end -->"
    return mark.sub(part.replace("\\", r"\\"), text)


def rendered(docs: Path = DOCS) -> Mapping[Path, str]:
    """
    Return what each document should say now.

    Args:
        docs: The folder that they are in.
    """
    page = rest_page((docs / "rest-api.md").read_text(encoding="utf-8"))
    return {
        docs / "openapi.yaml": openapi_yaml(),
        docs / "rest-api.md": page,
        docs / "coverage.md": coverage_page(page),
    }


def differences(docs: Path = DOCS) -> Iterator[str]:
    """
    Yield the lines by which the documents differ from what the code has.

    Args:
        docs: The folder that they are in.
    """
    for path, text in rendered(docs).items():
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        yield from difflib.unified_diff(before.splitlines(), text.splitlines(), path.name, "code", lineterm="", n=0)


def main(arguments: Sequence[str] | None = None, docs: Path = DOCS) -> int:
    """Write the documents, or check them."""
    parser = argparse.ArgumentParser(description="Write the documents that are made from the table of endpoints.")
    parser.add_argument(
        "--check", action="store_true", help="change nothing; end with status 1 if a document is not as it should be"
    )
    if parser.parse_args(arguments).check:
        found = list(differences(docs))
        sys.stdout.writelines(f"{line}\n" for line in found)
        return 1 if found else 0
    for path, text in rendered(docs).items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
