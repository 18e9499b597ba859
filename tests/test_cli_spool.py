"""``mida spool``, and ``mida load --spool``, against a real server and real files."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import re
import signal
import subprocess
import time
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from cli_caller import call, serving, spawn
from klaviyo_caller import klaviyo_events

from mida_async import AuthenticationError, BufferFullError, NotFoundError, Receipt
from mida_async._cli.loader import Job, Loader
from mida_async._cli.resume import Marks
from mida_async._cli.sample import sample_events
from mida_async._cli.source import Source
from mida_async._cli.spool_counts import SpoolRemarks
from mida_async._cli.spool_lines import line_of
from mida_async.destinations.klaviyo import KlaviyoAccount, KlaviyoBulkDestination, KlaviyoDestination
from mida_async.instrumentation import RecordEnded, RetryPlanned, SpoolChanged, SpoolOpened
from mida_async.spools.base import Settlement, SpooledRecord
from mida_async.spools.sqlite import SQLiteSpool
from mida_async.testing import Stall, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from mida_async.testing import Emulator

_MIDA = "mida:events.record"


def _file(path: Path, count: int) -> Path:
    file = path / "events.jsonl"
    file.write_text("".join(json.dumps(event) + "\n" for event in sample_events(count)))
    return file


def _steps(events: Iterable[tuple[str, int]]) -> dict[str, list[int]]:
    """Return the steps of each visitor in the order in which they came first."""
    found: defaultdict[str, dict[int, None]] = defaultdict(dict)
    for visitor, step in events:
        found[visitor].setdefault(step)
    return {visitor: list(steps) for visitor, steps in found.items()}


def _wanted(count: int) -> dict[str, list[int]]:
    return _steps((event["id"], event["properties"]["step"]) for event in sample_events(count))


def _applied(server: Emulator) -> dict[str, list[int]]:
    return _steps((event.id or "", (event.properties or {})["step"]) for event in server.recorded)


def _json(*arguments: object, stdin: str | None = None) -> tuple[int, dict[str, Any], str]:
    result = call(*arguments, "--json", stdin=stdin)
    return result.exit_code, json.loads(result.stdout or "{}"), result.stderr


def _load(*arguments: object, stdin: str | None = None) -> tuple[int, dict[str, Any], str]:
    return _json("load", *arguments, "--rate", "unlimited", stdin=stdin)


def _drain(path: Path, *arguments: object) -> tuple[int, dict[str, Any], str]:
    return _json("spool", "drain", path, "--rate", "unlimited", *arguments)


def _status(path: Path) -> dict[str, Any]:
    code, found, _ = _json("spool", "status", path)
    assert code == 0
    return found


def _until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.01)


def _record(key: int, **fields: Any) -> SpooledRecord:
    body = json.dumps({"event_name": "Seen", "id": f"u{key}", "properties": {"step": key}}).encode()
    given = {"destination": _MIDA, "name": "Seen", "identities": (f"id:u{key}",), "body": body}
    return SpooledRecord(**{"key": key, "accepted_at": time.time() - 60, **given, **fields})


def _fill(path: Path, *records: SpooledRecord, dead: dict[int, str] | None = None) -> None:
    """Make a spool with these records, of which some are dead letters."""

    async def fill() -> None:
        spool = SQLiteSpool(path)
        destination = records[0].destination if records else _MIDA
        await spool.open(destination, on_durable=lambda _: None, on_trouble=lambda _: None)
        for record in records:
            spool.append(record)
            spool.note(record.key, attempts=record.attempts, ambiguous=record.ambiguous)
        for key, reason in (dead or {}).items():
            spool.settle(key, Settlement.DEAD, reason)
        await spool.aclose(5)

    asyncio.run(fill())


def _one_line(*arguments: object) -> tuple[int, str]:
    result = call(*arguments)
    assert (result.stdout, result.stderr.count("\n")) == ("", 1), result.output
    return result.exit_code, result.stderr


def test_what_a_killed_load_had_accepted_arrives(tmp_path: Path) -> None:
    """R1: All that was in the spool, in each visitor's order; the rest of the file is still there to be loaded."""
    spool, state = tmp_path / "spool.db", tmp_path / "state"
    arguments = ("load", _file(tmp_path, 900), "--spool", spool, "--resume", state)
    with serving(latency=0.01) as server:
        process = spawn(*arguments, "--rate", "unlimited", "--concurrency", 4)
        _until(lambda: len(server.recorded) > 60, process)
        process.kill()
        process.communicate()
        before = len(server.recorded)
        waiting = _status(spool)["records"]
        assert 0 < waiting <= 900
        lines = call("spool", "export", spool).stdout.splitlines()
        assert len(lines) == waiting
        code, report, _ = _drain(spool)
        assert (code, report["delivered"], report["left"]) == (0, waiting, 0)
        accepted = sum(map(len, _applied(server).values()))
        assert accepted >= waiting
        assert _applied(server) == _wanted(accepted)  # nothing but a beginning of the file, and all of that
        code, report, _ = _load(*arguments[1:])
        assert (code, report["complete"], report["from_spool"]["delivered"]) == (0, True, 0)
        assert _applied(server) == _wanted(900)
    assert before < 900


