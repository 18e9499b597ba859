"""Samples of the calls of discussion."""

from __future__ import annotations

import datetime as dt

from mida_async.models import Comment, CommentAdded, CommentDeleted, CommentList, CommentSource
from wire.base import Sample

SAMPLES = (
    Sample(
        endpoint="experiments.list_comments",
        call=lambda mida: mida.experiments.list_comments(2002),
        sent="GET P/experiment/2002/discussion",
        answer={
            "success": True,
            "test_id": 2002,
            "test_name": "Homepage Hero Test",
            "count": 2,
            "comments": [
                {
                    "comment_id": 71,
                    "comment": "Mobile looks flat.",
                    "author_name": "Ann",
                    "created_at": "2026-08-19T10:30:00.000Z",
                    "edited": False,
                    "source": "user",
                    "is_you": True,
                },
                {
                    "comment_id": 72,
                    "comment": "Weekly summary: no winner yet.",
                    "author_name": "Ben",
                    "created_at": "2026-08-20T10:30:00.000Z",
                    "edited": True,
                    "source": "routine",
                },
            ],
        },
        result=CommentList(
            success=True,
            test_id=2002,
            test_name="Homepage Hero Test",
            count=2,
            comments=(
                Comment(
                    comment_id=71,
                    comment="Mobile looks flat.",
                    author_name="Ann",
                    created_at=dt.datetime(2026, 8, 19, 10, 30, tzinfo=dt.UTC),
                    edited=False,
                    source=CommentSource.USER,
                    is_you=True,
                ),
                Comment(
                    comment_id=72,
                    comment="Weekly summary: no winner yet.",
                    author_name="Ben",
                    created_at=dt.datetime(2026, 8, 20, 10, 30, tzinfo=dt.UTC),
                    edited=True,
                    source=CommentSource.ROUTINE,
                ),
            ),
        ),
    ),
    Sample(
        endpoint="experiments.add_comment",
        call=lambda mida: mida.experiments.add_comment(2002, "Mobile looks flat.", source=CommentSource.AGENT),
        sent="POST P/experiment/2002/discussion",
        body={"comment": "Mobile looks flat.", "source": "agent"},
        answer={"success": True, "test_id": 2002, "comment": "Mobile looks flat.", "note": "Posted."},
        result=CommentAdded(success=True, test_id=2002, comment="Mobile looks flat.", note="Posted."),
    ),
    Sample(
        endpoint="experiments.delete_comment",
        call=lambda mida: mida.experiments.delete_comment(2002, 71),
        sent="DELETE P/experiment/2002/discussion/71",
        answer={"success": True, "test_id": 2002, "comment_id": 71, "deleted_preview": "Mobile looks flat."},
        result=CommentDeleted(success=True, test_id=2002, comment_id=71, deleted_preview="Mobile looks flat."),
    ),
)
