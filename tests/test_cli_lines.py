"""What ``mida load`` reads: lines, JSON, CSV, gzip and pipes."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mida_async._cli.lines import Line, LineSplitter
from mida_async._cli.records import BadLine, Event, InputError, JSONLinesDecoder, bad
from mida_async._cli.sample import sample_events
from mida_async._cli.source import BrokenInputError, Source, guess_format
from mida_async._cli.table import CSVDecoder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mida_async._cli.records import Decoder


def _split(data: bytes, cuts: Iterable[int], limit: int = 2**20) -> list[Line]:
    splitter, lines, start = LineSplitter(limit), list[Line](), 0
    for cut in [*sorted(cuts), len(data)]:
        lines += splitter.feed(data[start:cut])
        start = max(start, cut)
    return lines + splitter.finish()


def _decode(decoder: Decoder, text: bytes) -> list[Event | BadLine]:
    found = [item for line in _split(text, ()) for item in decoder.feed(line)]
    return found + decoder.finish()


def _read(path: Path, format: str = "jsonl") -> list[Event | BadLine]:  # noqa: A002
    source = Source(str(path), "csv" if format == "csv" else "jsonl")
    try:
        return [item for batch in source.batches() for item in batch]
    finally:
        source.close()


@given(
    st.lists(st.sampled_from([b"a", b"\n", b"\r", b"xyz", b"\xff"])), st.lists(st.integers(0, 60)), st.integers(1, 8)
)
def test_lines_do_not_depend_on_how_the_stream_is_cut(pieces: list[bytes], cuts: list[int], limit: int) -> None:
    """The same bytes give the same lines, numbered from 1, however they arrive, and none is longer than the limit."""
    data = b"".join(pieces)
    expected = data.split(b"\n")
    if not expected[-1]:
        expected.pop()
    bare = [line.removesuffix(b"\r") for line in expected]
    lines = _split(data, [min(cut, len(data)) for cut in cuts], limit)
    assert [line.number for line in lines] == list(range(1, len(bare) + 1))
    assert [line.data for line in lines if not line.too_long] == [line for line in bare if len(line) <= limit]
    assert all(len(line.data) <= limit for line in lines)
    assert [line.too_long for line in lines] == [len(line) > limit for line in bare]


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    """Files from other systems often begin with one."""
    assert _split(b"\xef\xbb\xbf{}\n\xef\xbb\xbf", ()) == [Line(1, b"{}"), Line(2, b"\xef\xbb\xbf")]


def test_a_line_of_json_becomes_what_record_takes() -> None:
    """Fields that are not sent, and nulls, are left out."""
    row = {"event_name": "a", "id": "u", "email": None, "properties": {"n": 1}, "unique_id": "x", "occurred_at": "2015"}
    [event] = _decode(JSONLinesDecoder(), json.dumps(row).encode())
    assert isinstance(event, Event)
    assert event.number == 1
    assert event.arguments == {"event_name": "a", "id": "u", "properties": {"n": 1}, "unique_id": "x"}
    assert event.given["occurred_at"] == "2015"


@pytest.mark.parametrize(
    ("text", "reason", "detail"),
    [
        (b"{", "not JSON", "not JSON: Expecting"),
        (b'{"event_name": NaN}', "not JSON", "NaN is not JSON"),
        (b"[" * 100_000, "not JSON", "nested too deeply"),
        (b'{"n": ' + b"1" * 5000 + b"}", "not JSON", "not JSON: "),
        (b'{"event_name": "\xff"}', "not UTF-8", "byte 17 is not UTF-8"),
        (b"[1]", "not an object", "a JSON array"),
        (b'"x"', "not an object", "a JSON string"),
        (b"null", "not an object", "a JSON boolean or null"),
        (b"1", "not an object", "a JSON number"),
        (b"{}", "no event_name", "it has no event_name"),
        (b'{"reason": "x", "event": 1}', "no event_name", "it has no event_name"),
    ],
)
def test_a_line_that_holds_no_event_says_why(text: bytes, reason: str, detail: str) -> None:
    """Each fault has its kind and its own words, and keeps the line's text."""
    [line] = _decode(JSONLinesDecoder(), text)
    assert isinstance(line, BadLine)
    assert line.reason == reason
    assert detail in line.detail
    assert line.raw


def test_blank_lines_are_passed_over_and_counted() -> None:
    """The line after two blank ones is line 3."""
    [event] = _decode(JSONLinesDecoder(), b'\n  \t\n{"event_name": "a", "id": "u"}\n')
    assert event.number == 3


