"""Values of a fixture, each with the place at which it stands, so that a mistake can be found."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import attrs

from ..._core.codec import EncodeProblem, encode
from ..._errors import SettingsError

if TYPE_CHECKING:
    import os
    from collections.abc import Collection

FixtureLike: TypeAlias = "Mapping[str, object] | str | os.PathLike[str]"
"""What an emulator holds before a test begins: the decoded JSON, or the path of a file with it."""

_LARGEST: Final = 2**63 - 1


@attrs.frozen
class Place:
    """
    A value of a fixture.

    Attributes:
        path: Where it stands, such as ``projects[0].goals[1].goal_name``.
        value: The value.
    """

    path: str
    value: object

    def wrong(self, problem: str) -> SettingsError:
        """
        Make the error for this place.

        Args:
            problem: What is wrong.
        """
        message = f"fixture: {self.path or 'the whole'}: {problem}"
        return SettingsError(message)

    def fields(self, known: Collection[str], required: Collection[str] = ()) -> dict[str, Place]:
        """
        Return the fields of an object.

        Args:
            known: The names that it may have.
            required: Those that it must have.

        Raises:
            SettingsError: It is no object, or has a field that is not known, or lacks one.
        """
        value = self._object()
        for name in value:
            if name not in known:
                problem = f"there is no field {name!a} here; there are {', '.join(sorted(known))}"
                raise self.wrong(problem)
        for name in required:
            if name not in value:
                problem = f"{name} is missing"
                raise self.wrong(problem)
        start = f"{self.path}." if self.path else ""
        return {str(name): Place(f"{start}{name}", each) for name, each in value.items()}

    def _object(self) -> Mapping[object, object]:
        value = self.value
        if not isinstance(value, Mapping):
            problem = "must be an object"
            raise self.wrong(problem)
        return cast("Mapping[object, object]", value)

    def mapping(self) -> dict[str, object]:
        """
        Return an object of which any field may be anything that JSON can hold.

        Raises:
            SettingsError: It is none.
        """
        try:
            decoded: dict[str, object] = json.loads(encode(self._object()))
        except EncodeProblem as error:
            problem = str(error)
        else:
            return decoded
        raise self.wrong(problem)

    def items(self) -> list[Place]:
        """
        Return the items of an array.

        Raises:
            SettingsError: It is none.
        """
        value = self.value
        if not isinstance(value, (list, tuple)):
            problem = "must be an array"
            raise self.wrong(problem)
        items = cast("list[object]", value)
        return [Place(f"{self.path}[{number}]", each) for number, each in enumerate(items)]

    def text(self) -> str:
        """
        Return a text with something in it.

        Raises:
            SettingsError: It is none.
        """
        if not isinstance(self.value, str) or not self.value.strip():
            problem = "must be a string with something in it"
            raise self.wrong(problem)
        return self.value

    def whole(self) -> int:
        """
        Return a whole number, 0 or greater.

        Raises:
            SettingsError: It is none.
        """
        if not isinstance(self.value, int) or isinstance(self.value, bool) or not 0 <= self.value <= _LARGEST:
            problem = "must be a whole number, 0 or greater"
            raise self.wrong(problem)
        return self.value

    def flag(self) -> bool:
        """
        Return true or false.

        Raises:
            SettingsError: It is neither.
        """
        if not isinstance(self.value, bool):
            problem = "must be true or false"
            raise self.wrong(problem)
        return self.value

    def moment(self) -> float:
        """
        Return a time as seconds since the epoch; without a time zone it is UTC.

        Raises:
            SettingsError: It is no time in ISO 8601.
        """
        try:
            moment = dt.datetime.fromisoformat(self.text())
            return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
        except (ValueError, OverflowError):  # a SettingsError is a ValueError, too
            pass
        problem = "must be a time such as 2026-08-22T10:30:00Z"
        raise self.wrong(problem)


def read(fixture: FixtureLike) -> Place:
    """
    Return a fixture as one place.

    Args:
        fixture: The decoded JSON, or the path of a file.

    Raises:
        SettingsError: The file cannot be read, or is not JSON.
    """
    if isinstance(fixture, Mapping):
        return Place("", fixture)
    try:
        return Place("", json.loads(Path(fixture).read_bytes()))
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except (ValueError, RecursionError) as error:
        problem = f"is not JSON: {error}"
    message = f"fixture {str(fixture)!a} {problem}"
    raise SettingsError(message)
