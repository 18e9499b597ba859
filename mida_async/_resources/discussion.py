"""The discussion of an experiment."""

from __future__ import annotations

from .._core.endpoints.discussion import ROWS
from ..models.discussion import CommentAdded, CommentDeleted, CommentList, CommentSource
from .base import Section


class Discussion(Section):
    """What people say about an experiment."""

    async def list_comments(self, test_id: int) -> CommentList:
        """
        Get all comments on an experiment (docs/v2/get-experiment-discussion, 2026-08-22).

        Args:
            test_id: The experiment's number.

        Raises:
            NotFoundError: There is no such experiment in this project.
        """
        return await self._call(ROWS["experiments.list_comments"], CommentList, test_id=test_id)

    async def add_comment(
        self, test_id: int, comment: str, *, source: CommentSource | str | None = None
    ) -> CommentAdded:
        """
        Comment on an experiment (docs/v2/add-experiment-comment, 2026-08-22).

        A comment needs an author, and an API key is nobody: with a plain one this always gives
        :class:`BadRequestError`. It works over connections in the name of a person, such as OAuth.

        Those who are assigned to the experiment get a mail, so this is not sent again when it is unknown what became of
        it: look at :meth:`list_comments` then. The comment's number is found there, too.

        Args:
            test_id: The experiment's number.
            comment: The text, 1 to 5000 characters. Markup is shown as it is.
            source: Whether a person or a program wrote it. The server ignores it for API keys.

        Raises:
            BadRequestError: The API key stands for no person, or the server found the text wrong.
            NotFoundError: There is no such experiment in this project.
        """
        return await self._call(
            ROWS["experiments.add_comment"], CommentAdded, test_id=test_id, comment=comment, source=source
        )

    async def delete_comment(self, test_id: int, comment_id: int) -> CommentDeleted:
        """
        Delete a comment on an experiment (docs/v2/delete-experiment-comment, 2026-08-22).

        Args:
            test_id: The experiment's number.
            comment_id: The comment's number.

        Raises:
            ForbiddenError: The comment is somebody else's, and whoever this connection stands for is neither owner nor
                administrator.
            NotFoundError: There is no such comment on this experiment, or a first attempt whose answer was lost has
                deleted it already.
        """
        return await self._call(
            ROWS["experiments.delete_comment"], CommentDeleted, test_id=test_id, comment_id=comment_id
        )
