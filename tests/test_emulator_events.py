"""The emulator's endpoints of events, as documented."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from emulator_caller import Caller

from mida_async.testing import Emulator


@pytest.fixture(name="call")
def _call() -> Caller:
    return Caller()


def test_an_event_is_recorded_for_a_known_visitor() -> None:
    """The documented request gets the documented answer, and the event is in `recorded` and in the list."""
    call = Caller(Emulator())
    call.emulator.add_visitor(mida_uuid="85a35aca4df9")
    call.now = 7.5

    answer = call.done(
        "POST event", event_name="purchase_completed", mida_uuid="85a35aca4df9", properties={"amount": 10, "ä": [1.5]}
    )

    assert answer == {"message": "Event recorded successfully"}
    (event,) = call.emulator.recorded
    assert (event.event_name, event.mida_uuid, event.email, event.id) == (
        "purchase_completed",
        "85a35aca4df9",
        None,
        None,
    )
    assert (event.properties, event.received_at, event.project_key) == ({"amount": 10, "ä": [1.5]}, 7.5, call.project)
    assert "purchase_completed" in repr(event)
    assert call.done("GET events") == {
        "company_id": 1001,
        "count": 1,
        "events": [
            {
                "event_id": event.event_id,
                "event_text": "purchase_completed",
                "event_property": '{"amount":10,"ä":[1.5]}',
                "created_at": "2024-01-15T10:30:00.000Z",
            }
        ],
    }


def test_an_event_without_properties_has_none(call: Caller) -> None:
    """Properties that are absent or null are null in the row, and empty ones are not."""
    call.done("POST event", event_name="a", id="1")
    call.done("POST event", event_name="b", id="1", properties=None)
    call.done("POST event", event_name="c", id="1", properties={})

    assert [event.properties for event in call.emulator.recorded] == [None, None, {}]
    assert [row["event_property"] for row in call.done("GET events")["events"]] == [None, None, "{}"]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"id": "1"}, "event_name is required"),
        ({"id": "1", "event_name": None}, "event_name is required"),
        ({"id": "1", "event_name": 5}, "event_name must be a non-empty string"),
        ({"id": "1", "event_name": " "}, "event_name must be a non-empty string"),
        ({"id": "1", "event_name": None, "event_text": "x"}, "event_name is required"),
        ({"event_name": "x"}, "One of mida_uuid, email, id is required"),
        ({"event_name": "x", "id": None}, "One of mida_uuid, email, id is required"),
        ({"event_name": "x", "id": 7}, "id must be a non-empty string"),
        ({"event_name": "x", "email": ""}, "email must be a non-empty string"),
        ({"event_name": "x", "id": "1", "mida_uuid": "\t"}, "mida_uuid must be a non-empty string"),
        ({"event_name": "x", "id": "1", "properties": "{}"}, "properties must be an object"),
        ({"event_name": "x", "id": "1", "properties": []}, "properties must be an object"),
    ],
)
def test_a_wrong_event_is_a_400_that_names_the_field(call: Caller, fields: dict[str, Any], text: str) -> None:
    """Each field that is missing or of the wrong type is named, and nothing is recorded."""
    assert call.refused("POST event", **fields) == (400, text)
    assert (call.emulator.recorded, call.emulator.visitors) == ([], 0)


def test_a_visitor_must_exist() -> None:
    """An event for someone whom the project does not know is a 400."""
    call = Caller(Emulator())

    assert call.refused("POST event", event_name="x", id="nobody") == (400, "Visitor not found")
    assert call.emulator.recorded == []


def test_one_known_identifier_is_enough() -> None:
    """Of several identifiers any one may be the known one; addresses are compared without regard to case."""
    call = Caller(Emulator())
    call.emulator.add_visitor(email="Ada@Example.com")

    call.done("POST event", event_name="x", email="ada@EXAMPLE.com", id="unknown", mida_uuid="unknown")

    assert call.refused("POST event", event_name="x", id="unknown")[0] == 400
    assert call.refused("POST event", event_name="x", id="Ada@Example.com")[0] == 400


def test_identifiers_are_looked_up_in_a_fixed_order() -> None:
    """Where identifiers name different visitors, mida_uuid counts before email, and email before id."""
    call = Caller(Emulator())
    for identifier in ("mida_uuid", "email", "id"):
        call.emulator.add_visitor(**{identifier: "same"})

    call.done("POST event", event_name="x", mida_uuid="same", email="same", id="same")
    call.done("POST event", event_name="x", mida_uuid="?", email="same", id="same")
    call.done("POST event", event_name="x", mida_uuid="?", email="?", id="same")

    assert [event.visitor_id for event in call.emulator.recorded] == [1, 2, 3]


def test_further_identifiers_join_a_known_visitor() -> None:
    """add_visitor with an identifier that is known adds the others to the same visitor."""
    call = Caller(Emulator())
    call.emulator.add_visitor(mida_uuid="a")
    call.emulator.add_visitor(mida_uuid="a", email="a@example.com")
    call.emulator.add_visitor(email="A@example.com", id="1")

    assert call.emulator.visitors == 1
    call.done("POST event", event_name="x", id="1")
    assert call.emulator.recorded[0].visitor_id == 1


def test_auto_visitors_registers_all_identifiers(call: Caller) -> None:
    """An event for an unknown visitor makes one, who is then known by each of the identifiers."""
    call.done("POST event", event_name="x", mida_uuid="a", id="1")
    call.done("POST event", event_name="x", email="e", id="1")
    call.done("POST event", event_name="x", email="E")
    call.done("POST event", event_name="x", id="2")

    assert [event.visitor_id for event in call.emulator.recorded] == [1, 1, 1, 2]
    assert call.emulator.visitors == 2


def test_an_event_is_defined_with_the_older_body(call: Caller) -> None:
    """The documented older request gets the documented older answer; nothing counts as recorded."""
    answer = call.done(
        "POST event",
        event_text="Pricing CTA Clicked",
        event_property={"button_id": "hero-cta", "placement": "above-fold"},
        url="https://example.com/pricing",
    )

    event_id = answer.pop("event_id")
    assert answer == {
        "event_text": "Pricing CTA Clicked",
        "script": '<script type="text/javascript">\n  window.mdq = window.mdq || [];\n'
        '  window.mdq.push(["track", "Pricing CTA Clicked"]);\n</script>',
        "company_id": 1001,
    }
    assert call.emulator.recorded == []
    assert call.done(f"GET event/{event_id}") == {
        "event": {
            "event_id": event_id,
            "event_type": 2,
            "event_text": "Pricing CTA Clicked",
            "event_property": '{"button_id":"hero-cta","placement":"above-fold"}',
            "url": "https://example.com/pricing",
            "event_path": None,
            "status": 1,
            "created_at": "2024-01-15T10:30:00.000Z",
        }
    }


def test_a_name_cannot_end_the_script(call: Caller) -> None:
    """The snippet stays one script element whatever the event is called."""
    script = call.done("POST event", event_text="</script><b>")["script"]

    assert script.count("</script>") == 1
    assert script.endswith("</script>")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"event_text": ""}, "event_text must be a non-empty string"),
        ({"event_text": None}, "event_text is required"),
        ({"event_text": "x", "event_property": 5}, "event_property must be an object or a string"),
        ({"event_text": "x", "url": 5}, "url must be a string"),
        ({"event_text": "x", "event_path": []}, "event_path must be a string"),
        ({"event_text": "x", "session": {}}, "session must be a string"),
    ],
)
def test_a_wrong_definition_is_a_400_that_names_the_field(call: Caller, fields: dict[str, Any], text: str) -> None:
    """Each field of the older body is checked, and nothing is defined."""
    assert call.refused("POST event", **fields) == (400, text)
    assert call.names() == []


def test_definitions_are_listed_unless_switched_off() -> None:
    """A definition belongs to no visitor; list_definitions says whether lists show it."""
    for shown in (True, False):
        call = Caller(Emulator(auto_visitors=True, list_definitions=shown))
        call.done("POST event", event_text="defined")
        call.done("POST event", event_name="recorded", id="1")
        assert call.names() == ["defined"] * shown + ["recorded"]


def test_lists_hide_internal_rows(call: Caller) -> None:
    """Names that begin with ! or goal_, rows of visitor 0, deleted rows and rows of other types are not listed."""
    for name in ("a", "!internal", "goal_7", "b!", "agoal_", "Goal_x"):
        call.done("POST event", event_name=name, id="1")
    call.emulator.add_event("of nobody", visitor_id=0)
    call.emulator.state.projects[call.project].events[1].event_type = 1

    assert call.names() == ["b!", "agoal_", "Goal_x"]


def test_lists_can_be_filtered_by_name(call: Caller) -> None:
    """event_text matches the whole name, escaped in the query."""
    for name in ("a b", "a", "A b", "a b"):
        call.done("POST event", event_name=name, id="1")

    assert call.names("?event_text=a%20b") == ["a b", "a b"]
    assert call.names("?event_text=") == []


def test_dates_are_inclusive_days_in_utc(call: Caller) -> None:
    """Both days of a range belong to it, from their first millisecond to their last."""
    for text in ("2023-12-31T23:59:59.999", "2024-01-01T00:00", "2024-01-02T23:59:59.999", "2024-01-03T00:00"):
        call.emulator.add_event(text, created_at=dt.datetime.fromisoformat(text))

    assert call.names("?start_date=2024-01-01&end_date=2024-01-02") == ["2024-01-01T00:00", "2024-01-02T23:59:59.999"]
    assert len(call.names("?start_date=2024-01-01")) == 3
    assert len(call.names("?end_date=2024-01-01")) == 2
    assert call.names("?start_date=2024-01-02&end_date=2024-01-01") == []


def test_days_of_any_year_are_understood(call: Caller) -> None:
    """Years have four digits, also those before 1000; the day of the epoch is a day like any other."""
    for year in (999, 1969, 1970, 9999):
        call.emulator.add_event(str(year), created_at=dt.datetime(year, 1, 1, tzinfo=dt.UTC))

    assert call.names("?start_date=0999-01-01&end_date=0999-01-01") == ["999"]
    assert call.names("?start_date=0001-01-01") == ["999", "1969", "1970", "9999"]
    assert call.names("?start_date=1970-01-01") == ["1970", "9999"]
    assert call.names("?start_date=9999-01-01&end_date=9999-12-31") == ["9999"]
    assert call.refused("GET events?start_date=999-01-01")[0] == 400


def test_seeded_events_have_what_they_were_given(call: Caller) -> None:
    """add_event keeps the time with its zone, encodes mappings, and leaves text as it is."""
    moment = dt.datetime(2024, 5, 6, 7, 8, 9, 123_999, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    call.emulator.add_event("a", {"n": 1}, created_at=moment)
    call.emulator.add_event("b", "not JSON", created_at=moment)
    call.emulator.add_event("c")

    rows = call.done("GET events")["events"]

    assert [row["event_property"] for row in rows] == ['{"n":1}', "not JSON", None]
    assert rows[0]["created_at"] == "2024-05-06T05:08:09.123Z"
    assert rows[2]["created_at"] > "2026"


def test_lists_come_in_pages_of_fifty_the_oldest_first(call: Caller) -> None:
    """Without a limit there are fifty; count is the size of the page; past the end it is empty."""
    for n in range(60):
        call.emulator.add_event(str(n))

    assert call.names() == [str(n) for n in range(50)]
    assert call.names("?limit=3&offset=58") == ["58", "59"]
    assert call.done("GET events?offset=60") == {"company_id": 1001, "count": 0, "events": []}
    assert call.done("GET events?limit=500")["count"] == 60


@pytest.mark.parametrize("field", ["start_date", "end_date"])
@pytest.mark.parametrize("value", ["", "2024-1-1", "2024-02-30", "20240101", "yesterday", "2024-01-01T00:00:00Z"])
def test_a_wrong_date_is_a_400_that_names_the_field(call: Caller, field: str, value: str) -> None:
    """A date is four digits, two and two, of a day that exists."""
    assert call.refused(f"GET events?{field}={value}") == (400, f"{field} must be a date of the form YYYY-MM-DD")


@pytest.mark.parametrize("number", ["99", "0", "-1", "x", "1.0", "%31", "1" * 30, "%D9%A1"])
def test_a_row_that_is_not_there_is_a_404(call: Caller, number: str) -> None:
    """Numbers that no row has, and what is no number, find nothing; an escaped digit is a digit."""
    call.emulator.add_event("row 1")

    for verb in ("GET", "PATCH"):
        status, answer = call(f"{verb} event/{number}")
        assert (status, answer.get("error")) == ((200, None) if number == "%31" else (404, "Event not found"))


def test_an_update_changes_what_it_names(call: Caller) -> None:
    """Any subset of the documented fields is replaced, under the older names; the rest stays."""
    number = call.done("POST event", event_text="old", event_property={"a": 1}, url="u", session="s")["event_id"]

    assert call.done(f"PATCH event/{number}", event_text="new", event_path="/p") == {"event_id": number}
    assert call.done(f"PATCH event/{number}", event_property={"b": [2]}, event_name="ignored") == {"event_id": number}
    row = call.done(f"GET event/{number}")["event"]
    assert (row["event_text"], row["event_property"], row["url"], row["event_path"]) == ("new", '{"b":[2]}', "u", "/p")
    call.done(f"PATCH event/{number}", event_property="raw text", url=None)
    row = call.done(f"GET event/{number}")["event"]
    assert (row["event_property"], row["url"]) == ("raw text", None)
    assert call.done(f"PATCH event/{number}") == {"event_id": number}


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"event_text": ""}, "event_text must be a non-empty string"),
        ({"event_text": None}, "event_text is required"),
        ({"event_property": 1}, "event_property must be an object or a string"),
        ({"url": 1}, "url must be a string"),
        ({"session": 1}, "session must be a string"),
        ({"status": 3}, "status must be one of 1, 2"),
        ({"status": True}, "status must be one of 1, 2"),
        ({"status": "1"}, "status must be one of 1, 2"),
        ({"status": None}, "status must be one of 1, 2"),
    ],
)
def test_a_wrong_update_changes_nothing(call: Caller, fields: dict[str, Any], text: str) -> None:
    """A field of the wrong type is named, and the fields that were right are not applied either."""
    number = call.done("POST event", event_text="old", url="old")["event_id"]

    assert call.refused(f"PATCH event/{number}", **{"event_path": "/new", **fields}) == (400, text)
    assert call.done(f"GET event/{number}")["event"]["event_path"] is None


def test_deleting_hides_a_row_and_happens_once(call: Caller) -> None:
    """A deleted row leaves the list, is shown with status 2, and cannot be deleted again; status 1 brings it back."""
    number = call.emulator.add_event("x")

    assert call.done(f"DELETE event/{number}") == {"event_id": number, "deleted": True}
    assert call.names() == []
    assert call.done(f"GET event/{number}")["event"]["status"] == 2
    assert call.refused(f"DELETE event/{number}") == (404, "Event not found")
    call.done(f"PATCH event/{number}", status=1)
    assert call.names() == ["x"]
    call.done(f"PATCH event/{number}", status=2)
    assert call.names() == []
