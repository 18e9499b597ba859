"""``mida``: its errors in one line, the direct calls, the demo and the emulator."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from cli_caller import ROOT, call, serving, spawn

from mida_async import BufferSettings, RateLimit, __version__
from mida_async import __main__ as entry
from mida_async._cli import app, demo, emulator, rates
from mida_async._cli.connection import Connection
from mida_async._cli.errors import Failure, _silence_stdout, as_failure
from mida_async._cli.output import print_rows, show
from mida_async._cli.tally import Tally
from mida_async._cli.values import DayType, JSONType, QueryType
from mida_async._sentinels import UNSET, UnsetType
from mida_async.models import GoalType, Model
from mida_async.models.base import TEXT_OF
from mida_async.testing import ReceivedRequest, RecordedEvent, Status
from mida_async.testing.socket_peer import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mida_async.testing import Emulator


def _one_line(*arguments: object) -> tuple[int, str]:
    result = call(*arguments)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    return result.exit_code, result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lod"], "No such command 'lod'"),
        (["load"], "mida load: Missing argument 'FILE|-' (see mida load --help)"),
        (["load", "/nowhere"], "'/nowhere' does not exist"),
        (["load", "/"], "'/' is a directory"),
        (["load", "-", "--format", "xml"], "'xml' is not one of"),
        (["load", "-", "--rate", "fast"], "rate 'fast' is not understood; write it as 350/s"),
        (["load", "-", "--rate", "0/s"], "RateLimit.limit is 0"),
        (["load", "-", "--rate", "1/s", "--rate", "unlimited"], "--rate unlimited cannot stand beside another --rate"),
        (["load", "-", "--concurrency", "0"], "0 is not in the range x>=1"),
        (["load", "-", "--api-key", "secret"], "No such option"),
        (["load", "-", "--dead-letter", "x", "--resume", "x"], "must be three different files"),
        (["load", __file__, "--dead-letter", __file__], "must be three different files"),
        (["load", "-"], "MIDA_REGION"),
        (["load", "-", "--region", "mars"], "mars"),
        (["load", "-", "--region", "us"], "MIDA_PROJECT_KEY"),
        (["load", "-", "--base-url", "http://example.com", "--project-key", "k"], "http"),
        (["load", __file__, "--dead-letter", "/nowhere/x", "--base-url", "http://[::1]"], "MIDA_PROJECT_KEY"),
        (["events", "get", "x"], "'x' is not a valid integer"),
        (["events", "list", "--start-date", "soon"], "'soon' is not a date such as 2026-08-22"),
        (["events", "record", "a", "--properties", "{"], "it is not JSON"),
        (["events", "record", "a", "--properties", "1"], "it is not a JSON object"),
        (["events", "record", "a", "--properties", '{"n": NaN}'], "NaN is not JSON"),
        (["events", "record", "a", "--properties", "@/nowhere"], "/nowhere: No such file or directory"),
        (["events", "record", "a", "--properties", "@/"], "/: Is a directory"),
        (["events", "record", "a", "--properties", f"@{__file__}"], f"{__file__} is not JSON"),
        (["events", "record", "a", "--properties", f"@{sys.executable}"], "can't decode byte"),
        (["personalization", "add-accounts", "1", '{"name": "a"}'], "it is not a JSON array"),
        (["projects", "update-configuration", "--confidence-level", "x"], "'x' is not a number"),
        (["experiments", "update", "1", "--tags", "a", "--empty", "tags"], "--empty tags contradicts --tags"),
        (["experiments", "result", "1", "--api-key", "secret"], "No such option"),
        (["experiments", "create", "--variants", "@"], "@ stands before the name of a file"),
        (["events", "list", "--all", "--offset", "9"], "--offset cannot stand beside it"),
        (["events", "list", "--project-key", ""], "'--project-key': it is empty"),
        (["events", "list", "--region", ""], "'--region': it is empty"),
        (["events", "list", "--base-url", ""], "'--base-url': it is empty"),
        (["request", "GET", "events", "--query", "limit"], "'limit' is not NAME=VALUE"),
        (["request", "GET", "events", "--query", "=1"], "'=1' is not NAME=VALUE"),
        (["request", "GET", "events", "--json-body", "x"], "it is not JSON"),
        (["request", "HEAD", "events"], "method is 'HEAD'"),
        (["request", "GET", "../x"], "path is '../x'"),
        (["events", "update", "1", "--null", "url", "--url", "x"], "--null url contradicts --url"),
        (["goals", "create", "--goal-name", "x"], "Missing option '--goal-type'"),
        (["emulator", "--port", "99999"], "99999 is not in the range"),
        (["emulator", "--rate-model", "x"], "'x' is not one of"),
        (["demo", "--events", "0"], "0 is not in the range"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_two(arguments: list[str], message: str) -> None:
    """It says what is wrong; nothing is sent and nothing is made."""
    code, text = _one_line(*arguments)
    assert code == 2
    assert message in text


def test_without_a_command_the_help_is_shown() -> None:
    """As an error, because nothing was done."""
    for arguments in ([], ["events"]):
        result = call(*arguments)
        assert result.exit_code == 2
        assert "Usage: mida" in result.stderr
    assert call("--help").exit_code == 0
    assert call("--version").stdout == f"mida, version {__version__}\n"


def test_the_command_runs_as_a_module() -> None:
    """And needs no terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "mida_async", "goals", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "Create a goal." in done.stdout