def test_a_load_delivers_first_what_the_spool_holds(tmp_path: Path) -> None:
    """R2: It is counted apart from the lines, and a line that the killed run handed over is not read again."""
    spool, state = tmp_path / "spool.db", tmp_path / "state"
    arguments = (_file(tmp_path, 300), "--spool", spool, "--resume", state)
    with serving() as server:
        server.script(Stall(times=None))
        process = spawn("load", *arguments, "--rate", "unlimited", "--concurrency", 2)
        _until(lambda: state.exists() and '"spooled": 300' in state.read_text(), process)
        process.kill()
        process.communicate()
    with serving() as server:
        code, report, errors = _load(*arguments)
        assert (code, report["lines"], report["complete"]) == (0, 0, True)
        assert report["from_spool"] == {"delivered": 300, "failed": 0, "left": 0}
        assert "the spool holds 300 events of earlier runs" in errors
        assert len(server.recorded) == 300
        assert _applied(server) == _wanted(300)
        again = call("load", *arguments[:1], "--resume", state)
        assert again.stdout.startswith("nothing to do")
        assert "300 handed over to a spool" in again.stdout


def test_a_state_that_is_behind_sends_nothing_twice(tmp_path: Path) -> None:
    """R5: What the state does not know of and the spool holds is known by the number of its line."""
    spool, state = tmp_path / "spool.db", tmp_path / "state"
    arguments = (_file(tmp_path, 100), "--spool", spool, "--resume", state)
    with serving() as server:
        server.script(Stall(times=None))
        process = spawn("load", *arguments, "--rate", "unlimited", "--concurrency", 2)
        _until(lambda: state.exists() and '"spooled": 100' in state.read_text(), process)
        process.kill()
        process.communicate()
    older = json.loads(state.read_text()) | {"next_line": 1, "spooled": 0}
    state.write_text(json.dumps(older))
    with serving() as server:
        code, report, _ = _load(*arguments)
        assert (code, report["delivered"], report["total_delivered"]) == (0, 100, 100)
        assert len(server.recorded) == 100


@pytest.mark.parametrize("service", ["mida", "klaviyo"])
def test_ctrl_c_leaves_the_rest_in_the_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    """R14: Exit code 130; it says how many and names the command that delivers them, and nothing has failed."""
    monkeypatch.setenv("KLAVIYO_API_KEY", "secret-key")
    spool = tmp_path / "spool.db"
    with serving(latency=0.02) as server:
        there = ("--to", "klaviyo", "--base-url", server.base_url) if service == "klaviyo" else ()
        arguments = ("load", _file(tmp_path, 300), "--spool", spool, "--rate", "unlimited", "--concurrency", 2)
        process = spawn(*arguments, "--close-timeout", 0, *there)
        _until(lambda: len(server.recorded) >= 20, process)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=10)
        assert process.returncode == 130, errors
        waiting = _status(spool)["records"]
        assert f"kept       {waiting:,} (in the spool)" in out
        assert f"{waiting:,} events are in the spool; mida spool drain {spool} delivers them" in out
        assert "failed     0" in out
        code, report, errors = _drain(spool, *there[2:])
        assert (code, report["delivered"], report["left"], report["dead"]) == (0, waiting, 0, 0)
        if service == "klaviyo":
            applied = _steps(
                (event.id or "", (event.properties or {})["step"]) for event in klaviyo_events(server.recorded)
            )
        else:
            applied = _applied(server)
        assert applied == _wanted(sum(map(len, applied.values())))


