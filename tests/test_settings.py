"""The settings: what is allowed, what is refused and how, and what the shorthands mean."""

from __future__ import annotations

import copy
import inspect
import math
import pickle
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mida_async import _settings
from mida_async._errors import InvalidEventError, SettingsError
from mida_async._sentinels import UNSET, Unset
from mida_async._settings import BufferSettings, Fold, RateLimit, RetryPolicy, Timeout

if TYPE_CHECKING:
    from collections.abc import Callable

CLASSES = tuple(
    cls for name, cls in inspect.getmembers(_settings, attrs.has) if inspect.isclass(cls) and not name.startswith("_")
)
# What each class needs besides the field under test.
REQUIRED: MappingProxyType[str, dict[str, Any]] = MappingProxyType({"RateLimit": {"limit": 1, "per": 1}})

COUNT = ((0, -1, 1.0, True, "1", None), "a whole number, 1 or greater")
POSITIVE = ((0, -0.5, math.nan, math.inf, True, "1", None), "a finite number greater than 0")
NOT_NEGATIVE = ((-1, -0.5, math.nan, -math.inf, math.inf, False, "0", None), "a finite number, 0 or greater")
BOOLEAN = ((1, 0, "yes", None), "True or False")


def _words(*words: str) -> tuple[tuple[object, ...], str]:
    return ("", "WAIT", None, 1, [words[0]], words[0].upper()), "one of " + ", ".join(map(repr, words))


BAD: MappingProxyType[str, dict[str, tuple[tuple[object, ...], str]]] = MappingProxyType(
    {
        "RateLimit": {"limit": COUNT, "per": POSITIVE},
        "Timeout": {"connect": POSITIVE, "read": POSITIVE, "total": POSITIVE},
        "RetryPolicy": {"max_attempts": COUNT, "initial": NOT_NEGATIVE, "maximum": NOT_NEGATIVE},
        "VisitorCache": {"ttl": POSITIVE, "maxsize": COUNT},
        "Fold": {"combine": ((None, "last", 3), "a function of the older and the newer properties")},
        "BufferSettings": {
            "rate_limits": (((350,), (None,), ("350/s",), (RateLimit(1, per=1), 2)), "RateLimit objects"),
            "pacing": _words("auto", "smooth", "burst"),
            "adaptive": BOOLEAN,
            "concurrency": COUNT,
            "max_records": COUNT,
            "max_bytes": COUNT,
            "overflow": _words("wait", "raise", "drop_oldest", "drop_newest"),
            "order": _words("visitor", "none"),
            "guarantee": _words("at_least_once", "at_most_once"),
            "unknown_visitor": _words("reject", "wait"),
            "unknown_visitor_patience": NOT_NEGATIVE,
            "folds": (({"a": "last"}, {1: Fold.last()}, {"a": None}), "a mapping of event names to Fold rules"),
            "linger": NOT_NEGATIVE,
            "dedupe_window": NOT_NEGATIVE,
            "max_age": POSITIVE,
            "close_timeout": NOT_NEGATIVE,
        },
    }
)
CASES = [
    (name, field, value) for name, fields in BAD.items() for field, (values, _) in fields.items() for value in values
]


def make(name: str, **values: object) -> object:
    """Return settings of the class called *name*, with *values* and otherwise the defaults."""
    cls: type[object] = getattr(_settings, name)
    return cls(**{**REQUIRED.get(name, {}), **values})


def test_every_field_of_every_class_is_tried() -> None:
    """The table of bad values above has an entry for each field that a user can set."""
    fields = {cls.__name__: {field.name for field in attrs.fields(cls)} for cls in CLASSES}
    assert fields == {name: set(entries) for name, entries in BAD.items()}


@pytest.mark.parametrize(("name", "field", "value"), CASES)
def test_a_bad_value_is_refused_with_field_value_and_remedy(name: str, field: str, value: object) -> None:
    """The error names class and field, shows the value, and says what is allowed."""
    with pytest.raises(SettingsError) as caught:
        make(name, **{field: value})
    assert str(caught.value).startswith(f"{name}.{field} is {value!r}; it must be {BAD[name][field][1]}")


@pytest.mark.parametrize(("field", "value"), [("rate_limits", "350/s"), ("rate_limits", None), ("rate_limits", 350)])
@pytest.mark.parametrize("wrap", [False, True])
def test_a_bad_rate_limit_is_refused_alone_or_in_a_list(field: str, value: object, *, wrap: bool) -> None:
    """A number or a text is no rate limit, and the message shows it either way."""
    with pytest.raises(SettingsError) as caught:
        make("BufferSettings", **{field: [value] if wrap else value})
    assert f"BufferSettings.rate_limits is {(value,)!r}; it must be RateLimit objects" in str(caught.value)


