"""Mida's destination passes the checks of destinations, and the checks find destinations that break a promise."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mida_async import APIError, InvalidEventError, Response
from mida_async._core.batch import BatchLimits, Blame
from mida_async._core.request import Account
from mida_async.destinations.base import Judgement
from mida_async.destinations.mida import MAX_BODY_BYTES, MidaDestination, encode_event
from mida_async.testing import destination_suite
from mida_async.testing.destination_suite import DESTINATION_CHECKS, DestinationCase, DestinationCheck

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mida_async import Request
    from mida_async._core.entry import Draft

ROOM = MAX_BODY_BYTES - len(encode_event("bought", id="1", properties={"text": ""}).body)


LIMITS: Final = BatchLimits(records=10, size=10_000, linger=1.0)


def case(cls: type[MidaDestination] = MidaDestination) -> DestinationCase:
    """Return the case of Mida, or of something like it."""
    return DestinationCase(
        make=lambda key: cls(Account.create(project_key="project", api_key=key, region="us")),
        visitors=({"id": "1"}, {"id": "2"}, {"email": "1"}, {"mida_uuid": "1"}, {"id": "3", "email": "a@b.c"}),
        same=(
            ({"email": "Ada@example.org"}, {"email": "ada@EXAMPLE.org"}),
            ({"id": "1", "email": "a"}, {"id": "1", "mida_uuid": "b"}),
        ),
        nobody=({}, {"id": ""}, {"email": " "}, {"mida_uuid": 7}, {"id": "1", "email": b"a"}),
        largest={"text": "x" * ROOM},
        too_large=({"text": "x" * (ROOM + 1)},),
        limit=f"{MAX_BODY_BYTES} bytes",
    )


@pytest.mark.parametrize("check", DESTINATION_CHECKS, ids=lambda check: check.__name__)
def test_mida_passes_the_suite(check: DestinationCheck) -> None:
    """Mida's destination keeps every promise of a destination."""
    check(case())


class Nested(MidaDestination):
    """Has its events one level deeper."""

    def encode(self, event_name: Any, **arguments: Any) -> Draft:
        """Wrap the event."""
        draft = MidaDestination.encode(event_name, **arguments)
        return attrs.evolve(draft, body=b'{"data":%b}' % draft.body)

    def fold(self, body: bytes, properties: object) -> bytes:
        """Unwrap the event, and wrap it again."""
        return b'{"data":%b}' % super().fold(body.removeprefix(b'{"data":').removesuffix(b"}"), properties)


@pytest.mark.parametrize("check", DESTINATION_CHECKS, ids=lambda check: check.__name__)
def test_properties_may_be_anywhere(check: DestinationCheck) -> None:
    """A destination whose events have their properties somewhere inside passes, if the case says where."""
    check(attrs.evolve(case(Nested), properties_at=("data", "properties")))


@given(
    status=st.integers(100, 599),
    headers=st.dictionaries(st.sampled_from(["retry-after", "location", "ratelimit", "x-y"]), st.text()),
    body=st.binary() | st.text().map(str.encode),
    complete=st.booleans(),
)
def test_judging_never_raises(status: int, headers: dict[str, str], body: bytes, complete: bool) -> None:  # noqa: FBT001
    """R9: whatever comes back is judged, and exactly the 2xx are accepted."""
    destination = case().make("secret-key")
    response = Response(status=status, headers=headers, body=body, complete=complete)
    error = destination.judge(response, 0.0).error
    assert (error is None) == (200 <= status < 300)
    assert error is None or isinstance(error, APIError)


class Lenient(MidaDestination):
    """Takes everything."""

    def encode(self, event_name: Any, **arguments: Any) -> Draft:
        """Encode, come what may."""
        try:
            return MidaDestination.encode(event_name, **arguments)
        except InvalidEventError:
            return MidaDestination.encode("bought", id="1")

    def fold(self, body: bytes, properties: object) -> bytes:
        """Fold, come what may."""
        try:
            return super().fold(body, properties)
        except InvalidEventError:
            return body


class Vague(MidaDestination):
    """Does not say what is wrong."""

    def encode(self, event_name: Any, **arguments: Any) -> Draft:
        """Encode, and tell nothing."""
        try:
            return MidaDestination.encode(event_name, **arguments)
        except InvalidEventError:
            raise InvalidEventError from None


def changing(**changes: Callable[[Draft], Any]) -> type[MidaDestination]:
    """Return a destination that changes its drafts."""

    class Changing(MidaDestination):
        def encode(self, event_name: Any, **arguments: Any) -> Draft:
            draft = MidaDestination.encode(event_name, **arguments)
            return attrs.evolve(draft, **dict[str, Any]((name, change(draft)) for name, change in changes.items()))

    return Changing


class Forgetful(MidaDestination):
    """Loses the visitor when it folds."""

    def fold(self, body: bytes, properties: object) -> bytes:
        """Fold too much."""
        return super().fold(body, properties).replace(b'"id"', b'"di"')


class Chatty(MidaDestination):
    """Puts the key where it is seen."""

    def request(self, body: bytes) -> Request:
        """Tell."""
        request = super().request(body)
        return attrs.evolve(request, url=f"{request.url}?key={self._secret}")

    def judge(self, response: Response, wall_now: float) -> Judgement:
        """Tell."""
        del wall_now
        return Judgement(body=response.body.decode(errors="replace"))


