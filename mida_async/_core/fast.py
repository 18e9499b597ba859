"""JSON by orjson, where it is installed (the extra ``speed``): the same values, in a fraction of the time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

try:
    import orjson
except ImportError:  # pragma: no cover - the test environment has it; the tests take it away
    _dumps: Callable[..., bytes] | None = None
    _options = 0
else:
    _dumps = orjson.dumps
    # What both would write differently is left to `default`, or to the slow way.
    _options = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS


def encode(value: object, default: Callable[[object], object], deepest: int) -> bytes | None:
    """
    Write *value* as JSON, if that is certain to say the same as the standard library's would.

    Args:
        value: What to write.
        default: Writes what JSON does not have; raises for what must not be written.
        deepest: How many levels are surely not too many.

    Returns:
        The JSON text; None where it cannot be written, or where only a closer look can tell.
    """
    if _dumps is None:
        return None
    try:
        body = _dumps(value, default, _options)
    except (TypeError, ValueError, RecursionError):
        return None
    # NaN and the infinities are written as null, without a complaint. A text may hold these, too; then the slow way
    # finds nothing wrong. (`find` takes half as long as `in`, and what is too deep takes two bytes a level.)
    if body.find(b"null") >= 0 or (len(body) > 2 * deepest and body.count(b"{") + body.count(b"[") > deepest):
        return None
    return b"%b" % body  # a copy: orjson's own block is kilobytes larger than its text, and this may wait for long
