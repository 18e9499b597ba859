"""What the bodies of experiments may hold, field by field."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from .wire import bad, filled_text, json_object, one_of, text_or_none

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

JSON: TypeAlias = dict[str, Any]

# docs/v2/create-experiment, 2026-08-22
DEFAULTS: Final[Mapping[str, object]] = MappingProxyType(
    {
        "traffic_allocation": 100,
        "confidence_interval": 95,
        "start_test_date": None,
        "end_test_date": None,
        "is_mab": 0,
        "is_autopilot": 0,
        "distribution": None,
        "bayesian": 1,
        "dom_change_path": None,
        "trigger_variant_change": None,
        "completion_visitor": 0,
        "completion_conversion": 0,
        "completion_after_period": 0,
        "completion_stats_significant_flag": 0,
        "integration": (),
    }
)
MAX_PAGES: Final = 50
PAGE_RULES: Final = ("simple", "exact", "contain", "regex")

_MAX_DEPTH: Final = 100
_FLAGS: Final = ("is_mab", "is_autopilot", "bayesian", "completion_stats_significant_flag")
_COUNTS: Final = ("completion_visitor", "completion_conversion", "completion_after_period")
_SETTING_TEXTS: Final = ("start_test_date", "end_test_date", "dom_change_path", "trigger_variant_change")
_TEXT_RULES: Final = ("device_rule", "browser_rule", "os_rule", "user_rule", "browser_language_rule")
_GROUPED_RULES: Final = ("parameter_rule", "cookie_rule", "segment_rule")


def body_of(body: bytes) -> JSON:
    """
    Decode a body that must be a JSON object, and not one that could not be written again.

    Raises:
        Refusal: It is another one.
    """
    content = json_object(body)
    level: list[object] = [content]
    for _ in range(_MAX_DEPTH):
        level = [item for value in level for item in _items(value)]
    if level:
        text = f"The request body is nested more than {_MAX_DEPTH} deep"
        raise bad(text)
    return content


def _items(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return cast("JSON", value).values()
    return cast("list[object]", value) if isinstance(value, list) else ()


def object_of(body: Mapping[str, Any], name: str) -> JSON:
    """
    Return a field that must be an object.

    Raises:
        Refusal: It is not.
    """
    value = body.get(name)
    if not isinstance(value, dict):
        text = f"{name} must be an object"
        raise bad(text)
    return cast("JSON", value)


def list_of(body: Mapping[str, Any], name: str, kind: type | tuple[type, ...], what: str) -> list[Any]:
    """
    Return a field that must be an array.

    Args:
        body: The body.
        name: The field.
        kind: What its items must be.
        what: What they are called in the refusal.

    Raises:
        Refusal: It is not.
    """
    value: list[Any] | None = body.get(name)
    if not isinstance(value, list) or not all(isinstance(item, kind) for item in value):
        text = f"{name} must be an array of {what}"
        raise bad(text)
    return value


def texts_of(body: Mapping[str, Any], name: str) -> list[str]:
    """
    Return a field that must be an array of strings.

    Raises:
        Refusal: It is not.
    """
    return list_of(body, name, str, "strings")


def address_of(body: Mapping[str, Any], name: str) -> str:
    """
    Return a field that must be an address and no pattern.

    Raises:
        Refusal: It is not.
    """
    address = filled_text(body, name)
    if "*" in address:
        text = f"{name} must be one page; wildcards are not allowed"
        raise bad(text)
    return address


def pages_of(body: Mapping[str, Any]) -> list[Any]:
    """
    Return the pages of a new experiment.

    Raises:
        Refusal: They are not what is documented.
    """
    if "page_urls" not in body:
        return []
    pages = list_of(body, "page_urls", (str, dict), "strings or objects")
    if not 1 <= len(pages) <= MAX_PAGES:
        text = f"page_urls must have 1 to {MAX_PAGES} entries"
        raise bad(text)
    rules = [rule_of(page) for page in pages]
    for rule in rules:
        _check_page(rule)
    if not any(rule["allowed"] for rule in rules):
        text = "page_urls must allow at least one page"
        raise bad(text)
    return pages


def rule_of(page: Any) -> JSON:
    """
    Return an entry of ``page_urls`` in its long form.

    Args:
        page: A text or an object.
    """
    given: JSON = {"url": page} if isinstance(page, str) else page
    return {"rule": "simple", "allowed": True, **{key: item for key, item in given.items() if item is not None}}


def _check_page(page: Mapping[str, Any]) -> None:
    if one_of(page, "rule", PAGE_RULES) == "regex":
        filled_text(page, "url")
    else:
        address_of(page, "url")
    if not isinstance(page["allowed"], bool):
        text = "allowed must be true or false"
        raise bad(text)


def _variants(body: Mapping[str, Any], name: str) -> list[JSON]:
    variants = list_of(body, name, dict, "objects")
    if not variants:
        text = f"{name} must have at least one entry"
        raise bad(text)
    for number, variant in enumerate(variants, 1):
        if variant.get("name") != f"Variant {number}":
            text = f"{name}[{number - 1}].name must be exactly Variant {number}; Control is not sent"
            raise bad(text)
        list_of(variant, "data", dict, "objects")
        for field in ("nickname", "customCSS", "customJS", "layer"):
            text_or_none(variant, field)
        if variant.get("targeting") is not None:
            _targeting(variant, "targeting")
    return variants


def _control(body: Mapping[str, Any], name: str) -> JSON:
    if body.get(name) is None:
        return {}
    control = object_of(body, name)
    for field in ("nickname", "customCSS", "customJS"):
        text_or_none(control, field)
    return control


def _control_attr(body: Mapping[str, Any], name: str) -> JSON | None:
    value = body.get(name)
    if value is None:
        return None
    # A half of a surrogate pair becomes what is no UTF-8, and so no JSON.
    content = body_of(value.encode("utf-8", "surrogatepass")) if isinstance(value, str) else object_of(body, name)
    for field in ("name", "js", "css"):
        text_or_none(content, field)
    return content


def _configuration(body: Mapping[str, Any], name: str) -> JSON:
    given = {field: value for field, value in object_of(body, name).items() if value is not None}
    for field in ("traffic_allocation", "confidence_interval"):
        _check_number(given, field, 100)
    for field in _COUNTS:
        _check_number(given, field, float("inf"))
    for field in _FLAGS:
        if field in given:
            given[field] = _flag(given, field)
    for field in _SETTING_TEXTS:
        text_or_none(given, field)
    if not isinstance(given.get("distribution", ""), (str, dict)):
        text = "distribution must be a string or an object"
        raise bad(text)
    if "integration" in given:
        texts_of(given, "integration")
    return {**DEFAULTS, **given}


def _check_number(body: Mapping[str, Any], name: str, most: float) -> None:
    value = body.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        text = f"{name} must be a number of 0 or more" + (f", at most {most}" if most < float("inf") else "")
        raise bad(text)


def _flag(body: Mapping[str, Any], name: str) -> int:
    value = body.get(name)
    return int(value) if isinstance(value, bool) else int(one_of(body, name, (0, 1)))


def _targeting(body: Mapping[str, Any], name: str) -> JSON:
    given = object_of(body, name)
    rules = {field: value for field, value in given.items() if value is not None}
    for field in _TEXT_RULES:
        if field in rules:
            texts_of(rules, field)
    for field in ("allowed_country", "allowed_region", "allowed_city"):
        if field in rules:
            for place in list_of(rules, field, dict, "objects"):
                filled_text(place, "name")
    for field in _GROUPED_RULES:
        if field in rules:
            _check_groups(rules, field, ("criteria", "operator"))
    if "event_rule" in rules:
        _check_event_rules(rules)
    return given


def _check_event_rules(rules: Mapping[str, Any]) -> None:
    for rule in list_of(rules, "event_rule", dict, "objects"):
        filled_text(rule, "name")
        if rule.get("attributes") is not None:
            _check_groups(rule, "attributes", ("key", "operand"))


def _check_groups(body: Mapping[str, Any], name: str, fields: tuple[str, ...]) -> None:
    for group in list_of(body, name, list, "arrays of conditions"):
        for condition in list_of({name: group}, name, dict, "arrays of conditions"):
            for field in fields:
                filled_text(condition, field)


_Check: TypeAlias = "Callable[[Mapping[str, Any], str], Any]"
_CREATE: Final[Mapping[str, _Check]] = MappingProxyType(
    {
        "test_name": filled_text,
        "url": address_of,
        "variants": _variants,
        "control": _control,
        "control_attr": _control_attr,
        "custom_js": text_or_none,
        "custom_css": text_or_none,
        "configuration": _configuration,
        "targeting": _targeting,
    }
)
_UPDATE: Final[Mapping[str, _Check]] = MappingProxyType({**_CREATE, "tags": texts_of})


def fields_of_new(body: Mapping[str, Any]) -> JSON:
    """
    Check the fields of a new experiment that an update has, too.

    Raises:
        Refusal: One of them is wrong, or one that is needed is missing.
    """
    for name in ("test_name", "variants"):
        if name not in body:
            text = f"{name} is required"
            raise bad(text)
    return {name: check(body, name) for name, check in _CREATE.items() if name in body}


def fields_of_update(body: Mapping[str, Any]) -> JSON:
    """
    Check the fields of an update.

    Raises:
        Refusal: One of them is wrong.
    """
    return {name: check(body, name) for name, check in _UPDATE.items() if name in body}
