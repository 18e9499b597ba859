"""``mida.request``: calls that have no method of their own."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, cast

from .._core.addresses import address_of, endpoint_at, method_of
from .._core.checks import mapping, plain, refuse, text
from .._core.codec import EncodeProblem, encode
from .._core.secret import check_secret, hiding
from .._errors import InvalidRequestError
from .._sentinels import UNSET

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .._core.request import Account
    from .._requestor import Requestor

_PLAIN: Final = (str, int, float, bool, enum.Enum, dt.date, uuid.UUID, Decimal)


class EscapeHatch:
    """
    Calls of the REST API by method and path.

    Args:
        requestor: Makes the calls.
        account: Whose calls they are.
    """

    def __init__(self, requestor: Requestor, account: Account) -> None:
        self._requestor = requestor
        self._account = account

    async def request(self, method: str, path: str, *, query: Mapping[str, object] | None, json: object) -> Any:
        """
        Make one call and return the decoded body.

        Args:
            method: The HTTP method.
            path: The path; see :func:`address_of`.
            query: The fields of the query.
            json: The body; None and UNSET send none.

        Raises:
            InvalidRequestError: An argument is wrong; nothing was sent.
        """
        secret = self._account.api_key
        with hiding(secret):
            check_secret(secret, method, path, *(path.split("/") if isinstance(path, str) else ()))  # pyright: ignore[reportUnnecessaryIsInstance]
            fields = {} if query is None else dict(_checked(mapping("query", query), secret))
            verb, address = method_of(method), address_of(path, self._account.project_key)
            body = None if json is None or json is UNSET else _encoded(json)
            endpoint = endpoint_at(verb, address, json)
            return await self._requestor.call(endpoint, endpoint.answer, query=fields, body=body)


def _checked(query: Mapping[str, object], secret: str) -> Iterator[tuple[str, object]]:
    for name, value in query.items():
        check_secret(secret, name)
        _check_name(name)
        for item in cast("list[object]", value) if isinstance(value, (list, tuple)) else (value,):
            _check_value(name, item, secret)
        yield name, value


def _check_name(name: object) -> None:
    try:
        text("the name of a field of query", name).encode()
    except UnicodeEncodeError:
        pass
    else:
        return
    message = "query: half of a surrogate pair is no character"
    raise InvalidRequestError(message)


def _check_value(name: str, value: object, secret: str) -> None:
    if value is None or value is UNSET:
        return
    if isinstance(value, _PLAIN):
        try:
            shown = str(value.value if isinstance(value, enum.Enum) else value)
        except ValueError:  # a whole number of very many digits
            pass
        else:
            check_secret(secret, shown)
            return
    field, allowed = f"query[{name!a}]", "a text, a number, True or False, a date, or a list of these"
    raise refuse(field, value, allowed)


def _encoded(json: object) -> bytes:
    try:
        return encode(plain("json", json))
    except EncodeProblem as error:
        problem = str(error)
    message = f"json: {problem}"
    raise InvalidRequestError(message)
