"""Token buckets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster_hub.rate_limits.token_bucket import Allowances, Rate, TokenBucket


def test_a_burst_is_there_at_once_and_then_the_rate():
    bucket = TokenBucket(Rate(per_s=2, burst=3), now_s=100)
    assert [bucket.take(1, 100) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(1, 100.4)
    assert bucket.take(1, 100.5)
    assert not bucket.take(1, 100.5)


def test_a_refused_take_costs_nothing():
    bucket = TokenBucket(Rate(per_s=1, burst=3), now_s=0)
    assert bucket.take(1, 0)
    assert not bucket.take(3, 0)
    assert bucket.take(2, 0)


def test_more_than_the_burst_is_taken_from_a_full_bucket_and_owed():
    bucket = TokenBucket(Rate(per_s=1, burst=3), now_s=0)
    assert bucket.take(5, 0)
    assert bucket.wait_s(0) == 2
    assert not bucket.take(5, 4)
    assert bucket.take(5, 5)


def test_a_party_is_told_a_time_to_come_back_however_much_it_asks_for():
    allowances = Allowances[str](Rate(per_s=2, burst=4), most=1)
    assert allowances.wait_ms("one", 1, 0) == 0
    assert allowances.wait_ms("one", 1_000_000, 0) == 500
    assert allowances.wait_ms("one", 1_000_000, 0.5) == 0


@pytest.mark.parametrize(("rate", "party"), [(Rate(per_s=2, burst=4), None), (None, "one")])
def test_nothing_limits_who_is_no_party_nor_any_without_a_rate(rate: Rate | None, party: str | None) -> None:
    allowances = Allowances[str](rate, most=1)
    allowances.charge(party, 1e9, 0)
    assert allowances.overdraft_s(party, 0) == 0
    assert allowances.wait_ms(party, 1e9, 0) == 0
    assert allowances.lacking_ms(party, 1e9, 0) == 0


def test_no_more_than_the_burst_is_saved_up():
    bucket = TokenBucket(Rate(per_s=10, burst=5), now_s=0)
    assert bucket.take(5, 1_000_000)
    assert not bucket.take(1, 1_000_000)


def test_a_charge_may_go_into_debt_and_time_pays_it():
    bucket = TokenBucket(Rate(per_s=10, burst=5, debt_limit=20), now_s=0)
    assert bucket.charge(25, 0) == -20
    assert not bucket.abused()
    assert bucket.wait_s(0) == 2
    assert bucket.wait_s(1.5) == 0.5
    assert bucket.wait_s(2) == 0


def test_a_debt_above_the_limit_is_abuse():
    bucket = TokenBucket(Rate(per_s=10, burst=5, debt_limit=20), now_s=0)
    bucket.charge(25.5, 0)
    assert bucket.abused()


def test_the_wait_for_units_is_the_wait_until_take_succeeds():
    bucket = TokenBucket(Rate(per_s=4, burst=8), now_s=0)
    bucket.take(8, 0)
    assert bucket.wait_s(0, 2) == 0.5
    assert bucket.take(2, 0.5)
    assert bucket.wait_s(0.5, 9) == 2


def test_a_clock_that_goes_back_gives_nothing():
    bucket = TokenBucket(Rate(per_s=1, burst=1), now_s=100)
    assert bucket.take(1, 100)
    assert not bucket.take(1, 50)
    assert not bucket.take(1, 100.5)
    assert bucket.take(1, 101)


@pytest.mark.parametrize("rate", [(0, 1, 0), (1, 0, 0), (1, 1, -1), (-1, 1, 0)])
def test_a_rate_that_allows_nothing_is_refused(rate):
    with pytest.raises(ValueError, match="a rate needs"):
        Rate(*rate)


@given(
    st.lists(st.tuples(st.floats(0, 5), st.floats(0, 10)), max_size=50),
    st.floats(0.1, 10),
    st.floats(0.1, 10),
)
def test_never_more_is_taken_than_the_burst_or_one_request_and_the_rate_allow(steps, per_s, burst):
    bucket = TokenBucket(Rate(per_s, burst), now_s=0)
    now_s = taken = 0.0
    for pause_s, units in steps:
        now_s += pause_s
        if bucket.take(units, now_s):
            taken += units
    largest = max((units for _, units in steps), default=0.0)
    assert taken <= max(burst, largest) + per_s * now_s + 1e-6
