"""The arguments of a method as arguments and options of a command."""

from __future__ import annotations

import inspect
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, cast

import attrs
import click

from .._core.arguments import Field
from .values import DayType, JSONType, NumberType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .._core.endpoints import Endpoint
    from .._resources.base import Section

# A method's arguments must not meet the options that every command has, such as --project-key.
_PREFIX: Final = "argument_"

# A command that fails says so itself, so nothing stands in for the answer.
_NOT_OFFERED: Final = frozenset({"self", "default"})

# Where a method calls something by another name than the wire.
_OTHER_NAMES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {"personalization.suggested_pages": MappingProxyType({"accounts": "account"})}
)

_JSON: Final = "JSON|@FILE"
_TYPES: Final = MappingProxyType(
    {
        "text": (click.STRING, "TEXT"),
        "texts": (click.STRING, "TEXT"),
        "whole": (click.INT, "INTEGER"),
        "number": (NumberType(), "NUMBER"),
        "flag": (click.BOOL, "BOOLEAN"),
        "day": (DayType(), "YYYY-MM-DD"),
        "object": (JSONType(dict), _JSON),
        "objects": (JSONType(list), _JSON),
        "json": (JSONType(), _JSON),
    }
)


@attrs.frozen(kw_only=True)
class Argument:
    """
    One argument of a method.

    Attributes:
        name: The method's name for it.
        field: What the table says about it.
        positional: Whether it stands alone, without the name of an option.
        required: Whether it must be given.
        clearable: Whether the method takes null for it.
    """

    name: str
    field: Field
    positional: bool
    required: bool
    clearable: bool

    @property
    def dashed(self) -> str:
        """Its name as it is typed."""
        return self.name.replace("_", "-")

    @property
    def key(self) -> str:
        """Its name among the values of the command."""
        return _PREFIX + self.name

    @property
    def several(self) -> bool:
        """Whether it may be given several times."""
        return self.field.kind.name == "texts"

    def parameter(self) -> click.Parameter:
        """Make the parameter of the command."""
        if self.positional:
            return self._alone()
        return self._flag() if self.field.kind.name == "flag" else self._option()

    def value(self, given: object) -> Any:
        """
        Return what the method is given for what was typed.

        Args:
            given: The value that was read; None if there is none.
        """
        if not self.several or given is None:
            return given
        texts = _list(given)
        if not texts:
            return None
        # What is one text on the wire may be a list in itself, with commas; several texts make such a list.
        one_text = self.field.kind.schema.get("type") == "string"
        return texts[0] if one_text and len(texts) == 1 else texts

    def explanation(self) -> str:
        """Return what it means, in a line."""
        examples = [str(each) for each in _list(self.field.kind.schema.get("examples"))]
        such_as = f" Such as {', '.join(examples)}." if examples else ""
        repeatable = " May be given several times." if self.several else ""
        default = f" [default: {_shown(self.field.default)}]" if self.field.default is not None else ""
        return f"{self.field.help}{such_as}{repeatable}{default}"

    def _alone(self) -> click.Argument:
        kind, _ = _TYPES[self.field.kind.name]
        return click.Argument(
            [self.key],
            type=kind,
            metavar=self._metavar(),
            required=self.required,
            nargs=-1 if self.several else 1,
        )

    def _metavar(self) -> str:
        name = self.name.upper()
        return f"{name if self.required else f'[{name}]'}{'...' if self.several else ''}"

    def _option(self) -> click.Option:
        kind, metavar = _TYPES[self.field.kind.name]
        return click.Option(
            [f"--{self.dashed}", self.key],
            type=kind,
            metavar=metavar,
            help=self.explanation(),
            required=self.required,
            multiple=self.several,
        )

    def _flag(self) -> click.Option:
        # With a default of its own; click takes a flag that is not given for False otherwise.
        both = f"--{self.dashed}/--no-{self.dashed}"
        return click.Option([both, self.key], default=None, help=self.explanation(), required=self.required)


def arguments_of(row: Endpoint, section: type[Section]) -> tuple[Argument, ...]:
    """
    Return the arguments of the method of an endpoint.

    Args:
        row: The endpoint.
        section: The class that has the method.
    """
    fields = {field.name: field for field in row.fields}
    others = _OTHER_NAMES.get(row.name, MappingProxyType({}))
    parameters = inspect.signature(getattr(section, row.verb)).parameters.values()
    return tuple(
        _argument(parameter, fields[parameter.name if parameter.name in fields else others[parameter.name]], row)
        for parameter in parameters
        if parameter.name not in _NOT_OFFERED
    )


def _argument(parameter: inspect.Parameter, field: Field, row: Endpoint) -> Argument:
    return Argument(
        name=parameter.name,
        field=field,
        positional=parameter.kind is not inspect.Parameter.KEYWORD_ONLY,
        required=parameter.default is inspect.Parameter.empty,
        clearable=row.partial and field.nullable and field.place == "body",
    )


def null_option(arguments: Iterable[Argument]) -> Iterator[click.Option]:
    """
    Make ``--null`` where something may be null.

    Args:
        arguments: The method's arguments.
    """
    names = [argument.dashed for argument in arguments if argument.clearable]
    if names:
        yield click.Option(["--null"], type=click.Choice(names), multiple=True, help="Set this field to null.")


def empty_option(arguments: Iterable[Argument], row: Endpoint) -> Iterator[click.Option]:
    """
    Make ``--empty`` where a list of texts may be changed: an option that is given no times leaves it as it is.

    Args:
        arguments: The method's arguments.
        row: The endpoint.
    """
    names = [argument.dashed for argument in arguments if argument.several and row.partial]
    if names:
        yield click.Option(["--empty"], type=click.Choice(names), multiple=True, help="Set this list to an empty one.")


def keywords(arguments: Iterable[Argument], given: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return what the method is called with.

    Args:
        arguments: The method's arguments.
        given: The values of the command.

    Raises:
        click.UsageError: A field is given and is to be null or empty, too.
    """
    values = ((argument.name, argument.value(given[argument.key])) for argument in arguments)
    found: dict[str, Any] = {name: value for name, value in values if value is not None}
    for option, replacement in (("null", None), ("empty", list[object]())):
        for dashed in given.get(option, ()):
            name = dashed.replace("-", "_")
            if name in found:
                message = f"--{option} {dashed} contradicts --{dashed}"
                raise click.UsageError(message)
            found[name] = replacement
    return found


def _list(value: object) -> list[object]:
    return list(cast("Sequence[object]", value)) if isinstance(value, (list, tuple)) else []


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