def test_a_spool_has_one_owner(tmp_path: Path) -> None:
    """One line names it; of what the owner has, only that can be told."""
    spool = tmp_path / "spool.db"
    with serving():
        process = spawn("load", "-", "--spool", spool)
        _until(lambda: spool.exists() and _status(spool)["owner"] is not None, process)
        owner = f"in use by process {process.pid} on "
        others: list[tuple[object, ...]] = [("load", _file(tmp_path, 1), "--spool", spool)]
        others += [("spool", verb, spool) for verb in ("drain", "dead", "retry", "export")]
        for arguments in (*others, ("spool", "drop", spool, "--all")):
            code, line = _one_line(*arguments)
            assert (code, owner in line) == (2, True)
        assert _status(spool)["owner"]["pid"] == process.pid
        assert f"process {process.pid} on" in call("spool", "status", spool).stdout
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)


def test_dead_letters_are_sent_again_when_asked(tmp_path: Path) -> None:
    """A server that knew nobody first; the reason and the whole event are shown."""
    spool, lines = tmp_path / "spool.db", tmp_path / "dead.jsonl"
    events = [{"event_name": "Seen", "id": f"u{number}", "properties": {"n": number}} for number in range(3)]
    with serving(auto_visitors=False) as server:
        text = "".join(json.dumps(event) + "\n" for event in events)
        code, report, _ = _load("-", "--spool", spool, stdin=text)
        assert (code, report["failed_by_reason"], report["kept"]) == (1, {"VisitorNotFoundError": 3}, 0)
        table = call("spool", "dead", spool).stdout
        assert "rejected: VisitorNotFoundError" in table
        assert "id:u1" in table
        rows = [json.loads(line) for line in call("spool", "dead", spool, "--json").stdout.splitlines()]
        assert [row["body"] for row in rows] == events
        assert "1 of 3" in call("spool", "dead", spool, "--limit", 1).stdout
        assert call("spool", "dead", spool, "--output", lines).exit_code == 0
        for number in range(3):
            server.add_visitor(id=f"u{number}")
        one = call("spool", "retry", spool, "--key", rows[1]["key"])
        assert one.stdout == "1 dead letters are waiting to be sent again\n"
        code, report, _ = _drain(spool)
        assert (code, report["delivered"], report["dead"]) == (0, 1, 2)
        assert _one_line("spool", "retry", spool)[0] == 2  # nobody can be asked
        assert call("spool", "retry", spool, "--yes").stdout.startswith("2 dead letters are waiting")
        assert _drain(spool)[1]["delivered"] == 2
        assert sorted(event.id or "" for event in server.recorded) == ["u0", "u1", "u2"]
        assert _load(lines)[1]["delivered"] == 3
        assert {json.loads(line)["reason"].partition(":")[0] for line in lines.read_text().splitlines()} == {"rejected"}
    assert call("spool", "dead", spool).stdout == f"the spool {spool} has no dead letters\n"
    assert _one_line("spool", "dead", spool, "--output", lines)[0] == 2  # it exists


def test_what_may_have_been_applied_is_held_back(tmp_path: Path) -> None:
    """R10: It is named, and retried only when that is asked for; Klaviyo knows an event that it gets twice."""
    spool = tmp_path / "spool.db"
    reasons = {1: "rejected: APIError: no", 2: "ambiguous: AmbiguousDeliveryError: perhaps", 3: "expired: too old"}
    _fill(spool, _record(1), _record(2), _record(3, attempts=1, ambiguous=True), _record(4), dead=reasons)
    result = call("spool", "retry", spool, "--yes")
    assert (result.exit_code, result.stdout.splitlines()) == (
        1,
        [
            "1 dead letters are waiting to be sent again",
            "2 may have been applied already (2, 3); --include-ambiguous retries them, too",
        ],
    )
    assert call("spool", "retry", spool, "--key", 2, "--include-ambiguous").exit_code == 0
    assert (_status(spool)["records"], _status(spool)["dead"]) == (3, 1)
    klaviyo = tmp_path / "klaviyo.db"
    _fill(klaviyo, _record(1, destination="klaviyo:events", attempts=1, ambiguous=True), dead={1: "rejected: no"})
    assert call("spool", "retry", klaviyo, "--yes").exit_code == 0


