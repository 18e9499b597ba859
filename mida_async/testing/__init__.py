"""What tests of code that uses this client need: a server to talk to, and its faults and limits."""

from __future__ import annotations

from ._emulator.emulator import Emulator
from ._emulator.faults import CutBody, Fault, Latency, NotJSON, ResetAfter, ResetBefore, Stall, StallBody, Status
from ._emulator.limits import All, FixedFromFirstHit, FixedWindow, RateModel, SlidingCounter, SlidingLog, TokenBucket
from ._emulator.records import EmulatorStatistics, ReceivedRequest, RecordedEvent

__all__ = [
    "All",
    "CutBody",
    "Emulator",
    "EmulatorStatistics",
    "Fault",
    "FixedFromFirstHit",
    "FixedWindow",
    "Latency",
    "NotJSON",
    "RateModel",
    "ReceivedRequest",
    "RecordedEvent",
    "ResetAfter",
    "ResetBefore",
    "SlidingCounter",
    "SlidingLog",
    "Stall",
    "StallBody",
    "Status",
    "TokenBucket",
]
