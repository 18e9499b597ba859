"""Whom an event of Klaviyo is about: the profile in a request, flat or as a resource of JSON:API."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import attrs

from .klaviyo_body import MAX_STRING_BYTES, Node, check_limits
from .klaviyo_profiles import Identifier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .klaviyo_revisions import Revision

_FLAT: Final = MappingProxyType({"email": "$email", "phone_number": "$phone_number"})
_NESTED: Final = MappingProxyType(
    {name: name for name in ("email", "phone_number", "external_id", "anonymous_id", "_kx")}
)
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
_PHONE: Final = re.compile(r"\+[1-9][0-9]{1,14}")  # E.164
_EMAIL_BELOW: Final = 100

# Events for addresses that nobody has are accepted and dropped; the page names the first two "and similar"
# (https://developers.klaviyo.com/en/reference/events_api_overview, as of 2026-11-20).
_INVENTED: Final = frozenset({"example.com", "test.com", "example.org", "example.net"})


@attrs.frozen(kw_only=True, eq=False)
class Person:
    """
    A profile as a request names it.

    Attributes:
        identifiers: What names it.
        email: The address, or None.
        phone_number: The number, or None; also None where it is wrong and the address counts instead.
        external_id: The application's own id, or None.
        fields: The attributes as they were sent.
    """

    identifiers: tuple[Identifier, ...]
    email: str | None
    phone_number: str | None
    external_id: str | None
    fields: dict[str, Any]

    @property
    def is_invented(self) -> bool:
        """Whether the address is of a domain that is for examples and tests."""
        return self.email is not None and self.email.rpartition("@")[2].casefold() in _INVENTED


def flat_person(profile: Node, revision: Revision) -> Person:
    """
    Read a profile of the revisions until 2023-06-15.

    Args:
        profile: Its place.
        revision: The revision.

    Raises:
        Problem: Something is wrong with it.
    """
    return _person(profile, _FLAT, (), revision)


def nested_person(profile: Node, revision: Revision) -> Person:
    """
    Read a profile of the revisions from 2023-07-15 on.

    Args:
        profile: Its place.
        revision: The revision.

    Raises:
        Problem: Something is wrong with it.
    """
    data = profile.needed("data").resource("profile")
    profile_id = data.at("id").text()
    attributes = data.at("attributes")
    if attributes.value is None:
        if profile_id is None:
            detail = "One of `attributes`, `relationships` or `id` must be included in the request payload."
            raise data.wrong(detail)
        attributes = attrs.evolve(attributes, value={})
    return _person(attributes, _NESTED, () if profile_id is None else (("id", profile_id),), revision)


def _person(fields: Node, names: Mapping[str, str], identifiers: tuple[Identifier, ...], revision: Revision) -> Person:
    strings = check_limits(fields)
    if revision.bounds_profiles and strings > MAX_STRING_BYTES:
        detail = f"The strings of a profile must not be longer than {MAX_STRING_BYTES} bytes together."
        raise fields.wrong(detail)
    given = {kind: text for kind, name in names.items() if (text := fields.at(name).text()) is not None}
    _check_email(fields.at(names["email"]))
    _check_phone(fields.at(names["phone_number"]), given)
    if not given and not identifiers:
        detail = "A profile needs an identifier."
        raise fields.wrong(detail)
    return Person(
        identifiers=(*identifiers, *((kind, _normal(kind, text)) for kind, text in given.items())),
        email=given.get("email"),
        phone_number=given.get("phone_number"),
        external_id=given.get("external_id"),
        fields=fields.fields(),
    )


def _normal(kind: str, text: str) -> str:
    return text.casefold() if kind == "email" else text


def _check_email(email: Node) -> None:
    text = email.text()
    if text is not None and not (len(text) < _EMAIL_BELOW and _EMAIL.fullmatch(text)):
        detail = f"An email address must be valid and shorter than {_EMAIL_BELOW} characters."
        raise email.wrong(detail)


def _check_phone(phone: Node, given: dict[str, str]) -> None:
    """Make sure that a number is valid; one that is not is passed over if there is an address."""
    text = phone.text()
    if text is None or _PHONE.fullmatch(text):
        return
    if "email" not in given:
        detail = "A phone number must have the form of E.164."
        raise phone.wrong(detail)
    del given["phone_number"]