@pytest.mark.parametrize("value", [None, "last", 3, [], [("a", Fold.last())], {"a"}])
def test_folds_that_are_no_mapping_are_refused(value: object) -> None:
    """Whatever is no mapping, hashable or not, gets the error that names the field and what is allowed."""
    with pytest.raises(SettingsError, match=r"^BufferSettings\.folds is .*it must be a mapping of event names to Fold"):
        make("BufferSettings", folds=value)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("RateLimit", "limit", 1),
        ("RateLimit", "per", 0.001),
        ("Timeout", "total", 1),
        ("RetryPolicy", "max_attempts", 1),
        ("RetryPolicy", "initial", 0),
        ("BufferSettings", "rate_limits", ()),
        ("BufferSettings", "concurrency", 1),
        ("BufferSettings", "linger", 0),
        ("BufferSettings", "close_timeout", 0),
        ("BufferSettings", "unknown_visitor_patience", 0.5),
        ("BufferSettings", "adaptive", False),
    ],
)
def test_the_bounds_themselves_are_allowed(name: str, field: str, value: object) -> None:
    """The smallest allowed value of each kind is taken as it is."""
    assert getattr(make(name, **{field: value}), field) == value


def test_the_defaults_are_the_documented_ones() -> None:
    """A setting that is not given has the value that the documentation promises."""
    assert attrs.asdict(Timeout()) == {"connect": 5.0, "read": 30.0, "total": 60.0}
    assert attrs.asdict(RetryPolicy()) == {"max_attempts": 10, "initial": 0.5, "maximum": 30.0}
    assert attrs.asdict(BufferSettings(), recurse=False) == {
        "rate_limits": (RateLimit(350, per=1), RateLimit(3500, per=60)),
        "pacing": "auto",
        "adaptive": True,
        "concurrency": 32,
        "max_records": 100_000,
        "max_bytes": 64 * 2**20,
        "overflow": "wait",
        "order": "visitor",
        "guarantee": "at_least_once",
        "unknown_visitor": "reject",
        "unknown_visitor_patience": 300.0,
        "folds": {},
        "linger": 0.0,
        "dedupe_window": 3600.0,
        "max_age": 86400.0,
        "close_timeout": 10.0,
    }


