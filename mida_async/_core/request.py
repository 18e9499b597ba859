"""An endpoint and its arguments, made into a request; every part of the address is checked first."""

from __future__ import annotations

import datetime as dt
import enum
import ipaddress
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import quote, urlsplit

import attrs

from .._errors import InvalidRequestError, SettingsError
from .._sentinels import UNSET
from .checks import exact_text, whole
from .endpoints import Host
from .messages import Request
from .secret import SHORTEST_SECRET, check_secret

if TYPE_CHECKING:
    from .endpoints import Endpoint

VERSION: Final = "0.1.0"
USER_AGENT: Final = f"mida-async/{VERSION}"

# docs/v2/introduction, 2026-08-22. There is no default region.
REGIONS: Final = MappingProxyType({"us": "https://api-us.mida.so", "eu": "https://api-eu.mida.so"})

# The server-side SDKs' one host, for all regions (mida-node 1.0.5, `MIDA_HOST`).
SDK_HOST: Final = "https://api.mida.so"

DEFAULT_MAX_RESPONSE_BYTES: Final = 32 * 2**20

_PROJECT_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})
_COMMON_HEADERS: Final = MappingProxyType({"Accept": "application/json", "User-Agent": USER_AGENT})
_CONTENT_TYPE: Final = MappingProxyType({"Content-Type": "application/json"})

# What the service of the server-side SDKs is sent: no credentials, because it knows only the public project key.
PUBLIC_HEADERS: Final = MappingProxyType({**_COMMON_HEADERS, **_CONTENT_TYPE})


def _headers_of(account: Account) -> Mapping[str, str]:
    return checked_headers({"Authorization": f"Bearer {account.api_key}", **_COMMON_HEADERS})


def _headers_with_body(account: Account) -> Mapping[str, str]:
    return checked_headers({**account.headers, **_CONTENT_TYPE})


@attrs.frozen(kw_only=True)
class Account:
    """
    Whose requests these are, and where they go.

    Attributes:
        base_url: Scheme, host and perhaps a path: everything before ``/v2``, without a slash at the end.
        sdk_base_url: The same for the service of the server-side SDKs.
        project_key: Names the project; it is public.
        api_key: The secret; never shown.
        max_response_bytes: How much of a response is read at most.
        headers: The headers of a request without a body; never shown.
        headers_with_body: The headers of a request with one; never shown.
    """

    base_url: str
    sdk_base_url: str = SDK_HOST
    project_key: str
    api_key: str = attrs.field(repr=False)
    max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES
    headers: Mapping[str, str] = attrs.field(
        init=False, repr=False, eq=False, default=attrs.Factory(_headers_of, takes_self=True)
    )
    headers_with_body: Mapping[str, str] = attrs.field(
        init=False, repr=False, eq=False, default=attrs.Factory(_headers_with_body, takes_self=True)
    )

    @classmethod
    def create(
        cls,
        *,
        project_key: str | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        region: str | None = None,
        allow_insecure_http: bool = False,
        max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES,
    ) -> Account:
        """
        Check everything that the set-up of a client can get wrong.

        Args:
            project_key: Letters, digits, ``_`` and ``-``.
            api_key: The secret from Dashboard > Settings > API Keys.
            base_url: Everything before ``/v2``. Given, it wins over *region*.
            region: ``us`` or ``eu``.
            allow_insecure_http: Whether plain ``http`` may go to another machine.
            max_response_bytes: How much of a response is read at most.

        Raises:
            SettingsError: Something is missing or wrong; the message says what to do, and never shows the API key.
        """
        check_response_limit(max_response_bytes)
        _check_they_differ(project_key, api_key)
        own_url = checked_base_url(base_url, allow_insecure_http) if base_url else ""
        return cls(
            base_url=own_url or _host_of(region),
            sdk_base_url=own_url or SDK_HOST,
            project_key=_checked_project_key(project_key),
            api_key=checked_api_key(api_key, "MIDA_API_KEY"),
            max_response_bytes=max_response_bytes,
        )


