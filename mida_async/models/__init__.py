"""
What the API answers with and what it takes, as frozen values.

All of them are loaded when the first one is asked for: they are more than a hundred, and a program that only records
events needs a handful.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .catalogue import *  # noqa: F403
    from .catalogue import __all__ as __all__
else:

    def __getattr__(name: str) -> object:
        return getattr(importlib.import_module(".catalogue", __name__), name)

    def __dir__() -> list[str]:
        return [*globals(), *importlib.import_module(".catalogue", __name__).__all__]
