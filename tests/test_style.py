"""How the project is written: sizes, docstrings, state, messages, and what tests may not do."""

from __future__ import annotations

import ast
import re
import statistics
from typing import TYPE_CHECKING

import pytest
from source_files import PACKAGE, Function, Source, functions, parse, sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONGEST_FILE = 400
LONGEST_FUNCTION = 60
LONG_FUNCTION = 35
TYPICAL_FUNCTION = 8
LONGEST_REAL_SLEEP = 0.1

RULES = tuple(f"R{number}" for number in range(1, 18))

MUTABLE = frozenset(
    {
        *(
            "Counter",
            "Lock",
            "OrderedDict",
            "WeakKeyDictionary",
            "WeakSet",
            "WeakValueDictionary",
            "bytearray",
            "cache",
        ),
        *("count", "cycle", "defaultdict", "deque", "dict", "list", "lru_cache", "set"),
    }
)

SOURCES = sources(PACKAGE)
TESTS = sources("tests")


def lines_of(function: Function) -> int:
    """Return the lines of *function* from its ``def`` on, without its docstring."""
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def too_long(source: Source) -> list[str]:
    """Name what in *source* is over the hard limits, docstrings included."""
    found = [
        f"{source.path}:{node.lineno} {node.name}"
        for node in functions(source.tree)
        if (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
    ]
    return found + ([source.path] if source.text.count("\n") > LONGEST_FILE else [])


def _called(value: ast.expr) -> str:
    function = value.func if isinstance(value, ast.Call) else value
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _is_mutable(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Tuple):
        return any(map(_is_mutable, value.elts))
    displays = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp)
    return isinstance(value, displays) or (isinstance(value, ast.Call) and _called(value) in MUTABLE)


def _shared(body: list[ast.stmt], *, public: bool = False) -> Iterator[ast.stmt]:
    """Yield the statements that run once, at import: of the module, its branches and its (public) classes."""
    for node in body:
        yield node
        hidden = public and isinstance(node, ast.ClassDef) and node.name.startswith("_")
        for inner in () if hidden or isinstance(node, Function) else ("body", "orelse", "finalbody"):
            yield from _shared(getattr(node, inner, []), public=public)


def shared_state(source: Source) -> list[str]:
    """Name the statements that make state which the whole process shares."""
    found = [node.lineno for node in ast.walk(source.tree) if isinstance(node, ast.Global)]
    for node in _shared(source.tree.body):
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        targets = node.targets if isinstance(node, ast.Assign) else []
        if _is_mutable(value) and [_called(target) for target in targets] != ["__all__"]:
            found.append(node.lineno)
        if isinstance(node, Function) and any(_called(decorator) in MUTABLE for decorator in node.decorator_list):
            found.append(node.lineno)
    return [f"{source.path}:{line}" for line in found]


def _needs_no_docstring(node: ast.stmt) -> bool:
    decorators = node.decorator_list if isinstance(node, Function) else []
    return any(_called(decorator) in {"overload", "setter"} for decorator in decorators)


def undocumented(source: Source) -> list[str]:
    """Name the public classes, methods and functions without a docstring, and the module if it has none."""
    found = [] if ast.get_docstring(source.tree) else [source.path]
    for node in _shared(source.tree.body, public=True):
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
            missing = ast.get_docstring(node) is None and not _needs_no_docstring(node)
            found += [f"{source.path}:{node.lineno} {node.name}"] if missing else []
    return found


def _is_text(value: ast.expr, function: ast.AST) -> bool:
    if isinstance(value, ast.Name):
        values = [
            node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == value.id for target in node.targets)
        ]
        return not any(isinstance(each, ast.Tuple | ast.Constant) and not _is_text(each, function) for each in values)
    return not (isinstance(value, ast.Tuple) or (isinstance(value, ast.Constant) and not isinstance(value.value, str)))