def check_response_limit(max_response_bytes: object) -> None:
    """
    Refuse a limit on what is read of a response that is none.

    Args:
        max_response_bytes: The limit.

    Raises:
        SettingsError: It is no positive whole number.
    """
    if type(max_response_bytes) is not int or max_response_bytes < 1:
        message = f"max_response_bytes is {max_response_bytes!r}; it must be a whole number, 1 or greater"
        raise SettingsError(message)


def _host_of(region: str | None) -> str:
    if not region:
        message = (
            "neither region nor base_url is given: pass region='us' or region='eu' or set MIDA_REGION (the dashboard "
            "shows it under Settings), or pass base_url or set MIDA_BASE_URL"
        )
        raise SettingsError(message)
    if region not in REGIONS:
        message = f"region is {region!r}; it must be 'us' or 'eu' (pass region or set MIDA_REGION)"
        raise SettingsError(message)
    return REGIONS[region]


def _check_they_differ(project_key: str | None, api_key: str | None) -> None:
    if api_key and project_key == api_key and len(api_key) >= SHORTEST_SECRET:
        message = "project_key and api_key are the same; the API key is secret, and addresses hold the project key"
        raise SettingsError(message)


def _checked_project_key(project_key: str | None) -> str:
    if not project_key:
        message = "the project key is missing: pass project_key or set MIDA_PROJECT_KEY"
        raise SettingsError(message)
    # The value is not shown: the two keys are easily mistaken for each other.
    if not _is_project_key(project_key):
        message = "project_key must consist of letters, digits, '_' and '-'; copy it from the dashboard's Settings"
        raise SettingsError(message)
    return project_key


def _is_project_key(value: object) -> bool:
    return isinstance(value, str) and _PROJECT_KEY.fullmatch(value) is not None


def checked_api_key(api_key: str | None, variable: str) -> str:
    """
    Return *api_key* if it can be sent in a header.

    Args:
        api_key: The secret.
        variable: The environment variable that may hold it, for the message.

    Raises:
        SettingsError: It is missing or has characters that no key has; the message does not show it.
    """
    if not api_key:
        message = f"the API key is missing: pass api_key or set {variable}"
        raise SettingsError(message)
    if not isinstance(api_key, str) or not _is_visible(api_key):  # pyright: ignore[reportUnnecessaryIsInstance]
        message = "api_key holds a blank, a line break or a character that cannot be in a header; copy it again"
        raise SettingsError(message)
    return api_key


def _is_visible(text: str) -> bool:
    return all("!" <= character <= "~" or "\xa1" <= character <= "\xff" for character in text)


def checked_base_url(
    base_url: str,
    allow_insecure_http: bool = False,  # noqa: FBT001, FBT002 - one meaning only
    *,
    rest: str = "/v2",
    remedy: str = "pass base_url or set MIDA_BASE_URL",
) -> str:
    """
    Return *base_url* without a slash at its end.

    Args:
        base_url: Scheme, host, perhaps a port and a path.
        allow_insecure_http: Whether plain ``http`` may go to another machine.
        rest: What the paths of the service begin with; it is no part of *base_url*.
        remedy: How to give another address, for the message.

    Raises:
        SettingsError: It is no such address. The message does not repeat it, because it may hold a password.
    """
    requirement = _unmet(base_url, allow_insecure_http, rest)
    if requirement:
        message = f"base_url must {requirement} ({remedy})"
        raise SettingsError(message)
    scheme, _, netloc, path = _split(base_url)
    return f"{scheme}://{netloc}{path}"


def _unmet(base_url: object, allow_insecure_http: bool, rest: str) -> str:  # noqa: FBT001 - one meaning only
    # urlsplit drops tabs and line breaks silently and reads a backslash differently than browsers do, so they go first.
    if not isinstance(base_url, str) or not re.fullmatch(r"[!-~]+", base_url) or "\\" in base_url:
        return "consist of visible ASCII characters without a backslash"
    if "?" in base_url or "#" in base_url:
        return "have no query and no fragment"
    if "@" in _split(base_url)[2]:
        return "hold no user name or password"
    return _unmet_by_parts(base_url, allow_insecure_http, rest)


