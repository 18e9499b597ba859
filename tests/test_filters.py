"""Filters: what is combined by ``&`` and ``|`` means the same in both nestings, and a wrong nesting is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mida_async import InvalidRequestError
from mida_async._core import filters
from mida_async._core.filters import MAX_CONDITIONS, and_of_ors, or_of_ands
from mida_async.models import AllOf, AnyOf, AttributeCondition, Condition

if TYPE_CHECKING:
    from collections.abc import Callable

    from mida_async._core.arguments import Kind

NAMES = "abcde"
Tree: TypeAlias = "str | tuple[str, list[Tree]]"

A, B, C, D = (Condition(name, "==", 1) for name in "abcd")
W, X, Y, Z = (AttributeCondition(name, "=", 1) for name in "wxyz")


def on_visitors(name: str) -> dict[str, object]:
    """Return a condition on visitors as it goes out."""
    return {"criteria": name, "operator": "==", "value": 1}


def on_events(name: str) -> dict[str, object]:
    """Return a condition on events as it goes out."""
    return {"key": name, "operand": "=", "value": 1}


def trees() -> st.SearchStrategy[Tree]:
    """Return trees of a few conditions: names, and groups of trees."""
    leaves: st.SearchStrategy[Tree] = st.sampled_from(NAMES)
    return st.recursive(
        leaves,
        lambda inner: st.tuples(st.sampled_from(["all", "any"]), st.lists(inner, min_size=1, max_size=4)),
        max_leaves=8,
    )


def truth(tree: Tree, true: set[str]) -> bool:
    """Evaluate a tree by itself."""
    if isinstance(tree, str):
        return tree in true
    kind, parts = tree
    return (all if kind == "all" else any)(truth(part, true) for part in parts)


def built(tree: Tree, leaf: Callable[[str], Any]) -> Any:
    """Build a tree of groups."""
    if isinstance(tree, str):
        return leaf(tree)
    kind, parts = tree
    return (AllOf if kind == "all" else AnyOf)(*(built(part, leaf) for part in parts))


def joined(tree: Tree, leaf: Callable[[str], Any]) -> Any:
    """Build the same tree by operators."""
    if isinstance(tree, str):
        return leaf(tree)
    kind, (first, *others) = tree
    whole = joined(first, leaf)
    for part in others:
        other = joined(part, leaf)
        whole = whole & other if kind == "all" else whole | other
    return whole


@given(trees(), st.sets(st.sampled_from(NAMES)))
def test_an_and_of_ors_is_true_where_the_filter_is(tree: Tree, true: set[str]) -> None:
    """Any tree of conditions, by classes or by operators, keeps its truth value as an AND of ORs."""
    for build in (built, joined):
        nested = and_of_ors("f", build(tree, lambda name: Condition(name, "==", 1)))
        assert all(any(item["criteria"] in true for item in group) for group in nested) is truth(tree, true)


@given(trees(), st.sets(st.sampled_from(NAMES)))
def test_an_or_of_ands_is_true_where_the_filter_is(tree: Tree, true: set[str]) -> None:
    """Any tree of conditions, by classes or by operators, keeps its truth value as an OR of ANDs."""
    for build in (built, joined):
        nested = or_of_ands("f", build(tree, lambda name: AttributeCondition(name, "=", 1)))
        assert any(all(item["key"] in true for item in group) for group in nested) is truth(tree, true)


@pytest.mark.parametrize(
    ("value", "groups"),
    [
        (A, ["a"]),
        (A & B, ["a", "b"]),
        (A | B, ["ab"]),
        ((A | B) & C, ["ab", "c"]),
        (A & B & C & D, ["a", "b", "c", "d"]),
        (A | B | C | D, ["abcd"]),
        ((A & B) | C, ["ac", "bc"]),
        (AllOf(AnyOf(A, B), C), ["ab", "c"]),
        (AllOf(AnyOf(on_visitors("a"), B)), ["ab"]),
        (on_visitors("a"), ["a"]),
        ([[on_visitors("a"), B], (C,)], ["ab", "c"]),
    ],
)
def test_an_and_of_ors_is_written_group_by_group(value: object, groups: list[str]) -> None:
    """Each inner list is an OR; conditions may be objects or dicts with the vendor's keys."""
    assert and_of_ors("f", value) == [[on_visitors(name) for name in group] for group in groups]


@pytest.mark.parametrize(
    ("value", "groups"),
    [
        (W, ["w"]),
        (W & X, ["wx"]),
        (W | X, ["w", "x"]),
        ((W & X) | Y, ["wx", "y"]),
        ((W | X) & (Y | Z), ["wy", "wz", "xy", "xz"]),
        (AnyOf(AllOf(on_events("w"), X), Y), ["wx", "y"]),
        ([[on_events("w"), X], (Y,)], ["wx", "y"]),
    ],
)
def test_an_or_of_ands_is_written_group_by_group(value: object, groups: list[str]) -> None:
    """Each inner list is an AND; conditions may be objects or dicts with the vendor's keys."""
    assert or_of_ands("f", value) == [[on_events(name) for name in group] for group in groups]


