"""JSON, written and read."""

from __future__ import annotations

import collections
import datetime as dt
import enum
import json
import math
import types
import uuid
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mida_async import UNSET, DecodeError
from mida_async._core.codec import MAX_DEPTH, EncodeProblem, decode, encode


class _Colour(enum.Enum):
    RED = "red"


class _Word(enum.StrEnum):
    YES = "yes"


class _Number(enum.IntEnum):
    TWO = 2


class _Boxed(enum.Enum):
    LIST = ("a", _Number.TWO)


class _Point(NamedTuple):
    x: int
    y: int


class _Text(str):
    __slots__ = ()


def _nested(levels: int, innermost: object = None) -> object:
    value: object = innermost
    for number in range(levels):
        value = {"a": value} if number % 2 else [value]
    return value


def _refusal(data: bytes) -> DecodeError | None:
    try:
        decode(data)
    except DecodeError as error:
        return error
    return None


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=30
)


@given(_VALUES)
def test_what_is_written_is_read_back(value: object) -> None:
    """Whatever JSON can hold comes back as it went in, and Python's own reader agrees."""
    data = encode(value)
    assert decode(data) == value
    assert json.loads(data) == value


@given(_VALUES)
def test_both_ways_of_writing_agree(value: object) -> None:
    """A mapping that is no dict takes the slow way, and is written the same."""
    assert encode(types.MappingProxyType({"a": value})) == encode({"a": value})


def test_json_is_compact_and_in_utf_8() -> None:
    """There are no blanks between tokens, and no escapes where none are needed."""
    assert encode({"a": [1, 2.5, True, None], "ä": "€😀"}) == '{"a":[1,2.5,true,null],"ä":"€😀"}'.encode()


_ZONE = dt.timezone(dt.timedelta(hours=2))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (dt.datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=_ZONE), '"2024-01-02T03:04:05.000006+02:00"'),
        (dt.date(2024, 1, 2), '"2024-01-02"'),
        (uuid.UUID(int=7), '"00000000-0000-0000-0000-000000000007"'),
        (Decimal("1.10"), '"1.10"'),
        (Decimal("1e400"), '"1E+400"'),
        (_Colour.RED, '"red"'),
        (_Word.YES, '"yes"'),
        (_Number.TWO, "2"),
        (_Boxed.LIST, '["a",2]'),
        (_Text("x"), '"x"'),
        ((1, (2,)), "[1,[2]]"),
        (collections.OrderedDict(b=1, a=2), '{"b":1,"a":2}'),
        (types.MappingProxyType({"a": ()}), '{"a":[]}'),
        (_Point(1, 2), "[1,2]"),
        ({_Word.YES: 1}, '{"yes":1}'),
        (10**400, str(10**400)),
        (-(2**64), str(-(2**64))),
    ],
)
def test_what_has_a_usual_form_is_written_in_it(value: object, text: str) -> None:
    """R7: times, UUIDs, decimals, enumerations, tuples and mappings are written the usual way, numbers exactly."""
    assert encode(value).decode() == text
    assert encode({"deep": [value]}).decode() == f'{{"deep":[{text}]}}'
    assert encode(types.MappingProxyType({"a": value})).decode() == f'{{"a":{text}}}'


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (Decimal("NaN"), "NaN"),
        (Decimal("sNaN"), "sNaN"),
        (Decimal("-Infinity"), "-Infinity"),
        (b"x", "bytes"),
        ({1}, "set"),
        (object(), "object"),
        (UNSET, "UNSET is no value"),
        (range(3), "range"),
        (dt.time(1), "time"),
        ("\ud800", "surrogate"),
        pytest.param(10**5000, "digits", id="many digits"),
        ({"a\udfff": 1}, "surrogate"),
        ({1: 1}, "the key 1 is not a string"),
        ({None: 1}, "the key None is not a string"),
        ({True: 1}, "the key True is not a string"),
        ({1.5: 1}, "the key 1.5 is not a string"),
        ({("a",): 1}, "the key ('a',) is not a string"),
        pytest.param({10**5000: 1}, "the key of type int is not a string", id="many digits in a key"),
        ({"x" * 90: 1, (1,) * 90: 1}, "... is not a string"),
        (types.MappingProxyType({1: 1}), "the key 1 is not a string"),
    ],
)
def test_what_json_cannot_hold_is_refused_with_its_place(value: object, problem: str) -> None:
    """R7: the message names the place and the problem, at any depth and in any container."""
    with pytest.raises(EncodeProblem, match=r"^the value: ") as top:
        encode(value)
    assert problem in str(top.value)
    for wrapped in ({"items": [1, {"price": value}]}, types.MappingProxyType({"items": (1, {"price": value})})):
        with pytest.raises(EncodeProblem) as deep:
            encode(wrapped)
        assert str(deep.value).startswith("items[1].price: ")
        assert problem in str(deep.value)


