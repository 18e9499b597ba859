"""Decoded JSON to models. The samples are those of the vendor's pages."""

from __future__ import annotations

import copy
import datetime as dt
import pickle
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mida_async import DecodeError, models
from mida_async._core.structuring import structure, structure_within
from mida_async.models import (
    Event,
    EventCreated,
    EventDeleted,
    EventDetails,
    EventPage,
    EventRecorded,
    EventUpdated,
    Goal,
    GoalCreated,
    GoalDetails,
    GoalPage,
    GoalPurpose,
    GoalType,
    Model,
)
from mida_async.models.base import Input

# docs/v2/list-events, get-event-details, list-goals and get-goal-details, 2026-08-22
EVENT_PAGE: dict[str, Any] = {
    "success": True,
    "company_id": 1001,
    "count": 2,
    "events": [
        {
            "event_id": 9876,
            "event_text": "Pricing CTA Clicked",
            "event_property": '{"button_id":"hero-cta"}',
            "created_at": "2024-01-15T10:30:00.000Z",
        },
        {
            "event_id": 9877,
            "event_text": "Signup Started",
            "event_property": None,
            "created_at": "2024-01-15T10:35:00.000Z",
        },
    ],
}
EVENT: dict[str, Any] = {
    "event_id": 9876,
    "event_type": 2,
    "event_text": "Pricing CTA Clicked",
    "event_property": '{"button_id":"hero-cta","placement":"above-fold"}',
    "url": "https://example.com/pricing",
    "event_path": "/pricing",
    "status": 1,
    "created_at": "2024-01-15T10:30:00.000Z",
}
GOAL: dict[str, Any] = {
    "goal_profile_id": 3003,
    "goal_key": "cta_button_click",
    "goal_name": "CTA Button Click",
    "goal_type": "clickOnElement",
    "goal_value": ".cta-button",
    "goal_purpose": "sell",
    "element_url": "https://example.com/",
    "status": 1,
    "created_at": "2024-01-15T10:30:00.000Z",
}

_MOMENT = dt.datetime(2024, 1, 15, 10, 30, tzinfo=dt.UTC)


def _problem(value: object, cls: type[object], where: str = "", secret: str = "") -> str:
    with pytest.raises(DecodeError) as caught:
        structure(value, cls, where, secret=secret)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    return str(caught.value)


def test_a_page_of_events_is_what_its_page_shows() -> None:
    """The documented list becomes a page of events, their data decoded and kept as text."""
    page = structure(EVENT_PAGE, EventPage)
    assert (page.success, page.company_id, page.count, page.extra) == (True, 1001, 2, {})
    first, second = page.events
    assert (first.event_id, first.event_text, first.created_at) == (9876, "Pricing CTA Clicked", _MOMENT)
    assert first.event_property == {"button_id": "hero-cta"}
    assert first.event_property_text == '{"button_id":"hero-cta"}'
    assert (second.event_property, second.event_property_text) == (None, None)


def test_an_event_is_what_its_page_shows() -> None:
    """The documented event becomes details with every documented field."""
    event = structure(EVENT, EventDetails)
    shown = attrs.asdict(event, filter=lambda field, _: field.name in EVENT)
    text = EVENT["event_property"]
    assert shown == {
        **EVENT,
        "created_at": _MOMENT,
        "event_property": {"button_id": "hero-cta", "placement": "above-fold"},
    }
    assert event.event_property_text == text


def test_a_goal_is_what_its_page_shows() -> None:
    """The documented goal becomes details, its type and purpose members of their enumerations."""
    goal = structure(GOAL, GoalDetails)
    assert attrs.asdict(goal) == {**GOAL, "created_at": _MOMENT, "extra": {}}
    assert (goal.goal_type, goal.goal_purpose) == (GoalType.CLICK_ON_ELEMENT, GoalPurpose.SELL)
    assert isinstance(goal.goal_type, GoalType)


def test_there_are_fourteen_types_of_goal() -> None:
    """The enumerations are those of the page."""
    assert len(GoalType) == 14
    assert {purpose.value for purpose in GoalPurpose} == {"sell", "engage", "generate"}


