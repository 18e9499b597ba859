"""From the types of models to JSON schemas."""

from __future__ import annotations

import datetime as dt
import enum
import inspect
import re
import textwrap
import types
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

import attrs

from ..._sentinels import Unset
from ...models.base import TEXT_OF, WIRE_NAME, Reply

JSON: TypeAlias = dict[str, Any]

_PLAIN: Final[Mapping[object, Mapping[str, object]]] = MappingProxyType(
    {
        bool: {"type": "boolean"},
        int: {"type": "integer"},
        float: {"type": "number"},
        str: {"type": "string"},
        dt.datetime: {"type": "string", "format": "date-time"},
        dt.date: {"type": "string", "format": "date"},
        # Any JSON value at all: the vendor's page says no more.
        object: {},
        Any: {},
    }
)
# docs/v2/list-events and get-event-details, 2026-08-22: a text that holds JSON, within the JSON.
_JSON_TEXT: Final = MappingProxyType({"type": ["string", "null"], "contentMediaType": "application/json"})
_ARRAYS: Final = (tuple, list, Sequence)
_OBJECTS: Final = (dict, Mapping)
_UNIONS: Final = (Union, types.UnionType)


def nullable(schema: JSON) -> JSON:
    """
    Allow null as well.

    Args:
        schema: What is allowed so far.
    """
    if not schema:
        return schema
    if "type" not in schema or "enum" in schema:
        return {"anyOf": [*schema.get("anyOf", [schema]), {"type": "null"}]}
    kinds = schema["type"]
    return {**schema, "type": [*([kinds] if isinstance(kinds, str) else kinds), "null"]}


def described(schema: JSON, text: str) -> JSON:
    """
    Add what a value means.

    Args:
        schema: What it may be.
        text: What it means; nothing is added where this is empty.
    """
    return {**schema, "description": text} if text else schema


def success() -> JSON:
    """Return the schema of what every success says of itself."""
    return {"type": "boolean", "const": True, "description": "True in every success."}


def attribute_texts(cls: type) -> dict[str, str]:
    """
    Return what the docstrings of *cls* and the classes above it say about each attribute.

    Args:
        cls: The class.
    """
    texts: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        text = inspect.cleandoc(each.__doc__ or "")
        found = re.search(r"^Attributes:\n((?:    .*\n?|\n)+)", text, re.MULTILINE)
        entries = textwrap.dedent(found.group(1)) if found else ""
        pairs = re.findall(r"^(\w+): ((?:.*\n?)(?:    .*\n?)*)", entries, re.MULTILINE)
        texts |= {name: markdown(words) for name, words in pairs}
    return texts


def markdown(text: str) -> str:
    """
    Return a part of a docstring as OpenAPI shows texts.

    Args:
        text: The part; it becomes one line.
    """
    plain = re.sub(r":(?:class|meth|data|attr):`~?([\w.]+)`", r"``\1``", " ".join(text.split()))
    return plain.replace("``", "`")


class Schemas:
    """The schemas of types, and the components that they refer to."""

    def __init__(self) -> None:
        self._components: dict[str, JSON] = {}
        self._classes: dict[str, type] = {}

    @property
    def components(self) -> dict[str, JSON]:
        """The schemas of all classes that were asked for so far, and of those within them."""
        return {name: self._components[name] for name in sorted(self._components)}

    def of(self, hint: Any) -> JSON:
        """
        Return the schema of a type; a class of fields is remembered, and referred to.

        Args:
            hint: The type, as an annotation has it.

        Raises:
            TypeError: It is none that a model may have.
        """
        if hint in _PLAIN:
            return dict(_PLAIN[hint])
        if isinstance(hint, type) and attrs.has(hint):
            return self._reference(hint)
        if isinstance(hint, type) and issubclass(hint, enum.Enum):
            return {**self._base(hint), "enum": [member.value for member in hint]}
        return self._composed(hint)

    def _composed(self, hint: Any) -> JSON:
        origin, arguments = get_origin(hint), get_args(hint)
        if origin in _UNIONS:
            return self._union(arguments)
        if origin in _ARRAYS:
            return {"type": "array", "items": self.of(arguments[0])}
        if origin in _OBJECTS:
            values = self.of(arguments[1])
            return {"type": "object", **({"additionalProperties": values} if values else {})}
        if origin is Literal:
            return {**self.of(type(arguments[0])), "enum": list(arguments)}
        message = f"{hint!r} has no JSON schema"
        raise TypeError(message)

    def _union(self, members: Iterable[Any]) -> JSON:
        given = [member for member in members if not _is_unset(member)]
        others = _without_other_ways(member for member in given if member is not type(None))
        schema = self._open_enumeration(others) or self._either(others)
        return nullable(schema) if type(None) in given else schema

    def _open_enumeration(self, members: Sequence[Any]) -> JSON | None:
        """Return the schema of a type of which some values are known."""
        known = [each for each in members if isinstance(each, type) and issubclass(each, enum.Enum)]
        rest = [each for each in members if each not in known]
        if not known or not rest:
            return None
        examples = [member.value for each in known for member in each]
        return {**self._either(rest), "examples": examples}

    def _either(self, members: Sequence[Any]) -> JSON:
        schemas = [self.of(member) for member in members]
        if len(schemas) == 1:
            return schemas[0]
        if all(schema.keys() == {"type"} for schema in schemas):
            return {"type": [schema["type"] for schema in schemas]}
        return {"anyOf": schemas}

    def _base(self, cls: type[enum.Enum]) -> JSON:
        return self.of(type(next(iter(cls)).value))

    def _reference(self, cls: type) -> JSON:
        name = cls.__name__
        if self._classes.setdefault(name, cls) is not cls:
            message = f"{cls!r} and {self._classes[name]!r} have the same name"
            raise TypeError(message)
        if name not in self._components:
            self._components[name] = {}  # so that a class within itself ends
            self._components[name] = self._of_fields(cls)
        return {"$ref": f"#/components/schemas/{name}"}

    def _of_fields(self, cls: type) -> JSON:
        hints, texts = get_type_hints(cls), attribute_texts(cls)
        fields = {field.name: field for field in attrs.fields(cls) if field.name != "extra"}
        within = {field.metadata.get(TEXT_OF) for field in fields.values()}
        properties: JSON = {}
        for name, field in fields.items():
            if TEXT_OF not in field.metadata:
                schema = _JSON_TEXT if name in within else self.of(hints[name])
                properties[field.metadata.get(WIRE_NAME, name)] = described(dict(schema), texts.get(name, ""))
        required = [
            field.metadata.get(WIRE_NAME, name) for name, field in fields.items() if field.default is attrs.NOTHING
        ]
        if issubclass(cls, Reply):
            properties["success"] = success()
            required.insert(0, "success")
        text = markdown(inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0])
        return described(
            {"type": "object", "properties": properties, **({"required": required} if required else {})}, text
        )


def _without_other_ways(members: Iterable[Any]) -> list[Any]:
    """
    Leave out what goes over the wire in the same form as another member.

    A plain mapping stands for the class of the fields beside it, and a time is a text.
    """
    found = list(members)
    if any(attrs.has(member) for member in found if isinstance(member, type)):
        found = [member for member in found if get_origin(member) not in _OBJECTS]
    return [member for member in found if not (member is dt.datetime and str in found)]


def _is_unset(member: Any) -> bool:
    return member is Unset or Unset.UNSET in get_args(member)
