"""The discussion of an experiment: the client against the emulator, and what the emulator decides by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from emulator_caller import Caller
from experiment_rows import put_experiment
from hypothesis import given
from hypothesis import strategies as st
from resource_calls import Calls, calling

from mida_async import BadRequestError, ForbiddenError, InvalidRequestError, MidaError, NotFoundError
from mida_async.models import CommentAdded, CommentDeleted, CommentSource
from mida_async.testing import Emulator, ResetAfter
from mida_async.testing._emulator.discussion import DiscussionStore

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def discussion_of(emulator: Emulator) -> DiscussionStore:
    """Return what the emulator's first project holds of discussions."""
    return emulator.state.projects[emulator.project_key].store(DiscussionStore)


def test_a_comment_lives_through_all_calls() -> None:
    """Where the key stands for a person, add, list and delete speak of the same comment."""

    async def test(call: Calls) -> None:
        section, row = call.mida.experiments, put_experiment(call.emulator)
        discussion_of(call.emulator).author = "Ann"
        added = await section.add_comment(row.test_id, "Mobile looks flat.")
        assert added == CommentAdded(success=True, test_id=row.test_id, comment="Mobile looks flat.", note=added.note)
        assert added.note
        page = await section.list_comments(row.test_id)
        assert (page.test_id, page.test_name, page.count) == (row.test_id, "Button color", 1)
        (comment,) = page.comments
        assert (comment.comment, comment.author_name, comment.edited) == ("Mobile looks flat.", "Ann", False)
        assert (comment.source, comment.is_you) == (CommentSource.USER, True)
        assert comment.created_at is not None
        deleted = await section.delete_comment(row.test_id, comment.comment_id)
        assert deleted == CommentDeleted(
            success=True, test_id=row.test_id, comment_id=comment.comment_id, deleted_preview="Mobile looks flat."
        )
        assert (await section.list_comments(row.test_id)).comments == ()
        with pytest.raises(NotFoundError, match="Comment not found"):
            await section.delete_comment(row.test_id, comment.comment_id)

    calling(test)


def test_a_plain_key_has_no_author() -> None:
    """A good comment is a 400 of the server, with the reason; nothing is posted."""

    async def test(call: Calls) -> None:
        row = put_experiment(call.emulator)
        with pytest.raises(BadRequestError, match="signed-in author"):
            await call.mida.experiments.add_comment(row.test_id, "Hello", source="agent")
        assert (await call.mida.experiments.list_comments(row.test_id)).count == 0

    calling(test)


def test_only_authors_and_administrators_delete() -> None:
    """403 is ForbiddenError: for somebody else's comment, and for a plain key, which wrote none."""

    async def test(call: Calls) -> None:
        section, store = call.mida.experiments, discussion_of(call.emulator)
        number = put_experiment(call.emulator).test_id
        store.author = "Ann"
        await section.add_comment(number, "x" * 100, source=CommentSource.AGENT)
        for other in ("Ben", None):
            store.author = other
            (comment,) = (await section.list_comments(number)).comments
            assert (comment.author_name, comment.source, comment.is_you) == ("Ann", CommentSource.AGENT, None)
            with pytest.raises(ForbiddenError, match="Only the author"):
                await section.delete_comment(number, comment.comment_id)
        store.is_admin = True
        assert (await section.delete_comment(number, comment.comment_id)).deleted_preview == "x" * 80

    calling(test)


def test_a_comment_belongs_to_one_experiment() -> None:
    """It is listed and found there alone; an experiment that is not there has no discussion."""

    async def test(call: Calls) -> None:
        section = call.mida.experiments
        first, second = put_experiment(call.emulator), put_experiment(call.emulator)
        discussion_of(call.emulator).author = "Ann"
        await section.add_comment(first.test_id, "Hello")
        (comment,) = (await section.list_comments(first.test_id)).comments
        assert (await section.list_comments(second.test_id)).comments == ()
        with pytest.raises(NotFoundError, match="Comment not found"):
            await section.delete_comment(second.test_id, comment.comment_id)
        first.deleted = True
        for absent in (
            section.list_comments(first.test_id),
            section.add_comment(first.test_id, "Hello"),
            section.delete_comment(first.test_id, comment.comment_id),
        ):
            with pytest.raises(NotFoundError, match="Experiment not found"):
                await absent

    calling(test)


def test_a_comment_is_not_added_twice() -> None:
    """R9: a comment whose fate is unknown is an error that says so, because a second one would mail again."""

    async def test(call: Calls) -> None:
        number = put_experiment(call.emulator).test_id
        discussion_of(call.emulator).author = "Ann"
        call.emulator.script(ResetAfter())
        with pytest.raises(MidaError) as caught:
            await call.mida.experiments.add_comment(number, "Hello")
        assert caught.value.maybe_applied
        assert (await call.mida.experiments.list_comments(number)).count == 1

    calling(test)