def test_unknown_types_of_goal_stay_texts() -> None:
    """What the vendor adds to its lists comes through as it is, in any list."""
    page = structure({"goals": [{**GOAL, "goal_type": "blink", "goal_purpose": "amuse"}]}, GoalPage)
    assert (page.goals[0].goal_type, page.goals[0].goal_purpose) == ("blink", "amuse")
    assert structure({**GOAL, "goal_type": None}, Goal).goal_type is None
    assert structure({**GOAL, "goal_type": 7}, Goal).goal_type == "7"


@pytest.mark.parametrize(
    "raw", ["not json", "", "{", "NaN", '{"a": NaN}', "[" * 100_000, "\ud800", "<script>"], ids=lambda raw: raw[:9]
)
def test_data_that_is_not_json_is_its_text(raw: str) -> None:
    """`event_property` is decoded leniently: a text that is not JSON is its own value."""
    event = structure({"event_id": 1, "event_property": raw}, Event)
    assert event.event_property == event.event_property_text == raw


@pytest.mark.parametrize("raw", [{"a": 1}, [1], 7, True])
def test_data_that_are_decoded_already_are_kept(raw: object) -> None:
    """A server that sends an object where its page says text is understood too; there is no text then."""
    event = structure({"event_id": 1, "event_property": raw}, Event)
    assert (event.event_property, event.event_property_text) == (raw, None)


def test_unknown_keys_are_kept_in_extra() -> None:
    """What a page does not document is in `extra`, on every level, and a key of that very name is in it too."""
    page = structure({"extra": 1, "total": {"a": 2}, "events": [{"event_id": 1, "visitor": "x"}]}, EventPage)
    assert page.extra == {"extra": 1, "total": {"a": 2}}
    assert page.events[0].extra == {"visitor": "x"}


def test_a_key_that_would_shadow_the_text_is_kept_apart() -> None:
    """A vendor's key of the name of a field of ours is no value for it."""
    event = structure({"event_id": 1, "event_property": "[1]", "event_property_text": "x"}, Event)
    assert (event.event_property_text, event.extra) == ("[1]", {"event_property_text": "x"})


@attrs.frozen(kw_only=True)
class _Noted(Model):
    note: str | None = None
    share: float | None = None
    rows: tuple[tuple[int, ...], ...] = ()


def test_a_leading_underscore_is_dropped() -> None:
    """`_note` is `note`, unless there is a key without the underscore, which wins wherever it stands."""
    assert structure({"_note": "a"}, _Noted).note == "a"
    for both in ({"_note": "a", "note": "b"}, {"note": "b", "_note": "a"}):
        noted = structure(both, _Noted)
        assert (noted.note, noted.extra) == ("b", {"_note": "a"})
    assert structure({"_other": 1}, _Noted).extra == {"_other": 1}


def test_missing_keys_are_none() -> None:
    """What is optional and absent is None, lists are empty; absent and null are alike."""
    event = structure({"event_id": 1}, EventDetails)
    assert {value for name, value in attrs.asdict(event).items() if name not in {"event_id", "extra"}} == {None}
    for value in ({}, {"events": None}):
        assert structure(value, EventPage) == EventPage()
    assert structure({}, EventRecorded) == EventRecorded()


@pytest.mark.parametrize("cls", [Event, EventDetails, EventCreated, Goal, GoalDetails, GoalCreated])
def test_what_has_no_id_is_refused(cls: type[object]) -> None:
    """A row or a creation without its id is not what the page promises."""
    name = "event_id" if cls.__name__.startswith("Event") else "goal_profile_id"
    assert _problem({}, cls) == f"{name}: missing"
    assert _problem({name: None}, cls) == f"{name}: expected a whole number, got null"


def test_changes_and_deletions_need_no_id() -> None:
    """Whoever changes something knows its id; an answer without it is enough."""
    assert structure({"success": True}, EventUpdated) == EventUpdated(success=True)
    assert structure({"deleted": 1}, EventDeleted).deleted is True


