"""``mida load`` against a real server."""

from __future__ import annotations

import csv
import gzip
import io
import json
import signal
import subprocess
import time
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from cli_caller import call, serving, spawn

from mida_async import RateLimit
from mida_async._cli.resume import StateFile
from mida_async._cli.sample import sample_events
from mida_async.testing import ResetAfter, Stall, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from mida_async._cli.resume import Rendered
    from mida_async.testing import Emulator

_EVENT = '{"event_name": "a", "id": "u"}\n'


def _lines(events: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def _file(path: Path, count: int) -> Path:
    file = path / "events.jsonl"
    file.write_bytes(_lines(sample_events(count)))
    return file


def _by_visitor(rows: Iterable[tuple[str, object]]) -> dict[str, list[object]]:
    found: defaultdict[str, list[object]] = defaultdict(list)
    for visitor, step in rows:
        if found[visitor][-1:] != [step]:
            found[visitor].append(step)
    return found


def _has_all_in_order(server: Emulator, count: int) -> bool:
    """Compare what the server has with the sample; what is there twice in a row counts once."""
    there = _by_visitor((event.id or "", (event.properties or {})["step"]) for event in server.recorded)
    return there == _by_visitor((event["id"], event["properties"]["step"]) for event in sample_events(count))


def _load(*arguments: object, stdin: bytes | str | None = None) -> tuple[int, dict[str, Any], str]:
    result = call("load", *arguments, "--rate", "unlimited", "--json", stdin=stdin)
    return result.exit_code, json.loads(result.stdout or "{}"), result.stderr


def _until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.01)


def test_all_events_arrive_in_order(tmp_path: Path) -> None:
    """R2: Each visitor's events are applied in the order of the file, in spite of failures on the way."""
    with serving() as server:
        server.script(Status(503), match=lambda _: server.requests.total > 100)
        server.script(ResetAfter(), match=lambda _: server.requests.total > 300)
        code, report, errors = _load(_file(tmp_path, 1000))
        assert _has_all_in_order(server, 1000)
    assert (code, report["delivered"], report["lines"], report["complete"]) == (0, 1000, 1000, True)
    assert (report["requests"], report["retried"]) == (1002, 2)
    assert report["may_be_duplicate"] in {1, 2}  # both faults can hit the same record
    assert "line" not in errors


def test_the_rate_limits_are_kept(tmp_path: Path) -> None:
    """R8: A server that counts by the same limits refuses nothing."""
    with serving(rate_limits=[RateLimit(100, per=1)]) as server:
        result = call("load", _file(tmp_path, 150), "--rate", "100/s", "--concurrency", 8, "--pacing", "burst")
        assert result.exit_code == 0
        assert server.statistics().refused == 0
    assert "delivered  150 of 150 lines" in result.stdout
    assert float(result.stdout.partition("elapsed")[2].split()[0]) >= 1


@pytest.mark.parametrize("packed", [False, True])
def test_csv_and_gzip_come_from_standard_input_as_well(*, packed: bool) -> None:
    """The format must be said there; what is packed is seen."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["event_name", "id", "occurred_at", "properties"])
    for event in sample_events(20):
        writer.writerow([event["event_name"], event["id"], "2015", json.dumps(event["properties"])])
    data = text.getvalue().encode()
    with serving() as server:
        code, report, _ = _load("-", "--format", "csv", stdin=gzip.compress(data) if packed else data)
        assert _has_all_in_order(server, 20)
        assert all(b"2015" not in request.body for request in server.requests)
    assert (code, report["delivered"]) == (0, 20)


def test_bad_lines_are_reported_and_written_down_and_stop_nothing(tmp_path: Path) -> None:
    """Each with its number and reason, whether it was found out here or by the server."""
    dead = tmp_path / "dead.jsonl"
    lines = [_EVENT, "{\n", _EVENT, '{"event_name": "a"}\n', "\n", '{"event_name": "a", "id": "stranger"}\n', _EVENT]
    with serving(auto_visitors=False) as server:
        server.add_visitor(id="u")
        code, report, errors = _load("-", "--dead-letter", dead, stdin="".join(lines))
        there = len(server.recorded)
    assert there == 3
    assert (code, report["delivered"], report["failed"], report["complete"]) == (1, 3, 3, True)
    assert report["failed_by_reason"] == {"not JSON": 1, "invalid event": 1, "VisitorNotFoundError": 1}
    assert {line.partition(":")[0] for line in errors.splitlines()} == {"line 2", "line 4", "line 6"}
    rows = {row["line"]: row for row in map(json.loads, dead.read_text().splitlines())}
    assert (rows[2]["raw"], rows[4]["event"]) == ("{", {"event_name": "a"})
    assert rows[6]["event"] == {"event_name": "a", "id": "stranger"}
    assert "HTTP 400" in rows[6]["reason"]
    with serving():
        assert _load(dead)[1]["delivered"] == 1


def test_many_bad_lines_do_not_flood_the_terminal() -> None:
    """After twenty only their number is told."""
    with serving():
        code, report, errors = _load("-", stdin="{\n" * 50)
    assert (code, report["failed"]) == (1, 50)
    assert errors.count("not JSON") == 20
    assert "30 more lines failed" in errors


def test_nothing_is_sent_where_the_header_is_wrong(tmp_path: Path) -> None:
    """It is a wrong call, in one line."""
    (tmp_path / "a.csv").write_text("name,id\na,u\n")
    with serving() as server:
        result = call("load", tmp_path / "a.csv")
        assert len(server.requests) == 0
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert "the CSV header must name event_name" in result.stderr


def test_a_file_that_breaks_off_is_loaded_as_far_as_it_goes(tmp_path: Path) -> None:
    """And the report says so."""
    file = tmp_path / "events.jsonl.gz"
    file.write_bytes(gzip.compress(_lines(sample_events(800)))[:-300])
    with serving() as server:
        code, report, _ = _load(file)
        there = len(server.recorded)
    assert there == report["delivered"] > 100
    assert code == 1
    assert "the input broke off after line" in report["problem"]
    assert report["complete"] is False


def test_a_wrong_key_stops_the_load_and_leaves_everything_open(tmp_path: Path) -> None:
    """R17: After three refusals in a row; the same command with the right key then sends all, and no key is shown."""
    state, key = tmp_path / "state", tmp_path / "key"
    key.write_text("mistyped-secret")
    file = _file(tmp_path, 300)
    with serving() as server:
        code, report, errors = _load(file, "--resume", state, "--api-key-file", key, "--concurrency", 2)
        assert (code, report["delivered"], report["failed"]) == (1, 0, 0)
        assert "no line can be delivered: HTTP 401" in report["problem"]
        assert len(server.requests) < 20
        assert "secret" not in errors + json.dumps(report) + state.read_text()
        code, report, _ = _load(file, "--resume", state)
        assert (code, report["delivered"], report["complete"]) == (0, 300, True)
        assert _has_all_in_order(server, 300)


def test_a_wrong_key_without_a_state_fails_what_was_begun(tmp_path: Path) -> None:
    """There is no next run to leave it to; it is in the dead-letter file."""
    (tmp_path / "key").write_text("mistyped-secret")
    with serving():
        arguments = ("--api-key-file", tmp_path / "key", "--dead-letter", tmp_path / "dead", "--close-timeout", 0)
        code, report, _ = _load(_file(tmp_path, 100), *arguments)
    assert (code, report["delivered"], report["not_sent"]) == (1, 0, 0)
    assert report["failed"] == len((tmp_path / "dead").read_text().splitlines()) == 100
    assert report["failed_by_reason"]["AuthenticationError"] >= 3


def test_a_load_that_is_complete_has_nothing_to_do(tmp_path: Path) -> None:
    """It sends nothing, needs no key, and returns what the earlier run returned."""
    file, state = _file(tmp_path, 10), tmp_path / "state"
    with serving():
        assert _load(file, "--resume", state)[0] == 0
    result = call("load", file, "--resume", state, "--project-key", "demo")
    assert (result.exit_code, result.stdout.startswith("nothing to do")) == (0, True)
    with file.open("ab") as more:
        more.write(b"{")
    changed = call("load", file, "--resume", state, "--project-key", "demo")
    assert changed.exit_code == 2
    assert "name another file for --resume" in changed.stderr
    state.unlink()
    with serving():
        assert _load(file, "--resume", state)[0] == 1
    again = call("load", file, "--resume", state, "--project-key", "demo", "--json")
    assert again.exit_code == 1
    assert json.loads(again.stdout)["total_failed"] == 1


def test_standard_input_is_resumed_by_the_number_of_lines(tmp_path: Path) -> None:
    """What ended is passed over; a failure of the first run still counts at the end of the second."""
    state = tmp_path / "state"
    with serving() as server:
        broken = gzip.compress(_lines(sample_events(400)))
        code, first, _ = _load("-", "--resume", state, stdin=broken[: len(broken) // 2])
        assert (code, first["complete"]) == (1, False)
        code, second, _ = _load("-", "--resume", state, stdin=broken)
        assert (code, second["complete"]) == (0, True)
        assert second["delivered"] == 400 - first["delivered"] < 400
        there = len(server.recorded)
        assert there == second["total_delivered"] == 400
        assert _has_all_in_order(server, 400)


def test_a_full_disk_stops_the_load() -> None:
    """The dead-letter file cannot be written, so nothing more may fail."""
    with serving():
        code, report, _ = _load("-", "--dead-letter", "/dev/full", stdin="{}\n" * 2000 + _EVENT)
    assert code == 1
    assert "No space left" in str(report.get("problem"))


def test_a_state_that_can_no_longer_be_written_stops_the_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before more is sent than could be remembered."""
    write = StateFile.write

    def write_once(self: StateFile, rendered: Rendered) -> None:
        if rendered.number > 1:
            raise OSError(28, "No space left on device", "state")
        write(self, rendered)

    monkeypatch.setattr(StateFile, "write", write_once)
    monkeypatch.setattr("mida_async._cli.load_run._SAVE_SECONDS", 0.05)
    with serving(latency=0.05) as server:
        arguments = ("--resume", tmp_path / "state", "--dead-letter", tmp_path / "dead", "--close-timeout", 0)
        code, report, _ = _load(_file(tmp_path, 400), *arguments, "--concurrency", 2)
        assert len(server.requests) < 100
    assert code == 1
    assert report["problem"] == "cannot write state: No space left on device"