def test_without_the_extra_the_command_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line."""
    monkeypatch.setattr(entry, "find_spec", lambda _name: None)
    with pytest.raises(SystemExit) as caught:
        entry.main()
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith("install mida-async[cli]\n")


def test_the_entry_runs_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the extra is installed."""
    monkeypatch.setattr("sys.argv", ["mida", "--help"])
    with pytest.raises(SystemExit) as caught:
        entry.main()
    assert caught.value.code == 0
    assert "load" in capsys.readouterr().out


def test_goals_are_created_listed_changed_and_deleted() -> None:
    """Tables for people, JSON for machines."""
    with serving():
        made = call(
            "goals", "create", "--goal-name", "[red]\x1b[2J", "--goal-type", "event", "--goal-value", "x", "--json"
        )
        assert made.exit_code == 0, made.stderr
        number = json.loads(made.stdout)["goal_profile_id"]
        listed = call("goals", "list")
        assert r"[red]\x1b[2J" in listed.stdout
        assert listed.stdout.startswith("goal_profile_id")
        assert call("goals", "update", number, "--goal-name", "é", "--null", "element-url", "--yes").exit_code == 0
        shown = json.loads(call("goals", "get", number, "--json").stdout)
        assert (shown["goal_name"], shown["goal_type"], shown["element_url"]) == ("é", "event", None)
        assert ["goal_name", "é"] in [line.split() for line in call("goals", "get", number).stdout.splitlines()]
        refused = call("goals", "delete", number, stdin="y\n")
        assert refused.exit_code == 2
        assert "Live experiments may use it" in refused.stderr
        assert call("goals", "delete", number, "--yes").exit_code == 0
        assert call("goals", "list").stdout.strip() == "none"


def test_events_are_recorded_and_all_pages_are_listed() -> None:
    """``--all`` gives the same shape as one page."""
    with serving() as server:
        for n in range(3):
            properties = json.dumps({"n": n})
            done = call("events", "record", "viewed", "--id", "u", "--properties", properties)
            assert done.exit_code == 0, done.stderr
        assert [event.properties for event in server.recorded] == [{"n": 0}, {"n": 1}, {"n": 2}]
        one = json.loads(call("events", "list", "--limit", "2", "--start-date", "2020-01-01", "--json").stdout)
        everything = json.loads(call("events", "list", "--limit", "2", "--all", "--json").stdout)
        unpaged = json.loads(call("events", "list", "--all", "--json").stdout)
    assert [row["event_property"] for row in one["events"]] == [{"n": 0}, {"n": 1}]
    assert [row["event_property"] for row in everything["events"]] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert everything["count"] == unpaged["count"] == 3
    assert one["events"][0]["created_at"].startswith("20")


def test_events_are_defined_changed_and_deleted() -> None:
    """The data of a definition may be text or an object."""
    with serving():
        made = json.loads(call("events", "create", "signup", "--event-property", '"free text"', "--json").stdout)
        number = made["event_id"]
        changed = call("events", "update", number, "--event-property", '{"a": 1}', "--status", "1")
        assert changed.exit_code == 0, changed.stderr
        assert json.loads(call("events", "get", number, "--json").stdout)["event_property"] == {"a": 1}
        assert call("events", "delete", number, "--yes").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["goals", "get", "999"], 1, "HTTP 404"),
        (["goals", "get", "0"], 2, "0"),
        (["events", "record", "a"], 2, "identifier"),
        (["events", "list", "--api-key-file", "KEY"], 1, "HTTP 401"),
    ],
)
def test_a_refusal_is_one_line(tmp_path: Path, arguments: list[str], code: int, message: str) -> None:
    """R17: Exit code 2 where nothing was sent, 1 where the server refused; the key is never shown."""
    key = tmp_path / "key"
    key.write_text("another-secret\n")
    with serving():
        found, text = _one_line(*(str(key) if argument == "KEY" else argument for argument in arguments))
        assert found == code
        assert message in text
        assert "secret" not in text
        debug = call("--debug", *(str(key) if argument == "KEY" else argument for argument in arguments))
    assert debug.exit_code == code
    assert "Traceback" in debug.stderr
    assert "secret" not in debug.stderr


