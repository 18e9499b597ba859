"""``mida.projects``: the websites of a company."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._core.endpoints.projects import ROWS
from .._sentinels import UNSET, UnsetType
from ..models.projects import Project, ProjectDeleted, ProjectPage
from .configuration import Configuration

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence


class Projects(Configuration):
    """
    The projects of a company.

    An API key of any of them is good for all of them, here and nowhere else.
    """

    async def list(self, *, limit: int = 100, offset: int = 0, include_inactive: bool = False) -> ProjectPage:
        """
        Get one page of the company's projects (docs/v2/list-projects, 2026-08-22).

        Args:
            limit: How many at most, 1 to 500.
            offset: How many to leave out before.
            include_inactive: Whether paused projects are listed, too; deleted ones never are.

        Raises:
            ForbiddenError: The client's own project is paused.
        """
        return await self._call(
            ROWS["projects.list"], ProjectPage, limit=limit, offset=offset, include_inactive=include_inactive
        )

    def iter(self, *, page_size: int = 500, include_inactive: bool = False) -> AsyncGenerator[Project, None]:
        """
        Go through all projects of the company, one request a page; like :meth:`list`, but without end.

        Each project comes once, even if the list changes meanwhile; one that is added or moved meanwhile may be missed.
        Leaving the loop early is safe: nothing stays open between pages.

        Args:
            page_size: How many to ask for at once, 1 to 500.
            include_inactive: Whether paused projects come, too.

        Raises:
            InvalidRequestError: An argument is wrong; raised by this call, not by the loop.
            ForbiddenError: The client's own project is paused.
        """
        return self._walk(
            ROWS["projects.list"], ProjectPage, _projects, _project_key, page_size, include_inactive=include_inactive
        )

    async def get(self, project_key: str | None = None) -> Project:
        """
        Get one project (docs/v2/get-project-details, 2026-08-22).

        Args:
            project_key: The key of a project of the same company; None is the client's own.

        Raises:
            ForbiddenError: The project is paused.
            NotFoundError: There is no such project, or it was deleted.
        """
        return await self._call(ROWS["projects.get"], Project, project_key=project_key)

    async def create(
        self, *, website_name: str | None = None, name: str | None = None, allowed_website: str | None = None
    ) -> Project:
        """
        Create a project of the same company (docs/v2/create-project, 2026-08-22).

        It has no API key of its own until one is made in the dashboard; until then it can only be read, changed and
        deleted here. The call is not sent again when it is unknown what became of it: look into :meth:`list` before you
        repeat it.

        Args:
            website_name: Its name.
            name: Another word for *website_name*.
            allowed_website: Where the browser script may run; ``*`` is anywhere. At least one of the three is needed.

        Raises:
            BadRequestError: The server found a value wrong.
            ForbiddenError: The client's own project is paused.
        """
        return await self._call(
            ROWS["projects.create"], Project, website_name=website_name, name=name, allowed_website=allowed_website
        )

    async def update(
        self,
        project_key: str | None = None,
        *,
        website_name: str | UnsetType = UNSET,
        name: str | UnsetType = UNSET,
        widget_name: str | UnsetType = UNSET,
        allowed_website: str | UnsetType = UNSET,
        widget_allowed_website: str | UnsetType = UNSET,
        monthly_average_traffic: int | UnsetType = UNSET,
    ) -> Project:
        """
        Change one project (docs/v2/update-project, 2026-08-22).

        Only what is given is sent. The page does not say that any of it can be null, so None is refused.

        Args:
            project_key: The key of a project of the same company; None is the client's own.
            website_name: Its name.
            name: Another word for *website_name*.
            widget_name: A second name; as a rule the same.
            allowed_website: Where the browser script may run; ``*`` is anywhere.
            widget_allowed_website: Another word for *allowed_website*.
            monthly_average_traffic: About how many visitors a month it has.

        Returns:
            The project as it is now.

        Raises:
            BadRequestError: The server found a value wrong.
            ForbiddenError: The project is paused.
            NotFoundError: There is no such project, or it was deleted.
        """
        return await self._call(
            ROWS["projects.update"],
            Project,
            project_key=project_key,
            website_name=website_name,
            name=name,
            widget_name=widget_name,
            allowed_website=allowed_website,
            widget_allowed_website=widget_allowed_website,
            monthly_average_traffic=monthly_average_traffic,
        )

    async def delete(self, project_key: str) -> ProjectDeleted:
        """
        Delete one project, with everything in it (docs/v2/delete-project, 2026-08-22).

        Its live experiments stop at once. The server keeps the data, but no call brings the project back.

        Args:
            project_key: The key of the project. There is no default: the client's own project has to be named, too.

        Raises:
            ForbiddenError: The project is paused.
            NotFoundError: There is no such project; after a repetition also: it was deleted by the first attempt.
        """
        return await self._call(ROWS["projects.delete"], ProjectDeleted, project_key=project_key)


def _projects(page: ProjectPage) -> Sequence[Project]:
    return page.projects


def _project_key(project: Project) -> str:
    return project.project_key
