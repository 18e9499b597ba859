"""The benchmarks of long runs, of lag and of Klaviyo: they run, with tiny numbers, and their figures make sense."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import klaviyo_rate
import lag
import soak
from _harness import Lag, LagMeter, Turns
from core_samples import entry

if TYPE_CHECKING:
    import pytest

PLAN: Final = soak.Plan(records=1000, visitors=50, seconds=60.0, room=100)
BOOKS: Final = {
    "recorded": 10,
    "accepted": 10,
    "delivered": 9,
    "cancelled": 1,
    "attempts": 8,
    "cancels": 1,
    "awaited": 2,
    "received": 2,
    "records of their own": 8,
    "at the server: requests": 8,
    "at the server: accepted": 7,
}
NO_LAG: Final = Lag(0.0, 0.0, 0.0)


def sample(records: int, megabytes: float) -> soak.Sample:
    """Return what was seen after so many records."""
    return soak.Sample(
        records=records,
        seconds=1.0,
        processor=1.0,
        attempts=records,
        memory=megabytes,
        tasks=1,
        threads=1,
        files=1,
        lanes=1,
        remembered=0,
        lag=NO_LAG,
    )


def test_a_small_soak_is_all_well(capsys: pytest.CaptureFixture[str]) -> None:
    """A run of 2,000 records with every kind of trouble leaves nothing behind, and says so."""
    code = soak.main(["--records", "2000", "--visitors", "100", "--room", "200", "--seconds-limit", "60"])
    out = capsys.readouterr().out

    assert (code, out.splitlines()[-1]) == (0, "all is well"), out
    assert "recorded 2,001; accepted 2,001;" in out
    troubles = re.search(
        r"failed (\d+); at the server: refused (\d+); at the server: cut off (\d+)$", out, re.MULTILINE
    )
    assert troubles is not None
    assert all(3 <= int(count) <= 6 for count in troubles.groups())


def test_the_soak_folds_shares_and_links() -> None:
    """The traffic names visitors in three ways, repeats purchases, and has heartbeats to be folded."""
    events = list(soak.traffic(PLAN))
    purchases = [event["unique_id"] for event in events if "unique_id" in event]

    assert len(events) == 1000
    assert {("id" in event, "email" in event) for event in events} == {(True, False), (False, True), (True, True)}
    assert 0 < len(purchases) - len(set(purchases)) < len(set(purchases))
    assert sum(event["event_name"] == "heartbeat" for event in events) == 400


def test_the_soak_sees_wrong_books() -> None:
    """Each kind of difference in the books is told; books that add up give no problem."""
    assert soak.wrong(BOOKS) == []
    for word in ("recorded", "delivered", "received", "records of their own", "at the server: requests"):
        assert soak.wrong({**BOOKS, word: BOOKS[word] + 1}), word
    assert soak.wrong({**BOOKS, "cancels": 0})


def test_the_soak_sees_growth() -> None:
    """Growth counts from the first fifth of the run on, or from when the buffer was filled twice."""
    samples = [sample(records, records / 10) for records in range(100, 1100, 100)]

    assert soak.warm(samples, room=10).records == 200
    assert soak.warm(samples, room=300).records == 600
    assert soak.grown(samples, room=10) == 4.0
    timed = [attrs.evolve(each, seconds=each.records / 100) for each in samples]
    assert soak.warm(timed, room=10).seconds == soak.DEDUPE_WINDOW
    short = [attrs.evolve(each, seconds=each.records / 1000) for each in samples]
    assert soak.warm(short, room=10).records == 500


def test_the_soak_ends_when_its_time_is_up(capsys: pytest.CaptureFixture[str]) -> None:
    """Out of time, the run stops, and its exit code is 1."""
    assert soak.main(["--records", "1000000", "--visitors", "100", "--room", "100", "--seconds-limit", "0.3"]) == 1
    assert "NOT AS IT SHOULD BE: out of time after " in capsys.readouterr().out


def test_lag_is_measured_for_each_load(capsys: pytest.CaptureFixture[str]) -> None:
    """Every load is measured once a round, at about the rate that was asked for; the engine sends meanwhile."""
    results = lag.main(["--rounds", "1", "--rate", "2000", "--seconds", "0.4"])

    assert {name: len(rounds) for name, rounds in results.items()} == {"idle": 1, "json": 1, "engine": 1}
    assert all(rounds[0].turns_worst > 0 for rounds in results.values())
    assert 0 < results["engine"][0].sent <= 800
    assert 0 < results["engine"][0].rate <= 2200
    assert results["engine"][0].close > 0
    assert "ending all that was left took" in capsys.readouterr().out


def test_a_standstill_counts_for_every_moment_in_it() -> None:
    """A loop that stands still for 20 ms makes one timer late, but 20 of the moments that the meter counts."""

    async def main() -> LagMeter:
        with LagMeter(0.001) as meter:
            loop = asyncio.get_running_loop()
            until = loop.time() + 0.02
            while loop.time() < until:
                pass
        return meter

    meter = asyncio.run(main())
    assert len(meter.timers) == 2
    assert 20 <= len(meter.moments) == len(set(meter.moments))
    assert max(meter.moments) >= 0.019


def test_lag_is_summed_up_in_milliseconds() -> None:
    """Median, 99th percentile and maximum are those of what was measured; of nothing they are 0."""
    assert Lag.of(number / 1000 for number in range(101)) == Lag(50.0, 99.0, 100.0)
    assert Lag.of([]) == NO_LAG


def test_long_turns_count_by_the_moments_in_them() -> None:
    """A turn of 0.1 s in ten seconds fills 1 % of the moments, so 99 % wait for nothing; two make them wait 50 ms."""
    turns = Turns()
    turns.seconds = [0.1]
    assert turns.p99(10.0) < 1e-3
    turns.seconds = [0.1, 0.1]
    assert round(turns.p99(10.0), 3) == 50.0
    turns.close()


def test_klaviyos_windows_are_measured(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The script prints a line for single events and one for bulk, and judges both."""
    usage = klaviyo_rate.Usage(minutes=2, requests=300, events=1200, refused=1, allowed=400, took=3.0)
    monkeypatch.setattr(klaviyo_rate, "measure", lambda **_given: usage)
    found = klaviyo_rate.main(["--minutes", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["single", "bulk"]
    assert all("75.00 % of the allowed ones, 1 x 429" in line and "10.0 a second" in line for line in lines[1:3])
    assert [each.met() for each in found.findings] == 2 * [False, False, None]


def test_the_soak_counts_what_it_has_gained() -> None:
    """What was there before, and would have died meanwhile, is not counted against what is left."""
    gone = entry(1, "a")
    before = soak.objects()
    assert any(each is gone for each in before)
    del gone
    kept = [entry(number, "b") for number in (2, 3)]
    assert soak.gained(before)["Entry"] == len(kept)
