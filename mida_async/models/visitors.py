"""What the calls of the server-side SDKs answer with. No page documents them; they are as the SDKs read them."""

from __future__ import annotations

import attrs

from .base import Model, Reply


@attrs.frozen(kw_only=True, eq=False, repr=False)
class VisitorVariant(Model):
    """
    Which variant of an experiment a visitor sees (mida-node 1.0.5, ``getExperiment``).

    Attributes:
        version: Its exact name: ``Control``, ``Variant 1``, ...; None where the visitor is not in the experiment.
    """

    version: str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class VisitorEventRecorded(Reply):
    """The answer to an event of a visitor (mida-node 1.0.5, ``setEvent``). The SDKs do not look at it."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AttributesSet(Model):
    """
    The answer to a visitor's attributes (mida-node 1.0.5, ``setAttribute``). The SDKs do not look at it.

    Attributes:
        id: The visitor's id in the browser script; None where the answer was lost or does not say.
    """

    id: str | None = None