def test_dead_letters_are_dropped_only_when_it_is_meant(tmp_path: Path) -> None:
    """By key or all; without a terminal nobody can be asked."""
    spool = tmp_path / "spool.db"
    _fill(spool, _record(1), _record(2), _record(3), dead={1: "a", 2: "b", 3: "c"})
    for arguments, message in (
        ((), "--key N, or --all"),
        (("--all", "--key", 1), "--key N, or --all"),
        (("--all",), "say --yes if it is meant"),
        (("--key", 9, "--yes"), f"the spool {spool} has no dead letter 9"),
    ):
        code, line = _one_line("spool", "drop", spool, *arguments)
        assert (code, message in line) == (2, True), line
    assert call("spool", "drop", spool, "--key", 2, "--yes").stdout == "1 dead letters forgotten\n"
    assert call("spool", "drop", spool, "--all", "--yes").stdout == "2 dead letters forgotten\n"
    assert call("spool", "drop", spool, "--all").stdout == f"the spool {spool} has no dead letters\n"


def test_the_status_of_a_folder_has_a_row_for_each_file(tmp_path: Path) -> None:
    """And one for all; keys are numbers within one of them."""
    folder = tmp_path / "spools"
    folder.mkdir()
    assert call("spool", "status", folder).stdout == f"the folder {folder} has no spool in it\n"
    _fill(folder / "spool-a.db", _record(1), _record(2), dead={2: "no"})
    _fill(folder / "spool-b.db", _record(1), _record(2), _record(3))
    found = _status(folder)
    assert (found["records"], found["dead"], found["destination"]) == (4, 1, _MIDA)
    assert [(file["records"], file["dead"]) for file in found["files"]] == [(1, 1), (3, 0)]
    assert 59 < found["oldest_age"] < 90
    names = [line.split()[0] for line in call("spool", "status", folder).stdout.splitlines()]
    assert names == ["file", "spool-a.db", "spool-b.db", "all"]
    assert "name one of its files" in _one_line("spool", "drop", folder, "--key", 1)[1]
    (letter,) = [json.loads(line) for line in call("spool", "dead", folder, "--json").stdout.splitlines()]
    assert letter["file"] == str(folder / "spool-a.db")
    with serving() as server:
        code, report, _ = _drain(folder)
        assert (code, report["delivered"], len(server.recorded)) == (0, 4, 4)


@pytest.mark.parametrize("verb", ["status", "drain", "dead", "retry", "export"])
def test_a_spool_that_is_not_there_is_one_line(tmp_path: Path, verb: str) -> None:
    """It is not made."""
    code, line = _one_line("spool", verb, tmp_path / "nowhere" / "spool.db")
    assert (code, "there is no spool" in line) == (1 if verb == "status" else 2, True)
    assert list(tmp_path.iterdir()) == []


def test_a_spool_that_is_damaged_is_one_line(tmp_path: Path) -> None:
    """Looking into it changes nothing."""
    spool = tmp_path / "spool.db"
    spool.write_bytes(b"no database" * 1000)
    for verb, expected in (("status", 1), ("drain", 2), ("dead", 2)):
        code, line = _one_line("spool", verb, spool)
        assert (code, "is damaged" in line) == (expected, True)
    assert spool.read_bytes() == b"no database" * 1000


def test_nothing_is_sent_where_nothing_waits(tmp_path: Path) -> None:
    """It says so, and needs neither key nor server."""
    spool = tmp_path / "spool.db"
    _fill(spool)
    result = call("spool", "drain", spool)
    assert (result.exit_code, result.stdout) == (0, f"nothing to do: nothing waits in the spool {spool}\n")
    _fill(spool, _record(1), dead={1: "no"})
    assert "it has 1 dead letters" in call("spool", "drain", spool).stdout
    assert _drain(spool)[1] | {"spool": ""} == {
        "spool": "",
        "records": 0,
        "delivered": 0,
        "failed": 0,
        "failed_by_reason": {},
        "left": 0,
        "dead": 1,
        "may_be_duplicate": 0,
        "elapsed": 0.0,
        "rate": 0.0,
        "requests": 0,
        "retried": 0,
        "throttled": 0,
        "interrupted": False,
        "problem": None,
    }


