"""
The variants of an experiment as they go out: treatments only, each named by its place.

The server takes no other names than ``Variant 1``, ``Variant 2`` and so on, in this order, and wants changes of the
page with each, even if there are none (docs/v2/create-experiment, 2026-08-22).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import attrs

from .._errors import InvalidRequestError
from ..models.experiment_inputs import Variant
from .arguments import Kind, inputs_of
from .checks import each, item_of, mapping
from .targeting import targeting

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTROL: Final = "Control"


def variant_name(number: int) -> str:
    """
    Return the exact name of a variant.

    Args:
        number: 0 for Control, 1 for the first treatment, as reports number them.
    """
    return f"Variant {number}" if number else CONTROL


def numbered(field: str, value: object) -> list[object]:
    """
    Return variants as they go out, with their names and with changes of the page.

    Args:
        field: The argument, for messages.
        value: A list of :class:`Variant` or mappings with the vendor's keys; it is not changed.

    Raises:
        InvalidRequestError: It is none, it is empty, it holds Control, or one has another name than its place gives it.
    """
    items = cast("list[Mapping[str, object]]", _items(field, value))
    return [_named(f"{field}[{place}]", item, place) for place, item in enumerate(items)]


_items: Final = each(item_of(Variant), "Variants or mappings", least=1)
_changes: Final = each(mapping, "changes")


def _named(field: str, item: Mapping[str, object], place: int) -> dict[str, object]:
    exact = variant_name(place + 1)
    name = item.get("name")
    if name is not None and name != exact:
        raise _wrong_name(field, name, exact)
    if "variant_id" in item:
        message = f"{field} has a variant_id, which is how variants are read; they are written in order, without one"
        raise InvalidRequestError(message)
    rest = {key: content for key, content in item.items() if key != "name"}
    rest["data"] = [] if item.get("data") is None else _changes(f"{field}.data", item["data"])
    if item.get("targeting") is not None:
        rest["targeting"] = targeting(f"{field}.targeting", item["targeting"])
    return {"name": exact, **rest}


def _wrong_name(field: str, name: object, exact: str) -> InvalidRequestError:
    if isinstance(name, str) and name.strip().casefold() == CONTROL.casefold():
        message = f"{field} is Control, which is not sent: the server adds it; its nickname and code go into control"
        return InvalidRequestError(message)
    shown = ascii(name)[:60]
    message = f"{field}.name is {shown}; leave it out, or give {exact!r}: what people call a variant is its nickname"
    return InvalidRequestError(message)


def _kind() -> Kind:
    kind = inputs_of(Variant, least=1)
    item = {"allOf": [kind.schema["items"], {"required": ["name", "data"]}]}
    return attrs.evolve(kind, check=numbered, schema={**kind.schema, "items": item})


VARIANTS: Final = _kind()
