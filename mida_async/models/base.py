"""What all models have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

WIRE_NAME: Final = "wire_name"
"""The metadata key of a field of an :class:`Input` whose name on the wire is another one."""

TEXT_OF: Final = "text_of"
"""The metadata key of a field that keeps the JSON text of which another field is the decoded value."""


@attrs.frozen(kw_only=True)
class Model:
    """
    Something that the API sent.

    Attributes:
        extra: What it held beyond the keys that its page documents.
    """

    extra: Mapping[str, object] = attrs.field(factory=dict[str, object], hash=False)


@attrs.frozen(kw_only=True)
class Reply(Model):
    """
    The answer to a call.

    Attributes:
        success: True in every documented success.
    """

    success: bool | None = None


@attrs.frozen(kw_only=True)
class Input:
    """
    Something that the API takes, as an alternative to a plain dict with the vendor's keys.

    Fields that are UNSET are not sent. ``None`` is sent as null.
    """
