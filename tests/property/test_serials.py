"""Durable statements in any order and any number: the merge that hub and devices both make."""

from hypothesis import given
from hypothesis import strategies as st
from tests.property.statements import DurableStatement, merged, statements

from muster_protocol.ids import TimeMs
from muster_protocol.serials import SerialVerdict, Version, compare, next_serial, wins


@given(st.lists(statements, max_size=12), st.data())
def test_p14_serials(said: list[DurableStatement], order: st.DataObject) -> None:
    """The attacker delivers a device's statements in any order and as often as it likes; it holds no key of A's."""
    shuffled = order.draw(st.permutations(said + order.draw(st.lists(st.sampled_from(said)) if said else st.just([]))))
    assert merged(shuffled) == merged(said)


@given(st.lists(statements, max_size=8), st.lists(statements, max_size=8))
def test_p14_serials_of_two_who_meet(one: list[DurableStatement], other: list[DurableStatement]) -> None:
    """Two stores that exchange what they hold end alike, and once more changes nothing."""
    union = merged(one + other)
    assert merged([*merged(one).values(), *merged(other).values()]) == union
    assert merged([*union.values(), *union.values()]) == union


@given(st.lists(statements, min_size=1))
def test_p14_serials_never_go_back(said: list[DurableStatement]) -> None:
    """What was held is only ever replaced by what is newer; one serial over two bodies is named."""
    held: Version | None = None
    for statement in said:
        verdict = compare(held, statement.version)
        assert wins(held, statement.version) == (held is None or statement.version > held)
        if held is not None:
            same_serial = statement.version.serial == held.serial
            assert (verdict is SerialVerdict.MISMATCH) == (same_serial and statement.version.hash != held.hash)
            assert (verdict is SerialVerdict.KNOWN) == (statement.version == held)
            assert (verdict is SerialVerdict.TAKEN) == (statement.version.serial > held.serial)
        held = statement.version if wins(held, statement.version) else held


@given(st.integers(0, 2**53 - 2), st.integers(0, 2**53 - 1))
def test_p14_serials_rise_whatever_the_clock_says(last: int, now: int) -> None:
    """The clock stands still, runs back, or leaps: the next serial is larger than the last."""
    serial = next_serial(last, TimeMs(now), None)
    assert serial > last
    assert serial >= now
