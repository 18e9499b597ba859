"""
Realistic mistakes, one at a time, each with the test that must notice it.

``python tests/mutations.py [NAME...]`` copies the package and its tests into a temporary directory, makes one mistake
after the other there, runs the one test, and prints what was caught. It fails if anything was missed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

import attrs

ROOT: Final = Path(__file__).resolve().parent.parent

# Seconds for one run: several times what the slowest test takes on a busy machine.
LONGEST_RUN: Final = 180.0

# A failure is all that is asked for, not the simplest one; and a copy that is not the one under test proves nothing.
_IN_THE_COPY: Final = """
import pathlib
import mida_async
assert pathlib.Path(mida_async.__file__).is_relative_to(pathlib.Path(__file__).resolve().parent.parent)
quick = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
hypothesis.settings.register_profile("first", hypothesis.settings.get_profile("mida_async"), phases=quick)
hypothesis.settings.load_profile("first")
"""

_WALKS: Final = "tests/test_engine_machine.py::test_the_engine_does_what_the_model_does_on_long_walks"
_ATTRIBUTES: Final = "tests/test_buffered_attributes.py"
_LINE: Final = "tests/test_line.py::"
_DELIVERIES: Final = "tests/test_deliveries.py::"
_SHORT: Final = "tests/test_transport_short.py::"
WAIT: Final = f"{_WALKS}[wait]"
RAISE: Final = f"{_WALKS}[raise]"
DROP_OLDEST: Final = f"{_WALKS}[drop_oldest]"


@attrs.frozen
class Mutation:
    """
    One mistake.

    Attributes:
        name: The area and the mistake.
        file: Where it is made, in the package.
        old: The text that is right; it occurs once.
        new: What takes its place.
        test: The node id of the test that must fail.
    """

    name: str
    file: str
    old: str
    new: str
    test: str

    @property
    def area(self) -> str:
        """The part of the engine that is wrong."""
        return self.name.partition(":")[0]


LANES: Final = (
    Mutation(
        "lanes: the visitor who came last goes first",
        "_core/lanes.py",
        "lane = next(iter(self._ready))",
        "lane = next(reversed(self._ready))",
        WAIT,
    ),
    Mutation(
        "lanes: a deferred head goes behind the others",
        "_core/lanes.py",
        "        lane.put_back(entry)\n        self._line",
        "        lane.line.append(entry)\n        self._line",
        WAIT,
    ),
    Mutation(
        "lanes: a deferred head is a tail to fold into",
        "_core/lanes.py",
        "        lane.put_back(entry)\n        self._line",
        "        lane.line.insert(0, entry)\n        lane.newest_taken = 0\n        self._line",
        WAIT,
    ),
    Mutation(
        "lanes: links are not released",
        "_core/lanes.py",
        "            for key in lane.keys:\n                del self._by_key[key]\n            lane.keys = ()",
        "            lane.keys = ()",
        WAIT,
    ),
    Mutation(
        "lanes: only the first identifier links",
        "_core/lanes.py",
        "        for key in identities:\n            known = self._by_key.get(key)",
        "        for key in identities[:1]:\n            known = self._by_key.get(key)",
        WAIT,
    ),
    Mutation(
        "lanes: a join waits for one of two heads only",
        "_core/lanes.py",
        "        stays.in_flight += goes.in_flight\n",
        "        stays.in_flight = max(stays.in_flight, goes.in_flight)\n",
        WAIT,
    ),
    Mutation(
        "lanes: a join loses the order of acceptance",
        "_core/lanes.py",
        "            stays.put_back(entry)",
        "            stays.line.append(entry)",
        WAIT,
    ),
    Mutation(
        "lanes: two of one visitor in flight",
        "_core/lanes.py",
        "    if lane.in_flight:\n",
        "    if lane.in_flight > 1:\n",
        WAIT,
    ),
    Mutation(
        "lanes: a head goes before it is due",
        "_core/lanes.py",
        "                if due > now:\n",
        "                if due > now + 0.5:\n",
        WAIT,
    ),
    Mutation(
        "lanes: a withdrawn head still holds its lane up",
        "_core/lanes.py",
        "        lane.tidy(lane.waiting)\n        self._line.tidy(self._waiting)\n        self._steer(lane)",
        "        lane.tidy(lane.waiting)\n        self._line.tidy(self._waiting)",
        WAIT,
    ),
    Mutation(
        "lanes: what lingers stays held back with another behind it",
        "_core/lanes.py",
        "        lane.free_tail()\n        entry.lane = lane",
        "        entry.lane = lane",
        WAIT,
    ),
    Mutation(
        "lanes: the newest is dropped for the oldest",
        "_core/lanes.py",
        "return self._line.head()",
        "return next((entry for entry in reversed(self.live()) if entry.state is _WAITING), None)",
        DROP_OLDEST,
    ),
    Mutation(
        "lanes: what came back is thrown away with the marks",
        "_core/lane.py",
        "for number, entry in self.earlier or () if entry.state is _WAITING}\n            self",
        "for number, entry in ()}\n            self",
        f"{_LINE}test_a_line_knows_its_oldest_record_and_keeps_few_marks",
    ),
    Mutation(
        "lanes: what went and came back stays in two places",
        "_core/lane.py",
        "again.items() if item[0] not in there]",
        "again.items()]",
        f"{_LINE}test_a_record_that_is_in_two_places_is_left_in_one",
    ),
    Mutation(
        "lanes: marks are never thrown away",
        "_core/lane.py",
        "        if self.length > 2 * waiting + 8:",
        "        if waiting < 0:",
        f"{_LINE}test_no_body_is_left_in_the_line_of_all_records",
    ),
    Mutation(
        "lanes: a settled record keeps its body",
        "_core/lanes.py",
        '        entry.body, entry.properties = b"", None  # it may stay in the line of all',
        "        pass  # it may stay in the line of all",
        f"{_LINE}test_an_ended_record_lets_go_of_its_body",
    ),
    Mutation(
        "lanes: whoever is named differently gets the first one's identities",
        "_core/lanes.py",
        "            if identities == lane.identities:",
        "            if lane.identities:",
        f"{_LINE}test_what_names_a_visitor_in_another_way_keeps_its_own_identities",
    ),
)

FOLDING: Final = (
    Mutation("folding: across names", "_core/folding.py", "        and tail.name == draft.name\n", "", WAIT),
    Mutation(
        "folding: across identifiers", "_core/folding.py", "        and tail.identities == draft.identities\n", "", WAIT
    ),
    Mutation(
        "folding: into a record with a unique_id",
        "_core/folding.py",
        "        and tail.unique_id is None\n",
        "",
        "tests/test_folding.py::test_a_record_with_a_unique_id_never_folds",
    ),
    Mutation(
        "folding: the edge of the window",
        "_core/folding.py",
        "if memory.until > now and",
        "if memory.until >= now and",
        WAIT,
    ),
    Mutation(
        "folding: the window begins at acceptance",
        "_core/folding.py",
        "receipt, now + self._window",
        "receipt, entry.accepted_at + self._window",
        WAIT,
    ),
    Mutation(
        "folding: what was rejected is remembered",
        "_core/folding.py",
        "            self._forget(entry)\n            return\n",
        "            return\n",
        WAIT,
    ),
    Mutation(
        "folding: a repetition is found by its first identifier only",
        "_core/folding.py",
        "for identity in draft.identities)",
        "for identity in draft.identities[:1])",
        WAIT,
    ),
    Mutation(
        "folding: a record is known by its first identifier only",
        "_core/folding.py",
        "dict.fromkeys(entry.identities)]",
        "entry.identities[:1]]",
        WAIT,
    ),
    Mutation(
        "folding: the newest is forgotten first",
        "_core/folding.py",
        "next(iter(self._delivered.items()))",
        "next(reversed(self._delivered.items()))",
        "tests/test_folding.py::test_memory_is_bounded",
    ),
    Mutation(
        "folding: an event melts into attributes of its name",
        "_core/folding.py",
        "        and tail.destination is draft.destination\n",
        "",
        f"{_ATTRIBUTES}::test_rules_for_events_are_not_for_attributes",
    ),
    Mutation(
        "folding: the older value of an attribute wins",
        "destinations/mida.py",
        "{**older, **newer}",
        "{**newer, **older}",
        f"{_ATTRIBUTES}::test_under_faults_the_books_balance_and_the_newest_wins",
    ),
    Mutation(
        "folding: attributes are added up by the rule for events of their name",
        "_delivery/intake.py",
        "draft.fold or self.settings.folds[draft.name]",
        "self.settings.folds.get(draft.name) or draft.fold",
        f"{_ATTRIBUTES}::test_rules_for_events_are_not_for_attributes",
    ),
)

ADMISSION: Final = (
    Mutation(
        "admission: last come, first served",
        "_delivery/admission.py",
        "turn, size = next(iter(self._line.items()))",
        "turn, size = next(reversed(self._line.items()))",
        WAIT,
    ),
    Mutation(
        "admission: one record too many",
        "_delivery/admission.py",
        "records > self._max_records or total > self._max_bytes",
        "records > self._max_records + 1 or total > self._max_bytes",
        RAISE,
    ),
    Mutation(
        "admission: the last byte is not used",
        "_delivery/admission.py",
        "total > self._max_bytes:",
        "total >= self._max_bytes:",
        "tests/test_admission.py",
    ),
    Mutation(
        "admission: a newcomer overtakes who was let in",
        "_delivery/admission.py",
        "if self._line or self.let_in or records",
        "if self._line or records",
        WAIT,
    ),
    Mutation(
        "admission: who is let in and cancelled keeps the room",
        "_delivery/admission.py",
        "                self._came_in(size)\n                self.give_back(size)",
        "                self._came_in(size)",
        WAIT,
    ),
    Mutation(
        "admission: who was let in is counted for ever",
        "_delivery/admission.py",
        "        self._came_in(size)\n        self.admit()\n\n",
        "        self.admit()\n\n",
        WAIT,
    ),
    Mutation(
        "admission: a cancelled head keeps the others out",
        "_delivery/admission.py",
        "                self._line.pop(turn, None)\n                self.admit()",
        "                self._line.pop(turn, None)",
        WAIT,
    ),
    Mutation(
        "admission: bytes are not given back",
        "_delivery/admission.py",
        "        self.records -= 1\n        self.bytes -= size\n",
        "        self.records -= 1\n",
        RAISE,
    ),
    Mutation(
        "admission: room that is given back lets nobody in",
        "_delivery/admission.py",
        "        self.bytes -= size\n        if self._line:\n            self.admit()\n",
        "        self.bytes -= size\n",
        WAIT,
    ),
    Mutation(
        "admission: a folded record grows beyond the room",
        "_delivery/admission.py",
        "if difference > 0 and self.bytes + difference > self._max_bytes:",
        "if difference > self._max_bytes:",
        "tests/test_delivery_folding.py::test_folding_that_cannot_be_sent_leaves_both_records_as_they_are",
    ),
    Mutation(
        "admission: what shrinks is counted as before",
        "_delivery/admission.py",
        "        self.bytes += difference\n",
        "        self.bytes += max(difference, 0)\n",
        RAISE,
    ),
)

_PACER: Final = "tests/test_pacer.py::"

PACER: Final = (
    Mutation(
        "pacer: the gate is ignored",
        "_core/pacer.py",
        "max(now, self._gate, self._throttle.next_at())",
        "max(now, self._throttle.next_at())",
        WAIT,
    ),
    Mutation(
        "pacer: a later answer opens the gate",
        "_core/pacer.py",
        "self._gate = max(self._gate, until)",
        "self._gate = until",
        "tests/test_engine_rules.py::test_a_gate_is_never_opened_early",
    ),
    Mutation(
        "pacer: a slot is never returned",
        "_core/pacer.py",
        "        self._in_flight -= 1\n        for window",
        "        for window",
        WAIT,
    ),
    Mutation(
        "pacer: what was lost counts as seen",
        "_core/pacer.py",
        "self._return(now, lost=True)",
        "self._return(now, lost=False)",
        WAIT,
    ),
    Mutation(
        "pacer: one place too many",
        "_core/windows.py",
        "excess = in_flight + len(self.answered) - self.limit\n",
        "excess = in_flight + len(self.answered) - self.limit - 1\n",
        WAIT,
    ),
    Mutation(
        "pacer: a place is free before its window is over",
        "_core/windows.py",
        "self.answered[0] + self.span + _EDGE <= now",
        "self.answered[0] + self.span / 2 <= now",
        WAIT,
    ),
    Mutation(
        "pacer: a burst after the gate",
        "_core/pacer.py",
        "        for window in self._windows:\n            window.hold(until)\n",
        "",
        "tests/test_engine_rules.py::test_no_burst_goes_when_the_gate_opens",
    ),
    Mutation(
        "pacer: requests under way do not count against what is left",
        "_core/pacer.py",
        "left = quota.remaining - self._in_flight",
        "left = quota.remaining",
        f"{_PACER}test_requests_under_way_count_against_what_is_left",
    ),
    Mutation(
        "pacer: an overtaken answer raises what is left",
        "_core/pacer.py",
        "self._quota_left = min(self._quota_left, left)",
        "self._quota_left = left",
        f"{_PACER}test_an_overtaken_answer_only_tightens",
    ),
    Mutation(
        "pacer: the turn to smooth without a pause",
        "_core/pacer.py",
        "window.hold(max(now, self._gate) + pause)",
        "window.hold(max(now, self._gate))",
        f"{_PACER}test_the_turn_to_smooth_begins_with_a_pause",
    ),
    Mutation(
        "pacer: the debt of a burst has no ceiling",
        "_core/windows.py",
        "min(max(self._arrival, now) + self.spacing, ceiling)",
        "max(self._arrival, now) + self.spacing",
        f"{_PACER}test_days_of_bursts_cost_a_minute_at_most",
    ),
)

INTAKE: Final = (
    Mutation(
        "intake: what folds overtakes who waits",
        "_delivery/intake.py",
        "        if not admission.callers:\n",
        "        if self.settings:\n",
        WAIT,
    ),
    Mutation(
        "intake: a repetition that waited keeps its room",
        "_delivery/intake.py",
        "        if shared is not None:\n            self.admission.give_back(size)\n",
        "        if shared is not None:\n",
        WAIT,
    ),
    Mutation(
        "intake: a rule that fails keeps the room",
        "_delivery/intake.py",
        "            self.admission.give_back(size)\n            raise\n",
        "            raise\n",
        "tests/test_delivery_folding.py::test_a_rule_that_fails_for_a_caller_who_waited_frees_the_room",
    ),
    Mutation(
        "intake: it lingers without order, too",
        "_delivery/intake.py",
        ' and settings.order != "none"',
        "",
        WAIT,
    ),
    Mutation(
        "intake: folding ignores the room",
        "_delivery/intake.py",
        "        if not self.ledger.resize(tail, len(body)):\n            return None\n",
        "        self.ledger.resize(tail, len(body))\n",
        "tests/test_delivery_folding.py::test_folding_that_cannot_be_sent_leaves_both_records_as_they_are",
    ),
    Mutation(
        "intake: flush does not cut what lingers",
        "_delivery/intake.py",
        "                self.lanes.release(entry)\n",
        "                continue\n",
        WAIT,
    ),
    Mutation(
        "intake: the properties stay as they were",
        "_delivery/intake.py",
        "        tail.properties = combined\n",
        "",
        WAIT,
    ),
)

LEDGER: Final = (
    Mutation(
        "ledger: an answer is read that nobody asks for",
        "_delivery/ledger.py",
        "        if ended.end is End.DELIVERED and (entry.deliveries or entry.unique_id is not None):",
        "        if ended.end is End.DELIVERED:",
        f"{_DELIVERIES}test_an_answer_is_read_where_somebody_asks_for_it[nobody keeps it-no id]",
    ),
    Mutation(
        "ledger: the first of several that is cancelled withdraws",
        "_delivery/delivery.py",
        "return holding.let_go == len(holding.deliveries)",
        "return bool(holding.let_go)",
        WAIT,
    ),
    Mutation(
        "ledger: repetitions have no end",
        "_delivery/ledger.py",
        "return entry.folded + entry.shared",
        "return entry.folded",
        WAIT,
    ),
    Mutation(
        "ledger: who let go in flight still counts as waiting",
        "_delivery/delivery.py",
        "Holding([told], int(told.cancelled()))",
        "Holding([told])",
        f"{_DELIVERIES}test_the_last_of_several_withdraws_what_the_first_could_not",
    ),
    Mutation(
        "ledger: a record whose caller is gone is withdrawn by another one",
        "_delivery/delivery.py",
        "else Holding([], -1)",
        "else Holding([])",
        f"{_DELIVERIES}test_a_record_whose_first_caller_is_gone_is_never_withdrawn",
    ),
    Mutation(
        "ledger: a record that was read back is not counted",
        "_delivery/ledger.py",
        "        self.held += 1\n        entry.room = len(entry.body)\n        entry.deliveries = NOBODY",
        "        entry.room = len(entry.body)\n        entry.deliveries = NOBODY",
        f"{_DELIVERIES}test_what_is_in_memory_is_counted_once",
    ),
    Mutation(
        "ledger: room is given back twice",
        "_delivery/ledger.py",
        "        room, entry.room = entry.room, 0\n",
        "        room = entry.room\n",
        f"{_DELIVERIES}test_room_cannot_be_given_back_twice",
    ),
    Mutation(
        "ledger: all callers raise the same error",
        "_delivery/delivery.py",
        "delivery.fail(own_copy(error) if number else error)",
        "delivery.fail(error)",
        WAIT,
    ),
    Mutation(
        "ledger: what repeats is not told of an end",
        "_delivery/ledger.py",
        "        self._duplicates.ended(entry, receipt, now)\n",
        "",
        WAIT,
    ),
    Mutation(
        "ledger: a duplicate is not owned up to",
        "_delivery/ledger.py",
        "may_be_duplicate=entry.ambiguous",
        "may_be_duplicate=False",
        WAIT,
    ),
    Mutation(
        "ledger: a flush counts what came later",
        "_delivery/ledger.py",
        "            watch.join(entry)\n",
        "            watch.words()\n",
        WAIT,
    ),
)

BATCH: Final = (
    Mutation(
        "batch: a record that is not due travels along",
        "_core/batch.py",
        "entry is not None and entry.due <= now and load.takes(entry)",
        "entry is not None and load.takes(entry)",
        "tests/test_batch.py",
    ),
    Mutation(
        "batch: the size of a request is not bounded",
        "_core/batch.py",
        "            and self.size + len(entry.body) <= self.limits.size\n",
        "",
        "tests/test_batch.py",
    ),
    Mutation(
        "batch: one event goes twice in a request",
        "_core/batch.py",
        '            and (cast("Lane", entry.lane), entry.name, entry.unique_id) not in self._unique\n',
        "",
        "tests/test_batch.py",
    ),
    Mutation(
        "batch: suspects take others with them",
        "_core/batch.py",
        "            and entry.company == self.company\n",
        "",
        "tests/test_batch.py",
    ),
    Mutation(
        "batch: the records of a visitor go backwards",
        "_core/batch.py",
        "    return [entry for records in load.lanes.values() for entry in records]",
        "    return [entry for records in load.lanes.values() for entry in reversed(records)]",
        "tests/test_batch.py",
    ),
    Mutation(
        "batch: a suspect is as free as before",
        "_core/scheduler.py",
        "        entry.company = company\n",
        "        entry.company = None\n",
        "tests/test_batch.py",
    ),
    Mutation(
        "batch: records count as requests",
        "_core/scheduler.py",
        "self.breaker.next_at(now, self.lanes.in_flight - self._passengers)",
        "self.breaker.next_at(now, self.lanes.in_flight)",
        "tests/test_batch.py",
    ),
    Mutation(
        "batch: a flush lingers",
        "_core/scheduler.py",
        "first.attempts or first.id <= self._hurried",
        "first.attempts",
        "tests/test_batch.py",
    ),
)

VERDICT: Final = (
    Mutation(
        "verdict: at_most_once sends twice",
        "_core/verdict.py",
        'if rules.guarantee == "at_most_once" and not repeatable:',
        'if rules.guarantee == "at_least_once" and not repeatable:',
        WAIT,
    ),
    Mutation(
        "verdict: ambiguity is forgotten",
        "_core/verdict.py",
        "        entry.ambiguous = True\n",
        "        entry.ambiguous = False\n",
        WAIT,
    ),
    Mutation(
        "verdict: one attempt too many",
        "_core/verdict.py",
        "if counted >= rules.retry.max_attempts:",
        "if counted > rules.retry.max_attempts:",
        WAIT,
    ),
    Mutation(
        "verdict: an outage costs attempts",
        "_core/verdict.py",
        "    if outage or told:  # who",
        "    if told:  # who",
        "tests/test_verdict.py::test_an_outage_costs_no_attempts",
    ),
    Mutation(
        "verdict: patience has no end",
        "_core/verdict.py",
        "    if now >= until:\n",
        "    if now > until:\n",
        "tests/test_engine_rules.py::test_patience_ends_to_the_second",
    ),
    Mutation(
        "verdict: maintenance is ambiguous",
        "_core/verdict.py",
        "is not None:\n            return Failure.REFUSED",
        "is not None:\n            return Failure.AMBIGUOUS",
        WAIT,
    ),
)

_BREAKER: Final = "tests/test_breaker.py::"

BREAKER: Final = (
    Mutation(
        "breaker: it opens too late",
        "_core/breaker.py",
        "_FAILURES_TO_OPEN: Final = 5",
        "_FAILURES_TO_OPEN: Final = 50",
        f"{_BREAKER}test_it_opens_after_failures_in_a_row",
    ),
    Mutation(
        "breaker: a second probe",
        "_core/breaker.py",
        "return math.inf if self._asking else max(now, self._probe_at)",
        "return max(now, self._probe_at)",
        f"{_BREAKER}test_there_is_never_a_second_probe",
    ),
    Mutation(
        "breaker: all come back at once",
        "_core/breaker.py",
        "return now if recovering and in_flight < self._allowed else math.inf",
        "return now if recovering else math.inf",
        f"{_BREAKER}test_concurrency_doubles_step_by_step",
    ),
    Mutation(
        "breaker: a late failure counts as the probe's",
        "_core/breaker.py",
        "if self.state is BreakerState.PROBING and probe:\n            self._pause",
        "if self.state is BreakerState.PROBING:\n            self._pause",
        "tests/test_engine_rules.py::test_a_late_failure_is_not_the_answer_to_the_probe",
    ),
    Mutation(
        "breaker: probes go all the time",
        "_core/breaker.py",
        "        self._probe_at = now + self._pause\n",
        "        self._probe_at = now\n",
        f"{_BREAKER}test_one_probe_at_a_time_with_growing_pauses",
    ),
    Mutation(
        "breaker: a probe that says nothing ends all probing",
        "_core/breaker.py",
        "if self.state is BreakerState.PROBING and probe:\n            self._rest",
        "if self.state is BreakerState.CLOSED and probe:\n            self._rest",
        f"{_BREAKER}test_a_probe_without_result_is_repeated",
    ),
)

TRANSPORT: Final = (
    Mutation(
        "transport: a body that closing has cut off is whole",
        "_transport/short.py",
        "            self.stream.set_exception(ConnectionAbortedError())",
        "            pass",
        "tests/test_transport_aiohttp_session.py::test_closing_within_a_body_leaves_a_response[short-end-plain]",
    ),
    Mutation(
        "transport: what came unasked is the answer",
        "_transport/short.py",
        "            if not connection.protocol.should_close:",
        "            if True:",
        f"{_SHORT}test_what_comes_between_two_requests_is_no_answer[8]",
    ),
    Mutation(
        "transport: a closing connection is written to",
        "_transport/short.py",
        "        if transport is None or transport.is_closing():",
        "        if transport is None:",
        f"{_SHORT}test_nothing_goes_out_over_a_closed_connection[closing]",
    ),
    Mutation(
        "transport: announcements are answers",
        "_transport/short.py",
        "        while message.code in _ANNOUNCEMENTS:",
        "        while False:",
        "tests/test_transport_answers.py::test_announcements_are_skipped[short]",
    ),
    Mutation(
        "transport: a version that was not tested goes the short way",
        "_transport/aiohttp.py",
        ' or aiohttp.__version__.rpartition(".")[0] not in _TESTED:',
        ":",
        f"{_SHORT}test_versions_that_were_not_tested_go_through_the_session[3.15.0]",
    ),
    Mutation(
        "transport: a session that was lent is gone around",
        "_transport/aiohttp.py",
        "        if self._lent is not None or aiohttp",
        "        if aiohttp",
        f"{_SHORT}test_a_session_that_was_lent_is_used",
    ),
    Mutation(
        "transport: an answer over the limit is whole",
        "_transport/roundtrip.py",
        "        response.complete, response.oversized = room >= 0, room < 0",
        "        response.complete, response.oversized = True, False",
        "tests/test_transport_aiohttp.py::test_a_compressed_bomb_is_read_up_to_the_limit[short]",
    ),
)

MUTATIONS: Final = (*LANES, *FOLDING, *ADMISSION, *PACER, *INTAKE, *LEDGER, *BATCH, *VERDICT, *BREAKER, *TRANSPORT)


def misplaced(mutation: Mutation, root: Path = ROOT) -> int:
    """Return how often the text that is to be replaced occurs."""
    return (root / "mida_async" / mutation.file).read_text().count(mutation.old)


class Copy:
    """A copy of the package and its tests, to make mistakes in."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("mida_async", "tests"):
            shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", root)
        conftest = root / "tests" / "conftest.py"
        conftest.write_text(conftest.read_text() + _IN_THE_COPY)

    def passes(self, *tests: str) -> bool | None:
        """Return whether tests pass; None where they could not be run to their end."""
        command = (sys.executable, "-m", "pytest", "-q", "-x", "--no-header", "-p", "no:cacheprovider", *tests)
        bare = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
        try:
            done = subprocess.run(  # noqa: S603 - the tests of this project
                command,
                cwd=self.root,
                env={**bare, "PYTHONDONTWRITEBYTECODE": "1"},
                capture_output=True,
                timeout=LONGEST_RUN,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None
        return {0: True, 1: False}.get(done.returncode)  # all else means that nothing was tested

    def result(self, mutation: Mutation) -> str:
        """Make a mistake, run its test, and put things right again."""
        path = self.root / "mida_async" / mutation.file
        right = path.read_text()
        path.write_text(right.replace(mutation.old, mutation.new))
        try:
            passed = self.passes(mutation.test)
        finally:
            path.write_text(right)
        return {True: "missed", False: "caught", None: "not run"}[passed]


def results(mutations: tuple[Mutation, ...]) -> list[tuple[Mutation, str]]:
    """Try mutations in a temporary copy, in which the same tests pass without them."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(Path(folder))
        tests = sorted({mutation.test for mutation in mutations})
        if not copy.passes(*tests):
            message = f"these do not pass as it is: {', '.join(tests)}"
            raise AssertionError(message)
        return [(mutation, _told(mutation, copy.result(mutation))) for mutation in mutations]


def _told(mutation: Mutation, result: str) -> str:
    sys.stdout.write(f"{result:8} {mutation.name:60} {mutation.test.rpartition('::')[2]}\n")
    sys.stdout.flush()
    return result


def main(names: list[str]) -> int:
    """Try the mutations whose names contain one of *names*, or all; return the status to exit with."""
    chosen = tuple(each for each in MUTATIONS if not names or any(name in each.name for name in names))
    counts = Counter(result for _, result in results(chosen))
    sys.stdout.write(", ".join(f"{count} {result}" for result, count in sorted(counts.items())) + "\n")
    return 0 if set(counts) == {"caught"} else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
