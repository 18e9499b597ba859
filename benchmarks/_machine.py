"""What was measured on: without it no figure says anything."""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Final, TypeAlias

Facts: TypeAlias = dict[str, str | int | float]

LIBRARIES: Final = (
    *("aiohttp", "aiokafka", "aiolimiter", "httpx", "mida-async", "orjson", "posthog"),
    *("pyrate-limiter", "segment-analytics-python", "uvloop"),
)


def facts() -> Facts:
    """Return the date, the machine, the interpreter, and the versions of what takes part."""
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        # What else ran: figures of a busy machine are noisy.
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0,
        "libraries": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
    }


def version(distribution: str) -> str:
    """Return its version, or say that it is not there."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
