"""The parts of ``mida load`` that a server cannot bring about on demand."""

from __future__ import annotations

import asyncio
import gzip
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from rich.console import Console

from mida_async import BufferClosedError, EventExpiredError, Receipt
from mida_async._cli import loader as loader_module
from mida_async._cli import signals
from mida_async._cli.errors import _silence_stdout
from mida_async._cli.lines import LineSplitter
from mida_async._cli.load_run import LoadRun, RunSettings
from mida_async._cli.loader import Job, Loader
from mida_async._cli.output import print_fields, print_rows
from mida_async._cli.progress import PlainDisplay
from mida_async._cli.resume import Marks, StateFile
from mida_async._cli.source import Source
from mida_async._cli.values import JSONType

if TYPE_CHECKING:
    from pathlib import Path

_RECEIPT = Receipt(record_id=1, status=200, attempts=1, waited=0.1, folded=1, may_be_duplicate=False, body=None)


class _Buffer:
    """A buffer that does with each record what its name says."""

    def __init__(self) -> None:
        self.pending: list[asyncio.Future[Receipt]] = []
        self.full = asyncio.Event()

    async def record(self, event_name: str, **_event: Any) -> asyncio.Future[Receipt]:
        delivery = asyncio.get_running_loop().create_future()
        match event_name:
            case "no room":
                self.full.set()
                await asyncio.Event().wait()
            case "cancelled":
                delivery.cancel()
            case "expired":
                delivery.set_exception(EventExpiredError("it took too long"))
            case "pending" | "forgotten":
                self.pending.append(delivery)
            case _:
                delivery.set_result(_RECEIPT)
        return delivery

    async def flush(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        if self.pending:
            await asyncio.wait(self.pending, timeout=timeout)

    async def aclose(self, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109
        for delivery in self.pending:
            delivery.set_exception(BufferClosedError("the buffer was closed"))


def _job(path: Path, *names: str, resumable: bool = True) -> Job:
    file = path / "events.jsonl"
    file.write_text("".join(f'{{"event_name": "{name}", "id": "u"}}\n' for name in names))
    return Job(
        source=Source(str(file), "jsonl"),
        marks=Marks(),
        arguments=lambda event: event.arguments,
        resumable=resumable,
        dead_letters=None,
        remark=lambda _: None,
    )


class _DeafBuffer(_Buffer):
    """A buffer that forgets what it accepted."""

    async def flush(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        pass

    async def aclose(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        pass


def _run_until_full(job: Job) -> Loader:
    async def main() -> Loader:
        buffer = _Buffer()
        loader = Loader(job, buffer)
        running = asyncio.create_task(loader.run())
        await buffer.full.wait()
        loader.stop()
        await running
        return loader

    loader = asyncio.run(main())
    job.source.close()
    return loader


@pytest.mark.parametrize("resumable", [True, False])
def test_a_line_that_waits_for_room_when_it_is_stopped_stays_open(tmp_path: Path, *, resumable: bool) -> None:
    """As do those that are accepted and not sent; without a next run they have failed."""
    job = _job(tmp_path, "sent", "cancelled", "pending", "expired", "no room", "never read", resumable=resumable)
    loader = _run_until_full(job)
    assert loader.draining
    assert (loader.tally.delivered, loader.tally.lines, job.marks.next_line) == (1, 5, 6)
    if resumable:
        assert (loader.tally.left, loader.tally.failed) == (3, {"EventExpiredError": 1})
        assert job.marks.open == {2, 3, 5}
    else:
        assert (loader.tally.left, loader.tally.failed) == (0, {"not sent": 3, "EventExpiredError": 1})
    assert not job.marks.complete


def test_an_event_that_is_never_answered_for_does_not_hang_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report says so, and the line stays open."""
    monkeypatch.setattr(loader_module, "_LAST_CALLBACKS_SECONDS", 0.01)
    job = _job(tmp_path, "sent", "forgotten")

    async def main() -> Loader:
        loader = Loader(job, _DeafBuffer())
        await loader.run()
        return loader

    loader = asyncio.run(main())
    job.source.close()
    assert loader.problem == "1 events were never answered for"
    assert job.marks.open == {2}


def test_of_a_line_that_is_too_long_only_the_beginning_is_held() -> None:
    """However many chunks it has."""
    splitter = LineSplitter(3)
    for chunk in (b"ab", b"cdef", b"gh", b"ij"):
        assert splitter.feed(chunk) == []
    [line] = splitter.feed(b"\n")
    assert (line.data, line.too_long) == (b"abc", True)


@pytest.mark.parametrize(("there", "least"), [(10, 0), (54, 1)])
def test_a_packed_pipe_can_be_told_to_stop_as_well(tmp_path: Path, there: int, least: int) -> None:
    """That it is cut short then is no error."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    opened: list[int] = []
    writer = threading.Thread(target=lambda: opened.append(os.open(path, os.O_WRONLY)))
    writer.start()
    source = Source(str(path), "jsonl")
    writer.join()
    os.write(opened[0], gzip.compress(b'{"event_name": "a", "id": "u"}\n' * 100)[:there])
    threading.Timer(0.05, source.stop).start()
    found = [item for batch in source.batches() for item in batch]
    assert least <= len(found) < 100
    source.close()
    os.close(opened[0])


class _Left(BaseException):
    """Stands for the end of the process."""


def _leave(code: int) -> NoReturn:
    raise _Left(code)


def test_a_second_signal_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if what it does before fails; the first one only asks to stop."""
    monkeypatch.setattr(os, "_exit", _leave)
    seen: list[str] = []

    def fail() -> NoReturn:
        seen.append("second")
        raise OSError

    interrupts = signals.Interrupts(lambda: seen.append("first"), fail)
    interrupts._received(signal.SIGTERM)
    assert (interrupts.exit_code, seen) == (143, ["first"])
    with pytest.raises(_Left, match="130"):
        interrupts._received(signal.SIGINT)
    assert seen == ["first", "second"]


def test_a_loop_without_signal_handlers_is_told_by_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows; what was there before is put back."""
    before = signal.getsignal(signal.SIGTERM)

    def refuse(*_: object) -> NoReturn:
        raise NotImplementedError

    async def main() -> int | None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        monkeypatch.setattr(loop, "add_signal_handler", refuse)
        monkeypatch.setattr(loop, "remove_signal_handler", refuse)
        interrupts = signals.Interrupts(stop.set, lambda: None)
        with interrupts.watched():
            os.kill(os.getpid(), signal.SIGTERM)
            await stop.wait()
        return interrupts.exit_code

    assert asyncio.run(main()) == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_who_ends_at_once_has_written_down_what_was_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And is told how to go on, where that is possible."""
    job = _job(tmp_path, "sent")
    job.marks.begin(1)
    job.marks.deliver(1)
    state = StateFile(tmp_path / "state", source=job.source.identity(), target="project demo")
    for kept in (state, None):
        display = PlainDisplay(Console(file=sys.stdout))
        settings = RunSettings(close_timeout=1, dead_letter=None, state=kept, display=display)
        LoadRun(job, settings)._abandon()
    job.source.close()
    assert state.load() == job.marks
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"ended at once; --resume {tmp_path / 'state'} goes on"
    assert second == "ended at once"


def test_tables_fit_the_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Long cells are folded there, and nowhere else; nothing is cut off."""
    print_fields({"a": "x" * 300, "b": None})
    assert capsys.readouterr().out.splitlines() == ["a  " + "x" * 300]
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "50")
    print_rows([{"a": "x" * 300}])
    assert capsys.readouterr().out.count("x") == 300


def test_a_value_that_was_read_already_is_left_alone() -> None:
    """The library may convert a default twice."""
    assert JSONType(dict).convert({"a": 1}, None, None) == {"a": 1}


def test_standard_output_goes_nowhere_once_its_reader_has_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is still in its buffer cannot fail any more."""
    with (tmp_path / "out").open("w") as file:
        monkeypatch.setattr(sys, "stdout", file)
        file.write("before ")
        file.flush()
        _silence_stdout()
        file.write("after")
        file.flush()
    assert (tmp_path / "out").read_text() == "before "
