"""
What the arguments of direct calls may be, as a table needs it.

Each :class:`Kind` says once how an argument is checked and what its schema is. The methods, the command line and the
OpenAPI document are made from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs

from ..models.base import Input
from .checks import (
    LARGEST,
    Check,
    any_text,
    day,
    each,
    flag,
    item_of,
    mapping,
    number,
    object_or_text,
    text,
    text_or_number,
    whole,
)

if TYPE_CHECKING:
    import enum

Place: TypeAlias = Literal["path", "query", "body"]
Schema: TypeAlias = Mapping[str, object]

# docs/v2/list-events, list-goals, list-experiments and list-projects, 2026-08-22. What the server does with more is not
# said.
MAX_PAGE_SIZE: Final = 500


def _frozen(schema: Schema) -> Schema:
    return MappingProxyType(dict(schema))


@attrs.frozen(kw_only=True)
class Kind:
    """
    What a value may be.

    Attributes:
        name: What the command line and the documentation call it.
        check: Returns what goes out for a field's name and its value, or raises :class:`InvalidRequestError`.
        schema: The JSON schema of what goes out; ``{"$ref": "#/components/schemas/Name"}`` stands for a class.
        models: The classes that the schema names.
    """

    name: str
    check: Check
    schema: Schema = attrs.field(converter=_frozen)
    models: tuple[type[Input], ...] = ()


@attrs.frozen(kw_only=True)
class Field:
    """
    One argument of an endpoint.

    Attributes:
        name: Its name, in the method as on the wire.
        kind: What it may be.
        place: Where it goes.
        help: What it means, in one sentence.
        required: Whether it must be given.
        nullable: Whether it can be null: an update then sends null for None.
        default: What the method sends where it is not given; None where it sends nothing then.
        wire_name: Its name on the wire, where that is another one.
        spread: Whether the items of its value, a mapping, stand among the fields of the body, and give way to them.
    """

    name: str
    kind: Kind
    place: Place
    help: str
    required: bool = False
    nullable: bool = False
    default: object = None
    wire_name: str = ""
    spread: bool = False


def _reference(cls: type[Input]) -> Schema:
    return {"$ref": f"#/components/schemas/{cls.__name__}"}


def input_of(cls: type[Input]) -> Kind:
    """
    Make a kind of a *cls* or a plain mapping with the vendor's keys.

    Args:
        cls: The class.
    """
    return Kind(name="object", check=item_of(cls), schema=_reference(cls), models=(cls,))


def inputs_of(cls: type[Input], *, least: int = 0, most: int | None = None) -> Kind:
    """
    Make a kind of a list of *cls* or plain mappings with the vendor's keys.

    Args:
        cls: The class.
        least: How many there must be.
        most: How many there may be.
    """
    schema: dict[str, object] = {"type": "array", "items": _reference(cls)}
    if least:
        schema["minItems"] = least
    if most is not None:
        schema["maxItems"] = most
    check = each(item_of(cls), f"{cls.__name__}s or mappings", least=least, most=most)
    return Kind(name="objects", check=check, schema=schema, models=(cls,))


def choices(members: type[enum.StrEnum]) -> Kind:
    """
    Make a kind of a text of which some values are known.

    Others pass: the vendor adds to these lists.

    Args:
        members: The known ones.
    """
    return Kind(
        name="text", check=text, schema={"type": "string", "minLength": 1, "examples": [str(each) for each in members]}
    )


TEXT: Final = Kind(name="text", check=text, schema={"type": "string", "minLength": 1, "pattern": r"\S"})
ANY_TEXT: Final = Kind(name="text", check=any_text, schema={"type": "string"})
TEXT_OR_NUMBER: Final = Kind(name="text", check=text_or_number, schema=TEXT.schema)
FLAG: Final = Kind(name="flag", check=flag, schema={"type": "boolean"})
DAY: Final = Kind(name="day", check=day, schema={"type": "string", "format": "date"})
OBJECT: Final = Kind(name="object", check=mapping, schema={"type": "object"})
OBJECT_OR_TEXT: Final = Kind(name="json", check=object_or_text, schema={"type": ["object", "string"]})
TEXTS: Final = Kind(name="texts", check=each(text, "strings"), schema={"type": "array", "items": TEXT.schema})


def wholes(least: int, most: int = LARGEST) -> Kind:
    """
    Make a kind of a whole number in a range.

    Args:
        least: The smallest.
        most: The largest.
    """
    schema = {"type": "integer", "minimum": least, **({} if most == LARGEST else {"maximum": most})}
    return Kind(name="whole", check=lambda field, value: whole(field, value, least, most), schema=schema)


def numbers(least: float, most: float) -> Kind:
    """
    Make a kind of a number in a range.

    Args:
        least: The smallest.
        most: The largest.
    """
    schema = {"type": "number", "minimum": least, "maximum": most}
    return Kind(name="number", check=lambda field, value: number(field, value, least, most), schema=schema)


# Status codes pass without a list of known ones: the vendor has renumbered them before.
STATUS: Final = wholes(0)
# The ids of a path are checked where addresses are made, in `request`, so that no caller can go round it.
NUMBER_IN_PATH: Final = Kind(
    name="whole", check=lambda _, value: value, schema={"type": "integer", "minimum": 1, "maximum": LARGEST}
)
KEY_IN_PATH: Final = Kind(
    name="text", check=lambda _, value: value, schema={"type": "string", "pattern": "^[A-Za-z0-9_-]+$"}
)


def paging(size: int = 50) -> tuple[Field, Field]:
    """
    Return the two fields of a list that is given in pages.

    Args:
        size: How many rows a page has where nothing is said.
    """
    limit, offset = wholes(1, MAX_PAGE_SIZE), wholes(0)
    return (
        Field(name="limit", kind=limit, place="query", help="How many rows at most, 1 to 500.", default=size),
        Field(name="offset", kind=offset, place="query", help="How many rows to pass over.", default=0),
    )


def number_in_path(name: str, help: str) -> Field:  # noqa: A002 - the field's own word
    """
    Return the field of a number in a path.

    Args:
        name: Its name.
        help: What it is the number of.
    """
    return Field(name=name, kind=NUMBER_IN_PATH, place="path", help=help, required=True)


def optional(*fields: Field) -> tuple[Field, ...]:
    """
    Return the same fields for a call that needs none of them.

    Args:
        fields: The fields of a call that does.
    """
    return tuple(attrs.evolve(field, required=False) for field in fields)
