"""
Many events a request.

Source: Bulk Create Events page, revisions 2024-05-15 to 2026-10-15. It has no way to ask what became of a job.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from ..._core.batch import BatchLimits, Blame
from ..._errors import APIError, AuthenticationError, SettingsError
from ..base import Judgement
from .event import Events
from .shapes import BULK, halves, joined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..._core.messages import Request, Response
    from .account import KlaviyoAccount

# The page allows 1,000 events and 5 MB; what stands around a thousand events of as many profiles is less than the 0.2
# MB that are left here. It allows 150 requests a minute, which is one every 0.4 s.
LIMITS: Final = BatchLimits(records=1_000, size=4_800_000, linger=0.4)

# Refusals of the request as a whole, of which nothing was taken. Any others are about the sender or the service.
_ABOUT_RECORDS: Final = frozenset({400, 409, 413, 422})
_TOO_LARGE: Final = 413

_POINTER: Final = re.compile(r"/data/attributes/events-bulk-create/data/([0-9]{1,9})(/.*)?")
_EVENT: Final = re.compile(r"/attributes/events/data/([0-9]{1,9})(/.*)?")
_OF_THE_EVENTS: Final = re.compile(r"(/attributes(/events(/.*)?)?)?")

_Positions: TypeAlias = frozenset[int]


class KlaviyoBatch:
    """
    Puts events into bulk requests. Events of one profile that follow each other share its place.

    Args:
        request: Makes a request of its body.
        judge: Judges an answer for the request as a whole.
    """

    def __init__(self, request: Callable[[bytes], Request], judge: Callable[[Response, float], Judgement]) -> None:
        self.limits: Final = LIMITS
        self._request = request
        self._judge = judge

    def request(self, bodies: Sequence[bytes]) -> Request:
        """See :meth:`Batch.request`."""
        pairs = map(halves, bodies)
        groups = groupby(pairs, key=_profile)
        return self._request(joined((profile, [event for _, event in group]) for profile, group in groups))

    def judge(self, response: Response, bodies: Sequence[bytes], wall_now: float) -> Judgement:
        """See :meth:`Batch.judge`."""
        judgement = self._judge(response, wall_now)
        error = cast("APIError | None", judgement.error)
        if len(bodies) == 1 or error is None or error.status not in _ABOUT_RECORDS:
            return judgement
        if isinstance(error, AuthenticationError):
            return judgement
        return Judgement(error=error, blame=_blame(error, bodies))


def _profile(pair: tuple[bytes, bytes]) -> bytes:
    return pair[0]


def _blame(error: APIError, bodies: Sequence[bytes]) -> Blame:
    if error.status != _TOO_LARGE:
        groups = _groups(bodies)
        found = [_blamed(pointer, groups) for pointer in _pointers(error.body)]
        culprits = frozenset[int]().union(*(sure for sure, _ in found))
        suspects = frozenset[int]().union(*(unsure for _, unsure in found)) - culprits
        if culprits or suspects:
            return Blame(culprits=culprits, suspects=suspects)
    return Blame(suspects=frozenset(range(len(bodies))))


def _groups(bodies: Sequence[bytes]) -> list[range]:
    """Return the positions that share a place in the request."""
    groups: list[range] = []
    for _, group in groupby(halves(body)[0] for body in bodies):
        start = groups[-1].stop if groups else 0
        groups.append(range(start, start + len(list(group))))
    return groups


def _pointers(body: object) -> Iterator[str]:
    errors = cast("dict[str, object]", body).get("errors") if isinstance(body, dict) else None
    for error in cast("list[object]", errors) if isinstance(errors, list) else ():
        source = cast("dict[str, object]", error).get("source") if isinstance(error, dict) else None
        pointer = cast("dict[str, object]", source).get("pointer") if isinstance(source, dict) else None
        if isinstance(pointer, str):
            yield pointer


def _blamed(pointer: str, groups: Sequence[range]) -> tuple[_Positions, _Positions]:
    """
    Return the positions of which a pointer says that they are wrong, and those among which one is.

    The first number counts profiles; what stands behind it is about all events of the profile, or about one.
    """
    place = _POINTER.fullmatch(pointer)
    if place is None or int(place[1]) >= len(groups):
        return frozenset(), frozenset()
    group, rest = groups[int(place[1])], place[2] or ""
    event = _EVENT.fullmatch(rest)
    if event and int(event[1]) < len(group):
        return frozenset({group[int(event[1])]}), frozenset()
    if len(group) == 1 or not _OF_THE_EVENTS.fullmatch(rest):
        return frozenset(group), frozenset()
    return frozenset(), frozenset(group)


class KlaviyoBulkDestination(Events):
    """
    Delivers events to Klaviyo, many a request.

    Args:
        account: Where to, with which key, and in which revision.
        clock: Tells the seconds since the epoch.
        new_id: Makes an id that no other event has.
        warn: Is told what the user has to know, each thing once.

    Raises:
        SettingsError: The revision has no such requests.
    """

    def __init__(
        self,
        account: KlaviyoAccount,
        *,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        warn: Callable[[str], None],
    ) -> None:
        revision = account.revision
        if not revision.has_bulk:
            message = f"revision is {revision}; it must be 2024-05-15 or later where events are sent in bulk"
            raise SettingsError(message)
        name, path = "klaviyo:events.bulk", revision.bulk_path
        super().__init__(account, name=name, shape=BULK, path=path, clock=clock, new_id=new_id, warn=warn)
        self.batch: Final = KlaviyoBatch(super().request, super().judge)

    def request(self, body: bytes) -> Request:
        """See :meth:`Destination.request`."""
        return self.batch.request((body,))
