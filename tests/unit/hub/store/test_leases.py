"""The machine of leases, fed by hand: rows and a clock."""

import pytest

from muster_hub.store.leases import (
    LOST_AFTER_S,
    MAX_READ_GAP_S,
    RENEW_EVERY_S,
    STOP_ACTING_AFTER_S,
    Effect,
    LeaseRow,
    LeaseTable,
    NodeLost,
    Renewed,
    Tombstone,
)


class Observer:
    """Node ``a``, who reads what ``b``'s lease says."""

    def __init__(self) -> None:
        self.table = LeaseTable("a", "a1")
        self.now_s = 1000.0
        self.read("b1", 1)

    def read(self, incarnation: str, counter: int, *, tombstone_ms: int = 0, after_s: float = 0.0) -> list[Effect]:
        self.now_s += after_s
        rows = {
            "a": LeaseRow(self.table.incarnation, self.table.next_counter(), 0),
            "b": LeaseRow(incarnation, counter, tombstone_ms),
        }
        return self.table.renewed(rows, asked_s=self.now_s, now_s=self.now_s)


def test_the_first_renewal_begins_the_incarnation() -> None:
    table = LeaseTable("a", "a1")
    assert table.beginning
    assert not table.acting(0.0)
    rows = {"a": LeaseRow("a1", 1, 0)}
    assert table.renewed(rows, asked_s=0.0, now_s=0.1) == [Renewed("a1")]
    assert table.renewed(rows, asked_s=1.0, now_s=1.1) == []
    assert not table.beginning


def test_a_counter_that_moves_keeps_its_node_live() -> None:
    observer = Observer()
    for counter in range(2, 30):
        assert observer.read("b1", counter, after_s=RENEW_EVERY_S) == []
    assert observer.table.live("b", "b1")


def test_a_counter_that_stood_still_for_5_s_gets_a_tombstone() -> None:
    observer = Observer()
    for _ in range(4):
        assert observer.read("b1", 1, after_s=1.0) == []
    assert observer.read("b1", 1, after_s=1.0) == [Tombstone("b", "b1", 1)]
    assert observer.table.live("b", "b1"), "until the store agrees"
    assert observer.read("b1", 1, tombstone_ms=5) == [NodeLost("b", "b1")]
    assert not observer.table.live("b", "b1")
    assert observer.read("b1", 1, tombstone_ms=5, after_s=1.0) == [], "a loss is told once"


def test_a_suspect_whose_counter_moves_is_no_suspect() -> None:
    observer = Observer()
    for _ in range(5):
        observer.read("b1", 1, after_s=1.0)
    assert observer.read("b1", 2, after_s=1.0) == []
    for _ in range(4):
        assert observer.read("b1", 2, after_s=1.0) == []


def test_a_store_that_is_away_proves_nothing() -> None:
    observer = Observer()
    for _ in range(4):
        observer.read("b1", 1, after_s=1.0)
    assert observer.read("b1", 1, after_s=MAX_READ_GAP_S + 20) == []
    for _ in range(4):
        assert observer.read("b1", 1, after_s=1.0) == [], "the measure began again"
    assert observer.read("b1", 1, after_s=1.0) == [Tombstone("b", "b1", 1)]


def test_an_observer_that_slept_writes_no_tombstone() -> None:
    observer = Observer()
    assert observer.read("b1", 1, after_s=3600.0) == []


def test_this_node_never_writes_its_own_tombstone() -> None:
    table = LeaseTable("a", "a1")
    for second in range(20):
        effects = table.renewed({"a": LeaseRow("a1", 1, 0)}, asked_s=second, now_s=second)
        assert not any(isinstance(effect, Tombstone) for effect in effects)


def test_another_incarnation_means_the_one_before_is_lost() -> None:
    observer = Observer()
    assert observer.read("b2", 1, after_s=1.0) == [NodeLost("b", "b1")]
    assert observer.table.live("b", "b2")
    assert not observer.table.live("b", "b1")


def test_a_row_that_is_gone_means_its_node_is_lost() -> None:
    observer = Observer()
    effects = observer.table.renewed({"a": LeaseRow("a1", 9, 0)}, asked_s=1001.0, now_s=1001.0)
    assert effects == [NodeLost("b", "b1")]


def test_a_node_first_seen_with_a_tombstone_was_never_live() -> None:
    table = LeaseTable("a", "a1")
    rows = {"a": LeaseRow("a1", 1, 0), "b": LeaseRow("b1", 1, 5)}
    assert table.renewed(rows, asked_s=0.0, now_s=0.0) == [Renewed("a1")]
    assert not table.live("b", "b1")
    assert table.live_nodes() == ["a"]


@pytest.mark.parametrize(("elapsed_s", "acting"), [(0.0, True), (3.9, True), (4.0, False), (60.0, False)])
def test_a_node_stops_acting_4_s_after_it_asked_for_its_last_good_renewal(elapsed_s: float, acting: bool) -> None:
    table = LeaseTable("a", "a1")
    table.renewed({"a": LeaseRow("a1", 1, 0)}, asked_s=10.0, now_s=10.9)
    assert table.acting(10.0 + elapsed_s) is acting


def test_a_node_stops_acting_before_anybody_may_call_it_lost() -> None:
    # Others see a renewal after it was asked for, so their 5 s begin after this node's 4 s did.
    assert STOP_ACTING_AFTER_S + RENEW_EVERY_S <= LOST_AFTER_S


def test_a_new_incarnation_does_not_act_before_it_is_renewed() -> None:
    table = LeaseTable("a", "a1")
    table.renewed({"a": LeaseRow("a1", 1, 0)}, asked_s=0.0, now_s=0.0)
    table.begin("a2")
    assert not table.acting(0.1)
    assert table.beginning
    assert table.own_row() is None
    effects = table.renewed({"a": LeaseRow("a2", 2, 0)}, asked_s=1.0, now_s=1.0)
    assert effects == [Renewed("a2"), NodeLost("a", "a1")]
    assert table.own_row() == LeaseRow("a2", 2, 0)


def test_every_attempt_has_a_counter_of_its_own() -> None:
    table = LeaseTable("a", "a1")
    assert [table.next_counter() for _ in range(3)] == [1, 2, 3]


def test_the_next_read_comes_in_time_for_a_counter_about_to_have_stood_too_long() -> None:
    observer = Observer()
    assert observer.table.next_read_in_s() == RENEW_EVERY_S
    for _ in range(4):
        observer.read("b1", 1, after_s=1.1)
    assert observer.table.next_read_in_s() == pytest.approx(LOST_AFTER_S - 4.4)
    observer.read("b1", 1, after_s=0.7)
    assert observer.table.next_read_in_s() == RENEW_EVERY_S
