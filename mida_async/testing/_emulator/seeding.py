"""What tests put into an emulator without a request."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from .experiments_state import Assignment, ExperimentStore
from .fixture import Defaults, load
from .places import FixtureLike, Place
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
        self, key: str, api_key: str, *, plan_goal_limit: int | None = None, plan_live_limit: int | None = None
    ) -> None:
        """
        Serve one more project; nothing of one is seen from another.

        Args:
            key: Its key.
            api_key: Its API key; projects may share one.
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
                company_id=self.company_id,
                plan_goal_limit=plan_goal_limit,
                list_definitions=self.list_definitions,
                created_at=self.wall_clock(),
            )
            project.store(ExperimentStore).live_limit = plan_live_limit

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
        if mida_uuid is None and email is None and id is None:
            message = "a visitor needs at least one of mida_uuid, email and id"
            raise ValueError(message)
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

        Reports count visitors who came, and as conversions the events that they had afterwards.

        Args:
            test_id: The experiment's number.
            mida_uuid: The id that the browser has.
            email: An address; upper and lower case are the same.
            id: The application's own id. A visitor who is not known is registered.
            variant: The number of the variant that the visitor is to see, 0 for Control; drawn if not given.
            project_key: The project; the first if not given.

        Returns:
            The exact name of what the visitor sees, such as ``Variant 1``; None where the visitor takes no part.

        Raises:
            ValueError: No identifier is given, or there is no such project, experiment or variant.
        """
        self.add_visitor(mida_uuid, email, id, project_key=project_key)
        with self.state.lock:
            project = self._project(project_key)
            row = next((row for row in project.store(ExperimentStore).present() if row.test_id == test_id), None)
            if row is None or (variant is not None and not 0 <= variant <= len(row.variants)):
                what = "no such experiment" if row is None else "no such variant"
                message = f"there is {what}: test_id={test_id!r}, variant={variant!r}"
                raise ValueError(message)
            visitor = project.visitors.add(mida_uuid, email, id)
            if variant is not None and row.is_live:
                row.assignments.setdefault(visitor, Assignment(variant=variant, since=self.wall_clock()))
            seen = row.assign(visitor, self.wall_clock())
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
