"""When a link tries again, and how it notices sleep."""

import pytest

from muster_client.connection.backoff import BASE_S, CAP_S, MAX_RETRY_AFTER_S, STABLE_S, Backoff
from muster_client.connection.machine_watch import JUMP_S, SleepWatch


def lose(backoff: Backoff, times: int) -> None:
    for _ in range(times):
        backoff.lost(0.0)


def test_the_first_wait_is_anything_up_to_the_base() -> None:
    backoff = Backoff()
    lose(backoff, 1)
    assert (backoff.delay_s(0.0), backoff.delay_s(0.5), backoff.delay_s(1.0)) == (0.0, BASE_S / 2, BASE_S)


@pytest.mark.parametrize(("failures", "ceiling"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, CAP_S), (50, CAP_S)])
def test_each_failure_doubles_the_ceiling_up_to_the_cap(failures: int, ceiling: float) -> None:
    backoff = Backoff()
    lose(backoff, failures)
    assert backoff.delay_s(1.0) == ceiling * BASE_S if ceiling < CAP_S else backoff.delay_s(1.0) == CAP_S


def test_only_a_stable_minute_makes_the_next_wait_short() -> None:
    backoff = Backoff()
    lose(backoff, 5)
    backoff.connected(100.0)
    backoff.lost(100.0 + STABLE_S - 0.1)
    assert backoff.delay_s(1.0) == 32 * BASE_S
    backoff.connected(1000.0)
    backoff.lost(1000.0 + STABLE_S)
    assert backoff.delay_s(1.0) == BASE_S


def test_the_hubs_wish_is_kept_within_a_limit_and_spread() -> None:
    backoff = Backoff()
    lose(backoff, 1)
    assert backoff.delay_s(0.0, at_least_s=7.0) == 7.0
    assert backoff.delay_s(1.0, at_least_s=7.0) == 7.0 + BASE_S
    assert backoff.delay_s(0.0, at_least_s=10 * MAX_RETRY_AFTER_S) == MAX_RETRY_AFTER_S


def test_superseded_waits_the_longest() -> None:
    backoff = Backoff()
    backoff.longest()
    backoff.lost(0.0)
    assert backoff.delay_s(1.0) == CAP_S


def test_sleep_is_a_wall_clock_that_went_on_alone() -> None:
    watch = SleepWatch(1000.0, 50.0)
    assert not watch.slept(1005.0, 55.0)
    assert watch.slept(1010.0 + JUMP_S, 60.0)
    assert not watch.slept(1015.0 + JUMP_S, 65.0), "once is noticed once"
    assert not watch.slept(900.0, 70.0), "a clock that was set back is no sleep"
