"""The endpoints of visitors: the calls of the server-side SDKs (mida-node 1.0.5 and others). No page documents them."""

from __future__ import annotations

from typing import Final

from ...models.visitors import AttributesSet, VisitorEventRecorded, VisitorVariant
from ..arguments import OBJECT, TEXT, Field, Kind
from ..checks import json_text, mapping
from .base import Host, Repeat, by_name, row

_PROJECT: Final = "key"
_DISTINCT_ID: Final = Field(
    name="distinct_id", kind=TEXT, place="body", help="Your own id of the visitor.", required=True
)
_OBJECT_AS_TEXT: Final = Kind(
    name="object", check=json_text(mapping), schema={"type": "string", "contentMediaType": "application/json"}
)

ROWS: Final = by_name(
    row(
        "visitors.get_variant",
        "POST /experiment/query",
        None,
        "Get the variant of an experiment that a visitor sees.",
        answer=VisitorVariant,
        errors=(400, 404),
        host=Host.SDK,
        project_field=_PROJECT,
        fields=(
            Field(
                name="experiment_key",
                kind=TEXT,
                place="body",
                help="The key of an experiment that is made for servers.",
                required=True,
            ),
            _DISTINCT_ID,
        ),
    ),
    row(
        "visitors.record_event",
        "POST /experiment/event",
        None,
        "Record that a visitor did something.",
        answer=VisitorEventRecorded,
        repeat=Repeat.UNSAFE,
        errors=(400, 404),
        body_matters=False,
        host=Host.SDK,
        project_field=_PROJECT,
        fields=(
            Field(name="name", kind=TEXT, place="body", help="What was done.", required=True),
            _DISTINCT_ID,
            Field(
                name="properties",
                kind=_OBJECT_AS_TEXT,
                place="body",
                help="Anything that JSON can hold, by name; it goes out as JSON text.",
            ),
        ),
    ),
    row(
        "visitors.feature_flags",
        "POST /feature-flag",
        None,
        "List the feature flags that are on for a visitor.",
        answer=tuple[str, ...],
        errors=(400, 404),
        host=Host.SDK,
        project_field=_PROJECT,
        fields=(Field(name="user_id", kind=TEXT, place="body", help="Your own id of the visitor.", nullable=True),),
    ),
    row(
        "visitors.set_attributes",
        "POST /track/{project_key}",
        None,
        "Set attributes of a visitor.",
        answer=AttributesSet,
        errors=(400, 404),
        body_matters=False,
        host=Host.SDK,
        fields=(
            Field(
                name="distinct_id",
                wire_name="id",
                kind=TEXT,
                place="body",
                help="Your own id of the visitor.",
                required=True,
            ),
            Field(
                name="attributes",
                kind=OBJECT,
                place="body",
                spread=True,
                help="Anything that JSON can hold, by name.",
            ),
        ),
    ),
)
