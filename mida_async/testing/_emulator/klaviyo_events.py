"""The events in Klaviyo's requests, read as the published shapes of each revision have them."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import attrs

from .klaviyo_body import Node, check_limits, is_integer
from .klaviyo_people import Person, flat_person, nested_person
from .klaviyo_revisions import Revision
from .klaviyo_wire import PAYLOAD, Problem

MAX_EVENTS: Final = 1000
_METRIC_BELOW: Final = 128
_MAX_UNIQUE_ID: Final = 255
_YEAR: Final = dt.timedelta(days=365)


@attrs.frozen
class Terms:
    """
    What a request is judged by.

    Attributes:
        revision: The revision that serves it.
        today: When it came.
    """

    revision: Revision
    today: dt.datetime


@attrs.frozen(kw_only=True, eq=False)
class Draft:
    """
    One event that is right by itself.

    Attributes:
        place: Where its attributes stand.
        metric: Its name.
        person: Whom it is about.
        properties: What it is about.
        time: When it happened, to the second.
        value: Its value, or None.
        unique_id: What tells it from others of that name and person.
        is_named: Whether the request says so; otherwise it is the time.
    """

    place: Node
    metric: str
    person: Person
    properties: dict[str, Any]
    time: str
    value: float | None
    unique_id: str
    is_named: bool


def single(body: Node, terms: Terms) -> list[Draft]:
    """
    Read a request of Create Event.

    Args:
        body: The body.
        terms: What it is judged by.

    Raises:
        Problem: Something is wrong with it.
    """
    attributes = body.needed("data").resource("event").needed("attributes")
    profile, metric = attributes.needed("profile"), attributes.needed("metric")
    if terms.revision.flat:
        return [_draft(attributes, metric, flat_person(profile, terms.revision), terms)]
    if not ("data" in profile.fields() and "data" in metric.fields()):
        raise Problem(400, PAYLOAD)  # what answers to flat bodies look like: they point nowhere
    return [_nested(attributes, nested_person(profile, terms.revision), terms)]


def bulk(body: Node, terms: Terms) -> list[Draft]:
    """
    Read a request of Bulk Create Events.

    Args:
        body: The body.
        terms: What it is judged by.

    Raises:
        Problem: Something is wrong with one of its events.
    """
    job = body.needed("data").resource("event-bulk-create-job")
    section = job.needed("attributes").needed("events-bulk-create")
    groups = [each.resource("event-bulk-create").needed("attributes") for each in section.needed("data").elements()]
    events = [(group, group.needed("events").needed("data").elements()) for group in groups]
    if not 1 <= sum(len(found) for _, found in events) <= MAX_EVENTS:
        detail = f"A request must have from 1 to {MAX_EVENTS} events."
        raise section.wrong(detail)
    return [draft for group, found in events for draft in _group(group, found, terms)]


def _group(group: Node, events: list[Node], terms: Terms) -> list[Draft]:
    _check_backfill(group, terms)
    person = nested_person(group.needed("profile"), terms.revision)
    return [_nested(event.resource("event").needed("attributes"), person, terms) for event in events]


def _nested(attributes: Node, person: Person, terms: Terms) -> Draft:
    metric = attributes.needed("metric").needed("data").resource("metric")
    if metric.at("attributes").value is None:
        detail = "One of `attributes`, `relationships` or `id` must be included in the request payload."
        raise metric.wrong(detail)
    return _draft(attributes, metric.at("attributes"), person, terms)


def _draft(attributes: Node, metric: Node, person: Person, terms: Terms) -> Draft:
    time = _time(attributes.at("time"), terms)
    unique_id = _unique_id(attributes.at("unique_id"))
    _check_currency(attributes, terms)
    _check_backfill(attributes, terms)
    return Draft(
        place=attributes,
        metric=_metric(metric),
        person=person,
        properties=_properties(attributes.needed("properties"), terms),
        time=time,
        value=_value(attributes.at("value")),
        unique_id=unique_id or time,
        is_named=unique_id is not None,
    )


def _metric(metric: Node) -> str:
    name = metric.needed("name")
    text = name.text() or ""
    if len(text) >= _METRIC_BELOW:
        detail = f"The name of a metric must be shorter than {_METRIC_BELOW} characters."
        raise name.wrong(detail)
    return text


def _properties(properties: Node, terms: Terms) -> dict[str, Any]:
    fields, most = properties.fields(), terms.revision.most_properties
    if len(fields) > most:
        detail = f"An event must not have more than {most} properties."
        raise properties.wrong(detail)
    check_limits(properties)
    return fields


def _time(time: Node, terms: Terms) -> str:
    text = time.text()
    moment = terms.today if text is None else _moment(time, text)
    if not terms.revision.earliest < moment <= terms.today + _YEAR:
        detail = f"The time must be after {terms.revision.earliest.year} and not more than a year ahead."
        raise time.wrong(detail)
    return moment.replace(microsecond=0).isoformat()


def _moment(time: Node, text: str) -> dt.datetime:
    """Return the time that *text* is; without a zone, as in the older examples, it is UTC."""
    try:
        moment = dt.datetime.fromisoformat(text)
        return moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    except (ValueError, OverflowError):
        detail = "The time must have the form of ISO 8601."
        raise time.wrong(detail) from None


def _value(value: Node) -> float | None:
    number = value.value
    if number is None or isinstance(number, float):
        return number
    if not isinstance(number, int) or isinstance(number, bool) or not is_integer(number):
        detail = "The value must be a number."
        raise value.wrong(detail)
    return number


def _unique_id(unique_id: Node) -> str | None:
    text = unique_id.text()
    if text is not None and len(text) > _MAX_UNIQUE_ID:
        detail = f"The unique_id must have from 1 to {_MAX_UNIQUE_ID} characters."
        raise unique_id.wrong(detail)
    return text


def _check_currency(attributes: Node, terms: Terms) -> None:
    if terms.revision.has_currency:
        attributes.at("value_currency").text()


def _check_backfill(attributes: Node, terms: Terms) -> None:
    backfill = attributes.at("backfill")
    if terms.revision.has_backfill and not isinstance(backfill.value, bool | None):
        detail = "The field backfill must be true or false."
        raise backfill.wrong(detail)
