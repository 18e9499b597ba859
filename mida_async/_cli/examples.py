"""What the JSON of an option may look like, one example each."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

_PROPERTIES: Final = '{"plan": "team", "seats": 5}'
_GOAL: Final = '{"goal_name": "Signed up", "goal_type": "event", "goal_value": "signup_completed"}'

EXAMPLES: Final = MappingProxyType(
    {
        "events.properties": _PROPERTIES,
        "events.event_property": _PROPERTIES,
        "experiments.variants": '[{"nickname": "Green", "customCSS": "button {color: green}"}]',
        "experiments.page_urls": '["https://example.com/", {"url": "https://example.com/old", "allowed": false}]',
        "experiments.primary_goal": _GOAL,
        "experiments.secondary_goals": f"[{_GOAL}]",
        "experiments.configuration": '{"traffic_allocation": 50, "confidence_interval": 95}',
        "experiments.targeting": '{"device_rule": ["mobile"], "allowed_country": ["US"]}',
        "experiments.control": '{"nickname": "As it is"}',
        "experiments.control_attr": '{"name": "Control", "css": "button {color: red}"}',
        "experiments.custom_filter": '[[{"criteria": "browser", "operator": "==", "value": "firefox"}]]',
        "experiments.event_attribute": '[[{"key": "plan", "operand": "=", "value": "team"}]]',
        "projects.secondary_goals": '[{"goal_key": "signup"}, {"text": "Purchase", "name": "Bought"}]',
        "exclusion_groups.tests": '[{"test_id": 123, "percent": 60}, {"test_id": 124, "percent": 40}]',
        "personalization.accounts": '[{"name": "Notion", "domain": "notion.so"}]',
        "personalization.personas": '[{"label": "CFO", "description": "Asks what it costs"}]',
        "visitors.properties": _PROPERTIES,
        "visitors.attributes": _PROPERTIES,
    }
)
"""By section and field."""
