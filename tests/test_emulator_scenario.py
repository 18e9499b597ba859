"""An experiment from draft to winner over bare HTTP, with nothing of this package's client."""

from __future__ import annotations

import asyncio
import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from emulator_caller import TODAY

from mida_async import Request
from mida_async.testing import Emulator, MemoryTransport, ThreadedEmulator

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = 86400.0


class Shop:
    """Talks to an emulator in bare HTTP, at a time of the test's choosing."""

    def __init__(self) -> None:
        self.now = TODAY
        self.emulator = ThreadedEmulator(project_key="shop", api_key="secret", wall_clock=lambda: self.now)

    def send(
        self, method: str, path: str, content: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Send one request on a connection of its own, and return the status and the decoded answer."""
        host, _, port = self.emulator.base_url.removeprefix("http://").partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        body = content if isinstance(content, bytes) else None if content is None else json.dumps(content).encode()
        try:
            connection.request(method, path, body, {"Authorization": "Bearer secret"} if headers is None else headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read() or b"null")
        finally:
            connection.close()

    def done(self, call: str, **fields: object) -> dict[str, Any]:
        """Call the project, and return the answer, which must be a success."""
        method, _, path = call.partition(" ")
        status, answer = self.send(method, f"/v2/project/shop/{path}", fields or None)
        assert (status, answer["success"]) == (200, True), answer
        found: dict[str, Any] = answer
        return found

    def version(self, key: str, visitor: str) -> str | None:
        """Ask as a server-side SDK does."""
        fields = {"key": "shop", "experiment_key": key, "distinct_id": visitor}
        status, answer = self.send("POST", "/experiment/query", fields, {})
        assert status == 200
        version: str | None = answer["version"]
        return version

    def buy(self, revenue: float, **visitor: str) -> None:
        """Record a purchase."""
        properties = {"revenue": revenue, "quantity": 2, "currency": "EUR"}
        self.done("POST event", event_name="Purchase", properties=properties, **visitor)


@pytest.fixture(name="shop")
def _shop() -> Iterator[Shop]:
    shop = Shop()
    with shop.emulator:
        yield shop


def make(shop: Shop) -> int:
    """Create two goals and a live experiment, and let eight known visitors in: four to each variant."""
    shop.done("POST goal", goal_name="Bought", goal_key="bought", goal_type="revenue", goal_value="Purchase")
    shop.done("POST goal", goal_name="Signed up", goal_key="signed_up", goal_type="event", goal_value="signup")
    test_id: int = shop.done(
        "POST create-experiment",
        test_name="Button color",
        url="https://shop.example/",
        variants=[{"name": "Variant 1", "nickname": "Red", "data": []}],
        primary_goal_key="bought",
        secondary_goal_keys=["signed_up"],
    )["test_id"]
    shop.done(f"PATCH experiment/{test_id}/status", status=1)
    for number in range(8):
        uuid, email, own = f"uuid{number}", f"u{number}@example.com", f"user_{number}"
        shop.emulator.add_visitor(uuid, email, own)
        shop.emulator.visit(test_id, mida_uuid=uuid, variant=number % 2)
    return test_id


def act(shop: Shop) -> None:
    """Let visitors buy by each of their names: two of Control for 30, three of the treatment for 60."""
    shop.now += 60
    shop.buy(10, id="user_0")
    shop.buy(20, email="U2@example.com")
    shop.buy(10, mida_uuid="uuid1")
    shop.buy(5, id="user_1")
    shop.buy(15, email="u1@example.com")
    shop.buy(20, id="user_3")
    shop.buy(10, mida_uuid="uuid5")
    shop.done("POST event", event_name="signup", id="user_7")
    shop.done("POST event", event_name="signup", id="user_7")


def test_a_result_is_exactly_what_was_recorded(shop: Shop) -> None:
    """Visitors, conversions, revenue and gains of each variant are those of the events, whoever they name how."""
    test_id = make(shop)
    act(shop)

    result = shop.done(f"GET experiment/{test_id}/result")

    totals = ("total_visitors", "total_conversions", "total_revenue", "total_orders", "rpv", "aov", "currency")
    assert [result[name] for name in totals] == [8, 5, 90, 7, 11.25, 12.86, "EUR"]
    assert (result["status"], result["status_code"], result["has_revenue"]) == ("live", 1, True)
    shared = {"currency": "EUR", "traffic_weight": 50.0, "variant_status": "active"}
    control = {"visitors": 4, "conversions": 2, "conversion_rate": 50.0, "revenue": 30, "orders": 2}
    red = {"visitors": 4, "conversions": 3, "conversion_rate": 75.0, "revenue": 60, "orders": 5}
    gains = {"improvement": 50.0, "revenue_per_visitor_improvement": 100.0}
    assert result["variants"] == [
        {"variant_id": "0", "name": "Control", "is_control": True, "rpv": 7.5, "aov": 15.0, **shared, **control},
        {"variant_id": "1", "name": "Red", "is_control": False, "rpv": 15.0, "aov": 12.0, **shared, **red, **gains},
    ]
    by_goal = shop.done(f"GET experiment/{test_id}/result?goal_key=signed_up")
    assert [arm["conversions"] for arm in by_goal["variants"]] == [0, 1]
    assert "revenue" not in by_goal["variants"][0]
    broken_down = shop.done(f"GET experiment/{test_id}/result?breakdown_by=device")["breakdowns"]
    assert [(part["criteria"], part["total_revenue"]) for part in broken_down] == [("unknown", 90)]


def test_the_other_reports_agree_with_the_result(shop: Shop) -> None:
    """Days of a timeseries add up to the result; metrics count the secondary goal; the distribution is the plan."""
    test_id = make(shop)
    act(shop)
    shop.now += DAY
    shop.emulator.visit(test_id, id="late", variant=1)
    shop.buy(40, id="late")

    days = shop.done(f"GET experiment/{test_id}/timeseries")["timeseries"]
    seen = [(row["created_at"][:10], row["variant_id"], row["visitors"], row["converted"]) for row in days]
    assert seen == [
        ("2024-01-15", "0", 4, 2),
        ("2024-01-15", "1", 4, 3),
        ("2024-01-16", "0", 0, 0),
        ("2024-01-16", "1", 1, 1),
    ]
    assert [(row["revenue"], row["quantity"], row["no_of_order"]) for row in days] == [
        (30, 4, 2),
        (60, 10, 5),
        (0, 0, 0),
        (40, 2, 1),
    ]
    metrics = shop.done(f"GET experiment/{test_id}/metrics")
    assert metrics["metrics"] == [
        {"variant_id": "0", "total": 4, "result_1": 0},
        {"variant_id": "1", "total": 5, "result_1": 1},
    ]
    planned = shop.done(f"GET experiment/{test_id}/distribution")["variants"]
    assert [arm["traffic_weight"] for arm in planned] == [50.0, 50.0]
    for query, visitors in (
        ("end_date=2024-01-15", 8),
        ("start_date=2024-01-16", 1),
        ("start_date=2024-01-15&end_date=2024-01-16", 9),
    ):
        assert shop.done(f"GET experiment/{test_id}/result?{query}")["total_visitors"] == visitors


def test_what_is_deleted_or_too_early_does_not_count(shop: Shop) -> None:
    """Neither events before the visitor came, nor those that were deleted, nor those of a goal that was deleted."""
    test_id = make(shop)
    shop.emulator.add_visitor(id="early")
    shop.buy(99, id="early")
    shop.now += 60
    shop.emulator.visit(test_id, id="early", variant=0)
    shop.buy(10, id="user_0")
    address = f"GET experiment/{test_id}/result"
    assert (shop.done(address)["total_visitors"], shop.done(address)["total_conversions"]) == (9, 1)

    number = shop.done("GET events")["events"][-1]["event_id"]
    shop.done(f"DELETE event/{number}")
    assert (shop.done(address)["total_conversions"], shop.done(address)["total_revenue"]) == (0, 0)
    shop.done(f"PATCH event/{number}", status=1)
    assert shop.done(address)["total_conversions"] == 1

    goal = shop.done("GET goals")["goals"][0]["goal_profile_id"]
    shop.done(f"DELETE goal/{goal}")
    result = shop.done(address)
    assert (result["primary_goal"], result["selected_goal"], result["total_conversions"]) == (None, None, 0)
    assert shop.send("GET", f"/v2/project/shop/experiment/{test_id}/result?goal_key=bought")[0] == 400


def test_attributes_of_servers_filter_results(shop: Shop) -> None:
    """What ``/track`` says of a visitor is what conditions on attributes ask for, under any of the visitor's names."""
    test_id = make(shop)
    act(shop)
    for number, plan in enumerate(("pro", "pro", "free")):
        status, answer = shop.send(
            "POST", "/track/shop", {"id": f"user_{number}", "plan": plan, "age": 20 + number}, {}
        )
        assert (status, answer) == (200, {"id": f"uuid{number}"})

    def visitors(**condition: object) -> int:
        text = quote(json.dumps([[{"criteria": "attribute", **condition}]]))
        total: int = shop.done(f"GET experiment/{test_id}/result?custom_filter={text}")["total_visitors"]
        return total

    assert visitors(key="plan", operator="==", value="pro") == 2
    assert visitors(key="plan", operator="ex") == 3
    assert visitors(key="plan", operator="!=", value="pro") == 6
    assert visitors(key="age", operator="gte", value=21) == 2


def test_servers_let_visitors_in_and_convert(shop: Shop) -> None:
    """``/experiment/query`` lets a visitor in, ``/experiment/event`` converts them; a winner then goes to everybody."""
    shop.done("POST goal", goal_name="Bought", goal_key="bought", goal_type="event", goal_value="Purchase")
    test_id = shop.emulator.add_experiment(
        test_name="Ranking", experiment_key="ranking", variants=[{}], primary_goal_key="bought"
    )
    assert shop.version("ranking", "user_0") is None
    shop.done(f"PATCH experiment/{test_id}/status", status=1)
    seen = {f"user_{number}": shop.version("ranking", f"user_{number}") for number in range(20)}
    assert set(seen.values()) == {"Control", "Variant 1"}
    for name in ("user_0", "user_1", "stranger"):
        fields = {"key": "shop", "name": "Purchase", "distinct_id": name, "properties": "{}"}
        assert shop.send("POST", "/experiment/event", fields, {})[0] == 200

    result = shop.done(f"GET experiment/{test_id}/result")
    assert (result["total_visitors"], result["total_conversions"]) == (20, 2)
    count = [sum(version == name for version in seen.values()) for name in ("Control", "Variant 1")]
    assert [arm["visitors"] for arm in result["variants"]] == count

    shop.now += 60
    shop.done(f"POST experiment/{test_id}/serve-winner", variant_id="1", traffic_allocation=100)
    assert {shop.version("ranking", name) for name in (*seen, "new")} == {"Variant 1"}
    result = shop.done(f"GET experiment/{test_id}/result")
    assert (result["report_phase"], result["total_visitors"]) == ("pre_deploy", 20)
    after = shop.done(f"GET experiment/{test_id}/result?report_phase=post_deploy")
    assert [arm["visitors"] for arm in after["variants"]] == [0, 21]
    shop.done(f"POST experiment/{test_id}/stop-serving")
    assert {name: shop.version("ranking", name) for name in seen} == seen


def test_an_application_that_only_records_gets_a_result(shop: Shop) -> None:
    """Where a test lets nobody in, the visitors whose events are recorded take part."""
    shop.done("POST goal", goal_name="Bought", goal_key="bought", goal_type="event", goal_value="Purchase")
    variants = [{"name": "Variant 1", "data": []}]
    test_id = shop.done(
        "POST create-experiment",
        test_name="Button color",
        url="https://shop.example/",
        variants=variants,
        primary_goal_key="bought",
        status=1,
    )["test_id"]
    for number in range(10):
        shop.emulator.add_visitor(id=f"user_{number}")
        shop.done("POST event", event_name="Purchase" if number < 4 else "Seen", id=f"user_{number}")

    result = shop.done(f"GET experiment/{test_id}/result")

    assert (result["total_visitors"], result["total_conversions"]) == (10, 4)


def test_many_clients_at_once_lose_nothing(shop: Shop) -> None:
    """Requests of many threads are all applied, each once, with numbers of their own."""
    shop.emulator.add_visitor(id="user_1")

    def record(number: int) -> int:
        body = {"event_name": f"event {number}", "id": "user_1"}
        return shop.send("POST", "/v2/project/shop/event", body)[0]

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(record, range(200))) == {200}

    assert sorted(event.event_name for event in shop.emulator.recorded) == sorted(f"event {n}" for n in range(200))
    assert len({event.event_id for event in shop.emulator.recorded}) == 200