@pytest.mark.parametrize(("value", "number"), [("12", 12), (" -3 ", -3), (True, 1), (4.0, 4), (10**30, 10**30)])
def test_whole_numbers_have_many_forms(value: object, number: int) -> None:
    """Digits in a text, flags and floats without a fraction are whole numbers."""
    found = structure({"event_id": value}, Event).event_id
    assert (found, type(found)) == (number, int)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("abc", "'abc'"),
        (1.5, "1.5"),
        (float("inf"), "inf"),
        ([], "an array"),
        ({}, "an object"),
        ("x" * 70, "'" + "x" * 59 + "..."),
        ("9" * 5000, "'" + "9" * 59 + "..."),
    ],
    ids=lambda value: str(value)[:9],
)
def test_what_is_no_whole_number_is_shown(value: object, shown: str) -> None:
    """The message names the place, what was expected and what came, shortened."""
    assert _problem({"event_id": value}, Event, "event") == f"event.event_id: expected a whole number, got {shown}"


@pytest.mark.parametrize(("value", "text"), [(75, "75"), (0.5, "0.5"), (True, "true"), (False, "false"), ("", "")])
def test_texts_may_come_as_numbers(value: object, text: str) -> None:
    """A number or a flag where a text is promised is written as text."""
    assert structure({**GOAL, "goal_value": value}, Goal).goal_value == text


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2024-01-15T10:30:00.000Z", _MOMENT),
        ("2024-01-15T12:30:00+02:00", _MOMENT),
        ("2024-01-15T10:30:00", _MOMENT),
        ("2024-01-15 10:30:00", _MOMENT),
        ("2024-01-15", _MOMENT.replace(hour=0, minute=0)),
    ],
)
def test_times_are_aware(value: str, moment: dt.datetime) -> None:
    """A time without a zone is UTC."""
    found = structure({"event_id": 1, "created_at": value}, Event).created_at
    assert found == moment
    assert found is not None
    assert found.tzinfo is not None


@pytest.mark.parametrize(("value", "number"), [(1, 1.0), ("2.5", 2.5), (0.1, 0.1)])
def test_numbers_may_come_as_text(value: object, number: float) -> None:
    """Configuration pages send numbers as text."""
    assert structure({"share": value}, _Noted).share == number


@pytest.mark.parametrize(
    ("value", "cls", "problem"),
    [
        (
            {"events": [{"event_id": 1}, {"event_id": "x"}]},
            EventPage,
            "events[1].event_id: expected a whole number, got 'x'",
        ),
        ({"events": [{"event_id": 1}, 2]}, EventPage, "events[1]: expected an object, got 2"),
        ({"events": "abc"}, EventPage, "events: expected an array, got 'abc'"),
        ({"events": {}}, EventPage, "events: expected an array, got an object"),
        ({"rows": [[1], [2, "x"]]}, _Noted, "rows[1][1]: expected a whole number, got 'x'"),
        ({"success": "yes"}, EventRecorded, "success: expected true or false, got 'yes'"),
        ({"success": 2}, EventRecorded, "success: expected true or false, got 2"),
        ({"message": []}, EventRecorded, "message: expected a text, got an array"),
        ({"event_id": 1, "created_at": "soon"}, Event, "created_at: expected a date and time, got 'soon'"),
        ({"event_id": 1, "created_at": False}, Event, "created_at: expected a date and time, got false"),
        ({"share": "much"}, _Noted, "share: expected a number, got 'much'"),
        ({"share": []}, _Noted, "share: expected a number, got an array"),
        ({"share": 10**400}, _Noted, "share: expected a number, got 1000"),
        ({**GOAL, "goal_type": {}}, Goal, "goal_type: expected a text, got an object"),
        ([], EventPage, "the answer: expected an object, got an array"),
        (None, EventPage, "the answer: expected an object, got null"),
        (True, EventPage, "the answer: expected an object, got true"),
    ],
)
def test_another_shape_says_where(value: object, cls: type[object], problem: str) -> None:
    """The message names the path to the value that does not fit, and the error has no cause."""
    assert _problem(value, cls).startswith(problem)


