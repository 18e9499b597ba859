"""The options that say how fast events are sent."""

from __future__ import annotations

from typing import Any, Final

import click

from .._errors import SettingsError
from .._settings import RateLimit
from .values import ParamType

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
