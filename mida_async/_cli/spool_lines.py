"""Records of a spool as lines that ``mida load`` takes, and as all that there is to know about them."""

from __future__ import annotations

import datetime as dt
import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..spools.base import DeadRecord, SpooledRecord

_Object: TypeAlias = dict[str, Any]

_IDENTIFIERS: Final = MappingProxyType({"email": "email", "external_id": "id", "anonymous_id": "mida_uuid"})
_FLAT_IDENTIFIERS: Final = MappingProxyType({"$email": "email", "$id": "id"})


def line_of(record: SpooledRecord) -> _Object | None:
    """
    Return a record as an object that ``mida load`` takes; None where that has no word for it.

    What it passes over is there as well, under the names that the service has: the time of an event of Klaviyo, its
    value, and what else its profile says.

    Args:
        record: The record.
    """
    reader = _READERS.get(record.destination)
    try:
        return None if reader is None else reader(json.loads(record.body), record)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _from_mida(body: _Object, record: SpooledRecord) -> _Object:
    return body if record.unique_id is None else {**body, "unique_id": record.unique_id}


def _from_nested(body: _Object, _record: SpooledRecord) -> _Object:
    event: _Object = body["data"]["attributes"]
    return _nested(event.pop("profile")["data"]["attributes"], event)


def _from_bulk(body: list[_Object], _record: SpooledRecord) -> _Object:
    profile, event = body
    return _nested(profile["attributes"], event["attributes"])


def _nested(profile: _Object, event: _Object) -> _Object:
    return _event(event.pop("metric")["data"]["attributes"]["name"], profile, event, _IDENTIFIERS)


def _from_flat(body: _Object, _record: SpooledRecord) -> _Object:
    event: _Object = body["data"]["attributes"]
    return _event(event.pop("metric")["name"], event.pop("profile"), event, _FLAT_IDENTIFIERS)


def _event(name: str, profile: _Object, event: _Object, identifiers: Mapping[str, str]) -> _Object:
    named = {mine: profile.pop(theirs) for theirs, mine in identifiers.items() if theirs in profile}
    rest = {"profile": profile} if profile else {}
    return {"event_name": name, **named, **event, **rest}


_READERS: Final[Mapping[str, Callable[[Any, SpooledRecord], _Object]]] = MappingProxyType(
    {
        "mida:events.record": _from_mida,
        "klaviyo:events": _from_nested,
        "klaviyo:events.bulk": _from_bulk,
        "klaviyo:events.flat": _from_flat,
    }
)


def moment(seconds: float) -> str:
    """
    Write a time.

    Args:
        seconds: Since the epoch.
    """
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="seconds")


def everything_of(dead: DeadRecord) -> _Object:
    """
    Return all that is known of a dead letter.

    Args:
        dead: The dead letter.
    """
    record = dead.record
    return {
        "key": record.key,
        "settled_at": moment(dead.settled_at),
        "reason": dead.reason,
        "destination": record.destination,
        "event_name": record.name,
        "identities": list(record.identities),
        "unique_id": record.unique_id,
        "accepted_at": moment(record.accepted_at),
        "attempts": record.attempts,
        "may_be_applied": may_be_applied(dead),
        "body": _decoded(record.body),
    }


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "backslashreplace")


def may_be_applied(dead: DeadRecord) -> bool:
    """
    Say whether sending a dead letter again may be once too often.

    Args:
        dead: The dead letter. Klaviyo knows an event that it gets twice.
    """
    uncertain = dead.record.ambiguous and not dead.record.destination.startswith("klaviyo:")
    return uncertain or dead.reason.startswith("ambiguous:")