@pytest.mark.parametrize(("content", "problem"), [(b"key\xff", "is not UTF-8"), (b" \n", "is empty")])
def test_a_key_file_that_holds_no_key_is_a_wrong_call(tmp_path: Path, content: bytes, problem: str) -> None:
    """R17: Nothing is sent, and no byte of it is shown."""
    file = tmp_path / "key"
    file.write_bytes(content)
    for debug in ([], ["--debug"]):
        result = call(*debug, "events", "list", "--base-url", "http://[::1]:1", "--api-key-file", file)
        assert result.exit_code == 2
        assert result.stderr == f"mida: {file} {problem}; it must hold the API key and nothing else\n"


def test_a_key_file_that_goes_away_is_a_wrong_call(tmp_path: Path) -> None:
    """Between the look at the arguments and the call."""
    connection = Connection(
        project_key="p", region="us", base_url=None, api_key_file=tmp_path / "key", allow_insecure_http=False
    )
    with pytest.raises(Failure, match="key: No such file or directory") as caught:
        connection.check()
    assert caught.value.code == 2


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_stream_that_has_not_all_characters_shows_escapes(encoding: str) -> None:
    """JSON stays JSON, and a table is no traceback."""
    with serving() as server:
        server.add_event("Zoë ☃ 😀")
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        command = [sys.executable, "-m", "mida_async", "events", "list"]
        table, machine = (
            subprocess.run([*command, *more], cwd=ROOT, env=environment, capture_output=True, check=True)  # noqa: S603
            for more in ([], ["--json"])
        )
    assert r"\u2603 \U0001f600" in table.stdout.decode(encoding)
    assert json.loads(machine.stdout)["events"][0]["event_text"] == "Zoë ☃ 😀"


@pytest.mark.parametrize("arguments", [["goals", "list"], ["goals", "list", "--json"], ["--version"]])
def test_a_stdout_that_is_closed_is_no_error(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    """As with ``mida ... >&-``, where Python has None for it."""
    with serving():
        monkeypatch.setattr("sys.stdout", None)
        with pytest.raises(SystemExit) as caught:
            app.mida(arguments, prog_name="mida")
    assert caught.value.code == 0


def test_help_that_cannot_be_written_is_one_line() -> None:
    """A full disk, say."""
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        command = [sys.executable, "-m", "mida_async", "--help"]
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603
    assert (done.returncode, done.stderr) == (1, "mida: No space left on device\n")


def test_an_error_of_the_system_names_its_file() -> None:
    """And without one it is the bare words."""
    assert as_failure(OSError(2, "No such file", "x")).message == "x: No such file"
    assert as_failure(OSError("strange")).message == "strange"


def test_ctrl_c_and_a_closed_pipe_are_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback for either."""

    def raising(error: type[BaseException]) -> Callable[..., None]:
        def serve(*_: object) -> None:
            raise error

        return serve

    for error, code in ((KeyboardInterrupt, 130), (BrokenPipeError, 1)):
        monkeypatch.setattr("mida_async._cli.demo._demonstrate", raising(error))
        result = call("demo")
        assert result.exit_code == code
        assert "Traceback" not in result.stderr


def test_what_is_left_for_a_reader_that_went_away_goes_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be an error once more when the interpreter ends."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        os.close(reader)
        monkeypatch.setattr("sys.stdout", stream)
        stream.write("left")
        _silence_stdout()
        stream.flush()


@pytest.mark.parametrize(("count", "machine"), [(2000, []), (2000, ["--json"]), (1, ["--json"])])
def test_a_reader_that_goes_away_is_no_error_worth_a_word(count: int, machine: list[str]) -> None:
    """As with ``mida ... | head``."""
    with serving() as server:
        for n in range(count):
            server.add_event(f"event {n}" + "x" * 100)
        process = spawn("events", "list", "--all", *machine)
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        assert process.communicate(timeout=20)[1] == ""
        assert process.returncode == 1


def test_a_table_without_rows_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Columns that are empty in all rows are left out; values that are not text are JSON."""
    print_rows([])
    print_rows([{"a": 1, "b": None, "c": {"x": [True]}}, {"a": "y", "d": None}])
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["none"],
        ["a", "c"],
        ["1", '{"x":[true]}'],
        ["y"],
    ]


