"""A spool against a naive model: any calls in any order, with reopening, crashes and a full disk in between."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from spool_stages import FileStage, Listener, everything, small_files

from mida_async.spools.base import Settlement, SpooledRecord
from mida_async.testing.spool_suite import make_record

KEYS = st.integers(0, 12)


class SpoolMachine(RuleBasedStateMachine):
    """Does the same to a spool in a file and to a dictionary."""

    name = "spool.db"

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.stage = FileStage(Path(self.folder.name), self.name)
        self.records: dict[int, SpooledRecord] = {}
        self.dead: dict[bytes, str] = {}
        self.written = 0
        self.full: Any = None
        self.start()

    def start(self) -> None:
        """Open another spool on the same file."""
        self.spool, self.listener = self.stage.make(), Listener()
        opened = self.runner.run(self.listener.open(self.spool))
        assert opened.remarks == ()
        assert (opened.records, opened.next_key) == (len(self.records), self.spool.next_key)
        assert opened.next_key > (max(self.records, default=0) if self.name else len(self.records))

    def renumber(self) -> None:
        """Take the keys as they are now: in a folder they are new after each opening."""
        found = self.runner.run(everything(self.spool))
        self.records = {
            new.key: attrs.evolve(old, key=new.key) for new, old in zip(found, self.records.values(), strict=True)
        }

    def pick(self, number: int) -> int:
        """Return the key of a live record, or one that is none."""
        keys = [*self.records, self.spool.next_key + 5]
        return keys[number % len(keys)]

    @rule(size=st.sampled_from([0, 1, 50, 5000]), gap=st.sampled_from([0, 0, 0, 3]))
    def append(self, size: int, gap: int) -> None:
        """Add a record."""
        key = self.spool.next_key + gap
        self.written += 1
        record = make_record(key, b"%d:" % self.written + b"x" * size)
        self.spool.append(record)
        self.records[key] = record

    @rule(number=KEYS, size=st.sampled_from([0, 6000]))
    def replace(self, number: int, size: int) -> None:
        """Give a record another body."""
        key = self.pick(number)
        self.written += 1
        body = b"%d:" % self.written + b"y" * size
        self.spool.replace(key, body)
        self.change(key, body=body)

    @rule(numbers=st.lists(KEYS, max_size=4))
    def mark(self, numbers: list[int]) -> None:
        """Mark some."""
        keys = [self.pick(number) for number in numbers]
        self.spool.mark(keys)
        for key in keys:
            self.change(key, in_flight=True)

    @rule(number=KEYS, attempts=st.integers(0, 3), ambiguous=st.booleans())
    def note(self, number: int, attempts: int, ambiguous: bool) -> None:  # noqa: FBT001  hypothesis passes names
        """Note an attempt."""
        key = self.pick(number)
        self.spool.note(key, attempts=attempts, ambiguous=ambiguous)
        self.change(key, attempts=attempts, ambiguous=ambiguous, in_flight=False)

    @rule(number=KEYS, dead=st.booleans())
    def settle(self, number: int, dead: bool) -> None:  # noqa: FBT001  hypothesis passes names
        """Bring one to its end."""
        key = self.pick(number)
        self.spool.settle(key, Settlement.DEAD if dead else Settlement.DONE, f"no {number}")
        record = self.records.pop(key, None)
        if record is not None and dead:
            self.dead[record.body] = f"no {number}"

    def change(self, key: int, **changes: Any) -> None:
        """Change a record of the model."""
        if key in self.records:
            self.records[key] = attrs.evolve(self.records[key], **changes)

    @rule()
    def wait(self) -> None:
        """Wait until all is durable."""
        if self.full is None:
            self.runner.run(self.listener.until_durable(self.spool.mark([])))

    @rule()
    def fill_up(self) -> None:
        """Let the disk be full, or have space again."""
        if self.full is None:
            self.full = small_files(0)
            self.full.__enter__()
        else:
            self.make_space()

    def make_space(self) -> None:
        """Let the disk have space again."""
        full, self.full = self.full, None
        if full is not None:
            full.__exit__(None, None, None)

    @rule(crash=st.booleans())
    def reopen(self, crash: bool) -> None:  # noqa: FBT001  hypothesis passes names
        """Close it, or let it crash when all is durable, and go on with another one."""
        self.make_space()
        if crash:
            self.wait()
            self.runner.run(self.stage.crash(self.spool))
        else:
            self.runner.run(self.spool.aclose(5.0))
        found = {dead.record.body: dead.reason for dead in self.stage.dead_letters()}
        assert found == self.dead
        self.start()
        if not self.name:
            self.renumber()

    @rule(after=KEYS, records=st.integers(1, 5), size=st.sampled_from([0, 60, 10**6]))
    def read(self, after: int, records: int, size: int) -> None:
        """Read a piece."""
        key = self.pick(after)
        found = self.runner.run(self.spool.read(key, records=records, size=size))
        expected: list[SpooledRecord] = []
        for record in self.records.values():
            if record.key > key and len(expected) < records:
                size -= len(record.body)
                if size < 0 and expected:
                    break
                expected.append(record)
        assert found == expected

    @invariant()
    def counts(self) -> None:
        """The numbers are right at any time."""
        assert (self.spool.records, self.spool.dead) == (len(self.records), len(self.dead))

    def teardown(self) -> None:
        """End."""
        self.make_space()
        assert self.runner.run(everything(self.spool)) == list(self.records.values())
        self.runner.run(self.spool.aclose(5.0))
        self.runner.close()
        self.folder.cleanup()


class FolderMachine(SpoolMachine):
    """Does it in a folder, where each opening adopts what the one before has left."""

    name = ""


def test_a_file_does_what_the_model_does() -> None:
    """R1, R2: in any order of calls, failures, crashes and restarts a spool holds what a dictionary would hold."""
    run_state_machine_as_test(SpoolMachine, settings=settings(max_examples=40, stateful_step_count=30))


def test_a_folder_does_what_the_model_does() -> None:
    """R1, R2: the same holds where every restart adopts the files of those before."""
    run_state_machine_as_test(FolderMachine, settings=settings(max_examples=40, stateful_step_count=30))
