"""``mida SECTION VERB``: every endpoint has a command that sends what its method sends, and prints what comes back."""

from __future__ import annotations

import inspect
import json
import os
import pty
import re
import shlex
import string
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import attrs
import pytest
from cli_caller import ROOT, call, serving
from resource_calls import API_KEY, PROJECT_KEY
from test_wire_samples import identify, label
from wire import SAMPLES

from mida_async import MidaClient
from mida_async._cli import confirmations
from mida_async._cli.confirmations import CONFIRMATIONS, is_asked_about, question_for
from mida_async._cli.parameters import Argument, arguments_of
from mida_async._cli.resources import SECTIONS
from mida_async._cli.text import printable
from mida_async._core.endpoints.table import ENDPOINTS
from mida_async._sentinels import UNSET
from mida_async.models import Model
from mida_async.testing import Status

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from pathlib import Path

    from wire.base import Sample

    from mida_async._core.endpoints import Endpoint
    from mida_async.testing import Emulator

ROWS = tuple(ENDPOINTS.values())
EACH_ROW = pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
EACH_QUESTION = pytest.mark.parametrize("name", CONFIRMATIONS)
KINDS = {"text", "texts", "whole", "number", "flag", "day", "object", "objects", "json"}


@pytest.fixture(scope="module")
def server() -> Generator[Emulator]:
    """Run one emulator for all tests; each plays its own answers."""
    with serving(project_key=PROJECT_KEY, api_key=API_KEY) as emulator:
        yield emulator


