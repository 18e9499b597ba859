"""``mida.projects`` against the emulator."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest
from resource_calls import API_KEY, PROJECT_KEY, Calls, calling

from mida_async import (
    AuthenticationError,
    ForbiddenError,
    InvalidRequestError,
    MidaClient,
    MidaError,
    NotFoundError,
)
from mida_async.models import Project
from mida_async.testing import ResetAfter, Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def test_a_project_lives_through_all_calls() -> None:
    """Create, get, update, list and delete speak of the same project, while the client's own stays as it is."""

    async def test(call: Calls) -> None:
        projects = call.mida.projects
        own = await projects.get()
        assert (own.project_key, own.company_id, own.status) == (PROJECT_KEY, 1001, 1)
        made = await projects.create(website_name="store.example.com", allowed_website="*.example.com")
        key = made.project_key
        assert (made.name, made.website_name, made.widget_name) == ("store.example.com",) * 3
        assert (made.allowed_website, made.monthly_average_traffic, made.shopify_id) == ("*.example.com", 0, None)
        assert isinstance(made.created_at, dt.datetime)
        assert await projects.get(key) == made
        changed = await projects.update(key, name="Shop", monthly_average_traffic=120_000)
        assert call.emulator.requests[-1].body == b'{"name":"Shop","monthly_average_traffic":120000}'
        assert (changed.name, changed.website_name, changed.monthly_average_traffic) == ("Shop", "Shop", 120_000)
        page = await projects.list()
        assert (page.count, page.company_id, page.projects) == (2, 1001, (own, changed))
        gone = await projects.delete(key)
        assert (gone.success, gone.project_key, gone.status) == (True, key, 2)
        assert (await projects.list()).projects == (own,)
        for again in (projects.get(key), projects.update(key, name="a"), projects.delete(key)):
            with pytest.raises(NotFoundError, match="Project not found"):
                await again

    calling(test)


def test_without_a_key_the_own_project_is_meant() -> None:
    """`get` and `update` without a key, or with None, are about the client's project."""

    async def test(call: Calls) -> None:
        assert (await call.mida.projects.update(widget_name="w")).project_key == PROJECT_KEY
        assert (await call.mida.projects.update(None, website_name="x")).project_key == PROJECT_KEY
        project = await call.mida.projects.get(None)
        assert (project.widget_name, project.website_name) == ("w", "x")
        assert call.sent == ["PATCH ", "PATCH ", "GET "]

    calling(test)


@pytest.mark.parametrize("field", ["website_name", "name", "allowed_website"])
def test_one_field_makes_a_project(field: str) -> None:
    """Each of the three fields is enough, and nothing else goes out."""

    async def test(call: Calls) -> None:
        made = await call.mida.projects.create(**{field: "a.example"})
        assert (made.name, made.allowed_website) == ("a.example", "a.example" if field == "allowed_website" else "*")
        assert call.emulator.requests[-1].json == {field: "a.example"}

    calling(test)


def test_paused_projects_are_listed_on_request() -> None:
    """`include_inactive` goes out as true or false, and adds the paused projects."""

    async def test(call: Calls) -> None:
        projects = call.mida.projects
        keys = [PROJECT_KEY, *[(await projects.create(name=name)).project_key for name in "abc"]]
        call.emulator.state.set_status(keys[2], 0)
        active = [keys[0], keys[1], keys[3]]
        assert [row.project_key for row in (await projects.list()).projects] == active
        everything = await projects.list(limit=2, offset=1, include_inactive=True)
        assert [(row.project_key, row.status) for row in everything.projects] == [(keys[1], 1), (keys[2], 0)]
        assert [row.project_key async for row in projects.iter(page_size=2)] == active
        assert [row.project_key async for row in projects.iter(page_size=2, include_inactive=True)] == keys
        assert call.sent[-5:] == [
            "GET /projects?limit=2&offset=0&include_inactive=false",
            "GET /projects?limit=2&offset=2&include_inactive=false",
            "GET /projects?limit=2&offset=0&include_inactive=true",
            "GET /projects?limit=2&offset=2&include_inactive=true",
            "GET /projects?limit=2&offset=4&include_inactive=true",
        ]

    calling(test)


def test_a_paused_project_refuses() -> None:
    """403 to a call about a paused project is ForbiddenError, not a limit of the plan."""

    async def test(call: Calls) -> None:
        call.emulator.state.set_status(PROJECT_KEY, 0)
        projects = call.mida.projects
        for refused in (projects.get(), projects.list(), projects.create(name="a"), projects.delete(PROJECT_KEY)):
            with pytest.raises(ForbiddenError, match="Project is inactive") as caught:
                await refused
            assert type(caught.value) is ForbiddenError

    calling(test)


def test_a_new_project_needs_a_key_of_its_own() -> None:
    """The events of a new project cannot be reached until it has an API key, as one from the dashboard."""

    async def test(call: Calls) -> None:
        key = (await call.mida.projects.create(name="a")).project_key
        url = call.emulator.base_url
        async with MidaClient(key, API_KEY, base_url=url) as sibling, MidaClient(key, "own", base_url=url) as own:
            assert (await sibling.projects.get()).project_key == key
            for client in (sibling, own):
                with pytest.raises(AuthenticationError):
                    await client.events.list()
            call.emulator.state.set_api_key(key, "own")
            assert (await own.events.list()).count == 0
            assert (await own.projects.get(PROJECT_KEY)).project_key == PROJECT_KEY
            with pytest.raises(AuthenticationError):
                await sibling.events.list()

    calling(test)