def odd_messages(source: Source) -> list[str]:
    """Name the errors that are made with something else than one text, such as a tuple after a stray comma."""
    return [
        f"{source.path}:{call.lineno}"
        for function in functions(source.tree)
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and re.search(r"(?<!^OS)Error$", _called(call))
        if len(call.args) > 1 or not all(_is_text(argument, function) for argument in call.args)
    ]


def _uses_virtual_clock(source: Source) -> bool:
    return "mida_async.testing.clock" in {
        node.module for node in ast.walk(source.tree) if isinstance(node, ast.ImportFrom)
    }


def _is_short(call: ast.Call) -> bool:
    pause = call.args[0] if call.args else None
    return (
        isinstance(pause, ast.Constant) and isinstance(pause.value, int | float) and pause.value <= LONGEST_REAL_SLEEP
    )


def real_waits(source: Source) -> list[str]:
    """Name the sleeps of a test file that take real time, but for the shortest."""
    virtual = _uses_virtual_clock(source)
    calls = [(ast.unparse(node.func), node) for node in ast.walk(source.tree) if isinstance(node, ast.Call)]
    return [
        f"{source.path}:{call.lineno}"
        for name, call in calls
        if name == "time.sleep" or (name == "asyncio.sleep" and not virtual and not _is_short(call))
    ]


def mocks(source: Source) -> list[str]:
    """Name the imports of unittest's ``mock``, and of ``time.sleep`` by its bare name."""
    return [
        f"{source.path}:{node.lineno}"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if (full := f"{getattr(node, 'module', '') or ''}.{alias.name}".lstrip(".")).startswith("unittest")
        or full == "time.sleep"
    ]


def unfinished(source: Source) -> list[str]:
    """Name a file that lacks its docstring, its ``annotations`` import or its last newline."""
    start = "from __future__ import annotations" in source.text or len(source.tree.body) <= 1
    whole = bool(ast.get_docstring(source.tree)) and source.text.endswith("\n") and not source.text.endswith("\n\n")
    return [] if start and whole else [source.path]


def _tests(tree: ast.Module) -> list[Function]:
    return [node for node in _shared(tree.body) if isinstance(node, Function) and node.name.startswith("test")]


def untold(source: Source) -> list[str]:
    """Name the tests without a docstring."""
    return [f"{source.path}:{test.lineno}" for test in _tests(source.tree) if not ast.get_docstring(test)]


def test_functions_are_short() -> None:
    """Half of all functions have at most 8 lines and 95 % at most 35, docstrings aside."""
    lengths = sorted(lines_of(function) for source in SOURCES for function in functions(source.tree))
    assert statistics.median(lengths) <= TYPICAL_FUNCTION
    assert lengths[int(len(lengths) * 0.95)] <= LONG_FUNCTION


def test_no_function_and_no_file_is_over_the_limit() -> None:
    """No function of the package has more than 60 lines, no file more than 400."""
    assert [place for source in SOURCES for place in too_long(source)] == []


def test_the_package_keeps_no_state_of_its_own() -> None:
    """Nothing that can change hangs on a module or on a class: two clients never meet."""
    assert [place for source in SOURCES for place in shared_state(source)] == []


def test_every_public_name_has_a_docstring() -> None:
    """Every module, and every class, function and method without a ``_`` in front of it, says what it is."""
    assert [place for source in SOURCES for place in undocumented(source)] == []


def test_every_error_message_is_one_text() -> None:
    """No error is made with a tuple, a number or two arguments where its message belongs."""
    assert [place for source in SOURCES for place in odd_messages(source)] == []


def test_every_file_is_whole() -> None:
    """Every file starts with a docstring, takes annotations as text, and ends in one newline."""
    assert [place for source in (*SOURCES, *TESTS) for place in unfinished(source)] == []


def test_every_test_says_what_it_shows() -> None:
    """Every test has a docstring."""
    assert [place for source in TESTS for place in untold(source)] == []


