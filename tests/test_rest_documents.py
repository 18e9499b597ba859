"""The generated documents of the API, and the table of endpoints against the methods of the client."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_overloads

import attrs
import pytest
import rest_documents
import yaml
from rest_documents import DOCS, argument_of, coverage_of, method_of, parameters_of

from mida_async._core.endpoints import Endpoint, Repeat
from mida_async._core.endpoints.table import ENDPOINTS
from mida_async.testing._openapi import document

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE: Final = (DOCS / "rest-api.md").read_text(encoding="utf-8")
ROWS: Final = pytest.mark.parametrize("row", ENDPOINTS.values(), ids=list(ENDPOINTS))

# Where a method returns something else than the row's class: a part of it, or what the caller gives as default.
RETURNS: Final = {"visitors.get_variant": "str | None", "visitors.feature_flags": "tuple[str, ...]"}


def test_the_documents_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    """Every generated document is what the code has now; if not, run ``python tests/rest_documents.py``."""
    assert (rest_documents.main(["--check"]), capsys.readouterr().out) == (0, "")


@ROWS
def test_nothing_is_missing(row: Endpoint) -> None:
    """Each endpoint has a method with all its fields, a handler, a command, a line of documentation and a sample."""
    coverage = attrs.asdict(coverage_of(row, PAGE))
    assert [name for name, value in coverage.items() if value is None] == []


def test_what_is_missing_is_seen() -> None:
    """Of an endpoint that nobody has written anything for, every cell is empty, and the page says so."""
    row = attrs.evolve(ENDPOINTS["goals.get"], name="goals.turn_around", path="/v2/project/{project_key}/turn/{goal}")
    nothing = coverage_of(attrs.evolve(row, fields=()), PAGE)
    assert set(attrs.astuple(nothing)) == {None}
    unknown = attrs.evolve(row, name="circles.turn")
    assert set(attrs.astuple(coverage_of(attrs.evolve(unknown, fields=()), PAGE))) == {None}
    assert "| **missing** |" in rest_documents.coverage_page("")


def test_a_method_without_a_field_is_no_cover() -> None:
    """A field that neither the method nor the command takes leaves their cells empty."""
    row = ENDPOINTS["goals.get"]
    more = attrs.evolve(row, fields=(*row.fields, *ENDPOINTS["goals.list"].fields))
    found = coverage_of(row, PAGE)
    assert (found.client, found.command) == ("`Goals.get`", "`mida goals get`")
    assert (coverage_of(more, PAGE).client, coverage_of(more, PAGE).command) == (None, None)


@ROWS
def test_a_method_takes_the_fields_of_its_row(row: Endpoint) -> None:
    """The names are those of the fields; what is required has no default, and what has a default has the row's."""
    method = _method(row)
    parameters = inspect.signature(method).parameters
    assert set(parameters) == parameters_of(row)
    for field in row.fields:
        parameter = parameters[argument_of(row, field)]
        assert field.required == (parameter.default is inspect.Parameter.empty), field.name
        if field.default is not None:
            assert parameter.default == field.default


@ROWS
def test_a_method_returns_the_answer_of_its_row(row: Endpoint) -> None:
    """The return annotation is the row's class."""
    method = _method(row)
    first = next(iter(get_overloads(method)), method)  # where there are some, the one without a default
    assert inspect.signature(first).return_annotation == RETURNS.get(row.name, getattr(row.answer, "__name__", ""))


@ROWS
def test_a_docstring_names_the_page(row: Endpoint) -> None:
    """Each method says which of the vendor's pages it is of, and when that was read."""
    if row.page is not None:
        text = inspect.getdoc(_method(row)) or ""
        assert f"docs/v2/{Path(row.page).stem}, 2026-08-22" in " ".join(text.split()) or row.name == "events.create"


def _method(row: Endpoint) -> Callable[..., Any]:
    method = method_of(row)
    assert method is not None, row.name
    return method


@ROWS
def test_the_page_tells_what_may_be_sent_again(row: Endpoint) -> None:
    """The line of a call has its request, its sentence and whether it is repeated."""
    (line,) = re.findall(rf"^\| `{row.name}\(.*$", PAGE, re.MULTILINE)
    path = row.path.replace("/v2/project/{project_key}", "P")
    assert f"| `{row.method} {path}` | {row.summary} |" in line
    assert ("| yes |" in line) == (row.repeat is Repeat.SAFE)
    assert (row.page or "none") in line


def test_the_yaml_is_the_document() -> None:
    """docs/openapi.yaml reads as the document that the emulator serves, but for the servers."""
    assert yaml.safe_load((DOCS / "openapi.yaml").read_text(encoding="utf-8")) == document()


def test_changed_documents_are_seen_and_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is not as the code has it fails the check, is shown, and is written anew; the rest of the page stays."""
    (tmp_path / "rest-api.md").write_text("Mine.\n" + PAGE.replace("`goals.get(", "`goals.got("), encoding="utf-8")
    assert rest_documents.main(["--check"], tmp_path) == 1
    out = capsys.readouterr().out
    assert "-| `goals.got(" in out
    assert "+openapi: 3.1.0" in out
    assert rest_documents.main([], tmp_path) == 0
    assert (tmp_path / "rest-api.md").read_text(encoding="utf-8") == "Mine.\n" + PAGE
    for name in ("openapi.yaml", "coverage.md"):
        assert (tmp_path / name).read_text(encoding="utf-8") == (DOCS / name).read_text(encoding="utf-8")


def test_a_page_without_its_part_is_an_error() -> None:
    """A page that lost a mark, or has it twice, is not up to date."""
    mark = "<!-- generated: endpoints -->"
    for page in (PAGE.replace(mark, ""), PAGE + f"{mark}\n<!-- end -->"):
        with pytest.raises(ValueError, match="generated: endpoints"):
            rest_documents.rest_page(page)
