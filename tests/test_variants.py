"""What experiments are made of: variants and their numbering, changes, targeting, configurations, pages and goals."""

from __future__ import annotations

import copy
import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mida_async import DecodeError, InvalidRequestError
from mida_async._core.endpoints.base import lay_out
from mida_async._core.endpoints.table import ENDPOINTS
from mida_async._core.structuring import structure
from mida_async._core.targeting import targeting
from mida_async._core.variants import numbered, variant_name
from mida_async.models import (
    AllOf,
    AnyOf,
    AttributeCondition,
    Condition,
    Configuration,
    Control,
    CountryListing,
    CountryRule,
    EventRule,
    Experiment,
    ExperimentDetails,
    ExperimentStatus,
    ExperimentVariant,
    GoalType,
    HideElement,
    InlineGoal,
    InsertHtml,
    ModifyElement,
    MoveElement,
    PageMatch,
    PageRule,
    PlaceMatch,
    Placement,
    PlaceRule,
    Redirect,
    RemoveElement,
    ScheduleGroup,
    ScheduleRule,
    TargetDevice,
    Targeting,
    TargetSystem,
    TimeRange,
    Variant,
    Weekday,
    treatments_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

A = {"criteria": "utm_source", "operator": "==", "value": "google"}
B = {"criteria": "utm_source", "operator": "==", "value": "bing"}
C = {"criteria": "plan", "operator": "ex"}
GOOGLE = Condition("utm_source", "==", "google")
BING = Condition("utm_source", "==", "bing")
PLAN = Condition("plan", "ex")


def sent(name: str = "experiments.update", **arguments: object) -> dict[str, Any]:
    """Return the body that arguments make."""
    body = lay_out(ENDPOINTS[name], {"test_id": 1, **arguments}).body
    assert body is not None
    content: dict[str, Any] = json.loads(body)
    return content


def variants(*given: object) -> list[Any]:
    """Return variants as they go out."""
    found: list[Any] = sent(variants=list(given))["variants"]
    return found


def test_variants_are_numbered_by_their_place() -> None:
    """Names and empty changes are filled in, whether variants are objects or dicts; the right name may be given."""
    given = [
        Variant(nickname="Red"),
        {"customCSS": "x"},
        {"name": "Variant 3", "data": None},
        Variant(name="Variant 4"),
    ]
    assert variants(*given) == [
        {"name": "Variant 1", "nickname": "Red", "data": []},
        {"name": "Variant 2", "customCSS": "x", "data": []},
        {"name": "Variant 3", "data": []},
        {"name": "Variant 4", "data": []},
    ]
    assert [variant_name(number) for number in (0, 1, 12)] == ["Control", "Variant 1", "Variant 12"]


_JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3))
_ITEMS = st.lists(st.dictionaries(st.sampled_from(["nickname", "customCSS", "layer", "data"]), _JSON), max_size=4)


@given(_ITEMS)
def test_the_callers_variants_are_never_changed(items: list[dict[str, Any]]) -> None:
    """Whatever is given stays as it was, and either each variant gets the name of its place or all are refused."""
    before = copy.deepcopy(items)
    bad = not items or any(item.get("data") not in (None, []) for item in items)
    try:
        found: list[Any] = numbered("variants", items)
    except InvalidRequestError:
        assert bad
    else:
        assert not bad
        assert [item["name"] for item in found] == [f"Variant {number}" for number in range(1, len(items) + 1)]
        assert all(item["data"] == [] for item in found)
    assert items == before


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ([], "variants has 0 items; it must be a list of 1 or more Variants or mappings"),
        ({}, "variants is {}; it must be a list of Variants or mappings"),
        ([7], r"variants\[0\] is 7; it must be of the class Variant, or a mapping"),
        ([{"name": "Control"}], r"variants\[0\] is Control, which is not sent: .* go into control$"),
        ([{}, {"name": " control"}], r"variants\[1\] is Control, which is not sent"),
        ([{"name": "Red"}], r"variants\[0\].name is 'Red'; leave it out, or give 'Variant 1': .* its nickname$"),
        ([{}, {"name": "Variant 1"}], r"variants\[1\].name is 'Variant 1'; .* 'Variant 2'"),
        ([{"name": ""}], r"variants\[0\].name is ''"),
        ([{"name": ["Variant 1"]}], r"variants\[0\].name is \['Variant 1'\]"),
        ([{"variant_id": 2}], r"variants\[0\] has a variant_id, which is how variants are read"),
        ([{"data": {}}], r"variants\[0\].data is {}; it must be a list of changes"),
        ([{}, {"data": [{}, "x"]}], r"variants\[1\].data\[1\] is 'x'; it must be a mapping"),
        ([{"targeting": {"devices": []}}], r"variants\[0\].targeting.devices is how targeting is read"),
        ([ExperimentVariant(variant_id=2)], r"variants\[0\] is .*; it must be of the class Variant, or a mapping"),
    ],
)
def test_wrong_variants_are_refused_with_a_reason(given: object, problem: str) -> None:
    """13.4.3: Control, another name than the place's, and what only details have, are refused."""
    with pytest.raises(InvalidRequestError, match=problem):
        numbered("variants", given)


