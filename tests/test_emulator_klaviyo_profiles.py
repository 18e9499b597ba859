"""Whom the emulator's Klaviyo takes for the same person, and which events for repetitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from klaviyo_caller import EMAIL, OLDEST, Klaviyo, flat, metric, nested, profile

from mida_async.testing._emulator.klaviyo_profiles import Profiles

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mida_async.testing._emulator.klaviyo_profiles import Identifier


@pytest.fixture(name="call")
def _call() -> Klaviyo:
    return Klaviyo()


def numbers(call: Klaviyo, *people: dict[str, Any]) -> list[int]:
    """Send an event of each person, and return the numbers of their profiles."""
    for count, person in enumerate(people):
        call.done(nested(profile=person, unique_id=str(count)))
    return [event.visitor_id for event in call.recorded]


def test_a_profile_is_known_by_each_of_its_identifiers(call: Klaviyo) -> None:
    """What one event shows together belongs together; addresses are compared without regard to case."""
    first = {"email": EMAIL, "phone_number": "+15005550006", "external_id": "1", "anonymous_id": "a", "_kx": "k"}
    alone = [profile(**{kind: value}) for kind, value in first.items()]
    assert numbers(call, profile(**first), *alone, profile(email=EMAIL.upper())) == [1] * 7
    assert call.emulator.klaviyo.profiles == 1


def test_kinds_of_identifiers_are_not_mixed_up(call: Klaviyo) -> None:
    """The same text as two kinds of identifier names two profiles; ids of the application keep their case."""
    people = [profile(external_id="x"), profile(anonymous_id="x"), profile(_kx="x"), profile(external_id="X")]
    assert numbers(call, *people, {"data": {"type": "profile", "id": "x"}}) == [1, 2, 3, 4, 5]


def test_two_profiles_become_one(call: Klaviyo) -> None:
    """An event that shows two known identifiers joins their profiles, with all that they have done."""
    call.done(
        nested(unique_id="1", profile=profile(email=EMAIL)),
        nested(unique_id="2", profile=profile(external_id="1", anonymous_id="a")),
        nested(unique_id="3", profile=profile(external_id="1", email=EMAIL)),
        nested(unique_id="2", profile=profile(email=EMAIL)),
        nested(unique_id="1", profile=profile(anonymous_id="a")),
        nested(unique_id="4", profile=profile(anonymous_id="a")),
        nested(unique_id="5", profile=profile(external_id="2")),
    )
    assert [(event.unique_id, event.visitor_id) for event in call.recorded] == [
        *(("1", 1), ("2", 2), ("3", 1), ("4", 1), ("5", 3)),
    ]
    assert (call.emulator.klaviyo.duplicates, call.emulator.klaviyo.profiles) == (2, 2)


def test_both_shapes_name_the_same_profiles(call: Klaviyo) -> None:
    """Who was named with a dollar sign is known without it."""
    call.done(nested(unique_id="1"))
    call.headers["revision"] = OLDEST
    call.done(flat(unique_id="1"), flat(unique_id="2"))
    assert [event.visitor_id for event in call.recorded] == [1, 1]


def test_a_repetition_is_accepted_and_dropped(call: Klaviyo) -> None:
    """Of one profile, metric and unique_id the first event stays; anything else about them does not matter."""
    call.done(nested(unique_id="1", value=1), nested(unique_id="1", value=2, time="2026-01-01T00:00:00Z"))
    call.done(nested(unique_id="1", metric=metric("Left")), nested(unique_id="2"))
    call.done(nested(unique_id="1", profile=profile(external_id="1")))
    assert [event.value for event in call.recorded] == [1, None, None, None]
    assert call.emulator.klaviyo.duplicates == 1


def test_without_an_id_there_is_one_event_in_a_second(call: Klaviyo) -> None:
    """The time of an event, to the second, takes the place of a unique_id that is missing."""
    times = ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.9Z", "2026-01-01T01:00:00+01:00", "2026-01-01T00:00:01Z"]
    call.done(*(nested(time=time) for time in times))
    assert [event.time[-14:] for event in call.recorded] == ["00:00:00+00:00", "00:00:01+00:00"]
    call.done(nested(), nested())
    assert (len(call.recorded), call.emulator.klaviyo.duplicates) == (3, 3)


@pytest.mark.parametrize("domain", ["example.com", "Example.COM", "test.com", "example.org", "example.net"])
@pytest.mark.parametrize("revision", [OLDEST, "2026-10-15"])
def test_invented_addresses_are_accepted_and_dropped(domain: str, revision: str) -> None:
    """Events for addresses that nobody has are answered like others, register nobody, and are counted."""
    call = Klaviyo(revision=revision)
    call.done(
        flat(profile={"$email": f"a@{domain}"}) if revision == OLDEST else nested(profile=profile(email=f"a@{domain}"))
    )
    account = call.emulator.klaviyo
    assert (call.recorded, account.discarded, account.duplicates, account.profiles) == ([], 1, 0, 0)


@pytest.mark.parametrize("domain", ["example.de", "mail.example.com", "notexample.com", "test.com.au"])
def test_other_addresses_are_recorded(call: Klaviyo, domain: str) -> None:
    """Only whole names of those domains count."""
    call.done(nested(profile=profile(email=f"a@{domain}")))
    assert len(call.recorded) == 1


identifiers = st.tuples(st.sampled_from("abc"), st.sampled_from("123"))


@given(st.lists(st.frozensets(identifiers, min_size=1, max_size=3), max_size=12))
def test_profiles_are_the_connected_parts(shown: list[frozenset[Identifier]]) -> None:
    """However identifiers are shown together, a profile is all of them that hang together."""
    parts: list[frozenset[Identifier]] = []
    profiles = Profiles()
    for named in shown:
        touched = [part for part in parts if part & named]
        parts = [part for part in parts if not part & named] + [named.union(*touched)]
        profiles.add(named)
        assert len(profiles) == len(parts)
    found = [set(_numbers(profiles, part)) for part in parts]
    assert all(len(each) == 1 for each in found)
    assert len(set.union(set(), *found)) == len(parts)


def _numbers(profiles: Profiles, part: Iterable[Identifier]) -> list[int]:
    return [number for each in part for number in profiles.known([each])]
