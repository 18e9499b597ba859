"""Calls to Klaviyo's endpoints of the emulator's state machine, without a socket, and the bodies that they take."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from mida_async.testing import Emulator, ReceivedRequest, RecordedKlaviyoEvent
from mida_async.testing._emulator.records import Headers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mida_async.testing._emulator.wire import Reply

TODAY = dt.datetime(2026, 11, 20, 12, 30, 15, 678_900, tzinfo=dt.UTC)
SINGLE = "/api/events"
BULK = "/api/event-bulk-create-jobs"
EMAIL = "ada@klaviyo-demo.com"
NEWEST = "2026-10-15"
OLDEST = "2023-01-24"


def metric(name: object = "Bought") -> dict[str, Any]:
    """Return a metric as a resource."""
    return {"data": {"type": "metric", "attributes": {"name": name}}}


def profile(**fields: object) -> dict[str, Any]:
    """Return a profile as a resource; with an address if nothing else is given."""
    return {"data": {"type": "profile", "attributes": fields or {"email": EMAIL}}}


def event(**attributes: object) -> dict[str, Any]:
    """Return an event as a resource, of which only *attributes* are not the smallest possible."""
    return {"type": "event", "attributes": {"metric": metric(), "properties": {}, **attributes}}


def nested(**attributes: object) -> dict[str, Any]:
    """Return a body of the revisions from 2023-07-15 on."""
    return {"data": event(**{"profile": profile(), **attributes})}


def flat(**attributes: object) -> dict[str, Any]:
    """Return a body of the revisions until 2023-06-15."""
    return {"data": event(**{"profile": {"$email": EMAIL}, "metric": {"name": "Bought"}, **attributes})}


def group(*events: object, **fields: object) -> dict[str, Any]:
    """Return the events of one profile, for a bulk request."""
    return {
        "type": "event-bulk-create",
        "attributes": {"profile": profile(**fields), "events": {"data": list(events)}},
    }


def job(*groups: object) -> dict[str, Any]:
    """Return the body of a bulk request."""
    return {"data": {"type": "event-bulk-create-job", "attributes": {"events-bulk-create": {"data": list(groups)}}}}


class Klaviyo:
    """Calls the account of an emulator, and decodes what it answers."""

    def __init__(self, emulator: Emulator | None = None, revision: str = NEWEST) -> None:
        self.emulator = emulator or Emulator()
        self.headers: dict[str, str] = {
            "Authorization": f"Klaviyo-API-Key {self.emulator.api_key}",
            "revision": revision,
            "Content-Type": "application/vnd.api+json",
        }
        self.today = TODAY
        self.now = 0.0
        self.reply_headers: Mapping[str, str] = {}

    def raw(self, method: str, path: str, body: bytes = b"") -> Reply:
        """Send bytes to any path."""
        request = ReceivedRequest(method=method, path=path, headers=Headers(self.headers), body=body)
        reply = self.emulator.state.handle(request, now=self.now, today=self.today.timestamp())
        self.reply_headers = reply.headers
        return reply

    def post(self, body: object, path: str = SINGLE) -> Reply:
        """Send JSON."""
        return self.raw("POST", path, json.dumps(body).encode())

    def done(self, *bodies: object, path: str = SINGLE) -> None:
        """Send what is expected to be accepted."""
        for body in bodies:
            reply = self.post(body, path)
            assert (reply.status, reply.body) == (202, b""), reply

    def error(self, body: object, path: str = SINGLE) -> dict[str, Any]:
        """Send what is expected to be refused, and return the error."""
        return error_of(self.post(body, path))

    def pointer(self, body: object, path: str = SINGLE) -> str:
        """Send what is expected to be an invalid body, and return the pointer to what is wrong."""
        error = self.error(body, path)
        assert (error["status"], error["code"], error["title"]) == (400, "invalid", "Invalid input.")
        pointer: str = error["source"]["pointer"]
        return pointer

    @property
    def recorded(self) -> list[RecordedKlaviyoEvent]:
        """What was applied."""
        return list(klaviyo_events(self.emulator.recorded))


def klaviyo_events(recorded: Iterable[object]) -> Iterable[RecordedKlaviyoEvent]:
    """Yield *recorded*, all of which are events of Klaviyo."""
    for each in recorded:
        assert isinstance(each, RecordedKlaviyoEvent)
        yield each


def error_of(reply: Reply) -> dict[str, Any]:
    """Return the one error of an answer, which must have the published form."""
    assert reply.headers["Content-Type"] == "application/vnd.api+json"
    (error,) = json.loads(reply.body)["errors"]
    assert list(error) == ["id", "status", "code", "title", "detail", "source", "meta"]
    assert error["status"] == reply.status
    return dict(error)
