"""How often the hub is pinged, as a pure machine."""

import pytest

from muster_client.connection.keep_alive import LEAST_S, USUAL_S, KeepAlive


def on(network: str) -> KeepAlive:
    keep_alive = KeepAlive()
    keep_alive.connected(network)
    return keep_alive


def test_two_deaths_after_the_same_silence_halve_the_interval():
    keep_alive = on("home")
    assert not keep_alive.died(12.0, outlived_s=0.4)
    assert (keep_alive.interval_s, keep_alive.learnt) == (USUAL_S, False)
    assert keep_alive.died(12.3, outlived_s=0.1)
    assert (keep_alive.interval_s, keep_alive.learnt) == (6.15, True)


def test_where_pings_go_unanswered_the_interval_itself_is_what_was_too_long():
    """A router that forgets without a word: each ping after ``interval_s`` of silence is lost."""
    keep_alive = on("home")
    learnt = []
    while keep_alive.died(keep_alive.interval_s, outlived_s=0.2) or keep_alive.died(
        keep_alive.interval_s, outlived_s=0.2
    ):
        learnt.append(keep_alive.interval_s)
    assert learnt == [10.0, 5.0]
    assert learnt[-1] == LEAST_S


def test_a_connection_that_outlived_such_a_silence_died_of_something_else():
    keep_alive = on("home")
    for _ in range(5):
        assert not keep_alive.died(USUAL_S, outlived_s=USUAL_S)
    assert keep_alive.interval_s == USUAL_S


def test_deaths_after_different_silences_have_no_common_cause():
    keep_alive = on("home")
    for idle_s in (18.0, 9.0, 14.0, 7.0, 19.0):
        assert not keep_alive.died(idle_s, outlived_s=0.0)


def test_a_death_by_other_means_in_between_starts_over():
    keep_alive = on("home")
    assert not keep_alive.died(12.0, outlived_s=0.0)
    assert not keep_alive.died(1.0, outlived_s=0.0)
    assert not keep_alive.died(12.0, outlived_s=0.0)
    assert keep_alive.died(12.0, outlived_s=0.0)


@pytest.mark.parametrize("idle_s", [0.0, 1.0, LEAST_S])
def test_no_interval_below_the_least_is_learnt(idle_s):
    keep_alive = on("home")
    assert not any(keep_alive.died(idle_s, outlived_s=0.0) for _ in range(4))
    near = on("home")
    near.died(LEAST_S + 0.5, outlived_s=0.0)
    assert near.died(LEAST_S + 0.5, outlived_s=0.0)
    assert near.interval_s == LEAST_S
    assert not any(near.died(LEAST_S + 0.1, outlived_s=0.0) for _ in range(4))


def test_another_network_has_nothing_to_do_with_it():
    keep_alive = on("home")
    keep_alive.died(12.0, outlived_s=0.0)
    keep_alive.died(12.0, outlived_s=0.0)
    keep_alive.connected("home")
    assert keep_alive.learnt
    keep_alive.connected("train")
    assert (keep_alive.interval_s, keep_alive.learnt) == (USUAL_S, False)
