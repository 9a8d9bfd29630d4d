"""The allowances of devices and addresses: when one that was refused is served, and what it pays."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster_hub.rate_limits import spending
from muster_hub.rate_limits.spending import MIB, Payer, Spending
from muster_hub.rate_limits.token_bucket import Rate
from muster_protocol.ids import ClientId

ONE = Payer(ClientId("a" * 32), "192.0.2.1")


@contextmanager
def clock() -> Iterator[SimpleNamespace]:
    """Give the time in seconds, which the test sets."""
    now = SimpleNamespace(s=0.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spending, "time", SimpleNamespace(monotonic=lambda: now.s))
        yield now


def test_one_that_comes_back_at_its_time_is_not_refused_for_what_asking_costs() -> None:
    with clock() as now:
        allowances = Spending(Rate(per_s=3, burst=12))
        allowances.charge(ONE, 12)
        wait_ms = allowances.wait_ms(ONE, 4, asking=5)
        assert wait_ms == 3_000
        now.s = wait_ms / 1000
        allowances.charge(ONE, 5)
        assert allowances.wait_ms(ONE, 4) == 0


@given(st.floats(0.1, 1_000), st.floats(20, 1_000), st.floats(0.1, 100), st.floats(0, 100))
def test_the_time_to_come_back_is_never_too_early(
    per_s: float, units_per_address: float, units: float, asking: float
) -> None:
    with clock() as now:
        allowances = Spending(Rate(per_s, burst=200), units_per_address=units_per_address)
        allowances.charge(ONE, 200)
        wait_ms = allowances.wait_ms(ONE, units, asking=asking)
        assert wait_ms > 0
        now.s = wait_ms / 1000 + 1e-6
        allowances.charge(ONE, asking)
        assert allowances.wait_ms(ONE, units) == 0


def of_one_address() -> Spending:
    """Return the allowances of devices with 10 units, at an address with one MiB."""
    return Spending(Rate(per_s=1, burst=10), units_per_address=1, mib_per_address=1)


def test_a_request_that_may_leave_nothing_more_in_the_store_takes_no_units() -> None:
    with clock():
        allowances = of_one_address()
        assert allowances.wait_ms(ONE, 0, kept=MIB) == 0
        assert allowances.wait_ms(ONE, 10, kept=1) > 0
        assert allowances.wait_ms(ONE, 10) == 0


def test_a_request_without_units_leaves_nothing_in_the_store() -> None:
    with clock():
        allowances = of_one_address()
        assert allowances.wait_ms(ONE, 10) == 0
        assert allowances.wait_ms(ONE, 1, kept=MIB) > 0
        assert allowances.wait_ms(ONE, 0, kept=MIB) == 0


def test_a_request_that_leaves_nothing_is_served_at_an_address_that_left_too_much() -> None:
    with clock():
        allowances = of_one_address()
        assert allowances.wait_ms(ONE, 0, kept=MIB) == 0
        allowances.keep(ONE.near, 1)
        assert allowances.wait_ms(ONE, 1) == 0
