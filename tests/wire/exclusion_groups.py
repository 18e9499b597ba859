"""Samples of the calls of exclusion groups."""

from __future__ import annotations

from mida_async.models import (
    ExclusionGroup,
    ExclusionGroupCreated,
    ExclusionGroupDeleted,
    ExclusionGroupList,
    ExclusionGroupUpdated,
    ExperimentStatus,
    GroupMember,
    GroupTest,
)
from wire.base import Sample

SAMPLES = (
    Sample(
        endpoint="exclusion_groups.list",
        call=lambda mida: mida.exclusion_groups.list(),
        sent="GET P/exclusion-groups",
        answer={
            "success": True,
            "groups": [
                {
                    "id": 12,
                    "name": "Checkout tests",
                    "description": "One at a time",
                    "tests": [
                        {"test_id": 2002, "percent": 50, "test_name": "Express checkout", "status": 1},
                        {"test_id": 2003, "percent": 50, "test_name": "Trust badges", "status": 9},
                    ],
                }
            ],
        },
        result=ExclusionGroupList(
            success=True,
            groups=(
                ExclusionGroup(
                    id=12,
                    name="Checkout tests",
                    description="One at a time",
                    tests=(
                        GroupMember(
                            test_id=2002, percent=50, test_name="Express checkout", status=ExperimentStatus.LIVE
                        ),
                        GroupMember(test_id=2003, percent=50, test_name="Trust badges", status=ExperimentStatus.DRAFT),
                    ),
                ),
            ),
        ),
    ),
    Sample(
        endpoint="exclusion_groups.create",
        call=lambda mida: mida.exclusion_groups.create(
            "Checkout tests", [GroupTest(2002, 62.5), {"test_id": 2003, "percent": 37.5}], description="One at a time"
        ),
        sent="POST P/exclusion-groups",
        body={
            "name": "Checkout tests",
            "tests": [{"test_id": 2002, "percent": 62.5}, {"test_id": 2003, "percent": 37.5}],
            "description": "One at a time",
        },
        answer={
            "success": True,
            "name": "Checkout tests",
            "tests": [{"test_id": 2002, "percent": 62.5}, {"test_id": 2003, "percent": 37.5}],
        },
        result=ExclusionGroupCreated(
            success=True,
            name="Checkout tests",
            tests=(GroupMember(test_id=2002, percent=62.5), GroupMember(test_id=2003, percent=37.5)),
        ),
    ),
    # An even split: the last experiment takes what is left over.
    Sample(
        endpoint="exclusion_groups.create",
        call=lambda mida: mida.exclusion_groups.create("Even", [2002, 2003, GroupTest(2004)]),
        sent="POST P/exclusion-groups",
        body={"name": "Even", "tests": [{"test_id": 2002}, {"test_id": 2003}, {"test_id": 2004}]},
        answer={
            "success": True,
            "name": "Even",
            "tests": [
                {"test_id": 2002, "percent": 33},
                {"test_id": 2003, "percent": 33},
                {"test_id": 2004, "percent": 34},
            ],
        },
        result=ExclusionGroupCreated(
            success=True,
            name="Even",
            tests=(
                GroupMember(test_id=2002, percent=33),
                GroupMember(test_id=2003, percent=33),
                GroupMember(test_id=2004, percent=34),
            ),
        ),
    ),
    Sample(
        endpoint="exclusion_groups.update",
        call=lambda mida: mida.exclusion_groups.update(
            12, name="Cart tests", description="", tests=[GroupMember(test_id=2002, percent=70), GroupTest(2004, 30)]
        ),
        sent="PATCH P/exclusion-groups/12",
        body={
            "name": "Cart tests",
            "description": "",
            "tests": [{"test_id": 2002, "percent": 70}, {"test_id": 2004, "percent": 30}],
        },
        answer={
            "success": True,
            "group_id": 12,
            "group_name": "Cart tests",
            "tests": [{"test_id": 2002, "percent": 70}, {"test_id": 2004, "percent": 30}],
        },
        result=ExclusionGroupUpdated(
            success=True,
            group_id=12,
            group_name="Cart tests",
            tests=(GroupMember(test_id=2002, percent=70), GroupMember(test_id=2004, percent=30)),
        ),
    ),
    Sample(
        endpoint="exclusion_groups.delete",
        call=lambda mida: mida.exclusion_groups.delete(12),
        sent="DELETE P/exclusion-groups/12",
        answer={"success": True, "group_id": 12, "group_name": "Cart tests", "note": "Experiments keep running."},
        result=ExclusionGroupDeleted(
            success=True, group_id=12, group_name="Cart tests", note="Experiments keep running."
        ),
    ),
)
