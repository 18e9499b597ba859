"""Who may import what: the layers of the package, checked on its syntax trees."""

from __future__ import annotations

import ast
import graphlib
import re
import sys
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs
import pytest
from source_files import PACKAGE, Function, Source, parse, sources

if TYPE_CHECKING:
    from collections.abc import Iterable

LAYERS = MappingProxyType(
    {
        "_errors": 0,
        "_settings": 0,
        "_sentinels": 0,
        "models": 1,
        "_core": 2,
        "destinations": 2,
        "instrumentation": 3,
        "_transport": 4,
        "spools": 4,
        "_requestor": 5,
        "_resources": 6,
        "_delivery": 6,
        "_base_client": 7,
        "_client": 7,
        "klaviyo": 7,
        "": 8,  # the facade, mida_async/__init__.py
        "testing": 9,
        "_cli": 10,
        "__main__": 11,
    }
)
# Parts of one layer do not know each other, but for these: the first may import the second.
ACQUAINTED = frozenset(
    {
        ("_settings", "_errors"),
        ("destinations", "_core"),
        ("_client", "_base_client"),
        ("klaviyo", "_base_client"),
    }
)

PURE = ("_core", "destinations")
NOT_IN_PURE = frozenset({"asyncio", "aiohttp", "time", "random", "logging", "sqlite3"})

# Where a library of others may be imported. A part or a file; "" means anywhere.
HOMES = MappingProxyType(
    {
        "attrs": ("",),
        "cattrs": ("_core",),
        "backoff": ("_core",),
        "aiohttp": ("_transport/aiohttp.py", "testing"),
        "multidict": ("_transport/aiohttp.py", "testing"),  # aiohttp's own headers
        "yarl": ("_transport/aiohttp.py", "testing"),  # aiohttp's own URLs
        "click": ("_cli",),
        "rich": ("_cli",),
        "pytest": ("testing",),
    }
)
# Optional libraries may be missing: each is imported by one file alone, which may do so inside a function.
OPTIONAL = frozenset({"orjson", "uvloop", "prometheus_client", "opentelemetry"})

# What is large and not always needed may be imported at first use: by the start of the command, by client and buffer.
LAZY = MappingProxyType(
    {
        f"{PACKAGE}/__main__.py": frozenset({"_cli"}),
        f"{PACKAGE}/_client.py": frozenset({"_resources"}),
        f"{PACKAGE}/_requestor.py": frozenset({"_core"}),
        f"{PACKAGE}/_delivery/works.py": frozenset({"backlog", "spooling"}),
    }
)


@attrs.frozen
class Import:
    """One imported module: ``mida_async`` and below by its full name, whatever form the statement has."""

    source: Source
    line: int
    module: str
    names: tuple[str, ...]

    @property
    def top(self) -> str:
        """The first word of the module's name."""
        return self.module.split(".", maxsplit=1)[0]

    def __str__(self) -> str:
        return f"{self.source.path}:{self.line} imports {self.module}"


def part(module: str) -> str:
    """Return the part of the package that *module* belongs to: the word after ``mida_async``."""
    return f"{module}.".split(".")[1]


