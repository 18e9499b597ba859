"""The OpenAPI document: it says what the table and the models say, and allows what the vendor's pages show."""

from __future__ import annotations

import asyncio
import datetime as dt
import enum
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import attrs
import jsonschema_rs
import pytest
import schemathesis
from emulator_caller import Caller
from openapi_variants import closed
from test_wire_samples import identify
from wire import SAMPLES

from mida_async import MidaClient
from mida_async._core.endpoints import Endpoint, Host
from mida_async._core.endpoints.table import ENDPOINTS
from mida_async._core.messages import Request
from mida_async._sentinels import UNSET, UnsetType
from mida_async.models.base import TEXT_OF, WIRE_NAME, Input, Model, Reply
from mida_async.testing import Emulator, FixedWindow, MemoryTransport, Status
from mida_async.testing._openapi import document
from mida_async.testing._openapi.schemas import Schemas

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wire.base import Sample

DOCUMENT: Final = document()
STRICT: Final = closed(DOCUMENT)
# docs/quickstart shows the number of a status in a report; the page of reports has its label (mida_api.md, 13.4).
WITH_NUMBERS: Final = [
    sample.answer
    for sample in SAMPLES
    if sample.endpoint == "experiments.result" and isinstance(sample.answer, dict) and sample.answer.get("status") == 1
]
NUMBER: Final = '1 is not of types "null", "string"'
ROWS: Final = pytest.mark.parametrize("row", ENDPOINTS.values(), ids=list(ENDPOINTS))
REQUIRED: Final = {401, 404, 429, 500}


def operation_of(row: Endpoint) -> dict[str, Any]:
    """Return what the document says of an endpoint."""
    operation: dict[str, Any] = DOCUMENT["paths"][row.path][row.method.lower()]
    return operation


def body_of(row: Endpoint) -> dict[str, Any] | None:
    """Return the schema of an endpoint's own body."""
    if "requestBody" not in operation_of(row):
        return None
    schema: dict[str, Any] = operation_of(row)["requestBody"]["content"]["application/json"]["schema"]
    forms: list[dict[str, Any]] = schema.get("oneOf", [schema])
    return next(each for each in forms if each["title"] == row.name)


def problems(schema: Mapping[str, Any], value: object, within: Mapping[str, Any] = DOCUMENT) -> list[str]:
    """Return what is wrong with a value."""
    whole = {"components": within["components"], **schema}
    validator = jsonschema_rs.validator_for(whole, validate_formats=True)
    return [error.message for error in validator.iter_errors(value)]


def references(value: object) -> Iterator[str]:
    """Yield every reference within a part of the document."""
    if isinstance(value, dict):
        yield from (text for key, text in value.items() if key == "$ref" and isinstance(text, str))
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from references(part)


