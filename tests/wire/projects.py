"""Samples of the calls of projects."""

from __future__ import annotations

import datetime as dt

from resource_calls import PROJECT_KEY

from mida_async.models import Project, ProjectDeleted, ProjectPage
from wire.base import Sample

_PROJECT = {
    "project_key": "PROJECT_KEY_AAAAAAAAAA",
    "name": "www.example.com",
    "website_name": "www.example.com",
    "widget_name": "www.example.com",
    "allowed_website": "www.example.com",
    "monthly_average_traffic": 50000,
    "shopify_id": None,
    "status": 1,
    "company_id": 1001,
    "created_at": "2025-12-04T10:05:52.000Z",
    "updated_at": "2026-04-21T08:30:00.000Z",
}
_SHOP = {
    **_PROJECT,
    "project_key": "PROJECT_KEY_BBBBBBBBBB",
    "monthly_average_traffic": 0,
    "shopify_id": "1234567890",
    "status": 0,
}


def _project(
    project_key: str = "PROJECT_KEY_AAAAAAAAAA", traffic: int = 50000, shopify_id: str | None = None, status: int = 1
) -> Project:
    return Project(
        project_key=project_key,
        name="www.example.com",
        website_name="www.example.com",
        widget_name="www.example.com",
        allowed_website="www.example.com",
        monthly_average_traffic=traffic,
        shopify_id=shopify_id,
        status=status,
        company_id=1001,
        created_at=dt.datetime(2025, 12, 4, 10, 5, 52, tzinfo=dt.UTC),
        updated_at=dt.datetime(2026, 4, 21, 8, 30, tzinfo=dt.UTC),
    )


SAMPLES = (
    Sample(
        endpoint="projects.list",
        call=lambda mida: mida.projects.list(),
        sent="GET P/projects?limit=100&offset=0&include_inactive=false",
        answer={"success": True, "company_id": 1001, "count": 1, "projects": [_PROJECT]},
        result=ProjectPage(success=True, company_id=1001, count=1, projects=(_project(),)),
    ),
    Sample(
        endpoint="projects.list",
        call=lambda mida: mida.projects.list(limit=2, offset=4, include_inactive=True),
        sent="GET P/projects?limit=2&offset=4&include_inactive=true",
        answer={"success": True, "company_id": 1001, "count": 2, "projects": [_PROJECT, _SHOP]},
        result=ProjectPage(
            success=True,
            company_id=1001,
            count=2,
            projects=(_project(), _project("PROJECT_KEY_BBBBBBBBBB", 0, "1234567890", 0)),
        ),
    ),
    Sample(
        endpoint="projects.get",
        call=lambda mida: mida.projects.get(),
        sent="GET P",
        answer={"success": True, "project": _PROJECT},
        result=_project(),
    ),
    Sample(
        endpoint="projects.create",
        call=lambda mida: mida.projects.create(website_name="www.example.com", allowed_website="www.example.com"),
        sent="POST P/projects",
        body={"website_name": "www.example.com", "allowed_website": "www.example.com"},
        answer={"success": True, "project": _PROJECT},
        result=_project(),
    ),
    # The page shortens its example with a member "...".
    Sample(
        endpoint="projects.update",
        call=lambda mida: mida.projects.update(website_name="store.example.com (EU)", monthly_average_traffic=120000),
        sent="PATCH P",
        body={"website_name": "store.example.com (EU)", "monthly_average_traffic": 120000},
        answer={
            "success": True,
            "project": {
                "project_key": "PROJECT_KEY_AAAAAAAAAA",
                "name": "store.example.com (EU)",
                "website_name": "store.example.com (EU)",
                "monthly_average_traffic": 120000,
                "...": "...",
            },
        },
        result=Project(
            project_key="PROJECT_KEY_AAAAAAAAAA",
            name="store.example.com (EU)",
            website_name="store.example.com (EU)",
            monthly_average_traffic=120000,
            extra={"...": "..."},
        ),
    ),
    Sample(
        endpoint="projects.update",
        call=lambda mida: mida.projects.update(
            PROJECT_KEY,
            name="Shop",
            widget_name="shop",
            allowed_website="*",
            widget_allowed_website="*.example.com",
        ),
        sent="PATCH P",
        body={
            "name": "Shop",
            "widget_name": "shop",
            "allowed_website": "*",
            "widget_allowed_website": "*.example.com",
        },
        answer={"success": True, "project": _PROJECT},
        result=_project(),
    ),
    Sample(
        endpoint="projects.delete",
        call=lambda mida: mida.projects.delete(PROJECT_KEY),
        sent="DELETE P",
        answer={
            "success": True,
            "project_key": "PROJECT_KEY_AAAAAAAAAA",
            "status": 2,
            "message": "Project deleted (soft delete; data retained)",
        },
        result=ProjectDeleted(
            success=True,
            project_key="PROJECT_KEY_AAAAAAAAAA",
            status=2,
            message="Project deleted (soft delete; data retained)",
        ),
    ),
)