def test_a_path_of_odd_keys_is_text() -> None:
    """A place below a key with half of a surrogate pair can be shown."""
    with pytest.raises(EncodeProblem) as caught:
        encode({"ok": {"\ud800": {1}}})
    assert str(caught.value).encode()


@pytest.mark.parametrize("container", ["list", "dict", "mapping"])
def test_cycles_are_refused(container: str) -> None:
    """R7: what contains itself is named as that, whatever it is made of."""
    inner: dict[str, Any] = {}
    cycle: list[Any] = [inner]
    inner["back"] = {"list": cycle, "dict": inner, "mapping": types.MappingProxyType(inner)}[container]
    with pytest.raises(EncodeProblem, match=r"it contains itself|levels deep"):
        encode(cycle)


def test_what_occurs_twice_is_no_cycle() -> None:
    """The same object in two places is written twice, the slow way too."""
    twice = [1]
    assert encode(types.MappingProxyType({"a": twice, "b": twice})) == b'{"a":[1],"b":[1]}'


@pytest.mark.parametrize("innermost", ["x", uuid.UUID(int=1), _Word.YES])
def test_nesting_has_a_limit(innermost: object) -> None:
    """R7: a hundred levels are written, a hundred and one are not, and 100,000 do no harm."""
    levels = MAX_DEPTH if not isinstance(innermost, enum.Enum) else MAX_DEPTH - 1
    assert encode(_nested(levels, innermost)).startswith(b'{"a":[' if levels % 2 == 0 else b"[{")
    for deep in (MAX_DEPTH + 1, 100_000):
        with pytest.raises(EncodeProblem, match=f"nested more than {MAX_DEPTH} levels deep"):
            encode(_nested(deep, innermost))


@given(st.binary() | _VALUES.map(encode).flatmap(lambda data: st.integers(0, len(data)).map(lambda end: data[:end])))
def test_reading_anything_ends_in_a_value_or_one_error(data: bytes) -> None:
    """Whatever a server sends is read or is a DecodeError without a cause, which would hold the text."""
    error = _refusal(data)
    assert error is None or str(error).startswith("the answer is not JSON: ")
    assert error is None or (error.__cause__, error.__context__) == (None, None)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "Expecting value at character 0"),
        (b"<html>", "Expecting value at character 0"),
        (b'{"a": 1} x', "Extra data at character 9"),
        (b'{"a": "\xff"}', "byte 7 is not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[NaN]", "NaN"),
        (b"[-Infinity]", "infinity"),
        (b"[" + b"9" * 5000 + b"]", "too many digits"),
    ],
)
def test_what_is_not_json_says_why(data: bytes, problem: str) -> None:
    """The message says where the text stops being JSON, and shows none of it."""
    with pytest.raises(DecodeError) as caught:
        decode(data)
    assert problem in str(caught.value)


def test_a_byte_order_mark_is_no_problem() -> None:
    """A mark at the beginning, which some proxies leave, is skipped."""
    assert decode(b'\xef\xbb\xbf{"a": "\\u00e4"}') == {"a": "ä"}


@pytest.mark.parametrize("text", [b'{"a": 1} {"b": 2}', b"{}{}", b'{"a": 1}}'])
def test_what_follows_the_end_is_an_error(text: bytes) -> None:
    """More than one value is no JSON, though it begins and ends as an object does."""
    with pytest.raises(DecodeError, match="Extra data"):
        decode(text)
