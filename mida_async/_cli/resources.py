"""``mida events`` and ``mida goals``: what each verb takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .verbs import DateType, JSONType, Verb, group, option

if TYPE_CHECKING:
    import click

_OBJECT: Final = JSONType(must_be_object=True)
_VALUE: Final = JSONType(must_be_object=False)


def _paging() -> tuple[click.Option, ...]:
    return (
        option("limit", "Rows on a page; 50 if not given, at most 500.", int),
        option("offset", "Rows to pass over.", int),
    )


_EVENT_FIELDS: Final = (
    ("event_property", "Its data, as JSON.", _VALUE),
    ("url", "The page that it belongs to.", str),
    ("event_path", "That page's path.", str),
    ("session", "The visitor's session.", str),
)

_GOAL_FIELDS: Final = (
    ("goal_name", "Its name.", str),
    ("goal_type", "What counts as reaching it, such as event, pageview or clickOnElement.", str),
    ("goal_value", "The address, selector, name or number that this needs.", str),
    ("goal_key", "A key of your own, unique within the project.", str),
    ("goal_purpose", "sell, engage or generate.", str),
    ("element_url", "The page on which its element was chosen.", str),
)


def _event_options() -> tuple[click.Option, ...]:
    return tuple(option(name, text, kind) for name, text, kind in _EVENT_FIELDS)


def _goal_options(*required: str) -> tuple[click.Option, ...]:
    return tuple(option(name, text, kind, required=name in required) for name, text, kind in _GOAL_FIELDS)


_EVENT_ID: Final = (("event_id", int),)
_GOAL_ID: Final = (("goal_profile_id", int),)

_EVENT_VERBS: Final = (
    Verb(
        section="events",
        name="list",
        help="List recorded events.",
        options=(
            *_paging(),
            option("event_text", "Only events of exactly this name."),
            option("start_date", "From this day on.", DateType()),
            option("end_date", "Up to and including this day.", DateType()),
        ),
        rows="events",
    ),
    Verb(section="events", name="get", help="Show one event.", positional=_EVENT_ID),
    Verb(
        section="events",
        name="create",
        help="Define an event (the API as it was until 2026-03-13).",
        positional=(("event_text", str),),
        options=_event_options(),
    ),
    Verb(
        section="events",
        name="record",
        help="Record one event for a visitor who is known to the project.",
        positional=(("event_name", str),),
        options=(
            option("mida_uuid", "The visitor's id in the browser script."),
            option("email", "An address that the visitor was identified by."),
            option("id", "Your own user id that the visitor was identified by."),
            option("properties", 'A JSON object such as {"amount": 10}.', _OBJECT),
        ),
    ),
    Verb(
        section="events",
        name="update",
        help="Change one event.",
        positional=_EVENT_ID,
        options=(
            option("event_text", "Its name."),
            *_event_options(),
            option("status", "1 active, 2 deleted.", int),
        ),
        nullable=tuple(name for name, _, _ in _EVENT_FIELDS),
    ),
    Verb(
        section="events",
        name="delete",
        help="Delete one event.",
        positional=_EVENT_ID,
        confirm="Delete event {event_id}?",
    ),
)

_GOAL_VERBS: Final = (
    Verb(section="goals", name="list", help="List goals.", options=_paging(), rows="goals"),
    Verb(section="goals", name="get", help="Show one goal.", positional=_GOAL_ID),
    Verb(
        section="goals",
        name="create",
        help="Create a goal.",
        options=_goal_options("goal_name", "goal_type", "goal_value"),
    ),
    Verb(
        section="goals",
        name="update",
        help="Change a goal. Live experiments that use it see the change at once.",
        positional=_GOAL_ID,
        options=_goal_options(),
        nullable=("element_url",),
    ),
    Verb(
        section="goals",
        name="delete",
        help="Delete a goal. Live experiments that use it are not asked.",
        positional=_GOAL_ID,
        confirm="Delete goal {goal_profile_id}? Live experiments may use it.",
    ),
)


def events() -> click.Group:
    """Make the group ``mida events``."""
    return group("events", "Recorded events and event definitions.", _EVENT_VERBS)


def goals() -> click.Group:
    """Make the group ``mida goals``."""
    return group("goals", "Goals of experiments.", _GOAL_VERBS)
