"""Whom an experiment is shown to, as it goes out."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast

import attrs

from .._errors import InvalidRequestError
from ..models.filters import AllOf, AnyOf
from ..models.targeting import Targeting
from .arguments import Kind, input_of
from .checks import each, item_of, mapping
from .filters import and_of_ors, or_of_ands

_AND_OF_ORS: Final = ("parameter_rule", "cookie_rule", "segment_rule")

# docs/v2/create-experiment and get-experiment-details, 2026-08-22: what an experiment's details show by other names.
_WRITTEN: Final = MappingProxyType(
    {"devices": "device_rule", "browsers": "browser_rule", "countries": "allowed_country"}
)

if TYPE_CHECKING:
    from collections.abc import Mapping


def targeting(field: str, value: object) -> dict[str, object]:
    """
    Return targeting as it goes out.

    Conditions are brought into the lists of lists that each rule holds, whichever way they were combined. An empty list
    stays one, because in an update it takes a rule away.

    Args:
        field: The argument, for messages.
        value: A :class:`Targeting` or a mapping with the vendor's keys.

    Raises:
        InvalidRequestError: It is neither, a rule is nested wrongly, or it has the names that are read.
    """
    content = dict(cast("Mapping[str, object]", _item(field, value)))
    for read in _WRITTEN.keys() & content.keys():
        message = f"{field}.{read} is how targeting is read; it is written as {field}.{_WRITTEN[read]}"
        raise InvalidRequestError(message)
    for name in _AND_OF_ORS:
        if _is_given(content.get(name)):
            content[name] = and_of_ors(f"{field}.{name}", content[name])
    if content.get("event_rule") is not None:
        content["event_rule"] = _event_rules(f"{field}.event_rule", content["event_rule"])
    return content


_item: Final = item_of(Targeting)


def _event_rule(field: str, value: object) -> object:
    rule = dict(mapping(field, value))
    if _is_given(rule.get("attributes")):
        rule["attributes"] = or_of_ands(f"{field}.attributes", rule["attributes"])
    return rule


_event_rules: Final = each(_event_rule, "EventRules or mappings")


def _is_given(rule: object) -> bool:
    return isinstance(rule, (AllOf, AnyOf)) or (rule is not None and rule != [])


TARGETING: Final[Kind] = attrs.evolve(input_of(Targeting), check=targeting)
