"""What every test starts from: reproducible examples, and an environment without the client's variables."""

from __future__ import annotations

import os

import hypothesis
import pytest

# Every run tries the same examples, so that a failure comes from the change under test, and no database goes stale.
hypothesis.settings.register_profile("mida_async", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("mida_async")


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("MIDA_", "KLAVIYO_"))]:
        monkeypatch.delenv(name)


@pytest.fixture(params=["short", "session"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let requests go both ways: the short one, and that through aiohttp's session, as with a version not tested."""
    if request.param == "session":
        monkeypatch.setattr("mida_async._transport.aiohttp._TESTED", frozenset[str]())
