"""
A faster way for requests to go out: the extra ``turbo``.

It is used instead of the default transport::

    async with TurboTransport() as transport, MidaClient("project", "key", transport=transport) as mida:
        ...
"""

from __future__ import annotations

try:
    from ._transport.turbo.transport import TurboTransport
except ModuleNotFoundError as error:
    if error.name != "httptools":
        raise
    message = "mida_async.turbo needs httptools: pip install mida-async[turbo]"
    raise ModuleNotFoundError(message, name="httptools") from None

__all__ = ["TurboTransport"]
