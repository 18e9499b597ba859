"""``mida.experiments``: what is tested."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from .._core.endpoints.experiments import ROWS
from .._sentinels import UNSET, UnsetType
from ..models.experiment_inputs import Configuration, Control, InlineGoal, PageRule, Variant
from ..models.experiments import (
    Experiment,
    ExperimentCreated,
    ExperimentDeleted,
    ExperimentDetails,
    ExperimentPage,
    ExperimentStatus,
    ExperimentType,
    ExperimentUpdated,
    PreviewUrls,
    ShareLink,
    StatusSet,
)
from .discussion import Discussion
from .reports import Reports
from .serving import Serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ..models.targeting import Targeting

_Object: TypeAlias = Mapping[str, object]
Variants: TypeAlias = Sequence[Variant | _Object]
Pages: TypeAlias = Sequence[PageRule | _Object | str]


class Experiments(Reports, Serving, Discussion):
    """
    The experiments of a project.

    Variants are written without Control and without names: the server wants ``Variant 1``, ``Variant 2`` and so on, and
    these are filled in. What people call a variant is its nickname. Three kinds of numbers name the same variants: in
    reports Control is ``"0"``, in previews 0, in details **1**; only those of reports may be given to
    :meth:`serve_winner`.

    What is given as an object of this package may be a plain dict with the vendor's keys as well; neither is changed.
    """

    async def list(self, *, limit: int = 50, offset: int = 0) -> ExperimentPage:
        """
        Get one page of experiments (docs/v2/list-experiments, 2026-08-22).

        Args:
            limit: How many at most, 1 to 500.
            offset: How many to leave out before.
        """
        return await self._call(ROWS["experiments.list"], ExperimentPage, limit=limit, offset=offset)

    def iter(self, *, page_size: int = 500) -> AsyncGenerator[Experiment, None]:
        """
        Go through all experiments, one request a page; like :meth:`list`, but without end.

        Each experiment comes once, even if the list changes meanwhile; one that is added or moved meanwhile may be
        missed. Leaving the loop early is safe: nothing stays open between pages.

        Args:
            page_size: How many to ask for at once, 1 to 500.

        Raises:
            InvalidRequestError: The size is wrong; raised by this call, not by the loop.
        """
        return self._walk(ROWS["experiments.list"], ExperimentPage, _experiments, _test_id, page_size)

    async def get(self, test_id: int) -> ExperimentDetails:
        """
        Get one experiment (docs/v2/get-experiment-details, 2026-08-22).

        Its variants are numbered from 1 for Control on, unlike anywhere else, and what is read cannot be written back
        as it stands; see :class:`ExperimentDetails`.

        Args:
            test_id: Its number.

        Raises:
            NotFoundError: There is no such experiment in this project.
        """
        return await self._call(ROWS["experiments.get"], ExperimentDetails, test_id=test_id)

    async def create(  # noqa: PLR0913  the vendor's fields
        self,
        *,
        test_name: str,
        variants: Variants,
        url: str | None = None,
        page_urls: Pages | None = None,
        status: ExperimentStatus | int | str | None = None,
        test_type: ExperimentType | str | None = None,
        primary_goal: InlineGoal | _Object | None = None,
        primary_goal_key: str | None = None,
        secondary_goals: Sequence[InlineGoal | _Object] | None = None,
        secondary_goal_keys: Sequence[str] | None = None,
        configuration: Configuration | _Object | None = None,
        targeting: Targeting | _Object | None = None,
        custom_js: str | None = None,
        custom_css: str | None = None,
        control: Control | _Object | None = None,
        control_attr: _Object | str | None = None,
        idempotency_key: str | None = None,
    ) -> ExperimentCreated:
        """
        Create an experiment (docs/v2/create-experiment, 2026-08-22). Read the answer's ``warnings``.

        It is repeated if its fate is unknown, as the server answers a key that it has seen with what it answered first.

        Args:
            test_name: Its name.
            variants: The treatments in their order, one or more, without Control.
            url: The page that editor and previews open, without ``*``. Only needed where there are no *page_urls*.
            page_urls: The pages that it is about, at most 50; ``*`` only with the rule ``regex``.
            status: A draft (9) otherwise. **1 or ``live`` shows it to visitors at once.**
            test_type: What kind of experiment it is; ``abtest`` otherwise.
            primary_goal: The goal that decides it, see :class:`InlineGoal` on which one is used.
            primary_goal_key: The key of a goal that exists. Give one of the two: which counts is not documented.
            secondary_goals: Further goals.
            secondary_goal_keys: The keys of further goals that exist.
            configuration: How it runs; 25 means 25 %.
            targeting: Whom it is shown to; everybody otherwise.
            custom_js: A script for all who take part, Control included.
            custom_css: A style sheet for all who take part, Control included.
            control: The nickname and the code of Control.
            control_attr: The same as the server stores it: ``name``, ``js``, ``css``.
            idempotency_key: Of your own, so that another process can repeat this within 24 hours.

        Raises:
            PlanLimitError: The plan allows no more live experiments, or no more goals.
        """
        own_key: object = idempotency_key
        key = uuid.uuid4().hex if own_key is None or own_key is UNSET else own_key
        content = {"test_name": test_name, "variants": variants, "url": url, "page_urls": page_urls, "status": status}
        goals = {"primary_goal": primary_goal, "primary_goal_key": primary_goal_key, "secondary_goals": secondary_goals}
        more = {"secondary_goal_keys": secondary_goal_keys, "configuration": configuration, "targeting": targeting}
        code = {"custom_js": custom_js, "custom_css": custom_css, "control": control, "control_attr": control_attr}
        given = {**content, **goals, **more, **code, "test_type": test_type, "idempotency_key": key}
        return await self._call(ROWS["experiments.create"], ExperimentCreated, **given)

    async def update(  # noqa: PLR0913  the vendor's fields
        self,
        test_id: int,
        *,
        test_name: str | UnsetType = UNSET,
        url: str | UnsetType = UNSET,
        variants: Variants | UnsetType = UNSET,
        control: Control | _Object | UnsetType | None = UNSET,
        control_attr: _Object | str | UnsetType | None = UNSET,
        custom_js: str | UnsetType | None = UNSET,
        custom_css: str | UnsetType | None = UNSET,
        configuration: Configuration | _Object | UnsetType = UNSET,
        targeting: Targeting | _Object | UnsetType = UNSET,
        tags: Sequence[str] | UnsetType = UNSET,
    ) -> ExperimentUpdated:
        """
        Change an experiment (docs/v2/update-experiment, 2026-08-22). What is not given stays as it is.

        What is given replaces the whole of what was there: all variants, the whole configuration and targeting. Whether
        the server keeps what a shorter object leaves out is not documented, so give all of it. ``treatments_of`` makes,
        of an experiment that was read, the variants that can be written.

        Args:
            test_id: Its number.
            test_name: Its name.
            url: The page that is tested, without ``*``.
            variants: All treatments in their order, without Control.
            control: The nickname and the code of Control; None goes out as null.
            control_attr: The same as the server stores it; None goes out as null.
            custom_js: A script for all who take part; None goes out as null.
            custom_css: A style sheet for all who take part; None goes out as null.
            configuration: How it runs; 25 means 25 %.
            targeting: Whom it is shown to.
            tags: Words to find it by; an empty list takes all away.

        Raises:
            NotFoundError: There is no such experiment in this project.
            BadRequestError: The server found a value wrong.
        """
        given = {"test_name": test_name, "url": url, "variants": variants, "control": control, "tags": tags}
        code = {"control_attr": control_attr, "custom_js": custom_js, "custom_css": custom_css}
        more = {"configuration": configuration, "targeting": targeting}
        return await self._call(ROWS["experiments.update"], ExperimentUpdated, test_id=test_id, **given, **code, **more)

    async def set_status(self, test_id: int, status: ExperimentStatus | int | str) -> StatusSet:
        """
        Start or stop an experiment, or make it a draft again (docs/v2/update-experiment-status, 2026-08-22).

        Args:
            test_id: Its number.
            status: ``live`` (1) shows it to visitors at once; ``inactive`` (0) stops it and keeps its data; ``draft``
                (9) is possible from inactive only. Other numbers go out as they are.

        Raises:
            NotFoundError: There is no such experiment in this project.
            BadRequestError: The server knows no such status, or the experiment cannot get it now.
            PlanLimitError: The plan allows no more live experiments.
        """
        return await self._call(ROWS["experiments.set_status"], StatusSet, test_id=test_id, status=status)

    async def delete(self, test_id: int) -> ExperimentDeleted:
        """
        Delete an experiment (docs/v2/delete-experiment, 2026-08-22).

        A live one stops being shown at once, and its results can no longer be read. No call of the API brings it back.

        Args:
            test_id: Its number.

        Raises:
            NotFoundError: There is no such experiment in this project, or a first attempt whose answer was lost has
                deleted it already.
        """
        return await self._call(ROWS["experiments.delete"], ExperimentDeleted, test_id=test_id)

    async def preview_urls(self, test_id: int) -> PreviewUrls:
        """
        Get the addresses at which each variant can be seen (docs/v2/get-experiment-preview-urls, 2026-08-22).

        Args:
            test_id: Its number.

        Raises:
            NotFoundError: There is no such experiment in this project.
            ConflictError: It has no ``url`` of which addresses could be made.
            ForbiddenError: The project is inactive.
        """
        return await self._call(ROWS["experiments.preview_urls"], PreviewUrls, test_id=test_id)

    async def share_link(self, test_id: int) -> ShareLink:
        """
        Get the address at which results can be read without an account (docs/v2/get-experiment-share-link, 2026-08-22).

        It works only if the answer's ``is_public`` is true; sharing is enabled in the dashboard.

        Args:
            test_id: Its number.

        Raises:
            NotFoundError: There is no such experiment in this project.
        """
        return await self._call(ROWS["experiments.share_link"], ShareLink, test_id=test_id)


def _experiments(page: ExperimentPage) -> Sequence[Experiment]:
    return page.experiments


def _test_id(experiment: Experiment) -> int:
    return experiment.test_id
