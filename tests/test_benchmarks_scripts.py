"""The scripts that compare with other libraries: they run without them, with tiny numbers, and say what is missing."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, Final

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import _clients
import _enqueuers
import _harness
import _rounds
import backlog
import close
import durable
import enqueue
import floor
import imports
import lanes
import memory
import pacer
import rate
import spool
import throughput
from _gate import GatedBuffer

ABSENT: Final = frozenset({"aiokafka", "aiolimiter", "httpx", "posthog", "pyrate_limiter", "segment"})


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """See that no other library is found, wherever the tests run."""
    for name in ABSENT:
        monkeypatch.setitem(sys.modules, name, None)


def findings_of(main: Any, folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """Run a script and return the findings in its file."""
    file = folder / "out.json"
    main(["--quick", "--json", str(file), *arguments])
    raw = json.loads(file.read_text(encoding="utf-8"))
    assert raw["quick"] is True
    found: list[dict[str, Any]] = raw["findings"]
    ours = [each["sides"][0] for each in found]
    assert all(side["median"] is not None for side in ours)
    return found


def reasons(findings: list[dict[str, Any]]) -> list[str]:
    """Return why sides are missing."""
    return [side["missing"] for each in findings for side in each["sides"] if side["missing"] is not None]


def test_throughput_is_compared(tmp_path: Path) -> None:
    """The engine delivers beside a bare loop and gather, and the target is for the first; httpx is not there."""
    found = findings_of(throughput.main, tmp_path, "--requests", "16")
    assert [each["target"] for each in found] == [">= 0.9", None, None, None]
    bare = "bare aiohttp loop"
    assert [each["sides"][1]["name"] for each in found] == [bare, "httpx loop", "naive gather", bare]
    assert [each["rounds"] for each in found] == [2, 0, 2, 2]
    assert "httpx" in {text.split(" is ")[0] for text in reasons(found)}


def test_a_server_that_refuses_is_no_benchmark() -> None:
    """A request that is not accepted makes its side fail, instead of being a fast one."""
    with pytest.raises(RuntimeError, match="did not accept"):
        _harness.check(False, "the server did not accept a request")  # noqa: FBT003


def test_handing_over_needs_no_other_library(tmp_path: Path) -> None:
    """Our side is measured; the libraries that are not there are named, and no target is judged."""
    found = findings_of(enqueue.main, tmp_path, "--events", "50")
    assert [text.split(" is ")[0] for text in reasons(found)] == ["posthog", "segment-analytics-python", "aiokafka"]
    assert [each["target"] for each in found] == [">= 6", ">= 3", None]
    assert {each["met"] for each in found} == {None}


def test_a_queue_that_loses_events_is_no_benchmark() -> None:
    """A queue that holds fewer events than it was handed is an error."""

    async def main() -> None:
        queue = _enqueuers.ours(10)
        await queue.fill(3)
        queue.check(3)
        with pytest.raises(RuntimeError, match="4 events were handed over, 3 are there"):
            queue.check(4)
        await queue.close()

    asyncio.run(main())


def test_memory_is_measured(tmp_path: Path) -> None:
    """A waiting event takes more than its body by either measure; who is missing is named."""
    found = findings_of(memory.main, tmp_path, "--rounds", "1", "--records", "1000")
    assert len(reasons(found)) == 6
    assert all(200 < each["sides"][0]["median"] < 5000 for each in found)


def test_sizes_are_deep() -> None:
    """Everything that an object leads to counts, once; classes and modules do not."""
    text = "x" * 1000
    assert memory.deep_size([text, text]) == sys.getsizeof(text) + sys.getsizeof([1, 2])
    assert memory.deep_size([sys, dict]) == sys.getsizeof([1, 2])


def test_a_backlog_has_costs(tmp_path: Path) -> None:
    """Costs are told for recording and delivering, with the longest backlog against the shortest."""
    found = findings_of(backlog.main, tmp_path, "--rounds", "1", "--longest", "1200")
    assert [each["target"] for each in found] == ["<= 1.3", None, None]
    assert [[side["name"] for side in each["sides"]] for each in found] == 3 * [["1,200 waiting", "1,000 waiting"]]
    assert backlog.up_to(1_000_000) == [1_000, 10_000, 100_000, 1_000_000]


def test_costs_are_those_of_the_gated_buffer() -> None:
    """A backlog is measured at each of its lengths; what is recorded on top is delivered again."""

    async def main() -> list[backlog.Costs]:
        gated = GatedBuffer(100, visitors=7)
        costs = await backlog.measure(gated, [20, 50], 10)
        assert gated.buffer.statistics().pending in {50, 51}  # the last answer may be on its way
        await gated.buffer.aclose(0)
        return costs

    costs = asyncio.run(main())
    assert [each.waiting for each in costs] == [20, 50]
    assert all(each.recording > 0 and each.delivering > 0 for each in costs)
    assert costs[0].both == costs[0].recording + costs[0].delivering


def test_lanes_have_costs(tmp_path: Path) -> None:
    """The most visitors are compared with one."""
    (found,) = findings_of(lanes.main, tmp_path, "--rounds", "1", "--records", "500")
    assert [side["name"] for side in found["sides"]] == ["500 visitors", "1 visitor"]


def test_the_rate_is_used(tmp_path: Path) -> None:
    """Ours and the naive client meet every server; smooth pacing is refused by none of them."""
    found = findings_of(rate.main, tmp_path, "--seconds", "1")
    by_question = {(each["question"], each["sides"][0]["name"], len(each["sides"])): each for each in found}
    refusals = by_question["429s, sum of five servers", _clients.SMOOTH, 1]
    assert (refusals["sides"][0]["median"], refusals["met"]) == (0, True)
    assert {text.split(" is ")[0] for text in reasons(found)} == {"aiolimiter", "pyrate-limiter"}


def test_a_naive_client_is_refused() -> None:
    """A client that only backs off runs into the window of a second."""
    world = _clients.play(_clients.NAIVE, "fixed_window", 1.0)
    assert world.refused > 0
    assert 350 <= len(world.admitted) <= 700


def test_closing_is_in_time(tmp_path: Path) -> None:
    """Against a server of no use, closing takes as long as it may and no half second more."""
    found = findings_of(close.main, tmp_path)
    assert [each["met"] for each in found[:3]] == [True, True, True]
    assert [text.split(" is ")[0] for text in reasons(found)] == ["posthog", "segment-analytics-python"]


def test_imports_cost_something(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What mida_async adds to aiohttp is measured, and the modules that cost most are listed on request."""
    found = findings_of(imports.main, tmp_path, "--rounds", "1", "--breakdown", "3")
    assert (found[0]["target"], found[0]["met"]) == ("<= 0.35", None)
    assert len(reasons(found)) == 4
    assert "mida_async" in capsys.readouterr().out