def test_a_drain_says_what_failed(tmp_path: Path) -> None:
    """Exit code 1: by reason, with where it is now; what was tried again is counted."""
    spool = tmp_path / "spool.db"
    _fill(spool, *map(_record, range(1, 31)))
    with serving() as server:
        server.script(Status(503))
        server.script(Status(400, times=25), match=lambda _: server.requests.total > 3)
        result = call("spool", "drain", spool, "--rate", "unlimited", "--concurrency", 1)
    assert result.exit_code == 1
    assert "delivered  5 of 30 records" in result.stdout
    assert "failed     25 (25 BadRequestError)" in result.stdout
    assert f"mida spool dead {spool} lists them" in result.stdout
    assert "sent again" in result.stdout
    errors = result.stderr.splitlines()
    assert next(line for line in errors if line.startswith("record ")).startswith("record 4 (Seen): HTTP 400")
    assert errors[-1] == "... and 5 more records failed"
    assert _status(spool)["dead"] == 25


def test_ctrl_c_ends_a_drain_and_leaves_the_rest(tmp_path: Path) -> None:
    """Exit code 130; the same command goes on."""
    spool = tmp_path / "spool.db"
    _fill(spool, *map(_record, range(1, 201)))
    with serving(latency=0.02) as server:
        process = spawn("spool", "drain", spool, "--rate", "unlimited", "--concurrency", 2, "--close-timeout", 0)
        _until(lambda: len(server.recorded) >= 20, process)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=10)
        assert (process.returncode, "the rest stays in the spool" in errors) == (130, True)
        left = _status(spool)["records"]
        assert f"left       {left:,}" in out
        assert 0 < left < 200
        assert _drain(spool)[1]["delivered"] == left
        assert _applied(server) == {f"u{key}": [key] for key in range(1, 201)}


def test_a_second_ctrl_c_ends_a_drain_at_once(tmp_path: Path) -> None:
    """Although the server is silent; nothing is lost."""
    spool = tmp_path / "spool.db"
    _fill(spool, *map(_record, range(1, 11)))
    with serving() as server:
        server.script(Stall(times=None))
        process = spawn("spool", "drain", spool, "--concurrency", 2)
        _until(lambda: len(server.requests) >= 2, process)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        line = process.stderr.readline()
        while "stopping" not in line:
            line = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=5)
    assert (process.returncode, "ended at once" in errors) == (130, True)
    assert _status(spool)["records"] == 10


@pytest.mark.parametrize("command", ["drain", "load"])
def test_a_wrong_key_costs_two_records(tmp_path: Path, command: str) -> None:
    """R17: They are dead letters, the rest stays where it is, and no key is shown; it waits for no better one."""
    spool, key = tmp_path / "spool.db", tmp_path / "key"
    key.write_text("mistyped-secret")
    with serving() as server:
        started = time.monotonic()
        if command == "drain":
            _fill(spool, *map(_record, range(1, 101)))
            code, report, errors = _drain(spool, "--api-key-file", key)
        else:
            options = ("--spool", spool, "--resume", tmp_path / "state")
            code, report, errors = _load(_file(tmp_path, 100), *options, "--api-key-file", key)
        # Of the file, what was not on disk at that moment is left to the next run.
        left = report["left" if command == "drain" else "kept"]
        assert left == 98 or command == "load"
        assert time.monotonic() - started < 5
        assert (code, report["delivered"], report["failed"]) == (1, 0, 2)
        assert report["problem"].startswith("stopped, because no")
        assert "secret" not in errors + json.dumps(report)
        assert "secret" not in call("spool", "dead", spool, "--json").stdout
        assert b"secret" not in spool.read_bytes()
        assert (_status(spool)["records"], _status(spool)["dead"]) == (left, 2)
        assert call("spool", "retry", spool, "--yes").exit_code == 0
        assert _drain(spool)[1]["delivered"] == len(server.recorded) == left + 2


def _account(revision: str) -> KlaviyoAccount:
    return KlaviyoAccount.create(
        api_key="pk",
        revision=revision,
        base_url="https://a.klaviyo.com",
        today=dt.date(2026, 11, 1),
        allow_insecure_http=False,
        max_response_bytes=1000,
    )


