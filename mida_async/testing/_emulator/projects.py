"""
The five endpoints of projects.

A project that was deleted is gone for all endpoints, also for those of the SDKs: 404. One that is paused is 403 for
these five and for the configuration, as documented; the others do not mind, because no page says so.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import attrs

from .experiments_state import INACTIVE, LIVE, ExperimentStore
from .project import ACTIVE, DELETED, Project, page
from .wire import Reply, bad, filled_text, json_object, page_of, success, timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .project import Call, Handler

DEFAULT_LIMIT: Final = 100
LARGEST: Final = 2**63 - 1

# docs/v2/create-project and update-project, 2026-08-22: what may be written, and which field it is. Where two words for
# one field come together, of which the pages say nothing, the last of them here counts.
_CREATE: Final = MappingProxyType(
    {"name": "website_name", "website_name": "website_name", "allowed_website": "allowed_website"}
)
_UPDATE: Final = MappingProxyType(
    {"widget_allowed_website": "allowed_website", "widget_name": "widget_name", **_CREATE}
)
_TRAFFIC: Final = "monthly_average_traffic"


def _texts(body: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Check the texts that the body has, and return them by the fields that they are."""
    return {field: filled_text(body, name) for name, field in names.items() if name in body}


def list_projects(project: Project, call: Call) -> Reply:
    """List the projects of the company, the oldest first (docs/v2/list-projects; the order is not documented)."""
    project.check_active()
    limit, offset = page_of({"limit": str(DEFAULT_LIMIT), **call.query})
    every = _flag(call.query, "include_inactive")
    shown = (each for each in project.company.projects if every or each.status == ACTIVE)
    rows = page(shown, limit, offset)
    return success(company_id=project.company_id, count=len(rows), projects=[_details(row) for row in rows])


def _flag(query: Mapping[str, str], name: str) -> bool:
    value = query.get(name, "false")
    if value not in {"true", "false"}:
        text = f"{name} must be true or false"
        raise bad(text)
    return value == "true"


def _details(project: Project) -> dict[str, object]:
    profile = project.profile
    return {
        "project_key": project.key,
        "name": profile.website_name,
        "website_name": profile.website_name,
        "widget_name": profile.widget_name,
        "allowed_website": profile.allowed_website,
        "monthly_average_traffic": profile.monthly_average_traffic,
        "shopify_id": profile.shopify_id,
        "status": project.status,
        "company_id": project.company_id,
        "created_at": timestamp(profile.created_at),
        "updated_at": timestamp(profile.updated_at),
    }


def get_project(project: Project, _: Call) -> Reply:
    """Show one project (docs/v2/get-project-details)."""
    project.check_active()
    return success(project=_details(project))


def create_project(project: Project, call: Call) -> Reply:
    """Make a project with the settings of the one in the path; it has no API key (docs/v2/create-project)."""
    project.check_active()
    body = {name: value for name, value in json_object(call.body).items() if value is not None}
    given = _texts(body, _CREATE)
    if not given:
        text = "At least one of website_name, name and allowed_website is required"
        raise bad(text)
    allowed = given.get("allowed_website", "*")
    new = project.company.add(given.get("website_name", allowed), allowed, like=project, now=call.today)
    new.store(ExperimentStore).live_limit = project.store(ExperimentStore).live_limit
    return attrs.evolve(success(project=_details(new)), status=201)


def update_project(project: Project, call: Call) -> Reply:
    """Change what the body names, unless a part of it is wrong; pass over what is unknown (docs/v2/update-project)."""
    project.check_active()
    body = json_object(call.body)
    changes = _texts(body, _UPDATE)
    if _TRAFFIC in body:
        changes[_TRAFFIC] = _traffic(body[_TRAFFIC])
    if not changes:
        text = f"At least one of {', '.join((*_UPDATE, _TRAFFIC))} is required"
        raise bad(text)
    project.profile = attrs.evolve(project.profile, updated_at=call.today, **changes)
    return success(project=_details(project))


def _traffic(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST:
        text = f"{_TRAFFIC} must be a whole number, 0 or greater"
        raise bad(text)
    return value


def delete_project(project: Project, _: Call) -> Reply:
    """
    Mark one project as deleted and stop what is live in it (docs/v2/delete-project).

    The page says that live experiments are no longer served: here they become inactive.
    """
    project.check_active()
    project.status = DELETED
    for experiment in project.store(ExperimentStore).present():
        if experiment.status == LIVE:
            experiment.status = INACTIVE
    return success(project_key=project.key, status=DELETED, message="The project is deleted; its data is kept")


HANDLERS: Final[Mapping[str, Handler]] = MappingProxyType(
    {
        "projects.list": list_projects,
        "projects.get": get_project,
        "projects.create": create_project,
        "projects.update": update_project,
        "projects.delete": delete_project,
    }
)
