"""R15: what a forked process inherits, and what it leaves to its parent; and a process that is interrupted."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from fake_service import FakeService, make_buffer, record_all, run

from mida_async._transport.forks import call_in_forked_child
from mida_async.testing import Emulator

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")

ROOT: Final = Path(__file__).parent.parent

# Each script gets the server's address. Warnings are errors, so that nothing is thrown away unclosed in silence.
BEGINNING: Final = """
import asyncio, logging, os, sys
import aiohttp
from mida_async import BufferClosedError, BufferSettings, MidaClient, SettingsError
logging.disable()

def client(**settings):
    return MidaClient("project", "key", base_url=sys.argv[1], **settings)

async def record(mida, who, count):
    return [await mida.buffer.record(who, id=who, properties={"n": n}) for n in range(count)]

def wait_for(pid):
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""

IN_THE_MIDDLE: Final = """
async def in_child(mida):
    before = mida.buffer.statistics()
    assert (before.accepted, before.pending, before.in_flight, before.bytes) == (0, 0, 0, 0), before
    async with mida:
        deliveries = await record(mida, "child", 3)
        assert [(await each).record_id for each in deliveries] == [1, 2, 3]
        await mida.events.record("child", id="child")

async def main():
    async with client(buffer=BufferSettings(concurrency=2)) as mida:
        await mida.events.record("parent", id="parent")
        deliveries = await record(mida, "parent", 50)
        await deliveries[5]
        pid = os.fork()
        if pid == 0:
            asyncio.run(in_child(mida))
            os._exit(0)  # anything else would unwind the parent's stack, and its loop, in the child
        await asyncio.gather(*deliveries)
        await asyncio.to_thread(wait_for, pid)
        assert mida.buffer.statistics().delivered == 50

asyncio.run(main())
"""

BEFORE_USE: Final = """
async def use(mida, who):
    async with mida:
        await record(mida, who, 3)

async def bind(mida):
    mida.buffer.bind()

mida = client()
if sys.argv[2] == "bound":
    asyncio.run(bind(mida))
pids = []
for number in range(2):
    pid = os.fork()
    if pid == 0:
        asyncio.run(use(mida, f"child{number}"))
        sys.exit(0)
    pids.append(pid)
for pid in pids:
    wait_for(pid)
"""

LENT: Final = """
async def in_child(mida):
    try:
        await mida.events.record("child", id="child")
    except SettingsError as error:
        assert "forked" in str(error), error
    else:
        raise AssertionError("the parent's session was used")

async def main():
    async with aiohttp.ClientSession() as session, client(session=session) as mida:
        await mida.events.record("parent", id="parent")
        pid = os.fork()
        if pid == 0:
            asyncio.run(in_child(mida))
            os._exit(0)
        await asyncio.to_thread(wait_for, pid)
        await mida.events.record("parent", id="parent")

asyncio.run(main())
"""


GENERATIONS: Final = """
async def in_grandchild(mida):
    try:
        await mida.buffer.record("late", id="late")
    except BufferClosedError:
        return
    raise AssertionError("a buffer that was closed before the fork took a record")

async def in_child(mida):
    async with mida:
        await record(mida, "child", 3)

async def main():
    async with client(buffer=BufferSettings(concurrency=2)) as mida:
        deliveries = await record(mida, "parent", 20)
        await deliveries[3]
        pid = os.fork()
        if pid == 0:
            for delivery in deliveries:
                delivery.cancel()  # the parent's: this changes nothing there
            asyncio.run(in_child(mida))
            pid = os.fork()
            if pid == 0:
                asyncio.run(in_grandchild(mida))
                os._exit(0)
            wait_for(pid)
            os._exit(0)
        await asyncio.to_thread(wait_for, pid)
        await asyncio.gather(*deliveries)

asyncio.run(main())
"""

LOOP_CLOSED: Final = """
import socket
silent = socket.create_server(("127.0.0.1", 0))
mida = MidaClient("project", "key", base_url="http://127.0.0.1:%d" % silent.getsockname()[1])
deliveries = []

async def main():
    deliveries.extend(await record(mida, "seen", 3))
    await asyncio.sleep(0.1)

loop = asyncio.new_event_loop()
loop.run_until_complete(main())
loop.close()
assert asyncio.run(mida.aclose()).abandoned == 3
assert all(delivery.done() for delivery in deliveries)
os._exit(0)  # a loop that is closed like this leaves tasks and sockets behind, of which Python complains at its end
"""

INTERRUPTED: Final = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # some shells start what runs behind them without it
deliveries = []

async def main():
    async with client(buffer=BufferSettings(rate_limits=(), concurrency=1, close_timeout=0.1)) as mida:
        while True:
            deliveries.extend(await record(mida, "seen", 100))
            await asyncio.sleep(0)
            if len(deliveries) == 1000:
                os.kill(os.getpid(), signal.SIGINT)

try:
    asyncio.run(main())
except KeyboardInterrupt:
    assert len(deliveries) >= 1000
    assert all(delivery.done() for delivery in deliveries)
else:
    raise AssertionError("it was not interrupted")