@pytest.mark.parametrize(("revision", "bulk"), [("2023-01-24", False), ("2026-10-15", False), ("2026-10-15", True)])
def test_events_of_klaviyo_become_lines(revision: str, *, bulk: bool) -> None:
    """With what the format has no word for beside them."""
    kind = KlaviyoBulkDestination if bulk else KlaviyoDestination
    destination = kind(_account(revision), clock=lambda: 1e9, new_id=lambda: "new", warn=lambda _: None)
    profile = {"email": "a@shop.dev", "external_id": "u", "first_name": "Ada"}
    draft = destination.encode("Bought", profile=profile, properties={"n": 1}, value=9.5, unique_id="own")
    line = line_of(_record(1, destination=destination.name, body=draft.body))
    assert line is not None
    used = {name: line[name] for name in ("event_name", "email", "id", "properties", "unique_id", "value")}
    assert used == {
        "event_name": "Bought",
        "email": "a@shop.dev",
        "id": "u",
        "properties": {"n": 1},
        "unique_id": "own",
        "value": 9.5,
    }
    assert "Ada" in json.dumps(line["profile"])
    assert line["time"].startswith("2001-09-09")


def test_what_is_no_event_is_passed_over_and_counted(tmp_path: Path) -> None:
    """Attributes of a visitor have no line; what cannot be read is shown as it is."""
    spool, out = tmp_path / "spool.db", tmp_path / "out.jsonl"
    attributes = _record(2, destination="mida:visitors.set_attributes", body=b'{"id": "u"}')
    _fill(spool, _record(1, unique_id="own"), attributes, _record(3, body=b"\xff"), dead={3: "no"})
    result = call("spool", "export", spool, "--output", out)
    assert (result.exit_code, result.stdout) == (1, f"1 lines written to {out}\n")
    assert result.stderr.startswith("1 records are no events")
    assert json.loads(out.read_text())["unique_id"] == "own"
    assert out.stat().st_mode & 0o777 == 0o600
    assert json.loads(call("spool", "dead", spool, "--json").stdout)["body"] == "\\xff"
    assert call("spool", "dead", spool, "--output", tmp_path / "dead.jsonl").exit_code == 1
    verbs = re.findall(r"^  ([a-z]+)  ", call("spool", "--help").stdout, re.MULTILINE)
    assert verbs == ["status", "drain", "dead", "retry", "drop", "export"]


def test_the_options_must_suit_the_spool(tmp_path: Path) -> None:
    """A spool names its service, so what is for another one is refused, and nothing is sent."""
    names = [_MIDA, "klaviyo:events", "klaviyo:events.flat", "elsewhere"]
    spools = {name: tmp_path / f"{number}.db" for number, name in enumerate(names)}
    for name, path in spools.items():
        _fill(path, _record(1, destination=name))
    for name, arguments, message in (
        (_MIDA, ("--revision", "2026-10-15"), "--revision is not for this spool, whose records go to Mida"),
        ("klaviyo:events", ("--region", "us"), "--region is not for this spool, whose records go to Klaviyo"),
        ("klaviyo:events", ("--revision", "2023-01-24"), "from 2023-07-15 on: --revision 2023-01-24 is none"),
        ("klaviyo:events.flat", ("--revision", "2026-10-15"), "before 2023-07-15: --revision 2026-10-15 is none"),
        ("klaviyo:events", (), "KLAVIYO_API_KEY"),
        ("elsewhere", (), "the spool is for elsewhere, which mida does not deliver to"),
    ):
        code, line = _one_line("spool", "drain", spools[name], *arguments)
        assert (code, message in line) == (2, True), line
    folder = tmp_path / "folder"
    folder.mkdir()
    for number, name in enumerate(names[:2]):
        _fill(folder / f"spool-{number}.db", _record(1, destination=name))
    assert "holds spools for klaviyo:events and mida:events.record" in _one_line("spool", "drain", folder)[1]
    file = _file(tmp_path, 1)
    assert "and --spool another one" in _one_line("load", file, "--spool", file)[1]
    assert "--json and --output" in _one_line("spool", "dead", spools[_MIDA], "--json", "--output", "x")[1]


