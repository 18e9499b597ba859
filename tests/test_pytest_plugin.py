"""The pytest plugin, as those who use it see it: by running pytest on tests of theirs."""

from __future__ import annotations

import asyncio
import importlib.metadata
import re
import threading
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mida_async import BadRequestError, MidaClient
from mida_async.testing import Status, ThreadedEmulator, pytest_plugin

if TYPE_CHECKING:
    from mida_async.testing import Emulator

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent
PLUGIN = "mida_async.testing.pytest_plugin"
IS_INSTALLED = any(each.value == PLUGIN for each in importlib.metadata.entry_points(group="pytest11"))


def run_pytest(pytester: pytest.Pytester, *options: str, **files: str) -> pytest.RunResult:
    """Run pytest on files of tests, with every warning an error."""
    settings = 'filterwarnings = ["error"]\naddopts = ["--strict-markers", "-p", "no:cacheprovider"]'
    pytester.makepyprojecttoml(f"[tool.pytest.ini_options]\n{settings}")
    pytester.makepyfile(**files)
    # Where the package is installed, pytest finds the plugin by itself, and would refuse it by a second name.
    plugin = () if IS_INSTALLED else ("-p", PLUGIN)
    return pytester.runpytest_subprocess(*plugin, *options, timeout=60)


def test_the_entry_point_leads_to_the_plugin() -> None:
    """What pyproject.toml tells pytest to load is the plugin."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert project["entry-points"]["pytest11"] == {"mida_async": pytest_plugin.__name__}


def test_the_fixtures_work_in_every_kind_of_test(pytester: pytest.Pytester) -> None:
    """The fixtures serve tests with a loop, without one and with others; each starts anew; markers are heeded."""
    tests = """
import asyncio, json, urllib.request
import pytest
from mida_async import BufferSettings, MidaClient, RetryPolicy, VisitorNotFoundError
from mida_async.testing import Status

pytestmark = pytest.mark.mida_client(retry=RetryPolicy(initial=0.01))

