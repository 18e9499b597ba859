"""What the API answers with, as frozen values."""

from __future__ import annotations

from .base import Model, Reply
from .events import Event, EventCreated, EventDeleted, EventDetails, EventPage, EventRecorded, EventUpdated
from .goals import Goal, GoalCreated, GoalDeleted, GoalDetails, GoalPage, GoalPurpose, GoalType, GoalUpdated

__all__ = [
    "Event",
    "EventCreated",
    "EventDeleted",
    "EventDetails",
    "EventPage",
    "EventRecorded",
    "EventUpdated",
    "Goal",
    "GoalCreated",
    "GoalDeleted",
    "GoalDetails",
    "GoalPage",
    "GoalPurpose",
    "GoalType",
    "GoalUpdated",
    "Model",
    "Reply",
]
