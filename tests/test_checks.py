"""The checks of arguments, and how arguments are laid out by the table."""

from __future__ import annotations

import datetime as dt
import enum
import json
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mida_async import UNSET, InvalidRequestError, UnsetType
from mida_async._core import checks
from mida_async._core.arguments import (
    ANY_TEXT,
    DAY,
    FLAG,
    OBJECT,
    TEXT,
    TEXT_OR_NUMBER,
    TEXTS,
    Field,
    Kind,
    choices,
    input_of,
    inputs_of,
    number_in_path,
    numbers,
    optional,
    paging,
    wholes,
)
from mida_async._core.endpoints import Endpoint, Repeat, lay_out
from mida_async._core.endpoints.base import row
from mida_async.models.base import WIRE_NAME, Input, Reply

if TYPE_CHECKING:
    from collections.abc import Callable


class Colour(enum.StrEnum):
    """Something with known values."""

    RED = "red"
    BLUE = "blue"


@attrs.frozen(kw_only=True)
class Inner(Input):
    """A part of an input."""

    size: int | UnsetType | None = UNSET


@attrs.frozen(kw_only=True)
class Outer(Input):
    """An input with another name on the wire."""

    custom_css: str | UnsetType = attrs.field(default=UNSET, metadata={WIRE_NAME: "customCSS"})
    parts: tuple[Inner, ...] | UnsetType = UNSET


GOOD: list[tuple[Kind, object, object]] = [
    (TEXT, "a", "a"),
    (TEXT, Colour.RED, "red"),
    (ANY_TEXT, "", ""),
    (TEXT_OR_NUMBER, 75, "75"),
    (TEXT_OR_NUMBER, "75", "75"),
    (FLAG, False, False),
    (DAY, dt.date(2024, 1, 31), "2024-01-31"),
    (DAY, dt.datetime(2024, 1, 31, 23, 59, tzinfo=dt.UTC), "2024-01-31"),
    (DAY, "2024-01-31", "2024-01-31"),
    (OBJECT, MappingProxyType({"a": 1}), {"a": 1}),
    (TEXTS, ("a", "b"), ["a", "b"]),
    (TEXTS, [], []),
    (wholes(0, 9), 9, 9),
    (numbers(0, 100), 12.5, 12.5),
    (numbers(0, 100), 100, 100),
    (choices(Colour), Colour.BLUE, "blue"),
    (choices(Colour), "green", "green"),
    (input_of(Outer), Outer(custom_css="a{}"), {"customCSS": "a{}"}),
    (input_of(Outer), Outer(), {}),
    (input_of(Outer), {"anything": 1}, {"anything": 1}),
    (inputs_of(Inner), [Inner(size=None), {"size": 3}], [{"size": None}, {"size": 3}]),
    (input_of(Outer), Outer(parts=(Inner(size=1), Inner())), {"parts": [{"size": 1}, {}]}),
]

ENDLESS: list[object] = []
ENDLESS.append(ENDLESS)

BAD: list[tuple[Kind, object, str]] = [
    (TEXT, "", r"it is ''|x is ''; it must be a string with at least one character"),
    (TEXT, " \t", "at least one character"),
    (TEXT, b"a", "x is b'a'; it must be a string"),
    (TEXT, None, "x is None; it must be"),
    (ANY_TEXT, 1, "x is 1; it must be a string"),
    (TEXT_OR_NUMBER, True, "x is True; it must be"),
    (TEXT_OR_NUMBER, -1, "x is -1; it must be a whole number, 0 or greater"),
    (TEXT_OR_NUMBER, 1.5, "x is 1.5; it must be"),
    (FLAG, 1, "x is 1; it must be True or False"),
    (DAY, "2024-1-31", "x is '2024-1-31'; it must be a date"),
    (DAY, "20240131", "it must be a date"),
    (DAY, 20240131, "it must be a date"),
    (OBJECT, [("a", 1)], "it must be a mapping"),
    (TEXTS, "ab", "x is 'ab'; it must be a list of strings"),
    (TEXTS, ["a", 1], r"x\[1\] is 1; it must be a string"),
    (TEXTS, {"a"}, "it must be a list of strings"),
    (wholes(1, 9), 10, "x is 10; it must be a whole number from 1 to 9"),
    (wholes(1), 0, "it must be a whole number, 1 or greater"),
    (wholes(0), True, "it must be a whole number"),
    (wholes(0), 1.0, "it must be a whole number"),
    (wholes(0), 10**5000, "x is a very large int; it must be"),
    (numbers(0, 100), 100.5, "x is 100.5; it must be a number from 0 to 100"),
    (numbers(0, 100), float("nan"), "it must be a number from 0 to 100"),
    (numbers(0, 100), True, "it must be a number"),
    (numbers(0, 100), Decimal(1), "it must be a number"),
    (choices(Colour), "", "at least one character"),
    (input_of(Outer), Inner(), "it must be of the class Outer, or a mapping"),
    (input_of(Outer), "a", "it must be of the class Outer, or a mapping"),
    (input_of(Outer), {"a": ENDLESS}, "it must be a value that does not hold itself"),
    (inputs_of(Inner), Inner(), "it must be a list of Inners or mappings"),
    (inputs_of(Inner), [Inner(), 1], r"x\[1\] is 1; it must be of the class Inner, or a mapping"),
    (inputs_of(Inner, least=1), [], "x has 0 items; it must be a list of 1 or more Inners"),
    (inputs_of(Inner, least=1, most=2), [{}, {}, {}], "x has 3 items; it must be a list of 1 to 2 Inners"),
]


