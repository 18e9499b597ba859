"""
What tests of code that uses this client need: a server to talk to, its faults and limits, and a clock that jumps.

The fixtures of the pytest plugin are in :mod:`mida_async.testing.pytest_plugin`; the checks for transports and
destinations of one's own in :mod:`mida_async.testing.transport_suite` and :mod:`mida_async.testing.destination_suite`,
those for spools in :mod:`mida_async.testing.spool_suite`.
"""

from __future__ import annotations

from ._emulator.emulator import Emulator
from ._emulator.faults import CutBody, Fault, Latency, NotJSON, ResetAfter, ResetBefore, Stall, StallBody, Status
from ._emulator.limits import All, FixedFromFirstHit, FixedWindow, RateModel, SlidingCounter, SlidingLog, TokenBucket
from ._emulator.records import EmulatorStatistics, ReceivedRequest, RecordedEvent, RecordedKlaviyoEvent
from .clock import VirtualClockLoop, run_virtual
from .memory import MemoryTransport, StalledResponse
from .memory_spool import MemoryDisk, MemorySpool
from .spool_suite import SPOOL_CHECKS, SpoolCheck, SpoolStage
from .threaded import ThreadedEmulator

__all__ = [
    "All",
    "CutBody",
    "Emulator",
    "EmulatorStatistics",
    "Fault",
    "FixedFromFirstHit",
    "FixedWindow",
    "Latency",
    "MemoryDisk",
    "MemorySpool",
    "MemoryTransport",
    "NotJSON",
    "RateModel",
    "ReceivedRequest",
    "RecordedEvent",
    "RecordedKlaviyoEvent",
    "ResetAfter",
    "ResetBefore",
    "SPOOL_CHECKS",
    "SlidingCounter",
    "SlidingLog",
    "SpoolCheck",
    "SpoolStage",
    "Stall",
    "StallBody",
    "StalledResponse",
    "Status",
    "ThreadedEmulator",
    "TokenBucket",
    "VirtualClockLoop",
    "run_virtual",
]
