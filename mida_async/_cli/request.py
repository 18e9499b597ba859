"""``mida request``: calls that have no command of their own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, cast

import click

from .._core.addresses import address_of, endpoint_at, method_of
from .confirmations import ask, is_asked_about
from .connection import Connection, connection_options
from .help import ExplainedCommand
from .output import show
from .values import JSONType, QueryType
from .verbs import JSON_OPTION, connection_parameters, json_option, yes_option

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Without a project there is no call, but an error that says so; it should not wait for an answer to a question.
_SOME_PROJECT: Final = "project"

_ARGUMENTS: Final = (
    ("METHOD", "GET, POST, PUT, PATCH or DELETE."),
    ("PATH", "What comes after the project, such as events; or all of it, from /v2/ or /project/ on."),
)


@connection_options
def _run(connection: Connection, /, **given: Any) -> None:
    method, path, body = given["method"], given["path"], given["json_body"]
    if not given["yes"]:
        _ask(connection, method_of(method), address_of(path, connection.effective_project_key or _SOME_PROJECT), body)
    result = asyncio.run(_call(connection, method, path, query=_query(given["query"]), body=body))
    show(result, machine=given[JSON_OPTION])


def command() -> click.Command:
    """Make the command."""
    own: list[click.Parameter] = [
        click.Argument(["method"]),
        click.Argument(["path"]),
        click.Option(
            ["--query"], type=QueryType(), multiple=True, metavar="NAME=VALUE", help="A field of the query; repeatable."
        ),
        click.Option(["--json-body"], type=JSONType(), metavar="JSON|@FILE", help="The body."),
        yes_option(),
        json_option(),
    ]
    return ExplainedCommand(
        "request",
        callback=_run,
        params=[*own, *connection_parameters(_run)],
        help="Make one call of the REST API, for what has no command of its own.",
        explained=_ARGUMENTS,
        short_help="Make a call that has no command of its own.",
    )


def _ask(connection: Connection, method: str, address: str, body: object) -> None:
    """Ask about what other commands ask about, and about everything that is deleted."""
    fields: Mapping[str, object] = cast("dict[str, object]", body) if isinstance(body, dict) else {}
    if method == "DELETE" or is_asked_about(endpoint_at(method, address, fields).name, fields):
        connection.check()
        ask(f"{method} {address}? It takes effect at once.")


async def _call(
    connection: Connection, method: str, path: str, *, query: Mapping[str, object] | None, body: object
) -> Any:
    async with connection.client() as mida:
        return await mida.request(method, path, query=query, json=body)


def _query(pairs: Iterable[tuple[str, str]]) -> dict[str, object] | None:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()} or None