REQUESTS = [
    ("GET", "/v2/project/shop", None),
    ("GET", "/v2/project/shop/events?limit=0", None),
    ("GET", "/v2/project/shop/nothing", None),
    ("PUT", "/v2/project/shop/goals", b"{}"),
    ("POST", "/v2/project/shop/goal", b'{"goal_name": "a", "goal_type": "event", "goal_value": "b"}'),
    ("POST", "/v2/project/shop/goal", b'\xef\xbb\xbf{"goal_name": "a"}'),
    ("POST", "/v2/project/shop/event", b'{"event_name": "\\ud800", "id": "\\udfff"}'),
    ("POST", "/v2/project/shop/event", b'{"event_name": "a", "event_name": "b", "id": "ann"}'),
    ("POST", "/v2/project/shop/event", "{}".encode("utf-16")),
    ("POST", "/v2/project/shop/event", b"[" * 100_000),
    ("POST", "/v2/project/shop/event", b'{"a": "' + b"x" * 2**21 + b'"}'),
    ("GET", "/v2/project/shop/personalization/suggested-pages?account=a&account=b%20c", None),
    ("GET", "/v2/project/shop/event/%2e%2e", None),
    ("POST", "/feature-flag", b'{"key": "shop"}'),
    ("GET", "/v2/project/other/events", None),
]


def test_sockets_and_memory_answer_alike(shop: Shop) -> None:
    """The same requests get the same answers, and leave the same state, over sockets and within the process."""
    over_sockets = [shop.send(method, path, body) for method, path, body in REQUESTS]

    async def main() -> tuple[list[tuple[int, Any]], Emulator]:
        emulator = Emulator(project_key="shop", api_key="secret", wall_clock=lambda: TODAY)
        answers: list[tuple[int, Any]] = []
        async with MemoryTransport(emulator) as transport:
            for method, path, body in REQUESTS:
                headers = {"Authorization": "Bearer secret"}
                request = Request(
                    method=method, url=transport.base_url + path, headers=headers, body=body, max_response_bytes=10**6
                )
                response = await transport.send(request, total=10)
                answers.append((response.status, json.loads(response.body)))
        return answers, emulator

    in_memory, emulator = asyncio.run(main())

    assert over_sockets == in_memory
    assert {status for status, _ in in_memory} == {200, 400, 404, 405, 413}
    assert emulator.statistics() == shop.emulator.statistics()
    assert [repr(event.event_name) for event in emulator.recorded] == [
        repr(event.event_name) for event in shop.emulator.recorded
    ]
