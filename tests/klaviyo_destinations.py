"""Klaviyo's destinations for tests: with a clock that stands still and ids that are counted."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from typing import Any, Final, TypeVar

from mida_async.destinations.klaviyo import KlaviyoAccount, KlaviyoBulkDestination, KlaviyoDestination

KEY: Final = 'pk_"live"/topsecret'
FLAT: Final = "2023-01-24"
NESTED: Final = "2026-10-15"
NOW: Final = dt.datetime(2026, 11, 29, 1, 2, 3, 999_999, tzinfo=dt.UTC)
TODAY: Final = NOW.date()

Either = TypeVar("Either", KlaviyoDestination, KlaviyoBulkDestination)


def account(revision: str = NESTED, **changes: Any) -> KlaviyoAccount:
    """Return an account."""
    given = {"api_key": KEY, "base_url": "https://a.klaviyo.com", "today": TODAY, **changes}
    return KlaviyoAccount.create(revision=revision, **given)


def _made(cls: type[Either], of: KlaviyoAccount, said: list[str] | None) -> Either:
    ids = itertools.count(1)
    unheard: list[str] = []
    warn = (unheard if said is None else said).append
    return cls(of, clock=NOW.timestamp, new_id=lambda: f"new-{next(ids)}", warn=warn)


def single(revision: str = NESTED, said: list[str] | None = None, **changes: Any) -> KlaviyoDestination:
    """Return a destination for one event a request."""
    return _made(KlaviyoDestination, account(revision, **changes), said)


def bulk(revision: str = NESTED, said: list[str] | None = None, **changes: Any) -> KlaviyoBulkDestination:
    """Return a destination for many events a request."""
    return _made(KlaviyoBulkDestination, account(revision, **changes), said)


def attributes(body: bytes) -> dict[str, Any]:
    """Return what a body of one event says of it."""
    content = json.loads(body)["data"]
    assert content.keys() == {"type", "attributes"}
    assert content["type"] == "event"
    found: dict[str, Any] = content["attributes"]
    return found


def sent(revision: str = NESTED, metric: str = "Viewed Product", **arguments: Any) -> dict[str, Any]:
    """Encode an event and return what goes out of it."""
    arguments = {"profile": {"external_id": "1"} if revision > "2023-07" else {"email": "a@b.c"}, **arguments}
    return attributes(single(revision).encode(metric, **arguments).body)
