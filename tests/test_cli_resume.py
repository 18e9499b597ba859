"""What ``mida load`` remembers: the state file, and the dead-letter file."""

from __future__ import annotations

import json
import stat
from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mida_async._cli.dead_letter import DeadLetters
from mida_async._cli.records import BadLine, Event
from mida_async._cli.resume import Marks, StateError, StateFile
from mida_async._cli.source import Identity

if TYPE_CHECKING:
    from pathlib import Path

_INPUT = Identity(path="/data/a.jsonl", format="jsonl", size=100, digest="abc")


def _state(path: Path, source: Identity = _INPUT, target: str = "project demo") -> StateFile:
    return StateFile(path / "state", source=source, target=target)


@given(st.integers(0, 40), st.lists(st.tuples(st.integers(1, 60), st.sampled_from(["deliver", "fail"]))))
def test_a_line_is_wanted_until_it_ends(begun: int, ends: list[tuple[int, str]]) -> None:
    """In whatever order lines end, and through the file and back, exactly the others are wanted again."""
    marks, ended = Marks(), dict[int, str]()
    for number in range(1, begun + 1):
        assert marks.wants(number)
        marks.begin(number)
    for number, how in ends:
        if number <= begun and number not in ended:
            ended[number] = how
            if how == "deliver":
                marks.deliver(number)
            else:
                marks.fail(number, "x")
    again = Marks.from_json(json.loads(json.dumps(marks.as_json())))
    assert again == marks
    assert [number for number in range(1, 62) if not again.wants(number)] == sorted(ended)
    assert (again.delivered, again.failed.total()) == tuple(
        list(ended.values()).count(how) for how in ("deliver", "fail")
    )
    again.finish()
    assert again.complete == (len(ended) == begun)


def test_a_line_that_is_begun_again_does_not_move_the_mark() -> None:
    """The second run begins with the lines that the first one left open."""
    marks = Marks(next_line=10, open={3, 7})
    marks.begin(3)
    marks.deliver(3)
    assert (marks.next_line, marks.open) == (10, {7})


def test_lines_under_way_take_little_room() -> None:
    """Neighbours are written as a range."""
    marks = Marks()
    for number in range(1, 10_001):
        marks.begin(number)
    marks.deliver(5000)
    assert marks.as_json()["open"] == [(1, 4999), (5001, 10_000)]


def test_the_state_file_is_made_at_the_first_save_for_its_owner_only(tmp_path: Path) -> None:
    """It holds what the next run needs, and nothing is left beside it."""
    state = _state(tmp_path)
    assert state.load() == Marks()
    marks = Marks(next_line=5, open={2}, delivered=2, failed=Counter({"not JSON": 1}))
    state.write(state.render(marks))
    assert _state(tmp_path).load() == marks
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_an_older_state_never_takes_the_place_of_a_newer_one(tmp_path: Path) -> None:
    """Two threads may save; who comes late with less is passed over."""
    state = _state(tmp_path)
    older, newer = state.render(Marks(delivered=1)), state.render(Marks(delivered=2))
    state.write(newer)
    state.write(older)
    assert state.load().delivered == 2


def test_an_empty_file_is_a_new_state(tmp_path: Path) -> None:
    """As ``mktemp`` makes it."""
    (tmp_path / "state").touch()
    assert _state(tmp_path).load() == Marks()


@pytest.mark.parametrize(
    "content", ["{", "[]", "1", "{}", '{"mida_load": 2}', '{"mida_load": 1, "next_line": 1}', "[" * 100_000, "\xff"]
)
def test_another_file_is_no_state_and_stays_as_it_is(tmp_path: Path, content: str) -> None:
    """The message says what to do."""
    path = tmp_path / "state"
    path.write_text(content, "latin-1")
    with pytest.raises(StateError, match=r"not a state file .* name another file for --resume"):
        _state(tmp_path).load()
    assert path.read_text("latin-1") == content


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 101}, r"state of /data/a.jsonl \(100 bytes, jsonl\), not of /data/a.jsonl \(101 bytes"),
        ({"digest": "abd"}, "state of /data/a.jsonl"),
        ({"size": None, "digest": "", "path": "-"}, r"not of - \(a pipe"),
        ({"format": "csv"}, "csv"),
    ],
)
def test_the_state_of_another_input_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    """A line number means nothing in another file."""
    state = _state(tmp_path)
    state.write(state.render(Marks()))
    with pytest.raises(StateError, match=message):
        _state(tmp_path, attrs.evolve(_INPUT, **change)).load()


def test_the_state_of_another_project_is_refused(tmp_path: Path) -> None:
    """What one project has, another one has not; a file that has moved is the same file."""
    state = _state(tmp_path)
    state.write(state.render(Marks(delivered=1)))
    with pytest.raises(StateError, match="a load into project demo, not into project other"):
        _state(tmp_path, target="project other").load()
    assert _state(tmp_path, attrs.evolve(_INPUT, path="/moved")).load().delivered == 1


def test_a_state_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    """And no half of a new one beside it."""
    state = _state(tmp_path)
    (tmp_path / "state").mkdir()
    with pytest.raises(OSError, match="directory"):
        state.write(state.render(Marks()))
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_dead_letters_are_appended_for_their_owner_only(tmp_path: Path) -> None:
    """A line holds the event or the raw text, the reason and the line number; earlier ones stay."""
    path = tmp_path / "dead"
    for number in (1, 2):
        file = DeadLetters(path)
        file.write(Event(number, {"event_name": "é", "at": 1}), "HTTP 400")
        file.write(BadLine(number + 10, "not JSON", "detail", "raw \ud800"), "not JSON: detail")
        file.flush()
        assert path.read_bytes().count(b"\n") == 2 * number
        file.close()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert rows[0] == {"line": 1, "reason": "HTTP 400", "event": {"event_name": "é", "at": 1}}
    assert rows[3] == {"line": 12, "reason": "not JSON: detail", "raw": "raw \ud800"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_event_that_is_nested_too_deeply_to_be_written_leaves_its_number(tmp_path: Path) -> None:
    """It does not end the load."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    file = DeadLetters(tmp_path / "dead")
    file.write(Event(7, {"event_name": "a", "properties": deep}), "too deep")
    file.close()
    assert json.loads((tmp_path / "dead").read_text()) == {"line": 7, "reason": "too deep"}
