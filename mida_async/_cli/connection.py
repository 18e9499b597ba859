"""The options by which every command finds its server."""

from __future__ import annotations

import os
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

import attrs
import click

from .._client import MidaClient
from .._settings import BufferSettings, RetryPolicy
from .errors import USAGE, Failure, usage_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..instrumentation import Hook
    from ..spools.base import Spool

P = ParamSpec("P")
R = TypeVar("R")


# Somebody sits in front of it: a server that is not there should be told within a second or two, not within a minute.
_IMPATIENT: Final = RetryPolicy(max_attempts=4, initial=0.2)


@attrs.frozen(kw_only=True)
class Connection:
    """
    Where the server is and who is asking; what is None comes from the environment.

    Attributes:
        project_key: The project, else ``MIDA_PROJECT_KEY``.
        region: ``us`` or ``eu``, else ``MIDA_REGION``.
        base_url: Everything before ``/v2``, else ``MIDA_BASE_URL``.
        api_key_file: A file that holds the API key, else ``MIDA_API_KEY``.
        allow_insecure_http: Whether plain HTTP may leave this machine.
    """

    project_key: str | None
    region: str | None
    base_url: str | None
    api_key_file: Path | None
    allow_insecure_http: bool

    @property
    def effective_project_key(self) -> str:
        """The project key, wherever it comes from."""
        return self.project_key or os.environ.get("MIDA_PROJECT_KEY", "")

    def client(
        self, buffer: BufferSettings | None = None, *, spool: Spool | None = None, hooks: Iterable[Hook] = ()
    ) -> MidaClient:
        """
        Make a client.

        Args:
            buffer: How its buffer behaves; None for a client that makes direct calls alone.
            spool: Where accepted events are kept on disk, if anywhere.
            hooks: Called with what happens to them.

        Raises:
            SettingsError: Something is missing or wrong.
        """
        return MidaClient(
            self.project_key,
            self.api_key(),
            region=self.region,
            base_url=self.base_url,
            buffer=buffer or BufferSettings(),
            retry=RetryPolicy() if buffer else _IMPATIENT,
            spool=spool,
            hooks=hooks,
            allow_insecure_http=self.allow_insecure_http,
        )

    def check(self) -> None:
        """
        Look whether a client could be made.

        Raises:
            SettingsError: Something is missing or wrong.
        """
        self.client()

    def api_key(self) -> str | None:
        """
        Return the API key that the file holds; None where no file was named.

        Raises:
            Failure: The file cannot be read, or holds no key.
        """
        if self.api_key_file is None:
            return None
        try:
            key = self.api_key_file.read_text(encoding="utf-8").strip()
        except UnicodeDecodeError:  # whose message would show a byte of the file
            key, problem = "", "is not UTF-8"
        except OSError as error:
            usage_error(error)
        else:
            problem = "is empty"
        if not key:
            message = f"{self.api_key_file} {problem}; it must hold the API key and nothing else"
            raise Failure(message, USAGE)
        return key


def _not_empty(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Refuse what a variable of the shell that was never set leaves; the environment's could be another project."""
    if value == "":
        message = "it is empty"
        raise click.BadParameter(message)
    return value


# There is no --api-key: the arguments of a process can be read by everyone on the machine.
_OPTIONS: Final = (
    click.option("--project-key", metavar="KEY", callback=_not_empty, help="The project; else MIDA_PROJECT_KEY."),
    click.option("--region", metavar="us|eu", callback=_not_empty, help="The account's region; else MIDA_REGION."),
    click.option(
        "--base-url",
        metavar="URL",
        callback=_not_empty,
        help="Everything before /v2, for a test server; else MIDA_BASE_URL.",
    ),
    click.option(
        "--api-key-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A file that holds the API key; else MIDA_API_KEY.",
    ),
    click.option("--allow-insecure-http", is_flag=True, help="Let plain http:// leave this machine."),
)


def connection_options(command: Callable[Concatenate[Connection, P], R]) -> Callable[P, R]:
    """
    Add the options of :class:`Connection` to a command, which gets them as its first argument.

    Args:
        command: The function of the command.
    """
    names = [field.name for field in attrs.fields(Connection)]

    @wraps(command)
    def with_connection(*arguments: P.args, **options: P.kwargs) -> R:
        given: dict[str, Any] = {name: options.pop(name) for name in names}
        return command(Connection(**given), *arguments, **options)

    wrapped: Callable[P, R] = with_connection
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped
