"""The OpenAPI document: the paths from the table of endpoints, the schemas from the models."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast

import attrs

from ..._core.arguments import KEY_IN_PATH, Field
from ..._core.endpoints import Endpoint, Host, Repeat
from ..._core.endpoints.table import ENDPOINTS
from ..._core.request import REGIONS, SDK_HOST
from .schemas import JSON, Schemas, described, nullable, success

if TYPE_CHECKING:
    from ..._core.arguments import Place

_AS_OF: Final = "2026-08-22"

_PROJECT_KEY: Final = Field(
    name="project_key", kind=KEY_IN_PATH, place="path", help="The key of the project, which is public.", required=True
)

# docs/v2/introduction, 2026-08-22, says what the usual ones mean; 413 and 429 are in no page. 406 and 409: docs/v2/
# create-goal and serve-experiment-winner.
_FAILURES: Final = MappingProxyType(
    {
        400: ("BadRequest", "A parameter or the body is wrong."),
        401: ("Unauthorized", "The API key is missing or wrong."),
        403: ("Forbidden", "This project, plan or caller must not do this."),
        404: ("NotFound", "There is no such thing in this project, or no such project."),
        406: ("KeyTaken", "There is one with this key already."),
        409: ("Conflict", "The state that it is in does not allow this."),
        413: ("TooLarge", "The body is too large."),
        429: ("TooManyRequests", "Too many requests; Retry-After may say how many seconds to wait."),
        500: ("ServerError", "The service failed."),
    }
)
_SECURITY: Final = MappingProxyType(
    {
        "bearer": {"type": "http", "scheme": "bearer", "description": "The API key; the form that is recommended."},
        "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "The API key."},
        "api-key": {"type": "apiKey", "in": "header", "name": "api-key", "description": "The API key."},
    }
)
_ERROR: Final[Mapping[str, object]] = MappingProxyType(
    {
        "type": "object",
        "description": "The body of every failure.",
        "properties": {"error": {"type": "string", "description": "What is wrong, in words."}},
        "required": ["error"],
    }
)


def document(server: str | None = None) -> JSON:
    """
    Describe the API in OpenAPI 3.1.

    Args:
        server: The address of a server that answers all calls; the vendor's own servers if not given.
    """
    schemas = Schemas()
    paths: JSON = {}
    for rows in _calls(ENDPOINTS.values()):
        operations = paths.setdefault(rows[0].path, {})
        operations[rows[0].method.lower()] = _operation(rows, schemas, own_servers=server is None)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Mida",
            "version": _AS_OF,
            "description": f"The REST API v2 of Mida as documented on {_AS_OF}, and the calls of its server-side SDKs.",
        },
        "servers": _servers() if server is None else [{"url": server}],
        "security": [{name: []} for name in _SECURITY],
        "tags": [{"name": name} for name in dict.fromkeys(row.section for row in ENDPOINTS.values())],
        "paths": paths,
        "components": {
            "schemas": {**schemas.components, "Error": dict(_ERROR)},
            "responses": {name: _failure(text) for name, text in _FAILURES.values()},
            "securitySchemes": {name: dict(scheme) for name, scheme in _SECURITY.items()},
        },
    }


def _calls(rows: Iterable[Endpoint]) -> list[list[Endpoint]]:
    """Return the rows of each method and path; one of them has had two bodies."""
    found: dict[tuple[str, str], list[Endpoint]] = {}
    for row in rows:
        found.setdefault((row.path, row.method), []).append(row)
    return list(found.values())


def _servers() -> list[JSON]:
    return [{"url": url, "description": f"The region {region.upper()}."} for region, url in REGIONS.items()]


def _operation(rows: Sequence[Endpoint], schemas: Schemas, *, own_servers: bool) -> JSON:
    row = rows[0]
    operation: JSON = {
        "operationId": row.name,
        "tags": [row.section],
        "summary": row.summary,
        "description": " ".join(_sentences(rows)),
    }
    if row.page is not None:
        operation["externalDocs"] = {"url": row.page, "description": f"The vendor's page of {_AS_OF}."}
    if row.host is Host.SDK:
        operation["security"] = []
        if own_servers:
            operation["servers"] = [{"url": SDK_HOST}]
    if parameters := _parameters(row):
        operation["parameters"] = parameters
    if bodies := [_body(each, schemas) for each in rows if _fields(each, "body")]:
        operation["requestBody"] = _request(bodies)
    return {**operation, "responses": _responses(rows, schemas)}


def _sentences(rows: Sequence[Endpoint]) -> Iterable[str]:
    names = " or ".join(f"`{row.name}`" for row in rows)
    yield f"In mida_async: {names}."
    yield from (f"{row.name}: {row.summary}" for row in rows[1:])
    if any(row.repeat is Repeat.UNSAFE for row in rows):
        yield "When no answer came, sending it again may do it twice."
    else:
        yield "When no answer came, it may be sent again."
    if rows[0].page is None:
        yield "No page documents it; it is what the SDKs send."


def _fields(row: Endpoint, place: Place) -> list[Field]:
    return [field for field in row.fields if field.place == place]


def _parameters(row: Endpoint) -> list[JSON]:
    own = {field.name: field for field in _fields(row, "path")}
    named = cast("list[str]", re.findall(r"\{(\w+)\}", row.path))
    in_path = [_parameter(own.get(name, _PROJECT_KEY), required=True) for name in named]
    return in_path + [_parameter(field, required=field.required) for field in _fields(row, "query")]


def _parameter(field: Field, *, required: bool) -> JSON:
    schema = _plain(field.kind.schema)
    if field.default is not None:
        schema = {**schema, "default": field.default}
    return {
        "name": field.wire_name or field.name,
        "in": field.place,
        "description": field.help,
        "required": required,
        "schema": schema,
    }


def _body(row: Endpoint, schemas: Schemas) -> JSON:
    fields = _fields(row, "body")
    for field in fields:
        for cls in field.kind.models:
            schemas.of(cls)
    named = [field for field in fields if not field.spread]
    if row.project_field:
        named.insert(0, attrs.evolve(_PROJECT_KEY, name=row.project_field))
    required = [field.wire_name or field.name for field in named if field.required]
    return {
        "type": "object",
        "title": row.name,
        "properties": {field.wire_name or field.name: _property(field) for field in named},
        **({"required": required} if required else {}),
        **({"minProperties": 1} if row.partial else {}),
        **_others(fields),
    }


def _others(fields: Iterable[Field]) -> JSON:
    """Return what is said of further properties: they are the items of a field, where one is spread."""
    spread = [field for field in fields if field.spread]
    return {"additionalProperties": {"description": spread[0].help}} if spread else {}


def _property(field: Field) -> JSON:
    schema = _plain(field.kind.schema)
    return described(nullable(schema) if field.nullable else schema, field.help)


def _plain(schema: Mapping[str, object]) -> JSON:
    return {name: _copy(value) for name, value in schema.items()}


def _copy(value: object) -> object:
    """Return a copy that consists of what JSON and YAML know."""
    if isinstance(value, Mapping):
        return _plain(cast("Mapping[str, object]", value))
    if isinstance(value, (list, tuple)):
        return [_copy(item) for item in cast("Sequence[object]", value)]
    return value


def _request(bodies: list[JSON]) -> JSON:
    schema = bodies[0] if len(bodies) == 1 else {"oneOf": bodies}
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _responses(rows: Sequence[Endpoint], schemas: Schemas) -> JSON:
    answers = [_answer(row, schemas) for row in rows]
    done: JSON = {
        "description": "It is done.",
        "content": {"application/json": {"schema": answers[0] if len(answers) == 1 else {"anyOf": answers}}},
    }
    failures = sorted({status for row in rows for status in _failures_of(row)})
    return {
        str(rows[0].status): done,
        **{str(status): {"$ref": f"#/components/responses/{_FAILURES[status][0]}"} for status in failures},
    }


def _answer(row: Endpoint, schemas: Schemas) -> JSON:
    schema = schemas.of(row.answer)
    if row.key is None:
        return schema
    return {"type": "object", "properties": {"success": success(), row.key: schema}, "required": ["success", row.key]}


def _failures_of(row: Endpoint) -> set[int]:
    """Return the documented failures, and those of which docs/v2/introduction says that every call may have them."""
    found = {*row.errors, 404, 429, 500}
    if row.host is Host.REST:
        found.add(401)
    if _fields(row, "query") or _fields(row, "body"):
        found.add(400)
    if _fields(row, "body"):
        found.add(413)
    return found


def _failure(text: str) -> JSON:
    return {
        "description": text,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
