"""What tests put into an emulator without a request."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from .assigning import assign, assign_to
from .experiments_state import ExperimentRow, ExperimentStore
from .fixture import Defaults, load
from .places import FixtureLike, Place
from .project import ACTIVE, DELETED, PAUSED
from .seeds import Seeder, seed_experiment, seed_goal
from .visitors import FlagStore
from .wire import json_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .project import Project
    from .state import State


class Seeding:
    """
    The part of an emulator that puts things into it.

    Attributes:
        project_key: The key of the first project.
        api_key: Its API key.
        auto_visitors: Whether an event for an unknown visitor registers one.
        company_id: The company of projects that say nothing else.
        list_definitions: Whether lists show events that belong to no visitor.
        wall_clock: Returns seconds since the epoch.
        state: What the emulator holds.
    """

    project_key: str
    api_key: str
    auto_visitors: bool
    company_id: int
    list_definitions: bool
    wall_clock: Callable[[], float]
    state: State

    def load(self, fixture: FixtureLike) -> None:
        """
        Put in what a fixture describes, without a request: projects, visitors, goals, experiments and so on.

        The format is in the documentation, under "Testing your application". A project without a key is the first one;
        one whose key is known is added to.

        Args:
            fixture: The decoded JSON, or the path of a file with it.

        Raises:
            SettingsError: The file cannot be read, or something in it is wrong; the message says where. What stands
                before it is there then.
        """
        defaults = Defaults(
            project_key=self.project_key,
            api_key=self.api_key,
            auto_visitors=self.auto_visitors,
            company_id=self.company_id,
            list_definitions=self.list_definitions,
            today=self.wall_clock(),
        )
        with self.state.lock:
            load(self.state, fixture, defaults)
            self.api_key = self._project(None).api_key or self.api_key

    def add_project(
        self,
        key: str,
        api_key: str,
        *,
        company_id: int | None = None,
        plan_goal_limit: int | None = None,
        plan_live_limit: int | None = None,
    ) -> None:
        """
        Serve one more project.

        Its API key opens the visitors, events, goals and experiments of no other project. But it may list, show, change
        and delete all projects of its company, as the API has it.

        Args:
            key: Its key.
            api_key: Its API key; projects may share one.
            company_id: The company that it belongs to; that of the first project if not given.
            plan_goal_limit: How many goals its plan allows; None for any number.
            plan_live_limit: How many of its experiments may be live at once; None for any number.

        Raises:
            ValueError: There is a project of that key.
        """
        with self.state.lock:
            project = self.state.add_project(
                key,
                api_key,
                auto_visitors=self.auto_visitors,
                company_id=self.company_id if company_id is None else company_id,
                plan_goal_limit=plan_goal_limit,
                list_definitions=self.list_definitions,
                created_at=self.wall_clock(),
            )
            project.store(ExperimentStore).live_limit = plan_live_limit

    def set_api_key(self, project_key: str, api_key: str) -> None:
        """
        Give a project an API key, or another one, as the dashboard does; one that the API created has none before.

        Args:
            project_key: The project.
            api_key: The API key; the one before opens the project no more.

        Raises:
            ValueError: There is no such project.
        """
        with self.state.lock:
            self.state.set_api_key(project_key, api_key)
            if project_key == self.project_key:
                self.api_key = api_key

    def set_project_status(self, project_key: str, status: int) -> None:
        """
        Pause a project or let it go on, which no call of the API does.

        Args:
            project_key: The project.
            status: 1 active, 0 paused, 2 deleted.

        Raises:
            ValueError: There is no such project, or no such status.
        """
        if status not in {ACTIVE, PAUSED, DELETED}:
            message = f"status is {status!r}; it must be 1 (active), 0 (paused) or 2 (deleted)"
            raise ValueError(message)
        with self.state.lock:
            self.state.set_status(project_key, status)

    def add_goal(self, *, project_key: str | None = None, **fields: object) -> int:
        """
        Make a goal without a request.

        Args:
            project_key: The project; the first if not given.
            fields: Those of a goal in a fixture, which are those of ``goals.create`` and ``created_at``.

        Returns:
            The ``goal_profile_id``.

        Raises:
            SettingsError: A field is wrong.
            ValueError: There is no such project.
        """
        with self.state.lock:
            return seed_goal(self._seeder(project_key), Place("goal", fields))

    def add_experiment(self, *, project_key: str | None = None, **fields: object) -> int:
        """
        Make an experiment without a request, one for servers too, which the API cannot make.

        Args:
            project_key: The project; the first if not given.
            fields: Those of an experiment in a fixture: those of ``experiments.create``, ``experiment_key``,
                ``assignments`` and ``created_at``. Only ``test_name`` and ``variants`` are needed.

        Returns:
            The ``test_id``.

        Raises:
            SettingsError: A field is wrong.
            ValueError: There is no such project.
        """
        with self.state.lock:
            return seed_experiment(self._seeder(project_key), Place("experiment", fields))

    def add_visitor(
        self,
        mida_uuid: str | None = None,
        email: str | None = None,
        id: str | None = None,  # noqa: A002 - the API's word
        *,
        project_key: str | None = None,
    ) -> None:
        """
        Register a visitor, or further identifiers of one of whom an identifier is known already.

        Args:
            mida_uuid: The id that the browser has.
            email: An address; upper and lower case are the same.
            id: The application's own id.
            project_key: The project; the first if not given.

        Raises:
            ValueError: No identifier is given, or there is no such project.
        """
        _check_named(mida_uuid, email, id)
        with self.state.lock:
            self._project(project_key).visitors.add(mida_uuid, email, id)

    def visit(
        self,
        test_id: int,
        *,
        mida_uuid: str | None = None,
        email: str | None = None,
        id: str | None = None,  # noqa: A002 - the API's word
        variant: int | None = None,
        project_key: str | None = None,
    ) -> str | None:
        """
        Let a visitor come to the pages of an experiment, as the browser's script would tell it.

        Reports count visitors who came, and as conversions the events that they had afterwards. It is always the same
        variant that a visitor sees, except that a winner is shown to all while it is served.

        Args:
            test_id: The experiment's number.
            mida_uuid: The id that the browser has.
            email: An address; upper and lower case are the same.
            id: The application's own id. A visitor who is not known is registered.
            variant: The number of the variant that the visitor is to see, 0 for Control; drawn by the weights of the
                experiment if not given. It overrides its traffic and its exclusion groups, but not what the visitor saw
                before, nor a winner that is served.
            project_key: The project; the first if not given.

        Returns:
            The exact name of what the visitor sees, such as ``Variant 1``; None where the visitor takes no part.

        Raises:
            ValueError: No identifier is given, or there is no such project, experiment or variant.
        """
        _check_named(mida_uuid, email, id)
        with self.state.lock:
            project, now = self._project(project_key), self.wall_clock()
            row = _experiment(project, test_id, variant)
            visitor = project.visitors.add(mida_uuid, email, id)
            if variant is None:
                seen = assign(project, row, visitor, now)
            else:
                seen = assign_to(project, row, visitor, variant, now)
            return None if seen is None else row.variant_name(seen.variant)

    def add_event(
        self,
        event_text: str,
        event_property: Mapping[str, object] | str | None = None,
        *,
        created_at: dt.datetime | None = None,
        visitor_id: int = 1,
        project_key: str | None = None,
    ) -> int:
        """
        Put an event into the lists without a request; it is not in :attr:`recorded`.

        Args:
            event_text: The name.
            event_property: A mapping, or text that is stored as it is.
            created_at: When; now if not given. Without a time zone it is UTC.
            visitor_id: The visitor's number; lists hide rows of visitor 0.
            project_key: The project; the first if not given.

        Returns:
            The ``event_id``.

        Raises:
            ValueError: There is no such project.
        """
        moment = created_at if created_at is None or created_at.tzinfo else created_at.replace(tzinfo=dt.UTC)
        text = (
            event_property if event_property is None or isinstance(event_property, str) else json_text(event_property)
        )
        with self.state.lock:
            return self.state.add_event(
                self._project(project_key),
                event_text,
                text,
                created_at=self.wall_clock() if moment is None else moment.timestamp(),
                visitor_id=visitor_id,
            )

    def add_feature_flag(self, flag: str, *user_ids: str, project_key: str | None = None) -> None:
        """
        Turn a feature flag on.

        Args:
            flag: Its key.
            user_ids: For whom; for all, and for nobody in particular, if not given.
            project_key: The project; the first if not given.

        Raises:
            ValueError: There is no such project.
        """
        with self.state.lock:
            self._project(project_key).store(FlagStore).enable(flag, *user_ids)

    def _seeder(self, project_key: str | None) -> Seeder:
        return Seeder(self._project(project_key), self.state, self.wall_clock())

    def _project(self, key: str | None) -> Project:
        project = self.state.projects.get(self.project_key if key is None else key)
        if project is None:
            message = f"there is no project {key!r}; add it with add_project()"
            raise ValueError(message)
        return project


def _check_named(*identifiers: str | None) -> None:
    if all(identifier is None for identifier in identifiers):
        message = "a visitor needs at least one of mida_uuid, email and id"
        raise ValueError(message)


def _experiment(project: Project, test_id: int, variant: int | None) -> ExperimentRow:
    row = project.store(ExperimentStore).rows.get(test_id)
    if row is None or row.deleted:
        message = f"there is no experiment {test_id!r} in this project"
        raise ValueError(message)
    if variant is not None and variant not in range(len(row.variants) + 1):
        message = f"variant is {variant!r}; it must be from 0 (Control) to {len(row.variants)}"
        raise ValueError(message)
    return row
