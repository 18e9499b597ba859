"""What the goals endpoints take and answer with."""

from __future__ import annotations

import datetime as dt
import enum

import attrs

from .base import Model, Reply


class GoalType(enum.StrEnum):
    """
    What counts as reaching a goal (docs/v2/create-goal, 2026-08-22). What ``goal_value`` means follows from it.

    The vendor adds to this list: a plain string is accepted wherever one of these is, and unknown ones come back as
    strings.
    """

    PAGEVIEW = "pageview"
    """A page whose address contains the value."""

    PAGEVIEW_EXACT = "pageviewExact"
    """A page whose address is the value."""

    PAGEVIEW_WILDCARD = "pageviewWildcard"
    """A page whose address matches the value, ``*`` being anything."""

    PAGEVIEW_REGEX = "pageviewRegex"
    """A page whose address matches the regular expression."""

    CLICK_ON_ELEMENT = "clickOnElement"
    """A click on what the CSS selector finds."""

    CLICK_ON_TEXT = "clickOnText"
    """A click on this text."""

    EXTERNAL_LINK = "externalLink"
    """A click on a link to this domain, or one that contains this text."""

    FORM_SUBMIT = "formSubmit"
    """The form that the CSS selector finds is sent."""

    ELEMENT_APPEARS = "elementAppears"
    """What the CSS selector finds comes into view."""

    SCROLLING = "scrolling"
    """The page is scrolled this many percent."""

    DURATION = "duration"
    """The visit lasts this many seconds."""

    EVENT = "event"
    """An event of this name is recorded."""

    REVENUE = "revenue"
    """A purchase event of this name is recorded."""

    SCRIPT = "script"
    """The page's own code triggers this id. The vendor recommends ``event`` instead."""


class GoalPurpose(enum.StrEnum):
    """What a goal is for (docs/v2/create-goal, 2026-08-22)."""

    SELL = "sell"
    """The vendor's default."""

    ENGAGE = "engage"
    GENERATE = "generate"


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Goal(Model):
    """
    One row of a list of goals (docs/v2/list-goals, 2026-08-22).

    Attributes:
        goal_profile_id: The goal's number.
        goal_key: Its key, unique within the project.
        goal_name: Its name.
        goal_type: What counts as reaching it.
        goal_value: The address, selector, name or number that this needs, as text.
        goal_purpose: What it is for.
        element_url: The page on which its element was chosen.
    """

    goal_profile_id: int
    goal_key: str | None = None
    goal_name: str | None = None
    goal_type: GoalType | str | None = None
    goal_value: str | None = None
    goal_purpose: GoalPurpose | str | None = None
    element_url: str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class GoalDetails(Goal):
    """
    One goal (docs/v2/get-goal-details, 2026-08-22).

    Attributes:
        status: 1 active, 2 deleted.
        created_at: When it was created.
    """

    status: int | None = None
    created_at: dt.datetime | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class GoalPage(Reply):
    """
    One page of a list of goals (docs/v2/list-goals, 2026-08-22).

    Attributes:
        company_id: The number of the account.
        count: How many goals this page holds, not how many there are.
        goals: The goals.
    """

    company_id: int | None = None
    count: int | None = None
    goals: tuple[Goal, ...] = ()


@attrs.frozen(kw_only=True, eq=False, repr=False)
class GoalCreated(Reply):
    """
    The answer to a new goal (docs/v2/create-goal, 2026-08-22).

    Attributes:
        goal_profile_id: The goal's number.
        goal_key: Its key, as given or as the server made it.
        company_id: The number of the account.
    """

    goal_profile_id: int
    goal_key: str | None = None
    company_id: int | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class GoalUpdated(Reply):
    """
    The answer to a change (docs/v2/update-goal, 2026-08-22).

    Attributes:
        goal_profile_id: The goal's number.
    """

    goal_profile_id: int | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class GoalDeleted(Reply):
    """
    The answer to a deletion (docs/v2/delete-goal, 2026-08-22).

    Attributes:
        goal_profile_id: The goal's number.
        deleted: True.
    """

    goal_profile_id: int | None = None
    deleted: bool | None = None
