"""How often a child process is started again, and after what pauses."""

from muster_hub.restarts import CALM_S, MAX_PAUSE_S, MAX_RESTARTS, Restarts


def test_pauses_double_up_to_a_limit_and_end() -> None:
    restarts = Restarts(1.0)
    assert [restarts.next_pause_s() for _ in range(MAX_RESTARTS + 1)] == [2.0, 4.0, MAX_PAUSE_S, MAX_PAUSE_S, 5.0, None]


def test_a_process_that_ran_for_long_has_all_restarts_again() -> None:
    restarts = Restarts(1.0)
    assert [restarts.next_pause_s(), restarts.next_pause_s()] == [2.0, 4.0]
    restarts.ended(CALM_S)
    assert restarts.next_pause_s() == MAX_PAUSE_S
    restarts.ended(CALM_S + 0.1)
    assert restarts.next_pause_s() == 2.0
