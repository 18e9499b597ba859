"""
Paths that a caller writes, checked and found in the table of endpoints.

``DELETE`` of a project is one dot segment or one lost segment away from every other path, and escapes are undone by
some of those who carry a request. So nothing is escaped here: a path consists of plain segments, or it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from .checks import LARGEST, refuse
from .endpoints import Endpoint, Host, Repeat
from .endpoints.table import ENDPOINTS

if TYPE_CHECKING:
    from .endpoints import Method

_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_.~-]+")
_PROJECT_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_ID: Final = re.compile(r"[1-9][0-9]{0,18}")
_DOTS: Final = frozenset({".", ".."})

_KEY: Final = "idempotency_key"


def method_of(method: object) -> str:
    """
    Return *method* in upper case.

    Args:
        method: One of GET, POST, PUT, PATCH and DELETE, in any case.

    Raises:
        InvalidRequestError: It is none of them.
    """
    found = method.upper() if isinstance(method, str) and method.isascii() else ""
    if found not in _METHODS:
        allowed = f"one of {', '.join(sorted(_METHODS))}"
        field = "method"
        raise refuse(field, method, allowed)
    return found


def address_of(path: object, project_key: str) -> str:
    """
    Return the address of *path* after the base URL, ``/v2/...``.

    Args:
        path: Beginning with ``/v2/`` or ``/project/``, it is complete; anything else belongs to the client's project.
            ``{project_key}`` stands for the client's. The slash at the beginning may be left out.
        project_key: The key of the client's project.

    Raises:
        InvalidRequestError: It is empty, or a segment is empty, is one or two dots, or has another character than
            letters, digits and ``_ . ~ -``.
    """
    if not isinstance(path, str):
        field, allowed = "path", "a string such as 'events' or '/v2/projects'"
        raise refuse(field, path, allowed)
    segments = [project_key if each == "{project_key}" else each for each in path.removeprefix("/").split("/")]
    if segments[0] == "v2":
        segments = segments[1:]
    elif segments[0] != "project":
        segments = ["project", project_key, *segments]
    if not segments or any(not _is_plain(segment) for segment in segments):
        field = "path"
        allowed = "segments of letters, digits and '_.~-', with a slash between them and none at the end"
        raise refuse(field, path, allowed)
    return "/".join(["/v2", *segments])


def _is_plain(segment: str) -> bool:
    return _SEGMENT.fullmatch(segment) is not None and segment not in _DOTS


def endpoint_at(method: str, address: str, body: object) -> Endpoint:
    """
    Return what the table says about a call, with its own address and the decoded body as its result.

    Args:
        method: The HTTP method.
        address: The address, checked.
        body: What is sent, before it is encoded.

    Returns:
        The first row with this method and path, or a new one, of which only a GET may be repeated.

    Raises:
        InvalidRequestError: In the place of an id that the table knows there is no such id.
    """
    row = next((row for row in ENDPOINTS.values() if _leads_to(row, method, address)), None)
    _check_ids(address, row)
    if row is None:
        return Endpoint(
            name="request",
            method=cast("Method", method),
            path=address,
            summary="A call that is not in the table.",
            repeat=Repeat.SAFE if method == "GET" else Repeat.UNSAFE,
            answer=Any,
            page=None,
        )
    repeat = row.repeat if _has_its_key(row, body) else Repeat.UNSAFE
    return attrs.evolve(row, path=address, fields=(), answer=Any, key=None, rows="", repeat=repeat)


def _leads_to(row: Endpoint, method: str, address: str) -> bool:
    if row.method != method or row.host is not Host.REST:
        return False
    expected, given = row.path.split("/"), address.split("/")
    return len(expected) == len(given) and all(
        part.startswith("{") or part == segment for part, segment in zip(expected, given, strict=True)
    )


def _check_ids(address: str, row: Endpoint | None) -> None:
    """Refuse what the methods refuse: ids are positive whole numbers, and the key of a project has no dots."""
    segments = address.split("/")
    keys = segments[3:4] if segments[2] == "project" else []
    names = row.path.split("/") if row else []
    wrong = [name for name, segment in zip(names[4:], segments[4:], strict=False) if not _may_stand_for(name, segment)]
    allowed = f"one with a whole number, 1 or greater, for the {wrong[0].strip('{}')}" if wrong else ""
    if not all(map(_PROJECT_KEY.fullmatch, keys)):
        allowed = "one with a project key of letters, digits, '_' and '-'"
    if allowed:
        field = "path"
        raise refuse(field, address, allowed)


def _may_stand_for(name: str, segment: str) -> bool:
    return not name.startswith("{") or (_ID.fullmatch(segment) is not None and int(segment) <= LARGEST)


def _has_its_key(row: Endpoint, body: object) -> bool:
    """Say whether the server can tell a repetition by a key, where it takes one; elsewhere it needs none."""
    if all(field.name != _KEY for field in row.fields):
        return True
    return isinstance(body, Mapping) and bool(cast("Mapping[str, object]", body).get(_KEY))
