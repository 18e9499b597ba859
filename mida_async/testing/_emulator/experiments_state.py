"""What a project holds of experiments: their rows, who sees what, and the numbers of their variants."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs

from .project import Rows
from .wire import missing

if TYPE_CHECKING:
    from collections.abc import Mapping

DRAFT: Final = 9
LIVE: Final = 1
INACTIVE: Final = 0
LABELS: Final[Mapping[int, str]] = MappingProxyType({DRAFT: "draft", LIVE: "live", INACTIVE: "inactive"})

# Enough for any test; the oldest tenth goes when there are more.
KEEP: Final = 100_000

JSON: TypeAlias = dict[str, Any]


@attrs.define(kw_only=True)
class Assignment:
    """
    Which variant a visitor sees.

    Attributes:
        variant: The number of the variant, 0 for Control.
        since: When the visitor saw it first, in seconds since the epoch.
    """

    variant: int
    since: float


@attrs.define(kw_only=True)
class ExperimentRow:
    """
    One experiment.

    Attributes:
        variants: The treatments as they were written, without Control: the one at index 0 has the number 1.
        primary_goal: The number of the goal, if it has one.
        secondary_goals: The numbers of the further goals.
        configuration: As written, over the documented defaults.
        targeting: As written.
        control: As written: nickname and code of Control.
        serving_variant: The number of the variant that is served to all, if one is.
        served_since: Since when it is, in seconds since the epoch.
        experiment_key: The name by which the server-side SDKs ask for it; None for the browser's experiments.
        deleted: Whether it was deleted.
        is_public: Whether its share link works, which no call of the API changes.
        assignments: What each visitor saw first, by the visitor's number.
        served: Who has seen the winner that is served, since when.
        lives: From when to when it was live; made up from ``created_at`` if it is live and they are not given.
    """

    test_id: int
    test_name: str
    url: str | None = None
    page_urls: list[Any] = attrs.field(factory=list[Any])
    status: int = DRAFT
    test_type: str = "abtest"
    variants: list[JSON] = attrs.field(factory=list[JSON])
    primary_goal: int | None = None
    secondary_goals: list[int] = attrs.field(factory=list[int])
    configuration: JSON = attrs.field(factory=dict[str, Any])
    targeting: JSON = attrs.field(factory=dict[str, Any])
    control: JSON = attrs.field(factory=dict[str, Any])
    control_attr: JSON | str | None = None
    custom_js: str | None = None
    custom_css: str | None = None
    tags: list[str] = attrs.field(factory=list[str])
    is_completed: int = 0
    created_at: float
    updated_at: float
    serving_variant: int | None = None
    served_since: float | None = None
    experiment_key: str | None = None
    deleted: bool = False
    is_public: bool = False
    assignments: dict[int, Assignment] = attrs.field(factory=dict[int, Assignment])
    served: dict[int, Assignment] = attrs.field(factory=dict[int, Assignment])
    lives: list[tuple[float, float]] = attrs.field(factory=list[tuple[float, float]])

    def __attrs_post_init__(self) -> None:
        if self.status == LIVE and not self.lives:
            self.lives = [(self.created_at, math.inf)]

    def was_live(self, moment: float) -> bool:
        """Say whether visitors took part in it at some time."""
        return any(since <= moment < until for since, until in self.lives)

    def become(self, status: int, now: float) -> None:
        """
        Change the status.

        Args:
            status: DRAFT, LIVE or INACTIVE.
            now: Seconds since the epoch.
        """
        if status == LIVE and self.status != LIVE:
            self.lives.append((now, math.inf))
        elif status != LIVE and self.status == LIVE:
            self.lives = [(since, min(until, now)) for since, until in self.lives]
        self.status = status

    @property
    def is_live(self) -> bool:
        """Whether visitors take part in it."""
        return self.status == LIVE and not self.deleted

    @property
    def takes_in(self) -> bool:
        """Whether visitors are divided among its variants: it is live, not concluded, and serves no winner."""
        return self.is_live and not self.is_completed and self.serving_variant is None

    @property
    def traffic_allocation(self) -> float:
        """The percentage of visitors who take part."""
        share: float = self.configuration.get("traffic_allocation", 100)
        return share

    def serve(self, variant: int, now: float) -> None:
        """
        Make a variant the winner.

        Args:
            variant: The number of the variant.
            now: Seconds since the epoch.
        """
        self.serving_variant, self.served_since, self.served = variant, now, {}

    def stop_serving(self) -> None:
        """Have no winner any more; the next one is seen by nobody yet."""
        self.serving_variant, self.served_since, self.served = None, None, {}

    def variant_name(self, number: int) -> str:
        """Return the exact name of a variant: ``Control``, ``Variant 1``, ..."""
        return "Control" if number == 0 else f"Variant {number}"

    def nickname(self, number: int) -> str:
        """Return what people call a variant; its exact name where it has no nickname."""
        source = self.control if number == 0 else self.variants[number - 1]
        return str(source.get("nickname") or self.variant_name(number))


@attrs.define(eq=False)
class ExperimentStore:
    """The experiments of a project; get it by ``project.store(ExperimentStore)``."""

    rows: Rows[ExperimentRow] = attrs.field(factory=lambda: Rows[ExperimentRow](KEEP))
    live_limit: int | None = None
    """How many experiments may be live at once, by the plan; None for any number."""

    def named(self, number: str) -> ExperimentRow:
        """
        Return the experiment whose number stands in a path.

        Raises:
            Refusal: There is none, or it was deleted.
        """
        what = "Experiment"
        row = self.rows.named(number, what)
        if row.deleted:
            raise missing(what)
        return row

    def present(self) -> list[ExperimentRow]:
        """Return the experiments that are not deleted, the oldest first."""
        return [row for row in self.rows.values() if not row.deleted]

    def by_key(self, experiment_key: str) -> ExperimentRow | None:
        """
        Return the experiment that the SDKs ask for.

        No page says how they find one that was created by the API, which has no key: here by its number or its name.
        """
        rows = [row for row in self.rows.values() if not row.deleted]
        own = (row for row in rows if row.experiment_key == experiment_key)
        others = (row for row in rows if experiment_key in (str(row.test_id), row.test_name))
        return next(own, None) or next(others, None)
