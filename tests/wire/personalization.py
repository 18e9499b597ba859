"""Samples of the calls of personalization."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wire.base import Sample

SAMPLES: tuple[Sample, ...] = ()