def test_the_document_is_valid() -> None:
    """It is OpenAPI 3.1, and each of its schemas is a JSON schema."""
    schemathesis.openapi.from_dict(DOCUMENT).validate()
    for schema in DOCUMENT["components"]["schemas"].values():
        assert jsonschema_rs.meta.is_valid({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def test_every_reference_leads_somewhere_and_everything_is_used() -> None:
    """No reference is dead, and no component but the schemes of credentials is without one."""
    found = set(references(DOCUMENT))
    parts = DOCUMENT["components"]
    assert found == {f"#/components/{kind}/{name}" for kind in ("schemas", "responses") for name in parts[kind]}


def test_each_call_is_one_operation() -> None:
    """Every row is an operation, named after the first row with its method and path, and there are no others."""
    operations = {
        (method.upper(), path): each["operationId"]
        for path, methods in DOCUMENT["paths"].items()
        for method, each in methods.items()
    }
    assert set(operations) == {(row.method, row.path) for row in ENDPOINTS.values()}
    assert set(operations.values()) == set(ENDPOINTS) - {"events.create"}


@ROWS
def test_an_operation_says_what_its_row_says(row: Endpoint) -> None:
    """Section, page, sentence, host and credentials are those of the row."""
    operation = operation_of(row)
    assert operation["tags"] == [row.section]
    assert row.summary in f"{operation['summary']} {operation['description']}"
    assert f"`{row.name}`" in operation["description"]
    assert operation.get("externalDocs", {}).get("url") == row.page
    public = row.host is Host.SDK
    assert operation.get("security") == ([] if public else None)
    assert ("servers" in operation) == public


@ROWS
def test_parameters_are_the_fields_of_path_and_query(row: Endpoint) -> None:
    """Each field of path and query is a parameter with its help and default; what is in the path is required."""
    found = {each["name"]: each for each in operation_of(row).get("parameters", ())}
    fields = {field.wire_name or field.name: field for field in row.fields if field.place != "body"}
    assert set(found) == set(fields) | set(re.findall(r"\{(\w+)\}", row.path))
    for name, field in fields.items():
        assert (found[name]["in"], found[name]["description"]) == (field.place, field.help)
        assert found[name]["required"] == (field.required or field.place == "path")
        assert found[name]["schema"].get("default") == field.default


@ROWS
def test_a_body_has_the_fields_of_the_row(row: Endpoint) -> None:
    """Each field of the body is a property, required where it is; an update needs at least one of them."""
    fields = {field.wire_name or field.name: field for field in row.fields if field.place == "body"}
    named = {name: field for name, field in fields.items() if not field.spread}
    body = body_of(row)
    if body is None:
        assert not fields
        return
    assert operation_of(row)["requestBody"]["required"]
    own = {row.project_field} - {""}
    assert set(body["properties"]) == set(named) | own
    assert set(body.get("required", ())) == {name for name, field in named.items() if field.required} | own
    assert body.get("minProperties") == (1 if row.partial else None)
    assert ("additionalProperties" in body) == (len(named) < len(fields))
    for name, field in named.items():
        assert body["properties"][name]["description"] == field.help
        assert (not problems(body["properties"][name], None)) >= field.nullable


@ROWS
def test_answers_are_those_of_the_row(row: Endpoint) -> None:
    """The documented success and failures are there, and those that any call may have."""
    found = {int(status) for status in operation_of(row)["responses"]}
    common = REQUIRED - ({401} if row.host is Host.SDK else set())
    assert found - {400, 413} == ({row.status} | row.errors | common) - {400}
    assert ({400, 413} <= found) >= (body_of(row) is not None)


def test_a_body_with_two_forms_is_one_of_them() -> None:
    """Create Event takes the form of today or the older one, not both."""
    schema = operation_of(ENDPOINTS["events.record"])["requestBody"]["content"]["application/json"]["schema"]
    assert problems(schema, {"event_name": "a", "id": "1"}) == []
    assert problems(schema, {"event_text": "a"}) == []
    assert problems(schema, {"event_name": "a", "event_text": "a"})
    assert problems(schema, {"id": "1"})


def beyond(result: object) -> set[str]:
    """Return the keys that a result holds beyond those of its class: the vendor's page does not name them."""
    if isinstance(result, Model):
        parts = [getattr(result, field.name) for field in attrs.fields(type(result))]
        return set(result.extra).union(*map(beyond, parts))
    return set[str]().union(*map(beyond, result)) if isinstance(result, (tuple, list)) else set()


def without(value: Any, keys: set[str]) -> Any:
    """Return decoded JSON without some keys."""
    if isinstance(value, (tuple, list)):
        return [without(item, keys) for item in value]
    if isinstance(value, dict):
        return {key: without(item, keys) for key, item in value.items() if key not in keys}
    return value


@pytest.mark.parametrize("sample", SAMPLES, ids=identify(SAMPLES))
def test_documented_calls_fit(sample: Sample) -> None:
    """What a sample sends and what the vendor's page answers are what the document says, without a key beyond that."""
    row = ENDPOINTS[sample.endpoint]
    answer = STRICT["paths"][row.path][row.method.lower()]["responses"][str(row.status)]
    schema = answer["content"]["application/json"]["schema"]
    found = problems(schema, without(sample.answer, beyond(sample.result)), STRICT)
    assert found == ([NUMBER] if sample.answer in WITH_NUMBERS else [])
    body = body_of(row)
    if body is None:
        assert sample.body is None
    else:
        assert problems(body, sample.body) == []


@pytest.mark.parametrize("day", ["0001-01-01", "0999-12-31", "2024-02-29", "9999-12-31"])
def test_every_date_is_one(day: str) -> None:
    """The emulator understands whatever the format ``date`` allows, early years too."""
    assert problems({"type": "string", "format": "date"}, day) == []
    caller = Caller()
    assert caller.done(f"GET events?start_date={day}")["events"] == []
    number = caller.emulator.add_event("a", created_at=dt.datetime.fromisoformat(f"{day}T12:00:00.123456Z"))
    assert caller.done(f"GET event/{number}")["event"]["created_at"] == f"{day}T12:00:00.123Z"


def test_servers_are_the_vendors_or_the_one_that_is_named() -> None:
    """The document names the vendor's regions and the SDKs' host; a server that is named stands for all of them."""
    assert [each["url"] for each in DOCUMENT["servers"]] == ["https://api-us.mida.so", "https://api-eu.mida.so"]
    own = document("/here")
    assert own["servers"] == [{"url": "/here"}]
    assert all("servers" not in each for methods in own["paths"].values() for each in methods.values())
    assert [name for each in DOCUMENT["security"] for name in each] == ["bearer", "x-api-key", "api-key"]


class Size(enum.StrEnum):
    """An enumeration."""

    LARGE = "L"


@attrs.frozen(kw_only=True)
class Inner(Model):
    """
    Something within something.

    Attributes:
        number: Which one it is; see :class:`Inner` and ``here``.
    """

    number: int


@attrs.frozen(kw_only=True)
class Tree(Inner):
    """
    Something with ``itself`` within.

    More about it.

    Attributes:
        trees: Smaller ones,
            if any.
    """

    trees: tuple[Tree, ...] = ()


@attrs.frozen(kw_only=True)
class Written(Reply):
    """
    A reply with text within.

    Attributes:
        data: What it says.
        data_text: The text.
    """

    key: str
    data: Any = None
    data_text: str | None = attrs.field(default=None, metadata={TEXT_OF: "data"})


@attrs.frozen(kw_only=True)
class Given(Input):
    """Something that goes out."""

    custom_css: str | UnsetType = attrs.field(default=UNSET, metadata={WIRE_NAME: "customCSS"})
    must: str


INNER: Final = {"$ref": "#/components/schemas/Inner"}


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (str | None, {"type": ["string", "null"]}),
        (int | str | None, {"type": ["integer", "string", "null"]}),
        (dt.datetime, {"type": "string", "format": "date-time"}),
        (dt.datetime | None, {"type": ["string", "null"], "format": "date-time"}),
        (dt.datetime | str, {"type": "string"}),
        (Any, {}),
        (object | None, {}),
        (Size, {"type": "string", "enum": ["L"]}),
        (Size | None, {"anyOf": [{"type": "string", "enum": ["L"]}, {"type": "null"}]}),
        (Size | str, {"type": "string", "examples": ["L"]}),
        (Size | str | None, {"type": ["string", "null"], "examples": ["L"]}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (Literal[1] | UnsetType, {"type": "integer", "enum": [1]}),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
        (Sequence[str | int], {"type": "array", "items": {"type": ["string", "integer"]}}),
        (list[Inner], {"type": "array", "items": INNER}),
        (Mapping[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (dict[str, Any], {"type": "object"}),
        (Inner, INNER),
        (Inner | None, {"anyOf": [INNER, {"type": "null"}]}),
        (Inner | Mapping[str, object] | UnsetType, INNER),
        (Inner | int | None, {"anyOf": [INNER, {"type": "integer"}, {"type": "null"}]}),
    ],
    ids=str,
)
def test_each_type_has_its_schema(hint: Any, schema: object) -> None:
    """Every type that a model may have becomes the narrowest schema of what goes over the wire."""
    assert Schemas().of(hint) == schema


def test_a_class_becomes_a_component() -> None:
    """Names, descriptions, what must be there: all come from the class, and a class may hold itself."""
    schemas = Schemas()
    assert schemas.of(Tree) == {"$ref": "#/components/schemas/Tree"}
    assert schemas.components == {
        "Tree": {
            "type": "object",
            "properties": {
                "number": {"type": "integer", "description": "Which one it is; see `Inner` and `here`."},
                "trees": {
                    "type": "array",
                    "items": {"$ref": "#/components/schemas/Tree"},
                    "description": "Smaller ones, if any.",
                },
            },
            "required": ["number"],
            "description": "Something with `itself` within.",
        }
    }


def test_what_differs_on_the_wire_is_described_as_it_is_there() -> None:
    """A reply has its success; JSON within JSON is a text; a field with another name on the wire has that."""
    schemas = Schemas()
    schemas.of(Written)
    schemas.of(Given)
    written, given = schemas.components["Written"], schemas.components["Given"]
    assert list(written["properties"]) == ["success", "key", "data"]
    assert written["required"] == ["success", "key"]
    assert written["properties"]["data"]["type"] == ["string", "null"]
    assert (list(given["properties"]), given["required"]) == (["customCSS", "must"], ["must"])


def test_what_has_no_schema_is_an_error() -> None:
    """A type that JSON does not know, or two classes of one name, cannot slip into the document."""
    with pytest.raises(TypeError, match="has no JSON schema"):
        Schemas().of(bytes)
    schemas = Schemas()
    schemas.of(Inner)
    with pytest.raises(TypeError, match="have the same name"):
        schemas.of(attrs.make_class("Inner", []))


async def _ask(emulator: Emulator, transport: MemoryTransport | None) -> tuple[int, Any, str]:
    base_url = emulator.base_url if transport is None else transport.base_url
    async with MidaClient("unknown", "unknown", base_url=base_url, transport=transport) as mida:
        request = Request(method="GET", url=f"{base_url}/openapi.json", headers={}, max_response_bytes=2**24)
        response = await mida._transport.send(request, total=10.0)
    return response.status, json.loads(response.body), response.headers["content-type"]


@pytest.mark.parametrize("in_memory", [False, True])
def test_the_emulator_describes_itself(*, in_memory: bool) -> None:
    """Anyone gets the document; that is no call of the API, so limits, faults and the log of requests do not see it."""

    async def main() -> None:
        async with Emulator(rate_limits=[FixedWindow(0.5, 60.0)]) as emulator:  # type: ignore[arg-type]
            emulator.script(Status(503))
            transport = MemoryTransport(emulator) if in_memory else None
            assert await _ask(emulator, transport) == (200, document("/"), "application/json")
            assert (len(emulator.requests), emulator.scripted) == (0, 1)

    asyncio.run(main())


@pytest.mark.parametrize("call", ["POST /openapi.json", "GET /openapi.yaml", "GET /v2/openapi.json"])
def test_other_paths_are_no_description(call: str) -> None:
    """Only GET of that one path gives the document."""

    async def main() -> None:
        emulator = Emulator()
        method, _, path = call.partition(" ")
        async with MemoryTransport(emulator) as transport:
            request = Request(method=method, url=f"{transport.base_url}{path}", headers={}, max_response_bytes=1024)
            response = await transport.send(request, total=10.0)
        assert (response.status, len(emulator.requests)) == (404, 1)

    asyncio.run(main())
