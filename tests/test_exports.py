"""What ``import mida_async`` offers."""

from __future__ import annotations

import importlib
import inspect
import re
from types import ModuleType

import attrs
import pytest

import mida_async
from mida_async import _errors, _settings

_LINE = re.compile(r"(?P<indent> *)[*x-] (?P<name>\w+)(?: \((?P<other>\w+)\))?(?:  .*)?")


def _public_classes(module: ModuleType) -> dict[str, type]:
    own = inspect.getmembers(module, lambda value: inspect.isclass(value) and value.__module__ == module.__name__)
    return {name: value for name, value in own if not name.startswith("_")}


def test_all_is_sorted_and_has_no_name_twice() -> None:
    """``__all__`` is in the order of ``sorted()``, so that two additions do not meet on one line."""
    assert list(mida_async.__all__) == sorted(set(mida_async.__all__))


def test_all_is_what_can_be_seen() -> None:
    """Each public name that is no submodule is in ``__all__``, and each name in ``__all__`` exists."""
    for name in mida_async.__all__:
        getattr(mida_async, name)  # some are loaded at first use, and are seen from then on
    visible = {
        name
        for name, value in vars(mida_async).items()
        if not name.startswith("_")
        and not isinstance(value, ModuleType)
        and name not in {"annotations", "Final", "MappingProxyType", "TYPE_CHECKING"}
    }
    assert visible == {name for name in mida_async.__all__ if not name.startswith("_")}
    assert [name for name in mida_async.__all__ if not hasattr(mida_async, name)] == []


def test_every_error_and_every_setting_is_exported() -> None:
    """Whatever a user catches or configures comes from ``mida_async`` itself."""
    settings = {name: value for name, value in _public_classes(_settings).items() if attrs.has(value)}
    wanted = {**_public_classes(_errors), **settings}
    assert len(settings) >= 5
    assert {name: getattr(mida_async, name, None) for name in wanted} == wanted


def test_the_facade_has_no_logic() -> None:
    """``mida_async/__init__.py`` defines nothing of its own: every exported object lives elsewhere."""
    own = [name for name in mida_async.__all__ if getattr(getattr(mida_async, name), "__module__", "") == "mida_async"]
    assert own == []


def test_the_tree_in_the_docstring_is_the_tree_of_errors() -> None:
    """The docstring of ``_errors`` lists every class once, below its parent, with its other base in brackets."""
    documented: dict[str, tuple[str, ...]] = {}
    parents: list[tuple[int, str]] = []
    for line in (_errors.__doc__ or "").splitlines():
        if found := _LINE.fullmatch(line):
            depth, name, other = len(found["indent"]), found["name"], found["other"]
            parents = [(above, parent) for above, parent in parents if above < depth]
            bases = [parents[-1][1]] if parents else ["Exception"]
            assert name not in documented, f"{name} is listed twice"
            documented[name] = (*bases, *([other] if other else []))
            parents.append((depth, name))
    actual = {name: tuple(base.__name__ for base in cls.__bases__) for name, cls in _public_classes(_errors).items()}
    assert documented == actual


def test_a_star_import_brings_exactly_the_exported_names() -> None:
    """``from mida_async import *`` works, and is the same as ``__all__``."""
    namespace: dict[str, object] = {}
    exec("from mida_async import *", namespace)  # noqa: S102  there is no other way to run this statement in a test
    assert set(namespace) - {"__builtins__"} == set(mida_async.__all__)


def test_the_documented_submodules_can_be_imported() -> None:
    """``mida_async.models``, ``.instrumentation`` and ``.testing`` are public: each imports and has ``__all__``."""
    for name in ("models", "instrumentation", "testing"):
        module = importlib.import_module(f"mida_async.{name}")
        assert sorted(module.__all__) == list(module.__all__), name


def test_models_can_be_listed_and_missed() -> None:
    """The models are loaded when they are asked for, and behave like those of any module."""
    models = importlib.import_module("mida_async.models")
    assert {"Variant", "Condition", "Goal"} <= set(dir(models))
    with pytest.raises(AttributeError, match="Nothing"):
        _ = models.Nothing
