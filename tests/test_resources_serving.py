"""Serving a winner: the client against the emulator, and what the emulator decides where the pages are silent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from emulator_caller import TODAY, Caller
from experiment_rows import put_experiment
from hypothesis import given
from hypothesis import strategies as st
from resource_calls import Calls, calling

from mida_async import BadRequestError, ConflictError, InvalidRequestError, NotFoundError
from mida_async.models import ExperimentVariant, ServingStarted, ServingStopped, ServingUpdated, VariantPreview
from mida_async.models.reports import ReportVariant, VariantDistribution, VariantResult
from mida_async.testing import ResetAfter
from mida_async.testing._emulator.experiments_state import DRAFT, INACTIVE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def test_a_winner_is_served_rolled_out_and_stopped() -> None:
    """The three calls speak of the same experiment, and overwrite its own percentage of visitors."""

    async def test(call: Calls) -> None:
        row = put_experiment(call.emulator, configuration={"traffic_allocation": 50, "bayesian": 1})
        served = await call.mida.experiments.serve_winner(row.test_id, "1")
        assert served == ServingStarted(
            success=True,
            test_id=row.test_id,
            serving_variant_id="1",
            traffic_allocation=50,
            is_serving=True,
            message="Variant 1 is now served to 50% of visitors",
        )
        assert (row.serving_variant, row.served_since is not None) == (1, True)
        updated = await call.mida.experiments.set_rollout(row.test_id, 0.25)
        assert updated == ServingUpdated(
            success=True,
            test_id=row.test_id,
            traffic_allocation=0.25,
            is_serving=True,
            message="Variant 1 is now served to 0.25% of visitors",
        )
        stopped = await call.mida.experiments.stop_serving(row.test_id)
        assert stopped == ServingStopped(
            success=True, test_id=row.test_id, is_serving=False, message="Variant 1 is no longer served"
        )
        assert (row.serving_variant, row.served_since) == (None, None)
        assert row.configuration == {"traffic_allocation": 0.25, "bayesian": 1}

    calling(test)


@pytest.mark.parametrize("cls", [ReportVariant, VariantResult, VariantDistribution])
def test_a_variant_of_a_report_can_be_served(cls: type[ReportVariant]) -> None:
    """A variant that a report showed is as good as its id."""

    async def test(call: Calls) -> None:
        row = put_experiment(call.emulator)
        served = await call.mida.experiments.serve_winner(row.test_id, cls(variant_id="2"), traffic_allocation=0)
        assert (served.serving_variant_id, served.traffic_allocation) == ("2", 0)
        assert row.serving_variant == 2

    calling(test)


@pytest.mark.parametrize(
    "wrong",
    [
        *(0, 1, True, 1.0, None, b"1"),
        *("", " ", "1 ", "-1", "+1", "01", "1.0", "Control", "Variant 1", "\u0661", "1\n"),
        ExperimentVariant(variant_id=2, name="Variant 1"),
        VariantPreview(variant_id=1, name="Variant 1"),
        VariantResult(variant_id="Control"),
    ],
    ids=repr,
)
def test_only_the_ids_of_reports_are_served(wrong: Any) -> None:
    """The numbers of an experiment's details name other variants, so they are refused before anything is sent."""

    async def test(call: Calls) -> None:
        with pytest.raises(InvalidRequestError, match=r"variant_id is .* details begin with 1 for Control") as caught:
            await call.mida.experiments.serve_winner(1, wrong)
        assert "'0' is Control" in str(caught.value)
        assert call.sent == []

    calling(test)


@pytest.mark.parametrize("wrong", [-0.1, 100.01, "25", True, float("nan"), 10**400], ids=lambda value: str(value)[:9])
def test_a_percentage_is_a_number_from_0_to_100(wrong: Any) -> None:
    """Anything else is refused before anything is sent."""

    async def test(call: Calls) -> None:
        for bad in (
            call.mida.experiments.serve_winner(1, "1", traffic_allocation=wrong),
            call.mida.experiments.set_rollout(1, wrong),
        ):
            with pytest.raises(InvalidRequestError, match=r"traffic_allocation is .* a number from 0 to 100"):
                await bad
        assert call.sent == []

    calling(test)