@pytest.mark.parametrize("settings", [RateLimit(1, per=1), Timeout(), RetryPolicy(), Fold.last(), BufferSettings()])
def test_settings_cannot_be_changed_after_they_are_made(settings: attrs.AttrsInstance) -> None:
    """A client's settings stay as they were checked."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(settings, attrs.fields(type(settings))[0].name, 1)


@pytest.mark.parametrize("cls", [Timeout, RetryPolicy, BufferSettings])
def test_settings_with_many_fields_take_them_by_name_only(cls: Callable[[int], object]) -> None:
    """A number without a name in front of it would say nothing to a reader."""
    with pytest.raises(TypeError):
        cls(1)


def test_rate_limits_may_be_any_iterable_or_a_single_one() -> None:
    """A list or a generator is kept as a tuple of its own, and one limit needs no brackets."""
    limit = RateLimit(5, per=1)
    limits = [limit]
    settings = BufferSettings(rate_limits=limits)
    limits.append(RateLimit(6, per=1))
    assert settings.rate_limits == (limit,)
    assert BufferSettings(rate_limits=limit).rate_limits == (limit,)
    assert BufferSettings(rate_limits=(each for each in limits)).rate_limits == tuple(limits)


def test_folds_are_a_copy_that_cannot_be_changed() -> None:
    """A later change to the caller's mapping has no effect, and the settings' own refuses one."""
    folds = {"viewed": Fold.last()}
    settings = BufferSettings(folds=folds)
    folds["other"] = Fold.last()
    assert set(settings.folds) == {"viewed"}
    assert not hasattr(settings.folds, "__setitem__")


@pytest.mark.parametrize(
    ("text", "limit", "per"),
    [
        ("350/s", 350, 1),
        ("3500/m", 3500, 60),
        ("3500/min", 3500, 60),
        ("10000/h", 10_000, 3600),
        ("100000/d", 100_000, 86_400),
        ("200/5s", 200, 5),
        ("1/0.5s", 1, 0.5),
        ("1/1.5h", 1, 5400),
        (" 350 / s ", 350, 1),
    ],
)
def test_a_rate_is_read_from_its_usual_spelling(text: str, limit: int, per: float) -> None:
    """Number, slash, optional count and unit give the limit; spaces do not matter."""
    assert RateLimit.parse(text) == RateLimit(limit, per=per)


@given(st.integers(min_value=1, max_value=10**9), st.integers(min_value=1, max_value=10**6), st.sampled_from("smhd"))
def test_any_whole_rate_is_read_back_as_written(limit: int, count: int, unit: str) -> None:
    """No number and no unit is lost or rounded on the way."""
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86_400}[unit]
    assert RateLimit.parse(f"{limit}/{count}{unit}") == RateLimit(limit, per=count * seconds)


@pytest.mark.parametrize(
    "text", ["", "350", "350/", "/s", "350/x", "-1/s", "1.5/s", "350 per s", "350/s/s", "1/-1s", "∞/s"]
)
def test_a_rate_that_is_not_understood_is_refused(text: str) -> None:
    """The error shows the text and how to write a rate."""
    with pytest.raises(SettingsError) as caught:
        RateLimit.parse(text)
    assert str(caught.value) == f"rate {text!r} is not understood; write it as 350/s, 3500/m or 200/5s"


@pytest.mark.parametrize(("text", "field"), [("0/s", "limit"), ("350/0s", "per")])
def test_a_rate_of_nothing_is_refused(text: str, field: str) -> None:
    """Zero requests, or a window of no length, is refused as it is at construction."""
    with pytest.raises(SettingsError, match=rf"^RateLimit\.{field} is 0"):
        RateLimit.parse(text)


def test_fold_last_keeps_the_newer_properties() -> None:
    """Nothing of the older record is sent."""
    assert Fold.last().combine({"a": 1, "b": 2}, {"a": 3}) == {"a": 3}


def test_fold_sum_adds_its_fields_and_takes_the_rest_from_the_newer() -> None:
    """A field that one of the two lacks counts as 0, and neither input changes."""
    older, newer = {"seconds": 5, "page": "old", "clicks": 1}, {"seconds": 7.5, "page": "new"}
    before = copy.deepcopy((older, newer))
    assert Fold.sum("seconds", "clicks").combine(older, newer) == {"seconds": 12.5, "clicks": 1, "page": "new"}
    assert Fold.sum("seconds").combine({}, {}) == {"seconds": 0}
    assert (older, newer) == before


@given(st.integers(min_value=2, max_value=30))
def test_fold_count_counts_the_records(records: int) -> None:
    """However many records fold one after the other, the field ends up as their number."""
    combine, folded = Fold.count("times").combine, {"page": "0"}
    for number in range(1, records):
        folded = dict(combine(folded, {"page": str(number)}))
    assert folded == {"page": str(records - 1), "times": records}


def test_fold_count_adds_what_a_record_counted_already() -> None:
    """A record that brings its own count stands for that many."""
    assert Fold.count("times").combine({"times": 3}, {"times": 4}) == {"times": 7}


@pytest.mark.parametrize("fields", [(), ("",), ("seconds", 1), (None,)])
def test_fold_refuses_what_is_no_property_name(fields: tuple[Any, ...]) -> None:
    """``sum`` needs at least one name, and ``sum`` and ``count`` need names that are texts."""
    with pytest.raises(SettingsError, match=r"^Fold\.sum got .*it must be the names of properties"):
        Fold.sum(*fields)
    with pytest.raises(SettingsError, match=r"^Fold\.count got .*it must be the names of properties"):
        Fold.count(fields[-1] if fields else "")


def test_equal_settings_are_equal() -> None:
    """Settings compare by value, so that a user can tell whether two clients are set up alike."""
    assert BufferSettings(folds={"a": Fold.sum("x")}) == BufferSettings(folds={"a": Fold.sum("x")})
    assert BufferSettings() != BufferSettings(concurrency=1)


def test_the_sentinel_reads_as_its_name_and_counts_as_nothing() -> None:
    """``UNSET`` is false, shows as UNSET, and is the same object after a copy, also in another process."""
    assert not UNSET
    assert repr(UNSET) == "UNSET"
    assert copy.deepcopy(UNSET) is UNSET is Unset(UNSET.value)
    assert pickle.loads(pickle.dumps(UNSET)) is UNSET  # noqa: S301 - our own


@pytest.mark.parametrize("fold", [Fold.sum("seconds"), Fold.count("seconds")])
def test_only_numbers_are_added_up(fold: Fold) -> None:
    """R4: a property that is to be added up and is no number is refused, rather than glued together as text."""
    with pytest.raises(InvalidEventError, match=r"properties\.seconds is '1'"):
        fold.combine({"seconds": "1"}, {"seconds": 2})


@pytest.mark.parametrize(("one", "other"), [(Decimal(1), 1.5), (10**400, 1.5), (Decimal("sNaN"), Decimal(1))])
def test_numbers_that_cannot_be_added_up_are_refused(one: object, other: object) -> None:
    """R4: two numbers without a sum are no error of record(): each record is sent by itself."""
    for older, newer in (({"x": one}, {"x": other}), ({"x": other}, {"x": one})):
        with pytest.raises(InvalidEventError, match=r"properties\.x is .*; to be folded they must be numbers"):
            Fold.sum("x").combine(older, newer)
