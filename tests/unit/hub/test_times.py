"""The hub's times against those that SPEC.md tells others to reckon with."""

from muster_hub.connections.handshake import KEEP_ALIVE_MS
from muster_hub.listener.connection import PING_SPREAD
from muster_hub.listener.settings import KEEPALIVE_INTERVAL_S, KEEPALIVE_TIMEOUT_S, SWEEP_INTERVAL_S
from muster_hub.node import outbox


def test_a_silent_peer_is_pinged_between_two_thirds_of_the_keep_alive_time_and_all_of_it() -> None:
    earliest_s = KEEPALIVE_INTERVAL_S * (1 - PING_SPREAD) - SWEEP_INTERVAL_S  # counted from the sweep before
    assert earliest_s * 1000 >= KEEP_ALIVE_MS * 2 / 3
    assert KEEPALIVE_INTERVAL_S * 1000 <= KEEP_ALIVE_MS


def test_a_ping_may_be_answered_for_as_long_as_the_keep_alive_time() -> None:
    assert KEEPALIVE_TIMEOUT_S * 1000 >= KEEP_ALIVE_MS


def test_a_seat_without_joined_is_looked_for_every_5_s() -> None:
    assert outbox.PASS_EVERY_S <= 5
