"""
What every destination must do: one check for each promise of :class:`~mida_async.destinations.base.Destination`.

A destination is checked by telling in a :class:`DestinationCase` how to make it and what its events look like, and
giving that to each of :data:`DESTINATION_CHECKS`::

    @pytest.mark.parametrize("check", DESTINATION_CHECKS, ids=lambda check: check.__name__)
    def test_my_destination(check: DestinationCheck) -> None:
        check(MY_CASE)
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import math
import uuid
from collections.abc import Callable
from itertools import combinations
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import attrs

from .._core.messages import Response
from .._errors import APIError, InvalidEventError
from .destination_case import (
    ACCEPTED,
    EACH,
    HEADERS,
    KINDS,
    MOST_OF_AN_ANSWER,
    NAME,
    NOBODYS,
    OTHERS,
    SECRET,
    WALL,
    Arguments,
    DestinationCase,
    expect,
    kinds,
    responses,
    shows,
    written,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._core.entry import Draft
    from ..destinations.base import Destination

__all__ = ["DESTINATION_CHECKS", "DestinationCase", "DestinationCheck"]

DestinationCheck: TypeAlias = Callable[[DestinationCase], None]


class _Size(enum.Enum):
    LARGE = "L"


def _cycle() -> dict[str, Any]:
    properties: dict[str, Any] = {}
    properties["broken"] = [properties]
    return properties


def _bad_properties() -> tuple[object, ...]:
    wrong = (math.nan, math.inf, b"bytes", {1, 2}, object(), "\ud800", {1: "a"}, [{"a": {None: 1}}])
    return (*({"broken": value} for value in wrong), _cycle(), {1: "a"}, [("a", 1)], "text", 7)


def refuses_bad_events(case: DestinationCase) -> None:
    """R7: what cannot be sent raises InvalidEventError at the call, with a message that names the field."""
    destination = case.make(SECRET)
    visitor = case.visitors[0]
    for name in ("", " \t", None, 7, b"bought"):
        _refused(f"the name {name!r}", destination, name, visitor)
    for nobody in case.nobody:
        _refused(f"the visitor {dict(nobody)!r}", destination, NAME, nobody)
    for properties in _bad_properties():
        message = _refused(f"the properties {properties!r:.60}", destination, NAME, visitor, properties=properties)
        named = "broken" if isinstance(properties, dict) and "broken" in properties else "properties"
        expect(named in message, f"the message for {properties!r:.60} does not name the field: {message}")
    for unique_id in ("", " ", 7):
        message = _refused(f"the unique_id {unique_id!r}", destination, NAME, visitor, unique_id=unique_id)
        expect("unique_id" in message, f"the message for a wrong unique_id does not name it: {message}")


def keeps_its_limits(case: DestinationCase) -> None:
    """R7: an event is encoded up to the limits and refused beyond; the message tells the limit."""
    destination = case.make(SECRET)
    draft = destination.encode(NAME, **case.visitors[0], properties=case.largest)
    expect(case.properties_of(draft.body) == case.largest, "the largest properties were changed")
    for over in case.too_large:
        message = _refused("an event that is too large", destination, NAME, case.visitors[0], properties=over)
        expect(case.limit in message, f"the message does not tell the limit, {case.limit}: {message}")


def encodes_common_values(case: DestinationCase) -> None:
    """R7: dates, UUIDs, decimals and members of enumerations are encoded the usual way, numbers and text exactly."""
    draft = _encode(
        case,
        {
            "at": dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
            "on": dt.date(2024, 1, 2),
            "key": uuid.UUID(int=1),
            "price": decimal.Decimal("1.10"),
            "size": _Size.LARGE,
            "number": case.number,
            "text": "é\u2028😀",
            "nested": {"list": [1, 2.5, None, True, ("a",)], "mapping": MappingProxyType({"a": 1})},
        },
    )
    expected = {
        "at": "2024-01-02T03:04:05+00:00",
        "on": "2024-01-02",
        "key": "00000000-0000-0000-0000-000000000001",
        "price": "1.10",
        "size": "L",
        "number": case.number,
        "text": "é\u2028😀",
        "nested": {"list": [1, 2.5, None, True, ["a"]], "mapping": {"a": 1}},
    }
    found = case.properties_of(draft.body)
    expect(found == expected, f"the properties were encoded as {found!r}")
    expect(draft.name == NAME, f"the event {NAME!r} counts as {draft.name!r}")


def keeps_nothing_of_the_caller(case: DestinationCase) -> None:
    """Promise 1: an encoded event is bytes; nothing that the caller changes later changes it."""
    properties = {"list": [1]}
    draft = _encode(case, properties)
    expect(type(draft.body) is bytes, f"the body is of type {type(draft.body).__name__}")
    properties["list"].append(2)
    expect(case.properties_of(draft.body) == {"list": [1]}, "a later change of the properties shows")


def knows_visitors_apart(case: DestinationCase) -> None:
    """R3: the same visitor is known again by a shared identifier, and different visitors share none."""
    expect(len(case.visitors) > 1, "the case must name two visitors or more")
    known = [_identities(case, visitor) for visitor in case.visitors]
    for (one, other), (ones, others) in zip(combinations(case.visitors, 2), combinations(known, 2), strict=True):
        expect(not ones & others, f"{dict(one)!r} and {dict(other)!r} share an identifier")
    for one, other in case.same:
        shared = _identities(case, one) & _identities(case, other)
        expect(bool(shared), f"{dict(one)!r} and {dict(other)!r} share no identifier")


def folds_properties_alone(case: DestinationCase) -> None:
    """R4: folding puts other properties in place and changes nothing else: name, identifiers and all stay."""
    destination = case.make(SECRET)
    for visitor in case.visitors:
        for properties in ({"a": 1}, None):
            body = destination.encode(NAME, **visitor, properties=properties, unique_id="u-1").body
            folded = destination.fold(body, {"b": [2]})
            expect(case.properties_of(folded) == {"b": [2]}, f"the folded properties are {case.properties_of(folded)}")
            expect(case.without_properties(folded) == case.without_properties(body), "folding changed something else")
            expect(destination.fold(folded, {"b": [2]}) == folded, "folding the same again changed something")


def refuses_to_fold_bad_properties(case: DestinationCase) -> None:
    """R4, R7: what a folding rule makes of properties is checked like any others."""
    destination = case.make(SECRET)
    body = _encode(case, {"a": 1}).body
    for properties in (*_bad_properties(), *case.too_large):
        try:
            destination.fold(body, properties)
        except InvalidEventError:
            continue
        message = f"the properties {properties!r:.60} were folded"
        raise AssertionError(message)


def makes_one_request(case: DestinationCase) -> None:
    """Promise 2: the same body gives the same request; it carries the key in a header and nowhere else (R17)."""
    destination = case.make(SECRET)
    body = _encode(case, {"a": 1}).body
    request = destination.request(body)
    expect(request == destination.request(body), "the same body gave two different requests")
    whole = body if destination.batch is None else destination.batch.request((body,)).body
    expect(request.body == whole, "the request carries another body")
    expect(request.method == "POST", f"the method is {request.method}")
    expect(request.secret == SECRET, "the request does not say what its secret is")
    expect(any(SECRET in value for value in request.headers.values()), "no header carries the key")
    expect(0 < request.max_response_bytes <= MOST_OF_AN_ANSWER, f"{request.max_response_bytes} bytes may be read")
    expect(not shows(request.url, repr(request), repr(destination), repr(body)), "the key is shown")


def accepts_every_2xx(case: DestinationCase) -> None:
    """Promise 3, R9: a 2xx is a delivery, whatever its body and whether it came whole: it must not be sent again."""
    destination = case.make(SECRET)
    for response in responses(ACCEPTED):
        judgement = destination.judge(response, WALL)
        expect(judgement.error is None, f"{response!r:.80} was refused: {judgement.error!r}")


def judges_every_refusal(case: DestinationCase) -> None:
    """Any other status is an APIError of the right class, whatever came with it; judging never raises."""
    destination = case.make(SECRET)
    for response in responses((*OTHERS, *KINDS)):
        error = destination.judge(response, WALL).error
        expect(isinstance(error, kinds(case, response.status)), f"{response!r:.80} was judged as {error!r}")
        status = cast("APIError", error).status
        expect(status == response.status, f"the error of a {response.status} says {status}")


def passes_retry_after_on(case: DestinationCase) -> None:
    """R8: how long the service asks to wait is in the error of a 429 and of a 503; a senseless text is none."""
    destination = case.make(SECRET)
    for status in (429, 503):
        for text, expected in (("7", 7.0), ("soon", None), (None, None)):
            headers = {} if text is None else {"retry-after": text}
            error = destination.judge(Response(status=status, headers=headers), WALL).error
            wait = getattr(error, "retry_after", None)
            expect(wait == expected, f"Retry-After {text!r} on a {status} was read as {wait!r}")


def judges_the_same_again(case: DestinationCase) -> None:
    """Judging the same response twice gives the same, and what came between does not matter."""
    one, other = case.make(SECRET), case.make(SECRET)
    answers = [*responses((200, 400, 429, 500))]
    first = [written(one.judge(response, WALL)) for response in answers]
    again = [written(other.judge(response, WALL)) for response in reversed(answers)]
    expect(first == again[::-1], "the same response was judged in two ways")


def hides_the_key(case: DestinationCase) -> None:
    """R17: a service that repeats the key, in whatever form, brings it into no judgement and no error."""
    destination = case.make(SECRET)
    said = json.dumps({"success": False, "error": SECRET, SECRET: [SECRET], "errors": [{"detail": SECRET}]})
    escaped = json.dumps({"error": "".join(f"\\u{ord(letter):04x}" for letter in SECRET)}).replace("\\\\", "\\")
    for status in (200, 302, 400, 401, 403, 404, 409, 429, 500):
        for body in (said.encode(), escaped.encode(), SECRET.encode(), said[:-2].encode()):
            judgement = destination.judge(Response(status=status, headers=HEADERS[2], body=body), WALL)
            expect(not shows(written(judgement)), f"the judgement of a {status} shows the key")


def puts_batches_together(case: DestinationCase) -> None:
    """A batch makes one request of several events, the same for the same ones, each once and in its order."""
    destination = case.make(SECRET)
    batch = destination.batch
    if batch is None:
        return
    expect(batch.limits.records > 1, f"a request carries {batch.limits.records} records")
    marks = [f"mark-{number:03}." for number in range(EACH * len(case.visitors))]
    bodies = _marked(destination, case, marks)
    request = batch.request(bodies)
    expect(request == batch.request(list(bodies)), "the same bodies gave two different requests")
    single = destination.request(bodies[0])
    expect(attrs.evolve(request, body=single.body) == single, "one event and several do not go to the same place")
    found = [(request.body or b"").find(mark.encode()) for mark in marks]
    expect(-1 not in found and found == sorted(found), "events are missing, or not in their order")
    expect(all((request.body or b"").count(mark.encode()) == 1 for mark in marks), "an event is there twice")


def judges_batches(case: DestinationCase) -> None:
    """R9: a batch is accepted by every 2xx; a refusal blames none but its own records, and none of those for a wait."""
    destination = case.make(SECRET)
    batch = destination.batch
    if batch is None:
        return
    bodies = _marked(destination, case, [f"mark-{number:03}." for number in range(EACH * len(case.visitors))])
    for response in responses((*ACCEPTED, *OTHERS, *KINDS)):
        judgement = batch.judge(response, bodies, WALL)
        blame = judgement.blame
        positions = frozenset[int]() if blame is None else blame.culprits | blame.suspects
        expect(positions <= frozenset(range(len(bodies))), f"{response!r:.80} blames others: {blame!r}")
        accepted = response.status in ACCEPTED
        expect((judgement.error is None) == accepted, f"{response!r:.80} was judged as {judgement!r}")
        innocent = accepted or response.status in NOBODYS
        expect(not (innocent and blame), f"{response!r:.80} is nobody's fault, but blames {blame!r}")
        expect(not shows(written(judgement)), f"the judgement of a {response.status} shows the key")


DESTINATION_CHECKS: Final[tuple[DestinationCheck, ...]] = (
    refuses_bad_events,
    keeps_its_limits,
    encodes_common_values,
    keeps_nothing_of_the_caller,
    knows_visitors_apart,
    folds_properties_alone,
    refuses_to_fold_bad_properties,
    makes_one_request,
    accepts_every_2xx,
    judges_every_refusal,
    passes_retry_after_on,
    judges_the_same_again,
    hides_the_key,
    puts_batches_together,
    judges_batches,
)
"""Every check, in the order in which an event meets what they are about."""


def _encode(case: DestinationCase, properties: object) -> Draft:
    return case.make(SECRET).encode(NAME, **case.visitors[0], properties=properties)


def _marked(destination: Destination[...], case: DestinationCase, marks: Sequence[str]) -> list[bytes]:
    """Encode one event for each mark; those of one visitor stand together."""
    visitors = [visitor for visitor in case.visitors for _ in range(EACH)]
    return [
        destination.encode(NAME, **visitor, properties={"mark": mark}).body
        for visitor, mark in zip(visitors, marks, strict=True)
    ]


def _identities(case: DestinationCase, visitor: Arguments) -> set[str]:
    draft = case.make(SECRET).encode(NAME, **visitor)
    expect(bool(draft.identities), f"{dict(visitor)!r} has no identifier")
    return set(draft.identities)


def _refused(what: str, destination: Destination[...], name: object, visitor: Arguments, **arguments: object) -> str:
    try:
        destination.encode(name, **visitor, **arguments)
    except InvalidEventError as error:
        return str(error)
    message = f"{what} was not refused"
    raise AssertionError(message)