def test_every_kind_of_change_goes_out_with_the_vendors_keys() -> None:
    """Each documented change of a page has an object; dicts pass as they are."""
    (variant,) = variants(
        Variant(
            data=[
                ModifyElement(
                    target="h1",
                    inner_text="a",
                    text_content="b",
                    inner_html="c",
                    outer_html="d",
                    src="e",
                    href="f",
                    style="g",
                    class_="h",
                    sitewide=False,
                    page_url="https://example.com/a",
                ),
                HideElement(target=".banner"),
                RemoveElement(target=".ad", sitewide=True),
                InsertHtml(html="<p>x</p>", placement=Placement.FIRST_CHILD, beside=".hero"),
                MoveElement(target=".cta", placement="b", beside=".hero"),
                Redirect(url="https://example.com/new", relay_param=True),
                {"target": "a", "future": 1},
            ]
        )
    )
    assert variant["data"] == [
        {
            "sitewide": False,
            "pageUrl": "https://example.com/a",
            "target": "h1",
            "innerText": "a",
            "textContent": "b",
            "innerHTML": "c",
            "outerHTML": "d",
            "src": "e",
            "href": "f",
            "style": "g",
            "class": "h",
        },
        {"target": ".banner", "style": "display: none;"},
        {"rm": ".ad", "sitewide": True},
        {"htmlBlock": "<p>x</p>", "dir": "p", "refEl": ".hero"},
        {"oriEl": ".cta", "dir": "b", "refEl": ".hero"},
        {"url": "https://example.com/new", "relay_param": True},
        {"target": "a", "future": 1},
    ]


def test_all_parts_of_targeting_go_out_as_documented() -> None:
    """Every part has an object, and these make the examples of the vendor's page."""
    given = Targeting(
        allowed_country=[CountryRule(name="United States", code="US"), {"name": "Japan", "code": "JP"}],
        allowed_region=[PlaceRule(name="California (US)", rule=PlaceMatch.NOT_EQUAL)],
        allowed_city=[PlaceRule(name="San Francisco (California)")],
        device_rule=[TargetDevice.DESKTOP, "mobile"],
        os_rule=[TargetSystem.MAC_OS],
        event_rule=[
            EventRule(name="signup_completed", attributes=AttributeCondition("plan", "=", "pro"), timeframe_days=30),
            EventRule(name="seen", min_count=2),
        ],
        schedule_rule=ScheduleRule(
            schedule_groups=[ScheduleGroup(days=[Weekday.MONDAY], time_ranges=[TimeRange(start="22:00", end="02:00")])]
        ),
        ga4_rule=[7],
    )
    assert sent(targeting=given)["targeting"] == {
        "allowed_country": [
            {"name": "United States", "code": "US", "rule": CountryListing.WHITELIST.value},
            {"name": "Japan", "code": "JP"},
        ],
        "allowed_region": [{"name": "California (US)", "rule": "notEqual"}],
        "allowed_city": [{"name": "San Francisco (California)", "rule": "equal"}],
        "device_rule": ["desktop", "mobile"],
        "os_rule": ["macOS"],
        "event_rule": [
            {
                "name": "signup_completed",
                "attributes": [[{"key": "plan", "operand": "=", "value": "pro"}]],
                "timeframe_days": 30,
                "rule": "equal",
            },
            {"name": "seen", "min_count": 2, "rule": "equal"},
        ],
        "schedule_rule": {
            "schedule_groups": [{"days": ["monday"], "time_ranges": [{"start": "22:00", "end": "02:00"}]}]
        },
        "ga4_rule": [7],
    }


