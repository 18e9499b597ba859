"""Calls to the emulator's state machine, without a socket."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from mida_async.testing import Emulator, ReceivedRequest
from mida_async.testing._emulator.records import Headers

if TYPE_CHECKING:
    from collections.abc import Mapping

TODAY = dt.datetime(2024, 1, 15, 10, 30, tzinfo=dt.UTC).timestamp()


class Caller:
    """Calls one project of an emulator, and decodes what it answers."""

    def __init__(self, emulator: Emulator | None = None) -> None:
        self.emulator = emulator or Emulator(auto_visitors=True)
        self.project = self.emulator.project_key
        self.headers: Mapping[str, str] = {"Authorization": f"Bearer {self.emulator.api_key}"}
        self.today = TODAY
        self.now = 0.0
        self.reply_headers: Mapping[str, str] = {}

    def raw(self, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, Any]]:
        """Send bytes to any path."""
        path, _, query = path.partition("?")
        request = ReceivedRequest(
            method=method, path=path, query_string=query, headers=Headers(self.headers), body=body
        )
        reply = self.emulator.state.handle(request, now=self.now, today=self.today)
        self.reply_headers = reply.headers
        return reply.status, json.loads(reply.body)

    def __call__(self, call: str, **fields: object) -> tuple[int, dict[str, Any]]:
        """Send JSON to a path of the project, such as ``GET events``."""
        method, _, path = call.partition(" ")
        body = b"" if method in {"GET", "DELETE"} else json.dumps(fields).encode()
        return self.raw(method, f"/v2/project/{self.project}/{path}", body)

    def done(self, call: str, **fields: object) -> dict[str, Any]:
        """Send what is expected to succeed, and return the answer without the envelope."""
        status, answer = self(call, **fields)
        assert (status, answer.pop("success", None)) == (200, True), answer
        return answer

    def refused(self, call: str, **fields: object) -> tuple[int, str]:
        """Send what is expected to be refused, and return the status and the text."""
        status, answer = self(call, **fields)
        assert list(answer) == ["error"]
        return status, answer["error"]

    def names(self, query: str = "") -> list[str]:
        """Return the names that the list of events shows."""
        return [row["event_text"] for row in self.done(f"GET events{query}")["events"]]
