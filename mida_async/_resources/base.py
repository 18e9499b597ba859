"""What all sections share: one call by the table of endpoints, and the walk through a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from .._core.arguments import MAX_PAGE_SIZE
from .._core.checks import whole
from .._core.endpoints import lay_out
from .._core.secret import hiding

if TYPE_CHECKING:
    import contextlib
    from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Sequence

    from .._core.endpoints import Endpoint
    from .._requestor import Requestor

T = TypeVar("T")
Row = TypeVar("Row")


class Section:
    """
    A section of the API.

    Every method waits for one answer (``iter`` for one a page), at most ``Timeout.total`` seconds with repetitions.
    Besides the errors that are named, each raises :class:`TransportError` when no answer comes,
    :class:`AuthenticationError` when the API key is wrong, and :class:`InvalidRequestError` when an argument is wrong,
    before anything is sent.

    Args:
        requestor: Makes the calls.
    """

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    async def _call(self, endpoint: Endpoint, answer: type[T], /, **arguments: object) -> T:
        """
        Check the arguments by the table, make the call and return its result.

        Args:
            endpoint: Its row of the table.
            answer: The class of its result.
            arguments: The method's arguments; those that are UNSET, and in other calls than updates those that are
                None, are not sent.
        """
        with self._hiding():
            layout = lay_out(endpoint, arguments)
            return await self._requestor.call(endpoint, answer, path=layout.path, query=layout.query, body=layout.body)

    def _hiding(self) -> contextlib.AbstractContextManager[None]:
        """Take the API key out of errors about arguments."""
        return hiding(self._requestor.account.api_key)

    def _walk(
        self,
        endpoint: Endpoint,
        answer: type[T],
        rows: Callable[[T], Sequence[Row]],
        identify: Callable[[Row], Hashable],
        page_size: int,
        /,
        **arguments: object,
    ) -> AsyncGenerator[Row, None]:
        """
        Walk through a list. A wrong argument is an error of this call, not of the loop.

        Args:
            endpoint: The row of the list.
            answer: The class of a page.
            rows: Returns the rows of a page.
            identify: Tells rows apart.
            page_size: How many rows to ask for at once.
            arguments: The list's arguments, but for those of the page.
        """
        with self._hiding():
            size = whole("page_size", page_size, 1, MAX_PAGE_SIZE)
            lay_out(endpoint, arguments)

        async def fetch(start: int) -> Sequence[Row]:
            return rows(await self._call(endpoint, answer, limit=size, offset=start, **arguments))

        return pages(fetch, identify, size)


async def pages(
    fetch: Callable[[int], Awaitable[Sequence[Row]]], identify: Callable[[Row], Hashable], size: int
) -> AsyncGenerator[Row, None]:
    """
    Walk through a list, page by page.

    The order of rows is not documented and the list may change meanwhile, so a row may come twice: each is given once.
    A page that is short, or that brings nothing new, is taken for the last.

    Args:
        fetch: Gets the rows from an offset on.
        identify: Tells rows apart.
        size: How many rows a full page has.
    """
    seen: set[Hashable] = set()
    start = 0
    while True:
        rows = await fetch(start)
        known = len(seen)
        for row in rows:
            key = identify(row)
            if key not in seen:
                seen.add(key)
                yield row
        if len(rows) < size or len(seen) == known:
            return
        start += size
