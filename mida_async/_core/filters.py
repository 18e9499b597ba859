"""
Filters as they go out: lists of lists of conditions.

The two nestings look alike and mean opposite things, so each field has its own kind, and both kinds keep the meaning of
what is written with :class:`AllOf` and :class:`AnyOf`. What a field cannot hold as it stands is distributed over it:
``(a | b) & c`` becomes ``(a & c) | (b & c)``, which is true for the same visitors whatever the conditions are. That may
multiply conditions, so there is a limit to it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias, TypeVar, cast

import attrs

from .._errors import DecodeError, InvalidRequestError
from ..models.base import Input
from ..models.filters import AllOf, AnyOf, AttributeCondition, Condition
from .arguments import Kind
from .checks import Check, is_list, json_text, plain, refuse
from .codec import decode

Nested: TypeAlias = list[list[dict[str, object]]]

_Item = TypeVar("_Item")

# Whether the server has limits of its own is not documented. Addresses are commonly cut off above 8,000 characters.
MAX_CONDITIONS: Final = 500
"""How many conditions a filter may come to as it goes out."""

_MAX_DEPTH: Final = 50


@attrs.frozen(kw_only=True)
class _Nesting:
    """
    What lies in what.

    Attributes:
        outer: The group that the outer list stands for.
        inner: The group that an inner list stands for.
        condition: The class of a condition.
        keys: The keys that a mapping needs to be one; of those in one tuple, any.
        shape: How it is written, for messages.
    """

    outer: type[AllOf | AnyOf]
    inner: type[AllOf | AnyOf]
    condition: type[Input]
    keys: tuple[tuple[str, ...], ...]
    shape: str


_AND_OF_ORS: Final = _Nesting(
    outer=AllOf,
    inner=AnyOf,
    condition=Condition,
    keys=(("criteria",), ("operator",)),
    shape="an AND of ORs: [[a, b], [c]] is (a or b) and c, which AllOf(AnyOf(a, b), c) says, too",
)
_OR_OF_ANDS: Final = _Nesting(
    outer=AnyOf,
    inner=AllOf,
    condition=AttributeCondition,
    keys=(("key",), ("operand", "operator")),
    shape="an OR of ANDs: [[a, b], [c]] is (a and b) or c, which AnyOf(AllOf(a, b), c) says, too",
)


def and_of_ors(field: str, value: object) -> Nested:
    """
    Return a filter for a field that holds an AND of ORs.

    Args:
        field: The argument, for messages.
        value: A :class:`Condition` or a mapping, a group of them, or the lists of lists themselves.

    Raises:
        InvalidRequestError: It is none of these, a part of it is empty, or it comes to too many conditions.
    """
    return _nested(field, value, _AND_OF_ORS)


def or_of_ands(field: str, value: object) -> Nested:
    """
    Return a filter for a field that holds an OR of ANDs.

    Args:
        field: The argument, for messages.
        value: An :class:`AttributeCondition` or a mapping, a group of them, or the lists of lists themselves.

    Raises:
        InvalidRequestError: It is none of these, a part of it is empty, or it comes to too many conditions.
    """
    return _nested(field, value, _OR_OF_ANDS)


def _nested(field: str, value: object, nesting: _Nesting) -> Nested:
    if is_list(value):
        return _of_lists(field, value, nesting)
    if isinstance(value, (AllOf, AnyOf, Input, Mapping)):
        return _of_part(field, cast("object", value), nesting, 0)
    raise refuse(field, value, nesting.shape)


def _of_lists(field: str, value: Iterable[object], nesting: _Nesting) -> Nested:
    groups = [_of_list(f"{field}[{number}]", group, nesting) for number, group in enumerate(value)]
    return _within_limit(field, _filled(field, groups))


def _of_list(field: str, value: object, nesting: _Nesting) -> list[dict[str, object]]:
    if not is_list(value):
        allowed = f"a list of conditions, because this field is {nesting.shape}"
        raise refuse(field, value, allowed)
    items = enumerate(value)
    return _filled(field, [_condition(f"{field}[{number}]", item, nesting) for number, item in items])


def _of_part(field: str, value: object, nesting: _Nesting, depth: int) -> Nested:
    if not isinstance(value, (AllOf, AnyOf)):
        return [[_condition(field, value, nesting)]]
    if depth > _MAX_DEPTH:
        message = f"{field} has groups that are nested more than {_MAX_DEPTH} deep"
        raise InvalidRequestError(message)
    parts = [_of_part(f"{field}[{number}]", part, nesting, depth + 1) for number, part in enumerate(value.parts)]
    _filled(field, parts)
    if isinstance(value, nesting.outer):
        return _within_limit(field, [group for part in parts for group in part])
    return _distributed(field, parts)


def _distributed(field: str, parts: list[Nested]) -> Nested:
    """Take one inner group of each part, in every combination; where each part has just one, they become one group."""
    combinations = math.prod(len(part) for part in parts)
    if combinations > MAX_CONDITIONS:
        raise _too_many(field)
    groups = [list(itertools.chain.from_iterable(chosen)) for chosen in itertools.product(*parts)]
    return _within_limit(field, groups)


def _within_limit(field: str, groups: Nested) -> Nested:
    if sum(map(len, groups)) > MAX_CONDITIONS:
        raise _too_many(field)
    return groups


def _too_many(field: str) -> InvalidRequestError:
    message = f"{field} comes to more than {MAX_CONDITIONS} conditions, written out as lists of lists"
    return InvalidRequestError(message)


def _filled(field: str, items: list[_Item]) -> list[_Item]:
    if not items:
        message = f"{field} is empty; it must hold at least one condition"
        raise InvalidRequestError(message)
    return items


def _condition(field: str, value: object, nesting: _Nesting) -> dict[str, object]:
    content = plain(field, value)
    if _is_condition(value, content, nesting):
        return cast("dict[str, object]", content)
    needed = " and ".join(" or ".join(keys) for keys in nesting.keys)
    allowed = f"{nesting.condition.__name__}(...) or a mapping with {needed}; this field is {nesting.shape}"
    raise refuse(field, value, allowed)


def _is_condition(value: object, content: object, nesting: _Nesting) -> bool:
    if not isinstance(value, (nesting.condition, Mapping)):
        return False
    said = cast("Mapping[str, object]", content)
    return all(any(_is_text(said.get(key)) for key in keys) for keys in nesting.keys)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _also_as_text(check: Check) -> Check:
    """Make a check that reads JSON text first, which is how the API takes filters in a query."""

    def read_and_check(field: str, value: object) -> object:
        if not isinstance(value, str):
            return check(field, value)
        try:
            read = decode(value.encode())
        except (DecodeError, UnicodeEncodeError):
            pass
        else:
            return check(field, read)
        allowed = "conditions, or JSON text of a list of lists of them"
        raise refuse(field, value, allowed)

    return read_and_check


def _schema(nesting: _Nesting) -> dict[str, object]:
    reference = {"$ref": f"#/components/schemas/{nesting.condition.__name__}"}
    group = {"type": "array", "minItems": 1, "items": reference}
    return {"type": "array", "minItems": 1, "items": group}


def _in_a_body(check: Check, nesting: _Nesting) -> Kind:
    return Kind(name="json", check=check, schema=_schema(nesting), models=(nesting.condition,))


def _in_a_query(check: Check, nesting: _Nesting) -> Kind:
    schema = {"type": "string", "contentMediaType": "application/json", "contentSchema": _schema(nesting)}
    return Kind(name="json", check=json_text(_also_as_text(check)), schema=schema, models=(nesting.condition,))


AND_OF_ORS: Final = _in_a_body(and_of_ors, _AND_OF_ORS)
OR_OF_ANDS: Final = _in_a_body(or_of_ands, _OR_OF_ANDS)
AND_OF_ORS_TEXT: Final = _in_a_query(and_of_ors, _AND_OF_ORS)
OR_OF_ANDS_TEXT: Final = _in_a_query(or_of_ands, _OR_OF_ANDS)