_BAD: list[tuple[str, Callable[[Calls], Awaitable[object]]]] = [
    ("test_id is 0", lambda call: call.mida.experiments.serve_winner(0, "1")),
    ("test_id is '1'", lambda call: call.mida.experiments.set_rollout("1", 5)),  # type: ignore[arg-type]
    ("test_id is True", lambda call: call.mida.experiments.stop_serving(test_id=True)),
    ("traffic_allocation is None", lambda call: call.mida.experiments.set_rollout(1, None)),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("problem", "bad"), _BAD, ids=range(len(_BAD)))
def test_bad_arguments_are_refused(problem: str, bad: Callable[[Calls], Awaitable[object]]) -> None:
    """R17: InvalidRequestError names the argument, and the server hears nothing."""

    async def test(call: Calls) -> None:
        with pytest.raises(InvalidRequestError, match=problem):
            await bad(call)
        assert call.sent == []

    calling(test)


def test_states_that_do_not_fit_are_conflicts() -> None:
    """409 is ConflictError: a draft, an experiment that serves already, and one that serves nothing."""

    async def test(call: Calls) -> None:
        section = call.mida.experiments
        draft, live = (put_experiment(call.emulator, status=status).test_id for status in (DRAFT, 1))
        with pytest.raises(ConflictError, match="A draft cannot serve"):
            await section.serve_winner(draft, "1")
        with pytest.raises(ConflictError, match="not serving"):
            await section.set_rollout(live, 25)
        with pytest.raises(ConflictError, match="not serving"):
            await section.stop_serving(live)
        await section.serve_winner(live, "1")
        with pytest.raises(ConflictError, match="already serving variant 1"):
            await section.serve_winner(live, "2")
        await section.stop_serving(live)
        assert (await section.serve_winner(live, "2")).serving_variant_id == "2"

    calling(test)


def test_what_is_not_there_is_not_found() -> None:
    """404 is NotFoundError, a variant that does not exist BadRequestError."""

    async def test(call: Calls) -> None:
        section = call.mida.experiments
        gone = put_experiment(call.emulator, deleted=True).test_id
        for absent in (section.serve_winner(gone, "1"), section.set_rollout(77, 5), section.stop_serving(77)):
            with pytest.raises(NotFoundError, match="Experiment not found"):
                await absent
        with pytest.raises(BadRequestError, match="one of 0, 1, 2"):
            await section.serve_winner(put_experiment(call.emulator).test_id, "3")

    calling(test)


def test_a_lost_answer_is_asked_for_again() -> None:
    """R9: each call is sent again; where the first try did it, ConflictError says that the state is there already."""

    async def test(call: Calls) -> None:
        section, row = call.mida.experiments, put_experiment(call.emulator)
        call.emulator.script(ResetAfter())
        with pytest.raises(ConflictError, match="already serving variant 1"):
            await section.serve_winner(row.test_id, "1")
        assert row.serving_variant == 1
        call.emulator.script(ResetAfter())
        assert (await section.set_rollout(row.test_id, 25)).traffic_allocation == 25
        call.emulator.script(ResetAfter())
        with pytest.raises(ConflictError, match="not serving"):
            await section.stop_serving(row.test_id)
        assert row.serving_variant is None
        assert len(call.sent) == 6

    calling(test)


@pytest.fixture(name="call")
def _call() -> Caller:
    return Caller()


def test_the_replies_have_the_documented_keys(call: Caller) -> None:
    """Ids are texts, flags booleans, and what is not served is null; the row knows since when it serves."""
    row = put_experiment(call.emulator, status=INACTIVE)
    call.today += 60
    served = call.done(f"POST experiment/{row.test_id}/serve-winner", variant_id="0", traffic_allocation=25)
    assert served.pop("message")
    assert served == {
        "test_id": row.test_id,
        "serving_variant_id": "0",
        "traffic_allocation": 25,
        "is_serving": True,
    }
    assert (row.served_since, row.updated_at) == (TODAY + 60, TODAY + 60)
    call.today += 60
    rollout = call.done(f"PATCH experiment/{row.test_id}/serving-rollout", traffic_allocation=100)
    assert rollout.pop("message")
    assert rollout == {"test_id": row.test_id, "traffic_allocation": 100, "is_serving": True}
    assert (row.served_since, row.updated_at) == (TODAY + 60, TODAY + 120)
    call.today += 60
    stopped = call.done(f"POST experiment/{row.test_id}/stop-serving")
    assert stopped.pop("message")
    assert stopped == {"test_id": row.test_id, "serving_variant_id": None, "is_serving": False}
    assert row.updated_at == TODAY + 180