def _unmet_by_parts(base_url: str, allow_insecure_http: bool, rest: str) -> str:  # noqa: FBT001 - one meaning only
    scheme, host, _, path = _split(base_url)
    if scheme not in {"http", "https"} or not re.fullmatch(r"[A-Za-z0-9._:-]+", host):
        return "start with https:// and a host"
    if path.endswith(rest):
        return f"be everything before {rest}: leave the {rest} at its end out"
    if scheme == "http" and not allow_insecure_http and not _is_loopback(host):
        return "be https:// for another machine; allow_insecure_http=True sends the API key unencrypted"
    return ""


def _split(base_url: str) -> tuple[str, str, str, str]:
    try:
        parts = urlsplit(base_url)
        parts.port  # noqa: B018 - reading it checks it
    except ValueError:
        return "", "", "", ""
    return parts.scheme, parts.hostname or "", parts.netloc, parts.path.rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def checked_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """
    Return *headers* unless one of them would end early or begin another (RFC 9110 section 5.5).

    Args:
        headers: Names and values.

    Raises:
        InvalidRequestError: A value holds a control character, or one outside of latin-1.
    """
    for name, value in headers.items():
        if not re.fullmatch(r"[\t -~\x80-\xff]*", value):
            message = f"header {name}: control characters and characters outside of latin-1 cannot be sent"
            raise InvalidRequestError(message)
    return MappingProxyType(dict(headers))


def build(
    endpoint: Endpoint,
    account: Account,
    *,
    path: Mapping[str, object] = _NOTHING,
    query: Mapping[str, object] | None = None,
    body: bytes | None = None,
) -> Request:
    """
    Make the request for one call of *endpoint*.

    Args:
        endpoint: The row of the table.
        account: Whose request it is; its project is used unless *path* names another.
        path: The ids that the endpoint's path asks for: positive whole numbers, and project keys.
        query: The query's fields; those that are None or UNSET are left out.
        body: The encoded body.

    Raises:
        InvalidRequestError: An id or a field cannot be sent.
    """
    values = {"project_key": account.project_key, **path}
    fields = list(_fields(query or _NOTHING))
    check_secret(account.api_key, *path.values(), *(text for _, text in fields))
    address = re.sub(r"\{(\w+)\}", lambda name: _segment(name[1], values.get(name[1])), endpoint.path)
    pairs = "&".join(f"{quote(name, safe='')}={_escaped(name, text)}" for name, text in fields)
    public = endpoint.host is Host.SDK
    host = account.sdk_base_url if public else account.base_url
    headers = PUBLIC_HEADERS if public else account.headers if body is None else account.headers_with_body
    return Request(
        method=endpoint.method,
        url=f"{host}{address}?{pairs}" if pairs else f"{host}{address}",
        headers=headers,
        body=body,
        max_response_bytes=account.max_response_bytes,
        secret=account.api_key,
    )


def _segment(name: str, value: object) -> str:
    # Escaping alone is not enough: with ".." for an id, the address of an event becomes that of its project, and DELETE
    # there deletes the project. So a segment is only ever made of digits, letters, "_" and "-".
    if name == "project_key":
        if not isinstance(value, str) or not _is_project_key(value):
            message = "project_key must consist of letters, digits, '_' and '-'"
            raise InvalidRequestError(message)
        return exact_text(value)
    return str(whole(name, value, 1))


def _fields(query: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for name, value in query.items():
        for item in cast("list[object]", value) if isinstance(value, (list, tuple)) else (value,):
            if item is not None and item is not UNSET:
                yield name, _query_text(item)


def _query_text(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case enum.Enum():
            return str(value.value)
        case dt.date():  # a datetime is one, too, and has its time left out here
            return dt.date.isoformat(value)
        case str():
            return exact_text(value)
        case _:
            return str(value)


def _escaped(name: str, text: str) -> str:
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        pass
    message = f"{name}: half of a surrogate pair is no character"
    raise InvalidRequestError(message)
