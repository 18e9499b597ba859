"""What the projects endpoints answer with."""

from __future__ import annotations

import datetime as dt

import attrs

from .base import Model, Reply


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Project(Model):
    """
    One website or app of a company (docs/v2/list-projects and get-project-details, 2026-08-22).

    Attributes:
        project_key: Its public key, which is also the ``key`` of the browser script's address.
        name: What it is shown as.
        website_name: The name that it was given.
        widget_name: A second name, for the vendor's own use; as a rule the same.
        allowed_website: Where the browser script may run; ``*`` is anywhere.
        monthly_average_traffic: Visitors a month, as somebody estimated them.
        shopify_id: The shop that it was made for, if it came from an installation at Shopify.
        status: 1 active, 0 paused, 2 deleted.
        company_id: The number of the account that it belongs to.
        created_at: When it was created.
        updated_at: When it was changed last.
    """

    project_key: str
    name: str | None = None
    website_name: str | None = None
    widget_name: str | None = None
    allowed_website: str | None = None
    monthly_average_traffic: int | None = None
    shopify_id: str | None = None
    status: int | None = None
    company_id: int | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ProjectPage(Reply):
    """
    One page of a list of projects (docs/v2/list-projects, 2026-08-22).

    Attributes:
        company_id: The number of the account.
        count: How many projects this page holds, not how many there are.
        projects: The projects.
    """

    company_id: int | None = None
    count: int | None = None
    projects: tuple[Project, ...] = ()


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ProjectDeleted(Reply):
    """
    The answer to a deletion (docs/v2/delete-project, 2026-08-22). It has no ``deleted``, unlike those to others.

    Attributes:
        project_key: The key of the project.
        status: 2.
        message: What the server said.
    """

    project_key: str | None = None
    status: int | None = None
    message: str | None = None