def test_what_lies_under_a_key_is_named_by_it() -> None:
    """Where the result lies under a key, paths begin with it, and its absence is said."""
    assert structure_within({"event": EVENT}, EventDetails, "event").event_id == 9876
    assert structure_within(EVENT_PAGE, EventPage, None).count == 2
    for value, problem in (
        ({"event": {"event_id": "x"}}, "event.event_id: expected"),
        ({"event": 7}, "event: expected an object, got 7"),
        ({}, "event: missing"),
        ([], "the answer: expected an object, got an array"),
    ):
        with pytest.raises(DecodeError, match=problem):
            structure_within(value, EventDetails, "event")


def test_messages_do_not_show_the_secret() -> None:
    """R17: a wrong value that repeats the key is shown without it, even where it is shortened or a number."""
    key = "sk_0123456789_0123456789"
    for value in (key, "x" * 50 + key, f"Bearer {key}"):
        problem = _problem({"event_id": value}, Event, secret=key)
        assert "sk_0" not in problem
        assert "redacted" in problem or "[reda" in problem
    assert "12345" not in _problem({"events": 1234567}, EventPage, secret="1234567")


def _model_or_error(value: object, cls: type[object]) -> object:
    try:
        return structure(value, cls)
    except DecodeError as error:
        return error


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["events", "event_id", "created_at", "goals", "_note", "extra", "x"]), inner)
    ),
    max_leaves=12,
)


_EXPORTED = [getattr(models, name) for name in models.__all__]
_ANSWERS = [cls for cls in _EXPORTED if isinstance(cls, type) and issubclass(cls, models.Model)]


@given(_JSON, st.sampled_from(_ANSWERS))
def test_any_json_is_a_model_or_one_error(value: object, cls: type[object]) -> None:
    """Whatever a server sends becomes the model or a DecodeError, nothing else."""
    found = _model_or_error(value, cls)
    text = str(found)
    assert isinstance(found, cls) or ": expected " in text or text.endswith(": missing")


def test_models_are_values() -> None:
    """Models are frozen, compare by content, hash, copy and pickle."""
    page = structure({**EVENT_PAGE, "more": {"a": []}}, EventPage)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        page.count = 3  # type: ignore[misc]
    for twin in (copy.copy(page), copy.deepcopy(page), pickle.loads(pickle.dumps(page))):  # noqa: S301 - our own
        assert twin == page
        assert hash(twin) == hash(page)


def test_models_of_different_classes_differ() -> None:
    """Equal fields do not make an event a detailed one, nor a model something else."""
    assert Event(event_id=1) != EventDetails(event_id=1)
    assert Event(event_id=1) != Event(event_id=2)
    assert Event(event_id=1) != 1


def test_a_model_shows_what_it_holds() -> None:
    """The repr of a model is what would make it again, without what is as it is by default."""
    event = Event(event_id=1, event_text="Pricing CTA Clicked", extra={"more": [1]})
    assert repr(event) == "Event(extra={'more': [1]}, event_id=1, event_text='Pricing CTA Clicked')"
    assert repr(Event(event_id=1)) == "Event(event_id=1)"
    assert eval(repr(event)) == event  # noqa: S307 - our own


@pytest.mark.parametrize("cls", _EXPORTED, ids=lambda cls: getattr(cls, "__name__", "alias"))
def test_models_share_one_way_of_comparing(cls: type) -> None:
    """No model has methods of its own for equality and repr: a hundred of them would make the import slow."""
    if isinstance(cls, type) and issubclass(cls, (models.Model, Input)):
        assert not {"__eq__", "__hash__", "__repr__"} & set(vars(cls))


def test_the_names_of_models_are_sorted() -> None:
    """`mida_async.models` exports each model once, in order, and every model has a docstring with a page or a use."""
    assert list(models.__all__) == sorted(set(models.__all__))
    assert all(getattr(models, name).__doc__ for name in models.__all__)
