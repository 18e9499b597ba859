"""What the experiments endpoints answer with."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping

import attrs

from .base import Model, Reply
from .goals import GoalType


class ExperimentStatus(enum.IntEnum):
    """
    Where an experiment stands (docs/v2/update-experiment-status, 2026-08-22).

    Some answers have the number and others the name in lower case; both become one of these. A number or a name that
    this package does not know comes back as it is.
    """

    DRAFT = 9
    """Saved, and shown to nobody."""

    LIVE = 1
    """Visitors take part."""

    INACTIVE = 0
    """Stopped; its data is kept and it can be started again."""


class ExperimentType(enum.StrEnum):
    """
    What kind of experiment it is (docs/v2/create-experiment, 2026-08-22).

    A plain string is accepted wherever one of these is.
    """

    ABTEST = "abtest"
    """Variants of one page; what the server takes where nothing is said."""

    SPLIT = "split"
    """Visitors are sent to other addresses: the first change of each variant is a redirect."""

    PERSONALIZATION = "personalization"
    """Each variant has targeting of its own."""

    MVT = "mvt"
    """Combinations: each variant names its layer."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Experiment(Model):
    """
    One row of a list of experiments (docs/v2/list-experiments, 2026-08-22).

    Attributes:
        test_id: The experiment's number. The ``#208`` in names is another one.
        test_name: Its name.
        url: The page that is tested.
        status: Whether it is a draft, live or inactive.
        is_completed: 1 once it was concluded in the dashboard, else 0.
        created_at: When it was created.
        updated_at: When it was changed last.
        serving_variant_id: The winner that all visitors see, as reports number variants; None where none is served.
        is_deploy: 1 for what the dashboard deployed in an older way.
    """

    test_id: int
    test_name: str | None = None
    url: str | None = None
    status: ExperimentStatus | int | str | None = None
    is_completed: int | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    serving_variant_id: str | None = None
    is_deploy: int | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ExperimentPage(Reply):
    """
    One page of a list of experiments (docs/v2/list-experiments, 2026-08-22).

    Attributes:
        company_id: The number of the account.
        count: How many experiments this page holds, not how many there are.
        experiments: The experiments.
    """

    company_id: int | None = None
    count: int | None = None
    experiments: tuple[Experiment, ...] = ()


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ExperimentVariant(Model):
    """
    A variant as an experiment's details show it (docs/v2/get-experiment-details, 2026-08-22).

    Attributes:
        variant_id: A number of the details alone, in which **Control is 1** and the first treatment 2. Reports and
            ``serve_winner`` number the same variants ``"0"`` and ``"1"``: serving by this number would serve the wrong
            variant. Take the ``variant_id`` of a report.
        name: Its exact name, with its nickname behind it where it has one: ``Variant 1 — Red Button``.
        customCSS: Its style sheet.
        customJS: Its script.
        data: Its changes to the page, in order.
    """

    variant_id: int | None = None
    name: str | None = None
    customCSS: str | None = None  # noqa: N815 - the vendor's key
    customJS: str | None = None  # noqa: N815 - the vendor's key
    data: tuple[Mapping[str, object], ...] = attrs.field(default=(), hash=False)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ExperimentGoal(Model):
    """
    The goal that decides an experiment (docs/v2/get-experiment-details, 2026-08-22).

    Attributes:
        goal_profile_id: The goal's number.
        goal_name: Its name.
        goal_type: What counts as reaching it.
        goal_value: The address, selector, name or number that this needs, as text.
    """

    goal_profile_id: int | None = None
    goal_name: str | None = None
    goal_type: GoalType | str | None = None
    goal_value: str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ExperimentDetails(Experiment):
    """
    One experiment (docs/v2/get-experiment-details, 2026-08-22).

    What is read here cannot be written back as it stands: ``variants`` include Control and have numbers and free names,
    and ``targeting`` has other keys than the targeting that is written. ``treatments_of`` makes of it the variants that
    an update takes.

    Attributes:
        goal_profile_id: The number of the goal that decides it.
        variants: Control and the treatments, **numbered from 1 for Control on**; see :class:`ExperimentVariant` before
            using these numbers.
        configuration: How it runs: ``traffic_allocation`` and ``confidence_interval`` (25 means 25 %) and more.
        targeting: Whom it is shown to: ``devices``, ``browsers`` and ``countries``, an empty list meaning all.
        primary_goal: The goal that decides it; None where it has none.
    """

    goal_profile_id: int | None = None
    variants: tuple[ExperimentVariant, ...] = ()
    configuration: Mapping[str, object] = attrs.field(factory=dict[str, object], hash=False)
    targeting: Mapping[str, object] = attrs.field(factory=dict[str, object], hash=False)
    primary_goal: ExperimentGoal | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ExperimentCreated(Reply):
    """
    The answer to a new experiment (docs/v2/create-experiment, 2026-08-22).

    Attributes:
        test_id: The experiment's number.
        status: Whether it is a draft, live or inactive.
        company_id: The number of the account.
        goal_profile_id: The number of the goal that decides it, as far as is known None where it has none.
        secondary_goals_count: How many further goals it has.
        warnings: What the server found odd although it created the experiment, such as that there is no goal. Read
            them: this is a success all the same.
    """

    test_id: int
    status: ExperimentStatus | int | str | None = None
    company_id: int | None = None
    goal_profile_id: int | None = None
    secondary_goals_count: int | None = None
    warnings: tuple[str, ...] = ()


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ExperimentUpdated(Reply):
    """
    The answer to a change (docs/v2/update-experiment, 2026-08-22).

    Attributes:
        test_id: The experiment's number.
    """

    test_id: int | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class StatusSet(Reply):
    """
    The answer to a change of status (docs/v2/update-experiment-status, 2026-08-22).

    Attributes:
        test_id: The experiment's number.
        status: Its status now.
    """

    test_id: int | None = None
    status: ExperimentStatus | int | str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ExperimentDeleted(Reply):
    """
    The answer to a deletion (docs/v2/delete-experiment, 2026-08-22).

    Attributes:
        test_id: The experiment's number.
        test_name: What was deleted.
        deleted: True.
        was_live: Whether visitors took part in it until now.
        message: What the server says about it.
    """

    test_id: int | None = None
    test_name: str | None = None
    deleted: bool | None = None
    was_live: bool | None = None
    message: str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class VariantPreview(Model):
    """
    Where one variant can be seen (docs/v2/get-experiment-preview-urls, 2026-08-22).

    Attributes:
        variant_id: 0 for Control, 1 for the first treatment: a number, where reports have the same as text.
        name: Its exact name.
        preview_url: An address that shows this variant to whoever opens it.
    """

    variant_id: int | None = None
    name: str | None = None
    preview_url: str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class PreviewUrls(Reply):
    """
    Where the variants of an experiment can be seen (docs/v2/get-experiment-preview-urls, 2026-08-22).

    Attributes:
        test_id: The experiment's number.
        test_name: Its name.
        page_url: The page that the addresses are made of.
        variants: Control and the treatments.
    """

    test_id: int | None = None
    test_name: str | None = None
    page_url: str | None = None
    variants: tuple[VariantPreview, ...] = ()


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ShareLink(Reply):
    """
    Where the results of an experiment can be read without an account (docs/v2/get-experiment-share-link, 2026-08-22).

    Attributes:
        test_id: The experiment's number.
        company_id: The number of the account.
        share_link: The address. What it shows are the numbers from before a winner was served.
        is_public: Whether it works; where it does not, sharing must be enabled in the dashboard first.
    """

    test_id: int | None = None
    company_id: int | None = None
    share_link: str | None = None
    is_public: bool | None = None