def test_groups_of_one_kind_merge() -> None:
    """A chain of one operator is one group, in whatever order it is put together."""
    assert A & B & C == A & (B & C) == AllOf(A, B, C)
    assert A | B | C == A | (B | C) == AnyOf(A, B, C)
    assert len({A & B, A | B, B & A, AllOf(A, B)}) == 3
    assert repr(A & B) == f"AllOf(parts=({A!r}, {B!r}))"


def test_only_conditions_and_groups_can_be_joined() -> None:
    """Anything else next to an operator is the TypeError that Python raises for it."""
    for other in (1, {"criteria": "a"}, None, [A]):
        with pytest.raises(TypeError, match="unsupported operand"):
            A & other  # type: ignore[operator]
        with pytest.raises(TypeError, match="unsupported operand"):
            A | other  # type: ignore[operator]


def test_what_is_not_said_is_not_sent() -> None:
    """A condition without a value or a key goes out without one; None is null; further keys of a dict stay."""
    assert and_of_ors("f", Condition("utm", "ex", key="campaign")) == [
        [{"criteria": "utm", "operator": "ex", "key": "campaign"}]
    ]
    assert or_of_ands("f", AttributeCondition("sku", "nx")) == [[{"key": "sku", "operand": "nx"}]]
    assert or_of_ands("f", AttributeCondition("sku", "=", None)) == [[{"key": "sku", "operand": "=", "value": None}]]
    with_id = {"id": 7, "criteria": "name", "operator": "==", "value": "x"}
    assert and_of_ors("f", with_id) == [[with_id]]
    assert or_of_ands("f", {"key": "sku", "operator": "ex"}) == [[{"key": "sku", "operator": "ex"}]]


def test_the_caller_s_mappings_are_not_shared() -> None:
    """What goes out is a copy."""
    mine = on_visitors("a")
    and_of_ors("f", mine)[0][0]["value"] = 2
    assert mine == on_visitors("a")


_AND = r"an AND of ORs: \[\[a, b\], \[c\]\] is \(a or b\) and c, which AllOf\(AnyOf\(a, b\), c\) says, too"
_OR = r"an OR of ANDs: \[\[a, b\], \[c\]\] is \(a and b\) or c, which AnyOf\(AllOf\(a, b\), c\) says, too"
_EMPTY = "is empty; it must hold at least one condition"
_NEEDS = r"it must be Condition\(\.\.\.\) or a mapping with criteria and operator; this field is"
_EVENT_NEEDS = r"it must be AttributeCondition\(\.\.\.\) or a mapping with key and operand or operator; this field is"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ([on_visitors("a")], rf"^f\[0\] is .*; it must be a list of conditions, because this field is {_AND}$"),
        ([A, B], rf"^f\[0\] is .*; it must be a list of conditions, because this field is {_AND}$"),
        ([A & B], r"^f\[0\] is AllOf"),
        ([[A], [B & C]], rf"^f\[1\]\[0\] is AllOf.*; {_NEEDS} {_AND}$"),
        ([], f"^f {_EMPTY}$"),
        ([[A], []], rf"^f\[1\] {_EMPTY}$"),
        (AllOf(), f"^f {_EMPTY}$"),
        (AnyOf(), f"^f {_EMPTY}$"),
        (AllOf(A, AnyOf()), rf"^f\[1\] {_EMPTY}$"),
        (AnyOf(A, AllOf()), rf"^f\[1\] {_EMPTY}$"),
        (5, f"^f is 5; it must be {_AND}$"),
        (None, "^f is None; "),
        ("device", "^f is 'device'; "),
        ({"a": 1}, f"^f is .*; {_NEEDS}"),
        ({"criteria": "a"}, f"^f is .*; {_NEEDS}"),
        ({"criteria": " ", "operator": "=="}, f"^f is .*; {_NEEDS}"),
        ({"criteria": "a", "operator": 1}, f"^f is .*; {_NEEDS}"),
        (Condition("", "=="), f"^f is .*; {_NEEDS}"),
        (W, f"^f is .*; {_NEEDS}"),
        (on_events("a"), f"^f is .*; {_NEEDS}"),
        ([[A, 5]], rf"^f\[0\]\[1\] is 5; {_NEEDS}"),
        ([["text"]], r"^f\[0\]\[0\] is 'text'; "),
        (AllOf(A, 5), r"^f\[1\] is 5; "),  # type: ignore[arg-type]
        (AllOf(A, [B]), r"^f\[1\] is \[Condition"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_and_of_ors_is_refused(value: object, problem: str) -> None:
    """R17: flat lists, empty groups and what is no condition are refused with the place and the right nesting."""
    with pytest.raises(InvalidRequestError, match=problem):
        and_of_ors("f", value)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ([on_events("a")], rf"^f\[0\] is .*; it must be a list of conditions, because this field is {_OR}$"),
        (5, f"^f is 5; it must be {_OR}$"),
        (A, f"^f is .*; {_EVENT_NEEDS} {_OR}$"),
        ({"key": "a"}, f"^f is .*; {_EVENT_NEEDS}"),
        ({"operand": "="}, f"^f is .*; {_EVENT_NEEDS}"),
        ([[]], rf"^f\[0\] {_EMPTY}$"),
    ],
)
def test_a_wrong_or_of_ands_is_refused(value: object, problem: str) -> None:
    """R17: the same for the other nesting, whose conditions are others."""
    with pytest.raises(InvalidRequestError, match=problem):
        or_of_ands("f", value)


