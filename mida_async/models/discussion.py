"""What the discussion endpoints take and answer with."""

from __future__ import annotations

import datetime as dt
import enum

import attrs

from .base import Model, Reply


class CommentSource(enum.StrEnum):
    """
    Who wrote a comment (docs/v2/get-experiment-discussion, 2026-08-22).

    A plain string is accepted wherever one of these is.
    """

    USER = "user"
    """A person."""

    AGENT = "agent"
    """A program, in the name of a person."""

    ROUTINE = "routine"
    """A program that runs by a schedule, in the name of a person."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Comment(Model):
    """
    One comment (docs/v2/get-experiment-discussion, 2026-08-22).

    Attributes:
        comment_id: Its number.
        comment: Its text.
        author_name: Who wrote it.
        created_at: When.
        edited: Whether it was changed since.
        source: Whether a person or a program wrote it.
        is_you: True for one's own. Only connections in the name of a person have comments of their own; API keys do
            not.
    """

    comment_id: int
    comment: str | None = None
    author_name: str | None = None
    created_at: dt.datetime | None = None
    edited: bool | None = None
    source: CommentSource | str | None = None
    is_you: bool | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CommentList(Reply):
    """
    All comments on an experiment (docs/v2/get-experiment-discussion, 2026-08-22).

    Attributes:
        test_id: The experiment's number.
        test_name: Its name.
        count: How many comments there are.
        comments: The comments.
    """

    test_id: int | None = None
    test_name: str | None = None
    count: int | None = None
    comments: tuple[Comment, ...] = ()


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CommentAdded(Reply):
    """
    The answer to a new comment (docs/v2/add-experiment-comment, 2026-08-22). It does not say the comment's number.

    Attributes:
        test_id: The experiment's number.
        comment: The text.
        note: What the server says about it, such as who is told.
    """

    test_id: int | None = None
    comment: str | None = None
    note: str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CommentDeleted(Reply):
    """
    The answer to a deletion (docs/v2/delete-experiment-comment, 2026-08-22).

    Attributes:
        test_id: The experiment's number.
        comment_id: The comment's number.
        deleted_preview: How its text began.
    """

    test_id: int | None = None
    comment_id: int | None = None
    deleted_preview: str | None = None
