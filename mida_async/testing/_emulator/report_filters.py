"""
The filters of reports: whether they are well formed, and whom and what they keep.

The emulator knows its visitors' identifiers and attributes and the properties of their events, and nothing of devices,
countries or pages. So ``v.visitor_id``, ``v.uuid`` (``==`` and ``!=``), ``attribute`` (but for ``bt``, ``bf`` and those
that count days) and ``event_attribute`` have their effect; ``filter_by`` and every other condition are checked, and
then taken for true.
"""

from __future__ import annotations

import json
import operator
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from .values import amount, text_of
from .visitors import AttributeStore
from .wire import Refusal, bad

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .project import Project

Conditions: TypeAlias = list[list[dict[str, Any]]]

_CUSTOM: Final = "custom_filter"
_ATTRIBUTE: Final = "event_attribute"

# docs/v2/get-experiment-result, 2026-08-22
_TEXTS: Final = ("==", "!=", "**", "!*")
_COMMON: Final = (*_TEXTS, "ex", "nx")
_ORDERED: Final = (*_COMMON, ">", ">=", "<", "<=")
_EXTENDED: Final = (*_COMMON, "gt", "gte", "lt", "lte", "bt", "bf", "days_gt", "days_gte", "days_lt", "days_lte")
_OPERATORS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        **dict.fromkeys(("landing_page", "ref_page", "user_agent", "queryparam", "utm"), _COMMON),
        **dict.fromkeys(("source", "device", "browser", "os", "visitor_type"), _COMMON),
        **dict.fromkeys(("dayofweek", "hourofday"), _ORDERED),
        **dict.fromkeys(("country", "v.visitor_id", "v.uuid"), _TEXTS),
        "attribute": _EXTENDED,
    }
)
_KEYED: Final = ("queryparam", "utm", "attribute")
_BROWSERS: Final = (
    *("chrome", "firefox", "safari", "edge_chromium", "edge_legacy", "opera", "ie", "brave", "vivaldi", "yandex"),
    *("chromium", "samsung", "uc", "duckduckgo", "silk", "facebook", "instagram", "other"),
)
_VALUES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "source": "direct|referral|social|search|nonpaid|paid|email",
        "device": "mobile|desktop|tablet",
        "browser": "|".join(_BROWSERS),
        "os": "windows|macos|ios|linux",
        "dayofweek": "[0-6]",
        "hourofday": "1?[0-9]|2[0-3]",
        "visitor_type": "new|returning",
        "country": "[A-Z]{2}",
        "v.visitor_id": "[A-Za-z0-9_-]{1,80}",
        "v.uuid": "[A-Za-z0-9_-]{1,80}",
    }
)
_COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = MappingProxyType(
    {">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le}
)
_OPERANDS: Final = ("=", "!=", "**", "!*", "ex", "nx", *_COMPARE)
# What the operators of conditions on visitors are called in those on events.
_SYNONYMS: Final = MappingProxyType({"==": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="})
_EXISTENCE: Final = ("ex", "nx")
_KEY: Final = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_LONGEST_VALUE: Final = 500
# The list of tokens is open; all that are shown are words, and countries.
_TOKEN: Final = re.compile(r"[a-z]+|country-[A-Za-z]{2}")


def check_tokens(query: Mapping[str, str]) -> None:
    """
    Check ``filter_by``.

    Raises:
        Refusal: It is not a comma list of tokens.
    """
    value = query.get("filter_by")
    if value is not None and not all(_TOKEN.fullmatch(token) for token in value.split(",")):
        text = "filter_by must be a comma-separated list of filters such as mobile or country-US"
        raise bad(text)


def visitor_conditions(query: Mapping[str, str]) -> Conditions:
    """
    Return ``custom_filter``, an AND of ORs; empty where it is not given.

    Raises:
        Refusal: It is malformed, or a condition is none that the page documents.
    """
    found = _lists_of(query, _CUSTOM)
    for condition in (condition for group in found for condition in group):
        _check_visitor_condition(condition)
    return found


def event_conditions(query: Mapping[str, str]) -> Conditions:
    """
    Return ``event_attribute``, an OR of ANDs; empty where it is not given.

    Raises:
        Refusal: It is malformed, or a condition is none that the page documents.
    """
    found = _lists_of(query, _ATTRIBUTE)
    for condition in (condition for group in found for condition in group):
        _check_event_condition(condition)
    return found


def _lists_of(query: Mapping[str, str], name: str) -> Conditions:
    text = query.get(name)
    if text is None:
        return []
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise _malformed(name, "it is not valid JSON") from None
    if not _is_filled(value) or not all(_is_filled(group) for group in value):
        raise _malformed(name, "it must be an array of arrays, none of them empty")
    if not all(isinstance(condition, dict) for group in value for condition in group):
        raise _malformed(name, "conditions must be objects")
    return cast("Conditions", value)


def _is_filled(value: object) -> bool:
    return isinstance(value, list) and value != []


def _malformed(name: str, problem: str) -> Refusal:
    return bad(f"{name} is malformed: {problem}")


def _check_visitor_condition(condition: Mapping[str, Any]) -> None:
    criteria, comparison = condition.get("criteria"), condition.get("operator")
    allowed = _OPERATORS.get(criteria) if isinstance(criteria, str) else None
    if allowed is None:
        raise _malformed(_CUSTOM, "a condition has no criteria that are supported")
    if comparison not in allowed:
        raise _malformed(_CUSTOM, f"the operator of {criteria} must be one of {' '.join(allowed)}")
    if criteria in _KEYED and not _is_text(condition.get("key")):
        raise _malformed(_CUSTOM, f"{criteria} requires key")
    if comparison not in _EXISTENCE:
        _check_value(str(criteria), str(comparison), condition.get("value"))


def _check_value(criteria: str, comparison: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise _malformed(_CUSTOM, f"{criteria} requires a value")
    pattern = _VALUES.get(criteria)
    if pattern and comparison not in {"**", "!*"} and not re.fullmatch(pattern, text_of(value)):
        raise _malformed(_CUSTOM, f"{criteria} has no such value")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _check_event_condition(condition: Mapping[str, Any]) -> None:
    key, operand = condition.get("key"), _operand(condition)
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise _malformed(_ATTRIBUTE, "key must consist of 1 to 80 letters, digits, _, . and -")
    if operand not in _OPERANDS:
        raise _malformed(_ATTRIBUTE, f"operand must be one of {' '.join(_OPERANDS)}")
    value = condition.get("value")
    if operand not in _EXISTENCE and (isinstance(value, bool) or not isinstance(value, (str, int, float))):
        raise _malformed(_ATTRIBUTE, "value must be a string or a number")
    if len(text_of(value)) > _LONGEST_VALUE:
        raise _malformed(_ATTRIBUTE, f"value must have at most {_LONGEST_VALUE} characters")


def _operand(condition: Mapping[str, Any]) -> object:
    return condition.get("operand", condition.get("operator"))


def keeps(conditions: Conditions, visitor: int, project: Project) -> bool:
    """
    Say whether a visitor is among those whom ``custom_filter`` keeps.

    Args:
        conditions: The filter; an empty one keeps all.
        visitor: The visitor's number.
        project: What is known of visitors.
    """
    return all(any(_is_true_of(condition, visitor, project) for condition in group) for group in conditions)


def _is_true_of(condition: Mapping[str, Any], visitor: int, project: Project) -> bool:
    comparison, value = condition["operator"], condition.get("value")
    operand = _SYNONYMS.get(comparison, comparison)
    match condition["criteria"]:
        case "v.visitor_id":
            return _holds(operand, str(visitor), value)
        case "v.uuid" if operand in {"=", "!="}:
            return (project.visitors.find(text_of(value), None, None) == visitor) is (operand == "=")
        case "attribute" if operand in _OPERANDS:
            return _holds(operand, project.store(AttributeStore).of(visitor).get(condition["key"]), value)
        case _:
            return True


def fits(conditions: Conditions, properties: Mapping[str, Any]) -> bool:
    """
    Say whether an event is among those that ``event_attribute`` keeps.

    Args:
        conditions: The filter; an empty one keeps all.
        properties: The event's.
    """
    return not conditions or any(all(_is_true_in(properties, one) for one in group) for group in conditions)


def _is_true_in(properties: Mapping[str, Any], condition: Mapping[str, Any]) -> bool:
    return _holds(str(_operand(condition)), properties.get(condition["key"]), condition.get("value"))


def _holds(operand: str, actual: object, expected: object) -> bool:
    """Compare; what is not there is not equal to anything, contains nothing, and is not in any order."""
    match operand:
        case "ex" | "nx":
            return (actual is not None) is (operand == "ex")
        case "=" | "!=":
            return (actual is not None and _is_same(actual, expected)) is (operand == "=")
        case "**" | "!*":
            return (actual is not None and text_of(expected) in text_of(actual)) is (operand == "**")
        case _:
            first, second = amount(actual), amount(expected)
            return first is not None and second is not None and _COMPARE[operand](first, second)


def _is_same(actual: object, expected: object) -> bool:
    first, second = amount(actual), amount(expected)
    return first == second if first is not None and second is not None else text_of(actual) == text_of(expected)