@pytest.mark.parametrize(("option", "path"), [("--resume", "/nowhere/state"), ("--dead-letter", "/nowhere/dead")])
def test_a_file_that_cannot_be_made_is_a_wrong_call(tmp_path: Path, option: str, path: str) -> None:
    """Found out before anything is sent."""
    with serving() as server:
        result = call("load", _file(tmp_path, 3), option, path)
        assert len(server.requests) == 0
    assert result.exit_code == 2
    assert "No such file or directory" in result.stderr


def test_progress_is_shown_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal as plain lines with a share and an ETA."""
    monkeypatch.setattr("mida_async._cli.progress._PLAIN_SECONDS", 0.1)
    with serving(latency=0.01):
        _, _, errors = _load(_file(tmp_path, 300), "--concurrency", 4)
    lines = [line for line in errors.splitlines() if "ETA" in line]
    assert len(lines) >= 2
    assert all("% · " in line and " delivered · 0 failed" in line for line in lines)


def test_ctrl_c_drains_and_a_second_run_goes_on(tmp_path: Path) -> None:
    """Exit code 130, ``--resume`` is named, and after the second run everything is there once and in order."""
    file, state = _file(tmp_path, 300), tmp_path / "state"
    arguments = ("load", file, "--rate", "unlimited", "--resume", state, "--concurrency", 4, "--close-timeout", 0.1)
    with serving(latency=0.01) as server:
        process = spawn(*arguments)
        _until(lambda: len(server.recorded) >= 60, process)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=10)
        assert process.returncode == 130
        assert f"--resume {state}" in out
        assert "stopping" in errors
        before = len(server.recorded)
        assert before < 300
        code, report, _ = _load(file, "--resume", state)
        assert (code, report["total_delivered"], report["complete"]) == (0, 300, True)
        assert _has_all_in_order(server, 300)
        there = len(server.recorded)
    assert there <= 300 + 4


def test_a_second_ctrl_c_ends_at_once_and_remembers(tmp_path: Path) -> None:
    """Although the server is silent."""
    state = tmp_path / "state"
    with serving() as server:
        server.script(Stall(times=None), match=lambda _: server.requests.total > 20)
        process = spawn("load", _file(tmp_path, 100), "--rate", "unlimited", "--concurrency", 2, "--resume", state)
        _until(lambda: len(server.requests) >= 22, process)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        line = process.stderr.readline()
        while "stopping" not in line:
            line = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=5)
    assert process.returncode == 130
    assert "ended at once" in errors
    assert json.loads(state.read_text())["delivered"] == 20


def test_a_load_that_waits_for_its_input_can_be_ended(tmp_path: Path) -> None:
    """SIGTERM gives 143; what was read by then is delivered, and stays delivered."""
    with serving() as server:
        process = spawn("load", "-", "--resume", tmp_path / "state")
        assert process.stdin is not None
        process.stdin.write(_EVENT)
        process.stdin.flush()
        _until(lambda: len(server.recorded) == 1, process)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=10)
    assert process.returncode == 143
    assert "delivered  1 of 1 lines" in out
    assert json.loads((tmp_path / "state").read_text())["complete"] is False


def test_a_load_that_is_killed_repeats_no_more_than_it_could_not_write_down(tmp_path: Path) -> None:
    """The state is on disk a second later; nothing is lost."""
    file, state = _file(tmp_path, 600), tmp_path / "state"
    with serving(latency=0.01) as server:
        process = spawn("load", file, "--rate", "unlimited", "--resume", state, "--concurrency", 2)
        _until(lambda: state.exists() and '"delivered": 0' not in state.read_text(), process)
        process.kill()
        process.communicate()
        saved = json.loads(state.read_text())["delivered"]
        applied = len(server.recorded)
        code, report, _ = _load(file, "--resume", state)
        assert (code, report["total_delivered"]) == (0, 600)
        assert report["delivered"] == 600 - saved < 600
        assert _has_all_in_order(server, 600)
        repeated = len(server.recorded) - 600
    assert repeated <= applied - saved + 2  # two were in flight