def test_the_pacer_is_simulated(tmp_path: Path) -> None:
    """Every pacing has a worst share and a sum of refusals."""
    found = findings_of(pacer.main, tmp_path, "--seconds", "2", "--hidden", "1")
    assert len(found) == 12
    assert [each["sides"][0]["median"] for each in found if each["target"] == "<= 0"] == [0, 0]


def test_durability_has_its_targets(tmp_path: Path) -> None:
    """Records a second and deliveries beside those without a spool are judged, for callers that do not come alone."""
    found = {each["question"]: each for each in findings_of(durable.main, tmp_path, "--folder", str(tmp_path))}
    assert {question: each["target"] for question, each in found.items() if each["target"] is not None} == {
        "durable record(), 50 waiters": ">= 20000",
        "delivery with spool, 50 callers": ">= 0.6",
        "delivery with spool, record_nowait": ">= 0.6",
    }
    assert {"durable record(), 1 waiter", "durable record(), 1,000 waiters"} < set(found)
    assert [side["name"] for side in found["delivery with spool, one caller"]["sides"]] == ["spool", "no spool"]
    assert reasons(list(found.values())) == []


def test_a_backlog_on_disk_takes_memory_for_what_has_room(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A backlog with a spool is held against one without and a short one, and is opened and delivered again."""
    sizes = ("--backlog", "400", "--room", "100", "--drained", "400", "--folder", str(tmp_path))
    found = [each for each in findings_of(durable.main, tmp_path, *sizes) if "400" in each["sides"][0]["name"]]
    assert [(each["question"], each["unit"]) for each in found] == [
        ("engine memory with 400 records on disk, server down", "MB gained"),
        ("engine memory with 400 records on disk, beside 100", "MB gained"),
        ("the same backlog opened again: opening", "s"),
        ("the same backlog opened again: delivery", "events/s"),
        ("the same backlog opened again: memory at most", "MB gained"),
    ]
    assert [each["sides"][-1]["name"] for each in found[:2]] == [
        "no spool, all in memory",
        "spool, 100 of 100 in memory",
    ]
    assert "Of the backlog of 400 records, 300 were on disk alone." in capsys.readouterr().out
    assert [each.name for each in tmp_path.iterdir()] == ["out.json"]


def test_deliveries_that_fail_are_no_benchmark() -> None:
    """A client whose records do not reach the server makes its side fail, instead of being a fast one."""

    async def main() -> None:
        async with durable.client(durable.NOBODY, None) as mida:
            delivery = mida.buffer.record_nowait("purchase_completed", id="user_1")
            delivery.cancel()
            with pytest.raises(RuntimeError, match="not everything was delivered"):
                await durable.deliver(mida, 0, 1)

    asyncio.run(main())


def test_the_spool_alone_is_measured(tmp_path: Path) -> None:
    """Appends are told for each crowd, and opening, reading and memory for a backlog; nothing is left on the disk."""
    found = findings_of(spool.main, tmp_path, "--folder", str(tmp_path))
    assert [(each["question"].partition("alone, ")[2], each["unit"], each["rounds"]) for each in found] == [
        ("durable appends, 1 waiter", "appends/s", 2),
        ("durable appends, 50 waiters", "appends/s", 2),
        ("durable appends, 1,000 waiters", "appends/s", 2),
        ("a backlog of 1,000: opening it", "s", 2),
        ("a backlog of 1,000: reading it", "records/s", 2),
        ("a backlog of 1,000: memory at most", "MB gained", 2),
    ]
    assert all(each["sides"][0]["median"] > 0 for each in found[:5])
    assert [each.name for each in tmp_path.iterdir()] == ["out.json"]


def test_the_floor_is_measured(tmp_path: Path) -> None:
    """The transport is compared with aiohttp's session, around it and through it, and with the least."""
    found = findings_of(floor.main, tmp_path, "--requests", "16")
    assert [each["sides"][1]["name"] for each in found[::2]] == [floor.SESSION, floor.SESSION, floor.FLOOR]
    assert [each["sides"][0]["name"] for each in found[::2]] == [floor.TRANSPORT, floor.LENT, floor.TRANSPORT]
    assert reasons(found) == []


def test_a_missing_library_is_named() -> None:
    """Loading one that is not installed says how to install it."""
    with pytest.raises(_rounds.MissingError, match="pyrate-limiter is not installed"):
        _rounds.load("pyrate_limiter", "pyrate-limiter")


def test_children_tell_what_is_wrong(tmp_path: Path) -> None:
    """A script in a process of its own returns JSON; it may say that something is missing, fail, or take too long."""
    script = tmp_path / "script.py"
    script.write_text("print('hello')\nprint('[1, 2]')\n", encoding="utf-8")
    assert _rounds.child(str(script)) == [1, 2]
    with pytest.raises(_rounds.MissingError, match=r"^it is not there$"):
        _rounds.child("-c", "class MissingError(Exception): pass\nraise MissingError('it is not there')")
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        _rounds.child("-c", "1 / 0")
    with pytest.raises(_rounds.MissingError, match=r"still not done after 0\.05 s"):
        _rounds.child("-c", "import threading; threading.Event().wait()", limit=0.05)
