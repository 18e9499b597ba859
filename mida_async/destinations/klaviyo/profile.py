"""
The profile of an event: whose it is, in plain names, made into what a revision asks for.

Sources: Create Event page, revisions 2023-01-24 and 2026-10-15; Events API overview, read 2026-11.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from ..._core import codec
from ..._core.checks import exact_text
from ..._core.identity import identity
from ..._errors import InvalidEventError
from . import fields
from .limits import check_profile, encoded_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .revision import Revision

_Fields: TypeAlias = dict[str, object]

LONGEST_EMAIL: Final = 99  # characters: "less than 100"

_IDENTIFIERS: Final = ("email", "phone_number", "external_id", "id", "anonymous_id", "_kx")
_FLAT_IDENTIFIERS: Final = ("email", "phone_number", "external_id")
_KNOWN: Final = frozenset({"first_name", "last_name", "organization", "title", "image"})
_PLACE: Final = frozenset(
    {
        *("city", "region", "country", "zip", "address1", "address2"),
        *("timezone", "ip", "latitude", "longitude"),
    }
)
_E164: Final = re.compile(r"\+[1-9][0-9]{1,14}")

# Events API overview, read 2026-11: test.com and example.com "and similar". The others are RFC 2606's.
_DISCARDED: Final = (".example.com", ".example.net", ".example.org", ".test.com")


@attrs.frozen(kw_only=True)
class Person:
    """
    A checked and encoded profile.

    Attributes:
        body: What is sent.
        identities: The identifiers, in a form that can be compared.
        bare: Whether it is nothing but identifiers.
        email: The address, or nothing.
    """

    body: bytes
    identities: tuple[str, ...]
    bare: bool
    email: str


def is_discarded(email: str) -> bool:
    """
    Say whether the service takes events of this address and drops them.

    Args:
        email: The address.
    """
    domain = email.rpartition("@")[2]
    return f".{domain.lower()}".endswith(_DISCARDED)


class Profiles:
    """
    Reads profiles.

    Args:
        revision: What they are made for.
    """

    def __init__(self, revision: Revision) -> None:
        self._revision = revision
        self._written = _flat if revision.flat else _nested
        self._known = _known_to(revision)
        self._identifiers = frozenset(
            _FLAT_IDENTIFIERS if revision.flat else (name for name in _IDENTIFIERS if name != "_kx" or revision.has_kx)
        )
        # In the flat form external_id alone names nobody: "$email and/or $phone_number", says the page.
        self._sufficient = frozenset(_FLAT_IDENTIFIERS[:2]) if revision.flat else self._identifiers

    def read(self, profile: object) -> Person:
        """
        Check a profile and encode it.

        Args:
            profile: What was given.

        Raises:
            InvalidEventError: It names nobody, or cannot be sent.
        """
        given = fields.mapping("profile", profile)
        identifiers: dict[str, str] = {}
        others: dict[str, object] = {}
        for name, value in _named("profile", given):
            if name not in self._identifiers:
                others[name] = value
            elif value is not None:
                identifiers[name] = fields.text(f"profile.{name}", value)
        self._check_identifiers(identifiers)
        body = encoded_by("profile", given, self._written, identifiers, *self._sorted(others))
        check_profile(body, given)
        return Person(
            body=body,
            identities=tuple([identity(kind, value) for kind, value in identifiers.items()]),
            bare=not others,
            email=identifiers.get("email", ""),
        )

    def _check_identifiers(self, identifiers: Mapping[str, str]) -> None:
        found = self._sufficient & identifiers.keys()
        if not found:
            names = ", ".join(name for name in _IDENTIFIERS if name in self._sufficient)
            message = f"no identifier: give profile at least one of {names}"
            raise InvalidEventError(message)
        if "email" in identifiers:
            _check_email(identifiers["email"])
        if len(found) == 1 and "phone_number" in found and not _E164.fullmatch(identifiers["phone_number"]):
            allowed = "in the form of E.164, such as '+15005550006', because no other identifier is given"
            fields.refuse("profile.phone_number", identifiers["phone_number"], allowed)

    def _sorted(self, others: Mapping[str, object]) -> tuple[_Fields, _Fields, _Fields]:
        """Tell apart the attributes that the service knows, those of the place, and the caller's own."""
        known: _Fields = {}
        place: _Fields = {}
        own: _Fields = {}
        for name, value in others.items():
            if name in _IDENTIFIERS:
                message = f"profile.{name}: revision {self._revision} has no such identifier"
                raise InvalidEventError(message)
            if name in {"location", "properties"}:
                _merge(place if name == "location" else own, f"profile.{name}", value)
            elif name in self._known:
                known[name] = value
            else:
                _add(place if name in _PLACE else own, "profile", name, value)
        return known, place, own


def _known_to(revision: Revision) -> frozenset[str]:
    if revision.flat:
        return _KNOWN | {"consent"}
    return _KNOWN | {"locale"} if revision.has_locale else _KNOWN


def _named(field: str, given: Mapping[object, object]) -> Iterator[tuple[str, object]]:
    for name, value in given.items():
        if not isinstance(name, str):
            fields.refuse(f"a key of {field}", name, "a string")
        if name.startswith("$"):
            plain = "external_id" if name == "$id" else name[1:]
            message = f"{field}: {name!r:.80} is a name of the service's own; use {plain!r:.80}"
            raise InvalidEventError(message)
        yield exact_text(name), value


def _merge(target: _Fields, field: str, value: object) -> None:
    for name, item in _named(field, fields.mapping(field, value)):
        _add(target, field, name, item)


def _add(target: _Fields, field: str, name: str, value: object) -> None:
    if name in target:
        message = f"{field}: {name!r:.80} is given twice, within location or properties and beside them"
        raise InvalidEventError(message)
    target[name] = value


def _check_email(email: str) -> None:
    name, _, domain = email.rpartition("@")
    if not name or not domain or email.split(None, 1) != [email]:
        fields.refuse("profile.email", email, "an address: something on both sides of an @, and no spaces")
    if len(email) > LONGEST_EMAIL:
        message = f"profile.email has {len(email)} characters; at most {LONGEST_EMAIL} are allowed"
        raise InvalidEventError(message)


def _flat(identifiers: Mapping[str, str], known: _Fields, place: _Fields, own: _Fields) -> bytes:
    written: _Fields = {"$id" if name == "external_id" else f"${name}": value for name, value in identifiers.items()}
    written |= {f"${name}": value for name, value in known.items()}
    for name, value in place.items():
        written[f"${name}" if name in _PLACE else name] = value
    for name, value in own.items():
        _add(written, "profile", name, value)
    return codec.encode(written)


def _nested(identifiers: Mapping[str, str], known: _Fields, place: _Fields, own: _Fields) -> bytes:
    attributes: _Fields = {**identifiers, **known}
    if place:
        attributes["location"] = place
    if own:
        attributes["properties"] = own
    key = attributes.pop("id", None)
    named = b"" if key is None else b'"id":%b,' % codec.encode(key)
    return b'{"type":"profile",%b"attributes":%b}' % (named, codec.encode(attributes))
