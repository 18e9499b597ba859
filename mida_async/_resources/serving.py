"""Serving the winner of an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._core.endpoints.serving import ROWS
from ..models.serving import ServingStarted, ServingStopped, ServingUpdated
from .base import Section

if TYPE_CHECKING:
    from ..models.reports import ReportVariant


class Serving(Section):
    """Showing a winner to all visitors."""

    async def serve_winner(
        self, test_id: int, variant_id: str | ReportVariant, *, traffic_allocation: float | None = None
    ) -> ServingStarted:
        """
        Serve one variant to all visitors who take part (docs/v2/serve-experiment-winner, 2026-08-22).

        This changes what visitors see, at once. It is sent again when its answer was lost, because the server refuses
        to serve what is served already; :class:`ConflictError` may therefore mean that the first attempt did it.
        ``serving_variant_id`` of the experiment tells.

        Args:
            test_id: The experiment's number.
            variant_id: The ``variant_id`` of a report, which is a string: ``"0"`` is Control, ``"1"`` the first
                treatment. Or a variant of a report itself, such as one of ``ExperimentResult.variants``. The numbers in
                the details of an experiment are refused: Control is 1 there, so one of those would serve another
                variant.
            traffic_allocation: The percentage of visitors who take part, 0 to 100; 0.25 is a quarter of a percent. It
                replaces the experiment's own for good. As it is if left out.

        Raises:
            NotFoundError: There is no such experiment in this project.
            BadRequestError: The experiment has no such variant.
            ConflictError: The experiment is a draft, or serves a variant already.
        """
        return await self._call(
            ROWS["experiments.serve_winner"],
            ServingStarted,
            test_id=test_id,
            variant_id=variant_id,
            traffic_allocation=traffic_allocation,
        )

    async def set_rollout(self, test_id: int, traffic_allocation: float) -> ServingUpdated:
        """
        Serve the winner to more or fewer visitors (docs/v2/update-serving-rollout, 2026-08-22).

        This changes what visitors see, at once. The same percentage again does no harm.

        Args:
            test_id: The experiment's number.
            traffic_allocation: The percentage of visitors who take part, 0 to 100; 0.25 is a quarter of a percent. It
                replaces the experiment's own for good.

        Raises:
            NotFoundError: There is no such experiment in this project.
            BadRequestError: The server found the percentage wrong.
            ConflictError: The experiment serves no variant.
        """
        return await self._call(
            ROWS["experiments.set_rollout"], ServingUpdated, test_id=test_id, traffic_allocation=traffic_allocation
        )

    async def stop_serving(self, test_id: int) -> ServingStopped:
        """
        Stop to serve the winner (docs/v2/stop-experiment-serving, 2026-08-22).

        This changes what visitors see, at once. The percentage of visitors who take part stays what it was while the
        winner was served. It is sent again when its answer was lost; :class:`ConflictError` may therefore mean that the
        first attempt did it, and then nothing is served, which is what was wanted.

        Args:
            test_id: The experiment's number.

        Raises:
            NotFoundError: There is no such experiment in this project.
            ConflictError: The experiment serves no variant, or a first attempt whose answer was lost has stopped it
                already.
        """
        return await self._call(ROWS["experiments.stop_serving"], ServingStopped, test_id=test_id)
