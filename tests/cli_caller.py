"""The command line, called from tests: an emulator in a thread, and ``mida`` in this process or in one of its own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from mida_async._cli.app import mida
from mida_async.testing import Emulator

if TYPE_CHECKING:
    from collections.abc import Generator

    from click.testing import Result

ROOT = Path(__file__).parent.parent


@contextmanager
def serving(**settings: Any) -> Generator[Emulator]:
    """Run an emulator on a loop of its own, and point the environment to it."""
    server = Emulator(**{"project_key": "demo", "api_key": "secret-key", "auto_visitors": True, **settings})
    loop, ready = asyncio.new_event_loop(), threading.Event()
    stop = asyncio.Event()

    async def serve() -> None:
        async with server:
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    before = dict(os.environ)
    os.environ |= {"MIDA_BASE_URL": server.base_url, "MIDA_PROJECT_KEY": "demo", "MIDA_API_KEY": "secret-key"}
    try:
        yield server
    finally:
        os.environ.clear()
        os.environ |= before
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def call(*arguments: object, stdin: bytes | str | None = None) -> Result:
    """Run ``mida`` in this process."""
    return CliRunner().invoke(mida, [str(argument) for argument in arguments], input=stdin, prog_name="mida")


def spawn(*arguments: object) -> subprocess.Popen[str]:
    """Run ``mida`` in a process of its own."""
    return subprocess.Popen(  # noqa: S603  its own command
        [sys.executable, "-m", "mida_async", *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
