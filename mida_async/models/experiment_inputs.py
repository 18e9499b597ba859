"""What the experiments endpoints take, as alternatives to plain dicts."""

from __future__ import annotations

import datetime as dt
import enum
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from .._errors import InvalidRequestError
from .._sentinels import UNSET, UnsetType
from .base import WIRE_NAME, Input
from .goals import GoalType
from .targeting import Targeting

if TYPE_CHECKING:
    from .experiments import ExperimentDetails, ExperimentVariant


class Placement(enum.StrEnum):
    """Where something is put, seen from an element (docs/v2/create-experiment, 2026-08-22)."""

    AFTER = "a"
    BEFORE = "b"
    FIRST_CHILD = "p"
    """Into the element, before all that it holds. Nothing can be moved there, only inserted."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class _Change(Input):
    """
    What all changes of a page have in common.

    Attributes:
        sitewide: False where it is made on one page only.
        page_url: That page. The browser compares its origin and path, and ignores its query.
    """

    sitewide: bool | UnsetType = UNSET
    page_url: str | UnsetType = attrs.field(default=UNSET, metadata={WIRE_NAME: "pageUrl"})


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ModifyElement(_Change):
    """
    Change what an element says or looks like (docs/v2/create-experiment, 2026-08-22).

    Attributes:
        target: The CSS selector of the element.
        inner_text: Its text as it is shown.
        text_content: Its text.
        inner_html: What it holds.
        outer_html: What stands in its place.
        src: Its source.
        href: Its address.
        style: Its style.
        class_: Its classes.
    """

    target: str
    inner_text: str | UnsetType = attrs.field(default=UNSET, metadata={WIRE_NAME: "innerText"})
    text_content: str | UnsetType = attrs.field(default=UNSET, metadata={WIRE_NAME: "textContent"})
    inner_html: str | UnsetType = attrs.field(default=UNSET, metadata={WIRE_NAME: "innerHTML"})
    outer_html: str | UnsetType = attrs.field(default=UNSET, metadata={WIRE_NAME: "outerHTML"})
    src: str | UnsetType = UNSET
    href: str | UnsetType = UNSET
    style: str | UnsetType = UNSET
    class_: str | UnsetType = attrs.field(default=UNSET, metadata={WIRE_NAME: "class"})


@attrs.frozen(kw_only=True, eq=False, repr=False)
class HideElement(_Change):
    """
    Hide an element, whose room goes as well (docs/v2/create-experiment, 2026-08-22).

    Attributes:
        target: The CSS selector of the element.
        style: What hides it.
    """

    target: str
    style: str = attrs.field(default="display: none;", init=False)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RemoveElement(_Change):
    """
    Take an element out of the page (docs/v2/create-experiment, 2026-08-22).

    Attributes:
        target: The CSS selector of the element.
    """

    target: str = attrs.field(metadata={WIRE_NAME: "rm"})


@attrs.frozen(kw_only=True, eq=False, repr=False)
class InsertHtml(_Change):
    """
    Put something new into the page (docs/v2/create-experiment, 2026-08-22).

    Attributes:
        html: What is put there.
        placement: Where, seen from *beside*.
        beside: The CSS selector of an element that is there.
    """

    html: str = attrs.field(metadata={WIRE_NAME: "htmlBlock"})
    placement: Placement | str = attrs.field(metadata={WIRE_NAME: "dir"})
    beside: str = attrs.field(metadata={WIRE_NAME: "refEl"})


@attrs.frozen(kw_only=True, eq=False, repr=False)
class MoveElement(_Change):
    """
    Put an element somewhere else (docs/v2/create-experiment, 2026-08-22).

    Attributes:
        target: The CSS selector of the element.
        placement: Where, seen from *beside*: before it or after it.
        beside: The CSS selector of the other element.
    """

    target: str = attrs.field(metadata={WIRE_NAME: "oriEl"})
    placement: Placement | str = attrs.field(metadata={WIRE_NAME: "dir"})
    beside: str = attrs.field(metadata={WIRE_NAME: "refEl"})


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Redirect(Input):
    """
    Send visitors to another address; the first change of a variant of a split test (docs/v2/create-experiment).

    Attributes:
        url: The address.
        relay_param: Whether the parameters of the address that they came to go with them.
    """

    url: str
    relay_param: bool | UnsetType = UNSET


Change: TypeAlias = (
    ModifyElement | HideElement | RemoveElement | InsertHtml | MoveElement | Redirect | Mapping[str, object]
)
"""One change of a page; a mapping is one with the vendor's keys."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Variant(Input):
    """
    A treatment (docs/v2/create-experiment, 2026-08-22). Control is not one: it is there without being sent.

    Attributes:
        name: Its exact name, ``Variant 1`` for the first and so on. Leave it out: it is filled in by the place in the
            list, and any other name is refused.
        nickname: What people call it.
        custom_css: Its style sheet.
        custom_js: Its script.
        data: Its changes to the page, in order; none where this is left out.
        targeting: Whom it is shown to, in a personalization.
        layer: What it is combined with others by, in a multivariate test.
    """

    name: str | UnsetType = UNSET
    nickname: str | UnsetType = UNSET
    custom_css: str | UnsetType = attrs.field(default=UNSET, metadata={WIRE_NAME: "customCSS"})
    custom_js: str | UnsetType = attrs.field(default=UNSET, metadata={WIRE_NAME: "customJS"})
    data: Sequence[Change] | UnsetType = UNSET
    targeting: Targeting | Mapping[str, object] | UnsetType = UNSET
    layer: str | UnsetType = UNSET


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Control(Input):
    """
    What is particular to Control (docs/v2/create-experiment, 2026-08-22).

    Attributes:
        nickname: What people call it.
        custom_css: A style sheet for those who see it.
        custom_js: A script for those who see it.
    """

    nickname: str | UnsetType = UNSET
    custom_css: str | UnsetType = attrs.field(default=UNSET, metadata={WIRE_NAME: "customCSS"})
    custom_js: str | UnsetType = attrs.field(default=UNSET, metadata={WIRE_NAME: "customJS"})


