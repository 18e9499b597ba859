"""What a created Klaviyo event is known by."""

from __future__ import annotations

import datetime as dt

import attrs

from .base import Model


@attrs.frozen(kw_only=True, eq=False, repr=False)
class KlaviyoEvent(Model):
    """
    An event that Klaviyo has taken to process.

    The service answers without a body (Create Event page, revision 2023-01-24), so this is what was sent.

    Attributes:
        unique_id: The id by which the service knows the event if it comes again: yours, or one that was made for it.
        time: When it happened, to the second.
    """

    unique_id: str
    time: dt.datetime