def test_a_line_that_is_too_long_is_reported_and_the_next_one_is_read() -> None:
    """Only its beginning was kept."""
    decoder = JSONLinesDecoder()
    [line] = decoder.feed(Line(1, b"abc", too_long=True))
    assert isinstance(line, BadLine)
    assert (line.reason, line.detail, line.raw) == ("too long", "it is longer than 4 MiB", "abc")
    [cell] = _csv_after_header(Line(2, b"abc", too_long=True))
    assert isinstance(cell, BadLine)
    assert cell.reason == "too long"


def _csv_after_header(line: Line) -> list[Event | BadLine]:
    decoder = CSVDecoder()
    assert decoder.feed(Line(1, b"event_name,id")) == []
    return decoder.feed(line)


def test_a_dead_letter_line_can_be_loaded_again() -> None:
    """The event is taken out of it."""
    [event] = _decode(JSONLinesDecoder(), b'{"line": 3, "reason": "x", "event": {"event_name": "a", "id": "u"}}')
    assert isinstance(event, Event)
    assert event.arguments == {"event_name": "a", "id": "u"}


_CELL = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=8)


@given(st.lists(st.tuples(_CELL.filter(bool), _CELL, st.dictionaries(_CELL, _CELL, max_size=2)), max_size=12))
def test_csv_reads_what_csv_writes(rows: list[tuple[str, str, dict[str, str]]]) -> None:
    """Quotes, commas and line ends inside cells come back; a row is named by its first line."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["event_name", "id", "properties"])
    starts: list[int] = []
    for name, visitor, properties in rows:
        starts.append(file.getvalue().count("\n") + 1)
        writer.writerow([name, visitor, json.dumps(properties)])
    found = _decode(CSVDecoder(), file.getvalue().encode())
    events = [item for item in found if isinstance(item, Event)]
    assert len(events) == len(found)
    assert [event.number for event in events] == starts
    assert [event.given for event in events] == [
        {"event_name": name, **({"id": visitor} if visitor else {}), "properties": properties}
        for name, visitor, properties in rows
    ]


_HEADER = b"event_name,id,properties\n"
_GOOD = b'a,u,"{""n"": 1}"\n'


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"a\n", "not CSV"),
        (b"a,u,{},more\n", "not CSV"),
        (b'a,"u"x,\n', "not CSV"),
        (b'a,"u,\n', "not CSV"),
        (b",u,\n", "no event_name"),
        (b"a,u,{\n", "not JSON"),
        (b"a,\xff,\n", "not UTF-8"),
        (b'a,"\xff,\n', "not UTF-8"),
    ],
)
def test_a_row_that_cannot_be_read_costs_its_own_line_only(row: bytes, reason: str) -> None:
    """The rows before and after it are read, even where it opens a quote that nothing closes."""
    found = _decode(CSVDecoder(), _HEADER + _GOOD + row + _GOOD + b"\n" + _GOOD)
    assert [(item.number, isinstance(item, Event)) for item in found] == [(2, True), (3, False), (4, True), (6, True)]
    broken = found[1]
    assert isinstance(broken, BadLine)
    assert broken.reason == reason


def test_a_quote_inside_an_unquoted_cell_is_a_character() -> None:
    """It does not start to swallow lines."""
    found = _decode(CSVDecoder(), b'event_name,id\n5" screen,u\nb,v\n')
    assert [item.given["event_name"] for item in found if isinstance(item, Event)] == ['5" screen', "b"]


def test_a_quote_that_is_never_closed_is_given_up_after_a_thousand_lines() -> None:
    """Memory is bounded, and nothing after the broken row is lost."""
    found = _decode(CSVDecoder(), b'event_name,id\n"a,u\n' + b"b,v\n" * 2500)
    assert isinstance(found[0], BadLine)
    assert len(found) == 2501
    assert all(isinstance(item, Event) for item in found[1:])


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"name,id\n", "must name event_name"),
        (b"event_name,user\n", "at least one of mida_uuid, email, id"),
        (b"event_name,id,id\n", "names id more than once"),
        (b"event_name;" * 50 + b"\n", r"\.\.\.$"),
        (b"event_name,\xff\n", "cannot be read"),
    ],
)
def test_a_header_that_is_none_ends_the_load_before_it_begins(header: bytes, message: str) -> None:
    """Without it no row means anything."""
    with pytest.raises(InputError, match=message):
        _decode(CSVDecoder(), header + b"a,b\n")


def test_bytes_that_are_not_text_are_shown_as_escapes() -> None:
    """So that the line can be found and mended."""
    assert bad(Line(1, b"a\xffb"), "x", "y").raw == "a\\xffb"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.csv", "csv"), ("a.CSV.gz", "csv"), ("a.jsonl", "jsonl"), ("a.ndjson.gz", "jsonl"), ("-", "jsonl")],
)
def test_the_format_follows_from_the_name(name: str, expected: str) -> None:
    """What is not CSV is taken for JSON lines."""
    assert guess_format(name) == expected


def _lines_of(events: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def test_a_gzip_file_is_read_whatever_its_name(tmp_path: Path) -> None:
    """Its first bytes say what it is; its position is that of the compressed bytes."""
    events = list(sample_events(2000))
    path = tmp_path / "events.jsonl"
    path.write_bytes(gzip.compress(_lines_of(events)))
    source = Source(str(path), "jsonl")
    found = [item.given for batch in source.batches() for item in batch if isinstance(item, Event)]
    assert found == events
    assert source.position == source.size == path.stat().st_size
    source.close()
    assert source.position == 0


def test_a_gzip_file_that_was_cut_short_gives_what_is_there(tmp_path: Path) -> None:
    """Then it says that it is broken."""
    path = tmp_path / "events.jsonl.gz"
    path.write_bytes(gzip.compress(_lines_of(sample_events(5000)))[:-2000])
    source, found = Source(str(path), "jsonl"), list[list[Event | BadLine]]()
    batches = source.batches()
    with pytest.raises(BrokenInputError, match="end-of-stream"):
        found.extend(batches)
    source.close()
    assert sum(map(len, found)) > 1000


def test_two_files_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    """By length, beginning and end; reading for that does not move the position."""
    path = tmp_path / "events.jsonl"
    seen = []
    for content in (b"a" * 200_000, b"b" + b"a" * 199_999, b"a" * 199_999 + b"b", b"a" * 200_001):
        path.write_bytes(content)
        source = Source(str(path), "jsonl")
        seen.append(source.identity())
        assert source.position == 0
        source.close()
    assert len(set(seen)) == 4


def test_a_pipe_gives_lines_as_they_come_and_can_be_told_to_stop(tmp_path: Path) -> None:
    """A reader that waits for more returns soon after the stop, without an error."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: opened.append(os.open(path, os.O_WRONLY)))
    opened: list[int] = []
    writer.start()
    source = Source(str(path), "jsonl")
    writer.join()
    assert source.size is None
    assert source.identity().digest == ""
    assert source.position == 0
    os.write(opened[0], b'{"event_name": "a", "id": "u"}\n{"ev')
    batches = source.batches()
    assert [item.number for item in next(batches)] == [1]
    threading.Timer(0.05, source.stop).start()
    started = time.monotonic()
    assert list(batches) == []
    assert time.monotonic() - started < 5
    source.close()
    os.close(opened[0])


