"""
Calls with what people have at hand: plain lists, dicts and numbers in variables, without annotations.

The point is as much that mypy and pyright, in their strict modes, find nothing wrong here.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from typing import TYPE_CHECKING, Any, Final

from mida_async import MidaClient
from mida_async._core.messages import Response
from mida_async.models import Condition, EventRule, HideElement, PageRule, Targeting, Variant
from mida_async.testing import MemoryTransport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mida_async._core.messages import Request

# Holds what any of the calls needs.
_ANSWER: Final[dict[str, Any]] = {
    "success": True,
    "test_id": 7,
    "event_id": 7,
    "goal_profile_id": 7,
    "abm_campaign_id": 7,
    "variants": [{"variant_id": "0"}, {"variant_id": "1"}],
    "metrics": [{"variant_id": "0", "result_1": 3}],
    "events": [{"event_id": 7}],
    "project": {"project_key": "other"},
    "experiment": {"test_id": 7},
    "configuration": {"secondary_goals": [{"text": "goal_7", "goal_key": "signup"}]},
}


def _bodies(test: Callable[[MidaClient], Awaitable[None]]) -> list[Any]:
    """Run *test* and return what its calls sent: bodies, or addresses where they have none."""
    sent: list[Any] = []

    def answer(request: Request) -> Response:
        sent.append(request.url if request.body is None else json.loads(request.body))
        return Response(status=200, body=json.dumps(_ANSWER).encode())

    async def main() -> None:
        transport = MemoryTransport(answer)
        async with MidaClient("project", "secret", base_url="https://mida.test", transport=transport) as mida:
            await test(mida)

    asyncio.run(main())
    return sent


def test_events_and_goals() -> None:
    """Properties are any mapping, days are dates or texts."""

    async def test(mida: MidaClient) -> None:
        properties = {"amount": 10, "currency": "USD"}
        await mida.events.record("purchase", id="ann", properties=properties)
        await mida.events.create("purchase", event_property=properties, url="https://example.com/")
        page = await mida.events.list(limit=10, start_date=dt.date(2024, 1, 1), end_date="2024-01-02")
        number: int = page.events[0].event_id
        async for event in mida.events.iter(start_date=dt.datetime(2024, 1, 1, tzinfo=dt.UTC)):
            assert event.event_id == number
            break
        await mida.events.update(number, event_text="paid", event_property=None, url=None, status=2)
        goal = await mida.goals.create(goal_name="Paid", goal_type="event", goal_value="paid")
        await mida.goals.update(goal.goal_profile_id, goal_name="Bought", element_url=None)

    sent = _bodies(test)
    assert sent[0]["properties"] == sent[1]["event_property"] == {"amount": 10, "currency": "USD"}
    assert sent[4] == {"event_text": "paid", "event_property": None, "url": None, "status": 2}


def test_experiments() -> None:
    """Variants, goals, pages, configuration and targeting are plain dicts, or objects, or both in one list."""

    async def test(mida: MidaClient) -> None:
        variants = [{"nickname": "Red", "customCSS": "a {}", "data": []}]
        red = Variant(nickname="Red", data=[HideElement(target="x"), {"rm": "y"}])
        goal = {"goal_name": "Paid", "goal_type": "event", "goal_value": "paid"}
        running = {"traffic_allocation": 50}
        shown_to = {"device_rule": ["desktop"], "new_rule": [{"a": 1}]}
        pages = [{"url": "https://example.com/", "rule": "exact", "allowed": True}]
        created = await mida.experiments.create(
            test_name="Button",
            variants=variants,
            page_urls=pages,
            primary_goal=goal,
            secondary_goals=[goal],
            configuration=running,
            targeting=shown_to,
            control={"nickname": "Old"},
            status=9,
        )
        await mida.experiments.create(
            test_name="Button", variants=[red, {"nickname": "Blue"}], page_urls=[PageRule(url="a"), "b"]
        )
        await mida.experiments.update(
            created.test_id, tags=["a"], variants=variants, control=None, configuration=running, targeting=shown_to
        )
        await mida.experiments.set_status(created.test_id, "live")

    first, second, changed, status = _bodies(test)
    assert first["targeting"] == changed["targeting"] == {"device_rule": ["desktop"], "new_rule": [{"a": 1}]}
    assert [variant["name"] for variant in second["variants"]] == ["Variant 1", "Variant 2"]
    assert changed["control"] is None
    assert status == {"status": 1}


def test_reports_and_serving() -> None:
    """Filters are lists of lists of dicts, JSON text, or objects; columns of metrics have their own names."""

    async def test(mida: MidaClient) -> None:
        mobile = [[{"criteria": "device", "operator": "==", "value": "mobile"}]]
        large = [[{"key": "amount", "operand": ">", "value": 5}]]
        indexes = [0]
        result = await mida.experiments.result(7, custom_filter=mobile, event_attribute=large, tz=5.5)
        await mida.experiments.result(7, custom_filter=json.dumps(mobile), filter_by=["mobile"])
        await mida.experiments.timeseries(7, custom_filter=Condition("device", "==", "mobile"))
        report = await mida.experiments.metrics(7, metric_batch=indexes, metric_keys=["a"], goal_keys="a,b")
        row = report.metrics[0]
        assert (row.result_1, row.results, hasattr(row, "result_2"), hasattr(row, "other")) == (
            3.0,
            (3.0,),
            False,
            False,
        )
        await mida.experiments.serve_winner(7, result.variants[1], traffic_allocation=25)
        await mida.experiments.serve_winner(7, result.variants[1].variant_id)
        targeting = Targeting(parameter_rule=mobile, event_rule=[EventRule(name="a", attributes=large)])
        await mida.experiments.update(7, targeting=targeting)

    sent = _bodies(test)
    assert len({url.split("custom_filter=")[1].split("&")[0] for url in sent[:3]}) == 1
    assert sent[4:6] == [{"variant_id": "1", "traffic_allocation": 25}, {"variant_id": "1"}]
    assert sent[6]["targeting"]["parameter_rule"] == [[{"criteria": "device", "operator": "==", "value": "mobile"}]]


def test_projects_groups_and_campaigns() -> None:
    """Members of a group are numbers or dicts, companies are names or dicts, goals keys or what was read."""

    async def test(mida: MidaClient) -> None:
        key: str = (await mida.projects.create(name="Shop")).project_key
        await mida.projects.update(key, name="Store")
        read = await mida.projects.get_configuration()
        await mida.projects.update_configuration(secondary_goals=[*read.secondary_goals, "paid"], primary_goal_key=None)
        numbers = [1, 2]
        shares = [{"test_id": 1, "percent": 50}, {"test_id": 2, "percent": 50}]
        await mida.exclusion_groups.create("Checkout", numbers)
        await mida.exclusion_groups.update(7, tests=shares)
        companies = [{"name": "Acme", "domain": "acme.example"}]
        names = ["Acme"]
        await mida.personalization.create_campaign(strategy="accounts", page_urls=["a"], accounts=companies)
        await mida.personalization.create_campaign(strategy="personas", page_urls=["a"], personas=[{"label": "b"}])
        await mida.personalization.add_accounts(7, names)
        await mida.personalization.suggested_pages(names)

    sent = _bodies(test)
    assert sent[3] == {"secondary_goals": [{"goal_key": "signup"}, {"goal_key": "paid"}], "primary_goal_key": None}
    assert sent[4]["tests"] == [{"test_id": 1}, {"test_id": 2}]
    assert sent[9].endswith("/suggested-pages?account=Acme")
