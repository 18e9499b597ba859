"""A stream of events as a small web shop might send it, the same at every call."""

from __future__ import annotations

import random
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_VISITORS: Final = 60
_PRODUCTS: Final = ("kettle", "teapot", "mug", "tea tin", "strainer", "tray", "café au lait bowl", "湯呑み")
_PATHS: Final = ("/", "/new", "/sale", "/about", "/search?q=tea")

# What visitors do after what, with how often; they come back to the beginning in the end.
_NEXT: Final = MappingProxyType(
    {
        "page_viewed": (("page_viewed", 4), ("product_viewed", 6)),
        "product_viewed": (("product_viewed", 4), ("page_viewed", 2), ("cart_updated", 4)),
        "cart_updated": (("product_viewed", 3), ("checkout_started", 5), ("page_viewed", 2)),
        "checkout_started": (("purchase_completed", 7), ("page_viewed", 3)),
        "purchase_completed": (("page_viewed", 1),),
    }
)


def sample_events(count: int) -> Iterator[dict[str, Any]]:
    """
    Make events; ``properties["step"]`` counts those of each visitor from 1.

    Args:
        count: How many.
    """
    chance = random.Random(7)  # noqa: S311  it must repeat, not surprise
    steps = [0] * _VISITORS
    doing = ["page_viewed"] * _VISITORS
    for _ in range(count):
        # Some visitors are much busier than others, as in life.
        visitor = int(_VISITORS * chance.random() ** 2)
        if steps[visitor]:
            names, weights = zip(*_NEXT[doing[visitor]], strict=True)
            doing[visitor] = chance.choices(names, weights)[0]
        steps[visitor] += 1
        properties = {"step": steps[visitor], **_properties(doing[visitor], chance)}
        yield {"event_name": doing[visitor], "id": f"visitor_{visitor + 1:02}", "properties": properties}


def _properties(name: str, chance: random.Random) -> dict[str, Any]:
    product = chance.choice(_PRODUCTS)
    match name:
        case "page_viewed":
            return {"path": chance.choice(_PATHS)}
        case "product_viewed":
            return {"product": product}
        case "cart_updated":
            return {"product": product, "quantity": chance.randint(1, 4)}
        case "checkout_started":
            return {"items": chance.randint(1, 6)}
        case _:
            return {"revenue": chance.randint(900, 12_000) / 100, "currency": "EUR", "quantity": chance.randint(1, 6)}
