"""The README and the guides: their examples run, their links lead somewhere, their commands exist."""

from __future__ import annotations

import ast
import asyncio
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from mida_async import BufferSettings, RetryPolicy
from mida_async.testing import Emulator

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The README's example works as it stands, except that it talks to the emulator."""
    example = _blocks("python")[0]
    assert example.count('region="us"') == 1

    async def run() -> Emulator:
        async with Emulator(project_key="my_project", api_key="my_key", auto_visitors=True) as emulator:
            here = example.replace('region="us"', f"base_url={emulator.base_url!r}")
            names: dict[str, Any] = {}
            exec(compile(here, "README.md", "exec"), names)  # noqa: S102 - our own text
            await names["main"]()
            return emulator

    emulator = asyncio.run(run())
    assert [event.event_name for event in emulator.recorded] == ["signup_completed"]
    assert capsys.readouterr().out.splitlines() == ["signed_up", "200 1 False"]


def test_the_example_of_the_server_side_calls_runs() -> None:
    """The README's second example asks for a variant and sends attributes, to the emulator."""
    example = _blocks("python")[1]
    assert example.count('region="us"') == 1

    async def run() -> str:
        async with Emulator(project_key="my_project", api_key="my_key", auto_visitors=True) as emulator:
            here = example.replace('region="us"', f"base_url={emulator.base_url!r}")
            names: dict[str, Any] = {}
            exec(compile(here, "README.md", "exec"), names)  # noqa: S102 - our own text
            variant: str = await names["decide"]("user_1")
            paths = [request.path for request in emulator.requests]
            assert paths == ["/experiment/query", "/track/my_project"]
            return variant

    assert asyncio.run(run()) == "Control"


def test_the_example_is_short() -> None:
    """The README's example is 15 lines at most."""
    example = _blocks("python")[0]
    lines = [line for line in example.splitlines() if line.strip()]

    assert len(lines) <= 15


def test_the_two_commands_come_first() -> None:
    """A newcomer sees make demo and make test before anything else that can be typed."""
    first = _blocks("console")[0]
    commands = [shlex.split(line.removeprefix("$ "), comments=True) for line in first.splitlines()]
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)

    assert commands == [["make", "demo"], ["make", "test"]]
    assert {"demo", "test"} <= set(targets)


def test_the_example_of_the_testing_guide_runs() -> None:
    """The test that docs/testing.md shows passes."""
    example = _blocks("python", (ROOT / "docs" / "testing.md").read_text(encoding="utf-8"))[0]
    names: dict[str, Any] = {}
    exec(compile(example, "testing.md", "exec"), names)  # noqa: S102 - our own text

    asyncio.run(names["test_a_purchase_is_recorded"]())


def test_the_example_of_a_crash_runs() -> None:
    """The test of a crash that docs/testing.md shows passes."""
    examples = _blocks("python", (ROOT / "docs" / "testing.md").read_text(encoding="utf-8"))
    (example,) = (text for text in examples if "disk.crash()" in text)
    names: dict[str, Any] = {}
    exec(compile(example, "testing.md", "exec"), names)  # noqa: S102 - our own text

    names["test_nothing_is_lost_in_a_crash"]()


def test_the_example_of_durability_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of docs/durability.md records an event by way of a file."""
    (example,) = _blocks("python", (ROOT / "docs" / "durability.md").read_text(encoding="utf-8"))
    assert example.count('region="us"') == 1
    monkeypatch.chdir(tmp_path)

    async def run() -> list[str]:
        async with Emulator(project_key="my_project", api_key="my_key", auto_visitors=True) as emulator:
            here = example.replace('region="us"', f"base_url={emulator.base_url!r}")
            names: dict[str, Any] = {}
            exec(compile(here, "durability.md", "exec"), names)  # noqa: S102 - our own text
            await names["main"]()
            return [event.event_name for event in emulator.recorded]

    assert asyncio.run(run()) == ["purchase_completed"]
    assert (tmp_path / "events.db").is_file()


def test_the_examples_of_the_klaviyo_guide_run() -> None:
    """What docs/klaviyo.md shows works: the client's example, which talks to the emulator here, and the test."""
    client, test = _blocks("python", (ROOT / "docs" / "klaviyo.md").read_text(encoding="utf-8"))
    assert client.count('api_key="pk_..."') == 1
    names: dict[str, Any] = {}
    exec(compile(test, "klaviyo.md", "exec"), names)  # noqa: S102 - our own text

    async def run() -> list[str]:
        await names["test_an_order_is_recorded"]()
        async with Emulator(api_key="pk") as emulator:
            here = client.replace('api_key="pk_..."', f"'pk', base_url={emulator.base_url!r}")
            exec(compile(here, "klaviyo.md", "exec"), names)  # noqa: S102 - our own text
            await names["main"]()
            return [event.event_name for event in emulator.recorded]

    assert asyncio.run(run()) == ["Placed Order", "Viewed Product"]


@pytest.mark.parametrize("page", [*sorted(ROOT.glob("docs/*.md")), ROOT / "README.md"], ids=lambda page: page.name)
def test_pages_are_whole(page: Path) -> None:
    """Every link to a file of the project leads to one, and every example of Python can be compiled."""
    text = page.read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", text) if not target.startswith("http")]

    assert [target for target in targets if not (page.parent / target).is_file()] == []
    for example in _blocks("python", text):
        compile(example, page.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_defaults_in_the_guide_are_true() -> None:
    """The numbers that docs/delivery.md names are the defaults."""
    text = (ROOT / "docs" / "delivery.md").read_text(encoding="utf-8")
    settings, retry = BufferSettings(), RetryPolicy()

    assert f"`max_records` ({settings.max_records:,})" in text
    assert f"`max_bytes` ({settings.max_bytes // 2**20} MiB" in text
    assert f"(`close_timeout`, {settings.close_timeout:.0f} seconds)" in text
    assert f"from {retry.initial} to {retry.maximum:.0f} seconds" in text
    assert retry.max_attempts == 10
    assert "ten attempts in all" in text