class PageMatch(enum.StrEnum):
    """How the address of a page is compared (docs/v2/create-experiment, 2026-08-22)."""

    SIMPLE = "simple"
    """The address, with or without ``www.`` and a slash at its end; what the server takes where nothing is said."""

    EXACT = "exact"
    CONTAIN = "contain"
    REGEX = "regex"
    """The only one in which ``*`` may stand, as in any regular expression; it is no wildcard."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class PageRule(Input):
    """
    Pages that an experiment is about, or is not (docs/v2/create-experiment, 2026-08-22).

    Attributes:
        url: The address, a part of it or a regular expression.
        rule: How it is compared.
        allowed: False for pages that are left out, which wins over all that let them in.
    """

    url: str
    rule: PageMatch | str | UnsetType = UNSET
    allowed: bool | UnsetType = UNSET


@attrs.frozen(kw_only=True, eq=False, repr=False)
class InlineGoal(Input):
    """
    A goal that is created along with an experiment (docs/v2/create-experiment, 2026-08-22).

    A goal of the project that has the same name **and type** is used instead, and keeps its own value even where
    *goal_value* is another.

    Attributes:
        goal_name: Its name.
        goal_type: What counts as reaching it.
        goal_value: The address, selector, name or number that the type needs. Numbers go out as text.
    """

    goal_name: str
    goal_type: GoalType | str
    goal_value: str | int


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Configuration(Input):
    """
    How an experiment runs (docs/v2/create-experiment, 2026-08-22).

    Percentages are 0 to 100: 25 means 25 %, and 0.25 a quarter of one percent.

    Attributes:
        traffic_allocation: The percentage of visitors who take part; 100 otherwise.
        confidence_interval: The percentage from which a difference counts as significant; 95 otherwise.
        start_test_date: When it starts by itself.
        end_test_date: When it ends by itself.
        is_mab: Whether traffic goes where results are better (multi-armed bandit).
        is_autopilot: Whether the vendor's autopilot allocates traffic.
        distribution: How traffic is divided, such as ``manual``; the page does not say what an object would hold.
        bayesian: Whether statistics are Bayesian, as they are otherwise; False for frequentist.
        dom_change_path: How changes of the page are made, such as ``immediate``; usually set by the dashboard.
        trigger_variant_change: When code runs on pages that change themselves, such as ``immediate``.
        completion_visitor: It ends after this many visitors; 0 for never.
        completion_conversion: It ends after this many conversions; 0 for never.
        completion_after_period: It ends after this many days; 0 for never.
        completion_stats_significant_flag: Whether it ends when the result is significant.
        integration: The connected services that are told about it, such as ``ga4``.
    """

    traffic_allocation: float | UnsetType = UNSET
    confidence_interval: float | UnsetType = UNSET
    start_test_date: dt.datetime | str | UnsetType | None = UNSET
    end_test_date: dt.datetime | str | UnsetType | None = UNSET
    is_mab: bool | int | UnsetType = UNSET
    is_autopilot: bool | int | UnsetType = UNSET
    distribution: Mapping[str, object] | str | UnsetType | None = UNSET
    bayesian: bool | int | UnsetType = UNSET
    dom_change_path: str | UnsetType | None = UNSET
    trigger_variant_change: str | UnsetType | None = UNSET
    completion_visitor: int | UnsetType = UNSET
    completion_conversion: int | UnsetType = UNSET
    completion_after_period: int | UnsetType = UNSET
    completion_stats_significant_flag: bool | int | UnsetType = UNSET
    integration: Sequence[str] | UnsetType = UNSET


_READ_NAME: Final = re.compile(r"Variant ([1-9][0-9]*)(?:\s+[-\u2013\u2014]\s+(.*))?", re.DOTALL)


def treatments_of(details: ExperimentDetails) -> list[Variant]:
    """
    Make, of what was read, the variants that an update takes.

    Leaves Control and all numbers out, and moves what stands behind a name into the nickname. An update replaces all
    variants, so this is how to change one of them::

        variants = treatments_of(await mida.experiments.get(1234))
        variants[0] = attrs.evolve(variants[0], custom_css=".cta { color: red; }")
        await mida.experiments.update(1234, variants=variants)

    Args:
        details: The experiment as it was read.

    Raises:
        InvalidRequestError: A variant has a name that tells no place, or targeting of its own, which is read in another
            form than it is written.
    """
    shown = [variant for variant in details.variants if variant.name != "Control"]
    return [_treatment(variant, place) for place, variant in enumerate(shown, 1)]


def _treatment(variant: ExperimentVariant, place: int) -> Variant:
    found = _READ_NAME.fullmatch(variant.name or "")
    if found is None or found.group(1) != str(place):
        message = f"the variant that was read as {variant.name!a} cannot be written back: it is not Variant {place}"
        raise InvalidRequestError(message)
    if variant.extra.get("targeting"):
        message = f"Variant {place} has targeting of its own, which is read in another form than it is written"
        raise InvalidRequestError(message)
    return Variant(
        nickname=_text(variant.extra.get("nickname") or found.group(2)),
        custom_css=_text(variant.customCSS),
        custom_js=_text(variant.customJS),
        data=variant.data,
        layer=_text(variant.extra.get("layer")),
    )


def _text(value: object) -> str | UnsetType:
    return value if isinstance(value, str) else UNSET
