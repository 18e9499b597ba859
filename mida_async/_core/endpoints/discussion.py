"""The endpoints of discussion."""

from __future__ import annotations

from typing import Final

from ..._errors import InvalidRequestError
from ...models.discussion import CommentAdded, CommentDeleted, CommentList, CommentSource
from ..arguments import TEXT, Field, Kind, choices, number_in_path
from ..checks import text
from .base import Repeat, by_name, row

# docs/v2/add-experiment-comment, 2026-08-22
_LONGEST: Final = 5000


def _comment(field: str, value: object) -> str:
    """Return a comment that is neither empty nor too long."""
    found = text(field, value)
    if len(found) > _LONGEST:
        message = f"{field} has {len(found)} characters; it may have {_LONGEST} at most"
        raise InvalidRequestError(message)
    return found


_TEST_ID: Final = number_in_path("test_id", "The experiment's number.")

ROWS: Final = by_name(
    row(
        "experiments.list_comments",
        "GET P/experiment/{test_id}/discussion",
        "get-experiment-discussion",
        "List the comments on an experiment.",
        answer=CommentList,
        rows="comments",
        errors=(404,),
        fields=(_TEST_ID,),
    ),
    # A second try would be a second comment, and would mail everybody again.
    row(
        "experiments.add_comment",
        "POST P/experiment/{test_id}/discussion",
        "add-experiment-comment",
        "Comment on an experiment in the name of a person, and mail those who are assigned; API keys cannot.",
        answer=CommentAdded,
        repeat=Repeat.UNSAFE,
        errors=(400, 404),
        fields=(
            _TEST_ID,
            Field(
                name="comment",
                kind=Kind(name="text", check=_comment, schema={**TEXT.schema, "maxLength": _LONGEST}),
                place="body",
                help="The text, 1 to 5000 characters without markup.",
                required=True,
            ),
            Field(
                name="source",
                kind=choices(CommentSource),
                place="body",
                help="Whether a person or a program wrote it; ignored for API keys.",
            ),
        ),
    ),
    row(
        "experiments.delete_comment",
        "DELETE P/experiment/{test_id}/discussion/{comment_id}",
        "delete-experiment-comment",
        "Delete a comment on an experiment.",
        answer=CommentDeleted,
        errors=(403, 404),
        fields=(_TEST_ID, number_in_path("comment_id", "The comment's number.")),
    ),
)