def test_a_comment_may_have_five_thousand_characters() -> None:
    """Exactly as many go out, and one more does not."""

    async def test(call: Calls) -> None:
        number = put_experiment(call.emulator).test_id
        discussion_of(call.emulator).author = "Ann"
        assert (await call.mida.experiments.add_comment(number, "ä" * 5000)).comment == "ä" * 5000
        with pytest.raises(InvalidRequestError, match="comment has 5001 characters; it may have 5000 at most"):
            await call.mida.experiments.add_comment(number, "ä" * 5001)
        assert len(call.sent) == 1

    calling(test)


def test_an_unknown_source_is_left_to_the_server() -> None:
    """A source that this package does not know goes out as it is."""

    async def test(call: Calls) -> None:
        number = put_experiment(call.emulator).test_id
        discussion_of(call.emulator).author = "Ann"
        with pytest.raises(BadRequestError, match="source must be one of user, agent, routine"):
            await call.mida.experiments.add_comment(number, "Hello", source="robot")
        assert call.emulator.requests[-1].json["source"] == "robot"

    calling(test)


_BAD: list[tuple[str, Callable[[Calls], Awaitable[object]]]] = [
    ("test_id is 0", lambda call: call.mida.experiments.list_comments(0)),
    ("test_id is None", lambda call: call.mida.experiments.add_comment(None, "a")),  # type: ignore[arg-type]
    ("comment is ''", lambda call: call.mida.experiments.add_comment(1, "")),
    (r"comment is ' \\n'", lambda call: call.mida.experiments.add_comment(1, " \n")),
    ("comment is 7", lambda call: call.mida.experiments.add_comment(1, 7)),  # type: ignore[arg-type]
    ("comment is None", lambda call: call.mida.experiments.add_comment(1, None)),  # type: ignore[arg-type]
    ("source is ''", lambda call: call.mida.experiments.add_comment(1, "a", source="")),
    ("test_id is '1'", lambda call: call.mida.experiments.delete_comment("1", 1)),  # type: ignore[arg-type]
    ("comment_id is -1", lambda call: call.mida.experiments.delete_comment(1, -1)),
    ("comment_id is '..'", lambda call: call.mida.experiments.delete_comment(1, "..")),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("problem", "bad"), _BAD, ids=range(len(_BAD)))
def test_bad_arguments_are_refused_before_anything_is_sent(
    problem: str, bad: Callable[[Calls], Awaitable[object]]
) -> None:
    """R17: InvalidRequestError names the argument, and the server hears nothing."""

    async def test(call: Calls) -> None:
        with pytest.raises(InvalidRequestError, match=problem):
            await bad(call)
        assert call.sent == []

    calling(test)


@pytest.fixture(name="call")
def _call() -> Caller:
    return Caller()


def test_the_replies_have_the_documented_keys(call: Caller) -> None:
    """`is_you` is there for one's own comments alone; the oldest comes first."""
    number = put_experiment(call.emulator).test_id
    path = f"experiment/{number}/discussion"
    store = discussion_of(call.emulator)
    store.author = "Ann"
    added = call.done(f"POST {path}", comment="First", source=None)
    assert added.pop("note")
    assert added == {"test_id": number, "comment": "First"}
    store.author = "Ben"
    call.done(f"POST {path}", comment="Second", source="routine")
    answer = call.done(f"GET {path}")
    first, second = answer.pop("comments")
    assert answer == {"test_id": number, "test_name": "Button color", "count": 2}
    assert first == {
        "comment_id": first["comment_id"],
        "comment": "First",
        "author_name": "Ann",
        "created_at": "2024-01-15T10:30:00.000Z",
        "edited": False,
        "source": "user",
    }
    assert (second["comment"], second["source"], second["is_you"]) == ("Second", "routine", True)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "comment is required"),
        ({"comment": " "}, "comment must be a non-empty string"),
        ({"comment": ["a"]}, "comment must be a non-empty string"),
        ({"comment": "x" * 5001}, "comment must have at most 5000 characters"),
        ({"comment": "a", "source": 1}, "source must be one of"),
        ({"comment": "a", "source": []}, "source must be one of"),
    ],
)
def test_a_wrong_comment_is_a_400(call: Caller, fields: dict[str, Any], text: str) -> None:
    """The field is named, and nothing is posted."""
    number = put_experiment(call.emulator).test_id
    discussion_of(call.emulator).author = "Ann"
    status, error = call.refused(f"POST experiment/{number}/discussion", **fields)
    assert (status, error[: len(text)]) == (400, text)
    assert call.done(f"GET experiment/{number}/discussion")["comments"] == []


@given(st.dictionaries(st.sampled_from(["comment", "source", "x"]), st.none() | st.text() | st.lists(st.integers())))
def test_whatever_is_sent_is_answered(body: dict[str, Any]) -> None:
    """Any JSON is a comment or a 400."""
    caller = Caller()
    discussion_of(caller.emulator).author = "Ann"
    path = f"experiment/{put_experiment(caller.emulator).test_id}/discussion"
    status, _ = caller(f"POST {path}", **body)
    assert status in {200, 400}
    assert caller.done(f"GET {path}")["count"] == (status == 200)
