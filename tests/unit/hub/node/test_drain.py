"""When devices come back after a planned stop: each at a moment of its own, over a time that their number asks for."""

import random

import pytest

from muster_hub.node.drain import MAX_SPREAD_S, MIN_SPREAD_S, RETURNS_PER_S, return_times_ms, spread_s


@pytest.mark.parametrize("devices", [1, 3, 700, 5_000, 20_000])
def test_no_part_of_the_time_gets_more_than_its_share(devices: int) -> None:
    times_ms = return_times_ms(devices, random.Random(devices).random)  # noqa: S311 - the same each time
    assert len(times_ms) == devices
    assert max(times_ms) <= spread_s(devices) * 1000
    busiest = max(sum(1 for time_ms in times_ms if time_ms // 1000 == second) for second in range(61))
    assert busiest <= RETURNS_PER_S + 2


def test_few_come_back_soon_and_many_take_their_time() -> None:
    assert spread_s(1) == MIN_SPREAD_S
    assert spread_s(10_000) == 10_000 / RETURNS_PER_S
    assert spread_s(10_000_000) == MAX_SPREAD_S


def test_no_connection_left_needs_no_time() -> None:
    assert return_times_ms(0, random.random) == []
