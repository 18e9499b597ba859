"""What all models have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import attrs

WIRE_NAME: Final = "wire_name"
"""The metadata key of a field of an :class:`Input` whose name on the wire is another one."""

TEXT_OF: Final = "text_of"
"""The metadata key of a field that keeps the JSON text of which another field is the decoded value."""


class Value:
    """
    Compares, hashes and shows by fields.

    One implementation instead of three that attrs would compile for each class: a hundred classes make these most of
    the time that it takes to import the package.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in _names(type(self)))

    def __hash__(self) -> int:
        fields = attrs.fields(cast("type[Model]", type(self)))
        return hash((type(self), *(getattr(self, field.name) for field in fields if field.hash is not False)))

    def __repr__(self) -> str:
        fields = attrs.fields(cast("type[Model]", type(self)))
        given = ((field, getattr(self, field.name)) for field in fields)
        shown = (f"{field.name}={value!r}" for field, value in given if not _is_default(field, value))
        return f"{type(self).__name__}({', '.join(shown)})"


def _names(cls: type) -> list[str]:
    return [field.name for field in attrs.fields(cls)]


def _is_default(field: attrs.Attribute[object], value: object) -> bool:
    default = field.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # the stubs call it a function
        return bool(value == cast("Any", default).factory())
    return value is default


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Model(Value):
    """
    Something that the API sent.

    Its repr shows what differs from the defaults.

    Attributes:
        extra: What it held beyond the keys that its page documents.
    """

    extra: Mapping[str, object] = attrs.field(factory=dict[str, object], hash=False)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Reply(Model):
    """
    The answer to a call.

    Attributes:
        success: True in every documented success.
    """

    success: bool | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Input(Value):
    """
    Something that the API takes, as an alternative to a plain dict with the vendor's keys.

    Fields that are UNSET are not sent. ``None`` is sent as null.
    """