def test_a_project_is_not_created_twice() -> None:
    """R9: a connection that breaks after the project was created is an error that says so; nothing is sent again."""

    async def test(call: Calls) -> None:
        call.emulator.script(ResetAfter())
        with pytest.raises(MidaError) as caught:
            await call.mida.projects.create(name="a")
        assert caught.value.maybe_applied
        assert len(call.emulator.requests) == 1
        assert (await call.mida.projects.list()).count == 2

    calling(test)


def test_a_change_is_repeated() -> None:
    """R9: an update is sent again after a failure, because it does the same the second time."""

    async def test(call: Calls) -> None:
        call.emulator.script(ResetAfter(), Status(502))
        assert (await call.mida.projects.update(name="b")).name == "b"
        assert len(call.emulator.requests) == 3

    calling(test)


def test_what_the_page_leaves_out_is_kept_as_it_is() -> None:
    """The literal "..." of the page's example is in `extra`, and what is not there is None."""

    async def test(call: Calls) -> None:
        call.emulator.script(Status(200, body={"success": True, "project": {"project_key": "A", "...": "..."}}))
        assert await call.mida.projects.update(name="a") == Project(project_key="A", extra={"...": "..."})

    calling(test)


_BAD_KEYS: list[object] = [
    "",
    " ",
    ".",
    "..",
    "a/b",
    "a\\b",
    "a?",
    "a#",
    "%2e%2e",
    "a b",
    "a\n",
    "ä",
    "\x00",
    7,
    b"a",
    True,
]
_KEY = "project_key must consist of letters, digits, '_' and '-'"


@pytest.mark.parametrize("key", _BAD_KEYS, ids=ascii)
def test_a_wrong_key_is_refused_before_anything_is_sent(key: object) -> None:
    """R17: a key that would lead to another address never goes out, least of all to DELETE."""

    async def test(call: Calls) -> None:
        projects = call.mida.projects
        calls: list[Awaitable[object]] = [
            projects.get(key),  # type: ignore[arg-type]
            projects.update(key, name="a"),  # type: ignore[arg-type]
            projects.delete(key),  # type: ignore[arg-type]
        ]
        for refused in calls:
            with pytest.raises(InvalidRequestError, match=_KEY):
                await refused
        assert call.sent == []

    calling(test)


def test_delete_has_no_default() -> None:
    """R17: a forgotten key, None or something else in its place never deletes the client's own project."""

    async def test(call: Calls) -> None:
        with pytest.raises(TypeError):
            await call.mida.projects.delete()  # type: ignore[call-arg]
        with pytest.raises(InvalidRequestError, match=_KEY):
            await call.mida.projects.delete(None)  # type: ignore[arg-type]
        assert call.sent == []
        assert (await call.mida.projects.get()).status == 1

    calling(test)


_BAD: list[tuple[str, Callable[[Calls], Awaitable[object]]]] = [
    (
        "a project needs at least one of website_name, name and allowed_website",
        lambda call: call.mida.projects.create(),
    ),
    ("website_name is ''", lambda call: call.mida.projects.create(website_name="", name="a")),
    ("name is 7", lambda call: call.mida.projects.create(name=7)),  # type: ignore[arg-type]
    ("allowed_website is ' '", lambda call: call.mida.projects.create(allowed_website=" ")),
    ("nothing to change: give at least one of website_name, ", lambda call: call.mida.projects.update()),
    ("nothing to change", lambda call: call.mida.projects.update(PROJECT_KEY)),
    ("website_name is None", lambda call: call.mida.projects.update(website_name=None)),  # type: ignore[arg-type]
    ("name is None", lambda call: call.mida.projects.update(name=None)),  # type: ignore[arg-type]
    ("widget_name is None", lambda call: call.mida.projects.update(widget_name=None)),  # type: ignore[arg-type]
    ("allowed_website is None", lambda call: call.mida.projects.update(allowed_website=None)),  # type: ignore[arg-type]
    ("widget_allowed_website is ''", lambda call: call.mida.projects.update(widget_allowed_website="")),
    ("monthly_average_traffic is -1", lambda call: call.mida.projects.update(monthly_average_traffic=-1)),
    ("monthly_average_traffic is True", lambda call: call.mida.projects.update(monthly_average_traffic=True)),
    ("limit is 501", lambda call: call.mida.projects.list(limit=501)),
    ("offset is -1", lambda call: call.mida.projects.list(offset=-1)),
    ("include_inactive is 1;", lambda call: call.mida.projects.list(include_inactive=1)),  # type: ignore[arg-type]
    ("include_inactive is None", lambda call: call.mida.projects.list(include_inactive=None)),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("problem", "bad"), _BAD, ids=range(len(_BAD)))
def test_bad_arguments_are_refused_before_anything_is_sent(
    problem: str, bad: Callable[[Calls], Awaitable[object]]
) -> None:
    """R7, R17: InvalidRequestError names the argument, the value and what is allowed; the server hears nothing."""

    async def test(call: Calls) -> None:
        with pytest.raises(InvalidRequestError, match=problem):
            await bad(call)
        assert call.sent == []

    calling(test)


def test_iter_checks_at_the_call() -> None:
    """A wrong page size or a wrong filter is an error where `iter` is called."""

    async def test(call: Calls) -> None:
        with pytest.raises(InvalidRequestError, match="page_size is 0"):
            call.mida.projects.iter(page_size=0)
        with pytest.raises(InvalidRequestError, match="include_inactive is 'yes'"):
            call.mida.projects.iter(include_inactive="yes")  # type: ignore[arg-type]

    calling(test)