@pytest.fixture
def _surroundings(server: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    server.clear_script()
    server.requests.clear()
    for name, value in (("BASE_URL", server.base_url), ("PROJECT_KEY", PROJECT_KEY), ("API_KEY", API_KEY)):
        monkeypatch.setenv(f"MIDA_{name}", value)


WITH_SERVER = pytest.mark.usefixtures("_surroundings")


def words_of(row: Endpoint) -> list[str]:
    """Return the two words that are the command of *row*."""
    return [row.section.replace("_", "-"), row.verb.replace("_", "-")]


def arguments(row: Endpoint) -> tuple[Argument, ...]:
    """Return what the command of *row* takes."""
    return arguments_of(row, SECTIONS[row.section][0])


def squeezed(text: str) -> str:
    """Return *text* without blanks, because help breaks its lines where it likes."""
    return re.sub(r"\s", "", text)


class Listener:
    """A client that only remembers what it is asked."""

    def __init__(self, heard: list[tuple[str, tuple[Any, ...], dict[str, Any]]], name: str = "") -> None:
        self._heard, self._name = heard, name

    def __getattr__(self, name: str) -> Listener:
        return Listener(self._heard, f"{self._name}.{name}".lstrip("."))

    def __call__(self, *positional: object, **keywords: object) -> None:
        """Remember one call."""
        self._heard.append((self._name, positional, keywords))


def typed(sample: Sample) -> list[str]:
    """Return the command line that stands for the call of *sample*."""
    heard: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
    listener: Any = Listener(heard)
    sample.call(listener)
    ((name, positional, keywords),) = heard
    assert name == sample.endpoint
    row = ENDPOINTS[name]
    method = getattr(SECTIONS[row.section][0], row.verb)
    values = inspect.signature(method).bind(None, *positional, **keywords).arguments
    given = [(each, values[each.name]) for each in arguments(row) if values.get(each.name, UNSET) is not UNSET]
    options = [word for each, value in given if not each.positional for word in _option(each, value)]
    alone = [word for each, value in given if each.positional and value is not None for word in _words(each, value)]
    yes = ["--yes"] if name in CONFIRMATIONS else []
    return [*words_of(row), *options, *yes, "--json", *(["--", *alone] if alone else [])]


def asked(name: str) -> list[str]:
    """Return a command line that is right and that is asked about."""
    words = next(typed(sample) for sample in SAMPLES if sample.endpoint == name)
    published = ["--status", "live"] if name == "experiments.create" else []
    return [*(word for word in words if word not in {"--yes", "--json"}), *published]


def _option(argument: Argument, value: object) -> list[str]:
    if value is None:
        return ["--null", argument.dashed] if argument.clearable else []
    if argument.field.kind.name == "flag":
        return [f"--{argument.dashed}" if value else f"--no-{argument.dashed}"]
    words = _words(argument, value)
    return [part for word in words for part in (f"--{argument.dashed}", word)] or ["--empty", argument.dashed]


def _words(argument: Argument, value: Any) -> list[str]:
    kind = argument.field.kind
    sent = kind.check(argument.name, value)
    if argument.several and isinstance(value, (list, tuple)) and (len(value) != 1 or isinstance(sent, list)):
        return [str(each) for each in value]
    is_json = kind.name in {"object", "objects", "json"} and "contentMediaType" not in kind.schema
    return [json.dumps(sent) if is_json else str(sent)]


def content(value: Any) -> Any:
    """Return what the JSON of a result must say."""
    if isinstance(value, Model):
        return {name: content(item) for name, item in _named(value) if name != "extra" and item is not UNSET} | content(
            value.extra
        )
    if isinstance(value, dict) or hasattr(value, "items"):
        return {name: content(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [content(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


def _named(value: Model) -> Iterator[tuple[str, object]]:
    for field in attrs.fields(type(value)):
        yield field.name, getattr(value, field.name)


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts of a result: its own, and those of the rows that it is or has."""
    tables = [item for item in value.values() if isinstance(item, list)] if isinstance(value, dict) else [value]
    rows = [row for table in tables if isinstance(table, list) for row in table]
    own = [item for name, item in value.items() if not name.endswith("_text")] if isinstance(value, dict) else tables
    inner = [item for row in rows for item in (row.values() if isinstance(row, dict) else [row])]
    yield from (printable(text) for text in (*own, *inner) if isinstance(text, str))


# The table.


def test_every_section_of_the_table_is_a_group() -> None:
    """And its class is the one that the client has."""
    mida = MidaClient("p", "k", base_url="http://127.0.0.1")
    assert set(SECTIONS) == {row.section for row in ROWS}
    assert {name: type(getattr(mida, name)) for name in SECTIONS} == {name: cls for name, (cls, _) in SECTIONS.items()}


def test_the_help_names_every_section_in_one_line() -> None:
    """With what it is about, in full."""
    lines = call("--help").stdout.splitlines()
    for name, (_, text) in SECTIONS.items():
        assert [line.split(maxsplit=1) for line in lines].count([name.replace("_", "-"), text]) == 1
        assert call(name.replace("_", "-"), "--help").exit_code == 0


@EACH_ROW
def test_every_endpoint_has_a_command_that_explains_itself(row: Endpoint) -> None:
    """Its help says what it does, what each argument means and where that is documented."""
    section, verb = words_of(row)
    result = call(section, verb, "--help")
    assert result.exit_code == 0, result.output
    text = squeezed(result.stdout)
    assert squeezed(row.summary) in text
    assert row.page is None or row.page in text
    assert verb in call(section, "--help").stdout
    for argument in arguments(row):
        assert squeezed(argument.field.help) in text
        shown = argument.name.upper() if argument.positional else f"--{argument.dashed}"
        assert shown in text
    assert ("--yes" in text) == (row.name in CONFIRMATIONS)


def test_the_help_shows_what_is_shared_after_what_is_particular() -> None:
    """The sections of the API apart from what the command does of its own; the options of the connection last."""
    text = call("--help").stdout
    found = re.findall(r"^(?:\S.*:|  [a-z-]+(?=  ))", text, re.MULTILINE)
    tools = [f"  {name}" for name in ("load", "spool", "demo", "emulator", "request")]
    sections = [f"  {name.replace('_', '-')}" for name in SECTIONS]
    assert found[found.index("Commands:") :] == ["Commands:", *tools, "The API, section by section:", *sections]
    for words in (["goals", "delete"], ["request"], ["load"]):
        headings = re.findall(r"^(\S.*):$", call(*words, "--help").stdout, re.MULTILINE)
        assert headings[-2:] == ["Options", "Connection"]
    assert re.findall(
        r"^  (?:TEST|TRAFFIC)_\w+ +", call("experiments", "set-rollout", "--help").stdout, re.MULTILINE
    ) == [
        "  TEST_ID             ",
        "  TRAFFIC_ALLOCATION  ",
    ]


@EACH_ROW
def test_the_help_shows_how_json_is_written(row: Endpoint) -> None:
    """In one line that can be copied, for each argument that is JSON; the command takes what it shows."""
    text = call(*words_of(row), "--help").stdout
    for argument in arguments(row):
        if argument.field.kind.name in {"object", "objects", "json"}:
            name = argument.name.upper() if argument.positional else f"--{argument.dashed}"
            (line,) = [line for line in text.splitlines() if line.startswith(f"  {name} '")]
            (example,) = shlex.split(line.removeprefix(f"  {name} "))
            argument.field.kind.check(argument.name, json.loads(example))


@EACH_ROW
def test_a_command_takes_what_its_method_takes(row: Endpoint) -> None:
    """What the method takes by position stands alone, the rest are options; every field of the table can be given."""
    parameters = inspect.signature(getattr(SECTIONS[row.section][0], row.verb)).parameters
    found = arguments(row)
    assert {argument.field.name for argument in found} == {field.name for field in row.fields}
    assert {argument.name for argument in found} == set(parameters) - {"self", "default"}
    for argument in found:
        parameter = parameters[argument.name]
        assert argument.positional == (parameter.kind is parameter.POSITIONAL_OR_KEYWORD)
        assert argument.required == (parameter.default is parameter.empty)
        assert argument.field.kind.name in KINDS


@EACH_ROW
def test_only_lists_with_pages_have_all(row: Endpoint) -> None:
    """``--all`` is there where the client can go through all pages; ``--null`` where something can be null."""
    words = call(*words_of(row), "--help").stdout.split()
    section = SECTIONS[row.section][0]
    assert ("--all" in words) == (row.verb == "list" and hasattr(section, "iter"))
    assert ("--null" in words) == (row.partial and any(field.nullable for field in row.fields))


def test_underscores_do_as_well_as_dashes() -> None:
    """Whoever types the names of the client is understood."""
    assert call("exclusion_groups", "list", "--help").exit_code == 0
    assert call("experiments", "set_status", "--help").exit_code == 0
    assert call("goals", "set-fire").exit_code == 2


@WITH_SERVER
@pytest.mark.parametrize("sample", SAMPLES, ids=identify(SAMPLES))
def test_a_command_sends_what_its_method_sends(server: Emulator, sample: Sample) -> None:
    """The documented request goes out, and ``--json`` prints what the method returns."""
    server.script(Status(ENDPOINTS[sample.endpoint].status, body=json.dumps(sample.answer)))
    result = call(*typed(sample))
    assert result.exit_code == 0, result.stderr
    (request,) = server.requests
    assert label(request) == sample.sent
    assert (json.loads(request.body) if request.body else None) == sample.body
    assert json.loads(result.stdout) == json.loads(json.dumps(content(sample.result)))


@WITH_SERVER
@pytest.mark.parametrize("sample", SAMPLES, ids=identify(SAMPLES))
def test_a_command_prints_a_table_for_people(server: Emulator, sample: Sample) -> None:
    """Every text of the result is in it, and those of its rows; a list shows nothing but its rows."""
    row = ENDPOINTS[sample.endpoint]
    server.script(Status(row.status, body=json.dumps(sample.answer)))
    result = call(*(word for word in typed(sample) if word != "--json"))
    assert result.exit_code == 0, result.stderr
    shown = content(sample.result)
    for text in _texts(shown[row.rows] if row.rows and row.verb.startswith("list") else shown):
        assert text in result.stdout


# Questions.


def test_everything_that_deletes_is_asked_about() -> None:
    """And nothing is asked about that is not in the table."""
    deleting = {row.name for row in ROWS if row.method == "DELETE" or row.verb.startswith("delete")}
    assert deleting <= set(CONFIRMATIONS) <= set(ENDPOINTS)


@EACH_QUESTION
def test_a_question_names_only_what_must_be_given(name: str) -> None:
    """So it can always be put in words."""
    required = {argument.name for argument in arguments(ENDPOINTS[name]) if argument.required}
    assert {field for _, field, _, _ in string.Formatter().parse(CONFIRMATIONS[name].question) if field} <= required


@WITH_SERVER
@EACH_QUESTION
def test_without_a_terminal_nothing_is_done_unasked(server: Emulator, name: str) -> None:
    """One line says what would be asked and that there is ``--yes``; nothing waits for an answer."""
    result = call(*asked(name), stdin="y\n")
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert "--yes" in result.stderr
    assert list(server.requests) == []


@WITH_SERVER
@EACH_QUESTION
def test_a_no_sends_nothing(server: Emulator, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """And ends with the exit code of something that was stopped."""
    monkeypatch.setattr(confirmations, "_somebody_is_there", lambda: True)
    result = call(*asked(name), stdin="n\n")
    assert result.exit_code == 130
    assert " [y/N]: " in result.stderr
    assert list(server.requests) == []


@WITH_SERVER
def test_a_yes_goes_on(server: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The question is put once, and not in what is printed for machines."""
    monkeypatch.setattr(confirmations, "_somebody_is_there", lambda: True)
    server.script(Status(200, body={"success": True, "goal_profile_id": 3, "deleted": True}))
    result = call("goals", "delete", "3", "--json", stdin="y\n")
    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith("Delete goal 3? Live experiments may use it. [y/N]: ")
    assert json.loads(result.stdout)["deleted"] is True
    assert [request.method for request in server.requests] == ["DELETE"]


@pytest.mark.parametrize(
    ("name", "given", "asked"),
    [
        ("experiments.create", {}, False),
        ("experiments.create", {"status": "9"}, False),
        ("experiments.create", {"status": 0}, False),
        ("experiments.create", {"status": "draft"}, False),
        ("experiments.create", {"status": "1"}, True),
        ("experiments.create", {"status": "live"}, True),
        ("experiments.create", {"status": 1}, True),
        ("experiments.set_status", {"status": "9"}, False),
        ("experiments.set_status", {"status": "draft"}, False),
        ("experiments.set_status", {"status": "inactive"}, True),
        ("experiments.set_status", {"status": 0}, True),
        ("experiments.set_status", {"status": "live"}, True),
        ("experiments.set_status", {"status": [1]}, True),
        ("experiments.update", {"test_id": 1}, False),
        ("goals.list", {}, False),
    ],
)
def test_only_what_visitors_notice_is_asked_about(name: str, given: Mapping[str, object], *, asked: bool) -> None:
    """A draft disturbs nobody; what is not known might."""
    assert is_asked_about(name, given) is asked


def test_a_question_cannot_forge_a_line() -> None:
    """What was typed is shown as it is."""
    assert question_for("projects.delete", {"project_key": "a\x1b[2J"}).startswith(r"Delete project a\x1b[2J with")


@pytest.mark.parametrize("closed", ["stdin", "stderr"])
def test_a_closed_stream_is_nobody(monkeypatch: pytest.MonkeyPatch, closed: str) -> None:
    """Python has None for it."""
    monkeypatch.setattr(f"sys.{closed}", None)
    assert confirmations._somebody_is_there() is False


@WITH_SERVER
def test_on_a_terminal_the_question_is_asked(server: Emulator) -> None:
    """With the answer no, nothing is sent."""
    terminal, other_end = pty.openpty()
    command = [sys.executable, "-m", "mida_async", "goals", "delete", "3"]
    with subprocess.Popen(command, cwd=ROOT, stdin=other_end, stdout=subprocess.PIPE, stderr=other_end) as process:  # noqa: S603
        os.close(other_end)
        shown = b""
        while b"[y/N]: " not in shown:
            shown += os.read(terminal, 1000)
        os.write(terminal, b"n\n")
        printed, _ = process.communicate(timeout=20)
    os.close(terminal)
    assert (process.returncode, printed.strip()) == (130, b"")
    assert list(server.requests) == []


@WITH_SERVER
def test_a_question_that_was_broken_off_ends_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said after Ctrl-D stands in a line of its own."""
    monkeypatch.setattr(confirmations, "_somebody_is_there", lambda: True)
    result = call("goals", "delete", "3", stdin="")
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-2:] == ["Delete goal 3? Live experiments may use it. [y/N]: ", "mida: stopped"]


@WITH_SERVER
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["goals", "update", "3"], "nothing to change"),
        (["experiments", "set-status", "3", "soon"], "status is 'soon'"),
        (["experiments", "set-rollout", "3", "101"], "traffic_allocation is 101"),
        (["goals", "delete", "3", "--region", "mars"], "region is 'mars'"),
        (["request", "DELETE", "goal/3", "--region", "mars"], "region is 'mars'"),
    ],
)
def test_nobody_is_asked_about_what_cannot_be_sent(
    server: Emulator, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    """A yes to it would be wasted."""
    monkeypatch.setattr(confirmations, "_somebody_is_there", lambda: True)
    result = call(*words, stdin="y\n")
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert message in result.stderr
    assert list(server.requests) == []


# What was typed.


@WITH_SERVER
@pytest.mark.parametrize(
    ("words", "sent"),
    [
        ("experiments metrics 1 --metric-keys a,b", {"metric_keys": "a,b"}),
        ("experiments metrics 1 --metric-keys a --metric-keys b", {"metric_keys": '["a","b"]'}),
        ("experiments metrics 1 --metric-batch 0,2", {"metric_batch": "0,2"}),
        ("experiments metrics 1 --metric-batch 0 --metric-batch 2", {"metric_batch": "[0,2]"}),
        ("experiments result 1 --filter-by mobile --filter-by country-US", {"filter_by": "mobile,country-US"}),
        ("experiments result 1 --tz -5", {"tz": "-5"}),
        ("projects list --limit 2 --no-include-inactive", {"limit": "2", "offset": "0", "include_inactive": "false"}),
        ("projects list --include-inactive", {"limit": "100", "offset": "0", "include_inactive": "true"}),
    ],
)
def test_options_become_the_query(server: Emulator, words: str, sent: dict[str, str]) -> None:
    """One text may be a list in itself; several make a list."""
    server.script(Status(400, body={"error": "enough"}))
    call(*words.split())
    (request,) = server.requests
    assert dict(parse_qsl(request.query_string)) == sent


@WITH_SERVER
@pytest.mark.parametrize(
    ("words", "sent"),
    [
        (["experiments", "update", "1", "--tags", "a"], {"tags": ["a"]}),
        (["experiments", "update", "1", "--empty", "tags", "--null", "custom-js"], {"tags": [], "custom_js": None}),
        (["projects", "update", "--name", "x", "other"], {"name": "x"}),
        (["projects", "update-configuration", "--confidence-level", "95"], {"confidence_level": 95}),
        (["projects", "update-configuration", "--confidence-level", "97.5"], {"confidence_level": 97.5}),
        (["events", "record", "a", "--id", "1", "--properties", "@FILE"], {"event_name": "a", "id": "1"}),
    ],
)
def test_options_become_the_body(server: Emulator, tmp_path: Path, words: list[str], sent: dict[str, object]) -> None:
    """Numbers stay as they were written, and a file's JSON is as good as one in the line."""
    file = tmp_path / "properties.json"
    file.write_text('\ufeff{"n": 1}', encoding="utf-8")
    server.script(Status(400, body={"error": "enough"}))
    call(*(word.replace("FILE", str(file)) for word in words))
    (request,) = server.requests
    body = json.loads(request.body)
    assert body.pop("properties", {"n": 1}) == {"n": 1}
    assert body == sent
    assert not (isinstance(sent.get("confidence_level"), int) and b"." in request.body)


@WITH_SERVER
def test_the_key_of_another_project_is_not_the_key_of_the_client(server: Emulator) -> None:
    """The option and the argument of one name keep apart."""
    server.script(Status(404, body={"error": "enough"}, times=2))
    call("projects", "get", "other", "--project-key", "own")
    call("projects", "get", "--project-key", "own")
    assert [request.path for request in server.requests] == ["/v2/project/other", "/v2/project/own"]


# mida request.


@WITH_SERVER
@pytest.mark.parametrize(
    ("words", "sent", "body"),
    [
        (["get", "events", "--query", "a=1", "--query", "b=x=y", "--query", "a=2"], "GET P/events?a=1&a=2&b=x%3Dy", ""),
        (["POST", "new-thing", "--json-body", '{"a": [1]}'], "POST P/new-thing", '{"a":[1]}'),
        (
            ["PATCH", "experiment/1/status", "--json-body", '{"status": 9}'],
            "PATCH P/experiment/1/status",
            '{"status":9}',
        ),
        (["PATCH", "experiment/1", "--json-body", "[]"], "PATCH P/experiment/1", "[]"),
        (["DELETE", "goal/1", "--yes"], "DELETE P/goal/1", ""),
    ],
)
def test_any_call_can_be_made(server: Emulator, words: list[str], sent: str, body: str) -> None:
    """With the client's checks, and the decoded answer as the result."""
    server.script(Status(200, body={"success": True, "rows": [{"n": 1}]}))
    result = call("request", *words, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == {"success": True, "rows": [{"n": 1}]}
    (request,) = server.requests
    assert (label(request), request.body.decode()) == (sent, body)


@WITH_SERVER
@pytest.mark.parametrize(
    "words",
    [
        ["delete", "goal/1"],
        ["DELETE", "something/new"],
        ["DELETE", "/v2/project/{project_key}"],
        ["POST", "experiment/1/serve-winner", "--json-body", '{"variant_id": "1"}'],
        ["POST", "experiment/1/stop-serving"],
        ["PATCH", "experiment/1/status", "--json-body", '{"status": 1}'],
        ["PATCH", "experiment/1/status", "--json-body", '{"status": [1]}'],
        ["POST", "create-experiment", "--json-body", '{"status": 1}'],
    ],
)
def test_a_bare_call_is_no_way_round_a_question(server: Emulator, words: list[str]) -> None:
    """What a command asks about is asked about here, too; and everything that is deleted."""
    result = call("request", *words)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert f"{words[0].upper()} /v2/project/{PROJECT_KEY}" in result.stderr
    assert "--yes" in result.stderr
    assert list(server.requests) == []


def test_a_bare_call_needs_a_project() -> None:
    """A question that could not be meant is not put."""
    result = call("request", "GET", "events")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "MIDA_REGION" in result.stderr


# docs/command-line.md.

PAGE = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")


def test_the_page_names_every_group_and_verb() -> None:
    """Its table is the one that the code has."""
    for name, (_, text) in SECTIONS.items():
        verbs = " ".join(words_of(row)[1] for row in ROWS if row.section == name)
        assert f"| `mida {name.replace('_', '-')}` | {text} | `{verbs}` |\n" in PAGE


def test_the_page_names_every_question() -> None:
    """In the words that are asked, with the arguments as the help names them."""
    for name, confirmation in CONFIRMATIONS.items():
        question = re.sub(r"\{(\w+)\}", lambda found: found[1].upper(), confirmation.question)
        assert f"| `{' '.join(words_of(ENDPOINTS[name]))}` | {question} |\n" in PAGE


def test_the_commands_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, against an emulator."""
    lines = [line for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    commands = [line.removeprefix("$ mida ") for line in lines if not line.startswith("$ mida load")]
    (variants,) = re.findall(r"Here `variants.json` holds `(.*)`", PAGE)
    (tmp_path / "variants.json").write_text(variants)
    monkeypatch.chdir(tmp_path)
    with serving() as emulator:
        for command in commands:
            made = next((row["test_id"] for row in _experiments(emulator)), "none")
            result = call(*shlex.split(re.sub(r"\b123\b", str(made), command)))
            assert result.exit_code == 0, (command, result.stderr)
            assert result.stdout.strip()


def _experiments(emulator: Emulator) -> list[dict[str, Any]]:
    path = f"{emulator.base_url}/v2/project/demo/experiments"
    request = urllib.request.Request(path, headers={"authorization": "Bearer secret-key"})  # noqa: S310
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        found: list[dict[str, Any]] = json.load(answer)["experiments"]
    return found