@pytest.mark.parametrize("rule", ["parameter_rule", "cookie_rule", "segment_rule"])
@pytest.mark.parametrize("form", [dict, Targeting])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (GOOGLE, [[A]]),
        (A, [[A]]),
        (GOOGLE | BING, [[A, B]]),
        (GOOGLE & PLAN, [[A], [C]]),
        ((GOOGLE | BING) & PLAN, [[A, B], [C]]),
        (AllOf(AnyOf(A, B), C), [[A, B], [C]]),
        ([[A, BING], [PLAN]], [[A, B], [C]]),
        ([], []),
        (None, None),
    ],
)
def test_rules_of_visitors_are_ands_of_ors(rule: str, given: object, expected: object, form: type) -> None:
    """11.4: however it is combined, the outer list is AND and the inner one OR; nothing at all stays nothing."""
    assert targeting("targeting", form(**{rule: given})) == {rule: expected}


def test_attributes_of_events_are_ors_of_ands() -> None:
    """11.4: the same combination as in a rule of visitors is nested the other way round here."""
    plan, size = AttributeCondition("plan", "=", "pro"), AttributeCondition("size", ">", 3)
    p, s = {"key": "plan", "operand": "=", "value": "pro"}, {"key": "size", "operand": ">", "value": 3}
    for rule, expected in ((plan & size, [[p, s]]), (plan | size, [[p], [s]]), ([[p, s]], [[p, s]]), ([], [])):
        found: Any = targeting("targeting", {"event_rule": [{"name": "x", "attributes": rule}]})
        assert found == {"event_rule": [{"name": "x", "attributes": expected}]}


def test_the_targeting_of_a_variant_is_nested_as_well() -> None:
    """Conditions within a variant are written like those of the whole experiment."""
    (variant,) = variants(Variant(targeting=Targeting(segment_rule=GOOGLE | BING)))
    assert variant == {"name": "Variant 1", "data": [], "targeting": {"segment_rule": [[A, B]]}}
    (variant,) = variants({"targeting": None})
    assert variant == {"name": "Variant 1", "data": [], "targeting": None}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (7, "targeting is 7; it must be of the class Targeting, or a mapping"),
        (
            {"devices": ["desktop"]},
            "targeting.devices is how targeting is read; it is written as targeting.device_rule",
        ),
        ({"countries": []}, "written as targeting.allowed_country"),
        ({"cookie_rule": [A]}, r"targeting.cookie_rule\[0\] is .*; it must be a list of conditions"),
        ({"cookie_rule": [[]]}, r"targeting.cookie_rule\[0\] is empty"),
        ({"cookie_rule": AnyOf()}, "targeting.cookie_rule is empty"),
        ({"parameter_rule": AttributeCondition("a", "=", 1)}, "an AND of ORs"),
        ({"event_rule": {}}, "targeting.event_rule is {}; it must be a list of EventRules or mappings"),
        ({"event_rule": [3]}, r"targeting.event_rule\[0\] is 3"),
        ({"event_rule": [{"attributes": PLAN}]}, r"targeting.event_rule\[0\].attributes.*an OR of ANDs"),
    ],
)
def test_wrong_targeting_is_refused_with_a_reason(given: object, problem: str) -> None:
    """A wrong nesting, and the names by which targeting is read, do not go out."""
    with pytest.raises(InvalidRequestError, match=problem):
        targeting("targeting", given)


def test_configurations_go_out_with_numbers_for_flags() -> None:
    """13.4.5: what is True or False here is 1 or 0 on the wire; percentages and moments go out as they are."""
    given = Configuration(
        traffic_allocation=25,
        confidence_interval=97.5,
        start_test_date=dt.datetime(2026, 4, 1, tzinfo=dt.UTC),
        end_test_date=None,
        is_mab=True,
        bayesian=False,
        is_autopilot=0,
        integration=["ga4"],
    )
    expected = {
        "traffic_allocation": 25,
        "confidence_interval": 97.5,
        "start_test_date": "2026-04-01T00:00:00+00:00",
        "end_test_date": None,
        "is_mab": 1,
        "is_autopilot": 0,
        "bayesian": 0,
        "integration": ["ga4"],
    }
    body = lay_out(ENDPOINTS["experiments.update"], {"test_id": 1, "configuration": given}).body
    assert body == json.dumps({"configuration": expected}, separators=(",", ":")).encode()
    given_dict: Mapping[str, object] = {"is_mab": True, "future": [True]}
    assert sent(configuration=given_dict)["configuration"] == {"is_mab": 1, "future": [True]}
    assert given_dict["is_mab"] is True