def test_the_other_name_of_the_variant_is_understood(call: Caller) -> None:
    """`serving_variant_id` does where `variant_id` is not given; without a percentage all take part."""
    row = put_experiment(call.emulator)
    path = f"experiment/{row.test_id}"
    body = {"variant_id": None, "serving_variant_id": "2", "traffic_allocation": None}
    served = call.done(f"POST {path}/serve-winner", **body)
    assert (served["serving_variant_id"], served["traffic_allocation"]) == ("2", 100)
    call.done(f"POST {path}/stop-serving")
    both = call.done(f"POST {path}/serve-winner", variant_id="1", serving_variant_id="2")
    assert both["serving_variant_id"] == "1"


def test_stopping_takes_no_body_or_an_object(call: Caller) -> None:
    """Whatever is in the object is ignored; a body that is no object is a 400 and stops nothing."""
    row = put_experiment(call.emulator, serving_variant=1, served_since=TODAY)
    path = f"/v2/project/{call.project}/experiment/{row.test_id}/stop-serving"
    for body in (b"[]", b"x", b"{"):
        assert call.raw("POST", path, body)[0] == 400
    assert row.serving_variant == 1
    assert call.raw("POST", path)[0] == 200
    assert call.raw("POST", path, b"{}")[0] == 409


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "variant_id is required"),
        ({"variant_id": 1}, "variant_id must be a string"),
        ({"variant_id": True}, "variant_id must be a string"),
        ({"serving_variant_id": ["1"]}, "variant_id must be a string"),
        ({"variant_id": "3"}, "variant_id must be one of 0, 1, 2"),
        ({"variant_id": "9" * 5000}, "variant_id must be one of"),
        ({"variant_id": "\udc00"}, "variant_id must be one of"),
        ({"variant_id": "1", "traffic_allocation": "25"}, "traffic_allocation must be a number from 0 to 100"),
        ({"variant_id": "1", "traffic_allocation": True}, "traffic_allocation must be a number"),
        ({"variant_id": "1", "traffic_allocation": 101}, "traffic_allocation must be a number"),
        ({"variant_id": "1", "traffic_allocation": -1e-9}, "traffic_allocation must be a number"),
    ],
)
def test_a_wrong_body_is_a_400_that_serves_nothing(call: Caller, fields: dict[str, Any], text: str) -> None:
    """The field is named, and visitors go on to see what they saw."""
    row = put_experiment(call.emulator)
    status, error = call.refused(f"POST experiment/{row.test_id}/serve-winner", **fields)
    assert (status, error[: len(text)]) == (400, text)
    assert (row.serving_variant, row.configuration) == (None, {})


def test_a_rollout_needs_its_percentage(call: Caller) -> None:
    """Without one the rollout is refused, before it is known whether a winner is served."""
    row = put_experiment(call.emulator)
    for fields in ({}, {"traffic_allocation": None}):
        refused = call.refused(f"PATCH experiment/{row.test_id}/serving-rollout", **fields)
        assert refused == (400, "traffic_allocation is required")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.sampled_from(["0", "1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.sampled_from(["POST {}/serve-winner", "PATCH {}/serving-rollout", "POST {}/stop-serving"]),
    st.dictionaries(st.sampled_from(["variant_id", "serving_variant_id", "traffic_allocation", "x"]), _JSON),
)
def test_whatever_is_sent_is_answered(call: str, body: dict[str, Any]) -> None:
    """Any JSON is a success, a 400 or a 409."""
    caller = Caller()
    row = put_experiment(caller.emulator)
    status, answer = caller(call.format(f"experiment/{row.test_id}"), **body)
    assert status in {200, 400, 409}
    assert ("error" in answer) == (status != 200)
