"""What one row of the table of endpoints says, and how arguments are laid out by it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, cast

import attrs

from ..._errors import InvalidRequestError
from ..._sentinels import UNSET
from ..arguments import Field
from ..checks import encoded

Method: TypeAlias = Literal["GET", "POST", "PATCH", "DELETE"]

DOCS: Final = "https://github.com/mida-so/api-docs/blob/63496288/docs/v2"


class Repeat(enum.Enum):
    """Whether a request whose fate is unknown may be sent again."""

    SAFE = "safe"
    """Twice does the same as once."""

    UNSAFE = "unsafe"
    """Twice may do it twice."""


class Host(enum.Enum):
    """Which of the vendor's services an endpoint belongs to."""

    REST = "rest"
    """The REST API, which needs the API key."""

    SDK = "sdk"
    """The service of the server-side SDKs, which is told the public project key and never the API key."""


@attrs.frozen(kw_only=True)
class Endpoint:
    """
    One row of the table.

    Attributes:
        name: Section and method of the client, such as ``events.get``.
        method: The HTTP method.
        path: The path after the base URL, with ``{names}`` for what is filled in.
        summary: What it does, in one sentence.
        repeat: Whether it may be sent again when its fate is unknown.
        fields: The method's arguments.
        answer: The class of the result.
        key: The key of the body that holds the result; None where the body itself is the result.
        rows: The field of the result that holds rows, where it is a list.
        partial: Whether it changes what is given and leaves the rest: None is sent as null then, and at least one field
            of the body must be given.
        status: The status of a success.
        errors: The statuses that the page documents for failures, besides 401 and 500 which every call may have.
        plan_capped: Whether the page documents 403 as "the plan allows no more".
        body_matters: Whether a success says more than that it is one. Where it does not, a body that is lost or cannot
            be read makes no failure of it.
        host: The service it belongs to.
        project_field: The field of the body that names the project, where the path does not. The client fills it in.
        together: Checks what the arguments must be together, and raises :class:`InvalidRequestError`; it is told those
            that go out, as they go out.
        page: The vendor's page, as of 2026-08-22; None where there is none.
    """

    name: str
    method: Method
    path: str
    summary: str
    repeat: Repeat
    fields: tuple[Field, ...] = ()
    answer: Any
    key: str | None = None
    rows: str = ""
    partial: bool = False
    status: int = 200
    errors: frozenset[int] = frozenset()
    plan_capped: bool = False
    body_matters: bool = True
    host: Host = Host.REST
    project_field: str = ""
    together: Callable[[Mapping[str, object]], None] | None = None
    page: str | None

    @property
    def section(self) -> str:
        """The attribute of the client that has its method."""
        return self.name.partition(".")[0]

    @property
    def verb(self) -> str:
        """The name of the method."""
        return self.name.partition(".")[2]


def row(  # noqa: PLR0913  the columns of a table
    name: str,
    call: str,
    page: str | None,
    summary: str,
    *,
    answer: Any,
    fields: tuple[Field, ...] = (),
    repeat: Repeat = Repeat.SAFE,
    errors: tuple[int, ...] = (),
    **particular: Any,
) -> Endpoint:
    """
    Make a row.

    Args:
        name: Section and method of the client.
        call: Method and path; ``P`` stands for the project's path.
        page: The name of the vendor's page.
        summary: What it does, in one sentence.
        answer: The class of the result.
        fields: The method's arguments.
        repeat: Whether it may be sent again when its fate is unknown.
        errors: The statuses that the page documents for failures, besides 401 and 500.
        particular: What else is particular to it; see :class:`Endpoint`.
    """
    method, _, path = call.partition(" ")
    if path == "P" or path.startswith("P/"):
        path = f"/v2/project/{{project_key}}{path[1:]}"
    return Endpoint(
        name=name,
        method=method,  # type: ignore[arg-type]
        path=path,
        summary=summary,
        answer=answer,
        fields=fields,
        repeat=repeat,
        errors=frozenset(errors),
        page=None if page is None else f"{DOCS}/{page}.md",
        **particular,
    )


def by_name(*rows: Endpoint) -> Mapping[str, Endpoint]:
    """
    Make the table of a section.

    Args:
        rows: Its rows.
    """
    return MappingProxyType({row.name: row for row in rows})


@attrs.frozen(kw_only=True)
class Layout:
    """
    Where the arguments of one call go.

    Attributes:
        path: The ids in the path.
        query: The fields of the query.
        body: The encoded body, if the endpoint takes one.
    """

    path: Mapping[str, object]
    query: Mapping[str, object]
    body: bytes | None


_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})


def lay_out(endpoint: Endpoint, arguments: Mapping[str, object], own: Mapping[str, object] = _NOTHING) -> Layout:
    """
    Check the arguments of a call, and sort them by where they go.

    Args:
        endpoint: What is called.
        arguments: By their names. What is UNSET is not sent. Neither is None where a field may be left out; in the body
            of an update it is null.
        own: Fields of the body that the client gives by itself; an argument takes the place of one.

    Raises:
        InvalidRequestError: One is wrong, or an update has none.
    """
    content: dict[str, dict[str, object]] = {"path": {}, "query": {}, "body": dict(own)}
    for field in endpoint.fields:
        value = arguments.get(field.name, UNSET)
        if value is UNSET and field.required:
            message = f"{field.name} is missing: {field.help}"
            raise InvalidRequestError(message)
        if value is UNSET or (value is None and _may_be_left_out(endpoint, field)):
            continue
        to_null = value is None and field.nullable
        _put(content[field.place], field, None if to_null else _checked(field, value))
    body = content["body"]
    names = [field.name for field in endpoint.fields if field.place == "body"]
    if endpoint.partial and not body:
        message = f"nothing to change: give at least one of {', '.join(names)}"
        raise InvalidRequestError(message)
    if endpoint.together is not None:
        endpoint.together(MappingProxyType({**content["query"], **body}))
    return Layout(
        path=MappingProxyType(content["path"]),
        query=MappingProxyType(content["query"]),
        body=encoded(body) if names else None,
    )


def _checked(field: Field, value: object) -> object:
    try:
        return field.kind.check(field.name, value)
    except InvalidRequestError:
        raise
    except Exception as error:  # noqa: BLE001 - an object of the caller's may do anything when it is looked at
        problem = type(error).__name__
    message = f"{field.name} cannot be read: {problem} came of looking at it"
    raise InvalidRequestError(message)


def dates_in_order(arguments: Mapping[str, object]) -> None:
    """
    Refuse a last day before the first; what the server makes of that is not documented for every list.

    Args:
        arguments: What goes out.
    """
    first, last = str(arguments.get("start_date", "")), str(arguments.get("end_date", ""))
    if first and last and last < first:
        message = f"end_date is {last}; it must not be before start_date, which is {first}"
        raise InvalidRequestError(message)


def _put(content: dict[str, object], field: Field, value: object) -> None:
    if field.spread:
        for name, item in cast("Mapping[str, object]", value).items():
            content.setdefault(name, item)
    else:
        content[field.wire_name or field.name] = value


def _may_be_left_out(endpoint: Endpoint, field: Field) -> bool:
    null_is_a_value = endpoint.partial and field.place == "body"
    return not field.required and field.default is None and not null_is_a_value