def test_tests_neither_mock_nor_sleep() -> None:
    """Tests use no ``mock`` of unittest, and sleep on the virtual clock only, or for a tenth of a second at most."""
    assert [place for source in TESTS for check in (mocks, real_waits) for place in check(source)] == []


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_of_the_design_is_named_by_a_test(rule: str) -> None:
    """Each rule has at least one test whose docstring names it."""
    told = [ast.get_docstring(test) or "" for source in TESTS for test in _tests(source.tree)]
    assert any(re.search(rf"\b{rule}\b", docstring) for docstring in told)


@pytest.mark.parametrize(
    ("check", "text", "found"),
    [
        (too_long, "def f():\n" + "    x = 1\n" * 59, 0),
        (too_long, "def f():\n" + "    x = 1\n" * 60, 1),
        (too_long, "x = 1\n" * 400, 0),
        (too_long, "x = 1\n" * 401, 1),
        (shared_state, "x = {}\n", 1),
        (shared_state, "x: Final = defaultdict(list)\n", 1),
        (shared_state, "x = (1, [])\n", 1),
        (shared_state, "class A:\n    x = [i for i in y]\n", 1),
        (shared_state, "try:\n    x = set()\nfinally:\n    y = 1\n", 1),
        (shared_state, "@functools.cache\ndef f(): ...\n", 1),
        (shared_state, "def f():\n    global x\n", 1),
        (shared_state, "__all__ = ['f']\nx = MappingProxyType({})\ndef f():\n    y = []\n", 0),
        (undocumented, "def f(): ...\n", 2),
        (undocumented, '"""M."""\nclass A:\n    """A."""\n    async def f(self): ...\n', 1),
        (undocumented, '"""M."""\nclass _A:\n    def f(self): ...\ndef _f():\n    def g(): ...\n', 0),
        (undocumented, '"""M."""\n@overload\ndef f(): ...\n', 0),
        (odd_messages, "def f():\n    raise ValueError('a',)\n", 0),
        (odd_messages, "def f():\n    raise ValueError(('a',))\n", 1),
        (odd_messages, "def f():\n    message = ('a',)\n    raise e.SettingsError(message)\n", 1),
        (odd_messages, "def f():\n    return SettingsError('a', 'b')\n", 1),
        (odd_messages, "def f():\n    raise APIError(404)\n", 1),
        (odd_messages, "def f(message):\n    raise APIError(message, status=404)\n", 0),
        (odd_messages, "def f():\n    raise OSError(2, 'a')\n", 0),
        (real_waits, "time.sleep(0)\n", 1),
        (real_waits, "asyncio.sleep(0)\nasyncio.sleep(0.1)\n", 0),
        (real_waits, "asyncio.sleep(1)\nasyncio.sleep(x)\n", 2),
        (real_waits, "from mida_async.testing.clock import run_virtual\nasyncio.sleep(60)\n", 0),
        (mocks, "from unittest import mock\n", 1),
        (mocks, "import unittest\n", 1),
        (mocks, "from time import sleep\nfrom time import monotonic\n", 1),
        (unfinished, '"""M."""\n', 0),
        (unfinished, '"""M."""\nx = 1\ny = 2\n', 1),
        (unfinished, '"""M."""\nfrom __future__ import annotations\nx = 1', 1),
        (untold, "def test_x(): ...\nasync def test_y():\n    '''Y.'''\n", 1),
        (untold, "class TestX:\n    def test_x(self): ...\n    def help(self): ...\n", 1),
        (untold, "def run():\n    async def test(): ...\n", 0),
    ],
)
def test_the_checks_see_what_they_look_for(check: Callable[[Source], list[str]], text: str, found: int) -> None:
    """Each check above finds its fault in a few lines that have it, and nothing in lines that have not."""
    assert len(check(parse("mida_async/x.py", text))) == found


def test_lines_are_counted_without_the_docstring() -> None:
    """A long docstring does not make a function long."""
    (function,) = functions(ast.parse('def f():\n    """\n    A.\n\n    B.\n    """\n    return 1\n'))
    assert lines_of(function) == 2