@pytest.mark.parametrize("kind", ["klaviyo:events", "klaviyo:events.bulk", "klaviyo:events.flat"])
def test_a_spool_of_klaviyo_goes_there_in_its_own_shape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """R9: By the endpoint and the revision that its bodies are for."""
    monkeypatch.setenv("KLAVIYO_API_KEY", "secret-key")
    spool, bulk = tmp_path / "spool.db", kind.endswith("bulk")
    line = json.dumps({"event_name": "Bought", "email": "a@shop.dev", "properties": {"n": 1}})
    revision = ("--revision", "2023-01-24") if kind.endswith("flat") else ()
    with serving(latency=0.3) as server:
        options = ("--to", "klaviyo", "--base-url", server.base_url, *revision, *(["--bulk"] if bulk else []))
        process = spawn("load", "-", "--spool", spool, "--close-timeout", 0, *options)
        assert process.stdin is not None
        process.stdin.write(line + "\n")
        process.stdin.flush()
        _until(lambda: spool.exists() and spool.with_name("spool.db-wal").exists() and bool(server.requests), process)
        process.kill()
        process.communicate()
        assert _status(spool)["destination"] == kind
        code, report, _ = _drain(spool, "--base-url", server.base_url)
        assert (code, report["delivered"]) == (0, 1)
        (event,) = klaviyo_events(server.recorded)
    assert (event.event_name, event.email, event.properties) == ("Bought", "a@shop.dev", {"n": 1})


def test_what_a_spool_has_to_say_is_shown() -> None:
    """What was saved of damage, and that it cannot be written; that something was delivered is no news."""
    said: list[str] = []
    given_up: list[Exception] = []
    remarks = SpoolRemarks(said.append)
    remarks(RetryPlanned(record_id=1, event_name="a", attempt=1, delay=0, error=AuthenticationError("no", status=401)))
    remarks.hopeless = given_up.append
    remarks(SpoolOpened(records=2, remarks=("3 pages were lost",)))
    remarks(SpoolChanged(writable=False, error=OSError("no space")))
    remarks(SpoolChanged(writable=True, error=None))
    for _ in range(4):
        remarks(_ended("rejected", NotFoundError("no project", status=404)))
    remarks(_ended("delivered", None))
    assert said == [
        "3 pages were lost",
        "the spool cannot be written; it is tried again: no space",
        "the spool can be written again",
    ]
    assert [type(error) for error in given_up] == [NotFoundError]


def _ended(end: str, error: Exception | None) -> RecordEnded:
    return RecordEnded(
        record_id=1, event_name="a", end=end, attempts=1, waited=0, records=1, maybe_applied=False, error=error
    )


def test_a_wrong_project_stops_a_load_before_the_spool_is_empty(tmp_path: Path) -> None:
    """What an earlier run left is not turned into dead letters one by one; the report says what is left of it."""
    spool = tmp_path / "spool.db"
    _fill(spool, *map(_record, range(1, 201)))
    with serving() as server:
        options = ("--spool", spool, "--project-key", "other", "--concurrency", 2)
        result = call("load", _file(tmp_path, 5), *options)
        assert len(server.recorded) == 0
    found = _status(spool)
    assert result.exit_code == 1
    assert 200 <= found["records"] + found["dead"] <= 205  # as far as the file was read
    assert found["dead"] < 50
    assert f"from spool 0 delivered, {found['dead']} failed, {200 - found['dead']} left" in result.stdout
    assert "stopped, because no line can be delivered: HTTP 404" in result.stdout
    assert f"{found['records']} events are in the spool; mida spool drain {spool} delivers them" in result.stdout


def test_an_error_of_the_buffer_ends_a_load(tmp_path: Path) -> None:
    """However many lines were being handed over at that moment."""

    class Broken:
        async def record(self, **_event: Any) -> asyncio.Future[Receipt]:
            message = "it broke"
            raise BufferFullError(message)

        async def flush(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
            pass

        async def aclose(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
            pass

    source = Source(str(_file(tmp_path, 3)), "jsonl")
    job = Job(
        source=source,
        marks=Marks(),
        arguments=lambda event: event.arguments,
        resumable=False,
        dead_letters=None,
        remark=lambda _: None,
        spooled=True,
    )
    with pytest.raises(BufferFullError, match="it broke"):
        asyncio.run(Loader(job, Broken()).run())
    source.close()


def test_marks_know_what_was_handed_over() -> None:
    """Such a line is not open, whatever becomes of it."""
    marks = Marks()
    for number in (1, 2, 3, 4):
        marks.begin(number)
    for number in (1, 2, 3):
        marks.hand_over(number)
    marks.deliver(1)
    marks.fail(2, "no")
    assert (marks.open, marks.spooled, marks.delivered, marks.failed.total()) == ({4}, 1, 1, 1)
    assert attrs.evolve(Marks.from_json(marks.as_json()), run_id=marks.run_id) == marks
    marks.fail(4, "no")
    marks.finish()
    assert (marks.complete, marks.spooled, marks.wants(3)) == (True, 1, False)