def test_a_result_is_shown_by_its_shape(capsys: pytest.CaptureFixture[str]) -> None:
    """Fields one a line, the lists of objects under them as tables; lists and single values as they are."""
    show({"test_id": 1, "end_date": None, "tags": ["a", 2], "variants": [{"name": "Control"}, {"name": "\x1b[2J"}]})
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "test_id  1",
        'tags     ["a",2]',
        "",
        "variants",
        "name",
        "Control",
        r"\x1b[2J",
    ]
    for value, lines in (
        ({"groups": [{"id": 1}]}, ["", "groups", "id", "1"]),
        ({}, ["none"]),
        ({"note": None}, ["none"]),
        ([{"id": 1}], ["id", "1"]),
        (("a", 2), ["a", "2"]),
        ((), ["none"]),
        (None, ["none"]),
        ("Variant 1", ["Variant 1"]),
        (2.5, ["2.5"]),
    ):
        show(value)
        assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == lines


def test_long_cells_are_cut_but_for_addresses(capsys: pytest.CaptureFixture[str]) -> None:
    """Half of an address leads nowhere; a field of its own has more room than a cell."""
    address = "https://example.com/" + "a" * 2000
    print_rows([{"text": "b" * 101, "short": "c" * 100, "address": address}])
    assert capsys.readouterr().out.split()[3:] == ["b" * 99 + "…", "c" * 100, address]
    show({"text": "b" * 1001, "short": "c" * 1000})
    assert capsys.readouterr().out.split() == ["text", "b" * 999 + "…", "short", "c" * 1000]


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        ("30", ["test_id  test_name", "1        Green button", "2        Red button"]),
        ("19", ["test_id  test_name", "1        Green", "         button", "2        Red button"]),
        (
            "17",
            [
                "test_id    1",
                "test_name  Green",
                "           button",
                "",
                "test_id    2",
                "test_name  Red",
                "           button",
            ],
        ),
    ],
)
def test_a_terminal_that_is_too_narrow_gets_a_block_a_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: str, lines: list[str]
) -> None:
    """A table breaks its cells between words, and never within one."""
    for name, value in (("COLUMNS", width), ("TTY_COMPATIBLE", "1"), ("TERM", "xterm"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    print_rows([{"test_id": 1, "test_name": "Green button"}, {"test_id": 2, "test_name": "Red button", "url": None}])
    text = re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out)
    assert [line.rstrip() for line in text.splitlines()] == lines


@attrs.frozen(kw_only=True)
class _Thing(Model):
    """A result with everything that is particular."""

    data: object = attrs.field(default=None, hash=False)
    data_text: str | None = attrs.field(default=None, metadata={TEXT_OF: "data"})
    kind: GoalType | str | None = None
    left_out: int | UnsetType = UNSET
    at: dt.datetime | None = None


def test_json_is_the_whole_result(capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown keys included; what is decoded in a table is there as text, too. A terminal is not given its escapes."""
    moment = dt.datetime(2026, 8, 22, tzinfo=dt.UTC)
    thing = _Thing(data={"a": "\x9b\u202e\ud800é"}, data_text="{}", kind=GoalType.EVENT, at=moment, extra={"new": (1,)})
    show(thing, machine=True)
    text = capsys.readouterr().out
    assert json.loads(text) == {
        "data": {"a": "\x9b\u202e\ud800é"},
        "data_text": "{}",
        "kind": "event",
        "at": "2026-08-22T00:00:00+00:00",
        "new": [1],
    }
    assert r'"a": "\u009b\u202e\ud800é"' in text
    show(thing)
    assert "data_text" not in capsys.readouterr().out
    show(None, machine=True)
    assert capsys.readouterr().out == "null\n"


def test_values_that_were_read_already_are_left_alone() -> None:
    """The library may convert a default twice."""
    assert JSONType().convert([1], None, None) == [1]
    assert DayType().convert(dt.date(2026, 8, 22), None, None) == dt.date(2026, 8, 22)
    assert QueryType().convert(("a", "b"), None, None) == ("a", "b")
    kind = rates.RateType()
    assert kind.convert(RateLimit(1, per=1), None, None) == RateLimit(1, per=1)
    assert rates.limits_from((), BufferSettings().rate_limits) == BufferSettings().rate_limits
    assert rates.limits_from(("unlimited",), BufferSettings().rate_limits) == ()


def test_the_demo_shows_that_everything_arrived() -> None:
    """In spite of its faults, in order, and within its time."""
    result = call("demo", "--events", "200")
    assert result.exit_code == 0, result.output
    assert "arrived    200 of 200" in result.stdout
    assert "verdict    everything arrived, in order" in result.stdout
    assert "1 x 429" in result.stdout


def _recorded(visitor: str, step: int) -> RecordedEvent:
    return RecordedEvent(
        event_name="a",
        mida_uuid=None,
        email=None,
        id=visitor,
        properties_json=json.dumps({"step": step}),
        received_at=0.0,
        event_id=1,
        visitor_id=1,
        project_key="demo",
    )


@pytest.mark.parametrize(
    ("applied", "duplicates", "good"),
    [
        ([("u", 1), ("v", 1), ("u", 2)], 0, True),
        ([("u", 1), ("u", 1), ("v", 1), ("u", 2)], 1, True),
        ([("u", 1), ("u", 1), ("v", 1), ("u", 2)], 0, False),
        ([("u", 2), ("v", 1), ("u", 1)], 0, False),
        ([("u", 1), ("u", 2)], 0, False),
    ],
)
def test_the_demo_would_notice(applied: list[tuple[str, int]], duplicates: int, *, good: bool) -> None:
    """R2: What is missing, out of order, or there twice without a word."""
    sent: list[dict[str, Any]] = [
        {"event_name": "a", "id": visitor, "properties": {"step": step}}
        for visitor, step in [("u", 1), ("v", 1), ("u", 2)]
    ]
    rows = [_recorded(*one) for one in applied]
    assert demo.compare(sent, rows, Tally(duplicates=duplicates)).good is good


def test_a_demo_that_fails_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """With exit code 1."""

    def refuse(server: Emulator, _count: int) -> None:
        server.script(Status(400))

    monkeypatch.setattr(demo, "_plan_faults", refuse)
    result = call("demo", "--events", "5")
    assert result.exit_code == 1
    assert "delivered  4 of 5" in result.stdout
    assert "SOMETHING IS MISSING" in result.stdout


def test_the_emulator_serves_until_it_is_interrupted() -> None:
    """It says how to reach it, and at the end what it saw; the port can be used again at once."""
    port = "0"
    for _ in range(2):
        process = spawn("emulator", "--port", port, "--auto-visitors", "--rate", "1/m", "--api-key", "a b")
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(6)]
        url = lines[1].removeprefix("export MIDA_BASE_URL=")
        assert lines[2:4] == ["export MIDA_PROJECT_KEY=demo", "export MIDA_API_KEY='a b'"]
        assert lines[4] == "export KLAVIYO_API_KEY='a b'"
        assert lines[5].endswith(f"mida load FILE --to klaviyo --base-url {url}")
        request = urllib.request.Request(f"{url}/v2/project/demo/events", headers={"x-api-key": "a b"})  # noqa: S310
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            assert json.load(answer)["events"] == []
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=10)
        assert rest == "in all: 1 requests, 0 recorded, 0 x 429\n"
        assert (errors, process.returncode) == ("", 0)
        port = url.rpartition(":")[2]


def test_a_port_that_is_taken_is_one_line() -> None:
    """With exit code 1."""
    with serving() as server:
        code, text = _one_line("emulator", "--port", server.base_url.rpartition(":")[2])
    assert code == 1
    assert "address already in use" in text


def test_the_emulator_prints_its_counters_when_they_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for a request, and not again while nothing happens."""

    def greet(server: Emulator) -> str:
        loop = asyncio.get_running_loop()
        loop.call_later(0.03, server.requests.add, ReceivedRequest(method="GET", path="/"))
        loop.call_later(0.15, os.kill, os.getpid(), signal.SIGTERM)
        return "serving"

    monkeypatch.setattr(emulator, "_COUNTERS_SECONDS", 0.01)
    monkeypatch.setattr(emulator, "_greeting", greet)
    assert call("emulator", "--port", "0").stdout.splitlines() == [
        "serving",
        "1 requests, 0 recorded, 0 x 429",
        "in all: 1 requests, 0 recorded, 0 x 429",
    ]


def test_a_server_that_is_not_there_is_told_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A direct call gives up within seconds, and says so in one line."""
    monkeypatch.setenv("MIDA_PROJECT_KEY", "demo")
    monkeypatch.setenv("MIDA_API_KEY", "demo-key")
    began = time.perf_counter()
    code, line = _one_line("events", "list", "--base-url", f"http://127.0.0.1:{free_port()}")

    assert code == 1
    assert "connection refused" in line
    assert time.perf_counter() - began < 5
