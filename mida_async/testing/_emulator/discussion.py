"""
The endpoints of discussion.

An API key is nobody, so comments are refused with 400 until a test says in whose name the project's key speaks:
``project.store(DiscussionStore).author = "Ann"``. Where the pages are silent: comments are listed the oldest first, and
a ``source`` that is not documented is refused, but for plain keys, for which it is ignored.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import attrs

from .project import Rows
from .serving import experiment_of
from .wire import Refusal, Reply, bad, filled_text, json_object, missing, one_of, success, timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .project import Call, Handler, Project

# docs/v2/add-experiment-comment and get-experiment-discussion, 2026-08-22
LONGEST: Final = 5000
SOURCES: Final = ("user", "agent", "routine")

_PREVIEW: Final = 80
_KEEP: Final = 100_000


@attrs.define(kw_only=True)
class CommentRow:
    """One comment."""

    number: int
    test_id: int
    text: str
    author: str
    source: str
    created_at: float
    edited: bool = False


@attrs.define(eq=False)
class DiscussionStore:
    """
    The comments of a project; get it by ``project.store(DiscussionStore)``.

    Attributes:
        author: In whose name the project's API key speaks; None for a plain key, which has no author.
        is_admin: Whether that person is an owner or an administrator, who may delete the comments of others.
    """

    author: str | None = None
    is_admin: bool = False
    rows: Rows[CommentRow] = attrs.field(factory=lambda: Rows[CommentRow](_KEEP))


def list_comments(project: Project, call: Call) -> Reply:
    """List the comments on an experiment (docs/v2/get-experiment-discussion)."""
    experiment = experiment_of(project, call)
    store = project.store(DiscussionStore)
    found = [row for row in store.rows.values() if row.test_id == experiment.test_id]
    return success(
        test_id=experiment.test_id,
        test_name=experiment.test_name,
        count=len(found),
        comments=[_shown(row, store.author) for row in found],
    )


def _shown(row: CommentRow, reader: str | None) -> dict[str, object]:
    return {
        "comment_id": row.number,
        "comment": row.text,
        "author_name": row.author,
        "created_at": timestamp(row.created_at),
        "edited": row.edited,
        "source": row.source,
        **({"is_you": True} if row.author == reader else {}),
    }


def add_comment(project: Project, call: Call) -> Reply:
    """Comment on an experiment, where the key stands for a person (docs/v2/add-experiment-comment)."""
    experiment = experiment_of(project, call)
    store = project.store(DiscussionStore)
    body = json_object(call.body)
    comment = filled_text(body, "comment")
    if len(comment) > LONGEST:
        text = f"comment must have at most {LONGEST} characters"
        raise bad(text)
    if store.author is None:
        text = "A comment needs a signed-in author, and an API key has none"
        raise bad(text)
    row = CommentRow(
        number=project.next_id(),
        test_id=experiment.test_id,
        text=comment,
        author=store.author,
        source=_source(body),
        created_at=call.today,
    )
    store.rows.add(row.number, row)
    return success(test_id=experiment.test_id, comment=comment, note="Posted; the members who are assigned get a mail.")


def _source(body: Mapping[str, Any]) -> str:
    source: str = "user" if body.get("source") is None else one_of(body, "source", SOURCES)
    return source


def delete_comment(project: Project, call: Call) -> Reply:
    """Delete a comment, where the key may do that (docs/v2/delete-experiment-comment)."""
    experiment = experiment_of(project, call)
    store = project.store(DiscussionStore)
    what = "Comment"
    row = store.rows.named(call.ids["comment_id"], what)
    if row.test_id != experiment.test_id:
        raise missing(what)
    if row.author != store.author and not store.is_admin:
        text = "Only the author of a comment, an owner or an administrator may delete it"
        raise Refusal(403, text)
    del store.rows[row.number]
    return success(test_id=experiment.test_id, comment_id=row.number, deleted_preview=row.text[:_PREVIEW])


HANDLERS: Final[Mapping[str, Handler]] = MappingProxyType(
    {
        "experiments.list_comments": list_comments,
        "experiments.add_comment": add_comment,
        "experiments.delete_comment": delete_comment,
    }
)