def test_a_file_without_a_descriptor_can_stand_for_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """Test runners put such a file there, and it stays open."""
    text = io.TextIOWrapper(io.BytesIO(b'{"event_name": "a", "id": "u"}'))
    monkeypatch.setattr("sys.stdin", text)
    source = Source("-", "jsonl")
    assert [item.number for batch in source.batches() for item in batch] == [1]
    source.close()
    assert not text.closed


def test_reading_after_a_stop_gives_nothing(tmp_path: Path) -> None:
    """Not even the last line without a line end."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"event_name": "a", "id": "u"}')
    source = Source(str(path), "jsonl")
    source.stop()
    assert list(source.batches()) == []
    source.close()


def test_a_csv_file_is_read(tmp_path: Path) -> None:
    """Its last row needs no line end."""
    path = tmp_path / "events.csv"
    path.write_bytes(_HEADER + _GOOD + b"b,v,")
    assert [item.number for item in _read(path, "csv")] == [2, 3]
    assert _read(path)[0].number == 1


def test_the_sample_is_the_same_at_every_call() -> None:
    """Its steps count each visitor's events from 1."""
    events = list(sample_events(500))
    assert events == list(sample_events(500))
    steps: dict[str, int] = {}
    for event in events:
        steps[event["id"]] = steps.get(event["id"], 0) + 1
        assert event["properties"]["step"] == steps[event["id"]]
    assert len(steps) == 60
