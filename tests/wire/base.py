"""What one sample says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs

from mida_async import MidaClient


@attrs.frozen(kw_only=True)
class Sample:
    """
    One documented call: how it is made, what goes out, what comes back and what becomes of that.

    Attributes:
        endpoint: The endpoint's name in the table.
        call: Makes the call.
        sent: Method and address of the request, ``P`` being the project's path: ``GET P/goals?limit=50&offset=0``.
        body: What its body says, decoded; None where it has none.
        answer: What the vendor's page shows as the body of a success, decoded.
        result: What the call returns then.
    """

    endpoint: str
    call: Callable[[MidaClient], Awaitable[object]]
    sent: str
    body: object = None
    answer: object
    result: object