def post(emulator, event):
    url = f"{emulator.base_url}/v2/project/{emulator.project_key}/event"
    headers = {"Authorization": f"Bearer {emulator.api_key}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(event).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return answer.status

def test_without_a_loop(mida_emulator):
    assert post(mida_emulator, {"event_name": "bought", "id": "1"}) == 200
    assert [event.event_name for event in mida_emulator.recorded] == ["bought"]

def test_with_async_with(mida_client, mida_emulator):
    assert mida_emulator.recorded == []
    mida_emulator.script(Status(503, times=2))
    async def main():
        async with mida_client as mida:
            receipt = await (await mida.buffer.record("bought", id="1"))
            assert receipt.attempts == 3
            assert len((await mida.events.list()).events) == 1
    asyncio.run(main())
    assert len(mida_emulator.recorded) == 1

def test_with_aclose(mida_client, mida_emulator):
    async def main():
        mida_client.buffer.record_nowait("bought", id="1")
        assert (await mida_client.aclose()).delivered == 1
    asyncio.run(main())

def test_unused(mida_client):
    assert isinstance(mida_client, MidaClient)

def test_direct_calls_on_a_loop_that_is_gone(mida_client):
    asyncio.run(mida_client.events.record("bought", id="1"))

def test_direct_calls_on_a_loop_that_is_left(mida_client):
    loop.run_until_complete(mida_client.events.record("bought", id="1"))

def test_the_loop_is_still_there():
    loop.close()

loop = asyncio.new_event_loop()

@pytest.mark.mida_emulator(auto_visitors=False)
class TestMarked:
    def test_of_class(self, mida_client, mida_emulator):
        mida_emulator.add_visitor(id="1")
        async def main():
            async with mida_client as mida:
                await mida.events.record("bought", id="1")
                with pytest.raises(VisitorNotFoundError):
                    await mida.events.record("bought", id="2")
        asyncio.run(main())

    @pytest.mark.mida_emulator(auto_visitors=True)
    @pytest.mark.mida_client(buffer=BufferSettings(max_records=7), hooks=[print])
    def test_of_function(self, mida_client, mida_emulator):
        assert mida_emulator.auto_visitors
        assert mida_client.buffer._settings.max_records == 7

def test_on_a_thread(mida_client):
    import threading
    other = asyncio.new_event_loop()
    thread = threading.Thread(target=other.run_forever, daemon=True)
    thread.start()
    call = mida_client.events.record("bought", id="1")
    asyncio.run_coroutine_threadsafe(call, other).result()
    globals()["end"] = lambda: (other.call_soon_threadsafe(other.stop), thread.join(), other.close())

def test_on_a_thread_is_over():
    end()
"""
    run_pytest(pytester, test_all_kinds=tests).assert_outcomes(passed=11)


def test_a_client_that_is_left_open_fails_its_test(pytester: pytest.Pytester) -> None:
    """Records that were never delivered are an error, on a loop that is gone or still there; no warning escapes."""
    tests = """
import asyncio
import pytest
from mida_async.testing import Stall

loop = asyncio.new_event_loop()

async def record(mida, count):
    for number in range(count):
        await mida.buffer.record("bought", id=f"u{number}")

def test_forgets(mida_client):
    asyncio.run(record(mida_client, 3))

def test_forgets_on_a_loop_that_is_left(mida_client, mida_emulator):
    mida_emulator.script(Stall())
    loop.run_until_complete(record(mida_client, 1))
    loop.run_until_complete(asyncio.sleep(0.05))

def test_fails_and_so_forgets(mida_client):
    asyncio.run(record(mida_client, 5))
    raise AssertionError("its own reason")

def test_is_done_but_does_not_close(mida_client):
    async def main():
        await record(mida_client, 4)
        await mida_client.buffer.flush()
    asyncio.run(main())

@pytest.mark.mida_emulator("positional")
def test_has_a_wrong_marker(mida_emulator):
    pass

def test_last():
    loop.close()
"""
    result = run_pytest(pytester, test_forgetful=tests)
    result.assert_outcomes(passed=4, failed=1, errors=3)
    text = result.stdout.str()
    assert "3 records were never delivered: leave the client with 'async with' or await aclose()" in text
    assert "1 record was never delivered" in text
    assert "5 records were" not in text
    assert "the marker mida_emulator takes keyword arguments only, not ('positional',)" in text
    assert "Warning" not in text


def test_the_markers_are_known(pytester: pytest.Pytester) -> None:
    """`pytest --markers` tells what the markers take."""
    text = run_pytest(pytester, "--markers", test_none="").stdout.str()

    assert "@pytest.mark.mida_emulator(**settings): " in text
    assert "@pytest.mark.mida_client(**settings): " in text


def test_the_guide_begins_with_tests_that_pass(pytester: pytest.Pytester) -> None:
    """Every file of tests that docs/testing.md shows passes as it stands."""
    guide = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    files = re.findall(r'```python title="(\w+)\.py"\n(.*?)```', guide, re.DOTALL)
    assert len(files) >= 2
    result = run_pytest(pytester, **dict(files))

    result.assert_outcomes(passed=sum(text.count("def test_") for _, text in files))


# The emulator on a thread


def test_it_serves_without_a_loop_and_starts_again() -> None:
    """A plain with statement serves; it may be entered again, with its port and state, and its thread ends."""
    emulator = ThreadedEmulator(auto_visitors=True)

    async def record() -> None:
        async with MidaClient(emulator.project_key, emulator.api_key, base_url=emulator.base_url) as mida:
            await mida.events.record("bought", id="1")

    for times in (1, 2):
        with emulator:
            asyncio.run(record())
        assert len(emulator.recorded) == times
    emulator.__exit__(None, None, None)
    for thread in threading.enumerate():
        if thread.name == "mida_emulator":
            thread.join(5)
            assert not thread.is_alive()


def test_it_stops_and_starts_from_any_loop() -> None:
    """A test on a loop of its own may take the server away for a while: what is recorded then arrives afterwards."""

    async def main(emulator: Emulator) -> None:
        async with MidaClient(emulator.project_key, emulator.api_key, base_url=emulator.base_url) as mida:
            await emulator.aclose()
            await emulator.aclose()
            delivery = await mida.buffer.record("bought", id="1")
            await asyncio.sleep(0.05)
            await emulator.start()
            with pytest.raises(RuntimeError, match="running already"):
                await emulator.start()
            assert not (await delivery).may_be_duplicate

    with ThreadedEmulator(auto_visitors=True) as emulator:
        asyncio.run(main(emulator))
        assert len(emulator.recorded) == 1


def test_it_may_be_told_anything_while_it_works() -> None:
    """Faults and visitors that are added from another thread while requests arrive are neither lost nor doubled."""
    with ThreadedEmulator(auto_visitors=True) as emulator:

        def script() -> None:
            for _ in range(300):
                emulator.script(Status(400))

        worker = threading.Thread(target=script)

        async def main() -> int:
            refused = 0
            account = MidaClient(emulator.project_key, emulator.api_key, base_url=emulator.base_url)
            async with account as mida:
                worker.start()
                while emulator.scripted or worker.is_alive():
                    try:
                        await mida.events.record("bought", id="1")
                    except BadRequestError:
                        refused += 1
                    emulator.add_visitor(id=f"u{refused}")
            return refused

        assert asyncio.run(main()) == 300
        assert emulator.statistics().faults == 300
        assert emulator.visitors >= 300
