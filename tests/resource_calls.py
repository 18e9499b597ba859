"""Resources over the real transport, against an emulator on loopback."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from mida_async import MidaClient, RetryPolicy, Timeout
from mida_async.testing import Emulator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mida_async._resources.events import Events
    from mida_async._resources.goals import Goals

PROJECT_KEY = "PjK_0-abcdefghijklmnop"
API_KEY = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"

Test: TypeAlias = "Callable[[Calls], Awaitable[None]]"


@attrs.frozen
class Calls:
    """What a test talks to."""

    emulator: Emulator
    mida: MidaClient

    @property
    def events(self) -> Events:
        """The section of events."""
        return self.mida.events

    @property
    def goals(self) -> Goals:
        """The section of goals."""
        return self.mida.goals

    @property
    def sent(self) -> list[str]:
        """Method and address of everything that arrived, without the part that all have in common."""
        prefix = f"/v2/project/{PROJECT_KEY}"
        return [
            f"{request.method} {request.path.removeprefix(prefix)}"
            + (f"?{request.query_string}" if request.query_string else "")
            for request in self.emulator.requests
        ]


async def _with_emulator(test: Test, emulator: Emulator, settings: dict[str, Any]) -> None:
    given = {"timeout": Timeout(connect=20, read=30, total=30), "retry": RetryPolicy(initial=0.001), **settings}
    async with emulator, MidaClient(PROJECT_KEY, API_KEY, base_url=emulator.base_url, **given) as mida:
        await test(Calls(emulator, mida))


def calling(test: Test, *, auto_visitors: bool = False, plan_goal_limit: int | None = None, **settings: Any) -> None:
    """Run *test* against a fresh emulator, on a real event loop; further settings are those of the client."""
    emulator = Emulator(
        project_key=PROJECT_KEY, api_key=API_KEY, auto_visitors=auto_visitors, plan_goal_limit=plan_goal_limit
    )
    asyncio.run(_with_emulator(test, emulator, settings))
