"""The endpoints of projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..._errors import InvalidRequestError
from ...models.projects import Project, ProjectDeleted, ProjectPage
from ..arguments import FLAG, KEY_IN_PATH, TEXT, Field, paging, wholes
from .base import Repeat, by_name, row

if TYPE_CHECKING:
    from collections.abc import Mapping


def _says_something(arguments: Mapping[str, object]) -> None:
    if not arguments:
        message = "a project needs at least one of website_name, name and allowed_website"
        raise InvalidRequestError(message)


_OWN_OR_OTHER: Final = Field(
    name="project_key",
    kind=KEY_IN_PATH,
    place="path",
    help="The key of a project of the same company; the client's own project otherwise.",
)
_WEBSITE_NAME: Final = Field(name="website_name", kind=TEXT, place="body", help="Its name.")
_NAME: Final = Field(name="name", kind=TEXT, place="body", help="Another word for website_name.")
_ALLOWED: Final = Field(
    name="allowed_website", kind=TEXT, place="body", help="Where the browser script may run; * is anywhere."
)

# An API key of any project of a company is good for all of them; in the paths of `list` and `create` the project only
# says whose key it is.
ROWS: Final = by_name(
    row(
        "projects.list",
        "GET P/projects",
        "list-projects",
        "List the projects of the company.",
        answer=ProjectPage,
        rows="projects",
        errors=(400, 403),
        fields=(
            *paging(100),
            Field(
                name="include_inactive",
                kind=FLAG,
                place="query",
                help="Whether paused projects are listed, too; deleted ones never are.",
                default=False,
            ),
        ),
    ),
    row(
        "projects.get",
        "GET P",
        "get-project-details",
        "Get one project.",
        answer=Project,
        key="project",
        errors=(403, 404),
        fields=(_OWN_OR_OTHER,),
    ),
    row(
        "projects.create",
        "POST P/projects",
        "create-project",
        "Create a project; it has no API key until one is made in the dashboard.",
        answer=Project,
        key="project",
        status=201,
        repeat=Repeat.UNSAFE,
        errors=(400, 403),
        fields=(_WEBSITE_NAME, _NAME, _ALLOWED),
        together=_says_something,
    ),
    row(
        "projects.update",
        "PATCH P",
        "update-project",
        "Change one project.",
        answer=Project,
        key="project",
        partial=True,
        errors=(400, 403, 404),
        fields=(
            _OWN_OR_OTHER,
            _WEBSITE_NAME,
            _NAME,
            Field(
                name="widget_name", kind=TEXT, place="body", help="A second name; as a rule the same as website_name."
            ),
            _ALLOWED,
            Field(name="widget_allowed_website", kind=TEXT, place="body", help="Another word for allowed_website."),
            Field(
                name="monthly_average_traffic",
                kind=wholes(0),
                place="body",
                help="About how many visitors a month it has.",
            ),
        ),
    ),
    row(
        "projects.delete",
        "DELETE P",
        "delete-project",
        "Delete one project with all that is in it; its live experiments stop, and no call brings it back.",
        answer=ProjectDeleted,
        errors=(403, 404),
        fields=(
            Field(
                name="project_key",
                kind=KEY_IN_PATH,
                place="path",
                help="The key of the project to delete.",
                required=True,
            ),
        ),
    ),
)
