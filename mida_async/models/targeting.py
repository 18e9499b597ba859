"""Whom an experiment is shown to, as it is written."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import attrs

from .._sentinels import UNSET, UnsetType
from .base import Input
from .filters import AttributeCondition, Condition

if TYPE_CHECKING:
    from .filters import Filter

    AndOfOrs: TypeAlias = Filter
    OrOfAnds: TypeAlias = Filter
else:
    # What goes out, for schemas, which are made from annotations at run time.
    AndOfOrs = Sequence[Sequence[Condition]]
    OrOfAnds = Sequence[Sequence[AttributeCondition]]


class TargetDevice(enum.StrEnum):
    """A kind of device (docs/v2/create-experiment, 2026-08-22)."""

    DESKTOP = "desktop"
    MOBILE = "mobile"
    TABLET = "tablet"


class TargetBrowser(enum.StrEnum):
    """A browser (docs/v2/create-experiment, 2026-08-22). Filters of reports know others, by other names."""

    CHROME = "chrome"
    SAFARI = "safari"
    FIREFOX = "firefox"
    EDGE = "edge"
    IE = "ie"
    OPERA = "opera"


class TargetSystem(enum.StrEnum):
    """An operating system (docs/v2/create-experiment, 2026-08-22). Filters of reports write ``macos``."""

    WINDOWS = "windows"
    MAC_OS = "macOS"
    LINUX = "linux"
    CHROME_OS = "chromeOS"
    IOS = "ios"
    ANDROID = "android"


class TargetVisitor(enum.StrEnum):
    """A kind of visitor, looked at when the visitor comes in (docs/v2/create-experiment, 2026-08-22)."""

    NEW = "new"
    RETURNING = "returning"


class CountryListing(enum.StrEnum):
    """What becomes of visitors from a country (docs/v2/create-experiment, 2026-08-22)."""

    WHITELIST = "whitelist"
    """They take part."""

    BLACKLIST = "blacklist"
    """They do not."""


class PlaceMatch(enum.StrEnum):
    """Whether a region or city takes part (docs/v2/create-experiment, 2026-08-22)."""

    EQUAL = "equal"
    NOT_EQUAL = "notEqual"


class Weekday(enum.StrEnum):
    """A day of the week (docs/v2/create-experiment, 2026-08-22)."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CountryRule(Input):
    """
    A country (docs/v2/create-experiment, 2026-08-22).

    Attributes:
        name: What it is called, such as ``United States``.
        code: Its two letters, such as ``US``.
        rule: What becomes of its visitors.
    """

    name: str
    code: str
    rule: CountryListing | str = CountryListing.WHITELIST


@attrs.frozen(kw_only=True, eq=False, repr=False)
class PlaceRule(Input):
    """
    A region or a city (docs/v2/create-experiment, 2026-08-22).

    Attributes:
        name: What it is called: ``California (US)`` for a region, ``San Francisco (California)`` for a city.
        rule: Whether its visitors take part. For cities the page shows only ``equal``.
    """

    name: str
    rule: PlaceMatch | str = PlaceMatch.EQUAL


@attrs.frozen(kw_only=True, eq=False, repr=False)
class EventRule(Input):
    """
    Visitors for whom an event was recorded (docs/v2/create-experiment, 2026-08-22).

    Attributes:
        name: The event's name.
        attributes: What its properties must be: an **OR of ANDs**. Write it with ``&`` and ``|``.
        min_count: How often it must have been recorded; 1 where nothing is said.
        timeframe_days: Within how many days; 0, or nothing, for any time.
        rule: The page shows only ``equal``.
    """

    name: str
    attributes: OrOfAnds | UnsetType = UNSET
    min_count: int | UnsetType = UNSET
    timeframe_days: int | UnsetType = UNSET
    rule: str = "equal"


@attrs.frozen(kw_only=True, eq=False, repr=False)
class TimeRange(Input):
    """
    A time of the day (docs/v2/create-experiment, 2026-08-22).

    Attributes:
        start: When it begins, ``HH:MM``, by the visitor's own clock.
        end: When it ends; earlier than *start* means on the next day.
    """

    start: str
    end: str


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ScheduleGroup(Input):
    """
    Times on some days of the week (docs/v2/create-experiment, 2026-08-22).

    Attributes:
        days: The days.
        time_ranges: The times.
    """

    days: Sequence[Weekday | str]
    time_ranges: Sequence[TimeRange | Mapping[str, object]]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ScheduleRule(Input):
    """
    When visitors take part, which only the browser can tell (docs/v2/create-experiment, 2026-08-22).

    Attributes:
        schedule_groups: Days and times.
    """

    schedule_groups: Sequence[ScheduleGroup | Mapping[str, object]]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Targeting(Input):
    """
    Whom an experiment, or a variant of a personalization, is shown to (docs/v2/create-experiment, 2026-08-22).

    What is left out excludes nobody. An experiment's details show its targeting by other names, which are not written.

    ``parameter_rule``, ``cookie_rule`` and ``segment_rule`` are **ANDs of ORs**, the attributes of an event rule are an
    **OR of ANDs**, and all of them are lists of lists. Write them with ``&`` and ``|``, which keep their meaning in
    either: ``Condition("utm_source", "==", "google") | Condition("utm_source", "==", "bing")``.

    Attributes:
        allowed_country: Countries.
        allowed_region: Regions.
        allowed_city: Cities.
        device_rule: Kinds of devices.
        browser_rule: Browsers.
        os_rule: Operating systems.
        user_rule: New or returning visitors.
        browser_language_rule: Languages of browsers, such as ``en``.
        parameter_rule: Conditions on the parameters of the address: an AND of ORs.
        cookie_rule: Conditions on cookies, which only the browser can tell: an AND of ORs.
        segment_rule: Conditions on what is known of the visitor, such as ``email`` or what the site identifies them
            by: an AND of ORs.
        event_rule: Events that were recorded for the visitor.
        schedule_rule: Days and times.
        referral_rule: Where visitors come from. The page does not show its shape.
        ga4_rule: Numbers of audiences in a connected Google Analytics. The page does not show its shape.
        url_rule: Further conditions on the address, of experiments alone. The page does not show its shape.
    """

    allowed_country: Sequence[CountryRule | Mapping[str, object]] | UnsetType = UNSET
    allowed_region: Sequence[PlaceRule | Mapping[str, object]] | UnsetType = UNSET
    allowed_city: Sequence[PlaceRule | Mapping[str, object]] | UnsetType = UNSET
    device_rule: Sequence[TargetDevice | str] | UnsetType = UNSET
    browser_rule: Sequence[TargetBrowser | str] | UnsetType = UNSET
    os_rule: Sequence[TargetSystem | str] | UnsetType = UNSET
    user_rule: Sequence[TargetVisitor | str] | UnsetType = UNSET
    browser_language_rule: Sequence[str] | UnsetType = UNSET
    parameter_rule: AndOfOrs | UnsetType = UNSET
    cookie_rule: AndOfOrs | UnsetType = UNSET
    segment_rule: AndOfOrs | UnsetType = UNSET
    event_rule: Sequence[EventRule | Mapping[str, object]] | UnsetType = UNSET
    schedule_rule: ScheduleRule | Mapping[str, object] | UnsetType = UNSET
    referral_rule: object = UNSET
    ga4_rule: object = UNSET
    url_rule: object = UNSET