"""


SPOOLED: Final = """
from mida_async import SpoolError
from mida_async.spools.sqlite import SQLiteSpool

path, is_folder = sys.argv[2], sys.argv[2].endswith("/")

async def in_child(mida):
    if is_folder:
        async with mida:
            await record(mida, "child", 3)
        return
    try:
        await mida.buffer.record("child", id="child")
    except SpoolError as error:
        assert str(os.getppid()) in str(error), error
    else:
        raise AssertionError("the child has its parent's file")
    await mida.aclose(0)

async def main():
    async with client(spool=SQLiteSpool(path), buffer=BufferSettings(concurrency=2)) as mida:
        deliveries = await record(mida, "parent", 50)
        await deliveries[5]
        pid = os.fork()
        if pid == 0:
            asyncio.run(in_child(mida))
            os._exit(0)
        await asyncio.to_thread(wait_for, pid)
        await record(mida, "parent", 1)
    assert mida.buffer.statistics().delivered == 51

asyncio.run(main())
"""


def names_after(script: str, *arguments: str) -> list[str]:
    """Run a script against an emulator, expect it to be silent, and return the names of the recorded events."""

    def start(base_url: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own script
            [
                sys.executable,
                "-W",
                "error",
                "-W",
                "ignore::DeprecationWarning",
                "-c",
                BEGINNING + script,
                base_url,
                *arguments,
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    async def main() -> list[str]:
        async with Emulator(project_key="project", api_key="key", auto_visitors=True) as emulator:
            done = await asyncio.to_thread(start, emulator.base_url)
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
            return [event.event_name for event in emulator.recorded]

    return asyncio.run(main())


def test_a_child_forked_in_the_middle_has_a_buffer_of_its_own() -> None:
    """R15: the parent delivers what it accepted, each record once; the child begins with nothing and shares nothing."""
    names = names_after(IN_THE_MIDDLE)
    assert (names.count("parent"), names.count("child")) == (51, 4)


@pytest.mark.parametrize("state", ["fresh", "bound"])
def test_a_client_made_before_the_fork_serves_every_child(state: str) -> None:
    """R15: as with gunicorn --preload: each child uses the client that it inherited, on a loop of its own."""
    names = names_after(BEFORE_USE, state)
    assert sorted(names) == ["child0"] * 3 + ["child1"] * 3


def test_children_of_children_begin_anew() -> None:
    """R13, R15: a child may cancel what it inherited and close its buffer; its own child finds it closed."""
    assert sorted(names_after(GENERATIONS)) == ["child"] * 3 + ["parent"] * 20


def test_a_client_can_be_closed_whose_loop_was_closed_under_it() -> None:
    """R14, R15: requests were in flight when a loop was closed without ado; aclose() elsewhere ends all there is."""
    assert names_after(LOOP_CLOSED) == []


def test_an_interrupted_program_ends_every_delivery() -> None:
    """R1, R14: Ctrl-C in the middle leaves no Delivery pending, and nothing on the terminal."""
    assert set(names_after(INTERRUPTED)) == {"seen"}


def test_a_lent_session_is_not_used_in_the_child() -> None:
    """R15: the sockets of a session that was lent are the parent's; the child is told so, and the parent goes on."""
    assert names_after(LENT) == ["parent", "parent"]


@pytest.mark.parametrize(("name", "of_the_child"), [("spool/", 3), ("spool.db", 0)])
def test_a_spool_stays_the_parents(name: str, of_the_child: int, tmp_path: Path) -> None:
    """R15: a child makes a file of its own in a folder, is refused its parent's file, and disturbs neither."""
    names = names_after(SPOOLED, f"{tmp_path}/{name}")
    assert (names.count("parent"), names.count("child")) == (51, of_the_child)


def test_a_buffer_begins_anew() -> None:
    """R15: what the child forgets is handed over as it was, and the next use starts from nothing."""

    async def main() -> None:
        buffer = make_buffer(FakeService())
        deliveries = record_all(buffer, ["ann", "bob"])
        works = buffer._works
        assert buffer._leave_to_parent() is works
        assert works is not None
        assert buffer.statistics().accepted == 0
        assert (await (await buffer.record("seen", id="ann"))).record_id == 1
        await buffer.aclose()
        await works.aclose(0)
        assert all(delivery.done() for delivery in deliveries)
        assert make_buffer(FakeService())._leave_to_parent() is None

    run(main())


def test_what_is_called_in_a_child_is_kept_weakly(monkeypatch: pytest.MonkeyPatch) -> None:
    """R15: a registration keeps nothing alive, calls what still lives, and does without fork where there is none."""
    registered = list[object]()
    called = list[str]()

    class Owner:
        def leave(self) -> str:
            called.append("left")
            return "inherited"

    monkeypatch.setattr(os, "register_at_fork", lambda *, after_in_child: registered.append(after_in_child))
    owner = Owner()
    assert call_in_forked_child(owner.leave)
    (after_in_child,) = registered
    assert callable(after_in_child)
    after_in_child()
    del owner
    after_in_child()
    assert called == ["left"]
    monkeypatch.delattr(os, "register_at_fork")
    assert call_in_forked_child(Owner().leave)
