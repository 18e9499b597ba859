"""The code of docs/rest-api.md runs against the emulator, and prints what it says that it prints."""

from __future__ import annotations

import ast
import asyncio
import re
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mida_async.testing import Emulator

if TYPE_CHECKING:
    import pytest

GUIDE = Path(__file__).parent.parent / "docs" / "rest-api.md"
BLOCKS: list[str] = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
PRINTED = re.compile(r"^\s*print\(.*\)  # (?P<said>.*)$", re.MULTILINE)


def visit_shop(emulator: Emulator, test_id: int) -> types.ModuleType:
    """Let forty visitors come, half of them to each variant; return the module of those who sign up."""
    for number in range(40):
        emulator.visit(test_id, id=f"user_{number}", variant=number % 2)
    module = types.ModuleType("visitors_of_the_day")
    vars(module)["visitors"] = [f"user_{number}" for number in range(40) if number % 8 in {0, 1, 5}]
    return module


def serve_sdks(emulator: Emulator) -> None:
    """Add what the calls of the SDKs ask for; the guide's own experiment comes afterwards."""
    seen = [{"id": "user_1", "variant": "Variant 1"}]
    emulator.add_experiment(
        test_name="Checkout", experiment_key="checkout", status=1, variants=[{"data": []}], assignments=seen
    )
    emulator.add_feature_flag("new_checkout")


async def run(block: str, names: dict[str, Any]) -> None:
    """Run one block of the guide in the namespace of all."""
    code = compile(block, GUIDE.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    waiting = eval(code, names)  # noqa: S307 - our own text
    if asyncio.iscoroutine(waiting):
        await waiting


def test_the_guide_leads_to_a_winner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each block of the guide works as it stands, one after the other, and its comments are what it prints."""

    async def main() -> Emulator:
        async with Emulator(project_key="shop", api_key="shop-key") as emulator:
            for name, value in (("PROJECT_KEY", "shop"), ("API_KEY", "shop-key"), ("BASE_URL", emulator.base_url)):
                monkeypatch.setenv(f"MIDA_{name}", value)
            serve_sdks(emulator)
            names: dict[str, Any] = {}
            for block in BLOCKS:
                if "visitors_of_the_day" in block:
                    monkeypatch.setitem(sys.modules, "visitors_of_the_day", visit_shop(emulator, names["test_id"]))
                capsys.readouterr()
                await run(block, names)
                printed = capsys.readouterr().out.splitlines()
                assert [found["said"] for found in PRINTED.finditer(block) if found["said"] not in printed] == []
            rates = [(row.variant_id, row.visitors, row.conversion_rate) for row in names["result"].variants]
            assert rates == [("0", 20, 25.0), ("1", 20, 50.0)]
            assert (names["variant"], names["flags"]) == ("Variant 1", ("new_checkout",))
            return emulator

    emulator = asyncio.run(main())
    assert [event.event_name for event in emulator.recorded] == ["signup_completed"] * 15 + ["Purchase"]


def test_the_guide_is_found() -> None:
    """The guide has its blocks, and most of what it prints is checked."""
    assert len(BLOCKS) >= 9
    assert len(PRINTED.findall("".join(BLOCKS))) >= 5
