"""``mida load --to klaviyo``, and what the emulator's command says of Klaviyo."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
import uuid
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from cli_caller import call, serving, spawn
from klaviyo_caller import klaviyo_events

from mida_async import RateLimit
from mida_async._cli import emulator
from mida_async._cli.connection import Connection
from mida_async._cli.records import Event
from mida_async._cli.resume import StateFile
from mida_async._cli.sample import sample_events
from mida_async._cli.source import Identity
from mida_async._cli.target import target_for
from mida_async.testing import Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mida_async.testing import Emulator

HOW = pytest.mark.parametrize("bulk", [False, True], ids=["single", "bulk"])

_CONNECTION = Connection(project_key=None, region=None, base_url=None, api_key_file=None, allow_insecure_http=False)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_API_KEY", "secret-key")


def _file(path: Path, count: int) -> Path:
    file = path / "events.jsonl"
    file.write_text("".join(json.dumps(event) + "\n" for event in sample_events(count)))
    return file


def _command(server: Emulator, *arguments: object, bulk: bool) -> list[object]:
    there = ["--to", "klaviyo", "--base-url", server.base_url, "--rate", "unlimited"]
    return ["load", *arguments, *there, *(["--bulk"] if bulk else [])]


def _load(
    server: Emulator, *arguments: object, bulk: bool = False, stdin: str | None = None
) -> tuple[int, dict[str, Any], str]:
    result = call(*_command(server, *arguments, bulk=bulk), "--json", stdin=stdin)
    return result.exit_code, json.loads(result.stdout or "{}"), result.stderr


def _steps(server: Emulator) -> dict[str, list[int]]:
    found: defaultdict[str, list[int]] = defaultdict(list)
    for event in klaviyo_events(server.recorded):
        found[event.id or ""].append((event.properties or {})["step"])
    return found


def _is_there_once_and_in_order(server: Emulator, count: int) -> bool:
    wanted: defaultdict[str, list[int]] = defaultdict(list)
    for event in sample_events(count):
        wanted[event["id"]].append(event["properties"]["step"])
    return _steps(server) == wanted


@HOW
def test_all_events_arrive_in_order(tmp_path: Path, *, bulk: bool) -> None:
    """R2: Each profile's events are applied in the order of the file, in spite of a failure on the way."""
    with serving() as server:
        server.script(Status(503))
        code, report, errors = _load(server, _file(tmp_path, 700), bulk=bulk)
        assert _is_there_once_and_in_order(server, 700)
        assert {request.path for request in server.requests} == {
            "/api/event-bulk-create-jobs" if bulk else "/api/events"
        }
    assert (code, report["delivered"], report["complete"], errors) == (0, 700, True, "")
    assert report["may_be_duplicate"] == 0
    assert (report["requests"] < 10) if bulk else (report["requests"] == 701)


@HOW
def test_a_line_becomes_metric_profile_and_event(*, bulk: bool) -> None:
    """What the line does not have is not sent, nor is what has no place."""
    properties = {"plan": "team", "seats": 5}
    given = {"event_name": "Bought", "email": "a@shop.dev", "id": "u", "mida_uuid": "m", "unique_id": "own"}
    lines = [
        json.dumps({**given, "properties": properties, "occurred_at": "2015", "time": "2015"}),
        json.dumps({"event_name": "Left", "mida_uuid": "m2", "email": None}),
    ]
    with serving() as server:
        code, _, _ = _load(server, "-", stdin="\n".join(lines), bulk=bulk)
        first, second = klaviyo_events(server.recorded)
        assert all(b"2015" not in request.body for request in server.requests)
    assert code == 0
    assert (first.event_name, first.email, first.id, first.unique_id) == ("Bought", "a@shop.dev", "u", "own")
    assert first.properties == properties
    assert json.loads(first.profile_json)["anonymous_id"] == "m"
    assert (second.event_name, second.email, second.id) == ("Left", None, None)
    assert len(second.unique_id) == 36


def _killed(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.01)
    process.kill()
    process.communicate()


def test_a_load_that_was_killed_goes_on_and_nothing_is_there_twice(tmp_path: Path) -> None:
    """Although what ended after the last save is sent again: it has the same ``unique_id``."""
    file, state = _file(tmp_path, 600), tmp_path / "state"
    with serving(latency=0.01) as server:
        process = spawn(*_command(server, file, "--resume", state, "--concurrency", 4, bulk=False))
        _killed(process, lambda: state.exists() and len(server.recorded) > 50)
        saved = json.loads(state.read_text())["delivered"]
        applied = len(server.recorded)
        code, report, _ = _load(server, file, "--resume", state)
        assert (code, report["total_delivered"]) == (0, 600)
        assert report["delivered"] == 600 - saved
        assert _is_there_once_and_in_order(server, 600)
        assert applied - saved <= server.klaviyo.duplicates <= applied - saved + 4


