"""Expected errors, in one line that says what to do."""

from __future__ import annotations

import io
import os
import sys
import traceback
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

import click

from .._errors import (
    AuthenticationError,
    CertificateError,
    ForbiddenError,
    InvalidEventError,
    InvalidRequestError,
    MidaError,
    NotFoundError,
    SettingsError,
)
from .text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130

HOPELESS: Final = (AuthenticationError, ForbiddenError, NotFoundError, CertificateError)
"""These speak of the set-up, not of the record: where several in a row come, none will be delivered."""

HOPELESS_IN_A_ROW: Final = 3
"""How many that are."""


class Failure(click.ClickException):
    """
    An error that is already in words for the user.

    Args:
        message: One line.
        exit_code: What the command returns to the shell.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.code = exit_code


def as_failure(error: MidaError | OSError) -> Failure:
    """
    Put *error* in words.

    Args:
        error: What a command ended with.
    """
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return Failure(f"{where}{error.strerror or error}", FAILED)
    usage = isinstance(error, (SettingsError, InvalidRequestError, InvalidEventError))
    return Failure(str(error), USAGE if usage else FAILED)


class OneLineGroup(click.Group):
    """A group whose expected errors are one line on standard error, with a traceback only for ``--debug``."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command; underscores in its name do as well as dashes."""
        return super().get_command(ctx, cmd_name.replace("_", "-"))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an expected error becomes a :class:`Failure`."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except (MidaError, OSError) as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            failure = as_failure(error)
        raise failure

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Run the command, say in one line what went wrong, and leave with its exit code."""
        _escape_what_cannot_be_encoded()
        run = cast("Callable[..., Any]", super().main)
        sys.exit(_exit_code(lambda: run(*arguments, **{**options, "standalone_mode": False})))


def _exit_code(run: Callable[[], object]) -> int:
    try:
        result = run()
        if sys.stdout is not None:  # as it is where it was closed
            sys.stdout.flush()
    except click.ClickException as error:
        _report(error)
        return error.code if isinstance(error, Failure) else error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("mida: stopped", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return FAILED
    except OSError as error:  # the help or the version cannot be written
        _report(as_failure(error))
        _silence_stdout()
        return FAILED
    return result if isinstance(result, int) else 0


def usage_error(error: Exception) -> NoReturn:
    """
    Report *error* as a wrong use of the command.

    Args:
        error: What was found out before anything was sent.

    Raises:
        Failure: Always.
    """
    message = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
    raise Failure(message, USAGE) from error


@contextmanager
def one_line_warnings() -> Generator[None]:
    """Show warnings as one line on standard error, without the place in the code that they come from."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = _show_warning
        yield


def _show_warning(message: Warning | str, *_where: object, **_rest: object) -> None:
    sys.stderr.write(f"warning: {printable(str(message))}\n")  # a live display takes the place of this stream


def _report(error: click.ClickException) -> None:
    message = error.format_message()
    if "\n" in message:  # click's help, where a command was expected
        click.echo(message, err=True)
        return
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = context.command_path if context else "mida"
    hint = f" (see {command} --help)" if isinstance(error, click.UsageError) else ""
    click.echo(f"{command}: {printable(message).rstrip('.')}{hint}", err=True)


def _escape_what_cannot_be_encoded() -> None:
    """Let a terminal or a pipe that has not all characters show escapes, rather than end a call that was made."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _silence_stdout() -> None:
    """Let what is left in the buffer go nowhere; it would raise again when the interpreter flushes it at its end."""
    try:
        descriptor = sys.stdout.fileno()
    except OSError:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
