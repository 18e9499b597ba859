"""
The endpoints of the API, as a table.

One row says all that is particular to an endpoint: where it is, what it takes, whether it may be repeated, and what its
result is. The requests, the checks, the retries, the emulator's routes, the command line, the OpenAPI document and the
documentation are made from it.

Each section has a file of its own, which is loaded when it is needed; ``table`` has all of them.
"""

from __future__ import annotations

from .base import DOCS, Endpoint, Host, Layout, Method, Repeat, lay_out

__all__ = ["DOCS", "Endpoint", "Host", "Layout", "Method", "Repeat", "lay_out"]