@HOW
def test_marks_that_are_behind_apply_nothing_twice(tmp_path: Path, *, bulk: bool) -> None:
    """An older copy of the state sends what it does not know of, and the service drops all of it."""
    file, state = _file(tmp_path, 200), tmp_path / "state"
    text = file.read_text()
    with serving() as server:
        assert _load(server, "-", "--resume", state, stdin=text[:1000], bulk=bulk)[0] == 1  # its last line is cut
        older = json.loads(state.read_text())
        before = len(server.recorded)
        older |= {"next_line": 1, "delivered": 0, "failed": {}, "complete": False}
        for _ in range(2):
            state.write_text(json.dumps(older))
            code, report, _ = _load(server, "-", "--resume", state, stdin=text, bulk=not bulk)
            assert (code, report["delivered"]) == (0, 200)
            assert _is_there_once_and_in_order(server, 200)
        assert server.klaviyo.duplicates == before + 200
        state.unlink()
        assert _load(server, "-", "--resume", state, stdin=text, bulk=bulk)[0] == 0
        assert len(server.recorded) == 400


def test_a_line_that_is_about_nobody_has_failed() -> None:
    """The message names the fields of the file."""
    lines = '{"event_name": "a"}\n{"event_name": "a", "id": 5}\n{"event_name": "a", "id": "u"}\n'
    with serving() as server:
        code, report, errors = _load(server, "-", stdin=lines)
    assert (code, report["delivered"], report["failed_by_reason"]) == (1, 1, {"invalid event": 2})
    nobody, wrong = errors.splitlines()
    assert nobody == "line 1: no identifier: Klaviyo needs email, id or mida_uuid"
    assert wrong.startswith("line 2: profile.external_id is 5")


def test_the_ids_of_a_load_are_its_own() -> None:
    """R5: By line and by load; a line's own comes first, and without a state file the client makes them."""
    target = target_for("klaviyo", _CONNECTION, bulk=False, revision=None)
    loads = uuid.uuid4(), uuid.uuid4()
    plain = [Event(number, {"event_name": "a", "id": "u"}) for number in (1, 2)]
    made = [target.arguments(event, load)["unique_id"] for load in loads for event in plain]
    assert len(set(made)) == 4
    assert made == [target.arguments(event, load)["unique_id"] for load in loads for event in plain]
    own = Event(1, {"event_name": "a", "id": "u", "unique_id": "own"})
    assert target.arguments(own, loads[0])["unique_id"] == "own"
    assert target.arguments(plain[0], None) == {"metric": "a", "profile": {"external_id": "u"}}


def test_an_older_state_file_gets_a_number_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    """The first version of it knew neither that nor other targets than projects."""
    source = Identity(path="-", format="jsonl")
    path = tmp_path / "state"
    marks = {"next_line": 3, "open": [], "delivered": 2, "failed": {}, "complete": False}
    path.write_text(json.dumps({"mida_load": 1, "input": attrs.asdict(source), "project_key": "demo", **marks}))
    state = StateFile(path, source=source, target="project demo")
    found = state.load()
    assert (found.next_line, found.delivered) == (3, 2)
    state.write(state.render(found))
    assert state.load().run_id == found.run_id


def test_a_state_belongs_to_one_destination(tmp_path: Path) -> None:
    """R17: It names it, without the key; neither Mida nor another server can take it for its own."""
    file, state = _file(tmp_path, 5), tmp_path / "state"
    with serving() as server:
        assert _load(server, file, "--resume", state)[0] == 0
        assert "secret" not in state.read_text()
        again = call(*_command(server, file, "--resume", state, bulk=True))
        assert (again.exit_code, again.stdout.startswith("nothing to do")) == (0, True)
        other = call("load", file, "--resume", state, "--to", "klaviyo")
        mida = call("load", file, "--resume", state)
        assert f"a load into Klaviyo at {server.base_url}, not into Klaviyo at https://a.klaviyo.com" in other.stderr
        assert f"a load into Klaviyo at {server.base_url}, not into project demo" in mida.stderr
        state.unlink()
        assert call("load", file, "--resume", state).exit_code == 0
        klaviyo = call(*_command(server, file, "--resume", state, bulk=False))
        assert "a load into project demo, not into Klaviyo at" in klaviyo.stderr
    assert {other.exit_code, mida.exit_code, klaviyo.exit_code} == {2}


@HOW
def test_a_wrong_key_is_told_once(tmp_path: Path, *, bulk: bool) -> None:
    """R17: In one line, which shows no key; with a state nothing has failed, and the right key then sends all."""
    file, state, key = _file(tmp_path, 300), tmp_path / "state", tmp_path / "key"
    key.write_text("mistyped-secret")
    with serving() as server:
        arguments = (file, "--api-key-file", key, "--close-timeout", 0, "--concurrency", 2)
        code, report, errors = _load(server, *arguments, "--resume", state, bulk=bulk)
        assert (code, report["delivered"], report["failed"], errors) == (1, 0, 0, "")
        assert report["problem"].startswith("stopped, because no line can be delivered: HTTP 401")
        assert "secret" not in json.dumps(report) + state.read_text()
        assert "\n" not in report["problem"]
        code, report, errors = _load(server, *arguments, bulk=bulk)
        assert (code, report["delivered"], errors.count("HTTP 401")) == (1, 0, 1)
        assert _load(server, file, "--resume", state, bulk=bulk)[0] == 0
        assert _is_there_once_and_in_order(server, 300)


