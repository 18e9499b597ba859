"""Which records may become one, and which are the same one."""

from __future__ import annotations

from typing import Any, Final

import attrs
import pytest
from core_samples import draft, entry

from mida_async._core.entry import Entry, Receipt
from mida_async._core.folding import Duplicates, may_fold

NOW: Final = 1000.0
WINDOW: Final = 60.0


def receipt(record: Entry) -> Receipt:
    """Return the receipt of a record that was delivered at once."""
    return Receipt(record_id=record.id, status=200, attempts=1, waited=0.0, folded=1, may_be_duplicate=False, body=None)


def foldable(number: int, *identities: str) -> Entry:
    """Return a record that something may be folded into."""
    return attrs.evolve(entry(number, *identities), properties={})


def known(duplicates: Duplicates, number: int, *identities: str, unique_id: str | None = "u") -> Entry:
    """Accept a record."""
    record = attrs.evolve(entry(number, *identities), unique_id=unique_id)
    duplicates.accepted(record)
    return record


def test_records_of_one_kind_and_visitor_may_fold() -> None:
    """R4: same event name and same visitor, named in the same way."""
    assert may_fold(foldable(1, "a"), draft("e", "a"))
    assert not may_fold(foldable(1, "a"), draft("other", "a"))
    assert not may_fold(foldable(1, "a"), draft("e", "a", "b"))
    assert not may_fold(None, draft("e", "a"))
    assert not may_fold(entry(1, "a"), draft("e", "a"))


def test_a_record_with_a_unique_id_never_folds() -> None:
    """R4, R5: a unique_id promises that the record is sent as it is, on either side."""
    assert not may_fold(foldable(1, "a"), draft("e", "a", unique_id="u"))
    assert not may_fold(attrs.evolve(foldable(1, "a"), unique_id="u"), draft("e", "a"))


def test_a_repeated_record_is_found_by_any_shared_identity() -> None:
    """R5: same visitor means that an identifier is shared; name and unique_id must be equal."""
    duplicates = Duplicates(WINDOW)
    record = known(duplicates, 1, "a", "b")

    for identities in (("a",), ("b",), ("z", "b")):
        found = duplicates.find(draft("e", *identities, unique_id="u"), NOW)
        assert found is not None
        assert found.entry is record
        assert found.receipt is None
    assert duplicates.find(draft("e", "z", unique_id="u"), NOW) is None
    assert duplicates.find(draft("e", "a", unique_id="v"), NOW) is None
    assert duplicates.find(draft("f", "a", unique_id="u"), NOW) is None
    assert duplicates.find(draft("e", "a"), NOW) is None


def test_a_delivered_record_is_remembered_for_the_window() -> None:
    """R5: within the window a repetition gets the receipt of the first; after it, it is a record of its own."""
    duplicates = Duplicates(WINDOW)
    record = known(duplicates, 1, "a")
    duplicates.ended(record, receipt(record), NOW)

    found = duplicates.find(draft("e", "a", unique_id="u"), NOW + WINDOW - 1)
    assert found is not None
    assert found.receipt == receipt(record)
    assert duplicates.find(draft("e", "a", unique_id="u"), NOW + WINDOW) is None
    assert duplicates._by_key == {}


def test_a_record_that_was_not_delivered_is_forgotten() -> None:
    """R5: after a rejection the same unique_id may be tried again."""
    duplicates = Duplicates(WINDOW)
    duplicates.ended(known(duplicates, 1, "a", "a", "b"), None, NOW)
    assert duplicates.find(draft("e", "a", unique_id="u"), NOW) is None
    assert duplicates._by_key == {}


def test_records_without_unique_id_leave_no_trace() -> None:
    """R5: only a unique_id is remembered; equal content is never a reason."""
    duplicates = Duplicates(WINDOW)
    record = known(duplicates, 1, "a", unique_id=None)
    duplicates.ended(record, receipt(record), NOW)
    assert duplicates._by_key == {}
    assert not duplicates._delivered


def test_no_window_means_no_memory() -> None:
    """R5: with dedupe_window=0 only records that have not ended yet are found."""
    duplicates = Duplicates(0.0)
    record = known(duplicates, 1, "a")
    assert duplicates.find(draft("e", "a", unique_id="u"), NOW) is not None
    duplicates.ended(record, receipt(record), NOW)
    assert duplicates.find(draft("e", "a", unique_id="u"), NOW) is None


def test_memory_is_bounded() -> None:
    """R5: of too many delivered records the oldest is forgotten first; those that wait are not among them."""
    duplicates = Duplicates(WINDOW, 3)
    known(duplicates, 99, "waiting")
    for number in range(10):
        record = known(duplicates, number, f"v{number}")
        duplicates.ended(record, receipt(record), NOW)

    found = [n for n in range(10) if duplicates.find(draft("e", f"v{n}", unique_id="u"), NOW)]
    assert found == [7, 8, 9]
    assert duplicates.find(draft("e", "waiting", unique_id="u"), NOW) is not None
    assert len(duplicates._by_key) == 4


@pytest.mark.parametrize("field", ["body", "properties", "last_error", "lane"])
def test_what_was_sent_is_not_remembered(field: str) -> None:
    """R5, R6: a delivered record has given its room back, so nothing large is kept of it."""
    duplicates = Duplicates(WINDOW)
    large: dict[str, Any] = {
        "body": b"x" * 10_000,
        "properties": {"a": "x" * 10_000},
        "last_error": ValueError(),
        "lane": object(),
    }
    record = attrs.evolve(entry(1, "a"), unique_id="u", **{field: large[field]})
    duplicates.accepted(record)
    duplicates.ended(record, receipt(record), NOW)

    found = duplicates.find(draft("e", "a", unique_id="u"), NOW)
    assert found is not None
    assert not getattr(found.entry, field)
    assert getattr(record, field) is large[field]