@pytest.mark.parametrize("value", [-1, 100.5, "25", None, True])
@pytest.mark.parametrize("name", ["traffic_allocation", "confidence_interval"])
def test_percentages_are_0_to_100(name: str, value: object) -> None:
    """13.4.9: what cannot be a percentage is refused, given either way."""
    fields: Any = {name: value}
    for configuration in (fields, Configuration(**fields)):
        with pytest.raises(InvalidRequestError, match=f"configuration.{name} is .*; it must be a number from 0 to 100"):
            sent(configuration=configuration)
    assert sent(configuration={name: 0.25})["configuration"] == {name: 0.25}


def created(**arguments: object) -> dict[str, Any]:
    """Return the body of a new experiment."""
    return sent(
        "experiments.create", **{"test_name": "a", "variants": [{}], "url": "https://example.com/", **arguments}
    )


def test_pages_are_addresses_or_rules() -> None:
    """A page is a text, a PageRule or a dict; a star is part of a regular expression and of nothing else."""
    pages = [
        "https://example.com/",
        PageRule(url="/shop", rule=PageMatch.CONTAIN),
        PageRule(url="^/a.*$", rule="regex", allowed=False),
        {"url": "https://example.com/b", "allowed": True},
    ]
    assert created(page_urls=pages)["page_urls"] == [
        "https://example.com/",
        {"url": "/shop", "rule": "contain"},
        {"url": "^/a.*$", "rule": "regex", "allowed": False},
        {"url": "https://example.com/b", "allowed": True},
    ]
    assert len(created(page_urls=["https://example.com/"] * 50)["page_urls"]) == 50


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"url": "https://example.com/*"}, "url is .*; it must be an address without \\*"),
        ({"url": " "}, "url is ' '"),
        ({"page_urls": []}, "page_urls has 0 items"),
        ({"page_urls": ["https://example.com/"] * 51}, "page_urls has 51 items; it must be a list of 1 to 50"),
        ({"page_urls": "https://example.com/"}, "page_urls is .*; it must be a list of addresses or PageRules"),
        ({"page_urls": ["/a", "/*"]}, r"page_urls\[1\] is '/\*'; it must be an address without \*"),
        ({"page_urls": [{"url": "/*", "rule": "contain"}]}, r"page_urls\[0\].url is '/\*'"),
        ({"page_urls": [{"url": "/*"}]}, r"page_urls\[0\].url is '/\*'"),
        ({"page_urls": [{"rule": "regex"}]}, r"page_urls\[0\].url is None"),
        ({"page_urls": [7]}, r"page_urls\[0\] is 7; it must be of the class PageRule, or a mapping"),
        ({"page_urls": [PageRule(url="/a", allowed=False)]}, "page_urls allows no page"),
        ({"primary_goal": 7}, "primary_goal is 7; it must be of the class InlineGoal, or a mapping"),
        ({"primary_goal": {"goal_name": "a", "goal_type": "event"}}, "primary_goal.goal_value is None"),
        ({"primary_goal": {"goal_name": "", "goal_type": "event", "goal_value": "1"}}, "primary_goal.goal_name is ''"),
        ({"secondary_goals": [{"goal_name": "a"}]}, r"secondary_goals\[0\].goal_type is None"),
        ({"status": "paused"}, "status is 'paused'; it must be a number, or one of draft, live, inactive"),
        ({"status": "10"}, "status is '10'"),
        ({"status": "\N{ARABIC-INDIC DIGIT ONE}"}, "status is "),
        ({"status": -1}, "status is -1"),
        ({"status": True}, "status is True"),
        ({"control_attr": 7}, "control_attr is 7; it must be a mapping or a string"),
        ({"control": "Original"}, "control is 'Original'; it must be of the class Control, or a mapping"),
        ({"idempotency_key": ""}, "idempotency_key is ''"),
    ],
)
def test_wrong_fields_are_refused_with_a_reason(fields: dict[str, object], problem: str) -> None:
    """R7: pages, goals, statuses and the others are checked before anything goes out."""
    with pytest.raises(InvalidRequestError, match=problem):
        created(**fields)


def test_goals_go_out_with_their_value_as_text() -> None:
    """A number is a text on the wire, as for goals of their own."""
    goal = InlineGoal(goal_name="a", goal_type=GoalType.SCROLLING, goal_value=75)
    expected = {"goal_name": "a", "goal_type": "scrolling", "goal_value": "75"}
    body = created(primary_goal=goal, secondary_goals=[goal, expected])
    assert (body["primary_goal"], body["secondary_goals"]) == (expected, [expected, expected])