def _says(arguments: list[str], message: str) -> None:
    result = call("load", "-", *arguments, stdin="")
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert message in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "klaviyo", "--project-key", "demo"], "--project-key is not for --to klaviyo"),
        (["--to", "klaviyo", "--region", "us"], "--region is not for --to klaviyo"),
        (["--bulk"], "--bulk is for --to klaviyo alone"),
        (["--to", "mida", "--revision", "2026-10-15"], "--revision is for --to klaviyo alone"),
        (["--to", "elsewhere"], "'elsewhere' is not one of"),
        (["--to", "klaviyo", "--revision", "soon"], "revision is 'soon'"),
        (["--to", "klaviyo", "--base-url", "http://example.com"], "base_url must be https:// for another machine"),
        (["--to", "klaviyo", "--base-url", "https://x/api"], "leave the /api at its end out"),
        (["--to", "klaviyo", "--base-url", ""], "it is empty"),
    ],
)
def test_a_wrong_call_is_one_line(arguments: list[str], message: str) -> None:
    """What is for one destination alone is refused for the other; nothing is sent."""
    _says(arguments, message)


def test_without_a_key_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mida's own does not count."""
    monkeypatch.delenv("KLAVIYO_API_KEY")
    monkeypatch.setenv("MIDA_API_KEY", "secret-key")
    _says(["--to", "klaviyo"], "KLAVIYO_API_KEY")


def test_what_the_service_drops_or_no_longer_serves_is_a_warning() -> None:
    """One line each, however many lines of the file it is about."""
    line = '{"event_name": "a", "email": "a@example.com"}\n'
    anonymous = '{"event_name": "a", "mida_uuid": "m"}\n'
    with serving() as server:
        code, report, errors = _load(server, "-", "--revision", "2023-01-24", stdin=line * 3 + anonymous)
        assert server.klaviyo.discarded == 3
        assert {request.headers["revision"] for request in server.requests} == {"2023-01-24"}
    assert (code, report["failed_by_reason"]) == (1, {"invalid event": 1})
    retired, dropped, failed = errors.splitlines()
    assert retired.startswith("warning: Klaviyo's revision 2023-01-24 was retired")
    assert dropped.startswith("warning: Klaviyo answers 202")
    assert failed.startswith("line 4: ")
    refused = call("load", "-", "--to", "klaviyo", "--bulk", "--revision", "2023-01-24", stdin="")
    assert refused.exit_code == 2
    assert "must be 2024-05-15 or later where events are sent in bulk" in refused.stderr.splitlines()[-1]


def test_the_limits_are_those_of_the_endpoint_unless_they_are_given(tmp_path: Path) -> None:
    """R8: In bulk they count requests; a server that keeps the published ones refuses nothing."""
    targets = [target_for("klaviyo", _CONNECTION, bulk=bulk, revision=None) for bulk in (False, True)]
    assert [target.client(target.buffer)._settings.rate_limits for target in targets] == [
        (RateLimit(350, per=1), RateLimit(3500, per=60)),
        (RateLimit(10, per=1), RateLimit(150, per=60)),
    ]
    given = attrs.evolve(targets[1].buffer, rate_limits=(RateLimit(5, per=1),))
    assert targets[1].client(given)._settings.rate_limits == (RateLimit(5, per=1),)
    with serving(klaviyo_windows=True) as server:
        command = _command(server, _file(tmp_path, 300), bulk=True)
        result = call(*(word for word in command if word not in {"--rate", "unlimited"}))
        assert result.exit_code == 0
        assert server.statistics().refused == 0
    assert "delivered  300 of 300 lines" in result.stdout


def test_what_was_sent_again_is_counted_by_events(tmp_path: Path) -> None:
    """A request that fails counts once as a request, and once for each event in it."""
    with serving() as server:
        server.script(Status(503))
        result = call(*_command(server, _file(tmp_path, 30), bulk=True))
    assert "requests   2 (0 x 429)" in result.stdout
    assert "sent again 30 events" in result.stdout


def test_the_emulator_keeps_the_limits_of_klaviyo_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """And tells at the end what was accepted and dropped."""
    seen: list[Emulator] = []

    def greet(server: Emulator) -> str:
        seen.append(server)
        server.klaviyo.duplicates = 2
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
        return "serving"

    monkeypatch.setattr(emulator, "_greeting", greet)
    for options in ([], ["--klaviyo-windows"]):
        out = call("emulator", "--port", "0", *options).stdout
        assert out.splitlines()[-1] == "in all: 0 requests, 0 recorded, 0 x 429, 2 known already"
    assert [server.klaviyo_windows for server in seen] == [False, True]
