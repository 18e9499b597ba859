"""The bodies of Klaviyo's requests: places in them, and the limits of what may stand there."""

from __future__ import annotations

from collections import deque
from typing import Any, Final, TypeGuard

import attrs

from .klaviyo_wire import PAYLOAD, Problem
from .wire import Refusal, json_object

# https://developers.klaviyo.com/en/reference/events_api_overview, as of 2026-11-20; KB are read as decimal.
MAX_STRING_BYTES: Final = 100_000
_MAX_ELEMENTS: Final = 4000
_MAX_LEVELS: Final = 10
_INTEGERS: Final = range(-(2**63), 2**63)

# Only objects count as levels there. Nothing is said about arrays in arrays, but what is remembered must be readable.
_DEEPEST: Final = 100


@attrs.frozen
class Node:
    """
    One place in a body.

    Attributes:
        value: What stands there; None also where nothing does.
        pointer: Where it is, as a JSON pointer.
    """

    value: Any
    pointer: str = ""

    def wrong(self, detail: str) -> Problem:
        """Make a 400 that points here."""
        return Problem(400, detail, self.pointer)

    def at(self, name: str) -> Node:
        """
        Return the place below, which may be empty.

        Args:
            name: The name of the field.

        Raises:
            Problem: There is no object here.
        """
        return self._below(name, self.fields().get(name))

    def needed(self, name: str) -> Node:
        """
        Return the place below, where something must be.

        Args:
            name: The name of the field.

        Raises:
            Problem: There is no object here, or nothing there.
        """
        node = self.at(name)
        if node.value is None:
            detail = f"'{name}' is a required field."
            raise node.wrong(detail)
        return node

    def fields(self) -> dict[str, Any]:
        """
        Return the object that must be here.

        Raises:
            Problem: There is none.
        """
        if not _is_object(self.value):
            raise self.wrong(PAYLOAD)
        return self.value

    def elements(self) -> list[Node]:
        """
        Return the places in the array that must be here.

        Raises:
            Problem: There is none.
        """
        if not _is_array(self.value):
            raise self.wrong(PAYLOAD)
        return [self._below(str(number), value) for number, value in enumerate(self.value)]

    def inner(self) -> list[Node]:
        """Return the places in the object or the array that is here, if one is."""
        if _is_array(self.value):
            return self.elements()
        return [self.at(name) for name in self.value] if _is_object(self.value) else []

    def text(self) -> str | None:
        """
        Return the string that is here, or None where nothing is.

        Raises:
            Problem: It is empty, or something else.
        """
        value = self.value
        if value is None or (isinstance(value, str) and value):
            return value
        detail = "A string that is not empty is expected."
        raise self.wrong(detail)

    def resource(self, kind: str) -> Node:
        """
        Return this place, which must hold a resource of JSON:API.

        Args:
            kind: Its type.

        Raises:
            Problem: It does not.
        """
        named = self.needed("type")
        if named.value != kind:
            detail = f"The type must be '{kind}'."
            raise named.wrong(detail)
        return self

    def _below(self, name: str, value: object) -> Node:
        escaped = name.replace("~", "~0").replace("/", "~1")
        return Node(value, f"{self.pointer}/{escaped}")


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _is_array(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def body_of(body: bytes) -> Node:
    """
    Decode a body.

    Raises:
        Problem: It is not a JSON object.
    """
    try:
        return Node(json_object(body))
    except Refusal as refusal:
        raise Problem(400, f"{refusal.text}.") from None


def size_of(text: str) -> int:
    """Return the bytes that *text* takes."""
    return len(text.encode("utf-8", "surrogatepass"))


def is_integer(value: int) -> bool:
    """Whether *value* is one of the integers of 64 bits."""
    return value in _INTEGERS


def check_limits(root: Node) -> int:
    """
    Check everything inside an object, whatever its fields are called.

    Args:
        root: The place of the object, which is its first level.

    Returns:
        The bytes of all its strings.

    Raises:
        Problem: Something is too long, too large or too deep.
    """
    strings = 0
    pending = deque([(root, 1, 1)])
    while pending:
        node, levels, depth = pending.popleft()
        if (levels > _MAX_LEVELS and _is_object(node.value)) or depth > _DEEPEST:
            detail = f"Objects must not be nested in more than {_MAX_LEVELS} levels."
            raise node.wrong(detail)
        strings += _check_alone(node)
        deeper = levels + _is_object(node.value)
        pending.extend((inner, deeper, depth + 1) for inner in node.inner())
    return strings


def _check_alone(node: Node) -> int:
    value = node.value
    if isinstance(value, str):
        return _check_string(node, value)
    if _is_array(value) and len(value) > _MAX_ELEMENTS:
        detail = f"An array must not have more than {_MAX_ELEMENTS} elements."
        raise node.wrong(detail)
    if isinstance(value, int) and not is_integer(value):
        detail = "An integer must fit into 64 bits."
        raise node.wrong(detail)
    return 0


def _check_string(node: Node, text: str) -> int:
    size = size_of(text)
    if size > MAX_STRING_BYTES:
        detail = f"A string must not be longer than {MAX_STRING_BYTES} bytes."
        raise node.wrong(detail)
    return size
