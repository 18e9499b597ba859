"""The options that say how fast events are sent, and for how long after Ctrl-C."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args

import attrs
import click

from .._errors import SettingsError
from .._settings import BufferSettings, Pacing, RateLimit
from .values import ParamType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

C = TypeVar("C", bound="Callable[..., Any]")

UNLIMITED: Final = "unlimited"


class RateType(ParamType):
    """``350/s``, ``3500/m``, ``200/5s``, or ``unlimited``."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> RateLimit | str:
        """Read one rate."""
        if isinstance(value, RateLimit):
            return value
        if value == UNLIMITED:
            return UNLIMITED
        try:
            return RateLimit.parse(str(value))
        except SettingsError as error:
            message = str(error)
        return self.fail(f"{message}, or {UNLIMITED}", param, ctx)


def limits_from(rates: tuple[RateLimit | str, ...], default: tuple[RateLimit, ...]) -> tuple[RateLimit, ...]:
    """
    Return the limits that the options ask for.

    Args:
        rates: The values of ``--rate``.
        default: The limits where there is no such option.

    Raises:
        click.UsageError: ``unlimited`` stands beside a rate.
    """
    limits = tuple(rate for rate in rates if isinstance(rate, RateLimit))
    if not rates:
        return default
    if limits and len(limits) < len(rates):
        message = f"--rate {UNLIMITED} cannot stand beside another --rate"
        raise click.UsageError(message)
    return limits


_OPTIONS: Final = (
    click.option(
        "--rate",
        "rates",
        type=RateType(),
        multiple=True,
        help="Such as 350/s, 3500/m, 200/5s or unlimited; repeatable.",
    ),
    click.option("--concurrency", type=click.IntRange(min=1), help="Requests in flight at once, at most."),
    click.option("--pacing", type=click.Choice(get_args(Pacing)), help="How the rate is used; see BufferSettings."),
    click.option(
        "--close-timeout", type=click.FloatRange(min=0), help="Seconds to go on after Ctrl-C; 10 if not given."
    ),
)


def pace_options(command: C) -> C:
    """
    Add the options that say how fast events are sent to a command.

    Args:
        command: The function of the command.
    """
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def paced(settings: BufferSettings, given: Mapping[str, Any]) -> BufferSettings:
    """
    Return the settings that the options of :func:`pace_options` ask for.

    Args:
        settings: What holds where an option is not given.
        given: The values of the options.

    Raises:
        click.UsageError: They contradict each other.
    """
    chosen = {name: given[name] for name in ("concurrency", "pacing", "close_timeout") if given[name] is not None}
    return attrs.evolve(settings, rate_limits=limits_from(given["rates"], settings.rate_limits), **chosen)