@pytest.mark.parametrize(("kind", "value", "sent"), GOOD, ids=range(len(GOOD)))
def test_what_is_right_goes_out(kind: Kind, value: object, sent: object) -> None:
    """Each kind returns what is sent for a value that it takes."""
    assert kind.check("x", value) == sent


@pytest.mark.parametrize(("kind", "value", "message"), BAD, ids=range(len(BAD)))
def test_what_is_wrong_is_named(kind: Kind, value: object, message: str) -> None:
    """Each kind refuses what it does not take; the message has the field, the value and what would be right."""
    with pytest.raises(InvalidRequestError, match=message) as caught:
        kind.check("x", value)
    assert len(str(caught.value)) < 250


def test_bounds_are_in_the_schema() -> None:
    """What is checked is what the schema says."""
    assert wholes(1, 9).schema == {"type": "integer", "minimum": 1, "maximum": 9}
    assert wholes(1).schema == {"type": "integer", "minimum": 1}
    assert inputs_of(Inner, least=1, most=50).schema == {
        "type": "array",
        "items": {"$ref": "#/components/schemas/Inner"},
        "minItems": 1,
        "maxItems": 50,
    }
    with pytest.raises(TypeError):
        TEXT.schema["type"] = "number"  # type: ignore[index]


def test_the_callers_objects_are_not_changed() -> None:
    """What goes out is a copy, so that what is done to it later is not done to what was given."""
    mine: dict[str, Any] = {"a": [{"b": 1}]}
    sent: Any = input_of(Outer).check("x", mine)
    sent["a"][0]["b"] = 2
    assert mine == {"a": [{"b": 1}]}


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_json_within_json_is_compact_text(value: object) -> None:
    """A field that holds JSON text gets exactly what the check returned, without blanks."""
    check: Callable[[str, object], object] = checks.json_text(lambda _, given: given)
    text = check("x", value) if _is_encodable(value) else json.dumps(value)
    assert isinstance(text, str)
    assert json.loads(text) == value


def _is_encodable(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def test_json_within_json_names_its_field() -> None:
    """What cannot be JSON is refused under the name of the field."""
    with pytest.raises(InvalidRequestError, match=r"^x: "):
        checks.json_text(lambda _, given: given)("x", [float("nan")])


def make(**particular: Any) -> Endpoint:
    """Return a row with one field of each place."""
    fields = (
        number_in_path("thing_id", "Its number."),
        *paging(),
        Field(name="q", kind=TEXT, place="query", help="What to look for."),
        Field(name="name", kind=TEXT, place="body", help="Its name.", required=True),
        Field(name="note", kind=ANY_TEXT, place="body", help="Its note.", nullable=True),
    )
    given: dict[str, Any] = {"fields": fields, "repeat": Repeat.SAFE, **particular}
    return row("things.do", "PATCH P/thing/{thing_id}", "do-thing", "Do it.", answer=Reply, **given)


def test_arguments_go_to_their_places() -> None:
    """Path, query and body get their own, and what is not given is not sent."""
    layout = lay_out(make(), {"thing_id": 3, "limit": 5, "name": "a", "note": None, "q": None})
    assert (dict(layout.path), dict(layout.query), layout.body) == ({"thing_id": 3}, {"limit": 5}, b'{"name":"a"}')


@pytest.mark.parametrize("name", ["limit", "offset", "name"])
def test_none_is_wrong_where_there_is_a_value(name: str) -> None:
    """None is no page size, and nothing to create something from."""
    arguments: dict[str, object] = {"thing_id": 3, "name": "a", name: None}
    with pytest.raises(InvalidRequestError, match=f"^{name} is None; it must be"):
        lay_out(make(), arguments)


def test_an_update_sends_null() -> None:
    """In an update None is null where that is possible, and is refused elsewhere instead of being left out."""
    update = make(partial=True, fields=optional(*make().fields))
    assert lay_out(update, {"thing_id": 3, "note": None}).body == b'{"note":null}'
    assert lay_out(update, {"thing_id": 3, "note": UNSET, "name": "b"}).body == b'{"name":"b"}'
    with pytest.raises(InvalidRequestError, match=r"^name is None; it must be a string"):
        lay_out(update, {"thing_id": 3, "name": None})


def test_an_update_changes_something() -> None:
    """An update without a change is a mistake; the message names what can be changed."""
    update = make(partial=True, fields=optional(*make().fields))
    with pytest.raises(InvalidRequestError, match="nothing to change: give at least one of name, note"):
        lay_out(update, {"thing_id": 3})


def test_a_body_without_fields_is_none() -> None:
    """A call that takes no body has none; one that takes a body sends an object even if it is empty."""
    assert lay_out(make(fields=()), {}).body is None
    assert lay_out(make(fields=optional(*make().fields)), {}).body == b"{}"


def test_what_is_no_json_is_refused() -> None:
    """A body that JSON cannot hold is refused before anything is sent, whatever its field lets through."""
    endpoint = make(fields=(Field(name="data", kind=OBJECT, place="body", help="Its data."),))
    with pytest.raises(InvalidRequestError, match="data"):
        lay_out(endpoint, {"data": {"a": {1, 2}}})
