"""The one account of Klaviyo that an emulator holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from .klaviyo_profiles import Profiles
from .records import RecordedEvent, RecordedKlaviyoEvent
from .wire import json_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .klaviyo_events import Draft
    from .klaviyo_profiles import Identifier


@attrs.define(eq=False, kw_only=True)
class KlaviyoAccount:
    """
    What became of the events that were accepted, which no answer tells.

    Attributes:
        duplicates: How many were dropped because there was one with the same profile, metric and ``unique_id``.
        discarded: How many were dropped because their address is of a domain like example.com or test.com.
        vague: Whether refused bulk requests point at the whole and not at the place that is wrong; may be set.
    """

    _on_recorded: Callable[[RecordedEvent], None] = attrs.field(alias="on_recorded", repr=False)
    _next_id: Callable[[], int] = attrs.field(alias="next_id", repr=False)
    duplicates: int = attrs.field(default=0, init=False)
    discarded: int = attrs.field(default=0, init=False)
    vague: bool = attrs.field(default=False, init=False)
    _profiles: Profiles = attrs.field(factory=Profiles, init=False, repr=False)

    @property
    def profiles(self) -> int:
        """How many profiles there are."""
        return len(self._profiles)

    def repeated(self, drafts: Sequence[Draft]) -> Draft | None:
        """
        Return the first of *drafts* that repeats the ``unique_id`` of another; nothing is applied.

        Args:
            drafts: The events of one request.
        """
        people = {id(draft.person): draft.person.identifiers for draft in drafts}
        scratch = Profiles()
        named = {key: (*identifiers, *self._known(identifiers)) for key, identifiers in people.items()}
        for identifiers in named.values():
            scratch.add(identifiers)
        numbers = {key: scratch.known(identifiers)[0] for key, identifiers in named.items()}
        return next(
            (
                draft
                for draft in drafts
                if draft.is_named and not scratch.note(numbers[id(draft.person)], draft.metric, draft.unique_id)
            ),
            None,
        )

    def _known(self, identifiers: Iterable[Identifier]) -> list[Identifier]:
        return [("number", str(number)) for number in self._profiles.known(identifiers)]

    def apply(self, draft: Draft, now: float) -> None:
        """
        Record an event, or drop it without a word.

        Args:
            draft: The event.
            now: When it came, on the clock of the limits.
        """
        if draft.person.is_invented:
            self.discarded += 1
            return
        number = self._profiles.add(draft.person.identifiers)
        if self._profiles.note(number, draft.metric, draft.unique_id):
            self._on_recorded(self._recorded(draft, number, now))
        else:
            self.duplicates += 1

    def _recorded(self, draft: Draft, number: int, now: float) -> RecordedKlaviyoEvent:
        person = draft.person
        return RecordedKlaviyoEvent(
            event_name=draft.metric,
            mida_uuid=None,
            email=person.email,
            id=person.external_id,
            properties_json=json_text(draft.properties),
            received_at=now,
            event_id=self._next_id(),
            visitor_id=number,
            project_key="",
            profile_json=json_text(person.fields),
            phone_number=person.phone_number,
            time=draft.time,
            value=draft.value,
            unique_id=draft.unique_id,
        )
