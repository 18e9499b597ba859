"""
The four calls of the server-side SDKs.

No page documents them, so this server decides as follows. A call that names a visitor registers them by that name as
``id``. An experiment that is unknown, or is not live, or does not take the visitor in, has no version (null), which is
what the SDKs take for "not in the experiment". Attributes stay until another value comes for them. Properties of an
event must be the JSON text of an object, or ``[]``, which one SDK writes where there are none.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import attrs

from .assigning import assign
from .experiments_state import ExperimentStore
from .project import Call, EventRow, Project
from .records import RecordedEvent
from .wire import Reply, encode, filled_text, json_object, success, text_or_none

if TYPE_CHECKING:
    from collections.abc import Mapping

_JSON_HEADERS: Final = MappingProxyType({"Content-Type": "application/json"})


@attrs.define(eq=False)
class FlagStore:
    """The feature flags of a project; get it by ``project.store(FlagStore)``."""

    _flags: dict[str, frozenset[str] | None] = attrs.field(factory=dict[str, frozenset[str] | None], init=False)

    def enable(self, flag: str, *user_ids: str) -> None:
        """
        Turn a flag on.

        Args:
            flag: Its key.
            user_ids: For whom; for all, and for nobody in particular, if not given.
        """
        self._flags[flag] = frozenset(user_ids) if user_ids else None

    def disable(self, flag: str) -> None:
        """Turn a flag off for all."""
        self._flags.pop(flag, None)

    def enabled(self, user_id: str | None) -> list[str]:
        """Return the keys of the flags that are on for somebody, or for nobody in particular."""
        return [flag for flag, users in self._flags.items() if users is None or user_id in users]


@attrs.define(eq=False)
class AttributeStore:
    """The attributes of a project's visitors; get it by ``project.store(AttributeStore)``."""

    _by_visitor: dict[int, dict[str, Any]] = attrs.field(factory=dict[int, dict[str, Any]], init=False)

    def update(self, visitor: int, attributes: Mapping[str, Any]) -> None:
        """Set attributes of a visitor; others stay."""
        self._by_visitor.setdefault(visitor, {}).update(attributes)

    def of(self, visitor: int) -> dict[str, Any]:
        """Return a copy of a visitor's attributes."""
        return dict(self._by_visitor.get(visitor, {}))


def _answer(value: object) -> Reply:
    return Reply(200, encode(value), _JSON_HEADERS)


def get_variant(project: Project, call: Call) -> Reply:
    """Say which variant a visitor sees, and let them take part (mida-node 1.0.5, ``getExperiment``)."""
    body = json_object(call.body)
    key, visitor = filled_text(body, "experiment_key"), _visitor(project, body, "distinct_id")
    row = project.store(ExperimentStore).by_key(key)
    assigned = None if row is None else assign(project, row, visitor, call.today)
    return _answer({"version": None if row is None or assigned is None else row.variant_name(assigned.variant)})


def record_event(project: Project, call: Call) -> Reply:
    """Record an event as Create Event does (mida-node 1.0.5, ``setEvent``)."""
    body = json_object(call.body)
    name, properties = filled_text(body, "name"), _properties(body)
    visitor = _visitor(project, body, "distinct_id")
    row = EventRow(
        event_id=project.next_id(),
        visitor_id=visitor,
        event_text=name,
        event_property=properties,
        created_at=call.today,
    )
    project.events.add(row.event_id, row)
    project.on_recorded(
        RecordedEvent(
            event_name=name,
            mida_uuid=None,
            email=None,
            id=body["distinct_id"],
            properties_json=properties,
            received_at=call.now,
            event_id=row.event_id,
            visitor_id=visitor,
            project_key=project.key,
        )
    )
    return success()


def feature_flags(project: Project, call: Call) -> Reply:
    """List the flags that are on for a visitor (mida-node 1.0.5, ``reloadFeatureFlags``)."""
    return _answer(project.store(FlagStore).enabled(text_or_none(json_object(call.body), "user_id")))


def set_attributes(project: Project, call: Call) -> Reply:
    """Keep attributes of a visitor, and say their id in the browser (mida-node 1.0.5, ``setAttribute``)."""
    body = json_object(call.body)
    visitor = _visitor(project, body, "id")
    project.store(AttributeStore).update(visitor, {name: value for name, value in body.items() if name != "id"})
    return _answer({"id": project.visitors.uuid_of(visitor)})


def _visitor(project: Project, body: Mapping[str, Any], name: str) -> int:
    return project.visitors.add(None, None, filled_text(body, name))


def _properties(body: Mapping[str, Any]) -> str | None:
    text = text_or_none(body, "properties")
    if text is None or text == "[]":
        return None
    # Half of a surrogate pair is refused like any other text that is not JSON.
    json_object(text.encode("utf-8", "surrogatepass"))
    return text


HANDLERS: Final = MappingProxyType(
    {
        "visitors.get_variant": get_variant,
        "visitors.record_event": record_event,
        "visitors.feature_flags": feature_flags,
        "visitors.set_attributes": set_attributes,
    }
)
