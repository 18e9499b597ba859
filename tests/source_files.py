"""The package and its tests as text and syntax trees, for the tests that check how they are written."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TypeAlias

import attrs

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "mida_async"

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@attrs.frozen
class Source:
    """One file; ``name`` is its dotted module name."""

    path: str
    name: str
    text: str
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        """Whether this is the ``__init__`` of a folder."""
        return self.path.endswith("__init__.py")


def parse(path: str, text: str) -> Source:
    """Return the source of *text*, as if it stood in *path* (relative to the project's root)."""
    name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return Source(path, name, text, ast.parse(text))


def sources(folder: str) -> tuple[Source, ...]:
    """Return every Python file under *folder*, sorted by path."""
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files, f"no Python files in {folder}"
    return tuple(parse(file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8")) for file in files)


def functions(tree: ast.AST) -> list[Function]:
    """Return every function and method in *tree*, nested ones included."""
    return [node for node in ast.walk(tree) if isinstance(node, Function)]
