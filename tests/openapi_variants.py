"""What tests make of the OpenAPI document: stricter and smaller ones, and the values that it knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mida_async.models.base import Input, Model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

MOST = 2


def _subclasses(cls: type[Model | Input]) -> Iterator[type[Model | Input]]:
    yield cls
    for below in cls.__subclasses__():
        yield from _subclasses(below)


def closed(document: dict[str, Any]) -> dict[str, Any]:
    """
    Return a document whose answers have no keys but those that it names.

    A model that is meant to hold more says in its docstring that it is in ``extra``.

    Args:
        document: The document.
    """
    names = {cls.__name__ for cls in _subclasses(Model) if "in ``extra``" not in (cls.__doc__ or "")}
    return _with_components(_with_operations(document, _answers_closed), names, _closed)


def small(document: dict[str, Any]) -> dict[str, Any]:
    """
    Return a document whose requests are small, because making large ones takes most of the time of a test.

    Args:
        document: The document.
    """
    names = {cls.__name__ for cls in _subclasses(Input)}
    return _with_components(_with_operations(document, _small), names, _small)


def _with_components(
    document: dict[str, Any], names: set[str], change: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    components = document["components"]
    schemas = {name: change(each) if name in names else each for name, each in components["schemas"].items()}
    return {**document, "components": {**components, "schemas": schemas}}


def _with_operations(document: dict[str, Any], change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    paths = document["paths"].items()
    changed = {path: {method: change(each) for method, each in methods.items()} for path, methods in paths}
    return {**document, "paths": changed}


def _answers_closed(operation: dict[str, Any]) -> dict[str, Any]:
    responses = dict(operation["responses"])
    for status, answer in responses.items():
        if "content" in answer:
            schema = answer["content"]["application/json"]["schema"]
            responses[status] = {**answer, "content": {"application/json": {"schema": _closed(schema)}}}
    return {**operation, "responses": responses}


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    return {"additionalProperties": False, **schema} if "properties" in schema else schema


def _small(value: Any) -> Any:
    if isinstance(value, list):
        return [_small(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: each if key == "responses" else _small(each) for key, each in value.items()}
    if found.get("type") == "array":
        found.setdefault("maxItems", max(MOST, found.get("minItems", 0)))
    if found.get("type") == "object" and "properties" not in found:
        found.setdefault("maxProperties", MOST)
    return _closed(found) if found.get("type") == "object" else found


def examples(value: Any) -> dict[str, list[object]]:
    """
    Return the values that are known of each property of which some are.

    Args:
        value: The document, or a part of it.
    """
    if isinstance(value, list):
        return _merged(value)
    if not isinstance(value, dict):
        return {}
    properties = value.get("properties", {})
    # A property may have the name "properties" itself; what is below that is no schema.
    named = {name: each for name, each in properties.items() if isinstance(each, dict)}
    return {name: each["examples"] for name, each in named.items() if "examples" in each} | _merged(value.values())


def _merged(values: Iterable[Any]) -> dict[str, list[object]]:
    return {name: known for value in values for name, known in examples(value).items()}


def aimed(value: Any, known: Mapping[str, Sequence[object]], choose: Callable[[Sequence[object]], object]) -> Any:
    """
    Return a body with values that are known in place of what it has under their names.

    Args:
        value: The body, or a part of it.
        known: The values by name.
        choose: Chooses one.
    """
    if isinstance(value, list):
        return [aimed(item, known, choose) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: choose(known[name]) if name in known else aimed(item, known, choose) for name, item in value.items()}
