"""JSON by orjson: the same as by the standard library, or left to it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
import math
import sys
import uuid
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mida_async._core import codec, fast
from mida_async._sentinels import UNSET

pytest.importorskip("orjson", reason="both ways are compared")

SCALARS: Final = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary(max_size=3)
    | st.decimals()
    | st.dates()
    | st.datetimes(timezones=st.none() | st.timezones())
    | st.times()
    | st.uuids()
    | st.just(UNSET)
)
VALUES: Final = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=4) | st.integers() | st.none(), inner, max_size=3)
    ),
    max_leaves=8,
)


def outcome(value: object) -> object:
    """Return what a value is written as, decoded again; the text of the problem where it cannot be."""
    try:
        return json.loads(codec.encode(value))
    except codec.EncodeProblem as error:
        return str(error)


def without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take orjson away."""
    monkeypatch.setattr(fast, "_dumps", None)


@given(value=VALUES)
def test_whatever_is_given_both_ways_say_the_same(value: Any) -> None:
    """R7: with orjson and without, the same values go out, and the same ones are refused with the same words."""
    with_orjson = outcome(value)
    with pytest.MonkeyPatch.context() as monkeypatch:
        without(monkeypatch)
        assert outcome(value) == with_orjson


class Size(enum.Enum):
    """Members with values of several kinds."""

    LARGE = "L"
    ODD = math.nan
    DAY = dt.date(2024, 1, 2)


@dataclasses.dataclass
class Point:
    """What orjson would write by itself."""

    x: int = 1


def deep(levels: int) -> dict[str, Any]:
    """Return objects within objects."""
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "value",
    [
        *(math.nan, [math.inf], {"a": -math.inf}, None, [None], "null", {"null": 1}),
        *(deep(100), deep(101), deep(300), "{[" * 200, 2**63, 2**64, -(2**63) - 1, 10**30),
        *(Size.LARGE, Size.ODD, Size.DAY, [UNSET], Point(), dt.time(1), uuid.UUID(int=1), Decimal("1.10")),
        *(Decimal("NaN"), MappingProxyType({"a": 1}), {1, 2}, "\ud800", {"\ud800": 1}, {1: 2}, {None: 1}),
        *(1e30, 1e-7, -0.0, 1.0, sys.float_info.max, "é\u2028😀", (1, (2,)), b"x", object()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_odd_ones_are_treated_alike(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """R7: what one of the two writers takes and the other does not is no different for callers."""
    with_orjson = outcome(value)
    without(monkeypatch)
    without_it = outcome(value)
    if isinstance(with_orjson, str) and " at 0x" in with_orjson:
        pytest.fail("the message shows an address")
    assert without_it == with_orjson


def test_what_waits_for_long_takes_no_more_memory_than_its_text() -> None:
    """What orjson returns keeps a block of kilobytes; what is kept is a copy."""
    body = fast.encode({"a": 1}, repr, 100)
    assert body == b'{"a":1}'
    assert sys.getsizeof(body) < 64