@pytest.mark.parametrize(
    ("given", "number"),
    [("draft", 9), ("live", 1), ("inactive", 0), (ExperimentStatus.LIVE, 1), (0, 0), (4, 4), ("9", 9)],
)
def test_a_status_goes_out_as_a_number(given: object, number: int) -> None:
    """11.3: a label, a member and a number are the same; numbers that are not known pass."""
    assert sent("experiments.set_status", status=given) == {"status": number}
    assert created(status=given)["status"] == number


def test_control_goes_out_with_the_vendors_keys() -> None:
    """The nickname and code of Control have the keys that variants have."""
    given = Control(nickname="Original", custom_css="a", custom_js="b")
    assert sent(control=given) == {"control": {"nickname": "Original", "customCSS": "a", "customJS": "b"}}
    assert sent(control_attr='{"js":""}') == {"control_attr": '{"js":""}'}


@pytest.mark.parametrize(
    ("wire", "status"),
    [
        (9, ExperimentStatus.DRAFT),
        (1.0, ExperimentStatus.LIVE),
        ("live", ExperimentStatus.LIVE),
        ("Inactive", ExperimentStatus.INACTIVE),
        ("0", ExperimentStatus.INACTIVE),
        (4, 4),
        ("4", 4),
        ("archived", "archived"),
        (1.5, "1.5"),
        (None, None),
    ],
)
def test_a_status_is_read_from_a_number_or_a_label(wire: object, status: object) -> None:
    """13.4.2: both forms become the member; what is not known comes back as it is."""
    found = structure({"test_id": 1, "status": wire}, Experiment).status
    assert found == status
    assert type(found) is type(status)


def test_a_status_is_nothing_else() -> None:
    """An array in place of a status is an error that names the place."""
    with pytest.raises(DecodeError, match="status: expected a text, got an array"):
        structure({"test_id": 1, "status": [1]}, Experiment)


def test_an_open_object_is_an_object() -> None:
    """Configurations keep whatever they hold; null is an empty one, and anything else an error."""
    assert structure({"test_id": 1, "configuration": None}, ExperimentDetails).configuration == {}
    assert structure({"test_id": 1, "configuration": {"a": [1]}}, ExperimentDetails).configuration == {"a": [1]}
    with pytest.raises(DecodeError, match="configuration: expected an object, got an array"):
        structure({"test_id": 1, "configuration": [1]}, ExperimentDetails)


def details(*shown: ExperimentVariant) -> ExperimentDetails:
    """Return an experiment as it is read."""
    return ExperimentDetails(test_id=1, variants=shown)


def test_what_was_read_can_be_made_into_what_is_written() -> None:
    """13.4.3: Control and all numbers go, a label behind a name becomes the nickname, and nothing else is lost."""
    read = details(
        ExperimentVariant(variant_id=1, name="Control", customCSS="x"),
        ExperimentVariant(variant_id=2, name="Variant 1 \N{EM DASH} Red - Button", customCSS="a", data=({"rm": "b"},)),
        ExperimentVariant(variant_id=3, name="Variant 2", customJS="c", extra={"nickname": "Blue", "layer": "cta"}),
    )
    found = treatments_of(read)
    assert found == [
        Variant(nickname="Red - Button", custom_css="a", data=({"rm": "b"},)),
        Variant(nickname="Blue", custom_js="c", layer="cta", data=()),
    ]
    changed = attrs.evolve(found[0], custom_css="z")
    assert variants(changed, found[1]) == [
        {"name": "Variant 1", "nickname": "Red - Button", "customCSS": "z", "data": [{"rm": "b"}]},
        {"name": "Variant 2", "nickname": "Blue", "customJS": "c", "layer": "cta", "data": []},
    ]


@pytest.mark.parametrize(
    ("variant", "problem"),
    [
        (ExperimentVariant(name="Original"), "read as 'Original' cannot be written back: it is not Variant 1"),
        (ExperimentVariant(name="Variant 2"), "it is not Variant 1"),
        (ExperimentVariant(name=None), "read as None"),
        (ExperimentVariant(name="Variant 1", extra={"targeting": {"devices": ["mobile"]}}), "targeting of its own"),
    ],
)
def test_what_cannot_be_written_back_is_refused(variant: ExperimentVariant, problem: str) -> None:
    """Nothing is guessed where a place is not certain, or where something would be lost."""
    with pytest.raises(InvalidRequestError, match=problem):
        treatments_of(details(variant))