def _from(source: Source, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    above = source.name.split(".")[: None if source.is_package and node.level == 1 else source.is_package - node.level]
    return ".".join([*above, *([node.module] if node.module else [])])


def imports(source: Source, modules: frozenset[str] = frozenset()) -> list[Import]:
    """Return the imports of *source*, those under ``TYPE_CHECKING`` and in functions included."""
    found: list[Import] = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            found += [Import(source, node.lineno, alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _from(source, node)
            inner = [alias.name for alias in node.names if f"{base}.{alias.name}" in modules]
            rest = tuple(alias.name for alias in node.names if alias.name not in inner)
            found += [Import(source, node.lineno, f"{base}.{name}", ()) for name in inner]
            found += [Import(source, node.lineno, base, rest)] if rest else []
    return found


def upward(found: Import) -> bool:
    """Tell whether *found* breaks the order of the layers."""
    mine, theirs = part(found.source.name), part(found.module)
    if mine == theirs or (mine, theirs) in ACQUAINTED:
        return False
    return LAYERS[theirs] >= LAYERS[mine]


def misplaced(found: Import) -> bool:
    """Tell whether *found* is a library that is imported where it has no business."""
    if found.top in sys.stdlib_module_names or found.top in {PACKAGE, *OPTIONAL}:
        return False
    within = found.source.path.removeprefix(f"{PACKAGE}/")
    if not any(within == home or within.startswith(f"{home}/" if home else "") for home in HOMES.get(found.top, ())):
        return True
    client = found.top == "aiohttp" and found.source.path != f"{PACKAGE}/_transport/aiohttp.py"
    return client and found.module != "aiohttp.web" and not (found.module == "aiohttp" and found.names == ("web",))


def lazy(source: Source) -> list[str]:
    """Return the imports inside functions, but for optional libraries, sections of the client and the command."""
    inside = [
        node
        for function in ast.walk(source.tree)
        if isinstance(function, Function)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    top = [(node, (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name) for node in inside]
    allowed = LAZY.get(source.path, frozenset()) | OPTIONAL
    return [f"{source.path}:{node.lineno}" for node, name in top if name.split(".")[0] not in allowed]


def cycle(found: Iterable[Import]) -> list[str]:
    """Return the modules of one circle of imports, or nothing where there is none."""
    sorter: graphlib.TopologicalSorter[str] = graphlib.TopologicalSorter()
    for each in found:
        sorter.add(each.source.name, each.module)
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        modules: list[str] = error.args[1]
        return modules
    return []


SOURCES = sources(PACKAGE)
MODULES = frozenset(source.name for source in SOURCES)
IMPORTS = tuple(found for source in SOURCES for found in imports(source, MODULES))
OWN = tuple(found for found in IMPORTS if found.top == PACKAGE)


def test_every_part_of_the_package_has_a_layer() -> None:
    """A new file or folder of the package has to be given its layer first."""
    assert {part(name) for name in MODULES} <= set(LAYERS)


def test_no_import_goes_upwards() -> None:
    """A module imports only from lower layers or from its own part, for types as well as at run time."""
    assert [str(found) for found in OWN if upward(found)] == []


def test_no_two_modules_need_each_other() -> None:
    """The imports of the whole package have an order: none leads back to where it came from."""
    assert cycle(OWN) == []


def test_imports_inside_the_package_are_relative_and_exist() -> None:
    """The package never imports itself by name, and each relative import leads to a module."""
    absolute = [
        f"{source.path}:{node.lineno}"
        for source in SOURCES
        for node in ast.walk(source.tree)
        if (isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").split(".")[0] == PACKAGE)
        or (isinstance(node, ast.Import) and any(alias.name.split(".")[0] == PACKAGE for alias in node.names))
    ]
    assert absolute == []
    assert [str(found) for found in OWN if found.module not in MODULES] == []


def test_the_pure_parts_know_no_clock_no_network_and_no_chance() -> None:
    """``_core`` and ``destinations`` are told the time and the dice: they import nothing that does I/O."""
    pure = [found for found in IMPORTS if part(found.source.name) in PURE]
    assert pure
    assert [str(found) for found in pure if found.top in NOT_IN_PURE] == []


def test_each_library_is_imported_only_in_its_place() -> None:
    """The client of aiohttp has one file, click and rich one folder, and nothing undeclared is imported at all."""
    assert [str(found) for found in IMPORTS if misplaced(found)] == []


# The table of the REST API, and how its requests and answers look.
_OF_THE_REST_API = ("_core/endpoints/", "_core/request.py", "_core/response.py")


def test_the_engine_knows_no_service_by_name() -> None:
    """What delivers and what decides is the same for every destination: it names neither Mida nor Klaviyo."""
    named = [
        f"{source.path}:{number}"
        for source in SOURCES
        if part(source.name) in {"_core", "_delivery", "_transport", "instrumentation"}
        for number, line in enumerate(source.text.splitlines(), 1)
        if re.search("klaviyo|mida(?!_async|Error)", line, re.IGNORECASE)
        and not source.path.removeprefix(f"{PACKAGE}/").startswith(_OF_THE_REST_API)
    ]
    assert named == []


@pytest.mark.parametrize("library", sorted(OPTIONAL))
def test_an_optional_library_is_imported_by_one_file(library: str) -> None:
    """Whoever does not install it misses one file, not a feature here and another there."""
    assert len({found.source.path for found in IMPORTS if found.top == library}) <= 1


def test_nothing_is_imported_inside_a_function() -> None:
    """What a module needs stands at its top; only optional libraries are asked for later."""
    assert [place for source in SOURCES for place in lazy(source)] == []


@pytest.mark.parametrize(
    ("path", "statement", "module"),
    [
        ("mida_async/_errors.py", "from . import _settings", "mida_async._settings"),
        ("mida_async/_core/lanes.py", "from .entry import Entry", "mida_async._core.entry"),
        ("mida_async/_core/lanes.py", "from .._errors import MidaError", "mida_async._errors"),
        ("mida_async/_core/__init__.py", "from .entry import Entry", "mida_async._core.entry"),
        ("mida_async/_core/__init__.py", "from .. import _settings", "mida_async._settings"),
        ("mida_async/testing/_emulator/wire.py", "from ...models import Event", "mida_async.models"),
        ("mida_async/testing/_emulator/__init__.py", "from ... import models", "mida_async.models"),
        ("mida_async/__init__.py", "from . import models", "mida_async.models"),
    ],
)
def test_relative_imports_are_read_as_python_reads_them(path: str, statement: str, module: str) -> None:
    """The checks above see the full name behind each number of dots, in modules and in packages."""
    modules = frozenset({"mida_async._settings", "mida_async.models"})
    assert [found.module for found in imports(parse(path, statement), modules)] == [module]


@pytest.mark.parametrize(
    ("path", "statement"),
    [
        ("mida_async/_core/lanes.py", "from ..destinations import mida"),
        ("mida_async/_transport/base.py", "if TYPE_CHECKING:\n    from .._client import MidaClient"),
        ("mida_async/_delivery/buffer.py", "def f():\n    from .._resources.goals import Goals"),
        ("mida_async/_client.py", "from . import MidaClient"),
    ],
)
def test_an_upward_import_is_noticed(path: str, statement: str) -> None:
    """Neither a sibling, nor a type, nor a lazy import, nor the facade slips through."""
    assert [upward(found) for found in imports(parse(path, statement))] == [True]


@pytest.mark.parametrize(
    ("path", "statement", "expected"),
    [
        ("mida_async/_client.py", "import aiohttp", True),
        ("mida_async/_transport/aiohttp.py", "import aiohttp", False),
        ("mida_async/testing/x.py", "from aiohttp import web", False),
        ("mida_async/testing/x.py", "from aiohttp import ClientSession, web", True),
        ("mida_async/testing/x.py", "import aiohttp", True),
        ("mida_async/_delivery/x.py", "import rich", True),
        ("mida_async/_cli/x.py", "from rich.table import Table", False),
        ("mida_async/_cli/x.py", "import requests", True),
        ("mida_async/_cli/x.py", "import json", False),
    ],
)
def test_a_misplaced_library_is_noticed(path: str, statement: str, *, expected: bool) -> None:
    """A library outside its place, the client of aiohttp in a test server, and an undeclared one are all seen."""
    assert [misplaced(found) for found in imports(parse(path, statement))] == [expected]


def test_a_circle_of_imports_is_noticed() -> None:
    """Two modules of one folder that import each other are named, even if one does it for types alone."""
    one = parse("mida_async/_core/one.py", "from .two import Two")
    two = parse("mida_async/_core/two.py", "if TYPE_CHECKING:\n    from .one import One")
    assert set(cycle(imports(one) + imports(two))) == {one.name, two.name}
    assert cycle(imports(one)) == []


def test_a_lazy_import_is_noticed() -> None:
    """Only optional libraries may be imported inside a function, and the command by its entry."""
    body = "def f():\n    import json\n    import orjson\n    from ._cli.app import mida"
    assert lazy(parse("mida_async/x.py", body)) == ["mida_async/x.py:2", "mida_async/x.py:4"]
    assert lazy(parse("mida_async/__main__.py", body)) == ["mida_async/__main__.py:2"]
