"""From a method and a path to an endpoint of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import attrs

from .wire import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..._core.endpoints import Endpoint


@attrs.frozen
class Match:
    """
    The endpoint that a path leads to.

    Attributes:
        name: The endpoint's name in the table.
        ids: What the path fills in, unescaped.
    """

    name: str
    ids: dict[str, str]


@attrs.frozen
class _Target:
    name: str
    parameters: tuple[str, ...]


@attrs.define
class _Node:
    children: dict[str, _Node] = attrs.field(factory=dict[str, "_Node"])
    parameter: _Node | None = None
    targets: dict[str, _Target] = attrs.field(factory=dict[str, _Target])

    def child(self, segment: str) -> _Node:
        if not segment.startswith("{"):
            return self.children.setdefault(segment, _Node())
        if self.parameter is None:
            self.parameter = _Node()
        return self.parameter


class Routes:
    """
    A tree of path segments.

    Args:
        endpoints: The rows; of those with the same method and path the first is found.
    """

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._root: Final = _Node()
        for endpoint in endpoints:
            node = self._root
            segments = endpoint.path.strip("/").split("/")
            for segment in segments:
                node = node.child(segment)
            parameters = tuple(segment[1:-1] for segment in segments if segment.startswith("{"))
            node.targets.setdefault(endpoint.method, _Target(endpoint.name, parameters))

    def find(self, method: str, path: str) -> Match:
        """
        Return the endpoint for *method* at *path*.

        Raises:
            Refusal: 404 where there is no such path, 405 where it has no such method.
        """
        node, values = self._walk(path)
        if node is None or not node.targets:
            text = f"No such endpoint: {path}"
            raise Refusal(404, text)
        target = node.targets.get(method)
        if target is None:
            text = f"{method} is not allowed here"
            raise Refusal(405, text, {"Allow": ", ".join(sorted(node.targets))})
        return Match(target.name, dict(zip(target.parameters, values, strict=True)))

    def _walk(self, path: str) -> tuple[_Node | None, list[str]]:
        node: _Node | None = self._root
        values: list[str] = []
        for segment in path.removeprefix("/").split("/"):
            if node is None:
                break
            inner = node.children.get(segment)
            if inner is None and segment:
                inner = node.parameter
                values.append(unquote(segment))
            node = inner
        return node, values