def test_distribution_has_a_limit() -> None:
    """What would come to too many conditions is refused before it is made, however large."""
    pairs = AllOf(*(AnyOf(W, X) for _ in range(6)))
    assert sum(map(len, or_of_ands("f", pairs))) == 384
    problem = f"^f comes to more than {MAX_CONDITIONS} conditions"
    for size in (7, 200):
        with pytest.raises(InvalidRequestError, match=problem):
            or_of_ands("f", AllOf(*(AnyOf(W, X) for _ in range(size))))
    assert len(or_of_ands("f", [[W]] * MAX_CONDITIONS)) == MAX_CONDITIONS
    for many in ([[W]] * (MAX_CONDITIONS + 1), AnyOf(*[W] * (MAX_CONDITIONS + 1)), AllOf(*[W] * (MAX_CONDITIONS + 1))):
        with pytest.raises(InvalidRequestError, match=problem):
            or_of_ands("f", many)


def test_depth_has_a_limit() -> None:
    """Groups that are nested without end are refused, not a RecursionError."""
    deep: Any = A
    for number in range(3000):
        deep = AllOf(deep) if number % 2 else AnyOf(deep)
    with pytest.raises(InvalidRequestError, match="groups that are nested more than 50 deep"):
        and_of_ors("f", deep)


def test_a_condition_that_holds_itself_is_refused() -> None:
    """A cycle within a mapping is an error of the package, not a RecursionError."""
    cycle: dict[str, object] = {"criteria": "a", "operator": "=="}
    cycle["value"] = cycle
    with pytest.raises(InvalidRequestError, match="does not hold itself"):
        and_of_ors("f", cycle)


@pytest.mark.parametrize("kind", [filters.AND_OF_ORS, filters.OR_OF_ANDS])
def test_in_a_body_a_filter_is_an_array(kind: Kind) -> None:
    """The kind for bodies gives nested lists, refuses text, and its schema names the class of the conditions."""
    (model,) = kind.models
    (condition,) = [item for item in (A, W) if isinstance(item, model)]
    assert isinstance(kind.check("f", condition), list)
    with pytest.raises(InvalidRequestError, match="f is "):
        kind.check("f", "[[]]")
    reference = {"$ref": f"#/components/schemas/{model.__name__}"}
    assert kind.schema == {
        "type": "array",
        "minItems": 1,
        "items": {"type": "array", "minItems": 1, "items": reference},
    }


@pytest.mark.parametrize(
    ("kind", "array"),
    [(filters.AND_OF_ORS_TEXT, filters.AND_OF_ORS), (filters.OR_OF_ANDS_TEXT, filters.OR_OF_ANDS)],
)
def test_in_a_query_a_filter_is_json_text(kind: Kind, array: Kind) -> None:
    """The kind for queries gives compact JSON text of the same, and reads such text, too."""
    (model,) = kind.models
    (condition,) = [item for item in (A, W) if isinstance(item, model)]
    text = kind.check("f", condition)
    assert isinstance(text, str)
    assert json.loads(text) == array.check("f", condition)
    assert " " not in text
    assert kind.check("f", text.replace(",", " ,\n")) == text
    assert (kind.schema["type"], kind.schema["contentSchema"]) == ("string", array.schema)


@pytest.mark.parametrize("text", ["", "[[", "device", "NaN", "\ud800", "[" * 100_000])
def test_text_that_is_no_json_is_refused(text: str) -> None:
    """R17: text that is not JSON is an error of the package that says what is wanted, without the text in full."""
    with pytest.raises(InvalidRequestError, match="it must be conditions, or JSON text of a list of lists") as caught:
        filters.AND_OF_ORS_TEXT.check("custom_filter", text)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[{"criteria":"device","operator":"=="}]', "an AND of ORs"),
        ("[[]]", "is empty"),
        ("null", "f is None"),
        ('"[[]]"', "f is "),
        ('[[{"criteria":"device"}]]', "criteria and operator"),
    ],
)
def test_text_is_checked_like_lists(text: str, problem: str) -> None:
    """R17: a wrong nesting is refused in JSON text, too."""
    with pytest.raises(InvalidRequestError, match=problem):
        filters.AND_OF_ORS_TEXT.check("f", text)


def test_a_value_that_is_no_json_is_refused() -> None:
    """R17: what a condition is compared with must be JSON."""
    with pytest.raises(InvalidRequestError, match=r"^f: \[0\]\[0\]\.value: set has no form in JSON"):
        filters.AND_OF_ORS_TEXT.check("f", Condition("a", "==", {1}))