class Suspicious(MidaDestination):
    """Believes the body more than the status."""

    def judge(self, response: Response, wall_now: float) -> Judgement:
        """Refuse what looks odd."""
        if response.status < 300 and not response.complete:
            return Judgement(error=APIError("cut", status=response.status))
        return super().judge(response, wall_now)


class Dull(MidaDestination):
    """Knows one kind of refusal, and remembers how many it has seen."""

    seen = 0

    def judge(self, response: Response, wall_now: float) -> Judgement:
        """Refuse."""
        del wall_now
        self.seen += 1
        return Judgement(error=APIError(f"refused: {self.seen}", status=response.status))


@attrs.frozen
class Together:
    """Puts events in an array."""

    one: MidaDestination
    join: Callable[[list[bytes]], list[bytes]] = list
    blames: Callable[[Response], Blame | None] = lambda _: None
    limits: BatchLimits = LIMITS

    def request(self, bodies: Sequence[bytes]) -> Request:
        """Join the bodies."""
        return MidaDestination.request(self.one, b"[%b]" % b",".join(self.join(list(bodies))))

    def judge(self, response: Response, bodies: Sequence[bytes], wall_now: float) -> Judgement:
        """Judge as if it were one."""
        del bodies
        return attrs.evolve(self.one.judge(response, wall_now), blame=self.blames(response))


def together(**changes: Any) -> type[MidaDestination]:
    """Return a destination that puts events together, in an odd way if *changes* say so."""
    members = {
        "batch": property(lambda one: Together(one, **changes)),
        "request": lambda one, body: one.batch.request((body,)),
    }
    return type("Joined", (MidaDestination,), members)


@pytest.mark.parametrize("check", DESTINATION_CHECKS, ids=lambda check: check.__name__)
def test_several_events_may_go_together(check: DestinationCheck) -> None:
    """A destination that puts several events in one request passes, whomever it blames for a refusal of them all."""
    check(case(together()))
    check(case(together(blames=lambda response: Blame(culprits=frozenset({14})) if response.status == 400 else None)))


class Elsewhere(together()):  # type: ignore[misc]
    """Sends several events to another place than one."""

    def request(self, body: bytes) -> Request:
        """Send one."""
        request = MidaDestination.request(self, body)
        return attrs.evolve(request, url=f"{request.url}/one")


class Refusing(together()):  # type: ignore[misc]
    """Makes something else of what was taken."""

    def judge(self, response: Response, wall_now: float) -> Judgement:
        """Refuse."""
        del wall_now
        return Judgement(error=APIError("no", status=response.status))


def blaming(status: int, position: int) -> type[MidaDestination]:
    """Return a destination that blames one record of a batch for an answer of this status."""
    blame = Blame(suspects=frozenset({position}))
    return together(blames=lambda response: blame if response.status == status else None)


@pytest.mark.parametrize(
    ("cls", "check"),
    [
        (Lenient, "refuses_bad_events"),
        (Vague, "refuses_bad_events"),
        (Lenient, "keeps_its_limits"),
        (Vague, "keeps_its_limits"),
        (changing(body=lambda draft: draft.body.replace(b"1.10", b"1.1")), "encodes_common_values"),
        (changing(name=lambda draft: draft.name.upper()), "encodes_common_values"),
        (changing(body=lambda draft: bytearray(draft.body)), "keeps_nothing_of_the_caller"),
        (changing(body=lambda draft: draft.body.replace(b"1", b"1,2")), "keeps_nothing_of_the_caller"),
        (changing(identities=lambda _: ()), "knows_visitors_apart"),
        (changing(identities=lambda _: ("everybody",)), "knows_visitors_apart"),
        (changing(identities=lambda draft: (str(draft.body),)), "knows_visitors_apart"),
        (Forgetful, "folds_properties_alone"),
        (Lenient, "refuses_to_fold_bad_properties"),
        (Chatty, "makes_one_request"),
        (Suspicious, "accepts_every_2xx"),
        (Chatty, "judges_every_refusal"),
        (Dull, "judges_every_refusal"),
        (Dull, "passes_retry_after_on"),
        (Dull, "judges_the_same_again"),
        (Chatty, "hides_the_key"),
        (together(join=lambda bodies: bodies[::-1]), "puts_batches_together"),
        (together(join=lambda bodies: bodies[1:]), "puts_batches_together"),
        (together(join=lambda bodies: bodies + bodies[-1:]), "puts_batches_together"),
        (Elsewhere, "puts_batches_together"),
        (blaming(400, 15), "judges_batches"),
        (blaming(200, 0), "judges_batches"),
        (blaming(503, 0), "judges_batches"),
        (Refusing, "judges_batches"),
    ],
)
def test_the_checks_find_a_bad_destination(cls: type[MidaDestination], check: str) -> None:
    """A destination that breaks a promise does not pass the check of that promise."""
    with pytest.raises(AssertionError):
        getattr(destination_suite, check)(case(cls))


def test_every_check_has_found_something() -> None:
    """No check is passed by everything: each is among those above that a bad destination failed."""
    (mark,) = test_the_checks_find_a_bad_destination.pytestmark  # type: ignore[attr-defined]
    assert {check.__name__ for check in DESTINATION_CHECKS} == {check for _, check in mark.args[1]}
