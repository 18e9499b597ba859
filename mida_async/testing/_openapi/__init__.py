"""The API as an OpenAPI document, made from the table of endpoints and the models."""

from __future__ import annotations

from .document import document

__all__ = ["document"]
