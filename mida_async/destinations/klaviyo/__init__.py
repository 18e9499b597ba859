"""
Klaviyo's "Create Event" and "Bulk Create Events", in every revision of the API.

Sources: the pages Create Event (revision 2023-01-24) and Bulk Create Events, the Events API overview, and the pages on
versioning and on rate limits and errors, read 2026-11. An event has an id of its own, by which the service knows it
again; an answer of 202 says that it was taken, not that it was processed.
"""

from __future__ import annotations

from .account import KlaviyoAccount
from .bulk import KlaviyoBatch, KlaviyoBulkDestination
from .event import KlaviyoDestination
from .revision import CURRENT_REVISION, Revision

__all__ = [
    "CURRENT_REVISION",
    "KlaviyoAccount",
    "KlaviyoBatch",
    "KlaviyoBulkDestination",
    "KlaviyoDestination",
    "Revision",
]
